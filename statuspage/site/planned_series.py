"""One series of planned work in the console: its rule in words, what lies ahead, and its end."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from statuspage.incidents import areas, recurrence, series, texts
from statuspage.incidents.notices import MAX_TEXT
from statuspage.incidents.recurrence import Coming, Recurrence
from statuspage.incidents.rules import MaintenanceStatus
from statuspage.incidents.snapshot import Text
from statuspage.incidents.tables import Notice, Series, Service
from statuspage.kernel import clock, config, web
from statuspage.kernel.accounts import Role
from statuspage.kernel.authority import may, within
from statuspage.kernel.errors import Conflict, Invalid
from statuspage.kernel.events import take_turns
from statuspage.kernel.i18n import LANGUAGES
from statuspage.kernel.panels import Parts
from statuspage.site.composition import Problem, Reader, Typed, problem_of
from statuspage.site.recurrence_words import Speaker

_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Line:
    """A series in the list."""

    id: str
    name: Text
    rule: str  # in words
    recurrence: Recurrence
    codes: tuple[str, ...]
    next_at: datetime | None  # None: it does not take place again
    is_over: bool


@dataclass(frozen=True, slots=True)
class File:
    """All that the page shows."""

    series: Series
    name: Text
    text: Text
    recurrence: Recurrence
    announced: tuple[Notice, ...]  # soonest first
    coming: tuple[Coming, ...]  # as its rule says
    count: int  # told of its end
    groups: frozenset[str]  # those of its services

    @property
    def is_over(self) -> bool:
        return self.series.ended_at is not None

    @property
    def ahead(self) -> tuple[Notice, ...]:
        """Announced, and not begun: what is called off with the series."""
        return tuple(notice for notice in self.announced if notice.status == MaintenanceStatus.SCHEDULED)

    @property
    def mark(self) -> str:
        """Names what is called off: a colleague may change it meanwhile."""
        return _mark(self.ahead)


def _mark(ahead: Sequence[Notice]) -> str:
    return f"{len(ahead)}.{sum(notice.version for notice in ahead)}"


def routes(parts: Parts) -> list[BaseRoute]:
    """The page and its one act."""

    async def show(request: Request) -> Response:
        await web.require(request, Role.VIEWER)
        return await _show(request, parts)

    async def end(request: Request) -> Response:
        return await _end(request, parts)

    return [
        Route("/console/maintenance/series/{id}", show),
        Route("/console/maintenance/series/{id}", end, methods=["POST"]),
    ]


def read_lines(session: Session, speaker: Speaker) -> list[Line]:
    """Every series, newest first."""
    return [_line(each, speaker) for each in series.listed(session)]


def _line(found: Series, speaker: Speaker) -> Line:
    rule = series.recurrence_of(found)
    coming = recurrence.preview(rule, 1, after=speaker.now) if found.ended_at is None else ()
    return Line(
        id=found.id,
        name=Text(found.name_pl, found.name_en),
        rule=speaker.rule(rule),
        recurrence=rule,
        codes=tuple(found.services),
        next_at=next((one.begins_at for one in coming), None),
        is_over=found.ended_at is not None or not coming,
    )


async def _show(
    request: Request,
    parts: Parts,
    *,
    typed: Typed | None = None,
    problems: Sequence[Problem] = (),
    failed: bool = False,
    status: int = 200,
) -> Response:
    house, now = web.house(request), clock.now()
    file: File = await house.db.read(_read, request.path_params["id"], parts, now=now)
    speaker = Speaker(house.catalogues, web.language(request), now)
    policy = house.settings.incidents
    standard = texts.MAINTENANCE_CANCELLED
    typed = typed or Typed({"text_pl": [standard.pl], "text_en": [standard.en], "announced": ["cancel"]})
    said = tuple(language for language in LANGUAGES if typed(f"text_{language}"))
    context = {
        "file": file,
        "may_act": may(request.scope["user"], Role.OPERATOR, file.groups),
        "rule": speaker.rule(file.recurrence),
        "rows": speaker.rows(
            file.coming,
            file.recurrence.zone,
            announce_ahead=policy.announce_ahead,
            plan_ahead=policy.plan_ahead,
        ),
        "typed": typed,
        "problems": problems,
        "problem_of": {problem.field: problem for problem in problems},
        "failed": failed,
        "languages": said or LANGUAGES,
        "done": request.query_params.get("done", ""),
    }
    return web.render(request, "console/planned_series.html", context, status=status)


def _read(session: Session, series_id: str, parts: Parts, *, now: datetime) -> File:
    """Raises NotFound."""
    found = series.get(session, series_id)
    rule = series.recurrence_of(found)
    ids = session.scalars(select(Service.id).where(Service.code.in_(found.services))).all()
    return File(
        series=found,
        name=Text(found.name_pl, found.name_en),
        text=Text(found.text_pl, found.text_en),
        recurrence=rule,
        announced=tuple(series.announced(session, series_id)),
        coming=recurrence.forecast(rule, _SHOWN, after=now) if found.ended_at is None else (),
        count=parts.audience(session, ids),
        groups=_groups(series_id, session),
    )


async def _end(request: Request, parts: Parts) -> Response:
    """End it. Where a colleague has changed something meanwhile, that is said and nothing happens."""
    user = await web.require(request, Role.OPERATOR, somewhere=True)
    typed = Typed({key: [value] for key, value in (await web.form(request)).items()})
    house, id, now = web.house(request), request.path_params["id"], clock.now()
    reader = Reader(typed, house.settings.zone, now)
    text = reader.text("text", MAX_TEXT)
    if reader.problems:
        return await _show(request, parts, typed=typed, problems=reader.problems, status=422)
    try:
        policy = house.settings.incidents
        verb = within(user, Role.OPERATOR, partial(_groups, id), _ended)
        await house.db.run(verb, id, typed, text, by=user.login, now=now, policy=policy)
    except Invalid as error:
        return await _show(request, parts, typed=typed, problems=[problem_of(error)], status=422)
    except Conflict:
        return await _show(request, parts, typed=typed, failed=True, status=409)
    return web.redirect(request, f"/console/maintenance/series/{id}?done=ended")


def _groups(series_id: str, session: Session) -> frozenset[str]:
    return areas.of_services(session, series.get(session, series_id).services)


def _ended(
    session: Session, id: str, typed: Typed, text: Text, *, by: str, now: datetime, policy: config.Incidents
) -> None:
    if typed("announced") not in ("leave", "cancel"):
        raise Invalid("announced", "Choose one of the list.")
    if not text.pl and not text.en:
        text = texts.MAINTENANCE_CANCELLED
    leave = typed("announced") == "leave"
    take_turns(session)
    ahead = [n for n in series.announced(session, id) if n.status == MaintenanceStatus.SCHEDULED]
    if not leave and typed("seen") != _mark(ahead):
        raise Conflict("what is announced of the series %(series)s has changed", series=id)
    series.end(session, id, by=by, now=now, policy=policy, leave_announced=leave, text=text)


def _(message: str) -> str:
    """Marks a message for translation."""
    return message
