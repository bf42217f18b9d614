"""The static copy read through a real nginx, with the configuration that docs/static-copy.md gives."""

import gzip
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import feedparser
import httpx
import pytest

from statuspage.incidents.snapshot import PageSnapshot
from statuspage.kernel.i18n import LANGUAGES
from statuspage.site.outputs import Edition
from statuspage.site.static_site import Settled, write
from tests.documentation import ROOT
from tests.statuspage.site.snapshots import HOUSE, NOW, archive, gateway_down
from tests.statuspage.site.test_news import ITEM
from tests.statuspage.site.test_pages import parsed

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/sbin")
EDITION = Edition(replace(gateway_down(), news=(replace(ITEM, pictures=()),)), HOUSE)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def configuration(directory: Path, port: int) -> str:
    """The document's words, on a port and in a directory of the test's own."""
    text = (ROOT / "docs" / "static-copy.md").read_text(encoding="utf-8")
    (found,) = re.findall(r"```nginx\n(.*?)```", text, re.DOTALL)
    http = found.replace("listen 80;", f"listen 127.0.0.1:{port};").replace(
        "/srv/status", f"{directory}/site"
    )
    temporary = "".join(
        f"{name}_temp_path {directory}/{name};"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return (
        f"daemon off; master_process off; pid {directory}/pid; error_log stderr;"
        f"events {{}}\nhttp {{ access_log off; {temporary}\n{http}\n}}\n"
    )


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    if NGINX is None:
        pytest.fail("nginx is missing; install the package nginx-light (make install does where it may)")
    directory, port = tmp_path_factory.mktemp("nginx"), free_port()
    write(EDITION, directory / "site", default_language="pl")
    (directory / "nginx.conf").write_text(configuration(directory, port))
    process = subprocess.Popen([NGINX, "-p", str(directory), "-c", str(directory / "nginx.conf")])
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        for _ in range(100):
            try:
                client.get("/")
                break
            except httpx.TransportError:
                time.sleep(0.05)
        yield client
    process.terminate()
    process.wait()


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


def test_every_link_of_the_pages_that_a_copy_can_answer_is_answered(client: httpx.Client) -> None:
    # The graphs are written by the monitors' room: tests/monitors/test_latency_pages.py.
    needs_the_program = re.compile(r"/(pl|en)/(subscribe|desk|services/[^/]+/latency)|/live")
    links = set()
    for path in EDITION.page_paths():
        tree = parsed(client.get(f"/en{path}").text)
        links |= {
            str(link)
            for link in tree.xpath("//a/@href | //link/@href | //script/@src")
            if str(link).startswith("/")
        }
    assert len(links) > 40
    wanting = [
        link
        for link in sorted(links)
        if not needs_the_program.match(link) and client.get(link).status_code != 200
    ]
    assert wanting == []


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
    assert client.get("/console").status_code == 404


def test_pages_of_the_past_are_left_alone_until_what_they_tell_changes(tmp_path: Path) -> None:
    snapshot: PageSnapshot = archive()
    settled: Settled = {}
    write(Edition(snapshot, HOUSE), tmp_path, default_language="pl", settled=settled)
    over = next(notice for notice in snapshot.incidents if not notice.is_open)
    page = tmp_path / f"pl/incidents/{over.id}/index.html"
    page.write_text("marked")
    later = replace(snapshot, built_at=NOW + timedelta(minutes=3))
    count = write(Edition(later, HOUSE), tmp_path, default_language="pl", settled=settled)
    assert page.read_text() == "marked"
    assert count == sum(1 for line in (tmp_path / ".published").read_text().splitlines())
    assert "10:33" in (tmp_path / "pl/index.html").read_text()  # the present is made anew
    changed = replace(over, updates=())
    others = tuple(changed if notice is over else notice for notice in snapshot.incidents)
    write(Edition(replace(later, incidents=others), HOUSE), tmp_path, default_language="pl", settled=settled)
    assert page.read_text() != "marked"
    page.unlink()
    write(Edition(replace(later, incidents=others), HOUSE), tmp_path, default_language="pl", settled=settled)
    assert page.exists()
    tomorrow = replace(later, built_at=NOW + timedelta(days=1))
    page.write_text("marked")
    write(Edition(tomorrow, HOUSE), tmp_path, default_language="pl", settled=settled)
    assert page.read_text() != "marked"
