"""What every room's tests stand on: a fresh database of each kind, a fixed instant, a house."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import hypothesis
import pytest

from statuspage.kernel import logs
from statuspage.kernel.config import Data, Security, Settings
from statuspage.kernel.db import Database
from statuspage.kernel.house import House
from statuspage.kernel.i18n import Catalogues
from statuspage.kernel.net import Network
from statuspage.kernel.security import Signer
from tests.postgres import Postgres
from tests.schema import metadata

SLOW_MARKERS = ("postgres", "browser", "slow")
TEMPLATE = "statuspage_template"
_numbers = count(1)

# How long an example takes says more about the machine's other work than about the code.
# CI draws the same examples each time; elsewhere each run looks further.
hypothesis.settings.register_profile("house", deadline=None, derandomize="CI" in os.environ)
hypothesis.settings.load_profile("house")


def _memory() -> str | None:
    """Where files cost no disk, if the machine has such a place."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What fails fast runs first, and one browser at a time is enough for two cores."""
    items.sort(key=lambda item: sum(item.get_closest_marker(name) is not None for name in SLOW_MARKERS))
    for item in items:
        if item.get_closest_marker("browser"):
            item.add_marker(pytest.mark.xdist_group("browser"))


@pytest.fixture(autouse=True)
def plain_logs() -> None:
    """As the program logs, into what pytest captures for this test."""
    logs.configure(sys.stderr)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One PostgreSQL for the session (for each worker of pytest-xdist), with the schema in a template."""
    directory = Path(tempfile.mkdtemp(prefix="statuspage-pg-", dir=_memory()))
    server = Postgres(directory)
    try:
        server.initialise()
        server.start()
        server.create(TEMPLATE)
        _create_tables(server.url(TEMPLATE))
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with all tables and no rows."""
    path = tmp_path_factory.mktemp("template") / "statuspage.db"
    _create_tables(f"sqlite:///{path}")
    return path


def _create_tables(url: str) -> None:
    database = Database(url)
    metadata.create_all(database.engine)
    database.close()


@pytest.fixture
def fast_dir(tmp_path: Path) -> Iterator[Path]:
    """A fresh directory in memory where there is one."""
    if (memory := _memory()) is None:
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="statuspage-", dir=memory) as directory:
        yield Path(directory)


@pytest.fixture
def sqlite_url(sqlite_template: Path, fast_dir: Path) -> str:
    """The URL of a fresh SQLite database with all tables."""
    shutil.copy(sqlite_template, fast_dir / "statuspage.db")
    return f"sqlite:///{fast_dir / 'statuspage.db'}"


@pytest.fixture
def postgres_url(postgres: Postgres) -> Iterator[str]:
    """The URL of a fresh PostgreSQL database with all tables."""
    name = f"test_{next(_numbers)}"
    postgres.create(name, template=TEMPLATE)
    yield postgres.url(name)
    postgres.drop(name)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest) -> str:
    """The URL of a fresh database with all tables, once of each kind."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def db(database_url: str) -> Iterator[Database]:
    """A fresh database with all tables, once of each kind."""
    database = Database(database_url)
    yield database
    database.close()


@pytest.fixture
def sqlite_db(sqlite_url: str) -> Iterator[Database]:
    """A fresh SQLite database, where the kind makes no difference."""
    database = Database(sqlite_url)
    yield database
    database.close()


@pytest.fixture
def now() -> datetime:
    """A working day's morning in winter: 06:10 in Warsaw, UTC+1."""
    return datetime(2026, 11, 23, 5, 10, tzinfo=UTC)


@pytest.fixture
def settings(fast_dir: Path) -> Settings:
    """The defaults, with loopback open to probes and webhooks and a data directory of the test's own."""
    return Settings(
        data=Data(dir=str(fast_dir)),
        security=Security(
            secret="a secret of the tests, long enough", allow_networks=("127.0.0.0/8", "::1/128")
        ),
    )


@pytest.fixture
def house(settings: Settings, db: Database) -> Iterator[House]:
    """What the composition root gives every room."""
    secret = settings.security.secret or ""
    network = Network(settings.security.allow_networks)
    yield House(settings, db, network, Signer(secret), Catalogues())
    network.close()
