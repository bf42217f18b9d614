"""The judgement: from single checks to how a monitor stands, and from monitors to a service. Pure.

Both directions are confirmed by checks in a row, and dated back to the first of the row:

- `confirm_down` failures make DOWN, since the first of them;
- `confirm_down` checks that failed or were slow make SLOW, since the first of them;
- `confirm_up` good checks make UP, since the first of them; while DOWN, `confirm_up` answers of which
  some were slow make SLOW: it answers again, so the outage ends there;
- the very first good check makes UP at once: there is no other belief to be protected.

UNKNOWN checks (our own fault) neither confirm nor refute. `confirm_down` of them in a row make the monitor
UNKNOWN since the first; what was last known stays beside it and stays published.

A monitor that changes `flap_threshold` times within `flap_window` is flapping. From then on it gets worse
at once but not better: an improvement counts when it has lasted `flap_window / flap_threshold`, twice that
after each relapse meanwhile, at most `flap_window`. It is then dated to its first good check as always.
Without any change for `flap_window` it is no longer flapping.

The clock may step back: whatever was noted later than the present is taken to have happened now.
"""

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from math import ceil

from statuspage.incidents.rules import OUTAGES, SEVERITY, ServiceStatus


class Verdict(StrEnum):
    """What one check says; the words of `probes.Verdict`, which stands beside code that does I/O."""

    OK = "ok"
    SLOW = "slow"
    FAILED = "failed"
    UNKNOWN = "unknown"


class Level(StrEnum):
    """How a monitor stands."""

    NEVER = "never"  # nothing was ever known
    UP = "up"
    SLOW = "slow"
    DOWN = "down"
    UNKNOWN = "unknown"  # was known; is not for now


_BADNESS = {Level.NEVER: 0, Level.UP: 0, Level.SLOW: 1, Level.DOWN: 2}
_AGREES = {Verdict.OK: Level.UP, Verdict.SLOW: Level.SLOW, Verdict.FAILED: Level.DOWN}


@dataclass(frozen=True, slots=True)
class Policy:
    """How one monitor is judged."""

    interval: timedelta
    retry: timedelta  # between checks while in doubt
    timeout: timedelta
    confirm_down: int = 3  # checks in a row; the first failure counts
    confirm_up: int = 2
    flap_window: timedelta = timedelta(minutes=30)
    flap_threshold: int = 6


@dataclass(frozen=True, slots=True)
class Run:
    """Checks of one sort in a row. UNKNOWN ones do not break it."""

    count: int = 0
    first_at: datetime | None = None

    def grown(self, at: datetime) -> "Run":
        """With one more check, made at `at`."""
        return Run(self.count + 1, self.first_at or at)


@dataclass(frozen=True, slots=True)
class State:
    """All that the judgement of one monitor remembers."""

    known: Level = Level.NEVER  # what it is taken to be; kept while nothing is known
    since: datetime | None = None
    unknown_since: datetime | None = None
    cause: str = ""  # of the last check that was not good
    judged: Level = Level.NEVER  # what the rows of checks say; `known` differs from it while held
    judged_since: datetime | None = None
    ok: Run = Run()
    answered: Run = Run()  # ok or slow
    bad: Run = Run()  # slow or failed
    failed: Run = Run()
    unknown: Run = Run()
    flips: tuple[datetime, ...] = ()  # recent changes of `judged`
    is_flapping: bool = False
    relapses: int = 0  # while flapping

    @property
    def level(self) -> Level:
        """How it stands now."""
        return Level.UNKNOWN if self.unknown_since else self.known


@dataclass(frozen=True, slots=True)
class Transition:
    """A change of `State.level`."""

    old: Level
    new: Level
    since: datetime
    cause: str = ""


def step(
    state: State, verdict: Verdict, cause: str, at: datetime, policy: Policy
) -> tuple[State, Transition | None]:
    """The state after one more check, and the change that it brought about, if any."""
    after = _anchored(state, at)
    if verdict is Verdict.UNKNOWN:
        after = _not_known(after, at, policy)
    else:
        after = _counted(after, verdict, cause, at)
        after = _judged(after, at, policy)
        after = _told(after, verdict, at, policy)
    return after, _transition(state, after, cause)


def is_in_doubt(state: State, policy: Policy) -> bool:
    """Whether the last checks speak against what is believed, so that the next one should come soon."""
    if 0 < state.unknown.count < policy.confirm_down:
        return True
    against = {
        Level.NEVER: state.bad,
        Level.UP: state.bad,
        Level.SLOW: state.ok if state.ok.count else state.failed,
        Level.DOWN: state.answered,
    }
    return against[state.judged].count > 0


def next_delay(state: State, policy: Policy) -> timedelta:
    """How long to wait for the next check."""
    return min(policy.retry, policy.interval) if is_in_doubt(state, policy) else policy.interval


