"""Planned work is announced in the console: previewed first, and nothing typed is lost."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from statuspage.incidents import catalogue, maintenance, series
from statuspage.incidents.tables import Notice
from statuspage.kernel import clock
from statuspage.kernel.house import House
from statuspage.kernel.localtime import write_local
from tests.statuspage.site.officers import CATALOGUE, Officer, fields_of, officer, parts

PLACE = "/console/maintenance/new"
ZONE = ZoneInfo("Europe/Warsaw")


@pytest.fixture
def house(house: House) -> House:
    house.db.run_now(catalogue.apply, catalogue.parse(CATALOGUE, where="c"), now=clock.now())
    return house


def plan(*, hours: float = 72, length: float = 2) -> dict[str, str]:
    begin = clock.now() + timedelta(hours=hours)
    return {
        "title_pl": "Prace",
        "title_en": "Work",
        "text_pl": "Wymiana",
        "text_en": "Replacement",
        "begins_at": write_local(begin, ZONE),
        "ends_at": write_local(begin + timedelta(hours=length), ZONE),
        "service": "NCTS2",
    }


def monthly() -> dict[str, str]:
    """The last Sunday of the month, in the night: the clocks change then twice a year."""
    day = f"{clock.now().astimezone(ZONE) + timedelta(days=3):%Y-%m-%d}"
    return {
        **plan(),
        "begins_at": f"{day}T02:30",
        "ends_at": f"{day}T05:30",
        "repeat": "month_weekday",
        "ordinal": "-1",
        "ordinal_day": "SU",
    }


def notices(house: House) -> list[Notice]:
    return list(house.db.read_now(maintenance.listed))


async def preview(anna: Officer, **typed: str | list[str]) -> str:
    form = (await anna.get(PLACE)).text
    answer = await anna.send(form, PLACE, **typed, do="preview")
    assert answer.status_code == 200, answer.text
    return answer.text


async def test_work_is_previewed_and_then_announced(house: House) -> None:
    async with officer(house) as anna:
        text = await preview(anna, **plan())
        assert notices(house) == []
        assert "Preview: nothing is published yet" in text
        assert "subject pl" in text
        said = text.replace("\u00a0", " ")
        assert "Announce: tell 12 345 subscribers in Polish and English" in said
        answer = await anna.send(text, PLACE, do="announce")
    (notice,) = notices(house)
    assert answer.headers["location"] == f"/en/console/maintenance/{notice.id}?done=announced"
    assert (notice.name_pl, notice.by_hand, notice.series_id) == ("Prace", False, None)


async def test_one_language_is_said_on_the_button(house: House) -> None:
    async with officer(house) as anna:
        text = await preview(anna, **{**plan(), "text_en": "", "title_en": ""})
    assert "subscribers in Polish only" in text


async def test_nothing_is_announced_that_was_not_previewed(house: House) -> None:
    async with officer(house) as anna:
        form = (await anna.get(PLACE)).text
        answer = await anna.send(form, PLACE, **plan(), do="announce")
        assert answer.status_code == 409
        assert "Nothing is announced yet" in answer.text
        changed = await anna.send(answer.text, PLACE, text_en="Other words", do="announce")
        assert changed.status_code == 409
        assert "Other words" in changed.text
        assert notices(house) == []
        assert (await anna.send(changed.text, PLACE, do="announce")).status_code == 303


async def test_less_than_48_hours_ahead_is_said_before_it_is_announced(house: House) -> None:
    async with officer(house) as anna:
        text = await preview(anna, **plan(hours=47))
        assert "lowers the availability figure" in text
        assert "at least 48 hours ahead" in text
        assert "Announce all the same" in text
        assert "lowers the availability figure" not in await preview(anna, **plan(hours=49))
        assert (await anna.send(text, PLACE, do="announce")).status_code == 303
    assert len(notices(house)) == 1


async def test_many_more_subscribers_than_the_button_said_are_asked_about(house: House) -> None:
    async with officer(house, given=parts(5)) as anna:
        text = await preview(anna, **plan())
    async with officer(house, given=parts(500)) as anna:
        form = await preview(anna, **plan())
        csrf, mark = (fields_of(form, PLACE)[name][0] for name in ("csrf", "checked"))
        answer = await anna.send(text, PLACE, csrf=csrf, checked=mark, do="announce")
        assert answer.status_code == 409
        assert "500 subscribers now" in answer.text
        assert notices(house) == []
        assert (await anna.send(answer.text, PLACE, do="announce")).status_code == 303


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"begins_at": ""}, "begins_at"),
        ({"begins_at": "2020-01-01T00:00"}, "begins_at"),
        ({"begins_at": "2020-01-01T00:00", "repeat": "daily", "ends_at": "2020-01-01T01:00"}, "begins_at"),
        ({"ends_at": "2020-01-01T00:00"}, "ends_at"),
        ({"service": ""}, "services"),
        ({"service": "NOPE"}, "services"),
        ({"text_pl": "", "text_en": ""}, "text_pl"),
        ({"repeat": "rule", "rule": "FREQ=HOURLY"}, "rule"),
        ({"repeat": "daily", "zone": "Europe/Atlantis"}, "zone"),
        ({"repeat": "daily", "ending": "count", "count": "0"}, "count"),
    ],
)
async def test_what_is_wrong_is_named_and_the_rest_stays(
    house: House, wrong: dict[str, str], field: str
) -> None:
    async with officer(house) as anna:
        form = (await anna.get(PLACE)).text
        typed = {**plan(), **wrong}
        answer = await anna.send(form, PLACE, **typed, do="preview")
    assert answer.status_code == 422
    assert f'href="#{field}"' in answer.text
    assert f'id="{field}"' in answer.text
    kept = fields_of(answer.text, PLACE)
    assert {name: kept[name] for name in typed if name != "service"} == {
        name: [value] for name, value in typed.items() if name != "service"
    }


async def test_what_a_rule_is_refused_for_is_said_in_polish(house: House) -> None:
    async with officer(house) as anna:
        anna.language = "pl"
        form = (await anna.get(PLACE)).text
        typed = {**plan(), "repeat": "rule", "rule": "FREQ=DAILY;BYHOUR=1,2,3;BYMINUTE=0,30"}
        answer = await anna.send(form, PLACE, **typed, do="preview")
    assert answer.status_code == 422
    assert "daje 6 terminów dziennie; dozwolone są najwyżej 4" in answer.text


async def test_recurring_work_shows_its_times_before_it_is_announced(house: House) -> None:
    async with officer(house) as anna:
        text = await preview(anna, **monthly())
        assert "Every month: last Sunday." in text
        assert text.count('<th scope="row" role="rowheader"><time') >= 8
        assert "that hour is skipped when the clocks go forward" in text
        assert "that hour comes twice when the clocks go back" in text
        assert "03:00 (UTC+2)" in text
        assert notices(house) == []
        assert house.db.read_now(series.listed) == []
        answer = await anna.send(text, PLACE, do="announce")
    (made,) = house.db.read_now(series.listed)
    assert answer.headers["location"] == f"/en/console/maintenance/series/{made.id}?done=announced"
    assert made.rule == "FREQ=MONTHLY;BYDAY=-1SU"
    assert made.zone == "Europe/Warsaw"
    assert made.begins_local.endswith("T02:30")
    assert made.duration_s == 3 * 3600


async def test_a_series_that_begins_far_ahead_is_previewed_and_tells_nobody_yet(house: House) -> None:
    async with officer(house) as anna:
        text = await preview(anna, **{**plan(hours=24 * 60), "repeat": "daily"})
        assert "Nothing is announced now" in text
        assert "Begin the series: it is told later" in text
        assert "subject pl" in text  # what will be sent then
        assert (await anna.send(text, PLACE, do="announce")).status_code == 303
    assert notices(house) == []
    assert len(house.db.read_now(series.listed)) == 1


async def test_a_form_opens_with_the_services_that_its_address_names(house: House) -> None:
    async with officer(house) as anna:
        form = (await anna.get(f"{PLACE}?service=CRPA")).text
    assert fields_of(form, PLACE)["service"] == ["CRPA"]


async def test_by_hand_is_kept(house: House) -> None:
    async with officer(house) as anna:
        text = await preview(anna, **plan(), by_hand="yes")
        await anna.send(text, PLACE, do="announce")
    (notice,) = notices(house)
    assert notice.by_hand


def test_the_times_of_these_tests_are_in_the_future() -> None:
    assert datetime.fromisoformat(monthly()["begins_at"]).replace(tzinfo=ZONE) > clock.now()
