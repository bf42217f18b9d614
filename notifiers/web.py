"""Pages and API of subscriptions. GET shows, POST acts: mail scanners follow links (abuse case 7)."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from json import JSONDecodeError
from typing import Any

from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from notifiers import ledger, rules, subscribers
from notifiers.links import MANAGE, UNSUBSCRIBE
from notifiers.rules import DeliveryState, SubscriberState
from notifiers.subscribers import Choice, Offer
from notifiers.tables import Subscriber
from statuspage.kernel import clock, web
from statuspage.kernel.errors import Invalid, NotFound
from statuspage.kernel.panels import Panel
from statuspage.kernel.security import RateLimit, network_of

ASKS_AN_HOUR = 60  # of one network: a whole office may sit behind one address


# --- what the form shows ---


@dataclass(frozen=True, slots=True)
class ServiceChoice:
    id: str
    name: str
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class GroupChoice:
    name: str
    services: tuple[ServiceChoice, ...]


@dataclass(frozen=True, slots=True)
class Form:
    """A choice of services and language, as it stands in the form."""

    groups: tuple[GroupChoice, ...]
    language: str
    email: str = ""
    wrong_field: str = ""


def _form(
    offers: Collection[Offer],
    shown_in: str,
    *,
    chosen: Collection[str],
    language: str,
    email: str = "",
    wrong_field: str = "",
) -> Form:
    groups = tuple(
        GroupChoice(
            offer.name_pl if shown_in == "pl" else offer.name_en,
            tuple(
                ServiceChoice(
                    s.id, s.name_pl if shown_in == "pl" else s.name_en, s.id in chosen or s.code in chosen
                )
                for s in offer.services
            ),
        )
        for offer in offers
    )
    return Form(groups, language, email, wrong_field)


async def _entered_form(request: Request, *, wrong_field: str, fields: Mapping[str, str]) -> Form:
    """The form with all that was typed."""
    return _form(
        await web.house(request).db.read(subscribers.offers),
        web.language(request),
        chosen=await web.form_list(request, "services"),
        language=fields.get("language", web.language(request)),
        email=fields.get("email", ""),
        wrong_field=wrong_field,
    )


async def _fields(request: Request) -> dict[str, str]:
    """What was typed; a form of somebody's own without a language means the page's."""
    return {"language": web.language(request), **await web.form(request)}


def _wanted(session: Session, fields: Mapping[str, str], services: Collection[str]) -> Choice:
    """Nothing ticked is everything, as in an imported list."""
    return subscribers.choice_of(session, language=fields["language"], services=services or None)


# --- subscribing ---


class Subscribing:
    """Asking for a subscription: by the page or by the API, with one limit for both."""

    def __init__(self) -> None:
        self._asked = RateLimit(ASKS_AN_HOUR, 3600)

    async def show(self, request: Request) -> Response:
        """`GET /subscribe`; `?service=CODE` is ticked already."""
        chosen = request.query_params.getlist("service")
        form = _form(
            await web.house(request).db.read(subscribers.offers),
            web.language(request),
            chosen=chosen,
            language=web.language(request),
        )
        return web.render(request, "notifiers/subscribe.html", {"form": form})

    async def post(self, request: Request) -> Response:
        """`POST /subscribe`: the same answer whether the address is known or not (abuse case 6)."""
        fields, services = await _fields(request), await web.form_list(request, "services")
        try:
            await self._ask(request, fields, services)
        except Invalid as error:
            form = await _entered_form(request, wrong_field=error.field, fields=fields)
            return web.render(request, "notifiers/subscribe.html", {"form": form}, status=422)
        return web.render(request, "notifiers/asked.html", {"email": fields["email"]})

    async def post_api(self, request: Request) -> Response:
        """`POST /api/v2/subscribers.json`: Statuspage's fields, the same double opt-in."""
        given = await _api_fields(request)
        services = given.get("services")
        fields = {
            "email": given.get("email") or "",
            "language": given.get("language") or web.house(request).settings.page.language,
        }
        await self._ask(request, fields, services or [])
        return JSONResponse(
            {
                "subscriber": {"email": fields["email"], "mode": "email", "components": services or []},
                "confirmation": "sent",
            },
            201,
        )

    async def _ask(self, request: Request, fields: Mapping[str, str], services: Collection[str]) -> None:
        house, address = web.house(request), web.client_address(request)
        rules.check_address(fields.get("email", ""))
        self._asked.use(network_of(address), at_s=clock.monotonic())

        def ask(session: Session, *, now: datetime) -> None:
            choice = _wanted(session, fields, services)
            subscribers.subscribe(session, fields["email"], choice, house=house, origin=address, now=now)

        await house.db.run(ask, now=clock.now())


