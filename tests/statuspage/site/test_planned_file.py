"""The page of one piece of planned work: its acts, their words, and two officers at once."""

from collections.abc import Sequence
from datetime import timedelta

import pytest
from sqlalchemy import select

from statuspage.incidents import amendments, catalogue, corrections, maintenance
from statuspage.incidents.maintenance import NewMaintenance
from statuspage.incidents.snapshot import Text
from statuspage.incidents.tables import Notice, Update
from statuspage.kernel import clock
from statuspage.kernel.house import House
from statuspage.kernel.localtime import write_local
from tests.statuspage.site.officers import CATALOGUE, Officer, fields_of, officer, parts

PLACE = "/console/maintenance"


@pytest.fixture
def house(house: House) -> House:
    house.db.run_now(catalogue.apply, catalogue.parse(CATALOGUE, where="c"), now=clock.now())
    return house


@pytest.fixture
def work(house: House) -> str:
    begin = clock.now().replace(second=0, microsecond=0) + timedelta(hours=72)
    new = NewMaintenance(
        Text("Prace", "Work"),
        Text("Wymiana", "Replacement"),
        ["NCTS2", "CRPA", "OSOZ2"],
        begin,
        begin + timedelta(hours=2),
    )
    now, policy = clock.now(), house.settings.incidents
    return house.db.run_now(maintenance.schedule, new, by="jan", now=now, policy=policy).id


def read(house: House, work: str) -> Notice:
    return house.db.read_now(maintenance.get, work)


def updates(house: House, work: str) -> list[Update]:
    query = select(Update).where(Update.notice_id == work).order_by(Update.position)
    return house.db.read_now(lambda session: list(session.scalars(query)))


async def page(anna: Officer, work: str) -> str:
    return (await anna.get(f"{PLACE}/{work}")).text


async def test_the_page_says_what_is_announced_and_to_how_many(house: House, work: str) -> None:
    async with officer(house) as anna:
        text = (await page(anna, work)).replace("\u00a0", " ")
    assert "announced 3 days ahead" in text or "announced 71 hours ahead" in text
    assert "12 345 subscribers" in text
    assert "Begin now: tell 12 345 subscribers in Polish and English" in text
    assert "nobody by e-mail" in text
    assert text.index('id="cancel-form"') > text.index('id="rename-form"')  # what cannot be undone, last


@pytest.mark.parametrize(
    ("before", "act", "status"),
    [
        ((), "begin", "in_progress"),
        (("begin",), "verify", "verifying"),
        (("begin",), "complete", "completed"),
        (("begin", "verify"), "complete", "completed"),
        ((), "cancel", "cancelled"),
        (("begin", "verify"), "cancel", "cancelled"),
    ],
)
async def test_each_step_is_said_in_ones_own_words(
    house: House, work: str, before: Sequence[str], act: str, status: str
) -> None:
    async with officer(house) as anna:
        for step in before:
            await anna.send(await page(anna, work), f"{PLACE}/{work}/{step}")
        words = {f"{act}_text_pl": "Własne słowa", f"{act}_text_en": "Own words"}
        answer = await anna.send(await page(anna, work), f"{PLACE}/{work}/{act}", **words, do="act")
    assert answer.status_code == 303
    assert read(house, work).status == status
    assert (updates(house, work)[-1].text_pl, updates(house, work)[-1].text_en) == (
        "Własne słowa",
        "Own words",
    )


async def test_without_words_the_usual_sentence_is_said(house: House, work: str) -> None:
    async with officer(house) as anna:
        empty = {"begin_text_pl": "", "begin_text_en": ""}
        await anna.send(await page(anna, work), f"{PLACE}/{work}/begin", **empty, do="act")
    assert updates(house, work)[-1].text_en == "The planned work has begun."


async def test_one_language_alone_is_said_on_the_button_of_a_preview(house: House, work: str) -> None:
    async with officer(house) as anna:
        action = f"{PLACE}/{work}/cancel"
        answer = await anna.send(await page(anna, work), action, cancel_text_en="", do="preview")
    assert answer.status_code == 200
    assert "Preview: nothing is published yet" in answer.text
    assert "subscribers in Polish only" in answer.text
    assert read(house, work).status == "scheduled"


