"""Polish and English: gettext catalogues (English is the source), dates and durations in words."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Literal, get_args
from zoneinfo import ZoneInfo

Language = Literal["pl", "en"]
LANGUAGES: tuple[Language, ...] = get_args(Language)
TEMPLATES = Path(__file__).resolve().parents[2] / "templates"
LOCALE = TEMPLATES / "locale"


class Catalogues:
    """The translations of every room, one .po file each, merged per language."""

    def __init__(self, locale: Path = LOCALE) -> None:
        self._messages: dict[str, dict[str, tuple[str, ...]]] = {}
        self._plural: dict[str, Callable[[int], int]] = {}
        for language in LANGUAGES:
            self._messages[language] = {}
            self._plural[language] = lambda n: 0 if n == 1 else 1
            for path in sorted((locale / language / "LC_MESSAGES").glob("*.po")):
                self._read(language, path)

    def _read(self, language: str, path: Path) -> None:
        from babel.messages.pofile import read_po  # costs 40 ms: not for `--version`

        with path.open("rb") as file:
            catalogue = read_po(file, locale=language)
        self._plural[language] = _polish_plural if language == "pl" else self._plural[language]
        for message in catalogue:
            if not message.id or message.fuzzy or not message.string:
                continue
            singular = message.id[0] if isinstance(message.id, (tuple, list)) else message.id
            strings = message.string if isinstance(message.string, (tuple, list)) else (message.string,)
            self._messages[language][str(singular)] = tuple(str(text) for text in strings)

    def gettext(self, language: str, message: str) -> str:
        """The message in `language`; the English source where it is missing (a test refuses that)."""
        strings = self._messages[language].get(message)
        return strings[0] if strings and strings[0] else message

    def knows(self, language: str, message: str) -> bool:
        """Whether the message can be said in `language`; in English, the source, every message can."""
        return language == "en" or message in self._messages[language]

    def ngettext(self, language: str, singular: str, plural: str, n: int) -> str:
        """The form of the message that `n` asks for: two in English, three in Polish."""
        strings = self._messages[language].get(singular)
        index = self._plural[language](n)
        if strings and index < len(strings):
            return strings[index]
        return singular if n == 1 else plural

    def translator(self, language: str) -> Callable[[str], str]:
        """`gettext` of one language."""
        return lambda message: self.gettext(language, message)


def _polish_plural(n: int) -> int:
    if n == 1:
        return 0
    return 1 if 2 <= n % 10 <= 4 and not 12 <= n % 100 <= 14 else 2


def negotiate(accept_language: str, default: Language) -> Language:
    """The better of our languages for an Accept-Language header (RFC 9110 §12.5.4)."""
    best: tuple[float, Language] = (0.0, default)
    for part in accept_language[:200].split(","):
        tag, _, parameter = part.strip().partition(";")
        try:
            quality = float(parameter.strip().removeprefix("q=") or 1)
        except ValueError:
            continue
        language = tag.strip().lower().partition("-")[0]
        for known in LANGUAGES:
            if known == language and quality > best[0]:
                best = (quality, known)
    return best[1]


_MONTHS = {
    "pl": (
        *("stycznia", "lutego", "marca", "kwietnia", "maja", "czerwca"),
        *("lipca", "sierpnia", "września", "października", "listopada", "grudnia"),
    ),
    "en": (
        *("January", "February", "March", "April", "May", "June"),
        *("July", "August", "September", "October", "November", "December"),
    ),
}
_MONTHS_ALONE = {
    "pl": (
        *("styczeń", "luty", "marzec", "kwiecień", "maj", "czerwiec"),
        *("lipiec", "sierpień", "wrzesień", "październik", "listopad", "grudzień"),
    ),
    "en": _MONTHS["en"],
}
_NEAR = {"pl": {-1: "wczoraj", 0: "dziś", 1: "jutro"}, "en": {-1: "yesterday", 0: "today", 1: "tomorrow"}}


def offset(at: datetime, zone: ZoneInfo) -> str:
    """`UTC+1`, `UTC+5:30`, `UTC`."""
    minutes = round((at.astimezone(zone).utcoffset() or timedelta()).total_seconds() / 60)
    if minutes == 0:
        return "UTC"
    hours, rest = divmod(abs(minutes), 60)
    return f"UTC{'+' if minutes > 0 else '-'}{hours}{f':{rest:02}' if rest else ''}"


def format_day(at: datetime, language: str, zone: ZoneInfo, now: datetime) -> str:
    """`dziś`, `tomorrow`, `22 listopada`, `22 November 2025`."""
    local, today = at.astimezone(zone).date(), now.astimezone(zone).date()
    if near := _NEAR[language].get((local - today).days):
        return near
    year = f" {local.year}" if local.year != today.year else ""
    return f"{local.day} {_MONTHS[language][local.month - 1]}{year}"


def format_short_day(at: datetime, language: str, zone: ZoneInfo) -> str:
    """`22 lis`, `22 Nov`: where there is room for no more, as below a graph."""
    local = at.astimezone(zone).date()
    return f"{local.day} {_MONTHS[language][local.month - 1][:3]}"


def format_instant(at: datetime, language: str, zone: ZoneInfo, now: datetime) -> str:
    """Day, hour and zone: `dziś 06:10 (UTC+1)`, `22 November, 06:10 (UTC+1)`."""
    day = format_day(at, language, zone, now)
    separator = " " if day in _NEAR[language].values() else ", "
    return f"{day}{separator}{at.astimezone(zone):%H:%M} ({offset(at, zone)})"


def format_fixed(at: datetime, language: str, zone: ZoneInfo) -> str:
    """As `format_instant`, without "today": for a text that is kept and read on another day."""
    local = at.astimezone(zone)
    return f"{local.day} {_MONTHS[language][local.month - 1]}, {local:%H:%M} ({offset(at, zone)})"


def format_clock(at: datetime, zone: ZoneInfo) -> str:
    """`06:10`, in the page's zone."""
    return f"{at.astimezone(zone):%H:%M}"


def format_month(year: int, month: int, language: str) -> str:
    """`November 2026`, `listopad 2026` (nominative)."""
    return f"{_MONTHS_ALONE[language][month - 1]} {year}"


_DURATION_WORDS = {
    "pl": (
        ("dzień", "dni", "dni"),
        ("godzina", "godziny", "godzin"),
        ("minuta", "minuty", "minut"),
        ("sekunda", "sekundy", "sekund"),
    ),
    "en": (("day", "days"), ("hour", "hours"), ("minute", "minutes"), ("second", "seconds")),
}


@cache
def _unit_word(language: str, unit: int, n: int) -> str:
    forms = _DURATION_WORDS[language][unit]
    return forms[_polish_plural(n)] if language == "pl" else forms[n != 1]


def format_duration_words(duration: timedelta, language: str) -> str:
    """At most two units: `3 godziny 30 minut`, `2 days 1 hour`, `45 seconds`. Never negative."""
    rest = max(0, round(duration.total_seconds()))
    parts = []
    for unit, size in enumerate((86400, 3600, 60, 1)):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count} {_unit_word(language, unit, count)}")
        elif parts:
            break
        if len(parts) == 2:
            break
    if len(parts) == 2 and parts[1].endswith(("sekunda", "sekundy", "sekund", "second", "seconds")):
        parts.pop()  # minutes are exact enough
    return " ".join(parts) or f"0 {_unit_word(language, 3, 0)}"
