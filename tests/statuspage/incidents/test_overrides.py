"""Statuses set by hand: above what is measured and planned, below what an incident declares, and never for ever."""

from datetime import timedelta

import pytest

from statuspage.incidents import duty, maintenance, overrides
from statuspage.incidents.incidents import NewIncident, open_incident
from statuspage.incidents.maintenance import NewMaintenance
from statuspage.incidents.rules import ServiceStatus
from statuspage.incidents.snapshot import Text
from statuspage.incidents.tables import Override
from statuspage.kernel import audit
from statuspage.kernel.errors import Conflict, Invalid, NotFound
from tests.statuspage.incidents.conftest import Story

TEXT = Text("x", "x")


def override(story: Story, code: str, status: ServiceStatus, *, hours: float = 1) -> Override:
    return story.db.run_now(
        overrides.override,
        code,
        status,
        reason="the probe is wrong",
        ends_at=story.now + timedelta(hours=hours),
        by="anna",
        now=story.now,
    )


def test_an_override_stands_above_what_is_measured_until_it_ends_by_itself(story: Story) -> None:
    story.found("CRPA")
    override(story, "CRPA", ServiceStatus.DEGRADED_PERFORMANCE)
    assert story.statuses() == {"CRPA": "degraded_performance"}
    assert story.db.read_now(overrides.next_due_at) == story.now + timedelta(hours=1)
    assert story.db.run_now(overrides.expire, now=story.now) == 0
    story.after(hours=1)
    assert story.db.run_now(overrides.expire, now=story.now) == 1
    assert story.statuses() == {"CRPA": "major_outage"}
    assert story.db.read_now(overrides.next_due_at) is None


def test_an_override_covers_planned_work(story: Story) -> None:
    work = NewMaintenance(TEXT, TEXT, ["CRPA"], story.now, story.now + timedelta(hours=4))
    notice = story.db.run_now(maintenance.schedule, work, by="anna", now=story.now, policy=story.policy)
    story.db.run_now(maintenance.begin, notice.id, by="anna", now=story.now)
    override(story, "CRPA", ServiceStatus.OPERATIONAL)
    assert story.statuses() == {}


def test_what_an_open_incident_declares_comes_first(story: Story) -> None:
    new = NewIncident(TEXT, TEXT, {"CRPA": ServiceStatus.MAJOR_OUTAGE})
    story.db.run_now(open_incident, new, by="anna", now=story.now)
    override(story, "CRPA", ServiceStatus.OPERATIONAL)
    assert story.statuses() == {"CRPA": "major_outage"}


def test_a_child_follows_a_parent_that_is_down_by_hand(story: Story) -> None:
    override(story, "PUESC", ServiceStatus.MAJOR_OUTAGE)
    assert story.statuses()["NCTS2"] == "degraded_performance"


def test_it_ends_by_hand_once_and_a_new_one_replaces_it(story: Story) -> None:
    first = override(story, "CRPA", ServiceStatus.PARTIAL_OUTAGE)
    second = override(story, "CRPA", ServiceStatus.DEGRADED_PERFORMANCE)
    assert [each.id for each in story.db.read_now(overrides.in_force)] == [second.id]
    story.db.run_now(overrides.end, second.id, by="jan", now=story.now)
    assert story.statuses() == {}
    for id in (first.id, second.id):
        with pytest.raises(Conflict):
            story.db.run_now(overrides.end, id, by="jan", now=story.now)
    written = story.db.read_now(audit.entries, action="override")
    assert [(each.action, each.subject) for each in written] == [
        ("override.ended", f"override:{second.id}"),
        ("override.begun", f"override:{second.id}"),
        ("override.begun", f"override:{first.id}"),
    ]
    with pytest.raises(NotFound):
        story.db.run_now(overrides.end, "nosuchoverri", by="jan", now=story.now)


@pytest.mark.parametrize(
    ("reason", "hours", "field"),
    [("", 1, "reason"), ("x" * 501, 1, "reason"), ("why", None, "until"), ("why", 0, "until")],
    ids=["no reason", "a long reason", "no end", "an end past"],
)
def test_one_without_reason_or_end_is_refused(
    story: Story, reason: str, hours: float | None, field: str
) -> None:
    ends_at = None if hours is None else story.now + timedelta(hours=hours)
    with pytest.raises(Invalid) as refused:
        story.db.run_now(
            overrides.override,
            "CRPA",
            ServiceStatus.OPERATIONAL,
            reason=reason,
            ends_at=ends_at,
            by="anna",
            now=story.now,
        )
    assert refused.value.field == field


def test_the_reason_stays_in_the_house(story: Story) -> None:
    override(story, "CRPA", ServiceStatus.PARTIAL_OUTAGE)
    assert "the probe is wrong" not in repr(story.snapshot())


def test_one_is_on_duty_until_a_time_or_until_one_leaves(story: Story) -> None:
    until = story.now + timedelta(hours=4)
    story.db.run_now(duty.go_on, "anna", "Anna", until, by="anna", now=story.now)
    story.db.run_now(duty.go_on, "jan", "Jan", until, by="anna", now=story.now)
    later = until + timedelta(hours=4)
    story.db.run_now(duty.go_on, "anna", "Anna", later, by="anna", now=story.now)
    found = story.db.read_now(duty.on_duty, now=story.now)
    assert {(row.login, row.until) for row in found} == {("anna", later), ("jan", until)}
    story.db.run_now(duty.leave, "jan", by="anna", now=story.now)
    assert [row.login for row in story.db.read_now(duty.on_duty, now=story.now)] == ["anna"]
    assert story.db.read_now(duty.on_duty, now=later) == []
    story.db.run_now(duty.leave, "jan", by="anna", now=story.now)  # is not on duty: nothing to record
    written = story.db.read_now(audit.entries, action="duty")
    assert [(each.actor, each.action, each.subject) for each in written] == [
        ("anna", "duty.ended", "user:jan"),
        ("anna", "duty.moved", "user:anna"),
        ("anna", "duty.begun", "user:jan"),
        ("anna", "duty.begun", "user:anna"),
    ]
    with pytest.raises(Invalid):
        story.db.run_now(duty.go_on, "jan", "Jan", story.now, by="anna", now=story.now)
