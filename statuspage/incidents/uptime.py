"""Uptime from intervals, with its accounting declared. Pure: times in, shares out.

Accounting: partial and full outages count as downtime, degradation does not; time that was not measured
counts neither way; maintenance that was announced in time is left out unless the page is set to count it,
and what was not announced in time counts as downtime, whatever was measured.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from functools import lru_cache
from itertools import groupby

from statuspage.incidents.announcement import Announcement, Window
from statuspage.incidents.rules import OUTAGES, SEVERITY, ServiceStatus
from statuspage.incidents.snapshot import Day, Month

UNKNOWN = "unknown"
_PUNCTUAL = timedelta(minutes=1)  # nobody begins and completes to the second


@dataclass(frozen=True, slots=True)
class Span:
    """A half-open stretch of time and what was the case; `ended_at` None: still going on."""

    status: str
    began_at: datetime
    ended_at: datetime | None

    def overlap_s(self, begin: datetime, end: datetime) -> float:
        """Seconds of it between `begin` and `end`; never negative, also when a clock stepped back."""
        upto = end if self.ended_at is None else min(self.ended_at, end)
        return max(0.0, (upto - max(self.began_at, begin)).total_seconds())


def account_day(
    day: date,
    begin: datetime,
    end: datetime,
    spans: Sequence[Span],
    windows: Sequence[Span],
    *,
    late: Sequence[Span] = (),
    first_measured_at: datetime | None,
    now: datetime,
    counts_maintenance: bool,
) -> Day:
    """One day of one service. `begin` and `end` bound the local day; `windows` are its maintenance windows.

    `late` are those that were not announced in time; none of them overlaps another or one of `windows`.
    """
    end = min(end, now)
    if first_measured_at is None or first_measured_at >= end:
        return Day(day, None, None, 0, 0, 0, 0)
    begin = max(begin, first_measured_at)
    if begin < end and not (spans or windows or late):
        return _good_day(day, end - begin)
    seconds, seen = _tally(spans, () if counts_maintenance else windows, late, begin, end)
    maintenance = excused = sum(window.overlap_s(begin, end) for window in windows)
    if counts_maintenance:
        excused = 0.0
    maintenance += sum(window.overlap_s(begin, end) for window in late)
    measured = (end - begin).total_seconds() - seconds["unknown"]
    accountable = measured - excused
    if maintenance:
        seen.append(ServiceStatus.UNDER_MAINTENANCE)
    status_of_day = max(seen, key=SEVERITY.__getitem__, default=ServiceStatus.OPERATIONAL)
    return Day(
        day=day,
        status=status_of_day if measured > 0 else None,
        uptime=_share(accountable, seconds["down"]),
        down_s=round(seconds["down"]),
        degraded_s=round(seconds["degraded"]),
        maintenance_s=round(maintenance),
        unknown_s=round(seconds["unknown"]),
        accountable_s=round(max(0.0, accountable)),
    )


@lru_cache(maxsize=512)
def _good_day(day: date, measured: timedelta) -> Day:
    """As most days of most services are: one object for all of them."""
    return Day(day, ServiceStatus.OPERATIONAL, 1.0, 0, 0, 0, 0, round(measured.total_seconds()))


def _tally(
    spans: Iterable[Span], excused: Sequence[Span], late: Sequence[Span], begin: datetime, end: datetime
) -> tuple[dict[str, float], list[ServiceStatus]]:
    """Seconds down, degraded and unknown, and the statuses that count. All of `late` that was measured is down."""
    seconds = dict.fromkeys(("down", "degraded", "unknown"), 0.0)
    unseen_late_s = sum(window.overlap_s(begin, end) for window in late)
    seen: list[ServiceStatus] = []
    for span in spans:
        overlap = span.overlap_s(begin, end)
        if overlap <= 0:
            continue
        in_late = _covered_s(span, late, begin, end)
        if span.status == UNKNOWN:
            seconds["unknown"] += overlap
            unseen_late_s -= in_late
            continue
        planned = _covered_s(span, excused, begin, end)
        status = ServiceStatus(span.status)
        if overlap > planned:
            seen.append(status)
        if status in OUTAGES:
            seconds["down"] += overlap - planned
            unseen_late_s -= in_late
        else:
            seconds["degraded"] += overlap - planned - in_late
    seconds["down"] += max(0.0, unseen_late_s)
    return seconds, seen


def _covered_s(span: Span, windows: Sequence[Span], begin: datetime, end: datetime) -> float:
    upto = end if span.ended_at is None else min(span.ended_at, end)
    start = max(span.began_at, begin)
    return sum(window.overlap_s(start, upto) for window in windows) if upto > start else 0.0


@dataclass(frozen=True, slots=True)
class Work:
    """When a service was under maintenance: what was announced in time, and what was not."""

    excused: tuple[Span, ...] = ()
    late: tuple[Span, ...] = ()

    def before(self, until: datetime) -> "Work":
        """As far as it began before an instant."""
        return Work(
            tuple(span for span in self.excused if span.began_at < until),
            tuple(span for span in self.late if span.began_at < until),
        )

    @classmethod
    def joined(cls, works: Iterable["Work"]) -> "Work":
        """Several at once, disjoint: what one of them excuses, the others do not count."""
        works = list(works)
        if len(works) == 1:
            return works[0]
        excused = _union(span for work in works for span in work.excused)
        late = _union(span for work in works for span in work.late)
        for span in excused:
            late = [rest for one in late for rest in _without(one, span)]
        return cls(tuple(excused), tuple(late))


NO_WORK = Work()


def touching(spans: Sequence[Span], begin: datetime, end: datetime) -> list[Span]:
    """Those that reach into the time between."""
    if not spans:
        return []
    return [
        span for span in spans if span.began_at < end and (span.ended_at is None or span.ended_at > begin)
    ]


def work_done(
    began_at: datetime, ended_at: datetime | None, planned: Window, announcement: Announcement | None
) -> Work:
    """Work that was done from `began_at` on, in its two parts. Without an announcement all of it is excused."""
    whole = Span(ServiceStatus.UNDER_MAINTENANCE, began_at, ended_at)
    if announcement is None:
        return Work((whole,))
    excused = announcement.excused
    if excused is None:
        return Work(late=(whole,))
    begin, end = excused.begins_at, excused.ends_at
    if begin == planned.begins_at:
        begin -= _PUNCTUAL
    if end == planned.ends_at:
        end += _PUNCTUAL
    outside = _without(whole, Span(whole.status, begin, end))
    inside = Span(whole.status, max(began_at, begin), end if ended_at is None else min(ended_at, end))
    is_inside = inside.ended_at is not None and inside.began_at < inside.ended_at
    return Work((inside,) if is_inside else (), tuple(outside))


def _union(spans: Iterable[Span]) -> list[Span]:
    found: list[Span] = []
    for span in sorted(spans, key=lambda one: one.began_at):
        last = found[-1] if found else None
        if last is None or (last.ended_at is not None and last.ended_at < span.began_at):
            found.append(span)
        elif last.ended_at is not None:
            end = None if span.ended_at is None else max(last.ended_at, span.ended_at)
            found[-1] = Span(last.status, last.began_at, end)
    return found


def _without(span: Span, hole: Span) -> list[Span]:
    """What is left of a span."""
    rest = []
    if span.began_at < hole.began_at:
        end = hole.began_at if span.ended_at is None else min(span.ended_at, hole.began_at)
        rest.append(Span(span.status, span.began_at, end))
    if hole.ended_at is not None and (span.ended_at is None or span.ended_at > hole.ended_at):
        rest.append(Span(span.status, max(span.began_at, hole.ended_at), span.ended_at))
    return rest


def _share(accountable_s: float, down_s: float) -> float | None:
    if accountable_s <= 0:
        return None
    return max(0.0, min(1.0, 1 - down_s / accountable_s))


@dataclass(frozen=True, slots=True)
class Totals:
    """What several days come to, so that a day can be added without adding up the others again."""

    accountable_s: int
    down_s: int

    @classmethod
    def of(cls, days: Sequence[Day]) -> "Totals":
        """Their sums."""
        return cls(sum([day.accountable_s for day in days]), sum([day.down_s for day in days]))

    def plus(self, day: Day) -> "Totals":
        """With one more day."""
        return Totals(self.accountable_s + day.accountable_s, self.down_s + day.down_s)

    @property
    def uptime(self) -> float | None:
        """Each day weighted by the time it accounts for; None if nothing was measured."""
        return _share(self.accountable_s, self.down_s)


def mean_uptime(days: Sequence[Day]) -> float | None:
    """The uptime over several days."""
    return Totals.of(days).uptime


def by_month(days: Iterable[Day]) -> tuple[Month, ...]:
    """What days, or longer stretches that lie within a month, come to. `days` oldest first, months newest first.

    A month in which nothing was measured is left out.
    """
    found = []
    for (year, month), some in groupby(days, key=lambda day: (day.day.year, day.day.month)):
        total = _month(year, month, tuple(some))
        if total.accountable_s or total.maintenance_s or total.unknown_s:
            found.append(total)
    return tuple(reversed(found))


def by_year(months: Iterable[Month]) -> tuple[tuple[int, Month], ...]:
    """The same of years; each as the Month of number 0 that all of its months come to."""
    return tuple((year, _month(year, 0, tuple(some))) for year, some in groupby(months, key=lambda m: m.year))


def with_day(months: tuple[Month, ...], day: Day) -> tuple[Month, ...]:
    """One more day, the newest. Once for each service in each snapshot, so that nothing is added up twice."""
    if not (day.accountable_s or day.maintenance_s or day.unknown_s):
        return months
    at, newest = day.day, months[0] if months else None
    if newest is None or newest.month != at.month or newest.year != at.year:
        return (_month(at.year, at.month, (day,)), *months)
    accountable_s, down_s = newest.accountable_s + day.accountable_s, newest.down_s + day.down_s
    grown = Month(
        newest.year,
        newest.month,
        _share(accountable_s, down_s),
        accountable_s,
        down_s,
        newest.maintenance_s + day.maintenance_s,
        newest.unknown_s + day.unknown_s,
    )
    return (grown, *months[1:])


def _month(year: int, month: int, parts: Sequence[Day | Month]) -> Month:
    accountable_s = sum([part.accountable_s for part in parts])
    down_s = sum([part.down_s for part in parts])
    return Month(
        year,
        month,
        _share(accountable_s, down_s),
        accountable_s,
        down_s,
        sum([part.maintenance_s for part in parts]),
        sum([part.unknown_s for part in parts]),
    )


def local_days(now: datetime, count: int, zone: tzinfo) -> list[date]:
    """The last `count` local dates, oldest first, today included."""
    today = now.astimezone(zone).date()
    return [today - timedelta(days=back) for back in range(count - 1, -1, -1)]
