"""What monitors show and take: heartbeats by HTTP, answer times, and what operators ask of them in the console."""

import re

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from monitors import latency_pages
from monitors.store import BeatKind, ask_recheck, pause, record_beat, resume
from statuspage.kernel import clock, web
from statuspage.kernel.accounts import Role
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


async def act(request: Request) -> Response:
    """Pause a monitor, resume it, or have it checked now; then back to its service."""
    user = await web.require(request, Role.OPERATOR)
    db, id = web.house(request).db, request.path_params["id"]
    by, now = user.login, clock.now()
    match request.path_params["act"]:
        case "pause":
            code = await db.run(pause, id, by=by, now=now)
        case "resume":
            code = await db.run(resume, id, by=by, now=now)
        case "recheck":
            code = await db.run(ask_recheck, id, by=by, now=now)
        case other:
            raise NotFound('"%(act)s" is nothing that can be done to a monitor', act=other)
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
