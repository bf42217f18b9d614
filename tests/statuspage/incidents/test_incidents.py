"""What people say about incidents."""

import pytest
from sqlalchemy import select

from statuspage.incidents import incidents
from statuspage.incidents.rules import Impact, IncidentStatus, ServiceStatus
from statuspage.incidents.snapshot import Text
from statuspage.incidents.tables import Notice
from statuspage.kernel import audit
from statuspage.kernel.errors import Conflict, Invalid, NotFound
from statuspage.kernel.events import Consumer, pending

from .conftest import Story

SAID = Text("Sprawdzamy.", "We look into it.")
DOWN = {"NCTS2": ServiceStatus.PARTIAL_OUTAGE}


def new(**changes: object) -> incidents.NewIncident:
    values = {"name": Text("NCTS2 nie działa", "NCTS2 does not work"), "text": SAID, "services": DOWN}
    return incidents.NewIncident(**(values | changes))  # type: ignore[arg-type]


def opened(story: Story, **changes: object) -> str:
    return story.db.run_now(incidents.open_incident, new(**changes), by="officer", now=story.now).id


def test_an_incident_by_hand_sets_the_services_it_names(story: Story) -> None:
    opened(story)
    assert story.statuses() == {"NCTS2": "partial_outage"}
    assert story.notices()[0].impact == "major"


def test_a_declared_parent_outage_impacts_its_children(story: Story) -> None:
    opened(story, services={"PUESC": ServiceStatus.MAJOR_OUTAGE})
    assert story.statuses() == {
        "PUESC": "major_outage",
        "NCTS2": "degraded_performance",
        "AES": "degraded_performance",
    }


def test_the_given_impact_wins_over_the_derived_one(story: Story) -> None:
    opened(story, impact=Impact.NONE)
    assert story.notices()[0].impact == "none"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"services": {"NCTS3": ServiceStatus.MAJOR_OUTAGE}}, "service"),
        ({"text": Text("", " ")}, "text_pl"),
        ({"text": Text("", "x" * 20_001)}, "text_en"),
        ({"name": Text("", "")}, "title_pl"),
        ({"name": Text("x" * 201, "x")}, "title_pl"),
        ({"status": IncidentStatus.RESOLVED}, "status"),
    ],
)
def test_bad_input_names_its_field_and_leaves_nothing_behind(
    story: Story, changes: dict[str, object], field: str
) -> None:
    with pytest.raises(Invalid) as caught:
        opened(story, **changes)
    assert caught.value.field == field
    assert story.notices() == []
    assert story.events() == []


def test_every_change_is_owed_to_each_consumer_until_it_is_done(story: Story) -> None:
    opened(story)
    for consumer in Consumer:
        owed = story.db.read_now(pending, consumer)
        assert [event.kind for event in owed] == ["component.updated", "incident.created"]


def test_a_persons_update_stops_the_automatic_resolution(story: Story) -> None:
    story.found("NCTS2")
    incident_id = story.notices()[0].id
    story.db.run_now(
        incidents.post_update,
        incident_id,
        SAID,
        by="officer",
        now=story.now,
        status=IncidentStatus.IDENTIFIED,
    )
    story.after(minutes=5).recovered("NCTS2")
    assert story.notices()[0].resolved_at is None
    assert story.statuses() == {}
    story.db.run_now(incidents.resolve, incident_id, SAID, by="officer", now=story.now)
    assert story.notices()[0].status == "resolved"


def test_resolving_ends_what_was_declared_but_not_what_is_measured(story: Story) -> None:
    incident_id = opened(story, services=DOWN | {"CRPA": ServiceStatus.MAJOR_OUTAGE})
    story.found("CRPA")
    story.db.run_now(incidents.resolve, incident_id, SAID, by="officer", now=story.now)
    assert story.statuses() == {"CRPA": "major_outage"}


def test_an_update_may_change_services_and_records_old_and_new(story: Story) -> None:
    incident_id = opened(story)
    story.db.run_now(
        incidents.post_update,
        incident_id,
        SAID,
        by="officer",
        now=story.now,
        services={"NCTS2": ServiceStatus.OPERATIONAL},
    )
    update = story.updates(incident_id)[-1]
    assert [(c["code"], c["old_status"], c["new_status"]) for c in update.affected] == [
        ("NCTS2", "partial_outage", "operational")
    ]


def test_a_resolved_incident_takes_no_further_words_unless_reopened(story: Story) -> None:
    incident_id = opened(story)
    story.db.run_now(incidents.resolve, incident_id, SAID, by="officer", now=story.now)
    with pytest.raises(Conflict):
        story.db.run_now(incidents.post_update, incident_id, SAID, by="officer", now=story.now)
    with pytest.raises(Conflict):
        story.db.run_now(incidents.resolve, incident_id, SAID, by="officer", now=story.now)
    story.db.run_now(
        incidents.post_update,
        incident_id,
        SAID,
        by="officer",
        now=story.now,
        status=IncidentStatus.INVESTIGATING,
    )
    assert story.notices()[0].resolved_at is None
    assert story.kinds()[-1] == "incident.reopened"


