"""Notices for those who manage them, drafts too: a page at a time, newest beginning first, by keyset."""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import ColumnElement, Select, and_, or_, select
from sqlalchemy.orm import Session

from statuspage.incidents.details import find_service
from statuspage.incidents.publication import load_tree
from statuspage.incidents.rules import NoticeKind
from statuspage.incidents.tables import Notice, NoticeService
from statuspage.kernel.errors import Invalid


class Standing(StrEnum):
    """What a list may be narrowed to."""

    DRAFT = "draft"  # not published, not over
    OPEN = "open"  # published, not over
    UNRESOLVED = "unresolved"  # either of them
    OVER = "over"


@dataclass(frozen=True, slots=True)
class Page:
    """`next` is the place after the last one; None where there is no more."""

    notices: Sequence[Notice]
    next: str | None


def page(
    session: Session,
    kind: NoticeKind,
    *,
    standing: Standing | None = None,
    service: str | None = None,
    began_from: datetime | None = None,
    began_before: datetime | None = None,
    after: str | None = None,
    limit: int = 20,
) -> Page:
    """One page. Raises Invalid naming `service` or `after`."""
    query = select(Notice).where(Notice.kind == kind)
    if standing is not None:
        query = query.where(_stands(standing))
    if service is not None:
        wanted = find_service(load_tree(session), service).id
        query = query.join(NoticeService).where(NoticeService.service_id == wanted)
    if began_from is not None:
        query = query.where(Notice.began_at >= began_from)
    if began_before is not None:
        query = query.where(Notice.began_at < began_before)
    found = session.scalars(_after(query, after).limit(limit + 1)).all()
    is_more = len(found) > limit
    return Page(found[:limit], _place(found[limit - 1]) if is_more else None)


def _stands(standing: Standing) -> ColumnElement[bool]:
    if standing is Standing.OVER:
        return Notice.resolved_at.is_not(None)
    if standing is Standing.UNRESOLVED:
        return Notice.resolved_at.is_(None)
    is_published = Notice.published_at.is_not(None)
    return and_(Notice.resolved_at.is_(None), is_published if standing is Standing.OPEN else ~is_published)


def _after(query: Select[Notice], place: str | None) -> Select[Notice]:
    query = query.order_by(Notice.began_at.desc(), Notice.id.desc())
    if place is None:
        return query
    try:
        at, _, id = urlsafe_b64decode(place.encode() + b"==").decode("ascii").partition(" ")
        began_at = datetime.fromisoformat(at)
        if began_at.tzinfo is None:
            raise ValueError
    except (ValueError, binascii.Error):
        raise Invalid("after", "is not what an earlier page gave as `next`") from None
    return query.where(or_(Notice.began_at < began_at, and_(Notice.began_at == began_at, Notice.id < id)))


def _place(notice: Notice) -> str:
    return urlsafe_b64encode(f"{notice.began_at.isoformat()} {notice.id}".encode()).rstrip(b"=").decode()
