"""The composer's form: from what was typed to the content of an act, and back. What is wrong names its field.

No database, no request.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeVar
from zoneinfo import ZoneInfo

from statuspage.incidents import templates
from statuspage.incidents.acts import ActKind, Content
from statuspage.incidents.details import Details, NewHandling, Scope
from statuspage.incidents.fallbacks import NewFallback
from statuspage.incidents.notices import MAX_TEXT, MAX_TITLE
from statuspage.incidents.rules import FallbackState, Impact, IncidentStatus, MessageHandling, ServiceStatus
from statuspage.incidents.snapshot import Text
from statuspage.kernel.errors import Invalid
from statuspage.kernel.localtime import NoSuchTime, next_minutes, read_local, write_local

E = TypeVar("E", IncidentStatus, Impact, ServiceStatus, MessageHandling, FallbackState)

NEXT_MINUTES = (15, 30, 60)
_OF_FORM = {  # where a verb's field stands in the form
    "next_update_at": "next_at",
    "sent_until": "messages_until",
    "fallback_instructions_pl": "fallback_pl",
    "fallback_instructions_en": "fallback_en",
    "legal_basis_pl": "legal_pl",
    "legal_basis_en": "legal_en",
    "status": "state",
    "service": "services",
    "scope": "services",
    "function": "services",
    "channel": "services",
}


def _(message: str) -> str:
    """Marks a message for translation."""
    return message


_LABELS = {
    "title_pl": _("Title in Polish"),
    "title_en": _("Title in English"),
    "text_pl": _("Text in Polish"),
    "text_en": _("Text in English"),
    "services": _("Affected services"),
    "state": _("State"),
    "began_at": _("Began at"),
    "ended_at": _("Ended at"),
    "begins_at": _("Begins at"),
    "ends_at": _("Ends at"),
    "next_at": _("We speak again"),
    "messages": _("Messages"),
    "messages_from": _("Sent from"),
    "messages_until": _("Sent until"),
    "messages_pl": _("More about the messages"),
    "messages_en": _("More about the messages"),
    "fallback": _("Fallback procedure"),
    "fallback_for": _("Fallback procedure"),
    "fallback_reference": _("Number of the permission"),
    "fallback_from": _("Paper permitted from"),
    "fallback_until": _("Paper permitted until"),
    "fallback_pl": _("Instructions"),
    "fallback_en": _("Instructions"),
    "legal_pl": _("Legal basis"),
    "legal_en": _("Legal basis"),
    "unaffected": _("Explicitly not affected"),
    "publish_at": _("Publish at"),
    "reason": _("Reason"),
    "until": _("Until"),
    "status": _("Status"),
    "name": _("Name of the template"),
    "position": _("Order"),
    "into": _("Part of"),
    "repeat": _("Repeats"),
    "interval": _("Every how many days, weeks or months"),
    "rule": _("A rule of one's own"),
    "zone": _("Time zone"),
    "count": _("How many times"),
    "part": _("Services to take out"),
}


@dataclass(frozen=True, slots=True)
class Problem:
    """What has to be put right, and where. `message` is a msgid, `values` stand in it."""

    field: str
    message: str
    choices: tuple[datetime, ...] = ()  # instants of which one is to be picked
    values: Mapping[str, object] = dataclasses.field(default_factory=dict)

    @property
    def label(self) -> str:
        """What the field is called, a msgid; "" where the message says it."""
        return _LABELS.get(self.field, "")


@dataclass(frozen=True, slots=True)
class Typed:
    """A form as it was sent, ticks included."""

    values: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def __call__(self, name: str) -> str:
        """The field's text, "" where there is none."""
        return next(iter(self.values.get(name, ())), "").strip()

    def all(self, name: str) -> list[str]:
        """Every value of a field that may be repeated."""
        return [value for value in self.values.get(name, ()) if value]

    def has(self, name: str, value: str) -> bool:
        """Whether this choice is made."""
        return value in self.values.get(name, ())

    def with_values(self, **values: str) -> "Typed":
        """The same with some fields replaced."""
        return Typed({**self.values, **{name: [value] for name, value in values.items()}})


def problem_of(error: Invalid) -> Problem:
    """What a verb refused, as the form says it."""
    return Problem(_OF_FORM.get(error.field, error.field), error.message, values=error.values)


def label_of(field: str) -> str:
    """What the form calls a verb's field, a msgid; "" for one that it does not have."""
    return _LABELS.get(_OF_FORM.get(field, field), "")


