"""The pages as they are seen: contrast of the colours; in Chromium accessibility, width, scripts, news."""

import asyncio
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count

import pytest
import uvicorn
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, Response, expect, sync_playwright
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.responses import Response as Answer
from starlette.routing import Route

from monitors.answer_times import QUARTER, Period, Point, Series
from monitors.graph import Words, svg
from statuspage.incidents.snapshot import PageSnapshot
from statuspage.kernel.web import Guard
from statuspage.site import live, pages, wire
from statuspage.site.assets import DIRECTORY
from tests.statuspage.site.snapshots import HOUSE, NOW, SCENARIOS, gateway_down, one_down
from tests.statuspage.site.test_pages import LANGUAGES

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SCHEMES = ("light", "dark")
_later = count(100)  # the seq of news must grow from test to test
CSS = (DIRECTORY / "site.css").read_text(encoding="utf-8")

# --- colours, computed from the tokens ---


def tokens(scheme: str) -> dict[str, str]:
    """The custom properties of a colour scheme; dark ones overlay the light ones."""
    blocks = re.findall(r":root \{(.*?)\}", CSS, re.DOTALL)
    found = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{3,6})", blocks[0]))
    if scheme == "dark":
        found |= dict(re.findall(r"--([\w-]+): (#[0-9a-f]{3,6})", blocks[1]))
    return found


def linear(colour: str) -> tuple[float, float, float]:
    """Linear-light red, green, blue of `#rgb` or `#rrggbb` (WCAG 2.1, relative luminance)."""
    digits = colour[1:] if len(colour) == 7 else "".join(c * 2 for c in colour[1:])
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return red, green, blue


def luminance(light: tuple[float, float, float]) -> float:
    return 0.2126 * light[0] + 0.7152 * light[1] + 0.0722 * light[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(linear(one)), luminance(linear(other))))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("ground", ["paper", "surface"])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_words_can_be_read_on_every_ground(scheme: str, ground: str) -> None:
    colours = tokens(scheme)
    words = ("ink", "muted", "link", "danger", "ok", "slow", "part", "down", "work", "none")
    for name in words:
        ratio = contrast(colours[name], colours[ground])
        assert ratio >= 4.5, f"--{name} on --{ground}, {scheme}: {ratio:.2f}"


@pytest.mark.parametrize("scheme", SCHEMES)
def test_controls_can_be_seen(scheme: str) -> None:
    colours = tokens(scheme)
    assert contrast(colours["on-button"], colours["button"]) >= 4.5
    assert contrast(colours["on-focus"], colours["focus"]) >= 4.5
    assert contrast(colours["edge"], colours["paper"]) >= 3, "the borders of fields (WCAG 1.4.11)"
    # The focus ring is two-coloured: one of both stands out on any ground.
    assert max(contrast(colours[name], colours["paper"]) for name in ("focus", "on-focus")) >= 3


