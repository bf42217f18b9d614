"""The composition root: what the calendar does by itself, and what the board says of planned work."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from statuspage.app import planned_panel
from statuspage.incidents import maintenance, recurrence, reminders, series
from statuspage.incidents.maintenance import NewMaintenance
from statuspage.incidents.snapshot import Text
from statuspage.incidents.tables import Notice
from statuspage.jobs import Calendar
from statuspage.kernel import clock, config, idempotency, tokens
from statuspage.kernel.db import Database
from statuspage.kernel.events import Event
from statuspage.kernel.house import House
from statuspage.kernel.idempotency import Answer
from statuspage.kernel.tokens import Scope
from tests.notifiers.scenes import fill_catalogue, house_of

SAID = Text("Wymiana.", "Exchange.")
POLICY = config.Incidents()


@pytest.fixture
async def house(db: Database, fast_dir: Path) -> AsyncIterator[House]:
    with house_of(db, fast_dir) as found:
        db.run_now(fill_catalogue, now=clock.now() - timedelta(days=1))
        task = asyncio.create_task(Calendar(found).run())
        yield found
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def planned(db: Database, begins_at: datetime, *, by_hand: bool = False, now: datetime) -> str:
    new = NewMaintenance(SAID, SAID, ["AIS"], begins_at, begins_at + timedelta(hours=1), by_hand)
    return db.run_now(maintenance.schedule, new, by="officer", now=now, policy=POLICY).id


async def until_told(db: Database, kind: str) -> Event:
    for _ in range(100):
        found = await db.read(lambda s: s.scalars(select(Event).where(Event.kind == kind)).first())
        if found is not None:
            return found
        await asyncio.sleep(0.1)
    raise AssertionError(f"{kind} never came")


async def test_the_calendar_reminds_and_begins_at_its_times(house: House) -> None:
    """Announced long ago by a clock that stood behind, due now."""
    now = clock.now()
    id = planned(house.db, now + timedelta(seconds=4), now=now - timedelta(days=3))
    assert (await until_told(house.db, reminders.KIND)).subject_id == id
    started = await until_told(house.db, "maintenance.started")
    assert started.at >= now + timedelta(seconds=4)


async def test_the_calendar_announces_what_a_standstill_left_undone(db: Database, fast_dir: Path) -> None:
    long_ago = clock.now() - timedelta(days=60)
    db.run_now(fill_catalogue, now=long_ago)
    plan = recurrence.parse(
        "FREQ=WEEKLY",
        zone="Europe/Warsaw",
        begins_local=(long_ago + timedelta(days=1)).replace(tzinfo=None),
        duration=timedelta(hours=1),
    )
    new = series.NewSeries(SAID, SAID, ["AIS"], plan)
    db.run_now(series.create, new, by="officer", now=long_ago, policy=POLICY)

    def coming() -> int:
        query = select(Notice.id).where(Notice.scheduled_for > clock.now())
        return len(db.read_now(lambda session: session.scalars(query).all()))

    assert coming() == 0
    with house_of(db, fast_dir) as house:
        task = asyncio.create_task(Calendar(house).run())
        for _ in range(100):
            if coming():
                break
            await asyncio.sleep(0.1)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    assert coming() == 5


async def test_the_calendar_forgets_answers_that_were_kept_long_enough(db: Database, fast_dir: Path) -> None:
    long_ago = clock.now() - idempotency.KEEP
    db.run_now(tokens.add, "gate", (Scope.READ,), lifetime=timedelta(days=9), by="cli", now=long_ago)

    def keep(session: Session, key: str, at: datetime) -> None:
        token_id = session.scalars(select(tokens.ApiToken.id)).one()
        idempotency.keep(session, token_id, key, "print", Answer(201, {}, b"{}"), now=at)

    def kept(session: Session) -> list[str]:
        return list(session.scalars(select(idempotency.KeptAnswer.key)))

    db.run_now(keep, "old", long_ago)
    db.run_now(keep, "young", clock.now())
    with house_of(db, fast_dir) as house:
        task = asyncio.create_task(Calendar(house).run())
        for _ in range(100):
            if await db.read(kept) == ["young"]:
                break
            await asyncio.sleep(0.1)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    assert db.read_now(kept) == ["young"]


def test_the_board_shows_work_that_waits_for_an_officer(db: Database, now: datetime) -> None:
    db.run_now(fill_catalogue, now=now - timedelta(days=1))
    by_hand = planned(db, now + timedelta(hours=1), by_hand=True, now=now)
    planned(db, now + timedelta(hours=1), now=now)
    page = config.Page()

    def rows(at: datetime) -> tuple[tuple[str, ...], ...]:
        return db.read_now(planned_panel, page, now=at).rows

    assert rows(now) == ()
    later = now + timedelta(hours=2)
    assert rows(later) == (("Wymiana.", by_hand, "2026-11-23 07:10", ""),)
    db.run_now(maintenance.begin, by_hand, by="officer", now=later)
    assert rows(later + timedelta(hours=1)) == (("Wymiana.", by_hand, "", "2026-11-23 08:10"),)
