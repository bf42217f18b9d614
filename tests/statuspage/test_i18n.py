"""Polish and English: catalogues, the choice of language, days, hours and durations in words."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from statuspage.kernel.i18n import (
    Catalogues,
    Language,
    format_clock,
    format_day,
    format_duration_words,
    format_fixed,
    format_instant,
    format_month,
    format_short_day,
    negotiate,
    offset,
)

WARSAW = ZoneInfo("Europe/Warsaw")
NOW = datetime(2026, 11, 23, 5, 10, tzinfo=UTC)

PO = """
msgid ""
msgstr ""
"Content-Type: text/plain; charset=UTF-8\\n"
"Plural-Forms: nplurals=3; plural=(n==1 ? 0 : n%10>=2 && n%10<=4 && (n%100<12 || n%100>14) ? 1 : 2);\\n"

msgid "Status"
msgstr "Stan"

#, fuzzy
msgid "History"
msgstr "Historyjka"

msgid "Untranslated"
msgstr ""

msgid "%(n)s service"
msgid_plural "%(n)s services"
msgstr[0] "%(n)s usługa"
msgstr[1] "%(n)s usługi"
msgstr[2] "%(n)s usług"
"""


@pytest.fixture
def catalogues(tmp_path: Path) -> Catalogues:
    messages = tmp_path / "pl" / "LC_MESSAGES"
    messages.mkdir(parents=True)
    (messages / "site.po").write_text(PO, encoding="utf-8")
    (messages / "other.po").write_text('msgid "Log in"\nmsgstr "Zaloguj się"\n', encoding="utf-8")
    return Catalogues(tmp_path)


SAID = pytest.mark.parametrize(
    ("language", "message", "text"),
    [
        ("pl", "Status", "Stan"),
        ("en", "Status", "Status"),
        ("pl", "Log in", "Zaloguj się"),
        ("pl", "History", "History"),
        ("pl", "Untranslated", "Untranslated"),
        ("pl", "", ""),
    ],
)


@SAID
def test_what_can_be_said_in_a_language_is_known(
    catalogues: Catalogues, language: str, message: str, text: str
) -> None:
    assert catalogues.knows(language, message) == (language == "en" or text != message)


@SAID
def test_a_message_is_said_in_the_language_or_in_english(
    catalogues: Catalogues, language: str, message: str, text: str
) -> None:
    assert catalogues.gettext(language, message) == text
    assert catalogues.translator(language)(message) == text


@pytest.mark.parametrize(
    ("n", "word"),
    [
        (0, "usług"),
        (1, "usługa"),
        (2, "usługi"),
        (4, "usługi"),
        (5, "usług"),
        (11, "usług"),
        (12, "usług"),
        (14, "usług"),
        (21, "usług"),
        (22, "usługi"),
        (104, "usługi"),
        (112, "usług"),
    ],
)
def test_polish_has_three_forms(catalogues: Catalogues, n: int, word: str) -> None:
    assert catalogues.ngettext("pl", "%(n)s service", "%(n)s services", n) == f"%(n)s {word}"


@pytest.mark.parametrize(("n", "word"), [(0, "services"), (1, "service"), (2, "services"), (21, "services")])
def test_english_has_two_forms(catalogues: Catalogues, n: int, word: str) -> None:
    assert catalogues.ngettext("en", "%(n)s service", "%(n)s services", n) == f"%(n)s {word}"


def test_a_plural_without_translation_falls_back_to_english(catalogues: Catalogues) -> None:
    assert catalogues.ngettext("pl", "one hour", "hours", 1) == "one hour"
    assert catalogues.ngettext("pl", "one hour", "hours", 5) == "hours"


@pytest.mark.parametrize(
    ("accepted", "default", "language"),
    [
        ("", "pl", "pl"),
        ("", "en", "en"),
        ("en", "pl", "en"),
        ("en-GB,en;q=0.9", "pl", "en"),
        ("PL-pl", "en", "pl"),
        ("de,en;q=0.5,pl;q=0.7", "en", "pl"),
        ("en, pl", "pl", "en"),
        ("pl;q=0.5, en; q=0.8", "pl", "en"),
        ("en;q=0", "pl", "pl"),
        ("de-DE,de;q=0.9", "pl", "pl"),
        ("*", "pl", "pl"),
        ("plt", "en", "en"),
        ("en;q=high, pl;q=0.1", "en", "pl"),
        ("en;q=nan", "pl", "pl"),
        (";;;,,,=", "pl", "pl"),
        ("de," * 10_000 + "en", "pl", "pl"),
    ],
)
def test_the_language_is_negotiated(accepted: str, default: Language, language: Language) -> None:
    assert negotiate(accepted, default) == language


@pytest.mark.parametrize(
    ("at", "now", "polish", "english"),
    [
        (NOW, NOW, "dziś 06:10 (UTC+1)", "today 06:10 (UTC+1)"),
        (
            NOW - timedelta(hours=6, minutes=11),
            NOW,
            "wczoraj 23:59 (UTC+1)",
            "yesterday 23:59 (UTC+1)",
        ),
        (NOW + timedelta(hours=17, minutes=50), NOW, "jutro 00:00 (UTC+1)", "tomorrow 00:00 (UTC+1)"),
        (
            # In UTC it is still the 22nd, in Warsaw both are the 23rd.
            datetime(2026, 11, 22, 23, 30, tzinfo=UTC),
            NOW,
            "dziś 00:30 (UTC+1)",
            "today 00:30 (UTC+1)",
        ),
        (
            datetime(2026, 11, 21, 12, tzinfo=UTC),
            NOW,
            "21 listopada, 13:00 (UTC+1)",
            "21 November, 13:00 (UTC+1)",
        ),
        (
            datetime(2026, 7, 1, 12, tzinfo=UTC),
            NOW,
            "1 lipca, 14:00 (UTC+2)",
            "1 July, 14:00 (UTC+2)",
        ),
        (
            datetime(2025, 12, 31, 22, tzinfo=UTC),
            NOW,
            "31 grudnia 2025, 23:00 (UTC+1)",
            "31 December 2025, 23:00 (UTC+1)",
        ),
        (
            datetime(2026, 12, 31, 23, tzinfo=UTC),
            datetime(2026, 12, 31, 12, tzinfo=UTC),
            "jutro 00:00 (UTC+1)",
            "tomorrow 00:00 (UTC+1)",
        ),
    ],
)
def test_an_instant_is_told_as_people_tell_it(at: datetime, now: datetime, polish: str, english: str) -> None:
    assert format_instant(at, "pl", WARSAW, now) == polish
    assert format_instant(at, "en", WARSAW, now) == english


def test_the_hour_that_comes_twice_is_told_apart_by_its_offset() -> None:
    now = datetime(2026, 10, 25, 12, tzinfo=UTC)
    first = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)

    assert format_instant(first, "pl", WARSAW, now) == "dziś 02:30 (UTC+2)"
    assert format_instant(first + timedelta(hours=1), "pl", WARSAW, now) == "dziś 02:30 (UTC+1)"


def test_the_hour_that_is_left_out_in_spring_is_never_told() -> None:
    now = datetime(2026, 3, 29, 12, tzinfo=UTC)
    before = datetime(2026, 3, 29, 0, 59, tzinfo=UTC)

    assert format_instant(before, "en", WARSAW, now) == "today 01:59 (UTC+1)"
    assert format_instant(before + timedelta(minutes=1), "en", WARSAW, now) == "today 03:00 (UTC+2)"


def test_a_day_of_23_hours_is_still_one_day() -> None:
    evening_before = datetime(2026, 3, 28, 22, 30, tzinfo=UTC)  # 23:30 in Warsaw
    evening_after = datetime(2026, 3, 29, 21, 30, tzinfo=UTC)  # 23:30 the next day

    assert format_day(evening_before, "en", WARSAW, evening_after) == "yesterday"
    assert format_day(evening_after, "pl", WARSAW, evening_before) == "jutro"


@pytest.mark.parametrize(
    ("zone", "text"),
    [
        ("Europe/Warsaw", "UTC+1"),
        ("UTC", "UTC"),
        ("Europe/London", "UTC"),
        ("Asia/Kolkata", "UTC+5:30"),
        ("America/St_Johns", "UTC-3:30"),
        ("America/New_York", "UTC-5"),
    ],
)
def test_an_offset_is_written_short(zone: str, text: str) -> None:
    assert offset(NOW, ZoneInfo(zone)) == text


@pytest.mark.parametrize(
    ("duration", "polish", "english"),
    [
        (timedelta(0), "0 sekund", "0 seconds"),
        (timedelta(seconds=1), "1 sekunda", "1 second"),
        (timedelta(seconds=45), "45 sekund", "45 seconds"),
        (timedelta(seconds=59.6), "1 minuta", "1 minute"),
        (timedelta(minutes=2, seconds=59), "2 minuty", "2 minutes"),
        (timedelta(minutes=22), "22 minuty", "22 minutes"),
        (timedelta(hours=1), "1 godzina", "1 hour"),
        (timedelta(hours=1, seconds=30), "1 godzina", "1 hour"),
        (timedelta(hours=3, minutes=30), "3 godziny 30 minut", "3 hours 30 minutes"),
        (timedelta(days=1, hours=1, minutes=59), "1 dzień 1 godzina", "1 day 1 hour"),
        (timedelta(days=5), "5 dni", "5 days"),
        (timedelta(days=2, minutes=5), "2 dni", "2 days"),
        (timedelta(seconds=-30), "0 sekund", "0 seconds"),
    ],
)
def test_a_duration_takes_two_words_at_most(duration: timedelta, polish: str, english: str) -> None:
    assert format_duration_words(duration, "pl") == polish
    assert format_duration_words(duration, "en") == english


def test_months_stand_alone_in_the_nominative() -> None:
    assert format_month(2026, 11, "pl") == "listopad 2026"
    assert format_month(2026, 11, "en") == "November 2026"


def test_a_day_below_a_graph_is_short_and_of_the_pages_zone() -> None:
    late = datetime(2026, 2, 28, 23, 30, tzinfo=UTC)
    assert format_short_day(late, "pl", WARSAW) == "1 mar"
    assert format_short_day(late, "en", WARSAW) == "1 Mar"
    assert format_short_day(NOW.replace(month=10), "pl", WARSAW) == "23 paź"


def test_the_clock_is_the_pages() -> None:
    assert format_clock(NOW, WARSAW) == "06:10"


def test_a_kept_text_never_says_today() -> None:
    assert format_fixed(NOW, "pl", WARSAW) == "23 listopada, 06:10 (UTC+1)"
    assert format_fixed(NOW, "en", WARSAW) == "23 November, 06:10 (UTC+1)"
