"""A server elsewhere as the carrier of an officer's wishes, over its management API: no database is needed here.

One invocation has one Idempotency-Key. Where an answer is lost on its way, the same request is sent again with
it, and happens once all the same.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote
from uuid import uuid4

import httpx
import msgspec

from statuspage.carriers import LISTED, IncidentLine, Place, WorkLine
from statuspage.kernel.errors import Error, Invalid, Unavailable
from statuspage.kernel.exchange import parse_url
from statuspage.kernel.operations import ROOT

if TYPE_CHECKING:
    from statuspage.incidents.incidents import NewIncident
    from statuspage.incidents.maintenance import NewMaintenance
    from statuspage.incidents.rules import IncidentStatus, ServiceStatus
    from statuspage.incidents.series import NewSeries
    from statuspage.incidents.snapshot import Text

T = TypeVar("T")

_TIMEOUT = httpx.Timeout(30.0, connect=10.0)
_PAUSES_S = (1.0, 3.0)  # before each further attempt
_PASSING = (503, 429)
# The request's names of fields → those of the verbs, so that an error reads as it would without a server.
_FIELDS = {
    "name": "title",
    "services": "service",
    "begins_at": "start",
    "ends_at": "end",
    "rule": "repeat",
    "begins_local": "start",
    "duration_s": "end",
}


class _Titles(msgspec.Struct):
    en: str


class _Made(msgspec.Struct):
    id: str


class _Incident(msgspec.Struct):
    id: str
    name: _Titles
    status: str
    impact: str
    is_draft: bool
    began_at: datetime


class _Incidents(msgspec.Struct):
    incidents: list[_Incident]


class _Work(msgspec.Struct):
    id: str
    name: _Titles
    status: str
    begins_at: datetime
    ends_at: datetime


class _Works(msgspec.Struct):
    maintenance: list[_Work]


class _Page(msgspec.Struct):
    zone: str
    announce_ahead_s: int


class _FieldError(msgspec.Struct):
    field: str
    reason: str


class _Problem(msgspec.Struct):
    detail: str
    errors: list[_FieldError] = []


class Remote:
    """The server at `address`, asked with `token`. Raises Invalid naming `--server` or the token's place."""

    def __init__(self, address: str, token: str, *, pause: Callable[[float], None] = time.sleep) -> None:
        try:
            parse_url(address)
        except Invalid as error:
            raise Invalid("--server", error.reason) from None
        self._address = address.rstrip("/")
        self._token = token
        self._pause = pause
        self._key = str(uuid4())

    def place(self) -> Place:
        from statuspage.incidents.recurrence import zone_named

        page = self._read("/page", _Page)
        return Place(zone_named(page.zone), timedelta(seconds=page.announce_ahead_s))

    def open_incident(self, new: "NewIncident") -> str:
        wish = {
            "name": _text(new.name),
            "text": _text(new.text),
            "services": dict(new.services),
            "status": new.status,
            "impact": new.impact,
            "began_at": new.began_at,
        }
        return self._make("/incidents", wish)

    def post_update(
        self,
        incident_id: str,
        text: "Text",
        *,
        status: "IncidentStatus | None",
        services: "Mapping[str, ServiceStatus]",
    ) -> None:
        wish = {"text": _text(text), "status": status, "services": dict(services)}
        self._tell(f"/incidents/{_part(incident_id)}/updates", wish)

    def resolve(self, incident_id: str, text: "Text") -> None:
        self._tell(f"/incidents/{_part(incident_id)}/resolve", {"text": _text(text)})

    def incidents(self, *, unresolved: bool) -> Sequence[IncidentLine]:
        only = "&standing=unresolved" if unresolved else ""
        found = self._read(f"/incidents?limit={LISTED}{only}", _Incidents).incidents
        return [
            IncidentLine(
                each.id,
                "draft" if each.is_draft else each.status,
                each.impact,
                each.began_at.astimezone(UTC),
                each.name.en,
            )
            for each in found
        ]

    def schedule(self, new: "NewMaintenance") -> str:
        wish = {
            "name": _text(new.name),
            "text": _text(new.text),
            "services": list(new.services),
            "begins_at": new.begins_at,
            "ends_at": new.ends_at,
            "by_hand": new.by_hand,
        }
        return self._make("/maintenance", wish)

    def begin_series(self, new: "NewSeries") -> str:
        plan = new.recurrence
        wish = {
            "name": _text(new.name),
            "text": _text(new.text),
            "services": list(new.services),
            "rule": plan.rule,
            "zone": plan.zone.key,
            "begins_local": f"{plan.begins_local:%Y-%m-%dT%H:%M}",
            "duration_s": round(plan.duration.total_seconds()),
            "by_hand": new.by_hand,
        }
        return self._make("/series", wish)

    def cancel(self, maintenance_id: str, *, services: Sequence[str], text: "Text | None") -> None:
        wish = {"services": list(services), "text": None if text is None else _text(text)}
        self._tell(f"/maintenance/{_part(maintenance_id)}/cancel", wish)

    def maintenance(self) -> Sequence[WorkLine]:
        found = self._read(f"/maintenance?limit={LISTED}", _Works).maintenance
        lines = [
            WorkLine(
                each.id,
                each.status,
                each.begins_at.astimezone(UTC),
                each.ends_at.astimezone(UTC),
                each.name.en,
            )
            for each in found
        ]
        return sorted(lines, key=lambda line: line.begins_at, reverse=True)

    # --- asking ---

    def _read(self, path: str, kind: type[T]) -> T:
        return self._understood(self._ask("GET", path, None), kind)

    def _make(self, path: str, wish: Mapping[str, Any]) -> str:
        return self._understood(self._ask("POST", path, wish), _Made).id

    def _tell(self, path: str, wish: Mapping[str, Any]) -> None:
        self._ask("POST", path, wish)

    def _ask(self, method: str, path: str, wish: Mapping[str, Any] | None) -> httpx.Response:
        """The good answer; what went wrong is raised. A redirect is not followed: it would be told the token."""
        headers = {"Authorization": f"Bearer {self._token}"}
        content = None
        if wish is not None:
            content = msgspec.json.encode(wish)
            headers |= {"Content-Type": "application/json", "Idempotency-Key": self._key}
        with httpx.Client(timeout=_TIMEOUT) as client:
            answer = self._persist(
                lambda: client.request(
                    method, f"{self._address}{ROOT}{path}", content=content, headers=headers
                )
            )
        if not answer.is_success:
            raise self._error_in(answer)
        return answer

    def _persist(self, attempt: Callable[[], httpx.Response]) -> httpx.Response:
        """Once more, and once more, where that can help; nothing was sent where nobody listens."""
        for pause_s in (*_PAUSES_S, None):
            try:
                answer = attempt()
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                raise Unavailable(f"{self._address} cannot be reached: {error or 'no answer'}") from None
            except httpx.TransportError as error:
                if pause_s is None:
                    raise Unavailable(
                        f"{self._address} gave no answer, and may have done it: look before you ask again ({error})"
                    ) from None
            else:
                is_passing = answer.status_code in _PASSING or _is_under_way(answer)
                if pause_s is None or not is_passing:
                    return answer
            self._pause(pause_s)
        raise AssertionError("the last attempt returns or raises")

    def _understood(self, answer: httpx.Response, kind: type[T]) -> T:
        try:
            return msgspec.json.decode(answer.content, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise Error(f"{self._address} answers, but not as a status page of this kind does") from None

    def _error_in(self, answer: httpx.Response) -> Error:
        """What is wrong, in the words of the server; a proxy before it has none of its own."""
        try:
            problem = msgspec.json.decode(answer.content, type=_Problem)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return Error(f"{self._address} answered {answer.status_code} {answer.reason_phrase}")
        if problem.errors:
            return Invalid(_field(problem.errors[0].field), problem.errors[0].reason)
        if answer.status_code == 401:
            return Invalid("--token-file", problem.detail)
        return Error(problem.detail)


def _text(text: "Text") -> dict[str, str]:
    return {"pl": text.pl, "en": text.en}


def _part(id: str) -> str:
    """As one part of a path, whatever was typed."""
    return quote(id, safe="") or "%20"


def _field(name: str) -> str:
    """`name.pl` → `title_pl`."""
    place, _, language = name.partition(".")
    place = _FIELDS.get(place, place)
    return f"{place}_{language}" if language in ("pl", "en") else place


def _is_under_way(answer: httpx.Response) -> bool:
    """The first attempt is still being answered."""
    return answer.status_code == 409 and "retry-after" in answer.headers
