"""One's own account: what it shows, what it asks for again, and what ends."""

from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest
from starlette.applications import Starlette

from statuspage.kernel import accounts, clock, otp
from statuspage.kernel.accounts import Role, User
from statuspage.kernel.house import House
from tests.statuspage.site.entrance import (
    PASSWORD,
    actions,
    add,
    application,
    browser,
    code_now,
    csrf_of,
    is_in,
    press,
    sign_in,
    switch_on,
)

ACCOUNT = "/en/console/account"
FACTOR = f"{ACCOUNT}/second-factor"
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:130.0) Gecko/20100101 Firefox/130.0"


@pytest.fixture
def app(house: House) -> Starlette:
    return application(house)


@pytest.fixture
def anna(house: House) -> User:
    return add(house, "anna", Role.OPERATOR)


@pytest.fixture
async def client(app: Starlette, anna: User) -> AsyncIterator[httpx.AsyncClient]:
    """Anna's browser, signed in."""
    async with browser(app, user_agent=FIREFOX) as client:
        await sign_in(client, "anna")
        yield client


@pytest.fixture
async def other(app: Starlette, anna: User) -> AsyncIterator[httpx.AsyncClient]:
    """Another browser of hers, in another network."""
    async with browser(app, address="198.51.100.9", user_agent="curl/8") as other:
        await sign_in(other, "anna")
        yield other


async def test_it_shows_where_one_is_signed_in(client: httpx.AsyncClient, other: httpx.AsyncClient) -> None:
    page = (await client.get(ACCOUNT)).text
    assert "Firefox 130, Windows" in page
    assert "curl/8" in page
    assert "198.51.100.0/24" in page
    assert page.count("this session") == 1


async def test_a_session_is_ended_from_another_one(
    client: httpx.AsyncClient, other: httpx.AsyncClient, house: House, anna: User
) -> None:
    assert await is_in(other)
    page = (await client.get(ACCOUNT)).text
    path = next(
        part.split('"')[0]
        for part in page.split('action="')
        if "/sessions/" in part and "others" not in part.split('"')[0]
    )
    assert (await client.post(path, data={"csrf": csrf_of(page)})).status_code == 303

    assert not await is_in(other)
    assert await is_in(client)
    assert (await client.post(path, data={"csrf": csrf_of(page)})).status_code == 404


async def test_nobody_ends_anothers_session(client: httpx.AsyncClient, app: Starlette, house: House) -> None:
    """Abuse case 16: the owner is part of the question."""
    jan = add(house, "jan")
    async with browser(app) as his:
        await sign_in(his, "jan")
        (session,) = house.db.read_now(accounts.sessions_of, jan.id, now=clock.now())
        answer = await press(client, ACCOUNT, f"{ACCOUNT}/sessions/{session.id}/end")
        assert answer.status_code == 404
        for guess in ("%25", "", session.id[:4]):
            assert (await press(client, ACCOUNT, f"{ACCOUNT}/sessions/{guess}/end")).status_code == 404
        assert await is_in(his)


async def test_all_other_sessions_end_at_once(client: httpx.AsyncClient, other: httpx.AsyncClient) -> None:
    await press(client, ACCOUNT, f"{ACCOUNT}/sessions/end-others")
    assert await is_in(client)
    assert not await is_in(other)


async def test_a_new_password_ends_the_other_sessions_and_the_old_password(
    client: httpx.AsyncClient, other: httpx.AsyncClient, app: Starlette, house: House
) -> None:
    new = "  a longer sentence with spaces around "
    answer = await press(client, ACCOUNT, f"{ACCOUNT}/password", password=PASSWORD, new=new, again=new)
    assert answer.status_code == 303
    assert await is_in(client)
    assert not await is_in(other)
    async with browser(app, address="203.0.113.1") as fresh:
        assert (await sign_in(fresh, "anna")).status_code == 422
        assert (await sign_in(fresh, "anna", new)).status_code == 303
    assert "user.password-changed" in actions(house)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"password": "wrong", "new": "x" * 12, "again": "x" * 12}, "This is not your password."),
        ({"password": PASSWORD, "new": "x" * 12, "again": "y" * 12}, "The two do not agree."),
        ({"password": PASSWORD, "new": "short", "again": "short"}, "too short"),
        ({}, "This is not your password."),
    ],
)
async def test_a_password_that_cannot_be_changed_says_why(
    client: httpx.AsyncClient, house: House, anna: User, fields: dict[str, str], reason: str
) -> None:
    answer = await press(client, ACCOUNT, f"{ACCOUNT}/password", **fields)
    assert answer.status_code == 422
    assert reason in answer.text
    kept = house.db.read_now(accounts.get_user, anna.id)
    assert kept.password_hash == anna.password_hash


async def test_a_session_left_open_is_no_way_to_guess_the_password(client: httpx.AsyncClient) -> None:
    for _ in range(10):
        answer = await press(client, ACCOUNT, f"{ACCOUNT}/password", password="guess")
        assert answer.status_code == 422
    assert (await press(client, ACCOUNT, f"{ACCOUNT}/password", password=PASSWORD)).status_code == 429


