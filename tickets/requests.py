"""Requests: filed, queued, answered, solved, closed. The only place that changes a ticket's state."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import Session

from notifiers.rules import check_address
from statuspage.incidents.snapshot import Text
from statuspage.incidents.tables import Service
from statuspage.kernel.errors import Conflict, Invalid, NotFound
from statuspage.kernel.events import next_number
from statuspage.kernel.house import House
from statuspage.kernel.security import hash_token
from tickets import letters, rules
from tickets.rules import AuthorKind, Channel, Draft, Kind, State
from tickets.tables import Ticket, TicketChange, TicketIncidentLink, TicketMessage

REQUESTER = "requester"
SYSTEM = "system"
PAGE = 100


# --- filed ---


@dataclass(frozen=True, slots=True)
class NewRequest:
    """A request to be filed. `submission` is the form's own key: the same form sent twice files once."""

    draft: Draft
    language: str
    channel: Channel = Channel.WEB
    submission: str | None = None


@dataclass(frozen=True, slots=True)
class Filed:
    """A filed request: its number for people, and the key its signed link is made of."""

    ticket_id: str
    number: str
    view_key: str


def file_request(session: Session, new: NewRequest, *, house: House, now: datetime) -> Filed:
    """File it and owe the acknowledgement, in one unit of work.

    Raises Invalid naming the first wrong field, Conflict when this form was sent before (see `filed_before`).
    """
    draft = new.draft
    if found := rules.problems(draft):
        raise Invalid(found[0].field, found[0].message, **found[0].values)
    email = check_address(draft.email)
    service = find_service(session, draft.service) if draft.service else None
    if draft.service and service is None:
        raise Invalid("service", "Choose a service from the list.")
    # The counter's row is locked from here: who sends the same form at the same time waits, then finds it.
    number = next_number(session, "tickets", first=house.settings.tickets.first_number)
    if new.submission and filed_before(session, new.submission):
        raise Conflict("this form was sent before")
    filed_today = _filed_since(session, email, now - timedelta(days=1))
    ticket = Ticket(
        number=f"{house.settings.tickets.number_prefix}{number}",
        kind=draft.kind,
        state=State.NEW,
        channel=new.channel,
        service_id=service.id if service else None,
        subject=rules.subject_of(draft.text),
        text=draft.text,
        requester_name=draft.name,
        requester_email=email,
        language=new.language,
        submission=hash_token(new.submission) if new.submission else None,
        created_at=now,
        updated_at=now,
    )
    session.add(ticket)
    session.flush()
    session.add(TicketChange(ticket_id=ticket.id, old_state=None, new_state=State.NEW, by=REQUESTER, at=now))
    if filed_today < rules.ACKNOWLEDGEMENTS_A_DAY:
        letters.acknowledge(session, ticket, name_of(service), house=house, now=now)
    return Filed(ticket.id, ticket.number, ticket.view_key)


def filed_before(session: Session, submission: str) -> Filed | None:
    """The request that this form filed, if it was sent already."""
    ticket = session.scalar(select(Ticket).where(Ticket.submission == hash_token(submission)))
    return Filed(ticket.id, ticket.number, ticket.view_key) if ticket else None


def _filed_since(session: Session, email: str, since: datetime) -> int:
    recent = (
        select(Ticket.id)
        .where(Ticket.requester_email == email, Ticket.created_at > since)
        .limit(rules.ACKNOWLEDGEMENTS_A_DAY + 1)
    )
    return session.scalar(select(func.count()).select_from(recent.subquery())) or 0


def find_service(session: Session, code: str) -> Service | None:
    """The service of the catalogue with this code."""
    return session.scalar(select(Service).where(Service.code == code, Service.archived_at.is_(None)))


@dataclass(frozen=True, slots=True)
class Choice:
    """A service to choose."""

    id: str
    code: str
    name: Text


