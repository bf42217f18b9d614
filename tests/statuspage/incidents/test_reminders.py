"""Reminders: once each, of what is still to begin, not of what was announced too late for them."""

from datetime import timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import select

from statuspage.incidents import amendments, maintenance, reminders
from statuspage.incidents.tables import Reminder
from statuspage.kernel import config

from .conftest import Story
from .test_amendments import scheduled

DAY, HOUR = 24 * 3600, 3600


def told(story: Story) -> list[int]:
    """Tell what is due; the leads of all that was ever told."""
    story.db.run_now(reminders.tell_due, now=story.now)
    return [event.payload["lead_s"] for event in story.events() if event.kind == reminders.KIND]


def test_work_is_reminded_of_a_day_and_an_hour_before_and_never_twice(story: Story) -> None:
    scheduled(story, starts_h=48)
    assert told(story) == []
    assert story.db.read_now(reminders.next_due_at) == story.now + timedelta(hours=24)
    assert told(story.after(hours=24)) == [DAY]
    assert told(story) == [DAY]
    assert told(story.after(hours=22)) == [DAY]
    assert told(story.after(hours=1)) == [DAY, HOUR]
    assert told(story.after(hours=1)) == [DAY, HOUR]
    assert story.db.read_now(reminders.next_due_at) is None


def test_a_reminder_is_delivered_and_tells_what_was_said_last(story: Story) -> None:
    id = scheduled(story, starts_h=48)
    told(story.after(hours=24))
    event = story.events()[-1]
    assert event.subject_id == id
    assert event.payload["deliver"] is True
    assert event.payload["update_id"] == story.updates(id)[-1].id
    assert event.payload["codes"] == ["AES"]


def test_what_is_announced_an_hour_before_is_reminded_of_by_nothing(story: Story) -> None:
    scheduled(story, starts_h=1)
    scheduled(story, "CRPA", starts_h=5)
    assert told(story.after(hours=4)) == [HOUR]
    assert [event.payload["codes"] for event in story.events()[-1:]] == [["CRPA"]]


def test_after_a_standstill_the_latest_reminder_alone_is_told(story: Story) -> None:
    scheduled(story, starts_h=48)
    assert told(story.after(hours=47, minutes=30)) == [HOUR]
    rows = story.db.read_now(lambda session: session.scalars(select(Reminder)).all())
    assert all(row.told_at is not None for row in rows)


def test_after_a_standstill_past_the_begin_nothing_is_told(story: Story) -> None:
    scheduled(story, starts_h=48)
    assert told(story.after(hours=48)) == []
    assert story.db.read_now(reminders.next_due_at) is None


def test_moved_work_is_reminded_of_anew_and_cancelled_work_never(story: Story) -> None:
    id, other = scheduled(story, starts_h=48), scheduled(story, "CRPA", starts_h=48)
    assert told(story.after(hours=24)) == [DAY, DAY]
    story.db.run_now(
        amendments.reschedule,
        id,
        by="x",
        now=story.now,
        policy=story.policy,
        zone=ZoneInfo("Europe/Warsaw"),
        begins_at=story.now + timedelta(hours=72),
        ends_at=story.now + timedelta(hours=73),
    )
    story.db.run_now(maintenance.cancel, other, by="x", now=story.now, policy=story.policy)
    assert told(story.after(hours=24)) == [DAY, DAY]
    assert told(story.after(hours=24)) == [DAY, DAY, DAY]
    assert told(story.after(hours=23)) == [DAY, DAY, DAY, HOUR]


def test_a_page_may_do_without_reminders(story: Story) -> None:
    story.policy = config.Incidents(remind_before=())
    scheduled(story, starts_h=48)
    assert story.db.read_now(reminders.next_due_at) is None
