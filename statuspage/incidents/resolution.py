"""The end of an incident: when it was over, and everything that ends with it."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from statuspage.incidents import fallbacks
from statuspage.incidents.notices import enter, post, rows_of, tell
from statuspage.incidents.publication import Change, Tree, republish
from statuspage.incidents.rules import IncidentStatus, ServiceStatus
from statuspage.incidents.snapshot import Text
from statuspage.incidents.tables import Interval, Notice, NoticeService


def end(
    session: Session,
    tree: Tree,
    notice: Notice,
    text: Text,
    *,
    by: str,
    now: datetime,
    changes: Sequence[Change] = (),
) -> Notice:
    """Say that it is over: what people declared ends, and so does every permission to work on paper."""
    enter(notice, IncidentStatus.RESOLVED, now)
    rows = rows_of(session, notice)
    notice.ended_at = max(_ended_at(session, notice, rows) or now, notice.began_at)
    for row in rows:
        row.status = ServiceStatus.OPERATIONAL
        row.declared = False
    fallbacks.end_all(session, notice, by=by, now=now)
    changes = [*changes, *republish(session, tree, now=now)]
    update = post(session, notice, text, changes, by=by, now=now)
    tell(session, "incident.resolved", notice, update, now)
    return notice


def _ended_at(session: Session, notice: Notice, rows: Sequence[NoticeService]) -> datetime | None:
    """When the last affected service worked again, by measurement; None where that is still to come."""
    if any(row.declared and row.status != ServiceStatus.OPERATIONAL for row in rows):
        return None
    own = select(Interval.ended_at).where(Interval.service_id.in_([row.service_id for row in rows]))
    if session.execute(own.where(Interval.ended_at.is_(None)).limit(1)).first() is not None:
        return None
    return session.scalar(
        own.where(Interval.ended_at > notice.began_at).order_by(Interval.ended_at.desc()).limit(1)
    )
