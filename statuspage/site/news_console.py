"""Where operators write the news: list, editor in both languages, pictures, preview, publishing."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from jinja2 import pass_context
from jinja2.runtime import Context
from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from statuspage.incidents import news
from statuspage.incidents.news import Picture, State, Words
from statuspage.incidents.snapshot import NewsView, Text
from statuspage.incidents.tables import NewsItem, NewsPicture, NewsRevision
from statuspage.kernel import clock, web
from statuspage.kernel.accounts import Role, SignedIn
from statuspage.kernel.errors import Conflict, Error, Invalid, NotFound
from statuspage.kernel.i18n import LANGUAGES
from statuspage.site import media
from statuspage.site.news import item_of

# The words for what was done; English is the msgid.
ACTIONS = {
    "written": "Written",
    "edited": "Changed",
    "published": "Published",
    "scheduled": "Scheduled",
    "unpublished": "Unpublished",
    "picture added": "Picture added",
    "picture removed": "Picture removed",
}


@pass_context
def _news_action(context: Context, action: str) -> str:
    return context["catalogues"].gettext(context["language"], ACTIONS[action])  # type: ignore[no-any-return]


web.environment().globals["news_action"] = _news_action

_ROOM_FOR_WORDS = 500_000  # of a form beside its picture
FIELDS = ("title_pl", "title_en", "text_pl", "text_en", "pinned_until", "alt_pl", "alt_en")


def routes() -> list[BaseRoute]:
    limit = media.MAX_BYTES + _ROOM_FOR_WORDS
    return [
        Route("/console/news", listing),
        Route("/console/news/new", new, methods=["GET", "POST"], max_body_size=limit),
        Route("/console/news/{id}", edit, methods=["GET", "POST"], max_body_size=limit),
        Route("/console/news/{id}/preview", preview),
        Route("/console/news/{id}/publish", publish, methods=["POST"]),
        Route("/console/news/{id}/unpublish", unpublish, methods=["POST"]),
        Route("/console/news/{id}/pictures/{picture:int}/remove", remove_picture, methods=["POST"]),
        Route("/media/{name}", picture),
    ]


@dataclass(frozen=True, slots=True)
class Row:
    """An item in the list."""

    id: str
    title: str
    lang: str
    state: State
    published_at: datetime | None
    updated_at: datetime
    lacks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Opened:
    """An item in the editor."""

    item: NewsItem
    state: State
    lacks: tuple[str, ...]
    pictures: tuple[NewsPicture, ...]
    revisions: tuple[NewsRevision, ...]


async def listing(request: Request) -> Response:
    """Drafts first; what waits for translation says so."""
    await web.require(request, Role.VIEWER)
    rows = await web.house(request).db.read(_rows, web.language(request), now=clock.now())
    return web.render(request, "console/news.html", {"rows": rows})


async def new(request: Request) -> Response:
    """An empty editor; saved, it is a draft."""
    user = await web.require(request, Role.OPERATOR, files=1)
    if request.method == "GET":
        return _editor(request, None, dict.fromkeys(FIELDS, ""))
    fields = await web.form(request, files=1)
    try:
        return await _save(request, None, fields, user)
    except Invalid as error:
        return _editor(request, None, fields, error)


async def edit(request: Request) -> Response:
    """The editor. What was typed stays when something is wrong, and when somebody else was faster."""
    user = await web.require(request, Role.OPERATOR, files=1)
    house, id = web.house(request), request.path_params["id"]
    opened = await house.db.read(_open, id, now=clock.now())
    if request.method == "GET":
        return _editor(request, opened, _fields_of(opened.item, house.settings.zone))
    fields = await web.form(request, files=1)
    try:
        return await _save(request, id, fields, user)
    except (Invalid, Conflict) as error:
        return _editor(request, await house.db.read(_open, id, now=clock.now()), fields, error)


async def _save(request: Request, id: str | None, fields: dict[str, str], user: SignedIn) -> Response:
    """Words and a picture in one unit of work, or neither."""
    house, content = web.house(request), await web.upload(request, "picture")
    words = Words(
        Text(fields.get("title_pl", ""), fields.get("title_en", "")),
        Text(fields.get("text_pl", ""), fields.get("text_en", "")),
        local_instant("pinned_until", fields.get("pinned_until", ""), house.settings.zone),
    )
    added = None
    if content:
        stored = await asyncio.to_thread(media.store, content, house.settings.data.dir)
        alt = Text(fields.get("alt_pl", ""), fields.get("alt_en", ""))
        added = Picture(stored.name, stored.width, stored.height, alt)
    version = fields.get("version", "")
    number = int(version) if version.isdigit() else 0
    saved = await house.db.run(_write, id, words, added, version=number, by=user.login, now=clock.now())
    return web.redirect(request, f"/console/news/{saved}?saved=1")


def _write(
    session: Session,
    id: str | None,
    words: Words,
    added: Picture | None,
    *,
    version: int,
    by: str,
    now: datetime,
) -> str:
    if id is None:
        item = news.write(session, words, by=by, now=now)
    else:
        item = news.edit(session, id, words, version=version, by=by, now=now)
    if added is not None:
        news.add_picture(session, item.id, added, by=by, now=now)
    return item.id


async def preview(request: Request) -> Response:
    """The item as its page will be, in the language of the address."""
    await web.require(request, Role.VIEWER)
    house, id, now = web.house(request), request.path_params["id"], clock.now()
    shown = await house.db.read(_view, id)
    context = {
        "item": item_of(shown, web.language(request), now),
        "draft": True,
        "seq": 0,
    }
    return web.render(request, "site/news_item.html", context)


async def publish(request: Request) -> Response:
    """Now, or at the time given."""
    user = await web.require(request, Role.OPERATOR)
    house, id = web.house(request), request.path_params["id"]
    fields, now = await web.form(request), clock.now()
    try:
        at = local_instant("at", fields.get("at", ""), house.settings.zone)
        if at is not None and at <= now:
            raise Invalid("at", "lies in the past; leave it empty to publish now")
        await house.db.run(news.publish, id, at=at, by=user.login, now=now)
    except Invalid as error:
        opened = await house.db.read(_open, id, now=now)
        return _editor(request, opened, _fields_of(opened.item, house.settings.zone), error)
    return web.redirect(request, f"/console/news/{id}")


async def unpublish(request: Request) -> Response:
    """A draft again."""
    user = await web.require(request, Role.OPERATOR)
    id = request.path_params["id"]
    await web.house(request).db.run(news.unpublish, id, by=user.login, now=clock.now())
    return web.redirect(request, f"/console/news/{id}")


async def remove_picture(request: Request) -> Response:
    """Out of the item; the revision keeps which it was."""
    user = await web.require(request, Role.OPERATOR)
    id, number = request.path_params["id"], request.path_params["picture"]
    await web.house(request).db.run(news.remove_picture, id, number, by=user.login, now=clock.now())
    return web.redirect(request, f"/console/news/{id}")


async def picture(request: Request) -> Response:
    """A picture that no published news refers to: for staff alone; for others it does not exist."""
    try:
        await web.require(request, Role.VIEWER)
    except (web.SignInNeeded, Error):
        raise NotFound("there is no such picture") from None
    name = request.path_params["name"]
    body = await asyncio.to_thread(media.load, name, web.house(request).settings.data.dir)
    if body is None:
        raise NotFound("there is no such picture")
    kind = media.TYPES[name.rpartition(".")[2]]
    return Response(body, media_type=kind, headers={"Cache-Control": "no-store"})


def local_instant(field: str, text: str, zone: ZoneInfo) -> datetime | None:
    """`2026-11-24T06:10` on the page's clock; None where nothing was given. Raises Invalid."""
    if not text:
        return None
    try:
        naive = datetime.fromisoformat(text)
    except ValueError:
        raise Invalid(field, "write day and hour as 2026-11-24T06:10") from None
    if naive.tzinfo is not None:
        raise Invalid(field, "is read on the page's own clock; leave the offset out")
    at = naive.replace(tzinfo=zone).astimezone(UTC)
    if at.astimezone(zone).replace(tzinfo=None) != naive:
        raise Invalid(field, "does not exist: the clocks are set forward then")
    return at


