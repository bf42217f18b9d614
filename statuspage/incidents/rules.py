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


def published_status(evidence: Evidence) -> ServiceStatus:
    """What is published of a service.

    Maintenance covers what is measured but not what a person declares. A child of a parent in outage
    is shown at least degraded, whatever its own monitors say.
    """
    if evidence.declared is not None and evidence.declared is not ServiceStatus.OPERATIONAL:
        return evidence.declared
    if evidence.in_maintenance:
        return ServiceStatus.UNDER_MAINTENANCE
    measured = evidence.measured or ServiceStatus.OPERATIONAL
    if evidence.held:
        measured = ServiceStatus.OPERATIONAL
    if OUTAGES.intersection(evidence.parents):
        return worst((measured, ServiceStatus.DEGRADED_PERFORMANCE))
    return measured


@dataclass(frozen=True, slots=True)
class OpenIncident:
    """What joining looks at."""

    id: str
    root_code: str
    cause: str
    affected: frozenset[str]  # service codes
    last_failure_at: datetime
    ended_at: datetime | None  # set when it was resolved by itself and may still be reopened


def incident_to_join(
    code: str,
    cause: str,
    since: datetime,
    *,
    ancestors: frozenset[str],
    descendants: frozenset[str],
    candidates: Iterable[OpenIncident],
    join_window: timedelta,
    reopen_window: timedelta,
) -> OpenIncident | None:
    """The incident that a newly failing service belongs to, oldest first; None opens a new one.

    It is the one that already names the service (a relapse), the one of a failing parent or child,
    a sibling's under the same ancestor within `join_window`, or one of the very same cause within it.
    An incident that ended by itself is reopened only by its own services and within `reopen_window`.
    """
    family = ancestors | descendants
    for candidate in candidates:
        recent = since - candidate.last_failure_at <= join_window
        if candidate.ended_at is not None:
            if code in candidate.affected and since - candidate.ended_at <= reopen_window:
                return candidate
            continue
        if code in candidate.affected or family & candidate.affected:
            return candidate
        if recent and cause and cause == candidate.cause and not cause.startswith("HTTP 5"):
            return candidate
    return None


def may_follow(old: StrEnum, new: StrEnum) -> bool:
    """Whether an incident or maintenance may go from `old` to `new`."""
    if isinstance(new, MaintenanceStatus):
        final = {MaintenanceStatus.COMPLETED, MaintenanceStatus.CANCELLED}
        order = list(MaintenanceStatus)
        return old not in final and (new in final or order.index(new) >= order.index(MaintenanceStatus(old)))
    if old == IncidentStatus.RESOLVED:
        return new in (IncidentStatus.POSTMORTEM, IncidentStatus.INVESTIGATING)
    return old != IncidentStatus.POSTMORTEM
