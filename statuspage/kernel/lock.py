"""One server per data directory: an advisory lock that dies with its process (abuse case 35)."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from statuspage.kernel.errors import Conflict


@contextmanager
def hold(directory: Path) -> Iterator[None]:
    """Hold the directory's server lock. Raises Conflict naming the process that has it."""
    descriptor = os.open(directory / "server.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 20).decode(errors="replace").strip() or "unknown"
            raise Conflict(
                f"{directory}: process {holder} already serves this data directory; "
                "stop it, or use PostgreSQL for several servers"
            ) from None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(descriptor)
