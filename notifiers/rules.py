"""Pure rules of telling: which event makes which mail, what a relay's answer means, when to try again."""

import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum
from typing import Any

from statuspage.incidents.announcement import Window
from statuspage.kernel.errors import Invalid

MAX_ADDRESS = 254  # RFC 5321 §4.5.3.1.3, less the angle brackets
MAX_LOCAL_PART = 64  # RFC 5321 §4.5.3.1.1
_LOCAL_PART = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")  # dot-atom
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


class SubscriberState(StrEnum):
    """The life of a subscription."""

    PENDING = "pending"  # asked for, not confirmed
    ACTIVE = "active"
    UNSUBSCRIBED = "unsubscribed"
    SUPPRESSED = "suppressed"  # mail to it bounces or was complained about: never written to


class DeliveryState(StrEnum):
    """The life of one mail to one address."""

    QUEUED = "queued"
    LEASED = "leased"  # in a sender's hands
    SENT = "sent"  # the relay has taken it over
    DEFERRED = "deferred"  # refused for now; tried again
    FAILED = "failed"  # refused for good, or for too long
    UNCERTAIN = "uncertain"  # the connection was lost after the final dot: perhaps sent
    RECALLED = "recalled"


class Lane(IntEnum):
    """What goes first."""

    OUTAGE = 0
    PERSONAL = 1  # confirmations, ticket mail
    DIGEST = 2


class MailKind(StrEnum):
    """What a mail of this room says."""

    INCIDENT = "incident"
    MAINTENANCE = "maintenance"
    CONFIRM = "confirm"
    ALREADY = "already"  # somebody asked to subscribe an address that is subscribed


# --- who is told of what ---


@dataclass(frozen=True, slots=True)
class Change:
    """What an event changed of planned work."""

    was: Window | None = None  # its times before
    removed: frozenset[str] = frozenset()  # ids of services it goes on without
    also: tuple[Window, ...] = ()  # further work of the series that this mail tells of too


NO_CHANGE = Change()


@dataclass(frozen=True, slots=True)
class Broadcast:
    """What an event asks for: a mail of `kind` to everybody who chose one of `service_ids`."""

    kind: MailKind
    notice_id: str
    update_id: str
    service_ids: tuple[str, ...]  # those impacted through a parent too
    only_untold: bool = False  # not to those who were told of the notice before: it only grew
    change: Change = NO_CHANGE
    is_reminder: bool = False


def broadcast_of(event_kind: str, payload: Mapping[str, Any]) -> Broadcast | None:
    """The mail that an event makes; None for those that make none.

    `component.updated` makes none, because the incident tells it; neither does an update that is
    published without delivery.
    """
    noun, _, _ = event_kind.partition(".")
    if noun not in (MailKind.INCIDENT, MailKind.MAINTENANCE) or not payload.get("deliver", True):
        return None
    return Broadcast(
        MailKind(noun),
        payload["notice_id"],
        payload["update_id"],
        tuple(payload["services"]),
        payload.get("only_untold", False),
        _change_of(payload),
        event_kind == "maintenance.reminder",
    )


def _change_of(payload: Mapping[str, Any]) -> Change:
    def window(pair: Sequence[str]) -> Window:
        return Window(datetime.fromisoformat(pair[0]), datetime.fromisoformat(pair[1]))

    was = payload.get("was")
    return Change(
        window(was) if was else None,
        frozenset(payload.get("removed", ())),
        tuple(window(pair) for pair in payload.get("also", ())),
    )


def is_told(*, state: str, all_services: bool, chosen: Collection[str], service_ids: Collection[str]) -> bool:
    """Whether a subscriber is told of an event that affects `service_ids`.

    `subscribers.audience` says the same in SQL.
    """
    return state == SubscriberState.ACTIVE and (all_services or not set(chosen).isdisjoint(service_ids))


def due_at(published_at: datetime, author: str, *, recall_window: timedelta) -> datetime:
    """When an update may be sent: what a person wrote waits, monitors, the clock, the CLI and programs do not.

    Nobody sits before a program to recall its slip: who wants a pause for thought writes a draft with it.
    """
    by_machine = author in ("monitor", "schedule") or author.startswith(("cli:", "api:"))
    return published_at if by_machine else published_at + recall_window


# --- what the relay's answer means ---


class Verdict(StrEnum):
    """How one attempt ended, as far as the sender can know."""

    SENT = "sent"
    DEFERRED = "deferred"
    FAILED = "failed"
    UNCERTAIN = "uncertain"


def verdict_of(reply_code: int) -> Verdict:
    """The meaning of a reply (RFC 5321 §4.2.1): 2xx taken, 4xx later, 5xx never, nonsense: later."""
    if 200 <= reply_code < 300:
        return Verdict.SENT
    return Verdict.FAILED if 500 <= reply_code < 600 else Verdict.DEFERRED


