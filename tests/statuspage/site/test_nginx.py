"""The static copy read through a real nginx, with the configuration that docs/static-copy.md gives."""

import gzip
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import feedparser
import httpx
import pytest
from starlette.routing import WebSocketRoute

from statuspage.app import ALL_ROLES, Application
from statuspage.incidents.snapshot import PageSnapshot
from statuspage.kernel.house import House
from statuspage.kernel.i18n import LANGUAGES
from statuspage.site.outputs import Edition
from statuspage.site.static_site import Settled, write
from tests.nginx import serving_copy
from tests.statuspage.site.snapshots import HOUSE, NOW, archive, gateway_down
from tests.statuspage.site.test_news import ITEM
from tests.statuspage.site.test_pages import parsed

COPIED = replace(HOUSE, is_copy=True)
EDITION = Edition(replace(gateway_down(), news=(replace(ITEM, pictures=()),)), COPIED)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    directory = tmp_path_factory.mktemp("nginx")
    write(EDITION, directory / "site", default_language="pl")
    with serving_copy(directory / "site", directory) as url, httpx.Client(base_url=url) as client:
        yield client


@pytest.mark.parametrize("path", EDITION.page_paths())
def test_every_page_is_read_in_both_languages_and_without_one(client: httpx.Client, path: str) -> None:
    for language in LANGUAGES:
        answer = client.get(f"/{language}{path}")
        assert answer.status_code == 200, path
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert answer.headers["cache-control"] == "no-cache"
        live = EDITION.find(f"/{language}{path}")
        assert live is not None
        assert answer.content == live.body
    assert '<html lang="pl"' in client.get(path).text


def test_every_link_of_the_pages_is_answered(client: httpx.Client) -> None:
    # The graphs are written by the monitors' room: tests/monitors/test_latency_pages.py.
    of_the_monitors = re.compile(r"/(pl|en)/services/[^/]+/latency")
    links = set()
    for path in EDITION.page_paths():
        tree = parsed(client.get(f"/en{path}").text)
        links |= {
            str(link)
            for link in tree.xpath("//a/@href | //form/@action | //link/@href | //script/@src")
            if str(link).startswith("/")
        }
    assert len(links) > 40
    wanting = [
        link
        for link in sorted(links)
        if not of_the_monitors.match(link) and client.get(link).status_code != 200
    ]
    assert wanting == []


def test_what_is_asked_for_in_a_language_comes_in_it(client: httpx.Client) -> None:
    for path in (
        "/history.atom",
        "/services/NCTS2/history.rss",
        "/badge/NCTS2.svg",
        "/api/v2/incidents.json",
    ):
        for language in LANGUAGES:
            live = EDITION.find(f"{path}?lang={language}")
            assert live is not None
            answer = client.get(f"{path}?lang={language}")
            assert answer.content == live.body, path
            assert answer.headers["access-control-allow-origin"] == "*"
        assert client.get(f"{path}?lang=de").content == client.get(path).content
    assert client.get("/en/history?lang=pl").text == client.get("/en/history").text


def test_another_site_may_embed_the_widget_and_badges(client: httpx.Client) -> None:
    for path in ("/widget.js", "/widget/pl.json", "/badge/NCTS2.svg", "/services/NCTS2/outages.csv"):
        headers = client.get(path).headers
        assert headers["access-control-allow-origin"] == "*"
        assert headers["cross-origin-resource-policy"] == "cross-origin"


@pytest.mark.parametrize(("prefix", "language"), [("", "pl"), ("/pl", "pl"), ("/en", "en")])
def test_what_is_nowhere_and_what_needs_the_program_is_said_in_the_readers_language(
    client: httpx.Client, prefix: str, language: str
) -> None:
    for path, status in (
        ("/nosuch", 404),
        ("/incidents/nosuchid", 404),
        ("/subscribe", 503),
        ("/desk/new", 503),
    ):
        answer = client.get(f"{prefix}{path}")
        assert answer.status_code == status, path
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert answer.headers["cache-control"] == "no-cache"
        assert "frame-ancestors" in answer.headers["content-security-policy"]
        page = parsed(answer.text)
        assert page.xpath("//html/@lang") == [language]
        assert page.xpath("//main//a/@href") == [f"/{language}/", f"/{language}/contact"]
        assert answer.headers.get("retry-after") == ("60" if status == 503 else None)


