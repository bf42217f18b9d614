"""Connections of those who send slowly, over real sockets."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

from statuspage.site.wire import HttpProtocol, server_options

PATIENCE_S = 0.4
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Impatient(HttpProtocol):
    """The same within a test's time."""

    patience_s = PATIENCE_S
    least_bytes = 1000


async def measure(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(len(await request.body())))


async def stream(_request: Request) -> StreamingResponse:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(4):
            await asyncio.sleep(PATIENCE_S / 2)
            yield b"."

    return StreamingResponse(parts())


@asynccontextmanager
async def connected() -> AsyncIterator[Connection]:
    routes = [Route("/measure", measure, methods=["POST"]), Route("/stream", stream)]
    options = server_options() | {"http": Impatient, "log_config": None, "lifespan": "off"}
    server = uvicorn.Server(uvicorn.Config(Starlette(routes=routes), **options))
    listener = socket.create_server(("127.0.0.1", 0))
    serving = asyncio.create_task(server.serve([listener]))
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.getsockname()[1])
    try:
        yield reader, writer
    finally:
        writer.close()
        server.should_exit = True
        await serving


async def is_cut_off(reader: asyncio.StreamReader, *, within_s: float = 10 * PATIENCE_S) -> bool:
    async with asyncio.timeout(within_s):
        try:
            return await reader.read() == b""
        except ConnectionResetError:
            return True


async def drip(writer: asyncio.StreamWriter, byte: bytes) -> None:
    """A byte every now and then, for ever: the connection is never idle."""
    while not writer.is_closing():
        writer.write(byte)
        await asyncio.sleep(PATIENCE_S / 10)


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (b"", None),
        (b"GET /measure HTTP/1.1\r\nHost: x\r\n", b"X"),
        (b"POST /measure HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n", b"x"),
        (b"POST /measure HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    ],
    ids=["says nothing", "never ends its headers", "drips a body", "drips chunks"],
)
async def test_who_sends_too_slowly_is_cut_off(first: bytes, then: bytes | None) -> None:
    async with connected() as (reader, writer):
        writer.write(first)
        dripping = asyncio.create_task(drip(writer, then)) if then else None
        assert await is_cut_off(reader)
        if dripping:
            dripping.cancel()


async def test_a_large_body_over_a_steady_line_may_take_longer() -> None:
    async with connected() as (reader, writer):
        writer.write(
            b"POST /measure HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 12000\r\n\r\n"
        )
        for _ in range(12):
            await asyncio.sleep(PATIENCE_S / 4)
            writer.write(b"x" * 1000)
        assert (await reader.read()).endswith(b"12000")


async def test_an_answer_may_take_as_long_as_it_takes() -> None:
    async with connected() as (reader, writer):
        writer.write(b"GET /stream HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert (await reader.read()).count(b"1\r\n.") == 4


async def test_a_connection_that_is_kept_serves_the_next_request_and_is_watched_again() -> None:
    async with connected() as (reader, writer):
        for _ in range(2):
            writer.write(b"POST /measure HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nok")
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200")
            await reader.readexactly(1)
        writer.write(b"POST /measure HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\no")
        assert await is_cut_off(reader)
