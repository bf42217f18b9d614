"""Builds the PageSnapshot from the database. Keeps what cannot change, so that a build costs little."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import cast

from sqlalchemy import String, case, func, select, type_coerce
from sqlalchemy.orm import Session

from statuspage.incidents import news
from statuspage.incidents.months import Earlier
from statuspage.incidents.notice_views import notice_views
from statuspage.incidents.publication import Tree, load_edges
from statuspage.incidents.rules import Impact, MaintenanceStatus, NoticeKind, ServiceStatus, impact_of, worst
from statuspage.incidents.snapshot import (
    Day,
    GroupView,
    IntervalView,
    Month,
    NoticeView,
    PageSnapshot,
    ServiceView,
    Text,
)
from statuspage.incidents.tables import Group, Interval, Notice, Service
from statuspage.incidents.uptime import (
    NO_WORK,
    UNKNOWN,
    Span,
    Totals,
    Work,
    account_day,
    by_month,
    local_days,
    touching,
    with_day,
    work_done,
)
from statuspage.kernel.events import last_seq

DAYS = 90
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class _History:
    days: tuple[Day, ...]
    uptime: float | None
    intervals: tuple[IntervalView, ...]
    months: tuple[Month, ...]


@dataclass(frozen=True, slots=True)
class _Past:
    """What is over of one service: kept from build to build while `key` stays the same."""

    key: object
    spans: tuple[Span, ...]  # those that reach into today
    days: tuple[Day, ...]  # all but today
    totals: Totals  # of those days
    intervals: tuple[IntervalView, ...]
    months: tuple[Month, ...]  # without today


class SnapshotBuilder:
    """Builds snapshots one after another; not for two threads at once."""

    def __init__(self, zone: tzinfo, *, counts_maintenance: bool) -> None:
        self._zone = zone
        self._counts_maintenance = counts_maintenance
        self._notices: dict[str, NoticeView] = {}
        self._named: list[tuple[str, str, str, str, int]] = []
        self._past: dict[str, _Past] = {}
        self._earlier = Earlier(zone, counts_maintenance=counts_maintenance)
        self._known_bounds: dict[date, tuple[datetime, datetime]] = {}

    def build(self, session: Session, *, now: datetime) -> PageSnapshot:
        """Everything that is public at this moment."""
        tree = _read_tree(session)
        notices = self._load_notices(session, tree)
        incidents = [n for n in notices if n.kind == NoticeKind.INCIDENT]
        maintenances = [n for n in notices if n.kind == NoticeKind.MAINTENANCE]
        histories = self._histories(session, tree, maintenances, now)
        groups = self._groups(session, tree, histories)
        moments = [g.updated_at for g in groups] + [s.updated_at for g in groups for s in g.services]
        return PageSnapshot(
            seq=last_seq(session),
            built_at=now,
            updated_at=max([*moments, *(n.updated_at for n in notices)], default=_EPOCH),
            indicator=_indicator(groups),
            groups=groups,
            incidents=tuple(sorted(incidents, key=lambda n: (n.began_at, n.id), reverse=True)),
            maintenances=tuple(
                sorted(maintenances, key=lambda n: (n.scheduled_for or n.created_at, n.id), reverse=True)
            ),
            merged=_merged(session),
            news=news.published(session, now=now),
        )

    # --- services ---

    def _groups(
        self, session: Session, tree: Tree, histories: Mapping[str, _History]
    ) -> tuple[GroupView, ...]:
        codes = {id: service.code for id, service in tree.services.items()}
        members: dict[str, list[ServiceView]] = defaultdict(list)
        for service in tree.services.values():
            members[service.group_id].append(_service_view(service, tree, codes, histories[service.id]))
        rows = session.scalars(select(Group).where(Group.archived_at.is_(None)).order_by(Group.position))
        return tuple(
            GroupView(
                id=group.id,
                code=group.code,
                name=Text(group.name_pl, group.name_en),
                position=group.position,
                created_at=group.created_at,
                updated_at=group.updated_at,
                status=worst(service.status for service in members[group.id]),
                services=tuple(members[group.id]),
            )
            for group in rows
        )

    def _histories(
        self, session: Session, tree: Tree, maintenances: Sequence[NoticeView], now: datetime
    ) -> dict[str, _History]:
        days = local_days(now, DAYS, self._zone)
        since, _ = self._bounds(days[0])
        windows = _windows_by_service(maintenances)
        marks = _marks(session, since)
        keys = {
            id: (days[-1], service.first_measured_at, marks.get(id), windows.get(id, NO_WORK))
            for id, service in tree.services.items()
        }
        stale = [id for id, key in keys.items() if id not in self._past or self._past[id].key != key]
        rows = _intervals_by_service(session, stale, since)
        spans = {
            id: tuple(Span(row.status, row.began_at, row.ended_at) for row in rows.get(id, ()))
            for id in stale
        }
        earlier = self._earlier.account(
            session, [tree.services[id] for id in stale], spans, windows, until=since
        )
        for id in stale:
            over = tuple(
                self._account(tree.services[id], day, spans[id], windows.get(id, NO_WORK), now)
                for day in days[:-1]
            )
            self._past[id] = self._past_of(keys[id], days[-1], rows.get(id, ()), spans[id], over, earlier[id])
        return {
            id: self._with_today(
                self._past[id],
                self._account(service, days[-1], self._past[id].spans, windows.get(id, NO_WORK), now),
            )
            for id, service in tree.services.items()
        }

    @staticmethod
    def _with_today(past: _Past, today: Day) -> _History:
        return _History(
            (*past.days, today),
            past.totals.plus(today).uptime,
            past.intervals,
            with_day(past.months, today),
        )

    def _past_of(
        self,
        key: object,
        today: date,
        intervals: Sequence[IntervalView],
        spans: Sequence[Span],
        over: tuple[Day, ...],
        earlier: tuple[Day, ...],
    ) -> _Past:
        begin, _ = self._bounds(today)
        return _Past(
            key,
            tuple(span for span in spans if span.ended_at is None or span.ended_at > begin),
            over,
            Totals.of(over),
            tuple(row for row in reversed(intervals) if row.status != UNKNOWN),
            by_month((*earlier, *over)),
        )

    def _account(
        self, service: Service, day: date, spans: Sequence[Span], windows: Work, now: datetime
    ) -> Day:
        begin, end = self._bounds(day)
        return account_day(
            day,
            begin,
            end,
            touching(spans, begin, end),
            touching(windows.excused, begin, end),
            late=touching(windows.late, begin, end),
            first_measured_at=service.first_measured_at,
            now=now,
            counts_maintenance=self._counts_maintenance,
        )

    def _bounds(self, day: date) -> tuple[datetime, datetime]:
        """A local day's begin and end: 23, 24 or 25 hours apart."""
        if day in self._known_bounds:
            return self._known_bounds[day]
        begin = datetime.combine(day, time(), self._zone)
        end = datetime.combine(day + timedelta(days=1), time(), self._zone)
        self._known_bounds[day] = begin.astimezone(UTC), end.astimezone(UTC)
        return self._known_bounds[day]

    # --- notices ---

    def _load_notices(self, session: Session, tree: Tree) -> list[NoticeView]:
        """All published notices; only those that changed since the last build are read anew."""
        named = [(s.id, s.name_pl, s.name_en, s.code, s.position) for s in tree.services.values()]
        if named != self._named:  # notices name services, in the page's order
            self._named = named
            self._notices.clear()
        public = select(Notice.id, Notice.updated_at, Notice.version).where(
            Notice.published_at.is_not(None), Notice.merged_into_id.is_(None)
        )
        current = {id: (updated_at, version) for id, updated_at, version in session.execute(public)}
        known = {view.id: (view.updated_at, view.version) for view in self._notices.values()}
        stale = [id for id, state in current.items() if known.get(id) != state]
        for view in notice_views(session, stale):
            self._notices[view.id] = view
        self._notices = {id: view for id, view in self._notices.items() if id in current}
        return list(self._notices.values())


