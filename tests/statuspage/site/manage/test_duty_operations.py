"""Duty by token: a rota puts officers on duty and takes them off."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from statuspage.kernel import accounts, audit, clock
from statuspage.kernel.accounts import Role
from tests.statuspage.site.manage.conftest import Api


@pytest.fixture(autouse=True)
def people(api: Api) -> None:
    for login, role in (("anna", Role.OPERATOR), ("jan", Role.ADMINISTRATOR), ("ewa", Role.AGENT)):
        api.house.db.run_now(accounts.add_user, login, login.title(), role, "x", now=clock.now())


async def test_officers_go_on_duty_for_hours_or_until_a_time_and_leave(api: Api) -> None:
    began = clock.now()
    first = await api.post("/duty", {"login": "anna", "hours": 8})
    assert first.status_code == 200, first.text
    (anna,) = first.json()["on_duty"]
    assert anna["name"] == "Anna"
    length = datetime.fromisoformat(anna["until"]) - began
    assert timedelta(hours=8) <= length < timedelta(hours=8, minutes=5)
    until = (clock.now() + timedelta(hours=4)).isoformat()
    await api.post("/duty", {"login": "jan", "until": until})
    moved = await api.post("/duty", {"login": "anna", "until": until})
    assert moved.json() == await api.get("/duty")
    assert [each["login"] for each in moved.json()["on_duty"]] == ["anna", "jan"]
    assert datetime.fromisoformat(moved.json()["on_duty"][0]["until"]) == datetime.fromisoformat(until)
    left = await api.post("/duty/leave", {"login": "anna"})
    assert [each["login"] for each in left.json()["on_duty"]] == ["jan"]
    assert (await api.post("/duty/leave", {"login": "anna"})).json() == left.json()
    done = api.house.db.read_now(audit.entries, action="duty")
    assert {each.actor for each in done} == {"api:all"}
    assert [(each.action, each.subject) for each in done] == [
        ("duty.ended", "user:anna"),
        ("duty.moved", "user:anna"),
        ("duty.begun", "user:jan"),
        ("duty.begun", "user:anna"),
    ]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"login": "nobody", "hours": 8}, "login"),
        ({"login": "ewa", "hours": 8}, "login"),
        ({"login": "anna"}, "until"),
        ({"login": "anna", "hours": 8, "until": "2099-01-01T00:00:00Z"}, "until"),
        ({"login": "anna", "until": "2020-01-01T00:00:00Z"}, "until"),
    ],
    ids=["no account", "no operator", "no end", "two ends", "an end past"],
)
async def test_what_cannot_be_is_refused_by_its_field(api: Api, body: dict[str, Any], field: str) -> None:
    refused = await api.post("/duty", body)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == field
    assert (await api.get("/duty"))["on_duty"] == []


async def test_an_operator_of_one_group_of_services_may_be_on_duty(api: Api) -> None:
    user = api.house.db.read_now(accounts.find_user, "ewa")
    assert user is not None
    api.house.db.run_now(
        accounts.set_group_roles, user.id, {"transit": Role.OPERATOR}, by="jan", now=clock.now()
    )
    assert (await api.post("/duty", {"login": "ewa", "hours": 8})).status_code == 200


async def test_a_closed_account_goes_on_no_duty_but_leaves_it(api: Api) -> None:
    await api.post("/duty", {"login": "anna", "hours": 8})
    user = api.house.db.read_now(accounts.find_user, "anna")
    assert user is not None
    api.house.db.run_now(accounts.disable_user, user.id, now=clock.now())
    assert (await api.post("/duty", {"login": "anna", "hours": 9})).status_code == 422
    assert (await api.post("/duty/leave", {"login": "anna"})).json()["on_duty"] == []
