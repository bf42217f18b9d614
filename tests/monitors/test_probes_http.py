"""The HTTP probe against servers that do what servers do on bad days."""

import asyncio
import gzip
import json
import socket
import ssl
import struct
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from monitors.probes import Context, Outcome, Verdict, build_spec
from monitors.probes.http import Spec, check, judge
from statuspage.kernel.errors import Invalid
from statuspage.kernel.exchange import MAX_BODY_BYTES, Answer, parse_url
from statuspage.kernel.net import Network

from .conftest import Authority, Counterparts

PAGE = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n" + b'{"status": "UP"}'
)


def respond(status: str, body: bytes = b"", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


async def probe(port: int, context: Context, *, scheme: str = "http", **keys: Any) -> Outcome:
    spec = build_spec("http", {"url": f"{scheme}://127.0.0.1:{port}/health", **keys}, where="monitor")
    return await check(spec, context)


async def test_a_right_answer_is_ok_with_its_phases(counterparts: Counterparts, context: Context) -> None:
    outcome = await probe(await counterparts.answer(PAGE), context, body_contains='"UP"')
    assert (outcome.verdict, outcome.cause) == (Verdict.OK, "")
    assert outcome.facts == {"status": "200"}
    assert set(outcome.phases_ms) == {"dns", "connect", "first_byte", "total"}
    assert outcome.latency_ms == outcome.phases_ms["total"]
    assert sum(outcome.phases_ms[p] for p in ("dns", "connect", "first_byte")) <= outcome.phases_ms["total"]


@pytest.mark.parametrize(
    ("answer", "keys", "cause"),
    [
        (respond("503 Busy"), {}, "HTTP 503"),
        (respond("404 No"), {"status": [200, "300-499"]}, None),
        (respond("301 Away", b"", "Location: /on"), {"follow_redirects": False}, "HTTP 301"),
        (respond("301 Away", b"", "Location: /on"), {"follow_redirects": False, "status": [301]}, None),
        (respond("200 OK", b"starting"), {"body_contains": "ready"}, "body lacks “ready”"),
        (respond("200 OK", b"fatal error"), {"body_not_contains": "error"}, "body has “error”"),
        (respond("200 OK", b"v1.2"), {"body_regex": r"v2\.\d"}, r"body does not match “v2\.\d”"),
        (respond("200 OK", b"a\nv2.7"), {"body_regex": r"v2\.\d"}, None),
        (respond("200 OK", b"<html>"), {"json": ["$.status"]}, "body is not JSON"),
        (respond("200 OK", b"[" * 100_000), {"json": ["$.status"]}, "body is not JSON"),
        (PAGE, {"json": ["$.status == 'UP'"]}, None),
        (PAGE, {"json": ["$.status == 'DOWN'"]}, "“$.status == 'DOWN'” does not hold"),
        (
            respond("200 OK", gzip.compress(b"ready", mtime=0), "Content-Encoding: gzip"),
            {"body_contains": "ready"},
            None,
        ),
        (
            respond("200 OK", "gęś".encode("iso-8859-2"), "Content-Type: text/plain; charset=ISO-8859-2"),
            {"body_contains": "gęś"},
            None,
        ),
        (respond("200 OK", b"x", "Content-Type: text/plain; charset=punycode"), {"body_contains": "x"}, None),
        (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", {"body_contains": "end"}, None),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nready\r\n0\r\nX-Trailer: 1\r\n\r\n",
            {"body_contains": "ready"},
            None,
        ),
        (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + PAGE, {"body_contains": "UP"}, None),
        (b"HTTP/1.1 204 No Content\r\n\r\n", {}, None),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", {"method": "HEAD"}, None),
        (b"SSH-2.0-OpenSSH_9.2\r\n", {}, "the answer is not valid HTTP"),
        (b"", {}, "connection closed without an answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", {}, "connection closed in the middle of the answer"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhalf",
            {},
            "connection closed in the middle of the answer",
        ),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000, {}, "the answer's headers are larger than 64 KiB"),
        (respond("200 OK", b"not gzip at all", "Content-Encoding: gzip"), {}, "the body is not valid gzip"),
        (
            respond("200 OK", gzip.compress(b"ready" * 9, mtime=0)[:-12], "Content-Encoding: gzip"),
            {},
            "the gzip body ends too early",
        ),
        (
            respond("200 OK", b"x", "Content-Encoding: br"),
            {},
            "the body is compressed in a way that was not asked for",
        ),
    ],
)
async def test_an_answer_is_judged(
    counterparts: Counterparts, context: Context, answer: bytes, keys: dict[str, Any], cause: str | None
) -> None:
    outcome = await probe(await counterparts.answer(answer), context, **keys)
    assert outcome.cause == (cause or "")
    assert outcome.verdict is (Verdict.FAILED if cause else Verdict.OK)


