"""What web functions share: pages, forms, errors as HTTP, language, who is asking. It knows no room."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Protocol
from urllib.parse import urlencode, urlsplit

import structlog
from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup
from starlette.datastructures import FormData, Headers, MutableHeaders, UploadFile
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from statuspage.kernel import clock, i18n
from statuspage.kernel.accounts import SEEN_EVERY, Role, SignedIn, note_seen, signed_in
from statuspage.kernel.config import Settings
from statuspage.kernel.errors import (
    Conflict,
    Error,
    Forbidden,
    Invalid,
    NotFound,
    TooMany,
    Unavailable,
    filled,
)
from statuspage.kernel.house import House

log = structlog.get_logger(__name__)

COOKIE = "statuspage_session"
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; manifest-src 'self'"
)
# Without a cookie there is nothing to forge; these are called by machines without an Origin of ours.
_ORIGIN_EXEMPT = ("/unsubscribe/", "/heartbeat/", "/api/")


class Told(Protocol):
    """A message with values: an Error, or what is wrong with a field."""

    @property
    def message(self) -> str: ...

    @property
    def values(self) -> Mapping[str, object]: ...


class SignInNeeded(Exception):
    """Nobody is signed in; `web` answers with the way to the sign-in page."""


def house(request: Request) -> House:
    """The house this request came to."""
    found: House = request.app.state.house
    return found


def language(request: Request) -> i18n.Language:
    """The language this request is answered in."""
    return request.scope.get("language", "pl")  # type: ignore[no-any-return]


def localized(request: Request, path: str) -> str:
    """`path` under the language prefix the reader came by, if any."""
    return f"{request.scope.get('language_prefix', '')}{path}"


def translate(request: Request, message: str) -> str:
    """`message` in the request's language."""
    return house(request).catalogues.gettext(language(request), message)