async def _api_fields(request: Request) -> dict[str, Any]:
    """email, language and services, from JSON or a form. Raises Invalid."""
    if request.headers.get("content-type", "").startswith("application/json"):
        try:
            body = await request.json()
        except (JSONDecodeError, UnicodeDecodeError):
            raise Invalid("body", "is not JSON") from None
        given = body.get("subscriber", body) if isinstance(body, dict) else None
        if not isinstance(given, dict):
            raise Invalid("subscriber", "an object with the key email is expected")
    else:
        form = await web.form(request)
        given = {key.removeprefix("subscriber[").rstrip("]"): value for key, value in form.items()}
        given["component_ids"] = await web.form_list(request, "subscriber[component_ids][]")
    components = given.get("component_ids") or ([given["component_id"]] if given.get("component_id") else [])
    texts = [given.get("email") or "", given.get("language") or ""]
    if not isinstance(components, list) or not all(isinstance(text, str) for text in [*texts, *components]):
        raise Invalid("subscriber", "email and language are texts, component_ids a list of texts")
    return {"email": texts[0].strip(), "language": texts[1], "services": components}


# --- confirming ---


async def show_confirmation(request: Request) -> Response:
    """`GET /subscriptions/{token}/confirm`: a button; nothing is confirmed by looking."""
    token = request.path_params["token"]
    subscriber = await web.house(request).db.read(subscribers.awaiting, token, now=clock.now())
    _speak(request, subscriber)
    return web.render(request, "notifiers/confirm.html", {"email": subscriber.email})


async def post_confirmation(request: Request) -> Response:
    """`POST /subscriptions/{token}/confirm`."""
    house, token = web.house(request), request.path_params["token"]
    subscriber = await house.db.run(
        subscribers.confirm, token, origin=web.client_address(request), now=clock.now()
    )
    _speak(request, subscriber)
    manage = web.localized(request, f"/subscriptions/{house.signer.sign(MANAGE, subscriber.id)}")
    return web.render(request, "notifiers/confirmed.html", {"email": subscriber.email, "manage": manage})


def _speak(request: Request, subscriber: Subscriber) -> None:
    """Answer in the subscriber's language, unless the address asks for another."""
    if not request.scope.get("language_prefix"):
        request.scope["language"] = subscriber.language


# --- managing and ending, by signed links ---


def _subscriber_id(request: Request, purpose: str) -> str:
    id = web.house(request).signer.verify(purpose, request.path_params["token"])
    if id is None:
        raise NotFound("there is no such subscription")
    return id


async def show_subscription(request: Request) -> Response:
    """`GET /subscriptions/{token}`."""
    return await _subscription_page(request, _subscriber_id(request, MANAGE), is_saved=False)