def _read_tree(session: Session) -> Tree:
    """As `load_tree`, of plain rows: they have the same attributes and cost a third of what entities do."""
    rows = session.execute(
        select(*Service.__table__.columns).where(Service.archived_at.is_(None)).order_by(Service.position)
    )
    return Tree(cast("Sequence[Service]", rows.all()), load_edges(session))


def _service_view(service: Service, tree: Tree, codes: Mapping[str, str], history: _History) -> ServiceView:
    return ServiceView(
        id=service.id,
        code=service.code,
        name=Text(service.name_pl, service.name_en),
        description=Text(service.description_pl, service.description_en),
        functions=tuple(service.functions),
        channels=tuple(service.channels),
        group_id=service.group_id,
        position=service.position,
        created_at=service.created_at,
        updated_at=service.updated_at,
        status=ServiceStatus(service.status),
        status_since=service.status_since,
        unmeasured_since=service.unknown_since,
        first_measured_at=service.first_measured_at,
        parents=tuple(sorted(codes[id] for id in tree.parents[service.id])),
        children=tuple(sorted(codes[id] for id in tree.children[service.id])),
        days=history.days,
        uptime=history.uptime,
        intervals=history.intervals,
        months=history.months,
    )


def _indicator(groups: Iterable[GroupView]) -> Impact:
    return impact_of(group.status for group in groups)


