"""What monitors show and take: heartbeats by HTTP, answer times, and what operators ask of them in the console."""

import re
from functools import partial

from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from monitors import latency_pages
from monitors.store import BeatKind, ask_recheck, pause, record_beat, resume, service_code
from statuspage.incidents import areas
from statuspage.kernel import clock, web
from statuspage.kernel.accounts import Role
from statuspage.kernel.authority import within
from statuspage.kernel.errors import NotFound

_EXIT_CODE = re.compile(r"\d{1,3}")


async def heartbeat(request: Request) -> Response:
    """A sender says success, `start`, `fail` or its exit code. The method and the body do not matter."""
    house = web.house(request)
    try:
        kind, exit_code = _said(request.path_params.get("said", ""))
        await house.db.run(
            record_beat,
            request.path_params["token"],
            kind,
            exit_code,
            signer=house.signer,
            now=clock.now(),
        )
    except NotFound:
        return PlainTextResponse("not found\n", 404)
    return PlainTextResponse("OK\n", headers={"Cache-Control": "no-store"})


def _said(text: str) -> tuple[BeatKind, int | None]:
    """What the end of the address says. Raises NotFound for what is no word of ours."""
    if not text:
        return BeatKind.SUCCESS, None
    if text in (BeatKind.START, BeatKind.FAIL):
        return BeatKind(text), None
    if _EXIT_CODE.fullmatch(text) and int(text) <= 255:
        return (BeatKind.SUCCESS, None) if int(text) == 0 else (BeatKind.FAIL, int(text))
    raise NotFound('"%(said)s" is neither start, fail nor an exit code', said=text)


_ACTS = {"pause": pause, "resume": resume, "recheck": ask_recheck}


def _area(session: Session, monitor_id: str) -> frozenset[str]:
    """The group of the monitor's service."""
    return areas.of_services(session, [service_code(session, monitor_id)])


async def act(request: Request) -> Response:
    """Pause a monitor, resume it, or have it checked now; then back to its service."""
    user, id = await web.require(request, Role.OPERATOR, somewhere=True), request.path_params["id"]
    name = request.path_params["act"]
    if name not in _ACTS:
        raise NotFound('"%(act)s" is nothing that can be done to a monitor', act=name)
    verb = within(user, Role.OPERATOR, partial(_area, monitor_id=id), _ACTS[name])
    code = await web.house(request).db.run(verb, id, by=user.login, now=clock.now())
    return web.redirect(request, f"/console/services/{code}?done={request.path_params['act']}")


def routes() -> list[BaseRoute]:
    """The room's addresses."""
    methods = ["GET", "HEAD", "POST"]
    return [
        Route("/heartbeat/{token}", heartbeat, methods=methods),
        Route("/heartbeat/{token}/{said}", heartbeat, methods=methods),
        *latency_pages.routes(),
        Route("/console/monitors/{id}/{act}", act, methods=["POST"]),
    ]
