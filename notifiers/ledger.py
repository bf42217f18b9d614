"""The delivery ledger: rows are leased to a sender, and what became of each is written down."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta

import msgspec
from sqlalchemy import Integer, bindparam, func, select, text, update
from sqlalchemy.orm import Session

from notifiers.rules import DeliveryState, Lane, shares
from notifiers.tables import Delivery, Message
from statuspage.kernel.db import UtcDateTime

LEASE = timedelta(seconds=30)  # renewed while the mail is in a sender's hands


@dataclass(frozen=True, slots=True)
class Leased:
    """A delivery in a sender's hands."""

    id: int
    message_id: int
    event_seq: int | None
    subscriber_id: str | None
    address: str
    attempts: int
    uncertain: bool
    lane: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a delivery after an attempt."""

    id: int
    message_id: int
    state: DeliveryState
    due_at: datetime | None
    attempts: int
    uncertain: bool
    reply: str
    is_single: bool  # not of an event: its content is forgotten once it is sent


@dataclass(frozen=True, slots=True)
class Batch:
    """What `exchange` gives: rows to send, and the content of messages not seen before."""

    leased: tuple[Leased, ...]
    messages: Mapping[int, Message]


def exchange(
    session: Session,
    outcomes: Sequence[Outcome],
    *,
    owner: str,
    room: int,
    held: Collection[int],
    known_messages: Collection[int],
    now: datetime,
) -> Batch:
    """Write down outcomes and lease up to `room` due rows: one transaction, one flush to disk.

    `held` are the ids that `owner` has in hand; they are not leased to it again.
    """
    record(session, outcomes, now=now)
    leased = lease(session, owner=owner, room=room, held=held, now=now) if room > 0 else []
    wanted = {row.message_id for row in leased}.difference(known_messages)
    messages = session.scalars(select(Message).where(Message.id.in_(wanted))).all() if wanted else ()
    return Batch(tuple(leased), {message.id: message for message in messages})


def record(session: Session, outcomes: Sequence[Outcome], *, now: datetime) -> None:
    """Write down what became of deliveries.

    In one statement: row by row, the driver gives the GIL away each time.
    """
    if not outcomes:
        return
    dialect = session.get_bind().dialect.name
    rows = [_recorded(outcome, now, dialect) for outcome in outcomes]
    session.execute(_RECORD[dialect], {"rows": msgspec.json.encode(rows).decode()})
    spent = [o.message_id for o in outcomes if o.is_single and o.state is DeliveryState.SENT]
    if spent:  # it may hold links that open something: nothing needs it any more
        session.execute(update(Message).where(Message.id.in_(spent)).values(text="", html=""))


_RECORD = {
    "sqlite": text("""
WITH r AS (
    SELECT value ->> 'id' AS id, value ->> 'state' AS state, value ->> 'due_at' AS due_at,
        value ->> 'attempts' AS attempts, value ->> 'uncertain' AS uncertain,
        value ->> 'last_reply' AS last_reply, value ->> 'sent_at' AS sent_at
    FROM json_each(:rows)
)
UPDATE deliveries SET state = r.state, due_at = r.due_at, attempts = r.attempts, uncertain = r.uncertain,
    last_reply = r.last_reply, sent_at = r.sent_at, lease_owner = NULL
FROM r WHERE deliveries.id = r.id"""),
    "postgresql": text("""
UPDATE deliveries SET state = r.state, due_at = r.due_at, attempts = r.attempts, uncertain = r.uncertain,
    last_reply = r.last_reply, sent_at = r.sent_at, lease_owner = NULL
FROM json_to_recordset(CAST(:rows AS json)) AS r(
    id integer, state text, due_at timestamptz, attempts integer, uncertain boolean,
    last_reply text, sent_at timestamptz)
WHERE deliveries.id = r.id"""),
}
_TAKE = {
    "sqlite": text("""
UPDATE deliveries SET state = 'leased', due_at = :until, lease_owner = :owner
WHERE id IN (SELECT value FROM json_each(:ids))"""),
    "postgresql": text("""
