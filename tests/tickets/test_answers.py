"""The end of an incident answers every linked ticket once: after relapses, mergers, faults and kills too."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from statuspage.incidents import incidents, notices, texts
from statuspage.incidents.notices import MONITOR
from statuspage.incidents.rules import IncidentStatus
from statuspage.incidents.snapshot import Text
from statuspage.incidents.tables import Notice
from statuspage.kernel import clock
from statuspage.kernel.config import Incidents
from statuspage.kernel.db import Database
from statuspage.kernel.events import Consumer, emit, pending
from tests.tickets.scene import SOLVED, WINDOW, Scene, deliveries_by_key, draft
from tickets import answers, links, requests
from tickets.answers import Answers
from tickets.rules import AnswerState, State
from tickets.tables import Ticket, TicketAnswer


def story(scene: Scene, *, tickets: int = 1) -> tuple[list[requests.Filed], str]:
    """Tickets filed, an incident opened, all of them linked to it by minute 2."""
    languages = ("en", "pl")
    filed = [
        scene.file(0, language=languages[i % 2], of=draft(email=f"c{i}@example.net")) for i in range(tickets)
    ]
    incident = scene.open_incident(1)
    scene.house.db.run_now(
        links.link_many,
        [one.number for one in filed],
        incident,
        by="agent",
        reopen_window=WINDOW,
        now=scene.at(2),
    )
    return filed, incident


def backlog(scene: Scene) -> int:
    return len(scene.house.db.read_now(pending, Consumer.TICKETS))


def test_a_resolution_answers_after_the_reopen_window_in_the_requesters_language(scene: Scene) -> None:
    filed, incident = story(scene, tickets=2)
    update_id = scene.resolve(incident, 5)
    scene.consume(5)

    assert backlog(scene) == 0
    assert scene.owed() == [(AnswerState.WAITING, "")] * 2
    assert scene.give(14.9) == []
    assert scene.ticket(filed[0]).state is State.PENDING_INCIDENT
    assert scene.give(15) == [True, True]
    english, polish = (scene.ticket(one) for one in filed)
    assert (english.state, english.solution) == (State.RESOLVED, SOLVED.en)
    assert (polish.state, polish.solution) == (State.RESOLVED, SOLVED.pl)
    mails = scene.mails("ticket.solution")
    assert [mail.subject for mail in mails] == [
        "ZGL1000001: your request is resolved",
        "ZGL1000002: zgłoszenie rozwiązane",
    ]
    assert f"/pl/incidents/{incident}" in mails[1].text
    assert SOLVED.pl in mails[1].text
    assert SOLVED.pl in mails[1].html
    assert scene.house.db.read_now(deliveries_by_key) == {
        f"ticket-resolution:{one.ticket_id}:{update_id}": 1 for one in filed
    }


def test_giving_twice_answers_once(scene: Scene) -> None:
    _, incident = story(scene)
    scene.resolve(incident, 5)
    scene.consume(5)
    (answer_id,) = scene.house.db.read_now(answers.due, now=scene.at(20))
    given = [
        scene.house.db.run_now(answers.give, answer_id, house=scene.house, now=scene.at(20)) for _ in range(3)
    ]

    assert given == [True, False, False]
    assert len(scene.mails("ticket.solution")) == 1


async def test_two_who_give_at_once_answer_once(scene: Scene) -> None:
    _, incident = story(scene)
    scene.resolve(incident, 5)
    scene.consume(5)
    (answer_id,) = scene.house.db.read_now(answers.due, now=scene.at(20))
    given = await asyncio.gather(
        *(scene.house.db.run(answers.give, answer_id, house=scene.house, now=scene.at(20)) for _ in range(6))
    )

    assert sorted(given) == [False] * 5 + [True]
    assert len(scene.mails("ticket.solution")) == 1


async def test_two_who_consume_at_once_promise_once(scene: Scene) -> None:
    _, incident = story(scene, tickets=3)
    scene.resolve(incident, 5)
    await asyncio.gather(
        *(scene.house.db.run(answers.consume, reopen_window=WINDOW, now=scene.at(5)) for _ in range(4))
    )

    assert backlog(scene) == 0
    assert scene.owed() == [(AnswerState.WAITING, "")] * 3


def test_a_relapse_takes_waiting_answers_back_and_the_last_resolution_answers(scene: Scene) -> None:
    filed, incident = story(scene)
    scene.resolve(incident, 5)
    scene.consume(5)
    scene.reopen(incident, 8)
    scene.consume(8)

    assert scene.owed() == [(AnswerState.CANCELLED, "the incident was reopened")]
    assert scene.give(30) == []
    assert scene.ticket(filed[0]).state is State.PENDING_INCIDENT
    scene.resolve(incident, 40, Text("Naprawiono na dobre.", "Repaired for good."))
    scene.consume(40)
    assert scene.give(50) == [True]
    assert scene.ticket(filed[0]).solution == "Repaired for good."
    assert len(scene.mails("ticket.solution")) == 1


def test_a_relapse_that_was_not_heard_of_yet_holds_the_answer_too(scene: Scene) -> None:
    _, incident = story(scene)
    scene.resolve(incident, 5)
    scene.consume(5)
    scene.reopen(incident, 14)

    assert scene.give(15) == [False]
    assert scene.owed() == [(AnswerState.CANCELLED, "the incident was reopened")]
    assert scene.mails("ticket.solution") == []


def test_resolved_and_reopened_before_anybody_listened_answers_nothing(scene: Scene) -> None:
    _, incident = story(scene)
    scene.resolve(incident, 5)
    scene.reopen(incident, 6)
    scene.consume(7)

    assert scene.owed() == []


def test_a_report_after_the_resolution_does_not_answer_again(scene: Scene) -> None:
    filed, incident = story(scene)
    scene.resolve(incident, 5)
    scene.consume(5)
    scene.house.db.run_now(
        incidents.post_update,
        incident,
        Text("Raport.", "A report."),
        by="operator",
        now=scene.at(7),
        status=IncidentStatus.POSTMORTEM,
    )
    scene.consume(7)

    assert scene.give(15) == [True]
    assert scene.ticket(filed[0]).solution == SOLVED.en
    assert len(scene.owed()) == 1


def test_what_an_agent_solved_meanwhile_is_not_answered_again(scene: Scene) -> None:
    filed, incident = story(scene, tickets=2)
    solve = requests.solve
    house = scene.house
    house.db.run_now(solve, filed[0].number, "By hand.", by="agent", house=house, now=scene.at(3))
    scene.resolve(incident, 5)
    scene.consume(5)
    house.db.run_now(solve, filed[1].number, "By hand too.", by="agent", house=house, now=scene.at(6))

    assert scene.give(15) == [False]
    assert scene.owed() == [(AnswerState.CANCELLED, "the request was settled otherwise")]
    assert scene.ticket(filed[0]).solution == "By hand."
    assert len(scene.mails("ticket.solution")) == 2


def test_a_ticket_linked_after_the_resolution_is_answered_too(scene: Scene) -> None:
    _, incident = story(scene)
    scene.resolve(incident, 5)
    scene.consume(5)
    during, after = scene.file(6), scene.file(60)
    scene.link(during.number, incident, 7)
    assert scene.give(15) == [True, True]
    scene.link(after.number, incident, 61)

    assert scene.give(61) == [True]
    assert scene.ticket(after).solution == SOLVED.en
    assert len(scene.mails("ticket.solution")) == 3


def test_a_ticket_of_a_merged_incident_waits_for_the_one_that_goes_on(scene: Scene) -> None:
    filed, merged = story(scene)
    into = scene.open_incident(3, "AES")
    scene.house.db.run_now(_merge, merged, into, now=scene.at(4))
    scene.consume(4)

    assert scene.owed() == []
    assert scene.ticket(filed[0]).state is State.PENDING_INCIDENT
    old, new = scene.house.db.read_now(links.links_of, filed[0].ticket_id)
    assert (old.unlink_reason, new.incident_id, new.how) == (f"merged into {into}", into, "automatic")
    scene.resolve(into, 9)
    scene.consume(9)
    assert scene.give(19) == [True]


def test_linking_to_a_merged_incident_links_to_the_one_that_goes_on(scene: Scene) -> None:
    _, merged = story(scene)
    into = scene.open_incident(3, "AES")
    scene.house.db.run_now(_merge, merged, into, now=scene.at(4))
    late = scene.file(5)
    scene.link(late.number, merged, 6)

    (link,) = scene.house.db.read_now(links.links_of, late.ticket_id)
    assert link.incident_id == into


def test_a_ticket_that_waits_for_another_incident_is_not_resolved_by_the_first(scene: Scene) -> None:
    filed, first = story(scene)
    second = scene.open_incident(3, "AES")
    scene.resolve(first, 5)
    scene.link(filed[0].number, second, 6)  # nobody listened yet: the first answer is not promised
    scene.consume(7)

    assert scene.give(15) == [False]
    assert scene.owed() == [(AnswerState.CANCELLED, "it waits for another incident")]
    scene.resolve(second, 20)
    scene.consume(20)
    assert scene.give(30) == [True]
    assert len(scene.mails("ticket.solution")) == 1


def test_other_events_are_only_ticked_off(scene: Scene) -> None:
    story(scene)
    scene.house.db.run_now(_tell_of_maintenance, now=scene.at(3))
    assert backlog(scene) > 1
    scene.consume(4)

    assert backlog(scene) == 0
    assert scene.owed() == []


def test_what_cannot_be_given_is_shown_with_its_reason_and_tried_again(scene: Scene) -> None:
    filed, incident = story(scene)
    scene.resolve(incident, 5)
    scene.consume(5)
    (answer_id,) = scene.house.db.read_now(answers.due, now=scene.at(15))
    scene.house.db.run_now(answers.postpone, answer_id, reason="no template", now=scene.at(15))

    (link,) = scene.house.db.read_now(links.links_of, filed[0].ticket_id)
    assert (link.answer, link.answer_reason) == (AnswerState.WAITING, "no template")
    assert scene.give(15.5) == []
    assert scene.give(16) == [True]


# --- the task ---


def hurried(scene: Scene) -> Scene:
    """The same scene, in which answers are due at once and the story began now."""
    house = scene.house
    settings = replace(house.settings, incidents=Incidents(reopen_window=timedelta(0)))
    return replace(scene, house=replace(house, settings=settings), now=clock.now() - timedelta(minutes=10))


async def until(condition: Callable[[], bool]) -> None:
    """Poll until it holds; the deadline is generous, because the machine is shared."""
    for _ in range(1200):
        if condition():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("it did not happen within a minute")


async def test_the_task_answers_what_is_resolved_while_it_runs(scene: Scene) -> None:
    scene = hurried(scene)
    filed, incident = story(scene, tickets=3)
    task = asyncio.create_task(Answers(scene.house).run())
    try:
        await asyncio.to_thread(scene.resolve, incident, 5)
        scene.house.db.wake()
        await until(lambda: len(scene.mails("ticket.solution")) == 3)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert {scene.ticket(one).state for one in filed} == {State.RESOLVED}


async def test_one_answers_fault_does_not_hold_up_the_others(scene: Scene) -> None:
    scene = hurried(scene)
    filed, incident = story(scene, tickets=3)
    scene.resolve(incident, 5)
    scene.house.db.run_now(_spoil_address, filed[0].ticket_id)
    task = asyncio.create_task(Answers(scene.house).run())
    try:
        await until(lambda: len(scene.mails("ticket.solution")) == 2)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert scene.ticket(filed[0]).state is State.PENDING_INCIDENT
    (state, reason), *others = scene.owed()
    assert state == AnswerState.WAITING
    assert "email" in reason
    assert others == [(AnswerState.GIVEN, "")] * 2


# --- kill −9 (abuse case 28) ---

WORKER = """
    import asyncio, sys
    from datetime import datetime, timedelta
    from statuspage.kernel.config import Data, Incidents, Settings
    from statuspage.kernel.db import Database
    from statuspage.kernel.house import House
    from statuspage.kernel.i18n import Catalogues
    from statuspage.kernel.net import Network
    from statuspage.kernel.security import Signer
    from tickets.answers import Answers

    settings = Settings(data=Data(dir=sys.argv[2]), incidents=Incidents(reopen_window=timedelta(0)))
    house = House(settings, Database(sys.argv[1]), Network(()), Signer("k" * 32), Catalogues())
    print("ready", flush=True)
    asyncio.run(Answers(house).run())
