"""When an incident is over, its resolution answers every linked ticket: exactly once, whatever dies then.

The event becomes waiting answers in the transaction that takes it off the pending ones; each answer is given
in one transaction: the solution, the ticket's state, the mail that is owed, and that it was given.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from statuspage.incidents.rules import NoticeKind
from statuspage.incidents.snapshot import Text
from statuspage.incidents.tables import Notice, Update
from statuspage.kernel import clock
from statuspage.kernel.errors import Unavailable
from statuspage.kernel.events import Consumer, done, pending
from statuspage.kernel.house import House
from tickets import letters, links, promises, requests, rules
from tickets.rules import AnswerState, Cancelled, State
from tickets.tables import Ticket, TicketAnswer, TicketIncidentLink

log = structlog.get_logger(__name__)

_REST_S = 0.1  # between two looks, so that a burst of commits is one look
_LONGEST_REST_S = 60.0
_RETRY = timedelta(minutes=1)


def consume(session: Session, *, reopen_window: timedelta, now: datetime, limit: int = 100) -> int:
    """Act upon the oldest pending events; all but incidents' are only ticked off. Returns how many."""
    events = pending(session, Consumer.TICKETS, limit=limit)
    for event in events:
        # First, so that on PostgreSQL a second consumer waits here and then finds the answers owed already.
        done(session, Consumer.TICKETS, event.seq)
        if event.kind.startswith("incident."):
            follow(session, event.subject_id, reopen_window=reopen_window, now=now)
    return len(events)


def follow(session: Session, notice_id: str, *, reopen_window: timedelta, now: datetime) -> None:
    """Bring what is promised in line with the incident as it is now; doing it again changes nothing.

    Over: every linked ticket is owed one answer. Going on: no answer is due. Merged: the links go with it,
    for its own last words are no solution.
    """
    known = session.get(Notice, notice_id)
    if known is None or known.published_at is None or known.kind != NoticeKind.INCIDENT:
        return
    notice = links.locked_incident(session, notice_id)
    if notice.id != notice_id:
        promises.cancel(session, [TicketAnswer.notice_id == notice_id], Cancelled.MERGED, now=now)
        links.move(session, notice_id, notice, now=now)
    if notice.resolved_at is None:
        promises.cancel(session, [TicketAnswer.notice_id == notice.id], Cancelled.REOPENED, now=now)
    else:
        promises.promise(session, notice, reopen_window=reopen_window, now=now)


def due(session: Session, *, now: datetime, limit: int = 100) -> Sequence[int]:
    """The answers whose time has come, oldest first."""
    return session.scalars(
        select(TicketAnswer.id)
        .where(TicketAnswer.state == AnswerState.WAITING, TicketAnswer.due_at <= now)
        .order_by(TicketAnswer.due_at, TicketAnswer.id)
        .limit(limit)
    ).all()


def next_due_at(session: Session) -> datetime | None:
    """When the next answer is due."""
    return session.scalar(
        select(TicketAnswer.due_at)
        .where(TicketAnswer.state == AnswerState.WAITING)
        .order_by(TicketAnswer.due_at)
        .limit(1)
    )


def give(session: Session, answer_id: int, *, house: House, now: datetime) -> bool:
    """Give one waiting answer, or cancel it where it no longer holds. Returns whether it was given."""
    ticket_id = session.scalar(select(TicketAnswer.ticket_id).where(TicketAnswer.id == answer_id))
    ticket = session.scalar(select(Ticket).where(Ticket.id == ticket_id).with_for_update())
    owed = session.scalar(
        select(TicketAnswer)
        .where(TicketAnswer.id == answer_id, TicketAnswer.state == AnswerState.WAITING)
        .with_for_update()
    )
    if ticket is None or owed is None:
        return False
    notice = session.get_one(Notice, owed.notice_id)
    owed.finished_at = now
    if obstacle := _obstacle(session, owed, ticket, notice):
        owed.state, owed.reason = AnswerState.CANCELLED, obstacle
        return False
    owed.state, owed.reason = AnswerState.GIVEN, ""
    requests.resolve(
        session,
        ticket,
        answer_text(session.get_one(Update, owed.update_id))[ticket.language],
        by=requests.SYSTEM,
        key=f"ticket-resolution:{ticket.id}:{owed.update_id}",
        incident=letters.IncidentLink(notice.id, Text(notice.name_pl, notice.name_en)),
        house=house,
        now=now,
    )
    return True


def answer_text(resolution: Update) -> Text:
    """What a resolution answers: its own words, in each language."""
    return Text(resolution.text_pl, resolution.text_en)


def _obstacle(session: Session, owed: TicketAnswer, ticket: Ticket, notice: Notice) -> Cancelled | None:
    """Why an answer that was promised must not be given after all."""
    resolution = promises.resolution_of(session, notice.id)
    if notice.resolved_at is None or resolution is None:
        return Cancelled.REOPENED
    if resolution.id != owed.update_id:
        return Cancelled.RESOLVED_ANEW
    is_linked = select(TicketIncidentLink.id).where(
        TicketIncidentLink.ticket_id == ticket.id,
        TicketIncidentLink.notice_id == notice.id,
        TicketIncidentLink.unlinked_at.is_(None),
    )
    if session.scalar(is_linked) is None:
        return Cancelled.UNLINKED
    if not rules.may_follow(State(ticket.state), State.RESOLVED):
        return Cancelled.SETTLED
    if links.has_other_open_incident(session, ticket.id, notice.id):
        return Cancelled.HELD
    return None


def postpone(session: Session, answer_id: int, *, reason: str, now: datetime) -> None:
    """An answer could not be given for a fault of ours: show why, and try again."""
    owed = session.get(TicketAnswer, answer_id)
    if owed is not None and owed.state == AnswerState.WAITING:
        owed.due_at, owed.reason = now + _RETRY, reason[:500]


class Answers:
    """The task that consumes incident events and gives the answers that are due."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._woken = asyncio.Event()
        house.db.on_commit(self._woken.set)

    async def run(self) -> None:
        """Forever. A fault of ours is logged and tried again; nothing is lost by it."""
        while True:
            self._woken.clear()
            try:
                rest_s = await self.catch_up()
            except Unavailable as error:
                log.warning("answers.unavailable", reason=str(error))
                rest_s = _REST_S * 10
            except Exception:
                log.exception("answers.failed")
                rest_s = _REST_S * 50
            with suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), rest_s)
            await asyncio.sleep(_REST_S)

    async def catch_up(self) -> float:
        """Do all there is to do now. Returns after how many seconds the next answer is due, at most."""
        db, settings = self._house.db, self._house.settings
        while await db.read(pending, Consumer.TICKETS, limit=1):
            await db.run(consume, reopen_window=settings.incidents.reopen_window, now=clock.now())
        while found := await db.read(due, now=clock.now()):
            for answer_id in found:
                await self._give(answer_id)
        next_at = await db.read(next_due_at)
        if next_at is None:
            return _LONGEST_REST_S
        return min(_LONGEST_REST_S, max(0.0, (next_at - clock.now()).total_seconds()))

    async def _give(self, answer_id: int) -> None:
        """One answer's fault must not hold up the others."""
        try:
            await self._house.db.run(give, answer_id, house=self._house, now=clock.now())
        except Unavailable:
            raise
        except Exception as error:
            log.exception("answers.not_given", answer=answer_id)
            await self._house.db.run(postpone, answer_id, reason=repr(error), now=clock.now())
