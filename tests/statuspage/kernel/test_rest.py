"""The machinery with operations of a test's own: who may, what is refused, what is repeated, what a crash leaves."""

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.applications import Starlette

from statuspage.kernel import audit, clock, rest, tokens
from statuspage.kernel.db import Database
from statuspage.kernel.errors import Conflict, Forbidden, Invalid, NotFound, Unavailable
from statuspage.kernel.events import Counter, next_number
from statuspage.kernel.house import House
from statuspage.kernel.operations import ROOT, Call, Given, Operation, Reply, Shown
from statuspage.kernel.tokens import ApiToken, Scope
from statuspage.kernel.web import COOKIE, EXCEPTION_HANDLERS, middleware

BASE = "http://status.example"
KEY = "9b2f"


class Note(Given, frozen=True, kw_only=True):
    word: str = ""


class Number(Shown, frozen=True, kw_only=True):
    number: int


ERRORS = {
    "invalid": Invalid("title_pl", "is wrong"),
    "missing": NotFound("nothing"),
    "forbidden": Forbidden("no"),
    "conflict": Conflict("moved on"),
    "unavailable": Unavailable("locked"),
    "fault": ZeroDivisionError("the inside of the house"),
}
gate = threading.Event()
entered = threading.Event()


def count(session: Session, call: Call) -> Reply:
    number = next_number(session, "notes")
    word = call.body.word
    if word == "slow":
        entered.set()
        gate.wait(10)
    if word in ERRORS:
        raise ERRORS[word]
    return Reply(Number(number=number), number, f"note:{number}", f"/notes/{number}")


def show(session: Session, _call: Call) -> Reply:
    return Reply(current(session, _call))


def current(session: Session, _call: Call) -> Number:
    return Number(number=session.scalar(select(Counter.value).where(Counter.name == "notes")) or 0)


OPERATIONS = [
    Operation("GET", "/notes", "showNotes", "How many", Scope.READ, show, Number),
    Operation(
        "POST",
        "/notes",
        "addNote",
        "One more",
        Scope.INCIDENTS,
        count,
        Number,
        body=Note,
        status=201,
        action="note.added",
        is_versioned=True,
        current=current,
        fields={"title": "name"},
    ),
]


@pytest.fixture
def app(house: House) -> Starlette:
    return served(house, OPERATIONS)


def served(house: House, operations: Sequence[Operation]) -> Starlette:
    app = Starlette(
        routes=[rest.mount(house, operations)],
        middleware=middleware(house.settings),
        exception_handlers=EXCEPTION_HANDLERS,
    )
    app.state.house = house
    return app


@pytest.fixture
async def client(house: House, app: Starlette) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url=BASE + ROOT) as client:
        client.headers["Authorization"] = f"Bearer {issue(house.db, 'gate', *Scope)}"
        yield client


def issue(db: Database, name: str, *scopes: Scope) -> str:
    return db.run_now(tokens.add, name, scopes, lifetime=timedelta(days=1), by="cli:ewa", now=clock.now())


def counted(db: Database) -> int:
    return db.read_now(current, None).number  # type: ignore[arg-type]


# --- who asks ---


async def test_unknown_expired_and_revoked_tokens_get_the_same_answer(
    client: httpx.AsyncClient, house: House
) -> None:
    revoked = issue(house.db, "revoked", Scope.READ)
    house.db.run_now(tokens.revoke, "revoked", by="cli:ewa", now=clock.now())
    expired = house.db.run_now(
        tokens.add,
        "expired",
        (Scope.READ,),
        lifetime=timedelta(days=1),
        by="cli:ewa",
        now=clock.now() - timedelta(days=2),
    )
    answers = [
        await client.get("/notes", headers={"Authorization": f"Bearer {token}"})
        for token in (revoked, expired, "spm_unknown", "x" * 5000)
    ]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.content for answer in answers}) == 1
    assert {answer.headers["www-authenticate"] for answer in answers} == {
        'Bearer realm="statuspage", error="invalid_token"'
    }
    assert {answer.headers["content-type"] for answer in answers} == {"application/problem+json"}


