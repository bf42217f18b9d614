"""The composer: one form from an alarm to a published update, in both languages, with a preview of page and mail."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from urllib.parse import urlencode

from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from statuspage.incidents import acts, areas
from statuspage.incidents.acts import ActKind, Content, SecondNeeded
from statuspage.incidents.tables import Act
from statuspage.kernel import clock, config, web
from statuspage.kernel.accounts import Role
from statuspage.kernel.authority import OutOfArea, within
from statuspage.kernel.errors import Conflict, Error, Invalid
from statuspage.kernel.house import House
from statuspage.kernel.i18n import LANGUAGES
from statuspage.kernel.panels import Parts
from statuspage.site.composition import (
    Problem,
    Reader,
    Typed,
    as_typed,
    beyond,
    problem_of,
    with_beyond,
)
from statuspage.site.rehearsal import Preview, is_more_than_said, rehearse
from statuspage.site.situations import CHOICES, Said, Situation, propose, read_situation


@dataclass(frozen=True, slots=True)
class Look:
    """What the form shows beside what was typed."""

    problems: Sequence[Problem] = ()
    missed: tuple[Said, ...] = ()  # what others said meanwhile
    preview: Preview | None = None
    needs_second: bool = False
    recount: bool = False  # more would be told than the button said
    failed: Error | None = None
    out_of_area: Sequence[str] = ()  # groups for which the role is lacking


class _More(Exception):
    """More would be told than the button said: nothing was published."""


def routes(parts: Parts) -> list[BaseRoute]:
    """The composer's one address."""

    async def compose(request: Request) -> Response:
        if request.method == "GET":
            return await _open(request, parts)
        return await _take(request, parts)

    return [Route("/console/compose", compose, methods=["GET", "POST"])]


async def _open(request: Request, parts: Parts) -> Response:
    """The form, filled in: from a draft, from an incident, or from services that fail."""
    await web.require(request, Role.OPERATOR, somewhere=True)
    house, query, now = web.house(request), request.query_params, clock.now()
    if act_id := query.get("act"):
        act = await house.db.read(acts.get_open, act_id, to_change=False)
        content = acts.content_of(act)
        typed = as_typed(content, house.settings.zone).with_values(act=act.id, version=str(act.version))
        situation = await house.db.read(read_situation, content.kind, content.notice_id)
    else:
        situation = await house.db.read(read_situation, _kind(query), query.get("incident", ""))
        codes, template = query.getlist("service"), query.get("template", "")
        content = propose(situation, codes, template, house=house, now=now)
        typed = as_typed(content, house.settings.zone)
        typed = typed.with_values(next="30" if content.details.next_update_at else "", template=template)
    return await _show(request, parts, situation, typed, Look())


def _kind(query: Mapping[str, str]) -> ActKind:
    kind = query.get("kind", "")
    if kind in list(ActKind):
        return ActKind(kind) if query.get("incident") else ActKind.OPEN
    return ActKind.UPDATE if query.get("incident") else ActKind.OPEN


async def _take(request: Request, parts: Parts) -> Response:
    """Publish, preview or keep what was typed. Where that cannot be, all of it comes back."""
    user = await web.require(request, Role.OPERATOR, somewhere=True)
    house, now = web.house(request), clock.now()
    typed = await _typed(request)
    kind = ActKind(typed("kind")) if typed("kind") in list(ActKind) else ActKind.OPEN
    situation = await house.db.read(read_situation, kind, typed("incident"))
    reader = Reader(typed, house.settings.zone, now)
    content = reader.content(situation.codes)
    content = with_beyond(content, await house.db.read(_stored, typed("act")))
    if reader.problems:
        return await _show(request, parts, situation, typed, Look(problems=reader.problems), status=422)
    policy = house.settings.incidents
    try:
        match typed("do"):
            case "save":
                act = await house.db.run(_keep, content, typed, by=user.login, now=now)
                return web.redirect(request, f"/console/drafts/{act.id}?done=saved")
            case "publish":
                is_too_many = partial(_is_more_than_said, parts, situation, content, typed)
                verb = within(user, Role.OPERATOR, partial(areas.of_content, content=content), _publish)
                notice_id = await house.db.run(
                    verb, content, typed, is_too_many, by=user.login, now=now, policy=policy
                )
                return web.redirect(request, f"/console/incidents/{notice_id}?done=published")
            case _:
                preview = await _rehearse(house, parts, content, typed, by=user.login, now=now)
                return await _show(request, parts, situation, typed, Look(preview=preview))
    except _More:
        return await _show(request, parts, situation, typed, Look(recount=True), status=409)
    except Invalid as error:
        return await _show(request, parts, situation, typed, Look([problem_of(error)]), status=422)
    except SecondNeeded:
        return await _show(request, parts, situation, typed, Look(needs_second=True), status=403)
    except OutOfArea as error:
        return await _show(request, parts, situation, typed, Look(out_of_area=error.groups), status=403)
    except Conflict as error:
        return await _show_conflict(request, parts, kind, typed, error)


