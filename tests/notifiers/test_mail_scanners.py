"""Programs that follow every link of a mail before its reader does (abuse case 7)."""

import re
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.applications import Starlette

from notifiers import subscribers
from notifiers import web as notifiers_web
from statuspage.kernel import clock, web
from statuspage.kernel.house import House
from tests.schema import metadata

LINK = re.compile(r"https?://[^\s\"'<>)]+")


def everything(session: Session) -> dict[str, list[Any]]:
    return {
        table.name: [
            tuple(row) for row in session.execute(select(table).order_by(*table.primary_key.columns))
        ]
        for table in metadata.sorted_tables
    }


def links(session: Session) -> set[str]:
    """Every link of every mail that is owed."""
    content = "\n".join(str(row) for rows in everything(session).values() for row in rows)
    return {urlsplit(link).path for link in LINK.findall(content.replace("\\n", "\n"))}


async def test_looking_at_every_link_of_a_mail_changes_nothing_and_pressing_the_button_does(
    house: House,
) -> None:
    app = Starlette(
        routes=notifiers_web.routes(),
        middleware=web.middleware(house.settings),
        exception_handlers=web.EXCEPTION_HANDLERS,
    )
    app.state.house = house
    now = clock.now()
    for email in ("anna@example.org", "jan@example.org"):
        await house.db.run(
            subscribers.subscribe, email, subscribers.Choice("pl"), house=house, origin="192.0.2.1", now=now
        )
    found = await house.db.read(links)
    (confirm, *_) = sorted(path for path in found if path.endswith("/confirm"))
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:8000"
    ) as client:
        assert (await client.post(confirm)).status_code == 200
        # Whoever is subscribed already gets the links to manage and to end it.
        again = now + timedelta(days=2)
        for email in ("anna@example.org", "jan@example.org"):
            await house.db.run(
                subscribers.subscribe,
                email,
                subscribers.Choice("pl"),
                house=house,
                origin="192.0.2.1",
                now=again,
            )
        paths = sorted(path for path in await house.db.read(links) if re.search("subscri", path))
        assert any(path.startswith("/unsubscribe/") for path in paths)
        assert any(path.endswith("/confirm") for path in paths)
        before = await house.db.read(everything)

        for path in paths:
            for method in ("GET", "HEAD", "GET"):
                answer = await client.request(method, path)
                assert answer.status_code in (200, 404), path

        assert await house.db.read(everything) == before
        ending = next(path for path in paths if path.startswith("/unsubscribe/"))
        assert (await client.post(ending, data={"List-Unsubscribe": "One-Click"})).status_code == 200
        assert await house.db.read(everything) != before
