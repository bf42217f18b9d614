"""One's own account: sessions, password, second factor. What weighs asks for the password once more."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from statuspage.kernel import accounts, attempts, clock, otp, web
from statuspage.kernel.accounts import Role, SignedIn, User
from statuspage.kernel.errors import Conflict, Invalid, TooMany
from statuspage.site import signin


def routes() -> list[BaseRoute]:
    return [
        Route("/console/account", show),
        Route("/console/account/password", change_password, methods=["POST"]),
        Route("/console/account/second-factor", second_factor, methods=["GET", "POST"]),
        Route("/console/account/second-factor/confirm", confirm_factor, methods=["POST"]),
        Route("/console/account/second-factor/off", switch_off, methods=["POST"]),
        Route("/console/account/recovery-codes", renew_codes, methods=["POST"]),
        Route("/console/account/sessions/end-others", end_others, methods=["POST"]),
        Route("/console/account/sessions/{id}/end", end_one, methods=["POST"]),
    ]


async def show(request: Request) -> Response:
    """The page of the account."""
    return await _page(request, await web.require(request, Role.VIEWER))


async def _page(
    request: Request,
    user: SignedIn,
    *,
    field: str = "",
    failed: str = "",
    wait_s: int = 0,
) -> Response:
    """With `failed`, the reason, at the form whose name is `field`."""
    house = web.house(request)
    context = await house.db.read(
        _read, user, required=house.settings.security.require_totp_for, now=clock.now()
    )
    failing = {"field": field, "failed": failed, "wait": timedelta(seconds=wait_s)}
    status = 429 if failed == "many" else 422 if failed else 200
    return web.render(
        request,
        "console/account.html",
        {
            **context,
            **failing,
            "done": request.query_params.get("done", ""),
            "minimum": accounts.MIN_PASSWORD,
        },
        status=status,
    )


def _read(session: Session, user: SignedIn, *, required: str | None, now: datetime) -> dict[str, Any]:
    account = accounts.get_user(session, user.user_id)
    return {
        "sessions": accounts.sessions_of(session, user.user_id, now=now),
        "factor": otp.factor(session, user.user_id),
        "is_compulsory": _is_compulsory(session, account, required),
    }


def _is_compulsory(session: Session, user: User, required: str | None) -> bool:
    return required is not None and accounts.is_anywhere(session, user, Role(required))


async def _prove(request: Request, user: SignedIn) -> tuple[str, int]:
    """Whether the field `password` holds one's own: empty, or what failed and how long to wait."""
    db, now = web.house(request).db, clock.now()
    account = await db.read(accounts.get_user, user.user_id)
    guessed = signin.guess(request, "password", user.login, account)
    try:
        await db.run(attempts.begin, guessed, now=now)
    except TooMany as error:
        return "many", error.retry_after_s
    typed = await signin.typed_password(request)
    if not await asyncio.to_thread(accounts.is_password, account, typed):
        return "password", 0
    await db.run(attempts.take_back, guessed, now=now)
    return "", 0


# --- the password ---


async def change_password(request: Request) -> Response:
    """A new password; one's other sessions end."""
    user = await web.require(request, Role.VIEWER)
    failed, wait_s = await _prove(request, user)
    if failed:
        return await _page(request, user, field="password", failed=failed, wait_s=wait_s)
    new = await signin.typed_password(request, "new")
    if new != await signin.typed_password(request, "again"):
        return await _page(request, user, field="password", failed="differ")
    try:
        password_hash = await asyncio.to_thread(accounts.hash_password, new)
    except Invalid:
        return await _page(request, user, field="password", failed="short")
    await web.house(request).db.run(
        accounts.set_password,
        user.user_id,
        password_hash,
        by=user.login,
        now=clock.now(),
        keep=user.session_id,
    )
    return web.redirect(request, "/console/account?done=password")


# --- the second factor ---


