"""What the help desk says outside of templates exists in Polish as well: errors, reasons, the board."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import tickets
from statuspage.kernel.i18n import Catalogues
from tickets.console import _ON_BOARD
from tickets.rules import Cancelled

ROOM = Path(str(tickets.__file__)).parent
SHOWN = {"Problem": 1, "Invalid": 1, "_Letter": 2}  # which argument a person reads


def sentences() -> Iterator[str]:
    """Every text that these modules hand to a page or a mail."""
    for path in sorted(ROOM.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                yield from _shown(node)
            if isinstance(node, ast.FunctionDef) and node.name.endswith("_problem"):
                yield from (
                    found.value
                    for returned in ast.walk(node)
                    if isinstance(returned, ast.Return)
                    for found in [returned.value]
                    if isinstance(found, ast.Constant) and isinstance(found.value, str)
                )


def _shown(call: ast.Call) -> Iterator[str]:
    position = SHOWN.get(getattr(call.func, "id", getattr(call.func, "attr", "")))
    if position is None:
        return
    given = [*call.args[position : position + 1], *(k.value for k in call.keywords if k.arg == "subject")]
    yield from (one.value for one in given if isinstance(one, ast.Constant) and isinstance(one.value, str))


ALL = sorted({*sentences(), *map(str, Cancelled), *_ON_BOARD.values()})


def test_the_search_finds_errors_reasons_and_subjects() -> None:
    assert "Choose the incident first." in ALL
    assert "Write a text first." in ALL
    assert "the incident was reopened" in ALL
    assert "{number}: your request is resolved" in ALL
    assert len(ALL) > 30


@pytest.mark.parametrize("sentence", ALL)
def test_it_is_said_in_polish_too(sentence: str) -> None:
    polish = Catalogues().gettext("pl", sentence)

    assert polish != sentence
    assert ("{number}" in polish) == ("{number}" in sentence)
