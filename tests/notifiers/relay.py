"""A mail relay on loopback that does what a test tells it: refuse, defer, dawdle, hang up at any point."""

import asyncio
import email
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import default

ACCEPT = "250 2.0.0 Ok: queued"


class HangUp(Exception):
    """The relay closes the connection without a word."""


def hang_up(_: str) -> str:
    raise HangUp


@dataclass
class Accepted:
    """A mail that the relay has taken over, or at least read to its final dot."""

    recipient: str
    content: bytes

    @property
    def message(self) -> EmailMessage:
        return email.message_from_bytes(self.content, policy=default)


@dataclass
class Relay:
    """How it answers. `rcpt` and `taken` are given the recipient; `taken` answers the final dot."""

    extensions: tuple[str, ...] = ("PIPELINING", "8BITMIME")
    greeting: str = "220 relay.test ESMTP"
    rcpt: Callable[[str], str] = lambda _: "250 2.1.5 Ok"
    taken: Callable[[str], str] = lambda _: ACCEPT
    before_dot: Callable[[str], None] = lambda _: None  # may raise HangUp in the midst of the content
    close_after: int | None = None  # mails on one connection
    answer_data_without_recipient: str = "554 5.5.1 no valid recipients"
    port: int = 0
    accepted: list[Accepted] = field(default_factory=list)
    connections: int = 0
    commands: list[str] = field(default_factory=list)
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.may_answer.set()

    @property
    def recipients(self) -> list[str]:
        return [one.recipient for one in self.accepted]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with suppress(HangUp, ConnectionError, asyncio.IncompleteReadError):
            await self._converse(reader, writer)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(f"{self.greeting}\r\n".encode())
        recipient, has_sender, handled = "", False, 0
        while line := (await reader.readline()).decode():
            await self.may_answer.wait()
            verb = line.split(maxsplit=1)[0].upper()
            self.commands.append(line.strip())
            answer = "250 2.0.0 Ok"
            if verb == "EHLO":
                answer = (
                    "\r\n".join(f"250-{one}" for one in ("relay.test", *self.extensions)) + "\r\n250 HELP"
                )
            elif verb == "MAIL":
                answer = "503 5.5.1 nested MAIL" if has_sender else answer
                has_sender = True
            elif verb == "RCPT":
                address = line.partition("<")[2].partition(">")[0]
                answer = self.rcpt(address)
                recipient = address if answer.startswith("2") else ""
            elif verb == "RSET":
                recipient, has_sender = "", False
            elif verb == "DATA" and not recipient and self.answer_data_without_recipient.startswith("5"):
                answer = self.answer_data_without_recipient
            elif verb == "DATA":
                writer.write(b"354 go ahead\r\n")
                answer = await self._content(reader, recipient)
                recipient, has_sender, handled = "", False, handled + 1
            writer.write(f"{answer}\r\n".encode())
            if verb == "QUIT" or handled == self.close_after:
                await writer.drain()
                return

    async def _content(self, reader: asyncio.StreamReader, recipient: str) -> str:
        self.before_dot(recipient)
        lines = []
        while (line := await reader.readline()) != b".\r\n":
            if not line.endswith(b"\n"):
                raise HangUp
            lines.append(line[1:] if line.startswith(b"..") else line)
        if not recipient:
            return self.answer_data_without_recipient
        answer = self.taken(recipient)
        if answer.startswith("2"):
            self.accepted.append(Accepted(recipient, b"".join(lines)))
        return answer


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(serve: Serve) -> AsyncIterator[int]:
    """A server on loopback whose conversations end with it; gives the port."""
    conversations: set[asyncio.Task[None]] = set()

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        conversations.add(task)
        try:
            with suppress(ConnectionError, asyncio.CancelledError):
                await serve(reader, writer)
        finally:
            conversations.discard(task)
            writer.transport.abort() if task.cancelling() else writer.close()

    server = await asyncio.start_server(converse, "127.0.0.1", 0, limit=2**20)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tuple(conversations):
            task.cancel()
        await asyncio.gather(*conversations, return_exceptions=True)


@asynccontextmanager
async def running(relay: Relay) -> AsyncIterator[Relay]:
    """The relay, listening."""
    async with listening(relay.serve) as relay.port:
        yield relay
