"""Users, roles and sessions. Passwords are argon2id; session tokens are stored hashed and can be revoked.

Roles: the house-wide role counts everywhere; a role for a group of services counts for that group's services
alone. What a member of staff may do somewhere is what the higher of the two allows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError
from sqlalchemy import ForeignKey, Index, delete, func, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from statuspage.kernel import audit
from statuspage.kernel.db import Base, new_id
from statuspage.kernel.errors import Conflict, Forbidden, Invalid, NotFound
from statuspage.kernel.security import hash_token, random_token

MIN_PASSWORD = 12
MAX_PASSWORD = 1024
SEEN_EVERY = timedelta(minutes=5)
_MAX_LOGIN = 100
_MAX_NAME = 200
_NO_PERSONS = frozenset({"monitor", "schedule", "system", "requester", "setup", "provider"})  # other authors
_ID_DIGITS = 16


class Role(StrEnum):
    """What a member of staff may do; each role includes those before it."""

    VIEWER = "viewer"
    AGENT = "agent"
    APPROVER = "approver"
    OPERATOR = "operator"
    ADMINISTRATOR = "administrator"

    def includes(self, other: "Role") -> bool:
        """Whether this role may do what `other` may."""
        order = list(Role)
        return order.index(self) >= order.index(other)


class User(Base):
    """A member of staff: with a password of ours, or one whom the OpenID provider knows as `subject`."""

    __tablename__ = "users"
    __table_args__ = (Index("ix_users_issuer_subject", "issuer", "subject", unique=True),)

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    login: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    role: Mapped[str]
    password_hash: Mapped[str]  # empty: no password opens it
    issuer: Mapped[str | None]
    subject: Mapped[str | None]
    created_at: Mapped[datetime]
    disabled_at: Mapped[datetime | None]


class UserGroupRole(Base):
    """What somebody may do for the services of one group, beside the house-wide role."""

    __tablename__ = "user_group_roles"

    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), primary_key=True)
    group_code: Mapped[str] = mapped_column(primary_key=True)
    role: Mapped[str]


class UserSession(Base):
    """A sign-in. The cookie holds the token, the table only its hash."""

    __tablename__ = "sessions"

    token_hash: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), index=True)
    csrf: Mapped[str]
    created_at: Mapped[datetime]
    seen_at: Mapped[datetime]  # to within SEEN_EVERY
    expires_at: Mapped[datetime] = mapped_column(index=True)
    network: Mapped[str]
    browser: Mapped[str]


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who is asking, as web functions see it."""

    user_id: str
    login: str
    name: str
    role: Role
    csrf: str
    group_roles: Mapping[str, Role] = field(default_factory=dict)
    session_id: str = ""
    seen_at: datetime | None = None
    is_local: bool = True

    def may(self, role: Role, group_code: str | None = None) -> bool:
        """Whether they may do what `role` may: everywhere, or for the services of one group."""
        if self.role.includes(role):
            return True
        here = self.group_roles.get(group_code) if group_code is not None else None
        return here is not None and here.includes(role)

    def may_somewhere(self, role: Role) -> bool:
        """Whether they may do what `role` may, be it for one group alone."""
        return any(given.includes(role) for given in (self.role, *self.group_roles.values()))


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a sign-in came from, as far as its owner needs it to recognise it."""

    network: str = ""
    browser: str = ""


@dataclass(frozen=True, slots=True)
class SessionView:
    """One of somebody's sign-ins."""

    id: str
    began_at: datetime
    seen_at: datetime
    network: str
    browser: str


@cache
def _hasher() -> PasswordHasher:
    return PasswordHasher()


@cache
def _decoy() -> str:
    return _hasher().hash(random_token())


def hash_password(password: str) -> str:
    """argon2id; about 50 ms of CPU, so never inside a unit of work. Raises Invalid if it is too short."""
    if len(password) < MIN_PASSWORD:
        raise Invalid("password", f"at least {MIN_PASSWORD} characters are needed")
    if len(password) > MAX_PASSWORD:
        raise Invalid("password", f"at most {MAX_PASSWORD} characters are taken")
    return _hasher().hash(password)


