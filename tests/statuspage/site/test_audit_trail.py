"""The audit log as a page: filtered, paged, escaped, and in both languages."""

from collections.abc import AsyncIterator

import httpx
import pytest
from sqlalchemy.orm import Session

from statuspage.kernel import audit, clock
from statuspage.kernel.accounts import Role
from statuspage.kernel.house import House
from statuspage.kernel.i18n import Catalogues
from statuspage.site.audit_trail import WORDS
from statuspage.site.role_words import ROLE_WORDS
from tests.statuspage.site.entrance import add, application, browser, sign_in

AUDIT = "/en/console/audit"


@pytest.fixture
async def client(house: House) -> AsyncIterator[httpx.AsyncClient]:
    add(house, "boss", Role.ADMINISTRATOR)
    async with browser(application(house)) as client:
        await sign_in(client, "boss")
        yield client


async def test_it_tells_who_did_what_newest_first(client: httpx.AsyncClient) -> None:
    page = (await client.get(AUDIT)).text
    assert page.index("session.began") < page.index("user.added")
    assert "Signed in" in page
    assert "Zalogowanie" in (await client.get("/pl/console/audit")).text


async def test_it_is_filtered_and_paged(client: httpx.AsyncClient, house: House) -> None:
    def fill(session: Session) -> None:
        for number in range(audit.PAGE + 5):
            audit.record(session, "anna", "incident.published", f"incident:{number:03}", at=clock.now())

    house.db.run_now(fill)
    first = (await client.get(f"{AUDIT}?actor=anna&action=incident")).text
    assert "incident:104" in first
    assert "incident:004" not in first
    older = first.split("/console/audit?actor=anna&amp;action=incident&amp;before=")[1].split('"')[0]
    second = (await client.get(f"{AUDIT}?actor=anna&action=incident&before={older}")).text
    assert "incident:004" in second
    assert "incident:104" not in second
    assert "Older entries" not in second
    assert "user:boss" not in first + second


@pytest.mark.parametrize(
    "query", ["before=x", "before=-1", "before=99999999999999999999", "before=%00", "actor=%00"]
)
async def test_nonsense_in_the_address_is_no_fault_of_ours(client: httpx.AsyncClient, query: str) -> None:
    assert (await client.get(f"{AUDIT}?{query}")).status_code == 200


async def test_what_was_recorded_cannot_become_markup(client: httpx.AsyncClient, house: House) -> None:
    nasty = "<script>alert(1)</script>"
    house.db.run_now(audit.record, nasty, nasty, nasty, {nasty: nasty}, at=clock.now())
    page = (await client.get(AUDIT)).text
    assert nasty not in page
    assert "&lt;script&gt;" in page


def test_every_action_and_role_has_its_word_in_polish() -> None:
    catalogues = Catalogues()
    for word in (*WORDS.values(), *ROLE_WORDS.values()):
        polish = catalogues.gettext("pl", word)
        assert polish != word or word in ("Operator", "Administrator"), word
