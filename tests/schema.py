"""All tables of all rooms, imported for what they declare: for tests and for new migrations."""

import monitors.tables
import notifiers.tables
import statuspage.incidents.tables
import statuspage.kernel.accounts
import statuspage.kernel.events
import tickets.tables
from statuspage.kernel.db import Base

metadata = Base.metadata