def test_a_press_on_unsubscribe_is_not_taken_and_forgotten(client: httpx.Client) -> None:
    answer = client.post("/unsubscribe/a-token", data={"List-Unsubscribe": "One-Click"})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "60")


def test_every_address_of_the_program_is_known_to_the_configuration(
    client: httpx.Client, house: House
) -> None:
    routes = Application(house, ALL_ROLES).asgi._app.routes  # type: ignore[attr-defined]
    paths = {
        re.sub(r"\{[^}]*\}", "x", route.path) for route in routes if not isinstance(route, WebSocketRoute)
    }
    public = re.compile(r"/(history|services/x/latency.*|media/x)")  # what a copy has as files
    asked = sorted(path for path in paths if not public.fullmatch(path))
    assert len(asked) > 50
    assert [path for path in asked if client.get(path).status_code != 503] == []


def test_api_and_feeds_have_their_types_and_are_open_to_other_sites(client: httpx.Client) -> None:
    summary = client.get("/api/v2/summary.json", headers={"Origin": "https://other.example"})
    assert summary.headers["content-type"] == "application/json; charset=utf-8"
    assert summary.headers["access-control-allow-origin"] == "*"
    assert summary.json()["status"]["indicator"] != "none"
    assert client.get("/pl/").headers.get("access-control-allow-origin") is None
    for path, kind in (
        ("/history.atom", "atom+xml"),
        ("/news.atom", "atom+xml"),
        ("/history.rss", "rss+xml"),
    ):
        answer = client.get(path)
        assert kind in answer.headers["content-type"]
        assert feedparser.parse(answer.content).bozo == 0
        assert feedparser.parse(answer.content).entries
    assert client.get("/history.ics").headers["content-type"].startswith("text/calendar")


def test_the_compressed_twin_is_served_and_says_the_same(client: httpx.Client) -> None:
    answer = client.get("/pl/", headers={"Accept-Encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"
    live = EDITION.find("/pl/")
    assert live is not None
    assert live.gzip is not None
    assert gzip.decompress(live.gzip) == answer.content


def test_what_is_named_by_its_content_is_kept_for_ever_and_drafts_are_not_served(
    client: httpx.Client,
) -> None:
    sheet = parsed(client.get("/pl/").text).xpath("//link[@rel='stylesheet']/@href")[0]
    assert "immutable" in client.get(sheet).headers["cache-control"]
    assert client.get("/.published").status_code == 404
    assert client.get("/pl/incidents/nosuchid").status_code == 404


def test_pages_of_the_past_are_left_alone_until_what_they_tell_changes(tmp_path: Path) -> None:
    snapshot: PageSnapshot = archive()
    settled: Settled = {}
    write(Edition(snapshot, COPIED), tmp_path, default_language="pl", settled=settled)
    over = next(notice for notice in snapshot.incidents if not notice.is_open)
    page = tmp_path / f"pl/incidents/{over.id}/index.html"
    page.write_text("marked")
    later = replace(snapshot, built_at=NOW + timedelta(minutes=3))
    count = write(Edition(later, COPIED), tmp_path, default_language="pl", settled=settled)
    assert page.read_text() == "marked"
    assert count == sum(1 for line in (tmp_path / ".published").read_text().splitlines())
    assert "10:33" in (tmp_path / "pl/index.html").read_text()  # the present is made anew
    changed = replace(over, updates=())
    others = tuple(changed if notice is over else notice for notice in snapshot.incidents)
    write(Edition(replace(later, incidents=others), COPIED), tmp_path, default_language="pl", settled=settled)
    assert page.read_text() != "marked"
    page.unlink()
    write(Edition(replace(later, incidents=others), COPIED), tmp_path, default_language="pl", settled=settled)
    assert page.exists()
    tomorrow = replace(later, built_at=NOW + timedelta(days=1))
    page.write_text("marked")
    write(Edition(tomorrow, COPIED), tmp_path, default_language="pl", settled=settled)
    assert page.read_text() != "marked"
