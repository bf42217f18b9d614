"""What whoever waits at the border asks: what of my messages, is paper allowed, when do we hear from you."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from lxml import html

from statuspage.incidents.rules import FallbackState
from statuspage.incidents.snapshot import NoticeView
from statuspage.site import pages
from statuspage.site.evidence import Evidence, evidence
from statuspage.site.views import View
from tests.statuspage.site.snapshots import HOUSE, NOW, half_translated, on_paper, one_down, one_slow


def shown(notice: NoticeView, language: str = "en", *, after: timedelta = timedelta()) -> Evidence:
    return evidence(notice, View(on_paper(), language, HOUSE, NOW + after))


def parsed(page: str | None) -> Any:
    return html.fromstring(page or "")


def words(path: str, language: str = "en", *, snapshot=on_paper) -> str:  # type: ignore[no-untyped-def]
    page = pages.render(snapshot(), path, language, HOUSE, now=NOW)
    assert page is not None
    return " ".join(parsed(page).text_content().split())


(DOWN,) = on_paper().incidents
ALLOWED = DOWN.fallbacks[0]


def test_the_front_page_says_what_of_messages_and_whether_paper_is_allowed() -> None:
    page = words("/")
    assert "They must be sent again when the service works. Those sent today 07:30–07:45" in page
    assert "Paper is allowed: NCTS2 – Transit declaration, no. AW-2041" in page
    assert "Paper is no longer allowed: AES, no. AW-2042" in page
    polish = words("/", "pl")
    assert "Papier jest dozwolony: NCTS2 – Zgłoszenie tranzytowe, nr AW-2041" in polish


def test_where_nothing_is_declared_of_an_outage_that_is_the_answer() -> None:
    page = words("/", snapshot=one_down)
    assert "Not known yet. Keep the confirmations you have" in page
    assert "No permission has been declared" in page
    assert "Paper (fallback procedure)" not in words("/", snapshot=one_slow)


def test_the_incidents_page_has_the_whole_declaration_and_the_ones_it_replaced() -> None:
    page = words(f"/incidents/{DOWN.id}")
    for said in (
        "Number to quoteAW-2041",
        "Article 6(3) UCC",
        "printed form",
        "AW-2040",
        "Not affected CRPA",
    ):
        assert said in page


@pytest.mark.parametrize(
    ("changes", "after_h", "word", "permitted", "left"),
    [
        ({}, 0, "Paper is allowed", True, None),
        ({}, 6, "The permission to use paper has ended", False, timedelta(days=7)),
        ({}, 6 + 24, "The permission to use paper has ended", False, timedelta(days=6)),
        ({}, 6 + 24 * 8, "The permission to use paper has ended", False, None),
        (
            {"begins_at": NOW + timedelta(hours=1)},
            0,
            "Paper will be allowed",
            False,
            timedelta(days=7, hours=6),
        ),
        ({"ends_at": None}, 1000, "Paper is allowed", True, None),
        ({"state": FallbackState.NOT_NEEDED}, 0, "Paper is not needed", False, None),
        (
            {"state": FallbackState.WITHDRAWN, "withdrawn_at": NOW},
            1,
            "Paper is no longer allowed",
            False,
            timedelta(days=6, hours=23),
        ),
    ],
)
def test_paper_is_allowed_from_its_beginning_to_its_end_and_then_the_data_is_due(
    changes: dict[str, object], after_h: int, word: str, permitted: bool, left: timedelta | None
) -> None:
    notice = replace(DOWN, fallbacks=(replace(ALLOWED, **changes),))  # type: ignore[arg-type]
    (paper,) = shown(notice, after=timedelta(hours=after_h)).papers
    assert (paper.word, paper.is_permitted, paper.remaining) == (word, permitted, left)


def test_a_promise_that_was_not_kept_is_admitted() -> None:
    late = replace(DOWN, next_update_at=NOW - timedelta(minutes=1))
    assert shown(late).is_late
    assert not shown(DOWN).is_late
    assert not shown(replace(late, resolved_at=NOW)).is_late


def test_what_is_not_translated_yet_is_read_in_the_other_language_and_marked_as_such() -> None:
    page = pages.render(half_translated(), f"/incidents/{DOWN.id}", "en", HOUSE, now=NOW)
    tree = parsed(page)
    assert [e.text_content().strip() for e in tree.xpath("//h1//*[@lang='pl']")] == [
        "Bramka PUESC nie przyjmuje komunikatów"
    ]
    (text,) = tree.xpath("//ol[@class='timeline']//div[@class='text'][@lang='pl']")
    assert "Winna jest zapora." in text.text_content()
    assert "So far in Polish only:" in tree.text_content()
    polish = pages.render(half_translated(), f"/incidents/{DOWN.id}", "pl", HOUSE, now=NOW)
    assert parsed(polish).xpath("//main//*[@lang]") == []


def test_an_incident_that_became_part_of_another_leads_there() -> None:
    snapshot = replace(on_paper(), merged={"abcabcabcabc": DOWN.id})
    page = pages.render(snapshot, "/incidents/abcabcabcabc", "en", HOUSE, now=NOW) or ""
    assert "turned out to be part of this one" in page
    assert f'rel="canonical" href="{HOUSE.settings.server.base_url}/en/incidents/{DOWN.id}"' in page
