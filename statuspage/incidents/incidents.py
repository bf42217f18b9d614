"""Incidents: opened by monitors or by hand, joined, updated, resolved. Every verb tells what it did by an event."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from statuspage.incidents import texts
from statuspage.incidents.publication import Change, Tree, load_tree, republish
from statuspage.incidents.rules import (
    OUTAGES,
    UNRESOLVED,
    Candidate,
    Failure,
    Impact,
    IncidentStatus,
    NoticeKind,
    Origin,
    Policy,
    ServiceStatus,
    impact_of,
    incident_to_join,
    may_follow,
    worst,
)
from statuspage.incidents.snapshot import Text
from statuspage.incidents.tables import Interval, Notice, NoticeService, Revision, Service, Update
from statuspage.kernel import config
from statuspage.kernel.errors import Conflict, Invalid, NotFound
from statuspage.kernel.events import emit

MONITOR = "monitor"
MAX_TITLE = 200
MAX_TEXT = 20_000


@dataclass(frozen=True, slots=True)
class NewIncident:
    """An incident as a person declares it. `services` maps codes to the status to publish."""

    name: Text
    text: Text
    services: Mapping[str, ServiceStatus]
    status: IncidentStatus = IncidentStatus.INVESTIGATING
    impact: Impact | None = None  # None: what the services' statuses amount to
    began_at: datetime | None = None  # None: now


# --- by hand ---


def open_incident(session: Session, new: NewIncident, *, by: str, now: datetime) -> Notice:
    """Publish an incident. Raises Invalid for an unknown service or a missing text."""
    check_text("title", new.name, MAX_TITLE)
    check_text("text", new.text, MAX_TEXT)
    if new.status not in UNRESOLVED:
        raise Invalid("status", f"a new incident is {', '.join(sorted(UNRESOLVED))}; not {new.status}")
    began_at = new.began_at or now
    if began_at > now:
        raise Invalid("began_at", "lies in the future; planned work is scheduled as maintenance")
    tree = load_tree(session)
    notice = Notice(
        kind=NoticeKind.INCIDENT,
        name_pl=new.name.pl,
        name_en=new.name.en,
        status=new.status,
        impact=new.impact or impact_of(new.services.values()),
        impact_override=new.impact is not None,
        origin=Origin.PERSON,
        taken_over=True,
        began_at=began_at,
        detected_at=now,
        created_at=now,
        updated_at=now,
        published_at=now,
        monitoring_at=now if new.status is IncidentStatus.MONITORING else None,
    )
    session.add(notice)
    session.flush()
    _declare(session, tree, notice, new.services, now)
    changes = _after_change(session, tree, notice, now)
    update = post(session, notice, new.text, changes, by=by, now=now)
    tell(session, "incident.created", notice, update, now)
    return notice


def post_update(
    session: Session,
    incident_id: str,
    text: Text,
    *,
    by: str,
    now: datetime,
    status: IncidentStatus | None = None,
    services: Mapping[str, ServiceStatus] | None = None,
) -> Notice:
    """Say something new. From now on a person has taken the incident over: monitors do not resolve it.

    Raises NotFound, Invalid, or Conflict when the incident cannot go to `status`.
    """
    if status is IncidentStatus.RESOLVED:
        return resolve(session, incident_id, text, by=by, now=now)
    check_text("text", text, MAX_TEXT)
    notice = get(session, incident_id)
    if status and not may_follow(IncidentStatus(notice.status), status):
        raise Conflict(f"incident {incident_id} is {notice.status} and cannot become {status}")
    if notice.resolved_at and not status:
        raise Conflict(f"incident {incident_id} is resolved; give --status to reopen it or to add a postmortem")
    is_first = notice.published_at is None
    reopened = status in UNRESOLVED and notice.resolved_at is not None
    tree = load_tree(session)
    _enter(notice, status or IncidentStatus(notice.status), now)
    notice.taken_over = True
    notice.published_at = notice.published_at or now
    _declare(session, tree, notice, services or {}, now)
    changes = _after_change(session, tree, notice, now)
    update = post(session, notice, text, changes, by=by, now=now)
    kind = "incident.created" if is_first else "incident.reopened" if reopened else "incident.updated"
    tell(session, kind, notice, update, now)
    return notice


def publish(session: Session, incident_id: str, *, by: str, now: datetime) -> Notice:
    """Publish a draft that monitors opened, as it is."""
    notice = get(session, incident_id)
    if notice.published_at is not None:
        raise Conflict(f"incident {incident_id} is published already")
    notice.published_at = now
    tree = load_tree(session)
    changes = _after_change(session, tree, notice, now)
    update = session.scalars(
        select(Update).where(Update.notice_id == notice.id).order_by(Update.position.desc())
    ).first()
    if update is None:
        raise Conflict(f"incident {incident_id} says nothing yet; post an update instead")
    update.affected = [*update.affected, *(change.as_affected() for change in changes)]
    _revise(session, notice, {"published_at": None}, by=by, now=now)
    tell(session, "incident.created", notice, update, now)
    return notice


def resolve(session: Session, incident_id: str, text: Text, *, by: str, now: datetime) -> Notice:
    """Say that it is over. What people declared ends; what is still measured as failing stays published."""
    check_text("text", text, MAX_TEXT)
    notice = get(session, incident_id)
    if notice.resolved_at is not None:
        raise Conflict(f"incident {incident_id} is resolved already")
    notice.taken_over = True
    notice.published_at = notice.published_at or now
    return _resolve(session, load_tree(session), notice, text, by=by, now=now)


def get(session: Session, incident_id: str) -> Notice:
    """The incident; drafts too. Raises NotFound."""
    notice = session.get(Notice, incident_id)
    if notice is None or notice.kind != NoticeKind.INCIDENT:
        raise NotFound(f"there is no incident {incident_id}")
    return notice


def listed(session: Session, *, unresolved: bool = False, limit: int = 50) -> Sequence[Notice]:
    """Incidents, drafts too, newest first."""
    query = select(Notice).where(Notice.kind == NoticeKind.INCIDENT).order_by(Notice.began_at.desc()).limit(limit)
    return session.scalars(query.where(Notice.resolved_at.is_(None)) if unresolved else query).all()


def check_text(field: str, text: Text, limit: int) -> None:
    """Both languages are needed. Raises Invalid naming the one that is missing or too long."""
    for language in ("pl", "en"):
        if not text[language].strip():
            raise Invalid(f"{field}_{language}", "is empty; readers need it in both languages")
        if len(text[language]) > limit:
            raise Invalid(f"{field}_{language}", f"has {len(text[language])} characters; at most {limit} are allowed")


# --- by monitors ---


def join_or_open(
    session: Session, service: Service, *, since: datetime, cause: str, fault: str, now: datetime, policy: config.Incidents
) -> Notice:
    """The incident that a newly failing service belongs to: joined, reopened, or a new one."""
    tree = load_tree(session)
    failure = Failure(service.id, since, fault, tree.ancestors(service.id), tree.descendants(service.id))
    found = incident_to_join(
        failure,
        _candidates(session, tree, now - policy.reopen_window),
        join_window=policy.join_window,
        reopen_window=policy.reopen_window,
    )
    if found is None:
        return _open_measured(session, tree, service, since=since, cause=cause, fault=fault, now=now)
    notice = session.get_one(Notice, found.id)
    _absorb(session, tree, notice, failure, now)
    return _join(session, tree, notice, service, failure, cause=cause, now=now)


def _candidates(session: Session, tree: Tree, ended_after: datetime) -> list[Candidate]:
    """Open incidents, oldest first; then those that ended by themselves after `ended_after`, newest first."""
    notices = session.scalars(
        select(Notice)
        .where(
            Notice.kind == NoticeKind.INCIDENT,
            or_(
                Notice.resolved_at.is_(None),
                (Notice.resolved_at >= ended_after)
                & Notice.taken_over.is_(False)
                & (Notice.origin == Origin.MONITOR)
                & Notice.merged_into_id.is_(None),
            ),
        )
        .order_by(Notice.began_at, Notice.id)
    ).all()
    affected = _affected_ids(session, [notice.id for notice in notices])
    open_ones = [n for n in notices if n.resolved_at is None]
    ended = sorted((n for n in notices if n.resolved_at), key=lambda n: n.resolved_at or n.created_at, reverse=True)
    return [
        Candidate(
            id=notice.id,
            affected=affected.get(notice.id, frozenset()),
            ancestors=tree.ancestors(notice.root_service_id) if notice.root_service_id else frozenset(),
            fault=notice.fault,
            last_failure_at=notice.last_failure_at or notice.began_at,
            ended_at=notice.resolved_at,
        )
        for notice in [*open_ones, *ended]
    ]


def _affected_ids(session: Session, notice_ids: Sequence[str]) -> dict[str, frozenset[str]]:
    rows = session.execute(
        select(NoticeService.notice_id, NoticeService.service_id).where(NoticeService.notice_id.in_(notice_ids))
    )
    found: dict[str, set[str]] = {}
    for notice_id, service_id in rows:
        found.setdefault(notice_id, set()).add(service_id)
    return {notice_id: frozenset(ids) for notice_id, ids in found.items()}


def _open_measured(
    session: Session, tree: Tree, service: Service, *, since: datetime, cause: str, fault: str, now: datetime
) -> Notice:
    is_draft = service.policy == Policy.DRAFT
    status = ServiceStatus(service.measured or ServiceStatus.MAJOR_OUTAGE)
    name = texts.title([name_of(service)], status)
    notice = Notice(
        kind=NoticeKind.INCIDENT,
        name_pl=name.pl,
        name_en=name.en,
        status=IncidentStatus.INVESTIGATING,
        impact=impact_of([status]),
        origin=Origin.MONITOR,
        root_service_id=service.id,
        cause=cause,
        fault=fault,
        began_at=since,
        detected_at=now,
        created_at=now,
        updated_at=now,
        published_at=None if is_draft else now,
        last_failure_at=since,
    )
    session.add(notice)
    session.flush()
    _cover(session, notice, service.id, status, now)
    changes = _after_change(session, tree, notice, now)
    impacted = [name_of(tree.services[row.service_id]) for row in _rows(session, notice) if row.by_parent]
    text = texts.detected([name_of(service)], cause, impacted)
    update = post(session, notice, text, changes, by=MONITOR, now=now)
    tell(session, "incident.created", notice, update, now)
    return notice


def _join(
    session: Session, tree: Tree, notice: Notice, service: Service, failure: Failure, *, cause: str, now: datetime
) -> Notice:
    """Take a failing service into an incident; a failing parent becomes its root, whichever failed first."""
    status = ServiceStatus(service.measured or ServiceStatus.MAJOR_OUTAGE)
    known = {row.service_id: row for row in _rows(session, notice)}
    was_failing = service.id in known and not known[service.id].by_parent
    reopened = notice.resolved_at is not None
    if reopened:
        _enter(notice, IncidentStatus.INVESTIGATING, now)
    notice.last_failure_at = max(failure.since, notice.last_failure_at or failure.since)
    if failure.since < notice.began_at and notice.origin == Origin.MONITOR:
        _revise(session, notice, {"began_at": notice.began_at.isoformat()}, by=MONITOR, now=now)
        notice.began_at = failure.since
    _cover(session, notice, service.id, status, now)
    if notice.root_service_id is None or notice.root_service_id in failure.descendants:
        notice.root_service_id = service.id
        notice.cause = cause
    changes = _after_change(session, tree, notice, now)
    _retitle(session, tree, notice, now)
    by_parent = failure.ancestors & known.keys()
    if reopened:
        text, kind, deliver = texts.relapsed(name_of(service), cause), "incident.reopened", True
    elif was_failing or by_parent:
        text, kind, deliver = texts.changed(name_of(service), status, cause), "incident.updated", False
        if not changes:
            return notice
    else:
        text, kind, deliver = texts.joined(name_of(service), cause), "incident.updated", True
    update = post(session, notice, text, changes, by=MONITOR, now=now, deliver=deliver)
    tell(session, kind, notice, update, now)
    return notice


def _absorb(session: Session, tree: Tree, into: Notice, failure: Failure, now: datetime) -> None:
    """Merge other untouched incidents of the failing service's descendants into `into`: one cause, one incident."""
    for candidate in _candidates(session, tree, now):
        if candidate.id == into.id or candidate.ended_at is not None or not candidate.affected <= failure.descendants:
            continue
        notice = session.get_one(Notice, candidate.id)
        if notice.taken_over or notice.origin != Origin.MONITOR:
            continue
        for row in _rows(session, notice):
            _cover(session, into, row.service_id, ServiceStatus(row.status), now)
        notice.merged_into_id = into.id
        _enter(notice, IncidentStatus.RESOLVED, now)
        notice.ended_at = now
        update = post(session, notice, texts.merged(Text(into.name_pl, into.name_en)), [], by=MONITOR, now=now, deliver=False)
        tell(session, "incident.updated", notice, update, now)


