"""The demo's subscribers and requests: a few, so that lists, queues and histories are not empty.

Firms and addresses are fictional, under the domains kept for examples (RFC 2606). No mail is owed for them.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from notifiers.rules import SubscriberState
from notifiers.tables import Subscriber, SubscriberService
from statuspage.incidents.rules import IncidentStatus, NoticeKind
from statuspage.incidents.tables import Notice, Service, Update
from statuspage.kernel import config
from statuspage.kernel.build import build
from statuspage.kernel.events import next_number
from tickets.rules import AnswerState, AuthorKind, Channel, How, Kind, State, subject_of
from tickets.tables import Ticket, TicketAnswer, TicketChange, TicketIncidentLink, TicketMessage

CONTENT = Path(__file__).with_name("people.toml")
AGENT = "agent"
_REQUESTER, _SYSTEM = "requester", "system"


@dataclass(frozen=True, slots=True)
class Wish:
    """A confirmed subscription; no services means all."""

    email: str
    language: str
    days_ago: int
    services: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Request:
    """A request filed `minutes_ago`, or `minutes_into` its service's last incident, which answered it."""

    name: str
    language: str
    kind: Kind
    text: str
    email: str | None = None
    service: str | None = None
    channel: Channel = Channel.WEB
    minutes_ago: int = 0
    minutes_into: int | None = None
    answer: str | None = None
    answered_after: int = 0
    state: State = State.NEW


@dataclass(frozen=True, slots=True)
class Content:
    """people.toml."""

    subscribers: tuple[Wish, ...] = ()
    requests: tuple[Request, ...] = ()


def read_content(path: Path = CONTENT) -> Content:
    """The content of people.toml. Raises Invalid naming file and key."""
    return build(Content, tomllib.loads(path.read_text(encoding="utf-8")), where=path.name)


def fill(session: Session, *, settings: config.Tickets, now: datetime) -> bool:
    """Write subscribers and requests; False when there are some. The history has to be there before."""
    if session.scalar(select(Subscriber.id).limit(1)) or session.scalar(select(Ticket.id).limit(1)):
        return False
    services = {
        row.code: row.id for row in session.scalars(select(Service).where(Service.archived_at.is_(None)))
    }
    content = read_content()
    for wish in content.subscribers:
        _subscribe(session, wish, services, now)
    filed = [(_filed_at(session, request, services, now), request) for request in content.requests]
    for filed_at, request in sorted(filed, key=lambda pair: pair[0]):
        _file(session, request, services, settings, filed_at)
    session.flush()
    return True


def _subscribe(session: Session, wish: Wish, services: Mapping[str, str], now: datetime) -> None:
    asked_at = now - timedelta(days=wish.days_ago)
    confirmed_at = asked_at + timedelta(minutes=4)
    subscriber = Subscriber(
        email=wish.email,
        language=wish.language,
        state=SubscriberState.ACTIVE,
        all_services=not wish.services,
        created_at=asked_at,
        confirmed_at=confirmed_at,
        consent=f"confirmed {confirmed_at:%Y-%m-%dT%H:%M:%SZ} by the link sent to the address (demo)",
        last_confirmation_at=asked_at,
    )
    session.add(subscriber)
    session.flush()
    for code in wish.services:
        session.add(SubscriberService(subscriber_id=subscriber.id, service_id=services[code]))


def _filed_at(session: Session, request: Request, services: Mapping[str, str], now: datetime) -> datetime:
    if request.minutes_into is None:
        return now - timedelta(minutes=request.minutes_ago)
    return _incident(session, services[request.service or ""]).began_at + timedelta(
        minutes=request.minutes_into
    )


def _incident(session: Session, service_id: str) -> Notice:
    """The last incident that began at this service."""
    query = select(Notice).where(Notice.kind == NoticeKind.INCIDENT, Notice.root_service_id == service_id)
    return session.scalars(query.order_by(Notice.began_at.desc()).limit(1)).one()


def _file(
    session: Session,
    request: Request,
    services: Mapping[str, str],
    settings: config.Tickets,
    filed_at: datetime,
) -> None:
    number = next_number(session, "tickets", first=settings.first_number)
    ticket = Ticket(
        number=f"{settings.number_prefix}{number}",
        kind=request.kind,
        state=State.NEW,
        channel=request.channel,
        service_id=services[request.service] if request.service else None,
        subject=subject_of(request.text),
        text=request.text.strip(),
        requester_name=request.name,
        requester_email=request.email,
        language=request.language,
        created_at=filed_at,
        updated_at=filed_at,
    )
    session.add(ticket)
    session.flush()
    by = _REQUESTER if request.channel is Channel.WEB else AGENT
    session.add(TicketChange(ticket_id=ticket.id, old_state=None, new_state=State.NEW, by=by, at=filed_at))
    if request.minutes_into is not None:
        _answer_by_incident(session, ticket, _incident(session, services[request.service or ""]))
    elif request.answer:
        answered_at = filed_at + timedelta(minutes=request.answered_after)
        is_solution = request.state is State.RESOLVED
        _enter(session, ticket, State.OPEN, AGENT, answered_at - timedelta(minutes=3))
        _say(session, ticket, request.answer.strip(), AGENT, answered_at, is_solution=is_solution)
        _enter(session, ticket, request.state, AGENT, answered_at)
    session.flush()


def _answer_by_incident(session: Session, ticket: Ticket, notice: Notice) -> None:
    """Suggested, linked by an agent, and answered by the incident's resolution."""
    resolution = session.scalars(
        select(Update).where(Update.notice_id == notice.id, Update.status == IncidentStatus.RESOLVED)
    ).one()
    linked_at = ticket.created_at + timedelta(minutes=11)
    answered_at = resolution.created_at + timedelta(minutes=10)
    link = TicketIncidentLink(
        ticket_id=ticket.id, notice_id=notice.id, how=How.SUGGESTED, linked_by=AGENT, linked_at=linked_at
    )
    answer = TicketAnswer(
        ticket_id=ticket.id,
        notice_id=notice.id,
        update_id=resolution.id,
        state=AnswerState.GIVEN,
        due_at=answered_at,
        created_at=resolution.created_at,
        finished_at=answered_at,
    )
    session.add_all([link, answer])
    _enter(session, ticket, State.PENDING_INCIDENT, AGENT, linked_at)
    text = resolution.text_pl if ticket.language == "pl" else resolution.text_en
    _say(session, ticket, text, _SYSTEM, answered_at, is_solution=True)
    _enter(session, ticket, State.RESOLVED, _SYSTEM, answered_at)


def _say(session: Session, ticket: Ticket, text: str, by: str, at: datetime, *, is_solution: bool) -> None:
    message = TicketMessage(
        ticket_id=ticket.id,
        author_kind=AuthorKind.SYSTEM if by == _SYSTEM else AuthorKind.AGENT,
        author="" if by == _SYSTEM else by,
        body=text,
        public=True,
        is_solution=is_solution,
        at=at,
    )
    session.add(message)
    if is_solution:
        ticket.solution = text


def _enter(session: Session, ticket: Ticket, state: State, by: str, at: datetime) -> None:
    if ticket.state == state:
        return
    session.add(TicketChange(ticket_id=ticket.id, old_state=ticket.state, new_state=state, by=by, at=at))
    ticket.state = state
    ticket.updated_at = at
    if state is State.RESOLVED:
        ticket.resolved_at = at
