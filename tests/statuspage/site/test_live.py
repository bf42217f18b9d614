"""The live feed over real sockets: uvicorn on loopback, the websockets client, raw sockets, httpx."""

import asyncio
import base64
import json
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import pytest
import uvicorn
import uvloop
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY
from starlette.applications import Starlette
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from statuspage.kernel.config import Server, Settings
from statuspage.site import live as live_module
from statuspage.site.live import Live, Message, event_message, routes, snapshot_message
from statuspage.site.wire import HttpProtocol, WebSocketProtocol, server_options
from tests.statuspage.site import snapshots

PATIENT = 30.0  # seconds after which a test gives up


def settings(**server: Any) -> Settings:
    """Settings with these of the server."""
    return Settings(server=Server(**server))


def news(seq: int, padding: int = 0) -> tuple[int, bytes]:
    """An event."""
    return seq, event_message(seq, "component.updated", {"code": "NCTS2", "padding": "x" * padding})


def state(seq: int) -> bytes:
    """A snapshot with little in it."""
    return json.dumps({"type": "snapshot", "seq": seq}).encode()


def started(seq: int = 0, **options: Any) -> Live:
    """A live feed with a first publication."""
    live = Live(options.pop("settings", settings()), **options)
    live.publish([], state(seq))
    return live


class Host:
    """A running server."""

    def __init__(self, server: uvicorn.Server, port: int) -> None:
        self.server = server
        self.port = port

    def connect(self, query: str = "", **options: Any) -> connect:
        """A WebSocket client."""
        return connect(f"ws://127.0.0.1:{self.port}/live{query}", proxy=None, **options)

    def url(self, query: str = "") -> str:
        """The URL of the event stream."""
        return f"http://127.0.0.1:{self.port}/live/events{query}"


class Brisk(WebSocketProtocol):
    """Does not wait long for a peer to acknowledge the closing."""

    farewell_s = 0.2


@asynccontextmanager
async def hosted(live: Live, **options: Any) -> AsyncIterator[Host]:
    """A real server of the live feed on a loopback port."""
    config = uvicorn.Config(
        Starlette(routes=routes(live)),
        log_config=None,
        lifespan="off",
        timeout_graceful_shutdown=10,
        **(server_options() | options),
    )
    server = uvicorn.Server(config)
    listener = socket.create_server(("127.0.0.1", 0), backlog=100)
    serving = asyncio.create_task(server.serve([listener]))
    try:
        yield Host(server, listener.getsockname()[1])
    finally:
        server.should_exit = True
        await serving


async def eventually(holds: Callable[[], bool]) -> None:
    """Wait until it holds."""
    async with asyncio.timeout(PATIENT):
        while not holds():
            await asyncio.sleep(0.01)


async def received(client: ClientConnection, count: int = 1) -> list[dict[str, Any]]:
    """The next messages."""
    async with asyncio.timeout(PATIENT):
        return [json.loads(await client.recv()) for _ in range(count)]


def seqs(messages: Sequence[dict[str, Any]]) -> list[tuple[str, int]]:
    """Type and number of each."""
    return [(message["type"].partition(".")[0], message["seq"]) for message in messages]


class Impatient(HttpProtocol):
    """Gives whoever sends slowly up at once."""

    patience_s = 0.05


async def test_a_websocket_has_nothing_to_send_and_is_not_hurried() -> None:
    live = started()
    async with hosted(live, http=Impatient) as host, host.connect() as client:
        await received(client)
        await asyncio.sleep(0.2)
        live.publish([news(8)], state(8))
        assert (await received(client))[0]["seq"] == 8


