"""The runner: every monitor at its time, on the monotonic clock; what was seen is judged, written in batches.

The wall clock only dates results, so a step of it moves no check. While the database refuses, results wait
in memory; the judgement goes on, and an internal fault is never somebody's outage.
"""

import asyncio
import heapq
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count

import structlog
from prometheus_client import Counter, Gauge, Histogram

from monitors import store
from monitors.checks import Control, Deaf, Prepared, excuse, look, prepare
from monitors.history import hour_of
from monitors.probes import Beats, Outcome, Verdict, kinds
from monitors.rules import (
    Level,
    Standing,
    State,
    is_in_doubt,
    is_same,
    may_become_worse,
    next_on_grid,
    phase_s,
    resumed,
    service_level,
    since_of,
    step,
)
from monitors.rules import Verdict as Judged
from monitors.store import Batch, Loaded, Seen, Unmeasured, Watched
from statuspage.incidents.rules import ServiceStatus
from statuspage.incidents.services import Finding
from statuspage.kernel import clock, config
from statuspage.kernel.db import Database
from statuspage.kernel.errors import Unavailable
from statuspage.kernel.net import Network

log = structlog.get_logger(__name__)

LATENESS = Histogram(
    "statuspage_probe_lateness_seconds",
    "How much later than due a probe began",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
PROBES = Counter("statuspage_probes", "Probes made, by verdict", ["verdict"])
IN_FLIGHT = Gauge("statuspage_probes_in_flight", "Probes under way")
MONITORS = Gauge("statuspage_monitors", "Monitors, by how they stand", ["level"])
BUFFERED = Gauge("statuspage_results_buffered", "Results not written to the database yet")
DROPPED = Counter("statuspage_results_dropped", "Results dropped because the database refused for too long")

MAX_BUFFERED_RESULTS = 100_000
_FLUSH_S = 0.25
_RETRY_S = 1.0
_RELOAD_S = 0.5  # at most this often
_POLL_S = 5.0  # without a word from the database
_FIRST_PROBES_A_SECOND = 200  # after a start
_BEATS_S = 0.5  # how old the beats in memory may be
_HANGS_S = 0.5  # a write that takes longer


@dataclass(eq=False, slots=True)
class Entry:
    """A monitor on its way through time."""

    prepared: Prepared
    state: State
    slots: asyncio.Semaphore  # of its host
    due_at: float = 0.0  # monotonic; a heap item with another time is stale
    last_at: datetime | None = None  # of the last check
    is_under_way: bool = False
    is_wanted: bool = False  # again, as soon as the check under way is over
    recheck_at: datetime | None = None  # when a check out of turn was last asked for

    @property
    def monitor(self) -> Watched:
        return self.prepared.monitor


class Runner:
    """Checks all monitors of one database for as long as `run` runs."""

    def __init__(
        self,
        db: Database,
        network: Network,
        settings: config.Settings,
        *,
        now: Callable[[], datetime] = clock.now,
        monotonic: Callable[[], float] = clock.monotonic,
        lateness: Callable[[float], None] = LATENESS.observe,
    ) -> None:
        self._db = db
        self._network = network
        self._settings = settings
        self._now = now
        self._monotonic = monotonic
        self._lateness = lateness
        self._control = Control(network, settings.monitors.control_targets)
        self._entries: dict[str, Entry] = {}
        self._by_service: dict[str, list[Entry]] = {}
        self._standings: dict[str, Standing] = {}  # as last reported
        self._held: set[str] = set()  # services whose finding waits for a monitor in doubt
        self._heap: list[tuple[float, int, Entry]] = []
        self._numbers = count()
        self._slots = asyncio.Semaphore(settings.monitors.max_in_flight)
        self._host_slots: dict[str, asyncio.Semaphore] = {}
        self._probes: set[asyncio.Task[None]] = set()
        self._batch = Batch()
        self._beats: dict[str, Beats] = {}
        self._beats_at = float("-inf")
        self._deaf: Deaf | None = None
        self._writing_since: float | None = None  # monotonic
        self._refused_since: datetime | None = None  # by the database
        self._version: int | None = None
        self._sooner = asyncio.Event()  # something is due before what the schedule waits for
        self._has_news = asyncio.Event()
        self._is_urgent = asyncio.Event()
        self._has_commit = asyncio.Event()
        self._is_stopping = asyncio.Event()
        db.on_commit(self._has_commit.set)

    @property
    def is_ready(self) -> bool:
        """Whether every monitor has been checked, now or before the last restart."""
        return self._version is not None and all(e.last_at is not None for e in self._entries.values())

    async def run(self) -> None:
        """Until `stop`, or until cancelled; either way what was seen is written before it returns."""
        tasks: list[asyncio.Task[None]] = []
        writing = asyncio.create_task(self._write())
        try:
            await self._load_first()
            tasks = [asyncio.create_task(each()) for each in (self._schedule, self._watch)]
            stopping = asyncio.create_task(self._wait_for_stop())
            done, _ = await asyncio.wait([*tasks, writing, stopping], return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
            for task in done:
                task.result()  # but for `stopping` these do not end by themselves: raise what ended it
        finally:
            for task in (*tasks, *self._probes):
                task.cancel()
            await asyncio.gather(*tasks, *self._probes, return_exceptions=True)
            self._is_stopping.set()
            self._has_news.set()
            await writing

    async def _wait_for_stop(self) -> None:
        await self._is_stopping.wait()

    def stop(self) -> None:
        """Let `run` return: running checks are broken off, what was seen is written."""
        self._is_stopping.set()

    def recheck(self, monitor_id: str) -> None:
        """Check this monitor now, whenever it was due."""
        entry = self._entries.get(monitor_id)
        if entry is not None and not entry.is_under_way:
            self._put(entry, self._monotonic())

    # --- what there is to watch ---

    async def _load_first(self) -> None:
        while self._version is None and not self._is_stopping.is_set():
            try:
                loaded = await self._db.read(store.load, self._settings.monitors)
            except Unavailable:
                await asyncio.sleep(_RETRY_S)
                continue
            now = self._now()
            if loaded.states:
                self._deaf = Deaf(min(now, max(at for _, at in loaded.states.values())), now)
            await self._take_over(loaded)

    async def _watch(self) -> None:
        """Look again when a commit has changed the monitors."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_POLL_S):
                    await self._has_commit.wait()
            self._has_commit.clear()
            with suppress(Unavailable):
                if await self._db.read(store.version) != self._version:
                    await self._take_over(await self._db.read(store.load, self._settings.monitors))
            await asyncio.sleep(_RELOAD_S)

    async def _take_over(self, loaded: Loaded) -> None:
        """Bring the schedule in line. States in memory are newer than those in the table, and stay."""
        watched = [monitor for monitor in loaded.monitors if not monitor.is_paused]
        prepared = await self._prepare([monitor for monitor in watched if not self._has(monitor)])
        self._version = loaded.version
        before, self._entries = self._entries, {}
        spread_s = max(1.0, len(watched) / _FIRST_PROBES_A_SECOND)
        for monitor in watched:
            known = before.get(monitor.id)
            if known is not None and monitor.id not in prepared:
                self._entries[monitor.id] = known
                continue
            entry = self._entry(prepared[monitor.id], known, loaded)
            self._entries[monitor.id] = entry
            within_s = min(spread_s, monitor.policy.interval.total_seconds())
            self._put(entry, self._monotonic() + phase_s(monitor.id, within_s))
        self._recheck_asked(watched)
        for service_id, standing in loaded.published.items():
            self._standings.setdefault(service_id, standing)
        self._regroup()

    def _recheck_asked(self, watched: list[Watched]) -> None:
        """Check what somebody, perhaps in another process, has asked for since it was last looked at."""
        for monitor in watched:
            entry = self._entries[monitor.id]
            asked_at, before = monitor.recheck_at, entry.recheck_at or entry.last_at
            if asked_at is None or (before is not None and asked_at <= before):
                continue
            entry.recheck_at = asked_at
            entry.is_wanted = entry.is_under_way  # that one began before it was asked for
            self.recheck(monitor.id)

    def _has(self, monitor: Watched) -> bool:
        entry = self._entries.get(monitor.id)
        return entry is not None and entry.monitor == monitor

    async def _prepare(self, monitors: list[Watched]) -> dict[str, Prepared]:
        """Build specs, a few at a time, so that a large catalogue holds nobody up."""
        known = kinds()
        prepared = {}
        for i, monitor in enumerate(monitors):
            if i % 50 == 49:
                await asyncio.sleep(0)
            prepared[monitor.id] = prepare(monitor, known)
        return prepared

    def _entry(self, prepared: Prepared, known: Entry | None, loaded: Loaded) -> Entry:
        monitor = prepared.monitor
        slots = self._host_slots.setdefault(
            prepared.host or monitor.id, asyncio.Semaphore(self._settings.monitors.max_per_host)
        )
        if known is not None:
            return Entry(prepared, known.state, slots, last_at=known.last_at)
        if (stored := loaded.states.get(monitor.id)) is None:
            return Entry(prepared, State(), slots)
        state, last_at = stored
        return Entry(prepared, resumed(state, last_at, self._now(), monitor.policy), slots, last_at=last_at)

    def _regroup(self) -> None:
        self._by_service = {}
        for entry in self._entries.values():
            self._by_service.setdefault(entry.monitor.service_id, []).append(entry)
        now = self._now()
        for service_id in self._by_service.keys() | self._standings.keys():
            self._weigh(service_id, now)
        _count_levels(self._entries.values())

    # --- when ---

    async def _schedule(self) -> None:
        while True:
            self._sooner.clear()
            wait_s = self._start_due()
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._sooner.wait()

    def _start_due(self) -> float | None:
        """Start what is due; returns the seconds until the next one."""
        while self._heap:
            due_at, _, entry = self._heap[0]
            if (wait_s := due_at - self._monotonic()) > 0:
                return wait_s
            heapq.heappop(self._heap)
            if entry.due_at != due_at or self._entries.get(entry.monitor.id) is not entry:
                continue
            entry.is_under_way = True
            task = asyncio.create_task(self._probe(entry, due_at))
            self._probes.add(task)
            task.add_done_callback(self._probes.discard)
        return None

    def _put(self, entry: Entry, due_at: float) -> None:
        entry.due_at = due_at
        heapq.heappush(self._heap, (due_at, next(self._numbers), entry))
        if self._heap[0][2] is entry:
            self._sooner.set()

    def _put_next(self, entry: Entry, began_at: float) -> None:
        """In doubt after `retry`; otherwise at the monitor's own phase, at least half an interval later."""
        policy = entry.monitor.policy
        interval_s = policy.interval.total_seconds()
        if entry.is_wanted:
            entry.is_wanted = False
            due_at = self._monotonic()
        elif is_in_doubt(entry.state, policy):
            due_at = self._monotonic() + min(policy.retry.total_seconds(), interval_s)
        else:
            after_s = max(began_at + interval_s / 2, self._monotonic())
            due_at = next_on_grid(phase_s(entry.monitor.id, interval_s), interval_s, after_s)
        self._put(entry, due_at)

    # --- one check ---

    async def _probe(self, entry: Entry, due_at: float) -> None:
        began_at = self._monotonic()
        try:
            async with entry.slots, self._slots:
                began_at, at = self._monotonic(), self._now()
                self._lateness(max(0.0, began_at - due_at))
                with IN_FLIGHT.track_inprogress():
                    outcome = await self._look(entry, at, began_at)
            if self._entries.get(entry.monitor.id) is entry:
                self._take(entry, outcome, at)
        except Exception:
            log.exception("runner.probe_lost", monitor=entry.monitor.key)
        finally:
            entry.is_under_way = False
            if self._entries.get(entry.monitor.id) is entry:
                self._put_next(entry, began_at)

    async def _look(self, entry: Entry, at: datetime, began_at: float) -> Outcome:
        heard = None
        if entry.prepared.is_pushed_to:
            try:
                heard = await self._heard(entry)
            except Unavailable as error:
                return Outcome(Verdict.UNKNOWN, str(error))
        outcome = await look(entry.prepared, self._network, at, heard)
        if outcome.verdict is not Verdict.FAILED:
            return outcome
        if heard is not None and self._is_deaf:
            return replace(outcome, verdict=Verdict.UNKNOWN, cause="heartbeats cannot be noted for now")
        if await self._control.is_prober_at_fault(began_at):
            return replace(outcome, verdict=Verdict.UNKNOWN, cause="the control targets do not answer either")
        return outcome

    async def _heard(self, entry: Entry) -> Beats:
        if (now_s := self._monotonic()) - self._beats_at > _BEATS_S:
            self._beats = await self._db.read(store.beats)
            self._beats_at = now_s
        heard = self._beats.get(entry.monitor.id) or Beats(entry.monitor.created_at)
        return excuse(entry.prepared.spec, heard, self._deaf) if self._deaf and entry.prepared.spec else heard

    @property
    def _is_deaf(self) -> bool:
        """Whether beats cannot be noted now: the database refuses, or a write to it hangs."""
        if self._refused_since is not None:
            return True
        return self._writing_since is not None and self._monotonic() - self._writing_since > _HANGS_S

    def _take(self, entry: Entry, outcome: Outcome, at: datetime) -> None:
        """Judge one outcome and note what follows."""
        PROBES.labels(outcome.verdict.value).inc()
        entry.state, transition = step(
            entry.state, Judged(outcome.verdict.value), outcome.cause, at, entry.monitor.policy
        )
        entry.last_at = at
        self._batch.add(Seen(entry.monitor.id, at, outcome, entry.state))
        self._has_news.set()
        if transition is not None:
            MONITORS.labels(transition.old.value).dec()
            MONITORS.labels(transition.new.value).inc()
            log.info(
                "monitor.changed",
                monitor=entry.monitor.key,
                old=transition.old.value,
                new=transition.new.value,
                since=transition.since.isoformat(),
                cause=transition.cause,
            )
        if transition is not None or entry.monitor.service_id in self._held:
            self._weigh(entry.monitor.service_id, at)
        elif entry.state.failed.count == 1 and entry.state.judged is not Level.DOWN:
            self._look_around(entry)

    def _look_around(self, entry: Entry) -> None:
        """A first failure: what do the other monitors of the service see now?"""
        for other in self._by_service.get(entry.monitor.service_id, []):
            if other is not entry and not other.state.failed.count and not other.prepared.is_pushed_to:
                self.recheck(other.monitor.id)

    # --- what follows for the service ---

    def _weigh(self, service_id: str, at: datetime) -> None:
        """Find how the service stands; note a finding where that differs from what was last reported."""
        entries = self._by_service.get(service_id, [])
        before = self._standings.get(service_id)
        found = service_level(((entry.monitor.id, entry.state) for entry in entries), before)
        if found is None and before is not None and not _is_new(entries):
            found = replace(before, unknown_since=before.unknown_since or at)
        self._held.discard(service_id)
        if found is None or (before and is_same(before, found)):
            return
        if may_become_worse(found, before, (entry.state for entry in entries)):
            self._held.add(service_id)
            return
        if before is not None and found.unknown_since is None:
            found = replace(found, since=since_of(before, found, at))
        self._standings[service_id] = found
        if found.unknown_since is not None:
            self._batch.findings.append(Unmeasured(service_id, found.unknown_since))
        else:
            self._batch.findings.append(
                Finding(service_id, found.status, found.cause, found.since, self._fault(found))
            )
        self._has_news.set()
        self._is_urgent.set()

    def _fault(self, found: Standing) -> str:
        entry = self._entries.get(found.monitor_id)
        if entry is None or not entry.prepared.host or found.status is ServiceStatus.OPERATIONAL:
            return ""
        return f"{entry.prepared.host} {found.cause}"

    # --- writing ---

    async def _write(self) -> None:
        """Write what was seen in batches, a change of state at once; when stopping, all that is left."""
        while not self._is_stopping.is_set():
            await self._has_news.wait()
            with suppress(TimeoutError):
                async with asyncio.timeout(_FLUSH_S):
                    await self._is_urgent.wait()
            if not await self._flush():
                with suppress(TimeoutError):
                    async with asyncio.timeout(_RETRY_S):
                        await self._is_stopping.wait()
        if not await self._flush():
            log.error("runner.lost", results=len(self._batch.results), findings=len(self._batch.findings))

    async def _flush(self) -> bool:
        """Write; False when the database refuses. Then nothing is lost but the oldest of too many results."""
        batch, self._batch = self._batch, Batch()
        self._has_news.clear()
        self._is_urgent.clear()
        began_at, self._writing_since = self._now(), self._monotonic()
        try:
            await self._save(batch)
        except Unavailable as error:
            DROPPED.inc(batch.put_before(self._batch, max_results=MAX_BUFFERED_RESULTS))
            BUFFERED.set(len(self._batch.results))
            self._refused_since = self._refused_since or began_at
            self._has_news.set()
            log.warning("runner.buffering", results=len(self._batch.results), reason=str(error))
            return False
        finally:
            self._writing_since = None
        BUFFERED.set(0)
        if self._refused_since is not None:
            now = self._now()
            self._deaf = Deaf(min(self._refused_since, now), now)
            self._refused_since = None
        return True

    async def _save(self, batch: Batch) -> None:
        # Their hours may be forgotten already, and would be counted anew without the rest.
        oldest = hour_of(self._now() - self._settings.monitors.keep_results) + timedelta(hours=1)
        batch.results = [seen for seen in batch.results if seen.at >= oldest]
        if batch and not await self._save_part(batch):
            await self._save_apart(batch)

    async def _save_apart(self, batch: Batch) -> None:
        """Save one thing after another, so that one that cannot be saved does not hold up the others."""
        while batch.findings:
            await self._save_part(Batch(findings=batch.findings[:1]))
            del batch.findings[0]
        while batch.states:
            id, last = batch.states.popitem()
            results = [seen for seen in batch.results if seen.monitor_id == id]
            try:
                await self._save_part(Batch(results, {id: last}))
            except Unavailable:
                batch.states[id] = last
                raise
            batch.results = [seen for seen in batch.results if seen.monitor_id != id]

    async def _save_part(self, batch: Batch) -> bool:
        """Whether it could be saved; if not, that is logged. Raises Unavailable to be tried again."""
        try:
            await self._db.run(store.save, batch, now=self._now(), policy=self._settings.incidents)
        except Unavailable:
            raise
        except Exception:
            log.exception("runner.save_failed", results=len(batch.results), findings=batch.findings)
            return False
        return True


def _is_new(entries: list[Entry]) -> bool:
    """Whether there are monitors, and none of them has come to a judgement yet: then wait for it."""
    return any(entry.state.level is Level.NEVER for entry in entries)


def _count_levels(entries: Iterable[Entry]) -> None:
    levels = [entry.state.level for entry in entries]
    for level in Level:
        MONITORS.labels(level.value).set(levels.count(level))
