"""RSS, Atom and iCalendar, rendered from the snapshot.

One entry per update, not per incident: a reader shows an entry once, so an incident whose entry merely
changed would stay silent after its first message. Nothing here reads the clock, so that ETags hold.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache, lru_cache
from html import escape
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from feedgen.feed import FeedGenerator
from icalendar import Calendar, Event, Timezone

from statuspage.incidents import planned_words, words
from statuspage.incidents.rules import MaintenanceStatus
from statuspage.incidents.snapshot import (
    FallbackView,
    NoticeView,
    PageSnapshot,
    ServiceView,
    Text,
    UpdateView,
)
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
LEFT = Text("Już nie dotyczy", "No longer concerns")
SCHEDULE = Text("Termin", "When")
MESSAGES = Text("Komunikaty już wysłane", "Messages already sent")
ENTER = Text("Wprowadzenie danych z papieru", "Enter what went on paper")
ANNOUNCED = Text("Zapowiedź", "Announcement")

# The year in a tag: URI says who owned the name at that time (RFC 4151); it must never change.
TAG_YEAR = "2026"


def render(snapshot: PageSnapshot, page: Page, base_url: str, language: str) -> dict[str, tuple[bytes, str]]:
    """Path → bytes and content type of every feed."""
    return {
        "/history.rss": (rss(snapshot, page, base_url, language), RSS_TYPE),
        "/history.atom": (atom(snapshot, page, base_url, language), ATOM_TYPE),
        "/history.ics": (ics(snapshot, page, base_url, language), ICS_TYPE),
    }


def rss(
    snapshot: PageSnapshot, page: Page, base_url: str, language: str, *, service: ServiceView | None = None
) -> bytes:
    """RSS 2.0: the newest updates of incidents and planned work; of one service, where one is given."""
    feed = _feed(snapshot, Place(page, base_url, language), "/history.rss", RSS_TYPE, service)
    return bytes(feed.rss_str(pretty=True))


def atom(
    snapshot: PageSnapshot, page: Page, base_url: str, language: str, *, service: ServiceView | None = None
) -> bytes:
    """Atom (RFC 4287): the same."""
    feed = _feed(snapshot, Place(page, base_url, language), "/history.atom", ATOM_TYPE, service)
    return bytes(feed.atom_str(pretty=True))


def ics(
    snapshot: PageSnapshot, page: Page, base_url: str, language: str, *, service: ServiceView | None = None
) -> bytes:
    """iCalendar (RFC 5545): planned work, and until when what went on paper has to be entered."""
    place = Place(page, base_url, language)
    calendar = Calendar()
    calendar.add("prodid", "-//statuspage//planned work//EN")
    calendar.add("version", "2.0")
    calendar.add("x-wr-calname", _title(place, service))
    calendar.add("x-wr-timezone", page.time_zone)
    parts = [_event(notice, place) for notice in _in_calendar(_about(service, snapshot.maintenances))]
    for notice in _about(service, snapshot.incidents)[:NEWEST]:
        parts += [_deadline(notice, f, place) for f in notice.current_fallbacks if f.enter_by is not None]
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

    def window(self, begin: datetime, end: datetime | None) -> str:
        """`2026-11-21 06:30 – 09:40 (UTC+1)`; without an end where there is none yet."""
        zone = ZoneInfo(self.page.time_zone)
        begin = begin.astimezone(zone)
        if end is None:
            return f"{begin:%Y-%m-%d %H:%M} – ({i18n.offset(begin, zone)})"
        end = end.astimezone(zone)
        last = f"{end:%H:%M}" if begin.date() == end.date() else f"{end:%Y-%m-%d %H:%M}"
        return f"{begin:%Y-%m-%d %H:%M} – {last} ({i18n.offset(end, zone)})"

    def permalink(self, notice: NoticeView) -> str:
        return f"{self.base_url}/incidents/{notice.id}"


@cache
def _catalogues() -> i18n.Catalogues:
    """The words for statuses; they are part of the program and never change while it runs."""
    return i18n.Catalogues()


def _title(place: Place, service: ServiceView | None) -> str:
    return f"{one_line(service.name[place.language])} – {place.page_name}" if service else place.page_name


def _about(service: ServiceView | None, notices: Sequence[NoticeView]) -> Sequence[NoticeView]:
    """Those that name the service."""
    if service is None:
        return notices
    return [n for n in notices if any(affected.code == service.code for affected in n.affected)]


def _in_calendar(notices: Sequence[NoticeView]) -> Sequence[NoticeView]:
    """All that is ahead: work that recurs must not push tomorrow's out. Of what is over, the newest."""
    kept = {notice.id for notice in [n for n in notices if not n.is_open][:NEWEST]}
    return [notice for notice in notices if notice.is_open or notice.id in kept]


