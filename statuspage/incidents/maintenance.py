"""Planned work: scheduled, begun and completed by itself at its times, extended, cancelled."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from statuspage.incidents import failures, services, texts
from statuspage.incidents.notices import MAX_TEXT, MAX_TITLE, check_text, post, tell
from statuspage.incidents.publication import Change, load_tree, republish
from statuspage.incidents.rules import (
    Impact,
    MaintenanceStatus,
    NoticeKind,
    Origin,
    ServiceStatus,
    may_follow,
)
from statuspage.incidents.snapshot import Text
from statuspage.incidents.tables import Notice, NoticeService, Service
from statuspage.kernel import config
from statuspage.kernel.errors import Conflict, Invalid, NotFound
from statuspage.kernel.events import take_turns

CLOCK = "schedule"


@dataclass(frozen=True, slots=True)
class NewMaintenance:
    """Planned work as a person announces it."""

    name: Text
    text: Text
    services: Sequence[str]  # codes
    begins_at: datetime
    ends_at: datetime


def schedule(session: Session, new: NewMaintenance, *, by: str, now: datetime) -> Notice:
    """Announce planned work. Raises Invalid for times in the past, an end before the start, an unknown service."""
    take_turns(session)
    check_text("title", new.name, MAX_TITLE)
    check_text("text", new.text, MAX_TEXT)
    if new.begins_at < now:
        raise Invalid("start", "lies in the past")
    if new.ends_at <= new.begins_at:
        raise Invalid("end", "must come after the start")
    if not new.services:
        raise Invalid("service", "name at least one")
    notice = Notice(
        kind=NoticeKind.MAINTENANCE,
        name_pl=new.name.pl,
        name_en=new.name.en,
        status=MaintenanceStatus.SCHEDULED,
        impact=Impact.MAINTENANCE,
        origin=Origin.PERSON,
        began_at=new.begins_at,
        detected_at=now,
        created_at=now,
        updated_at=now,
        published_at=now,
        scheduled_for=new.begins_at,
        scheduled_until=new.ends_at,
    )
    session.add(notice)
    session.flush()
    for code in dict.fromkeys(new.services):
        session.add(
            NoticeService(
                notice_id=notice.id,
                service_id=services.by_code(session, code).id,
                status=ServiceStatus.OPERATIONAL,
                worst_status=ServiceStatus.UNDER_MAINTENANCE,
                added_at=now,
            )
        )
    _enter(session, notice, MaintenanceStatus.SCHEDULED, new.text, "maintenance.scheduled", by=by, now=now)
    return notice


def begin(
    session: Session, maintenance_id: str, *, by: str, now: datetime, text: Text = texts.MAINTENANCE_BEGUN
) -> Notice:
    """Begin the work: its services are published as under maintenance."""
    take_turns(session)
    notice = get(session, maintenance_id)
    if notice.status == MaintenanceStatus.IN_PROGRESS:
        raise Conflict(f"maintenance {maintenance_id} has begun already")
    notice.began_at = now
    _enter(session, notice, MaintenanceStatus.IN_PROGRESS, text, "maintenance.started", by=by, now=now)
    failures.settle(session, now=now)
    return notice


def complete(
    session: Session,
    maintenance_id: str,
    *,
    by: str,
    now: datetime,
    policy: config.Incidents,
    text: Text = texts.MAINTENANCE_COMPLETED,
) -> Notice:
    """End the work. A service that monitors still find down gets its incident now.

    Raises Conflict for work that has not begun.
    """
    take_turns(session)
    notice = get(session, maintenance_id)
    if notice.status == MaintenanceStatus.SCHEDULED:
        raise Conflict(f"maintenance {maintenance_id} has not begun; cancel it instead")
    _enter(session, notice, MaintenanceStatus.COMPLETED, text, "maintenance.completed", by=by, now=now)
    services.reassess(session, _services(session, notice), now=now, policy=policy)
    return notice


def cancel(
    session: Session,
    maintenance_id: str,
    *,
    by: str,
    now: datetime,
    policy: config.Incidents,
    text: Text = texts.MAINTENANCE_CANCELLED,
) -> Notice:
    """Call the work off, begun or not; it stays visible as cancelled."""
    take_turns(session)
    notice = get(session, maintenance_id)
    _enter(session, notice, MaintenanceStatus.CANCELLED, text, "maintenance.cancelled", by=by, now=now)
    services.reassess(session, _services(session, notice), now=now, policy=policy)
    return notice


def advance(session: Session, *, now: datetime, policy: config.Incidents) -> int:
    """Begin and complete whatever is due. Returns how many were."""
    take_turns(session)
    due_to_begin = session.scalars(
        _open()
        .where(Notice.status == MaintenanceStatus.SCHEDULED, Notice.scheduled_for <= now)
        .order_by(Notice.scheduled_for)
    ).all()
    for notice in due_to_begin:
        begin(session, notice.id, by=CLOCK, now=now)
    due_to_end = session.scalars(
        _open().where(Notice.status == MaintenanceStatus.IN_PROGRESS, Notice.scheduled_until <= now)
    ).all()
    for notice in due_to_end:
        complete(session, notice.id, by=CLOCK, now=now, policy=policy)
    return len(due_to_begin) + len(due_to_end)


def next_due_at(session: Session) -> datetime | None:
    """When `advance` has something to do next."""
    moments = [
        notice.scheduled_for if notice.status == MaintenanceStatus.SCHEDULED else notice.scheduled_until
        for notice in session.scalars(_open())
    ]
    return min((moment for moment in moments if moment), default=None)


def listed(session: Session, *, limit: int = 50) -> Sequence[Notice]:
    """Planned work, newest first."""
    query = select(Notice).where(Notice.kind == NoticeKind.MAINTENANCE)
    return session.scalars(query.order_by(Notice.scheduled_for.desc()).limit(limit)).all()


def get(session: Session, maintenance_id: str) -> Notice:
    """Raises NotFound."""
    notice = session.get(Notice, maintenance_id)
    if notice is None or notice.kind != NoticeKind.MAINTENANCE:
        raise NotFound(f"there is no maintenance {maintenance_id}")
    return notice


def _open() -> Select[Notice]:
    return select(Notice).where(Notice.kind == NoticeKind.MAINTENANCE, Notice.resolved_at.is_(None))


def _services(session: Session, notice: Notice) -> Sequence[Service]:
    return session.scalars(
        select(Service).join(NoticeService).where(NoticeService.notice_id == notice.id)
    ).all()


def _enter(
    session: Session,
    notice: Notice,
    status: MaintenanceStatus,
    text: Text,
    kind: str,
    *,
    by: str,
    now: datetime,
) -> None:
    check_text("text", text, MAX_TEXT)
    if not may_follow(MaintenanceStatus(notice.status), status):
        raise Conflict(f"maintenance {notice.id} is {notice.status} and cannot become {status}")
    notice.status = status
    if status in (MaintenanceStatus.COMPLETED, MaintenanceStatus.CANCELLED):
        notice.resolved_at = now
        notice.ended_at = max(now, notice.began_at) if status is MaintenanceStatus.COMPLETED else now
    changes: list[Change] = republish(session, load_tree(session), now=now)
    in_progress = status in (MaintenanceStatus.IN_PROGRESS, MaintenanceStatus.VERIFYING)
    for row in session.scalars(select(NoticeService).where(NoticeService.notice_id == notice.id)):
        row.status = ServiceStatus.UNDER_MAINTENANCE if in_progress else ServiceStatus.OPERATIONAL
    update = post(session, notice, text, changes, by=by, now=now)
    tell(session, kind, notice, update, now)
