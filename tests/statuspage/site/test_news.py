"""News as readers see it; that nothing unpublished leaks; the operators' editor."""

import asyncio
import io
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import feedparser
import httpx
import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.middleware import Middleware

from statuspage.incidents import news
from statuspage.incidents.news import Picture, Words
from statuspage.incidents.snapshot import NewsView, PictureView, Text
from statuspage.incidents.snapshots import SnapshotBuilder
from statuspage.kernel import accounts, clock
from statuspage.kernel.accounts import Role
from statuspage.kernel.house import House
from statuspage.kernel.web import COOKIE, EXCEPTION_HANDLERS, Guard, Languages
from statuspage.site import media, news_console
from statuspage.site.live import Live
from statuspage.site.outputs import Edition, Front
from statuspage.site.publisher import Publisher
from statuspage.site.static_site import write
from tests.statuspage.site.entrance import hashed
from tests.statuspage.site.snapshots import HOUSE, NOW, all_green
from tests.statuspage.site.test_console import BASE
from tests.statuspage.site.test_pages import parsed, said, text_of, tree_of

ITEM = NewsView(
    "newsitem0001",
    Text("Nowe reguły w AIS", "New rules in AIS"),
    Text("Od **stycznia**.\n\n<script>alert(1)</script>", "From **January**."),
    NOW - timedelta(days=2),
    NOW - timedelta(days=1),
    None,
    (PictureView("0" * 32 + ".png", 800, 400, Text("Wykres", "")),),
)
WORDS = Words(Text("Tajne plany", "Secret plans"), Text("Tajny tekst", "A secret text"))
SECRETS = ("Tajn", "ecret")


def test_the_list_goes_by_year_and_an_item_has_its_page() -> None:
    old = replace(ITEM, id="newsitem0002", published_at=NOW - timedelta(days=400))
    snapshot = replace(all_green(), news=(ITEM, old))
    years = tree_of(snapshot, "/news").xpath("//main/section/h2")
    assert [said(year) for year in years] == ["2026", "2025"]
    page = text_of(snapshot, f"/news/{ITEM.id}", "pl")
    assert "<strong>stycznia</strong>" in page
    assert "<script>alert" not in page
    (picture,) = parsed(page).xpath("//img")
    assert (picture.get("width"), picture.get("height"), picture.get("alt")) == ("800", "400", "Wykres")


def test_a_missing_language_is_shown_in_the_other_one_and_marked() -> None:
    snapshot = replace(all_green(), news=(replace(ITEM, title=Text("Tytuł", ""), text=Text("Treść", "")),))
    tree = tree_of(snapshot, f"/news/{ITEM.id}", "en")
    assert said(tree.xpath("//h1/span[@lang='pl']")[0]) == "Tytuł"
    assert tree.xpath("//div[@class='text'][@lang='pl']")
    assert "not been translated" in said(tree.xpath("//main")[0])
    assert tree.xpath("//img/@lang") == ["pl"]


def test_the_front_page_shows_two_of_the_last_days_and_what_is_pinned() -> None:
    old = replace(ITEM, id="newsitem0009", published_at=NOW - timedelta(days=60))
    pinned = replace(old, id="newsitem0010", pinned_until=NOW + timedelta(hours=1))
    many = tuple(replace(ITEM, id=f"newsitem001{n}") for n in range(1, 4))
    links = tree_of(replace(all_green(), news=(*many, pinned, old))).xpath(
        "//section[@id='latest']//h3/a/@href"
    )
    assert links == ["/en/news/newsitem0010", "/en/news/newsitem0011"]
    assert not tree_of(replace(all_green(), news=(old,))).xpath("//section[@id='latest']")


def test_the_feed_is_valid_and_says_which_language_an_entry_is_in() -> None:
    edition = Edition(replace(all_green(), news=(replace(ITEM, text=Text("Treść", "")),)), HOUSE)
    prepared = edition.find("/news.atom?lang=en")
    assert prepared is not None
    feed = feedparser.parse(prepared.body)
    assert feed.bozo == 0
    assert feed.entries[0].title == "Nowe reguły w AIS"
    assert feed.entries[0].link == f"{HOUSE.settings.server.base_url}/en/news/{ITEM.id}"


# --- nothing leaks ---


def png(size: tuple[int, int] = (30, 20)) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, "#1d4f91").save(out, "PNG")
    return out.getvalue()


