"""Mails as a mail program reads them, in both languages."""

import email
from datetime import datetime, timedelta
from email.message import EmailMessage
from email.policy import default

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.orm import Session

from notifiers import broadcasts, mime
from notifiers.links import UNSUBSCRIBE_SLOT
from notifiers.rules import one_line
from notifiers.tables import Message
from statuspage.incidents import incidents, maintenance
from statuspage.incidents.maintenance import NewMaintenance
from statuspage.incidents.rules import IncidentStatus, ServiceStatus
from statuspage.incidents.snapshot import Text
from statuspage.kernel import config
from statuspage.kernel.house import House
from tests.notifiers.scenes import add_subscribers, fill_catalogue, open_incident

TOKEN = "abcdefghijkl.0123456789012345678901"


def mails(house: House, now: datetime) -> dict[tuple[int, str], EmailMessage]:
    """Every pending event's mails, parsed: (order, language) → mail."""

    def expand(session: Session) -> None:
        for seq in broadcasts.owed(session):
            while broadcasts.expand(session, seq, house=house, now=now):
                pass

    house.db.run_now(expand)
    rows = house.db.read_now(lambda s: s.scalars(select(Message).order_by(Message.id)).all())
    orders = {seq: order for order, seq in enumerate(sorted({row.event_seq or 0 for row in rows}))}
    return {(orders[row.event_seq or 0], row.language): parsed(house, row) for row in rows}


def parsed(house: House, row: Message) -> EmailMessage:
    raw = mime.template(house, row).fill(
        to="anna@firma.example", message_id="7.mac", manage=TOKEN, unsubscribe=TOKEN[::-1]
    )
    assert all(len(line) <= 200 for line in raw.split(b"\r\n"))
    assert b"\n" not in raw.replace(b"\r\n", b"")
    assert raw.isascii()
    return email.message_from_bytes(raw.replace(b"\r\n..", b"\r\n."), policy=default)


def part(mail: EmailMessage, kind: str) -> str:
    body = mail.get_body((kind,))
    assert body is not None
    content: str = body.get_content()
    return content


def scene(
    session: Session, now: datetime, *codes: str, status: ServiceStatus = ServiceStatus.MAJOR_OUTAGE
) -> str:
    fill_catalogue(session, now=now)
    add_subscribers(session, 1, now=now)
    return open_incident(session, *codes, now=now, status=status).id


def test_the_subject_alone_tells_the_fact(house: House, now: datetime) -> None:
    def story(session: Session) -> None:
        id = scene(session, now, "NCTS2")
        known = Text("Znamy przyczynę.", "We know the cause.")
        later = now + timedelta(minutes=20)
        incidents.post_update(session, id, known, by="ewa", now=later, status=IncidentStatus.IDENTIFIED)
        over = Text("Działa.", "It works.")
        incidents.resolve(session, id, over, by="ewa", now=now + timedelta(hours=3, minutes=30))

    house.db.run_now(story)
    found = mails(house, now)
    assert [found[order, "pl"]["Subject"] for order in range(3)] == [
        "NCTS2: awaria od 06:10",
        "NCTS2: awaria od 06:10 – przyczyna znana",
        "NCTS2: działa od 09:40 (awaria trwała 3 godziny 30 minut)",
    ]
    assert [found[order, "en"]["Subject"] for order in range(3)] == [
        "NCTS2: outage since 06:10",
        "NCTS2: outage since 06:10 – cause known",
        "NCTS2: works since 09:40 (the outage lasted 3 hours 30 minutes)",
    ]


@pytest.mark.parametrize(
    ("status", "subject"),
    [
        (ServiceStatus.PARTIAL_OUTAGE, "PUESC: częściowa awaria od 06:10"),
        (ServiceStatus.DEGRADED_PERFORMANCE, "PUESC: spowolnienie lub ograniczenia od 06:10"),
        (ServiceStatus.OPERATIONAL, "Brama komunikatów nie działa"),
    ],
)
def test_a_lesser_fault_has_its_own_words(
    house: House, now: datetime, status: ServiceStatus, subject: str
) -> None:
    house.db.run_now(scene, now, "PUESC", status=status)
    assert mails(house, now)[0, "pl"]["Subject"] == subject


def test_an_outage_that_began_yesterday_says_the_day(house: House, now: datetime) -> None:
    def story(session: Session) -> None:
        id = scene(session, now, "PUESC")
        news = Text("Nadal pracujemy.", "Still working.")
        incidents.post_update(session, id, news, by="ewa", now=now + timedelta(days=1))

    house.db.run_now(story)
    assert mails(house, now)[1, "pl"]["Subject"] == "PUESC: awaria od 23 listopada, 06:10 – nowe informacje"


