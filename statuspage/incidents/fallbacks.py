"""Declarations about the emergency procedure, on an incident, per service and function: a public act of the duty
officer, with a reference that traders quote. It ends when it is withdrawn, at its own end, or with the incident.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from statuspage.incidents import texts
from statuspage.incidents.details import check_function, find_service
from statuspage.incidents.notices import MAX_TEXT, after_change, check_text, name_of, post, tell, touch
from statuspage.incidents.publication import load_tree
from statuspage.incidents.rules import FallbackState, NoticeKind
from statuspage.incidents.snapshot import Text
from statuspage.incidents.tables import Fallback, Notice, Service
from statuspage.kernel import config
from statuspage.kernel.errors import Conflict, Invalid, NotFound
from statuspage.kernel.events import next_number, take_turns

SERIES = "fallback"
MAX_REFERENCE = 60
MAX_PART = 5000


@dataclass(frozen=True, slots=True)
class NewFallback:
    """A declaration. A permission without a reference takes the next one of the series."""

    service: str  # code
    state: FallbackState
    function: str = ""  # "": the whole service
    reference: str = ""
    begins_at: datetime | None = None  # None: now
    ends_at: datetime | None = None  # None: until it is withdrawn or the incident is resolved
    instructions: Text = field(default_factory=lambda: Text("", ""))
    legal_basis: Text = field(default_factory=lambda: Text("", ""))
    enter_within: timedelta | None = None  # None: as the settings say


def declare(
    session: Session,
    incident_id: str,
    new: NewFallback,
    *,
    by: str,
    now: datetime,
    policy: config.Incidents,
    text: Text | None = None,
    deliver: bool = True,
) -> Fallback:
    """Permit paper, or say that it is not needed, and tell it. A person has then taken the incident over.

    Raises NotFound, Invalid naming the field, or Conflict where the incident is over or a part of another.
    """
    take_turns(session)
    notice = _open_incident(session, incident_id)
    fallback = add(session, notice, new, by=by, now=now, policy=policy)
    service = session.get_one(Service, fallback.service_id)
    said = text or texts.fallback(name_of(service), new.state, fallback.reference, new.function)
    _say(session, notice, said, by=by, now=now, deliver=deliver)
    return fallback


def add(
    session: Session, notice: Notice, new: NewFallback, *, by: str, now: datetime, policy: config.Incidents
) -> Fallback:
    """Write a declaration down without a word of its own: an update of the incident says it. Raises Invalid."""
    service = find_service(load_tree(session), new.service)
    check_function(service, new.function, field="function")
    _check(new, now)
    if new.state is FallbackState.WITHDRAWN:
        raise Invalid(
            "fallback", "what was not permitted cannot be withdrawn; withdraw the permission itself"
        )
    for earlier in _in_force(session, notice):
        if (earlier.service_id, earlier.function) == (service.id, new.function):
            earlier.replaced_at = now
    fallback = Fallback(
        notice_id=notice.id,
        service_id=service.id,
        function=new.function,
        state=new.state,
        reference=new.reference.strip() or _next_reference(session, new, policy),
        begins_at=new.begins_at or now,
        ends_at=new.ends_at,
        instructions_pl=new.instructions.pl,
        instructions_en=new.instructions.en,
        legal_basis_pl=new.legal_basis.pl or policy.fallback_legal_basis_pl,
        legal_basis_en=new.legal_basis.en or policy.fallback_legal_basis_en,
        enter_within_s=round((new.enter_within or policy.enter_within).total_seconds()),
        declared_by=by,
        declared_at=now,
    )
    session.add(fallback)
    touch(notice, now)
    session.flush()
    return fallback


def _next_reference(session: Session, new: NewFallback, policy: config.Incidents) -> str:
    """Nobody quotes a number where paper is not needed."""
    if new.state is FallbackState.NOT_NEEDED:
        return ""
    return f"{policy.fallback_prefix}-{next_number(session, SERIES)}"


def _check(new: NewFallback, now: datetime) -> None:
    if new.ends_at is not None and new.ends_at <= (new.begins_at or now):
        raise Invalid("fallback_until", "must come after the beginning")
    if len(new.reference) > MAX_REFERENCE or not new.reference.isprintable():
        raise Invalid(
            "fallback_reference", "one line of at most %(limit)s characters is allowed", limit=MAX_REFERENCE
        )
    for name, text in (("fallback_instructions", new.instructions), ("legal_basis", new.legal_basis)):
        if text.pl or text.en:
            check_text(name, text, MAX_PART)
    if new.enter_within is not None and new.enter_within <= timedelta():
        raise Invalid("enter_within", "must be longer than nothing")


def withdraw(
    session: Session,
    fallback_id: str,
    *,
    by: str,
    now: datetime,
    text: Text | None = None,
    deliver: bool = True,
) -> Fallback:
    """End a permission: paper that was begun is finished, none is begun. Raises NotFound or Conflict."""
    take_turns(session)
    fallback = session.get(Fallback, fallback_id)
    if fallback is None:
        raise NotFound("there is no declaration %(declaration)s", declaration=fallback_id)
    if fallback.state != FallbackState.PERMITTED or fallback.replaced_at is not None:
        raise Conflict("%(reference)s is not a permission in force", reference=fallback.reference)
    notice = _open_incident(session, fallback.notice_id)
    _withdraw(fallback, by=by, now=now)
    service = session.get_one(Service, fallback.service_id)
    said = text or texts.fallback(
        name_of(service), FallbackState.WITHDRAWN, fallback.reference, fallback.function
    )
    _say(session, notice, said, by=by, now=now, deliver=deliver)
    return fallback


def withdraw_all(session: Session, reference: str, *, by: str, now: datetime) -> int:
    """End every permission in force with this reference; returns how many. Raises NotFound."""
    take_turns(session)
    ids = session.scalars(
        select(Fallback.id).where(
            Fallback.reference == reference,
            Fallback.state == FallbackState.PERMITTED,
            Fallback.replaced_at.is_(None),
        )
    ).all()
    if not ids:
        raise NotFound(
            "there is no permission in force with the reference %(reference)s", reference=reference
        )
    for number, id in enumerate(ids):
        withdraw(session, id, by=by, now=now, deliver=number == len(ids) - 1)
    return len(ids)


def withdraw_silently(
    session: Session, fallback_id: str, incident_id: str, *, by: str, now: datetime
) -> None:
    """End a permission of this incident where the same act posts the update that says so. Raises Conflict."""
    fallback = session.get(Fallback, fallback_id)
    if fallback is None or fallback.notice_id != incident_id or fallback.state != FallbackState.PERMITTED:
        raise Conflict(
            "declaration %(declaration)s is not a permission in force on this incident",
            declaration=fallback_id,
        )
    _withdraw(fallback, by=by, now=now)


def end_all(session: Session, notice: Notice, *, by: str, now: datetime) -> None:
    """With the incident ends every permission on it; the resolution's text tells it."""
    for fallback in _in_force(session, notice):
        if fallback.state == FallbackState.PERMITTED:
            _withdraw(fallback, by=by, now=now)


