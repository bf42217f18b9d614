"""Planned work that recurs, in the management API: previewed, begun, ended."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated

from msgspec import Meta
from sqlalchemy.orm import Session

from statuspage.incidents import recurrence, series, tables, texts
from statuspage.incidents.details import find_service
from statuspage.incidents.publication import load_tree
from statuspage.incidents.recurrence import Recurrence, Remark
from statuspage.incidents.series import NewSeries
from statuspage.kernel.config import Settings
from statuspage.kernel.errors import Invalid
from statuspage.kernel.operations import Call, Given, Instant, Line, Operation, Reply, Shown
from statuspage.kernel.tokens import Scope
from statuspage.site.manage import shapes, wishes
from statuspage.site.manage.shapes import Text

FIELDS = {
    "title": "name",
    "service": "services",
    "repeat": "rule",
    "start": "begins_local",
    "end": "duration_s",
}
Rule = Annotated[Line, Meta(description="A rule of RFC 5545, such as FREQ=MONTHLY;BYDAY=1SA.")]
Zone = Annotated[
    str, Meta(pattern="^[A-Za-z0-9_+/-]{1,60}$", description="IANA zone of the rule. Null: the page's.")
]
Local = Annotated[
    str,
    Meta(
        pattern="^(199|20[0-9]|21[0-9])[0-9]-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}$",
        description="The first time, on the zone's clocks: 2026-11-24T22:00.",
    ),
]
# A whole number in a body may be written 60.0, see `shapes.Whole`; in a query it may not.
_ELAPSED = "Elapsed seconds, whatever the clocks do."
Duration = Annotated[float, Meta(ge=60, le=31_622_400, multiple_of=1, description=_ELAPSED)]
DurationAsked = Annotated[int, Meta(ge=60, le=31_622_400, description=_ELAPSED)]


class SeriesGiven(Given, frozen=True, kw_only=True):
    """Work that recurs."""

    name: shapes.Title
    text: shapes.Message
    services: shapes.Codes
    rule: Rule
    zone: Zone | None = None
    begins_local: Local
    duration_s: Duration
    by_hand: bool = False


class EndGiven(Given, frozen=True, kw_only=True):
    """The end of a series. What has not begun is called off with this text, unless it is left as announced."""

    leave_announced: bool = False
    text: shapes.Message | None = None


class OccurrencesAsked(Given, frozen=True, kw_only=True):
    """A rule that is tried out."""

    rule: Rule
    zone: Zone | None = None
    begins_local: Local
    duration_s: DurationAsked
    limit: shapes.Limit = 12


class Occurrence(Shown, frozen=True, kw_only=True):
    """A time that the work would take place, and what a change of the clocks does to it."""

    local: str
    begins_at: Instant
    ends_at: Instant
    remarks: list[Remark]
    is_announced_in_time: bool


class OccurrenceList(Shown, frozen=True, kw_only=True):
    """Soonest first; the rule as it was read."""

    rule: str
    zone: str
    occurrences: list[Occurrence]


class Series(Shown, frozen=True, kw_only=True):
    """Work that recurs. `coming` are the ids of planned work that it has announced and that has not begun."""

    id: str
    name: Text
    text: Text
    services: list[str]
    rule: str
    zone: str
    begins_local: str
    duration_s: int
    is_by_hand: bool
    planned_until: Instant
    coming: list[str]
    created_at: Instant
    created_by: str
    ended_at: Instant | None
    ended_by: str | None


class SeriesList(Shown, frozen=True, kw_only=True):
    """Newest first."""

    series: list[Series]


def operations() -> list[Operation]:
    """What can be done with work that recurs."""
    return [
        Operation(
            "GET",
            "/series",
            "listSeries",
            "Planned work that recurs, ended or not",
            Scope.READ,
            listed,
            SeriesList,
        ),
        Operation(
            "GET",
            "/series/preview",
            "previewSeries",
            "When a rule makes work take place, and what changes of the clocks do to it; nothing is announced",
            Scope.READ,
            previewed,
            OccurrenceList,
            query=OccurrencesAsked,
            fields=FIELDS,
        ),
        Operation(
            "POST",
            "/series",
            "beginSeries",
            "Have work recur; what lies near is announced at once",
            Scope.MAINTENANCE,
            begun,
            Series,
            body=SeriesGiven,
            status=201,
            fields=FIELDS,
        ),
        Operation("GET", "/series/{id}", "getSeries", "One series", Scope.READ, shown, Series),
        Operation(
            "POST",
            "/series/{id}/end",
            "endSeries",
            "End it; what has not begun is called off, or left as announced",
            Scope.MAINTENANCE,
            ended,
            Series,
            body=EndGiven,
            current=current,
        ),
    ]


def current(session: Session, call: Call) -> Series:
    """The series of this address as it stands."""
    return _shown(session, [series.get(session, call.path["id"])])[0]


def listed(session: Session, _call: Call) -> Reply:
    """All of them."""
    return Reply(SeriesList(series=_shown(session, series.listed(session))))


def shown(session: Session, call: Call) -> Reply:
    """One of them."""
    return Reply(current(session, call))


def previewed(_session: Session, call: Call) -> Reply:
    """What `begun` would make of the same words."""
    asked: OccurrencesAsked = call.query
    plan = _recurrence(asked, call.settings)
    if next(recurrence.occurrences(plan)).begins_at < call.now:
        raise Invalid("start", "lies in the past")
    ahead = call.settings.incidents.announce_ahead
    found = [
        Occurrence(
            local=each.key,
            begins_at=each.begins_at,
            ends_at=each.ends_at,
            remarks=list(each.remarks),
            is_announced_in_time=each.begins_at - call.now >= ahead,
        )
        for each in recurrence.preview(plan, asked.limit, after=call.now)
    ]
    return Reply(OccurrenceList(rule=plan.rule, zone=plan.zone.key, occurrences=found))


def begun(session: Session, call: Call) -> Reply:
    """A series, and the work that lies near."""
    body: SeriesGiven = call.body
    tree = load_tree(session)
    for code in body.services:
        find_service(tree, code)
    new = NewSeries(
        wishes.text(body.name),
        wishes.text(body.text),
        body.services,
        _recurrence(body, call.settings),
        body.by_hand,
    )
    row = series.create(session, new, by=call.by, now=call.now, policy=call.settings.incidents)
    return Reply(_shown(session, [row])[0], location=f"/series/{row.id}")


def ended(session: Session, call: Call) -> Reply:
    """Nothing new is announced."""
    body: EndGiven = call.body
    series.end(
        session,
        call.path["id"],
        by=call.by,
        now=call.now,
        policy=call.settings.incidents,
        leave_announced=body.leave_announced,
        text=wishes.optional_text(body.text) or texts.MAINTENANCE_CANCELLED,
    )
    return shown(session, call)


def _recurrence(said: SeriesGiven | OccurrencesAsked, settings: Settings) -> Recurrence:
    try:
        begins_local = datetime.fromisoformat(said.begins_local)
    except ValueError:
        raise Invalid("start", f"{said.begins_local} is no time of the calendar") from None
    return recurrence.parse(
        said.rule,
        zone=said.zone or settings.page.time_zone,
        begins_local=begins_local,
        duration=timedelta(seconds=said.duration_s),
    )


def _shown(session: Session, rows: Sequence[tables.Series]) -> list[Series]:
    session.flush()
    coming: dict[str, list[str]] = defaultdict(list)
    for notice in series.coming(session, [row.id for row in rows]):
        coming[notice.series_id or ""].append(notice.id)
    return [
        Series(
            id=row.id,
            name=Text(pl=row.name_pl, en=row.name_en),
            text=Text(pl=row.text_pl, en=row.text_en),
            services=list(row.services),
            rule=row.rule,
            zone=row.zone,
            begins_local=row.begins_local,
            duration_s=row.duration_s,
            is_by_hand=row.by_hand,
            planned_until=row.planned_until,
            coming=coming[row.id],
            created_at=row.created_at,
            created_by=row.created_by,
            ended_at=row.ended_at,
            ended_by=row.ended_by,
        )
        for row in rows
    ]
