"""Incidents as people declare, update and resolve them. What monitors do about incidents stands in `failures`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from statuspage.incidents import details, failures, fallbacks
from statuspage.incidents.details import NOTHING, Details, find_service
from statuspage.incidents.fallbacks import NewFallback
from statuspage.incidents.notices import (
    MAX_TEXT,
    MAX_TITLE,
    MONITOR,
    after_change,
    check_text,
    cover,
    declare,
    enter,
    post,
    revise,
    tell,
)
from statuspage.incidents.publication import Tree, load_tree
from statuspage.incidents.resolution import end
from statuspage.incidents.rules import (
    UNRESOLVED,
    Impact,
    IncidentStatus,
    NoticeKind,
    Origin,
    ServiceStatus,
    impact_of,
    may_follow,
)
from statuspage.incidents.snapshot import Text
from statuspage.incidents.tables import Notice, Update
from statuspage.kernel import config
from statuspage.kernel.errors import Conflict, Invalid, NotFound
from statuspage.kernel.events import take_turns

DEFAULTS = config.Incidents()


@dataclass(frozen=True, slots=True)
class NewIncident:
    """An incident as a person declares it. `services` maps codes to the status to publish."""

    name: Text
    text: Text
    services: Mapping[str, ServiceStatus]
    status: IncidentStatus = IncidentStatus.INVESTIGATING
    impact: Impact | None = None  # None: what the services' statuses amount to
    began_at: datetime | None = None  # None: now
    ended_at: datetime | None = None  # it is entered afterwards: it was over then, and nobody is alerted
    details: Details = NOTHING
    fallbacks: Sequence[NewFallback] = ()


def open_incident(
    session: Session,
    new: NewIncident,
    *,
    by: str,
    now: datetime,
    deliver: bool = True,
    policy: config.Incidents = DEFAULTS,
) -> Notice:
    """Publish an incident. Raises Invalid for an unknown service or a missing text."""
    take_turns(session)
    _check_new(new, now)
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
        began_at=new.began_at or now,
        detected_at=now,
        created_at=now,
        updated_at=now,
        published_at=now,
        monitoring_at=now if new.status is IncidentStatus.MONITORING else None,
        backfilled=new.ended_at is not None,
    )
    session.add(notice)
    session.flush()
    if new.ended_at is not None:
        return _backfill(session, tree, notice, new, by=by, now=now)
    declare(session, tree, notice, new.services, now)
    details.apply(session, tree, notice, new.details, by=by, now=now)
    for fallback in new.fallbacks:
        fallbacks.add(session, notice, fallback, by=by, now=now, policy=policy)
    changes = after_change(session, tree, notice, now)
    update = post(session, notice, new.text, changes, by=by, now=now, deliver=deliver)
    tell(session, "incident.created", notice, update, now)
    failures.settle(session, now=now)
    return notice


def _check_new(new: NewIncident, now: datetime) -> None:
    check_text("title", new.name, MAX_TITLE)
    check_text("text", new.text, MAX_TEXT)
    if new.status not in UNRESOLVED:
        raise Invalid("status", "a new incident is investigating, identified or monitoring, not over")
    if (new.began_at or now) > now:
        raise Invalid("began_at", "lies in the future; planned work is scheduled as maintenance")
    if new.ended_at is None:
        return
    if new.began_at is None or not new.began_at < new.ended_at <= now:
        raise Invalid("ended_at", "must come after the beginning, which is needed too, and not after now")
    if new.fallbacks:
        raise Invalid("fallback", "paper cannot be permitted for what is over")


def _backfill(
    session: Session, tree: Tree, notice: Notice, new: NewIncident, *, by: str, now: datetime
) -> Notice:
    """It is over already: its services stay as they are, and the record says how badly they were affected."""
    for code, status in new.services.items():
        row = cover(session, notice, find_service(tree, code).id, status, now)
        row.status = ServiceStatus.OPERATIONAL
    details.apply(session, tree, notice, new.details, by=by, now=now)
    enter(notice, IncidentStatus.RESOLVED, now)
    notice.ended_at = new.ended_at
    update = post(session, notice, new.text, [], by=by, now=now, deliver=False)
    tell(session, "incident.resolved", notice, update, now)
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
    more: Details = NOTHING,
    declared: Sequence[NewFallback] = (),
    seen: str | None = None,
    deliver: bool = True,
    policy: config.Incidents = DEFAULTS,
) -> Notice:
    """Say something new. From now on a person has taken the incident over: monitors do not resolve it.

    `seen` is the newest update that the author had read. Raises NotFound, Invalid, or Conflict when the
    incident cannot go to `status`, or when another person has spoken since.
    """
    take_turns(session)
    if status is IncidentStatus.RESOLVED:
        return resolve(session, incident_id, text, by=by, now=now, seen=seen)
    check_text("text", text, MAX_TEXT)
    notice = get(session, incident_id)
    _check_may_speak(session, notice, status, seen)
    is_first = notice.published_at is None
    reopened = status in UNRESOLVED and notice.resolved_at is not None
    tree = load_tree(session)
    enter(notice, status or IncidentStatus(notice.status), now)
    notice.taken_over = True
    notice.published_at = notice.published_at or now
    notice.next_update_at = None  # kept: this is that word
    declare(session, tree, notice, services or {}, now)
    details.apply(session, tree, notice, more, by=by, now=now)
    for fallback in declared:
        fallbacks.add(session, notice, fallback, by=by, now=now, policy=policy)
    changes = after_change(session, tree, notice, now)
    update = post(session, notice, text, changes, by=by, now=now, deliver=deliver)
    kind = "incident.created" if is_first else "incident.reopened" if reopened else "incident.updated"
    tell(session, kind, notice, update, now)
    failures.settle(session, now=now)
    return notice


def _check_may_speak(
    session: Session, notice: Notice, status: IncidentStatus | None, seen: str | None
) -> None:
    if notice.merged_into_id is not None:
        raise part_of_another(notice)
    if status and not may_follow(IncidentStatus(notice.status), status):
        raise _cannot_follow(notice, status)
    if notice.resolved_at and not status:
        raise Conflict(
            "incident %(incident)s is resolved; give a status to reopen it or to add a postmortem",
            incident=notice.id,
        )
    check_seen(session, notice, seen)


def part_of_another(notice: Notice) -> Conflict:
    """What is said of an incident that was merged."""
    return Conflict(
        "incident %(incident)s is part of %(other)s; update that one",
        incident=notice.id,
        other=notice.merged_into_id,
    )


def _cannot_follow(notice: Notice, status: IncidentStatus) -> Conflict:
    if notice.status == IncidentStatus.POSTMORTEM:
        return Conflict("incident %(incident)s is resolved and has its postmortem", incident=notice.id)
    if status is IncidentStatus.POSTMORTEM:
        return Conflict(
            "incident %(incident)s is not resolved yet; its postmortem comes afterwards", incident=notice.id
        )
    return Conflict(
        "incident %(incident)s is resolved; it can be reopened as investigating, or given its postmortem",
        incident=notice.id,
    )


def check_seen(session: Session, notice: Notice, seen: str | None) -> None:
    """Raise Conflict when a person has spoken since the update `seen`: two must not talk past each other."""
    if seen is None:
        return
    read = session.scalar(select(Update.position).where(Update.id == seen, Update.notice_id == notice.id))
    newer = select(Update).where(Update.notice_id == notice.id, Update.author != MONITOR)
    if read is not None:
        newer = newer.where(Update.position > read)
    if (other := session.scalars(newer.order_by(Update.position.desc()).limit(1)).first()) is not None:
        raise Conflict(
            "%(author)s has posted an update since you looked; read it before you publish",
            author=other.author,
        )


def publish(session: Session, incident_id: str, *, by: str, now: datetime) -> Notice:
    """Publish a draft that monitors opened, as it is."""
    take_turns(session)
    notice = get(session, incident_id)
    if notice.published_at is not None:
        raise Conflict("incident %(incident)s is published already", incident=incident_id)
    notice.published_at = now
    tree = load_tree(session)
    changes = after_change(session, tree, notice, now)
    update = session.scalars(
        select(Update).where(Update.notice_id == notice.id).order_by(Update.position.desc())
    ).first()
    if update is None:
        raise Conflict("incident %(incident)s says nothing yet; post an update instead", incident=incident_id)
    update.affected = [*update.affected, *(change.as_affected() for change in changes)]
    revise(session, notice, {"published_at": None}, by=by, now=now)
    tell(session, "incident.created", notice, update, now, by=by)
    failures.settle(session, now=now)
    return notice


def resolve(
    session: Session, incident_id: str, text: Text, *, by: str, now: datetime, seen: str | None = None
) -> Notice:
    """Say that it is over. What people declared ends; what is still measured as failing stays published."""
    take_turns(session)
    check_text("text", text, MAX_TEXT)
    notice = get(session, incident_id)
    if notice.resolved_at is not None:
        raise Conflict("incident %(incident)s is resolved already", incident=incident_id)
    check_seen(session, notice, seen)
    notice.taken_over = True
    notice.published_at = notice.published_at or now
    end(session, load_tree(session), notice, text, by=by, now=now)
    failures.settle(session, now=now)
    return notice


def get(session: Session, incident_id: str) -> Notice:
    """The incident; drafts too. Raises NotFound."""
    notice = session.get(Notice, incident_id)
    if notice is None or notice.kind != NoticeKind.INCIDENT:
        raise NotFound("there is no incident %(incident)s", incident=incident_id)
    return notice


def listed(session: Session, *, unresolved: bool = False, limit: int = 50) -> Sequence[Notice]:
    """Incidents, drafts too, newest first."""
    query = (
        select(Notice).where(Notice.kind == NoticeKind.INCIDENT).order_by(Notice.began_at.desc()).limit(limit)
    )
    return session.scalars(query.where(Notice.resolved_at.is_(None)) if unresolved else query).all()
