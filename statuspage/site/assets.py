"""The site's static files, named by their content so that they can be cached for ever."""

import hashlib
from functools import cache
from pathlib import Path

from statuspage.kernel.web import environment

DIRECTORY = Path(__file__).parent / "static"
_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}


@cache
def _files() -> dict[str, tuple[str, bytes, str]]:
    """Name → (URL path, content, content type)."""
    found = {}
    for path in sorted(DIRECTORY.iterdir()):
        if path.suffix in _TYPES:
            content = path.read_bytes()
            digest = hashlib.sha256(content).hexdigest()[:12]
            found[path.name] = (f"/static/{path.stem}.{digest}{path.suffix}", content, _TYPES[path.suffix])
    return found


def asset(name: str) -> str:
    """The address of `site.css` and the like: `/static/site.<hash>.css`. Templates call it too."""
    return _files()[name][0]


def assets() -> dict[str, tuple[bytes, str]]:
    """Every static file by its address: content and content type. An address's content never changes."""
    return {url: (content, content_type) for url, content, content_type in _files().values()}


environment().globals["asset"] = asset
