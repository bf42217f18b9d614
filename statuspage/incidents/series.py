"""Planned work that recurs. Each occurrence is planned work of its own, announced so long ahead, and made once."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile

from sqlalchemy import select
from sqlalchemy.orm import Session

from statuspage.incidents import maintenance, recurrence, services, texts
from statuspage.incidents.maintenance import NewMaintenance
from statuspage.incidents.notices import CLOCK, MAX_TEXT, MAX_TITLE, check_text
from statuspage.incidents.recurrence import Occurrence, Recurrence
from statuspage.incidents.rules import MaintenanceStatus
from statuspage.incidents.snapshot import Text
from statuspage.incidents.tables import Notice, Series, Service
from statuspage.kernel import audit, config
from statuspage.kernel.errors import Conflict, Invalid, NotFound
from statuspage.kernel.events import take_turns


@dataclass(frozen=True, slots=True)
class NewSeries:
    """Recurring work as a person announces it."""

    name: Text
    text: Text
    services: Sequence[str]  # codes
    recurrence: Recurrence  # from recurrence.parse
    by_hand: bool = False


def create(session: Session, new: NewSeries, *, by: str, now: datetime, policy: config.Incidents) -> Series:
    """Begin a series and announce its occurrences of the coming time.

    Raises Invalid for a first occurrence in the past, an empty text or no service, NotFound for an unknown one.
    """
    take_turns(session)
    check_text("title", new.name, MAX_TITLE)
    check_text("text", new.text, MAX_TEXT)
    if not new.services:
        raise Invalid("service", "name at least one")
    for code in new.services:
        services.by_code(session, code)
    first = next(recurrence.occurrences(new.recurrence))
    if first.begins_at < now:
        raise Invalid("start", "lies in the past")
    series = Series(
        name_pl=new.name.pl,
        name_en=new.name.en,
        text_pl=new.text.pl,
        text_en=new.text.en,
        services=list(dict.fromkeys(new.services)),
        rule=new.recurrence.rule,
        zone=new.recurrence.zone.key,
        begins_local=f"{new.recurrence.begins_local:%Y-%m-%dT%H:%M}",
        duration_s=round(new.recurrence.duration.total_seconds()),
        by_hand=new.by_hand,
        planned_until=first.begins_at - timedelta(microseconds=1),
        created_at=now,
        created_by=by,
    )
    session.add(series)
    session.flush()
    _plan(session, series, by=by, now=now, policy=policy)
    told = {"rule": series.rule, "zone": series.zone, "begins": series.begins_local}
    audit.record(session, by, "series.begun", f"series:{series.id}", told, at=now)
    return series


def plan(session: Session, *, now: datetime, policy: config.Incidents) -> int:
    """Announce every series' occurrences that have come near. Returns how many."""
    take_turns(session)
    running = session.scalars(select(Series).where(Series.ended_at.is_(None)).order_by(Series.created_at))
    return sum(_plan(session, series, by=CLOCK, now=now, policy=policy) for series in running.all())


def _plan(session: Session, series: Series, *, by: str, now: datetime, policy: config.Incidents) -> int:
    """Make what lies between what was made and the horizon. What a standstill let pass is not announced."""
    horizon = now + policy.plan_ahead
    coming = takewhile(lambda o: o.begins_at <= horizon, recurrence.occurrences(recurrence_of(series)))
    due = [o for o in coming if o.begins_at > series.planned_until and o.begins_at >= now]
    series.planned_until = max(series.planned_until, horizon)
    codes = _present(session, series.services)
    if not codes:
        return 0
    for number, found in enumerate(due):
        _make(session, series, found, codes, due[1:] if number == 0 else None, by=by, now=now, policy=policy)
    return len(due)


def _make(
    session: Session,
    series: Series,
    found: Occurrence,
    codes: Sequence[str],
    further: Sequence[Occurrence] | None,
    *,
    by: str,
    now: datetime,
    policy: config.Incidents,
) -> None:
    """`further` None: another occurrence's mail has told of this one. Nobody wants thirty mails at once."""
    maintenance.schedule(
        session,
        NewMaintenance(
            Text(series.name_pl, series.name_en),
            Text(series.text_pl, series.text_en),
            codes,
            found.begins_at,
            found.ends_at,
            series.by_hand,
        ),
        by=by,
        now=now,
        policy=policy,
        series=(series.id, found.key),
        deliver=further is not None,
        more={"also": [_times(o.begins_at, o.ends_at) for o in further or ()]},
    )


def _present(session: Session, codes: Sequence[str]) -> list[str]:
    """Those of them that are still in the catalogue."""
    there = set(session.scalars(select(Service.code).where(Service.archived_at.is_(None))))
    return [code for code in codes if code in there]


def _times(begins_at: datetime, ends_at: datetime) -> list[str]:
    return [begins_at.isoformat(), ends_at.isoformat()]


def end(
    session: Session,
    series_id: str,
    *,
    by: str,
    now: datetime,
    policy: config.Incidents,
    leave_announced: bool = False,
    text: Text = texts.MAINTENANCE_CANCELLED,
) -> Sequence[Notice]:
    """End a series: nothing new is announced, and what has not begun is called off unless `leave_announced`.

    Returns what was called off. One mail tells of all of it. Raises Conflict for a series that has ended.
    """
    take_turns(session)
    series = get(session, series_id)
    if series.ended_at is not None:
        raise Conflict("the series %(series)s has ended already", series=series_id)
    series.ended_at, series.ended_by = now, by
    called_off = [] if leave_announced else coming(session, [series_id])
    for number, notice in enumerate(called_off):
        further = called_off[1:] if number == 0 else ()
        also = [_times(other.window.begins_at, other.window.ends_at) for other in further]
        maintenance.cancel(
            session,
            notice.id,
            by=by,
            now=now,
            policy=policy,
            text=text,
            deliver=number == 0,
            more={"also": also},
        )
    told = {"leave_announced": leave_announced}
    audit.record(session, by, "series.ended", f"series:{series_id}", told, at=now)
    return called_off


def recurrence_of(series: Series) -> Recurrence:
    """Its rule, as it was found good when the series began."""
    return Recurrence(
        series.rule,
        recurrence.zone_named(series.zone),
        datetime.fromisoformat(series.begins_local),
        timedelta(seconds=series.duration_s),
    )


def announced(session: Session, series_id: str) -> Sequence[Notice]:
    """The occurrences that were announced, soonest first, whatever became of them."""
    query = select(Notice).where(Notice.series_id == series_id)
    return session.scalars(query.order_by(Notice.scheduled_for)).all()


def listed(session: Session) -> Sequence[Series]:
    """Every series, newest first."""
    return session.scalars(select(Series).order_by(Series.created_at.desc())).all()


def coming(session: Session, series_ids: Sequence[str]) -> Sequence[Notice]:
    """What these series have announced and what has not begun yet, soonest first."""
    query = select(Notice).where(
        Notice.series_id.in_(series_ids), Notice.status == MaintenanceStatus.SCHEDULED
    )
    return session.scalars(query.order_by(Notice.scheduled_for)).all()


def get(session: Session, series_id: str) -> Series:
    """Raises NotFound."""
    series = session.get(Series, series_id)
    if series is None:
        raise NotFound("there is no series %(series)s", series=series_id)
    return series