def times(house: House, work: str, *, hours: float, length: float = 2) -> dict[str, str]:
    begin = read(house, work).window.begins_at + timedelta(hours=hours)
    zone = house.settings.zone
    return {
        "begins_at": write_local(begin, zone),
        "ends_at": write_local(begin + timedelta(hours=length), zone),
    }


async def test_work_is_moved_to_any_times(house: House, work: str) -> None:
    was = read(house, work).window
    action = f"{PLACE}/{work}/times"
    async with officer(house) as anna:
        answer = await anna.send(
            await page(anna, work), action, **times(house, work, hours=24, length=5), do="act"
        )
        assert answer.status_code == 303
        assert "We move the planned work" in await page(anna, work)
    window = read(house, work).window
    assert window.begins_at - was.begins_at == timedelta(hours=24)
    assert window.ends_at - window.begins_at == timedelta(hours=5)


async def test_times_that_come_too_late_are_confirmed_first(house: House, work: str) -> None:
    was, action = read(house, work).window, f"{PLACE}/{work}/times"
    async with officer(house) as anna:
        sooner = times(house, work, hours=-30)
        answer = await anna.send(await page(anna, work), action, **sooner, do="act")
        assert answer.status_code == 409
        assert "lowers the availability figure" in answer.text
        assert "announced less than 48 hours ahead" in answer.text  # the preview of the page
        assert read(house, work).window == was
        other = await anna.send(answer.text, action, **times(house, work, hours=-40), do="act")
        assert other.status_code == 409  # other times than those that were confirmed
        assert (await anna.send(answer.text, action, do="act")).status_code == 303
    assert read(house, work).window.begins_at == was.begins_at - timedelta(hours=30)


@pytest.mark.parametrize(
    ("typed", "field"),
    [
        ({"ends_at": ""}, "ends_at"),
        ({"begins_at": "2020-01-01T00:00"}, "begins_at"),
        ({"ends_at": "2020-01-01T00:00"}, "ends_at"),
        ({}, "ends_at"),  # the times that it has
    ],
)
async def test_times_that_cannot_be_are_said_at_their_field(
    house: House, work: str, typed: dict[str, str], field: str
) -> None:
    async with officer(house) as anna:
        words = {"times_text_en": "Own words"}
        answer = await anna.send(await page(anna, work), f"{PLACE}/{work}/times", **typed, **words, do="act")
    assert answer.status_code == 422
    assert f'href="#{field}"' in answer.text
    assert "Own words" in answer.text
    assert len(updates(house, work)) == 1


async def test_work_under_way_gets_another_end_or_an_hour_more(house: House, work: str) -> None:
    was = read(house, work).window
    async with officer(house) as anna:
        await anna.send(await page(anna, work), f"{PLACE}/{work}/begin", do="act")
        text = await page(anna, work)
        assert 'id="begins_at"' not in text
        assert (await anna.send(text, f"{PLACE}/{work}/longer")).status_code == 303
        assert read(house, work).window.ends_at == was.ends_at + timedelta(hours=1)
        end = write_local(was.ends_at + timedelta(hours=5), house.settings.zone)
        answer = await anna.send(await page(anna, work), f"{PLACE}/{work}/times", ends_at=end, do="act")
        assert answer.status_code == 303  # more than 48 hours ahead: nothing to confirm
    assert read(house, work).window.ends_at == was.ends_at + timedelta(hours=5)


async def test_some_services_are_taken_out(house: House, work: str) -> None:
    action = f"{PLACE}/{work}/part"
    async with officer(house) as anna:
        none = await anna.send(await page(anna, work), action, do="act")
        assert none.status_code == 422
        assert 'href="#part"' in none.text
        answer = await anna.send(none.text, action, part=["CRPA", "OSOZ2"], do="act")
        assert answer.status_code == 303
        text = await page(anna, work)
    assert text.count("(taken out ") == 2
    assert 'id="part-form"' not in text  # one is left: that is a cancellation
    assert "The work no longer concerns OSOZ2 and CRPA." in updates(house, work)[-1].text_en


