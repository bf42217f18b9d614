"""PageSnapshot: one frozen read model, built once per change, from which every public output is rendered.

`statuspage.incidents.snapshots` builds it; here are only its shapes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from statuspage.incidents.announcement import Announcement, Window
from statuspage.incidents.rules import (
    FallbackState,
    Impact,
    MaintenanceStatus,
    MessageHandling,
    ServiceStatus,
)

_IN_ORDER = (FallbackState.PERMITTED, FallbackState.WITHDRAWN, FallbackState.NOT_NEEDED)


@dataclass(frozen=True, slots=True)
class Text:
    """A text in both languages. One may be missing: then it is read in the other, and says so."""

    pl: str
    en: str

    def __getitem__(self, language: str) -> str:
        return self.own(self.language_for(language))

    def own(self, language: str) -> str:
        """What stands in that language; empty where it is missing."""
        return self.pl if language == "pl" else self.en

    def language_for(self, language: str) -> str:
        """The language that a reader of `language` gets: his own, or the other where his is missing."""
        other = "en" if language == "pl" else "pl"
        return other if not self.own(language).strip() and self.own(other).strip() else language

    @property
    def is_complete(self) -> bool:
        """Whether there is nothing left to translate."""
        return bool(self.pl.strip()) == bool(self.en.strip())


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
class Month:
    """One calendar month of one service, as far as it has been measured."""

    year: int
    month: int
    uptime: float | None  # as of a Day
    accountable_s: int
    down_s: int
    maintenance_s: int
    unknown_s: int


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
    months: tuple[Month, ...] = ()  # newest first, back to the first that was measured


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
    functions: tuple[str, ...] = ()  # those affected; none named: the whole service
    channels: tuple[str, ...] = ()
    cancelled_at: datetime | None = None  # planned work goes on without it since then


@dataclass(frozen=True, slots=True)
class NamedView:
    """A service that a notice names."""

    id: str
    code: str
    name: Text


@dataclass(frozen=True, slots=True)
class HandlingView:
    """What happens to messages that were sent in a window."""

    service: NamedView | None  # None: all that are affected
    handling: MessageHandling
    sent_from: datetime | None  # None: since the incident began
    sent_until: datetime | None  # None: until it ends
    text: Text
    declared_at: datetime


@dataclass(frozen=True, slots=True)
class FallbackView:
    """What was declared about the emergency procedure."""

    id: str
    service: NamedView
    function: str  # "": the whole service
    state: FallbackState
    reference: str
    begins_at: datetime
    ends_at: datetime | None  # None: until it is withdrawn or the incident is resolved
    instructions: Text
    legal_basis: Text
    enter_within: timedelta
    declared_at: datetime
    withdrawn_at: datetime | None
    is_current: bool  # not replaced by a later declaration

    @property
    def enter_by(self) -> datetime | None:
        """Until when what went on paper has to be entered; None while it is not known when paper ends."""
        over_at = min((at for at in (self.withdrawn_at, self.ends_at) if at), default=None)
        return over_at + self.enter_within if over_at and self.state is not FallbackState.NOT_NEEDED else None

    def is_permitted(self, at: datetime) -> bool:
        """Whether paper is allowed at that moment, or will be."""
        return (
            self.is_current
            and self.state is FallbackState.PERMITTED
            and (self.ends_at is None or at < self.ends_at)
        )


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
    unaffected: tuple[NamedView, ...] = ()  # services of which it is said that they work
    handlings: tuple[HandlingView, ...] = ()  # those in force, in page order
    fallbacks: tuple[FallbackView, ...] = ()  # newest declaration first
    is_backfilled: bool = False
    announcement: Announcement | None = None  # of planned work
    by_hand: bool = False  # an officer begins and completes it
    series_id: str | None = None
    occurrence: str | None = None

    @property
    def current_fallbacks(self) -> tuple[FallbackView, ...]:
        """The last word for each service and function, permissions first."""
        current = (fallback for fallback in self.fallbacks if fallback.is_current)
        return tuple(sorted(current, key=lambda fallback: _IN_ORDER.index(fallback.state)))

    @property
    def concerned(self) -> tuple[AffectedView, ...]:
        """The services affected, without those that planned work goes on without."""
        return tuple(affected for affected in self.affected if affected.cancelled_at is None)

    @property
    def window(self) -> Window:
        """From when to when work is planned."""
        begins_at = self.scheduled_for or self.began_at
        return Window(begins_at, self.scheduled_until or begins_at)

    @property
    def is_announced_in_time(self) -> bool:
        """Whether all of the work was, by the policy of that time; True where nobody asked."""
        return self.announcement is None or self.announcement.is_in_time(self.window)

    def is_overdue(self, now: datetime) -> bool:
        """Planned work that an officer should have begun by now."""
        return self.status == MaintenanceStatus.SCHEDULED and self.window.begins_at < now

    def is_overrunning(self, now: datetime) -> bool:
        """Planned work that is still going on past its planned end."""
        is_under_way = self.status in (MaintenanceStatus.IN_PROGRESS, MaintenanceStatus.VERIFYING)
        return is_under_way and self.window.ends_at < now

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
        is_written = bool(self.title.own(language) and self.text.own(language))
        return other if not is_written and self.title.own(other) else language


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
    merged: Mapping[str, str] = field(default_factory=dict)  # incident → the one that it is part of

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