class Reader:
    """Reads one form; what cannot be read is noted as a problem."""

    def __init__(self, typed: Typed, zone: ZoneInfo, now: datetime) -> None:
        self.problems: list[Problem] = []
        self._typed = typed
        self._zone = zone
        self._now = now

    def note(self, field: str, message: str, choices: tuple[datetime, ...] = ()) -> None:
        self.problems.append(Problem(field, message, choices))

    def time(self, name: str) -> datetime | None:
        """The instant typed into a field."""
        try:
            return read_local(self._typed(name), self._zone, choice=self._typed(f"{name}-choice"))
        except NoSuchTime as error:
            self.note(name, error.message, error.choices)
            return None

    def enum(self, name: str, kind: type[E]) -> E | None:
        """The choice made; None for none."""
        text = self._typed(name)
        if not text:
            return None
        try:
            return kind(text)
        except ValueError:
            self.note(name, _("Choose one of the list."))
            return None

    def text(self, name: str, limit: int) -> Text:
        """Both languages of a text."""
        for language in ("pl", "en"):
            said = self._typed(f"{name}_{language}")
            if len(said) > limit:
                self.note(f"{name}_{language}", _("This is too long."))
        return Text(self._typed(f"{name}_pl"), self._typed(f"{name}_en"))

    def content(self, codes: Sequence[str]) -> Content:
        """What the whole form says; `codes` are the services it shows."""
        typed = self._typed
        kind = ActKind(typed("kind")) if typed("kind") in list(ActKind) else ActKind.OPEN
        services = {
            code: status
            for code in codes
            if (status := self.enum(f"status-{code}", ServiceStatus)) is not None
        }
        content = Content(
            kind=kind,
            notice_id=typed("incident"),
            name=self.text("title", MAX_TITLE),
            text=self.text("text", MAX_TEXT),
            services=services,
            status=self.enum("state", IncidentStatus),
            impact=self.enum("impact", Impact),
            began_at=self.time("began_at"),
            ended_at=self.time("ended_at"),
            details=self._details(codes, services),
            fallbacks=self._fallbacks(),
            withdrawn=tuple(typed.all("withdraw")),
            deliver=typed.has("deliver", "yes"),
            seen=typed("seen") if kind is not ActKind.OPEN else None,
        )
        self._check(content)
        return content

    def _check(self, content: Content) -> None:
        """What the verbs would take, and readers would not."""
        if content.kind is ActKind.OPEN and not content.services:
            self.note("services", _("Choose at least one service and say how it stands."))
        named = (("title", content.name), ("text", content.text))
        needed = named if content.kind is ActKind.OPEN else named[1:]
        for name, text in needed:
            if not text.pl and not text.en:
                self.note(f"{name}_pl", _("Write this in one language at least."))
        for name, text in named:
            for language, said in (("pl", text.pl), ("en", text.en)):
                if templates.unfilled(Text(said, "")):
                    self.note(f"{name}_{language}", _("Words in braces still wait for what they stand for."))

    def _details(self, codes: Sequence[str], services: Mapping[str, ServiceStatus]) -> Details:
        typed = self._typed
        scope = {
            code: Scope(tuple(typed.all(f"function-{code}")), tuple(typed.all(f"channel-{code}")))
            for code in codes
            if typed.all(f"function-{code}") or typed.all(f"channel-{code}")
        }
        for code in scope.keys() - services.keys():
            if not typed.has("named", code):
                self.note("services", _("A function or channel is ticked of a service without a status."))
        unaffected = typed.all("unaffected")
        is_shown = typed.has("unaffected-shown", "yes")
        return Details(
            scope=scope or None,
            unaffected=unaffected if unaffected or is_shown else None,
            handlings=self._handlings(),
            next_update_at=self._next_update_at(),
        )

    def _next_update_at(self) -> datetime | None:
        match self._typed("next"):
            case "at":
                at = self.time("next_at")
                if at is None and not any(problem.field == "next_at" for problem in self.problems):
                    self.note("next_at", _("Say when, or choose another answer."))
                return at
            case minutes if minutes.isdecimal() and int(minutes) in NEXT_MINUTES:
                return next_minutes(self._now, int(minutes))
        return None

    def _handlings(self) -> Sequence[NewHandling] | None:
        handling = self.enum("messages", MessageHandling)
        since, until = self.time("messages_from"), self.time("messages_until")
        text = self.text("messages", MAX_TEXT)
        if handling is None:
            if since or until or text.pl or text.en:
                self.note("messages", _("Say what becomes of the messages, or empty the fields below."))
            return None
        return [NewHandling(handling, self._typed("messages_service"), since, until, text)]

    def _fallbacks(self) -> Sequence[NewFallback]:
        state = self.enum("fallback", FallbackState)
        begins_at, ends_at = self.time("fallback_from"), self.time("fallback_until")
        if state is None:
            return ()
        targets = self._typed.all("fallback_for")
        if not targets:
            self.note("fallback_for", _("Choose the service or function that this is about."))
        instructions, legal_basis = self.text("fallback", MAX_TEXT), self.text("legal", MAX_TEXT)
        return tuple(
            NewFallback(
                service=target.partition("|")[0],
                state=state,
                function=target.partition("|")[2],
                reference=self._typed("fallback_reference"),
                begins_at=begins_at,
                ends_at=ends_at,
                instructions=instructions,
                legal_basis=legal_basis,
            )
            for target in targets
        )


