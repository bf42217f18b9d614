"""The guarded door to the outside: every outbound connection of the program goes through `Network`.

It resolves a name once, has `kernel.guard` check the addresses, and connects to exactly what was checked.
What happens on an HTTP connection then is `kernel.exchange`'s; which certificates hold, `kernel.trust`'s.

Error
├── Refused        the guard does not let it out; nothing is known about the target
├── TargetFault    the other side did not do its part; the text is the cause
│   └── Untrusted  its certificate does not hold
└── Unavailable    our own fault: no file descriptors, no ports, a stalled event loop
"""

import asyncio
import errno
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import urljoin

from statuspage.kernel import clock
from statuspage.kernel.errors import Error, Invalid, Unavailable
from statuspage.kernel.exchange import (
    MAX_BODY_BYTES,
    Answer,
    Exchange,
    Request,
    TargetFault,
    Url,
    ascii_host,
    encode,
    parse_url,
)
from statuspage.kernel.guard import Guard, Refused, literal
from statuspage.kernel.trust import SYSTEM_TRUST, Certificate, Contexts, Trust, Untrusted, read_certificate

__all__ = ["Network", "Stream", "Trust", "Answer", "Refused", "TargetFault", "Untrusted"]

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
ProtocolT = TypeVar("ProtocolT", bound=asyncio.Protocol)

MAX_REDIRECTS = 5
_MAX_ADDRESSES = 4  # of one name, tried in turn
_LOOKUPS_AT_ONCE = 64
# A timer this late says that the program was held up, and not the target.
_STALLED_S = 1.0

# What the other side, or the way to it, does to a connection. Every other error is our own.
_CAUSES = {
    errno.ECONNREFUSED: "connection refused",
    errno.ECONNRESET: "connection reset",
    errno.ECONNABORTED: "connection reset",
    errno.EPIPE: "connection reset",
    errno.EHOSTUNREACH: "host unreachable",
    errno.EHOSTDOWN: "host unreachable",
    errno.ENETUNREACH: "network unreachable",
    errno.ETIMEDOUT: "connection timed out",
}
_NAME_CAUSES = {
    socket.EAI_NONAME: "name not found",
    socket.EAI_NODATA: "name not found",
    socket.EAI_AGAIN: "the name servers do not answer",
    socket.EAI_FAIL: "the name servers answer with an error",
}


@dataclass(slots=True)
class _Trail:
    """How far one undertaking has come, and when: what its deadline and its phases are told from."""

    timeout_s: float
    began_at: float = field(default_factory=clock.monotonic)
    waiting_for: str = ""
    is_ours: bool = False  # what is waited for is our own doing
    phases_ms: dict[str, float] = field(default_factory=dict)

    def left_s(self) -> float:
        return self.began_at + self.timeout_s - clock.monotonic()

    def passed(self, phase: str, since: float) -> float:
        """Note the phase that began at `since` as done, and return the present."""
        now = clock.monotonic()
        self.phases_ms[phase] = self.phases_ms.get(phase, 0.0) + (now - since) * 1000
        return now

    def overdue(self) -> Error:
        """What it means that the time is over."""
        if self.is_ours or self.left_s() < -_STALLED_S:
            return Unavailable("the prober itself was held up")
        return TargetFault(f"no {self.waiting_for} within {self.timeout_s:g} s")

    def noted(self, fault: TargetFault) -> TargetFault:
        """The fault, with the phases passed until now."""
        self.passed("total", self.began_at)
        fault.phases_ms = dict(self.phases_ms)
        return fault

    def error(self, error: OSError) -> Error:
        """What a failed system call, or the deadline, means."""
        is_deadline = isinstance(error, TimeoutError) and error.errno is None
        meant = self.overdue() if is_deadline else _meaning(error)
        return self.noted(meant) if isinstance(meant, TargetFault) else meant