def _feed(
    snapshot: PageSnapshot, place: Place, path: str, content_type: str, service: ServiceView | None
) -> Any:
    language = place.language
    within = f"/services/{service.code}" if service else ""
    notices = _about(service, (*snapshot.incidents, *snapshot.maintenances))
    updated_at = snapshot.updated_at
    if service:  # a feed of one service stays as it is when another one's news arrive
        updated_at = max((notice.updated_at for notice in notices), default=service.created_at)
    feed = FeedGenerator()
    feed.id(place.tag(f"page/{place.page.id}{within}/{language}"))
    feed.title(_title(place, service))
    feed.subtitle(SUBTITLE[language])
    feed.description(SUBTITLE[language])
    feed.author({"name": place.page_name})
    feed.generator("statuspage")
    feed.language(language)
    feed.link(
        href=f"{place.base_url}{within}{path}?lang={language}",
        rel="self",
        type=content_type.partition(";")[0],
    )
    feed.link(href=f"{place.base_url}/{language}{within or '/'}", rel="alternate", type="text/html")
    feed.updated(updated_at)
    for notice, update in _newest(notices):
        _add_entry(feed, notice, update, place)
    return feed


def _newest(notices: Iterable[NoticeView]) -> list[tuple[NoticeView, UpdateView]]:
    """The newest updates of all notices, newest first; several of one instant in the order of the notice."""
    pairs = [(notice, update) for notice in notices for update in notice.updates]
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
    for affected in notice.concerned:
        entry.category(term=affected.code, label=one_line(affected.name[place.language]))


def _content(notice: NoticeView, update: UpdateView, place: Place) -> str:
    """The update's text, and what it is about, for those who read the feed only."""
    facts = "".join(f"<p>{escape(fact)}</p>" for fact in _facts(notice, place))
    return f"{to_html(update.text[place.language])}\n{facts}".strip()


def _facts(notice: NoticeView, place: Place) -> Iterator[str]:
    language = place.language
    if notice.concerned:
        names = ", ".join(one_line(affected.name[language]) for affected in notice.concerned)
        yield f"{AFFECTED[language]}: {names}"
    if left := [affected for affected in notice.affected if affected.cancelled_at is not None]:
        names = ", ".join(one_line(affected.name[language]) for affected in left)
        yield f"{LEFT[language]}: {names}"
    if notice.scheduled_for is not None and notice.scheduled_until is not None:
        yield f"{SCHEDULE[language]}: {place.window(notice.scheduled_for, notice.scheduled_until)}"
    if notice.announcement is not None and notice.status != MaintenanceStatus.CANCELLED:
        said = planned_words.announcement(
            notice.announcement,
            notice.window,
            _catalogues(),
            language,
            lambda part: place.window(part.begins_at, part.ends_at),
        )
        yield f"{ANNOUNCED[language]}: {said}"
    for handling in notice.handlings:
        who = f" ({one_line(handling.service.name[language])})" if handling.service else ""
        yield f"{MESSAGES[language]}{who}: {words.status_word(_catalogues(), language, handling.handling)}"
    for fallback in notice.current_fallbacks:
        yield _paper(fallback, place)


def _paper(fallback: FallbackView, place: Place) -> str:
    """`Paper is allowed: NCTS2, AW-7, 2026-11-21 06:30 – 09:40 (UTC+1)`."""
    word = words.status_word(_catalogues(), place.language, fallback.state)
    end = fallback.withdrawn_at or fallback.ends_at
    reference = f", {one_line(fallback.reference)}" if fallback.reference else ""
    return (
        f"{word}: {one_line(fallback.service.name[place.language])}{reference}, "
        f"{place.window(fallback.begins_at, end)}"
    )


@cache
def _utc() -> bytes:
    return bytes(Timezone.from_tzid("UTC").to_ical())


@lru_cache(maxsize=16 * NEWEST)  # making one takes 2 ms, and most are the same in the next snapshot
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


@lru_cache(maxsize=NEWEST)
def _deadline(notice: NoticeView, fallback: FallbackView, place: Place) -> bytes:
    """The last moment to enter what went on paper, as an event of its own with the declaration's identity."""
    enter_by = fallback.enter_by
    if enter_by is None:
        raise AssertionError("only declarations that are over have a deadline")
    name = one_line(fallback.service.name[place.language])
    event = Event()
    event.add("uid", f"{fallback.id}@{place.host}")
    event.add("sequence", notice.version)
    event.add("dtstamp", notice.updated_at)
    event.add("last-modified", notice.updated_at)
    event.add("dtstart", enter_by)
    event.add("dtend", enter_by)
    event.add("summary", f"{ENTER[place.language]}: {name}, {one_line(fallback.reference)}")
    event.add("description", _paper(fallback, place))
    event.add("url", place.permalink(notice))
    event.add("status", "CONFIRMED")
    event.add("transp", "TRANSPARENT")
    return bytes(event.to_ical())
