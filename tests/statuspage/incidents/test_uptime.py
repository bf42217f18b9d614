"""Uptime: which time counts, and for what."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statuspage.incidents.announcement import Announcement, Window
from statuspage.incidents.rules import ServiceStatus
from statuspage.incidents.snapshot import Day
from statuspage.incidents.uptime import UNKNOWN, Span, Work, account_day, mean_uptime, work_done

DAY = date(2026, 3, 1)
BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
END = BEGIN + timedelta(days=1)
LATER = END + timedelta(days=1)


def at(hour: float) -> datetime:
    return BEGIN + timedelta(hours=hour)


def span(status: str, begin_h: float, end_h: float | None) -> Span:
    return Span(status, at(begin_h), None if end_h is None else at(end_h))


def account(
    *spans: Span,
    windows: tuple[Span, ...] = (),
    late: tuple[Span, ...] = (),
    measured_from: datetime | None = BEGIN,
    now: datetime = LATER,
    counts_maintenance: bool = False,
) -> Day:
    return account_day(
        DAY,
        BEGIN,
        END,
        spans,
        windows,
        late=late,
        first_measured_at=measured_from,
        now=now,
        counts_maintenance=counts_maintenance,
    )


MAINTENANCE = span("under_maintenance", 8, 14)


@pytest.mark.parametrize(
    ("what", "day", "uptime", "status"),
    [
        ("a good day", account(), 1.0, "operational"),
        ("six hours down", account(span("major_outage", 6, 12)), 0.75, "major_outage"),
        ("partly down counts alike", account(span("partial_outage", 6, 12)), 0.75, "partial_outage"),
        ("slow counts as up", account(span("degraded_performance", 6, 12)), 1.0, "degraded_performance"),
        ("still down", account(span("major_outage", 18, None)), 0.75, "major_outage"),
        ("down since yesterday", account(span("major_outage", -5, 6)), 0.75, "major_outage"),
        (
            "not measured half of the day, down half of the rest",
            account(span(UNKNOWN, 0, 12), span("major_outage", 12, 18)),
            0.5,
            "major_outage",
        ),
        ("not measured at all", account(span(UNKNOWN, 0, 24)), None, None),
        (
            "measured from noon, down for three hours",
            account(span("major_outage", 12, 15), measured_from=at(12)),
            0.75,
            "major_outage",
        ),
        ("never measured", account(measured_from=None), None, None),
        ("measured only later", account(measured_from=LATER), None, None),
        ("maintenance left out", account(windows=(MAINTENANCE,)), 1.0, "under_maintenance"),
        (
            "down within maintenance",
            account(span("major_outage", 8, 14), windows=(MAINTENANCE,)),
            1.0,
            "under_maintenance",
        ),
        (
            "down beyond maintenance",
            account(span("major_outage", 8, 23), windows=(MAINTENANCE,)),
            0.5,
            "major_outage",
        ),
        (
            "down in maintenance that counts",
            account(span("major_outage", 8, 14), windows=(MAINTENANCE,), counts_maintenance=True),
            0.75,
            "major_outage",
        ),
        ("today until noon", account(span("major_outage", 6, 9), now=at(12)), 0.75, "major_outage"),
    ],
)
def test_accounting(what: str, day: Day, uptime: float | None, status: str | None) -> None:
    assert day.uptime == (None if uptime is None else pytest.approx(uptime)), what
    assert day.status == status, what


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["major_outage", "partial_outage", "degraded_performance", UNKNOWN]),
            st.floats(-30, 50),
            st.one_of(st.none(), st.floats(-30, 50)),
        ),
        max_size=6,
    )
)
def test_a_share_is_always_a_share_and_seconds_are_never_negative(
    spans: list[tuple[str, float, float | None]],
) -> None:
    day = account(*(span(*values) for values in spans))
    assert day.uptime is None or 0 <= day.uptime <= 1
    assert min(day.down_s, day.degraded_s, day.maintenance_s, day.unknown_s, day.accountable_s) >= 0


@pytest.mark.parametrize("measured_from", [None, BEGIN - timedelta(days=9), at(6), END])
@pytest.mark.parametrize("now", [BEGIN - timedelta(days=1), BEGIN, at(10.0001), LATER])
def test_a_day_on_which_nothing_was_noted_is_accounted_for_like_any_other(
    measured_from: datetime | None, now: datetime
) -> None:
    """The short way for most days comes to what the long one does; it is taken unless something touches the day."""
    of_no_effect = span("major_outage", -5, -4)
    alone = account(measured_from=measured_from, now=now)
    assert alone == account(of_no_effect, measured_from=measured_from, now=now)


def test_days_weigh_by_the_time_they_account_for() -> None:
    full = Day(DAY, ServiceStatus.OPERATIONAL, 1.0, 0, 0, 0, 0, 86400)
    short = Day(DAY, ServiceStatus.MAJOR_OUTAGE, 0.0, 3600, 0, 0, 82800, 3600)
    nothing = Day(DAY, None, None, 0, 0, 0, 86400, 0)
    assert mean_uptime([full, short, nothing]) == pytest.approx(86400 / 90000)
    assert mean_uptime([nothing]) is None


LATE = (span("under_maintenance", 8, 14),)


@pytest.mark.parametrize(
    ("what", "day", "down_h", "degraded_h", "accountable_h"),
    [
        ("nothing was measured amiss", account(late=LATE), 6, 0, 24),
        ("down within it is counted once", account(span("major_outage", 9, 12), late=LATE), 6, 0, 24),
        ("down around it adds up", account(span("major_outage", 6, 9), late=LATE), 8, 0, 24),
        ("slow within it is down", account(span("degraded_performance", 6, 9), late=LATE), 6, 2, 24),
        ("not measured counts neither way", account(span(UNKNOWN, 12, 16), late=LATE), 4, 0, 20),
        ("half of it was in time", account(windows=(span("x", 8, 11),), late=(span("x", 11, 14),)), 3, 0, 21),
        ("also where maintenance counts", account(late=LATE, counts_maintenance=True), 6, 0, 24),
        ("still going on", account(late=(span("x", 20, None),)), 4, 0, 24),
    ],
)
def test_work_that_was_announced_too_late_counts_as_downtime(
    what: str, day: Day, down_h: float, degraded_h: float, accountable_h: float
) -> None:
    assert (day.down_s, day.degraded_s, day.accountable_s) == (
        down_h * 3600,
        degraded_h * 3600,
        accountable_h * 3600,
    ), what


def work(began_h: float, ended_h: float | None, excused: tuple[float, float] | None) -> Work:
    """Work planned from 8 to 14 o'clock."""
    planned = Window(at(8), at(14))
    said = Announcement(at(0), timedelta(hours=48), Window(*map(at, excused)) if excused else None)
    return work_done(at(began_h), None if ended_h is None else at(ended_h), planned, said)


