"""The SMTP receiver, byte for byte: what RFC 5321 asks for and what clients get wrong."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import aiosmtplib
import pytest
import pytest_asyncio

from statuspage.demo import smtp
from statuspage.demo.smtp import Envelope, Receiver


@dataclass
class Client:
    """A raw connection to a receiver, and what the receiver kept."""

    port: int
    kept: list[Envelope] = field(default_factory=list)
    is_full: bool = False

    async def keep(self, envelope: Envelope) -> None:
        if self.is_full:
            raise OSError(28, "No space left on device")
        self.kept.append(envelope)

    async def converse(self, *sent: bytes) -> list[bytes]:
        """Send all at once, then the codes of what is answered until the receiver hangs up."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(b"".join(sent))
            async with asyncio.timeout(10):
                return [line[:4] for line in (await reader.read()).splitlines()]
        finally:
            writer.close()


@pytest_asyncio.fixture
async def client() -> AsyncIterator[Client]:
    made = Client(0)

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await Receiver(reader, writer, made.keep).serve()
        writer.close()

    async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
        made.port = server.sockets[0].getsockname()[1]
        yield made


HEAD = b"MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n"


@pytest.mark.parametrize(
    ("sent", "content"),
    [
        (b"Subject: x\r\n\r\ny\r\n.\r\n", b"Subject: x\r\n\r\ny\r\n"),
        (b".\r\n", b""),
        (b"\r\n.\r\n", b"\r\n"),
        (b"..\r\n.\r\n", b".\r\n"),
        (b"a\r\n..b\r\n...\r\n.\r\n", b"a\r\n.b\r\n..\r\n"),
        (b"a\n.\nb\r\n.\r\n", b"a\n.\nb\r\n"),  # a bare LF ends no line: no smuggling
    ],
)
async def test_the_content_ends_at_the_dot_alone_and_is_unstuffed(
    client: Client, sent: bytes, content: bytes
) -> None:
    await client.converse(HEAD, sent, b"QUIT\r\n")
    assert [envelope.content for envelope in client.kept] == [content]


async def test_mails_sent_in_one_breath_are_told_apart(client: Client) -> None:
    codes = await client.converse(
        b"EHLO x\r\n", HEAD, b"one\r\n.\r\n", HEAD, b"two\r\n.\r\n", b"NOOP\r\nQUIT\r\n"
    )
    assert [envelope.content for envelope in client.kept] == [b"one\r\n", b"two\r\n"]
    assert codes[-2:] == [b"250 ", b"221 "]


async def test_an_end_that_arrives_in_pieces_is_recognised(client: Client) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
    async with asyncio.timeout(10):
        await reader.readline()
        for piece in (HEAD, b"one\r", b"\n", b".", b"\r", b"\n"):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.01)
        answers = [await reader.readline() for _ in range(4)]
    writer.close()
    assert answers[-1].startswith(b"250 ")
    assert client.kept[0].content == b"one\r\n"


async def test_commands_in_the_wrong_order_are_refused(client: Client) -> None:
    codes = await client.converse(
        b"DATA\r\n",
        b"RCPT TO:<b@example.org>\r\n",
        b"MAIL FROM:<>\r\n",
        b"MAIL FROM:<a@example.org>\r\n",
        b"RCPT TO:<>\r\n",
        b"MAIL a@example.org\r\n",
        b"TURN\r\nQUIT\r\n",
    )
    assert codes == [b"220 ", b"503 ", b"503 ", b"250 ", b"503 ", b"501 ", b"501 ", b"500 ", b"221 "]
    assert client.kept == []


async def test_reset_forgets_what_was_begun(client: Client) -> None:
    codes = await client.converse(b"MAIL FROM:<a@example.org>\r\nRSET\r\n", HEAD, b"x\r\n.\r\n", b"QUIT\r\n")
    assert codes == [b"220 ", b"250 ", b"250 ", b"250 ", b"250 ", b"354 ", b"250 ", b"221 "]
    assert client.kept == [Envelope("a@example.org", ("b@example.org",), b"x\r\n")]


async def test_a_mail_announced_as_too_large_is_refused_before_it_is_sent(client: Client) -> None:
    codes = await client.converse(b"MAIL FROM:<a@example.org> SIZE=99999999\r\nQUIT\r\n")
    assert codes == [b"220 ", b"552 ", b"221 "]


async def test_a_mail_too_large_is_refused_and_the_next_one_taken(client: Client) -> None:
    large = b"x" * 70 + b"\r\n"
    codes = await client.converse(
        HEAD,
        large * (smtp.MAX_MAIL_BYTES // len(large) + 1000),
        b".\r\n",
        HEAD,
        b"small\r\n.\r\n",
        b"QUIT\r\n",
    )
    assert codes == [b"220 ", b"250 ", b"250 ", b"354 ", b"552 ", b"250 ", b"250 ", b"354 ", b"250 ", b"221 "]
    assert [envelope.content for envelope in client.kept] == [b"small\r\n"]


async def test_an_endless_line_is_hung_up_on(client: Client) -> None:
    assert (await client.converse(b"x" * 10_000))[-1] == b"500 "


async def test_a_mail_that_cannot_be_kept_is_not_taken_over(client: Client) -> None:
    client.is_full = True
    codes = await client.converse(HEAD, b"x\r\n.\r\n", b"QUIT\r\n")
    assert codes[-2:] == [b"452 ", b"221 "]


async def test_a_client_that_leaves_in_the_middle_leaves_nothing(client: Client) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
    writer.write(HEAD + b"half a mail\r\n")
    await reader.readline()
    writer.close()
    await client.converse(HEAD, b"whole\r\n.\r\n", b"QUIT\r\n")
    assert [envelope.content for envelope in client.kept] == [b"whole\r\n"]


async def test_a_real_client_may_write_to_addresses_beyond_ascii(client: Client) -> None:
    async with aiosmtplib.SMTP(hostname="127.0.0.1", port=client.port, start_tls=False) as real:
        await real.sendmail(
            "a@example.org", ["żółw@example.org"], b"Subject: x\r\n\r\ny\r\n", mail_options=["SMTPUTF8"]
        )
    assert client.kept[0].recipients == ("żółw@example.org",)
