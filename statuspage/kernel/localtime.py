"""Times as people type them in the page's zone. An hour that the clocks skip or repeat is never guessed at."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo


class NoSuchTime(Exception):
    """It cannot be taken as it stands. `choices` are the instants that may be meant, earlier first."""

    def __init__(self, message: str, choices: tuple[datetime, ...] = ()) -> None:
        super().__init__(message)
        self.message = message  # a msgid
        self.choices = choices


def _(message: str) -> str:
    """Marks a message for translation."""
    return message


_UNREADABLE = _("Write day and time as 2026-11-23 06:10.")
_SKIPPED = _("The clocks skip this hour: there is no such time on that day. Which of these is meant?")
_REPEATED = _("The clocks show this hour twice on that day. Which of these is meant?")


def read_local(text: str, zone: ZoneInfo, *, choice: str = "") -> datetime | None:
    """The instant of `2026-11-23T06:10` (or with a space) in `zone`; None for an empty text.

    `choice` is the instant picked after NoSuchTime, in ISO format; it counts only if it is one of the choices.
    Raises NoSuchTime.
    """
    text = text.strip()
    if not text:
        return None
    try:
        wall = datetime.fromisoformat(text)
    except ValueError:
        raise NoSuchTime(_UNREADABLE) from None
    if wall.tzinfo is not None or not 2000 <= wall.year <= 2100:
        raise NoSuchTime(_UNREADABLE)
    early, late = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if early == late:
        return early
    choices = tuple(sorted((early, late)))
    for each in choices:
        if choice == each.isoformat():
            return each
    raise NoSuchTime(_REPEATED if early < late else _SKIPPED, choices)


def write_local(at: datetime | None, zone: ZoneInfo) -> str:
    """The value of a `datetime-local` field."""
    return f"{at.astimezone(zone):%Y-%m-%dT%H:%M}" if at else ""


def next_minutes(now: datetime, minutes: int) -> datetime:
    """So many minutes from now, on a whole minute."""
    return now.replace(second=0, microsecond=0) + timedelta(minutes=minutes)
