"""Signing in and out: what each step proves, what it refuses, and what an attacker gets of it."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest
from sqlalchemy import func, select
from starlette.applications import Starlette

from statuspage.kernel import accounts, audit, clock, otp
from statuspage.kernel.accounts import Role
from statuspage.kernel.house import House
from statuspage.kernel.web import COOKIE
from statuspage.site.signin import DEVICE_COOKIE, STEP_COOKIE
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

CODE, ENROL = "/en/console/sign-in/code", "/en/console/sign-in/enrol"


@pytest.fixture
def app(house: House) -> Starlette:
    return application(house)


@pytest.fixture
async def client(app: Starlette, house: House) -> AsyncIterator[httpx.AsyncClient]:
    add(house, "viewer")
    async with browser(app) as client:
        yield client


# --- the password ---


async def test_the_way_in_leads_back_to_where_one_wanted_to_go(client: httpx.AsyncClient) -> None:
    answer = await client.get("/en/console")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/en/console/sign-in?next=%2Fconsole"

    answer = await sign_in(client, "viewer", onward="/console")

    assert answer.headers["location"] == "/en/console"
    assert (await client.get("/en/console")).text == "the board of viewer"


@pytest.mark.parametrize("onward", ["https://evil.example/", "//evil.example", "/\\evil.example"])
async def test_it_never_leads_to_another_site(client: httpx.AsyncClient, onward: str) -> None:
    answer = await sign_in(client, "viewer", onward=onward)
    assert answer.headers["location"] == "/en/console"


@pytest.mark.parametrize(
    ("login", "password"), [("viewer", "wrong"), ("nobody", PASSWORD), ("", ""), ("gone", PASSWORD)]
)
async def test_a_wrong_sign_in_says_the_same_whoever_it_is(
    client: httpx.AsyncClient, house: House, login: str, password: str
) -> None:
    """Abuse case 8; "gone" is an account that was closed."""
    gone = add(house, "gone")
    house.db.run_now(accounts.disable_user, gone.id, now=clock.now())

    answer = await sign_in(client, login, password)

    assert answer.status_code == 422
    assert "The login or the password is wrong" in answer.text
    assert not answer.cookies


async def test_what_was_typed_is_not_in_the_audit_log(client: httpx.AsyncClient, house: House) -> None:
    await sign_in(client, "my-password-in-the-wrong-field", "another secret")
    await sign_in(client, "viewer", "a guessed password")

    known, unknown = house.db.read_now(audit.entries)[:2]
    assert (unknown.action, unknown.actor, unknown.subject) == ("session.refused", "nobody", "unknown")
    assert (known.action, known.subject) == ("session.refused", "user:viewer")
    assert not any("password-in" in f"{e.subject}{e.details}" for e in (known, unknown))
    assert "guessed" not in known.details


async def test_the_cookie_is_for_this_site_and_not_for_scripts(client: httpx.AsyncClient) -> None:
    answer = await sign_in(client, "viewer")
    for cookie in answer.headers.get_list("set-cookie"):
        if COOKIE in cookie or DEVICE_COOKIE in cookie:
            assert "httponly" in cookie.lower()
            assert "samesite=lax" in cookie.lower()


async def test_each_sign_in_gets_a_new_token_and_the_browsers_old_session_ends(
    client: httpx.AsyncClient, app: Starlette
) -> None:
    """Abuse case 17: a token that somebody planted, or that was there before, is never taken on."""
    client.cookies.set(COOKIE, "planted")
    first = (await sign_in(client, "viewer")).cookies[COOKIE]
    client.cookies.clear()
    client.cookies.set(COOKIE, first)
    second = (await sign_in(client, "viewer")).cookies[COOKIE]

    assert len({first, second, "planted"}) == 3
    async with browser(app) as thief:
        for token in (first, "planted"):
            thief.cookies.set(COOKIE, token)
            assert not await is_in(thief)


async def test_a_sign_in_sent_from_another_site_is_refused(client: httpx.AsyncClient) -> None:
    """Login CSRF, abuse case 15: nobody is signed in on an attacker's account without knowing."""
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
        answer = await client.post(
            "/en/console/sign-in", data={"login": "viewer", "password": PASSWORD}, headers=headers
        )
        assert answer.status_code == 403
        assert not answer.cookies


