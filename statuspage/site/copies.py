"""Keeps the static copy of the site current while the server runs: after each edition, at most so often.

It works on a thread and disturbs nobody: a fault is told and counted, and the next edition is tried again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path

import structlog
from prometheus_client import Counter, Gauge

from statuspage.kernel import clock
from statuspage.kernel.house import House
from statuspage.kernel.prepared import Prepared
from statuspage.kernel.tasks import Wakeup
from statuspage.site.outputs import Edition, Front
from statuspage.site.static_site import Settled, write

log = structlog.get_logger(__name__)
_FAULTS = Counter("statuspage_copy_faults_total", "Times the static copy could not be written")
_WRITTEN_AT = Gauge("statuspage_copy_written_timestamp_seconds", "When the static copy was last written")
_FOREVER_S = 86_400.0
FURTHER_EVERY_S = 900.0  # graphs are many and age slowly

Further = Callable[[House], Awaitable[Mapping[str, Prepared]]]


class Copies:
    """One per process that serves pages; idle unless `[publish] directory` is set."""

    def __init__(self, house: House, front: Front, further: Further) -> None:
        self._house = replace(house, is_copy=True)
        self._front = front
        self._further = further
        self._further_at = -FURTHER_EVERY_S
        self._standing: frozenset[str] = frozenset()
        self._wakeup = Wakeup()
        self._settled: Settled = {}

    def wake(self) -> None:
        """There is a new edition."""
        self._wakeup.wake()

    async def run(self) -> None:
        """Forever."""
        pause_s = self._house.settings.publish.at_most_every.total_seconds()
        while True:
            await self._wakeup.wait(_FOREVER_S)
            await self.write()
            await asyncio.sleep(pause_s)

    async def write(self) -> bool:
        """Write the edition that is being served now; whether that went well."""
        edition, directory = self._front.edition, self._house.settings.publish.directory
        if edition is None or not directory:
            return False
        try:
            further = await self._further_files()
            count = await asyncio.to_thread(self._write, edition, Path(directory), further)
        except Exception as error:  # a full disk, a vanished mount: the live site goes on
            self._settled, self._further_at = {}, -FURTHER_EVERY_S
            _FAULTS.inc()
            log.warning("copy.failed", directory=directory, reason=str(error))
            return False
        _WRITTEN_AT.set(clock.now().timestamp())
        log.debug("copy.written", files=count)
        return True

    async def _further_files(self) -> Mapping[str, Prepared]:
        """What other rooms show, when it is time again; those written before stand meanwhile."""
        if clock.monotonic() - self._further_at < FURTHER_EVERY_S:
            return {}
        further = await self._further(self._house)
        self._further_at, self._standing = clock.monotonic(), frozenset(further)
        return further

    def _write(self, edition: Edition, directory: Path, further: Mapping[str, Prepared]) -> int:
        language = self._house.settings.page.language
        edition = Edition(edition.snapshot, self._house)  # its own: what is served offers more
        return write(
            edition,
            directory,
            default_language=language,
            settled=self._settled,
            further=further.items(),
            standing=self._standing,
        )
