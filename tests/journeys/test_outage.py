"""An outage is detected, published, broadcast and resolved, as those see it whom it concerns."""

import asyncio
import json
import re
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import feedparser
import httpx
import pytest
import websockets
from playwright.sync_api import Page, expect

from tests.journeys.demo_process import Demo, plain, until
from tests.statuspage.site.exporter import exporter, scraped


@pytest.fixture(autouse=True)
def _begin_and_end_green(demo: Demo) -> Iterator[None]:
    until("an all-green page", demo.all_green)
    yield
    for code in ("NCTS2", "PUESC", "EMCS"):
        demo.restore(code)
    until("everything to work again", lambda: demo.all_green() and not demo.unresolved())


def subscribe(demo: Demo, address: str, language: str = "pl") -> None:
    """On the page and by the confirmation mail, without a browser."""
    origin = {"Origin": demo.base_url}
    asked = httpx.post(
        f"{demo.base_url}/{language}/subscribe", data={"email": address, "language": language}, headers=origin
    )
    assert asked.status_code in (200, 303)
    mail = until("the confirmation mail", lambda: next(iter(demo.mails_to(address)), None))
    link = first_link(mail)
    assert link.startswith(f"{demo.base_url}/subscriptions/")
    assert link.endswith("/confirm")
    assert httpx.get(link).status_code == 200
    confirmed = httpx.post(link, headers=origin)
    assert confirmed.status_code in (200, 303)


def first_link(mail: object) -> str:
    match = re.search(r"https?://\S+", plain(mail))  # type: ignore[arg-type]
    assert match
    return match[0]


def subjects(demo: Demo, address: str) -> list[str]:
    return [str(mail["Subject"]) for mail in demo.mails_to(address)]


async def listen(demo: Demo, kinds: list[str], stop_at: str) -> None:
    url = demo.base_url.replace("http", "ws") + "/live"
    async with websockets.connect(url) as live:
        while stop_at not in kinds:
            kinds.append(json.loads(await live.recv())["type"])


def test_breaking_ncts2_turns_the_open_page_red_and_restoring_it_green(demo: Demo, page: Page) -> None:
    page.goto("/en/")
    headline = page.locator("h1")
    before = headline.inner_text()
    demo.break_service("NCTS2")
    expect(headline).to_contain_text("NCTS2", timeout=20_000)
    (incident,) = demo.unresolved()
    expect(page.locator("main")).to_contain_text(incident["x_customs"]["name_en"])
    demo.restore("NCTS2")
    expect(headline).to_have_text(before, timeout=20_000)
    until("the incident to be resolved", lambda: not demo.unresolved())


def test_feed_websocket_and_mail_tell_of_the_outage_and_of_its_end(demo: Demo) -> None:
    subscribe(demo, "agent@example.net")
    kinds: list[str] = []

    async def watch() -> None:
        async with asyncio.timeout(90):
            listener = asyncio.create_task(listen(demo, kinds, "incident.resolved"))
            while "snapshot" not in kinds:
                await asyncio.sleep(0.05)
            await asyncio.to_thread(demo.break_service, "NCTS2")
            while "incident.created" not in kinds and "incident.reopened" not in kinds:
                await asyncio.sleep(0.05)
            await asyncio.to_thread(
                until, "the outage mail", lambda: len(subjects(demo, "agent@example.net")) >= 2
            )
            await asyncio.to_thread(demo.restore, "NCTS2")
            await listener

    with ThreadPoolExecutor(1) as pool:  # a browser of another test may have left its loop in this thread
        pool.submit(asyncio.run, watch()).result()
    assert kinds[0] == "snapshot"
    assert "component.updated" in kinds
    (incident, *_) = demo.api("incidents")["incidents"]
    for address in ("/history.atom", "/history.rss"):
        feed = until(
            f"the end in {address}",
            lambda address=address: next(  # type: ignore[misc]
                (
                    e
                    for e in feedparser.parse(httpx.get(demo.base_url + address).content).entries
                    if incident["name"] in e.title
                ),
                None,
            ),
        )
        assert incident["id"] in feed.link
    told = until(
        "the mail that it works again",
        lambda: s if len(s := subjects(demo, "agent@example.net")) >= 3 else None,
    )
    assert "NCTS2" in told[1]
    assert "NCTS2" in told[-1]
    mail = demo.mails_to("agent@example.net")[1]
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    link = mail["List-Unsubscribe"].strip("<>")
    assert httpx.get(link).status_code == 200
    assert httpx.post(link, data={"List-Unsubscribe": "One-Click"}).status_code == 200
    count = len(subjects(demo, "agent@example.net"))
    demo.break_service("EMCS")
    until("another incident", demo.unresolved)
    demo.restore("EMCS")
    until("its end", lambda: not demo.unresolved())
    assert len(subjects(demo, "agent@example.net")) == count


