"""The one door to the database: `await db.run(verb, …)` opens a transaction, runs the verb, commits, wakes.

Verbs are plain functions `verb(session, …)`: they never commit, never await and never read the clock.
SQLite: one writer and a few readers on threads, WAL, synchronous=FULL. PostgreSQL: a pool.
"""

import asyncio
import secrets
import sqlite3
import string
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, ClassVar, Concatenate, ParamSpec, TypeVar

import structlog
from sqlalchemy import (
    BigInteger,
    DateTime,
    Dialect,
    Engine,
    Integer,
    MetaData,
    String,
    create_engine,
    event,
    text,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.types import TypeDecorator

from statuspage.kernel.errors import Unavailable

P = ParamSpec("P")
T = TypeVar("T")
Verb = Callable[Concatenate[Session, P], T]

log = structlog.get_logger(__name__)

_ALPHABET = string.ascii_lowercase + string.digits
_ATTEMPTS = 5
_BUSY_TIMEOUT_MS = 5000
_WAL_ATTEMPTS = 10
_POLL_S = 0.1
_DISK_FULL = "53100"  # PostgreSQL, appendix A
CHANNEL = "statuspage"


# An id that outlives two billion rows. SQLite's own integer key is as wide already.
BigId = BigInteger().with_variant(Integer, "sqlite")


class UtcDateTime(TypeDecorator[datetime]):
    """An instant. Refuses naive values on the way in and gives aware UTC on the way out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive datetime is no instant; give it a zone")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """All tables of all rooms stand on this metadata."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {datetime: UtcDateTime, str: String}


def new_id() -> str:
    """A public id: 12 lower-case letters and digits (62 bits)."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(12))


class Database:
    """Units of work on one database. Safe to share between tasks of one event loop."""

    def __init__(self, url: str, *, readers: int = 4, busy_timeout_ms: int = _BUSY_TIMEOUT_MS) -> None:
        self.url = url
        self.is_sqlite = make_url(url).get_backend_name() == "sqlite"
        if self.is_sqlite:
            self._writer = _sqlite_engine(url, busy_timeout_ms, pool_size=1, begin="BEGIN IMMEDIATE")
            self._reader = _sqlite_engine(
                url, busy_timeout_ms, pool_size=readers, begin="BEGIN", query_only=True
            )
        else:
            self._writer = create_engine(url, pool_size=readers + 4, pool_pre_ping=True)
            self._reader = self._writer.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
        self._write_threads = ThreadPoolExecutor(1 if self.is_sqlite else 4, "db-write")
        self._read_threads = ThreadPoolExecutor(readers, "db-read")
        self._listeners: list[Callable[[], None]] = []

    def on_commit(self, listener: Callable[[], None]) -> None:
        """Call `listener` in the event loop after every commit; with `watch`, of other processes too."""
        self._listeners.append(listener)

    async def run(self, verb: Verb[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The verb's result, committed. Raises Unavailable when the database cannot be written for now."""
        loop = asyncio.get_running_loop()
        result = await loop.run_in_executor(self._write_threads, lambda: self.run_now(verb, *args, **kwargs))
        self.wake()
        return result

    async def read(self, verb: Verb[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The verb's result from a consistent view that cannot be written to."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._read_threads, lambda: self.read_now(verb, *args, **kwargs))

    def run_now(self, verb: Verb[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`run` for callers without an event loop: the CLI and tests."""
        return self._attempt(self._writer, verb, *args, **kwargs)

    def read_now(self, verb: Verb[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`read` for callers without an event loop."""
        return self._attempt(self._reader, verb, *args, **kwargs)

    def _attempt(self, engine: Engine, verb: Verb[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Try a unit of work a bounded number of times: a failed one left nothing behind."""
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                with Session(engine, expire_on_commit=False) as session:
                    result = verb(session, *args, **kwargs)
                    if session.info.get("notify") and not self.is_sqlite:
                        session.execute(text(f"NOTIFY {CHANNEL}"))
                    session.commit()
                    return result
            except DBAPIError as error:
                if not (passes := _passes(error)) and not _is_full(error):
                    raise
                log.warning("database.failed", attempt=attempt, reason=str(error.orig))
                if not passes or attempt == _ATTEMPTS:
                    raise Unavailable(f"the database cannot be used for now: {error.orig}") from error
                time.sleep(0.05 * 2**attempt)
        raise AssertionError("unreachable")

    def wake(self) -> None:
        """Tell every listener that something may have changed."""
        for listener in self._listeners:
            listener()

    async def watch(self) -> None:
        """Forever: notice the commits of other processes and wake. Within 200 ms on SQLite."""
        if self.is_sqlite:
            await self._watch_data_version()
        else:
            await self._watch_notifications()

    async def _watch_data_version(self) -> None:
        path = make_url(self.url).database or ""
        with _closing(sqlite3.connect(path, isolation_level=None)) as connection:
            seen = None
            while True:
                (version,) = connection.execute("PRAGMA data_version").fetchone()
                if version != seen:  # the first time, too: whatever happened while nobody watched
                    self.wake()
                seen = version
                await asyncio.sleep(_POLL_S)

    async def _watch_notifications(self) -> None:
        import psycopg  # only where PostgreSQL is used: the import costs 60 ms

        dsn = make_url(self.url).set(drivername="postgresql").render_as_string(hide_password=False)
        loop = asyncio.get_running_loop()
        stopped = threading.Event()

        def listen() -> None:
            while not stopped.is_set():
                try:
                    with psycopg.connect(dsn, autocommit=True) as connection:
                        connection.execute(f"LISTEN {CHANNEL}")
                        loop.call_soon_threadsafe(self.wake)  # whatever happened while nobody listened
                        while not stopped.is_set():
                            for _ in connection.notifies(timeout=0.5, stop_after=1):
                                loop.call_soon_threadsafe(self.wake)
                except psycopg.OperationalError as error:
                    log.warning("database.listen_lost", reason=str(error))
                    stopped.wait(1)

        try:
            await asyncio.to_thread(listen)
        finally:
            stopped.set()

    def close(self) -> None:
        """Let running units end, then close every connection."""
        self._write_threads.shutdown()
        self._read_threads.shutdown()
        self._writer.dispose()
        self._reader.dispose()

    @property
    def engine(self) -> Engine:
        """For migrations only."""
        return self._writer


def _sqlite_engine(
    url: str, busy_timeout_ms: int, *, pool_size: int, begin: str, query_only: bool = False
) -> Engine:
    engine = create_engine(url, pool_size=pool_size, max_overflow=0, pool_timeout=30)

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None  # the driver's own BEGIN comes too late for BEGIN IMMEDIATE
        connection.execute(f"PRAGMA busy_timeout = {busy_timeout_ms}")
        _use_wal(connection)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        if query_only:
            connection.execute("PRAGMA query_only = ON")
            connection.execute("PRAGMA cache_size = -512")  # kB each; the system caches the file, too

    @event.listens_for(engine, "begin")
    def start(connection: Any) -> None:
        connection.exec_driver_sql(begin)

    return engine


def _use_wal(connection: sqlite3.Connection) -> None:
    """The first to open a new database turns it over, for which SQLite waits for nobody: try again."""
    for attempt in range(1, _WAL_ATTEMPTS + 1):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError:
            if attempt == _WAL_ATTEMPTS:
                raise
            time.sleep(0.02 * attempt)


def _passes(error: DBAPIError) -> bool:
    """Whether trying again may help: locked, restarted, deadlocked; not with a full disk or a broken rule."""
    if error.connection_invalidated:
        return True
    if isinstance(error.orig, sqlite3.Error):
        return _sqlite_code(error.orig) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
    return isinstance(error, OperationalError) and not _is_full(error)


def _is_full(error: DBAPIError) -> bool:
    """Whether there is no room left: nothing to try again, and no reason to give up for good."""
    if isinstance(error.orig, sqlite3.Error):
        return _sqlite_code(error.orig) in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
    return getattr(error.orig, "sqlstate", None) == _DISK_FULL


def _sqlite_code(error: sqlite3.Error) -> int:
    """The primary result code; the rest of the number says where it happened."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF


@contextmanager
def _closing(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    try:
        yield connection
    finally:
        connection.close()
