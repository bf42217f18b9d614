"""A service's answer times on the public site: a graph, and a page with the same as a table.

Read at most once a minute each, one at a time, and kept as bytes: readers cannot make the database work, however
many they are. What cannot be read anew is answered as it was.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from monitors import graph
from monitors.answer_times import Period, Point, Series, read_series
from monitors.history import DAY, HOUR
from statuspage.incidents.snapshot import Text
from statuspage.incidents.tables import Service
from statuspage.kernel import clock, web
from statuspage.kernel.errors import Invalid, NotFound, Unavailable
from statuspage.kernel.house import House
from statuspage.kernel.i18n import LANGUAGES
from statuspage.kernel.prepared import PAGE, Prepared, PreparedResponse, prepare

log = structlog.get_logger(__name__)

FRESH_S = 60.0
KEPT = 256  # readings; what was not asked for longest is forgotten
GRAPH_CACHE = "public, max-age=60"
_OPEN = (("Access-Control-Allow-Origin", "*"), ("Cross-Origin-Resource-Policy", "cross-origin"))


@dataclass(frozen=True, slots=True)
class Named:
    """A service as far as it is needed here."""

    id: str
    code: str
    name: Text


@dataclass(slots=True)
class Reading:
    """What was read at some moment, and the bytes made of it so far."""

    service: Named
    series: Series
    at: float  # monotonic
    made: dict[tuple[str, str], Prepared] = field(default_factory=dict)


class Readings:
    """Remembers what was read. For one event loop."""

    def __init__(self) -> None:
        self._services: dict[str, Named] = {}
        self._listed_at: float | None = None
        self._kept: OrderedDict[tuple[str, Period], Reading] = OrderedDict()
        self._reading = asyncio.Lock()  # one reader at a time, however many ask

    async def find(self, house: House, code: str, period: Period) -> Reading:
        """At most a minute old where the database answers. Raises NotFound, Unavailable."""
        key = (code, period)
        if (known := self._fresh(key)) is None:
            async with self._reading:
                if (known := self._fresh(key)) is None:
                    known = await self._read(house, key)
        self._kept.move_to_end(key)
        return known

    def _fresh(self, key: tuple[str, Period]) -> Reading | None:
        known = self._kept.get(key)
        return known if known and clock.monotonic() - known.at < FRESH_S else None

    async def _read(self, house: House, key: tuple[str, Period]) -> Reading:
        code, period = key
        try:
            service = await self._service(house, code)
            series = await house.db.read(read_series, service.id, period, now=clock.now())
        except Unavailable:
            if key not in self._kept:
                raise
            log.warning("latency.stale", service=code, period=period.value)
            self._kept[key].at = clock.monotonic()  # not again for a minute
            return self._kept[key]
        self._kept[key] = Reading(service, series, clock.monotonic())
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return self._kept[key]

    async def _service(self, house: House, code: str) -> Named:
        """Names that nobody has are refused from memory, too."""
        if self._listed_at is None or clock.monotonic() - self._listed_at >= FRESH_S:
            self._services = {one.code: one for one in await house.db.read(list_services)}
            self._listed_at = clock.monotonic()
        if code not in self._services:
            raise NotFound('there is no service "%(service)s"', service=code)
        return self._services[code]


def list_services(session: Session) -> list[Named]:
    """All that are shown."""
    columns = (Service.id, Service.code, Service.name_pl, Service.name_en)
    rows = session.execute(select(*columns).where(Service.archived_at.is_(None)).order_by(Service.position))
    return [Named(id, code, Text(pl, en)) for id, code, pl, en in rows]


# --- what is shown ---


@dataclass(frozen=True, slots=True)
class Row:
    """A point as a line of the table."""

    start: datetime
    is_day: bool
    p50: str
    p95: str
    p99: str
    answered: int
    failed: int


@dataclass(frozen=True, slots=True)
class Choice:
    """A period one may choose."""

    path: str
    name: str
    is_chosen: bool


class Shown:
    """One reading in one language."""

    def __init__(self, service: Named, series: Series, house: House, language: str) -> None:
        self.service = service
        self.series = series
        self.house = house
        self.language = language
        self._gettext = house.catalogues.translator(language)

    def graph(self) -> Prepared:
        """The SVG, for anybody's page."""
        words = graph.Words(self.title(), self.summary(), self._gettext("Nothing answered in this time."))
        return prepare(
            graph.svg(self.series, words, self.language, self.house.settings.zone),
            "image/svg+xml",
            cache=GRAPH_CACHE,
            vary="Accept-Encoding, Accept-Language",
            headers=(*_OPEN, ("Content-Security-Policy", graph.CONTENT_SECURITY_POLICY)),
        )

    def page(self) -> Prepared:
        """The graph with its table."""
        html = web.page(
            self.house,
            "monitors/latency.html",
            self.language,
            {
                "path": page_path(self.service.code, self.series.period),
                "prefix": f"/{self.language}",
                "user": None,
                "code": self.service.code,
                "name": self.service.name[self.language],
                "heading": self.title(),
                "summary": self.summary(),
                "graph": f"/{self.language}{graph_path(self.service.code, self.series.period)}",
                "choices": [
                    Choice(
                        page_path(self.service.code, period),
                        self.name_of(period),
                        period is self.series.period,
                    )
                    for period in Period
                ],
                "rows": [self.row(point) for point in reversed(self.series.points)],
                "is_by_day": self.series.period.step == DAY,
            },
            now=self.series.ends_at,
        )
        vary = "Accept-Encoding, Accept-Language"
        return prepare(html.encode(), "text/html; charset=utf-8", cache=PAGE, vary=vary)

    def title(self) -> str:
        return self._gettext("%(name)s: answer times in %(period)s") % {
            "name": self.service.name[self.language],
            "period": self.name_of(self.series.period),
        }

    def name_of(self, period: Period) -> str:
        match period:
            case Period.DAY:
                return self._gettext("the last 24 hours")
            case Period.WEEK:
                return self._gettext("the last 7 days")
            case Period.MONTH:
                return self._gettext("the last 30 days")
            case Period.QUARTER:
                return self._gettext("the last 90 days")

    def summary(self) -> str:
        total = self.series.total
        if not total.answered:
            return self._gettext("Nothing answered in this time.")
        return self._gettext(
            "Half of the answers took at most %(p50)s, 95 of 100 at most %(p95)s, 99 of 100 at most %(p99)s."
        ) % {"p50": self.ms(total.p50_ms), "p95": self.ms(total.p95_ms), "p99": self.ms(total.p99_ms)}

    def row(self, point: Point) -> Row:
        return Row(
            point.start,
            point.length > HOUR,
            self.ms(point.p50_ms),
            self.ms(point.p95_ms),
            self.ms(point.p99_ms),
            point.answered,
            point.failed,
        )

    def ms(self, value: float | None) -> str:
        """`7.5 ms`, `84 ms`: no more digits than the measurement has."""
        if value is None:
            return ""
        text = f"{value:.1f}" if value < 10 else f"{value:.0f}"
        return f"{text.replace('.', ',') if self.language == 'pl' else text}\N{NO-BREAK SPACE}ms"


