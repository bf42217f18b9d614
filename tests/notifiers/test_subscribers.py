"""Subscriptions: double opt-in, choices, ending, CSV."""

from datetime import datetime, timedelta
from itertools import product

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from notifiers import broadcasts, subscribers
from notifiers.rules import SubscriberState, is_told
from notifiers.subscribers import Choice, RowsRefused
from notifiers.tables import Confirmation, Delivery, Message, Subscriber, SubscriberService
from statuspage.kernel.db import Database
from statuspage.kernel.errors import Invalid, NotFound
from statuspage.kernel.house import House
from tests.notifiers.scenes import fill_catalogue

EMAIL = "anna@firma.example"
DAY = timedelta(days=1)
ALL = Choice("pl")


def ask(house: House, now: datetime, choice: Choice = ALL, email: str = EMAIL) -> None:
    house.db.run_now(subscribers.subscribe, email, choice, house=house, origin="192.0.2.7", now=now)


def token_of(house: House) -> str:
    """The token in the newest confirmation: its first URL."""
    text = house.db.read_now(lambda s: s.scalars(select(Message.text).order_by(Message.id.desc())).first())
    assert text is not None
    first_url = next(word for word in text.split() if word.startswith("http"))
    assert first_url.startswith("https://status.customs.example/subscriptions/")
    assert first_url.endswith("/confirm")
    return first_url.split("/")[-2]


def kinds(house: House) -> list[str]:
    return list(house.db.read_now(lambda s: s.scalars(select(Message.kind).order_by(Message.id)).all()))


def one(house: House) -> Subscriber:
    return house.db.read_now(lambda s: s.scalars(select(Subscriber)).one())


def test_nothing_is_sent_before_the_confirmation(house: House, now: datetime) -> None:
    ask(house, now)
    assert one(house).state == SubscriberState.PENDING
    assert house.db.read_now(broadcasts.count_audience, []) == 0
    house.db.run_now(subscribers.confirm, token_of(house), origin="192.0.2.8", now=now)
    subscriber = one(house)
    assert subscriber.state == SubscriberState.ACTIVE
    assert "192.0.2.7" in subscriber.consent
    assert "192.0.2.8" in subscriber.consent
    assert house.db.read_now(broadcasts.count_audience, []) == 1


def test_at_most_one_confirmation_a_day(house: House, now: datetime) -> None:
    for minutes in (0, 1, 600):
        ask(house, now + timedelta(minutes=minutes))
    assert kinds(house) == ["confirm"]
    ask(house, now + DAY)
    assert kinds(house) == ["confirm", "confirm"]


def test_the_token_is_stored_nowhere_as_it_is(house: House, now: datetime) -> None:
    ask(house, now)
    token = token_of(house)
    hashes = house.db.read_now(lambda s: s.scalars(select(Confirmation.token_hash)).all())
    assert token not in hashes


def test_an_active_address_is_told_so_by_mail_and_keeps_its_choice(house: House, now: datetime) -> None:
    ask(house, now)
    house.db.run_now(subscribers.confirm, token_of(house), origin="x", now=now)
    ask(house, now + DAY, Choice("en"))
    assert kinds(house) == ["confirm", "already"]
    assert one(house).language == "pl"
    ask(house, now + DAY)
    assert len(kinds(house)) == 2


def test_a_second_click_changes_nothing_and_an_old_link_revives_nobody(house: House, now: datetime) -> None:
    ask(house, now)
    token = token_of(house)
    for _ in range(2):
        id = house.db.run_now(subscribers.confirm, token, origin="x", now=now).id
    for _ in range(2):
        house.db.run_now(subscribers.unsubscribe, id, now=now)
    assert one(house).state == SubscriberState.UNSUBSCRIBED
    with pytest.raises(NotFound):
        house.db.run_now(subscribers.confirm, token, origin="x", now=now)


@pytest.mark.parametrize(("token", "later"), [("made-up", timedelta()), (None, timedelta(days=8))])
def test_an_unknown_or_old_token_confirms_nothing(
    house: House, now: datetime, token: str | None, later: timedelta
) -> None:
    ask(house, now)
    with pytest.raises(NotFound):
        house.db.run_now(subscribers.confirm, token or token_of(house), origin="x", now=now + later)
    assert one(house).state == SubscriberState.PENDING


def test_a_suppressed_address_is_left_alone(house: House, now: datetime) -> None:
    ask(house, now)

    def suppress(session: Session) -> None:
        session.scalars(select(Subscriber)).one().state = SubscriberState.SUPPRESSED

    house.db.run_now(suppress)
    ask(house, now + DAY)
    assert kinds(house) == ["confirm"]


