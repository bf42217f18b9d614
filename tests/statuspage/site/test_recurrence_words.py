"""Recurring work in words, in both languages."""

from datetime import UTC, datetime, timedelta

import pytest

from statuspage.incidents import recurrence
from statuspage.kernel.i18n import Catalogues
from statuspage.site.recurrence_words import Speaker

NOW = datetime(2026, 9, 1, 8, tzinfo=UTC)
BEGINS = datetime(2026, 9, 6, 2, 30)  # noqa: DTZ001 - a rule speaks of local time


def rule(text: str) -> recurrence.Recurrence:
    return recurrence.parse(text, zone="Europe/Warsaw", begins_local=BEGINS, duration=timedelta(hours=3))


def speaker(language: str) -> Speaker:
    return Speaker(Catalogues(), language, NOW)


@pytest.mark.parametrize(
    ("text", "en", "pl"),
    [
        ("FREQ=DAILY", "every day", "codziennie"),
        ("FREQ=DAILY;INTERVAL=2", "every 2 days", "co 2 dni"),
        ("FREQ=WEEKLY;BYDAY=SA,SU", "every week: Saturday, Sunday", "co tydzień: sobota, niedziela"),
        ("FREQ=WEEKLY;INTERVAL=5", "every 5 weeks", "co 5 tygodni"),
        ("FREQ=MONTHLY;BYDAY=1SA", "every month: 1st Saturday", "co miesiąc: 1. sobota"),
        ("FREQ=MONTHLY;BYDAY=-1WE", "every month: last Wednesday", "co miesiąc: ostatnia środa"),
        ("FREQ=MONTHLY;BYMONTHDAY=15", "every month: day 15", "co miesiąc: dzień 15."),
        ("FREQ=MONTHLY;BYMONTHDAY=-1", "every month: last day", "co miesiąc: ostatni dzień"),
        ("FREQ=DAILY;COUNT=1", "every day, 1 time in all", "codziennie, łącznie 1 raz"),
        ("FREQ=DAILY;COUNT=22", "every day, 22 times in all", "codziennie, łącznie 22 razy"),
        ("FREQ=DAILY;UNTIL=20270324", "every day, until 24 March 2027", "codziennie, do 24 marca 2027"),
        # An instant: in Warsaw it is the next day.
        ("FREQ=DAILY;UNTIL=20261224T233000Z", "every day, until 25 December", "codziennie, do 25 grudnia"),
        ("FREQ=YEARLY;BYMONTH=3", "by the rule FREQ=YEARLY;BYMONTH=3", "według reguły FREQ=YEARLY;BYMONTH=3"),
        ("FREQ=MONTHLY;BYMONTHDAY=-2", "by the rule FREQ=MONTHLY;BYMONTHDAY=-2", None),
        ("FREQ=MONTHLY;BYDAY=-2MO", "by the rule FREQ=MONTHLY;BYDAY=-2MO", None),
        ("FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13", "by the rule FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13", None),
        ("FREQ=DAILY;BYHOUR=1,5", "by the rule FREQ=DAILY;BYHOUR=1,5", None),
    ],
)
def test_a_rule_in_words(text: str, en: str, pl: str | None) -> None:
    assert speaker("en").rule(rule(text)) == en
    if pl is not None:
        assert speaker("pl").rule(rule(text)) == pl


def test_a_table_says_what_daylight_saving_does_and_when_each_is_announced() -> None:
    found = rule("FREQ=MONTHLY;BYDAY=-1SU")
    coming = recurrence.forecast(found, 8, after=NOW)
    ahead, horizon = timedelta(days=28), timedelta(days=35)
    rows = speaker("en").rows(coming, found.zone, announce_ahead=ahead, plan_ahead=horizon)
    september, october, november = rows[:3]
    assert september.begins == "Sunday, 27 September, 02:30 (UTC+2)"
    assert september.ends == "05:30 (UTC+2)"
    assert (september.is_late, september.announced_at) == (True, None)
    assert (october.begins, october.ends) == ("Sunday, 25 October, 02:30 (UTC+2)", "04:30 (UTC+1)")
    assert [word.partition(":")[0] for word in october.remarks] == [
        "that hour comes twice when the clocks go back",
        "ends earlier by the clock, which goes back meanwhile",
    ]
    assert not october.is_late
    assert october.announced_at == october.begins_at - horizon
    assert not november.is_notable
    march = next(row for row in rows if row.begins.startswith("Sunday, 28 March 2027"))
    assert (march.begins, march.ends) == ("Sunday, 28 March 2027, 03:00 (UTC+2)", "06:00 (UTC+2)")
    assert [word.partition(",")[0] for word in march.remarks] == [
        "that hour is skipped when the clocks go forward: it begins when they have",
        "ends later by the clock",
    ]


def test_an_end_on_another_day_says_its_day() -> None:
    found = recurrence.parse(
        "FREQ=WEEKLY", zone="Asia/Tokyo", begins_local=BEGINS.replace(hour=23), duration=timedelta(hours=3)
    )
    (row, *_) = speaker("pl").rows(
        recurrence.forecast(found, 1, after=NOW), found.zone, announce_ahead=timedelta(hours=48)
    )
    assert row.begins == "niedziela, 6 września, 23:30 (UTC+9)"
    assert row.ends == "poniedziałek, 7 września, 02:30 (UTC+9)"
    assert row.announced_at is None