def settle(session: Session, *, now: datetime) -> None:
    """After a recovery: publish it, and resolve what has ended by itself and nobody has taken over."""
    tree = load_tree(session)
    changes = republish(session, tree, now=now)
    for notice in listed(session, unresolved=True):
        rows = _sync(session, tree, notice, now)
        over = rows and all(row.status == ServiceStatus.OPERATIONAL for row in rows)
        if notice.taken_over or notice.origin != Origin.MONITOR:
            continue
        affected = {row.service_id for row in rows}
        own = [change for change in changes if change.service.id in affected]
        if over and not _is_failing(tree, affected):
            names = [name_of(tree.services[row.service_id]) for row in rows if not row.by_parent and row.service_id in tree.services]
            _resolve(session, tree, notice, texts.recovered(names), by=MONITOR, now=now, changes=own)


def _is_failing(tree: Tree, ids: set[str]) -> bool:
    """Whether any is still measured as down: a draft is not over while what is published is held back."""
    return any(tree.services[id].measured in OUTAGES for id in ids if id in tree.services)


# --- the pieces ---


def name_of(service: Service) -> Text:
    """A service's name in both languages."""
    return Text(service.name_pl, service.name_en)


def _resolve(
    session: Session,
    tree: Tree,
    notice: Notice,
    text: Text,
    *,
    by: str,
    now: datetime,
    changes: Sequence[Change] = (),
) -> Notice:
    _enter(notice, IncidentStatus.RESOLVED, now)
    rows = _rows(session, notice)
    for row in rows:
        row.status = ServiceStatus.OPERATIONAL
        row.declared = False
    notice.ended_at = _last_end(session, [row.service_id for row in rows], notice.began_at) or now
    changes = [*changes, *republish(session, tree, now=now)]
    update = post(session, notice, text, changes, by=by, now=now)
    tell(session, "incident.resolved", notice, update, now)
    return notice


