"""The public pages without a browser: structure, words in both languages, escaping, weight."""

import random
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from html import unescape
from itertools import pairwise

import brotli
import pytest
from lxml import etree, html

from statuspage.incidents.rules import ServiceStatus
from statuspage.incidents.snapshot import IntervalView, PageSnapshot, ServiceView, Text
from statuspage.kernel.config import Page, Settings
from statuspage.kernel.house import House
from statuspage.site import charts, pages
from tests.statuspage.site import snapshots
from tests.statuspage.site.snapshots import HOUSE, NOW, SCENARIOS

LANGUAGES = ("pl", "en")


def paths(snapshot: PageSnapshot) -> Iterator[str]:
    yield from ("/", "/history", "/services/NCTS2", "/services/PUESC")
    yield from (f"/incidents/{notice.id}" for notice in (*snapshot.incidents[:2], *snapshot.maintenances))


EVERY_PAGE = [(name, path) for name, make in SCENARIOS.items() for path in paths(make())]


def text_of(snapshot: PageSnapshot, path: str = "/", language: str = "en", house: House = HOUSE) -> str:
    found = pages.render(snapshot, path, language, house, now=NOW)
    assert found is not None, f"there is no {path}"
    return found


def tree_of(snapshot: PageSnapshot, path: str = "/", language: str = "en") -> html.HtmlElement:
    return parsed(text_of(snapshot, path, language))


def parsed(text: str) -> html.HtmlElement:
    return html.document_fromstring(text)


def said(element: html.HtmlElement) -> str:
    return " ".join(" ".join(map(str, element.itertext())).split())


def heading(snapshot: PageSnapshot, path: str = "/", language: str = "en") -> str:
    return said(tree_of(snapshot, path, language).xpath("//h1")[0])


def with_services(snapshot: PageSnapshot, **changes: object) -> PageSnapshot:
    groups = tuple(
        replace(group, services=tuple(replace(view, **changes) for view in group.services))  # type: ignore[arg-type]
        for group in snapshot.groups
    )
    return replace(snapshot, groups=groups)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(("scenario", "path"), EVERY_PAGE)
def test_a_page_is_well_formed(scenario: str, path: str, language: str) -> None:
    text = text_of(SCENARIOS[scenario](), path, language)
    parser = etree.HTMLParser(recover=True)
    tree = etree.fromstring(text.encode(), parser)
    # It tells of stray and unclosed tags; it is older than <main> and <svg>.
    assert [e.message for e in parser.error_log if not re.fullmatch(r"Tag \w+ invalid", e.message)] == []
    assert tree.get("lang") == language
    ids = [element.get("id") for element in tree.iter() if element.get("id")]
    assert len(ids) == len(set(ids))
    for element in tree.iter():
        for name in ("aria-labelledby", "for"):
            assert element.get(name, ids[0]) in ids
    assert not tree.xpath("//style | //@style | //*[@onclick]"), "the content security policy forbids it"


