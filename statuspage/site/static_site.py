"""The public site as files, for nginx or a CDN: it is read when this program is dead.

Each file is replaced atomically, what pages refer to before the pages; what is no longer public is removed.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from statuspage.kernel.i18n import LANGUAGES
from statuspage.kernel.prepared import Prepared
from statuspage.site import pages
from statuspage.site.outputs import Edition, prepared_assets

MACHINE_PATHS = (
    *(
        f"/api/v2/{name}.json"
        for name in ("summary", "status", "components", "incidents", "scheduled-maintenances")
    ),
    "/api/v2/incidents/unresolved.json",
    "/api/v2/scheduled-maintenances/upcoming.json",
    "/api/v2/scheduled-maintenances/active.json",
    "/history.rss",
    "/history.atom",
    "/history.ics",
)


def write(edition: Edition, directory: Path, *, default_language: str) -> int:
    """Write the whole site below `directory`. Pages without prefix are in `default_language`.

    Returns how many files.
    """
    files = dict(_files(edition, default_language))
    for path, prepared in files.items():
        target = directory / path
        target.parent.mkdir(parents=True, exist_ok=True)
        _replace(target, prepared.body)
        if prepared.gzip is not None and prepared.brotli is not None:
            _replace(target.with_name(target.name + ".gz"), prepared.gzip)
            _replace(target.with_name(target.name + ".br"), prepared.brotli)
    _remove_others(directory, set(files))
    return len(files)


def _files(edition: Edition, default_language: str) -> Iterator[tuple[str, Prepared]]:
    for path, asset in prepared_assets(pages.assets()).items():
        yield path.lstrip("/"), asset
    for path in MACHINE_PATHS:
        if found := edition.find(path):
            yield path.lstrip("/"), found
    snapshot = edition.snapshot
    notices = (*snapshot.incidents, *snapshot.maintenances)
    paths = [
        "/",
        "/history",
        *(f"/services/{s.code}" for s in snapshot.services),
        *(f"/incidents/{n.id}" for n in notices),
    ]
    for path in reversed(paths):  # the front page last
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


def _remove_others(directory: Path, kept: set[str]) -> None:
    """Remove pages that are no longer public; only below the folders that are ours."""
    for folder in ("pl", "en", "incidents", "services", "static"):
        for path in sorted((directory / folder).rglob("*"), reverse=True):
            name = path.relative_to(directory).as_posix()
            if path.is_file() and name.removesuffix(".gz").removesuffix(".br") not in kept:
                path.unlink()
            elif path.is_dir() and not any(path.iterdir()):
                path.rmdir()
