"""Conditions on JSON: a table of what holds and what does not, and of what cannot be read."""

import json

import pytest

from monitors.conditions import holds, read_conditions

DOCUMENT = json.loads(
    """{"status": "ok", "queue": 12, "load": 0.5, "up": true, "none": null, "odd name": 1, "at": "2026-03-01",
        "nodes": [{"name": "a", "up": true}, {"name": "b", "up": false}], "empty": []}"""
)


@pytest.mark.parametrize(
    ("text", "is_held"),
    [
        ("$.status == 'ok'", True),
        ('$.status == "ok"', True),
        ("$.status != 'ok'", False),
        ("$.status == ok", None),
        ("$.queue < 100", True),
        ("$.queue<12", False),
        ("$.queue <= 12", True),
        ("$.queue >= 12.5", False),
        ("$.load > 0", True),
        ("$.up == true", True),
        ("$.up == 1", False),  # JSON's true is not a number
        ("$.none == null", True),
        ("$.none < 1", False),
        ("$.status < 1", False),
        ("$.at >= '2026-02-28'", True),
        ("$['odd name'] == 1", True),
        ('$["odd name"]', True),
        ("$.nodes[1].name == 'b'", True),
        ("$.nodes[2].name == 'c'", False),
        ("$.nodes[*].name", True),
        ("$.nodes[*].up == true", False),
        ("$.nodes[0].up == true", True),
        ("$.empty[*] == 1", False),  # nothing there says nothing good
        ("$.missing", False),
        ("$.missing != 1", False),
        ("$.status.deeper", False),
        ("$", True),
        ("$.nodes == [1]", False),
        ("$.nodes < [1]", False),
        ("", None),
        ("status == 'ok'", None),
        ("$.status = 'ok'", None),
        ("$status", None),
        ("$.nodes[-1]", None),
        ("$..name", None),
        ("$.a ==", None),
    ],
)
def test_a_condition_is_read_and_held_against_the_body(text: str, is_held: bool | None) -> None:
    if is_held is None:
        with pytest.raises(ValueError, match=r"\$|is"):
            read_conditions((text,))
    else:
        assert holds(read_conditions((text,))[0], DOCUMENT) is is_held
