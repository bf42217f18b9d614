"""Sign-in at an OpenID Connect provider: authorization code with PKCE, state and nonce, by discovery.

Whom the provider vouches for, and with which role; what an account is, is `kernel.accounts`'. All requests
go out through `kernel.net`. Authlib builds the requests and judges the claims (OpenID Connect Core 1.0,
section 3.1.3.7), joserfc the signature.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri, prepare_token_request
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet

from statuspage.kernel import clock
from statuspage.kernel.accounts import Role
from statuspage.kernel.config import Oidc
from statuspage.kernel.errors import Forbidden, Unavailable
from statuspage.kernel.exchange import TargetFault
from statuspage.kernel.net import Answer, Network, Refused

_TIMEOUT_S = 10.0
_KEEP_S = 3600.0
_LEEWAY_S = 60
# Signed with the provider's own key. HS256 would make a key of the client secret, `none` needs none.
_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]


class NotVouched(Forbidden):
    """The provider's answer does not hold: not this browser's, not for us, too old, or not its signature."""


class NoRole(Forbidden):
    """The provider knows who it is, and gives no role here."""

    def __init__(self, subject: str, login: str) -> None:
        super().__init__(f"the provider gives {login} no role here")
        self.subject = subject
        self.login = login


@dataclass(frozen=True, slots=True)
class Vouched:
    """Whom the provider knows, and what they may do here."""

    issuer: str
    subject: str
    login: str
    name: str
    role: Role


@dataclass(frozen=True, slots=True)
class Secrets:
    """What one sign-in is bound to. They wait in the browser that began it."""

    state: str
    nonce: str
    verifier: str  # of PKCE, RFC 7636: 43 characters or more


@dataclass(slots=True)
class _Known:
    metadata: Mapping[str, Any]
    keys: KeySet
    until_s: float


class Provider:
    """The provider the settings name. `redirect_uri` is where it sends browsers back to."""

    def __init__(self, settings: Oidc, network: Network, redirect_uri: str) -> None:
        self.settings = settings
        self.issuer = settings.issuer or ""
        self.redirect_uri = redirect_uri
        self._network = network
        self._known: _Known | None = None

    async def authorization_url(self, secrets: Secrets) -> str:
        """Where the browser goes to sign in. Raises Unavailable when the provider cannot be asked."""
        known = await self._discover()
        return str(
            prepare_grant_uri(
                known.metadata["authorization_endpoint"],
                client_id=self.settings.client_id,
                response_type="code",
                redirect_uri=self.redirect_uri,
                scope=" ".join(dict.fromkeys(("openid", *self.settings.scopes))),
                state=secrets.state,
                nonce=secrets.nonce,
                code_challenge=create_s256_code_challenge(secrets.verifier),
                code_challenge_method="S256",
            )
        )

    async def vouch(self, code: str, secrets: Secrets, *, now: datetime) -> Vouched:
        """Exchange the code for who it is. Raises NotVouched, NoRole, Unavailable."""
        token = await self._exchange(code, secrets)
        claims = await self._claims(token, secrets, now)
        if _inside(claims, self.settings.role_claim) is None or self.settings.login_claim not in claims:
            claims = {**await self._user_info(token, str(claims["sub"])), **claims}
        return self._read(claims)

    def _read(self, claims: Mapping[str, Any]) -> Vouched:
        subject = str(claims["sub"])
        login = claims.get(self.settings.login_claim)
        if not isinstance(login, str) or not login:
            raise NotVouched(f"the provider's answer lacks the claim {self.settings.login_claim}")
        role = role_of(_inside(claims, self.settings.role_claim), self.settings.roles)
        if role is None:
            raise NoRole(subject, login)
        name = claims.get("name")
        return Vouched(self.issuer, subject, login, name if isinstance(name, str) and name else login, role)

    async def _exchange(self, code: str, secrets: Secrets) -> Mapping[str, Any]:
        """The token endpoint's answer (OpenID Connect Core, section 3.1.3)."""
        metadata = (await self._discover()).metadata
        supported = metadata.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        method = "none"
        if self.settings.client_secret:
            method = "client_secret_basic" if "client_secret_basic" in supported else "client_secret_post"
        body = prepare_token_request(
            "authorization_code", redirect_uri=self.redirect_uri, code=code, code_verifier=secrets.verifier
        )
        url, headers, body = ClientAuth(self.settings.client_id, self.settings.client_secret, method).prepare(
            "POST", metadata["token_endpoint"], {"Content-Type": "application/x-www-form-urlencoded"}, body
        )
        answer = await self._ask("POST", url, headers, body.encode())
        if answer.status >= 500:
            raise Unavailable(f"the OpenID provider answers {answer.status}")
        token = _json(answer)
        if answer.status != 200 or not isinstance(token.get("id_token"), str):
            raise NotVouched(f"the provider refuses the code: {token.get('error', answer.status)}")
        return token

    async def _claims(self, token: Mapping[str, Any], secrets: Secrets, now: datetime) -> Mapping[str, Any]:
        """The ID token's claims, judged: signature, issuer, audience, time, nonce, access token's hash."""
        known = await self._discover()
        try:
            try:
                signed = jwt.decode(token["id_token"], known.keys, algorithms=_ALGORITHMS)
            except InvalidKeyIdError:  # the provider has changed its keys
                known = await self._discover(afresh=True)
                signed = jwt.decode(token["id_token"], known.keys, algorithms=_ALGORITHMS)
            claims = CodeIDToken(
                signed.claims,
                signed.header,
                {
                    "iss": {"essential": True, "value": self.issuer},
                    "aud": {"essential": True, "value": self.settings.client_id},
                },
                {
                    "nonce": secrets.nonce,
                    "client_id": self.settings.client_id,
                    "access_token": token.get("access_token"),
                },
            )
            claims.validate(now=int(now.timestamp()), leeway=_LEEWAY_S)
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise NotVouched(f"the provider's answer does not hold: {error}") from error
        return dict(claims)

    async def _user_info(self, token: Mapping[str, Any], subject: str) -> Mapping[str, Any]:
        """What the user info endpoint adds, if there is one. It must speak of the same person (section 5.3.2)."""
        url = (await self._discover()).metadata.get("userinfo_endpoint")
        if not url or not isinstance(token.get("access_token"), str):
            return {}
        answer = await self._ask("GET", url, {"Authorization": f"Bearer {token['access_token']}"})
        if answer.status != 200:
            return {}
        found = _json(answer)
        if found.get("sub") != subject:
            raise NotVouched("the provider speaks of somebody else")
        return found

    async def _discover(self, *, afresh: bool = False) -> _Known:
        """The provider's metadata and keys (OpenID Connect Discovery 1.0, section 4), kept for an hour."""
        if self._known is not None and not afresh and clock.monotonic() < self._known.until_s:
            return self._known
        answer = await self._ask("GET", self.issuer.rstrip("/") + "/.well-known/openid-configuration")
        metadata = _json(answer)
        if answer.status != 200 or metadata.get("issuer") != self.issuer:
            raise Unavailable(f"{self.issuer} does not describe itself as an OpenID provider of that name")
        for key in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            if not isinstance(metadata.get(key), str):
                raise Unavailable(f"the OpenID provider's description lacks {key}")
        try:
            keys = KeySet.import_key_set(_json(await self._ask("GET", metadata["jwks_uri"])))  # type: ignore[arg-type]
        except (JoseError, ValueError, KeyError, TypeError) as error:
            raise Unavailable(f"the OpenID provider's keys cannot be read: {error}") from error
        self._known = _Known(metadata, keys, clock.monotonic() + _KEEP_S)
        return self._known

    async def _ask(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Answer:
        try:
            return await self._network.request(
                method,
                url,
                timeout_s=_TIMEOUT_S,
                headers=tuple({"Accept": "application/json", **(headers or {})}.items()),
                body=body,
                follow_redirects=False,
            )
        except (Refused, TargetFault) as error:
            raise Unavailable(f"the OpenID provider cannot be asked: {error}") from error


def role_of(claim: object, roles: Mapping[str, str]) -> Role | None:
    """The highest role that the values of a claim, a text or a list, are mapped to."""
    values = [claim] if isinstance(claim, str) else claim if isinstance(claim, list) else []
    given = [Role(roles[value]) for value in values if isinstance(value, str) and value in roles]
    return max(given, key=list(Role).index, default=None)


def _inside(claims: Mapping[str, Any], path: str) -> object:
    """The claim at a path such as `realm_access.roles`; a claim of that very name goes first."""
    if path in claims:
        return claims[path]
    found: object = claims
    for key in path.split("."):
        if not isinstance(found, Mapping) or key not in found:
            return None
        found = found[key]
    return found


def _json(answer: Answer) -> dict[str, Any]:
    """An object, or Unavailable: a gateway's error page is none."""
    try:
        found = json.loads(answer.body)
    except ValueError:
        found = None
    if not isinstance(found, dict) or answer.is_cut:
        raise Unavailable(f"the OpenID provider answers {answer.status} without an object")
    return found