async def silent_reader(port: int, path: str = "/live") -> socket.socket:
    """A connection that has asked for the feed and reads nothing of it."""
    reader = socket.socket()
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    reader.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(reader, ("127.0.0.1", port))
    upgrade = ""
    if path == "/live":
        key = base64.b64encode(os.urandom(16)).decode()
        upgrade = (
            "Upgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
        )
    await loop.sock_sendall(reader, f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{upgrade}\r\n".encode())
    return reader


async def rest(reader: socket.socket) -> bytes:
    """All that still comes, until a close frame or the end of the connection."""
    data = b""
    async with asyncio.timeout(PATIENT):
        while not data.endswith((b"too slow", b"restarting")):
            try:
                part = await asyncio.get_running_loop().sock_recv(reader, 65_536)
            except ConnectionResetError:
                return data
            if not part:
                return data
            data += part
    return data


def frames(data: bytes) -> list[tuple[int, bytes]]:
    """Opcode and payload of each unmasked frame after the handshake's answer (RFC 6455 section 5.2)."""
    data = data.partition(b"\r\n\r\n")[2]
    found = []
    while data:
        size, begin = data[1], 2
        if size == 126:
            size, begin = int.from_bytes(data[2:4]), 4
        elif size == 127:
            size, begin = int.from_bytes(data[2:10]), 10
        found.append((data[0] & 0x0F, data[begin : begin + size]))
        data = data[begin + size :]
    return found


async def publish_to_readers(live: Live, client: ClientConnection, first: int, last: int) -> None:
    """Publish large messages, each after `client` has read the one before."""
    for seq in range(first, last + 1):
        live.publish([news(seq, padding=8000)], state(seq))
        assert seqs(await received(client)) == [("component", seq)]


# --- what is told ---------------------------------------------------------------------------------------


async def test_the_first_message_is_the_state_of_every_service() -> None:
    snapshot = snapshots.one_down()
    live = Live(settings())
    live.publish([], snapshot_message(snapshot, "en"))
    async with hosted(live) as host, host.connect() as client:
        [first] = await received(client)
    assert first["type"] == "snapshot"
    assert first["seq"] == snapshot.seq
    assert first["status"] == {"indicator": "critical", "description": "Major Service Outage"}
    by_code = {component["code"]: component for component in first["components"]}
    assert len(by_code) == 12
    assert by_code["NCTS2"] == {
        "id": snapshots.identifier("svcNCTS2"),
        "code": "NCTS2",
        "name": "NCTS2",
        "status": "major_outage",
    }


async def test_then_comes_what_happens_flat_and_numbered() -> None:
    live = started(7)
    async with hosted(live) as host, host.connect() as client:
        assert seqs(await received(client)) == [("snapshot", 7)]
        live.publish([(8, event_message(8, "incident.created", {"notice_id": "a", "status": "x"}))], state(8))
        assert await received(client) == [
            {"type": "incident.created", "seq": 8, "notice_id": "a", "status": "x"}
        ]


async def test_a_client_resumes_without_a_gap_or_a_repetition() -> None:
    live = started()
    async with hosted(live) as host:
        async with host.connect() as client:
            await received(client)
            live.publish([news(1), news(2)], state(2))
            assert seqs(await received(client, 2)) == [("component", 1), ("component", 2)]
        live.publish([news(3)], state(3))
        live.publish([news(4), news(5)], state(5))
        async with host.connect("?since=2") as client:
            live.publish([news(6)], state(6))
            assert seqs(await received(client, 4)) == [("component", n) for n in (3, 4, 5, 6)]
        async with host.connect("?since=6") as client:
            live.publish([news(7)], state(7))
            assert seqs(await received(client)) == [("component", 7)]


@pytest.mark.parametrize("since", ["1", "99999999", "-1", "x", "", "1" * 40])
async def test_a_place_too_old_or_unknown_gets_a_snapshot(since: str) -> None:
    live = started()
    for seq in range(1, live_module.RING_MESSAGES + 20):
        live.publish([news(seq)], state(seq))
    newest = live_module.RING_MESSAGES + 19
    async with hosted(live) as host, host.connect(f"?since={since}") as client:
        assert seqs(await received(client)) == [("snapshot", newest)]


async def test_what_was_told_is_not_repeated() -> None:
    live = started()
    async with hosted(live) as host, host.connect() as client:
        await received(client)
        live.publish([news(1), news(2)], state(2))
        live.publish([news(1), news(2), news(3)], state(3))
        assert seqs(await received(client, 3)) == [("component", n) for n in (1, 2, 3)]
        live.publish([news(4)], state(4))
        assert seqs(await received(client)) == [("component", 4)]
        async with host.connect("?since=0") as late:
            assert seqs(await received(late, 4)) == [("component", n) for n in (1, 2, 3, 4)]


async def test_a_hole_in_the_messages_is_bridged_by_a_snapshot() -> None:
    live = started()
    async with hosted(live) as host, host.connect() as client:
        await received(client)
        live.publish([news(1)], state(1))
        await received(client)
        live.publish([news(5)], state(4))
        assert seqs(await received(client, 2)) == [("snapshot", 4), ("component", 5)]


class Notebook:
    """A client that notes what it is told, and can stop reading."""

    transport = "test"

    def __init__(self) -> None:
        self.seq = 0
        self.deadline: asyncio.TimerHandle | None = None
        self.is_paused = False
        self.place: int | None = None

    def write(self, messages: Sequence[Message]) -> None:
        """Accept a snapshot, or the message that follows the last one; nothing else."""
        assert not self.is_paused
        for message in messages:
            if b'"snapshot"' in message.event:
                self.place = message.seq
            else:
                assert self.place is not None
                assert message.seq == self.place + 1
                self.place = message.seq

    def end(self, code: int, reason: str) -> None:
        raise AssertionError("nobody waits that long here")


Step = tuple[str, int, int]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["publish", "join", "resume", "pause", "read"]), st.integers(0, 90), st.integers(0, 3)
    ),
    max_size=40,
)


