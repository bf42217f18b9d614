"""Reads rows into what the management API shows. Unlike the public read model it has drafts, authors and versions."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from statuspage.incidents import acts, details, tables
from statuspage.incidents.fallbacks import NewFallback
from statuspage.incidents.rules import (
    FallbackState,
    Impact,
    IncidentStatus,
    MaintenanceStatus,
    MessageHandling,
    Origin,
    ServiceStatus,
)
from statuspage.kernel import config
from statuspage.site.manage import shapes
from statuspage.site.manage.shapes import Text


def incidents(session: Session, notices: Sequence[tables.Notice]) -> list[shapes.Incident]:
    """The incidents in this order, a query for each kind of part."""
    parts = _Parts(session, [notice.id for notice in notices])
    return [_incident(notice, parts) for notice in notices]


def incident(session: Session, notice: tables.Notice) -> shapes.Incident:
    """One incident as it stands in this unit of work."""
    return incidents(session, [notice])[0]


def maintenances(session: Session, notices: Sequence[tables.Notice]) -> list[shapes.Maintenance]:
    """Planned work in this order."""
    parts = _Parts(session, [notice.id for notice in notices])
    return [_maintenance(notice, parts) for notice in notices]


def maintenance(session: Session, notice: tables.Notice) -> shapes.Maintenance:
    """One piece of planned work as it stands in this unit of work."""
    return maintenances(session, [notice])[0]


def _codes(session: Session) -> dict[str, str]:
    """By id; of services that left the catalogue, too."""
    return {id: code for id, code in session.execute(select(tables.Service.id, tables.Service.code))}


class _Parts:
    """What belongs to the notices with these ids, by notice."""

    def __init__(self, session: Session, ids: Sequence[str]) -> None:
        session.flush()
        self._session = session
        self._ids = ids
        self.codes = _codes(session)
        self.affected = self._of(tables.NoticeService, tables.NoticeService.added_at)
        self.unaffected = self._of(tables.NoticeUnaffected, tables.NoticeUnaffected.service_id)
        self.handlings = self._of(tables.Handling, tables.Handling.id)
        self.fallbacks = self._of(tables.Fallback, tables.Fallback.declared_at.desc())
        self.updates = self._of(tables.Update, tables.Update.position.desc())
        self.revisions = self._of(tables.Revision, tables.Revision.id.desc())

    def _of(self, table: Any, order: Any) -> dict[str, list[Any]]:
        found: dict[str, list[Any]] = defaultdict(list)
        for row in self._session.scalars(select(table).where(table.notice_id.in_(self._ids)).order_by(order)):
            found[row.notice_id].append(row)
        return found


def _incident(notice: tables.Notice, parts: _Parts) -> shapes.Incident:
    codes = parts.codes
    return shapes.Incident(
        id=notice.id,
        version=notice.version,
        name=Text(pl=notice.name_pl, en=notice.name_en),
        status=IncidentStatus(notice.status),
        impact=Impact(notice.impact),
        origin=Origin(notice.origin),
        is_draft=notice.published_at is None,
        is_taken_over=notice.taken_over,
        is_backfilled=notice.backfilled,
        merged_into=notice.merged_into_id,
        began_at=notice.began_at,
        detected_at=notice.detected_at,
        published_at=notice.published_at,
        monitoring_at=notice.monitoring_at,
        ended_at=notice.ended_at,
        resolved_at=notice.resolved_at,
        next_update_at=notice.next_update_at,
        updated_at=notice.updated_at,
        services=[_affected(row, codes) for row in parts.affected[notice.id]],
        unaffected=sorted(codes[row.service_id] for row in parts.unaffected[notice.id]),
        messages=[_handling(row, codes) for row in parts.handlings[notice.id] if row.replaced_at is None],
        fallbacks=[fallback(row, codes) for row in parts.fallbacks[notice.id]],
        updates=[_update(row) for row in parts.updates[notice.id]],
        revisions=[_revision(row) for row in parts.revisions[notice.id]],
    )


def _maintenance(notice: tables.Notice, parts: _Parts) -> shapes.Maintenance:
    return shapes.Maintenance(
        id=notice.id,
        version=notice.version,
        name=Text(pl=notice.name_pl, en=notice.name_en),
        status=MaintenanceStatus(notice.status),
        is_by_hand=notice.by_hand,
        begins_at=notice.scheduled_for,
        ends_at=notice.scheduled_until,
        began_at=notice.began_at,
        ended_at=notice.ended_at,
        resolved_at=notice.resolved_at,
        updated_at=notice.updated_at,
        services=[
            shapes.Planned(
                code=parts.codes[row.service_id],
                status=ServiceStatus(row.status),
                cancelled_at=row.cancelled_at,
            )
            for row in parts.affected[notice.id]
        ],
        updates=[_update(row) for row in parts.updates[notice.id]],
        revisions=[_revision(row) for row in parts.revisions[notice.id]],
    )


def _affected(row: tables.NoticeService, codes: dict[str, str]) -> shapes.Affected:
    return shapes.Affected(
        code=codes[row.service_id],
        status=ServiceStatus(row.status),
        worst_status=ServiceStatus(row.worst_status),
        by_parent=row.by_parent,
        declared=row.declared,
        functions=list(row.functions),
        channels=list(row.channels),
    )


def _handling(row: tables.Handling, codes: dict[str, str]) -> shapes.Handling:
    return shapes.Handling(
        handling=MessageHandling(row.handling),
        service=codes[row.service_id] if row.service_id else None,
        sent_from=row.sent_from,
        sent_until=row.sent_until,
        text=Text(pl=row.text_pl, en=row.text_en),
        declared_by=row.declared_by,
        declared_at=row.declared_at,
    )


def fallback(row: tables.Fallback, codes: dict[str, str]) -> shapes.Fallback:
    """One declaration."""
    return shapes.Fallback(
        id=row.id,
        service=codes[row.service_id],
        function=row.function,
        state=FallbackState(row.state),
        reference=row.reference,
        begins_at=row.begins_at,
        ends_at=row.ends_at,
        instructions=Text(pl=row.instructions_pl, en=row.instructions_en),
        legal_basis=Text(pl=row.legal_basis_pl, en=row.legal_basis_en),
        enter_within_hours=row.enter_within_s / 3600,
        declared_by=row.declared_by,
        declared_at=row.declared_at,
        withdrawn_by=row.withdrawn_by,
        withdrawn_at=row.withdrawn_at,
        is_current=row.replaced_at is None,
    )


def _update(row: tables.Update) -> shapes.Update:
    return shapes.Update(
        id=row.id,
        status=row.status,
        text=Text(pl=row.text_pl, en=row.text_en),
        author=row.author,
        created_at=row.created_at,
        updated_at=row.updated_at,
        is_delivered=row.deliver,
    )


def _revision(row: tables.Revision) -> shapes.Revision:
    before = {name: None if value is None else str(value) for name, value in row.before.items()}
    return shapes.Revision(at=row.at, author=row.author, update_id=row.update_id, before=before)


# --- drafts, templates, services ---


def act(session: Session, row: tables.Act, policy: config.Incidents) -> shapes.Act:
    """An act as it stands in this unit of work."""
    content = acts.content_of(row)
    return shapes.Act(
        id=row.id,
        version=row.version,
        state=acts.ActState(row.state),
        content=_written(content),
        incident=row.notice_id,
        needs_second_person=acts.needs_second(session, content, policy=policy),
        created_by=row.created_by,
        created_at=row.created_at,
        edited_by=row.edited_by,
        edited_at=row.edited_at,
        publish_at=row.publish_at,
        approved_by=row.approved_by,
        broke_glass=row.broke_glass,
        done_at=row.done_at,
        failed=str(acts.failure_of(row) or ""),
    )


def _written(content: acts.Content) -> shapes.ActGiven:
    """The content in the form it is sent in, so that a program can read it, change a field and send it back."""
    more = content.details
    return shapes.ActGiven(
        kind=content.kind,
        incident=content.notice_id or None,
        name=shapes.Title(pl=content.name.pl, en=content.name.en),
        text=shapes.Message(pl=content.text.pl, en=content.text.en),
        services=dict(content.services),
        status=content.status,
        impact=content.impact,
        began_at=content.began_at,
        ended_at=content.ended_at,
        fallbacks=tuple(_declared(each) for each in content.fallbacks),
        withdrawn=tuple(content.withdrawn),
        deliver=content.deliver,
        seen=content.seen,
        scope=None if more.scope is None else {code: _scope(each) for code, each in more.scope.items()},
        unaffected=None if more.unaffected is None else tuple(more.unaffected),
        messages=None if more.handlings is None else tuple(_handled(each) for each in more.handlings),
        next_update_at=more.next_update_at,
    )


def _scope(scope: details.Scope) -> shapes.ScopeGiven:
    return shapes.ScopeGiven(functions=tuple(scope.functions), channels=tuple(scope.channels))


def _handled(new: details.NewHandling) -> shapes.HandlingGiven:
    return shapes.HandlingGiven(
        handling=new.handling,
        service=new.service or None,
        sent_from=new.sent_from,
        sent_until=new.sent_until,
        text=shapes.Note(pl=new.text.pl, en=new.text.en),
    )


def _declared(new: NewFallback) -> shapes.FallbackGiven:
    within = new.enter_within
    return shapes.FallbackGiven(
        service=new.service,
        state=new.state,
        function=new.function,
        reference=new.reference,
        begins_at=new.begins_at,
        ends_at=new.ends_at,
        instructions=shapes.Note(pl=new.instructions.pl, en=new.instructions.en),
        legal_basis=shapes.Note(pl=new.legal_basis.pl, en=new.legal_basis.en),
        enter_within_hours=None if within is None else within.total_seconds() / 3600,
    )


def template(row: tables.Template) -> shapes.Template:
    """One template."""
    return shapes.Template(
        id=row.id,
        name=row.name,
        kind=acts.ActKind(row.kind),
        title=Text(pl=row.title_pl, en=row.title_en),
        text=Text(pl=row.text_pl, en=row.text_en),
        status=IncidentStatus(row.status) if row.status else None,
        position=row.position,
    )


def services(session: Session) -> list[shapes.Service]:
    """Every service of the catalogue in page order."""
    codes = _codes(session)
    parents: dict[str, list[str]] = defaultdict(list)
    for edge in session.scalars(select(tables.ServiceParent)):
        parents[edge.child_id].append(codes[edge.parent_id])
    rows = session.execute(
        select(tables.Service, tables.Group.code)
        .join(tables.Group, tables.Group.id == tables.Service.group_id)
        .where(tables.Service.archived_at.is_(None))
        .order_by(tables.Service.position)
    )
    return [
        shapes.Service(
            code=row.code,
            name=Text(pl=row.name_pl, en=row.name_en),
            group=group,
            status=ServiceStatus(row.status),
            status_since=row.status_since,
            measured=ServiceStatus(row.measured) if row.measured else None,
            measured_since=row.measured_since,
            unknown_since=row.unknown_since,
            functions=list(row.functions),
            channels=list(row.channels),
            parents=sorted(parents[row.id]),
        )
        for row, group in rows
    ]
