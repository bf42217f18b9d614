"""Fan-out of the live feed beside `websockets.broadcast`: the same clients, one server at a time.

Prints one JSON line per figure. `messages` counts deliveries: one message to 5,000 clients is 5,000.
"""

import argparse
import asyncio
import base64
import json
import os
import resource
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import psutil
import uvloop

from tests.bench.figures import figure

CLIENTS = 5000
ROUNDS = 20
STALLED = 20
STALL_CLIENTS = 500
STALL_ROUNDS = 100
STALL_BYTES = 8000


def raise_file_limit() -> None:
    """A connection is a file descriptor."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def pin(core: int) -> None:
    """A core each, where there are two."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[core % len(cores)]})


def message_text(seq: int, size: int) -> bytes:
    """An event of about `size` bytes; always the same length, so that bytes count messages."""
    payload = {"id": "c" * 12, "code": "NCTS2", "old_status": "operational", "new_status": "major_outage"}
    fixed = {"type": "component.updated", "seq": 1_000_000 + seq, **payload}
    text = json.dumps(fixed)
    return json.dumps({**fixed, "name_pl": "x" * max(0, size - len(text) - 15)}).encode()


# --- the servers: told by a line on stdin what to publish -----------------------------------------------


async def obey(publish: Callable[[int, int], None]) -> None:
    """Each line `SEQ SIZE` publishes; returns at the end of input."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        seq, size = line.split()
        publish(int(seq), int(size))


async def serve_ours() -> None:
    """The live feed's own route in a Starlette application under uvicorn."""
    import uvicorn
    from starlette.applications import Starlette

    from statuspage.kernel.config import Settings
    from statuspage.site.live import Live, routes
    from statuspage.site.wire import server_options

    live = Live(Settings())
    live.publish([], json.dumps({"type": "snapshot", "seq": 0}).encode())
    app = Starlette(routes=routes(live))
    options = server_options() | {"ws_ping_interval": 600.0}  # these clients do not answer pings
    config = uvicorn.Config(app, log_level="error", lifespan="off", **options)
    server = uvicorn.Server(config)
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    print(listener.getsockname()[1], flush=True)

    def publish(seq: int, size: int) -> None:
        live.publish([(seq, message_text(seq, size))], json.dumps({"type": "snapshot", "seq": seq}).encode())

    serving = asyncio.create_task(server.serve([listener]))
    await obey(publish)
    server.force_exit = server.should_exit = True
    await serving


async def serve_peer() -> None:
    """The websockets library's own server and `broadcast`."""
    from websockets.asyncio.server import ServerConnection, broadcast, serve

    async def wait(connection: ServerConnection) -> None:
        await connection.send(json.dumps({"type": "snapshot", "seq": 0}))
        await connection.wait_closed()

    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    async with serve(wait, sock=listener, backlog=4096, compression=None, ping_interval=600) as server:
        print(listener.getsockname()[1], flush=True)
        await obey(lambda seq, size: broadcast(server.connections, message_text(seq, size).decode()))
        os._exit(0)


# --- the clients: raw sockets, so that they cost less than the servers ----------------------------------


