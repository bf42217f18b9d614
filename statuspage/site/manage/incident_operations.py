"""Incidents in the management API. What is published goes through acts: four eyes count here, too."""

from sqlalchemy.orm import Session

from statuspage.incidents import acts, corrections, fallbacks, incidents, notice_pages
from statuspage.incidents.acts import ActKind, Content
from statuspage.incidents.rules import NoticeKind
from statuspage.incidents.tables import Fallback, Notice, Update
from statuspage.kernel.errors import Forbidden, NotFound
from statuspage.kernel.operations import Call, Operation, Reply
from statuspage.kernel.tokens import Scope
from statuspage.site.manage import records, shapes, wishes
from statuspage.site.manage.wishes import FALLBACK_FIELDS, FIELDS


def operations() -> list[Operation]:
    """What can be done with incidents."""
    return [*_reading(), *_telling(), *_correcting(), *_declaring()]


def _reading() -> list[Operation]:
    return [
        Operation(
            "GET",
            "/incidents",
            "listIncidents",
            "Incidents, drafts too, newest beginning first",
            Scope.READ,
            listed,
            shapes.IncidentPage,
            query=shapes.IncidentsAsked,
        ),
        Operation(
            "GET",
            "/incidents/{id}",
            "getIncident",
            "One incident with everything that was said of it",
            Scope.READ,
            shown,
            shapes.Incident,
            is_versioned=True,
        ),
    ]


def _telling() -> list[Operation]:
    return [
        Operation(
            "POST",
            "/incidents",
            "openIncident",
            "Publish a new incident, or enter one that is over",
            Scope.INCIDENTS,
            opened,
            shapes.Incident,
            body=shapes.OpenGiven,
            status=201,
            is_versioned=True,
            fields=FIELDS,
        ),
        Operation(
            "POST",
            "/incidents/{id}/updates",
            "postUpdate",
            "Say something new; from now on monitors do not resolve it",
            Scope.INCIDENTS,
            updated,
            shapes.Incident,
            body=shapes.UpdateGiven,
            is_versioned=True,
            current=current,
            fields=FIELDS,
        ),
        Operation(
            "POST",
            "/incidents/{id}/resolve",
            "resolveIncident",
            "Say that it is over",
            Scope.INCIDENTS,
            resolved,
            shapes.Incident,
            body=shapes.ResolveGiven,
            is_versioned=True,
            current=current,
            fields=FIELDS,
        ),
        Operation(
            "POST",
            "/incidents/{id}/publish",
            "publishIncident",
            "Publish a draft that monitors opened, as it is",
            Scope.INCIDENTS,
            published,
            shapes.Incident,
            is_versioned=True,
            current=current,
        ),
    ]


def _correcting() -> list[Operation]:
    return [
        Operation(
            "PUT",
            "/incidents/{id}/name",
            "renameIncident",
            "Another title; the old one stays visible",
            Scope.INCIDENTS,
            renamed,
            shapes.Incident,
            body=shapes.Title,
            is_versioned=True,
            current=current,
            fields={"title": "name"},
        ),
        Operation(
            "PUT",
            "/incidents/{id}/updates/{update_id}",
            "rewordUpdate",
            "Other words, or the missing translation; nobody is alerted again",
            Scope.INCIDENTS,
            reworded,
            shapes.Incident,
            body=shapes.RewordGiven,
            is_versioned=True,
            current=current,
        ),
        Operation(
            "POST",
            "/incidents/{id}/corrections",
            "correctTimes",
            "Put its beginning or end right; the old times stay visible",
            Scope.INCIDENTS,
            corrected,
            shapes.Incident,
            body=shapes.CorrectionGiven,
            is_versioned=True,
            current=current,
        ),
        Operation(
            "POST",
            "/incidents/{id}/merge",
            "mergeIncident",
            "Make it part of another incident, which is the answer",
            Scope.INCIDENTS,
            merged,
            shapes.Incident,
            body=shapes.MergeGiven,
            is_versioned=True,
            current=current,
        ),
    ]


def _declaring() -> list[Operation]:
    return [
        Operation(
            "POST",
            "/incidents/{id}/fallbacks",
            "declareFallback",
            "Permit paper, or say that it is not needed",
            Scope.INCIDENTS,
            declared,
            shapes.Incident,
            body=shapes.DeclareGiven,
            status=201,
            is_versioned=True,
            current=current,
            fields=FALLBACK_FIELDS,
        ),
        Operation(
            "POST",
            "/incidents/{id}/fallbacks/{fallback_id}/withdraw",
            "withdrawFallback",
            "End a permission",
            Scope.INCIDENTS,
            withdrawn,
            shapes.Incident,
            body=shapes.WithdrawGiven,
            is_versioned=True,
            current=current,
        ),
    ]


def current(session: Session, call: Call) -> shapes.Incident:
    """The incident of this address as it stands."""
    return records.incident(session, incidents.get(session, call.path["id"]))


