"""The public page: requests a second beside nginx, the time from a commit to the new bytes, and the page's cost.

One core each: the server under test has the first, `wrk` the second.
"""

import asyncio
import json
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
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import brotli
from sqlalchemy import insert

from statuspage import app, migrations
from statuspage.incidents import catalogue, services
from statuspage.incidents.publication import load_tree
from statuspage.incidents.rules import ServiceStatus
from statuspage.incidents.snapshots import SnapshotBuilder
from statuspage.incidents.tables import Interval
from statuspage.kernel import clock, config
from statuspage.kernel.db import Base, Database
from statuspage.site import pages
from statuspage.site.live import Live
from statuspage.site.outputs import Edition, Front
from statuspage.site.publisher import Publisher

SERVICES = 200
SECONDS = 5
SERVER_CORE, CLIENT_CORE = 0, min(1, (os.cpu_count() or 1) - 1)


def figure(name: str, value: float, unit: str, **more: object) -> None:
    print(json.dumps({"name": name, "value": round(value, 3), "unit": unit, **more}), flush=True)


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
    """Requests a second."""
    command = ["wrk", "-t1", "-c64", f"-d{SECONDS}s", *(part for h in headers for part in ("-H", h)), url]
    out = subprocess.run(
        command, capture_output=True, text=True, check=True, preexec_fn=pinned(CLIENT_CORE)
    ).stdout
    if match := re.search(r"Non-2xx or 3xx responses: (\d+)", out):
        raise SystemExit(f"wrk saw errors: {match[0]}")
    return float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1])  # type: ignore[index]


def wait_for(url: str) -> None:
    for _ in range(200):
        try:
            urllib.request.urlopen(url, timeout=1).read()
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"{url} does not answer")


NGINX = """
worker_processes 1; daemon off; pid {dir}/nginx.pid; error_log stderr; worker_rlimit_nofile 4096;
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
    file = directory / "statuspage.toml"
    file.write_text(
        f'[server]\nport = {settings.server.port}\nbase_url = "http://127.0.0.1:{settings.server.port}"\n'
        f'[data]\ndir = "{settings.data.dir}"\n'
    )
    server = subprocess.Popen(
        [sys.executable, "-m", "statuspage", "serve", "--config", str(file), "--roles", "web"],
        preexec_fn=pinned(SERVER_CORE),
        stdout=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{settings.server.port}/pl/"
    try:
        wait_for(url)
        request = urllib.request.Request(url, headers={"Accept-Encoding": "gzip"})
        with urllib.request.urlopen(request) as answer:
            body, etag = answer.read(), answer.headers["ETag"]
        ours = wrk(url, "Accept-Encoding: gzip")
        not_modified = wrk(url, "Accept-Encoding: gzip", f"If-None-Match: {etag}")
    finally:
        server.terminate()
        server.wait()
    theirs = bench_nginx(directory, body)
    figure(
        "page.requests",
        ours,
        "1/s",
        peer="nginx gzip_static",
        peer_value=round(theirs),
        ratio=round(ours / theirs, 3),
        limit=0.30,
    )
    figure("page.not_modified", not_modified, "1/s")


def bench_nginx(directory: Path, gzipped: bytes) -> float:
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
    url = f"http://127.0.0.1:{port}/page.html"
    try:
        wait_for(url)
        return wrk(url, "Accept-Encoding: gzip")
    finally:
        server.terminate()
        server.wait()


async def bench_commit_to_bytes(settings: config.Settings, db: Database, rounds: int = 60) -> None:
    """In the serving process, as when monitors find something: from the commit to the edition being swapped in."""
    house = app.open_house(settings, db)
    front = Front(lambda *_: None, default_language="pl")  # type: ignore[arg-type]
    publisher = Publisher(house, front, Live(settings))
    await publisher.refresh()
    task = asyncio.create_task(publisher.run())
    taken_ms = []
    for number in range(rounds):
        down = number % 2 == 0
        status = ServiceStatus.MAJOR_OUTAGE if down else ServiceStatus.OPERATIONAL
        finding = services.Finding(await db.read(_id, f"S{number // 2}"), status, "HTTP 503", clock.now())
        seq = front.edition.snapshot.seq if front.edition else 0
        await db.run(services.report, finding, now=clock.now(), policy=settings.incidents)
        started = time.perf_counter()
        while front.edition is None or front.edition.snapshot.seq <= seq:
            await asyncio.sleep(0.001)
        taken_ms.append((time.perf_counter() - started) * 1000)
        await asyncio.sleep(0.02)
    task.cancel()
    taken_ms.sort()
    figure("page.commit_to_bytes_p50", statistics.median(taken_ms), "ms", services=SERVICES)
    figure(
        "page.commit_to_bytes_p99",
        taken_ms[int(len(taken_ms) * 0.99) - 1],
        "ms",
        services=SERVICES,
        limit=100,
    )


def _id(session, code: str) -> str:  # type: ignore[no-untyped-def]
    return services.by_code(session, code).id


def bench_build(settings: config.Settings, db: Database) -> None:
    house = app.open_house(settings, db)
    builder = SnapshotBuilder(settings.zone, counts_maintenance=False)
    for name in ("first", "next"):
        started = time.perf_counter()
        snapshot = db.read_now(builder.build, now=clock.now())
        built = time.perf_counter()
        html = pages.render(snapshot, "/", "pl", house, now=clock.now()) or ""
        rendered = time.perf_counter()
        Edition(snapshot, house)
        done = time.perf_counter()
        figure(f"page.snapshot_{name}", (built - started) * 1000, "ms", services=SERVICES)
        figure(f"page.render_{name}", (rendered - built) * 1000, "ms", services=SERVICES, limit=150)
        figure(f"page.edition_{name}", (done - rendered) * 1000, "ms", services=SERVICES)
    figure(
        "page.weight",
        len(brotli.compress(html.encode(), quality=5)) / 1000,
        "kB",
        services=SERVICES,
        limit=30,
    )


def main() -> None:
    for tool in ("wrk", "nginx"):
        if shutil.which(tool) is None:
            raise SystemExit(f"{tool} is missing; `make install` installs it where it may")
    directory = Path(tempfile.mkdtemp(prefix="statuspage-bench-"))
    try:
        settings, db = make_database(directory / "data")
        bench_build(settings, db)
        asyncio.run(bench_commit_to_bytes(settings, db))
        db.close()
        bench_requests(directory, settings)
    finally:
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()