async def test_without_a_token_it_says_how_to_send_one(client: httpx.AsyncClient) -> None:
    del client.headers["Authorization"]
    for headers in ({}, {"Authorization": "Basic ZXdhOng="}, {"Authorization": "Bearer"}):
        answer = await client.get("/notes", headers=headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer realm=")


async def test_a_scope_that_is_lacking_is_named(client: httpx.AsyncClient, house: House) -> None:
    client.headers["Authorization"] = f"Bearer {issue(house.db, 'reader', Scope.READ)}"
    answer = await client.post("/notes", json={})
    assert answer.status_code == 403
    assert 'error="insufficient_scope", scope="incidents:write"' in answer.headers["www-authenticate"]
    assert counted(house.db) == 0


async def test_no_cookie_is_ever_accepted(client: httpx.AsyncClient) -> None:
    token = client.headers.pop("Authorization").removeprefix("Bearer ")
    client.cookies.set(COOKIE, token)
    assert (await client.get("/notes")).status_code == 401
    answer = await client.get("/notes", headers={"Authorization": f"Bearer {token}"})
    assert "set-cookie" not in answer.headers


async def test_no_other_site_is_let_in(client: httpx.AsyncClient) -> None:
    foreign = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    preflight = await client.options("/notes", headers=foreign)
    assert preflight.status_code == 405
    for answer in (preflight, await client.get("/notes", headers=foreign)):
        assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_guessing_is_limited_per_network_and_shuts_nobody_else_out(
    client: httpx.AsyncClient, app: Starlette
) -> None:
    bad = {"Authorization": "Bearer spm_guess"}
    statuses = [(await client.get("/notes", headers=bad)).status_code for _ in range(70)]
    assert (statuses[0], statuses[-1]) == (401, 429)
    answer = await client.get("/notes", headers=bad)
    assert int(answer.headers["retry-after"]) > 0
    assert (await client.get("/notes")).status_code == 200
    elsewhere = httpx.ASGITransport(app=app, client=("203.0.113.9", 1))
    async with httpx.AsyncClient(transport=elsewhere, base_url=BASE + ROOT) as other:
        assert (await other.get("/notes", headers=bad)).status_code == 401


async def test_its_last_use_is_known_to_the_hour(client: httpx.AsyncClient, house: House) -> None:
    def last_use() -> object:
        return house.db.read_now(lambda s: s.scalars(select(ApiToken.last_used_at)).one())

    assert last_use() is None
    await client.get("/notes")
    first = last_use()
    assert first is not None
    await client.get("/notes")
    assert last_use() == first


# --- what is refused ---


async def test_errors_are_problems_with_the_bodys_name_of_the_field(client: httpx.AsyncClient) -> None:
    answer = await client.post("/notes", json={"word": "invalid"})
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "about:blank",
        "title": "Unprocessable Entity",
        "status": 422,
        "detail": "name.pl: is wrong",
        "errors": [{"field": "name.pl", "reason": "is wrong"}],
        "current": None,
    }


@pytest.mark.parametrize(
    ("word", "status"),
    [("missing", 404), ("forbidden", 403), ("conflict", 409), ("unavailable", 503), ("fault", 500)],
)
async def test_every_error_is_a_problem_and_leaves_nothing(
    client: httpx.AsyncClient, house: House, word: str, status: int
) -> None:
    answer = await client.post("/notes", json={"word": word}, headers={"Idempotency-Key": KEY})
    assert answer.status_code == answer.json()["status"] == status
    assert "the inside" not in answer.text
    assert (answer.json()["current"] is not None) == (word == "conflict")
    assert counted(house.db) == 0
    again = await client.post("/notes", json={}, headers={"Idempotency-Key": KEY})
    assert again.status_code == 201  # nothing was kept of what had no effect


async def test_what_is_not_there_is_a_problem_too(client: httpx.AsyncClient) -> None:
    assert (await client.get("/nothing")).json()["status"] == 404
    answer = await client.put("/notes", json={})
    assert answer.status_code == 405
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD", "POST"}
    assert answer.json()["title"] == "Method Not Allowed"
    assert (await client.get("/notes?x=1")).json()["errors"][0]["field"] == "x"


async def test_a_body_is_json_and_of_a_bounded_size(client: httpx.AsyncClient, house: House) -> None:
    assert (await client.post("/notes", content=b"word=x")).status_code == 415
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert (await client.post("/notes", content=b"word=x", headers=form)).status_code == 415
    kind = {"Content-Type": "application/json; charset=utf-8"}
    assert (await client.post("/notes", content=b"{}", headers=kind)).status_code == 201

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(10_000):
            yield b" " * 1024

    answer = await client.post("/notes", content=endless(), headers=kind)
    assert (answer.status_code, answer.json()["status"]) == (413, 413)
    assert counted(house.db) == 1


@pytest.fixture
async def narrow(client: httpx.AsyncClient, house: House) -> AsyncIterator[httpx.AsyncClient]:
    """As `client`, where the settings allow 2,048 bytes."""
    settings = replace(house.settings, server=replace(house.settings.server, max_body_bytes=2048))
    transport = httpx.ASGITransport(app=served(replace(house, settings=settings), OPERATIONS))
    async with httpx.AsyncClient(transport=transport, base_url=BASE + ROOT, headers=client.headers) as narrow:
        yield narrow


async def test_a_body_over_the_settings_limit_is_a_problem_whether_its_length_was_told_or_not(
    narrow: httpx.AsyncClient,
) -> None:

    async def in_parts() -> AsyncIterator[bytes]:
        for _ in range(4):
            yield b" " * 1024

    kind = {"Content-Type": "application/json"}
    for content in (b" " * 2049, in_parts(), b" " * 2_000_000):
        answer = await narrow.post("/notes", content=content, headers=kind)
        assert answer.status_code == 413
        assert answer.headers["content-type"] == "application/problem+json"
        assert (answer.json()["status"], answer.json()["detail"]) == (413, "at most 2048 bytes are read")
    assert (await narrow.get("/notes")).json() == {"number": 0}
    good = await narrow.post("/notes", content=b"{}" + b" " * 2046, headers=kind)
    assert good.status_code == 201


