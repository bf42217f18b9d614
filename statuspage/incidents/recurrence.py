"""Recurring work: which occurrences a rule of RFC 5545 makes in a zone, daylight saving included. Pure.

A rule speaks of local time. Where the clocks skip the hour it names, the work begins at the next valid
instant; where that hour comes twice, it begins once, in the first. The duration is elapsed time.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from itertools import islice, pairwise, takewhile
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dateutil.rrule import rrule, rrulestr

from statuspage.kernel.errors import Invalid

FREQUENCIES = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")
MAX_A_DAY = 4
_LOOKED_AT = 60  # occurrences in which two that overlap are looked for
_CALENDAR_CYCLE = 400  # years after which dates fall on the same weekdays again
_LAST_YEAR = 9999
_LAST_USED = 9900  # later ones could end after the calendar does

_FORECAST = timedelta(days=400)  # a year and a little: each change of the clocks comes in it


def _(message: str) -> str:
    """Marks a message for translation."""
    return message


_DAY = "(?:MO|TU|WE|TH|FR|SA|SU)"


def _list_of(item: str) -> str:
    return f"{item}(?:,{item})*"


_PARTS: Mapping[str, str] = {
    "FREQ": "|".join(FREQUENCIES),
    "INTERVAL": r"[1-9]\d{0,3}",
    "COUNT": r"[1-9]\d{0,3}",
    "UNTIL": r"\d{8}(?:T\d{6}Z?)?",
    "BYMONTH": _list_of("(?:1[0-2]|[1-9])"),
    "BYMONTHDAY": _list_of(r"[+-]?(?:3[01]|[12]\d|[1-9])"),
    "BYDAY": _list_of(rf"(?:[+-]?[1-9]\d?)?{_DAY}"),
    "BYHOUR": _list_of(r"(?:2[0-3]|1\d|\d)"),
    "BYMINUTE": _list_of(r"(?:[1-5]\d|\d)"),
    "BYSETPOS": _list_of(r"[+-]?[1-9]\d?"),
    "WKST": _DAY,
}


class Remark(StrEnum):
    """What a change of the clocks does to an occurrence."""

    SKIPPED = "skipped"  # the hour it was to begin in does not exist: it begins when the clocks have moved
    TWICE = "twice"  # that hour comes twice: it begins in the first
    LONGER = "longer"  # by the clock it ends later than on other days
    SHORTER = "shorter"  # by the clock it ends earlier than on other days


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One time that the work takes place."""

    local: datetime  # naive: what the rule says
    begins_at: datetime
    ends_at: datetime
    remarks: tuple[Remark, ...]

    @property
    def key(self) -> str:
        """Names it within its series, whatever becomes of its times: `2026-03-29T02:30`."""
        return f"{self.local:%Y-%m-%dT%H:%M}"


@dataclass(frozen=True, slots=True)
class Coming:
    """An occurrence that lies ahead."""

    number: int  # 1: the next one
    occurrence: Occurrence


@dataclass(frozen=True, slots=True)
class Recurrence:
    """A rule that `parse` has found good."""

    rule: str  # as in RFC 5545 section 3.3.10, without the name
    zone: ZoneInfo
    begins_local: datetime  # naive; nothing takes place before
    duration: timedelta


