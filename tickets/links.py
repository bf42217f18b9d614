"""Which tickets are about which incident, and what was promised to them; `answers` keeps the promises."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Select, case, func, or_, select
from sqlalchemy.orm import Session

from statuspage.incidents.rules import NoticeKind
from statuspage.incidents.snapshot import Text
from statuspage.incidents.tables import Notice, NoticeService, Service, Update
from statuspage.kernel.errors import Conflict, Invalid, NotFound
from tickets import promises, requests, rules
from tickets.rules import AnswerState, Cancelled, How, State
from tickets.tables import Ticket, TicketAnswer, TicketIncidentLink

SHOWN = 150  # suggestions and linked tickets on one page; linking those brings the next
MAX_REASON = 500

_open = TicketIncidentLink.unlinked_at.is_(None)


# --- incidents, as the help desk sees them ---


@dataclass(frozen=True, slots=True)
class IncidentView:
    """An incident with the last word on it."""

    id: str
    name: Text
    status: str
    began_at: datetime
    ended_at: datetime | None
    resolved_at: datetime | None
    latest: Text
    latest_at: datetime | None
    resolution: Text | None  # what said that it is over, and answers the linked tickets
    services: tuple[str, ...]  # codes


def incident(session: Session, notice_id: str) -> IncidentView:
    """A published incident. Raises NotFound."""
    return _viewed(session, _published(session, notice_id))


def open_incidents_of(session: Session, service_id: str) -> tuple[IncidentView, ...]:
    """What is known to be wrong with this service now, oldest first."""
    notices = session.scalars(
        _incidents()
        .join(NoticeService, NoticeService.notice_id == Notice.id)
        .where(NoticeService.service_id == service_id, Notice.resolved_at.is_(None))
        .order_by(Notice.began_at, Notice.id)
    ).all()
    return tuple(_viewed(session, notice) for notice in notices)


def incidents_of(session: Session, ticket_id: str) -> tuple[IncidentView, ...]:
    """The published incidents that a ticket is linked to, oldest link first: what its requester may know."""
    notices = session.scalars(
        _incidents()
        .join(TicketIncidentLink, TicketIncidentLink.notice_id == Notice.id)
        .where(TicketIncidentLink.ticket_id == ticket_id, _open)
        .order_by(TicketIncidentLink.id)
    ).all()
    return tuple(_viewed(session, notice) for notice in notices)


def linkable(session: Session, *, now: datetime) -> tuple[IncidentView, ...]:
    """The incidents that an agent may want to link to: open ones, and those over for less than two hours."""
    recent = or_(Notice.resolved_at.is_(None), Notice.resolved_at >= now - rules.SUGGEST_AFTER_END)
    query = (
        _incidents().where(recent, Notice.merged_into_id.is_(None)).order_by(Notice.began_at.desc()).limit(50)
    )
    return tuple(_viewed(session, notice) for notice in session.scalars(query).all())


def _incidents() -> Select[Notice]:
    return select(Notice).where(Notice.kind == NoticeKind.INCIDENT, Notice.published_at.is_not(None))


def _published(session: Session, notice_id: str, *, lock: bool = False) -> Notice:
    query = _incidents().where(Notice.id == notice_id)
    if lock:
        # One at a time for an incident: a link made while it is being resolved is either seen or sees it.
        query = query.with_for_update().execution_options(populate_existing=True)
    notice = session.scalar(query)
    if notice is None:
        raise NotFound("there is no incident %(incident)s", incident=notice_id)
    return notice


def _viewed(session: Session, notice: Notice) -> IncidentView:
    last = session.scalars(
        select(Update).where(Update.notice_id == notice.id).order_by(Update.position.desc()).limit(1)
    ).first()
    over = promises.resolution_of(session, notice.id) if notice.resolved_at else None
    codes = session.scalars(
        select(Service.code)
        .join(NoticeService, NoticeService.service_id == Service.id)
        .where(NoticeService.notice_id == notice.id)
        .order_by(Service.position)
    )
    return IncidentView(
        id=notice.id,
        name=Text(notice.name_pl, notice.name_en),
        status=notice.status,
        began_at=notice.began_at,
        ended_at=notice.ended_at,
        resolved_at=notice.resolved_at,
        latest=Text(last.text_pl, last.text_en) if last else Text("", ""),
        latest_at=last.display_at if last else None,
        resolution=Text(over.text_pl, over.text_en) if over else None,
        services=tuple(codes),
    )


# --- suggested ---


@dataclass(frozen=True, slots=True)
class Suggestions:
    """Tickets that are probably about an incident: the first of `total`."""

    rows: tuple[requests.Row, ...]
    total: int


def suggestions(session: Session, notice_id: str, *, now: datetime) -> Suggestions:
    """Unsolved tickets about the incident's services, filed in its window and not linked yet; failures first.

    Services impacted through a parent count too: the incident names them. Raises NotFound.
    """
    notice = _published(session, notice_id)
    window = rules.suggestion_window(notice.began_at, notice.ended_at or notice.resolved_at, now=now)
    affected = select(NoticeService.service_id).where(NoticeService.notice_id == notice_id)
    conditions: list[ColumnElement[bool]] = [
        Ticket.service_id.in_(affected),
        Ticket.created_at >= window.begin,
        Ticket.created_at <= window.end,
        Ticket.state.in_(rules.SUGGESTED_STATES),
        Ticket.kind.in_(rules.SUGGESTED_KINDS),
        ~select(TicketIncidentLink.id)
        .join(Notice, Notice.id == TicketIncidentLink.notice_id)
        .where(
            TicketIncidentLink.ticket_id == Ticket.id,
            _open,
            or_(TicketIncidentLink.notice_id == notice_id, Notice.resolved_at.is_(None)),
        )
        .exists(),
    ]
    total = session.scalar(select(func.count()).select_from(Ticket).where(*conditions)) or 0
    failures_first = case((Ticket.kind == rules.Kind.FAILURE, 0), else_=1)
    return Suggestions(_rows(session, conditions, failures_first), total)


def _rows(
    session: Session, conditions: Sequence[ColumnElement[bool]], first: ColumnElement[int]
) -> tuple[requests.Row, ...]:
    found = session.execute(
        select(Ticket, Service.code)
        .outerjoin(Service, Service.id == Ticket.service_id)
        .where(*conditions)
        .order_by(first, Ticket.created_at, Ticket.id)
        .limit(SHOWN)
    )
    return tuple(requests.row(ticket, code) for ticket, code in found)


# --- linked ---


@dataclass(frozen=True, slots=True)
class LinkView:
    """A link as agents see it; `answer` is what became of the promised answer."""

    number: str
    subject: str
    requester_name: str
    language: str
    state: State
    incident_id: str
    incident_name: Text
    how: How
    linked_by: str
    linked_at: datetime
    unlinked_at: datetime | None
    unlinked_by: str | None
    unlink_reason: str | None
    answer: AnswerState | None
    answer_reason: str
    answer_at: datetime | None  # when it was given, or is due


@dataclass(frozen=True, slots=True)
class Linked:
    """The tickets linked to an incident: the first of `total`, and what became of their answers."""

    rows: tuple[LinkView, ...]
    total: int
    given: int
    waiting: int
    by_language: Mapping[str, int]


def linked(session: Session, notice_id: str) -> Linked:
    """The tickets linked to an incident, oldest link first."""
    answers = dict(
        session.execute(
            select(TicketAnswer.state, func.count())
            .where(TicketAnswer.notice_id == notice_id)
            .group_by(TicketAnswer.state)
        ).all()
    )
    languages = dict(
        session.execute(
            select(Ticket.language, func.count())
            .join(TicketIncidentLink, TicketIncidentLink.ticket_id == Ticket.id)
            .where(TicketIncidentLink.notice_id == notice_id, _open)
            .group_by(Ticket.language)
        ).all()
    )
    return Linked(
        rows=_link_views(session, [TicketIncidentLink.notice_id == notice_id, _open]),
        total=sum(languages.values()),
        given=answers.get(AnswerState.GIVEN, 0),
        waiting=answers.get(AnswerState.WAITING, 0),
        by_language=languages,
    )


def links_of(session: Session, ticket_id: str) -> tuple[LinkView, ...]:
    """Every link a ticket has or had, oldest first."""
    return _link_views(session, [TicketIncidentLink.ticket_id == ticket_id])


def _link_views(session: Session, conditions: Sequence[ColumnElement[bool]]) -> tuple[LinkView, ...]:
    newest = (
        select(TicketAnswer.id)
        .where(
            TicketAnswer.ticket_id == TicketIncidentLink.ticket_id,
            TicketAnswer.notice_id == TicketIncidentLink.notice_id,
        )
        .order_by(TicketAnswer.id.desc())
        .limit(1)
        .correlate(TicketIncidentLink)
        .scalar_subquery()
    )
    found = session.execute(
        select(TicketIncidentLink, Ticket, Notice, TicketAnswer)
        .join(Ticket, Ticket.id == TicketIncidentLink.ticket_id)
        .join(Notice, Notice.id == TicketIncidentLink.notice_id)
        .outerjoin(TicketAnswer, TicketAnswer.id == newest)
        .where(*conditions)
        .order_by(TicketIncidentLink.id)
        .limit(SHOWN)
    ).all()
    return tuple(
        LinkView(
            number=ticket.number,
            subject=ticket.subject,
            requester_name=ticket.requester_name,
            language=ticket.language,
            state=State(ticket.state),
            incident_id=notice.id,
            incident_name=Text(notice.name_pl, notice.name_en),
            how=How(link.how),
            linked_by=link.linked_by,
            linked_at=link.linked_at,
            unlinked_at=link.unlinked_at,
            unlinked_by=link.unlinked_by,
            unlink_reason=link.unlink_reason,
            answer=AnswerState(owed.state) if owed else None,
            answer_reason=owed.reason if owed else "",
            answer_at=(owed.finished_at or owed.due_at) if owed else None,
        )
        for link, ticket, notice, owed in found
    )


def link(
    session: Session,
    number: str,
    notice_id: str,
    *,
    how: How,
    by: str,
    reopen_window: timedelta,
    now: datetime,
) -> None:
    """Say that the ticket is about this incident, and thereby that its resolution's text will answer it.

    An incident that is over already answers once `reopen_window` has passed. Linking twice is linking once.
    Raises NotFound, or Conflict when the ticket is solved or waits for another incident.
    """
    notice = locked_incident(session, notice_id)
    ticket = requests.locked(session, number)
    if _is_linked(session, ticket, notice):
        return
    if refusal := _refusal(session, ticket):
        raise refusal
    _link(session, ticket, notice, how=how, by=by, now=now)
    if notice.resolved_at is not None:
        promises.promise(session, notice, reopen_window=reopen_window, now=now)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of linking many: `moved_on` were solved or linked elsewhere in the meantime."""

    linked: tuple[str, ...]
    moved_on: tuple[str, ...]


