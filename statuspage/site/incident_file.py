"""An incident's page in the console: what was said by whom, and what can be put right."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from statuspage.incidents import areas, corrections, fallbacks, incidents
from statuspage.incidents.rules import FallbackState, IncidentStatus, ServiceStatus
from statuspage.incidents.snapshot import Text
from statuspage.incidents.tables import Fallback, Notice, NoticeService, Service, Update
from statuspage.kernel import clock, web
from statuspage.kernel.accounts import Role
from statuspage.kernel.authority import may, within
from statuspage.kernel.errors import Conflict, Error, Invalid, NotFound
from statuspage.kernel.house import House
from statuspage.kernel.localtime import NoSuchTime, read_local, write_local
from statuspage.site.composition import Problem, Typed, problem_of


class _Refused(Exception):
    """A time that cannot be read."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Named:
    """A service that the incident names."""

    code: str
    status: ServiceStatus
    by_parent: bool
    declared: bool


@dataclass(frozen=True, slots=True)
class Declared:
    """A declaration about paper."""

    row: Fallback
    code: str
    is_permitted: bool


@dataclass(frozen=True, slots=True)
class File:
    """All that the page shows."""

    notice: Notice
    name: Text
    services: tuple[Named, ...]
    updates: tuple[tuple[Update, Text], ...]  # newest first
    fallbacks: tuple[Declared, ...]
    others: tuple[tuple[str, Text], ...]  # open incidents that it may be a part of

    @property
    def is_over(self) -> bool:
        return self.notice.resolved_at is not None

    @property
    def may_tell_more(self) -> bool:
        """Whether something can still be said."""
        return self.notice.status != IncidentStatus.POSTMORTEM and self.notice.merged_into_id is None


def routes() -> list[BaseRoute]:
    """The page and its acts. Its tickets and its publication stand under the same address, in other hands."""
    return [
        Route("/console/incidents/{id}", show),
        # One by one: other rooms have addresses of their own below an incident's.
        *(Route(f"/console/incidents/{{id}}/{name}", _acting(name), methods=["POST"]) for name in _ACTS),
    ]


async def show(request: Request) -> Response:
    """The incident as it stands."""
    await web.require(request, Role.VIEWER)
    return await _show(request)


async def _show(
    request: Request,
    *,
    typed: Typed | None = None,
    problem: Problem | None = None,
    failed: Error | None = None,
    status: int = 200,
) -> Response:
    house = web.house(request)
    file = await house.db.read(read_file, request.path_params["id"])
    groups = await house.db.read(areas.of_notice, file.notice.id)
    zone = house.settings.zone
    if typed is None:
        typed = Typed(
            {
                "began_at": [write_local(file.notice.began_at, zone)],
                "ended_at": [write_local(file.notice.ended_at, zone)],
                "title_pl": [file.notice.name_pl],
                "title_en": [file.notice.name_en],
            }
        )
    context = {
        "file": file,
        "may_act": may(request.scope["user"], Role.OPERATOR, groups),
        "typed": typed,
        "problems": [problem] if problem else [],
        "problem_of": {problem.field: problem} if problem else {},
        "failed": failed,
        "done": request.query_params.get("done", ""),
    }
    return web.render(request, "console/incident.html", context, status=status)


def _acting(name: str) -> Callable[[Request], Awaitable[Response]]:
    async def acting(request: Request) -> Response:
        return await _act(request, name)

    return acting


async def _act(request: Request, name: str) -> Response:
    """Put something right. What was typed comes back where it cannot be done."""
    user = await web.require(request, Role.OPERATOR, somewhere=True)
    typed = Typed({key: [value] for key, value in (await web.form(request)).items()})
    house, id = web.house(request), request.path_params["id"]
    concerned = [id, typed("into")] if name == "merge" else [id]
    try:
        verb = within(user, Role.OPERATOR, partial(_areas, concerned), _ACTS[name](typed, id, house))
        await house.db.run(verb, by=user.login, now=clock.now())
    except _Refused as refused:
        return await _show(request, typed=typed, problem=refused.problem, status=422)
    except Invalid as error:
        return await _show(request, typed=typed, problem=problem_of(error), status=422)
    except Conflict as error:
        return await _show(request, typed=typed, failed=error, status=409)
    where = typed("into") if name == "merge" else id
    return web.redirect(request, f"/console/incidents/{where}?done={name}")


def _areas(notice_ids: Sequence[str], session: Session) -> frozenset[str]:
    """The groups that all of these are about."""
    return frozenset[str]().union(*(areas.of_notice(session, id) for id in notice_ids))


Bound = Callable[..., Any]


