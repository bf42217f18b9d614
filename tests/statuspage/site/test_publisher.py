"""From a commit to new bytes and live messages."""

import asyncio
from typing import Any

import msgspec
import pytest

from statuspage.incidents import catalogue, incidents
from statuspage.incidents.rules import ServiceStatus
from statuspage.incidents.snapshot import Text
from statuspage.kernel import clock
from statuspage.kernel.house import House
from statuspage.site.live import Live
from statuspage.site.outputs import Front
from statuspage.site.publisher import Publisher
from tests.statuspage.incidents.conftest import CATALOGUE

NEW = incidents.NewIncident(
    Text("NCTS2 stoi", "NCTS2 stands still"), Text("x", "x"), {"NCTS2": ServiceStatus.MAJOR_OUTAGE}
)


class Heard(Live):
    """A live feed that remembers what it was told to tell."""

    def __init__(self, house: House) -> None:
        super().__init__(house.settings)
        self.messages: list[dict[str, Any]] = []
        self.publications = 0

    def publish(self, messages: Any, snapshot: bytes) -> None:
        super().publish(messages, snapshot)
        self.publications += 1
        self.messages += [msgspec.json.decode(text) for _, text in messages]


async def beyond(*_: object) -> None:
    raise AssertionError("not asked")


@pytest.fixture
def publisher(house: House) -> tuple[Publisher, Front, Heard]:
    house.db.run_now(catalogue.apply, catalogue.parse(CATALOGUE, where="c"), now=clock.now())
    front, live = Front(beyond, default_language="pl"), Heard(house)
    return Publisher(house, front, live), front, live


def page_of(front: Front) -> str:
    assert front.edition is not None
    prepared = front.edition.find("/en/")
    assert prepared is not None
    return prepared.body.decode()


async def test_a_commit_wakes_it_and_the_page_and_live_clients_get_the_news(
    house: House, publisher: tuple[Publisher, Front, Heard]
) -> None:
    running, front, live = publisher
    await running.refresh()
    assert "NCTS2 stands still" not in page_of(front)
    task = asyncio.create_task(running.run())
    await house.db.run(incidents.open_incident, NEW, by="officer", now=clock.now())
    async with asyncio.timeout(20):
        while not live.messages:
            await asyncio.sleep(0.01)
    task.cancel()
    assert "NCTS2 stands still" in page_of(front)
    assert [message["type"] for message in live.messages] == ["component.updated", "incident.created"]
    assert [message["seq"] for message in live.messages] == [1, 2]


async def test_a_commit_that_changes_nothing_public_makes_no_new_edition(
    house: House, publisher: tuple[Publisher, Front, Heard]
) -> None:
    running, front, live = publisher
    await running.refresh()
    edition = front.edition
    await running.refresh()
    assert front.edition is edition
    assert live.publications == 1
    await running.refresh(force=True)
    assert front.edition is not edition


async def test_after_a_restart_old_events_are_not_told_again(
    house: House, publisher: tuple[Publisher, Front, Heard]
) -> None:
    house.db.run_now(incidents.open_incident, NEW, by="officer", now=clock.now())
    running, _, live = publisher
    await running.refresh()
    assert live.messages == []
