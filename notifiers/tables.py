"""Tables of the notifiers: who wants to be told, what is told, and to whom it is owed."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from statuspage.kernel.db import Base, BigId, new_id

_HAS_EVENT = text("event_seq IS NOT NULL")
_HAS_KEY = text("key IS NOT NULL")
_IS_DUE = text("due_at IS NOT NULL")


class Subscriber(Base):
    """An address and what it wants to be told of."""

    __tablename__ = "subscribers"
    __table_args__ = (Index("ix_subscribers_state_id", "state", "id"),)

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    email: Mapped[str] = mapped_column(unique=True)  # as rules.check_address gives it
    language: Mapped[str]
    state: Mapped[str]  # rules.SubscriberState
    all_services: Mapped[bool]
    created_at: Mapped[datetime]
    confirmed_at: Mapped[datetime | None]
    unsubscribed_at: Mapped[datetime | None]
    consent: Mapped[str] = mapped_column(default="")  # the evidence: when, how and from where it was given
    last_confirmation_at: Mapped[datetime | None]  # when a confirmation was last asked for: at most one a day


class SubscriberService(Base):
    """A service chosen by a subscriber who does not want all."""

    __tablename__ = "subscriber_services"

    subscriber_id: Mapped[str] = mapped_column(ForeignKey("subscribers.id"), primary_key=True)
    service_id: Mapped[str] = mapped_column(ForeignKey("services.id"), primary_key=True, index=True)


class Confirmation(Base):
    """The right to confirm a subscription: a random token, of which only the hash is kept."""

    __tablename__ = "confirmations"

    token_hash: Mapped[str] = mapped_column(primary_key=True)
    subscriber_id: Mapped[str] = mapped_column(ForeignKey("subscribers.id"), index=True)
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class Message(Base):
    """Content. Of an event: rendered once per language. Of a single mail: emptied once it is sent."""

    __tablename__ = "messages"
    __table_args__ = (
        UniqueConstraint("event_seq", "kind", "language", name="uq_messages_event_seq_kind_language"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    event_seq: Mapped[int | None] = mapped_column(ForeignKey("events.seq"))  # None: a single mail
    kind: Mapped[str]  # rules.MailKind, or what the tickets room calls its mails
    language: Mapped[str]
    subject: Mapped[str]
    text: Mapped[str]
    html: Mapped[str]
    headers: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    created_at: Mapped[datetime]


class Expansion(Base):
    """How far an event's audience has become deliveries: keyset position, in the batch's transaction."""

    __tablename__ = "expansions"

    event_seq: Mapped[int] = mapped_column(ForeignKey("events.seq"), primary_key=True)
    after_subscriber_id: Mapped[str] = mapped_column(default="")
    service_ids: Mapped[list[str]] = mapped_column(JSON)
    only_untold: Mapped[bool] = mapped_column(default=False)  # rules.Broadcast
    due_at: Mapped[datetime]
    started_at: Mapped[datetime]


class Delivery(Base):
    """One mail owed to one address: outbox and ledger in one."""

    __tablename__ = "deliveries"
    __table_args__ = (
        Index(
            "uq_deliveries_event_seq",
            "event_seq",
            "subscriber_id",
            unique=True,
            sqlite_where=_HAS_EVENT,
            postgresql_where=_HAS_EVENT,
        ),
        Index("uq_deliveries_key", "key", unique=True, sqlite_where=_HAS_KEY, postgresql_where=_HAS_KEY),
        Index(
            "ix_deliveries_lane_due", "lane", "due_at", "id", sqlite_where=_IS_DUE, postgresql_where=_IS_DUE
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    message_id: Mapped[int] = mapped_column(ForeignKey("messages.id"))
    event_seq: Mapped[int | None]  # None: a single mail, known by `key`
    subscriber_id: Mapped[str | None] = mapped_column(ForeignKey("subscribers.id"))
    key: Mapped[str | None]
    address: Mapped[str]
    lane: Mapped[int]  # rules.Lane
    state: Mapped[str]  # rules.DeliveryState
    attempts: Mapped[int] = mapped_column(default=0)
    uncertain: Mapped[bool] = mapped_column(default=False)  # a connection was lost after the final dot once
    due_at: Mapped[datetime | None]  # when to act: the next attempt, or the end of the lease; None: settled
    lease_owner: Mapped[str | None]
    last_reply: Mapped[str] = mapped_column(default="")
    created_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