def test_the_text_is_complete_evidence(house: House, now: datetime) -> None:
    id = house.db.run_now(scene, now, "PUESC")
    text = part(mails(house, now)[0, "pl"], "plain")
    assert text.splitlines()[0] == "PUESC: awaria od 23 listopada 2026, 06:10 (UTC+1)"
    for fact in (
        "Brama komunikatów nie odpowiada.",
        f"Numer zdarzenia: {id}",
        "Dotyczy: PUESC – nie działa",
        "NCTS2 – ",
        "Działają bez zmian: SENT-GEO",
        "Początek: 23 listopada 2026, 06:10 (UTC+1)",
        f"https://status.customs.example/incidents/{id}",
        f"https://status.customs.example/subscriptions/{TOKEN}",
        f"https://status.customs.example/unsubscribe/{TOKEN[::-1]}",
    ):
        assert fact in text, fact
    assert "&" not in text


def test_html_and_text_have_the_same_content(house: House, now: datetime) -> None:
    house.db.run_now(scene, now, "PUESC")
    mail = mails(house, now)[0, "pl"]
    html = part(mail, "html")
    for line in part(mail, "plain").splitlines():
        value = line.partition(": ")[2].strip()
        assert value in html
    assert "<img" not in html
    assert f"/unsubscribe/{TOKEN[::-1]}" in html


def test_the_headers_of_list_mail(house: House, now: datetime) -> None:
    house.db.run_now(scene, now, "PUESC")
    mail = mails(house, now)[0, "pl"]
    assert mail["To"] == "anna@firma.example"
    assert mail["From"] == "Status usług celnych <status@customs.example>"
    assert mail["Message-ID"] == "<7.mac@customs.example>"
    assert mail["List-Id"] == "<status.customs.example>"
    assert mail["List-Unsubscribe"] == f"<https://status.customs.example/unsubscribe/{TOKEN[::-1]}>"
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Date"].datetime == now
    assert mail["Content-Language"] == "pl" or mail.get_content_type() == "multipart/alternative"


def test_text_of_operators_is_escaped_and_cleaned(house: House, now: datetime) -> None:
    def story(session: Session) -> None:
        fill_catalogue(session, now=now)
        add_subscribers(session, 1, now=now)
        evil = Text("<script>alert(1)</script>\u202e\n.kropka", "<b>\n.dot")
        open_incident(session, "PUESC", now=now, text=evil, name=Text("A\r\nBcc: x@y.example", "B"))

    house.db.run_now(story)
    mail = mails(house, now)[0, "pl"]
    assert "<script>" not in part(mail, "html")
    assert "<script>alert(1)</script>\n.kropka" in part(mail, "plain").replace("\r\n", "\n")
    assert mail["Bcc"] is None
    assert not mail.defects


def test_planned_work_names_its_window(house: House, now: datetime) -> None:
    def story(session: Session) -> None:
        fill_catalogue(session, now=now)
        add_subscribers(session, 1, now=now)
        begin = now + timedelta(days=5)
        text = Text("Wymieniamy serwery.", "We replace servers.")
        new = NewMaintenance(text, text, ["AIS", "NCTS2"], begin, begin + timedelta(hours=4))
        notice = maintenance.schedule(session, new, by="cli:ewa", now=now, policy=config.Incidents())
        maintenance.cancel(
            session, notice.id, by="cli:ewa", now=now + timedelta(hours=1), policy=house.settings.incidents
        )

    house.db.run_now(story)
    found = mails(house, now)
    assert found[0, "pl"]["Subject"] == "NCTS2, AIS: prace planowe 28 listopada, 06:10–10:10"
    assert found[1, "pl"]["Subject"] == "NCTS2, AIS: prace planowe 28 listopada, 06:10–10:10 odwołane"
    assert found[1, "en"]["Subject"] == "NCTS2, AIS: planned work 28 November, 06:10–10:10 is cancelled"


def test_a_mail_told_late_speaks_of_its_own_time(house: House, now: datetime) -> None:
    def story(session: Session) -> None:
        id = scene(session, now, "PUESC")
        incidents.resolve(session, id, Text("Działa.", "Works."), by="ewa", now=now + timedelta(hours=1))

    house.db.run_now(story)
    text = part(mails(house, now)[0, "pl"], "plain")
    assert "PUESC – nie działa" in text
    assert "Koniec" not in text


def test_a_slot_that_was_broken_over_lines_is_filled(house: House, now: datetime) -> None:
    for padding in range(60):
        text = f"{'x' * padding} https://status.customs.example/unsubscribe/{UNSUBSCRIBE_SLOT} ż\n"
        row = Message(
            id=1,
            event_seq=1,
            kind="incident",
            language="pl",
            subject="x",
            text=text,
            html="",
            headers={},
            created_at=now,
        )
        filled = parsed(house, row)
        assert f"/unsubscribe/{TOKEN[::-1]} ż" in filled.get_content()


@given(st.text(min_size=1, max_size=200))
def test_any_subject_survives_the_wire(text: str) -> None:
    subject = one_line(text)
    raw = mime._subject(subject)
    assert all(len(line) <= 78 for line in raw.split(b"\r\n")) or subject.isascii()
    read = email.message_from_bytes(raw + b"\r\n", policy=default)["Subject"]
    assert " ".join(str(read).split()) == " ".join(subject.split())
