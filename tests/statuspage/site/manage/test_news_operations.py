"""News by token: a draft, its pictures, its publication, its end."""

import base64
from datetime import datetime, timedelta
from typing import Any

import pytest

from statuspage.incidents import news
from statuspage.kernel import audit, clock
from statuspage.kernel.tokens import Scope
from statuspage.site import media
from statuspage.site.manage import news_operations
from tests.statuspage.site.manage.conftest import Api
from tests.statuspage.site.test_media import encoded

ITEM = {
    "title": {"pl": "Nowe reguły w AIS", "en": "New rules in AIS"},
    "text": {"pl": "Od **stycznia**.", "en": "From **January**."},
}
ALT = {"pl": "Wykres", "en": "A graph"}


def picture(content: bytes) -> dict[str, Any]:
    return {"content": base64.b64encode(content).decode(), "alt": ALT}


async def write(api: Api, **more: Any) -> dict[str, Any]:
    written = await api.post("/news", {**ITEM, **more})
    assert written.status_code == 201, written.text
    assert written.headers["location"].endswith(f"/news/{written.json()['id']}")
    found: dict[str, Any] = written.json()
    return found


def seen_by_readers(api: Api) -> list[str]:
    return [view.title.en for view in api.house.db.read_now(news.published, now=clock.now())]


async def test_a_draft_is_published_withdrawn_and_deleted(api: Api) -> None:
    item = await write(api)
    path = f"/news/{item['id']}"
    assert (item["state"], item["version"], item["author"]) == ("draft", 1, "api:all")
    assert seen_by_readers(api) == []
    published = await api.post(f"{path}/publish", If_Match='"1"')
    assert published.json()["state"] == "published"
    assert seen_by_readers(api) == ["New rules in AIS"]
    refused = await api.ask("DELETE", path)
    assert refused.status_code == 409
    assert refused.json()["current"] == await api.get(path)
    drafted = await api.post(f"{path}/unpublish")
    assert seen_by_readers(api) == []
    assert [each["action"] for each in drafted.json()["revisions"]] == ["unpublished", "published", "written"]
    assert (await api.get("/news"))["news"][0]["id"] == item["id"]
    assert (await api.ask("DELETE", path)).status_code == 204
    assert (await api.ask("DELETE", path)).status_code == 404
    assert (await api.get("/news"))["news"] == []
    done = api.house.db.read_now(audit.entries, action="news")
    assert [(each.actor, each.action) for each in done] == [
        ("api:all", "news.removed"),
        ("api:all", "news.unpublished"),
        ("api:all", "news.published"),
        ("api:all", "news.written"),
    ]
    assert "New rules in AIS" in done[0].details


async def test_it_appears_by_itself_at_its_time(api: Api) -> None:
    path = f"/news/{(await write(api))['id']}"
    at = clock.now() + timedelta(hours=1)
    scheduled = await api.post(f"{path}/schedule", {"publish_at": at.isoformat()})
    assert scheduled.json()["state"] == "scheduled"
    assert api.house.db.read_now(news.published, now=at)[0].title.en == "New rules in AIS"
    assert seen_by_readers(api) == []
    past = await api.post(f"{path}/schedule", {"publish_at": "2020-01-01T00:00:00Z"})
    assert past.json()["errors"][0]["field"] == "publish_at"
    assert (await api.ask("DELETE", path)).status_code == 409


async def test_editing_needs_the_version_that_was_read(api: Api) -> None:
    item = await write(api, text={"pl": "Treść"})
    path = f"/news/{item['id']}"
    assert item["lacks"] == ["en"]
    assert (await api.ask("PUT", path, ITEM)).status_code == 428
    pinned = (clock.now() + timedelta(days=2)).isoformat()
    edited = await api.ask("PUT", path, {**ITEM, "pinned_until": pinned}, If_Match='"1"')
    assert (edited.status_code, edited.headers["etag"]) == (200, '"2"')
    assert edited.json()["lacks"] == []
    assert datetime.fromisoformat(edited.json()["pinned_until"]) == datetime.fromisoformat(pinned)
    assert edited.json()["revisions"][0]["before"]["text_pl"] == "Treść"
    stale = await api.ask("PUT", path, ITEM, If_Match='"1"')
    assert stale.status_code == 412
    assert stale.json()["current"] == edited.json()


async def test_pictures_are_judged_by_their_content_kept_and_taken_out(api: Api) -> None:
    path = f"/news/{(await write(api))['id']}"
    added = await api.post(f"{path}/pictures", picture(encoded("PNG")), Idempotency_Key="p")
    assert added.status_code == 201, added.text
    repeated = await api.post(f"{path}/pictures", picture(encoded("PNG")), Idempotency_Key="p")
    assert repeated.json() == added.json()
    (kept,) = added.json()["pictures"]
    assert (kept["width"], kept["height"], kept["alt"]) == (60, 40, ALT)
    assert media.load(kept["name"], api.house.settings.data.dir) is not None
    removed = await api.ask("DELETE", f"{path}/pictures/{kept['number']}")
    assert removed.json()["pictures"] == []
    for number in (kept["number"], "0", "999999999", "x"):
        assert (await api.ask("DELETE", f"{path}/pictures/{number}")).status_code == 404


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        (picture(b"<svg xmlns='http://www.w3.org/2000/svg'/>"), 422, "content"),
        ({"content": "abcde", "alt": ALT}, 422, "content"),
        ({"content": "a b", "alt": ALT}, 400, "content"),
        ({**picture(encoded("PNG")), "alt": {}}, 422, "alt.pl"),
    ],
    ids=["no picture", "a half of base64", "no base64", "nothing for the blind"],
)
async def test_a_bad_picture_is_refused_by_its_field(
    api: Api, body: dict[str, Any], status: int, field: str
) -> None:
    item = await write(api)
    refused = await api.post(f"/news/{item['id']}/pictures", body)
    assert refused.status_code == status, refused.text
    assert refused.json()["errors"][0]["field"] == field
    assert await api.get(f"/news/{item['id']}") == item


async def test_a_picture_may_be_larger_than_other_bodies_and_has_its_own_limit(api: Api) -> None:
    path = f"/news/{(await write(api))['id']}"
    noise = encoded("PNG", (1000, 1000)) + bytes(2_000_000)  # what follows the picture is left out
    added = await api.post(f"{path}/pictures", picture(noise))
    assert added.status_code == 201, added.text
    most = news_operations.MAX_PICTURE_BODY
    too_large = await api.post(f"{path}/pictures", {"content": "A" * most, "alt": ALT})
    assert too_large.status_code == too_large.json()["status"] == 413


async def test_news_needs_its_own_scope(api: Api) -> None:
    others = [scope for scope in Scope if scope is not Scope.NEWS]
    api.client.headers["Authorization"] = f"Bearer {api.token('others', *others)}"
    assert (await api.post("/news", ITEM)).status_code == 403
    assert (await api.get("/news"))["news"] == []


async def test_what_says_nothing_is_not_published(api: Api) -> None:
    item = await write(api, text={})
    refused = await api.post(f"/news/{item['id']}/publish")
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "title.pl")
    assert (await api.post("/news", {"title": {}})).json()["errors"][0]["field"] == "title.pl"
