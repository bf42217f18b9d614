"""The machinery of the management API: who asks, may he, what does he say, one unit of work, one answer.

It knows no room: it is given their operations. No cookie is looked at, and no other site is let in (CORS).
"""

import asyncio
import sys
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import structlog
from sqlalchemy.orm import Session
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route

from statuspage.kernel import audit, clock, idempotency, problems, reading, tokens, web
from statuspage.kernel.errors import Conflict, Error, Invalid, NotFound, Unavailable
from statuspage.kernel.house import House
from statuspage.kernel.idempotency import Answer
from statuspage.kernel.openapi import document
from statuspage.kernel.operations import MAX_BODY_BYTES, ROOT, Call, Operation, Reply, Shown, etag
from statuspage.kernel.problems import Malformed, ScopeNeeded, Unauthorized
from statuspage.kernel.security import RateLimit, network_of
from statuspage.kernel.tokens import Holder

log = structlog.get_logger(__name__)

_WINDOW_S = 60.0


@dataclass(frozen=True, slots=True)
class Limits:
    """Requests in a minute."""

    refused_per_network: int = 60  # tokens that are not good
    per_token: int = 1200


LIMITS = Limits()


def mount(house: House, operations: Sequence[Operation], limits: Limits = LIMITS) -> BaseRoute:
    """Everything below `ROOT`, with errors of its own kind."""
    rest = Rest(house, operations, limits)
    app = Starlette(
        routes=rest.routes(),
        exception_handlers={HTTPException: problem_of, Error: problem_of},
    )
    app.router.redirect_slashes = False
    # The limit that all addresses share answers in plain text, even after an answer of ours; here `_raw_body` holds.
    return Mount(ROOT, app=app, max_body_size=sys.maxsize)


def problem_of(request: Request, error: Exception) -> Response:
    """What went wrong outside any operation: no such address or method, or a fault of ours."""
    if web.status_of(error) == 500:
        log.error("manage.fault", path=request.scope["path"], exc_info=error)
    return problems.answer(error)