def _stored(session: Session, act_id: str) -> Content | None:
    """The draft that was opened, as it stands by now. Whether it may still be changed, `_keep` says."""
    act = session.get(Act, act_id) if act_id else None
    return acts.content_of(act) if act is not None else None


async def _typed(request: Request) -> Typed:
    data = await request.form(max_files=0, max_fields=2000)
    return Typed({key: [v for v in data.getlist(key) if isinstance(v, str)] for key in data})


async def _show_conflict(
    request: Request, parts: Parts, kind: ActKind, typed: Typed, error: Conflict
) -> Response:
    """What others said meanwhile stands beside one's own words; having read it, one may publish."""
    situation = await web.house(request).db.read(read_situation, kind, typed("incident"))
    missed = situation.about.since(typed("seen")) if situation.about is not None else ()
    if missed and situation.about is not None:
        typed = typed.with_values(seen=situation.about.newest)
    look = Look(missed=missed, failed=None if missed else error)
    return await _show(request, parts, situation, typed, look, status=409)


def _is_more_than_said(
    parts: Parts, situation: Situation, content: Content, typed: Typed, session: Session
) -> bool:
    if not content.deliver:
        return False
    count = parts.audience(session, situation.ids(list(content.services)))
    return is_more_than_said(count, typed("told"))


def _keep(session: Session, content: Content, typed: Typed, *, by: str, now: datetime) -> Act:
    """The draft with this content: a new one, or the one that was opened. Unchanged, it stays its author's."""
    if not typed("act"):
        return acts.write(session, content, by=by, now=now)
    act = acts.get_open(session, typed("act"))
    if act.content == acts.stored(content):
        return act
    version = int(typed("version")) if typed("version").isdecimal() else 0
    return acts.edit(session, act.id, content, by=by, now=now, version=version)


def _publish(
    session: Session,
    content: Content,
    typed: Typed,
    is_too_many: Callable[[Session], bool],
    *,
    by: str,
    now: datetime,
    policy: config.Incidents,
) -> str:
    """Raises _More where more would be told than was said; what is wrong comes before that."""
    act = _keep(session, content, typed, by=by, now=now)
    notice = acts.perform(session, act.id, by=by, now=now, policy=policy, break_glass=typed("break_glass"))
    if is_too_many(session):
        raise _More
    return notice.id


async def _rehearse(
    house: House, parts: Parts, content: Content, typed: Typed, *, by: str, now: datetime
) -> Preview:
    def act(session: Session) -> str:
        return _perform(session, _keep(session, content, typed, by=by, now=now).id, house, by=by, now=now)

    return await rehearse(house, parts, act, now=now)


async def rehearse_act(house: House, parts: Parts, act_id: str, *, by: str, now: datetime) -> Preview:
    """What an act would publish and send. Raises what publishing it would."""
    return await rehearse(
        house, parts, lambda session: _perform(session, act_id, house, by=by, now=now), now=now
    )


def _perform(session: Session, act_id: str, house: House, *, by: str, now: datetime) -> str:
    policy = house.settings.incidents
    return acts.perform(session, act_id, by=by, now=now, policy=policy, break_glass="a rehearsal").id


async def _show(
    request: Request, parts: Parts, situation: Situation, typed: Typed, look: Look, *, status: int = 200
) -> Response:
    house = web.house(request)
    chosen = [s.code for s in situation.services if typed(f"status-{s.code}")]
    count = await house.db.read(parts.audience, situation.ids(chosen))
    if look.preview is not None and typed.has("deliver", "yes"):
        count = look.preview.mailing.count
    settings = house.settings
    handlings, declared = beyond(await house.db.read(_stored, typed("act")))
    context = {
        "situation": situation,
        "beyond": (handlings, declared),
        "targets": {target.partition("|")[0] for target in typed.all("fallback_for")},
        "typed": typed.with_values(told=str(count)),
        "look": look,
        "problem_of": {problem.field: problem for problem in reversed(look.problems)},
        "count": count if typed.has("deliver", "yes") else 0,
        "languages": _languages(typed),
        "choices": CHOICES,
        "recall_window": settings.mail.recall_window,
        "four_eyes_from": settings.incidents.four_eyes_from,
        "again": urlencode({"kind": situation.kind, "incident": typed("incident")}),
        "chosen": chosen,
        "page_languages": LANGUAGES,
    }
    return web.render(request, "console/compose.html", context, status=status)


def _languages(typed: Typed) -> tuple[str, ...]:
    """Those in which there is a text."""
    return tuple(language for language in LANGUAGES if typed(f"text_{language}"))