# Machado, Oliveira, Fernandes 2009: severity 1.0, on linear light.
BLINDNESS = {
    "protanopia": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritanopia": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}


def lab(light: tuple[float, ...]) -> tuple[float, float, float]:
    """CIE L*a*b* (D65) of linear light."""
    red, green, blue = (min(1.0, max(0.0, part)) for part in light)
    x = (0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.9505
    y = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    z = (0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.089
    fx, fy, fz = (t ** (1 / 3) if t > 0.008856 else 7.787 * t + 16 / 116 for t in (x, y, z))
    return 116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("blindness", BLINDNESS)
def test_down_is_told_from_working_without_seeing_all_colours(blindness: str, scheme: str) -> None:
    colours = tokens(scheme)

    def seen(name: str) -> tuple[float, float, float]:
        light = linear(colours[name])
        return lab(tuple(sum(f * p for f, p in zip(row, light, strict=True)) for row in BLINDNESS[blindness]))

    for trouble in ("down", "part", "work"):
        distance = sum((a - b) ** 2 for a, b in zip(seen("ok"), seen(trouble), strict=True)) ** 0.5
        assert distance >= 10, f"ok and {trouble} look alike: {distance:.1f}"


# --- in Chromium ---

LOOKED_AT = [
    *((scenario, "/") for scenario in ("all green", "gateway down", "planned", "never measured")),
    ("archive", "/history"),
    ("one down", "/services/NCTS2"),
    ("gateway down", f"/incidents/{gateway_down().incidents[0].id}"),
]


def graph_of_a_day() -> bytes:
    """What the monitors' room answers for the picture on a service's page."""
    begins_at = NOW - Period.DAY.length
    points = tuple(
        Point(begins_at + i * QUARTER, QUARTER, 40.0 + i % 7, 90.0 + i % 5, 200.0, 30, 0) for i in range(96)
    )
    whole = Point(begins_at, Period.DAY.length, 43.0, 93.0, 200.0, 96 * 30, 0)
    words = Words("NCTS2", "NCTS2", "")
    return svg(Series(Period.DAY, begins_at, NOW, points, whole), words, "pl", HOUSE.settings.zone)


GRAPH = graph_of_a_day()


class Site:
    """The pages, their files and the live feed on loopback; `/{scene}` in a cookie-free, real server."""

    def __init__(self) -> None:
        self.scenes: dict[str, PageSnapshot] = {name: make() for name, make in SCENARIOS.items()}
        self.scene = "all green"
        self.live = live.Live(HOUSE.settings)
        self._assets = pages.assets()
        routes = [*live.routes(self.live), Route("/{path:path}", self._answer)]
        app = Guard(Starlette(routes=routes), "http://127.0.0.1")
        config = uvicorn.Config(app, port=0, lifespan="off", log_level="error", **wire.server_options())
        self._server = uvicorn.Server(config)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._server.serve(),))
        self._thread.start()
        eventually(lambda: self._server.started)
        self.url = f"http://127.0.0.1:{self._server.servers[0].sockets[0].getsockname()[1]}"
        self.show("all green")

    def _answer(self, request: Request) -> Answer:
        path = request.url.path
        if path in self._assets:
            content, content_type = self._assets[path]
            return Answer(content, media_type=content_type)
        if path.endswith("/latency/24h.svg"):
            return Answer(GRAPH, media_type="image/svg+xml")
        language, _, rest = path[1:].partition("/")
        text = pages.render(self.scenes[self.scene], f"/{rest}", language, HOUSE, now=NOW)
        return Answer(status_code=404) if text is None else HTMLResponse(text)

    def show(self, scene: str) -> None:
        """From now on every page is of this scene. Nobody is told."""
        self.scene = scene
        snapshot = self.scenes[scene]
        self._loop.call_soon_threadsafe(self.live.publish, [], live.snapshot_message(snapshot, "pl"))

    def tell(self, scene: str) -> None:
        """The scene changes, and who listens is told."""
        self.scene = scene
        snapshot = self.scenes[scene]
        message = live.event_message(snapshot.seq, "component.updated", {})
        told = [(snapshot.seq, message)]
        self._loop.call_soon_threadsafe(self.live.publish, told, live.snapshot_message(snapshot, "pl"))

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self.live.close)
        self._server.should_exit = True
        self._thread.join(20)
        self._loop.close()


def eventually(holds: Callable[[], bool], *, within_s: float = 15.0) -> None:
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    running = Site()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@contextmanager
def opened(browser: Browser, **options: object) -> Iterator[tuple[BrowserContext, list[str]]]:
    """A fresh browser context and what its pages complain of."""
    context = browser.new_context(**options)  # type: ignore[arg-type]
    complaints: list[str] = []
    context.on("console", lambda m: complaints.append(m.text) if m.type in ("error", "warning") else None)
    context.on("weberror", lambda e: complaints.append(str(e.error)))
    try:
        yield context, complaints
    finally:
        context.close()


def wide(page: Page) -> int:
    """By how many pixels the page is wider than the window."""
    found: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return found


@pytest.mark.browser
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_stands_in_anybodys_way(site: Site, browser: Browser, language: str, scheme: str) -> None:
    """axe finds no violation, the console stays empty, and nothing is cut off on the smallest phone."""
    axe = Axe()
    with opened(browser, color_scheme=scheme, viewport={"width": 360, "height": 740}) as (
        context,
        complaints,
    ):
        page = context.new_page()
        for scenario, path in LOOKED_AT:
            site.show(scenario)
            page.goto(f"{site.url}/{language}{path}")
            page.evaluate(
                "document.querySelectorAll('details').forEach((details) => { details.open = true; })"
            )
            results = axe.run(page)
            assert results.violations_count == 0, f"{scenario} {path}: {results.generate_report()}"
            assert wide(page) == 0, f"{scenario} {path} scrolls sideways"
        assert complaints == []