def link_many(
    session: Session,
    numbers: Sequence[str],
    notice_id: str,
    *,
    by: str,
    reopen_window: timedelta,
    now: datetime,
) -> Outcome:
    """Confirm suggestions: all of `numbers` in one unit of work. Raises NotFound for the incident."""
    notice = locked_incident(session, notice_id)
    tickets = session.scalars(
        select(Ticket).where(Ticket.number.in_(set(numbers))).order_by(Ticket.id).with_for_update()
    ).all()
    done, moved_on = [], []
    for ticket in tickets:
        if not _is_linked(session, ticket, notice):
            if _refusal(session, ticket):
                moved_on.append(ticket.number)
                continue
            _link(session, ticket, notice, how=How.SUGGESTED, by=by, now=now)
        done.append(ticket.number)
    if notice.resolved_at is not None:
        promises.promise(session, notice, reopen_window=reopen_window, now=now)
    return Outcome(tuple(sorted(done)), tuple(sorted(moved_on)))


def unlink(session: Session, number: str, notice_id: str, *, reason: str, by: str, now: datetime) -> None:
    """End a link: the incident's resolution will not answer the ticket. Raises Invalid, NotFound."""
    reason = reason.strip()
    if not reason:
        raise Invalid("reason", "Say why the request is not about this incident.")
    if len(reason) > MAX_REASON:
        raise Invalid("reason", "The reason is too long: at most 500 characters fit.")
    ticket = requests.locked(session, number)
    found = session.scalar(
        select(TicketIncidentLink).where(
            TicketIncidentLink.ticket_id == ticket.id, TicketIncidentLink.notice_id == notice_id, _open
        )
    )
    if found is None:
        raise NotFound(
            "request %(request)s is not linked to incident %(incident)s", request=number, incident=notice_id
        )
    _end(session, found, reason=reason, by=by, now=now)
    promises.cancel(
        session,
        [TicketAnswer.ticket_id == ticket.id, TicketAnswer.notice_id == notice_id],
        Cancelled.UNLINKED,
        now=now,
    )
    others = session.scalar(_holding(ticket.id).with_only_columns(func.count())) or 0
    enter_state = rules.state_after_unlink(State(ticket.state), other_links=others)
    requests.enter(session, ticket, enter_state, by=by, now=now)