def zone_named(name: str) -> ZoneInfo:
    """Raises Invalid for what is not an IANA zone."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Invalid(
            "zone", _('"%(zone)s" is not an IANA time zone such as Europe/Warsaw'), zone=name
        ) from None


def parse(rule: str, *, zone: str, begins_local: datetime, duration: timedelta) -> Recurrence:
    """A rule such as `FREQ=MONTHLY;BYDAY=1SA`, checked.

    Raises Invalid naming `repeat`, `zone` or `end`: for a part that is not known, a rule finer than daily or
    with too many occurrences a day, one that never comes true, and work that lasts into its next occurrence.
    """
    parts = _split(rule)
    _check_parts(parts)
    found = Recurrence(
        ";".join(f"{name}={value}" for name, value in parts.items()),
        zone_named(zone),
        begins_local.replace(second=0, microsecond=0, tzinfo=None),
        duration,
    )
    if not _ever_comes_true(found):
        raise Invalid("repeat", _("%(rule)s never comes true"), rule=found.rule)
    for before, after in pairwise(islice(occurrences(found), _LOOKED_AT)):
        if before.ends_at > after.begins_at:
            message = _("the work of %(before)s lasts into the next one, of %(after)s")
            raise Invalid("end", message, before=before.key, after=after.key)
    return found


def occurrences(recurrence: Recurrence) -> Iterator[Occurrence]:
    """Every occurrence, soonest first; without end where the rule has none."""
    previous: datetime | None = None
    for local in takewhile(lambda local: local.year <= _LAST_USED, _locals(recurrence)):
        found = occurrence(recurrence, local)
        if found.begins_at != previous:  # a gap can push two of a day to one instant
            yield found
        previous = found.begins_at


def preview(recurrence: Recurrence, count: int, *, after: datetime) -> tuple[Occurrence, ...]:
    """The next `count` occurrences that begin after an instant."""
    return tuple(islice((o for o in occurrences(recurrence) if o.begins_at > after), count))


def forecast(recurrence: Recurrence, count: int, *, after: datetime) -> tuple[Coming, ...]:
    """The next `count` occurrences, and those at each change of the clocks in the coming 400 days.

    Those are the ones with remarks, and the last before and the first after the change.
    """
    coming: list[Coming] = []
    for number, found in enumerate((o for o in occurrences(recurrence) if o.begins_at > after), start=1):
        if number > count and found.begins_at > after + _FORECAST:
            break
        coming.append(Coming(number, found))
    shown = {one.number for one in coming if one.number <= count or one.occurrence.remarks}
    for one, other in pairwise(coming):
        if _offset(one, recurrence.zone) != _offset(other, recurrence.zone):
            shown |= {one.number, other.number}
    return tuple(one for one in coming if one.number in shown)


def _offset(one: Coming, zone: ZoneInfo) -> timedelta | None:
    return one.occurrence.begins_at.astimezone(zone).utcoffset()


def occurrence(recurrence: Recurrence, local: datetime) -> Occurrence:
    """The occurrence that the rule puts at a local time."""
    zone = recurrence.zone
    begins_at = instant(local, zone)
    ends_at = begins_at + recurrence.duration
    remarks = []
    begins_local = begins_at.astimezone(zone).replace(tzinfo=None)
    if begins_local != local:
        remarks.append(Remark.SKIPPED)
    elif local.replace(tzinfo=zone).utcoffset() != local.replace(tzinfo=zone, fold=1).utcoffset():
        remarks.append(Remark.TWICE)
    by_the_clock = ends_at.astimezone(zone).replace(tzinfo=None) - local
    if by_the_clock != recurrence.duration:
        remarks.append(Remark.LONGER if by_the_clock > recurrence.duration else Remark.SHORTER)
    return Occurrence(local, begins_at, ends_at, tuple(remarks))


def instant(local: datetime, zone: ZoneInfo) -> datetime:
    """The instant of a local time: the next valid one in a gap, the first of two in an overlap (PEP 495)."""
    first = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if first.astimezone(zone).replace(tzinfo=None) == local:
        return first
    # In a gap fold 0 lies after the change of the clocks and fold 1 before it.
    before, after = local.replace(tzinfo=zone, fold=1).astimezone(UTC), first
    offset = before.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = (before + (after - before) / 2).replace(microsecond=0)
        if middle.astimezone(zone).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return after


# --- reading a rule ---


def _split(rule: str) -> dict[str, str]:
    text = rule.strip().upper().removeprefix("RRULE:").rstrip(";")
    parts: dict[str, str] = {}
    for part in text.split(";"):
        name, _separator, value = part.partition("=")
        if name not in _PARTS:
            message = _('"%(part)s" is not known here; known are %(known)s')
            raise Invalid("repeat", message, part=part, known=", ".join(_PARTS))
        if name in parts:
            raise Invalid("repeat", _("%(part)s stands in it twice"), part=name)
        parts[name] = value
    return parts


def _check_parts(parts: Mapping[str, str]) -> None:
    frequency = parts.get("FREQ", "")
    if frequency not in FREQUENCIES:
        message = _("FREQ has to be one of %(known)s; nothing finer than daily")
        raise Invalid("repeat", message, known=", ".join(FREQUENCIES))
    for name, value in parts.items():
        if not re.fullmatch(_PARTS[name], value, re.ASCII):
            message = _("%(part)s is not what RFC 5545 expects, or out of bounds")
            raise Invalid("repeat", message, part=f"{name}={value}")
    if "COUNT" in parts and "UNTIL" in parts:
        raise Invalid("repeat", _("COUNT and UNTIL exclude each other"))
    if frequency in ("DAILY", "WEEKLY") and re.search(r"\d", parts.get("BYDAY", "")):
        message = _("%(part)s: numbered weekdays need FREQ=MONTHLY or YEARLY")
        raise Invalid("repeat", message, part=f"BYDAY={parts['BYDAY']}")
    times = [len(set(parts[name].split(","))) for name in ("BYHOUR", "BYMINUTE") if name in parts]
    if (a_day := times[0] * times[-1] if len(times) == 2 else sum(times)) > MAX_A_DAY:
        message = _("makes %(count)s occurrences a day; at most %(most)s are allowed")
        raise Invalid("repeat", message, count=a_day, most=MAX_A_DAY)


def _until(text: str, zone: ZoneInfo) -> datetime:
    """The last local time that counts."""
    try:
        if text.endswith("Z"):
            at = datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
            return at.astimezone(zone).replace(tzinfo=None)
        if "T" in text:
            return datetime.strptime(text, "%Y%m%dT%H%M%S")  # noqa: DTZ007 - local on purpose
        return datetime.combine(datetime.strptime(text, "%Y%m%d"), time.max)  # noqa: DTZ007
    except ValueError:
        raise Invalid("repeat", _("UNTIL=%(until)s is not a date of the calendar"), until=text) from None


def _rule(recurrence: Recurrence, begins_local: datetime) -> rrule:
    text = ";".join(part for part in recurrence.rule.split(";") if not part.startswith("UNTIL="))
    try:
        found = rrulestr(text, dtstart=begins_local)
    except (ValueError, TypeError) as error:
        raise Invalid(
            "repeat", _("%(rule)s cannot be read: %(error)s"), rule=recurrence.rule, error=error
        ) from None
    if not isinstance(found, rrule):
        raise Invalid("repeat", _("write one rule"))
    return found


def _locals(recurrence: Recurrence) -> Iterator[datetime]:
    found = iter(_rule(recurrence, recurrence.begins_local))
    text = _split(recurrence.rule).get("UNTIL")
    if text is None:
        return found
    until = _until(text, recurrence.zone)
    return takewhile(lambda local: local <= until, found)


def _ever_comes_true(recurrence: Recurrence) -> bool:
    """Asked near the calendar's last year, where the search for nothing ends soon instead of after 8,000 years."""
    begins = recurrence.begins_local
    cycles = (_LAST_YEAR - begins.year) // _CALENDAR_CYCLE
    late = begins.replace(year=begins.year + cycles * _CALENDAR_CYCLE)
    if next(iter(_rule(recurrence, late)), None) is None:
        return False
    return next(occurrences(recurrence), None) is not None
