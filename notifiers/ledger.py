"""The delivery ledger: rows are leased to a sender, and what became of each is written down."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import bindparam, func, select, update
from sqlalchemy.orm import Session

from notifiers.rules import DeliveryState, Lane, shares
from notifiers.tables import Delivery, Message

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
    """Write down what became of deliveries."""
    if not outcomes:
        return
    table = Delivery.__table__
    session.connection().execute(
        table.update()  # type: ignore[attr-defined]
        .where(table.c.id == bindparam("row_id"))
        .values({name: bindparam(f"new_{name}") for name in _RECORDED}),
        [_recorded(outcome, now) for outcome in outcomes],
    )
    spent = [o.message_id for o in outcomes if o.is_single and o.state is DeliveryState.SENT]
    if spent:  # it may hold links that open something: nothing needs it any more
        session.execute(update(Message).where(Message.id.in_(spent)).values(text="", html=""))


_RECORDED = ("state", "due_at", "attempts", "uncertain", "last_reply", "sent_at", "lease_owner")


def _recorded(outcome: Outcome, now: datetime) -> dict[str, object]:
    return {
        "row_id": outcome.id,
        "new_state": outcome.state.value,
        "new_due_at": outcome.due_at,
        "new_attempts": outcome.attempts,
        "new_uncertain": outcome.uncertain,
        "new_last_reply": outcome.reply,
        "new_sent_at": now if outcome.state is DeliveryState.SENT else None,
        "new_lease_owner": None,
    }


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
        session.execute(
            update(Delivery)
            .where(Delivery.id.in_([row.id for row in taken]))
            .values(state=DeliveryState.LEASED, due_at=now + LEASE, lease_owner=owner)
            .execution_options(synchronize_session=False)
        )
    return taken


def _due(session: Session, lane: Lane, room: int, held: Collection[int], now: datetime) -> list[Leased]:
    query = (
        select(
            Delivery.id,
            Delivery.message_id,
            Delivery.event_seq,
            Delivery.subscriber_id,
            Delivery.address,
            Delivery.attempts,
            Delivery.uncertain,
            Delivery.lane,
            Delivery.created_at,
        )
        .where(Delivery.lane == int(lane), Delivery.due_at <= now)
        .order_by(Delivery.due_at, Delivery.id)
        .limit(room)
        .with_for_update(skip_locked=True)
    )
    return [
        row for row in (Leased(*values) for values in session.execute(query).tuples()) if row.id not in held
    ]


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
    rows = session.execute(select(Delivery.state, func.count()).group_by(Delivery.state)).tuples()
    return {state: 0 for state in DeliveryState} | {DeliveryState(state): count for state, count in rows}
