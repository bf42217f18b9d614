"""One-time passwords as a second factor: TOTP (RFC 6238: SHA-1, six digits, thirty seconds) and recovery codes.

A step is accepted once (RFC 6238, section 5.2), one before and one after the present are, too, for clocks
that differ. Recovery codes are stored hashed; each opens once.
"""

import base64
import secrets
from dataclasses import dataclass
from datetime import datetime

import pyotp
from sqlalchemy import CursorResult, ForeignKey, delete, func, insert, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from statuspage.kernel import audit
from statuspage.kernel.accounts import User
from statuspage.kernel.db import Base
from statuspage.kernel.errors import Conflict, Invalid
from statuspage.kernel.security import hash_token

RECOVERY_CODES = 10
_STEP_S = 30
_WINDOW = 1
_RECOVERY_BYTES = 10  # 80 bits: sixteen base32 letters, enough for a fast hash


class Totp(Base):
    """A member of staff's secret. It counts from `confirmed_at` on."""

    __tablename__ = "totp"

    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), primary_key=True)
    secret: Mapped[str]
    created_at: Mapped[datetime]
    confirmed_at: Mapped[datetime | None]
    last_step: Mapped[int]  # the newest that was accepted


class RecoveryCode(Base):
    """A code for the day the telephone is lost."""

    __tablename__ = "recovery_codes"

    code_hash: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), index=True)
    used_at: Mapped[datetime | None]


@dataclass(frozen=True, slots=True)
class Factor:
    """How a member of staff's second factor stands."""

    is_on: bool
    pending_secret: str | None  # shown until it is confirmed
    recovery_codes_left: int


def factor(session: Session, user_id: str) -> Factor:
    """How it stands."""
    totp = session.get(Totp, user_id)
    left = session.scalar(
        select(func.count())
        .select_from(RecoveryCode)
        .where(RecoveryCode.user_id == user_id, RecoveryCode.used_at.is_(None))
    )
    is_on = totp is not None and totp.confirmed_at is not None
    return Factor(is_on, totp.secret if totp is not None and not is_on else None, left or 0)


def is_on(session: Session, user_id: str) -> bool:
    """Whether a code is asked for after the password."""
    return factor(session, user_id).is_on


def begin(session: Session, user_id: str, *, now: datetime) -> str:
    """A secret to be confirmed; the one begun before, if it was not. Raises Conflict when it is on already."""
    totp = session.get(Totp, user_id)
    if totp is None:
        totp = Totp(
            user_id=user_id, secret=pyotp.random_base32(), created_at=now, confirmed_at=None, last_step=-1
        )
        session.add(totp)
    elif totp.confirmed_at is not None:
        raise Conflict("the second factor is on already")
    return totp.secret


def confirm(session: Session, user: User, code: str, *, now: datetime) -> tuple[str, ...]:
    """Switch it on; returns the recovery codes, which are never shown again. Raises Invalid for a wrong code."""
    totp = session.get(Totp, user.id)
    if totp is None or totp.confirmed_at is not None:
        raise Conflict("there is nothing to confirm")
    if not _use_step(session, totp, code, now=now):
        raise Invalid(
            "code", "the code does not fit; check the clock of the telephone and type the newest one"
        )
    totp.confirmed_at = now
    codes = _renew_codes(session, user.id)
    audit.record(session, user.login, "second-factor.on", f"user:{user.login}", at=now)
    return codes


def is_code(session: Session, user_id: str, code: str, *, now: datetime) -> bool:
    """Whether the code opens; it is used up by being right."""
    totp = session.get(Totp, user_id)
    if totp is None or totp.confirmed_at is None:
        return False
    if kind_of(code) == "totp":
        return _use_step(session, totp, code, now=now)
    return _use_recovery_code(session, user_id, "".join(code.split()), now=now)


def kind_of(code: str) -> str:
    """Which kind of code was typed."""
    typed = "".join(code.split())
    return "totp" if typed.isascii() and typed.isdigit() else "recovery code"


def renew_recovery_codes(session: Session, user: User, *, now: datetime) -> tuple[str, ...]:
    """New codes; the old ones open nothing any more. Raises Conflict while there is no second factor."""
    if not is_on(session, user.id):
        raise Conflict("there is no second factor")
    codes = _renew_codes(session, user.id)
    audit.record(session, user.login, "second-factor.codes-renewed", f"user:{user.login}", at=now)
    return codes


def remove(session: Session, user: User, *, by: str, now: datetime) -> None:
    """Switch it off, recovery codes and all."""
    was_on = is_on(session, user.id)
    session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user.id))
    session.execute(delete(Totp).where(Totp.user_id == user.id))
    if was_on:
        audit.record(session, by, "second-factor.off", f"user:{user.login}", at=now)


def address(secret: str, login: str, issuer: str) -> str:
    """The otpauth address that an authenticator reads."""
    return pyotp.TOTP(secret).provisioning_uri(name=login, issuer_name=issuer)


def spaced(secret: str) -> str:
    """The secret in groups of four, to be typed."""
    return " ".join(secret[start : start + 4] for start in range(0, len(secret), 4))


def _use_step(session: Session, totp: Totp, code: str, *, now: datetime) -> bool:
    """Whether it is a code of the present or a neighbouring step that is newer than the last one used."""
    typed = "".join(code.split())
    generator, present = pyotp.TOTP(totp.secret), int(now.timestamp()) // _STEP_S
    fitting = [
        step
        for step in range(present - _WINDOW, present + _WINDOW + 1)
        if secrets.compare_digest(generator.generate_otp(step).encode(), typed.encode(errors="replace"))
    ]
    if not fitting:
        return False
    # Asked and set at once: of two requests with the same code, one changes a row.
    changed = session.execute(
        update(Totp)
        .where(Totp.user_id == totp.user_id, Totp.last_step < fitting[-1])
        .values(last_step=fitting[-1])
    )
    return _rows(changed) == 1


def _use_recovery_code(session: Session, user_id: str, code: str, *, now: datetime) -> bool:
    changed = session.execute(
        update(RecoveryCode)
        .where(
            RecoveryCode.user_id == user_id,
            RecoveryCode.code_hash == _code_hash(user_id, code),
            RecoveryCode.used_at.is_(None),
        )
        .values(used_at=now)
    )
    return _rows(changed) == 1


def _renew_codes(session: Session, user_id: str) -> tuple[str, ...]:
    session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    codes = tuple(_new_code() for _ in range(RECOVERY_CODES))
    session.execute(
        insert(RecoveryCode),
        [{"code_hash": _code_hash(user_id, code), "user_id": user_id, "used_at": None} for code in codes],
    )
    return codes


def _new_code() -> str:
    letters = base64.b32encode(secrets.token_bytes(_RECOVERY_BYTES)).decode().lower()
    return "-".join(letters[start : start + 4] for start in range(0, len(letters), 4))


def _code_hash(user_id: str, code: str) -> str:
    return hash_token(f"{user_id}\0{code.replace('-', '').lower()}")


def _rows(result: object) -> int:
    return result.rowcount if isinstance(result, CursorResult) else 0
