"""Pictures that staff upload: judged by their content, written anew, kept under their content's hash.

Writing anew leaves out where and with what a picture was taken, and whatever else stood in the file.
"""

import hashlib
import io
import os
import re
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageOps

from statuspage.kernel.errors import Invalid

MAX_BYTES = 5_000_000
MAX_PIXELS = 40_000_000  # before it is made smaller; a decompression bomb has more
MAX_SIDE = 1600
NAME = re.compile(r"[0-9a-f]{32}\.(png|jpg|webp)")
TYPES = {"png": "image/png", "jpg": "image/jpeg", "webp": "image/webp"}
_FORMATS = {"PNG": "png", "JPEG": "jpg", "WEBP": "webp"}  # no SVG: it can carry scripts
_REFUSED = "is not a picture we can read; PNG, JPEG and WebP are accepted"


@dataclass(frozen=True, slots=True)
class Stored:
    """A picture in its place."""

    name: str
    width: int
    height: int


def directory(data_dir: str) -> Path:
    """Where pictures are kept; nothing there is run or listed."""
    return Path(data_dir) / "media"


def store(content: bytes, data_dir: str) -> Stored:
    """Keep a picture; some tens of milliseconds of CPU. Raises Invalid saying what is wrong with it."""
    if len(content) > MAX_BYTES:
        raise Invalid("picture", "has more than %(limit)s MB; make it smaller", limit=MAX_BYTES // 1_000_000)
    body, extension, size = _written_anew(content)
    name = f"{hashlib.sha256(body).hexdigest()[:32]}.{extension}"
    place = directory(data_dir)
    place.mkdir(parents=True, exist_ok=True)
    if not (place / name).exists():
        descriptor, draft = tempfile.mkstemp(dir=place, prefix=".new-")
        with os.fdopen(descriptor, "wb") as file:
            file.write(body)
        os.chmod(draft, 0o640)
        os.replace(draft, place / name)
    return Stored(name, *size)


def load(name: str, data_dir: str) -> bytes | None:
    """The bytes of a picture, or None where there is none."""
    if not NAME.fullmatch(name):
        return None
    try:
        return (directory(data_dir) / name).read_bytes()
    except OSError:
        return None


def _written_anew(content: bytes) -> tuple[bytes, str, tuple[int, int]]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the limit below is stricter
            with Image.open(io.BytesIO(content), formats=tuple(_FORMATS)) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise Invalid(
                        "picture",
                        "has more than %(limit)s million pixels; make it smaller",
                        limit=MAX_PIXELS // 1_000_000,
                    )
                kind = str(image.format)
                upright = ImageOps.exif_transpose(image)
                upright.thumbnail((MAX_SIDE, MAX_SIDE))
                return _encoded(upright, kind), _FORMATS[kind], upright.size
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        raise Invalid("picture", _REFUSED) from None


def _encoded(image: Image.Image, kind: str) -> bytes:
    out = io.BytesIO()
    has_alpha = kind != "JPEG" and (image.has_transparency_data or image.mode in ("LA", "RGBA"))
    plain = image.convert("RGBA" if has_alpha else "RGB")
    clean = Image.new(plain.mode, plain.size)  # without the metadata that a copy would carry along
    clean.paste(plain)
    if kind == "PNG":
        clean.save(out, "PNG", optimize=True)
    elif kind == "JPEG":
        clean.save(out, "JPEG", quality=82, progressive=True, optimize=True)
    else:
        clean.save(out, "WEBP", quality=82)
    return out.getvalue()
