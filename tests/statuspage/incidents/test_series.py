"""Recurring work: its occurrences are planned work like any other, and each is made once."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy.exc import IntegrityError

from statuspage.incidents import amendments, catalogue, maintenance, recurrence, series
from statuspage.incidents.snapshot import Text
from statuspage.incidents.tables import Notice
from statuspage.kernel import config
from statuspage.kernel.errors import Conflict, Invalid, NotFound

from .conftest import CATALOGUE, Story
from .test_amendments import SAID, view

WARSAW = ZoneInfo("Europe/Warsaw")


def created(
    story: Story,
    rule: str = "FREQ=WEEKLY;BYDAY=SA",
    *codes: str,
    at: str = "2026-11-28T22:00",
    hours: float = 3,
) -> str:
    plan = recurrence.parse(
        rule,
        zone="Europe/Warsaw",
        begins_local=datetime.fromisoformat(at),
        duration=timedelta(hours=hours),
    )
    new = series.NewSeries(Text("Prace co tydzień", "Weekly work"), SAID, codes or ("AES", "CRPA"), plan)
    return story.db.run_now(series.create, new, by="officer", now=story.now, policy=story.policy).id


def planned(story: Story) -> int:
    return story.db.run_now(series.plan, now=story.now, policy=story.policy)


def days(story: Story) -> list[str]:
    found = sorted(story.notices(), key=lambda notice: notice.window.begins_at)
    return [f"{notice.window.begins_at.astimezone(WARSAW):%m-%d %H:%M}" for notice in found]


@pytest.fixture
def november(story: Story) -> Story:
    story.now = datetime(2026, 11, 24, 8, tzinfo=UTC)
    return story


def test_the_occurrences_of_the_coming_weeks_are_announced_at_once_and_the_rest_in_time(
    november: Story,
) -> None:
    created(november)
    assert days(november) == [f"{day} 22:00" for day in ("11-28", "12-05", "12-12", "12-19", "12-26")]
    assert planned(november) == 0
    assert planned(november.after(days=4)) == 0
    assert planned(november.after(days=1)) == 1
    assert planned(november) == 0
    assert days(november)[-1] == "01-02 22:00"
    keys = [notice.occurrence for notice in november.notices()]
    assert keys[0] == "2026-11-28T22:00"
    assert len(keys) == len(set(keys)) == 6


def test_one_mail_tells_of_all_that_is_announced_at_once(november: Story) -> None:
    created(november)
    events = [event for event in november.events() if event.kind == "maintenance.scheduled"]
    assert [event.payload["deliver"] for event in events] == [True, False, False, False, False]
    assert len(events[0].payload["also"]) == 4
    planned(november.after(days=5))
    assert november.events()[-1].payload["deliver"] is True


def test_an_occurrence_cannot_be_made_a_second_time(november: Story) -> None:
    created(november)
    (first, *_) = november.notices()

    def again(session):  # type: ignore[no-untyped-def]
        values = {column.name: getattr(first, column.name) for column in Notice.__table__.columns}
        session.add(Notice(**values | {"id": "anotherone00"}))

    with pytest.raises(IntegrityError):
        november.db.run_now(again)


def test_an_occurrence_moved_or_cancelled_alone_stays_so_and_is_not_made_again(november: Story) -> None:
    created(november)
    first, second, *_ = (notice.id for notice in sorted(november.notices(), key=lambda n: n.window.begins_at))
    november.db.run_now(maintenance.cancel, first, by="officer", now=november.now, policy=november.policy)
    begin = datetime(2026, 12, 6, 6, tzinfo=WARSAW)
    november.db.run_now(
        amendments.reschedule,
        second,
        by="officer",
        now=november.now,
        policy=november.policy,
        zone=WARSAW,
        begins_at=begin,
        ends_at=begin + timedelta(hours=3),
    )
    planned(november.after(hours=12))
    assert view(november, first).status == "cancelled"
    assert days(november)[:3] == ["11-28 22:00", "12-06 06:00", "12-12 22:00"]
    assert view(november, second).occurrence == "2026-12-05T22:00"


def test_a_series_over_the_change_of_the_clocks_keeps_its_local_hour(story: Story) -> None:
    story.now = datetime(2027, 3, 1, 8, tzinfo=UTC)
    created(story, "FREQ=WEEKLY", at="2027-03-14T02:30", hours=1)
    assert days(story) == ["03-14 02:30", "03-21 02:30", "03-28 03:00", "04-04 02:30"]
    starts = [notice.window.begins_at.hour for notice in story.notices()]
    assert starts == [1, 1, 1, 0]


def test_ending_a_series_calls_off_what_has_not_begun(november: Story) -> None:
    id = created(november)
    november.now = datetime(2026, 11, 28, 22, tzinfo=WARSAW)
    november.db.run_now(maintenance.advance, now=november.now, policy=november.policy)
    november.db.run_now(series.end, id, by="officer", now=november.now, policy=november.policy)
    states = [n.status for n in sorted(november.notices(), key=lambda n: n.window.begins_at)]
    assert states == ["in_progress", "cancelled", "cancelled", "cancelled", "cancelled"]
    cancelled = [event for event in november.events() if event.kind == "maintenance.cancelled"]
    assert [event.payload["deliver"] for event in cancelled] == [True, False, False, False]
    assert len(cancelled[0].payload["also"]) == 3
    assert planned(november.after(days=60)) == 0
    with pytest.raises(Conflict, match="ended already"):
        november.db.run_now(series.end, id, by="officer", now=november.now, policy=november.policy)


def test_a_series_may_end_and_leave_what_was_announced(november: Story) -> None:
    id = created(november)
    november.db.run_now(
        series.end, id, by="officer", now=november.now, policy=november.policy, leave_announced=True
    )
    assert {notice.status for notice in november.notices()} == {"scheduled"}
    assert planned(november.after(days=30)) == 0


def test_a_standstill_leaves_out_what_has_passed_and_makes_the_rest(november: Story) -> None:
    created(november)
    november.now = datetime(2027, 2, 1, 8, tzinfo=UTC)
    assert planned(november) == 5
    assert days(november)[5:] == [f"{day} 22:00" for day in ("02-06", "02-13", "02-20", "02-27", "03-06")]


def test_a_series_with_an_end_of_its_own_stops_there(november: Story) -> None:
    created(november, "FREQ=DAILY;COUNT=2", at="2026-11-30T05:00")
    assert days(november) == ["11-30 05:00", "12-01 05:00"]
    assert planned(november.after(days=3)) == 0


def test_a_service_that_left_the_catalogue_is_left_out(november: Story) -> None:
    created(november)
    smaller = catalogue.parse(CATALOGUE.replace('code = "CRPA"', 'code = "OTHER"'), where="x")
    november.db.run_now(catalogue.apply, smaller, now=november.now)
    planned(november.after(days=6))
    newest = max(november.snapshot().maintenances, key=lambda notice: notice.window.begins_at)
    assert [affected.code for affected in newest.affected] == ["AES"]


def test_the_horizon_is_a_setting(november: Story) -> None:
    november.policy = config.Incidents(plan_ahead=timedelta(days=7))
    created(november)
    assert days(november) == ["11-28 22:00"]


def test_bad_series_are_refused_and_leave_nothing(november: Story) -> None:
    with pytest.raises(Invalid, match="start: lies in the past"):
        created(november, at="2026-11-21T22:00")
    with pytest.raises(NotFound, match="NOPE"):
        created(november, "FREQ=WEEKLY", "NOPE")
    assert november.db.read_now(series.listed) == []
    with pytest.raises(NotFound, match="no series nothing"):
        november.db.run_now(series.end, "nothing", by="x", now=november.now, policy=november.policy)
