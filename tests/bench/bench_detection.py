"""How soon a refused connection is public, measured on a running server, and how often noise is an outage.

Simulated beside it, on the real rules: time is computed, not waited for; `monitors.rules.step` and `next_delay`
are given checks at the moments they ask for. A refused connection is refused at once, so that a check takes no
time, and publishing is not counted. Prints one JSON line per figure.
"""

import argparse
import asyncio
import json
import math
import random
import shutil
import tempfile
import time
import urllib.request
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar

from monitors.rules import Level, Policy, State, Transition, Verdict, next_delay, step
from tests.bench.figures import figure
from tests.server_process import Server
from tests.serving import apply

T = TypeVar("T")

CONFIRMATIONS = 2  # after the first failure
INTERVAL_S, RETRY_S = 20, 5
OUTAGES = 5000
NOISE_DAYS = 200
SERVICES = 60
PATIENCE_S = 120.0
BEGAN_AT = datetime(2026, 1, 1, tzinfo=UTC)
SEED = 20

POLICY = Policy(
    interval=timedelta(seconds=INTERVAL_S),
    retry=timedelta(seconds=RETRY_S),
    timeout=timedelta(seconds=10),
    confirm_down=CONFIRMATIONS + 1,
)


def report(name: str, value: float, unit: str, **more: object) -> None:
    settings = {"interval_s": INTERVAL_S, "retry_s": RETRY_S, "confirmations": CONFIRMATIONS}
    figure(name, value, unit, **settings | more)


def alarms(verdict_at: Callable[[datetime], Verdict], until: datetime) -> list[tuple[datetime, Transition]]:
    """Every change to DOWN, and when it was known."""
    state, at, found = State(), BEGAN_AT, []
    while at < until:
        state, transition = step(state, verdict_at(at), "connection refused", at, POLICY)
        if transition and transition.new is Level.DOWN:
            found.append((at, transition))
        at += next_delay(state, POLICY)
    return found


def outages(rng: random.Random) -> None:
    """An outage each time at another moment between two checks; it stays."""
    taken_s = []
    for _ in range(OUTAGES):
        onset = BEGAN_AT + timedelta(seconds=rng.uniform(60, 60 + INTERVAL_S * 10))
        ((known_at, transition),) = alarms(
            lambda at, onset=onset: Verdict.FAILED if at >= onset else Verdict.OK,  # type: ignore[misc]
            onset + timedelta(minutes=5),
        )
        assert onset <= transition.since <= known_at, "the outage is dated to its first failed check"
        taken_s.append((known_at - onset).total_seconds())
    tell_times("detection.simulated", taken_s)


def tell_times(name: str, taken_s: Sequence[float], **more: object) -> None:
    ordered = sorted(taken_s)
    p50, p95 = (round(ordered[math.ceil(len(ordered) * share) - 1], 1) for share in (0.5, 0.95))
    report(name, p50, "s at p50", p95_s=p95, max_s=round(ordered[-1], 1), outages=len(ordered), **more)


# --- measured ---


class Targets:
    """So many HTTP services on ports of their own, in a thread, which can all be closed at one moment."""

    def __init__(self, count: int) -> None:
        self.loop = asyncio.new_event_loop()
        Thread(target=self.loop.run_forever, daemon=True).start()
        self.servers = self._do(self._open(count))
        self.ports = [server.sockets[0].getsockname()[1] for server in self.servers]

    async def _open(self, count: int) -> list[asyncio.Server]:
        return [await asyncio.start_server(self._answer, "127.0.0.1", 0) for _ in range(count)]

    @staticmethod
    async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        await writer.drain()
        writer.close()

    def close(self) -> None:
        """From now on connections to them are refused."""

        async def close_all() -> None:
            for server in self.servers:
                server.close()

        self._do(close_all())

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(10)


