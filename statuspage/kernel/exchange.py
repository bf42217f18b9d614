"""One HTTP/1.1 exchange on a connection of its own: a request out, a bounded answer in (RFC 9110, 9112).

It knows no names, addresses or deadlines: `kernel.net` connects, guards and watches the time.
"""

import asyncio
import re
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from ipaddress import IPv6Address
from urllib.parse import quote, urlsplit

import httptools

from statuspage.kernel import clock
from statuspage.kernel.errors import Error, Invalid

MAX_BODY_BYTES = 1_048_576
_MAX_HEAD_BYTES = 65_536
# Chunk framing may outweigh the body, but not without end: bytes on the wire for each byte of body allowed.
_MAX_FRAMING = 8
# Members of a gzip body. Empty ones add nothing to the body, and each costs time and a copy of what follows it.
_MAX_MEMBERS = 256
_PORTS = {"http": 80, "https": 443}
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_FIELD_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_URL_CHARACTERS = re.compile(r"[^\x00-\x20\x7f\\]+")
_NAME = re.compile(r"[0-9a-z_-]{1,63}(?:\.[0-9a-z_-]{1,63})*\.?")
_OURS = {"connection", "content-length", "transfer-encoding"}
_KEEP = "/%:@!$&'()*+,;=~?-._"


class TargetFault(Error):
    """The other side did not do its part. The text is the cause, short and factual."""

    phases_ms: dict[str, float]

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.phases_ms = {}

    def cause(self, now: datetime) -> str:
        """The cause in words, at the instant `now`."""
        return str(self)


@dataclass(frozen=True, slots=True)
class Url:
    """An absolute http or https URL, taken apart once and the same way for the guard and for the wire."""

    scheme: str
    host: str
    port: int
    authority: str  # what the Host header says
    target: str  # path and query

    @property
    def origin(self) -> tuple[str, str, int]:
        return (self.scheme, self.host, self.port)


@lru_cache(maxsize=4096)
def parse_url(text: str) -> Url:
    """Raises Invalid for what is not an absolute http or https URL, or could be read in two ways."""
    if not _URL_CHARACTERS.fullmatch(text):
        raise Invalid("url", "spaces, control characters and backslashes are not allowed in it")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise Invalid("url", str(error)) from None
    if parts.scheme not in _PORTS or not parts.hostname:
        raise Invalid("url", "write it as http://host/path or https://host/path")
    if "@" in parts.netloc:
        raise Invalid("url", "no user or password in it; use an Authorization header")
    if port == 0:
        raise Invalid("url", "port 0 cannot be connected to")
    host = ascii_host(parts.hostname)
    target = quote(parts.path or "/", safe=_KEEP)
    if parts.query:
        target = f"{target}?{quote(parts.query, safe=_KEEP)}"
    authority = f"[{host}]" if ":" in host else host
    if port not in (None, _PORTS[parts.scheme]):
        authority = f"{authority}:{port}"
    return Url(parts.scheme, host, port or _PORTS[parts.scheme], authority, target)


def ascii_host(host: str) -> str:
    """The host as it is looked up and sent: lower case, international labels in their ASCII form (RFC 3490).

    Raises Invalid for what cannot be a host name.
    """
    try:
        name = (host if host.isascii() else host.encode("idna").decode("ascii")).lower()
        if ":" in name and "%" not in name:
            return str(IPv6Address(name))
    except ValueError:
        name = ""
    if len(name) > 253 or not _NAME.fullmatch(name):
        raise Invalid("host", f'"{host}" is not a host name or address')
    return name


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked. Headers given here replace those that are sent by default."""

    method: str
    url: Url
    headers: Sequence[tuple[str, str]] = ()
    body: bytes = b""


def check_headers(headers: Iterable[tuple[str, str]]) -> None:
    """Raises Invalid where a name or value could break out of its line (RFC 9110, section 5.5)."""
    for name, value in headers:
        if not _TOKEN.fullmatch(name):
            raise Invalid("headers", f'"{name}" is not a header name')
        if not _FIELD_VALUE.fullmatch(value):
            raise Invalid("headers", f"the value of {name} has a character that a header cannot carry")


def encode(request: Request) -> bytes:
    """The request's bytes. Raises Invalid for a header that would break out of its line."""
    check_headers(request.headers)
    given = {name.lower() for name, _ in request.headers}
    lines = [f"{request.method} {request.url.target} HTTP/1.1"]
    for name, value in (
        ("Host", request.url.authority),
        ("User-Agent", "statuspage"),
        ("Accept", "*/*"),
        ("Accept-Encoding", "gzip"),
    ):
        if name.lower() not in given:
            lines.append(f"{name}: {value}")
    lines += [f"{name}: {value}" for name, value in request.headers if name.lower() not in _OURS]
    if request.body or request.method in ("POST", "PUT", "PATCH"):
        lines.append(f"Content-Length: {len(request.body)}")
    lines.append("Connection: close\r\n\r\n")
    return "\r\n".join(lines).encode("latin-1") + request.body


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `body` is decompressed and ends at the limit; `is_cut` says that there was more."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    url: Url  # of the last hop
    is_cut: bool = False
    phases_ms: dict[str, float] = field(default_factory=dict)  # dns, connect, tls, first_byte, total
    certificate: bytes | None = None  # the last hop's, DER

    def header(self, name: str) -> str | None:
        """The first header of that name, given in lower case."""
        return next((value for key, value in self.headers if key == name), None)


