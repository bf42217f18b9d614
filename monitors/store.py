"""The monitors' verbs: what to watch, what was seen, who was heard. Roll-ups and retention: `history`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import msgspec
from sqlalchemy import insert, inspect, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from monitors.catalogue import VERSION, touch
from monitors.history import mark_due
from monitors.latency import bucket_of
from monitors.probes import Beats, Outcome
from monitors.rules import Level, Policy, Standing, State
from monitors.tables import Monitor, MonitorBeats, MonitorState, Result
from statuspage.incidents import services
from statuspage.incidents.rules import ServiceStatus
from statuspage.incidents.tables import Service
from statuspage.kernel import audit, config
from statuspage.kernel.db import Base
from statuspage.kernel.errors import Conflict, NotFound
from statuspage.kernel.events import Counter
from statuspage.kernel.security import Signer, hash_token

MAX_LATENCY_US = 2**31 - 1


class BeatKind(StrEnum):
    """What a sender says."""

    START = "start"
    SUCCESS = "success"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Watched:
    """A monitor as the runner has it."""

    id: str
    service_id: str
    key: str  # SERVICE/name
    kind: str
    spec: Mapping[str, Any]
    policy: Policy
    created_at: datetime
    is_paused: bool = False
    recheck_at: datetime | None = field(
        default=None, compare=False
    )  # asked for; changes nothing of the check


@dataclass(frozen=True, slots=True)
class Loaded:
    """All that there is to watch, and how it stood when it was last looked at."""

    version: int
    monitors: tuple[Watched, ...]
    states: Mapping[str, tuple[State, datetime]]  # by monitor: the state and the instant of its last check
    published: Mapping[str, Standing]  # by service: what was last reported


@dataclass(frozen=True, slots=True)
class Seen:
    """One check, judged, as it is saved."""

    monitor_id: str
    at: datetime
    outcome: Outcome
    state: State


@dataclass(frozen=True, slots=True)
class Unmeasured:
    """Nothing is known about a service since then."""

    service_id: str
    since: datetime


@dataclass(slots=True)
class Batch:
    """What was found since the last save."""

    results: list[Seen] = field(default_factory=list)
    states: dict[str, Seen] = field(default_factory=dict)  # the last one of each monitor
    findings: list[services.Finding | Unmeasured] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.results or self.states or self.findings)

    def add(self, seen: Seen) -> None:
        """Take in one check."""
        self.results.append(seen)
        self.states[seen.monitor_id] = seen

    def put_before(self, later: "Batch", *, max_results: int) -> int:
        """Go in front of `later`. Of too many results the oldest are dropped; returns how many."""
        later.results[:0] = self.results
        later.states = self.states | later.states
        later.findings[:0] = self.findings
        dropped = max(0, len(later.results) - max_results)
        del later.results[:dropped]
        return dropped


# --- what to watch ---


def version(session: Session) -> int:
    """Changes whenever a monitor does."""
    return session.scalar(select(Counter.value).where(Counter.name == VERSION)) or 0


def load(session: Session, flapping: config.Monitors) -> Loaded:
    """Every monitor that is not archived, with its state."""
    rows = session.execute(_monitors())
    monitors = tuple(_watched(row, code, flapping) for row, code in rows)
    states = {
        row.monitor_id: (msgspec.convert(row.state, State), row.at)
        for row in session.scalars(select(MonitorState))
    }
    published = {
        service.id: Standing(
            ServiceStatus(service.measured),
            service.measured_since or service.created_at,
            unknown_since=service.unknown_since,
        )
        for service in session.scalars(select(Service).where(Service.archived_at.is_(None)))
        if service.measured is not None
    }
    return Loaded(version(session), monitors, states, published)


def find(session: Session, text: str, flapping: config.Monitors) -> list[Watched]:
    """The monitors called `text`: SERVICE/name, an id, or a service's code for all of its monitors.

    Raises NotFound naming those there are.
    """
    known = [_watched(row, code, flapping) for row, code in session.execute(_monitors())]
    found = [monitor for monitor in known if text in (monitor.id, monitor.key, monitor.key.partition("/")[0])]
    if not found:
        raise NotFound(
            'there is no monitor "%(monitor)s"; there are %(known)s',
            monitor=text,
            known=", ".join(sorted(each.key for each in known)),
        )
    return found


def _monitors() -> Any:
    return (
        select(Monitor, Service.code)
        .join(Service, Monitor.service_id == Service.id)
        .where(Monitor.archived_at.is_(None), Service.archived_at.is_(None))
        .order_by(Service.position, Monitor.name)
    )


def _watched(row: Monitor, code: str, flapping: config.Monitors) -> Watched:
    policy = Policy(
        interval=timedelta(seconds=row.interval_s),
        retry=timedelta(seconds=row.retry_s),
        timeout=timedelta(seconds=row.timeout_s),
        confirm_down=row.confirm_down,
        confirm_up=row.confirm_up,
        flap_window=flapping.flap_window,
        flap_threshold=flapping.flap_threshold,
    )
    return Watched(
        row.id,
        row.service_id,
        f"{code}/{row.name}",
        row.kind,
        row.spec,
        policy,
        row.created_at,
        is_paused=row.paused_at is not None,
        recheck_at=row.recheck_at,
    )


def pause(session: Session, monitor_id: str, *, by: str, now: datetime) -> str:
    """Stop checking; what is published of the service then rests on its other monitors. Returns its code."""
    row = _get(session, monitor_id)
    row.paused_at = row.paused_at or now
    return _changed(session, row, "monitor.paused", by, now)


def resume(session: Session, monitor_id: str, *, by: str, now: datetime) -> str:
    """Check again. Returns the service's code."""
    row = _get(session, monitor_id)
    row.paused_at = None
    return _changed(session, row, "monitor.resumed", by, now)


