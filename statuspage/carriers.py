"""Who carries out what an officer's command wishes: here the database beside us, in `remote` a server elsewhere.

The commands build a wish and show what comes back; they do not know which of the two it was.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from zoneinfo import ZoneInfo

from statuspage.cli import author, database_of, now, settings_of

if TYPE_CHECKING:
    from statuspage.incidents.incidents import NewIncident
    from statuspage.incidents.maintenance import NewMaintenance
    from statuspage.incidents.rules import IncidentStatus, ServiceStatus
    from statuspage.incidents.series import NewSeries
    from statuspage.incidents.snapshot import Text

LISTED = 50


@dataclass(frozen=True, slots=True)
class Place:
    """What a command has to know of the page it speaks on."""

    zone: ZoneInfo
    announce_ahead: timedelta  # planned work announced later does not count as announced


@dataclass(frozen=True, slots=True)
class IncidentLine:
    """An incident in the list."""

    id: str
    state: str  # a draft, or its status
    impact: str
    began_at: datetime
    title: str


@dataclass(frozen=True, slots=True)
class WorkLine:
    """Planned work in the list."""

    id: str
    status: str
    begins_at: datetime
    ends_at: datetime
    title: str


class Carrier(Protocol):
    """Each raises what the verb of its name raises, naming the fields as the verbs do."""

    def place(self) -> Place: ...

    def open_incident(self, new: "NewIncident") -> str:
        """Returns the id."""

    def post_update(
        self,
        incident_id: str,
        text: "Text",
        *,
        status: "IncidentStatus | None",
        services: "Mapping[str, ServiceStatus]",
    ) -> None: ...

    def resolve(self, incident_id: str, text: "Text") -> None: ...

    def incidents(self, *, unresolved: bool) -> Sequence[IncidentLine]:
        """The newest `LISTED`, drafts too, newest first."""

    def schedule(self, new: "NewMaintenance") -> str:
        """Returns the id."""

    def begin_series(self, new: "NewSeries") -> str:
        """Returns the series' id."""

    def cancel(self, maintenance_id: str, *, services: Sequence[str], text: "Text | None") -> None:
        """All of it where no service is named."""

    def maintenance(self) -> Sequence[WorkLine]:
        """The newest `LISTED`, newest first."""


class Local:
    """The database that a settings file names."""

    def __init__(self, config_file: Path) -> None:
        self._file = config_file

    def place(self) -> Place:
        settings = settings_of(self._file)
        return Place(settings.zone, settings.incidents.announce_ahead)

    def open_incident(self, new: "NewIncident") -> str:
        from statuspage.incidents import incidents

        return database_of(self._file).run_now(incidents.open_incident, new, by=author(), now=now()).id

    def post_update(
        self,
        incident_id: str,
        text: "Text",
        *,
        status: "IncidentStatus | None",
        services: "Mapping[str, ServiceStatus]",
    ) -> None:
        from statuspage.incidents import incidents

        db = database_of(self._file)
        db.run_now(
            incidents.post_update,
            incident_id,
            text,
            by=author(),
            now=now(),
            status=status,
            services=services,
        )

    def resolve(self, incident_id: str, text: "Text") -> None:
        from statuspage.incidents import incidents

        database_of(self._file).run_now(incidents.resolve, incident_id, text, by=author(), now=now())

    def incidents(self, *, unresolved: bool) -> Sequence[IncidentLine]:
        from statuspage.incidents import incidents

        found = database_of(self._file).read_now(incidents.listed, unresolved=unresolved, limit=LISTED)
        return [
            IncidentLine(
                notice.id,
                "draft" if notice.published_at is None else notice.status,
                notice.impact,
                notice.began_at,
                notice.name_en,
            )
            for notice in found
        ]

    def schedule(self, new: "NewMaintenance") -> str:
        from statuspage.incidents import maintenance

        policy = settings_of(self._file).incidents
        db = database_of(self._file)
        return db.run_now(maintenance.schedule, new, by=author(), now=now(), policy=policy).id

    def begin_series(self, new: "NewSeries") -> str:
        from statuspage.incidents import series

        policy = settings_of(self._file).incidents
        return database_of(self._file).run_now(series.create, new, by=author(), now=now(), policy=policy).id

    def cancel(self, maintenance_id: str, *, services: Sequence[str], text: "Text | None") -> None:
        from statuspage.incidents import amendments, maintenance, texts

        policy = settings_of(self._file).incidents
        db = database_of(self._file)
        if services:
            db.run_now(
                amendments.cancel_part,
                maintenance_id,
                services,
                by=author(),
                now=now(),
                policy=policy,
                text=text,
            )
        else:
            said = text or texts.MAINTENANCE_CANCELLED
            db.run_now(maintenance.cancel, maintenance_id, by=author(), now=now(), policy=policy, text=said)

    def maintenance(self) -> Sequence[WorkLine]:
        from statuspage.incidents import maintenance

        found = database_of(self._file).read_now(maintenance.listed, limit=LISTED)
        return [
            WorkLine(notice.id, notice.status, notice.window.begins_at, notice.window.ends_at, notice.name_en)
            for notice in found
        ]
