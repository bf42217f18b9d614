"""The members of staff, for administrators: who there is, what they may do, and closing their doors."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from statuspage.incidents.tables import Group
from statuspage.kernel import accounts, clock, otp, web
from statuspage.kernel.accounts import Role, SessionView, User
from statuspage.kernel.errors import Conflict, Invalid
from statuspage.site import signin


@dataclass(frozen=True, slots=True)
class Member:
    """A member of staff as the list shows them."""

    user: User
    groups: tuple[tuple[str, Role], ...]
    factor: otp.Factor
    sessions: Sequence[SessionView]

    @property
    def is_local(self) -> bool:
        """Whether password and role are kept here."""
        return self.user.issuer is None


def routes() -> list[BaseRoute]:
    return [
        Route("/console/users", show_all),
        Route("/console/users/new", add, methods=["GET", "POST"]),
        Route("/console/users/{id}", show_one),
        Route("/console/users/{id}/roles", set_roles, methods=["POST"]),
        Route("/console/users/{id}/second-factor/reset", reset_factor, methods=["POST"]),
        Route("/console/users/{id}/sessions/end", end_sessions, methods=["POST"]),
        Route("/console/users/{id}/disable", disable, methods=["POST"]),
        Route("/console/users/{id}/enable", enable, methods=["POST"]),
    ]


def _member(session: Session, user: User, now: datetime) -> Member:
    return Member(
        user,
        tuple(sorted(accounts.group_roles(session, user.id).items())),
        otp.factor(session, user.id),
        accounts.sessions_of(session, user.id, now=now),
    )


def _read_all(session: Session, *, now: datetime) -> list[Member]:
    return [_member(session, user, now) for user in accounts.listed(session)]


def _read_one(session: Session, user_id: str, *, now: datetime) -> tuple[Member, Sequence[Group]]:
    return _member(session, accounts.get_user(session, user_id), now), _groups(session)


def _groups(session: Session) -> Sequence[Group]:
    return session.scalars(select(Group).where(Group.archived_at.is_(None)).order_by(Group.position)).all()


async def show_all(request: Request) -> Response:
    """Everybody, closed accounts last."""
    await web.require(request, Role.ADMINISTRATOR)
    members = await web.house(request).db.read(_read_all, now=clock.now())
    return web.render(request, "console/users.html", {"members": members})


async def show_one(request: Request) -> Response:
    """One member of staff."""
    await web.require(request, Role.ADMINISTRATOR)
    return await _page(request)


async def _page(request: Request, *, failed: str = "") -> Response:
    member, groups = await web.house(request).db.read(_read_one, request.path_params["id"], now=clock.now())
    context = {
        "member": member,
        "groups": groups,
        "given": dict(member.groups),
        "roles": list(Role),
        "done": request.query_params.get("done", ""),
        "failed": failed,
    }
    return web.render(request, "console/user.html", context, status=409 if failed else 200)


def _done(request: Request, what: str) -> Response:
    return web.redirect(request, f"/console/users/{request.path_params['id']}?done={what}")


async def add(request: Request) -> Response:
    """A new local account."""
    by = await web.require(request, Role.ADMINISTRATOR)
    fields = {"login": "", "name": "", "role": Role.VIEWER.value}
    if request.method != "POST":
        return _add_form(request, fields)
    fields = {key: (await web.form(request)).get(key, "") for key in fields}
    try:
        role = _role(fields["role"])
        password_hash = await asyncio.to_thread(accounts.hash_password, await signin.typed_password(request))
        user = await web.house(request).db.run(
            accounts.add_user,
            fields["login"],
            fields["name"],
            role,
            password_hash,
            now=clock.now(),
            by=by.login,
        )
    except Invalid as error:
        return _add_form(request, fields, failed=error.field, status=422)
    except Conflict:
        return _add_form(request, fields, failed="taken", status=409)
    return web.redirect(request, f"/console/users/{user.id}?done=added")


def _add_form(request: Request, fields: dict[str, str], *, failed: str = "", status: int = 200) -> Response:
    context = {**fields, "failed": failed, "roles": list(Role), "minimum": accounts.MIN_PASSWORD}
    return web.render(request, "console/user_new.html", context, status=status)


def _role(text: str) -> Role:
    try:
        return Role(text)
    except ValueError:
        raise Invalid("role", "choose one of the list") from None


async def set_roles(request: Request) -> Response:
    """The house-wide role, and one for each group: both in one unit of work."""
    by = await web.require(request, Role.ADMINISTRATOR)
    fields = await web.form(request)
    groups = {
        key.removeprefix("group-"): _role(value)
        for key, value in fields.items()
        if key.startswith("group-") and value
    }
    role = _role(fields["role"]) if "role" in fields else None
    try:
        await web.house(request).db.run(
            _set_roles, request.path_params["id"], role, groups, by=by.login, now=clock.now()
        )
    except Conflict:
        return await _page(request, failed="last")
    return _done(request, "roles")


def _set_roles(
    session: Session, user_id: str, role: Role | None, groups: dict[str, Role], *, by: str, now: datetime
) -> None:
    known = {group.code for group in _groups(session)}
    if unknown := set(groups) - known:
        raise Invalid(f"group-{min(unknown)}", "there is no such group of services")
    if role is not None:
        accounts.set_role(session, user_id, role, by=by, now=now)
    accounts.set_group_roles(session, user_id, groups, by=by, now=now)


async def reset_factor(request: Request) -> Response:
    """For a telephone that was lost: the second factor goes, and the sessions with it."""
    by = await web.require(request, Role.ADMINISTRATOR)
    await web.house(request).db.run(
        reset_second_factor, request.path_params["id"], by=by.login, now=clock.now()
    )
    return _done(request, "factor")


def reset_second_factor(session: Session, user_id: str, *, by: str, now: datetime) -> None:
    """Off, and signed out everywhere: whoever has the telephone now may have a session, too."""
    accounts.revoke_sessions(session, user_id, by=by, now=now)
    otp.remove(session, accounts.get_user(session, user_id), by=by, now=now)


async def end_sessions(request: Request) -> Response:
    """Sign somebody out everywhere."""
    by = await web.require(request, Role.ADMINISTRATOR)
    await web.house(request).db.run(
        accounts.revoke_sessions, request.path_params["id"], by=by.login, now=clock.now()
    )
    return _done(request, "sessions")


async def disable(request: Request) -> Response:
    """Close an account."""
    by = await web.require(request, Role.ADMINISTRATOR)
    try:
        await web.house(request).db.run(
            accounts.disable_user, request.path_params["id"], now=clock.now(), by=by.login
        )
    except Conflict:
        return await _page(request, failed="last")
    return _done(request, "disabled")


async def enable(request: Request) -> Response:
    """Open it again."""
    by = await web.require(request, Role.ADMINISTRATOR)
    await web.house(request).db.run(
        accounts.enable_user, request.path_params["id"], by=by.login, now=clock.now()
    )
    return _done(request, "enabled")
