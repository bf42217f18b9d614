"""A furnished help desk, on each kind of database."""

from datetime import datetime

import pytest

from statuspage.kernel.house import House
from tests.tickets.scene import Scene


@pytest.fixture
def scene(house: House, now: datetime) -> Scene:
    """Services are there; nobody has asked anything yet."""
    found = Scene(house, now)
    found.furnish()
    return found