def _last_end(session: Session, service_ids: Sequence[str], began_at: datetime) -> datetime | None:
    return session.scalar(
        select(func.max(Interval.ended_at)).where(Interval.service_id.in_(service_ids), Interval.ended_at > began_at)
    )


def _enter(notice: Notice, status: IncidentStatus, now: datetime) -> None:
    notice.status = status
    if status is IncidentStatus.MONITORING:
        notice.monitoring_at = now
    if status in UNRESOLVED:
        notice.resolved_at = notice.ended_at = None
    elif notice.resolved_at is None:
        notice.resolved_at = now


def _declare(session: Session, tree: Tree, notice: Notice, services: Mapping[str, ServiceStatus], now: datetime) -> None:
    by_code = {service.code: service for service in tree.services.values()}
    for code, status in services.items():
        if code not in by_code:
            raise Invalid("service", f'there is no service "{code}"; there are {", ".join(sorted(by_code))}')
        row = _cover(session, notice, by_code[code].id, status, now)
        row.status = status
        row.declared = True


def _cover(session: Session, notice: Notice, service_id: str, status: ServiceStatus, now: datetime) -> NoticeService:
    """The service as failing itself in this notice."""
    row = session.get(NoticeService, (notice.id, service_id))
    if row is None:
        row = NoticeService(notice_id=notice.id, service_id=service_id, status=status, worst_status=status, added_at=now)
        session.add(row)
    row.by_parent = False
    row.worst_status = worst((ServiceStatus(row.worst_status), status))
    session.flush()
    return row