def locked_incident(session: Session, notice_id: str) -> Notice:
    """The incident to link to: where one was merged into another, that other."""
    notice = _published(session, notice_id, lock=True)
    seen = {notice.id}
    while notice.merged_into_id is not None and notice.merged_into_id not in seen:
        seen.add(notice.merged_into_id)
        notice = _published(session, notice.merged_into_id, lock=True)
    return notice


def _link(session: Session, ticket: Ticket, notice: Notice, *, how: How, by: str, now: datetime) -> None:
    session.add(
        TicketIncidentLink(ticket_id=ticket.id, notice_id=notice.id, how=how, linked_by=by, linked_at=now)
    )
    requests.enter(session, ticket, State.PENDING_INCIDENT, by=by, now=now)
    session.flush()


def _end(session: Session, found: TicketIncidentLink, *, reason: str, by: str, now: datetime) -> None:
    found.unlinked_at, found.unlinked_by, found.unlink_reason = now, by, reason
    session.flush()


def _is_linked(session: Session, ticket: Ticket, notice: Notice) -> bool:
    found = select(TicketIncidentLink.id).where(
        TicketIncidentLink.ticket_id == ticket.id, TicketIncidentLink.notice_id == notice.id, _open
    )
    return session.scalar(found) is not None


def _refusal(session: Session, ticket: Ticket) -> Conflict | None:
    """Why a ticket cannot be linked now."""
    if held_by := session.scalar(_holding(ticket.id)):
        return Conflict(
            "request %(request)s waits for incident %(incident)s; unlink it there first",
            request=ticket.number,
            incident=held_by,
        )
    state = State(ticket.state)
    if state is not State.PENDING_INCIDENT and not rules.may_follow(state, State.PENDING_INCIDENT):
        return requests.refused(ticket)
    return None


