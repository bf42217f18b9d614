"""Whatever monitors find and people do, in any order and by any clock: the incident model holds together."""

import shutil
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from difflib import unified_diff
from itertools import count, pairwise
from pathlib import Path
from pprint import pformat
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select
from sqlalchemy.orm import Session

from statuspage.incidents import (
    amendments,
    catalogue,
    corrections,
    fallbacks,
    incidents,
    maintenance,
    recurrence,
    reminders,
    series,
    services,
)
from statuspage.incidents.fallbacks import NewFallback
from statuspage.incidents.publication import Tree, load_tree
from statuspage.incidents.rules import (
    OUTAGES,
    Evidence,
    FallbackState,
    IncidentStatus,
    MaintenanceStatus,
    NoticeKind,
    Origin,
    Policy,
    ServiceStatus,
    published_status,
    worst,
)
from statuspage.incidents.snapshot import Text
from statuspage.incidents.snapshots import SnapshotBuilder
from statuspage.incidents.tables import (
    Fallback,
    Interval,
    Notice,
    NoticeService,
    Reminder,
    Series,
    Update,
)
from statuspage.kernel import config
from statuspage.kernel.db import Database
from statuspage.kernel.errors import Error
from statuspage.kernel.events import since

from .conftest import CATALOGUE

CODES = ["SZPROT", "PUESC", "NCTS2", "AES", "CRPA", "OSOZ2"]
FULL = catalogue.parse(CATALOGUE, where="catalogue.toml")
SMALLER = catalogue.Catalogue(
    FULL.groups,
    tuple(
        replace(service, parents=tuple(set(service.parents) - {"SZPROT"}))
        for service in FULL.services
        if service.code not in ("SZPROT", "AES")
    ),
)
SAID = Text("Sprawdzamy.", "We are looking into it.")
UNDER_WAY = {MaintenanceStatus.IN_PROGRESS, MaintenanceStatus.VERIFYING}

codes = st.sampled_from(CODES)
found_statuses = st.sampled_from(
    [
        ServiceStatus.OPERATIONAL,
        ServiceStatus.MAJOR_OUTAGE,
        ServiceStatus.PARTIAL_OUTAGE,
        ServiceStatus.DEGRADED_PERFORMANCE,
    ]
)
ages_s = st.sampled_from([0, 2, 6, 40, 900])
picks = st.integers(0, 5)


