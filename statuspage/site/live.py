"""The live feed: what happens, told to open pages and programs by WebSocket and server-sent events.

Clients share one ring of recent messages and each keeps only its place in it, so that a slow reader
costs no memory.
"""

import asyncio
import random
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, Protocol
from urllib.parse import urlsplit

import msgspec
from prometheus_client import Counter, Gauge
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import Receive, Scope, Send
from websockets.frames import Frame, Opcode

from statuspage.incidents.rules import indicator_description
from statuspage.incidents.snapshot import PageSnapshot
from statuspage.kernel.config import Settings
from statuspage.site.wire import EXTENSION, HttpProtocol, WebSocketProtocol

RING_MESSAGES = 1000  # how far back `?since=` reaches
BACKLOG_MESSAGES = 64  # a client that has fallen further behind gets a snapshot instead of what it missed
PATIENCE_S = 10.0  # how long it may stay that far behind
HEARTBEAT_S = 25.0
STRIDE = 500  # clients served before other work gets its turn

TRY_AGAIN_LATER = 1013
SERVICE_RESTART = 1012

CLIENTS = Gauge("statuspage_live_clients", "Live connections held.", ["transport"])
REFUSED = Counter("statuspage_live_refused_total", "Live connections refused because too many were held.")
TOO_SLOW = Counter("statuspage_live_too_slow_total", "Live connections closed because nobody read them.")


def event_message(seq: int, kind: str, payload: Mapping[str, Any]) -> bytes:
    """An event as clients get it."""
    return msgspec.json.encode({"type": kind, "seq": seq, **payload})


def snapshot_message(snapshot: PageSnapshot, language: str) -> bytes:
    """The state of every service, for clients that have none or too old a one. Names are in `language`."""
    return msgspec.json.encode(
        {
            "type": "snapshot",
            "seq": snapshot.seq,
            "status": {
                "indicator": snapshot.indicator.value,
                "description": indicator_description(snapshot.indicator),
            },
            "components": [
                {"id": s.id, "code": s.code, "name": s.name[language], "status": s.status.value}
                for s in snapshot.services
            ],
        }
    )


@dataclass(frozen=True, slots=True)
class Message:
    """A message in both encodings, made once for all clients."""

    seq: int
    frame: bytes  # WebSocket, RFC 6455
    event: bytes  # server-sent event

    @classmethod
    def of(cls, seq: int, text: bytes) -> "Message":
        """`text` is JSON on one line."""
        return cls(seq, Frame(Opcode.TEXT, text).serialize(mask=False), b"id: %d\ndata: %s\n\n" % (seq, text))


NOTHING = Message(-1, b"", b"")  # before the first publication, while clients are refused


class _Numbered(msgspec.Struct):
    seq: int


class Client(Protocol):
    """A live connection. `seq` is the newest message it was sent; `deadline` runs while it lags too far."""

    transport: str
    seq: int
    deadline: asyncio.TimerHandle | None

    @property
    def is_paused(self) -> bool:
        """Whether it does not take more now."""

    def write(self, messages: Sequence[Message]) -> None:
        """Send at once; never waits."""

    def end(self, code: int, reason: str) -> None:
        """Close it, whether or not it reads."""


