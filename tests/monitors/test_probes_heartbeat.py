"""The heartbeat's judgement: tables of what was heard and when."""

from datetime import UTC, datetime, timedelta

import pytest

from monitors.probes import Beats, Context, Outcome, Verdict, build_spec
from monitors.probes.heartbeat import Spec, check, judge, next_due
from statuspage.kernel.errors import Invalid
from statuspage.kernel.net import Network

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOURLY = Spec(period=timedelta(hours=1), grace=timedelta(minutes=5))
TIMED = Spec(period=timedelta(hours=1), grace=timedelta(minutes=5), max_run=timedelta(minutes=10))


def ago(minutes: float | None) -> datetime | None:
    return None if minutes is None else NOON - timedelta(minutes=minutes)


def heard(
    *,
    start: float | None = None,
    success: float | None = None,
    fail: float | None = None,
    code: int | None = None,
) -> Beats:
    """What was heard, in minutes before noon."""
    return Beats(NOON - timedelta(days=2), ago(start), ago(success), ago(fail), code)


@pytest.mark.parametrize(
    ("spec", "beats", "verdict", "cause"),
    [
        (HOURLY, heard(), Verdict.UNKNOWN, "no heartbeat yet"),
        (HOURLY, heard(success=1), Verdict.OK, ""),
        (HOURLY, heard(success=65), Verdict.OK, ""),
        (HOURLY, heard(success=65.1), Verdict.FAILED, "no heartbeat since 2026-03-01 10:54:54 UTC"),
        (HOURLY, heard(success=-1), Verdict.OK, ""),  # the clock was stepped back
        (HOURLY, heard(fail=1), Verdict.FAILED, "failure reported"),
        (HOURLY, heard(success=2, fail=1, code=3), Verdict.FAILED, "exit code 3"),
        (HOURLY, heard(success=1, fail=2, code=3), Verdict.OK, ""),
        (HOURLY, heard(start=0.5, success=2, fail=1, code=3), Verdict.FAILED, "exit code 3"),
        (HOURLY, heard(start=30), Verdict.OK, ""),
        (HOURLY, heard(start=66), Verdict.FAILED, "no heartbeat since 2026-03-01 10:54:00 UTC"),
        (HOURLY, heard(start=30, success=50), Verdict.OK, ""),
        (TIMED, heard(start=9, success=50), Verdict.OK, ""),
        (TIMED, heard(start=11, success=50), Verdict.FAILED, "started, but not finished within 10 min"),
        (TIMED, heard(start=11), Verdict.FAILED, "started, but not finished within 10 min"),
        (TIMED, heard(start=11, success=1), Verdict.OK, ""),
    ],
)
def test_what_was_heard_is_judged(spec: Spec, beats: Beats, verdict: Verdict, cause: str) -> None:
    outcome = judge(spec, beats, NOON)
    assert (outcome.verdict, outcome.cause) == (verdict, cause)


def test_the_time_from_start_to_success_is_the_latency() -> None:
    assert judge(TIMED, heard(start=11, success=1), NOON).latency_ms == 600_000
    assert judge(TIMED, heard(success=1), NOON).latency_ms is None
    assert judge(TIMED, heard(start=1, success=2), NOON).latency_ms is None


@pytest.mark.parametrize(
    ("cron", "heard_at", "due_at"),
    [
        ("30 2 * * *", "2026-03-01T02:30+01:00", "2026-03-02T02:30+01:00"),
        ("30 2 * * *", "2026-03-28T02:31+01:00", "2026-03-29T03:00+02:00"),  # 02:30 does not come that day
        ("30 2 * * *", "2026-10-24T02:31+02:00", "2026-10-25T02:30+02:00"),
        ("30 2 * * *", "2026-10-25T02:31+02:00", "2026-10-26T02:30+01:00"),  # 02:30 comes twice, once is due
        ("*/20 2 * * *", "2026-10-25T02:41+02:00", "2026-10-26T02:00+01:00"),
        ("0 * * * *", "2026-10-25T02:01+02:00", "2026-10-25T02:00+01:00"),  # every hour means both
        ("0 12 1 1 *", "2026-03-01T00:00+01:00", "2027-01-01T12:00+01:00"),
    ],
)
def test_a_schedule_is_meant_in_its_time_zone(cron: str, heard_at: str, due_at: str) -> None:
    spec = Spec(cron=cron, time_zone="Europe/Warsaw")
    due = next_due(spec, datetime.fromisoformat(heard_at).astimezone(UTC))
    assert due == datetime.fromisoformat(due_at)
    assert due.tzinfo is UTC


async def test_a_check_judges_the_stored_beats() -> None:
    context = Context(Network(), timeout_s=1, beats=heard(fail=1, code=9), now=NOON)
    assert await check(HOURLY, context) == Outcome(Verdict.FAILED, "exit code 9")


async def test_a_check_without_stored_beats_is_our_own_fault() -> None:
    with pytest.raises(LookupError):
        await check(HOURLY, Context(Network(), timeout_s=1))


@pytest.mark.parametrize(
    ("data", "key", "reason"),
    [
        ({}, "period", "either period or cron"),
        ({"period": "1h", "cron": "0 * * * *"}, "period", "either period or cron"),
        ({"period": "0s"}, "period", "at least 1s"),
        ({"period": "1h", "max_run": "10ms"}, "max_run", "at least 1s"),
        ({"cron": "0 0 31 2 *"}, "cron", "never due"),
        ({"cron": "x y z * *"}, "cron", "not a cron expression"),
        ({"cron": "* * * * * *"}, "cron", "five fields"),
        ({"cron": "0 * * * *", "time_zone": "Mars/Olympus"}, "time_zone", "not an IANA time zone"),
        ({"cron": "0 * * * *", "time_zone": "../../etc/passwd"}, "time_zone", "not an IANA time zone"),
        ({"period": "1h", "token": "short"}, "token", "matching regex"),
    ],
)
def test_a_spec_names_the_key_that_is_wrong(data: dict[str, str], key: str, reason: str) -> None:
    with pytest.raises(Invalid, match=reason) as caught:
        build_spec("heartbeat", data, where="monitor")
    assert caught.value.field == f"monitor.spec.{key}"
