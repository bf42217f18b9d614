"""What stays of the checks: raw results roll up into hours, hours into UTC days; raw ones are then forgotten.

An hour is always counted anew from its raw results, and a day from its hours, so that doing it twice, or
again after late results, gives the same. `rollups_due` says which; it is written with the results.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any, TypeVar

from sqlalchemy import BigInteger, delete, func, insert, select, type_coerce
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from monitors.latency import Rollup
from monitors.tables import Result, RollupDay, RollupDue, RollupHour

Rolled = TypeVar("Rolled", RollupHour, RollupDay)

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def hour_of(at: datetime) -> datetime:
    """The beginning of the hour (UTC) that `at` lies in."""
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def day_of(at: datetime) -> datetime:
    """The beginning of the UTC day that `at` lies in."""
    return hour_of(at).replace(hour=0)


def mark_due(session: Session, instants: Iterable[datetime]) -> None:
    """The hours of these instants have new results.

    The no-op update locks the row on PostgreSQL, so that a roll-up cannot strike it off in between.
    """
    hours = {hour_of(at) for at in instants}
    _mark(session, "hour", hours)


def _mark(session: Session, span: str, starts: Iterable[datetime]) -> None:
    dialect: Any = sqlite if session.get_bind().dialect.name == "sqlite" else postgresql
    statement = dialect.insert(RollupDue.__table__)
    locking = statement.on_conflict_do_update(
        index_elements=["span", "start"], set_={"start": statement.excluded["start"]}
    )
    rows = [{"span": span, "start": start} for start in sorted(starts)]
    if rows:
        session.execute(locking, rows)


def roll_up(session: Session, *, now: datetime) -> bool:
    """Roll up the oldest hour, or else day, that is over and due. False when there is none: call until so."""
    return _roll_up_next(session, "hour", HOUR, now) or _roll_up_next(session, "day", DAY, now)


def _roll_up_next(session: Session, span: str, length: timedelta, now: datetime) -> bool:
    start = session.scalar(
        select(RollupDue.start)
        .where(RollupDue.span == span, RollupDue.start <= now - length)
        .order_by(RollupDue.start)
        .limit(1)
        .with_for_update()
    )
    if start is None:
        return False
    if span == "hour":
        write_hours(session, start, _count_hour(session, start))
    else:
        _put(session, RollupDay, start, _merge_hours(session, start))
    session.execute(delete(RollupDue).where(RollupDue.span == span, RollupDue.start == start))
    return True


def write_hours(session: Session, start: datetime, rollups: Iterable[tuple[str, Rollup]]) -> None:
    """Set the roll-ups of the hour that begins at `start`, by monitor; its day is then due."""
    _put(session, RollupHour, start, rollups)
    _mark(session, "day", [day_of(start)])


def _count_hour(session: Session, start: datetime) -> Iterator[tuple[str, Rollup]]:
    counted = session.execute(
        select(
            Result.monitor_id,
            Result.verdict,
            Result.bucket,
            func.count().label("count"),
            type_coerce(func.coalesce(func.sum(Result.latency_us), 0), BigInteger).label("sum_us"),
        )
        .where(Result.at >= start, Result.at < start + HOUR)
        .group_by(Result.monitor_id, Result.verdict, Result.bucket)
        .order_by(Result.monitor_id)
    )
    for monitor_id, rows in groupby(counted, key=lambda row: row.monitor_id):
        yield monitor_id, rollup_of(row[1:] for row in rows)


def rollup_of(rows: Iterable[tuple[str, int | None, int, int]]) -> Rollup:
    """From what the database has counted: verdict, bucket, checks, the sum of their microseconds."""
    counts = dict.fromkeys(("ok", "slow", "failed", "unknown"), 0)
    histogram: dict[int, int] = {}
    sum_us = 0
    for verdict, bucket, count, latency_us in rows:
        counts[verdict] += count
        if bucket is not None and verdict in ("ok", "slow"):
            histogram[bucket] = histogram.get(bucket, 0) + count
            sum_us += int(latency_us)
    return Rollup(**counts, sum_us=sum_us, histogram=histogram)


def _merge_hours(session: Session, day: datetime) -> Iterator[tuple[str, Rollup]]:
    hours = session.scalars(
        select(RollupHour)
        .where(RollupHour.start >= day, RollupHour.start < day + DAY)
        .order_by(RollupHour.monitor_id)
        .execution_options(yield_per=1000)
    )
    for monitor_id, rows in groupby(hours, key=lambda row: row.monitor_id):
        total = Rollup()
        for row in rows:
            total = total.merge(read_rollup(row))
        yield monitor_id, total


def read_rollup(row: RollupHour | RollupDay) -> Rollup:
    """A row as what it counts."""
    histogram = {int(bucket): count for bucket, count in row.histogram.items()}
    return Rollup(row.ok, row.slow, row.failed, row.unknown, row.sum_us, histogram)


def _put(
    session: Session,
    table: type[Rolled],
    start: datetime,
    rollups: Iterable[tuple[str, Rollup]],
) -> None:
    rows = [
        {
            "monitor_id": monitor_id,
            "start": start,
            "ok": rollup.ok,
            "slow": rollup.slow,
            "failed": rollup.failed,
            "unknown": rollup.unknown,
            "sum_us": rollup.sum_us,
            "histogram": {str(bucket): count for bucket, count in sorted(rollup.histogram.items())},
        }
        for monitor_id, rollup in rollups
    ]
    session.execute(delete(table).where(table.start == start))
    if rows:
        session.execute(insert(table), rows)


def forget(session: Session, *, now: datetime, keep: timedelta, limit: int = 5000) -> int:
    """Delete up to `limit` raw results older than `keep`; returns how many: call until fewer than `limit`.

    Only whole hours that have been rolled up go, so that an hour can always be counted anew.
    """
    before = hour_of(now - keep)
    due = session.scalar(select(func.min(RollupDue.start)).where(RollupDue.span == "hour"))
    oldest = select(Result.id).where(Result.at < (before if due is None else min(before, due)))
    ids = session.scalars(oldest.order_by(Result.at).limit(limit)).all()
    for chunk in _chunks(ids, 1000):
        session.execute(delete(Result).where(Result.id.in_(chunk)))
    return len(ids)


def _chunks(ids: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    for i in range(0, len(ids), size):
        yield ids[i : i + size]
