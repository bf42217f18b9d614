"""What was seen, saved: all or nothing, and the same on both databases."""

import random
from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from monitors.latency import LAST_BUCKET
from monitors.probes import Outcome, Verdict
from monitors.rules import Level, Policy, State, step
from monitors.rules import Verdict as Judged
from monitors.store import (
    MAX_LATENCY_US,
    Batch,
    BeatKind,
    Seen,
    Unmeasured,
    Watched,
    ask_recheck,
    beats,
    board,
    find,
    is_measured,
    load,
    pause,
    record_beat,
    resume,
    save,
    version,
)
from monitors.tables import MonitorState, Result
from statuspage.incidents.rules import ServiceStatus
from statuspage.incidents.services import Finding
from statuspage.incidents.tables import Interval, Notice
from statuspage.kernel import audit, config
from statuspage.kernel.db import Database
from statuspage.kernel.errors import NotFound
from statuspage.kernel.security import Signer
from tests.monitors.catalogues import declare, service

PORTAL = {"service": "NCTS2", "name": "portal", "kind": "http", "spec": {"url": "https://ncts2.example/"}}
GATEWAY = {"service": "NCTS2", "name": "gateway", "kind": "tcp", "spec": {"host": "g.example", "port": 25}}
JOB = {"service": "AES", "name": "job", "kind": "heartbeat", "spec": {"period": "1d"}}
MONITORS = config.Monitors()
SIGNER = Signer("s" * 32)


@pytest.fixture
def watched(db: Database, now: datetime) -> dict[str, Watched]:
    return declare(db, ["NCTS2", "AES"], [PORTAL, GATEWAY, JOB], now=now)


def seen(
    monitor: Watched, at: datetime, verdict: Verdict = Verdict.OK, latency_ms: float | None = 12.5
) -> Seen:
    outcome = Outcome(verdict, "", latency_ms, {"connect": 1.25}, {"status": "200"})
    state, _ = step(State(), Judged(verdict.value), outcome.cause, at, monitor.policy)
    return Seen(monitor.id, at, outcome, state)


def saved(db: Database, batch: Batch, now: datetime) -> None:
    db.run_now(save, batch, now=now, policy=config.Incidents())


def batch_of(*checks: Seen) -> Batch:
    batch = Batch()
    for check in checks:
        batch.add(check)
    return batch


def test_a_state_comes_back_as_it_was(db: Database, watched: dict[str, Watched], now: datetime) -> None:
    portal = watched["NCTS2/portal"]
    rng = random.Random(7)
    state = State()
    for i in range(200):
        verdict = rng.choice(list(Judged))
        state, _ = step(state, verdict, f"cause {i}", now + timedelta(seconds=i), portal.policy)
        saved(db, batch_of(Seen(portal.id, now, Outcome(Verdict.OK), state)), now)
        assert db.read_now(load, MONITORS).states[portal.id] == (state, now)


def test_a_batch_keeps_every_result_and_the_last_state(
    db: Database, watched: dict[str, Watched], now: datetime
) -> None:
    portal, gateway = watched["NCTS2/portal"], watched["NCTS2/gateway"]
    later = now + timedelta(seconds=30)
    failed = seen(portal, later, Verdict.FAILED, None)
    saved(db, batch_of(seen(portal, now), seen(gateway, now), failed), now)
    assert db.read_now(lambda s: s.scalar(select(func.count(Result.id)))) == 3
    rows = {row.monitor_id: row for row in db.read_now(lambda s: s.scalars(select(MonitorState)).all())}
    assert (rows[portal.id].verdict, rows[portal.id].at, rows[portal.id].latency_us) == (
        "failed",
        later,
        None,
    )
    assert (rows[gateway.id].verdict, rows[gateway.id].latency_us) == ("ok", 12_500)


def test_a_job_that_ran_for_hours_can_be_saved(
    db: Database, watched: dict[str, Watched], now: datetime
) -> None:
    saved(db, batch_of(seen(watched["AES/job"], now, latency_ms=6 * 3_600_000)), now)
    (result,) = db.read_now(lambda s: s.scalars(select(Result)).all())
    assert (result.bucket, result.latency_us) == (LAST_BUCKET, MAX_LATENCY_US)


