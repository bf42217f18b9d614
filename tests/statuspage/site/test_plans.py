"""The calendar of planned work."""

from datetime import timedelta

from statuspage.incidents.rules import MaintenanceStatus
from statuspage.incidents.snapshot import PageSnapshot
from statuspage.site import pages
from tests.statuspage.site import snapshots
from tests.statuspage.site.snapshots import HOUSE, NOW, maintenance
from tests.statuspage.site.test_pages import said, tree_of


def work() -> PageSnapshot:
    return snapshots.page(
        maintenances=(
            maintenance("next", MaintenanceStatus.SCHEDULED, starts_at=NOW + timedelta(days=12)),
            maintenance("soon", MaintenanceStatus.SCHEDULED, starts_at=NOW + timedelta(days=2)),
            maintenance("gone", MaintenanceStatus.CANCELLED, starts_at=NOW - timedelta(days=1)),
            maintenance("done", MaintenanceStatus.COMPLETED, starts_at=NOW - timedelta(days=7)),
        )
    )


def test_what_is_ahead_comes_first_and_the_soonest_first() -> None:
    tree = tree_of(work(), "/maintenance")
    links = tree.xpath("//table//th/a/@href")
    assert [link[-12:] for link in links] == ["mntsoon00000", "mntnext00000"]
    assert "5 days ahead" in said(tree.xpath("//tbody/tr")[0])
    assert tree.xpath("//a[@href='/history.ics?lang=en']")


def test_a_month_shows_all_its_work_and_what_became_of_it() -> None:
    tree = tree_of(work(), "/maintenance/2026-11")
    rows = [said(row) for row in tree.xpath("//tbody/tr")]
    assert len(rows) == 3
    assert "completed" in rows[0]
    assert "cancelled" in rows[1]
    assert "planned" in rows[2]
    assert tree.xpath("//nav//a[@aria-current='page']/@href") == ["/en/maintenance/2026-11"]
    assert {f"/maintenance/2026-{month}" for month in (11, 12)} <= set(
        pages.paths(work(), HOUSE.settings.zone)
    )


def test_a_month_without_work_has_no_page_and_no_work_says_what_that_means() -> None:
    assert pages.render(work(), "/maintenance/2026-09", "pl", HOUSE, now=NOW) is None
    assert "No work is planned" in said(tree_of(snapshots.all_green(), "/maintenance").xpath("//main")[0])
