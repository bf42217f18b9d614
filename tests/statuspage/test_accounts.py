"""Users and sessions, on both databases."""

from datetime import datetime, timedelta

import argon2
import pytest
from sqlalchemy import select

from statuspage.kernel import accounts, audit
from statuspage.kernel.accounts import (
    Role,
    User,
    UserSession,
    add_user,
    disable_user,
    end_session,
    find_user,
    hash_password,
    is_password,
    signed_in,
    start_session,
)
from statuspage.kernel.db import Database
from statuspage.kernel.errors import Conflict, Invalid
from statuspage.kernel.security import hash_token

PASSWORD = "correct horse battery"
LIFETIME = timedelta(hours=12)


@pytest.fixture(scope="session")
def password_hash() -> str:
    """Dear on purpose, so it is made once."""
    return hash_password(PASSWORD)


@pytest.fixture
def anna(db: Database, password_hash: str, now: datetime) -> User:
    return db.run_now(add_user, "anna", "Anna", Role.AGENT, password_hash, now=now)


def sign_in(db: Database, user: User, now: datetime) -> str:
    return db.run_now(start_session, user.id, now=now, lifetime=LIFETIME)


def test_the_password_opens_the_account_and_nothing_else_does(anna: User) -> None:
    assert is_password(anna, PASSWORD)
    assert not is_password(anna, PASSWORD + " ")
    assert not is_password(anna, "")
    assert not is_password(None, PASSWORD)


def test_an_unknown_user_costs_what_a_known_one_costs(anna: User) -> None:
    """The stand-in is verified with the same parameters, so that the time tells nothing (abuse case 8)."""
    assert argon2.extract_parameters(accounts._decoy()) == argon2.extract_parameters(anna.password_hash)


def test_a_password_is_stored_as_argon2id_and_never_twice_alike() -> None:
    first, second = hash_password(PASSWORD), hash_password(PASSWORD)

    assert first.startswith("$argon2id$")
    assert first != second


@pytest.mark.parametrize("password", ["", "short", "x" * 11])
def test_a_short_password_is_refused(password: str) -> None:
    with pytest.raises(Invalid, match="password: at least 12 characters"):
        hash_password(password)


def test_an_account_whose_hash_is_damaged_stays_closed(anna: User) -> None:
    anna.password_hash = "not a hash"

    assert not is_password(anna, PASSWORD)


def test_a_login_is_given_once(db: Database, anna: User, now: datetime) -> None:
    with pytest.raises(Conflict, match='the login "anna" is taken'):
        db.run_now(add_user, anna.login, "Another", Role.VIEWER, "hash", now=now)

    assert db.read_now(find_user, "anna").id == anna.id  # type: ignore[union-attr]


@pytest.mark.parametrize("login", ["", "an na", "anna\n"])
def test_a_login_is_one_word(db: Database, login: str, now: datetime) -> None:
    with pytest.raises(Invalid, match="login"):
        db.run_now(add_user, login, "Anna", Role.AGENT, "hash", now=now)


@pytest.mark.parametrize("login", ["api:gateway", "cli:anna", "monitor", "Schedule"])
def test_nobody_is_taken_for_a_program(db: Database, login: str, now: datetime) -> None:
    with pytest.raises(Invalid, match="would be taken for a program"):
        db.run_now(add_user, login, "Anna", Role.AGENT, "hash", now=now)


def test_a_session_says_who_is_asking(db: Database, anna: User, now: datetime) -> None:
    token = sign_in(db, anna, now)

    who = db.read_now(signed_in, token, now=now + timedelta(hours=1))

    assert who is not None
    assert (who.user_id, who.login, who.name, who.role) == (anna.id, "anna", "Anna", Role.AGENT)
    assert len(who.csrf) >= 22


def test_each_sign_in_has_a_token_of_its_own_that_is_stored_hashed(
    db: Database, anna: User, now: datetime
) -> None:
    tokens = {sign_in(db, anna, now) for _ in range(3)}

    stored = db.read_now(lambda session: session.scalars(select(UserSession.token_hash)).all())
    assert set(stored) == {hash_token(token) for token in tokens}
    assert len(tokens) == 3


@pytest.mark.parametrize("token", ["", "guessed", "x" * 10_000])
def test_a_token_that_was_never_given_is_nobodys(db: Database, anna: User, now: datetime, token: str) -> None:
    sign_in(db, anna, now)

    assert db.read_now(signed_in, token, now=now) is None


def test_a_session_ends_by_itself(db: Database, anna: User, now: datetime) -> None:
    token = sign_in(db, anna, now)

    assert db.read_now(signed_in, token, now=now + LIFETIME - timedelta(seconds=1)) is not None
    assert db.read_now(signed_in, token, now=now + LIFETIME) is None


def test_a_session_that_was_ended_cannot_be_replayed(db: Database, anna: User, now: datetime) -> None:
    token, other = sign_in(db, anna, now), sign_in(db, anna, now)

    db.run_now(end_session, token, now=now)

    assert db.read_now(signed_in, token, now=now) is None
    assert db.read_now(signed_in, other, now=now) is not None


def test_closing_an_account_ends_all_its_sessions(db: Database, anna: User, now: datetime) -> None:
    tokens = [sign_in(db, anna, now) for _ in range(2)]

    db.run_now(disable_user, anna.id, now=now)

    assert [db.read_now(signed_in, token, now=now) for token in tokens] == [None, None]
    closed = db.read_now(find_user, "anna")
    assert closed is not None
    assert not is_password(closed, PASSWORD)


