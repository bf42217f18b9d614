"""The demo as a person starts it: a process of its own, broken and restored from another terminal."""

import json
import mailbox
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from pathlib import Path
from typing import Any, TypeVar

import httpx

T = TypeVar("T")
PATIENCE_S = 60.0


def until(what: str, look: Callable[[], T | None], *, within_s: float = PATIENCE_S) -> T:
    """The first true result of `look`; fails naming `what` when there is none in time."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.05)
    raise AssertionError(f"waited {within_s:.0f} s in vain for: {what}")


class Demo:
    """A running demo and the ways to look at it from outside."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.process: subprocess.Popen[str] | None = None
        self.base_url = ""

    def start(self) -> None:
        self.log = (self.data_dir.parent / f"{self.data_dir.name}.log").open("a")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "statuspage", "demo", "--port", "0", "--data", str(self.data_dir)],
            stdout=self.log,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.base_url = until("demo.json", self._find_base_url)
        until("a ready demo", self._is_ready)

    def _find_base_url(self) -> str | None:
        assert self.process is not None
        assert self.process.poll() is None, f"the demo ended: {Path(self.log.name).read_text()}"
        try:
            running = json.loads((self.data_dir / "demo.json").read_text())
        except (FileNotFoundError, ValueError):
            return None
        return str(running["base_url"]) if running["pid"] == self.process.pid else None

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.base_url}/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def stop(self, number: int = signal.SIGTERM) -> None:
        if self.process is not None and self.process.poll() is None:
            os.kill(self.process.pid, number)
            self.process.wait(30)
        self.log.close()

    def command(self, *words: str) -> str:
        """A command of the CLI, in a process of its own. Fails when it fails."""
        done = self.try_command(*words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def try_command(self, *words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "statuspage", *words], capture_output=True, text=True, check=False
        )

    def break_service(self, code: str, how: str = "503") -> None:
        self.command("demo", "break", code, "--how", how, "--data", str(self.data_dir))

    def restore(self, code: str) -> None:
        self.command("demo", "restore", code, "--data", str(self.data_dir))

    @property
    def config_file(self) -> str:
        return str(self.data_dir / "statuspage.toml")

    def api(self, name: str) -> dict[str, Any]:
        answer = httpx.get(f"{self.base_url}/api/v2/{name}.json")
        assert answer.status_code == 200
        return dict(answer.json())

    def component(self, code: str) -> str:
        return str(
            next(c["status"] for c in self.api("components")["components"] if c["name"].startswith(code))
        )

    def unresolved(self) -> list[dict[str, Any]]:
        return list(self.api("incidents/unresolved")["incidents"])

    def all_green(self) -> bool:
        return bool(self.api("status")["status"]["indicator"] == "none")

    def mails_to(self, address: str) -> list[EmailMessage]:
        """What the catcher kept for this address, oldest first."""
        folder = mailbox.Maildir(self.data_dir / "mail", create=True)
        parser = BytesParser(policy=default)
        found = [parser.parsebytes(folder.get_bytes(key)) for key in sorted(folder.keys())]
        return [mail for mail in found if isinstance(mail, EmailMessage) and address in str(mail["To"])]


def plain(mail: EmailMessage) -> str:
    """The text part."""
    body = mail.get_body(("plain",))
    assert body is not None
    return str(body.get_content())
