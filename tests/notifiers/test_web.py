"""Pages and API of subscriptions: GET shows, POST acts, the answer gives nothing away."""

import re
from collections.abc import AsyncIterator
from datetime import datetime

import httpx
import pytest
from sqlalchemy import select
from starlette.applications import Starlette
from starlette.middleware import Middleware

from notifiers import subscribers, web
from notifiers.links import MANAGE, UNSUBSCRIBE
from notifiers.rules import SubscriberState
from notifiers.subscribers import Choice
from notifiers.tables import Message, Subscriber
from statuspage.kernel.house import House
from statuspage.kernel.web import EXCEPTION_HANDLERS, Guard, Languages
from tests.notifiers.scenes import fill_catalogue

EMAIL = "anna@firma.example"
BASE = "https://status.customs.example"


@pytest.fixture
async def client(house: House) -> AsyncIterator[httpx.AsyncClient]:
    app = Starlette(
        routes=web.routes(),
        middleware=[Middleware(Languages, default="pl"), Middleware(Guard, base_url=BASE)],
        exception_handlers=EXCEPTION_HANDLERS,
    )
    app.state.house = house
    transport = httpx.ASGITransport(app=app, client=("192.0.2.7", 1))
    async with httpx.AsyncClient(transport=transport, base_url=BASE) as made:
        yield made


@pytest.fixture
def services(house: House, now: datetime) -> dict[str, str]:
    return house.db.run_now(fill_catalogue, now=now)


def one(house: House) -> Subscriber:
    return house.db.read_now(lambda s: s.scalars(select(Subscriber)).one())


def confirm_path(house: House) -> str:
    text = house.db.read_now(lambda s: s.scalars(select(Message.text)).one())
    found = re.search(r"https://[^/]+(/\S+/confirm)", text)
    assert found
    return found[1]


async def subscribed(house: House, client: httpx.AsyncClient) -> Subscriber:
    await client.post("/subscribe", data={"email": EMAIL, "language": "pl"})
    await client.post(confirm_path(house))
    return one(house)


async def test_the_form_offers_services_by_group_in_both_languages(
    client: httpx.AsyncClient, services: dict[str, str]
) -> None:
    polish = (await client.get("/pl/subscribe?service=NCTS2")).text
    assert "Wspólne" in polish
    assert f'value="{services["NCTS2"]}" checked' in polish
    english = (await client.get("/en/subscribe")).text
    assert "Common" in english
    assert "Your e-mail address" in english


async def test_from_the_form_to_the_first_alert(
    house: House, client: httpx.AsyncClient, services: dict[str, str]
) -> None:
    form = {"email": EMAIL, "services": services["NCTS2"], "language": "en"}
    answer = await client.post("/subscribe", data=form)
    assert answer.status_code == 200
    path = confirm_path(house)
    shown = await client.get(path)
    assert shown.status_code == 200
    assert "Yes, send me alerts" in shown.text
    assert one(house).state == SubscriberState.PENDING, "looking at the link has confirmed it"
    assert (await client.post(path)).status_code == 200
    assert one(house).state == SubscriberState.ACTIVE
    assert house.db.read_now(subscribers.chosen, one(house).id) == {services["NCTS2"]}


async def test_the_answer_is_the_same_for_known_and_unknown_addresses(
    house: House, client: httpx.AsyncClient, services: dict[str, str]
) -> None:
    await subscribed(house, client)
    answers = [
        (await client.post("/subscribe", data={"email": address, "language": "pl"})).text.replace(address, "")
        for address in (EMAIL, "bruno@firma.example")
    ]
    assert answers[0] == answers[1]


@pytest.mark.parametrize(
    "wrong",
    [
        {"email": "nobody"},
        {"services": "NOSUCH"},
        {"language": "de"},
        {"email": "a@b.example\r\nBcc: c@d.example"},
    ],
)
async def test_a_wrong_entry_is_named_and_what_was_typed_stays(
    house: House, client: httpx.AsyncClient, services: dict[str, str], wrong: dict[str, str]
) -> None:
    answer = await client.post("/subscribe", data={"email": EMAIL, "language": "en", **wrong})
    assert answer.status_code == 422
    assert 'class="error"' in answer.text
    if "email" not in wrong:
        assert f'value="{EMAIL}"' in answer.text
    assert house.db.read_now(lambda s: s.scalars(select(Subscriber)).all()) == []


