"""Abuse case 4: bodies that are endless, or small on the wire and gigabytes when they are unpacked."""

import asyncio
import gzip
import json
import sys
import zlib
from collections.abc import Callable

import brotli
import pytest

from tests.monitors.probing_process import AT_ONCE

from .conftest import Counterparts

BLOCK_BYTES = 16 * 2**20
TOO_LARGE = "body is larger than 1 MiB"
TOO_MANY = "the gzip body has more than 256 members"
NOT_ASKED_FOR = "the body is compressed in a way that was not asked for"

Bomb = tuple[bytes, bytes]  # how it begins, and what follows without end


def deflated(window_bits: int) -> Bomb:
    """One stream of pieces that each unpack to 16 MiB; a full flush makes them repeatable."""
    packer = zlib.compressobj(9, wbits=window_bits)
    opening = packer.compress(b"") + packer.flush(zlib.Z_FULL_FLUSH)
    return opening, packer.compress(bytes(BLOCK_BYTES)) + packer.flush(zlib.Z_FULL_FLUSH)


BOMBS: dict[str, tuple[str, Callable[[], Bomb], str]] = {
    "endless": ("identity", lambda: (b"", b"x" * 65_536), TOO_LARGE),
    "gzip": ("gzip", lambda: deflated(31), TOO_LARGE),
    "gzip in many members": ("gzip", lambda: (b"", gzip.compress(bytes(BLOCK_BYTES))), TOO_LARGE),
    "gzip in empty members": ("gzip", lambda: (b"", gzip.compress(b"") * 3000), TOO_MANY),
    "deflate": ("deflate", lambda: deflated(15), NOT_ASKED_FOR),
    "brotli": ("br", lambda: (b"", brotli.compress(bytes(16 * BLOCK_BYTES), quality=1)), NOT_ASKED_FOR),
}


@pytest.mark.parametrize("window_bits", [31, 15])
def test_a_bomb_is_real(window_bits: int) -> None:
    opening, piece = deflated(window_bits)

    assert len(piece) < BLOCK_BYTES / 900
    assert len(zlib.decompressobj(window_bits).decompress(opening + 3 * piece)) == 3 * BLOCK_BYTES


@pytest.mark.parametrize("kind", BOMBS)
async def test_a_bomb_is_cut_at_the_limit_while_memory_stays_flat_and_others_get_their_turn(
    counterparts: Counterparts, kind: str
) -> None:
    encoding, make, cause = BOMBS[kind]
    opening, piece = make()

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\n\r\n".encode() + opening)
        while True:
            writer.write(piece)
            await writer.drain()

    port = await counterparts.serve(pour)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.monitors.probing_process", f"http://127.0.0.1:{port}/"),
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        said, _ = await process.communicate()
    found = json.loads(said)
    assert found["causes"] == [cause]
    assert max(found["grown_kb"]) < AT_ONCE * 2 * 1024  # the limit of 1 MiB for each, and as much again
    assert found["held_up_s"] < 0.5
