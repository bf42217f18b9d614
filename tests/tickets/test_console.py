"""Agents' pages: who may see them, the queue, a ticket, the tickets of an incident."""

import pytest

from statuspage.kernel.accounts import Role
from tests.reading import english_on
from tests.tickets.browser import Browser
from tests.tickets.scene import Scene, draft
from tickets import console, links, requests
from tickets.rules import State

PAGES = ("/en/console/tickets", "/en/console/tickets/ZGL1000001", "/en/console/incidents/{}/tickets")


@pytest.mark.parametrize("path", PAGES)
async def test_nobody_sees_the_console_without_signing_in(browser: Browser, path: str) -> None:
    for method in ("GET", "POST"):
        if method == "POST" and path == PAGES[0]:
            continue
        answer = await browser.client.request(method, path)
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/en/console/sign-in?next=")


@pytest.mark.parametrize("path", PAGES)
async def test_a_viewer_may_not(browser: Browser, sqlite_scene: Scene, path: str) -> None:
    sqlite_scene.file()
    await browser.sign_in(sqlite_scene.house, Role.VIEWER)

    assert (await browser.open(path)).status == 403


@pytest.mark.parametrize("csrf", [None, "", "guessed"])
async def test_a_post_without_the_sessions_token_is_refused(
    agent: Browser, sqlite_scene: Scene, csrf: str | None
) -> None:
    filed = sqlite_scene.file()
    incident = sqlite_scene.open_incident(1)
    token = [] if csrf is None else [("csrf", csrf)]
    solve = [("action", "solution"), ("solution", "Gone."), *token]
    link = [("number", filed.number), *token]

    assert (await agent.post(f"/console/tickets/{filed.number}", solve)).status == 403
    assert (await agent.post(f"/console/incidents/{incident}/tickets", link)).status == 403
    assert sqlite_scene.ticket(filed).state is State.NEW


async def test_the_queue_is_filtered_and_counted(agent: Browser, sqlite_scene: Scene) -> None:
    first, second = sqlite_scene.file(), sqlite_scene.file(1, of=draft(service="AES"))
    everything = await agent.open("/en/console/tickets")

    assert "2 requests" in everything.text
    assert [one.text for one in everything.find("//table[@id='queue']/tbody//th/a")] == [
        first.number,
        second.number,
    ]
    only = await agent.open("/en/console/tickets?service=AES&state=new")
    assert "1 request" in only.text
    assert first.number not in only.text
    assert "No request matches." in (await agent.open("/en/console/tickets?state=closed")).text
    assert (await agent.open("/en/console/tickets?state=nonsense&after=ZGL0")).status == 200
    assert "2 zgłoszenia" in (await agent.open("/pl/console/tickets")).text


async def test_a_long_queue_has_a_next_page(agent: Browser, sqlite_scene: Scene) -> None:
    for i in range(requests.PAGE + 1):
        sqlite_scene.file(i / 60)
    page = await agent.open("/en/console/tickets?service=NCTS2")
    (onward,) = page.find("//a[@rel='next']/@href")
    rest = await agent.open(onward)

    assert len(page.find("//table[@id='queue']/tbody/tr")) == requests.PAGE
    assert [one.text for one in rest.find("//table[@id='queue']/tbody//th/a")] == ["ZGL1000101"]
    assert rest.find("//a[@rel='next']") == []


async def test_what_a_customer_typed_is_escaped(agent: Browser, sqlite_scene: Scene) -> None:
    evil = "<script>alert(1)</script>"
    sqlite_scene.file(of=draft(name=evil))
    incident = sqlite_scene.open_incident(1)

    for path in PAGES:
        page = await agent.open(path.format(incident))
        assert evil in page.text
        assert evil not in page.response.text


async def test_an_agent_notes_answers_and_solves(agent: Browser, sqlite_scene: Scene) -> None:
    filed = sqlite_scene.file()
    path = f"/en/console/tickets/{filed.number}"
    page = await agent.press(await agent.open(path), "note", note="Called the office.")
    assert "Agents alone see it." in page.text
    page = await agent.press(page, "answer", answer="Which office?")
    assert sqlite_scene.ticket(filed).state is State.OPEN
    page = await agent.press(page, "solution", solution="Use the paper form.")

    assert "The request is resolved" in page.text
    for said in ("Called the office.", "Which office?", "Use the paper form."):
        assert said in page.text
    assert page.find("//button[@value='solution']") == []
    assert [mail.kind for mail in sqlite_scene.mails()][1:] == ["ticket.answer", "ticket.solution"]


