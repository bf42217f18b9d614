"""How soon things are there and what they weigh: `--version`, the first page on an existing database, the demo.

Prints one JSON line per figure: medians of several starts, with the CPU time beside the clock.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from tests.bench.bench_page import free_port, make_database
from tests.bench.figures import figure

STARTS = 5
SETTLED_S = 15  # after the outage, before weighing
DEADLINE_S = 60


def children_cpu_s() -> float:
    """CPU time of the children that have ended."""
    times = os.times()
    return times.children_user + times.children_system


def version() -> None:
    """`statuspage --version`, as it is typed."""
    program = Path(sys.executable).with_name("statuspage")
    taken, cpu = [], []
    for _ in range(2 * STARTS):
        used, began = children_cpu_s(), time.perf_counter()
        subprocess.run([program, "--version"], check=True, stdout=subprocess.DEVNULL)
        taken.append(time.perf_counter() - began)
        cpu.append(children_cpu_s() - used)
    figure(
        "start.version", statistics.median(taken), "s", cpu_s=round(statistics.median(cpu), 3),
        max_s=round(max(taken), 3), starts=len(taken),
    )  # fmt: skip


def first_page(directory: Path) -> None:
    """From starting the server to the whole front page: 200 services, 90 days of outages."""
    settings, db = make_database(directory / "data")
    db.close()
    file = directory / "statuspage.toml"
    port = settings.server.port
    file.write_text(
        f'[server]\nport = {port}\nbase_url = "http://127.0.0.1:{port}"\n[data]\ndir = "{settings.data.dir}"\n'
    )
    command = [sys.executable, "-m", "statuspage", "serve", "--config", str(file)]
    starts = [_until_first_page(command, f"http://127.0.0.1:{port}/pl/") for _ in range(STARTS)]
    _report_starts("start.first_page", starts, services=200)


def demo(directory: Path) -> None:
    """The demo: its first page on data it has already, then its memory after an outage has come and gone."""
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    command = [
        sys.executable, "-m", "statuspage", "demo", "--port", str(port), "--data", str(directory / "demo"),
    ]  # fmt: skip
    fresh = _until_first_page(command, f"{base}/pl/")
    starts = [_until_first_page(command, f"{base}/pl/") for _ in range(STARTS)]
    _report_starts("start.demo_first_page", starts, with_new_database_s=round(fresh[0], 2))
    _until_first_page(command, f"{base}/pl/", then=lambda process: _weigh(process, base, directory / "demo"))


def _weigh(process: psutil.Process, base: str, data: Path) -> None:
    at_start = process.memory_info().rss / 1e6
    control = [sys.executable, "-m", "statuspage", "demo"]
    for verb, status in (("break", "major_outage"), ("restore", "operational")):
        subprocess.run([*control, verb, "NCTS2", "--data", str(data)], check=True, stdout=subprocess.DEVNULL)
        began = time.monotonic()
        _wait(lambda wanted=status: _status(base, "NCTS2") == wanted)  # type: ignore[misc]
        figure(f"start.demo_{verb}_public", time.monotonic() - began, "s", how="503, every 2 s")
    for path in ("/en/", "/pl/history", "/pl/services/NCTS2", "/history.atom", "/demo/mail", "/console"):
        urllib.request.urlopen(base + path, timeout=10).read()
    time.sleep(SETTLED_S)
    memory = process.memory_full_info()
    figure(
        "start.demo_resident", memory.rss / 1e6, "MB", unique_mb=round(memory.uss / 1e6, 1),
        at_start_mb=round(at_start, 1), threads=process.num_threads(),
    )  # fmt: skip


def _status(base: str, code: str) -> str:
    """As the public API says it. Its components have no code; the demo's names contain it."""
    with urllib.request.urlopen(f"{base}/api/v2/summary.json", timeout=10) as answer:
        components: list[dict[str, Any]] = json.load(answer)["components"]
    return next(str(c["status"]) for c in components if code in c["name"])


def _wait(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + DEADLINE_S
    while not holds():
        if time.monotonic() > until:
            raise SystemExit("nothing happened in time")
        time.sleep(0.05)


def _until_first_page(
    command: list[str], url: str, then: Callable[[psutil.Process], None] = lambda _: None
) -> tuple[float, float]:
    """Seconds by the clock, and of CPU time. The process is ended."""
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        process = psutil.Process(server.pid)
        try:
            _wait(lambda: _is_there(url))
            taken = time.perf_counter() - began
            cpu = process.cpu_times()
            then(process)
        finally:
            server.terminate()
    return taken, cpu.user + cpu.system


def _is_there(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return b"</html>" in answer.read()
    except OSError:
        return False


def _report_starts(name: str, starts: list[tuple[float, float]], **more: object) -> None:
    clock, cpu = [start[0] for start in starts], [start[1] for start in starts]
    figure(
        name, statistics.median(clock), "s", cpu_s=round(statistics.median(cpu), 2),
        max_s=round(max(clock), 2), starts=len(starts), **more,
    )  # fmt: skip


def main() -> None:
    directory = Path(tempfile.mkdtemp(prefix="statuspage-bench-"))
    try:
        version()
        first_page(directory)
        demo(directory)
    finally:
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()
