"""What every web function may rely on: language, the guard, headers, errors as HTTP, who is asking."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio
import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from statuspage.kernel import clock, web
from statuspage.kernel.accounts import (
    SEEN_EVERY,
    Role,
    add_user,
    end_session,
    note_seen,
    set_group_roles,
    signed_in,
    start_session,
)
from statuspage.kernel.authority import within
from statuspage.kernel.errors import Conflict, Error, Forbidden, Invalid, NotFound, TooMany, Unavailable
from statuspage.kernel.house import House

BASE_URL = "https://status.example"
LIMIT_BYTES = 2048
ERRORS: dict[str, Exception] = {
    "invalid": Invalid("email", "an address is expected"),
    "missing": NotFound("no such thing"),
    "forbidden": Forbidden("not for you"),
    "conflict": Conflict("somebody was faster"),
    "toomany": TooMany("too many attempts", retry_after_s=77),
    "unavailable": Unavailable("the database is locked"),
    "other": Error("unmapped"),
    "teapot": HTTPException(418),
    "bug": RuntimeError("a mistake of ours"),
}


async def echo(request: Request) -> Response:
    return JSONResponse(
        {
            "path": request.scope["path"],
            "language": web.language(request),
            "here": web.localized(request, "/x"),
        }
    )


async def away(request: Request) -> Response:
    return web.redirect(request, "/desk")


async def fail(request: Request) -> Response:
    raise ERRORS[request.path_params["kind"]]


async def file(request: Request) -> Response:
    return JSONResponse(await web.form(request))


async def ignore(_request: Request) -> Response:
    return PlainTextResponse("the body was not read")


async def agents_only(request: Request) -> Response:
    return PlainTextResponse((await web.require(request, Role.AGENT)).login)


ROUTES = [
    Route("/away", away, methods=["GET", "POST"]),
    Route("/file", file, methods=["POST"]),
    Route("/ignore", ignore, methods=["POST"]),
    Route("/unsubscribe/{token}", ignore, methods=["POST"]),
    Route("/heartbeat/{token}", ignore, methods=["POST"]),
    Route("/api/v2/thing", ignore, methods=["POST"]),
    Route("/agents", agents_only, methods=["GET", "POST"]),
    Route("/fail/{kind}", fail),
    Route("/api/v2/fail/{kind}", fail),
    Route("/{rest:path}", echo),
]


@pytest.fixture
def app(house: House) -> Starlette:
    """The least application that stands on `kernel.web` as the real one does."""
    server = replace(house.settings.server, base_url=BASE_URL, max_body_bytes=LIMIT_BYTES)
    house = replace(house, settings=replace(house.settings, server=server))
    app = Starlette(
        routes=ROUTES,
        middleware=web.middleware(house.settings),
        exception_handlers=web.EXCEPTION_HANDLERS,
    )
    app.state.house = house
    return app


@pytest_asyncio.fixture
async def client(app: Starlette) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=BASE_URL) as client:
        yield client


@pytest.mark.parametrize(
    ("path", "accepted", "seen"),
    [
        ("/pl/desk", "en", ("/desk", "pl", "/pl/x")),
        ("/en/desk", "pl", ("/desk", "en", "/en/x")),
        ("/en", "pl", ("/", "en", "/en/x")),
        ("/en/", "pl", ("/", "en", "/en/x")),
        ("/desk", "en-GB, pl;q=0.5", ("/desk", "en", "/x")),
        ("/desk", "", ("/desk", "pl", "/x")),
        ("/desk", "de", ("/desk", "pl", "/x")),
        ("/english", "", ("/english", "pl", "/x")),
        ("/en/pl/desk", "", ("/pl/desk", "en", "/en/x")),
        ("/pl/us%C5%82ugi", "", ("/usługi", "pl", "/pl/x")),
    ],
)
async def test_the_language_stands_in_the_path_or_is_negotiated(
    client: httpx.AsyncClient, path: str, accepted: str, seen: tuple[str, str, str]
) -> None:
    answer = (await client.get(path, headers={"Accept-Language": accepted})).json()

    assert (answer["path"], answer["language"], answer["here"]) == seen


async def test_a_redirect_keeps_the_language_and_names_no_host(client: httpx.AsyncClient) -> None:
    answer = await client.get("/en/away", headers={"Host": "evil.example"})

    assert (answer.status_code, answer.headers["location"]) == (303, "/en/desk")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": BASE_URL}, 200),
        ({"Origin": "https://status.example:8443"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "https://status.example.evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "same-origin", "Origin": BASE_URL}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Sec-Fetch-Site": "same-site", "Origin": "https://www.example"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Origin": BASE_URL}, 403),
    ],
)
async def test_a_form_from_a_foreign_site_is_refused(
    client: httpx.AsyncClient, headers: dict[str, str], status: int
) -> None:
    for path in ("/file", "/pl/file"):
        answer = await client.post(path, data={"name": "x"}, headers=headers)
        assert answer.status_code == status


async def test_a_link_from_a_foreign_site_is_followed(client: httpx.AsyncClient) -> None:
    answer = await client.get(
        "/desk", headers={"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
    )

    assert answer.status_code == 200


@pytest.mark.parametrize(
    "path", ["/unsubscribe/abc", "/heartbeat/abc", "/api/v2/thing", "/en/unsubscribe/abc"]
)
async def test_machines_post_without_an_origin_of_ours(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.post(
        path, headers={"Origin": "https://mail.example", "Sec-Fetch-Site": "cross-site"}
    )

    assert answer.status_code == 200


async def answers(client: httpx.AsyncClient) -> dict[int, httpx.Response]:
    """One answer of every status that can happen."""
    given = [await client.get(f"/fail/{kind}") for kind in ERRORS]
    given += [
        await client.get("/desk"),
        await client.get("/away"),
        await client.post("/desk"),
        await client.post("/file", data={"text": "x" * LIMIT_BYTES}),
        await client.post("/ignore", data={"text": "x" * LIMIT_BYTES}),
        await client.post("/file", headers={"Origin": "https://evil.example"}),
    ]
    return {answer.status_code: answer for answer in given}


async def test_every_answer_carries_the_security_headers(client: httpx.AsyncClient) -> None:
    given = await answers(client)

    assert sorted(given) == [200, 303, 403, 404, 405, 409, 413, 418, 422, 429, 500, 503]
    for answer in given.values():
        assert answer.headers["content-security-policy"] == web.CONTENT_SECURITY_POLICY
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["referrer-policy"] == "same-origin"


def test_the_policy_lets_no_inline_script_or_style_in() -> None:
    assert "unsafe" not in web.CONTENT_SECURITY_POLICY
    assert web.CONTENT_SECURITY_POLICY.startswith("default-src 'none'")


@pytest.mark.parametrize(
    ("kind", "status", "retry_after"),
    [
        ("invalid", 422, None),
        ("missing", 404, None),
        ("forbidden", 403, None),
        ("conflict", 409, None),
        ("toomany", 429, "77"),
        ("unavailable", 503, "5"),
        ("other", 500, None),
        ("teapot", 418, None),
        ("bug", 500, None),
    ],
)
async def test_an_error_is_told_in_words_in_the_readers_language(
    client: httpx.AsyncClient, kind: str, status: int, retry_after: str | None
) -> None:
    polish, english = await client.get(f"/pl/fail/{kind}"), await client.get(f"/en/fail/{kind}")

    assert (polish.status_code, english.status_code) == (status, status)
    assert '<html lang="pl"' in polish.text
    assert '<html lang="en"' in english.text
    assert polish.headers.get("retry-after") == retry_after
    assert "a mistake of ours" not in polish.text + english.text
    assert polish.headers["cache-control"] == "no-store"


async def test_what_is_wrong_with_the_input_is_named(client: httpx.AsyncClient) -> None:
    text = (await client.get("/en/fail/invalid")).text

    assert "email" in text
    assert "an address is expected" in text


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("invalid", {"error": "email: an address is expected"}),
        ("missing", {"error": "no such thing"}),
        ("bug", {"error": "error"}),
    ],
)
async def test_the_api_is_answered_in_json(
    client: httpx.AsyncClient, kind: str, body: dict[str, Any]
) -> None:
    answer = await client.get(f"/api/v2/fail/{kind}")

    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == body


async def test_a_form_is_stripped_and_files_are_refused(client: httpx.AsyncClient) -> None:
    assert (await client.post("/file", data={"name": "  Anna \n", "text": "a b"})).json() == {
        "name": "Anna",
        "text": "a b",
    }
    upload = await client.post("/file", files={"name": ("a.txt", b"text")})
    assert upload.status_code == 400


# --- who is asking ---


async def sign_in(house: House, role: Role) -> str:
    user = await house.db.run(add_user, "anna", "Anna", role, "hash", now=clock.now())
    return await house.db.run(start_session, user.id, now=clock.now(), lifetime=timedelta(hours=1))


async def test_nobody_is_shown_the_way_to_the_sign_in_page(client: httpx.AsyncClient) -> None:
    answer = await client.get("/en/agents")

    assert (answer.status_code, answer.headers["location"]) == (303, "/en/console/sign-in?next=%2Fagents")


@pytest.mark.parametrize(
    ("role", "status"), [(Role.VIEWER, 403), (Role.AGENT, 200), (Role.ADMINISTRATOR, 200)]
)
async def test_a_page_asks_for_a_role(
    client: httpx.AsyncClient, house: House, role: Role, status: int
) -> None:
    client.cookies.set(web.COOKIE, await sign_in(house, role))

    assert (await client.get("/agents")).status_code == status


async def test_a_role_for_a_group_opens_what_is_that_groups_alone(house: House) -> None:
    async def page(request: Request) -> Response:
        user = await web.require(request, Role.OPERATOR, somewhere="group" in request.query_params)
        groups = request.query_params.getlist("group")
        verb = within(user, Role.OPERATOR, lambda _session: groups, lambda _session: user.login)
        return PlainTextResponse(await house.db.run(verb) if groups else user.login)

    app = Starlette(routes=[Route("/page", page)], exception_handlers=web.EXCEPTION_HANDLERS)
    app.state.house = house
    token = await sign_in(house, Role.AGENT)
    who = await house.db.read(signed_in, token, now=clock.now())
    assert who is not None
    await house.db.run(set_group_roles, who.user_id, {"transit": Role.OPERATOR}, by="setup", now=clock.now())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=BASE_URL) as client:
        client.cookies.set(web.COOKIE, token)
        statuses = [
            (await client.get(path)).status_code
            for path in (
                "/page?group=transit",
                "/page?group=transit&group=excise",
                "/page?group=excise",
                "/page",
            )
        ]
    assert statuses == [200, 403, 403, 403]


async def test_a_session_in_use_is_noted_no_more_often_than_needed(
    client: httpx.AsyncClient, house: House
) -> None:
    token = await sign_in(house, Role.AGENT)
    client.cookies.set(web.COOKIE, token)

    def seen_at() -> datetime:
        who = house.db.read_now(signed_in, token, now=clock.now())
        assert who is not None
        assert who.seen_at is not None
        return who.seen_at

    began_at = seen_at()
    await client.get("/agents")
    assert seen_at() == began_at
    await house.db.run(note_seen, token, now=began_at - SEEN_EVERY)
    await client.get("/agents")
    assert seen_at() >= began_at


async def test_a_form_needs_the_token_of_its_session(client: httpx.AsyncClient, house: House) -> None:
    token = await sign_in(house, Role.AGENT)
    client.cookies.set(web.COOKIE, token)
    who = await house.db.read(signed_in, token, now=clock.now())
    assert who is not None

    for data in ({}, {"csrf": ""}, {"csrf": "guessed"}, {"csrf": token}):
        assert (await client.post("/agents", data=data)).status_code == 403
    assert (await client.post("/agents", data={"csrf": who.csrf})).text == "anna"


async def test_a_cookie_is_worth_nothing_after_signing_out(client: httpx.AsyncClient, house: House) -> None:
    token = await sign_in(house, Role.AGENT)
    client.cookies.set(web.COOKIE, token)
    assert (await client.get("/agents")).status_code == 200

    await house.db.run(end_session, token, now=clock.now())

    assert (await client.get("/agents")).status_code == 303


# --- bodies that are too large, over a real connection ---


@asynccontextmanager
async def serving(app: Starlette) -> AsyncIterator[int]:
    """The port of a real server."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, lifespan="off", log_config=None))
    running = asyncio.create_task(server.serve())
    async with asyncio.timeout(20):
        while not server.started:
            await asyncio.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    await running


def chunked(text: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(text), text)


async def test_a_body_without_a_length_is_cut_off_at_the_limit(app: Starlette) -> None:
    head = (
        b"POST /file HTTP/1.1\r\nHost: status.example\r\nTransfer-Encoding: chunked\r\n"
        b"Content-Type: application/x-www-form-urlencoded\r\n\r\n"
    )
    async with serving(app) as port, asyncio.timeout(20):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head + chunked(b"text="))
        answer = asyncio.create_task(reader.readline())
        sent = 0
        while not answer.done() and sent < 100 * LIMIT_BYTES:
            writer.write(chunked(b"x" * 256))
            await writer.drain()
            sent += 256
            await asyncio.sleep(0)
        assert b" 413 " in await answer
        writer.close()


async def test_a_body_below_the_limit_needs_no_length(app: Starlette) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"text="
        yield b"x" * (LIMIT_BYTES - 100)

    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    async with serving(app) as port, httpx.AsyncClient() as client:
        answer = await client.post(f"http://127.0.0.1:{port}/file", content=body(), headers=headers)

    assert answer.json() == {"text": "x" * (LIMIT_BYTES - 100)}
