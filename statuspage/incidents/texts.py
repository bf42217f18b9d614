"""What the product itself says, in both languages, while no person has written yet."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from statuspage.incidents.announcement import Window
from statuspage.incidents.rules import FallbackState, ServiceStatus
from statuspage.incidents.snapshot import Text
from statuspage.kernel.i18n import format_clock, format_day

_CAUSES = (
    (r"HTTP (\d+)", "błąd HTTP {}", "HTTP error {}"),
    (r"no \w+ within (.+)", "brak odpowiedzi w ciągu {}", "no answer within {}"),
    (r"answer after (.+)", "odpowiedź dopiero po {}", "answer only after {}"),
    (r"slow", "powolne odpowiedzi", "slow answers"),
    (r"(?:connection timed out|timeout)", "brak odpowiedzi", "no answer"),
    (r"connection refused", "połączenie odrzucone", "connection refused"),
    (r"connection .*", "połączenie zerwane", "connection broken off"),
    (r"name not found", "nie znaleziono adresu", "address not found"),
    (r"certificate expired.*", "certyfikat wygasł", "certificate expired"),
    (r"certificate expires.*", "certyfikat wkrótce wygaśnie", "certificate about to expire"),
    (
        r"(?:a |the )?certificate.*|TLS .*",
        "błąd certyfikatu lub szyfrowania",
        "certificate or encryption fault",
    ),
    (r"(?:body|answer|more than) .*", "nieprawidłowa odpowiedź", "wrong answer"),
    (r"(?:no heartbeat|failure reported|exit code|started).*", "brak sygnału działania", "no sign of life"),
)


def plain_cause(cause: str) -> Text:
    """What monitors saw, for readers: "błąd HTTP 503". Empty where there are no plain words for it."""
    for pattern, pl, en in _CAUSES:
        if match := re.fullmatch(pattern, cause):
            return Text(pl.format(*match.groups()), en.format(*match.groups()))
    return Text("", "")


def _in_brackets(text: Text) -> Text:
    return Text(f" ({text.pl})", f" ({text.en})") if text.pl else text


def _listed(names: Sequence[str], conjunction: str) -> str:
    if len(names) <= 1:
        return "".join(names)
    return f"{', '.join(names[:-1])} {conjunction} {names[-1]}"


def title(names: Sequence[Text], status: ServiceStatus) -> Text:
    """The fact as a sentence: "NCTS2 nie działa"."""
    many = len(names) > 1
    pl, en = _listed([n.pl for n in names], "i"), _listed([n.en for n in names], "and")
    if status is ServiceStatus.MAJOR_OUTAGE:
        return Text(
            f"{pl} nie {'działają' if many else 'działa'}", f"{en} {'do' if many else 'does'} not work"
        )
    if status is ServiceStatus.PARTIAL_OUTAGE:
        return Text(
            f"{pl} {'działają' if many else 'działa'} tylko częściowo",
            f"{en} {'work' if many else 'works'} only in part",
        )
    return Text(
        f"{pl} {'działają' if many else 'działa'} wolno lub z ograniczeniami",
        f"{en} {'are' if many else 'is'} slow or limited",
    )


def detected(names: Sequence[Text], cause: str, impacted: Sequence[Text]) -> Text:
    """The first words of an incident that monitors opened."""
    because = _in_brackets(plain_cause(cause))
    many = len(names) > 1
    pl = (
        f"Nasze pomiary wykryły awarię: {_listed([n.pl for n in names], 'i')} "
        f"nie {'odpowiadają' if many else 'odpowiada'} poprawnie{because.pl}. Sprawdzamy przyczynę."
    )
    en = (
        f"Our checks found a fault: {_listed([n.en for n in names], 'and')} "
        f"{'do' if many else 'does'} not answer correctly{because.en}. We are looking for the cause."
    )
    if impacted:
        pl += f" Z tego powodu utrudnienia mogą dotyczyć także: {_listed([n.pl for n in impacted], 'i')}."
        en += f" Because of this, the following may be affected too: {_listed([n.en for n in impacted], 'and')}."
    return Text(pl, en)


def joined(name: Text, cause: str) -> Text:
    """A further service fails of the same cause."""
    because = _in_brackets(plain_cause(cause))
    return Text(
        f"Awaria obejmuje także usługę {name.pl}{because.pl}.",
        f"The fault now covers {name.en} as well{because.en}.",
    )


def changed(name: Text, status: ServiceStatus, cause: str) -> Text:
    """An affected service is worse or better than before."""
    said = title([name], status)
    because = _in_brackets(plain_cause(cause))
    return Text(
        f"{said.pl}: pomiary nie otrzymują poprawnej odpowiedzi{because.pl}. Sprawdzamy przyczynę.",
        f"{said.en}: our checks get no correct answer{because.en}. We are looking for the cause.",
    )


def relapsed(name: Text, cause: str) -> Text:
    """It failed again soon after it had worked."""
    because = _in_brackets(plain_cause(cause))
    return Text(
        f"Usługa {name.pl} ponownie nie odpowiada poprawnie{because.pl}. Wznawiamy to zdarzenie.",
        f"{name.en} fails again{because.en}. We reopen this incident.",
    )


def recovered(names: Sequence[Text]) -> Text:
    """Everything works again."""
    many = len(names) > 1
    pl, en = _listed([n.pl for n in names], "i"), _listed([n.en for n in names], "and")
    return Text(
        f"{pl} znów {'działają' if many else 'działa'}. Potwierdziły to kolejne pomiary.",
        f"{en} {'work' if many else 'works'} again. Repeated checks have confirmed it.",
    )


_FALLBACK = {
    FallbackState.PERMITTED: (
        "Procedura awaryjna jest dozwolona: {}, nr {}. Prosimy podawać ten numer na dokumentach papierowych.",
        "The fallback procedure is allowed: {}, no. {}. Please quote this number on paper documents.",
    ),
    FallbackState.NOT_NEEDED: (
        "Procedura awaryjna nie jest potrzebna: {}.",
        "The fallback procedure is not needed: {}.",
    ),
    FallbackState.WITHDRAWN: (
        "Procedura awaryjna nie jest już dozwolona: {}, nr {}. Rozpoczęte na papierze czynności można dokończyć; "
        "dane trzeba potem wprowadzić do systemu.",
        "The fallback procedure is no longer allowed: {}, no. {}. What was begun on paper may be finished; "
        "the data must then be entered into the system.",
    ),
}


def fallback(name: Text, state: FallbackState, reference: str, function: str) -> Text:
    """Paper is allowed, not needed, or allowed no longer."""
    what = f" – {function}" if function else ""
    pl, en = _FALLBACK[state]
    return Text(pl.format(name.pl + what, reference), en.format(name.en + what, reference))


def merged(into: Text) -> Text:
    """It turned out to be part of another incident."""
    return Text(
        f"To część innego zdarzenia: „{into['pl']}”.", f"This is part of another incident: “{into['en']}”."
    )


def took_in(other: Text) -> Text:
    """Another incident turned out to be part of this one."""
    return Text(
        f"Zdarzenie „{other['pl']}” jest częścią tej awarii.",
        f"“{other['en']}” is part of this incident.",
    )


def corrected(*, begin: bool, end: bool) -> Text:
    """A time was put right; the old one stands among the corrections."""
    if begin and end:
        return Text("Poprawiliśmy godzinę początku i końca.", "We have corrected when it began and ended.")
    if begin:
        return Text("Poprawiliśmy godzinę początku.", "We have corrected when it began.")
    return Text("Poprawiliśmy godzinę końca.", "We have corrected when it ended.")


MAINTENANCE_BEGUN = Text("Prace planowe rozpoczęły się.", "The planned work has begun.")
MAINTENANCE_VERIFYING = Text(
    "Prace zakończono, sprawdzamy ich wynik.", "The work is done and we are checking its result."
)
MAINTENANCE_COMPLETED = Text("Prace planowe zakończono.", "The planned work is complete.")
MAINTENANCE_CANCELLED = Text("Prace planowe odwołano.", "The planned work is cancelled.")

_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)  # a text is read later: never "today"


def moved(was: Window, window: Window, zone: ZoneInfo) -> Text:
    """Planned work has new times; `zone` is the page's."""
    if was.begins_at != window.begins_at:
        pl, en = (tuple(_span(times, language, zone) for times in (window, was)) for language in ("pl", "en"))
        return Text(
            f"Zmieniamy termin prac planowych: {pl[0]} zamiast {pl[1]}.",
            f"We move the planned work: {en[0]} instead of {en[1]}.",
        )
    pl, en = (
        tuple(_end(times, window.begins_at, language, zone) for times in (window, was))
        for language in ("pl", "en")
    )
    if window.ends_at > was.ends_at:
        return Text(
            f"Przedłużamy prace planowe do {pl[0]} (zapowiadaliśmy koniec o {pl[1]}).",
            f"We extend the planned work until {en[0]} (we had announced {en[1]}).",
        )
    return Text(
        f"Prace planowe mają trwać krócej: do {pl[0]} zamiast do {pl[1]}.",
        f"The planned work is to take less time: until {en[0]} instead of {en[1]}.",
    )


def part_cancelled(names: Sequence[Text]) -> Text:
    """Planned work goes on without these services."""
    return Text(
        f"Prace nie obejmują już {'usług' if len(names) > 1 else 'usługi'} "
        f"{_listed([n.pl for n in names], 'i')}. Pozostałe odbywają się zgodnie z planem.",
        f"The work no longer concerns {_listed([n.en for n in names], 'and')}. The rest goes on as planned.",
    )


def _span(window: Window, language: str, zone: ZoneInfo) -> str:
    begin = (
        f"{format_day(window.begins_at, language, zone, _LONG_AGO)}, {format_clock(window.begins_at, zone)}"
    )
    return f"{begin}–{_end(window, window.begins_at, language, zone)}"


def _end(window: Window, begins_at: datetime, language: str, zone: ZoneInfo) -> str:
    """The hour, with the day when it is another than that of the begin."""
    clock = format_clock(window.ends_at, zone)
    if window.ends_at.astimezone(zone).date() == begins_at.astimezone(zone).date():
        return clock
    day = format_day(window.ends_at, language, zone, _LONG_AGO)
    return f"{clock} {day}" if language == "pl" else f"{clock} on {day}"
