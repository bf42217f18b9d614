"""Reminders that planned work begins soon: owed when it is announced or moved, told once each."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from statuspage.incidents.notices import CLOCK, tell
from statuspage.incidents.tables import Notice, Reminder, Update
from statuspage.kernel import config
from statuspage.kernel.events import take_turns

KIND = "maintenance.reminder"


def plan(session: Session, notice: Notice, *, now: datetime, policy: config.Incidents) -> None:
    """Owe the reminders of work that is announced or moved now; not those of which the time is past."""
    drop(session, notice)
    begins_at = notice.window.begins_at
    for lead in set(policy.remind_before):
        if begins_at - lead > now:
            lead_s = round(lead.total_seconds())
            session.add(Reminder(notice_id=notice.id, due_at=begins_at - lead, lead_s=lead_s))
    session.flush()


def drop(session: Session, notice: Notice) -> None:
    """Owe no more of them. Those that were told stay on record."""
    session.execute(delete(Reminder).where(Reminder.notice_id == notice.id, Reminder.told_at.is_(None)))


def tell_due(session: Session, *, now: datetime) -> int:
    """Tell what is due, each work once: after a standstill only the latest of its reminders. Returns how many."""
    take_turns(session)
    due: dict[str, list[Reminder]] = {}
    query = select(Reminder).where(Reminder.told_at.is_(None), Reminder.due_at <= now)
    for reminder in session.scalars(query.order_by(Reminder.due_at)):
        reminder.told_at = now
        due.setdefault(reminder.notice_id, []).append(reminder)
    told = [session.get_one(Notice, id) for id in due]
    coming = [notice for notice in told if notice.window.begins_at > now]
    for notice in coming:
        _tell(session, notice, due[notice.id], now)
    session.flush()
    return len(coming)


def _tell(session: Session, notice: Notice, owed: Sequence[Reminder], now: datetime) -> None:
    latest = session.scalars(
        select(Update).where(Update.notice_id == notice.id).order_by(Update.position.desc()).limit(1)
    ).one()
    more = {"deliver": True, "lead_s": owed[-1].lead_s}
    tell(session, KIND, notice, latest, now, more=more, by=CLOCK)


def next_due_at(session: Session) -> datetime | None:
    """When `tell_due` has something to do next."""
    return session.scalar(select(func.min(Reminder.due_at)).where(Reminder.told_at.is_(None)))
