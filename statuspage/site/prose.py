"""What people write in updates, as safe HTML: Markdown without HTML, sanitised after that (abuse case 9)."""

from functools import cache, lru_cache

import nh3
from markdown_it import MarkdownIt
from markupsafe import Markup

_TAGS = {"p", "br", "ul", "ol", "li", "strong", "em", "code", "blockquote", "a", "hr"}


@cache
def _markdown() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": False, "breaks": True}).disable(["image", "heading", "lheading"])


@lru_cache(maxsize=1024)
def to_html(text: str) -> Markup:
    """`text` as paragraphs, lists and links. Nothing in it can run or load anything."""
    rendered = _markdown().render(text)
    return Markup(  # noqa: S704 - cleaned by nh3
        nh3.clean(
            rendered, tags=_TAGS, attributes={"a": {"href"}}, url_schemes={"http", "https", "mailto", "tel"}
        )
    )
