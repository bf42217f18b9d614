"""A browser without JavaScript: reads pages, fills in the forms that are on them, sends what they hold."""

from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

import httpx
import lxml.html
from lxml.html import FormElement, HtmlElement
from starlette.applications import Starlette
from starlette.middleware import Middleware

from statuspage.kernel import clock
from statuspage.kernel.accounts import Role, add_user, start_session
from statuspage.kernel.house import House
from statuspage.kernel.web import COOKIE, EXCEPTION_HANDLERS, Guard, Languages
from tickets import console, follow_pages, portal

LARGEST_FILE = 10_000_000


def desk_app(house: House) -> Starlette:
    """The help desk alone, behind the middleware that every room stands behind."""
    app = Starlette(
        routes=[*portal.routes(), *follow_pages.routes(LARGEST_FILE), *console.routes()],
        middleware=[
            Middleware(Languages, default="en"),
            Middleware(Guard, base_url=house.settings.server.base_url),
        ],
        exception_handlers=EXCEPTION_HANDLERS,
    )
    app.state.house = house
    return app


@dataclass(frozen=True)
class Page:
    """A page as it was answered."""

    response: httpx.Response

    @property
    def status(self) -> int:
        return self.response.status_code

    @property
    def path(self) -> str:
        return self.response.url.path

    @cached_property
    def html(self) -> HtmlElement:
        return lxml.html.fromstring(self.response.text)

    @property
    def text(self) -> str:
        """What a reader reads: the main part, in single spaces."""
        (main,) = self.html.xpath("//main")
        return " ".join(main.text_content().split())

    def find(self, path: str) -> list[Any]:
        return list(self.html.xpath(path))

    def typed(self, name: str) -> str:
        """What stands in a text area; a browser drops the first line end (HTML §13.1.2.5), lxml does not."""
        (area,) = self.html.xpath(f"//textarea[@name='{name}']")
        return str(area.value).removeprefix("\n")

    def form(self, action: str) -> FormElement:
        """The form that has a button of this value."""
        (found,) = self.html.xpath(f"//main//form[.//button[@value='{action}']]")
        assert isinstance(found, FormElement)
        return found


@dataclass
class Browser:
    """What a person does."""

    client: httpx.AsyncClient
    headers: dict[str, str] = field(default_factory=lambda: {"sec-fetch-site": "same-origin"})

    async def open(self, path: str) -> Page:
        return Page(await self.client.get(path, follow_redirects=True))

    async def press(self, page: Page, button: str, **typed: Any) -> Page:
        """Fill in the form of that button, and press it."""
        form = page.form(button)
        for name, value in typed.items():
            form.fields[name] = value
        (pressed,) = form.xpath(f".//button[@value='{button}']")
        sent = [*form.form_values(), (pressed.get("name"), button)]
        return await self.post(form.get("action"), sent)

    async def post(self, path: str, sent: list[tuple[str, str]]) -> Page:
        response = await self.client.post(
            path,
            content=urlencode(sent),
            headers={**self.headers, "content-type": "application/x-www-form-urlencoded"},
            follow_redirects=True,
        )
        return Page(response)

    async def sign_in(self, house: House, role: Role) -> None:
        """A session as the sign-in page begins one."""
        user = await house.db.run(add_user, str(role), "The agent", role, "no password", now=clock.now())
        lifetime = timedelta(hours=1)
        token = await house.db.run(start_session, user.id, now=clock.now(), lifetime=lifetime)
        self.client.cookies.set(COOKIE, token)