@given(STEPS)
def test_no_order_of_events_makes_a_gap_or_a_repetition(steps: list[Step]) -> None:
    async def play() -> None:
        live = started(stride=2)
        clients: list[Notebook] = []
        seq = 0
        for action, number, lag in steps:
            if action == "publish":
                # Some messages come again; the snapshot may be older or newer than those that come with it.
                messages = [news(n) for n in range(max(1, seq - lag), seq + number + 1)]
                seq += number
                live.publish(messages, state(max(0, seq + lag - 1)))
            elif action in ("join", "resume"):
                client = Notebook()
                since = max(0, seq - number) if action == "resume" else None
                client.place = since
                clients.append(client)
                live.join(client, since)
            elif clients:
                client = clients[number % len(clients)]
                client.is_paused = action == "pause"
                live.catch_up(client)
            for _ in range(lag):
                await asyncio.sleep(0)
        for client in clients:
            client.is_paused = False
            live.catch_up(client)
        live.publish([news(seq + 1)], state(seq + 1))
        for _ in range(len(clients) + 5):
            await asyncio.sleep(0)
        assert all(client.place == seq + 1 for client in clients)
        for client in clients:
            live.leave(client)

    asyncio.run(play())


# --- who does not read (abuse case 29) ------------------------------------------------------------------


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_a_client_that_stops_reading_is_closed_and_others_get_everything(run: Callable[[Any], None]) -> None:
    async def scenario() -> None:
        live = started(patience_s=0.2)
        async with hosted(live) as host, host.connect() as client:
            await received(client)
            with await silent_reader(host.port) as silent:
                await eventually(lambda: len(live) == 2)
                before = REGISTRY.get_sample_value("statuspage_live_too_slow_total") or 0
                await publish_to_readers(live, client, 1, 150)
                await eventually(lambda: len(live) == 1)
                assert REGISTRY.get_sample_value("statuspage_live_too_slow_total") == before + 1
                await publish_to_readers(live, client, 151, 160)
                found = frames(await rest(silent))
        assert found[-1] == (8, (1013).to_bytes(2) + b"too slow")
        told = [json.loads(payload)["seq"] for opcode, payload in found if opcode == 1]
        assert told == list(range(len(told)))
        assert len(told) < 100

    run(scenario())


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_one_that_never_reads_again_is_cut_off(run: Callable[[Any], None]) -> None:
    async def scenario() -> None:
        live = started(patience_s=0.1)
        async with hosted(live, ws=Brisk) as host, host.connect() as client:
            await received(client)
            with await silent_reader(host.port):
                await eventually(lambda: len(host.server.server_state.connections) == 2)
                await publish_to_readers(live, client, 1, 150)
                await eventually(lambda: len(host.server.server_state.connections) == 1)
                await publish_to_readers(live, client, 151, 152)

    run(scenario())


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_one_that_reads_again_in_time_gets_one_snapshot_for_what_it_missed(
    run: Callable[[Any], None],
) -> None:
    async def scenario() -> None:
        live = started(patience_s=PATIENT)
        async with hosted(live) as host, host.connect() as client:
            await received(client)
            with await silent_reader(host.port) as silent:
                await eventually(lambda: len(live) == 2)
                await publish_to_readers(live, client, 1, 150)
                reading = asyncio.create_task(rest(silent))
                await eventually(lambda: all(c.seq == 150 for c in live._clients))
                live.publish([news(151)], state(151))
                live.close()
                told = [json.loads(p) for opcode, p in frames(await reading) if opcode == 1]
        places = seqs(told)
        assert places[-2:] == [("snapshot", 150), ("component", 151)]
        assert [kind for kind, _ in places].count("snapshot") == 2  # the first message, and this one

    run(scenario())


