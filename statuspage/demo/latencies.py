"""Ninety days of roll-ups for the demo's monitors, agreeing with the measured intervals of their services.

A service's day has a shape: calm at night, busier and slower in working hours.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache, reduce
from random import Random
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from monitors.latency import LAST_BUCKET, Rollup, bucket_of, middle_ms
from monitors.tables import Monitor, RollupDay, RollupHour
from statuspage.incidents.rules import ServiceStatus
from statuspage.incidents.tables import Interval, Service
from statuspage.incidents.uptime import UNKNOWN, Span

DAYS = 90
HOUR_DAYS = 7  # hours are written for the last days only; what is older is shown by the day
_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)
_MIDDLE_US = tuple(round(middle_ms(bucket) * 1000) for bucket in range(LAST_BUCKET + 1))
_SLOW_BUCKETS = 22  # 1.1^22: eight times slower
# How many of a thousand answers lie so many buckets away from the most frequent latency; the tail is long.
_SHAPE = (
    (-4, 8),
    (-3, 31),
    (-2, 88),
    (-1, 166),
    (0, 204),
    (1, 181),
    (2, 130),
    (3, 82),
    (4, 48),
    (6, 34),
    (9, 18),
    (13, 10),
)
# Buckets slower than at night, by the hour in UTC.
_BUSY = (0, 0, 0, 0, 0, 1, 2, 4, 5, 5, 4, 4, 3, 4, 3, 2, 1, 1, 0, 0, 0, 0, 0, 0)
_BUSY_ON_AVERAGE = round(sum(_BUSY) / 24)
_VERDICT = {ServiceStatus.DEGRADED_PERFORMANCE.value: "slow", UNKNOWN: "unknown"}  # everything else failed


@dataclass(frozen=True, slots=True)
class Watched:
    """A monitor as its roll-ups need it."""

    id: str
    interval_s: float
    bucket: int | None  # of the most frequent latency at night; None: a push monitor, which has none
    spans: tuple[Span, ...]  # of its service, in order


def fill(session: Session, *, now: datetime) -> bool:
    """Write hours and days up to the hour of `now`; False when there are roll-ups already.

    The catalogue's monitors and the history have to be there before.
    """
    if session.scalar(select(RollupDay.monitor_id).limit(1)) is not None:
        return False
    this_hour = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    for watched in _watched(session):
        hours: list[dict[str, Any]] = []
        days: list[dict[str, Any]] = []
        for day in _days(this_hour):
            if this_hour - day > timedelta(days=HOUR_DAYS):
                days.append(_row(watched.id, day, roll(watched, day, _DAY)))
                continue
            rolled = [(start, roll(watched, start, _HOUR)) for start in _hours(day, this_hour)]
            hours += [_row(watched.id, start, rollup) for start, rollup in rolled]
            days.append(
                _row(watched.id, day, reduce(Rollup.merge, (rollup for _, rollup in rolled), Rollup()))
            )
        session.execute(insert(RollupHour), hours)
        session.execute(insert(RollupDay), days)
    return True


def roll(watched: Watched, start: datetime, length: timedelta) -> Rollup:
    """The checks from `start` on: as many as the interval says, judged by what was measured then."""
    checks = round(length.total_seconds() / watched.interval_s)
    seconds = _seconds_by_verdict(watched.spans, start, start + length)
    slow, failed, unknown = (
        round(seconds[verdict] / watched.interval_s) for verdict in ("slow", "failed", "unknown")
    )
    ok = max(0, checks - slow - failed - unknown)
    if watched.bucket is None:
        return Rollup(ok, slow, failed, unknown)
    usual = watched.bucket + (_BUSY[start.hour] if length == _HOUR else _BUSY_ON_AVERAGE)
    histogram = dict(_spread(ok, usual))
    for bucket, count in _spread(slow, usual + _SLOW_BUCKETS):
        histogram[bucket] = histogram.get(bucket, 0) + count
    sum_us = sum(count * _MIDDLE_US[bucket] for bucket, count in histogram.items())
    return Rollup(ok, slow, failed, unknown, sum_us, histogram)


def _days(this_hour: datetime) -> Iterator[datetime]:
    """The UTC days up to `this_hour`; today only once an hour of it is over."""
    today = this_hour.replace(hour=0)
    for back in range(DAYS - 1, -1, -1):
        if back or this_hour > today:
            yield today - timedelta(days=back)


def _hours(day: datetime, this_hour: datetime) -> Iterator[datetime]:
    for hour in range(24):
        if (start := day + hour * _HOUR) < this_hour:
            yield start


def _seconds_by_verdict(spans: Sequence[Span], start: datetime, end: datetime) -> dict[str, float]:
    found = dict.fromkeys(("slow", "failed", "unknown"), 0.0)
    for span in spans:
        if overlap_s := span.overlap_s(start, end):
            found[_VERDICT.get(span.status, "failed")] += overlap_s
    return found


@lru_cache(maxsize=4096)
def _spread(count: int, bucket: int) -> tuple[tuple[int, int], ...]:
    """`count` answers around `bucket`; all of them, also where the shares do not divide."""
    parts = [(bucket + offset, count * share // 1000) for offset, share in _SHAPE]
    rest = count - sum(number for _, number in parts)
    return tuple(
        (at, number + (rest if at == bucket else 0))
        for at, number in parts
        if number or (rest and at == bucket)
    )


def _watched(session: Session) -> list[Watched]:
    spans: dict[str, list[Span]] = defaultdict(list)
    for interval in session.scalars(select(Interval).order_by(Interval.began_at)):
        spans[interval.service_id].append(Span(interval.status, interval.began_at, interval.ended_at))
    query = select(Monitor, Service.code).join(Service, Service.id == Monitor.service_id)
    return [
        Watched(
            monitor.id,
            monitor.interval_s,
            None if monitor.kind == "heartbeat" else _usual_bucket(code, monitor),
            tuple(spans[monitor.service_id]),
        )
        for monitor, code in session.execute(query.where(Monitor.archived_at.is_(None)))
    ]


def _usual_bucket(code: str, monitor: Monitor) -> int:
    """Of 25 to 140 ms for a portal, a third of that for a gateway; the same in every fresh demo."""
    usual_ms = Random(f"{code} {monitor.name}").uniform(25, 140)
    return bucket_of(usual_ms if monitor.kind == "http" else usual_ms / 3)


def _row(monitor_id: str, start: datetime, rollup: Rollup) -> dict[str, Any]:
    return {
        "monitor_id": monitor_id,
        "start": start,
        "ok": rollup.ok,
        "slow": rollup.slow,
        "failed": rollup.failed,
        "unknown": rollup.unknown,
        "sum_us": rollup.sum_us,
        "histogram": {str(bucket): count for bucket, count in sorted(rollup.histogram.items())},
    }