def _meaning(error: OSError) -> Error:
    if isinstance(error, ssl.SSLError):
        reason = (error.reason or "it was broken off").replace("_", " ").lower()
        return TargetFault(f"TLS handshake failed: {reason}")
    if isinstance(error, socket.gaierror):
        cause = _NAME_CAUSES.get(error.errno or 0)
    else:
        # uvloop sometimes raises the class without its number.
        number = error.errno or (errno.ECONNRESET if isinstance(error, ConnectionError) else 0)
        cause = _CAUSES.get(number)
    return TargetFault(cause) if cause else Unavailable(f"the prober's own fault: {error.strerror or error}")


class Network:
    """The way out.

    `allow_networks` are the internal networks (CIDR) that may be reached. `ca_file` (PEM) is trusted in
    addition to the system's authorities. `resolve` finds the addresses of a name; by default the system
    does, on the threads of `lookups`.
    """

    def __init__(
        self,
        allow_networks: Sequence[str] = (),
        *,
        ca_file: str | None = None,
        resolve: Resolve | None = None,
        lookups: ThreadPoolExecutor | None = None,
    ) -> None:
        self._guard = Guard(allow_networks)
        self._contexts = Contexts(ca_file)
        self._resolve = resolve
        self._lookups = lookups or ThreadPoolExecutor(_LOOKUPS_AT_ONCE, "lookup")

    async def request(
        self,
        method: str,
        url: str,
        *,
        timeout_s: float,
        headers: Sequence[tuple[str, str]] = (),
        body: bytes = b"",
        follow_redirects: bool = True,
        max_body_bytes: int = MAX_BODY_BYTES,
        trust: Trust = SYSTEM_TRUST,
    ) -> Answer:
        """One answer, after at most five redirects, `timeout_s` for all of it.

        Raises Refused, TargetFault, Unavailable; Invalid for a URL or header that cannot be sent.
        """
        request = Request(method, parse_url(url), headers, body)
        trail = _Trail(timeout_s)
        try:
            async with asyncio.timeout(timeout_s):
                answer = await self._exchange(request, max_body_bytes, trust, trail)
                for _ in range(MAX_REDIRECTS):
                    if not follow_redirects or (following := _redirected(request, answer)) is None:
                        break
                    request = following
                    answer = await self._exchange(request, max_body_bytes, trust, trail)
                else:
                    if _redirected(request, answer) is not None:
                        raise TargetFault(f"more than {MAX_REDIRECTS} redirects")
        except OSError as error:
            raise trail.error(error) from error
        except TargetFault as fault:
            raise trail.noted(fault) from fault.__cause__
        trail.passed("total", trail.began_at)
        return answer

    async def open_stream(
        self,
        host: str,
        port: int,
        *,
        timeout_s: float,
        tls: bool = False,
        server_name: str | None = None,
        trust: Trust = SYSTEM_TRUST,
    ) -> "Stream":
        """A connection for the caller's own protocol; `timeout_s` is for everything until it is closed.

        Raises Refused, TargetFault, Unavailable.
        """
        trail = _Trail(timeout_s)
        try:
            async with asyncio.timeout(timeout_s):
                if tls:
                    protocol = _Reading()
                    plain, _ = await self._connect(host, port, asyncio.Protocol, trail)
                    name = ascii_host(server_name or host).rstrip(".")
                    transport = await self._secure(plain, protocol, name, trust, trail)
                    protocol.connection_made(transport)
                else:
                    transport, protocol = await self._connect(host, port, _Reading, trail)
        except OSError as error:
            raise trail.error(error) from error
        except TargetFault as fault:
            raise trail.noted(fault) from fault.__cause__
        return Stream(transport, protocol, trail)

    def close(self) -> None:
        """Let go of the lookup threads."""
        self._lookups.shutdown(wait=False, cancel_futures=True)

    async def _exchange(self, request: Request, max_body_bytes: int, trust: Trust, trail: _Trail) -> Answer:
        url, encoded = request.url, encode(request)
        loop = asyncio.get_running_loop()
        begin = partial(Exchange, loop, is_head=request.method == "HEAD", max_body_bytes=max_body_bytes)
        transport, exchange = await self._connect(url.host, url.port, begin, trail)
        try:
            if url.scheme == "https":
                transport = await self._secure(transport, exchange, url.host.rstrip("."), trust, trail)
            sent_at = clock.monotonic()
            trail.waiting_for = "answer"
            transport.write(encoded)
            await exchange.done
            if exchange.fault is not None:
                raise exchange.fault if isinstance(exchange.fault, OSError) else TargetFault(exchange.fault)
            trail.phases_ms["first_byte"] = (
                trail.phases_ms.get("first_byte", 0.0) + (exchange.first_byte_at - sent_at) * 1000
            )
            return _answer(exchange, url, trail, _certificate_shown(transport))
        finally:
            if exchange.first_byte_at:
                trail.waiting_for = "complete answer"
            transport.abort()

    async def _connect(
        self, host: str, port: int, factory: Callable[[], ProtocolT], trail: _Trail
    ) -> tuple[asyncio.Transport, ProtocolT]:
        """A connection to a checked address of `host`: to the next one where one does not answer."""
        trail.waiting_for = "address of the name"
        began_at = clock.monotonic()
        addresses = (await self._addresses(host, port, trail))[:_MAX_ADDRESSES]
        connecting_at = trail.passed("dns", began_at)
        trail.waiting_for = "connection"
        loop = asyncio.get_running_loop()
        for left in range(len(addresses), 0, -1):
            try:
                async with asyncio.timeout(trail.left_s() / left if left > 1 else None):
                    connection = await loop.create_connection(factory, addresses[-left], port)
                    break
            except OSError as error:
                is_share_spent = isinstance(error, TimeoutError) and error.errno is None
                if left == 1 or not (is_share_spent or isinstance(_meaning(error), TargetFault)):
                    raise
        trail.passed("connect", connecting_at)
        return connection

    async def _addresses(self, host: str, port: int, trail: _Trail) -> Sequence[str]:
        name = ascii_host(host)
        if (address := literal(name)) is not None:
            addresses: Sequence[str] = (address,)
        elif self._resolve is not None:
            addresses = await self._resolve(name, port)
        else:
            trail.is_ours = True  # until a thread is free to ask
            look_up = partial(_look_up, name, port, trail)
            addresses = await asyncio.get_running_loop().run_in_executor(self._lookups, look_up)
        if not addresses:
            raise TargetFault("name not found")
        self._guard.check(name, addresses)
        return addresses

    async def _secure(
        self, transport: asyncio.Transport, protocol: asyncio.Protocol, name: str, trust: Trust, trail: _Trail
    ) -> asyncio.Transport:
        began_at = clock.monotonic()
        trail.waiting_for = "end of the TLS handshake"
        if transport.is_closing():
            raise ConnectionResetError(errno.ECONNRESET, "connection reset")
        peer = transport.get_extra_info("peername")
        context = self._contexts.get(trust)
        loop = asyncio.get_running_loop()
        try:
            secured = await loop.start_tls(transport, protocol, context, server_hostname=name)
        except BaseException as error:
            transport.abort()
            trail.passed("tls", began_at)
            if not isinstance(error, ssl.SSLCertVerificationError):
                raise
            certificate = await self._look_at_certificate(peer, name, trail.left_s() / 2)
            raise Untrusted(error, name, certificate) from error
        if secured is None:
            raise ConnectionResetError(errno.ECONNRESET, "connection reset")
        trail.passed("tls", began_at)
        return secured

    async def _look_at_certificate(
        self, peer: tuple[str, int], name: str, timeout_s: float
    ) -> Certificate | None:
        """What the address just judged shows, read on a second connection that sends nothing."""
        loop = asyncio.get_running_loop()
        context = self._contexts.get(Trust(verify=False))
        try:
            async with asyncio.timeout(timeout_s):
                transport, _ = await loop.create_connection(
                    asyncio.Protocol, *peer[:2], ssl=context, server_hostname=name
                )
        except OSError:
            return None
        try:
            der = _certificate_shown(transport)
            return read_certificate(der) if der else None
        except TargetFault:
            return None
        finally:
            transport.abort()


