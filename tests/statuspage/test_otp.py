"""The second factor, on both databases: RFC 6238's own figures, a step once, recovery codes once."""

import threading
from datetime import UTC, datetime, timedelta

import pyotp
import pytest
from sqlalchemy import select, update

from statuspage.kernel import otp
from statuspage.kernel.accounts import Role, User, add_user
from statuspage.kernel.db import Database
from statuspage.kernel.errors import Conflict, Invalid

STEP = timedelta(seconds=30)
# RFC 6238, appendix B: the secret in base32, and its SHA-1 codes cut to six digits.
RFC_SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"


@pytest.fixture
def anna(db: Database, now: datetime) -> User:
    return db.run_now(add_user, "anna", "Anna", Role.OPERATOR, "hash", now=now)


def code(secret: str, at: datetime) -> str:
    """What the telephone shows."""
    return pyotp.TOTP(secret).at(at)


@pytest.fixture
def secret(db: Database, anna: User, now: datetime) -> str:
    """A second factor that is on; the code of `now` has been used."""
    begun = db.run_now(otp.begin, anna.id, now=now)
    db.run_now(otp.confirm, anna, code(begun, now), now=now)
    return begun


def is_code(db: Database, user: User, typed: str, now: datetime) -> bool:
    return db.run_now(otp.is_code, user.id, typed, now=now)


@pytest.mark.parametrize(
    ("seconds", "typed"),
    [
        (59, "287082"),
        (1111111109, "081804"),
        (1111111111, "050471"),
        (1234567890, "005924"),
        (2000000000, "279037"),
    ],
)
def test_the_codes_are_those_of_the_rfc(db: Database, anna: User, seconds: int, typed: str) -> None:
    at = datetime.fromtimestamp(seconds, UTC)
    db.run_now(otp.begin, anna.id, now=at)
    db.run_now(lambda session: session.execute(update(otp.Totp).values(secret=RFC_SECRET)))

    assert len(db.run_now(otp.confirm, anna, typed, now=at)) == otp.RECOVERY_CODES


def test_it_does_not_count_before_it_is_confirmed(db: Database, anna: User, now: datetime) -> None:
    begun = db.run_now(otp.begin, anna.id, now=now)

    assert db.run_now(otp.begin, anna.id, now=now) == begun  # loading the page again changes nothing
    assert not db.read_now(otp.is_on, anna.id)
    assert not is_code(db, anna, code(begun, now), now)
    with pytest.raises(Invalid, match="code: the code does not fit"):
        db.run_now(otp.confirm, anna, "000000", now=now)
    assert not db.read_now(otp.is_on, anna.id)


def test_once_on_its_secret_is_not_shown_again(db: Database, anna: User, secret: str, now: datetime) -> None:
    assert db.read_now(otp.factor, anna.id) == otp.Factor(True, None, otp.RECOVERY_CODES)
    with pytest.raises(Conflict):
        db.run_now(otp.begin, anna.id, now=now)
    with pytest.raises(Conflict):
        db.run_now(otp.confirm, anna, code(secret, now), now=now)


@pytest.mark.parametrize(("steps", "fits"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_one_step_before_and_after_fits(
    db: Database, anna: User, secret: str, now: datetime, steps: int, fits: bool
) -> None:
    later = now + timedelta(hours=1)

    assert is_code(db, anna, code(secret, later + steps * STEP), later) is fits


def test_a_step_is_used_once(db: Database, anna: User, secret: str, now: datetime) -> None:
    """Abuse case 18: whoever looked over the shoulder comes too late, even within the window."""
    assert not is_code(db, anna, code(secret, now), now)  # it confirmed
    later = now + STEP
    typed = code(secret, later)
    assert is_code(db, anna, typed, later)
    assert not is_code(db, anna, typed, later)
    assert not is_code(db, anna, typed, later + STEP)
    assert not is_code(db, anna, code(secret, now), later)  # nor one that is older than the newest used


def test_of_two_requests_with_the_same_code_one_comes_in(
    db: Database, anna: User, secret: str, now: datetime
) -> None:
    others = [Database(db.url) for _ in range(4)]
    start, seen = threading.Barrier(4), []
    later = now + 2 * STEP

    def work(one: Database) -> None:
        start.wait()
        seen.append(is_code(one, anna, code(secret, later), later))

    threads = [threading.Thread(target=work, args=(one,)) for one in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one in others:
        one.close()

    assert sorted(seen) == [False, False, False, True]


@pytest.mark.parametrize(
    "typed", ["", "12345", "1234567", "abcdef", "١٢٣٤٥٦", "\0", "\ud800", "-1", "x" * 5000]
)
def test_what_is_no_code_opens_nothing(
    db: Database, anna: User, secret: str, now: datetime, typed: str
) -> None:
    assert not is_code(db, anna, typed, now + STEP)


def test_a_code_may_be_typed_with_a_gap(db: Database, anna: User, secret: str, now: datetime) -> None:
    typed = code(secret, now + STEP)

    assert is_code(db, anna, f" {typed[:3]} {typed[3:]}", now + STEP)


def test_a_recovery_code_opens_once_and_is_stored_hashed(db: Database, anna: User, now: datetime) -> None:
    begun = db.run_now(otp.begin, anna.id, now=now)
    codes = db.run_now(otp.confirm, anna, code(begun, now), now=now)

    stored = set(db.read_now(lambda session: session.scalars(select(otp.RecoveryCode.code_hash)).all()))
    assert len(set(codes)) == otp.RECOVERY_CODES
    assert not stored & set(codes)
    assert is_code(db, anna, codes[0].upper().replace("-", " "), now)
    assert not is_code(db, anna, codes[0], now)
    assert is_code(db, anna, codes[1], now)
    assert db.read_now(otp.factor, anna.id).recovery_codes_left == otp.RECOVERY_CODES - 2


def test_new_recovery_codes_replace_the_old_ones(db: Database, anna: User, now: datetime) -> None:
    begun = db.run_now(otp.begin, anna.id, now=now)
    old = db.run_now(otp.confirm, anna, code(begun, now), now=now)
    new = db.run_now(otp.renew_recovery_codes, anna, now=now)

    assert not is_code(db, anna, old[0], now)
    assert is_code(db, anna, new[0], now)


def test_a_code_is_good_for_its_owner_alone(db: Database, anna: User, secret: str, now: datetime) -> None:
    jan = db.run_now(add_user, "jan", "Jan", Role.OPERATOR, "hash", now=now)
    begun = db.run_now(otp.begin, jan.id, now=now)
    codes = db.run_now(otp.confirm, jan, code(begun, now), now=now)

    assert not is_code(db, anna, codes[0], now + STEP)
    assert not is_code(db, anna, code(begun, now + STEP), now + STEP)


def test_switched_off_nothing_of_it_is_left(db: Database, anna: User, secret: str, now: datetime) -> None:
    db.run_now(otp.remove, anna, by="anna", now=now)

    assert db.read_now(otp.factor, anna.id) == otp.Factor(False, None, 0)
    assert not is_code(db, anna, code(secret, now + STEP), now + STEP)
    assert db.run_now(otp.begin, anna.id, now=now) != secret


def test_the_address_is_what_an_authenticator_reads() -> None:
    parsed = pyotp.parse_uri(otp.address(RFC_SECRET, "anna", "Status usług celnych"))

    assert (parsed.secret, parsed.name, parsed.issuer) == (RFC_SECRET, "anna", "Status usług celnych")
    assert otp.spaced("ABCDEFGHIJ") == "ABCD EFGH IJ"