class Rest:
    """Answers for all operations."""

    def __init__(self, house: House, operations: Sequence[Operation], limits: Limits) -> None:
        self._house = house
        self._operations = operations
        self._refusals = RateLimit(limits.refused_per_network, _WINDOW_S)
        self._requests = RateLimit(limits.per_token, _WINDOW_S)
        self._under_way: set[tuple[str, str]] = set()  # token and key
        self._document = msgspec.json.encode(document(operations, house.settings.server.base_url + ROOT))

    def routes(self) -> list[BaseRoute]:
        """One for each address, so that a 405 names every method there is."""
        by_path: dict[str, dict[str, Operation]] = defaultdict(dict)
        for operation in self._operations:
            by_path[operation.path][operation.method] = operation
        found: list[BaseRoute] = [Route("/openapi.json", self._show_document)]
        for path, methods in by_path.items():
            found.append(Route(path, self._endpoint(methods), methods=list(methods)))
        return found

    async def _show_document(self, _request: Request) -> Response:
        """Open to everybody: it says how to ask, and nothing of what there is."""
        return Response(self._document, headers={"Cache-Control": "no-cache"}, media_type="application/json")

    def _endpoint(self, methods: dict[str, Operation]) -> Any:
        async def endpoint(request: Request) -> Response:
            operation = methods["GET" if request.method == "HEAD" else request.method]
            try:
                return await self._answer(request, operation)
            except Conflict as error:
                return problems.answer(error, current=await self._current(request, operation))
            except Invalid as error:
                return problems.answer(error, field=_name_in_body(operation, error))
            except (Error, HTTPException) as error:
                if isinstance(error, Unavailable):
                    log.warning("manage.unavailable", path=request.scope["path"], reason=str(error))
                return problems.answer(error)
            except Exception as error:
                return problem_of(request, error)

        return endpoint

    async def _answer(self, request: Request, operation: Operation) -> Response:
        holder = await self._holder(request)
        if operation.scope not in holder.scopes:
            raise ScopeNeeded(operation.scope)
        self._requests.use(holder.id, at_s=clock.monotonic())
        raw = await _raw_body(request, self._most_bytes(operation))
        call = self._call(request, operation, holder, raw)
        if operation.method == "GET":
            answer = _answer_of(operation, await self._house.db.read(operation.verb, call))
        else:
            answer = await self._change(request, operation, call, holder, raw)
        await self._note_use(holder)
        headers = {"Cache-Control": "no-store", **answer.headers}
        if answer.is_repeated:
            headers["Idempotency-Replayed"] = "true"
        media_type = "application/json" if answer.status != 204 else None
        return Response(answer.body, answer.status, headers, media_type=media_type)

    def _most_bytes(self, operation: Operation) -> int:
        return operation.max_body_bytes or min(MAX_BODY_BYTES, self._house.settings.server.max_body_bytes)

    async def _holder(self, request: Request) -> Holder:
        """Who asks. Bad tokens are limited per network; whoever shares it with a good one is not shut out."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        holder = None
        if scheme.lower() == "bearer" and token.strip():
            holder = await self._house.db.read(tokens.holder_of, token.strip(), now=clock.now())
        if holder is None:
            self._refusals.use(network_of(web.client_address(request)), at_s=clock.monotonic())
            raise Unauthorized(was_given=bool(token))
        return holder

    async def _note_use(self, holder: Holder) -> None:
        now = clock.now()
        if holder.last_used_at is None or now - holder.last_used_at >= tokens.USED_EVERY:
            with suppress(Unavailable):  # reading goes on where nothing can be written
                await self._house.db.run(tokens.note_use, holder.id, now=now)

    def _call(self, request: Request, operation: Operation, holder: Holder, raw: bytes) -> Call:
        body = query = None
        if operation.body is not None:
            kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind != "application/json":
                raise HTTPException(415, "send the body as application/json")
            body = reading.body_of(raw, operation.body)
        else:
            reading.refuse_body(raw)
        if operation.query is not None:
            query = reading.query_of(request.url.query, operation.query)
        elif request.url.query:
            raise Malformed(request.url.query.partition("=")[0], "is no parameter; there are none")
        return Call(
            by=holder.actor,
            now=clock.now(),
            settings=self._house.settings,
            path=_path_of(request),
            query=query,
            body=body,
            if_match=reading.tag_of(request.headers.get("if-match")) if operation.takes_if_match else None,
        )

    async def _change(
        self, request: Request, operation: Operation, call: Call, holder: Holder, raw: bytes
    ) -> Answer:
        """The effect, its entry in the audit log and the kept answer, all or none of them."""
        key = reading.key_of(request.headers.get(idempotency.HEADER)) if operation.method == "POST" else None
        mark = None
        if key is not None:
            mark = (holder.id, key)
            if mark in self._under_way:
                raise idempotency.UnderWay
            self._under_way.add(mark)
        path = request.scope["path"]
        fingerprint = idempotency.fingerprint(request.method, path, raw)
        try:
            if operation.prepare is not None:
                call = replace(call, prepared=await asyncio.to_thread(operation.prepare, call))
            return await self._house.db.run(change, operation, call, holder.id, key, fingerprint)
        finally:
            if mark is not None:
                self._under_way.discard(mark)

    async def _current(self, request: Request, operation: Operation) -> Shown | None:
        if operation.current is None:
            return None
        call = Call(by="", now=clock.now(), settings=self._house.settings, path=_path_of(request))
        with suppress(NotFound):
            return await self._house.db.read(operation.current, call)
        return None


def change(
    session: Session, operation: Operation, call: Call, token_id: str, key: str | None, fingerprint: str
) -> Answer:
    """One unit of work. A request that was answered before has its answer repeated, and no effect."""
    if key is not None:
        kept = idempotency.recall(session, token_id, key, fingerprint, now=call.now)
        if kept is not None:
            return kept
    reply = operation.verb(session, call)
    answer = _answer_of(operation, reply)
    if key is not None:
        idempotency.keep(session, token_id, key, fingerprint, answer, now=call.now)
    if operation.action:
        session.flush()
        audit.record(session, call.by, operation.action, reply.subject, at=call.now)
    return answer


def _answer_of(operation: Operation, reply: Reply) -> Answer:
    headers = {}
    if reply.version is not None:
        headers["ETag"] = etag(reply.version)
    if reply.location:
        headers["Location"] = f"{ROOT}{reply.location}"
    if reply.value is None:
        return Answer(204, headers, b"")
    return Answer(operation.status, headers, msgspec.json.encode(reply.value))


async def _raw_body(request: Request, most: int) -> bytes:
    """Raises HTTPException 413 beyond `most` bytes, before any is read where its length was told."""
    too_large = HTTPException(413, f"at most {most} bytes are read")
    told = request.headers.get("content-length", "")
    if told.isascii() and told.isdigit() and int(told) > most:
        raise too_large
    received = bytearray()
    async for chunk in request.stream():
        received += chunk
        if len(received) > most:
            raise too_large
    return bytes(received)


def _path_of(request: Request) -> dict[str, str]:
    """The parts of the address; what is no id of ours names nothing."""
    for value in request.path_params.values():
        if not value.isascii() or not value.isprintable() or len(value) > 60:
            raise NotFound("there is no such address")
    return dict(request.path_params)


def _name_in_body(operation: Operation, error: Invalid) -> str:
    """The field as the request names it; verbs name theirs for forms: `title_pl` is `name.pl` here."""
    name, _, language = error.field.rpartition("_")
    if name and language in ("pl", "en"):
        return f"{operation.fields.get(name, name)}.{language}"
    return operation.fields.get(error.field, error.field)
