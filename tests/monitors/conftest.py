"""Loopback counterparts for probes. Their tests run on asyncio's loop and on uvloop, the server's."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
import uvloop

from monitors.probes import Context
from statuspage.kernel import clock
from statuspage.kernel.net import Network

Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    loops: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.new_event_loop}
    if item.path.name.startswith("test_probes"):
        loops["uvloop"] = uvloop.new_event_loop
    return loops


@dataclass
class Counterparts:
    """Servers on loopback, for the length of a test."""

    _servers: list[asyncio.Server] = field(default_factory=list)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def serve(self, behaviour: Behaviour, *, tls: ssl.SSLContext | None = None) -> int:
        """The port of a new server that treats every connection so."""

        async def keep(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._tasks.add(task)
            try:
                with suppress(ConnectionError, asyncio.CancelledError):
                    await behaviour(reader, writer)
            finally:
                self._tasks.discard(task)
                writer.transport.abort()

        server = await asyncio.start_server(keep, "127.0.0.1", 0, ssl=tls)
        self._servers.append(server)
        port: int = server.sockets[0].getsockname()[1]
        return port

    async def answer(self, answer: bytes, *, tls: ssl.SSLContext | None = None) -> int:
        """The port of a server that reads a request's head and answers so."""

        async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()
            writer.close()
            await writer.wait_closed()

        return await self.serve(behaviour, tls=tls)

    async def stop(self) -> None:
        for server in self._servers:
            server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@pytest.fixture
async def counterparts() -> AsyncIterator[Counterparts]:
    running = Counterparts()
    yield running
    await running.stop()


@dataclass(frozen=True)
class Authority:
    """An authority that the tests trust, and what it signs."""

    ca: trustme.CA
    file: str

    def context(self, *names: str, expires_at: datetime | None = None) -> ssl.SSLContext:
        """A server's context with a certificate for these names."""
        certificate = self.ca.issue_cert(
            *names, not_before=datetime(2020, 1, 1, tzinfo=UTC), not_after=expires_at
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        return context


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    ca = trustme.CA()
    file: Path = tmp_path_factory.mktemp("authority") / "ca.pem"
    ca.cert_pem.write_to_path(file)
    return Authority(ca, str(file))


@pytest.fixture
def expired(authority: Authority) -> ssl.SSLContext:
    """A certificate for 127.0.0.1 that ended three days and a little ago."""
    return authority.context("127.0.0.1", expires_at=clock.now() - timedelta(days=3, hours=1))


@pytest.fixture
def network() -> Network:
    return Network(["127.0.0.0/8", "::1/128"])


@pytest.fixture
def context(network: Network) -> Context:
    return Context(network, timeout_s=5)
