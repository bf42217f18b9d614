"""What resolutions owe linked tickets: answers promised, and taken back while they are not given yet."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, insert, literal, select, update
from sqlalchemy.orm import Session

from statuspage.incidents.rules import UNRESOLVED
from statuspage.incidents.tables import Notice, Update
from tickets import rules
from tickets.rules import AnswerState, Cancelled
from tickets.tables import Ticket, TicketAnswer, TicketIncidentLink


def resolution_of(session: Session, notice_id: str) -> Update | None:
    """The update that said it is over: the first after the last that said it goes on."""
    found = None
    for said in session.scalars(
        select(Update).where(Update.notice_id == notice_id).order_by(Update.position.desc())
    ):
        if said.status in UNRESOLVED:
            break
        found = said
    return found


def promise(session: Session, notice: Notice, *, reopen_window: timedelta, now: datetime) -> None:
    """Owe the resolution's answer to every linked ticket that is unsolved and is not owed it yet.

    The caller holds the incident's row, so that two do not promise at once.
    """
    resolution = resolution_of(session, notice.id)
    if resolution is None or notice.resolved_at is None:
        return
    due_at = rules.answer_due_at(notice.resolved_at, reopen_window=reopen_window, now=now)
    unsolved = (
        select(Ticket.id)
        .join(TicketIncidentLink, TicketIncidentLink.ticket_id == Ticket.id)
        .where(
            TicketIncidentLink.notice_id == notice.id,
            TicketIncidentLink.unlinked_at.is_(None),
            Ticket.state.in_(rules.UNSOLVED),
        )
    )
    session.execute(
        update(TicketAnswer)
        .where(
            TicketAnswer.update_id == resolution.id,
            TicketAnswer.state == AnswerState.CANCELLED,
            TicketAnswer.ticket_id.in_(unsolved),
        )
        .values(state=AnswerState.WAITING, reason="", due_at=due_at, finished_at=None)
        .execution_options(synchronize_session=False)
    )
    owed_already = select(TicketAnswer.id).where(
        TicketAnswer.ticket_id == Ticket.id, TicketAnswer.update_id == resolution.id
    )
    owed = unsolved.where(~owed_already.exists()).with_only_columns(
        Ticket.id,
        literal(notice.id),
        literal(resolution.id),
        literal(AnswerState.WAITING.value),
        literal(""),
        literal(due_at, TicketAnswer.due_at.type),
        literal(now, TicketAnswer.created_at.type),
    )
    owed = owed.order_by(Ticket.created_at, Ticket.number)  # who asked first is answered first
    columns = ["ticket_id", "notice_id", "update_id", "state", "reason", "due_at", "created_at"]
    session.execute(insert(TicketAnswer).from_select(columns, owed))
    session.info["notify"] = True


def cancel(
    session: Session, which: Sequence[ColumnElement[bool]], reason: Cancelled, *, now: datetime
) -> None:
    """Take back answers that were promised and are not given yet."""
    session.execute(
        update(TicketAnswer)
        .where(TicketAnswer.state == AnswerState.WAITING, *which)
        .values(state=AnswerState.CANCELLED, reason=reason, finished_at=now)
        .execution_options(synchronize_session=False)
    )
