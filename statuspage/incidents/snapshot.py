"""PageSnapshot: one frozen read model, built once per change, from which every public output is rendered.

`statuspage.incidents.snapshots` builds it; here are only its shapes.
"""

from dataclasses import dataclass
from datetime import date, datetime

from statuspage.incidents.rules import Impact, ServiceStatus


@dataclass(frozen=True, slots=True)
class Text:
    """A text in both languages."""

    pl: str
    en: str

    def __getitem__(self, language: str) -> str:
        return self.pl if language == "pl" else self.en


@dataclass(frozen=True, slots=True)
class Day:
    """One day of one service. `status` is None where nothing was measured that day."""

    day: date
    status: ServiceStatus | None
    uptime: float | None  # share of the accountable time, 0…1; None: nothing was measured
    down_s: int
    degraded_s: int
    maintenance_s: int
    unknown_s: int
    accountable_s: int = 0  # the time that `uptime` speaks of


@dataclass(frozen=True, slots=True)
class IntervalView:
    """A measured outage or degradation of a service."""

    status: str
    cause: str
    began_at: datetime
    detected_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class ServiceView:
    """A service as the public sees it."""

    id: str
    code: str
    name: Text
    description: Text
    functions: tuple[str, ...]
    channels: tuple[str, ...]
    group_id: str
    position: int
    created_at: datetime
    updated_at: datetime
    status: ServiceStatus
    status_since: datetime
    unmeasured_since: datetime | None  # "not measured since …"
    first_measured_at: datetime | None
    parents: tuple[str, ...]  # codes
    children: tuple[str, ...]
    days: tuple[Day, ...]  # 90, oldest first, the last is today
    uptime: float | None  # over those days, 0…1
    intervals: tuple[IntervalView, ...]  # newest first, of those days


@dataclass(frozen=True, slots=True)
class GroupView:
    """A heading and its services; its status is the worst of them."""

    id: str
    code: str
    name: Text
    position: int
    created_at: datetime
    updated_at: datetime
    status: ServiceStatus
    services: tuple[ServiceView, ...]


@dataclass(frozen=True, slots=True)
class AffectedView:
    """A service affected by a notice."""

    id: str
    code: str
    name: Text
    status: ServiceStatus  # in this notice, now
    worst_status: ServiceStatus
    by_parent: bool


@dataclass(frozen=True, slots=True)
class ChangeView:
    """A change of status that an update brought."""

    id: str
    code: str
    name: Text
    old_status: str
    new_status: str


@dataclass(frozen=True, slots=True)
class UpdateView:
    """A message on a notice."""

    id: str
    notice_id: str
    status: str
    text: Text
    author: str
    created_at: datetime
    updated_at: datetime
    display_at: datetime
    affected: tuple[ChangeView, ...]
    deliver: bool


@dataclass(frozen=True, slots=True)
class RevisionView:
    """What a notice or update said before."""

    at: datetime
    update_id: str | None
    before: tuple[tuple[str, str], ...]  # field, replaced value


@dataclass(frozen=True, slots=True)
class NoticeView:
    """A published incident, or planned work."""

    id: str
    kind: str  # rules.NoticeKind
    name: Text
    status: str
    impact: Impact
    began_at: datetime
    detected_at: datetime
    created_at: datetime
    updated_at: datetime
    published_at: datetime
    monitoring_at: datetime | None
    resolved_at: datetime | None
    next_update_at: datetime | None
    scheduled_for: datetime | None
    scheduled_until: datetime | None
    version: int
    affected: tuple[AffectedView, ...]
    updates: tuple[UpdateView, ...]  # newest first
    revisions: tuple[RevisionView, ...]  # newest first
    ended_at: datetime | None = None  # when it worked again; `resolved_at` is when that was said

    @property
    def is_open(self) -> bool:
        """Unresolved, or planned work that is not over."""
        return self.resolved_at is None


@dataclass(frozen=True, slots=True)
class PictureView:
    """A picture of a news item; `name` is the end of its address."""

    name: str
    width: int
    height: int
    alt: Text


@dataclass(frozen=True, slots=True)
class NewsView:
    """A published news item. A language may be missing."""

    id: str
    title: Text
    text: Text
    published_at: datetime
    updated_at: datetime
    pinned_until: datetime | None
    pictures: tuple[PictureView, ...]

    def language_for(self, language: str) -> str:
        """`language` where it is written in it, else the other one."""
        other = "en" if language == "pl" else "pl"
        is_written = bool(self.title[language] and self.text[language])
        return other if not is_written and self.title[other] else language


@dataclass(frozen=True, slots=True)
class PageSnapshot:
    """Everything that is public, at one moment."""

    seq: int  # of the newest event in it
    built_at: datetime
    updated_at: datetime  # changes with public state only, so that 304s happen
    indicator: Impact
    groups: tuple[GroupView, ...]
    incidents: tuple[NoticeView, ...]  # all published, newest first
    maintenances: tuple[NoticeView, ...]  # all published, newest first
    news: tuple[NewsView, ...] = ()  # all published, newest first; never a draft, never before its time

    @property
    def services(self) -> tuple[ServiceView, ...]:
        """Every service in page order."""
        return tuple(service for group in self.groups for service in group.services)

    @property
    def open_incidents(self) -> tuple[NoticeView, ...]:
        """Unresolved incidents, newest first."""
        return tuple(incident for incident in self.incidents if incident.is_open)

    @property
    def planned(self) -> tuple[NoticeView, ...]:
        """Planned work that is not over, soonest first."""
        open_ones = (notice for notice in self.maintenances if notice.is_open)
        return tuple(sorted(open_ones, key=lambda notice: notice.scheduled_for or notice.created_at))
