"""The static copy that is kept current beside the server."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from statuspage.incidents import catalogue, incidents
from statuspage.kernel import clock
from statuspage.kernel.config import Publish
from statuspage.kernel.house import House
from statuspage.kernel.prepared import SHORT, Prepared, prepare
from statuspage.site.copies import Copies
from statuspage.site.live import Live
from statuspage.site.outputs import Front
from statuspage.site.publisher import Publisher
from tests.statuspage.incidents.conftest import CATALOGUE
from tests.statuspage.site.test_publisher import NEW, beyond, page_of


def faults() -> float:
    return REGISTRY.get_sample_value("statuspage_copy_faults_total") or 0.0


async def a_graph(_house: House) -> dict[str, Prepared]:
    return {"services/NCTS2/latency.svg": prepare(b"<svg/>", "image/svg+xml", cache=SHORT)}


async def test_what_other_rooms_show_is_written_now_and_then_and_stands_meanwhile(
    house: House, tmp_path: Path
) -> None:
    house.db.run_now(catalogue.apply, catalogue.parse(CATALOGUE, where="c"), now=clock.now())
    settings = replace(house.settings, publish=Publish(str(tmp_path / "copy")))
    front, asked = Front(beyond, default_language="pl"), 0

    async def graphs(copied: House) -> dict[str, Prepared]:
        nonlocal asked
        asked += 1
        assert copied.is_copy
        return await a_graph(copied)

    copies = Copies(replace(house, settings=settings), front, graphs)
    await Publisher(house, front, Live(house.settings), on_edition=copies.wake).refresh()
    for _ in range(3):
        assert await copies.write()
        assert (tmp_path / "copy/services/NCTS2/latency.svg").read_bytes() == b"<svg/>"
    assert asked == 1


async def test_a_change_reaches_the_copy_by_itself(house: House, tmp_path: Path) -> None:
    house.db.run_now(catalogue.apply, catalogue.parse(CATALOGUE, where="c"), now=clock.now())
    settings = replace(house.settings, publish=Publish(str(tmp_path / "copy"), timedelta(milliseconds=10)))
    front = Front(beyond, default_language="pl")
    copies = Copies(replace(house, settings=settings), front, a_graph)
    publisher = Publisher(house, front, Live(house.settings), on_edition=copies.wake)
    tasks = [asyncio.create_task(copies.run()), asyncio.create_task(publisher.run())]
    await publisher.refresh()
    await house.db.run(incidents.open_incident, NEW, by="officer", now=clock.now())
    page = tmp_path / "copy/en/index.html"
    async with asyncio.timeout(30):
        while not page.exists() or "NCTS2 stands still" not in page.read_text():
            await asyncio.sleep(0.02)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_fault_is_counted_disturbs_nothing_and_passes(
    house: House, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    house.db.run_now(catalogue.apply, catalogue.parse(CATALOGUE, where="c"), now=clock.now())
    place = tmp_path / "copy"
    place.write_text("a file stands where the directory should be")
    settings = replace(house.settings, publish=Publish(str(place)))
    front = Front(beyond, default_language="pl")
    copies = Copies(replace(house, settings=settings), front, a_graph)
    await Publisher(house, front, Live(house.settings), on_edition=copies.wake).refresh()
    before = faults()
    assert not await copies.write()
    assert faults() == before + 1
    assert page_of(front)
    place.unlink()
    assert await copies.write()
    assert (place / "index.html").exists()


async def test_without_a_directory_nothing_is_written(house: House) -> None:
    front = Front(beyond, default_language="pl")
    assert not await Copies(house, front, a_graph).write()
