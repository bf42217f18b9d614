"""Reads a request of the management API by its declaration. What does not follow it is refused by name."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import msgspec

from statuspage.kernel.errors import Invalid
from statuspage.kernel.operations import ETAG, Given
from statuspage.kernel.problems import Malformed

G = TypeVar("G", bound=Given)

_PLACE = re.compile(r"^(?P<reason>.*?)(?: - at `(?P<place>.*)`)?$", re.DOTALL)
_NAMED = re.compile(r"Object (?:contains unknown|missing required) field `(?P<name>.*)`", re.DOTALL)
_NUMBER = re.compile(r"-?[0-9]{1,18}")
# A quoted string, as the draft has it, or bare, as many send it.
KEY = r'^("[!#-~]{1,200}"|[!#-~]{1,200})$'

_EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
_LATEST = datetime(2200, 1, 1, tzinfo=UTC)


def body_of(raw: bytes, kind: type[G]) -> G:
    """The body as it was declared. Raises Malformed naming the field, Invalid for an instant beyond all use."""
    try:
        read = msgspec.json.decode(raw, type=kind)
    except msgspec.ValidationError as error:
        raise _malformed(error) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Malformed("body", f"is not JSON: {error}") from None
    except RecursionError:
        raise Malformed("body", "is nested too deeply") from None
    _check_instants(read, "")
    return read


def refuse_body(raw: bytes) -> None:
    """Raise Malformed where something is said to an operation that takes nothing."""
    if raw.strip() not in (b"", b"{}"):
        raise Malformed("body", "this operation takes none")


def query_of(text: str, kind: type[G]) -> G:
    """The query string as it was declared: each parameter once, lists separated by commas. Raises Malformed."""
    fields = {each.name: each for each in msgspec.structs.fields(kind)}
    said: dict[str, Any] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        if name not in fields:
            raise Malformed(name, f"is no parameter; there are {', '.join(sorted(fields)) or 'none'}")
        if name in said:
            raise Malformed(name, "stands twice; give it once")
        said[name] = _typed(value, str(fields[name].type))
    try:
        read = msgspec.convert(said, kind)
    except msgspec.ValidationError as error:
        raise _malformed(error) from None
    _check_instants(read, "")
    return read


def key_of(header: str | None) -> str | None:
    """The Idempotency-Key. Raises Malformed."""
    if header is None:
        return None
    if not re.fullmatch(KEY, header):
        raise Malformed(
            "Idempotency-Key", "1 to 200 visible ASCII characters are needed, such as a UUID, quoted or bare"
        )
    return header.strip('"')


def tag_of(header: str | None) -> str | None:
    """The version that If-Match names. Raises Malformed."""
    if header is not None and not re.fullmatch(ETAG, header):
        raise Malformed("If-Match", 'send one ETag as it was given, such as "3"')
    return header


def _typed(value: str, annotation: str) -> Any:
    """A number, a truth or a list where one is declared; what is none of these fails with its own reason."""
    if "int" in annotation and _NUMBER.fullmatch(value):
        return int(value)
    if "bool" in annotation and value in ("true", "false"):
        return value == "true"
    if "tuple" in annotation:
        return value.split(",")
    return value


def _malformed(error: msgspec.ValidationError) -> Malformed:
    found = _PLACE.match(str(error))
    reason, place = (found["reason"], found["place"] or "") if found else (str(error), "")
    place = place.removeprefix("key in ").removeprefix("`").lstrip("$").lstrip(".")
    if (named := _NAMED.fullmatch(reason)) is not None:
        place = f"{place}.{named['name']}".lstrip(".")
        reason = "is no field of this request" if "unknown" in reason else "is missing"
    return Malformed(place or "body", reason)


def _check_instants(value: Any, place: str) -> None:
    """Years in which nobody schedules anything overflow where a zone is taken into account."""
    if isinstance(value, datetime):
        try:
            is_in_use = _EARLIEST <= value < _LATEST
        except OverflowError:
            is_in_use = False
        if not is_in_use:
            raise Invalid(place, "lies outside the years 1990 to 2199")
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            _check_instants(getattr(value, name), f"{place}.{name}".lstrip("."))
    elif isinstance(value, Mapping):
        for name, item in value.items():
            _check_instants(item, f"{place}.{name}".lstrip("."))
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            _check_instants(item, f"{place}[{number}]")
