"""Incidents as monitors open, join, reopen and end them, until a person takes over."""

from datetime import datetime

from sqlalchemy import or_, select, true
from sqlalchemy.orm import Session

from statuspage.incidents import texts
from statuspage.incidents.notices import (
    MONITOR,
    after_change,
    cover,
    enter,
    name_of,
    post,
    revise,
    rows_of,
    sync,
    tell,
)
from statuspage.incidents.publication import Tree, load_tree, republish
from statuspage.incidents.resolution import end
from statuspage.incidents.rules import (
    OUTAGES,
    Candidate,
    Failure,
    IncidentStatus,
    NoticeKind,
    Origin,
    Policy,
    ServiceStatus,
    impact_of,
    incident_to_join,
    worst,
)
from statuspage.incidents.snapshot import Text
from statuspage.incidents.tables import Notice, NoticeService, Service
from statuspage.kernel import config


def join_or_open(
    session: Session,
    service: Service,
    *,
    since: datetime,
    cause: str,
    fault: str,
    now: datetime,
    policy: config.Incidents,
) -> Notice:
    """The incident that a newly failing service belongs to: joined, reopened, or a new one."""
    tree = load_tree(session)
    failure = Failure(service.id, since, fault, tree.ancestors(service.id), tree.descendants(service.id))
    found = incident_to_join(
        failure,
        _candidates(session, tree, now - policy.reopen_window, with_drafts=service.policy == Policy.DRAFT),
        join_window=policy.join_window,
        reopen_window=policy.reopen_window,
    )
    if found is None:
        notice = _open_measured(session, tree, service, since=since, cause=cause, fault=fault, now=now)
        _promise(notice, now, policy)
        _absorb(session, tree, notice, failure, now)
        return notice
    notice = session.get_one(Notice, found.id)
    if notice.resolved_at is not None:
        _promise(notice, now, policy)
    _absorb(session, tree, notice, failure, now)
    return _join(session, tree, notice, service, failure, cause=cause, now=now)


def _promise(notice: Notice, now: datetime, policy: config.Incidents) -> None:
    """Say when a person will have spoken: whoever waits has to know when to look again."""
    if policy.speak_again_within and notice.published_at is not None:
        notice.next_update_at = now + policy.speak_again_within


def _candidates(session: Session, tree: Tree, ended_after: datetime, *, with_drafts: bool) -> list[Candidate]:
    """Open incidents, oldest first; then those that ended by themselves after `ended_after`, newest first.

    Without drafts for a service that is published at once: its outage must not wait for an operator.
    """
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
            true() if with_drafts else Notice.published_at.is_not(None),
        )
        .order_by(Notice.began_at, Notice.id)
    ).all()
    rows: dict[str, list[NoticeService]] = {notice.id: [] for notice in notices}
    for row in session.scalars(select(NoticeService).where(NoticeService.notice_id.in_(rows))):
        rows[row.notice_id].append(row)
    open_ones = [n for n in notices if n.resolved_at is None]
    ended = sorted(
        (n for n in notices if n.resolved_at), key=lambda n: n.resolved_at or n.created_at, reverse=True
    )
    return [
        Candidate(
            id=notice.id,
            affected=frozenset(row.service_id for row in rows[notice.id]),
            failing=frozenset(row.service_id for row in rows[notice.id] if not row.by_parent),
            ancestors=tree.ancestors(notice.root_service_id) if notice.root_service_id else frozenset(),
            fault=notice.fault,
            last_failure_at=notice.last_failure_at or notice.began_at,
            ended_at=notice.resolved_at,
        )
        for notice in [*open_ones, *ended]
    ]


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
    cover(session, notice, service.id, status, now)
    changes = after_change(session, tree, notice, now)
    impacted = [name_of(tree.services[row.service_id]) for row in rows_of(session, notice) if row.by_parent]
    text = texts.detected([name_of(service)], cause, impacted)
    update = post(session, notice, text, changes, by=MONITOR, now=now)
    tell(session, "incident.created", notice, update, now)
    return notice


