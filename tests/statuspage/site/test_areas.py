"""Whoever is operator for one group of services acts for that group alone, on every page of the console."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from sqlalchemy import select

from statuspage.incidents import (
    acts,
    catalogue,
    fallbacks,
    incidents,
    maintenance,
    overrides,
    recurrence,
    series,
    services,
)
from statuspage.incidents.acts import ActKind, Content
from statuspage.incidents.fallbacks import NewFallback
from statuspage.incidents.incidents import NewIncident
from statuspage.incidents.maintenance import NewMaintenance
from statuspage.incidents.rules import FallbackState, ServiceStatus
from statuspage.incidents.series import NewSeries
from statuspage.incidents.snapshot import Text
from statuspage.incidents.tables import Act, Fallback, Notice, Override, Update
from statuspage.kernel import accounts, clock
from statuspage.kernel.accounts import Role
from statuspage.kernel.house import House
from statuspage.kernel.localtime import write_local
from tests.statuspage.site.entrance import add
from tests.statuspage.site.officers import Officer, fields_of, officer

CATALOGUE = """
[[groups]]
code = "transit"
name = { pl = "Tranzyt", en = "Transit" }
[[groups]]
code = "excise"
name = { pl = "Akcyza", en = "Excise" }
[[services]]
code = "NCTS2"
group = "transit"
name = { pl = "NCTS2", en = "NCTS2" }
[[services]]
code = "EMCS"
group = "excise"
name = { pl = "EMCS", en = "EMCS" }
"""
TEXT = Text("Treść", "Words")
MINE, THEIRS = "NCTS2", "EMCS"


@pytest.fixture
def house(house: House) -> House:
    now = clock.now() - timedelta(days=2)
    house.db.run_now(catalogue.apply, catalogue.parse(CATALOGUE, where="c"), now=now)
    return house


@asynccontextmanager
async def transit_officer(house: House) -> AsyncIterator[Officer]:
    """Anna: viewer in the house, operator for transit."""
    anna = add(house, "anna", Role.VIEWER)
    roles = {"transit": Role.OPERATOR}
    house.db.run_now(accounts.set_group_roles, anna.id, roles, by="boss", now=clock.now())
    async with officer(house) as signed_in:
        yield signed_in


def declare(house: House, *codes: str) -> Notice:
    new = NewIncident(Text("Awaria", "Outage"), TEXT, dict.fromkeys(codes, ServiceStatus.MAJOR_OUTAGE))
    return house.db.run_now(incidents.open_incident, new, by="jan", now=clock.now() - timedelta(hours=1))


async def post(anna: Officer, path: str, **fields: str) -> int:
    """Past the page, which does not offer what is not allowed. Returns the status."""
    csrf = fields_of((await anna.get("/console")).text, "/console/sign-out")["csrf"]
    return (await anna.client.post(f"/en{path}", data={"csrf": csrf, **fields})).status_code


def count(house: House, table: type) -> int:
    return len(house.db.read_now(lambda s: s.scalars(select(table)).all()))


@pytest.mark.parametrize(("code", "status"), [(MINE, 303), (THEIRS, 403)])
async def test_an_incident_is_opened_for_ones_own_services(house: House, code: str, status: int) -> None:
    async with transit_officer(house) as anna:
        answer = await anna.compose(f"service={code}", text_pl="Wiemy.", text_en="We know.", do="publish")
        assert answer.status_code == status
        if status == 403:
            assert "does not cover these groups of services: excise" in answer.text
            assert "We know." in answer.text  # nothing typed is lost
    assert count(house, Notice) == (status == 303)


@pytest.mark.parametrize(("codes", "status"), [([MINE], 303), ([THEIRS], 403), ([MINE, THEIRS], 403)])
async def test_an_update_needs_the_role_for_all_that_the_incident_names(
    house: House, codes: list[str], status: int
) -> None:
    notice = declare(house, *codes)
    async with transit_officer(house) as anna:
        answer = await anna.compose(f"incident={notice.id}", text_pl="Dalej.", text_en="Still.", do="publish")
        assert answer.status_code == status
    assert count(house, Update) == 1 + (status == 303)


async def test_an_update_cannot_reach_a_service_of_others(house: House) -> None:
    notice = declare(house, MINE)
    async with transit_officer(house) as anna:
        answer = await anna.compose(
            f"incident={notice.id}", text_pl="A", text_en="B", status__EMCS="major_outage", do="publish"
        )
    assert answer.status_code == 403
    assert house.db.read_now(services.by_code, THEIRS).status == "operational"


async def test_what_one_may_not_publish_one_may_write_and_hand_over(house: House) -> None:
    async with transit_officer(house) as anna:
        kept = await anna.compose(f"service={THEIRS}", text_pl="Wiemy.", text_en="We know.", do="save")
        assert kept.status_code == 303
        (act,) = house.db.read_now(lambda s: s.scalars(select(Act)).all())
        place = f"/console/drafts/{act.id}"
        page = (await anna.get(place)).text
        for do, status in (("publish", 403), ("schedule", 403), ("drop", 403), ("hand_over", 303)):
            at = write_local(clock.now() + timedelta(hours=2), house.settings.zone)
            answer = await anna.send(page, place, do=do, publish_at=at)
            assert (do, answer.status_code) == (do, status)
    assert count(house, Notice) == 0
    async with officer(house, "jan") as jan:
        page = (await jan.get(place)).text
        assert (await jan.send(page, place, do="publish")).status_code == 303
    assert count(house, Notice) == 1


@pytest.mark.parametrize("do", ["schedule", "publish", "drop"])
async def test_a_draft_of_ones_own_services_is_ones_own_to_end(house: House, do: str) -> None:
    content = Content(
        ActKind.OPEN, name=Text("A", "B"), text=TEXT, services={MINE: ServiceStatus.PARTIAL_OUTAGE}
    )
    act = house.db.run_now(acts.write, content, by="jan", now=clock.now())
    at = write_local(clock.now() + timedelta(hours=2), house.settings.zone)
    async with transit_officer(house) as anna:
        page = (await anna.get(f"/console/drafts/{act.id}")).text
        answer = await anna.send(page, f"/console/drafts/{act.id}", do=do, publish_at=at)
    assert answer.status_code == 303


@pytest.mark.parametrize(("code", "status"), [(MINE, 303), (THEIRS, 403)])
async def test_a_status_is_set_by_hand_and_ended_for_ones_own_services(
    house: House, code: str, status: int
) -> None:
    until = write_local(clock.now() + timedelta(hours=2), house.settings.zone)
    async with transit_officer(house) as anna:
        place = f"/console/services/{code}"
        assert ("override-form" in (await anna.get(place)).text) == (status == 303)
        given = {"status": "partial_outage", "reason": "callers say so", "until": until}
        assert await post(anna, f"{place}/override", **given) == status
        assert count(house, Override) == (status == 303)
        if status == 403:
            house.db.run_now(
                overrides.override,
                code,
                ServiceStatus.PARTIAL_OUTAGE,
                reason="callers say so",
                ends_at=clock.now() + timedelta(hours=2),
                by="jan",
                now=clock.now(),
            )
        (row,) = house.db.read_now(lambda s: s.scalars(select(Override)).all())
        assert await post(anna, f"/console/overrides/{row.id}/end") == status


@pytest.mark.parametrize(("code", "status"), [(MINE, 303), (THEIRS, 403)])
async def test_an_incident_is_put_right_by_those_whose_it_is(house: House, code: str, status: int) -> None:
    notice = declare(house, code)
    place = f"/console/incidents/{notice.id}"
    async with transit_officer(house) as anna:
        assert ("/rename" in (await anna.get(place)).text) == (status == 303)
        assert await post(anna, f"{place}/rename", title_pl="Inny tytuł", title_en="Another title") == status


async def test_an_incident_of_ones_own_is_no_way_to_one_of_others(house: House) -> None:
    """The role is asked for by the address; what the form names has to belong to it."""
    mine, theirs = declare(house, MINE), declare(house, THEIRS)
    permitted = house.db.run_now(
        fallbacks.declare,
        theirs.id,
        NewFallback(THEIRS, FallbackState.PERMITTED),
        by="jan",
        now=clock.now(),
        policy=house.settings.incidents,
    )
    update = house.db.read_now(
        lambda s: s.scalars(select(Update).where(Update.notice_id == theirs.id)).first()
    )
    assert update is not None
    place = f"/console/incidents/{mine.id}"
    async with transit_officer(house) as anna:
        assert await post(anna, f"{place}/reword", update=update.id, text_pl="X", text_en="X") == 404
        assert await post(anna, f"{place}/merge", into=theirs.id) == 403
        assert await post(anna, f"{place}/withdraw", fallback=permitted.id) == 404
    fallback = house.db.read_now(lambda s: s.get_one(Fallback, permitted.id))
    assert fallback.state == "permitted"


async def test_duty_is_for_every_operator_and_not_for_viewers(house: House) -> None:
    async with transit_officer(house) as anna:
        page = (await anna.get("/console")).text
        assert (await anna.send(page, "/console/duty", hours="8")).status_code == 303
    async with officer(house, "vera", Role.VIEWER) as vera:
        assert await post(vera, "/console/duty", hours="8") == 403


def scheduled(house: House, *codes: str) -> Notice:
    begin = clock.now() + timedelta(hours=2)
    new = NewMaintenance(Text("Prace", "Work"), TEXT, codes, begin, begin + timedelta(hours=1))
    policy = house.settings.incidents
    return house.db.run_now(maintenance.schedule, new, by="jan", now=clock.now(), policy=policy)


@pytest.mark.parametrize(("codes", "status"), [([MINE], 303), ([THEIRS], 403), ([MINE, THEIRS], 403)])
async def test_planned_work_is_announced_for_ones_own_services(
    house: House, codes: list[str], status: int
) -> None:
    place, zone = "/console/maintenance/new", house.settings.zone
    begin = clock.now() + timedelta(days=3)
    async with transit_officer(house) as anna:
        preview = await anna.send(
            (await anna.get(place)).text,
            place,
            title_en="Work",
            text_en="Words",
            service=codes,
            begins_at=write_local(begin, zone),
            ends_at=write_local(begin + timedelta(hours=1), zone),
            do="preview",
        )
        assert preview.status_code == 200
        answer = await anna.send(preview.text, place, do="announce")
        assert answer.status_code == status
        if status == 403:
            assert "does not cover these groups of services: excise" in answer.text
            assert fields_of(answer.text, place)["text_en"] == ["Words"]
    assert count(house, Notice) == (status == 303)


@pytest.mark.parametrize(("codes", "status"), [([MINE], 303), ([THEIRS], 403), ([MINE, THEIRS], 403)])
async def test_planned_work_is_changed_by_who_has_the_role_for_all_of_it(
    house: House, codes: list[str], status: int
) -> None:
    work = scheduled(house, *codes)
    is_offered = status == 303
    async with transit_officer(house) as anna:
        listed = (await anna.get("/console/maintenance")).text
        assert (f"/console/maintenance/{work.id}/begin" in listed) == is_offered
        page = (await anna.get(f"/console/maintenance/{work.id}")).text
        assert ("What you can do" in page) == is_offered
        path = f"/console/maintenance/{work.id}/begin"
        assert await post(anna, path, version=str(work.version)) == status
    assert (house.db.read_now(maintenance.get, work.id).status == "in_progress") == is_offered


@pytest.mark.parametrize(("code", "status"), [(MINE, 303), (THEIRS, 403)])
async def test_a_series_is_ended_by_who_has_the_role_for_all_of_it(
    house: House, code: str, status: int
) -> None:
    begins = (clock.now() + timedelta(days=3)).replace(tzinfo=None)
    rule = recurrence.parse(
        "FREQ=WEEKLY", zone="Europe/Warsaw", begins_local=begins, duration=timedelta(hours=1)
    )
    new = NewSeries(Text("Prace", "Work"), TEXT, [code], rule)
    policy = house.settings.incidents
    made = house.db.run_now(series.create, new, by="jan", now=clock.now(), policy=policy)
    path = f"/console/maintenance/series/{made.id}"
    async with transit_officer(house) as anna:
        assert ("End the series" in (await anna.get(path)).text) == (status == 303)
        assert await post(anna, path, announced="leave") == status
    assert (house.db.read_now(series.get, made.id).ended_at is not None) == (status == 303)
