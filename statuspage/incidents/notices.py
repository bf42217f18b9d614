"""What an incident and planned work have in common: affected services, updates, revisions, and telling them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from statuspage.incidents.publication import Change, Tree, republish
from statuspage.incidents.rules import (
    UNRESOLVED,
    IncidentStatus,
    ServiceStatus,
    impact_of,
    worst,
)
from statuspage.incidents.snapshot import Text
from statuspage.incidents.tables import Notice, NoticeService, Revision, Service, Update
from statuspage.kernel import audit
from statuspage.kernel.errors import Invalid
from statuspage.kernel.events import emit

MONITOR, CLOCK = "monitor", "schedule"  # authors that are no persons
MAX_TITLE = 200
MAX_TEXT = 20_000


def check_text(field: str, text: Text, limit: int) -> None:
    """One language is enough: under pressure the other may follow. Raises Invalid naming the field."""
    if not text.pl.strip() and not text.en.strip():
        raise Invalid(f"{field}_pl", "is empty in both languages; write it in one of them at least")
    for language, said in (("pl", text.pl), ("en", text.en)):
        if len(said) > limit:
            raise Invalid(
                f"{field}_{language}",
                "has %(count)s characters; at most %(limit)s are allowed",
                count=len(said),
                limit=limit,
            )


def name_of(service: Service) -> Text:
    """A service's name in both languages."""
    return Text(service.name_pl, service.name_en)


def enter(notice: Notice, status: IncidentStatus, now: datetime) -> None:
    notice.status = status
    if status is IncidentStatus.MONITORING:
        notice.monitoring_at = now
    if status in UNRESOLVED:
        notice.resolved_at = notice.ended_at = None
    elif notice.resolved_at is None:
        notice.resolved_at = now


def declare(
    session: Session, tree: Tree, notice: Notice, services: Mapping[str, ServiceStatus], now: datetime
) -> None:
    by_code = {service.code: service for service in tree.services.values()}
    for code, status in services.items():
        if code not in by_code:
            raise Invalid(
                "service",
                'there is no service "%(service)s"; there are %(known)s',
                service=code,
                known=", ".join(sorted(by_code)),
            )
        row = cover(session, notice, by_code[code].id, status, now)
        row.status = status
        row.declared = True


def cover(
    session: Session, notice: Notice, service_id: str, status: ServiceStatus, now: datetime
) -> NoticeService:
    """The service as failing itself in this notice."""
    row = session.get(NoticeService, (notice.id, service_id))
    if row is None:
        row = NoticeService(
            notice_id=notice.id, service_id=service_id, status=status, worst_status=status, added_at=now
        )
        session.add(row)
    row.by_parent = False
    row.worst_status = worst((ServiceStatus(row.worst_status), status))
    touch(notice, now)
    session.flush()
    return row


def rows_of(session: Session, notice: Notice) -> Sequence[NoticeService]:
    return session.scalars(
        select(NoticeService)
        .join(Service)
        .where(NoticeService.notice_id == notice.id)
        .order_by(NoticeService.by_parent, Service.position)
    ).all()


def after_change(session: Session, tree: Tree, notice: Notice, now: datetime) -> list[Change]:
    """Publish anew, take in the impacted children, and let the notice say how bad it is."""
    changes = republish(session, tree, now=now)
    rows = sync(session, tree, notice, now)
    if not notice.impact_override:
        notice.impact = impact_of(ServiceStatus(row.worst_status) for row in rows)
    return changes


def sync(session: Session, tree: Tree, notice: Notice, now: datetime) -> Sequence[NoticeService]:
    """Bring a notice's services in line with what is published; children impacted by them come in."""
    rows = {row.service_id: row for row in rows_of(session, notice)}
    for failing in [id for id, row in rows.items() if not row.by_parent]:
        for child in tree.descendants(failing) - rows.keys():
            status = ServiceStatus(tree.services[child].status)
            if status not in (ServiceStatus.OPERATIONAL, ServiceStatus.UNDER_MAINTENANCE):
                rows[child] = NoticeService(
                    notice_id=notice.id,
                    service_id=child,
                    status=status,
                    worst_status=status,
                    by_parent=True,
                    added_at=now,
                )
                session.add(rows[child])
                touch(notice, now)
    for id, row in rows.items():
        if row.declared or id not in tree.services:
            continue
        status = ServiceStatus(tree.services[id].status)
        if (
            notice.published_at is not None
            and row.status != status
            and status is not ServiceStatus.UNDER_MAINTENANCE
        ):
            row.status = status
            row.worst_status = worst((ServiceStatus(row.worst_status), status))
            touch(notice, now)
        elif notice.published_at is None and tree.services[id].measured == ServiceStatus.OPERATIONAL:
            row.status = ServiceStatus.OPERATIONAL
    session.flush()
    return rows_of(session, notice)


def touch(notice: Notice, now: datetime) -> None:
    """Something of it has changed that readers see: whoever keeps a copy reads it anew."""
    notice.updated_at = now
    notice.version = (notice.version or 0) + 1


def revise(
    session: Session,
    notice: Notice,
    before: dict[str, Any],
    *,
    by: str,
    now: datetime,
    update_id: str | None = None,
) -> None:
    """Keep what stood there before it is replaced."""
    session.add(Revision(notice_id=notice.id, update_id=update_id, at=now, author=by, before=before))
    touch(notice, now)


def post(
    session: Session,
    notice: Notice,
    text: Text,
    changes: Sequence[Change],
    *,
    by: str,
    now: datetime,
    deliver: bool = True,
) -> Update:
    """Add an update to a notice."""
    position = session.scalar(select(func.count()).where(Update.notice_id == notice.id)) or 0
    update = Update(
        notice_id=notice.id,
        status=notice.status,
        text_pl=text.pl,
        text_en=text.en,
        author=by,
        created_at=now,
        updated_at=now,
        display_at=now,
        position=position,
        affected=[change.as_affected() for change in changes],
        deliver=deliver,
    )
    touch(notice, now)
    session.add(update)
    session.flush()
    return update


def tell(
    session: Session,
    kind: str,
    notice: Notice,
    update: Update,
    now: datetime,
    *,
    only_untold: bool = False,
    deliver: bool = True,
    more: Mapping[str, Any] | None = None,
    by: str | None = None,
) -> None:
    """Emit what became public, and keep the proof of who said it. Drafts emit nothing.

    `only_untold`: mail goes to those alone who have not been told of this notice yet; without `deliver`, or
    where the update itself is not to be delivered, to nobody. `more` is laid over the payload. `by` is who
    did it, where that is not the update's author.
    """
    if notice.published_at is None:
        return
    rows = [row for row in rows_of(session, notice) if row.cancelled_at in (None, now)]
    codes = session.scalars(
        select(Service.code)
        .where(Service.id.in_([row.service_id for row in rows]))
        .order_by(Service.position)
    )
    emit(
        session,
        kind,
        notice.id,
        {
            "notice_id": notice.id,
            "update_id": update.id,
            "status": notice.status,
            "impact": notice.impact,
            "name_pl": notice.name_pl,
            "name_en": notice.name_en,
            "services": [row.service_id for row in rows],
            "codes": list(codes),
            "deliver": deliver and update.deliver,
            "only_untold": only_untold,
            **(more or {}),
        },
        at=now,
    )
    by = by or update.author
    if by not in (MONITOR, CLOCK):
        said = {"update": update.id, "status": notice.status, "title": notice.name_en or notice.name_pl}
        audit.record(session, by, kind, f"{notice.kind}:{notice.id}", said, at=now)
