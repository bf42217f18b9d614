"""Readers of the page during an outage, and of its copy behind nginx after the program has died: the same journeys."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urljoin

import feedparser
import httpx
import icalendar
import pytest
from axe_playwright_python.sync_playwright import Axe
from lxml import etree
from playwright.sync_api import Browser, Locator, Page, Request, ViewportSize, expect
from starlette.applications import Starlette
from starlette.requests import Request as StarletteRequest
from starlette.responses import HTMLResponse
from starlette.routing import Route

from statuspage.kernel.i18n import LANGUAGES
from tests.journeys.demo_process import Demo, until
from tests.nginx import serving_copy
from tests.statuspage.site.test_widget import served as served_app

PHONE = ViewportSize(width=390, height=844)
MESSAGES = {"pl": "Komunikaty już wysłane", "en": "Messages already sent"}
RESEND = {"pl": "Trzeba wysłać je ponownie", "en": "They must be sent again"}
PAPER = {"pl": "Papier jest dozwolony", "en": "Paper is allowed"}
HEADLINE = {"pl": "NCTS2: 1 z 17 usług nie działa", "en": "NCTS2: 1 of 17 services has been down"}
FEEDS = (
    "/history.atom",
    "/history.rss",
    "/news.atom",
    "/services/NCTS2/history.atom",
    "/services/NCTS2/history.rss",
)


@dataclass
class Site:
    """What is read, and what is known of the outage on it."""

    base_url: str
    incident_id: str
    reference: str
    directory: Path | None = None  # of the copy
    faults: list[str] = field(default_factory=list)

    @property
    def is_copy(self) -> bool:
        return self.directory is not None

    def watch(self, page: Page) -> Page:
        """Notes what fails in this page, and what it asks of anybody else; returns it."""
        page.on("console", lambda said: self._note(said.type == "error", said.text))
        page.on("pageerror", lambda error: self._note(True, str(error)))
        page.on("response", lambda got: self._note(got.status >= 400, f"{got.status} {got.url}"))
        page.on("request", lambda asked: self._note(not self._is_ours(asked.url), f"elsewhere: {asked.url}"))
        page.on("websocket", lambda feed: self._note(self.is_copy, f"nobody is there: {feed.url}"))
        page.on("requestfailed", self._note_failed)
        return page

    def _is_ours(self, url: str) -> bool:
        return url.startswith((f"{self.base_url}/", "data:"))

    def _note(self, is_fault: bool, what: str) -> None:
        if is_fault:
            self.faults.append(what)

    def _note_failed(self, asked: Request) -> None:
        """A reader who goes on before all pictures have come aborts their requests: no fault."""
        self._note(asked.failure != "net::ERR_ABORTED", f"{asked.failure} {asked.url}")


def declare_outage(demo: Demo) -> tuple[str, str]:
    """NCTS2 fails; messages have to be sent again, paper is permitted. Returns the incident's id and the reference."""
    demo.break_service("NCTS2")
    (incident,) = until("the incident", demo.unresolved)
    known = [str(incident["id"]), "--config", demo.config_file]
    demo.command(
        *("incident", "update", *known, "--status", "identified"),
        *(
            "--text-pl",
            "Serwer bazy danych nie odpowiada.",
            "--text-en",
            "The database server does not answer.",
        ),
    )
    demo.command(
        *("incident", "messages", *known, "--handling", "resend", "--from", incident["started_at"]),
        *("--text-pl", "Nie dotarły do nas.", "--text-en", "They did not reach us."),
    )
    reference = demo.command(
        *("incident", "paper", *known, "--service", "NCTS2"),
        *("--instructions-pl", "Wpisz numer w polu 44.", "--instructions-en", "Write the number in box 44."),
    ).strip()
    demo.command("incident", "correct", *known, "--began-at", "2026-01-02T06:10+01:00")
    return str(incident["id"]), reference


@pytest.fixture(scope="module")
def outage(demo: Demo) -> tuple[str, str]:
    return declare_outage(demo)


