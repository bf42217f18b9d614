"""Roll-ups and retention: exact, whatever the order, and however often."""

import random
from datetime import datetime, timedelta
from typing import TypeVar

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from monitors.history import day_of, forget, hour_of, roll_up, write_hours
from monitors.latency import Rollup
from monitors.probes import Outcome, Verdict
from monitors.rules import State
from monitors.store import Batch, Seen, Watched, save
from monitors.tables import Result, RollupDay, RollupHour
from statuspage.kernel import config
from statuspage.kernel.db import Database
from tests.monitors.catalogues import declare

PORTAL = {"service": "NCTS2", "name": "portal", "kind": "http", "spec": {"url": "https://ncts2.example/"}}
GATEWAY = {"service": "NCTS2", "name": "gateway", "kind": "tcp", "spec": {"host": "g.example", "port": 25}}
HOUR = timedelta(hours=1)
Rolled = TypeVar("Rolled", RollupHour, RollupDay)


@pytest.fixture
def watched(db: Database, now: datetime) -> list[Watched]:
    return list(declare(db, ["NCTS2"], [PORTAL, GATEWAY], now=now).values())


def checks(watched: list[Watched], begin: datetime, length: timedelta, count: int, seed: int) -> list[Seen]:
    """Checks at random instants with random outcomes."""
    rng = random.Random(seed)
    made = []
    for _ in range(count):
        verdict = rng.choices(list(Verdict), [80, 10, 8, 2])[0]
        latency_ms = None if verdict is Verdict.UNKNOWN else rng.lognormvariate(4, 1)
        at = begin + rng.random() * length
        made.append(Seen(rng.choice(watched).id, at, Outcome(verdict, "", latency_ms), State()))
    return made


def keep(db: Database, made: list[Seen], now: datetime) -> None:
    batch = Batch()
    for seen in made:
        batch.add(seen)
    db.run_now(save, batch, now=now, policy=config.Incidents())


def roll_all(db: Database, now: datetime) -> int:
    times = 0
    while db.run_now(roll_up, now=now):
        times += 1
    return times


def stored(session: Session, table: type[Rolled]) -> dict[tuple[str, datetime], Rollup]:
    rows = session.scalars(select(table)).all()
    return {
        (row.monitor_id, row.start): Rollup(
            row.ok,
            row.slow,
            row.failed,
            row.unknown,
            row.sum_us,
            {int(k): v for k, v in row.histogram.items()},
        )
        for row in rows
    }


def expected(made: list[Seen], by_day: bool = False) -> dict[tuple[str, datetime], Rollup]:
    parts: dict[tuple[str, datetime], list[tuple[str, float | None]]] = {}
    for seen in made:
        start = day_of(seen.at) if by_day else hour_of(seen.at)
        parts.setdefault((seen.monitor_id, start), []).append(
            (seen.outcome.verdict.value, seen.outcome.latency_ms)
        )
    return {key: Rollup.of(part) for key, part in parts.items()}


def test_hours_and_days_are_exact(db: Database, watched: list[Watched], now: datetime) -> None:
    begin = day_of(now) - timedelta(days=2)
    made = checks(watched, begin, timedelta(days=2), 800, seed=1)
    keep(db, made, now)
    roll_all(db, now)
    assert db.read_now(stored, RollupHour) == expected(made)
    assert db.read_now(stored, RollupDay) == expected(made, by_day=True)


def test_an_hour_that_is_not_over_waits(db: Database, watched: list[Watched], now: datetime) -> None:
    made = checks(watched, hour_of(now), timedelta(minutes=9), 20, seed=2)
    keep(db, made, now)
    assert roll_all(db, now) == 0
    assert roll_all(db, hour_of(now) + HOUR) == 1
    assert db.read_now(stored, RollupHour) == expected(made)


def test_doing_it_again_changes_nothing(db: Database, watched: list[Watched], now: datetime) -> None:
    keep(db, checks(watched, day_of(now) - timedelta(days=1), timedelta(days=1), 200, seed=3), now)
    assert roll_all(db, now) > 0
    first = db.read_now(stored, RollupDay)
    assert roll_all(db, now) == 0
    assert db.read_now(stored, RollupDay) == first


def test_late_results_are_counted_in(db: Database, watched: list[Watched], now: datetime) -> None:
    begin = day_of(now) - timedelta(days=1)
    early = checks(watched, begin, timedelta(days=1), 200, seed=4)
    keep(db, early, now)
    roll_all(db, now)
    late = checks(watched, begin, timedelta(days=1), 200, seed=5)
    keep(db, late, now)
    roll_all(db, now)
    assert db.read_now(stored, RollupHour) == expected(early + late)
    assert db.read_now(stored, RollupDay) == expected(early + late, by_day=True)


def test_only_old_whole_rolled_up_hours_are_forgotten(
    db: Database, watched: list[Watched], now: datetime
) -> None:
    made = checks(watched, now - timedelta(hours=10), timedelta(hours=10), 500, seed=6)
    keep(db, made, now)
    assert db.run_now(forget, now=now, keep=timedelta(hours=4)) == 0, "nothing is rolled up yet"
    roll_all(db, now)
    before = db.read_now(stored, RollupHour)
    total = 0
    while gone := db.run_now(forget, now=now, keep=timedelta(hours=4), limit=50):
        assert gone <= 50
        total += gone
    limit = hour_of(now - timedelta(hours=4))
    assert total == sum(seen.at < limit for seen in made)
    assert db.read_now(lambda s: s.scalar(select(func.min(Result.at)))) >= limit  # type: ignore[operator]
    roll_all(db, now)
    assert db.read_now(stored, RollupHour) == before


def test_generated_history_becomes_days(db: Database, watched: list[Watched], now: datetime) -> None:
    day = day_of(now) - timedelta(days=80)
    one = Rollup.of([("ok", 20.0), ("failed", None)])
    for i in range(24):
        db.run_now(write_hours, day + i * HOUR, [(watched[0].id, one)])
    roll_all(db, now)
    (total,) = db.read_now(stored, RollupDay).values()
    assert (total.count, total.ok, total.failed, total.mean_ms) == (48, 24, 24, 20.0)
