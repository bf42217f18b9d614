"""Signing in at a real OpenID Connect provider, step by step as a browser goes."""

from collections.abc import AsyncIterator, Iterator
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from statuspage.kernel import accounts, audit, clock
from statuspage.kernel.accounts import Role
from statuspage.kernel.house import House
from statuspage.kernel.oidc import Provider
from statuspage.kernel.web import COOKIE
from statuspage.site import sso
from tests.statuspage.provider import RunningProvider, running
from tests.statuspage.site.entrance import BASE, actions, add, application, browser, is_in, sign_in

BACK = BASE + sso.CALLBACK
BEGIN = "/en/console/sign-in/oidc"


@pytest.fixture(scope="module")
def there() -> Iterator[RunningProvider]:
    with running(BACK) as provider:
        yield provider


@pytest.fixture
async def client(house: House, there: RunningProvider) -> AsyncIterator[httpx.AsyncClient]:
    routes = sso.routes(Provider(there.settings(), house.network, BACK))
    async with browser(application(house, routes)) as client:
        yield client


async def leave(client: httpx.AsyncClient, onward: str = "") -> str:
    """To the provider: the address the browser is sent to."""
    answer = await client.get(f"{BEGIN}?next={onward}")
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


async def come_back(client: httpx.AsyncClient, address: str) -> httpx.Response:
    assert address.startswith(BACK)
    return await client.get(address)


async def test_the_first_sign_in_makes_the_account_with_the_role_of_the_claim(
    client: httpx.AsyncClient, there: RunningProvider, house: House
) -> None:
    there.knows("1", preferred_username="eva", name="Eva Nowak", roles=["other", "status-operators"])

    answer = await come_back(client, there.sign_in(await leave(client, "/console/account"), "1"))

    assert answer.headers["location"] == "/en/console/account"
    assert (await client.get("/en/console")).text == "the board of eva"
    user = house.db.read_now(accounts.find_user, "eva")
    assert user is not None
    assert (user.name, user.role, user.issuer, user.subject) == ("Eva Nowak", "operator", there.issuer, "1")
    assert actions(house) == ["user.added", "session.began"]


async def test_the_role_is_the_providers_at_each_sign_in(
    client: httpx.AsyncClient, there: RunningProvider, house: House
) -> None:
    for roles, role in (("status-operators", "operator"), (["status-desk"], "agent")):
        there.knows("2", preferred_username="jan", roles=roles)
        await come_back(client, there.sign_in(await leave(client), "2"))
        user = house.db.read_now(accounts.find_user, "jan")
        assert user is not None
        assert user.role == role
    assert "user.role-changed" in actions(house)


async def test_who_has_no_role_is_refused_in_plain_words_and_loses_what_they_had(
    client: httpx.AsyncClient, there: RunningProvider, house: House
) -> None:
    there.knows("3", preferred_username="ula", roles=["status-desk"])
    await come_back(client, there.sign_in(await leave(client), "3"))
    assert await is_in(client)

    there.knows("3", preferred_username="ula", roles=["nothing of ours"])
    answer = await come_back(client, there.sign_in(await leave(client), "3"))

    assert answer.status_code == 403
    assert "have no role here" in answer.text
    assert not await is_in(client)
    assert actions(house)[-1] == "session.refused"


async def test_a_stranger_without_a_role_gets_no_account(
    client: httpx.AsyncClient, there: RunningProvider, house: House
) -> None:
    there.knows("4", preferred_username="stranger")
    assert (await come_back(client, there.sign_in(await leave(client), "4"))).status_code == 403
    assert house.db.read_now(accounts.find_user, "stranger") is None


async def test_a_local_account_is_never_taken_over(
    client: httpx.AsyncClient, there: RunningProvider, house: House
) -> None:
    local = add(house, "boss", Role.ADMINISTRATOR)
    there.knows("5", preferred_username="boss", roles=["status-desk"])
    answer = await come_back(client, there.sign_in(await leave(client), "5"))
    assert answer.status_code == 403
    assert "A local account has the same login" in answer.text
    kept = house.db.read_now(accounts.get_user, local.id)
    assert (kept.role, kept.issuer) == ("administrator", None)
    assert (await sign_in(client, "boss")).status_code == 303  # and it works as before


