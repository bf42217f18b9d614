"""The page of one piece of planned work in the console: what is announced to whom, and what can be done to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from statuspage.incidents import areas, maintenance, planned_words
from statuspage.incidents.notice_views import notice_views
from statuspage.incidents.rules import MaintenanceStatus
from statuspage.incidents.snapshot import Text
from statuspage.incidents.tables import Notice, NoticeService, Revision, Service, Update
from statuspage.kernel import clock, web
from statuspage.kernel.accounts import Role
from statuspage.kernel.authority import may, within
from statuspage.kernel.errors import Conflict, Error, Invalid
from statuspage.kernel.i18n import LANGUAGES
from statuspage.kernel.panels import Parts
from statuspage.site import planned_acts
from statuspage.site.composition import Problem, Typed
from statuspage.site.planned import Plan, plan_of
from statuspage.site.planned_acts import MAY, STANDARD, Asked, Late, Missed, Stale
from statuspage.site.rehearsal import Preview, is_more_than_said, rehearse


@dataclass(frozen=True, slots=True)
class Part:
    """A service of the work."""

    code: str
    name: Text
    cancelled_at: datetime | None


@dataclass(frozen=True, slots=True)
class File:
    """All that the page shows."""

    notice: Notice
    name: Text
    plan: Plan | None
    services: tuple[Part, ...]
    updates: tuple[tuple[Update, Text], ...]  # newest first
    revised: int  # the newest revision
    count: int  # told of what is done now
    told: Mapping[str, int]  # by language: told of it so far
    missed: tuple[Missed, ...]
    groups: frozenset[str]  # those of its services

    @property
    def is_over(self) -> bool:
        return self.notice.resolved_at is not None

    @property
    def remaining(self) -> tuple[Part, ...]:
        """The services that were not taken out."""
        return tuple(part for part in self.services if part.cancelled_at is None)

    @property
    def acts(self) -> tuple[str, ...]:
        """What can be done now."""
        acts = MAY[MaintenanceStatus(self.notice.status)]
        return tuple(act for act in acts if act != "part" or len(self.remaining) > 1)


@dataclass(frozen=True, slots=True)
class Look:
    """What the page shows beside the work."""

    act: str = ""  # the form that was sent
    typed: Typed | None = None
    problems: Sequence[Problem] = ()
    preview: Preview | None = None
    late: str = ""  # Asked.late_mark, where it is asked whether it may be late
    is_stale: bool = False
    is_more: bool = False
    failed: Error | None = None


def routes(parts: Parts) -> list[BaseRoute]:
    """The page and its acts."""

    async def show(request: Request) -> Response:
        await web.require(request, Role.VIEWER)
        return await _show(request, parts, Look())

    async def act(request: Request) -> Response:
        return await _act(request, parts)

    return [
        Route("/console/maintenance/{id}", show),
        Route("/console/maintenance/{id}/{act}", act, methods=["POST"]),
    ]


async def _act(request: Request, parts: Parts) -> Response:
    """Do it, or preview it. Where it cannot be done, everything typed comes back."""
    user = await web.require(request, Role.OPERATOR, somewhere=True)
    data = await request.form(max_files=0, max_fields=2000)
    typed = Typed({key: [v for v in data.getlist(key) if isinstance(v, str)] for key in data})
    house, id, act = web.house(request), request.path_params["id"], request.path_params["act"]
    asked, problems = planned_acts.read(act, id, typed, house, by=user.login, now=clock.now())
    look = Look(act, typed)
    if problems:
        return await _show(request, parts, replace(look, problems=problems), status=422)
    try:
        if typed("do") == "preview":
            return await _show(request, parts, replace(look, preview=await _rehearsed(asked, parts)))
        groups = partial(areas.of_notice, notice_id=id)
        await house.db.run(within(user, Role.OPERATOR, groups, _perform), asked, parts)
    except Late:
        look = replace(look, preview=await _rehearsed(asked, parts), late=asked.late_mark)
        return await _show(request, parts, look, status=409)
    except Stale:
        return await _show(request, parts, replace(look, is_stale=True), status=409)
    except _More:
        return await _show(request, parts, replace(look, is_more=True), status=409)
    except Invalid as error:
        look = replace(look, problems=[planned_acts.problem_of(error, act)])
        return await _show(request, parts, look, status=422)
    except Conflict as error:
        return await _show(request, parts, replace(look, failed=error), status=409)
    return web.redirect(request, f"/console/maintenance/{id}?done={act}")


class _More(Exception):
    """More would be told than the button said."""


def _perform(session: Session, asked: Asked, parts: Parts) -> None:
    """Raises _More beside what performing it raises; then nothing is done."""
    notice = asked.perform(session)
    told = asked.typed("told")
    if told and asked.act != "rename" and is_more_than_said(_audience(session, notice, parts), told):
        raise _More


def _audience(session: Session, notice: Notice, parts: Parts) -> int:
    return parts.audience(session, [service.id for service in maintenance.services_of(session, notice)])


async def _rehearsed(asked: Asked, parts: Parts) -> Preview:
    asked = replace(asked, typed=asked.typed.with_values(late=asked.late_mark))
    return await rehearse(asked.house, parts, lambda session: asked.perform(session).id, now=asked.now)


async def _show(request: Request, parts: Parts, look: Look, *, status: int = 200) -> Response:
    house, now = web.house(request), clock.now()
    file: File = await house.db.read(_read, request, parts, look.typed, now=now)
    own = look.typed.values if look.typed is not None else {}
    typed = Typed({**planned_acts.proposal(file.notice, house).values, **own})
    context = {
        "file": file,
        "typed": typed,
        "look": look,
        "problem_of": {problem.field: problem for problem in reversed(look.problems)},
        "may_act": may(request.scope["user"], Role.OPERATOR, file.groups),
        "languages_of": lambda act: _languages(typed, act),
        "standard": STANDARD,
        "ahead": planned_words.length(
            house.settings.incidents.announce_ahead, house.catalogues, web.language(request)
        ),
        "page_languages": LANGUAGES,
        "done": request.query_params.get("done", ""),
    }
    return web.render(request, "console/planned_work.html", context, status=status)


def _languages(typed: Typed, act: str) -> tuple[str, ...]:
    """Those in which it is said; without words of one's own, both."""
    own = tuple(language for language in LANGUAGES if typed(f"{act}_text_{language}"))
    return own or LANGUAGES


