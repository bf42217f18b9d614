"""Staff and their accounts in a real browser: every page for everybody, and all of it without scripts."""

import time
from collections.abc import Iterator

import pyotp
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from statuspage.kernel.i18n import LANGUAGES
from tests.journeys.demo_process import Demo

LOGIN, PASSWORD = "administrator", "administrator-of-the-demo"


@pytest.fixture
def page(browser: Browser, demo: Demo) -> Iterator[Page]:
    """The console stays empty but for the refusals of what was mistyped."""
    context = browser.new_context(base_url=demo.base_url)
    page = context.new_page()
    faults: list[str] = []
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    yield page
    context.close()
    assert [fault for fault in faults if "status of 422" not in fault] == []


def check(page: Page) -> None:
    found = Axe().run(page)
    assert found.violations_count == 0, f"{page.url}\n{found.generate_report()}"


def sign_in(page: Page, language: str, login: str = LOGIN, password: str = PASSWORD) -> None:
    page.goto(f"/{language}/console/sign-in")
    page.locator("#login").fill(login)
    page.locator("#password").fill(password)
    with page.expect_navigation():
        page.locator("main form button").click()


def fresh_code(secret: str) -> str:
    """A code that stays good for a few seconds more."""
    totp = pyotp.TOTP(secret)
    if time.time() % totp.interval > totp.interval - 3:
        time.sleep(4)
    return totp.now()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_pages_of_administrators_are_for_everybody(
    browser: Browser, demo: Demo, language: str, scheme: str
) -> None:
    context = browser.new_context(
        base_url=demo.base_url, color_scheme="dark" if scheme == "dark" else "light"
    )
    page = context.new_page()
    sign_in(page, language)
    for path in ("users", "users/new", "audit", "account"):
        page.goto(f"/{language}/console/{path}")
        check(page)
    page.goto(f"/{language}/console/users")
    page.locator("tbody th a").first.click()
    check(page)
    context.close()


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_second_factor_from_the_picture_to_the_last_recovery_code(page: Page, language: str) -> None:
    sign_in(page, language, password="mistyped on purpose")
    expect(page.locator(".notice.error")).to_be_visible()
    check(page)
    sign_in(page, language)
    page.goto(f"/{language}/console/account")
    page.locator("section[aria-labelledby=factor] form button").click()
    check(page)
    expect(page.locator("img.qr")).to_be_visible()
    assert page.locator("img.qr").evaluate("image => image.naturalWidth") > 100
    secret = page.locator("code.setup-key").inner_text().replace(" ", "")
    page.locator("#code").fill("000000")
    page.locator("#password").fill(PASSWORD)
    page.locator("main form button").click()
    expect(page.locator("#code-error")).to_be_visible()
    check(page)
    page.locator("#code").fill(fresh_code(secret))
    page.locator("#password").fill(PASSWORD)
    page.locator("main form button").click()
    check(page)
    codes = page.locator(".recovery-codes code").all_inner_texts()
    page.locator("main a.button").click()
    with page.expect_navigation():
        page.locator("header form button").click()  # out, and in again

    sign_in(page, language)
    check(page)
    page.locator("#code").fill("000000")
    page.locator("main form button").click()
    expect(page.locator("#code-error")).to_be_visible()
    check(page)
    page.locator("#code").fill(codes[0])
    with page.expect_navigation():
        page.locator("main form button").click()
    page.goto(f"/{language}/console/account")
    for summary in page.locator("summary").all():
        summary.click()
    check(page)
    page.locator("#off-password").fill(PASSWORD)
    page.locator("#off-code").fill(codes[1])
    page.locator(".button-danger").click()
    expect(page.locator(".notice.done")).to_be_visible()
    check(page)


def test_an_administrator_adds_somebody_and_closes_the_door_without_scripts(
    browser: Browser, demo: Demo
) -> None:
    context = browser.new_context(base_url=demo.base_url, java_script_enabled=False)
    page = context.new_page()
    sign_in(page, "en")
    page.goto("/en/console/users")
    page.get_by_role("link", name="Add an account").click()
    page.locator("#login").fill("duty")
    page.locator("#name").fill("Duty Officer")
    page.locator("#role").select_option("agent")
    page.locator("#password").fill("a password for the duty officer")
    page.get_by_role("button", name="Add the account").click()
    expect(page.locator(".notice.done")).to_contain_text("added")
    page.locator("#group-transit").select_option("operator")
    page.get_by_role("button", name="Save the roles").click()
    expect(page.locator(".notice.done")).to_contain_text("saved")

    other = browser.new_context(base_url=demo.base_url, java_script_enabled=False)
    theirs = other.new_page()
    sign_in(theirs, "en", "duty", "a password for the duty officer")
    theirs.goto("/en/console/account")
    expect(theirs.locator(".facts")).to_contain_text("transit")

    page.get_by_role("button", name="Close the account").click()
    expect(page.locator(".notice.done")).to_contain_text("closed")
    theirs.goto("/en/console/account")
    expect(theirs.locator("h1")).to_have_text("Sign in to the console")
    page.goto("/en/console/audit?action=user")
    expect(page.locator("tbody tr").first).to_contain_text("user:duty")
    assert "entries, last hash" in demo.command("audit", "verify", "--config", demo.config_file)
    other.close()
    context.close()
