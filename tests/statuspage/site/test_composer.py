"""The composer: from an alarm to a published update, and everything that may stand in between."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from statuspage.incidents import acts, catalogue, fallbacks, incidents, services
from statuspage.incidents.acts import ActState
from statuspage.incidents.details import Details, NewHandling
from statuspage.incidents.fallbacks import NewFallback
from statuspage.incidents.rules import FallbackState, MessageHandling, ServiceStatus
from statuspage.incidents.snapshot import Text
from statuspage.incidents.tables import Act, Handling, Notice, NoticeService, Template, Update
from statuspage.kernel import clock, config
from statuspage.kernel.accounts import Role
from statuspage.kernel.house import House
from tests.statuspage.site.officers import CATALOGUE, fields_of, officer


@pytest.fixture
def house(house: House) -> House:
    now = clock.now() - timedelta(minutes=10)
    house.db.run_now(catalogue.apply, catalogue.parse(CATALOGUE, where="c"), now=now)
    return house


def fail(house: House, code: str = "NCTS2") -> None:
    now = clock.now()
    service = house.db.read_now(services.by_code, code)
    finding = services.Finding(
        service.id, ServiceStatus.MAJOR_OUTAGE, "HTTP 503", now - timedelta(seconds=90)
    )
    house.db.run_now(services.report, finding, now=now, policy=house.settings.incidents)


def notices(house: House) -> list[Notice]:
    return house.db.read_now(lambda s: list(s.scalars(select(Notice).order_by(Notice.created_at))))


def updates(house: House) -> list[Update]:
    return house.db.read_now(lambda s: list(s.scalars(select(Update).order_by(Update.position))))


async def test_a_draft_of_the_monitors_is_told_in_three_actions(house: House) -> None:
    fail(house, "OSOZ2")
    async with officer(house) as anna:
        board = (await anna.get("/console")).text
        (draft,) = notices(house)
        link = f"/console/compose?incident={draft.id}"
        assert link in board  # one: this link
        form = (await anna.get(link)).text  # it opens filled in
        assert "Publish to 12 345 subscribers in Polish and English" in form.replace("\u00a0", " ")
        assert fields_of(form, "/console/compose")["title_pl"] == ["OSOZ2 nie działa"]
        answer = await anna.send(form, "/console/compose", text_pl="Wiemy.", text_en="We know.", do="publish")
    assert answer.status_code == 303
    (notice,) = notices(house)
    assert notice.published_at is not None
    assert notice.taken_over
    assert notice.next_update_at is not None
    assert (updates(house)[-1].text_pl, updates(house)[-1].author) == ("Wiemy.", "anna")


async def test_a_failing_service_without_a_word_opens_the_form_with_its_status(house: House) -> None:
    async with officer(house) as anna:
        form = (await anna.get("/console/compose?service=NCTS2")).text
        fields = fields_of(form, "/console/compose")
        assert fields["status-NCTS2"] == ["major_outage"]
        assert fields["status-CRPA"] == [""]
        assert fields["text_pl"][0]
        assert fields["text_en"][0]
        answer = await anna.send(form, "/console/compose", do="publish")
    assert answer.status_code == 303
    assert house.db.read_now(services.by_code, "NCTS2").status == "major_outage"


async def test_the_best_template_is_filled_in_and_what_is_not_known_holds_publication_up(
    house: House,
) -> None:
    words = Template(
        name="t",
        kind="open",
        text_pl="{service} od {began}, nr {reference}",
        text_en="{service} since {began}",
    )
    house.db.run_now(lambda s: s.add(words))
    async with officer(house) as anna:
        form = (await anna.get("/console/compose?service=NCTS2")).text
        assert "NCTS2 od " in fields_of(form, "/console/compose")["text_pl"][0]
        answer = await anna.send(form, "/console/compose", do="publish")
        assert answer.status_code == 422
        assert 'href="#text_pl"' in answer.text
        assert 'aria-describedby=" text_pl-error" aria-invalid="true"' in answer.text
    assert notices(house) == []


EVERYTHING = {
    "title_pl": "Tytuł <b>",
    "title_en": "Title",
    "text_pl": "Treść",
    "text_en": "Words",
    "status__NCTS2": "partial_outage",
    "function__NCTS2": "Transit declaration",
    "channel__NCTS2": "web",
    "unaffected": ["CRPA", "OSOZ2"],
    "messages": "resend",
    "messages_service": "NCTS2",
    "messages_from": "2026-01-02T03:04",
    "fallback": "permitted",
    "fallback_for": "NCTS2|Transit declaration",
    "fallback_reference": "AW/1",
    "fallback_pl": "Instrukcja",
    "next": "60",
    "impact": "critical",
    "deliver": "yes",
    "told": "12345",
}


async def test_everything_that_the_form_says_is_published(house: House) -> None:
    async with officer(house) as anna:
        answer = await anna.compose("", **EVERYTHING, do="publish")
    assert answer.status_code == 303, answer.text
    (notice,) = notices(house)
    assert (notice.impact, notice.impact_override) == ("critical", True)
    row = house.db.read_now(lambda s: s.scalars(select(NoticeService)).one())
    assert (row.functions, row.channels, row.status) == (["Transit declaration"], ["web"], "partial_outage")
    handling = house.db.read_now(lambda s: s.scalars(select(Handling)).one())
    assert handling.handling == "resend"
    (fallback,) = house.db.read_now(fallbacks.listed, notice.id)
    assert (fallback.reference, fallback.function, fallback.state) == (
        "AW/1",
        "Transit declaration",
        "permitted",
    )


async def test_paper_is_permitted_for_several_services_with_one_publication(house: House) -> None:
    several = {**EVERYTHING, "fallback_for": ["NCTS2|Transit declaration", "CRPA"], "unaffected": ["OSOZ2"]}
    async with officer(house) as anna:
        page = (await anna.compose("", **several, do="preview")).text
        assert fields_of(page, "/console/compose")["fallback_for"] == several["fallback_for"]
        assert (await anna.compose("", **several, do="publish")).status_code == 303
    (notice,) = notices(house)
    declared = house.db.read_now(fallbacks.listed, notice.id)
    assert sorted((f.function, f.reference) for f in declared) == [
        ("", "AW/1"),
        ("Transit declaration", "AW/1"),
    ]
    assert len(updates(house)) == 1


async def test_an_edit_drops_nothing_that_the_form_cannot_show(house: House) -> None:
    """A program may write a draft with two different declarations; the form has room for one."""
    content = acts.Content(
        acts.ActKind.OPEN,
        name=Text("Awaria", "Outage"),
        text=Text("Treść", "Words"),
        services={"NCTS2": ServiceStatus.MAJOR_OUTAGE, "CRPA": ServiceStatus.MAJOR_OUTAGE},
        details=Details(
            handlings=[
                NewHandling(MessageHandling.KEPT, "NCTS2"),
                NewHandling(MessageHandling.RESEND, "CRPA"),
            ]
        ),
        fallbacks=[
            NewFallback("NCTS2", FallbackState.PERMITTED, reference="AW/1"),
            NewFallback("CRPA", FallbackState.NOT_NEEDED),
        ],
    )
    act = house.db.run_now(acts.write, content, by="api:gateway", now=clock.now())
    async with officer(house) as anna:
        page = (await anna.get(f"/console/compose?act={act.id}")).text
        assert "says more than the form can show" in page
        assert (await anna.send(page, "/console/compose", title_en="Outage!", do="save")).status_code == 303
        kept = acts.content_of(house.db.read_now(acts.get_open, act.id, to_change=False))
        assert kept.name.en == "Outage!"
        assert [f.service for f in kept.fallbacks] == ["NCTS2", "CRPA"]
        assert [h.service for h in kept.details.handlings or ()] == ["NCTS2", "CRPA"]
        page = (await anna.get(f"/console/compose?act={act.id}")).text
        assert (await anna.send(page, "/console/compose", do="publish")).status_code == 303
    (notice,) = notices(house)
    assert {f.state for f in house.db.read_now(fallbacks.listed, notice.id)} == {"permitted", "not_needed"}


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"text_pl": "", "text_en": ""}, "text_pl"),
        ({"status__NCTS2": ""}, "services"),
        ({"next": "at", "next_at": "2020-01-01T00:00"}, "next_at"),
        ({"next": "at", "next_at": ""}, "next_at"),
        ({"fallback_for": ""}, "fallback_for"),
        ({"messages_from": "yesterday"}, "messages_from"),
        ({"messages_until": "2025-01-02T03:04"}, "messages_until"),
        ({"unaffected": ["NCTS2"]}, "unaffected"),
        ({"began_at": "2090-01-01T00:00"}, "began_at"),
        ({"title_en": "x" * 201}, "title_en"),
    ],
)
async def test_an_error_names_its_field_and_keeps_everything_that_was_typed(
    house: House, wrong: dict[str, str], field: str
) -> None:
    async with officer(house) as anna:
        answer = await anna.compose("", **{**EVERYTHING, **wrong}, do="publish")
    assert answer.status_code == 422
    assert f'<a href="#{field}">' in answer.text
    assert f'id="{field}"' in answer.text
    assert f'id="{field}-error"' in answer.text
    sent = {**EVERYTHING, **wrong}
    kept = fields_of(answer.text, "/console/compose")
    del sent["told"]  # counted anew
    for name, value in sent.items():
        expected = [value] if isinstance(value, str) else value
        assert sorted(kept.get(name.replace("__", "-"), [""])) == sorted(expected), name
    assert notices(house) == []


async def test_an_hour_that_comes_twice_names_both_and_takes_the_one_that_is_picked(house: House) -> None:
    twice = {**EVERYTHING, "began_at": "2025-10-26T02:30", "next": ""}
    async with officer(house) as anna:
        answer = await anna.compose("", **twice, do="publish")
        assert answer.status_code == 422
        assert "02:30 (UTC+2)" in answer.text
        assert "02:30 (UTC+1)" in answer.text
        picked = {"began_at-choice": "2025-10-26T01:30:00+00:00"}
        preview = await anna.send(answer.text, "/console/compose", **picked, do="preview")
        assert preview.status_code == 200
        kept = await anna.send(preview.text, "/console/compose", do="save")
        id = kept.headers["location"].split("/")[-1].partition("?")[0]
        answer = await anna.compose(f"act={id}", do="publish")  # it is not asked again
    assert answer.status_code == 303, answer.text
    assert f"{notices(house)[0].began_at:%H:%M}" == "01:30"


async def test_a_preview_shows_page_and_mail_and_leaves_no_trace(house: House) -> None:
    async with officer(house) as anna:
        answer = await anna.compose("", **EVERYTHING, do="preview")
        assert "Paper (fallback procedure)" in answer.text
        assert answer.status_code == 200
        assert "Tytuł &lt;b&gt;" in answer.text
        assert "subject pl" in answer.text
        assert "text en" in answer.text
        assert (notices(house), house.db.read_now(acts.listed)) == ([], [])
        answer = await anna.send(answer.text, "/console/compose", do="publish")
    assert answer.status_code == 303


async def test_what_another_officer_posted_meanwhile_stands_beside_ones_own(house: House) -> None:
    fail(house)
    (notice,) = notices(house)
    async with officer(house) as anna:
        form = (await anna.get(f"/console/compose?incident={notice.id}")).text
        theirs = Text("Słowa Jana", "Words of Jan")
        house.db.run_now(incidents.post_update, notice.id, theirs, by="jan", now=clock.now())
        answer = await anna.send(form, "/console/compose", text_pl="Moje", text_en="Mine", do="publish")
        assert answer.status_code == 409
        assert "Words of Jan" in answer.text
        assert fields_of(answer.text, "/console/compose")["text_en"] == ["Mine"]
        assert updates(house)[-1].author == "jan"
        answer = await anna.send(answer.text, "/console/compose", do="publish")
    assert answer.status_code == 303
    assert [update.text_en for update in updates(house)[-2:]] == ["Words of Jan", "Mine"]


async def test_a_grave_one_needs_a_second_person_or_a_reason(house: House) -> None:
    settings = replace(house.settings, incidents=config.Incidents(four_eyes_from="major"))
    grave = replace(house, settings=settings)
    async with officer(grave) as anna:
        answer = await anna.compose("service=NCTS2", do="publish")
        assert answer.status_code == 403
        assert "a second person has to publish this" in answer.text
        answer = await anna.send(answer.text, "/console/compose", do="save")
        place = answer.headers["location"].partition("?")[0].removeprefix("/en")
        page = (await anna.get(place)).text
        assert "somebody else has to publish this" in page
        await anna.send(page, place, do="hand_over")
        assert (await anna.send(page, place, do="publish")).status_code == 403
        async with officer(grave, "jan") as jan:
            theirs = (await jan.get(place)).text
            assert "Publish to" in theirs
            assert (await jan.send(theirs, place, do="publish")).status_code == 303
    (act,) = grave.db.read_now(lambda s: list(s.scalars(select(Act))))
    assert (act.state, act.approved_by, act.created_by) == (ActState.DONE, "jan", "anna")


async def test_the_glass_is_broken_from_the_form(house: House) -> None:
    settings = replace(house.settings, incidents=config.Incidents(four_eyes_from="major"))
    async with officer(replace(house, settings=settings)) as anna:
        answer = await anna.compose("service=NCTS2", break_glass="nobody answers", do="publish")
    assert answer.status_code == 303
    (act,) = house.db.read_now(lambda s: list(s.scalars(select(Act))))
    assert act.broke_glass == "nobody answers"


async def test_more_recipients_than_the_button_said_are_asked_about(house: House) -> None:
    async with officer(house) as anna:
        answer = await anna.compose("service=NCTS2", told="3", do="publish")
        assert answer.status_code == 409
        assert "More people would be told" in answer.text
        assert notices(house) == []
        assert (await anna.send(answer.text, "/console/compose", do="publish")).status_code == 303


async def test_a_missing_language_is_warned_of_and_waits_on_the_board_until_it_is_added(house: House) -> None:
    async with officer(house) as anna:
        answer = await anna.compose("service=NCTS2", title_en="", text_en="", do="preview")
        assert "One language is missing" in answer.text
        assert "in Polish only" in answer.text
        answer = await anna.send(answer.text, "/console/compose", do="publish")
        assert "waits for translation" in (await anna.get("/console")).text
        (notice,), (update,) = notices(house), updates(house)
        place = f"/console/incidents/{notice.id}"
        page = (await anna.get(place)).text
        words = {"text_pl": update.text_pl, "text_en": "Added", "update": update.id}
        assert (await anna.send(page, f"{place}/reword", **words)).status_code == 303
        page = (await anna.get(place)).text
        title = {"title_pl": notice.name_pl, "title_en": "NCTS2 is down"}
        assert (await anna.send(page, f"{place}/rename", **title)).status_code == 303
        assert "waits for translation" not in (await anna.get("/console")).text


async def test_what_is_over_is_entered_afterwards_and_nobody_is_told(house: House) -> None:
    past = {"began_at": "2026-01-02T06:00", "ended_at": "2026-01-02T07:00", "next": ""}
    async with officer(house) as anna:
        answer = await anna.compose("service=NCTS2", **past, do="publish")
    assert answer.status_code == 303, answer.text
    (notice,) = notices(house)
    assert notice.backfilled
    assert notice.resolved_at is not None


@pytest.mark.parametrize("language", ["pl", "en"])
async def test_a_viewer_sees_the_board_and_may_not_tell(house: House, language: str) -> None:
    fail(house)
    async with officer(house, "ewa", Role.VIEWER) as ewa:
        ewa.language = language
        assert (await ewa.get("/console")).status_code == 200
        assert (await ewa.get("/console/compose")).status_code == 403
        assert (await ewa.client.post("/en/console/compose", data={"do": "publish"})).status_code == 403


async def test_a_form_without_its_token_publishes_nothing(house: House) -> None:
    async with officer(house) as anna:
        answer = await anna.compose("service=NCTS2", csrf="forged", do="publish")
    assert answer.status_code == 403
    assert notices(house) == []
