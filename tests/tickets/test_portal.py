"""Customers' pages, as a browser without JavaScript uses them."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

import httpx
import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from statuspage.kernel.security import random_token
from tests.tickets.browser import Browser, Page, desk_app
from tests.tickets.scene import Scene
from tickets import portal, requests
from tickets.rules import Draft
from tickets.tables import Ticket

TYPED = {"name": "A. Forwarder", "email": "a@example.net", "text": "It is refused.\nError 503."}


async def reviewed(browser: Browser, **typed: str) -> Page:
    page = await browser.open("/en/desk/new?service=NCTS2")
    return await browser.press(page, "review", **{**TYPED, **typed})


async def sent(browser: Browser, **typed: str) -> Page:
    return await browser.press(await reviewed(browser, **typed), "send")


async def test_the_desk_says_what_one_can_do_in_both_languages(browser: Browser) -> None:
    assert "Send a request" in (await browser.open("/en/desk")).text
    assert "Wyślij zgłoszenie" in (await browser.open("/pl/desk")).text


async def test_a_request_is_reviewed_sent_and_found_again(browser: Browser, sqlite_scene: Scene) -> None:
    page = await reviewed(browser)
    assert page.status == 200
    assert "Error 503." in page.text
    assert sqlite_scene.mails() == [], "nothing is sent before the review"
    page = await browser.press(page, "send")

    assert "Its number is ZGL1000001." in page.text
    assert page.path.startswith("/en/desk/requests/")
    assert page.response.headers["x-robots-tag"] == "noindex, nofollow"
    assert page.response.headers["cache-control"] == "no-store"
    again = await browser.open(page.path)
    assert "Its number is" not in again.text
    assert "Request ZGL1000001" in again.text
    (mail,) = sqlite_scene.mails()
    assert page.path in mail.text


async def test_the_service_is_chosen_by_the_address(browser: Browser) -> None:
    page = await browser.open("/en/desk/new?service=NCTS2&kind=question")

    assert page.find("//select[@id='service']/option[@selected]/@value") == ["NCTS2"]
    assert page.find("//input[@name='kind'][@checked]/@value") == ["question"]


async def test_an_unknown_service_in_the_address_chooses_none(browser: Browser) -> None:
    page = await browser.open("/en/desk/new?service=%3Cscript%3E&kind=complaint")

    assert page.status == 200
    assert page.find("//select[@id='service']/option[@selected]") == []
    assert page.find("//input[@name='kind'][@checked]/@value") == ["failure"]


async def test_the_open_incident_is_shown_before_sending(browser: Browser, sqlite_scene: Scene) -> None:
    incident = sqlite_scene.open_incident(1)
    page = await reviewed(browser)

    assert "PUESC does not work" in page.text
    assert "We are checking." in page.text
    assert page.find(f"//main//a[@href='/en/incidents/{incident}']")
    assert page.find("//main//a[@href='/en/subscribe?service=NCTS2']")
    assert sqlite_scene.mails() == []
    assert "ZGL1000001" in (await browser.press(page, "send")).text
    sqlite_scene.resolve(incident, 2)
    assert "PUESC does not work" not in (await reviewed(browser)).text


async def test_another_services_incident_is_not_shown(browser: Browser, sqlite_scene: Scene) -> None:
    sqlite_scene.open_incident(1, "AES")

    assert "AES does not work" not in (await reviewed(browser)).text


async def test_errors_name_their_fields_and_nothing_typed_is_lost(browser: Browser) -> None:
    typed = {"name": "", "email": "nobody", "text": "short", "service": ""}
    page = await browser.open("/en/desk/new")
    page = await browser.press(page, "review", **typed)

    assert page.status == 422
    assert page.find("//title")[0].text.startswith("Error:")
    links = page.find("//*[@role='alert']//li/a/@href")
    assert links == ["#service", "#name", "#email", "#text"]
    for link in links:
        (control,) = page.find(f"//*[@id='{link[1:]}']")
        described = control.get("aria-describedby").split()
        (error,) = [page.find(f"//*[@id='{d}']")[0] for d in described if d.endswith("-error")]
        assert error.text_content().strip().startswith("Error:")
        assert control.get("aria-invalid") == "true"
    assert page.find("//input[@name='email']/@value") == ["nobody"]
    assert page.typed("text") == "short"
    assert "Wpisz adres e-mail w postaci" not in page.text


async def test_errors_are_told_in_polish_too(browser: Browser) -> None:
    page = await browser.press(await browser.open("/pl/desk/new"), "review", email="nobody")

    assert "Wpisz adres e-mail w postaci nazwa@example.com." in page.text
    assert "Write" not in page.text


async def test_every_control_has_a_label(browser: Browser) -> None:
    page = await browser.open("/en/desk/new")

    for control in page.find("//main//form//*[self::input or self::select or self::textarea]"):
        if control.get("type") == "hidden":
            continue
        name = control.get("id")
        assert control.xpath("ancestor::label") or page.find(f"//label[@for='{name}']"), name
    assert page.find("//fieldset/legend")


async def test_one_can_go_back_and_change_what_was_typed(browser: Browser) -> None:
    page = await browser.press(await reviewed(browser), "edit")

    assert page.typed("text") == TYPED["text"]
    assert page.find("//input[@name='name']/@value") == [TYPED["name"]]
    assert page.find("//*[@role='alert']") == []


async def test_pressing_send_twice_files_one_request(browser: Browser, sqlite_scene: Scene) -> None:
    page = await reviewed(browser)
    first, second = await browser.press(page, "send"), await browser.press(page, "send")

    assert first.path == second.path
    assert sqlite_scene.house.db.read_now(requests.queue, requests.Filter()).total == 1


async def test_what_was_typed_is_escaped_everywhere(browser: Browser) -> None:
    evil = "<img src=x onerror=alert(1)>"
    page = await reviewed(browser, name=evil, text=f"{evil} and more")
    after = await browser.press(page, "send")

    for shown in (page, after):
        assert evil not in shown.response.text
        assert shown.find("//img") == []
        assert evil in shown.text


async def test_line_ends_are_counted_once(browser: Browser, sqlite_scene: Scene) -> None:
    await sent(browser, text="x" * 4998 + "\r\n" + "x")

    filed = sqlite_scene.house.db.read_now(requests.view, "ZGL1000001")
    assert filed.text == "x" * 4998 + "\n" + "x"


@pytest.mark.parametrize("token", ["guessed", "a.b", "", "%00", "ZGL1000001"])
async def test_an_unknown_link_is_404(browser: Browser, token: str) -> None:
    await sent(browser)

    assert (await browser.open(f"/en/desk/requests/{token}")).status == 404


async def test_a_link_signed_for_another_purpose_or_ticket_opens_nothing(
    browser: Browser, sqlite_scene: Scene
) -> None:
    first, second = sqlite_scene.file(), sqlite_scene.file()
    signer = sqlite_scene.house.signer

    for token in (
        signer.sign("subscription", first.view_key),
        signer.sign("ticket", "somebody"),
        first.view_key,
        f"{second.view_key}.{signer.sign('ticket', first.view_key).rpartition('.')[2]}",
    ):
        assert (await browser.open(f"/en/desk/requests/{token}")).status == 404


async def test_a_replaced_key_revokes_the_link(browser: Browser, sqlite_scene: Scene) -> None:
    page = await sent(browser)
    sqlite_scene.house.db.run_now(_replace_keys)

    assert (await browser.open(page.path)).status == 404


def _replace_keys(session: Session) -> None:
    session.execute(update(Ticket).values(view_key=random_token()))


async def test_internal_notes_never_reach_the_customer(browser: Browser, sqlite_scene: Scene) -> None:
    page = await sent(browser)
    run, house = sqlite_scene.house.db.run_now, sqlite_scene.house
    run(requests.note, "ZGL1000001", "A difficult one.", by="agent", now=sqlite_scene.at(1))
    run(requests.answer, "ZGL1000001", "Which office?", by="agent", house=house, now=sqlite_scene.at(2))
    text = (await browser.open(page.path)).text

    assert "Which office?" in text
    assert "A difficult one." not in text
    assert "agent" not in text.replace("An agent", "")


async def test_the_customer_sees_incident_and_solution(browser: Browser, sqlite_scene: Scene) -> None:
    page = await sent(browser)
    incident = sqlite_scene.open_incident(1)
    sqlite_scene.link("ZGL1000001", incident, 2)
    waiting = await browser.open(page.path)
    assert "PUESC does not work" in waiting.text
    assert "when the incident is over" in waiting.text
    sqlite_scene.resolve(incident, -60)  # the reopen window has passed since
    sqlite_scene.consume(0)
    assert sqlite_scene.give(0) == [True]

    solved = await browser.open(page.path)
    assert "The solution The gateway is repaired." in solved.text
    assert "Resolved." in solved.text
    polish = await browser.open(page.path.replace("/en/", "/pl/"))
    assert "Rozwiązane." in polish.text


async def test_a_network_that_floods_is_held_back_and_loses_nothing(
    browser: Browser, sqlite_scene: Scene
) -> None:
    page = await reviewed(browser)
    form = [(name, value) for name, value in page.form("send").form_values() if name != "submission"]
    for _ in range(portal.REQUESTS_A_NETWORK):
        assert (await browser.post("/en/desk/new", [*form, ("step", "send")])).status == 200
    held = await browser.post("/en/desk/new", [*form, ("step", "send")])

    assert held.status == 429
    assert int(held.response.headers["retry-after"]) > 0
    assert "Error 503." in held.text
    assert held.form("send") is not None
    total = sqlite_scene.house.db.read_now(requests.queue, requests.Filter()).total
    assert total == portal.REQUESTS_A_NETWORK


async def test_a_locked_database_loses_nothing_typed(browser: Browser, sqlite_scene: Scene) -> None:
    page = await reviewed(browser)
    with locked(sqlite_scene):
        held = await browser.press(page, "send")
    assert held.status == 503
    assert "the fault is ours" in held.text
    assert "Error 503." in held.text

    assert "ZGL1000001" in (await browser.press(held, "send")).text


@contextmanager
def locked(scene: Scene) -> Iterator[None]:
    """Another program holds the write lock, and our patience is short."""
    writer = scene.house.db.engine.raw_connection()
    writer.cursor().execute("PRAGMA busy_timeout = 1")
    writer.close()
    with closing(sqlite3.connect(scene.house.db.url.removeprefix("sqlite:///"))) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


async def test_a_foreign_site_cannot_send_a_request(browser: Browser, sqlite_scene: Scene) -> None:
    page = await reviewed(browser)
    browser.headers = {"sec-fetch-site": "cross-site", "origin": "https://elsewhere.example"}
    form = [*page.form("send").form_values(), ("step", "send")]
    refused = await browser.client.post("/en/desk/new", data=dict(form), headers=browser.headers)

    assert refused.status_code == 403
    assert sqlite_scene.house.db.read_now(requests.queue, requests.Filter()).total == 0


async def test_a_question_without_a_service_is_filed(browser: Browser, sqlite_scene: Scene) -> None:
    page = await browser.open("/pl/desk/new")
    page = await browser.press(page, "review", **TYPED, kind="question", service="")
    page = await browser.press(page, "send")

    assert "Jego numer to ZGL1000001." in page.text
    assert sqlite_scene.mails()[0].language == "pl"


async def test_the_form_says_what_fits_where(sqlite_scene: Scene) -> None:
    """Kinds with forms of their own cannot be smuggled in through this one."""
    transport = httpx.ASGITransport(desk_app(sqlite_scene.house))
    async with httpx.AsyncClient(transport=transport, base_url="http://desk.test") as client:
        draft = Draft("complaint", "NCTS2", **TYPED)
        sent = {
            "step": "send",
            **{k: getattr(draft, k) for k in ("kind", "service", "name", "email", "text")},
        }
        refused = await client.post("/desk/new", data=sent)

    assert refused.status_code == 422
