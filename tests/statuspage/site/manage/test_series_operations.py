"""Work that recurs, by token: tried out, begun, ended with or without what was announced."""

from datetime import timedelta
from typing import Any

from statuspage.incidents import series
from statuspage.kernel import audit, clock
from statuspage.kernel.db import Database
from tests.statuspage.site.manage.conftest import Api
from tests.statuspage.site.manage.test_maintenance_operations import WORK

NIGHT = {"rule": "FREQ=WEEKLY", "zone": "Europe/Warsaw", "duration_s": 7200}


def soon(days: float = 3) -> str:
    return f"{clock.now() + timedelta(days=days):%Y-%m-%dT22:00}"


async def test_a_rule_is_tried_out_with_what_the_clocks_do_and_nothing_is_announced(api: Api) -> None:
    shown = await api.get(
        "/series/preview",
        rule="freq=yearly;bymonth=3;byday=-1su",
        zone="Europe/Warsaw",
        begins_local="2199-01-01T02:30",
        duration_s=3600,
        limit=2,
    )
    assert shown["rule"] == "FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU"
    assert [each["local"] for each in shown["occurrences"]] == ["2199-03-31T02:30", "2200-03-30T02:30"]
    first = shown["occurrences"][0]
    assert first["remarks"] == ["skipped", "longer"]
    assert first["begins_at"] == "2199-03-31T01:00:00Z"
    assert first["is_announced_in_time"]
    assert (await api.get("/series"))["series"] == []
    assert (await api.get("/maintenance"))["maintenance"] == []


async def test_a_preview_takes_the_pages_zone_and_says_what_comes_too_late(api: Api) -> None:
    at = clock.now().astimezone(api.house.settings.zone) + timedelta(hours=5)
    shown = await api.get(
        "/series/preview", rule="FREQ=DAILY;COUNT=3", begins_local=f"{at:%Y-%m-%dT%H:%M}", duration_s=60
    )
    assert shown["zone"] == api.house.settings.page.time_zone == (await api.get("/page"))["zone"]
    assert [each["is_announced_in_time"] for each in shown["occurrences"]] == [False, False, True]


async def test_a_series_is_begun_and_ended_and_calls_off_what_has_not_begun(api: Api) -> None:
    begun = await api.post("/series", {**WORK, **NIGHT, "begins_local": soon()}, Idempotency_Key="night")
    assert begun.status_code == 201, begun.text
    again = await api.post("/series", {**WORK, **NIGHT, "begins_local": soon()}, Idempotency_Key="night")
    assert again.json() == begun.json()
    found: dict[str, Any] = begun.json()
    assert begun.headers["location"].endswith(f"/series/{found['id']}")
    assert (found["rule"], found["created_by"], found["ended_at"]) == ("FREQ=WEEKLY", "api:all", None)
    assert len(found["coming"]) >= 4
    assert (await api.get(f"/maintenance/{found['coming'][0]}"))["status"] == "scheduled"
    ended = await api.post(f"/series/{found['id']}/end", {"text": {"en": "Not needed."}})
    assert ended.json()["ended_by"] == "api:all"
    assert ended.json()["coming"] == []
    called_off = await api.get(f"/maintenance/{found['coming'][0]}")
    assert called_off["status"] == "cancelled"
    assert called_off["updates"][0]["text"]["en"] == "Not needed."
    over = await api.post(f"/series/{found['id']}/end", {})
    assert over.status_code == 409
    assert over.json()["current"]["ended_by"] == "api:all"
    assert [each["id"] for each in (await api.get("/series"))["series"]] == [found["id"]]
    assert acts(api.house.db) == [("api:all", "series.ended"), ("api:all", "series.begun")]


def acts(db: Database) -> list[tuple[str, str]]:
    return [(each.actor, each.action) for each in db.read_now(audit.entries, action="series")]


async def test_a_series_may_leave_what_was_announced(api: Api) -> None:
    begun = (await api.post("/series", {**WORK, **NIGHT, "begins_local": soon()})).json()
    ended = await api.post(f"/series/{begun['id']}/end", {"leave_announced": True})
    assert ended.json()["coming"] == begun["coming"] != []


async def test_what_cannot_be_is_refused_by_its_field_and_begins_nothing(api: Api) -> None:
    good: dict[str, Any] = {**WORK, **NIGHT, "begins_local": soon()}
    changes: list[tuple[dict[str, Any], str, int]] = [
        ({"rule": "FREQ=HOURLY"}, "rule", 422),
        ({"rule": "FREQ=YEARLY;INTERVAL=9000;BYMONTH=1", "begins_local": "2190-03-01T10:00"}, "rule", 422),
        ({"zone": "Europe/Atlantis"}, "zone", 422),
        ({"begins_local": "2020-01-01T10:00"}, "begins_local", 422),
        ({"begins_local": "2030-13-01T10:00"}, "begins_local", 422),
        ({"begins_local": "2030-01-01T10:00Z"}, "begins_local", 400),
        ({"rule": "FREQ=DAILY", "duration_s": 100_000}, "duration_s", 422),
        ({"services": ["NCTS3"]}, "services", 422),
        ({"services": []}, "services", 422),
        ({"name": {}}, "name.pl", 422),
    ]
    for change, field, status in changes:
        refused = await api.post("/series", {**good, **change})
        assert refused.status_code == status, (change, refused.text)
        assert refused.json()["errors"][0]["field"] == field, change
    past: dict[str, str | int] = {"rule": "FREQ=DAILY", "begins_local": "2020-01-01T10:00", "duration_s": 60}
    answer = await api.client.get("/api/manage/v1/series/preview", params=past)
    assert answer.json()["errors"][0]["field"] == "begins_local"
    assert api.house.db.read_now(series.listed) == []


async def test_a_series_that_is_not_there_is_not_found(api: Api) -> None:
    answer = await api.post("/series/abcdefghijkl/end", {})
    assert answer.status_code == 404
