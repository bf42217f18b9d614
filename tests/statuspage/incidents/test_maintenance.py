"""Planned work, from its announcement to its end."""

from datetime import timedelta

import pytest

from statuspage.incidents import maintenance
from statuspage.incidents.snapshot import Text
from statuspage.kernel.errors import Conflict, Invalid, NotFound

from .conftest import Story

SAID = Text("Aktualizacja.", "An upgrade.")


def scheduled(story: Story, *codes: str, starts_h: float = 1, hours: float = 2) -> str:
    begins_at = story.now + timedelta(hours=starts_h)
    new = maintenance.NewMaintenance(
        Text("Prace w AES", "Work on AES"),
        SAID,
        codes or ("AES",),
        begins_at,
        begins_at + timedelta(hours=hours),
    )
    return story.db.run_now(maintenance.schedule, new, by="officer", now=story.now, policy=story.policy).id


def advance(story: Story) -> int:
    return story.db.run_now(maintenance.advance, now=story.now, policy=story.policy)


def test_work_begins_and_ends_by_itself_at_its_times(story: Story) -> None:
    scheduled(story)
    assert advance(story) == 0
    story.after(hours=1)
    assert advance(story) == 1
    assert story.statuses() == {"AES": "under_maintenance"}
    story.after(hours=2)
    assert advance(story) == 1
    assert story.statuses() == {}
    assert [kind for kind in story.kinds() if kind.startswith("maintenance")] == [
        "maintenance.scheduled",
        "maintenance.started",
        "maintenance.completed",
    ]


def test_the_next_moment_is_the_begin_and_then_the_end(story: Story) -> None:
    assert story.db.read_now(maintenance.next_due_at) is None
    scheduled(story)
    begin = story.now + timedelta(hours=1)
    assert story.db.read_now(maintenance.next_due_at) == begin
    story.after(hours=1)
    advance(story)
    assert story.db.read_now(maintenance.next_due_at) == begin + timedelta(hours=2)


def test_a_failure_during_planned_work_opens_no_incident(story: Story) -> None:
    scheduled(story)
    story.after(hours=1)
    advance(story)
    story.found("AES")
    assert [notice.kind for notice in story.notices()] == ["maintenance"]
    assert story.statuses() == {"AES": "under_maintenance"}


def test_what_is_still_down_after_the_work_becomes_an_incident(story: Story) -> None:
    scheduled(story)
    story.after(hours=1)
    advance(story)
    story.found("AES")
    story.after(hours=2)
    advance(story)
    assert [notice.kind for notice in story.notices()] == ["maintenance", "incident"]
    assert story.notices()[1].began_at == story.now
    assert story.statuses() == {"AES": "major_outage"}


def test_cancelled_work_never_begins(story: Story) -> None:
    maintenance_id = scheduled(story)
    story.db.run_now(maintenance.cancel, maintenance_id, by="officer", now=story.now, policy=story.policy)
    story.after(hours=1)
    assert advance(story) == 0
    with pytest.raises(Conflict):
        story.db.run_now(maintenance.cancel, maintenance_id, by="officer", now=story.now, policy=story.policy)


@pytest.mark.parametrize(
    ("codes", "starts_h", "hours", "error", "word"),
    [
        (["AES"], -1, 2, Invalid, "start"),
        (["AES"], 1, 0, Invalid, "end"),
        (["NOPE"], 1, 1, NotFound, "NOPE"),
    ],
)
def test_bad_plans_are_refused(
    story: Story, codes: list[str], starts_h: float, hours: float, error: type[Exception], word: str
) -> None:
    with pytest.raises(error, match=word):
        scheduled(story, *codes, starts_h=starts_h, hours=hours)
    assert story.notices() == []


def test_an_incident_is_not_maintenance(story: Story) -> None:
    story.found("AES")
    with pytest.raises(NotFound):
        story.db.run_now(
            maintenance.cancel, story.notices()[0].id, by="officer", now=story.now, policy=story.policy
        )


def test_a_service_named_twice_is_announced_once(story: Story) -> None:
    scheduled(story, "AES", "AES")
    (view,) = story.snapshot().maintenances
    assert [affected.code for affected in view.affected] == ["AES"]


def test_what_recovered_during_the_work_ends_its_incident_with_it(story: Story) -> None:
    story.found("AES")
    scheduled(story)
    advance(story.after(hours=1))
    story.after(minutes=30).recovered("AES")
    advance(story.after(hours=2))
    incident = next(notice for notice in story.notices() if notice.kind == "incident")
    assert incident.status == "resolved"


def test_work_called_off_uncovers_what_is_down(story: Story) -> None:
    maintenance_id = scheduled(story)
    advance(story.after(hours=1))
    story.found("AES")
    story.db.run_now(maintenance.cancel, maintenance_id, by="officer", now=story.now, policy=story.policy)
    assert [notice.kind for notice in story.notices()] == ["maintenance", "incident"]
    assert story.kinds()[-1] == "incident.created"


def test_work_begins_once_and_ends_only_after_it_began(story: Story) -> None:
    maintenance_id = scheduled(story)
    with pytest.raises(Conflict, match="cancel"):
        story.db.run_now(maintenance.complete, maintenance_id, by="x", now=story.now, policy=story.policy)
    advance(story.after(hours=1))
    with pytest.raises(Conflict, match="begun already"):
        story.db.run_now(maintenance.begin, maintenance_id, by="x", now=story.now)
