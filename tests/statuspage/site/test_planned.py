"""Planned work on its page and in the calendar: how early it was announced, what left it, what is overdue."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import icalendar
import pytest

from statuspage.incidents.announcement import Announcement
from statuspage.incidents.snapshot import NoticeView, PageSnapshot, RevisionView
from statuspage.kernel.config import Page, Settings
from statuspage.kernel.i18n import format_clock
from statuspage.site import feeds
from tests.statuspage.site import snapshots
from tests.statuspage.site.snapshots import NOW
from tests.statuspage.site.test_pages import said, tree_of

AHEAD = timedelta(hours=48)
ZONE = Settings().zone


def with_work(**changes: Any) -> tuple[PageSnapshot, NoticeView]:
    """The page with its upcoming work changed so; `excused` as hours from its begin, `early` in days."""
    snapshot = snapshots.planned()
    notice = next(n for n in snapshot.maintenances if n.status == "scheduled")
    changed = replace(notice, **changes)
    rest = tuple(changed if n.id == notice.id else n for n in snapshot.maintenances)
    return replace(snapshot, maintenances=rest), changed


def facts(snapshot: PageSnapshot, notice: NoticeView, language: str = "en") -> dict[str, str]:
    tree = tree_of(snapshot, f"/incidents/{notice.id}", language)
    return {
        said(row.xpath("dt")[0]): said(row.xpath("dd")[0]) for row in tree.xpath("//dl[@class='facts']/div")
    }


def announcement(notice: NoticeView, *, days: int, late_h: int | None = 0) -> Announcement:
    """Announced so many days ahead, its last `late_h` hours later than allowed; None: all of it."""
    window = notice.window
    excused = None if late_h is None else replace(window, ends_at=window.ends_at - timedelta(hours=late_h))
    return Announcement(window.begins_at - timedelta(days=days, hours=9), AHEAD, excused)


@pytest.mark.parametrize(
    ("late_h", "english", "polish"),
    [
        (0, "announced 5 days ahead", "zapowiedziane 5 dni wcześniej"),
        (
            None,
            "announced less than 48 hours ahead: does not count as announced unavailability",
            "zapowiedziane mniej niż 48 godzin wcześniej: nie liczą się jako zapowiedziana niedostępność",
        ),
    ],
)
def test_a_notice_says_how_early_it_was_announced(late_h: int | None, english: str, polish: str) -> None:
    _, notice = with_work()
    snapshot, notice = with_work(announcement=announcement(notice, days=5, late_h=late_h))
    assert facts(snapshot, notice)["Announced"] == english
    assert facts(snapshot, notice, "pl")["Zapowiedź"] == polish


def test_a_notice_says_which_part_of_an_extension_counts_and_what_the_end_was() -> None:
    _, notice = with_work()
    old_end = notice.window.ends_at - timedelta(hours=1)
    revision = RevisionView(NOW, None, (("scheduled_until", f"{old_end:%Y-%m-%dT%H:%M:%SZ}"),))
    snapshot, notice = with_work(announcement=announcement(notice, days=5, late_h=1), revisions=(revision,))
    found = facts(snapshot, notice)
    assert found["Announced"].startswith("announced 5 days ahead; ")
    assert found["Announced"].endswith(
        "was announced less than 48 hours ahead: it does not count as announced unavailability"
    )
    assert "The planned end was" in found
    assert found["Announced before"].endswith(f"{format_clock(old_end, ZONE)} (UTC+1)")


def test_a_notice_that_nobody_judged_says_nothing() -> None:
    snapshot, notice = with_work(announcement=None)
    assert "Announced" not in facts(snapshot, notice)


def test_work_by_hand_is_planned_to_begin_and_says_when_it_is_late() -> None:
    snapshot, notice = with_work(by_hand=True)
    assert "Planned to begin at" in facts(snapshot, notice)
    late = {"scheduled_for": NOW - timedelta(minutes=20), "scheduled_until": NOW + timedelta(hours=2)}
    snapshot, notice = with_work(by_hand=True, **late)
    assert facts(snapshot, notice)["Planned to begin at"].endswith("– has not begun yet")


def test_work_by_hand_that_overruns_says_so() -> None:
    snapshot, notice = with_work(
        by_hand=True,
        status="in_progress",
        scheduled_for=NOW - timedelta(hours=4),
        scheduled_until=NOW - timedelta(minutes=30),
    )
    assert facts(snapshot, notice)["To"].endswith("– 30 minutes overdue")


def test_a_service_taken_out_is_shown_apart_with_its_time() -> None:
    _, notice = with_work()
    first, *rest = notice.affected
    assert rest
    snapshot, notice = with_work(affected=(replace(first, cancelled_at=NOW), *rest))
    tree = tree_of(snapshot, f"/incidents/{notice.id}")
    (apart,) = tree.xpath("//h2[normalize-space()='Not affected any more']/following-sibling::ul[1]")
    assert said(apart).startswith(f"{first.name.en} since today")
    (affected,) = tree.xpath("//h2[normalize-space()='Services affected']/following-sibling::ul[1]")
    assert first.name.en not in [said(link) for link in affected.xpath(".//a")]


def calendar(snapshot: PageSnapshot, language: str = "en") -> dict[str, Any]:
    body = feeds.ics(snapshot, Page(), "https://status.example", language)
    events = icalendar.Calendar.from_ical(body).walk("VEVENT")
    return {str(event["UID"]).partition("@")[0]: event for event in events}


def test_an_extended_event_replaces_the_old_one() -> None:
    snapshot, notice = with_work()
    longer, after = with_work(
        scheduled_until=notice.window.ends_at + timedelta(hours=1), version=notice.version + 2
    )
    old, new = calendar(snapshot)[notice.id], calendar(longer)[after.id]
    assert old["UID"] == new["UID"]
    assert new["SEQUENCE"] > old["SEQUENCE"]
    assert new.decoded("DTEND") - old.decoded("DTEND") == timedelta(hours=1)


def test_an_event_tells_what_left_the_work_and_how_early_it_was_announced() -> None:
    _, notice = with_work()
    first, *rest = notice.affected
    snapshot, notice = with_work(
        affected=(replace(first, cancelled_at=NOW), *rest), announcement=announcement(notice, days=5)
    )
    description = str(calendar(snapshot)[notice.id]["DESCRIPTION"])
    assert f"No longer concerns: {first.name.en}" in description
    assert f"Concerns: {', '.join(a.name.en for a in rest)}" in description
    assert "Announcement: announced 5 days ahead" in description
