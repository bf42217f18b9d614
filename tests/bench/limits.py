"""What the figures have to be: the one table that `make bench` judges by."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Limit:
    """A bound on one field of one figure."""

    figure: str
    field: str
    at_least: float | None = None
    at_most: float | None = None

    def is_met(self, line: Mapping[str, Any]) -> bool:
        """False, too, where the field is missing or null: what was not measured does not hold."""
        value = line.get(self.field)
        if not isinstance(value, int | float):
            return False
        return (self.at_least is None or value >= self.at_least) and (
            self.at_most is None or value <= self.at_most
        )

    def __str__(self) -> str:
        bound = f">= {self.at_least:g}" if self.at_least is not None else f"<= {self.at_most:g}"
        return f"{self.figure}: {self.field} {bound}"


LIMITS = (
    Limit("board.render", "p95_ms", at_most=100),
    Limit("detection.measured", "value", at_most=30),
    Limit("detection.simulated", "value", at_most=30),
    Limit("detection.false_alarms", "value", at_most=0),
    Limit("live.messages", "ratio", at_least=0.7),
    Limit("live.client", "value", at_most=30),
    Limit("live.with_stalled_clients", "ratio", at_least=0.9),
    Limit("mail.broadcast", "value", at_least=3000),
    Limit("page.build", "value", at_most=150),
    Limit("page.requests", "ratio", at_least=0.30),
    Limit("page.commit_to_bytes", "p99_ms", at_most=100),
    Limit("page.weight", "value", at_most=30),
    Limit("probes.http.per_cpu_second", "ratio", at_least=0.7),
    Limit("runner.lateness", "value", at_most=250),
    Limit("start.version", "value", at_most=0.3),
    Limit("start.first_page", "value", at_most=3),
    Limit("start.demo_first_page", "value", at_most=3),
    Limit("start.demo_resident", "value", at_most=150),
)


def limits_on(line: Mapping[str, Any]) -> Iterator[Limit]:
    """Every limit on this figure."""
    return (limit for limit in LIMITS if limit.figure == line["name"])
