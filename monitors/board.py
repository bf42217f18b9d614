"""The monitors on the operators' board: every one with its last check, read at once."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from monitors.rules import Policy, State, is_in_doubt
from monitors.tables import Monitor, MonitorState, Result
from statuspage.incidents.tables import Service
from statuspage.kernel.panels import MonitorLine

_NONE = timedelta()


def lines(session: Session, now: datetime, code: str | None = None) -> Mapping[str, Sequence[MonitorLine]]:
    """By service code, in order of their names; plain rows, because a board may show a thousand."""
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
            MonitorState.state,
            MonitorState.at,
            MonitorState.cause,
            MonitorState.latency_us,
            Result.phases_ms,
        )
        .join(Service, Monitor.service_id == Service.id)
        .outerjoin(MonitorState, MonitorState.monitor_id == Monitor.id)
        .outerjoin(Result, (Result.monitor_id == Monitor.id) & (Result.at == MonitorState.at))
        .where(Monitor.archived_at.is_(None), Service.archived_at.is_(None))
        .order_by(Service.position, Monitor.name)
    )
    found: dict[str, list[MonitorLine]] = defaultdict(list)
    for row in session.execute(query if code is None else query.where(Service.code == code)):
        found[row.code].append(_line(row, now))
    return found


def _line(row: Any, now: datetime) -> MonitorLine:
    state = msgspec.convert(row.state, State) if row.state else State()
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
        phases_ms=row.phases_ms or {},
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
