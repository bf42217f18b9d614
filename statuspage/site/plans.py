"""The calendar of planned work: what is ahead, and each month's work with what became of it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from zoneinfo import ZoneInfo

from statuspage.incidents import planned_words
from statuspage.incidents.snapshot import NoticeView, PageSnapshot
from statuspage.kernel.i18n import format_month
from statuspage.site.views import Card, View

_MONTH = re.compile(r"(\d{4})-(0[1-9]|1[0-2])")


@dataclass(frozen=True, slots=True)
class Work:
    """A row of the calendar."""

    card: Card
    announced: str  # how early; "" where it was not before it began


@dataclass(frozen=True, slots=True)
class Month:
    key: str
    name: str
    count: int


def maintenance(view: View, key: str) -> str | None:
    """All that is ahead, or the month of the key `2026-11`."""
    by_month = {month: list(some) for month, some in _by_month(view)}
    months = [
        Month(f"{y}-{m:02}", format_month(y, m, view.language), len(n)) for (y, m), n in by_month.items()
    ]
    if not key:
        ahead = [_work(view, notice) for notice in view.snapshot.planned]
        return view.page("/maintenance", "site/maintenance.html", works=ahead, months=months, month=None)
    match = _MONTH.fullmatch(key)
    notices = by_month.get((int(match[1]), int(match[2]))) if match else None
    if notices is None:
        return None
    return view.page(
        f"/maintenance/{key}",
        "site/maintenance.html",
        works=[_work(view, notice) for notice in notices],
        months=months,
        month=next(month for month in months if month.key == key),
    )


def month_keys(snapshot: PageSnapshot, zone: ZoneInfo) -> Iterator[str]:
    """`2026-11` for each month with planned work, the latest first."""
    found = {f"{_begins_at(notice).astimezone(zone):%Y-%m}" for notice in snapshot.maintenances}
    yield from sorted(found, reverse=True)


def _by_month(view: View) -> Iterator[tuple[tuple[int, int], Iterator[NoticeView]]]:
    """The latest month first; within it as the days follow."""

    def month(notice: NoticeView) -> tuple[int, int]:
        local = _begins_at(notice).astimezone(view.zone)
        return local.year, local.month

    in_order = sorted(view.snapshot.maintenances, key=_begins_at)
    in_order.sort(key=month, reverse=True)
    yield from groupby(in_order, key=month)


def _begins_at(notice: NoticeView) -> datetime:
    return notice.scheduled_for or notice.began_at


def _work(view: View, notice: NoticeView) -> Work:
    card = view.card(notice)
    if card.plan and card.plan.announced:
        return Work(card, card.plan.announced)
    ahead = _begins_at(notice) - notice.published_at
    early = planned_words.length(ahead, view.catalogues, view.language)
    told = view.catalogues.gettext(view.language, "announced {early} ahead")
    return Work(card, told.format(early=early) if ahead > timedelta(0) else "")
