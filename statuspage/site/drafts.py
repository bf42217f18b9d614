"""Drafts: what waits to be published, by a second person or at its time. A draft's page shows what would be seen."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial

from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from statuspage.incidents import acts, areas
from statuspage.incidents.acts import SecondNeeded
from statuspage.incidents.tables import Act
from statuspage.kernel import clock, config, web
from statuspage.kernel.accounts import Role, SignedIn
from statuspage.kernel.authority import OutOfArea, within
from statuspage.kernel.errors import Conflict, Error, Invalid, NotFound
from statuspage.kernel.i18n import LANGUAGES
from statuspage.kernel.localtime import NoSuchTime, read_local
from statuspage.kernel.panels import Parts
from statuspage.site.composer import rehearse_act
from statuspage.site.composition import Problem, Typed, label_of, problem_of
from statuspage.site.rehearsal import Preview


def routes(parts: Parts) -> list[BaseRoute]:
    """The list, a draft, and what is done with it."""

    async def listed(request: Request) -> Response:
        await web.require(request, Role.VIEWER)
        found = await web.house(request).db.read(acts.listed)
        return web.render(request, "console/drafts.html", {"acts": found, "content_of": acts.content_of})

    async def draft(request: Request) -> Response:
        await web.require(request, Role.OPERATOR, somewhere=True)
        return await _show(request, parts)

    async def act(request: Request) -> Response:
        return await _act(request, parts)

    return [
        Route("/console/drafts", listed),
        Route("/console/drafts/{id}", draft),
        Route("/console/drafts/{id}", act, methods=["POST"]),
    ]


async def _show(
    request: Request,
    parts: Parts,
    *,
    typed: Typed | None = None,
    problem: Problem | None = None,
    failed: Error | None = None,
    needs_second: bool = False,
    out_of_area: Sequence[str] = (),
    status: int = 200,
) -> Response:
    house, user, now = web.house(request), request.scope["user"], clock.now()
    found = await house.db.read(acts.get_open, request.path_params["id"], to_change=False)
    preview: Preview | None = None
    flaw: Error | None = None
    try:
        preview = await rehearse_act(house, parts, found.id, by=user.login, now=now)
    except Error as error:  # as it stands it cannot be published: say why, and let it be edited
        flaw = error
    failure = acts.failure_of(found)
    context = {
        "act": found,
        "content": acts.content_of(found),
        "preview": preview,
        "flaw": flaw,
        "flaw_at": label_of(flaw.field) if isinstance(flaw, Invalid) else "",
        "failure": failure,
        "failure_at": label_of(failure.field) if failure else "",
        "typed": typed or Typed(),
        "problems": [problem] if problem else [],
        "problem_of": {problem.field: problem} if problem else {},
        "failed": failed,
        "out_of_area": out_of_area,
        "needs_second": needs_second or await _is_for_another(request, found),
        "page_languages": LANGUAGES,
        "done": request.query_params.get("done", ""),
    }
    return web.render(request, "console/draft.html", context, status=status)


async def _is_for_another(request: Request, act: Act) -> bool:
    """Whether who looks has written it, and it takes two."""
    house, user = web.house(request), request.scope["user"]
    if user.login != act.edited_by:
        return False
    policy = house.settings.incidents
    return await house.db.read(acts.needs_second, acts.content_of(act), policy=policy)


async def _act(request: Request, parts: Parts) -> Response:
    user = await web.require(request, Role.OPERATOR, somewhere=True)
    typed = Typed({key: [value] for key, value in (await web.form(request)).items()})
    try:
        where = await _do(request, typed, user)
    except NoSuchTime as error:
        problem = Problem("publish_at", error.message, error.choices)
        return await _show(request, parts, typed=typed, problem=problem, status=422)
    except Invalid as error:
        return await _show(request, parts, typed=typed, problem=problem_of(error), status=422)
    except SecondNeeded:
        return await _show(request, parts, typed=typed, needs_second=True, status=403)
    except OutOfArea as error:
        return await _show(request, parts, typed=typed, out_of_area=error.groups, status=403)
    except Conflict as error:
        # If it is over, that is the answer.
        await web.house(request).db.read(acts.get_open, request.path_params["id"], to_change=False)
        return await _show(request, parts, typed=typed, failed=error, status=409)
    return web.redirect(request, where)


async def _do(request: Request, typed: Typed, user: SignedIn) -> str:
    """Do it; returns where to go then."""
    house, id, now = web.house(request), request.path_params["id"], clock.now()
    policy, login = house.settings.incidents, user.login
    guarded = partial(within, user, Role.OPERATOR, partial(areas.of_act, act_id=id))
    match typed("do"):
        case "publish":
            verb = guarded(_perform_version)
            notice = await house.db.run(
                verb, id, typed("version"), login, typed("break_glass"), now=now, policy=policy
            )
            return f"/console/incidents/{notice}?done=published"
        case "hand_over":
            await house.db.run(acts.hand_over, id)
            return f"/console/drafts/{id}?done=handed_over"
        case "schedule":
            at = read_local(typed("publish_at"), house.settings.zone, choice=typed("publish_at-choice"))
            if at is None:
                raise Invalid("publish_at", "say when")
            await house.db.run(guarded(acts.schedule), id, at, by=login, now=now, policy=policy)
            return f"/console/drafts/{id}?done=scheduled"
        case "drop":
            await house.db.run(guarded(acts.drop), id, by=login, now=now)
            return "/console/drafts"
    raise NotFound("there is no such act")


def _perform_version(
    session: Session,
    id: str,
    version: str,
    login: str,
    break_glass: str,
    *,
    now: datetime,
    policy: config.Incidents,
) -> str:
    """Publish what was read: not what somebody has changed meanwhile."""
    act = acts.get_open(session, id)
    if str(act.version) != version:
        raise Conflict(
            "%(editor)s has edited this draft since you opened it; read it again", editor=act.edited_by
        )
    return acts.perform(session, id, by=login, now=now, policy=policy, break_glass=break_glass).id
