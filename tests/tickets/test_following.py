"""What a requester does with a request of theirs, on each database and as a browser without JavaScript."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statuspage.kernel.errors import Conflict, Invalid, NotFound
from tests.tickets.browser import Browser, Page
from tests.tickets.scene import Scene
from tickets import follow_pages, following, letters, levels, requests, storage
from tickets.clocks import Hours
from tickets.levels import Entered, Levels
from tickets.requests import Filed
from tickets.rules import FINAL, UNSOLVED, Kind, State, may_follow

MORE = "It is still refused, with another error."


def ask(scene: Scene, filed: Filed, minutes: float) -> None:
    now = scene.at(minutes)
    scene.house.db.run_now(requests.ask, filed.number, "Which MRN?", by="agent", house=scene.house, now=now)


def solve(scene: Scene, filed: Filed, minutes: float) -> None:
    now = scene.at(minutes)
    scene.house.db.run_now(requests.solve, filed.number, "Done.", by="agent", house=scene.house, now=now)


def write(scene: Scene, filed: Filed, minutes: float, body: str = MORE) -> None:
    now = scene.at(minutes)
    scene.house.db.run_now(following.write, filed.view_key, body, [], house=scene.house, now=now)


def follow_up(scene: Scene, filed: Filed, minutes: float, key: str | None = None) -> Filed:
    now = scene.at(minutes)
    return scene.house.db.run_now(
        following.follow_up, filed.view_key, MORE, submission=key, house=scene.house, now=now
    )


def close(scene: Scene, filed: Filed) -> None:
    solve(scene, filed, 1)
    scene.house.db.run_now(requests.close_resolved, now=scene.now + timedelta(days=15))
    assert scene.ticket(filed).state is State.CLOSED


def test_who_is_asked_back_is_told_by_mail_and_the_answer_opens_it_again(scene: Scene) -> None:
    filed = scene.file()
    ask(scene, filed, 1)
    assert scene.ticket(filed).state is State.PENDING_CUSTOMER
    (mail,) = scene.mails("ticket.question")
    assert "Which MRN?" in mail.text
    write(scene, filed, 2)
    found = scene.ticket(filed)
    assert found.state is State.OPEN
    assert [(m.author_kind, m.body) for m in found.messages][-1] == ("requester", MORE)


def test_words_open_what_was_solved_and_the_solution_stays_readable(scene: Scene) -> None:
    filed = scene.file()
    solve(scene, filed, 1)
    write(scene, filed, 2)
    found = scene.ticket(filed)
    assert (found.state, found.solution) == (State.OPEN, None)
    assert "Done." in [m.body for m in found.public_messages]


def test_words_in_an_open_request_change_no_state(scene: Scene) -> None:
    filed = scene.file()
    write(scene, filed, 1)
    assert scene.ticket(filed).state is State.NEW


def test_a_closed_request_goes_on_in_a_new_one(scene: Scene) -> None:
    filed = scene.file()
    close(scene, filed)
    with pytest.raises(Conflict, match="closed"):
        write(scene, filed, 3)
    later = follow_up(scene, filed, 4)
    assert later.number != filed.number
    before, _ = scene.house.db.read_now(following.related, later.ticket_id)
    _, after = scene.house.db.read_now(following.related, filed.ticket_id)
    assert before is not None
    assert (before.number, [other.number for other in after]) == (filed.number, [later.number])
    assert (scene.ticket(later).service_code, scene.ticket(later).kind) == ("NCTS2", Kind.FAILURE)
    assert scene.ticket(filed).state is State.CLOSED


def test_a_follow_up_sent_twice_is_one(scene: Scene) -> None:
    filed = scene.file()
    close(scene, filed)
    follow_up(scene, filed, 4, "the form's key")
    with pytest.raises(Conflict):
        follow_up(scene, filed, 5, "the form's key")
    _, after = scene.house.db.read_now(following.related, filed.ticket_id)
    assert len(after) == 1


def test_an_open_request_needs_no_follow_up(scene: Scene) -> None:
    with pytest.raises(Conflict, match="write in it"):
        follow_up(scene, scene.file(), 1)


def test_a_request_is_withdrawn_once(scene: Scene) -> None:
    filed = scene.file()
    scene.house.db.run_now(following.withdraw, filed.view_key, now=scene.at(1))
    assert scene.ticket(filed).state is State.WITHDRAWN
    with pytest.raises(Conflict, match="over already"):
        scene.house.db.run_now(following.withdraw, filed.view_key, now=scene.at(2))


@pytest.mark.parametrize("body", ["", "  \n ", "x" * 5001, "steer\u0007"])
def test_words_are_checked(scene: Scene, body: str) -> None:
    filed = scene.file()
    with pytest.raises(Invalid) as refused:
        write(scene, filed, 1, body)
    assert refused.value.field == "text"
    assert scene.ticket(filed).messages == ()


def test_an_unknown_key_finds_nothing(scene: Scene) -> None:
    with pytest.raises(NotFound):
        scene.house.db.run_now(following.withdraw, "nobody's", now=scene.now)


# --- service levels ---


LEVELS = Levels(Hours(ZoneInfo("Europe/Warsaw")), timedelta(hours=4), 20, 10)


@given(st.lists(st.sampled_from(list(State)), max_size=8))
def test_what_is_over_owes_nothing_and_what_waits_has_no_solution_due(states: list[State]) -> None:
    walked = [State.NEW]
    for state in states:
        if state is not walked[-1] and may_follow(walked[-1], state):
            walked.append(state)
    begin = datetime(2026, 11, 24, 9, tzinfo=UTC)
    entered = [Entered(state, begin + timedelta(minutes=n)) for n, state in enumerate(walked)]
    due = levels.due(LEVELS, Kind.QUESTION, begin, entered, is_answered=False)
    assert (due.answer_at is not None) == (walked[-1] in UNSOLVED)
    assert (due.solution_at is not None) == (walked[-1] in UNSOLVED - {State.PENDING_CUSTOMER})
    if walked[-1] in FINAL:
        assert due == levels.Due()


# --- as a person uses it ---


async def opened(browser: Browser, scene: Scene, filed: Filed) -> Page:
    return await browser.open("/en" + letters.request_path(scene.house, filed.view_key))


async def upload(browser: Browser, page: Page, *files: tuple[str, bytes], text: str = "") -> Page:
    sent = [("files", (name, content)) for name, content in files]
    response = await browser.client.post(
        page.path,
        data={"text": text, "action": "write"},
        files=sent,
        headers=browser.headers,
        follow_redirects=True,
    )
    return Page(response)


async def test_files_are_sent_listed_and_fetched_as_downloads(browser: Browser, sqlite_scene: Scene) -> None:
    filed = sqlite_scene.file()
    page = await opened(browser, sqlite_scene, filed)
    html = b"%PDF-1.7 <script>alert(1)</script>"
    page = await upload(browser, page, ("zażółć.pdf", html), text="The file that was refused.")
    assert page.status == 200
    assert "Added." in page.text
    (link,) = page.find("//ul[contains(@class,'files')]//a/@href")
    answer = await browser.client.get(link)
    assert answer.content == html
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment; filename*=UTF-8''za%C5%BC")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]
    other = await opened(browser, sqlite_scene, sqlite_scene.file())
    stolen = await browser.client.get(f"{other.path}/files/{link.rpartition('/')[2]}")
    assert stolen.status_code == 404


async def test_a_refused_file_keeps_what_was_typed(browser: Browser, sqlite_scene: Scene) -> None:
    filed = sqlite_scene.file()
    page = await opened(browser, sqlite_scene, filed)
    page = await upload(browser, page, ("virus.exe", b"MZ\x90\0"), text="My words")
    assert page.status == 422
    assert "virus.exe is not accepted" in page.text
    assert page.typed("text") == "My words"
    assert page.find("//a[@href='#files']")
    assert sqlite_scene.ticket(filed).messages == ()
    assert list(storage.directory(sqlite_scene.house.settings.data.dir).rglob("*")) == []


async def test_nothing_is_kept_of_what_a_closed_request_is_sent(
    browser: Browser, sqlite_scene: Scene
) -> None:
    filed = sqlite_scene.file()
    page = await opened(browser, sqlite_scene, filed)
    sqlite_scene.house.db.run_now(following.withdraw, filed.view_key, now=sqlite_scene.at(1))
    page = await upload(browser, page, ("a.pdf", b"%PDF-1.7"), text="Words")
    assert page.status == 409
    assert "This request is closed." in page.text
    assert list(storage.directory(sqlite_scene.house.settings.data.dir).rglob("*")) == []


async def test_an_agent_fetches_the_file_and_a_viewer_does_not(agent: Browser, sqlite_scene: Scene) -> None:
    filed = sqlite_scene.file()
    await upload(agent, await opened(agent, sqlite_scene, filed), ("a.txt", b"words"), text="See the file.")
    page = await agent.open(f"/en/console/tickets/{filed.number}")
    (link,) = page.find("//ul[contains(@class,'files')]//a/@href")
    assert (await agent.client.get(link)).content == b"words"
    agent.client.cookies.clear()
    assert (await agent.client.get(link)).status_code == 303


async def test_ask_back_answer_solve_reopen_withdraw_in_the_browser(
    agent: Browser, sqlite_scene: Scene
) -> None:
    filed = sqlite_scene.file()
    console = f"/en/console/tickets/{filed.number}"
    page = await agent.press(await agent.open(console), "ask", answer="Which MRN?")
    assert "until it is answered" in page.text
    mine = await opened(agent, sqlite_scene, filed)
    assert "We need something from you" in mine.text
    assert "does not run" in mine.text
    mine = await agent.press(mine, "write", text="26PL000000000000A1")
    assert "Being worked on" in mine.text
    assert "Solution by" in mine.text
    page = await agent.press(await agent.open(console), "solution", solution="Send it again.")
    mine = await opened(agent, sqlite_scene, filed)
    assert mine.find("//section[@aria-labelledby='solution']")
    mine = await agent.press(mine, "write", text="No, it is refused again.")
    assert not mine.find("//section[@aria-labelledby='solution']")
    mine = await agent.press(mine, "withdraw")
    assert "Withdrawn" in mine.text
    assert not mine.find("//button[@value='write']")
    mine = await agent.press(mine, "follow_up", text="It has come back after a month.")
    assert "Its number is" in mine.text
    assert f"It goes on from the request {filed.number}" in mine.text


async def test_a_network_that_floods_is_held_back_and_loses_nothing(
    browser: Browser, sqlite_scene: Scene
) -> None:
    filed = sqlite_scene.file()
    page = await opened(browser, sqlite_scene, filed)
    for _ in range(follow_pages.MESSAGES_A_NETWORK):
        await browser.post(page.path, [("text", ""), ("action", "write")])
    page = await browser.post(page.path, [("text", MORE), ("action", "write")])
    assert page.status == 429
    assert page.typed("text") == MORE
