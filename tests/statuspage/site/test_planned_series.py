"""The page of a series: what lies ahead, and its end."""

from datetime import timedelta

import pytest

from statuspage.incidents import catalogue, maintenance, recurrence, series
from statuspage.incidents.series import NewSeries
from statuspage.incidents.snapshot import Text
from statuspage.kernel import clock
from statuspage.kernel.accounts import Role
from statuspage.kernel.house import House
from tests.statuspage.site.officers import CATALOGUE, officer

PLACE = "/console/maintenance/series"


@pytest.fixture
def house(house: House) -> House:
    house.db.run_now(catalogue.apply, catalogue.parse(CATALOGUE, where="c"), now=clock.now())
    return house


@pytest.fixture
def made(house: House) -> str:
    begins = (clock.now() + timedelta(days=3)).replace(tzinfo=None, hour=22, minute=0)
    rule = recurrence.parse(
        "FREQ=WEEKLY", zone="Europe/Warsaw", begins_local=begins, duration=timedelta(hours=3)
    )
    new = NewSeries(Text("Co tydzień", "Weekly"), Text("Wymiana", "Replacement"), ["NCTS2", "CRPA"], rule)
    now, policy = clock.now(), house.settings.incidents
    return house.db.run_now(series.create, new, by="jan", now=now, policy=policy).id


def statuses(house: House, made: str) -> list[str]:
    return [notice.status for notice in house.db.read_now(series.announced, made)]


async def test_the_page_shows_what_is_announced_and_what_the_rule_makes(house: House, made: str) -> None:
    async with officer(house) as anna:
        text = (await anna.get(f"{PLACE}/{made}")).text
    assert "every week" in text
    assert text.count('role="rowheader"><time') >= 8
    for notice in house.db.read_now(series.announced, made):
        assert f"/en/console/maintenance/{notice.id}" in text
    assert "One e-mail tells 12\u00a0345 subscribers of all of it." in text


async def test_its_end_calls_off_what_is_announced_in_ones_own_words(house: House, made: str) -> None:
    count = len(statuses(house, made))
    assert count == 5
    async with officer(house) as anna:
        page = (await anna.get(f"{PLACE}/{made}")).text
        answer = await anna.send(page, f"{PLACE}/{made}", text_pl="Koniec serii", text_en="No more of it")
        assert answer.status_code == 303
        text = (await anna.get(f"{PLACE}/{made}")).text
    assert "ended by anna" in text
    assert "End the series" not in text
    assert statuses(house, made) == ["cancelled"] * count
    (first, *_) = house.db.read_now(series.announced, made)
    async with officer(house) as anna:
        assert "No more of it" in (await anna.get(f"/console/maintenance/{first.id}")).text


async def test_its_end_may_leave_what_is_announced(house: House, made: str) -> None:
    async with officer(house) as anna:
        page = (await anna.get(f"{PLACE}/{made}")).text
        assert (await anna.send(page, f"{PLACE}/{made}", announced="leave")).status_code == 303
    assert statuses(house, made) == ["scheduled"] * 5
    assert house.db.read_now(series.get, made).ended_by == "anna"


async def test_whoever_comes_second_is_told_who_ended_it(house: House, made: str) -> None:
    async with officer(house) as anna:
        page = (await anna.get(f"{PLACE}/{made}")).text
        now, policy = clock.now(), house.settings.incidents
        house.db.run_now(series.end, made, by="jan", now=now, policy=policy, leave_announced=True)
        answer = await anna.send(page, f"{PLACE}/{made}", text_en="Words of Anna")
    assert answer.status_code == 409
    assert "jan has ended this series already" in answer.text
    assert "Words of Anna" in answer.text
    assert statuses(house, made) == ["scheduled"] * 5


async def test_what_a_colleague_changed_meanwhile_is_looked_at_first(house: House, made: str) -> None:
    (first, *_) = house.db.read_now(series.announced, made)
    async with officer(house) as anna:
        page = (await anna.get(f"{PLACE}/{made}")).text
        house.db.run_now(maintenance.begin, first.id, by="jan", now=clock.now())
        answer = await anna.send(page, f"{PLACE}/{made}", text_en="Words of Anna")
        assert answer.status_code == 409
        assert "has changed since you opened this page" in answer.text
        assert house.db.read_now(series.get, made).ended_at is None
        assert (await anna.send(answer.text, f"{PLACE}/{made}")).status_code == 303
    assert statuses(house, made) == ["in_progress", *["cancelled"] * 4]


async def test_a_choice_that_is_none_is_refused_at_its_field(house: House, made: str) -> None:
    async with officer(house) as anna:
        page = (await anna.get(f"{PLACE}/{made}")).text
        answer = await anna.send(page, f"{PLACE}/{made}", announced="burn")
    assert answer.status_code == 422
    assert 'href="#announced"' in answer.text
    assert '<fieldset class="field" id="announced"' in answer.text


async def test_a_viewer_reads_it_and_cannot_end_it(house: House, made: str) -> None:
    async with officer(house, "eve", Role.VIEWER) as eve:
        text = (await eve.get(f"{PLACE}/{made}")).text
        assert "Weekly" in text
        csrf = text.partition('name="csrf" value="')[2].partition('"')[0]
        data = {"csrf": csrf, "announced": "leave"}
        assert (await eve.client.post(f"/en{PLACE}/{made}", data=data)).status_code == 403
    assert house.db.read_now(series.get, made).ended_at is None


async def test_there_is_no_page_for_what_is_no_series(house: House) -> None:
    async with officer(house) as anna:
        assert (await anna.get(f"{PLACE}/nothing")).status_code == 404
