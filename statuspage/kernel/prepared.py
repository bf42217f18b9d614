"""Bytes made in advance: a body with its ETag, gzip and brotli twins and ready ASGI messages."""

import gzip
import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import brotli
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from statuspage.kernel.web import add_security_headers

BROTLI_LEVEL = 5  # 3 ms for a page; 11 takes 165 ms and saves a tenth
_MIN_COMPRESSED = 256
PAGE = "no-cache"
SHORT = "public, max-age=10"
FOREVER = "public, max-age=31536000, immutable"

_COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "": lambda body: body,
    "gzip": lambda body: gzip.compress(body, 6, mtime=0),
    "br": lambda body: brotli.compress(body, quality=BROTLI_LEVEL),
}


@dataclass(frozen=True, slots=True)
class _Variant:
    start: Message
    body: Message


class Prepared:
    """One answer, ready to be sent in three encodings, or as 304.

    It is compressed when an encoding is first asked for: most encodings of most answers never are. Asked for
    twice at once, the same bytes are made twice, which is harmless.
    """

    __slots__ = ("_headers", "_is_packed", "_not_modified", "_variants", "body", "etag")

    def __init__(self, body: bytes, etag: bytes, headers: MutableHeaders, *, is_packed: bool = False) -> None:
        self.body = body
        self.etag = etag
        self._headers = headers
        self._is_packed = is_packed
        self._variants: dict[str, _Variant] = {}
        self._not_modified: Message = {"type": "http.response.start", "status": 304, "headers": headers.raw}

    @property
    def gzip(self) -> bytes | None:
        """The body compressed; None where that does not pay."""
        return None if self._is_small else self._variant("gzip").body["body"]

    @property
    def brotli(self) -> bytes | None:
        """As `gzip`."""
        return None if self._is_small else self._variant("br").body["body"]

    async def send(self, send: Send, *, accept_encoding: bytes, if_none_match: bytes, is_head: bool) -> None:
        """Answer a GET or HEAD (RFC 9110 §12.5.3, §13.1.2; weak comparison)."""
        if if_none_match and (self.etag in if_none_match or if_none_match == b"*"):
            await send(self._not_modified)
            await send(_EMPTY)
            return
        variant = self._variant(self._encoding(accept_encoding))
        await send(variant.start)
        await send(_EMPTY if is_head else variant.body)

    @property
    def _is_small(self) -> bool:
        return self._is_packed or len(self.body) < _MIN_COMPRESSED

    def _encoding(self, accepted: bytes) -> str:
        if self._is_small:
            return ""
        if b"br" in accepted and b"br;q=0" not in accepted:
            return "br"
        if b"gzip" in accepted and b"gzip;q=0" not in accepted:
            return "gzip"
        return ""

    def _variant(self, encoding: str) -> _Variant:
        if (known := self._variants.get(encoding)) is None:
            known = _variant(self._headers, _COMPRESS[encoding](self.body), encoding)
            self._variants[encoding] = known
        return known


class PreparedResponse(Response):
    """The same for a web function to return."""

    def __init__(self, prepared: Prepared) -> None:
        super().__init__()
        self._prepared = prepared

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        await self._prepared.send(
            send,
            accept_encoding=headers.get("accept-encoding", "").encode("latin-1"),
            if_none_match=headers.get("if-none-match", "").encode("latin-1"),
            is_head=scope["method"] == "HEAD",
        )


_EMPTY: Message = {"type": "http.response.body", "body": b"", "more_body": False}


def prepare(
    body: bytes,
    content_type: str,
    *,
    cache: str,
    vary: str = "Accept-Encoding",
    headers: Iterable[tuple[str, str]] = (),
    is_packed: bool = False,
) -> Prepared:
    """Lay out the answer and its headers once. `is_packed`: compressing it again would not pay."""
    etag = f'W/"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    shared = MutableHeaders(
        {"Content-Type": content_type, "ETag": etag, "Cache-Control": cache, "Vary": vary}
    )
    for name, value in headers:
        shared[name] = value
    add_security_headers(shared)
    return Prepared(body, etag.encode(), shared, is_packed=is_packed)


def _variant(shared: MutableHeaders, body: bytes, encoding: str) -> _Variant:
    headers = MutableHeaders(raw=list(shared.raw))
    headers["Content-Length"] = str(len(body))
    if encoding:
        headers["Content-Encoding"] = encoding
    return _Variant(
        {"type": "http.response.start", "status": 200, "headers": headers.raw},
        {"type": "http.response.body", "body": body, "more_body": False},
    )
