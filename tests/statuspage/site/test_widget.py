"""The widget in Chromium, on somebody else's page with a strict content security policy."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
import uvicorn
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Request, expect
from starlette.applications import Starlette
from starlette.requests import Request as Asked
from starlette.responses import HTMLResponse, PlainTextResponse
from starlette.responses import Response as Answer
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from statuspage.kernel.config import Server
from statuspage.site.outputs import Edition, Front
from tests.statuspage.site.snapshots import HOUSE, all_green, gateway_down
from tests.statuspage.site.test_look import SCHEMES, browser, eventually, opened
from tests.statuspage.site.test_pages import LANGUAGES

__all__ = ["browser"]  # the fixture

pytestmark = pytest.mark.browser


@contextmanager
def served(app: ASGIApp) -> Iterator[str]:
    """The address of a real server on loopback."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, lifespan="off", log_level="error"))
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_until_complete, args=(server.serve(),))
    thread.start()
    try:
        eventually(lambda: server.started)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(20)
        loop.close()


async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("nothing", 404)(scope, receive, send)


class Ours:
    """The status page's origin; `show` publishes another state of things."""

    def __init__(self) -> None:
        self.front = Front(nothing, default_language="pl")
        self.url = ""

    def show(self, snapshot: object) -> None:
        settings = replace(HOUSE.settings, server=Server(base_url=self.url))
        self.front.edition = Edition(snapshot, replace(HOUSE, settings=settings))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def ours() -> Iterator[Ours]:
    page = Ours()
    with served(page.front) as url:
        page.url = url
        yield page


@pytest.fixture(scope="module")
def theirs(ours: Ours) -> Iterator[str]:
    """Another origin, whose pages allow our script and nothing else."""

    def embedding(request: Asked) -> Answer:
        asked = request.query_params
        data = " ".join(
            f'data-{name}="{asked[name]}"' for name in ("services", "lang", "target") if name in asked
        )
        script = f'<script src="{ours.url}/widget.js" {data} defer></script>'
        in_head, in_body = (script, "") if asked.get("place") == "head" else ("", script)
        return HTMLResponse(
            f'<!doctype html><html lang="{asked.get("page", "de")}"><head><title>Their page</title>'
            f'<link rel="icon" href="data:,">{in_head}</head><body><main><h1>Their page</h1>'
            f'<div id="place"></div>{in_body}</main></body></html>',
            headers={
                "Content-Security-Policy": f"default-src 'none'; img-src data:; script-src {ours.url}; "
                f"connect-src {ours.url}; require-trusted-types-for 'script'",
                "Cross-Origin-Embedder-Policy": "require-corp",
            },
        )

    with served(Starlette(routes=[Route("/", embedding)])) as url:
        yield url.replace("127.0.0.1", "localhost")  # another host, not only another port


@contextmanager
def embedded(browser: Browser, url: str, **options: object) -> Iterator[Page]:
    with opened(browser, **options) as (context, complaints):
        page = context.new_page()
        page.goto(url)
        yield page
        assert complaints == []


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("language", LANGUAGES)
def test_it_says_what_does_not_work_and_harms_nobody(
    ours: Ours, theirs: str, browser: Browser, language: str, scheme: str
) -> None:
    ours.show(gateway_down())
    with embedded(browser, f"{theirs}/?lang={language}", color_scheme=scheme) as page:
        said = {"pl": "PUESC: 1 z 12 usług nie działa", "en": "PUESC: 1 of 12 services has been down"}
        expect(page.get_by_role("status")).to_contain_text(said[language])
        expect(page.locator("li")).to_have_count(10)
        link = page.get_by_role("link", name="PUESC")
        expect(link).to_have_attribute("href", f"{ours.url}/{language}/services/PUESC")
        assert page.locator("b.down").evaluate("b => getComputedStyle(b).fontWeight") == "600", "it is styled"
        # axe is put into the page by the test, which the page's policy would refuse.
        results = Axe().run(page)
        assert results.violations_count == 0, results.generate_report()


def test_chosen_services_are_listed_in_their_order_also_while_they_work(
    ours: Ours, theirs: str, browser: Browser
) -> None:
    ours.show(gateway_down())
    with embedded(
        browser, f"{theirs}/?services=SZPROT+NCTS2,NOTHING&lang=en&place=head&target=%23place"
    ) as page:
        expect(page.locator("#place li")).to_have_text(["SZPROT ✓ works", "NCTS2 ~ is slow or limited"])
        expect(page.locator(".head")).to_have_count(0)


@pytest.mark.parametrize(
    ("query", "said"), [("page=en-GB", "All services work"), ("page=de", "Wszystkie usługi działają")]
)
def test_it_speaks_the_language_of_the_page_or_polish(
    ours: Ours, theirs: str, browser: Browser, query: str, said: str
) -> None:
    ours.show(all_green())
    with embedded(browser, f"{theirs}/?{query}&place=head") as page:
        expect(page.get_by_role("status")).to_contain_text(said)
        expect(page.locator("li")).to_have_count(0)


def test_it_keeps_itself_current_and_says_nothing_twice(ours: Ours, theirs: str, browser: Browser) -> None:
    ours.show(all_green())
    with opened(browser) as (context, complaints):
        page = context.new_page()
        page.clock.install()
        # The browser's cache goes by the true clock and would answer for ten seconds; routing switches it off.
        page.route("**/*.json", lambda route: route.continue_())
        asked: list[Request] = []
        page.on("request", lambda request: asked.append(request) if ".json" in request.url else None)
        page.goto(f"{theirs}/?lang=en")
        expect(page.get_by_role("status")).to_contain_text("All services work")
        page.evaluate(
            "document.querySelector('script').nextSibling.shadowRoot.querySelector('.head').id = 'same'"
        )
        page.clock.fast_forward(47_000)
        assert len(asked) == 1, "not before 48 seconds"
        # Not by sleeping: only Playwright's own waits let the route above answer.
        with page.expect_response("**/*.json"):
            page.clock.fast_forward(26_000)
        assert len(asked) == 2
        expect(page.locator("#same")).to_have_count(1)
        ours.show(gateway_down())
        page.clock.fast_forward(73_000)
        expect(page.get_by_role("status")).to_contain_text("has been down")
        expect(page.locator("#same")).to_have_count(0)
        assert complaints == []


def test_when_we_cannot_be_reached_it_says_so_and_goes_on(ours: Ours, theirs: str, browser: Browser) -> None:
    ours.show(all_green())
    with opened(browser) as (context, _):
        page = context.new_page()
        page.clock.install()
        page.route("**/widget/*.json", lambda route: route.abort())
        page.goto(f"{theirs}/?lang=pl")
        expect(page.get_by_role("status")).to_contain_text("Nie udało się sprawdzić stanu usług.")
        expect(page.get_by_role("link")).to_have_attribute("href", f"{ours.url}/pl/")
        page.unroute("**/widget/*.json")
        page.clock.fast_forward(73_000)
        expect(page.get_by_role("status")).to_contain_text("Wszystkie usługi działają")
