"""Planned work is announced in the console: a form, a preview of times, page and mail, then the announcement."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache, partial
from zoneinfo import available_timezones

from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from statuspage.incidents import areas, maintenance, planned_words, recurrence, series
from statuspage.incidents.recurrence import Coming, Occurrence
from statuspage.incidents.snapshot import Text
from statuspage.incidents.tables import Service
from statuspage.kernel import clock, config, web
from statuspage.kernel.accounts import Role
from statuspage.kernel.authority import OutOfArea, within
from statuspage.kernel.errors import Invalid, NotFound
from statuspage.kernel.house import House
from statuspage.kernel.i18n import LANGUAGES
from statuspage.kernel.panels import Mailing, Parts
from statuspage.site.composition import Problem, Typed
from statuspage.site.planned_form import EMPTY, MONTH_DAYS, Ending, Plan, PlanReader, Repeat, problem_of
from statuspage.site.recurrence_words import ORDINALS, WEEKDAYS, Row, Speaker
from statuspage.site.rehearsal import Preview, is_more_than_said, rehearse

PREVIEWED = 8
PLACE = "/console/maintenance/new"


@dataclass(frozen=True, slots=True)
class Checked:
    """What was previewed."""

    preview: Preview
    rows: tuple[Row, ...]
    rule: str  # in words; "" where it takes place once
    mark: str  # names it: only that is announced

    @property
    def late(self) -> tuple[Row, ...]:
        """Announced too late to count as announced unavailability."""
        return tuple(row for row in self.rows if row.is_late)

    @property
    def is_told_later(self) -> bool:
        """Whether nothing of it is announced yet."""
        return all(row.announced_at is not None for row in self.rows)


@dataclass(frozen=True, slots=True)
class Look:
    """What the form shows beside what was typed."""

    problems: Sequence[Problem] = ()
    checked: Checked | None = None
    has_changed: bool = False  # since it was previewed
    is_more: bool = False  # more would be told than the button said
    out_of_area: Sequence[str] = ()  # groups for which the role is lacking


def routes(parts: Parts) -> list[BaseRoute]:
    """The form's one address."""

    async def announce(request: Request) -> Response:
        await web.require(request, Role.OPERATOR, somewhere=True)
        if request.method == "GET":
            typed = Typed({**EMPTY.values, "service": request.query_params.getlist("service")})
            return await _show(request, typed, Look())
        return await _take(request, parts)

    return [Route(PLACE, announce, methods=["GET", "POST"])]


async def _take(request: Request, parts: Parts) -> Response:
    """Preview what was typed; announce what was previewed, if that is still it."""
    user, house, now = request.scope["user"], web.house(request), clock.now()
    data = await request.form(max_files=0, max_fields=2000)
    typed = Typed({key: [v for v in data.getlist(key) if isinstance(v, str)] for key in data})
    reader = PlanReader(typed, house.settings.zone, now)
    plan = reader.plan()
    if plan is None:
        return await _show(request, typed, Look(reader.problems), status=422)
    try:
        checked = await _check(request, parts, plan, by=user.login, now=now)
        if typed("do") == "announce":
            has_changed = typed("checked") != checked.mark
            is_more = is_more_than_said(checked.preview.mailing.count, typed("told"))
            if has_changed or is_more:
                look = Look(checked=checked, has_changed=has_changed, is_more=is_more and not has_changed)
                return await _show(request, typed, look, status=409)
            policy = house.settings.incidents
            groups = partial(areas.of_services, codes=plan.services)
            verb = within(user, Role.OPERATOR, groups, _announce)
            where = await house.db.run(verb, plan, by=user.login, now=now, policy=policy)
            return web.redirect(request, f"/console/maintenance/{where}?done=announced")
    except Invalid as error:
        return await _show(request, typed, Look([problem_of(error, typed)]), status=422)
    except OutOfArea as error:
        return await _show(request, typed, Look(checked=checked, out_of_area=error.groups), status=403)
    except NotFound:  # the catalogue has changed since the form was opened
        problem = Problem("services", _("One of these services is no longer there; choose again."))
        return await _show(request, typed, Look([problem]), status=422)
    return await _show(request, typed, Look(checked=checked))