async def _subscription_page(request: Request, id: str, *, is_saved: bool) -> Response:
    db, signer = web.house(request).db, web.house(request).signer
    subscriber = await db.read(subscribers.get, id)
    _speak(request, subscriber)
    form = _form(
        await db.read(subscribers.offers),
        web.language(request),
        chosen=await db.read(subscribers.chosen, id),
        language=subscriber.language,
        email=subscriber.email,
    )
    context = {
        "form": form,
        "is_active": subscriber.state == SubscriberState.ACTIVE,
        "is_saved": is_saved,
        "unsubscribe": web.localized(request, f"/unsubscribe/{signer.sign(UNSUBSCRIBE, id)}"),
    }
    return web.render(request, "notifiers/subscription.html", context)


async def post_subscription(request: Request) -> Response:
    """`POST /subscriptions/{token}`: other services, another language."""
    id, db = _subscriber_id(request, MANAGE), web.house(request).db
    fields, services = await _fields(request), await web.form_list(request, "services")

    def change(session: Session) -> Subscriber:
        return subscribers.change(session, id, _wanted(session, fields, services))

    try:
        await db.run(change)
    except Invalid as error:
        _speak(request, await db.read(subscribers.get, id))
        form = await _entered_form(request, wrong_field=error.field, fields=fields)
        unsubscribe = web.localized(
            request, f"/unsubscribe/{web.house(request).signer.sign(UNSUBSCRIBE, id)}"
        )
        context = {"form": form, "is_active": True, "is_saved": False, "unsubscribe": unsubscribe}
        return web.render(request, "notifiers/subscription.html", context, status=422)
    return await _subscription_page(request, id, is_saved=True)


async def show_unsubscribe(request: Request) -> Response:
    """`GET /unsubscribe/{token}`: a button; nothing ends by looking."""
    subscriber = await web.house(request).db.read(subscribers.get, _subscriber_id(request, UNSUBSCRIBE))
    _speak(request, subscriber)
    return web.render(request, "notifiers/unsubscribe.html", {"email": subscriber.email})


async def post_unsubscribe(request: Request) -> Response:
    """`POST /unsubscribe/{token}`: by the button, or by a mail program with one click (RFC 8058 §3.2)."""
    id = _subscriber_id(request, UNSUBSCRIBE)
    subscriber = await web.house(request).db.run(subscribers.unsubscribe, id, now=clock.now())
    if (await web.form(request)).get("List-Unsubscribe") == "One-Click":
        return PlainTextResponse("Unsubscribed.\n")
    _speak(request, subscriber)
    again = web.localized(request, "/subscribe")
    return web.render(request, "notifiers/unsubscribed.html", {"email": subscriber.email, "again": again})


def routes() -> list[BaseRoute]:
    """The pages and the API of subscriptions."""
    subscribing = Subscribing()
    return [
        Route("/subscribe", subscribing.show),
        Route("/subscribe", subscribing.post, methods=["POST"]),
        Route("/api/v2/subscribers.json", subscribing.post_api, methods=["POST"]),
        Route("/subscriptions/{token}/confirm", show_confirmation),
        Route("/subscriptions/{token}/confirm", post_confirmation, methods=["POST"]),
        Route("/subscriptions/{token}", show_subscription),
        Route("/subscriptions/{token}", post_subscription, methods=["POST"]),
        Route("/unsubscribe/{token}", show_unsubscribe),
        Route("/unsubscribe/{token}", post_unsubscribe, methods=["POST"]),
    ]


_COLUMNS = {
    DeliveryState.QUEUED: "Waiting",
    DeliveryState.LEASED: "Being sent",
    DeliveryState.SENT: "Sent",
    DeliveryState.DEFERRED: "To be tried again",
    DeliveryState.UNCERTAIN: "Uncertain",
    DeliveryState.FAILED: "Failed",
}


def panel(session: Session) -> Panel:
    """What the console's board shows of the deliveries."""
    counts = ledger.stats(session)
    row = tuple(str(counts[state]) for state in _COLUMNS)
    rows = (row,) if any(counts.values()) else ()
    return Panel("Mail to subscribers and customers", tuple(_COLUMNS.values()), rows, "No mail was owed yet.")
