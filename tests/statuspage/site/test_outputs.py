"""What is answered from memory, in which language, and what goes on to the router."""

from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from statuspage.kernel.config import Settings
from statuspage.kernel.db import Database
from statuspage.kernel.house import House
from statuspage.kernel.i18n import Catalogues
from statuspage.kernel.net import Network
from statuspage.kernel.prepared import PAGE, prepare
from statuspage.kernel.security import Signer
from statuspage.site import pages
from statuspage.site.outputs import Edition, Front
from statuspage.site.static_site import write
from tests.statuspage.site import snapshots


@pytest.fixture
def edition(settings: Settings, sqlite_db: Database) -> Edition:
    house = House(settings, sqlite_db, Network(), Signer("x" * 32), Catalogues())
    return Edition(snapshots.one_down(), house)


async def beyond(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("beyond")(scope, receive, send)


@pytest.fixture
def client(edition: Edition) -> httpx.AsyncClient:
    front = Front(beyond, default_language="pl")
    front.edition = edition
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=front), base_url="http://status.example")


@pytest.mark.parametrize(
    ("path", "accepted", "language"),
    [
        ("/", None, "pl"),
        ("/", "en-GB,en;q=0.9", "en"),
        ("/", "de, pl;q=0.3", "pl"),
        ("/pl/", "en", "pl"),
        ("/en/", "pl", "en"),
        ("/en", "pl", "en"),
        ("/history", "en", "en"),
        ("/pl/history", "en", "pl"),
    ],
)
async def test_a_page_comes_in_the_language_asked_for(
    client: httpx.AsyncClient, path: str, accepted: str | None, language: str
) -> None:
    headers = {"Accept-Language": accepted} if accepted else {}
    answer = await client.get(path, headers=headers)
    assert answer.status_code == 200
    assert f'<html lang="{language}"' in answer.text
    assert "Accept-Language" in answer.headers["vary"]
    assert answer.headers["cache-control"] == "no-cache"


async def test_api_and_feeds_take_a_language_and_ignore_what_they_do_not_know(
    client: httpx.AsyncClient,
) -> None:
    default = await client.get("/api/v2/summary.json")
    assert (await client.get("/api/v2/summary.json?lang=pl")).text == default.text
    assert (await client.get("/api/v2/summary.json?lang=xx&cb=1")).text == default.text
    assert (await client.get("/api/v2/summary.json?lang=en")).text != default.text
    assert default.headers["access-control-allow-origin"] == "*"
    assert default.headers["cross-origin-resource-policy"] == "cross-origin"
    assert "max-age=10" in default.headers["cache-control"]
    for path in ("/history.atom", "/history.rss", "/history.ics"):
        assert (await client.get(path)).status_code == 200


async def test_a_page_and_its_assets_set_no_cookie(client: httpx.AsyncClient) -> None:
    for path in ["/pl/", *pages.assets()]:
        answer = await client.get(path)
        assert answer.status_code == 200
        assert "set-cookie" not in answer.headers
    assert "immutable" in answer.headers["cache-control"]


async def test_everything_else_goes_on_to_the_router(client: httpx.AsyncClient) -> None:
    for path in ("/desk/new", "/pl/desk/new", "/incidents/nosuchid", "/healthz", "/plenty"):
        assert (await client.get(path)).text == "beyond"
        assert (await client.post(path)).text == "beyond"


async def test_what_is_public_can_only_be_read(client: httpx.AsyncClient) -> None:
    for path in ("/", "/en/history", "/api/v2/summary.json", "/history.atom", *pages.assets()):
        answer = await client.post(path)
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


async def test_without_an_edition_everything_goes_on() -> None:
    transport = httpx.ASGITransport(app=Front(beyond, default_language="pl"))
    async with httpx.AsyncClient(transport=transport, base_url="http://status.example") as client:
        assert (await client.get("/")).text == "beyond"


async def test_every_notice_and_service_has_its_page(client: httpx.AsyncClient, edition: Edition) -> None:
    for notice in (*edition.snapshot.incidents, *edition.snapshot.maintenances):
        assert (await client.get(f"/en/incidents/{notice.id}")).status_code == 200
    for service in edition.snapshot.services:
        assert service.code in (await client.get(f"/services/{service.code}")).text


def test_the_static_site_holds_the_same_bytes_with_compressed_twins(edition: Edition, tmp_path: Path) -> None:
    write(edition, tmp_path, default_language="pl")
    front_page = edition.find("/pl/")
    assert front_page is not None
    assert (tmp_path / "index.html").read_bytes() == front_page.body
    assert (tmp_path / "pl/index.html.br").read_bytes() == front_page.brotli
    summary = edition.find("/api/v2/summary.json")
    assert summary is not None
    assert (tmp_path / "api/v2/summary.json").read_bytes() == summary.body
    for path in pages.assets():
        assert (tmp_path / path.lstrip("/")).exists()


def test_what_other_rooms_show_is_written_beside_it_and_removed_with_it(
    edition: Edition, tmp_path: Path
) -> None:
    graph = prepare(b"<svg/>", "image/svg+xml", cache=PAGE)
    path = "pl/services/NCTS2/latency/24h.svg"
    write(edition, tmp_path, default_language="pl", further=[(path, graph)])
    assert (tmp_path / path).read_bytes() == b"<svg/>"
    write(edition, tmp_path, default_language="pl")
    assert not (tmp_path / path).exists()
    assert (tmp_path / "pl/services/NCTS2/index.html").exists()


def test_writing_again_removes_what_is_no_longer_public_and_nothing_else(
    edition: Edition, tmp_path: Path
) -> None:
    write(edition, tmp_path, default_language="pl")
    (tmp_path / "incidents/mine.html").write_text("mine")
    gone = edition.snapshot.incidents[0].id
    assert (tmp_path / f"pl/incidents/{gone}/index.html.gz").exists()
    without = replace(edition.snapshot, incidents=edition.snapshot.incidents[1:])
    write(Edition(without, snapshots.HOUSE), tmp_path, default_language="pl")
    assert not (tmp_path / f"pl/incidents/{gone}").exists()
    assert not (tmp_path / f"incidents/{gone}").exists()
    assert (tmp_path / "incidents/mine.html").read_text() == "mine"
    assert (tmp_path / "index.html").exists()
    assert not list(tmp_path.rglob("*.new"))
