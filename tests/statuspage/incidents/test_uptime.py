"""Uptime: which time counts, and for what."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statuspage.incidents.rules import ServiceStatus
from statuspage.incidents.snapshot import Day
from statuspage.incidents.uptime import UNKNOWN, Span, account_day, mean_uptime

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


def test_days_weigh_by_the_time_they_account_for() -> None:
    full = Day(DAY, ServiceStatus.OPERATIONAL, 1.0, 0, 0, 0, 0, 86400)
    short = Day(DAY, ServiceStatus.MAJOR_OUTAGE, 0.0, 3600, 0, 0, 82800, 3600)
    nothing = Day(DAY, None, None, 0, 0, 0, 86400, 0)
    assert mean_uptime([full, short, nothing]) == pytest.approx(86400 / 90000)
    assert mean_uptime([nothing]) is None
