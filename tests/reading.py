"""What a page says in English to somebody who reads Polish."""

import re
from functools import cache

from babel.messages.pofile import read_po
from lxml import html
from lxml.html import HtmlElement

from statuspage.kernel.i18n import LOCALE

_PLACEHOLDER = re.compile(r"%\\\((?:\w+)\\\)s|%\((?:\w+)\)s")
_WORDS = 3  # fewer may stand in a Polish sentence, too


@cache
def _sentences() -> dict[str, re.Pattern[str]]:
    """Every English message that has so many words, and what it looks like with its values."""
    found: dict[str, re.Pattern[str]] = {}
    for path in sorted((LOCALE / "pl" / "LC_MESSAGES").glob("*.po")):
        with path.open("rb") as file:
            for message in read_po(file, locale="pl"):
                for text in message.id if isinstance(message.id, (tuple, list)) else (message.id,):
                    if len(_PLACEHOLDER.sub("", text).split()) >= _WORDS:
                        found[text] = re.compile(_PLACEHOLDER.sub(".+", re.escape(text)), re.IGNORECASE)
    return found


def english_on(page: str) -> list[str]:
    """The messages of ours that stand on it in English, but for what is marked as English there."""
    tree: HtmlElement = html.fromstring(page)
    (body,) = tree.xpath("//body")
    for marked in body.xpath(".//*[@lang='en'] | .//script | .//style"):
        marked.drop_tree()
    blocks = body.xpath(".//text()/..")
    said = {" ".join(block.text_content().split()) for block in blocks if len(block.text_content()) < 2000}
    text = "\n".join(sorted(said))
    return sorted(sentence for sentence, pattern in _sentences().items() if pattern.search(text))