def _join(
    session: Session,
    tree: Tree,
    notice: Notice,
    service: Service,
    failure: Failure,
    *,
    cause: str,
    now: datetime,
) -> Notice:
    """Take a failing service into an incident; a failing parent becomes its root, whichever failed first."""
    status = ServiceStatus(service.measured or ServiceStatus.MAJOR_OUTAGE)
    known = {row.service_id: row for row in rows_of(session, notice)}
    was_failing = service.id in known and not known[service.id].by_parent
    reopened = notice.resolved_at is not None
    if reopened:
        enter(notice, IncidentStatus.INVESTIGATING, now)
    notice.last_failure_at = max(failure.since, notice.last_failure_at or failure.since)
    if failure.since < notice.began_at and notice.origin == Origin.MONITOR:
        revise(session, notice, {"began_at": notice.began_at.isoformat()}, by=MONITOR, now=now)
        notice.began_at = failure.since
    cover(session, notice, service.id, status, now)
    if notice.root_service_id is None or notice.root_service_id in failure.descendants:
        notice.root_service_id = service.id
        notice.cause = cause
    changes = after_change(session, tree, notice, now)
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
    tell(session, kind, notice, update, now, only_untold=not reopened)
    return notice


def _absorb(session: Session, tree: Tree, into: Notice, failure: Failure, now: datetime) -> None:
    """Merge other untouched incidents of the failing service's descendants into `into`: one cause, one incident."""
    for candidate in _candidates(session, tree, now, with_drafts=True):
        if (
            candidate.id == into.id
            or candidate.ended_at is not None
            or not candidate.affected <= failure.descendants
        ):
            continue
        notice = session.get_one(Notice, candidate.id)
        if notice.taken_over or notice.origin != Origin.MONITOR:
            continue
        for row in rows_of(session, notice):
            cover(session, into, row.service_id, ServiceStatus(row.status), now)
        notice.merged_into_id = into.id
        enter(notice, IncidentStatus.RESOLVED, now)
        notice.ended_at = now
        update = post(
            session,
            notice,
            texts.merged(Text(into.name_pl, into.name_en)),
            [],
            by=MONITOR,
            now=now,
            deliver=False,
        )
        tell(session, "incident.updated", notice, update, now)


def settle(session: Session, *, now: datetime) -> None:
    """After whatever may change what is published: publish it, and resolve what has ended by itself.

    What a person has taken over is brought up to date, and stays open until a person resolves it.
    """
    tree = load_tree(session)
    changes = republish(session, tree, now=now)
    open_incidents = select(Notice).where(Notice.kind == NoticeKind.INCIDENT, Notice.resolved_at.is_(None))
    for notice in session.scalars(open_incidents.order_by(Notice.began_at)).all():
        rows = sync(session, tree, notice, now)
        over = rows and all(
            row.status == ServiceStatus.OPERATIONAL for row in rows if row.service_id in tree.services
        )
        if notice.taken_over or notice.origin != Origin.MONITOR:
            continue
        affected = {row.service_id for row in rows}
        own = [change for change in changes if change.service.id in affected]
        if over and not _is_failing(tree, affected):
            names = [
                name_of(tree.services[row.service_id])
                for row in rows
                if not row.by_parent and row.service_id in tree.services
            ]
            end(session, tree, notice, texts.recovered(names), by=MONITOR, now=now, changes=own)


def _is_failing(tree: Tree, ids: set[str]) -> bool:
    """Whether any is still measured as down: a draft is not over while what is published is held back."""
    return any(tree.services[id].measured in OUTAGES for id in ids if id in tree.services)


def _retitle(session: Session, tree: Tree, notice: Notice, now: datetime) -> None:
    """Name the root causes while no person has written; the old title is kept as a revision."""
    if notice.taken_over or notice.origin != Origin.MONITOR:
        return
    failing = [
        row for row in rows_of(session, notice) if not row.by_parent and row.service_id in tree.services
    ]
    ids = {row.service_id for row in failing}
    roots = [row for row in failing if not tree.ancestors(row.service_id) & ids]
    name = texts.title(
        [name_of(tree.services[row.service_id]) for row in roots],
        worst(ServiceStatus(row.worst_status) for row in roots),
    )
    if name.pl != notice.name_pl:
        revise(session, notice, {"name_pl": notice.name_pl, "name_en": notice.name_en}, by=MONITOR, now=now)
        notice.name_pl, notice.name_en = name.pl, name.en
