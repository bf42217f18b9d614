"""What page, mails, feeds and officers' tools say of planned work in the same words: how early it was announced, and
what the clocks do to it.
"""

from collections.abc import Callable
from datetime import timedelta

from statuspage.incidents.announcement import Announcement, Window
from statuspage.incidents.recurrence import Remark
from statuspage.kernel.i18n import Catalogues

_HOUR = timedelta(hours=1)
_IN_HOURS = timedelta(days=3)  # shorter stretches are said in hours: the rule is "48 hours", not "2 days"


def _(message: str) -> str:
    """Marks a message for translation."""
    return message


REMARKS = {
    Remark.SKIPPED: _("that hour is skipped when the clocks go forward: it begins when they have"),
    Remark.TWICE: _("that hour comes twice when the clocks go back: it begins in the first"),
    Remark.LONGER: _("ends later by the clock, which goes forward meanwhile"),
    Remark.SHORTER: _("ends earlier by the clock, which goes back meanwhile"),
}


def announcement(
    said: Announcement,
    window: Window,
    catalogues: Catalogues,
    language: str,
    show: Callable[[Window], str],
) -> str:
    """`announced 5 days ahead`, or that it was announced too late and does not count as announced unavailability.

    `show` writes a window as the place does; it is asked for the parts of an extension.
    """

    def say(message: str, **values: str) -> str:
        return catalogues.gettext(language, message).format(**values)

    ahead = length(said.ahead, catalogues, language)
    if said.excused is None:
        return say(
            _("announced less than {ahead} ahead: does not count as announced unavailability"), ahead=ahead
        )
    early = length(said.excused.begins_at - said.announced_at, catalogues, language)
    told = say(_("announced {early} ahead"), early=early)
    parts = [show(part) for part in said.late_parts(window)]
    if not parts:
        return told
    late = say(
        _("{part} was announced less than {ahead} ahead: it does not count as announced unavailability"),
        part=", ".join(parts),
        ahead=ahead,
    )
    return f"{told}; {late}"


def length(duration: timedelta, catalogues: Catalogues, language: str) -> str:
    """`5 days`, `48 hours`, `90 minutes`: whole ones, never rounded up."""
    if duration >= _IN_HOURS:
        n = duration // timedelta(days=1)
        return catalogues.ngettext(language, "%(num)s day", "%(num)s days", n) % {"num": n}
    if duration >= 2 * _HOUR or duration == _HOUR:
        n = duration // _HOUR
        return catalogues.ngettext(language, "%(num)s hour", "%(num)s hours", n) % {"num": n}
    n = duration // timedelta(minutes=1)
    return catalogues.ngettext(language, "%(num)s minute", "%(num)s minutes", n) % {"num": n}
