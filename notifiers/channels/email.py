"""The channel to the mail relay: a few connections that pipeline, survive everything, and know no database.

A connection gives the next mail's envelope in the same flight as the end of the one before (RFC 2920 §3.1):
docs/decisions/0002-smtp-sending.md says what that brings.
"""

import asyncio
import base64
import contextlib
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Annotated, Generic, Protocol, TypeVar
from urllib.parse import unquote, urlsplit

import structlog
from msgspec import Meta

from notifiers.rules import Verdict, verdict_of, verdict_of_loss

log = structlog.get_logger(__name__)

_MAX_REPLY_BYTES = 64 * 1024
_READ_BYTES = 16 * 1024
_ONE_FLIGHT_BYTES = 64 * 1024
_SHOWN_REPLY = 300
_PARTING = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class Spec:
    """Where and how mail is handed over."""

    relay: Annotated[str, Meta(description="smtp://host:port, or smtps:// for TLS from the first byte.")]
    connections: Annotated[int, Meta(ge=1, le=100, description="Connections at once.")] = 8
    mails_per_connection: Annotated[int, Meta(ge=1, description="A connection is renewed after so many.")] = (
        1000
    )
    idle: Annotated[timedelta, Meta(description="A connection without work is closed after this.")] = (
        timedelta(seconds=20)
    )
    connect_timeout: Annotated[timedelta, Meta(description="For the connection and each greeting.")] = (
        timedelta(seconds=15)
    )
    command_timeout: Annotated[timedelta, Meta(description="For the answer to an envelope.")] = timedelta(
        seconds=60
    )
    content_timeout: Annotated[timedelta, Meta(description="For the answer to the content.")] = timedelta(
        seconds=180
    )
    max_pause: Annotated[
        timedelta, Meta(description="Longest pause before an absent relay is tried again.")
    ] = timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class Result:
    """How an attempt ended, and the relay's own words."""

    verdict: Verdict
    reply: str
    relay_absent: bool = False  # nothing was said about this mail: no relay could be talked to


class Letter(Protocol):
    """What the channel has to know of a mail."""

    @property
    def sender(self) -> str: ...
    @property
    def recipient(self) -> str: ...
    @property
    def content(self) -> bytes:
        """Lines end in CRLF, the last one too; dots are stuffed already (RFC 5321 §4.5.2)."""


L = TypeVar("L", bound=Letter)


@dataclass(frozen=True, slots=True)
class Reply:
    """A relay's answer (RFC 5321 §4.2)."""

    code: int
    text: str

    def __str__(self) -> str:
        return f"{self.code} {self.text}"[:_SHOWN_REPLY]


class Lost(Exception):
    """The connection broke, was closed, fell silent, or talked nonsense."""


class Unwelcome(Exception):
    """The relay answered, but does not want us now: its greeting, EHLO, TLS or sign-in failed."""


