"""Answers kept under an Idempotency-Key (draft-ietf-httpapi-idempotency-key-header), per token, for a day.

The answer is kept in the unit of work of its effect: a crash leaves both or neither, so that asking again
neither repeats nor loses. A request that was refused had no effect; nothing is kept, and it is judged anew.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import JSON, ForeignKey, delete, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from statuspage.kernel.db import Base
from statuspage.kernel.errors import Conflict, Invalid

KEEP = timedelta(hours=24)
HEADER = "Idempotency-Key"


class KeptAnswer(Base):
    """What was answered to the request that had this key."""

    __tablename__ = "kept_answers"

    token_id: Mapped[str] = mapped_column(ForeignKey("api_tokens.id"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    fingerprint: Mapped[str]  # of the request
    status: Mapped[int]
    headers: Mapped[dict[str, Any]] = mapped_column(JSON)
    body: Mapped[str]
    kept_at: Mapped[datetime] = mapped_column(index=True)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it is sent."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    is_repeated: bool = False


class UnderWay(Conflict):
    """The first request with this key has not been answered yet."""

    def __init__(self) -> None:
        super().__init__("a request with this Idempotency-Key is under way; ask again in a moment")


def fingerprint(method: str, path: str, body: bytes) -> str:
    """What makes two requests the same one."""
    return hashlib.sha256(b"\0".join((method.encode(), path.encode(), body))).hexdigest()


def recall(session: Session, token_id: str, key: str, request: str, *, now: datetime) -> Answer | None:
    """The kept answer; None: the request is new and this unit of work has the key to itself until it ends.

    Raises UnderWay, or Invalid when another request used the key. SQLite has one writer, who sees every
    answer before it.
    """
    if session.get_bind().dialect.name == "postgresql":
        lock = text("SELECT pg_try_advisory_xact_lock(hashtextextended(:name, 0))")
        if not session.execute(lock, {"name": f"idempotency {token_id} {key}"}).scalar_one():
            raise UnderWay
    forget(session, now=now)
    kept = session.get(KeptAnswer, (token_id, key))
    if kept is None:
        return None
    if kept.fingerprint != request:
        raise Invalid(HEADER, "was used for another request; take a new key")
    return Answer(kept.status, kept.headers, kept.body.encode(), is_repeated=True)


def forget(session: Session, *, now: datetime) -> None:
    """Remove what was kept long enough; for who has not asked again since, too."""
    session.execute(delete(KeptAnswer).where(KeptAnswer.kept_at <= now - KEEP))


def keep(session: Session, token_id: str, key: str, request: str, answer: Answer, *, now: datetime) -> None:
    """Keep the answer together with its effect."""
    session.add(
        KeptAnswer(
            token_id=token_id,
            key=key,
            fingerprint=request,
            status=answer.status,
            headers=dict(answer.headers),
            body=answer.body.decode(),
            kept_at=now,
        )
    )
    session.flush()