def ask_recheck(session: Session, monitor_id: str, *, by: str, now: datetime) -> str:
    """Have it checked at once, by whichever process checks it. Returns the service's code.

    Raises NotFound, Conflict while it is paused.
    """
    row = _get(session, monitor_id)
    if row.paused_at is not None:
        raise Conflict("%(monitor)s is paused; resume it first", monitor=row.name)
    row.recheck_at = now
    return _changed(session, row, "monitor.recheck-asked", by, now)


def service_code(session: Session, monitor_id: str) -> str:
    """The code of the service that it watches. Raises NotFound."""
    return session.get_one(Service, _get(session, monitor_id).service_id).code


def _changed(session: Session, row: Monitor, action: str, by: str, now: datetime) -> str:
    touch(session)
    code = session.get_one(Service, row.service_id).code
    session.flush()
    audit.record(session, by, action, f"monitor:{row.id}", {"monitor": f"{code}/{row.name}"}, at=now)
    return code


def _get(session: Session, monitor_id: str) -> Monitor:
    row = session.get(Monitor, monitor_id)
    if row is None or row.archived_at is not None:
        raise NotFound('there is no monitor "%(monitor)s"', monitor=monitor_id)
    return row


# --- what was seen ---


def save(session: Session, batch: Batch, *, now: datetime, policy: config.Incidents) -> None:
    """Results, states, and what follows for the services, all or nothing."""
    if batch.results:
        session.execute(insert(Result), [_result(seen) for seen in batch.results])
        mark_due(session, (seen.at for seen in batch.results))
    upsert(session, MonitorState, [_state(seen) for seen in batch.states.values()])
    for finding in batch.findings:
        if isinstance(finding, Unmeasured):
            services.report_unknown(session, finding.service_id, since=finding.since, now=now)
        else:
            services.report(session, finding, now=now, policy=policy)


def _result(seen: Seen) -> dict[str, Any]:
    outcome = seen.outcome
    return {
        "monitor_id": seen.monitor_id,
        "at": seen.at,
        "verdict": outcome.verdict.value,
        "latency_us": _microseconds(outcome),
        "bucket": None if outcome.latency_ms is None else bucket_of(outcome.latency_ms),
        "cause": outcome.cause,
        "phases_ms": {phase: round(ms, 3) for phase, ms in outcome.phases_ms.items()},
    }


