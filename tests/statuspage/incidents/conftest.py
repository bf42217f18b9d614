"""A small catalogue with a gateway, for tests of the incident model."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from statuspage.incidents import catalogue, services
from statuspage.incidents.rules import ServiceStatus
from statuspage.incidents.snapshot import PageSnapshot
from statuspage.incidents.snapshots import SnapshotBuilder
from statuspage.incidents.tables import Notice, Service, Update
from statuspage.kernel import config
from statuspage.kernel.db import Database
from statuspage.kernel.events import Event

CATALOGUE = """
[[groups]]
code = "common"
name = { pl = "Wspólne", en = "Common" }
[[groups]]
code = "transit"
name = { pl = "Tranzyt", en = "Transit" }
[[services]]
code = "SZPROT"
group = "common"
name = { pl = "SZPROT", en = "SZPROT" }
[[services]]
code = "PUESC"
group = "common"
name = { pl = "PUESC", en = "PUESC" }
parents = ["SZPROT"]
[[services]]
code = "NCTS2"
group = "transit"
name = { pl = "NCTS2", en = "NCTS2" }
parents = ["PUESC"]
[[services]]
code = "AES"
group = "transit"
name = { pl = "AES", en = "AES" }
parents = ["PUESC"]
[[services]]
code = "CRPA"
group = "common"
name = { pl = "CRPA", en = "CRPA" }
[[services]]
code = "OSOZ2"
group = "common"
name = { pl = "OSOZ2", en = "OSOZ2" }
policy = "draft"
"""


@dataclass
class Story:
    """A database that things happen to, one after another. `now` moves with `after`."""

    db: Database
    now: datetime
    policy: config.Incidents = field(default_factory=config.Incidents)

    def after(self, **kwargs: float) -> "Story":
        self.now += timedelta(**kwargs)
        return self

    def service(self, code: str) -> Service:
        return self.db.read_now(services.by_code, code)

    def found(
        self,
        code: str,
        status: ServiceStatus = ServiceStatus.MAJOR_OUTAGE,
        *,
        ago_s: float = 6,
        fault: str = "",
    ) -> None:
        """Monitors confirm a status that began `ago_s` seconds ago."""
        finding = services.Finding(
            self.service(code).id,
            status,
            "" if status is ServiceStatus.OPERATIONAL else "HTTP 503",
            self.now - timedelta(seconds=ago_s),
            fault,
        )
        self.db.run_now(services.report, finding, now=self.now, policy=self.policy)

    def recovered(self, code: str) -> None:
        self.found(code, ServiceStatus.OPERATIONAL, ago_s=2)

    def notices(self) -> list[Notice]:
        """All but those merged into another, oldest first."""

        def read(session: Session) -> list[Notice]:
            query = select(Notice).where(Notice.merged_into_id.is_(None)).order_by(Notice.created_at)
            return list(session.scalars(query))

        return self.db.read_now(read)

    def updates(self, notice_id: str) -> list[Update]:
        return self.db.read_now(
            lambda s: list(
                s.scalars(select(Update).where(Update.notice_id == notice_id).order_by(Update.position))
            )
        )

    def events(self) -> list[Event]:
        return self.db.read_now(lambda s: list(s.scalars(select(Event).order_by(Event.seq))))

    def kinds(self) -> list[str]:
        return [event.kind for event in self.events()]

    def snapshot(self, builder: SnapshotBuilder | None = None) -> PageSnapshot:
        builder = builder or SnapshotBuilder(config.Settings().zone, counts_maintenance=False)
        return self.db.read_now(builder.build, now=self.now)

    def statuses(self) -> dict[str, str]:
        """What is published, as far as it is not operational."""
        return {
            s.code: s.status.value
            for s in self.snapshot().services
            if s.status is not ServiceStatus.OPERATIONAL
        }


@pytest.fixture
def story(db: Database, now: datetime) -> Story:
    db.run_now(
        catalogue.apply, catalogue.parse(CATALOGUE, where="catalogue.toml"), now=now - timedelta(days=30)
    )
    return Story(db, now)