class Live:
    """Who listens, and what they have not heard yet."""

    def __init__(
        self,
        settings: Settings,
        *,
        patience_s: float = PATIENCE_S,
        heartbeat_s: float = HEARTBEAT_S,
        stride: int = STRIDE,
    ) -> None:
        self.base_url = urlsplit(settings.server.base_url)
        self.max_clients = settings.server.max_live_clients
        self.patience_s = patience_s
        self.heartbeat_s = heartbeat_s
        self._stride_clients = stride
        self._clients: set[Client] = set()
        self._ring: deque[Message] = deque(maxlen=RING_MESSAGES)
        self._snapshot = NOTHING
        self._walk: Iterator[Client] | None = None
        self._walk_again = False

    def __len__(self) -> int:
        return len(self._clients)

    def publish(self, messages: Sequence[tuple[int, bytes]], snapshot: bytes) -> None:
        """Tell everybody: `messages` are (seq, JSON), oldest first, `snapshot` is the state they led to.

        What was told before is not repeated. Called on the event loop, once per change.
        """
        self._snapshot = Message.of(msgspec.json.decode(snapshot, type=_Numbered).seq, snapshot)
        for seq, text in messages:
            if self._ring and seq <= self._ring[-1].seq:
                continue
            if self._ring and seq > self._ring[-1].seq + 1:
                self._ring.clear()  # nobody can be brought across a hole by messages alone
            self._ring.append(Message.of(seq, text))
        if self._walk is not None:
            self._walk_again = True
        elif self._clients:
            self._begin_walk()

    def close(self) -> None:
        """Send everybody away because the server stops."""
        for client in list(self._clients):
            client.end(SERVICE_RESTART, "restarting")

    def refusal(self, connection: HTTPConnection, *, check_origin: bool) -> Response | None:
        """Why this connection is not accepted, as the answer to it."""
        if check_origin and self._is_foreign(connection.headers):
            return JSONResponse({"error": "foreign origin"}, status_code=403)
        if self._snapshot is NOTHING or len(self._clients) >= self.max_clients:
            REFUSED.inc()
            # Random, so that those sent away together do not come back together.
            retry_s = random.randint(5, 30)
            body = {"error": "too many live clients", "retry_after_s": retry_s, "jitter_s": retry_s}
            return JSONResponse(body, status_code=503, headers={"Retry-After": str(retry_s)})
        return None

    def _is_foreign(self, headers: Headers) -> bool:
        origin = headers.get("origin")
        if origin is None:
            return False
        given = urlsplit(origin)
        if (given.scheme, given.netloc) == (self.base_url.scheme, self.base_url.netloc):
            return False
        return not given.netloc or given.netloc != headers.get("host")

    def join(self, client: Client, since: int | None) -> None:
        """Take a client in, and bring it from `since` to now; by a snapshot if that is too long ago."""
        if since is not None:
            client.seq = since
        self._clients.add(client)
        CLIENTS.labels(client.transport).inc()
        self._tell(client, self._missed(since))

    def leave(self, client: Client) -> None:
        """Forget a client. Harmless when it has gone already."""
        if client in self._clients:
            self._clients.discard(client)
            CLIENTS.labels(client.transport).dec()
        if client.deadline is not None:
            client.deadline.cancel()

    def catch_up(self, client: Client) -> None:
        """A client reads again: what it missed, or a snapshot when that was too much."""
        if client not in self._clients or client.is_paused:
            return
        if client.deadline is None:
            self._tell(client, self._missed(client.seq))
        else:
            client.deadline.cancel()
            client.deadline = None
            self._tell(client, self._missed(None))

    def _tell(self, client: Client, messages: Sequence[Message]) -> None:
        if messages:
            client.seq = messages[-1].seq
            client.write(messages)

    def _missed(self, since: int | None) -> Sequence[Message]:
        """What leads from `since` to now: messages if the ring reaches back, else a snapshot and the rest."""
        snapshot, ring = self._snapshot, self._ring
        if since is not None:
            if ring and ring[0].seq - 1 <= since <= ring[-1].seq:
                # Places in the ring are consecutive, and most clients miss only the last message.
                return list(islice(reversed(ring), ring[-1].seq - since))[::-1]
            if (not ring or since > ring[-1].seq) and since == snapshot.seq:
                return ()
        return [snapshot, *(message for message in ring if message.seq > snapshot.seq)]

    def _begin_walk(self) -> None:
        self._walk_again = False
        self._walk = iter(tuple(self._clients))
        self._stride({})

    def _stride(self, missed: dict[int, Sequence[Message]]) -> None:
        """Serve the next clients of this walk: in strides, so that pages are answered between them.

        `missed` remembers what a client at a given place needs; nearly all stand at the same one.
        """
        walk = self._walk
        if walk is None:
            return
        client = None
        for client in islice(walk, self._stride_clients):
            if client.is_paused:
                self._note_lag(client)
                continue
            messages = missed.get(client.seq)
            if messages is None:
                messages = missed[client.seq] = self._missed(client.seq)
            self._tell(client, messages)
        if client is not None:
            asyncio.get_running_loop().call_soon(self._stride, missed)
        elif self._walk_again:
            self._begin_walk()
        else:
            self._walk = None

    def _note_lag(self, client: Client) -> None:
        """Start the patience of a client that does not read and has fallen too far behind."""
        if client.deadline is not None or client not in self._clients or not self._ring:
            return
        if self._ring[-1].seq - client.seq > BACKLOG_MESSAGES:
            loop = asyncio.get_running_loop()
            client.deadline = loop.call_later(self.patience_s, self._give_up, client)

    def _give_up(self, client: Client) -> None:
        TOO_SLOW.inc()
        client.end(TRY_AGAIN_LATER, "too slow")


