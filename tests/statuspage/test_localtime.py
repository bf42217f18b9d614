"""Times as people type them, around the changes of the clocks."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from statuspage.kernel.localtime import NoSuchTime, read_local, write_local

WARSAW = ZoneInfo("Europe/Warsaw")


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("", None),
        ("2026-11-23T06:10", datetime(2026, 11, 23, 5, 10, tzinfo=UTC)),
        ("2026-07-01 06:10", datetime(2026, 7, 1, 4, 10, tzinfo=UTC)),
    ],
)
def test_a_local_time_is_an_instant(text: str, instant: datetime | None) -> None:
    assert read_local(text, WARSAW) == instant


@pytest.mark.parametrize(
    "text", ["tomorrow", "2026-13-01T00:00", "2026-11-23T06:10+01:00", "0001-01-01T00:00"]
)
def test_what_is_no_time_is_refused_without_a_choice(text: str) -> None:
    with pytest.raises(NoSuchTime) as refused:
        read_local(text, WARSAW)
    assert refused.value.choices == ()


@pytest.mark.parametrize(
    ("text", "hours"),
    [("2026-10-25T02:30", (0, 1)), ("2027-03-28T02:30", (0, 1))],
    ids=["an hour that comes twice", "an hour that is skipped"],
)
def test_an_hour_at_the_change_of_clocks_names_both_possibilities(text: str, hours: tuple[int, int]) -> None:
    with pytest.raises(NoSuchTime) as refused:
        read_local(text, WARSAW)
    assert tuple(choice.hour for choice in refused.value.choices) == hours
    first, second = refused.value.choices
    assert read_local(text, WARSAW, choice=second.isoformat()) == second
    with pytest.raises(NoSuchTime):
        read_local(text, WARSAW, choice="2026-01-01T00:00:00+00:00")
    assert first < second


def test_a_field_shows_the_time_of_the_zone() -> None:
    assert write_local(datetime(2026, 11, 23, 5, 10, tzinfo=UTC), WARSAW) == "2026-11-23T06:10"
    assert write_local(None, WARSAW) == ""