async def test_a_closed_account_stays_closed(
    client: httpx.AsyncClient, there: RunningProvider, house: House
) -> None:
    there.knows("6", preferred_username="gone", roles=["status-desk"])
    await come_back(client, there.sign_in(await leave(client), "6"))
    user = house.db.read_now(accounts.find_user, "gone")
    assert user is not None
    house.db.run_now(accounts.disable_user, user.id, now=clock.now())
    answer = await come_back(client, there.sign_in(await leave(client), "6"))
    assert answer.status_code == 403
    assert "Your account here is closed" in answer.text


async def test_an_answer_that_another_browser_got_signs_nobody_in(
    client: httpx.AsyncClient, there: RunningProvider, house: House
) -> None:
    """Login CSRF, abuse case 15: the attacker's own code, pushed into the victim's browser."""
    there.knows("7", preferred_username="eve", roles=["status-desk"])
    routes = sso.routes(Provider(there.settings(), house.network, BACK))
    async with browser(application(house, routes)) as attacker:
        address = there.sign_in(await leave(attacker), "7")
    assert (await come_back(client, address)).status_code == 422
    await leave(client)  # even while the victim is on a journey of their own
    answer = await come_back(client, address)
    assert answer.status_code == 422
    assert "began in another browser" in answer.text
    assert COOKIE not in client.cookies
    assert house.db.read_now(accounts.find_user, "eve") is None


async def test_an_answer_counts_once(client: httpx.AsyncClient, there: RunningProvider) -> None:
    there.knows("8", preferred_username="once", roles=["status-desk"])
    url = await leave(client)
    note = client.cookies[sso.COOKIE]
    address = there.sign_in(url, "8")
    assert (await come_back(client, address)).status_code == 303
    assert sso.COOKIE not in client.cookies
    assert (await come_back(client, address)).status_code == 422
    client.cookies.set(sso.COOKIE, note)  # the provider, too, takes a code once
    assert (await come_back(client, address)).status_code == 403


async def test_the_session_is_a_new_one(client: httpx.AsyncClient, there: RunningProvider) -> None:
    """Fixation, abuse case 17."""
    there.knows("9", preferred_username="fixed", roles=["status-desk"])
    client.cookies.set(COOKIE, "planted")
    answer = await come_back(client, there.sign_in(await leave(client), "9"))
    assert answer.cookies[COOKIE] != "planted"
    cookie = next(c for c in answer.headers.get_list("set-cookie") if c.startswith(COOKIE)).lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie


async def test_who_changes_their_mind_comes_back_to_the_sign_in_page(
    client: httpx.AsyncClient, there: RunningProvider
) -> None:
    url = await leave(client)
    state = parse_qs(urlsplit(url).query)["state"][0]
    # RFC 6749, section 4.1.2.1 has the state come back with a refusal; this provider forgets it.
    answer = await come_back(client, f"{there.deny(url)}&state={state}")
    assert answer.status_code == 403
    assert "was broken off" in answer.text


async def test_it_asks_with_pkce_state_and_nonce_and_never_leads_elsewhere(
    client: httpx.AsyncClient, there: RunningProvider
) -> None:
    query = parse_qs(urlsplit(await leave(client, "//evil.example")).query)
    assert query["code_challenge_method"] == ["S256"]
    assert len(query["code_challenge"][0]) == 43
    assert len(query["state"][0]) >= 22
    assert len(query["nonce"][0]) >= 22
    assert query["redirect_uri"] == [BACK]
    there.knows("10", preferred_username="safe", roles=["status-desk"])
    answer = await come_back(client, there.sign_in(await leave(client, "//evil.example"), "10"))
    assert answer.headers["location"] == "/en/console"


async def test_a_provider_that_does_not_answer_is_told_and_local_accounts_work(
    house: House, there: RunningProvider
) -> None:
    settings = there.settings(issuer="http://127.0.0.1:1")
    async with browser(application(house, sso.routes(Provider(settings, house.network, BACK)))) as client:
        answer = await client.get(BEGIN)
        assert answer.status_code == 503
        assert "does not answer at the moment" in answer.text
        add(house, "boss")
        assert (await sign_in(client, "boss")).status_code == 303


async def test_nothing_of_the_providers_answer_is_in_the_audit_log(
    client: httpx.AsyncClient, there: RunningProvider, house: House
) -> None:
    there.knows("11", preferred_username="quiet", roles=["status-desk"])
    address = there.sign_in(await leave(client), "11")
    await come_back(client, address)
    code = parse_qs(urlsplit(address).query)["code"][0]
    assert not any(code in entry.details for entry in house.db.read_now(audit.entries))