def test_a_finding_is_reported_with_the_results(
    db: Database, watched: dict[str, Watched], now: datetime
) -> None:
    portal = watched["NCTS2/portal"]
    batch = batch_of(seen(portal, now, Verdict.FAILED))
    batch.findings.append(Finding(portal.service_id, ServiceStatus.MAJOR_OUTAGE, "HTTP 503", now))
    saved(db, batch, now + timedelta(seconds=10))
    assert service(db, "NCTS2").status == "major_outage"
    (notice,) = db.read_now(lambda s: s.scalars(select(Notice)).all())
    assert (notice.began_at, notice.cause) == (now, "HTTP 503")


def test_what_cannot_be_reported_leaves_nothing_behind(
    db: Database, watched: dict[str, Watched], now: datetime
) -> None:
    batch = batch_of(seen(watched["NCTS2/portal"], now))
    batch.findings.append(Finding("nosuchsrvice", ServiceStatus.MAJOR_OUTAGE, "", now))
    with pytest.raises(Exception, match="No row"):
        saved(db, batch, now)
    assert db.read_now(lambda s: s.scalar(select(func.count(Result.id)))) == 0
    assert not db.read_now(load, MONITORS).states


def test_not_knowing_is_an_interval_and_no_outage(
    db: Database, watched: dict[str, Watched], now: datetime
) -> None:
    portal = watched["NCTS2/portal"]
    saved(db, Batch(findings=[Finding(portal.service_id, ServiceStatus.OPERATIONAL, "", now)]), now)
    later = now + timedelta(minutes=5)
    saved(db, Batch(findings=[Unmeasured(portal.service_id, later)]), later)
    row = service(db, "NCTS2")
    assert (row.status, row.unknown_since) == ("operational", later)
    assert db.read_now(lambda s: s.scalars(select(Interval.status)).all()) == ["unknown"]
    assert db.read_now(lambda s: s.scalar(select(func.count(Notice.id)))) == 0
    standing = db.read_now(load, MONITORS).published[portal.service_id]
    assert (standing.status, standing.unknown_since) == (ServiceStatus.OPERATIONAL, later)


def test_of_too_many_results_the_oldest_are_dropped_and_nothing_else(
    watched: dict[str, Watched], now: datetime
) -> None:
    portal = watched["NCTS2/portal"]
    checks = [seen(portal, now + timedelta(seconds=i)) for i in range(10)]
    old, new = batch_of(*checks[:6]), batch_of(*checks[6:])
    old.findings.append(Unmeasured("a", now))
    new.findings.append(Unmeasured("b", now))
    assert old.put_before(new, max_results=7) == 3
    assert new.results == checks[3:]
    assert new.states == {portal.id: checks[-1]}
    assert [finding.service_id for finding in new.findings] == ["a", "b"]


def test_a_monitor_is_found_by_name_service_or_id(db: Database, watched: dict[str, Watched]) -> None:
    def names(text: str) -> list[str]:
        return [monitor.key for monitor in db.read_now(find, text, MONITORS)]

    assert names("NCTS2/portal") == ["NCTS2/portal"]
    assert names("NCTS2") == ["NCTS2/gateway", "NCTS2/portal"]
    assert names(watched["AES/job"].id) == ["AES/job"]
    with pytest.raises(NotFound, match="AES/job, NCTS2/gateway, NCTS2/portal"):
        names("NCTS3")


