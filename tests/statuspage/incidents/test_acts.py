"""Acts of publication: drafts, second persons, broken glass, timed ones, two who edit one draft."""

from dataclasses import replace
from datetime import timedelta

import pytest

from statuspage.incidents import acts, incidents
from statuspage.incidents.acts import ActKind, ActState, Content
from statuspage.incidents.details import Details, NewHandling, Scope
from statuspage.incidents.fallbacks import NewFallback
from statuspage.incidents.rules import FallbackState, Impact, IncidentStatus, MessageHandling, ServiceStatus
from statuspage.incidents.snapshot import Text
from statuspage.incidents.tables import Act
from statuspage.kernel import config
from statuspage.kernel.errors import Conflict, Forbidden, Invalid, NotFound
from tests.statuspage.incidents.conftest import Story

TITLE, TEXT = Text("AES nie działa", "AES does not work"), Text("Sprawdzamy.", "We look into it.")
OPEN = Content(ActKind.OPEN, name=TITLE, text=TEXT, services={"AES": ServiceStatus.MAJOR_OUTAGE})
FOUR_EYES = config.Incidents(four_eyes_from="critical")


def write(story: Story, content: Content = OPEN, *, by: str = "anna") -> Act:
    return story.db.run_now(acts.write, content, by=by, now=story.now)


def perform(
    story: Story, act: Act, *, by: str, policy: config.Incidents | None = None, break_glass: str = ""
) -> str:
    return story.db.run_now(
        acts.perform, act.id, by=by, now=story.now, policy=policy or story.policy, break_glass=break_glass
    ).id


def now_of(story: Story, act: Act) -> Act:
    return story.db.read_now(lambda s: s.get_one(Act, act.id))


def test_a_draft_changes_nothing_public_until_it_is_performed(story: Story) -> None:
    act = write(story)
    assert (story.notices(), story.kinds()) == ([], [])
    notice_id = perform(story, act, by="anna")
    (notice,) = story.notices()
    assert (notice.id, notice.name_pl, story.statuses()) == (
        notice_id,
        "AES nie działa",
        {"AES": "major_outage"},
    )
    done = now_of(story, act)
    assert (done.state, done.notice_id, done.approved_by) == (ActState.DONE, notice_id, None)
    with pytest.raises(Conflict):
        perform(story, act, by="anna")


def test_content_survives_its_storage_whole(story: Story) -> None:
    content = replace(
        OPEN,
        impact=Impact.MAJOR,
        status=IncidentStatus.IDENTIFIED,
        began_at=story.now - timedelta(hours=1),
        details=Details(
            scope={"AES": Scope((), ("web",))},
            unaffected=["CRPA"],
            handlings=[NewHandling(MessageHandling.RESEND, "AES", story.now - timedelta(hours=1))],
            next_update_at=story.now + timedelta(minutes=30),
        ),
        fallbacks=[NewFallback("AES", FallbackState.PERMITTED, enter_within=timedelta(days=7))],
    )
    act = now_of(story, write(story, content))
    stored = acts.content_of(act)
    assert act.content == acts.stored(content) == acts.stored(stored)
    assert (stored.details.scope, stored.began_at) == (content.details.scope, content.began_at)


@pytest.mark.parametrize(
    ("threshold", "status", "is_needed"),
    [
        ("never", ServiceStatus.MAJOR_OUTAGE, False),
        ("critical", ServiceStatus.MAJOR_OUTAGE, True),
        ("critical", ServiceStatus.PARTIAL_OUTAGE, False),
        ("major", ServiceStatus.PARTIAL_OUTAGE, True),
        ("minor", ServiceStatus.DEGRADED_PERFORMANCE, True),
        ("minor", ServiceStatus.OPERATIONAL, False),
    ],
)
def test_the_impact_decides_whether_a_second_person_is_needed(
    story: Story, threshold: str, status: ServiceStatus, *, is_needed: bool
) -> None:
    policy = config.Incidents(four_eyes_from=threshold)
    content = replace(OPEN, services={"AES": status})
    assert story.db.read_now(acts.needs_second, content, policy=policy) is is_needed


