"""The operators' board: how long it takes to answer with 1,000 monitors and 90 days of history."""

import asyncio
import json
import math
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import msgspec
from sqlalchemy import insert, select
from sqlalchemy.orm import Session

import monitors.history
from monitors.rules import Level, State
from monitors.tables import Monitor, MonitorState, Result, RollupDay, RollupHour
from statuspage import app, migrations
from statuspage.incidents import catalogue
from statuspage.incidents.publication import load_tree
from statuspage.incidents.tables import Interval
from statuspage.kernel import accounts, config
from statuspage.kernel.db import Base, Database
from statuspage.kernel.web import COOKIE

SERVICES, MONITORS, DAYS, RESULTS = 200, 1000, 90, 30
ROUNDS, WARM = 200, 10
_PHASES = {"dns": 1.2, "connect": 8.5, "tls": 20.1, "first_byte": 31.7, "total": 63.0}


def fill(session: Session, now: datetime) -> None:
    """Services, their monitors with a state and recent results, roll-ups and outages of 90 days."""
    groups = "".join(
        f'[[groups]]\ncode = "g{i}"\nname = {{ pl = "Grupa {i}", en = "Group {i}" }}\n' for i in range(10)
    )
    members = "".join(
        f'[[services]]\ncode = "S{i}"\ngroup = "g{i % 10}"\nname = {{ pl = "Usługa {i}", en = "Service {i}" }}\n'
        for i in range(SERVICES)
    )
    catalogue.apply(session, catalogue.parse(groups + members, where="bench"), now=now - timedelta(days=100))
    services = list(load_tree(session).services.values())
    for service in services:
        service.measured, service.first_measured_at = "operational", now - timedelta(days=95)
    rows = [
        {"id": f"{i:012}", "service_id": services[i % SERVICES].id, "name": f"check {i // SERVICES}", "kind": "http",
         "spec": {"url": f"https://host{i}.example/"}, "interval_s": 30, "retry_s": 5, "timeout_s": 10,
         "confirm_down": 3, "confirm_up": 2, "created_at": now, "updated_at": now}
        for i in range(MONITORS)
    ]  # fmt: skip
    session.execute(insert(Monitor), rows)
    _fill_states(session, now)
    for i in range(MONITORS):
        _fill_history(session, f"{i:012}", now)
    for number, service in enumerate(services):
        began = [now - timedelta(days=back, hours=number % 20) for back in range(2, DAYS, 9)]
        session.execute(
            insert(Interval),
            [{"service_id": service.id, "status": "major_outage", "cause": "HTTP 503", "began_at": at,
              "detected_at": at, "ended_at": at + timedelta(minutes=30)} for at in began],
        )  # fmt: skip


def _fill_states(session: Session, now: datetime) -> None:
    """One in fifty is down."""
    rows = []
    for i, id in enumerate(session.scalars(select(Monitor.id)).all()):
        level = Level.DOWN if i % 50 == 0 else Level.UP
        state = State(known=level, since=now - timedelta(days=2), judged=level)
        rows.append(
            {"monitor_id": id, "state": msgspec.to_builtins(state), "level": level.value, "at": now, "verdict": "ok",
             "cause": "HTTP 503" if level is Level.DOWN else "", "latency_us": 63_000, "facts": {}}
        )  # fmt: skip
    session.execute(insert(MonitorState), rows)


def _fill_history(session: Session, id: str, now: datetime) -> None:
    session.execute(
        insert(Result),
        [{"monitor_id": id, "at": now - timedelta(seconds=30 * n), "verdict": "ok", "latency_us": 63_000, "bucket": 60,
          "cause": "", "phases_ms": _PHASES} for n in range(RESULTS)],
    )  # fmt: skip
    counted = {"ok": 120, "slow": 0, "failed": 0, "unknown": 0, "sum_us": 7_560_000, "histogram": {"60": 120}}
    for table, step, first in (
        (RollupHour, timedelta(hours=1), monitors.history.hour_of(now)),
        (RollupDay, timedelta(days=1), monitors.history.day_of(now)),
    ):
        count = timedelta(days=DAYS) // step
        session.execute(
            insert(table), [{"monitor_id": id, "start": first - step * n, **counted} for n in range(count)]
        )


async def measure(settings: config.Settings, db: Database, token: str) -> tuple[list[float], int]:
    """Milliseconds of each answer, and the size of one."""
    application = app.Application(app.open_house(settings, db), frozenset({app.Role.WEB}))
    transport = httpx.ASGITransport(app=application.asgi)
    took = []
    async with httpx.AsyncClient(
        transport=transport, base_url=settings.server.base_url, cookies={COOKIE: token}
    ) as client:
        for _ in range(WARM + ROUNDS):
            started = time.perf_counter()
            answer = await client.get("/pl/console")
            took.append((time.perf_counter() - started) * 1000)
            if answer.status_code != 200 or answer.text.count("check ") < MONITORS:
                raise SystemExit(f"the board is not whole: {answer.status_code}")
    return took[WARM:], len(answer.content)


def main() -> None:
    """One JSON line."""
    with tempfile.TemporaryDirectory() as directory:
        settings = config.Settings(data=config.Data(dir=str(Path(directory))))
        db = app.open_database(settings)
        migrations.upgrade(db.engine, Base.metadata)
        now = datetime.now(UTC)
        db.run_now(fill, now)
        password_hash = accounts.hash_password("correct horse battery")
        user = db.run_now(accounts.add_user, "o", "O", accounts.Role.OPERATOR, password_hash, now=now)
        token = db.run_now(accounts.start_session, user.id, now=now, lifetime=timedelta(hours=1))
        took, size = asyncio.run(measure(settings, db, token))
        db.close()
    took.sort()
    figure = {
        "name": "board.render",
        "p50_ms": took[len(took) // 2],
        "p95_ms": took[math.ceil(len(took) * 0.95) - 1],
    }
    rounded = {key: round(value, 1) if isinstance(value, float) else value for key, value in figure.items()}
    print(json.dumps({**rounded, "monitors": MONITORS, "days": DAYS, "bytes": size, "rounds": ROUNDS}))


if __name__ == "__main__":
    main()
