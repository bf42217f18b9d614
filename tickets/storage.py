"""Files that customers send: kept once by their content, outside everything that is served. It knows no database."""

import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from statuspage.kernel.errors import Invalid

_CHUNK = 1 << 16
_DIGEST = re.compile(r"[0-9a-f]{64}")
HEAD = 1 << 13  # bytes by which a file's kind is told
_DRAFT = ".new-"


@dataclass(frozen=True, slots=True)
class Kept:
    """A file in its place."""

    digest: str  # SHA-256 of its content, in hexadecimal
    size: int  # bytes
    head: bytes  # its first bytes


def directory(data_dir: str) -> Path:
    """Where the contents are; nothing there is run, listed or served by name."""
    return Path(data_dir) / "attachments"


def place(digest: str, data_dir: str) -> Path:
    """Where a content stands."""
    if not _DIGEST.fullmatch(digest):
        raise ValueError(f"{digest!r} is no digest")
    return directory(data_dir) / digest[:2] / digest


def keep(file: BinaryIO, data_dir: str, *, at_most: int) -> Kept:
    """Copy a file to its place; it is on the disk when this returns. Raises Invalid beyond `at_most` bytes."""
    root = directory(data_dir)
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    digest, size, head = hashlib.sha256(), 0, b""
    descriptor, draft = tempfile.mkstemp(dir=root, prefix=_DRAFT)
    try:
        with os.fdopen(descriptor, "wb") as copy:
            while chunk := file.read(_CHUNK):
                size += len(chunk)
                if size > at_most:
                    raise Invalid(
                        "files", "At most %(limit)s MB fit in one file.", limit=at_most // 1_000_000
                    )
                head = head or chunk[:HEAD]
                digest.update(chunk)
                copy.write(chunk)
            copy.flush()
            os.fsync(copy.fileno())
        kept = Kept(digest.hexdigest(), size, head)
        target = place(kept.digest, data_dir)
        target.parent.mkdir(mode=0o700, exist_ok=True)
        os.replace(draft, target)  # the same content again: the same bytes in the same place
        os.utime(target)  # so that `sweep` does not take what is just being written down
        return kept
    finally:
        Path(draft).unlink(missing_ok=True)


def chunks(digest: str, data_dir: str) -> Iterator[bytes]:
    """A content, piece by piece. Raises FileNotFoundError."""
    with place(digest, data_dir).open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk


def stale(data_dir: str, *, now: datetime, older_than: timedelta) -> Iterator[Path]:
    """Everything that has lain there for so long: drafts of a crash, and contents that may belong to nobody."""
    root = directory(data_dir)
    if not root.is_dir():
        return
    limit = (now - older_than).timestamp()
    for path in (*root.glob(f"{_DRAFT}*"), *root.glob("??/*")):
        if path.stat().st_mtime < limit:
            yield path
