"""Which groups of services something is about. Who acts on it needs the role for each of them, or house-wide."""

from collections.abc import Collection

from sqlalchemy import select
from sqlalchemy.orm import Session

from statuspage.incidents import acts
from statuspage.incidents.acts import Content
from statuspage.incidents.tables import Group, NoticeService, Override, Service


def of_services(session: Session, codes: Collection[str]) -> frozenset[str]:
    """The codes of the groups that these services stand in; unknown services stand in none."""
    query = select(Group.code).join(Service, Service.group_id == Group.id).where(Service.code.in_(codes))
    return frozenset(session.scalars(query))


def of_notice(session: Session, notice_id: str) -> frozenset[str]:
    """The groups of the services that it names. Who is impacted through a parent is not asked."""
    query = (
        select(Group.code)
        .join(Service, Service.group_id == Group.id)
        .join(NoticeService, NoticeService.service_id == Service.id)
        .where(NoticeService.notice_id == notice_id, NoticeService.by_parent.is_(False))
    )
    return frozenset(session.scalars(query))


def of_content(session: Session, content: Content) -> frozenset[str]:
    """The groups of everything that this would say, and of the incident that it would say it of."""
    details = content.details
    codes = {
        *content.services,
        *(details.scope or {}),
        *(handling.service for handling in details.handlings or ()),
        *(fallback.service for fallback in content.fallbacks),
    }
    return of_services(session, codes) | of_notice(session, content.notice_id)


def of_act(session: Session, act_id: str) -> frozenset[str]:
    """The groups of what a draft would publish. Raises NotFound, Conflict where it is over."""
    return of_content(session, acts.content_of(acts.get_open(session, act_id, to_change=False)))


def of_override(session: Session, override_id: str) -> frozenset[str]:
    """The group of the service whose status was set by hand."""
    query = (
        select(Group.code)
        .join(Service, Service.group_id == Group.id)
        .join(Override, Override.service_id == Service.id)
        .where(Override.id == override_id)
    )
    return frozenset(session.scalars(query))
