"""The public site as files, for nginx or a CDN: it is read when this program is dead.

Each file is replaced atomically, what pages refer to before the pages; what is no longer public is removed.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from statuspage.kernel.i18n import LANGUAGES
from statuspage.kernel.prepared import Prepared
from statuspage.site import pages
from statuspage.site.outputs import Edition, prepared_assets

MANIFEST = ".published"  # what was written last, a line each


def write(
    edition: Edition,
    directory: Path,
    *,
    default_language: str,
    further: Iterable[tuple[str, Prepared]] = (),
) -> int:
    """Write the whole site below `directory`. Pages without prefix are in `default_language`.

    `further` files, by their path, are what other rooms show. Returns how many files.
    """
    files = dict(further) | dict(_files(edition, default_language))
    for path, prepared in files.items():
        target = directory / path
        target.parent.mkdir(parents=True, exist_ok=True)
        _replace(target, prepared.body)
        if prepared.gzip is not None and prepared.brotli is not None:
            _replace(target.with_name(target.name + ".gz"), prepared.gzip)
            _replace(target.with_name(target.name + ".br"), prepared.brotli)
    _remove_gone(directory, set(files))
    return len(files)


def _files(edition: Edition, default_language: str) -> Iterator[tuple[str, Prepared]]:
    for path, asset in prepared_assets(pages.assets()).items():
        yield path.lstrip("/"), asset
    for path in edition.file_paths():
        if found := edition.find(path):
            yield path.lstrip("/"), found
    for path in reversed(list(pages.paths(edition.snapshot))):  # the front page last
        for language in LANGUAGES:
            found = edition.find(f"/{language}{path}")
            if found is None:
                continue
            yield f"{language}{path}".rstrip("/") + "/index.html", found
            if language == default_language:
                yield f"{path.lstrip('/')}/index.html".lstrip("/"), found


def _replace(target: Path, body: bytes) -> None:
    draft = target.with_name(f".{target.name}.new")
    draft.write_bytes(body)
    os.replace(draft, target)


def _remove_gone(directory: Path, files: set[str]) -> None:
    """Remove what an earlier edition wrote and this one did not; never a file that is somebody else's."""
    manifest = directory / MANIFEST
    before = set(manifest.read_text(encoding="utf-8").splitlines()) if manifest.exists() else set()
    for gone in sorted(before - files, reverse=True):
        target = directory / gone
        for twin in (target, target.with_name(target.name + ".gz"), target.with_name(target.name + ".br")):
            twin.unlink(missing_ok=True)
        with suppress(OSError):  # others have files there, or it is gone already
            target.parent.rmdir()
    _replace(manifest, "".join(f"{name}\n" for name in sorted(files)).encode())