def _state(seen: Seen) -> dict[str, Any]:
    return {
        "monitor_id": seen.monitor_id,
        "state": msgspec.to_builtins(seen.state),
        "level": seen.state.level.value,
        "at": seen.at,
        "verdict": seen.outcome.verdict.value,
        "cause": seen.outcome.cause,
        "latency_us": _microseconds(seen.outcome),
        "facts": dict(seen.outcome.facts),
    }


def _microseconds(outcome: Outcome) -> int | None:
    """Runs of pushed jobs can take hours; the column ends at 35 minutes, the buckets at 15."""
    return None if outcome.latency_ms is None else min(round(outcome.latency_ms * 1000), MAX_LATENCY_US)


def upsert(session: Session, table: type[Base], rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows, or replace those with the same primary key."""
    if not rows:
        return
    dialect: Any = sqlite if session.get_bind().dialect.name == "sqlite" else postgresql
    statement = dialect.insert(table.__table__)
    keys = [column.name for column in inspect(table).primary_key]
    values = {name: statement.excluded[name] for name in rows[0] if name not in keys}
    session.execute(statement.on_conflict_do_update(index_elements=keys, set_=values), list(rows))


# --- who was heard ---


def record_beat(
    session: Session,
    token: str,
    kind: BeatKind,
    exit_code: int | None = None,
    *,
    signer: Signer,
    now: datetime,
) -> None:
    """Note what a sender said; `token` is the end of its address. Raises NotFound for a strange one."""
    monitor_id = signer.verify("heartbeat", token)
    known = Monitor.id == monitor_id if monitor_id else Monitor.token_hash == hash_token(token)
    found = session.scalar(select(Monitor.id).where(known, Monitor.archived_at.is_(None)))
    if found is None:
        raise NotFound("there is no such heartbeat")
    said: dict[BeatKind, dict[str, Any]] = {
        BeatKind.START: {"last_start_at": now},
        BeatKind.SUCCESS: {"last_success_at": now},
        BeatKind.FAIL: {"last_fail_at": now, "exit_code": exit_code},
    }
    upsert(session, MonitorBeats, [{"monitor_id": found, **said[kind]}])


def beats(session: Session) -> dict[str, Beats]:
    """What was heard, by monitor."""
    rows = session.execute(select(Monitor.created_at, MonitorBeats).join(MonitorBeats))
    return {
        row.monitor_id: Beats(
            created_at, row.last_start_at, row.last_success_at, row.last_fail_at, row.exit_code
        )
        for created_at, row in rows
    }


# --- how they stand ---


@dataclass(frozen=True, slots=True)
class BoardRow:
    """One monitor and how it stands."""

    id: str
    service_code: str
    name: str
    kind: str
    level: Level
    since: datetime | None
    is_flapping: bool
    at: datetime | None  # of the last check
    verdict: str
    cause: str
    latency_ms: float | None
    facts: Mapping[str, str]
    interval: timedelta
    paused_at: datetime | None


def board(session: Session) -> list[BoardRow]:
    """Every monitor and how it stands, in page order."""
    stored = {row.monitor_id: row for row in session.scalars(select(MonitorState))}
    return [_board_row(row, code, stored.get(row.id)) for row, code in session.execute(_monitors())]


def _board_row(row: Monitor, code: str, stored: MonitorState | None) -> BoardRow:
    state = msgspec.convert(stored.state, State) if stored else State()
    return BoardRow(
        id=row.id,
        service_code=code,
        name=row.name,
        kind=row.kind,
        level=state.level,
        since=state.unknown_since or state.since,
        is_flapping=state.is_flapping,
        at=stored.at if stored else None,
        verdict=stored.verdict if stored else "",
        cause=stored.cause if stored else "",
        latency_ms=stored.latency_us / 1000 if stored and stored.latency_us is not None else None,
        facts=stored.facts if stored else {},
        interval=timedelta(seconds=row.interval_s),
        paused_at=row.paused_at,
    )


def is_measured(session: Session) -> bool:
    """Whether every monitor that is not paused has been checked at least once."""
    unchecked = (
        select(Monitor.id)
        .outerjoin(MonitorState)
        .where(Monitor.archived_at.is_(None), Monitor.paused_at.is_(None), MonitorState.monitor_id.is_(None))
        .limit(1)
    )
    return session.scalar(unchecked) is None
