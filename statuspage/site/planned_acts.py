"""What an officer does to planned work in the console, read from a form: the verbs and their arguments.

Each is done to the version that was seen. What others did since then is told first.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from statuspage.incidents import amendments, corrections, maintenance, texts
from statuspage.incidents.notices import MAX_TEXT, MAX_TITLE
from statuspage.incidents.rules import MaintenanceStatus
from statuspage.incidents.snapshot import Text
from statuspage.incidents.tables import Notice, Revision, Update
from statuspage.kernel.errors import Invalid, NotFound
from statuspage.kernel.events import take_turns
from statuspage.kernel.house import House
from statuspage.kernel.i18n import LANGUAGES
from statuspage.kernel.localtime import write_local
from statuspage.site.composition import Problem, Reader, Typed

LONGER = timedelta(hours=1)

# The usual first; what cannot be undone last.
MAY: Mapping[MaintenanceStatus, tuple[str, ...]] = {
    MaintenanceStatus.SCHEDULED: ("begin", "times", "part", "rename", "cancel"),
    MaintenanceStatus.IN_PROGRESS: ("complete", "verify", "longer", "times", "part", "rename", "cancel"),
    MaintenanceStatus.VERIFYING: ("complete", "longer", "times", "part", "rename", "cancel"),
    MaintenanceStatus.COMPLETED: ("rename",),
    MaintenanceStatus.CANCELLED: ("rename",),
}
STANDARD: Mapping[str, Text] = {
    "begin": texts.MAINTENANCE_BEGUN,
    "verify": texts.MAINTENANCE_VERIFYING,
    "complete": texts.MAINTENANCE_COMPLETED,
    "cancel": texts.MAINTENANCE_CANCELLED,
}


class Stale(Exception):
    """Somebody has done something to the work since the page was opened."""


class Late(Exception):
    """What is added to the work would be announced too late, and nobody has said that it may be."""


@dataclass(frozen=True, slots=True)
class Missed:
    """What somebody did meanwhile."""

    author: str
    at: datetime
    text: Text  # what was said; of a new title, the title
    is_title: bool


@dataclass(frozen=True, slots=True)
class Asked:
    """An act and the form it was asked for with."""

    act: str
    id: str
    typed: Typed
    house: House
    by: str
    now: datetime
    text: Text | None  # one's own words; None: the usual sentence
    begins_at: datetime | None = None
    ends_at: datetime | None = None

    @property
    def late_mark(self) -> str:
        """Names the times of which was said that they are announced too late."""
        return f"{self.begins_at} {self.ends_at}"

    def perform(self, session: Session) -> Notice:
        """Raises Stale, Late, and what the verb raises."""
        take_turns(session)
        notice = maintenance.get(session, self.id)
        if self.typed("version") != str(notice.version):
            raise Stale
        return _VERBS[self.act](self, session)

    @property
    def _who(self) -> dict[str, Any]:
        return {"by": self.by, "now": self.now}

    @property
    def _policy(self) -> dict[str, Any]:
        return self._who | {"policy": self.house.settings.incidents}

    @property
    def _said(self) -> Text:
        return self.text or STANDARD[self.act]

    def begin(self, session: Session) -> Notice:
        return maintenance.begin(session, self.id, **self._who, text=self._said)

    def verify(self, session: Session) -> Notice:
        return maintenance.verify(session, self.id, **self._who, text=self._said)

    def complete(self, session: Session) -> Notice:
        return maintenance.complete(session, self.id, **self._policy, text=self._said)

    def cancel(self, session: Session) -> Notice:
        return maintenance.cancel(session, self.id, **self._policy, text=self._said)

    def part(self, session: Session) -> Notice:
        return amendments.cancel_part(
            session, self.id, self.typed.all("part"), text=self.text, **self._policy
        )

    def rename(self, session: Session) -> Notice:
        name = Text(self.typed("title_pl"), self.typed("title_en"))
        return corrections.rename(session, self.id, name, **self._who)

    def longer(self, session: Session) -> Notice:
        """An hour more, from the planned end. Its page says beforehand that the hour is announced too late."""
        ends_at = maintenance.get(session, self.id).window.ends_at + LONGER
        return self._reschedule(session, None, ends_at)

    def times(self, session: Session) -> Notice:
        """The form knows minutes: a time that is the same to the minute stays."""
        notice = maintenance.get(session, self.id)
        was, before = notice.window, notice.announcement
        late = before.late_parts(was) if before is not None else ()
        begins_at = None if _minute(self.begins_at) == _minute(was.begins_at) else self.begins_at
        ends_at = None if _minute(self.ends_at) == _minute(was.ends_at) else self.ends_at
        if begins_at is None and ends_at is None:
            raise Invalid("end", "These are its times already; give others.")
        notice = self._reschedule(session, begins_at, ends_at)
        after = notice.announcement
        if after is not None and not self.typed.has("late", self.late_mark):
            added = [part for part in after.late_parts(notice.window) if part not in late]
            if added:
                raise Late
        return notice

    def _reschedule(self, session: Session, begins_at: datetime | None, ends_at: datetime | None) -> Notice:
        return amendments.reschedule(
            session,
            self.id,
            zone=self.house.settings.zone,
            begins_at=begins_at,
            ends_at=ends_at,
            text=self.text,
            **self._policy,
        )


_VERBS: Mapping[str, Callable[[Asked, Session], Notice]] = {
    "begin": Asked.begin,
    "verify": Asked.verify,
    "complete": Asked.complete,
    "cancel": Asked.cancel,
    "longer": Asked.longer,
    "times": Asked.times,
    "part": Asked.part,
    "rename": Asked.rename,
}


def read(
    act: str, id: str, typed: Typed, house: House, *, by: str, now: datetime
) -> tuple[Asked, list[Problem]]:
    """Raises NotFound for what is no act."""
    if act not in _VERBS:
        raise NotFound('"%(act)s" is nothing that can be done to planned work', act=act)
    reader = Reader(typed, house.settings.zone, now)
    text = reader.text(f"{act}_text", MAX_TEXT)
    reader.text("title", MAX_TITLE)
    times: dict[str, datetime | None] = {}
    if act == "times":
        times = {name: reader.time(name) for name in ("begins_at", "ends_at") if name in typed.values}
        for name, at in times.items():
            if at is None and not any(problem.field == name for problem in reader.problems):
                reader.note(name, _("Say when."))
    own = text if text.pl or text.en else None
    return Asked(act, id, typed, house, by, now, own, **times), reader.problems


def problem_of(error: Invalid, act: str) -> Problem:
    """What a verb refused, at its field."""
    fields = {"start": "begins_at", "end": "ends_at", "service": "part"}
    fields |= {f"text_{language}": f"{act}_text_{language}" for language in LANGUAGES}
    return Problem(fields.get(error.field, error.field), error.message, values=error.values)


def proposal(notice: Notice, house: House) -> Typed:
    """What the forms open with: the standard sentences, the times and the title as they are."""
    zone, window = house.settings.zone, notice.window
    values = {
        "begins_at": [write_local(window.begins_at, zone)],
        "begins_at-choice": [window.begins_at.isoformat()],
        "ends_at": [write_local(window.ends_at, zone)],
        "ends_at-choice": [window.ends_at.isoformat()],
        "title_pl": [notice.name_pl],
        "title_en": [notice.name_en],
    }
    for act, text in STANDARD.items():
        values |= {f"{act}_text_pl": [text.pl], f"{act}_text_en": [text.en]}
    return Typed(values)


def missed(session: Session, notice: Notice, typed: Typed) -> tuple[Missed, ...]:
    """What was said, and which titles were given, since the page was opened. Newest first."""
    said = session.scalars(
        select(Update).where(Update.notice_id == notice.id, Update.position >= _number(typed("said")))
    )
    found = [Missed(u.author, u.created_at, Text(u.text_pl, u.text_en), is_title=False) for u in said]
    revised = select(Revision).where(Revision.notice_id == notice.id, Revision.id > _number(typed("revised")))
    name = Text(notice.name_pl, notice.name_en)
    found += [
        Missed(row.author, row.at, name, is_title=True)
        for row in session.scalars(revised)
        if any(field.startswith("name_") for field in row.before)
    ]
    return tuple(sorted(found, key=lambda one: one.at, reverse=True))


def _number(text: str) -> int:
    return int(text[:12]) if text.isdecimal() else 0


def _minute(at: datetime | None) -> datetime | None:
    return at.replace(second=0, microsecond=0) if at else None


def _(message: str) -> str:
    """Marks a message for translation."""
    return message
