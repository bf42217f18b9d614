"""RSS, Atom and iCalendar, rendered from the snapshot.

One entry per update, not per incident: a reader shows an entry once, so an incident whose entry merely
changed would stay silent after its first message. Nothing here reads the clock, so that ETags hold.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from html import escape
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from feedgen.feed import FeedGenerator
from icalendar import Calendar, Event, Timezone

from statuspage.incidents import words
from statuspage.incidents.rules import MaintenanceStatus
from statuspage.incidents.snapshot import NoticeView, PageSnapshot, Text, UpdateView
from statuspage.kernel import i18n
from statuspage.kernel.config import Page
from statuspage.kernel.markdown import one_line, printable, to_html

NEWEST = 50  # entries in a feed

RSS_TYPE = "application/rss+xml; charset=utf-8"
ATOM_TYPE = "application/atom+xml; charset=utf-8"
ICS_TYPE = "text/calendar; charset=utf-8"

SUBTITLE = Text(
    "Awarie, utrudnienia i prace planowe w usługach celnych",
    "Outages, limitations and planned work of Customs services",
)
AFFECTED = Text("Dotyczy", "Concerns")
SCHEDULE = Text("Termin", "When")

# The year in a tag: URI says who owned the name at that time (RFC 4151); it must never change.
TAG_YEAR = "2026"


def render(snapshot: PageSnapshot, page: Page, base_url: str, language: str) -> dict[str, tuple[bytes, str]]:
    """Path → bytes and content type of every feed."""
    return {
        "/history.rss": (rss(snapshot, page, base_url, language), RSS_TYPE),
        "/history.atom": (atom(snapshot, page, base_url, language), ATOM_TYPE),
        "/history.ics": (ics(snapshot, page, base_url, language), ICS_TYPE),
    }


def rss(snapshot: PageSnapshot, page: Page, base_url: str, language: str) -> bytes:
    """RSS 2.0: the newest updates of incidents and planned work."""
    feed = _feed(snapshot, Place(page, base_url, language), "/history.rss", RSS_TYPE)
    return bytes(feed.rss_str(pretty=True))


def atom(snapshot: PageSnapshot, page: Page, base_url: str, language: str) -> bytes:
    """Atom (RFC 4287): the same."""
    feed = _feed(snapshot, Place(page, base_url, language), "/history.atom", ATOM_TYPE)
    return bytes(feed.atom_str(pretty=True))


def ics(snapshot: PageSnapshot, page: Page, base_url: str, language: str) -> bytes:
    """iCalendar (RFC 5545): planned work, for the calendars of those who plan around it."""
    place = Place(page, base_url, language)
    calendar = Calendar()
    calendar.add("prodid", "-//statuspage//planned work//EN")
    calendar.add("version", "2.0")
    calendar.add("x-wr-calname", place.page_name)
    calendar.add("x-wr-timezone", page.time_zone)
    parts = [_event(notice, place) for notice in snapshot.maintenances[:NEWEST]]
    head, end, tail = calendar.to_ical().partition(b"END:VCALENDAR")
    # There must be at least one component (RFC 5545 section 3.6).
    return b"".join([head, *(parts or [_utc()]), end, tail])


@dataclass(frozen=True, slots=True)
class Place:
    """Where and in which language a feed is read."""

    page: Page
    base_url: str
    language: str

    @property
    def page_name(self) -> str:
        return one_line(self.page.name_pl if self.language == "pl" else self.page.name_en)

    @property
    def host(self) -> str:
        """The host as a tag: URI and a UID can carry it."""
        return re.sub(r"[^A-Za-z0-9.-]", "-", urlsplit(self.base_url).hostname or "localhost")

    def tag(self, specific: str) -> str:
        """A permanent name (RFC 4151)."""
        return f"tag:{self.host},{TAG_YEAR}:{specific}"

    def permalink(self, notice: NoticeView) -> str:
        return f"{self.base_url}/incidents/{notice.id}"


@cache
def _catalogues() -> i18n.Catalogues:
    """The words for statuses; they are part of the program and never change while it runs."""
    return i18n.Catalogues()


def _feed(snapshot: PageSnapshot, place: Place, path: str, content_type: str) -> Any:
    language = place.language
    feed = FeedGenerator()
    feed.id(place.tag(f"page/{place.page.id}/{language}"))
    feed.title(place.page_name)
    feed.subtitle(SUBTITLE[language])
    feed.description(SUBTITLE[language])
    feed.author({"name": place.page_name})
    feed.generator("statuspage")
    feed.language(language)
    feed.link(href=f"{place.base_url}{path}?lang={language}", rel="self", type=content_type.partition(";")[0])
    feed.link(href=f"{place.base_url}/{language}/", rel="alternate", type="text/html")
    feed.updated(snapshot.updated_at)
    for notice, update in _newest(snapshot):
        _add_entry(feed, notice, update, place)
    return feed


def _newest(snapshot: PageSnapshot) -> list[tuple[NoticeView, UpdateView]]:
    """The newest updates of all notices, newest first; several of one instant in the order of the notice."""
    pairs = [
        (notice, update)
        for notice in (*snapshot.incidents, *snapshot.maintenances)
        for update in notice.updates
    ]
    return sorted(pairs, key=lambda pair: pair[1].display_at, reverse=True)[:NEWEST]


def _add_entry(feed: Any, notice: NoticeView, update: UpdateView, place: Place) -> None:
    status = words.notice_word(_catalogues(), place.language, update.status)
    tag = place.tag(f"update/{update.id}/{place.language}")
    entry = feed.add_entry(order="append")
    entry.id(tag)
    entry.guid(tag, permalink=False)
    entry.title(f"{one_line(notice.name[place.language])} – {status}")
    entry.link(href=place.permalink(notice), rel="alternate", type="text/html", hreflang=place.language)
    entry.content(_content(notice, update, place), type="html")
    entry.published(update.display_at)
    entry.updated(update.updated_at)
    for affected in notice.affected:
        entry.category(term=affected.code, label=one_line(affected.name[place.language]))


def _content(notice: NoticeView, update: UpdateView, place: Place) -> str:
    """The update's text, and what it is about, for those who read the feed only."""
    facts = "".join(f"<p>{escape(fact)}</p>" for fact in _facts(notice, place))
    return f"{to_html(update.text[place.language])}\n{facts}".strip()


