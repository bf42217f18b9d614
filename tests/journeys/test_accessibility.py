"""Every page of the rooms passes axe in both languages, and works where scripts do not."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from statuspage.kernel.i18n import LANGUAGES
from tests.documentation import ROOT
from tests.journeys.demo_process import Demo, plain, until

AGENT = ("agent", "agent-of-the-demo")


@pytest.fixture(scope="module")
def incident_id(demo: Demo) -> str:
    """Of an outage that lasts while this file's tests run."""
    demo.break_service("NCTS2")
    (incident,) = until("the incident", demo.unresolved)
    return str(incident["id"])


@pytest.fixture
def page(browser: Browser, demo: Demo) -> Iterator[Page]:
    """A reader with scripts; the console stays empty but for the refusals of forms sent incomplete."""
    context = browser.new_context(base_url=demo.base_url)
    page = context.new_page()
    faults: list[str] = []
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    yield page
    context.close()
    assert [fault for fault in faults if "status of 422" not in fault] == []


@pytest.fixture
def scriptless(browser: Browser, demo: Demo) -> Iterator[Page]:
    """A reader whose browser runs no script."""
    context = browser.new_context(base_url=demo.base_url, java_script_enabled=False)
    yield context.new_page()
    context.close()


def check(page: Page) -> None:
    found = Axe().run(page)
    assert found.violations_count == 0, f"{page.url}\n{found.generate_report()}"


def press(page: Page) -> None:
    """The last button of the page's content."""
    page.locator("main form button[type=submit]").last.click()


def sign_in(page: Page, language: str) -> None:
    page.goto(f"/{language}/console/sign-in")
    page.locator("#login").fill(AGENT[0])
    page.locator("#password").fill(AGENT[1])
    press(page)


def fill_request(page: Page, language: str, address: str) -> None:
    """Up to the review, through the form that was sent empty."""
    page.goto(f"/{language}/desk/new?service=NCTS2")
    press(page)
    expect(page.locator(".notice.error")).to_be_visible()
    page.locator("#name").fill("A. Forwarder")
    page.locator("#email").fill(address)
    page.locator("#text").fill("Our declarations are refused since this morning.")


def confirm_address(demo: Demo, address: str) -> str:
    """The path of the confirmation link, from the mail."""
    (mail,) = until("the confirmation mail", lambda: demo.mails_to(address))
    link = next(word for word in plain(mail).split() if word.endswith("/confirm"))
    return urlsplit(link).path