@pytest.fixture(scope="module", params=["live", "copy"])
def served(
    request: pytest.FixtureRequest,
    demo: Demo,
    outage: tuple[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Site]:
    """The live one comes first: the copy's nginx takes the place of the dead demo, at its address."""
    site = Site(demo.base_url, *outage)
    if request.param == "live":
        until(
            "the declarations on the page", lambda: site.reference in httpx.get(f"{site.base_url}/pl/").text
        )
        yield site
        return
    directory = tmp_path_factory.mktemp("copy")
    site.directory = directory / "site"
    demo.command("publish", str(site.directory), "--data", str(demo.data_dir))
    demo.stop()
    assert demo.process is not None
    assert demo.process.poll() is not None
    with serving_copy(site.directory, directory, port=int(site.base_url.rpartition(":")[2])) as url:
        assert url == site.base_url
        yield site


@pytest.fixture
def site(served: Site) -> Iterator[Site]:
    """Nothing failed that a journey did not ask for itself."""
    served.faults.clear()
    yield served
    assert served.faults == []


@pytest.fixture(params=["scripts", "no scripts"])
def page(request: pytest.FixtureRequest, browser: Browser, site: Site) -> Iterator[Page]:
    context = browser.new_context(
        base_url=site.base_url,
        viewport=PHONE,
        java_script_enabled=request.param == "scripts",
        permissions=["clipboard-write"],
    )
    yield site.watch(context.new_page())
    context.close()


@pytest.fixture
def scripted(browser: Browser, site: Site) -> Iterator[Page]:
    context = browser.new_context(base_url=site.base_url)
    yield site.watch(context.new_page())
    context.close()


def on_first_screen(place: Locator) -> None:
    expect(place).to_be_visible()
    box = place.bounding_box()
    assert box is not None
    assert box["y"] + box["height"] <= PHONE["height"], f"ends at {box['y'] + box['height']:.0f} px"


@pytest.mark.parametrize("language", LANGUAGES)
def test_at_the_border_the_first_screen_says_what_to_do(site: Site, page: Page, language: str) -> None:
    page.goto(f"/{language}/")
    expect(page.locator("h1")).to_contain_text(HEADLINE[language])
    on_first_screen(page.locator("h1"))
    answers = page.locator("#now dl.answers").first
    expect(answers).to_contain_text(MESSAGES[language])
    expect(answers).to_contain_text(RESEND[language])
    expect(answers).to_contain_text(PAPER[language])
    on_first_screen(answers.get_by_text(site.reference, exact=True))
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    link = page.locator("#now h2 a")
    on_first_screen(link)
    link.click()
    expect(page).to_have_url(f"{site.base_url}/{language}/incidents/{site.incident_id}")


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_permalink_keeps_all_that_was_said_and_what_was_put_right(
    site: Site, page: Page, language: str
) -> None:
    page.goto(f"/{language}/incidents/{site.incident_id}")
    expect(page.locator("dl.answers")).to_contain_text(PAPER[language])
    posts = page.locator("ol.timeline > li")
    said = {"pl": "Serwer bazy danych nie odpowiada", "en": "The database server does not answer"}
    expect(posts.filter(has_text=said[language])).to_have_count(1)
    assert posts.count() >= 3
    instructions = {"pl": "Wpisz numer w polu 44", "en": "Write the number in box 44"}
    expect(page.locator(".declaration")).to_contain_text(instructions[language])
    edits = page.locator("#edits")
    expect(edits.locator("dd")).to_be_hidden()
    edits.locator("summary").click()
    expect(edits.locator("dd")).to_be_visible()
    other = "en" if language == "pl" else "pl"
    page.locator("a.language").click()
    expect(page).to_have_url(f"{site.base_url}/{other}/incidents/{site.incident_id}")
    expect(page.locator("html")).to_have_attribute("lang", other)
    expect(page.locator("ol.timeline")).to_contain_text(said[other])


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_services_page_tells_its_ninety_days_in_figures(site: Site, page: Page, language: str) -> None:
    page.goto(f"/{language}/")
    page.locator("#services [data-code=NCTS2] .who a").click()
    expect(page).to_have_url(f"{site.base_url}/{language}/services/NCTS2")
    page.locator("#days summary").click()
    days = page.locator("#days tbody tr")
    expect(days).to_have_count(90)
    expect(days.first).to_be_visible()
    expect(days.first).to_contain_text({"pl": "nie działała", "en": "did not work"}[language])
    expect(page.locator("#outages tbody tr").first).to_be_visible()
    for name, first in (("CSV", "service,"), ("JSON", "{")):
        link = (
            page.locator("section:has(#outages-heading)").get_by_role("link", name=name).get_attribute("href")
        )
        answer = httpx.get(urljoin(site.base_url, str(link)))
        assert answer.status_code == 200
        assert answer.text.startswith(first)
        assert site.incident_id in answer.text
    graph = page.locator("img.graph")
    graph.scroll_into_view_if_needed()
    until("the graph", lambda: graph.evaluate("image => image.naturalWidth") > 0 or None)
    page.locator("section:has(img.graph) a.more").click()
    expect(page).to_have_url(f"{site.base_url}/{language}/services/NCTS2/latency")
    expect(page.locator("main table tbody tr").first).to_be_attached()
    page.locator("main nav a").last.click()
    expect(page).to_have_url(f"{site.base_url}/{language}/services/NCTS2/latency/90d")


@pytest.mark.parametrize("language", LANGUAGES)
def test_everything_else_is_found_by_following_links(site: Site, page: Page, language: str) -> None:
    page.goto(f"/{language}/")
    page.locator(f"header a[href='/{language}/history']").click()
    expect(page.locator("main")).to_contain_text("NCTS2")
    page.locator("main section h2 a").last.click()
    expect(page).to_have_url(f"{site.base_url}/{language}/history/{page.url.rpartition('/')[2]}")
    expect(page.locator("ul.archive li").first).to_be_visible()
    page.locator("ul.archive a").first.click()
    expect(page.locator("ol.timeline li").first).to_be_visible()
    for room, proof in (
        ("news", ".news-entry a"),
        ("maintenance", "table.calendar tbody tr"),
        ("contact", "a[href^='tel:']"),
        ("accessibility", "#a11y-deklaracja"),
        ("privacy", "main h1"),
    ):
        page.locator(f"footer a[href='/{language}/{room}']").click()
        expect(page).to_have_url(f"{site.base_url}/{language}/{room}")
        expect(page.locator(proof).first).to_be_visible()
    page.goto(f"/{language}/maintenance")
    page.locator("table.calendar th a").first.click()
    expect(page.locator("dl.facts").first).to_be_visible()


@pytest.mark.parametrize("language", LANGUAGES)
def test_news_has_its_picture(page: Page, language: str) -> None:
    page.goto(f"/{language}/news")
    title = {"pl": "Dlaczego prace planowe zaczynamy", "en": "Why planned work begins"}[language]
    page.get_by_role("link", name=title).click()
    picture = page.locator("p.picture img")
    picture.scroll_into_view_if_needed()
    until("the picture", lambda: picture.evaluate("image => image.naturalWidth") > 100 or None)
    assert str(picture.get_attribute("alt")).startswith(
        {"pl": "Wykres słupkowy", "en": "Bar chart"}[language]
    )


def test_every_page_is_for_everybody(site: Site, scripted: Page) -> None:
    paths = ("/", "/history", f"/incidents/{site.incident_id}", "/services/NCTS2", "/services/NCTS2/latency")
    around = ("/news", "/maintenance", "/contact", "/accessibility", "/privacy")
    for language in LANGUAGES:
        for path in (*paths, *around):
            scripted.goto(f"/{language}{path}")
            found = Axe().run(scripted)
            assert found.violations_count == 0, f"{scripted.url}\n{found.generate_report()}"


@pytest.mark.parametrize("language", LANGUAGES)
def test_feeds_and_calendars_are_linked_and_read_in_the_readers_language(
    site: Site, scripted: Page, language: str
) -> None:
    linked = set()
    for path in ("/", "/news", "/services/NCTS2", "/history"):
        scripted.goto(f"/{language}{path}")
        links = scripted.locator("link[rel=alternate][type], main a")
        linked |= set(links.evaluate_all("links => links.map(link => link.getAttribute('href'))"))
    for path in FEEDS:
        assert f"{path}?lang={language}" in linked
        feed = feedparser.parse(httpx.get(f"{site.base_url}{path}?lang={language}").content)
        assert not feed.bozo, (path, feed.bozo_exception)
        assert feed.feed.language == language
        if "history" in path:
            first = feed.entries[0]
            assert site.incident_id in first.link
            assert {"pl": "NCTS2 nie działa", "en": "NCTS2 does not work"}[language] in first.title
            assert httpx.get(first.link, follow_redirects=True).status_code == 200
    for path in ("/history.ics", "/services/AIS/history.ics"):
        calendar = icalendar.Calendar.from_ical(httpx.get(f"{site.base_url}{path}?lang={language}").content)
        assert [event for event in calendar.walk("VEVENT") if "AIS" in str(event["SUMMARY"])]


def test_crawlers_find_every_page(site: Site) -> None:
    robots = httpx.get(f"{site.base_url}/robots.txt").text
    (address,) = [line.split(": ", 1)[1] for line in robots.splitlines() if line.startswith("Sitemap: ")]
    tree = etree.fromstring(httpx.get(address).content)
    pages = [str(found.text) for found in tree.iter("{http://www.sitemaps.org/schemas/sitemap/0.9}loc")]
    assert f"{site.base_url}/en/incidents/{site.incident_id}" in pages
    with httpx.Client() as client:
        assert [url for url in pages if client.get(url).status_code != 200] == []


def test_another_site_shows_widget_and_badge(site: Site, scripted: Page) -> None:
    """On a page of another origin, which isolates itself and has no right on ours."""

    def embedding(_request: StarletteRequest) -> HTMLResponse:
        return HTMLResponse(
            '<!doctype html><html lang="en"><title>Theirs</title><link rel="icon" href="data:,">'
            f'<img src="{site.base_url}/badge/NCTS2.svg?lang=en" alt="">'
            f'<script src="{site.base_url}/widget.js"></script></html>',
            headers={"Cross-Origin-Embedder-Policy": "require-corp"},
        )

    with served_app(Starlette(routes=[Route("/", embedding)])) as url:
        theirs = url.replace("127.0.0.1", "localhost") + "/"  # another host, not only another port
        scripted.goto(theirs)
        expect(scripted.get_by_role("status")).to_contain_text(HEADLINE["en"])
        until("the badge", lambda: scripted.locator("img").evaluate("image => image.naturalWidth") or None)
    assert site.faults == [f"elsewhere: {theirs}"]
    site.faults.clear()


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_not_there_is_said_in_words(site: Site, page: Page, language: str) -> None:
    answer = page.goto(f"/{language}/incidents/nosuchid")
    assert answer is not None
    assert answer.status == 404
    expect(page.locator("html")).to_have_attribute("lang", language)
    expect(page.locator("h1")).to_have_text(
        {"pl": "Nie ma tu takiej strony", "en": "There is no such page here"}[language]
    )
    page.locator("main a.button").click()
    expect(page.locator("h1")).to_contain_text(HEADLINE[language])
    assert {"404" in fault for fault in site.faults} == {True}
    site.faults.clear()


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_needs_the_program_is_offered_where_there_is_one_and_refused_in_words_elsewhere(
    site: Site, page: Page, language: str
) -> None:
    links = [f"a[href*='/{path}']" for path in (f"{language}/subscribe", f"{language}/desk", "demo/")]
    offers = ", ".join([*links, "form", "code:text('/live')"])
    for path in ("/", "/history", "/contact", "/services/NCTS2", f"/incidents/{site.incident_id}"):
        page.goto(f"/{language}{path}")
        expect(page.locator("#copy")).to_have_count(1 if site.is_copy else 0)
        assert (page.locator(offers).count() == 0) == site.is_copy, path
    answer = page.goto(f"/{language}/subscribe")
    assert answer is not None
    assert answer.status == (503 if site.is_copy else 200)
    if site.is_copy:
        expect(page.locator("h1")).to_contain_text(
            {"pl": "To nie działa w kopii", "en": "This does not work in the copy"}[language]
        )
        expect(page.locator("main")).to_contain_text(
            {"pl": "spróbuj później", "en": "try again later"}[language]
        )
        assert {"503" in fault for fault in site.faults} == {True}
        site.faults.clear()


def test_a_page_that_is_not_renewed_says_so_by_itself(site: Site, browser: Browser) -> None:
    """Its reader lost the network, or the site: the page cannot know which, and says what is true."""
    context = browser.new_context(base_url=site.base_url)
    page = context.new_page()
    page.clock.install()
    page.goto("/en/")
    page.clock.run_for(120_000)
    expect(page.locator("#stale")).to_have_count(0)
    context.set_offline(True)
    page.clock.run_for(330_000)
    expect(page.locator("#stale")).to_be_visible()
    expect(page.locator("#stale")).to_contain_text("This page is out of date")
    context.close()


def test_a_copy_that_nobody_renews_says_so_by_itself(site: Site, scripted: Page) -> None:
    """As files of ten minutes ago are: nothing but the time that they carry is other."""
    if site.directory is None:
        pytest.skip("what is served live is renewed")
    scripted.goto("/en/")
    built = str(scripted.locator("main").get_attribute("data-built"))
    text = (site.directory / "en" / "index.html").read_text(encoding="utf-8")
    old = site.directory / "en" / "old.html"
    old.write_text(
        text.replace(f'data-built="{built}"', f'data-built="{int(built) - 600}"'), encoding="utf-8"
    )
    scripted.goto("/en/old.html")
    expect(scripted.locator("#stale")).to_contain_text("This page is out of date", timeout=20_000)
