"""A simulator of Customs services on loopback: portals, message gateways, a heartbeat, and their faults.

What it serves follows from the catalogue: every service has a portal, a `tcp` monitor makes a gateway,
a `heartbeat` monitor a sender. The system chooses the ports; `fill` writes them into the catalogue.
"""

import asyncio
import json
import re
import secrets
import socket
import ssl
import struct
import tomllib
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from itertools import zip_longest
from pathlib import Path
from urllib.parse import urlsplit

import structlog

from statuspage.demo import certificates
from statuspage.kernel.errors import Invalid

log = structlog.get_logger(__name__)

HOST = "127.0.0.1"
SLOW_S = 1.2  # above the catalogue's threshold for slow, below its timeout
_HEARTBEAT_EVERY_S = 1.0
_REQUEST_DEADLINE_S = 10.0
_HANG_S = 60.0
# A port is a number in the filled catalogue: it replaces its quotes too.
_PLACEHOLDER = re.compile(r'"\{([A-Z0-9-]+\.[a-z]+_port)\}"|\{(ca_file|[A-Z0-9-]+\.[a-z]+)\}')


class Fault(StrEnum):
    """How a service can be broken."""

    UNAVAILABLE = "503"
    TIMEOUT = "timeout"
    SLOW = "slow"
    RESET = "reset"
    TLS = "tls"  # the portal shows an expired certificate
    BODY = "body"  # the portal answers 200 with a page that is not the service


@dataclass(frozen=True, slots=True)
class Simulated:
    """A service as the simulator knows it."""

    code: str
    parents: tuple[str, ...]
    has_gateway: bool
    has_heartbeat: bool


def read_services(catalogue_text: str) -> dict[str, Simulated]:
    """The services of a catalogue by code."""
    catalogue = tomllib.loads(catalogue_text)
    kinds: dict[str, set[str]] = {}
    for monitor in catalogue.get("monitors", ()):
        kinds.setdefault(monitor["service"], set()).add(monitor["kind"])
    return {
        (code := service["code"]): Simulated(
            code,
            tuple(service.get("parents", ())),
            has_gateway="tcp" in kinds.get(code, ()),
            has_heartbeat="heartbeat" in kinds.get(code, ()),
        )
        for service in catalogue["services"]
    }


