"""The clocks of service levels: how much of a team's working time has passed, and when a target is due. Pure.

A clock stands still while a request waits for its customer. Working time is measured on the team's own wall clock, so
that a change of the clocks at night costs nobody an hour.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from dateutil.easter import easter

_HORIZON = timedelta(days=3660)  # a target that ten years do not reach is a mistake in the settings


@dataclass(frozen=True, slots=True)
class Hours:
    """When a team works. `begins` None: around the clock, every day."""

    zone: ZoneInfo
    begins: time | None = None
    ends: time | None = None
    days_off: frozenset[date] = frozenset()  # beside Saturdays, Sundays and public holidays

    def is_working_day(self, day: date) -> bool:
        """Whether somebody works on this day of the zone's calendar."""
        if self.begins is None:
            return True
        return day.weekday() < 5 and day not in polish_holidays(day.year) and day not in self.days_off

    @property
    def day_length(self) -> timedelta:
        """The working time of one working day."""
        if self.begins is None or self.ends is None:
            return timedelta(days=1)
        return datetime.combine(date.min, self.ends) - datetime.combine(date.min, self.begins)

    def spans(self, since: datetime) -> Iterator[tuple[datetime, datetime]]:
        """Working time from an instant on, as spans of UTC, soonest first, for ten years."""
        until = since + _HORIZON
        if self.begins is None or self.ends is None:
            yield since, until
            return
        day = since.astimezone(self.zone).date()
        while (begin := self._at(day, self.begins)) < until:
            end = self._at(day, self.ends)
            if end > since and self.is_working_day(day):
                yield max(begin, since), end
            day += timedelta(days=1)

    def _at(self, day: date, at: time) -> datetime:
        return datetime.combine(day, at, self.zone).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Pause:
    """The clock stood still. `end` None: it still does."""

    begin: datetime
    end: datetime | None


def elapsed(hours: Hours, begin: datetime, end: datetime, pauses: Sequence[Pause] = ()) -> timedelta:
    """The working time between two instants that no pause took away."""
    passed = timedelta()
    for span_begin, span_end in hours.spans(begin):
        if span_begin >= end:
            break
        for running_begin, running_end in _running(span_begin, min(span_end, end), pauses):
            passed += running_end - running_begin
    return passed


def due_at(hours: Hours, begin: datetime, target: timedelta, pauses: Sequence[Pause] = ()) -> datetime | None:
    """When so much working time will have passed; None while the clock stands still before that.

    It is the first instant at which the target has passed: the end of a day rather than the next one's beginning.
    """
    left = target
    if left <= timedelta():
        return begin
    for span_begin, span_end in hours.spans(begin):
        for running_begin, running_end in _running(span_begin, span_end, pauses):
            if running_end - running_begin >= left:
                return running_begin + left
            left -= running_end - running_begin
    return None


def _running(begin: datetime, end: datetime, pauses: Sequence[Pause]) -> Iterator[tuple[datetime, datetime]]:
    """The parts of a span in which no pause was."""
    at = begin
    for pause in sorted(pauses, key=lambda pause: pause.begin):
        if pause.end is not None and pause.end <= at:
            continue
        if pause.begin >= end:
            break
        if pause.begin > at:
            yield at, pause.begin
        if pause.end is None:
            return
        at = max(at, pause.end)
    if at < end:
        yield at, end


@cache
def polish_holidays(year: int) -> frozenset[date]:
    """Days free from work by the Polish act of 18 January 1951; Christmas Eve since 2025, Epiphany since 2011."""
    fixed = [(1, 1), (5, 1), (5, 3), (8, 15), (11, 1), (11, 11), (12, 25), (12, 26)]
    if year >= 2011:
        fixed.append((1, 6))
    if year >= 2025:
        fixed.append((12, 24))
    sunday = easter(year)
    after_easter = (0, 1, 49, 60)  # Easter Sunday and Monday, Pentecost, Corpus Christi
    return frozenset(date(year, month, day) for month, day in fixed) | {
        sunday + timedelta(days=days) for days in after_easter
    }