async def second_factor(request: Request) -> Response:
    """Begin with a POST; the page shows the secret until it is confirmed."""
    user = await web.require(request, Role.VIEWER)
    db = web.house(request).db
    if request.method == "POST":
        if not user.is_local:
            raise Conflict("the second factor of this account is the OpenID provider's")
        await db.run(otp.begin, user.user_id, now=clock.now())
        return web.redirect(request, "/console/account/second-factor")
    secret = (await db.read(otp.factor, user.user_id)).pending_secret
    if secret is None:
        return web.redirect(request, "/console/account")
    return _enrolment_page(request, user, secret)


def _enrolment_page(
    request: Request, user: SignedIn, secret: str, *, failed: str = "", wait_s: int = 0
) -> Response:
    context = {
        "failed": failed,
        "wait": timedelta(seconds=wait_s),
        **signin.enrolment(request, secret, user.login),
    }
    status = 429 if failed == "many" else 422 if failed else 200
    return web.render(request, "console/second_factor.html", context, status=status)


async def confirm_factor(request: Request) -> Response:
    """Password and code: a session left open must not be enough to lock its owner out."""
    user = await web.require(request, Role.VIEWER)
    db = web.house(request).db
    secret = (await db.read(otp.factor, user.user_id)).pending_secret
    if secret is None:
        return web.redirect(request, "/console/account")
    failed, wait_s = await _prove(request, user)
    if failed:
        return _enrolment_page(request, user, secret, failed=failed, wait_s=wait_s)
    account = await db.read(accounts.get_user, user.user_id)
    try:
        codes = await db.run(otp.confirm, account, (await web.form(request)).get("code", ""), now=clock.now())
    except Invalid:
        return _enrolment_page(request, user, secret, failed="code")
    return web.render(request, "console/recovery_codes.html", {"codes": codes, "onward": "/console/account"})


async def switch_off(request: Request) -> Response:
    """Needs the password and a code."""
    user = await web.require(request, Role.VIEWER)
    house, now = web.house(request), clock.now()
    failed, wait_s = await _prove(request, user)
    if failed:
        return await _page(request, user, field="off", failed=failed, wait_s=wait_s)
    account = await house.db.read(accounts.get_user, user.user_id)
    guessed = signin.guess(request, "code", user.login, account)
    try:
        await house.db.run(attempts.begin, guessed, now=now)
    except TooMany as error:
        return await _page(request, user, field="off", failed="many", wait_s=error.retry_after_s)
    code = (await web.form(request)).get("code", "")
    required = house.settings.security.require_totp_for
    if not await house.db.run(_switch_off, account, code, guessed, required=required, now=now):
        return await _page(request, user, field="off", failed="code")
    return web.redirect(request, "/console/account?done=off")


def _switch_off(
    session: Session, user: User, code: str, guessed: attempts.Guess, *, required: str | None, now: datetime
) -> bool:
    if _is_compulsory(session, user, required):
        raise Conflict("a second factor is compulsory for this role")
    if not otp.is_code(session, user.id, code, now=now):
        return False
    attempts.take_back(session, guessed, now=now)
    otp.remove(session, user, by=user.login, now=now)
    return True


async def renew_codes(request: Request) -> Response:
    """New recovery codes, shown once."""
    user = await web.require(request, Role.VIEWER)
    failed, wait_s = await _prove(request, user)
    if failed:
        return await _page(request, user, field="codes", failed=failed, wait_s=wait_s)
    db = web.house(request).db
    account = await db.read(accounts.get_user, user.user_id)
    codes = await db.run(otp.renew_recovery_codes, account, now=clock.now())
    return web.render(request, "console/recovery_codes.html", {"codes": codes, "onward": "/console/account"})


# --- sessions ---


async def end_one(request: Request) -> Response:
    """End one of one's own sessions; one's present one leads to the sign-in page by itself."""
    user = await web.require(request, Role.VIEWER)
    await web.house(request).db.run(
        accounts.revoke_session, user.user_id, request.path_params["id"], by=user.login, now=clock.now()
    )
    return web.redirect(request, "/console/account?done=session")


async def end_others(request: Request) -> Response:
    """End all of one's sessions but the present one."""
    user = await web.require(request, Role.VIEWER)
    await web.house(request).db.run(
        accounts.revoke_sessions, user.user_id, by=user.login, now=clock.now(), keep=user.session_id
    )
    return web.redirect(request, "/console/account?done=sessions")
