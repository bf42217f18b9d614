"""Pieces of a check: hosts, missed beats, a check on demand."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from monitors.checks import Deaf, excuse, host_of, probe_now
from monitors.probes import Beats, Verdict, build_spec
from monitors.probes.heartbeat import Spec, judge
from statuspage.kernel import clock
from statuspage.kernel.errors import NotFound
from statuspage.kernel.house import House
from tests.monitors.catalogues import declare
from tests.monitors.conftest import Counterparts

T0 = datetime(2026, 11, 23, 5, 0, tzinfo=UTC)
HOURLY = Spec(period=timedelta(hours=1), grace=timedelta(minutes=5))


@pytest.mark.parametrize(
    ("kind", "spec", "host"),
    [
        ("http", {"url": "https://portal.example:8443/x"}, "portal.example"),
        ("http", {"url": "http://[::1]:80/"}, "::1"),
        ("tcp", {"host": "gw.example", "port": 25}, "gw.example"),
        ("tls", {"host": "gw.example"}, "gw.example"),
        ("heartbeat", {"period": "1h"}, ""),
    ],
)
def test_the_host_is_read_from_the_spec(kind: str, spec: dict[str, object], host: str) -> None:
    assert host_of(build_spec(kind, spec, where="test")) == host


def minutes(n: float) -> datetime:
    return T0 + timedelta(minutes=n)


@pytest.mark.parametrize(
    ("deaf", "now", "verdict"),
    [
        pytest.param((55, 70), 71, Verdict.OK, id="it was due while nobody listened"),
        pytest.param((55, 70), 140, Verdict.FAILED, id="the next one is due as always"),
        pytest.param((55, 59), 66, Verdict.OK, id="it came a little early, and was missed"),
        pytest.param((10, 20), 66, Verdict.FAILED, id="it was due after that"),
        pytest.param((70, 80), 81, Verdict.FAILED, id="it was overdue before"),
    ],
)
def test_a_beat_due_while_nobody_listened_is_excused(
    deaf: tuple[float, float], now: float, verdict: Verdict
) -> None:
    heard = Beats(T0, last_success_at=T0)
    excused = excuse(HOURLY, heard, Deaf(minutes(deaf[0]), minutes(deaf[1])))
    assert judge(HOURLY, excused, minutes(now)).verdict is verdict


def test_a_reported_failure_is_not_excused() -> None:
    heard = Beats(T0, last_success_at=T0, last_fail_at=minutes(1))
    assert excuse(HOURLY, heard, Deaf(minutes(55), minutes(70))) is heard


async def test_a_check_on_demand_saves_nothing(
    house: House, counterparts: Counterparts, now: datetime
) -> None:
    port = await counterparts.answer(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
    http = {
        "service": "NCTS2",
        "name": "portal",
        "kind": "http",
        "spec": {"url": f"http://127.0.0.1:{port}/"},
    }
    push = {"service": "NCTS2", "name": "job", "kind": "heartbeat", "spec": {"period": "1h"}}
    declare(house.db, ["NCTS2"], [http, push], now=now)
    found = await probe_now(house.db, house.network, house.settings, "NCTS2", now=clock.now())
    outcomes = {monitor.key: outcome for monitor, outcome in found}
    assert (outcomes["NCTS2/portal"].verdict, outcomes["NCTS2/portal"].cause) == (Verdict.FAILED, "HTTP 503")
    assert outcomes["NCTS2/portal"].phases_ms["total"] > 0
    assert outcomes["NCTS2/job"].verdict is Verdict.UNKNOWN
    with pytest.raises(NotFound):
        await probe_now(house.db, house.network, house.settings, "NCTS3", now=clock.now())


def test_an_excuse_changes_only_the_last_success() -> None:
    heard = Beats(T0, last_start_at=minutes(-1), last_success_at=T0, exit_code=4)
    excused = excuse(HOURLY, heard, Deaf(minutes(55), minutes(70)))
    assert excused == replace(heard, last_success_at=minutes(70))
