"""The notifiers' own fixtures."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from statuspage.kernel.db import Database
from statuspage.kernel.house import House
from tests.notifiers.scenes import house_of


@pytest.fixture
def house(db: Database, fast_dir: Path) -> Iterator[House]:
    """A house that knows where its readers and its relay are."""
    with house_of(db, fast_dir) as made:
        yield made
