"""The generated history: consistent on every day of a year, written quickly, and all green at its end."""

import itertools
import re
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import func, select

from statuspage.demo import history
from statuspage.demo.history import Calendar, Rows, lay_out
from statuspage.demo.simulator import read_services
from statuspage.demo.story import read_content
from statuspage.demo.world import CATALOGUE
from statuspage.incidents import catalogue
from statuspage.incidents.rules import IncidentStatus, MaintenanceStatus, NoticeKind, ServiceStatus
from statuspage.incidents.snapshot import PageSnapshot
from statuspage.incidents.snapshots import SnapshotBuilder
from statuspage.incidents.tables import Interval, Notice, Service
from statuspage.kernel.db import Base, Database
from statuspage.kernel.events import Event

WARSAW = ZoneInfo("Europe/Warsaw")
NOW = datetime(2026, 11, 23, 22, 0, tzinfo=UTC)
MOMENTS = [NOW + timedelta(days=day, hours=7 * day % 24) for day in range(366)]


def services() -> dict[str, Service]:
    codes = read_services(CATALOGUE.read_text(encoding="utf-8"))
    return {code: Service(id=f"id-of-{code}", code=code, name_pl=code, name_en=code) for code in codes}


def rows_at(now: datetime) -> Rows:
    return lay_out(services(), Calendar(WARSAW, now))


@pytest.fixture
def demo_db(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'demo.db'}")
    Base.metadata.create_all(database.engine)
    declared = catalogue.parse(CATALOGUE.read_text(encoding="utf-8"), where="catalogue.toml")
    database.run_now(catalogue.apply, declared, now=NOW)
    yield database
    database.close()


def snapshot(database: Database) -> PageSnapshot:
    return database.read_now(SnapshotBuilder(WARSAW, counts_maintenance=False).build, now=NOW)


@pytest.mark.parametrize("now", MOMENTS[::13])
def test_intervals_of_a_service_do_not_overlap_and_are_over(now: datetime) -> None:
    by_service = defaultdict(list)
    for interval in rows_at(now).intervals:
        assert interval["began_at"] <= interval["detected_at"] < interval["ended_at"] < now
        by_service[interval["service_id"]].append((interval["began_at"], interval["ended_at"]))
    for spans in by_service.values():
        for (_, ended_at), (began_at, _) in itertools.pairwise(sorted(spans)):
            assert ended_at <= began_at


def test_they_do_not_on_any_day_of_the_year_either() -> None:
    for now in MOMENTS:
        test_intervals_of_a_service_do_not_overlap_and_are_over(now)


@pytest.mark.parametrize("now", MOMENTS[::29])
def test_every_measured_interval_is_told_by_a_notice_of_its_service(now: datetime) -> None:
    rows = rows_at(now)
    notices = {notice["id"]: notice for notice in rows.notices}
    told = defaultdict(list)
    for row in rows.affected:
        told[row["service_id"]].append((notices[row["notice_id"]], row["worst_status"]))
    for interval in rows.intervals:
        if interval["status"] == "unknown":
            continue
        assert any(
            notice["began_at"] <= interval["began_at"]
            and interval["ended_at"] <= notice["resolved_at"]
            and (worst == interval["status"] or notice["kind"] == NoticeKind.MAINTENANCE)
            for notice, worst in told[interval["service_id"]]
            if notice["resolved_at"]
        )


@pytest.mark.parametrize("now", MOMENTS[::29])
def test_updates_follow_each_other_in_time_and_lie_in_the_past(now: datetime) -> None:
    rows = rows_at(now)
    by_notice = defaultdict(list)
    for update in rows.updates:
        by_notice[update["notice_id"]].append(update)
    for notice in rows.notices:
        said = by_notice[notice["id"]]
        assert [update["position"] for update in said] == list(range(len(said)))
        moments = [update["created_at"] for update in said]
        assert moments == sorted(moments)
        assert moments[-1] < now
        assert said[-1]["status"] == notice["status"]


@pytest.mark.parametrize("now", MOMENTS[::29])
def test_all_but_the_next_saturday_is_over(now: datetime) -> None:
    rows = rows_at(now)
    final = {
        *(IncidentStatus.RESOLVED, IncidentStatus.POSTMORTEM),
        MaintenanceStatus.COMPLETED,
        MaintenanceStatus.CANCELLED,
    }
    (planned,) = [notice for notice in rows.notices if notice["status"] not in final]
    assert planned["status"] == MaintenanceStatus.SCHEDULED
    assert planned["resolved_at"] is None
    assert timedelta(hours=12) < planned["scheduled_for"] - now < timedelta(days=8)
    assert planned["scheduled_for"].astimezone(WARSAW).strftime("%A %H:%M") == "Saturday 20:00"
    assert planned["created_at"] < now
    assert planned["scheduled_for"] - planned["created_at"] >= timedelta(days=5)


