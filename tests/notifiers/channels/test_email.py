"""The channel to the relay, against relays that misbehave in every way we know (abuse case 21)."""

import asyncio
import ssl
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

import pytest
import trustme
from aiosmtpd.smtp import SMTP, Envelope, Session

from notifiers.channels.email import Pool, Result, Spec
from notifiers.rules import Verdict
from tests.notifiers.relay import HangUp, Relay, hang_up, listening, running

SHORT = timedelta(seconds=0.3)
BODY = b"Subject: x\r\n\r\nHello.\r\n..a line with a dot\r\n"


@dataclass(frozen=True)
class Letter:
    recipient: str
    content: bytes = BODY
    sender: str = "status@customs.example"


def letters(count: int) -> list[Letter]:
    return [Letter(f"user{number}@example.com") for number in range(count)]


def spec_for(
    port: int, *, connections: int = 1, mails_per_connection: int = 1000, scheme: str = "smtp"
) -> Spec:
    return Spec(
        relay=f"{scheme}://127.0.0.1:{port}",
        connections=connections,
        mails_per_connection=mails_per_connection,
        connect_timeout=SHORT,
        command_timeout=SHORT,
        content_timeout=SHORT,
        max_pause=timedelta(seconds=0.01),
    )


async def send(spec: Spec, wanted: Iterable[Letter]) -> dict[str, Result]:
    """Each letter's result, once every one has one."""
    queue: asyncio.Queue[Letter] = asyncio.Queue()
    results: dict[str, Result] = {}
    everything = asyncio.Event()
    for letter in (all_letters := list(wanted)):
        queue.put_nowait(letter)

    def settle(letter: Letter, result: Result) -> None:
        assert letter.recipient not in results, "settled twice"
        results[letter.recipient] = result
        if len(results) == len(all_letters):
            everything.set()

    pool: Pool[Letter] = Pool(spec)
    serving = asyncio.create_task(pool.serve(queue, settle))
    async with asyncio.timeout(10):
        await everything.wait()
    serving.cancel()
    with suppress(asyncio.CancelledError):
        await serving
    return results


def verdicts(results: dict[str, Result]) -> list[Verdict]:
    return [result.verdict for result in results.values()]


@pytest.mark.parametrize("extensions", [("PIPELINING",), ("8BITMIME",)])
@pytest.mark.parametrize("connections", [1, 4])
async def test_every_mail_arrives_once_and_whole(extensions: tuple[str, ...], connections: int) -> None:
    async with running(Relay(extensions=extensions)) as relay:
        results = await send(spec_for(relay.port, connections=connections), letters(50))
    assert set(verdicts(results)) == {Verdict.SENT}
    assert sorted(relay.recipients) == sorted(results)
    assert {one.content for one in relay.accepted} == {BODY.replace(b"..", b".")}
    assert results["user0@example.com"].reply == "250 2.0.0 Ok: queued"


async def test_one_connection_carries_them_all() -> None:
    async with running(Relay()) as relay:
        await send(spec_for(relay.port), letters(20))
    assert relay.connections == 1


async def test_a_connection_is_renewed_after_so_many_mails() -> None:
    async with running(Relay()) as relay:
        results = await send(spec_for(relay.port, mails_per_connection=5), letters(20))
    assert set(verdicts(results)) == {Verdict.SENT}
    assert relay.connections == 4
    assert relay.commands.count("QUIT") >= 3


async def test_a_relay_without_ehlo_is_greeted_the_old_way() -> None:
    class Old(Relay):
        async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"220 old\r\n")
            await reader.readline()
            writer.write(b"500 what?\r\n")
            await reader.readline()
            writer.write(b"250 hello\r\n")
            for reply in (b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n"):
                await reader.readline()
                writer.write(reply)
            while await reader.readline() != b".\r\n":
                pass
            writer.write(b"250 taken\r\n")
            await reader.read()

    async with running(Old()) as relay:
        assert verdicts(await send(spec_for(relay.port), letters(1))) == [Verdict.SENT]


@pytest.mark.parametrize("extensions", [("PIPELINING",), ()])
@pytest.mark.parametrize("data_answer", ["554 5.5.1 no valid recipients", "354 send it anyway"])
@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        ("450 4.2.0 greylisted", Verdict.DEFERRED),
        ("550 5.1.1 no such user", Verdict.FAILED),
        ("452 4.2.2 mailbox full", Verdict.DEFERRED),
    ],
)
async def test_a_refused_recipient_harms_no_other(
    answer: str, verdict: Verdict, data_answer: str, extensions: tuple[str, ...]
) -> None:
    def rcpt(address: str) -> str:
        return answer if address == "user2@example.com" else "250 ok"

    relay = Relay(rcpt=rcpt, extensions=extensions)
    if data_answer.startswith("354"):
        relay.answer_data_without_recipient = "451 nobody to give it to"
    async with running(relay):
        results = await send(spec_for(relay.port), letters(6))
    assert results["user2@example.com"] == Result(verdict, answer)
    assert verdicts(results).count(Verdict.SENT) == 5
    assert relay.connections == 1


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [("451 4.3.0 later", Verdict.DEFERRED), ("554 5.7.1 spam", Verdict.FAILED), ("250 ok", Verdict.SENT)],
)
async def test_the_answer_to_the_content_decides(answer: str, verdict: Verdict) -> None:
    async with running(Relay(taken=lambda _: answer)) as relay:
        results = await send(spec_for(relay.port), letters(3))
    assert set(verdicts(results)) == {verdict}
    assert relay.connections == 1