def test_sessions_that_are_over_are_swept_out(db: Database, anna: User, now: datetime) -> None:
    sign_in(db, anna, now)
    sign_in(db, anna, now + LIFETIME + timedelta(hours=1))

    assert len(db.read_now(lambda session: session.scalars(select(UserSession)).all())) == 1


@pytest.mark.parametrize(
    ("role", "other", "includes"),
    [
        (Role.ADMINISTRATOR, Role.VIEWER, True),
        (Role.OPERATOR, Role.AGENT, True),
        (Role.AGENT, Role.AGENT, True),
        (Role.AGENT, Role.OPERATOR, False),
        (Role.VIEWER, Role.ADMINISTRATOR, False),
    ],
)
def test_each_role_includes_those_before_it(role: Role, other: Role, *, includes: bool) -> None:
    assert role.includes(other) is includes


# --- what is recorded, and what must not happen ---


def actions(db: Database) -> list[str]:
    return [entry.action for entry in reversed(db.read_now(audit.entries))]


def test_every_change_is_recorded_with_who_made_it(db: Database, anna: User, now: datetime) -> None:
    db.run_now(accounts.set_role, anna.id, Role.OPERATOR, by="boss", now=now)
    db.run_now(accounts.set_role, anna.id, Role.OPERATOR, by="boss", now=now)  # nothing changes
    db.run_now(accounts.set_group_roles, anna.id, {"transit": Role.APPROVER}, by="boss", now=now)
    token = sign_in(db, anna, now)
    db.run_now(end_session, token, now=now)
    db.run_now(end_session, token, now=now)  # it has ended already
    db.run_now(accounts.set_password, anna.id, "hash", by="anna", now=now)
    db.run_now(disable_user, anna.id, now=now, by="boss")
    db.run_now(accounts.enable_user, anna.id, by="boss", now=now)

    assert actions(db) == [
        "user.added",
        "user.role-changed",
        "user.group-roles-changed",
        "session.began",
        "session.ended",
        "user.password-changed",
        "user.disabled",
        "user.enabled",
    ]
    assert {entry.subject for entry in db.read_now(audit.entries)} == {"user:anna"}
    assert db.read_now(audit.verify).count == 8


def test_neither_a_password_nor_a_token_is_recorded(
    db: Database, anna: User, password_hash: str, now: datetime
) -> None:
    token = sign_in(db, anna, now)
    db.run_now(accounts.set_password, anna.id, password_hash, by="anna", now=now)

    kept = "".join(f"{e.subject}{e.details}" for e in db.read_now(audit.entries))
    assert not any(secret in kept for secret in (token, hash_token(token), password_hash, "$argon2"))


@pytest.mark.parametrize(
    ("house_wide", "group", "asked", "where", "may"),
    [
        (Role.AGENT, Role.OPERATOR, Role.OPERATOR, "transit", True),
        (Role.AGENT, Role.OPERATOR, Role.OPERATOR, "excise", False),
        (Role.AGENT, Role.OPERATOR, Role.OPERATOR, None, False),
        (Role.OPERATOR, Role.VIEWER, Role.OPERATOR, "transit", True),
        (Role.OPERATOR, Role.VIEWER, Role.OPERATOR, "excise", True),
        (Role.VIEWER, Role.ADMINISTRATOR, Role.ADMINISTRATOR, None, False),
    ],
)
def test_the_house_wide_role_counts_everywhere_and_a_groups_there_alone(
    house_wide: Role, group: Role, asked: Role, where: str | None, may: bool
) -> None:
    who = accounts.SignedIn("1", "anna", "Anna", house_wide, "csrf", {"transit": group})

    assert who.may(asked, where) is may


def test_the_last_administrator_is_neither_closed_nor_lowered(
    db: Database, anna: User, now: datetime
) -> None:
    db.run_now(accounts.set_role, anna.id, Role.ADMINISTRATOR, by="setup", now=now)
    for verb in (
        lambda session: disable_user(session, anna.id, now=now),
        lambda session: accounts.set_role(session, anna.id, Role.AGENT, by="anna", now=now),
    ):
        with pytest.raises(Conflict, match="last administrator"):
            db.run_now(verb)

    db.run_now(add_user, "jan", "Jan", Role.ADMINISTRATOR, "hash", now=now)
    db.run_now(disable_user, anna.id, now=now)


def test_an_account_without_a_password_is_opened_by_none(db: Database, now: datetime) -> None:
    eva = db.run_now(
        accounts.enter_from_provider, "https://idp.example", "1", "eva", "Eva", Role.AGENT, now=now
    )

    assert not is_password(eva, "")
    assert not is_password(eva, PASSWORD)
    with pytest.raises(Conflict, match="the OpenID provider keeps it"):
        db.run_now(accounts.set_password, eva.id, "hash", by="eva", now=now)


def test_the_same_subject_of_another_provider_is_somebody_else(db: Database, now: datetime) -> None:
    for issuer, login in (("https://a.example", "eva"), ("https://b.example", "ewa")):
        db.run_now(accounts.enter_from_provider, issuer, "1", login, "E", Role.AGENT, now=now)

    assert [user.login for user in db.read_now(accounts.listed)] == ["eva", "ewa"]


@pytest.mark.parametrize("login", ["a\0b", "\ud800", "‮anna", "a" * 101, "a\u00a0b"])
def test_a_login_that_could_deceive_is_neither_given_nor_found(
    db: Database, login: str, now: datetime
) -> None:
    with pytest.raises(Invalid, match="login"):
        db.run_now(add_user, login, "Anna", Role.AGENT, "hash", now=now)
    assert db.read_now(find_user, login) is None
