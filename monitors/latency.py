"""Checks counted and their latencies kept so that they can be merged: roll-ups. Pure.

Buckets grow by a tenth from 0.1 ms on; a percentile is told as its bucket's geometric middle, so it is at
most 4.9 % off. Bucket 0 holds everything up to 0.1 ms, the last one everything from about 15 minutes on.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import ceil, log
from typing import Self

GROWTH = 1.1
SMALLEST_MS = 0.1
LAST_BUCKET = 168
_LOG_GROWTH = log(GROWTH)


def bucket_of(latency_ms: float) -> int:
    """The bucket of a latency: `n` holds (0.1 · 1.1^(n-1), 0.1 · 1.1^n] milliseconds."""
    if latency_ms <= SMALLEST_MS:
        return 0
    return min(LAST_BUCKET, ceil(log(latency_ms / SMALLEST_MS) / _LOG_GROWTH))


def middle_ms(bucket: int) -> float:
    """The latency that a bucket stands for."""
    return float(SMALLEST_MS * GROWTH ** (bucket - 0.5))


@dataclass(frozen=True, slots=True)
class Rollup:
    """Checks of some stretch of time. `merge` is exact, associative and commutative."""

    ok: int = 0
    slow: int = 0
    failed: int = 0
    unknown: int = 0
    sum_us: int = 0  # of the latencies in the histogram
    histogram: Mapping[int, int] = field(default_factory=dict)  # bucket → checks that answered (ok or slow)

    @property
    def count(self) -> int:
        """All checks."""
        return self.ok + self.slow + self.failed + self.unknown

    @property
    def answered(self) -> int:
        """Checks with a latency."""
        return sum(self.histogram.values())

    @property
    def mean_ms(self) -> float | None:
        return self.sum_us / 1000 / self.answered if self.answered else None

    def merge(self, other: "Rollup") -> "Rollup":
        """Both together."""
        histogram = dict(self.histogram)
        for bucket, count in other.histogram.items():
            histogram[bucket] = histogram.get(bucket, 0) + count
        return Rollup(
            self.ok + other.ok,
            self.slow + other.slow,
            self.failed + other.failed,
            self.unknown + other.unknown,
            self.sum_us + other.sum_us,
            histogram,
        )

    def percentile_ms(self, share: float) -> float | None:
        """The latency that `share` (0 to 1) of the answers did not exceed; None without answers."""
        rank = max(1, ceil(share * self.answered))
        for bucket in sorted(self.histogram):
            rank -= self.histogram[bucket]
            if rank <= 0:
                return middle_ms(bucket)
        return None

    @classmethod
    def of(cls, checks: Iterable[tuple[str, float | None]]) -> Self:
        """From checks one by one: verdict and latency in milliseconds."""
        counts = dict.fromkeys(("ok", "slow", "failed", "unknown"), 0)
        histogram: dict[int, int] = {}
        sum_us = 0
        for verdict, latency_ms in checks:
            counts[verdict] += 1
            if latency_ms is not None and verdict in ("ok", "slow"):
                bucket = bucket_of(latency_ms)
                histogram[bucket] = histogram.get(bucket, 0) + 1
                sum_us += round(latency_ms * 1000)
        return cls(**counts, sum_us=sum_us, histogram=histogram)
