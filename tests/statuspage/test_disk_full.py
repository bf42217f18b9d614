"""Abuse case 27, end to end: the disk fills up under a running server, and is made room on again."""

import os
import resource
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import httpx
import pytest

from tests.journeys.demo_process import until
from tests.server_process import Server, Target, served
from tests.serving import CATALOGUE, HEARTBEAT, fill

MOUNT = 'mount -t tmpfs -o size=6m tmpfs "$1" && cp -a "$2/." "$1" && shift 2 && exec "$@"'
READ = (
    "/en/",
    "/pl/history",
    "/api/v2/summary.json",
    "/history.atom",
    "/history.ics",
    "/healthz",
    "/metrics",
)
MONITOR = """
[[monitors]]
service = "NCTS2"
name = "portal"
kind = "http"
interval = "200ms"
spec = {{ url = "http://127.0.0.1:{port}/" }}
"""


class Disk(Protocol):
    """Where the server's data are, and can have no room."""

    def start(self, server: Server) -> None: ...

    def fill(self, server: Server) -> None: ...

    def make_room(self, server: Server) -> None: ...


class SmallFileSystem:
    """A file system of 6 MB in memory that only the server sees, with a file that takes all that is left."""

    def start(self, server: Server) -> None:
        kept = server.data_dir.rename(server.data_dir.with_name("kept"))
        server.data_dir.mkdir()
        server.start(inside=[*PRIVATE, "sh", "-c", MOUNT, "sh", str(server.data_dir), str(kept)])

    def fill(self, server: Server) -> None:
        with suppress(OSError), self._filler(server).open("wb", buffering=0) as file:
            while True:
                file.write(b"x" * 4096)

    def make_room(self, server: Server) -> None:
        self._filler(server).unlink()

    def _filler(self, server: Server) -> Path:
        assert server.process is not None
        return Path(f"/proc/{server.process.pid}/root{server.data_dir}/filler")


class FileSizeLimit:
    """No file of the server's may grow or be written: the kernel refuses as a full disk does."""

    def start(self, server: Server) -> None:
        server.start()

    def fill(self, server: Server) -> None:
        self._limit(server, 0)

    def make_room(self, server: Server) -> None:
        self._limit(server, resource.RLIM_INFINITY)

    def _limit(self, server: Server, size: int) -> None:
        assert server.process is not None
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


PRIVATE = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--mount"]


def may_mount(directory: Path) -> bool:
    """Whether this machine lets its users have file systems of their own."""
    command = [*PRIVATE, "mount", "-t", "tmpfs", "tmpfs", str(directory)]
    with suppress(FileNotFoundError):
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    return False


@pytest.fixture
def server(fast_dir: Path) -> Iterator[Server]:
    server = Server(fast_dir)
    Target.answer = 200
    yield server
    server.kill()


@pytest.fixture(params=["small file system", "file size limit"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Disk:
    """Where a file system of one's own is not to be had, the limit stands for it: nothing is left out."""
    if request.param == "small file system" and may_mount(tmp_path):
        return SmallFileSystem()
    return FileSizeLimit()


@pytest.mark.slow
def test_on_a_full_disk_writes_are_refused_in_words_pages_are_served_and_it_recovers(
    server: Server, disk: Disk
) -> None:
    db = server.open_database()
    with served() as target_port:
        fill(db, CATALOGUE + MONITOR.format(port=target_port))
        db.close()
        disk.start(server)
        server.wait()
        go_through_it(server, disk)


def go_through_it(server: Server, disk: Disk) -> None:
    with httpx.Client(base_url=server.url, timeout=20) as client:
        until("a ready server", lambda: client.get("/readyz").status_code == 200)
        assert subscribe(client, 0).status_code == 200
        before = {path: client.get(path).status_code for path in READ}
        assert set(before.values()) == {200}

        disk.fill(server)
        refused = until("a refusal", lambda: full(client, "/en/subscribe", "email=b@firma.example"))
        assert "We cannot do this at the moment" in refused.text
        assert "Nothing you sent was stored" in refused.text
        assert refused.headers["retry-after"]
        assert "sqlite" not in refused.text.lower()
        told = full(client, "/api/v2/subscribers.json", "email=c@firma.example")
        assert told is not None
        assert "for now" in told.json()["error"]
        assert full(client, f"/heartbeat/{HEARTBEAT}", "") is not None
        for path in READ:
            assert client.get(path).status_code == 200
        Target.answer = 503
        time.sleep(1)  # the outage is found, and cannot be written down
        assert status(client) == "operational"

        disk.make_room(server)
        until("a write that succeeds", lambda: subscribe(client, 1).status_code == 200, within_s=10)
        assert client.post(f"/heartbeat/{HEARTBEAT}").status_code == 200
        until("what was found meanwhile", lambda: status(client) == "major_outage", within_s=10)
        assert client.get("/readyz").status_code == 200
        assert server.process is not None
        assert server.process.poll() is None


def status(client: httpx.Client) -> str:
    components = client.get("/api/v2/components.json").json()["components"]
    return str(next(each["status"] for each in components if each["name"] == "NCTS2"))


def full(client: httpx.Client, path: str, content: str) -> httpx.Response | None:
    """The answer to this POST when it is a refusal for want of room."""
    answer = client.post(path, content=content, headers={"Content-Type": "application/x-www-form-urlencoded"})
    return answer if answer.status_code == 503 else None


def subscribe(client: httpx.Client, number: int) -> httpx.Response:
    return client.post("/en/subscribe", data={"email": f"user{number}@firma.example"})
