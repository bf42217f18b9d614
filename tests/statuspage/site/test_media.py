"""Pictures are judged by their content and written anew."""

import io
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image

from statuspage.kernel.errors import Invalid
from statuspage.site import media


def encoded(kind: str, size: tuple[int, int] = (60, 40), **options: object) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, "#b3121d").save(out, kind, **options)
    return out.getvalue()


@pytest.mark.parametrize(("kind", "extension"), [("PNG", "png"), ("JPEG", "jpg"), ("WEBP", "webp")])
def test_a_picture_is_kept_under_its_content_once(tmp_path: Path, kind: str, extension: str) -> None:
    first = media.store(encoded(kind), str(tmp_path))
    assert media.store(encoded(kind), str(tmp_path)) == first
    assert first.name.endswith(f".{extension}")
    assert media.NAME.fullmatch(first.name)
    assert (first.width, first.height) == (60, 40)
    assert len(list((tmp_path / "media").iterdir())) == 1
    body = media.load(first.name, str(tmp_path))
    assert body is not None
    assert Image.open(io.BytesIO(body)).format == kind


def test_where_it_was_taken_and_what_else_stood_in_it_is_gone_and_it_stands_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    exif[0x010F] = "Camera of Somebody"
    content = encoded("JPEG", exif=exif) + b"<script>alert(1)</script>"
    stored = media.store(content, str(tmp_path))
    body = media.load(stored.name, str(tmp_path))
    assert body is not None
    assert (stored.width, stored.height) == (40, 60)
    assert b"Somebody" not in body
    assert b"script" not in body
    assert not Image.open(io.BytesIO(body)).getexif()


def test_a_large_picture_is_made_smaller(tmp_path: Path) -> None:
    stored = media.store(encoded("JPEG", (4000, 1000)), str(tmp_path))
    assert (stored.width, stored.height) == (media.MAX_SIDE, 400)


def bomb() -> bytes:
    """A PNG of a few bytes that says it is 60,000 pixels wide and high."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"0"))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    "content",
    [
        bomb(),
        encoded("PNG", (8000, 6000)),  # 48 million pixels, below the library's own limit
        encoded("GIF"),
        encoded("PNG")[:100],
        b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
        b"GIF89a/*\x00*/=1;alert(1)",
        b"\x89PNG\r\n\x1a\n<script>",
        b"\x00" * (media.MAX_BYTES + 1),
    ],
    ids=["bomb", "too many pixels", "gif", "cut off", "svg", "polyglot", "false head", "too large"],
)
def test_what_is_no_harmless_picture_is_refused_and_leaves_nothing(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(Invalid) as refused:
        media.store(content, str(tmp_path))
    assert refused.value.field == "picture"
    assert not list(tmp_path.rglob("*.*"))


@pytest.mark.parametrize(
    "name", ["../secret", "secret", "", "0" * 32 + ".svg", "/etc/passwd", "a" * 32 + ".png/.."]
)
def test_nothing_but_a_picture_is_ever_read(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret").write_text("s")
    assert media.load(name, str(tmp_path)) is None
