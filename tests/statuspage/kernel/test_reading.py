"""What a request says is read by its declaration, and refused by the field's name."""

from typing import Annotated

import pytest
from msgspec import Meta

from statuspage.kernel import reading
from statuspage.kernel.errors import Invalid
from statuspage.kernel.operations import Given, Instant, Line, Prose
from statuspage.kernel.problems import Malformed


class Words(Given, frozen=True, kw_only=True):
    pl: Line = ""
    en: Prose = ""


class Body(Given, frozen=True, kw_only=True):
    name: Words
    count: int = 0
    at: Instant | None = None
    many: tuple[Words, ...] = ()


class Query(Given, frozen=True, kw_only=True):
    limit: Annotated[int, Meta(ge=1)] = 20
    is_open: bool = False
    codes: tuple[str, ...] = ()
    at: Instant | None = None


def test_a_body_is_read_as_it_was_declared() -> None:
    body = reading.body_of('{"name":{"pl":"ż"},"at":"2026-01-01T01:00:00+01:00"}'.encode(), Body)
    assert (body.name.pl, body.count) == ("ż", 0)
    assert body.at is not None
    assert body.at.isoformat() == "2026-01-01T01:00:00+01:00"


@pytest.mark.parametrize(
    ("raw", "field", "reason"),
    [
        (b"", "body", "is not JSON"),
        (b"{", "body", "is not JSON"),
        (b"\xff", "body", "is not JSON"),
        (b"[]", "body", "Expected `object`"),
        (b"{}", "name", "is missing"),
        (b'{"name":{},"nam":1}', "nam", "is no field"),
        (b'{"name":{"de":"x"}}', "name.de", "is no field"),
        (b'{"name":{"pl":1}}', "name.pl", "Expected `str`"),
        (b'{"name":{"pl":"a\\u0000"}}', "name.pl", "Expected `str` matching"),
        (b'{"name":{"pl":"a\\nb"}}', "name.pl", "Expected `str` matching"),
        (b'{"name":{"en":"a\\u001b[2J"}}', "name.en", "Expected `str` matching"),
        (b'{"name":{"pl":"\\ud800"}}', "body", "is not JSON"),
        (b'{"name":{},"count":"1"}', "count", "Expected `int`"),
        (b'{"name":{},"count":1e999}', "count", ""),
        (b'{"name":{},"at":"2026-01-01T00:00:00"}', "at", "timezone"),
        (b'{"name":{},"many":[{},{"pl":1}]}', "many[1].pl", "Expected `str`"),
        (b'{"name":' + b"[" * 100_000, "name", ""),
    ],
)
def test_what_does_not_follow_it_is_refused_by_the_fields_name(raw: bytes, field: str, reason: str) -> None:
    with pytest.raises(Malformed) as refused:
        reading.body_of(raw, Body)
    assert refused.value.field == field
    assert reason in refused.value.reason


def test_deep_nesting_where_anything_may_stand_is_refused() -> None:
    class Anything(Given, frozen=True, kw_only=True):
        x: dict[str, object]

    with pytest.raises(Malformed, match="body"):
        reading.body_of(b'{"x":{"y":' + b"[" * 100_000 + b"]" * 100_000 + b"}}", Anything)


@pytest.mark.parametrize(
    "year", ["0001-01-01T00:00:00+23:59", "1989-12-31T23:59:59Z", "2200-01-01T00:00:00Z"]
)
def test_an_instant_beyond_all_use_is_refused_before_any_zone_overflows(year: str) -> None:
    with pytest.raises(Invalid, match="at: lies outside"):
        reading.body_of(f'{{"name":{{}},"at":"{year}"}}'.encode(), Body)


def test_a_query_is_read_with_its_types() -> None:
    query = reading.query_of("limit=5&is_open=true&codes=A,B&at=2026-01-01T00:00:00Z", Query)
    assert (query.limit, query.is_open, query.codes) == (5, True, ("A", "B"))
    assert reading.query_of("", Query).limit == 20


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("limit=0", "limit"),
        ("limit=1.0", "limit"),
        ("limit=", "limit"),
        ("limit=1&limit=2", "limit"),
        ("limits=1", "limits"),
        ("is_open=1", "is_open"),
        ("at=0", "at"),
        ("at=null", "at"),
    ],
)
def test_a_query_that_does_not_follow_it_is_refused(text: str, field: str) -> None:
    with pytest.raises(Malformed) as refused:
        reading.query_of(text, Query)
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("header", "key"), [('"a b"', None), ('"ab"', "ab"), ("ab", "ab"), ('"', None), ("", None)]
)
def test_a_key_is_quoted_or_bare(header: str, key: str | None) -> None:
    if key is None:
        with pytest.raises(Malformed, match="Idempotency-Key"):
            reading.key_of(header)
    else:
        assert reading.key_of(header) == key
    assert reading.key_of(None) is None


@pytest.mark.parametrize("raw", [b"", b"{}", b" {}\n"])
def test_nothing_said_is_nothing(raw: bytes) -> None:
    reading.refuse_body(raw)


def test_something_said_to_an_operation_that_takes_nothing_is_refused() -> None:
    with pytest.raises(Malformed):
        reading.refuse_body(b'{"x":1}')
