"""Incidents by token: opened, told, corrected, resolved; conflicts and four eyes."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from statuspage.incidents import acts, incidents, services
from statuspage.incidents.rules import ServiceStatus
from statuspage.incidents.snapshot import Text
from statuspage.incidents.tables import Act
from statuspage.kernel import audit, clock
from statuspage.kernel.config import Incidents
from statuspage.kernel.house import House
from tests.statuspage.site.manage.conftest import INCIDENT, SAID, Api


def found_down(house: House, code: str) -> None:
    service = house.db.read_now(services.by_code, code)
    finding = services.Finding(service.id, ServiceStatus.MAJOR_OUTAGE, "HTTP 503", clock.now())
    house.db.run_now(services.report, finding, now=clock.now(), policy=Incidents())


async def test_an_incident_is_opened_with_all_that_makes_it_evidence(api: Api) -> None:
    until = clock.now() + timedelta(hours=1)
    opened = await api.open(
        scope={"NCTS2": {"functions": ["declarations"], "channels": ["web"]}},
        unaffected=["PUESC"],
        messages=[{"handling": "kept", "service": "NCTS2", "text": {"pl": "Czekają."}}],
        next_update_at=until.isoformat(),
        fallbacks=[{"service": "NCTS2", "state": "permitted", "enter_within_hours": 48}],
    )
    assert opened["updates"][0]["author"] == "api:all"
    assert opened["services"][0]["functions"] == ["declarations"]
    assert opened["unaffected"] == ["PUESC"]
    assert opened["messages"][0]["text"] == {"pl": "Czekają.", "en": ""}
    assert opened["fallbacks"][0]["enter_within_hours"] == 48
    assert opened["fallbacks"][0]["reference"] == "AW-1"
    assert await api.get(f"/incidents/{opened['id']}") == opened
    assert (await api.get("/services/NCTS2"))["status"] == "major_outage"


async def test_what_is_over_is_entered_afterwards_and_nobody_is_alerted(api: Api) -> None:
    then = clock.now() - timedelta(hours=2)
    opened = await api.open(began_at=then.isoformat(), ended_at=(then + timedelta(hours=1)).isoformat())
    assert opened["status"] == "resolved"
    assert opened["is_backfilled"]
    assert not opened["updates"][0]["is_delivered"]


async def test_an_incident_is_updated_resolved_corrected_renamed_and_reworded(api: Api) -> None:
    opened = await api.open()
    path = f"/incidents/{opened['id']}"
    updated = (await api.post(f"{path}/updates", {**SAID, "status": "identified"})).json()
    assert updated["status"] == "identified"
    assert [each["text"]["en"] for each in updated["updates"]] == [
        "Still looking into it.",
        "We are looking into it.",
    ]
    update_id = updated["updates"][0]["id"]
    reworded = await api.ask("PUT", f"{path}/updates/{update_id}", {"text": {"pl": "Wciąż badamy."}})
    assert reworded.json()["updates"][0]["text"] == {"pl": "Wciąż badamy.", "en": ""}
    renamed = await api.ask("PUT", f"{path}/name", {"pl": "Awaria NCTS2", "en": "NCTS2 outage"})
    assert renamed.json()["name"]["en"] == "NCTS2 outage"
    earlier = (clock.now() - timedelta(hours=3)).isoformat()
    corrected = await api.post(f"{path}/corrections", {"began_at": earlier})
    assert corrected.json()["revisions"][0]["before"]["began_at"] is not None
    resolved = (await api.post(f"{path}/resolve", {"text": {"en": "It works again."}})).json()
    assert resolved["status"] == "resolved"
    assert (await api.get("/services/NCTS2"))["status"] == "operational"


async def test_every_change_stands_once_in_the_audit_log_by_the_tokens_name(api: Api) -> None:
    def actions() -> list[str]:
        return [each.action for each in api.house.db.read_now(audit.entries, actor="api:all")][::-1]

    opened = await api.open()
    path = f"/incidents/{opened['id']}"
    await api.post(f"{path}/updates", SAID)
    await api.ask("PUT", f"{path}/name", {"en": "Another"})
    await api.ask("PUT", f"{path}/updates/{opened['updates'][0]['id']}", {"text": {"en": "Other words."}})
    await api.post(f"{path}/fallbacks", {"service": "NCTS2", "state": "permitted"})
    await api.post(f"{path}/resolve", SAID)
    await api.post("/templates", {"name": "x", "kind": "open"})
    await api.post("/acts", {"kind": "open"})
    assert actions() == [
        "incident.created",
        "incident.updated",
        "incident.renamed",
        "incident.updated",
        "incident.updated",
        "incident.resolved",
        "template.added",
        "act.written",
    ]


async def test_paper_is_permitted_and_withdrawn(api: Api) -> None:
    opened = await api.open()
    path = f"/incidents/{opened['id']}/fallbacks"
    declared = await api.post(path, {"service": "NCTS2", "state": "permitted", "function": "declarations"})
    assert declared.status_code == 201, declared.text
    (fallback,) = declared.json()["fallbacks"]
    withdrawn = await api.post(f"{path}/{fallback['id']}/withdraw", {})
    assert withdrawn.json()["fallbacks"][0]["state"] == "withdrawn"
    again = await api.post(f"{path}/{fallback['id']}/withdraw", {})
    assert again.status_code == 409
    assert again.json()["current"]["id"] == opened["id"]


async def test_two_incidents_that_are_one_are_merged(api: Api) -> None:
    one, other = await api.open(), await api.open(services={"OSOZ2": "partial_outage"})
    merged = await api.post(f"/incidents/{other['id']}/merge", {"into": one["id"]})
    assert {each["code"] for each in merged.json()["services"]} == {"NCTS2", "OSOZ2"}
    assert (await api.get(f"/incidents/{other['id']}"))["merged_into"] == one["id"]


async def test_a_monitors_draft_is_seen_and_published(api: Api) -> None:
    found_down(api.house, "OSOZ2")
    (draft,) = (await api.get("/incidents", standing="draft"))["incidents"]
    assert draft["is_draft"]
    published = await api.post(f"/incidents/{draft['id']}/publish")
    assert not published.json()["is_draft"]
    assert (await api.get("/services/OSOZ2"))["status"] == "major_outage"


async def test_who_has_not_seen_anothers_update_is_told_it_and_publishes_nothing(api: Api) -> None:
    opened = await api.open()
    seen = opened["updates"][0]["id"]
    api.house.db.run_now(
        incidents.post_update, opened["id"], Text("Ważne.", "Important."), by="ewa", now=clock.now()
    )
    refused = await api.post(f"/incidents/{opened['id']}/updates", {**SAID, "seen": seen})
    assert refused.status_code == 409
    current = refused.json()["current"]
    assert current["updates"][0]["text"]["en"] == "Important."
    told = await api.post(f"/incidents/{opened['id']}/updates", {**SAID, "seen": current["updates"][0]["id"]})
    assert told.status_code == 200


async def test_if_match_keeps_one_from_changing_what_he_has_not_read(api: Api) -> None:
    opened = await api.post("/incidents", INCIDENT)
    path, tag = f"/incidents/{opened.json()['id']}", opened.headers["etag"]
    assert (await api.post(f"{path}/updates", SAID, If_Match=tag)).status_code == 200
    stale = await api.ask("PUT", f"{path}/name", {"en": "Another"}, If_Match=tag)
    assert stale.status_code == 412
    current = stale.json()["current"]
    assert current["name"]["en"] == "NCTS2 is down"
    fresh = await api.ask("PUT", f"{path}/name", {"en": "Another"}, If_Match=f'"{current["version"]}"')
    assert fresh.status_code == 200


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": {"pl": " ", "en": ""}}, "name.pl"),
        ({"services": {"NCTS3": "major_outage"}}, "services"),
        ({"unaffected": ["NCTS2"]}, "unaffected"),
        ({"scope": {"NCTS2": {"functions": ["baking"]}}}, "scope"),
        ({"fallbacks": [{"service": "NCTS2", "state": "withdrawn"}]}, "fallbacks.state"),
        ({"began_at": "2199-12-31T00:00:00Z"}, "began_at"),
        ({"began_at": "0001-01-01T00:00:00+10:00"}, "began_at"),
    ],
)
async def test_what_cannot_be_is_refused_by_the_bodys_own_name_of_the_field(
    api: Api, change: dict[str, object], field: str
) -> None:
    refused = await api.post("/incidents", {**INCIDENT, **change})
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == field
    assert (await api.get("/incidents"))["incidents"] == []
    assert (await api.get("/acts"))["acts"] == []


async def test_a_part_of_another_incident_is_not_reached_through_this_one(api: Api) -> None:
    one, other = await api.open(), await api.open(services={"OSOZ2": "partial_outage"})
    update_id = other["updates"][0]["id"]
    answer = await api.ask("PUT", f"/incidents/{one['id']}/updates/{update_id}", SAID)
    assert answer.status_code == 404


async def test_the_list_is_read_page_by_page_and_misses_nothing(api: Api) -> None:
    wanted = [(await api.open())["id"] for _ in range(5)]
    read: list[str] = []
    asked: dict[str, object] = {"limit": 2, "standing": "open"}
    while True:
        page = await api.get("/incidents", **asked)
        read += [each["id"] for each in page["incidents"]]
        if page["next"] is None:
            break
        asked["after"] = page["next"]
    assert read == wanted[::-1]


async def test_where_four_eyes_are_asked_for_a_token_alone_publishes_nothing_grave(
    api: Api, house: House
) -> None:
    with_four_eyes(house)
    refused = await api.post("/incidents", INCIDENT)
    assert refused.status_code == 403
    assert (await api.get("/incidents"))["incidents"] == []
    minor = await api.post("/incidents", {**INCIDENT, "services": {"NCTS2": "degraded_performance"}})
    assert minor.status_code == 201
    alone = await api.post("/incidents", {**INCIDENT, "break_glass": "nobody answers the phone"})
    assert alone.status_code == 201
    act = house.db.read_now(lambda s: s.scalars(select(Act).where(Act.notice_id == alone.json()["id"])).one())
    assert (act.broke_glass, act.created_by) == ("nobody answers the phone", "api:all")
    (entry,) = house.db.read_now(audit.entries, action="act.broke-glass")
    assert (entry.actor, "nobody answers the phone" in entry.details) == ("api:all", True)
    path = f"/incidents/{alone.json()['id']}/fallbacks"
    assert (await api.post(path, {"service": "NCTS2", "state": "permitted"})).status_code == 403


async def test_a_token_is_nobodys_second_person(api: Api, house: House) -> None:
    with_four_eyes(house)
    written = await api.post("/acts", {"kind": "open", **INCIDENT})
    assert written.json()["needs_second_person"]
    api.client.headers["Authorization"] = f"Bearer {api.token('second')}"
    path = f"/acts/{written.json()['id']}"
    later = (clock.now() + timedelta(hours=1)).isoformat()
    assert (await api.post(f"{path}/perform", {})).status_code == 403
    assert (await api.post(f"{path}/schedule", {"publish_at": later})).status_code == 403
    assert (await api.post(f"{path}/hand-over")).json()["state"] == "waiting"
    policy = house.settings.incidents
    house.db.run_now(acts.perform, written.json()["id"], by="ewa", now=clock.now(), policy=policy)
    assert (await api.get(path))["state"] == "done"
    assert (await api.get("/incidents"))["incidents"][0]["updates"][0]["author"] == "api:all"


def with_four_eyes(house: House) -> None:
    """Settings are frozen; the house's are replaced before anything is asked."""
    settings = replace(house.settings, incidents=Incidents(four_eyes_from="critical"))
    object.__setattr__(house, "settings", settings)