async def test_signing_out_revokes_the_token_on_the_server(client: httpx.AsyncClient, house: House) -> None:
    token = (await sign_in(client, "viewer")).cookies[COOKIE]
    page = (await client.get("/en/console/account")).text
    assert (await client.post("/en/console/sign-out", data={"csrf": "wrong"})).status_code == 403
    assert (await client.post("/en/console/sign-out", data={"csrf": csrf_of(page)})).status_code == 303
    client.cookies.set(COOKIE, token)
    assert not await is_in(client)
    assert house.db.read_now(lambda s: s.scalar(select(func.count()).select_from(accounts.UserSession))) == 0
    assert actions(house)[-2:] == ["session.began", "session.ended"]


async def test_a_session_ends_when_its_time_is_over(house: House) -> None:
    user = add(house, "x")
    then = clock.now() - timedelta(hours=13)
    token = house.db.run_now(accounts.start_session, user.id, now=then, lifetime=timedelta(hours=12))
    assert house.db.read_now(accounts.signed_in, token, now=clock.now()) is None


# --- guessing ---


async def test_who_guesses_waits_and_the_owner_elsewhere_does_not(
    client: httpx.AsyncClient, app: Starlette
) -> None:
    """Abuse case 18."""
    for _ in range(5):
        assert (await sign_in(client, "viewer", "guess")).status_code == 422
    answer = await sign_in(client, "viewer")
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) >= 1
    assert "Too many attempts. Try again in" in answer.text

    async with browser(app, address="198.51.100.9") as owner:
        assert (await sign_in(owner, "viewer")).status_code == 303


async def test_the_wait_is_the_same_for_a_login_that_does_not_exist(client: httpx.AsyncClient) -> None:
    statuses = {
        login: [(await sign_in(client, login, "guess")).status_code for _ in range(6)]
        for login in ("viewer", "nobody")
    }
    assert statuses["viewer"] == statuses["nobody"] == [422] * 5 + [429]


async def test_a_browser_that_was_in_before_comes_in_beside_a_guesser_in_its_own_network(
    client: httpx.AsyncClient, app: Starlette
) -> None:
    async with browser(app) as owner:
        await sign_in(owner, "viewer")
        owner.cookies.delete(COOKIE)
        for _ in range(6):
            await sign_in(client, "viewer", "guess")
        assert (await sign_in(client, "viewer")).status_code == 429
        assert (await sign_in(owner, "viewer")).status_code == 303


async def test_the_mark_of_one_account_opens_no_way_to_guess_at_another(
    client: httpx.AsyncClient, house: House
) -> None:
    add(house, "mine")
    await sign_in(client, "mine")
    statuses = [(await sign_in(client, "viewer", "guess")).status_code for _ in range(6)]
    assert statuses[-1] == 429


# --- the second factor ---


async def test_after_the_password_comes_the_code_and_only_then_a_session(
    client: httpx.AsyncClient, house: House
) -> None:
    secret, _ = switch_on(house, add(house, "anna", Role.OPERATOR))
    answer = await sign_in(client, "anna", onward="/console/audit")
    assert answer.headers["location"] == f"{CODE}?next=/console/audit"
    assert COOKIE not in answer.cookies
    assert not await is_in(client)

    answer = await press(client, CODE, f"{CODE}?next=/console/audit", code=code_now(secret))

    assert answer.headers["location"] == "/en/console/audit"
    assert await is_in(client)
    assert STEP_COOKIE not in client.cookies
    assert "password and totp" in house.db.read_now(audit.entries)[0].details


async def test_the_note_of_the_step_is_no_session(client: httpx.AsyncClient, house: House) -> None:
    switch_on(house, add(house, "anna"))
    await sign_in(client, "anna")
    client.cookies.set(COOKIE, client.cookies[STEP_COOKIE])
    assert not await is_in(client)
    assert (await client.get(ENROL)).status_code == 422  # nor does it lead to another step


async def test_a_code_opens_once(client: httpx.AsyncClient, app: Starlette, house: House) -> None:
    """Abuse case 18: whoever has the password and saw the code comes too late."""
    secret, _ = switch_on(house, add(house, "anna"))
    code = code_now(secret)
    await sign_in(client, "anna")
    assert (await press(client, CODE, CODE, code=code)).status_code == 303
    async with browser(app, address="198.51.100.9") as thief:
        await sign_in(thief, "anna")
        answer = await press(thief, CODE, CODE, code=code)
        assert answer.status_code == 422
        assert "was used already" in answer.text
        assert not await is_in(thief)


