"""What is published of what was measured; who joins whom."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statuspage.incidents.rules import (
    SEVERITY,
    Candidate,
    Evidence,
    Failure,
    Impact,
    IncidentStatus,
    MaintenanceStatus,
    ServiceStatus,
    impact_of,
    incident_to_join,
    may_follow,
    published_status,
    worst,
)

OK, MAINTENANCE, SLOW, PART, DOWN = ServiceStatus
T0 = datetime(2026, 3, 1, 6, 10, tzinfo=UTC)
TEN = timedelta(minutes=10)


@pytest.mark.parametrize(
    ("evidence", "published"),
    [
        (Evidence(None), OK),
        (Evidence(OK), OK),
        (Evidence(DOWN), DOWN),
        (Evidence(SLOW), SLOW),
        (Evidence(OK, parents=(DOWN,)), SLOW),
        (Evidence(OK, parents=(PART,)), SLOW),
        (Evidence(OK, parents=(SLOW,)), OK),
        (Evidence(DOWN, parents=(DOWN,)), DOWN),
        (Evidence(None, parents=(DOWN,)), SLOW),
        (Evidence(DOWN, in_maintenance=True), MAINTENANCE),
        (Evidence(DOWN, parents=(DOWN,), in_maintenance=True), MAINTENANCE),
        (Evidence(OK, declared=PART), PART),
        (Evidence(OK, declared=PART, in_maintenance=True), PART),
        (Evidence(DOWN, declared=OK), DOWN),
        (Evidence(DOWN, held=True), OK),
        (Evidence(DOWN, held=True, parents=(DOWN,)), SLOW),
    ],
)
def test_what_is_published(evidence: Evidence, published: ServiceStatus) -> None:
    assert published_status(evidence) is published


@given(st.lists(st.sampled_from(ServiceStatus)))
def test_the_worst_is_one_of_them_and_none_is_worse(statuses: list[ServiceStatus]) -> None:
    found = worst(statuses)
    assert found in statuses or (not statuses and found is OK)
    assert all(SEVERITY[status] <= SEVERITY[found] for status in statuses)


@pytest.mark.parametrize(
    ("statuses", "impact"),
    [
        ([], Impact.NONE),
        ([OK, OK], Impact.NONE),
        ([OK, SLOW], Impact.MINOR),
        ([SLOW, PART], Impact.MAJOR),
        ([MAINTENANCE, OK], Impact.MAINTENANCE),
        ([MAINTENANCE, SLOW], Impact.MINOR),
        ([DOWN, PART], Impact.CRITICAL),
    ],
)
def test_impact(statuses: list[ServiceStatus], impact: Impact) -> None:
    assert impact_of(statuses) is impact


def failure(service: str = "ncts", *, after: timedelta = timedelta(), fault: str = "") -> Failure:
    kin = {
        "ncts": ({"puesc"}, set()),
        "puesc": (set(), {"ncts", "aes"}),
        "aes": ({"puesc"}, set()),
        "crpa": (set(), set()),
    }
    ancestors, descendants = kin[service]
    return Failure(service, T0 + after, fault, frozenset(ancestors), frozenset(descendants))


def candidate(
    *affected: str, ancestors: tuple[str, ...] = (), fault: str = "", ended_at: datetime | None = None
) -> Candidate:
    return Candidate(
        "i1", frozenset(affected), frozenset(affected), frozenset(ancestors), fault, T0, ended_at
    )


@pytest.mark.parametrize(
    ("what", "failing", "open_incident", "joins"),
    [
        ("the same service", failure("ncts"), candidate("ncts"), True),
        ("the same service, hours later", failure("ncts", after=timedelta(hours=5)), candidate("ncts"), True),
        ("a child of a failing parent", failure("ncts"), candidate("puesc"), True),
        ("the parent of a failing child", failure("puesc"), candidate("ncts", ancestors=("puesc",)), True),
        ("a sibling, soon", failure("aes", after=TEN), candidate("ncts", ancestors=("puesc",)), True),
        ("a sibling, later", failure("aes", after=TEN * 2), candidate("ncts", ancestors=("puesc",)), False),
        ("a stranger", failure("crpa"), candidate("ncts", ancestors=("puesc",)), False),
        ("a stranger with the same fault", failure("crpa", fault="gw"), candidate("ncts", fault="gw"), True),
        ("a stranger, both without a known fault", failure("crpa"), candidate("ncts"), False),
        ("ended just now", failure("ncts"), candidate("ncts", ended_at=T0 - TEN), True),
        ("ended long ago", failure("ncts"), candidate("ncts", ended_at=T0 - TEN * 2), False),
        ("ended, of a parent", failure("ncts"), candidate("puesc", ended_at=T0), False),
    ],
)
def test_who_joins_whom(what: str, failing: Failure, open_incident: Candidate, joins: bool) -> None:
    found = incident_to_join(failing, [open_incident], join_window=TEN, reopen_window=TEN)
    assert (found is open_incident) is joins, what


@pytest.mark.parametrize(
    ("old", "new", "allowed"),
    [
        (IncidentStatus.INVESTIGATING, IncidentStatus.MONITORING, True),
        (IncidentStatus.MONITORING, IncidentStatus.INVESTIGATING, True),
        (IncidentStatus.RESOLVED, IncidentStatus.INVESTIGATING, True),
        (IncidentStatus.RESOLVED, IncidentStatus.POSTMORTEM, True),
        (IncidentStatus.RESOLVED, IncidentStatus.MONITORING, False),
        (IncidentStatus.POSTMORTEM, IncidentStatus.INVESTIGATING, False),
        (MaintenanceStatus.SCHEDULED, MaintenanceStatus.IN_PROGRESS, True),
        (MaintenanceStatus.SCHEDULED, MaintenanceStatus.CANCELLED, True),
        (MaintenanceStatus.IN_PROGRESS, MaintenanceStatus.SCHEDULED, False),
        (MaintenanceStatus.COMPLETED, MaintenanceStatus.IN_PROGRESS, False),
        (MaintenanceStatus.CANCELLED, MaintenanceStatus.COMPLETED, False),
    ],
)
def test_what_may_follow(old: IncidentStatus, new: IncidentStatus, allowed: bool) -> None:
    assert may_follow(old, new) is allowed