def listed(session: Session, call: Call) -> Reply:
    """A page of incidents."""
    asked: shapes.IncidentsAsked = call.query
    page = notice_pages.page(
        session,
        NoticeKind.INCIDENT,
        standing=asked.standing,
        service=asked.service,
        began_from=asked.began_from,
        began_before=asked.began_before,
        after=asked.after,
        limit=asked.limit,
    )
    return Reply(shapes.IncidentPage(incidents=records.incidents(session, page.notices), next=page.next))


def shown(session: Session, call: Call) -> Reply:
    """One incident."""
    return _reply(session, incidents.get(session, call.path["id"]))


def opened(session: Session, call: Call) -> Reply:
    """A new incident, published as an act of its own."""
    body: shapes.OpenGiven = call.body
    notice = _perform(session, call, wishes.opening(body), body.break_glass)
    return _reply(session, notice, location=f"/incidents/{notice.id}")


def updated(session: Session, call: Call) -> Reply:
    """An update, published as an act of its own."""
    body: shapes.UpdateGiven = call.body
    _match(session, call)
    return _reply(session, _perform(session, call, wishes.update(call.path["id"], body), body.break_glass))


def resolved(session: Session, call: Call) -> Reply:
    """A resolution, published as an act of its own."""
    body: shapes.ResolveGiven = call.body
    _match(session, call)
    return _reply(
        session, _perform(session, call, wishes.resolution(call.path["id"], body), body.break_glass)
    )


def published(session: Session, call: Call) -> Reply:
    """A monitors' draft as it is."""
    _match(session, call)
    _refuse_where_two_are_needed(session, call)
    return _reply(session, incidents.publish(session, call.path["id"], by=call.by, now=call.now))


def renamed(session: Session, call: Call) -> Reply:
    """Another title."""
    notice = _match(session, call)
    return _reply(
        session, corrections.rename(session, notice.id, wishes.text(call.body), by=call.by, now=call.now)
    )


def reworded(session: Session, call: Call) -> Reply:
    """Other words of one update."""
    notice, update_id = _match(session, call), call.path["update_id"]
    update = session.get(Update, update_id)
    if update is None or update.notice_id != notice.id:
        raise NotFound(f"incident {notice.id} has no update {update_id}")
    corrections.reword(session, update_id, wishes.text(call.body.text), by=call.by, now=call.now)
    return _reply(session, notice)


def corrected(session: Session, call: Call) -> Reply:
    """Other times."""
    body: shapes.CorrectionGiven = call.body
    notice = corrections.correct_times(
        session,
        _match(session, call).id,
        by=call.by,
        now=call.now,
        began_at=body.began_at,
        ended_at=body.ended_at,
        text=wishes.optional_text(body.text),
        deliver=body.deliver,
    )
    return _reply(session, notice)


def merged(session: Session, call: Call) -> Reply:
    """Two incidents that are one."""
    notice, text = _match(session, call), wishes.optional_text(call.body.text)
    into = corrections.merge(session, notice.id, call.body.into, by=call.by, now=call.now, text=text)
    return _reply(session, into)


def declared(session: Session, call: Call) -> Reply:
    """A declaration about paper."""
    body: shapes.DeclareGiven = call.body
    notice = _match(session, call)
    _refuse_where_two_are_needed(session, call)
    fallbacks.declare(
        session,
        notice.id,
        wishes.fallback(body),
        by=call.by,
        now=call.now,
        policy=call.settings.incidents,
        text=wishes.optional_text(body.text),
        deliver=body.deliver,
    )
    return _reply(session, notice)


def withdrawn(session: Session, call: Call) -> Reply:
    """The end of a permission."""
    notice, id = _match(session, call), call.path["fallback_id"]
    fallback = session.get(Fallback, id)
    if fallback is None or fallback.notice_id != notice.id:
        raise NotFound(f"incident {notice.id} has no declaration {id}")
    _refuse_where_two_are_needed(session, call)
    text = wishes.optional_text(call.body.text)
    fallbacks.withdraw(session, id, by=call.by, now=call.now, text=text, deliver=call.body.deliver)
    return _reply(session, notice)


def _match(session: Session, call: Call) -> Notice:
    """The incident of this address, in the version that the caller means."""
    call.match(session, lambda: incidents.get(session, call.path["id"]).version)
    return incidents.get(session, call.path["id"])


def _perform(session: Session, call: Call, content: Content, break_glass: str) -> Notice:
    act = acts.write(session, content, by=call.by, now=call.now)
    policy = call.settings.incidents
    return acts.perform(session, act.id, by=call.by, now=call.now, policy=policy, break_glass=break_glass)


def _refuse_where_two_are_needed(session: Session, call: Call) -> None:
    """For what is published without an act, and so without a place for a reason to go alone."""
    content = Content(kind=ActKind.UPDATE, notice_id=call.path["id"])
    if acts.needs_second(session, content, policy=call.settings.incidents):
        raise Forbidden(
            "somebody else has to publish this, because of its impact; write an act and hand it over"
        )


def _reply(session: Session, notice: Notice, *, location: str = "") -> Reply:
    session.flush()
    value = records.incident(session, notice)
    return Reply(value, notice.version, f"incident:{notice.id}", location)