class _Reading(asyncio.StreamReaderProtocol):
    """Feeds what arrives on one connection to a reader of its own."""

    def __init__(self) -> None:
        self.reader = asyncio.StreamReader()
        super().__init__(self.reader)


class Stream:
    """An open connection, for `async with`. Reads and writes end at the deadline it was opened with."""

    def __init__(self, transport: asyncio.Transport, protocol: _Reading, trail: _Trail) -> None:
        self._reader = protocol.reader
        self._writer = asyncio.StreamWriter(transport, protocol, protocol.reader, asyncio.get_running_loop())
        self._trail = trail
        trail.waiting_for = "answer"

    @property
    def phases_ms(self) -> dict[str, float]:
        """The phases passed, and the total until now."""
        self._trail.phases_ms["total"] = (clock.monotonic() - self._trail.began_at) * 1000
        return dict(self._trail.phases_ms)

    @property
    def certificate(self) -> bytes | None:
        """The certificate shown, DER; None on a connection without TLS."""
        return _certificate_shown(self._writer.transport)

    def wait_for(self, what: str) -> None:
        """Name what is waited for from now on: the cause of a missed deadline is "no … within 10 s"."""
        self._trail.waiting_for = what

    async def write(self, data: bytes) -> None:
        """Raises TargetFault where the other side has gone or takes nothing."""
        try:
            async with asyncio.timeout(self._trail.left_s()):
                self._writer.write(data)
                await self._writer.drain()
        except OSError as error:
            raise self._trail.error(error) from error

    async def read(self, max_bytes: int) -> bytes:
        """What has arrived, at least one byte; nothing when the other side has closed. Raises TargetFault."""
        try:
            async with asyncio.timeout(self._trail.left_s()):
                return await self._reader.read(max_bytes)
        except OSError as error:
            raise self._trail.error(error) from error

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._writer.transport.abort()


