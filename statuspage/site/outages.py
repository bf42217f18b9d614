"""What was measured of one service, for spreadsheets and programs: CSV (RFC 4180) and JSON. Pure.

Times stand twice, in UTC and in the page's zone; words stand in both languages, so that a file needs no third.
"""

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from statuspage.incidents.snapshot import IntervalView, NoticeView, PageSnapshot, ServiceView
from statuspage.incidents.texts import plain_cause
from statuspage.incidents.words import service_word
from statuspage.kernel.house import House
from statuspage.kernel.i18n import LANGUAGES
from statuspage.kernel.markdown import one_line

CSV_TYPE = "text/csv; charset=utf-8; header=present"
JSON_TYPE = "application/json; charset=utf-8"

COLUMNS = (
    *("service", "status", "status_pl", "status_en", "cause_pl", "cause_en"),
    *("began_at_utc", "ended_at_utc", "began_at_local", "ended_at_local", "time_zone", "duration_s"),
    *("incident_id", "incident_pl", "incident_en", "incident_url"),
)
# Spreadsheets take a cell that begins so for a formula, also after a blank.
_FORMULA = (*"=+-@", *"＝＋－＠")


def telling(snapshot: PageSnapshot, code: str, interval: IntervalView) -> NoticeView | None:
    """The incident, or else the planned work, that tells of an interval: the first that ran at the same time."""
    end = interval.ended_at or snapshot.built_at
    for notices in (snapshot.incidents, snapshot.maintenances):
        meanwhile = [
            notice
            for notice in notices
            if any(affected.code == code for affected in notice.affected)
            and notice.began_at <= end
            and interval.began_at <= (notice.ended_at or notice.resolved_at or snapshot.built_at)
        ]
        if meanwhile:
            return min(meanwhile, key=lambda notice: notice.began_at)
    return None


def as_csv(snapshot: PageSnapshot, service: ServiceView, house: House) -> bytes:
    """A line for each outage and slowness of the snapshot's days, newest first, below a line of headings."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)  # CRLF and doubled quotes, as the RFC has it
    writer.writerow(COLUMNS)
    for row in _rows(snapshot, service, house):
        writer.writerow([inert(row[column]) for column in COLUMNS])
    return text.getvalue().encode()


def inert(value: object) -> str:
    """The text of a cell that no spreadsheet runs: a formula gets an apostrophe before it (abuse case 32)."""
    text = "" if value is None else one_line(str(value))
    return f"'{text}" if text.startswith(_FORMULA) else text


def as_json(snapshot: PageSnapshot, service: ServiceView, house: House) -> bytes:
    """The same as one object. Without `built_at`, so that it changes only with what it tells."""
    zone = house.settings.page.time_zone
    first = service.days[0].day.isoformat() if service.days else None
    return msgspec.json.encode(
        {
            "service": {"code": service.code, "name": _both(service.name)},
            "time_zone": zone,
            "since": first,
            "days": len(service.days),
            "outages": [_nested(row) for row in _rows(snapshot, service, house)],
        }
    )


def _rows(snapshot: PageSnapshot, service: ServiceView, house: House) -> Iterator[dict[str, Any]]:
    zone = house.settings.zone
    for interval in service.intervals:
        cause, notice = plain_cause(interval.cause), telling(snapshot, service.code, interval)
        yield {
            "service": service.code,
            "status": interval.status,
            **{f"status_{x}": service_word(house.catalogues, x, interval.status) for x in LANGUAGES},
            **{f"cause_{x}": cause[x] for x in LANGUAGES},
            "began_at_utc": _utc(interval.began_at),
            "ended_at_utc": _utc(interval.ended_at),
            "began_at_local": _local(interval.began_at, zone),
            "ended_at_local": _local(interval.ended_at, zone),
            "time_zone": zone.key,
            "duration_s": _whole_s(interval),
            "incident_id": notice.id if notice else None,
            **{f"incident_{x}": notice.name[x] if notice else None for x in LANGUAGES},
            "incident_url": f"{house.settings.server.base_url}/incidents/{notice.id}" if notice else None,
        }


def _nested(row: dict[str, Any]) -> dict[str, Any]:
    incident = {
        "id": row["incident_id"],
        "name": {x: row[f"incident_{x}"] for x in LANGUAGES},
        "url": row["incident_url"],
    }
    return {
        "status": row["status"],
        "status_text": {x: row[f"status_{x}"] for x in LANGUAGES},
        "cause": {x: row[f"cause_{x}"] or None for x in LANGUAGES},
        **{f"{edge}_at": row[f"{edge}_at_utc"] for edge in ("began", "ended")},
        **{f"{edge}_at_local": row[f"{edge}_at_local"] for edge in ("began", "ended")},
        "duration_s": row["duration_s"],
        "incident": incident if row["incident_id"] else None,
    }


def _both(text: Any) -> dict[str, str]:
    return {language: text[language] for language in LANGUAGES}


def _utc(at: datetime | None) -> str | None:
    return None if at is None else f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _local(at: datetime | None, zone: ZoneInfo) -> str | None:
    return None if at is None else at.astimezone(zone).isoformat(timespec="seconds")


def _whole_s(interval: IntervalView) -> int | None:
    if interval.ended_at is None:
        return None
    return max(0, (interval.ended_at - interval.began_at) // timedelta(seconds=1))
