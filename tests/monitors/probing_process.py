"""The HTTP probe in a process of its own, so that its memory can be told from its counterpart's.

`python -m tests.monitors.probing_process URL` probes it ten at a time in three rounds, and says as JSON what the
probes found, by how many kilobytes the process grew in each round and how long at most nothing else could run.
"""

import asyncio
import json
import sys
import time
from contextlib import suppress
from pathlib import Path

from monitors.probes import Context, build_spec
from monitors.probes.http import check
from statuspage.kernel.net import Network

AT_ONCE = 10
ROUNDS = 3


def peak_kb() -> int:
    """The most memory that was resident at once since `forget_peak`."""
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")  # proc(5)


async def longest_pause() -> float:
    """Until cancelled; the longest time in which this task did not get its turn."""
    longest, last = 0.0, time.monotonic()
    with suppress(asyncio.CancelledError):
        while True:
            await asyncio.sleep(0)
            longest, last = max(longest, time.monotonic() - last), time.monotonic()
    return longest


async def main(url: str) -> None:
    context = Context(Network(["127.0.0.0/8"]), timeout_s=10)
    spec = build_spec("http", {"url": url, "body_contains": "ready"}, where="monitor")
    causes, grown = set(), []
    watch = asyncio.create_task(longest_pause())
    for _ in range(ROUNDS):
        forget_peak()
        before = peak_kb()
        outcomes = await asyncio.gather(*(check(spec, context) for _ in range(AT_ONCE)))
        causes |= {outcome.cause for outcome in outcomes}
        grown.append(peak_kb() - before)
    watch.cancel()
    held_up_s = await watch
    print(json.dumps({"causes": sorted(causes), "grown_kb": grown, "held_up_s": held_up_s}))  # noqa: T201


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
