"""News in the management API: written, translated, illustrated, published now or at a time, withdrawn, deleted."""

import base64
import binascii
from collections.abc import Callable
from typing import Annotated

from msgspec import Meta, field
from sqlalchemy.orm import Session

from statuspage.incidents import news, tables
from statuspage.incidents.news import Picture, State, Words
from statuspage.kernel.errors import Invalid, NotFound
from statuspage.kernel.operations import MAX_BODY_BYTES, Call, Given, Instant, Operation, Reply, Shown
from statuspage.kernel.tokens import Scope
from statuspage.site import media
from statuspage.site.manage import shapes, wishes
from statuspage.site.manage.shapes import Text

_MAX_CHARACTERS = (media.MAX_BYTES + 2) // 3 * 4
MAX_PICTURE_BODY = _MAX_CHARACTERS + MAX_BODY_BYTES
Base64 = Annotated[
    str,
    Meta(
        max_length=_MAX_CHARACTERS,
        pattern="^[A-Za-z0-9+/]+={0,2}$",
        description=f"PNG, JPEG or WebP, {media.MAX_BYTES // 1_000_000} MB at most, as base64 (RFC 4648 section 4).",
        extra_json_schema={"contentEncoding": "base64"},
    ),
]


class NewsGiven(Given, frozen=True, kw_only=True):
    """What is written; one language may be missing. Until `pinned_until` it stands first on the page."""

    title: shapes.Title
    text: shapes.Message = field(default_factory=shapes.Message)
    pinned_until: Instant | None = None


class NewsScheduleGiven(Given, frozen=True, kw_only=True):
    """When it appears by itself."""

    publish_at: Instant


class PictureGiven(Given, frozen=True, kw_only=True):
    """A picture, and what it shows, for those who do not see it."""

    content: Base64
    alt: shapes.Title


class NewsPicture(Shown, frozen=True, kw_only=True):
    """A picture of a news item; readers find it at `/media/` and its name once the news is published."""

    number: int
    name: str
    width: int
    height: int
    alt: Text


class NewsRevision(Shown, frozen=True, kw_only=True):
    """What was done, and what stood there before."""

    at: Instant
    author: str
    action: str
    before: dict[str, str | None]


class News(Shown, frozen=True, kw_only=True):
    """A news item. `lacks` names the languages that wait for translation."""

    id: str
    version: int
    state: State
    title: Text
    text: Text
    lacks: list[str]
    author: str
    created_at: Instant
    updated_at: Instant
    published_at: Instant | None
    pinned_until: Instant | None
    pictures: list[NewsPicture]
    revisions: list[NewsRevision]


class NewsSummary(Shown, frozen=True, kw_only=True):
    """A news item in the list."""

    id: str
    version: int
    state: State
    title: Text
    lacks: list[str]
    updated_at: Instant
    published_at: Instant | None


class NewsList(Shown, frozen=True, kw_only=True):
    """Drafts first, then the latest."""

    news: list[NewsSummary]


def operations() -> list[Operation]:
    """What can be done with news."""
    return [*_writing(), *_publishing(), *_illustrating()]


def _writing() -> list[Operation]:
    return [
        Operation("GET", "/news", "listNews", "News, drafts first", Scope.READ, listed, NewsList),
        Operation(
            "POST",
            "/news",
            "writeNews",
            "Keep a draft",
            Scope.NEWS,
            written,
            News,
            body=NewsGiven,
            status=201,
            is_versioned=True,
        ),
        Operation(
            "GET",
            "/news/{id}",
            "getNews",
            "One news item with its pictures and revisions",
            Scope.READ,
            shown,
            News,
            is_versioned=True,
        ),
        Operation(
            "PUT",
            "/news/{id}",
            "editNews",
            "Replace what it says; what it said is kept",
            Scope.NEWS,
            edited,
            News,
            body=NewsGiven,
            is_versioned=True,
            needs_version=True,
            current=current,
        ),
        Operation(
            "DELETE",
            "/news/{id}",
            "removeNews",
            "Delete a draft; what is published is unpublished first",
            Scope.NEWS,
            removed,
            None,
            status=204,
            is_versioned=True,
            current=current,
        ),
    ]


def _publishing() -> list[Operation]:
    return [
        _step("publish", "publishNews", "Let readers see it now", published),
        _step(
            "schedule", "scheduleNews", "Let readers see it from that time on", scheduled, NewsScheduleGiven
        ),
        _step("unpublish", "unpublishNews", "Make it a draft again", unpublished),
    ]


def _step(
    end: str,
    name: str,
    summary: str,
    verb: Callable[[Session, Call], Reply],
    body: type[Given] | None = None,
) -> Operation:
    return Operation(
        "POST",
        f"/news/{{id}}/{end}",
        name,
        summary,
        Scope.NEWS,
        verb,
        News,
        body=body,
        is_versioned=True,
        current=current,
        fields={"at": "publish_at"},
    )