async def test_headers_and_body_arrive_as_given(counterparts: Counterparts, context: Context) -> None:
    heard = bytearray()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.extend(await reader.readuntil(b"\r\n\r\n"))
        heard.extend(await reader.readexactly(8))
        writer.write(PAGE)
        await writer.drain()

    port = await counterparts.serve(listen)
    outcome = await probe(
        port, context, method="POST", body="zażół", headers={"X-Key": "k", "host": "portal.example"}
    )
    assert outcome.verdict is Verdict.OK
    head, _, body = bytes(heard).partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /health HTTP/1.1"
    assert {"X-Key: k", "host: portal.example", "Content-Length: 8", "Connection: close"} <= set(lines)
    assert not any(line.startswith("Host:") for line in lines)
    assert body == "zażół".encode()


async def test_nobody_listening_is_connection_refused(context: Context) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        outcome = await probe(free.getsockname()[1], context)
    assert (outcome.verdict, outcome.cause) == (Verdict.FAILED, "connection refused")
    assert outcome.latency_ms is not None


async def test_a_reset_in_mid_body_is_told(counterparts: Counterparts, context: Context) -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhalf")
        await writer.drain()
        linger = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()

    outcome = await probe(await counterparts.serve(reset), context)
    assert (outcome.verdict, outcome.cause) == (Verdict.FAILED, "connection reset")


async def test_silence_ends_at_the_deadline(counterparts: Counterparts, context: Context) -> None:
    async def stay_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    outcome = await probe(await counterparts.serve(stay_silent), replace(context, timeout_s=0.2))
    assert (outcome.verdict, outcome.cause) == (Verdict.FAILED, "no answer within 0.2 s")


async def test_a_drip_feed_ends_at_the_same_deadline(counterparts: Counterparts, context: Context) -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.01)

    outcome = await probe(await counterparts.serve(drip), replace(context, timeout_s=0.2))
    assert (outcome.verdict, outcome.cause) == (Verdict.FAILED, "no complete answer within 0.2 s")


@pytest.mark.parametrize("is_gzip", [False, True])
async def test_an_endless_body_is_cut_at_the_limit(
    counterparts: Counterparts, context: Context, *, is_gzip: bool
) -> None:
    """Abuse case 4: an endless stream, and a bomb that unpacks to 60 MB."""
    bomb = gzip.compress(b"\0" * 60_000_000, compresslevel=1) if is_gzip else b""

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n" + b"Content-Encoding: gzip\r\n" * is_gzip + b"\r\n")
        while True:
            writer.write(bomb or b"x" * 65_536)
            await writer.drain()

    port = await counterparts.serve(pour)
    outcome = await probe(port, context, body_contains="ready")
    assert (outcome.verdict, outcome.cause) == (Verdict.FAILED, "body is larger than 1 MiB")
    assert (await probe(port, context)).verdict is Verdict.OK
    answer = await context.network.request("GET", f"http://127.0.0.1:{port}/", timeout_s=5)
    assert answer.is_cut
    assert len(answer.body) == MAX_BODY_BYTES


async def test_endless_chunk_framing_is_cut_too(counterparts: Counterparts, context: Context) -> None:
    async def frame(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;")
        while True:
            writer.write(b"extension" * 6_000)
            await writer.drain()

    outcome = await probe(await counterparts.serve(frame), context, body_contains="x")
    assert outcome.cause == "body is larger than 1 MiB"


async def test_redirects_are_followed_and_counted(counterparts: Counterparts, context: Context) -> None:
    """Abuse case 3: at most five hops."""
    paths: list[bytes] = []

    async def redirect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1]
        paths.append(path)
        step = int(path.rpartition(b"/")[2] or 0)
        writer.write(
            PAGE if step == 5 and b"ends" in path else respond("302 On", b"", f"Location: {step + 1}")
        )
        await writer.drain()

    port = await counterparts.serve(redirect)
    ends = build_spec("http", {"url": f"http://127.0.0.1:{port}/ends/0"}, where="monitor")
    assert (await check(ends, context)).verdict is Verdict.OK
    paths.clear()
    loops = build_spec("http", {"url": f"http://127.0.0.1:{port}/loops/0"}, where="monitor")
    outcome = await check(loops, context)
    assert (outcome.verdict, outcome.cause) == (Verdict.FAILED, "more than 5 redirects")
    assert len(paths) == 6


@pytest.mark.parametrize(
    "location",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://[::ffff:10.0.0.1]/",
        "file:///etc/passwd",
        "gopher://a/",
    ],
)
async def test_a_redirect_inwards_is_refused_and_says_nothing_of_the_target(
    counterparts: Counterparts, context: Context, location: str
) -> None:
    """Abuse case 3: each hop is checked anew; the guard's refusal is UNKNOWN, never an outage."""
    outcome = await probe(await counterparts.answer(respond("302 On", b"", f"Location: {location}")), context)
    assert outcome.verdict is Verdict.UNKNOWN
    assert outcome.cause.startswith("not allowed: ")


async def test_a_private_target_is_refused_without_an_allowance() -> None:
    outcome = await probe(80, Context(Network(), timeout_s=5))
    assert outcome.verdict is Verdict.UNKNOWN
    assert "internal address 127.0.0.1" in outcome.cause


