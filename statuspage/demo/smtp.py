"""A small SMTP receiver (RFC 5321) for the demo: takes whole mails at once instead of line by line.

Pipelining (RFC 2920), 8BITMIME, SIZE and SMTPUTF8 are offered. TLS and sign-in are not: it is on loopback.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

HOST_NAME = "mail.customs.example"
MAX_MAIL_BYTES = 5 * 1024 * 1024
MAX_RECIPIENTS = 1000
_MAX_LINE_BYTES = 4096
_IDLE_S = 300.0  # RFC 5321 §4.5.3.2.7
_CHUNK_BYTES = 65_536
_END = b"\r\n.\r\n"
_PATH = re.compile(r"(?:FROM|TO):\s*<([^<>]*)>(?: (.*))?", re.IGNORECASE)
_SIZE = re.compile(r"\bSIZE=(\d{1,12})\b", re.IGNORECASE)
_GREETING = ("PIPELINING", f"SIZE {MAX_MAIL_BYTES}", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES")


@dataclass(frozen=True, slots=True)
class Envelope:
    """A mail as it was handed over; `content` has CRLF line ends and no dot-stuffing."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes


Keep = Callable[[Envelope], Awaitable[None]]


class _TooLong(Exception):
    """A line or a mail beyond its limit."""


class Receiver:
    """One connection. `keep` has the mail when it returns: only then is the sender told so."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, keep: Keep) -> None:
        self._reader = reader
        self._writer = writer
        self._keep = keep
        self._buffer = bytearray()
        self._sender: str | None = None
        self._recipients: list[str] = []

    async def serve(self) -> None:
        """Talk until the client quits, leaves, or is silent for five minutes."""
        with suppress(OSError, EOFError):
            try:
                await self._say(f"220 {HOST_NAME} ESMTP demo mail catcher")
                while await self._obey(await self._line()):
                    pass
            except TimeoutError:
                await self._say("421 4.4.2 silent for too long")
            except _TooLong:
                await self._say("500 5.5.2 line too long")

    async def _obey(self, line: str) -> bool:
        """Answer one command; False after QUIT."""
        verb, _, rest = line.partition(" ")
        match verb.upper():
            case "EHLO":
                self._reset()
                await self._say(
                    "\r\n".join(
                        [f"250-{HOST_NAME}", *(f"250-{x}" for x in _GREETING[:-1]), f"250 {_GREETING[-1]}"]
                    )
                )
            case "HELO":
                self._reset()
                await self._say(f"250 {HOST_NAME}")
            case "MAIL":
                await self._say(self._begin(rest))
            case "RCPT":
                await self._say(self._add_recipient(rest))
            case "DATA":
                await self._take()
            case "RSET":
                self._reset()
                await self._say("250 2.0.0 forgotten")
            case "NOOP":
                await self._say("250 2.0.0 ok")
            case "VRFY":
                await self._say("252 2.1.5 everything is caught here")
            case "QUIT":
                await self._say("221 2.0.0 bye")
                return False
            case _:
                await self._say("500 5.5.1 unknown command")
        return True

    def _reset(self) -> None:
        self._sender = None
        self._recipients = []

    def _begin(self, argument: str) -> str:
        path = _PATH.fullmatch(argument)
        if path is None:
            return "501 5.5.4 write MAIL FROM:<address>"
        if self._sender is not None:
            return "503 5.5.1 a mail has been begun already"
        size = _SIZE.search(path[2] or "")
        if size and int(size[1]) > MAX_MAIL_BYTES:
            return "552 5.3.4 too large"
        self._sender = path[1]
        return "250 2.1.0 ok"

    def _add_recipient(self, argument: str) -> str:
        path = _PATH.fullmatch(argument)
        if path is None or not path[1]:
            return "501 5.5.4 write RCPT TO:<address>"
        if self._sender is None:
            return "503 5.5.1 MAIL comes first"
        if len(self._recipients) >= MAX_RECIPIENTS:
            return "452 4.5.3 too many recipients"
        self._recipients.append(path[1])
        return "250 2.1.5 ok"

    async def _take(self) -> None:
        if self._sender is None or not self._recipients:
            await self._say("503 5.5.1 MAIL and RCPT come first")
            return
        await self._say("354 end with a dot on a line of its own")
        envelope = None
        with suppress(_TooLong):
            envelope = Envelope(self._sender, tuple(self._recipients), await self._content())
        self._reset()
        if envelope is None:
            await self._say("552 5.3.4 too large")
            return
        try:
            await self._keep(envelope)
        except OSError as error:
            await self._say(f"452 4.3.1 cannot be kept: {error.strerror}")
        else:
            await self._say("250 2.0.0 caught")

    async def _content(self) -> bytes:
        """All up to the final dot, unstuffed (RFC 5321 §4.5.2). Raises _TooLong after reading all of it."""
        self._buffer[:0] = b"\r\n"  # the end of the DATA line may be the beginning of the end
        is_too_long = False
        searched = 0
        while (end := self._buffer.find(_END, searched)) < 0:
            if len(self._buffer) > MAX_MAIL_BYTES:
                is_too_long = True
                del self._buffer[: -len(_END)]
            searched = max(0, len(self._buffer) - len(_END))
            await self._fill()
        content = bytes(self._buffer[2 : end + 2])
        del self._buffer[: end + len(_END)]
        if is_too_long:
            raise _TooLong
        unstuffed = content.replace(b"\r\n..", b"\r\n.")
        return unstuffed[1:] if unstuffed.startswith(b".") else unstuffed

    async def _line(self) -> str:
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > _MAX_LINE_BYTES:
                raise _TooLong
            await self._fill()
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line.decode("utf-8", "replace").strip()

    async def _fill(self) -> None:
        async with asyncio.timeout(_IDLE_S):
            more = await self._reader.read(_CHUNK_BYTES)
        if not more:
            raise EOFError
        self._buffer += more

    async def _say(self, text: str) -> None:
        self._writer.write(f"{text}\r\n".encode())
        await self._writer.drain()
