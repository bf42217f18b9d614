"""Probes: one file per kind. A probe looks at a target once and returns what it saw, as data.

To add a kind, add one file `monitors/probes/<kind>.py` with a frozen `Spec` dataclass and one function:

    @probe("tcp", Spec)
    async def check(spec: Spec, context: Context) -> Outcome: ...

The target's fault is an `Outcome`, never an exception. An exception is *our* fault, and the runner
records it as UNKNOWN. `check` keeps `context.timeout_s` itself, because it alone can say what was waited
for; the runner cancels it a second later, and such a cancelled check is UNKNOWN too.
Probes know no database and not each other. docs/adding-a-probe.md shows the way with an example.
"""

import importlib
import pkgutil
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, TypeVar

from statuspage.kernel import clock
from statuspage.kernel.build import build
from statuspage.kernel.errors import Invalid
from statuspage.kernel.net import Network, Refused, TargetFault

SpecT = TypeVar("SpecT")
ValueT = TypeVar("ValueT")
Check = Callable[[Any, "Context"], Awaitable["Outcome"]]


class Verdict(StrEnum):
    """What one check says of its target."""

    OK = "ok"
    SLOW = "slow"  # right, but later than the spec's threshold
    FAILED = "failed"
    UNKNOWN = "unknown"  # our own fault: nothing is known about the target


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one check saw."""

    verdict: Verdict
    cause: str = ""  # short and factual: "HTTP 503", "connection refused"; empty when all is well
    latency_ms: float | None = None  # total; None where nothing was measured
    phases_ms: Mapping[str, float] = field(default_factory=dict)  # dns, connect, tls, first_byte, total
    facts: Mapping[str, str] = field(default_factory=dict)  # e.g. status, certificate_expires_at


@dataclass(frozen=True, slots=True)
class Beats:
    """What a push monitor's sender has said so far, as stored by the runner; instants are aware UTC."""

    created_at: datetime  # when the monitor itself came to be
    last_start_at: datetime | None = None
    last_success_at: datetime | None = None
    last_fail_at: datetime | None = None
    exit_code: int | None = None  # of the last failure; None where the sender gave none


@dataclass(frozen=True, slots=True)
class Context:
    """What a check is given beside its spec.

    `now` is the instant of the check. `beats` is given to kinds that are pushed to instead of looking
    (`heartbeat`), and to no other.
    """

    network: Network
    timeout_s: float
    beats: Beats | None = None
    now: datetime = field(default_factory=clock.now)


def unreached(error: Refused | TargetFault, context: Context) -> Outcome:
    """The outcome where the network gave no answer: the target's fault, or ours in not letting it out."""
    if isinstance(error, Refused):
        return Outcome(Verdict.UNKNOWN, f"not allowed: {error}")
    return Outcome(Verdict.FAILED, error.cause(context.now), error.phases_ms.get("total"), error.phases_ms)


def reached(phases_ms: Mapping[str, float], slow_above: timedelta | None) -> Outcome:
    """The outcome where all that was asked for came: right, or right but slow."""
    total_ms = phases_ms["total"]
    if slow_above is not None and total_ms > slow_above / timedelta(milliseconds=1):
        return Outcome(Verdict.SLOW, f"answer after {total_ms / 1000:.1f} s", total_ms, phases_ms)
    return Outcome(Verdict.OK, "", total_ms, phases_ms)


def named(key: str, read: Callable[[ValueT], Any], value: ValueT) -> None:
    """For `__post_init__`: let `read` try the value. Raises ValueError naming the key where it does not."""
    try:
        read(value)
    except Invalid as error:
        raise ValueError(f"{key}: {error.reason}") from None
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from None


@dataclass(frozen=True, slots=True)
class Kind:
    """A registered probe."""

    name: str
    spec: type[Any]
    check: Check


_kinds: dict[str, Kind] = {}


def probe(name: str, spec: type[SpecT]) -> Callable[[Callable[[SpecT, Context], Awaitable[Outcome]]], Check]:
    """Register the decorated function as the check of kind `name`."""

    def register(check: Callable[[SpecT, Context], Awaitable[Outcome]]) -> Check:
        _kinds[name] = Kind(name, spec, check)
        return check

    return register


def kinds() -> dict[str, Kind]:
    """Every kind there is, by name. A file in this folder is all it takes to be found."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return dict(_kinds)


def build_spec(kind: str, data: Mapping[str, Any], *, where: str) -> Any:
    """The spec of a monitor of this kind. Raises Invalid naming the key."""
    if kind not in _kinds and kind not in kinds():
        raise Invalid(f"{where}.kind", f'there is no probe "{kind}"; there are {", ".join(sorted(_kinds))}')
    return build(_kinds[kind].spec, data, where=f"{where}.spec")
