"""Whether work was announced early enough, and which part of it."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statuspage.incidents.announcement import Announcement, Window, announced, moved

BEGIN = datetime(2026, 11, 28, 19, tzinfo=UTC)
AHEAD = timedelta(hours=48)


def window(begin_h: float = 0, end_h: float = 3) -> Window:
    return Window(BEGIN + timedelta(hours=begin_h), BEGIN + timedelta(hours=end_h))


def told(hours_before: float) -> Announcement:
    return announced(window(), now=BEGIN - timedelta(hours=hours_before), ahead=AHEAD)


@pytest.mark.parametrize(
    ("hours_before", "is_in_time"), [(120, True), (48, True), (47.99, False), (0, False)]
)
def test_the_rule_counts_from_the_announcement_to_the_begin(hours_before: float, *, is_in_time: bool) -> None:
    assert told(hours_before).is_in_time(window()) is is_in_time


@pytest.mark.parametrize(
    ("what", "hours_before", "new", "moved_before", "late"),
    [
        ("extended while it runs", 120, window(0, 4), -2, [window(3, 4)]),
        ("extended days before", 120, window(0, 4), 72, []),
        ("extended 46 hours before its begin, 49 before the old end", 120, window(0, 4), 46, []),
        ("shortened in the last hour", 120, window(0, 2), 1, []),
        ("begins later, in the last hour", 120, window(1, 3), 1, []),
        ("begins and ends later, in the last hour", 120, window(1, 4), 1, [window(3, 4)]),
        ("begins earlier, in the last hour", 120, window(-1, 3), 2, [window(-1, 0)]),
        ("moved to another week", 120, window(168, 171), 1, []),
        ("moved to tomorrow", 120, window(24, 27), 1, [window(24, 27)]),
        ("late, then extended", 10, window(0, 4), -1, [window(0, 4)]),
        ("late, then moved to another week", 10, window(168, 171), 1, []),
    ],
)
def test_what_a_change_leaves_excused(
    what: str, hours_before: float, new: Window, moved_before: float, late: list[Window]
) -> None:
    now = BEGIN - timedelta(hours=moved_before)
    after = moved(told(hours_before), window(), new, now=now, ahead=AHEAD)
    assert list(after.late_parts(new)) == late, what
    assert after.is_in_time(new) is (late == [])


def test_the_policy_of_that_time_stays_whatever_is_set_later() -> None:
    old = told(50)
    after = moved(old, window(), window(0, 2), now=BEGIN, ahead=timedelta(days=30))
    assert after.is_in_time(window(0, 2))
    assert after.announced_at == old.announced_at


hours = st.integers(-200, 200)


@given(
    before=hours,
    steps=st.lists(st.tuples(hours, st.integers(1, 200), st.integers(0, 100)), max_size=6),
)
def test_parts_add_up_whatever_is_changed(before: int, steps: list[tuple[int, int, int]]) -> None:
    now = BEGIN - timedelta(hours=before)
    current, said = window(), told(before)
    for begin_h, lasts_h, later_h in steps:
        now += timedelta(hours=later_h)
        new = window(begin_h, begin_h + lasts_h)
        said = moved(said, current, new, now=now, ahead=AHEAD)
        current = new
        excused = said.excused.ends_at - said.excused.begins_at if said.excused else timedelta()
        late = sum((part.ends_at - part.begins_at for part in said.late_parts(new)), timedelta())
        assert excused + late == new.ends_at - new.begins_at
        assert said.excused is None or new.common(said.excused) == said.excused
