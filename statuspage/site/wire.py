"""uvicorn's connections with what ASGI leaves out: ready-made frames, whether the client reads, an end that does not
wait for it, and a deadline for whoever sends slowly. `site.live` finds them in the ASGI scope by `EXTENSION`.
"""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

EXTENSION = "statuspage.wire"

# What the kernel may hold for one reader. Left alone it grows to megabytes for one that does not read.
SEND_BUFFER_BYTES = 65_536


def server_options() -> dict[str, Any]:
    """Keyword arguments of `uvicorn.Config` that the live feed relies on.

    Without compression a frame can be built once for all clients, who have nothing to say themselves.
    """
    return {
        "http": HttpProtocol,
        "ws": WebSocketProtocol,
        "ws_max_size": 1024,
        "ws_per_message_deflate": False,
        "ws_ping_interval": 25.0,
        "ws_ping_timeout": 20.0,
    }


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """A WebSocket that takes frames made for many clients, and can be ended while its peer does not read."""

    on_writable: Callable[[], None] | None = None
    farewell_s = 10.0  # a peer that does not acknowledge the closing is cut off after this long

    @property
    def is_paused(self) -> bool:
        """Whether the peer reads too slowly to be sent more."""
        return not self.writable.is_set()

    def write(self, frame: bytes) -> None:
        """Send a complete, unmasked frame (RFC 6455 section 5.2); dropped when the connection is closing."""
        if not self.close_sent and not self.transport.is_closing():
            self.transport.write(frame)

    def end(self, code: int, reason: str) -> None:
        """Close with `code`, without waiting for what the peer has not read."""
        if self.close_sent or self.transport.is_closing():
            return
        self.stop_keepalive()
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.conn.send_close(code, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.close_timer = self.loop.call_later(self.farewell_s, self.transport.abort)

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        connection = transport.get_extra_info("socket")
        with suppress(OSError, AttributeError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.on_writable is not None:
            self.on_writable()

    async def run_asgi(self) -> None:
        extensions = cast(dict[str, Any], self.scope["extensions"])
        extensions[EXTENSION] = self
        try:
            await super().run_asgi()
        finally:
            # close() waits for what is buffered, which a peer that does not read never takes.
            if not self.disconnected and self.close_timer is None:
                self.close_timer = self.loop.call_later(self.farewell_s, self.transport.abort)

    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()
        if self.close_timer is None:
            self.close_timer = self.loop.call_later(self.farewell_s, self.transport.abort)


class HttpProtocol(HttpToolsProtocol):
    """HTTP whose endless responses (server-sent events) learn of the shutdown, and can be cut off.

    Who sends slowly is cut off, too, or a few hundred connections would hold all there are (abuse case 14):
    headers have to be there within `patience_s`, and so has a body, or `least_bytes` more of it.
    """

    on_shutdown: Callable[[], None] | None = None
    patience_s = 10.0
    least_bytes = 16_384  # a picture over a bad line is slow, but not that slow

    _deadline: asyncio.TimerHandle | None = None
    _received = 0

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._await_more()

    def connection_lost(self, exc: Exception | None) -> None:
        self._await_nothing()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = cast(Any, {EXTENSION: self})
        self._await_more()

    def on_headers_complete(self) -> None:
        self._await_more()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._received += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._await_nothing()
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        self._await_nothing()
        super().handle_websocket_upgrade()

    def abort(self) -> None:
        """Cut the connection off, whatever is still to be sent."""
        self.transport.abort()

    def shutdown(self) -> None:
        super().shutdown()
        if self.on_shutdown is not None:
            self.on_shutdown()

    def _await_more(self) -> None:
        self._await_nothing()
        self._received = 0
        self._deadline = self.loop.call_later(self.patience_s, self._look_at_the_clock)

    def _await_nothing(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _look_at_the_clock(self) -> None:
        if self._received >= self.least_bytes:
            self._await_more()
        else:
            self.abort()
