"""Signing in with a local account, and signing out.

The password comes first. Where there is a second factor, or has to be one, what follows is a step: a signed
note of five minutes in a cookie of its own, good for the code page or the enrolment alone and never a session.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from urllib.parse import quote

import segno
from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from statuspage.kernel import accounts, attempts, clock, otp, web
from statuspage.kernel.accounts import Origin, Role, User
from statuspage.kernel.errors import Forbidden, Invalid, TooMany
from statuspage.kernel.security import hash_token, network_of, random_token
from statuspage.site import browsers, role_words  # noqa: F401 (its words are for the templates)

STEP_COOKIE = "statuspage_step"
DEVICE_COOKIE = "statuspage_device"
_STEP_LASTS = timedelta(minutes=5)
_DEVICE_LASTS = timedelta(days=365)
_MAX_LOGIN = 200


class Step(StrEnum):
    """What is still to be done after the password."""

    CODE = "code"
    ENROL = "enrol"


class StepOver(Exception):
    """There is no step to go on from, or its five minutes are over."""


def routes() -> list[BaseRoute]:
    return [
        Route("/console/sign-in", sign_in, methods=["GET", "POST"]),
        Route("/console/sign-in/code", ask_code, methods=["GET", "POST"]),
        Route("/console/sign-in/enrol", enrol, methods=["GET", "POST"]),
        Route("/console/sign-out", sign_out, methods=["POST"]),
    ]


# --- the password ---


async def sign_in(request: Request) -> Response:
    """Check who it is, and begin a session or the next step."""
    if request.method != "POST":  # HEAD, too: it must not count as an attempt
        return form(request)
    login, password = (await web.form(request)).get("login", "")[:_MAX_LOGIN], await typed_password(request)
    house, now = web.house(request), clock.now()
    user = await house.db.read(accounts.find_user, login)
    guessed = guess(request, "password", login, user)
    try:
        await house.db.run(attempts.begin, guessed, now=now)
    except TooMany as error:
        return form(request, login=login, failed="many", wait_s=error.retry_after_s)
    if not await asyncio.to_thread(accounts.is_password, user, password) or user is None:
        network = network_of(web.client_address(request))
        await house.db.run(accounts.refuse_sign_in, user, network=network, how="password", now=now)
        return form(request, login=login, failed="wrong")
    required = house.settings.security.require_totp_for
    step = await house.db.run(_step_after_password, user, guessed, required=required, now=now)
    if step is not None:
        return _lead_on(request, user, step)
    token = await house.db.run(begin_session, user.id, arrival(request), how="password", now=now)
    return welcome(request, token, user)


def form(
    request: Request, *, login: str = "", failed: str = "", wait_s: int = 0, status: int | None = None
) -> Response:
    """The sign-in page, with what failed."""
    oidc = web.house(request).settings.oidc
    context = {
        "login": login,
        "failed": failed,
        "wait": timedelta(seconds=wait_s),
        "next": onward(request),
        "provider": oidc.label_pl if web.language(request) == "pl" else oidc.label_en,
        "has_provider": oidc.issuer is not None,
    }
    response = web.render(
        request,
        "console/sign_in.html",
        context,
        status=status or {"": 200, "many": 429}.get(failed, 422),
    )
    if wait_s:
        response.headers["Retry-After"] = str(wait_s)
    return response


def _step_after_password(
    session: Session, user: User, guessed: attempts.Guess, *, required: str | None, now: datetime
) -> Step | None:
    """What is still to be done; begins an enrolment where a second factor is compulsory."""
    attempts.take_back(session, guessed, now=now)
    if otp.is_on(session, user.id):
        return Step.CODE
    if required is None or not accounts.is_anywhere(session, user, Role(required)):
        return None
    otp.begin(session, user.id, now=now)
    return Step.ENROL


@dataclass(frozen=True, slots=True)
class Arrival:
    """What a session begins with, apart from whose it is."""

    origin: Origin
    lifetime: timedelta
    instead_of: str  # the token that the browser held until now


def arrival(request: Request) -> Arrival:
    """Whoever made this request."""
    return Arrival(
        Origin(
            network_of(web.client_address(request)),
            browsers.describe(request.headers.get("user-agent", "")),
        ),
        web.house(request).settings.security.session_lifetime,
        request.cookies.get(web.COOKIE, ""),
    )


def begin_session(session: Session, user_id: str, arrived: Arrival, *, how: str, now: datetime) -> str:
    """A session for whoever arrived; the browser's last one ends."""
    return accounts.start_session(
        session,
        user_id,
        now=now,
        lifetime=arrived.lifetime,
        origin=arrived.origin,
        how=how,
        instead_of=arrived.instead_of,
    )


