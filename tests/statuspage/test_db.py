"""The door to the database, on both kinds: what is refused, what is tried again, who is woken."""

import asyncio
import contextlib
import re
import resource
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, IntegrityError, StatementError
from sqlalchemy.orm import Session

from statuspage.kernel.accounts import Role, User, add_user
from statuspage.kernel.db import Database, new_id
from statuspage.kernel.errors import Invalid, Unavailable
from statuspage.kernel.events import Pending, emit, next_number
from tests.postgres import Postgres

DEADLINE_S = 20


def drawn(session: Session) -> int:
    """The last number drawn from the series of these tests."""
    found = session.execute(text("SELECT value FROM counters WHERE name = 'tests'"))
    return found.scalar_one_or_none() or 0


def draw(session: Session) -> int:
    return next_number(session, "tests")


def draw_and_fail(session: Session) -> None:
    draw(session)
    raise Invalid("tests", "changed its mind")


def file_of(db: Database) -> Path:
    return Path(make_url(db.url).database or "")


@contextmanager
def locked(db: Database) -> Iterator[sqlite3.Connection]:
    """Somebody else writes to the file and does not come to an end."""
    with closing(sqlite3.connect(file_of(db), isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield other


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not condition():
            await asyncio.sleep(0.01)


@asynccontextmanager
async def watched(db: Database) -> AsyncIterator[list[float]]:
    """When listeners were woken, from the first time on: the watch has begun."""
    wakes: list[float] = []
    db.on_commit(lambda: wakes.append(time.monotonic()))
    watching = asyncio.create_task(db.watch())
    await until(lambda: bool(wakes))
    yield wakes
    watching.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watching


def test_a_naive_datetime_is_refused(db: Database, now: datetime) -> None:
    with pytest.raises(StatementError, match="a naive datetime is no instant"):
        db.run_now(add_user, "anna", "Anna", Role.AGENT, "hash", now=now.replace(tzinfo=None))

    assert db.read_now(lambda session: session.scalars(select(User)).all()) == []


def test_an_instant_comes_back_as_the_same_instant_in_utc(db: Database) -> None:
    in_warsaw = datetime(2026, 7, 1, 12, 30, 15, 123456, tzinfo=ZoneInfo("Europe/Warsaw"))
    db.run_now(add_user, "anna", "Anna", Role.AGENT, "hash", now=in_warsaw)

    found = db.read_now(lambda session: session.scalars(select(User)).one())

    assert found.created_at == in_warsaw
    assert found.created_at.tzinfo is UTC
    assert found.disabled_at is None


def test_instants_are_compared_as_instants(db: Database) -> None:
    noon_in_warsaw = datetime(2026, 7, 1, 12, 0, tzinfo=ZoneInfo("Europe/Warsaw"))
    db.run_now(add_user, "anna", "Anna", Role.AGENT, "hash", now=datetime(2026, 7, 1, 10, 30, tzinfo=UTC))

    found = db.read_now(
        lambda session: session.scalars(select(User.login).where(User.created_at > noon_in_warsaw)).all()
    )

    assert found == ["anna"]


def test_a_failed_verb_leaves_nothing(db: Database) -> None:
    db.run_now(draw)

    with pytest.raises(Invalid, match="changed its mind"):
        db.run_now(draw_and_fail)

    assert db.read_now(drawn) == 1


def test_a_broken_rule_of_the_database_is_not_tried_again(db: Database) -> None:
    attempts = []

    def owe_for_no_event(session: Session) -> None:
        attempts.append(session)
        session.add(Pending(consumer="tickets", seq=99))
        session.flush()

    with pytest.raises(IntegrityError):
        db.run_now(owe_for_no_event)

    assert len(attempts) == 1


def test_a_mistake_in_a_statement_is_not_tried_again(db: Database) -> None:
    attempts = []

    def mistaken(session: Session) -> None:
        attempts.append(session)
        session.execute(text("SELECT nothing FROM nowhere"))

    with pytest.raises(DBAPIError, match="nowhere"):
        db.run_now(mistaken)

    assert len(attempts) == 1


def test_reading_cannot_write(db: Database) -> None:
    attempts = []

    def write(session: Session) -> None:
        attempts.append(session)
        draw(session)

    with pytest.raises(DBAPIError, match=r"readonly|read-only"):
        db.read_now(write)

    assert len(attempts) == 1
    assert db.read_now(drawn) == 0


def test_one_reading_sees_one_moment(db: Database) -> None:
    def read_twice(session: Session) -> tuple[int, int]:
        before = drawn(session)
        db.run_now(draw)
        session.expire_all()
        return before, drawn(session)

    assert db.read_now(read_twice) == (0, 0)
    assert db.read_now(drawn) == 1


async def test_concurrent_units_take_turns(db: Database) -> None:
    numbers = await asyncio.gather(*(db.run(draw) for _ in range(50)))

    assert sorted(numbers) == list(range(1, 51))


async def test_a_commit_wakes_and_a_failure_does_not(db: Database) -> None:
    woken: list[int] = []
    db.on_commit(lambda: woken.append(1))

    with pytest.raises(Invalid):
        await db.run(draw_and_fail)
    assert woken == []

    await db.run(draw)
    assert woken == [1]

    await db.read(drawn)
    assert woken == [1]


def test_a_lock_of_another_process_is_waited_for(sqlite_url: str) -> None:
    db = Database(sqlite_url, busy_timeout_ms=20)
    with locked(db) as other:
        release = threading.Timer(0.3, lambda: other.execute("COMMIT"))
        release.start()

        assert db.run_now(draw) == 1

        release.join()
    db.close()


def test_a_lock_that_stays_is_waited_for_so_long_and_no_longer(sqlite_url: str) -> None:
    db = Database(sqlite_url, busy_timeout_ms=20)
    with locked(db):
        with pytest.raises(Unavailable, match="database is locked"):
            db.run_now(draw)

        assert db.read_now(drawn) == 0, "a writer does not keep readers out"
    assert db.run_now(draw) == 1
    db.close()


def test_a_full_disk_is_our_own_fault_that_passes(sqlite_url: str) -> None:
    """A limit on the size of files stands for the disk: the write fails with the same errors."""
    db = Database(sqlite_url)
    db.run_now(draw)
    big = text("INSERT INTO counters VALUES (:name, 1)")
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_of(db).stat().st_size, unlimited[1]))
    try:
        with pytest.raises(Unavailable, match=r"full|I/O error"):
            db.run_now(lambda session: session.execute(big, {"name": "x" * 5_000_000}))
        assert db.read_now(drawn) == 1, "what is there can still be read"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
        signal.signal(signal.SIGXFSZ, before)

    assert db.run_now(draw) == 2, "it recovers without a restart"
    db.close()


