"""What the console refuses it refuses in the reader's language: at the field, above the form, on a page of its own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import httpx
import pytest
from lxml import html
from lxml.html import HtmlElement
from sqlalchemy.orm import Session

from statuspage.incidents import acts, catalogue, fallbacks, incidents, news
from statuspage.incidents.acts import ActKind, Content
from statuspage.incidents.fallbacks import NewFallback
from statuspage.incidents.incidents import NewIncident
from statuspage.incidents.news import Words
from statuspage.incidents.rules import FallbackState, ServiceStatus
from statuspage.incidents.snapshot import Text
from statuspage.incidents.tables import Act, Notice
from statuspage.kernel import clock
from statuspage.kernel.accounts import Role, find_user, set_group_roles
from statuspage.kernel.house import House
from statuspage.kernel.localtime import write_local
from statuspage.site import news_console
from tests.reading import english_on
from tests.statuspage.site.entrance import add, application, browser, sign_in
from tests.statuspage.site.officers import CATALOGUE, Officer, officer

TEXT = Text("Treść", "Words")
OPEN = Content(
    ActKind.OPEN, name=Text("Tytuł", "Title"), text=TEXT, services={"CRPA": ServiceStatus.MAJOR_OUTAGE}
)


@pytest.fixture
def house(house: House) -> House:
    now = clock.now() - timedelta(days=2)
    house.db.run_now(catalogue.apply, catalogue.parse(CATALOGUE, where="c"), now=now)
    return house


@asynccontextmanager
async def officer_in_polish(house: House) -> AsyncIterator[Officer]:
    async with officer(house) as anna:
        anna.language = "pl"
        yield anna


def is_refused_in_polish(answer: httpx.Response, status: int, *said: str) -> None:
    assert answer.status_code == status
    page: HtmlElement = html.fromstring(answer.text)
    text = " ".join(page.text_content().split())
    for sentence in said:
        assert sentence in text
    assert english_on(answer.text) == []


def draft(house: House, content: Content = OPEN) -> str:
    return house.db.run_now(acts.write, content, by="jan", now=clock.now()).id


def declare(house: House) -> Notice:
    new = NewIncident(Text("Awaria", "Outage"), TEXT, {"NCTS2": ServiceStatus.MAJOR_OUTAGE})
    return house.db.run_now(incidents.open_incident, new, by="jan", now=clock.now() - timedelta(hours=1))


# --- the composer ---


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (
            {"messages": "resend", "messages_from": "2026-01-02T03:04", "messages_until": "2026-01-02T03:03"},
            "Wysłane do: musi być późniejszy niż początek okresu",
        ),
        (
            {"fallback": "permitted", "fallback_for": "NCTS2|", "fallback_reference": "x" * 61},
            "Numer pozwolenia: dozwolony jest jeden wiersz, najwyżej 60 znaków",
        ),
        ({"unaffected": "NCTS2"}, "usługa NCTS2 jest też wśród objętych usług"),
        ({"began_at": "2099-01-01T10:00"}, "leży w przyszłości"),
    ],
)
async def test_the_composer_says_what_is_wrong(house: House, wrong: dict[str, str], said: str) -> None:
    async with officer_in_polish(house) as anna:
        answer = await anna.compose("service=NCTS2", **wrong, do="publish")
    is_refused_in_polish(answer, 422, said)


async def test_the_composer_says_who_was_faster(house: House) -> None:
    id = draft(house)
    async with officer_in_polish(house) as anna:
        page = (await anna.get(f"/console/compose?act={id}")).text
        house.db.run_now(acts.edit, id, OPEN, by="ola", now=clock.now(), version=1)
        answer = await anna.send(page, "/console/compose", title_pl="Mój tytuł", do="save")
    is_refused_in_polish(answer, 409, "Ktoś zmienił tę wersję roboczą po jej otwarciu (autor zmiany: ola).")
    assert "Mój tytuł" in answer.text


# --- drafts ---


async def test_a_draft_says_what_is_wrong_and_who_was_faster(house: House) -> None:
    id = draft(house)
    place = f"/console/drafts/{id}"
    async with officer_in_polish(house) as anna:
        page = (await anna.get(place)).text
        is_refused_in_polish(await anna.send(page, place, do="schedule"), 422, "podaj dzień i godzinę")
        house.db.run_now(acts.edit, id, OPEN, by="ola", now=clock.now(), version=1)
        late = await anna.send(page, place, do="publish")
    is_refused_in_polish(late, 409, "(autor zmiany: ola); przeczytaj ją ponownie.")


async def test_a_draft_that_cannot_be_published_says_which_field_is_to_blame(house: House) -> None:
    id = draft(house, Content(ActKind.OPEN, text=TEXT))
    async with officer_in_polish(house) as anna:
        page = await anna.get(f"/console/drafts/{id}")
    is_refused_in_polish(page, 200, "Tytuł po polsku: jest puste w obu językach")


def timed_in_vain(house: House) -> str:
    """A resolution that came to its time when the incident was resolved already."""
    notice, now = declare(house), clock.now()
    id = draft(house, Content(ActKind.RESOLVE, notice.id, text=TEXT))
    policy = house.settings.incidents
    house.db.run_now(acts.schedule, id, now + timedelta(minutes=1), by="jan", now=now, policy=policy)
    house.db.run_now(incidents.resolve, notice.id, TEXT, by="jan", now=now)
    house.db.run_now(acts.perform_due, now=now + timedelta(minutes=2), policy=policy)
    return id


async def test_what_failed_at_its_time_is_said_in_each_readers_language(house: House) -> None:
    id = timed_in_vain(house)
    async with officer(house) as anna:
        in_english = (await anna.get(f"/console/drafts/{id}")).text
        anna.language = "pl"
        in_polish = await anna.get(f"/console/drafts/{id}")
    assert "is resolved already" in in_english
    assert "incident %(incident)s is resolved already" in english_on(in_english)
    is_refused_in_polish(in_polish, 200, "jest już rozwiązane")


async def test_what_an_older_version_noted_of_it_is_still_read(house: House) -> None:
    id = timed_in_vain(house)

    def as_before(session: Session) -> None:
        session.get_one(Act, id).failed = "text_pl: 100% wrong"

    house.db.run_now(as_before)
    async with officer_in_polish(house) as anna:
        assert "text_pl: 100% wrong" in (await anna.get(f"/console/drafts/{id}")).text


# --- an incident's page ---


async def test_an_incidents_page_says_what_is_wrong_and_what_is_over(house: House) -> None:
    notice, now, policy = declare(house), clock.now(), house.settings.incidents
    permitted = house.db.run_now(
        fallbacks.declare,
        notice.id,
        NewFallback("NCTS2", FallbackState.PERMITTED),
        by="jan",
        now=now,
        policy=policy,
    )
    place = f"/console/incidents/{notice.id}"
    async with officer_in_polish(house) as anna:
        page = (await anna.get(place)).text
        same = write_local(notice.began_at, house.settings.zone)
        is_refused_in_polish(
            await anna.send(page, f"{place}/times", began_at=same), 422, "Początek: jest bez zmian"
        )
        house.db.run_now(fallbacks.withdraw, permitted.id, by="jan", now=now)
        late = await anna.send(page, f"{place}/withdraw")
    is_refused_in_polish(late, 409, f"Pozwolenie {permitted.reference} nie obowiązuje.")


# --- news ---


async def test_the_news_editor_says_what_is_wrong_and_that_somebody_was_faster(house: House) -> None:
    words = Words(Text("Zmiana", "Change"), TEXT)
    item = house.db.run_now(news.write, words, by="ola", now=clock.now())
    add(house, "anna", Role.OPERATOR)
    place = f"/console/news/{item.id}"
    async with browser(application(house, news_console.routes())) as client:
        await sign_in(client, "anna")
        anna = Officer(client, "pl")
        page = (await anna.get(place)).text
        wrong = await anna.send(page, place, title_pl="x" * 201)
        is_refused_in_polish(wrong, 422, "dozwolonych jest najwyżej 200 znaków")
        is_refused_in_polish(
            await anna.send(page, f"{place}/publish", at="2020-01-01T10:00"), 422, "opublikować teraz"
        )
        changed = Words(Text("Inna zmiana", "Another change"), TEXT)
        house.db.run_now(news.edit, item.id, changed, version=1, by="ola", now=clock.now())
        is_refused_in_polish(await anna.send(page, place, title_pl="Moja"), 409, "Ktoś inny zmienił")


# --- a page of its own ---


async def test_the_page_of_an_error_says_what_was_in_the_way(house: House) -> None:
    id, notice = draft(house), declare(house)
    async with officer_in_polish(house) as anna:
        page = (await anna.get(f"/console/drafts/{id}")).text
        await anna.send(page, f"/console/drafts/{id}", do="drop")
        over = await anna.send(page, f"/console/drafts/{id}", do="drop")
        is_refused_in_polish(over, 409, f"Wersja robocza {id} została porzucona.")
        page = (await anna.get(f"/console/incidents/{notice.id}")).text
        user = house.db.read_now(find_user, "anna")
        assert user is not None

        def only_elsewhere(session: Session) -> None:
            row = session.merge(user)
            row.role = Role.VIEWER.value
            set_group_roles(session, row.id, {"h": Role.OPERATOR}, by="setup", now=clock.now())

        house.db.run_now(only_elsewhere)
        beyond = await anna.send(page, f"/console/incidents/{notice.id}/times")
    is_refused_in_polish(beyond, 403, "Twoja rola nie obejmuje grup: g.")


async def test_an_address_that_leads_nowhere_is_not_repeated(house: House) -> None:
    async with officer_in_polish(house) as anna:
        answer = await anna.get("/console/drafts/anything-at-all")
    is_refused_in_polish(answer, 404, "Nie ma tu takiej strony")
    assert "nie ma wersji roboczej" not in answer.text.lower()
