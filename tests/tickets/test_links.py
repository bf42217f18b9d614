"""Tickets and incidents: what is suggested, linked, unlinked; nothing falls between two transactions."""

import asyncio

import pytest

from statuspage.kernel.errors import Conflict, Invalid, NotFound
from tests.tickets.scene import WINDOW, Scene, draft
from tickets import links, requests
from tickets.rules import AnswerState, How, State


def suggested(scene: Scene, incident: str, minutes: float) -> list[str]:
    found = scene.house.db.read_now(links.suggestions, incident, now=scene.at(minutes))
    assert found.total == len(found.rows)
    return [row.number for row in found.rows]


def test_the_same_service_and_an_impacted_child_are_suggested(scene: Scene) -> None:
    gateway, child, other = (
        scene.file(of=draft(service="PUESC")),
        scene.file(1, of=draft(service="NCTS2")),
        scene.file(2, of=draft(service="AES")),
    )
    incident = scene.open_incident(3, "PUESC")

    assert suggested(scene, incident, 4) == [gateway.number, child.number]
    assert other.number not in suggested(scene, incident, 4)


def test_suggestions_keep_to_the_window(scene: Scene) -> None:
    scene.file(0)
    early, during = scene.file(1), scene.file(60)
    incident = scene.open_incident(31)
    scene.resolve(incident, 90)
    late = scene.file(90 + 120)
    scene.file(90 + 121)

    assert suggested(scene, incident, 1000) == [early.number, during.number, late.number]


def test_failures_come_first_and_other_kinds_of_requests_never(scene: Scene) -> None:
    question = scene.file(0, of=draft(kind="question"))
    failure = scene.file(1)
    scene.file(2, of=draft(kind="suggestion"))
    incident = scene.open_incident(3)

    assert suggested(scene, incident, 4) == [failure.number, question.number]


def test_what_is_solved_or_linked_is_not_suggested(scene: Scene) -> None:
    solved, linked_here, linked_there, free = (scene.file(minute) for minute in range(4))
    scene.house.db.run_now(
        requests.solve, solved.number, "Done.", by="agent", house=scene.house, now=scene.at(4)
    )
    here, there = scene.open_incident(5), scene.open_incident(5, "NCTS2")
    scene.link(linked_here.number, here, 6)
    scene.link(linked_there.number, there, 6)

    assert suggested(scene, here, 7) == [free.number]
    assert suggested(scene, there, 7) == [free.number]


def test_the_open_incident_of_a_service_and_of_its_parent_is_known(scene: Scene) -> None:
    incident = scene.open_incident(0, "PUESC")
    by_code = {choice.code: choice.id for choice in scene.house.db.read_now(requests.services)}

    (found,) = scene.house.db.read_now(links.open_incidents_of, by_code["NCTS2"])
    assert (found.id, found.latest.en) == (incident, "We are checking.")
    assert scene.house.db.read_now(links.open_incidents_of, by_code["AES"]) == ()
    scene.resolve(incident, 5)
    assert scene.house.db.read_now(links.open_incidents_of, by_code["NCTS2"]) == ()


def test_linking_makes_the_ticket_wait_and_says_who_did_it(scene: Scene) -> None:
    filed = scene.file()
    incident = scene.open_incident(1)
    scene.link(filed.number, incident, 2)
    scene.link(filed.number, incident, 3)  # a double click

    ticket = scene.ticket(filed)
    assert ticket.state is State.PENDING_INCIDENT
    (link,) = scene.house.db.read_now(links.links_of, ticket.id)
    assert (link.how, link.linked_by, link.linked_at) == (How.AGENT, "agent", scene.at(2))


def test_a_ticket_waits_for_one_incident_at_a_time(scene: Scene) -> None:
    filed = scene.file()
    first, second = scene.open_incident(1), scene.open_incident(1, "AES")
    scene.link(filed.number, first, 2)

    with pytest.raises(Conflict, match="unlink it there first"):
        scene.link(filed.number, second, 3)


