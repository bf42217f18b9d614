"""Files are held until clamd has seen them: its INSTREAM command over TCP or a socket file, one content at a time."""

import asyncio
import struct
from contextlib import suppress
from urllib.parse import urlsplit

import structlog

from statuspage.kernel import clock
from statuspage.kernel.errors import Unavailable
from statuspage.kernel.house import House
from statuspage.kernel.tasks import Wakeup
from tickets import attachments, storage

log = structlog.get_logger(__name__)

_TIMEOUT_S = 120.0
_REST_S = 30.0
_ANSWER_BYTES = 4096


async def scan(address: str, digest: str, data_dir: str) -> str:
    """What clamd finds in a content; "" where it is clean.

    `address` is tcp://host:port or unix:///path. Raises Unavailable when clamd cannot be asked or gives no verdict.
    """
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            answer = await _asked(address, digest, data_dir)
    except (OSError, TimeoutError) as error:
        raise Unavailable(f"clamd at {address}: {error or 'no answer in time'}") from None
    # It says "stream: OK", or the name of what it found and FOUND, or an error of its own.
    if answer.endswith("FOUND"):
        return answer.removeprefix("stream:").removesuffix("FOUND").strip() or "unnamed"
    if answer != "stream: OK":
        raise Unavailable(f"clamd at {address}: {answer or 'closed the connection'}")
    return ""


async def _asked(address: str, digest: str, data_dir: str) -> str:
    parts = urlsplit(address)
    if parts.scheme == "unix":
        reader, writer = await asyncio.open_unix_connection(parts.path)
    else:
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        writer.write(b"zINSTREAM\0")
        for chunk in storage.chunks(digest, data_dir):
            writer.write(struct.pack("!I", len(chunk)) + chunk)
            await writer.drain()
        writer.write(struct.pack("!I", 0))
        await writer.drain()
        return (await reader.read(_ANSWER_BYTES)).rstrip(b"\0\n").decode(errors="replace")
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


class Scanner:
    """The task that has held files scanned. While clamd is away they stay held, and nobody can fetch them."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._wakeup = Wakeup()
        house.db.on_commit(self._wakeup.wake)

    async def run(self) -> None:
        """Forever, where a scanner is set."""
        address = self._house.settings.tickets.clamd
        if address is None:
            return
        while True:
            try:
                is_more = await self.scan_some(address)
            except Unavailable as error:
                log.warning("scanner.unavailable", reason=str(error))
                is_more = False
            if not is_more:
                await self._wakeup.wait(_REST_S)

    async def scan_some(self, address: str) -> bool:
        """Scan what is held, oldest first. Returns whether there was anything. Raises Unavailable."""
        db, data_dir = self._house.db, self._house.settings.data.dir
        rows = await db.read(attachments.held)
        for digest in dict.fromkeys(row.digest for row in rows):
            is_there = storage.place(digest, data_dir).exists()
            finding = await scan(address, digest, data_dir) if is_there else "its content is missing"
            await db.run(attachments.judge, digest, finding, now=clock.now())
            if finding:
                log.warning("attachment.infected", digest=digest, finding=finding)
        return bool(rows)