def _facts(notice: NoticeView, place: Place) -> Iterator[str]:
    language = place.language
    if notice.affected:
        names = ", ".join(one_line(affected.name[language]) for affected in notice.affected)
        yield f"{AFFECTED[language]}: {names}"
    if notice.scheduled_for is not None and notice.scheduled_until is not None:
        zone = ZoneInfo(place.page.time_zone)
        begin, end = notice.scheduled_for.astimezone(zone), notice.scheduled_until.astimezone(zone)
        last = f"{end:%H:%M}" if begin.date() == end.date() else f"{end:%Y-%m-%d %H:%M}"
        yield f"{SCHEDULE[language]}: {begin:%Y-%m-%d %H:%M} – {last} ({i18n.offset(end, zone)})"


@cache
def _utc() -> bytes:
    return bytes(Timezone.from_tzid("UTC").to_ical())


@lru_cache(maxsize=4 * NEWEST)  # making one takes 2 ms, and most are the same in the next snapshot
def _event(notice: NoticeView, place: Place) -> bytes:
    """Planned work as an event; a new version replaces the old one by UID and SEQUENCE (RFC 5546)."""
    language = place.language
    begins_at = notice.scheduled_for or notice.began_at
    text = notice.updates[0].text[language] if notice.updates else ""
    is_cancelled = notice.status == MaintenanceStatus.CANCELLED
    event = Event()
    event.add("uid", f"{notice.id}@{place.host}")
    event.add("sequence", notice.version)
    event.add("dtstamp", notice.updated_at)
    event.add("last-modified", notice.updated_at)
    event.add("created", notice.created_at)
    event.add("dtstart", begins_at)
    event.add("dtend", max(notice.scheduled_until or begins_at, begins_at))
    event.add("summary", one_line(notice.name[language]))
    event.add("description", "\n\n".join([printable(text).strip(), *_facts(notice, place)]).strip())
    event.add("url", place.permalink(notice))
    event.add("status", "CANCELLED" if is_cancelled else "CONFIRMED")
    event.add("transp", "TRANSPARENT")  # it does not make the reader busy
    return bytes(event.to_ical())