def as_typed(content: Content, zone: ZoneInfo) -> Typed:
    """The form that says this."""
    values: dict[str, list[str]] = {
        "kind": [content.kind.value],
        "incident": [content.notice_id],
        "title_pl": [content.name.pl],
        "title_en": [content.name.en],
        "text_pl": [content.text.pl],
        "text_en": [content.text.en],
        "state": [content.status or ""],
        "impact": [content.impact or ""],
        "withdraw": list(content.withdrawn),
        "deliver": ["yes"] if content.deliver else [],
        "seen": [content.seen or ""],
    }
    values |= _typed_time("began_at", content.began_at, zone) | _typed_time(
        "ended_at", content.ended_at, zone
    )
    for code, status in content.services.items():
        values[f"status-{code}"] = [status.value]
    return Typed(values | _typed_details(content.details, zone) | _typed_fallback(content.fallbacks, zone))


def _typed_time(name: str, at: datetime | None, zone: ZoneInfo) -> dict[str, list[str]]:
    """The time, and which one is meant where the clocks show it twice."""
    return {name: [write_local(at, zone)], f"{name}-choice": [at.isoformat()]} if at else {name: [""]}


def _typed_details(details: Details, zone: ZoneInfo) -> dict[str, list[str]]:
    values: dict[str, list[str]] = {"unaffected": list(details.unaffected or ())}
    for code, scope in (details.scope or {}).items():
        values[f"function-{code}"] = list(scope.functions)
        values[f"channel-{code}"] = list(scope.channels)
    if details.next_update_at is not None:
        values |= {"next": ["at"], **_typed_time("next_at", details.next_update_at, zone)}
    for handling in (details.handlings or ())[:1]:
        values |= {
            "messages": [handling.handling.value],
            "messages_service": [handling.service],
            **_typed_time("messages_from", handling.sent_from, zone),
            **_typed_time("messages_until", handling.sent_until, zone),
            "messages_pl": [handling.text.pl],
            "messages_en": [handling.text.en],
        }
    return values


def _is_said_together(one: NewFallback, other: NewFallback) -> bool:
    """Whether two declarations differ in what they are about alone."""
    return replace(one, service=other.service, function=other.function) == other


def beyond(content: Content | None) -> tuple[Sequence[NewHandling], Sequence[NewFallback]]:
    """What the form has no room for: it says one thing about messages, and one about paper for several services."""
    if content is None:
        return (), ()
    handlings, declared = content.details.handlings or (), content.fallbacks
    return handlings[1:], [f for f in declared if not _is_said_together(declared[0], f)]


def with_beyond(content: Content, stored: Content | None) -> Content:
    """The form's content, and what the draft that was opened says beyond it: an edit drops nothing unseen."""
    handlings, declared = beyond(stored)
    if handlings:
        said = [*(content.details.handlings or ()), *handlings]
        content = replace(content, details=replace(content.details, handlings=said))
    return replace(content, fallbacks=[*content.fallbacks, *declared])


def _typed_fallback(fallbacks: Sequence[NewFallback], zone: ZoneInfo) -> dict[str, list[str]]:
    values: dict[str, list[str]] = {}
    for fallback in fallbacks[:1]:
        together = [f for f in fallbacks if _is_said_together(fallback, f)]
        values = {
            "fallback": [fallback.state.value],
            "fallback_for": [f"{f.service}|{f.function}" if f.function else f.service for f in together],
            "fallback_reference": [fallback.reference],
            **_typed_time("fallback_from", fallback.begins_at, zone),
            **_typed_time("fallback_until", fallback.ends_at, zone),
            "fallback_pl": [fallback.instructions.pl],
            "fallback_en": [fallback.instructions.en],
            "legal_pl": [fallback.legal_basis.pl],
            "legal_en": [fallback.legal_basis.en],
        }
    return values