def test_every_text_is_there_in_both_languages_and_they_differ() -> None:
    rows = rows_at(NOW)
    for notice in rows.notices:
        assert notice["name_pl"].strip()
        assert notice["name_en"].strip()
        assert notice["name_pl"] != notice["name_en"]
    for update in rows.updates:
        assert update["text_pl"].strip()
        assert update["text_en"].strip()
        assert update["text_pl"] != update["text_en"]


def test_references_hours_and_services_are_the_same_in_both_languages() -> None:
    codes = "|".join(sorted(services(), key=len, reverse=True))
    facts = re.compile(rf"AW-\d+|\b\d\d:\d\d\b|IE\d+|\b\d+\b|{codes}")
    for update in rows_at(NOW).updates:
        assert sorted(facts.findall(update["text_pl"])) == sorted(facts.findall(update["text_en"]))


def test_hours_named_in_a_text_agree_with_the_calendar() -> None:
    content = read_content()
    gateway = next(incident for incident in content.incidents if "PUESC" in incident.services)
    began_at = Calendar(WARSAW, NOW).back(gateway.days_ago, gateway.at).astimezone(WARSAW)
    assert f"{began_at:%H:%M}" == "06:10"
    assert f"{began_at + timedelta(minutes=gateway.minutes):%H:%M}" == "09:40"


def test_the_three_scenarios_are_told() -> None:
    rows = rows_at(NOW)
    by_name = {notice["name_en"]: notice for notice in rows.notices}
    limited = by_name["NCTS2 accepts declarations with a delay"]
    assert any(
        update["notice_id"] == limited["id"] and "only if logistics require it" in update["text_en"]
        for update in rows.updates
    )
    gateway = by_name["The PUESC gateway does not accept messages"]
    impacted = [row for row in rows.affected if row["notice_id"] == gateway["id"] and row["by_parent"]]
    assert len(impacted) == 7
    assert [r["before"].keys() for r in rows.revisions if r["notice_id"] == gateway["id"]] == [{"began_at"}]
    extended = [
        n
        for n in rows.notices
        if any(r["notice_id"] == n["id"] and "scheduled_until" in r["before"] for r in rows.revisions)
    ]
    assert [n["kind"] for n in extended] == [NoticeKind.MAINTENANCE]


def test_two_fresh_demos_look_alike() -> None:
    assert rows_at(NOW) == rows_at(NOW)


def test_a_fresh_demo_is_all_green_with_ninety_measured_days(demo_db: Database) -> None:
    assert demo_db.run_now(history.fill, zone=WARSAW, now=NOW)
    page = snapshot(demo_db)
    assert {service.status for service in page.services} == {ServiceStatus.OPERATIONAL}
    assert not page.open_incidents
    assert len(page.planned) == 1
    assert len(page.incidents) == len(read_content().incidents)
    for service in page.services:
        assert len(service.days) == 90
        assert None not in {day.status for day in service.days}
        assert service.uptime is not None
        assert 0.99 < service.uptime <= 1
        assert {code for code in service.parents} <= {other.code for other in page.services}


def test_history_is_not_news(demo_db: Database) -> None:
    before = demo_db.read_now(lambda session: session.scalar(select(func.count()).select_from(Event)))
    demo_db.run_now(history.fill, zone=WARSAW, now=NOW)
    assert demo_db.read_now(lambda session: session.scalar(select(func.count()).select_from(Event))) == before


def test_history_is_written_once(demo_db: Database) -> None:
    assert demo_db.run_now(history.fill, zone=WARSAW, now=NOW)
    before = demo_db.read_now(lambda session: session.scalar(select(func.count()).select_from(Interval)))
    assert not demo_db.run_now(history.fill, zone=WARSAW, now=NOW + timedelta(days=1))
    assert (
        demo_db.read_now(lambda session: session.scalar(select(func.count()).select_from(Interval))) == before
    )


def test_planned_work_that_happened_does_not_lower_the_uptime(demo_db: Database) -> None:
    demo_db.run_now(history.fill, zone=WARSAW, now=NOW)
    page = snapshot(demo_db)
    done = next(notice for notice in page.maintenances if "ZEFIR2" in notice.name.en)
    day = done.began_at.astimezone(WARSAW).date()
    zefir = next(service for service in page.services if service.code == "ZEFIR2")
    account = next(one for one in zefir.days if one.day == day)
    assert account.maintenance_s > 0
    assert account.down_s == 0


def test_the_last_outage_of_a_service_ended_before_it_was_measured_well(demo_db: Database) -> None:
    demo_db.run_now(history.fill, zone=WARSAW, now=NOW)
    rows = demo_db.read_now(
        lambda s: s.execute(
            select(Service.measured_since, func.max(Interval.ended_at)).join(Interval).group_by(Service.id)
        ).all()
    )
    assert rows
    assert all(since == ended_at for since, ended_at in rows)
    assert (
        demo_db.read_now(
            lambda s: s.scalar(select(func.count()).select_from(Notice).where(Notice.published_at.is_(None)))
        )
        == 0
    )
