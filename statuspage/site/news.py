"""The news as readers see it: the list by year, one item, what is new on the front page, and the feed."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape
from itertools import groupby

from feedgen.feed import FeedGenerator
from markupsafe import Markup

from statuspage.incidents.snapshot import NewsView, PageSnapshot
from statuspage.kernel.config import Settings
from statuspage.kernel.markdown import one_line, to_html
from statuspage.site.feeds import ATOM_TYPE, NEWEST, Place
from statuspage.site.views import View

FRESH = timedelta(days=14)
ON_FRONT = 2
SHORT = 200  # characters of the text in lists


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture with the words for those who do not see it; `lang` is theirs."""

    url: str
    width: int
    height: int
    alt: str
    lang: str


@dataclass(frozen=True, slots=True)
class Item:
    """A news item in the reader's language, or in the other one where it waits for translation: then `lang` says so."""

    id: str
    lang: str
    is_translated: bool
    title: str
    html: Markup
    short: str
    published_at: datetime
    updated_at: datetime
    is_pinned: bool
    pictures: tuple[Picture, ...]

    @property
    def is_changed(self) -> bool:
        """Whether it changed noticeably after it was published."""
        return self.updated_at - self.published_at > timedelta(minutes=5)


def item_of(news: NewsView, language: str, now: datetime) -> Item:
    """The item in `language`, as far as it is written in it."""
    spoken = news.language_for(language)
    text = news.text[spoken]
    plain = " ".join(Markup(to_html(text)).striptags().split())  # noqa: S704 - sanitised there
    return Item(
        id=news.id,
        lang=spoken,
        is_translated=spoken == language,
        title=news.title[spoken],
        html=Markup(to_html(text)),  # noqa: S704 - sanitised there
        short=plain if len(plain) <= SHORT else plain[:SHORT].rpartition(" ")[0] + " …",
        published_at=news.published_at,
        updated_at=news.updated_at,
        is_pinned=news.pinned_until is not None and news.pinned_until > now,
        pictures=tuple(
            Picture(
                f"/media/{picture.name}",
                picture.width,
                picture.height,
                picture.alt[language],
                picture.alt.language_for(language),
            )
            for picture in news.pictures
        ),
    )


def news(view: View, key: str) -> str | None:
    """The list, newest first, or one item."""
    if not key:
        items = [item_of(one, view.language, view.now) for one in view.snapshot.news]
        years = [
            (year, list(some))
            for year, some in groupby(items, key=lambda item: item.published_at.astimezone(view.zone).year)
        ]
        return view.page("/news", "site/news.html", years=years)
    found = next((one for one in view.snapshot.news if one.id == key), None)
    if found is None:
        return None
    item = item_of(found, view.language, view.now)
    return view.page(f"/news/{key}", "site/news_item.html", item=item, draft=None)


def on_front(view: View) -> list[Item]:
    """The newest of the last days, those that are pinned first."""
    items = [item_of(one, view.language, view.now) for one in view.snapshot.news]
    fresh = [item for item in items if item.is_pinned or view.now - item.published_at <= FRESH]
    return sorted(fresh, key=lambda item: not item.is_pinned)[:ON_FRONT]


def picture_names(snapshot: PageSnapshot) -> list[str]:
    """The pictures that published news refers to: no other is public."""
    return sorted({picture.name for one in snapshot.news for picture in one.pictures})


def atom(snapshot: PageSnapshot, settings: Settings, language: str) -> tuple[bytes, str]:
    """The news as Atom (RFC 4287); the entries of a missing language are in the other one, and say so."""
    place = Place(settings.page, settings.server.base_url, language)
    feed = FeedGenerator()
    feed.id(place.tag(f"news/{settings.page.id}/{language}"))
    feed.title(f"{place.page_name} – {'aktualności' if language == 'pl' else 'news'}")
    feed.author({"name": place.page_name})
    feed.generator("statuspage")
    feed.language(language)
    feed.link(href=f"{place.base_url}/news.atom?lang={language}", rel="self", type="application/atom+xml")
    feed.link(href=f"{place.base_url}/{language}/news", rel="alternate", type="text/html")
    feed.updated(max((one.updated_at for one in snapshot.news), default=snapshot.updated_at))
    for one in snapshot.news[:NEWEST]:
        item = item_of(one, language, snapshot.built_at)
        entry = feed.add_entry(order="append")
        entry.id(place.tag(f"news/{one.id}/{language}"))
        entry.title(one_line(item.title))
        entry.link(
            href=f"{place.base_url}/{language}/news/{one.id}",
            rel="alternate",
            type="text/html",
            hreflang=item.lang,
        )
        shown = "".join(
            f'<p><img src="{escape(place.base_url + picture.url)}" width="{picture.width}" '
            f'height="{picture.height}" alt="{escape(picture.alt)}"></p>'
            for picture in item.pictures
        )
        entry.content(f"{item.html}{shown}", type="html")
        entry.published(one.published_at)
        entry.updated(one.updated_at)
    return bytes(feed.atom_str(pretty=True)), ATOM_TYPE
