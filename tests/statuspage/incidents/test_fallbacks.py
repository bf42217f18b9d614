"""The duty officer permits paper, says that it is not needed, withdraws it."""

from datetime import timedelta

import pytest

from statuspage.incidents import fallbacks, incidents
from statuspage.incidents.fallbacks import NewFallback
from statuspage.incidents.rules import FallbackState
from statuspage.incidents.snapshot import FallbackView, Text
from statuspage.incidents.tables import Fallback
from statuspage.kernel.errors import Conflict, Invalid, NotFound

from .conftest import Story

PERMITTED = FallbackState.PERMITTED
OVER = Text("Działa.", "It works.")


def outage(story: Story, code: str = "NCTS2") -> str:
    story.found(code)
    return story.notices()[0].id


def declare(story: Story, incident_id: str, **changes: object) -> Fallback:
    new = NewFallback(**({"service": "NCTS2", "state": PERMITTED} | changes))  # type: ignore[arg-type]
    return story.db.run_now(fallbacks.declare, incident_id, new, by="ewa", now=story.now, policy=story.policy)


def shown(story: Story) -> list[FallbackView]:
    return list(story.snapshot().incidents[0].fallbacks)


def test_a_permission_is_public_has_a_number_and_is_told(story: Story) -> None:
    id = outage(story)
    declare(story.after(minutes=2), id)
    (view,) = shown(story)
    assert (view.state, view.reference, view.begins_at, view.ends_at) == (PERMITTED, "AW-1", story.now, None)
    assert view.enter_by is None
    assert "AW-1" in story.updates(id)[-1].text_pl
    assert story.kinds()[-1] == "incident.updated"
    assert declare(story, id, service="NCTS2", function="").reference == "AW-2"


def test_whoever_permits_paper_has_taken_the_incident_over(story: Story) -> None:
    id = outage(story)
    declare(story, id)
    story.after(minutes=5).recovered("NCTS2")
    assert story.notices()[0].resolved_at is None
    assert story.notices()[0].id == id


def test_a_later_declaration_replaces_the_earlier_one_and_keeps_it(story: Story) -> None:
    id = outage(story)
    declare(story, id, state=FallbackState.NOT_NEEDED)
    declare(story.after(minutes=30), id)
    newest, replaced = shown(story)
    assert (newest.state, newest.is_current) == (PERMITTED, True)
    assert (replaced.state, replaced.is_current) == (FallbackState.NOT_NEEDED, False)


def test_each_function_has_its_own(story: Story) -> None:
    id = outage(story)
    service = story.service("NCTS2")
    story.db.run_now(lambda s: setattr(s.get(type(service), service.id), "functions", ["Arrival"]))
    declare(story, id)
    declare(story, id, function="Arrival", state=FallbackState.NOT_NEEDED)
    assert [(view.function, view.is_current) for view in shown(story)] == [("", True), ("Arrival", True)]


def test_a_withdrawn_permission_says_by_when_the_data_is_due(story: Story) -> None:
    id = outage(story)
    permission = declare(story, id)
    story.after(hours=2)
    story.db.run_now(fallbacks.withdraw, permission.id, by="ewa", now=story.now)
    (view,) = shown(story)
    assert view.state is FallbackState.WITHDRAWN
    assert view.enter_by == story.now + timedelta(days=7)
    with pytest.raises(Conflict):
        story.db.run_now(fallbacks.withdraw, permission.id, by="ewa", now=story.now)


def test_with_the_incident_ends_the_permission(story: Story) -> None:
    id = outage(story)
    declare(story, id)
    story.after(hours=1)
    story.db.run_now(incidents.resolve, id, OVER, by="ewa", now=story.now)
    (view,) = shown(story)
    assert (view.state, view.withdrawn_at) == (FallbackState.WITHDRAWN, story.now)


def test_one_whose_own_end_had_come_was_over_then(story: Story) -> None:
    id = outage(story)
    end = story.now + timedelta(minutes=30)
    declare(story, id, ends_at=end)
    story.after(hours=1)
    story.db.run_now(incidents.resolve, id, OVER, by="ewa", now=story.now)
    assert shown(story)[0].withdrawn_at == end


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"service": "NOSUCH"}, "service"),
        ({"function": "Nothing"}, "function"),
        ({"state": FallbackState.WITHDRAWN}, "fallback"),
        ({"reference": "two\nlines"}, "fallback_reference"),
        ({"reference": "x" * 61}, "fallback_reference"),
        ({"enter_within": timedelta()}, "enter_within"),
        ({"legal_basis": Text("x" * 5001, "")}, "legal_basis_pl"),
    ],
)
def test_bad_input_names_its_field_and_declares_nothing(
    story: Story, changes: dict[str, object], field: str
) -> None:
    id = outage(story)
    with pytest.raises(Invalid) as caught:
        declare(story, id, **changes)
    assert caught.value.field == field
    assert shown(story) == []


def test_an_end_before_the_beginning_is_refused(story: Story) -> None:
    with pytest.raises(Invalid, match="after the beginning"):
        declare(story, outage(story), ends_at=story.now - timedelta(minutes=1))


def test_paper_is_for_while_a_service_fails(story: Story) -> None:
    id = outage(story)
    story.db.run_now(incidents.resolve, id, OVER, by="ewa", now=story.now)
    with pytest.raises(Conflict, match="is over"):
        declare(story, id)
    with pytest.raises(NotFound):
        declare(story, "nosuchincide")


def test_permitting_paper_publishes_a_draft(story: Story) -> None:
    story.found("OSOZ2")
    id = story.notices()[0].id
    declare(story, id, service="OSOZ2")
    assert story.statuses() == {"OSOZ2": "major_outage"}
    assert story.kinds()[-1] == "incident.created"