async def test_an_event_stream_that_is_not_read_is_cut_off() -> None:
    live = started(patience_s=0.1)
    async with hosted(live) as host, host.connect() as client:
        await received(client)
        with await silent_reader(host.port, "/live/events") as silent:
            await eventually(lambda: len(live) == 2)
            await publish_to_readers(live, client, 1, 1000)
            await eventually(lambda: len(live) == 1)
            await eventually(lambda: len(host.server.server_state.connections) == 1)
            assert b"id: 1\n" in await rest(silent)


async def test_clients_have_nothing_to_say() -> None:
    live = started()
    async with hosted(live) as host, host.connect() as client:
        await received(client)
        for _ in range(50):
            await client.send("x" * 1000)
        live.publish([news(1)], state(1))
        assert seqs(await received(client)) == [("component", 1)]
        await client.send("x" * 1025)
        with pytest.raises(ConnectionClosed) as closed:
            await received(client)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009


# --- who is not let in (abuse cases 15 and 30) ----------------------------------------------------------


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "http://status.example", "https://status.example.evil.example", "null", "x"],
)
async def test_a_foreign_origin_is_refused_before_the_handshake(origin: str) -> None:
    live = started(settings=settings(base_url="https://status.example"))
    async with hosted(live) as host:
        with pytest.raises(InvalidStatus) as refused:
            await host.connect(origin=origin)
    assert refused.value.response.status_code == 403
    assert len(live) == 0


@pytest.mark.parametrize("origin", [None, "https://status.example", "http://127.0.0.1:{port}"])
async def test_no_origin_and_our_own_are_welcome(origin: str | None) -> None:
    live = started(settings=settings(base_url="https://status.example"))
    async with hosted(live) as host:
        own = origin.format(port=host.port) if origin else None
        async with host.connect(origin=own) as client:
            assert seqs(await received(client)) == [("snapshot", 0)]


async def test_past_the_limit_comes_503_with_a_time_to_come_back() -> None:
    live = started(settings=settings(max_live_clients=2))
    async with hosted(live) as host, httpx.AsyncClient() as http, AsyncExitStack() as stack:
        first = await stack.enter_async_context(host.connect())
        await stack.enter_async_context(http.stream("GET", host.url()))
        await eventually(lambda: len(live) == 2)
        with pytest.raises(InvalidStatus) as refused:
            await host.connect()
        answer = await http.get(host.url())
        for status, headers in (
            (refused.value.response.status_code, refused.value.response.headers),
            (answer.status_code, answer.headers),
        ):
            assert status == 503
            assert 5 <= int(headers["Retry-After"]) <= 30
        assert answer.json()["retry_after_s"] == int(answer.headers["Retry-After"])
        await first.close()
        await eventually(lambda: len(live) == 1)
        async with host.connect() as client:
            assert seqs(await received(client)) == [("snapshot", 0)]