class Connection:
    """One SMTP conversation. `Lost` at any point ends it."""

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self._address = urlsplit(spec.relay)
        self._buffer = bytearray()
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter
        self.extensions: dict[str, str] = {}
        self.handed_over = 0  # contents it has got an answer for
        self.is_open = False
        self._deadline = 0.0

    # --- opening and closing ---

    async def open(self) -> None:
        """Connect, greet, and secure what can be secured. Raises Lost or Unwelcome."""
        implicit_tls = _context(self._spec.relay) if self._address.scheme == "smtps" else None
        port = self._address.port or (465 if implicit_tls else 25)
        self._wait_for(self._spec.connect_timeout)
        try:
            async with asyncio.timeout_at(self._deadline):
                self._reader, self._writer = await asyncio.open_connection(
                    self._address.hostname, port, ssl=implicit_tls
                )
                self._no_delay()
                await self._greet(is_secure=implicit_tls is not None)
            self.is_open = True
        except TimeoutError:
            raise Lost(f"no answer from {self._address.hostname}:{port} in time") from None
        except (OSError, ssl.SSLError) as error:
            raise Lost(f"{self._address.hostname}:{port}: {error.strerror or error}") from None
        finally:
            if not self.is_open:
                self.abort()

    def _no_delay(self) -> None:
        if (plain := self._writer.get_extra_info("socket")) is not None:
            with contextlib.suppress(OSError):
                plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    async def _greet(self, *, is_secure: bool) -> None:
        _expect(await self._reply(), 220)
        await self._hello()
        if not is_secure and ("STARTTLS" in self.extensions or self._address.username):
            await self._start_tls()
        if self._address.username:
            await self._sign_in()

    async def _hello(self) -> None:
        own_name = _own_name(self._writer.get_extra_info("sockname")[0]).encode()
        reply = await self._command(b"EHLO " + own_name)
        if reply.code != 250:
            reply = await self._command(b"HELO " + own_name)
        _expect(reply, 250)
        words = (line.split(" ", 1) for line in reply.text.split("\n")[1:])
        self.extensions = {word[0].upper(): word[1] if len(word) > 1 else "" for word in words}

    async def _start_tls(self) -> None:
        """Opportunistic, as relays do among themselves; with a password the certificate must be right."""
        _expect(await self._command(b"STARTTLS"), 220)
        if self._buffer:
            raise Lost("the relay said more before TLS than it should")
        await self._writer.start_tls(_context(self._spec.relay), server_hostname=self._address.hostname)
        await self._hello()

    async def _sign_in(self) -> None:
        user, password = unquote(self._address.username or ""), unquote(self._address.password or "")
        response = base64.b64encode(f"\0{user}\0{password}".encode())
        _expect(await self._command(b"AUTH PLAIN " + response), 235)

    async def quit(self) -> None:
        """Part politely; whatever happens, the connection is gone afterwards."""
        try:
            await self._command(b"QUIT", _PARTING)
        except Lost:
            pass
        finally:
            self.abort()

    def abort(self) -> None:
        """Drop the connection."""
        self.is_open = False
        if hasattr(self, "_writer"):
            self._writer.transport.abort()

    # --- mails ---

    @property
    def pipelines(self) -> bool:
        """Whether envelope and content of different mails may share a flight."""
        return "PIPELINING" in self.extensions

    def announce(self, letter: Letter) -> None:
        """Send a mail's envelope; `envelope_answer` tells what came of it."""
        self._writer.write(_envelope(letter))

    async def envelope(self, letter: Letter) -> Reply | None:
        """Announce a mail. None: the content may follow; otherwise the refusal. Raises Lost."""
        if self.pipelines:
            self.announce(letter)
            return await self.envelope_answer()
        for command in _envelope(letter).splitlines():
            reply = await self._command(command, self._spec.command_timeout)
            if reply.code >= 400:
                return await self._refused(reply, data=None)
        return None

    async def envelope_answer(self) -> Reply | None:
        """The answer to an announced envelope, as `envelope` gives it. Raises Lost."""
        self._wait_for(self._spec.command_timeout)
        mail, recipient, data = await self._reply(), await self._reply(), await self._reply()
        for reply in (mail, recipient, data):
            if reply.code >= 400:
                return await self._refused(reply, data=data)
        return None

    async def _refused(self, reply: Reply, *, data: Reply | None) -> Reply:
        """Bring the conversation back to its start, and return the refusal."""
        if reply.code == 421:
            raise Lost(str(reply))
        if data is not None and data.code == 354:  # RFC 2920 §3.1: content asked for without a recipient
            await self._command(b".", self._spec.content_timeout)
        await self._command(b"RSET", self._spec.command_timeout)
        return reply

    async def content(self, letter: Letter, *, following: Letter | None) -> Result:
        """Send the content, and in the same flight announce `following`. Never raises: a loss is a result.

        After a loss, or a 421, `is_open` is false: `following` has to go another way.
        """
        flight = letter.content
        self._wait_for(self._spec.content_timeout)
        after_final_dot = False
        try:
            if len(flight) > _ONE_FLIGHT_BYTES:
                await self._push(flight)
                flight = b""
            after_final_dot = True  # from here on nobody knows how far it came
            self._writer.write(flight + b".\r\n" + (_envelope(following) if following else b""))
            reply = await self._reply()
        except Lost as error:
            self.is_open = False
            return Result(verdict_of_loss(after_final_dot=after_final_dot), str(error))
        self.handed_over += 1
        self.is_open = reply.code != 421
        return Result(verdict_of(reply.code), str(reply))

    # --- lines ---

    async def _command(self, command: bytes, timeout: timedelta | None = None) -> Reply:
        if timeout is not None:
            self._wait_for(timeout)
        self._writer.write(command + b"\r\n")
        return await self._reply()

    def _wait_for(self, timeout: timedelta) -> None:
        """All replies of this stage together have this long, however they drip."""
        self._deadline = asyncio.get_running_loop().time() + timeout.total_seconds()

    async def _push(self, data: bytes) -> None:
        """Write what is too much for one flight. Raises Lost: then the final dot was not sent."""
        self._writer.write(data)
        try:
            async with asyncio.timeout_at(self._deadline):
                await self._writer.drain()
        except TimeoutError:
            raise Lost("the relay did not take the content in time") from None
        except OSError as error:
            raise Lost(f"connection lost: {error.strerror or error}") from None

    async def _reply(self) -> Reply:
        """The next reply, of one or more lines. Raises Lost."""
        texts = []
        while True:
            line = await self._line()
            if len(line) < 3 or not line[:3].isdigit():
                raise Lost(f"not an SMTP reply: {line[:80]!r}")
            texts.append(line[4:].decode("utf-8", "replace"))
            if line[3:4] != b"-":
                return Reply(int(line[:3]), "\n".join(texts))

    async def _line(self) -> bytes:
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > _MAX_REPLY_BYTES:
                raise Lost("an endless reply")
            self._buffer += await self._read()
        line = bytes(self._buffer[:end]).rstrip(b"\r")
        del self._buffer[: end + 1]
        return line

    async def _read(self) -> bytes:
        try:
            async with asyncio.timeout_at(self._deadline):
                data = await self._reader.read(_READ_BYTES)
        except TimeoutError:
            raise Lost("the relay did not answer in time") from None
        except OSError as error:
            raise Lost(f"connection lost: {error.strerror or error}") from None
        if not data:
            raise Lost("the relay closed the connection")
        return data


