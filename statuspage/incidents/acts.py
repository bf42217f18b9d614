"""Acts of publication as people prepare them: written, kept as a draft, timed, shown to a second person, performed.

An act is the content of one form. Performing it calls the verbs of `incidents`; nothing public happens before.
Where the settings ask for four eyes, whoever wrote an act cannot perform it, except by breaking the glass:
giving a reason that is recorded with it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from statuspage.incidents import corrections, fallbacks, incidents
from statuspage.incidents.details import NOTHING, Details
from statuspage.incidents.fallbacks import NewFallback
from statuspage.incidents.incidents import NewIncident
from statuspage.incidents.notices import MAX_TITLE, check_text
from statuspage.incidents.rules import Impact, IncidentStatus, ServiceStatus, impact_of, needs_second_person
from statuspage.incidents.snapshot import Text
from statuspage.incidents.tables import Act, Notice
from statuspage.kernel import audit, config
from statuspage.kernel.errors import Conflict, Error, Forbidden, Invalid, NotFound
from statuspage.kernel.events import take_turns

EMPTY = Text("", "")


class SecondNeeded(Forbidden):
    """Its impact is such that somebody else has to publish it."""


class ActState(StrEnum):
    """The life of an act."""

    DRAFT = "draft"
    WAITING = "waiting"  # for a second person
    SCHEDULED = "scheduled"
    DONE = "done"
    DROPPED = "dropped"


class ActKind(StrEnum):
    """What is published."""

    OPEN = "open"
    UPDATE = "update"
    RESOLVE = "resolve"


OPEN_STATES = frozenset({ActState.DRAFT, ActState.WAITING, ActState.SCHEDULED})


@dataclass(frozen=True, slots=True)
class Content:
    """Everything that one form of the composer says. A draft may still be incomplete."""

    kind: ActKind
    notice_id: str = ""  # of an update or resolution
    name: Text = EMPTY
    text: Text = EMPTY
    services: Mapping[str, ServiceStatus] = field(default_factory=dict)  # by code
    status: IncidentStatus | None = None
    impact: Impact | None = None
    began_at: datetime | None = None
    ended_at: datetime | None = None  # entered afterwards
    details: Details = NOTHING
    fallbacks: Sequence[NewFallback] = ()
    withdrawn: Sequence[str] = ()  # ids of permissions that end
    deliver: bool = True
    seen: str | None = None  # the newest update that the author had read


def write(session: Session, content: Content, *, by: str, now: datetime) -> Act:
    """Keep a draft. Nothing is checked but that its incident exists: it may be finished later."""
    notice_id = _notice_id(session, content)
    act = Act(
        state=ActState.DRAFT,
        content=stored(content),
        notice_id=notice_id,
        created_by=by,
        created_at=now,
        edited_by=by,
        edited_at=now,
    )
    session.add(act)
    session.flush()
    return act


def edit(session: Session, act_id: str, content: Content, *, by: str, now: datetime, version: int) -> Act:
    """Replace a draft's content. What waited or was timed is a draft again: it was agreed to as it stood.

    Raises NotFound; Conflict when it is done, or somebody else has edited it since `version`.
    """
    act = get_open(session, act_id)
    if act.version != version:
        raise Conflict(f"{act.edited_by} has edited this draft since you opened it")
    act.content = stored(content)
    act.notice_id = _notice_id(session, content)
    act.state, act.publish_at, act.failed = ActState.DRAFT, None, ""
    act.edited_by, act.edited_at = by, now
    act.version += 1
    session.flush()
    return act


def drop(session: Session, act_id: str, *, by: str, now: datetime) -> Act:
    """Give a draft up; it is kept, with who did so."""
    act = get_open(session, act_id)
    act.state, act.edited_by, act.edited_at = ActState.DROPPED, by, now
    act.version += 1
    return act


def hand_over(session: Session, act_id: str) -> Act:
    """Ask a second person to publish it."""
    act = get_open(session, act_id)
    act.state = ActState.WAITING
    return act


def schedule(
    session: Session, act_id: str, publish_at: datetime, *, by: str, now: datetime, policy: config.Incidents
) -> Act:
    """Publish it by itself at that time. Raises Invalid for a time past, SecondNeeded."""
    act = get_open(session, act_id)
    if publish_at <= now:
        raise Invalid("publish_at", "lies in the past; publish it now instead")
    _check_second(session, act, by=by, policy=policy, break_glass="")
    act.state, act.publish_at, act.failed = ActState.SCHEDULED, publish_at, ""
    act.approved_by = by if by != act.edited_by else None
    return act


def perform(
    session: Session,
    act_id: str,
    *,
    by: str,
    now: datetime,
    policy: config.Incidents,
    break_glass: str = "",
) -> Notice:
    """Publish it. Returns the incident.

    Raises NotFound, Invalid naming the field, Conflict when it is done or another person has spoken since,
    SecondNeeded when no reason was given to go without a second person.
    """
    take_turns(session)
    act = get_open(session, act_id)
    is_timed = act.state == ActState.SCHEDULED and act.publish_at is not None and act.publish_at <= now
    if not is_timed:
        _check_second(session, act, by=by, policy=policy, break_glass=break_glass)
    author = act.edited_by  # who answers for it as it stands
    notice = _publish(session, content_of(act), by=author, now=now, policy=policy)
    act.state, act.done_at, act.notice_id = ActState.DONE, now, notice.id
    act.approved_by = act.approved_by or (by if by != author else None)
    if act.broke_glass:
        audit.record(session, by, "act.broke-glass", f"act:{act.id}", {"reason": act.broke_glass}, at=now)
    return notice


def perform_due(session: Session, *, now: datetime, policy: config.Incidents) -> int:
    """Publish what is due; what cannot be is a draft again and says why. Returns how many were published."""
    take_turns(session)
    done = 0
    due = select(Act).where(Act.state == ActState.SCHEDULED, Act.publish_at <= now).order_by(Act.publish_at)
    for act in session.scalars(due).all():
        try:
            with session.begin_nested():
                perform(session, act.id, by=act.approved_by or act.edited_by, now=now, policy=policy)
            done += 1
        except Error as error:
            session.refresh(act)
            act.state, act.publish_at, act.failed = ActState.DRAFT, None, str(error)
    return done


def next_due_at(session: Session) -> datetime | None:
    """When `perform_due` has something to do next."""
    return session.scalar(select(func.min(Act.publish_at)).where(Act.state == ActState.SCHEDULED))


def needs_second(session: Session, content: Content, *, policy: config.Incidents) -> bool:
    """Whether this content is so grave that a second person has to publish it."""
    return needs_second_person(_impact(session, content), policy.four_eyes_from)


def get_open(session: Session, act_id: str, *, to_change: bool = True) -> Act:
    """An act that is not over; one that is to be changed is held until the unit ends. Raises NotFound, Conflict."""
    act = session.get(Act, act_id, with_for_update=to_change or None)
    if act is None:
        raise NotFound(f"there is no draft {act_id}")
    if act.state not in OPEN_STATES:
        raise Conflict(f"draft {act_id} is {act.state} already")
    return act


def listed(session: Session, *, limit: int = 50) -> Sequence[Act]:
    """Acts that are not over, newest first."""
    return session.scalars(
        select(Act).where(Act.state.in_(OPEN_STATES)).order_by(Act.edited_at.desc()).limit(limit)
    ).all()


def stored(content: Content) -> dict[str, Any]:
    """The content as it comes back from the database: plain, and comparable."""
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(content))
    return plain


def content_of(act: Act) -> Content:
    """What the act says."""
    return msgspec.convert(act.content, Content)


def _publish(
    session: Session, content: Content, *, by: str, now: datetime, policy: config.Incidents
) -> Notice:
    if content.kind is ActKind.OPEN:
        new = NewIncident(
            name=content.name,
            text=content.text,
            services=content.services,
            status=content.status or IncidentStatus.INVESTIGATING,
            impact=content.impact,
            began_at=content.began_at,
            ended_at=content.ended_at,
            details=content.details,
            fallbacks=content.fallbacks,
        )
        return incidents.open_incident(session, new, by=by, now=now, policy=policy, deliver=content.deliver)
    _rename(session, content, by=by, now=now)
    for id in content.withdrawn:
        fallbacks.withdraw_silently(session, id, content.notice_id, by=by, now=now)
    if content.kind is ActKind.RESOLVE:
        return incidents.resolve(session, content.notice_id, content.text, by=by, now=now, seen=content.seen)
    more: dict[str, Any] = {"more": content.details, "declared": content.fallbacks, "seen": content.seen}
    return incidents.post_update(
        session,
        content.notice_id,
        content.text,
        by=by,
        now=now,
        status=content.status,
        services=content.services,
        deliver=content.deliver,
        policy=policy,
        **more,
    )


def _rename(session: Session, content: Content, *, by: str, now: datetime) -> None:
    """A title may come with an update. That of a draft was never public: nothing of it is kept."""
    if not content.name.pl.strip() and not content.name.en.strip():
        return
    notice = incidents.get(session, content.notice_id)
    if notice.published_at is not None:
        corrections.rename(session, notice.id, content.name, by=by, now=now)
        return
    check_text("title", content.name, MAX_TITLE)
    notice.name_pl, notice.name_en = content.name.pl, content.name.en


def _check_second(session: Session, act: Act, *, by: str, policy: config.Incidents, break_glass: str) -> None:
    # Whoever last changed it has agreed to it as it stands; anybody else, its first author too, is the second.
    if by != act.edited_by or not needs_second(session, content_of(act), policy=policy):
        return
    if not break_glass.strip():
        raise SecondNeeded(
            "somebody else has to publish this, because of its impact; hand it over, or say why it cannot wait"
        )
    act.broke_glass = break_glass.strip()[:500]


def _impact(session: Session, content: Content) -> Impact:
    if content.impact is not None:
        return content.impact
    named = impact_of(content.services.values())
    notice = session.get(Notice, content.notice_id) if content.notice_id else None
    known = Impact(notice.impact) if notice is not None else Impact.NONE
    order = list(Impact)
    return max(named, known, key=order.index) if content.kind is not ActKind.OPEN else named


def _notice_id(session: Session, content: Content) -> str | None:
    if content.kind is ActKind.OPEN:
        return None
    return incidents.get(session, content.notice_id).id