async def test_a_foreign_site_cannot_subscribe_anybody(
    client: httpx.AsyncClient, services: dict[str, str]
) -> None:
    answer = await client.post("/subscribe", data={"email": EMAIL}, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403


async def test_a_network_cannot_ask_without_end(client: httpx.AsyncClient, services: dict[str, str]) -> None:
    codes = [
        (await client.post("/subscribe", data={"email": f"u{n}@x.example", "language": "pl"})).status_code
        for n in range(web.ASKS_AN_HOUR + 1)
    ]
    assert codes[-2:] == [200, 429]


@pytest.mark.parametrize("as_json", [True, False])
async def test_the_api_takes_statuspages_fields(
    house: House,
    client: httpx.AsyncClient,
    services: dict[str, str],
    *,
    as_json: bool,
) -> None:
    path, id = "/api/v2/subscribers.json", services["AIS"]
    if as_json:
        answer = await client.post(path, json={"subscriber": {"email": EMAIL, "component_id": id}})
    else:
        answer = await client.post(path, data={"subscriber[email]": EMAIL, "subscriber[component_id]": id})
    assert answer.status_code == 201
    assert answer.json()["subscriber"]["components"] == [id]
    subscriber = one(house)
    assert subscriber.state == SubscriberState.PENDING
    assert house.db.read_now(subscribers.chosen, subscriber.id) == {id}


@pytest.mark.parametrize(
    "body",
    ["no json", "[]", '{"subscriber": {"email": 7}}', '{"subscriber": {"email": "x"}}', '{"subscriber": []}'],
)
async def test_the_api_refuses_nonsense_in_words(client: httpx.AsyncClient, body: str) -> None:
    answer = await client.post(
        "/api/v2/subscribers.json", content=body, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 422
    assert answer.json()["error"]


async def test_one_click_unsubscribes_without_login_cookie_or_origin(
    house: House, client: httpx.AsyncClient, services: dict[str, str]
) -> None:
    path = f"/unsubscribe/{house.signer.sign(UNSUBSCRIBE, (await subscribed(house, client)).id)}"
    assert (await client.get(path)).status_code == 200
    assert one(house).state == SubscriberState.ACTIVE, "looking at the link has unsubscribed"
    for _ in range(2):
        answer = await client.post(
            path, data={"List-Unsubscribe": "One-Click"}, headers={"Origin": "https://mail.example"}
        )
        assert answer.status_code == 200
    assert one(house).state == SubscriberState.UNSUBSCRIBED


async def test_the_manage_link_changes_services_and_language(
    house: House, client: httpx.AsyncClient, services: dict[str, str]
) -> None:
    id = (await subscribed(house, client)).id
    path = f"/subscriptions/{house.signer.sign(MANAGE, id)}"
    assert EMAIL in (await client.get(path)).text
    answer = await client.post(path, data={"services": services["AIS"], "language": "en"})
    assert "Saved" in answer.text
    assert one(house).language == "en"
    assert house.db.read_now(subscribers.chosen, id) == {services["AIS"]}
    await client.post(path, data={"language": "en"})
    assert one(house).all_services, "nothing ticked is everything"


@pytest.mark.parametrize("path", ["/subscriptions/{}", "/unsubscribe/{}", "/subscriptions/{}/confirm"])
async def test_a_guessed_or_borrowed_token_finds_nothing(
    house: House, client: httpx.AsyncClient, services: dict[str, str], path: str
) -> None:
    id = (await subscribed(house, client)).id
    for token in ("x", f"{id}.AAAAAAAAAAAAAAAAAAAAAA", house.signer.sign("message-id", id)):
        assert (await client.get(path.format(token))).status_code == 404
        assert (await client.post(path.format(token))).status_code == 404


def test_the_panel_counts(house: House, now: datetime) -> None:
    assert house.db.read_now(web.panel).rows == ()
    house.db.run_now(subscribers.subscribe, EMAIL, Choice("pl"), house=house, origin="x", now=now)
    assert house.db.read_now(web.panel).rows == (("1", "0", "0", "0", "0", "0"),)
