"""The page of one service: days as a bar and a table, months and years, outages, what is embedded elsewhere."""

from dataclasses import replace
from datetime import timedelta

import brotli
import pytest
from lxml import html

from statuspage.incidents.rules import ServiceStatus
from statuspage.incidents.snapshot import Day, IntervalView, PageSnapshot
from statuspage.site import files, pages
from tests.statuspage.site import snapshots
from tests.statuspage.site.snapshots import HOUSE, NOW
from tests.statuspage.site.test_pages import LANGUAGES, said, text_of, tree_of, with_services

PATH = "/services/NCTS2"


def cells(row: html.HtmlElement) -> list[str]:
    return [said(cell) for cell in row.xpath("./th|./td")]


def with_today(snapshot: PageSnapshot, *last: Day) -> PageSnapshot:
    days = snapshot.services[0].days
    return with_services(snapshot, days=(*days[: -len(last)], *last))


def test_every_day_stands_in_a_table() -> None:
    today = Day(NOW.date(), ServiceStatus.MAJOR_OUTAGE, 0.9, 61, 120, 3600, 59)
    before = Day(NOW.date() - timedelta(days=1), ServiceStatus.OPERATIONAL, 1.0, 0, 0, 0, 600)
    page = tree_of(with_today(snapshots.all_green(), before, today), PATH)
    rows = [cells(row) for row in page.xpath("//details[@id='days']//tbody/tr")]
    assert len(rows) == 90
    assert rows[0] == ["today", "did not work", "2", "2", "60", "1"], "begun minutes count whole"
    assert rows[1] == ["yesterday", "worked while it was measured", "0", "0", "0", "10"]
    assert rows[2][:2] == ["19 November", "worked all day"]
    heads = [said(head) for head in page.xpath("//details[@id='days']//thead//th")]
    assert heads[2:] == [
        "Did not work (min)",
        "Slow or limited (min)",
        "Planned work (min)",
        "Not measured (min)",
    ]


def test_by_keyboard_one_goes_from_trouble_to_trouble_and_to_its_line() -> None:
    down = Day(NOW.date(), ServiceStatus.MAJOR_OUTAGE, 0.9, 60, 0, 0, 0)
    run = [replace(down, day=NOW.date() - timedelta(days=back)) for back in (5, 4)]
    good = [snapshots.day(NOW.date() - timedelta(days=back)) for back in (3, 2, 1)]
    page = tree_of(with_today(snapshots.all_green(), *run, *good, down), PATH)
    links = page.xpath("//*[name()='svg'][@class='bar']/a")
    assert [link.get("aria-label") for link in links] == [
        "16 November – 17 November: did not work",
        "today: did not work",
    ]
    ids = page.xpath("//tbody/tr/@id")
    assert all(link.get("href").removeprefix("#") in ids for link in links)
    assert page.xpath("//*[name()='svg'][@class='bar']/@role") == ["group"]
    assert tree_of(snapshots.all_green(), PATH).xpath("//*[name()='svg'][@class='bar']/@role") == ["img"]


def test_months_and_years_go_back_to_the_first_measurement() -> None:
    page = tree_of(snapshots.all_green(), PATH)
    years, months, earlier = page.xpath("//table[contains(@class, 'spans')]")
    assert [cells(row)[0] for row in years.xpath(".//tbody/tr")] == ["2026", "2025"]
    rows = [cells(row) for row in months.xpath(".//tbody/tr")]
    assert len(rows) == 12
    assert rows[0] == ["November 2026", "99.86%", "1 hour", "–", "–"]
    assert rows[3] == ["August 2026", "100%", "–", "–", "1 day"]
    assert [cells(row)[0] for row in earlier.xpath(".//tbody/tr")] == ["November 2025", "October 2025"]
    assert "2 earlier months" in said(page.xpath("//details[@id='earlier']/summary")[0])


