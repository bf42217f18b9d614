"""The time before the days of the snapshot, accounted by month. It cannot change, so it is worked out once a day."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from statuspage.incidents.snapshot import Day
from statuspage.incidents.tables import Interval, Service
from statuspage.incidents.uptime import NO_WORK, Span, Work, account_day, touching


@dataclass(frozen=True, slots=True)
class _Kept:
    key: object
    stretches: tuple[Day, ...]


class Earlier:
    """Accounts what is older than `until`, and keeps it; not for two threads at once."""

    def __init__(self, zone: tzinfo, *, counts_maintenance: bool) -> None:
        self._zone = zone
        self._counts_maintenance = counts_maintenance
        self._kept: dict[str, _Kept] = {}

    def account(
        self,
        session: Session,
        services: Sequence[Service],
        recent: Mapping[str, Sequence[Span]],
        windows: Mapping[str, Work],
        *,
        until: datetime,
    ) -> dict[str, tuple[Day, ...]]:
        """By service, a `Day` for each month or part of one that was measured before `until`, oldest first.

        `recent` are the intervals that reach beyond `until`: one that began before is the only thing here that
        may still change.
        """
        planned = {s.id: windows.get(s.id, NO_WORK).before(until) for s in services}
        keys: dict[str, object] = {
            s.id: (
                until,
                s.first_measured_at,
                planned[s.id],
                tuple(span for span in recent.get(s.id, ()) if span.began_at < until),
            )
            for s in services
        }
        stale = [s for s in services if s.id not in self._kept or self._kept[s.id].key != keys[s.id]]
        old_enough = [s.id for s in stale if s.first_measured_at is not None and s.first_measured_at < until]
        spans = _spans_before(session, old_enough, until)
        for service in stale:
            found = tuple(self._stretches(service, spans.get(service.id, ()), planned[service.id], until))
            self._kept[service.id] = _Kept(keys[service.id], found)
        return {s.id: self._kept[s.id].stretches for s in services}

    def _stretches(
        self, service: Service, spans: Sequence[Span], work: Work, until: datetime
    ) -> Iterator[Day]:
        first = service.first_measured_at
        if first is None or first >= until:
            return
        begins = [span.began_at for span in spans]
        for month, begin, end in _months(first, until, self._zone):
            # They do not overlap, so that only the one before the month's first can reach into it.
            reach = slice(max(0, bisect_left(begins, begin) - 1), bisect_left(begins, end))
            yield account_day(
                month,
                begin,
                end,
                spans[reach],
                touching(work.excused, begin, end),
                late=touching(work.late, begin, end),
                first_measured_at=first,
                now=until,
                counts_maintenance=self._counts_maintenance,
            )


def _months(first: datetime, until: datetime, zone: tzinfo) -> Iterator[tuple[date, datetime, datetime]]:
    """Each local month from that of `first` on: its first day, when it begins and ends."""
    month = first.astimezone(zone).date().replace(day=1)
    begin = datetime.combine(month, time(), zone).astimezone(UTC)
    while begin < until:
        following = (month + timedelta(days=31)).replace(day=1)
        end = datetime.combine(following, time(), zone).astimezone(UTC)
        yield month, begin, end
        month, begin = following, end


def _spans_before(
    session: Session, service_ids: Sequence[str], until: datetime
) -> Mapping[str, Sequence[Span]]:
    """Oldest first."""
    found: dict[str, list[Span]] = defaultdict(list)
    if not service_ids:
        return found
    rows = session.execute(
        select(Interval.service_id, Interval.status, Interval.began_at, Interval.ended_at)
        .where(Interval.service_id.in_(service_ids), Interval.began_at < until)
        .order_by(Interval.began_at)
    )
    for service_id, status, began_at, ended_at in rows:
        found[service_id].append(Span(status, began_at, ended_at))
    return found
