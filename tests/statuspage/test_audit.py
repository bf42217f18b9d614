"""The audit log, on both databases: gapless, chained, only ever added to, and a verifier that finds what was not."""

import json
import threading
from datetime import datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from statuspage import migrations
from statuspage.kernel import audit
from statuspage.kernel.audit import GENESIS, Broken, entries, record, verify
from statuspage.kernel.db import Database
from tests.schema import metadata


def fill(db: Database, count: int, now: datetime) -> None:
    def verb(session: Session) -> None:
        for number in range(count):
            record(session, "anna", "user.added", f"user:{number}", {"n": number}, at=now)

    db.run_now(verb)


def past_the_triggers(db: Database, *statements: str) -> None:
    """As somebody does who owns the database."""
    off = (
        [f"DROP TRIGGER audit_entries_no_{what}" for what in ("update", "delete", "replace")]
        if db.is_sqlite
        else ["ALTER TABLE audit_entries DISABLE TRIGGER USER"]
    )
    db.run_now(lambda session: [session.execute(text(statement)) for statement in (*off, *statements)])


def test_an_empty_log_holds(db: Database) -> None:
    assert db.read_now(verify) == audit.Chain(0, GENESIS)


def test_entries_are_numbered_without_gaps_and_each_carries_the_hash_before_it(
    db: Database, now: datetime
) -> None:
    fill(db, 3, now)

    found = db.read_now(entries)
    chain = db.read_now(verify)

    assert [entry.seq for entry in found] == [3, 2, 1]
    assert chain == audit.Chain(3, found[0].hash)
    assert len({entry.hash for entry in found}) == 3


def test_an_entry_is_kept_with_what_it_records_or_neither_is(db: Database, now: datetime) -> None:
    class Changed(Exception):
        pass

    def verb(session: Session) -> None:
        record(session, "anna", "user.added", "user:x", at=now)
        raise Changed

    with pytest.raises(Changed):
        db.run_now(verb)
    fill(db, 1, now)

    assert db.read_now(verify).count == 1


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_entries SET actor = 'somebody else' WHERE seq = 2",
        "DELETE FROM audit_entries WHERE seq = 3",
        "DELETE FROM audit_entries",
    ],
)
def test_the_database_refuses_to_change_or_to_forget(db: Database, now: datetime, statement: str) -> None:
    fill(db, 3, now)

    with pytest.raises(DBAPIError, match="only ever added to"):
        db.run_now(lambda session: session.execute(text(statement)))

    assert db.read_now(verify).count == 3


def test_sqlite_refuses_to_replace(sqlite_db: Database, now: datetime) -> None:
    fill(sqlite_db, 2, now)

    with pytest.raises(DBAPIError, match="only ever added to"):
        sqlite_db.run_now(
            lambda session: session.execute(
                text("INSERT OR REPLACE INTO audit_entries SELECT * FROM audit_entries WHERE seq = 2")
            )
        )


@pytest.mark.postgres
def test_postgresql_refuses_to_truncate(postgres_url: str, now: datetime) -> None:
    db = Database(postgres_url)
    fill(db, 2, now)

    with pytest.raises(DBAPIError, match="only ever added to"):
        db.run_now(lambda session: session.execute(text("TRUNCATE audit_entries")))
    db.close()


@pytest.mark.parametrize(
    ("statement", "seq", "reason"),
    [
        ("UPDATE audit_entries SET actor = 'eve' WHERE seq = 3", 3, "its content was changed"),
        ("UPDATE audit_entries SET details = '{}' WHERE seq = 1", 1, "its content was changed"),
        ("DELETE FROM audit_entries WHERE seq = 3", 3, "it is missing; the next one is 4"),
        ("DELETE FROM audit_entries WHERE seq = 5", 5, "it is missing; 5 entries were written"),
        ("UPDATE audit_entries SET previous_hash = hash WHERE seq = 4", 4, "does not follow"),
    ],
)
def test_the_verifier_names_the_first_entry_that_does_not_hold(
    db: Database, now: datetime, statement: str, seq: int, reason: str
) -> None:
    fill(db, 5, now)
    past_the_triggers(db, statement)

    with pytest.raises(Broken, match=reason) as caught:
        db.read_now(verify)

    assert caught.value.seq == seq


