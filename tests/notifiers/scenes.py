"""What several tests of this room need: a small catalogue, incidents, subscribers, a house."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy.orm import Session

from notifiers.rules import SubscriberState
from notifiers.tables import Subscriber, SubscriberService
from statuspage.incidents import incidents
from statuspage.incidents.incidents import NewIncident
from statuspage.incidents.rules import ServiceStatus
from statuspage.incidents.snapshot import Text
from statuspage.incidents.tables import Group, Notice, Service, ServiceParent
from statuspage.kernel.config import Data, Mail, Server, Settings
from statuspage.kernel.db import Database
from statuspage.kernel.house import House
from statuspage.kernel.i18n import Catalogues
from statuspage.kernel.net import Network
from statuspage.kernel.security import Signer

SECRET = "a secret of the tests, long enough"
NAME = Text("Brama komunikatów nie działa", "The message gateway does not work")
TEXT = Text("Brama komunikatów nie odpowiada.", "The message gateway does not answer.")
TREE: Mapping[str, Sequence[str]] = {"PUESC": (), "NCTS2": ("PUESC",), "AIS": ("PUESC",), "SENT-GEO": ()}


def fill_catalogue(session: Session, *, now: datetime) -> dict[str, str]:
    """A group with the services of `TREE`; returns code → id."""
    group = Group(
        code="common", name_pl="Wspólne", name_en="Common", position=0, created_at=now, updated_at=now
    )
    session.add(group)
    session.flush()
    ids: dict[str, str] = {}
    for position, (code, parents) in enumerate(TREE.items()):
        service = Service(
            code=code,
            group_id=group.id,
            name_pl=code,
            name_en=code,
            position=position,
            created_at=now,
            updated_at=now,
            status_since=now,
        )
        session.add(service)
        session.flush()
        ids[code] = service.id
        session.add_all(ServiceParent(child_id=service.id, parent_id=ids[parent]) for parent in parents)
    return ids


def open_incident(
    session: Session,
    *codes: str,
    now: datetime,
    status: ServiceStatus = ServiceStatus.MAJOR_OUTAGE,
    text: Text = TEXT,
    name: Text = NAME,
) -> Notice:
    """An incident that a person opened through the CLI."""
    new = NewIncident(name=name, text=text, services=dict.fromkeys(codes or ("PUESC",), status), began_at=now)
    return incidents.open_incident(session, new, by="cli:ewa", now=now)


def add_subscribers(
    session: Session, count: int, *, now: datetime, language: str = "pl", service_ids: Sequence[str] = ()
) -> None:
    """Active subscribers `user0@example.com` and so on; without services they want all."""
    for number in range(count):
        subscriber = Subscriber(
            email=f"user{number}.{language}.{len(service_ids)}@example.com",
            language=language,
            state=SubscriberState.ACTIVE,
            all_services=not service_ids,
            created_at=now,
            confirmed_at=now,
            consent="for a test",
        )
        session.add(subscriber)
        session.flush()
        session.add_all(SubscriberService(subscriber_id=subscriber.id, service_id=id) for id in service_ids)


@contextmanager
def house_of(
    db: Database,
    directory: Path,
    *,
    relay: str = "smtp://127.0.0.1:1",
    give_up_after: timedelta = timedelta(days=2),
) -> Iterator[House]:
    """A house around a database that exists."""
    settings = Settings(
        server=Server(base_url="https://status.customs.example"),
        data=Data(dir=str(directory)),
        mail=Mail(
            relay=relay,
            sender="status@customs.example",
            list_id="status.customs.example",
            give_up_after=give_up_after,
        ),
    )
    network = Network()
    yield House(settings, db, network, Signer(SECRET), Catalogues())
    network.close()


def with_relay(house: House, port: int) -> House:
    """The same house, with a relay on this port of loopback."""
    settings = house.settings
    return replace(
        house, settings=replace(settings, mail=replace(settings.mail, relay=f"smtp://127.0.0.1:{port}"))
    )
