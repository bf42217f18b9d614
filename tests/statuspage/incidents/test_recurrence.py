"""Which occurrences a rule makes: daylight saving in every zone's way, and rules that are refused."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statuspage.incidents import recurrence
from statuspage.incidents.recurrence import Occurrence, Recurrence, Remark, instant
from statuspage.kernel.errors import Invalid

# Half an hour in Lord Howe, midnight in Havana and Asunción's past, an hour back in winter in Dublin, none in Tokyo.
ZONES = (
    "Europe/Warsaw",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Havana",
    "Europe/Dublin",
    "America/St_Johns",
    "Africa/Casablanca",
    "Pacific/Chatham",
    "Asia/Tokyo",
)
WARSAW = "Europe/Warsaw"
START = datetime(2026, 1, 5, 2, 30)  # noqa: DTZ001 - a rule speaks of local time


def rule(
    text: str,
    zone: str = WARSAW,
    begins: datetime = START,
    duration: timedelta = timedelta(hours=1),
) -> Recurrence:
    return recurrence.parse(text, zone=zone, begins_local=begins, duration=duration)


def first(text: str, count: int, **more: object) -> list[Occurrence]:
    return list(islice(recurrence.occurrences(rule(text, **more)), count))  # type: ignore[arg-type]


def on(text: str, day: str, **more: object) -> Occurrence:
    found = recurrence.occurrences(rule(text, **more))  # type: ignore[arg-type]
    return next(one for one in found if one.key.startswith(day))


@cache
def transitions(name: str) -> tuple[datetime, ...]:
    """Every instant in which the zone's offset changes, 2026 to 2031."""
    zone = ZoneInfo(name)

    def offset(at: datetime) -> timedelta | None:
        return at.astimezone(zone).utcoffset()

    found = []
    day = datetime(2026, 1, 1, tzinfo=UTC)
    while day.year < 2032:
        before, after = day, day + timedelta(days=1)
        if offset(before) != offset(after):
            while after - before > timedelta(seconds=1):
                middle = before + (after - before) // 2
                middle = middle.replace(microsecond=0)
                before, after = (middle, after) if offset(middle) == offset(before) else (before, middle)
            found.append(after)
        day += timedelta(days=1)
    return tuple(found)


def jumps() -> Iterator[tuple[str, datetime, timedelta]]:
    """Zone, instant, and by how much the clocks go forward; negative: back."""
    for name in ZONES:
        zone = ZoneInfo(name)
        for at in transitions(name):
            after = at.astimezone(zone).utcoffset() or timedelta()
            before = (at - timedelta(seconds=1)).astimezone(zone).utcoffset() or timedelta()
            yield name, at, after - before


JUMPS = list(jumps())


def test_the_zones_have_gaps_and_overlaps_of_an_hour_and_of_half_an_hour() -> None:
    sizes = {by for _, _, by in JUMPS}
    assert {timedelta(hours=1), timedelta(hours=-1), timedelta(minutes=30), timedelta(minutes=-30)} <= sizes


@given(
    jump=st.sampled_from(JUMPS),
    share=st.integers(0, 59),
    lasts=st.integers(1, 12 * 60),
    days=st.integers(0, 5),
)
def test_in_a_gap_work_begins_when_the_clocks_have_moved_and_in_an_overlap_once(
    jump: tuple[str, datetime, timedelta], share: int, lasts: int, days: int
) -> None:
    """Any minute of any hour that is skipped or comes twice, however long the work lasts."""
    name, at, by = jump
    zone = ZoneInfo(name)
    if by > timedelta(0):
        edge = at.astimezone(zone).replace(tzinfo=None) - by  # the first minute that is skipped
    else:
        edge = at.astimezone(zone).replace(tzinfo=None)  # the first minute that comes twice
    local = edge + abs(by) * share // 60
    local = local.replace(second=0, microsecond=0)
    duration = timedelta(minutes=lasts)
    daily = recurrence.parse(
        "FREQ=DAILY", zone=name, begins_local=local - timedelta(days=days), duration=duration
    )
    found = [o for o in islice(recurrence.occurrences(daily), days + 3) if o.local == local]

    (one,) = found
    assert one.ends_at - one.begins_at == duration, "elapsed time"
    shown = one.begins_at.astimezone(zone).replace(tzinfo=None)
    if by > timedelta(0):
        assert one.begins_at == at, "the first instant after the gap"
        assert Remark.SKIPPED in one.remarks
    else:
        assert shown == local
        assert one.begins_at < at, "the first of the two"
        assert Remark.TWICE in one.remarks


