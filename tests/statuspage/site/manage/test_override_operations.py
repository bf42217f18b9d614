"""Statuses set by hand, by token."""

from datetime import timedelta
from typing import Any

import pytest

from statuspage.kernel import audit, clock
from statuspage.kernel.tokens import Scope
from tests.statuspage.site.manage.conftest import Api


def wish(**more: Any) -> dict[str, Any]:
    ends_at = (clock.now() + timedelta(hours=2)).isoformat()
    return {
        "service": "NCTS2",
        "status": "partial_outage",
        "reason": "the probe is blind",
        "ends_at": ends_at,
        **more,
    }


async def test_a_status_is_set_listed_replaced_and_ended(api: Api) -> None:
    first = await api.post("/overrides", wish(), Idempotency_Key="a")
    assert first.status_code == 201, first.text
    assert first.headers["location"].endswith(f"/overrides/{first.json()['id']}")
    assert (await api.get("/services/NCTS2"))["status"] == "partial_outage"
    second = await api.post("/overrides", wish(status="degraded_performance"))
    assert (await api.get("/overrides"))["overrides"] == [second.json()]
    assert second.json()["began_by"] == "api:all"
    replaced = await api.get(f"/overrides/{first.json()['id']}")
    assert replaced["ended_by"] == "api:all"
    ended = await api.post(f"/overrides/{second.json()['id']}/end")
    assert ended.json()["ended_by"] == "api:all"
    assert (await api.get("/services/NCTS2"))["status"] == "operational"
    assert (await api.get("/overrides"))["overrides"] == []
    over = await api.post(f"/overrides/{second.json()['id']}/end")
    assert over.status_code == 409
    assert over.json()["current"] == ended.json()
    done = [each.action for each in api.house.db.read_now(audit.entries, action="override")]
    assert done == ["override.ended", "override.begun", "override.begun"]


async def test_the_same_key_sets_it_once(api: Api) -> None:
    body = wish()
    first = await api.post("/overrides", body, Idempotency_Key="a")
    assert (await api.post("/overrides", body, Idempotency_Key="a")).json() == first.json()
    assert len(api.house.db.read_now(audit.entries, action="override")) == 1


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"service": "NCTS3"}, "service"),
        ({"reason": "  "}, "reason"),
        ({"ends_at": "2020-01-01T00:00:00Z"}, "ends_at"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_what_cannot_be_is_refused_by_its_field(api: Api, change: dict[str, Any], field: str) -> None:
    refused = await api.post("/overrides", wish(**change))
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == field
    assert (await api.get("/overrides"))["overrides"] == []


async def test_an_end_is_no_choice(api: Api) -> None:
    body = wish()
    del body["ends_at"]
    assert (await api.post("/overrides", body)).json()["errors"][0]["field"] == "ends_at"


async def test_only_who_may_publish_sets_a_status(api: Api) -> None:
    api.client.headers["Authorization"] = f"Bearer {api.token('reader', Scope.READ, Scope.MONITORS)}"
    assert (await api.post("/overrides", wish())).status_code == 403
