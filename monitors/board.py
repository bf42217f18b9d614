"""The monitors on the operators' board: every one with its last check, read at once."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import String, cast, select
from sqlalchemy.orm import Session

from monitors.rules import Policy, State, is_in_doubt
from monitors.tables import Monitor, MonitorState, Result
from statuspage.incidents.tables import Service
from statuspage.kernel.panels import MonitorLine

_NONE = timedelta()


def lines(session: Session, now: datetime, code: str | None = None) -> Mapping[str, Sequence[MonitorLine]]:
    """By service code, in order of their names.

    The last check's phases are read for one service, or of the whole board for what went wrong: a thousand are many.
    """
    query = (
        select(
            Service.code,
            Monitor.id,
            Monitor.name,
            Monitor.kind,
            Monitor.interval_s,
            Monitor.retry_s,
            Monitor.timeout_s,
            Monitor.confirm_down,
            Monitor.paused_at,
            cast(MonitorState.state, String).label("state"),  # read by msgspec, five times as fast
            MonitorState.at,
            MonitorState.cause,
            MonitorState.latency_us,
        )
        .join(Service, Monitor.service_id == Service.id)
        .outerjoin(MonitorState, MonitorState.monitor_id == Monitor.id)
        .where(Monitor.archived_at.is_(None), Service.archived_at.is_(None))
        .order_by(Service.position, Monitor.name)
    )
    found: dict[str, list[MonitorLine]] = defaultdict(list)
    phases = _phases(session, code)
    for row in session.execute(query if code is None else query.where(Service.code == code)):
        found[row.code].append(_line(row, phases.get(row.id, {}), now))
    return found


def _phases(session: Session, code: str | None) -> Mapping[str, Mapping[str, float]]:
    """Of the last check of each monitor of a service; without one, of each monitor whose last check says a cause."""
    rows = session.execute(
        select(Result.monitor_id, Result.phases_ms)
        .join(Monitor, Monitor.id == Result.monitor_id)
        .join(Service, Service.id == Monitor.service_id)
        .join(MonitorState, (MonitorState.monitor_id == Result.monitor_id) & (MonitorState.at == Result.at))
        .where(MonitorState.cause != "" if code is None else Service.code == code)
    )
    return {monitor_id: phases for monitor_id, phases in rows}


def _line(row: Any, phases: Mapping[str, float], now: datetime) -> MonitorLine:
    state = msgspec.json.decode(row.state, type=State) if row.state else State()
    next_at = None
    if row.at is not None and row.paused_at is None:
        next_at = row.at + timedelta(seconds=row.retry_s if _is_in_doubt(state, row) else row.interval_s)
    return MonitorLine(
        id=row.id,
        name=row.name,
        kind=row.kind,
        level=state.level.value,
        since=state.unknown_since or state.since,
        checked_at=row.at,
        cause=row.cause or "",
        latency_ms=None if row.latency_us is None else row.latency_us / 1000,
        phases_ms=phases,
        next_at=next_at,
        late=max(_NONE, now - next_at) if next_at else _NONE,
        is_paused=row.paused_at is not None,
        is_flapping=state.is_flapping,
    )


def _is_in_doubt(state: State, row: Any) -> bool:
    interval, retry, timeout = (
        timedelta(seconds=seconds) for seconds in (row.interval_s, row.retry_s, row.timeout_s)
    )
    return is_in_doubt(state, Policy(interval, retry, timeout, row.confirm_down))
