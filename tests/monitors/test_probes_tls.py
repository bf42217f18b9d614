"""The TLS probe against certificates that hold, end soon, ended, or are for somebody else."""

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from monitors.probes import Context, Outcome, Verdict, build_spec
from monitors.probes.tls import Spec, check, judge
from statuspage.kernel import clock
from statuspage.kernel.errors import Invalid
from statuspage.kernel.net import Network

from .conftest import Authority, Counterparts

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def probe(port: int, context: Context, **keys: Any) -> Outcome:
    return await check(
        build_spec("tls", {"host": "127.0.0.1", "port": port, **keys}, where="monitor"), context
    )


async def test_a_certificate_that_holds_is_ok_and_tells_its_end(
    counterparts: Counterparts, context: Context, authority: Authority
) -> None:
    ends_at = datetime(2999, 5, 6, 7, 8, 9, tzinfo=UTC)
    port = await counterparts.serve(hold, tls=authority.context("127.0.0.1", expires_at=ends_at))
    outcome = await probe(port, context, ca_file=authority.file)
    assert (outcome.verdict, outcome.cause) == (Verdict.OK, "")
    assert outcome.facts == {
        "certificate_expires_at": "2999-05-06T07:08:09+00:00",
        "certificate_names": "127.0.0.1",
    }
    assert set(outcome.phases_ms) == {"dns", "connect", "tls", "total"}


async def test_a_certificate_that_ends_soon_is_slow_then_failed(
    counterparts: Counterparts, context: Context, authority: Authority
) -> None:
    ends_at = clock.now() + timedelta(days=5, hours=1)
    port = await counterparts.serve(hold, tls=authority.context("127.0.0.1", expires_at=ends_at))
    soon = await probe(port, context, ca_file=authority.file)
    assert (soon.verdict, soon.cause) == (Verdict.SLOW, "certificate expires in 5 days")
    too_soon = await probe(port, context, ca_file=authority.file, fail_days_left=7)
    assert (too_soon.verdict, too_soon.cause) == (Verdict.FAILED, "certificate expires in 5 days")


async def test_an_expired_certificate_fails_and_tells_since_when(
    counterparts: Counterparts, context: Context, authority: Authority, expired: ssl.SSLContext
) -> None:
    outcome = await probe(await counterparts.serve(hold, tls=expired), context, ca_file=authority.file)
    assert (outcome.verdict, outcome.cause) == (Verdict.FAILED, "certificate expired 3 days ago")
    assert datetime.fromisoformat(outcome.facts["certificate_expires_at"]) < clock.now()


async def test_a_certificate_for_another_host_fails_and_tells_the_names(
    counterparts: Counterparts, context: Context, authority: Authority
) -> None:
    port = await counterparts.serve(hold, tls=authority.context("portal.example", "www.portal.example"))
    wrong = await probe(port, context, ca_file=authority.file)
    assert (wrong.verdict, wrong.cause) == (Verdict.FAILED, "certificate is not for 127.0.0.1")
    assert wrong.facts["certificate_names"] == "portal.example, www.portal.example"
    named = await probe(port, context, ca_file=authority.file, server_name="www.portal.example")
    assert named.verdict is Verdict.OK


async def test_a_certificate_of_an_unknown_authority_fails(
    counterparts: Counterparts, context: Context, authority: Authority
) -> None:
    outcome = await probe(await counterparts.serve(hold, tls=authority.context("127.0.0.1")), context)
    assert outcome.cause == "certificate is not signed by a trusted authority"


async def test_a_server_without_tls_fails(counterparts: Counterparts, context: Context) -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ready\r\n")
        await reader.read()

    outcome = await probe(await counterparts.serve(greet), context)
    assert (outcome.verdict, outcome.cause) == (Verdict.FAILED, "TLS handshake failed: wrong version number")


async def test_a_handshake_that_never_ends_meets_the_deadline(
    counterparts: Counterparts, network: Network
) -> None:
    outcome = await probe(await counterparts.serve(hold), Context(network, timeout_s=0.2))
    assert outcome.cause == "no end of the TLS handshake within 0.2 s"


@pytest.mark.parametrize(
    ("days_left", "verdict", "cause"),
    [
        (30, Verdict.OK, ""),
        (14, Verdict.OK, ""),
        (13, Verdict.SLOW, "certificate expires in 13 days"),
        (3, Verdict.SLOW, "certificate expires in 3 days"),
        (1, Verdict.FAILED, "certificate expires in 1 day"),
        (-1, Verdict.FAILED, "certificate expired"),
    ],
)
def test_days_left_are_judged(days_left: int, verdict: Verdict, cause: str) -> None:
    spec = Spec("a.example", fail_days_left=3)
    assert judge(spec, NOON + timedelta(days=days_left, minutes=1), NOON) == (verdict, cause)


@pytest.mark.parametrize(
    ("key", "value"), [("host", "a b"), ("port", 0), ("server_name", "a/b"), ("fail_days_left", 15)]
)
def test_a_spec_names_the_key_that_is_wrong(key: str, value: object) -> None:
    with pytest.raises(Invalid) as caught:
        build_spec("tls", {"host": "a.example", key: value}, where="monitor")
    assert caught.value.field == f"monitor.spec.{key}"
