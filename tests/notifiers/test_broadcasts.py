"""Who becomes a delivery of which event."""

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from notifiers import broadcasts
from notifiers.tables import Delivery
from statuspage.incidents import services
from statuspage.incidents.rules import ServiceStatus
from statuspage.kernel import config
from statuspage.kernel.events import Event
from statuspage.kernel.house import House
from tests.notifiers import scenes


def expand_all(house: House, *, now: datetime) -> None:
    for seq in house.db.read_now(broadcasts.owed):
        while house.db.run_now(broadcasts.expand, seq, house=house, now=now):
            pass


def told(house: House) -> list[tuple[str, str]]:
    """Event kind and address, in order."""

    def read(session: Session) -> list[tuple[str, str]]:
        query = select(Event.kind, Delivery.address).join(Event, Event.seq == Delivery.event_seq)
        return [
            (kind, address) for kind, address in session.execute(query.order_by(Event.seq, Delivery.address))
        ]

    return house.db.read_now(read)


def test_an_incident_that_grows_is_told_to_those_alone_who_do_not_know_of_it(
    house: House, now: datetime
) -> None:
    ids = house.db.run_now(scenes.fill_catalogue, now=now)
    for service_ids in ((), (ids["NCTS2"],), (ids["AIS"],)):
        language = "en" if service_ids == (ids["AIS"],) else "pl"
        house.db.run_now(scenes.add_subscribers, 1, now=now, language=language, service_ids=service_ids)
    everything, ncts2, ais = "user0.pl.0@example.com", "user0.pl.1@example.com", "user0.en.1@example.com"

    def find(code: str, status: ServiceStatus, at: datetime) -> None:
        finding = services.Finding(ids[code], status, "HTTP 503", at)
        house.db.run_now(services.report, finding, now=at, policy=config.Incidents())
        expand_all(house, now=at)

    find("NCTS2", ServiceStatus.MAJOR_OUTAGE, now)
    find("AIS", ServiceStatus.MAJOR_OUTAGE, now + timedelta(seconds=5))
    assert told(house) == [
        ("incident.created", everything),
        ("incident.created", ncts2),
        ("incident.updated", ais),
    ]
    for code in ("NCTS2", "AIS"):
        find(code, ServiceStatus.OPERATIONAL, now + timedelta(minutes=1))
    assert [address for kind, address in told(house) if kind == "incident.resolved"] == sorted(
        [everything, ncts2, ais]
    )