@given(
    zone=st.sampled_from(ZONES),
    begins=st.datetimes(datetime(2026, 1, 1), datetime(2029, 1, 1)),  # noqa: DTZ001
    lasts=st.integers(1, 23 * 60),
)
def test_an_occurrence_without_a_remark_is_what_the_clock_says_and_all_are_in_order(
    zone: str, begins: datetime, lasts: int
) -> None:
    found = first("FREQ=DAILY", 400, zone=zone, begins=begins, duration=timedelta(minutes=lasts))
    for one in found:
        begin = one.begins_at.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
        end = one.ends_at.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
        assert one.ends_at - one.begins_at == timedelta(minutes=lasts)
        assert (begin == one.local) == (Remark.SKIPPED not in one.remarks)
        if not one.remarks:
            assert end - begin == timedelta(minutes=lasts)
    assert all(a.begins_at < b.begins_at for a, b in pairwise(found))
    assert len({one.key for one in found}) == len(found)


def test_the_skipped_hour_of_march_and_the_double_one_of_october() -> None:
    march, october = on("FREQ=DAILY", "2026-03-29"), on("FREQ=DAILY", "2026-10-25")
    assert march.begins_at == datetime(2026, 3, 29, 1, tzinfo=UTC)  # 03:00 in summer time
    assert march.remarks[0] is Remark.SKIPPED
    assert october.begins_at == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)  # 02:30, the first time
    assert october.remarks == (Remark.TWICE, Remark.SHORTER)


def test_half_an_hour_is_skipped_in_lord_howe() -> None:
    begins = datetime(2026, 10, 1, 2, 10)  # noqa: DTZ001
    found = on("FREQ=DAILY", "2026-10-04", zone="Australia/Lord_Howe", begins=begins)
    assert found.begins_at.astimezone(ZoneInfo("Australia/Lord_Howe")).strftime("%H:%M") == "02:30"


def test_a_night_over_a_change_of_the_clocks_is_said_to_be_longer_or_shorter() -> None:
    evening = datetime(2026, 1, 3, 22, 0)  # noqa: DTZ001
    lasting = {"begins": evening, "duration": timedelta(hours=8)}
    assert on("FREQ=WEEKLY;BYDAY=SA", "2026-03-28", **lasting).remarks == (Remark.LONGER,)
    assert on("FREQ=WEEKLY;BYDAY=SA", "2026-10-24", **lasting).remarks == (Remark.SHORTER,)
    assert on("FREQ=WEEKLY;BYDAY=SA", "2026-10-17", **lasting).remarks == ()


def test_several_times_of_a_day_that_a_gap_pushes_together_are_one() -> None:
    twice = {"begins": datetime(2026, 3, 28, 2, 0), "duration": timedelta(minutes=10)}  # noqa: DTZ001
    found = first("FREQ=DAILY;BYHOUR=2;BYMINUTE=0,30", 5, **twice)
    assert [one.key for one in found] == [
        "2026-03-28T02:00",
        "2026-03-28T02:30",
        "2026-03-29T02:00",
        "2026-03-30T02:00",
        "2026-03-30T02:30",
    ]


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("FREQ=MONTHLY;BYDAY=1SA", ["2026-02-07", "2026-03-07"]),
        ("RRULE:FREQ=MONTHLY;BYMONTHDAY=-1;", ["2026-01-31", "2026-02-28"]),
        ("freq=weekly;interval=2;byday=mo", ["2026-01-05", "2026-01-19"]),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", ["2028-02-29", "2032-02-29"]),
        ("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1", ["2026-01-30", "2026-02-27"]),
        ("FREQ=DAILY;COUNT=2", ["2026-01-05", "2026-01-06"]),
        ("FREQ=DAILY;UNTIL=20260106", ["2026-01-05", "2026-01-06"]),
        ("FREQ=DAILY;UNTIL=20260106T013000Z", ["2026-01-05", "2026-01-06"]),
        ("FREQ=DAILY;UNTIL=20260106T012959Z", ["2026-01-05"]),
    ],
)
def test_rules_mean_what_rfc_5545_says(text: str, days: list[str]) -> None:
    begins = START if "SA" not in text else datetime(2026, 1, 5, 22, 0)  # noqa: DTZ001
    assert [one.key[:10] for one in first(text, 2, begins=begins)] == days


