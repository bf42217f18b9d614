"""HTTP probes a second on one core, beside prometheus-blackbox-exporter with the same targets and checks.

The targets, and for the peer the client that asks it for probes, run on the other core. Prints one JSON line
per figure. Rates per second of CPU time are what a shared machine
disturbs least; rates per second of wall time stand beside them.
"""

import asyncio
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast
from urllib.parse import quote

import httptools
import psutil
import trustme
import uvloop

from monitors.probes import Context, Verdict, build_spec
from monitors.probes.http import check
from statuspage.kernel.net import Network
from tests.bench.figures import figure

PEER = "prometheus-blackbox-exporter"
PORTS = 20
IN_FLIGHT = 50
RUN_S = 5.0
PAGE = b"<html><body>" + b"The service is operational. " * 40 + b"</body></html>"
ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(PAGE), PAGE)
)
FIRST_CORE, OTHER_CORE = min(os.sched_getaffinity(0)), max(os.sched_getaffinity(0))


class Target(asyncio.Protocol):
    """Answers whatever is asked."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's does not derive from it

    def data_received(self, data: bytes) -> None:
        self._transport.write(ANSWER)
        self._transport.close()


async def serve_targets(directory: Path) -> None:
    """Half of the ports speak TLS. Writes their numbers when they listen."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(directory / "ca.pem")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    loop = asyncio.get_running_loop()
    ports: list[int] = []
    for number in range(2 * PORTS):
        context = tls if number >= PORTS else None
        server = await loop.create_server(Target, "127.0.0.1", 0, ssl=context, backlog=1024)
        ports.append(server.sockets[0].getsockname()[1])
    (directory / "ports.new").write_text(json.dumps(ports))
    (directory / "ports.new").rename(directory / "ports")
    await asyncio.Event().wait()


async def probe_with_ours(urls: Sequence[str], ca_file: str) -> tuple[float, float]:
    """Probes per second of CPU time, and of wall time."""
    keys = {"status": [200], "body_regex": "is operational", "ca_file": ca_file}
    specs = [build_spec("http", {"url": url, **keys}, where="bench") for url in urls]
    context = Context(Network(["127.0.0.0/8"]), timeout_s=10)
    done = 0

    async def keep_probing(number: int, until: float) -> None:
        nonlocal done
        while time.monotonic() < until:
            outcome = await check(specs[number % len(specs)], context)
            assert outcome.verdict is Verdict.OK, outcome
            done += 1

    began_at, began_cpu_s = time.monotonic(), time.process_time()
    await asyncio.gather(*(keep_probing(n, began_at + RUN_S) for n in range(IN_FLIGHT)))
    return done / (time.process_time() - began_cpu_s), done / (time.monotonic() - began_at)


class Asking(asyncio.Protocol):
    """Asks the exporter for one probe after another on one connection."""

    def __init__(self, paths: Sequence[str], until: float) -> None:
        self.done = 0
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._paths = paths
        self._until = until
        self._body = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's does not derive from it
        self._ask()

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, data: bytes) -> None:
        self._body += data

    def on_message_complete(self) -> None:
        if b"\nprobe_success 1" not in self._body:
            self.ended.set_exception(RuntimeError(self._body.decode()))
        self.done += 1
        if time.monotonic() < self._until:
            asyncio.get_running_loop().call_soon(self._ask)
        elif not self.ended.done():
            self.ended.set_result(None)

    def _ask(self) -> None:
        self._body = b""
        self._parser = httptools.HttpResponseParser(self)
        path = self._paths[self.done % len(self._paths)]
        self._transport.write(f"GET {path} HTTP/1.1\r\nHost: exporter\r\n\r\n".encode())