async def test_before_the_first_publication_clients_are_asked_to_come_back() -> None:
    async with hosted(Live(settings())) as host, httpx.AsyncClient() as http:
        assert (await http.get(host.url())).status_code == 503


async def test_the_gauge_counts_who_is_there() -> None:
    def gauge() -> float:
        return REGISTRY.get_sample_value("statuspage_live_clients", {"transport": "websocket"}) or 0

    live, before = started(), gauge()
    async with hosted(live) as host:
        async with host.connect(), host.connect():
            await eventually(lambda: gauge() == before + 2)
        await eventually(lambda: gauge() == before)


# --- server-sent events ---------------------------------------------------------------------------------


@asynccontextmanager
async def event_stream(url: str, **headers: str) -> AsyncIterator[Callable[[], Awaitable[str]]]:
    """An open stream; call what it yields for the next line that is not empty."""
    async with httpx.AsyncClient() as http, http.stream("GET", url, headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["access-control-allow-origin"] == "*"
        lines = answer.aiter_lines()

        async def line() -> str:
            async with asyncio.timeout(PATIENT):
                while not (found := await anext(lines)):
                    pass
            return found

        yield line


async def test_an_event_stream_begins_with_a_snapshot_and_numbers_its_events() -> None:
    live = started(3)
    async with hosted(live) as host, event_stream(host.url()) as line:
        assert 2000 <= int((await line()).removeprefix("retry: ")) <= 10_000
        assert [await line(), await line()] == ["id: 3", 'data: {"type": "snapshot", "seq": 3}']
        live.publish([news(4)], state(4))
        assert await line() == "id: 4"
        assert json.loads((await line()).removeprefix("data: "))["type"] == "component.updated"


async def test_a_browser_resumes_by_its_last_event_id_whatever_its_url_says() -> None:
    live = started()
    live.publish([news(n) for n in range(1, 6)], state(5))
    headers = {"Last-Event-ID": "4"}
    async with hosted(live) as host, event_stream(host.url("?since=1"), **headers) as line:
        await line()
        assert await line() == "id: 5"
        await line()
        live.publish([news(6)], state(6))
        assert await line() == "id: 6"


async def test_a_quiet_event_stream_is_kept_alive_by_comments() -> None:
    live = started(heartbeat_s=0.05)
    async with hosted(live) as host, event_stream(host.url()) as line:
        assert [await line() for _ in range(5)][3:] == [": still here", ": still here"]
        live.publish([news(1)], state(1))
        async with asyncio.timeout(PATIENT):
            while await line() != "id: 1":
                pass


async def test_a_reader_that_leaves_is_forgotten() -> None:
    live = started()
    async with hosted(live) as host:
        async with event_stream(host.url()) as line:
            await line()
            await eventually(lambda: len(live) == 1)
        await eventually(lambda: len(live) == 0)


async def test_head_answers_without_staying() -> None:
    live = started()
    async with hosted(live) as host, httpx.AsyncClient() as http:
        answer = await http.head(host.url())
        assert answer.status_code == 200
        assert len(live) == 0


# --- the end --------------------------------------------------------------------------------------------


async def test_a_stopping_server_sends_everybody_away() -> None:
    live = started()
    async with AsyncExitStack() as stack:
        async with hosted(live) as host:
            client = await stack.enter_async_context(host.connect())
            line = await stack.enter_async_context(event_stream(host.url()))
            await received(client)
            await eventually(lambda: len(live) == 2)
        assert len(live) == 0
        with pytest.raises(ConnectionClosed) as closed:
            await received(client)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012
        left = [await line() for _ in range(3)]
        assert left[-1].startswith("data: ")
        with pytest.raises(StopAsyncIteration):
            await line()
