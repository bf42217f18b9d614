"""`statuspage serve` as an operator starts it: a process of its own, to be starved, killed and started again."""

import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx

from statuspage.app import migrate, open_database
from statuspage.kernel.config import load
from statuspage.kernel.db import Database
from tests.journeys.demo_process import until


class Target(BaseHTTPRequestHandler):
    """A service that answers with the status that `answer` says."""

    answer = 200

    def do_GET(self) -> None:
        self.send_response(type(self).answer)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@contextmanager
def served() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Target) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


class Server:
    """A settings file, a database with its tables, and the process that serves them."""

    def __init__(self, directory: Path, *, relay_port: int = 9, database_url: str | None = None) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.file = directory / "statuspage.toml"
        own = f'database_url = "{database_url}"\n' if database_url else ""
        self.file.write_text(
            f'[server]\nport = {self.port}\nbase_url = "{self.url}"\n[data]\ndir = "data"\n{own}'
            f'[security]\nallow_networks = ["127.0.0.0/8"]\n[mail]\nrelay = "smtp://127.0.0.1:{relay_port}"\n'
        )
        self.log = directory / "serve.log"
        self.process: subprocess.Popen[bytes] | None = None
        migrate(load(self.file))

    @property
    def data_dir(self) -> Path:
        return self.file.parent / "data"

    def open_database(self) -> Database:
        """What the commands of operators do: write beside the server."""
        return open_database(load(self.file))

    def start(self, *, inside: Sequence[str] = ()) -> None:
        """Start it, at the end of the command `inside` if one is given. It may not answer yet."""
        command = [*inside, sys.executable, "-m", "statuspage", "serve", "--config", str(self.file)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stderr=log)

    def wait(self) -> None:
        """Until it serves pages."""
        until(f"a server that answers; {self.log.read_text()}", self.is_answering)

    def is_answering(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()
        try:
            return httpx.get(f"{self.url}/healthz").status_code == 200
        except httpx.TransportError:
            return False

    def kill(self) -> None:
        """As `kill -9` does: nothing is put in order."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
