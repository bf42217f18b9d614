"""The clock: the only module that reads it. Verbs and rules are given `now`; the edges ask here."""

import time
from datetime import UTC, datetime


def now() -> datetime:
    """The current instant, aware, in UTC."""
    return datetime.now(UTC)


def monotonic() -> float:
    """Seconds on a clock that never steps; for cadence, deadlines and latencies."""
    return time.monotonic()
