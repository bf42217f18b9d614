"""The words for every status, the same on the page, in mails, tickets and the console. English is the msgid;
Polish stands in core.po.
"""

from collections.abc import Mapping
from enum import StrEnum

from statuspage.incidents.rules import (
    FallbackState,
    Impact,
    IncidentStatus,
    MaintenanceStatus,
    MessageHandling,
    NoticeKind,
    ServiceStatus,
)
from statuspage.kernel.i18n import Catalogues

SERVICE: Mapping[str, str] = {
    ServiceStatus.OPERATIONAL: "works",
    ServiceStatus.DEGRADED_PERFORMANCE: "is slow or limited",
    ServiceStatus.PARTIAL_OUTAGE: "works only in part",
    ServiceStatus.MAJOR_OUTAGE: "does not work",
    ServiceStatus.UNDER_MAINTENANCE: "under planned work",
    "unknown": "not measured",
}

# Status never by colour alone: each has its shape, also in subjects and titles.
SHAPES: Mapping[str, str] = {
    ServiceStatus.OPERATIONAL: "✓",
    ServiceStatus.DEGRADED_PERFORMANCE: "~",
    ServiceStatus.PARTIAL_OUTAGE: "◐",
    ServiceStatus.MAJOR_OUTAGE: "✕",
    ServiceStatus.UNDER_MAINTENANCE: "⚒",
    "unknown": "?",
}

INCIDENT: Mapping[str, str] = {
    IncidentStatus.INVESTIGATING: "looking for the cause",
    IncidentStatus.IDENTIFIED: "cause known",
    IncidentStatus.MONITORING: "fixed, being watched",
    IncidentStatus.RESOLVED: "resolved",
    IncidentStatus.POSTMORTEM: "resolved, with a report",
}

MAINTENANCE: Mapping[str, str] = {
    MaintenanceStatus.SCHEDULED: "planned",
    MaintenanceStatus.IN_PROGRESS: "in progress",
    MaintenanceStatus.VERIFYING: "done, being checked",
    MaintenanceStatus.COMPLETED: "completed",
    MaintenanceStatus.CANCELLED: "cancelled",
}

IMPACT: Mapping[str, str] = {
    Impact.NONE: "no effect",
    Impact.MINOR: "slow or limited",
    Impact.MAJOR: "partial outage",
    Impact.CRITICAL: "outage",
    Impact.MAINTENANCE: "planned work",
}

KIND: Mapping[str, str] = {
    NoticeKind.INCIDENT: "incident",
    NoticeKind.MAINTENANCE: "planned work",
}

CHANNELS: Mapping[str, str] = {"web": "web form", "webservice": "web service", "email": "e-mail"}

FALLBACK: Mapping[str, str] = {
    FallbackState.PERMITTED: "Paper is allowed",
    FallbackState.NOT_NEEDED: "Paper is not needed",
    FallbackState.WITHDRAWN: "Paper is no longer allowed",
}

HANDLING: Mapping[str, str] = {
    MessageHandling.KEPT: "They are kept and will be handled. Do not send them again.",
    MessageHandling.REJECTED: "They were rejected. Send them when the service works again.",
    MessageHandling.RESEND: "They must be sent again when the service works.",
}

MSGIDS: Mapping[type[StrEnum], Mapping[str, str]] = {
    ServiceStatus: SERVICE,
    IncidentStatus: INCIDENT,
    MaintenanceStatus: MAINTENANCE,
    Impact: IMPACT,
    NoticeKind: KIND,
    FallbackState: FALLBACK,
    MessageHandling: HANDLING,
}


def status_word(catalogues: Catalogues, language: str, value: StrEnum) -> str:
    """What a status, impact or kind is called in `language`: "nie działa", "szukamy przyczyny"."""
    return catalogues.gettext(language, MSGIDS[type(value)][value])


def service_word(catalogues: Catalogues, language: str, status: str) -> str:
    """The same for a service's status kept as text; "unknown" is one of them."""
    return catalogues.gettext(language, SERVICE[status])


def notice_word(catalogues: Catalogues, language: str, status: str) -> str:
    """The same for the status of an incident or of planned work kept as text."""
    return catalogues.gettext(language, INCIDENT.get(status) or MAINTENANCE[status])