class Simulator:
    """All services of one catalogue, from `start` to `stop`, in the running event loop."""

    def __init__(self, catalogue_text: str, directory: Path) -> None:
        self.services = read_services(catalogue_text)
        self.heartbeat_tokens = {
            code: secrets.token_urlsafe(16) for code, s in self.services.items() if s.has_heartbeat
        }
        # An address for each service: faults of one host are taken for one incident.
        self._hosts = dict(
            zip_longest(self.services, certificates.HOSTS[: len(self.services)], fillvalue=HOST)
        )
        self._directory = directory
        self._faults: dict[str, Fault] = {}
        self._addresses: dict[str, tuple[str, int]] = {}  # "NCTS2.portal", "NCTS2.gateway"
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen on ports that the system chooses."""
        files = await asyncio.to_thread(certificates.keep, self._directory)
        self.ca_file = files.ca
        expired = files.context(expired=True)
        for service in self.services.values():
            context = files.context()
            context.sni_callback = self._certificate_chooser(service.code, expired)
            await self._listen(f"{service.code}.portal", service.code, self._serve_portal, context)
            if service.has_gateway:
                await self._listen(f"{service.code}.gateway", service.code, self._serve_gateway, None)

    async def stop(self) -> None:
        """Close every listener and connection."""
        for server in self._servers:
            server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._servers.clear()
        self._addresses.clear()

    def send_heartbeats(self, base_url: str) -> None:
        """Keep calling the product's `/heartbeat/{token}` for the services that push."""
        for code, token in self.heartbeat_tokens.items():
            self._keep(
                asyncio.get_running_loop().create_task(self._beat(code, base_url, f"/heartbeat/{token}"))
            )

    @property
    def faults(self) -> Mapping[str, Fault]:
        """What is broken now, by service code."""
        return dict(self._faults)

    def break_service(self, code: str, how: str = Fault.UNAVAILABLE) -> None:
        """Let `code` misbehave. Raises Invalid for an unknown service or fault."""
        self._check(code)
        if how not in list(Fault):
            raise Invalid("--how", f'"{how}" is not a known fault; known are {", ".join(Fault)}')
        self._faults[code] = Fault(how)
        log.info("demo.broken", service=code, how=how)

    def restore(self, code: str) -> None:
        """Let `code` work again. Raises Invalid for an unknown service."""
        self._check(code)
        self._faults.pop(code, None)
        log.info("demo.restored", service=code)

    def placeholder(self, name: str) -> str:
        """What stands for `{NAME}` in the catalogue: an address, a token, the authority's file.

        Raises Invalid for what is not simulated.
        """
        code, _, what = name.partition(".")
        if name == "ca_file":
            return str(self.ca_file.resolve())
        if what == "heartbeat" and code in self.heartbeat_tokens:
            return self.heartbeat_tokens[code]
        host, port = self._addresses.get(
            f"{code}.{'gateway' if what == 'gateway_port' else 'portal'}", ("", 0)
        )
        if port and what == "http":
            return f"https://{host}:{port}"
        if port and what in ("host", "gateway_port", "portal_port"):
            return host if what == "host" else str(port)
        raise Invalid(f"{{{name}}}", "the simulator serves nothing of that name")

    def _check(self, code: str) -> None:
        if code not in self.services:
            raise Invalid(
                "SERVICE", f'there is no service "{code}"; known are {", ".join(sorted(self.services))}'
            )

    async def _listen(
        self,
        name: str,
        code: str,
        serve: "Callable[[str, Client], Awaitable[None]]",
        context: ssl.SSLContext | None,
    ) -> None:
        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None  # noqa: S101 - a coroutine runs in a task
            self._keep(task)
            try:
                await serve(code, Client(reader, writer))
            except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError):
                writer.transport.abort()  # the client left or talked nonsense: nothing to tell it
            except asyncio.CancelledError:
                writer.transport.abort()  # `stop`; asyncio's streams would report the cancellation as a fault
            finally:
                writer.close()

        listener = _bind(self._hosts[code])
        self._servers.append(await asyncio.start_server(accept, sock=listener, ssl=context, limit=16_384))
        self._addresses[name] = listener.getsockname()

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _certificate_chooser(
        self, code: str, expired: ssl.SSLContext
    ) -> Callable[[ssl.SSLObject, str | None, ssl.SSLContext], None]:
        def choose(connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
            if self._faults.get(code) is Fault.TLS:
                connection.context = expired

        return choose

    async def _serve_portal(self, code: str, client: "Client") -> None:
        async with asyncio.timeout(_REQUEST_DEADLINE_S):
            path = await client.request_path()
        match self._faults.get(code):
            case Fault.TIMEOUT:
                await client.hang()
            case Fault.RESET:
                client.reset()
            case Fault.UNAVAILABLE:
                await client.answer("503 Service Unavailable", "text/plain", "Service unavailable\n")
            case Fault.BODY:
                await client.answer(
                    "200 OK", "text/html", "<!doctype html><title>nginx</title><h1>Welcome</h1>\n"
                )
            case fault:
                await asyncio.sleep(SLOW_S if fault is Fault.SLOW else 0)
                await client.answer("200 OK", *_portal(code, path))

    async def _serve_gateway(self, code: str, client: "Client") -> None:
        """Greet and answer commands. A gateway breaks with its service and with what it passes through."""
        match self._faults.get(code) or (Fault.SLOW if self._is_behind_a_fault(code) else None):
            case Fault.TIMEOUT:
                await client.hang()
                return
            case Fault.RESET:
                client.reset()
                return
            case Fault.UNAVAILABLE:
                await client.say(f"421 {code} message gateway: no connection to the platform")
                return
            case Fault.SLOW:
                await asyncio.sleep(SLOW_S)
        await client.say(f"220 {code} message gateway ready")
        async with asyncio.timeout(_REQUEST_DEADLINE_S):
            while (command := await client.line()) and command != "QUIT":
                await client.say("250 OK" if command in ("NOOP", "STATUS") else "500 unknown command")
        await client.say(f"221 {code} closing")

    def _is_behind_a_fault(self, code: str) -> bool:
        """Whether messages pass through something broken: they are taken, late."""
        parents = self.services[code].parents
        return any(parent in self._faults or self._is_behind_a_fault(parent) for parent in parents)

    async def _beat(self, code: str, base_url: str, path: str) -> None:
        """A nightly register exchange, sped up: says success, says failure, or falls silent."""
        silent = (Fault.TIMEOUT, Fault.RESET)
        while True:
            fault = self._faults.get(code)
            if fault not in silent:
                with suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
                    async with asyncio.timeout(2):
                        await _post(base_url, f"{path}/fail" if fault is Fault.UNAVAILABLE else path)
            await asyncio.sleep(_HEARTBEAT_EVERY_S)


class Client:
    """One connection to a simulated service."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def request_path(self) -> str:
        """The path of an HTTP request without a body."""
        head = await self._reader.readuntil(b"\r\n\r\n")
        words = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
        return words[1] if len(words) == 3 else "/"

    async def answer(self, status: str, content_type: str, body: str) -> None:
        """An HTTP response that ends the connection."""
        content = body.encode()
        head = (
            f"HTTP/1.1 {status}\r\nContent-Type: {content_type}; charset=utf-8\r\n"
            f"Content-Length: {len(content)}\r\nConnection: close\r\n\r\n"
        )
        self._writer.write(head.encode() + content)
        await self._writer.drain()

    async def line(self) -> str:
        """A line without its end; empty once the client has left."""
        return (await self._reader.readline()).decode("latin-1").strip()

    async def say(self, text: str) -> None:
        """A line of the gateway's dialogue."""
        self._writer.write(f"{text}\r\n".encode())
        await self._writer.drain()

    async def hang(self) -> None:
        """Say nothing until the client gives up."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_HANG_S):
                await self._reader.read()

    def reset(self) -> None:
        """End with a TCP reset rather than in good order."""
        connection = self._writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()


def _bind(host: str) -> socket.socket:
    """A socket on a port of the system's choice; on 127.0.0.1 where there is no other loopback."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.bind((host, 0))
    except OSError:
        listener.bind((HOST, 0))
    return listener


def _portal(code: str, path: str) -> tuple[str, str]:
    if path.partition("?")[0] == "/health":
        return "application/json", json.dumps(
            {"service": code, "status": "UP", "queue": {"waiting": 0}}
        ) + "\n"
    return (
        "text/html",
        f"<!doctype html><html lang=pl><title>{code}</title><h1>{code}</h1><p>Symulator usługi celnej.\n",
    )


async def _post(base_url: str, path: str) -> None:
    """A POST without a body; the status is the receiver's business."""
    address = urlsplit(base_url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port or 80)
    try:
        head = f"POST {path} HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Length: 0\r\nConnection: close"
        writer.write(f"{head}\r\n\r\n".encode())
        await writer.drain()
        await reader.readuntil(b"\r\n\r\n")
    finally:
        writer.close()


def fill(catalogue_text: str, simulator: Simulator) -> str:
    """The catalogue with the simulator's addresses in place of `{CODE.http}` and the like.

    Raises Invalid for a placeholder that the simulator does not serve.
    """
    return _PLACEHOLDER.sub(lambda match: simulator.placeholder(match[1] or match[2]), catalogue_text)
