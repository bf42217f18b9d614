"""Kept answers: for a day, per token, one at a time."""

import threading
from datetime import datetime, timedelta

import pytest
from sqlalchemy.orm import Session

from statuspage.kernel import idempotency, tokens
from statuspage.kernel.db import Database
from statuspage.kernel.errors import Invalid
from statuspage.kernel.idempotency import KEEP, Answer, KeptAnswer, UnderWay
from statuspage.kernel.tokens import ApiToken, Scope

ANSWER = Answer(201, {"ETag": '"1"'}, "{„tak”}".encode())
PRINT = idempotency.fingerprint("POST", "/x", b"{}")


@pytest.fixture
def token_id(db: Database, now: datetime) -> str:
    db.run_now(tokens.add, "gate", (Scope.READ,), lifetime=timedelta(days=1), by="cli", now=now)

    def read(session: Session) -> str:
        return session.query(ApiToken).one().id

    return db.read_now(read)


def keep(session: Session, token_id: str, now: datetime) -> None:
    assert idempotency.recall(session, token_id, "k", PRINT, now=now) is None
    idempotency.keep(session, token_id, "k", PRINT, ANSWER, now=now)


def test_a_kept_answer_is_repeated_for_a_day_and_then_forgotten(
    db: Database, now: datetime, token_id: str
) -> None:
    db.run_now(keep, token_id, now)
    late = now + KEEP - timedelta(seconds=1)
    kept = db.run_now(idempotency.recall, token_id, "k", PRINT, now=late)
    assert kept == Answer(ANSWER.status, ANSWER.headers, ANSWER.body, is_repeated=True)
    assert db.run_now(idempotency.recall, token_id, "k", PRINT, now=now + KEEP) is None


def test_what_was_kept_long_enough_is_forgotten_without_being_asked_for(
    db: Database, now: datetime, token_id: str
) -> None:
    def kept(session: Session) -> int:
        return session.query(KeptAnswer).count()

    db.run_now(keep, token_id, now)
    db.run_now(idempotency.forget, now=now + KEEP - timedelta(seconds=1))
    assert db.read_now(kept) == 1
    db.run_now(idempotency.forget, now=now + KEEP)
    assert db.read_now(kept) == 0


def test_a_key_belongs_to_one_request(db: Database, now: datetime, token_id: str) -> None:
    db.run_now(keep, token_id, now)
    other = idempotency.fingerprint("POST", "/x", b"{ }")
    with pytest.raises(Invalid, match="another request"):
        db.run_now(idempotency.recall, token_id, "k", other, now=now)


def test_method_address_and_body_make_a_request(db: Database) -> None:
    prints = {
        idempotency.fingerprint(*each)
        for each in (("POST", "/x", b""), ("PUT", "/x", b""), ("POST", "/y", b""), ("POST", "/", b"x"))
    }
    assert len(prints) == 4


def test_what_fails_keeps_nothing(db: Database, now: datetime, token_id: str) -> None:
    def fail(session: Session) -> None:
        keep(session, token_id, now)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        db.run_now(fail)
    assert db.run_now(idempotency.recall, token_id, "k", PRINT, now=now) is None


@pytest.mark.postgres
def test_another_process_does_not_begin_what_is_under_way(postgres_url: str, now: datetime) -> None:
    one, other = Database(postgres_url), Database(postgres_url)
    one.run_now(tokens.add, "gate", (Scope.READ,), lifetime=timedelta(days=1), by="cli", now=now)
    token_id = one.read_now(lambda session: session.query(ApiToken).one().id)
    began, may_end = threading.Event(), threading.Event()

    def slow(session: Session) -> None:
        keep(session, token_id, now)
        began.set()
        may_end.wait(10)

    thread = threading.Thread(target=one.run_now, args=(slow,))
    thread.start()
    try:
        assert began.wait(10)
        with pytest.raises(UnderWay):
            other.run_now(idempotency.recall, token_id, "k", PRINT, now=now)
    finally:
        may_end.set()
        thread.join()
    assert other.run_now(idempotency.recall, token_id, "k", PRINT, now=now) is not None
    one.close()
    other.close()
