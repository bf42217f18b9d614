"""The demo's subscribers and requests: plausible, linked to the history, and owed nothing."""

import itertools
from collections.abc import Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from notifiers.rules import check_address
from notifiers.tables import Delivery, Subscriber
from statuspage.demo import history, people
from statuspage.demo.people import read_content
from statuspage.demo.world import CATALOGUE
from statuspage.incidents import catalogue
from statuspage.incidents.tables import Notice
from statuspage.kernel import config
from statuspage.kernel.db import Database
from statuspage.kernel.events import Pending, next_number
from tickets import requests
from tickets.rules import MIN_TEXT, State, may_follow
from tickets.tables import Ticket, TicketAnswer, TicketChange, TicketIncidentLink


@pytest.fixture
def peopled(db: Database, now: datetime) -> Database:
    declared = catalogue.parse(CATALOGUE.read_text(encoding="utf-8"), where="catalogue.toml")
    db.run_now(catalogue.apply, declared, now=now)
    db.run_now(history.fill, zone=ZoneInfo("Europe/Warsaw"), now=now)
    assert db.run_now(people.fill, settings=config.Tickets(), now=now)
    return db


def tickets(db: Database) -> Sequence[Ticket]:
    return db.read_now(lambda s: s.scalars(select(Ticket).order_by(Ticket.number)).all())


def test_they_are_written_once(peopled: Database, now: datetime) -> None:
    assert not peopled.run_now(people.fill, settings=config.Tickets(), now=now)


def test_addresses_stand_under_domains_kept_for_examples() -> None:
    content = read_content()
    addresses = [wish.email for wish in content.subscribers] + [r.email for r in content.requests if r.email]
    assert [check_address(address) for address in addresses] == addresses
    assert {address.partition("@")[2] for address in addresses} <= {
        "example.org",
        "example.com",
        "example.net",
    }


def test_subscribers_are_confirmed_and_nothing_is_owed_to_them(peopled: Database) -> None:
    states = peopled.read_now(lambda s: s.scalars(select(Subscriber.state)).all())
    assert set(states) == {"active"}
    assert peopled.read_now(lambda s: s.scalar(select(func.count()).select_from(Delivery))) == 0
    assert peopled.read_now(lambda s: s.scalar(select(func.count()).select_from(Pending))) == 0


def test_numbers_follow_the_order_of_filing_and_the_series_goes_on(peopled: Database) -> None:
    filed = tickets(peopled)
    moments = [ticket.created_at for ticket in filed]
    assert moments == sorted(moments)
    assert filed[0].number == "ZGL1000001"
    upcoming = peopled.run_now(lambda s: next_number(s, "tickets"))
    assert f"ZGL{upcoming}" > filed[-1].number


def test_every_request_went_only_through_states_that_may_follow(peopled: Database, now: datetime) -> None:
    def check(session: Session) -> None:
        for ticket in session.scalars(select(Ticket)):
            changes = session.scalars(
                select(TicketChange).where(TicketChange.ticket_id == ticket.id).order_by(TicketChange.id)
            ).all()
            assert changes[0].old_state is None
            assert changes[-1].new_state == ticket.state
            for before, after in itertools.pairwise(changes):
                assert before.at <= after.at < now
                assert after.old_state == before.new_state
                assert may_follow(State(before.new_state), State(after.new_state))
            assert (
                (ticket.resolved_at is not None)
                == (ticket.state == State.RESOLVED)
                == (ticket.solution is not None)
            )
            assert len(ticket.text) >= MIN_TEXT

    peopled.read_now(check)


def test_the_queue_has_something_new_and_an_agent_can_open_every_request(peopled: Database) -> None:
    filed = tickets(peopled)
    assert State.NEW in {ticket.state for ticket in filed}
    for ticket in filed:
        assert peopled.read_now(requests.view, ticket.number).number == ticket.number


def test_requests_of_an_outage_were_linked_within_it_and_answered_by_its_resolution(
    peopled: Database,
) -> None:
    def check(session: Session) -> int:
        links = session.scalars(select(TicketIncidentLink)).all()
        for link in links:
            notice = session.get_one(Notice, link.notice_id)
            ticket = session.get_one(Ticket, link.ticket_id)
            answer = session.scalars(select(TicketAnswer).where(TicketAnswer.ticket_id == ticket.id)).one()
            assert notice.resolved_at is not None
            assert notice.ended_at is not None
            assert notice.began_at <= ticket.created_at <= link.linked_at <= notice.ended_at
            assert answer.finished_at == notice.resolved_at + timedelta(minutes=10)
            assert ticket.resolved_at == answer.finished_at
        return len(links)

    assert peopled.read_now(check) == 2