def test_a_solved_ticket_cannot_be_linked(scene: Scene) -> None:
    filed = scene.file()
    incident = scene.open_incident(1)
    scene.house.db.run_now(
        requests.solve, filed.number, "Done.", by="agent", house=scene.house, now=scene.at(2)
    )

    with pytest.raises(Conflict):
        scene.link(filed.number, incident, 3)
    assert scene.house.db.read_now(links.links_of, filed.ticket_id) == ()


def test_many_are_linked_at_once_and_those_that_moved_on_are_named(scene: Scene) -> None:
    filed = [scene.file(minute) for minute in range(5)]
    incident = scene.open_incident(6)
    scene.house.db.run_now(
        requests.solve, filed[2].number, "Done.", by="agent", house=scene.house, now=scene.at(7)
    )
    outcome = scene.house.db.run_now(
        links.link_many,
        [one.number for one in filed] + ["ZGL999"],
        incident,
        by="agent",
        reopen_window=WINDOW,
        now=scene.at(8),
    )

    assert outcome.moved_on == (filed[2].number,)
    assert outcome.linked == tuple(one.number for one in filed if one is not filed[2])
    linked = scene.house.db.read_now(links.linked, incident)
    assert linked.total == 4
    assert {row.how for row in linked.rows} == {How.SUGGESTED}
    assert linked.by_language == {"en": 4}


def test_unlinking_opens_the_ticket_keeps_the_link_and_why_it_ended(scene: Scene) -> None:
    filed = scene.file()
    incident = scene.open_incident(1)
    scene.link(filed.number, incident, 2)
    scene.unlink(filed.number, incident, 3)

    assert scene.ticket(filed).state is State.OPEN
    (link,) = scene.house.db.read_now(links.links_of, filed.ticket_id)
    assert (link.unlinked_at, link.unlinked_by, link.unlink_reason) == (scene.at(3), "agent", "another fault")
    scene.link(filed.number, incident, 4)
    assert len(scene.house.db.read_now(links.links_of, filed.ticket_id)) == 2
    assert scene.ticket(filed).state is State.PENDING_INCIDENT


def test_unlinking_needs_a_reason_and_a_link(scene: Scene) -> None:
    filed = scene.file()
    incident = scene.open_incident(1)
    run = scene.house.db.run_now

    with pytest.raises(NotFound):
        run(links.unlink, filed.number, incident, reason="none", by="agent", now=scene.at(2))
    scene.link(filed.number, incident, 3)
    with pytest.raises(Invalid) as refused:
        run(links.unlink, filed.number, incident, reason="  ", by="agent", now=scene.at(4))
    assert refused.value.field == "reason"


def test_a_draft_and_an_unknown_incident_cannot_be_linked(scene: Scene) -> None:
    filed = scene.file()

    with pytest.raises(NotFound):
        scene.link(filed.number, "nosuchnotice")
    assert scene.ticket(filed).state is State.NEW


def test_unlinking_takes_the_promised_answer_back_and_linking_promises_it_again(scene: Scene) -> None:
    filed = scene.file()
    incident = scene.open_incident(1)
    scene.link(filed.number, incident, 2)
    scene.resolve(incident, 3)
    scene.consume(3)
    scene.unlink(filed.number, incident, 4)
    assert scene.owed() == [(AnswerState.CANCELLED, "the link was ended")]
    scene.link(filed.number, incident, 5)

    assert scene.owed() == [(AnswerState.WAITING, "")]
    assert scene.give(14) == [True]
    assert len(scene.mails("ticket.solution")) == 1


async def test_a_link_made_while_the_incident_is_resolved_is_answered_all_the_same(scene: Scene) -> None:
    """Whichever of the two commits first, the ticket is owed its answer."""
    filed = [scene.file(minute) for minute in range(12)]
    incident = scene.open_incident(13)

    async def link(number: str) -> None:
        await asyncio.to_thread(scene.link, number, incident, 14)

    async def resolve() -> None:
        await asyncio.to_thread(scene.resolve, incident, 14)
        await asyncio.to_thread(scene.consume, 14)

    first, *rest = (link(one.number) for one in filed)
    await asyncio.gather(first, resolve(), *rest)
    scene.consume(15)

    assert scene.owed() == [(AnswerState.WAITING, "")] * 12
    assert scene.give(30) == [True] * 12
