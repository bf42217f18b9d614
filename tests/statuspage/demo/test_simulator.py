"""Every fault of the simulator, seen by a real client over a real connection."""

import asyncio
import ssl
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from monitors.probes import build_spec
from statuspage.demo import simulator as module
from statuspage.demo.simulator import Fault, Simulator, fill, read_services
from statuspage.demo.world import CATALOGUE
from statuspage.kernel.errors import Invalid

SMALL = """
[[services]]
code = "SZPROT"
[[services]]
code = "PUESC"
parents = ["SZPROT"]
[[services]]
code = "NCTS2"
parents = ["PUESC"]
[[services]]
code = "CRPA"
[[monitors]]
service = "PUESC"
kind = "tcp"
[[monitors]]
service = "NCTS2"
kind = "tcp"
[[monitors]]
service = "CRPA"
kind = "heartbeat"
"""


@pytest_asyncio.fixture
async def simulator(tmp_path: Path) -> AsyncIterator[Simulator]:
    running = Simulator(SMALL, tmp_path)
    await running.start()
    yield running
    await running.stop()


async def visit(
    simulator: Simulator, code: str, *, path: str = "/health", timeout: float = 5
) -> httpx.Response:
    trust = ssl.create_default_context(cafile=simulator.ca_file)
    async with httpx.AsyncClient(verify=trust, trust_env=False, timeout=timeout) as client:
        return await client.get(simulator.placeholder(f"{code}.http") + path)


async def greeting(simulator: Simulator, code: str, *, timeout: float = 5) -> str:
    host, port = simulator.placeholder(f"{code}.host"), simulator.placeholder(f"{code}.gateway_port")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        async with asyncio.timeout(timeout):
            return (await reader.readline()).decode().strip()
    finally:
        writer.close()


async def test_a_healthy_portal_answers_over_trusted_tls(simulator: Simulator) -> None:
    response = await visit(simulator, "NCTS2")
    assert response.status_code == 200
    assert response.json()["status"] == "UP"


async def test_a_person_who_opens_the_address_sees_a_page(simulator: Simulator) -> None:
    response = await visit(simulator, "NCTS2", path="/")
    assert "<h1>NCTS2</h1>" in response.text


async def test_503_says_that_the_service_is_unavailable(simulator: Simulator) -> None:
    simulator.break_service("NCTS2", "503")
    assert (await visit(simulator, "NCTS2")).status_code == 503


async def test_timeout_never_answers(simulator: Simulator) -> None:
    simulator.break_service("NCTS2", "timeout")
    with pytest.raises(httpx.ReadTimeout):
        await visit(simulator, "NCTS2", timeout=0.3)


async def test_slow_answers_well_and_late(simulator: Simulator) -> None:
    simulator.break_service("NCTS2", "slow")
    response = await visit(simulator, "NCTS2")
    assert response.status_code == 200
    assert response.elapsed.total_seconds() >= module.SLOW_S


async def test_reset_ends_the_connection_without_an_answer(simulator: Simulator) -> None:
    simulator.break_service("NCTS2", "reset")
    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        await visit(simulator, "NCTS2")


async def test_tls_shows_an_expired_certificate_and_only_there(simulator: Simulator) -> None:
    simulator.break_service("NCTS2", "tls")
    with pytest.raises(httpx.ConnectError, match="expired"):
        await visit(simulator, "NCTS2")
    assert (await visit(simulator, "PUESC")).status_code == 200


async def test_body_answers_200_with_something_else(simulator: Simulator) -> None:
    simulator.break_service("NCTS2", "body")
    response = await visit(simulator, "NCTS2")
    assert response.status_code == 200
    assert "UP" not in response.text


@pytest.mark.parametrize("how", Fault)
async def test_a_restored_service_works_again(simulator: Simulator, how: Fault) -> None:
    simulator.break_service("PUESC", how)
    simulator.restore("PUESC")
    assert (await visit(simulator, "PUESC")).json()["status"] == "UP"
    assert (await greeting(simulator, "PUESC")).startswith("220 ")


async def test_a_gateway_greets_and_answers_commands(simulator: Simulator) -> None:
    host, port = simulator.placeholder("NCTS2.host"), simulator.placeholder("NCTS2.gateway_port")
    reader, writer = await asyncio.open_connection(host, int(port))
    assert (await reader.readline()).startswith(b"220 ")
    writer.write(b"STATUS\r\nWHAT\r\nQUIT\r\n")
    assert [line[:3] for line in (await reader.read()).splitlines()] == [b"250", b"500", b"221"]
    writer.close()


@pytest.mark.parametrize(
    ("how", "begins"), [("503", "421"), ("tls", "220"), ("body", "220"), ("slow", "220")]
)
async def test_a_gateway_breaks_with_its_own_service(simulator: Simulator, how: str, begins: str) -> None:
    simulator.break_service("NCTS2", how)
    assert (await greeting(simulator, "NCTS2")).startswith(begins)


async def test_a_hanging_gateway_never_greets(simulator: Simulator) -> None:
    simulator.break_service("NCTS2", "timeout")
    with pytest.raises(TimeoutError):
        await greeting(simulator, "NCTS2", timeout=0.3)