def test_a_log_written_anew_lacks_the_hash_that_was_written_down(db: Database, now: datetime) -> None:
    fill(db, 2, now)
    noted = db.read_now(verify).last_hash
    assert db.read_now(verify, containing=noted).count == 2

    past_the_triggers(db, "DELETE FROM audit_entries", "DELETE FROM counters WHERE name = 'audit'")
    fill(db, 2, now + timedelta(seconds=1))

    assert db.read_now(verify).count == 2
    with pytest.raises(Broken, match="no entry has the hash"):
        db.read_now(verify, containing=noted)


def test_units_that_record_at_once_make_one_chain(db: Database, now: datetime) -> None:
    others = [Database(db.url) for _ in range(4)]
    start = threading.Barrier(4)

    def work(one: Database, name: str) -> None:
        start.wait()
        for _ in range(10):
            one.run_now(record, name, "user.added", "user:x", at=now)

    threads = [threading.Thread(target=work, args=(one, str(i))) for i, one in enumerate(others)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one in others:
        one.close()

    assert db.read_now(verify).count == 40


@pytest.mark.parametrize("nasty", ["a\0b", "\ud800", "line\nbreak", "zażółć", "‮gpj.exe", '","x":"'])
def test_whatever_was_said_comes_back_as_it_was_hashed(db: Database, now: datetime, nasty: str) -> None:
    db.run_now(record, nasty, "user.added", nasty, {"said": nasty}, at=now)

    assert db.read_now(verify).count == 1
    assert json.loads(db.read_now(entries)[0].details) == {"said": nasty}


def test_entries_are_found_by_actor_and_by_kind_of_action_a_page_at_a_time(
    db: Database, now: datetime
) -> None:
    def verb(session: Session) -> None:
        record(session, "anna", "user.added", "user:x", at=now)
        record(session, "anna", "users.counted", "user:x", at=now)
        record(session, "jan", "user.disabled", "user:x", at=now)

    db.run_now(verb)

    def seqs(**wanted: object) -> list[int]:
        return [entry.seq for entry in db.read_now(entries, **wanted)]  # type: ignore[arg-type]

    assert seqs(actor="anna") == [2, 1]
    assert seqs(action="user") == [3, 1]
    assert seqs(action="user.disabled") == [3]
    assert seqs(limit=2) == [3, 2]
    assert seqs(before=2) == [1]


def test_a_database_that_was_upgraded_refuses_the_same(fast_dir: object, now: datetime) -> None:
    db = Database(f"sqlite:///{fast_dir}/upgraded.db")
    migrations.upgrade(db.engine, metadata)
    fresh = Database(f"sqlite:///{fast_dir}/fresh.db")
    metadata.create_all(fresh.engine)

    def triggers(session: Session) -> list[tuple[str, str]]:
        rows = session.execute(
            text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' ORDER BY name")
        )
        return [(name, sql) for name, sql in rows if name.startswith("audit_entries")]

    assert db.read_now(triggers) == fresh.read_now(triggers) != []
    db.close()
    fresh.close()


@pytest.mark.postgres
def test_a_postgresql_that_was_upgraded_refuses_the_same(postgres_url: str, postgres: object) -> None:
    name = "upgraded"
    postgres.create(name)  # type: ignore[attr-defined]
    db = Database(postgres.url(name))  # type: ignore[attr-defined]
    migrations.upgrade(db.engine, metadata)
    fresh = Database(postgres_url)

    def triggers(session: Session) -> list[str]:
        return list(
            session.scalars(
                text(
                    "SELECT pg_get_triggerdef(oid) FROM pg_trigger "
                    "WHERE tgname LIKE 'audit_entries%' ORDER BY tgname"
                )
            )
        )

    assert db.read_now(triggers) == fresh.read_now(triggers) != []
    db.close()
    fresh.close()
    postgres.drop(name)  # type: ignore[attr-defined]
