"""What was measured, as CSV and JSON: readable by programs, harmless in spreadsheets."""

import csv
import io
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statuspage.incidents.rules import MaintenanceStatus, ServiceStatus
from statuspage.incidents.snapshot import IntervalView, PageSnapshot, ServiceView, Text
from statuspage.site import outages
from statuspage.site.outages import COLUMNS, as_csv, as_json, inert, telling
from tests.statuspage.site import snapshots
from tests.statuspage.site.snapshots import HOUSE, NOW

HOUR = timedelta(hours=1)


def service(snapshot: PageSnapshot, code: str = "NCTS2", **changes: Any) -> ServiceView:
    return replace(next(view for view in snapshot.services if view.code == code), **changes)


def interval(begin_h: float, end_h: float | None, cause: str = "HTTP 503") -> IntervalView:
    began_at = NOW + begin_h * HOUR
    ended_at = None if end_h is None else NOW + end_h * HOUR
    return IntervalView("major_outage", cause, began_at, began_at, ended_at)


def lines(body: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(body.decode(), newline=""), strict=True))


def test_a_line_tells_an_outage_twice_in_time_and_in_both_languages() -> None:
    snapshot = snapshots.one_down()
    view = service(snapshot, intervals=(interval(-3, -1.5),))
    (line,) = lines(as_csv(snapshot, view, HOUSE))
    incident = snapshot.incidents[0]
    assert line == {
        "service": "NCTS2",
        "status": "major_outage",
        "status_pl": "nie działa",
        "status_en": "does not work",
        "cause_pl": "błąd HTTP 503",
        "cause_en": "HTTP error 503",
        "began_at_utc": "2026-11-21T06:30:00Z",
        "ended_at_utc": "2026-11-21T08:00:00Z",
        "began_at_local": "2026-11-21T07:30:00+01:00",
        "ended_at_local": "2026-11-21T09:00:00+01:00",
        "time_zone": "Europe/Warsaw",
        "duration_s": "5400",
        "incident_id": incident.id,
        "incident_pl": "NCTS2 nie działa",
        "incident_en": "NCTS2 does not work",
        "incident_url": f"{HOUSE.settings.server.base_url}/incidents/{incident.id}",
    }


def test_what_still_goes_on_has_no_end() -> None:
    snapshot = snapshots.one_down()
    (line,) = lines(as_csv(snapshot, service(snapshot), HOUSE))
    assert (line["ended_at_utc"], line["ended_at_local"], line["duration_s"]) == ("", "", "")
    (told,) = json.loads(as_json(snapshot, service(snapshot), HOUSE))["outages"]
    assert (told["ended_at"], told["duration_s"]) == (None, None)


def test_the_json_says_the_same_as_the_csv() -> None:
    snapshot = snapshots.one_down()
    view = service(snapshot, intervals=(interval(-3, -2), interval(-90, -80, "no plain words for this")))
    body = json.loads(as_json(snapshot, view, HOUSE))
    assert (body["service"]["code"], body["days"], body["time_zone"]) == ("NCTS2", 90, "Europe/Warsaw")
    for line, told in zip(lines(as_csv(snapshot, view, HOUSE)), body["outages"], strict=True):
        assert told["began_at"] == line["began_at_utc"]
        assert told["ended_at_local"] == line["ended_at_local"]
        assert told["cause"] == {x: line[f"cause_{x}"] or None for x in ("pl", "en")}
        assert (told["incident"] or {"id": ""})["id"] == line["incident_id"]


def test_without_outages_there_are_headings_alone() -> None:
    snapshot = snapshots.all_green()
    body = as_csv(snapshot, service(snapshot), HOUSE)
    assert body == (",".join(COLUMNS) + "\r\n").encode()
    assert json.loads(as_json(snapshot, service(snapshot), HOUSE))["outages"] == []


@pytest.mark.parametrize("evil", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", " \r\n=1", "＝1+1", "\u202e=1"])
def test_a_formula_in_a_title_is_only_text(evil: str) -> None:
    """Abuse case 32."""
    snapshot = snapshots.one_down()
    named = replace(snapshot.incidents[0], name=Text(evil, f'{evil},"x"\r\ny'))
    snapshot = replace(snapshot, incidents=(named,))
    (line,) = lines(as_csv(snapshot, service(snapshot), HOUSE))
    assert line["incident_pl"].startswith("'")
    assert line["incident_en"].startswith("'")
    assert line["incident_en"].endswith('"x" y')


@given(st.text())
def test_no_cell_is_ever_a_formula_or_breaks_its_line(text: str) -> None:
    cell = inert(text)
    assert not cell.startswith(tuple("=+-@＝＋－＠\t\r\n"))
    assert not set(cell) & set("\r\n\t\0")


@pytest.mark.parametrize(
    ("what", "begin_h", "end_h", "is_told"),
    [
        ("at the same time", -3, None, True),
        ("begun before it", -5, -2.9, True),
        ("over before it began", -5, -3.5, False),
    ],
)
def test_an_outage_is_told_of_by_the_incident_of_its_time(
    what: str, begin_h: float, end_h: float | None, is_told: bool
) -> None:
    snapshot = snapshots.one_down()
    found = telling(snapshot, "NCTS2", interval(begin_h, end_h))
    assert (found == snapshot.incidents[0]) is is_told, what
    assert telling(snapshot, "AES", interval(begin_h, end_h)) is None, "it names another service"


def test_where_no_incident_tells_planned_work_does() -> None:
    work = snapshots.maintenance("work", MaintenanceStatus.COMPLETED, starts_at=NOW - 9 * HOUR, hit=("AES",))
    snapshot = replace(snapshots.all_green(), maintenances=(work,))
    assert telling(snapshot, "AES", interval(-8, -7)) == work
    found = snapshots.incident(
        "aes",
        Text("AES", "AES"),
        (snapshots.affected("AES", ServiceStatus.MAJOR_OUTAGE),),
        began_at=NOW - 8 * HOUR,
        ended_at=NOW - 7 * HOUR,
    )
    assert telling(replace(snapshot, incidents=(found,)), "AES", interval(-8, -7)) == found


def test_the_types_say_what_they_are() -> None:
    assert outages.CSV_TYPE == "text/csv; charset=utf-8; header=present"
