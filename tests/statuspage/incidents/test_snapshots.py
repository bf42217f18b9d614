"""The one read model: what it holds, when it changes, and what it never shows."""

from datetime import timedelta

from statuspage.incidents import incidents, maintenance
from statuspage.incidents.rules import Impact, ServiceStatus
from statuspage.incidents.snapshot import PageSnapshot, ServiceView, Text
from statuspage.incidents.snapshots import SnapshotBuilder
from statuspage.kernel import config

from .conftest import Story


def service(snapshot: PageSnapshot, code: str) -> ServiceView:
    return next(view for view in snapshot.services if view.code == code)


def builder() -> SnapshotBuilder:
    return SnapshotBuilder(config.Settings().zone, counts_maintenance=False)


def test_it_holds_every_service_in_page_order_under_its_group(story: Story) -> None:
    snapshot = story.snapshot()
    assert [(g.code, [s.code for s in g.services]) for g in snapshot.groups] == [
        ("common", ["SZPROT", "PUESC", "CRPA", "OSOZ2"]),
        ("transit", ["NCTS2", "AES"]),
    ]
    assert service(snapshot, "PUESC").parents == ("SZPROT",)
    assert service(snapshot, "PUESC").children == ("AES", "NCTS2")


def test_a_never_measured_service_is_operational_with_an_unmeasured_past(story: Story) -> None:
    view = service(story.snapshot(), "NCTS2")
    assert view.status is ServiceStatus.OPERATIONAL
    assert view.uptime is None
    assert {day.status for day in view.days} == {None}
    assert len(view.days) == 90


def test_the_indicator_is_the_worst_of_all(story: Story) -> None:
    assert story.snapshot().indicator is Impact.NONE
    story.found("CRPA", ServiceStatus.DEGRADED_PERFORMANCE)
    story.found("NCTS2")
    assert story.snapshot().indicator is Impact.CRITICAL


def test_updated_at_changes_with_public_state_and_not_with_time(story: Story) -> None:
    build = builder()
    before = story.snapshot(build)
    later = story.after(hours=3).snapshot(build)
    assert before.updated_at == later.updated_at
    story.found("NCTS2")
    assert story.snapshot(build).updated_at == story.now


def test_a_kept_builder_says_the_same_as_a_fresh_one(story: Story) -> None:
    build = builder()
    story.found("PUESC")
    story.snapshot(build)
    story.after(minutes=20).recovered("PUESC")
    story.snapshot(build)
    story.after(days=2).found("NCTS2")
    story.snapshot(build)
    incident_id = story.notices()[-1].id
    story.db.run_now(incidents.post_update, incident_id, Text("Trwa.", "Goes on."), by="x", now=story.now)
    story.after(days=1)
    assert story.snapshot(build) == story.snapshot()


def test_todays_bar_grows_while_an_outage_lasts(story: Story) -> None:
    build = builder()
    story.recovered("NCTS2")
    story.after(minutes=1).found("NCTS2")
    first = service(story.snapshot(build), "NCTS2").days[-1].down_s
    story.after(minutes=10)
    second = service(story.snapshot(build), "NCTS2").days[-1].down_s
    assert second - first == 600


def test_updates_are_newest_first_and_carry_what_changed(story: Story) -> None:
    story.found("NCTS2")
    story.after(minutes=1).recovered("NCTS2")
    (view,) = story.snapshot().incidents
    assert [update.status for update in view.updates] == ["resolved", "investigating"]
    assert [(c.code, c.old_status, c.new_status) for c in view.updates[-1].affected] == [
        ("NCTS2", "operational", "major_outage")
    ]
    assert view.affected[0].status is ServiceStatus.OPERATIONAL
    assert view.affected[0].worst_status is ServiceStatus.MAJOR_OUTAGE


def test_planned_work_lies_apart_soonest_first(story: Story) -> None:
    for hours in (48, 24):
        begins_at = story.now + timedelta(hours=hours)
        new = maintenance.NewMaintenance(
            Text(f"Za {hours} h", f"In {hours} h"),
            Text("x", "x"),
            ["AES"],
            begins_at,
            begins_at + timedelta(hours=1),
        )
        story.db.run_now(maintenance.schedule, new, by="officer", now=story.now, policy=story.policy)
    snapshot = story.snapshot()
    assert [notice.name.en for notice in snapshot.planned] == ["In 24 h", "In 48 h"]
    assert snapshot.incidents == ()


def test_the_seq_is_that_of_the_newest_event(story: Story) -> None:
    assert story.snapshot().seq == 0
    story.found("NCTS2")
    assert story.snapshot().seq == story.events()[-1].seq == 2


def test_archived_services_are_not_shown(story: Story) -> None:
    from statuspage.incidents import catalogue

    text = '[[groups]]\ncode = "common"\nname = { pl = "x", en = "x" }\n'
    story.db.run_now(catalogue.apply, catalogue.parse(text, where="c"), now=story.now)
    assert story.snapshot().services == ()