def test_breaking_the_gateway_opens_one_incident_with_its_children_impacted(demo: Demo, page: Page) -> None:
    subscribe(demo, "gateway@example.net")
    before = {incident["id"] for incident in demo.api("incidents")["incidents"]}
    demo.break_service("PUESC")
    children = ("NCTS2", "AES", "AIS", "ICS2", "SENT", "INTRASTAT", "EMCS")
    until("PUESC down", lambda: demo.component("PUESC") in ("partial_outage", "major_outage"))
    until("impacted children", lambda: all(demo.component(code) != "operational" for code in children))
    (incident,) = demo.unresolved()
    assert "PUESC" in incident["name"]
    page.goto("/pl/")
    expect(page.locator("h1")).to_contain_text("PUESC", timeout=20_000)
    demo.restore("PUESC")
    until("the end", lambda: demo.all_green() and not demo.unresolved())
    after = {incident["id"] for incident in demo.api("incidents")["incidents"]}
    assert len(after - before) <= 1
    told = until("both mails", lambda: s if len(s := subjects(demo, "gateway@example.net")) >= 3 else None)
    assert len(told) == 3, f"a confirmation, the outage, its end; no storm: {told}"


@pytest.mark.parametrize("how", ["timeout", "reset", "tls", "body"])
def test_every_kind_of_fault_is_an_outage(demo: Demo, how: str) -> None:
    demo.break_service("NCTS2", how)
    until(f"NCTS2 broken by {how}", lambda: demo.component("NCTS2") in ("partial_outage", "major_outage"))


def test_a_slow_service_is_shown_as_slow_and_is_no_incident(demo: Demo) -> None:
    demo.break_service("NCTS2", "slow")
    until("NCTS2 slow", lambda: demo.component("NCTS2") == "degraded_performance")
    assert demo.unresolved() == []


def test_the_prometheus_exporter_reads_the_demo_unchanged(demo: Demo, tmp_path: Path) -> None:
    demo.break_service("NCTS2")
    (incident,) = until("the incident", demo.unresolved)
    with exporter(f"{demo.base_url}/api/v2/summary.json", tmp_path) as metrics_url:
        found = scraped(metrics_url, "statuspage_incident_info", "statuspage_component_status")
    assert found["statuspage_component_status"]["NCTS2"][0] == 0
    assert found["statuspage_component_status"]["ISZTAR4"][0] == 1
    assert incident["id"] in found["statuspage_incident_info"]


def test_an_officer_without_a_browser_opens_updates_and_resolves(demo: Demo) -> None:
    config = ["--config", demo.config_file]
    texts = ["--text-pl", "Sprawdzamy.", "--text-en", "We look into it."]
    names = ["--title-pl", "ISZTAR4 nie działa", "--title-en", "ISZTAR4 does not work"]
    incident_id = demo.command(
        "incident", "open", *config, "--service", "ISZTAR4=partial_outage", *names, *texts
    ).strip()
    until(
        "the incident on the page", lambda: "ISZTAR4 does not work" in httpx.get(f"{demo.base_url}/en/").text
    )
    demo.command("incident", "update", incident_id, *config, *texts, "--status", "identified")
    until("the update", lambda: [i["status"] for i in demo.unresolved()] == ["identified"])
    assert incident_id in demo.command("incident", "list", *config, "--unresolved")
    demo.command("incident", "resolve", incident_id, *config, *texts)
    until("the end", lambda: not demo.unresolved())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["demo", "break", "NOSUCH"], "NOSUCH"),
        (["incident", "resolve", "nosuchid", "--text-pl", "x", "--text-en", "x"], "nosuchid"),
        (
            [
                "incident",
                "open",
                "--service",
                "NCTS2=broken",
                "--title-pl",
                "x",
                "--title-en",
                "x",
                "--text-pl",
                "x",
                "--text-en",
                "x",
            ],
            "NCTS2=broken",
        ),
        (["incident", "list", "--nonsense"], "--nonsense"),
    ],
)
def test_an_error_is_one_line_and_exit_status_two(demo: Demo, words: list[str], said: str) -> None:
    where = ["--data", str(demo.data_dir)] if words[0] == "demo" else ["--config", demo.config_file]
    done = demo.try_command(*words, *where)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_second_server_on_the_same_directory_refuses_and_names_the_first(demo: Demo) -> None:
    done = demo.try_command("serve", "--config", demo.config_file)
    assert done.returncode == 2
    assert demo.process is not None
    assert str(demo.process.pid) in done.stderr


def test_a_demo_killed_in_an_outage_goes_on_where_it_was(tmp_path: Path) -> None:
    own = Demo(tmp_path / "data")
    own.start()
    own.break_service("NCTS2")
    (before,) = until("the incident", own.unresolved)
    own.stop(signal.SIGKILL)
    own.start()  # the simulator is new and whole
    until("the end of the same incident", lambda: not own.unresolved())
    newest = own.api("incidents")["incidents"][0]
    assert (newest["id"], newest["status"]) == (before["id"], "resolved")
    own.stop()
