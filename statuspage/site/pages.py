"""The public pages, rendered from one PageSnapshot ahead of requests. Each kind of page is one function.

No database, no clock, no request. A further page is a function `page(view, key) -> str | None` in the table
below, and its addresses in `paths`.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from itertools import groupby

from statuspage.incidents.rules import MaintenanceStatus
from statuspage.incidents.snapshot import PageSnapshot
from statuspage.kernel.house import House
from statuspage.kernel.i18n import format_month
from statuspage.site import charts
from statuspage.site.assets import asset, assets
from statuspage.site.headline import headline
from statuspage.site.service_page import service
from statuspage.site.views import View

__all__ = ["asset", "assets", "paths", "render"]

FILTER_FROM = 12  # services; fewer are found by looking


def render(snapshot: PageSnapshot, path: str, language: str, house: House, *, now: datetime) -> str | None:
    """The page at `path` (without language prefix), or None where there is none."""
    room, _, key = path.removeprefix("/").partition("/")
    page = _PAGES.get(room)
    if page is None or (path.endswith("/") and path != "/"):
        return None
    return page(View(snapshot, language, house, now), key)


def paths(snapshot: PageSnapshot) -> Iterator[str]:
    """The address of every public page (without language prefix), the front page first."""
    yield "/"
    yield "/history"
    yield from (f"/services/{service.code}" for service in snapshot.services)
    yield from (f"/incidents/{notice.id}" for notice in (*snapshot.incidents, *snapshot.maintenances))


def front(view: View, key: str) -> str | None:
    """Does it work? If not: what, since when, and what to do."""
    if key:
        return None
    snapshot = view.snapshot
    services = snapshot.services
    planned = [notice for notice in snapshot.planned if notice.status == MaintenanceStatus.SCHEDULED]
    under_way = [notice for notice in snapshot.planned if notice.status != MaintenanceStatus.SCHEDULED]
    head = headline(
        services, view.catalogues, view.language, lambda service: view.instant(service.status_since)
    )
    last = next((notice for notice in snapshot.incidents if not notice.is_open), None)
    return view.page(
        "/",
        "site/front.html",
        headline=head,
        last=view.card(last) if last and head.is_calm and not snapshot.open_incidents else None,
        cards=[view.card(notice) for notice in (*snapshot.open_incidents, *under_way)],
        blocks=[view.block(group) for group in snapshot.groups if group.services],
        planned=[view.card(notice) for notice in planned],
        days=max((len(service.days) for service in services), default=90),
        icon_fill=charts.HUES[head.css],
        heights=charts.HEIGHTS,
        may_filter=len(services) >= FILTER_FROM,
    )


def history(view: View, key: str) -> str | None:
    """Everything that was ever published, by month."""
    if key:
        return None
    snapshot = view.snapshot
    notices = sorted(
        (n for n in (*snapshot.incidents, *snapshot.maintenances) if n.status != MaintenanceStatus.SCHEDULED),
        key=lambda notice: notice.began_at,
        reverse=True,
    )
    months = [
        (format_month(year, month, view.language), [view.card(notice) for notice in some])
        for (year, month), some in groupby(notices, key=view.month)
    ]
    return view.page("/history", "site/history.html", months=months)


def notice(view: View, key: str) -> str | None:
    """The permalink of an incident or of planned work."""
    wanted = view.snapshot.merged.get(key, key)
    found = next((n for n in (*view.snapshot.incidents, *view.snapshot.maintenances) if n.id == wanted), None)
    if found is None:
        return None
    return view.page(
        f"/incidents/{wanted}", "site/notice.html", card=view.card(found), merged_from=key != wanted
    )


# By the first part of the address; the rest is the key.
_PAGES: Mapping[str, Callable[[View, str], str | None]] = {
    "": front,
    "history": history,
    "incidents": notice,
    "services": service,
}
