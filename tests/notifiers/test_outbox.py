"""Single mails: owed twice under one key, sent once; nothing is smuggled in."""

from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from notifiers import outbox
from notifiers.tables import Delivery, Message
from statuspage.kernel.db import Database
from statuspage.kernel.errors import Invalid


def owe(session: Session, now: datetime, changed: dict[str, Any]) -> int:
    given: dict[str, Any] = {
        "kind": "ticket.answer",
        "key": "ticket-answer:1",
        "address": "anna@firma.example",
        "language": "pl",
        "subject": "ZGL1: odpowiedź",
        "text": "Dzień dobry.",
        "html": "<p>Dzień dobry.</p>",
    }
    return outbox.queue(session, now=now, **{**given, **changed}).id


def test_the_same_key_owes_one_mail(db: Database, now: datetime) -> None:
    first = db.run_now(owe, now, {})
    assert db.run_now(owe, now, {"subject": "another"}) == first
    assert db.run_now(owe, now, {"key": "ticket-answer:2"}) != first
    assert db.read_now(lambda s: s.scalar(select(func.count(Delivery.id)))) == 2


@pytest.mark.parametrize(
    "changed",
    [
        {"address": "anna@firma.example\r\nRCPT TO:<x@y.example>"},
        {"subject": "a\r\nBcc: x@y.example"},
        {"subject": "a\u2028b"},
        {"headers": {"Reply-To": "a\nBcc: x"}},
        {"headers": {"Bcc": "x@y.example"}},
        {"text": "  \n"},
    ],
)
def test_what_could_smuggle_is_refused_and_nothing_is_owed(
    db: Database, now: datetime, changed: dict[str, Any]
) -> None:
    with pytest.raises(Invalid):
        db.run_now(owe, now, changed)
    assert db.read_now(lambda s: s.scalar(select(func.count(Message.id)))) == 0