@pytest.mark.parametrize(("scenario", "path"), EVERY_PAGE)
def test_headings_stand_in_order(scenario: str, path: str) -> None:
    levels = [int(h.tag[1]) for h in tree_of(SCENARIOS[scenario](), path).xpath("//h1|//h2|//h3|//h4|//h5")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


@pytest.mark.parametrize(("scenario", "path"), EVERY_PAGE)
def test_both_languages_say_the_same(scenario: str, path: str) -> None:
    polish, english = (tree_of(SCENARIOS[scenario](), path, language) for language in LANGUAGES)
    # What people wrote in an update may differ in form; everything else is equal element by element.
    shapes = []
    for tree in (polish, english):
        for prose in tree.xpath("//div[@class='text']"):
            prose.clear()
        shapes.append([(element.tag, element.get("class")) for element in tree.iter()])
    assert shapes[0] == shapes[1]
    links = [
        [re.sub(r"^/(pl|en)/|lang=(pl|en)", "", href) for href in tree.xpath("//main//a/@href")]
        for tree in (polish, english)
    ]
    assert links[0] == links[1]


def test_the_first_sentence_when_all_works() -> None:
    assert heading(snapshots.all_green(), language="pl") == "Wszystkie usługi działają"
    assert heading(snapshots.all_green()) == "All services work"
    assert "<title>✓ All services work – Customs services status</title>" in text_of(snapshots.all_green())


def test_the_first_sentence_when_one_is_down() -> None:
    snapshot = snapshots.one_down()
    assert heading(snapshot, language="pl") == "NCTS2: 1 z 12 usług nie działa od dziś 07:30 (UTC+1)"
    assert heading(snapshot) == "NCTS2: 1 of 12 services has been down since today 07:30 (UTC+1)"
    assert "<title>✕ NCTS2: 1 usługa nie działa – Status usług celnych</title>" in text_of(
        snapshot, language="pl"
    )


def test_a_gateway_fault_counts_what_fails_apart_from_what_suffers() -> None:
    page = tree_of(snapshots.gateway_down(), language="pl")
    assert said(page.xpath("//h1")[0]).startswith("PUESC: 1 z 12 usług nie działa")
    assert "Kolejnych 9 działa wolno lub z ograniczeniami. Pozostałe 2 usługi działają." in said(page)
    cards = page.xpath("//article")
    assert len(cards) == 1
    assert "Z powodu PUESC utrudnienia mają też" in said(cards[0])
    assert len(cards[0].xpath(".//a[contains(@href, '/services/')]")) == 10


def test_an_open_incident_tells_what_one_needs_to_know() -> None:
    card = said(tree_of(snapshots.one_down()).xpath("//article")[0])
    for fact in ("NCTS2 does not work", "Began today 07:30 (UTC+1)", "Detected today 07:30 (UTC+1)"):
        assert fact in card
    assert "We speak again by today 11:00 (UTC+1)" in card
    assert "The database is at fault." in card, "the newest update, not the first"


def test_what_was_never_measured_is_not_said_to_work() -> None:
    page = tree_of(snapshots.never_measured())
    assert heading(snapshots.never_measured()) == "No service has been measured yet"
    assert not page.xpath("//*[@id='services']//*[contains(@class, 'ok')]")
    assert all(row.xpath(".//path[@class='none']") for row in page.xpath("//li[@data-code]"))


def test_a_service_that_is_not_measured_now_keeps_its_state_and_says_so() -> None:
    snapshot = snapshots.all_green()
    lost = with_services(snapshot, unmeasured_since=NOW - timedelta(minutes=5))
    assert heading(lost) == "All services worked when they were last measured"
    assert "We cannot measure 12 services now; their last known state is shown." in said(tree_of(lost))
    row = said(tree_of(lost).xpath("//li[@data-code='NCTS2']")[0])
    assert "works" in row
    assert "not measured since today 10:25 (UTC+1)" in row


def test_planned_work_stands_apart_from_work_under_way() -> None:
    page = tree_of(snapshots.planned())
    under_way = page.xpath("//section[@id='now']//h2")
    assert [said(h) for h in under_way] == ["Planned work on AIS and AES"]
    assert "From tomorrow 10:30 (UTC+1)" in said(page.xpath("//section[@id='planned']")[0])


def test_an_empty_page_says_what_it_means() -> None:
    empty = replace(snapshots.all_green(), groups=())
    assert heading(empty) == "No services are listed here yet"
    assert "Nothing has happened yet." in text_of(empty, "/history")


def test_there_is_no_page_for_what_is_not_there() -> None:
    snapshot = snapshots.one_down()
    for path in (
        "/incidents/nothing",
        "/services/NOTHING",
        "/nothing",
        "/incidents",
        "/services/",
        "/history/",
    ):
        assert pages.render(snapshot, path, "pl", HOUSE, now=NOW) is None


def test_a_correction_stays_visible_in_the_readers_language() -> None:
    snapshot = snapshots.one_down()
    path = f"/incidents/{snapshot.incidents[0].id}"
    assert "Winna jest sieć." in text_of(snapshot, path, "pl")
    english = text_of(snapshot, path, "en")
    assert "The network." in english
    assert "Winna jest sieć." not in english


def test_the_archive_goes_by_month() -> None:
    page = tree_of(snapshots.archive(), "/history", "pl")
    assert [said(h) for h in page.xpath("//main/section/h2")] == [
        "Listopad 2026",
        "Październik 2026",
        "Wrzesień 2026",
    ]
    assert len(page.xpath("//ul[@class='archive']/li")) == 20
    assert "wczoraj 10:30–12:30 (UTC+1), 2 godziny" in said(page)


def test_cancelled_work_is_archived_with_its_plan() -> None:
    off = next(n for n in snapshots.planned().maintenances if n.status == "cancelled")
    called_off = replace(off, resolved_at=off.began_at - timedelta(days=2), ended_at=None)
    entry = said(tree_of(replace(snapshots.all_green(), maintenances=(called_off,)), "/history"))
    assert "12 November, 10:30–14:30 (UTC+1), cancelled" in entry


def test_the_uptime_names_its_accounting() -> None:
    snapshot = snapshots.one_down()
    assert "planned work that was announced too late. Other planned work and slowness do not" in text_of(
        snapshot, "/services/NCTS2"
    )
    counting = replace(HOUSE, settings=Settings(page=Page(uptime_counts_maintenance=True)))
    assert "and so does planned work" in text_of(snapshot, "/services/NCTS2", house=counting)


def test_a_service_page_lists_what_was_measured() -> None:
    page = tree_of(snapshots.one_down(), "/services/NCTS2")
    rows = [said(row) for row in page.xpath("//table[@id='outages']/tbody/tr")]
    assert rows == ["✕ does not work today 07:30 (UTC+1) still going on – HTTP error 503 NCTS2 does not work"]
    gap = IntervalView(
        "unknown", "", NOW - timedelta(hours=2), NOW - timedelta(hours=2), NOW - timedelta(hours=1)
    )
    page = tree_of(with_services(snapshots.all_green(), intervals=(gap,)), "/services/AES")
    assert "not measured" in said(page.xpath("//table[@id='outages']/tbody/tr")[0])
    assert "1 hour" in said(page.xpath("//table[@id='outages']/tbody/tr")[0])


def test_what_people_write_cannot_run() -> None:
    """Abuse case 9."""
    evil = "<script>alert(1)</script> [x](javascript:alert(1)) <img src=x onerror=alert(1)> ![i](https://e.example/i)"
    snapshot = snapshots.one_down()
    incident = snapshot.incidents[0]
    update = replace(incident.updates[0], text=Text(evil, evil))
    snapshot = replace(
        snapshot,
        incidents=(replace(incident, name=Text(evil, evil), updates=(update, *incident.updates[1:])),),
    )
    snapshot = with_services(snapshot, name=Text(evil, evil), description=Text(evil, evil))
    for path in ("/", "/history", "/services/NCTS2", f"/incidents/{incident.id}"):
        page = tree_of(snapshot, path)
        assert page.xpath("//script/@src") == [pages.asset("site.js")], "no script but our own"
        assert page.xpath("//img/@class") in ([], ["graph"]), "no picture but our own graph"
        assert not page.xpath("//a[starts-with(@href, 'javascript')]")
        assert not [name for element in page.iter() for name in element.attrib if str(name).startswith("on")]


def test_a_percent_sign_in_a_name_does_no_harm() -> None:
    page = with_services(snapshots.gateway_down(), name=Text("100 % (%s)", "100 % (%s)"))
    assert "100 % (%s)" in unescape(text_of(page))
    assert "100 % (%s)" in unescape(text_of(page, "/services/NCTS2"))


@pytest.mark.parametrize(
    ("share", "polish", "english"),
    [
        (1.0, "100\N{NO-BREAK SPACE}%", "100%"),
        (0.99999, "99,99\N{NO-BREAK SPACE}%", "99.99%"),
        (0.9986, "99,86\N{NO-BREAK SPACE}%", "99.86%"),
        (0.0, "0,00\N{NO-BREAK SPACE}%", "0.00%"),
        (None, "", ""),
    ],
)
def test_a_share_is_never_rounded_up(share: float | None, polish: str, english: str) -> None:
    assert charts.percent(share, "pl") == polish
    assert charts.percent(share, "en") == english


def test_the_bar_merges_equal_days_and_hatches_gaps() -> None:
    days = [snapshots.day(NOW.date(), None)] * 3 + [snapshots.day(NOW.date())] * 87
    drawn = html.fragment_fromstring(charts.bar(days, "label"))
    paths = {path.get("class"): path for path in drawn.xpath(".//path")}
    assert paths["none"].get("fill") == "url(#hatch)"
    assert paths["ok"].get("d") == "M12 24v-10h348v10z"


def test_the_bar_is_told_in_words() -> None:
    down = snapshots.day(NOW.date(), ServiceStatus.MAJOR_OUTAGE, down_s=60)
    days = [snapshots.day(NOW.date(), None)] * 2 + [snapshots.day(NOW.date())] * 87 + [down]
    told = charts.describe(days, 0.9998, HOUSE.catalogues, "pl")
    assert told == (
        "ostatnie 90 dni: dostępność 99,98\N{NO-BREAK SPACE}% czasu, awaria w 1 dniu, brak pomiaru w 2 dniach"
    )


def test_pages_name_their_files_by_content() -> None:
    files = pages.assets()
    assert {pages.asset("site.css"), pages.asset("site.js")} <= set(files)
    assert re.fullmatch(r"/static/site\.[0-9a-f]{12}\.css", pages.asset("site.css"))
    content, content_type = files[pages.asset("site.css")]
    assert content_type == "text/css; charset=utf-8"
    assert b"--paper" in content


def large(count: int = 200) -> PageSnapshot:
    """Many services, each with ninety days of its own."""
    chance = random.Random(7)
    statuses = [*ServiceStatus, None]
    weights = [940, 15, 15, 10, 10, 10]

    def one(number: int) -> ServiceView:
        status = chance.choices(list(ServiceStatus), [90, 2, 3, 3, 2])[0]
        view = snapshots.service(f"SYSTEM{number}", "common", number, status)
        days = tuple(
            snapshots.day(day.day, drawn)
            for day, drawn in zip(view.days, chance.choices(statuses, weights, k=90), strict=True)
        )
        return replace(view, days=days, uptime=chance.uniform(0.99, 1))

    snapshot = snapshots.gateway_down()
    size = count // len(snapshot.groups) + 1
    groups = tuple(
        replace(group, services=tuple(one(size * index + i) for i in range(size)))
        for index, group in enumerate(snapshot.groups)
    )
    return replace(snapshot, groups=groups)


def test_two_hundred_services_of_ninety_days_stay_light() -> None:
    page = large()
    assert len(page.services) >= 200
    for language in LANGUAGES:
        weight = len(brotli.compress(text_of(page, language=language).encode(), quality=5))
        files = sum(
            len(brotli.compress(pages.assets()[pages.asset(name)][0], quality=5))
            for name in ("site.css", "site.js")
        )
        assert weight + files <= 30_000, f"{weight} + {files} bytes"
