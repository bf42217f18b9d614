"""What exactly is affected and what is not, what becomes of messages, when the next word is due."""

from datetime import timedelta

import pytest

from statuspage.incidents import incidents
from statuspage.incidents.details import Details, NewHandling, Scope
from statuspage.incidents.incidents import NewIncident
from statuspage.incidents.rules import MessageHandling, ServiceStatus
from statuspage.incidents.snapshot import NoticeView, Text
from statuspage.kernel.errors import Invalid

from .conftest import Story

SAID = Text("Sprawdzamy.", "We look into it.")
RESEND = NewHandling(MessageHandling.RESEND)


def opened(story: Story, details: Details) -> str:
    new = NewIncident(SAID, SAID, {"NCTS2": ServiceStatus.MAJOR_OUTAGE}, details=details)
    return story.db.run_now(incidents.open_incident, new, by="ewa", now=story.now).id


def update(story: Story, id: str, more: Details) -> None:
    story.db.run_now(incidents.post_update, id, SAID, by="ewa", now=story.now, more=more)


def shown(story: Story) -> NoticeView:
    return story.snapshot().incidents[0]


def test_all_of_it_is_public(story: Story) -> None:
    opened(
        story,
        Details(
            scope={"NCTS2": Scope(channels=("web",))},
            unaffected=["CRPA"],
            handlings=[RESEND],
            next_update_at=story.now + timedelta(minutes=30),
        ),
    )
    notice = shown(story)
    assert notice.affected[0].channels == ("web",)
    assert [named.code for named in notice.unaffected] == ["CRPA"]
    assert [(h.service, h.handling) for h in notice.handlings] == [(None, MessageHandling.RESEND)]
    assert notice.next_update_at == story.now + timedelta(minutes=30)


def test_a_word_that_was_due_is_no_longer_due_once_it_is_said(story: Story) -> None:
    id = opened(story, Details(next_update_at=story.now + timedelta(minutes=30)))
    update(story.after(minutes=20), id, Details())
    assert shown(story).next_update_at is None


def test_a_later_word_on_messages_replaces_the_earlier_one_of_the_same_service(story: Story) -> None:
    id = opened(story, Details(handlings=[RESEND]))
    kept = [NewHandling(MessageHandling.KEPT), NewHandling(MessageHandling.REJECTED, service="NCTS2")]
    update(story, id, Details(handlings=kept))
    assert {h.service.code if h.service else "": h.handling for h in shown(story).handlings} == {
        "": MessageHandling.KEPT,
        "NCTS2": MessageHandling.REJECTED,
    }
    assert ("messages", "resend") in shown(story).revisions[0].before


def test_what_was_called_unaffected_and_is_not_so_any_more_stays_visible(story: Story) -> None:
    id = opened(story, Details(unaffected=["CRPA", "AES"]))
    update(story, id, Details(unaffected=["CRPA"]))
    assert [named.code for named in shown(story).unaffected] == ["CRPA"]
    assert shown(story).revisions[0].before == (("unaffected", "AES, CRPA"),)


@pytest.mark.parametrize(
    ("details", "field"),
    [
        (Details(scope={"CRPA": Scope()}), "scope"),
        (Details(scope={"NCTS2": Scope(functions=("Nothing",))}), "function"),
        (Details(scope={"NCTS2": Scope(channels=("pigeon",))}), "channel"),
        (Details(unaffected=["NOSUCH"]), "unaffected"),
        (Details(unaffected=["NCTS2"]), "unaffected"),
        (Details(handlings=[NewHandling(MessageHandling.KEPT, service="NOSUCH")]), "service"),
        (Details(handlings=[NewHandling(MessageHandling.KEPT, text=Text("", "x" * 20_001))]), "messages_en"),
    ],
)
def test_bad_input_names_its_field_and_leaves_nothing_behind(
    story: Story, details: Details, field: str
) -> None:
    with pytest.raises(Invalid) as caught:
        opened(story, details)
    assert caught.value.field == field
    assert story.notices() == []


def test_a_promise_for_the_past_and_a_window_that_ends_before_it_begins_are_refused(story: Story) -> None:
    with pytest.raises(Invalid, match="next_update_at"):
        opened(story, Details(next_update_at=story.now))
    backwards = NewHandling(
        MessageHandling.KEPT, sent_from=story.now, sent_until=story.now - timedelta(minutes=1)
    )
    with pytest.raises(Invalid, match="sent_until"):
        opened(story, Details(handlings=[backwards]))