def welcome(request: Request, token: str, user: User, response: Response | None = None) -> Response:
    """Hand the session over, and lead to where the reader wanted to go."""
    response = response or web.redirect(request, onward(request) or "/console")
    set_cookie(request, response, web.COOKIE, token)
    response.delete_cookie(STEP_COOKIE, path="/")
    if known_device(request, user) is None:
        device = web.house(request).signer.sign("device", f"{user.id}:{random_token()}")
        set_cookie(request, response, DEVICE_COOKIE, device, lasts=_DEVICE_LASTS)
    return response


def set_cookie(
    request: Request, response: Response, name: str, value: str, *, lasts: timedelta | None = None
) -> None:
    """For this site and not for scripts; `lax`, because a provider or a mail leads here from elsewhere."""
    is_https = web.house(request).settings.server.base_url.startswith("https://")
    age = None if lasts is None else int(lasts.total_seconds())
    response.set_cookie(name, value, max_age=age, httponly=True, samesite="lax", secure=is_https, path="/")


def onward(request: Request) -> str:
    """Where to after signing in: only a path of ours, never another site (open redirect)."""
    path = request.query_params.get("next", "")
    is_ours = path.startswith("/") and not path.startswith("//") and "\\" not in path and path.isprintable()
    return path if is_ours else ""


async def typed_password(request: Request, name: str = "password") -> str:
    """As it was typed, spaces and all."""
    return next(iter(await web.form_list(request, name)), "")


def guess(request: Request, kind: str, login: str, user: User | None) -> attempts.Guess:
    """What this request's guess is counted with."""
    network = network_of(web.client_address(request))
    return attempts.guess(kind, login, network, device=known_device(request, user))


def known_device(request: Request, user: User | None) -> str | None:
    """The mark of a browser that has been signed in on this account before."""
    value = web.house(request).signer.verify("device", request.cookies.get(DEVICE_COOKIE, ""))
    return value if value is not None and user is not None and value.startswith(f"{user.id}:") else None


# --- the step after it ---


@dataclass(frozen=True, slots=True)
class Halfway:
    """Who has given the password, and the token that the step's form has to bring back."""

    user: User
    csrf: str


def _lead_on(request: Request, user: User, step: Step) -> Response:
    """To the page of the next step, with the note that leads there."""
    until = int((clock.now() + _STEP_LASTS).timestamp())
    note = web.house(request).signer.sign(f"step:{step}", f"{user.id}:{until}:{_fingerprint(user)}")
    query = f"?next={quote(onward(request))}" if onward(request) else ""
    response = web.redirect(request, f"/console/sign-in/{step}{query}")
    set_cookie(request, response, STEP_COOKIE, note, lasts=_STEP_LASTS)
    return response


def _fingerprint(user: User) -> str:
    """A note ends with the password it was given for."""
    return hash_token(f"step\0{user.password_hash}")[:16]


async def _halfway(request: Request, step: Step) -> Halfway:
    """Who is on this step. Raises StepOver; Forbidden where the form does not bring its token back."""
    note = request.cookies.get(STEP_COOKIE, "")
    user_id, _, rest = (web.house(request).signer.verify(f"step:{step}", note) or "").partition(":")
    until, _, fingerprint = rest.partition(":")
    if not user_id or clock.now() >= datetime.fromtimestamp(int(until), UTC):
        raise StepOver
    user = await web.house(request).db.read(accounts.get_user, user_id)
    if user.disabled_at is not None or fingerprint != _fingerprint(user):
        raise StepOver
    csrf = hash_token(f"csrf\0{note}")
    if request.method == "POST" and (await web.form(request)).get("csrf") != csrf:
        raise Forbidden("the form is out of date; load the page again")
    return Halfway(user, csrf)