async def test_https_is_verified_and_tells_when_the_certificate_ends(
    counterparts: Counterparts, context: Context, authority: Authority
) -> None:
    port = await counterparts.answer(PAGE, tls=authority.context("127.0.0.1"))
    outcome = await probe(port, context, scheme="https", ca_file=authority.file)
    assert outcome.verdict is Verdict.OK, outcome.cause
    assert "tls" in outcome.phases_ms
    assert outcome.facts["certificate_expires_at"] == "3000-01-01T00:00:00+00:00"


async def test_a_certificate_that_does_not_hold_is_the_cause(
    counterparts: Counterparts, context: Context, authority: Authority, expired: ssl.SSLContext
) -> None:
    old = await counterparts.answer(PAGE, tls=expired)
    other = await counterparts.answer(PAGE, tls=authority.context("portal.example"))
    outcomes = [
        await probe(old, context, scheme="https", ca_file=authority.file),
        await probe(other, context, scheme="https", ca_file=authority.file),
        await probe(other, context, scheme="https"),
    ]
    assert [outcome.cause for outcome in outcomes] == [
        "certificate expired 3 days ago",
        "certificate is not for 127.0.0.1",
        "certificate is not signed by a trusted authority",
    ]
    assert {outcome.verdict for outcome in outcomes} == {Verdict.FAILED}
    assert (await probe(old, context, scheme="https", verify_tls=False)).verdict is Verdict.OK


async def test_plain_http_on_the_tls_port_is_told(counterparts: Counterparts, context: Context) -> None:
    async def speak_plainly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(respond("400 Bad Request"))
        await writer.drain()

    outcome = await probe(await counterparts.serve(speak_plainly), context, scheme="https")
    assert (outcome.verdict, outcome.cause) == (Verdict.FAILED, "TLS handshake failed: wrong version number")


async def test_a_missing_authority_file_is_our_fault(
    counterparts: Counterparts, context: Context, authority: Authority
) -> None:
    port = await counterparts.answer(PAGE, tls=authority.context("127.0.0.1"))
    with pytest.raises(Invalid, match="ca_file"):
        await probe(port, context, scheme="https", ca_file="missing.pem")


@pytest.mark.parametrize(
    ("total_ms", "slow_above", "verdict", "cause"),
    [
        (900.0, None, Verdict.OK, ""),
        (900.0, timedelta(seconds=1), Verdict.OK, ""),
        (1260.0, timedelta(seconds=1), Verdict.SLOW, "answer after 1.3 s"),
    ],
)
def test_a_right_but_late_answer_is_slow(
    total_ms: float, slow_above: timedelta | None, verdict: Verdict, cause: str
) -> None:
    spec = Spec("http://a.example/", slow_above=slow_above)
    outcome = judge(spec, Answer(200, (), b"", parse_url(spec.url), phases_ms={"total": total_ms}))
    assert (outcome.verdict, outcome.cause) == (verdict, cause)


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("url", "ftp://a.example/", "write it as http"),
        ("url", "http://user:pass@a.example/", "no user or password"),
        ("url", "http://a.example/\r\nX: y", "control characters"),
        ("url", "http://a.example\\@b.example/", "backslashes"),
        ("url", "http://a.example:99999/", "Port out of range"),
        ("method", "GET /", "matching regex"),
        ("headers", {"X": "a\r\nY: b"}, "cannot carry"),
        ("headers", {"X\r\nY": "b"}, "not a header name"),
        ("status", ["2xx"], "not a status or range"),
        ("status", ["299-200"], "not a status or range"),
        ("status", [], "length"),
        ("body_regex", "(", "missing \\)"),
        ("json", ["$.a = 1"], "not a condition"),
        ("slow_above", "soon", "not a duration"),
    ],
)
def test_a_spec_names_the_key_that_is_wrong(key: str, value: object, reason: str) -> None:
    with pytest.raises(Invalid, match=reason) as caught:
        build_spec("http", {"url": "http://a.example/", key: value}, where="monitors[2]")
    assert caught.value.field == f"monitors[2].spec.{key}"


async def test_a_pattern_that_explodes_elsewhere_is_linear_here(
    counterparts: Counterparts, context: Context
) -> None:
    body = b"a" * (MAX_BODY_BYTES - 1)
    port = await counterparts.answer(respond("200 OK", body))
    outcome = await probe(port, context, body_regex="(a*)*b")
    assert outcome.cause == "body does not match “(a*)*b”"


async def test_a_hundred_probes_share_a_loop_without_mixing_answers(
    counterparts: Counterparts, context: Context
) -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1]
        writer.write(respond("200 OK", json.dumps({"path": path.decode()}).encode()))
        await writer.drain()

    port = await counterparts.serve(echo)
    specs = [Spec(f"http://127.0.0.1:{port}/{n}", json=(f"$.path == '/{n}'",)) for n in range(100)]
    outcomes = await asyncio.gather(*(check(spec, context) for spec in specs))
    assert {outcome.verdict for outcome in outcomes} == {Verdict.OK}
