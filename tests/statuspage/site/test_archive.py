"""The archive by month, its weight, and the search through it."""

import time
from dataclasses import replace
from datetime import timedelta

import brotli
import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import BaseRoute

from statuspage.incidents.rules import MaintenanceStatus, ServiceStatus
from statuspage.incidents.snapshot import PageSnapshot, Text
from statuspage.kernel.folding import fold
from statuspage.kernel.web import Guard, Languages
from statuspage.site import archive, pages
from statuspage.site.outputs import Edition, Front
from tests.statuspage.site import snapshots
from tests.statuspage.site.snapshots import HOUSE, NOW, affected, incident, maintenance
from tests.statuspage.site.test_pages import parsed, said, text_of, tree_of

ZONE = HOUSE.settings.zone


def thousand() -> PageSnapshot:
    """Three years of one incident a day, with three messages each."""
    hit = (replace(affected("AES", ServiceStatus.PARTIAL_OUTAGE), status=ServiceStatus.OPERATIONAL),)
    found = []
    for number in range(1000):
        began_at = NOW - timedelta(days=number + 1)
        name = Text(f"AES działa tylko częściowo ({number})", f"AES works only in part ({number})")
        ended_at = began_at + timedelta(hours=1)
        found.append(incident(f"{number:04}", name, hit, began_at=began_at, ended_at=ended_at))
    return snapshots.page(incidents=tuple(found))


THOUSAND = thousand()


def test_the_newest_months_are_shown_and_every_month_has_its_page() -> None:
    tree = tree_of(THOUSAND, "/history")
    shown = tree.xpath("//ul[@class='archive']/li")
    assert 20 <= len(shown) <= archive.NEWEST
    keys = list(archive.month_keys(THOUSAND, ZONE))
    assert len(keys) == 34
    for key in keys:
        assert f"/history/{key}" in pages.paths(THOUSAND, ZONE)
        assert tree.xpath(f"//nav//a[@href='/en/history/{key}']"), key
    listed = sum(len(tree_of(THOUSAND, f"/history/{key}").xpath("//ul[@class='archive']/li")) for key in keys)
    assert listed == 1000
    month = tree_of(THOUSAND, "/history/2026-10")
    assert month.xpath("//a[@rel='prev']/@href") == ["/en/history/2026-09"]
    assert month.xpath("//a[@rel='next']/@href") == ["/en/history/2026-11"]


@pytest.mark.parametrize("key", ["2026-13", "1999-01", "2026-1", "x", "2026-11/", "../etc"])
def test_a_month_without_anything_has_no_page(key: str) -> None:
    assert pages.render(THOUSAND, f"/history/{key}", "pl", HOUSE, now=NOW) is None


@pytest.mark.parametrize("path", ["/history", "/history/2026-10"])
def test_the_archive_stays_light_with_a_thousand_incidents(path: str) -> None:
    weight = len(brotli.compress(text_of(THOUSAND, path, "pl").encode(), quality=5))
    assert weight < 10_000, f"{weight} bytes"


# --- searching ---


def find(snapshot: PageSnapshot, **values: str) -> list[str]:
    view = Edition(snapshot, HOUSE).view("pl")
    return [n.name.en for n in archive.find(view, archive.wanted_of(values), archive.Index())]


def some() -> PageSnapshot:
    hit = (affected("NCTS2", ServiceStatus.MAJOR_OUTAGE),)
    ended = NOW - timedelta(days=400)
    old = incident(
        "old", Text("Błąd łącza", "Link fault"), hit, began_at=ended - timedelta(hours=1), ended_at=ended
    )
    new = incident(
        "new",
        Text("Częściowo działa <AES>", "Works <in> part"),
        (affected("AES", ServiceStatus.PARTIAL_OUTAGE),),
    )
    done = maintenance("done", MaintenanceStatus.COMPLETED, starts_at=NOW - timedelta(days=9))
    ahead = maintenance("ahead", MaintenanceStatus.SCHEDULED, starts_at=NOW + timedelta(days=9))
    return snapshots.page(incidents=(new, old), maintenances=(ahead, done))


@pytest.mark.parametrize("query", ["czesciowo", "CZĘŚCIOWO", "works part", "aes dziala", "incnew000000"])
def test_words_are_found_in_both_languages_with_or_without_diacritics(query: str) -> None:
    assert find(some(), q=query)[:1] == ["Works <in> part"]


def test_every_word_has_to_be_found_and_texts_count() -> None:
    assert find(some(), q="blad lacza") == ["Link fault"]
    assert find(some(), q="blad czesciowo") == []
    assert len(find(some(), q="baza danych")) == 2  # in an update of each incident


def test_service_kind_and_year_narrow_it() -> None:
    assert find(some(), service="NCTS2") == ["Link fault"]
    assert len(find(some(), kind="maintenance")) == 1
    assert find(some(), year="2025") == ["Link fault"]
    assert find(some(), year="2025", kind="maintenance") == []


def test_what_was_found_is_marked_and_escaped() -> None:
    assert archive.mark("Częściowo <b>", ("czesc", "<b")) == "<mark>Częśc</mark>iowo <mark>&lt;b</mark>&gt;"
    assert archive.mark("aaa", ("aa", "a")) == "<mark>aa</mark><mark>a</mark>"


def test_folding_keeps_every_place() -> None:
    text = "Zażółć GĘŚLĄ jaźń İ ß ﬁ 𝔘"
    assert len(fold(text)) == len(text)
    assert fold("Zażółć GĘŚLĄ jaźń") == "zazolc gesla jazn"


def test_the_search_is_bounded() -> None:
    wanted = archive.wanted_of({"q": "a " * 5000, "year": "99999", "kind": "x", "service": "y" * 5000})
    assert len(wanted.query) <= archive.MAX_QUERY
    assert len(archive.wanted_of({"q": " ".join(map(str, range(40)))}).words) == archive.MAX_WORDS
    assert (wanted.year, wanted.kind) == (0, "")
    view, index = Edition(THOUSAND, HOUSE).view("pl"), archive.Index()
    page = archive.results(view, archive.wanted_of({"q": "czesciowo"}), index)
    assert len(parsed(page).xpath("//ul[@class='archive']/li")) == archive.MAX_RESULTS
    started = time.process_time()
    archive.results(view, archive.wanted_of({"q": "czesciowo dziala baza"}), index)
    assert time.process_time() - started < 0.5


async def test_the_router_answers_a_query_and_the_prepared_page_everything_else() -> None:
    edition = Edition(some(), HOUSE)
    routes: list[BaseRoute] = archive.routes(edition.view)
    guards = [Middleware(Languages, default="pl"), Middleware(Guard, base_url="http://status.example")]
    front = Front(Starlette(routes=routes, middleware=guards), default_language="pl")
    front.edition = edition
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=front), base_url="http://status.example"
    ) as client:
        answer = await client.get("/en/history", params={"q": "<script>alert(1)</script>"})
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-cache"
        assert "set-cookie" not in answer.headers
        assert "<script>alert" not in answer.text
        tree = parsed((await client.get("/en/history?q=czesciowo")).text)
        assert said(tree.xpath("//h1")[0]) == "1 entry found"
        assert tree.xpath("//input[@id='q']/@value") == ["czesciowo"]
        assert tree.xpath("//meta[@name='robots']/@content") == ["noindex"]
        plain = (await client.get("/en/history")).text
        assert (await client.get("/en/history?utm=x")).text == plain
        assert (await client.get("/history?q=czesciowo", headers={"Accept-Language": "en"})).text.count(
            'lang="en"'
        )