@pytest.mark.browser
@pytest.mark.parametrize("width", [720, 1024, 1440])
def test_text_twice_as_large_still_fits(site: Site, browser: Browser, width: int) -> None:
    """For those who have set the browser's own text size to 200 %."""
    site.show("gateway down")
    large = browser.browser_type.launch(
        executable_path=CHROMIUM, args=[*FLAGS, "--blink-settings=defaultFontSize=32"]
    )
    with opened(large, viewport={"width": width, "height": 900}) as (context, _):
        page = context.new_page()
        for language, path in (("pl", "/"), ("en", "/services/PUESC")):
            page.goto(f"{site.url}/{language}{path}")
            assert page.evaluate("parseFloat(getComputedStyle(document.body).fontSize)") >= 34
            assert wide(page) == 0
    large.close()


@pytest.mark.browser
def test_the_narrowest_window_is_not_scrolled_sideways(site: Site, browser: Browser) -> None:
    """320 pixels: what is left of 1280 at 400 % (WCAG 1.4.10)."""
    with opened(browser, viewport={"width": 320, "height": 740}) as (context, _):
        page = context.new_page()
        for scenario, path in LOOKED_AT:
            site.show(scenario)
            for language in ("pl", "en"):
                page.goto(f"{site.url}/{language}{path}")
                assert wide(page) == 0, f"{scenario} {path} scrolls sideways"


@pytest.mark.browser
def test_paper_has_no_buttons(site: Site, browser: Browser) -> None:
    site.show("gateway down")
    with opened(browser, viewport={"width": 800, "height": 1100}) as (context, _):
        page = context.new_page()
        page.emulate_media(media="print")
        for path in ("/", "/services/PUESC", "/history"):
            page.goto(f"{site.url}/pl{path}")
            for useless in (
                ".site-header nav",
                ".language",
                "button",
                ".button",
                ".button-secondary",
                "input",
            ):
                assert page.locator(useless).filter(visible=True).count() == 0, f"{path}: {useless}"
            assert page.locator("h1").is_visible()


@pytest.mark.browser
def test_everything_can_be_touched(site: Site, browser: Browser) -> None:
    """Targets apart from running text are at least 44 pixels high."""
    site.show("gateway down")
    with opened(browser, viewport={"width": 360, "height": 740}, has_touch=True) as (context, _):
        page = context.new_page()
        page.goto(f"{site.url}/pl/")
        small = page.evaluate(
            """() => [...document.querySelectorAll(
                    'header a, .who a, .plain a, .star, input, .button, .more')]
                .filter((e) => e.getClientRects().length && e.getBoundingClientRect().height < 44)
                .map((e) => e.outerHTML)"""
        )
        assert small == []


@pytest.mark.browser
def test_the_front_page_costs_three_requests_and_does_not_jump(site: Site, browser: Browser) -> None:
    site.show("gateway down")
    with opened(browser, viewport={"width": 360, "height": 740}) as (context, _):
        page = context.new_page()
        answers: list[Response] = []
        page.on("response", lambda answer: answers.append(answer))
        page.goto(f"{site.url}/pl/", wait_until="load")
        assert len(answers) <= 3, [answer.url for answer in answers]
        page.evaluate("localStorage.setItem('my-services', '[\"NCTS2\", \"AES\"]')")
        page.reload()
        expect(page.locator("#mine li")).to_have_count(2)
        shift = page.evaluate(
            """() => new Promise((done) => {
                let sum = 0;
                new PerformanceObserver((list) => list.getEntries().forEach((e) => { sum += e.value; }))
                    .observe({ type: 'layout-shift', buffered: true });
                requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(() => done(sum), 50)));
            })"""
        )
        assert shift == 0


@pytest.mark.browser
@pytest.mark.parametrize("language", LANGUAGES)
def test_it_works_without_javascript(site: Site, browser: Browser, language: str) -> None:
    site.show("one down")
    incident = one_down().incidents[0]
    with opened(browser, java_script_enabled=False) as (context, complaints):
        page = context.new_page()
        page.goto(f"{site.url}/{language}/")
        expect(page.locator("#mine, .filter").first).to_be_hidden()
        expect(page.locator(".star, .copy")).to_have_count(0)
        page.locator("#services a", has_text="NCTS2").click()
        expect(page.locator("#outages tbody tr")).to_have_count(1)
        page.locator("#days summary").click()
        expect(page.locator("#days tbody tr").last).to_be_visible()
        page.locator("article a").first.click()
        assert page.url.endswith(f"/{language}/incidents/{incident.id}")
        page.locator("#edits summary").click()
        expect(page.locator("#edits dd")).to_be_visible()
        page.locator(".language").click()
        other = "en" if language == "pl" else "pl"
        assert page.url.endswith(f"/{other}/incidents/{incident.id}")
        assert complaints == []


