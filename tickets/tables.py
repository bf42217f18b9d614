"""Tables of the help desk: requests, what was said in them, their links to incidents, the answers owed."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from statuspage.kernel.db import Base, new_id
from statuspage.kernel.security import random_token

_OPEN_LINK = text("unlinked_at IS NULL")
_WAITING = text("state = 'waiting'")
_HELD = text("state = 'held'")
_FOLLOWS = text("follows_id IS NOT NULL")


class Ticket(Base):
    """A customer's record. Its number is for people; its id and its view key are not guessable."""

    __tablename__ = "tickets"
    __table_args__ = (
        Index("ix_tickets_state_created", "state", "created_at", "id"),
        Index("ix_tickets_service_created", "service_id", "created_at", "id"),
        Index("ix_tickets_requester_created", "requester_email", "created_at"),
        Index("ix_tickets_follows", "follows_id", sqlite_where=_FOLLOWS, postgresql_where=_FOLLOWS),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    number: Mapped[str] = mapped_column(unique=True)  # ZGL1000001; one series for all kinds and channels
    kind: Mapped[str]  # rules.Kind
    state: Mapped[str]  # rules.State; changed by requests.enter alone
    channel: Mapped[str]  # rules.Channel
    service_id: Mapped[str | None] = mapped_column(ForeignKey("services.id"))
    subject: Mapped[str]
    text: Mapped[str]
    requester_name: Mapped[str]
    requester_email: Mapped[str | None]  # None: a caller without e-mail
    language: Mapped[str]  # what the requester reads
    solution: Mapped[str | None]  # the valid one, in the requester's language
    # Opens nothing unless signed; replaced, it revokes every link given out.
    view_key: Mapped[str] = mapped_column(unique=True, default=random_token)
    # Hash of the form's own key: a form sent twice files once.
    submission: Mapped[str | None] = mapped_column(unique=True)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    resolved_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]
    follows_id: Mapped[str | None] = mapped_column(
        ForeignKey("tickets.id")
    )  # the closed one that it goes on from
    requester_wrote_at: Mapped[datetime | None]  # the last time, after the request itself
    agent_wrote_at: Mapped[datetime | None]  # publicly, the last time


class TicketMessage(Base):
    """Something said in a ticket. What is not public is for agents alone."""

    __tablename__ = "ticket_messages"
    __table_args__ = (Index("ix_ticket_messages_ticket_at", "ticket_id", "at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    ticket_id: Mapped[str] = mapped_column(ForeignKey("tickets.id"))
    author_kind: Mapped[str]  # rules.AuthorKind
    author: Mapped[str]  # an agent's login, the requester's name, or "" for the help desk itself
    body: Mapped[str]
    public: Mapped[bool]
    is_solution: Mapped[bool] = mapped_column(default=False)
    at: Mapped[datetime]


class TicketChange(Base):
    """A change of state: the ticket's history, from its first day."""

    __tablename__ = "ticket_changes"
    __table_args__ = (Index("ix_ticket_changes_ticket_at", "ticket_id", "at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    ticket_id: Mapped[str] = mapped_column(ForeignKey("tickets.id"))
    old_state: Mapped[str | None]  # None: it was filed
    new_state: Mapped[str]
    by: Mapped[str]  # an agent's login, "requester" or "system"
    at: Mapped[datetime]


class TicketIncidentLink(Base):
    """A ticket is about this incident: its resolution answers the ticket. Never deleted, only ended."""

    __tablename__ = "ticket_incident_links"
    __table_args__ = (
        Index(
            "uq_ticket_incident_links_open",
            "ticket_id",
            "notice_id",
            unique=True,
            sqlite_where=_OPEN_LINK,
            postgresql_where=_OPEN_LINK,
        ),
        Index("ix_ticket_incident_links_notice", "notice_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    ticket_id: Mapped[str] = mapped_column(ForeignKey("tickets.id"))
    notice_id: Mapped[str] = mapped_column(ForeignKey("notices.id"))
    how: Mapped[str]  # rules.How
    linked_by: Mapped[str]
    linked_at: Mapped[datetime]
    unlinked_at: Mapped[datetime | None]
    unlinked_by: Mapped[str | None]
    unlink_reason: Mapped[str | None]


class TicketAnswer(Base):
    """What a resolution owes a linked ticket. (ticket, resolution) is unique: nobody is answered twice."""

    __tablename__ = "ticket_answers"
    __table_args__ = (
        UniqueConstraint("ticket_id", "update_id", name="uq_ticket_answers_ticket_update"),
        Index("ix_ticket_answers_due", "due_at", sqlite_where=_WAITING, postgresql_where=_WAITING),
        Index("ix_ticket_answers_notice", "notice_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    ticket_id: Mapped[str] = mapped_column(ForeignKey("tickets.id"))
    notice_id: Mapped[str] = mapped_column(ForeignKey("notices.id"))
    update_id: Mapped[str] = mapped_column(ForeignKey("updates.id"))  # the resolution
    state: Mapped[str]  # rules.AnswerState
    reason: Mapped[str] = mapped_column(default="")  # why it was cancelled, or what went wrong last
    due_at: Mapped[datetime]
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]


class Attachment(Base):
    """A file of a ticket. Its content is kept once, whoever sent it: see `storage`."""

    __tablename__ = "attachments"
    __table_args__ = (
        Index("ix_attachments_ticket", "ticket_id", "created_at"),
        Index("ix_attachments_digest", "digest"),
        Index("ix_attachments_held", "created_at", sqlite_where=_HELD, postgresql_where=_HELD),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    ticket_id: Mapped[str] = mapped_column(ForeignKey("tickets.id"))
    message_id: Mapped[int | None] = mapped_column(ForeignKey("ticket_messages.id"))  # None: with the request
    name: Mapped[str]
    media_type: Mapped[str]  # by its content
    size: Mapped[int]  # bytes
    digest: Mapped[str]  # SHA-256
    state: Mapped[str]  # attachments.AttachmentState
    finding: Mapped[str] = mapped_column(default="")  # what the scanner found
    by: Mapped[str]  # an agent's login, or "requester"
    created_at: Mapped[datetime]
    scanned_at: Mapped[datetime | None]
