"""Public addresses that are no pages: what a browser, a crawler or another program asks for by name.

API and feeds have modules of their own and are made together; here is what is made one by one when it is
first asked for. A further file is a function `file(asked, …) -> File | None` in the table below, and its address
in `paths`.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from xml.sax.saxutils import escape

from statuspage.incidents.snapshot import PageSnapshot, ServiceView
from statuspage.incidents.words import service_word
from statuspage.kernel.house import House
from statuspage.kernel.i18n import LANGUAGES
from statuspage.kernel.prepared import FOREVER, SHORT
from statuspage.site import badges, feeds, media, news, outages, pages, widget
from statuspage.site.assets import DIRECTORY
from statuspage.site.charts import CLASSES, UNMEASURED
from statuspage.site.headline import headline, shown_status

SCRIPT = "public, max-age=300"  # the widget's address never changes, its content may

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

    def service(self, code: str) -> ServiceView | None:
        return next((service for service in self.snapshot.services if service.code == code), None)


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
    yield "/widget.js"
    yield from (f"/widget/{language}.json" for language in LANGUAGES)
    yield "/badge/page.svg"
    for service in snapshot.services:
        yield f"/badge/{service.code}.svg"
        for name in ("outages.csv", "outages.json", "history.atom", "history.rss", "history.ics"):
            yield f"/services/{service.code}/{name}"
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


def outages_csv(asked: Asked, code: str) -> File | None:
    """What was measured of a service, for spreadsheets."""
    service = asked.service(code)
    if service is None:
        return None
    return File(outages.as_csv(asked.snapshot, service, asked.house), outages.CSV_TYPE)


def outages_json(asked: Asked, code: str) -> File | None:
    """The same for programs."""
    service = asked.service(code)
    if service is None:
        return None
    return File(outages.as_json(asked.snapshot, service, asked.house), outages.JSON_TYPE)


def service_feed(asked: Asked, code: str, kind: str) -> File | None:
    """News or planned work of one service."""
    service = asked.service(code)
    if service is None:
        return None
    write, content_type = _FEEDS[kind]
    page = asked.house.settings.page
    body = write(asked.snapshot, page, asked.base_url, asked.language, service=service)
    return File(body, content_type)


_FEEDS: Mapping[str, tuple[Callable[..., bytes], str]] = {
    "atom": (feeds.atom, feeds.ATOM_TYPE),
    "rss": (feeds.rss, feeds.RSS_TYPE),
    "ics": (feeds.ics, feeds.ICS_TYPE),
}


def badge(asked: Asked, code: str) -> File | None:
    """How one service stands."""
    service = asked.service(code)
    if service is None:
        return None
    status = shown_status(service)
    word = service_word(asked.house.catalogues, asked.language, status)
    body = badges.svg(service.name[asked.language], CLASSES.get(status, UNMEASURED), word)
    return File(body, "image/svg+xml")


def page_badge(asked: Asked) -> File:
    """How all of them stand; codes are written in capitals, so that no service is called `page`."""
    page = asked.house.settings.page
    head = headline(asked.snapshot.services, asked.house.catalogues, asked.language, lambda _: "")
    name = page.name_pl if asked.language == "pl" else page.name_en
    return File(badges.svg(name, head.css, head.title), "image/svg+xml")


def widget_words(asked: Asked, language: str) -> File:
    """What the widget shows. The language stands in the path, so that a static copy has both."""
    body = widget.as_json(asked.snapshot, language, asked.house, now=asked.now)
    return File(body, "application/json; charset=utf-8")


def widget_script(asked: Asked) -> File:
    """The widget that other sites embed (docs/embedding.md)."""
    return File((DIRECTORY / "widget.js").read_bytes(), "text/javascript; charset=utf-8", SCRIPT)


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
    (re.compile(r"/widget\.js"), widget_script),
    (re.compile(rf"/widget/({'|'.join(LANGUAGES)})\.json"), widget_words),
    (re.compile(r"/badge/page\.svg"), page_badge),
    (re.compile(r"/badge/([^/]+)\.svg"), badge),
    (re.compile(r"/services/([^/]+)/outages\.csv"), outages_csv),
    (re.compile(r"/services/([^/]+)/outages\.json"), outages_json),
    (re.compile(r"/services/([^/]+)/history\.(atom|rss|ics)"), service_feed),
    (re.compile(r"/news\.atom"), news_feed),
    (re.compile(rf"/media/({media.NAME.pattern.replace('(', '(?:')})"), picture),
)
