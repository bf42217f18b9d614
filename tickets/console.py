"""Agents' pages of the help desk: the queue, a ticket, an incident's tickets. All need Role.AGENT."""

from collections.abc import Mapping
from urllib.parse import urlencode

from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from statuspage.kernel import clock, web
from statuspage.kernel.accounts import Role, SignedIn
from statuspage.kernel.errors import Conflict, Invalid
from statuspage.kernel.panels import Panel
from tickets import attachments, follow_pages, links, requests, rules
from tickets.requests import Filter
from tickets.rules import How, State

_ON_BOARD = {
    State.NEW: "New",
    State.OPEN: "Being worked on",
    State.PENDING_CUSTOMER: "Waiting for the requester",
    State.PENDING_INCIDENT: "Waiting for the end of an incident",
    State.PENDING_APPROVAL: "Waiting for approval",
    State.RESOLVED: "Resolved",
}


def panel(session: Session) -> Panel:
    """The help desk at a glance: how many requests are in each state that still moves."""
    counts = requests.counts(session)
    cells = tuple(str(counts[state]) for state in _ON_BOARD)
    has_any = any(counts[state] for state in _ON_BOARD)
    return Panel(
        title="Requests",
        columns=tuple(_ON_BOARD.values()),
        rows=(cells,) if has_any else (),
        empty="No customer has sent a request yet.",
        link="/console/tickets",
    )


def routes() -> list[BaseRoute]:
    """The help desk's pages under /console."""
    return [
        Route("/console/tickets", queue),
        Route("/console/tickets/{number}", ticket),
        Route("/console/tickets/{number}", act, methods=["POST"]),
        Route("/console/tickets/{number}/files/{id}", download),
        Route("/console/incidents/{incident_id}/tickets", incident),
        Route("/console/incidents/{incident_id}/tickets", link_suggested, methods=["POST"]),
    ]


async def queue(request: Request) -> Response:
    """The queue: what is not solved, longest waiting first; or another state, service, incident."""
    await web.require(request, Role.AGENT)
    db = web.house(request).db
    chosen = {key: request.query_params.get(key, "") for key in ("state", "service", "incident")}
    wanted = Filter(_states(chosen["state"]), chosen["service"] or None, chosen["incident"] or None)
    found = await db.read(requests.queue, wanted, after=request.query_params.get("after"))
    more = urlencode({**{key: value for key, value in chosen.items() if value}, "after": found.after or ""})
    context = {
        "queue": found,
        "chosen": chosen,
        "more": more if found.after else None,
        "counts": await db.read(requests.counts),
        "states": tuple(State),
        "services": await db.read(requests.services),
        "incidents": await db.read(links.linkable, now=clock.now()),
    }
    return web.render(request, "tickets/queue.html", context)


def _states(chosen: str) -> frozenset[State]:
    if chosen == "all":
        return frozenset(State)
    return frozenset({State(chosen)}) if chosen in set(State) else rules.UNSOLVED


_FIELDS = ("note", "answer", "solution", "incident", "reason")


async def ticket(request: Request) -> Response:
    """A ticket: what was asked, said, linked, and what can be done."""
    await web.require(request, Role.AGENT)
    return await _ticket(request)


async def _ticket(
    request: Request,
    *,
    problem: rules.Problem | None = None,
    moved: Conflict | None = None,
    typed: Mapping[str, str] | None = None,
    status: int = 200,
) -> Response:
    db = web.house(request).db
    found = await db.read(requests.view, request.path_params["number"])
    linked = await db.read(links.links_of, found.id)
    known = {link.incident_id for link in linked if link.unlinked_at is None}
    linkable = await db.read(links.linkable, now=clock.now())
    context = {
        "ticket": found,
        "links": linked,
        "files": await db.read(attachments.listed, found.id),
        # Those of the ticket's own service first: they are what an agent looks for.
        "linkable": sorted(
            (i for i in linkable if i.id not in known), key=lambda i: found.service_code not in i.services
        ),
        "problem": problem,
        "moved": moved,
        "typed": {name: (typed or {}).get(name, "") for name in _FIELDS},
        "done": request.query_params.get("done"),
        "closes_at": rules.closes_at(found.resolved_at) if found.resolved_at else None,
    }
    return web.render(request, "tickets/ticket.html", context, status=status)


