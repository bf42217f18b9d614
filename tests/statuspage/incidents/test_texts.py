"""What the product says by itself: sentences in both languages, causes in plain words."""

import pytest

from statuspage.incidents import texts
from statuspage.incidents.rules import ServiceStatus
from statuspage.incidents.snapshot import Text

NCTS2, AES = Text("NCTS2", "NCTS2"), Text("AES", "AES")


@pytest.mark.parametrize(
    ("cause", "pl", "en"),
    [
        ("HTTP 503", "błąd HTTP 503", "HTTP error 503"),
        ("no answer within 2 s", "brak odpowiedzi w ciągu 2 s", "no answer within 2 s"),
        ("connection reset", "połączenie zerwane", "connection broken off"),
        ("connection refused", "połączenie odrzucone", "connection refused"),
        ("certificate expired 3 days ago", "certyfikat wygasł", "certificate expired"),
        (
            "certificate is not for a.example",
            "błąd certyfikatu lub szyfrowania",
            "certificate or encryption fault",
        ),
        ("answer does not match “^220 ”", "nieprawidłowa odpowiedź", "wrong answer"),
        ("no heartbeat since 2026-03-01 06:10:00 UTC", "brak sygnału działania", "no sign of life"),
        ("answer after 1.2 s", "odpowiedź dopiero po 1.2 s", "answer only after 1.2 s"),
        ("something nobody thought of", "", ""),
        ("", "", ""),
    ],
)
def test_a_cause_is_said_in_plain_words_or_not_at_all(cause: str, pl: str, en: str) -> None:
    assert texts.plain_cause(cause) == Text(pl, en)


@pytest.mark.parametrize(
    ("names", "status", "pl", "en"),
    [
        ([NCTS2], ServiceStatus.MAJOR_OUTAGE, "NCTS2 nie działa", "NCTS2 does not work"),
        ([NCTS2, AES], ServiceStatus.MAJOR_OUTAGE, "NCTS2 i AES nie działają", "NCTS2 and AES do not work"),
        ([NCTS2], ServiceStatus.PARTIAL_OUTAGE, "NCTS2 działa tylko częściowo", "NCTS2 works only in part"),
    ],
)
def test_a_title_is_a_sentence(names: list[Text], status: ServiceStatus, pl: str, en: str) -> None:
    assert texts.title(names, status) == Text(pl, en)


def test_impacted_services_are_named() -> None:
    said = texts.detected([NCTS2], "HTTP 503", [AES])
    assert "AES" in said.pl
    assert "AES" in said.en
    assert "AES" not in texts.detected([NCTS2], "HTTP 503", []).en


def test_a_known_cause_stands_in_brackets_and_an_unknown_one_leaves_none() -> None:
    assert "(HTTP error 503)" in texts.detected([NCTS2], "HTTP 503", []).en
    assert "(" not in texts.detected([NCTS2], "something nobody thought of", []).en