def resumed(state: State, last_at: datetime, now: datetime, policy: Policy) -> State:
    """The state to go on from after a pause of the prober. After a long one nothing is known since `last_at`.

    Long is more than `confirm_down` intervals: time enough to have missed an outage.
    """
    if state.known is Level.NEVER or now - last_at <= policy.interval * policy.confirm_down + policy.timeout:
        return state
    nothing = Run()
    return replace(
        state,
        unknown_since=state.unknown_since or last_at,
        ok=nothing,
        answered=nothing,
        bad=nothing,
        failed=nothing,
        unknown=nothing,
    )


def _anchored(state: State, at: datetime) -> State:
    """The state as if nothing had happened after `at`: no duration can become negative."""
    noted = (state.since, state.judged_since, state.unknown_since, *state.flips)
    runs = (state.ok, state.answered, state.bad, state.failed, state.unknown)
    if all(instant is None or instant <= at for instant in (*noted, *(run.first_at for run in runs))):
        return state

    def earlier(instant: datetime | None) -> datetime | None:
        return instant and min(instant, at)

    ok, answered, bad, failed, unknown = (Run(run.count, earlier(run.first_at)) for run in runs)
    return replace(
        state,
        since=earlier(state.since),
        judged_since=earlier(state.judged_since),
        unknown_since=earlier(state.unknown_since),
        flips=tuple(min(flip, at) for flip in state.flips),
        ok=ok,
        answered=answered,
        bad=bad,
        failed=failed,
        unknown=unknown,
    )


def _not_known(state: State, at: datetime, policy: Policy) -> State:
    unknown = state.unknown.grown(at)
    is_long = unknown.count >= policy.confirm_down
    return replace(
        state,
        unknown=unknown,
        unknown_since=state.unknown_since or (unknown.first_at if is_long else None),
    )


def _counted(state: State, verdict: Verdict, cause: str, at: datetime) -> State:
    nothing = Run()
    return replace(
        state,
        cause=state.cause if verdict is Verdict.OK else cause,
        ok=state.ok.grown(at) if verdict is Verdict.OK else nothing,
        answered=nothing if verdict is Verdict.FAILED else state.answered.grown(at),
        bad=nothing if verdict is Verdict.OK else state.bad.grown(at),
        failed=state.failed.grown(at) if verdict is Verdict.FAILED else nothing,
        unknown=nothing,
    )


def _confirmed(state: State, policy: Policy) -> tuple[Level, datetime | None]:
    """What the rows of checks say, and since when."""
    if state.failed.count >= policy.confirm_down:
        return Level.DOWN, state.failed.first_at
    if state.ok.count >= (1 if state.judged is Level.NEVER else policy.confirm_up):
        return Level.UP, state.ok.first_at
    if state.judged is Level.DOWN:
        if state.answered.count >= policy.confirm_up:
            return Level.SLOW, state.answered.first_at
    elif state.judged is not Level.SLOW and state.bad.count >= policy.confirm_down:
        return Level.SLOW, state.bad.first_at
    return state.judged, state.judged_since


def _judged(state: State, at: datetime, policy: Policy) -> State:
    level, since = _confirmed(state, policy)
    flips = tuple(flip for flip in state.flips if at - flip <= policy.flap_window)
    if flips != state.flips:
        state = replace(state, flips=flips)
        if not flips:
            state = replace(state, is_flapping=False, relapses=0)
    if level is state.judged:
        return state
    if state.judged is not Level.NEVER:
        flips = (*flips, at)
    is_worse = _BADNESS[level] > _BADNESS[state.judged]
    return replace(
        state,
        judged=level,
        judged_since=since,
        flips=flips,
        is_flapping=state.is_flapping or (is_worse and len(flips) >= policy.flap_threshold),
        relapses=state.relapses + (is_worse and state.is_flapping),
    )


def _told(state: State, verdict: Verdict, at: datetime, policy: Policy) -> State:
    """Take over what was judged, unless it is an improvement that has to prove itself first."""
    if state.judged is not state.known:
        is_better = _BADNESS[state.judged] < _BADNESS[state.known]
        if not (state.is_flapping and is_better and not _is_steady(state, at, policy)):
            state = replace(state, known=state.judged, since=state.judged_since, unknown_since=None)
            if is_better and state.is_flapping:
                state = replace(state, is_flapping=False, relapses=0, flips=())
        # Held: what is known is known again as soon as the checks agree with the judgement.
    if state.unknown_since and _AGREES[verdict] is state.judged:
        state = replace(state, since=at, unknown_since=None)
    return state


def _is_steady(state: State, at: datetime, policy: Policy) -> bool:
    return state.judged_since is not None and at - state.judged_since >= steady_for(state.relapses, policy)