async def test_a_mistake_keeps_what_was_typed(agent: Browser, sqlite_scene: Scene) -> None:
    filed = sqlite_scene.file()
    path = f"/en/console/tickets/{filed.number}"
    page = await agent.press(await agent.open(path), "solution", solution="x" * 20_001)

    assert page.status == 422
    assert page.find("//*[@role='alert']//a/@href") == ["#solution"]
    assert len(page.typed("solution")) == 20_001


async def test_who_comes_late_is_told_and_keeps_the_text(agent: Browser, sqlite_scene: Scene) -> None:
    filed = sqlite_scene.file()
    page = await agent.open(f"/en/console/tickets/{filed.number}")
    sqlite_scene.house.db.run_now(
        requests.solve, filed.number, "First.", by="other", house=sqlite_scene.house, now=sqlite_scene.at(1)
    )
    late = await agent.press(page, "solution", solution="Second.")

    assert late.status == 409
    assert "has changed since you looked" in late.text
    assert sqlite_scene.ticket(filed).solution == "First."


async def test_what_is_refused_is_refused_in_polish(agent: Browser, sqlite_scene: Scene) -> None:
    filed = sqlite_scene.file()
    path = f"/pl/console/tickets/{filed.number}"
    page = await agent.open(path)
    wrong = await agent.press(page, "note", note=" ")
    sqlite_scene.house.db.run_now(
        requests.solve, filed.number, "First.", by="other", house=sqlite_scene.house, now=sqlite_scene.at(1)
    )
    late = await agent.press(page, "solution", solution="Za późno.")

    assert (wrong.status, late.status) == (422, 409)
    assert "Najpierw wpisz tekst." in wrong.text
    assert f"Zgłoszenie {filed.number} jest już rozwiązane." in late.text
    assert [english_on(one.response.text) for one in (wrong, late)] == [[], []]
    held, incident = sqlite_scene.file(2), sqlite_scene.open_incident(3)
    other = sqlite_scene.open_incident(4)
    page = await agent.open(f"/pl/console/tickets/{held.number}")
    sqlite_scene.link(held.number, incident, 5)
    late = await agent.press(page, "link", incident=other)
    assert f"czeka na zdarzenie {incident}; najpierw zakończ tamto powiązanie." in late.text
    assert english_on(late.response.text) == []


async def test_an_agent_links_and_unlinks_one_request(agent: Browser, sqlite_scene: Scene) -> None:
    filed = sqlite_scene.file()
    incident = sqlite_scene.open_incident(1)
    page = await agent.open(f"/en/console/tickets/{filed.number}")
    assert (await agent.press(page, "link", incident="")).status == 422
    page = await agent.press(page, "link", incident=incident)

    assert sqlite_scene.ticket(filed).state is State.PENDING_INCIDENT
    assert "linked by agent" in page.text
    wrong = await agent.press(page, "unlink", reason=" ")
    assert wrong.status == 422
    assert wrong.find("//*[@role='alert']//a/@href") == ["#reason"]
    page = await agent.press(wrong, "unlink", reason="It is their own network.")
    assert "It is their own network." in page.text
    assert sqlite_scene.ticket(filed).state is State.OPEN


async def test_suggestions_come_ticked_and_are_linked_with_one_button(
    agent: Browser, sqlite_scene: Scene
) -> None:
    filed = [sqlite_scene.file(i, language=("pl", "en", "en")[i]) for i in range(3)]
    incident = sqlite_scene.open_incident(4)
    path = f"/en/console/incidents/{incident}/tickets"
    page = await agent.open(path)
    assert page.find("//input[@type='checkbox'][@checked]/@value") == [one.number for one in filed]
    (button,) = page.find("//button[@id='link']")
    assert button.text == "Link 3 requests"
    ticked = [("csrf", page.find("//input[@name='csrf']/@value")[0])]
    page = await agent.post(path, [*ticked, ("number", filed[0].number), ("number", filed[2].number)])

    assert "2 requests are linked." in page.text
    assert page.find("//input[@type='checkbox']/@value") == [filed[1].number]
    assert len(page.find("//table[@id='linked-requests']/tbody/tr")) == 2
    assert "Polish · 1 request" in page.text
    assert "We are checking." in page.text
    assert [sqlite_scene.ticket(one).state for one in filed] == [
        State.PENDING_INCIDENT,
        State.NEW,
        State.PENDING_INCIDENT,
    ]


