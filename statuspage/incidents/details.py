"""What makes a notice useful as evidence beside its words: what exactly is affected and what is not, what becomes
of messages already sent, when the next word is due. Declarations about paper stand in `fallbacks`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from statuspage.incidents.notices import MAX_TEXT, revise, touch
from statuspage.incidents.publication import Tree
from statuspage.incidents.rules import MessageHandling
from statuspage.incidents.snapshot import Text
from statuspage.incidents.tables import Handling, Notice, NoticeService, NoticeUnaffected, Service
from statuspage.kernel.errors import Invalid

CHANNELS = ("web", "webservice", "email")


@dataclass(frozen=True, slots=True)
class Scope:
    """Which functions and channels of a service are affected; none named: all."""

    functions: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NewHandling:
    """What becomes of messages that were sent in a window; `service` "" means all that are affected."""

    handling: MessageHandling
    service: str = ""  # code
    sent_from: datetime | None = None
    sent_until: datetime | None = None
    text: Text = field(default_factory=lambda: Text("", ""))


@dataclass(frozen=True, slots=True)
class Details:
    """What is None stays as it is; what is given replaces what was said before."""

    scope: Mapping[str, Scope] | None = None  # by service code
    unaffected: Sequence[str] | None = None  # codes
    handlings: Sequence[NewHandling] | None = None
    next_update_at: datetime | None = None


NOTHING = Details()


def apply(session: Session, tree: Tree, notice: Notice, details: Details, *, by: str, now: datetime) -> None:
    """Set them on a notice. Raises Invalid naming the field; call it after the affected services are set."""
    if details.scope is not None:
        _set_scope(session, tree, notice, details.scope)
    if details.unaffected is not None:
        _set_unaffected(session, tree, notice, details.unaffected, by=by, now=now)
    for handling in details.handlings or ():
        _set_handling(session, tree, notice, handling, by=by, now=now)
    if details.next_update_at is not None:
        if details.next_update_at <= now:
            raise Invalid("next_update_at", "lies in the past; say when readers hear from us again")
        notice.next_update_at = details.next_update_at
    touch(notice, now)
    session.flush()


def find_service(tree: Tree, code: str, *, field: str = "service") -> Service:
    """The service with this code. Raises Invalid naming those there are."""
    by_code = {service.code: service for service in tree.services.values()}
    if code not in by_code:
        raise Invalid(
            field,
            'there is no service "%(service)s"; there are %(known)s',
            service=code,
            known=", ".join(sorted(by_code)),
        )
    return by_code[code]


def check_function(service: Service, function: str, *, field: str) -> None:
    """Raise Invalid for a function that the catalogue does not give the service."""
    if not function or function in service.functions:
        return
    if not service.functions:
        raise Invalid(
            field,
            '%(service)s has no function "%(function)s"; none are declared in the catalogue',
            service=service.code,
            function=function,
        )
    raise Invalid(
        field,
        '%(service)s has no function "%(function)s"; there are: %(known)s',
        service=service.code,
        function=function,
        known=", ".join(service.functions),
    )


def _set_scope(session: Session, tree: Tree, notice: Notice, scope: Mapping[str, Scope]) -> None:
    for code, wanted in scope.items():
        service = find_service(tree, code)
        row = session.get(NoticeService, (notice.id, service.id))
        if row is None:
            raise Invalid("scope", "%(service)s is not among the affected services", service=code)
        for function in wanted.functions:
            check_function(service, function, field="function")
        if unknown := set(wanted.channels) - {*CHANNELS, *service.channels}:
            raise Invalid(
                "channel",
                '"%(channel)s" is none of %(known)s',
                channel=min(unknown),
                known=", ".join(CHANNELS),
            )
        row.functions, row.channels = list(wanted.functions), list(wanted.channels)


def _set_unaffected(
    session: Session, tree: Tree, notice: Notice, codes: Sequence[str], *, by: str, now: datetime
) -> None:
    wanted = {find_service(tree, code, field="unaffected").id for code in codes}
    named = select(NoticeService.service_id).where(NoticeService.notice_id == notice.id)
    for id in session.scalars(named):
        if id in wanted:
            raise Invalid(
                "unaffected",
                "%(service)s is among the affected services, too",
                service=tree.services[id].code,
            )
    own = NoticeUnaffected.notice_id == notice.id
    before = set(session.scalars(select(NoticeUnaffected.service_id).where(own)))
    if before == wanted:
        return
    if before:
        codes_before = sorted(tree.services[id].code for id in before if id in tree.services)
        revise(session, notice, {"unaffected": ", ".join(codes_before)}, by=by, now=now)
    session.execute(delete(NoticeUnaffected).where(own))
    session.add_all(NoticeUnaffected(notice_id=notice.id, service_id=id) for id in wanted)


def _set_handling(
    session: Session, tree: Tree, notice: Notice, new: NewHandling, *, by: str, now: datetime
) -> None:
    service_id = find_service(tree, new.service).id if new.service else None
    if new.sent_from and new.sent_until and new.sent_until <= new.sent_from:
        raise Invalid("sent_until", "must come after the window's beginning")
    for language, text in (("pl", new.text.pl), ("en", new.text.en)):
        if len(text) > MAX_TEXT:
            raise Invalid(f"messages_{language}", "at most %(limit)s characters are allowed", limit=MAX_TEXT)
    current = select(Handling).where(Handling.notice_id == notice.id, Handling.replaced_at.is_(None))
    for row in session.scalars(current):
        if row.service_id == service_id:
            row.replaced_at = now
            revise(session, notice, {"messages": row.handling}, by=by, now=now)
    session.add(
        Handling(
            notice_id=notice.id,
            service_id=service_id,
            handling=new.handling,
            sent_from=new.sent_from,
            sent_until=new.sent_until,
            text_pl=new.text.pl,
            text_en=new.text.en,
            declared_by=by,
            declared_at=now,
        )
    )
