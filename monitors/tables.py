"""Tables of the monitors: what is watched, how it stands, what was seen, and the roll-ups made of that."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from statuspage.kernel.db import Base, BigId, new_id


class Monitor(Base):
    """A check of one service that is repeated. Declared in the catalogue; never deleted, only archived."""

    __tablename__ = "monitors"
    __table_args__ = (UniqueConstraint("service_id", "name"),)

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    service_id: Mapped[str] = mapped_column(ForeignKey("services.id"))
    name: Mapped[str]
    kind: Mapped[str]  # a file in probes/
    spec: Mapped[dict[str, Any]] = mapped_column(JSON)  # as declared; built by probes.build_spec
    interval_s: Mapped[float]
    retry_s: Mapped[float]  # between checks while in doubt
    timeout_s: Mapped[float]
    confirm_down: Mapped[int]  # checks, the first failure counted
    confirm_up: Mapped[int]
    token_hash: Mapped[str | None] = mapped_column(
        index=True
    )  # of a heartbeat token declared in the catalogue
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    paused_at: Mapped[datetime | None]
    recheck_at: Mapped[datetime | None]  # when somebody last asked for a check out of turn
    archived_at: Mapped[datetime | None]


class MonitorState(Base):
    """How one monitor stands: what the judgement goes on from after a restart."""

    __tablename__ = "monitor_states"

    monitor_id: Mapped[str] = mapped_column(ForeignKey("monitors.id"), primary_key=True)
    state: Mapped[dict[str, Any]] = mapped_column(JSON)  # rules.State
    level: Mapped[str]  # rules.Level, for reading without the rules
    at: Mapped[datetime]  # of the last check
    verdict: Mapped[str]
    cause: Mapped[str]
    latency_us: Mapped[int | None] = mapped_column(BigInteger)
    facts: Mapped[dict[str, Any]] = mapped_column(JSON)


class MonitorBeats(Base):
    """What the sender of a push monitor said last."""

    __tablename__ = "monitor_beats"

    monitor_id: Mapped[str] = mapped_column(ForeignKey("monitors.id"), primary_key=True)
    last_start_at: Mapped[datetime | None]
    last_success_at: Mapped[datetime | None]
    last_fail_at: Mapped[datetime | None]
    exit_code: Mapped[int | None]  # of the last failure


class Result(Base):
    """One check. Kept for days; what is older stands in the roll-ups."""

    __tablename__ = "results"
    __table_args__ = (Index("ix_results_monitor_at", "monitor_id", "at"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    monitor_id: Mapped[str] = mapped_column(ForeignKey("monitors.id"))
    at: Mapped[datetime] = mapped_column(index=True)
    verdict: Mapped[str]
    latency_us: Mapped[int | None] = mapped_column(BigInteger)  # whole: sums are exact in any order
    bucket: Mapped[int | None]  # latency.bucket_of; the database counts, so no row is read one by one
    cause: Mapped[str]
    phases_ms: Mapped[dict[str, Any]] = mapped_column(JSON)


class RollupHour(Base):
    """All checks of one monitor in one hour that began at `start` (UTC)."""

    __tablename__ = "rollup_hours"

    monitor_id: Mapped[str] = mapped_column(ForeignKey("monitors.id"), primary_key=True)
    start: Mapped[datetime] = mapped_column(primary_key=True, index=True)
    ok: Mapped[int]
    slow: Mapped[int]
    failed: Mapped[int]
    unknown: Mapped[int]
    sum_us: Mapped[int] = mapped_column(BigInteger)
    histogram: Mapped[dict[str, Any]] = mapped_column(JSON)  # bucket → count


class RollupDay(Base):
    """All checks of one monitor in one UTC day."""

    __tablename__ = "rollup_days"

    monitor_id: Mapped[str] = mapped_column(ForeignKey("monitors.id"), primary_key=True)
    start: Mapped[datetime] = mapped_column(primary_key=True, index=True)
    ok: Mapped[int]
    slow: Mapped[int]
    failed: Mapped[int]
    unknown: Mapped[int]
    sum_us: Mapped[int] = mapped_column(BigInteger)
    histogram: Mapped[dict[str, Any]] = mapped_column(JSON)


class RollupDue(Base):
    """An hour or day with data not rolled up yet. Written with the data, so that late ones are not missed."""

    __tablename__ = "rollups_due"

    span: Mapped[str] = mapped_column(primary_key=True)  # "hour" or "day"
    start: Mapped[datetime] = mapped_column(primary_key=True)
