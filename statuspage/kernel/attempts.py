"""Back-off for whoever guesses at a password or a code: counted in the database, by account and by network.

Counted before the answer is known and taken back when it was right, so that guesses at the same moment,
in this process or in another one, do not slip through together; and a restart forgives nothing.

What is counted together:

- guesses at one account from one network wait longer and longer;
- guesses from one network, whoever they are aimed at, as well, only later;
- guesses at one account from all networks, later still: one network alone never reaches that limit, so that
  nobody locks an owner out from elsewhere;
- a browser that has been signed in on this account before brings a signed cookie and is counted by itself:
  its owner comes in whatever others do.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, Session, mapped_column

from statuspage.kernel.db import Base
from statuspage.kernel.errors import TooMany
from statuspage.kernel.security import hash_token

FORGOTTEN_AFTER = timedelta(hours=6)  # every bucket has leaked empty by then


@dataclass(frozen=True, slots=True)
class Backoff:
    """A leaking bucket: `free` guesses at once and as many again each hour; beyond, the wait doubles from
    five seconds to `longest`."""

    free: int
    longest: timedelta

    def left(self, level: float, passed: timedelta) -> float:
        """What is still in the bucket after this time; a clock that was set back leaks nothing."""
        return max(0.0, level - self.free * max(0.0, passed / timedelta(hours=1)))

    def wait(self, level: float) -> timedelta:
        """How long to wait for the next guess."""
        beyond = round(level) - self.free
        if beyond < 0:
            return timedelta(0)
        return min(self.longest, timedelta(seconds=5 * 2 ** min(beyond, 20)))


_PAIR = Backoff(5, timedelta(minutes=15))
_NETWORK = Backoff(50, timedelta(minutes=5))
_ACCOUNT = Backoff(100, timedelta(minutes=5))
_DEVICE = Backoff(10, timedelta(minutes=15))


class Attempts(Base):
    """Guesses that belong together. The key is a hash: people type passwords into the wrong field."""

    __tablename__ = "attempts"

    key: Mapped[str] = mapped_column(primary_key=True)
    level: Mapped[float]
    last_at: Mapped[datetime] = mapped_column(index=True)
    open_at: Mapped[datetime]  # no guess before


@dataclass(frozen=True, slots=True)
class Guess:
    """One guess, and what it is counted with."""

    buckets: tuple[tuple[str, Backoff], ...]


def guess(kind: str, account: str, network: str, *, device: str | None = None) -> Guess:
    """A guess of `kind` (password, code) at `account`, which need not exist; `device` is a cookie's, if signed."""
    if device is not None:
        named = [(f"device\0{device}", _DEVICE)]
    else:
        named = [
            (f"pair\0{account.casefold()}\0{network}", _PAIR),
            (f"network\0{network}", _NETWORK),
            (f"account\0{account.casefold()}", _ACCOUNT),
        ]
    # Sorted, so that two units never wait for each other's rows.
    return Guess(tuple(sorted((hash_token(f"{kind}\0{name}"), backoff) for name, backoff in named)))


def begin(session: Session, guessed: Guess, *, now: datetime) -> None:
    """Count it. Raises TooMany, and counts nothing, while one of its buckets has to wait."""
    session.execute(delete(Attempts).where(Attempts.last_at < now - FORGOTTEN_AFTER))
    for key, backoff in guessed.buckets:
        row = _locked(session, key, now)
        if row.open_at > now:
            raise TooMany("too many attempts", retry_after_s=int((row.open_at - now).total_seconds()) + 1)
        row.level = backoff.left(row.level, now - row.last_at) + 1
        row.last_at, row.open_at = now, now + backoff.wait(row.level)


def take_back(session: Session, guessed: Guess, *, now: datetime) -> None:
    """It was right: empty its own bucket, and give the shared ones this guess back."""
    for key, backoff in guessed.buckets:
        row = _locked(session, key, now)
        row.level = 0.0 if backoff in (_PAIR, _DEVICE) else max(0.0, row.level - 1)
        row.open_at = now + backoff.wait(row.level)


def _locked(session: Session, key: str, now: datetime) -> Attempts:
    """The row, made where it is missing, and ours until the transaction ends."""
    values = {"key": key, "level": 0.0, "last_at": now, "open_at": now}
    is_sqlite = session.get_bind().dialect.name == "sqlite"
    insert = sqlite.insert if is_sqlite else postgresql.insert
    session.execute(insert(Attempts).values(values).on_conflict_do_nothing())
    return session.scalars(
        select(Attempts)
        .where(Attempts.key == key)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()
