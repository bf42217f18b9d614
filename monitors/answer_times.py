"""How fast a service answered over some time: percentiles by quarter of an hour, hour or day, over its monitors.

Roll-ups where there are any, raw results for what is not rolled up yet. Push monitors have no answer to time.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import reduce

from sqlalchemy import BigInteger, Numeric, extract, func, select, type_coerce
from sqlalchemy.orm import Session

from monitors.history import DAY, HOUR, Rolled, day_of, hour_of, read_rollup, rollup_of
from monitors.latency import Rollup
from monitors.tables import Monitor, Result, RollupDay, RollupHour

QUARTER = timedelta(minutes=15)


class Period(StrEnum):
    """How far back one looks; the values stand in addresses."""

    DAY = "24h"
    WEEK = "7d"
    MONTH = "30d"
    QUARTER = "90d"

    @property
    def length(self) -> timedelta:
        return {"24h": DAY, "7d": 7 * DAY, "30d": 30 * DAY, "90d": 90 * DAY}[self.value]

    @property
    def step(self) -> timedelta:
        """What one point stands for."""
        return {"24h": QUARTER, "7d": HOUR}.get(self.value, DAY)


@dataclass(frozen=True, slots=True)
class Point:
    """The answers of a stretch of time; percentiles are None where nothing answered."""

    start: datetime
    length: timedelta
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    answered: int
    failed: int


@dataclass(frozen=True, slots=True)
class Series:
    """The points of a period, oldest first, and what they come to as one."""

    period: Period
    begins_at: datetime
    ends_at: datetime
    points: tuple[Point, ...]
    total: Point


def read_series(session: Session, service_id: str, period: Period, *, now: datetime) -> Series:
    """A service's answer times up to `now`. Days are UTC days; the newest point is not over yet."""
    monitor_ids = session.scalars(
        select(Monitor.id).where(Monitor.service_id == service_id, Monitor.kind != "heartbeat")
    ).all()
    begins_at = _begin(period, now)
    match period.step:
        case step if step == QUARTER:
            found = _by_quarter(session, monitor_ids, begins_at)
        case step if step == HOUR:
            found = {(at, HOUR): one for at, one in _by_hour(session, monitor_ids, begins_at).items()}
        case _:
            found = {(at, DAY): one for at, one in _by_day(session, monitor_ids, begins_at).items()}
    points = tuple(_point(start, length, found[start, length]) for start, length in sorted(found))
    whole = reduce(Rollup.merge, found.values(), Rollup())
    return Series(period, begins_at, now, points, _point(begins_at, now - begins_at, whole))


def _begin(period: Period, now: datetime) -> datetime:
    """So that the period is whole steps and the one that is going on."""
    hour = hour_of(now)
    if period.step == DAY:
        return day_of(now) - period.length + DAY
    quarters = (now - hour) // QUARTER if period.step == QUARTER else 0
    return hour + quarters * QUARTER - period.length + period.step


def _point(start: datetime, length: timedelta, rollup: Rollup) -> Point:
    return Point(
        start,
        length,
        rollup.percentile_ms(0.5),
        rollup.percentile_ms(0.95),
        rollup.percentile_ms(0.99),
        rollup.answered,
        rollup.failed,
    )


def _by_quarter(
    session: Session, monitor_ids: Sequence[str], since: datetime
) -> dict[tuple[datetime, timedelta], Rollup]:
    """From raw results; where they are forgotten or were never there, the hour as a whole."""
    quarters = _counted(session, monitor_ids, since, QUARTER)
    told = {hour_of(start) for start in quarters}
    hours = _rolled(session, RollupHour, monitor_ids, since)
    return {(at, QUARTER): one for at, one in quarters.items()} | {
        (at, HOUR): one for at, one in hours.items() if at not in told
    }


def _by_hour(session: Session, monitor_ids: Sequence[str], since: datetime) -> dict[datetime, Rollup]:
    hours = _rolled(session, RollupHour, monitor_ids, since)
    rest = max(hours) + HOUR if hours else since
    return hours | _counted(session, monitor_ids, rest, HOUR)


def _by_day(session: Session, monitor_ids: Sequence[str], since: datetime) -> dict[datetime, Rollup]:
    days = _rolled(session, RollupDay, monitor_ids, since)
    # A day is rolled up again when an hour of it is late, so that the newest may be less than whole.
    rest = max(days) if days else since
    hours = _by_hour(session, monitor_ids, rest)
    return days | _merged((day_of(at), rollup) for at, rollup in hours.items())


def _rolled(
    session: Session, table: type[Rolled], monitor_ids: Sequence[str], since: datetime
) -> dict[datetime, Rollup]:
    rows = session.scalars(select(table).where(table.monitor_id.in_(monitor_ids), table.start >= since))
    return _merged((row.start, read_rollup(row)) for row in rows)


def _counted(
    session: Session, monitor_ids: Sequence[str], since: datetime, step: timedelta
) -> dict[datetime, Rollup]:
    """Raw results by step. The database counts, so that no row is read one by one."""
    second = type_coerce(extract("epoch", Result.at), Numeric)
    start = (second - second % int(step.total_seconds())).label("start")
    rows = session.execute(
        select(
            start,
            Result.verdict,
            Result.bucket,
            func.count().label("count"),
            type_coerce(func.coalesce(func.sum(Result.latency_us), 0), BigInteger).label("sum_us"),
        )
        .where(Result.monitor_id.in_(monitor_ids), Result.at >= since)
        .group_by(start, Result.verdict, Result.bucket)
    )
    parts: dict[datetime, list[tuple[str, int | None, int, int]]] = {}
    for at, *counted in rows:
        parts.setdefault(datetime.fromtimestamp(int(at), UTC), []).append(tuple(counted))
    return {at: rollup_of(counted) for at, counted in parts.items()}


def _merged(rollups: Iterable[tuple[datetime, Rollup]]) -> dict[datetime, Rollup]:
    found: dict[datetime, Rollup] = {}
    for at, rollup in rollups:
        found[at] = found[at].merge(rollup) if at in found else rollup
    return found
