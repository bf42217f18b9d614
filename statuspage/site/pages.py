"""The public pages, rendered from one PageSnapshot ahead of requests. Each kind of page is one function.

No database, no clock, no request. A further page is a function `page(view, key) -> str | None` in the table
below, and its addresses in `paths`.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from statuspage.incidents.rules import MaintenanceStatus
from statuspage.incidents.snapshot import PageSnapshot
from statuspage.kernel.house import House
from statuspage.site import archive, charts, news, plans, statements
from statuspage.site.assets import asset, assets
from statuspage.site.headline import headline
from statuspage.site.service_page import service
from statuspage.site.views import View

__all__ = ["asset", "assets", "paths", "render"]

FILTER_FROM = 12  # services; fewer are found by looking


ANSWERS_QUERIES = frozenset({"/history"})  # with a query the router answers, not the prepared page


def render(snapshot: PageSnapshot, path: str, language: str, house: House, *, now: datetime) -> str | None:
    """The page at `path` (without language prefix), or None where there is none."""
    room, _, key = path.removeprefix("/").partition("/")
    page = _PAGES.get(room)
    if page is None or (path.endswith("/") and path != "/"):
        return None
    return page(View(snapshot, language, house, now), key)


def paths(snapshot: PageSnapshot, zone: ZoneInfo) -> Iterator[str]:
    """The address of every public page (without language prefix), the front page first."""
    yield "/"
    yield from ("/history", "/maintenance", "/news", "/contact", "/accessibility", "/privacy")
    yield from (f"/services/{service.code}" for service in snapshot.services)
    yield from (f"/incidents/{notice.id}" for notice in (*snapshot.incidents, *snapshot.maintenances))
    yield from (f"/news/{item.id}" for item in snapshot.news)
    yield from (f"/history/{key}" for key in archive.month_keys(snapshot, zone))
    yield from (f"/maintenance/{key}" for key in plans.month_keys(snapshot, zone))


def settled(snapshot: PageSnapshot, path: str, zone: ZoneInfo) -> tuple[object, ...] | None:
    """What the page at `path` depends on, where that does not change any more but by a correction.

    None for the pages that tell of the present: they are made anew every minute.
    """
    room, _, key = path.removeprefix("/").partition("/")
    neighbours: tuple[str, ...] = ()
    if room == "incidents":
        notices = [n for n in (*snapshot.incidents, *snapshot.maintenances) if n.id == key]
    elif room == "history" and key:
        notices = [n for n in archive.over(snapshot) if f"{n.began_at.astimezone(zone):%Y-%m}" == key]
        neighbours = tuple(archive.month_keys(snapshot, zone))
    else:
        return None
    if any(notice.is_open for notice in notices):
        return None
    today = snapshot.built_at.astimezone(zone).date()  # "yesterday" is true for a day
    return (today, *notices, *neighbours)


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
        news=news.on_front(view),
    )


def notice(view: View, key: str) -> str | None:
    """The permalink of an incident or of planned work."""
    wanted = view.snapshot.merged.get(key, key)
    found = next((n for n in (*view.snapshot.incidents, *view.snapshot.maintenances) if n.id == wanted), None)
    if found is None:
        return None
    card = view.card(found)
    return view.page(
        f"/incidents/{wanted}",
        "site/notice.html",
        card=card,
        merged_from=key != wanted,
        is_settled=not card.is_open and not any(paper.remaining for paper in card.evidence.papers),
    )


# By the first part of the address; the rest is the key.
_PAGES: Mapping[str, Callable[[View, str], str | None]] = {
    "": front,
    "accessibility": statements.accessibility,
    "contact": statements.contact,
    "history": archive.history,
    "incidents": notice,
    "maintenance": plans.maintenance,
    "news": news.news,
    "privacy": statements.privacy,
    "services": service,
}
