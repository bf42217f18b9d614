"""The board: what fails and was not told, what is overdue, who is on duty, and statuses set by hand."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy.orm import Session

from statuspage.incidents import catalogue, incidents, services
from statuspage.incidents.details import Details
from statuspage.incidents.rules import IncidentStatus, ServiceStatus
from statuspage.incidents.snapshot import Text
from statuspage.kernel import audit, clock
from statuspage.kernel.house import House
from statuspage.kernel.localtime import write_local
from statuspage.kernel.panels import MonitorLine, Parts
from statuspage.site import board
from tests.statuspage.site.officers import CATALOGUE, officer

NOW = datetime.fromisoformat("2026-11-23T05:10:00+00:00")
TEXT = Text("x", "x")


@pytest.fixture
def house(house: House) -> House:
    house.db.run_now(catalogue.apply, catalogue.parse(CATALOGUE, where="c"), now=NOW - timedelta(days=2))
    return house


def find(house: House, code: str, status: ServiceStatus = ServiceStatus.MAJOR_OUTAGE) -> None:
    service = house.db.read_now(services.by_code, code)
    finding = services.Finding(service.id, status, "HTTP 503", NOW)
    house.db.run_now(services.report, finding, now=NOW, policy=house.settings.incidents)


def line(name: str, level: str, *, late_s: int = 0) -> MonitorLine:
    late = timedelta(seconds=late_s)
    return MonitorLine(
        "m",
        name,
        "http",
        level,
        NOW,
        NOW,
        "<503>",
        12.3,
        {"dns": 4.0},
        NOW,
        late,
        is_paused=False,
        is_flapping=False,
    )


def test_a_service_that_fails_without_a_word_is_an_alarm_until_somebody_speaks(house: House) -> None:
    find(house, "CRPA", ServiceStatus.DEGRADED_PERFORMANCE)  # slow is no incident of its own
    read = house.db.read_now(board.read_board, Parts(), now=NOW)
    assert [service.code for service in read.alarms] == ["CRPA"]
    new = incidents.NewIncident(TEXT, TEXT, {"CRPA": ServiceStatus.DEGRADED_PERFORMANCE})
    house.db.run_now(incidents.open_incident, new, by="anna", now=NOW)
    read = house.db.read_now(board.read_board, Parts(), now=NOW)
    assert (read.alarms, len(read.incidents)) == ((), 1)


def test_drafts_stand_apart_from_what_is_public(house: House) -> None:
    find(house, "OSOZ2")
    find(house, "NCTS2")
    read = house.db.read_now(board.read_board, Parts(), now=NOW)
    assert [case.codes for case in read.drafts] == [("OSOZ2",)]
    assert [(case.codes, case.is_silent) for case in read.incidents] == [(("NCTS2",), True)]


def test_a_board_takes_as_many_queries_for_many_services_as_for_few(house: House) -> None:
    def count(session: Session) -> int:
        from sqlalchemy import event

        seen: list[str] = []
        engine = session.get_bind()
        event.listen(engine, "before_cursor_execute", lambda *args: seen.append(args[2]))
        board.read_board(session, Parts(), now=NOW)
        return len(seen)

    few = house.db.read_now(count)
    find(house, "NCTS2")
    find(house, "OSOZ2")
    more = "".join(
        f'[[services]]\ncode = "S{i}"\ngroup = "g"\nname = {{ pl = "S", en = "S" }}\n' for i in range(30)
    )
    house.db.run_now(catalogue.apply, catalogue.parse(CATALOGUE + more, where="c"), now=NOW)
    assert house.db.read_now(count) <= few * 2 + 1  # the listener of the first count still listens


async def test_the_next_word_is_due_or_overdue(house: House) -> None:
    now = clock.now()
    find(house, "NCTS2")
    (notice,) = house.db.read_now(incidents.listed, unresolved=True)
    async with officer(house) as anna:
        assert "no person has spoken yet" in (await anna.get("/console")).text
        promised = Details(next_update_at=now + timedelta(minutes=30))
        house.db.run_now(incidents.post_update, notice.id, TEXT, by="anna", now=now, more=promised)
        assert "due in" in (await anna.get("/console")).text
        earlier = now - timedelta(hours=1)
        house.db.run_now(
            incidents.post_update,
            notice.id,
            TEXT,
            by="anna",
            now=earlier,
            more=Details(next_update_at=earlier + timedelta(minutes=30)),
            status=IncidentStatus.IDENTIFIED,
        )
        assert "overdue for" in (await anna.get("/console")).text


async def test_that_nobody_is_on_duty_is_said_until_somebody_is(house: House) -> None:
    async with officer(house) as anna:
        page = (await anna.get("/console")).text
        assert "Nobody is on duty." in page
        assert (await anna.send(page, "/console/duty", hours="8")).status_code == 303
        page = (await anna.get("/console")).text
        assert "Nobody is on duty." not in page
        assert "<strong>Anna</strong>" in page
        await anna.send(page, "/console/duty", do="leave")
        assert "Nobody is on duty." in (await anna.get("/console")).text
        assert (await anna.send(page, "/console/duty", hours="900")).status_code == 422
    done = [(each.actor, each.action) for each in house.db.read_now(audit.entries, action="duty")]
    assert done == [("anna", "duty.ended"), ("anna", "duty.begun")]


async def test_monitors_are_shown_escaped_with_what_is_late(house: House) -> None:
    lines = {"NCTS2": [line("portal <b>", "down", late_s=90), line("gateway", "up")]}
    given = Parts(monitors=lambda _session, _now, _code: lines)
    shown = house.db.read_now(board.read_board, given, now=NOW).services[0]
    assert [each.name for each in shown.worst] == ["portal <b>"]
    async with officer(house, given=given) as anna:
        page = (await anna.get("/console")).text
        assert "<strong>portal &lt;b&gt;</strong>" in page
        assert page.count("&lt;503&gt; 12 ms (dns 4)") == page.count("&lt;503&gt; 12 ms") > 0
        assert "+90 s" in page
        assert "1 of 2 not up" in page
        page = (await anna.get("/console/services/NCTS2")).text
    assert "portal &lt;b&gt;" in page
    assert "late by" in page


async def test_a_status_is_set_by_hand_with_reason_and_end_and_ended(house: House) -> None:
    find(house, "CRPA")
    until = write_local(clock.now() + timedelta(hours=2), house.settings.zone)
    place, action = "/console/services/CRPA", "/console/services/CRPA/override"
    async with officer(house) as anna:
        page = (await anna.get(place)).text
        refused = await anna.send(page, action, status="operational", reason="", until=until)
        assert refused.status_code == 422
        assert 'href="#reason"' in refused.text
        assert until in refused.text
        refused = await anna.send(page, action, status="operational", reason="why", until="")
        assert 'href="#until"' in refused.text
        answer = await anna.send(page, action, status="operational", reason="probe is wrong", until=until)
        assert answer.status_code == 303
        assert house.db.read_now(services.by_code, "CRPA").status == "operational"
        page = (await anna.get(place)).text
        assert "probe is wrong" in page
        end = next(part.split('"')[0] for part in page.split('action="/en') if "/overrides/" in part[:40])
        assert (await anna.send(page, end)).status_code == 303
    assert house.db.read_now(services.by_code, "CRPA").status == "major_outage"


async def test_a_service_that_does_not_exist_is_not_found(house: House) -> None:
    async with officer(house) as anna:
        assert (await anna.get("/console/services/NOSUCH")).status_code == 404