async def test_an_answer_to_who_sends_too_much_stays_what_it_is(narrow: httpx.AsyncClient) -> None:
    """What is refused before the body is read is not turned into plain text by the limit of all addresses."""
    too_much: dict[str, Any] = {"content": b" " * 5_000, "headers": {"Content-Type": "application/json"}}
    assert (await narrow.post("/nothing", **too_much)).json()["status"] == 404
    del narrow.headers["Authorization"]
    assert (await narrow.post("/notes", **too_much)).json()["status"] == 401


# --- what is prepared ---


async def test_what_is_slow_is_prepared_before_the_unit_of_work(
    client: httpx.AsyncClient, house: House
) -> None:
    def prepare(call: Call) -> str:
        if call.body.word == "bad":
            raise Invalid("title_pl", "cannot be prepared")
        house.db.run_now(next_number, "prepared")  # nobody holds the database meanwhile
        return f"{call.body.word} on {threading.current_thread().name}"

    def add(session: Session, call: Call) -> Reply:
        word, _, thread = call.prepared.partition(" on ")
        assert word == "good"
        assert thread != threading.main_thread().name
        return Reply(Number(number=next_number(session, "notes")))

    operation = replace(OPERATIONS[1], verb=add, prepare=prepare, is_versioned=False, action="")
    transport = httpx.ASGITransport(app=served(house, [operation]))
    async with httpx.AsyncClient(
        transport=transport, base_url=BASE + ROOT, headers=client.headers
    ) as prepared:
        bad = await prepared.post("/notes", json={"word": "bad"})
        assert bad.json()["errors"][0]["field"] == "name.pl"
        assert counted(house.db) == 0
        assert (await prepared.post("/notes", json={"word": "good"})).status_code == 201


# --- what is repeated ---


async def test_the_same_key_repeats_the_answer_and_has_no_effect(
    client: httpx.AsyncClient, house: House
) -> None:
    first = await client.post("/notes", json={"word": "a"}, headers={"Idempotency-Key": f'"{KEY}"'})
    second = await client.post("/notes", json={"word": "a"}, headers={"Idempotency-Key": KEY})
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.content == second.content
    for name in ("etag", "location"):
        assert first.headers[name] == second.headers[name]
    assert second.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert counted(house.db) == 1
    assert len(house.db.read_now(audit.entries, action="note")) == 1


async def test_the_same_key_for_something_else_is_refused(client: httpx.AsyncClient, house: House) -> None:
    await client.post("/notes", json={"word": "a"}, headers={"Idempotency-Key": KEY})
    answer = await client.post("/notes", json={"word": "b"}, headers={"Idempotency-Key": KEY})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "Idempotency-Key"
    assert counted(house.db) == 1


async def test_a_key_is_one_tokens_own(client: httpx.AsyncClient, house: House) -> None:
    await client.post("/notes", json={}, headers={"Idempotency-Key": KEY})
    client.headers["Authorization"] = f"Bearer {issue(house.db, 'other', *Scope)}"
    assert (await client.post("/notes", json={}, headers={"Idempotency-Key": KEY})).json() == {"number": 2}


async def test_while_the_first_is_under_way_the_second_is_told_so(
    client: httpx.AsyncClient, house: House
) -> None:
    gate.clear()
    entered.clear()
    headers = {"Idempotency-Key": KEY}
    first = asyncio.create_task(client.post("/notes", json={"word": "slow"}, headers=headers))
    try:
        assert await asyncio.to_thread(entered.wait, 10)
        second = await client.post("/notes", json={"word": "slow"}, headers=headers)
        assert second.status_code == 409
        assert second.headers["retry-after"] == "1"
    finally:
        gate.set()
    assert (await first).status_code == 201
    third = await client.post("/notes", json={"word": "slow"}, headers=headers)
    assert third.content == (await first).content
    assert counted(house.db) == 1


async def test_the_actor_of_the_audit_log_is_the_tokens_name(client: httpx.AsyncClient, house: House) -> None:
    await client.post("/notes", json={})
    (entry,) = house.db.read_now(audit.entries, action="note")
    assert (entry.actor, entry.action, entry.subject) == ("api:gate", "note.added", "note:1")


def test_a_crash_before_the_commit_leaves_neither_the_effect_nor_the_answer(house: House) -> None:
    """Between the effect and the commit the process dies: what is asked again happens once."""
    issue(house.db, "gate", *Scope)
    token_id = house.db.read_now(lambda s: s.scalars(select(ApiToken.id)).one())
    operation = OPERATIONS[1]
    call = Call(by="api:gate", now=clock.now(), settings=house.settings, body=Note())

    def dying(session: Session) -> None:
        rest.change(session, operation, call, token_id, KEY, "print")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        house.db.run_now(dying)
    assert counted(house.db) == 0
    answers = [house.db.run_now(rest.change, operation, call, token_id, KEY, "print") for _ in range(2)]
    assert [answer.is_repeated for answer in answers] == [False, True]
    assert counted(house.db) == 1