def listed(session: Session, incident_id: str) -> Sequence[Fallback]:
    """Every declaration on an incident, newest first."""
    query = select(Fallback).where(Fallback.notice_id == incident_id)
    return session.scalars(query.order_by(Fallback.declared_at.desc(), Fallback.id)).all()


def _withdraw(fallback: Fallback, *, by: str, now: datetime) -> None:
    fallback.state = FallbackState.WITHDRAWN
    fallback.withdrawn_by = by
    # One whose own end had come was over then, not now.
    fallback.withdrawn_at = min(now, fallback.ends_at) if fallback.ends_at else now


def _in_force(session: Session, notice: Notice) -> Sequence[Fallback]:
    return session.scalars(
        select(Fallback).where(Fallback.notice_id == notice.id, Fallback.replaced_at.is_(None))
    ).all()


def _open_incident(session: Session, incident_id: str) -> Notice:
    notice = session.get(Notice, incident_id)
    if notice is None or notice.kind != NoticeKind.INCIDENT:
        raise NotFound("there is no incident %(incident)s", incident=incident_id)
    if notice.merged_into_id is not None:
        raise Conflict(
            "incident %(incident)s is part of %(other)s; declare it there",
            incident=incident_id,
            other=notice.merged_into_id,
        )
    if notice.resolved_at is not None:
        raise Conflict(
            "incident %(incident)s is over; paper is for while a service fails", incident=incident_id
        )
    return notice


def _say(session: Session, notice: Notice, text: Text, *, by: str, now: datetime, deliver: bool) -> None:
    check_text("text", text, MAX_TEXT)
    is_first = notice.published_at is None
    notice.taken_over = True
    notice.published_at = notice.published_at or now
    changes = after_change(session, load_tree(session), notice, now)
    update = post(session, notice, text, changes, by=by, now=now, deliver=deliver)
    tell(session, "incident.created" if is_first else "incident.updated", notice, update, now)
