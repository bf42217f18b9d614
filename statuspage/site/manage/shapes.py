"""What the management API takes and shows of incidents, planned work, drafts, templates and services."""

from typing import Annotated

import msgspec
from msgspec import Meta

from statuspage.incidents.acts import ActKind, ActState
from statuspage.incidents.notice_pages import Standing
from statuspage.incidents.rules import (
    FallbackState,
    Impact,
    IncidentStatus,
    MaintenanceStatus,
    MessageHandling,
    Origin,
    ServiceStatus,
)
from statuspage.kernel.operations import Given, Id, Instant, Line, Prose, Shown

Code = Annotated[str, Meta(pattern="^[A-Z0-9-]{1,60}$")]
Codes = Annotated[tuple[Code, ...], Meta(max_length=500)]
Statuses = Annotated[dict[Code, ServiceStatus], Meta(max_length=500)]
Part = Annotated[str, Meta(max_length=5_000, pattern=r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$")]
Words = Annotated[tuple[Line, ...], Meta(max_length=100)]
Place = Annotated[str, Meta(pattern="^[A-Za-z0-9_-]{1,120}$", description="`next` of an earlier page.")]
# To JSON Schema 3.0 is a whole number, to msgspec it is no int.
Whole = Annotated[float, Meta(ge=0, le=10_000, multiple_of=1)]
Limit = Annotated[int, Meta(ge=1, le=100)]

# --- what is said ---


class Title(Given, frozen=True, kw_only=True):
    """One line in both languages; one of them is enough."""

    pl: Line = ""
    en: Line = ""


class Message(Given, frozen=True, kw_only=True):
    """Markdown in both languages; one of them is enough."""

    pl: Prose = ""
    en: Prose = ""


class Note(Given, frozen=True, kw_only=True):
    """A shorter text in both languages."""

    pl: Part = ""
    en: Part = ""


class ScopeGiven(Given, frozen=True, kw_only=True):
    """The functions and channels of a service that are affected; none named: all."""

    functions: Words = ()
    channels: Words = ()


class HandlingGiven(Given, frozen=True, kw_only=True):
    """What becomes of messages sent in a window; without a service: of all that are affected."""

    handling: MessageHandling
    service: Code | None = None
    sent_from: Instant | None = None
    sent_until: Instant | None = None
    text: Note = msgspec.field(default_factory=Note)


class FallbackGiven(Given, frozen=True, kw_only=True):
    """A declaration about paper. Without a reference a permission takes the next one of the series."""

    service: Code
    state: FallbackState
    function: Line = ""
    reference: Line = ""
    begins_at: Instant | None = None
    ends_at: Instant | None = None
    instructions: Note = msgspec.field(default_factory=Note)
    legal_basis: Note = msgspec.field(default_factory=Note)
    enter_within_hours: Annotated[float, Meta(ge=0.25, le=8760)] | None = None


Handlings = Annotated[tuple[HandlingGiven, ...], Meta(max_length=100)]
Fallbacks = Annotated[tuple[FallbackGiven, ...], Meta(max_length=100)]
Scopes = Annotated[dict[Code, ScopeGiven], Meta(max_length=500)]


class Evidence(Given, frozen=True, kw_only=True):
    """What is null stays as it is; what is given replaces what was said before."""

    scope: Scopes | None = None
    unaffected: Codes | None = None
    messages: Handlings | None = None
    next_update_at: Instant | None = None


class OpenGiven(Evidence, frozen=True, kw_only=True):
    """A new incident. With `ended_at` it is entered afterwards: it is over, and nobody is alerted."""

    name: Title
    text: Message
    services: Statuses
    status: IncidentStatus = IncidentStatus.INVESTIGATING
    impact: Impact | None = None
    began_at: Instant | None = None
    ended_at: Instant | None = None
    fallbacks: Fallbacks = ()
    deliver: bool = True
    break_glass: Annotated[Line, Meta(description="Why no second person can publish it.")] = ""


class UpdateGiven(Evidence, frozen=True, kw_only=True):
    """Something new about an incident. `seen` is the newest update that its author had read."""

    text: Message
    name: Annotated[Title, Meta(description="Another title, if it changes.")] = msgspec.field(
        default_factory=Title
    )
    status: IncidentStatus | None = None
    services: Statuses = msgspec.field(default_factory=dict)
    fallbacks: Fallbacks = ()
    withdrawn: Annotated[tuple[Id, ...], Meta(max_length=100, description="Permissions that end.")] = ()
    deliver: bool = True
    seen: Id | None = None
    break_glass: Line = ""


class ResolveGiven(Given, frozen=True, kw_only=True):
    """The word that it is over."""

    text: Message
    seen: Id | None = None
    break_glass: Line = ""


class RewordGiven(Given, frozen=True, kw_only=True):
    """Other words, or the missing translation, for an update. Nobody is alerted again."""

    text: Message


class CorrectionGiven(Given, frozen=True, kw_only=True):
    """Other times of an incident; the old ones stay visible."""

    began_at: Instant | None = None
    ended_at: Instant | None = None
    text: Message | None = None
    deliver: bool = False


class MergeGiven(Given, frozen=True, kw_only=True):
    """The incident that this one is part of."""

    into: Id
    text: Message | None = None


class DeclareGiven(FallbackGiven, frozen=True, kw_only=True):
    """A declaration with its own word on the incident; without a text a fitting one is written."""

    text: Message | None = None
    deliver: bool = True


class WithdrawGiven(Given, frozen=True, kw_only=True):
    """The end of a permission; without a text a fitting one is written."""

    text: Message | None = None
    deliver: bool = True


class ActGiven(Evidence, frozen=True, kw_only=True):
    """What an act says: a draft may be incomplete. `incident` belongs to an update or a resolution."""

    kind: ActKind
    incident: Id | None = None
    name: Title = msgspec.field(default_factory=Title)
    text: Message = msgspec.field(default_factory=Message)
    services: Statuses = msgspec.field(default_factory=dict)
    status: IncidentStatus | None = None
    impact: Impact | None = None
    began_at: Instant | None = None
    ended_at: Instant | None = None
    fallbacks: Fallbacks = ()
    withdrawn: Annotated[tuple[Id, ...], Meta(max_length=100)] = ()
    deliver: bool = True
    seen: Id | None = None


class ScheduleGiven(Given, frozen=True, kw_only=True):
    """When an act is published by itself."""

    publish_at: Instant


class PerformGiven(Given, frozen=True, kw_only=True):
    """Publish an act now."""

    break_glass: Line = ""


class MaintenanceGiven(Given, frozen=True, kw_only=True):
    """Planned work."""

    name: Title
    text: Message
    services: Codes
    begins_at: Instant
    ends_at: Instant
    by_hand: Annotated[bool, Meta(description="An officer begins and completes it; the clock does not.")] = (
        False
    )


class RescheduleGiven(Given, frozen=True, kw_only=True):
    """Another end, and another beginning while the work has not begun; what is null stays."""

    begins_at: Instant | None = None
    ends_at: Instant | None = None
    text: Message | None = None


class CancelGiven(Given, frozen=True, kw_only=True):
    """The work is called off: all of it, or for these services alone."""

    services: Codes = ()
    text: Message | None = None


class StepGiven(Given, frozen=True, kw_only=True):
    """A step of planned work; without a text the usual one is written."""

    text: Message | None = None


class TemplateGiven(Given, frozen=True, kw_only=True):
    """Prepared words; `{service}`, `{began}`, `{next_update}`, `{reference}` and `{page}` are filled in."""

    name: Line
    kind: ActKind
    title: Title = msgspec.field(default_factory=Title)
    text: Message = msgspec.field(default_factory=Message)
    status: IncidentStatus | None = None
    position: Annotated[Whole, Meta(description="The first of its kind is proposed.")] = 0


# --- what is asked for ---


class IncidentsAsked(Given, frozen=True, kw_only=True):
    """Filters of the list."""

    standing: Standing | None = None
    service: Code | None = None
    began_from: Instant | None = None
    began_before: Instant | None = None
    after: Place | None = None
    limit: Limit = 20


class MaintenanceAsked(Given, frozen=True, kw_only=True):
    """Filters of the list."""

    service: Code | None = None
    after: Place | None = None
    limit: Limit = 20


class AudienceAsked(Given, frozen=True, kw_only=True):
    """Services that something affects."""

    services: Annotated[tuple[Code, ...], Meta(min_length=1, max_length=500)]


# --- what is shown ---


class Text(Shown, frozen=True, kw_only=True):
    """A text in both languages; an empty one is still to be translated."""

    pl: str
    en: str


class Affected(Shown, frozen=True, kw_only=True):
    """A service in a notice."""

    code: str
    status: ServiceStatus
    worst_status: ServiceStatus
    by_parent: bool
    declared: bool
    functions: list[str]
    channels: list[str]


class Planned(Shown, frozen=True, kw_only=True):
    """A service in planned work, or taken out of it."""

    code: str
    status: ServiceStatus
    cancelled_at: Instant | None


class Handling(Shown, frozen=True, kw_only=True):
    """What becomes of messages."""

    handling: MessageHandling
    service: str | None
    sent_from: Instant | None
    sent_until: Instant | None
    text: Text
    declared_by: str
    declared_at: Instant


class Fallback(Shown, frozen=True, kw_only=True):
    """A declaration about paper; `is_current` until another one replaces it."""

    id: str
    service: str
    function: str
    state: FallbackState
    reference: str
    begins_at: Instant
    ends_at: Instant | None
    instructions: Text
    legal_basis: Text
    enter_within_hours: float
    declared_by: str
    declared_at: Instant
    withdrawn_by: str | None
    withdrawn_at: Instant | None
    is_current: bool


class Update(Shown, frozen=True, kw_only=True):
    """What was said."""

    id: str
    status: str
    text: Text
    author: str
    created_at: Instant
    updated_at: Instant
    is_delivered: bool


class Revision(Shown, frozen=True, kw_only=True):
    """What stood there before it was changed."""

    at: Instant
    author: str
    update_id: str | None
    before: dict[str, str | None]


class Incident(Shown, frozen=True, kw_only=True):
    """An incident with everything that was said of it, newest first."""

    id: str
    version: int
    name: Text
    status: IncidentStatus
    impact: Impact
    origin: Origin
    is_draft: bool
    is_taken_over: bool
    is_backfilled: bool
    merged_into: str | None
    began_at: Instant
    detected_at: Instant
    published_at: Instant | None
    monitoring_at: Instant | None
    ended_at: Instant | None
    resolved_at: Instant | None
    next_update_at: Instant | None
    updated_at: Instant
    services: list[Affected]
    unaffected: list[str]
    messages: list[Handling]
    fallbacks: list[Fallback]
    updates: list[Update]
    revisions: list[Revision]


class Maintenance(Shown, frozen=True, kw_only=True):
    """Planned work with everything that was said of it, newest first."""

    id: str
    version: int
    name: Text
    status: MaintenanceStatus
    is_by_hand: bool
    begins_at: Instant | None
    ends_at: Instant | None
    began_at: Instant
    ended_at: Instant | None
    resolved_at: Instant | None
    updated_at: Instant
    services: list[Planned]
    updates: list[Update]
    revisions: list[Revision]


class IncidentPage(Shown, frozen=True, kw_only=True):
    """`next` is the `after` of the next page; null at the end."""

    incidents: list[Incident]
    next: str | None


class MaintenancePage(Shown, frozen=True, kw_only=True):
    """`next` is the `after` of the next page; null at the end."""

    maintenance: list[Maintenance]
    next: str | None


class Act(Shown, frozen=True, kw_only=True):
    """Something prepared for publication. `content` is what was written, in the form it is sent in."""

    id: str
    version: int
    state: ActState
    content: ActGiven
    incident: str | None
    needs_second_person: bool
    created_by: str
    created_at: Instant
    edited_by: str
    edited_at: Instant
    publish_at: Instant | None
    approved_by: str | None
    broke_glass: str
    done_at: Instant | None
    failed: str


class ActList(Shown, frozen=True, kw_only=True):
    """Acts that are not over, newest first, two hundred at most."""

    acts: list[Act]


class Service(Shown, frozen=True, kw_only=True):
    """A service, what is published of it and what monitors last knew."""

    code: str
    name: Text
    group: str
    status: ServiceStatus
    status_since: Instant
    measured: ServiceStatus | None
    measured_since: Instant | None
    unknown_since: Instant | None
    functions: list[str]
    channels: list[str]
    parents: list[str]


class ServiceList(Shown, frozen=True, kw_only=True):
    """In page order."""

    services: list[Service]


class Template(Shown, frozen=True, kw_only=True):
    """Prepared words."""

    id: str
    name: str
    kind: ActKind
    title: Text
    text: Text
    status: IncidentStatus | None
    position: int


class TemplateList(Shown, frozen=True, kw_only=True):
    """In the order in which they are proposed."""

    templates: list[Template]


class Audience(Shown, frozen=True, kw_only=True):
    """How many subscribers would be told."""

    count: int