class Pool(Generic[L]):
    """`connections` couriers that take letters from one queue. One that hangs delays nobody else."""

    def __init__(self, spec: Spec) -> None:
        self._spec = spec

    async def try_relay(self) -> str | None:
        """Connect, greet and part. Returns what is wrong, or None."""
        connection = Connection(self._spec)
        try:
            await connection.open()
        except (Lost, Unwelcome) as error:
            return str(error)
        await connection.quit()
        return None

    async def serve(self, letters: asyncio.Queue[L], settle: Callable[[L, Result], None]) -> None:
        """Until cancelled: hand over what the queue gives, and tell `settle` of each letter exactly once."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._spec.connections):
                group.create_task(_Courier(self._spec, letters, settle).run())


class _Courier(Generic[L]):
    """One connection at a time, made when there is something to carry, and made anew when it breaks."""

    def __init__(self, spec: Spec, letters: asyncio.Queue[L], settle: Callable[[L, Result], None]) -> None:
        self._spec = spec
        self._letters = letters
        self._settle = settle
        self._connection: Connection | None = None
        self._failures = 0

    async def run(self) -> None:
        try:
            while True:
                letter: L | None = await self._next()
                while letter is not None:
                    letter = await self._carry(letter)
        finally:
            if self._connection is not None:
                self._connection.abort()

    async def _next(self) -> L:
        """Wait for work; part from the relay when there is none for a while."""
        if self._connection is not None and self._letters.empty():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._spec.idle.total_seconds()):
                    return await self._letters.get()
            await self._connection.quit()
            self._connection = None
        return await self._letters.get()

    def _take(self) -> L | None:
        return None if self._letters.empty() else self._letters.get_nowait()

    async def _carry(self, letter: L) -> L | None:
        """Hand over `letter` and whatever waits behind it; returns one that needs another connection."""
        connection = self._connection or await self._connect(letter)
        if connection is None:
            return None
        left = await self._converse(connection, letter)
        if connection.is_open and connection.handed_over < self._spec.mails_per_connection:
            self._connection = connection
        else:
            self._connection = None
            await self._part(connection)
        return left

    async def _connect(self, letter: L) -> Connection | None:
        connection = Connection(self._spec)
        try:
            await connection.open()
        except (Lost, Unwelcome) as error:
            self._failures += 1
            self._settle(letter, Result(Verdict.DEFERRED, str(error), relay_absent=True))
            log.warning("relay.absent", reason=str(error))
            await asyncio.sleep(min(2.0 ** (self._failures - 1), self._spec.max_pause.total_seconds()))
            return None
        self._failures = 0
        self._connection = connection  # from now on `run` drops it when it ends
        return connection

    @staticmethod
    async def _part(connection: Connection) -> None:
        if connection.is_open:
            await connection.quit()
        else:
            connection.abort()

    async def _converse(self, connection: Connection, first: L) -> L | None:
        """Hand over mail after mail until nothing waits, or the connection is spent."""
        letter: L | None = first
        is_announced = False
        while letter is not None:
            try:
                asked = connection.envelope_answer() if is_announced else connection.envelope(letter)
                refusal = await asked
            except Lost as error:
                connection.is_open = False
                if (
                    connection.handed_over
                ):  # relays close after so many mails: nothing was said against this one
                    return letter
                self._settle(letter, Result(Verdict.DEFERRED, str(error)))
                return None
            is_announced = False
            if refusal is not None:
                self._settle(letter, Result(verdict_of(refusal.code), str(refusal)))
                letter = self._take()
                continue
            is_last = connection.handed_over + 1 >= self._spec.mails_per_connection
            following = self._take() if connection.pipelines and not is_last else None
            self._settle(letter, await connection.content(letter, following=following))
            if not connection.is_open or is_last:
                return following
            is_announced = following is not None
            letter = following or self._take()
        return None


def _expect(reply: Reply, code: int) -> None:
    if reply.code != code:
        raise Unwelcome(str(reply))


def _envelope(letter: Letter) -> bytes:
    return f"MAIL FROM:<{letter.sender}>\r\nRCPT TO:<{letter.recipient}>\r\nDATA\r\n".encode()


def _own_name(own_address: str) -> str:
    """What we greet with: the host's name if it is a full one, else an address literal (RFC 5321 §4.1.3)."""
    name = socket.gethostname()
    if "." in name and name.isascii():
        return name
    return f"[IPv6:{own_address}]" if ":" in own_address else f"[{own_address}]"


@cache
def _context(relay: str) -> ssl.SSLContext:
    """Certificates are checked where the settings ask for TLS, not where the relay merely offers it."""
    address = urlsplit(relay)
    context = ssl.create_default_context()
    if address.scheme == "smtp" and not address.username:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
