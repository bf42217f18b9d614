"""Planned work in the console: announced, begun, extended, ended. A further verb is a line in `_ACTS`."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from statuspage.incidents import amendments, maintenance
from statuspage.incidents.maintenance import NewMaintenance
from statuspage.incidents.rules import MaintenanceStatus
from statuspage.incidents.snapshot import Text
from statuspage.incidents.tables import Notice, NoticeService, Service
from statuspage.kernel import clock, web
from statuspage.kernel.accounts import Role
from statuspage.kernel.errors import Invalid, NotFound
from statuspage.kernel.house import House
from statuspage.kernel.panels import Parts
from statuspage.site.composition import Problem, Reader, Typed

LONGER = timedelta(hours=1)
_FIELDS = {"start": "begins_at", "end": "ends_at", "service": "services"}


@dataclass(frozen=True, slots=True)
class Work:
    """Planned work in the list."""

    id: str
    name: Text
    status: MaintenanceStatus
    begins_at: datetime
    ends_at: datetime
    codes: tuple[str, ...]
    is_short_notice: bool  # announced later than the rule asks

    @property
    def acts(self) -> tuple[str, ...]:
        """What can be done now, the usual first."""
        return _MAY.get(self.status, ())

    @property
    def may_cancel(self) -> bool:
        return "cancel" in self.acts


_MAY = {
    MaintenanceStatus.SCHEDULED: ("begin", "cancel"),
    MaintenanceStatus.IN_PROGRESS: ("complete", "verify", "longer", "cancel"),
    MaintenanceStatus.VERIFYING: ("complete", "longer"),
}

Verb = Callable[[House, str, str, datetime], Awaitable[Notice]]


async def _begin(house: House, id: str, login: str, now: datetime) -> Notice:
    return await house.db.run(maintenance.begin, id, by=login, now=now)


async def _complete(house: House, id: str, login: str, now: datetime) -> Notice:
    policy = house.settings.incidents
    return await house.db.run(maintenance.complete, id, by=login, now=now, policy=policy)


async def _cancel(house: House, id: str, login: str, now: datetime) -> Notice:
    policy = house.settings.incidents
    return await house.db.run(maintenance.cancel, id, by=login, now=now, policy=policy)


async def _verify(house: House, id: str, login: str, now: datetime) -> Notice:
    return await house.db.run(maintenance.verify, id, by=login, now=now)


async def _longer(house: House, id: str, login: str, now: datetime) -> Notice:
    """An hour more, from the planned end."""
    policy, zone = house.settings.incidents, house.settings.zone

    def extend(session: Session) -> Notice:
        ends_at = maintenance.get(session, id).window.ends_at + LONGER
        return amendments.reschedule(
            session, id, by=login, now=now, policy=policy, zone=zone, ends_at=ends_at
        )

    return await house.db.run(extend)


_ACTS: Mapping[str, Verb] = {
    "begin": _begin,
    "complete": _complete,
    "verify": _verify,
    "longer": _longer,
    "cancel": _cancel,
}


def routes(parts: Parts) -> list[BaseRoute]:
    """The list with the form, and the acts."""

    async def listed(request: Request) -> Response:
        await web.require(request, Role.VIEWER)
        return await _show(request, parts, Typed({"deliver": ["yes"]}))

    async def announce(request: Request) -> Response:
        return await _announce(request, parts)

    return [
        Route("/console/maintenance", listed),
        Route("/console/maintenance", announce, methods=["POST"]),
        Route("/console/maintenance/{id}/{act}", act, methods=["POST"]),
    ]


async def _show(
    request: Request,
    parts: Parts,
    typed: Typed,
    *,
    problems: list[Problem] | None = None,
    is_short: bool = False,
    status: int = 200,
) -> Response:
    house = web.house(request)
    works, services = await house.db.read(_read)
    chosen = [id for id, code, _name in services if typed.has("service", code)]
    context = {
        "works": works,
        "services": services,
        "typed": typed,
        "problems": problems or [],
        "problem_of": {problem.field: problem for problem in problems or []},
        "is_short": is_short,
        "count": await house.db.read(parts.audience, chosen),
        "done": request.query_params.get("done", ""),
    }
    return web.render(request, "console/maintenance.html", context, status=status)


async def _announce(request: Request, parts: Parts) -> Response:
    """Announce planned work; with less than 48 hours' notice only after that was read."""
    user = await web.require(request, Role.OPERATOR)
    data = await request.form(max_files=0, max_fields=2000)
    typed = Typed({key: [v for v in data.getlist(key) if isinstance(v, str)] for key in data})
    house, now = web.house(request), clock.now()
    reader = Reader(typed, house.settings.zone, now)
    begins_at, ends_at = reader.time("begins_at"), reader.time("ends_at")
    for name, at in (("begins_at", begins_at), ("ends_at", ends_at)):
        if at is None and not any(problem.field == name for problem in reader.problems):
            reader.note(name, _("Say when."))
    if reader.problems or begins_at is None or ends_at is None:
        return await _show(request, parts, typed, problems=reader.problems, status=422)
    policy = house.settings.incidents
    if now < begins_at < now + policy.announce_ahead and not typed.has("confirmed", "yes"):
        return await _show(request, parts, typed, is_short=True, status=422)
    new = NewMaintenance(
        Text(typed("title_pl"), typed("title_en")),
        Text(typed("text_pl"), typed("text_en")),
        typed.all("service"),
        begins_at,
        ends_at,
    )
    try:
        await house.db.run(maintenance.schedule, new, by=user.login, now=now, policy=policy)
    except Invalid as error:
        problem = Problem(_FIELDS.get(error.field, error.field), error.reason)
        return await _show(request, parts, typed, problems=[problem], status=422)
    return web.redirect(request, "/console/maintenance?done=announced")


async def act(request: Request) -> Response:
    """Do one of `_ACTS`."""
    user = await web.require(request, Role.OPERATOR)
    name = request.path_params["act"]
    if name not in _ACTS:
        raise NotFound(f'"{name}" is nothing that can be done to planned work')
    await _ACTS[name](web.house(request), request.path_params["id"], user.login, clock.now())
    return web.redirect(request, f"/console/maintenance?done={name}")


def _read(session: Session) -> tuple[list[Work], list[tuple[str, str, Text]]]:
    """Planned work, newest first; and every service."""
    notices = maintenance.listed(session)
    codes: dict[str, list[str]] = {notice.id: [] for notice in notices}
    rows = session.execute(
        select(NoticeService.notice_id, Service.code)
        .join(Service)
        .where(NoticeService.notice_id.in_(list(codes)))
        .order_by(Service.position)
    )
    for notice_id, code in rows:
        codes[notice_id].append(code)
    services = session.scalars(
        select(Service).where(Service.archived_at.is_(None)).order_by(Service.position)
    )
    works = [
        Work(
            id=notice.id,
            name=Text(notice.name_pl, notice.name_en),
            status=MaintenanceStatus(notice.status),
            begins_at=notice.scheduled_for or notice.began_at,
            ends_at=notice.scheduled_until or notice.began_at,
            codes=tuple(codes[notice.id]),
            is_short_notice=notice.announcement is not None
            and not notice.announcement.is_in_time(notice.window),
        )
        for notice in notices
    ]
    return works, [(s.id, s.code, Text(s.name_pl, s.name_en)) for s in services]


def _(message: str) -> str:
    """Marks a message for translation."""
    return message
