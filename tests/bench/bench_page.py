"""The public page: requests a second beside nginx, the time from a commit to the new bytes, and the page's cost.

One core each: the server under test has the first, `wrk` the second.
"""

import asyncio
import math
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import brotli
import psutil
import uvicorn
import uvloop
from sqlalchemy import insert
from sqlalchemy.orm import Session

from statuspage import app, migrations
from statuspage.incidents import catalogue, services
from statuspage.incidents.publication import load_tree
from statuspage.incidents.rules import ServiceStatus
from statuspage.incidents.snapshots import SnapshotBuilder
from statuspage.incidents.tables import Interval
from statuspage.kernel import clock, config, memory
from statuspage.kernel.db import Base, Database
from statuspage.kernel.house import House
from statuspage.kernel.i18n import LANGUAGES
from statuspage.site import pages
from statuspage.site.outputs import Edition
from tests.bench.figures import figure

SERVICES = 200
ROUNDS, ROUND_S = 5, 2
COMMITS = 200
BUILDS = 9
PAUSES_S = (0.0, 0.02, 0.2)  # one at once, one while the last edition is completed, one after that
SERVER_CORE, CLIENT_CORE = 0, min(1, (os.cpu_count() or 1) - 1)


def make_database(directory: Path) -> tuple[config.Settings, Database]:
    """200 services with 90 days of outages."""
    settings = config.Settings(
        server=config.Server(port=free_port()), data=config.Data(dir=str(directory)), page=config.Page()
    )
    db = app.open_database(settings)
    migrations.upgrade(db.engine, Base.metadata)
    groups = "".join(
        f'[[groups]]\ncode = "g{i}"\nname = {{ pl = "Grupa {i}", en = "Group {i}" }}\n' for i in range(10)
    )
    members = "".join(
        f'[[services]]\ncode = "S{i}"\ngroup = "g{i % 10}"\nname = {{ pl = "Usługa {i}", en = "Service {i}" }}\n'
        for i in range(SERVICES)
    )
    now = datetime.now(UTC)
    db.run_now(
        catalogue.apply, catalogue.parse(groups + members, where="bench"), now=now - timedelta(days=100)
    )

    def history(session):  # type: ignore[no-untyped-def]
        rows = []
        for number, service in enumerate(load_tree(session).services.values()):
            service.first_measured_at = now - timedelta(days=95)
            service.measured = "operational"
            for back in range(2 + number % 7, 90, 9 + number % 5):
                began = now - timedelta(days=back, hours=number % 20)
                status = ("major_outage", "partial_outage", "degraded_performance")[(number + back) % 3]
                rows.append(
                    {"service_id": service.id, "status": status, "cause": "HTTP 503", "began_at": began,
                     "detected_at": began, "ended_at": began + timedelta(minutes=5 + back)}
                )  # fmt: skip
        session.execute(insert(Interval), rows)

    db.run_now(history)
    return settings, db


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def pinned(core: int) -> Callable[[], None]:
    return lambda: os.sched_setaffinity(0, {core})


def wrk(url: str, *headers: str) -> float:
    """Requests a second, for ROUND_S seconds."""
    command = ["wrk", "-t1", "-c64", f"-d{ROUND_S}s", *(part for h in headers for part in ("-H", h)), url]
    out = subprocess.run(
        command, capture_output=True, text=True, check=True, preexec_fn=pinned(CLIENT_CORE)
    ).stdout
    if match := re.search(r"Non-2xx or 3xx responses: (\d+)", out):
        raise SystemExit(f"wrk saw errors: {match[0]}")
    return float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1])  # type: ignore[index]


@dataclass(frozen=True, slots=True)
class Rate:
    """What one server did in one round."""

    per_s: float
    per_cpu_s: float


def rate(server: psutil.Process, url: str, *headers: str) -> Rate:
    """On a shared machine a server does not get its whole core: what it does with the time it gets stays true."""
    before = server.cpu_times()
    per_s = wrk(url, *headers)
    after = server.cpu_times()
    return Rate(per_s, per_s * ROUND_S / (after.user + after.system - before.user - before.system))


def wait_for(url: str) -> None:
    for _ in range(200):
        try:
            urllib.request.urlopen(url, timeout=1).read()
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"{url} does not answer")


NGINX = """
master_process off; daemon off; pid {dir}/nginx.pid; error_log stderr; worker_rlimit_nofile 4096;
events {{ worker_connections 1024; }}
http {{
  access_log off; gzip_static always; etag on; sendfile on; keepalive_requests 1000000;
  open_file_cache max=100 inactive=60s; open_file_cache_valid 60s;
  client_body_temp_path {dir}/a; proxy_temp_path {dir}/b; fastcgi_temp_path {dir}/c;
  uwsgi_temp_path {dir}/d; scgi_temp_path {dir}/e;
  server {{ listen 127.0.0.1:{port}; root {dir}/www; default_type text/html; index page.html; }}
}}
"""


