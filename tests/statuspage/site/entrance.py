"""The console's doors for tests: an application of their routes, accounts, and a browser that signs in."""

import re
from collections.abc import Sequence
from functools import cache

import httpx
import pyotp
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from statuspage.kernel import accounts, clock, otp, web
from statuspage.kernel.accounts import Role, User
from statuspage.kernel.house import House
from statuspage.kernel.web import EXCEPTION_HANDLERS, Guard, Languages
from statuspage.site import account, audit_trail, signin, staff

PASSWORD = "correct horse battery"
BASE = "http://status.example"


@cache
def hashed(password: str = PASSWORD) -> str:
    """argon2id takes its time, once."""
    return accounts.hash_password(password)


def add(house: House, login: str, role: Role = Role.VIEWER) -> User:
    return house.db.run_now(accounts.add_user, login, login.title(), role, hashed(), now=clock.now())


async def _board(request: Request) -> Response:
    """Stands for the board: it says who came in."""
    user = await web.require(request, Role.VIEWER)
    return PlainTextResponse(f"the board of {user.login}")


def application(house: House, more: Sequence[BaseRoute] = ()) -> Starlette:
    app = Starlette(
        routes=[
            *signin.routes(),
            *account.routes(),
            *staff.routes(),
            *audit_trail.routes(),
            *more,
            Route("/console", _board),
        ],
        middleware=[Middleware(Languages, default="pl"), Middleware(Guard, base_url=BASE)],
        exception_handlers=EXCEPTION_HANDLERS,
    )
    app.state.house = house
    return app


def browser(app: Starlette, *, address: str = "192.0.2.7", user_agent: str = "") -> httpx.AsyncClient:
    """One browser with cookies of its own."""
    transport = httpx.ASGITransport(app=app, client=(address, 40000))
    return httpx.AsyncClient(transport=transport, base_url=BASE, headers={"User-Agent": user_agent})


async def sign_in(
    client: httpx.AsyncClient, login: str, password: str = PASSWORD, onward: str = ""
) -> httpx.Response:
    return await client.post(
        f"/en/console/sign-in?next={onward}", data={"login": login, "password": password}
    )


def csrf_of(page: str) -> str:
    """What a form of the page brings back."""
    found = re.search(r'name="csrf" value="([^"]+)"', page)
    assert found is not None, page
    return found[1]


async def press(client: httpx.AsyncClient, page: str, action: str, **fields: str) -> httpx.Response:
    """Send the form at `action`, with the token that `page` holds."""
    token = csrf_of((await client.get(page)).text)
    return await client.post(action, data={"csrf": token, **fields})


def switch_on(house: House, user: User) -> tuple[str, tuple[str, ...]]:
    """A second factor that is on, its secret and recovery codes; the code that confirmed it was of long ago."""
    before = clock.now().replace(year=2001)
    secret = house.db.run_now(otp.begin, user.id, now=before)
    codes = house.db.run_now(otp.confirm, user, pyotp.TOTP(secret).at(before), now=before)
    return secret, codes


def code_now(secret: str) -> str:
    return pyotp.TOTP(secret).at(clock.now())


async def is_in(client: httpx.AsyncClient) -> bool:
    answer = await client.get("/en/console")
    assert answer.status_code in (200, 303)
    return answer.status_code == 200


def actions(house: House) -> list[str]:
    """What the audit log holds, oldest first."""
    from statuspage.kernel import audit

    return [entry.action for entry in reversed(house.db.read_now(audit.entries))]
