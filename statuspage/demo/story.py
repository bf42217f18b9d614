"""The shapes of history.toml: what happened before the demo began, in days and minutes, not yet on a calendar."""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from statuspage.incidents.rules import MessageHandling, ServiceStatus
from statuspage.kernel.build import build

CONTENT = Path(__file__).with_name("history.toml")


@dataclass(frozen=True, slots=True)
class Said:
    """An update, `after` minutes from the start."""

    after: int
    status: str
    pl: str
    en: str
    extends: bool = False
    cancels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Name:
    pl: str
    en: str


@dataclass(frozen=True, slots=True)
class Paper:
    """A permission to work on paper, in minutes from the start, and until when it held."""

    services: tuple[str, ...]
    reference: str
    after: int
    until: int
    pl: str
    en: str


@dataclass(frozen=True, slots=True)
class SentMessages:
    """What became of messages sent in a window, in minutes from the start."""

    handling: MessageHandling
    after: int
    until: int
    services: tuple[str, ...] = ("",)  # "": all that were affected
    pl: str = ""
    en: str = ""


@dataclass(frozen=True, slots=True)
class PastIncident:
    """An incident that is over. Without a name of its own it was opened and resolved by monitors alone."""

    days_ago: int
    at: str
    minutes: int
    cause: str
    services: dict[str, ServiceStatus]
    impacted: tuple[str, ...] = ()
    name: Name | None = None
    updates: tuple[Said, ...] = ()
    papers: tuple[Paper, ...] = ()
    messages: tuple[SentMessages, ...] = ()
    unaffected: tuple[str, ...] = ()
    began_first_said: str | None = None
    corrected_after: int = 0


@dataclass(frozen=True, slots=True)
class Unmeasured:
    """A time in which the prober itself was at fault: nothing is known of any service."""

    days_ago: int
    at: str
    minutes: int


@dataclass(frozen=True, slots=True)
class Work:
    """Planned work on a Saturday: -1 is the next one, 1 the last one."""

    saturdays_ago: int
    at: str
    minutes: int
    announced_days_before: int
    services: tuple[str, ...]
    name: Name
    pl: str
    en: str
    measured: tuple[str, ...] = ()
    extended_minutes: int = 0
    updates: tuple[Said, ...] = ()


@dataclass(frozen=True, slots=True)
class Content:
    """history.toml."""

    incidents: tuple[PastIncident, ...] = ()
    unmeasured: tuple[Unmeasured, ...] = ()
    maintenances: tuple[Work, ...] = ()


@cache
def read_content(path: Path = CONTENT) -> Content:
    """The content of history.toml. Raises Invalid naming file and key."""
    return build(Content, tomllib.loads(path.read_text(encoding="utf-8")), where=path.name)