def _announce(session: Session, plan: Plan, *, by: str, now: datetime, policy: config.Incidents) -> str:
    """Returns where it is found below the list."""
    if plan.series is not None:
        made = series.create(session, plan.series, by=by, now=now, policy=policy)
        return f"series/{made.id}"
    return maintenance.schedule(session, plan.once, by=by, now=now, policy=policy).id


async def _check(request: Request, parts: Parts, plan: Plan, *, by: str, now: datetime) -> Checked:
    """Raises Invalid as announcing it would."""
    house = web.house(request)
    policy, zone = house.settings.incidents, house.settings.zone
    speaker = Speaker(house.catalogues, web.language(request), now)
    coming: tuple[Coming, ...] = (Coming(1, Occurrence(plan.begins_at, plan.begins_at, plan.ends_at, ())),)
    plan_ahead: timedelta | None = None
    if plan.recurrence is not None:
        # On a thread: a rule may have thousands of occurrences in a year.
        coming = await house.db.read(_forecast, plan, now=now)
        zone, plan_ahead = plan.recurrence.zone, policy.plan_ahead
    rows = speaker.rows(coming, zone, announce_ahead=policy.announce_ahead, plan_ahead=plan_ahead)
    preview = await _rehearse(house, parts, plan, by=by, now=now)
    checked = Checked(
        preview=preview,
        rows=rows,
        rule=speaker.rule(plan.recurrence) if plan.recurrence is not None else "",
        mark=plan.mark(sum(row.is_late for row in rows)),
    )
    if checked.is_told_later:
        checked = replace(checked, preview=Preview(preview.cards, Mailing(0, preview.mailing.mails)))
    return checked


def _forecast(_session: Session, plan: Plan, *, now: datetime) -> tuple[Coming, ...]:
    if plan.recurrence is None:
        return ()
    return recurrence.forecast(plan.recurrence, PREVIEWED, after=now)


async def _rehearse(house: House, parts: Parts, plan: Plan, *, by: str, now: datetime) -> Preview:
    """Of a series the first announcement, also where that is still to come."""
    policy = house.settings.incidents

    def act(session: Session) -> str:
        if plan.series is not None:
            made = series.create(session, plan.series, by=by, now=now, policy=policy)
            for notice in series.announced(session, made.id)[:1]:
                return notice.id
        return maintenance.schedule(session, plan.once, by=by, now=now, policy=policy).id

    return await rehearse(house, parts, act, now=now)


async def _show(request: Request, typed: Typed, look: Look, *, status: int = 200) -> Response:
    house = web.house(request)
    checked = look.checked
    count = checked.preview.mailing.count if checked else 0
    typed = typed.with_values(checked=checked.mark if checked else "", told=str(count))
    context = {
        "services": await house.db.read(_services),
        "typed": typed,
        "look": look,
        "problem_of": {problem.field: problem for problem in reversed(look.problems)},
        "count": count,
        "languages": tuple(language for language in LANGUAGES if typed(f"text_{language}")),
        "page_languages": LANGUAGES,
        **_lengths(house, web.language(request)),
        "recall_window": house.settings.mail.recall_window,
        "repeats": tuple(Repeat),
        "endings": tuple(Ending),
        "weekdays": WEEKDAYS,
        "ordinals": ORDINALS,
        "month_days": MONTH_DAYS,
        "zones": _zones(),
    }
    return web.render(request, "console/planned_new.html", context, status=status)


def _lengths(house: House, language: str) -> dict[str, str]:
    policy = house.settings.incidents
    lengths = {"announce_ahead": policy.announce_ahead, "plan_ahead": policy.plan_ahead}
    return {
        name: planned_words.length(length, house.catalogues, language) for name, length in lengths.items()
    }


def _services(session: Session) -> list[tuple[str, Text]]:
    """Code and name of every service, in page order."""
    query = select(Service).where(Service.archived_at.is_(None)).order_by(Service.position)
    return [(service.code, Text(service.name_pl, service.name_en)) for service in session.scalars(query)]


@cache
def _zones() -> tuple[str, ...]:
    """Those that are proposed; every IANA zone may be written."""
    return ("UTC", *sorted(zone for zone in available_timezones() if zone.startswith("Europe/")))


def _(message: str) -> str:
    """Marks a message for translation."""
    return message
