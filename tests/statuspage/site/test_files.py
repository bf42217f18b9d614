"""What browsers, crawlers and programs ask for by name."""

import json
from dataclasses import replace

import feedparser
import icalendar
import pytest
from lxml import etree

from statuspage.kernel.prepared import SHORT
from statuspage.site import files, pages
from tests.statuspage.site.snapshots import HOUSE, NOW, gateway_down, never_measured, one_down, planned

MAP = "{http://www.sitemaps.org/schemas/sitemap/0.9}"


def file(path: str, language: str = "pl") -> files.File:
    found = files.render(gateway_down(), path, language, HOUSE, now=NOW)
    assert found is not None, path
    return found


def test_every_file_that_is_announced_is_there_and_no_other() -> None:
    for path in files.paths(gateway_down()):
        assert file(path).body
    assert files.render(gateway_down(), "/nothing.txt", "pl", HOUSE, now=NOW) is None


def test_crawlers_are_kept_out_of_what_is_personal_and_shown_the_map() -> None:
    lines = file("/robots.txt").body.decode().splitlines()
    assert "Disallow: /pl/desk" in lines
    assert "Disallow: /console" in lines
    assert lines[-1] == f"Sitemap: {HOUSE.settings.server.base_url}/sitemap.xml"


def test_the_map_names_every_page_in_both_languages_and_each_ones_twin() -> None:
    found = file("/sitemap.xml")
    urls = [url.text for url in etree.fromstring(found.body).iter(f"{MAP}loc")]
    base = HOUSE.settings.server.base_url
    assert urls == [
        f"{base}/{x}{path}" for path in pages.paths(gateway_down(), HOUSE.settings.zone) for x in ("pl", "en")
    ]
    twins = etree.fromstring(found.body).iter("{http://www.w3.org/1999/xhtml}link")
    assert {twin.get("hreflang") for twin in twins} == {"pl", "en"}
    assert found.cache == SHORT


@pytest.mark.parametrize("kind", ["atom", "rss"])
@pytest.mark.parametrize("language", ["pl", "en"])
def test_a_feed_of_one_service_has_its_news_alone(kind: str, language: str) -> None:
    snapshot = replace(gateway_down(), maintenances=planned().maintenances)
    found = files.render(snapshot, f"/services/EMCS/history.{kind}", language, HOUSE, now=NOW)
    assert found is not None
    feed = feedparser.parse(found.body)
    assert not feed.bozo
    assert feed.feed.title.startswith("EMCS – ")
    about = [
        n for n in (*snapshot.incidents, *snapshot.maintenances) if "EMCS" in {a.code for a in n.affected}
    ]
    assert len(feed.entries) == sum(len(notice.updates) for notice in about) == 4
    own = [link.href for link in feed.feed.links if link.rel == "self"]
    assert own == [f"{HOUSE.settings.server.base_url}/services/EMCS/history.{kind}?lang={language}"]


def test_a_feed_of_one_service_is_not_that_of_the_page_and_rests_while_others_have_news() -> None:
    def made(snapshot_seq: int) -> bytes:
        snapshot = replace(one_down(), seq=snapshot_seq, updated_at=NOW)
        found = files.render(snapshot, "/services/AES/history.atom", "en", HOUSE, now=NOW)
        assert found is not None
        return found.body

    feed = feedparser.parse(made(8))
    assert feed.entries == []
    assert feed.feed.id.endswith("/services/AES/en")
    assert made(8) == made(9)


def test_a_calendar_of_one_service_has_its_work_alone() -> None:
    def works(code: str) -> int:
        found = files.render(planned(), f"/services/{code}/history.ics", "pl", HOUSE, now=NOW)
        assert found is not None
        return len(icalendar.Calendar.from_ical(found.body).walk("VEVENT"))

    assert (works("EMCS"), works("AES"), works("SENT")) == (1, 3, 0)


@pytest.mark.parametrize(
    ("language", "path", "said"),
    [
        ("pl", "/badge/PUESC.svg", "PUESC: nie działa"),
        ("en", "/badge/PUESC.svg", "PUESC: does not work"),
        ("en", "/badge/SZPROT.svg", "SZPROT: works"),
        ("pl", "/badge/page.svg", "Status usług celnych: PUESC: 1 usługa nie działa"),
    ],
)
def test_a_badge_says_how_it_stands(language: str, path: str, said: str) -> None:
    badge = etree.fromstring(file(path, language).body)
    assert badge.findtext("{http://www.w3.org/2000/svg}title") == said
    assert file(path, language).cache == SHORT


def test_a_badge_of_what_was_never_measured_does_not_say_that_it_works() -> None:
    found = files.render(never_measured(), "/badge/AES.svg", "en", HOUSE, now=NOW)
    assert found is not None
    assert b"<title>AES: not measured</title>" in found.body


@pytest.mark.parametrize("language", ["pl", "en"])
def test_the_widget_is_told_what_the_page_says(language: str) -> None:
    told = json.loads(file(f"/widget/{language}.json").body)
    assert (
        told["headline"]["text"]
        == {
            "pl": "PUESC: 1 z 12 usług nie działa od dziś 07:30 (UTC+1)",
            "en": "PUESC: 1 of 12 services has been down since today 07:30 (UTC+1)",
        }[language]
    )
    assert [s["code"] for s in told["services"]] == [s.code for s in gateway_down().services]
    assert all(s["url"].endswith(f"/{language}/services/{s['code']}") for s in told["services"])
    assert len(file("/widget.js").body) <= 5_000


@pytest.mark.parametrize(
    "path",
    [
        "/badge/NOTHING.svg",
        "/badge/page.png",
        "/services/NOTHING/outages.csv",
        "/services/NOTHING/outages.json",
        "/services/NOTHING/history.atom",
        "/services/NCTS2/history.xml",
        "/widget/de.json",
    ],
)
def test_there_is_no_file_for_what_is_not_there(path: str) -> None:
    assert files.render(gateway_down(), path, "pl", HOUSE, now=NOW) is None
