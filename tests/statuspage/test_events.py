"""The event table as the bus: gapless and in commit order, owed to each consumer until it is done."""

import threading
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from statuspage.kernel.db import Database
from statuspage.kernel.errors import Invalid
from statuspage.kernel.events import (
    Consumer,
    Event,
    Pending,
    done,
    emit,
    last_seq,
    next_number,
    pending,
    since,
    take_turns,
)


def owed(db: Database, consumer: Consumer, *, limit: int = 100) -> list[int]:
    return [event.seq for event in db.read_now(pending, consumer, limit=limit)]


def emit_and_fail(session: Session, *, at: datetime) -> None:
    emit(session, "incident.created", "abc", {}, at=at)
    raise Invalid("tests", "changed its mind")


def test_an_event_is_told_as_it_was_recorded(db: Database, now: datetime) -> None:
    payload = {"id": "abc", "name_pl": "Zgłoszenia", "services": ["a", "b"], "old": None}

    seq = db.run_now(emit, "component.updated", "abc", payload, at=now)

    (event,) = db.read_now(since, 0, limit=10)
    assert (event.seq, event.kind, event.subject_id, event.at) == (seq, "component.updated", "abc", now)
    assert event.payload == payload


def test_before_anything_happened_the_sequence_stands_at_nought(db: Database) -> None:
    assert db.read_now(last_seq) == 0
    assert db.read_now(since, 0, limit=10) == []


def test_the_sequence_has_no_gap_after_a_rollback(db: Database, now: datetime) -> None:
    first = db.run_now(emit, "incident.created", "abc", {}, at=now)
    with pytest.raises(Invalid):
        db.run_now(emit_and_fail, at=now)
    second = db.run_now(emit, "incident.updated", "abc", {}, at=now)

    assert (first, second) == (1, 2)
    assert db.read_now(last_seq) == 2
    assert owed(db, Consumer.NOTIFIERS) == [1, 2]


def test_one_unit_may_tell_several_things(db: Database, now: datetime) -> None:
    def tell(session: Session) -> list[int]:
        return [emit(session, "component.updated", name, {}, at=now) for name in "abc"]

    assert db.run_now(tell) == [1, 2, 3]


def test_each_consumer_is_owed_every_event_until_it_is_done(db: Database, now: datetime) -> None:
    for _ in range(3):
        db.run_now(emit, "incident.updated", "abc", {}, at=now)

    db.run_now(done, Consumer.NOTIFIERS, 2)

    assert owed(db, Consumer.NOTIFIERS) == [1, 3]
    assert owed(db, Consumer.TICKETS) == [1, 2, 3]
    assert owed(db, Consumer.TICKETS, limit=2) == [1, 2]


def test_an_effect_that_fails_leaves_the_event_owed(db: Database, now: datetime) -> None:
    db.run_now(emit, "incident.updated", "abc", {}, at=now)

    def act_and_fail(session: Session) -> None:
        done(session, Consumer.NOTIFIERS, 1)
        raise Invalid("tests", "the effect failed")

    with pytest.raises(Invalid):
        db.run_now(act_and_fail)

    assert owed(db, Consumer.NOTIFIERS) == [1]


def test_live_clients_read_on_from_where_they_were(db: Database, now: datetime) -> None:
    for minute in range(5):
        db.run_now(emit, "incident.updated", "abc", {}, at=now + timedelta(minutes=minute))

    assert [event.seq for event in db.read_now(since, 2, limit=2)] == [3, 4]
    assert [event.seq for event in db.read_now(since, 5, limit=2)] == []


def test_series_of_numbers_are_independent_and_begin_where_they_are_told(db: Database) -> None:
    assert db.run_now(next_number, "tickets", first=1_000_001) == 1_000_001
    assert db.run_now(next_number, "tickets", first=1_000_001) == 1_000_002
    assert db.run_now(next_number, "other") == 1


def write(url: str, name: str, faults: list[Exception], *, at: datetime) -> None:
    """Twenty events and four that are taken back, through connections of its own."""
    writer = Database(url)
    try:
        for number in range(20):
            if number % 5 == 4:
                with pytest.raises(Invalid):
                    writer.run_now(emit_and_fail, at=at)
            writer.run_now(emit, "component.updated", name, {"number": number}, at=at)
    except Exception as fault:
        faults.append(fault)
    finally:
        writer.close()


def told_by(session: Session, name: str) -> list[int]:
    events = session.scalars(select(Event).where(Event.subject_id == name).order_by(Event.seq))
    return [event.payload["number"] for event in events]


def test_many_writers_leave_no_gap_and_a_reader_never_sees_a_hole(db: Database, now: datetime) -> None:
    """Whoever sees a `seq` sees all before it: what commits later has a higher number."""
    holes: list[list[int]] = []
    faults: list[Exception] = []
    is_over = threading.Event()

    def look() -> None:
        while not is_over.is_set():
            seen = [event.seq for event in db.read_now(since, 0, limit=1000)]
            if seen != list(range(1, len(seen) + 1)):
                holes.append(seen)

    reader = threading.Thread(target=look)
    names = [f"writer{number}" for number in range(4)]
    writers = [
        threading.Thread(target=write, args=(db.url, name, faults), kwargs={"at": now}) for name in names
    ]
    for thread in (reader, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    is_over.set()
    reader.join()

    assert (faults, holes) == ([], [])
    assert [event.seq for event in db.read_now(since, 0, limit=1000)] == list(range(1, 81))
    assert db.read_now(last_seq) == 80
    assert all(db.read_now(told_by, name) == list(range(20)) for name in names)


@pytest.mark.postgres
def test_who_takes_turns_decides_by_what_the_one_before_committed(postgres_url: str, now: datetime) -> None:
    """Without it all of them would see an empty table and think they were the first."""

    def be_the_first(session: Session) -> bool:
        take_turns(session)
        if session.scalars(select(Event)).first() is not None:
            return False
        emit(session, "incident.created", "abc", {}, at=now)
        return True

    def ask() -> None:
        start.wait()
        answers.append(db.run_now(be_the_first))

    db = Database(postgres_url)
    for _ in range(5):
        db.run_now(lambda session: session.execute(text("TRUNCATE counters, events CASCADE")))
        answers: list[bool] = []
        start = threading.Barrier(4)
        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert sorted(answers) == [False, False, False, True]
    assert db.read_now(last_seq) == 1
    db.close()


def test_nothing_is_owed_for_an_event_that_does_not_exist(db: Database) -> None:
    with pytest.raises(Exception, match=r"(?i)foreign key"):
        db.run_now(lambda session: session.execute(text("INSERT INTO pending VALUES ('tickets', 7)")))

    assert db.read_now(lambda session: session.scalars(select(Pending)).all()) == []
