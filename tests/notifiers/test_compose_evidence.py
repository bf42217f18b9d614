"""Mails say whether paper is allowed and what of messages already sent; the subject alone is enough."""

from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from statuspage.incidents import fallbacks, incidents
from statuspage.incidents.details import Details, NewHandling
from statuspage.incidents.fallbacks import NewFallback
from statuspage.incidents.rules import FallbackState, MessageHandling
from statuspage.incidents.snapshot import Text
from statuspage.kernel.config import Incidents
from statuspage.kernel.house import House
from tests.notifiers.scenes import add_subscribers, fill_catalogue, open_incident
from tests.notifiers.test_compose import mails, part

POLICY = Incidents()
PAPER = NewFallback(
    "NCTS2", FallbackState.PERMITTED, reference="AW-2041", legal_basis=Text("Art. 6 UKC", "Article 6 UCC")
)


def outage(session: Session, now: datetime) -> str:
    fill_catalogue(session, now=now)
    add_subscribers(session, 1, now=now)
    return open_incident(session, "NCTS2", now=now).id


def test_the_subject_says_that_paper_is_allowed_and_later_that_it_no_longer_is(
    house: House, now: datetime
) -> None:
    def story(session: Session) -> None:
        id = outage(session, now)
        later = now + timedelta(minutes=5)
        declared = fallbacks.declare(session, id, PAPER, by="ewa", now=later, policy=POLICY)
        fallbacks.withdraw(session, declared.id, by="ewa", now=now + timedelta(hours=2))
        incidents.resolve(session, id, Text("Działa.", "Works."), by="ewa", now=now + timedelta(hours=3))

    house.db.run_now(story)
    found = mails(house, now)
    subjects = [str(found[order, "pl"]["Subject"]) for order in range(4)]
    # Told late, each mail speaks of its own moment: the permission has ended by now.
    assert subjects == [
        "NCTS2: awaria od 06:10",
        "NCTS2: awaria od 06:10 – nowe informacje",
        "NCTS2: awaria od 06:10 – papier już niedozwolony, nr AW-2041",
        "NCTS2: działa od 09:10 (awaria trwała 3 godziny)",
    ]


def test_a_permission_in_force_stands_in_subject_and_text_in_both_languages(
    house: House, now: datetime
) -> None:
    def story(session: Session) -> None:
        id = outage(session, now)
        fallbacks.declare(session, id, PAPER, by="ewa", now=now + timedelta(minutes=5), policy=POLICY)

    house.db.run_now(story)
    found = mails(house, now)
    assert found[1, "pl"]["Subject"] == "NCTS2: awaria od 06:10 – papier dozwolony, nr AW-2041"
    assert found[1, "en"]["Subject"] == "NCTS2: outage since 06:10 – paper allowed, no. AW-2041"
    for kind in ("plain", "html"):
        said = part(found[1, "en"], kind)
        assert "Paper is allowed: NCTS2, no. AW-2041" in said
        assert "Legal basis: Article 6 UCC" in said
    assert "Podstawa prawna: Art. 6 UKC" in part(found[1, "pl"], "plain")


def test_what_becomes_of_messages_is_said_before_the_details(house: House, now: datetime) -> None:
    def story(session: Session) -> None:
        id = outage(session, now)
        window = NewHandling(MessageHandling.RESEND, sent_from=now, sent_until=now + timedelta(minutes=15))
        said = Text("Znamy zakres.", "We know which.")
        later = now + timedelta(hours=1)
        more = Details(handlings=[window])
        incidents.post_update(session, id, said, by="ewa", now=later, more=more)

    house.db.run_now(story)
    text = part(mails(house, now)[1, "en"], "plain")
    assert "They must be sent again when the service works. Those sent" in text
    assert "06:10–06:25" in text
    assert text.index("Messages already sent") < text.index("DETAILS")


def test_a_text_that_waits_for_its_translation_is_sent_in_the_language_there_is(
    house: House, now: datetime
) -> None:
    def story(session: Session) -> None:
        id = outage(session, now)
        incidents.post_update(
            session, id, Text("Winna jest zapora.", ""), by="ewa", now=now + timedelta(minutes=9)
        )

    house.db.run_now(story)
    assert "Winna jest zapora." in part(mails(house, now)[1, "en"], "plain")