async def begun(client: httpx.AsyncClient, house: House, anna: User) -> str:
    """A second factor that waits for its first code."""
    assert (await press(client, ACCOUNT, FACTOR)).headers["location"] == FACTOR
    secret = house.db.read_now(otp.factor, anna.id).pending_secret
    assert secret is not None
    return secret


async def test_a_second_factor_is_begun_confirmed_and_then_asked_for(
    client: httpx.AsyncClient, app: Starlette, house: House, anna: User
) -> None:
    secret = await begun(client, house, anna)
    page = (await client.get(FACTOR)).text
    assert otp.spaced(secret) in page
    assert f"secret={secret}" in page
    wrong = await press(client, FACTOR, f"{FACTOR}/confirm", password=PASSWORD, code="000000")
    assert wrong.status_code == 422
    answer = await press(client, FACTOR, f"{FACTOR}/confirm", password=PASSWORD, code=code_now(secret))
    assert "Keep these recovery codes" in answer.text
    assert (await client.get(FACTOR)).status_code == 303  # the secret is not shown again
    assert "10 recovery codes are left" in (await client.get(ACCOUNT)).text
    async with browser(app) as fresh:
        assert (await sign_in(fresh, "anna")).headers["location"] == "/en/console/sign-in/code"


async def test_a_session_left_open_is_not_enough_to_switch_a_second_factor_on(
    client: httpx.AsyncClient, house: House, anna: User
) -> None:
    secret = await begun(client, house, anna)
    answer = await press(client, FACTOR, f"{FACTOR}/confirm", password="guess", code=code_now(secret))
    assert answer.status_code == 422
    assert not house.db.read_now(otp.is_on, anna.id)


async def test_switching_off_needs_the_password_and_a_code(
    client: httpx.AsyncClient, house: House, anna: User
) -> None:
    secret, _ = switch_on(house, anna)
    off = f"{FACTOR}/off"
    for fields in ({"password": PASSWORD, "code": "000000"}, {"password": "guess", "code": code_now(secret)}):
        assert (await press(client, ACCOUNT, off, **fields)).status_code == 422
        assert house.db.read_now(otp.is_on, anna.id)
    answer = await press(client, ACCOUNT, off, password=PASSWORD, code=code_now(secret))
    assert answer.status_code == 303
    assert not house.db.read_now(otp.is_on, anna.id)
    assert actions(house)[-1] == "second-factor.off"


async def test_what_is_compulsory_is_not_switched_off(house: House, anna: User) -> None:
    security = replace(house.settings.security, require_totp_for="operator")
    strict = replace(house, settings=replace(house.settings, security=security))
    secret, codes = switch_on(house, anna)
    async with browser(application(strict)) as client:
        await sign_in(client, "anna")
        await press(client, "/en/console/sign-in/code", "/en/console/sign-in/code", code=codes[0])
        assert "cannot be switched off" in (await client.get(ACCOUNT)).text
        answer = await press(client, ACCOUNT, f"{FACTOR}/off", password=PASSWORD, code=code_now(secret))
        assert answer.status_code == 409
    assert house.db.read_now(otp.is_on, anna.id)


async def test_new_recovery_codes_are_shown_once_for_the_password(
    client: httpx.AsyncClient, house: House, anna: User
) -> None:
    _, old = switch_on(house, anna)
    path = f"{ACCOUNT}/recovery-codes"
    assert (await press(client, ACCOUNT, path, password="guess")).status_code == 422
    page = (await press(client, ACCOUNT, path, password=PASSWORD)).text
    assert page.count("<li><code>") == otp.RECOVERY_CODES
    assert old[0] not in page
    assert not house.db.run_now(otp.is_code, anna.id, old[0], now=clock.now())


@pytest.mark.parametrize(
    "path",
    [
        "password",
        "second-factor",
        "second-factor/confirm",
        "second-factor/off",
        "recovery-codes",
        "sessions/end-others",
        "sessions/0123456789abcdef/end",
    ],
)
async def test_every_form_needs_its_token(
    client: httpx.AsyncClient, app: Starlette, house: House, path: str
) -> None:
    before = actions(house)
    assert (await client.post(f"{ACCOUNT}/{path}", data={"password": PASSWORD})).status_code == 403
    assert actions(house) == before
    async with browser(app) as nobody:
        assert (await nobody.post(f"{ACCOUNT}/{path}")).status_code == 303


async def test_who_comes_from_the_provider_has_neither_password_nor_second_factor_here(
    app: Starlette, house: House
) -> None:
    user = house.db.run_now(
        accounts.enter_from_provider, "https://idp.example", "1", "eva", "Eva", Role.AGENT, now=clock.now()
    )
    lifetime = house.settings.security.session_lifetime
    token = house.db.run_now(accounts.start_session, user.id, now=clock.now(), lifetime=lifetime)
    async with browser(app) as client:
        client.cookies.set("statuspage_session", token)
        page = (await client.get(ACCOUNT)).text
        assert "provider of your organisation" in page
        assert "Change the password" not in page
        csrf = csrf_of(page)
        assert (await client.post(FACTOR, data={"csrf": csrf})).status_code == 409
        assert (await sign_in(client, "eva", "")).status_code == 422
