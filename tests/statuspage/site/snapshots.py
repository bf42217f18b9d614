"""Snapshots of the page for tests: what a builder would make of the usual days of a customs house."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import cast

from statuspage.incidents.rules import (
    FallbackState,
    Impact,
    IncidentStatus,
    MaintenanceStatus,
    MessageHandling,
    NoticeKind,
    ServiceStatus,
    impact_of,
    worst,
)
from statuspage.incidents.snapshot import (
    AffectedView,
    ChangeView,
    Day,
    FallbackView,
    GroupView,
    HandlingView,
    IntervalView,
    Month,
    NamedView,
    NoticeView,
    PageSnapshot,
    RevisionView,
    ServiceView,
    Text,
    UpdateView,
)
from statuspage.kernel.config import Settings
from statuspage.kernel.db import Database
from statuspage.kernel.house import House
from statuspage.kernel.i18n import Catalogues
from statuspage.kernel.net import Network
from statuspage.kernel.security import Signer

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
# Rendering ahead touches neither the database nor the network: there are none.
HOUSE = House(Settings(), cast(Database, None), cast(Network, None), Signer("s" * 32), Catalogues())
SINCE = NOW - timedelta(days=200)

GROUPS = {
    "common": (Text("Wspólne", "Common"), ("PUESC", "SZPROT", "PKWD")),
    "import": (Text("Import", "Import"), ("AIS", "ICS2")),
    "export": (Text("Eksport", "Export"), ("AES",)),
    "transit": (Text("Tranzyt", "Transit"), ("NCTS2",)),
    "excise": (Text("Akcyza", "Excise"), ("EMCS", "CRPA")),
    "transport": (Text("Transport", "Transport"), ("SENT", "SENT-GEO")),
    "statistics": (Text("Statystyka", "Statistics"), ("INTRASTAT",)),
}
GATEWAY_CHILDREN = ("NCTS2", "AES", "AIS", "ICS2", "SENT", "SENT-GEO", "INTRASTAT", "EMCS", "CRPA")


# Measured for fourteen months, one of them with an hour's outage and a day without measurements.
MONTHS = tuple(
    Month(
        2026 - (i > 10),
        (10 - i) % 12 + 1,
        1.0 if i else 0.9986,
        2_500_000,
        0 if i else 3_600,
        0,
        86_400 * (i == 3),
    )
    for i in range(14)
)


def identifier(text: str) -> str:
    """Twelve lower-case letters and digits that are the same in every run."""
    kept = "".join(c for c in text.lower() if c.isascii() and c.isalnum())
    return (kept + "0" * 12)[:12]


def day(at: date, status: ServiceStatus | None = ServiceStatus.OPERATIONAL, *, down_s: int = 0) -> Day:
    """A day that was measured throughout, unless `status` is None."""
    if status is None:
        return Day(at, None, None, 0, 0, 0, 86_400)
    return Day(at, status, 1 - down_s / 86_400, down_s, 0, 0, 0)


def service(
    code: str, group: str, position: int, status: ServiceStatus, *, measured: bool = True
) -> ServiceView:
    """A service as it stands in the catalogue."""
    today = NOW.date()
    known = ServiceStatus.OPERATIONAL if measured else None
    is_child = code in GATEWAY_CHILDREN
    return ServiceView(
        id=identifier(f"svc{code}"),
        code=code,
        name=Text(code, code),
        description=Text(f"System {code} dla przedsiębiorców", f"The {code} system for traders"),
        functions=("declarations", "queries"),
        channels=("web", "webservice"),
        group_id=identifier(f"grp{group}"),
        position=position,
        created_at=SINCE,
        updated_at=NOW - timedelta(hours=3),
        status=status,
        status_since=NOW - timedelta(hours=3),
        unmeasured_since=None if measured else SINCE,
        first_measured_at=SINCE if measured else None,
        parents=("PUESC",) if is_child else (),
        children=GATEWAY_CHILDREN if code == "PUESC" else (),
        days=tuple(day(today - timedelta(days=89 - i), known) for i in range(90)),
        uptime=1.0 if measured else None,
        intervals=(),
        months=MONTHS if measured else (),
    )


def page(
    statuses: dict[str, ServiceStatus] | None = None,
    *,
    incidents: tuple[NoticeView, ...] = (),
    maintenances: tuple[NoticeView, ...] = (),
    measured: bool = True,
    seq: int = 7,
) -> PageSnapshot:
    """The whole page; services are operational unless `statuses` says otherwise."""
    found = statuses or {}
    groups = []
    for position, (code, (name, codes)) in enumerate(GROUPS.items()):
        services = tuple(
            service(c, code, i, found.get(c, ServiceStatus.OPERATIONAL), measured=measured)
            for i, c in enumerate(codes)
        )
        status = worst(s.status for s in services)
        groups.append(
            GroupView(identifier(f"grp{code}"), code, name, position, SINCE, SINCE, status, services)
        )
    return PageSnapshot(
        seq=seq,
        built_at=NOW,
        updated_at=NOW - timedelta(minutes=4),
        indicator=impact_of(group.status for group in groups),
        groups=tuple(groups),
        incidents=incidents,
        maintenances=maintenances,
    )


def affected(code: str, status: ServiceStatus, *, by_parent: bool = False) -> AffectedView:
    """A service in a notice."""
    return AffectedView(identifier(f"svc{code}"), code, Text(code, code), status, status, by_parent)


def change(code: str, old: ServiceStatus, new: ServiceStatus) -> ChangeView:
    """A service's change of status in an update."""
    return ChangeView(identifier(f"svc{code}"), code, Text(code, code), old.value, new.value)