def _rows(session: Session, notice: Notice) -> Sequence[NoticeService]:
    return session.scalars(
        select(NoticeService)
        .join(Service)
        .where(NoticeService.notice_id == notice.id)
        .order_by(NoticeService.by_parent, Service.position)
    ).all()


def _after_change(session: Session, tree: Tree, notice: Notice, now: datetime) -> list[Change]:
    """Publish anew, take in the impacted children, and let the notice say how bad it is."""
    changes = republish(session, tree, now=now)
    rows = _sync(session, tree, notice, now)
    if not notice.impact_override:
        notice.impact = impact_of(ServiceStatus(row.worst_status) for row in rows)
    return changes


def _sync(session: Session, tree: Tree, notice: Notice, now: datetime) -> Sequence[NoticeService]:
    """Bring a notice's services in line with what is published; children impacted by them come in."""
    rows = {row.service_id: row for row in _rows(session, notice)}
    for failing in [id for id, row in rows.items() if not row.by_parent]:
        for child in tree.descendants(failing) - rows.keys():
            status = ServiceStatus(tree.services[child].status)
            if status not in (ServiceStatus.OPERATIONAL, ServiceStatus.UNDER_MAINTENANCE):
                rows[child] = NoticeService(
                    notice_id=notice.id, service_id=child, status=status, worst_status=status, by_parent=True, added_at=now
                )
                session.add(rows[child])
                notice.updated_at = now
    for id, row in rows.items():
        if row.declared or id not in tree.services:
            continue
        status = ServiceStatus(tree.services[id].status)
        if notice.published_at is not None and row.status != status and status is not ServiceStatus.UNDER_MAINTENANCE:
            row.status = status
            row.worst_status = worst((ServiceStatus(row.worst_status), status))
            notice.updated_at = now
        elif notice.published_at is None and tree.services[id].measured == ServiceStatus.OPERATIONAL:
            row.status = ServiceStatus.OPERATIONAL
    session.flush()
    return _rows(session, notice)


