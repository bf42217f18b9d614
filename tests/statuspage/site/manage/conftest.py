"""The management API as the program serves it: its middleware, its operations, a catalogue, a token."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from statuspage.app import manage_operations
from statuspage.incidents import catalogue
from statuspage.kernel import clock, rest, tokens
from statuspage.kernel.house import House
from statuspage.kernel.operations import ROOT
from statuspage.kernel.rest import LIMITS, Limits
from statuspage.kernel.tokens import Scope
from statuspage.kernel.web import EXCEPTION_HANDLERS, middleware

BASE = "http://status.example"
CATALOGUE = """
[[groups]]
code = "transit"
name = { pl = "Tranzyt", en = "Transit" }
[[services]]
code = "PUESC"
group = "transit"
name = { pl = "PUESC", en = "PUESC" }
[[services]]
code = "NCTS2"
group = "transit"
name = { pl = "NCTS2", en = "NCTS2" }
parents = ["PUESC"]
functions = ["declarations", "guarantees"]
[[services]]
code = "OSOZ2"
group = "transit"
name = { pl = "OSOZ2", en = "OSOZ2" }
policy = "draft"
"""
INCIDENT = {
    "name": {"pl": "NCTS2 nie działa", "en": "NCTS2 is down"},
    "text": {"pl": "Badamy przyczynę.", "en": "We are looking into it."},
    "services": {"NCTS2": "major_outage"},
}
SAID = {"text": {"pl": "Nadal badamy.", "en": "Still looking into it."}}


def application(house: House, limits: Limits = LIMITS) -> Starlette:
    """The API behind the program's own middleware."""
    app = Starlette(
        routes=[rest.mount(house, manage_operations(), limits)],
        middleware=middleware(house.settings),
        exception_handlers=EXCEPTION_HANDLERS,
    )
    app.state.house = house
    return app


@dataclass
class Api:
    """A client with a token for everything."""

    client: httpx.AsyncClient
    house: House

    def token(self, name: str, *scopes: Scope, days: float = 30) -> str:
        lifetime = timedelta(days=days)
        return self.house.db.run_now(
            tokens.add, name, scopes or tuple(Scope), lifetime=lifetime, by="cli:ewa", now=clock.now()
        )

    async def get(self, path: str, **params: Any) -> Any:
        answer = await self.client.get(f"{ROOT}{path}", params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def post(self, path: str, body: Any = None, **headers: str) -> httpx.Response:
        return await self.ask("POST", path, body, **headers)

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.request(method, f"{ROOT}{path}", json=body, headers=named)

    async def open(self, **more: Any) -> dict[str, Any]:
        answer = await self.post("/incidents", {**INCIDENT, **more})
        assert answer.status_code == 201, answer.text
        opened: dict[str, Any] = answer.json()
        return opened


@pytest.fixture
async def api(house: House) -> AsyncIterator[Api]:
    house.db.run_now(catalogue.apply, catalogue.parse(CATALOGUE, where="c"), now=clock.now())
    transport = httpx.ASGITransport(app=application(house), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=BASE) as client:
        api = Api(client, house)
        client.headers["Authorization"] = f"Bearer {api.token('all')}"
        yield api