def services(session: Session) -> tuple[Choice, ...]:
    """Every service that a request can be about, in the catalogue's order."""
    rows = session.scalars(select(Service).where(Service.archived_at.is_(None)).order_by(Service.position))
    return tuple(Choice(row.id, row.code, Text(row.name_pl, row.name_en)) for row in rows)


def name_of(service: Service | None) -> Text | None:
    """A service's name in both languages."""
    return Text(service.name_pl, service.name_en) if service else None


# --- read ---


@dataclass(frozen=True, slots=True)
class Said:
    """A message, as pages show it."""

    author_kind: AuthorKind
    author: str
    body: str
    public: bool
    is_solution: bool
    at: datetime
    id: int


@dataclass(frozen=True, slots=True)
class Step:
    """A change of state, as pages show it."""

    state: State
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class TicketView:
    """A ticket with what was said in it, oldest first."""

    id: str
    number: str
    kind: Kind
    state: State
    channel: Channel
    service_id: str | None
    service_code: str | None
    service: Text | None
    subject: str
    text: str
    requester_name: str
    requester_email: str | None
    language: str
    solution: str | None
    view_key: str
    created_at: datetime
    updated_at: datetime
    resolved_at: datetime | None
    agent_wrote_at: datetime | None
    messages: tuple[Said, ...]
    steps: tuple[Step, ...]

    @property
    def public_messages(self) -> tuple[Said, ...]:
        """What the requester may read, without the solution that stands pinned."""
        return tuple(m for m in self.messages if m.public and not (m.is_solution and m.body == self.solution))

    @property
    def may_be_solved(self) -> bool:
        """Whether an agent may set the solution now."""
        return rules.may_follow(self.state, State.RESOLVED)

    @property
    def may_be_answered(self) -> bool:
        """Whether the requester may still be written to."""
        return self.state not in rules.FINAL


def view(session: Session, number: str) -> TicketView:
    """The ticket with this number. Raises NotFound."""
    return _view(session, session.scalar(select(Ticket).where(Ticket.number == number)))


def view_by_key(session: Session, view_key: str) -> TicketView:
    """The ticket that a signed link opens. Raises NotFound."""
    return _view(session, session.scalar(select(Ticket).where(Ticket.view_key == view_key)))


def _view(session: Session, ticket: Ticket | None) -> TicketView:
    if ticket is None:
        raise NotFound("there is no such request")
    service = session.get(Service, ticket.service_id) if ticket.service_id else None
    messages = session.scalars(
        select(TicketMessage)
        .where(TicketMessage.ticket_id == ticket.id)
        .order_by(TicketMessage.at, TicketMessage.id)
    )
    changes = session.scalars(
        select(TicketChange)
        .where(TicketChange.ticket_id == ticket.id)
        .order_by(TicketChange.at, TicketChange.id)
    )
    return TicketView(
        id=ticket.id,
        number=ticket.number,
        kind=Kind(ticket.kind),
        state=State(ticket.state),
        channel=Channel(ticket.channel),
        service_id=ticket.service_id,
        service_code=service.code if service else None,
        service=name_of(service),
        subject=ticket.subject,
        text=ticket.text,
        requester_name=ticket.requester_name,
        requester_email=ticket.requester_email,
        language=ticket.language,
        solution=ticket.solution,
        view_key=ticket.view_key,
        created_at=ticket.created_at,
        updated_at=ticket.updated_at,
        resolved_at=ticket.resolved_at,
        agent_wrote_at=ticket.agent_wrote_at,
        messages=tuple(
            Said(AuthorKind(m.author_kind), m.author, m.body, m.public, m.is_solution, m.at, m.id)
            for m in messages
        ),
        steps=tuple(Step(State(c.new_state), c.by, c.at) for c in changes),
    )


