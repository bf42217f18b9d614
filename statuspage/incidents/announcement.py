"""Whether planned work was announced early enough, and which part of it. Pure.

Only work that was counts as announced unavailability, for which paper may be used; the rest lowers the uptime. What
an extension adds is judged by itself: it was announced when the extension was, and begins where the work was to end.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Window:
    """From when to when work is planned."""

    begins_at: datetime
    ends_at: datetime

    def common(self, other: "Window | None") -> "Window | None":
        """What lies in both."""
        if other is None:
            return None
        begin, end = max(self.begins_at, other.begins_at), min(self.ends_at, other.ends_at)
        return Window(begin, end) if begin < end else None


@dataclass(frozen=True, slots=True)
class Announcement:
    """How early the work was announced, by the policy of that time: later settings do not rewrite it."""

    announced_at: datetime
    ahead: timedelta  # what the policy asks for
    excused: Window | None  # the part that was announced in time

    def is_in_time(self, window: Window) -> bool:
        """Whether all of it was."""
        return self.excused == window

    def late_parts(self, window: Window) -> tuple[Window, ...]:
        """What of `window` was announced too late."""
        if self.excused is None:
            return (window,)
        parts = (
            Window(window.begins_at, self.excused.begins_at),
            Window(self.excused.ends_at, window.ends_at),
        )
        return tuple(part for part in parts if part.begins_at < part.ends_at)


def announced(window: Window, *, now: datetime, ahead: timedelta) -> Announcement:
    """Work that is announced now."""
    return Announcement(now, ahead, window if window.begins_at - now >= ahead else None)


def moved(old: Announcement, was: Window, window: Window, *, now: datetime, ahead: timedelta) -> Announcement:
    """Work of which the times are changed now. What was excused and stays in it remains so."""
    anew = announced(window, now=now, ahead=ahead)
    if anew.excused is not None and window.common(old.excused) != window:
        return anew
    kept = window.common(old.excused)
    if kept is not None and kept.ends_at == was.ends_at and was.ends_at - now >= ahead:
        kept = Window(kept.begins_at, window.ends_at)
    return Announcement(old.announced_at if kept else now, ahead, kept)