def _retitle(session: Session, tree: Tree, notice: Notice, now: datetime) -> None:
    """Name the root causes while no person has written; the old title is kept as a revision."""
    if notice.taken_over or notice.origin != Origin.MONITOR:
        return
    failing = [row for row in _rows(session, notice) if not row.by_parent and row.service_id in tree.services]
    ids = {row.service_id for row in failing}
    roots = [row for row in failing if not tree.ancestors(row.service_id) & ids]
    name = texts.title(
        [name_of(tree.services[row.service_id]) for row in roots], worst(ServiceStatus(row.worst_status) for row in roots)
    )
    if name.pl != notice.name_pl:
        _revise(session, notice, {"name_pl": notice.name_pl, "name_en": notice.name_en}, by=MONITOR, now=now)
        notice.name_pl, notice.name_en = name.pl, name.en


def _revise(session: Session, notice: Notice, before: dict[str, Any], *, by: str, now: datetime) -> None:
    session.add(Revision(notice_id=notice.id, at=now, author=by, before=before))


def post(
    session: Session, notice: Notice, text: Text, changes: Sequence[Change], *, by: str, now: datetime, deliver: bool = True
) -> Update:
    """Add an update to a notice."""
    position = session.scalar(select(func.count()).where(Update.notice_id == notice.id)) or 0
    update = Update(
        notice_id=notice.id,
        status=notice.status,
        text_pl=text.pl,
        text_en=text.en,
        author=by,
        created_at=now,
        updated_at=now,
        display_at=now,
        position=position,
        affected=[change.as_affected() for change in changes],
        deliver=deliver,
    )
    notice.updated_at = now
    notice.version = (notice.version or 0) + 1
    session.add(update)
    session.flush()
    return update


def tell(session: Session, kind: str, notice: Notice, update: Update, now: datetime) -> None:
    """Emit what became public. Drafts emit nothing."""
    if notice.published_at is None:
        return
    rows = _rows(session, notice)
    codes = session.scalars(
        select(Service.code).where(Service.id.in_([row.service_id for row in rows])).order_by(Service.position)
    )
    emit(
        session,
        kind,
        notice.id,
        {
            "notice_id": notice.id,
            "update_id": update.id,
            "status": notice.status,
            "impact": notice.impact,
            "name_pl": notice.name_pl,
            "name_en": notice.name_en,
            "services": [row.service_id for row in rows],
            "codes": list(codes),
            "deliver": update.deliver,
        },
        at=now,
    )
