"""Administrators and the members of staff: roles, closed doors, and who may do it."""

from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.applications import Starlette

from statuspage.incidents import catalogue
from statuspage.kernel import accounts, clock, otp
from statuspage.kernel.accounts import Role, User
from statuspage.kernel.house import House
from tests.statuspage.site.entrance import (
    PASSWORD,
    actions,
    add,
    application,
    browser,
    is_in,
    press,
    sign_in,
    switch_on,
)

USERS = "/en/console/users"
CATALOGUE = """
[[groups]]
code = "transit"
name = { pl = "Tranzyt", en = "Transit" }
[[groups]]
code = "excise"
name = { pl = "Akcyza", en = "Excise" }
"""


@pytest.fixture
def app(house: House) -> Starlette:
    house.db.run_now(catalogue.apply, catalogue.parse(CATALOGUE, where="c"), now=clock.now())
    return application(house)


@pytest.fixture
def boss(house: House) -> User:
    return add(house, "boss", Role.ADMINISTRATOR)


@pytest.fixture
def jan(house: House) -> User:
    return add(house, "jan", Role.AGENT)


@pytest.fixture
async def client(app: Starlette, boss: User) -> AsyncIterator[httpx.AsyncClient]:
    async with browser(app) as client:
        await sign_in(client, "boss")
        yield client


@pytest.mark.parametrize("role", [Role.VIEWER, Role.AGENT, Role.APPROVER, Role.OPERATOR])
async def test_below_administrator_nothing_is_shown_or_done(
    app: Starlette, house: House, jan: User, role: Role
) -> None:
    add(house, "eve", role)
    async with browser(app) as client:
        await sign_in(client, "eve")
        for path in (USERS, f"{USERS}/new", f"{USERS}/{jan.id}", "/en/console/audit"):
            assert (await client.get(path)).status_code == 403
        for what in ("roles", "disable", "enable", "sessions/end", "second-factor/reset"):
            answer = await press(client, "/en/console/account", f"{USERS}/{jan.id}/{what}", role="viewer")
            assert answer.status_code == 403
    kept = house.db.read_now(accounts.get_user, jan.id)
    assert (kept.role, kept.disabled_at) == ("agent", None)


async def test_the_list_shows_everybody_and_what_they_may_do(
    client: httpx.AsyncClient, house: House, jan: User
) -> None:
    house.db.run_now(accounts.set_group_roles, jan.id, {"transit": Role.OPERATOR}, by="boss", now=clock.now())
    page = (await client.get(USERS)).text
    assert f"{USERS}/{jan.id}" in page
    assert "transit: Operator" in page


async def test_an_account_is_added_and_signs_in(
    client: httpx.AsyncClient, app: Starlette, house: House
) -> None:
    fields = {"login": "eva", "name": "Eva Nowak", "role": "operator", "password": PASSWORD}
    answer = await press(client, f"{USERS}/new", f"{USERS}/new", **fields)
    assert answer.status_code == 303
    async with browser(app) as hers:
        await sign_in(hers, "eva")
        assert await is_in(hers)
    assert "user.added" in actions(house)


@pytest.mark.parametrize(
    ("changed", "status", "reason"),
    [
        ({"login": "two words"}, 422, "A login has no spaces"),
        ({"login": "boss"}, 409, "This login is taken"),
        ({"name": ""}, 422, "A name is needed"),
        ({"password": "short"}, 422, "too short"),
        ({"role": "king"}, 422, "Add an account"),
    ],
)
async def test_a_bad_account_is_refused_and_what_was_typed_stays(
    client: httpx.AsyncClient, changed: dict[str, str], status: int, reason: str
) -> None:
    fields = {"login": "eva", "name": "Eva", "role": "operator", "password": PASSWORD} | changed
    answer = await press(client, f"{USERS}/new", f"{USERS}/new", **fields)
    assert answer.status_code == status
    assert reason in answer.text
    assert f'value="{fields["login"]}"' in answer.text


async def test_roles_are_set_everywhere_and_for_groups(
    client: httpx.AsyncClient, house: House, jan: User
) -> None:
    page = f"{USERS}/{jan.id}"
    fields = {"role": "viewer", "group-transit": "operator", "group-excise": ""}
    assert (await press(client, page, f"{page}/roles", **fields)).status_code == 303
    assert house.db.read_now(accounts.get_user, jan.id).role == "viewer"
    assert house.db.read_now(accounts.group_roles, jan.id) == {"transit": Role.OPERATOR}
    assert actions(house)[-2:] == ["user.role-changed", "user.group-roles-changed"]
    refused = {"role": "viewer", "group-nowhere": "operator"}
    assert (await press(client, page, f"{page}/roles", **refused)).status_code == 422
    assert (await press(client, page, f"{page}/roles", role="king")).status_code == 422


async def test_a_closed_account_is_out_at_once_and_may_come_back(
    client: httpx.AsyncClient, app: Starlette, house: House, jan: User
) -> None:
    page = f"{USERS}/{jan.id}"
    async with browser(app, address="198.51.100.9") as his:
        await sign_in(his, "jan")
        assert await is_in(his)
        await press(client, page, f"{page}/disable")
        assert not await is_in(his)
        assert (await sign_in(his, "jan")).status_code == 422
        await press(client, page, f"{page}/enable")
        assert (await sign_in(his, "jan")).status_code == 303
    assert [a for a in actions(house) if a in ("user.disabled", "user.enabled")] == [
        "user.disabled",
        "user.enabled",
    ]


async def test_the_last_administrator_stays(client: httpx.AsyncClient, house: House, boss: User) -> None:
    page = f"{USERS}/{boss.id}"
    for path, fields in ((f"{page}/disable", {}), (f"{page}/roles", {"role": "agent"})):
        answer = await press(client, page, path, **fields)
        assert answer.status_code == 409
        assert "This is the last administrator" in answer.text
    assert await is_in(client)
    assert house.db.read_now(accounts.get_user, boss.id).role == "administrator"


async def test_resetting_a_lost_second_factor_ends_the_sessions_too(
    client: httpx.AsyncClient, app: Starlette, house: House, jan: User
) -> None:
    _, codes = switch_on(house, jan)
    page = f"{USERS}/{jan.id}"
    async with browser(app) as his:
        await sign_in(his, "jan")
        await press(his, "/en/console/sign-in/code", "/en/console/sign-in/code", code=codes[0])
        assert await is_in(his)
        await press(client, page, f"{page}/second-factor/reset")
        assert not await is_in(his)
    assert not house.db.read_now(otp.is_on, jan.id)


async def test_the_provider_decides_the_role_of_its_own(client: httpx.AsyncClient, house: House) -> None:
    eva = house.db.run_now(
        accounts.enter_from_provider, "https://idp.example", "1", "eva", "Eva", Role.AGENT, now=clock.now()
    )
    page = f"{USERS}/{eva.id}"
    assert 'name="role"' not in (await client.get(page)).text
    await press(client, page, f"{page}/roles", role="administrator")
    assert house.db.read_now(accounts.get_user, eva.id).role == "agent"


async def test_nobody_is_a_404(client: httpx.AsyncClient) -> None:
    assert (await client.get(f"{USERS}/nobody")).status_code == 404
