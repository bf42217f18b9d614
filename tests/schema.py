"""All tables of all rooms: for tests and for new migrations."""

from monitors import tables as monitors
from notifiers import tables as notifiers
from statuspage.incidents import tables as incidents
from statuspage.kernel import accounts, attempts, audit, events, idempotency, otp, tokens
from statuspage.kernel.db import Base
from tickets import tables as tickets

ROOMS = (
    events,
    audit,
    accounts,
    attempts,
    otp,
    tokens,
    idempotency,
    incidents,
    monitors,
    notifiers,
    tickets,
)  # imported for what they declare
metadata = Base.metadata
