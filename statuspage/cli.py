"""What the commands share: the settings file, the database, who is asking and when.

Imports behind commands cost time, so they stand in the functions; `--version` must not pay for them.
"""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from statuspage.kernel.config import Settings
    from statuspage.kernel.db import Database

config_option = click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="The settings file.",
)


def settings_of(config_file: Path) -> "Settings":
    """The settings in a file."""
    from statuspage.kernel.config import load

    return load(config_file)


def database_of(config_file: Path) -> "Database":
    """The database that a settings file names. Raises Conflict when its tables are not this version's."""
    import logging

    from statuspage.app import open_database, require_current
    from statuspage.kernel import logs

    logs.configure(level=logging.ERROR)  # what goes wrong is said once, in one line
    db = open_database(settings_of(config_file))
    require_current(db)
    return db


def now() -> datetime:
    """The current instant."""
    from statuspage.kernel import clock

    return clock.now()


def author() -> str:
    """Who is at the command line, as an update records it."""
    import getpass

    try:
        return f"cli:{getpass.getuser()}"
    except (OSError, KeyError):
        return "cli"