"""
TICKETS = 60


def given(db: Database) -> int:
    return db.read_now(lambda session: session.scalar(_given) or 0)


_given = select(func.count()).select_from(TicketAnswer).where(TicketAnswer.state == AnswerState.GIVEN)


@pytest.mark.slow
async def test_a_worker_killed_again_and_again_leaves_one_answer_for_each_ticket(
    scene: Scene, database_url: str, tmp_path: Path
) -> None:
    scene = hurried(scene)
    filed, incident = story(scene, tickets=TICKETS)
    update_id = scene.resolve(incident, 5)
    kills = 0
    for target in (0, 1, 13, 29, 30, TICKETS):
        worker = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(WORKER), database_url, str(tmp_path)],
            stdout=subprocess.PIPE,
        )
        try:
            assert worker.stdout is not None
            assert await asyncio.to_thread(worker.stdout.readline) == b"ready\n"
            await until(lambda target=target: given(scene.house.db) >= target)  # type: ignore[misc]
        finally:
            os.kill(worker.pid, signal.SIGKILL)
            kills += worker.wait() == -signal.SIGKILL
            if worker.stdout:
                worker.stdout.close()

    assert kills == 6
    assert given(scene.house.db) == TICKETS
    assert scene.house.db.read_now(deliveries_by_key) == {
        f"ticket-resolution:{one.ticket_id}:{update_id}": 1 for one in filed
    }
    assert {scene.ticket(one).state for one in filed} == {State.RESOLVED}
    assert {len(scene.ticket(one).messages) for one in filed} == {1}
    assert backlog(scene) == 0


def _merge(session: Session, merged: str, into: str, *, now: datetime) -> None:
    """As monitors do it when a parent turns out to be the cause."""
    notice = session.get_one(Notice, merged)
    notice.merged_into_id = into
    notice.status, notice.resolved_at, notice.ended_at = IncidentStatus.RESOLVED, now, now
    text = texts.merged(Text("AES", "AES"))
    said = notices.post(session, notice, text, [], by=MONITOR, now=now, deliver=False)
    notices.tell(session, "incident.updated", notice, said, now)


def _tell_of_maintenance(session: Session, *, now: datetime) -> None:
    emit(session, "maintenance.scheduled", "somenotice12", {"notice_id": "somenotice12"}, at=now)


def _spoil_address(session: Session, ticket_id: str) -> None:
    """An address that was good once and that the outbox now refuses."""
    session.execute(update(Ticket).where(Ticket.id == ticket_id).values(requester_email="nobody"))
