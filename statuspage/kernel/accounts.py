"""Users, roles and sessions. Passwords are argon2id; session tokens are stored hashed and can be revoked."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError
from sqlalchemy import ForeignKey, delete, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from statuspage.kernel.db import Base, new_id
from statuspage.kernel.errors import Conflict, Invalid
from statuspage.kernel.security import hash_token, random_token

MIN_PASSWORD = 12


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
    """A member of staff with a local account."""

    __tablename__ = "users"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    login: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    role: Mapped[str]
    password_hash: Mapped[str]
    created_at: Mapped[datetime]
    disabled_at: Mapped[datetime | None]


class UserSession(Base):
    """A sign-in. The cookie holds the token, the table only its hash."""

    __tablename__ = "sessions"

    token_hash: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), index=True)
    csrf: Mapped[str]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who is asking, as web functions see it."""

    user_id: str
    login: str
    name: str
    role: Role
    csrf: str


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
    return _hasher().hash(password)


def is_password(user: User | None, password: str) -> bool:
    """Whether it is this user's password. Takes as long for an unknown user (abuse case 8)."""
    try:
        _hasher().verify(user.password_hash if user else _decoy(), password)
    except (VerifyMismatchError, InvalidHashError):
        return False
    return user is not None and user.disabled_at is None


def add_user(
    session: Session, login: str, name: str, role: Role, password_hash: str, *, now: datetime
) -> User:
    """Add a member of staff. Raises Conflict when the login is taken."""
    if not login or any(c.isspace() for c in login):
        raise Invalid("login", "a name without spaces is needed")
    if find_user(session, login):
        raise Conflict(f'the login "{login}" is taken')
    user = User(login=login, name=name, role=role.value, password_hash=password_hash, created_at=now)
    session.add(user)
    session.flush()
    return user


def find_user(session: Session, login: str) -> User | None:
    """The account with this login."""
    return session.scalar(select(User).where(User.login == login))


def start_session(session: Session, user_id: str, *, now: datetime, lifetime: timedelta) -> str:
    """A new session's token: always a fresh one, so that none can be fixed beforehand (abuse case 17)."""
    session.execute(delete(UserSession).where(UserSession.expires_at < now))
    token = random_token()
    session.add(
        UserSession(
            token_hash=hash_token(token),
            user_id=user_id,
            csrf=random_token(),
            created_at=now,
            expires_at=now + lifetime,
        )
    )
    return token


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
    return SignedIn(user.id, user.login, user.name, Role(user.role), found.csrf)


def end_session(session: Session, token: str) -> None:
    """Revoke it on the server."""
    session.execute(delete(UserSession).where(UserSession.token_hash == hash_token(token)))


def disable_user(session: Session, user_id: str, *, now: datetime) -> None:
    """Close the account and all its sessions."""
    session.execute(update(User).where(User.id == user_id).values(disabled_at=now))
    session.execute(delete(UserSession).where(UserSession.user_id == user_id))
