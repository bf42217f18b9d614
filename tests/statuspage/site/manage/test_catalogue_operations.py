"""Services, the audience and templates by token."""

from notifiers import subscribers
from statuspage.kernel import clock
from tests.statuspage.site.manage.conftest import Api

TEMPLATE = {"name": "Gateway", "kind": "open", "title": {"en": "{service} is down"}}


async def test_services_are_listed_with_what_they_depend_on(api: Api) -> None:
    found = (await api.get("/services"))["services"]
    assert [each["code"] for each in found] == ["PUESC", "NCTS2", "OSOZ2"]
    assert found[1]["parents"] == ["PUESC"]
    assert (await api.ask("GET", "/services/NCTS3")).status_code == 404


async def test_the_audience_of_services_is_counted(api: Api) -> None:
    rows = "email,language,services,consent\na@example.com,pl,NCTS2,x\nb@example.com,en,,x\n"
    api.house.db.run_now(subscribers.import_csv, rows, where="s.csv", now=clock.now())
    assert await api.get("/audience", services="NCTS2,PUESC") == {"count": 2}
    assert await api.get("/audience", services="OSOZ2") == {"count": 1}
    assert (await api.ask("GET", "/audience?services=NCTS3")).status_code == 422
    assert (await api.ask("GET", "/audience")).status_code == 400


async def test_a_template_is_added_replaced_and_removed(api: Api) -> None:
    added = await api.post("/templates", TEMPLATE)
    assert added.status_code == 201
    path = f"/templates/{added.json()['id']}"
    replaced = await api.ask("PUT", path, {**TEMPLATE, "status": "identified", "position": 3})
    assert replaced.json() == {**added.json(), "status": "identified", "position": 3}
    assert (await api.get("/templates"))["templates"] == [replaced.json()]
    assert (await api.post("/templates", TEMPLATE)).status_code == 409
    unknown = await api.post("/templates", {**TEMPLATE, "name": "X", "title": {"en": "{nonsense}"}})
    assert unknown.json()["errors"][0]["field"] == "title.en"
    removed = await api.ask("DELETE", path)
    assert (removed.status_code, removed.content) == (204, b"")
    assert (await api.ask("GET", path)).status_code == 404
