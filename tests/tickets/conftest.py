"""A furnished help desk, on each kind of database."""

from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta

import httpx
import pytest

from statuspage.kernel import clock
from statuspage.kernel.accounts import Role
from statuspage.kernel.config import Settings
from statuspage.kernel.db import Database
from statuspage.kernel.house import House
from statuspage.kernel.i18n import Catalogues
from statuspage.kernel.net import Network
from statuspage.kernel.security import Signer
from tests.tickets.browser import Browser, desk_app
from tests.tickets.scene import Scene


@pytest.fixture
def scene(house: House, now: datetime) -> Scene:
    """Services are there; nobody has asked anything yet."""
    found = Scene(house, now)
    found.furnish()
    return found


@pytest.fixture
def sqlite_scene(settings: Settings, sqlite_db: Database) -> Iterator[Scene]:
    """The same on SQLite alone, where the kind of database makes no difference. The story begins now."""
    network = Network(settings.security.allow_networks)
    house = House(settings, sqlite_db, network, Signer("k" * 32), Catalogues())
    found = Scene(house, clock.now() - timedelta(minutes=10))
    found.furnish()
    yield found
    network.close()


@pytest.fixture
async def browser(sqlite_scene: Scene) -> AsyncIterator[Browser]:
    """A customer's browser on a small application that has the help desk alone."""
    app = desk_app(sqlite_scene.house)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://desk.test") as client:
        yield Browser(client)


@pytest.fixture
async def agent(sqlite_scene: Scene, browser: Browser) -> Browser:
    """The same browser after an agent has signed in."""
    await browser.sign_in(sqlite_scene.house, Role.AGENT)
    return browser
