"""What every kind of probe keeps to, and that a new kind is one new file."""

import asyncio
import socket
import struct
import sys
from collections.abc import Iterator
from dataclasses import FrozenInstanceError, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from monitors import probes
from monitors.probes import Beats, Context, Outcome, Verdict, build_spec, kinds
from statuspage.kernel import clock
from statuspage.kernel.build import describe
from statuspage.kernel.errors import Invalid
from statuspage.kernel.net import Network

from .conftest import Behaviour, Counterparts

KINDS = sorted(kinds())
GUIDE = Path(__file__).parents[2] / "docs" / "adding-a-probe.md"


def example(kind: str, port: int) -> dict[str, Any]:
    """A spec of any kind whose target is that port of loopback."""
    values = {
        "url": f"http://127.0.0.1:{port}/",
        "host": "127.0.0.1",
        "port": port,
        "expect": "ready",
        "period": "1h",
        "name": "a.example",
    }
    return {f.name: values[f.name] for f in fields(kinds()[kind].spec) if f.name in values}


SENDING = [kind for kind in KINDS if example(kind, 1).keys() & {"url", "host"}]


async def check(kind: str, port: int, context: Context) -> Outcome:
    """The outcome; raises TimeoutError where the probe does not keep its deadline."""
    async with asyncio.timeout(context.timeout_s + 1):
        return await kinds()[kind].check(build_spec(kind, example(kind, port), where="monitor"), context)


async def stay_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)


async def talk_nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(bytes(range(256)) * 4)
    await writer.drain()
    await reader.read()


async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"\x80" * 65_536)
        await writer.drain()


@pytest.fixture
def pushed(context: Context) -> Context:
    """A context in which also a kind that is pushed to has a fault to tell."""
    now = clock.now()
    return replace(context, timeout_s=0.3, beats=Beats(now, last_fail_at=now), now=now)


def test_the_kinds_of_the_product_are_found() -> None:
    assert set(KINDS) >= {"http", "tcp", "tls", "heartbeat"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_spec_is_frozen_and_every_field_is_described(kind: str) -> None:
    spec = kinds()[kind].spec
    assert is_dataclass(spec)
    built = build_spec(kind, example(kind, 1), where="monitor")
    with pytest.raises(FrozenInstanceError):
        setattr(built, fields(spec)[0].name, "other")
    described = {key.name: key.description for key in describe(spec)}
    assert [f.name for f in fields(spec) if not described.get(f.name, "").endswith(".")] == []


@pytest.mark.parametrize("kind", KINDS)
def test_an_unknown_key_is_refused_by_name(kind: str) -> None:
    with pytest.raises(Invalid, match="unknown key") as caught:
        build_spec(kind, {**example(kind, 1), "colour": "red"}, where="monitors[3]")
    assert caught.value.field == "monitors[3].spec.colour"


@pytest.mark.parametrize("behaviour", [stay_silent, hang_up, talk_nonsense, pour])
@pytest.mark.parametrize("kind", KINDS)
async def test_a_targets_fault_is_an_outcome_in_time(
    kind: str, behaviour: Behaviour, counterparts: Counterparts, pushed: Context
) -> None:
    outcome = await check(kind, await counterparts.serve(behaviour), pushed)
    assert outcome.verdict is Verdict.FAILED
    assert 0 < len(outcome.cause) <= 120
    assert outcome.cause.isprintable()


@pytest.mark.parametrize("kind", KINDS)
async def test_a_target_that_is_not_there_is_an_outcome(kind: str, pushed: Context) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        outcome = await check(kind, free.getsockname()[1], pushed)
    assert outcome.verdict is Verdict.FAILED


@pytest.mark.parametrize("kind", SENDING)
async def test_what_the_guard_refuses_is_unknown(kind: str) -> None:
    outcome = await check(kind, 1, Context(Network(), timeout_s=1))
    assert outcome.verdict is Verdict.UNKNOWN
    assert outcome.cause.startswith("not allowed: ")


@pytest.mark.parametrize("kind", SENDING)
async def test_an_error_of_our_own_is_never_the_targets_fault(kind: str, pushed: Context) -> None:
    """A fault inside the network layer, as a defect would be, comes out as the exception that it is."""

    async def break_down(host: str, port: int) -> list[str]:
        raise RuntimeError("a defect")

    context = replace(pushed, network=Network(resolve=break_down))
    example_of_name = {**example(kind, 80), "url": "http://a.example/", "host": "a.example"}
    known = {f.name for f in fields(kinds()[kind].spec)}
    spec = build_spec(kind, {k: v for k, v in example_of_name.items() if k in known}, where="monitor")
    with pytest.raises(RuntimeError):
        await kinds()[kind].check(spec, context)


@pytest.fixture
def guided(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The kind that the guide adds, from one new file with the guide's code."""
    code = GUIDE.read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]
    (tmp_path / "resolver.py").write_text(code, encoding="utf-8")
    monkeypatch.setattr(probes, "__path__", [*probes.__path__, str(tmp_path)])
    monkeypatch.setattr(probes, "_kinds", dict(probes._kinds))
    yield "resolver"
    del sys.modules["monitors.probes.resolver"]


async def test_a_monitor_of_a_new_kind_is_one_new_file(
    guided: str, counterparts: Counterparts, context: Context
) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        (length,) = struct.unpack(">H", await reader.readexactly(2))
        query = await reader.readexactly(length)
        known = b"\x06portal\x07example\x00" in query
        head = struct.pack(">HHHHHH", 1, 0x8180 if known else 0x8183, 1, int(known), 0, 0)
        writer.write(struct.pack(">H", len(head)) + head)
        await writer.drain()

    port = await counterparts.serve(answer)
    target = {"host": "127.0.0.1", "port": port}
    run = kinds()[guided].check
    right = await run(build_spec(guided, {**target, "name": "portal.example"}, where="monitor"), context)
    assert (right.verdict, right.cause) == (Verdict.OK, "")
    wrong = await run(build_spec(guided, {**target, "name": "other.example"}, where="monitor"), context)
    assert (wrong.verdict, wrong.cause) == (Verdict.FAILED, "other.example not found (code 3)")
    with pytest.raises(Invalid, match=r"monitor\.spec\.name"):
        build_spec(guided, {**target, "name": "a..b"}, where="monitor")


@pytest.mark.parametrize("behaviour", [stay_silent, hang_up])
async def test_the_new_kind_keeps_the_contract(
    guided: str, behaviour: Behaviour, counterparts: Counterparts, pushed: Context
) -> None:
    test_a_spec_is_frozen_and_every_field_is_described(guided)
    test_an_unknown_key_is_refused_by_name(guided)
    await test_a_targets_fault_is_an_outcome_in_time(guided, behaviour, counterparts, pushed)
    await test_what_the_guard_refuses_is_unknown(guided)


def test_an_unknown_kind_is_refused_with_the_known_ones() -> None:
    with pytest.raises(Invalid, match="there are heartbeat, http, tcp, tls") as caught:
        build_spec("carrier-pigeon", {}, where="monitors[0]")
    assert caught.value.field == "monitors[0].kind"
