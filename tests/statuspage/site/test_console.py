"""Signing in and out, and the board."""

from collections.abc import AsyncIterator
from datetime import timedelta
from functools import cache

import httpx
import pytest
from sqlalchemy import func, select
from starlette.applications import Starlette
from starlette.middleware import Middleware

from statuspage.incidents import catalogue, services
from statuspage.incidents.rules import ServiceStatus
from statuspage.kernel import accounts, clock, config
from statuspage.kernel.accounts import Role
from statuspage.kernel.house import House
from statuspage.kernel.panels import Panel, Parts
from statuspage.kernel.web import COOKIE, EXCEPTION_HANDLERS, Guard, Languages
from statuspage.site import console

PASSWORD = "correct horse battery"
BASE = "http://status.example"
CATALOGUE = """
[[groups]]
code = "g"
name = { pl = "G", en = "G" }
[[services]]
code = "OSOZ2"
group = "g"
name = { pl = "OSOZ2", en = "OSOZ2" }
policy = "draft"
"""


@cache
def hashed() -> str:
    """argon2id takes its time, once."""
    return accounts.hash_password(PASSWORD)


@pytest.fixture
async def client(house: House) -> AsyncIterator[httpx.AsyncClient]:
    password_hash = hashed()
    for role in (Role.VIEWER, Role.OPERATOR):
        house.db.run_now(accounts.add_user, role.value, role.value, role, password_hash, now=clock.now())
    parts = Parts(panels=[lambda _session: Panel("Requests", ("Status",), (("<b>7</b>",),), "none")])
    app = Starlette(
        routes=console.routes(parts),
        middleware=[Middleware(Languages, default="pl"), Middleware(Guard, base_url=BASE)],
        exception_handlers=EXCEPTION_HANDLERS,
    )
    app.state.house = house
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=BASE) as client:
        yield client


async def sign_in(
    client: httpx.AsyncClient, login: str, password: str = PASSWORD, onward: str = ""
) -> httpx.Response:
    return await client.post(
        f"/en/console/sign-in?next={onward}", data={"login": login, "password": password}
    )


async def test_without_a_session_the_board_leads_to_the_sign_in_page_and_back(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.get("/en/console")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/en/console/sign-in?next=%2Fconsole"
    answer = await sign_in(client, "viewer", onward="/console")
    assert answer.headers["location"] == "/en/console"
    assert (await client.get("/en/console")).status_code == 200


@pytest.mark.parametrize("onward", ["https://evil.example/", "//evil.example", "/\\evil.example"])
async def test_it_never_leads_to_another_site(client: httpx.AsyncClient, onward: str) -> None:
    answer = await sign_in(client, "viewer", onward=onward)
    assert answer.headers["location"] == "/en/console"


@pytest.mark.parametrize(("login", "password"), [("viewer", "wrong"), ("nobody", PASSWORD), ("", "")])
async def test_a_wrong_sign_in_says_the_same_whoever_it_is(
    client: httpx.AsyncClient, login: str, password: str
) -> None:
    answer = await sign_in(client, login, password)
    assert answer.status_code == 422
    assert "The login or the password is wrong" in answer.text
    assert COOKIE not in answer.cookies


async def test_the_cookie_is_for_this_site_and_not_for_scripts(client: httpx.AsyncClient) -> None:
    cookie = (await sign_in(client, "viewer")).headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie


async def test_each_sign_in_gets_a_new_token(client: httpx.AsyncClient) -> None:
    first = (await sign_in(client, "viewer")).cookies[COOKIE]
    client.cookies.set(COOKIE, "chosen-by-somebody-else")
    second = (await sign_in(client, "viewer")).cookies[COOKIE]
    assert len({first, second, "chosen-by-somebody-else"}) == 3


async def test_signing_out_revokes_the_token_on_the_server(client: httpx.AsyncClient, house: House) -> None:
    token = (await sign_in(client, "viewer")).cookies[COOKIE]
    user = house.db.read_now(accounts.signed_in, token, now=clock.now())
    assert user is not None
    assert (await client.post("/en/console/sign-out", data={"csrf": "wrong"})).status_code == 403
    assert (await client.post("/en/console/sign-out", data={"csrf": user.csrf})).status_code == 303
    client.cookies.set(COOKIE, token)
    assert (await client.get("/en/console")).status_code == 303
    assert house.db.read_now(lambda s: s.scalar(select(func.count()).select_from(accounts.UserSession))) == 0


async def test_a_session_ends_when_its_time_is_over(house: House) -> None:
    password_hash = hashed()
    user = house.db.run_now(accounts.add_user, "x", "X", Role.VIEWER, password_hash, now=clock.now())
    then = clock.now() - timedelta(hours=13)
    token = house.db.run_now(accounts.start_session, user.id, now=then, lifetime=timedelta(hours=12))
    assert house.db.read_now(accounts.signed_in, token, now=clock.now()) is None


async def test_panels_are_shown_escaped(client: httpx.AsyncClient) -> None:
    await sign_in(client, "viewer")
    assert "&lt;b&gt;7&lt;/b&gt;" in (await client.get("/pl/console")).text


async def test_an_operator_publishes_a_draft_and_a_viewer_does_not(
    client: httpx.AsyncClient, house: House
) -> None:
    now = clock.now()
    house.db.run_now(catalogue.apply, catalogue.parse(CATALOGUE, where="c"), now=now)
    service = house.db.read_now(services.by_code, "OSOZ2")
    finding = services.Finding(service.id, ServiceStatus.MAJOR_OUTAGE, "HTTP 503", now)
    house.db.run_now(services.report, finding, now=now, policy=config.Incidents())
    for login, status in (("viewer", 403), ("operator", 303)):
        token = (await sign_in(client, login)).cookies[COOKIE]
        board = (await client.get("/en/console")).text
        assert "The monitors found this" in board
        path = next(
            part.split('"')[0] for part in board.split('action="') if "/publish" in part.split('"')[0]
        )
        user = house.db.read_now(accounts.signed_in, token, now=clock.now())
        assert user is not None
        assert (await client.post(path, data={"csrf": user.csrf})).status_code == status
    assert house.db.read_now(services.by_code, "OSOZ2").status == "major_outage"
    assert "The monitors found this" not in (await client.get("/en/console")).text
