"""Working time: days off, pauses, changes of the clocks; and that a target is met exactly when it has passed."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickets.clocks import Hours, Pause, due_at, elapsed, polish_holidays

WARSAW = ZoneInfo("Europe/Warsaw")
OFFICE = Hours(WARSAW, time(7, 15), time(15, 15))
ALWAYS = Hours(WARSAW)
HOUR = timedelta(hours=1)


def at(text: str) -> datetime:
    """Warsaw's wall clock."""
    return datetime.fromisoformat(text).replace(tzinfo=WARSAW).astimezone(UTC)


# As the package `holidays` 0.109 gives them, the earliest and the latest Easter of these decades included.
FREE = """
2019 01-01 01-06 04-21 04-22 05-01 05-03 06-09 06-20 08-15 11-01 11-11 12-25 12-26
2024 01-01 01-06 03-31 04-01 05-01 05-03 05-19 05-30 08-15 11-01 11-11 12-25 12-26
2025 01-01 01-06 04-20 04-21 05-01 05-03 06-08 06-19 08-15 11-01 11-11 12-24 12-25 12-26
2026 01-01 01-06 04-05 04-06 05-01 05-03 05-24 06-04 08-15 11-01 11-11 12-24 12-25 12-26
2027 01-01 01-06 03-28 03-29 05-01 05-03 05-16 05-27 08-15 11-01 11-11 12-24 12-25 12-26
2028 01-01 01-06 04-16 04-17 05-01 05-03 06-04 06-15 08-15 11-01 11-11 12-24 12-25 12-26
2030 01-01 01-06 04-21 04-22 05-01 05-03 06-09 06-20 08-15 11-01 11-11 12-24 12-25 12-26
2035 01-01 01-06 03-25 03-26 05-01 05-03 05-13 05-24 08-15 11-01 11-11 12-24 12-25 12-26
2038 01-01 01-06 04-25 04-26 05-01 05-03 06-13 06-24 08-15 11-01 11-11 12-24 12-25 12-26
"""


@pytest.mark.parametrize("line", FREE.strip().splitlines(), ids=lambda line: line[:4])
def test_the_days_free_from_work_are_those_of_the_act(line: str) -> None:
    year, *days = line.split()
    assert polish_holidays(int(year)) == {date.fromisoformat(f"{year}-{day}") for day in days}


@pytest.mark.parametrize(
    ("begin", "target", "due"),
    [
        ("2026-11-24T08:00", 4 * HOUR, "2026-11-24T12:00"),
        ("2026-11-24T14:15", 4 * HOUR, "2026-11-25T10:15"),
        ("2026-11-24T07:15", 8 * HOUR, "2026-11-24T15:15"),  # not the next morning
        ("2026-11-24T03:00", HOUR, "2026-11-24T08:15"),
        ("2026-11-24T20:00", HOUR, "2026-11-25T08:15"),
        ("2026-11-27T15:00", HOUR, "2026-11-30T08:00"),  # over a weekend
        ("2026-11-10T15:00", HOUR, "2026-11-12T08:00"),  # over Independence Day
        ("2026-12-23T14:15", 2 * HOUR, "2026-12-28T08:15"),  # Christmas, Eve included, and a weekend
        ("2026-03-27T15:00", HOUR, "2026-03-30T08:00"),  # over the change of the clocks
        ("2026-11-24T07:15", 20 * 8 * HOUR, "2026-12-21T15:15"),  # twenty working days
    ],
)
def test_a_target_is_due_in_working_time(begin: str, target: timedelta, due: str) -> None:
    assert due_at(OFFICE, at(begin), target) == at(due)


def test_around_the_clock_four_hours_are_four_hours() -> None:
    night = at("2026-10-25T00:30")  # the clocks go back in it
    assert due_at(ALWAYS, night, 4 * HOUR) == night + 4 * HOUR


def test_days_off_of_ones_own_count_like_holidays() -> None:
    office = Hours(WARSAW, time(7, 15), time(15, 15), frozenset({date(2026, 11, 25)}))
    assert due_at(office, at("2026-11-24T15:00"), HOUR) == at("2026-11-26T08:00")


def test_the_clock_stands_still_while_the_customer_is_asked() -> None:
    begin, asked, answered = at("2026-11-24T08:00"), at("2026-11-24T10:00"), at("2026-11-26T09:00")
    assert due_at(OFFICE, begin, 4 * HOUR, [Pause(asked, None)]) is None
    assert due_at(OFFICE, begin, 4 * HOUR, [Pause(asked, answered)]) == at("2026-11-26T11:00")
    assert elapsed(OFFICE, begin, at("2026-11-26T10:00"), [Pause(asked, answered)]) == 3 * HOUR


def test_what_was_due_before_the_pause_stays_due() -> None:
    begin = at("2026-11-24T08:00")
    late = Pause(at("2026-11-24T13:00"), None)
    assert due_at(OFFICE, begin, 4 * HOUR, [late]) == at("2026-11-24T12:00")


instants = st.integers(1_704_067_200, 1_861_920_000).map(
    lambda s: datetime.fromtimestamp(s, UTC)
)  # 2024–2028
targets = st.timedeltas(timedelta(minutes=1), timedelta(days=20))


@st.composite
def pauses(draw: st.DrawFn) -> list[Pause]:
    """Some, overlapping ones too, all over."""
    begins = draw(st.lists(instants, max_size=4))
    return [Pause(begin, begin + draw(st.timedeltas(timedelta(), timedelta(days=9)))) for begin in begins]


@given(instants, targets, pauses(), st.sampled_from([OFFICE, ALWAYS]))
def test_exactly_the_target_has_passed_when_it_is_due(
    begin: datetime, target: timedelta, held: list[Pause], hours: Hours
) -> None:
    due = due_at(hours, begin, target, held)
    assert due is not None
    assert elapsed(hours, begin, due, held) == target
    assert elapsed(hours, begin, due - timedelta(seconds=1), held) < target


@given(instants, targets, pauses(), st.sampled_from([OFFICE, ALWAYS]))
def test_a_pause_never_makes_anything_due_sooner(
    begin: datetime, target: timedelta, held: list[Pause], hours: Hours
) -> None:
    paused, unpaused = due_at(hours, begin, target, held), due_at(hours, begin, target)
    assert paused is not None
    assert unpaused is not None
    assert paused >= unpaused