class WebSocketClient:
    """A reader by WebSocket."""

    transport = "websocket"

    def __init__(self, wire: WebSocketProtocol) -> None:
        self.seq = 0
        self.deadline: asyncio.TimerHandle | None = None
        self._wire = wire
        self.end = wire.end

    @property
    def is_paused(self) -> bool:
        return self._wire.is_paused

    def write(self, messages: Sequence[Message]) -> None:
        for message in messages:
            self._wire.write(message.frame)


class EventStreamClient:
    """A reader by server-sent events. It is paused from each writing until the server has taken it."""

    transport = "sse"

    def __init__(self, send: Send, wire: HttpProtocol | None) -> None:
        self.seq = 0
        self.deadline: asyncio.TimerHandle | None = None
        self._send = send
        self._wire = wire
        self._outbox = b""
        self._wake = asyncio.Event()
        self._over = asyncio.Event()

    @property
    def is_paused(self) -> bool:
        return bool(self._outbox)

    def write(self, messages: Sequence[Message]) -> None:
        self._outbox = b"".join(message.event for message in messages)
        self._wake.set()

    def end(self, code: int, reason: str) -> None:
        """Server-sent events have no close code; one that does not read is cut off."""
        if code == TRY_AGAIN_LATER and self._wire is not None:
            self._wire.abort()
        self._over.set()

    async def run(self, receive: Receive, live: Live) -> None:
        """Send until the reader leaves or is sent away."""
        tasks = [
            asyncio.create_task(self._deliver(live)),
            asyncio.create_task(self._watch(receive)),
            asyncio.create_task(self._over.wait()),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if not self.is_paused:
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _deliver(self, live: Live) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(live.heartbeat_s):
                    await self._wake.wait()
            self._wake.clear()
            self._outbox = self._outbox or b": still here\n\n"
            await self._send({"type": "http.response.body", "body": self._outbox, "more_body": True})
            self._outbox = b""
            live.catch_up(self)

    async def _watch(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass


class EventStream(Response):
    """The endless response of `/live/events`."""

    media_type = "text/event-stream"

    def __init__(self, live: Live, since: int | None) -> None:
        super().__init__(
            headers={
                "Cache-Control": "no-store",
                "Access-Control-Allow-Origin": "*",
                "X-Accel-Buffering": "no",  # nginx holds it back otherwise
            }
        )
        del self.headers["content-length"]
        self.live = live
        self.since = since

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        if scope["method"] == "HEAD":
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            return
        # How long a browser waits before it comes back, spread so that all do not come at once.
        hint = b"retry: %d\n\n" % random.randint(2000, 10_000)
        await send({"type": "http.response.body", "body": hint, "more_body": True})
        wire: HttpProtocol | None = scope.get("extensions", {}).get(EXTENSION)
        client = EventStreamClient(send, wire)
        if wire is not None:
            wire.on_shutdown = partial(client.end, SERVICE_RESTART, "restarting")
        self.live.join(client, self.since)
        try:
            await client.run(receive, self.live)
        finally:
            self.live.leave(client)
            if wire is not None:
                wire.on_shutdown = None  # the connection may serve other requests


class WebSocketFeed:
    """The ASGI application of `/live`. One suspended coroutine is all that a client costs here."""

    def __init__(self, live: Live) -> None:
        self.live = live

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()  # websocket.connect
        connection = HTTPConnection(scope)
        if refusal := self.live.refusal(connection, check_origin=True):
            await refusal(scope, receive, send)
            return
        wire: WebSocketProtocol | None = scope["extensions"].get(EXTENSION)
        if wire is None:
            raise RuntimeError("start uvicorn with statuspage.site.wire.server_options()")
        since = _place(connection)
        await send({"type": "websocket.accept"})
        client = WebSocketClient(wire)
        del connection
        wire.on_writable = partial(self.live.catch_up, client)
        self.live.join(client, since)
        try:
            while (await receive())["type"] != "websocket.disconnect":
                pass  # clients have nothing to say
        finally:
            wire.on_writable = None
            self.live.leave(client)


def _place(connection: HTTPConnection) -> int | None:
    """Where a client wants to go on. A browser that reconnects keeps its URL, so the header counts first."""
    text = connection.headers.get("last-event-id") or connection.query_params.get("since", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None


def routes(live: Live) -> list[BaseRoute]:
    """The live feed's routes."""

    async def events(request: Request) -> Response:
        return live.refusal(request, check_origin=False) or EventStream(live, _place(request))

    return [
        WebSocketRoute("/live", WebSocketFeed(live), name="live"),
        Route("/live/events", events, name="live_events"),
    ]
