"""The operators' board: what fails, what waits, who is on duty. Read as plain rows in a handful of queries, because a
thousand monitors stand on it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from markupsafe import Markup, escape
from sqlalchemy import or_, select
from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from statuspage.incidents import acts, areas, duty, incidents, overrides, services
from statuspage.incidents.overrides import Overriding
from statuspage.incidents.rules import NoticeKind, ServiceStatus
from statuspage.incidents.snapshot import Text
from statuspage.incidents.tables import Act, Duty, Notice, NoticeService, Service, Update
from statuspage.kernel import clock, web
from statuspage.kernel.accounts import Role
from statuspage.kernel.authority import may, within
from statuspage.kernel.errors import Invalid
from statuspage.kernel.events import last_seq
from statuspage.kernel.i18n import format_clock
from statuspage.kernel.localtime import NoSuchTime, read_local
from statuspage.kernel.panels import MonitorLine, Panel, Parts
from statuspage.site import saying
from statuspage.site.composition import Problem, Typed, problem_of

_TROUBLE = frozenset(ServiceStatus) - {ServiceStatus.OPERATIONAL, ServiceStatus.UNDER_MAINTENANCE}
_SHIFTS = (4, 8, 12)  # hours
_LATE = timedelta(seconds=5)  # what counts as lateness worth a word


@dataclass(frozen=True, slots=True)
class Standing:
    """A service on the board."""

    id: str
    code: str
    name: Text
    published: ServiceStatus
    measured: str  # "unknown" while nothing is known
    since: datetime
    monitors: Sequence[MonitorLine]
    override: Overriding | None
    is_alarm: bool  # it fails, and nobody has said a word

    @property
    def is_calm(self) -> bool:
        """Nothing of it needs to be looked at."""
        return self.published is ServiceStatus.OPERATIONAL and self.measured == "operational"

    @property
    def worst(self) -> Sequence[MonitorLine]:
        """The monitors that are not up."""
        return [line for line in self.monitors if line.level != "up" and not line.is_paused]


@dataclass(frozen=True, slots=True)
class Case:
    """An incident or planned work on the board."""

    id: str
    name: Text
    status: str
    impact: str
    began_at: datetime
    scheduled_for: datetime | None
    scheduled_until: datetime | None
    next_update_at: datetime | None
    is_draft: bool
    is_silent: bool  # no person has said anything yet
    codes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Board:
    """Everything the board shows."""

    seq: int
    services: tuple[Standing, ...]
    alarms: tuple[Standing, ...]
    drafts: tuple[Case, ...]
    incidents: tuple[Case, ...]
    planned: tuple[Case, ...]
    acts: tuple[Act, ...]
    untranslated: tuple[tuple[str, Text], ...]  # incident and its title
    on_duty: tuple[Duty, ...]
    panels: tuple[Panel, ...]


class Items:
    """Writes the monitors behind a service: a thousand lines, too many for the template's way through its context."""

    def __init__(self, request: Request) -> None:
        self._zone = web.house(request).settings.zone
        self._levels = {level: web.translate(request, word) for level, word in saying.LEVELS.items()}
        self._paused = web.translate(request, _("paused"))
        self._clocks: dict[int, str] = {}

    def __call__(self, service: Standing) -> Markup:
        """The list's items."""
        return Markup("".join(map(self._item, service.monitors)))  # noqa: S704 - what is not ours is escaped below

    def _item(self, line: MonitorLine) -> str:
        word = self._paused if line.is_paused else self._levels[line.level]
        rest = f" {escape(line.cause)}" if line.cause and line.level != "up" else ""
        if line.latency_ms is not None:
            rest += f" {line.latency_ms:.0f} ms"
        if (
            line.level != "up" and line.phases_ms
        ):  # where the time went; of those that are up their page tells
            rest += f" ({', '.join(f'{phase} {ms:.0f}' for phase, ms in line.phases_ms.items())})"
        if line.checked_at is not None:
            rest += f" · {self._clock(line.checked_at)}"
        if line.next_at is not None:
            rest += f" → {self._clock(line.next_at)}"
        if line.late > _LATE:
            rest += f' <strong class="overdue">+{line.late.total_seconds():.0f} s</strong>'
        shape, css = saying.LEVEL_SHAPES[line.level], saying.LEVEL_CLASSES[line.level]
        return (
            f'<li><strong>{escape(line.name)}</strong> <span class="{css}">'
            f'<span class="shape" aria-hidden="true">{shape}</span>{word}</span>{rest}</li>\n'
        )

    def _clock(self, at: datetime) -> str:
        """Most were checked within the same few minutes."""
        minute = int(at.timestamp() // 60)
        if minute not in self._clocks:
            self._clocks[minute] = format_clock(at, self._zone)
        return self._clocks[minute]


def routes(parts: Parts) -> list[BaseRoute]:
    """The board, and what can be done to a service from it."""

    async def board(request: Request) -> Response:
        user = await web.require(request, Role.VIEWER)
        return await _show(request, parts, login=user.login)

    async def take_duty(request: Request) -> Response:
        user = await web.require(request, Role.OPERATOR, somewhere=True)
        fields = await web.form(request)
        db, now = web.house(request).db, clock.now()
        if fields.get("do") == "leave":
            await db.run(duty.leave, user.login, by=user.login, now=now)
            return web.redirect(request, "/console")
        hours = fields.get("hours", "")
        if hours not in {str(shift) for shift in _SHIFTS}:
            raise Invalid("hours", "choose one of the shifts")
        until = now + timedelta(hours=int(hours))
        await db.run(duty.go_on, user.login, user.name, until, by=user.login, now=now)
        return web.redirect(request, "/console")

    async def service(request: Request) -> Response:
        await web.require(request, Role.VIEWER)
        return await _show_service(request, parts)

    async def override(request: Request) -> Response:
        return await _override(request, parts)

    return [
        Route("/console", board),
        Route("/console/duty", take_duty, methods=["POST"]),
        Route("/console/services/{code}", service),
        Route("/console/services/{code}/override", override, methods=["POST"]),
        Route("/console/overrides/{id}/end", end_override, methods=["POST"]),
        Route("/console/incidents/{id}/publish", publish, methods=["POST"]),
    ]


async def _show(request: Request, parts: Parts, *, login: str) -> Response:
    house, now = web.house(request), clock.now()
    shown = await house.db.read(read_board, parts, now=now)
    context = {
        "board": shown,
        "seq": shown.seq,
        "shifts": _SHIFTS,
        "is_on_duty": any(row.login == login for row in shown.on_duty),
        "monitor_items": Items(request),
        "at": lambda at: format_clock(at, house.settings.zone),
    }
    return web.render(request, "console/board.html", context)


async def publish(request: Request) -> Response:
    """Publish a draft that monitors opened, as it is."""
    user, id = await web.require(request, Role.OPERATOR, somewhere=True), request.path_params["id"]
    verb = within(user, Role.OPERATOR, partial(areas.of_notice, notice_id=id), incidents.publish)
    await web.house(request).db.run(verb, id, by=user.login, now=clock.now())
    return web.redirect(request, "/console")


async def _show_service(
    request: Request,
    parts: Parts,
    *,
    typed: Typed | None = None,
    problems: Sequence[Problem] = (),
    status: int = 200,
) -> Response:
    db, code = web.house(request).db, request.path_params["code"]
    shown = await db.read(read_service, parts, code, now=clock.now())
    groups = await db.read(areas.of_services, [code])
    context = {
        "service": shown,
        "may_act": may(request.scope["user"], Role.OPERATOR, groups),
        "statuses": tuple(ServiceStatus),
        "typed": typed or Typed(),
        "problems": problems,
        "problem_of": {problem.field: problem for problem in problems},
        "done": request.query_params.get("done", ""),
    }
    return web.render(request, "console/service.html", context, status=status)


async def _override(request: Request, parts: Parts) -> Response:
    user = await web.require(request, Role.OPERATOR, somewhere=True)
    typed = Typed({key: [value] for key, value in (await web.form(request)).items()})
    house, code, now = web.house(request), request.path_params["code"], clock.now()
    try:
        ends_at = read_local(typed("until"), house.settings.zone, choice=typed("until-choice"))
        if typed("status") not in set(ServiceStatus):
            raise Invalid("status", "choose one of the list")
        await house.db.run(
            within(user, Role.OPERATOR, partial(areas.of_services, codes=[code]), overrides.override),
            code,
            ServiceStatus(typed("status")),
            reason=typed("reason"),
            ends_at=ends_at,
            by=user.login,
            now=now,
        )
    except NoSuchTime as error:
        problem = Problem("until", error.message, error.choices)
    except Invalid as error:
        problem = problem_of(error)
    else:
        return web.redirect(request, f"/console/services/{code}?done=override")
    return await _show_service(request, parts, typed=typed, problems=[problem], status=422)


async def end_override(request: Request) -> Response:
    """Let measurements speak again."""
    user, id = await web.require(request, Role.OPERATOR, somewhere=True), request.path_params["id"]
    db = web.house(request).db
    verb = within(user, Role.OPERATOR, partial(areas.of_override, override_id=id), overrides.end)
    ended = await db.run(verb, id, by=user.login, now=clock.now())
    code = await db.read(lambda session: session.get_one(Service, ended.service_id).code)
    return web.redirect(request, f"/console/services/{code}?done=ended")


def read_board(session: Session, parts: Parts, *, now: datetime) -> Board:
    """The whole board at one moment."""
    cases = _cases(session)
    spoken = {code for case in cases if case.status not in ("scheduled",) for code in case.codes}
    standings = _standings(session, parts, spoken, now)
    open_cases = [case for case in cases if case.scheduled_for is None]
    return Board(
        seq=last_seq(session),
        services=standings,
        alarms=tuple(service for service in standings if service.is_alarm),
        drafts=tuple(case for case in open_cases if case.is_draft),
        incidents=tuple(case for case in open_cases if not case.is_draft),
        planned=tuple(case for case in cases if case.scheduled_for is not None),
        acts=tuple(acts.listed(session)),
        untranslated=_untranslated(session, [case.id for case in cases]),
        on_duty=tuple(duty.on_duty(session, now=now)),
        panels=tuple(panel(session) for panel in parts.panels),
    )


def read_service(session: Session, parts: Parts, code: str, *, now: datetime) -> Standing:
    """One service with its monitors. Raises NotFound."""
    services.by_code(session, code)
    return next(each for each in _standings(session, parts, set(), now, code=code) if each.code == code)


def _standings(
    session: Session, parts: Parts, spoken: set[str], now: datetime, *, code: str | None = None
) -> tuple[Standing, ...]:
    query = (
        select(
            Service.id,
            Service.code,
            Service.name_pl,
            Service.name_en,
            Service.status,
            Service.measured,
            Service.unknown_since,
            Service.status_since,
        )
        .where(Service.archived_at.is_(None))
        .order_by(Service.position)
    )
    lines: Mapping[str, Sequence[MonitorLine]] = parts.monitors(session, now, code)
    forced = {each.code: each for each in overrides.in_force(session)}
    return tuple(
        Standing(
            id=row.id,
            code=row.code,
            name=Text(row.name_pl, row.name_en),
            published=ServiceStatus(row.status),
            measured="unknown" if row.unknown_since or not row.measured else row.measured,
            since=row.status_since,
            monitors=lines.get(row.code, ()),
            override=forced.get(row.code),
            is_alarm=row.measured in _TROUBLE and row.code not in spoken and row.unknown_since is None,
        )
        for row in session.execute(query if code is None else query.where(Service.code == code))
    )


def _cases(session: Session) -> list[Case]:
    """Open incidents, drafts too, newest first; planned work, soonest first."""
    notices = session.scalars(
        select(Notice)
        .where(Notice.resolved_at.is_(None), Notice.merged_into_id.is_(None))
        .order_by(Notice.scheduled_for, Notice.began_at.desc())
    ).all()
    codes: dict[str, list[str]] = {notice.id: [] for notice in notices}
    rows = session.execute(
        select(NoticeService.notice_id, Service.code)
        .join(Service)
        .where(NoticeService.notice_id.in_(list(codes)))
        .order_by(NoticeService.by_parent, Service.position)
    )
    for notice_id, code in rows:
        codes[notice_id].append(code)
    return [
        Case(
            id=notice.id,
            name=Text(notice.name_pl, notice.name_en),
            status=notice.status,
            impact=notice.impact,
            began_at=notice.began_at,
            scheduled_for=notice.scheduled_for,
            scheduled_until=notice.scheduled_until,
            next_update_at=notice.next_update_at,
            is_draft=notice.published_at is None,
            is_silent=notice.kind == NoticeKind.INCIDENT and not notice.taken_over,
            codes=tuple(codes[notice.id]),
        )
        for notice in notices
    ]


def _untranslated(session: Session, notice_ids: Sequence[str]) -> tuple[tuple[str, Text], ...]:
    """Open notices in which a title or an update is there in one language alone."""
    half = or_(
        (Update.text_pl == "") != (Update.text_en == ""), (Notice.name_pl == "") != (Notice.name_en == "")
    )
    rows = session.execute(
        select(Notice.id, Notice.name_pl, Notice.name_en)
        .join(Update, Update.notice_id == Notice.id)
        .where(Notice.id.in_(notice_ids), Notice.published_at.is_not(None), half)
        .distinct()
    )
    return tuple((id, Text(pl, en)) for id, pl, en in rows)


def _(message: str) -> str:
    """Marks a message for translation."""
    return message
