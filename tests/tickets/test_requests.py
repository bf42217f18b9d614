"""Requests on a real database: filed once, acknowledged, numbered, queued, answered, solved, closed."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from notifiers.tables import Delivery
from statuspage.kernel.errors import Conflict, Invalid, NotFound
from tests.tickets.scene import DRAFT, Scene, draft
from tickets import requests, rules
from tickets.requests import Filter, NewRequest
from tickets.rules import Draft, State
from tickets.tables import Ticket


def test_a_request_is_filed_with_a_number_of_the_series(scene: Scene) -> None:
    first, second = scene.file(), scene.file(1)

    assert (first.number, second.number) == ("ZGL1000001", "ZGL1000002")
    ticket = scene.ticket(first)
    assert ticket.state is State.NEW
    assert ticket.service_code == "NCTS2"
    assert ticket.subject == "Declarations are refused since this morning."
    assert [step.state for step in ticket.steps] == [State.NEW]


async def test_numbers_never_repeat_under_concurrency(scene: Scene) -> None:
    filed = await asyncio.gather(
        *(
            scene.house.db.run(
                requests.file_request, NewRequest(DRAFT, "en"), house=scene.house, now=scene.now
            )
            for _ in range(40)
        )
    )

    assert sorted(one.number for one in filed) == [f"ZGL{1000001 + i}" for i in range(40)]


async def test_one_form_sent_many_times_at_once_files_one_request(scene: Scene) -> None:
    new = NewRequest(DRAFT, "en", submission="the form's own key")
    outcomes = await asyncio.gather(
        *(scene.house.db.run(requests.file_request, new, house=scene.house, now=scene.now) for _ in range(8)),
        return_exceptions=True,
    )

    filed = [one for one in outcomes if isinstance(one, requests.Filed)]
    assert len(filed) == 1
    assert [type(one) for one in outcomes if one is not filed[0]] == [Conflict] * 7
    assert scene.house.db.read_now(requests.filed_before, "the form's own key") == filed[0]
    assert scene.file().number == "ZGL1000002", "a refused form took no number"


def test_the_acknowledgement_tells_number_text_and_link(scene: Scene) -> None:
    filed = scene.file(of=DRAFT)

    (mail,) = scene.mails("ticket.acknowledgement")
    assert mail.subject == "ZGL1000001: we have received your request"
    assert "Error 503." in mail.text
    assert "NCTS2 – transit" in mail.text
    token = scene.house.signer.sign("ticket", filed.view_key)
    assert f"{scene.house.settings.server.base_url}/en/desk/requests/{token}" in mail.text
    assert mail.headers == {"Auto-Submitted": "auto-replied"}


def test_a_polish_reader_is_written_to_in_polish(scene: Scene) -> None:
    scene.file(language="pl")

    (mail,) = scene.mails()
    assert mail.subject == "ZGL1000001: przyjęliśmy zgłoszenie"
    assert "Przyjęliśmy zgłoszenie ZGL1000001." in mail.text
    assert "/pl/desk/requests/" in mail.text
    assert mail.language == "pl"


def test_a_mail_shows_what_was_typed_and_runs_none_of_it(scene: Scene) -> None:
    scene.file(of=Draft("question", "", "A", "a@example.net", "<script>alert(1)</script> & more"))

    (mail,) = scene.mails()
    assert "<script>alert(1)</script> & more" in mail.text
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; more" in mail.html
    assert "<script>" not in mail.html


def test_a_stranger_cannot_be_flooded_with_acknowledgements(scene: Scene) -> None:
    for minute in range(rules.ACKNOWLEDGEMENTS_A_DAY + 3):
        scene.file(minute)
    scene.file(100, of=draft(email="b@example.net"))

    assert len(scene.mails()) == rules.ACKNOWLEDGEMENTS_A_DAY + 1
    scene.file(24 * 60 + 50)
    assert len(scene.mails()) == rules.ACKNOWLEDGEMENTS_A_DAY + 2


@pytest.mark.parametrize(
    ("of", "field"),
    [
        (draft(service=""), "service"),
        (draft(service="NOSUCH"), "service"),
        (draft(email="nobody"), "email"),
        (draft(name="A\r\nBcc: b@example.net"), "name"),
    ],
)
def test_a_bad_request_is_refused_with_its_field_and_leaves_nothing(
    scene: Scene, of: Draft, field: str
) -> None:
    with pytest.raises(Invalid) as refused:
        scene.file(of=of)

    assert refused.value.field == field
    assert scene.mails() == []
    assert scene.file().number == "ZGL1000001"


def test_the_queue_shows_what_is_unsolved_longest_waiting_first(scene: Scene) -> None:
    first, second, third = scene.file(), scene.file(1, of=draft(service="AES")), scene.file(2)
    scene.house.db.run_now(
        requests.solve, second.number, "Done.", by="agent", house=scene.house, now=scene.at(3)
    )

    def numbers(wanted: Filter) -> list[str]:
        return [row.number for row in scene.house.db.read_now(requests.queue, wanted).rows]

    assert numbers(Filter()) == [first.number, third.number]
    assert numbers(Filter(frozenset({State.RESOLVED}))) == [second.number]
    assert numbers(Filter(frozenset(State), service="AES")) == [second.number]
    counts = scene.house.db.read_now(requests.counts)
    assert counts[State.NEW] == 2
    assert counts[State.RESOLVED] == 1
    assert counts[State.PENDING_APPROVAL] == 0
    assert State.CLOSED not in counts


def test_the_queue_goes_on_page_by_page_without_losing_any(scene: Scene) -> None:
    filed = [scene.file(minute // 3).number for minute in range(10)]  # three share an instant
    seen: list[str] = []
    after = None
    while True:
        page = scene.house.db.read_now(requests.queue, Filter(), after=after, limit=4)
        assert page.total == 10
        seen += [row.number for row in page.rows]
        after = page.after
        if after is None:
            break

    assert sorted(seen) == filed
    assert len(seen) == 10


def test_the_queue_of_an_incident_shows_what_is_linked_to_it(scene: Scene) -> None:
    filed, other = scene.file(), scene.file()
    incident = scene.open_incident()
    scene.link(filed.number, incident)

    found = scene.house.db.read_now(requests.queue, Filter(incident_id=incident))
    assert [row.number for row in found.rows] == [filed.number]
    assert other.number != filed.number


def test_a_note_is_for_agents_alone(scene: Scene) -> None:
    filed = scene.file()
    scene.house.db.run_now(requests.note, filed.number, "Called them.", by="agent", now=scene.at(1))

    ticket = scene.ticket(filed)
    assert [message.body for message in ticket.messages] == ["Called them."]
    assert ticket.public_messages == ()
    assert ticket.state is State.NEW
    assert len(scene.mails()) == 1


def test_an_answer_opens_the_ticket_and_is_mailed(scene: Scene) -> None:
    filed = scene.file()
    scene.house.db.run_now(
        requests.answer, filed.number, "Which office?", by="agent", house=scene.house, now=scene.at(1)
    )

    ticket = scene.ticket(filed)
    assert ticket.state is State.OPEN
    assert [message.body for message in ticket.public_messages] == ["Which office?"]
    (mail,) = scene.mails("ticket.answer")
    assert "Which office?" in mail.text


def test_a_solution_resolves_is_pinned_and_mailed_once(scene: Scene) -> None:
    filed = scene.file()
    scene.house.db.run_now(
        requests.solve, filed.number, "Use the paper form.", by="agent", house=scene.house, now=scene.at(1)
    )

    ticket = scene.ticket(filed)
    assert (ticket.state, ticket.solution) == (State.RESOLVED, "Use the paper form.")
    assert ticket.resolved_at == scene.at(1)
    assert ticket.public_messages == (), "the pinned solution is not said twice"
    with pytest.raises(Conflict):
        scene.house.db.run_now(
            requests.solve, filed.number, "Another.", by="agent", house=scene.house, now=scene.at(2)
        )
    (mail,) = scene.mails("ticket.solution")
    assert "Use the paper form." in mail.text
    assert scene.ticket(filed).solution == "Use the paper form."


@pytest.mark.parametrize("body", ["", "   \n ", "x" * 20_001, "a\x00b"])
def test_what_cannot_be_sent_is_refused(scene: Scene, body: str) -> None:
    filed = scene.file()
    with pytest.raises(Invalid) as refused:
        scene.house.db.run_now(
            requests.answer, filed.number, body, by="agent", house=scene.house, now=scene.at(1)
        )

    assert refused.value.field == "answer"
    assert scene.ticket(filed).messages == ()


def test_a_resolved_ticket_closes_after_14_days_and_then_takes_no_answer(scene: Scene) -> None:
    filed = scene.file()
    house = scene.house
    house.db.run_now(requests.solve, filed.number, "Done.", by="agent", house=house, now=scene.at(0))
    early, late = scene.now + timedelta(days=13, hours=23), scene.now + timedelta(days=14)

    assert house.db.run_now(requests.close_resolved, now=early) == 0
    assert house.db.run_now(requests.close_resolved, now=late) == 1
    assert house.db.run_now(requests.close_resolved, now=late) == 0
    ticket = scene.ticket(filed)
    assert ticket.state is State.CLOSED
    assert ticket.resolved_at == scene.now
    with pytest.raises(Conflict):
        house.db.run_now(requests.answer, filed.number, "More.", by="agent", house=house, now=late)


def test_a_caller_without_an_address_is_solved_without_a_mail(scene: Scene) -> None:
    filed = scene.file()
    scene.house.db.run_now(_forget_address, filed.ticket_id)
    scene.house.db.run_now(
        requests.solve, filed.number, "Told by telephone.", by="agent", house=scene.house, now=scene.at(1)
    )

    assert scene.ticket(filed).state is State.RESOLVED
    assert scene.mails("ticket.solution") == []


def _forget_address(session: Session, ticket_id: str) -> None:
    session.get_one(Ticket, ticket_id).requester_email = None


def test_nobody_finds_a_request_by_guessing(scene: Scene) -> None:
    with pytest.raises(NotFound):
        scene.house.db.read_now(requests.view_by_key, "guessed")
    with pytest.raises(NotFound):
        scene.house.db.read_now(requests.view, "ZGL1")


def test_addresses_are_kept_in_one_form(scene: Scene) -> None:
    filed = scene.file(of=draft(email="A.Forwarder@EXAMPLE.net"))

    assert scene.ticket(filed).requester_email == "A.Forwarder@example.net"
    assert scene.house.db.read_now(_addresses) == ["A.Forwarder@example.net"]


def _addresses(session: Session) -> list[str]:
    return list(session.scalars(select(Delivery.address)))
