"""The form that announces planned work: from what was typed to work that takes place once or recurs.

A rule is put together from plain controls, or written as RFC 5545 has it. No database, no request.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from zoneinfo import ZoneInfo

from statuspage.incidents import recurrence
from statuspage.incidents.maintenance import NewMaintenance
from statuspage.incidents.notices import MAX_TEXT, MAX_TITLE
from statuspage.incidents.recurrence import Recurrence
from statuspage.incidents.series import NewSeries
from statuspage.incidents.snapshot import Text
from statuspage.kernel.errors import Invalid
from statuspage.site.composition import Problem, Reader, Typed
from statuspage.site.recurrence_words import ORDINALS, WEEKDAYS

MAX_INTERVAL, MAX_COUNT = 99, 999
MONTH_DAYS = (*(str(day) for day in range(1, 32)), "-1")
_FIELDS = {"start": "begins_at", "end": "ends_at", "service": "services"}


class Repeat(StrEnum):
    """How often."""

    ONCE = "once"
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTH_DAY = "month_day"
    MONTH_WEEKDAY = "month_weekday"
    RULE = "rule"


class Ending(StrEnum):
    """How long it goes on."""

    NEVER = "never"
    COUNT = "count"
    UNTIL = "until"


EMPTY = Typed({"repeat": [Repeat.ONCE], "interval": ["1"], "ending": [Ending.NEVER]})


@dataclass(frozen=True, slots=True)
class Plan:
    """Planned work as the form says it."""

    name: Text
    text: Text
    services: tuple[str, ...]  # codes
    begins_at: datetime
    ends_at: datetime
    by_hand: bool
    recurrence: Recurrence | None  # None: it takes place once

    @property
    def once(self) -> NewMaintenance:
        """The work, or the first time of it."""
        return NewMaintenance(
            self.name, self.text, self.services, self.begins_at, self.ends_at, by_hand=self.by_hand
        )

    @property
    def series(self) -> NewSeries | None:
        """The work that recurs."""
        if self.recurrence is None:
            return None
        return NewSeries(self.name, self.text, self.services, self.recurrence, by_hand=self.by_hand)

    def mark(self, late: int) -> str:
        """Names what was previewed, `late` times too late among it: what is announced has to be the same."""
        return sha256(repr((self, late)).encode()).hexdigest()[:24]


def problem_of(error: Invalid, typed: Typed) -> Problem:
    """What a verb or a rule refused, at its field."""
    field = _FIELDS.get(error.field, error.field)
    if field == "repeat" and typed("repeat") == Repeat.RULE:
        field = "rule"
    return Problem(field, error.message, values=error.values)


class PlanReader(Reader):
    """Reads the form; what cannot be read is noted as a problem."""

    def __init__(self, typed: Typed, zone: ZoneInfo, now: datetime) -> None:
        super().__init__(typed, zone, now)
        self._place = zone  # that of the rule

    def plan(self) -> Plan | None:
        """All that the form says; None where there are problems."""
        name, text = self.text("title", MAX_TITLE), self.text("text", MAX_TEXT)
        for field, said in (("title", name), ("text", text)):
            if not said.pl and not said.en:
                self.note(f"{field}_pl", _("Write this in one language at least."))
        services = tuple(dict.fromkeys(self._typed.all("service")))
        if not services:
            self.note("services", _("Choose at least one service."))
        times, rule = self._once() if self._repeat() is Repeat.ONCE else self._recurring()
        if times is None or self.problems:
            return None
        by_hand = self._typed.has("by_hand", "yes")
        return Plan(name, text, services, *times, by_hand=by_hand, recurrence=rule)

    def _repeat(self) -> Repeat:
        try:
            return Repeat(self._typed("repeat") or Repeat.ONCE)
        except ValueError:
            self.note("repeat", _("Choose one of the list."))
            return Repeat.ONCE

    def _once(self) -> tuple[tuple[datetime, datetime] | None, None]:
        begins_at, ends_at = self._needed("begins_at"), self._needed("ends_at")
        return (begins_at, ends_at) if begins_at and ends_at else None, None

    def _needed(self, name: str) -> datetime | None:
        at = self.time(name)
        if at is None and not any(problem.field == name for problem in self.problems):
            self.note(name, _("Say when."))
        return at

    def _recurring(self) -> tuple[tuple[datetime, datetime] | None, Recurrence | None]:
        """The times are local ones of the rule's zone: an hour that the clocks skip is the rule's matter."""
        if zone := self._typed("zone"):
            try:
                self._place = recurrence.zone_named(zone)
            except Invalid as error:
                self.problems.append(problem_of(error, self._typed))
        begins, ends = self._local("begins_at"), self._local("ends_at")
        rule = self._rule(begins)
        if begins is None or ends is None or self.problems:
            return None, None
        begins_at, ends_at = (recurrence.instant(local, self._place) for local in (begins, ends))
        if ends_at <= begins_at:
            self.note("ends_at", _("must come after the start"))
            return None, None
        return self._parsed(rule, begins, ends_at - begins_at)

    def _parsed(
        self, rule: str, begins: datetime, duration: timedelta
    ) -> tuple[tuple[datetime, datetime] | None, Recurrence | None]:
        try:
            found = recurrence.parse(rule, zone=self._place.key, begins_local=begins, duration=duration)
        except Invalid as error:
            self.problems.append(problem_of(error, self._typed))
            return None, None
        first = next(recurrence.occurrences(found))
        return (first.begins_at, first.ends_at), found

    def _local(self, name: str) -> datetime | None:
        text = self._typed(name)
        if not text:
            self.note(name, _("Say when."))
            return None
        try:
            local = datetime.fromisoformat(text)
        except ValueError:
            local = None
        if local is None or local.tzinfo is not None or not 2000 <= local.year <= 2100:
            self.note(name, _("Write day and time as 2026-11-23 06:10."))
            return None
        return local

    # --- the rule ---

    def _rule(self, begins: datetime | None) -> str:
        match self._repeat():
            case Repeat.RULE:
                said = self._typed("rule").rstrip(";")
                if not said:
                    self.note("rule", _("Write the rule, such as FREQ=MONTHLY;BYDAY=1SA."))
                parts = [said]
            case Repeat.WEEKLY:
                parts = ["FREQ=WEEKLY", self._interval(), self._weekdays()]
            case Repeat.MONTH_DAY:
                parts = ["FREQ=MONTHLY", self._interval(), self._month_day()]
            case Repeat.MONTH_WEEKDAY:
                parts = ["FREQ=MONTHLY", self._interval(), self._month_weekday()]
            case _:
                parts = ["FREQ=DAILY", self._interval()]
        return ";".join(part for part in [*parts, self._ending(begins)] if part)

    def _interval(self) -> str:
        every = self._number("interval", MAX_INTERVAL)
        return f"INTERVAL={every}" if every and every > 1 else ""

    def _number(self, name: str, most: int) -> int | None:
        """A whole number from 1 to `most`; an empty field is 1."""
        text = self._typed(name) or "1"
        if text.isdecimal() and text.isascii() and 1 <= int(text[:9]) <= most:
            return int(text)
        message = _("Write a whole number from 1 to %(most)s.")
        self.problems.append(Problem(name, message, values={"most": most}))
        return None

    def _weekdays(self) -> str:
        """None: that of the first day."""
        days = [day for day in WEEKDAYS if self._typed.has("weekday", day)]
        return f"BYDAY={','.join(days)}" if days else ""

    def _month_day(self) -> str:
        """None: that of the first day."""
        day = self._typed("month_day")
        return f"BYMONTHDAY={day}" if day in MONTH_DAYS else ""

    def _month_weekday(self) -> str:
        ordinal, weekday = self._typed("ordinal"), self._typed("ordinal_day")
        if ordinal not in ORDINALS or weekday not in WEEKDAYS:
            self.note("repeat", _("Choose one of the list."))
            return ""
        return f"BYDAY={ordinal}{weekday}"

    def _ending(self, begins: datetime | None) -> str:
        match self._typed("ending"):
            case Ending.COUNT:
                return f"COUNT={self._number('count', MAX_COUNT)}"
            case Ending.UNTIL:
                return self._until(begins)
        return ""

    def _until(self, begins: datetime | None) -> str:
        try:
            day = date.fromisoformat(self._typed("until"))
        except ValueError:
            self.note("until", _("Write the day as 2026-11-23."))
            return ""
        if begins is not None and day < begins.date():
            self.note("until", _("lies before the first time"))
        return f"UNTIL={day:%Y%m%d}"


def _(message: str) -> str:
    """Marks a message for translation."""
    return message