def _illustrating() -> list[Operation]:
    return [
        Operation(
            "POST",
            "/news/{id}/pictures",
            "addPicture",
            "Add a picture; it is judged by its content and written anew",
            Scope.NEWS,
            illustrated,
            News,
            body=PictureGiven,
            status=201,
            is_versioned=True,
            current=current,
            prepare=stored,
            max_body_bytes=MAX_PICTURE_BODY,
            fields={"picture": "content"},
        ),
        Operation(
            "DELETE",
            "/news/{id}/pictures/{number}",
            "removePicture",
            "Take a picture out",
            Scope.NEWS,
            unillustrated,
            News,
            is_versioned=True,
            current=current,
        ),
    ]


def current(session: Session, call: Call) -> News:
    """The news item of this address as it stands."""
    return _shown(session, news.get(session, call.path["id"]), call)


def listed(session: Session, call: Call) -> Reply:
    """All of it."""
    found = [
        NewsSummary(
            id=item.id,
            version=item.version,
            state=news.state_of(item, call.now),
            title=Text(pl=item.title_pl, en=item.title_en),
            lacks=list(news.lacks(item)),
            updated_at=item.updated_at,
            published_at=item.published_at,
        )
        for item in news.listed(session)
    ]
    return Reply(NewsList(news=found))


def written(session: Session, call: Call) -> Reply:
    """A draft."""
    item = news.write(session, _words(call.body), by=call.by, now=call.now)
    return _reply(session, call, item, location=f"/news/{item.id}")


def shown(session: Session, call: Call) -> Reply:
    """One of them."""
    return _reply(session, call, news.get(session, call.path["id"]))


def edited(session: Session, call: Call) -> Reply:
    """Other words."""
    version = call.match(session, lambda: news.get(session, call.path["id"]).version, is_needed=True)
    words = _words(call.body)
    item = news.edit(session, call.path["id"], words, version=version, by=call.by, now=call.now)
    return _reply(session, call, item)


def removed(session: Session, call: Call) -> Reply:
    """Gone."""
    news.remove(session, _match(session, call), by=call.by, now=call.now)
    return Reply()


def published(session: Session, call: Call) -> Reply:
    """Public."""
    id = _match(session, call)
    return _reply(session, call, news.publish(session, id, at=None, by=call.by, now=call.now))


def scheduled(session: Session, call: Call) -> Reply:
    """Public from a time on."""
    id, at = _match(session, call), call.body.publish_at
    if at <= call.now:
        raise Invalid("publish_at", "lies in the past")
    return _reply(session, call, news.publish(session, id, at=at, by=call.by, now=call.now))


def unpublished(session: Session, call: Call) -> Reply:
    """A draft again."""
    id = _match(session, call)
    return _reply(session, call, news.unpublish(session, id, by=call.by, now=call.now))


def stored(call: Call) -> media.Stored:
    """The picture in its place, before anything refers to it."""
    try:
        content = base64.b64decode(call.body.content, validate=True)
    except binascii.Error:
        raise Invalid("picture", "is not base64") from None
    return media.store(content, call.settings.data.dir)


def illustrated(session: Session, call: Call) -> Reply:
    """With a picture more."""
    id, place = _match(session, call), call.prepared
    picture = Picture(place.name, place.width, place.height, wishes.text(call.body.alt))
    news.add_picture(session, id, picture, by=call.by, now=call.now)
    return shown(session, call)


def unillustrated(session: Session, call: Call) -> Reply:
    """With a picture less."""
    id, number = _match(session, call), call.path["number"]
    if not number.isascii() or not number.isdigit() or len(number) > 9:
        raise NotFound("there is no such picture")
    news.remove_picture(session, id, int(number), by=call.by, now=call.now)
    return shown(session, call)


def _match(session: Session, call: Call) -> str:
    """The id of this address, in the version that the caller means."""
    call.match(session, lambda: news.get(session, call.path["id"]).version)
    return call.path["id"]


def _words(said: NewsGiven) -> Words:
    return Words(wishes.text(said.title), wishes.text(said.text), said.pinned_until)


def _reply(session: Session, call: Call, item: tables.NewsItem, *, location: str = "") -> Reply:
    return Reply(_shown(session, item, call), item.version, location=location)


def _shown(session: Session, item: tables.NewsItem, call: Call) -> News:
    session.flush()
    return News(
        id=item.id,
        version=item.version,
        state=news.state_of(item, call.now),
        title=Text(pl=item.title_pl, en=item.title_en),
        text=Text(pl=item.text_pl, en=item.text_en),
        lacks=list(news.lacks(item)),
        author=item.author,
        created_at=item.created_at,
        updated_at=item.updated_at,
        published_at=item.published_at,
        pinned_until=item.pinned_until,
        pictures=[_picture(row) for row in news.pictures(session, item.id)],
        revisions=[_revision(row) for row in news.revisions(session, item.id)],
    )


def _picture(row: tables.NewsPicture) -> NewsPicture:
    alt = Text(pl=row.alt_pl, en=row.alt_en)
    return NewsPicture(number=row.id, name=row.name, width=row.width, height=row.height, alt=alt)


def _revision(row: tables.NewsRevision) -> NewsRevision:
    before = {name: None if value is None else str(value) for name, value in row.before.items()}
    return NewsRevision(at=row.at, author=row.author, action=row.action, before=before)