async def ask_code(request: Request) -> Response:
    """The code of the second factor, or a recovery code."""
    try:
        halfway = await _halfway(request, Step.CODE)
    except StepOver:
        return form(request, failed="over")

    def page(*, failed: str = "", wait_s: int = 0, status: int = 200) -> Response:
        context = {
            "csrf": halfway.csrf,
            "failed": failed,
            "wait": timedelta(seconds=wait_s),
            "next": onward(request),
        }
        response = web.render(request, "console/sign_in_code.html", context, status=status)
        if wait_s:
            response.headers["Retry-After"] = str(wait_s)
        return response

    return await _take_code(request, halfway.user, page) if request.method == "POST" else page()


async def _take_code(request: Request, user: User, page: Callable[..., Response]) -> Response:
    house, now = web.house(request), clock.now()
    guessed = guess(request, "code", user.login, user)
    try:
        await house.db.run(attempts.begin, guessed, now=now)
    except TooMany as error:
        return page(failed="many", wait_s=error.retry_after_s, status=429)
    code = (await web.form(request)).get("code", "")
    token = await house.db.run(_enter_with_code, user, code, guessed, arrival(request), now=now)
    return page(failed="wrong", status=422) if token is None else welcome(request, token, user)


def _enter_with_code(
    session: Session, user: User, code: str, guessed: attempts.Guess, arrived: Arrival, *, now: datetime
) -> str | None:
    """Using the code up and beginning the session are one: neither happens without the other."""
    how = otp.kind_of(code)
    if not otp.is_code(session, user.id, code, now=now):
        accounts.refuse_sign_in(session, user, network=arrived.origin.network, how=how, now=now)
        return None
    attempts.take_back(session, guessed, now=now)
    return begin_session(session, user.id, arrived, how=f"password and {how}", now=now)


async def enrol(request: Request) -> Response:
    """Where a second factor is compulsory and missing: nothing else is reached before."""
    try:
        halfway = await _halfway(request, Step.ENROL)
    except StepOver:
        return form(request, failed="over")
    user, db = halfway.user, web.house(request).db
    secret = (await db.read(otp.factor, user.id)).pending_secret
    if secret is None:
        return form(request, failed="over")
    failed = False
    if request.method == "POST":
        code = (await web.form(request)).get("code", "")
        try:
            codes, token = await db.run(_enter_enrolled, user, code, arrival(request), now=clock.now())
        except Invalid:
            failed = True
        else:
            shown = {"codes": codes, "onward": onward(request) or "/console"}
            page = web.render(request, "console/recovery_codes.html", shown)
            return welcome(request, token, user, page)
    context = {
        "csrf": halfway.csrf,
        "failed": failed,
        "next": onward(request),
        **enrolment(request, secret, user.login),
    }
    return web.render(request, "console/sign_in_enrol.html", context, status=422 if failed else 200)


def _enter_enrolled(
    session: Session, user: User, code: str, arrived: Arrival, *, now: datetime
) -> tuple[tuple[str, ...], str]:
    codes = otp.confirm(session, user, code, now=now)
    return codes, begin_session(session, user.id, arrived, how="password and totp", now=now)


def enrolment(request: Request, secret: str, login: str) -> dict[str, str]:
    """What a page shows of a secret to be put into a telephone: as text, address and picture."""
    page = web.house(request).settings.page
    address = otp.address(secret, login, page.name_pl if web.language(request) == "pl" else page.name_en)
    picture = segno.make(address, error="m", micro=False).svg_data_uri(scale=5, dark="#000", light="#fff")
    return {"secret": otp.spaced(secret), "address": address, "picture": picture}


# --- and out ---


async def sign_out(request: Request) -> Response:
    """End the session on the server, then forget the cookie."""
    await web.require(request, Role.VIEWER)
    await web.house(request).db.run(accounts.end_session, request.cookies[web.COOKIE], now=clock.now())
    response = web.redirect(request, "/console/sign-in")
    response.delete_cookie(web.COOKIE, path="/")
    return response
