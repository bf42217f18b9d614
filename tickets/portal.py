"""Customers' pages of the help desk: ask, see what is known, send, follow. No sign-in, no JavaScript."""

from collections.abc import Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from statuspage.kernel import clock, web
from statuspage.kernel.errors import Conflict, TooMany, Unavailable
from statuspage.kernel.security import RateLimit, network_of, random_token
from tickets import letters, links, requests, rules
from tickets.requests import Choice, NewRequest
from tickets.rules import Draft, Kind, Problem

# A firm behind one address files a few requests in an outage; a script files hundreds.
REQUESTS_A_NETWORK = 60
WINDOW_S = 600.0

_FIELDS = ("kind", "service", "name", "email", "text")
_TOO_MANY = Problem("send", "Too many requests came from your network. Wait ten minutes and send it again.")
_UNAVAILABLE = Problem(
    "send", "We cannot store your request at the moment; the fault is ours. Try again in a minute."
)


def routes() -> list[BaseRoute]:
    """The pages under /desk."""
    limit = RateLimit(REQUESTS_A_NETWORK, WINDOW_S)

    async def send(request: Request) -> Response:
        return await _take(request, limit)

    return [
        Route("/desk", welcome),
        Route("/desk/new", ask),
        Route("/desk/new", send, methods=["POST"]),
    ]


async def welcome(request: Request) -> Response:
    """What one can do here."""
    return web.render(request, "tickets/desk.html")


async def ask(request: Request) -> Response:
    """The empty form; `?service=` and `?kind=` choose for the reader."""
    kind = request.query_params.get("kind", "")
    draft = Draft(
        kind=kind if kind in rules.FILED_ONLINE else Kind.FAILURE,
        service=request.query_params.get("service", ""),
        name="",
        email="",
        text="",
    )
    return await _form(request, draft)


@dataclass(frozen=True, slots=True)
class _Sent:
    """A form as it came back."""

    draft: Draft
    step: str
    submission: str


async def _sent(request: Request) -> _Sent:
    data = await web.form(request)
    draft = Draft(
        kind=data.get("kind", ""),
        service=data.get("service", ""),
        name=rules.tidied(data.get("name", "")),
        email=data.get("email", ""),
        text=rules.tidied(data.get("text", "")),
    )
    return _Sent(draft, data.get("step", "review"), data.get("submission", ""))


async def _take(request: Request, limit: RateLimit) -> Response:
    """A form came: back to the form, on to the review, or filed."""
    sent = await _sent(request)
    if sent.step == "edit":
        return await _form(request, sent.draft)
    choices = await web.house(request).db.read(requests.services)
    found = list(rules.problems(sent.draft))
    if sent.draft.service and sent.draft.service not in {choice.code for choice in choices}:
        found.append(Problem("service", "Choose a service from the list."))
    if found:
        return await _form(request, sent.draft, found)
    if sent.step != "send":
        return await _review(request, sent.draft, random_token())
    try:
        limit.use(network_of(web.client_address(request)), at_s=clock.monotonic())
        return await _file(request, sent)
    except TooMany as error:
        response = await _review(request, sent.draft, sent.submission, [_TOO_MANY], status=429)
        response.headers["Retry-After"] = str(error.retry_after_s)
        return response
    except Unavailable:
        return await _review(request, sent.draft, sent.submission, [_UNAVAILABLE], status=503)


async def _file(request: Request, sent: _Sent) -> Response:
    house = web.house(request)
    new = NewRequest(sent.draft, web.language(request), submission=sent.submission or None)
    try:
        filed = await house.db.run(requests.file_request, new, house=house, now=clock.now())
    except Conflict:
        before = await house.db.read(requests.filed_before, sent.submission)
        if before is None:
            raise
        filed = before
    return web.redirect(request, f"{letters.request_path(house, filed.view_key)}?sent")


async def _form(request: Request, draft: Draft, problems: Sequence[Problem] = ()) -> Response:
    choices = await web.house(request).db.read(requests.services)
    context = {
        "draft": draft,
        "problems": problems,
        "problem_of": {field: None for field in _FIELDS} | {p.field: p for p in problems},
        "services": choices,
        "kinds": rules.FILED_ONLINE,
        "incidents": await _known(request, draft, choices),
        "max_text": rules.MAX_TEXT,
    }
    return web.render(request, "tickets/new.html", context, status=422 if problems else 200)


async def _review(
    request: Request, draft: Draft, submission: str, problems: Sequence[Problem] = (), *, status: int = 200
) -> Response:
    """What will be sent, and what is known about the service already: before it is sent."""
    choices = await web.house(request).db.read(requests.services)
    context = {
        "draft": draft,
        "submission": submission,
        "problems": problems,
        "service": next((choice for choice in choices if choice.code == draft.service), None),
        "incidents": await _known(request, draft, choices),
    }
    return web.render(request, "tickets/review.html", context, status=status)


async def _known(request: Request, draft: Draft, choices: Sequence[Choice]) -> tuple[links.IncidentView, ...]:
    """The open incidents of the chosen service."""
    service = next((choice for choice in choices if choice.code == draft.service), None)
    if service is None:
        return ()
    return await web.house(request).db.read(links.open_incidents_of, service.id)
