"""What monitors find becomes intervals and one incident."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from statuspage.incidents import catalogue, incidents, services
from statuspage.incidents.rules import ServiceStatus
from statuspage.incidents.snapshot import Text
from statuspage.incidents.tables import Interval
from statuspage.kernel.errors import NotFound

from .conftest import CATALOGUE, Story


def intervals(story: Story) -> list[Interval]:
    return story.db.read_now(lambda s: list(s.scalars(select(Interval).order_by(Interval.id))))


def test_a_confirmed_failure_opens_one_incident_that_began_at_the_first_failed_check(story: Story) -> None:
    story.found("NCTS2", ago_s=6)
    (notice,) = story.notices()
    assert notice.began_at == story.now - timedelta(seconds=6)
    assert notice.detected_at == story.now
    assert notice.name_pl == "NCTS2 nie działa"
    assert notice.name_en == "NCTS2 does not work"
    assert story.statuses() == {"NCTS2": "major_outage"}
    assert story.kinds() == ["component.updated", "incident.created"]


def test_an_interval_lasts_from_the_first_failed_to_the_first_good_check(story: Story) -> None:
    began = story.now - timedelta(seconds=6)
    story.found("NCTS2", ago_s=6)
    ended = story.after(minutes=5).now - timedelta(seconds=2)
    story.recovered("NCTS2")
    (interval,) = intervals(story)
    assert (interval.began_at, interval.ended_at) == (began, ended)


def test_a_gateway_fault_is_one_incident_with_impacted_children(story: Story) -> None:
    story.found("PUESC")
    (notice,) = story.notices()
    assert story.statuses() == {
        "PUESC": "major_outage",
        "NCTS2": "degraded_performance",
        "AES": "degraded_performance",
    }
    (view,) = story.snapshot().open_incidents
    assert {(a.code, a.by_parent) for a in view.affected} == {
        ("PUESC", False),
        ("NCTS2", True),
        ("AES", True),
    }
    assert "NCTS2" in story.updates(notice.id)[0].text_pl


@pytest.mark.parametrize(
    "order", [["PUESC", "NCTS2", "AES"], ["NCTS2", "PUESC", "AES"], ["NCTS2", "AES", "PUESC"]]
)
def test_children_join_their_parents_incident_whichever_failed_first(story: Story, order: list[str]) -> None:
    for code in order:
        story.found(code)
        story.after(seconds=2)
    (notice,) = story.notices()
    assert notice.name_pl == "PUESC nie działa"
    assert story.service("PUESC").id == notice.root_service_id


def test_a_parent_failing_after_two_unrelated_children_incidents_absorbs_them(story: Story) -> None:
    story.found("NCTS2")
    story.after(minutes=30).found("AES")
    assert len(story.notices()) == 2
    story.after(minutes=1).found("PUESC")
    (notice,) = story.notices()
    assert notice.name_pl == "PUESC nie działa"


def test_siblings_failing_soon_after_each_other_share_an_incident(story: Story) -> None:
    story.found("NCTS2")
    story.after(minutes=5).found("AES")
    (notice,) = story.notices()
    assert notice.name_en == "NCTS2 and AES do not work"


def test_siblings_failing_long_after_each_other_do_not_share_one(story: Story) -> None:
    story.found("NCTS2")
    story.after(hours=1).found("AES")
    assert len(story.notices()) == 2


def test_strangers_with_the_same_fault_share_an_incident_and_others_do_not(story: Story) -> None:
    story.found("NCTS2", fault="gw.example:443 HTTP 503")
    story.found("CRPA", fault="gw.example:443 HTTP 503")
    assert len(story.notices()) == 1
    story.found("OSOZ2", fault="elsewhere:443 HTTP 503")
    assert len(story.notices()) == 2


def test_recovery_of_everything_resolves_the_incident_by_itself(story: Story) -> None:
    story.found("PUESC")
    story.found("NCTS2")
    story.after(minutes=10).recovered("NCTS2")
    assert story.notices()[0].resolved_at is None
    assert story.statuses()["NCTS2"] == "degraded_performance"
    story.after(seconds=10).recovered("PUESC")
    (notice,) = story.notices()
    assert notice.status == "resolved"
    assert notice.ended_at == story.now - timedelta(seconds=2)
    assert story.statuses() == {}
    assert story.kinds()[-1] == "incident.resolved"


def test_a_failure_soon_after_recovery_reopens_the_incident(story: Story) -> None:
    for _ in range(5):
        story.found("NCTS2")
        story.after(minutes=1).recovered("NCTS2")
        story.after(minutes=2)
    (notice,) = story.notices()
    assert story.kinds().count("incident.created") == 1
    assert story.kinds().count("incident.reopened") == 4
    story.after(minutes=20).found("NCTS2")
    assert len(story.notices()) == 2
    assert notice.id != story.notices()[1].id


def test_a_slow_service_is_shown_but_opens_no_incident(story: Story) -> None:
    story.found("NCTS2", ServiceStatus.DEGRADED_PERFORMANCE)
    assert story.notices() == []
    assert story.statuses() == {"NCTS2": "degraded_performance"}


def test_a_slow_parent_impacts_no_children(story: Story) -> None:
    story.found("PUESC", ServiceStatus.DEGRADED_PERFORMANCE)
    assert story.statuses() == {"PUESC": "degraded_performance"}


def test_a_worse_finding_of_the_same_outage_extends_its_interval(story: Story) -> None:
    story.found("NCTS2", ServiceStatus.PARTIAL_OUTAGE, ago_s=6)
    story.after(seconds=2).found("NCTS2", ServiceStatus.MAJOR_OUTAGE, ago_s=8)
    (interval,) = intervals(story)
    assert interval.status == "major_outage"
    (notice,) = story.notices()
    assert notice.impact == "critical"
    assert [update.deliver for update in story.updates(notice.id)] == [True, False]


def test_unknown_keeps_the_last_published_status_and_opens_nothing(story: Story) -> None:
    story.db.run_now(services.report_unknown, story.service("NCTS2").id, since=story.now, now=story.now)
    (service,) = [s for s in story.snapshot().services if s.code == "NCTS2"]
    assert service.unmeasured_since == story.now
    assert service.status is ServiceStatus.OPERATIONAL
    assert story.notices() == []
    story.after(minutes=1).recovered("NCTS2")
    (service,) = [s for s in story.snapshot().services if s.code == "NCTS2"]
    assert service.unmeasured_since is None


def test_a_finding_from_a_clock_ahead_of_ours_makes_no_negative_interval(story: Story) -> None:
    story.found("NCTS2", ago_s=6)
    story.after(hours=-1).recovered("NCTS2")
    assert all(i.ended_at is None or i.ended_at >= i.began_at for i in intervals(story))


def test_the_draft_policy_shows_nothing_until_a_person_publishes(story: Story) -> None:
    story.found("OSOZ2")
    (notice,) = story.notices()
    assert notice.published_at is None
    assert story.statuses() == {}
    assert story.kinds() == []
    assert story.snapshot().incidents == ()


def test_an_unknown_code_names_those_there_are(story: Story) -> None:
    with pytest.raises(NotFound, match="AES, CRPA, NCTS2"):
        story.service("NCTS3")


def test_intervals_do_not_overlap_when_two_monitors_date_the_same_minutes_differently(story: Story) -> None:
    story.found("CRPA", ago_s=60)
    story.after(seconds=30).found("CRPA", ServiceStatus.OPERATIONAL, ago_s=0)
    story.after(seconds=5).found("CRPA", ServiceStatus.PARTIAL_OUTAGE, ago_s=20)
    first, second = intervals(story)
    assert first.ended_at is not None
    assert first.ended_at <= second.began_at


def test_an_outage_that_is_public_does_not_wait_in_another_services_draft(story: Story) -> None:
    story.found("OSOZ2", fault="gateway refused")
    story.after(seconds=5).found("CRPA", fault="gateway refused")
    assert [(notice.name_en, notice.published_at is None) for notice in story.notices()] == [
        ("OSOZ2 does not work", True),
        ("CRPA does not work", False),
    ]


def test_an_incident_ends_though_one_of_its_services_left_the_catalogue(story: Story) -> None:
    story.found("CRPA", fault="gateway refused")
    story.found("AES", fault="gateway refused")
    whole = catalogue.parse(CATALOGUE, where="catalogue.toml")
    rest = replace(whole, services=tuple(s for s in whole.services if s.code != "AES"))
    story.db.run_now(catalogue.apply, rest, now=story.after(minutes=1).now)
    story.after(minutes=1).recovered("CRPA")
    assert [notice.status for notice in story.notices()] == ["resolved"]


def test_every_one_of_many_open_incidents_ends_by_itself(story: Story) -> None:
    story.found("CRPA")
    for _ in range(50):
        new = incidents.NewIncident(Text("Awaria", "Fault"), Text("Trwa.", "Under way."), {})
        story.db.run_now(incidents.open_incident, new, by="officer", now=story.after(seconds=1).now)
    story.recovered("CRPA")
    assert story.notices()[0].status == "resolved"


def test_a_late_finding_about_a_service_that_left_the_catalogue_opens_nothing(story: Story) -> None:
    service_id = story.service("CRPA").id
    without = CATALOGUE[: CATALOGUE.index('[[services]]\ncode = "CRPA"')]
    story.db.run_now(catalogue.apply, catalogue.parse(without, where="c"), now=story.now)
    finding = services.Finding(service_id, ServiceStatus.MAJOR_OUTAGE, "HTTP 503", story.now)
    story.db.run_now(services.report, finding, now=story.now, policy=story.policy)
    assert story.notices() == []
