"""Tokens of the management API: a name, what it may do, an end. The token itself is shown once and stored hashed.

What somebody does with one is recorded as done by `api:name`.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import JSON, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from statuspage.kernel import audit
from statuspage.kernel.db import Base, new_id
from statuspage.kernel.errors import Conflict, Invalid, NotFound
from statuspage.kernel.security import hash_token, random_token

PREFIX = "spm_"  # so that a scanner for leaked secrets knows one
MAX_LIFETIME = timedelta(days=1825)
USED_EVERY = timedelta(hours=1)  # as exactly as its last use is known
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}")


class Scope(StrEnum):
    """What a token may do. None includes another one, and none administers people or tokens."""

    READ = "read"
    INCIDENTS = "incidents:write"
    MAINTENANCE = "maintenance:write"
    NEWS = "news:write"
    DUTY = "duty:write"
    MONITORS = "monitors:write"
    TEMPLATES = "templates:write"


class ApiToken(Base):
    """One token. Its name is never given twice: what was done under it stays attributable."""

    __tablename__ = "api_tokens"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(unique=True)
    token_hash: Mapped[str] = mapped_column(unique=True)
    scopes: Mapped[list[str]] = mapped_column(JSON)  # Scope
    created_by: Mapped[str]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]  # to within USED_EVERY
    revoked_at: Mapped[datetime | None]


@dataclass(frozen=True, slots=True)
class Holder:
    """Who asks with a good token."""

    id: str
    name: str
    scopes: frozenset[Scope]
    last_used_at: datetime | None

    @property
    def actor(self) -> str:
        """As what is done is recorded."""
        return f"api:{self.name}"


def add(
    session: Session, name: str, scopes: Iterable[Scope], *, lifetime: timedelta, by: str, now: datetime
) -> str:
    """Make a token and return it: nobody can read it again. Raises Invalid, Conflict for a name that was given."""
    wanted = sorted(set(scopes))
    if not _NAME.fullmatch(name):
        raise Invalid("name", "up to 40 lower-case letters, digits, dots, hyphens and underscores are needed")
    if not wanted:
        raise Invalid("scope", f"name at least one of {', '.join(Scope)}")
    if not timedelta() < lifetime <= MAX_LIFETIME:
        raise Invalid("days", f"a token lives between 1 and {MAX_LIFETIME.days} days")
    if session.scalar(select(ApiToken.id).where(ApiToken.name == name)) is not None:
        raise Conflict(f'there is, or was, a token "{name}"; a name is never given twice')
    token = PREFIX + random_token()
    row = ApiToken(
        name=name,
        token_hash=hash_token(token),
        scopes=[scope.value for scope in wanted],
        created_by=by,
        created_at=now,
        expires_at=now + lifetime,
    )
    session.add(row)
    session.flush()
    details = {"scopes": row.scopes, "expires_at": row.expires_at.isoformat()}
    audit.record(session, by, "token.added", f"token:{name}", details, at=now)
    return token


def revoke(session: Session, name: str, *, by: str, now: datetime) -> None:
    """End it now. Raises NotFound, Conflict when it was revoked before."""
    row = session.scalar(select(ApiToken).where(ApiToken.name == name))
    if row is None:
        raise NotFound(f'there is no token "{name}"')
    if row.revoked_at is not None:
        raise Conflict(f'the token "{name}" is revoked already')
    row.revoked_at = now
    session.flush()
    audit.record(session, by, "token.revoked", f"token:{name}", at=now)


def listed(session: Session) -> Sequence[ApiToken]:
    """Every token there is or was, by name."""
    return session.scalars(select(ApiToken).order_by(ApiToken.name)).all()


def holder_of(session: Session, token: str, *, now: datetime) -> Holder | None:
    """Who holds this token; None for an unknown, expired or revoked one alike.

    It is found by its hash, so that the time this takes says nothing about any token.
    """
    row = session.scalar(
        select(ApiToken).where(
            ApiToken.token_hash == hash_token(token),
            ApiToken.expires_at > now,
            ApiToken.revoked_at.is_(None),
        )
    )
    if row is None:
        return None
    known = frozenset(scope for scope in Scope if scope in row.scopes)
    return Holder(row.id, row.name, known, row.last_used_at)


def note_use(session: Session, token_id: str, *, now: datetime) -> None:
    """Remember that it is in use, so that an idle one can be told from one that is needed."""
    session.execute(update(ApiToken).where(ApiToken.id == token_id).values(last_used_at=now))