@pytest.mark.parametrize("language", LANGUAGES)
def test_alerts_are_for_everybody(demo: Demo, page: Page, language: str) -> None:
    address = f"axe-{language}@example.net"
    page.goto(f"/{language}/subscribe")
    check(page)
    press(page)
    expect(page.locator(".notice.error")).to_be_visible()
    check(page)
    page.locator("#email").fill(address)
    page.locator(f"[name=language][value={language}]").check()
    press(page)
    check(page)
    page.goto(confirm_address(demo, address))
    expect(page.locator("html")).to_have_attribute("lang", language)
    check(page)
    press(page)
    check(page)
    page.locator("main a[href*='/subscriptions/']").click()
    check(page)
    page.locator("main a[href*='/unsubscribe/']").click()
    check(page)
    press(page)
    check(page)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_desk_is_for_everybody(page: Page, incident_id: str, language: str) -> None:
    page.goto(f"/{language}/desk")
    check(page)
    page.goto(f"/{language}/desk/new")
    check(page)
    fill_request(page, language, "desk@example.net")
    check(page)  # the form with its errors, and with what is known
    press(page)
    expect(page.locator("#follow")).to_be_visible()
    check(page)
    page.locator("#send").click()
    expect(page.locator("main")).to_contain_text("ZGL")
    check(page)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_console_is_for_everybody(page: Page, incident_id: str, language: str) -> None:
    page.goto(f"/{language}/console/sign-in")
    check(page)
    sign_in(page, language)
    check(page)  # the board
    page.goto(f"/{language}/console/tickets")
    check(page)
    page.locator("#queue th a").first.click()
    check(page)
    page.goto(f"/{language}/console/incidents/{incident_id}/tickets")
    check(page)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_status_pages_are_for_everybody(page: Page, incident_id: str, language: str) -> None:
    service = "/services/NCTS2"
    around = ("/news", "/contact", "/accessibility", "/privacy", "/maintenance", "/history?q=prace")
    for path in (
        *("/", "/history", f"/incidents/{incident_id}", "/demo/mail", *around),
        *(service, f"{service}/latency", f"{service}/latency/90d"),
    ):
        page.goto(f"/{language}{path}")
        check(page)
    for path, link in (
        ("/news", ".news-entry a"),
        ("/history", "main section h2 a"),
        ("/maintenance", "main nav a"),
    ):
        page.goto(f"/{language}{path}")
        page.locator(link).first.click()
        check(page)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_news_editor_is_for_everybody(
    scriptless: Page, browser: Browser, demo: Demo, language: str
) -> None:
    """Written, illustrated, published and withdrawn without a script."""
    page = scriptless
    page.goto(f"/{language}/console/sign-in?next=/console/news")
    page.locator("#login").fill("operator")
    page.locator("#password").fill("operator-of-the-demo")
    press(page)
    page.locator("main a.button").click()
    page.locator("#text_en").fill("A text without its title")
    page.locator("main form[enctype] button").click()
    expect(page.locator("#title_en-error")).to_be_visible()
    page.locator("#title_en").fill(f"Written in a journey ({language})")
    page.locator("#picture").set_input_files(ROOT / "docs" / "pictures" / "status-page.png")
    page.locator("#alt_en").fill("The status page")
    page.locator("main form[enctype] button").click()
    expect(page.locator(".notice.done")).to_be_visible()
    expect(page.locator("main img")).to_be_visible()
    editor = page.url.partition("?")[0]
    item = editor.rpartition("/")[2]
    page.locator("form[action$='/publish'] button").click()

    def is_public() -> bool:
        page.goto(f"/en/news/{item}")
        return "Written in a journey" in page.locator("h1").inner_text()

    until("the news", lambda: is_public() or None)
    width = page.locator("main img").evaluate("image => image.naturalWidth")
    assert width > 100
    page.goto(editor)
    page.locator("form[action$='/unpublish'] button").click()
    until("its end", lambda: not is_public() or None)
    with_scripts = browser.new_context(base_url=demo.base_url, storage_state=page.context.storage_state())
    for path in (
        "/console/news",
        f"/console/news/{item}",
        "/console/news/new",
        f"/console/news/{item}/preview",
    ):
        shown = with_scripts.new_page()
        shown.goto(f"/{language}{path}")
        check(shown)
    with_scripts.close()


def test_everything_works_without_scripts(demo: Demo, scriptless: Page, incident_id: str) -> None:
    page = scriptless
    page.goto("/en/")
    expect(page.locator("h1")).to_contain_text("NCTS2")
    page.locator("#now h2 a").first.click()
    expect(page.locator("code").first).to_have_text(incident_id)
    page.goto("/en/subscribe")
    page.locator("#email").fill("scriptless@example.net")
    press(page)
    page.goto(confirm_address(demo, "scriptless@example.net"))
    press(page)
    page.locator("main a[href*='/subscriptions/']").click()
    press(page)
    expect(page.locator(".notice.done")).to_be_visible()
    page.locator("main a[href*='/unsubscribe/']").click()
    press(page)
    expect(page.locator(".notice.done")).to_be_visible()
    fill_request(page, "en", "scriptless@example.net")
    press(page)
    page.locator("#send").click()
    expect(page.locator("main")).to_contain_text("ZGL")
    sign_in(page, "en")
    page.goto(f"/en/console/incidents/{incident_id}/tickets")
    page.locator("#link").click()
    expect(page.locator(".notice.done")).to_be_visible()