@pytest.mark.browser
def test_the_bar_leads_by_keyboard_to_the_line_of_the_table(site: Site, browser: Browser) -> None:
    site.show("one down")
    with opened(browser) as (context, complaints):
        page = context.new_page()
        page.goto(f"{site.url}/pl/services/NCTS2")
        link = page.locator(".big-bar a")
        for _ in range(40):
            page.keyboard.press("Tab")
            if link.evaluate("link => link === document.activeElement"):
                break
        expect(link).to_be_focused()
        assert link.locator("rect").evaluate("rect => getComputedStyle(rect).stroke") != "none", (
            "it can be seen"
        )
        page.keyboard.press("Enter")
        expect(page.locator("#days tbody tr").first).to_be_visible()
        expect(page.locator("tr:target th")).to_have_text("dziś")
        assert complaints == []


@pytest.mark.browser
def test_my_services_are_kept_in_the_browser(site: Site, browser: Browser) -> None:
    site.show("all green")
    with opened(browser) as (context, complaints):
        page = context.new_page()
        page.goto(f"{site.url}/pl/")
        expect(page.locator("#mine")).to_be_hidden()
        star = page.locator("#services [data-code=NCTS2] .star")
        star.focus()
        page.keyboard.press("Enter")
        expect(page.locator("#mine li")).to_have_count(1)
        expect(star).to_be_focused()
        expect(star).to_have_attribute("aria-pressed", "true")
        assert context.cookies() == []
        page.reload()
        page.locator("#mine .star").click()
        expect(page.locator("#mine")).to_be_hidden()
        assert complaints == []


@pytest.mark.browser
def test_a_service_is_found_by_typing(site: Site, browser: Browser) -> None:
    site.show("all green")
    with opened(browser) as (context, _):
        page = context.new_page()
        page.goto(f"{site.url}/pl/")
        field = page.get_by_label("Znajdź usługę")
        field.fill("ncts")
        expect(page.locator("#services li:visible")).to_have_count(1)
        field.fill("nic takiego")
        expect(page.locator("#no-match")).to_be_visible()
        field.fill("")
        expect(page.locator("#services li:visible")).to_have_count(12)


@pytest.mark.browser
@pytest.mark.parametrize("transport", ["WebSocket", "EventSource"])
def test_news_arrives_without_a_reload(site: Site, browser: Browser, transport: str) -> None:
    """The heading, title and cards change in place; what the reader typed and where the focus is stay."""
    site.show("all green")
    with opened(browser, viewport={"width": 1280, "height": 600}) as (context, complaints):
        page = context.new_page()
        if transport == "EventSource":
            # As behind a proxy that lets no WebSocket through; the waits of the back-off are cut short.
            page.add_init_script(
                """window.WebSocket = class {
                    constructor() { setTimeout(() => this.onerror(), 0); } close() {} };
                Math.random = () => 0; const later = window.setTimeout;
                window.setTimeout = (run, ms, ...rest) => later(run, Math.min(ms, 20), ...rest);"""
            )
        page.goto(f"{site.url}/pl/")
        eventually(lambda: len(site.live) == 1)
        page.evaluate("window.untouched = true")
        page.locator("#filter").fill("pue")
        site.scenes["news"] = replace(gateway_down(), seq=next(_later))
        site.tell("news")
        expect(page.locator("h1")).to_have_text("PUESC: 1 z 12 usług nie działa od dziś 07:30 (UTC+1)")
        expect(page).to_have_title("✕ PUESC: 1 usługa nie działa – Status usług celnych")
        expect(page.locator("#news")).to_have_text("PUESC: 1 z 12 usług nie działa od dziś 07:30 (UTC+1)")
        expect(page.locator("#filter")).to_have_value("pue")
        expect(page.locator("#filter")).to_be_focused()
        expect(page.locator("#services li:visible")).to_have_count(1)
        assert page.evaluate("window.untouched") is True
        assert complaints == []
    eventually(lambda: len(site.live) == 0)
