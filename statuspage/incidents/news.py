"""News about the state of the system: written in two languages, published now or at a time, withdrawn again.

Nothing is overwritten without a revision, and every act stands in the audit log. What is not published yet never
leaves this module but for staff.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from statuspage.incidents.snapshot import NewsView, PictureView, Text
from statuspage.incidents.tables import NewsItem, NewsPicture, NewsRevision
from statuspage.kernel import audit
from statuspage.kernel.errors import Conflict, Invalid, NotFound
from statuspage.kernel.markdown import one_line, printable

MAX_TITLE = 200
MAX_TEXT = 20_000
MAX_ALT = 500
MAX_PICTURES = 10


class Action(StrEnum):
    """What was done."""

    WRITTEN = "written"
    EDITED = "edited"
    PUBLISHED = "published"
    SCHEDULED = "scheduled"
    UNPUBLISHED = "unpublished"
    PICTURE_ADDED = "picture added"
    PICTURE_REMOVED = "picture removed"


class State(StrEnum):
    """How an item stands at a moment."""

    DRAFT = "draft"
    SCHEDULED = "scheduled"
    PUBLISHED = "published"


@dataclass(frozen=True, slots=True)
class Words:
    """What is written. One language may be missing as a whole, or its text alone."""

    title: Text
    text: Text
    pinned_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """A stored picture."""

    name: str
    width: int
    height: int
    alt: Text


def state_of(item: NewsItem, now: datetime) -> State:
    """Whether readers see it."""
    if item.published_at is None:
        return State.DRAFT
    return State.PUBLISHED if item.published_at <= now else State.SCHEDULED


def lacks(item: NewsItem) -> tuple[str, ...]:
    """The languages that wait for translation."""
    fields = (("pl", item.title_pl, item.text_pl), ("en", item.title_en, item.text_en))
    return tuple(language for language, title, text in fields if not (title and text))


def write(session: Session, words: Words, *, by: str, now: datetime) -> NewsItem:
    """A draft. Raises Invalid naming the field."""
    words = _checked(words)
    item = NewsItem(author=by, created_at=now, updated_at=now, **_columns(words))
    session.add(item)
    session.flush()
    _note(session, item, Action.WRITTEN, {}, by=by, now=now)
    return item


def edit(session: Session, news_id: str, words: Words, *, version: int, by: str, now: datetime) -> NewsItem:
    """Change the words. Raises Conflict when somebody else was faster, Invalid naming the field."""
    item = get(session, news_id)
    if item.version != version:
        raise Conflict("somebody else has changed this news since you opened it")
    columns = _columns(_checked(words))
    before = {
        field: getattr(item, field) for field, value in columns.items() if getattr(item, field) != value
    }
    if before:
        for field in before:
            setattr(item, field, columns[field])
        _touch(item, now)
        _note(session, item, Action.EDITED, before, by=by, now=now)
    return item


def publish(session: Session, news_id: str, *, at: datetime | None, by: str, now: datetime) -> NewsItem:
    """Let readers see it: at once, or by itself from `at` on. Raises Invalid where there is nothing to read yet."""
    item = get(session, news_id)
    if len(lacks(item)) == 2:
        raise Invalid("title_pl", "a title and a text are needed in one language at least")
    before = {"published_at": item.published_at}
    is_later = at is not None and at > now
    item.published_at = at if is_later else now
    _touch(item, now)
    _note(session, item, Action.SCHEDULED if is_later else Action.PUBLISHED, before, by=by, now=now)
    return item


def unpublish(session: Session, news_id: str, *, by: str, now: datetime) -> NewsItem:
    """A draft again."""
    item = get(session, news_id)
    before = {"published_at": item.published_at}
    item.published_at = None
    _touch(item, now)
    _note(session, item, Action.UNPUBLISHED, before, by=by, now=now)
    return item


def remove(session: Session, news_id: str, *, by: str, now: datetime) -> None:
    """Delete a draft with its pictures and revisions; the audit log keeps its titles and what was done to it.

    Raises Conflict while readers see it, or will by themselves: what is public is unpublished first.
    """
    item = get(session, news_id)
    if item.published_at is not None:
        raise Conflict("the news %(news)s is public, or will be by itself; unpublish it first", news=news_id)
    titles = {"title_pl": item.title_pl, "title_en": item.title_en}
    for table in (NewsPicture, NewsRevision):
        session.execute(delete(table).where(table.news_id == news_id))
    session.delete(item)
    session.flush()
    audit.record(session, by, "news.removed", f"news:{news_id}", titles, at=now)


def add_picture(session: Session, news_id: str, picture: Picture, *, by: str, now: datetime) -> NewsPicture:
    """Raises Invalid without a text for those who do not see it."""
    item = get(session, news_id)
    alt = Text(one_line(picture.alt.pl), one_line(picture.alt.en))
    if not (alt.pl or alt.en):
        raise Invalid("alt_pl", "say what the picture shows, for those who do not see it")
    for language in ("pl", "en"):
        if len(alt.own(language)) > MAX_ALT:
            raise Invalid(f"alt_{language}", "at most %(limit)s characters are allowed", limit=MAX_ALT)
    if len(pictures(session, news_id)) >= MAX_PICTURES:
        raise Invalid("picture", "at most %(limit)s pictures stand in one news item", limit=MAX_PICTURES)
    row = NewsPicture(
        news_id=item.id,
        name=picture.name,
        width=picture.width,
        height=picture.height,
        alt_pl=alt.pl,
        alt_en=alt.en,
        added_at=now,
    )
    session.add(row)
    _touch(item, now)
    _note(session, item, Action.PICTURE_ADDED, {}, by=by, now=now)
    session.flush()
    return row


def remove_picture(session: Session, news_id: str, picture_id: int, *, by: str, now: datetime) -> None:
    """Its bytes stay; nothing public refers to them any more."""
    row = session.get(NewsPicture, picture_id)
    if row is None or row.news_id != news_id:
        raise NotFound("there is no such picture")
    item = get(session, news_id)
    before = {"name": row.name, "alt_pl": row.alt_pl, "alt_en": row.alt_en}
    session.delete(row)
    _touch(item, now)
    _note(session, item, Action.PICTURE_REMOVED, before, by=by, now=now)
    session.flush()


# --- reading ---


def get(session: Session, news_id: str) -> NewsItem:
    """Raises NotFound."""
    item = session.get(NewsItem, news_id)
    if item is None:
        raise NotFound("there is no such news")
    return item


def pictures(session: Session, news_id: str) -> Sequence[NewsPicture]:
    """In the order in which they were added."""
    return session.scalars(
        select(NewsPicture).where(NewsPicture.news_id == news_id).order_by(NewsPicture.id)
    ).all()


def revisions(session: Session, news_id: str) -> Sequence[NewsRevision]:
    """Newest first."""
    return session.scalars(
        select(NewsRevision).where(NewsRevision.news_id == news_id).order_by(NewsRevision.id.desc())
    ).all()


def listed(session: Session) -> Sequence[NewsItem]:
    """For staff: drafts first, then the latest."""
    return session.scalars(
        select(NewsItem).order_by(NewsItem.published_at.is_not(None), NewsItem.created_at.desc())
    ).all()


def published(session: Session, *, now: datetime) -> tuple[NewsView, ...]:
    """What readers may see at this moment, newest first."""
    items = session.scalars(
        select(NewsItem)
        .where(NewsItem.published_at <= now)
        .order_by(NewsItem.published_at.desc(), NewsItem.id)
    ).all()
    shown: dict[str, list[NewsPicture]] = {item.id: [] for item in items}
    if shown:
        rows = select(NewsPicture).where(NewsPicture.news_id.in_(shown)).order_by(NewsPicture.id)
        for row in session.scalars(rows):
            shown[row.news_id].append(row)
    return tuple(view(item, shown[item.id]) for item in items)


def next_due_at(session: Session, *, now: datetime) -> datetime | None:
    """When the next scheduled item appears."""
    return session.scalar(select(func.min(NewsItem.published_at)).where(NewsItem.published_at > now))


def view(item: NewsItem, with_pictures: Sequence[NewsPicture]) -> NewsView:
    """The item as pages show it; `published_at` of a draft is its last change."""
    return NewsView(
        id=item.id,
        title=Text(item.title_pl, item.title_en),
        text=Text(item.text_pl, item.text_en),
        published_at=item.published_at or item.updated_at,
        updated_at=item.updated_at,
        pinned_until=item.pinned_until,
        pictures=tuple(
            PictureView(row.name, row.width, row.height, Text(row.alt_pl, row.alt_en))
            for row in with_pictures
        ),
    )


# --- inside ---


def _checked(words: Words) -> Words:
    title = Text(one_line(words.title.pl), one_line(words.title.en))
    text = Text(printable(words.text.pl).strip(), printable(words.text.en).strip())
    for language in ("pl", "en"):
        if len(title.own(language)) > MAX_TITLE:
            raise Invalid(f"title_{language}", "at most %(limit)s characters are allowed", limit=MAX_TITLE)
        if len(text.own(language)) > MAX_TEXT:
            raise Invalid(f"text_{language}", "at most %(limit)s characters are allowed", limit=MAX_TEXT)
        if text.own(language) and not title.own(language):
            raise Invalid(f"title_{language}", "a text needs its title in the same language")
    if not (title.pl or title.en):
        raise Invalid("title_pl", "write a title in one language at least")
    return Words(title, text, words.pinned_until)


def _columns(words: Words) -> dict[str, object]:
    return {
        "title_pl": words.title.pl,
        "title_en": words.title.en,
        "text_pl": words.text.pl,
        "text_en": words.text.en,
        "pinned_until": words.pinned_until,
    }


def _touch(item: NewsItem, now: datetime) -> None:
    item.updated_at = now
    item.version += 1


def _note(
    session: Session, item: NewsItem, action: Action, before: Mapping[str, object], *, by: str, now: datetime
) -> None:
    kept = {
        field: value.isoformat() if isinstance(value, datetime) else value for field, value in before.items()
    }
    session.add(NewsRevision(news_id=item.id, at=now, author=by, action=action.value, before=kept))
    session.flush()
    at = item.published_at.isoformat() if item.published_at else None
    told = {"published_at": at} if action in (Action.PUBLISHED, Action.SCHEDULED) else {}
    audit.record(session, by, f"news.{action.value.replace(' ', '-')}", f"news:{item.id}", told, at=now)
