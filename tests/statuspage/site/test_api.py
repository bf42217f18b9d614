"""The public API against its published shapes, and against a client that was written for the original."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import UNSET, Meta, Struct, UnsetType

from statuspage.incidents.snapshot import PageSnapshot, Text
from statuspage.kernel.config import Page
from statuspage.site import api
from tests.statuspage.site import snapshots
from tests.statuspage.site.exporter import exporter, scraped

BASE_URL = "https://status.example"
PAGE = Page()

Id = Annotated[str, Meta(pattern="^[a-z0-9]{12}$")]
Instant = Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}(Z|[+-]\d\d:\d\d)$")]
Day = Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\d$")]
Indicator = Literal["none", "minor", "major", "critical", "maintenance"]
ComponentStatus = Literal[
    "operational", "degraded_performance", "partial_outage", "major_outage", "under_maintenance"
]
IncidentStatus = Literal["investigating", "identified", "monitoring", "resolved", "postmortem"]
MaintenanceStatus = Literal["scheduled", "in_progress", "verifying", "completed"]
Description = Literal[
    "All Systems Operational",
    "Partially Degraded Service",
    "Minor Service Outage",
    "Partial System Outage",
    "Major Service Outage",
    "Service Under Maintenance",
]


class Strict(Struct, forbid_unknown_fields=True):
    """Every key is there, and no other."""


class PageObject(Strict):
    id: Id
    name: str
    url: str
    time_zone: str
    updated_at: Instant


class Status(Strict):
    indicator: Indicator
    description: Description


class Component(Strict):
    id: Id
    name: str
    status: ComponentStatus
    created_at: Instant
    updated_at: Instant
    position: int
    description: str | None
    showcase: bool
    start_date: Day | None
    group_id: Id | None
    page_id: Id
    group: bool
    only_show_if_degraded: bool
    components: list[Id] | UnsetType = UNSET  # groups only


class AffectedComponent(Strict):
    code: Id
    name: str
    old_status: ComponentStatus
    new_status: ComponentStatus


class UpdateObject(Strict):
    id: Id
    body: str
    incident_id: Id
    created_at: Instant
    updated_at: Instant
    display_at: Instant
    affected_components: list[AffectedComponent] | None
    deliver_notifications: bool
    custom_tweet: str | None
    tweet_id: str | None


class IncidentUpdate(UpdateObject):
    status: IncidentStatus


class MaintenanceUpdate(UpdateObject):
    status: MaintenanceStatus


class NoticeObject(Strict):
    id: Id
    name: str
    created_at: Instant
    updated_at: Instant
    monitoring_at: Instant | None
    resolved_at: Instant | None
    impact: Indicator
    shortlink: str
    started_at: Instant
    page_id: Id
    components: list[Component]
    reminder_intervals: str | None
    x_customs: dict[str, Any]


class Incident(NoticeObject):
    status: IncidentStatus
    incident_updates: list[IncidentUpdate]


class Maintenance(NoticeObject):
    status: MaintenanceStatus
    incident_updates: list[MaintenanceUpdate]
    scheduled_for: Instant
    scheduled_until: Instant


class Answer(Strict):
    page: PageObject


class StatusAnswer(Answer):
    status: Status


class ComponentsAnswer(Answer):
    components: list[Component]


class IncidentsAnswer(Answer):
    incidents: list[Incident]


class MaintenancesAnswer(Answer):
    scheduled_maintenances: list[Maintenance]


class SummaryAnswer(Answer):
    components: list[Component]
    incidents: list[Incident]
    scheduled_maintenances: list[Maintenance]
    status: Status


ENDPOINTS: Mapping[str, type[Answer]] = {
    "/api/v2/summary.json": SummaryAnswer,
    "/api/v2/status.json": StatusAnswer,
    "/api/v2/components.json": ComponentsAnswer,
    "/api/v2/incidents.json": IncidentsAnswer,
    "/api/v2/incidents/unresolved.json": IncidentsAnswer,
    "/api/v2/scheduled-maintenances.json": MaintenancesAnswer,
    "/api/v2/scheduled-maintenances/upcoming.json": MaintenancesAnswer,
    "/api/v2/scheduled-maintenances/active.json": MaintenancesAnswer,
}


def summary(snapshot: PageSnapshot, page: Page = PAGE, language: str | None = None) -> SummaryAnswer:
    """The decoded, checked summary."""
    body = api.render(snapshot, page, BASE_URL, language)["/api/v2/summary.json"]
    return msgspec.json.decode(body, type=SummaryAnswer)


def listed(snapshot: PageSnapshot, name: str, language: str = "en") -> list[dict[str, Any]]:
    """The list that an endpoint answers."""
    answer = json.loads(api.render(snapshot, PAGE, BASE_URL, language)[f"/api/v2/{name}.json"])
    found: list[dict[str, Any]] = answer.get("incidents", answer.get("scheduled_maintenances"))
    return found


@pytest.mark.parametrize("language", ["pl", "en"])
@pytest.mark.parametrize("path", ENDPOINTS)
@pytest.mark.parametrize("scenario", snapshots.SCENARIOS)
def test_every_answer_has_exactly_the_published_shape(scenario: str, path: str, language: str) -> None:
    answers = api.render(snapshots.SCENARIOS[scenario](), PAGE, BASE_URL, language)
    assert set(answers) == set(ENDPOINTS)
    answer = msgspec.json.decode(answers[path], type=ENDPOINTS[path])
    assert answer.page.id == PAGE.id
    assert answer.page.name == (PAGE.name_pl if language == "pl" else PAGE.name_en)
    assert answer.page.url == BASE_URL


@pytest.mark.parametrize(
    ("scenario", "indicator", "description"),
    [
        ("all green", "none", "All Systems Operational"),
        ("one slow", "minor", "Partially Degraded Service"),
        ("one down", "critical", "Major Service Outage"),
        ("planned", "maintenance", "Service Under Maintenance"),
        ("never measured", "none", "All Systems Operational"),
    ],
)
@pytest.mark.parametrize("language", ["pl", "en"])
def test_the_description_is_english_in_both_languages(
    scenario: str, indicator: str, description: str, language: str
) -> None:
    status = summary(snapshots.SCENARIOS[scenario](), language=language).status
    assert (status.indicator, status.description) == (indicator, description)


def test_a_group_is_a_row_that_lists_its_services() -> None:
    rows = summary(snapshots.gateway_down()).components
    groups = {row.id: row for row in rows if row.group}
    services = [row for row in rows if not row.group]
    assert len(groups) == len(snapshots.GROUPS)
    assert len(services) == 12
    for group in groups.values():
        assert group.components == [row.id for row in services if row.group_id == group.id]
        assert group.group_id is None
    assert all(row.components is UNSET for row in services)
    assert all(row.group_id in groups for row in services)


def test_a_group_shows_the_worst_of_its_services() -> None:
    rows = {row.name: row.status for row in summary(snapshots.gateway_down(), language="en").components}
    assert rows["Common"] == "major_outage"
    assert rows["PKWD"] == "operational"
    assert rows["Transit"] == "degraded_performance"


def test_a_gateway_outage_is_one_incident_with_its_children() -> None:
    [incident] = summary(snapshots.gateway_down()).incidents
    assert len(incident.components) == 10
    first_update = incident.incident_updates[-1]
    assert first_update.affected_components is not None
    assert {change.code for change in first_update.affected_components} == {c.id for c in incident.components}


def test_texts_come_in_the_language_asked_for_and_in_both_under_x_customs() -> None:
    pl, en = (listed(snapshots.one_down(), "incidents", language)[0] for language in ("pl", "en"))
    assert (pl["name"], en["name"]) == ("NCTS2 nie działa", "NCTS2 does not work")
    assert en["incident_updates"][-1]["body"] == "We look for the **cause**."
    assert pl["x_customs"] == en["x_customs"]
    assert pl["x_customs"]["name_en"] == en["name"]
    assert pl["x_customs"]["updates"][-1]["text_pl"] == "Sprawdzamy **przyczynę**."


def test_without_a_language_the_page_s_own_is_used() -> None:
    assert summary(snapshots.all_green(), Page(language="en")).page.name == PAGE.name_en
    assert summary(snapshots.all_green(), Page(language="pl")).page.name == PAGE.name_pl


def test_unresolved_leaves_out_what_is_over() -> None:
    assert len(listed(snapshots.archive(), "incidents")) == 20
    assert listed(snapshots.archive(), "incidents/unresolved") == []
    assert len(listed(snapshots.one_down(), "incidents/unresolved")) == 1


def test_the_list_of_incidents_ends_after_the_fifty_newest() -> None:
    twenty = snapshots.archive()
    many = replace(twenty, incidents=twenty.incidents * 3)
    assert len(listed(many, "incidents")) == 50


def test_maintenance_is_divided_into_upcoming_and_active() -> None:
    snapshot = snapshots.planned()
    states = {name: [m["status"] for m in listed(snapshot, f"scheduled-maintenances{name}")] for name in (
        "", "/upcoming", "/active"
    )}  # fmt: skip
    assert states == {
        "": ["scheduled", "in_progress", "completed", "completed"],
        "/upcoming": ["scheduled"],
        "/active": ["in_progress"],
    }
    assert {m.status for m in summary(snapshot).scheduled_maintenances} == {"scheduled", "in_progress"}


def test_a_cancelled_maintenance_is_completed_and_says_so_under_x_customs() -> None:
    cancelled = listed(snapshots.planned(), "scheduled-maintenances")[2]
    assert cancelled["status"] == "completed"
    assert cancelled["incident_updates"][0]["status"] == "completed"
    assert cancelled["x_customs"]["status"] == "cancelled"


def test_the_short_link_of_both_kinds_is_the_permalink() -> None:
    [incident] = listed(snapshots.one_down(), "incidents")
    maintenance = listed(snapshots.planned(), "scheduled-maintenances")[0]
    assert incident["shortlink"] == f"{BASE_URL}/incidents/{incident['id']}"
    assert maintenance["shortlink"] == f"{BASE_URL}/incidents/{maintenance['id']}"


@pytest.mark.parametrize(
    ("zone", "at", "text"),
    [
        (
            "Europe/Warsaw",
            datetime(2026, 1, 2, 3, 4, 5, 678_999, tzinfo=UTC),
            "2026-01-02T04:04:05.678+01:00",
        ),
        ("Europe/Warsaw", datetime(2026, 7, 2, 3, 4, 5, tzinfo=UTC), "2026-07-02T05:04:05.000+02:00"),
        ("Europe/London", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2026-01-02T03:04:05.000+00:00"),
        ("Etc/UTC", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2026-01-02T03:04:05.000Z"),
        ("UTC", datetime(2026, 1, 2, 3, 4, 5, 1000, tzinfo=UTC), "2026-01-02T03:04:05.001Z"),
    ],
)
def test_instants_have_three_fraction_digits_and_the_page_s_offset(
    zone: str, at: datetime, text: str
) -> None:
    assert api.instants(zone)(at) == text


def test_the_start_date_is_the_first_day_of_measurement_in_the_page_s_zone() -> None:
    snapshot = snapshots.all_green()
    at = datetime(2026, 5, 5, 22, 30, tzinfo=UTC)
    first = replace(snapshot.groups[0].services[0], first_measured_at=at)
    group = replace(snapshot.groups[0], services=(first,))
    rows = {row.id: row for row in summary(replace(snapshot, groups=(group,))).components}
    assert rows[first.id].start_date == "2026-05-06"
    assert all(row.start_date is None for row in summary(snapshots.never_measured()).components)


def test_the_same_snapshot_gives_the_same_bytes() -> None:
    once = api.render(snapshots.gateway_down(), PAGE, BASE_URL)
    later = replace(snapshots.gateway_down(), built_at=snapshots.NOW.replace(year=2027), seq=99)
    assert api.render(later, PAGE, BASE_URL) == once


def test_control_characters_in_names_stay_valid_json() -> None:
    snapshot = snapshots.one_down()
    name = Text('NCTS2 \x00\x1b\u202e"\\', "\ud7ff\ufffe</script>")
    named = replace(snapshot, incidents=(replace(snapshot.incidents[0], name=name),))
    assert summary(named, language="pl").incidents[0].name == name.pl
    assert summary(named, language="en").incidents[0].name == name.en


# --- a real client ---------------------------------------------------------------------------------------


@contextmanager
def served(answers: Mapping[str, bytes]) -> Iterator[str]:
    """The answers behind a real HTTP server on loopback."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = answers.get(self.path)
            self.send_response(200 if body else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def test_the_prometheus_exporter_reads_components_and_incidents(tmp_path: Path) -> None:
    answers = api.render(snapshots.gateway_down(), PAGE, "https://status.example", "en")
    with (
        served(answers) as base_url,
        exporter(f"{base_url}/api/v2/summary.json", tmp_path) as metrics_url,
    ):
        found = scraped(
            metrics_url,
            "statuspage_incident_info",
            "statuspage_component_status",
            "statuspage_service_status",
        )
    works = {name: value for name, (value, _) in found["statuspage_component_status"].items()}
    assert works["PUESC"] == 0
    assert works["NCTS2"] == 0
    assert works["SZPROT"] == 1
    assert len(works) == 12 + len(snapshots.GROUPS)
    incident = snapshots.gateway_down().incidents[0]
    _, labels = found["statuspage_incident_info"][incident.id]
    assert labels["incident_name"] == incident.name.en
    assert labels["impact"] == "critical"
    assert labels["shortlink"] == f"https://status.example/incidents/{incident.id}"
    assert found["statuspage_service_status"][""][0] == 0