UPDATE deliveries SET state = 'leased', due_at = :until, lease_owner = :owner
WHERE id IN (SELECT CAST(value AS integer) FROM json_array_elements_text(CAST(:ids AS json)))"""),
}
_UNTIL = bindparam("until", type_=UtcDateTime)


def _recorded(outcome: Outcome, now: datetime, dialect: str) -> dict[str, object]:
    return {
        "id": outcome.id,
        "state": outcome.state.value,
        "due_at": outcome.due_at and _stored(outcome.due_at, dialect),
        "attempts": outcome.attempts,
        "uncertain": outcome.uncertain,
        "last_reply": outcome.reply.replace("\0", ""),
        "sent_at": _stored(now, dialect) if outcome.state is DeliveryState.SENT else None,
    }


def _stored(at: datetime, dialect: str) -> str:
    """An instant as the column type writes it: SQLite compares texts."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}" + ("" if dialect == "sqlite" else "+00")


def lease(session: Session, *, owner: str, room: int, held: Collection[int], now: datetime) -> list[Leased]:
    """Take up to `room` due rows: an outage's first, but each lane is sure of its share."""
    due = {lane: _due(session, lane, room, held, now) for lane in Lane}
    sure = {lane: rows[: shares(room)[lane]] for lane, rows in due.items() if lane is not Lane.OUTAGE}
    rest = room - sum(len(rows) for rows in sure.values())
    taken = [*(row for rows in sure.values() for row in rows), *due[Lane.OUTAGE][:rest]]
    spare = room - len(taken)
    for lane, rows in sure.items():
        more = due[lane][len(rows) :][: max(spare, 0)]
        taken += more
        spare -= len(more)
    if taken:
        ids = msgspec.json.encode([row.id for row in taken]).decode()
        dialect = session.get_bind().dialect.name
        session.execute(_TAKE[dialect].bindparams(_UNTIL), {"ids": ids, "until": now + LEASE, "owner": owner})
    return taken


def _due(session: Session, lane: Lane, room: int, held: Collection[int], now: datetime) -> list[Leased]:
    found = session.connection().execute(_DUE, {"lane": int(lane), "now": now, "room": room})
    return [row for row in (Leased(*values) for values in found) if row.id not in held]


_rows = Delivery.__table__.c
_DUE = (
    select(*(_rows[field.name] for field in fields(Leased)))
    .where(_rows.lane == bindparam("lane"), _rows.due_at <= bindparam("now"))
    .order_by(_rows.due_at, _rows.id)
    .limit(bindparam("room", type_=Integer))
    .with_for_update(skip_locked=True)
)


def renew(session: Session, ids: Iterable[int], *, owner: str, now: datetime) -> None:
    """Keep what is still in hand: a relay may take its time."""
    session.execute(
        update(Delivery)
        .where(Delivery.id.in_(list(ids)), Delivery.lease_owner == owner)
        .values(due_at=now + LEASE)
        .execution_options(synchronize_session=False)
    )


def release(session: Session, *, owner: str, held: Collection[int], now: datetime) -> None:
    """Give back what `owner` leased and did not try; `held` may be on the wire."""
    session.execute(
        update(Delivery)
        .where(
            Delivery.due_at.is_not(None),
            Delivery.state == DeliveryState.LEASED,
            Delivery.lease_owner == owner,
            Delivery.id.not_in(list(held)),
        )
        .values(state=DeliveryState.QUEUED, due_at=now, lease_owner=None)
        .execution_options(synchronize_session=False)
    )


def free_predecessor(session: Session, *, now: datetime) -> None:
    """On SQLite there is one server: whatever is leased at its start was its predecessor's."""
    session.execute(
        update(Delivery)
        .where(Delivery.due_at.is_not(None), Delivery.state == DeliveryState.LEASED)
        .values(due_at=now)
        .execution_options(synchronize_session=False)
    )


def next_due_at(session: Session) -> datetime | None:
    """When there is something to send next."""
    moments = [
        session.scalar(
            select(Delivery.due_at)
            .where(Delivery.lane == int(lane), Delivery.due_at.is_not(None))
            .order_by(Delivery.due_at)
            .limit(1)
        )
        for lane in Lane
    ]
    return min((moment for moment in moments if moment is not None), default=None)


def stats(session: Session) -> dict[DeliveryState, int]:
    """How many deliveries are in each state."""
    rows = session.execute(select(Delivery.state, func.count()).group_by(Delivery.state))
    return {state: 0 for state in DeliveryState} | {DeliveryState(state): count for state, count in rows}
