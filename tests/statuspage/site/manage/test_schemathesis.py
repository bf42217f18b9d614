"""schemathesis reads the OpenAPI document of a running server and looks for answers that do not follow it.

400 says that a request does not follow the document, so nothing that does may get one; 422 and 403 are for what
no document can say: a service that is not there, a time past.
"""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import uvicorn

from monitors.catalogue import apply, parse_monitors
from monitors.store import board
from statuspage.incidents import catalogue, incidents, maintenance, news, recurrence, series
from statuspage.incidents.incidents import NewIncident
from statuspage.incidents.maintenance import NewMaintenance
from statuspage.incidents.rules import ServiceStatus
from statuspage.incidents.snapshot import Text
from statuspage.kernel import clock, tokens
from statuspage.kernel.config import Settings
from statuspage.kernel.db import Database
from statuspage.kernel.house import House
from statuspage.kernel.i18n import Catalogues
from statuspage.kernel.net import Network
from statuspage.kernel.operations import ROOT
from statuspage.kernel.rest import Limits
from statuspage.kernel.security import Signer
from statuspage.kernel.tokens import Scope
from tests.statuspage.site.manage.conftest import CATALOGUE, application

CONFIG = """
[[operations]]
include-path-regex = "^/monitors/"
parameters = {{ "path.id" = "{monitor_id}" }}
[[operations]]
include-path-regex = "^/incidents/.id."
parameters = {{ "path.id" = "{incident_id}" }}
[[operations]]
include-path-regex = "^/maintenance/.id."
parameters = {{ "path.id" = "{maintenance_id}" }}
[[operations]]
include-path-regex = "^/series/.id."
parameters = {{ "path.id" = "{series_id}" }}
[[operations]]
include-path-regex = "^/news/.id."
parameters = {{ "path.id" = "{news_id}" }}
[checks.missing_required_header]
expected-statuses = ["400", "401", "403", "428"]
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "403", "404", "409", "412", "422"]
[checks.negative_data_rejection]
expected-statuses = ["400", "401", "403", "404", "405", "409", "412", "415", "422", "428"]
"""
MONITOR = {"service": "NCTS2", "name": "portal", "kind": "http", "spec": {"url": "https://ncts2.example/"}}
EXAMPLES = 10
MANY = Limits(refused_per_network=1_000_000, per_token=1_000_000)


@pytest.fixture
def sqlite_house(settings: Settings, sqlite_db: Database) -> Iterator[House]:
    network = Network(())
    yield House(settings, sqlite_db, network, Signer(settings.security.secret or ""), Catalogues())
    network.close()


@pytest.fixture
def url(sqlite_house: House) -> Iterator[str]:
    app = application(sqlite_house, MANY)
    server = uvicorn.Server(uvicorn.Config(app, port=0, lifespan="off", log_level="error", ws="none"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}{ROOT}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.mark.slow
def test_schemathesis_finds_nothing(url: str, sqlite_house: House, tmp_path: Path) -> None:
    db = sqlite_house.db
    db.run_now(catalogue.apply, catalogue.parse(CATALOGUE, where="c"), now=clock.now())
    db.run_now(apply, parse_monitors([MONITOR], "c"), now=clock.now())
    (monitor,) = db.read_now(board)
    text = Text("Badamy.", "Looking into it.")
    new = NewIncident(text, text, {"NCTS2": ServiceStatus.MAJOR_OUTAGE})
    incident = db.run_now(incidents.open_incident, new, by="ewa", now=clock.now())
    window = (clock.now() + timedelta(days=3), clock.now() + timedelta(days=4))
    work = db.run_now(
        maintenance.schedule,
        NewMaintenance(text, text, ["OSOZ2"], *window),
        by="ewa",
        now=clock.now(),
        policy=sqlite_house.settings.incidents,
    )
    weekly = recurrence.parse(
        "FREQ=WEEKLY",
        zone="Europe/Warsaw",
        begins_local=window[0].replace(tzinfo=None),
        duration=timedelta(hours=1),
    )
    recurring = db.run_now(
        series.create,
        series.NewSeries(text, text, ["OSOZ2"], weekly),
        by="ewa",
        now=clock.now(),
        policy=sqlite_house.settings.incidents,
    )
    item = db.run_now(news.write, news.Words(text, text), by="ewa", now=clock.now())
    token = db.run_now(
        tokens.add, "schemathesis", tuple(Scope), lifetime=timedelta(days=1), by="cli", now=clock.now()
    )
    config = tmp_path / "schemathesis.toml"
    config.write_text(
        CONFIG.format(
            monitor_id=monitor.id,
            incident_id=incident.id,
            maintenance_id=work.id,
            series_id=recurring.id,
            news_id=item.id,
        ),
        encoding="utf-8",
    )
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        f"--config-file={config}",
        "run",
        f"{url}/openapi.json",
        f"--url={url}",
        f"--header=Authorization: Bearer {token}",
        f"--max-examples={EXAMPLES}",
        "--seed=1",
        "--generation-deterministic",
        "--suppress-health-check=all",
        "--no-color",
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
