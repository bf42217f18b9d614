"""The words and pure rules of the help desk: states and what may follow, what is valid, when what is due."""

import dataclasses
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from notifiers.rules import check_address
from statuspage.kernel.errors import Invalid


class Kind(StrEnum):
    """What a customer asks for."""

    FAILURE = "failure"
    QUESTION = "question"
    SERVICE_REQUEST = "service_request"
    COMPLAINT = "complaint"
    SUGGESTION = "suggestion"


class State(StrEnum):
    """The life of a ticket."""

    NEW = "new"
    OPEN = "open"
    PENDING_CUSTOMER = "pending_customer"
    PENDING_INCIDENT = "pending_incident"
    PENDING_APPROVAL = "pending_approval"
    RESOLVED = "resolved"
    CLOSED = "closed"
    REJECTED = "rejected"
    MERGED = "merged"
    WITHDRAWN = "withdrawn"


class Channel(StrEnum):
    """How a ticket reached us. All channels share one queue and one number series."""

    WEB = "web"
    PHONE = "phone"
    EMAIL = "email"


class AuthorKind(StrEnum):
    """Who said it."""

    REQUESTER = "requester"
    AGENT = "agent"
    SYSTEM = "system"


class How(StrEnum):
    """How a ticket came to be linked to an incident."""

    AGENT = "agent"  # an agent chose the incident
    SUGGESTED = "suggested"  # suggested by service and time, confirmed by an agent
    AUTOMATIC = "automatic"  # the link followed its incident into the one that it was merged into


class AnswerState(StrEnum):
    """What became of an answer that a resolution owes."""

    WAITING = "waiting"
    GIVEN = "given"
    CANCELLED = "cancelled"


class Cancelled(StrEnum):
    """Why a promised answer was not given; msgids."""

    REOPENED = "the incident was reopened"
    RESOLVED_ANEW = "a newer resolution answers"
    MERGED = "the incident was merged into another"
    UNLINKED = "the link was ended"
    SETTLED = "the request was settled otherwise"
    HELD = "it waits for another incident"


PENDING = frozenset({State.PENDING_CUSTOMER, State.PENDING_INCIDENT, State.PENDING_APPROVAL})
UNSOLVED = frozenset({State.NEW, State.OPEN}) | PENDING
FINAL = frozenset({State.CLOSED, State.REJECTED, State.MERGED, State.WITHDRAWN})

_ENDS = frozenset({State.RESOLVED, State.REJECTED, State.MERGED, State.WITHDRAWN})
FOLLOWERS: Mapping[State, frozenset[State]] = {
    State.NEW: frozenset({State.OPEN}) | PENDING | _ENDS,
    State.OPEN: PENDING | _ENDS,
    **{pending: (frozenset({State.OPEN}) | PENDING | _ENDS) - {pending} for pending in PENDING},
    State.RESOLVED: frozenset({State.OPEN, State.CLOSED}),
    **{final: frozenset() for final in FINAL},
}

CLOSE_AFTER = timedelta(days=14)
SUGGEST_BEFORE_START = timedelta(minutes=30)
SUGGEST_AFTER_END = timedelta(hours=2)
# A typed service request, a complaint or a suggestion has an answer of its own; no incident's text is one.
SUGGESTED_KINDS = frozenset({Kind.FAILURE, Kind.QUESTION})
SUGGESTED_STATES = frozenset({State.NEW, State.OPEN, State.PENDING_CUSTOMER})
FILED_ONLINE = (Kind.FAILURE, Kind.QUESTION, Kind.SUGGESTION)
ACKNOWLEDGEMENTS_A_DAY = 5  # to one address: the form must not become a way to flood a stranger's mailbox


def may_follow(old: State, new: State) -> bool:
    """Whether a ticket may go from `old` to `new`. What comes after it closed is a follow-up."""
    return new in FOLLOWERS[old]


def state_after_unlink(state: State, *, other_links: int) -> State:
    """Where a ticket goes when a link ends: it waits on while another incident holds it."""
    return State.OPEN if state is State.PENDING_INCIDENT and other_links == 0 else state


def state_after_answer(state: State) -> State:
    """A public answer opens a new ticket; in every other state it changes nothing."""
    return State.OPEN if state is State.NEW else state


def state_after_requester(state: State) -> State:
    """Words of the requester end the waiting for them, and open again what was solved."""
    return State.OPEN if state in (State.PENDING_CUSTOMER, State.RESOLVED) else state


def closes_at(resolved_at: datetime) -> datetime:
    """When a resolved ticket closes for good."""
    return resolved_at + CLOSE_AFTER


