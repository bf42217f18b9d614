"""What monitors found about a service: measured intervals, and the incident that follows from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from statuspage.incidents import failures
from statuspage.incidents.rules import OUTAGES, MaintenanceStatus, NoticeKind, ServiceStatus
from statuspage.incidents.tables import Interval, Notice, NoticeService, Service
from statuspage.kernel import config
from statuspage.kernel.errors import NotFound
from statuspage.kernel.events import take_turns

UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """What monitors found about a service: the worst over all that watch it."""

    service_id: str
    status: ServiceStatus
    cause: str
    since: datetime  # the first failed check; for OPERATIONAL the first good one
    fault: str = ""  # host and kind of the failure; services with the same fault share an incident


def by_code(session: Session, code: str) -> Service:
    """The service with this code. Raises NotFound naming those there are."""
    service = session.scalar(select(Service).where(Service.code == code, Service.archived_at.is_(None)))
    if service is None:
        known = session.scalars(
            select(Service.code).where(Service.archived_at.is_(None)).order_by(Service.code)
        )
        raise NotFound(
            'there is no service "%(service)s"; there are %(known)s', service=code, known=", ".join(known)
        )
    return service


def report(session: Session, finding: Finding, *, now: datetime, policy: config.Incidents) -> None:
    """Record a confirmed finding, publish what follows from it, and open, join, reopen or resolve the incident.

    While a service is under planned maintenance its intervals are recorded, but no incident is opened.
    Of a service that has left the catalogue nothing is recorded: see `retire`.
    """
    take_turns(session)
    service = session.get_one(Service, finding.service_id)
    if service.archived_at is not None:
        return
    since = min(finding.since, now)
    _record_interval(session, service, finding, since=since, now=now)
    service.measured = finding.status
    service.measured_since = since
    service.first_measured_at = service.first_measured_at or since
    if service.unknown_since is not None:
        service.unknown_since = None
        service.updated_at = now
    if finding.status in OUTAGES and not _in_maintenance(session, service):
        failures.join_or_open(
            session, service, since=since, cause=finding.cause, fault=finding.fault, now=now, policy=policy
        )
    failures.settle(session, now=now)


def report_unknown(session: Session, service_id: str, *, since: datetime, now: datetime) -> None:
    """Nothing is known about the service since then: our own fault. The last known status stays published."""
    take_turns(session)
    service = session.get_one(Service, service_id)
    if service.unknown_since is not None or service.archived_at is not None:
        return
    since = min(since, now)
    _end_interval(session, service, at=since)
    _begin_interval(session, service, UNKNOWN, "", since=since, now=now)
    service.unknown_since = since
    service.updated_at = now


def retire(session: Session, service: Service, *, now: datetime) -> None:
    """It leaves the catalogue: what monitors knew of it ends here. Should it return, nothing is known since then.

    Otherwise it would come back with an outage that ended long ago, or with one that no incident tells of.
    """
    service.measured = service.measured_since = None
    if service.first_measured_at is None:
        return
    _end_interval(session, service, at=now)
    _begin_interval(session, service, UNKNOWN, "", since=now, now=now)
    service.unknown_since = now


def reassess(
    session: Session, after_work: Sequence[Service], *, now: datetime, policy: config.Incidents
) -> None:
    """After maintenance: what was measured meanwhile counts from now on, failures and recoveries."""
    for service in after_work:
        if service.measured not in OUTAGES or service.archived_at or _in_maintenance(session, service):
            continue
        interval = _running_interval(session, service)
        failures.join_or_open(
            session,
            service,
            since=now,
            cause=interval.cause if interval else "",
            fault="",
            now=now,
            policy=policy,
        )
    failures.settle(session, now=now)


def _record_interval(
    session: Session, service: Service, finding: Finding, *, since: datetime, now: datetime
) -> None:
    running = _running_interval(session, service)
    if (
        running
        and running.status != UNKNOWN
        and since <= running.began_at
        and finding.status != ServiceStatus.OPERATIONAL
    ):
        running.status, running.cause = finding.status, finding.cause  # a further monitor of the same outage
        return
    _end_interval(session, service, at=since)
    if finding.status is not ServiceStatus.OPERATIONAL:
        _begin_interval(session, service, finding.status, finding.cause, since=since, now=now)


def _running_interval(session: Session, service: Service) -> Interval | None:
    return session.scalar(
        select(Interval).where(Interval.service_id == service.id, Interval.ended_at.is_(None))
    )


def _end_interval(session: Session, service: Service, *, at: datetime) -> None:
    running = _running_interval(session, service)
    if running is None:
        return
    if at <= running.began_at:
        session.delete(running)
    else:
        running.ended_at = at
    session.flush()


def _begin_interval(
    session: Session, service: Service, status: str, cause: str, *, since: datetime, now: datetime
) -> None:
    """Not before the last one's end: two monitors of a service may date the same minutes differently."""
    last_end = session.scalar(select(func.max(Interval.ended_at)).where(Interval.service_id == service.id))
    began_at = max(since, last_end) if last_end else since
    session.add(
        Interval(service_id=service.id, status=status, cause=cause, began_at=began_at, detected_at=now)
    )
    session.flush()


def _in_maintenance(session: Session, service: Service) -> bool:
    row = session.scalar(
        select(NoticeService.service_id)
        .join(Notice)
        .where(
            NoticeService.service_id == service.id,
            Notice.kind == NoticeKind.MAINTENANCE,
            Notice.status.in_([MaintenanceStatus.IN_PROGRESS, MaintenanceStatus.VERIFYING]),
            NoticeService.cancelled_at.is_(None),
        )
        .limit(1)
    )
    return row is not None