async def act(request: Request) -> Response:
    """Do what one of the ticket's forms asks. What was typed comes back where it cannot be done."""
    user = await web.require(request, Role.AGENT)
    data = await web.form(request)
    number = request.path_params["number"]
    try:
        await _do(request, user, number, data)
    except Invalid as error:
        return await _ticket(
            request,
            problem=rules.Problem(error.field, error.message, error.values),
            typed=data,
            status=422,
        )
    except Conflict as error:
        return await _ticket(request, moved=error, typed=data, status=409)
    return web.redirect(request, f"/console/tickets/{number}?{urlencode({'done': data['action']})}")


async def _do(request: Request, user: SignedIn, number: str, data: Mapping[str, str]) -> None:
    house, now = web.house(request), clock.now()
    match data.get("action"):
        case "note":
            await house.db.run(requests.note, number, data.get("note", ""), by=user.login, now=now)
        case "answer":
            body = data.get("answer", "")
            await house.db.run(requests.answer, number, body, by=user.login, house=house, now=now)
        case "ask":
            body = data.get("answer", "")
            await house.db.run(requests.ask, number, body, by=user.login, house=house, now=now)
        case "solution":
            body = data.get("solution", "")
            await house.db.run(requests.solve, number, body, by=user.login, house=house, now=now)
        case "link":
            if not data.get("incident"):
                raise Invalid("incident", "Choose the incident first.")
            window = house.settings.incidents.reopen_window
            await house.db.run(
                links.link,
                number,
                data["incident"],
                how=How.AGENT,
                by=user.login,
                reopen_window=window,
                now=now,
            )
        case "unlink":
            incident_id, reason = data.get("incident", ""), data.get("reason", "")
            await house.db.run(links.unlink, number, incident_id, reason=reason, by=user.login, now=now)
        case _:
            raise Invalid("", "Choose what to do with the buttons of the page.")


async def download(request: Request) -> Response:
    """A file of a ticket, to be saved."""
    await web.require(request, Role.AGENT)
    house = web.house(request)
    ticket = await house.db.read(requests.view, request.path_params["number"])
    return await follow_pages.sent_file(house, ticket.id, request.path_params["id"])


async def incident(request: Request) -> Response:
    """The tickets that are, or probably are, about an incident."""
    await web.require(request, Role.AGENT)
    db, incident_id = web.house(request).db, request.path_params["incident_id"]
    context = {
        "incident": await db.read(links.incident, incident_id),
        "suggested": await db.read(links.suggestions, incident_id, now=clock.now()),
        "linked": await db.read(links.linked, incident_id),
        "reopen_window": web.house(request).settings.incidents.reopen_window,
        "just_linked": _count(request, "linked"),
        "moved_on": _count(request, "moved_on"),
        "none_chosen": "none" in request.query_params,
    }
    return web.render(request, "tickets/incident.html", context)


async def link_suggested(request: Request) -> Response:
    """Confirm the ticked suggestions, and with them that the resolution's text answers them."""
    numbers = await web.form_list(request, "number")
    user = await web.require(request, Role.AGENT)
    house, incident_id = web.house(request), request.path_params["incident_id"]
    if not numbers:
        return web.redirect(request, f"/console/incidents/{incident_id}/tickets?none")
    outcome = await house.db.run(
        links.link_many,
        numbers,
        incident_id,
        by=user.login,
        reopen_window=house.settings.incidents.reopen_window,
        now=clock.now(),
    )
    told = urlencode({"linked": len(outcome.linked), "moved_on": len(outcome.moved_on)})
    return web.redirect(request, f"/console/incidents/{incident_id}/tickets?{told}")


def _count(request: Request, name: str) -> int:
    value = request.query_params.get(name, "")
    return int(value) if value.isascii() and value.isdigit() and len(value) < 6 else 0
