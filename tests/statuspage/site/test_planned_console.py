"""Planned work in the console."""

from datetime import timedelta

import pytest

from statuspage.incidents import catalogue, maintenance
from statuspage.kernel import clock
from statuspage.kernel.house import House
from statuspage.kernel.localtime import write_local
from tests.statuspage.site.officers import CATALOGUE, Officer, officer

PLACE = "/console/maintenance"


@pytest.fixture
def house(house: House) -> House:
    house.db.run_now(catalogue.apply, catalogue.parse(CATALOGUE, where="c"), now=clock.now())
    return house


def plan(house: House, *, hours: float, length: float = 2) -> dict[str, str]:
    begin = clock.now() + timedelta(hours=hours)
    zone = house.settings.zone
    return {
        "title_pl": "Prace",
        "title_en": "Work",
        "text_pl": "Wymiana",
        "text_en": "Replacement",
        "begins_at": write_local(begin, zone),
        "ends_at": write_local(begin + timedelta(hours=length), zone),
        "service": "NCTS2",
    }


async def page(anna: Officer) -> str:
    return (await anna.get(PLACE)).text


async def test_work_is_announced_begun_and_completed(house: House) -> None:
    async with officer(house) as anna:
        assert (await anna.send(await page(anna), PLACE, **plan(house, hours=72))).status_code == 303
        (notice,) = house.db.read_now(maintenance.listed)
        for act in ("begin", "complete"):
            action = f"{PLACE}/{notice.id}/{act}"
            assert (await anna.send(await page(anna), action)).status_code == 303
    assert house.db.read_now(maintenance.get, notice.id).status == "completed"


async def test_less_than_48_hours_ahead_is_said_before_it_is_announced(house: House) -> None:
    async with officer(house) as anna:
        answer = await anna.send(await page(anna), PLACE, **plan(house, hours=47))
        assert answer.status_code == 422
        assert "lowers the availability figure" in answer.text
        assert house.db.read_now(maintenance.listed) == []
        assert (await anna.send(answer.text, PLACE)).status_code == 303
        assert "announced too late: no announced unavailability" in await page(anna)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"begins_at": ""}, "begins_at"),
        ({"begins_at": "2020-01-01T00:00"}, "begins_at"),
        ({"ends_at": "2020-01-01T00:00"}, "ends_at"),
        ({"service": ""}, "services"),
        ({"text_pl": "", "text_en": ""}, "text_pl"),
    ],
)
async def test_what_is_wrong_is_named_and_the_rest_stays(
    house: House, wrong: dict[str, str], field: str
) -> None:
    async with officer(house) as anna:
        answer = await anna.send(await page(anna), PLACE, **{**plan(house, hours=72), **wrong})
    assert answer.status_code == 422
    assert f'href="#{field}"' in answer.text
    assert 'value="Work"' in answer.text


async def test_work_is_cancelled(house: House) -> None:
    async with officer(house) as anna:
        await anna.send(await page(anna), PLACE, **plan(house, hours=72))
        (notice,) = house.db.read_now(maintenance.listed)
        await anna.send(await page(anna), f"{PLACE}/{notice.id}/cancel")
    assert house.db.read_now(maintenance.get, notice.id).status == "cancelled"
