"""One check of one monitor: its deadline, our own faults as UNKNOWN, control targets, beats missed."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import structlog

from monitors.catalogue import HEARTBEAT
from monitors.probes import Beats, Check, Context, Kind, Outcome, Verdict, build_spec, kinds
from monitors.probes.heartbeat import Spec as HeartbeatSpec
from monitors.probes.heartbeat import next_due
from monitors.rules import prober_at_fault
from monitors.store import Watched, beats, find
from statuspage.kernel import clock, config
from statuspage.kernel.db import Database
from statuspage.kernel.errors import Invalid, Unavailable
from statuspage.kernel.net import Network, Refused, TargetFault

log = structlog.get_logger(__name__)

_OVERRUN_S = 1.0  # after its timeout a check is cancelled
_CONTROL_TIMEOUT_S = 3.0


@dataclass(frozen=True, slots=True)
class Prepared:
    """A monitor with its spec built. `fault` says why it cannot be checked: then every check is UNKNOWN."""

    monitor: Watched
    check: Check | None
    spec: Any
    host: str  # for the limit per host and for telling one fault from another; "" where there is none
    fault: str = ""

    @property
    def is_pushed_to(self) -> bool:
        return self.monitor.kind == HEARTBEAT


def prepare(monitor: Watched, known: Mapping[str, Kind]) -> Prepared:
    """Never raises: a spec from another version of the program is our fault, not the target's.

    `known` are `probes.kinds()`, which looks at the disk and so is asked once for many monitors.
    """
    try:
        spec = build_spec(monitor.kind, monitor.spec, where=monitor.key)
    except Invalid as error:
        log.error("monitor.unusable", monitor=monitor.key, reason=str(error))
        return Prepared(monitor, None, None, "", str(error))
    return Prepared(monitor, known[monitor.kind].check, spec, host_of(spec))


def host_of(spec: Any) -> str:
    """Whom a spec looks at, by its `host` or `url`."""
    if url := getattr(spec, "url", None):
        return urlsplit(url).hostname or ""
    return str(getattr(spec, "host", None) or "")


async def look(prepared: Prepared, network: Network, now: datetime, heard: Beats | None = None) -> Outcome:
    """Check once. Whatever goes wrong on our side is UNKNOWN."""
    if prepared.check is None:
        return Outcome(Verdict.UNKNOWN, prepared.fault)
    timeout_s = prepared.monitor.policy.timeout.total_seconds()
    try:
        async with asyncio.timeout(timeout_s + _OVERRUN_S) as deadline:
            return await prepared.check(prepared.spec, Context(network, timeout_s, heard, now))
    except Unavailable as error:
        return Outcome(Verdict.UNKNOWN, str(error))
    except Exception as error:
        if deadline.expired():
            log.error("probe.overran", monitor=prepared.monitor.key, timeout_s=timeout_s)
            return Outcome(Verdict.UNKNOWN, "the check did not keep its deadline")
        log.exception("probe.failed", monitor=prepared.monitor.key)
        return Outcome(Verdict.UNKNOWN, f"internal error: {type(error).__name__}")


class Control:
    """Places that are always up. If they cannot be reached either, the prober is at fault (abuse case 25)."""

    def __init__(self, network: Network, targets: Sequence[str]) -> None:
        self._network = network
        self._targets = targets
        self._began_at = 0.0
        self._look: asyncio.Task[bool] | None = None

    async def is_prober_at_fault(self, since: float) -> bool:
        """Whether most targets fail. Looks anew unless somebody has looked since then (monotonic)."""
        if not self._targets:
            return False
        if self._look is None or self._began_at < since:
            self._began_at = clock.monotonic()
            self._look = asyncio.create_task(self._look_now())
        return await asyncio.shield(self._look)

    async def _look_now(self) -> bool:
        reached = await asyncio.gather(*(self._reaches(target) for target in self._targets))
        if at_fault := prober_at_fault(reached):
            log.warning("prober.at_fault", targets=dict(zip(self._targets, reached, strict=True)))
        return at_fault

    async def _reaches(self, target: str) -> bool:
        host, _, port = target.rpartition(":")
        try:
            async with await self._network.open_stream(
                host.strip("[]"), int(port), timeout_s=_CONTROL_TIMEOUT_S
            ):
                return True
        except (TargetFault, Unavailable, Refused):
            return False


@dataclass(frozen=True, slots=True)
class Deaf:
    """A time in which nobody could note a beat: the server was down, or its database."""

    began_at: datetime
    ended_at: datetime


def excuse(spec: HeartbeatSpec, heard: Beats, deaf: Deaf) -> Beats:
    """The beats as if a success that was due in the deaf time had come at its end."""
    success_at = heard.last_success_at
    if success_at is None or success_at >= deaf.ended_at:
        return heard
    if heard.last_fail_at is not None and heard.last_fail_at > success_at:
        return heard
    if deaf.began_at <= next_due(spec, success_at) <= deaf.ended_at + spec.grace:
        return replace(heard, last_success_at=deaf.ended_at)
    return heard


async def probe_now(
    db: Database, network: Network, settings: config.Settings, text: str, *, now: datetime
) -> list[tuple[Watched, Outcome]]:
    """Check the monitors called `text` (see `store.find`) at once; nothing is saved. Raises NotFound."""
    found = await db.read(find, text, settings.monitors)
    heard: Mapping[str, Beats] = {}
    if any(monitor.kind == HEARTBEAT for monitor in found):
        heard = await db.read(beats)
    known = kinds()
    outcomes = await asyncio.gather(
        *(look(prepare(monitor, known), network, now, _heard_by(monitor, heard)) for monitor in found)
    )
    return list(zip(found, outcomes, strict=True))


def _heard_by(monitor: Watched, heard: Mapping[str, Beats]) -> Beats | None:
    if monitor.kind != HEARTBEAT:
        return None
    return heard.get(monitor.id) or Beats(monitor.created_at)