def is_password(user: User | None, password: str) -> bool:
    """Whether it is this user's password. Takes as long for an unknown user (abuse case 8)."""
    known = user.password_hash if user is not None else ""
    try:
        _hasher().verify(known or _decoy(), password[:MAX_PASSWORD])
    except (VerifyMismatchError, InvalidHashError):
        return False
    return user is not None and known != "" and user.disabled_at is None


# --- people ---


def add_user(
    session: Session,
    login: str,
    name: str,
    role: Role,
    password_hash: str,
    *,
    now: datetime,
    by: str = "setup",
) -> User:
    """Add a member of staff. Raises Conflict when the login is taken."""
    return _add(session, User(login=login, name=name, role=role.value, password_hash=password_hash), by, now)


def enter_from_provider(
    session: Session, issuer: str, subject: str, login: str, name: str, role: Role, *, now: datetime
) -> User:
    """Whom the OpenID provider vouches for, added the first time; name and role are the provider's each time.

    A local account of the same login is never taken over: Conflict. Forbidden when the account is closed.
    """
    user = session.scalar(select(User).where(User.issuer == issuer, User.subject == subject))
    if user is None:
        new = User(
            login=login,
            name=name,
            role=role.value,
            password_hash="",
            issuer=issuer,
            subject=subject,
        )
        return _add(session, new, "provider", now)
    if user.disabled_at is not None:
        raise Forbidden("the account is closed")
    user.name = name
    if user.role != role.value:
        _change_role(session, user, role, by="provider", now=now)
    return user


def provider_user(session: Session, issuer: str, subject: str) -> User | None:
    """The account of somebody the OpenID provider knows."""
    return session.scalar(select(User).where(User.issuer == issuer, User.subject == subject))


def _add(session: Session, user: User, by: str, now: datetime) -> User:
    if (
        not user.login
        or len(user.login) > _MAX_LOGIN
        or not all(c.isprintable() and c != " " for c in user.login)
    ):
        raise Invalid("login", f"a name without spaces is needed, at most {_MAX_LOGIN} characters long")
    if ":" in user.login or user.login.lower() in _NO_PERSONS:  # "api:gateway" is a program's name
        raise Invalid("login", f'"{user.login}" would be taken for a program; choose another without a colon')
    if not user.name.strip() or len(user.name) > _MAX_NAME or not user.name.isprintable():
        raise Invalid("name", f"a name is needed, at most {_MAX_NAME} characters long")
    if find_user(session, user.login):
        raise Conflict(f'the login "{user.login}" is taken')
    user.created_at = now
    session.add(user)
    session.flush()
    details = {"role": user.role, "issuer": user.issuer}
    audit.record(session, by, "user.added", f"user:{user.login}", details, at=now)
    return user


def find_user(session: Session, login: str) -> User | None:
    """The account with this login. No login has a sign that PostgreSQL would refuse to compare."""
    return session.scalar(select(User).where(User.login == login)) if login.isprintable() else None


def get_user(session: Session, user_id: str) -> User:
    """The account. Raises NotFound."""
    user = session.get(User, user_id)
    if user is None:
        raise NotFound("there is no such member of staff")
    return user


def listed(session: Session) -> Sequence[User]:
    """All members of staff, closed accounts last."""
    return session.scalars(select(User).order_by(User.disabled_at.is_not(None), User.login)).all()


def set_role(session: Session, user_id: str, role: Role, *, by: str, now: datetime) -> None:
    """Change the house-wide role. Raises Conflict for the last administrator, or where the provider decides."""
    user = get_user(session, user_id)
    if user.role == role.value:
        return
    if user.issuer is not None:
        raise Conflict("the role of this account is the OpenID provider's to decide")
    _keep_an_administrator(session, user)
    _change_role(session, user, role, by=by, now=now)


