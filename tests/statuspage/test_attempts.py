"""Back-off for guesses, on both databases: who guesses waits, and nobody else does (abuse case 18)."""

import threading
from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, select

from statuspage.kernel import attempts
from statuspage.kernel.attempts import Attempts, Backoff, begin, guess, take_back
from statuspage.kernel.db import Database
from statuspage.kernel.errors import TooMany

ATTACKER, OWNER = "192.0.2.0/24", "198.51.100.0/24"
BACKOFF = Backoff(5, timedelta(minutes=15))


@pytest.mark.parametrize(
    ("level", "seconds"),
    [(1, 0), (4.4, 0), (4.6, 5), (5, 5), (6, 10), (7, 20), (12, 640), (13, 900), (500, 900)],
)
def test_the_wait_doubles_up_to_its_longest(level: float, seconds: int) -> None:
    assert BACKOFF.wait(level) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("hours", "left"), [(0, 10.0), (1, 5.0), (1.5, 2.5), (2, 0.0), (100, 0.0), (-1, 10.0)]
)
def test_guesses_leak_away_and_a_clock_set_back_leaks_nothing(hours: float, left: float) -> None:
    assert BACKOFF.left(10, timedelta(hours=hours)) == left


def guesses_let_through(db: Database, one: attempts.Guess, start: datetime, lasting: timedelta) -> int:
    """What somebody gets through who tries as soon as they may."""
    at, count = start, 0
    while at < start + lasting:
        try:
            db.run_now(begin, one, now=at)
            count += 1
            at += timedelta(seconds=1)
        except TooMany as error:
            at += timedelta(seconds=error.retry_after_s)
    return count


def test_a_guesser_waits_longer_and_longer(db: Database, now: datetime) -> None:
    assert guesses_let_through(db, guess("password", "anna", ATTACKER), now, timedelta(hours=1)) < 25


def test_a_guesser_locks_nobody_out_from_another_network_however_long_it_goes_on(
    sqlite_db: Database, now: datetime
) -> None:
    guesses_let_through(sqlite_db, guess("password", "anna", ATTACKER), now, timedelta(hours=36))

    sqlite_db.run_now(begin, guess("password", "anna", OWNER), now=now + timedelta(hours=36))


def test_a_known_browser_comes_in_even_while_the_whole_world_guesses(db: Database, now: datetime) -> None:
    for number in range(100):
        db.run_now(begin, guess("password", "anna", f"203.0.{number}.0/24"), now=now)
    with pytest.raises(TooMany):
        db.run_now(begin, guess("password", "anna", OWNER), now=now)

    db.run_now(begin, guess("password", "anna", OWNER, device="signed"), now=now)
    db.run_now(begin, guess("password", "jan", OWNER), now=now)


def test_one_network_that_tries_a_list_of_logins_is_slowed_down(db: Database, now: datetime) -> None:
    for number in range(50):
        db.run_now(begin, guess("password", f"login{number}", ATTACKER), now=now)

    with pytest.raises(TooMany) as caught:
        db.run_now(begin, guess("password", "another", ATTACKER), now=now)
    assert caught.value.retry_after_s >= 5
    db.run_now(begin, guess("password", "anna", OWNER), now=now)


def test_a_right_answer_empties_its_own_bucket_and_hides_no_others_guesses(
    db: Database, now: datetime
) -> None:
    """An attacker with an account of his own must not clear his network's count with it."""
    own = guess("password", "eve", ATTACKER)
    for number in range(49):
        db.run_now(begin, guess("password", f"login{number}", ATTACKER), now=now)
    db.run_now(begin, own, now=now)
    db.run_now(take_back, own, now=now)

    db.run_now(begin, guess("password", "last", ATTACKER), now=now)
    with pytest.raises(TooMany):
        db.run_now(begin, guess("password", "one more", ATTACKER), now=now)


def test_four_wrong_then_a_right_one_starts_afresh(db: Database, now: datetime) -> None:
    one = guess("password", "anna", OWNER)
    for _ in range(3):
        for _ in range(5):
            db.run_now(begin, one, now=now)
        db.run_now(take_back, one, now=now)


def test_an_attempt_that_was_refused_is_not_counted(db: Database, now: datetime) -> None:
    one = guess("code", "anna", OWNER)
    for _ in range(5):
        db.run_now(begin, one, now=now)
    for _ in range(20):
        with pytest.raises(TooMany):
            db.run_now(begin, one, now=now)

    db.run_now(begin, one, now=now + timedelta(seconds=5))


def test_guesses_at_the_same_moment_do_not_slip_through_together(db: Database, now: datetime) -> None:
    """In several processes, too: each thread here has its own way into the database."""
    others = [Database(db.url) for _ in range(4)]
    start, through = threading.Barrier(4), []

    def work(one: Database) -> None:
        start.wait()
        for _ in range(5):
            try:
                one.run_now(begin, guess("password", "anna", ATTACKER), now=now)
                through.append(one)
            except TooMany:
                pass

    threads = [threading.Thread(target=work, args=(one,)) for one in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one in others:
        one.close()

    assert len(through) == 5


def test_logins_differ_by_letters_and_not_by_case(db: Database, now: datetime) -> None:
    assert guess("password", "Anna", OWNER) == guess("password", "anna", OWNER)


def test_what_was_typed_is_not_kept_and_old_guesses_are_forgotten(db: Database, now: datetime) -> None:
    db.run_now(begin, guess("password", "my secret password", OWNER), now=now)
    keys = db.read_now(lambda session: session.scalars(select(Attempts.key)).all())
    assert len(keys) == 3
    assert not any("secret" in key for key in keys)

    db.run_now(begin, guess("code", "jan", OWNER, device="x"), now=now + timedelta(hours=7))
    assert db.read_now(lambda session: session.scalar(select(func.count()).select_from(Attempts))) == 1
