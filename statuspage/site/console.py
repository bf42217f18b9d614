"""The operators' console: signing in and out, and the way to its pages. What other rooms show comes as `Parts`."""

import asyncio
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from statuspage.kernel import clock, web
from statuspage.kernel.accounts import Role, end_session, find_user, is_password, start_session
from statuspage.kernel.errors import TooMany
from statuspage.kernel.panels import Parts
from statuspage.kernel.security import RateLimit, network_of
from statuspage.site import board, composer, drafts, incident_file, planned, saying, wordings

__all__ = ["routes", "saying"]  # importing `saying` teaches the templates their words

_WINDOW_S = 300
_ATTEMPTS_PER_LOGIN = 10
_ATTEMPTS_PER_NETWORK = 50


def routes(parts: Parts) -> list[BaseRoute]:
    """Signing in and out, and the console's pages; `parts` are what other rooms show and do there."""

    per_login = RateLimit(_ATTEMPTS_PER_LOGIN, _WINDOW_S)
    per_network = RateLimit(_ATTEMPTS_PER_NETWORK, _WINDOW_S)

    def count_attempt(request: Request, login: str) -> None:
        per_network.use(network_of(web.client_address(request)), at_s=clock.monotonic())
        per_login.use(login, at_s=clock.monotonic())

    async def sign_in(request: Request) -> Response:
        if request.method == "GET":
            return _sign_in_form(request)
        return await _sign_in(request, count_attempt)

    return [
        *board.routes(parts),
        *composer.routes(parts),
        *incident_file.routes(),
        *drafts.routes(parts),
        *wordings.routes(),
        *planned.routes(parts),
        Route("/console/sign-in", sign_in, methods=["GET", "POST"]),
        Route("/console/sign-out", sign_out, methods=["POST"]),
    ]


def _sign_in_form(request: Request, *, login: str = "", failed: str = "", status: int = 200) -> Response:
    context = {"login": login, "failed": failed, "next": _onward(request.query_params.get("next", ""))}
    return web.render(request, "console/sign_in.html", context, status=status)


async def _sign_in(request: Request, count_attempt: Callable[[Request, str], None]) -> Response:
    """Check who it is, and begin a session under a new token."""
    fields = await web.form(request)
    login, house = fields.get("login", "")[:200], web.house(request)
    try:
        count_attempt(request, login)
    except TooMany as error:
        response = _sign_in_form(request, login=login, failed="many", status=429)
        response.headers["Retry-After"] = str(error.retry_after_s)
        return response
    user = await house.db.read(find_user, login)
    is_good = await asyncio.to_thread(is_password, user, fields.get("password", ""))
    if user is None or not is_good:
        return _sign_in_form(request, login=login, failed="wrong", status=422)
    lifetime = house.settings.security.session_lifetime
    token = await house.db.run(start_session, user.id, now=clock.now(), lifetime=lifetime)
    response = web.redirect(request, _onward(request.query_params.get("next", "")) or "/console")
    is_https = house.settings.server.base_url.startswith("https://")
    response.set_cookie(web.COOKIE, token, httponly=True, samesite="lax", secure=is_https, path="/")
    return response


def _onward(path: str) -> str:
    """Only a path of ours: never another site (open redirect)."""
    is_ours = path.startswith("/") and not path.startswith("//") and "\\" not in path and path.isprintable()
    return path if is_ours else ""


async def sign_out(request: Request) -> Response:
    """End the session on the server, then forget the cookie."""
    await web.require(request, Role.VIEWER)
    await web.house(request).db.run(end_session, request.cookies[web.COOKIE])
    response = web.redirect(request, "/console/sign-in")
    response.delete_cookie(web.COOKIE, path="/")
    return response
