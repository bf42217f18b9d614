"""What is published of every service, derived anew from what was measured, declared and planned."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.orm import Session

from statuspage.incidents.rules import (
    Evidence,
    MaintenanceStatus,
    NoticeKind,
    Policy,
    ServiceStatus,
    published_status,
    worst,
)
from statuspage.incidents.tables import Notice, NoticeService, Override, Service, ServiceParent
from statuspage.kernel.events import emit


@dataclass(frozen=True, slots=True)
class Change:
    """A service whose published status changed."""

    service: Service
    old: ServiceStatus
    new: ServiceStatus

    def as_affected(self) -> dict[str, str]:
        """As an update records it."""
        s = self.service
        return {
            "id": s.id,
            "code": s.code,
            "name_pl": s.name_pl,
            "name_en": s.name_en,
            "old_status": self.old,
            "new_status": self.new,
        }


class Tree:
    """Which service depends on which. Holds the services of the catalogue that are not archived."""

    def __init__(self, services: Sequence[Service], edges: Iterable[tuple[str, str]]) -> None:
        self.services = {service.id: service for service in services}
        self.parents: dict[str, set[str]] = {id: set() for id in self.services}
        for child, parent in edges:
            if child in self.services and parent in self.services:
                self.parents[child].add(parent)

    @cached_property
    def children(self) -> dict[str, set[str]]:
        """The reverse of `parents`."""
        found: dict[str, set[str]] = {id: set() for id in self.services}
        for child, parents in self.parents.items():
            for parent in parents:
                found[parent].add(child)
        return found

    def ancestors(self, id: str) -> frozenset[str]:
        """All that it depends on, directly or not."""
        return self._reach(id, self.parents)

    def descendants(self, id: str) -> frozenset[str]:
        """All that depends on it, directly or not."""
        return self._reach(id, self.children)

    @staticmethod
    def _reach(id: str, edges: dict[str, set[str]]) -> frozenset[str]:
        found: set[str] = set()
        todo = [id]
        while todo:
            for near in edges.get(todo.pop(), set()) - found:
                found.add(near)
                todo.append(near)
        return frozenset(found - {id})

    def parents_first(self) -> list[str]:
        """Every id after all it depends on."""
        done: dict[str, None] = {}

        def visit(id: str, path: tuple[str, ...]) -> None:
            if id in done or id in path:
                return
            for parent in sorted(self.parents[id]):
                visit(parent, (*path, id))
            done[id] = None

        for id in self.services:
            visit(id, ())
        return list(done)


def load_tree(session: Session) -> Tree:
    """The catalogue's services in page order, and their dependencies."""
    services = session.scalars(
        select(Service).where(Service.archived_at.is_(None)).order_by(Service.position)
    ).all()
    return Tree(services, load_edges(session))


def load_edges(session: Session) -> Iterable[tuple[str, str]]:
    """Child and parent of each dependency."""
    return session.execute(select(ServiceParent.child_id, ServiceParent.parent_id))


def republish(session: Session, tree: Tree, *, now: datetime) -> list[Change]:
    """Set what is published of each service, and emit `component.updated` for what changed."""
    session.flush()
    declared = _declared(session)
    maintained = set(
        session.scalars(_services_under(MaintenanceStatus.IN_PROGRESS, MaintenanceStatus.VERIFYING))
    )
    covered = set(session.scalars(_services_in_incidents(Notice.published_at.is_not(None))))
    drafted = set(session.scalars(_services_in_incidents(Notice.published_at.is_(None))))
    overridden = _overridden(session)
    changes = []
    for id in tree.parents_first():
        service = tree.services[id]
        new = published_status(
            Evidence(
                measured=ServiceStatus(service.measured) if service.measured else None,
                declared=declared.get(id),
                parents=tuple(ServiceStatus(tree.services[parent].status) for parent in tree.parents[id]),
                in_maintenance=id in maintained,
                held=id not in covered and (service.policy == Policy.DRAFT or id in drafted),
                overridden=overridden.get(id),
            )
        )
        old = ServiceStatus(service.status)
        if new is not old:
            _publish(session, service, old, new, now)
            changes.append(Change(service, old, new))
    return changes


def _publish(
    session: Session, service: Service, old: ServiceStatus, new: ServiceStatus, now: datetime
) -> None:
    is_measured = new.value == service.measured and service.measured_since is not None
    service.status = new.value
    service.status_since = service.measured_since if is_measured and service.measured_since else now
    service.updated_at = now
    emit(
        session,
        "component.updated",
        service.id,
        {
            "id": service.id,
            "code": service.code,
            "name_pl": service.name_pl,
            "name_en": service.name_en,
            "old_status": old,
            "new_status": new,
        },
        at=now,
    )


def _declared(session: Session) -> dict[str, ServiceStatus]:
    rows = session.execute(
        select(NoticeService.service_id, NoticeService.status)
        .join(Notice)
        .where(
            Notice.kind == NoticeKind.INCIDENT,
            Notice.resolved_at.is_(None),
            Notice.published_at.is_not(None),
            NoticeService.declared.is_(True),
        )
    )
    found: dict[str, ServiceStatus] = {}
    for service_id, status in rows:
        found[service_id] = worst((found.get(service_id, ServiceStatus.OPERATIONAL), ServiceStatus(status)))
    return found


def _overridden(session: Session) -> dict[str, ServiceStatus]:
    rows = session.execute(select(Override.service_id, Override.status).where(Override.ended_at.is_(None)))
    return {service_id: ServiceStatus(status) for service_id, status in rows}


def _services_under(*statuses: MaintenanceStatus) -> Select[str]:
    return (
        select(NoticeService.service_id)
        .join(Notice)
        .where(
            Notice.kind == NoticeKind.MAINTENANCE,
            Notice.status.in_(statuses),
            NoticeService.cancelled_at.is_(None),
        )
    )


def _services_in_incidents(which: ColumnElement[bool]) -> Select[str]:
    open_ones = (Notice.kind == NoticeKind.INCIDENT) & Notice.resolved_at.is_(None)
    return select(NoticeService.service_id).join(Notice).where(open_ones, which)