def _change_role(session: Session, user: User, role: Role, *, by: str, now: datetime) -> None:
    details = {"from": user.role, "to": role.value}
    user.role = role.value
    audit.record(session, by, "user.role-changed", f"user:{user.login}", details, at=now)


def group_roles(session: Session, user_id: str) -> dict[str, Role]:
    """The roles for single groups, by the group's code."""
    rows = session.execute(
        select(UserGroupRole.group_code, UserGroupRole.role).where(UserGroupRole.user_id == user_id)
    )
    return {code: Role(role) for code, role in rows}


def is_anywhere(session: Session, user: User, role: Role) -> bool:
    """Whether somebody may do what `role` may, be it for one group alone."""
    return any(given.includes(role) for given in (Role(user.role), *group_roles(session, user.id).values()))


def set_group_roles(
    session: Session, user_id: str, roles: Mapping[str, Role], *, by: str, now: datetime
) -> None:
    """These roles for groups and no others."""
    user, before = get_user(session, user_id), group_roles(session, user_id)
    if before == dict(roles):
        return
    session.execute(delete(UserGroupRole).where(UserGroupRole.user_id == user_id))
    session.add_all(
        UserGroupRole(user_id=user_id, group_code=code, role=role.value) for code, role in roles.items()
    )
    session.flush()
    audit.record(session, by, "user.group-roles-changed", f"user:{user.login}", dict(roles), at=now)


def set_password(
    session: Session, user_id: str, password_hash: str, *, by: str, now: datetime, keep: str | None = None
) -> None:
    """A new password; every session but `keep` ends. Raises Conflict where the provider signs in."""
    user = get_user(session, user_id)
    if user.issuer is not None:
        raise Conflict("this account has no password here; the OpenID provider keeps it")
    user.password_hash = password_hash
    _end(session, user_id, keep=keep)
    audit.record(session, by, "user.password-changed", f"user:{user.login}", at=now)


def disable_user(session: Session, user_id: str, *, now: datetime, by: str = "setup") -> None:
    """Close the account and all its sessions. Raises Conflict for the last administrator."""
    user = get_user(session, user_id)
    if user.disabled_at is not None:
        return
    _keep_an_administrator(session, user)
    user.disabled_at = now
    _end(session, user_id)
    audit.record(session, by, "user.disabled", f"user:{user.login}", at=now)


def enable_user(session: Session, user_id: str, *, by: str, now: datetime) -> None:
    """Open a closed account again."""
    user = get_user(session, user_id)
    if user.disabled_at is None:
        return
    user.disabled_at = None
    audit.record(session, by, "user.enabled", f"user:{user.login}", at=now)


def _keep_an_administrator(session: Session, leaving: User) -> None:
    if leaving.role != Role.ADMINISTRATOR or leaving.disabled_at is not None:
        return
    others = session.scalar(
        select(func.count())
        .select_from(User)
        .where(User.role == Role.ADMINISTRATOR.value, User.disabled_at.is_(None), User.id != leaving.id)
    )
    if not others:
        raise Conflict("this is the last administrator; make somebody else one first")


# --- sessions ---


def start_session(
    session: Session,
    user_id: str,
    *,
    now: datetime,
    lifetime: timedelta,
    origin: Origin = Origin(),
    how: str = "password",
    instead_of: str = "",
) -> str:
    """A new session's token: always a fresh one, so that none can be fixed beforehand (abuse case 17).

    `how` says what was proved; the session whose token is `instead_of`, the browser's last one, ends.
    """
    user = get_user(session, user_id)
    session.execute(delete(UserSession).where(UserSession.expires_at < now))
    if instead_of:
        session.execute(delete(UserSession).where(UserSession.token_hash == hash_token(instead_of)))
    token = random_token()
    session.add(
        UserSession(
            token_hash=hash_token(token),
            user_id=user_id,
            csrf=random_token(),
            created_at=now,
            seen_at=now,
            expires_at=now + lifetime,
            network=origin.network,
            browser=origin.browser,
        )
    )
    details = {"how": how, "network": origin.network, "session": session_id(hash_token(token))}
    audit.record(session, user.login, "session.began", f"user:{user.login}", details, at=now)
    return token