def _editor(
    request: Request, opened: Opened | None, fields: dict[str, str], error: Error | None = None
) -> Response:
    context = {
        "opened": opened,
        "fields": {name: fields.get(name, "") for name in FIELDS},
        "version": opened.item.version if opened else 0,
        "refused": error if isinstance(error, Invalid) else None,
        "is_conflict": isinstance(error, Conflict),
        "saved": "saved" in request.query_params,
        "accepted": ",".join(media.TYPES.values()),
        "languages": LANGUAGES,
    }
    status = 200 if error is None else 409 if isinstance(error, Conflict) else 422
    return web.render(request, "console/news_edit.html", context, status=status)


def _fields_of(item: NewsItem, zone: ZoneInfo) -> dict[str, str]:
    pinned = item.pinned_until.astimezone(zone).strftime("%Y-%m-%dT%H:%M") if item.pinned_until else ""
    words = {name: getattr(item, name) for name in ("title_pl", "title_en", "text_pl", "text_en")}
    return {**words, "pinned_until": pinned}


def _open(session: Session, id: str, *, now: datetime) -> Opened:
    item = news.get(session, id)
    return Opened(
        item,
        news.state_of(item, now),
        news.lacks(item),
        tuple(news.pictures(session, id)),
        tuple(news.revisions(session, id)),
    )


def _view(session: Session, id: str) -> NewsView:
    return news.view(news.get(session, id), news.pictures(session, id))


def _rows(session: Session, language: str, *, now: datetime) -> list[Row]:
    rows = []
    for item in news.listed(session):
        titles = {"pl": item.title_pl, "en": item.title_en}
        spoken = language if titles[language] else ("en" if language == "pl" else "pl")
        rows.append(
            Row(
                item.id,
                titles[spoken],
                spoken,
                news.state_of(item, now),
                item.published_at,
                item.updated_at,
                news.lacks(item),
            )
        )
    return rows