def steady_for(relapses: int, policy: Policy) -> timedelta:
    """How long a flapping monitor must be better to be believed."""
    share = policy.flap_window / policy.flap_threshold
    return min(policy.flap_window, share * 2.0 ** min(relapses, 16))


def _transition(before: State, after: State, cause: str) -> Transition | None:
    if after.level is before.level:
        return None
    since = after.unknown_since or after.since
    if since is None:
        raise AssertionError("a level without an instant")
    if after.level is not Level.UNKNOWN:
        cause = "" if after.level is Level.UP else after.cause
    return Transition(before.level, after.level, since, cause)


# --- a service and its monitors ---


@dataclass(frozen=True, slots=True)
class Standing:
    """How a service stands by its monitors."""

    status: ServiceStatus
    since: datetime
    cause: str = ""
    monitor_id: str = ""  # the one that the cause is of; "" while operational
    unknown_since: datetime | None = None  # no monitor knows anything since; `status` is the last known


def may_become_worse(found: Standing, previous: Standing | None, others: Iterable[State]) -> bool:
    """Whether a partial outage had better wait: another monitor is just about to find the service down, too.

    So that readers are told once how bad it is. The doubt ends with that monitor's confirmation or its first
    good check, which bounds the wait; an outage that is published already waits for nothing.
    """
    if found.status is not ServiceStatus.PARTIAL_OUTAGE or (previous and previous.status in OUTAGES):
        return False
    return any(s.judged is not Level.DOWN and s.failed.count and not s.unknown.count for s in others)


def service_level(monitors: Iterable[tuple[str, State]], previous: Standing | None = None) -> Standing | None:
    """How a service stands by the states of its monitors, given by id; None while nothing was ever known.

    All down: major outage. Some: partial outage. Slow: degraded. A monitor that knows nothing for now counts
    as it was last known. `since` is the first failed check among the monitors that make the status. Where
    the status is better than `previous`, it is the last first good check; where a partial outage has become
    a full one, the first failure of the last monitor to fail.
    """
    known = [(id, state, state.since) for id, state in monitors if state.since is not None]
    if not known:
        return None
    status, wanted = _status_of([state.known for _, state, _ in known])
    telling = [each for each in known if each[1].known is wanted]
    id, state, since = min(telling, key=lambda each: (each[2], each[0]))
    unknown = [state.unknown_since for _, state, _ in known]
    unknown_since = max((at for at in unknown if at), default=None) if all(unknown) else None
    latest = max(at for _, _, at in known)
    if status is ServiceStatus.OPERATIONAL:
        return Standing(status, latest, unknown_since=unknown_since)
    if previous is not None and (
        SEVERITY[status] < SEVERITY[previous.status] or previous.status is ServiceStatus.PARTIAL_OUTAGE
    ):
        since = latest
    return Standing(status, since, state.cause, id, unknown_since)


def _status_of(levels: Sequence[Level]) -> tuple[ServiceStatus, Level]:
    """The service's status, and the level of the monitors that make it so."""
    if all(level is Level.DOWN for level in levels):
        return ServiceStatus.MAJOR_OUTAGE, Level.DOWN
    if Level.DOWN in levels:
        return ServiceStatus.PARTIAL_OUTAGE, Level.DOWN
    if Level.SLOW in levels:
        return ServiceStatus.DEGRADED_PERFORMANCE, Level.SLOW
    return ServiceStatus.OPERATIONAL, Level.UP


def prober_at_fault(reached: Collection[bool]) -> bool:
    """Whether most control targets, which are always up, could not be reached: then the fault is ours."""
    return 2 * sum(not each for each in reached) > len(reached)


# --- when ---


def phase_s(monitor_id: str, interval_s: float) -> float:
    """Where in its interval a monitor is checked: spread evenly, and the same after every restart."""
    digest = hashlib.blake2b(monitor_id.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64 * interval_s


def next_on_grid(phase_s: float, interval_s: float, after_s: float) -> float:
    """The first of the instants `phase_s + k · interval_s` that is not before `after_s`."""
    return phase_s + ceil((after_s - phase_s) / interval_s) * interval_s


def is_same(before: Standing, found: Standing) -> bool:
    """Whether there is nothing to report."""
    if before.unknown_since is not None and found.unknown_since is not None:
        return True
    return before.status is found.status and before.unknown_since is found.unknown_since


def since_of(before: Standing, found: Standing, at: datetime) -> datetime:
    """When the new standing began, so that what is measured of a service does not overlap.

    `at` where the monitors cannot say: the one that told of the outage is gone, or all were not known.
    """
    earliest = min(before.since, at)
    if before.unknown_since is not None:
        return found.since if found.since > before.unknown_since else at
    if SEVERITY[found.status] < SEVERITY[before.status] and found.since <= earliest:
        return at
    return max(found.since, earliest)
