"""Reads published notices as views: what is affected and what is not, what was said and corrected, what is declared."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from statuspage.incidents.rules import FallbackState, Impact, MessageHandling, ServiceStatus
from statuspage.incidents.snapshot import (
    AffectedView,
    ChangeView,
    FallbackView,
    HandlingView,
    NamedView,
    NoticeView,
    RevisionView,
    Text,
    UpdateView,
)
from statuspage.incidents.tables import (
    Fallback,
    Handling,
    Notice,
    NoticeService,
    NoticeUnaffected,
    Revision,
    Service,
    Update,
)


@dataclass(slots=True)
class _Parts:
    """What belongs to one notice, by kind."""

    affected: list[AffectedView] = field(default_factory=list)
    unaffected: list[NamedView] = field(default_factory=list)
    updates: list[UpdateView] = field(default_factory=list)
    revisions: list[RevisionView] = field(default_factory=list)
    handlings: list[HandlingView] = field(default_factory=list)
    fallbacks: list[FallbackView] = field(default_factory=list)


def notice_views(session: Session, ids: Sequence[str]) -> list[NoticeView]:
    """The notices with these ids, as far as they are published."""
    if not ids:
        return []
    parts: dict[str, _Parts] = defaultdict(_Parts)
    _read_services(session, ids, parts)
    _read_words(session, ids, parts)
    _read_declarations(session, ids, parts)
    return [
        _notice_view(notice, parts[notice.id])
        for notice in session.scalars(select(Notice).where(Notice.id.in_(ids)))
        if notice.published_at is not None
    ]


def _read_services(session: Session, ids: Sequence[str], parts: dict[str, _Parts]) -> None:
    affected = (
        select(NoticeService, Service)
        .join(Service)
        .where(NoticeService.notice_id.in_(ids))
        .order_by(NoticeService.by_parent, Service.position)
    )
    for row, service in session.execute(affected):
        parts[row.notice_id].affected.append(_affected_view(row, service))
    unaffected = (
        select(NoticeUnaffected.notice_id, Service)
        .join(Service)
        .where(NoticeUnaffected.notice_id.in_(ids))
        .order_by(Service.position)
    )
    for notice_id, service in session.execute(unaffected):
        parts[notice_id].unaffected.append(_named_view(service))


def _read_words(session: Session, ids: Sequence[str], parts: dict[str, _Parts]) -> None:
    """Newest first."""
    for update in session.scalars(
        select(Update).where(Update.notice_id.in_(ids)).order_by(Update.position.desc())
    ):
        parts[update.notice_id].updates.append(_update_view(update))
    for revision in session.scalars(
        select(Revision).where(Revision.notice_id.in_(ids)).order_by(Revision.id.desc())
    ):
        before = tuple((key, str(value)) for key, value in revision.before.items())
        parts[revision.notice_id].revisions.append(RevisionView(revision.at, revision.update_id, before))


def _read_declarations(session: Session, ids: Sequence[str], parts: dict[str, _Parts]) -> None:
    handlings = (
        select(Handling, Service)
        .outerjoin(Service)
        .where(Handling.notice_id.in_(ids), Handling.replaced_at.is_(None))
        .order_by(Service.position, Handling.id)
    )
    for handling, service in session.execute(handlings):
        parts[handling.notice_id].handlings.append(_handling_view(handling, service))
    fallbacks = (
        select(Fallback, Service)
        .join(Service)
        .where(Fallback.notice_id.in_(ids))
        .order_by(Fallback.declared_at.desc(), Service.position, Fallback.function)
    )
    for fallback, service in session.execute(fallbacks):
        parts[fallback.notice_id].fallbacks.append(_fallback_view(fallback, service))


def _named_view(service: Service) -> NamedView:
    return NamedView(service.id, service.code, Text(service.name_pl, service.name_en))


def _handling_view(row: Handling, service: Service | None) -> HandlingView:
    return HandlingView(
        service=_named_view(service) if service else None,
        handling=MessageHandling(row.handling),
        sent_from=row.sent_from,
        sent_until=row.sent_until,
        text=Text(row.text_pl, row.text_en),
        declared_at=row.declared_at,
    )


def _fallback_view(row: Fallback, service: Service) -> FallbackView:
    return FallbackView(
        id=row.id,
        service=_named_view(service),
        function=row.function,
        state=FallbackState(row.state),
        reference=row.reference,
        begins_at=row.begins_at,
        ends_at=row.ends_at,
        instructions=Text(row.instructions_pl, row.instructions_en),
        legal_basis=Text(row.legal_basis_pl, row.legal_basis_en),
        enter_within=timedelta(seconds=row.enter_within_s),
        declared_at=row.declared_at,
        withdrawn_at=row.withdrawn_at,
        is_current=row.replaced_at is None,
    )


def _affected_view(row: NoticeService, service: Service) -> AffectedView:
    return AffectedView(
        id=service.id,
        code=service.code,
        name=Text(service.name_pl, service.name_en),
        status=ServiceStatus(row.status),
        worst_status=ServiceStatus(row.worst_status),
        by_parent=row.by_parent,
        functions=tuple(row.functions),
        channels=tuple(row.channels),
        cancelled_at=row.cancelled_at,
    )


def _update_view(update: Update) -> UpdateView:
    return UpdateView(
        id=update.id,
        notice_id=update.notice_id,
        status=update.status,
        text=Text(update.text_pl, update.text_en),
        author=update.author,
        created_at=update.created_at,
        updated_at=update.updated_at,
        display_at=update.display_at,
        affected=tuple(
            ChangeView(c["id"], c["code"], Text(c["name_pl"], c["name_en"]), c["old_status"], c["new_status"])
            for c in update.affected
        ),
        deliver=update.deliver,
    )


def _notice_view(notice: Notice, parts: _Parts) -> NoticeView:
    return NoticeView(
        id=notice.id,
        kind=notice.kind,
        name=Text(notice.name_pl, notice.name_en),
        status=notice.status,
        impact=Impact(notice.impact),
        began_at=notice.began_at,
        detected_at=notice.detected_at,
        created_at=notice.created_at,
        updated_at=notice.updated_at,
        published_at=notice.published_at or notice.created_at,
        monitoring_at=notice.monitoring_at,
        resolved_at=notice.resolved_at,
        next_update_at=notice.next_update_at,
        scheduled_for=notice.scheduled_for,
        scheduled_until=notice.scheduled_until,
        version=notice.version,
        affected=tuple(parts.affected),
        updates=tuple(parts.updates),
        revisions=tuple(parts.revisions),
        ended_at=notice.ended_at,
        unaffected=tuple(parts.unaffected),
        handlings=tuple(parts.handlings),
        fallbacks=tuple(parts.fallbacks),
        is_backfilled=notice.backfilled,
        announcement=notice.announcement,
        by_hand=notice.by_hand,
        series_id=notice.series_id,
        occurrence=notice.occurrence,
    )