@cache
def environment() -> Environment:
    """The one template environment. Every value is escaped; an undefined one is an error."""
    env = Environment(
        loader=FileSystemLoader(i18n.TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    env.install_gettext_callables(_gettext, _ngettext, newstyle=True)  # type: ignore[attr-defined]
    # For messages that stand in variables: `_()` makes Markup of its argument, this does not.
    env.filters["translated"] = _gettext
    env.filters["said"] = _said
    env.filters["instant"] = _instant
    env.filters["day"] = _day
    env.filters["clock"] = _clock
    env.filters["duration"] = _duration
    env.filters["time"] = _time
    return env


@pass_context
def _gettext(context: Context, message: str) -> str:
    catalogues: i18n.Catalogues = context["catalogues"]
    return catalogues.gettext(context["language"], message)


@pass_context
def _ngettext(context: Context, singular: str, plural: str, n: int) -> str:
    catalogues: i18n.Catalogues = context["catalogues"]
    return catalogues.ngettext(context["language"], singular, plural, n)


@pass_context
def _said(context: Context, told: Told) -> str:
    """What an error or a problem says, in the reader's language."""
    return filled(_gettext(context, told.message), told.values)


@pass_context
def _instant(context: Context, at: datetime) -> str:
    return i18n.format_instant(at, context["language"], context["zone"], context["now"])


@pass_context
def _day(context: Context, at: datetime) -> str:
    return i18n.format_day(at, context["language"], context["zone"], context["now"])


@pass_context
def _clock(context: Context, at: datetime) -> str:
    return i18n.format_clock(at, context["zone"])


@pass_context
def _duration(context: Context, duration: timedelta) -> str:
    return i18n.format_duration_words(duration, context["language"])


@pass_context
def _time(context: Context, at: datetime) -> Markup:
    """A `<time>` element: readable here, exact for machines."""
    return Markup('<time datetime="{}">{}</time>').format(f"{at:%Y-%m-%dT%H:%M:%SZ}", _instant(context, at))


def page(the_house: House, template: str, language: str, context: Mapping[str, Any], *, now: datetime) -> str:
    """A rendered template; the same for a request and for bytes made in advance."""
    return (
        environment()
        .get_template(template)
        .render(
            {
                "catalogues": the_house.catalogues,
                "language": language,
                "other_language": "en" if language == "pl" else "pl",
                "zone": the_house.settings.zone,
                "now": now,
                "is_settled": False,  # tells of the past: its copy is made anew once a day
                "settings": the_house.settings,
                "page_name": the_house.settings.page.name_pl
                if language == "pl"
                else the_house.settings.page.name_en,
                "base_url": the_house.settings.server.base_url,
                "is_demo": the_house.is_demo,
                "sign_in_hints": the_house.sign_in_hints,
                **context,
            }
        )
    )


def render(
    request: Request, template: str, context: Mapping[str, Any] | None = None, *, status: int = 200
) -> Response:
    """A page for this request. Private: it is never cached by others.

    Beside `page`'s variables a template sees `path` (without language prefix), `prefix` and `user`.
    """
    text = page(
        house(request),
        template,
        language(request),
        {
            "path": request.scope["path"],
            "prefix": request.scope.get("language_prefix", ""),
            "user": request.scope.get("user"),
            **(context or {}),
        },
        now=clock.now(),
    )
    return HTMLResponse(
        text, status, headers={"Cache-Control": "no-store", "Vary": "Accept-Language, Cookie"}
    )


def redirect(request: Request, path: str) -> Response:
    """See Other, in the reader's language: after a POST, or to a better address."""
    return RedirectResponse(localized(request, path), 303)


def client_address(request: Request) -> str:
    """The address the request came from, as far as trusted proxies tell."""
    return request.client.host if request.client else "unknown"


async def form(request: Request, *, files: int = 0) -> dict[str, str]:
    """The text fields of a form, stripped; of files it takes at most so many, and `upload` gives one."""
    data: FormData = await request.form(max_files=files, max_fields=2000)
    return {key: value.strip() for key, value in data.items() if isinstance(value, str)}


async def form_list(request: Request, name: str) -> list[str]:
    """All values of a repeated field."""
    data: FormData = await request.form(max_files=0, max_fields=2000)
    return [value for value in data.getlist(name) if isinstance(value, str)]


async def upload(request: Request, name: str) -> bytes:
    """The content of a file of a form already read; empty where none was chosen."""
    found = (await request.form()).get(name)
    if not isinstance(found, UploadFile):
        return b""
    content = await found.read()
    await found.close()
    return content


async def require(request: Request, role: Role, *, somewhere: bool = False, files: int = 0) -> SignedIn:
    """Who is asking. Raises SignInNeeded without a session, Forbidden below `role`.

    With `somewhere` the role for any group of services is enough: the verb has to run `within` it. On POST the
    session's CSRF token must come back in the field `csrf`; the form may carry so many `files`.
    """
    token, now = request.cookies.get(COOKIE, ""), clock.now()
    db = house(request).db
    user = await db.read(signed_in, token, now=now) if token else None
    if user is None:
        raise SignInNeeded
    if user.seen_at is not None and now - user.seen_at >= SEEN_EVERY:
        await db.run(note_seen, token, now=now)
    request.scope["user"] = user
    if not (user.may_somewhere(role) if somewhere else user.may(role)):
        raise Forbidden(f"the role {role} is needed")
    if request.method == "POST" and (await form(request, files=files)).get("csrf") != user.csrf:
        await request.close()
        raise Forbidden("the form is out of date; load the page again")
    return user


# --- errors as HTTP: the only place that knows codes ---

_STATUS: dict[type[Exception], int] = {
    Invalid: 422,
    NotFound: 404,
    Forbidden: 403,
    Conflict: 409,
    TooMany: 429,
    Unavailable: 503,
}


def status_of(error: Exception) -> int:
    """The HTTP status that says this error; 500 for a fault of ours."""
    if isinstance(error, HTTPException):
        return error.status_code
    return next((_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS), 500)


def answer_error(request: Request, error: Exception) -> Response:
    """An error in words, in the reader's language, as a page or as JSON for the API."""
    status = status_of(error)
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}  # Allow, of a 405
    if isinstance(error, TooMany):
        headers["Retry-After"] = str(error.retry_after_s)
    if status == 500:
        log.error("web.fault", path=request.scope["path"], exc_info=error)
    if isinstance(error, Unavailable):
        headers["Retry-After"] = "5"
        log.warning("web.unavailable", path=request.scope["path"], reason=str(error))
    if request.scope["path"].startswith("/api/"):
        return JSONResponse({"error": _reason(error)}, status, headers)
    response = render(request, "site/error.html", {"status": status, "error": error}, status=status)
    response.headers.update(headers)
    return response


def _reason(error: Exception) -> str:
    """In words, for programs; a fault of ours says nothing of itself."""
    if isinstance(error, HTTPException):
        return error.detail
    return str(error) if isinstance(error, Error) else "error"


def answer_sign_in_needed(request: Request, _error: Exception) -> Response:
    """The way to the sign-in page, and back."""
    query = urlencode({"next": request.scope["path"]})
    return redirect(request, f"/console/sign-in?{query}")


def answer_unexpected(request: Request, error: Exception) -> Response:
    """A fault of ours. It comes from outside all middleware, so that language and headers are set here."""
    prefix, _ = split_language(request.scope["path"])
    accepted = request.headers.get("accept-language", "")
    request.scope["language"] = prefix[1:] or i18n.negotiate(accepted, language(request))
    request.scope["language_prefix"] = prefix
    response = answer_error(request, error)
    add_security_headers(response.headers)
    return response


EXCEPTION_HANDLERS: dict[Any, Any] = {
    Error: answer_error,
    HTTPException: answer_error,
    SignInNeeded: answer_sign_in_needed,
    Exception: answer_unexpected,
}


# --- middleware: pure ASGI ---


class Languages:
    """Takes `/pl` or `/en` off the path, or negotiates; sets `language` and `language_prefix`."""

    def __init__(self, app: ASGIApp, default: i18n.Language) -> None:
        self.app = app
        self.default = default

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            prefix, path = split_language(scope["path"])
            accepted = Headers(scope=scope).get("accept-language", "")
            scope = {
                **scope,
                "path": path,
                "raw_path": path.encode(),
                "language": prefix[1:] or i18n.negotiate(accepted, self.default),
                "language_prefix": prefix,
            }
        await self.app(scope, receive, send)


def split_language(path: str) -> tuple[str, str]:
    """`/pl/desk` → (`/pl`, `/desk`); `/desk` → (``, `/desk`)."""
    for known in i18n.LANGUAGES:
        prefix = f"/{known}"
        if path == prefix or path.startswith(prefix + "/"):
            return prefix, path[len(prefix) :] or "/"
    return "", path


class Guard:
    """Refuses state-changing requests from foreign sites (abuse case 15) and sets the security headers."""

    def __init__(self, app: ASGIApp, base_url: str) -> None:
        self.app = app
        self.own_host = urlsplit(base_url).netloc

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:

        async def send_with_headers(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                add_security_headers(MutableHeaders(scope=message))
            await send(message)

        app = self.app
        if scope["type"] == "http" and self._is_foreign(scope["method"], scope["path"], Headers(scope=scope)):
            app = Response("This request came from another site and was refused.\n", 403)
        await app(scope, receive, send_with_headers)

    def _is_foreign(self, method: str, path: str, headers: Headers) -> bool:
        if method in ("GET", "HEAD", "OPTIONS") or split_language(path)[1].startswith(_ORIGIN_EXEMPT):
            return False
        if site := headers.get("sec-fetch-site"):
            return site not in ("same-origin", "none")
        origin = headers.get("origin")
        return origin is not None and urlsplit(origin).netloc not in (self.own_host, headers.get("host"))


def middleware(settings: Settings) -> list[Middleware]:
    """What every request passes, in this order: a 413 has the guard's headers, too."""
    return [
        Middleware(Languages, default="pl" if settings.page.language == "pl" else "en"),
        Middleware(Guard, base_url=settings.server.base_url),
        Middleware(RequestBodyLimitMiddleware, max_body_size=settings.server.max_body_bytes),
    ]


def add_security_headers(headers: MutableHeaders) -> None:
    """The headers of every answer; an answer may set a stricter policy of its own."""
    headers.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY)
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers.setdefault("Referrer-Policy", "same-origin")
    headers.setdefault("X-Frame-Options", "DENY")