def test_an_update_is_as_grave_as_the_incident_that_it_is_about(story: Story) -> None:
    notice_id = perform(story, write(story), by="anna")
    update = Content(ActKind.UPDATE, notice_id, text=TEXT)
    assert story.db.read_now(acts.needs_second, update, policy=FOUR_EYES)


def test_whoever_wrote_it_cannot_publish_it_where_two_are_needed_and_another_can(story: Story) -> None:
    act = write(story)
    with pytest.raises(Forbidden):
        perform(story, act, by="anna", policy=FOUR_EYES)
    assert story.notices() == []
    story.db.run_now(acts.hand_over, act.id)
    assert now_of(story, act).state == ActState.WAITING
    perform(story, act, by="jan", policy=FOUR_EYES)
    assert now_of(story, act).approved_by == "jan"
    assert [update.author for update in story.updates(story.notices()[0].id)] == ["anna"]


def test_who_changes_a_draft_hands_it_back_to_the_other_one(story: Story) -> None:
    act = write(story)
    changed = replace(OPEN, text=Text("Inaczej.", "Otherwise."))
    story.db.run_now(acts.edit, act.id, changed, by="jan", now=story.now, version=1)
    with pytest.raises(Forbidden):
        perform(story, act, by="jan", policy=FOUR_EYES)
    perform(story, act, by="anna", policy=FOUR_EYES)
    assert [update.author for update in story.updates(story.notices()[0].id)] == ["jan"]
    assert now_of(story, act).approved_by == "anna"


@pytest.mark.parametrize(
    ("reason", "is_done"), [("", False), ("   ", False), ("nobody can be reached", True)]
)
def test_the_glass_is_broken_with_a_reason_that_is_kept(story: Story, reason: str, *, is_done: bool) -> None:
    act = write(story)
    if not is_done:
        with pytest.raises(Forbidden):
            perform(story, act, by="anna", policy=FOUR_EYES, break_glass=reason)
        return
    perform(story, act, by="anna", policy=FOUR_EYES, break_glass=reason)
    assert now_of(story, act).broke_glass == reason


def test_a_reason_is_not_kept_where_no_second_person_was_needed(story: Story) -> None:
    act = write(story)
    perform(story, act, by="anna", break_glass="just in case")
    assert now_of(story, act).broke_glass == ""


def test_of_two_who_edit_a_draft_the_second_is_told_and_nothing_is_lost(story: Story) -> None:
    act = write(story)
    first = replace(OPEN, text=Text("Pierwszy.", "First."))
    story.db.run_now(acts.edit, act.id, first, by="jan", now=story.now, version=1)
    with pytest.raises(Conflict, match="jan has edited"):
        story.db.run_now(acts.edit, act.id, OPEN, by="ola", now=story.now, version=1)
    assert acts.content_of(now_of(story, act)).text == first.text


def test_editing_takes_back_what_was_agreed_to(story: Story) -> None:
    act = write(story)
    at = story.now + timedelta(hours=1)
    story.db.run_now(acts.schedule, act.id, at, by="anna", now=story.now, policy=story.policy)
    story.db.run_now(acts.edit, act.id, OPEN, by="anna", now=story.now, version=1)
    edited = now_of(story, act)
    assert (edited.state, edited.publish_at) == (ActState.DRAFT, None)


def test_a_timed_act_is_published_at_its_time_and_not_before(story: Story) -> None:
    act = write(story)
    at = story.now + timedelta(hours=1)
    story.db.run_now(acts.schedule, act.id, at, by="jan", now=story.now, policy=FOUR_EYES)
    assert story.db.read_now(acts.next_due_at) == at
    assert story.db.run_now(acts.perform_due, now=story.now, policy=FOUR_EYES) == 0
    story.after(hours=1)
    assert story.db.run_now(acts.perform_due, now=story.now, policy=FOUR_EYES) == 1
    assert story.statuses() == {"AES": "major_outage"}
    assert story.db.read_now(acts.next_due_at) is None
    assert story.db.run_now(acts.perform_due, now=story.now, policy=FOUR_EYES) == 0