def catalogue(ports: Sequence[int], interval_s: float, retry_s: float) -> str:
    """A service and a monitor for each port."""
    services = "".join(
        f'''
[[services]]
code = "S{number}"
group = "all"
name = {{ pl = "S{number}", en = "S{number}" }}
[[monitors]]
service = "S{number}"
name = "portal"
kind = "http"
interval = "{interval_s}s"
retry = "{retry_s}s"
confirm_down = {CONFIRMATIONS + 1}
spec = {{ url = "http://127.0.0.1:{port}/" }}
'''
        for number, port in enumerate(ports)
    )
    return f'[[groups]]\ncode = "all"\nname = {{ pl = "Wszystkie", en = "All" }}\n{services}'


def measure(directory: Path, interval_s: float, retry_s: float) -> None:
    """From the moment at which connections are refused to the status of each service in the public API."""
    targets, server = Targets(SERVICES), Server(directory)
    db = server.open_database()
    apply(db, catalogue(targets.ports, interval_s, retry_s))
    db.close()
    server.start()
    try:
        server.wait()
        await_statuses(
            server, lambda statuses: set(statuses.values()) == {"operational"} and is_ready(server)
        )
        time.sleep(1.5 * interval_s)  # the second checks come half an interval after the first at the soonest
        began_s, known_s = time.monotonic(), dict[str, float]()
        targets.close()

        def all_known(statuses: dict[str, str]) -> bool:
            for name, status in statuses.items():
                if status == "major_outage":
                    known_s.setdefault(name, time.monotonic() - began_s)
            return len(known_s) == SERVICES

        await_statuses(server, all_known)
    finally:
        server.kill()
    tell_times("detection.measured", list(known_s.values()), interval_s=interval_s, retry_s=retry_s)


def await_statuses(server: Server, holds: Callable[[dict[str, str]], bool]) -> None:
    until_s = time.monotonic() + PATIENCE_S
    while True:
        with urllib.request.urlopen(f"{server.url}/api/v2/components.json", timeout=10) as answer:
            components = json.load(answer)["components"]
        if holds({each["name"]: each["status"] for each in components if not each["group"]}):
            return
        if time.monotonic() > until_s:
            raise SystemExit("not every service changed its status in time")
        time.sleep(0.05)


def is_ready(server: Server) -> bool:
    """Every monitor has a result."""
    try:
        return bool(urllib.request.urlopen(f"{server.url}/readyz", timeout=10).status == 200)
    except OSError:
        return False


class SingleFailures:
    """One check in `one_in` fails, never two in a row."""

    def __init__(self, rng: random.Random, one_in: int) -> None:
        self._rng = rng
        self._one_in = one_in
        self._has_failed = False
        self.failures = 0

    def __call__(self, _at: datetime) -> Verdict:
        self._has_failed = not self._has_failed and self._rng.randrange(self._one_in) == 0
        self.failures += self._has_failed
        return Verdict.FAILED if self._has_failed else Verdict.OK


def noise(rng: random.Random) -> None:
    """A service that works, seen through a network that does not always."""
    until = BEGAN_AT + timedelta(days=NOISE_DAYS)
    single = SingleFailures(rng, 20)
    report(
        "detection.false_alarms", len(alarms(single, until)), "alarms",
        noise="single failures, 1 in 20 checks", failed_checks=single.failures, days=NOISE_DAYS,
    )  # fmt: skip
    independent = alarms(lambda _: Verdict.FAILED if rng.random() < 0.01 else Verdict.OK, until)
    report(
        "detection.false_alarms_independent", len(independent), "alarms",
        noise="each check fails with 1 in 100, whatever came before", days=NOISE_DAYS,
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--interval", type=float, default=INTERVAL_S, help="of the measured monitors, seconds"
    )
    parser.add_argument("--retry", type=float, default=RETRY_S, help="the same while in doubt")
    arguments = parser.parse_args()
    rng = random.Random(SEED)
    outages(rng)
    noise(rng)
    directory = Path(tempfile.mkdtemp(prefix="statuspage-bench-"))
    try:
        measure(directory, arguments.interval, arguments.retry)
    finally:
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()