@dataclass(frozen=True)
class Scene:
    """All there is at one moment, and what must be true of it."""

    tree: Tree
    incidents: list[Notice]
    maintenances: list[Notice]
    rows: dict[str, list[NoticeService]]  # by notice
    intervals: dict[str, list[Interval]]  # by service, oldest first
    fallbacks: list[Fallback]
    reminders: list[Reminder]

    @classmethod
    def of(cls, session: Session) -> "Scene":
        rows: dict[str, list[NoticeService]] = defaultdict(list)
        for row in session.scalars(select(NoticeService)):
            rows[row.notice_id].append(row)
        intervals: dict[str, list[Interval]] = defaultdict(list)
        for interval in session.scalars(select(Interval).order_by(Interval.began_at, Interval.id)):
            intervals[interval.service_id].append(interval)
        notices = session.scalars(select(Notice)).all()
        return cls(
            load_tree(session),
            [notice for notice in notices if notice.kind == NoticeKind.INCIDENT],
            [notice for notice in notices if notice.kind == NoticeKind.MAINTENANCE],
            rows,
            intervals,
            list(session.scalars(select(Fallback))),
            list(session.scalars(select(Reminder))),
        )

    def intervals_are_in_order(self) -> None:
        for rows in self.intervals.values():
            assert all(row.ended_at is None or row.began_at < row.ended_at for row in rows)
            for before, after in pairwise(rows):
                assert before.ended_at is not None, "two run at once"
                assert before.ended_at <= after.began_at, "two overlap"

    def what_is_published_follows_from_the_evidence(self) -> None:
        public = [
            row
            for notice in self.incidents
            if notice.published_at and not notice.resolved_at
            for row in self.rows[notice.id]
        ]
        drafted = {
            row.service_id
            for notice in self._open()
            if not notice.published_at
            for row in self.rows[notice.id]
        }
        for id in self.tree.parents_first():
            service = self.tree.services[id]
            own = [row for row in public if row.service_id == id]
            declared = [ServiceStatus(row.status) for row in own if row.declared]
            evidence = Evidence(
                measured=ServiceStatus(service.measured) if service.measured else None,
                declared=worst(declared) if declared else None,
                parents=tuple(
                    ServiceStatus(self.tree.services[parent].status) for parent in self.tree.parents[id]
                ),
                in_maintenance=self._is_maintained(id),
                held=not own and (service.policy == Policy.DRAFT or id in drafted),
            )
            assert service.status == published_status(evidence), f"{service.code} is {service.status}"

    def nobody_waits_for_an_end_that_has_come(self) -> None:
        for notice in self._measured(taken_over=False):
            services = [self.tree.services.get(row.service_id) for row in self.rows[notice.id]]
            said: set[str | None] = {
                service.status if notice.published_at else service.measured for service in services if service
            }
            assert said - {ServiceStatus.OPERATIONAL}, f"{notice.name_en}: it is over, and open"

    def a_public_outage_is_told(self) -> None:
        """Unless an operator has said that it is over."""
        told = {
            row.service_id for notice in self._open() if notice.published_at for row in self.rows[notice.id]
        }
        ended_by_hand = {
            row.service_id
            for notice in self.incidents
            if notice.resolved_at and notice.taken_over
            for row in self.rows[notice.id]
        }
        for service in self.tree.services.values():
            if service.status in OUTAGES:
                assert service.id in told | ended_by_hand, (
                    f"{service.code} is {service.status} without a word"
                )

    def a_service_fails_in_one_incident(self) -> None:
        named = [
            row.service_id
            for notice in self._measured()
            for row in self.rows[notice.id]
            if not row.by_parent and not row.declared
        ]
        assert len(named) == len(set(named)), "a service fails in two incidents"

    def a_child_shares_its_parents_incident(self) -> None:
        """An incident of nothing but what depends on a failing service is part of that one's incident."""
        for notice in self._measured(taken_over=False):
            own = {row.service_id for row in self.rows[notice.id] if not row.by_parent}
            for other in self._open():
                if other.id == notice.id or (notice.published_at and not other.published_at):
                    continue
                for row in self.rows[other.id]:
                    is_failing = not row.by_parent and not row.declared and row.status in OUTAGES
                    assert not is_failing or not own <= self.tree.descendants(row.service_id), (
                        f"{notice.name_en} is part of {other.name_en}"
                    )

    def no_duration_is_negative(self) -> None:
        for notice in [*self.incidents, *self.maintenances]:
            assert (notice.resolved_at is None) == (notice.ended_at is None), notice.name_en
            if notice.ended_at and notice.status != MaintenanceStatus.CANCELLED:
                assert notice.ended_at >= notice.began_at, f"{notice.name_en} ended before it began"

    def paper_ends_with_its_incident(self) -> None:
        """And each service and function has one declaration in force."""
        in_force = [fallback for fallback in self.fallbacks if fallback.replaced_at is None]
        over = {notice.id for notice in self.incidents if notice.resolved_at}
        for fallback in in_force:
            assert fallback.state != FallbackState.PERMITTED or fallback.notice_id not in over
        places = [(f.notice_id, f.service_id, f.function) for f in in_force]
        assert len(places) == len(set(places)), "two declarations in force on the same"

    def planned_work_adds_up(self) -> None:
        """Times in order, a part of it excused, reminders only of what is still to begin, each occurrence once."""
        keys = [(n.series_id, n.occurrence) for n in self.maintenances if n.series_id]
        assert len(keys) == len(set(keys)), "an occurrence was made twice"
        for notice in self.maintenances:
            window, said = notice.window, notice.announcement
            assert window.begins_at < window.ends_at
            assert said is not None
            assert said.excused is None or window.common(said.excused) == said.excused
            rows = self.rows[notice.id]
            if notice.status != MaintenanceStatus.CANCELLED:
                assert any(row.cancelled_at is None for row in rows), "nothing is left of it"
        for reminder in self.reminders:
            (notice,) = (n for n in self.maintenances if n.id == reminder.notice_id)
            if reminder.told_at is None:
                assert notice.status == MaintenanceStatus.SCHEDULED, "a reminder of what has begun is owed"
                assert reminder.due_at + timedelta(seconds=reminder.lead_s) == notice.window.begins_at

    def _open(self) -> list[Notice]:
        return [notice for notice in self.incidents if notice.resolved_at is None]

    def _measured(self, *, taken_over: bool | None = None) -> list[Notice]:
        return [
            notice
            for notice in self._open()
            if notice.origin == Origin.MONITOR and taken_over in (None, notice.taken_over)
        ]

    def _is_maintained(self, id: str) -> bool:
        return any(
            row.service_id == id and row.cancelled_at is None
            for notice in self.maintenances
            if notice.status in UNDER_WAY
            for row in self.rows[notice.id]
        )


