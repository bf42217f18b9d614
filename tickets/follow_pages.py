"""A request's own page, for whoever holds its signed link: where it stands, what was said, what one can still do.

No sign-in, no JavaScript. An unknown link and a revoked one look alike.
"""

import asyncio
from collections.abc import Mapping
from functools import partial
from urllib.parse import quote

from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from statuspage.kernel import clock, web
from statuspage.kernel.errors import Conflict, Invalid, NotFound, TooMany
from statuspage.kernel.house import House
from statuspage.kernel.security import RateLimit, network_of, random_token
from tickets import attachments, following, letters, levels, links, requests, rules, storage
from tickets.attachments import A_MESSAGE, A_TICKET_BYTES, Offered, Sent
from tickets.levels import Due, Entered
from tickets.requests import TicketView
from tickets.rules import Problem

MESSAGES_A_NETWORK = 60
_WINDOW_S = 600.0
_FORM_BYTES = 1_000_000  # beside the files: texts, names, the multipart's own lines
_TOO_MANY = Problem("", "Too many messages came from your network. Wait ten minutes and send it again.")


def routes(attachment_bytes: int) -> list[BaseRoute]:
    """The page, its forms and its files. `attachment_bytes` is the largest file."""
    limit = RateLimit(MESSAGES_A_NETWORK, _WINDOW_S)

    async def act(request: Request) -> Response:
        return await _act(request, limit)

    most = min(A_MESSAGE * attachment_bytes, A_TICKET_BYTES) + _FORM_BYTES
    return [
        Route("/desk/requests/{token}", show),
        Route("/desk/requests/{token}", act, methods=["POST"], max_body_size=most),
        Route("/desk/requests/{token}/files/{id}", download),
    ]


async def show(request: Request) -> Response:
    """The request as it stands."""
    return await _show(request)


async def _show(
    request: Request,
    *,
    problem: Problem | None = None,
    typed: Mapping[str, str] | None = None,
    status: int = 200,
) -> Response:
    house = web.house(request)
    ticket = await house.db.read(requests.view_by_key, _view_key(request))
    before, later = await house.db.read(following.related, ticket.id)
    context = {
        "ticket": ticket,
        "incidents": await house.db.read(links.incidents_of, ticket.id),
        "files": await house.db.read(attachments.listed, ticket.id),
        "before": before,
        "later": later,
        "path_of": lambda other: letters.request_path(house, other.view_key),
        "closes_at": rules.closes_at(ticket.resolved_at) if ticket.resolved_at else None,
        "due": _due(house, ticket),
        "is_open": ticket.state in rules.UNSOLVED,
        "is_final": ticket.state in rules.FINAL,
        "is_fresh": "sent" in request.query_params,
        "done": request.query_params.get("done", ""),
        "problem": problem,
        "typed": {"text": "", "submission": random_token(), **(typed or {})},
        "accepted": ",".join(f".{end}" for end in attachments.ACCEPTED),
        "max_files": A_MESSAGE,
        "max_bytes": house.settings.tickets.attachment_bytes,
    }
    response = web.render(request, "tickets/request.html", context, status=status)
    response.headers["X-Robots-Tag"] = "noindex, nofollow"
    return response


def _due(house: House, ticket: TicketView) -> Due:
    states = [Entered(step.state, step.at) for step in ticket.steps]
    promised = levels.levels_of(house.settings)
    return levels.due(
        promised, ticket.kind, ticket.created_at, states, is_answered=ticket.agent_wrote_at is not None
    )


def _view_key(request: Request) -> str:
    view_key = web.house(request).signer.verify(letters.VIEW, request.path_params["token"])
    if view_key is None:
        raise NotFound("there is no such request")
    return view_key


async def _act(request: Request, limit: RateLimit) -> Response:
    """Write, withdraw, or go on in a new request. What was typed comes back where it cannot be done."""
    _view_key(request)  # before anything of the body is read
    data = await request.form(max_files=A_MESSAGE, max_fields=20)
    typed = {key: value for key, value in data.items() if isinstance(value, str)}
    try:
        limit.use(network_of(web.client_address(request)), at_s=clock.monotonic())
        where = await _do(request, typed, data)
    except TooMany as error:
        response = await _show(request, problem=_TOO_MANY, typed=typed, status=429)
        response.headers["Retry-After"] = str(error.retry_after_s)
        return response
    except Invalid as error:
        problem = Problem(error.field, error.message, error.values)
        return await _show(request, problem=problem, typed=typed, status=422)
    except Conflict as error:
        return await _show(request, problem=Problem("", error.message), typed=typed, status=409)
    finally:
        await data.close()
    return web.redirect(request, where)


async def _do(request: Request, typed: Mapping[str, str], data: FormData) -> str:
    """Do it; returns where to go then."""
    house, view_key, now = web.house(request), _view_key(request), clock.now()
    text = typed.get("text", "")
    here = letters.request_path(house, view_key)
    match typed.get("action"):
        case "write":
            files = await _kept(house, view_key, data)
            await house.db.run(following.write, view_key, text, files, house=house, now=now)
            return f"{here}?done=written"
        case "withdraw":
            await house.db.run(following.withdraw, view_key, now=now)
            return f"{here}?done=withdrawn"
        case "follow_up":
            key = typed.get("submission") or None
            try:
                filed = await house.db.run(
                    following.follow_up, view_key, text, submission=key, house=house, now=now
                )
            except Conflict:
                filed_before = await house.db.read(requests.filed_before, key) if key else None
                if filed_before is None:
                    raise
                filed = filed_before
            return f"{letters.request_path(house, filed.view_key)}?sent"
        case _:
            raise Invalid("", "Choose what to do with the buttons of the page.")


async def _kept(house: House, view_key: str, data: FormData) -> list[Sent]:
    """The files of the form, in their place before the ticket knows them: a crash leaves only what is swept."""
    settings = house.settings
    uploads = [each for each in data.getlist("files") if isinstance(each, UploadFile) and each.filename]
    if not uploads:
        return []
    await house.db.read(following.check_files, view_key, [await _offered(upload) for upload in uploads])
    keep = partial(storage.keep, data_dir=settings.data.dir, at_most=settings.tickets.attachment_bytes)
    return [
        Sent(attachments.tidied_name(upload.filename or ""), await asyncio.to_thread(keep, upload.file))
        for upload in uploads
    ]


async def _offered(upload: UploadFile) -> Offered:
    head = await upload.read(storage.HEAD)
    await upload.seek(0)
    return Offered(upload.filename or "", upload.size or 0, head)


async def download(request: Request) -> Response:
    """A file of the request, to be saved: never shown, whatever it is (abuse case 9)."""
    house = web.house(request)
    ticket = await house.db.read(requests.view_by_key, _view_key(request))
    return await sent_file(house, ticket.id, request.path_params["id"])


async def sent_file(house: House, ticket_id: str, attachment_id: str) -> Response:
    """The answer that carries a file. Raises NotFound, Conflict while it is held."""
    row = await house.db.read(attachments.fetched, ticket_id, attachment_id)
    if not storage.place(row.digest, house.settings.data.dir).exists():
        raise NotFound("there is no such file")
    headers = {
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(row.name)}",  # RFC 6266 §4.3
        "Content-Length": str(row.size),
        "Cache-Control": "private, no-store",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "X-Robots-Tag": "noindex, nofollow",
    }
    chunks = storage.chunks(row.digest, house.settings.data.dir)  # read on a thread, piece by piece
    return StreamingResponse(chunks, headers=headers, media_type="application/octet-stream")
