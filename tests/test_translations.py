"""Every sentence that a template or a module shows exists in Polish, complete, with the same placeholders."""

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from babel.messages.catalog import Message
from babel.messages.pofile import read_po
from jinja2.ext import babel_extract

from statuspage.incidents import words
from statuspage.kernel.i18n import LOCALE, TEMPLATES, Catalogues

HOUSE = TEMPLATES.parent
ROOMS = ("statuspage", "monitors", "notifiers", "tickets")
POLISH = sorted((LOCALE / "pl" / "LC_MESSAGES").glob("*.po"))
PLACEHOLDER = re.compile(r"%\((\w+)\)s")
# Functions that take a message: how many of their text arguments are messages.
TRANSLATORS = {"_": 1, "gettext": 1, "translate": 1, "ngettext": 2}


@dataclass(frozen=True)
class Found:
    """A message in the source."""

    where: str
    singular: str
    plural: str | None = None


def in_templates() -> Iterator[Found]:
    for path in sorted(TEMPLATES.rglob("*.*")):
        if path.suffix not in (".html", ".txt", ".md"):
            continue
        with path.open("rb") as file:
            options = {
                "trim_blocks": "true",
                "lstrip_blocks": "true",
                "silent": "false",
                "extensions": "jinja2.ext.i18n",
            }
            for line, _, message, _ in babel_extract(file, ("_", "gettext", "ngettext"), [], options):
                where = f"{path.relative_to(HOUSE)}:{line}"
                if not message:
                    continue  # held to account below
                parts = (message,) if isinstance(message, str) else message
                yield Found(where, str(parts[0]), parts[1] if len(parts) > 1 else None)


def in_modules() -> Iterator[Found]:
    for room in ROOMS:
        for path in sorted((HOUSE / room).rglob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
                name = getattr(call.func, "attr", getattr(call.func, "id", ""))
                texts = [
                    a.value for a in call.args if isinstance(a, ast.Constant) and isinstance(a.value, str)
                ]
                if name in TRANSLATORS and len(texts) >= TRANSLATORS[name]:
                    where = f"{path.relative_to(HOUSE)}:{call.lineno}"
                    yield Found(where, texts[0], texts[1] if TRANSLATORS[name] == 2 else None)


def in_words() -> Iterator[Found]:
    for table in words.MSGIDS.values():
        yield from (Found("statuspage/incidents/words.py", msgid) for msgid in table.values())


def polish() -> dict[str, tuple[Path, Message]]:
    found: dict[str, tuple[Path, Message]] = {}
    for path in POLISH:
        for message in messages(path):
            singular = message.id[0] if isinstance(message.id, (tuple, list)) else message.id
            found[str(singular)] = (path, message)
    return found


def messages(path: Path) -> list[Message]:
    with path.open("rb") as file:
        return [message for message in read_po(file, locale="pl") if message.id]


def strings(message: Message) -> tuple[str, ...]:
    return tuple(message.string) if isinstance(message.string, (tuple, list)) else (str(message.string),)


def missing(found: Iterable[Found]) -> list[str]:
    known = polish()
    return [f"{one.where}: {one.singular!r}" for one in found if one.singular not in known]


def test_the_search_finds_what_is_there() -> None:
    templates, modules = list(in_templates()), list(in_modules())
    assert any(one.singular == "All services" for one in templates)
    assert any(one.plural for one in templates)
    assert any(one.singular == "All services work" for one in modules)
    assert any(one.plural for one in modules)


@pytest.mark.parametrize("path", sorted(TEMPLATES.rglob("*.html")), ids=lambda path: path.name)
def test_underscore_takes_only_what_is_written_out(path: Path) -> None:
    """`_(variable)` would make Markup of anybody's text; `{{ variable|translated }}` is escaped."""
    assert re.findall(r"\b_\((?![\"'])[^)]*\)", path.read_text(encoding="utf-8")) == []


def test_every_sentence_of_the_templates_is_in_polish() -> None:
    assert missing(in_templates()) == []


def test_every_sentence_of_the_modules_is_in_polish() -> None:
    assert missing(in_modules()) == []


def test_every_status_has_a_polish_word() -> None:
    assert missing(in_words()) == []


def test_a_sentence_counted_in_english_is_counted_in_polish() -> None:
    known = polish()
    for one in (*in_templates(), *in_modules()):
        if one.plural:
            message = known[one.singular][1]
            assert message.pluralizable, f"{one.where}: {one.singular!r} has no plural in Polish"
            assert message.id[1] == one.plural, (
                f"{one.where}: another plural than in {known[one.singular][0].name}"
            )


@pytest.mark.parametrize("path", POLISH, ids=lambda path: path.name)
def test_a_catalogue_is_complete(path: Path) -> None:
    for message in messages(path):
        assert not message.fuzzy, f"{message.id!r} is fuzzy"
        assert len(strings(message)) == (3 if message.pluralizable else 1), f"{message.id!r}"
        assert all(text.strip() for text in strings(message)), f"{message.id!r} is empty"


@pytest.mark.parametrize("path", POLISH, ids=lambda path: path.name)
def test_placeholders_are_those_of_the_source(path: Path) -> None:
    for message in messages(path):
        ids = message.id if isinstance(message.id, (tuple, list)) else (message.id,)
        wanted = set(PLACEHOLDER.findall(" ".join(map(str, ids))))
        for text in strings(message):
            assert set(PLACEHOLDER.findall(text)) == wanted, f"{message.id!r}: {text!r}"


def test_no_sentence_has_two_translations() -> None:
    seen: dict[str, tuple[Path, tuple[str, ...]]] = {}
    for path in POLISH:
        for message in messages(path):
            singular = str(message.id[0] if isinstance(message.id, (tuple, list)) else message.id)
            first = seen.setdefault(singular, (path, strings(message)))
            assert first[1] == strings(message), (
                f"{singular!r} differs between {first[0].name} and {path.name}"
            )


@pytest.mark.parametrize(
    ("n", "form"), [(1, "1 usługa nie działa"), (3, "3 usługi nie działają"), (12, "12 usług nie działa")]
)
def test_polish_counts_in_three_forms(n: int, form: str) -> None:
    said = Catalogues().ngettext("pl", "%(num)s service does not work", "%(num)s services do not work", n)
    assert said % {"num": n} == form
