"""Ninety days of history for a fresh demo: what was measured, what was said of it, what is planned.

The content stands in history.toml; here it is laid on the calendar around `now` and written as rows.
No events are emitted: history is not news. Everything is seeded, so that two fresh demos look alike.
"""

import string
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from statuspage.demo.story import PastIncident, Said, Unmeasured, Work, read_content
from statuspage.incidents import reminders, texts
from statuspage.incidents.announcement import Announcement, Window, announced, moved
from statuspage.incidents.notices import CLOCK, MONITOR
from statuspage.incidents.rules import (
    FallbackState,
    Impact,
    IncidentStatus,
    MaintenanceStatus,
    NoticeKind,
    Origin,
    ServiceStatus,
    impact_of,
    worst,
)
from statuspage.incidents.snapshot import Text
from statuspage.incidents.tables import (
    Fallback,
    Group,
    Handling,
    Interval,
    Notice,
    NoticeService,
    NoticeUnaffected,
    Revision,
    Service,
    Update,
)
from statuspage.incidents.uptime import UNKNOWN
from statuspage.kernel.config import Incidents

DAYS = 90
OPERATOR = "operator"
LEGAL_BASIS = Text(
    "Art. 6 ust. 3 unijnego kodeksu celnego; plan ciągłości działania",
    "Article 6(3) of the Union Customs Code; business continuity plan",
)
_SATURDAY = 5
_ANNOUNCE_AHEAD = Incidents().announce_ahead
_SOON = timedelta(hours=12)  # planned work nearer than that moves to the week after


@dataclass(slots=True)
class Rows:
    """Rows to be written, by table."""

    intervals: list[dict[str, Any]] = field(default_factory=list)
    notices: list[dict[str, Any]] = field(default_factory=list)
    affected: list[dict[str, Any]] = field(default_factory=list)
    updates: list[dict[str, Any]] = field(default_factory=list)
    revisions: list[dict[str, Any]] = field(default_factory=list)
    unaffected: list[dict[str, Any]] = field(default_factory=list)
    handlings: list[dict[str, Any]] = field(default_factory=list)
    fallbacks: list[dict[str, Any]] = field(default_factory=list)


def fill(session: Session, *, zone: ZoneInfo, now: datetime) -> bool:
    """Write ninety days before `now` for the services of the catalogue; False when there is history already.

    The catalogue has to be applied before. Afterwards every service was measured last as operational.
    """
    if session.scalar(select(Notice.id).limit(1)) is not None:
        return False
    services = {
        row.code: row for row in session.scalars(select(Service).where(Service.archived_at.is_(None)))
    }
    rows = lay_out(services, Calendar(zone, now))
    _insert(session, rows)
    _owe_reminders(session, now)
    _date_back(session, services.values(), rows.intervals, now - timedelta(days=DAYS))
    return True


def lay_out(services: Mapping[str, Service], calendar: "Calendar") -> Rows:
    """The rows of history.toml for these services, by code."""
    rows = Rows()
    writer = _Writer(rows, services, calendar, Random(DAYS))
    content = read_content()
    for incident in content.incidents:
        writer.add_incident(incident)
    for work in content.maintenances:
        writer.add_maintenance(work)
    for gap in content.unmeasured:
        writer.add_gap(gap)
    return rows


def _insert(session: Session, rows: Rows) -> None:
    for table, values in (
        (Interval, rows.intervals),
        (Notice, rows.notices),
        (NoticeService, rows.affected),
        (Update, rows.updates),
        (Revision, rows.revisions),
        (NoticeUnaffected, rows.unaffected),
        (Handling, rows.handlings),
        (Fallback, rows.fallbacks),
    ):
        if values:
            session.execute(insert(table), values)


def _owe_reminders(session: Session, now: datetime) -> None:
    coming = select(Notice).where(Notice.status == MaintenanceStatus.SCHEDULED)
    for notice in session.scalars(coming):
        reminders.plan(session, notice, now=now, policy=Incidents())


def _date_back(
    session: Session, services: Iterable[Service], intervals: Iterable[Mapping[str, Any]], began_at: datetime
) -> None:
    """Let the services look as if they had been watched since then, and well since their last interval."""
    last: dict[str, datetime] = {}
    for interval in intervals:
        last[interval["service_id"]] = max(interval["ended_at"], last.get(interval["service_id"], began_at))
    for group in session.scalars(select(Group)):
        group.created_at = began_at
    for service in services:
        service.created_at = service.first_measured_at = began_at
        service.measured = ServiceStatus.OPERATIONAL
        service.measured_since = service.status_since = last.get(service.id, began_at)
    session.flush()


