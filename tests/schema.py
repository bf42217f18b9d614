"""All tables of all rooms, for tests and for new migrations."""

import importlib

from statuspage.kernel.db import Base

_ROOMS = (
    "statuspage.kernel.events",
    "statuspage.kernel.accounts",
    "statuspage.incidents.tables",
    "monitors.tables",
    "notifiers.tables",
    "tickets.tables",
)

for _name in _ROOMS:
    try:
        importlib.import_module(_name)
    except ModuleNotFoundError as error:
        if error.name != _name:
            raise

metadata = Base.metadata
