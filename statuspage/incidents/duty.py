"""Who is on duty: one goes on duty until a time, and leaves earlier by hand. Staff and programs alone see it."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from statuspage.incidents.tables import Duty
from statuspage.kernel import audit
from statuspage.kernel.errors import Invalid


def go_on(session: Session, login: str, name: str, until: datetime, *, by: str, now: datetime) -> Duty:
    """Begin, or move the end. `by` is who says so. Raises Invalid for an end in the past."""
    if until <= now:
        raise Invalid("until", "lies in the past")
    row = session.scalars(_now(now).where(Duty.login == login)).first()
    action = "duty.begun" if row is None else "duty.moved"
    if row is None:
        row = Duty(login=login, name=name, began_at=now, until=until)
        session.add(row)
    row.until = until
    session.flush()
    audit.record(session, by, action, f"user:{login}", {"until": until.isoformat()}, at=now)
    return row


def leave(session: Session, login: str, *, by: str, now: datetime) -> None:
    """End it now; without effect for who is not on duty."""
    for row in session.scalars(_now(now).where(Duty.login == login)).all():
        row.until = now
        session.flush()
        audit.record(session, by, "duty.ended", f"user:{login}", at=now)


def on_duty(session: Session, *, now: datetime) -> Sequence[Duty]:
    """Those on duty at this moment, the first to come first."""
    return session.scalars(_now(now).order_by(Duty.began_at)).all()


def _now(now: datetime) -> Select[Duty]:
    return select(Duty).where(Duty.began_at <= now, Duty.until > now)
