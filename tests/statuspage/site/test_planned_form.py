"""From the announcing form to work that takes place once or recurs, and what is refused at which field."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from statuspage.site.composition import Problem, Typed
from statuspage.site.planned_form import Plan, PlanReader

WARSAW = ZoneInfo("Europe/Warsaw")
NOW = datetime(2026, 9, 1, 8, tzinfo=UTC)
FILLED = {
    "title_pl": "Prace",
    "text_pl": "Wymiana",
    "service": "NCTS2",
    "begins_at": "2026-10-03T22:00",
    "ends_at": "2026-10-04T01:00",
    "repeat": "once",
    "interval": "1",
    "ending": "never",
}


def reader(**changed: str | list[str]) -> PlanReader:
    values = {name: [v] if isinstance(v, str) else v for name, v in {**FILLED, **changed}.items()}
    return PlanReader(Typed(values), WARSAW, NOW)


def plan(**changed: str | list[str]) -> Plan:
    found = reader(**changed)
    read = found.plan()
    assert read is not None, found.problems
    return read


def test_work_that_takes_place_once_has_no_rule() -> None:
    read = plan(zone="nowhere", rule="nonsense", count="many")  # which are for work that recurs
    assert read.recurrence is None
    assert read.series is None
    assert read.once.begins_at == datetime(2026, 10, 3, 20, tzinfo=UTC)


@pytest.mark.parametrize(
    ("typed", "rule"),
    [
        ({"repeat": "daily"}, "FREQ=DAILY"),
        ({"repeat": "daily", "interval": "3"}, "FREQ=DAILY;INTERVAL=3"),
        ({"repeat": "daily", "interval": ""}, "FREQ=DAILY"),
        ({"repeat": "weekly"}, "FREQ=WEEKLY"),
        ({"repeat": "weekly", "weekday": ["SU", "SA"]}, "FREQ=WEEKLY;BYDAY=SA,SU"),
        ({"repeat": "month_day"}, "FREQ=MONTHLY"),
        ({"repeat": "month_day", "month_day": "31"}, "FREQ=MONTHLY;BYMONTHDAY=31"),
        ({"repeat": "month_day", "month_day": "-1"}, "FREQ=MONTHLY;BYMONTHDAY=-1"),
        (
            {"repeat": "month_weekday", "ordinal": "-1", "ordinal_day": "SU", "interval": "2"},
            "FREQ=MONTHLY;INTERVAL=2;BYDAY=-1SU",
        ),
        ({"repeat": "weekly", "ending": "count", "count": "12"}, "FREQ=WEEKLY;COUNT=12"),
        ({"repeat": "weekly", "ending": "until", "until": "2026-12-31"}, "FREQ=WEEKLY;UNTIL=20261231"),
        ({"repeat": "rule", "rule": "rrule:freq=monthly;byday=1sa"}, "FREQ=MONTHLY;BYDAY=1SA"),
        (
            {"repeat": "rule", "rule": "FREQ=DAILY;", "ending": "count", "count": "3", "interval": "x"},
            "FREQ=DAILY;COUNT=3",
        ),
    ],
)
def test_plain_controls_make_a_rule(typed: dict[str, str], rule: str) -> None:
    found = plan(**typed).recurrence
    assert found is not None
    assert found.rule == rule
    assert found.zone == WARSAW
    assert found.duration == timedelta(hours=3)


@pytest.mark.parametrize(
    ("typed", "field", "said"),
    [
        ({"repeat": "hourly"}, "repeat", "Choose one of the list."),
        ({"repeat": "daily", "interval": "0"}, "interval", "Write a whole number from 1 to %(most)s."),
        ({"repeat": "daily", "interval": "100"}, "interval", "Write a whole number from 1 to %(most)s."),
        (
            {"repeat": "daily", "ending": "count", "count": "²"},
            "count",
            "Write a whole number from 1 to %(most)s.",
        ),
        ({"repeat": "daily", "ending": "until", "until": "soon"}, "until", "Write the day as 2026-11-23."),
        (
            {"repeat": "daily", "ending": "until", "until": "2026-10-02"},
            "until",
            "lies before the first time",
        ),
        (
            {"repeat": "month_weekday", "ordinal": "7", "ordinal_day": "SU"},
            "repeat",
            "Choose one of the list.",
        ),
        ({"repeat": "rule"}, "rule", "Write the rule, such as FREQ=MONTHLY;BYDAY=1SA."),
        (
            {"repeat": "rule", "rule": "FREQ=HOURLY"},
            "rule",
            "FREQ has to be one of %(known)s; nothing finer than daily",
        ),
        ({"repeat": "rule", "rule": "x{y}"}, "rule", '"%(part)s" is not known here; known are %(known)s'),
        (
            {"repeat": "rule", "rule": "FREQ=DAILY;COUNT=2", "ending": "until", "until": "2026-12-31"},
            "rule",
            "COUNT and UNTIL exclude each other",
        ),
        (
            {"repeat": "daily", "zone": "Europe/Atlantis"},
            "zone",
            '"%(zone)s" is not an IANA time zone such as Europe/Warsaw',
        ),
        (
            {"repeat": "daily", "ends_at": "2026-10-05T01:00"},
            "ends_at",
            "the work of %(before)s lasts into the next one, of %(after)s",
        ),
        ({"repeat": "daily", "ends_at": "2026-10-03T22:00"}, "ends_at", "must come after the start"),
        ({"repeat": "daily", "begins_at": ""}, "begins_at", "Say when."),
        ({"repeat": "daily", "begins_at": "x"}, "begins_at", "Write day and time as 2026-11-23 06:10."),
        ({"begins_at": ""}, "begins_at", "Say when."),
        ({"title_pl": ""}, "title_pl", "Write this in one language at least."),
        ({"text_pl": " "}, "text_pl", "Write this in one language at least."),
        ({"service": ""}, "services", "Choose at least one service."),
        (
            {
                "repeat": "month_day",
                "month_day": "31",
                "interval": "12",
                "begins_at": "2026-11-03T22:00",
                "ends_at": "2026-11-03T23:00",
            },
            "repeat",
            "%(rule)s never comes true",
        ),
    ],
)
def test_what_cannot_be_is_said_at_its_field(typed: dict[str, str], field: str, said: str) -> None:
    found = reader(**typed)
    assert found.plan() is None
    assert [(problem.field, problem.message) for problem in found.problems] == [(field, said)]


def test_the_times_of_recurring_work_are_local_in_its_own_zone() -> None:
    read = plan(repeat="weekly", zone="America/New_York")
    assert read.begins_at == datetime(2026, 10, 4, 2, tzinfo=UTC)
    assert read.recurrence is not None
    assert read.recurrence.zone.key == "America/New_York"


def test_a_first_time_in_the_hour_that_comes_twice_is_for_the_rule_to_settle() -> None:
    times = {"begins_at": "2026-10-25T02:30", "ends_at": "2026-10-25T04:30"}
    assert [p.field for p in _problems(**times)] == ["begins_at"]  # once: which of the two is asked
    read = plan(repeat="weekly", **times)
    assert read.begins_at == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


def _problems(**changed: str) -> list[Problem]:
    found = reader(**changed)
    found.plan()
    return list(found.problems)


def test_the_first_time_is_the_first_that_the_rule_makes() -> None:
    read = plan(repeat="month_weekday", ordinal="-1", ordinal_day="SU")
    assert read.begins_at == datetime(2026, 10, 25, 21, tzinfo=UTC)
    assert read.once.ends_at == datetime(2026, 10, 26, 0, tzinfo=UTC)


def test_whatever_is_changed_has_another_mark() -> None:
    changes: list[dict[str, str]] = [
        {},
        {"title_en": "Work"},
        {"text_pl": "Inna"},
        {"service": "CRPA"},
        {"ends_at": "2026-10-04T02:00"},
        {"by_hand": "yes"},
        {"repeat": "weekly"},
        {"repeat": "weekly", "interval": "2"},
        {"repeat": "weekly", "zone": "Europe/Vilnius"},
    ]
    marks = [plan(**changed).mark(0) for changed in changes]
    assert len(set(marks)) == len(marks)
    assert plan().mark(0) == marks[0]
    assert plan().mark(1) != marks[0]
