"""Heartbeats by HTTP, as senders call them."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import httpx
import pytest
from starlette.applications import Starlette

from monitors.catalogue import heartbeat_path
from monitors.probes import Beats
from monitors.store import beats
from monitors.tables import Monitor
from monitors.web import routes
from statuspage.kernel import accounts, audit, clock
from statuspage.kernel.accounts import Role
from statuspage.kernel.house import House
from statuspage.kernel.web import COOKIE, EXCEPTION_HANDLERS
from tests.monitors.catalogues import declare

JOB = {"service": "AES", "name": "job", "kind": "heartbeat", "spec": {"period": "1d"}}


@pytest.fixture
def path(house: House, now: datetime) -> str:
    """Where the sender of the one heartbeat calls."""
    return heartbeat_path(house.signer, declare(house.db, ["AES"], [JOB], now=now)["AES/job"].id)


@pytest.fixture
async def client(house: House) -> AsyncIterator[httpx.AsyncClient]:
    app = Starlette(routes=routes(), exception_handlers=EXCEPTION_HANDLERS)
    app.state.house = house
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://page.example"
    ) as client:
        yield client


async def heard(house: House) -> Beats | None:
    return next(iter((await house.db.read(beats)).values()), None)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
async def test_any_method_is_a_success(
    house: House, client: httpx.AsyncClient, path: str, method: str
) -> None:
    response = await client.request(method, path, content=b"log of the job" if method == "POST" else None)
    assert response.status_code == 200
    assert response.text == ("" if method == "HEAD" else "OK\n")
    noted = await heard(house)
    assert noted is not None
    assert noted.last_success_at is not None


@pytest.mark.parametrize(
    ("said", "noted"),
    [
        ("start", (True, False, False, None)),
        ("fail", (False, False, True, None)),
        ("0", (False, True, False, None)),
        ("1", (False, False, True, 1)),
        ("255", (False, False, True, 255)),
    ],
)
async def test_the_end_of_the_address_says_what(
    house: House, client: httpx.AsyncClient, path: str, said: str, noted: tuple[bool, bool, bool, int | None]
) -> None:
    assert (await client.get(f"{path}/{said}")).status_code == 200
    found = await heard(house)
    assert found is not None
    instants = (found.last_start_at, found.last_success_at, found.last_fail_at)
    assert (*(at is not None for at in instants), found.exit_code) == noted


@pytest.mark.parametrize("end", ["/done", "/256", "/-1", "x", "x/fail"])
async def test_what_is_not_known_is_not_found(
    house: House, client: httpx.AsyncClient, path: str, end: str
) -> None:
    assert (await client.post(path + end)).status_code == 404
    assert await heard(house) is None


async def test_a_strange_token_is_not_found(client: httpx.AsyncClient) -> None:
    assert (await client.get("/heartbeat/abcdefghijkl.AAAAAAAAAAAAAAAAAAAAAA")).status_code == 404


async def test_other_methods_are_refused(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.delete(path)).status_code == 405


async def test_an_operator_pauses_resumes_and_asks_for_a_check_and_an_agent_does_not(
    house: House, client: httpx.AsyncClient, now: datetime
) -> None:
    id = declare(house.db, ["AES"], [JOB], now=now)["AES/job"].id
    hashed = accounts.hash_password("correct horse battery")
    for role, status in ((Role.AGENT, 403), (Role.OPERATOR, 303)):
        user = house.db.run_now(accounts.add_user, role.value, role.value, role, hashed, now=now)
        lifetime = timedelta(hours=1)
        token = house.db.run_now(accounts.start_session, user.id, now=clock.now(), lifetime=lifetime)
        who = house.db.read_now(accounts.signed_in, token, now=clock.now())
        assert who is not None
        client.cookies.set(COOKIE, token)
        for act in ("recheck", "pause", "resume"):
            answer = await client.post(f"/console/monitors/{id}/{act}", data={"csrf": who.csrf})
            assert answer.status_code == status
            if act == "pause" and status == 303:
                assert answer.headers["location"] == "/console/services/AES?done=pause"
                again = await client.post(f"/console/monitors/{id}/recheck", data={"csrf": who.csrf})
                assert again.status_code == 409
    assert who is not None
    for wrong in (f"{id}/explode", "nosuchmonito/pause"):
        answer = await client.post(f"/console/monitors/{wrong}", data={"csrf": who.csrf})
        assert answer.status_code == 404
    done = house.db.read_now(audit.entries, action="monitor")
    assert [(each.actor, each.action) for each in reversed(done)] == [
        ("operator", "monitor.recheck-asked"),
        ("operator", "monitor.paused"),
        ("operator", "monitor.resumed"),
    ]
    row = house.db.read_now(lambda session: session.get_one(Monitor, id))
    assert row.paused_at is None
    assert row.recheck_at is not None


@pytest.mark.parametrize(("group", "status"), [("transit", 303), ("excise", 403)])
async def test_an_operator_of_a_group_of_services_asks_of_its_monitors_alone(
    house: House, client: httpx.AsyncClient, now: datetime, group: str, status: int
) -> None:
    id = declare(house.db, ["AES"], [JOB], now=now)["AES/job"].id
    user = house.db.run_now(accounts.add_user, "eva", "Eva", Role.VIEWER, "no password", now=now)
    house.db.run_now(accounts.set_group_roles, user.id, {group: Role.OPERATOR}, by="boss", now=now)
    lifetime = timedelta(hours=1)
    token = house.db.run_now(accounts.start_session, user.id, now=clock.now(), lifetime=lifetime)
    who = house.db.read_now(accounts.signed_in, token, now=clock.now())
    assert who is not None
    client.cookies.set(COOKIE, token)
    answer = await client.post(f"/console/monitors/{id}/pause", data={"csrf": who.csrf})
    assert answer.status_code == status
    row = house.db.read_now(lambda session: session.get_one(Monitor, id))
    assert (row.paused_at is not None) == (status == 303)
