"""The audit log as administrators read it: newest first, by actor and action, a page at a time."""

import json
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from statuspage.kernel import audit, web
from statuspage.kernel.accounts import Role

# What the actions of this house are called; one that another room brings is shown by its code.
WORDS = {
    "session.began": "Signed in",
    "session.refused": "Sign-in refused",
    "session.ended": "Signed out",
    "session.revoked": "Session ended from elsewhere",
    "session.all-revoked": "Sessions ended from elsewhere",
    "user.added": "Account added",
    "user.role-changed": "Role changed",
    "user.group-roles-changed": "Roles for groups changed",
    "user.password-changed": "Password changed",
    "user.disabled": "Account closed",
    "user.enabled": "Account opened again",
    "second-factor.on": "Second factor switched on",
    "second-factor.off": "Second factor switched off",
    "second-factor.codes-renewed": "Recovery codes renewed",
    "incident.created": "Incident published",
    "incident.updated": "Incident updated",
    "incident.reopened": "Incident opened again",
    "incident.resolved": "Incident resolved",
    "incident.renamed": "Incident renamed",
    "maintenance.scheduled": "Planned work announced",
    "maintenance.started": "Planned work begun",
    "maintenance.updated": "Planned work changed",
    "maintenance.extended": "Planned work extended",
    "maintenance.rescheduled": "Planned work moved",
    "maintenance.completed": "Planned work completed",
    "maintenance.cancelled": "Planned work called off",
    "maintenance.renamed": "Planned work renamed",
    "series.begun": "Recurring work announced",
    "series.ended": "Recurring work ended",
    "override.begun": "Status set by hand",
    "override.ended": "Status set by hand ended",
    "duty.begun": "Went on duty",
    "duty.moved": "Time on duty changed",
    "duty.ended": "Left duty",
    "monitor.paused": "Monitor paused",
    "monitor.resumed": "Monitor resumed",
    "monitor.recheck-asked": "Check out of turn asked for",
    "news.written": "News written",
    "news.edited": "News changed",
    "news.published": "News published",
    "news.scheduled": "News scheduled",
    "news.unpublished": "News unpublished",
    "news.picture-added": "Picture added to news",
    "news.picture-removed": "Picture removed from news",
    "news.removed": "News deleted",
}
_MAX_SEQ = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Row:
    """One deed as the table shows it."""

    seq: int
    at: datetime
    actor: str
    action: str
    word: str | None
    subject: str
    details: tuple[tuple[str, str], ...]
    hash: str


def routes() -> list[BaseRoute]:
    return [Route("/console/audit", show)]


async def show(request: Request) -> Response:
    """A page of it."""
    await web.require(request, Role.ADMINISTRATOR)
    query = request.query_params
    actor, action = query.get("actor", "").strip(), query.get("action", "").strip()
    before = query.get("before", "")
    found = await web.house(request).db.read(
        audit.entries,
        actor=actor,
        action=action,
        before=min(int(before), _MAX_SEQ) if before.isascii() and before.isdigit() else None,
        limit=audit.PAGE + 1,
    )
    rows = [_row(entry) for entry in found[: audit.PAGE]]
    is_more = len(found) > audit.PAGE
    chosen = {key: value for key, value in (("actor", actor), ("action", action)) if value}
    context = {
        "rows": rows,
        "actor": actor,
        "action": action,
        "words": WORDS,
        "older": urlencode({**chosen, "before": rows[-1].seq}) if is_more else "",
        "newest": urlencode(chosen) if before else "",
    }
    return web.render(request, "console/audit.html", context)


def _row(entry: audit.Entry) -> Row:
    details = tuple(
        (key, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
        for key, value in json.loads(entry.details).items()
        if value is not None
    )
    word = WORDS.get(entry.action)
    return Row(entry.seq, entry.at, entry.actor, entry.action, word, entry.subject, details, entry.hash)
