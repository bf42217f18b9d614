"""One builder for everything declared as a frozen dataclass: settings, catalogue, probe and channel specs.

A field's default, bounds and description stand in its annotation (`msgspec.Meta`); the documentation,
the forms and the error messages are derived from there.
"""

import re
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from datetime import timedelta
from functools import cache
from typing import Any, TypeVar

import msgspec

from statuspage.kernel.errors import Invalid

T = TypeVar("T")

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
# A reason of `__post_init__` that names its key; msgspec's own reasons begin with a capital.
_NAMED = re.compile(r"([a-z_]+): (.*)", re.DOTALL)
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")


def parse_duration(text: str) -> timedelta:
    """`"90s"`, `"1h30m"`, `"250ms"` as a timedelta. Raises ValueError otherwise."""
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(
            f'"{text}" is not a duration; write a number and a unit, such as "30s", "5m", "2h" or "7d"'
        )
    return timedelta(seconds=sum(float(number) * _UNITS[unit] for number, unit in parts))


def format_duration(value: timedelta) -> str:
    """The shortest text that `parse_duration` reads back."""
    rest_ms = round(value.total_seconds() * 1000)
    text = ""
    for unit, size_ms in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, rest_ms = divmod(rest_ms, size_ms)
        if count:
            text += f"{count}{unit}"
    return text or "0s"


def build(cls: type[T], data: Mapping[str, Any], *, where: str) -> T:
    """An instance of the frozen dataclass `cls` from plain data.

    Raises Invalid naming `where` and the dotted key: for a missing key, an unknown key, a wrong type
    or a value out of bounds. Durations are texts such as "30s". What types cannot say, `__post_init__`
    does with ValueError("key: reason").
    """
    prepared = _prepare(cls, data, where)
    try:
        return msgspec.convert(prepared, cls)
    except msgspec.ValidationError as error:
        reason, _, path = str(error).partition(" - at `$")
        key = path.rstrip("`").lstrip(".")
        if (named := _NAMED.fullmatch(reason)) is not None:
            key, reason = f"{key}.{named[1]}".lstrip("."), named[2]
        raise Invalid(f"{where}.{key}" if key else where, reason) from None


_hints = cache(typing.get_type_hints)  # 100 µs a call


def _prepare(cls: Any, data: Any, where: str) -> Any:
    """Refuse unknown keys, and turn durations into timedeltas, all the way down."""
    if not isinstance(data, Mapping):
        raise Invalid(where, f"a table of keys is expected, not {type(data).__name__}")
    known = _hints(cls)
    if unknown := [key for key in data if key not in known]:
        raise Invalid(f"{where}.{unknown[0]}", f"unknown key; known are {', '.join(sorted(known))}")
    return {key: _prepare_value(known[key], value, f"{where}.{key}") for key, value in data.items()}


def _prepare_value(annotation: Any, value: Any, where: str) -> Any:
    if is_dataclass(annotation) and isinstance(annotation, type):
        return _prepare(annotation, value, where)
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        if value is None:
            return None
        return _prepare_value(next(a for a in arguments if a is not type(None)), value, where)
    if annotation is timedelta and isinstance(value, str):
        try:
            return parse_duration(value)
        except ValueError as error:
            raise Invalid(where, str(error)) from None
    if origin in (tuple, list) and isinstance(value, list):
        return [_prepare_value(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(value)]
    return value


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a declared dataclass, as the documentation shows it."""

    name: str
    kind: str
    default: str
    description: str


def describe(cls: type[Any]) -> list[Key]:
    """The keys of `cls` in order, for the documentation and for forms."""
    hints = typing.get_type_hints(cls, include_extras=True)
    return [
        Key(f.name, _kind(hints[f.name]), _default(f), _description(hints[f.name]))
        for f in fields(cls)
        if not is_dataclass(hints[f.name])
    ]


def _kind(annotation: Any) -> str:
    if typing.get_origin(annotation) is typing.Annotated:
        return _kind(typing.get_args(annotation)[0])
    if annotation is timedelta:
        return "duration"
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return " or ".join(_kind(a) for a in typing.get_args(annotation) if a is not type(None))
    if typing.get_origin(annotation) in (tuple, list):
        return f"list of {_kind(typing.get_args(annotation)[0])}"
    if typing.get_origin(annotation) is dict:
        return f"table of {_kind(typing.get_args(annotation)[1])}"
    names = {str: "text", int: "whole number", float: "number", bool: "true or false"}
    return names.get(annotation) or str(getattr(annotation, "__name__", annotation))


def _default(field: Any) -> str:
    if field.default_factory is not MISSING:
        value = field.default_factory()
    elif field.default is MISSING:
        return "(required)"
    else:
        value = field.default
    if isinstance(value, timedelta):
        return f'"{format_duration(value)}"'
    if value is None:
        return ""
    if isinstance(value, tuple) and all(isinstance(item, timedelta) for item in value):
        value = [format_duration(item) for item in value]
    return msgspec.json.encode(value).decode()


def _description(annotation: Any) -> str:
    if typing.get_origin(annotation) is typing.Annotated:
        for extra in typing.get_args(annotation)[1:]:
            if isinstance(extra, msgspec.Meta) and extra.description:
                return extra.description
    return ""