def refuse_sign_in(session: Session, user: User | None, *, network: str, how: str, now: datetime) -> None:
    """Record that a sign-in failed. What was typed is not kept: it may be a password in the wrong field."""
    subject = f"user:{user.login}" if user is not None else "unknown"
    audit.record(session, "nobody", "session.refused", subject, {"how": how, "network": network}, at=now)


def session_id(token_hash: str) -> str:
    """What a session is called in pages and in the audit log: too short to be its hash."""
    return token_hash[:_ID_DIGITS]


def signed_in(session: Session, token: str, *, now: datetime) -> SignedIn | None:
    """Who holds this token, if it is good."""
    row = session.execute(
        select(UserSession, User)
        .join(User)
        .where(
            UserSession.token_hash == hash_token(token),
            UserSession.expires_at > now,
            User.disabled_at.is_(None),
        )
    ).first()
    if row is None:
        return None
    found, user = row
    return SignedIn(
        user_id=user.id,
        login=user.login,
        name=user.name,
        role=Role(user.role),
        csrf=found.csrf,
        group_roles=group_roles(session, user.id),
        session_id=session_id(found.token_hash),
        seen_at=found.seen_at,
        is_local=user.issuer is None,
    )


def note_seen(session: Session, token: str, *, now: datetime) -> None:
    """Remember that the session is in use."""
    session.execute(
        update(UserSession).where(UserSession.token_hash == hash_token(token)).values(seen_at=now)
    )


def sessions_of(session: Session, user_id: str, *, now: datetime) -> Sequence[SessionView]:
    """Somebody's sign-ins that are still good, the newest first."""
    rows = session.scalars(
        select(UserSession)
        .where(UserSession.user_id == user_id, UserSession.expires_at > now)
        .order_by(UserSession.created_at.desc())
    )
    return [
        SessionView(session_id(r.token_hash), r.created_at, r.seen_at, r.network, r.browser) for r in rows
    ]


def end_session(session: Session, token: str, *, now: datetime) -> None:
    """Sign out: revoked on the server."""
    row = session.get(UserSession, hash_token(token))
    if row is None:
        return
    user = get_user(session, row.user_id)
    session.delete(row)
    session.flush()
    details = {"session": session_id(row.token_hash)}
    audit.record(session, user.login, "session.ended", f"user:{user.login}", details, at=now)


def revoke_session(session: Session, user_id: str, which: str, *, by: str, now: datetime) -> None:
    """End one of somebody's sessions from elsewhere. Raises NotFound where it is not theirs, or over."""
    user = get_user(session, user_id)
    if (
        len(which) != _ID_DIGITS
        or not session.execute(
            delete(UserSession)
            .where(UserSession.user_id == user_id, UserSession.token_hash.startswith(which, autoescape=True))
            .returning(UserSession.user_id)
        ).first()
    ):
        raise NotFound("there is no such session")
    details = {"session": which}
    audit.record(session, by, "session.revoked", f"user:{user.login}", details, at=now)


def revoke_sessions(
    session: Session, user_id: str, *, by: str, now: datetime, keep: str | None = None
) -> None:
    """End all of somebody's sessions but the one called `keep`."""
    user = get_user(session, user_id)
    if count := _end(session, user_id, keep=keep):
        audit.record(session, by, "session.all-revoked", f"user:{user.login}", {"count": count}, at=now)


def _end(session: Session, user_id: str, *, keep: str | None = None) -> int:
    """End somebody's sessions but the one called `keep`; returns how many there were."""
    ending = delete(UserSession).where(UserSession.user_id == user_id)
    if keep is not None:
        ending = ending.where(~UserSession.token_hash.startswith(keep, autoescape=True))
    return len(session.execute(ending.returning(UserSession.user_id)).all())
