"""The catalogue's `[[monitors]]`: checked, compared with the table, applied. Services are the incidents'."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated, Any

from msgspec import Meta
from sqlalchemy import select
from sqlalchemy.orm import Session

from monitors.probes import build_spec
from monitors.tables import Monitor
from statuspage.incidents.tables import Service
from statuspage.kernel.build import build
from statuspage.kernel.errors import Invalid
from statuspage.kernel.events import next_number
from statuspage.kernel.security import Signer, hash_token

VERSION = "monitors"  # the counter that tells the runner to look again
HEARTBEAT = "heartbeat"  # the kind that is pushed to
SHORTEST = timedelta(milliseconds=100)
LONGEST_TIMEOUT = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class MonitorDeclaration:
    """A `[[monitors]]` table."""

    service: Annotated[str, Meta(description="Code of the service that is watched.")]
    name: Annotated[
        str,
        Meta(
            pattern=r"^[^/\x00-\x1f]{1,100}$", description="Unique within the service; part of its identity."
        ),
    ]
    kind: Annotated[str, Meta(description="Which probe: http, tcp, tls, heartbeat…")]
    spec: Annotated[
        dict[str, Any], Meta(description="What the probe looks at; its keys depend on the kind.")
    ] = field(default_factory=dict)
    interval: Annotated[timedelta, Meta(description="Time from one check to the next.")] = timedelta(
        seconds=30
    )
    retry: Annotated[
        timedelta | None,
        Meta(description="The same while in doubt; default: 5s, or the interval if that is less."),
    ] = None
    timeout: Annotated[timedelta, Meta(description="How long a check may take.")] = timedelta(seconds=10)
    confirm_down: Annotated[
        int, Meta(ge=1, le=100, description="Failures in a row that make an outage; the first counts.")
    ] = 3
    confirm_up: Annotated[int, Meta(ge=1, le=100, description="Good checks in a row that end it.")] = 2

    @property
    def key(self) -> str:
        """How people call it: SERVICE/name."""
        return f"{self.service}/{self.name}"

    @property
    def retry_or_default(self) -> timedelta:
        return self.retry or min(timedelta(seconds=5), self.interval)


def parse_monitors(
    raw: Sequence[Mapping[str, Any]], where: str, *, services: Collection[str] | None = None
) -> tuple[MonitorDeclaration, ...]:
    """The declarations. Raises Invalid naming `where` and key, such as `catalogue.toml.monitors[3].interval`.

    `services` are the codes there are; None leaves that check to `apply`.
    """
    declared = []
    seen: set[str] = set()
    for i, table in enumerate(raw):
        here = f"{where}.monitors[{i}]"
        monitor = build(MonitorDeclaration, table, where=here)
        _check(monitor, here)
        if services is not None and monitor.service not in services:
            raise Invalid(f"{here}.service", f'there is no service "{monitor.service}"')
        if monitor.key in seen:
            raise Invalid(f"{here}.name", f'"{monitor.key}" stands twice')
        if (token := _token(monitor)) and token in seen:
            raise Invalid(f"{here}.spec.token", "another monitor has this token")
        seen |= {monitor.key, token or monitor.key}
        declared.append(monitor)
    return tuple(declared)


def _check(monitor: MonitorDeclaration, here: str) -> None:
    for key in ("interval", "retry", "timeout"):
        value = getattr(monitor, key)
        if value is not None and value < SHORTEST:
            raise Invalid(f"{here}.{key}", "must be at least 100ms")
    if monitor.retry is not None and monitor.retry > monitor.interval:
        raise Invalid(f"{here}.retry", "must not be longer than the interval")
    if monitor.timeout > LONGEST_TIMEOUT:
        raise Invalid(f"{here}.timeout", "must be at most 5m")
    build_spec(monitor.kind, monitor.spec, where=here)


def _token(monitor: MonitorDeclaration) -> str | None:
    """The secret end of a heartbeat's address, where the declaration names one."""
    return monitor.spec.get("token") if monitor.kind == HEARTBEAT else None


def diff(session: Session, declared: Sequence[MonitorDeclaration]) -> list[str]:
    """What `apply` would do, a line each: "+ monitor NCTS2/portal". + is new, ~ changed, - archived."""
    return [line for line, _, _ in _changes(session, declared)]


def apply(session: Session, declared: Sequence[MonitorDeclaration], *, now: datetime) -> list[str]:
    """Bring the table in line; the lines are those of `diff`. What disappears is archived with its history.

    Raises Invalid for a service that does not exist.
    """
    lines = []
    services = _service_ids(session)
    for line, monitor, row in _changes(session, declared):
        lines.append(line)
        if monitor is None:
            if row is not None:
                row.archived_at = row.updated_at = now
            continue
        if monitor.service not in services:
            raise Invalid(f"monitors.{monitor.key}.service", f'there is no service "{monitor.service}"')
        if row is None:
            row = Monitor(service_id=services[monitor.service], name=monitor.name, created_at=now)
            session.add(row)
        for key, value in _values(monitor).items():
            setattr(row, key, value)
        row.archived_at = None
        row.updated_at = now
    if lines:
        touch(session)
    session.flush()
    return lines


def touch(session: Session) -> None:
    """Tell runners, of this process or another, that monitors have changed."""
    next_number(session, VERSION)
    session.info["notify"] = True


def heartbeat_path(signer: Signer, monitor_id: str) -> str:
    """Where the sender of a heartbeat calls, when its declaration names no token of its own."""
    return f"/heartbeat/{signer.sign(HEARTBEAT, monitor_id)}"


Line = tuple[str, MonitorDeclaration | None, Monitor | None]


def _changes(session: Session, declared: Sequence[MonitorDeclaration]) -> list[Line]:
    """The lines in the declared order, then what is archived; what stays as it is makes none."""
    stored = select(Monitor, Service.code).join(Service, Monitor.service_id == Service.id)
    rows = {f"{code}/{row.name}": row for row, code in session.execute(stored)}
    changes: list[Line] = []
    for monitor in declared:
        row = rows.pop(monitor.key, None)
        if row is None or row.archived_at is not None:
            changes.append((f"+ monitor {monitor.key}", monitor, row))
            continue
        changed = [key for key, value in _values(monitor).items() if getattr(row, key) != value]
        if changed:
            names = ", ".join(sorted({_DECLARED_AS.get(key, key) for key in changed}))
            changes.append((f"~ monitor {monitor.key}: {names}", monitor, row))
    gone = sorted(key for key, row in rows.items() if row.archived_at is None)
    return [*changes, *((f"- monitor {key}", None, rows[key]) for key in gone)]


_DECLARED_AS = {"interval_s": "interval", "retry_s": "retry", "timeout_s": "timeout", "token_hash": "token"}


def _values(monitor: MonitorDeclaration) -> dict[str, Any]:
    """The columns of a declaration. A declared heartbeat token is a secret: only its hash is stored."""
    token = _token(monitor)
    return {
        "kind": monitor.kind,
        "spec": {key: value for key, value in monitor.spec.items() if token is None or key != "token"},
        "interval_s": monitor.interval.total_seconds(),
        "retry_s": monitor.retry_or_default.total_seconds(),
        "timeout_s": monitor.timeout.total_seconds(),
        "confirm_down": monitor.confirm_down,
        "confirm_up": monitor.confirm_up,
        "token_hash": hash_token(token) if token else None,
    }


def _service_ids(session: Session) -> dict[str, str]:
    return dict(session.execute(select(Service.code, Service.id).where(Service.archived_at.is_(None))).all())
