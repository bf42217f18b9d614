"""Percentiles over time, from raw results and from roll-ups, on both databases."""

import random
from collections import defaultdict
from datetime import datetime, timedelta

import pytest

from monitors.answer_times import QUARTER, Period, Series, read_series
from monitors.history import DAY, HOUR, day_of, forget, hour_of, roll_up, write_hours
from monitors.latency import Rollup
from monitors.probes import Outcome, Verdict
from monitors.rules import State
from monitors.store import Batch, Seen, Watched, save
from statuspage.kernel import config
from statuspage.kernel.db import Database
from tests.monitors.catalogues import declare

PORTAL = {"service": "NCTS2", "name": "portal", "kind": "http", "spec": {"url": "https://ncts2.example/"}}
GATEWAY = {"service": "NCTS2", "name": "gateway", "kind": "tcp", "spec": {"host": "g.example", "port": 25}}
JOB = {"service": "NCTS2", "name": "job", "kind": "heartbeat", "spec": {"period": "1d"}}
OTHER = {"service": "AES", "name": "portal", "kind": "http", "spec": {"url": "https://aes.example/"}}


@pytest.fixture
def watched(db: Database, now: datetime) -> dict[str, Watched]:
    return declare(db, ["NCTS2", "AES"], [PORTAL, GATEWAY, JOB, OTHER], now=now)


def looked(
    db: Database, monitors: list[Watched], begin: datetime, length: timedelta, count: int
) -> list[Seen]:
    """Checks at random instants with random outcomes, saved."""
    chance = random.Random(count)
    batch, made = Batch(), []
    for _ in range(count):
        verdict = chance.choices(list(Verdict), [80, 10, 8, 2])[0]
        latency_ms = None if verdict is Verdict.UNKNOWN else chance.lognormvariate(4, 1)
        at = begin + chance.random() * length
        made.append(Seen(chance.choice(monitors).id, at, Outcome(verdict, "", latency_ms), State()))
        batch.add(made[-1])
    db.run_now(save, batch, now=begin + length, policy=config.Incidents())
    return made


def roll_all(db: Database, now: datetime) -> None:
    while db.run_now(roll_up, now=now):
        pass


def read(db: Database, watched: dict[str, Watched], period: Period, now: datetime) -> Series:
    return db.read_now(read_series, watched["NCTS2/portal"].service_id, period, now=now)


def expected(made: list[Seen], step: timedelta) -> dict[datetime, Rollup]:
    epoch = day_of(made[0].at) - 10 * DAY
    parts: dict[datetime, list[tuple[str, float | None]]] = defaultdict(list)
    for seen in made:
        parts[epoch + (seen.at - epoch) // step * step].append(
            (seen.outcome.verdict.value, seen.outcome.latency_ms)
        )
    return {start: Rollup.of(part) for start, part in parts.items()}


def said(series: Series) -> dict[datetime, tuple[float | None, float | None, float | None, int, int]]:
    return {p.start: (p.p50_ms, p.p95_ms, p.p99_ms, p.answered, p.failed) for p in series.points}


def told(
    rollups: dict[datetime, Rollup],
) -> dict[datetime, tuple[float | None, float | None, float | None, int, int]]:
    return {
        start: (
            one.percentile_ms(0.5), one.percentile_ms(0.95), one.percentile_ms(0.99), one.answered, one.failed
        )
        for start, one in rollups.items()
    }  # fmt: skip


def test_the_last_day_goes_by_quarters_of_an_hour(
    db: Database, watched: dict[str, Watched], now: datetime
) -> None:
    mine = [watched["NCTS2/portal"], watched["NCTS2/gateway"]]
    made = looked(db, mine, now - timedelta(hours=20), timedelta(hours=20), 600)
    looked(db, [watched["AES/portal"]], now - timedelta(hours=2), timedelta(hours=2), 20)
    series = read(db, watched, Period.DAY, now)
    assert said(series) == told(expected(made, QUARTER)), "of all its monitors, and of no other service's"
    assert {point.length for point in series.points} == {QUARTER}
    assert series.total.answered == sum(point.answered for point in series.points)


def test_what_has_no_raw_results_is_told_by_the_hour(
    db: Database, watched: dict[str, Watched], now: datetime
) -> None:
    looked(db, [watched["NCTS2/portal"]], now - timedelta(hours=9), timedelta(hours=9), 400)
    roll_all(db, now)
    db.run_now(forget, now=now, keep=timedelta(hours=4))
    points = read(db, watched, Period.DAY, now).points
    limit = hour_of(now - timedelta(hours=4))
    assert {point.length for point in points if point.start < limit} == {HOUR}
    assert {point.length for point in points if point.start >= limit} == {QUARTER}
    assert sum(point.answered + point.failed for point in points) > 350, "each check once"


@pytest.mark.parametrize(("period", "step"), [(Period.WEEK, HOUR), (Period.MONTH, DAY)])
def test_hours_and_days_are_those_of_the_roll_ups_and_the_one_going_on(
    db: Database, watched: dict[str, Watched], now: datetime, period: Period, step: timedelta
) -> None:
    made = looked(db, [watched["NCTS2/portal"]], now - timedelta(days=4), timedelta(days=4), 900)
    roll_all(db, now)
    series = read(db, watched, period, now)
    assert said(series) == told(expected(made, step))
    assert series.points[-1].start + step > now


def test_a_period_is_whole_steps(db: Database, watched: dict[str, Watched], now: datetime) -> None:
    for period in Period:
        series = read(db, watched, period, now)
        steps = -((series.begins_at - series.ends_at) // period.step)
        assert steps == period.length // period.step
        assert (series.points, series.total.answered) == ((), 0)
        assert series.total.p50_ms is None


def test_a_day_rolled_up_too_early_is_completed_from_its_hours(
    db: Database, watched: dict[str, Watched], now: datetime
) -> None:
    begin = day_of(now)
    one = Rollup.of([("ok", 20.0)])
    portal = watched["NCTS2/portal"].id
    for i in range(hour_of(now).hour):
        db.run_now(write_hours, begin + i * HOUR, [(portal, one)])
    (today,) = read(db, watched, Period.QUARTER, now).points
    assert today.answered == hour_of(now).hour


def test_a_push_monitor_has_no_answer_to_time(
    db: Database, watched: dict[str, Watched], now: datetime
) -> None:
    looked(db, [watched["NCTS2/job"]], now - timedelta(hours=2), timedelta(hours=2), 30)
    assert read(db, watched, Period.DAY, now).points == ()
