"""What people write, made safe to show."""

import lxml.html
import pytest
from hypothesis import given
from hypothesis import strategies as st

from statuspage.kernel.markdown import one_line, printable, to_html


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("We look for the **cause**.", "<p>We look for the <strong>cause</strong>.</p>"),
        ("one\ntwo", "<p>one<br>\ntwo</p>"),
        ("- a\n- b", "<ul>\n<li>a</li>\n<li>b</li>\n</ul>"),
        ("<b>1 < 2 & 3</b>", "<p>&lt;b&gt;1 &lt; 2 &amp; 3&lt;/b&gt;</p>"),
        ("[x](javascript:alert(1))", "<p>[x](javascript:alert(1))</p>"),
        ("", ""),
    ],
)
def test_markdown_becomes_html_and_html_becomes_text(text: str, html: str) -> None:
    assert to_html(text) == html


def test_a_direction_override_does_not_hide_behind_a_character_reference() -> None:
    assert to_html("a&#8238;b&#x200f;c") == "<p>abc</p>"


def test_links_lead_out_without_a_trace() -> None:
    [link] = lxml.html.fromstring(to_html("[x](https://example.org/?a=1&b=2)")).iter("a")
    assert link.get("href") == "https://example.org/?a=1&b=2"
    assert "noreferrer" in (link.get("rel") or "")


@given(st.text())
def test_no_text_makes_an_element_that_acts_or_loads(text: str) -> None:
    html = to_html(text)
    assert html == printable(html)
    if html:
        tree = lxml.html.fromstring(f"<div>{html}</div>")
        assert not tree.xpath("//script | //img | //iframe | //style | //form | //object | //svg | //@style")


@pytest.mark.parametrize(
    "character", ["\x00", "\x08", "\x1b", "\x7f", "\x85", "\u202e", "\u2066", "\ufffe", "\ud800"]
)
def test_control_and_bidi_characters_are_left_out(character: str) -> None:
    assert printable(f"a{character}b\t\n") == "ab\t\n"


def test_a_title_is_one_line() -> None:
    assert one_line(" NCTS2\r\nBcc: x\t\u2028y\x0bz ") == "NCTS2 Bcc: x yz"