def _holding(ticket_id: str) -> Select[str]:
    """The incidents that a ticket waits for: linked, and going on or with an answer still to come."""
    waiting = select(TicketAnswer.id).where(
        TicketAnswer.ticket_id == ticket_id,
        TicketAnswer.notice_id == TicketIncidentLink.notice_id,
        TicketAnswer.state == AnswerState.WAITING,
    )
    return (
        select(TicketIncidentLink.notice_id)
        .join(Notice, Notice.id == TicketIncidentLink.notice_id)
        .where(
            TicketIncidentLink.ticket_id == ticket_id,
            _open,
            or_(Notice.resolved_at.is_(None), waiting.exists()),
        )
    )


def has_other_open_incident(session: Session, ticket_id: str, notice_id: str) -> bool:
    """Whether the ticket is linked to another incident, one that goes on."""
    found = session.scalar(
        select(TicketIncidentLink.notice_id)
        .join(Notice, Notice.id == TicketIncidentLink.notice_id)
        .where(
            TicketIncidentLink.ticket_id == ticket_id,
            TicketIncidentLink.notice_id != notice_id,
            _open,
            Notice.resolved_at.is_(None),
        )
        .limit(1)
    )
    return found is not None


def move(session: Session, merged_id: str, into: Notice, *, now: datetime) -> None:
    """The links of a merged incident go with it."""
    found = session.scalars(
        select(TicketIncidentLink).where(TicketIncidentLink.notice_id == merged_id, _open)
    ).all()
    for old in found:
        _end(session, old, reason=f"merged into {into.id}", by=requests.SYSTEM, now=now)
        ticket = session.get_one(Ticket, old.ticket_id, with_for_update=True)
        if not _is_linked(session, ticket, into) and ticket.state in rules.UNSOLVED:
            _link(session, ticket, into, how=How.AUTOMATIC, by=requests.SYSTEM, now=now)