def _reword(typed: Typed, id: str, _house: House) -> Bound:
    return _bound(_reword_update, id, typed("update"), _text(typed, "text"))


def _reword_update(session: Session, id: str, update_id: str, text: Text, *, by: str, now: datetime) -> None:
    """Of this incident alone: the role was asked for here."""
    update = session.get(Update, update_id)
    if update is None or update.notice_id != id:
        raise NotFound(f"incident {id} has no update {update_id}")
    corrections.reword(session, update_id, text, by=by, now=now)


def _rename(typed: Typed, id: str, _house: House) -> Bound:
    return _bound(corrections.rename, id, _text(typed, "title"))


def _merge(typed: Typed, id: str, _house: House) -> Bound:
    if not typed("into"):
        raise Invalid("into", "choose the incident that this one is a part of")
    return _bound(corrections.merge, id, typed("into"))


def _times(typed: Typed, id: str, house: House) -> Bound:
    times = {name: _time(typed, name, house) for name in ("began_at", "ended_at")}
    text = _text(typed, "why")
    return _bound(_correct, id, times, text if text.pl or text.en else None)


def _time(typed: Typed, name: str, house: House) -> datetime | None:
    try:
        return read_local(typed(name), house.settings.zone, choice=typed(f"{name}-choice"))
    except NoSuchTime as error:
        raise _Refused(Problem(name, error.message, error.choices)) from None


def _correct(
    session: Session,
    id: str,
    times: Mapping[str, datetime | None],
    text: Text | None,
    *,
    by: str,
    now: datetime,
) -> None:
    """The form knows minutes: a time that is the same to the minute is not a correction."""
    notice = incidents.get(session, id)
    began_at, ended_at = (
        None if at is None or _minute(at) == _minute(before) else at
        for at, before in ((times["began_at"], notice.began_at), (times["ended_at"], notice.ended_at))
    )
    corrections.correct_times(session, id, by=by, now=now, began_at=began_at, ended_at=ended_at, text=text)


def _minute(at: datetime | None) -> datetime | None:
    return at.replace(second=0, microsecond=0) if at else None


def _withdraw(typed: Typed, id: str, _house: House) -> Bound:
    return _bound(_withdraw_permission, id, typed("fallback"))


def _withdraw_permission(session: Session, id: str, fallback_id: str, *, by: str, now: datetime) -> None:
    """Of this incident alone: the role was asked for here."""
    fallback = session.get(Fallback, fallback_id)
    if fallback is None or fallback.notice_id != id:
        raise NotFound(f"incident {id} has no declaration {fallback_id}")
    fallbacks.withdraw(session, fallback_id, by=by, now=now)


def _bound(verb: Bound, *args: object) -> Bound:
    """The verb with its arguments, waiting for the session and for `by` and `now`."""

    def run(session: Session, *, by: str, now: datetime) -> None:
        verb(session, *args, by=by, now=now)

    return run


def _text(typed: Typed, name: str) -> Text:
    return Text(typed(f"{name}_pl"), typed(f"{name}_en"))


_ACTS: Mapping[str, Callable[[Typed, str, House], Bound]] = {
    "reword": _reword,
    "rename": _rename,
    "merge": _merge,
    "times": _times,
    "withdraw": _withdraw,
}


def read_file(session: Session, incident_id: str) -> File:
    """Raises NotFound."""
    notice = incidents.get(session, incident_id)
    rows = session.execute(
        select(NoticeService, Service.code)
        .join(Service)
        .where(NoticeService.notice_id == notice.id)
        .order_by(NoticeService.by_parent, Service.position)
    )
    updates = session.scalars(
        select(Update).where(Update.notice_id == notice.id).order_by(Update.position.desc())
    )
    declared = session.execute(
        select(Fallback, Service.code)
        .join(Service)
        .where(Fallback.notice_id == notice.id)
        .order_by(Fallback.declared_at.desc())
    )
    return File(
        notice=notice,
        name=Text(notice.name_pl, notice.name_en),
        services=tuple(
            Named(code, ServiceStatus(row.status), row.by_parent, row.declared) for row, code in rows
        ),
        updates=tuple((update, Text(update.text_pl, update.text_en)) for update in updates),
        fallbacks=tuple(
            Declared(row, code, row.state == FallbackState.PERMITTED and row.replaced_at is None)
            for row, code in declared
        ),
        others=_others(session, notice),
    )


def _others(session: Session, notice: Notice) -> tuple[tuple[str, Text], ...]:
    return tuple(
        (other.id, Text(other.name_pl, other.name_en))
        for other in incidents.listed(session, unresolved=True)
        if other.id != notice.id and other.merged_into_id is None
    )