class Reader(asyncio.Protocol):
    """One client; counts bytes after the handshake."""

    def __init__(self, crowd: "Crowd") -> None:
        self.crowd = crowd
        self.head: bytes | None = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        key = base64.b64encode(secrets.token_bytes(16)).decode()
        transport.write(
            f"GET /live HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        if self.head is None:
            self.crowd.count(len(data))
            return
        self.head += data
        if b'"seq": 0}' in self.head:  # the whole first message has arrived
            self.head = None
            self.crowd.arrived()


class Crowd:
    """Clients of one server, and what they have received together."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.readers: list[Reader] = []
        self.ready = self.received = self.target = 0
        self.changed = asyncio.Event()

    def arrived(self) -> None:
        self.ready += 1
        self.changed.set()

    def count(self, size: int) -> None:
        self.received += size
        if self.received >= self.target:
            self.changed.set()

    async def gather(self, size: int) -> None:
        """Connect `size` clients, a hundred at a time, and wait until each has its first message."""
        loop = asyncio.get_running_loop()
        for start in range(0, size, 100):
            batch = range(start, min(size, start + 100))
            pairs = await asyncio.gather(
                *(loop.create_connection(lambda: Reader(self), "127.0.0.1", self.port) for _ in batch)
            )
            self.readers += [reader for _, reader in pairs]
        while self.ready < size:
            self.changed.clear()
            await asyncio.wait_for(self.changed.wait(), 20)

    async def expect(self, size: int) -> float:
        """Wait until `size` more bytes came; returns the seconds it took."""
        started = time.perf_counter()
        self.target += size
        while self.received < self.target:
            self.changed.clear()
            await asyncio.wait_for(self.changed.wait(), 20)
        return time.perf_counter() - started


def frame_size(text: bytes) -> int:
    """Bytes on the wire of an unmasked frame."""
    return len(text) + (2 if len(text) < 126 else 4)


class Server:
    """A server process."""

    def __init__(self, kind: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.bench_live", "--serve", kind],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())
        self.info = psutil.Process(self.process.pid)
        self.seq = 0

    def publish(self, size: int) -> int:
        """Publish one message; returns its size on the wire."""
        self.seq += 1
        assert self.process.stdin is not None
        self.process.stdin.write(b"%d %d\n" % (self.seq, size))
        self.process.stdin.flush()
        return frame_size(message_text(self.seq, size))

    def cpu_s(self) -> float:
        """Processor time used so far, in seconds."""
        times = self.info.cpu_times()
        return float(times.user + times.system)

    def stop(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


async def fan_out(kind: str) -> dict[str, float]:
    """One message to every client, `ROUNDS` times over, each after all have the one before."""
    server = Server(kind)
    try:
        before = server.info.memory_info().rss
        crowd = Crowd(server.port)
        await crowd.gather(CLIENTS)
        bytes_each = (server.info.memory_info().rss - before) / CLIENTS
        await crowd.expect(server.publish(200) * CLIENTS)  # warm-up
        cpu_s = server.cpu_s()
        rounds_s = [await crowd.expect(server.publish(200) * CLIENTS) for _ in range(ROUNDS)]
        used_s = server.cpu_s() - cpu_s
    finally:
        server.stop()
    return {
        "messages_per_s": round(CLIENTS / median(rounds_s)),
        "messages_per_cpu_s": round(ROUNDS * CLIENTS / max(used_s, 0.01)),
        "bytes_per_client": round(bytes_each),
    }


async def with_stalled(stalled: int) -> tuple[float, int]:
    """The rate to `STALL_CLIENTS` readers while `stalled` others never read; the server's growth in bytes."""
    server = Server("ours")
    try:
        crowd = Crowd(server.port)
        await crowd.gather(STALL_CLIENTS + stalled)
        for reader in crowd.readers[:stalled]:
            reader.transport.pause_reading()
        await crowd.expect(server.publish(200) * STALL_CLIENTS)
        before = server.info.memory_info().rss
        rounds_s = [
            await crowd.expect(server.publish(STALL_BYTES) * STALL_CLIENTS) for _ in range(STALL_ROUNDS)
        ]
        return STALL_CLIENTS / median(rounds_s), server.info.memory_info().rss - before
    finally:
        server.stop()


async def measure() -> None:
    """All figures."""
    peer, ours = await fan_out("peer"), await fan_out("ours")
    for name, key, unit in (
        ("live.messages", "messages_per_s", "messages/s"),
        ("live.messages_by_cpu", "messages_per_cpu_s", "messages/s of CPU"),
    ):
        ratio = round(ours[key] / peer[key], 2)
        figure(name, ours[key], unit, websockets_broadcast=peer[key], ratio=ratio, clients=CLIENTS)
    each, peers = ours["bytes_per_client"] / 1000, peer["bytes_per_client"] / 1000
    figure("live.client", round(each, 1), "kB", websockets_broadcast=round(peers, 1), clients=CLIENTS)
    # Best of three, in turn: other work on the machine moves a single run by a quarter.
    runs = [(await with_stalled(0), await with_stalled(STALLED)) for _ in range(3)]
    free = max(without[0] for without, _ in runs)
    held = max(with_them[0] for _, with_them in runs)
    growth = max(with_them[1] for _, with_them in runs)
    figure(
        "live.with_stalled_clients", round(held), "messages/s", without=round(free),
        ratio=round(held / free, 2), stalled=STALLED, readers=STALL_CLIENTS, growth_mb=round(growth / 1e6, 1),
    )  # fmt: skip


def main() -> None:
    """Measure, or be one of the servers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", choices=("ours", "peer"))
    kind = parser.parse_args().serve
    raise_file_limit()
    pin(0 if kind else 1)
    uvloop.run({"ours": serve_ours, "peer": serve_peer, None: measure}[kind]())


if __name__ == "__main__":
    main()
