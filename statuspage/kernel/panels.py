"""What rooms show on the console's board, and do for its composer. The console knows no room: the composition
root hands it these functions, bound together as `Parts`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

if TYPE_CHECKING:
    from statuspage.kernel.house import House


@dataclass(frozen=True, slots=True)
class Panel:
    """A small table. `title` and `columns` are msgids; cells are data. `link` leads to more, "" to nothing."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    empty: str  # msgid: what it means that there is nothing
    link: str = ""


@dataclass(frozen=True, slots=True)
class MonitorLine:
    """A monitor and how it stands."""

    id: str
    name: str
    kind: str
    level: str  # "up", "slow", "down", "unknown", "never"
    since: datetime | None
    checked_at: datetime | None
    cause: str
    latency_ms: float | None
    phases_ms: Mapping[str, float]  # of the last check, in their order
    next_at: datetime | None  # None: paused, or never checked
    late: timedelta  # how much later than due it is now
    is_paused: bool
    is_flapping: bool


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail as it would be sent, in one language."""

    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class Mailing:
    """What an act would send: to how many, and what, by language. Nobody: the act is published without mail."""

    count: int
    mails: Mapping[str, Mail]


PanelSource = Callable[[Session], Panel]
# By service code. Those of one service, or all.
MonitorSource = Callable[[Session, datetime, str | None], Mapping[str, Sequence[MonitorLine]]]
# How many would be told of something that affects these services (ids).
AudienceSource = Callable[[Session, Sequence[str]], int]
# What the newest event of this notice sends.
MailingSource = Callable[[Session, "House", str], Mailing]
# How many have been told of this notice, by language.
ToldSource = Callable[[Session, str], Mapping[str, int]]


def _no_monitors(_session: Session, _now: datetime, _code: str | None) -> Mapping[str, Sequence[MonitorLine]]:
    return {}


def _nobody(_session: Session, _service_ids: Sequence[str]) -> int:
    return 0


def _nothing(_session: Session, _house: "House", _notice_id: str) -> Mailing:
    return Mailing(0, {})


def _none_told(_session: Session, _notice_id: str) -> Mapping[str, int]:
    return {}


@dataclass(frozen=True, slots=True)
class Parts:
    """All that the console is handed. Where a room is missing, its part is empty."""

    panels: Sequence[PanelSource] = ()
    monitors: MonitorSource = _no_monitors
    audience: AudienceSource = _nobody
    mailing: MailingSource = _nothing
    told: ToldSource = _none_told
