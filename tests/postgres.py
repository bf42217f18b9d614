"""A real PostgreSQL for one test session, started from the machine's own binaries on a Unix socket."""

import contextlib
import ctypes
import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psycopg

USER = "statuspage"
_INSTALLED = Path("/usr/lib/postgresql")
_START_S = 60
_SIGNAL_OF_PARENT_DEATH = 1
# The server may be killed in a test and must keep what it committed; a power cut is not tested.
_FAST = (
    "fsync=off",
    "full_page_writes=off",
    "max_connections=60",
    "shared_buffers=32MB",
)


class Missing(Exception):
    """The machine has no PostgreSQL to test with."""


def binaries() -> Path:
    """The newest installed server's programs. Raises Missing, naming the package to install."""
    found = [path for path in _INSTALLED.glob("*/bin") if (path / "initdb").exists()]
    if found:
        return max(found, key=lambda path: float(path.parent.name))
    if (program := shutil.which("initdb")) and shutil.which("postgres"):
        return Path(program).resolve().parent
    raise Missing("no PostgreSQL server was found; run `make install`, or install the package `postgresql`")


class Postgres:
    """One server with a cluster of its own in `directory`, a short path: a socket's ends at 107 bytes."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._bin = binaries()
        self._uid: int | None
        self._gid: int | None
        self._uid, self._gid = _unprivileged()
        self._server: subprocess.Popen[bytes] | None = None

    def initialise(self) -> None:
        """Make the cluster. `initdb` refuses root, so root hands the directory to another user."""
        self.directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        if self._uid is not None and self._gid is not None:
            os.chown(self.directory, self._uid, self._gid)
        command: list[str | Path] = [self._bin / "initdb", "-D", self.directory / "data", "-U", USER]
        command += ["-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions"]
        made = subprocess.run(command, user=self._uid, group=self._gid, capture_output=True, check=False)
        if made.returncode:
            raise RuntimeError(f"initdb failed: {made.stderr.decode()}")

    def start(self) -> None:
        """Start the server and wait until it answers."""
        command: list[str | Path] = [self._bin / "postgres", "-D", self.directory / "data"]
        command += ["-k", self.directory, "-h", ""]
        for setting in _FAST:
            command += ["-c", setting]
        with (self.directory / "log").open("ab") as log:
            self._server = subprocess.Popen(
                command,
                user=self._uid,
                group=self._gid,
                stdout=log,
                stderr=log,
                preexec_fn=_die_with_parent(),
            )
        deadline = time.monotonic() + _START_S
        while True:
            try:
                psycopg.connect(self.conninfo()).close()
            except psycopg.OperationalError:
                if self._server.poll() is not None or time.monotonic() > deadline:
                    reason = (self.directory / "log").read_text()
                    raise RuntimeError(f"PostgreSQL does not start: {reason}") from None
                time.sleep(0.02)
            else:
                return

    def stop(self) -> None:
        """Stop at once; connections break, as in a crash."""
        if self._server is not None:
            self._server.send_signal(signal.SIGQUIT)
            self._server.wait(_START_S)
            self._server = None

    def restart(self) -> None:
        """Break every connection and come back."""
        self.stop()
        self.start()

    def remove(self) -> None:
        """Stop, and delete the cluster."""
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def conninfo(self, database: str = "postgres") -> str:
        """For psycopg."""
        return f"host={self.directory} user={USER} dbname={database}"

    def url(self, database: str) -> str:
        """For SQLAlchemy, and so for the settings."""
        return f"postgresql+psycopg://{USER}@/{database}?host={self.directory}"

    def create(self, database: str, *, template: str = "template1") -> None:
        """A new database, as a copy of `template`."""
        self.execute(f'CREATE DATABASE "{database}" TEMPLATE "{template}" STRATEGY wal_log')

    def drop(self, database: str) -> None:
        """Away with it, whoever is still connected."""
        with contextlib.suppress(psycopg.OperationalError):
            self.execute(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')

    def execute(self, statement: str) -> None:
        """What an administrator does from outside, such as ending everybody's connection."""
        with psycopg.connect(self.conninfo(), autocommit=True) as connection:
            connection.execute(statement.encode())


def _unprivileged() -> tuple[int, int] | tuple[None, None]:
    """The ids to run PostgreSQL with when we are root."""
    if os.geteuid() != 0:
        return None, None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            found = pwd.getpwnam(name)
            return found.pw_uid, found.pw_gid
    raise Missing("root may not run PostgreSQL, and there is neither a user postgres nor nobody")


def _die_with_parent() -> Callable[[], None]:
    """A killed test run leaves no server behind. The library is loaded before the fork, not after."""
    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(_SIGNAL_OF_PARENT_DEATH, signal.SIGQUIT)
