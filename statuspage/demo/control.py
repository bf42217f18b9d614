"""How `statuspage demo break` reaches the running demo: an endpoint on loopback, found by `demo.json`."""

import asyncio
import hmac
import json
import os
import secrets
from contextlib import suppress
from dataclasses import asdict, dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Literal

from statuspage.demo.simulator import HOST, Fault, Simulator
from statuspage.kernel.errors import Error, Invalid, Unavailable

Command = Literal["break", "restore"]

_MAX_BODY_BYTES = 4096
_DEADLINE_S = 5.0


@dataclass(frozen=True, slots=True)
class Running:
    """What a running demo leaves in its data directory, for its owner's eyes only."""

    pid: int
    port: int  # the product's
    base_url: str
    mail_port: int
    control_port: int
    token: str

    def write(self, data_dir: Path) -> None:
        """Publish to other processes of this user; never half a file."""
        path = data_dir / "demo.json"
        draft = path.with_suffix(".new")
        with open(
            os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8"
        ) as file:
            json.dump(asdict(self), file, indent=1)
        draft.replace(path)


def find_running(data_dir: Path) -> Running | None:
    """The demo that runs on `data_dir`, if one does."""
    try:
        running = Running(**json.loads((data_dir / "demo.json").read_text(encoding="utf-8")))
        os.kill(running.pid, 0)
    except (FileNotFoundError, ProcessLookupError, ValueError, TypeError):
        return None
    except PermissionError:  # it lives, as another user
        return running
    return running


async def ask_running_demo(
    data_dir: Path, command: Command, service: str, how: str = Fault.UNAVAILABLE
) -> str:
    """Break or restore a service of the demo that runs on `data_dir`; returns a sentence for the terminal.

    Raises Invalid when no demo runs there and for an unknown service or fault.
    """
    running = find_running(data_dir)
    if running is None:
        raise _nobody(data_dir)
    try:
        status, answer = await asyncio.to_thread(_call, running, command, service, how)
    except (OSError, HTTPException):
        raise _nobody(data_dir) from None
    if status == 422:
        raise Invalid(answer["field"], answer["reason"])
    if status != 200:
        raise Unavailable(f"the demo answered {status}")
    return str(answer["said"])


def _nobody(data_dir: Path) -> Invalid:
    return Invalid(
        str(data_dir),
        'no demo is running here; start one with "statuspage demo", or name its directory with --data',
    )


def _call(running: Running, command: Command, service: str, how: str) -> tuple[int, dict[str, str]]:
    connection = HTTPConnection(HOST, running.control_port, timeout=_DEADLINE_S)
    try:
        body = json.dumps({"service": service, "how": how})
        connection.request("POST", f"/{command}", body, {"Authorization": f"Bearer {running.token}"})
        response = connection.getresponse()
        content = response.read(_MAX_BODY_BYTES)
        return response.status, json.loads(content) if response.status in (200, 422) else {}
    finally:
        connection.close()


class Control:
    """The endpoint: `POST /break` and `POST /restore` with `{"service", "how"}`, for who knows the token."""

    def __init__(self, simulator: Simulator) -> None:
        self.token = secrets.token_urlsafe(24)
        self._simulator = simulator

    async def start(self) -> int:
        """Listen on loopback; returns the port."""
        self._server = await asyncio.start_server(self._accept, HOST, 0, limit=_MAX_BODY_BYTES)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def stop(self) -> None:
        """Stop listening."""
        self._server.close()
        await self._server.wait_closed()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            async with asyncio.timeout(_DEADLINE_S):
                head, body = await _read_request(reader)
                status, answer = self._obey(head, body)
                content = json.dumps(answer).encode()
                head_text = (
                    f"HTTP/1.1 {status}\r\nContent-Length: {len(content)}\r\nConnection: close\r\n\r\n"
                )
                writer.write(head_text.encode() + content)
                await writer.drain()
        writer.close()

    def _obey(self, head: list[str], body: bytes) -> tuple[str, dict[str, str]]:
        if not any(hmac.compare_digest(line, f"Authorization: Bearer {self.token}") for line in head):
            return "403 Forbidden", {}
        try:
            return "200 OK", {"said": self._act(head[0].split(" ")[1], json.loads(body))}
        except Invalid as error:
            return "422 Unprocessable Content", {"field": error.field, "reason": error.reason}
        except (Error, ValueError, KeyError, TypeError, IndexError):
            return "400 Bad Request", {}

    def _act(self, path: str, wish: dict[str, str]) -> str:
        code = wish["service"].upper()
        if path == "/break":
            self._simulator.break_service(code, wish["how"])
            return f"{code} is broken ({wish['how']})."
        if path == "/restore":
            self._simulator.restore(code)
            return f"{code} works again."
        raise ValueError(path)


async def _read_request(reader: asyncio.StreamReader) -> tuple[list[str], bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    lengths = [line.partition(":")[2] for line in head if line.lower().startswith("content-length:")]
    length = int(lengths[0]) if lengths and lengths[0].strip().isdigit() else 0
    return head, await reader.readexactly(min(length, _MAX_BODY_BYTES))
