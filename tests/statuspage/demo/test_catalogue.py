"""The demo's catalogue, probed as the product probes it: all well at first, and every fault is seen."""

import asyncio
import tomllib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

import monitors.catalogue
from monitors.catalogue import MonitorDeclaration
from monitors.probes import Context, Outcome, Verdict, build_spec, kinds
from statuspage.demo.simulator import Fault, Simulator, fill
from statuspage.demo.world import CATALOGUE
from statuspage.incidents import catalogue
from statuspage.kernel.i18n import Catalogues
from statuspage.kernel.net import Network

TEXT = CATALOGUE.read_text(encoding="utf-8")
ON_PUESC = ["NCTS2", "AES", "AIS", "ICS2", "SENT", "INTRASTAT", "EMCS"]


@dataclass
class Watch:
    """The simulated services and who looks at them."""

    simulator: Simulator
    monitors: dict[str, MonitorDeclaration]
    network: Network

    async def check(self, key: str) -> Outcome:
        """One check by the product's own probe."""
        monitor = self.monitors[key]
        spec: Any = build_spec(monitor.kind, monitor.spec, where=key)
        context = Context(self.network, monitor.timeout.total_seconds())
        return await kinds()[monitor.kind].check(spec, context)

    async def verdicts(self, *keys: str) -> list[Verdict]:
        return [outcome.verdict for outcome in await asyncio.gather(*(self.check(key) for key in keys))]


@pytest_asyncio.fixture
async def watch(tmp_path: Path) -> AsyncIterator[Watch]:
    simulator = Simulator(TEXT, tmp_path)
    await simulator.start()
    declared = catalogue.parse(fill(TEXT, simulator), where="catalogue.toml")
    checked = monitors.catalogue.parse_monitors(declared.monitors, "catalogue.toml")
    network = Network(("127.0.0.0/8",))
    yield Watch(simulator, {monitor.key: monitor for monitor in checked}, network)
    network.close()
    await simulator.stop()


async def test_nothing_is_wrong_until_something_is_broken(watch: Watch) -> None:
    looked_at = [key for key, monitor in watch.monitors.items() if monitor.kind != "heartbeat"]
    assert len(looked_at) == len(watch.monitors) - 1
    assert set(await watch.verdicts(*looked_at)) == {Verdict.OK}


@pytest.mark.parametrize(
    ("how", "portal", "gateway"),
    [
        ("503", Verdict.FAILED, Verdict.FAILED),
        ("timeout", Verdict.FAILED, Verdict.FAILED),
        ("slow", Verdict.SLOW, Verdict.SLOW),
        ("reset", Verdict.FAILED, Verdict.FAILED),
        ("tls", Verdict.FAILED, Verdict.OK),
        ("body", Verdict.FAILED, Verdict.OK),
    ],
)
async def test_every_fault_is_seen_by_the_product(
    watch: Watch, how: str, portal: Verdict, gateway: Verdict
) -> None:
    watch.simulator.break_service("NCTS2", how)
    assert await watch.verdicts("NCTS2/portal", "NCTS2/message gateway") == [portal, gateway]
    assert await watch.verdicts("PUESC/portal", "AES/portal", "AES/message gateway") == [Verdict.OK] * 3
    watch.simulator.restore("NCTS2")
    assert await watch.verdicts("NCTS2/portal", "NCTS2/message gateway") == [Verdict.OK] * 2


@pytest.mark.parametrize("how", Fault)
async def test_every_service_without_a_gateway_can_be_broken_too(watch: Watch, how: Fault) -> None:
    watch.simulator.break_service("ISZTAR4", how)
    assert (await watch.verdicts("ISZTAR4/portal"))[0] in (Verdict.FAILED, Verdict.SLOW)


async def test_an_expired_certificate_is_named_as_the_cause(watch: Watch) -> None:
    watch.simulator.break_service("SZPROT", "tls")
    assert "expired" in (await watch.check("SZPROT/certificate")).cause


async def test_a_broken_platform_delays_its_childrens_messages_but_not_their_portals(watch: Watch) -> None:
    watch.simulator.break_service("PUESC", "503")
    gateways = [f"{code}/message gateway" for code in ON_PUESC]
    portals = [f"{code}/portal" for code in [*ON_PUESC, "ISZTAR4", "SENT-GEO"]]
    assert set(await watch.verdicts(*gateways)) == {Verdict.SLOW}
    assert set(await watch.verdicts(*portals)) == {Verdict.OK}


def test_the_tree_is_that_of_the_field() -> None:
    declared = {service.code: service for service in catalogue.parse(TEXT, where="catalogue.toml").services}
    assert sorted(code for code, service in declared.items() if service.parents == ("PUESC",)) == sorted(
        ON_PUESC
    )
    assert declared["PUESC"].parents == ("SZPROT",)
    assert len(declared) == 17


def test_a_break_can_be_confirmed_within_four_seconds() -> None:
    for monitor in tomllib.loads(TEXT)["monitors"]:
        assert (monitor["interval"], monitor["retry"], monitor["confirm_down"]) == ("2s", "500ms", 2)


def test_everything_a_person_reads_exists_in_both_languages() -> None:
    catalogues = Catalogues()
    for service in catalogue.parse(TEXT, where="catalogue.toml").services:
        assert service.description.pl
        assert service.description.en
        assert service.description.pl != service.description.en
        for function in service.functions:
            assert catalogues.gettext("pl", function) != function
