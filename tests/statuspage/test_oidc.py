"""What the provider says, judged: against a real one, and against answers that were tampered with."""

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, OctKey, RSAKey

from statuspage.kernel import clock
from statuspage.kernel.accounts import Role
from statuspage.kernel.errors import Unavailable
from statuspage.kernel.net import Answer, Network
from statuspage.kernel.oidc import NoRole, NotVouched, Provider, Secrets, Vouched, role_of
from tests.statuspage.provider import RunningProvider, running

BACK = "http://status.example/console/sign-in/oidc/callback"
SECRETS = Secrets("the state", "the nonce", "v" * 64)
OURS = RSAKey.generate_key(2048, parameters={"kid": "forged"})


class Recording(Network):
    """The real way out, which keeps what was sent and may change what came back."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.0/8",))
        self.sent: list[tuple[str, str, bytes]] = []
        self.changed: dict[str, Any] = {}

    async def request(self, method: str, url: str, **how: Any) -> Answer:
        self.sent.append((method, url, how.get("body", b"")))
        answer = await super().request(method, url, **how)
        change = next((c for end, c in self.changed.items() if url.endswith(end)), None)
        return answer if change is None else replace(answer, body=change(answer.body))


@pytest.fixture(scope="module")
def there() -> Iterator[RunningProvider]:
    with running(BACK) as provider:
        yield provider


@pytest.fixture
def network() -> Iterator[Recording]:
    found = Recording()
    yield found
    found.close()


async def code_for(
    provider: Provider, there: RunningProvider, subject: str, secrets: Secrets = SECRETS
) -> str:
    address = there.sign_in(await provider.authorization_url(secrets), subject)
    return parse_qs(urlsplit(address).query)["code"][0]


async def test_it_vouches_for_who_signed_in_there(there: RunningProvider, network: Recording) -> None:
    there.knows("1", preferred_username="eva", name="Eva", roles=["status-operators"])
    provider = Provider(there.settings(), network, BACK)

    who = await provider.vouch(await code_for(provider, there, "1"), SECRETS, now=clock.now())

    assert who == Vouched(there.issuer, "1", "eva", "Eva", Role.OPERATOR)


async def test_the_verifier_is_the_one_the_challenge_was_made_of(
    there: RunningProvider, network: Recording
) -> None:
    """RFC 7636, section 4.2: challenge = BASE64URL(SHA256(verifier))."""
    there.knows("1", preferred_username="eva", roles=["status-operators"])
    provider = Provider(there.settings(), network, BACK)
    url = await provider.authorization_url(SECRETS)
    await provider.vouch(await code_for(provider, there, "1"), SECRETS, now=clock.now())

    (body,) = [body for method, _, body in network.sent if method == "POST"]
    verifier = parse_qs(body.decode())["code_verifier"][0]
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=")
    assert parse_qs(urlsplit(url).query)["code_challenge"] == [challenge.decode()]


async def test_a_wrong_secret_of_ours_or_a_made_up_code_vouches_for_nobody(
    there: RunningProvider, network: Recording
) -> None:
    wrong = Provider(there.settings(client_secret="guessed"), network, BACK)
    with pytest.raises(NotVouched):
        await wrong.vouch(await code_for(wrong, there, "1"), SECRETS, now=clock.now())
    provider = Provider(there.settings(), network, BACK)
    with pytest.raises(NotVouched, match="refuses the code"):
        await provider.vouch("made up", SECRETS, now=clock.now())


async def test_an_answer_to_another_question_or_of_another_day_does_not_hold(
    there: RunningProvider, network: Recording
) -> None:
    provider = Provider(there.settings(), network, BACK)
    other = replace(SECRETS, nonce="another")
    with pytest.raises(NotVouched, match="nonce"):
        await provider.vouch(await code_for(provider, there, "1"), other, now=clock.now())
    for days in (1, -1):
        code = await code_for(provider, there, "1")
        with pytest.raises(NotVouched):
            await provider.vouch(code, SECRETS, now=clock.now() + timedelta(days=days))


def forged(change: Mapping[str, Any], key: Any = OURS, alg: str = "RS256") -> Any:
    """The token endpoint's answer with an ID token signed anew by somebody else."""

    def tamper(body: bytes) -> bytes:
        token = json.loads(body)
        payload = token["id_token"].split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        header = {"alg": alg, "kid": "forged"}
        token["id_token"] = jwt.encode(header, claims | change, key, algorithms=[alg])
        return json.dumps(token).encode()

    return tamper


def unsigned(body: bytes) -> bytes:
    token = json.loads(body)
    header = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    token["id_token"] = ".".join((header, token["id_token"].split(".")[1], ""))
    return json.dumps(token).encode()


