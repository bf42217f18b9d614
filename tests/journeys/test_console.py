"""Officers at the console of a running demo, in Chromium with and without scripts, in both languages."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.journeys.demo_process import Demo, plain, until

ANNA, JAN = ("operator", "operator-of-the-demo"), ("operator2", "second-of-the-demo")
WARSAW = ZoneInfo("Europe/Warsaw")


# One sign-in for each officer: more within five minutes are taken for guessing.
_cookies: dict[str, Any] = {}


@pytest.fixture(scope="module", autouse=True)
def _fresh(demo: Demo) -> None:
    _cookies.clear()


def sign_in(context: BrowserContext, who: tuple[str, str], language: str = "en") -> Page:
    page = context.new_page()
    if who[0] in _cookies:
        context.add_cookies(_cookies[who[0]])
        page.goto(f"/{language}/console")
    else:
        page.goto(f"/{language}/console/sign-in")
        page.locator("#login").fill(who[0])
        page.locator("#password").fill(who[1])
        page.locator("main form button[type=submit]").click()
    expect(page.locator("h1")).to_have_text({"pl": "Pulpit", "en": "Board"}[language])
    _cookies[who[0]] = context.cookies()
    return page


@pytest.fixture(params=["scripts", "no scripts"])
def context(request: pytest.FixtureRequest, browser: Browser, demo: Demo) -> Iterator[BrowserContext]:
    made = browser.new_context(base_url=demo.base_url, java_script_enabled=request.param == "scripts")
    yield made
    made.close()


@pytest.fixture
def other(browser: Browser, demo: Demo) -> Iterator[BrowserContext]:
    """The browser of a colleague."""
    made = browser.new_context(base_url=demo.base_url)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def calm(demo: Demo) -> Iterator[None]:
    """Each journey leaves everything working."""
    yield
    demo.restore("NCTS2")
    for incident in demo.unresolved():
        texts = ["--text-pl", "Koniec.", "--text-en", "Over."]
        # The monitors may be faster.
        demo.try_command("incident", "resolve", incident["id"], "--config", demo.config_file, *texts)
    until("everything to work", lambda: demo.all_green() and not demo.unresolved())


def publish(page: Page) -> None:
    page.locator("button[name=do][value=publish]").click()
    expect(page.locator(".notice.done")).to_be_visible()


def broken(demo: Demo) -> str:
    """The incident of NCTS2, which is down."""
    demo.break_service("NCTS2")
    (incident,) = until("the incident", demo.unresolved)
    return str(incident["id"])


@pytest.mark.parametrize("language", ["pl", "en"])
def test_an_officer_tells_of_an_alarm_in_three_actions(
    demo: Demo, context: BrowserContext, language: str
) -> None:
    incident_id = broken(demo)
    page = sign_in(context, ANNA, language)
    page.locator(f"#case-{incident_id} .acts a").click()  # one
    expect(page.locator("#text_pl")).not_to_be_empty()
    expect(page.locator("#text_en")).not_to_be_empty()
    said = f"We know of it ({language})"
    page.locator("#text_en").fill(said)  # two
    button = page.locator("button[value=publish]")
    expect(button).to_contain_text({"pl": "po polsku i angielsku", "en": "in Polish and English"}[language])
    publish(page)  # three
    until(
        "the words on the page", lambda: said in httpx.get(f"{demo.base_url}/en/incidents/{incident_id}").text
    )
    reader = context.new_page()
    reader.goto("/en/")
    expect(reader.locator("#now")).to_contain_text("NCTS2")
    until("the mail", lambda: any(said in plain(mail) for mail in demo.mails_to("@")))


def test_a_service_set_by_hand_is_shown_so_until_it_is_ended(demo: Demo, context: BrowserContext) -> None:
    page = sign_in(context, ANNA)
    page.goto("/en/console/services/CRPA")
    page.locator("#override-form summary").click()
    page.locator("#status").select_option("degraded_performance")
    page.locator("#reason").fill("slow for those at the border")
    at = datetime.now(WARSAW) + timedelta(hours=2)
    page.locator("#until").fill(f"{at:%Y-%m-%dT%H:%M}")
    page.locator("#override-form button").click()
    until("the status", lambda: demo.component("CRPA") == "degraded_performance")
    assert "border" not in httpx.get(f"{demo.base_url}/en/services/CRPA").text
    page.locator("form[action*='/overrides/'] button").click()
    until("the measured status", lambda: demo.component("CRPA") == "operational")


def test_two_officers_at_once_lose_nothing(
    demo: Demo, context: BrowserContext, other: BrowserContext
) -> None:
    incident_id = broken(demo)
    anna, jan = sign_in(context, ANNA), sign_in(other, JAN)
    for page in (anna, jan):
        page.goto(f"/en/console/compose?incident={incident_id}")
    jan.locator("#text_en").fill("Words of Jan")
    publish(jan)
    anna.locator("#text_en").fill("Words of Anna")
    anna.locator("button[value=publish]").click()
    expect(anna.locator("#missed")).to_be_visible()
    expect(anna.locator("main")).to_contain_text("Words of Jan")
    expect(anna.locator("#text_en")).to_have_value("Words of Anna")
    publish(anna)
    expect(anna.locator(".timeline")).to_contain_text("Words of Anna")
    expect(anna.locator(".timeline")).to_contain_text("Words of Jan")


def test_a_draft_is_handed_over_and_published_by_a_second_officer(
    demo: Demo, context: BrowserContext, other: BrowserContext
) -> None:
    anna = sign_in(context, ANNA)
    anna.goto("/en/console/compose?service=CRPA")
    anna.locator("button[value=save]").click()
    anna.locator("button[value=hand_over]").click()
    assert demo.unresolved() == []
    jan = sign_in(other, JAN)
    expect(jan.locator("#waiting + ul")).to_contain_text("waits for a second person")
    jan.locator("#waiting + ul a").first.click()
    publish(jan)
    (incident,) = until("the incident", demo.unresolved)
    assert "CRPA" in incident["name"]


def test_paper_is_permitted_and_withdrawn(demo: Demo, context: BrowserContext) -> None:
    incident_id = broken(demo)
    page = sign_in(context, ANNA)
    page.goto(f"/en/console/compose?incident={incident_id}")
    page.locator("summary", has_text="Fallback procedure").click()
    page.locator("#fallback").select_option("permitted")
    page.locator("[name=fallback_for][value=NCTS2]").check()
    page.locator("#fallback_en").fill("Use the paper form.")
    page.locator("button[value=preview]").click()
    expect(page.locator("#preview")).to_be_visible()
    expect(page.locator("#fallback")).to_have_value("permitted")
    publish(page)
    expect(page.locator("main")).to_contain_text("paper is permitted")
    page.get_by_role("button", name="Withdraw and tell").click()
    expect(page.locator("#paper + ul")).to_contain_text("withdrawn")
    said = "Procedura awaryjna nie jest już dozwolona"
    until("the word", lambda: said in httpx.get(f"{demo.base_url}/pl/incidents/{incident_id}").text)


def test_a_start_is_corrected_and_the_old_one_stays_readable(demo: Demo, context: BrowserContext) -> None:
    incident_id = broken(demo)
    page = sign_in(context, ANNA)
    page.goto(f"/en/console/incidents/{incident_id}")
    page.locator("#times summary").click()
    at = datetime.now(WARSAW) - timedelta(minutes=45)
    page.locator("#began_at").fill(f"{at:%Y-%m-%dT%H:%M}")
    page.get_by_role("button", name="Correct and say so").click()
    expect(page.locator(".notice.done")).to_be_visible()
    public = f"{demo.base_url}/en/incidents/{incident_id}"
    until("the correction", lambda: "until the correction" in httpx.get(public).text)
    assert f"{at:%H:%M}" in httpx.get(public).text


def test_the_board_tells_news_by_itself(demo: Demo, other: BrowserContext) -> None:
    page = sign_in(other, JAN)
    expect(page.locator("#open + p")).to_be_visible()
    demo.break_service("NCTS2")
    expect(page.locator("#open + .scroll")).to_contain_text("NCTS2", timeout=30_000)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("language", ["pl", "en"])
def test_the_console_is_for_everybody(demo: Demo, browser: Browser, language: str, scheme: str) -> None:
    incident_id = broken(demo)
    made = browser.new_context(
        base_url=demo.base_url,
        color_scheme="dark" if scheme == "dark" else "light",
        viewport={"width": 360, "height": 800},
    )
    faults: list[str] = []
    try:
        page = sign_in(made, ANNA, language)
        page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: faults.append(str(error)))
        paths = (
            "",
            "/services/NCTS2",
            f"/incidents/{incident_id}",
            f"/compose?incident={incident_id}",
            f"/compose?incident={incident_id}&kind=resolve",
            "/compose",
            "/drafts",
            "/templates",
            "/templates/new",
            "/maintenance",
        )
        for path in paths:
            page.goto(f"/{language}/console{path}")
            check(page)
        page.goto(f"/{language}/console/compose?service=CRPA")
        page.locator("button[value=preview]").click()
        check(page)
        page.locator("button[value=save]").click()
        check(page)
        page.get_by_role("link", name={"pl": "Edytuj", "en": "Edit"}[language]).click()
        page.locator("#text_pl").fill("{service}")
        page.locator("button[value=publish]").click()
        check(page)  # with its errors
        page.goto(f"/{language}/console/drafts")
        page.locator("main th a").first.click()
        page.locator("summary").last.click()
        page.locator("button[value=drop]").click()
    finally:
        made.close()
    assert [fault for fault in faults if "status of 422" not in fault] == []


def check(page: Page) -> None:
    """axe finds nothing, and nothing stands beside a phone's screen."""
    found = Axe().run(page)
    assert found.violations_count == 0, f"{page.url}\n{found.generate_report()}"
    beside = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert beside <= 0, f"{page.url} is {beside} px too wide"
