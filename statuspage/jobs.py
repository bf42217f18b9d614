"""What happens by the wall clock: planned work, reminders, timed acts, overrides; recurrences, roll-ups, retention."""

from collections.abc import Awaitable, Callable
from datetime import datetime

import structlog
from sqlalchemy.orm import Session

import monitors.history
import tickets.attachments
import tickets.requests
from statuspage.incidents import acts, maintenance, overrides, reminders, series
from statuspage.kernel import clock, idempotency
from statuspage.kernel.house import House
from statuspage.kernel.tasks import Wakeup

log = structlog.get_logger(__name__)


class Calendar:
    """Jobs by the wall clock: planned work at its times, its reminders and recurrences, roll-ups, retention."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._wakeup = Wakeup()
        house.db.on_commit(self._wakeup.wake)

    async def run(self) -> None:
        """Forever."""
        from apscheduler.schedulers.asyncio import AsyncIOScheduler
        from apscheduler.triggers.date import DateTrigger

        scheduler = AsyncIOScheduler(
            job_defaults={"misfire_grace_time": None, "coalesce": True}, timezone="UTC"
        )
        scheduler.add_job(self._tell_faults(self._roll_up), "cron", minute="*/5", second=20)
        scheduler.add_job(self._tell_faults(self._forget), "cron", minute=40)
        scheduler.add_job(self._tell_faults(self._close_tickets), "cron", minute=50)
        scheduler.add_job(self._tell_faults(self._forget_answers), "cron", minute=30)
        scheduler.add_job(self._tell_faults(self._sweep), "cron", minute=55)
        scheduler.add_job(self._tell_faults(self._plan), "cron", minute=5)
        for job in (self._plan, self._forget_answers):  # what a standstill left undone
            scheduler.add_job(self._tell_faults(job))
        scheduler.start()
        try:
            while True:
                due_at = await self._house.db.read(_next_due_at)
                if due_at is not None:
                    scheduler.add_job(
                        self._tell_faults(self._advance),
                        DateTrigger(due_at),
                        id="due",
                        replace_existing=True,
                    )
                await self._wakeup.wait(60)
        finally:
            scheduler.shutdown(wait=False)

    async def _advance(self) -> None:
        db, policy = self._house.db, self._house.settings.incidents
        await db.run(maintenance.advance, now=clock.now(), policy=policy)
        await db.run(reminders.tell_due, now=clock.now())
        await db.run(acts.perform_due, now=clock.now(), policy=policy)
        await db.run(overrides.expire, now=clock.now())

    async def _plan(self) -> None:
        await self._house.db.run(series.plan, now=clock.now(), policy=self._house.settings.incidents)

    async def _roll_up(self) -> None:
        is_more = True
        while is_more:  # an hour or a day at a time, so that others can write between
            is_more = await self._house.db.run(monitors.history.roll_up, now=clock.now())

    async def _forget(self) -> None:
        keep = self._house.settings.monitors.keep_results
        is_more = True
        while is_more:
            is_more = await self._house.db.run(monitors.history.forget, now=clock.now(), keep=keep) > 0

    async def _forget_answers(self) -> None:
        await self._house.db.run(idempotency.forget, now=clock.now())

    async def _close_tickets(self) -> None:
        is_more = True
        while is_more:
            is_more = await self._house.db.run(tickets.requests.close_resolved, now=clock.now()) > 0

    async def _sweep(self) -> None:
        data_dir = self._house.settings.data.dir
        await self._house.db.run(tickets.attachments.sweep, data_dir=data_dir, now=clock.now())

    @staticmethod
    def _tell_faults(job: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
        async def run() -> None:
            try:
                await job()
            except Exception:
                log.exception("calendar.failed")

        return run


def _next_due_at(session: Session) -> datetime | None:
    moments = (timed.next_due_at(session) for timed in (maintenance, reminders, acts, overrides))
    return min((moment for moment in moments if moment is not None), default=None)
