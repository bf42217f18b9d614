"""Answer times on the web: addresses, languages, and how seldom the database is asked."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from lxml import etree, html
from starlette.applications import Starlette

from monitors import graph, latency_pages
from monitors.answer_times import Period
from monitors.history import hour_of, write_hours
from monitors.latency import Rollup
from statuspage.kernel import clock
from statuspage.kernel.errors import Unavailable
from statuspage.kernel.house import House
from statuspage.kernel.web import EXCEPTION_HANDLERS, middleware
from tests.monitors.catalogues import declare

PORTAL = {"service": "NCTS2", "name": "portal", "kind": "http", "spec": {"url": "https://ncts2.example/"}}


@pytest.fixture
def measured(house: House) -> str:
    """NCTS2 has answered for two days; AES has not been measured. The id of the monitor."""
    now = clock.now()
    monitor = declare(house.db, ["NCTS2", "AES"], [PORTAL], now=now - timedelta(days=3))["NCTS2/portal"]
    for hours in range(1, 48):
        checks = [("ok", 40.0 + hours), ("ok", 80.0), ("slow", 400.0), ("failed", None)]
        start = hour_of(now) - timedelta(hours=hours)
        house.db.run_now(write_hours, start, [(monitor.id, Rollup.of(checks))])
    return monitor.id


@pytest.fixture
def reads(house: House, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The name of each verb that reads."""
    asked: list[str] = []
    read = house.db.read

    async def counting(verb: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        asked.append(verb.__name__)
        return await read(verb, *args, **kwargs)

    monkeypatch.setattr(house.db, "read", counting)
    return asked


@pytest.fixture
async def client(house: House) -> AsyncIterator[httpx.AsyncClient]:
    app = Starlette(
        routes=latency_pages.routes(),
        middleware=middleware(house.settings),
        exception_handlers=EXCEPTION_HANDLERS,
    )
    app.state.house = house
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://status.example") as client:
        yield client


def values(page: html.HtmlElement, path: str) -> list[str]:
    """The attributes or texts that an XPath finds."""
    found: Any = page.xpath(path)
    return [str(value) for value in found]


@pytest.mark.parametrize("period", Period)
async def test_a_graph_is_an_svg_that_anybody_may_embed(
    client: httpx.AsyncClient, measured: str, period: Period
) -> None:
    by_path = await client.get(f"/pl/services/NCTS2/latency/{period}.svg")
    assert by_path.status_code == 200
    assert etree.fromstring(by_path.content).tag == "{http://www.w3.org/2000/svg}svg"
    assert by_path.headers["content-type"] == "image/svg+xml"
    assert by_path.headers["content-security-policy"] == graph.CONTENT_SECURITY_POLICY
    assert by_path.headers["access-control-allow-origin"] == "*"
    assert by_path.headers["cross-origin-resource-policy"] == "cross-origin"
    assert by_path.headers["cache-control"] == "public, max-age=60"
    by_query = await client.get(f"/services/NCTS2/latency.svg?period={period}&lang=pl")
    assert by_query.content == by_path.content


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/services/NOTHING/latency", 404, ""),
        ("/services/NOTHING/latency.svg?period=7d", 404, ""),
        ("/services/NCTS2/latency/8d", 404, ""),
        ("/services/NCTS2/latency/8d.svg", 404, ""),
        ("/services/NCTS2/latency/7d.png", 404, ""),
        ("/services/NCTS2/latency.svg?period=8d", 422, "wybierz jedną z wartości: 24h, 7d, 30d, 90d"),
        ("/services/NCTS2/latency.svg?period=", 422, "period"),
        ("/services/NCTS2/latency.svg?period=7d&lang=de", 422, "wybierz jedną z wartości: pl, en"),
    ],
)
async def test_what_we_do_not_know_is_refused(
    client: httpx.AsyncClient, measured: str, path: str, status: int, said: str
) -> None:
    answer = await client.get(path)
    assert answer.status_code == status
    assert said in answer.text


