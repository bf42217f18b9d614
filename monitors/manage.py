"""Monitors in the management API: how they stand; paused, resumed, checked out of turn."""

from collections.abc import Callable

from sqlalchemy.orm import Session

from monitors.rules import Level
from monitors.store import BoardRow, ask_recheck, board, pause, resume
from statuspage.kernel.errors import NotFound
from statuspage.kernel.operations import Call, Instant, Operation, Reply, Shown
from statuspage.kernel.tokens import Scope


class Monitor(Shown, frozen=True, kw_only=True):
    """A monitor and its last result."""

    id: str
    service: str
    name: str
    kind: str
    level: Level
    since: Instant | None
    is_flapping: bool
    checked_at: Instant | None
    verdict: str
    cause: str
    latency_ms: float | None
    facts: dict[str, str]
    interval_s: float
    paused_at: Instant | None


class MonitorList(Shown, frozen=True, kw_only=True):
    """In page order of their services."""

    monitors: list[Monitor]


def operations() -> list[Operation]:
    """What can be done with monitors. What they are is said in the catalogue."""
    return [
        Operation(
            "GET",
            "/monitors",
            "listMonitors",
            "Every monitor and its last result",
            Scope.READ,
            listed,
            MonitorList,
        ),
        Operation("GET", "/monitors/{id}", "getMonitor", "One monitor", Scope.READ, shown, Monitor),
        _act("pause", "Stop checking", pause),
        _act("resume", "Check again", resume),
        _act("recheck", "Have it checked at once, by whichever process checks it", ask_recheck),
    ]


def _act(name: str, summary: str, act: Callable[..., str]) -> Operation:
    def verb(session: Session, call: Call) -> Reply:
        act(session, call.path["id"], by=call.by, now=call.now)
        return shown(session, call)

    return Operation(
        "POST",
        f"/monitors/{{id}}/{name}",
        f"{name}Monitor",
        summary,
        Scope.MONITORS,
        verb,
        Monitor,
    )


def listed(session: Session, _call: Call) -> Reply:
    """All of them."""
    return Reply(MonitorList(monitors=[_monitor(row) for row in board(session)]))


def shown(session: Session, call: Call) -> Reply:
    """One of them."""
    id = call.path["id"]
    row = next((row for row in board(session) if row.id == id), None)
    if row is None:
        raise NotFound(f"there is no monitor {id}")
    return Reply(_monitor(row), subject=f"monitor:{id}")


def _monitor(row: BoardRow) -> Monitor:
    return Monitor(
        id=row.id,
        service=row.service_code,
        name=row.name,
        kind=row.kind,
        level=row.level,
        since=row.since,
        is_flapping=row.is_flapping,
        checked_at=row.at,
        verdict=row.verdict,
        cause=row.cause,
        latency_ms=row.latency_ms,
        facts={name: str(value) for name, value in row.facts.items()},
        interval_s=row.interval.total_seconds(),
        paused_at=row.paused_at,
    )