async def test_a_resetting_gateway_never_greets(simulator: Simulator) -> None:
    simulator.break_service("NCTS2", "reset")
    with pytest.raises(ConnectionResetError):
        await greeting(simulator, "NCTS2")


@pytest.mark.parametrize("broken", ["PUESC", "SZPROT"])
async def test_messages_pass_a_broken_platform_late_while_the_childs_portal_is_quick(
    simulator: Simulator, broken: str
) -> None:
    simulator.break_service(broken, "timeout")
    with pytest.raises(TimeoutError):
        await greeting(simulator, "NCTS2", timeout=module.SLOW_S / 2)
    assert (await greeting(simulator, "NCTS2")).startswith("220 ")
    assert (await visit(simulator, "NCTS2")).status_code == 200


async def test_a_heartbeat_is_sent_fails_and_falls_silent(simulator: Simulator) -> None:
    calls: asyncio.Queue[str] = asyncio.Queue()

    async def receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        calls.put_nowait((await reader.readuntil(b"\r\n\r\n")).decode().split(" ")[1])
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()

    token = simulator.placeholder("CRPA.heartbeat")
    async with await asyncio.start_server(receive, "127.0.0.1", 0) as server:
        simulator.send_heartbeats(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        async with asyncio.timeout(10):
            assert await calls.get() == f"/heartbeat/{token}"
            simulator.break_service("CRPA", "503")
            while await calls.get() != f"/heartbeat/{token}/fail":
                pass


async def test_a_heartbeat_outlives_a_product_that_does_not_listen_yet(simulator: Simulator) -> None:
    arrived = asyncio.Event()

    async def receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrived.set()
        writer.close()

    async with await asyncio.start_server(receive, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
    simulator.send_heartbeats(f"http://127.0.0.1:{port}")
    await asyncio.sleep(0)  # the first call finds nobody
    async with await asyncio.start_server(receive, "127.0.0.1", port), asyncio.timeout(10):
        await arrived.wait()


async def test_breaking_an_unknown_service_names_the_known_ones(simulator: Simulator) -> None:
    with pytest.raises(Invalid, match=r"NCTS3.*known are CRPA, NCTS2, PUESC, SZPROT"):
        simulator.break_service("NCTS3")
    with pytest.raises(Invalid, match="known are 503, timeout, slow, reset, tls, body"):
        simulator.break_service("NCTS2", "sideways")


async def test_nonsense_is_hung_up_on_and_the_next_visitor_served(simulator: Simulator) -> None:
    host, port = simulator.placeholder("NCTS2.host"), simulator.placeholder("NCTS2.portal_port")
    trust = ssl.create_default_context(cafile=simulator.ca_file)
    reader, writer = await asyncio.open_connection(host, int(port), ssl=trust)
    writer.write(b"x" * 100_000)
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError, ssl.SSLError)):
        await reader.readexactly(1)
    writer.transport.abort()
    assert (await visit(simulator, "NCTS2")).status_code == 200


async def test_stopping_while_somebody_waits_is_no_fault(tmp_path: Path) -> None:
    faults: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: faults.append(context))
    simulator = Simulator(SMALL, tmp_path)
    await simulator.start()
    host, port = simulator.placeholder("NCTS2.host"), simulator.placeholder("NCTS2.gateway_port")
    reader, writer = await asyncio.open_connection(host, int(port))
    assert (await reader.readline()).startswith(b"220 ")
    await simulator.stop()
    async with asyncio.timeout(10):
        assert await reader.read() == b""
    writer.close()
    assert faults == []


async def test_certificates_are_made_once(tmp_path: Path) -> None:
    first, second = Simulator(SMALL, tmp_path), Simulator(SMALL, tmp_path)
    await first.start()
    made = first.ca_file.read_bytes()
    await first.stop()
    await second.start()
    assert second.ca_file.read_bytes() == made
    assert (await visit(second, "NCTS2")).status_code == 200
    await second.stop()


async def test_the_demo_catalogue_is_filled_with_addresses_that_answer(tmp_path: Path) -> None:
    text = CATALOGUE.read_text(encoding="utf-8")
    running = Simulator(text, tmp_path)
    await running.start()
    filled = fill(text, running)
    for monitor in tomllib.loads(filled)["monitors"]:
        build_spec(monitor["kind"], monitor["spec"], where=monitor["service"])
    answers = await asyncio.gather(*(visit(running, code) for code in read_services(text)))
    assert {answer.status_code for answer in answers} == {200}
    await running.stop()


async def test_every_service_has_a_host_of_its_own(simulator: Simulator) -> None:
    hosts = {simulator.placeholder(f"{code}.host") for code in simulator.services}
    assert len(hosts) == len(simulator.services)


async def test_a_placeholder_that_is_not_simulated_is_refused(simulator: Simulator) -> None:
    with pytest.raises(Invalid, match=r"SZPROT\.gateway_port"):
        fill('port = "{SZPROT.gateway_port}"', simulator)
