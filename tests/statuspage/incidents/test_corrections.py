"""What is put right afterwards; what was said before is kept."""

from datetime import timedelta
from typing import Any

import pytest

from statuspage.incidents import corrections, fallbacks, incidents
from statuspage.incidents.fallbacks import NewFallback
from statuspage.incidents.incidents import NewIncident
from statuspage.incidents.rules import FallbackState, ServiceStatus
from statuspage.incidents.snapshot import NoticeView, Text
from statuspage.kernel.errors import Conflict, Invalid, NotFound

from .conftest import Story

SAID = Text("Sprawdzamy.", "We look into it.")


def opened(story: Story, *codes: str) -> str:
    new = NewIncident(SAID, SAID, dict.fromkeys(codes or ("NCTS2",), ServiceStatus.MAJOR_OUTAGE))
    return story.db.run_now(incidents.open_incident, new, by="ewa", now=story.now).id


def shown(story: Story, id: str) -> NoticeView:
    return next(notice for notice in story.snapshot().incidents if notice.id == id)


def test_a_corrected_beginning_keeps_the_old_one_and_a_consent_given_meanwhile(story: Story) -> None:
    id = opened(story)
    paper = NewFallback("NCTS2", FallbackState.PERMITTED)
    story.db.run_now(fallbacks.declare, id, paper, by="ewa", now=story.now, policy=story.policy)
    old, new = story.now, story.now - timedelta(minutes=12)
    story.after(hours=1)
    story.db.run_now(corrections.correct_times, id, by="jan", now=story.now, began_at=new)
    notice = shown(story, id)
    assert notice.began_at == new
    assert notice.revisions[0].before == (("began_at", old.isoformat()),)
    assert notice.fallbacks[0].state is FallbackState.PERMITTED
    assert notice.updates[0].text.en == "We have corrected when it began."
    assert not notice.updates[0].deliver


def test_both_times_of_what_is_over_can_be_put_right_at_once(story: Story) -> None:
    id = opened(story)
    story.after(hours=2)
    story.db.run_now(incidents.resolve, id, SAID, by="ewa", now=story.now)
    end = story.now - timedelta(minutes=30)
    begin = end - timedelta(hours=1)
    story.db.run_now(corrections.correct_times, id, by="ewa", now=story.now, began_at=begin, ended_at=end)
    assert (shown(story, id).began_at, shown(story, id).ended_at) == (begin, end)


@pytest.mark.parametrize(
    ("began_h", "ended_h", "error"),
    [(1, None, Invalid), (0, None, Invalid), (None, -1, Conflict)],
)
def test_a_time_that_cannot_be_is_refused(
    story: Story, began_h: int | None, ended_h: int | None, error: type[Exception]
) -> None:
    id = opened(story)
    times: dict[str, Any] = {
        name: story.now + timedelta(hours=hours)
        for name, hours in (("began_at", began_h), ("ended_at", ended_h))
        if hours is not None
    }
    with pytest.raises(error):
        story.db.run_now(corrections.correct_times, id, by="ewa", now=story.now, **times)


def test_a_reworded_update_keeps_what_it_said_and_alerts_nobody(story: Story) -> None:
    id = opened(story)
    (update,) = story.updates(id)
    new = Text("Winna jest zapora.", "The firewall is at fault.")
    story.db.run_now(corrections.reword, update.id, new, by="jan", now=story.after(minutes=1).now)
    notice = shown(story, id)
    assert notice.updates[0].text == new
    assert notice.revisions[0].update_id == update.id
    assert dict(notice.revisions[0].before) == {"text_pl": SAID.pl, "text_en": SAID.en}
    assert story.events()[-1].payload["deliver"] is False


def test_a_translation_that_follows_replaces_nothing(story: Story) -> None:
    id = opened(story)
    half = story.db.run_now(
        incidents.post_update, id, Text("Winna jest zapora.", ""), by="ewa", now=story.now
    )
    update = story.updates(half.id)[-1]
    whole = Text("Winna jest zapora.", "The firewall is at fault.")
    story.db.run_now(corrections.reword, update.id, whole, by="jan", now=story.after(minutes=1).now)
    assert shown(story, id).updates[0].text == whole
    assert shown(story, id).revisions == ()


