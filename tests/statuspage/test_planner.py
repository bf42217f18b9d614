"""Planned work at the command line: what the officer types, what it prints, what it refuses in one line."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from statuspage import app
from statuspage.__main__ import cli
from statuspage.incidents import catalogue
from statuspage.incidents.snapshot import NoticeView, PageSnapshot
from statuspage.incidents.snapshots import SnapshotBuilder
from statuspage.kernel import config
from statuspage.kernel.db import Database
from statuspage.kernel.errors import Error

CATALOGUE = """
[[groups]]
code = "common"
name = { pl = "Wspólne", en = "Common" }
[[services]]
code = "AIS"
group = "common"
name = { pl = "AIS", en = "AIS" }
[[services]]
code = "AES"
group = "common"
name = { pl = "AES", en = "AES" }
"""
Typed = Callable[..., str]
SAID = ("--title-pl", "Prace", "--title-en", "Work", "--text-pl", "Wymiana.", "--text-en", "Exchange.")


@pytest.fixture
def settings_file(fast_dir: Path) -> Path:
    file = fast_dir / "statuspage.toml"
    file.write_text('[data]\ndir = "data"\n')
    return file


@pytest.fixture
def db(settings_file: Path) -> Iterator[Database]:
    settings = config.load(settings_file)
    app.migrate(settings)
    found = app.open_database(settings)
    found.run_now(catalogue.apply, catalogue.parse(CATALOGUE, where="c"), now=datetime.now(UTC))
    yield found
    found.close()


@pytest.fixture
def typed(settings_file: Path, db: Database) -> Typed:
    """Run `maintenance …`; returns what it printed, or raises what is said in one line."""

    def run(*words: str) -> str:
        done = CliRunner().invoke(
            cli, ["maintenance", *words, "--config", str(settings_file)], standalone_mode=False
        )
        if done.exception is not None:
            raise done.exception
        return done.stdout.strip()

    return run


def hours_on(hours: float) -> str:
    return (datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(hours=hours)).isoformat()


def plan(typed: Typed, *more: str, start: float = 72, end: float = 75) -> str:
    services = ("--service", "AIS", "--service", "AES")
    return typed("schedule", *services, *SAID, "--start", hours_on(start), "--end", hours_on(end), *more)


def page(db: Database) -> PageSnapshot:
    builder = SnapshotBuilder(config.Settings().zone, counts_maintenance=False)
    return db.read_now(builder.build, now=datetime.now(UTC))


def view(db: Database, id: str) -> NoticeView:
    return next(notice for notice in page(db).maintenances if notice.id == id)


def test_a_saturdays_work_from_its_announcement_to_its_end(typed: Typed, db: Database) -> None:
    id = plan(typed)
    assert len(id) == 12
    typed("begin", id)
    assert view(db, id).status == "in_progress"
    typed("extend", id, "--end", hours_on(76))
    typed("cancel", id, "--service", "AES", "--text-pl", "Bez AES.", "--text-en", "Without AES.")
    typed("verify", id)
    typed("complete", id)
    found = view(db, id)
    assert found.status == "completed"
    assert [update.status for update in found.updates] == [
        "completed",
        "verifying",
        "in_progress",
        "in_progress",
        "in_progress",
        "scheduled",
    ]
    assert found.updates[2].text.en == "Without AES."
    assert [field for revision in found.revisions for field, _ in revision.before] == ["scheduled_until"]
    assert [affected.code for affected in found.concerned] == ["AIS"]
    assert typed("list").split()[:2] == [id, "completed"]


def test_work_by_hand_is_marked_so(typed: Typed, db: Database) -> None:
    assert view(db, plan(typed, "--by-hand")).by_hand
    assert not view(db, plan(typed)).by_hand


def test_a_preview_says_what_the_clocks_do_and_saves_nothing(typed: Typed, db: Database) -> None:
    lines = typed(
        "schedule",
        *("--service", "AIS", *SAID, "--preview", "--repeat", "FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU"),
        *("--start", "2027-03-01T02:30", "--end", "2027-03-01T03:30", "--zone", "Europe/Warsaw"),
    ).splitlines()
    assert lines[0] == (
        "Sun 2027-03-28T03:00+0200  Sun 2027-03-28T04:00+0200  "
        "that hour is skipped when the clocks go forward: it begins when they have; "
        "ends later by the clock, which goes forward meanwhile"
    )
    assert len(lines) == 12
    assert page(db).maintenances == ()
    (once,) = plan(typed, "--preview", start=5, end=6).splitlines()
    assert once.endswith("announced too late: does not count as announced unavailability")


def test_a_series_is_begun_listed_and_ended(typed: Typed, db: Database) -> None:
    id = plan(typed, "--repeat", "FREQ=WEEKLY", "--zone", "America/New_York")
    assert {notice.series_id for notice in page(db).maintenances} == {id}
    assert typed("series", "list") == f"{id}  running  FREQ=WEEKLY  America/New_York  Work"
    typed("series", "end", id)
    assert {notice.status for notice in page(db).maintenances} == {"cancelled"}
    assert " ended " in typed("series", "list")


def test_a_series_may_leave_what_was_announced(typed: Typed, db: Database) -> None:
    typed("series", "end", plan(typed, "--repeat", "FREQ=WEEKLY"), "--leave-announced")
    assert {notice.status for notice in page(db).maintenances} == {"scheduled"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("extend", "ID"), "--end: say the new end"),
        (("extend", "ID", "--end", "soon"), '--end: "soon" is not a time'),
        (("extend", "ID", "--start", "2020-01-01T10:00Z"), "start: lies in the past"),
        (("extend", "ID", "--end", "2020-01-01T10:00Z"), "end: must come after"),
        (("extend", "nothing", "--end", "2099-01-01T10:00Z"), "there is no maintenance nothing"),
        (("verify", "ID"), "is not in progress"),
        (("complete", "ID"), "has not begun; cancel it"),
        (("cancel", "ID", "--service", "NCTS2"), 'there is no service "NCTS2"'),
        (("begin", "ID", "--text-pl", "Zaczynamy."), "--text-en: readers need it in both"),
        (("series", "end", "nothing"), "there is no series nothing"),
    ],
)
def test_what_cannot_be_done_is_refused_by_its_field(typed: Typed, words: tuple[str, ...], said: str) -> None:
    id = plan(typed)
    with pytest.raises(Error, match=said):
        typed(*(id if word == "ID" else word for word in words))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--repeat", "FREQ=HOURLY"), "repeat: FREQ has to be one of"),
        (("--repeat", "FREQ=WEEKLY", "--zone", "Europe/Atlantis"), 'zone: "Europe/Atlantis" is not'),
        (("--zone", "Europe/Warsaw"), "--zone: goes with --repeat"),
        (("--repeat", "FREQ=DAILY;BYHOUR=1,2,3,4,5"), "repeat: makes 5 occurrences a day"),
    ],
)
def test_a_bad_rule_is_refused_by_its_field(
    typed: Typed, db: Database, more: tuple[str, ...], said: str
) -> None:
    with pytest.raises(Error, match=said):
        plan(typed, *more)
    assert page(db).maintenances == ()


def test_a_single_time_without_its_offset_is_refused(typed: Typed) -> None:
    with pytest.raises(Error, match="lacks its offset"):
        typed("schedule", "--service", "AIS", *SAID, "--start", "2099-01-01T10:00", "--end", hours_on(9))


def test_the_group_says_what_it_knows() -> None:
    group = cli.commands["maintenance"]
    assert isinstance(group, click.Group)
    assert set(group.commands) == {
        *("schedule", "extend", "begin", "verify", "complete", "cancel", "list", "series"),
    }