@dataclass(frozen=True, slots=True)
class Window:
    """From and until when tickets are likely to be about an incident. Both ends belong to it."""

    begin: datetime
    end: datetime

    def __contains__(self, at: datetime) -> bool:
        return self.begin <= at <= self.end


def suggestion_window(began_at: datetime, ended_at: datetime | None, *, now: datetime) -> Window:
    """[start − 30 min, end + 2 h]; an incident that goes on suggests up to now."""
    end = now if ended_at is None else max(began_at, ended_at) + SUGGEST_AFTER_END
    return Window(began_at - SUGGEST_BEFORE_START, end)


def answer_due_at(resolved_at: datetime, *, reopen_window: timedelta, now: datetime) -> datetime:
    """When linked tickets are answered: once the incident can no longer reopen by itself."""
    return max(resolved_at + reopen_window, now)


# --- what is valid ---

MAX_NAME = 120
MIN_TEXT = 10
MAX_TEXT = 5000
MAX_ANSWER = 20_000
MAX_SUBJECT = 120
_JOINERS = "\u200c\u200d\u00ad"  # they shape words and emoji, and mislead nobody


@dataclass(frozen=True, slots=True)
class Draft:
    """A request as it was typed. `service` is the code, empty where none was chosen."""

    kind: str
    service: str
    name: str
    email: str
    text: str


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one field. `message` is an English msgid that says how to go on, `values` stand in it."""

    field: str
    message: str
    values: Mapping[str, object] = dataclasses.field(default_factory=dict)


def problems(draft: Draft) -> tuple[Problem, ...]:
    """Everything that is wrong, in the order of the form; at most one problem a field."""
    found = (
        ("kind", _kind_problem(draft)),
        ("service", _service_problem(draft)),
        ("name", _name_problem(draft.name)),
        ("email", _email_problem(draft.email)),
        ("text", text_problem(draft.text)),
    )
    return tuple(Problem(field, message) for field, message in found if message)


def _kind_problem(draft: Draft) -> str | None:
    return None if draft.kind in FILED_ONLINE else "Choose what your request is about."


def _service_problem(draft: Draft) -> str | None:
    if draft.kind == Kind.FAILURE and not draft.service:
        return "Choose the service that does not work."
    return None


def text_problem(text: str) -> str | None:
    """What is wrong with a text that may have lines, as an English msgid."""
    if len(text.strip()) < MIN_TEXT:
        return "Describe what you need in at least 10 characters."
    if len(text) > MAX_TEXT:
        return "The text is too long: at most 5000 characters fit. Shorten it."
    if _has_controls(text.replace("\n", "").replace("\t", "")):
        return "The text contains characters that cannot be shown. Type it anew or paste it as plain text."
    return None


def answer_problem(text: str) -> str | None:
    """What is wrong with what an agent writes, as an English msgid."""
    if not text.strip():
        return "Write a text first."
    if len(text) > MAX_ANSWER:
        return "The text is too long: at most 20,000 characters fit."
    if _has_controls(text.replace("\n", "").replace("\t", "")):
        return "The text contains characters that cannot be shown. Type it anew or paste it as plain text."
    return None


def _name_problem(name: str) -> str | None:
    if not name.strip():
        return "Write your name, so that we know how to address you."
    if len(name) > MAX_NAME:
        return "The name is too long: at most 120 characters fit."
    if _has_controls(name):
        return "The name contains characters that cannot be shown. Type it anew."
    return None


def _email_problem(email: str) -> str | None:
    if not email:
        return "Write your e-mail address; the answer will be sent there."
    try:
        check_address(email)
    except Invalid:
        return "Write the e-mail address in the form name@example.com."
    return None


def _has_controls(text: str) -> bool:
    """Characters that steer instead of being read: controls, direction overrides, stray surrogates."""
    unseen = ("Cc", "Cf", "Cs", "Zl", "Zp")
    return any(unicodedata.category(c) in unseen and c not in _JOINERS for c in text)


def tidied(text: str) -> str:
    """What was typed, without what a paste drags along: foreign line ends, invisible formatting."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(c for c in lines if unicodedata.category(c) != "Cf" or c in _JOINERS)


def subject_of(text: str) -> str:
    """The first line, cut at a word where it is long."""
    first = text.strip().partition("\n")[0].strip()
    first = " ".join(first.split())
    if len(first) <= MAX_SUBJECT:
        return first
    cut = first[: MAX_SUBJECT - 1]
    return (cut.rpartition(" ")[0] or cut) + "…"
