"""Tables of the incident model: the catalogue, notices (incidents and planned work), measured intervals."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

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


class Notice(Base):
    """An incident, or planned work: a public record with updates and affected services."""

    __tablename__ = "notices"

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
    version: Mapped[int] = mapped_column(default=1)  # for iCalendar SEQUENCE and for conflicting edits


class NoticeService(Base):
    """A service affected by a notice, and its status there now."""

    __tablename__ = "notice_services"

    notice_id: Mapped[str] = mapped_column(ForeignKey("notices.id"), primary_key=True)
    service_id: Mapped[str] = mapped_column(ForeignKey("services.id"), primary_key=True, index=True)
    status: Mapped[str]
    worst_status: Mapped[str]  # kept after recovery: what it was affected by
    by_parent: Mapped[bool] = mapped_column(default=False)  # impacted through a parent, not failing itself
    declared: Mapped[bool] = mapped_column(default=False)  # a person said so; measurements do not change it
    added_at: Mapped[datetime]


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