def bench_requests(directory: Path, settings: config.Settings) -> None:
    """Rounds in turn, so that what else the machine does meets both; the medians of all rounds."""
    gzipped = "Accept-Encoding: gzip"
    with serving(directory, settings) as (ours, url):
        request = urllib.request.Request(url, headers={"Accept-Encoding": "gzip"})
        with urllib.request.urlopen(request) as answer:
            body, etag = answer.read(), answer.headers["ETag"]
        with serving_with_nginx(directory, body) as (theirs, their_url):
            rounds = [
                (
                    rate(ours, url, gzipped),
                    rate(theirs, their_url, gzipped),
                    rate(ours, url, gzipped, f"If-None-Match: {etag}"),
                )
                for _ in range(ROUNDS)
            ]
    ours_per_s, theirs_per_s, not_modified = (
        statistics.median(row[column].per_s for row in rounds) for column in range(3)
    )
    figure(
        "page.requests", ours_per_s, "1/s", peer="nginx gzip_static", peer_value=round(theirs_per_s),
        ratio=round(statistics.median(our.per_s / their.per_s for our, their, _ in rounds), 3),
        ratios=[round(our.per_s / their.per_s, 2) for our, their, _ in rounds], bytes=len(body),
    )  # fmt: skip
    ours_per_cpu_s, theirs_per_cpu_s, not_modified_per_cpu_s = (
        statistics.median(row[column].per_cpu_s for row in rounds) for column in range(3)
    )
    figure(
        "page.requests_by_cpu", ours_per_cpu_s, "1/s of CPU time", peer="nginx gzip_static",
        peer_value=round(theirs_per_cpu_s),
        ratio=round(statistics.median(our.per_cpu_s / their.per_cpu_s for our, their, _ in rounds), 3),
    )  # fmt: skip
    figure("page.not_modified", not_modified, "1/s", by_cpu=round(not_modified_per_cpu_s))