async def test_the_preview_shows_the_resolution_in_both_languages(
    agent: Browser, sqlite_scene: Scene
) -> None:
    sqlite_scene.file()
    incident = sqlite_scene.open_incident(1)
    sqlite_scene.link("ZGL1000001", incident, 2)
    sqlite_scene.resolve(incident, 3)
    sqlite_scene.consume(3)
    page = await agent.open(f"/en/console/incidents/{incident}/tickets")

    assert "The gateway is repaired." in page.text
    assert page.find("//p[@lang='pl']")[0].text_content().strip() == "Naprawiono bramkę."
    assert "the answer goes out" in page.text
    sqlite_scene.unlink("ZGL1000001", incident, 4)
    sqlite_scene.link("ZGL1000001", incident, 5)
    assert sqlite_scene.give(13) == [True]
    assert "1 request: 1 answered" in (await agent.open(page.path)).text


async def test_nothing_ticked_links_nothing_and_says_so(agent: Browser, sqlite_scene: Scene) -> None:
    sqlite_scene.file()
    incident = sqlite_scene.open_incident(1)
    path = f"/en/console/incidents/{incident}/tickets"
    page = await agent.open(path)
    page = await agent.post(path, [("csrf", page.find("//input[@name='csrf']/@value")[0])])

    assert "No request was ticked" in page.text


async def test_what_moved_on_meanwhile_is_told(agent: Browser, sqlite_scene: Scene) -> None:
    filed, other = sqlite_scene.file(), sqlite_scene.file(1)
    incident = sqlite_scene.open_incident(2)
    path = f"/en/console/incidents/{incident}/tickets"
    page = await agent.open(path)
    sqlite_scene.house.db.run_now(
        requests.solve, filed.number, "Done.", by="other", house=sqlite_scene.house, now=sqlite_scene.at(3)
    )
    ticked = [("csrf", page.find("//input[@name='csrf']/@value")[0])]
    page = await agent.post(path, [*ticked, ("number", filed.number), ("number", other.number)])

    assert "1 request is linked." in page.text
    assert "1 request was not linked" in page.text


async def test_more_suggestions_than_a_page_holds_are_linked_in_turns(
    agent: Browser, sqlite_scene: Scene
) -> None:
    for i in range(links.SHOWN + 2):
        sqlite_scene.file(i / 60, of=draft(email=f"c{i}@example.net"))
    incident = sqlite_scene.open_incident(4)
    path = f"/en/console/incidents/{incident}/tickets"
    page = await agent.open(path)
    assert f"The first {links.SHOWN} of {links.SHOWN + 2}" in page.text
    form = page.find("//form[@id='suggestions']")[0]
    page = await agent.post(path, form.form_values())

    assert f"{links.SHOWN} requests are linked." in page.text
    assert len(page.find("//input[@type='checkbox']")) == 2


async def test_an_unknown_ticket_or_incident_is_404(agent: Browser, sqlite_scene: Scene) -> None:
    assert (await agent.open("/en/console/tickets/ZGL1")).status == 404
    assert (await agent.open("/en/console/incidents/nosuchnotice/tickets")).status == 404


def test_the_panel_counts_what_still_moves(sqlite_scene: Scene) -> None:
    read = sqlite_scene.house.db.read_now
    assert read(console.panel).rows == ()
    sqlite_scene.file()
    sqlite_scene.link(sqlite_scene.file().number, sqlite_scene.open_incident(1), 2)

    panel = read(console.panel)
    assert dict(zip(panel.columns, panel.rows[0], strict=True)) == {
        "New": "1",
        "Being worked on": "0",
        "Waiting for the requester": "0",
        "Waiting for the end of an incident": "1",
        "Waiting for approval": "0",
        "Resolved": "0",
    }