def _look_up(name: str, port: int, trail: _Trail) -> list[str]:
    trail.is_ours = False
    found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


def _redirected(request: Request, answer: Answer) -> Request | None:
    """The request that `answer` asks for; None where it is the answer. Raises Refused for another scheme."""
    location = answer.header("location")
    if answer.status not in (301, 302, 303, 307, 308) or location is None:
        return None
    here = f"{request.url.scheme}://{request.url.authority}{request.url.target}"
    try:
        url = parse_url(urljoin(here, location.encode("latin-1").decode("utf-8", "replace")))
    except (Invalid, ValueError):
        raise Refused(f"redirected to {location[:100]!r}, which is not followed") from None
    method, body, headers = request.method, request.body, request.headers
    if (answer.status == 303 and method != "HEAD") or (answer.status in (301, 302) and method == "POST"):
        method, body = "GET", b""  # RFC 9110, section 15.4
        headers = [(n, v) for n, v in headers if n.lower() != "content-type"]
    if url.origin != request.url.origin:
        headers = [(n, v) for n, v in headers if n.lower() not in ("authorization", "cookie", "host")]
    return Request(method, url, headers, body)


def _answer(exchange: Exchange, url: Url, trail: _Trail, certificate: bytes | None) -> Answer:
    headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in exchange.headers)
    return Answer(exchange.status, headers, exchange.body, url, exchange.is_cut, trail.phases_ms, certificate)


def _certificate_shown(transport: asyncio.BaseTransport) -> bytes | None:
    tls = transport.get_extra_info("ssl_object")
    der: bytes | None = tls.getpeercert(binary_form=True) if tls is not None else None
    return der
