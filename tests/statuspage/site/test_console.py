"""The board."""

from collections.abc import AsyncIterator

import httpx
import pytest

from statuspage.incidents import catalogue, services
from statuspage.incidents.rules import ServiceStatus
from statuspage.kernel import accounts, clock, config
from statuspage.kernel.accounts import Role
from statuspage.kernel.house import House
from statuspage.kernel.panels import Panel, Parts
from statuspage.kernel.web import COOKIE
from statuspage.site import console
from tests.statuspage.site.entrance import add, application, browser, sign_in

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


@pytest.fixture
async def client(house: House) -> AsyncIterator[httpx.AsyncClient]:
    parts = Parts(panels=[lambda _session: Panel("Requests", ("Status",), (("<b>7</b>",),), "none")])
    for role in (Role.VIEWER, Role.OPERATOR):
        add(house, role.value, role)
    async with browser(application(house, console.routes(parts))) as client:
        yield client


async def test_without_a_session_the_board_leads_to_the_sign_in_page_and_back(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.get("/en/console")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/en/console/sign-in?next=%2Fconsole"
    answer = await sign_in(client, "viewer", onward="/console")
    assert answer.headers["location"] == "/en/console"
    assert (await client.get("/en/console")).status_code == 200


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
