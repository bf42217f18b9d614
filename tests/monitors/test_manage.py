"""Monitors by token: how they stand, paused, resumed, checked out of turn."""

from datetime import datetime

import pytest
from sqlalchemy.orm import Session

from monitors import manage
from monitors.store import load
from statuspage.kernel import audit, config
from statuspage.kernel.db import Database
from statuspage.kernel.errors import Conflict, NotFound
from statuspage.kernel.operations import Call, Reply
from tests.monitors.catalogues import declare

MONITOR = {"service": "NCTS2", "name": "portal", "kind": "http", "spec": {"url": "https://ncts2.example/"}}


def ask(db: Database, name: str, now: datetime, **path: str) -> Reply:
    operation = next(each for each in manage.operations() if each.name == name)
    call = Call(by="api:gate", now=now, settings=config.Settings(), path=path)

    def verb(session: Session) -> Reply:
        return operation.verb(session, call)

    return db.read_now(verb) if operation.method == "GET" else db.run_now(verb)


def test_a_monitor_is_listed_paused_checked_and_resumed(db: Database, now: datetime) -> None:
    (watched,) = declare(db, ["NCTS2"], [MONITOR], now=now).values()
    listed = ask(db, "listMonitors", now).value
    assert isinstance(listed, manage.MonitorList)
    (monitor,) = listed.monitors
    assert (monitor.id, monitor.service, monitor.checked_at) == (watched.id, "NCTS2", None)
    paused = ask(db, "pauseMonitor", now, id=watched.id)
    assert isinstance(paused.value, manage.Monitor)
    assert (paused.value.paused_at, paused.subject) == (now, f"monitor:{watched.id}")
    with pytest.raises(Conflict):
        ask(db, "recheckMonitor", now, id=watched.id)
    resumed = ask(db, "resumeMonitor", now, id=watched.id)
    assert isinstance(resumed.value, manage.Monitor)
    assert resumed.value.paused_at is None
    ask(db, "recheckMonitor", now, id=watched.id)
    (asked,) = db.read_now(load, config.Monitors()).monitors
    assert asked.recheck_at == now
    done = [(each.actor, each.action) for each in db.read_now(audit.entries, action="monitor")]
    assert done == [
        ("api:gate", "monitor.recheck-asked"),
        ("api:gate", "monitor.resumed"),
        ("api:gate", "monitor.paused"),
    ]


@pytest.mark.parametrize("name", ["getMonitor", "pauseMonitor", "resumeMonitor", "recheckMonitor"])
def test_a_monitor_that_is_not_there_is_not_found(db: Database, now: datetime, name: str) -> None:
    with pytest.raises(NotFound):
        ask(db, name, now, id="abcdefghijkl")
