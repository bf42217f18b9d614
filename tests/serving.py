"""The whole program as it is really served: the composed application behind uvicorn, in a thread of the test."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

import httpx
import uvicorn

from monitors import catalogue as monitors_catalogue
from statuspage.app import ALL_ROLES, Application, listening, open_house, server_config
from statuspage.incidents import catalogue
from statuspage.incidents.incidents import NewIncident, open_incident
from statuspage.incidents.rules import ServiceStatus
from statuspage.incidents.snapshot import Text
from statuspage.kernel import clock
from statuspage.kernel.config import Data, Security, Server, Settings
from statuspage.kernel.db import Database
from statuspage.kernel.house import House
from tests.journeys.demo_process import until

BASE_URL = "https://status.customs.example"
HEARTBEAT = "a-token-of-the-tests-0123456789"
CATALOGUE = f"""
[[groups]]
code = "transit"
name = {{ pl = "Tranzyt", en = "Transit" }}
[[services]]
code = "PUESC"
group = "transit"
name = {{ pl = "PUESC", en = "PUESC" }}
[[services]]
code = "NCTS2"
group = "transit"
name = {{ pl = "NCTS2", en = "NCTS2" }}
[[monitors]]
service = "NCTS2"
name = "nightly"
kind = "heartbeat"
interval = "1h"
spec = {{ period = "7d", token = "{HEARTBEAT}" }}
"""


@dataclass
class Served:
    """A running application and what it stands on."""

    house: House
    application: Application
    url: str  # where it listens: not the configured base URL
    incident_id: str

    def client(self) -> httpx.Client:
        """What it is asked with. Redirects are answers, too."""
        return httpx.Client(base_url=self.url, timeout=20)


def settings_for(directory: Path) -> Settings:
    """On a free port, under a base URL of another name, with nobody to take mail."""
    return Settings(
        server=Server(port=0, base_url=BASE_URL),
        data=Data(dir=str(directory)),
        security=Security(secret="a secret of the tests, long enough", allow_networks=("127.0.0.0/8",)),
    )


def apply(db: Database, text: str) -> None:
    """What `statuspage apply` does with a catalogue."""
    where, now = "catalogue.toml", clock.now()
    declared = catalogue.parse(text, where=where)
    db.run_now(catalogue.apply, declared, now=now)
    watched = monitors_catalogue.parse_monitors(declared.monitors, where=where)
    db.run_now(monitors_catalogue.apply, watched, now=now)


def fill(db: Database, text: str = CATALOGUE) -> str:
    """The catalogue, and an open incident of PUESC; returns its id."""
    apply(db, text)
    new = NewIncident(
        name=Text("Brama nie odpowiada", "The gateway does not answer"),
        text=Text("Ustalamy przyczynę.", "We are looking for the cause."),
        services={"PUESC": ServiceStatus.MAJOR_OUTAGE},
    )
    return db.run_now(open_incident, new, by="cli:ewa", now=clock.now()).id


@contextmanager
def serving(settings: Settings, db: Database) -> Iterator[Served]:
    """Serve it until the block ends. The tables are there; what is in them is written here."""
    incident_id = fill(db)
    house = open_house(settings, db)
    application = Application(house, ALL_ROLES)
    with listening(settings.server) as listener:
        port = listener.getsockname()[1]
        server = uvicorn.Server(uvicorn.Config(**server_config(application.asgi, settings)))  # type: ignore[arg-type]
        thread = Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            until("a server that answers", lambda: server.started, within_s=20)
            yield Served(house, application, f"http://127.0.0.1:{port}", incident_id)
        finally:
            server.should_exit = True
            thread.join(20)