async def test_a_commit_of_another_process_is_noticed_on_sqlite(sqlite_db: Database) -> None:
    async with watched(sqlite_db) as wakes:
        wakes.clear()
        program = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute(sys.argv[2]); c.commit()"
        statement = "INSERT INTO counters VALUES ('theirs', 1)"

        theirs = await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, file_of(sqlite_db), statement
        )
        assert await theirs.wait() == 0

        await until(lambda: bool(wakes))


@pytest.mark.postgres
async def test_an_event_of_another_process_is_noticed_on_postgresql(postgres_url: str, now: datetime) -> None:
    ours, theirs = Database(postgres_url), Database(postgres_url)
    async with watched(ours) as wakes:
        wakes.clear()

        theirs.run_now(emit, "component.updated", "abc", {}, at=now)

        await until(lambda: bool(wakes))
    ours.close()
    theirs.close()


async def test_what_happened_before_the_watch_began_is_noticed(db: Database, now: datetime) -> None:
    other = Database(db.url)
    other.run_now(emit, "component.updated", "abc", {}, at=now)
    other.close()

    async with watched(db) as wakes:
        assert wakes


@pytest.mark.postgres
def test_a_unit_that_the_server_cut_off_is_tried_again_whole(postgres: Postgres, postgres_url: str) -> None:
    db = Database(postgres_url)
    attempts = []

    def be_cut_off_once(session: Session) -> int:
        attempts.append(session)
        number = draw(session)
        if len(attempts) == 1:
            own = session.execute(text("SELECT pg_backend_pid()")).scalar_one()
            postgres.execute(f"SELECT pg_terminate_backend({own})")
        session.execute(text("SELECT 1"))
        return number

    assert db.run_now(be_cut_off_once) == 1
    assert len(attempts) == 2
    assert db.read_now(drawn) == 1
    db.close()


@pytest.mark.postgres
def test_a_restarted_postgresql_is_used_again(postgres: Postgres, postgres_url: str) -> None:
    db = Database(postgres_url)
    db.run_now(draw)
    db.read_now(drawn)

    postgres.restart()

    assert db.read_now(drawn) == 1
    assert db.run_now(draw) == 2
    db.close()


@pytest.mark.postgres
def test_a_postgresql_that_is_gone_is_unavailable_until_it_is_back(
    postgres: Postgres, postgres_url: str
) -> None:
    db = Database(postgres_url)
    db.run_now(draw)

    postgres.stop()
    try:
        with pytest.raises(Unavailable):
            db.run_now(draw)
    finally:
        postgres.start()

    assert db.run_now(draw) == 2
    db.close()


@pytest.mark.postgres
async def test_the_watch_outlives_a_restart(postgres: Postgres, postgres_url: str, now: datetime) -> None:
    db = Database(postgres_url)
    async with watched(db) as wakes:
        wakes.clear()
        postgres.restart()  # from this thread: the server dies with the thread that started it
        await until(lambda: bool(wakes))  # it listens again, and looks what it may have missed
        wakes.clear()

        other = Database(postgres_url)
        other.run_now(emit, "component.updated", "abc", {}, at=now)
        other.close()

        await until(lambda: bool(wakes))
    db.close()


def test_public_ids_are_twelve_letters_and_digits_and_differ() -> None:
    ids = {new_id() for _ in range(1000)}

    assert len(ids) == 1000
    assert all(re.fullmatch("[a-z0-9]{12}", found) for found in ids)
