"""Events become deliveries: the content once per language, the audience in keyset batches. Exactly once."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import (
    Boolean,
    Integer,
    Select,
    String,
    case,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
)
from sqlalchemy.orm import Session, aliased

from notifiers import rules
from notifiers.compose import load_story, notice_mail
from notifiers.rules import Broadcast, DeliveryState, Lane, SubscriberState
from notifiers.tables import Delivery, Expansion, Message, Subscriber, SubscriberService
from statuspage.incidents.tables import Update
from statuspage.kernel.db import UtcDateTime
from statuspage.kernel.events import Consumer, Event, Pending, done
from statuspage.kernel.house import House
from statuspage.kernel.i18n import LANGUAGES

BATCH = 5000  # rows a transaction; another writer waits no longer than that takes


def audience(service_ids: Sequence[str]) -> Select[str]:
    """The ids of those who are told of an event that affects `service_ids`: `rules.is_told` in SQL."""
    chosen = exists().where(
        SubscriberService.subscriber_id == Subscriber.id, SubscriberService.service_id.in_(service_ids)
    )
    return select(Subscriber.id).where(
        Subscriber.state == SubscriberState.ACTIVE, or_(Subscriber.all_services, chosen)
    )


def _audience_of(expansion: Expansion) -> Select[str]:
    if not expansion.only_untold:
        return audience(expansion.service_ids)
    this, earlier = aliased(Event), aliased(Event)
    told = (
        select(Delivery.id)
        .join(earlier, earlier.seq == Delivery.event_seq)
        .join(this, this.subject_id == earlier.subject_id)
        .where(
            this.seq == expansion.event_seq,
            earlier.seq < expansion.event_seq,
            Delivery.subscriber_id == Subscriber.id,
        )
    )
    return audience(expansion.service_ids).where(~told.exists())


def owed(session: Session) -> Sequence[int]:
    """The events that have still to become deliveries, oldest first."""
    return session.scalars(
        select(Pending.seq).where(Pending.consumer == Consumer.NOTIFIERS).order_by(Pending.seq).limit(100)
    ).all()


def expand(session: Session, seq: int, *, house: House, now: datetime, batch: int = BATCH) -> bool:
    """Turn the next `batch` subscribers into deliveries of event `seq`. False: the event is done.

    The position moves in the same transaction, and the last batch takes the event off the pending ones, so
    that a crash at any point neither skips nor repeats a row.
    """
    event = _claim(session, seq)
    if event is None:
        return False
    broadcast = rules.broadcast_of(event.kind, event.payload)
    if broadcast is None:
        done(session, Consumer.NOTIFIERS, seq)
        return False
    expansion = session.get(Expansion, seq) or _begin(session, event, broadcast, house=house, now=now)
    if _insert_batch(session, expansion, now=now, batch=batch):
        return True
    session.delete(expansion)
    done(session, Consumer.NOTIFIERS, seq)
    return False


def _claim(session: Session, seq: int) -> Event | None:
    """The event, unless it is done or in another worker's hands."""
    pending = select(Pending.seq).where(Pending.consumer == Consumer.NOTIFIERS, Pending.seq == seq)
    if session.scalar(pending.with_for_update(skip_locked=True)) is None:
        return None
    return session.get_one(Event, seq)


def _begin(session: Session, event: Event, broadcast: Broadcast, *, house: House, now: datetime) -> Expansion:
    story = load_story(session, event.kind, event.at, broadcast)
    for language in LANGUAGES:
        content = notice_mail(house, story, language)
        session.add(
            Message(
                event_seq=event.seq,
                kind=broadcast.kind,
                language=language,
                subject=content.subject,
                text=content.text,
                html=content.html,
                headers={},
                created_at=event.at,
            )
        )
    # A reminder repeats what was said long ago: there is nothing left to recall.
    author = "schedule" if broadcast.is_reminder else session.get_one(Update, broadcast.update_id).author
    expansion = Expansion(
        event_seq=event.seq,
        after_subscriber_id="",
        service_ids=list(broadcast.service_ids),
        only_untold=broadcast.only_untold,
        due_at=rules.due_at(event.at, author, recall_window=house.settings.mail.recall_window),
        started_at=now,
    )
    session.add(expansion)
    session.flush()
    return expansion


def _insert_batch(session: Session, expansion: Expansion, *, now: datetime, batch: int) -> bool:
    """Insert one batch and move the position. Returns whether there may be more."""
    window = (
        _audience_of(expansion)
        .where(Subscriber.id > expansion.after_subscriber_id)
        .order_by(Subscriber.id)
        .limit(batch)
        .subquery()
    )
    count, last = session.execute(select(func.count(), func.max(window.c.id)).select_from(window)).one()
    if count:
        session.execute(_insertion(session, expansion, last, now))
        expansion.after_subscriber_id = last
    return bool(count == batch)


def _insertion(session: Session, expansion: Expansion, last: str, now: datetime):  # type: ignore[no-untyped-def]
    messages = dict(
        session.execute(
            select(Message.language, Message.id).where(Message.event_seq == expansion.event_seq)
        ).all()
    )
    rows = (
        _audience_of(expansion)
        .where(Subscriber.id > expansion.after_subscriber_id, Subscriber.id <= last)
        .with_only_columns(
            case(messages, value=Subscriber.language, else_=messages["pl"]),
            literal(expansion.event_seq, Integer),
            Subscriber.id,
            Subscriber.email,
            literal(int(Lane.OUTAGE), Integer),
            literal(DeliveryState.QUEUED.value, String),
            literal(0, Integer),
            literal(value=False, type_=Boolean),
            literal(expansion.due_at, UtcDateTime),
            literal("", String),
            literal(now, UtcDateTime),
        )
        .order_by(Subscriber.id)
    )
    return insert(Delivery).from_select(
        [
            "message_id",
            "event_seq",
            "subscriber_id",
            "address",
            "lane",
            "state",
            "attempts",
            "uncertain",
            "due_at",
            "last_reply",
            "created_at",
        ],
        rows,
        include_defaults=False,
    )


def count_audience(session: Session, service_ids: Sequence[str]) -> int:
    """How many would be told of something that affects these services."""
    return session.scalar(select(func.count()).select_from(audience(service_ids).subquery())) or 0
