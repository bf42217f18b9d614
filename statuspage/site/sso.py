"""Signing in at the OpenID Connect provider: there and back again.

What the provider's answer must fit waits in the browser that began, signed and for ten minutes: an answer
that another browser got is worth nothing here (login CSRF, abuse case 15).
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, unquote

import structlog
from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from statuspage.kernel import accounts, clock, web
from statuspage.kernel.accounts import User
from statuspage.kernel.errors import Conflict, Forbidden, Invalid, Unavailable
from statuspage.kernel.oidc import NoRole, NotVouched, Provider, Secrets, Vouched
from statuspage.kernel.security import network_of, random_token
from statuspage.site import signin

log = structlog.get_logger(__name__)

COOKIE = "statuspage_oidc"
CALLBACK = "/console/sign-in/oidc/callback"
_LASTS = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class _Journey:
    """A sign-in on its way: what it is bound to, and where it came from."""

    secrets: Secrets
    prefix: str
    onward: str

    def packed(self, until: datetime) -> str:
        """As the cookie holds it."""
        secrets = self.secrets
        parts = (secrets.state, secrets.nonce, secrets.verifier, str(int(until.timestamp())), self.prefix)
        return ":".join((*parts, quote(self.onward, safe="/")))

    @classmethod
    def unpacked(cls, text: str, now: datetime) -> "_Journey | None":
        """None where there is nothing, or its time is over."""
        parts = text.split(":")
        if len(parts) != 6 or now >= datetime.fromtimestamp(int(parts[3]), UTC):
            return None
        return cls(Secrets(*parts[:3]), parts[4], unquote(parts[5]))


def routes(provider: Provider) -> list[BaseRoute]:
    """Both by GET: the page's policy lets no form lead to another host, and a provider leads back with a link."""

    async def there(request: Request) -> Response:
        secrets = Secrets(random_token(), random_token(), random_token() + random_token())
        try:
            url = await provider.authorization_url(secrets)
        except Unavailable as error:
            log.warning("oidc.unavailable", reason=str(error))
            return signin.form(request, failed="provider", status=503)
        journey = _Journey(secrets, request.scope["language_prefix"], signin.onward(request))
        packed = journey.packed(clock.now() + _LASTS)
        response = RedirectResponse(url, 303, headers={"Cache-Control": "no-store"})
        note = web.house(request).signer.sign("oidc", packed)
        signin.set_cookie(request, response, COOKIE, note, lasts=_LASTS)
        return response

    async def back(request: Request) -> Response:
        response = await _back(request, provider)
        response.delete_cookie(COOKIE, path="/")  # one answer for one journey
        return response

    return [Route("/console/sign-in/oidc", there), Route(CALLBACK, back)]


async def _back(request: Request, provider: Provider) -> Response:
    """Take the provider's answer, if it is the one to this browser's question."""
    house, now, query = web.house(request), clock.now(), request.query_params
    note = house.signer.verify("oidc", request.cookies.get(COOKIE, ""))
    journey = _Journey.unpacked(note, now) if note else None
    if journey is None:
        return signin.form(request, failed="over")
    request.scope["language_prefix"] = journey.prefix
    request.scope["language"] = journey.prefix[1:] or web.language(request)
    if query.get("state") != journey.secrets.state:
        return signin.form(request, failed="over")
    if "code" not in query:
        return signin.form(request, failed="denied", status=403)
    try:
        who = await provider.vouch(query["code"], journey.secrets, now=now)
        user, token = await house.db.run(_enter, who, signin.arrival(request), now=now)
    except Unavailable as error:
        log.warning("oidc.unavailable", reason=str(error))
        return signin.form(request, failed="provider", status=503)
    except (NotVouched, NoRole, Forbidden, Conflict, Invalid) as error:
        log.warning("oidc.refused", reason=str(error))
        network = network_of(web.client_address(request))
        await house.db.run(_refuse, error, provider.issuer, network=network, now=now)
        return signin.form(request, failed=_reason(error), status=403)
    return signin.welcome(request, token, user, web.redirect(request, journey.onward or "/console"))


def _reason(error: Exception) -> str:
    if isinstance(error, NotVouched):
        return "not-vouched"
    if isinstance(error, NoRole):
        return "no-role"
    return (
        "taken"
        if isinstance(error, Conflict)
        else "closed"
        if isinstance(error, Forbidden)
        else "not-vouched"
    )


def _enter(session: Session, who: Vouched, arrived: signin.Arrival, *, now: datetime) -> tuple[User, str]:
    user = accounts.enter_from_provider(
        session, who.issuer, who.subject, who.login, who.name, who.role, now=now
    )
    return user, signin.begin_session(session, user.id, arrived, how="oidc", now=now)


def _refuse(session: Session, error: Exception, issuer: str, *, network: str, now: datetime) -> None:
    """Record it. Whoever has lost every role at the provider loses the sessions here, too."""
    user = None
    if isinstance(error, NoRole):
        user = accounts.provider_user(session, issuer, error.subject)
        if user is not None:
            accounts.revoke_sessions(session, user.id, by="provider", now=now)
    accounts.refuse_sign_in(session, user, network=network, how="oidc", now=now)
