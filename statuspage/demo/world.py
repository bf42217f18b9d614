"""The demo as one thing to start and stop: settings, simulator, mail catcher, control endpoint."""

import asyncio
import json
import os
import socket
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from statuspage.demo import history, latencies, news, people, wordings
from statuspage.demo.control import Control, Running
from statuspage.demo.mailbox import Catcher
from statuspage.demo.simulator import HOST, Simulator, fill
from statuspage.kernel import config

CATALOGUE = Path(__file__).with_name("catalogue.toml")
SETTINGS_FILE = "statuspage.toml"


def settings(data_dir: Path, port: int, mail_port: int) -> config.Settings:
    """The demo's settings, written to `data_dir`/statuspage.toml so that `--config` finds the demo too.

    Raises Invalid for what the environment lays over them.
    """
    path = data_dir / SETTINGS_FILE
    data_dir.mkdir(parents=True, exist_ok=True)
    path.write_text(_as_toml(_values(port, mail_port)), encoding="utf-8")
    return config.load(path)


def _values(port: int, mail_port: int) -> dict[str, dict[str, Any]]:
    return {
        "server": {"host": HOST, "port": port, "base_url": f"http://{HOST}:{port}"},
        "data": {"dir": "."},
        "mail": {
            "relay": f"smtp://{HOST}:{mail_port}",
            "sender": "status@customs.example",
            "list_id": "status.customs.example",
        },
        "page": {"name_pl": "Status usług celnych (demo)", "name_en": "Customs services status (demo)"},
        "security": {"allow_networks": ["127.0.0.0/8"]},
        "monitors": {"max_per_host": 100, "keep_results": "1d", "flap_window": "1m"},
        "incidents": {"join_window": "10m", "reopen_window": "10s"},
        **_STATEMENTS,
    }


# Fictional throughout: the numbers and addresses are those set aside for examples.
_STATEMENTS: dict[str, dict[str, Any]] = {
    "contact": {
        "telephone": "+48 22 123 45 67",
        "hours_pl": "przez całą dobę, we wszystkie dni",
        "hours_en": "round the clock, every day",
        "email": "helpdesk@customs.example",
        "address": "Izba Demonstracyjna\nul. Przykładowa 1\n00-000 Miasto",
        "alternatives_pl": "- Zgłoszenia pilne: procedura awaryjna, jeśli ogłoszono ją przy awarii.\n"
        "- Pytania: telefon lub e-mail, gdy portal nie działa.",
        "alternatives_en": "- Urgent declarations: the fallback procedure, where the outage's page permits it.\n"
        "- Questions: telephone or e-mail while the portal does not work.",
    },
    "accessibility": {
        "entity": "Izba Demonstracyjna",
        "published_on": "2026-09-01",
        "updated_on": "2026-11-01",
        "status": "full",
        "prepared_on": "2026-09-01",
        "reviewed_on": "2026-11-01",
        "person": "Help Desk",
        "email": "helpdesk@customs.example",
        "telephone": "+48 22 123 45 67",
        "complaints": "Izba Demonstracyjna, ul. Przykładowa 1, 00-000 Miasto",
        "architecture_pl": "Wejście od ul. Przykładowej nie ma progów. Winda dojeżdża na każde piętro.",
        "architecture_en": "The entrance from the street has no steps. The lift stops at every floor.",
    },
    "privacy": {
        "controller": "Izba Demonstracyjna, ul. Przykładowa 1, 00-000 Miasto",
        "officer": "iod@customs.example",
        "retention_pl": "Dane subskrypcji: do jej zakończenia, dowód zgody jeszcze rok. Zgłoszenia: 5 lat.",
        "retention_en": "Subscriptions: until they end, the proof of consent a year longer. Requests: 5 years.",
    },
}


def _as_toml(sections: Mapping[str, Mapping[str, Any]]) -> str:
    """Texts, numbers and lists of texts look alike in JSON and TOML."""
    lines = ["# Written by `statuspage demo` at every start."]
    for name, values in sections.items():
        lines += ["", f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in values.items())]
    return "\n".join(lines) + "\n"


def populate(session: Session, settings: config.Settings, *, now: datetime) -> bool:
    """Give an applied catalogue its history, latencies, subscribers and requests; False when it has one."""
    is_fresh = history.fill(session, zone=settings.zone, now=now)
    if is_fresh:
        latencies.fill(session, now=now)
        people.fill(session, settings=settings.tickets, now=now)
        news.fill(session, data_dir=settings.data.dir, now=now)
        wordings.fill(session)
    return is_fresh


def _free_port() -> int:
    """A port that nobody uses now: the base address has to be known before the product listens."""
    with socket.create_server((HOST, 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


class World:
    """All of the demo that is not the product. `settings` and `catalogue` exist once it has started."""

    def __init__(self, data_dir: Path, port: int) -> None:
        """`port` is the product's; 0 picks a free one."""
        self.data_dir = data_dir.resolve()
        self.port = port or _free_port()
        self.simulator = Simulator(CATALOGUE.read_text(encoding="utf-8"), self.data_dir / "tls")
        self.catcher = Catcher(self.data_dir / "mail")
        self._control = Control(self.simulator)

    async def start(self) -> None:
        """Start serving, catching and listening; then write `demo.json` for other processes."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        await self.simulator.start()
        mail_port = await self.catcher.start()
        control_port = await self._control.start()
        self.settings = await asyncio.to_thread(settings, self.data_dir, self.port, mail_port)
        self.catalogue = fill(CATALOGUE.read_text(encoding="utf-8"), self.simulator)
        base_url = self.settings.server.base_url
        port = self.settings.server.port  # the environment may have moved it
        running = Running(os.getpid(), port, base_url, mail_port, control_port, self._control.token)
        await asyncio.to_thread(running.write, self.data_dir)
        self.simulator.send_heartbeats(f"http://{HOST}:{port}")

    async def stop(self) -> None:
        """Stop everything and withdraw `demo.json`."""
        (self.data_dir / "demo.json").unlink(missing_ok=True)
        await self._control.stop()
        await self.simulator.stop()
        await self.catcher.stop()
