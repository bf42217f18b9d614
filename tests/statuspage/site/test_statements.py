"""Contact, accessibility statement and privacy notice from the settings."""

from dataclasses import replace

import pytest
from lxml import html

from statuspage.kernel.build import build
from statuspage.kernel.config import Settings
from statuspage.kernel.errors import Invalid
from statuspage.kernel.house import House
from statuspage.kernel.statements import Accessibility, Contact, Privacy, missing
from tests.statuspage.site.snapshots import HOUSE, all_green
from tests.statuspage.site.test_pages import parsed, said, text_of, tree_of

CONTACT = Contact(
    "+48 22 000 00 00", "całą dobę", "round the clock", "desk@customs.example", "A\nB", "- *faks*", "- *fax*"
)
STATEMENT = Accessibility(
    "The Chamber", "2026-01-02", "2026-03-04", "partial", "- Mapy", "- Maps", "2026-01-03", "2026-03-05",
    "", "Office", "a11y@customs.example", "+48 22 000 00 01", "The Director", "Bez progów", "No steps",
)  # fmt: skip
FILLED = replace(
    HOUSE,
    settings=replace(
        HOUSE.settings,
        contact=CONTACT,
        accessibility=STATEMENT,
        privacy=Privacy("The Chamber", "dpo@customs.example"),
    ),
)
# Technical conditions for the statement, version 2.0: what programs that read statements look for.
IDS = (
    *("deklaracja", "wstep", "podmiot", "url", "data-publikacja", "data-aktualizacja", "status"),
    *("data-sporzadzenie", "kontakt", "osoba", "email", "telefon", "procedura", "architektura", "aplikacje"),
)


def tree(path: str, language: str, house: House = FILLED) -> html.HtmlElement:
    return parsed(text_of(all_green(), path, language, house))


@pytest.mark.parametrize("language", ["pl", "en"])
def test_the_statement_has_every_prescribed_id_once(language: str) -> None:
    found = tree("/accessibility", language)
    for id in IDS:
        assert len(found.xpath(f"//*[@id='a11y-{id}']")) == 1, id
    assert found.xpath("//h1/@id") == ["a11y-deklaracja"]
    assert found.xpath("//time[@id='a11y-data-publikacja']/@datetime") == ["2026-01-02"]
    assert found.xpath("//*[@id='a11y-url']/@href") == [f"{HOUSE.settings.server.base_url}/{language}/"]


def test_the_statement_says_its_status_in_the_words_of_the_act() -> None:
    assert "częściowo zgodna z ustawą" in said(
        tree("/accessibility", "pl").xpath("//*[@id='a11y-status']")[0]
    )
    assert "Mapy" in said(tree("/accessibility", "pl").xpath("//*[@id='a11y-tresci-niedostepne']")[0])


def test_contacts_are_shown_in_the_readers_language_and_what_is_empty_is_left_out() -> None:
    page = tree("/contact", "en")
    assert page.xpath("//a[@href='tel:+48220000000']")
    assert "round the clock" in said(page.xpath("//main")[0])
    assert page.xpath("//em")[0].text == "fax"
    empty = said(tree("/contact", "en", HOUSE).xpath("//main")[0])
    assert "Telephone" not in empty
    assert "Help desk" in empty


def test_the_privacy_notice_is_true_of_this_product() -> None:
    words = said(tree("/privacy", "en").xpath("//main")[0])
    assert "The Chamber" in words
    assert "set no cookie" in words  # proved by test_outputs.test_a_page_and_its_assets_set_no_cookie


def test_every_public_page_leads_to_them() -> None:
    for path in ("/", "/history", "/news", "/maintenance", "/services/AES"):
        links = tree_of(all_green(), path).xpath("//footer//a/@href")
        assert {"/en/contact", "/en/accessibility", "/en/privacy"} <= set(links)


def test_whoever_runs_the_page_is_told_what_is_missing() -> None:
    assert list(missing(FILLED.settings)) == []
    lines = list(missing(Settings()))
    assert [line.partition("]")[0] for line in lines] == ["[contact", "[accessibility", "[privacy"]
    (one,) = missing(replace(FILLED.settings, privacy=Privacy("The Chamber")))
    assert one == "[privacy] officer: not filled in; /privacy is incomplete without"


@pytest.mark.parametrize("value", ["2026-13-01", "yesterday", "1.2.2026"])
def test_a_date_that_is_none_is_refused(value: str) -> None:
    with pytest.raises(Invalid) as refused:
        build(Settings, {"accessibility": {"published_on": value}}, where="f")
    assert refused.value.field == "f.accessibility.published_on"