def update(
    notice_id: str,
    number: int,
    status: str,
    text: Text,
    at: datetime,
    *,
    changes: tuple[ChangeView, ...] = (),
) -> UpdateView:
    """The `number`th message on a notice."""
    id = identifier(f"u{number}{notice_id}")
    return UpdateView(id, notice_id, status, text, "monitor", at, at, at, changes, deliver=True)


def incident(
    key: str,
    name: Text,
    hit: tuple[AffectedView, ...],
    *,
    began_at: datetime = NOW - timedelta(hours=3),
    ended_at: datetime | None = None,
) -> NoticeView:
    """An incident with a first message, a second, and where it has ended a last."""
    id = identifier(f"inc{key}")
    changes = tuple(change(a.code, ServiceStatus.OPERATIONAL, a.status) for a in hit)
    found_at = began_at + timedelta(seconds=20)
    messages = [
        update(
            id, 1, "investigating", Text("Sprawdzamy **przyczynę**.", "We look for the **cause**."), found_at
        ),
        update(
            id,
            2,
            "identified",
            Text(
                "Winna jest baza danych.\n\n- [Procedura](https://example.org/pl)",
                "The database is at fault.",
            ),
            found_at + timedelta(minutes=20),
        ),
    ]
    messages[0] = replace(messages[0], affected=changes)
    status, resolved_at = IncidentStatus.IDENTIFIED, None
    if ended_at is not None:
        status, resolved_at = IncidentStatus.RESOLVED, ended_at
        messages.append(update(id, 3, "resolved", Text("Działa.", "It works."), ended_at))
    revision = RevisionView(
        found_at, messages[1].id, (("text_pl", "Winna jest sieć."), ("text_en", "The network."))
    )
    return NoticeView(
        id=id,
        kind=NoticeKind.INCIDENT,
        name=name,
        status=status,
        impact=impact_of(a.worst_status for a in hit),
        began_at=began_at,
        detected_at=found_at,
        created_at=found_at,
        updated_at=messages[-1].created_at,
        published_at=found_at,
        monitoring_at=None,
        resolved_at=resolved_at,
        next_update_at=None if ended_at else NOW + timedelta(minutes=30),
        scheduled_for=None,
        scheduled_until=None,
        version=len(messages),
        affected=hit,
        updates=tuple(reversed(messages)),
        revisions=(revision,),
    )


