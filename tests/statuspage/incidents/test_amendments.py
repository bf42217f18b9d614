"""Planned work that is changed after it was announced: what is kept, told and counted."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from statuspage.incidents import amendments, maintenance
from statuspage.incidents.maintenance import NewMaintenance
from statuspage.incidents.snapshot import NoticeView, Text
from statuspage.kernel.errors import Conflict, Invalid, NotFound

from .conftest import Story

ZONE = ZoneInfo("Europe/Warsaw")
SAID = Text("Aktualizacja.", "An upgrade.")


def scheduled(
    story: Story, *codes: str, starts_h: float = 120, hours: float = 3, by_hand: bool = False
) -> str:
    begins_at = story.now + timedelta(hours=starts_h)
    new = NewMaintenance(
        Text("Prace", "Work"), SAID, codes or ("AES",), begins_at, begins_at + timedelta(hours=hours), by_hand
    )
    return story.db.run_now(maintenance.schedule, new, by="officer", now=story.now, policy=story.policy).id


def moved(story: Story, id: str, *, end_h: float | None = None, begin_h: float | None = None) -> NoticeView:
    """New times, in hours from now."""
    story.db.run_now(
        amendments.reschedule,
        id,
        by="officer",
        now=story.now,
        policy=story.policy,
        zone=ZONE,
        begins_at=None if begin_h is None else story.now + timedelta(hours=begin_h),
        ends_at=None if end_h is None else story.now + timedelta(hours=end_h),
    )
    return view(story, id)


def cut(story: Story, id: str, *codes: str) -> NoticeView:
    story.db.run_now(amendments.cancel_part, id, codes, by="officer", now=story.now, policy=story.policy)
    return view(story, id)


def view(story: Story, id: str) -> NoticeView:
    return next(notice for notice in story.snapshot().maintenances if notice.id == id)


def advance(story: Story) -> int:
    return story.db.run_now(maintenance.advance, now=story.now, policy=story.policy)


def test_an_extension_keeps_the_old_end_and_says_both(story: Story) -> None:
    id = scheduled(story)
    advance(story.after(hours=120))
    before = view(story, id)
    after = moved(story.after(hours=2), id, end_h=2)

    assert after.window.ends_at == before.window.ends_at + timedelta(hours=1)
    assert after.revisions[0].before == (("scheduled_until", f"{before.window.ends_at:%Y-%m-%dT%H:%M:%SZ}"),)
    assert after.version > before.version
    local = [at.astimezone(ZONE).strftime("%H:%M") for at in (after.window.ends_at, before.window.ends_at)]
    assert after.updates[0].text.pl == (
        f"Przedłużamy prace planowe do {local[0]} (zapowiadaliśmy koniec o {local[1]})."
    )
    event = story.events()[-1]
    assert event.kind == "maintenance.extended"
    assert [datetime.fromisoformat(at) for at in event.payload["was"]] == [
        before.window.begins_at,
        before.window.ends_at,
    ]


def test_extended_work_ends_by_itself_at_its_new_end(story: Story) -> None:
    id = scheduled(story)
    advance(story.after(hours=120))
    moved(story, id, end_h=4)
    assert advance(story.after(hours=3)) == 0
    assert story.statuses() == {"AES": "under_maintenance"}
    assert advance(story.after(hours=1)) == 1


def test_another_begin_is_a_rescheduling_and_is_kept_to(story: Story) -> None:
    id = scheduled(story)
    after = moved(story, id, begin_h=150, end_h=151)
    assert story.kinds()[-1] == "maintenance.rescheduled"
    assert {field for field, _ in after.revisions[0].before} == {"scheduled_for", "scheduled_until"}
    assert after.began_at == after.window.begins_at
    assert advance(story.after(hours=120)) == 0
    assert advance(story.after(hours=30)) == 1


def test_an_earlier_end_is_a_rescheduling_too(story: Story) -> None:
    id = scheduled(story)
    after = moved(story, id, end_h=121)
    assert story.kinds()[-1] == "maintenance.rescheduled"
    assert "krócej" in after.updates[0].text.pl


@pytest.mark.parametrize(
    ("begin_h", "end_h", "error", "word"),
    [
        (-1, None, Invalid, "start: lies in the past"),
        (None, 119, Invalid, "end: must come after"),
        (130, None, Invalid, "end: must come after"),
        (None, 123, Conflict, "these times already"),
        (None, None, Conflict, "these times already"),
    ],
)
def test_bad_times_are_refused_by_their_field(
    story: Story, begin_h: float | None, end_h: float | None, error: type[Exception], word: str
) -> None:
    id = scheduled(story)
    with pytest.raises(error, match=word):
        moved(story, id, begin_h=begin_h, end_h=end_h)
    assert view(story, id).revisions == ()


def test_work_that_has_begun_keeps_its_begin_and_what_is_over_keeps_its_times(story: Story) -> None:
    id = scheduled(story)
    advance(story.after(hours=120))
    with pytest.raises(Invalid, match="start: the work has begun"):
        moved(story, id, begin_h=1)
    with pytest.raises(Invalid, match="end: lies in the past; complete"):
        moved(story.after(hours=1), id, end_h=-0.5)
    advance(story.after(hours=2))
    with pytest.raises(Conflict, match="is completed"):
        moved(story, id, end_h=5)


def test_what_was_announced_too_late_is_said_and_stays_said_when_the_setting_changes(story: Story) -> None:
    late, early = scheduled(story, starts_h=47), scheduled(story, "CRPA", starts_h=48)
    assert [view(story, id).is_announced_in_time for id in (late, early)] == [False, True]
    story.policy = type(story.policy)(announce_ahead=timedelta(hours=1))
    assert not view(story, late).is_announced_in_time


def test_the_part_that_an_extension_adds_counts_as_unavailability(story: Story) -> None:
    story.recovered("AES")  # measured from now on
    story.now = datetime(2026, 11, 24, 0, tzinfo=ZONE).astimezone(UTC)
    id = scheduled(story, starts_h=120 + 10)
    advance(story.after(hours=130))
    moved(story.after(hours=1), id, end_h=4)
    advance(story.after(hours=4))
    story.now = datetime(2026, 11, 30, 0, tzinfo=ZONE).astimezone(UTC)
    service = next(s for s in story.snapshot().services if s.code == "AES")
    (day,) = (day for day in service.days if day.maintenance_s)
    assert day.maintenance_s == 5 * 3600
    assert day.down_s == 2 * 3600
    assert day.accountable_s == 21 * 3600


def test_work_that_was_announced_too_late_counts_whole_and_other_work_does_not(story: Story) -> None:
    for code in ("AES", "CRPA"):
        story.recovered(code)
    scheduled(story, "CRPA", starts_h=72)
    scheduled(story.after(hours=60), "AES", starts_h=12)
    advance(story.after(hours=12))
    advance(story.after(hours=3))
    days = {
        service.code: next(day for day in service.days if day.maintenance_s)
        for service in story.after(hours=24).snapshot().services
        if service.code in ("AES", "CRPA")
    }
    assert (days["AES"].down_s, days["CRPA"].down_s) == (3 * 3600, 0)
    assert days["CRPA"].uptime == 1.0
    assert days["AES"].uptime == pytest.approx(1 - 3 / 24)


def test_a_service_taken_out_goes_on_and_the_rest_is_worked_on(story: Story) -> None:
    id = scheduled(story, "AES", "CRPA")
    advance(story.after(hours=120))
    assert story.statuses() == {"AES": "under_maintenance", "CRPA": "under_maintenance"}
    after = cut(story.after(hours=1), id, "AES")

    assert story.statuses() == {"CRPA": "under_maintenance"}
    assert [(a.code, a.cancelled_at) for a in after.affected] == [("AES", story.now), ("CRPA", None)]
    assert [a.code for a in after.concerned] == ["CRPA"]
    event = story.events()[-1]
    assert (event.kind, event.payload["codes"]) == ("maintenance.updated", ["AES", "CRPA"])
    assert event.payload["removed"] == [story.service("AES").id]
    assert "AES" in after.updates[0].text.en

    advance(story.after(hours=3))
    assert story.events()[-1].payload["codes"] == ["CRPA"], "who is concerned no more is not written to"


def test_a_failure_of_a_service_taken_out_opens_its_incident(story: Story) -> None:
    id = scheduled(story, "AES", "CRPA")
    advance(story.after(hours=120))
    story.found("AES")
    cut(story, id, "AES")
    assert [notice.kind for notice in story.notices()] == ["maintenance", "incident"]
    assert story.statuses() == {"AES": "major_outage", "CRPA": "under_maintenance"}


def test_time_after_a_service_was_taken_out_is_no_maintenance(story: Story) -> None:
    for code in ("AES", "CRPA"):
        story.recovered(code)
    id = scheduled(story, "AES", "CRPA")
    advance(story.after(hours=120))
    cut(story.after(hours=1), id, "AES")
    advance(story.after(hours=2))
    spent = {
        service.code: sum(day.maintenance_s for day in service.days) for service in story.snapshot().services
    }
    assert (spent["AES"], spent["CRPA"]) == (3600, 3 * 3600)


def test_when_nothing_is_left_the_work_is_cancelled(story: Story) -> None:
    id = scheduled(story, "AES", "CRPA")
    cut(story, id, "AES")
    after = cut(story, id, "CRPA")
    assert (after.status, story.kinds()[-1]) == ("cancelled", "maintenance.cancelled")


def test_what_is_not_part_of_the_work_cannot_be_taken_out(story: Story) -> None:
    id = scheduled(story, "AES", "CRPA")
    with pytest.raises(Invalid, match='service: "NCTS2" is not part'):
        cut(story, id, "NCTS2")
    with pytest.raises(NotFound, match="NOPE"):
        cut(story, id, "NOPE")
    with pytest.raises(Invalid, match="name at least one"):
        cut(story, id)
    cut(story, id, "AES")
    with pytest.raises(Invalid, match='"AES" is not part'):
        cut(story, id, "AES")


def test_work_by_hand_waits_for_an_officer_and_may_overrun(story: Story) -> None:
    id = scheduled(story, by_hand=True)
    assert story.db.read_now(maintenance.next_due_at) is None
    assert advance(story.after(hours=121)) == 0
    assert view(story, id).is_overdue(story.now)
    story.db.run_now(maintenance.begin, id, by="officer", now=story.now)
    assert advance(story.after(hours=3)) == 0
    assert view(story, id).is_overrunning(story.now)
    assert [notice.id for notice in story.db.read_now(maintenance.awaiting)] == [id]
    story.db.run_now(maintenance.verify, id, by="officer", now=story.now)
    assert view(story, id).status == "verifying"
    assert story.statuses() == {"AES": "under_maintenance"}
    with pytest.raises(Conflict, match="not in progress"):
        story.db.run_now(maintenance.verify, id, by="officer", now=story.now)
    story.db.run_now(maintenance.complete, id, by="officer", now=story.now, policy=story.policy)
    assert story.statuses() == {}
