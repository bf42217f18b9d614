"""The runner against real targets on loopback and a real database. Nothing waits for a fixed time."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
import structlog.testing
from sqlalchemy import delete, func, select

from monitors import probes
from monitors.catalogue import apply, parse_monitors
from monitors.probes import Context, Outcome, Verdict
from monitors.rules import Level
from monitors.runner import Runner
from monitors.store import BeatKind, BoardRow, ask_recheck, board, pause, record_beat, resume
from monitors.tables import Monitor, MonitorState, Result
from statuspage.incidents.tables import Interval, Notice, Service, Update
from statuspage.kernel import clock
from statuspage.kernel.config import Monitors, Settings
from statuspage.kernel.db import Database
from statuspage.kernel.house import House
from statuspage.kernel.net import Network
from statuspage.kernel.security import Signer
from tests.monitors.catalogues import declare, service
from tests.monitors.conftest import Counterparts

GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nUP"
BAD = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
PATIENCE_S = 30


@dataclass
class Target:
    """A service that can be broken."""

    answer: bytes = GOOD
    is_held: bool = False  # take requests, and answer none until released
    asked: int = 0
    at_once: int = 0
    most_at_once: int = 0
    port: int = 0
    released: asyncio.Event = field(default_factory=asyncio.Event)

    async def behave(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.asked += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        if self.is_held:
            await self.released.wait()
        self.at_once -= 1
        writer.write(self.answer)
        await writer.drain()

    def monitor(self, service: str = "NCTS2", name: str = "portal", **changes: Any) -> dict[str, Any]:
        spec = {"url": f"http://127.0.0.1:{self.port}/health"}
        return quick(service, name, "http", spec, **changes)


def quick(service: str, name: str, kind: str, spec: dict[str, Any], **changes: Any) -> dict[str, Any]:
    paced = {"interval": "100ms", "retry": "100ms", "timeout": "5s", "confirm_down": 2, "confirm_up": 2}
    return {"service": service, "name": name, "kind": kind, "spec": spec, **paced, **changes}


@pytest.fixture
async def target(counterparts: Counterparts) -> Target:
    made = Target()
    made.port = await counterparts.serve(made.behave)
    return made


@pytest.fixture
def house(settings: Settings, db: Database, network: Network) -> House:
    from statuspage.kernel.i18n import Catalogues

    return House(settings, db, network, Signer(settings.security.secret or ""), Catalogues())


@asynccontextmanager
async def running(runner: Runner) -> AsyncIterator[Runner]:
    """The runner at work; what goes wrong in it fails the test."""
    task = asyncio.create_task(runner.run())
    try:
        yield runner
    finally:
        runner.stop()
        await task


def runner_of(house: House, **changes: Any) -> Runner:
    settings = replace(house.settings, monitors=Monitors(**changes))
    return Runner(house.db, house.network, settings)


async def until(holds: Callable[[], Any], what: str = "") -> None:
    """Wait until it holds, at most for as long as a busy machine may need."""
    deadline = clock.monotonic() + PATIENCE_S
    while not await asyncio.to_thread(holds):
        assert clock.monotonic() < deadline, what or "it never came to that"
        await asyncio.sleep(0.02)


def status(db: Database, code: str = "NCTS2") -> str:
    return service(db, code).status


def row(db: Database, key: str = "NCTS2/portal") -> BoardRow:
    return next(row for row in db.read_now(board) if f"{row.service_code}/{row.name}" == key)


def results(db: Database) -> list[Result]:
    return list(db.read_now(lambda session: session.scalars(select(Result).order_by(Result.id)).all()))


def notices(db: Database) -> list[Notice]:
    return list(db.read_now(lambda session: session.scalars(select(Notice)).all()))


def intervals(db: Database) -> list[Interval]:
    return list(db.read_now(lambda session: session.scalars(select(Interval).order_by(Interval.id)).all()))


def is_measured(db: Database, code: str = "NCTS2") -> bool:
    return service(db, code).measured == "operational"


async def test_an_outage_is_dated_from_its_first_failed_to_its_first_good_check(
    house: House, target: Target, now: datetime
) -> None:
    db = house.db
    declare(db, ["NCTS2"], [target.monitor()], now=now)
    async with running(runner_of(house)):
        await until(lambda: is_measured(db))
        target.answer = BAD
        await until(lambda: status(db) == "major_outage")
        target.answer = GOOD
        await until(lambda: status(db) == "operational")
    seen = results(db)
    first_failed = next(i for i, result in enumerate(seen) if result.verdict == "failed")
    first_good = next(result for result in seen[first_failed:] if result.verdict == "ok")
    (interval,) = intervals(db)
    assert (interval.began_at, interval.ended_at) == (seen[first_failed].at, first_good.at)
    (notice,) = notices(db)
    assert (notice.began_at, notice.status, notice.cause) == (seen[first_failed].at, "resolved", "HTTP 503")


async def test_a_single_failure_is_no_outage(house: House, target: Target, now: datetime) -> None:
    db = house.db
    declare(db, ["NCTS2"], [target.monitor(confirm_down=3)], now=now)

    async def asked_again(times: int) -> None:
        already = target.asked
        await until(lambda: target.asked >= already + times)

    async with running(runner_of(house)):
        await until(lambda: is_measured(db))
        for _ in range(3):
            target.answer = BAD
            await asked_again(1)
            target.answer = GOOD
            await asked_again(2)
    assert "failed" in {result.verdict for result in results(db)}
    assert notices(db) == []


async def test_one_of_two_monitors_down_is_a_partial_outage(
    house: House, target: Target, counterparts: Counterparts, now: datetime
) -> None:
    db = house.db
    other = Target()
    other.port = await counterparts.serve(other.behave)
    declare(db, ["NCTS2"], [target.monitor(), other.monitor(name="gateway")], now=now)
    async with running(runner_of(house)):
        await until(lambda: row(db).level == row(db, "NCTS2/gateway").level == Level.UP)
        other.answer = BAD
        await until(lambda: status(db) == "partial_outage")
        target.answer = BAD
        await until(lambda: status(db) == "major_outage")
        other.answer = GOOD
        await until(lambda: status(db) == "partial_outage")
        target.answer = GOOD
        await until(lambda: status(db) == "operational")
    found = intervals(db)
    assert [each.status for each in found] == ["partial_outage", "major_outage", "partial_outage"]
    assert [each.ended_at for each in found[:-1]] == [each.began_at for each in found[1:]], "without a gap"
    assert len(notices(db)) == 1


async def test_a_service_that_fails_as_a_whole_is_told_once_and_as_a_whole(
    house: House, target: Target, counterparts: Counterparts, now: datetime
) -> None:
    db = house.db
    other = Target()
    other.port = await counterparts.serve(other.behave)
    slow_pace = other.monitor(name="gateway", interval="1h")  # it would not be asked again in this test
    declare(db, ["NCTS2"], [target.monitor(), slow_pace], now=now)
    async with running(runner_of(house)):
        await until(lambda: row(db).level == row(db, "NCTS2/gateway").level == Level.UP)
        target.answer = other.answer = BAD
        await until(lambda: status(db) == "major_outage")
    assert [each.status for each in intervals(db)] == ["major_outage"]
    (notice,) = notices(db)
    updates = db.read_now(lambda s: s.scalars(select(Update).where(Update.notice_id == notice.id)).all())
    assert len(updates) == 1


@dataclass(frozen=True)
class NoSpec:
    """A probe of the tests that needs nothing."""


@pytest.fixture
def faulty_kinds() -> Iterator[None]:
    """Two kinds with faults of our own: one raises, one overruns its deadline."""

    @probes.probe("test-raises", NoSpec)
    async def raises(spec: NoSpec, context: Context) -> Outcome:
        raise RuntimeError("a bug")

    @probes.probe("test-hangs", NoSpec)
    async def hangs(spec: NoSpec, context: Context) -> Outcome:
        await asyncio.Event().wait()
        return Outcome(Verdict.FAILED)

    yield
    del probes._kinds["test-raises"], probes._kinds["test-hangs"]


@pytest.mark.usefixtures("faulty_kinds")
@pytest.mark.parametrize(
    ("kind", "cause"),
    [("test-raises", "internal error: RuntimeError"), ("test-hangs", "the check did not keep its deadline")],
)
async def test_a_fault_of_our_own_is_unknown_and_never_down(
    house: House, now: datetime, kind: str, cause: str
) -> None:
    db = house.db
    declare(db, ["NCTS2"], [quick("NCTS2", "portal", kind, {}, timeout="100ms")], now=now)
    async with running(runner_of(house)):
        await until(lambda: row(db).level == Level.UNKNOWN)
    assert {(result.verdict, result.cause) for result in results(db)} == {("unknown", cause)}
    assert (status(db), notices(db)) == ("operational", [])


async def test_a_monitor_that_this_version_cannot_check_is_unknown(
    house: House, target: Target, now: datetime
) -> None:
    db = house.db
    watched = declare(db, ["NCTS2"], [target.monitor()], now=now)

    def spoil(session: Any) -> None:
        session.get(Monitor, watched["NCTS2/portal"].id).kind = "of-the-future"

    db.run_now(spoil)
    async with running(runner_of(house)):
        await until(lambda: row(db).level == Level.UNKNOWN)
    assert notices(db) == []


def closed_port() -> int:
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port


async def test_when_the_control_targets_fail_too_the_prober_is_at_fault(
    house: House, target: Target, now: datetime
) -> None:
    """Abuse case 25: UNKNOWN, operators are told, nothing public."""
    db = house.db
    declare(db, ["NCTS2"], [target.monitor()], now=now)
    async with running(runner_of(house, control_targets=(f"127.0.0.1:{closed_port()}",))):
        await until(lambda: is_measured(db))
        target.answer = BAD
        await until(lambda: row(db).level == Level.UNKNOWN)
        await until(lambda: service(db, "NCTS2").unknown_since is not None)
        assert row(db).cause == "the control targets do not answer either"
        target.answer = GOOD
        await until(lambda: service(db, "NCTS2").unknown_since is None)
    assert "failed" not in {result.verdict for result in results(db)}
    assert (status(db), notices(db)) == ("operational", [])


async def test_when_the_control_targets_answer_the_target_is_at_fault(
    house: House, target: Target, counterparts: Counterparts, now: datetime
) -> None:
    control = await counterparts.answer(b"")
    declare(house.db, ["NCTS2"], [target.monitor()], now=now)
    target.answer = BAD
    async with running(runner_of(house, control_targets=(f"127.0.0.1:{control}",))):
        await until(lambda: status(house.db) == "major_outage")


@pytest.mark.parametrize("step", [timedelta(hours=1), timedelta(hours=-1)])
async def test_a_step_of_the_clock_moves_no_check_and_makes_no_negative_duration(
    house: House, target: Target, now: datetime, step: timedelta
) -> None:
    """Abuse case 22."""
    db = house.db
    offset = timedelta(0)
    late: list[float] = []
    declare(db, ["NCTS2"], [target.monitor()], now=now)
    runner = Runner(db, house.network, house.settings, now=lambda: clock.now() + offset, lateness=late.append)
    async with running(runner):
        await until(lambda: is_measured(db))
        target.answer = BAD
        await until(lambda: status(db) == "major_outage")
        asked = target.asked
        offset = step
        await until(lambda: target.asked >= asked + 5, "checks go on as before")
        target.answer = GOOD
        await until(lambda: status(db) == "operational")
    assert max(late) < PATIENCE_S, "nothing was due an hour ago"
    assert all(each.ended_at is None or each.ended_at >= each.began_at for each in intervals(db))
    (notice,) = notices(db)
    assert notice.status == "resolved"


@pytest.fixture
def impatient_db(sqlite_url: str) -> Iterator[Database]:
    """A SQLite database that gives up after a second or two instead of half a minute."""
    database = Database(sqlite_url, busy_timeout_ms=50)
    yield database
    database.close()


async def test_while_the_database_is_locked_results_wait_and_nobody_is_down(
    impatient_db: Database, settings: Settings, network: Network, target: Target, now: datetime
) -> None:
    """Abuse case 26: bounded retry, results buffered, no false DOWN, also not of those who push."""
    db = impatient_db
    job = quick("AES", "job", "heartbeat", {"period": "1s", "grace": "0s"})
    watched = declare(db, ["NCTS2", "AES"], [target.monitor(), job], now=now)
    signer = Signer(settings.security.secret or "")
    token = signer.sign("heartbeat", watched["AES/job"].id)

    def beat() -> None:
        db.run_now(record_beat, token, BeatKind.SUCCESS, signer=signer, now=clock.now())

    beat()
    runner = Runner(db, network, settings)
    async with running(runner):
        await until(lambda: is_measured(db) and is_measured(db, "AES"))
        lock = sqlite3.connect(db.url.removeprefix("sqlite:///"), isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        asked = target.asked
        await until(lambda: target.asked > asked + 30, "checks go on")
        await until(lambda: runner._refused_since is not None, "the database is given up on for now")
        lock.execute("ROLLBACK")
        lock.close()
        beat()
        await until(lambda: len([r for r in results(db) if r.latency_us]) >= asked + 30, "nothing is lost")
    assert {result.verdict for result in results(db)} <= {"ok", "unknown"}
    assert notices(db) == []
    answered = len([r for r in results(db) if r.verdict == "ok" and r.phases_ms])
    assert target.asked - answered in (0, 1), "at most the one that the stop broke off"


async def test_an_outage_found_while_the_database_was_locked_is_published_afterwards(
    impatient_db: Database, settings: Settings, network: Network, target: Target, now: datetime
) -> None:
    db = impatient_db
    declare(db, ["NCTS2"], [target.monitor()], now=now)
    runner = Runner(db, network, settings)
    async with running(runner):
        await until(lambda: is_measured(db))
        lock = sqlite3.connect(db.url.removeprefix("sqlite:///"), isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        target.answer = BAD
        await until(lambda: runner._refused_since is not None)
        lock.execute("ROLLBACK")
        lock.close()
        await until(lambda: status(db) == "major_outage")
    first_failed = next(result for result in results(db) if result.verdict == "failed")
    (notice,) = notices(db)
    assert notice.began_at == first_failed.at


async def test_a_restart_in_an_outage_continues_it(house: House, target: Target, now: datetime) -> None:
    db = house.db
    declare(db, ["NCTS2"], [target.monitor()], now=now)
    async with running(runner_of(house)):
        await until(lambda: is_measured(db))
        target.answer = BAD
        await until(lambda: status(db) == "major_outage")
    asked = target.asked
    async with running(runner_of(house)) as runner:
        await until(lambda: target.asked > asked + 3)
        assert runner.is_ready
        assert status(db) == "major_outage"
        target.answer = GOOD
        await until(lambda: status(db) == "operational")
    (notice,) = notices(db)
    assert notice.status == "resolved"
    assert len(intervals(db)) == 1


async def test_a_long_absence_of_the_prober_is_not_counted_as_good(
    house: House, target: Target, now: datetime
) -> None:
    db = house.db
    declare(db, ["NCTS2"], [target.monitor()], now=now)
    async with running(runner_of(house)):
        await until(lambda: is_measured(db))
    last_at = results(db)[-1].at
    later = timedelta(days=1)
    runner = Runner(db, house.network, house.settings, now=lambda: clock.now() + later)
    async with running(runner):
        await until(lambda: any(each.ended_at for each in intervals(db)))
    (gap,) = intervals(db)
    assert (gap.status, gap.began_at) == ("unknown", last_at)
    assert gap.ended_at is not None
    assert gap.ended_at >= last_at + timedelta(hours=23)


async def test_what_was_seen_is_written_before_the_runner_stops(
    house: House, target: Target, now: datetime
) -> None:
    db = house.db
    declare(db, ["NCTS2"], [target.monitor()], now=now)
    async with running(runner_of(house)):
        await until(lambda: target.asked >= 4)
    assert len(results(db)) >= 3


async def test_a_cancelled_runner_writes_too(house: House, target: Target, now: datetime) -> None:
    declare(house.db, ["NCTS2"], [target.monitor()], now=now)
    task = asyncio.create_task(runner_of(house).run())
    await until(lambda: target.asked >= 4)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(results(house.db)) >= 3


async def test_monitors_come_and_go_while_it_runs(
    house: House, target: Target, counterparts: Counterparts, now: datetime
) -> None:
    db = house.db
    other = Target()
    other.port = await counterparts.serve(other.behave)

    def declared(*monitors: dict[str, Any]) -> None:
        db.run_now(apply, parse_monitors(monitors, "test"), now=now)

    declare(db, ["NCTS2", "AES"], [target.monitor()], now=now)
    async with running(runner_of(house)):
        await until(lambda: is_measured(db))
        since = row(db).since
        declared(target.monitor(interval="150ms"), other.monitor("AES"))
        await until(lambda: is_measured(db, "AES"))
        assert row(db).since == since, "a changed monitor keeps its state"
        declared(other.monitor("AES"))
        await until(lambda: service(db, "NCTS2").unknown_since is not None, "nobody looks at it any more")
        asked = target.asked
        others = other.asked
        await until(lambda: other.asked > others + 3)
        assert target.asked <= asked + 1


async def test_a_check_out_of_turn_is_made_where_another_process_asked_for_it(
    house: House, target: Target, now: datetime
) -> None:
    id = declare(house.db, ["NCTS2"], [target.monitor(interval="1h")], now=now)["NCTS2/portal"].id
    other = Database(house.db.url)  # as the web's process has it
    watching = asyncio.create_task(house.db.watch())
    try:
        async with running(runner_of(house)):
            await until(lambda: target.asked == 1)
            other.run_now(ask_recheck, id, by="anna", now=clock.now())
            await until(lambda: target.asked == 2)
            target.is_held = True
            other.run_now(ask_recheck, id, by="anna", now=clock.now())
            await until(lambda: target.asked == 3)
            other.run_now(
                ask_recheck, id, by="anna", now=clock.now()
            )  # one is under way, and began too early
            await asyncio.sleep(2 * 0.5)  # the runner looks at most twice a second
            target.is_held = False
            target.released.set()
            await until(lambda: target.asked == 4)
            await asyncio.sleep(0.2)
            assert target.asked == 4
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        other.close()


async def test_a_paused_monitor_is_not_checked_until_it_is_resumed(
    house: House, target: Target, now: datetime
) -> None:
    db = house.db
    watched = declare(db, ["NCTS2"], [target.monitor()], now=now)
    id = watched["NCTS2/portal"].id
    async with running(runner_of(house)):
        await until(lambda: is_measured(db))
        db.run_now(pause, id, by="anna", now=now)
        db.wake()
        await until(lambda: service(db, "NCTS2").unknown_since is not None)
        db.run_now(resume, id, by="anna", now=now)
        await until(lambda: service(db, "NCTS2").unknown_since is None)


async def test_an_outage_ends_when_the_monitor_that_told_of_it_is_removed(
    house: House, target: Target, counterparts: Counterparts, now: datetime
) -> None:
    db = house.db
    other = Target(answer=BAD)
    other.port = await counterparts.serve(other.behave)
    declare(db, ["NCTS2"], [target.monitor(), other.monitor(name="gateway")], now=now)
    async with running(runner_of(house)):
        await until(lambda: status(db) == "partial_outage")
        db.run_now(apply, parse_monitors([target.monitor()], "test"), now=now)
        await until(lambda: status(db) == "operational")
    (interval,) = intervals(db)
    assert interval.ended_at is not None
    assert interval.ended_at > interval.began_at, "the outage that was measured stays on record"


async def test_a_heartbeat_is_judged_by_what_was_stored(house: House, now: datetime) -> None:
    db = house.db
    watched = declare(db, ["AES"], [quick("AES", "job", "heartbeat", {"period": "1h"})], now=now)
    token = house.signer.sign("heartbeat", watched["AES/job"].id)

    def beat(kind: BeatKind, exit_code: int | None = None) -> None:
        db.run_now(record_beat, token, kind, exit_code, signer=house.signer, now=clock.now())

    async with running(runner_of(house)):
        await until(lambda: row(db, "AES/job").level == Level.UNKNOWN)
        beat(BeatKind.SUCCESS)
        await until(lambda: is_measured(db, "AES"))
        beat(BeatKind.FAIL, 3)
        await until(lambda: status(db, "AES") == "major_outage")
        beat(BeatKind.SUCCESS)
        await until(lambda: status(db, "AES") == "operational")
    (notice,) = notices(db)
    assert notice.cause == "exit code 3"


@pytest.mark.parametrize(
    ("limits", "most"),
    [({"max_per_host": 3}, 3), ({"max_in_flight": 4, "max_per_host": 100}, 4)],
)
async def test_no_more_checks_are_under_way_than_allowed(
    house: House, target: Target, now: datetime, limits: dict[str, int], most: int
) -> None:
    target.is_held = True
    monitors = [target.monitor(name=f"portal {i}", timeout="20s") for i in range(12)]
    declare(house.db, ["NCTS2"], monitors, now=now)
    async with running(runner_of(house, **limits)):
        await until(lambda: target.at_once == most)
        target.is_held = False
        target.released.set()
        await until(lambda: {row.level for row in house.db.read_now(board)} == {Level.UP})
    assert target.most_at_once == most


async def test_a_slow_host_does_not_hold_up_the_others(
    house: House, target: Target, counterparts: Counterparts, now: datetime
) -> None:
    other = Target()
    other.port = await counterparts.serve(other.behave)
    target.is_held = True
    slow = [target.monitor(name=f"portal {i}", timeout="20s") for i in range(10)]
    fast = other.monitor("AES")
    fast["spec"] = {"url": f"http://localhost:{other.port}/"}
    declare(house.db, ["NCTS2", "AES"], [*slow, fast], now=now)
    async with running(runner_of(house, max_in_flight=4, max_per_host=3)):
        await until(lambda: target.at_once == 3)
        await until(lambda: other.asked > 5)
        target.is_held = False
        target.released.set()


async def test_it_is_ready_once_every_monitor_has_a_result(
    house: House, target: Target, counterparts: Counterparts, now: datetime
) -> None:
    held = Target(is_held=True)
    held.port = await counterparts.serve(held.behave)
    declare(house.db, ["NCTS2"], [target.monitor(), held.monitor(name="gateway", timeout="20s")], now=now)
    async with running(runner_of(house)) as runner:
        await until(lambda: target.asked > 2 and held.at_once == 1)
        assert not runner.is_ready
        held.released.set()
        await until(lambda: runner.is_ready)


async def test_a_monitor_is_checked_at_once_when_asked(house: House, target: Target, now: datetime) -> None:
    watched = declare(house.db, ["NCTS2"], [target.monitor(interval="1h", retry="1h")], now=now)
    async with running(runner_of(house)) as runner:
        await until(lambda: runner.is_ready)
        assert target.asked == 1
        runner.recheck(watched["NCTS2/portal"].id)
        await until(lambda: target.asked == 2)


async def test_what_cannot_be_saved_does_not_hold_up_the_rest(
    house: House, target: Target, now: datetime
) -> None:
    db = house.db
    declare(db, ["NCTS2", "AES"], [target.monitor(), target.monitor("AES")], now=now)

    def vanish(session: Any) -> None:
        """By a hand in the database; nothing in the program deletes a service."""
        found = session.scalars(select(Service).where(Service.code == "AES")).one()
        ids = select(Monitor.id).where(Monitor.service_id == found.id)
        for table in (Result, MonitorState):
            session.execute(delete(table).where(table.monitor_id.in_(ids)))
        session.execute(delete(Monitor).where(Monitor.service_id == found.id))
        session.delete(found)

    with structlog.testing.capture_logs() as logs:
        async with running(runner_of(house)):
            await until(lambda: is_measured(db) and is_measured(db, "AES"))
            db.run_now(vanish)
            target.answer = BAD
            await until(lambda: status(db) == "major_outage")
            target.answer = GOOD
            await until(lambda: status(db) == "operational")
    assert db.read_now(lambda session: session.scalar(select(func.count(Notice.id)))) == 1
    assert "runner.save_failed" in {entry["event"] for entry in logs}
