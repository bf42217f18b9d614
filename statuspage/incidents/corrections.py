"""What is put right afterwards: times, titles, words, two incidents that are one. What was said before is kept."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy import update as update_rows
from sqlalchemy.orm import Session

from statuspage.incidents import failures, texts
from statuspage.incidents.incidents import get
from statuspage.incidents.notices import (
    MAX_TEXT,
    MAX_TITLE,
    after_change,
    check_text,
    cover,
    enter,
    post,
    revise,
    rows_of,
    tell,
    touch,
)
from statuspage.incidents.publication import load_tree
from statuspage.incidents.rules import IncidentStatus, ServiceStatus
from statuspage.incidents.snapshot import Text
from statuspage.incidents.tables import Fallback, Handling, Notice, Update
from statuspage.kernel import audit
from statuspage.kernel.errors import Conflict, Invalid, NotFound
from statuspage.kernel.events import take_turns


def correct_times(
    session: Session,
    incident_id: str,
    *,
    by: str,
    now: datetime,
    began_at: datetime | None = None,
    ended_at: datetime | None = None,
    text: Text | None = None,
    deliver: bool = False,
) -> Notice:
    """Put the beginning or the end right; the old times stay visible. A consent already given stays good.

    Raises NotFound, Invalid for a time that cannot be, Conflict for the end of what is not over.
    """
    take_turns(session)
    notice = get(session, incident_id)
    new_begin, new_end = began_at or notice.began_at, ended_at or notice.ended_at
    if new_begin > now:
        raise Invalid("began_at", "lies in the future")
    if ended_at is not None and notice.resolved_at is None:
        raise Conflict("incident %(incident)s is not over; resolve it instead", incident=incident_id)
    if new_end is not None and not new_begin <= new_end <= now:
        raise Invalid("ended_at", "must not come before the beginning, nor after now")
    before = {
        field: getattr(notice, field).isoformat()
        for field, value in (("began_at", began_at), ("ended_at", ended_at))
        if value is not None and getattr(notice, field) not in (None, value)
    }
    if not before:
        raise Invalid("began_at", "is what it was; give another time")
    revise(session, notice, before, by=by, now=now)
    notice.began_at, notice.ended_at = new_begin, new_end
    said = text or texts.corrected(begin="began_at" in before, end="ended_at" in before)
    check_text("text", said, MAX_TEXT)
    update = post(session, notice, said, [], by=by, now=now, deliver=deliver)
    tell(session, "incident.updated", notice, update, now)
    return notice


def rename(session: Session, notice_id: str, name: Text, *, by: str, now: datetime) -> Notice:
    """Another title, of an incident or of planned work; the old one stays visible. Raises NotFound, Invalid."""
    take_turns(session)
    check_text("title", name, MAX_TITLE)
    notice = session.get(Notice, notice_id)
    if notice is None:
        raise NotFound("there is no incident or maintenance %(notice)s", notice=notice_id)
    before = {f"name_{x}": getattr(notice, f"name_{x}") for x in ("pl", "en")}
    changed = {field: old for field, old in before.items() if old != getattr(name, field[-2:])}
    if changed:
        revise(session, notice, changed, by=by, now=now)
        notice.name_pl, notice.name_en = name.pl, name.en
        audit.record(session, by, f"{notice.kind}.renamed", f"{notice.kind}:{notice.id}", changed, at=now)
    return notice


def reword(session: Session, update_id: str, text: Text, *, by: str, now: datetime) -> Update:
    """Other words, or the missing translation, for an update that was posted. Nobody is alerted again.

    Raises NotFound, Invalid.
    """
    take_turns(session)
    check_text("text", text, MAX_TEXT)
    update = session.get(Update, update_id)
    if update is None:
        raise NotFound("there is no update %(update)s", update=update_id)
    changed = {
        field: old
        for field, old, new in (("text_pl", update.text_pl, text.pl), ("text_en", update.text_en, text.en))
        if old != new
    }
    if not changed:
        return update
    notice = session.get_one(Notice, update.notice_id)
    # Adding a translation replaces nothing that anybody read.
    replaced = {field: old for field, old in changed.items() if old.strip()}
    if replaced:
        revise(session, notice, replaced, by=by, now=now, update_id=update.id)
    update.text_pl, update.text_en, update.updated_at = text.pl, text.en, now
    touch(notice, now)
    tell(session, "incident.updated", notice, update, now, deliver=False, by=by)
    return update


def merge(
    session: Session, incident_id: str, into_id: str, *, by: str, now: datetime, text: Text | None = None
) -> Notice:
    """Make an incident part of another one: its services, declarations and followers' links lead there.

    Raises NotFound; Conflict where one of them is over, merged already, or both are the same.
    """
    take_turns(session)
    notice, into = get(session, incident_id), get(session, into_id)
    for each in (notice, into):
        if each.merged_into_id is not None or each.resolved_at is not None:
            raise Conflict(
                "incident %(incident)s is over or part of another; open ones can be merged", incident=each.id
            )
    if notice.id == into.id:
        raise Conflict("an incident cannot become part of itself")
    for row in rows_of(session, notice):
        taken = cover(session, into, row.service_id, ServiceStatus(row.worst_status), now)
        taken.status, taken.declared = row.status, row.declared
        row.declared = False
    _move_declarations(session, notice, into, now)
    if notice.began_at < into.began_at:
        revise(session, into, {"began_at": into.began_at.isoformat()}, by=by, now=now)
        into.began_at = notice.began_at
    notice.merged_into_id = into.id
    enter(notice, IncidentStatus.RESOLVED, now)
    notice.ended_at = now
    into.taken_over = True
    last = post(
        session, notice, texts.merged(Text(into.name_pl, into.name_en)), [], by=by, now=now, deliver=False
    )
    tell(session, "incident.updated", notice, last, now)
    changes = after_change(session, load_tree(session), into, now)
    said = text or texts.took_in(Text(notice.name_pl, notice.name_en))
    update = post(session, into, said, changes, by=by, now=now, deliver=False)
    tell(session, "incident.updated", into, update, now)
    failures.settle(session, now=now)
    return into


def _move_declarations(session: Session, notice: Notice, into: Notice, now: datetime) -> None:
    """Of two declarations on the same service and function the later one stays in force."""
    session.execute(update_rows(Handling).where(Handling.notice_id == notice.id).values(notice_id=into.id))
    in_force: dict[tuple[str, str], Fallback] = {}
    both = select(Fallback).where(Fallback.notice_id.in_([notice.id, into.id])).order_by(Fallback.declared_at)
    for fallback in session.scalars(both):
        fallback.notice_id = into.id
        if fallback.replaced_at is None:
            place = (fallback.service_id, fallback.function)
            if place in in_force:
                in_force[place].replaced_at = now
            in_force[place] = fallback
    session.flush()
