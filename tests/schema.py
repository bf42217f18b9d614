"""All tables of all rooms, imported for what they declare: for tests and for new migrations."""

import monitors.tables  # noqa: F401
import notifiers.tables  # noqa: F401
import statuspage.incidents.tables
import statuspage.kernel.accounts
import statuspage.kernel.events  # noqa: F401
import tickets.tables  # noqa: F401
from statuspage.kernel.db import Base

metadata = Base.metadata
