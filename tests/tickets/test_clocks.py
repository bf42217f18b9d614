"""Working time: days off, pauses, changes of the clocks; and that a target is met exactly when it has passed."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import holidays
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


@pytest.mark.parametrize("year", range(2019, 2051))
def test_the_holidays_are_those_of_the_package(year: int) -> None:
    """It would cost the program 18 MB to ask it at run time. 2018 had a day off of its own, 12 November."""
    assert polish_holidays(year) == set(holidays.country_holidays("PL", years=year))


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
