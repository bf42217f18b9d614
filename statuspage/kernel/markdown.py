"""What people wrote, made safe to show: Markdown as HTML, without characters that break documents."""

import re
from functools import lru_cache

import nh3
from markdown_it import MarkdownIt

_MARKDOWN = MarkdownIt("commonmark", {"html": False, "breaks": True}).disable(
    ["image", "heading", "lheading"]  # an update stands under headings of the page
)
_TAGS = {
    "p",
    "br",
    "ul",
    "ol",
    "li",
    "strong",
    "em",
    "code",
    "pre",
    "blockquote",
    "a",
    "hr",
}
_SCHEMES = {"http", "https", "mailto", "tel"}

# What XML 1.0 section 2.2 cannot carry, and the marks that turn the direction of what follows them.
_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff"
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)


def printable(text: str) -> str:
    """`text` without control and bidirectional characters; line breaks and tabs stay."""
    return _UNPRINTABLE.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def one_line(text: str) -> str:
    """`printable`, for titles: on one line, single spaces."""
    return " ".join(printable(text).split())


@lru_cache(maxsize=2048)
def to_html(text: str) -> str:
    """Markdown as safe HTML: raw HTML is shown as text, images are left out, the rest is sanitised."""
    rendered = _MARKDOWN.render(printable(text))
    # Once more, because Markdown turns `&#8238;` into the character itself.
    return printable(
        nh3.clean(rendered, tags=_TAGS, attributes={"a": {"href"}}, url_schemes=_SCHEMES)
    ).strip()
