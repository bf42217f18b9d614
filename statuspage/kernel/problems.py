"""Errors of the management API as problem details (RFC 9457): what is wrong, in which field, what stands there now."""

from http import HTTPStatus
from typing import Any

import msgspec
import structlog
from starlette.exceptions import HTTPException
from starlette.responses import Response

from statuspage.kernel import web
from statuspage.kernel.errors import Error, Forbidden, Invalid, TooMany, Unavailable
from statuspage.kernel.idempotency import UnderWay
from statuspage.kernel.operations import Precondition, Shown, Stale
from statuspage.kernel.tokens import Scope

log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"
REALM = 'Bearer realm="statuspage"'


class Unauthorized(Error):
    """No token, or one that is not good: unknown, expired and revoked ones are told apart by nobody."""

    def __init__(self, *, was_given: bool) -> None:
        super().__init__("the token is not good" if was_given else "send a token: Authorization: Bearer …")
        self.was_given = was_given


class ScopeNeeded(Forbidden):
    """The token is good, but not for this."""

    def __init__(self, scope: Scope) -> None:
        super().__init__(f"the token lacks the scope {scope}")
        self.scope = scope


class Malformed(Invalid):
    """The request does not follow the document: not JSON, an unknown field, a value of the wrong form."""


class FieldError(Shown, frozen=True, kw_only=True):
    """One field that is wrong, and what to do."""

    field: str
    reason: str


class Problem(Shown, frozen=True, kw_only=True):
    """An error (RFC 9457). `current` is what stands there now, where that is what the request ran into."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[FieldError]
    current: dict[str, Any] | None


_STATUS: dict[type[Exception], int] = {Unauthorized: 401, Malformed: 400, Stale: 412, Precondition: 428}


def answer(error: Exception, *, field: str = "", current: Shown | None = None) -> Response:
    """The problem that says this error. `field` replaces the name that the error gives to the field."""
    status = _STATUS.get(type(error)) or web.status_of(error)
    problem = Problem(
        type="about:blank",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=_detail(error, field),
        errors=[FieldError(field=field or error.field, reason=error.reason)]
        if isinstance(error, Invalid)
        else [],
        current=None if current is None else msgspec.to_builtins(current),
    )
    headers = {"Cache-Control": "no-store", **_headers(error)}
    return Response(msgspec.json.encode(problem), status, headers, media_type=MEDIA_TYPE)


def _detail(error: Exception, field: str) -> str:
    if isinstance(error, Invalid):
        return f"{field or error.field}: {error.reason}"
    if isinstance(error, HTTPException):
        return error.detail
    return str(error) if isinstance(error, Error) else "a fault of ours; it was logged"


def _headers(error: Exception) -> dict[str, str]:
    if isinstance(error, Unauthorized):
        return {"WWW-Authenticate": f'{REALM}, error="invalid_token"' if error.was_given else REALM}
    if isinstance(error, ScopeNeeded):
        return {"WWW-Authenticate": f'{REALM}, error="insufficient_scope", scope="{error.scope}"'}
    if isinstance(error, TooMany):
        return {"Retry-After": str(error.retry_after_s)}
    if isinstance(error, UnderWay):
        return {"Retry-After": "1"}
    if isinstance(error, Unavailable):
        return {"Retry-After": "5"}
    return dict(error.headers or {}) if isinstance(error, HTTPException) else {}
