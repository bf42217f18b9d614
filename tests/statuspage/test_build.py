"""Building frozen dataclasses from plain data, and describing them."""

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from statuspage.kernel.build import Key, build, describe, format_duration, parse_duration
from statuspage.kernel.errors import Invalid


class Colour(StrEnum):
    RED = "red"
    GREEN = "green"


@dataclass(frozen=True, slots=True)
class Door:
    name: Annotated[str, Meta(min_length=1, description="What stands on it.")]
    width_cm: Annotated[int, Meta(ge=40, le=200, description="Clear width.")] = 90


@dataclass(frozen=True, slots=True)
class Shed:
    title: str
    front: Door = field(default_factory=lambda: Door("front"))
    others: tuple[Door, ...] = ()
    open_for: Annotated[timedelta, Meta(description="How long it stays open.")] = timedelta(hours=8)
    pause: timedelta | None = None
    colour: Colour = Colour.RED
    is_locked: bool = False

    def __post_init__(self) -> None:
        if self.pause is not None and self.pause > self.open_for:
            raise ValueError("pause: cannot be longer than it is open")


def test_what_is_given_is_built_and_the_rest_has_its_default() -> None:
    data = {
        "title": "Garden",
        "front": {"name": "gate", "width_cm": 120},
        "others": [{"name": "back"}],
        "open_for": "1h30m",
        "pause": "90s",
        "colour": "green",
    }

    assert build(Shed, data, where="shed.toml") == Shed(
        "Garden",
        Door("gate", 120),
        (Door("back"),),
        timedelta(minutes=90),
        timedelta(seconds=90),
        Colour.GREEN,
        is_locked=False,
    )


@pytest.mark.parametrize(
    ("data", "key", "reason"),
    [
        ({}, "shed.toml", "title"),
        ({"title": "G", "colour": "blue"}, "shed.toml.colour", "blue"),
        ({"title": 5}, "shed.toml.title", "str"),
        ({"title": "G", "roof": "flat"}, "shed.toml.roof", "unknown key; known are colour, front"),
        ({"title": "G", "front": {"name": "x", "height": 1}}, "shed.toml.front.height", "unknown key"),
        ({"title": "G", "front": {"name": "x", "width_cm": 10}}, "shed.toml.front.width_cm", "40"),
        ({"title": "G", "front": {"name": ""}}, "shed.toml.front.name", "length >= 1"),
        ({"title": "G", "front": "gate"}, "shed.toml.front", "a table of keys is expected, not str"),
        ({"title": "G", "others": [{"name": "a"}, {"nam": "b"}]}, "shed.toml.others[1].nam", "unknown key"),
        ({"title": "G", "others": [{"name": "a"}, {"name": 7}]}, "shed.toml.others[1].name", "str"),
        ({"title": "G", "open_for": "soon"}, "shed.toml.open_for", "is not a duration"),
        ({"title": "G", "open_for": "5 m"}, "shed.toml.open_for", "is not a duration"),
        ({"title": "G", "pause": "9h"}, "shed.toml.pause", "cannot be longer than it is open"),
        ({"title": "G", "is_locked": "yes"}, "shed.toml.is_locked", "bool"),
    ],
)
def test_what_is_wrong_names_the_key_and_the_reason(data: dict[str, Any], key: str, reason: str) -> None:
    with pytest.raises(Invalid) as caught:
        build(Shed, data, where="shed.toml")

    assert caught.value.field == key
    assert reason in caught.value.reason
    assert str(caught.value) == f"{key}: {caught.value.reason}"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("250ms", 0.25),
        ("30s", 30),
        ("1h30m", 5400),
        ("7d", 604_800),
        ("1.5s", 1.5),
        ("0s", 0),
        ("2d3h", 183_600),
    ],
)
def test_durations_are_numbers_with_units(text: str, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "30", "s", "30 s", "-5s", "1h 30m", "5min", "1e3s"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        parse_duration(text)


@given(st.integers(min_value=0, max_value=10**12))
def test_a_written_duration_is_read_back(duration_ms: int) -> None:
    duration = timedelta(milliseconds=duration_ms)

    assert parse_duration(format_duration(duration)) == duration


def test_a_declaration_describes_itself() -> None:
    assert describe(Door) == [
        Key("name", "text", "(required)", "What stands on it."),
        Key("width_cm", "whole number", "90", "Clear width."),
    ]
    assert [(key.name, key.kind, key.default) for key in describe(Shed)] == [
        ("title", "text", "(required)"),
        ("others", "list of Door", "[]"),
        ("open_for", "duration", '"8h"'),
        ("pause", "duration", ""),
        ("colour", "Colour", '"red"'),
        ("is_locked", "true or false", "false"),
    ]