@dataclass(frozen=True, slots=True)
class Filter:
    """Which tickets the queue shows. `service` is a code; None means any."""

    states: frozenset[State] = rules.UNSOLVED
    service: str | None = None
    incident_id: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the queue."""

    number: str
    kind: Kind
    state: State
    service_code: str | None
    subject: str
    requester_name: str
    requester_email: str | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Queue:
    """A page of the queue, longest waiting first; `after` is the number that the next page begins behind."""

    rows: tuple[Row, ...]
    total: int
    after: str | None


def queue(session: Session, wanted: Filter, *, after: str | None = None, limit: int = PAGE) -> Queue:
    """The tickets of `wanted`, by keyset, so that a late page costs what the first does."""
    conditions = _conditions(wanted)
    total = session.scalar(select(func.count()).select_from(Ticket).where(*conditions)) or 0
    if last := session.scalar(select(Ticket).where(Ticket.number == after)) if after else None:
        later = and_(Ticket.created_at == last.created_at, Ticket.id > last.id)
        conditions.append(or_(Ticket.created_at > last.created_at, later))
    found = session.execute(
        select(Ticket, Service.code)
        .outerjoin(Service, Service.id == Ticket.service_id)
        .where(*conditions)
        .order_by(Ticket.created_at, Ticket.id)
        .limit(limit + 1)
    ).all()
    rows = tuple(row(ticket, code) for ticket, code in found[:limit])
    return Queue(rows, total, rows[-1].number if len(found) > limit else None)


def row(ticket: Ticket, service_code: str | None) -> Row:
    """A ticket as a line of a table."""
    return Row(
        number=ticket.number,
        kind=Kind(ticket.kind),
        state=State(ticket.state),
        service_code=service_code,
        subject=ticket.subject,
        requester_name=ticket.requester_name,
        requester_email=ticket.requester_email,
        created_at=ticket.created_at,
        updated_at=ticket.updated_at,
    )


def _conditions(wanted: Filter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [Ticket.state.in_(wanted.states)]
    if wanted.service:
        conditions.append(Ticket.service_id.in_(select(Service.id).where(Service.code == wanted.service)))
    if wanted.incident_id:
        linked = select(TicketIncidentLink.ticket_id).where(
            TicketIncidentLink.notice_id == wanted.incident_id, TicketIncidentLink.unlinked_at.is_(None)
        )
        conditions.append(Ticket.id.in_(linked))
    return conditions


COUNTED = tuple(sorted(rules.UNSOLVED | {State.RESOLVED}, key=list(State).index))


def counts(session: Session) -> Mapping[State, int]:
    """How many tickets are in each state that still moves, zeros too."""
    found = session.execute(
        select(Ticket.state, func.count()).where(Ticket.state.in_(COUNTED)).group_by(Ticket.state)
    )
    return dict.fromkeys(COUNTED, 0) | {State(state): count for state, count in found}


# --- worked on ---


def locked(session: Session, number: str) -> Ticket:
    """The ticket with this number, ours alone until the unit of work ends. Raises NotFound."""
    ticket = session.scalar(select(Ticket).where(Ticket.number == number).with_for_update())
    if ticket is None:
        raise NotFound("there is no request %(request)s", request=number)
    return ticket


def refused(ticket: Ticket) -> Conflict:
    """Why what was asked cannot be done with it as it stands."""
    state = State(ticket.state)
    if state in rules.FINAL:
        return Conflict(
            "request %(request)s is closed for good; nothing more can be done with it", request=ticket.number
        )
    if state is State.RESOLVED:
        return Conflict("request %(request)s is resolved already", request=ticket.number)
    return Conflict("request %(request)s cannot take this step from where it stands", request=ticket.number)


def enter(session: Session, ticket: Ticket, new: State, *, by: str, now: datetime) -> None:
    """Move the ticket to `new` and keep that in its history. Raises Conflict where `new` may not follow."""
    old = State(ticket.state)
    if old is new:
        return
    if not rules.may_follow(old, new):
        raise refused(ticket)
    ticket.state = new
    ticket.updated_at = now
    if new is State.RESOLVED:
        ticket.resolved_at = now
    elif new is not State.CLOSED:
        ticket.resolved_at = None
    if new in rules.FINAL:
        ticket.closed_at = now
    session.add(TicketChange(ticket_id=ticket.id, old_state=old, new_state=new, by=by, at=now))


def note(session: Session, number: str, body: str, *, by: str, now: datetime) -> None:
    """Write an internal note: for agents alone, in any state. Raises Invalid, NotFound."""
    ticket = locked(session, number)
    _say(session, ticket, _checked("note", body), by=by, now=now, public=False)


def answer(session: Session, number: str, body: str, *, by: str, house: House, now: datetime) -> None:
    """Write to the requester, by mail too. Raises Invalid, NotFound, Conflict once it is closed."""
    ticket = locked(session, number)
    if State(ticket.state) in rules.FINAL:
        raise refused(ticket)
    message = _say(session, ticket, _checked("answer", body), by=by, now=now, public=True)
    enter(session, ticket, rules.state_after_answer(State(ticket.state)), by=by, now=now)
    letters.send_answer(session, ticket, message, house=house, now=now)


def ask(session: Session, number: str, body: str, *, by: str, house: House, now: datetime) -> None:
    """Ask the requester back: the clock stands still until they answer. Raises Invalid, NotFound, Conflict."""
    ticket = locked(session, number)
    if State(ticket.state) not in rules.UNSOLVED:
        raise Conflict("This request is over; nothing more is asked of its requester.")
    message = _say(session, ticket, _checked("answer", body), by=by, now=now, public=True)
    enter(session, ticket, State.PENDING_CUSTOMER, by=by, now=now)
    letters.ask_back(session, ticket, message, house=house, now=now)


def solve(session: Session, number: str, body: str, *, by: str, house: House, now: datetime) -> None:
    """Set the solution, resolve the ticket, and mail the requester. Raises Invalid, NotFound, Conflict."""
    resolve(session, locked(session, number), _checked("solution", body), by=by, house=house, now=now)


def resolve(
    session: Session,
    ticket: Ticket,
    solution: str,
    *,
    by: str,
    house: House,
    now: datetime,
    key: str | None = None,
    incident: letters.IncidentLink | None = None,
) -> None:
    """Resolve a locked ticket with `solution` and owe one mail, known by `key`, in the same unit of work.

    Raises Conflict where it cannot be resolved.
    """
    if not rules.may_follow(State(ticket.state), State.RESOLVED):
        raise refused(ticket)
    message = _say(session, ticket, solution, by=by, now=now, public=True, is_solution=True)
    enter(session, ticket, State.RESOLVED, by=by, now=now)
    ticket.solution = solution
    letters.send_solution(
        session, ticket, key=key or f"ticket-solution:{message.id}", incident=incident, house=house, now=now
    )


def close_resolved(session: Session, *, now: datetime, limit: int = 500) -> int:
    """Close tickets whose time to reopen has passed. Returns how many; call again while it is `limit`."""
    due: Sequence[Ticket] = session.scalars(
        select(Ticket)
        .where(Ticket.state == State.RESOLVED, Ticket.resolved_at <= now - rules.CLOSE_AFTER)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    for ticket in due:
        enter(session, ticket, State.CLOSED, by=SYSTEM, now=now)
    return len(due)


def _checked(field: str, body: str) -> str:
    body = rules.tidied(body).strip()
    if problem := rules.answer_problem(body):
        raise Invalid(field, problem)
    return body


def _say(
    session: Session,
    ticket: Ticket,
    body: str,
    *,
    by: str,
    now: datetime,
    public: bool,
    is_solution: bool = False,
) -> TicketMessage:
    message = TicketMessage(
        ticket_id=ticket.id,
        author_kind=AuthorKind.SYSTEM if by == SYSTEM else AuthorKind.AGENT,
        author="" if by == SYSTEM else by,
        body=body,
        public=public,
        is_solution=is_solution,
        at=now,
    )
    session.add(message)
    session.flush()
    ticket.updated_at = now
    if public and by != SYSTEM:
        ticket.agent_wrote_at = now
    return message
