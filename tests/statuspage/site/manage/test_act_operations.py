"""Drafts by token: written unfinished, edited by one at a time, timed, performed, dropped."""

from datetime import timedelta

from statuspage.incidents import acts
from statuspage.incidents.snapshot import Text
from statuspage.kernel import clock
from tests.statuspage.site.manage.conftest import INCIDENT, SAID, Api


async def test_a_draft_is_read_as_it_may_be_sent_back(api: Api) -> None:
    said = {
        "kind": "open",
        **INCIDENT,
        "messages": [{"handling": "resend", "text": {"en": "Send again."}}],
        "fallbacks": [{"service": "NCTS2", "state": "permitted", "enter_within_hours": 12}],
        "scope": {"NCTS2": {"functions": ["guarantees"]}},
    }
    written = await api.post("/acts", said)
    assert written.status_code == 201
    assert written.headers["location"].endswith(f"/acts/{written.json()['id']}")
    content = written.json()["content"]
    edited = await api.ask("PUT", f"/acts/{written.json()['id']}", content, If_Match=written.headers["etag"])
    assert edited.json()["content"] == content
    performed = await api.post(f"/acts/{written.json()['id']}/perform", {})
    incident = await api.get(f"/incidents/{performed.json()['incident']}")
    assert incident["messages"][0]["handling"] == "resend"
    assert incident["fallbacks"][0]["enter_within_hours"] == 12


async def test_editing_needs_the_version_that_was_read_and_the_others_edit_is_shown(api: Api) -> None:
    written = await api.post("/acts", {"kind": "open"})
    path, tag = f"/acts/{written.json()['id']}", written.headers["etag"]
    assert (await api.ask("PUT", path, {"kind": "open"})).status_code == 428
    content = acts.Content(acts.ActKind.OPEN, name=Text("", "By Ewa"))
    api.house.db.run_now(
        acts.edit, written.json()["id"], content, by="ewa", now=clock.now(), version=written.json()["version"]
    )
    stale = await api.ask("PUT", path, {"kind": "open"}, If_Match=tag)
    assert stale.status_code == 412
    assert stale.json()["current"]["content"]["name"]["en"] == "By Ewa"


async def test_an_act_is_timed_and_dropped_and_then_over(api: Api) -> None:
    opened = await api.open()
    written = await api.post("/acts", {"kind": "update", "incident": opened["id"], **SAID})
    path = f"/acts/{written.json()['id']}"
    at = (clock.now() + timedelta(hours=1)).isoformat()
    assert (await api.post(f"{path}/schedule", {"publish_at": at})).json()["state"] == "scheduled"
    past = await api.post(f"{path}/schedule", {"publish_at": "2020-01-01T00:00:00Z"})
    assert past.json()["errors"][0]["field"] == "publish_at"
    assert (await api.post(f"{path}/drop")).json()["state"] == "dropped"
    over = await api.post(f"{path}/perform", {})
    assert over.status_code == 409
    assert over.json()["current"]["state"] == "dropped"
    assert (await api.get("/acts"))["acts"] == []
