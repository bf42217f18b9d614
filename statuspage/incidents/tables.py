"""Tables of the incident model: the catalogue, notices (incidents and planned work), measured intervals."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from statuspage.incidents.announcement import Announcement, Window
from statuspage.kernel.db import Base, new_id


class Group(Base):
    """A heading under which services stand."""

    __tablename__ = "groups"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    code: Mapped[str] = mapped_column(unique=True)
    name_pl: Mapped[str]
    name_en: Mapped[str]
    position: Mapped[int]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    archived_at: Mapped[datetime | None]


class Service(Base):
    """What a customer uses. The API calls it a component."""

    __tablename__ = "services"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    code: Mapped[str] = mapped_column(unique=True)
    group_id: Mapped[str] = mapped_column(ForeignKey("groups.id"))
    name_pl: Mapped[str]
    name_en: Mapped[str]
    description_pl: Mapped[str] = mapped_column(default="")
    description_en: Mapped[str] = mapped_column(default="")
    functions: Mapped[list[str]] = mapped_column(JSON, default=list)
    channels: Mapped[list[str]] = mapped_column(JSON, default=list)
    policy: Mapped[str] = mapped_column(default="publish")  # rules.Policy
    position: Mapped[int]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]  # changes with public state, not with probes
    archived_at: Mapped[datetime | None]

    measured: Mapped[str | None]  # what monitors last knew; None: never measured
    measured_since: Mapped[datetime | None]
    first_measured_at: Mapped[datetime | None]
    unknown_since: Mapped[datetime | None]  # set while nothing is known; `measured` keeps its last value
    status: Mapped[str] = mapped_column(default="operational")  # what is published: rules.published_status
    status_since: Mapped[datetime]


class ServiceParent(Base):
    """`child` cannot work without `parent`."""

    __tablename__ = "service_parents"

    child_id: Mapped[str] = mapped_column(ForeignKey("services.id"), primary_key=True)
    parent_id: Mapped[str] = mapped_column(ForeignKey("services.id"), primary_key=True)


class Interval(Base):
    """A measured stretch of time in which a service was not operational, or not measured. Evidence, not prose.

    Intervals of one service do not overlap; the time between them was measured and good.
    """

    __tablename__ = "intervals"
    __table_args__ = (Index("ix_intervals_service_began", "service_id", "began_at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    service_id: Mapped[str] = mapped_column(ForeignKey("services.id"))
    status: Mapped[str]  # degraded_performance, partial_outage, major_outage, or "unknown"
    cause: Mapped[str] = mapped_column(default="")
    began_at: Mapped[datetime]  # the first failed check
    detected_at: Mapped[datetime]  # the check that confirmed it
    ended_at: Mapped[datetime | None] = mapped_column(index=True)  # the first good check


class Series(Base):
    """Planned work that recurs. Each time it takes place is a notice of its own, made ahead of time."""

    __tablename__ = "maintenance_series"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    name_pl: Mapped[str]
    name_en: Mapped[str]
    text_pl: Mapped[str]
    text_en: Mapped[str]
    services: Mapped[list[str]] = mapped_column(JSON)  # codes
    rule: Mapped[str]  # RFC 5545 section 3.3.10
    zone: Mapped[str]  # IANA
    begins_local: Mapped[str]  # 2026-03-07T22:00, in that zone
    duration_s: Mapped[int]  # elapsed
    by_hand: Mapped[bool] = mapped_column(default=False)
    planned_until: Mapped[datetime]  # occurrences that begin up to then were made
    created_at: Mapped[datetime]
    created_by: Mapped[str]
    ended_at: Mapped[datetime | None]
    ended_by: Mapped[str | None]


class Reminder(Base):
    """That planned work begins soon: owed at `due_at`, told once."""

    __tablename__ = "maintenance_reminders"

    notice_id: Mapped[str] = mapped_column(ForeignKey("notices.id"), primary_key=True)
    due_at: Mapped[datetime] = mapped_column(primary_key=True)
    lead_s: Mapped[int]
    told_at: Mapped[datetime | None]


class Notice(Base):
    """An incident, or planned work: a public record with updates and affected services."""

    __tablename__ = "notices"
    __table_args__ = (Index("uq_notices_series_occurrence", "series_id", "occurrence", unique=True),)

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    kind: Mapped[str]  # rules.NoticeKind
    name_pl: Mapped[str]
    name_en: Mapped[str]
    status: Mapped[str] = mapped_column(index=True)  # rules.IncidentStatus or rules.MaintenanceStatus
    impact: Mapped[str]
    impact_override: Mapped[bool] = mapped_column(default=False)
    origin: Mapped[str]  # rules.Origin
    taken_over: Mapped[bool] = mapped_column(default=False)  # a person wrote: monitors no longer resolve it
    root_service_id: Mapped[str | None] = mapped_column(ForeignKey("services.id"))
    cause: Mapped[str] = mapped_column(default="")
    fault: Mapped[str] = mapped_column(default="")  # host and kind of the failure; equal ones join
    last_failure_at: Mapped[datetime | None]
    began_at: Mapped[datetime]
    detected_at: Mapped[datetime]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime] = mapped_column(index=True)
    published_at: Mapped[datetime | None]  # None: a draft
    monitoring_at: Mapped[datetime | None]
    ended_at: Mapped[
        datetime | None
    ]  # when the last affected service worked again; resolved_at is when it was said
    resolved_at: Mapped[datetime | None]
    next_update_at: Mapped[datetime | None]
    scheduled_for: Mapped[datetime | None]  # planned work only
    scheduled_until: Mapped[datetime | None]
    merged_into_id: Mapped[str | None] = mapped_column(ForeignKey("notices.id"))
    backfilled: Mapped[bool] = mapped_column(default=False)  # entered afterwards; nobody was alerted
    version: Mapped[int] = mapped_column(default=1)  # for iCalendar SEQUENCE and for conflicting edits

    # Planned work only, as announcement.Announcement; without `announced_at` it was never judged.
    announced_at: Mapped[datetime | None]
    announce_ahead_s: Mapped[int | None]  # what the policy asked for then
    excused_from: Mapped[datetime | None]  # the part that was announced in time
    excused_until: Mapped[datetime | None]
    by_hand: Mapped[bool] = mapped_column(default=False)  # an officer begins and completes it
    series_id: Mapped[str | None] = mapped_column(ForeignKey("maintenance_series.id"))
    occurrence: Mapped[str | None]  # recurrence.Occurrence.key

    @property
    def window(self) -> Window:
        """From when to when work is planned."""
        begins_at = self.scheduled_for or self.began_at
        return Window(begins_at, self.scheduled_until or begins_at)

    @property
    def announcement(self) -> Announcement | None:
        """How early the work was announced; None where nobody asked."""
        if self.announced_at is None or self.announce_ahead_s is None:
            return None
        excused = None
        if self.excused_from is not None and self.excused_until is not None:
            excused = Window(self.excused_from, self.excused_until)
        return Announcement(self.announced_at, timedelta(seconds=self.announce_ahead_s), excused)

    @announcement.setter
    def announcement(self, value: Announcement) -> None:
        self.announced_at = value.announced_at
        self.announce_ahead_s = round(value.ahead.total_seconds())
        self.excused_from = value.excused.begins_at if value.excused else None
        self.excused_until = value.excused.ends_at if value.excused else None


class NoticeService(Base):
    """A service affected by a notice, and its status there now."""

    __tablename__ = "notice_services"

    notice_id: Mapped[str] = mapped_column(ForeignKey("notices.id"), primary_key=True)
    service_id: Mapped[str] = mapped_column(ForeignKey("services.id"), primary_key=True, index=True)
    status: Mapped[str]
    worst_status: Mapped[str]  # kept after recovery: what it was affected by
    by_parent: Mapped[bool] = mapped_column(default=False)  # impacted through a parent, not failing itself
    declared: Mapped[bool] = mapped_column(default=False)  # a person said so; measurements do not change it
    functions: Mapped[list[str]] = mapped_column(JSON, default=list)  # those affected; none: all
    channels: Mapped[list[str]] = mapped_column(JSON, default=list)
    added_at: Mapped[datetime]
    cancelled_at: Mapped[datetime | None]  # planned work goes on without it since then


class NoticeUnaffected(Base):
    """A service of which a notice says that it is not affected."""

    __tablename__ = "notice_unaffected"

    notice_id: Mapped[str] = mapped_column(ForeignKey("notices.id"), primary_key=True)
    service_id: Mapped[str] = mapped_column(ForeignKey("services.id"), primary_key=True)


class Handling(Base):
    """What happens to messages sent in a window. A later word on the same service replaces it; the row stays."""

    __tablename__ = "handlings"

    id: Mapped[int] = mapped_column(primary_key=True)
    notice_id: Mapped[str] = mapped_column(ForeignKey("notices.id"), index=True)
    service_id: Mapped[str | None] = mapped_column(ForeignKey("services.id"))  # None: all that are affected
    handling: Mapped[str]  # rules.MessageHandling
    sent_from: Mapped[datetime | None]
    sent_until: Mapped[datetime | None]
    text_pl: Mapped[str] = mapped_column(default="")
    text_en: Mapped[str] = mapped_column(default="")
    declared_by: Mapped[str]
    declared_at: Mapped[datetime]
    replaced_at: Mapped[datetime | None]


class Fallback(Base):
    """A declaration about the emergency procedure, for a service or one function of it.

    A later declaration for the same replaces it; the row stays, because people acted on it.
    """

    __tablename__ = "fallbacks"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    notice_id: Mapped[str] = mapped_column(ForeignKey("notices.id"), index=True)
    service_id: Mapped[str] = mapped_column(ForeignKey("services.id"))
    function: Mapped[str] = mapped_column(default="")  # "": the whole service
    state: Mapped[str]  # rules.FallbackState
    reference: Mapped[str] = mapped_column(index=True)  # what traders quote
    begins_at: Mapped[datetime]
    ends_at: Mapped[datetime | None]  # None: until withdrawn or resolved
    instructions_pl: Mapped[str] = mapped_column(default="")
    instructions_en: Mapped[str] = mapped_column(default="")
    legal_basis_pl: Mapped[str] = mapped_column(default="")
    legal_basis_en: Mapped[str] = mapped_column(default="")
    enter_within_s: Mapped[int]  # after it ended, to enter what went on paper
    declared_by: Mapped[str]
    declared_at: Mapped[datetime]
    withdrawn_by: Mapped[str | None]
    withdrawn_at: Mapped[datetime | None]
    replaced_at: Mapped[datetime | None]


class Update(Base):
    """A message posted on a notice."""

    __tablename__ = "updates"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    notice_id: Mapped[str] = mapped_column(ForeignKey("notices.id"), index=True)
    status: Mapped[str]
    text_pl: Mapped[str]
    text_en: Mapped[str]
    author: Mapped[str]  # "monitor", "cli:login", "login"
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    display_at: Mapped[datetime]
    position: Mapped[int]  # order within the notice; several may share an instant
    affected: Mapped[list[dict[str, Any]]] = mapped_column(JSON)  # [{id, code, name, old_status, new_status}]
    deliver: Mapped[bool] = mapped_column(default=True)


class Act(Base):
    """Something that a person wants to publish: a draft, one that waits for a second person or its time, or done."""

    __tablename__ = "acts"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    state: Mapped[str] = mapped_column(index=True)  # acts.ActState
    content: Mapped[dict[str, Any]] = mapped_column(JSON)  # acts.Content
    notice_id: Mapped[str | None] = mapped_column(ForeignKey("notices.id"), index=True)
    version: Mapped[int] = mapped_column(default=1)  # for two who edit the same draft
    created_by: Mapped[str]
    created_at: Mapped[datetime]
    edited_by: Mapped[str]
    edited_at: Mapped[datetime]
    publish_at: Mapped[datetime | None]  # by itself, at that time
    approved_by: Mapped[str | None]  # the second person
    broke_glass: Mapped[str] = mapped_column(default="")  # why it was published without one
    done_at: Mapped[datetime | None]
    failed: Mapped[str] = mapped_column(default="")  # why it could not be published at its time


class Template(Base):
    """Prepared words for a situation, with variables in braces."""

    __tablename__ = "templates"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(unique=True)
    kind: Mapped[str]  # acts.ActKind
    title_pl: Mapped[str] = mapped_column(default="")
    title_en: Mapped[str] = mapped_column(default="")
    text_pl: Mapped[str] = mapped_column(default="")
    text_en: Mapped[str] = mapped_column(default="")
    status: Mapped[str] = mapped_column(default="")  # rules.IncidentStatus, or "" to leave it
    position: Mapped[int] = mapped_column(default=0)


class Override(Base):
    """A status that an officer has published by hand, above what is measured and planned."""

    __tablename__ = "overrides"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    service_id: Mapped[str] = mapped_column(ForeignKey("services.id"), index=True)
    status: Mapped[str]  # rules.ServiceStatus
    reason: Mapped[str]  # for the house alone
    created_by: Mapped[str]
    created_at: Mapped[datetime]
    ends_at: Mapped[datetime]  # an open-ended one is refused
    ended_at: Mapped[datetime | None] = mapped_column(index=True)
    ended_by: Mapped[str | None]


class Duty(Base):
    """Somebody on duty for a while."""

    __tablename__ = "duties"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    login: Mapped[str]
    name: Mapped[str]
    began_at: Mapped[datetime]
    until: Mapped[datetime] = mapped_column(index=True)


class Revision(Base):
    """What a notice or an update said before it was changed. Nothing is ever overwritten without one."""

    __tablename__ = "revisions"

    id: Mapped[int] = mapped_column(primary_key=True)
    notice_id: Mapped[str] = mapped_column(ForeignKey("notices.id"), index=True)
    update_id: Mapped[str | None] = mapped_column(ForeignKey("updates.id"))
    at: Mapped[datetime]
    author: Mapped[str]
    before: Mapped[dict[str, Any]] = mapped_column(JSON)  # field → the value it replaced


class NewsItem(Base):
    """Dated news about the state of the system. A language may be missing; it is shown in the other one."""

    __tablename__ = "news"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    title_pl: Mapped[str] = mapped_column(default="")
    title_en: Mapped[str] = mapped_column(default="")
    text_pl: Mapped[str] = mapped_column(default="")
    text_en: Mapped[str] = mapped_column(default="")
    author: Mapped[str]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime] = mapped_column(index=True)
    published_at: Mapped[datetime | None] = mapped_column(index=True)  # None: a draft; to come: scheduled
    pinned_until: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(default=1)  # for conflicting edits


class NewsPicture(Base):
    """A picture of a news item; its bytes stand in the data directory under its content's hash."""

    __tablename__ = "news_pictures"

    id: Mapped[int] = mapped_column(primary_key=True)
    news_id: Mapped[str] = mapped_column(ForeignKey("news.id"), index=True)
    name: Mapped[str]  # hash.extension
    width: Mapped[int]
    height: Mapped[int]
    alt_pl: Mapped[str] = mapped_column(default="")
    alt_en: Mapped[str] = mapped_column(default="")
    added_at: Mapped[datetime]


class NewsRevision(Base):
    """What was done to a news item, by whom, and what it said before."""

    __tablename__ = "news_revisions"

    id: Mapped[int] = mapped_column(primary_key=True)
    news_id: Mapped[str] = mapped_column(ForeignKey("news.id"), index=True)
    at: Mapped[datetime]
    author: Mapped[str]
    action: Mapped[str]  # news.Action
    before: Mapped[dict[str, Any]] = mapped_column(JSON)  # field → the value it replaced
