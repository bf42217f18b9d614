"""The event table is the bus: written in the transaction of the change, deleted from `pending` in the
transaction of the effect. `seq` comes from a counter row, so it is gapless and in commit order.
"""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, ForeignKey, delete, insert, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from statuspage.kernel.db import Base


class Consumer(StrEnum):
    """Who must not miss an event, whatever dies. Live clients are not among them: they resume by `seq`."""

    NOTIFIERS = "notifiers"
    TICKETS = "tickets"


class Counter(Base):
    """A number series without gaps: the row is locked until its transaction ends."""

    __tablename__ = "counters"

    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[int]


class Event(Base):
    """Something that happened, as it is told to the outside."""

    __tablename__ = "events"

    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    kind: Mapped[
        str
    ]  # component.updated, incident.created, incident.updated, incident.resolved, maintenance.…
    subject_id: Mapped[str] = mapped_column(index=True)  # the component's, incident's or maintenance's id
    at: Mapped[datetime]
    payload: Mapped[dict[str, Any]] = mapped_column(JSON)


class Pending(Base):
    """One event that one consumer has still to act upon."""

    __tablename__ = "pending"

    consumer: Mapped[str] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(ForeignKey("events.seq"), primary_key=True)


def next_number(session: Session, name: str, *, first: int = 1) -> int:
    """The next number of the series `name`; gapless, because it rolls back with its transaction."""
    advanced = session.execute(
        text(
            "INSERT INTO counters (name, value) VALUES (:name, :first) "
            "ON CONFLICT (name) DO UPDATE SET value = counters.value + 1 RETURNING value"
        ),
        {"name": name, "first": first},
    )
    return int(advanced.scalar_one())


def take_turns(session: Session) -> None:
    """Let one unit at a time look at the state and emit what follows from it, to the end of its transaction.

    For verbs that decide by what is there, such as whether an incident is open already. It is the row
    that `emit` locks: taken first, nobody decides by what another is about to change. SQLite has one writer.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(
            text(
                "INSERT INTO counters (name, value) VALUES ('events', 0) "
                "ON CONFLICT (name) DO UPDATE SET value = counters.value"
            )
        )


def emit(session: Session, kind: str, subject_id: str, payload: dict[str, Any], *, at: datetime) -> int:
    """Record an event and what is owed for it, in the caller's transaction. Returns its `seq`."""
    seq = next_number(session, "events")
    session.execute(insert(Event).values(seq=seq, kind=kind, subject_id=subject_id, at=at, payload=payload))
    session.execute(insert(Pending), [{"consumer": consumer.value, "seq": seq} for consumer in Consumer])
    session.info["notify"] = True
    return seq


def pending(session: Session, consumer: Consumer, *, limit: int = 100) -> Sequence[Event]:
    """The oldest events that `consumer` has still to act upon."""
    return session.scalars(
        select(Event).join(Pending).where(Pending.consumer == consumer.value).order_by(Event.seq).limit(limit)
    ).all()


def done(session: Session, consumer: Consumer, seq: int) -> None:
    """Say so in the transaction of the effect."""
    session.execute(delete(Pending).where(Pending.consumer == consumer.value, Pending.seq == seq))


def since(session: Session, seq: int, *, limit: int) -> Sequence[Event]:
    """Events after `seq`, oldest first."""
    return session.scalars(select(Event).where(Event.seq > seq).order_by(Event.seq).limit(limit)).all()


def last_seq(session: Session) -> int:
    """The newest committed `seq`; 0 when nothing ever happened."""
    return session.scalar(select(Counter.value).where(Counter.name == "events")) or 0