class IncidentMachine(RuleBasedStateMachine):
    """A database that anything may happen to; what must always be true stands below."""

    template: Path
    directory: Path
    numbers = count()

    def __init__(self) -> None:
        super().__init__()
        path = self.directory / f"{next(self.numbers)}.db"
        shutil.copy(self.template, path)
        self.path = path
        self.db = Database(f"sqlite:///{path}", readers=1)
        self.now = datetime(2026, 11, 23, 5, 10, tzinfo=UTC)
        self.policy = config.Incidents()
        self.zone = config.Settings().zone
        self.db.run_now(catalogue.apply, FULL, now=self.now - timedelta(days=1))
        self.ids = {code: self.db.read_now(services.by_code, code).id for code in CODES}
        self.kept = self._builder()
        self.seen_seq = 0

    def teardown(self) -> None:
        self.db.close()
        for path in self.directory.glob(f"{self.path.name}*"):
            path.unlink()

    # --- what happens ---

    @rule(code=codes, status=found_statuses, age_s=ages_s, fault=st.sampled_from(["", "", "gateway refused"]))
    def monitors_find(self, code: str, status: ServiceStatus, age_s: int, fault: str) -> None:
        cause = "" if status is ServiceStatus.OPERATIONAL else f"HTTP {500 + age_s % 7}"
        finding = services.Finding(self.ids[code], status, cause, self.now - timedelta(seconds=age_s), fault)
        self._do(services.report, finding, policy=self.policy)

    @rule(code=codes, age_s=ages_s)
    def nothing_is_known(self, code: str, age_s: int) -> None:
        self._do(services.report_unknown, self.ids[code], since=self.now - timedelta(seconds=age_s))

    @rule(seconds=st.sampled_from([1, 20, 300, 1200, 7200, -30, -3600]))
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule(
        affected=st.dictionaries(codes, st.sampled_from(list(ServiceStatus)), max_size=2),
        status=st.sampled_from(list(IncidentStatus)),
    )
    def a_person_opens(self, affected: dict[str, ServiceStatus], status: IncidentStatus) -> None:
        self._do(
            incidents.open_incident,
            incidents.NewIncident(Text("Awaria", "Fault"), SAID, affected, status=status),
            by="duty",
        )

    @rule(
        pick=picks,
        affected=st.dictionaries(codes, st.sampled_from(list(ServiceStatus)), max_size=1),
        status=st.none() | st.sampled_from(list(IncidentStatus)),
    )
    def a_person_updates(
        self, pick: int, affected: dict[str, ServiceStatus], status: IncidentStatus | None
    ) -> None:
        if chosen := self._pick(NoticeKind.INCIDENT, pick):
            self._do(incidents.post_update, chosen, SAID, by="duty", status=status, services=affected)

    @rule(pick=picks)
    def a_person_resolves(self, pick: int) -> None:
        if chosen := self._pick(NoticeKind.INCIDENT, pick):
            self._do(incidents.resolve, chosen, SAID, by="duty")

    @rule(pick=picks)
    def a_person_publishes(self, pick: int) -> None:
        if chosen := self._pick(NoticeKind.INCIDENT, pick):
            self._do(incidents.publish, chosen, by="duty")

    @rule(pick=picks, code=codes, state=st.sampled_from(list(FallbackState)))
    def paper_is_declared(self, pick: int, code: str, state: FallbackState) -> None:
        if chosen := self._pick(NoticeKind.INCIDENT, pick):
            self._do(fallbacks.declare, chosen, NewFallback(code, state), by="duty", policy=self.policy)

    @rule(pick=picks)
    def paper_is_withdrawn(self, pick: int) -> None:
        ids = self._all(select(Fallback.id).order_by(Fallback.declared_at.desc()))
        if pick < len(ids):
            self._do(fallbacks.withdraw, ids[pick], by="duty")

    @rule(pick=picks, into=picks)
    def a_person_merges(self, pick: int, into: int) -> None:
        one, other = self._pick(NoticeKind.INCIDENT, pick), self._pick(NoticeKind.INCIDENT, into)
        if one and other:
            self._do(corrections.merge, one, other, by="duty")

    @rule(pick=picks, began_s=st.sampled_from([10, 1000]), ended_s=st.sampled_from([None, 0, 5, 500]))
    def a_person_corrects_times(self, pick: int, began_s: int, ended_s: int | None) -> None:
        if chosen := self._pick(NoticeKind.INCIDENT, pick):
            ended_at = None if ended_s is None else self.now - timedelta(seconds=ended_s)
            began_at = self.now - timedelta(seconds=began_s)
            self._do(corrections.correct_times, chosen, by="duty", began_at=began_at, ended_at=ended_at)

    @rule(pick=picks)
    def a_translation_follows(self, pick: int) -> None:
        ids = self._all(select(Update.id).order_by(Update.created_at.desc()))
        if pick < len(ids):
            self._do(corrections.reword, ids[pick], Text("Inaczej.", "Otherwise."), by="duty")

    @rule(
        affected=st.lists(codes, max_size=3),
        in_s=st.sampled_from([0, 60, 600, 200_000]),
        for_s=st.sampled_from([60, 900]),
        by_hand=st.booleans(),
    )
    def work_is_planned(self, affected: list[str], in_s: int, for_s: int, *, by_hand: bool) -> None:
        begins_at = self.now + timedelta(seconds=in_s)
        new = maintenance.NewMaintenance(
            Text("Prace", "Work"), SAID, affected, begins_at, begins_at + timedelta(seconds=for_s), by_hand
        )
        self._do(maintenance.schedule, new, by="duty", policy=self.policy)

    @rule(
        affected=st.lists(codes, max_size=2),
        rule=st.sampled_from(["FREQ=DAILY;INTERVAL=9", "FREQ=WEEKLY;COUNT=2", "FREQ=DAILY;BYHOUR=6,7"]),
        in_s=st.sampled_from([60, 86_400]),
    )
    def work_recurs(self, affected: list[str], rule: str, in_s: int) -> None:
        begins = (self.now + timedelta(seconds=in_s)).astimezone(self.zone).replace(tzinfo=None)
        plan = recurrence.parse(
            rule, zone="Europe/Warsaw", begins_local=begins, duration=timedelta(minutes=20)
        )
        new = series.NewSeries(Text("Prace", "Work"), SAID, affected, plan)
        self._do(series.create, new, by="duty", policy=self.policy)

    @rule(pick=picks, leave_announced=st.booleans())
    def a_series_ends(self, pick: int, *, leave_announced: bool) -> None:
        ids = self._all(select(Series.id).order_by(Series.created_at.desc()))
        if pick < len(ids):
            self._do(series.end, ids[pick], by="duty", policy=self.policy, leave_announced=leave_announced)

    @rule()
    def the_calendar_turns(self) -> None:
        self._do(maintenance.advance, policy=self.policy)
        self._do(reminders.tell_due)
        self._do(series.plan, policy=self.policy)

    @rule(
        pick=picks,
        begin_s=st.none() | st.sampled_from([30, 90_000]),
        end_s=st.none() | st.sampled_from([60, 1200, 100_000]),
    )
    def the_work_gets_other_times(self, pick: int, begin_s: int | None, end_s: int | None) -> None:
        if chosen := self._pick(NoticeKind.MAINTENANCE, pick):
            begins_at, ends_at = (
                None if seconds is None else self.now + timedelta(seconds=seconds)
                for seconds in (begin_s, end_s)
            )
            self._do(
                amendments.reschedule,
                chosen,
                by="duty",
                policy=self.policy,
                zone=self.zone,
                begins_at=begins_at,
                ends_at=ends_at,
            )

    @rule(pick=picks, cut=st.lists(codes, min_size=1, max_size=2))
    def a_part_is_cancelled(self, pick: int, cut: list[str]) -> None:
        if chosen := self._pick(NoticeKind.MAINTENANCE, pick):
            self._do(amendments.cancel_part, chosen, cut, by="duty", policy=self.policy)

    @rule(pick=picks, verb=st.sampled_from(["begin", "verify", "complete", "cancel"]))
    def a_person_moves_the_work(self, pick: int, verb: str) -> None:
        if chosen := self._pick(NoticeKind.MAINTENANCE, pick):
            more: dict[str, Any] = {} if verb in ("begin", "verify") else {"policy": self.policy}
            self._do(getattr(maintenance, verb), chosen, by="duty", **more)

    @rule(is_full=st.booleans())
    def the_catalogue_changes(self, is_full: bool) -> None:
        """SZPROT, above all others, and AES leave it or return."""
        self._do(catalogue.apply, FULL if is_full else SMALLER)

    @rule()
    def the_page_is_built(self) -> None:
        """Not after every step: a publisher that is late sees several at once."""
        kept = asdict(self.db.read_now(self.kept.build, now=self.now))
        fresh = asdict(self.db.read_now(self._builder().build, now=self.now))
        assert [name for name in fresh if kept[name] != fresh[name]] == [], "\n".join(
            unified_diff(pformat(kept).splitlines(), pformat(fresh).splitlines(), "kept", "fresh", n=0)
        )

    # --- what is always true ---

    @invariant()
    def it_holds_together(self) -> None:
        self.db.read_now(self._check)

    def _check(self, session: Session) -> None:
        scene = Scene.of(session)
        scene.intervals_are_in_order()
        scene.what_is_published_follows_from_the_evidence()
        scene.nobody_waits_for_an_end_that_has_come()
        scene.a_public_outage_is_told()
        scene.a_service_fails_in_one_incident()
        scene.a_child_shares_its_parents_incident()
        scene.no_duration_is_negative()
        scene.paper_ends_with_its_incident()
        scene.planned_work_adds_up()
        for event in since(session, self.seen_seq, limit=1000):
            self.seen_seq = event.seq
            if event.kind.startswith("incident."):
                assert session.get_one(Notice, event.subject_id).published_at, "a draft is told"

    # --- how it is told ---

    def _builder(self) -> SnapshotBuilder:
        return SnapshotBuilder(config.Settings().zone, counts_maintenance=False)

    def _do(self, verb: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        self.now += timedelta(microseconds=1)  # no two units of work at the same instant
        with suppress(Error):  # refused in words; nothing happened
            self.db.run_now(verb, *args, now=self.now, **kwargs)

    def _pick(self, kind: NoticeKind, pick: int) -> str | None:
        ids = self._all(select(Notice.id).where(Notice.kind == kind).order_by(Notice.created_at.desc()))
        return str(ids[pick]) if pick < len(ids) else None

    def _all(self, query: Any) -> list[Any]:
        return self.db.read_now(lambda session: list(session.scalars(query)))


@pytest.mark.slow
def test_the_incident_model_holds_together_whatever_happens(sqlite_template: Path, fast_dir: Path) -> None:
    IncidentMachine.template, IncidentMachine.directory = sqlite_template, fast_dir
    run_state_machine_as_test(
        IncidentMachine,
        settings=settings(
            max_examples=40,
            stateful_step_count=25,
            deadline=None,
            phases=[Phase.explicit, Phase.generate],  # to shrink takes minutes
            suppress_health_check=list(HealthCheck),
        ),
    )
