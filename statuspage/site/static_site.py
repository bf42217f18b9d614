"""The public site as files, for nginx or a CDN: it is read when this program is dead.

Each file is replaced atomically, what pages refer to before the pages; what is no longer public is removed.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path

from statuspage.kernel.i18n import LANGUAGES
from statuspage.kernel.prepared import Prepared
from statuspage.site import pages
from statuspage.site.outputs import Edition, prepared_assets

MANIFEST = ".published"  # what was written last, a line each
ERRORS = (404, 503)  # what a web server says in our words: not here, and not without the program


Settled = dict[str, tuple[object, ...]]


def write(
    edition: Edition,
    directory: Path,
    *,
    default_language: str,
    settled: Settled | None = None,
    further: Iterable[tuple[str, Prepared]] = (),
    standing: Iterable[str] = (),
) -> int:
    """Write the whole site below `directory`. Pages without prefix are in `default_language`.

    `settled` is what an earlier call noted of the pages of the past: those that still depend on the same are
    not made again. It is brought up to date. `further` files, by their path, are what other rooms show; those
    named as `standing` were written by an earlier call and stay. Returns how many files the site has.
    """
    known = settled if settled is not None else {}
    kept: set[str] = set(standing)
    written: set[str] = set()
    for path, prepared in chain(further, _files(edition, directory, default_language, known, kept)):
        written.add(path)
        target = directory / path
        target.parent.mkdir(parents=True, exist_ok=True)
        _replace(target, prepared.body)
        if prepared.gzip is not None and prepared.brotli is not None:
            _replace(target.with_name(target.name + ".gz"), prepared.gzip)
            _replace(target.with_name(target.name + ".br"), prepared.brotli)
    _remove_gone(directory, written | kept)
    return len(written | kept)


def _files(
    edition: Edition, directory: Path, default_language: str, settled: Settled, kept: set[str]
) -> Iterator[tuple[str, Prepared]]:
    """What has to be written, one after the other; `kept` is filled with what stands there already."""
    yield from _beside_pages(edition)
    for path in reversed(edition.page_paths()):  # the front page last
        targets = [(str(language), f"{language}{path}".rstrip("/") + "/index.html") for language in LANGUAGES]
        targets.append((default_language, f"{path.lstrip('/')}/index.html".lstrip("/")))
        depends_on = edition.settled(path)
        stand = all((directory / target).exists() for _, target in targets)
        if depends_on is not None and settled.get(path) == depends_on and stand:
            kept.update(target for _, target in targets)
            continue
        for language, target in targets:
            if found := edition.find(f"/{language}{path}"):
                yield target, found
        if depends_on is not None:
            settled[path] = depends_on


def _beside_pages(edition: Edition) -> Iterator[tuple[str, Prepared]]:
    """Assets, files, and what a web server says where there is nothing."""
    for path, asset in prepared_assets(pages.assets()).items():
        yield path.lstrip("/"), asset
    for path in edition.file_paths():
        if found := edition.find(path):
            yield path.lstrip("/"), found
            yield from _translated(edition, path, found)
    for spoken in LANGUAGES:
        for status in ERRORS:
            yield f"{spoken}/{status}.html", edition.error(spoken, status)


def _translated(edition: Edition, path: str, untold: Prepared) -> Iterator[tuple[str, Prepared]]:
    """What `?lang=` asks for, where the language makes a difference: a web server finds it below `/en`."""
    for language in LANGUAGES:
        found = edition.find(f"{path}?lang={language}")
        if found is not None and found.body != untold.body:
            yield f"{language}{path}", found


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
