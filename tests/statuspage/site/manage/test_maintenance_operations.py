"""Planned work by token."""

from datetime import timedelta

from statuspage.kernel import clock
from tests.statuspage.site.manage.conftest import Api

WORK = {
    "name": {"pl": "Prace planowe NCTS2", "en": "Planned work on NCTS2"},
    "text": {"pl": "Wymieniamy bazę.", "en": "We replace the database."},
    "services": ["NCTS2", "OSOZ2"],
}


def window() -> dict[str, str]:
    begins_at = clock.now() + timedelta(days=3)
    return {"begins_at": begins_at.isoformat(), "ends_at": (begins_at + timedelta(hours=2)).isoformat()}


async def test_work_is_announced_moved_begun_verified_and_completed(api: Api) -> None:
    planned = await api.post("/maintenance", {**WORK, **window(), "by_hand": True})
    assert planned.status_code == 201, planned.text
    path = f"/maintenance/{planned.json()['id']}"
    assert planned.json()["is_by_hand"]
    later = (clock.now() + timedelta(days=4)).isoformat()
    moved = await api.ask("PUT", f"{path}/times", {"ends_at": later})
    assert moved.json()["version"] > planned.json()["version"]
    partly = await api.post(f"{path}/cancel", {"services": ["OSOZ2"]})
    assert {each["code"]: each["cancelled_at"] is None for each in partly.json()["services"]} == {
        "NCTS2": True,
        "OSOZ2": False,
    }
    begun = await api.post(f"{path}/begin", {"text": {"en": "We begin."}})
    assert begun.json()["updates"][0]["text"]["en"] == "We begin."
    assert (await api.get("/services/NCTS2"))["status"] == "under_maintenance"
    assert (await api.post(f"{path}/verify", {})).json()["status"] == "verifying"
    assert (await api.post(f"{path}/complete", {})).json()["status"] == "completed"
    again = await api.post(f"{path}/complete", {})
    assert again.status_code == 409
    assert again.json()["current"]["status"] == "completed"


async def test_work_is_called_off_and_stays_listed(api: Api) -> None:
    planned = (await api.post("/maintenance", {**WORK, **window()})).json()
    cancelled = await api.post(f"/maintenance/{planned['id']}/cancel", {})
    assert cancelled.json()["status"] == "cancelled"
    (listed,) = (await api.get("/maintenance", service="NCTS2"))["maintenance"]
    assert listed == cancelled.json()


async def test_times_past_and_unknown_services_are_refused_by_name(api: Api) -> None:
    for change, field in (
        ({"begins_at": "2020-01-01T00:00:00Z"}, "begins_at"),
        ({"ends_at": "2020-01-01T00:00:00Z"}, "ends_at"),
        ({"services": ["NCTS3"]}, "services"),
        ({"services": []}, "services"),
    ):
        refused = await api.post("/maintenance", {**WORK, **window(), **change})
        assert refused.status_code == 422
        assert refused.json()["errors"][0]["field"] == field
