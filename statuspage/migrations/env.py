"""Alembic runs this: the connection and the metadata come from the caller, nothing is read from a file."""

from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy import DateTime, MetaData
from sqlalchemy.engine import Connection

from statuspage.kernel.db import UtcDateTime


def render_item(kind: str, item: Any, _context: AutogenContext) -> str | Literal[False]:
    """Write plain column types: a past version must not change because a class of today does."""
    if kind == "type" and isinstance(item, UtcDateTime) and isinstance(item.impl, DateTime):
        return f"sa.DateTime(timezone={item.impl.timezone})"
    return False


def run() -> None:
    """Within the caller's transaction, so that a version is there wholly or not at all."""
    connection: Connection = context.config.attributes["connection"]
    metadata: MetaData = context.config.attributes["metadata"]
    context.configure(
        connection=connection,
        target_metadata=metadata,
        render_item=render_item,
        render_as_batch=connection.dialect.name == "sqlite",
        compare_type=True,
    )
    with context.begin_transaction():
        context.run_migrations()


run()
