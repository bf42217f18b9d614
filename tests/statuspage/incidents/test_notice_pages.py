"""Notices a page at a time: nothing twice, nothing missed, also where several began at once."""

from datetime import timedelta

import pytest

from statuspage.incidents import incidents, notice_pages
from statuspage.incidents.incidents import NewIncident
from statuspage.incidents.notice_pages import Standing
from statuspage.incidents.rules import NoticeKind, ServiceStatus
from statuspage.incidents.snapshot import Text
from statuspage.kernel.errors import Invalid
from tests.statuspage.incidents.conftest import Story

TEXT = Text("Tekst", "Text")


def opened(story: Story, code: str = "CRPA", *, minutes_ago: int = 0) -> str:
    new = NewIncident(
        TEXT,
        TEXT,
        {code: ServiceStatus.PARTIAL_OUTAGE},
        began_at=story.now - timedelta(minutes=minutes_ago),
    )
    return story.db.run_now(incidents.open_incident, new, by="ewa", now=story.now).id


def ids(story: Story, **asked: object) -> list[str]:
    page = story.db.read_now(notice_pages.page, NoticeKind.INCIDENT, **asked)  # type: ignore[arg-type]
    return [notice.id for notice in page.notices]


def test_pages_follow_each_other_even_among_incidents_of_the_same_instant(story: Story) -> None:
    wanted = {opened(story) for _ in range(3)} | {opened(story, minutes_ago=5) for _ in range(2)}
    read: list[str] = []
    after = None
    for _ in range(3):
        page = story.db.read_now(notice_pages.page, NoticeKind.INCIDENT, after=after, limit=2)
        read += [notice.id for notice in page.notices]
        after = page.next
    assert after is None
    assert len(read) == 5
    assert set(read) == wanted


def test_a_page_is_not_moved_by_what_is_opened_meanwhile(story: Story) -> None:
    older, newer = opened(story, minutes_ago=9), opened(story, minutes_ago=1)
    first = story.db.read_now(notice_pages.page, NoticeKind.INCIDENT, limit=1)
    opened(story)
    assert [notice.id for notice in first.notices] == [newer]
    assert ids(story, after=first.next, limit=1) == [older]


def test_the_list_is_narrowed_by_standing_service_and_time(story: Story) -> None:
    story.found("OSOZ2")
    (draft,) = ids(story, standing=Standing.DRAFT)
    shown = opened(story)
    over = opened(story, "AES", minutes_ago=60)
    story.db.run_now(incidents.resolve, over, TEXT, by="ewa", now=story.now)
    assert ids(story, standing=Standing.OPEN) == [shown]
    assert ids(story, standing=Standing.OVER) == [over]
    assert ids(story, service="OSOZ2") == [draft]
    assert ids(story, began_before=story.now - timedelta(minutes=30)) == [over]
    assert over not in ids(story, began_from=story.now - timedelta(minutes=30))


@pytest.mark.parametrize("after", ["x", "AAAA", "żółw", "MjAyNi0wMS0wMVQwMDowMDowMCBh"])
def test_a_place_that_no_page_gave_is_refused_by_name(story: Story, after: str) -> None:
    with pytest.raises(Invalid, match="after"):
        ids(story, after=after)


def test_an_unknown_service_is_refused_by_name(story: Story) -> None:
    with pytest.raises(Invalid, match="service"):
        ids(story, service="NOPE")
