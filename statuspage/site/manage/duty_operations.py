"""Who is on duty, in the management API: for rotas and bots. A program puts people on duty, never itself."""

from datetime import timedelta
from typing import Annotated

from msgspec import Meta
from sqlalchemy.orm import Session

from statuspage.incidents import duty
from statuspage.kernel.accounts import Role, User, find_user, is_anywhere
from statuspage.kernel.errors import Invalid
from statuspage.kernel.operations import Call, Given, Instant, Operation, Reply, Shown
from statuspage.kernel.tokens import Scope

Login = Annotated[str, Meta(max_length=100, pattern=r"^[^\x00-\x20\x7f]+$")]
Hours = Annotated[float, Meta(gt=0, le=168)]


class DutyGiven(Given, frozen=True, kw_only=True):
    """Who goes on duty, and for how long: `hours` or `until`. Who is on duty already has the end moved."""

    login: Login
    hours: Hours | None = None
    until: Instant | None = None


class LeaveGiven(Given, frozen=True, kw_only=True):
    """Who leaves."""

    login: Login


class OnDuty(Shown, frozen=True, kw_only=True):
    """Somebody on duty."""

    login: str
    name: str
    began_at: Instant
    until: Instant


class DutyList(Shown, frozen=True, kw_only=True):
    """Who is on duty now, the first to come first."""

    on_duty: list[OnDuty]


def operations() -> list[Operation]:
    """What can be done with duty."""
    return [
        Operation("GET", "/duty", "listDuty", "Who is on duty now", Scope.READ, listed, DutyList),
        Operation(
            "POST",
            "/duty",
            "goOnDuty",
            "Put an officer on duty until then, or move the end",
            Scope.DUTY,
            begun,
            DutyList,
            body=DutyGiven,
        ),
        Operation(
            "POST",
            "/duty/leave",
            "leaveDuty",
            "Take somebody off duty now; nothing happens to who is not on duty",
            Scope.DUTY,
            ended,
            DutyList,
            body=LeaveGiven,
        ),
    ]


def listed(session: Session, call: Call) -> Reply:
    """Everybody."""
    session.flush()
    rows = duty.on_duty(session, now=call.now)
    return Reply(
        DutyList(
            on_duty=[
                OnDuty(login=row.login, name=row.name, began_at=row.began_at, until=row.until) for row in rows
            ]
        )
    )


def begun(session: Session, call: Call) -> Reply:
    """On duty."""
    body: DutyGiven = call.body
    if (body.hours is None) == (body.until is None):
        raise Invalid("until", "give either the end or `hours`")
    until = body.until or call.now + timedelta(hours=body.hours or 0)
    user = _officer(session, body.login)
    duty.go_on(session, user.login, user.name, until, by=call.by, now=call.now)
    return listed(session, call)


def ended(session: Session, call: Call) -> Reply:
    """Off duty. An account that was closed meanwhile can be taken off, too."""
    duty.leave(session, call.body.login, by=call.by, now=call.now)
    return listed(session, call)


def _officer(session: Session, login: str) -> User:
    """The account that may do what duty asks for, somewhere at least, as in the console."""
    user = find_user(session, login)
    if user is None or user.disabled_at is not None:
        raise Invalid("login", f'there is no account "{login}" that is open')
    if not is_anywhere(session, user, Role.OPERATOR):
        raise Invalid("login", f"{login} is no operator, and could not act when on duty")
    return user
