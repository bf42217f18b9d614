"""An incident's page in the console: times, words, titles, paper and mergers, put right and kept."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from statuspage.incidents import catalogue, fallbacks, incidents
from statuspage.incidents.fallbacks import NewFallback
from statuspage.incidents.incidents import NewIncident
from statuspage.incidents.rules import FallbackState, ServiceStatus
from statuspage.incidents.snapshot import Text
from statuspage.incidents.tables import Notice, Revision, Update
from statuspage.kernel import clock
from statuspage.kernel.house import House
from statuspage.kernel.localtime import write_local
from tests.statuspage.site.officers import CATALOGUE, officer

TEXT = Text("Treść", "Words")


@pytest.fixture
def house(house: House) -> House:
    now = clock.now() - timedelta(days=2)
    house.db.run_now(catalogue.apply, catalogue.parse(CATALOGUE, where="c"), now=now)
    return house


def declare(house: House, code: str = "NCTS2") -> Notice:
    new = NewIncident(Text(f"{code} nie działa", f"{code} is down"), TEXT, {code: ServiceStatus.MAJOR_OUTAGE})
    return house.db.run_now(incidents.open_incident, new, by="jan", now=clock.now() - timedelta(hours=1))


def again(house: House, notice: Notice) -> Notice:
    return house.db.read_now(incidents.get, notice.id)


async def test_a_start_is_corrected_and_the_old_one_kept_and_said(house: House) -> None:
    notice = declare(house)
    place = f"/console/incidents/{notice.id}"
    earlier = write_local(notice.began_at - timedelta(minutes=20), house.settings.zone)
    async with officer(house) as anna:
        page = (await anna.get(place)).text
        refused = await anna.send(page, f"{place}/times")
        assert refused.status_code == 422
        assert 'href="#began_at"' in refused.text
        answer = await anna.send(page, f"{place}/times", began_at=earlier)
        assert answer.status_code == 303
    assert notice.began_at - again(house, notice).began_at >= timedelta(minutes=20)
    kept = house.db.read_now(lambda s: s.scalars(select(Revision)).one())
    assert (kept.author, kept.before) == ("anna", {"began_at": notice.began_at.isoformat()})


async def test_paper_is_withdrawn_with_one_press_and_told(house: House) -> None:
    notice = declare(house)
    new = NewFallback("NCTS2", FallbackState.PERMITTED)
    permitted = house.db.run_now(
        fallbacks.declare, notice.id, new, by="jan", now=clock.now(), policy=house.settings.incidents
    )
    place = f"/console/incidents/{notice.id}"
    async with officer(house) as anna:
        page = (await anna.get(place)).text
        assert permitted.reference in page
        assert (await anna.send(page, f"{place}/withdraw")).status_code == 303
        again_sent = await anna.send(page, f"{place}/withdraw")
        assert again_sent.status_code == 409
    (fallback,) = house.db.read_now(fallbacks.listed, notice.id)
    assert (fallback.state, fallback.withdrawn_by) == ("withdrawn", "anna")


async def test_words_and_titles_are_put_right_and_an_empty_one_is_refused(house: House) -> None:
    notice = declare(house)
    (update,) = house.db.read_now(lambda s: list(s.scalars(select(Update))))
    place = f"/console/incidents/{notice.id}"
    async with officer(house) as anna:
        page = (await anna.get(place)).text
        words = {"update": update.id, "text_pl": "Inne", "text_en": "Other"}
        assert (await anna.send(page, f"{place}/reword", **words)).status_code == 303
        empty = await anna.send(page, f"{place}/rename", title_pl="", title_en="")
        assert empty.status_code == 422
        assert 'href="#title_pl"' in empty.text
    assert house.db.read_now(lambda s: s.get_one(Update, update.id)).text_en == "Other"


async def test_one_incident_becomes_part_of_another(house: House) -> None:
    one, other = declare(house), declare(house, "CRPA")
    place = f"/console/incidents/{one.id}"
    async with officer(house) as anna:
        page = (await anna.get(place)).text
        assert (await anna.send(page, f"{place}/merge", into="")).status_code == 422
        answer = await anna.send(page, f"{place}/merge", into=other.id)
        assert answer.headers["location"] == f"/en/console/incidents/{other.id}?done=merge"
        assert (await anna.get(place)).status_code == 200
    assert again(house, one).merged_into_id == other.id


async def test_it_is_said_that_it_is_over_and_then_the_report_is_written(house: House) -> None:
    notice = declare(house)
    async with officer(house) as anna:
        done = await anna.compose(f"incident={notice.id}&kind=resolve", do="publish")
        assert done.status_code == 303, done.text
        assert again(house, notice).resolved_at is not None
        words = {"text_pl": "Przyczyną było…", "text_en": "The cause was…"}
        report = await anna.compose(f"incident={notice.id}&kind=update", **words, do="publish")
        assert report.status_code == 303, report.text
    assert again(house, notice).status == "postmortem"


async def test_what_does_not_exist_is_not_found(house: House) -> None:
    async with officer(house) as anna:
        assert (await anna.get("/console/incidents/nosuchincide")).status_code == 404
        place = f"/console/incidents/{declare(house).id}"
        page = (await anna.get(place)).text
        csrf = page.split('name="csrf" value="')[1].split('"')[0]
        assert (await anna.client.post(f"/en{place}/explode", data={"csrf": csrf})).status_code == 404
