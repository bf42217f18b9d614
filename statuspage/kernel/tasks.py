"""Long-running tasks that must not die silently."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from prometheus_client import Counter

from statuspage.kernel.errors import Unavailable

log = structlog.get_logger(__name__)
_RESTARTS = Counter(
    "statuspage_task_restarts_total", "Long-running tasks that failed and were started again", ["task"]
)
_PAUSE_S = 1.0


async def keep_running(name: str, run: Callable[[], Awaitable[None]]) -> None:
    """Run `run` until it is cancelled; when it fails, say so and start it again after a pause."""
    while True:
        try:
            await run()
            return
        except Unavailable as error:
            log.warning("task.unavailable", task=name, reason=str(error))
        except Exception:
            log.exception("task.failed", task=name)
        _RESTARTS.labels(name).inc()
        await asyncio.sleep(_PAUSE_S)


class Wakeup:
    """Something to wait for: woken, or the time is over. Waking twice wakes once."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def wake(self) -> None:
        """Let the waiter go on; if nobody waits, the next wait returns at once."""
        self._event.set()

    @property
    def is_woken(self) -> bool:
        """Whether the next wait returns at once."""
        return self._event.is_set()

    async def wait(self, timeout_s: float) -> bool:
        """Whether it was woken before `timeout_s` seconds passed."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._event.wait()
        except TimeoutError:
            return False
        self._event.clear()
        return True
