"""The list of planned work in the console."""

from datetime import datetime, timedelta

import pytest

from statuspage.incidents import catalogue, maintenance, recurrence, series
from statuspage.incidents.maintenance import NewMaintenance
from statuspage.incidents.series import NewSeries
from statuspage.incidents.snapshot import Text
from statuspage.incidents.tables import Notice
from statuspage.kernel import clock
from statuspage.kernel.accounts import Role
from statuspage.kernel.house import House
from tests.statuspage.site.officers import CATALOGUE, Officer, officer

PLACE = "/console/maintenance"
SAID = Text("Wymiana", "Replacement")


@pytest.fixture
def house(house: House) -> House:
    house.db.run_now(catalogue.apply, catalogue.parse(CATALOGUE, where="c"), now=clock.now())
    return house


def scheduled(house: House, *, hours: float, name: str = "Work") -> Notice:
    begin = clock.now() + timedelta(hours=hours)
    new = NewMaintenance(Text("Prace", name), SAID, ["NCTS2"], begin, begin + timedelta(hours=2))
    now, policy = clock.now(), house.settings.incidents
    return house.db.run_now(maintenance.schedule, new, by="jan", now=now, policy=policy)


async def page(anna: Officer) -> str:
    return (await anna.get(PLACE)).text


async def test_work_that_is_near_is_begun_and_completed_from_the_list(house: House) -> None:
    notice = scheduled(house, hours=1)
    async with officer(house) as anna:
        for act in ("begin", "complete"):
            assert (await anna.send(await page(anna), f"{PLACE}/{notice.id}/{act}")).status_code == 303
    assert house.db.read_now(maintenance.get, notice.id).status == "completed"


async def test_what_lies_further_ahead_cannot_be_begun_by_a_slip(house: House) -> None:
    scheduled(house, hours=25)
    async with officer(house) as anna:
        assert "/begin" not in await page(anna)


async def test_what_is_ahead_stands_before_what_is_over_and_the_soonest_first(house: House) -> None:
    for hours, name in ((100, "Third"), (60, "Second"), (50, "First"), (80, "Gone")):
        notice = scheduled(house, hours=hours, name=name)
    now, policy = clock.now(), house.settings.incidents
    house.db.run_now(maintenance.cancel, notice.id, by="jan", now=now, policy=policy)
    async with officer(house) as anna:
        text = await page(anna)
    places = [text.index(f">{name}</a>") for name in ("First", "Second", "Third", "Gone")]
    assert places == sorted(places)


async def test_announced_too_late_is_said(house: House) -> None:
    scheduled(house, hours=47)
    async with officer(house) as anna:
        assert "announced too late: no announced unavailability" in await page(anna)


async def test_a_series_is_listed_with_its_rule_in_words_while_it_runs(house: House) -> None:
    begins = (clock.now() + timedelta(days=3)).replace(tzinfo=None, hour=22, minute=0)
    rule = recurrence.parse(
        "FREQ=WEEKLY;BYDAY=SA", zone="Europe/Warsaw", begins_local=begins, duration=timedelta(hours=3)
    )
    new = NewSeries(Text("Co tydzień", "Weekly work"), SAID, ["NCTS2"], rule)
    now, policy = clock.now(), house.settings.incidents
    made = house.db.run_now(series.create, new, by="jan", now=now, policy=policy)
    first: datetime = next(recurrence.occurrences(rule)).begins_at
    async with officer(house) as anna:
        text = await page(anna)
        assert f"/console/maintenance/series/{made.id}" in text
        assert "every week: Saturday" in text
        assert f'<td role="cell" data-label="Next time"><time datetime="{first:%Y-%m-%dT%H:%M:%SZ}">' in text
        house.db.run_now(series.end, made.id, by="jan", now=now, policy=policy)
        assert "No work recurs." in await page(anna)


async def test_a_viewer_reads_it_and_can_do_nothing(house: House) -> None:
    notice = scheduled(house, hours=1)
    async with officer(house, "eve", Role.VIEWER) as eve:
        text = await page(eve)
        assert "Work" in text
        assert "/begin" not in text
        assert f"{PLACE}/new" not in text
        assert (await eve.get(f"{PLACE}/new")).status_code == 403
        text = (await eve.get(f"{PLACE}/{notice.id}")).text
        assert "What you can do" not in text
        csrf = text.partition('name="csrf" value="')[2].partition('"')[0]
        data = {"csrf": csrf, "version": str(notice.version)}
        assert (await eve.client.post(f"/en{PLACE}/{notice.id}/begin", data=data)).status_code == 403
    assert house.db.read_now(maintenance.get, notice.id).status == "scheduled"
