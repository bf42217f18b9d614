"""Officers at the console, for its tests: a small catalogue, a signed-in client, forms as a browser sends them."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from html.parser import HTMLParser

import httpx

from statuspage.kernel.accounts import Role
from statuspage.kernel.errors import Conflict
from statuspage.kernel.house import House
from statuspage.kernel.panels import Mail, Mailing, Parts
from statuspage.site import console
from tests.statuspage.site.entrance import add, application, browser, sign_in

CATALOGUE = """
[[groups]]
code = "g"
name = { pl = "Grupa", en = "Group" }
[[services]]
code = "NCTS2"
group = "g"
name = { pl = "NCTS2", en = "NCTS2" }
functions = ["Transit declaration"]
channels = ["web", "webservice"]
[[services]]
code = "OSOZ2"
group = "g"
name = { pl = "OSOZ2", en = "OSOZ2" }
policy = "draft"
[[services]]
code = "CRPA"
group = "g"
name = { pl = "CRPA", en = "CRPA" }
"""


class _Form(HTMLParser):
    """The fields of one form as a browser would send them."""

    def __init__(self, action: str) -> None:
        super().__init__()
        self._action = action
        self._is_in = False
        self._select = self._textarea = ""
        self._first: str | None = None
        self.values: dict[str, list[str]] = {}

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        at = {key: value or "" for key, value in attrs}
        if tag == "form":
            self._is_in = at.get("action", "").endswith(self._action) and at.get("method") == "post"
        if not self._is_in:
            return
        if tag == "input" and at.get("name"):
            is_choice = at.get("type") in ("checkbox", "radio")
            if not is_choice or "checked" in at:
                self.values.setdefault(at["name"], []).append(at.get("value", ""))
        elif tag == "select":
            self._select, self._first = at["name"], None
        elif tag == "option" and self._select:
            if self._first is None:
                self._first = at.get("value", "")
                self.values[self._select] = [self._first]
            if "selected" in at:
                self.values[self._select] = [at.get("value", "")]
        elif tag == "textarea":
            self._textarea = at["name"]
            self.values[self._textarea] = [""]

    def handle_data(self, data: str) -> None:
        if self._textarea:
            self.values[self._textarea] = [self.values[self._textarea][0] + data]

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._is_in = False
        elif tag == "select":
            self._select = ""
        elif tag == "textarea":
            self._textarea = ""


def fields_of(page: str, action: str) -> dict[str, list[str]]:
    """What the form with this action holds."""
    parser = _Form(action)
    parser.feed(page)
    assert parser.values, f"there is no form for {action}"
    return parser.values


class Officer:
    """Somebody signed in, with a browser of their own."""

    def __init__(self, client: httpx.AsyncClient, language: str = "en") -> None:
        self.client = client
        self.language = language

    async def get(self, path: str) -> httpx.Response:
        return await self.client.get(f"/{self.language}{path}")

    async def send(self, page: str, action: str, **changed: str | Sequence[str]) -> httpx.Response:
        """Fill the page's form for `action` in, and send it. `do` is the button."""
        values: Mapping[str, Sequence[str]] = fields_of(page, action) | {
            name.replace("__", "-"): [value] if isinstance(value, str) else list(value)
            for name, value in changed.items()
        }
        return await self.client.post(f"/{self.language}{action}", data=values)

    async def compose(self, query: str, **changed: str | Sequence[str]) -> httpx.Response:
        """Open the composer and send it."""
        page = (await self.get(f"/console/compose?{query}")).text
        return await self.send(page, "/console/compose", **changed)


def parts(count: int = 12_345) -> Parts:
    """What the other rooms would hand in: so many subscribers, and a mail that says its reference."""
    mails = {language: Mail(f"subject {language}", f"text {language}") for language in ("pl", "en")}
    return Parts(
        audience=lambda _session, ids: count if ids else 0,
        mailing=lambda _session, _house, _id: Mailing(count, mails),
    )


@asynccontextmanager
async def officer(
    house: House, login: str = "anna", role: Role = Role.OPERATOR, *, given: Parts | None = None
) -> AsyncIterator[Officer]:
    """Sign in, in English."""
    with suppress(Conflict):
        add(house, login, role)
    async with browser(application(house, console.routes(given or parts()))) as client:
        assert (await sign_in(client, login)).status_code == 303
        yield Officer(client)
