"""Keeps the public outputs current: a commit wakes it, it builds one snapshot, renders it and swaps it in.

Then it tells live clients.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from prometheus_client import Histogram
from sqlalchemy import func, select, union_all
from sqlalchemy.orm import Session

from statuspage.incidents.news import next_due_at
from statuspage.incidents.snapshot import PageSnapshot
from statuspage.incidents.snapshots import SnapshotBuilder
from statuspage.incidents.tables import Group, NewsItem, Notice, Service
from statuspage.kernel import clock, events
from statuspage.kernel.house import House
from statuspage.kernel.tasks import Wakeup
from statuspage.site.live import Live, event_message, snapshot_message
from statuspage.site.outputs import Edition, Front

REFRESH_S = 60.0  # "since 5 minutes", "today": words that age without an event
_MAX_EVENTS = 1000
_BUILT = Histogram(
    "statuspage_edition_seconds",
    "From waking to the new bytes being served",
    buckets=(0.02, 0.05, 0.1, 0.2, 0.5, 1, 5),
)


@dataclass(frozen=True, slots=True)
class _News:
    version: object
    snapshot: PageSnapshot
    messages: list[tuple[int, bytes]]
    due_at: datetime | None  # when something scheduled becomes public by itself


class Publisher:
    """One per process that serves pages."""

    def __init__(
        self, house: House, front: Front, live: Live, *, on_edition: Callable[[], None] = lambda: None
    ) -> None:
        """`on_edition` is called when a new edition is being served."""
        self._house = house
        self._front = front
        self._live = live
        self._on_edition = on_edition
        self._builder = SnapshotBuilder(
            house.settings.zone, counts_maintenance=house.settings.page.uptime_counts_maintenance
        )
        self._version: object = None
        self._seq: int | None = None  # of the newest event told; None before the first edition
        self._due_at: datetime | None = None
        self._wakeup = Wakeup()
        house.db.on_commit(self._wakeup.wake)

    async def run(self) -> None:
        """Forever. The first edition is there once `refresh` has returned for the first time."""
        while True:
            await self._do_chores()
            woken = await self._wakeup.wait(self._pause_s(clock.now()))
            await self.refresh(force=not woken)

    def _pause_s(self, now: datetime) -> float:
        """Until words age, or until what is scheduled is due."""
        if self._due_at is None:
            return REFRESH_S
        return min(REFRESH_S, max(0.0, (self._due_at - now).total_seconds()))

    async def refresh(self, *, force: bool = False) -> None:
        """Publish a new edition if anything public has changed, or if `force` is set."""
        started = clock.monotonic()
        news = await self._house.db.read(self._read, now=clock.now(), force=force)
        if news is None:
            return
        edition = await asyncio.to_thread(Edition, news.snapshot, self._house)
        self._front.edition = edition
        self._version = news.version
        self._seq = news.snapshot.seq
        self._due_at = news.due_at
        self._live.publish(news.messages, snapshot_message(news.snapshot, self._house.settings.page.language))
        _BUILT.observe(clock.monotonic() - started)
        self._on_edition()

    async def _do_chores(self) -> None:
        """Complete the edition while nothing newer waits: readers need not, and the next edition need not either."""
        edition = self._front.edition
        for chore in edition.chores() if edition else ():
            if self._wakeup.is_woken:
                return
            await asyncio.to_thread(chore)

    def _read(self, session: Session, *, now: datetime, force: bool) -> _News | None:
        version = _public_version(session)
        if version == self._version and not force:
            return None
        snapshot = self._builder.build(session, now=now)
        fresh = events.since(session, self._seq, limit=_MAX_EVENTS) if self._seq is not None else ()
        messages = [(event.seq, event_message(event.seq, event.kind, event.payload)) for event in fresh]
        return _News(version, snapshot, messages, next_due_at(session, now=now))


def _public_version(session: Session) -> object:
    """Changes whenever something public has."""
    newest = union_all(*(select(func.max(table.updated_at)) for table in (Group, Service, Notice, NewsItem)))
    return events.last_seq(session), tuple(session.scalars(newest))