def _read(session: Session, request: Request, parts: Parts, typed: Typed | None, *, now: datetime) -> File:
    """Raises NotFound."""
    house = web.house(request)
    notice = maintenance.get(session, request.path_params["id"])
    (view,) = notice_views(session, [notice.id])
    rows = session.execute(
        select(NoticeService, Service)
        .join(Service)
        .where(NoticeService.notice_id == notice.id)
        .order_by(Service.position)
    )
    updates = session.scalars(
        select(Update).where(Update.notice_id == notice.id).order_by(Update.position.desc())
    )
    revised = select(Revision.id).where(Revision.notice_id == notice.id).order_by(Revision.id.desc())
    return File(
        notice=notice,
        name=Text(notice.name_pl, notice.name_en),
        plan=plan_of(view, house.catalogues, web.language(request), house.settings.zone, now),
        services=tuple(
            Part(service.code, Text(service.name_pl, service.name_en), row.cancelled_at)
            for row, service in rows
        ),
        updates=tuple((update, Text(update.text_pl, update.text_en)) for update in updates),
        revised=session.scalar(revised.limit(1)) or 0,
        count=_audience(session, notice, parts),
        told=parts.told(session, notice.id),
        missed=planned_acts.missed(session, notice, typed) if typed is not None else (),
        groups=areas.of_notice(session, notice.id),
    )
