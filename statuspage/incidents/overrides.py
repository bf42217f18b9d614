"""Published statuses that an officer sets by hand, with a reason and an end. The page shows only the status;
reason and author stay in the house.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from statuspage.incidents import failures, services
from statuspage.incidents.publication import load_tree, republish
from statuspage.incidents.rules import ServiceStatus
from statuspage.incidents.tables import Override, Service
from statuspage.kernel import audit
from statuspage.kernel.errors import Conflict, Invalid, NotFound
from statuspage.kernel.events import take_turns

MAX_REASON = 500
CLOCK = "schedule"


@dataclass(frozen=True, slots=True)
class Overriding:
    """An override in force, as the console shows it."""

    id: str
    code: str
    status: ServiceStatus
    reason: str
    began_at: datetime
    ends_at: datetime
    by: str


def override(
    session: Session,
    code: str,
    status: ServiceStatus,
    *,
    reason: str,
    ends_at: datetime | None,
    by: str,
    now: datetime,
) -> Override:
    """Publish `status` whatever is measured or planned, until `ends_at`. One that is in force ends now.

    What people declare in an open incident still comes first. Raises NotFound, Invalid naming the field.
    """
    take_turns(session)
    reason = reason.strip()
    if not reason or len(reason) > MAX_REASON:
        raise Invalid("reason", "say in a few words why the measured status is not the right one")
    if ends_at is None:
        raise Invalid("until", "an end is needed: what is set by hand and forgotten misleads readers")
    if ends_at <= now:
        raise Invalid("until", "lies in the past")
    service = services.by_code(session, code)
    for earlier in session.scalars(_in_force().where(Override.service_id == service.id)):
        earlier.ended_at, earlier.ended_by = now, by
    row = Override(
        service_id=service.id, status=status, reason=reason, ends_at=ends_at, created_by=by, created_at=now
    )
    session.add(row)
    _settle(session, now)
    told = {"service": code, "status": status.value, "reason": reason, "until": ends_at.isoformat()}
    audit.record(session, by, "override.begun", f"override:{row.id}", told, at=now)
    return row


def end(session: Session, override_id: str, *, by: str, now: datetime) -> Override:
    """Let measurements speak again. Raises NotFound, Conflict where it is over already."""
    take_turns(session)
    row = get(session, override_id)
    if row.ended_at is not None:
        raise Conflict("override %(override)s is over already", override=override_id)
    row.ended_at, row.ended_by = now, by
    _settle(session, now)
    audit.record(session, by, "override.ended", f"override:{row.id}", at=now)
    return row


def expire(session: Session, *, now: datetime) -> int:
    """End whatever has come to its end. Returns how many did."""
    take_turns(session)
    due = session.scalars(_in_force().where(Override.ends_at <= now)).all()
    for row in due:
        row.ended_at, row.ended_by = row.ends_at, CLOCK
    if due:
        _settle(session, now)
    return len(due)


def next_due_at(session: Session) -> datetime | None:
    """When `expire` has something to do next."""
    return session.scalar(select(func.min(Override.ends_at)).where(Override.ended_at.is_(None)))


def get(session: Session, override_id: str) -> Override:
    """In force or over. Raises NotFound."""
    row = session.get(Override, override_id)
    if row is None:
        raise NotFound("there is no override %(override)s", override=override_id)
    return row


def in_force(session: Session) -> Sequence[Overriding]:
    """Those that are not over, in the page's order of services."""
    rows = session.execute(
        select(Override, Service.code)
        .join(Service)
        .where(Override.ended_at.is_(None))
        .order_by(Service.position)
    )
    return [
        Overriding(
            row.id, code, ServiceStatus(row.status), row.reason, row.created_at, row.ends_at, row.created_by
        )
        for row, code in rows
    ]


def _in_force() -> Select[Override]:
    return select(Override).where(Override.ended_at.is_(None))


def _settle(session: Session, now: datetime) -> None:
    session.flush()
    republish(session, load_tree(session), now=now)
    failures.settle(session, now=now)
