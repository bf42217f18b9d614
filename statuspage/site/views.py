"""What the public pages show: view models, prepared from one PageSnapshot so that the templates only place them.

No database, no clock, no request.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from markupsafe import Markup

from statuspage.incidents.rules import IncidentStatus, MaintenanceStatus, NoticeKind, ServiceStatus, worst
from statuspage.incidents.snapshot import (
    AffectedView,
    GroupView,
    IntervalView,
    NoticeView,
    PageSnapshot,
    ServiceView,
    Text,
    UpdateView,
)
from statuspage.incidents.texts import plain_cause
from statuspage.incidents.words import CHANNELS, SHAPES, notice_word, service_word, status_word
from statuspage.kernel import web
from statuspage.kernel.house import House
from statuspage.kernel.i18n import format_clock, format_day, format_instant
from statuspage.site import charts
from statuspage.site.evidence import Evidence, Said, evidence, said
from statuspage.site.headline import UNKNOWN, shown_status
from statuspage.site.planned import Plan, plan_of


@dataclass(frozen=True, slots=True)
class Badge:
    """A status as shape, word and CSS class."""

    css: str
    shape: str
    word: str


@dataclass(frozen=True, slots=True)
class Link:
    """A service named elsewhere."""

    code: str
    name: str
    scope: str = ""  # the functions and channels that are affected, where not all are


@dataclass(frozen=True, slots=True)
class Row:
    """A service in the list."""

    code: str
    name: str
    description: str
    badge: Badge
    since: str
    is_trouble: bool
    unmeasured_since: datetime | None
    bar: Markup
    uptime: str


@dataclass(frozen=True, slots=True)
class Block:
    """A group of services under its heading."""

    code: str
    name: str
    services: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """Services whose state an update changed alike."""

    before: Badge
    after: Badge
    names: str


@dataclass(frozen=True, slots=True)
class Post:
    """An update as it is shown."""

    at: datetime
    word: str
    text: Said
    changes: tuple[Change, ...]
    is_report: bool = False  # what was learnt, written after the end


@dataclass(frozen=True, slots=True)
class Alike:
    """Services in the same state."""

    badge: Badge
    links: tuple[Link, ...]


@dataclass(frozen=True, slots=True)
class Impacted:
    """Services that suffer because another one fails."""

    through: str
    services: tuple[Alike, ...]


@dataclass(frozen=True, slots=True)
class Edit:
    """What was said before a correction."""

    at: datetime
    field: str
    text: str


@dataclass(frozen=True, slots=True)
class Card:
    """An incident or planned work."""

    id: str
    name: str
    name_lang: str  # "" where the title is in the reader's language
    badge: Badge
    word: str
    is_planned: bool
    is_open: bool
    is_cancelled: bool
    began_at: datetime
    detected_at: datetime
    published_at: datetime
    ended_at: datetime | None
    resolved_at: datetime | None
    duration: timedelta | None
    period: str
    next_update_at: datetime | None
    scheduled_for: datetime | None
    scheduled_until: datetime | None
    affected: tuple[Alike, ...]
    impacted: Impacted | None
    latest: Post | None
    posts: tuple[Post, ...]
    edits: tuple[Edit, ...]
    evidence: Evidence
    is_backfilled: bool
    plan: Plan | None = None

    @property
    def names(self) -> str:
        """The services it names directly."""
        return ", ".join(link.name for alike in self.affected for link in alike.links)


@dataclass(frozen=True, slots=True)
class Outage:
    """A measured interval of a service."""

    badge: Badge
    cause: str
    began_at: datetime
    ended_at: datetime | None
    duration: timedelta | None


class View:
    """One snapshot in one language at one moment."""

    def __init__(self, snapshot: PageSnapshot, language: str, house: House, now: datetime) -> None:
        self.snapshot = snapshot
        self.language = language
        self.house = house
        self.now = now
        self.catalogues = house.catalogues
        self.zone = house.settings.zone
        self._badges = {
            status: Badge(
                charts.CLASSES.get(status, charts.UNMEASURED),
                SHAPES[status],
                service_word(house.catalogues, language, status),
            )
            for status in (*ServiceStatus, UNKNOWN)
        }

    def page(self, path: str, template: str, **context: Any) -> str:
        """The page at `path` (without language prefix)."""
        return web.page(
            self.house,
            template,
            self.language,
            {
                "path": path,
                "prefix": f"/{self.language}",
                "user": None,
                "seq": self.snapshot.seq,
                **context,
            },
            now=self.now,
        )

    # --- view models ---

    def block(self, group: GroupView) -> Block:
        return Block(
            group.code, group.name[self.language], tuple(self.row(service) for service in group.services)
        )

    def row(self, service: ServiceView) -> Row:
        status = shown_status(service)
        is_trouble = status not in (UNKNOWN, ServiceStatus.OPERATIONAL)
        return Row(
            code=service.code,
            name=service.name[self.language],
            description=service.description[self.language],
            badge=self._badges[status],
            since="" if status == UNKNOWN else self._since(service, exactly=is_trouble),
            is_trouble=is_trouble,
            unmeasured_since=service.unmeasured_since if status != UNKNOWN else None,
            bar=charts.bar(service.days, self.bar_label(service)),
            uptime=charts.percent(service.uptime, self.language),
        )

    def _since(self, service: ServiceView, *, exactly: bool) -> str:
        at = service.status_since
        return self.instant(at) if exactly else format_day(at, self.language, self.zone, self.now)

    def bar_label(self, service: ServiceView) -> str:
        return charts.describe(service.days, service.uptime, self.catalogues, self.language)

    def links(self, codes: Iterable[str]) -> tuple[Alike, ...]:
        wanted = set(codes)
        return _by_badge(
            (self._badges[shown_status(service)], Link(service.code, service.name[self.language]))
            for service in self.snapshot.services
            if service.code in wanted
        )

    def card(self, notice: NoticeView) -> Card:
        is_planned = notice.kind == NoticeKind.MAINTENANCE
        direct = tuple(affected for affected in notice.concerned if not affected.by_parent)
        ended_at = notice.ended_at or notice.resolved_at
        posts = tuple(self._post(update) for update in notice.updates)
        return Card(
            id=notice.id,
            name=notice.name[self.language],
            name_lang=self._foreign(notice.name),
            badge=self._notice_badge(notice),
            word=notice_word(self.catalogues, self.language, notice.status),
            is_planned=is_planned,
            is_open=notice.is_open,
            is_cancelled=notice.status == MaintenanceStatus.CANCELLED,
            began_at=notice.began_at,
            detected_at=notice.detected_at,
            published_at=notice.published_at,
            ended_at=ended_at,
            resolved_at=notice.resolved_at,
            duration=ended_at - notice.began_at if ended_at else None,
            period=self._period(notice, ended_at),
            next_update_at=notice.next_update_at if notice.is_open else None,
            scheduled_for=notice.scheduled_for,
            scheduled_until=notice.scheduled_until,
            affected=_by_badge(self._affected(affected, notice) for affected in direct),
            impacted=self._impacted(notice),
            latest=posts[0] if posts else None,
            posts=posts,
            edits=self._edits(notice),
            evidence=evidence(notice, self),
            is_backfilled=notice.is_backfilled,
            plan=plan_of(notice, self.catalogues, self.language, self.zone, self.now),
        )

    def _notice_badge(self, notice: NoticeView) -> Badge:
        status = worst(a.status if notice.is_open else a.worst_status for a in notice.affected)
        if notice.kind == NoticeKind.MAINTENANCE:
            status = ServiceStatus.UNDER_MAINTENANCE
        badge = self._badges[status]
        return Badge(badge.css, badge.shape, status_word(self.catalogues, self.language, notice.impact))

    def _affected(self, affected: AffectedView, notice: NoticeView) -> tuple[Badge, Link]:
        status = affected.status if notice.is_open else affected.worst_status
        if notice.kind == NoticeKind.MAINTENANCE:
            status = ServiceStatus.UNDER_MAINTENANCE
        return self._badges[status], Link(affected.code, affected.name[self.language], self._scope(affected))

    def _scope(self, affected: AffectedView) -> str:
        """`transit declaration, arrival notification (web service)`."""
        gettext = self.catalogues.translator(self.language)
        functions = ", ".join(gettext(function) for function in affected.functions)
        channels = ", ".join(gettext(CHANNELS.get(channel, channel)) for channel in affected.channels)
        return f"{functions} ({channels})" if functions and channels else functions or channels

    def _foreign(self, text: Text) -> str:
        found = text.language_for(self.language)
        return "" if found == self.language else found

    def _impacted(self, notice: NoticeView) -> Impacted | None:
        children = tuple(affected for affected in notice.affected if affected.by_parent)
        if not children:
            return None
        above = self._ancestors(child.code for child in children)
        roots = [a.name[self.language] for a in notice.affected if not a.by_parent and a.code in above]
        return Impacted(", ".join(roots), _by_badge(self._affected(child, notice) for child in children))

    def _ancestors(self, codes: Iterable[str]) -> set[str]:
        parents = {service.code: service.parents for service in self.snapshot.services}
        found: set[str] = set()
        todo = list(codes)
        while todo:
            for parent in parents.get(todo.pop(), ()):
                if parent not in found:
                    found.add(parent)
                    todo.append(parent)
        return found

    def _post(self, update: UpdateView) -> Post:
        return Post(
            at=update.display_at,
            word=notice_word(self.catalogues, self.language, update.status),
            text=said(update.text, self.language),
            changes=self._changes(update),
            is_report=update.status == IncidentStatus.POSTMORTEM,
        )

    def _changes(self, update: UpdateView) -> tuple[Change, ...]:
        found: dict[tuple[str, str], list[str]] = {}
        for change in update.affected:
            if change.old_status != change.new_status:
                names = found.setdefault((change.old_status, change.new_status), [])
                names.append(change.name[self.language])
        return tuple(
            Change(self._badges[old], self._badges[new], ", ".join(names))
            for (old, new), names in found.items()
        )

    def _edits(self, notice: NoticeView) -> tuple[Edit, ...]:
        """Corrections that concern this language. A time is shown as people write it."""
        found = []
        for revision in notice.revisions:
            for field, before in revision.before:
                if shown := self._edit(field, before):
                    found.append(Edit(revision.at, *shown))
        return tuple(found)

    def _edit(self, field: str, before: str) -> tuple[str, str] | None:
        gettext = self.catalogues.translator(self.language)
        if field in (f"name_{self.language}", f"text_{self.language}"):
            return (gettext("The title was") if field.startswith("name") else gettext("The text was")), before
        times = {
            "began_at": gettext("The beginning was"),
            "ended_at": gettext("The end was"),
            "scheduled_for": gettext("The planned beginning was"),
            "scheduled_until": gettext("The planned end was"),
        }
        if field in times and before not in ("", "None"):
            return times[field], self.instant(datetime.fromisoformat(before))
        return None

    def outage(self, interval: IntervalView) -> Outage:
        ended_at = interval.ended_at
        return Outage(
            badge=self._badges[interval.status],
            cause=plain_cause(interval.cause)[self.language],
            began_at=interval.began_at,
            ended_at=ended_at,
            duration=ended_at - interval.began_at if ended_at else None,
        )

    # --- time ---

    def instant(self, at: datetime) -> str:
        return format_instant(at, self.language, self.zone, self.now)

    def _period(self, notice: NoticeView, ended_at: datetime | None) -> str:
        """`yesterday 10:30–12:30 (UTC+1)`; the plan of work that was not done."""
        begin, end = notice.began_at, ended_at
        if notice.status in (MaintenanceStatus.SCHEDULED, MaintenanceStatus.CANCELLED):
            begin, end = notice.scheduled_for or begin, notice.scheduled_until
        return self.window(begin, end) if end else self.instant(begin)

    def window(self, begin: datetime, end: datetime | None) -> str:
        """`today 10:30–12:30 (UTC+1)`; both days where they differ; `from today 10:30 (UTC+1)` without an end."""
        began = self.instant(begin)
        if end is None:
            return self.catalogues.gettext(self.language, "from %(time)s") % {"time": began}
        ended = self.instant(end)
        began_clock, ended_clock = format_clock(begin, self.zone), format_clock(end, self.zone)
        if began.replace(began_clock, "") != ended.replace(ended_clock, ""):
            return f"{began} – {ended}"
        return began.replace(began_clock, f"{began_clock}–{ended_clock}")

    def month(self, notice: NoticeView) -> tuple[int, int]:
        local = notice.began_at.astimezone(self.zone)
        return local.year, local.month


def _by_badge(services: Iterable[tuple[Badge, Link]]) -> tuple[Alike, ...]:
    """Services in the same state under one word; the order of the first of each is kept."""
    found: dict[Badge, list[Link]] = {}
    for badge, link in services:
        found.setdefault(badge, []).append(link)
    return tuple(Alike(badge, tuple(links)) for badge, links in found.items())