def verdict_of_loss(*, after_final_dot: bool) -> Verdict:
    """A connection lost, or silent for too long. After the final dot nobody knows what became of the mail."""
    return Verdict.UNCERTAIN if after_final_dot else Verdict.DEFERRED


BACK_OFF = tuple(timedelta(seconds=s) for s in (15, 60, 300, 900, 1800, 3600, 7200, 14400))
JITTER = 0.2


def back_off(attempts: int, *, jitter: float) -> timedelta:
    """The pause after the `attempts`-th attempt; `jitter` in −1…1 moves it by up to a fifth."""
    return BACK_OFF[min(max(attempts, 1), len(BACK_OFF)) - 1] * (1 + JITTER * jitter)


@dataclass(frozen=True, slots=True)
class Next:
    """What becomes of a delivery after an attempt. `due_at` None: it is settled."""

    state: DeliveryState
    due_at: datetime | None


def after_attempt(
    verdict: Verdict,
    *,
    attempts: int,
    was_uncertain: bool,
    created_at: datetime,
    now: datetime,
    give_up_after: timedelta,
    jitter: float,
) -> Next:
    """What follows from a verdict. `attempts` counts this one.

    An uncertain mail is sent once more, with the same Message-ID, so that nobody is left untold; lost
    again, it stays uncertain and visible. A deferred one is tried until `give_up_after`, then it has failed.
    """
    if verdict is Verdict.SENT:
        return Next(DeliveryState.SENT, None)
    if verdict is Verdict.FAILED:
        return Next(DeliveryState.FAILED, None)
    retry_at = now + back_off(attempts, jitter=jitter)
    if verdict is Verdict.UNCERTAIN:
        return Next(DeliveryState.UNCERTAIN, None if was_uncertain else retry_at)
    if retry_at - created_at > give_up_after:
        return Next(DeliveryState.FAILED, None)
    return Next(DeliveryState.DEFERRED, retry_at)


# --- what may stand in a mail ---


def check_address(address: str) -> str:
    """The address in its one form: the domain in lower case and ASCII. Raises Invalid.

    Dot-atom local parts only (RFC 5321 §4.1.2): quoted ones and those beyond ASCII are refused, as many
    relays do.
    """
    address = address.strip()
    refuse_controls("email", address)
    local, at, domain = address.rpartition("@")
    if not at or not local:
        raise Invalid("email", "an address looks like name@example.com")
    try:
        domain = domain.encode("idna").decode("ascii").lower()
    except UnicodeError:
        raise Invalid("email", "the part after @ is not a domain") from None
    labels = domain.split(".")
    if len(labels) < 2 or not all(_LABEL.fullmatch(label) for label in labels):
        raise Invalid("email", "the part after @ is not a domain")
    if len(local) > MAX_LOCAL_PART or not _LOCAL_PART.fullmatch(local):
        raise Invalid("email", "the part before @ has characters that cannot be delivered to")
    checked = f"{local}@{domain}"
    if len(checked) > MAX_ADDRESS:
        raise Invalid("email", "is longer than %(limit)s characters", limit=MAX_ADDRESS)
    return checked


def refuse_controls(field: str, value: str) -> None:
    """Raise Invalid if `value` has a character that could end a header or a command (abuse case 5)."""
    if any(unicodedata.category(character) in ("Cc", "Zl", "Zp") for character in value):
        raise Invalid(field, "contains a line break or another control character")


def check_headers(headers: Mapping[str, str]) -> None:
    """Raise Invalid for a header that others may not add, or that is more than one line."""
    for name, value in headers.items():
        if name.lower() not in _MAY_BE_ADDED:
            raise Invalid(f"headers.{name}", "is not a header that may be set")
        refuse_controls(f"headers.{name}", value)


_MAY_BE_ADDED = frozenset(
    {"auto-submitted", "in-reply-to", "references", "reply-to", "x-auto-response-suppress"}
)
_BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c")


def one_line(value: str) -> str:
    """`value` as it may stand in a subject: no controls or direction overrides (abuse case 11)."""
    kept = (" " if unicodedata.category(c)[0] in "CZ" else c for c in value if c not in _BIDI)
    return " ".join("".join(kept).split())


def clean_text(value: str) -> str:
    """`value` as it may stand in a body: line breaks stay, other controls and direction overrides go."""
    unified = value.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(c for c in unified if c in "\n\t" or not _is_unwanted(c))


def _is_unwanted(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cs") or character in _BIDI


def shares(room: int) -> Mapping[Lane, int]:
    """How many of `room` places each lane is sure of: an outage goes first but starves nobody."""
    return {Lane.OUTAGE: room, Lane.PERSONAL: -(-room // 10), Lane.DIGEST: -(-room // 50)}
