"""Services and monitors for tests of this room, on a real database."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select

from monitors.catalogue import apply, parse_monitors
from monitors.store import Watched, load
from statuspage.incidents import catalogue
from statuspage.incidents.tables import Service
from statuspage.kernel import config
from statuspage.kernel.db import Database

SERVICES = """
[[groups]]
code = "transit"
name = { pl = "Tranzyt", en = "Transit" }
"""
SERVICE = """
[[services]]
code = "%s"
group = "transit"
name = { pl = "%s", en = "%s" }
"""


def declare(
    db: Database, services: Sequence[str], monitors: Sequence[dict[str, Any]], *, now: datetime
) -> dict[str, Watched]:
    """Apply a catalogue of these services and monitors; the monitors by SERVICE/name."""
    text = SERVICES + "".join(SERVICE % (code, code, code) for code in services)
    db.run_now(catalogue.apply, catalogue.parse(text, where="test"), now=now)
    db.run_now(apply, parse_monitors(monitors, "test"), now=now)
    return {monitor.key: monitor for monitor in db.read_now(load, config.Monitors()).monitors}


def service(db: Database, code: str) -> Service:
    """The service's row."""
    return db.read_now(lambda session: session.scalars(select(Service).where(Service.code == code)).one())