class Exchange(asyncio.Protocol):
    """Sends one request and gathers its answer; `done` is set when the answer, or a `fault`, is there."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, is_head: bool, max_body_bytes: int) -> None:
        self.done: asyncio.Future[None] = loop.create_future()
        self.fault: str | OSError | None = None
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.is_cut = False
        self.first_byte_at = 0.0  # clock.monotonic()
        self._is_head = is_head
        self._max_body_bytes = max_body_bytes
        self._received_bytes = 0
        self._has_head = False
        self._ends_with_connection = False
        self._chunks: list[bytes] = []
        self._body_bytes = 0
        self._gunzip: zlib._Decompress | None = None
        self._members = 0  # whole gzip members read; what follows one may be padding
        self._parser = httptools.HttpResponseParser(self)

    @property
    def body(self) -> bytes:
        return b"".join(self._chunks)

    def data_received(self, data: bytes) -> None:
        if self.done.done():
            return
        if not self._received_bytes:
            self.first_byte_at = clock.monotonic()
        self._received_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._finish()
        except httptools.HttpParserError:
            self._fail("the answer is not valid HTTP")
        if not self._has_head and self._received_bytes > _MAX_HEAD_BYTES:
            self._fail("the answer's headers are larger than 64 KiB")
        elif self._received_bytes > _MAX_HEAD_BYTES + _MAX_FRAMING * self._max_body_bytes:
            self._cut()

    def connection_lost(self, exc: Exception | None) -> None:
        if isinstance(exc, OSError):
            self._fail(exc)
        elif not self._received_bytes:
            self._fail("connection closed without an answer")
        elif self._has_head and self._ends_with_connection:
            self._finish()
        else:
            self._fail("connection closed in the middle of the answer")

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._has_head:  # trailers are not headers
            self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        if self.status < 200:  # on_message_complete follows at once
            return
        self._has_head = True
        names = {name for name, _ in self.headers}
        self._ends_with_connection = b"content-length" not in names and b"transfer-encoding" not in names
        if self._is_head:
            self._finish()
        elif b"content-encoding" in names:
            self._choose_decoding()

    def on_body(self, data: bytes) -> None:
        if self.done.done():
            return
        try:
            while data:
                data = self._take(data)
        except zlib.error:
            if not self._members:
                self._fail("the body is not valid gzip")

    def on_message_complete(self) -> None:
        if self.status < 200:  # 100 Continue, 103 Early Hints: the answer itself is still to come
            self.headers.clear()
        else:
            self._finish()

    def _choose_decoding(self) -> None:
        encoding = b",".join(value for name, value in self.headers if name == b"content-encoding").lower()
        if encoding in (b"gzip", b"x-gzip"):
            self._gunzip = zlib.decompressobj(31)
        elif encoding not in (b"", b"identity"):
            self._fail("the body is compressed in a way that was not asked for")

    def _take(self, data: bytes) -> bytes:
        """Keep what the limit lets in; the rest, if anything is left to decompress, is returned."""
        room = self._max_body_bytes - self._body_bytes
        rest = b""
        if self._gunzip is not None:
            if self._gunzip.eof:  # a member may follow a member, RFC 1952 section 2.2
                self._gunzip = zlib.decompressobj(31)
            data = self._gunzip.decompress(data, room + 1)
            rest = self._gunzip.unused_data
            self._members += self._gunzip.eof
            if self._members > _MAX_MEMBERS:
                self._fail(f"the gzip body has more than {_MAX_MEMBERS} members")
                return b""
        self._chunks.append(data[:room])
        self._body_bytes += min(len(data), room)
        if len(data) > room:
            self._cut()
            return b""
        return rest

    def _cut(self) -> None:
        self.is_cut = True
        self._gunzip = None
        self._finish()

    def _finish(self) -> None:
        if self._gunzip is not None and self._body_bytes and not self._members:
            self._fail("the gzip body ends too early")
        elif not self.done.done():
            self.done.set_result(None)

    def _fail(self, fault: str | OSError) -> None:
        if not self.done.done():
            self.fault = fault
            self.done.set_result(None)
