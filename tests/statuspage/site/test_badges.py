"""Badges: valid, readable, as wide as what they say."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from statuspage.site import badges
from statuspage.site.charts import HUES
from tests.statuspage.site.test_look import contrast, tokens

SVG = "{http://www.w3.org/2000/svg}"


def parsed(name: str, css: str = "ok", word: str = "działa") -> etree._Element:
    return etree.fromstring(badges.svg(name, css, word))


@pytest.mark.parametrize("css", sorted(HUES))
def test_a_badge_says_the_status_in_word_and_shape_and_to_screen_readers(css: str) -> None:
    badge = parsed("NCTS2", css, "nie działa")
    assert badge.findtext(f"{SVG}title") == "NCTS2: nie działa"
    assert (badge.get("role"), badge.get("aria-label")) == ("img", "NCTS2: nie działa")
    assert [str(text.text) for text in badge.iter(f"{SVG}text")] == ["NCTS2", "nie działa"]
    assert badge.xpath("//*[local-name()='g']/*[local-name()='path']"), "a shape beside the word"


def test_each_status_has_a_shape_of_its_own() -> None:
    assert len(set(badges.SHAPES.values())) == len(badges.SHAPES) == len(HUES)


@pytest.mark.parametrize("css", sorted(HUES))
def test_white_words_can_be_read_on_each_hue_of_the_page(css: str) -> None:
    assert f"#{HUES[css]}" == tokens("light")[css], "the hue of the stylesheet"
    assert contrast(badges.INK, f"#{HUES[css]}") >= 4.5
    assert contrast(badges.INK, badges.GROUND) >= 4.5


@given(st.text(max_size=80), st.text(max_size=40))
def test_it_is_valid_whatever_it_is_named_and_nothing_lies_outside(name: str, word: str) -> None:
    badge = parsed(name, "down", word)
    width = int(badge.get("width", "0"))
    for text in badge.iter(f"{SVG}text"):
        assert int(text.get("x", "0")) + int(text.get("textLength", "0")) <= width - badges.PADDING
    assert badge.get("viewBox") == f"0 0 {width} {badges.HEIGHT}"


@pytest.mark.parametrize(
    ("text", "pixels"),
    [("", 0), ("i", 4), ("W", 12), ("NCTS2", 41), ("Zażółć", 40), ("łódź", 24), ("漢", 12)],
)
def test_text_is_measured_by_its_letters(text: str, pixels: int) -> None:
    assert abs(badges.width(text) - pixels) <= 1


@given(st.text("abcżółćWi .", max_size=30), st.text("abcżółćWi .", max_size=30))
def test_longer_text_is_never_narrower(one: str, other: str) -> None:
    assert badges.width(one) <= badges.width(one + other) <= badges.width(one) + badges.width(other)


def test_nothing_in_it_needs_a_style_or_a_script() -> None:
    assert not re.search(rb"style|<script|href|url\(", badges.svg('"><script>', "work", "&"))
