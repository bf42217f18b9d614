"""The TCP probe against servers that speak, stay silent or hang up."""

import asyncio
import socket
import struct
from dataclasses import replace
from typing import Any

import pytest

from monitors.probes import Context, Outcome, Verdict, build_spec
from monitors.probes.tcp import check
from statuspage.kernel.errors import Invalid
from statuspage.kernel.net import Network

from .conftest import Authority, Counterparts


async def probe(port: int, context: Context, **keys: Any) -> Outcome:
    return await check(
        build_spec("tcp", {"host": "127.0.0.1", "port": port, **keys}, where="monitor"), context
    )


async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """An SMTP server's first two lines, the first in two parts."""
    writer.write(b"22")
    await writer.drain()
    await asyncio.sleep(0.01)
    writer.write(b"0 mail.example ready\r\n")
    await writer.drain()
    if (await reader.readline()).startswith(b"EHLO"):
        writer.write(b"250 pleased\r\n")
        await writer.drain()
    await asyncio.Event().wait()


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Closes without a word."""


async def stay_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def test_a_port_that_takes_connections_is_ok(counterparts: Counterparts, context: Context) -> None:
    outcome = await probe(await counterparts.serve(stay_silent), context)
    assert (outcome.verdict, outcome.cause) == (Verdict.OK, "")
    assert set(outcome.phases_ms) == {"dns", "connect", "total"}


async def test_what_is_expected_may_come_in_parts_and_after_what_is_sent(
    counterparts: Counterparts, context: Context
) -> None:
    port = await counterparts.serve(greet)
    assert (await probe(port, context, expect=r"^220 \S+ ready")).verdict is Verdict.OK
    assert (await probe(port, context, send="EHLO me\r\n", expect="250 ")).verdict is Verdict.OK


async def test_a_wrong_answer_waits_for_more_until_the_deadline(
    counterparts: Counterparts, context: Context
) -> None:
    outcome = await probe(await counterparts.serve(greet), replace(context, timeout_s=0.2), expect="554")
    assert (outcome.verdict, outcome.cause) == (Verdict.FAILED, "no “554” within 0.2 s")


@pytest.mark.parametrize(
    ("said", "cause"), [(b"", "connection closed without an answer"), (b"no", "answer does not match “220”")]
)
async def test_a_connection_closed_early_is_told(
    counterparts: Counterparts, context: Context, said: bytes, cause: str
) -> None:
    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        writer.close()
        await writer.wait_closed()

    outcome = await probe(await counterparts.serve(say), context, expect="220")
    assert (outcome.verdict, outcome.cause) == (Verdict.FAILED, cause)


async def test_silence_ends_at_the_deadline(counterparts: Counterparts, context: Context) -> None:
    outcome = await probe(
        await counterparts.serve(stay_silent), replace(context, timeout_s=0.2), expect="220"
    )
    assert (outcome.verdict, outcome.cause) == (Verdict.FAILED, "no answer within 0.2 s")


async def test_an_endless_answer_is_cut(counterparts: Counterparts, context: Context) -> None:
    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b"x" * 65_536)
            await writer.drain()

    outcome = await probe(await counterparts.serve(pour), context, expect="220")
    assert outcome.cause == "answer does not match “220”"


async def test_a_reset_is_told(counterparts: Counterparts, context: Context) -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        linger = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()

    outcome = await probe(await counterparts.serve(reset), context, send="EHLO\r\n", expect="220")
    assert (outcome.verdict, outcome.cause) == (Verdict.FAILED, "connection reset")


async def test_nobody_listening_is_connection_refused(context: Context) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        outcome = await probe(free.getsockname()[1], context)
    assert (outcome.verdict, outcome.cause) == (Verdict.FAILED, "connection refused")


async def test_tls_is_spoken_and_verified(
    counterparts: Counterparts, context: Context, authority: Authority
) -> None:
    port = await counterparts.serve(greet, tls=authority.context("127.0.0.1"))
    trusted = await probe(port, context, tls=True, ca_file=authority.file, expect="220")
    assert trusted.verdict is Verdict.OK, trusted.cause
    assert "tls" in trusted.phases_ms
    assert (await probe(port, context, tls=True, verify_tls=False, expect="220")).verdict is Verdict.OK
    unknown = await probe(port, context, tls=True)
    assert unknown.cause == "certificate is not signed by a trusted authority"


async def test_a_server_that_hangs_up_in_the_handshake_is_told(
    counterparts: Counterparts, context: Context
) -> None:
    outcome = await probe(await counterparts.serve(hang_up), context, tls=True)
    assert outcome.verdict is Verdict.FAILED
    assert outcome.cause in ("connection reset", "TLS handshake failed: unexpected eof while reading")


async def test_the_guard_refuses_without_blaming_the_target() -> None:
    outcome = await probe(25, Context(Network(), timeout_s=5))
    assert outcome.verdict is Verdict.UNKNOWN
    assert outcome.cause.startswith("not allowed: ")


@pytest.mark.parametrize(
    ("key", "value"), [("host", "a b"), ("port", 0), ("port", 65_536), ("expect", "("), ("slow_above", "1x")]
)
def test_a_spec_names_the_key_that_is_wrong(key: str, value: object) -> None:
    with pytest.raises(Invalid) as caught:
        build_spec("tcp", {"host": "a.example", "port": 1, key: value}, where="monitor")
    assert caught.value.field == f"monitor.spec.{key}"