async def test_a_recovery_code_opens_once(client: httpx.AsyncClient, house: House) -> None:
    _, codes = switch_on(house, add(house, "anna"))
    for expected in (303, 422):
        client.cookies.clear()
        await sign_in(client, "anna")
        assert (await press(client, CODE, CODE, code=codes[0])).status_code == expected


async def test_guessing_codes_is_slowed_down_and_starting_again_does_not_help(
    client: httpx.AsyncClient, house: House
) -> None:
    switch_on(house, add(house, "anna"))
    await sign_in(client, "anna")
    for number in range(5):
        assert (await press(client, CODE, CODE, code=f"00000{number}")).status_code == 422
    await sign_in(client, "anna")
    answer = await press(client, CODE, CODE, code="123456")
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) >= 1


async def test_a_step_ends_with_its_time_its_password_and_its_account(
    client: httpx.AsyncClient, house: House
) -> None:
    user = add(house, "anna")
    switch_on(house, user)
    await sign_in(client, "anna")
    note = client.cookies[STEP_COOKIE]
    assert (await client.get(CODE)).status_code == 200

    value = (house.signer.verify("step:code", note) or "").split(":")
    old = house.signer.sign("step:code", f"{value[0]}:{int(clock.now().timestamp()) - 1}:{value[2]}")
    for forged in (old, note[:-1], "", "x"):
        client.cookies.set(STEP_COOKIE, forged)
        assert (await client.get(CODE)).status_code == 422
    client.cookies.set(STEP_COOKIE, note)
    house.db.run_now(accounts.set_password, user.id, "another hash", by="anna", now=clock.now())
    assert (await client.get(CODE)).status_code == 422


async def test_the_code_form_needs_its_token(client: httpx.AsyncClient, house: House) -> None:
    secret, _ = switch_on(house, add(house, "anna"))
    await sign_in(client, "anna")
    assert (await client.post(CODE, data={"code": code_now(secret)})).status_code == 403
    assert not await is_in(client)


# --- where it is compulsory ---


@pytest.fixture
def strict(house: House) -> House:
    security = replace(house.settings.security, require_totp_for="operator")
    return replace(house, settings=replace(house.settings, security=security))


async def test_where_a_second_factor_is_compulsory_one_enrols_before_anything_else(strict: House) -> None:
    user = add(strict, "anna", Role.OPERATOR)
    async with browser(application(strict)) as client:
        assert (await sign_in(client, "anna")).headers["location"] == ENROL
        assert not await is_in(client)
        page = await client.get(ENROL)
        secret = strict.db.read_now(otp.factor, user.id).pending_secret
        assert secret is not None
        assert otp.spaced(secret) in page.text
        assert "data:image/svg+xml" in page.text

        wrong = await press(client, ENROL, ENROL, code="000000")
        assert wrong.status_code == 422
        assert not await is_in(client)

        answer = await press(client, ENROL, ENROL, code=code_now(secret))
        assert answer.status_code == 200
        assert "Keep these recovery codes" in answer.text
        assert await is_in(client)
    assert strict.db.read_now(otp.is_on, user.id)


async def test_it_is_compulsory_for_nobody_below_but_for_group_operators_too(strict: House) -> None:
    add(strict, "jan", Role.AGENT)
    eva = add(strict, "eva", Role.AGENT)
    roles = {"transit": Role.OPERATOR}
    strict.db.run_now(accounts.set_group_roles, eva.id, roles, by="setup", now=clock.now())
    async with browser(application(strict)) as client:
        assert (await sign_in(client, "jan")).headers["location"] == "/en/console"
    async with browser(application(strict)) as client:
        assert (await sign_in(client, "eva")).headers["location"] == ENROL


async def test_the_enrolment_is_closed_to_who_has_enrolled(strict: House) -> None:
    """A note kept from before shows no secret and takes no code."""
    user = add(strict, "anna", Role.OPERATOR)
    async with browser(application(strict)) as client:
        await sign_in(client, "anna")
        note = client.cookies[STEP_COOKIE]
        secret = strict.db.read_now(otp.factor, user.id).pending_secret or ""
        await press(client, ENROL, ENROL, code=code_now(secret))
        client.cookies.clear()
        client.cookies.set(STEP_COOKIE, note)
        page = await client.get(ENROL)
        assert page.status_code == 422
        assert otp.spaced(secret) not in page.text
