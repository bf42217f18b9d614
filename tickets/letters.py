"""The help desk's mails to requesters, and the one place here that knows the outbox.

A letter is known by its key: owed twice, it is sent once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from notifiers import outbox
from statuspage.incidents.snapshot import Text
from statuspage.kernel import web
from statuspage.kernel.house import House
from tickets.tables import Ticket, TicketMessage

VIEW = "ticket"  # the signer's purpose


@dataclass(frozen=True, slots=True)
class IncidentLink:
    """The incident whose resolution answers a ticket."""

    id: str
    name: Text


def request_path(house: House, view_key: str) -> str:
    """Where the requester follows it. Signed: every mail can carry it, and the table gives none away."""
    return f"/desk/requests/{house.signer.sign(VIEW, view_key)}"


@dataclass(frozen=True, slots=True)
class _Letter:
    """One mail of this room: its template, the subject's msgid, and what the template adds to the usual."""

    template: str
    key: str
    subject: str
    context: Mapping[str, Any]
    auto_submitted: str = "auto-generated"  # RFC 3834 §5


def acknowledge(
    session: Session, ticket: Ticket, service: Text | None, *, house: House, now: datetime
) -> None:
    """Owe the acknowledgement of a filed request."""
    letter = _Letter(
        template="acknowledgement",
        key=f"ticket-filed:{ticket.id}",
        subject="{number}: we have received your request",
        context={"service": service[ticket.language] if service else None},
        auto_submitted="auto-replied",
    )
    _queue(session, ticket, letter, house=house, now=now)


def send_answer(
    session: Session, ticket: Ticket, message: TicketMessage, *, house: House, now: datetime
) -> None:
    """Owe the mail with an agent's public answer."""
    letter = _Letter(
        template="answer",
        key=f"ticket-answer:{message.id}",
        subject="{number}: an answer to your request",
        context={"body": message.body},
    )
    _queue(session, ticket, letter, house=house, now=now)


def ask_back(
    session: Session, ticket: Ticket, message: TicketMessage, *, house: House, now: datetime
) -> None:
    """Owe the mail with what an agent needs to know before it goes on."""
    letter = _Letter(
        template="question",
        key=f"ticket-answer:{message.id}",
        subject="{number}: we need your answer to go on",
        context={"body": message.body},
    )
    _queue(session, ticket, letter, house=house, now=now)


def send_solution(
    session: Session,
    ticket: Ticket,
    *,
    key: str,
    incident: IncidentLink | None,
    house: House,
    now: datetime,
) -> None:
    """Owe the mail with the solution."""
    context: dict[str, Any] = {"solution": ticket.solution, "incident_name": None, "incident_url": None}
    if incident:
        context["incident_name"] = incident.name[ticket.language]
        context["incident_url"] = f"{_base(house, ticket)}/incidents/{incident.id}"
    letter = _Letter("solution", key, "{number}: your request is resolved", context)
    _queue(session, ticket, letter, house=house, now=now)


def _base(house: House, ticket: Ticket) -> str:
    return f"{house.settings.server.base_url}/{ticket.language}"


def _queue(session: Session, ticket: Ticket, letter: _Letter, *, house: House, now: datetime) -> None:
    """Owe one mail. Nothing is owed to a caller without an address."""
    if ticket.requester_email is None:
        return
    context = {
        "number": ticket.number,
        "asked": ticket.text,
        "url": _base(house, ticket) + request_path(house, ticket.view_key),
        **letter.context,
    }
    outbox.queue(
        session,
        kind=f"ticket.{letter.template}",
        key=letter.key,
        address=ticket.requester_email,
        language=ticket.language,
        subject=house.catalogues.gettext(ticket.language, letter.subject).format(number=ticket.number),
        text=web.page(house, f"tickets/mail/{letter.template}.txt", ticket.language, context, now=now),
        html=web.page(house, f"tickets/mail/{letter.template}.html", ticket.language, context, now=now),
        headers={"Auto-Submitted": letter.auto_submitted},
        now=now,
    )
