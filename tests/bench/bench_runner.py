"""Ten thousand HTTP monitors a minute on one core: how late probes begin, and what that costs.

The targets are served by another process. Prints one JSON line per figure.
"""

import argparse
import asyncio
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
import structlog
import uvloop
from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

import statuspage.incidents.tables as incident_tables
import statuspage.kernel.events
from monitors.probes import kinds
from monitors.runner import Runner
from monitors.tables import Monitor, Result
from statuspage.kernel import clock
from statuspage.kernel.config import Monitors, Settings
from statuspage.kernel.db import Base, Database, new_id
from statuspage.kernel.net import Network
from tests.bench.figures import figure

HOSTS = 200  # services; each has an address of its own
ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n" + b'{"status":"UP"}'
)


def pin(core: int) -> None:
    """A core each, where there are two."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[core % len(cores)]})


class Target(asyncio.Protocol):
    """Answers the first bytes of a request and closes, as its `Connection: close` asks for."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        self._transport.write(ANSWER)
        self._transport.close()


async def serve_target() -> None:
    """One port on every loopback address."""
    pin(1)
    server = await asyncio.get_running_loop().create_server(Target, "0.0.0.0", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def declare(session: Session, monitors: int, interval_s: float, port: int, now: datetime) -> None:
    """Straight into the tables: a catalogue of that size is not what is measured."""
    group = incident_tables.Group(
        code="g", name_pl="G", name_en="G", position=0, created_at=now, updated_at=now
    )
    session.add(group)
    session.flush()
    hosts = [f"127.0.{i // 200}.{i % 200 + 1}" for i in range(HOSTS)]
    services = [new_id() for _ in hosts]
    common = {"created_at": now, "updated_at": now}
    session.execute(
        insert(incident_tables.Service),
        [
            {"id": id, "code": f"S{i}", "group_id": group.id, "name_pl": "S", "name_en": "S", "position": i}
            | {"status_since": now, **common}
            for i, id in enumerate(services)
        ],
    )
    session.execute(
        insert(Monitor),
        [
            {"id": new_id(), "service_id": services[i % HOSTS], "name": f"m{i}", "kind": "http"}
            | {"spec": {"url": f"http://{hosts[i % HOSTS]}:{port}/health", "body_contains": "UP"}}
            | {
                "interval_s": interval_s,
                "retry_s": 5.0,
                "timeout_s": 10.0,
                "confirm_down": 3,
                "confirm_up": 2,
            }
            | common
            for i in range(monitors)
        ],
    )


def share(values: Sequence[float], part: float) -> float:
    """The value that `part` of the sorted `values` do not exceed."""
    return values[min(len(values) - 1, int(part * len(values)))]


def measure(directory: Path, monitors: int, interval_s: float, warm_up_s: float, length_s: float) -> None:
    """Declare, run, report."""
    settings = replace(Settings(), monitors=Monitors(max_in_flight=500, max_per_host=50))
    db = Database(f"sqlite:///{directory / 'bench.db'}")
    Base.metadata.create_all(db.engine)
    target = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.bench_runner", "--target"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert target.stdout is not None
        port = int(target.stdout.readline())
        db.run_now(declare, monitors, interval_s, port, clock.now())
        uvloop.run(_measure(db, settings, warm_up_s, length_s))
    finally:
        target.kill()
        target.wait()
        db.close()


async def _measure(db: Database, settings: Settings, warm_up_s: float, length_s: float) -> None:
    process = psutil.Process()
    before_mb = process.memory_info().rss / 1e6
    late: list[float] = []
    network = Network(("127.0.0.0/8",))
    runner = Runner(db, network, settings, lateness=late.append)
    task = asyncio.create_task(runner.run())
    await asyncio.sleep(warm_up_s)
    start_up = sorted(late)
    late.clear()
    began_s, cpu = time.monotonic(), process.cpu_times()
    await asyncio.sleep(length_s)
    elapsed_s, cpu_after = time.monotonic() - began_s, process.cpu_times()
    measured = sorted(late)
    memory_mb = process.memory_info().rss / 1e6
    runner.stop()
    await task
    network.close()
    used_s = (cpu_after.user + cpu_after.system) - (cpu.user + cpu.system)
    verdicts = db.read_now(
        lambda s: dict(s.execute(select(Result.verdict, func.count()).group_by(Result.verdict)).all())
    )
    p99_ms, per_probe_ms = ms(measured, 0.99), 1000 * used_s / max(1, len(measured))
    figure(
        "runner.lateness", p99_ms, "ms at p99", p50_ms=ms(measured, 0.5), max_ms=ms(measured, 1),
        at_start_p99_ms=ms(start_up, 0.99), probes=len(measured),
    )  # fmt: skip
    figure(
        "runner.cpu", round(used_s / elapsed_s, 3), "cores", ms_per_probe=round(per_probe_ms, 3),
        probes_per_s=round(len(measured) / elapsed_s, 1),
    )  # fmt: skip
    figure("runner.memory", round(memory_mb, 1), "MB", before_mb=round(before_mb, 1), verdicts=verdicts)


def ms(values: Sequence[float], part: float) -> float:
    return round(1000 * share(values, part), 2) if values else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--monitors", type=int, default=10_000)
    parser.add_argument("--interval", type=float, default=60.0, help="seconds")
    parser.add_argument("--warm-up", type=float, default=10.0, help="seconds before measuring")
    parser.add_argument("--length", type=float, default=30.0, help="seconds")
    arguments = parser.parse_args()
    if arguments.target:
        uvloop.run(serve_target())
        return
    pin(0)
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    kinds()
    assert statuspage.kernel.events  # its tables
    with tempfile.TemporaryDirectory(prefix="statuspage-bench-") as directory:
        measure(Path(directory), arguments.monitors, arguments.interval, arguments.warm_up, arguments.length)


if __name__ == "__main__":
    main()
