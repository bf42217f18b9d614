"""The proof of who did what: entries that are only ever added, each carrying the hash of the one before it.

Triggers refuse changes, and `verify` finds those that were made past them. A verb that changes something
of weight calls `record` last, in its own unit of work: both are kept, or neither.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import DDL, event, insert, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from statuspage.kernel.db import Base
from statuspage.kernel.errors import Error
from statuspage.kernel.events import Counter, next_number

GENESIS = "0" * 64
PAGE = 100
_COUNTER = "audit"
_BATCH = 1000


class AuditEntry(Base):
    """One deed. `details` is the canonical JSON text that was hashed."""

    __tablename__ = "audit_entries"

    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[datetime]
    actor: Mapped[str] = mapped_column(index=True)  # a login, `cli:name`, or `nobody` before a sign-in
    action: Mapped[str] = mapped_column(
        index=True
    )  # noun.verb: user.added, session.began, incident.published
    subject: Mapped[str]  # what it was done to: user:anna, incident:abc
    details: Mapped[str]
    previous_hash: Mapped[str]
    hash: Mapped[str]


# SQLite's REPLACE deletes without asking the trigger for DELETE, so that a taken number is refused, too.
SQLITE_TRIGGERS = (
    "CREATE TRIGGER audit_entries_no_update BEFORE UPDATE ON audit_entries "
    "BEGIN SELECT RAISE(ABORT, 'the audit log is only ever added to'); END",
    "CREATE TRIGGER audit_entries_no_delete BEFORE DELETE ON audit_entries "
    "BEGIN SELECT RAISE(ABORT, 'the audit log is only ever added to'); END",
    "CREATE TRIGGER audit_entries_no_replace BEFORE INSERT ON audit_entries "
    "WHEN EXISTS (SELECT 1 FROM audit_entries WHERE seq = NEW.seq) "
    "BEGIN SELECT RAISE(ABORT, 'the audit log is only ever added to'); END",
)
POSTGRESQL_TRIGGERS = (
    "CREATE FUNCTION audit_entries_refuse() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN RAISE EXCEPTION 'the audit log is only ever added to'; END $$",
    "CREATE TRIGGER audit_entries_no_change BEFORE UPDATE OR DELETE ON audit_entries "
    "FOR EACH ROW EXECUTE FUNCTION audit_entries_refuse()",
    "CREATE TRIGGER audit_entries_no_truncate BEFORE TRUNCATE ON audit_entries "
    "FOR EACH STATEMENT EXECUTE FUNCTION audit_entries_refuse()",
)
for _dialect, _triggers in (("sqlite", SQLITE_TRIGGERS), ("postgresql", POSTGRESQL_TRIGGERS)):
    for _trigger in _triggers:
        event.listen(
            AuditEntry.__table__,
            "after_create",
            DDL(_trigger.replace("%", "%%")).execute_if(dialect=_dialect),  # type: ignore[no-untyped-call]
        )


class Broken(Error):
    """The chain does not hold. `seq` is the first entry that is wrong."""

    def __init__(self, seq: int, reason: str) -> None:
        super().__init__(f"the audit log is broken at entry {seq}: {reason}")
        self.seq = seq
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Entry:
    """One deed, as pages and the command line show it."""

    seq: int
    at: datetime
    actor: str
    action: str
    subject: str
    details: str
    hash: str


@dataclass(frozen=True, slots=True)
class Chain:
    """What `verify` walked: write `last_hash` down elsewhere, and nobody can cut the log unseen."""

    count: int
    last_hash: str


def record(
    session: Session,
    actor: str,
    action: str,
    subject: str,
    details: Mapping[str, Any] | None = None,
    *,
    at: datetime,
) -> int:
    """Add an entry in the caller's transaction; returns its number.

    Call it last: it holds the counter's row until the transaction ends, so that on PostgreSQL, too, one
    unit of work at a time extends the chain, and none waits for the event counter while it has this one.
    `details` are plain JSON values and never a secret: what is written here stays.
    """
    seq = next_number(session, _COUNTER)
    previous = GENESIS
    if seq > 1:
        previous = session.scalars(select(AuditEntry.hash).where(AuditEntry.seq == seq - 1)).one()
    actor, action, subject = (_storable(text) for text in (actor, action, subject))
    text = _canonical(dict(details or {}))
    session.execute(
        insert(AuditEntry).values(
            seq=seq,
            at=at,
            actor=actor,
            action=action,
            subject=subject,
            details=text,
            previous_hash=previous,
            hash=_hash(seq, at, actor, action, subject, text, previous),
        )
    )
    return seq


def entries(
    session: Session, *, actor: str = "", action: str = "", before: int | None = None, limit: int = PAGE
) -> Sequence[Entry]:
    """The newest entries first. `action` also finds what begins with it and a dot: `user` finds user.added."""
    query = select(AuditEntry).order_by(AuditEntry.seq.desc()).limit(limit)
    if actor:
        query = query.where(AuditEntry.actor == _storable(actor))
    if action:
        action = _storable(action)
        is_of_kind = AuditEntry.action.startswith(f"{action}.", autoescape=True)
        query = query.where((AuditEntry.action == action) | is_of_kind)
    if before is not None:
        query = query.where(AuditEntry.seq < before)
    return [_entry(row) for row in session.scalars(query)]


def verify(session: Session, *, containing: str | None = None) -> Chain:
    """Walk the whole chain. Raises Broken at the first entry that does not hold.

    With `containing`, a hash written down earlier has to be among the entries: whoever may drop triggers
    can also write a new chain, but not one with the old hashes in it.
    """
    count, previous, is_found = 0, GENESIS, containing is None
    for row in _walk(session):
        count += 1
        if row.seq != count:
            raise Broken(count, f"it is missing; the next one is {row.seq}")
        if row.previous_hash != previous:
            raise Broken(row.seq, "it does not follow the entry before it")
        expected = _hash(row.seq, row.at, row.actor, row.action, row.subject, row.details, previous)
        if row.hash != expected:
            raise Broken(row.seq, "its content was changed")
        previous = row.hash
        is_found = is_found or row.hash == containing
    given = session.scalar(select(Counter.value).where(Counter.name == _COUNTER)) or 0
    if given != count:
        raise Broken(count + 1, f"it is missing; {given} entries were written")
    if not is_found:
        raise Broken(count, f"no entry has the hash {containing}")
    return Chain(count, previous)


def _walk(session: Session) -> Iterator[AuditEntry]:
    """Every entry in order, a batch at a time."""
    last = 0
    while batch := session.scalars(
        select(AuditEntry).where(AuditEntry.seq > last).order_by(AuditEntry.seq).limit(_BATCH)
    ).all():
        yield from batch
        last = batch[-1].seq
        session.expunge_all()


def _entry(row: AuditEntry) -> Entry:
    return Entry(row.seq, row.at, row.actor, row.action, row.subject, row.details, row.hash)


def _storable(text: str) -> str:
    """As both databases give it back: PostgreSQL takes no NUL, and UTF-8 no lone surrogate."""
    return text.replace("\0", "�").encode(errors="replace").decode()


def _canonical(value: Any) -> str:
    """One spelling for one value: sorted keys, no spaces, ASCII."""
    return json.dumps(value, sort_keys=True, ensure_ascii=True, separators=(",", ":"), allow_nan=False)


def _hash(seq: int, at: datetime, actor: str, action: str, subject: str, details: str, previous: str) -> str:
    instant = at.astimezone(UTC).isoformat(timespec="microseconds")
    content = _canonical([seq, instant, actor, action, subject, details, previous])
    return hashlib.sha256(content.encode("ascii")).hexdigest()
