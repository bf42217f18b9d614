"""Writes the next migration: `make revision MESSAGE="why"`. Read what it wrote before you commit it."""

import sys
import tempfile
from pathlib import Path

from statuspage import migrations
from statuspage.kernel.db import Database
from tests.schema import metadata


def main(message: str) -> None:
    """Compare the tables with an empty database brought up to the newest version."""
    if not message.strip():
        sys.exit('say what changes: make revision MESSAGE="…"')
    with tempfile.TemporaryDirectory() as directory:
        db = Database(f"sqlite:///{directory}/statuspage.db")
        migrations.upgrade(db.engine, metadata)
        path = migrations.revise(db.engine, metadata, message)
        db.close()
    sys.stdout.write(f"{path.relative_to(Path.cwd())}\n")


if __name__ == "__main__":
    main(" ".join(sys.argv[1:]))
