"""The dispatcher as a process, to be killed: `python -m tests.notifiers.sender_process URL PORT DIR`."""

import asyncio
import sys
from pathlib import Path

from notifiers.dispatcher import Dispatcher
from statuspage.kernel.db import Database
from tests.notifiers.scenes import house_of

IN_FLIGHT = 40  # few beside the crowd, so that repeats beyond them would show


async def main(url: str, port: str, directory: str) -> None:
    db = Database(url)
    with house_of(db, Path(directory), relay=f"smtp://127.0.0.1:{port}") as house:
        await Dispatcher(house, in_flight=IN_FLIGHT).run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
