"""The house on PostgreSQL, its work spread over two processes: what one finds, the other publishes."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.journeys.demo_process import until
from tests.postgres import Postgres
from tests.server_process import Target, free_port, served

pytestmark = pytest.mark.postgres

CATALOGUE = """
[[groups]]
code = "transit"
name = {{ pl = "Tranzyt", en = "Transit" }}
[[services]]
code = "NCTS2"
group = "transit"
name = {{ pl = "NCTS2", en = "NCTS2" }}
[[monitors]]
service = "NCTS2"
name = "portal"
kind = "http"
interval = "1s"
retry = "200ms"
timeout = "2s"
spec = {{ url = "http://127.0.0.1:{port}/" }}
"""


def run(*words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "statuspage", *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def settings(directory: Path, name: str, database_url: str, port: int) -> str:
    file = directory / f"{name}.toml"
    file.write_text(
        f'[server]\nport = {port}\nbase_url = "http://127.0.0.1:{port}"\n'
        f'[data]\ndir = "data"\ndatabase_url = "{database_url}"\n'
        '[security]\nallow_networks = ["127.0.0.0/8"]\n'
        f'[mail]\nrelay = "smtp://127.0.0.1:{free_port()}"\n'
    )
    return str(file)


@contextmanager
def process(*words: str) -> Iterator[None]:
    started = subprocess.Popen([sys.executable, "-m", "statuspage", *words], stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        os.kill(started.pid, signal.SIGTERM)
        assert started.wait(30) in (0, -signal.SIGTERM)


def test_a_prober_finds_what_another_process_publishes(postgres: Postgres, tmp_path: Path) -> None:
    postgres.create("spread")
    port = free_port()
    web = settings(tmp_path, "web", postgres.url("spread"), port)
    prober = settings(tmp_path, "prober", postgres.url("spread"), free_port())
    with served() as target_port:
        assert run("migrate", "--config", web).startswith("from empty to ")
        catalogue = tmp_path / "catalogue.toml"
        catalogue.write_text(CATALOGUE.format(port=target_port))
        assert "+ service NCTS2" in run("apply", str(catalogue), "--config", web)
        with (
            process("serve", "--config", web, "--roles", "web"),
            process("serve", "--config", prober, "--roles", "prober,worker"),
        ):

            def published() -> str:
                try:
                    answer = httpx.get(f"http://127.0.0.1:{port}/api/v2/components.json").json()
                except httpx.TransportError:
                    return ""
                return str(answer["components"][-1]["status"])

            until("an operational service", lambda: published() == "operational")
            Target.answer = 503
            until("the outage", lambda: published() == "major_outage")
            Target.answer = 200
            until("its end", lambda: published() == "operational")
    postgres.drop("spread")
