"""The page of one service: how it stands, its days, months and years, its outages, what it depends on.

View models and the page's function; the frame and what other pages share stand in `views`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from itertools import groupby

from markupsafe import Markup

from statuspage.incidents.rules import ServiceStatus
from statuspage.incidents.snapshot import Day, IntervalView, Month, NoticeView
from statuspage.incidents.uptime import by_year
from statuspage.kernel.i18n import format_day, format_duration_words, format_month
from statuspage.site import charts, outages
from statuspage.site.views import Outage, View

SAID_AS_VERB = frozenset({"ok", "slow", "part", "down"})  # "NCTS2 works", but "NCTS2: planned work"
SHOWN_OUTAGES = 50  # the files have them all
SHOWN_MONTHS = 12  # earlier ones are a click away
SHOWN_INCIDENTS = 10


@dataclass(frozen=True, slots=True)
class DayRow:
    """A day of the bar as a line of the table. Minutes are begun minutes, so that none is told as nothing."""

    id: str
    day: str
    css: str
    word: str
    down_min: int
    slow_min: int
    unknown_min: int
    planned_min: int


@dataclass(frozen=True, slots=True)
class Period:
    """A month or a year and what it comes to."""

    name: str
    is_year: bool
    uptime: str  # empty where nothing counts
    down: str
    planned: str
    unknown: str


@dataclass(frozen=True, slots=True)
class Told:
    """A measured outage, and the incident that tells of it."""

    outage: Outage
    is_of_one_day: bool  # its end needs no day
    incident_id: str
    incident: str


def service(view: View, key: str) -> str | None:
    """The page of the service with the code `key`."""
    found = next((service for service in view.snapshot.services if service.code == key), None)
    if found is None:
        return None
    snapshot, row = view.snapshot, view.row(found)
    days = day_rows(view, found.days)
    months = [period(view, month) for month in found.months]
    years = [period(view, year) for _, year in by_year(found.months)]
    past = [view.card(n) for n in snapshot.incidents if not n.is_open and _names(n, key)]
    return view.page(
        f"/services/{key}",
        "site/service.html",
        row=row,
        heading=f"{row.name}{' ' if row.badge.css in SAID_AS_VERB else ': '}{row.badge.word}",
        icon_fill=charts.HUES[row.badge.css],
        service=found,
        cards=[view.card(n) for n in (*snapshot.open_incidents, *snapshot.planned) if _names(n, key)],
        past=past[:SHOWN_INCIDENTS],
        bar=bar(found.days, days, view.bar_label(found)),
        bar_label=view.bar_label(found),
        days=days,
        years=years if len(years) > 1 else [],
        months=months[:SHOWN_MONTHS],
        earlier=months[SHOWN_MONTHS:],
        outages=[told(view, key, interval) for interval in found.intervals[:SHOWN_OUTAGES]],
        left_out=max(0, len(found.intervals) - SHOWN_OUTAGES),
        is_measured=found.first_measured_at is not None,
        parents=view.links(found.parents),
        children=view.links(found.children),
        counts_maintenance=view.house.settings.page.uptime_counts_maintenance,
    )


def _names(notice: NoticeView, code: str) -> bool:
    return any(affected.code == code for affected in notice.affected)


# --- days ---


def day_rows(view: View, days: Sequence[Day]) -> list[DayRow]:
    """The newest first."""
    return [
        DayRow(
            id=f"day-{day.day:%Y-%m-%d}",
            day=format_day(
                datetime.combine(day.day, time(12), view.zone), view.language, view.zone, view.now
            ),
            css=charts.UNMEASURED if day.status is None else charts.CLASSES[day.status],
            word=_word_of_day(view, day),
            down_min=_minutes(day.down_s),
            slow_min=_minutes(day.degraded_s),
            unknown_min=_minutes(day.unknown_s),
            planned_min=_minutes(day.maintenance_s),
        )
        for day in reversed(days)
    ]


def _minutes(seconds: int) -> int:
    return -(-seconds // 60)


def _word_of_day(view: View, day: Day) -> str:
    gettext = view.catalogues.translator(view.language)
    match day.status:
        case None:
            return gettext("was not measured")
        case ServiceStatus.OPERATIONAL:
            return gettext("worked while it was measured") if day.unknown_s else gettext("worked all day")
        case ServiceStatus.DEGRADED_PERFORMANCE:
            return gettext("was slow or limited")
        case ServiceStatus.PARTIAL_OUTAGE:
            return gettext("did not work in part")
        case ServiceStatus.MAJOR_OUTAGE:
            return gettext("did not work")
        case _:
            return gettext("planned work")


def bar(days: Sequence[Day], rows: Sequence[DayRow], label: str) -> Markup:
    """The bar of days, in which each run of days that were not good leads to its line in the table.

    By keyboard one goes from trouble to trouble, not through ninety days; good ones stand in the table.
    """
    links = Markup("").join(_links(list(reversed(rows))))
    return charts.bar(days, label, links=links)


def _links(rows: Sequence[DayRow]) -> Iterator[Markup]:
    x = 0
    for css, run in groupby(rows, key=lambda row: row.css):
        same = list(run)
        width = charts.DAY_WIDTH * len(same)
        if css not in ("ok", charts.UNMEASURED):
            first, last = same[0], same[-1]
            when = first.day if first is last else f"{first.day} – {last.day}"
            yield Markup(
                '<a href="#{}" aria-label="{label}"><title>{label}</title>'
                '<rect x="{}" width="{}" height="{}" fill="none" pointer-events="all"/></a>'
            ).format(last.id, x, width, charts.HEIGHT, label=f"{when}: {last.word}")
        x += width


# --- months, years, outages ---


def period(view: View, month: Month) -> Period:
    """A month; a year is one of number 0."""
    name = format_month(month.year, month.month, view.language) if month.month else str(month.year)

    def words(seconds: int) -> str:
        return format_duration_words(timedelta(seconds=seconds), view.language) if seconds else ""

    return Period(
        name=name,
        is_year=month.month == 0,
        uptime=charts.percent(month.uptime, view.language),
        down=words(month.down_s),
        planned=words(month.maintenance_s),
        unknown=words(month.unknown_s),
    )


def told(view: View, code: str, interval: IntervalView) -> Told:
    """A line of the list of outages."""
    notice = outages.telling(view.snapshot, code, interval)
    name = notice.name[view.language] if notice else ""
    days = {at.astimezone(view.zone).date() for at in (interval.began_at, interval.ended_at) if at}
    return Told(view.outage(interval), len(days) == 1, notice.id if notice else "", name)
