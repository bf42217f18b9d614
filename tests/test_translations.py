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
# Errors that a page may show, and which of their arguments is the message.
REFUSALS = {
    **dict.fromkeys(("Conflict", "Forbidden", "NotFound", "SecondNeeded", "TooMany"), 0),
    "Invalid": 1,
}
REFUSING = (
    *("statuspage/incidents", "statuspage/site", "monitors", "notifiers", "tickets"),
    *(f"statuspage/kernel/{name}.py" for name in ("accounts", "attempts", "authority", "otp", "web")),
)
# Modules, or functions of one, whose refusals no page shows, or that are held to account elsewhere.
UNSEEN = {
    "monitors/catalogue.py": "the catalogue is read by the command line and at the start",
    "monitors/manage.py": "the management API alone, which speaks English",
    "monitors/probes/": "settings of monitors are read with the catalogue",
    "notifiers/outbox.py": "a slip of ours in the code, not of a person",
    "notifiers/rules.py:check_headers": "a slip of ours in the code, not of a person",
    "notifiers/subscribers.py:_parse_csv": "the import is a command",
    "notifiers/subscribers.py:_parse_row": "the import is a command",
    "notifiers/web.py:_api_fields": "the API alone, which speaks English",
    "statuspage/incidents/catalogue.py": "the catalogue is read by the command line and at the start",
    "statuspage/incidents/notice_pages.py": "the management API alone, which speaks English",
    "statuspage/site/manage/": "the management API alone, which speaks English",
    "statuspage/incidents/recurrence.py": "each message is marked with _() where it is chosen",
}
# What is passed on from `tickets.rules`; tests/tickets/test_words.py looks at it there.
PASSED_ON = {
    "tickets/following.py": ("problem",),
    "tickets/requests.py": ("found[0].message", "problem"),
}
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


@dataclass(frozen=True)
class Refusal:
    """A refusal in the source; `said` is None where the message is put together on the spot."""

    where: str
    said: str | None
    values: frozenset[str | None]


def in_refusals() -> Iterator[Refusal]:
    for path in sorted({file for place in REFUSING for file in sources(HOUSE / place)}):
        name = str(path.relative_to(HOUSE))
        tree = ast.parse(path.read_text(encoding="utf-8"))
        constants = {
            target.id: node.value
            for node in tree.body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in tree.body:
            place = f"{name}:{getattr(node, 'name', '')}"
            if any(place.startswith(unseen) for unseen in UNSEEN):
                continue
            for call in (each for each in ast.walk(node) if isinstance(each, ast.Call)):
                kind = getattr(call.func, "attr", getattr(call.func, "id", ""))
                if kind not in REFUSALS or len(call.args) <= REFUSALS[kind]:
                    continue
                given = call.args[REFUSALS[kind]]
                if ast.unparse(given) in PASSED_ON.get(name, ()):
                    continue
                said = constants.get(given.id, given) if isinstance(given, ast.Name) else given
                yield Refusal(
                    f"{name}:{call.lineno}",
                    said.value if isinstance(said, ast.Constant) and isinstance(said.value, str) else None,
                    frozenset(keyword.arg for keyword in call.keywords) - {"retry_after_s"},
                )


def sources(place: Path) -> list[Path]:
    return [place] if place.is_file() else sorted(place.rglob("*.py"))


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


def test_every_refusal_is_written_out_and_in_polish() -> None:
    found = list(in_refusals())
    assert {one.said for one in found} >= {"lies in the past", "incident %(incident)s is resolved already"}
    assert [one.where for one in found if one.said is None] == []
    assert missing(Found(one.where, one.said) for one in found if one.said is not None) == []


def test_a_refusal_is_given_the_values_that_stand_in_it() -> None:
    for one in in_refusals():
        assert set(PLACEHOLDER.findall(one.said or "")) == one.values, one.where
        assert not one.values or "%" not in PLACEHOLDER.sub("", one.said or "").replace("%%", ""), one.where


def test_what_no_page_shows_is_there() -> None:
    for unseen in UNSEEN:
        name, _, function = unseen.partition(":")
        assert (HOUSE / name).exists(), unseen
        assert f"def {function}" in (HOUSE / name).read_text("utf-8") if function else True, unseen


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