@contextmanager
def serving(directory: Path, settings: config.Settings) -> Iterator[tuple[psutil.Process, str]]:
    """The product, only serving, on the server's core."""
    file = directory / "statuspage.toml"
    file.write_text(
        f'[server]\nport = {settings.server.port}\nbase_url = "http://127.0.0.1:{settings.server.port}"\n'
        f'[data]\ndir = "{settings.data.dir}"\n'
    )
    server = subprocess.Popen(
        [sys.executable, "-m", "statuspage", "serve", "--config", str(file), "--roles", "web"],
        preexec_fn=pinned(SERVER_CORE),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    with ended(server):
        url = f"http://127.0.0.1:{settings.server.port}/pl/"
        wait_for(url)
        yield psutil.Process(server.pid), url


@contextmanager
def serving_with_nginx(directory: Path, gzipped: bytes) -> Iterator[tuple[psutil.Process, str]]:
    """The same bytes as a file, on the same core."""
    www = directory / "www"
    www.mkdir()
    (www / "page.html.gz").write_bytes(gzipped)
    os.chmod(directory, 0o755)
    port = free_port()
    conf = directory / "nginx.conf"
    conf.write_text(NGINX.format(dir=directory, port=port))
    server = subprocess.Popen(
        ["nginx", "-c", str(conf)], preexec_fn=pinned(SERVER_CORE), stderr=subprocess.DEVNULL
    )
    with ended(server):
        url = f"http://127.0.0.1:{port}/page.html"
        wait_for(url)
        yield psutil.Process(server.pid), url


@contextmanager
def ended(server: "subprocess.Popen[bytes]") -> Iterator[None]:
    """It does not outlive the block."""
    try:
        yield
    finally:
        server.terminate()
        server.wait()


async def bench_commit_to_bytes(settings: config.Settings, db: Database) -> None:
    """As when monitors find something: from just before COMMIT to the last byte of the new page, read over HTTP.

    In both languages: the figure is the later of the two. The committing and the serving process are one.
    """
    house = app.open_house(settings, db)
    application = app.Application(house, frozenset({app.Role.WEB}))
    server = uvicorn.Server(uvicorn.Config(**app.server_config(application.asgi, settings)))  # type: ignore[arg-type]
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    pages = [await asyncio.open_connection("127.0.0.1", settings.server.port) for _ in LANGUAGES]
    known = [await _read_page(page, language) for page, language in zip(pages, LANGUAGES, strict=True)]
    taken_ms: list[tuple[float, ...]] = []
    cpu = psutil.Process()
    used = cpu.cpu_times()
    for number in range(COMMITS):
        status = ServiceStatus.OPERATIONAL if number % 2 else ServiceStatus.MAJOR_OUTAGE
        finding = services.Finding(await db.read(_id, f"S{number // 2}"), status, "HTTP 503", clock.now())
        front = application.front.edition
        began = await db.run(_report_at, finding, settings.incidents)
        while application.front.edition is front:
            await asyncio.sleep(0.001)
        taken = []
        for index, (page, language) in enumerate(zip(pages, LANGUAGES, strict=True)):
            etag = await _read_page(page, language)
            assert etag != known[index], "the edition is new, and its bytes are not"
            known[index] = etag
            taken.append((time.perf_counter() - began) * 1000)
        taken_ms.append(tuple(taken))
        await asyncio.sleep(PAUSES_S[number % len(PAUSES_S)])
    now_used = cpu.cpu_times()
    for _, writer in pages:
        writer.close()
    server.should_exit = True
    await serving
    later = sorted(max(taken) for taken in taken_ms)
    first = sorted(taken[0] for taken in taken_ms)
    figure(
        "page.commit_to_bytes", statistics.median(later), "ms", services=SERVICES, commits=COMMITS,
        p50_ms=round(statistics.median(later), 1), p95_ms=percentile(later, 0.95),
        p99_ms=percentile(later, 0.99), max_ms=round(later[-1], 1), first_language_p99_ms=percentile(first, 0.99),
        cpu_ms=round(1000 * (now_used.user + now_used.system - used.user - used.system) / COMMITS, 1),
    )  # fmt: skip


def percentile(ordered: Sequence[float], share: float) -> float:
    """The nearest rank."""
    return round(ordered[max(0, math.ceil(len(ordered) * share) - 1)], 1)


def _report_at(session: Session, finding: services.Finding, policy: config.Incidents) -> float:
    services.report(session, finding, now=clock.now(), policy=policy)
    session.flush()
    return time.perf_counter()


async def _read_page(page: tuple[asyncio.StreamReader, asyncio.StreamWriter], language: str) -> bytes:
    """Its ETag, once all of it is here."""
    reader, writer = page
    writer.write(f"GET /{language}/ HTTP/1.1\r\nHost: bench\r\nAccept-Encoding: br\r\n\r\n".encode())
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    await reader.readexactly(int(re.search(rb"content-length: (\d+)", head)[1]))  # type: ignore[index]
    return re.search(rb"etag: (\S+)", head)[1]  # type: ignore[index]


def _id(session, code: str) -> str:  # type: ignore[no-untyped-def]
    return services.by_code(session, code).id


def bench_build(settings: config.Settings, db: Database) -> None:
    """What a build costs: the first of a process, the next of the same builder, and one from nothing in between.

    The first one includes what a process does once: compiling templates and statements, configuring mappers.
    `page.build` is everything but that: all that is public of 200 services read and 90 days of each accounted for, the
    front page in one language, and the edition: the front pages of both languages, compressed twice. Memory is
    treated as the server treats it, which keeps what was imported out of collections.
    """
    house = app.open_house(settings, db)
    memory.set_imports_aside()
    builder = SnapshotBuilder(settings.zone, counts_maintenance=False)
    _bench_parts("first", builder, house, db)
    memory.settle()
    html = _bench_parts("next", builder, house, db)
    took = sorted(_whole_build_ms(house, db) for _ in range(BUILDS))
    by_clock = statistics.median(ms for ms, _ in took)
    figure(
        "page.build", by_clock, "ms", services=SERVICES, days=90, builds=BUILDS,
        cpu_ms=round(statistics.median(cpu_ms for _, cpu_ms in took), 1), max_ms=round(took[-1][0], 1),
    )  # fmt: skip
    figure(
        "page.weight",
        len(brotli.compress(html.encode(), quality=5)) / 1000,
        "kB",
        services=SERVICES,
    )


def _whole_build_ms(house: House, db: Database) -> tuple[float, float]:
    """From nothing, by a builder that knows nothing yet; by the clock and of CPU time."""
    builder = SnapshotBuilder(house.settings.zone, counts_maintenance=False)
    started, used = time.perf_counter(), time.process_time()
    snapshot = db.read_now(builder.build, now=clock.now())
    pages.render(snapshot, "/", "pl", house, now=clock.now())
    Edition(snapshot, house)
    return (time.perf_counter() - started) * 1000, (time.process_time() - used) * 1000


def _bench_parts(name: str, builder: SnapshotBuilder, house: House, db: Database) -> str:
    """One build in its three parts; returns the page."""
    started, used = time.perf_counter(), time.process_time()
    snapshot = db.read_now(builder.build, now=clock.now())
    built = time.perf_counter()
    html = pages.render(snapshot, "/", "pl", house, now=clock.now()) or ""
    rendered = time.perf_counter()
    Edition(snapshot, house)
    done = time.perf_counter()
    cpu_ms = round((time.process_time() - used) * 1000, 1)
    figure(f"page.snapshot_{name}", (built - started) * 1000, "ms", services=SERVICES)
    figure(f"page.render_{name}", (rendered - built) * 1000, "ms", services=SERVICES)
    figure(f"page.edition_{name}", (done - rendered) * 1000, "ms", services=SERVICES)
    figure(f"page.build_{name}", (done - started) * 1000, "ms", services=SERVICES, cpu_ms=cpu_ms)
    return html


def main() -> None:
    for tool in ("wrk", "nginx"):
        if shutil.which(tool) is None:
            raise SystemExit(f"{tool} is missing; `make install` installs it where it may")
    directory = Path(tempfile.mkdtemp(prefix="statuspage-bench-"))
    try:
        settings, db = make_database(directory / "data")
        bench_build(settings, db)
        uvloop.run(bench_commit_to_bytes(settings, db))
        db.close()
        bench_requests(directory, settings)
    finally:
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()
