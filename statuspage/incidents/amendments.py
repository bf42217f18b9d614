"""Changes to planned work that was announced: other times, fewer services. What was said before stays on record."""

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from statuspage.incidents import maintenance, reminders, services, texts
from statuspage.incidents.announcement import Window, announced, moved
from statuspage.incidents.notices import name_of, revise
from statuspage.incidents.rules import MaintenanceStatus
from statuspage.incidents.snapshot import Text
from statuspage.incidents.tables import Notice, NoticeService, Service
from statuspage.kernel import config
from statuspage.kernel.errors import Conflict, Invalid
from statuspage.kernel.events import take_turns


def reschedule(
    session: Session,
    maintenance_id: str,
    *,
    by: str,
    now: datetime,
    policy: config.Incidents,
    zone: ZoneInfo,
    begins_at: datetime | None = None,
    ends_at: datetime | None = None,
    text: Text | None = None,
) -> Notice:
    """Give the work another end, later or earlier, and another begin while it has not begun.

    Without `text` it says the new and the old times, as the clock shows them in `zone`. Raises Conflict for
    work that is over or has these times already, Invalid naming `start` or `end`.
    """
    take_turns(session)
    notice = maintenance.get(session, maintenance_id)
    was = notice.window
    window = Window(begins_at or was.begins_at, ends_at or was.ends_at)
    _check(notice, was, window, now=now)
    before = {}
    if window.begins_at != was.begins_at:
        before["scheduled_for"] = _iso(was.begins_at)
    if window.ends_at != was.ends_at:
        before["scheduled_until"] = _iso(was.ends_at)
    revise(session, notice, before, by=by, now=now)
    _rejudge(notice, was, window, now=now, policy=policy)
    notice.scheduled_for, notice.scheduled_until = window.begins_at, window.ends_at
    if "scheduled_for" in before:
        notice.began_at = window.begins_at
        reminders.plan(session, notice, now=now, policy=policy)
    is_longer = "scheduled_for" not in before and window.ends_at > was.ends_at
    maintenance.enter(
        session,
        notice,
        MaintenanceStatus(notice.status),
        text or texts.moved(was, window, zone),
        "maintenance.extended" if is_longer else "maintenance.rescheduled",
        by=by,
        now=now,
        more={"was": [_iso(was.begins_at), _iso(was.ends_at)]},
    )
    return notice


def _check(notice: Notice, was: Window, window: Window, *, now: datetime) -> None:
    if notice.resolved_at is not None:
        raise Conflict(
            "maintenance %(maintenance)s is completed or cancelled; its times cannot change any more",
            maintenance=notice.id,
        )
    if window == was:
        raise Conflict("maintenance %(maintenance)s has these times already", maintenance=notice.id)
    if window.begins_at != was.begins_at:
        if notice.status != MaintenanceStatus.SCHEDULED:
            raise Invalid("start", "the work has begun; only its end can be moved")
        if window.begins_at < now:
            raise Invalid("start", "lies in the past")
    if window.ends_at <= window.begins_at:
        raise Invalid("end", "must come after the start")
    if window.ends_at <= now:
        raise Invalid("end", "lies in the past; complete the work instead")


def _rejudge(notice: Notice, was: Window, window: Window, *, now: datetime, policy: config.Incidents) -> None:
    old = notice.announcement
    ahead = policy.announce_ahead
    if old is None:  # from before announcements were judged: in time
        old = announced(was, now=was.begins_at - ahead, ahead=ahead)
    notice.announcement = moved(old, was, window, now=now, ahead=ahead)


def _iso(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def cancel_part(
    session: Session,
    maintenance_id: str,
    codes: Sequence[str],
    *,
    by: str,
    now: datetime,
    policy: config.Incidents,
    text: Text | None = None,
) -> Notice:
    """Take services out of the work; the rest goes on. If nothing remains, all of it is called off.

    Raises Conflict for work that is over, NotFound or Invalid for a service that is not part of it.
    """
    take_turns(session)
    notice = maintenance.get(session, maintenance_id)
    if notice.resolved_at is not None:
        raise Conflict("maintenance %(maintenance)s is completed or cancelled already", maintenance=notice.id)
    if not codes:
        raise Invalid("service", "name at least one")
    present = {service.code: service for service in maintenance.services_of(session, notice)}
    for code in codes:
        if code not in present:
            services.by_code(session, code)
            raise Invalid(
                "service",
                '"%(service)s" is not part of this work; %(known)s are',
                service=code,
                known=", ".join(present),
            )
    removed = [service for code, service in present.items() if code in set(codes)]
    if len(removed) == len(present):
        cancelled = texts.MAINTENANCE_CANCELLED
        return maintenance.cancel(
            session, maintenance_id, by=by, now=now, policy=policy, text=text or cancelled
        )
    _remove(session, notice, removed, now)
    maintenance.enter(
        session,
        notice,
        MaintenanceStatus(notice.status),
        text or texts.part_cancelled([name_of(service) for service in removed]),
        "maintenance.updated",
        by=by,
        now=now,
        more={"removed": [service.id for service in removed]},
    )
    services.reassess(session, removed, now=now, policy=policy)
    return notice


def _remove(session: Session, notice: Notice, removed: Sequence[Service], now: datetime) -> None:
    ids = [service.id for service in removed]
    rows = select(NoticeService).where(
        NoticeService.notice_id == notice.id, NoticeService.service_id.in_(ids)
    )
    for row in session.scalars(rows):
        row.cancelled_at = now
    session.flush()
