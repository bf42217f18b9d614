"""Builds the PageSnapshot from the database. Keeps what cannot change, so that a build costs little."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from statuspage.incidents.publication import Tree, load_tree
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
from statuspage.incidents.uptime import UNKNOWN, Span, account_day, local_days, mean_uptime
from statuspage.kernel.events import last_seq

DAYS = 90
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class _ServiceHistory:
    days: tuple[Day, ...]
    intervals: tuple[IntervalView, ...]


class SnapshotBuilder:
    """Builds snapshots one after another; not for two threads at once."""

    def __init__(self, zone: tzinfo, *, counts_maintenance: bool) -> None:
        self._zone = zone
        self._counts_maintenance = counts_maintenance
        self._notices: dict[str, NoticeView] = {}
        self._past_days: dict[tuple[str, date], tuple[object, Day]] = {}

    def build(self, session: Session, *, now: datetime) -> PageSnapshot:
        """Everything that is public at this moment."""
        tree = load_tree(session)
        notices = self._load_notices(session)
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
            maintenances=tuple(sorted(maintenances, key=lambda n: (n.scheduled_for or n.created_at, n.id), reverse=True)),
        )

    # --- services ---

    def _groups(self, session: Session, tree: Tree, histories: Mapping[str, _ServiceHistory]) -> tuple[GroupView, ...]:
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
    ) -> dict[str, _ServiceHistory]:
        days = local_days(now, DAYS, self._zone)
        bounds = [(day, *self._bounds(day)) for day in days]
        spans = _spans_by_service(session, bounds[0][1])
        windows = _windows_by_service(maintenances)
        histories = {}
        for id, service in tree.services.items():
            rows = spans.get(id, ())
            key = (service.first_measured_at, tuple(rows), tuple(windows.get(id, ())))
            histories[id] = _ServiceHistory(
                days=tuple(self._day(service, bound, rows, windows.get(id, ()), key, now) for bound in bounds),
                intervals=tuple(
                    IntervalView(row.status, cause, row.began_at, detected_at, row.ended_at)
                    for row, cause, detected_at in sorted(rows, key=lambda r: r[0].began_at, reverse=True)
                    if row.status != UNKNOWN
                ),
            )
        return histories

    def _day(
        self,
        service: Service,
        bound: tuple[date, datetime, datetime],
        rows: Sequence[tuple[Span, str, datetime]],
        windows: Sequence[Span],
        key: object,
        now: datetime,
    ) -> Day:
        day, begin, end = bound
        cached = self._past_days.get((service.id, day))
        if cached is not None and cached[0] == key and end <= now:
            return cached[1]
        account = account_day(
            day,
            begin,
            end,
            [span for span, _, _ in rows],
            windows,
            first_measured_at=service.first_measured_at,
            now=now,
            counts_maintenance=self._counts_maintenance,
        )
        if end <= now and all(span.ended_at is not None for span, _, _ in rows):
            self._past_days[service.id, day] = (key, account)
        return account

    def _bounds(self, day: date) -> tuple[datetime, datetime]:
        """A local day's begin and end: 23, 24 or 25 hours apart."""
        begin = datetime.combine(day, time(), self._zone)
        end = datetime.combine(day + timedelta(days=1), time(), self._zone)
        return begin.astimezone(UTC), end.astimezone(UTC)

    # --- notices ---

    def _load_notices(self, session: Session) -> list[NoticeView]:
        """All published notices; only those that changed since the last build are read anew."""
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


def _service_view(service: Service, tree: Tree, codes: Mapping[str, str], history: _ServiceHistory) -> ServiceView:
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
        uptime=mean_uptime(history.days),
        intervals=history.intervals,
    )


def _indicator(groups: Iterable[GroupView]) -> Impact:
    return impact_of(group.status for group in groups)


def _spans_by_service(session: Session, since: datetime) -> dict[str, list[tuple[Span, str, datetime]]]:
    rows = session.execute(
        select(
            Interval.service_id, Interval.status, Interval.began_at, Interval.ended_at, Interval.cause, Interval.detected_at
        )
        .where((Interval.ended_at.is_(None)) | (Interval.ended_at > since))
        .order_by(Interval.began_at)
    )
    found: dict[str, list[tuple[Span, str, datetime]]] = defaultdict(list)
    for service_id, status, began_at, ended_at, cause, detected_at in rows:
        found[service_id].append((Span(status, began_at, ended_at), cause, detected_at))
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
    for update in session.scalars(select(Update).where(Update.notice_id.in_(ids)).order_by(Update.position.desc())):
        updates[update.notice_id].append(_update_view(update))
    revisions: dict[str, list[RevisionView]] = defaultdict(list)
    for revision in session.scalars(select(Revision).where(Revision.notice_id.in_(ids)).order_by(Revision.id.desc())):
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
    notice: Notice, affected: Sequence[AffectedView], updates: Sequence[UpdateView], revisions: Sequence[RevisionView]
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