def page_path(code: str, period: Period) -> str:
    """The address of a page, without language prefix."""
    return f"/services/{code}/latency{'' if period is Period.DAY else f'/{period}'}"


def graph_path(code: str, period: Period) -> str:
    """The address of a graph: a path that a static copy can have, too."""
    return f"/services/{code}/latency/{period}.svg"


# --- for nginx, when this program is dead ---


def static_files(
    session: Session, house: House, *, now: datetime, default_language: str
) -> Iterator[tuple[str, Prepared]]:
    """Each graph and page below the directory of a published site."""
    for service in list_services(session):
        for period in Period:
            series = read_series(session, service.id, period, now=now)
            for language in LANGUAGES:
                shown = Shown(service, series, house, language)
                yield from _at(graph_path(service.code, period), shown.graph(), language, default_language)
                page = f"{page_path(service.code, period)}/index.html"
                yield from _at(page, shown.page(), language, default_language)
                if period is Period.DAY:
                    embedded = f"/services/{service.code}/latency.svg"
                    yield from _at(embedded, shown.graph(), language, default_language)


def _at(
    path: str, prepared: Prepared, language: str, default_language: str
) -> Iterator[tuple[str, Prepared]]:
    yield f"{language}{path}", prepared
    if language == default_language:
        yield path.lstrip("/"), prepared


# --- web ---


def routes() -> list[BaseRoute]:
    """The addresses of graphs and pages; what they remember lives as long as they do."""
    readings = Readings()

    async def answer(request: Request, kind: str, period: Period, language: str) -> Response:
        house = web.house(request)
        reading = await readings.find(house, request.path_params["code"], period)
        if (made := reading.made.get((kind, language))) is None:
            shown = Shown(reading.service, reading.series, house, language)
            made = shown.graph() if kind == "graph" else shown.page()
            reading.made[kind, language] = made
        return PreparedResponse(made)

    async def graph_by_query(request: Request) -> Response:
        period, language = _asked(request.query_params, web.language(request))
        return await answer(request, "graph", period, language)

    async def graph_by_path(request: Request) -> Response:
        return await answer(request, "graph", _period(request), web.language(request))

    async def page(request: Request) -> Response:
        return await answer(request, "page", _period(request), web.language(request))

    return [
        Route("/services/{code}/latency.svg", graph_by_query),
        Route("/services/{code}/latency/{period}.svg", graph_by_path),
        Route("/services/{code}/latency", page),
        Route("/services/{code}/latency/{period}", page),
    ]


def _period(request: Request) -> Period:
    asked = request.path_params.get("period", Period.DAY)
    if asked not in _values(Period):
        raise NotFound('"%(asked)s" is none of %(known)s', asked=asked, known=", ".join(_values(Period)))
    return Period(asked)


def _asked(query: Mapping[str, str], language: str) -> tuple[Period, str]:
    """Period and language of `?period=7d&lang=pl`. Raises Invalid for values we do not know."""
    period, wanted = query.get("period", Period.DAY), query.get("lang", language)
    if period not in _values(Period):
        raise Invalid("period", "choose one of %(known)s", known=", ".join(_values(Period)))
    if wanted not in LANGUAGES:
        raise Invalid("lang", "choose one of %(known)s", known=", ".join(LANGUAGES))
    return Period(period), wanted


def _values(enum: type[Period]) -> Sequence[str]:
    return [member.value for member in enum]
