"""Statuses set by hand, in the management API."""

from typing import Annotated

from msgspec import Meta
from sqlalchemy.orm import Session

from statuspage.incidents import overrides, tables
from statuspage.incidents.details import find_service
from statuspage.incidents.publication import load_tree
from statuspage.incidents.rules import ServiceStatus
from statuspage.kernel.operations import Call, Given, Instant, Operation, Reply, Shown
from statuspage.kernel.tokens import Scope
from statuspage.site.manage.shapes import Code

Reason = Annotated[str, Meta(max_length=overrides.MAX_REASON, pattern=r"^[^\x00-\x1f\x7f]*$")]


class OverrideGiven(Given, frozen=True, kw_only=True):
    """The status that readers see, whatever is measured or planned. One that is in force ends now."""

    service: Code
    status: ServiceStatus
    reason: Annotated[Reason, Meta(description="For the house alone.")]
    ends_at: Instant


class Override(Shown, frozen=True, kw_only=True):
    """A status set by hand, in force until it ends."""

    id: str
    service: str
    status: ServiceStatus
    reason: str
    began_at: Instant
    began_by: str
    ends_at: Instant
    ended_at: Instant | None
    ended_by: str | None


class OverrideList(Shown, frozen=True, kw_only=True):
    """In page order of their services."""

    overrides: list[Override]


def operations() -> list[Operation]:
    """What can be done with statuses set by hand."""
    return [
        Operation(
            "GET",
            "/overrides",
            "listOverrides",
            "Statuses set by hand that are in force",
            Scope.READ,
            listed,
            OverrideList,
        ),
        Operation(
            "POST",
            "/overrides",
            "setOverride",
            "Publish this status until then, whatever is measured or planned",
            Scope.INCIDENTS,
            begun,
            Override,
            body=OverrideGiven,
            status=201,
            fields={"until": "ends_at"},
        ),
        Operation(
            "GET", "/overrides/{id}", "getOverride", "One of them, over or not", Scope.READ, shown, Override
        ),
        Operation(
            "POST",
            "/overrides/{id}/end",
            "endOverride",
            "Let measurements speak again",
            Scope.INCIDENTS,
            ended,
            Override,
            current=current,
        ),
    ]


def current(session: Session, call: Call) -> Override:
    """The one of this address as it stands."""
    return _shown(session, overrides.get(session, call.path["id"]))


def listed(session: Session, _call: Call) -> Reply:
    """Those in force."""
    found = [
        Override(
            id=each.id,
            service=each.code,
            status=each.status,
            reason=each.reason,
            began_at=each.began_at,
            began_by=each.by,
            ends_at=each.ends_at,
            ended_at=None,
            ended_by=None,
        )
        for each in overrides.in_force(session)
    ]
    return Reply(OverrideList(overrides=found))


def shown(session: Session, call: Call) -> Reply:
    """One of them."""
    return Reply(current(session, call))


def begun(session: Session, call: Call) -> Reply:
    """In force."""
    body: OverrideGiven = call.body
    find_service(load_tree(session), body.service)
    row = overrides.override(
        session,
        body.service,
        body.status,
        reason=body.reason,
        ends_at=body.ends_at,
        by=call.by,
        now=call.now,
    )
    return Reply(_shown(session, row), location=f"/overrides/{row.id}")


def ended(session: Session, call: Call) -> Reply:
    """Over."""
    overrides.end(session, call.path["id"], by=call.by, now=call.now)
    return shown(session, call)


def _shown(session: Session, row: tables.Override) -> Override:
    return Override(
        id=row.id,
        service=session.get_one(tables.Service, row.service_id).code,
        status=ServiceStatus(row.status),
        reason=row.reason,
        began_at=row.created_at,
        began_by=row.created_by,
        ends_at=row.ends_at,
        ended_at=row.ended_at,
        ended_by=row.ended_by,
    )
