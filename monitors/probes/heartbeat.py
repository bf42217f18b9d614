"""The heartbeat: a monitor that is pushed to. The sender says start, success or fail; silence is the failure.

The runner stores the beats and gives them to `check`; the judgement is pure.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from croniter import CroniterError, croniter
from msgspec import Meta

from monitors.probes import Beats, Context, Outcome, Verdict, probe


@dataclass(frozen=True, slots=True)
class Spec:
    """When a success is due: every `period`, or at the times of `cron`."""

    token: Annotated[
        Annotated[str, Meta(pattern="^[A-Za-z0-9_-]{16,128}$")] | None,
        Meta(description="End of the address that the sender calls; default: the server makes one."),
    ] = None
    period: Annotated[timedelta | None, Meta(description="Longest time between two successes.")] = None
    cron: Annotated[
        str | None, Meta(description='Cron expression of when a success is due, such as "30 2 * * *".')
    ] = None
    time_zone: Annotated[str, Meta(description="IANA zone in which `cron` is meant.")] = "Europe/Warsaw"
    grace: Annotated[timedelta, Meta(description="How much later than due a success may come.")] = timedelta(
        minutes=1
    )
    max_run: Annotated[
        timedelta | None, Meta(description="Longest time from start to success; default: no limit.")
    ] = None

    def __post_init__(self) -> None:
        """Raises ValueError naming the key."""
        if (self.period is None) == (self.cron is None):
            raise ValueError("period: give either period or cron")
        for key, value in (("period", self.period), ("max_run", self.max_run)):
            if value is not None and value < timedelta(seconds=1):
                raise ValueError(f"{key}: must be at least 1s")
        if self.grace < timedelta(0):
            raise ValueError("grace: must not be negative")
        try:
            zone = ZoneInfo(self.time_zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f'time_zone: "{self.time_zone}" is not an IANA time zone') from None
        if self.cron is not None:
            _check_cron(self.cron, zone)


@probe("heartbeat", Spec)
async def check(spec: Spec, context: Context) -> Outcome:
    """Judge the stored beats. Raises LookupError where the runner gave none: that is our fault."""
    if context.beats is None:
        raise LookupError("a heartbeat is judged by its stored beats, and none were given")
    return judge(spec, context.beats, context.now)


def judge(spec: Spec, beats: Beats, now: datetime) -> Outcome:
    """What the beats mean at the instant `now`."""
    last_result_at = _latest(beats.last_success_at, beats.last_fail_at)
    runs_since = beats.last_start_at if _is_after(beats.last_start_at, last_result_at) else None
    if _is_after(beats.last_fail_at, beats.last_success_at):
        cause = "failure reported" if beats.exit_code is None else f"exit code {beats.exit_code}"
        return Outcome(Verdict.FAILED, cause)
    if runs_since is not None and spec.max_run is not None and now > runs_since + spec.max_run:
        return Outcome(Verdict.FAILED, f"started, but not finished within {_words(spec.max_run)}")
    heard_at = beats.last_success_at or runs_since
    if heard_at is None:
        return Outcome(Verdict.UNKNOWN, "no heartbeat yet")
    due_at = next_due(spec, heard_at)
    facts = {"due_at": due_at.isoformat()}
    if now > due_at + spec.grace:
        return Outcome(Verdict.FAILED, f"no heartbeat since {heard_at:%Y-%m-%d %H:%M:%S} UTC", facts=facts)
    return Outcome(Verdict.OK, latency_ms=_run_ms(beats), facts=facts)


def next_due(spec: Spec, heard_at: datetime) -> datetime:
    """When a success is due after one at `heard_at`, in its time zone (UTC); the grace is not counted in."""
    if spec.period is not None:
        return heard_at + spec.period
    local = heard_at.astimezone(ZoneInfo(spec.time_zone))
    schedule = croniter(spec.cron or "", local)
    due_at: datetime = schedule.get_next(datetime)
    while due_at.fold and not (spec.cron or "").split()[1].startswith("*"):
        # The hour that comes twice when summer time ends: what is due at a fixed hour is due once.
        due_at = schedule.get_next(datetime)
    return due_at.astimezone(heard_at.tzinfo)


def _check_cron(cron: str, zone: ZoneInfo) -> None:
    if len(cron.split()) != 5:
        raise ValueError('cron: five fields are expected, such as "30 2 * * *"')
    try:
        croniter(cron, datetime(2024, 1, 1, tzinfo=zone)).get_next(datetime)
    except (CroniterError, ValueError, KeyError) as error:
        raise ValueError(f'cron: "{cron}" is never due or not a cron expression: {error}') from None


def _latest(one: datetime | None, other: datetime | None) -> datetime | None:
    return one if other is None or (one is not None and one >= other) else other


def _is_after(one: datetime | None, other: datetime | None) -> bool:
    return one is not None and (other is None or one > other)


def _run_ms(beats: Beats) -> float | None:
    """How long the last finished run took; None where its start was not reported."""
    start_at, success_at = beats.last_start_at, beats.last_success_at
    if start_at is None or success_at is None or start_at > success_at:
        return None
    return (success_at - start_at) / timedelta(milliseconds=1)


def _words(value: timedelta) -> str:
    seconds = value.total_seconds()
    for unit, size_s in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= size_s and seconds % size_s == 0:
            return f"{seconds / size_s:g} {unit}"
    return f"{seconds:g} s"
