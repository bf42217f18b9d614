"""The demo's settings, and what its world gives to the product."""

import tomllib
from datetime import datetime, timedelta
from pathlib import Path

import aiosmtplib
import pytest
from sqlalchemy import select

import monitors.catalogue
from monitors.tables import RollupDay, RollupHour
from notifiers.tables import Subscriber
from statuspage.demo.mailbox import list_mails
from statuspage.demo.world import SETTINGS_FILE, World, populate, settings
from statuspage.incidents import catalogue
from statuspage.incidents.rules import Impact
from statuspage.incidents.snapshots import SnapshotBuilder
from statuspage.kernel import config
from statuspage.kernel.db import Database
from statuspage.kernel.errors import Invalid
from tickets.tables import Ticket


def test_the_settings_point_at_the_demo_itself(tmp_path: Path) -> None:
    made = settings(tmp_path, 8123, 2525)
    assert made.server.base_url == "http://127.0.0.1:8123"
    assert made.mail.relay == "smtp://127.0.0.1:2525"
    assert made.data.dir == str(tmp_path.resolve())
    assert made.incidents.reopen_window == timedelta(seconds=10)
    assert made.security.allow_networks == ("127.0.0.0/8",)


def test_other_commands_read_the_same_settings_from_the_file(tmp_path: Path) -> None:
    made = settings(tmp_path, 8000, 25)
    assert config.load(tmp_path / SETTINGS_FILE) == made


def test_a_bad_value_in_the_environment_stops_the_demo_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATUSPAGE_PAGE__TIME_ZONE", "Mars/Olympus")
    with pytest.raises(Invalid, match=r"page\.time_zone"):
        settings(tmp_path, 8000, 25)


async def test_a_started_world_has_a_relay_that_takes_mail_and_a_filled_catalogue(tmp_path: Path) -> None:
    world = World(tmp_path, 8000)
    await world.start()
    port = int(world.settings.mail.relay.rpartition(":")[2])
    await aiosmtplib.send(
        "Subject: x\r\n\r\ny\r\n",
        sender="a@example.org",
        recipients=["b@example.org"],
        hostname="127.0.0.1",
        port=port,
    )
    assert list_mails(tmp_path / "mail", offset=0, limit=9)[1] == 1
    urls = [m["spec"]["url"] for m in tomllib.loads(world.catalogue)["monitors"] if m["kind"] == "http"]
    assert all(url.startswith("https://127.0.1.") for url in urls)
    await world.stop()


async def test_a_world_can_be_started_again_on_its_directory(tmp_path: Path) -> None:
    for _ in range(2):
        world = World(tmp_path, 8000)
        await world.start()
        await world.stop()


def test_port_0_is_made_a_real_one_before_anything_is_written(tmp_path: Path) -> None:
    assert World(tmp_path, 0).port > 1024


async def test_a_populated_demo_is_green_and_full_and_stays_as_it_is(
    tmp_path: Path, sqlite_db: Database, now: datetime
) -> None:
    world = World(tmp_path, 8000)
    await world.start()
    await world.stop()
    declared = catalogue.parse(world.catalogue, where="catalogue.toml")
    checked = monitors.catalogue.parse_monitors(declared.monitors, "catalogue.toml")
    sqlite_db.run_now(catalogue.apply, declared, now=now)
    sqlite_db.run_now(monitors.catalogue.apply, checked, now=now)
    assert sqlite_db.run_now(populate, world.settings, now=now)
    assert not sqlite_db.run_now(populate, world.settings, now=now)
    builder = SnapshotBuilder(world.settings.zone, counts_maintenance=False)
    page = sqlite_db.read_now(builder.build, now=now)
    assert page.indicator == Impact.NONE
    for column in (RollupDay.monitor_id, RollupHour.monitor_id, Subscriber.id, Ticket.id):
        assert (
            sqlite_db.read_now(lambda session, some: session.scalar(some), select(column).limit(1))
            is not None
        )
