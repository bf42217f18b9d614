"""What mails say of planned work: the fact in one line, and its details."""

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from notifiers.rules import one_line
from statuspage.incidents import planned_words
from statuspage.incidents.announcement import Window

if TYPE_CHECKING:
    from notifiers.compose import Story, Words

_SHOWN_FURTHER = 12


def _(message: str) -> str:
    """Marks a message for translation."""
    return message


_FACTS = {
    "maintenance.scheduled": _("{who}: planned work {window}"),
    "maintenance.started": _("{who}: planned work under way until {end}"),
    "maintenance.completed": _("{who}: planned work ended at {time}"),
    "maintenance.cancelled": _("{who}: planned work {window} is cancelled"),
    "maintenance.extended": _("{who}: planned work extended until {end} – announced: {was_end}"),
    "maintenance.rescheduled": _("{who}: planned work moved to {window} – announced: {was_window}"),
    "maintenance.reminder": _("{who}: planned work begins in {lead} – {window}"),
}
_SHORTER = _("{who}: planned work only until {end} – announced: {was_end}")
_WITHOUT = _("{who}: no longer part of the planned work {window}")


def fact(story: "Story", words: "Words", *, full: bool) -> str:
    """`AIS, AES: prace planowe 22 listopada, 20:00–23:00`; with year and offset when `full`."""
    window, was = window_of(story), story.change.was or window_of(story)
    time = words.full if full else words.short
    values = {
        "who": words.who(story.own),
        "window": words.window(window.begins_at, window.ends_at, full=full),
        "end": time(window.ends_at),
        "time": time(story.at),
        "was_window": words.window(was.begins_at, was.ends_at, full=full),
        "was_end": time(was.ends_at),
    }
    if story.event == "maintenance.reminder":
        values["lead"] = planned_words.length(
            _rounded(window.begins_at - story.at), words.catalogues, words.language
        )
    if story.removed_now:
        values["who"] = ", ".join(one_line(name[words.language]) for name in story.removed_now)
        return words.say(_WITHOUT, **values)
    if story.event == "maintenance.rescheduled" and was.begins_at == window.begins_at:
        return words.say(_SHORTER, **values)
    if story.event in _FACTS:
        return words.say(_FACTS[story.event], **values)
    return f"{words.say(_FACTS['maintenance.scheduled'], **values)} – {words.say(_('new information'))}"


def _rounded(left: timedelta) -> timedelta:
    """A reminder leaves some seconds after its time: 24 hours, not 23 hours and 59 minutes."""
    return timedelta(minutes=-(-left // timedelta(minutes=1)))


def window_of(story: "Story") -> Window:
    """From when to when the work is planned."""
    begins_at = story.scheduled_for or story.began_at
    return Window(begins_at, story.scheduled_until or story.at)


def times(story: "Story", words: "Words") -> list[tuple[str, Sequence[str]]]:
    """The rows of the details that tell of times."""

    def show(window: Window) -> str:
        return words.window(window.begins_at, window.ends_at, full=True)

    window = window_of(story)
    rows: list[tuple[str, Sequence[str]]] = [(_("Planned"), [show(window)])]
    if story.change.was:
        rows.append((_("Announced before"), [show(story.change.was)]))
    if story.removed:
        names = ", ".join(one_line(name[words.language]) for name in story.removed)
        rows.append((_("Not affected any more"), [names]))
    if further := [show(other) for other in story.change.also]:
        label = _("Also cancelled") if story.event == "maintenance.cancelled" else _("Also planned")
        rest = len(further) - _SHOWN_FURTHER
        rows.append((label, further[:_SHOWN_FURTHER] + ([f"+{rest}"] if rest > 0 else [])))
    if story.announcement is not None and not story.is_over:
        said = planned_words.announcement(story.announcement, window, words.catalogues, words.language, show)
        rows.append((_("Announced"), [said]))
    return [*rows, (_("Published"), [words.full(story.at)])]
