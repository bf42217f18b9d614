"""How soon a refused connection is known as DOWN, and how often noise is: simulated on the real rules.

Time is computed, not waited for: `monitors.rules.step` and `next_delay` are given checks at the moments they ask
for. A refused connection is refused at once, so that a check takes no time. From the judgement to the page
it takes `page.commit_to_bytes`, which is not counted here. Prints one JSON line per figure.
"""

import json
import math
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from monitors.rules import Level, Policy, State, Transition, Verdict, next_delay, step

CONFIRMATIONS = 2  # after the first failure
INTERVAL_S, RETRY_S = 20, 5
OUTAGES = 5000
NOISE_DAYS = 200
BEGAN_AT = datetime(2026, 1, 1, tzinfo=UTC)
SEED = 20

POLICY = Policy(
    interval=timedelta(seconds=INTERVAL_S),
    retry=timedelta(seconds=RETRY_S),
    timeout=timedelta(seconds=10),
    confirm_down=CONFIRMATIONS + 1,
)


def report(name: str, value: float, unit: str, **more: object) -> None:
    settings = {"interval_s": INTERVAL_S, "retry_s": RETRY_S, "confirmations": CONFIRMATIONS}
    print(json.dumps({"name": name, "value": value, "unit": unit, "simulated": True, **settings, **more}))


def alarms(verdict_at: Callable[[datetime], Verdict], until: datetime) -> list[tuple[datetime, Transition]]:
    """Every change to DOWN, and when it was known."""
    state, at, found = State(), BEGAN_AT, []
    while at < until:
        state, transition = step(state, verdict_at(at), "connection refused", at, POLICY)
        if transition and transition.new is Level.DOWN:
            found.append((at, transition))
        at += next_delay(state, POLICY)
    return found


def outages(rng: random.Random) -> None:
    """An outage each time at another moment between two checks; it stays."""
    taken_s = []
    for _ in range(OUTAGES):
        onset = BEGAN_AT + timedelta(seconds=rng.uniform(60, 60 + INTERVAL_S * 10))
        ((known_at, transition),) = alarms(
            lambda at, onset=onset: Verdict.FAILED if at >= onset else Verdict.OK,  # type: ignore[misc]
            onset + timedelta(minutes=5),
        )
        assert onset <= transition.since <= known_at, "the outage is dated to its first failed check"
        taken_s.append((known_at - onset).total_seconds())
    taken_s.sort()
    p50, p95 = (round(taken_s[math.ceil(OUTAGES * share) - 1], 1) for share in (0.5, 0.95))
    report(
        "detection.simulated", p50, "s", p50_s=p50, p95_s=p95, max_s=round(taken_s[-1], 1), outages=OUTAGES
    )


class SingleFailures:
    """One check in `one_in` fails, never two in a row."""

    def __init__(self, rng: random.Random, one_in: int) -> None:
        self._rng = rng
        self._one_in = one_in
        self._has_failed = False
        self.failures = 0

    def __call__(self, _at: datetime) -> Verdict:
        self._has_failed = not self._has_failed and self._rng.randrange(self._one_in) == 0
        self.failures += self._has_failed
        return Verdict.FAILED if self._has_failed else Verdict.OK


def noise(rng: random.Random) -> None:
    """A service that works, seen through a network that does not always."""
    until = BEGAN_AT + timedelta(days=NOISE_DAYS)
    single = SingleFailures(rng, 20)
    report(
        "detection.false_alarms", len(alarms(single, until)), "alarms",
        noise="single failures, 1 in 20 checks", failed_checks=single.failures, days=NOISE_DAYS,
    )  # fmt: skip
    independent = alarms(lambda _: Verdict.FAILED if rng.random() < 0.01 else Verdict.OK, until)
    report(
        "detection.false_alarms_independent", len(independent), "alarms",
        noise="each check fails with 1 in 100, whatever came before", days=NOISE_DAYS,
    )  # fmt: skip


def main() -> None:
    rng = random.Random(SEED)
    outages(rng)
    noise(rng)


if __name__ == "__main__":
    main()