def test_pausing_and_resuming_tell_the_runner(
    db: Database, watched: dict[str, Watched], now: datetime
) -> None:
    portal = watched["NCTS2/portal"]
    seen_versions = {db.read_now(version)}
    db.run_now(pause, portal.id, by="anna", now=now)
    seen_versions.add(db.read_now(version))
    assert [m.is_paused for m in db.read_now(load, MONITORS).monitors if m.id == portal.id] == [True]
    db.run_now(resume, portal.id, by="jan", now=now)
    seen_versions.add(db.read_now(version))
    assert not any(m.is_paused for m in db.read_now(load, MONITORS).monitors)
    assert len(seen_versions) == 3
    db.run_now(ask_recheck, portal.id, by="jan", now=now)
    written = db.read_now(audit.entries, action="monitor")
    assert [(each.actor, each.action, each.subject) for each in written] == [
        ("jan", "monitor.recheck-asked", f"monitor:{portal.id}"),
        ("jan", "monitor.resumed", f"monitor:{portal.id}"),
        ("anna", "monitor.paused", f"monitor:{portal.id}"),
    ]
    assert written[0].details == '{"monitor":"NCTS2/portal"}'
    with pytest.raises(NotFound):
        db.run_now(pause, "nosuchmontor", by="anna", now=now)


def test_the_policy_comes_from_the_monitor_and_the_settings(watched: dict[str, Watched]) -> None:
    assert watched["NCTS2/portal"].policy == Policy(
        timedelta(seconds=30), timedelta(seconds=5), timedelta(seconds=10), 3, 2, timedelta(minutes=30), 6
    )


def test_beats_are_kept_by_kind(db: Database, watched: dict[str, Watched], now: datetime) -> None:
    token = SIGNER.sign("heartbeat", watched["AES/job"].id)

    def say(session: Session, kind: BeatKind, code: int | None, after_s: int) -> None:
        record_beat(session, token, kind, code, signer=SIGNER, now=now + timedelta(seconds=after_s))

    for i, (kind, code) in enumerate([(BeatKind.START, None), (BeatKind.FAIL, 7), (BeatKind.SUCCESS, None)]):
        db.run_now(say, kind, code, i)
    heard = db.read_now(beats)[watched["AES/job"].id]
    assert (heard.created_at, heard.exit_code) == (now, 7)
    assert [heard.last_start_at, heard.last_fail_at, heard.last_success_at] == [
        now + timedelta(seconds=i) for i in range(3)
    ]


def test_a_failure_without_a_code_forgets_the_last_code(
    db: Database, watched: dict[str, Watched], now: datetime
) -> None:
    token = SIGNER.sign("heartbeat", watched["AES/job"].id)
    db.run_now(record_beat, token, BeatKind.FAIL, 7, signer=SIGNER, now=now)
    db.run_now(record_beat, token, BeatKind.FAIL, None, signer=SIGNER, now=now)
    assert db.read_now(beats)[watched["AES/job"].id].exit_code is None


def test_another_purposes_token_is_no_heartbeat(
    db: Database, watched: dict[str, Watched], now: datetime
) -> None:
    token = SIGNER.sign("unsubscribe", watched["AES/job"].id)
    with pytest.raises(NotFound):
        db.run_now(record_beat, token, BeatKind.SUCCESS, signer=SIGNER, now=now)


def test_the_board_shows_every_monitor_as_it_stands(
    db: Database, watched: dict[str, Watched], now: datetime
) -> None:
    saved(db, batch_of(seen(watched["NCTS2/portal"], now)), now)
    rows = {f"{row.service_code}/{row.name}": row for row in db.read_now(board)}
    portal, gateway = rows["NCTS2/portal"], rows["NCTS2/gateway"]
    assert (portal.level, portal.since, portal.latency_ms, portal.facts) == (
        Level.UP,
        now,
        12.5,
        {"status": "200"},
    )
    assert (gateway.level, gateway.at, gateway.latency_ms) == (Level.NEVER, None, None)


def test_all_is_measured_once_every_running_monitor_has_a_state(
    db: Database, watched: dict[str, Watched], now: datetime
) -> None:
    saved(db, batch_of(seen(watched["NCTS2/portal"], now), seen(watched["NCTS2/gateway"], now)), now)
    assert not db.read_now(is_measured)
    db.run_now(pause, watched["AES/job"].id, by="anna", now=now)
    assert db.read_now(is_measured)
