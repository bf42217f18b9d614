"""What browsers, crawlers and programs ask for by name."""

from lxml import etree

from statuspage.kernel.prepared import SHORT
from statuspage.site import files, pages
from tests.statuspage.site.snapshots import HOUSE, NOW, gateway_down

MAP = "{http://www.sitemaps.org/schemas/sitemap/0.9}"


def file(path: str, language: str = "pl") -> files.File:
    found = files.render(gateway_down(), path, language, HOUSE, now=NOW)
    assert found is not None, path
    return found


def test_every_file_that_is_announced_is_there_and_no_other() -> None:
    for path in files.paths(gateway_down()):
        assert file(path).body
    assert files.render(gateway_down(), "/nothing.txt", "pl", HOUSE, now=NOW) is None


def test_crawlers_are_kept_out_of_what_is_personal_and_shown_the_map() -> None:
    lines = file("/robots.txt").body.decode().splitlines()
    assert "Disallow: /pl/desk" in lines
    assert "Disallow: /console" in lines
    assert lines[-1] == f"Sitemap: {HOUSE.settings.server.base_url}/sitemap.xml"


def test_the_map_names_every_page_in_both_languages_and_each_ones_twin() -> None:
    found = file("/sitemap.xml")
    urls = [url.text for url in etree.fromstring(found.body).iter(f"{MAP}loc")]
    base = HOUSE.settings.server.base_url
    assert urls == [
        f"{base}/{x}{path}" for path in pages.paths(gateway_down(), HOUSE.settings.zone) for x in ("pl", "en")
    ]
    twins = etree.fromstring(found.body).iter("{http://www.w3.org/1999/xhtml}link")
    assert {twin.get("hreflang") for twin in twins} == {"pl", "en"}
    assert found.cache == SHORT
