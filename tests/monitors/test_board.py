"""The monitors as the operators' board is handed them."""

from datetime import datetime, timedelta

from monitors.board import lines
from monitors.probes import Outcome, Verdict
from monitors.rules import Level, Run, State
from monitors.store import Batch, Seen, pause, save
from statuspage.kernel import config
from statuspage.kernel.db import Database
from tests.monitors.catalogues import declare

HTTP = {"kind": "http", "spec": {"url": "http://127.0.0.1/"}, "interval": "30s", "retry": "5s"}


def seen(db: Database, id: str, at: datetime, state: State, outcome: Outcome) -> None:
    batch = Batch()
    batch.add(Seen(id, at, outcome, state))
    db.run_now(save, batch, now=at, policy=config.Incidents())


def test_a_line_says_how_it_stands_when_it_comes_again_and_how_late_it_is(
    db: Database, now: datetime
) -> None:
    declared = [{"service": code, "name": "portal", **HTTP} for code in ("AES", "AIS")]
    known = declare(db, ["AES", "AIS"], declared, now=now)
    good = State(known=Level.UP, judged=Level.UP, since=now, ok=Run(2, now))
    ok = Outcome(Verdict.OK, latency_ms=12.5, phases_ms={"connect": 4.0, "total": 12.5})
    doubtful = State(known=Level.UP, judged=Level.UP, since=now, bad=Run(1, now), failed=Run(1, now))
    seen(db, known["AES/portal"].id, now, good, ok)
    seen(
        db, known["AIS/portal"].id, now, doubtful, Outcome(Verdict.FAILED, "HTTP 503", phases_ms={"dns": 2.0})
    )
    found = db.read_now(lines, now + timedelta(seconds=10))
    (aes,), (ais,) = found["AES"], found["AIS"]
    assert (aes.level, aes.latency_ms, aes.next_at, aes.late) == (
        "up",
        12.5,
        now + timedelta(seconds=30),
        timedelta(),
    )
    assert (ais.cause, ais.next_at, ais.late) == (
        "HTTP 503",
        now + timedelta(seconds=5),
        timedelta(seconds=5),
    )
    assert aes.phases_ms == {}  # the whole board would read a thousand
    assert ais.phases_ms == {"dns": 2.0}
    only = db.read_now(lines, now, "AES")
    assert list(only) == ["AES"]
    assert only["AES"][0].phases_ms == {"connect": 4.0, "total": 12.5}


def test_one_never_checked_and_one_paused_have_no_next_check(db: Database, now: datetime) -> None:
    declared = [{"service": "AES", "name": name, **HTTP} for name in ("a", "b")]
    known = declare(db, ["AES"], declared, now=now)
    seen(db, known["AES/b"].id, now, State(known=Level.UP), Outcome(Verdict.OK))
    db.run_now(pause, known["AES/b"].id, by="anna", now=now)
    never, paused = db.read_now(lines, now)["AES"]
    assert (never.level, never.checked_at, never.next_at) == ("never", None, None)
    assert (paused.is_paused, paused.next_at) == (True, None)