@dataclass(frozen=True, slots=True)
class Calendar:
    """Local days and hours around `now`."""

    zone: ZoneInfo
    now: datetime

    def back(self, days: int, at: str) -> datetime:
        """`at` (HH:MM) that many local days ago."""
        local = self.now.astimezone(self.zone).date() - timedelta(days=days)
        return datetime.combine(local, time.fromisoformat(at), self.zone).astimezone(UTC)

    def saturday(self, ago: int, at: str) -> datetime:
        """`at` on the `ago`-th Saturday before today; for -1 on the next that is not too near."""
        since = (self.now.astimezone(self.zone).weekday() - _SATURDAY) % 7
        if ago > 0:
            return self.back((since or 7) + 7 * (ago - 1), at)
        next_one = self.back(since - 7 if since else 0, at)
        return (
            next_one if next_one > self.now + _SOON else self.back(since - 7 if not since else since - 14, at)
        )


class _Writer:
    """Turns content into rows."""

    def __init__(
        self, rows: Rows, services: Mapping[str, Service], calendar: Calendar, random: Random
    ) -> None:
        self._rows = rows
        self._services = services
        self._calendar = calendar
        self._random = random

    def add_incident(self, incident: PastIncident) -> None:
        began_at = self._calendar.back(incident.days_ago, incident.at)
        ended_at = began_at + timedelta(minutes=incident.minutes)
        statuses = {
            **incident.services,
            **dict.fromkeys(incident.impacted, ServiceStatus.DEGRADED_PERFORMANCE),
        }
        detected_at = began_at + timedelta(seconds=self._random.randint(20, 45))
        for code, status in statuses.items():
            self._add_interval(code, status, incident.cause, began_at, ended_at, detected_at)
        name = incident.name or texts.title(self._names(incident.services), worst(incident.services.values()))
        root = self._services[next(iter(incident.services))]
        notice = self._notice(NoticeKind.INCIDENT, Text(name.pl, name.en), began_at, detected_at)
        notice |= {
            "status": IncidentStatus.RESOLVED,
            "impact": impact_of(statuses.values()),
            "origin": Origin.MONITOR,
            "taken_over": bool(incident.updates),
            "root_service_id": root.id,
            "cause": incident.cause,
            "last_failure_at": began_at,
            "ended_at": ended_at,
        }
        for code, status in statuses.items():
            self._affect(notice, code, status, detected_at, by_parent=code in incident.impacted)
        self._speak(notice, incident, statuses)
        self._declare(notice, incident)
        self._correct(notice, incident)

    def add_maintenance(self, work: Work) -> None:
        begins_at = self._calendar.saturday(work.saturdays_ago, work.at)
        ends_at = begins_at + timedelta(minutes=work.minutes)
        announced_at = min(begins_at - timedelta(days=work.announced_days_before, hours=9), self._just_now())
        notice = self._notice(
            NoticeKind.MAINTENANCE, Text(work.name.pl, work.name.en), begins_at, announced_at
        )
        notice |= {
            "status": MaintenanceStatus.SCHEDULED,
            "impact": Impact.MAINTENANCE,
            "origin": Origin.PERSON,
            "scheduled_for": begins_at,
            "scheduled_until": ends_at + timedelta(minutes=work.extended_minutes),
        }
        for code in work.services:
            self._affect(notice, code, ServiceStatus.UNDER_MAINTENANCE, announced_at)
        self._post(notice, MaintenanceStatus.SCHEDULED, Text(work.pl, work.en), OPERATOR, announced_at)
        window = Window(begins_at, ends_at)
        self._judge(notice, announced(window, now=announced_at, ahead=_ANNOUNCE_AHEAD))
        for said in work.updates:
            self._advance(notice, said, window)
        for code in work.measured:
            margin = timedelta(minutes=self._random.randint(3, 9))
            began_at, ended_at = begins_at + margin, notice["resolved_at"] - margin
            detected_at = began_at + timedelta(seconds=30)
            self._add_interval(
                code, ServiceStatus.MAJOR_OUTAGE, "connection refused", began_at, ended_at, detected_at
            )

    @staticmethod
    def _judge(notice: dict[str, Any], said: Announcement) -> None:
        notice |= {
            "announced_at": said.announced_at,
            "announce_ahead_s": round(said.ahead.total_seconds()),
            "excused_from": said.excused.begins_at if said.excused else None,
            "excused_until": said.excused.ends_at if said.excused else None,
        }

    def add_gap(self, gap: Unmeasured) -> None:
        began_at = self._calendar.back(gap.days_ago, gap.at)
        for code in self._services:
            self._add_interval(
                code, UNKNOWN, "", began_at, began_at + timedelta(minutes=gap.minutes), began_at
            )

    def _just_now(self) -> datetime:
        return self._calendar.now - timedelta(hours=3)

    def _names(self, codes: Iterable[str]) -> list[Text]:
        return [Text(self._services[code].name_pl, self._services[code].name_en) for code in codes]

    def _id(self) -> str:
        return "".join(self._random.choices(string.ascii_lowercase + string.digits, k=12))

    def _add_interval(
        self,
        code: str,
        status: str,
        cause: str,
        began_at: datetime,
        ended_at: datetime,
        detected_at: datetime,
    ) -> None:
        self._rows.intervals.append(
            {
                "service_id": self._services[code].id,
                "status": status,
                "cause": cause,
                "began_at": began_at,
                "detected_at": detected_at,
                "ended_at": ended_at,
            }
        )

    def _notice(self, kind: NoticeKind, name: Text, began_at: datetime, told_at: datetime) -> dict[str, Any]:
        """A notice with every column, so that all of them fit one insert."""
        notice = {
            **dict.fromkeys(column.name for column in Notice.__table__.columns),
            "id": self._id(),
            "kind": kind,
            "name_pl": name.pl,
            "name_en": name.en,
            "impact_override": False,
            "by_hand": False,
            "taken_over": False,
            "backfilled": False,
            "cause": "",
            "fault": "",
            "began_at": began_at,
            "detected_at": told_at,
            "created_at": told_at,
            "updated_at": told_at,
            "published_at": told_at,
            "version": 1,
        }
        self._rows.notices.append(notice)
        return notice

    def _affect(
        self,
        notice: dict[str, Any],
        code: str,
        status: ServiceStatus,
        at: datetime,
        *,
        by_parent: bool = False,
    ) -> None:
        self._rows.affected.append(
            {
                "notice_id": notice["id"],
                "service_id": self._services[code].id,
                "status": ServiceStatus.OPERATIONAL,
                "worst_status": status,
                "by_parent": by_parent,
                "declared": False,
                "functions": [],
                "channels": [],
                "added_at": at,
                "cancelled_at": None,
            }
        )

    def _speak(
        self, notice: dict[str, Any], incident: PastIncident, statuses: Mapping[str, ServiceStatus]
    ) -> None:
        """What monitors said first, what people said then, and the end."""
        first = texts.detected(self._names(incident.services), incident.cause, self._names(incident.impacted))
        broken = [(code, ServiceStatus.OPERATIONAL, status) for code, status in statuses.items()]
        recovered = [(code, status, ServiceStatus.OPERATIONAL) for code, status in statuses.items()]
        self._post(notice, IncidentStatus.INVESTIGATING, first, MONITOR, notice["detected_at"], broken)
        is_told = False
        for said in incident.updates:
            at = notice["began_at"] + timedelta(minutes=said.after)
            changes = recovered if at >= notice["ended_at"] and not is_told else []
            is_told = is_told or bool(changes)
            self._post(notice, IncidentStatus(said.status), Text(said.pl, said.en), OPERATOR, at, changes)
        if not incident.updates:
            at = notice["ended_at"] + timedelta(seconds=self._random.randint(20, 45))
            end = texts.recovered(self._names(incident.services))
            self._post(notice, IncidentStatus.RESOLVED, end, MONITOR, at, recovered)

    def _advance(self, notice: dict[str, Any], said: Said, window: Window) -> None:
        """One step of planned work, of which `window` are the first times."""
        at = window.begins_at + timedelta(minutes=said.after)
        status = MaintenanceStatus(said.status)
        if said.extends:
            self._revise(notice, {"scheduled_until": f"{window.ends_at:%Y-%m-%dT%H:%M:%SZ}"}, at)
            first = announced(window, now=notice["announced_at"], ahead=_ANNOUNCE_AHEAD)
            longer = Window(window.begins_at, notice["scheduled_until"])
            self._judge(notice, moved(first, window, longer, now=at, ahead=_ANNOUNCE_AHEAD))
        cancelled = {self._services[code].id for code in said.cancels}
        for row in self._rows.affected:
            if row["notice_id"] == notice["id"] and row["service_id"] in cancelled:
                row["cancelled_at"] = at
        self._post(notice, status, Text(said.pl, said.en), CLOCK if not said.after else OPERATOR, at)

    def _post(
        self,
        notice: dict[str, Any],
        status: IncidentStatus | MaintenanceStatus,
        text: Text,
        author: str,
        at: datetime,
        changes: Iterable[tuple[str, ServiceStatus, ServiceStatus]] = (),
    ) -> None:
        self._rows.updates.append(
            {
                "id": self._id(),
                "notice_id": notice["id"],
                "status": status,
                "text_pl": text.pl.strip(),
                "text_en": text.en.strip(),
                "author": author,
                "created_at": at,
                "updated_at": at,
                "display_at": at,
                "position": notice["version"] - 1,
                "affected": [self._change(code, old, new) for code, old, new in changes],
                "deliver": True,
            }
        )
        notice["version"] += 1
        notice["status"] = status
        notice["updated_at"] = at
        if status is IncidentStatus.MONITORING:
            notice["monitoring_at"] = at
        if status in (IncidentStatus.RESOLVED, MaintenanceStatus.COMPLETED, MaintenanceStatus.CANCELLED):
            notice["resolved_at"] = at
            notice["ended_at"] = notice["ended_at"] or at

    def _declare(self, notice: Mapping[str, Any], incident: PastIncident) -> None:
        """Paper, messages, and what was said to work."""

        def after(minutes: int) -> datetime:
            at: datetime = notice["began_at"] + timedelta(minutes=minutes)
            return at

        self._rows.unaffected += [
            {"notice_id": notice["id"], "service_id": self._services[code].id} for code in incident.unaffected
        ]
        for sent in incident.messages:
            self._rows.handlings += [
                {
                    "notice_id": notice["id"],
                    "service_id": self._services[code].id if code else None,
                    "handling": sent.handling,
                    "sent_from": after(sent.after),
                    "sent_until": after(sent.until),
                    "text_pl": sent.pl,
                    "text_en": sent.en,
                    "declared_by": OPERATOR,
                    "declared_at": after(sent.until),
                }
                for code in sent.services
            ]
        for paper in incident.papers:
            self._rows.fallbacks += [
                {
                    "id": self._id(),
                    "notice_id": notice["id"],
                    "service_id": self._services[code].id,
                    "function": "",
                    "state": FallbackState.WITHDRAWN,
                    "reference": paper.reference,
                    "begins_at": after(paper.after),
                    "ends_at": None,
                    "instructions_pl": paper.pl.strip(),
                    "instructions_en": paper.en.strip(),
                    "legal_basis_pl": LEGAL_BASIS.pl,
                    "legal_basis_en": LEGAL_BASIS.en,
                    "enter_within_s": 7 * 86_400,
                    "declared_by": OPERATOR,
                    "declared_at": after(paper.after),
                    "withdrawn_by": OPERATOR,
                    "withdrawn_at": after(paper.until),
                }
                for code in paper.services
            ]

    def _change(self, code: str, old: ServiceStatus, new: ServiceStatus) -> dict[str, str]:
        service = self._services[code]
        names = {"name_pl": service.name_pl, "name_en": service.name_en}
        return {"id": service.id, "code": code, **names, "old_status": old, "new_status": new}

    def _correct(self, notice: dict[str, Any], incident: PastIncident) -> None:
        """The start was said wrongly at first: the correction is on record."""
        if incident.began_first_said is None:
            return
        wrong = self._calendar.back(incident.days_ago, incident.began_first_said)
        at = notice["began_at"] + timedelta(minutes=incident.corrected_after)
        self._revise(notice, {"began_at": f"{wrong:%Y-%m-%dT%H:%M:%SZ}"}, at)
        notice["updated_at"] = max(notice["updated_at"], at)

    def _revise(self, notice: Mapping[str, Any], before: dict[str, str], at: datetime) -> None:
        revision = {
            "notice_id": notice["id"],
            "update_id": None,
            "at": at,
            "author": OPERATOR,
            "before": before,
        }
        self._rows.revisions.append(revision)