def test_a_new_title_keeps_the_old_one(story: Story) -> None:
    id = opened(story)
    story.db.run_now(corrections.rename, id, Text("Zapora", SAID.en), by="ewa", now=story.now)
    assert shown(story, id).name.pl == "Zapora"
    assert shown(story, id).revisions[0].before == (("name_pl", SAID.pl),)


def test_a_merged_incident_leads_to_the_other_one_with_all_it_had(story: Story) -> None:
    other = opened(story, "CRPA")
    paper = NewFallback("CRPA", FallbackState.PERMITTED)
    story.db.run_now(fallbacks.declare, other, paper, by="ewa", now=story.now, policy=story.policy)
    id = opened(story.after(minutes=10), "NCTS2")
    story.db.run_now(corrections.merge, other, id, by="ewa", now=story.after(minutes=1).now)
    snapshot = story.snapshot()
    assert [notice.id for notice in snapshot.incidents] == [id]
    assert snapshot.merged == {other: id}
    (notice,) = snapshot.incidents
    assert {a.code for a in notice.affected} == {"NCTS2", "CRPA"}
    assert notice.fallbacks[0].service.code == "CRPA"
    assert notice.began_at == story.now - timedelta(minutes=11)
    assert story.statuses() == {"NCTS2": "major_outage", "CRPA": "major_outage"}


def test_of_two_permissions_on_the_same_service_the_later_one_stays_in_force(story: Story) -> None:
    first, second = opened(story, "NCTS2"), opened(story.after(minutes=1), "NCTS2")
    paper = NewFallback("NCTS2", FallbackState.PERMITTED)
    for id in (second, first):
        story.after(minutes=1)
        story.db.run_now(fallbacks.declare, id, paper, by="ewa", now=story.now, policy=story.policy)
    story.db.run_now(corrections.merge, first, second, by="ewa", now=story.now)
    assert [(f.reference, f.is_current) for f in shown(story, second).fallbacks] == [
        ("AW-2", True),
        ("AW-1", False),
    ]


def test_only_open_ones_are_merged_and_never_with_themselves(story: Story) -> None:
    first, second = opened(story, "CRPA"), opened(story, "NCTS2")
    with pytest.raises(Conflict):
        story.db.run_now(corrections.merge, first, first, by="ewa", now=story.now)
    story.db.run_now(incidents.resolve, first, SAID, by="ewa", now=story.now)
    with pytest.raises(Conflict):
        story.db.run_now(corrections.merge, first, second, by="ewa", now=story.now)
    with pytest.raises(NotFound):
        story.db.run_now(corrections.merge, "nosuchincide", second, by="ewa", now=story.now)


def test_what_is_entered_afterwards_alerts_nobody_and_changes_nothing_of_today(story: Story) -> None:
    begin = story.now - timedelta(days=3)
    new = NewIncident(
        SAID, SAID, {"NCTS2": ServiceStatus.MAJOR_OUTAGE}, began_at=begin, ended_at=begin + timedelta(hours=1)
    )
    id = story.db.run_now(incidents.open_incident, new, by="ewa", now=story.now).id
    notice = shown(story, id)
    assert (notice.is_backfilled, notice.is_open, notice.impact) == (True, False, "critical")
    assert notice.affected[0].worst_status is ServiceStatus.MAJOR_OUTAGE
    assert story.statuses() == {}
    assert [event.payload["deliver"] for event in story.events()] == [False]


def test_two_officers_do_not_talk_past_each_other(story: Story) -> None:
    id = opened(story)
    (read,) = story.updates(id)
    story.db.run_now(incidents.post_update, id, SAID, by="jan", now=story.now, seen=read.id)
    with pytest.raises(Conflict, match="jan has posted an update"):
        story.db.run_now(incidents.post_update, id, SAID, by="ewa", now=story.now, seen=read.id)
    with pytest.raises(Conflict, match="jan"):
        story.db.run_now(incidents.resolve, id, SAID, by="ewa", now=story.now, seen=read.id)
