"""Who is on duty: one goes on duty until a time, and leaves earlier by hand. The console alone shows it."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from statuspage.incidents.tables import Duty
from statuspage.kernel.errors import Invalid


def go_on(session: Session, login: str, name: str, until: datetime, *, now: datetime) -> Duty:
    """Begin, or move the end. Raises Invalid for an end in the past."""
    if until <= now:
        raise Invalid("until", "lies in the past")
    for row in session.scalars(_now(now).where(Duty.login == login)):
        row.until = until
        return row
    row = Duty(login=login, name=name, began_at=now, until=until)
    session.add(row)
    session.flush()
    return row


def leave(session: Session, login: str, *, now: datetime) -> None:
    """End it now; without effect for who is not on duty."""
    for row in session.scalars(_now(now).where(Duty.login == login)):
        row.until = now


def on_duty(session: Session, *, now: datetime) -> Sequence[Duty]:
    """Those on duty at this moment, the first to come first."""
    return session.scalars(_now(now).order_by(Duty.began_at)).all()


def _now(now: datetime) -> Select[Duty]:
    return select(Duty).where(Duty.began_at <= now, Duty.until > now)
