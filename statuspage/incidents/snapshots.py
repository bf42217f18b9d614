"""Builds the PageSnapshot from the database. Keeps what cannot change, so that a build costs little."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import cast

from sqlalchemy import String, case, func, select, type_coerce
from sqlalchemy.orm import Session

from statuspage.incidents import news
from statuspage.incidents.publication import Tree, load_edges
from statuspage.incidents.rules import Impact, MaintenanceStatus, NoticeKind, ServiceStatus, impact_of, worst
from statuspage.incidents.snapshot import (
    AffectedView,
    ChangeView,
    Day,
    GroupView,
    IntervalView,
    NoticeView,
    PageSnapshot,
    RevisionView,
    ServiceView,
    Text,
    UpdateView,
)
from statuspage.incidents.tables import Group, Interval, Notice, NoticeService, Revision, Service, Update
from statuspage.incidents.uptime import UNKNOWN, Span, Totals, account_day, local_days
from statuspage.kernel.events import last_seq

DAYS = 90
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class _History:
    days: tuple[Day, ...]
    uptime: float | None
    intervals: tuple[IntervalView, ...]


@dataclass(frozen=True, slots=True)
class _Past:
    """What is over of one service: kept from build to build while `key` stays the same."""

    key: object
    spans: tuple[Span, ...]  # those that reach into today
    days: tuple[Day, ...]  # all but today
    totals: Totals  # of those days
    intervals: tuple[IntervalView, ...]


class SnapshotBuilder:
    """Builds snapshots one after another; not for two threads at once."""

    def __init__(self, zone: tzinfo, *, counts_maintenance: bool) -> None:
        self._zone = zone
        self._counts_maintenance = counts_maintenance
        self._notices: dict[str, NoticeView] = {}
        self._named: list[tuple[str, str, str, str, int]] = []
        self._past: dict[str, _Past] = {}
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
            id: (days[-1], service.first_measured_at, marks.get(id), tuple(windows.get(id, ())))
            for id, service in tree.services.items()
        }
        stale = [id for id, key in keys.items() if id not in self._past or self._past[id].key != key]
        rows = _intervals_by_service(session, stale, since)
        for id in stale:
            self._past[id] = self._account_past(
                tree.services[id], keys[id], days, rows.get(id, ()), windows.get(id, ()), now
            )
        return {
            id: self._with_today(
                self._past[id],
                self._account(service, days[-1], self._past[id].spans, windows.get(id, ()), now),
            )
            for id, service in tree.services.items()
        }

    @staticmethod
    def _with_today(past: _Past, today: Day) -> _History:
        return _History((*past.days, today), past.totals.plus(today).uptime, past.intervals)

    def _account_past(
        self,
        service: Service,
        key: object,
        days: Sequence[date],
        intervals: Sequence[IntervalView],
        windows: Sequence[Span],
        now: datetime,
    ) -> _Past:
        spans = tuple(Span(row.status, row.began_at, row.ended_at) for row in intervals)
        shown = tuple(row for row in reversed(intervals) if row.status != UNKNOWN)
        over = tuple(self._account(service, day, spans, windows, now) for day in days[:-1])
        begin, _ = self._bounds(days[-1])
        recent = tuple(span for span in spans if span.ended_at is None or span.ended_at > begin)
        return _Past(key, recent, over, Totals.of(over), shown)

    def _account(
        self, service: Service, day: date, spans: Sequence[Span], windows: Sequence[Span], now: datetime
    ) -> Day:
        begin, end = self._bounds(day)
        return account_day(
            day,
            begin,
            end,
            [
                span
                for span in spans
                if span.began_at < end and (span.ended_at is None or span.ended_at > begin)
            ],
            [
                window
                for window in windows
                if window.began_at < end and (window.ended_at is None or window.ended_at > begin)
            ],
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
        for view in _notice_views(session, stale):
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
    )


def _indicator(groups: Iterable[GroupView]) -> Impact:
    return impact_of(group.status for group in groups)


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


def _windows_by_service(maintenances: Iterable[NoticeView]) -> dict[str, list[Span]]:
    """When each service was really under maintenance."""
    found: dict[str, list[Span]] = defaultdict(list)
    for notice in maintenances:
        if notice.status in (MaintenanceStatus.SCHEDULED, MaintenanceStatus.CANCELLED):
            continue
        span = Span(ServiceStatus.UNDER_MAINTENANCE, notice.began_at, notice.resolved_at)
        for affected in notice.affected:
            found[affected.id].append(span)
    return found


def _notice_views(session: Session, ids: Sequence[str]) -> list[NoticeView]:
    if not ids:
        return []
    affected: dict[str, list[AffectedView]] = defaultdict(list)
    for row, service in session.execute(
        select(NoticeService, Service)
        .join(Service)
        .where(NoticeService.notice_id.in_(ids))
        .order_by(NoticeService.by_parent, Service.position)
    ):
        affected[row.notice_id].append(_affected_view(row, service))
    updates: dict[str, list[UpdateView]] = defaultdict(list)
    for update in session.scalars(
        select(Update).where(Update.notice_id.in_(ids)).order_by(Update.position.desc())
    ):
        updates[update.notice_id].append(_update_view(update))
    revisions: dict[str, list[RevisionView]] = defaultdict(list)
    for revision in session.scalars(
        select(Revision).where(Revision.notice_id.in_(ids)).order_by(Revision.id.desc())
    ):
        before = tuple((key, str(value)) for key, value in revision.before.items())
        revisions[revision.notice_id].append(RevisionView(revision.at, revision.update_id, before))
    return [
        _notice_view(notice, affected[notice.id], updates[notice.id], revisions[notice.id])
        for notice in session.scalars(select(Notice).where(Notice.id.in_(ids)))
        if notice.published_at is not None
    ]


def _affected_view(row: NoticeService, service: Service) -> AffectedView:
    return AffectedView(
        id=service.id,
        code=service.code,
        name=Text(service.name_pl, service.name_en),
        status=ServiceStatus(row.status),
        worst_status=ServiceStatus(row.worst_status),
        by_parent=row.by_parent,
    )


def _update_view(update: Update) -> UpdateView:
    return UpdateView(
        id=update.id,
        notice_id=update.notice_id,
        status=update.status,
        text=Text(update.text_pl, update.text_en),
        author=update.author,
        created_at=update.created_at,
        updated_at=update.updated_at,
        display_at=update.display_at,
        affected=tuple(
            ChangeView(c["id"], c["code"], Text(c["name_pl"], c["name_en"]), c["old_status"], c["new_status"])
            for c in update.affected
        ),
        deliver=update.deliver,
    )


def _notice_view(
    notice: Notice,
    affected: Sequence[AffectedView],
    updates: Sequence[UpdateView],
    revisions: Sequence[RevisionView],
) -> NoticeView:
    return NoticeView(
        id=notice.id,
        kind=notice.kind,
        name=Text(notice.name_pl, notice.name_en),
        status=notice.status,
        impact=Impact(notice.impact),
        began_at=notice.began_at,
        detected_at=notice.detected_at,
        created_at=notice.created_at,
        updated_at=notice.updated_at,
        published_at=notice.published_at or notice.created_at,
        monitoring_at=notice.monitoring_at,
        resolved_at=notice.resolved_at,
        next_update_at=notice.next_update_at,
        scheduled_for=notice.scheduled_for,
        scheduled_until=notice.scheduled_until,
        version=notice.version,
        affected=tuple(affected),
        updates=tuple(updates),
        revisions=tuple(revisions),
        ended_at=notice.ended_at,
    )