def test_publishing_a_draft_shows_it_and_tells_everyone(story: Story) -> None:
    story.found("OSOZ2")
    incident_id = story.notices()[0].id
    story.db.run_now(incidents.publish, incident_id, by="officer", now=story.now)
    assert story.statuses() == {"OSOZ2": "major_outage"}
    assert story.kinds() == ["component.updated", "incident.created"]
    with pytest.raises(Conflict):
        story.db.run_now(incidents.publish, incident_id, by="officer", now=story.now)


def test_an_update_by_a_person_publishes_a_draft(story: Story) -> None:
    story.found("OSOZ2")
    story.db.run_now(incidents.post_update, story.notices()[0].id, SAID, by="officer", now=story.now)
    assert story.kinds()[-1] == "incident.created"


def test_a_draft_that_recovers_is_never_published(story: Story) -> None:
    story.found("OSOZ2")
    story.after(minutes=3).recovered("OSOZ2")
    assert story.notices()[0].resolved_at is not None
    assert story.kinds() == []


def test_monitors_join_an_incident_that_a_person_opened(story: Story) -> None:
    opened(story)
    story.found("NCTS2")
    assert len(story.notices()) == 1
    assert story.notices()[0].name_pl == "NCTS2 nie działa"


def test_an_unknown_incident_is_not_found(story: Story) -> None:
    with pytest.raises(NotFound):
        story.db.run_now(incidents.resolve, "nosuchid", SAID, by="officer", now=story.now)


def test_a_postmortem_follows_a_resolution_alone(story: Story) -> None:
    incident_id = opened(story)
    with pytest.raises(Conflict, match="postmortem"):
        story.db.run_now(
            incidents.post_update,
            incident_id,
            SAID,
            by="officer",
            now=story.now,
            status=IncidentStatus.POSTMORTEM,
        )


def test_an_incident_lasts_as_long_as_what_a_person_declared(story: Story) -> None:
    incident_id = opened(story)
    story.after(minutes=10).found("NCTS2")
    story.after(minutes=1).recovered("NCTS2")
    ended = story.after(hours=1).now
    story.db.run_now(incidents.resolve, incident_id, SAID, by="officer", now=ended)
    assert story.notices()[0].ended_at == ended


def test_a_clock_that_steps_back_makes_no_negative_duration(story: Story) -> None:
    incident_id = opened(story)
    story.after(hours=-1)
    story.db.run_now(incidents.resolve, incident_id, SAID, by="officer", now=story.now)
    (notice,) = story.notices()
    assert notice.ended_at is not None
    assert notice.ended_at >= notice.began_at


def test_what_was_merged_takes_no_words_of_its_own(story: Story) -> None:
    story.found("NCTS2")
    story.after(minutes=30).found("AES")
    story.after(minutes=1).found("PUESC")
    with story.db.engine.connect() as connection:
        merged_id = connection.scalar(select(Notice.id).where(Notice.merged_into_id.is_not(None)))
    assert merged_id is not None
    with pytest.raises(Conflict, match="is part of"):
        story.db.run_now(
            incidents.post_update,
            merged_id,
            SAID,
            by="officer",
            now=story.now,
            status=IncidentStatus.INVESTIGATING,
        )


def test_an_incident_of_monitors_promises_a_persons_word_and_the_word_keeps_it(story: Story) -> None:
    story.found("NCTS2")
    (notice,) = story.notices()
    assert notice.next_update_at == story.now + story.policy.speak_again_within
    story.db.run_now(incidents.post_update, notice.id, SAID, by="officer", now=story.after(minutes=5).now)
    assert story.notices()[0].next_update_at is None


def test_a_draft_promises_nothing(story: Story) -> None:
    story.found("OSOZ2")
    assert story.notices()[0].next_update_at is None


def test_what_a_person_publishes_is_proved_and_what_monitors_do_is_not(story: Story) -> None:
    story.found("AES")
    id = opened(story)
    story.db.run_now(incidents.resolve, id, SAID, by="jan", now=story.after(minutes=5).now)
    entries = story.db.read_now(audit.entries, limit=10)
    assert [(entry.actor, entry.action, entry.subject) for entry in entries] == [
        ("jan", "incident.resolved", f"incident:{id}"),
        ("officer", "incident.created", f"incident:{id}"),
    ]
    assert story.db.read_now(audit.verify).count == 2
