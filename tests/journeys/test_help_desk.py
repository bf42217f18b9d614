"""Three customers report the same outage; an agent ties them to it; its end answers them."""

import httpx
from playwright.sync_api import Page, expect

from tests.journeys.demo_process import Demo, plain, until

CUSTOMERS = ("first@example.net", "second@example.net", "third@example.net")


def file_request(page: Page, address: str) -> None:
    page.goto("/en/desk/new?service=NCTS2")
    page.get_by_label("Name").fill("A. Forwarder")
    page.get_by_label("E-mail").fill(address)
    page.get_by_role("textbox").last.fill("Our declarations are refused since this morning.")
    page.locator("main form button[type=submit]").last.click()
    expect(page.locator("main")).to_contain_text("NCTS2 does not work")
    page.locator("main form button[type=submit]").last.click()
    expect(page.locator("main")).to_contain_text("ZGL")


def test_three_requests_are_suggested_linked_and_answered(demo: Demo, page: Page) -> None:
    demo.break_service("NCTS2")
    (incident,) = until("the incident", demo.unresolved)
    until("NCTS2 down", lambda: demo.component("NCTS2") == "major_outage")
    for address in CUSTOMERS:
        file_request(page, address)
        until("the acknowledgement", lambda address=address: demo.mails_to(address))  # type: ignore[misc]
    page.goto(f"/en/console/incidents/{incident['id']}/tickets")
    page.get_by_label("Login").fill("agent")
    page.get_by_label("Password").fill("agent-of-the-demo")
    page.locator("main").get_by_role("button", name="Sign in").click()
    for address in CUSTOMERS:
        expect(page.locator("main")).to_contain_text(address)
    page.get_by_role("button", name="3").click()
    page.goto("/en/console/tickets")
    expect(page.locator("main")).to_contain_text("ZGL")
    demo.restore("NCTS2")
    until("the end", lambda: not demo.unresolved())
    for address in CUSTOMERS:
        answer = until(
            "the answer",
            lambda address=address: m[-1] if len(m := demo.mails_to(address)) >= 2 else None,  # type: ignore[misc]
        )
        assert "NCTS2 works again" in plain(answer)
        assert len(demo.mails_to(address)) == 2
    assert httpx.get(f"{demo.base_url}/desk/new").status_code == 200