def test_a_time_past_and_a_first_author_alone_are_refused(story: Story) -> None:
    act = write(story)
    with pytest.raises(Invalid) as refused:
        story.db.run_now(acts.schedule, act.id, story.now, by="anna", now=story.now, policy=story.policy)
    assert refused.value.field == "publish_at"
    later = story.now + timedelta(hours=1)
    with pytest.raises(Forbidden):
        story.db.run_now(acts.schedule, act.id, later, by="anna", now=story.now, policy=FOUR_EYES)


def test_a_timed_act_that_cannot_be_published_is_a_draft_again_and_says_why_and_holds_up_no_other(
    story: Story,
) -> None:
    notice_id = perform(story, write(story), by="anna")
    late = write(story, Content(ActKind.RESOLVE, notice_id, text=TEXT))
    other = write(story, replace(OPEN, services={"CRPA": ServiceStatus.PARTIAL_OUTAGE}))
    at = story.now + timedelta(hours=1)
    for act in (late, other):
        story.db.run_now(acts.schedule, act.id, at, by="anna", now=story.now, policy=story.policy)
    story.db.run_now(incidents.resolve, notice_id, TEXT, by="jan", now=story.now)
    story.after(hours=2)
    assert story.db.run_now(acts.perform_due, now=story.now, policy=story.policy) == 1
    failed = now_of(story, late)
    assert failed.state == ActState.DRAFT
    assert str(acts.failure_of(failed)) == f"incident {notice_id} is resolved already"
    assert now_of(story, other).state == ActState.DONE


def test_an_act_that_speaks_past_another_person_is_refused(story: Story) -> None:
    notice_id = perform(story, write(story), by="anna")
    seen = story.updates(notice_id)[-1].id
    mine = write(story, Content(ActKind.UPDATE, notice_id, text=TEXT, seen=seen))
    story.db.run_now(incidents.post_update, notice_id, TEXT, by="jan", now=story.now)
    with pytest.raises(Conflict, match="jan has posted"):
        perform(story, mine, by="anna")
    assert now_of(story, mine).state == ActState.DRAFT


def test_the_title_of_what_monitors_drafted_may_be_written_anew_and_leaves_no_trace(story: Story) -> None:
    story.found("OSOZ2")
    (draft,) = story.notices()
    assert draft.published_at is None
    act = write(story, Content(ActKind.UPDATE, draft.id, name=TITLE, text=TEXT))
    perform(story, act, by="anna")
    (view,) = story.snapshot().incidents
    assert view.name == TITLE
    assert not [field for revision in view.revisions for field, _ in revision.before if "name" in field]


def test_the_title_of_what_is_public_is_kept_when_it_changes(story: Story) -> None:
    notice_id = perform(story, write(story), by="anna")
    renamed = Content(ActKind.UPDATE, notice_id, name=Text("Inny", "Other"), text=TEXT)
    perform(story, write(story, renamed), by="anna")
    (view,) = story.snapshot().incidents
    assert view.name == Text("Inny", "Other")
    assert ("name_en", "AES does not work") in [pair for r in view.revisions for pair in r.before]


def test_what_is_dropped_is_kept_and_over(story: Story) -> None:
    act = write(story)
    story.db.run_now(acts.drop, act.id, by="jan", now=story.now)
    assert now_of(story, act).edited_by == "jan"
    assert story.db.read_now(acts.listed) == []
    with pytest.raises(Conflict):
        perform(story, act, by="anna")
    with pytest.raises(NotFound):
        story.db.read_now(acts.get_open, "nosuchdraft1", to_change=False)


def test_a_draft_may_be_unfinished_and_says_so_only_when_it_is_published(story: Story) -> None:
    act = write(story, Content(ActKind.OPEN))
    with pytest.raises(Invalid) as refused:
        perform(story, act, by="anna")
    assert refused.value.field == "title_pl"
    assert now_of(story, act).state == ActState.DRAFT
