"""Abuse case 28 for the whole server: `kill -9` between publishing and sending, and at any other moment."""

import asyncio
import random
from collections import Counter, defaultdict
from functools import partial
from pathlib import Path

import httpx
import pytest
from sqlalchemy.orm import Session

from notifiers import ledger
from notifiers.dispatcher import IN_FLIGHT
from notifiers.rules import DeliveryState
from statuspage.incidents.incidents import NewIncident, open_incident
from statuspage.incidents.rules import ServiceStatus
from statuspage.incidents.snapshot import Text
from statuspage.kernel import clock
from statuspage.kernel.db import Database
from tests.notifiers.relay import Relay, running
from tests.notifiers.scenes import add_subscribers, fill_catalogue
from tests.notifiers.test_dispatcher import has_accepted, is_quiet, until
from tests.server_process import Server

CROWD = 4 * IN_FLIGHT  # so many that repeating what was not in flight would show
EVERYWHERE_S = 1.5  # from nothing to a server that sends, and beyond


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def place(request: pytest.FixtureRequest) -> str | None:
    """The database's URL, or None for SQLite in the data directory."""
    if request.param == "sqlite":
        return None
    name = "killed"
    server = request.getfixturevalue("postgres")
    server.create(name)
    request.addfinalizer(lambda: server.drop(name))  # noqa: PT021
    return str(server.url(name))


@pytest.mark.slow
async def test_after_kills_of_the_server_everybody_was_told_and_only_what_was_in_flight_is_repeated(
    place: str | None, fast_dir: Path
) -> None:
    moments = random.Random(20261124)
    async with running(Relay()) as relay:
        server = Server(fast_dir, relay_port=relay.port, database_url=place)
        db = server.open_database()
        db.run_now(prepare)
        relay.may_answer.clear()
        server.start()
        await until(partial(shows, server, ""))
        await db.run(publish)
        await until(partial(shows, server, "The gateway does not answer"))
        server.kill()  # public already, and nobody has been sent a mail
        assert relay.accepted == []
        relay.may_answer.set()
        kills = 1
        for share in (0.0, 0.15, 0.35, 0.7):
            await start(server, db)
            if share:
                await until(partial(has_accepted, relay, int(share * CROWD)))
            await asyncio.sleep(moments.uniform(0, EVERYWHERE_S if not share else 0.05))
            server.kill()
            kills += 1
        await start(server, db)
        await until(lambda: db.read(is_quiet), seconds=40)
        server.kill()
        assert db.read_now(ledger.stats)[DeliveryState.SENT] == CROWD
        db.close()
    told = Counter(relay.recipients)
    assert len(told) == CROWD, "somebody was not told"
    assert sum(told.values()) - CROWD <= (kills - 1) * IN_FLIGHT
    assert max(told.values()) <= kills
    ids = defaultdict(set)
    for one in relay.accepted:
        ids[one.recipient].add(str(one.message["Message-ID"]))
    assert all(len(found) == 1 for found in ids.values()), "a repeat has another Message-ID"
    assert len({next(iter(found)) for found in ids.values()}) == CROWD


def prepare(session: Session) -> None:
    fill_catalogue(session, now=clock.now())
    add_subscribers(session, CROWD, now=clock.now())


def publish(session: Session) -> None:
    new = NewIncident(
        name=Text("Brama nie odpowiada", "The gateway does not answer"),
        text=Text("Ustalamy przyczynę.", "We are looking for the cause."),
        services={"PUESC": ServiceStatus.MAJOR_OUTAGE},
    )
    open_incident(session, new, by="cli:ewa", now=clock.now())


async def start(server: Server, db: Database) -> None:
    """Thirty seconds after the death of the one before; on SQLite the start frees its leases by itself."""
    if not db.is_sqlite:
        await db.run(ledger.free_predecessor, now=clock.now())
    server.start()


async def shows(server: Server, text: str) -> bool:
    try:
        async with httpx.AsyncClient() as client:
            return text in (await client.get(f"{server.url}/en/")).text
    except httpx.TransportError:
        return False