@pytest.mark.parametrize(
    ("text", "field", "word"),
    [
        ("FREQ=HOURLY", "repeat", "finer than daily"),
        ("FREQ=SECONDLY;COUNT=3", "repeat", "finer than daily"),
        ("BYDAY=SA", "repeat", "FREQ"),
        ("", "repeat", "not known"),
        ("every Saturday", "repeat", "not known"),
        ("FREQ=DAILY;BYSECOND=1", "repeat", "BYSECOND"),
        ("FREQ=DAILY;FREQ=WEEKLY", "repeat", "twice"),
        ("FREQ=DAILY;BYHOUR=0,6,12,18,21", "repeat", "5 occurrences a day"),
        ("FREQ=DAILY;BYHOUR=1,2;BYMINUTE=0,20,40", "repeat", "6 occurrences a day"),
        ("FREQ=MONTHLY;BYMONTHDAY=32", "repeat", "BYMONTHDAY=32"),
        ("FREQ=MONTHLY;BYMONTHDAY=30;BYMONTH=2", "repeat", "never"),
        ("FREQ=DAILY;INTERVAL=7;BYDAY=SU", "repeat", "never"),
        ("FREQ=WEEKLY;BYDAY=MO;BYSETPOS=3", "repeat", "never"),
        ("FREQ=DAILY;UNTIL=20250101", "repeat", "never"),
        (
            "FREQ=YEARLY;INTERVAL=7960;BYMONTH=1;BYMONTHDAY=1",
            "repeat",
            "never",
        ),  # not before the calendar's last years
        ("FREQ=DAILY;UNTIL=20261345", "repeat", "UNTIL=20261345"),
        ("FREQ=DAILY;UNTIL=20270101;COUNT=3", "repeat", "exclude"),
        ("FREQ=WEEKLY;BYDAY=1MO", "repeat", "numbered"),
        ("FREQ=DAILY;INTERVAL=0", "repeat", "INTERVAL=0"),
        ("FREQ=DAILY;COUNT=٣", "repeat", "COUNT"),
    ],
)
def test_a_rule_that_cannot_be_meant_is_refused_by_its_field(text: str, field: str, word: str) -> None:
    with pytest.raises(Invalid, match=word) as refused:
        rule(text)
    assert str(refused.value).startswith(f"{field}: ")


@pytest.mark.parametrize("zone", ["Europe/Atlantis", "../../etc/passwd", "", "CET\0"])
def test_an_unknown_zone_is_refused(zone: str) -> None:
    with pytest.raises(Invalid, match="IANA") as refused:
        rule("FREQ=DAILY", zone=zone)
    assert str(refused.value).startswith("zone: ")


def test_work_that_lasts_into_its_next_occurrence_is_refused() -> None:
    with pytest.raises(Invalid, match="lasts into the next one") as refused:
        rule("FREQ=DAILY", duration=timedelta(hours=25))
    assert str(refused.value).startswith("end: ")


def test_the_preview_begins_after_a_moment() -> None:
    found = recurrence.preview(rule("FREQ=DAILY"), 3, after=datetime(2026, 3, 28, 12, tzinfo=UTC))
    assert [one.key for one in found] == ["2026-03-29T02:30", "2026-03-30T02:30", "2026-03-31T02:30"]


@pytest.mark.parametrize("name", ZONES)
def test_an_ordinary_time_is_the_instant_the_clock_says(name: str) -> None:
    zone = ZoneInfo(name)
    noon = datetime(2026, 6, 1, 12, 0)  # noqa: DTZ001
    assert instant(noon, zone).astimezone(zone).replace(tzinfo=None) == noon


def numbers(text: str, count: int, after: datetime, **more: object) -> list[tuple[int, str]]:
    found = recurrence.forecast(rule(text, **more), count, after=after)  # type: ignore[arg-type]
    return [(one.number, one.occurrence.key[:10]) for one in found]


def test_a_forecast_holds_the_next_ones_and_those_around_each_change_of_the_clocks() -> None:
    after = datetime(2026, 1, 6, tzinfo=UTC)
    assert numbers("FREQ=DAILY", 3, after) == [
        (1, "2026-01-06"),
        (2, "2026-01-07"),
        (3, "2026-01-08"),
        (82, "2026-03-28"),  # the last before
        (83, "2026-03-29"),  # skipped
        (293, "2026-10-25"),  # comes twice, and is the last before
        (294, "2026-10-26"),  # the first after
    ]


def test_a_forecast_of_work_by_day_still_shows_when_the_offset_changes() -> None:
    noon = START.replace(hour=12)
    found = numbers("FREQ=WEEKLY", 1, datetime(2026, 1, 6, tzinfo=UTC), begins=noon)
    assert found == [
        (1, "2026-01-12"),
        (11, "2026-03-23"),
        (12, "2026-03-30"),
        (41, "2026-10-19"),
        (42, "2026-10-26"),
    ]


def test_a_forecast_is_as_long_as_was_asked_for_also_where_that_takes_years() -> None:
    found = recurrence.forecast(rule("FREQ=YEARLY"), 8, after=datetime(2026, 1, 6, tzinfo=UTC))
    assert [one.number for one in found] == list(range(1, 9))


def test_a_forecast_ends_with_its_rule_and_where_no_clock_changes() -> None:
    after = datetime(2026, 1, 6, tzinfo=UTC)
    assert [n for n, _day in numbers("FREQ=DAILY;COUNT=4", 8, after)] == [1, 2, 3]
    assert [n for n, _day in numbers("FREQ=DAILY", 2, after, zone="Asia/Tokyo")] == [1, 2]


def test_what_is_refused_can_be_said_in_another_language() -> None:
    with pytest.raises(Invalid) as refused:
        rule("FREQ=DAILY;{x}=1")
    assert refused.value.message % refused.value.values == refused.value.reason
    assert refused.value.values["part"] == "{X}=1"
