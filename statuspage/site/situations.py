"""What the composer knows when it opens: the services and how they fail, the incident so far, permissions, templates;
and the first proposal that it makes of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from statuspage.incidents import incidents, templates, texts
from statuspage.incidents.acts import EMPTY, ActKind, Content
from statuspage.incidents.details import Details
from statuspage.incidents.rules import (
    UNRESOLVED,
    FallbackState,
    IncidentStatus,
    ServiceStatus,
    may_follow,
    worst,
)
from statuspage.incidents.snapshot import Text
from statuspage.incidents.tables import (
    Fallback,
    Group,
    Notice,
    NoticeService,
    NoticeUnaffected,
    Service,
    Template,
    Update,
)
from statuspage.kernel.house import House
from statuspage.kernel.i18n import format_fixed
from statuspage.kernel.localtime import next_minutes

CHOICES = (
    ServiceStatus.MAJOR_OUTAGE,
    ServiceStatus.PARTIAL_OUTAGE,
    ServiceStatus.DEGRADED_PERFORMANCE,
    ServiceStatus.OPERATIONAL,
)
_BAD = frozenset(CHOICES[:3])
_FIRST_MINUTES = 30


@dataclass(frozen=True, slots=True)
class ServiceChoice:
    """A service in the form."""

    id: str
    code: str
    name: Text
    group: Text
    functions: tuple[str, ...]
    channels: tuple[str, ...]
    published: ServiceStatus
    measured: ServiceStatus | None
    since: datetime | None  # of what is measured
    named: ServiceStatus | None  # in this incident, not through a parent


@dataclass(frozen=True, slots=True)
class Said:
    """An update that was posted."""

    id: str
    author: str
    at: datetime
    text: Text
    position: int


@dataclass(frozen=True, slots=True)
class Permission:
    """Paper that is permitted now."""

    id: str
    reference: str
    service: str  # code
    function: str


@dataclass(frozen=True, slots=True)
class About:
    """The incident that an update is about."""

    id: str
    name: Text
    status: IncidentStatus
    began_at: datetime
    is_published: bool
    is_over: bool
    is_silent: bool  # monitors found it, and no person has spoken yet
    said: tuple[Said, ...]  # newest first
    permissions: tuple[Permission, ...]
    unaffected: tuple[str, ...]

    @property
    def newest(self) -> str:
        """The id of the newest update."""
        return self.said[0].id if self.said else ""

    def since(self, seen: str) -> tuple[Said, ...]:
        """What people have said since the update `seen`, newest first."""
        read = next((said.position for said in self.said if said.id == seen), -1)
        return tuple(s for s in self.said if s.position > read and s.author != "monitor")


@dataclass(frozen=True, slots=True)
class Situation:
    """All of it."""

    kind: ActKind
    services: tuple[ServiceChoice, ...]
    about: About | None
    templates: tuple[Template, ...]

    @property
    def codes(self) -> list[str]:
        """Of the services in the form."""
        return [service.code for service in self.services]

    @property
    def is_first_word(self) -> bool:
        """Whether a person speaks for the first time."""
        return self.about is None or (self.about.is_silent and not self.is_end)

    @property
    def is_end(self) -> bool:
        """Whether the form says that it is over."""
        return self.kind is ActKind.RESOLVE

    @property
    def groups(self) -> list[tuple[Text, list[ServiceChoice]]]:
        """The services under their headings, in page order."""
        found: dict[Text, list[ServiceChoice]] = {}
        for service in self.services:
            found.setdefault(service.group, []).append(service)
        return list(found.items())

    @property
    def states(self) -> list[IncidentStatus]:
        """What the incident may become."""
        if self.kind is ActKind.RESOLVE:
            return []
        if self.about is None:
            return [status for status in IncidentStatus if status in UNRESOLVED]
        return [
            status
            for status in IncidentStatus
            if status is not IncidentStatus.RESOLVED and may_follow(self.about.status, status)
        ]

    def ids(self, codes: Sequence[str]) -> list[str]:
        """Of the services chosen, and of those that the incident names already."""
        return [s.id for s in self.services if s.code in codes or s.named is not None]


def read_situation(session: Session, kind: ActKind, notice_id: str = "") -> Situation:
    """Raises NotFound, or Conflict for an incident that is part of another."""
    notice = incidents.get(session, notice_id) if notice_id else None
    if notice is not None and notice.merged_into_id is not None:
        raise incidents.part_of_another(notice)
    named: Mapping[str, str] = {}
    if notice is not None:
        rows = session.execute(
            select(NoticeService.service_id, NoticeService.status).where(
                NoticeService.notice_id == notice.id, NoticeService.by_parent.is_(False)
            )
        )
        named = dict(rows.all())
    found = session.execute(
        select(Service, Group.name_pl, Group.name_en)
        .join(Group, Group.id == Service.group_id)
        .where(Service.archived_at.is_(None))
        .order_by(Service.position)
    )
    return Situation(
        kind=kind,
        services=tuple(_choice(service, Text(pl, en), named.get(service.id)) for service, pl, en in found),
        about=_about(session, notice) if notice is not None else None,
        templates=tuple(templates.listed(session, _kind_of_words(kind, notice))),
    )


def _kind_of_words(kind: ActKind, notice: Notice | None) -> ActKind:
    """The first words of a person open an incident, also one that monitors have found."""
    is_first = kind is ActKind.UPDATE and notice is not None and not notice.taken_over
    return ActKind.OPEN if is_first else kind


def _choice(service: Service, group: Text, named: str | None) -> ServiceChoice:
    return ServiceChoice(
        id=service.id,
        code=service.code,
        name=Text(service.name_pl, service.name_en),
        group=group,
        functions=tuple(service.functions),
        channels=tuple(service.channels),
        published=ServiceStatus(service.status),
        measured=ServiceStatus(service.measured) if service.measured else None,
        since=service.measured_since,
        named=ServiceStatus(named) if named else None,
    )


def _about(session: Session, notice: Notice) -> About:
    updates = session.scalars(
        select(Update).where(Update.notice_id == notice.id).order_by(Update.position.desc())
    )
    permitted = session.execute(
        select(Fallback, Service.code)
        .join(Service)
        .where(
            Fallback.notice_id == notice.id,
            Fallback.replaced_at.is_(None),
            Fallback.state == FallbackState.PERMITTED,
        )
    )
    unaffected = select(Service.code).join(NoticeUnaffected).where(NoticeUnaffected.notice_id == notice.id)
    return About(
        id=notice.id,
        name=Text(notice.name_pl, notice.name_en),
        status=IncidentStatus(notice.status),
        began_at=notice.began_at,
        is_published=notice.published_at is not None,
        is_over=notice.resolved_at is not None,
        is_silent=not notice.taken_over,
        said=tuple(
            Said(u.id, u.author, u.created_at, Text(u.text_pl, u.text_en), u.position) for u in updates
        ),
        permissions=tuple(Permission(f.id, f.reference, code, f.function) for f, code in permitted),
        unaffected=tuple(session.scalars(unaffected)),
    )


def propose(
    situation: Situation, codes: Sequence[str], template_id: str, *, house: House, now: datetime
) -> Content:
    """What the form opens with: what fails, a title, words of the best template in both languages."""
    failing = [s for s in situation.services if s.code in codes or _fails(s, situation)]
    about = situation.about
    template = next((t for t in situation.templates if t.id == template_id), None)
    template = template or next(iter(situation.templates), None)
    status = worst(s.measured or s.published for s in failing)
    status = status if status in _BAD else ServiceStatus.MAJOR_OUTAGE
    began_at = min((s.since for s in failing if s.measured in _BAD and s.since), default=now)
    values = _values(situation, failing, began_at=about.began_at if about else began_at, house=house, now=now)
    has_title = about is None or not about.is_published
    return Content(
        kind=situation.kind,
        notice_id=about.id if about else "",
        name=_title(template, values, failing, status) if has_title else EMPTY,
        text=_text(template, values, failing, situation),
        services=_statuses(situation, failing),
        status=_state(situation, template),
        began_at=began_at if about is None else None,
        details=Details(
            unaffected=about.unaffected if about else None,
            next_update_at=None if _is_last_word(situation) else next_minutes(now, _FIRST_MINUTES),
        ),
        seen=about.newest if about else None,
        deliver=not (about is not None and about.is_over),
    )


def _is_last_word(situation: Situation) -> bool:
    return situation.is_end or (situation.about is not None and situation.about.is_over)


def _fails(service: ServiceChoice, situation: Situation) -> bool:
    return situation.about is not None and service.named is not None


def _statuses(situation: Situation, failing: Sequence[ServiceChoice]) -> dict[str, ServiceStatus]:
    """As measured. Those that the incident names already stay as they are, and follow the monitors."""
    if situation.about is not None:
        return {}
    return {
        s.code: s.measured if s.measured in _BAD and s.measured else ServiceStatus.MAJOR_OUTAGE
        for s in failing
    }


def _state(situation: Situation, template: Template | None) -> IncidentStatus | None:
    if situation.kind is ActKind.RESOLVE:
        return None
    about = situation.about
    if about is not None and about.is_over:
        return IncidentStatus.POSTMORTEM
    if template is not None and template.status in situation.states:
        return IncidentStatus(template.status)
    return about.status if about is not None else IncidentStatus.INVESTIGATING


def _title(
    template: Template | None,
    values: Mapping[str, Text],
    failing: Sequence[ServiceChoice],
    status: ServiceStatus,
) -> Text:
    if template is not None and (template.title_pl or template.title_en):
        return templates.fill(Text(template.title_pl, template.title_en), values)
    return texts.title([s.name for s in failing], status) if failing else EMPTY


def _text(
    template: Template | None,
    values: Mapping[str, Text],
    failing: Sequence[ServiceChoice],
    situation: Situation,
) -> Text:
    if template is not None:
        return templates.fill(Text(template.text_pl, template.text_en), values)
    names = [s.name for s in failing]
    if not names or not (situation.is_first_word or situation.is_end):
        return EMPTY
    return texts.recovered(names) if situation.is_end else texts.detected(names, "", [])


def _values(
    situation: Situation, failing: Sequence[ServiceChoice], *, began_at: datetime, house: House, now: datetime
) -> dict[str, Text]:
    """What the variables of a template stand for, as far as it is known."""
    settings, about = house.settings, situation.about

    def instant(at: datetime) -> Text:
        return Text(*(format_fixed(at, language, settings.zone) for language in ("pl", "en")))

    next_at = next_minutes(now, _FIRST_MINUTES)
    page = f"{settings.server.base_url}/incidents/{about.id}" if about else settings.server.base_url
    values = {"began": instant(began_at), "next_update": instant(next_at), "page": Text(page, page)}
    if failing:
        values["service"] = Text(", ".join(s.name.pl for s in failing), ", ".join(s.name.en for s in failing))
    if about is not None and about.permissions:
        references = ", ".join(permission.reference for permission in about.permissions)
        values["reference"] = Text(references, references)
    return values
