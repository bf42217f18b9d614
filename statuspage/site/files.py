"""Public addresses that are no pages: what a browser, a crawler or another program asks for by name.

API and feeds have modules of their own and are made together; here is what is made one by one when it is
first asked for. A further file is a function `file(asked, …) -> File | None` in the table below, and its address
in `paths`.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from xml.sax.saxutils import escape

from statuspage.incidents.snapshot import PageSnapshot
from statuspage.kernel.house import House
from statuspage.kernel.i18n import LANGUAGES
from statuspage.kernel.prepared import FOREVER, SHORT
from statuspage.site import media, news, pages

CLOSED = ("/console", "/desk", "/subscriptions/", "/unsubscribe/", "/demo/")  # nobody's search result


@dataclass(frozen=True, slots=True)
class File:
    """One answer. Anybody's page may read it (CORS)."""

    body: bytes
    content_type: str
    cache: str = SHORT
    is_packed: bool = False  # compressed already: a picture


@dataclass(frozen=True, slots=True)
class Asked:
    """One snapshot, in one language, at one moment."""

    snapshot: PageSnapshot
    language: str
    house: House
    now: datetime

    @property
    def base_url(self) -> str:
        return self.house.settings.server.base_url


def render(snapshot: PageSnapshot, path: str, language: str, house: House, *, now: datetime) -> File | None:
    """The file at `path`, or None where there is none."""
    for pattern, file in _FILES:
        if match := pattern.fullmatch(path):
            return file(Asked(snapshot, language, house, now), *match.groups())
    return None


def paths(snapshot: PageSnapshot) -> Iterator[str]:
    """The address of every file."""
    yield "/robots.txt"
    yield "/sitemap.xml"
    yield "/news.atom"
    yield from (f"/media/{name}" for name in news.picture_names(snapshot))


def robots(asked: Asked) -> File:
    """What crawlers should leave alone (RFC 9309)."""
    closed = [
        f"Disallow: {prefix}{path}" for path in CLOSED for prefix in ("", *(f"/{x}" for x in LANGUAGES))
    ]
    lines = ["User-agent: *", *closed, f"Sitemap: {asked.base_url}/sitemap.xml"]
    return File("\n".join([*lines, ""]).encode(), "text/plain; charset=utf-8")


def sitemap(asked: Asked) -> File:
    """Every page in every language, each with its twin (sitemaps.org, protocol 0.9)."""
    urls = []
    for path in pages.paths(asked.snapshot, asked.house.settings.zone):
        twins = {language: escape(f"{asked.base_url}/{language}{path}") for language in LANGUAGES}
        links = "".join(
            f'<xhtml:link rel="alternate" hreflang="{language}" href="{url}"/>'
            for language, url in twins.items()
        )
        urls += [f"<url><loc>{url}</loc>{links}</url>" for url in twins.values()]
    head = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9" '
        'xmlns:xhtml="http://www.w3.org/1999/xhtml">'
    )
    return File("\n".join([head, *urls, "</urlset>\n"]).encode(), "application/xml; charset=utf-8")


def news_feed(asked: Asked) -> File:
    """The news as Atom."""
    return File(*news.atom(asked.snapshot, asked.house.settings, asked.language))


def picture(asked: Asked, name: str) -> File | None:
    """A picture, while published news refers to it."""
    if name not in news.picture_names(asked.snapshot):
        return None
    body = media.load(name, asked.house.settings.data.dir)
    kind = media.TYPES[name.rpartition(".")[2]]
    return File(body, kind, FOREVER, is_packed=True) if body is not None else None


_FILES: tuple[tuple[re.Pattern[str], Callable[..., File | None]], ...] = (
    (re.compile(r"/robots\.txt"), robots),
    (re.compile(r"/sitemap\.xml"), sitemap),
    (re.compile(r"/news\.atom"), news_feed),
    (re.compile(rf"/media/({media.NAME.pattern.replace('(', '(?:')})"), picture),
)