def edition_at(house: House, at: datetime) -> Edition:
    return Edition(
        house.db.read_now(SnapshotBuilder(house.settings.zone, counts_maintenance=False).build, now=at), house
    )


def everything_public(edition: Edition, directory: Path) -> str:
    """The static copy holds all that is public: pages, API, feeds, map, pictures' names."""
    write(edition, directory, default_language="pl")
    names = [str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()]
    texts = [
        p.read_bytes().decode("utf-8", "ignore")
        for p in directory.rglob("*")
        if p.is_file() and p.suffix not in (".gz", ".br")
    ]
    return "\n".join([*names, *texts])


@pytest.mark.parametrize("state", ["draft", "scheduled", "unpublished"])
async def test_what_is_not_published_leaks_nowhere(house: House, tmp_path: Path, state: str) -> None:
    now = clock.now()
    item = house.db.run_now(news.write, WORDS, by="operator", now=now)
    stored = media.store(png(), house.settings.data.dir)
    picture = Picture(stored.name, stored.width, stored.height, Text("Tajny obraz", ""))
    house.db.run_now(news.add_picture, item.id, picture, by="operator", now=now)
    if state == "scheduled":
        house.db.run_now(news.publish, item.id, at=now + timedelta(hours=1), by="operator", now=now)
    if state == "unpublished":
        house.db.run_now(news.publish, item.id, at=None, by="operator", now=now)
        assert f"/media/{stored.name}"[1:] in everything_public(edition_at(house, now), tmp_path / "before")
        house.db.run_now(news.unpublish, item.id, by="operator", now=now)
    edition = edition_at(house, now)
    public = everything_public(edition, tmp_path / "copy")
    assert [word for word in (*SECRETS, item.id, stored.name) if word in public] == []
    app = Starlette(
        routes=news_console.routes(),
        middleware=[Middleware(Languages, default="pl")],
        exception_handlers=EXCEPTION_HANDLERS,
    )
    app.state.house = house
    front = Front(app, default_language="pl")
    front.edition = edition
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=front), base_url=BASE) as client:
        for path in (
            f"/news/{item.id}",
            f"/en/news/{item.id}",
            f"/media/{stored.name}",
            f"/console/news/{item.id}/preview",
        ):
            answer = await client.get(path)
            assert answer.status_code in (303, 404), path
            assert not any(word in answer.text for word in SECRETS)


async def test_a_scheduled_item_appears_by_itself_at_its_time(house: House) -> None:
    async def beyond(*_: object) -> None:
        raise AssertionError("not asked")

    front = Front(beyond, default_language="pl")
    publisher = Publisher(house, front, Live(house.settings))
    await publisher.refresh()
    item = house.db.run_now(news.write, WORDS, by="operator", now=clock.now())
    at = clock.now() + timedelta(seconds=0.7)
    task = asyncio.create_task(publisher.run())
    await house.db.run(news.publish, item.id, at=at, by="operator", now=clock.now())
    async with asyncio.timeout(20):
        while front.edition is None or front.edition.find(f"/pl/news/{item.id}") is None:
            await asyncio.sleep(0.02)
    task.cancel()
    assert clock.now() >= at


# --- the editor ---


@pytest.fixture
async def client(house: House) -> AsyncIterator[httpx.AsyncClient]:
    for role in (Role.AGENT, Role.OPERATOR):
        house.db.run_now(accounts.add_user, role.value, role.value, role, hashed(), now=clock.now())
    app = Starlette(
        routes=news_console.routes(),
        middleware=[Middleware(Languages, default="pl"), Middleware(Guard, base_url=BASE)],
        exception_handlers=EXCEPTION_HANDLERS,
    )
    app.state.house = house
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=BASE) as client:
        yield client


def sign_in(client: httpx.AsyncClient, house: House, role: Role) -> str:
    """The session's CSRF token."""
    user = house.db.read_now(accounts.find_user, role.value)
    assert user is not None
    token = house.db.run_now(accounts.start_session, user.id, now=clock.now(), lifetime=timedelta(hours=1))
    client.cookies.set(COOKIE, token)
    signed = house.db.read_now(accounts.signed_in, token, now=clock.now())
    assert signed is not None
    return signed.csrf


