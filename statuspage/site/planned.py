"""What a page says of planned work beside its times: how early it was announced, by whom it begins, what left it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from statuspage.incidents import planned_words
from statuspage.incidents.announcement import Window
from statuspage.incidents.rules import MaintenanceStatus, NoticeKind
from statuspage.incidents.snapshot import NoticeView
from statuspage.kernel.i18n import Catalogues, format_clock, format_day, format_instant


@dataclass(frozen=True, slots=True)
class Left:
    """A service that the work goes on without."""

    code: str
    name: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Plan:
    """Planned work as it is shown."""

    by_hand: bool  # it begins when an officer says so: its times are intentions
    is_waiting: bool  # it should have begun
    overrun: timedelta | None  # how long it has been going on past its planned end
    was_from: datetime | None  # what was announced before its times changed
    was_until: datetime | None
    announced: str
    left: tuple[Left, ...]


def plan_of(
    notice: NoticeView, catalogues: Catalogues, language: str, zone: ZoneInfo, now: datetime
) -> Plan | None:
    """None for an incident."""
    if notice.kind != NoticeKind.MAINTENANCE:
        return None

    def show(window: Window) -> str:
        begin = format_instant(window.begins_at, language, zone, now)
        began, ended = (format_clock(at, zone) for at in (window.begins_at, window.ends_at))
        end = format_day(window.ends_at, language, zone, now)
        if end != format_day(window.begins_at, language, zone, now):
            ended = f"{end} {ended}"
        return begin.replace(began, f"{began}–{ended}")

    announced = ""
    if notice.announcement is not None and notice.status != MaintenanceStatus.CANCELLED:
        announced = planned_words.announcement(notice.announcement, notice.window, catalogues, language, show)
    return Plan(
        by_hand=notice.by_hand,
        is_waiting=notice.is_overdue(now) and notice.by_hand,
        overrun=now - notice.window.ends_at if notice.by_hand and notice.is_overrunning(now) else None,
        was_from=_before(notice, "scheduled_for"),
        was_until=_before(notice, "scheduled_until"),
        announced=announced,
        left=tuple(
            Left(affected.code, affected.name[language], affected.cancelled_at)
            for affected in notice.affected
            if affected.cancelled_at is not None
        ),
    )


def _before(notice: NoticeView, field: str) -> datetime | None:
    """The value that a time had last before this one."""
    for revision in notice.revisions:
        for name, value in revision.before:
            if name == field:
                return datetime.fromisoformat(value)
    return None