def maintenance(
    key: str,
    status: MaintenanceStatus,
    *,
    starts_at: datetime,
    hit: tuple[str, ...] = ("AIS", "AES"),
    version: int = 1,
) -> NoticeView:
    """Planned work of four hours, announced five days ahead."""
    id = identifier(f"mnt{key}")
    announced_at = starts_at - timedelta(days=5)
    is_over = status in (MaintenanceStatus.COMPLETED, MaintenanceStatus.CANCELLED)
    ends_at = starts_at + timedelta(hours=4)
    messages = [
        update(id, 1, "scheduled", Text("Prace w sobotę.", "Work on Saturday."), announced_at),
    ]
    if status is not MaintenanceStatus.SCHEDULED:
        at = ends_at if is_over else starts_at
        messages.append(update(id, 2, status.value, Text("Zmiana stanu prac.", "The work moved on."), at))
    shown = ServiceStatus.UNDER_MAINTENANCE
    return NoticeView(
        id=id,
        kind=NoticeKind.MAINTENANCE,
        name=Text("Prace planowe AIS i AES", "Planned work on AIS and AES"),
        status=status,
        impact=Impact.MAINTENANCE,
        began_at=starts_at,
        detected_at=announced_at,
        created_at=announced_at,
        updated_at=messages[-1].created_at,
        published_at=announced_at,
        monitoring_at=None,
        resolved_at=ends_at if is_over else None,
        next_update_at=None,
        scheduled_for=starts_at,
        scheduled_until=ends_at,
        version=version,
        affected=tuple(affected(code, shown) for code in hit),
        updates=tuple(reversed(messages)),
        revisions=(),
    )


def all_green() -> PageSnapshot:
    """Everything works; nothing ever happened."""
    return page()


def one_slow() -> PageSnapshot:
    """NCTS2 answers slowly."""
    slow = ServiceStatus.DEGRADED_PERFORMANCE
    name = Text("NCTS2 działa wolno lub z ograniczeniami", "NCTS2 is slow or limited")
    return page({"NCTS2": slow}, incidents=(incident("slow", name, (affected("NCTS2", slow),)),))


def one_down() -> PageSnapshot:
    """NCTS2 does not answer, and its bars and intervals show it."""
    down = ServiceStatus.MAJOR_OUTAGE
    name = Text("NCTS2 nie działa", "NCTS2 does not work")
    made = page({"NCTS2": down}, incidents=(incident("down", name, (affected("NCTS2", down),)),))
    began_at = NOW - timedelta(hours=3)
    outage = IntervalView(down.value, "HTTP 503", began_at, began_at + timedelta(seconds=20), None)

    def with_outage(view: ServiceView) -> ServiceView:
        if view.code != "NCTS2":
            return view
        today = day(NOW.date(), down, down_s=10_800)
        return replace(view, days=(*view.days[:-1], today), uptime=0.9986, intervals=(outage,))

    groups = tuple(
        replace(group, services=tuple(with_outage(s) for s in group.services)) for group in made.groups
    )
    return replace(made, groups=groups)


def gateway_down() -> PageSnapshot:
    """The PUESC gateway is down; nine services that need it are impacted, in one incident."""
    down, slow = ServiceStatus.MAJOR_OUTAGE, ServiceStatus.DEGRADED_PERFORMANCE
    hit = (affected("PUESC", down), *(affected(c, slow, by_parent=True) for c in GATEWAY_CHILDREN))
    statuses = {"PUESC": down, **dict.fromkeys(GATEWAY_CHILDREN, slow)}
    return page(statuses, incidents=(incident("gate", Text("PUESC nie działa", "PUESC does not work"), hit),))


