"""Findings that arrive at the same time, from several threads or several probers."""

import threading
from datetime import datetime, timedelta

from sqlalchemy import select

from statuspage.incidents import catalogue, services
from statuspage.incidents.rules import ServiceStatus
from statuspage.incidents.tables import Notice, Service
from statuspage.kernel import config
from statuspage.kernel.db import Database

GATEWAY = """
[[groups]]
code = "common"
name = { pl = "Wspólne", en = "Common" }
[[services]]
code = "GATEWAY"
group = "common"
name = { pl = "Brama", en = "Gateway" }
"""
CHILD = """
[[services]]
code = "CHILD{number}"
group = "common"
name = {{ pl = "Usługa {number}", en = "Service {number}" }}
parents = ["GATEWAY"]
"""


def test_a_gateway_and_its_children_found_at_once_are_one_incident(db: Database, now: datetime) -> None:
    text = GATEWAY + "".join(CHILD.format(number=number) for number in range(3))
    db.run_now(catalogue.apply, catalogue.parse(text, where="catalogue.toml"), now=now - timedelta(days=1))
    service_ids = db.read_now(lambda session: session.scalars(select(Service.id)).all())
    start = threading.Barrier(len(service_ids))
    faults: list[Exception] = []

    def report(service_id: str) -> None:
        finding = services.Finding(service_id, ServiceStatus.MAJOR_OUTAGE, "503", now)
        start.wait()
        try:
            db.run_now(services.report, finding, now=now, policy=config.Incidents())
        except Exception as fault:
            faults.append(fault)

    threads = [threading.Thread(target=report, args=(service_id,)) for service_id in service_ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert faults == []
    assert len(db.read_now(lambda session: session.scalars(select(Notice)).all())) == 1
