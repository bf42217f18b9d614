"""Recurring work in words: its rule, and a table of what lies ahead, daylight saving included."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from statuspage.incidents.planned_words import REMARKS
from statuspage.incidents.recurrence import Coming, Occurrence, Recurrence
from statuspage.kernel.i18n import Catalogues, format_clock, format_day, format_instant, offset


def _(message: str) -> str:
    """Marks a message for translation."""
    return message


WEEKDAYS: Mapping[str, str] = {
    "MO": _("Monday"),
    "TU": _("Tuesday"),
    "WE": _("Wednesday"),
    "TH": _("Thursday"),
    "FR": _("Friday"),
    "SA": _("Saturday"),
    "SU": _("Sunday"),
}
LAST_WEEKDAYS: Mapping[str, str] = {
    "MO": _("last Monday"),
    "TU": _("last Tuesday"),
    "WE": _("last Wednesday"),
    "TH": _("last Thursday"),
    "FR": _("last Friday"),
    "SA": _("last Saturday"),
    "SU": _("last Sunday"),
}
ORDINALS: Mapping[str, str] = {
    "1": _("1st"),
    "2": _("2nd"),
    "3": _("3rd"),
    "4": _("4th"),
    "5": _("5th"),
    "-1": _("last"),
}
_EVERY: Mapping[str, tuple[str, str, str]] = {
    "DAILY": (_("every day"), "every %(num)s day", "every %(num)s days"),
    "WEEKLY": (_("every week"), "every %(num)s week", "every %(num)s weeks"),
    "MONTHLY": (_("every month"), "every %(num)s month", "every %(num)s months"),
}
_PLAIN = {"FREQ", "INTERVAL", "BYDAY", "BYMONTHDAY", "COUNT", "UNTIL", "WKST"}


@dataclass(frozen=True, slots=True)
class Row:
    """An occurrence in a table, with the times of its zone."""

    number: int
    begins: str  # `Sunday, 25 October 2026, 02:30 (UTC+2)`
    ends: str  # the day only where it is another
    begins_at: datetime
    remarks: tuple[str, ...]  # msgids
    is_late: bool  # it begins too soon to count as announced
    announced_at: datetime | None  # None: at once

    @property
    def is_notable(self) -> bool:
        return bool(self.remarks)


@dataclass(frozen=True, slots=True)
class Speaker:
    """Says it in one language, at one time."""

    catalogues: Catalogues
    language: str
    now: datetime

    def rows(
        self,
        coming: Sequence[Coming],
        zone: ZoneInfo,
        *,
        announce_ahead: timedelta,
        plan_ahead: timedelta | None = None,
    ) -> tuple[Row, ...]:
        """`plan_ahead` None: all of it is announced at once."""
        return tuple(
            self._row(one.number, one.occurrence, zone, announce_ahead, plan_ahead) for one in coming
        )

    def _row(
        self,
        number: int,
        found: Occurrence,
        zone: ZoneInfo,
        announce_ahead: timedelta,
        plan_ahead: timedelta | None,
    ) -> Row:
        is_later = plan_ahead is not None and found.begins_at - plan_ahead > self.now
        return Row(
            number=number,
            begins=self._instant(found.begins_at, zone),
            ends=self._end(found, zone),
            begins_at=found.begins_at,
            remarks=tuple(REMARKS[remark] for remark in found.remarks),
            is_late=found.begins_at - self.now < announce_ahead,
            announced_at=found.begins_at - plan_ahead if plan_ahead is not None and is_later else None,
        )

    def _instant(self, at: datetime, zone: ZoneInfo) -> str:
        weekday = list(WEEKDAYS.values())[at.astimezone(zone).weekday()]
        return f"{self._say(weekday)}, {format_instant(at, self.language, zone, self.now)}"

    def _end(self, found: Occurrence, zone: ZoneInfo) -> str:
        begin, end = (
            format_day(at, self.language, zone, self.now) for at in (found.begins_at, found.ends_at)
        )
        if begin != end:
            return self._instant(found.ends_at, zone)
        return f"{format_clock(found.ends_at, zone)} ({offset(found.ends_at, zone)})"

    def rule(self, recurrence: Recurrence) -> str:
        """`every month: last Sunday, 12 times in all`; what has no plain words is shown as it is written."""
        parts = dict(part.split("=", 1) for part in recurrence.rule.split(";"))
        days = self._days(parts)
        if parts["FREQ"] not in _EVERY or not parts.keys() <= _PLAIN or days is None:
            return self._say(_("by the rule {rule}")).format(rule=recurrence.rule)
        said = self._every(parts["FREQ"], int(parts.get("INTERVAL", "1")))
        if days:
            said = f"{said}: {', '.join(days)}"
        return ", ".join([said, *self._end_of(parts, recurrence.zone)])

    def _every(self, frequency: str, interval: int) -> str:
        once, singular, plural = _EVERY[frequency]
        if interval == 1:
            return self._say(once)
        return self.catalogues.ngettext(self.language, singular, plural, interval) % {"num": interval}

    def _days(self, parts: Mapping[str, str]) -> list[str] | None:
        """None where there are no plain words for them."""
        if "BYDAY" in parts and "BYMONTHDAY" in parts:
            return None
        read = self._weekday if "BYDAY" in parts else self._monthday
        found = [read(day) for day in parts.get("BYDAY", parts.get("BYMONTHDAY", "")).split(",") if day]
        return None if None in found else [day for day in found if day is not None]

    def _weekday(self, day: str) -> str | None:
        ordinal, weekday = day[:-2].removeprefix("+"), day[-2:]
        if not ordinal:
            return self._say(WEEKDAYS[weekday])
        if ordinal == "-1":
            return self._say(LAST_WEEKDAYS[weekday])
        if ordinal not in ORDINALS:
            return None
        return f"{self._say(ORDINALS[ordinal])} {self._say(WEEKDAYS[weekday])}"

    def _monthday(self, day: str) -> str | None:
        if day == "-1":
            return self._say(_("last day"))
        if day.startswith("-"):
            return None
        return self._say(_("day {number}")).format(number=day.removeprefix("+"))

    def _end_of(self, parts: Mapping[str, str], zone: ZoneInfo) -> list[str]:
        if "COUNT" in parts:
            count = int(parts["COUNT"])
            said = self.catalogues.ngettext(
                self.language, "%(num)s time in all", "%(num)s times in all", count
            )
            return [said % {"num": count}]
        if "UNTIL" in parts:
            text = parts["UNTIL"]
            day = datetime.fromisoformat(text).replace(tzinfo=UTC if text.endswith("Z") else zone)
            until = format_day(day, self.language, zone, self.now)
            return [self._say(_("until {day}")).format(day=until)]
        return []

    @property
    def _say(self) -> Callable[[str], str]:
        return self.catalogues.translator(self.language)