def test_a_choice_names_what_exists(house: House, now: datetime) -> None:
    ids = house.db.run_now(fill_catalogue, now=now)

    def choose(session: Session, services: list[str] | None, language: str = "pl") -> Choice:
        return subscribers.choice_of(session, language=language, services=services)

    assert house.db.read_now(choose, ["NCTS2", ids["NCTS2"]]).service_ids == (ids["NCTS2"],)
    assert house.db.read_now(choose, None).service_ids is None
    for wrong in ([], ["NOSUCH"]):
        with pytest.raises(Invalid) as caught:
            house.db.read_now(choose, wrong)
        assert caught.value.field == "services"
    with pytest.raises(Invalid):
        house.db.read_now(choose, None, "de")


def test_the_audience_in_sql_is_the_rule(db: Database, now: datetime) -> None:
    def fill(session: Session) -> list[tuple[str, bool, set[str]]]:
        ids = fill_catalogue(session, now=now)
        made: list[tuple[str, bool, set[str]]] = []
        wishes: list[set[str]] = [set(), {"PUESC"}, {"AIS"}, {"AIS", "NCTS2"}]
        for state, all_services, codes in product(SubscriberState, (True, False), wishes):
            chosen = tuple(ids[code] for code in codes)
            subscriber = Subscriber(
                email=f"u{len(made)}@example.com",
                language="pl",
                state=state,
                all_services=all_services,
                created_at=now,
            )
            session.add(subscriber)
            session.flush()
            session.add_all(SubscriberService(subscriber_id=subscriber.id, service_id=c) for c in chosen)
            affected = [ids["PUESC"], ids["NCTS2"]]
            told = is_told(state=state, all_services=all_services, chosen=chosen, service_ids=affected)
            made.append((subscriber.id, told, set(affected)))
        return made

    made = db.run_now(fill)
    found = db.read_now(lambda s: set(s.scalars(broadcasts.audience(list(made[0][2])))))
    assert found == {id for id, told, _ in made if told}
    count = db.read_now(subscribers.audience_count, ["PUESC", "NCTS2"])
    assert count == len(found)


CSV = "email,language,services,consent\r\n"


def test_an_import_subscribes_and_an_export_gives_it_back(house: House, now: datetime) -> None:
    house.db.run_now(fill_catalogue, now=now)
    rows = "a@x.example,pl,,contract 7\r\nb@x.example,en,AIS NCTS2,form of 2026-10-01\r\n"
    assert house.db.run_now(subscribers.import_csv, CSV + rows, where="f.csv", now=now) == 2
    exported = house.db.read_now(subscribers.export_csv)
    assert sorted(exported.splitlines()) == sorted(
        (CSV + rows.replace("AIS NCTS2", "NCTS2 AIS")).splitlines()
    )
    assert house.db.run_now(subscribers.import_csv, exported, where="f.csv", now=now) == 2
    assert house.db.read_now(lambda s: s.scalar(select(func.count(Subscriber.id)))) == 2
    assert house.db.read_now(lambda s: s.scalar(select(func.count(Delivery.id)))) == 0


def test_an_import_with_one_wrong_row_imports_nothing_and_names_every_line(
    house: House, now: datetime
) -> None:
    house.db.run_now(fill_catalogue, now=now)
    rows = (
        'ok@x.example,pl,,"two\nlines"\n'
        "bad,pl,,c\n"
        "c@x.example,de,,c\n"
        "d@x.example,pl,NOSUCH,c\n"
        "e@x.example,pl,,\n"
        "f,g\n"
        "ok@x.example,pl,,c\n"
    )
    with pytest.raises(RowsRefused) as caught:
        house.db.run_now(subscribers.import_csv, CSV + rows, where="f.csv", now=now)
    assert [(row.line, row.field) for row in caught.value.rows] == [
        (4, "email"),
        (5, "language"),
        (6, "services"),
        (7, "consent"),
        (8, "row"),
        (9, "email"),
    ]
    assert "f.csv" in str(caught.value)
    assert house.db.read_now(lambda s: s.scalar(select(func.count(Subscriber.id)))) == 0


def test_other_columns_are_refused(house: House, now: datetime) -> None:
    with pytest.raises(RowsRefused):
        house.db.run_now(subscribers.import_csv, "email;language\n", where="f.csv", now=now)


def test_an_import_does_not_revive_who_unsubscribed(house: House, now: datetime) -> None:
    text = CSV + f"{EMAIL},pl,,c\r\n"
    house.db.run_now(subscribers.import_csv, text, where="f.csv", now=now)
    house.db.run_now(subscribers.unsubscribe, one(house).id, now=now)
    assert house.db.run_now(subscribers.import_csv, text, where="f.csv", now=now) == 0
    assert one(house).state == SubscriberState.UNSUBSCRIBED


def test_formulas_are_disarmed_and_read_back(house: House, now: datetime) -> None:
    text = CSV + "+a@x.example,pl,,=HYPERLINK(1)\r\n"
    house.db.run_now(subscribers.import_csv, text, where="f.csv", now=now)
    exported = house.db.read_now(subscribers.export_csv)
    assert "'+a@x.example,pl,,'=HYPERLINK(1)" in exported
    house.db.run_now(subscribers.import_csv, exported, where="f.csv", now=now)
    assert one(house).consent == "=HYPERLINK(1)"
