import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from statuspage import migrations
from statuspage.incidents.notice_views import notice_views
from statuspage.kernel.accounts import find_user
from statuspage.kernel.db import Database
from statuspage.kernel.errors import Conflict
from tests.postgres import Postgres
from tests.schema import metadata

VERSIONS = Path(migrations.__file__).parent / "versions"


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def empty(request: pytest.FixtureRequest, fast_dir: Path) -> Iterator[Database]:
    """A database without tables, once of each kind."""
    if request.param == "sqlite":
        db = Database(f"sqlite:///{fast_dir / 'empty.db'}")
        yield db
        db.close()
        return
    postgres: Postgres = request.getfixturevalue("postgres")
    postgres.create("empty")
    db = Database(postgres.url("empty"))
    yield db
    db.close()
    postgres.drop("empty")


def test_upgrade_from_empty_gives_the_tables_the_program_expects(empty: Database) -> None:
    migrations.upgrade(empty.engine, metadata)

    with empty.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


FIRST_ROWS = """
INSERT INTO groups (id, code, name_pl, name_en, position, created_at, updated_at)
VALUES ('g', 'transit', 'Tranzyt', 'Transit', 0, '2026-01-01 00:00:00', '2026-01-01 00:00:00');
INSERT INTO services (id, code, group_id, name_pl, name_en, description_pl, description_en, functions, channels, policy,
    position, created_at, updated_at, status, status_since)
VALUES ('s', 'NCTS2', 'g', 'NCTS2', 'NCTS2', '', '', '[]', '[]', 'publish', 0, '2026-01-01 00:00:00',
    '2026-01-01 00:00:00', 'operational', '2026-01-01 00:00:00');
INSERT INTO notices (id, kind, name_pl, name_en, status, impact, impact_override, origin, taken_over, cause, fault,
    began_at, detected_at, created_at, updated_at, published_at, version)
VALUES ('n', 'incident', 'Awaria', 'Fault', 'investigating', 'critical', false, 'monitor', false, '', '',
    '2026-01-01 00:00:00', '2026-01-01 00:00:00', '2026-01-01 00:00:00', '2026-01-01 00:00:00',
    '2026-01-01 00:00:00', 1);
INSERT INTO notice_services (notice_id, service_id, status, worst_status, by_parent, declared, added_at)
VALUES ('n', 's', 'major_outage', 'major_outage', false, false, '2026-01-01 00:00:00');
INSERT INTO users (id, login, name, role, password_hash, created_at)
VALUES ('u', 'anna', 'Anna', 'operator', 'hash', '2026-01-01 00:00:00');
"""


def test_what_the_first_version_held_is_there_after_the_upgrade(empty: Database) -> None:
    migrations.upgrade(empty.engine, metadata, to="0001")
    with empty.engine.begin() as connection:
        for statement in FIRST_ROWS.strip().split(";\n"):
            connection.execute(text(statement.rstrip(";")))

    migrations.upgrade(empty.engine, metadata)

    (notice,) = empty.read_now(lambda s: notice_views(s, ["n"]))
    assert (notice.name.en, notice.is_backfilled, notice.announcement) == ("Fault", False, None)
    assert [(a.code, a.functions, a.cancelled_at) for a in notice.affected] == [("NCTS2", (), None)]
    user = empty.read_now(find_user, "anna")
    assert user is not None
    assert user.role == "operator"


def test_upgrade_is_recorded_and_a_second_one_changes_nothing(empty: Database) -> None:
    assert migrations.current(empty.engine) is None

    migrations.upgrade(empty.engine, metadata)
    migrations.upgrade(empty.engine, metadata)

    assert migrations.current(empty.engine) == migrations.head()


def test_sqlite_checks_foreign_keys_again_after_an_upgrade(fast_dir: Path) -> None:
    db = Database(f"sqlite:///{fast_dir / 'empty.db'}")
    migrations.upgrade(db.engine, metadata)

    assert db.run_now(lambda session: session.execute(text("PRAGMA foreign_keys")).scalar_one()) == 1
    db.close()


def test_two_programs_that_upgrade_at_once_take_turns(empty: Database) -> None:
    faults: list[Exception] = []

    def upgrade() -> None:
        other = Database(empty.url)
        try:
            start.wait()
            migrations.upgrade(other.engine, metadata)
        except Exception as fault:
            faults.append(fault)
        finally:
            other.close()

    start = threading.Barrier(3)
    threads = [threading.Thread(target=upgrade) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert faults == []
    assert migrations.current(empty.engine) == migrations.head()


def test_a_database_of_a_newer_program_is_refused_and_left_alone(empty: Database) -> None:
    migrations.upgrade(empty.engine, metadata)
    with empty.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(Conflict, match="newer version"):
        migrations.upgrade(empty.engine, metadata)

    assert migrations.current(empty.engine) == "9999"


def test_a_failing_upgrade_leaves_nothing_behind(empty: Database) -> None:
    with empty.engine.begin() as connection:
        connection.execute(text("CREATE TABLE users (somebody_elses INTEGER)"))

    with pytest.raises(Exception, match="already exists"):
        migrations.upgrade(empty.engine, metadata)

    assert migrations.current(empty.engine) is None
    with empty.engine.connect() as connection:
        assert not connection.dialect.has_table(connection, "events")


def test_history_is_one_line_numbered_from_0001() -> None:
    script = ScriptDirectory(str(VERSIONS.parent))
    revisions = [found.revision for found in script.walk_revisions()][::-1]

    assert script.get_heads() == revisions[-1:]
    assert revisions == [f"{number:04}" for number in range(1, len(revisions) + 1)]
    assert len(revisions) == len(list(VERSIONS.glob("*.py")))


def test_a_table_that_is_missing_would_be_noticed(fast_dir: Path) -> None:
    db = Database(f"sqlite:///{fast_dir / 'empty.db'}")
    migrations.upgrade(db.engine, metadata)
    with db.engine.connect() as connection:
        before = compare_metadata(MigrationContext.configure(connection), metadata)
    with db.engine.begin() as connection:
        connection.execute(text("DROP TABLE pending"))
    with db.engine.connect() as connection:
        after = compare_metadata(MigrationContext.configure(connection), metadata)
    db.close()

    assert before == []
    assert [(kind, table.name) for kind, table in after] == [("add_table", "pending")]
