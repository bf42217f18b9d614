"""Monitors in the catalogue: what is refused, what applying changes."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from monitors.catalogue import apply, diff, heartbeat_path, parse_monitors
from monitors.store import BeatKind, load, record_beat, version
from monitors.tables import Monitor, MonitorBeats
from statuspage.incidents import catalogue as services_catalogue
from statuspage.kernel import config
from statuspage.kernel.db import Database
from statuspage.kernel.errors import Invalid, NotFound
from statuspage.kernel.security import Signer, hash_token

SERVICES = """
[[groups]]
code = "transit"
name = { pl = "Tranzyt", en = "Transit" }

[[services]]
code = "NCTS2"
group = "transit"
name = { pl = "NCTS2", en = "NCTS2" }

[[services]]
code = "AES"
group = "transit"
name = { pl = "AES", en = "AES" }
"""
PORTAL: dict[str, Any] = {
    "service": "NCTS2",
    "name": "portal",
    "kind": "http",
    "spec": {"url": "https://ncts2.example/health"},
}
GATEWAY: dict[str, Any] = {
    "service": "NCTS2",
    "name": "gateway",
    "kind": "tcp",
    "interval": "1m",
    "spec": {"host": "gw.example", "port": 25},
}
JOB: dict[str, Any] = {"service": "AES", "name": "night job", "kind": "heartbeat", "spec": {"period": "1d"}}


@pytest.fixture
def with_services(db: Database, now: datetime) -> Database:
    """A database with two services."""
    db.run_now(services_catalogue.apply, services_catalogue.parse(SERVICES, where="test"), now=now)
    return db


def apply_now(db: Database, declared: list[dict[str, Any]], now: datetime) -> list[str]:
    return db.run_now(apply, parse_monitors(declared, "catalogue.toml"), now=now)


def test_what_is_left_out_has_a_default() -> None:
    (monitor,) = parse_monitors([PORTAL], "catalogue.toml")
    assert (monitor.interval, monitor.retry_or_default, monitor.timeout) == (
        timedelta(seconds=30),
        timedelta(seconds=5),
        timedelta(seconds=10),
    )
    assert (monitor.confirm_down, monitor.confirm_up) == (3, 2)


def test_the_default_retry_is_no_longer_than_the_interval() -> None:
    (monitor,) = parse_monitors([{**PORTAL, "interval": "2s"}], "catalogue.toml")
    assert monitor.retry_or_default == timedelta(seconds=2)


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"interval": "often"}, "monitors[1].interval"),
        ({"interval": "10ms"}, "monitors[1].interval"),
        ({"interval": "2s", "retry": "5s"}, "monitors[1].retry"),
        ({"timeout": "1h"}, "monitors[1].timeout"),
        ({"confirm_down": 0}, "monitors[1].confirm_down"),
        ({"name": "a/b"}, "monitors[1].name"),
        ({"colour": "red"}, "monitors[1].colour"),
        ({"kind": "telepathy"}, "monitors[1].kind"),
        ({"spec": {"url": "https://x.example", "colour": 1}}, "monitors[1].spec.colour"),
        ({"spec": {}}, "monitors[1].spec"),
        ({"service": "NONE"}, "monitors[1].service"),
        ({"name": "gateway"}, "monitors[1].name"),
    ],
)
def test_a_bad_monitor_is_refused_by_file_and_key(change: dict[str, Any], key: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse_monitors([GATEWAY, {**PORTAL, **change}], "catalogue.toml", services={"NCTS2", "AES"})
    assert caught.value.field.startswith(f"catalogue.toml.{key}")


def test_two_heartbeats_cannot_share_a_token() -> None:
    job = {**JOB, "spec": {"period": "1d", "token": "x" * 20}}
    with pytest.raises(Invalid, match=r"monitors\[1\]\.spec\.token"):
        parse_monitors([job, {**job, "name": "other"}], "catalogue.toml")


def test_new_changed_and_gone_monitors_make_a_line_each(with_services: Database, now: datetime) -> None:
    assert apply_now(with_services, [PORTAL, GATEWAY], now) == [
        "+ monitor NCTS2/portal",
        "+ monitor NCTS2/gateway",
    ]
    changed = {**PORTAL, "interval": "1m", "confirm_up": 5}
    assert apply_now(with_services, [changed, JOB], now) == [
        "~ monitor NCTS2/portal: confirm_up, interval",
        "+ monitor AES/night job",
        "- monitor NCTS2/gateway",
    ]


def test_a_difference_says_the_same_and_changes_nothing(with_services: Database, now: datetime) -> None:
    declared = parse_monitors([PORTAL, GATEWAY], "catalogue.toml")
    assert with_services.read_now(diff, declared) == with_services.run_now(apply, declared, now=now)


def test_what_stays_as_it_is_stays_untouched(with_services: Database, now: datetime) -> None:
    apply_now(with_services, [PORTAL, GATEWAY], now)
    seen = with_services.read_now(version)
    later = now + timedelta(days=1)
    assert apply_now(with_services, [PORTAL, GATEWAY], later) == []
    assert with_services.read_now(lambda s: set(s.scalars(select(Monitor.updated_at)))) == {now}
    assert with_services.read_now(version) == seen


def test_an_archived_monitor_comes_back_with_its_history(with_services: Database, now: datetime) -> None:
    apply_now(with_services, [PORTAL], now)
    (first,) = with_services.read_now(load, config.Monitors()).monitors
    apply_now(with_services, [], now)
    assert with_services.read_now(load, config.Monitors()).monitors == ()
    assert apply_now(with_services, [PORTAL], now) == ["+ monitor NCTS2/portal"]
    (again,) = with_services.read_now(load, config.Monitors()).monitors
    assert again.id == first.id


def test_every_change_tells_the_runner(with_services: Database, now: datetime) -> None:
    versions = [with_services.read_now(version)]
    for declared in ([PORTAL], [PORTAL, GATEWAY], [GATEWAY]):
        apply_now(with_services, declared, now)
        versions.append(with_services.read_now(version))
    assert len(set(versions)) == 4


def test_an_unknown_service_changes_nothing(with_services: Database, now: datetime) -> None:
    with pytest.raises(Invalid, match="NONE"):
        apply_now(with_services, [PORTAL, {**GATEWAY, "service": "NONE"}], now)
    assert with_services.read_now(load, config.Monitors()).monitors == ()


def test_a_declared_token_is_stored_hashed_and_found(with_services: Database, now: datetime) -> None:
    token = "a-declared-token-of-the-sender"
    apply_now(with_services, [{**JOB, "spec": {"period": "1d", "token": token}}], now)
    (row,) = with_services.read_now(lambda s: s.scalars(select(Monitor)).all())
    assert token not in str(row.spec)
    assert row.token_hash == hash_token(token)
    with_services.run_now(record_beat, token, BeatKind.SUCCESS, signer=Signer("s" * 32), now=now)
    assert with_services.read_now(lambda s: s.scalars(select(MonitorBeats.last_success_at)).all()) == [now]


def test_a_token_of_our_own_is_derived_and_found(with_services: Database, now: datetime) -> None:
    signer = Signer("s" * 32)
    apply_now(with_services, [JOB], now)
    (row,) = with_services.read_now(lambda s: s.scalars(select(Monitor)).all())
    token = heartbeat_path(signer, row.id).removeprefix("/heartbeat/")
    with_services.run_now(record_beat, token, BeatKind.FAIL, 3, signer=signer, now=now)
    (heard,) = with_services.read_now(lambda s: s.scalars(select(MonitorBeats)).all())
    assert (heard.last_fail_at, heard.exit_code, heard.last_success_at) == (now, 3, None)
    with pytest.raises(NotFound):
        with_services.run_now(record_beat, token + "x", BeatKind.FAIL, signer=signer, now=now)