def on_paper() -> PageSnapshot:
    """The gateway is down; what becomes of messages is said, and paper is allowed, withdrawn and not needed."""
    snapshot = gateway_down()
    (down, *others) = snapshot.incidents
    ncts2, aes = (NamedView(identifier(f"svc{code}"), code, Text(code, code)) for code in ("NCTS2", "AES"))
    allowed = FallbackView(
        id=identifier("fbncts2"),
        service=ncts2,
        function="Transit declaration",
        state=FallbackState.PERMITTED,
        reference="AW-2041",
        begins_at=NOW - timedelta(hours=2),
        ends_at=NOW + timedelta(hours=6),
        instructions=Text("Prosimy używać **wydruku**.", "Please use a **printed** form."),
        legal_basis=Text("Art. 6 ust. 3 UKC", "Article 6(3) UCC"),
        enter_within=timedelta(days=7),
        declared_at=NOW - timedelta(hours=2),
        withdrawn_at=None,
        is_current=True,
    )
    over_at = NOW - timedelta(minutes=30)
    return replace(
        snapshot,
        incidents=(
            replace(
                down,
                unaffected=(NamedView(identifier("svcCRPA"), "CRPA", Text("CRPA", "CRPA")),),
                handlings=(
                    HandlingView(
                        service=None,
                        handling=MessageHandling.RESEND,
                        sent_from=down.began_at,
                        sent_until=down.began_at + timedelta(minutes=15),
                        text=Text("Nie dotyczy SENT.", "Not those of SENT."),
                        declared_at=NOW,
                    ),
                ),
                fallbacks=(
                    allowed,
                    replace(
                        allowed,
                        id=identifier("fbaes"),
                        service=aes,
                        function="",
                        state=FallbackState.WITHDRAWN,
                        reference="AW-2042",
                        withdrawn_at=over_at,
                    ),
                    replace(
                        allowed,
                        id=identifier("fbold"),
                        state=FallbackState.NOT_NEEDED,
                        reference="AW-2040",
                        is_current=False,
                    ),
                ),
            ),
            *others,
        ),
    )


def half_translated() -> PageSnapshot:
    """Under pressure the officer wrote in Polish alone."""
    snapshot = on_paper()
    (down, *others) = snapshot.incidents
    newest = replace(down.updates[0], text=Text("Winna jest **zapora**.", ""))
    name = Text("Bramka PUESC nie przyjmuje komunikatów", "")
    return replace(
        snapshot, incidents=(replace(down, name=name, updates=(newest, *down.updates[1:])), *others)
    )


def planned() -> PageSnapshot:
    """Work under way, work tomorrow, work that was completed and work that was cancelled."""
    under = ServiceStatus.UNDER_MAINTENANCE
    notices = (
        maintenance("next", MaintenanceStatus.SCHEDULED, starts_at=NOW + timedelta(days=1), version=2),
        maintenance("now", MaintenanceStatus.IN_PROGRESS, starts_at=NOW - timedelta(hours=1), hit=("EMCS",)),
        maintenance("off", MaintenanceStatus.CANCELLED, starts_at=NOW - timedelta(days=9), version=3),
        maintenance("old", MaintenanceStatus.COMPLETED, starts_at=NOW - timedelta(days=30)),
    )
    return page({"EMCS": under}, maintenances=notices)


def never_measured() -> PageSnapshot:
    """A fresh catalogue: no monitor has answered yet."""
    return page(measured=False)


def archive() -> PageSnapshot:
    """Twenty incidents that are over, newest first."""
    down = ServiceStatus.PARTIAL_OUTAGE
    incidents = []
    for number in range(20):
        began_at = NOW - timedelta(days=3 * number + 1)
        name = Text(f"AES działa tylko częściowo ({number})", f"AES works only in part ({number})")
        ended_at = began_at + timedelta(hours=2)
        hit = (replace(affected("AES", down), status=ServiceStatus.OPERATIONAL),)
        incidents.append(incident(f"{number:02}", name, hit, began_at=began_at, ended_at=ended_at))
    return page(incidents=tuple(incidents))


SCENARIOS = {
    "all green": all_green,
    "one slow": one_slow,
    "one down": one_down,
    "gateway down": gateway_down,
    "on paper": on_paper,
    "planned": planned,
    "never measured": never_measured,
    "archive": archive,
}