@pytest.mark.parametrize(
    "tamper",
    [
        forged({}),
        forged({}, OctKey.import_key("a secret that somebody agreed on, long enough"), "HS256"),
        unsigned,
    ],
    ids=["another key", "a shared secret", "none"],
)
async def test_a_signature_that_is_not_the_providers_does_not_hold(
    there: RunningProvider, network: Recording, tamper: Any
) -> None:
    there.knows("1", preferred_username="eva", roles=["status-operators"])
    provider = Provider(there.settings(), network, BACK)
    code = await code_for(provider, there, "1")
    network.changed["/oauth2/token"] = tamper
    with pytest.raises(NotVouched):
        await provider.vouch(code, SECRETS, now=clock.now())


@pytest.mark.parametrize(
    "change",
    [{"aud": "somebody else"}, {"iss": "https://evil.example"}, {"nonce": "x"}, {"exp": 1}, {"azp": "x"}],
    ids=lambda change: next(iter(change)),
)
async def test_claims_that_are_not_for_us_do_not_hold_even_well_signed(
    there: RunningProvider, network: Recording, change: dict[str, Any]
) -> None:
    provider = Provider(there.settings(), network, BACK)
    network.changed["/jwks"] = lambda _: json.dumps(KeySet([OURS]).as_dict(private=False)).encode()
    network.changed["/oauth2/token"] = forged(
        {"preferred_username": "eva", "roles": ["status-operators"]} | change
    )
    code = await code_for(provider, there, "1")
    with pytest.raises(NotVouched):
        await provider.vouch(code, SECRETS, now=clock.now())


async def test_keys_that_were_changed_are_fetched_again(there: RunningProvider, network: Recording) -> None:
    there.knows("1", preferred_username="eva", roles=["status-operators"])
    provider = Provider(there.settings(), network, BACK)
    code = await code_for(provider, there, "1")
    network.changed["/jwks"] = lambda _: json.dumps(KeySet([OURS]).as_dict(private=False)).encode()
    network.changed["/oauth2/token"] = forged({})

    assert (await provider.vouch(code, SECRETS, now=clock.now())).login == "eva"


async def test_what_the_id_token_lacks_is_asked_for_and_must_speak_of_the_same_person(
    there: RunningProvider, network: Recording
) -> None:
    there.knows("1", preferred_username="eva", realm={"roles": ["status-desk"]})
    provider = Provider(there.settings(role_claim="realm.roles"), network, BACK)
    who = await provider.vouch(await code_for(provider, there, "1"), SECRETS, now=clock.now())
    assert who.role == Role.AGENT

    provider = Provider(there.settings(role_claim="elsewhere"), network, BACK)
    network.changed["/userinfo"] = lambda _: b'{"sub": "somebody else", "elsewhere": "status-operators"}'
    with pytest.raises(NotVouched, match="somebody else"):
        await provider.vouch(await code_for(provider, there, "1"), SECRETS, now=clock.now())


async def test_without_a_role_it_says_who_it_was(there: RunningProvider, network: Recording) -> None:
    there.knows("12", preferred_username="ula", roles=["other"])
    provider = Provider(there.settings(), network, BACK)
    with pytest.raises(NoRole) as caught:
        await provider.vouch(await code_for(provider, there, "12"), SECRETS, now=clock.now())
    assert (caught.value.subject, caught.value.login) == ("12", "ula")


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b'{"issuer": "https://evil.example"}', b'{"issuer": "ISSUER"}']
)
async def test_a_description_that_is_none_is_the_providers_fault(
    there: RunningProvider, network: Recording, body: bytes
) -> None:
    network.changed["openid-configuration"] = lambda _: body.replace(b"ISSUER", there.issuer.encode())
    with pytest.raises(Unavailable):
        await Provider(there.settings(), network, BACK).authorization_url(SECRETS)


async def test_an_internal_provider_needs_its_network_allowed(there: RunningProvider) -> None:
    network = Network()
    with pytest.raises(Unavailable, match=r"not in security\.allow_networks"):
        await Provider(there.settings(), network, BACK).authorization_url(SECRETS)
    network.close()


@pytest.mark.parametrize(
    ("claim", "role"),
    [
        ("desk", Role.AGENT),
        (["desk", "ops"], Role.OPERATOR),
        (["ops", "desk"], Role.OPERATOR),
        (["nothing"], None),
        ([], None),
        (None, None),
        (7, None),
        ([{"ops": 1}, 7, "desk"], Role.AGENT),
        ({"ops": True}, None),
        ("ops desk", None),
    ],
)
def test_the_highest_mapped_role_counts(claim: object, role: Role | None) -> None:
    assert role_of(claim, {"ops": "operator", "desk": "agent"}) == role