async def test_all_services_taken_out_is_a_cancellation(house: House, work: str) -> None:
    async with officer(house) as anna:
        everything = ["NCTS2", "CRPA", "OSOZ2"]
        await anna.send(await page(anna, work), f"{PLACE}/{work}/part", part=everything, do="act")
    assert read(house, work).status == "cancelled"


async def test_another_title_is_saved_and_nobody_is_alerted(house: House, work: str) -> None:
    async with officer(house) as anna:
        action = f"{PLACE}/{work}/rename"
        answer = await anna.send(await page(anna, work), action, title_en="Better", title_pl="Lepsze")
        assert answer.status_code == 303
        assert "<h1>Better</h1>" in await page(anna, work)
        empty = await anna.send(await page(anna, work), action, title_en="", title_pl="")
        assert empty.status_code == 422
        assert 'href="#title_pl"' in empty.text
    assert len(updates(house, work)) == 1


async def test_two_officers_at_once_lose_nothing(house: House, work: str) -> None:
    policy, zone = house.settings.incidents, house.settings.zone
    async with officer(house) as anna:
        opened = await page(anna, work)
        moved = read(house, work).window.ends_at + timedelta(hours=3)
        house.db.run_now(
            amendments.reschedule, work, by="jan", now=clock.now(), policy=policy, zone=zone, ends_at=moved
        )
        house.db.run_now(corrections.rename, work, Text("Nowy", "New"), by="eva", now=clock.now())
        action = f"{PLACE}/{work}/cancel"
        answer = await anna.send(opened, action, cancel_text_en="Words of Anna", do="act")
        assert answer.status_code == 409
        assert "Somebody has changed this work while you were writing" in answer.text
        assert "<strong>jan</strong>" in answer.text
        assert "We extend the planned work" in answer.text
        assert "<strong>eva</strong>" in answer.text
        assert "Words of Anna" in fields_of(answer.text, action)["cancel_text_en"]
        assert read(house, work).status == "scheduled"
        assert (await anna.send(answer.text, action, do="act")).status_code == 303
    assert read(house, work).status == "cancelled"
    assert updates(house, work)[-1].text_en == "Words of Anna"


async def test_what_cannot_be_done_any_more_keeps_the_words(house: House, work: str) -> None:
    async with officer(house) as anna:
        opened = await page(anna, work)
        house.db.run_now(maintenance.cancel, work, by="jan", now=clock.now(), policy=house.settings.incidents)
        answer = await anna.send(opened, f"{PLACE}/{work}/begin", begin_text_en="Words of Anna", do="act")
    assert answer.status_code == 409
    assert "It cannot be done any more:" in answer.text
    assert "Words of Anna" in answer.text
    assert "The planned work is cancelled." in answer.text


async def test_a_form_without_a_version_does_nothing(house: House, work: str) -> None:
    async with officer(house) as anna:
        answer = await anna.send(await page(anna, work), f"{PLACE}/{work}/cancel", version="", do="act")
    assert answer.status_code == 409
    assert read(house, work).status == "scheduled"


async def test_many_more_subscribers_than_the_button_said_are_asked_about(house: House, work: str) -> None:
    async with officer(house, given=parts(5)) as anna:
        opened = await page(anna, work)
    async with officer(house, given=parts(500)) as anna:
        csrf = fields_of(await page(anna, work), f"{PLACE}/{work}/begin")["csrf"]
        answer = await anna.send(opened, f"{PLACE}/{work}/begin", csrf=csrf, do="act")
        assert answer.status_code == 409
        assert "500 subscribers now" in answer.text
        assert read(house, work).status == "scheduled"


async def test_what_is_no_act_and_no_work_is_not_found(house: House, work: str) -> None:
    async with officer(house) as anna:
        csrf = fields_of(await page(anna, work), f"{PLACE}/{work}/begin")["csrf"]
        for path in (f"{work}/explode", "nothing/begin"):
            answer = await anna.client.post(f"/en{PLACE}/{path}", data={"csrf": csrf})
            assert answer.status_code == 404
        assert (await anna.get(f"{PLACE}/nothing")).status_code == 404
