"""What a requester does with a request of theirs: write, attach, withdraw, go on from one that is closed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from statuspage.incidents.tables import Service
from statuspage.kernel.errors import Conflict, Invalid, NotFound
from statuspage.kernel.house import House
from tickets import attachments, requests, rules
from tickets.attachments import Offered, Sent
from tickets.requests import REQUESTER, Filed, NewRequest
from tickets.rules import AuthorKind, Draft, Kind, State
from tickets.tables import Ticket, TicketMessage


@dataclass(frozen=True, slots=True)
class Related:
    """A request that goes on from another, or from which this one goes on."""

    number: str
    view_key: str
    subject: str


def write(
    session: Session, view_key: str, body: str, files: Sequence[Sent], *, house: House, now: datetime
) -> None:
    """Add words and files. What waited for the requester is worked on again; what was solved is open again.

    Raises Invalid naming `text` or `files`, Conflict once it is closed, NotFound.
    """
    ticket = locked(session, view_key)
    state = State(ticket.state)
    _check_open(state)
    body = rules.tidied(body).strip()
    if not files and (problem := rules.answer_problem(body)):
        raise Invalid("text", problem)
    if len(body) > rules.MAX_TEXT:
        raise Invalid("text", "The text is too long: at most 5000 characters fit. Shorten it.")
    message = TicketMessage(
        ticket_id=ticket.id,
        author_kind=AuthorKind.REQUESTER,
        author=ticket.requester_name,
        body=body,
        public=True,
        at=now,
    )
    session.add(message)
    session.flush()
    attachments.attach(
        session,
        ticket,
        files,
        message_id=message.id,
        by=REQUESTER,
        is_scanned=house.settings.tickets.clamd is not None,
        now=now,
    )
    ticket.updated_at = ticket.requester_wrote_at = now
    if state is State.RESOLVED:
        ticket.solution = None  # it stays among the messages, and is no longer what stands pinned
    requests.enter(session, ticket, rules.state_after_requester(state), by=REQUESTER, now=now)


def check_files(session: Session, view_key: str, files: Sequence[Offered]) -> None:
    """Raises what `write` would for these files: asked before any of them is kept."""
    ticket = session.scalar(select(Ticket).where(Ticket.view_key == view_key))
    if ticket is None:
        raise NotFound("there is no such request")
    _check_open(State(ticket.state))
    attachments.check(session, ticket.id, files)


def _check_open(state: State) -> None:
    if state in rules.FINAL:
        raise Conflict("This request is closed. Send a new one that goes on from it.")


def withdraw(session: Session, view_key: str, *, now: datetime) -> None:
    """The requester no longer needs it. Raises Conflict where it is over already, NotFound."""
    ticket = locked(session, view_key)
    if State(ticket.state) not in rules.UNSOLVED:
        raise Conflict("This request is over already; there is nothing to withdraw.")
    requests.enter(session, ticket, State.WITHDRAWN, by=REQUESTER, now=now)


def follow_up(
    session: Session,
    view_key: str,
    body: str,
    *,
    submission: str | None,
    house: House,
    now: datetime,
) -> Filed:
    """A new request that goes on from a closed one. Raises Invalid naming `text`, Conflict, NotFound."""
    before = locked(session, view_key)
    if State(before.state) not in rules.FINAL:
        raise Conflict("This request is not closed: write in it.")
    body = rules.tidied(body).strip()
    if problem := rules.text_problem(body):
        raise Invalid("text", problem)
    service = session.get(Service, before.service_id) if before.service_id else None
    is_there = service is not None and service.archived_at is None
    code = service.code if service is not None and is_there else ""
    is_kept = before.kind in rules.FILED_ONLINE and (code or before.kind != Kind.FAILURE)
    draft = Draft(
        kind=before.kind if is_kept else Kind.QUESTION,
        service=code,
        name=before.requester_name,
        email=before.requester_email or "",
        text=body,
    )
    filed = requests.file_request(
        session, NewRequest(draft, before.language, submission=submission), house=house, now=now
    )
    session.get_one(Ticket, filed.ticket_id).follows_id = before.id
    return filed


def locked(session: Session, view_key: str) -> Ticket:
    """The ticket that a signed link opens, ours alone until the unit of work ends. Raises NotFound."""
    ticket = session.scalar(select(Ticket).where(Ticket.view_key == view_key).with_for_update())
    if ticket is None:
        raise NotFound("there is no such request")
    return ticket


def related(session: Session, ticket_id: str) -> tuple[Related | None, tuple[Related, ...]]:
    """The request that it goes on from, and those that go on from it."""
    ticket = session.get_one(Ticket, ticket_id)
    before = session.get(Ticket, ticket.follows_id) if ticket.follows_id else None
    later = session.scalars(
        select(Ticket).where(Ticket.follows_id == ticket_id).order_by(Ticket.created_at)
    ).all()
    return (_related(before) if before else None, tuple(map(_related, later)))


def _related(ticket: Ticket) -> Related:
    return Related(ticket.number, ticket.view_key, ticket.subject)
