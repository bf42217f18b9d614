"""The outbox for single mails: confirmations, ticket mail. Owed twice under one key, sent once."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from notifiers import rules
from notifiers.rules import DeliveryState, Lane
from notifiers.tables import Delivery, Message
from statuspage.kernel.errors import Invalid


def queue(
    session: Session,
    *,
    kind: str,
    key: str,
    address: str,
    language: str,
    subject: str,
    text: str,
    html: str,
    now: datetime,
    lane: Lane = Lane.PERSONAL,
    headers: Mapping[str, str] | None = None,
    subscriber_id: str | None = None,
    due_at: datetime | None = None,
) -> Delivery:
    """Owe one mail, in the caller's transaction; the dispatcher sends it after the commit.

    A second call with the same `key` returns the first delivery and changes nothing. `headers` are added
    to those of every mail, e.g. In-Reply-To, or Auto-Submitted (default: auto-generated). The content is
    forgotten once it is sent. Raises Invalid for an address, subject or header that could smuggle in
    another one.
    """
    address = rules.check_address(address)
    rules.refuse_controls("subject", subject)
    rules.check_headers(headers or {})
    if not text.strip():
        raise Invalid("text", "a mail needs a plain text part")
    if known := _by_key(session, key):
        return known
    message = Message(
        kind=kind,
        language=language,
        subject=rules.one_line(subject),
        text=rules.clean_text(text),
        html=rules.clean_text(html),
        headers=dict(headers or {}),
        created_at=now,
    )
    delivery = Delivery(
        subscriber_id=subscriber_id,
        key=key,
        address=address,
        lane=lane,
        state=DeliveryState.QUEUED,
        due_at=due_at or now,
        created_at=now,
    )
    session.info["notify"] = True  # wakes the dispatcher, also one in another process
    return _add_once(session, message, delivery)


def _add_once(session: Session, message: Message, delivery: Delivery) -> Delivery:
    """The delivery, or the one that another transaction added under its key a moment earlier."""
    key = delivery.key or ""
    try:
        with session.begin_nested():
            session.add(message)
            session.flush()
            delivery.message_id = message.id
            session.add(delivery)
            session.flush()
    except IntegrityError:
        first = _by_key(session, key)
        if first is None:
            raise
        return first
    return delivery


def _by_key(session: Session, key: str) -> Delivery | None:
    return session.scalars(select(Delivery).where(Delivery.key == key)).one_or_none()