async def test_lost_after_the_final_dot_is_uncertain_and_the_others_go_on() -> None:
    def taken(address: str) -> str:
        if address == "user1@example.com":
            raise HangUp
        return "250 ok"

    async with running(Relay(taken=taken)) as relay:
        results = await send(spec_for(relay.port), letters(5))
    assert results["user1@example.com"].verdict is Verdict.UNCERTAIN
    assert verdicts(results).count(Verdict.SENT) == 4
    assert sorted(relay.recipients) == sorted(set(results) - {"user1@example.com"})


async def test_lost_in_mid_content_before_the_dot_could_leave_is_deferred() -> None:
    big = Letter("big@example.com", BODY + b"0123456789\r\n" * 2_000_000)
    async with running(Relay(before_dot=hang_up_for("big@example.com"))) as relay:
        results = await send(spec_for(relay.port), [big, *letters(3)])
    assert results["big@example.com"].verdict is Verdict.DEFERRED
    assert verdicts(results).count(Verdict.SENT) == 3


def hang_up_for(unlucky: str):  # type: ignore[no-untyped-def]
    def before_dot(address: str) -> None:
        if address == unlucky:
            raise HangUp

    return before_dot


async def test_a_relay_that_closes_after_every_second_mail_gets_them_all() -> None:
    async with running(Relay(close_after=2)) as relay:
        results = await send(spec_for(relay.port), letters(11))
    assert set(verdicts(results)) == {Verdict.SENT}
    assert sorted(relay.recipients) == sorted(results)
    assert relay.connections == 6


async def test_a_relay_that_hangs_up_at_every_envelope_defers_and_is_survived() -> None:
    async with running(Relay(rcpt=hang_up)) as relay:
        assert set(verdicts(await send(spec_for(relay.port), letters(4)))) == {Verdict.DEFERRED}
        relay.rcpt = lambda _: "250 ok"
        assert set(verdicts(await send(spec_for(relay.port), letters(4)))) == {Verdict.SENT}


async def test_a_silent_relay_is_given_up_in_time() -> None:
    async with running(Relay()) as relay:
        relay.may_answer.clear()
        (result,) = (await send(spec_for(relay.port), letters(1))).values()
        assert result.verdict is Verdict.DEFERRED
        assert result.relay_absent
        relay.may_answer.set()


async def test_a_dripping_reply_does_not_extend_its_time() -> None:
    async def drip(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for byte in b"220 " + b"x" * 500:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.02)

    async with listening(drip) as port:
        (result,) = (await send(spec_for(port), letters(1))).values()
    assert result.relay_absent


async def test_a_foreign_reply_is_refused() -> None:
    async def talk(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await writer.drain()

    async with listening(talk) as port:
        (result,) = (await send(spec_for(port), letters(1))).values()
    assert result.relay_absent
    assert "not an SMTP reply" in result.reply


async def test_an_absent_relay_says_nothing_against_the_mail() -> None:
    server = await asyncio.start_server(lambda _r, w: w.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    (result,) = (await send(spec_for(port), letters(1))).values()
    assert result.relay_absent
    assert result.verdict is Verdict.DEFERRED
    assert await Pool(spec_for(port)).try_relay() is not None


async def test_a_greeting_that_refuses_us_says_nothing_against_the_mail() -> None:
    async with running(Relay(greeting="554 5.7.1 not you")) as relay:
        (result,) = (await send(spec_for(relay.port), letters(1))).values()
    assert result == Result(Verdict.DEFERRED, "554 5.7.1 not you", relay_absent=True)


async def test_one_connection_that_hangs_delays_nobody_else() -> None:
    hanging = asyncio.Event()

    class OneHangs(Relay):
        async def _content(self, reader: asyncio.StreamReader, recipient: str) -> str:
            if recipient == "user0@example.com":
                hanging.set()
                await reader.read()
                raise HangUp
            return await super()._content(reader, recipient)

    async with running(OneHangs()) as relay:
        results = await send(spec_for(relay.port, connections=2), letters(40))
    assert hanging.is_set()
    assert verdicts(results).count(Verdict.SENT) == 39
    assert results["user0@example.com"].verdict is Verdict.UNCERTAIN


# --- TLS, with a server that others wrote ---


class Handler:
    def __init__(self) -> None:
        self.recipients: list[str] = []
        self.was_secure: list[bool] = []

    async def handle_DATA(self, _server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        self.recipients += [str(address) for address in envelope.rcpt_tos]
        self.was_secure.append(session.ssl is not None)
        return "250 caught"


@pytest.fixture
def server_tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("relay.test").configure_cert(context)
    return context


async def test_tls_is_used_where_it_is_offered(server_tls: ssl.SSLContext) -> None:
    handler = Handler()
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(handler, hostname="relay.test", tls_context=server_tls), "127.0.0.1", 0
    )
    results = await send(
        Spec(relay=f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}", connections=1), letters(3)
    )
    server.close()
    assert set(verdicts(results)) == {Verdict.SENT}
    assert sorted(handler.recipients) == sorted(results)
    assert all(handler.was_secure)


async def test_smtps_trusts_no_strange_certificate(server_tls: ssl.SSLContext) -> None:
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(Handler(), hostname="relay.test"), "127.0.0.1", 0, ssl=server_tls
    )
    port = server.sockets[0].getsockname()[1]
    fault = await Pool(Spec(relay=f"smtps://127.0.0.1:{port}")).try_relay()
    server.close()
    assert fault is not None
    assert "certificate" in fault.lower()
