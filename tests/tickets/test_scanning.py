"""Files are held until a real clamd has seen them, and withheld for good when it finds something."""

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from statuspage.kernel import config
from statuspage.kernel.errors import Conflict, NotFound, Unavailable
from statuspage.kernel.house import House
from tests.tickets.clamd import EICAR, Clamd
from tests.tickets.scene import Scene
from tickets import attachments, following, scanning, storage
from tickets.attachments import AttachmentState, Sent
from tickets.requests import Filed


@pytest.fixture(scope="module")
def clamd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clamd]:
    running = Clamd(tmp_path_factory.mktemp("clamd"))
    yield running
    running.stop()


def scanned(house: House, address: str) -> House:
    """The same house, whose files are scanned."""
    settings = replace(house.settings, tickets=config.Tickets(clamd=address))
    return replace(house, settings=settings)


def send(house: House, scene: Scene, filed: Filed, content: bytes) -> str:
    kept = storage.keep(io.BytesIO(content), house.settings.data.dir, at_most=1_000_000)
    sent = [Sent("report.txt", kept)]
    house.db.run_now(following.write, filed.view_key, "", sent, house=house, now=scene.now)
    listed = house.db.read_now(attachments.listed, filed.ticket_id)
    return max(listed, key=lambda file: file.message_id or 0).id


async def test_a_file_is_held_until_it_was_scanned_and_a_virus_is_never_given_out(
    sqlite_scene: Scene, clamd: Clamd
) -> None:
    house = scanned(sqlite_scene.house, clamd.address)
    filed = sqlite_scene.file()
    good, bad = (send(house, sqlite_scene, filed, content) for content in (b"a good file", EICAR))
    for id in (good, bad):
        with pytest.raises(Conflict, match="scanned"):
            house.db.read_now(attachments.fetched, filed.ticket_id, id)
    assert await scanning.Scanner(house).scan_some(clamd.address)
    assert not await scanning.Scanner(house).scan_some(clamd.address)
    assert house.db.read_now(attachments.fetched, filed.ticket_id, good).state == AttachmentState.CLEAN
    with pytest.raises(NotFound):
        house.db.read_now(attachments.fetched, filed.ticket_id, bad)
    states = {file.id: file.state for file in house.db.read_now(attachments.listed, filed.ticket_id)}
    assert states == {good: AttachmentState.CLEAN, bad: AttachmentState.INFECTED}


async def test_while_clamd_is_away_files_stay_held(sqlite_scene: Scene, tmp_path: Path) -> None:
    address = f"unix://{tmp_path / 'nobody.sock'}"
    house = scanned(sqlite_scene.house, address)
    filed = sqlite_scene.file()
    id = send(house, sqlite_scene, filed, b"a file")
    with pytest.raises(Unavailable, match="clamd"):
        await scanning.Scanner(house).scan_some(address)
    with pytest.raises(Conflict):
        house.db.read_now(attachments.fetched, filed.ticket_id, id)


async def test_a_content_that_is_lost_holds_up_nothing(sqlite_scene: Scene, clamd: Clamd) -> None:
    house = scanned(sqlite_scene.house, clamd.address)
    filed = sqlite_scene.file()
    lost, good = (send(house, sqlite_scene, filed, content) for content in (b"lost", b"good"))
    digest = storage.keep(io.BytesIO(b"lost"), house.settings.data.dir, at_most=10).digest
    storage.place(digest, house.settings.data.dir).unlink()
    await scanning.Scanner(house).scan_some(clamd.address)
    states = {file.id: file.state for file in house.db.read_now(attachments.listed, filed.ticket_id)}
    assert states == {lost: AttachmentState.INFECTED, good: AttachmentState.CLEAN}


async def test_what_clamd_cannot_judge_is_not_clean(sqlite_scene: Scene, clamd: Clamd) -> None:
    """Longer than its limit: an error of clamd's is no verdict."""
    data_dir = sqlite_scene.house.settings.data.dir
    kept = storage.keep(io.BytesIO(b"\0" * 21_000_000), data_dir, at_most=30_000_000)
    with pytest.raises(Unavailable):
        await scanning.scan(clamd.address, kept.digest, data_dir)
