"""The words and the pure rules of the incident model: statuses, impact, what is published of what was measured.

Terms follow ITIL and the public API of `docs/api.md`; enumerations are stored and published as their text.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class ServiceStatus(StrEnum):
    """What is published of a service; from best to worst, with maintenance apart."""

    OPERATIONAL = "operational"
    UNDER_MAINTENANCE = "under_maintenance"
    DEGRADED_PERFORMANCE = "degraded_performance"
    PARTIAL_OUTAGE = "partial_outage"
    MAJOR_OUTAGE = "major_outage"


class IncidentStatus(StrEnum):
    """The life of an incident."""

    INVESTIGATING = "investigating"
    IDENTIFIED = "identified"
    MONITORING = "monitoring"
    RESOLVED = "resolved"
    POSTMORTEM = "postmortem"


class MaintenanceStatus(StrEnum):
    """The life of planned work."""

    SCHEDULED = "scheduled"
    IN_PROGRESS = "in_progress"
    VERIFYING = "verifying"
    COMPLETED = "completed"
    CANCELLED = "cancelled"  # published as completed in /api/v2, which has no such word


class NoticeKind(StrEnum):
    """An incident and planned work share one record: both are told the same ways."""

    INCIDENT = "incident"
    MAINTENANCE = "maintenance"


class Impact(StrEnum):
    """How bad an incident is, as the API says it."""

    NONE = "none"
    MINOR = "minor"
    MAJOR = "major"
    CRITICAL = "critical"
    MAINTENANCE = "maintenance"


class Origin(StrEnum):
    """Who opened the record."""

    MONITOR = "monitor"
    PERSON = "person"


class Policy(StrEnum):
    """What happens when monitors find a service down."""

    PUBLISH = "publish"
    DRAFT = "draft"  # an operator decides; nothing public changes until then


class FallbackState(StrEnum):
    """What the duty officer declares about working on paper while a service fails."""

    NOT_NEEDED = "not_needed"
    PERMITTED = "permitted"
    WITHDRAWN = "withdrawn"


class MessageHandling(StrEnum):
    """What becomes of messages that were sent while a service failed."""

    KEPT = "kept"  # handled later; not to be sent again
    REJECTED = "rejected"  # the sender was told so
    RESEND = "resend"  # lost or in doubt: to be sent again


SEVERITY: Mapping[ServiceStatus, int] = {status: rank for rank, status in enumerate(ServiceStatus)}
OUTAGES = frozenset({ServiceStatus.PARTIAL_OUTAGE, ServiceStatus.MAJOR_OUTAGE})
UNRESOLVED = frozenset({IncidentStatus.INVESTIGATING, IncidentStatus.IDENTIFIED, IncidentStatus.MONITORING})

_IMPACT = {
    ServiceStatus.OPERATIONAL: Impact.NONE,
    ServiceStatus.UNDER_MAINTENANCE: Impact.MAINTENANCE,
    ServiceStatus.DEGRADED_PERFORMANCE: Impact.MINOR,
    ServiceStatus.PARTIAL_OUTAGE: Impact.MAJOR,
    ServiceStatus.MAJOR_OUTAGE: Impact.CRITICAL,
}

_DESCRIPTION = {
    Impact.NONE: "All Systems Operational",
    Impact.MINOR: "Partially Degraded Service",
    Impact.MAJOR: "Partial System Outage",
    Impact.CRITICAL: "Major Service Outage",
    Impact.MAINTENANCE: "Service Under Maintenance",
}


def worst(statuses: Iterable[ServiceStatus]) -> ServiceStatus:
    """The worst of them; operational when there are none."""
    return max(statuses, key=SEVERITY.__getitem__, default=ServiceStatus.OPERATIONAL)


def impact_of(statuses: Iterable[ServiceStatus]) -> Impact:
    """The impact (and page indicator) that these statuses amount to."""
    return _IMPACT[worst(statuses)]


def needs_second_person(impact: Impact, four_eyes_from: str) -> bool:
    """Whether what has this impact is published by two; `four_eyes_from` is an impact, or "never"."""
    order = [Impact.NONE, Impact.MINOR, Impact.MAJOR, Impact.CRITICAL]
    if four_eyes_from == "never" or impact not in order:
        return False
    return order.index(impact) >= order.index(Impact(four_eyes_from))


def indicator_description(indicator: Impact) -> str:
    """Statuspage's English sentence, which clients match on."""
    return _DESCRIPTION[indicator]


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that decides what is published of one service."""

    measured: ServiceStatus | None  # None: never measured; the last known value while nothing is known
    declared: ServiceStatus | None = None  # by people, in an open incident
    parents: tuple[ServiceStatus, ...] = ()  # what is published of the services it depends on
    in_maintenance: bool = False
    held: bool = False  # its monitors' findings wait for an operator (policy draft)
    overridden: ServiceStatus | None = None  # by an officer, for a while


def published_status(evidence: Evidence) -> ServiceStatus:
    """What is published of a service.

    Maintenance covers what is measured but not what a person declares; an override covers both, and only what
    is declared in an open incident comes before it. A child of a parent in outage
    is shown at least degraded, whatever its own monitors say.
    """
    if evidence.declared is not None and evidence.declared is not ServiceStatus.OPERATIONAL:
        return evidence.declared
    if evidence.overridden is not None:
        return evidence.overridden
    if evidence.in_maintenance:
        return ServiceStatus.UNDER_MAINTENANCE
    measured = evidence.measured or ServiceStatus.OPERATIONAL
    if evidence.held:
        measured = ServiceStatus.OPERATIONAL
    if OUTAGES.intersection(evidence.parents):
        return worst((measured, ServiceStatus.DEGRADED_PERFORMANCE))
    return measured


@dataclass(frozen=True, slots=True)
class Failure:
    """A service that newly fails, and its kin in the tree of dependencies. All are service ids."""

    service: str
    since: datetime
    fault: str  # host and kind of the failure; equal ones are one cause; "" where nothing is known
    ancestors: frozenset[str]
    descendants: frozenset[str]


@dataclass(frozen=True, slots=True)
class Candidate:
    """An incident that a failing service might belong to."""

    id: str
    affected: frozenset[str]  # service ids
    failing: frozenset[str]  # those of them that fail themselves
    ancestors: frozenset[str]  # of its root
    fault: str
    last_failure_at: datetime
    ended_at: datetime | None = None  # it ended by itself, and may still be reopened


def incident_to_join(
    failure: Failure, candidates: Iterable[Candidate], *, join_window: timedelta, reopen_window: timedelta
) -> Candidate | None:
    """The first candidate that the failure belongs to; None opens a new incident.

    It belongs to the open incident in which the service fails already. Else to one that names it, that names
    one it depends on or that depends on it (whichever failed first), or that began within `join_window` under
    the same ancestor or of the same fault. An ended one takes back only its own services, and only within
    `reopen_window`.
    """
    candidates = list(candidates)
    for candidate in candidates:
        if candidate.ended_at is None and failure.service in candidate.failing:
            return candidate
    for candidate in candidates:
        if candidate.ended_at is not None:
            if failure.service in candidate.affected and failure.since - candidate.ended_at <= reopen_window:
                return candidate
            continue
        if candidate.affected & (failure.ancestors | failure.descendants | {failure.service}):
            return candidate
        is_kin = bool(failure.ancestors & candidate.ancestors) or (
            failure.fault != "" and failure.fault == candidate.fault
        )
        if is_kin and abs(failure.since - candidate.last_failure_at) <= join_window:
            return candidate
    return None


def may_follow(old: StrEnum, new: StrEnum) -> bool:
    """Whether an incident or maintenance may go from `old` to `new`."""
    if isinstance(new, MaintenanceStatus):
        final = {MaintenanceStatus.COMPLETED, MaintenanceStatus.CANCELLED}
        order = list(MaintenanceStatus)
        return old not in final and (new in final or order.index(new) >= order.index(MaintenanceStatus(old)))
    if new == IncidentStatus.POSTMORTEM:
        return old == IncidentStatus.RESOLVED
    if old == IncidentStatus.RESOLVED:
        return new in (IncidentStatus.POSTMORTEM, IncidentStatus.INVESTIGATING)
    return old != IncidentStatus.POSTMORTEM