async def test_an_operator_writes_adds_a_picture_publishes_and_withdraws(
    client: httpx.AsyncClient, house: House
) -> None:
    csrf = sign_in(client, house, Role.OPERATOR)
    fields = {"csrf": csrf, "title_pl": "Zmiana w AES", "text_pl": "Treść", "alt_pl": "Wykres"}
    answer = await client.post(
        "/en/console/news/new", data=fields, files={"picture": ("x.svg", png(), "image/svg+xml")}
    )
    assert answer.status_code == 303, answer.text
    path = answer.headers["location"].partition("?")[0]
    editor = (await client.get(path)).text
    assert "Waits for translation: English version." in editor
    (source,) = parsed(editor).xpath("//img/@src")
    assert (await client.get(source)).headers["content-type"] == "image/png"
    assert "Zmiana w AES" in (await client.get(path.replace("/en/", "/pl/") + "/preview")).text
    assert (await client.post(f"{path}/publish", data={"csrf": csrf})).status_code == 303
    assert edition_at(house, clock.now()).find(source) is not None
    assert (await client.post(f"{path}/unpublish", data={"csrf": csrf})).status_code == 303
    assert edition_at(house, clock.now()).find(source) is None
    done = [said(p) for p in parsed((await client.get(path)).text).xpath("//ol/li/p")]
    assert [line.partition(",")[0] for line in done] == [
        "Unpublished",
        "Published",
        "Picture added",
        "Written",
    ]
    assert all(", operator," in line for line in done)


async def test_two_editors_at_once_lose_nothing(client: httpx.AsyncClient, house: House) -> None:
    csrf = sign_in(client, house, Role.OPERATOR)
    item = house.db.run_now(news.write, WORDS, by="other", now=clock.now())
    first = {"csrf": csrf, "version": "1", "title_pl": "Pierwszy", "text_pl": "A"}
    second = {"csrf": csrf, "version": "1", "title_pl": "Drugi", "text_pl": "B"}
    assert (await client.post(f"/en/console/news/{item.id}", data=first)).status_code == 303
    answer = await client.post(f"/en/console/news/{item.id}", data=second)
    assert answer.status_code == 409
    assert 'value="Drugi"' in answer.text
    assert house.db.read_now(news.get, item.id).title_pl == "Pierwszy"
    kept = house.db.read_now(news.revisions, item.id)[0].before
    assert kept["title_pl"] == "Tajne plany"


async def test_others_may_not_write_and_a_forged_form_is_refused(
    client: httpx.AsyncClient, house: House
) -> None:
    csrf = sign_in(client, house, Role.AGENT)
    assert (
        await client.post("/en/console/news/new", data={"csrf": csrf, "title_pl": "x"})
    ).status_code == 403
    assert (await client.get("/en/console/news")).status_code == 200
    sign_in(client, house, Role.OPERATOR)
    assert (
        await client.post("/en/console/news/new", data={"csrf": "forged", "title_pl": "x"})
    ).status_code == 403
    assert house.db.read_now(news.listed) == []


@pytest.mark.parametrize(
    ("changes", "content", "field"),
    [
        ({"title_pl": "", "title_en": ""}, b"", "title_pl"),
        ({"title_en": "", "text_en": "x"}, b"", "title_en"),
        ({"title_pl": "x" * 201}, b"", "title_pl"),
        ({"pinned_until": "soon"}, b"", "pinned_until"),
        ({"pinned_until": "2027-03-28T02:30"}, b"", "pinned_until"),
        ({}, b"<svg xmlns='http://www.w3.org/2000/svg'/>", "picture"),
        ({"alt_pl": "", "alt_en": ""}, png(), "alt_pl"),
    ],
)
async def test_a_fault_names_its_field_keeps_what_was_typed_and_saves_nothing(
    client: httpx.AsyncClient, house: House, changes: dict[str, str], content: bytes, field: str
) -> None:
    csrf = sign_in(client, house, Role.OPERATOR)
    fields = {"csrf": csrf, "title_pl": "T", "text_pl": "kept text", "alt_pl": "a", **changes}
    files = {"picture": ("p.png", content, "image/png")} if content else None
    answer = await client.post("/en/console/news/new", data=fields, files=files)
    assert answer.status_code == 422
    assert f'id="{field}-error"' in answer.text
    assert "kept text" in answer.text
    assert house.db.read_now(news.listed) == []
