"""The templates' pages: prepared words that the composer opens with."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from statuspage.incidents import templates
from statuspage.incidents.acts import ActKind
from statuspage.incidents.rules import IncidentStatus
from statuspage.incidents.snapshot import Text
from statuspage.incidents.tables import Template
from statuspage.incidents.templates import NewTemplate
from statuspage.kernel import web
from statuspage.kernel.accounts import Role
from statuspage.kernel.errors import Conflict, Invalid
from statuspage.site.composition import Problem, Typed, problem_of

_NEW = "new"


def routes() -> list[BaseRoute]:
    """The list, and one template's form."""
    return [
        Route("/console/templates", listed),
        Route("/console/templates/{id}", form),
        Route("/console/templates/{id}", save, methods=["POST"]),
    ]


async def listed(request: Request) -> Response:
    """All templates."""
    await web.require(request, Role.VIEWER)
    found = await web.house(request).db.read(templates.listed)
    context = {"templates": found, "done": request.query_params.get("done", "")}
    return web.render(request, "console/templates.html", context)


async def form(request: Request) -> Response:
    """One template, or an empty form."""
    await web.require(request, Role.OPERATOR)
    id = request.path_params["id"]
    if id == _NEW:
        return _form(request, Typed({"kind": [ActKind.OPEN.value], "position": ["1"]}))
    row = await web.house(request).db.read(templates.get, id)
    return _form(request, _typed(row))


def _typed(row: Template) -> Typed:
    fields = ("name", "kind", "title_pl", "title_en", "text_pl", "text_en", "status", "position")
    return Typed({name: [str(getattr(row, name))] for name in fields})


def _form(request: Request, typed: Typed, problem: Problem | None = None, *, status: int = 200) -> Response:
    context = {
        "id": request.path_params["id"],
        "typed": typed,
        "problems": [problem] if problem else [],
        "problem_of": {problem.field: problem} if problem else {},
        "variables": templates.VARIABLES,
        "statuses": tuple(IncidentStatus),
    }
    return web.render(request, "console/template.html", context, status=status)


async def save(request: Request) -> Response:
    """Save or remove it."""
    await web.require(request, Role.OPERATOR)
    db, id = web.house(request).db, request.path_params["id"]
    typed = Typed({key: [value] for key, value in (await web.form(request)).items()})
    if typed("do") == "remove":
        await db.run(templates.remove, id)
        return web.redirect(request, "/console/templates?done=removed")
    try:
        await db.run(templates.save, _read(typed), template_id=None if id == _NEW else id)
    except Invalid as error:
        return _form(request, typed, problem_of(error), status=422)
    except Conflict:
        problem = Problem("name", _("There is a template of this name already."))
        return _form(request, typed, problem, status=409)
    return web.redirect(request, "/console/templates?done=saved")


def _read(typed: Typed) -> NewTemplate:
    if typed("kind") not in list(ActKind):
        raise Invalid("kind", "choose one of the list")
    if typed("status") and typed("status") not in list(IncidentStatus):
        raise Invalid("status", "choose one of the list")
    if not typed("position").isdecimal() or int(typed("position")) > 1000:
        raise Invalid("position", "write a whole number from 0 to 1000")
    return NewTemplate(
        name=typed("name"),
        kind=ActKind(typed("kind")),
        title=Text(typed("title_pl"), typed("title_en")),
        text=Text(typed("text_pl"), typed("text_en")),
        status=IncidentStatus(typed("status")) if typed("status") else None,
        position=int(typed("position")),
    )


def _(message: str) -> str:
    """Marks a message for translation."""
    return message
