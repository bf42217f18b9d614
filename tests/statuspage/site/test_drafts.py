"""Drafts in the console: shown as they would be seen, timed, dropped; never published but as they were read."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from statuspage.incidents import acts, catalogue
from statuspage.incidents.acts import ActKind, ActState, Content
from statuspage.incidents.rules import ServiceStatus
from statuspage.incidents.snapshot import Text
from statuspage.incidents.tables import Act, Notice
from statuspage.kernel import clock
from statuspage.kernel.house import House
from statuspage.kernel.localtime import write_local
from tests.statuspage.site.officers import CATALOGUE, officer

OPEN = Content(
    ActKind.OPEN,
    name=Text("Tytuł", "Title"),
    text=Text("Treść", "Words"),
    services={"CRPA": ServiceStatus.MAJOR_OUTAGE},
)


@pytest.fixture
def house(house: House) -> House:
    now = clock.now() - timedelta(days=2)
    house.db.run_now(catalogue.apply, catalogue.parse(CATALOGUE, where="c"), now=now)
    return house


def draft(house: House, content: Content = OPEN) -> str:
    return house.db.run_now(acts.write, content, by="jan", now=clock.now()).id


def stored(house: House, id: str) -> Act:
    return house.db.read_now(lambda s: s.get_one(Act, id))


async def test_a_draft_is_listed_shown_and_published(house: House) -> None:
    place = f"/console/drafts/{draft(house)}"
    async with officer(house) as anna:
        assert place in (await anna.get("/console/drafts")).text
        assert place in (await anna.get("/console")).text
        page = (await anna.get(place)).text
        assert "subject pl" in page
        answer = await anna.send(page, place, do="publish")
        assert answer.status_code == 303
        assert (await anna.send(page, place, do="publish")).status_code == 409
    assert house.db.read_now(lambda s: len(s.scalars(select(Notice)).all())) == 1


async def test_what_somebody_changed_after_it_was_read_is_not_published(house: House) -> None:
    id = draft(house)
    async with officer(house) as anna:
        page = (await anna.get(f"/console/drafts/{id}")).text
        house.db.run_now(acts.edit, id, OPEN, by="ola", now=clock.now(), version=1)
        answer = await anna.send(page, f"/console/drafts/{id}", do="publish")
    assert answer.status_code == 409
    assert "ola has edited" in answer.text
    assert stored(house, id).state == ActState.DRAFT


async def test_an_unfinished_draft_says_what_it_lacks_and_is_finished_in_the_composer(house: House) -> None:
    id = draft(house, Content(ActKind.OPEN, text=OPEN.text))
    async with officer(house) as anna:
        assert "As it stands it cannot be published" in (await anna.get(f"/console/drafts/{id}")).text
        missing = {"title_pl": "Tytuł", "title_en": "Title", "status__CRPA": "major_outage", "next": ""}
        answer = await anna.compose(f"act={id}", **missing, do="save")
        assert answer.headers["location"] == f"/en/console/drafts/{id}?done=saved"
    assert stored(house, id).version == 2


async def test_saving_without_a_change_leaves_it_its_authors(house: House) -> None:
    async with officer(house) as anna:
        first = await anna.compose("service=NCTS2", do="save")
        id = first.headers["location"].split("/")[-1].partition("?")[0]
        async with officer(house, "ola") as ola:
            await ola.compose(f"act={id}", do="save")
    act = stored(house, id)
    assert (act.version, act.edited_by) == (1, "anna")


async def test_a_draft_is_timed_and_a_time_past_is_refused(house: House) -> None:
    id = draft(house)
    place = f"/console/drafts/{id}"
    later = write_local(clock.now() + timedelta(hours=2), house.settings.zone)
    async with officer(house) as anna:
        page = (await anna.get(place)).text
        for wrong in ("", "2020-01-01T00:00", "soon"):
            refused = await anna.send(page, place, do="schedule", publish_at=wrong)
            assert refused.status_code == 422
            assert 'href="#publish_at"' in refused.text
        assert (await anna.send(page, place, do="schedule", publish_at=later)).status_code == 303
        assert "is published" in (await anna.get("/console/drafts")).text
    assert stored(house, id).state == ActState.SCHEDULED


async def test_a_draft_is_dropped(house: House) -> None:
    id = draft(house)
    async with officer(house) as anna:
        page = (await anna.get(f"/console/drafts/{id}")).text
        await anna.send(page, f"/console/drafts/{id}", do="drop")
        assert (await anna.get(f"/console/drafts/{id}")).status_code == 409
    assert stored(house, id).state == ActState.DROPPED