def test_a_service_of_one_year_has_no_table_of_years() -> None:
    young = with_services(snapshots.all_green(), months=snapshots.MONTHS[:3])
    assert len(tree_of(young, PATH).xpath("//table[contains(@class, 'spans')]")) == 1


def test_an_outage_names_the_incident_that_tells_of_it() -> None:
    snapshot = snapshots.one_down()
    (link,) = tree_of(snapshot, PATH).xpath("//table[@id='outages']//a")
    assert link.get("href") == f"/en/incidents/{snapshot.incidents[0].id}"


def test_an_outage_within_a_day_ends_at_an_hour_and_a_longer_one_on_a_day() -> None:
    at = NOW - timedelta(days=3)
    two = tuple(
        IntervalView("major_outage", "slow", at, at, at + timedelta(hours=hours)) for hours in (2, 30)
    )
    page = tree_of(with_services(snapshots.all_green(), intervals=two), PATH)
    rows = [cells(row) for row in page.xpath("//table[@id='outages']/tbody/tr")]
    assert [row[1:4] for row in rows] == [
        ["18 November, 10:30 (UTC+1)", "12:30", "2 hours"],
        ["18 November, 10:30 (UTC+1)", "19 November, 16:30 (UTC+1)", "1 day 6 hours"],
    ]


def test_very_many_outages_stand_in_the_files() -> None:
    at = NOW - timedelta(days=1)
    many = tuple(
        IntervalView("major_outage", "slow", at - i * timedelta(hours=1), at, at - i * timedelta(hours=1))
        for i in range(53)
    )
    page = tree_of(with_services(snapshots.all_green(), intervals=many), PATH)
    assert len(page.xpath("//table[@id='outages']/tbody/tr")) == 50
    assert "3 older ones stand in the files." in said(page)


@pytest.mark.parametrize("language", LANGUAGES)
def test_all_that_it_leads_to_is_there(language: str) -> None:
    snapshot = snapshots.one_down()
    page = tree_of(snapshot, PATH, language)
    hrefs = {*page.xpath("//link[@rel='alternate']/@href"), *page.xpath("//main//a/@href")}
    ours = {
        href for href in hrefs if ("/services/NCTS2/" in href and "latency" not in href) or "badge" in href
    }
    assert len(ours) == 6
    for href in ours:
        path, _, asked = str(href).partition("?lang=")
        assert asked in ("", language)
        assert files.render(snapshot, path, language, HOUSE, now=NOW) is not None, href
    assert page.xpath("//main//img/@src") == [f"/{language}{PATH}/latency/24h.svg"]


def test_what_was_never_measured_has_no_table_and_no_graph() -> None:
    page = tree_of(snapshots.never_measured(), PATH)
    assert not page.xpath("//table | //main//img")
    assert "Until then we neither say that it works nor that it does not." in said(page)
    assert "No outage" not in said(page), "that would sound as if somebody had looked"


def test_tabs_and_shared_links_state_the_status() -> None:
    text = text_of(snapshots.one_down(), PATH, "pl")
    assert "<title>✕ NCTS2 nie działa – Status usług celnych</title>" in text
    assert 'property="og:title" content="✕ NCTS2 nie działa – Status usług celnych"' in text
    assert 'property="og:description" content="NCTS2 nie działa. Od dziś 07:30 (UTC+1).' in text
    assert "fill='%23b3121d'" in text, "the icon in the tab"


@pytest.mark.parametrize("language", LANGUAGES)
def test_its_first_load_stays_light(language: str) -> None:
    snapshot = snapshots.one_down()
    weight = len(brotli.compress(text_of(snapshot, PATH, language).encode(), quality=5)) + sum(
        len(brotli.compress(pages.assets()[pages.asset(name)][0], quality=5))
        for name in ("site.css", "site.js")
    )
    assert weight <= 20_000, f"{weight} bytes; the graph, loaded when it is scrolled to, has 2,000 more"
