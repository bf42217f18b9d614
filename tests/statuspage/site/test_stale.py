"""A page older than its promise says so, in words always and by itself where scripts run."""

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
import uvicorn
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from statuspage.kernel import clock
from statuspage.site import pages
from tests.statuspage.site.snapshots import HOUSE, NOW, all_green, archive
from tests.statuspage.site.test_look import CHROMIUM, FLAGS, eventually
from tests.statuspage.site.test_pages import said, tree_of

COPIED = replace(HOUSE, is_copy=True)


class Copy:
    """A web server with a copy that was made at `built_at`; the program is not there."""

    def __init__(self) -> None:
        self.built_at: datetime = clock.now()
        self.house = COPIED
        self._assets = pages.assets()
        app = Starlette(routes=[Route("/{path:path}", self._answer)])
        self._server = uvicorn.Server(
            uvicorn.Config(app, port=0, lifespan="off", log_level="error", ws="none")
        )
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._server.serve(),))
        self._thread.start()
        eventually(lambda: self._server.started)
        self.url = f"http://127.0.0.1:{self._server.servers[0].sockets[0].getsockname()[1]}"

    def _answer(self, request: Request) -> Response:
        if found := self._assets.get(request.url.path):
            return Response(found[0], media_type=found[1])
        text = pages.render(all_green(), "/", "en", self.house, now=self.built_at)
        return HTMLResponse(
            text if request.url.path == "/en/" else "", 200 if request.url.path == "/en/" else 404
        )

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._loop.close()


@pytest.fixture
def copy() -> Iterator[Copy]:
    running = Copy()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context()
    yield context.new_page()
    context.close()


def test_every_page_says_when_it_was_made_and_how_old_it_may_be() -> None:
    for path in ("/", "/history", "/contact", "/services/AES"):
        tree = tree_of(all_green(), path)
        (words,) = tree.xpath("//*[@id='built']")
        assert "If this is older than 5 minutes, the page is not being updated." in said(words)
        assert words.xpath("time/@datetime") == ["2026-11-21T09:30:00Z"]
        assert tree.xpath("//main/@data-built") == [str(int(NOW.timestamp()))]
    over = next(notice for notice in archive().incidents if not notice.is_open)
    assert "once a day" in said(tree_of(archive(), f"/incidents/{over.id}").xpath("//*[@id='built']")[0])


@pytest.mark.browser
def test_an_old_copy_says_so_visibly_and_a_newer_one_takes_it_back(copy: Copy, page: Page) -> None:
    page.clock.install()
    copy.built_at = clock.now() - timedelta(hours=2)
    page.goto(f"{copy.url}/en/")
    page.clock.run_for(6_000)
    note = page.locator("#stale")
    expect(note).to_be_visible()
    expect(note).to_have_attribute("role", "alert")
    expect(note).to_contain_text("not being updated")
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    copy.built_at = clock.now()
    page.clock.run_for(61_000)
    expect(note).to_have_count(0)
    expect(page.locator("main")).to_have_attribute("data-built", str(int(copy.built_at.timestamp())))


@pytest.mark.browser
def test_a_quiet_page_is_not_accused_and_a_tab_without_a_server_is(copy: Copy, page: Page) -> None:
    page.clock.install()
    page.goto(f"{copy.url}/en/")
    page.clock.run_for(60_000)
    expect(page.locator("#stale")).to_have_count(0)
    copy.stop()
    page.clock.run_for(300_000)
    expect(page.locator("#stale")).to_be_visible()


@pytest.mark.browser
def test_a_reader_whose_clock_is_wrong_is_not_misled(copy: Copy, page: Page) -> None:
    page.clock.install(time=clock.now() + timedelta(hours=3))
    with page.expect_response(f"{copy.url}/en/"):
        page.goto(f"{copy.url}/en/")
    with page.expect_response(f"{copy.url}/en/"):  # asked again, because it looks old
        page.clock.run_for(6_000)
    page.clock.run_for(1_000)
    expect(page.locator("#stale")).to_have_count(0)


@pytest.mark.browser
def test_a_copy_is_asked_for_again_each_minute_and_gives_way_to_the_page(copy: Copy, page: Page) -> None:
    page.clock.install()
    page.goto(f"{copy.url}/en/")
    page.clock.run_for(50_000)
    expect(page.locator("#copy")).to_be_visible()
    copy.house, copy.built_at = HOUSE, clock.now() + timedelta(seconds=2)  # the program answers again
    with page.expect_websocket() as feed:
        page.clock.run_for(45_000)
    assert feed.value.url.partition("?")[0] == f"{copy.url.replace('http', 'ws')}/live"
    expect(page.locator("#copy")).to_have_count(0)
    expect(page.locator("header nav")).to_contain_text("Get alerts")
    expect(page.locator("#stale")).to_have_count(0)
