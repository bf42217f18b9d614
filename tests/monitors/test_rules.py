"""The judgement: tables of scenarios, and what holds for any checks at all. `test_traces` replays faults."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitors import probes
from monitors.rules import (
    Level,
    Policy,
    Standing,
    State,
    Transition,
    Verdict,
    is_in_doubt,
    next_delay,
    next_on_grid,
    phase_s,
    prober_at_fault,
    resumed,
    service_level,
    steady_for,
    step,
)
from statuspage.incidents.rules import ServiceStatus

T0 = datetime(2026, 11, 23, 5, 10, tzinfo=UTC)
NEVER_FLAPS = 10_000
POLICY = Policy(
    interval=timedelta(seconds=30),
    retry=timedelta(seconds=5),
    timeout=timedelta(seconds=10),
    flap_threshold=NEVER_FLAPS,
)
WORDS = {"o": Verdict.OK, "s": Verdict.SLOW, "f": Verdict.FAILED, "u": Verdict.UNKNOWN}
LEVELS = {"o": Level.UP, "s": Level.SLOW, "f": Level.DOWN, "u": Level.UNKNOWN}


def second(n: float) -> datetime:
    return T0 + timedelta(seconds=n)


def replay(
    checks: str, policy: Policy = POLICY, state: State | None = None
) -> tuple[State, list[tuple[int, str, int]]]:
    """One check a second; the transitions as (when, to what, since when)."""
    state = state or State()
    told = []
    for i, letter in enumerate(checks):
        state, transition = step(state, WORDS[letter], f"cause {i}", second(i), policy)
        if transition:
            told.append((i, transition.new.value, round((transition.since - T0).total_seconds())))
    return state, told


@pytest.mark.parametrize(
    ("checks", "told"),
    [
        pytest.param("", [], id="nothing is known before the first check"),
        pytest.param("o", [(0, "up", 0)], id="the first good check is believed at once"),
        pytest.param("ff", [], id="two failures at first are not three"),
        pytest.param("fff", [(2, "down", 0)], id="the third failure counts from the first"),
        pytest.param("off", [(0, "up", 0)], id="two failures are a doubt"),
        pytest.param("offo", [(0, "up", 0)], id="a doubt refuted leaves no trace"),
        pytest.param("offoffo", [(0, "up", 0)], id="failures count only in a row"),
        pytest.param("offfo", [(0, "up", 0), (3, "down", 1)], id="one good check ends no outage"),
        pytest.param(
            "offfoo", [(0, "up", 0), (3, "down", 1), (5, "up", 4)], id="the outage ends at the first good one"
        ),
        pytest.param("offfofofoff", [(0, "up", 0), (3, "down", 1)], id="single good checks end nothing"),
        pytest.param("osss", [(0, "up", 0), (3, "slow", 1)], id="slow is confirmed in the same way"),
        pytest.param("osso", [(0, "up", 0)], id="two slow ones are a doubt"),
        pytest.param("ofsf", [(0, "up", 0), (3, "slow", 1)], id="failed and slow mixed are slow"),
        pytest.param(
            "ofsffff",
            [(0, "up", 0), (3, "slow", 1), (5, "down", 3)],
            id="and down once failures stand in a row",
        ),
        pytest.param("osssoo", [(0, "up", 0), (3, "slow", 1), (5, "up", 4)], id="slow ends like an outage"),
        pytest.param(
            "offfso",
            [(0, "up", 0), (3, "down", 1), (5, "slow", 4)],
            id="slow answers end the outage, not the trouble",
        ),
        pytest.param(
            "offfsoo",
            [(0, "up", 0), (3, "down", 1), (5, "slow", 4), (6, "up", 5)],
            id="good ones after that are good",
        ),
        pytest.param("ouu", [(0, "up", 0)], id="not knowing for a moment is nothing"),
        pytest.param(
            "ouuu", [(0, "up", 0), (3, "unknown", 1)], id="not knowing for long is told, since the first"
        ),
        pytest.param(
            "ouuuuo",
            [(0, "up", 0), (3, "unknown", 1), (5, "up", 5)],
            id="one check that agrees is knowing again",
        ),
        pytest.param(
            "ouuuff", [(0, "up", 0), (3, "unknown", 1)], id="one that disagrees has to be confirmed"
        ),
        pytest.param("ouuufff", [(0, "up", 0), (3, "unknown", 1), (6, "down", 4)], id="and then counts"),
        pytest.param("ofufuf", [(0, "up", 0), (5, "down", 1)], id="not knowing neither confirms nor refutes"),
        pytest.param(
            "offfuuuoo",
            [(0, "up", 0), (3, "down", 1), (6, "unknown", 4), (8, "up", 7)],
            id="an outage that ended unseen ends at the first good check seen",
        ),
        pytest.param("uuu", [(2, "unknown", 0)], id="nothing known from the start"),
        pytest.param("uuuo", [(2, "unknown", 0), (3, "up", 3)], id="then the first good check"),
    ],
)
def test_checks_in_a_row_become_levels(checks: str, told: list[tuple[int, str, int]]) -> None:
    assert replay(checks)[1] == told


def test_with_one_confirmation_each_the_first_check_decides() -> None:
    policy = replace(POLICY, confirm_down=1, confirm_up=1)
    assert replay("ofo", policy)[1] == [(0, "up", 0), (1, "down", 1), (2, "up", 2)]


def test_the_cause_is_that_of_the_last_bad_check() -> None:
    _, told = step(replay("off")[0], Verdict.FAILED, "HTTP 503", second(3), POLICY)
    assert told == Transition(Level.UP, Level.DOWN, second(1), "HTTP 503")


def test_a_recovery_has_no_cause() -> None:
    _, told = step(replay("offfo")[0], Verdict.OK, "", second(5), POLICY)
    assert told == Transition(Level.DOWN, Level.UP, second(4), "")


@pytest.mark.parametrize(
    ("checks", "delay_s"),
    [
        ("o", 30),
        ("of", 5),
        ("off", 5),
        ("offf", 30),
        ("offfo", 5),
        ("offfoo", 30),
        ("os", 5),
        ("osss", 30),
        ("osssf", 5),
        ("ssso", 5),
        ("f", 5),
        ("ou", 5),
        ("ouuu", 30),
        ("ouuuf", 5),
    ],
)
def test_doubt_is_checked_sooner(checks: str, delay_s: float) -> None:
    assert next_delay(replay(checks)[0], POLICY) == timedelta(seconds=delay_s)


def test_a_retry_is_never_later_than_the_next_check() -> None:
    policy = replace(POLICY, interval=timedelta(seconds=2))
    assert next_delay(replay("of", policy)[0], policy) == timedelta(seconds=2)


# --- the prober was away ---


def test_after_a_short_pause_the_doubt_goes_on() -> None:
    state = replay("off")[0]
    assert resumed(state, second(2), second(60), POLICY) is state


def test_after_a_long_pause_nothing_is_known_since_the_last_check() -> None:
    state = resumed(replay("off")[0], second(2), second(3600), POLICY)
    assert (state.level, state.unknown_since, state.known) == (Level.UNKNOWN, second(2), Level.UP)
    state, told = step(state, Verdict.FAILED, "", second(3600), POLICY)
    assert told is None, "failures before the pause do not count"
    _, told = step(state, Verdict.OK, "", second(3605), POLICY)
    assert told == Transition(Level.UNKNOWN, Level.UP, second(3605))


def test_a_pause_without_anything_known_changes_nothing() -> None:
    assert resumed(State(), second(0), second(9999), POLICY) == State()


# --- flapping ---

FLAPS = replace(
    POLICY, confirm_down=2, confirm_up=2, flap_window=timedelta(seconds=60), flap_threshold=6
)  # better for 10 s


def test_a_flapping_monitor_stays_bad_until_it_is_steady() -> None:
    _, told = replay("o" + "ffoo" * 10 + "o" * 70, FLAPS)
    names = [name for _, name, _ in told]
    assert names == ["up", "down", "up", "down", "up", "down", "up", "down", "up"]
    last_good_run = len("o" + "ffoo" * 10) - 2
    assert told[-1][2] == last_good_run, "it ends at the first good check of the row"
    assert told[-1][0] == last_good_run + 60, "but not before it has proved itself"


def test_each_relapse_doubles_the_proof_up_to_the_window() -> None:
    waits = [steady_for(relapses, FLAPS).total_seconds() for relapses in range(6)]
    assert waits == [10, 20, 40, 60, 60, 60]


def test_what_gets_worse_while_flapping_is_told_at_once() -> None:
    _, told = replay("o" + "ssoo" * 4 + "ssff", FLAPS)
    assert [name for _, name, _ in told][-2:] == ["slow", "down"]


def test_a_quiet_window_ends_the_flapping() -> None:
    state, _ = replay("o" + "ffoo" * 3 + "f" * 70, FLAPS)
    assert not state.is_flapping
    after, told = state, []
    for i, letter in enumerate("oo"):
        after, transition = step(after, WORDS[letter], "", second(200 + i), FLAPS)
        told.append(transition)
    assert told[-1] == Transition(Level.DOWN, Level.UP, second(200))


def test_three_outages_in_the_window_are_not_flapping() -> None:
    assert len(replay("o" + "ffoo" * 3, FLAPS)[1]) == 7


# --- a service ---


def stands(level: Level, since: float, unknown_since: float | None = None, cause: str = "") -> State:
    unknown = None if unknown_since is None else second(unknown_since)
    return State(known=level, since=second(since), judged=level, unknown_since=unknown, cause=cause)


U, S, D = Level.UP, Level.SLOW, Level.DOWN


@pytest.mark.parametrize(
    ("states", "status", "since"),
    [
        ([(U, 1), (U, 5)], ServiceStatus.OPERATIONAL, 5),
        ([(D, 7), (D, 5)], ServiceStatus.MAJOR_OUTAGE, 5),
        ([(D, 7)], ServiceStatus.MAJOR_OUTAGE, 7),
        ([(U, 1), (D, 7), (D, 5)], ServiceStatus.PARTIAL_OUTAGE, 5),
        ([(S, 2), (D, 7)], ServiceStatus.PARTIAL_OUTAGE, 7),
        ([(S, 2), (U, 7)], ServiceStatus.DEGRADED_PERFORMANCE, 2),
        ([(S, 9), (S, 7)], ServiceStatus.DEGRADED_PERFORMANCE, 7),
    ],
)
def test_monitors_make_the_status(states: list[tuple[Level, int]], status: ServiceStatus, since: int) -> None:
    found = service_level((str(i), stands(*each)) for i, each in enumerate(states))
    assert found is not None
    assert (found.status, found.since) == (status, second(since))


def test_a_service_never_measured_has_no_status() -> None:
    assert service_level([("a", State())]) is None
    assert service_level([]) is None


def test_a_monitor_never_measured_does_not_count() -> None:
    found = service_level([("a", State()), ("b", stands(D, 3))])
    assert found is not None
    assert found.status is ServiceStatus.MAJOR_OUTAGE


def test_the_cause_is_that_of_the_monitor_that_failed_first() -> None:
    found = service_level([("a", stands(D, 9, cause="late")), ("b", stands(D, 3, cause="first"))])
    assert found is not None
    assert (found.cause, found.monitor_id) == ("first", "b")


def test_a_partial_outage_turns_full_when_the_last_monitor_fails() -> None:
    before = Standing(ServiceStatus.PARTIAL_OUTAGE, second(3))
    found = service_level([("a", stands(D, 3)), ("b", stands(D, 50))], before)
    assert found is not None
    assert (found.status, found.since) == (ServiceStatus.MAJOR_OUTAGE, second(50))


def test_a_full_outage_turns_partial_when_the_first_monitor_recovers() -> None:
    before = Standing(ServiceStatus.MAJOR_OUTAGE, second(3))
    found = service_level([("a", stands(D, 3)), ("b", stands(U, 70))], before)
    assert found is not None
    assert (found.status, found.since) == (ServiceStatus.PARTIAL_OUTAGE, second(70))


def test_while_one_monitor_knows_nothing_it_counts_as_last_known() -> None:
    found = service_level([("a", stands(D, 3, unknown_since=40)), ("b", stands(U, 0))])
    assert found is not None
    assert (found.status, found.unknown_since) == (ServiceStatus.PARTIAL_OUTAGE, None)


def test_a_service_is_unknown_when_no_monitor_knows_anything() -> None:
    found = service_level([("a", stands(U, 3, unknown_since=40)), ("b", stands(U, 0, unknown_since=44))])
    assert found is not None
    assert (found.status, found.unknown_since) == (ServiceStatus.OPERATIONAL, second(44))


@pytest.mark.parametrize(
    ("reached", "at_fault"),
    [([], False), ([True], False), ([False], True), ([True, False], False), ([True, False, False], True)],
)
def test_most_control_targets_decide(reached: list[bool], at_fault: bool) -> None:
    assert prober_at_fault(reached) is at_fault


def test_the_words_of_the_rules_are_those_of_the_probes() -> None:
    assert [verdict.value for verdict in Verdict] == [verdict.value for verdict in probes.Verdict]


# --- when ---


def test_phases_are_spread_evenly_and_stay() -> None:
    phases = [phase_s(f"monitor{i}", 60) for i in range(6000)]
    assert phases == [phase_s(f"monitor{i}", 60) for i in range(6000)]
    by_tenth = [sum(lower <= phase < lower + 6 for phase in phases) for lower in range(0, 60, 6)]
    assert min(by_tenth) > 500
    assert max(by_tenth) < 700


@given(
    phase=st.floats(0, 1),
    interval=st.floats(0.1, 86_400),
    after=st.floats(0, 10_000_000),
)
def test_the_next_instant_on_the_grid_is_within_one_interval(
    phase: float, interval: float, after: float
) -> None:
    due = next_on_grid(phase * interval, interval, after)
    assert after - 1e-6 <= due <= after + interval + 1e-6


# --- any checks at all ---


@given(st.text(alphabet="ou", max_size=60))
def test_without_a_failure_nothing_is_ever_down(checks: str) -> None:
    assert {name for _, name, _ in replay(checks)[1]} <= {"up", "unknown"}


arbitrary = st.text(alphabet="osfu", max_size=80)
timed = st.lists(st.tuples(st.sampled_from("osfu"), st.integers(-4000, 4000)), max_size=80)


@settings(max_examples=500)
@given(timed, st.sampled_from([POLICY, FLAPS]))
def test_transitions_chain_and_no_duration_is_negative_whatever_the_clock_does(
    checks: list[tuple[str, int]], policy: Policy
) -> None:
    state, level, at = State(), Level.NEVER, T0
    for letter, step_s in checks:
        at += timedelta(seconds=step_s)
        before = state
        state, transition = step(state, WORDS[letter], "", at, policy)
        assert state.level is (transition.new if transition else level)
        if transition:
            assert transition.old is level
            assert transition.new is not level
            assert transition.since <= at
            if before.since is not None and transition.new is not Level.UNKNOWN:
                assert transition.since >= min(before.since, at)
        level = state.level


@given(arbitrary)
def test_a_state_in_memory_never_grows(checks: str) -> None:
    state, _ = replay(checks * 3, FLAPS)
    assert len(state.flips) <= FLAPS.flap_window.total_seconds() + 1


@settings(max_examples=300)
@given(st.integers(0, 2**32), st.integers(1, 4))
def test_a_flapping_target_makes_few_transitions(seed: int, up_checks: int) -> None:
    rng = random.Random(seed)
    checks = "o" + "".join("f" * rng.randint(2, 4) + "o" * rng.randint(2, 2 + up_checks) for _ in range(60))
    _, told = replay(checks, FLAPS)
    downs = [since for _, name, since in told if name == "down"]
    minutes = len(checks) / 60
    assert len(downs) <= 4 + 3 * minutes, f"{len(downs)} outages in {minutes:.0f} min"


def test_doubt_is_told_apart_from_belief() -> None:
    assert not is_in_doubt(replay("ooo")[0], POLICY)
    assert is_in_doubt(replay("ooof")[0], POLICY)
