"""A small catalogue, customers and an agent, for the tests of the help desk."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from notifiers.tables import Delivery, Message
from statuspage.incidents import catalogue, incidents
from statuspage.incidents.incidents import NewIncident
from statuspage.incidents.rules import IncidentStatus, ServiceStatus
from statuspage.incidents.snapshot import Text
from statuspage.incidents.tables import Update
from statuspage.kernel.house import House
from tickets import answers, links, requests
from tickets.requests import Filed, NewRequest, TicketView
from tickets.rules import Draft, How
from tickets.tables import TicketAnswer

CATALOGUE = """
[[groups]]
code = "customs"
name = { pl = "Cło", en = "Customs" }
[[services]]
code = "PUESC"
group = "customs"
name = { pl = "PUESC", en = "PUESC" }
[[services]]
code = "NCTS2"
group = "customs"
name = { pl = "NCTS2 – tranzyt", en = "NCTS2 – transit" }
parents = ["PUESC"]
[[services]]
code = "AES"
group = "customs"
name = { pl = "AES", en = "AES" }
"""
WINDOW = timedelta(minutes=10)
SOLVED = Text("Naprawiono bramkę.", "The gateway is repaired.")
DRAFT = Draft(
    kind="failure",
    service="NCTS2",
    name="A. Forwarder",
    email="a@example.net",
    text="Declarations are refused since this morning.\nError 503.",
)


def draft(
    *, service: str = "NCTS2", kind: str = "failure", email: str = "a@example.net", name: str = "A. Forwarder"
) -> Draft:
    """A valid request."""
    return Draft(kind, service, name, email, DRAFT.text)


@dataclass(frozen=True)
class Scene:
    """A house with services, and the steps that the stories are made of. Every step is a unit of work."""

    house: House
    now: datetime

    def at(self, minutes: float) -> datetime:
        """An instant, counted from the beginning of the story."""
        return self.now + timedelta(minutes=minutes)

    def furnish(self) -> None:
        """Put the catalogue in."""
        declared = catalogue.parse(CATALOGUE, where="catalogue")
        self.house.db.run_now(catalogue.apply, declared, now=self.now)

    def file(self, minutes: float = 0, *, language: str = "en", of: Draft = DRAFT) -> Filed:
        """A customer files a request."""
        return self.house.db.run_now(
            requests.file_request, NewRequest(of, language), house=self.house, now=self.at(minutes)
        )

    def open_incident(self, minutes: float = 0, *services: str) -> str:
        """An operator opens an incident; by default the gateway, which impacts NCTS2."""
        new = NewIncident(
            Text("PUESC nie działa", "PUESC does not work"),
            Text("Sprawdzamy.", "We are checking."),
            {code: ServiceStatus.MAJOR_OUTAGE for code in services or ("PUESC",)},
        )
        return self.house.db.run_now(_open, new, now=self.at(minutes))

    def resolve(self, incident_id: str, minutes: float, text: Text = SOLVED) -> str:
        """The operator says that it is over. Returns the id of that update."""
        return self.house.db.run_now(_resolve, incident_id, text, now=self.at(minutes))

    def reopen(self, incident_id: str, minutes: float) -> None:
        """The operator says that it is not."""
        self.house.db.run_now(
            incidents.post_update,
            incident_id,
            Text("Wróciło.", "It is back."),
            by="operator",
            now=self.at(minutes),
            status=IncidentStatus.INVESTIGATING,
        )

    def link(self, number: str, incident_id: str, minutes: float = 0) -> None:
        """An agent links a request."""
        self.house.db.run_now(
            links.link,
            number,
            incident_id,
            how=How.AGENT,
            by="agent",
            reopen_window=WINDOW,
            now=self.at(minutes),
        )

    def unlink(self, number: str, incident_id: str, minutes: float = 0) -> None:
        """An agent ends a link."""
        self.house.db.run_now(
            links.unlink, number, incident_id, reason="another fault", by="agent", now=self.at(minutes)
        )

    def consume(self, minutes: float) -> None:
        """The help desk hears of what happened."""
        self.house.db.run_now(answers.consume, reopen_window=WINDOW, now=self.at(minutes))

    def give(self, minutes: float) -> list[bool]:
        """The answers that are due by then are given. Returns which really were."""
        now = self.at(minutes)
        due = self.house.db.read_now(answers.due, now=now)
        return [self.house.db.run_now(answers.give, id, house=self.house, now=now) for id in due]

    def ticket(self, filed: Filed) -> TicketView:
        """The ticket as it is now."""
        return self.house.db.read_now(requests.view, filed.number)

    def mails(self, kind: str = "") -> list[Message]:
        """The mails that are owed, oldest first."""
        return self.house.db.read_now(_mails, kind)

    def owed(self) -> list[tuple[str, str]]:
        """State and reason of every answer, oldest first."""
        return self.house.db.read_now(_owed)


def _open(session: Session, new: NewIncident, *, now: datetime) -> str:
    return incidents.open_incident(session, new, by="operator", now=now).id


def _resolve(session: Session, incident_id: str, text: Text, *, now: datetime) -> str:
    incidents.resolve(session, incident_id, text, by="operator", now=now)
    newest = Update.position.desc()
    found = session.scalars(select(Update.id).where(Update.notice_id == incident_id).order_by(newest)).first()
    assert found is not None
    return found


def _mails(session: Session, kind: str) -> list[Message]:
    query = select(Message).join(Delivery, Delivery.message_id == Message.id).order_by(Message.id)
    return list(session.scalars(query.where(Message.kind == kind) if kind else query))


def _owed(session: Session) -> list[tuple[str, str]]:
    return list(session.execute(select(TicketAnswer.state, TicketAnswer.reason).order_by(TicketAnswer.id)))


def deliveries_by_key(session: Session) -> dict[str, int]:
    """How many deliveries there are under each key of an answer."""
    rows = session.execute(
        select(Delivery.key, func.count())
        .where(Delivery.key.like("ticket-resolution:%"))
        .group_by(Delivery.key)
    )
    return {str(key): count for key, count in rows}
