"""Acts in the management API: what is prepared here may be published in the console, and the reverse.

A token is nobody's second person: where four eyes are asked for, an officer publishes what another wrote.
"""

from sqlalchemy.orm import Session

from statuspage.incidents import acts
from statuspage.incidents.tables import Act
from statuspage.kernel.errors import Forbidden, NotFound
from statuspage.kernel.operations import Call, Operation, Reply
from statuspage.kernel.tokens import Scope
from statuspage.site.manage import records, shapes, wishes
from statuspage.site.manage.wishes import FIELDS

_MOST = 200


def operations() -> list[Operation]:
    """What can be done with acts."""
    return [*_keeping(), *_publishing()]


def _keeping() -> list[Operation]:
    return [
        Operation(
            "GET",
            "/acts",
            "listActs",
            "Drafts, what waits for a second person, and what is scheduled",
            Scope.READ,
            listed,
            shapes.ActList,
        ),
        Operation(
            "POST",
            "/acts",
            "writeAct",
            "Keep a draft; it may still be incomplete",
            Scope.INCIDENTS,
            written,
            shapes.Act,
            body=shapes.ActGiven,
            status=201,
            action="act.written",
            is_versioned=True,
        ),
        Operation(
            "GET",
            "/acts/{id}",
            "getAct",
            "One act, over or not",
            Scope.READ,
            shown,
            shapes.Act,
            is_versioned=True,
        ),
        Operation(
            "PUT",
            "/acts/{id}",
            "editAct",
            "Replace what it says; it is a draft again",
            Scope.INCIDENTS,
            edited,
            shapes.Act,
            body=shapes.ActGiven,
            action="act.edited",
            is_versioned=True,
            needs_version=True,
            current=current,
        ),
    ]


def _publishing() -> list[Operation]:
    return [
        Operation(
            "POST",
            "/acts/{id}/hand-over",
            "handOverAct",
            "Ask a second person to publish it",
            Scope.INCIDENTS,
            handed_over,
            shapes.Act,
            action="act.handed-over",
            is_versioned=True,
            current=current,
        ),
        Operation(
            "POST",
            "/acts/{id}/schedule",
            "scheduleAct",
            "Publish it by itself at that time",
            Scope.INCIDENTS,
            scheduled,
            shapes.Act,
            body=shapes.ScheduleGiven,
            action="act.scheduled",
            is_versioned=True,
            current=current,
        ),
        Operation(
            "POST",
            "/acts/{id}/perform",
            "performAct",
            "Publish it now; `incident` says where",
            Scope.INCIDENTS,
            performed,
            shapes.Act,
            body=shapes.PerformGiven,
            action="act.performed",
            is_versioned=True,
            current=current,
            fields=FIELDS,
        ),
        Operation(
            "POST",
            "/acts/{id}/drop",
            "dropAct",
            "Give it up; it is kept, with who did so",
            Scope.INCIDENTS,
            dropped,
            shapes.Act,
            action="act.dropped",
            is_versioned=True,
            current=current,
        ),
    ]


def current(session: Session, call: Call) -> shapes.Act:
    """The act of this address as it stands."""
    return records.act(session, _get(session, call), call.settings.incidents)


def listed(session: Session, call: Call) -> Reply:
    """Acts that are not over."""
    policy = call.settings.incidents
    return Reply(
        shapes.ActList(acts=[records.act(session, row, policy) for row in acts.listed(session, limit=_MOST)])
    )


def written(session: Session, call: Call) -> Reply:
    """A draft."""
    act = acts.write(session, wishes.act(call.body), by=call.by, now=call.now)
    return _reply(session, call, act, location=f"/acts/{act.id}")


def shown(session: Session, call: Call) -> Reply:
    """One act."""
    return _reply(session, call, _get(session, call))


def edited(session: Session, call: Call) -> Reply:
    """Other content."""
    version = call.match(session, lambda: _get(session, call).version, is_needed=True)
    content = wishes.act(call.body)
    act = acts.edit(session, call.path["id"], content, by=call.by, now=call.now, version=version)
    return _reply(session, call, act)


def dropped(session: Session, call: Call) -> Reply:
    """Given up."""
    act = _match(session, call)
    return _reply(session, call, acts.drop(session, act.id, by=call.by, now=call.now))


def handed_over(session: Session, call: Call) -> Reply:
    """Waiting for a second person."""
    return _reply(session, call, acts.hand_over(session, _match(session, call).id))


def scheduled(session: Session, call: Call) -> Reply:
    """Timed."""
    act, policy = _match(session, call), call.settings.incidents
    _refuse_to_be_the_second(session, call, act)
    act = acts.schedule(session, act.id, call.body.publish_at, by=call.by, now=call.now, policy=policy)
    return _reply(session, call, act)


def performed(session: Session, call: Call) -> Reply:
    """Published."""
    act, policy = _match(session, call), call.settings.incidents
    _refuse_to_be_the_second(session, call, act)
    reason = call.body.break_glass
    acts.perform(session, act.id, by=call.by, now=call.now, policy=policy, break_glass=reason)
    return _reply(session, call, act)


def _get(session: Session, call: Call) -> Act:
    act = session.get(Act, call.path["id"])
    if act is None:
        raise NotFound(f"there is no act {call.path['id']}")
    return act


def _match(session: Session, call: Call) -> Act:
    call.match(session, lambda: _get(session, call).version)
    return acts.get_open(session, call.path["id"])


def _refuse_to_be_the_second(session: Session, call: Call, act: Act) -> None:
    needs = acts.needs_second(session, acts.content_of(act), policy=call.settings.incidents)
    if needs and call.by != act.edited_by:
        raise Forbidden("a token is nobody's second person; an officer publishes this in the console")


def _reply(session: Session, call: Call, act: Act, *, location: str = "") -> Reply:
    session.flush()
    value = records.act(session, act, call.settings.incidents)
    return Reply(value, act.version, f"act:{act.id}", location)
