"""Planned work in the console: the list of it, and of what recurs."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from statuspage.incidents import maintenance
from statuspage.incidents.rules import MaintenanceStatus
from statuspage.incidents.snapshot import Text
from statuspage.incidents.tables import Group, Notice, NoticeService, Service
from statuspage.kernel import clock, web
from statuspage.kernel.accounts import Role, SignedIn
from statuspage.kernel.authority import may
from statuspage.kernel.panels import Parts
from statuspage.site import planned_announcing, planned_file, planned_series
from statuspage.site.planned_series import Line, read_lines
from statuspage.site.recurrence_words import Speaker

_QUICK = {
    MaintenanceStatus.SCHEDULED: "begin",
    MaintenanceStatus.IN_PROGRESS: "complete",
    MaintenanceStatus.VERIFYING: "complete",
}
_NEAR = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Work:
    """Planned work in the list."""

    id: str
    version: int
    name: Text
    status: MaintenanceStatus
    begins_at: datetime
    ends_at: datetime
    codes: tuple[str, ...]
    is_short_notice: bool  # announced later than the rule asks
    is_of_series: bool
    may_act: bool  # who looks may do something to it

    def quick(self, now: datetime) -> str:
        """The usual act now, "" for none: what lies further ahead is begun on its own page, not by a slip."""
        is_offered = self.may_act and self.begins_at - now <= _NEAR
        return _QUICK.get(self.status, "") if is_offered else ""

    @property
    def is_over(self) -> bool:
        return self.status in maintenance.OVER


def routes(parts: Parts) -> list[BaseRoute]:
    """The list; announcing; one series; one piece of work."""
    return [
        Route("/console/maintenance", listed),
        *planned_announcing.routes(parts),
        *planned_series.routes(parts),
        *planned_file.routes(parts),
    ]


async def listed(request: Request) -> Response:
    """What is ahead or under way, soonest first; what recurs; what is over."""
    user = await web.require(request, Role.VIEWER)
    house, now = web.house(request), clock.now()
    speaker = Speaker(house.catalogues, web.language(request), now)
    works = await house.db.read(_read, user)
    lines: list[Line] = await house.db.read(read_lines, speaker)
    context = {
        "open": sorted((work for work in works if not work.is_over), key=lambda work: work.begins_at),
        "over": [work for work in works if work.is_over],
        "running": [line for line in lines if not line.is_over],
    }
    return web.render(request, "console/maintenance.html", context)


def _read(session: Session, user: SignedIn) -> list[Work]:
    """Planned work, newest first."""
    notices = maintenance.listed(session, limit=200)
    codes: dict[str, list[str]] = {notice.id: [] for notice in notices}
    groups: dict[str, set[str]] = {notice.id: set() for notice in notices}
    rows = session.execute(
        select(NoticeService.notice_id, NoticeService.cancelled_at, Service.code, Group.code)
        .join(Service, Service.id == NoticeService.service_id)
        .join(Group, Group.id == Service.group_id)
        .where(NoticeService.notice_id.in_(list(codes)))
        .order_by(Service.position)
    )
    for notice_id, cancelled_at, code, group in rows:
        groups[notice_id].add(group)
        if cancelled_at is None:
            codes[notice_id].append(code)
    return [_work(n, codes[n.id], may_act=may(user, Role.OPERATOR, groups[n.id])) for n in notices]


def _work(notice: Notice, codes: list[str], *, may_act: bool) -> Work:
    window = notice.window
    return Work(
        id=notice.id,
        version=notice.version,
        name=Text(notice.name_pl, notice.name_en),
        status=MaintenanceStatus(notice.status),
        begins_at=window.begins_at,
        ends_at=window.ends_at,
        codes=tuple(codes),
        is_short_notice=notice.announcement is not None and not notice.announcement.is_in_time(window),
        is_of_series=notice.series_id is not None,
        may_act=may_act,
    )
