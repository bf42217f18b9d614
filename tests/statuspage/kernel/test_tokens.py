"""Tokens: shown once, stored hashed, ended by time or by hand, never given the same name twice."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from statuspage.kernel import audit, tokens
from statuspage.kernel.db import Database
from statuspage.kernel.errors import Conflict, Invalid, NotFound
from statuspage.kernel.tokens import ApiToken, Scope

MONTH = timedelta(days=30)


def add(db: Database, now: datetime, name: str = "gateway", *scopes: Scope) -> str:
    return db.run_now(tokens.add, name, scopes or (Scope.READ,), lifetime=MONTH, by="cli:ewa", now=now)


def test_a_token_is_found_by_its_hash_alone_and_has_192_random_bits(db: Database, now: datetime) -> None:
    token = add(db, now, "gateway", Scope.READ, Scope.INCIDENTS)
    row = db.read_now(lambda s: s.scalars(select(ApiToken)).one())
    assert token not in (row.token_hash, row.name, row.id)
    assert len(token.removeprefix(tokens.PREFIX)) == 32
    holder = db.read_now(tokens.holder_of, token, now=now)
    assert holder is not None
    assert (holder.actor, holder.scopes) == ("api:gateway", frozenset({Scope.READ, Scope.INCIDENTS}))


def test_unknown_expired_and_revoked_tokens_are_alike(db: Database, now: datetime) -> None:
    expiring, revoked = add(db, now), add(db, now, "other")
    db.run_now(tokens.revoke, "other", by="cli:ewa", now=now)
    assert db.read_now(tokens.holder_of, expiring, now=now + MONTH - timedelta(seconds=1)) is not None
    assert db.read_now(tokens.holder_of, expiring, now=now + MONTH) is None
    assert db.read_now(tokens.holder_of, revoked, now=now) is None
    assert db.read_now(tokens.holder_of, "spm_nonsense", now=now) is None


def test_a_name_is_never_given_twice_even_after_it_was_revoked(db: Database, now: datetime) -> None:
    add(db, now)
    db.run_now(tokens.revoke, "gateway", by="cli:ewa", now=now)
    with pytest.raises(Conflict, match="never given twice"):
        add(db, now)


@pytest.mark.parametrize("name", ["", "Gateway", "a b", "api:x", "-x", "x" * 41, "ż", "x\n"])
def test_a_name_that_could_be_mistaken_is_refused(db: Database, now: datetime, name: str) -> None:
    with pytest.raises(Invalid, match="name"):
        add(db, now, name)


@pytest.mark.parametrize("lifetime", [timedelta(), timedelta(days=-1), timedelta(days=1826)])
def test_every_token_has_an_end(db: Database, now: datetime, lifetime: timedelta) -> None:
    with pytest.raises(Invalid, match="days"):
        db.run_now(tokens.add, "x", (Scope.READ,), lifetime=lifetime, by="cli", now=now)


def test_a_token_without_scopes_is_refused(db: Database, now: datetime) -> None:
    with pytest.raises(Invalid, match="scope"):
        db.run_now(tokens.add, "x", (), lifetime=MONTH, by="cli", now=now)


def test_revoking_is_done_once_and_of_what_there_is(db: Database, now: datetime) -> None:
    add(db, now)
    db.run_now(tokens.revoke, "gateway", by="cli:ewa", now=now)
    with pytest.raises(Conflict):
        db.run_now(tokens.revoke, "gateway", by="cli:ewa", now=now)
    with pytest.raises(NotFound):
        db.run_now(tokens.revoke, "nobody", by="cli:ewa", now=now)


def test_what_is_done_with_tokens_stands_in_the_audit_log_without_the_token(
    db: Database, now: datetime
) -> None:
    token = add(db, now)
    db.run_now(tokens.revoke, "gateway", by="cli:ewa", now=now)
    entries = db.read_now(audit.entries, action="token")
    assert [(each.action, each.subject, each.actor) for each in entries] == [
        ("token.revoked", "token:gateway", "cli:ewa"),
        ("token.added", "token:gateway", "cli:ewa"),
    ]
    assert all(token not in each.details for each in entries)
