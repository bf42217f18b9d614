"""The database's tables from version to version, in one line. It knows no room: it is given the metadata.

Alembic is imported where tables are changed: a server that starts has only to compare two numbers, and the
import costs 11 MB.
"""

from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, MetaData, inspect, text

from statuspage.kernel.errors import Conflict

_HERE = Path(__file__).parent
_LOCK = 7_402_118  # of the advisory lock; any number that nobody else uses


def head() -> str | None:
    """The newest version that this program knows: a test proves that they are one line, by number."""
    return max((path.name.partition("_")[0] for path in (_HERE / "versions").glob("[0-9]*.py")), default=None)


def current(engine: Engine) -> str | None:
    """The version of the database; None when it is empty."""
    with engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        version: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
        return version


def upgrade(engine: Engine, metadata: MetaData, *, to: str = "head") -> None:
    """Bring the tables up to `head()`, or a version before it, all or nothing; two that start at once take turns.

    Raises Conflict when a newer program has already changed the database.
    """
    from alembic import command
    from alembic.util import CommandError

    with engine.connect() as connection:
        _set_foreign_keys(connection, is_on=False)
        try:
            with connection.begin():
                _take_turns(connection)
                command.upgrade(_config(connection=connection, metadata=metadata), to)
                _refuse_broken_references(connection)
        except CommandError as error:
            raise Conflict(f"the database was made by a newer version of this program: {error}") from None
        finally:
            _set_foreign_keys(connection, is_on=True)


def revise(engine: Engine, metadata: MetaData, message: str) -> Path:
    """Write the next version from the difference between `metadata` and the database at `head()`."""
    from alembic import command

    with engine.begin() as connection:
        config = _config(connection=connection, metadata=metadata)
        number = f"{len(list((_HERE / 'versions').glob('[0-9]*.py'))) + 1:04}"
        script = command.revision(config, message, autogenerate=True, rev_id=number)
    if script is None or isinstance(script, list):
        raise AssertionError("one revision was asked for")
    return Path(script.path)


def _config(**attributes: Any) -> Any:
    from alembic.config import Config

    config = Config(attributes=attributes)
    config.set_main_option("script_location", str(_HERE).replace("%", "%%"))
    return config


def _take_turns(connection: Connection) -> None:
    """SQLite has one writer anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))


def _set_foreign_keys(connection: Connection, *, is_on: bool) -> None:
    """SQLite changes a table by building it anew, and would meanwhile delete what refers to the old one."""
    if connection.dialect.name == "sqlite":
        # Past SQLAlchemy, because inside a transaction the pragma is ignored.
        connection.connection.cursor().execute(f"PRAGMA foreign_keys = {'ON' if is_on else 'OFF'}")


def _refuse_broken_references(connection: Connection) -> None:
    if connection.dialect.name == "sqlite" and (
        broken := connection.execute(text("PRAGMA foreign_key_check")).all()
    ):
        raise AssertionError(f"the migration left rows that refer to nothing: {broken[:3]}")
