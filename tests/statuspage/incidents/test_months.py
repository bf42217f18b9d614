"""Uptime by month and year, further back than the days of the snapshot."""

import random
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from statuspage.incidents.rules import OUTAGES, ServiceStatus
from statuspage.incidents.snapshot import Day, Month, ServiceView
from statuspage.incidents.snapshots import SnapshotBuilder
from statuspage.incidents.tables import Interval, Service
from statuspage.incidents.uptime import UNKNOWN, by_month, by_year, with_day
from statuspage.kernel import config

from .conftest import Story

ZONE = config.Settings().zone
STATUSES = (*OUTAGES, ServiceStatus.DEGRADED_PERFORMANCE, UNKNOWN)


def lived(story: Story, code: str, *, days: int, seed: int) -> list[Interval]:
    """A service measured for so many days, with random intervals in whole seconds, two a week."""
    chance = random.Random(seed)
    begin = story.now - timedelta(days=days)
    service_id = story.service(code).id
    rows = []
    at = begin
    while (at := at + timedelta(seconds=chance.randrange(3600, 7 * 86400))) < story.now - timedelta(days=3):
        ended_at = at + timedelta(seconds=chance.randrange(60, 3 * 86400))
        rows.append(
            {"service_id": service_id, "status": str(chance.choice(STATUSES)), "cause": "", "began_at": at,
             "detected_at": at, "ended_at": ended_at}
        )  # fmt: skip
        at = ended_at

    def write(session: Session) -> list[Interval]:
        session.execute(insert(Interval), rows)
        session.execute(
            update(Service)
            .where(Service.id == service_id)
            .values(first_measured_at=begin, measured="operational", measured_since=begin)
        )
        return list(session.scalars(select(Interval).where(Interval.service_id == service_id)))

    return story.db.run_now(write)


def view(story: Story, code: str, builder: SnapshotBuilder | None = None) -> ServiceView:
    return next(s for s in story.snapshot(builder).services if s.code == code)


def seconds(intervals: list[Interval], begin: datetime, end: datetime, *statuses: str) -> float:
    return sum(
        max(0.0, (min(i.ended_at or end, end) - max(i.began_at, begin)).total_seconds())
        for i in intervals
        if i.status in statuses
    )


def counted_plainly(intervals: list[Interval], first: datetime, now: datetime) -> dict[tuple[int, int], int]:
    """Seconds down by local month, counted without any of what is tested."""
    found: dict[tuple[int, int], float] = defaultdict(float)
    day: date = first.astimezone(ZONE).date()
    while day <= now.astimezone(ZONE).date():
        begin = datetime.combine(day, time(), ZONE).astimezone(UTC)
        end = min(datetime.combine(day + timedelta(days=1), time(), ZONE).astimezone(UTC), now)
        found[day.year, day.month] += seconds(intervals, max(begin, first), end, *OUTAGES)
        day += timedelta(days=1)
    return {month: round(down_s) for month, down_s in found.items()}


def test_months_reach_back_to_the_first_measurement(story: Story) -> None:
    intervals = lived(story, "NCTS2", days=800, seed=1)
    months = view(story, "NCTS2").months
    first = story.now - timedelta(days=800)
    assert {(m.year, m.month): m.down_s for m in months} == counted_plainly(intervals, first, story.now)
    assert months == tuple(sorted(months, key=lambda m: (m.year, m.month), reverse=True))
    assert sum(m.accountable_s + m.unknown_s for m in months) == pytest.approx(800 * 86400, abs=120)


def test_what_was_never_measured_has_no_month(story: Story) -> None:
    assert view(story, "NCTS2").months == ()


def test_a_service_that_is_new_has_one_month(story: Story) -> None:
    story.recovered("NCTS2")
    (month,) = view(story.after(minutes=10), "NCTS2").months
    assert (month.uptime, month.down_s) == (1.0, 0)


def test_a_kept_builder_counts_as_a_fresh_one_from_day_to_day(story: Story) -> None:
    lived(story, "NCTS2", days=400, seed=2)
    lived(story, "AES", days=120, seed=3)
    kept = SnapshotBuilder(ZONE, counts_maintenance=False)
    for _ in range(5):
        story.snapshot(kept)
        story.found("NCTS2")
        story.after(hours=9)
        assert view(story, "NCTS2", kept) == view(story, "NCTS2")
        story.recovered("NCTS2")
        story.after(days=7)
        assert view(story, "NCTS2", kept) == view(story, "NCTS2")
        assert view(story, "AES", kept) == view(story, "AES")


def test_an_outage_that_began_before_the_days_and_got_worse_is_counted_anew(story: Story) -> None:
    began_at = story.now - timedelta(days=200)
    service_id = story.service("CRPA").id

    def write(session: Session) -> None:
        session.execute(
            insert(Interval).values(
                service_id=service_id, status="degraded_performance", cause="slow", began_at=began_at,
                detected_at=began_at, ended_at=None,
            )
        )  # fmt: skip
        session.execute(update(Service).where(Service.id == service_id).values(first_measured_at=began_at))

    story.db.run_now(write)
    kept = SnapshotBuilder(ZONE, counts_maintenance=False)
    assert {month.down_s for month in view(story, "CRPA", kept).months} == {0}
    story.db.run_now(lambda session: session.execute(update(Interval).values(status="major_outage")) and None)
    assert sum(month.down_s for month in view(story, "CRPA", kept).months) == 200 * 86400


GOOD = Day(date(2026, 1, 31), ServiceStatus.OPERATIONAL, 1.0, 0, 0, 0, 0, 86400)


def test_a_day_more_joins_its_month_or_begins_one() -> None:
    january = by_month((GOOD,))
    assert with_day(january, replace(GOOD, day=date(2026, 1, 31))) == (Month(2026, 1, 1.0, 172_800, 0, 0, 0),)
    assert [m.month for m in with_day(january, replace(GOOD, day=date(2026, 2, 1)))] == [2, 1]
    unmeasured = Day(date(2026, 2, 1), None, None, 0, 0, 0, 0)
    assert with_day(january, unmeasured) == january


def test_a_year_weighs_its_months_by_the_time_they_account_for() -> None:
    months = (
        Month(2026, 1, 0.5, 100, 50, 0, 0),
        Month(2025, 12, 1.0, 900, 0, 7, 3),
        Month(2025, 11, 0.0, 100, 100, 0, 0),
    )
    assert by_year(months) == (
        (2026, Month(2026, 0, 0.5, 100, 50, 0, 0)),
        (2025, Month(2025, 0, 0.9, 1000, 100, 7, 3)),
    )