@pytest.mark.parametrize(
    ("what", "found", "excused", "late"),
    [
        ("in time", work(8, 14, (8, 14)), [(8, 14)], []),
        ("a few seconds late at both ends", work(8.01, 14.01, (8, 14)), [(8.01, 14.01)], []),
        ("too late", work(8, 14, None), [], [(8, 14)]),
        ("ended early", work(8, 10, (8, 14)), [(8, 10)], []),
        ("extended", work(8, 14, (8, 12)), [(8, 12)], [(12, 14)]),
        ("begun an hour too early", work(7, 14, (8, 14)), [(7 + 59 / 60, 14)], [(7, 7 + 59 / 60)]),
        ("overrun by two hours", work(8, 16, (8, 14)), [(8, 14 + 1 / 60)], [(14 + 1 / 60, 16)]),
        ("still going on", work(8, None, (8, 14)), [(8, 14 + 1 / 60)], [(14 + 1 / 60, None)]),
        ("begun after all of its time", work(15, 16, (8, 14)), [], [(15, 16)]),
    ],
)
def test_work_has_a_part_that_is_excused_and_one_that_is_not(
    what: str,
    found: Work,
    excused: list[tuple[float, float]],
    late: list[tuple[float, float | None]],
) -> None:
    assert found.excused == tuple(span("under_maintenance", *hours) for hours in excused), what
    assert found.late == tuple(span("under_maintenance", *hours) for hours in late), what


def test_what_one_work_excuses_another_does_not_count() -> None:
    joined = Work.joined([work(8, 14, (8, 14)), work(6, 10, None), work(9, 16, None)])
    assert joined.excused == (span("under_maintenance", 8, 14),)
    assert joined.late == (span("under_maintenance", 6, 8), span("under_maintenance", 14, 16))


work_hours = st.tuples(
    st.integers(-5, 30),
    st.none() | st.integers(0, 20),
    st.none() | st.tuples(st.integers(8, 10), st.integers(11, 14)),
)


@given(st.lists(work_hours, max_size=5))
def test_joined_work_never_overlaps(hours: list[tuple[int, int | None, tuple[int, int] | None]]) -> None:
    works = [work(begin, None if lasts is None else begin + lasts, ex) for begin, lasts, ex in hours]
    joined = Work.joined(works)
    spans = sorted((*joined.excused, *joined.late), key=lambda one: one.began_at)
    for before, after in pairwise(spans):
        assert before.ended_at is not None
        assert before.ended_at <= after.began_at
    day = account(windows=joined.excused, late=joined.late)
    assert day.maintenance_s <= 86400
    assert day.uptime is None or 0 <= day.uptime <= 1
