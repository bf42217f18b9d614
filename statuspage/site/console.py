"""The operators' console: the board. What other rooms show there comes as panels."""

from collections.abc import Sequence
from dataclasses import dataclass

from jinja2 import pass_context
from jinja2.runtime import Context
from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from statuspage.incidents import incidents, words
from statuspage.incidents.publication import load_tree
from statuspage.incidents.tables import Notice, Service
from statuspage.kernel import clock, web
from statuspage.kernel.accounts import Role
from statuspage.kernel.panels import Panel, PanelSource


@pass_context
def _service_word(context: Context, status: str) -> str:
    return words.service_word(context["catalogues"], context["language"], status)


@pass_context
def _notice_word(context: Context, status: str) -> str:
    return words.notice_word(context["catalogues"], context["language"], status)


web.environment().globals |= {
    "service_word": _service_word,
    "service_shape": words.SHAPES.__getitem__,
    "notice_word": _notice_word,
}


def routes(panels: Sequence[PanelSource]) -> list[BaseRoute]:
    """`panels` are shown on the board in this order."""

    async def board(request: Request) -> Response:
        await web.require(request, Role.VIEWER)
        shown = await web.house(request).db.read(_read_board, panels)
        return web.render(request, "console/board.html", {"board": shown})

    return [
        Route("/console", board),
        Route("/console/incidents/{id}/publish", publish, methods=["POST"]),
    ]


async def publish(request: Request) -> Response:
    """Publish a draft that monitors opened."""
    user = await web.require(request, Role.OPERATOR)
    await web.house(request).db.run(
        incidents.publish, request.path_params["id"], by=user.login, now=clock.now()
    )
    return web.redirect(request, "/console")


@dataclass(frozen=True, slots=True)
class Board:
    """Everything the board shows."""

    services: tuple[Service, ...]
    drafts: tuple[Notice, ...]
    open_incidents: tuple[Notice, ...]
    panels: tuple[Panel, ...]


def _read_board(session: Session, panels: Sequence[PanelSource]) -> Board:
    unresolved = incidents.listed(session, unresolved=True)
    return Board(
        services=tuple(load_tree(session).services.values()),
        drafts=tuple(notice for notice in unresolved if notice.published_at is None),
        open_incidents=tuple(notice for notice in unresolved if notice.published_at is not None),
        panels=tuple(panel(session) for panel in panels),
    )
