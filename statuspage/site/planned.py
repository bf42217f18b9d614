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
    was: str  # the times announced before they were changed; "" where they never were
    announced: str
    left: tuple[Left, ...]


def plan_of(
    notice: NoticeView, catalogues: Catalogues, language: str, zone: ZoneInfo, now: datetime
) -> Plan | None:
    """None for an incident."""
    if notice.kind != NoticeKind.MAINTENANCE:
        return None

    def show(window: Window) -> str:
        begin, end = (format_instant(at, language, zone, now) for at in (window.begins_at, window.ends_at))
        days = [format_day(at, language, zone, now) for at in (window.begins_at, window.ends_at)]
        if days[0] != days[1]:
            return f"{begin} – {end}"
        clock = format_clock(window.begins_at, zone)
        return begin.replace(clock, f"{clock}–{format_clock(window.ends_at, zone)}")

    was = Window(
        _before(notice, "scheduled_for") or notice.window.begins_at,
        _before(notice, "scheduled_until") or notice.window.ends_at,
    )

    announced = ""
    if notice.announcement is not None and notice.status != MaintenanceStatus.CANCELLED:
        announced = planned_words.announcement(notice.announcement, notice.window, catalogues, language, show)
    return Plan(
        by_hand=notice.by_hand,
        is_waiting=notice.is_overdue(now) and notice.by_hand,
        overrun=now - notice.window.ends_at if notice.by_hand and notice.is_overrunning(now) else None,
        was=show(was) if was != notice.window else "",
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
