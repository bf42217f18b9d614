"""The demo's roll-ups: they agree with the measured intervals, add up, and are written quickly."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

import monitors.catalogue
from monitors.answer_times import Period, read_series
from monitors.tables import Monitor, RollupDay, RollupHour
from statuspage.demo import history, latencies
from statuspage.demo.latencies import Watched, roll
from statuspage.demo.simulator import Simulator, fill
from statuspage.demo.world import CATALOGUE
from statuspage.incidents import catalogue
from statuspage.incidents.tables import Service
from statuspage.incidents.uptime import Span
from statuspage.kernel.db import Database

WARSAW = ZoneInfo("Europe/Warsaw")
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
async def demo_db(db: Database, now: datetime, tmp_path: Path) -> Database:
    """The demo's catalogue, with the simulator's addresses, and its history."""
    text = CATALOGUE.read_text(encoding="utf-8")
    simulator = Simulator(text, tmp_path)
    await simulator.start()
    declared = catalogue.parse(fill(text, simulator), where="catalogue.toml")
    await simulator.stop()
    checked = monitors.catalogue.parse_monitors(declared.monitors, "catalogue.toml")
    db.run_now(catalogue.apply, declared, now=now)
    db.run_now(monitors.catalogue.apply, checked, now=now)
    db.run_now(history.fill, zone=WARSAW, now=now)
    return db


def test_a_good_hour_has_as_many_checks_as_the_interval_says() -> None:
    rolled = roll(Watched("m", 2.0, 60, ()), NOON, HOUR)
    assert (rolled.ok, rolled.slow, rolled.failed, rolled.unknown) == (1800, 0, 0, 0)
    assert rolled.answered == 1800


def test_a_failing_half_hour_fails_half_the_checks() -> None:
    span = Span("major_outage", NOON + HOUR / 4, NOON + HOUR * 3 / 4)
    rolled = roll(Watched("m", 2.0, 60, (span,)), NOON, HOUR)
    assert (rolled.ok, rolled.failed) == (900, 900)
    assert rolled.answered == 900


def test_a_slow_hour_answers_late_and_an_unmeasured_one_not_at_all() -> None:
    calm = roll(Watched("m", 2.0, 60, ()), NOON, HOUR)
    slow = roll(Watched("m", 2.0, 60, (Span("degraded_performance", NOON, NOON + HOUR),)), NOON, HOUR)
    gap = roll(Watched("m", 2.0, 60, (Span("unknown", NOON, NOON + HOUR),)), NOON, HOUR)
    assert slow.slow == 1800
    assert (slow.percentile_ms(0.5) or 0) > 5 * (calm.percentile_ms(0.5) or 0)
    assert (gap.unknown, gap.answered) == (1800, 0)


def test_a_push_monitor_has_checks_and_no_latency() -> None:
    rolled = roll(Watched("m", 2.0, None, ()), NOON, HOUR)
    assert rolled.ok == 1800
    assert rolled.answered == rolled.sum_us == 0


async def test_ninety_days_are_written_for_every_monitor_once(demo_db: Database, now: datetime) -> None:
    assert demo_db.run_now(latencies.fill, now=now)
    assert not demo_db.run_now(latencies.fill, now=now)
    days = demo_db.read_now(lambda s: s.execute(select(RollupDay.monitor_id, RollupDay.start)).all())
    by_monitor = defaultdict(set)
    for monitor_id, start in days:
        by_monitor[monitor_id].add(start)
    assert by_monitor.keys() == set(demo_db.read_now(lambda s: s.scalars(select(Monitor.id)).all()))
    assert {len(starts) for starts in by_monitor.values()} == {90}
    assert all(
        max(starts) <= now and now - min(starts) < timedelta(days=91) for starts in by_monitor.values()
    )


async def test_a_recent_day_is_the_sum_of_its_hours(demo_db: Database, now: datetime) -> None:
    demo_db.run_now(latencies.fill, now=now)
    day = now.replace(hour=0, minute=0) - timedelta(days=5)

    def sums(session: Session) -> None:
        for rolled in session.scalars(select(RollupDay).where(RollupDay.start == day)):
            hours = session.scalars(
                select(RollupHour).where(
                    RollupHour.monitor_id == rolled.monitor_id,
                    RollupHour.start >= day,
                    RollupHour.start < day + timedelta(days=1),
                )
            ).all()
            assert len(hours) == 24
            assert sum(hour.ok for hour in hours) == rolled.ok
            assert sum(hour.sum_us for hour in hours) == rolled.sum_us

    demo_db.read_now(sums)


async def test_no_hour_that_is_not_over_is_written(demo_db: Database, now: datetime) -> None:
    demo_db.run_now(latencies.fill, now=now)
    newest = demo_db.read_now(
        lambda s: s.scalars(select(RollupHour.start).order_by(RollupHour.start.desc())).first()
    )
    assert newest == now.replace(minute=0) - HOUR


async def test_the_gateways_outage_shows_in_its_latencies(demo_db: Database, now: datetime) -> None:
    demo_db.run_now(latencies.fill, now=now)
    service_id = demo_db.read_now(
        lambda s: s.scalars(select(Service.id).where(Service.code == "PUESC")).one()
    )
    days = demo_db.read_now(read_series, service_id, Period.QUARTER, now=now).points
    assert len(days) == 90
    assert sum(1 for day in days if day.failed) == 1
    assert all(day.p50_ms for day in days)
