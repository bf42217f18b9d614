"""Planned work: scheduled, begun, checked and completed at its times or by hand, called off.

Its times and services are changed in `amendments`; work that recurs is planned in `series`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, false, select
from sqlalchemy.orm import Session

from statuspage.incidents import failures, reminders, services, texts
from statuspage.incidents.announcement import Window, announced
from statuspage.incidents.notices import CLOCK, MAX_TEXT, MAX_TITLE, check_text, post, tell
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

UNDER_WAY = frozenset({MaintenanceStatus.IN_PROGRESS, MaintenanceStatus.VERIFYING})
OVER = frozenset({MaintenanceStatus.COMPLETED, MaintenanceStatus.CANCELLED})


@dataclass(frozen=True, slots=True)
class NewMaintenance:
    """Planned work as a person announces it."""

    name: Text
    text: Text
    services: Sequence[str]  # codes
    begins_at: datetime
    ends_at: datetime
    by_hand: bool = False  # an officer begins and completes it; the clock does not


def schedule(
    session: Session,
    new: NewMaintenance,
    *,
    by: str,
    now: datetime,
    policy: config.Incidents,
    series: tuple[str, str] | None = None,
    deliver: bool = True,
    more: Mapping[str, Any] | None = None,
) -> Notice:
    """Announce planned work. Raises Invalid for times in the past, an end before the start, an unknown service.

    `series` is a series' id and the key of the occurrence in it.
    """
    take_turns(session)
    check_text("title", new.name, MAX_TITLE)
    check_text("text", new.text, MAX_TEXT)
    check_window(Window(new.begins_at, new.ends_at), now=now)
    if not new.services:
        raise Invalid("service", "name at least one")
    notice = _notice_of(new, now)
    notice.announcement = announced(notice.window, now=now, ahead=policy.announce_ahead)
    if series is not None:
        notice.series_id, notice.occurrence = series
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
    reminders.plan(session, notice, now=now, policy=policy)
    kind = "maintenance.scheduled"
    enter(
        session,
        notice,
        MaintenanceStatus.SCHEDULED,
        new.text,
        kind,
        by=by,
        now=now,
        deliver=deliver,
        more=more,
    )
    return notice


def _notice_of(new: NewMaintenance, now: datetime) -> Notice:
    return Notice(
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
        by_hand=new.by_hand,
    )


def check_window(window: Window, *, now: datetime) -> None:
    """Raises Invalid naming `start` or `end`."""
    if window.begins_at < now:
        raise Invalid("start", "lies in the past")
    if window.ends_at <= window.begins_at:
        raise Invalid("end", "must come after the start")


def begin(
    session: Session, maintenance_id: str, *, by: str, now: datetime, text: Text = texts.MAINTENANCE_BEGUN
) -> Notice:
    """Begin the work: its services are published as under maintenance. Raises Conflict if it has begun."""
    take_turns(session)
    notice = get(session, maintenance_id)
    if notice.status in UNDER_WAY:
        raise Conflict("maintenance %(maintenance)s has begun already", maintenance=maintenance_id)
    _check_step(notice, MaintenanceStatus.IN_PROGRESS)
    notice.began_at = now
    enter(session, notice, MaintenanceStatus.IN_PROGRESS, text, "maintenance.started", by=by, now=now)
    failures.settle(session, now=now)
    return notice


def verify(
    session: Session, maintenance_id: str, *, by: str, now: datetime, text: Text = texts.MAINTENANCE_VERIFYING
) -> Notice:
    """The work is done and its result is being checked; the services stay under maintenance.

    Raises Conflict for work that is not in progress.
    """
    take_turns(session)
    notice = get(session, maintenance_id)
    if notice.status != MaintenanceStatus.IN_PROGRESS:
        raise Conflict("maintenance %(maintenance)s is not in progress", maintenance=maintenance_id)
    enter(session, notice, MaintenanceStatus.VERIFYING, text, "maintenance.updated", by=by, now=now)
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
        raise Conflict(
            "maintenance %(maintenance)s has not begun; cancel it instead", maintenance=maintenance_id
        )
    enter(session, notice, MaintenanceStatus.COMPLETED, text, "maintenance.completed", by=by, now=now)
    services.reassess(session, services_of(session, notice), now=now, policy=policy)
    return notice


def cancel(
    session: Session,
    maintenance_id: str,
    *,
    by: str,
    now: datetime,
    policy: config.Incidents,
    text: Text = texts.MAINTENANCE_CANCELLED,
    deliver: bool = True,
    more: Mapping[str, Any] | None = None,
) -> Notice:
    """Call the work off, begun or not; it stays visible as cancelled."""
    take_turns(session)
    notice = get(session, maintenance_id)
    enter(
        session,
        notice,
        MaintenanceStatus.CANCELLED,
        text,
        "maintenance.cancelled",
        by=by,
        now=now,
        deliver=deliver,
        more=more,
    )
    services.reassess(session, services_of(session, notice), now=now, policy=policy)
    return notice


def advance(session: Session, *, now: datetime, policy: config.Incidents) -> int:
    """Begin and complete whatever is due and is not done by hand. Returns how many were."""
    take_turns(session)
    due_to_begin = session.scalars(
        _by_itself()
        .where(Notice.status == MaintenanceStatus.SCHEDULED, Notice.scheduled_for <= now)
        .order_by(Notice.scheduled_for)
    ).all()
    for notice in due_to_begin:
        begin(session, notice.id, by=CLOCK, now=now)
    due_to_end = session.scalars(
        _by_itself().where(Notice.status.in_(UNDER_WAY), Notice.scheduled_until <= now)
    ).all()
    for notice in due_to_end:
        complete(session, notice.id, by=CLOCK, now=now, policy=policy)
    return len(due_to_begin) + len(due_to_end)


def next_due_at(session: Session) -> datetime | None:
    """When `advance` has something to do next."""
    moments = [
        notice.scheduled_for if notice.status == MaintenanceStatus.SCHEDULED else notice.scheduled_until
        for notice in session.scalars(_by_itself())
    ]
    return min((moment for moment in moments if moment), default=None)


def awaiting(session: Session) -> Sequence[Notice]:
    """Work that an officer has to begin or complete, soonest first."""
    return session.scalars(_open().where(Notice.by_hand).order_by(Notice.scheduled_for)).all()


def listed(session: Session, *, limit: int = 50) -> Sequence[Notice]:
    """Planned work, newest first."""
    query = select(Notice).where(Notice.kind == NoticeKind.MAINTENANCE)
    return session.scalars(query.order_by(Notice.scheduled_for.desc()).limit(limit)).all()


def get(session: Session, maintenance_id: str) -> Notice:
    """Raises NotFound."""
    notice = session.get(Notice, maintenance_id)
    if notice is None or notice.kind != NoticeKind.MAINTENANCE:
        raise NotFound("there is no maintenance %(maintenance)s", maintenance=maintenance_id)
    return notice


def services_of(session: Session, notice: Notice) -> Sequence[Service]:
    """The services of the work that were not taken out of it, in page order."""
    return session.scalars(
        select(Service)
        .join(NoticeService)
        .where(NoticeService.notice_id == notice.id, NoticeService.cancelled_at.is_(None))
        .order_by(Service.position)
    ).all()


def enter(
    session: Session,
    notice: Notice,
    status: MaintenanceStatus,
    text: Text,
    kind: str,
    *,
    by: str,
    now: datetime,
    deliver: bool = True,
    more: Mapping[str, Any] | None = None,
) -> None:
    """Put the work into a status (perhaps the one it has), publish what follows, say so and tell it as `kind`."""
    check_text("text", text, MAX_TEXT)
    _check_step(notice, status)
    notice.status = status
    if status is not MaintenanceStatus.SCHEDULED:
        reminders.drop(session, notice)
    if status in OVER:
        notice.resolved_at = now
        notice.ended_at = max(now, notice.began_at) if status is MaintenanceStatus.COMPLETED else now
    changes: list[Change] = republish(session, load_tree(session), now=now)
    for row in session.scalars(select(NoticeService).where(NoticeService.notice_id == notice.id)):
        is_under_way = status in UNDER_WAY and row.cancelled_at is None
        row.status = ServiceStatus.UNDER_MAINTENANCE if is_under_way else ServiceStatus.OPERATIONAL
    update = post(session, notice, text, changes, by=by, now=now, deliver=deliver)
    tell(session, kind, notice, update, now, more=more)


def _check_step(notice: Notice, status: MaintenanceStatus) -> None:
    if not may_follow(MaintenanceStatus(notice.status), status):
        raise Conflict("maintenance %(maintenance)s is completed or cancelled already", maintenance=notice.id)


def _open() -> Select[Notice]:
    return select(Notice).where(Notice.kind == NoticeKind.MAINTENANCE, Notice.resolved_at.is_(None))


def _by_itself() -> Select[Notice]:
    return _open().where(Notice.by_hand == false())