def _merged(session: Session) -> dict[str, str]:
    """Incident → the one that it is part of: an address that was published once leads somewhere for good."""
    rows = session.execute(
        select(Notice.id, Notice.merged_into_id).where(
            Notice.merged_into_id.is_not(None), Notice.published_at.is_not(None)
        )
    )
    return dict(rows.all())  # type: ignore[arg-type]


def _marks(session: Session, since: datetime) -> dict[str, object]:
    """By service, what changes whenever its intervals do. One that is still running may get worse in place."""
    running = case((Interval.ended_at.is_(None), Interval.status + " " + Interval.cause))
    rows = session.execute(
        select(
            Interval.service_id,
            func.count(),
            func.max(Interval.id),
            type_coerce(func.min(Interval.began_at), String),  # only compared, so that parsing is spared
            type_coerce(func.max(Interval.ended_at), String),
            func.max(running),
        )
        .where((Interval.ended_at.is_(None)) | (Interval.ended_at > since))
        .group_by(Interval.service_id)
    )
    return {service_id: tuple(mark) for service_id, *mark in rows}


def _intervals_by_service(
    session: Session, service_ids: Sequence[str], since: datetime
) -> dict[str, list[IntervalView]]:
    """Oldest first."""
    found: dict[str, list[IntervalView]] = defaultdict(list)
    columns = (Interval.status, Interval.cause, Interval.began_at, Interval.detected_at, Interval.ended_at)
    for service_id, status, cause, began_at, detected_at, ended_at in session.execute(
        select(Interval.service_id, *columns)
        .where(
            Interval.service_id.in_(service_ids),
            (Interval.ended_at.is_(None)) | (Interval.ended_at > since),
        )
        .order_by(Interval.began_at)
    ):
        found[service_id].append(IntervalView(status, cause, began_at, detected_at, ended_at))
    return found


def _windows_by_service(maintenances: Iterable[NoticeView]) -> dict[str, Work]:
    """When each service was really under maintenance, announced in time or not."""
    found: dict[str, list[Work]] = defaultdict(list)
    for notice in maintenances:
        if notice.status in (MaintenanceStatus.SCHEDULED, MaintenanceStatus.CANCELLED):
            continue
        for affected in notice.affected:
            ended_at = affected.cancelled_at or notice.resolved_at
            if ended_at is None or ended_at > notice.began_at:
                found[affected.id].append(
                    work_done(notice.began_at, ended_at, notice.window, notice.announcement)
                )
    return {id: Work.joined(works) for id, works in found.items()}
