"""Turns what a request says into what the incident room's verbs take."""

from datetime import timedelta

from statuspage.incidents.acts import ActKind, Content
from statuspage.incidents.details import Details, NewHandling, Scope
from statuspage.incidents.fallbacks import NewFallback
from statuspage.incidents.snapshot import Text
from statuspage.site.manage import shapes

# The verbs name fields as the forms do.
FIELDS = {
    "title": "name",
    "service": "services",
    "channel": "scope",
    "function": "scope",
    "sent_until": "messages.sent_until",
    "fallback": "fallbacks.state",
    "fallback_until": "fallbacks.ends_at",
    "fallback_reference": "fallbacks.reference",
    "fallback_instructions": "fallbacks.instructions",
    "legal_basis": "fallbacks.legal_basis",
    "enter_within": "fallbacks.enter_within_hours",
    "messages": "messages.text",
}
# Where the declaration is the whole body.
FALLBACK_FIELDS = {
    name: place.removeprefix("fallbacks.") for name, place in FIELDS.items() if place.startswith("fallbacks.")
}
PLAN_FIELDS = {"title": "name", "service": "services", "start": "begins_at", "end": "ends_at"}


def text(said: shapes.Title | shapes.Message | shapes.Note) -> Text:
    """Both languages; what stands around them is nobody's meaning."""
    return Text(said.pl.strip(), said.en.strip())


def optional_text(said: shapes.Message | None) -> Text | None:
    """As `text`; None where nothing was given, or nothing in either language."""
    return text(said) if said is not None and (said.pl.strip() or said.en.strip()) else None


def details(said: shapes.Evidence) -> Details:
    """What makes the notice evidence."""
    return Details(
        scope=None
        if said.scope is None
        else {code: Scope(each.functions, each.channels) for code, each in said.scope.items()},
        unaffected=said.unaffected,
        handlings=None if said.messages is None else tuple(_handling(each) for each in said.messages),
        next_update_at=said.next_update_at,
    )


def _handling(said: shapes.HandlingGiven) -> NewHandling:
    return NewHandling(said.handling, said.service or "", said.sent_from, said.sent_until, text(said.text))


def fallback(said: shapes.FallbackGiven) -> NewFallback:
    """A declaration about paper."""
    return NewFallback(
        service=said.service,
        state=said.state,
        function=said.function,
        reference=said.reference.strip(),
        begins_at=said.begins_at,
        ends_at=said.ends_at,
        instructions=text(said.instructions),
        legal_basis=text(said.legal_basis),
        enter_within=None if said.enter_within_hours is None else timedelta(hours=said.enter_within_hours),
    )


def opening(said: shapes.OpenGiven) -> Content:
    """A new incident as an act."""
    return Content(
        kind=ActKind.OPEN,
        name=text(said.name),
        text=text(said.text),
        services=said.services,
        status=said.status,
        impact=said.impact,
        began_at=said.began_at,
        ended_at=said.ended_at,
        details=details(said),
        fallbacks=tuple(fallback(each) for each in said.fallbacks),
        deliver=said.deliver,
    )


def update(incident_id: str, said: shapes.UpdateGiven) -> Content:
    """An update as an act."""
    return Content(
        kind=ActKind.UPDATE,
        notice_id=incident_id,
        name=text(said.name),
        text=text(said.text),
        services=said.services,
        status=said.status,
        details=details(said),
        fallbacks=tuple(fallback(each) for each in said.fallbacks),
        withdrawn=said.withdrawn,
        deliver=said.deliver,
        seen=said.seen,
    )


def resolution(incident_id: str, said: shapes.ResolveGiven) -> Content:
    """A resolution as an act."""
    return Content(kind=ActKind.RESOLVE, notice_id=incident_id, text=text(said.text), seen=said.seen)


def act(said: shapes.ActGiven) -> Content:
    """An act as it is written, perhaps not finished yet."""
    return Content(
        kind=said.kind,
        notice_id=said.incident or "",
        name=text(said.name),
        text=text(said.text),
        services=said.services,
        status=said.status,
        impact=said.impact,
        began_at=said.began_at,
        ended_at=said.ended_at,
        details=details(said),
        fallbacks=tuple(fallback(each) for each in said.fallbacks),
        withdrawn=said.withdrawn,
        deliver=said.deliver,
        seen=said.seen,
    )
