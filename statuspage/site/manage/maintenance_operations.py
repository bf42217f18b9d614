"""Planned work in the management API."""

from collections.abc import Callable

from sqlalchemy.orm import Session

from statuspage.incidents import amendments, corrections, maintenance, notice_pages, texts
from statuspage.incidents.details import find_service
from statuspage.incidents.maintenance import NewMaintenance
from statuspage.incidents.publication import load_tree
from statuspage.incidents.rules import NoticeKind
from statuspage.incidents.snapshot import Text
from statuspage.incidents.tables import Notice
from statuspage.kernel.operations import Call, Given, Operation, Reply
from statuspage.kernel.tokens import Scope
from statuspage.site.manage import records, shapes, wishes
from statuspage.site.manage.wishes import PLAN_FIELDS


def operations() -> list[Operation]:
    """What can be done with planned work."""
    return [
        Operation(
            "GET",
            "/maintenance",
            "listMaintenance",
            "Planned work, newest beginning first",
            Scope.READ,
            listed,
            shapes.MaintenancePage,
            query=shapes.MaintenanceAsked,
        ),
        Operation(
            "POST",
            "/maintenance",
            "scheduleMaintenance",
            "Announce planned work",
            Scope.MAINTENANCE,
            scheduled,
            shapes.Maintenance,
            body=shapes.MaintenanceGiven,
            status=201,
            is_versioned=True,
            fields=PLAN_FIELDS,
        ),
        Operation(
            "GET",
            "/maintenance/{id}",
            "getMaintenance",
            "One piece of planned work",
            Scope.READ,
            shown,
            shapes.Maintenance,
            is_versioned=True,
        ),
        _step("PUT", "name", "rename", "Another title; the old one stays visible", renamed, shapes.Title),
        _step("PUT", "times", "reschedule", "Other times", rescheduled, shapes.RescheduleGiven),
        _step("POST", "begin", "begin", "Begin the work", begun, shapes.StepGiven),
        _step("POST", "verify", "verify", "Check the result of the work", verified, shapes.StepGiven),
        _step("POST", "complete", "complete", "End the work", completed, shapes.StepGiven),
        _step("POST", "cancel", "cancel", "Call it off, wholly or in part", cancelled, shapes.CancelGiven),
    ]


def _step(
    method: str,
    end: str,
    verb: str,
    summary: str,
    function: Callable[[Session, Call], Reply],
    body: type[Given],
) -> Operation:
    return Operation(
        method,
        f"/maintenance/{{id}}/{end}",
        f"{verb}Maintenance",
        summary,
        Scope.MAINTENANCE,
        function,
        shapes.Maintenance,
        body=body,
        is_versioned=True,
        current=current,
        fields=PLAN_FIELDS,
    )


def current(session: Session, call: Call) -> shapes.Maintenance:
    """The planned work of this address as it stands."""
    return records.maintenance(session, maintenance.get(session, call.path["id"]))


def listed(session: Session, call: Call) -> Reply:
    """A page of planned work."""
    asked: shapes.MaintenanceAsked = call.query
    page = notice_pages.page(
        session, NoticeKind.MAINTENANCE, service=asked.service, after=asked.after, limit=asked.limit
    )
    found = records.maintenances(session, page.notices)
    return Reply(shapes.MaintenancePage(maintenance=found, next=page.next))


def shown(session: Session, call: Call) -> Reply:
    """One piece of planned work."""
    return _reply(session, maintenance.get(session, call.path["id"]))


def scheduled(session: Session, call: Call) -> Reply:
    """Announced."""
    body: shapes.MaintenanceGiven = call.body
    tree = load_tree(session)
    for code in body.services:
        find_service(tree, code)
    new = NewMaintenance(
        name=wishes.text(body.name),
        text=wishes.text(body.text),
        services=body.services,
        begins_at=body.begins_at,
        ends_at=body.ends_at,
        by_hand=body.by_hand,
    )
    notice = maintenance.schedule(session, new, by=call.by, now=call.now, policy=call.settings.incidents)
    return _reply(session, notice, location=f"/maintenance/{notice.id}")


def renamed(session: Session, call: Call) -> Reply:
    """Another title."""
    name = wishes.text(call.body)
    return _reply(
        session, corrections.rename(session, _match(session, call).id, name, by=call.by, now=call.now)
    )


def rescheduled(session: Session, call: Call) -> Reply:
    """Other times."""
    body: shapes.RescheduleGiven = call.body
    notice = amendments.reschedule(
        session,
        _match(session, call).id,
        by=call.by,
        now=call.now,
        policy=call.settings.incidents,
        zone=call.settings.zone,
        begins_at=body.begins_at,
        ends_at=body.ends_at,
        text=wishes.optional_text(body.text),
    )
    return _reply(session, notice)


def begun(session: Session, call: Call) -> Reply:
    """Under way."""
    id = _match(session, call).id
    return _reply(session, maintenance.begin(session, id, by=call.by, now=call.now, **_words(call)))


def verified(session: Session, call: Call) -> Reply:
    """Done, and being checked."""
    id = _match(session, call).id
    return _reply(session, maintenance.verify(session, id, by=call.by, now=call.now, **_words(call)))


def completed(session: Session, call: Call) -> Reply:
    """Over."""
    id, policy = _match(session, call).id, call.settings.incidents
    notice = maintenance.complete(session, id, by=call.by, now=call.now, policy=policy, **_words(call))
    return _reply(session, notice)


def cancelled(session: Session, call: Call) -> Reply:
    """Called off, for all services or for those named."""
    id, policy = _match(session, call).id, call.settings.incidents
    text = wishes.optional_text(call.body.text)
    if codes := call.body.services:
        notice = amendments.cancel_part(
            session, id, codes, by=call.by, now=call.now, policy=policy, text=text
        )
    else:
        said = text or texts.MAINTENANCE_CANCELLED
        notice = maintenance.cancel(session, id, by=call.by, now=call.now, policy=policy, text=said)
    return _reply(session, notice)


def _words(call: Call) -> dict[str, Text]:
    """The caller's words, where he has some of his own."""
    text = wishes.optional_text(call.body.text)
    return {} if text is None else {"text": text}


def _match(session: Session, call: Call) -> Notice:
    call.match(session, lambda: maintenance.get(session, call.path["id"]).version)
    return maintenance.get(session, call.path["id"])


def _reply(session: Session, notice: Notice, *, location: str = "") -> Reply:
    session.flush()
    value = records.maintenance(session, notice)
    return Reply(value, notice.version, f"maintenance:{notice.id}", location)
