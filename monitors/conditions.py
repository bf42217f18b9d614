"""Conditions on a JSON body: a path from `$` (of RFC 9535: names, indices, wildcard), an operator, a value.

$.status == 'ok'    $.queue < 100    $.nodes[*].up == true    $.build['id']
"""

import operator
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import msgspec

_CONDITION = re.compile(r"(\$[^=!<>]*?)\s*(?:(==|!=|<=|>=|<|>)\s*(.+))?")
_STEP = re.compile(r"""\.([A-Za-z_][\w-]*)|\[(\d+)\]|\['([^']*)'\]|\["([^"]*)"\]|\[\*\]""")
_COMPARE = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_EVERY = None  # the step [*]


@dataclass(frozen=True, slots=True)
class Condition:
    """What a place in a JSON body must be. Without an operator it is enough that the place is there."""

    text: str
    steps: tuple[str | int | None, ...]
    operator: str = ""
    value: Any = None


@lru_cache(maxsize=4096)
def read_conditions(texts: tuple[str, ...]) -> tuple[Condition, ...]:
    """Raises ValueError for what is not a path from `$`, an operator and a JSON value or 'text'."""
    return tuple(_read_condition(text) for text in texts)


def holds(condition: Condition, document: Any) -> bool:
    """Whether it holds for every place that the path leads to, and the path leads somewhere."""
    places = [document]
    for step in condition.steps:
        places = [below for place in places for below in _below(place, step)]
    return bool(places) and all(_is_right(condition, place) for place in places)


def _read_condition(text: str) -> Condition:
    match = _CONDITION.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"\"{text}\" is not a condition; write it as $.status == 'ok'")
    path, compared, literal = match.groups()
    steps = _read_path(path)
    if compared is None:
        return Condition(text, steps)
    if len(literal) > 1 and literal[0] == literal[-1] == "'":
        return Condition(text, steps, compared, literal[1:-1])
    try:
        return Condition(text, steps, compared, msgspec.json.decode(literal))
    except ValueError:
        raise ValueError(f"{literal} in \"{text}\" is neither a JSON value nor a 'text'") from None


def _read_path(path: str) -> tuple[str | int | None, ...]:
    steps: list[str | int | None] = []
    position = 1
    while position < len(path):
        match = _STEP.match(path, position)
        if match is None:
            raise ValueError(f"{path[position:]} in {path} is none of .name, [0], ['name'] and [*]")
        name, index, *quoted = match.groups()
        steps.append(int(index) if index else next((n for n in (name, *quoted) if n is not None), _EVERY))
        position = match.end()
    return tuple(steps)


def _below(place: Any, step: str | int | None) -> list[Any]:
    if step is _EVERY:
        inner = place.values() if isinstance(place, Mapping) else place
        return list(inner) if isinstance(place, Mapping | list) else []
    if isinstance(step, int):
        return [place[step]] if isinstance(place, list) and step < len(place) else []
    return [place[step]] if isinstance(place, Mapping) and step in place else []


def _is_right(condition: Condition, place: Any) -> bool:
    """JSON types do not mix: true is not 1, and only numbers or only texts have an order."""
    if not condition.operator:
        return True
    if _type(place) != _type(condition.value):
        return condition.operator == "!="
    try:
        return bool(_COMPARE[condition.operator](place, condition.value))
    except TypeError:
        return False


def _type(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    return "number" if isinstance(value, int | float) else type(value).__name__