async def probe_with_peer(urls: Sequence[str], process: psutil.Process, port: int) -> tuple[float, float]:
    """Probes per second of the exporter's CPU time, and of wall time."""
    loop = asyncio.get_running_loop()
    paths = [f"/probe?module=http&target={quote(url, safe='')}" for url in urls]
    began_at, began_cpu_s = time.monotonic(), sum(process.cpu_times()[:2])
    asking: list[Asking] = []
    for n in range(IN_FLIGHT):
        turned = paths[n % len(paths) :] + paths[: n % len(paths)]

        def start(turned: Sequence[str] = turned) -> Asking:
            return Asking(turned, began_at + RUN_S)

        _, protocol = await loop.create_connection(start, "127.0.0.1", port)
        asking.append(protocol)
    await asyncio.gather(*(one.ended for one in asking))
    done = sum(one.done for one in asking)
    return done / (sum(process.cpu_times()[:2]) - began_cpu_s), done / (time.monotonic() - began_at)


def run_peer(urls: Mapping[str, Sequence[str]], directory: Path) -> dict[str, tuple[float, float]]:
    """The peer's rates by scheme; nothing where it is not installed."""
    executable = shutil.which(PEER)
    if executable is None:
        return {}
    module = {
        "prober": "http",
        "timeout": "10s",
        "http": {
            "valid_status_codes": [200],
            "fail_if_body_not_matches_regexp": ["is operational"],
            "preferred_ip_protocol": "ip4",
            "tls_config": {"ca_file": str(directory / "ca.pem")},
        },
    }
    (directory / "blackbox.yml").write_text(json.dumps({"modules": {"http": module}}))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = [f"--config.file={directory / 'blackbox.yml'}", f"--web.listen-address=127.0.0.1:{port}"]
    process = subprocess.Popen(
        [executable, *arguments],  # on the first core, as this process is; else as it is installed
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        os.sched_setaffinity(0, {OTHER_CORE})
        wait_for_port(port)
        peer = psutil.Process(process.pid)
        return {scheme: uvloop.run(probe_with_peer(urls[scheme], peer, port)) for scheme in urls}
    finally:
        process.kill()
        process.wait()


def wait_for_port(port: int) -> None:
    until = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
        else:
            return


def wait_for_targets(directory: Path) -> list[int]:
    until = time.monotonic() + 10
    while not (directory / "ports").exists():
        if time.monotonic() > until:
            raise TimeoutError("the targets did not start")
        time.sleep(0.05)
    ports: list[int] = json.loads((directory / "ports").read_text())
    return ports


def report(name: str, unit: str, ours: float, peer: float | None) -> None:
    ratio = round(ours / peer, 2) if peer else None
    figure(name, round(ours), unit, blackbox_exporter=peer and round(peer), ratio=ratio)


def main() -> None:
    with tempfile.TemporaryDirectory() as text:
        directory = Path(text)
        targets = subprocess.Popen([sys.executable, "-m", "tests.bench.bench_probes", "--targets", text])
        try:
            os.sched_setaffinity(targets.pid, {OTHER_CORE})
            ports = wait_for_targets(directory)
            urls = {
                "http": [f"http://127.0.0.1:{port}/health" for port in ports[:PORTS]],
                "https": [f"https://127.0.0.1:{port}/health" for port in ports[PORTS:]],
            }
            os.sched_setaffinity(0, {FIRST_CORE})
            ca_file = str(directory / "ca.pem")
            ours = {scheme: uvloop.run(probe_with_ours(urls[scheme], ca_file)) for scheme in urls}
            peer = run_peer(urls, directory)
        finally:
            targets.kill()
            targets.wait()
    for scheme, (per_cpu_second, per_second) in ours.items():
        of_peer = peer.get(scheme, (None, None))
        report(f"probes.{scheme}.per_cpu_second", "probes per second of CPU time", per_cpu_second, of_peer[0])
        report(f"probes.{scheme}.per_second", "probes per second on one core", per_second, of_peer[1])


if __name__ == "__main__":
    if "--targets" in sys.argv:
        uvloop.run(serve_targets(Path(sys.argv[-1])))
    else:
        main()