@pytest.mark.parametrize("language", ["pl", "en"])
async def test_the_page_has_the_figures_of_the_graph_as_a_table(
    client: httpx.AsyncClient, measured: str, language: str
) -> None:
    page = html.document_fromstring((await client.get(f"/{language}/services/NCTS2/latency/7d")).text)
    assert page.get("lang") == language
    assert len(values(page, "//tbody/tr")) == 47
    assert values(page, "//main//img/@src") == [f"/{language}/services/NCTS2/latency/7d.svg"]
    assert "ms" in values(page, "//main//img/@alt")[0]
    (chosen,) = values(page, "//nav//ul//a[@aria-current='page']/@href")
    assert chosen == f"/{language}/services/NCTS2/latency/7d"
    hrefs = values(page, "//main//a/@href")
    assert f"/{language}/services/NCTS2" in hrefs
    assert values(page, "//link[@rel='canonical']/@href")[0].endswith(chosen)
    for href in hrefs:
        if "latency" in href:
            assert (await client.get(href)).status_code == 200


async def test_a_service_that_was_never_measured_says_so(client: httpx.AsyncClient, measured: str) -> None:
    page = (await client.get("/en/services/AES/latency")).text
    assert "Nothing answered in this time." in page
    assert "As soon as something is, it stands here." in page
    assert "Nothing answered" in (await client.get("/en/services/AES/latency/24h.svg")).text


async def test_the_database_is_asked_once_however_many_read(
    client: httpx.AsyncClient, measured: str, reads: list[str]
) -> None:
    paths = [
        "/pl/services/NCTS2/latency/7d",
        "/en/services/NCTS2/latency/7d.svg",
        "/services/NOTHING/latency",
    ]
    answers = await asyncio.gather(*(client.get(path) for path in paths * 20))
    assert {answer.status_code for answer in answers} == {200, 404}
    assert sorted(reads) == ["list_services", "read_series"]


async def test_after_a_minute_it_is_read_anew(
    client: httpx.AsyncClient, measured: str, reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    await client.get("/pl/services/NCTS2/latency")
    now = clock.monotonic()
    monkeypatch.setattr(clock, "monotonic", lambda: now + 59)
    await client.get("/pl/services/NCTS2/latency")
    assert reads.count("read_series") == 1
    monkeypatch.setattr(clock, "monotonic", lambda: now + 61)
    await client.get("/pl/services/NCTS2/latency")
    assert reads.count("read_series") == 2


async def test_while_the_database_cannot_be_read_the_last_is_shown(
    house: House, client: httpx.AsyncClient, measured: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await client.get("/pl/services/NCTS2/latency/24h.svg")

    async def locked(*_: object, **__: object) -> None:
        raise Unavailable("locked")

    monkeypatch.setattr(house.db, "read", locked)
    now = clock.monotonic()
    monkeypatch.setattr(clock, "monotonic", lambda: now + 90)
    assert (await client.get("/pl/services/NCTS2/latency/24h.svg")).content == before.content
    assert (await client.get("/pl/services/NCTS2/latency/7d.svg")).status_code == 503


async def test_what_is_remembered_is_bounded(
    client: httpx.AsyncClient, measured: str, reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(latency_pages, "KEPT", 2)
    for period in ("24h", "7d", "30d", "7d", "30d"):
        assert (await client.get(f"/pl/services/NCTS2/latency/{period}.svg")).status_code == 200
    assert reads.count("read_series") == 3, "the two asked for last are kept"
    await client.get("/pl/services/NCTS2/latency/24h.svg")
    assert reads.count("read_series") == 4


async def test_it_is_compressed_and_confirmed(client: httpx.AsyncClient, measured: str) -> None:
    answer = await client.get("/en/services/NCTS2/latency", headers={"Accept-Encoding": "br"})
    assert answer.headers["content-encoding"] == "br"
    again = await client.get("/en/services/NCTS2/latency", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    head = await client.head("/en/services/NCTS2/latency")
    assert (head.status_code, head.content) == (200, b"")


def test_a_published_site_has_every_graph_and_page(house: House, measured: str, now: datetime) -> None:
    written = house.db.read_now(
        lambda session: dict(
            latency_pages.static_files(session, house, now=clock.now(), default_language="pl")
        )
    )
    assert len(written) == 2 * (4 * (2 + 1) * 2 + 3)
    page = html.document_fromstring(written["en/services/NCTS2/latency/index.html"].body.decode())
    for source in values(page, "//main//img/@src"):
        assert source.lstrip("/") in written
    for href in values(page, "//nav//ul//a/@href"):
        assert f"{href.lstrip('/')}/index.html" in written
    assert written["services/NCTS2/latency.svg"].body == written["pl/services/NCTS2/latency/24h.svg"].body
    english = written["en/services/NCTS2/latency.svg"].body  # what `?lang=en` asks for
    assert english == written["en/services/NCTS2/latency/24h.svg"].body
