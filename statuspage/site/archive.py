"""The archive: what did not work and when, month by month, and a search through all of it.

The search reads the snapshot in memory, never the database. Its bounds stand at the top.
"""

import asyncio
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from zoneinfo import ZoneInfo

from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route

from statuspage.incidents.rules import MaintenanceStatus, NoticeKind
from statuspage.incidents.snapshot import NoticeView, PageSnapshot
from statuspage.kernel import web
from statuspage.kernel.folding import composed, fold
from statuspage.kernel.i18n import LANGUAGES, format_month
from statuspage.kernel.prepared import PAGE
from statuspage.site.views import Card, View

NEWEST = 40  # notices on /history; whole months, so that it may be some more
MAX_QUERY = 100  # characters
MAX_WORDS = 8
MAX_RESULTS = 50
_AROUND = 70  # characters of text on each side of what was found
_MONTH = re.compile(r"(\d{4})-(0[1-9]|1[0-2])")
KINDS = {"incident": NoticeKind.INCIDENT, "maintenance": NoticeKind.MAINTENANCE}


@dataclass(frozen=True, slots=True)
class Month:
    """A month of the archive. `key` is the end of its address; `cards` are its notices, newest first."""

    key: str
    name: str
    count: int
    cards: tuple[Card, ...] = ()


@dataclass(frozen=True, slots=True)
class Year:
    """The months of a year that have something."""

    year: int
    months: tuple[Month, ...]


def history(view: View, key: str) -> str | None:
    """The newest months, or the one of the key `2026-11`."""
    by_month = {month: notices for month, notices in _by_month(view)}
    if key:
        match = _MONTH.fullmatch(key)
        return _month_page(view, by_month, (int(match[1]), int(match[2]))) if match else None
    shown: list[Month] = []
    for month, notices in by_month.items():
        if shown and sum(one.count for one in shown) + len(notices) > NEWEST:
            break
        shown.append(_month(view, month, notices))
    return view.page(
        "/history", "site/history.html", months=shown, years=_years(view, by_month), **_form(view)
    )


def month_keys(snapshot: PageSnapshot, zone: ZoneInfo) -> Iterator[str]:
    """`2026-11` for each month that has a page, newest first."""
    yield from dict.fromkeys(f"{notice.began_at.astimezone(zone):%Y-%m}" for notice in over(snapshot))


def _month_page(
    view: View, by_month: Mapping[tuple[int, int], Sequence[NoticeView]], month: tuple[int, int]
) -> str | None:
    if month not in by_month:
        return None
    keys = list(by_month)
    at = keys.index(month)
    newer, older = keys[at - 1] if at else None, keys[at + 1] if at + 1 < len(keys) else None
    shown = _month(view, month, by_month[month])
    return view.page(
        f"/history/{shown.key}",
        "site/history_month.html",
        is_settled=not any(notice.is_open for notice in by_month[month]),
        month=shown,
        newer=_month(view, newer) if newer else None,
        older=_month(view, older) if older else None,
    )


def _by_month(view: View) -> Iterator[tuple[tuple[int, int], list[NoticeView]]]:
    for month, some in groupby(over(view.snapshot), key=view.month):
        yield month, list(some)


def over(snapshot: PageSnapshot) -> list[NoticeView]:
    """All that has begun, newest first."""
    begun = (
        n for n in (*snapshot.incidents, *snapshot.maintenances) if n.status != MaintenanceStatus.SCHEDULED
    )
    return sorted(begun, key=lambda notice: notice.began_at, reverse=True)


def _month(view: View, month: tuple[int, int], notices: Sequence[NoticeView] = ()) -> Month:
    cards = tuple(view.card(notice) for notice in notices)
    return Month(f"{month[0]}-{month[1]:02}", format_month(*month, view.language), len(notices), cards)


def _years(view: View, by_month: Mapping[tuple[int, int], Sequence[NoticeView]]) -> list[Year]:
    counted = [
        (year, Month(f"{year}-{month:02}", format_month(year, month, view.language), len(notices)))
        for (year, month), notices in by_month.items()
    ]
    return [
        Year(year, tuple(month for _, month in some))
        for year, some in groupby(counted, key=lambda pair: pair[0])
    ]


# --- searching ---


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is searched for, checked and cut to its bounds."""

    query: str = ""
    service: str = ""
    kind: str = ""
    year: int = 0

    @property
    def words(self) -> tuple[str, ...]:
        """Folded; each has to be found."""
        return tuple(dict.fromkeys(fold(composed(self.query)).split()))[:MAX_WORDS]

    @property
    def is_something(self) -> bool:
        return bool(self.words or self.service or self.kind or self.year)


@dataclass(frozen=True, slots=True)
class Hit:
    """A notice that was found; `name` and `excerpt` have the words marked."""

    card: Card
    name: Markup
    excerpt: Markup


class Index:
    """The folded text of every notice, kept as long as the notice stays the same object."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[NoticeView, str]] = {}

    def texts(self, notices: Iterable[NoticeView]) -> dict[str, str]:
        """By id."""
        fresh = {}
        for notice in notices:
            known = self._known.get(notice.id)
            fresh[notice.id] = known if known and known[0] is notice else (notice, _folded(notice))
        self._known = fresh
        return {id: text for id, (_, text) in fresh.items()}


def _folded(notice: NoticeView) -> str:
    """Everything that can be searched, in both languages."""
    parts = [notice.id, notice.name.pl, notice.name.en]
    for affected in notice.affected:
        parts += [affected.code, affected.name.pl, affected.name.en]
    for update in notice.updates:
        parts += [update.text.pl, update.text.en]
    return fold(composed("\n".join(parts)))


def wanted_of(values: Mapping[str, str]) -> Wanted:
    """From a query string; what makes no sense counts as not asked for."""
    year = values.get("year", "")
    kind = values.get("kind", "")
    return Wanted(
        query=" ".join(values.get("q", "")[:MAX_QUERY].split()),
        service=values.get("service", "")[:MAX_QUERY],
        kind=kind if kind in KINDS else "",
        year=int(year) if re.fullmatch(r"[12]\d{3}", year) else 0,
    )


def find(view: View, wanted: Wanted, index: Index) -> list[NoticeView]:
    """Those with every word, newest first."""
    notices = over(view.snapshot)
    texts = index.texts(notices)
    words = wanted.words
    return [
        notice
        for notice in notices
        if (not wanted.kind or notice.kind == KINDS[wanted.kind])
        and (not wanted.year or view.month(notice)[0] == wanted.year)
        and (not wanted.service or any(a.code == wanted.service for a in notice.affected))
        and all(word in texts[notice.id] for word in words)
    ]


def results(view: View, wanted: Wanted, index: Index) -> str:
    """The page of what was found."""
    found = find(view, wanted, index)
    hits = [_hit(view, notice, wanted.words) for notice in found[:MAX_RESULTS]]
    return view.page(
        "/history", "site/search.html", hits=hits, count=len(found), most=MAX_RESULTS, **_form(view, wanted)
    )


def _hit(view: View, notice: NoticeView, words: Sequence[str]) -> Hit:
    card = view.card(notice)
    return Hit(card, mark(composed(card.name), words), _excerpt(notice, words, view.language))


def _excerpt(notice: NoticeView, words: Sequence[str], language: str) -> Markup:
    """The surroundings of the first word that stands in an update; the reader's language first."""
    for tongue in (language, *(other for other in LANGUAGES if other != language)):
        for update in notice.updates:
            text = composed(" ".join(update.text[tongue].split()))
            places = [place for word in words if (place := fold(text).find(word)) >= 0]
            if places:
                begin, end = max(0, min(places) - _AROUND), min(places) + 2 * _AROUND
                cut = f"{'…' if begin else ''}{text[begin:end]}{'…' if end < len(text) else ''}"
                marked = mark(cut, words)
                return (
                    marked
                    if tongue == language
                    else Markup('<span lang="{}">{}</span>').format(tongue, marked)
                )
    return Markup()


def mark(text: str, words: Sequence[str]) -> Markup:
    """`text` escaped, with every place of `words` (folded) marked."""
    folded = fold(text)
    spans = [(match.start(), match.end()) for word in words for match in re.finditer(re.escape(word), folded)]
    spans.sort(key=lambda span: (span[0], -span[1]))  # of two that begin together, the longer one
    out, at = Markup(), 0
    for begin, end in spans:
        if end <= at:
            continue
        begin = max(begin, at)
        out += escape(text[at:begin]) + Markup("<mark>{}</mark>").format(text[begin:end])
        at = end
    return out + escape(text[at:])


def _form(view: View, wanted: Wanted | None = None) -> dict[str, object]:
    years = sorted({view.month(notice)[0] for notice in over(view.snapshot)}, reverse=True)
    return {
        "wanted": wanted or Wanted(),
        "services": [(s.code, s.name[view.language]) for s in view.snapshot.services],
        "search_years": years,
        "max_query": MAX_QUERY,
    }


def routes(view_of: Callable[[str], View | None]) -> list[BaseRoute]:
    """`view_of` gives the current view in a language, or None while there is none."""
    index, one_at_a_time = Index(), asyncio.Lock()

    async def search(request: Request) -> Response:
        view, wanted = view_of(web.language(request)), wanted_of(request.query_params)
        if view is None:
            return Response("starting\n", 503, {"Retry-After": "5"})
        async with one_at_a_time:  # a reader waits for another's search; the pages' readers wait for none
            if wanted.is_something:
                text = await asyncio.to_thread(results, view, wanted, index)
            else:
                text = await asyncio.to_thread(lambda: history(view, "") or "")
        return HTMLResponse(text, headers={"Cache-Control": PAGE, "Vary": "Accept-Language"})

    return [Route("/history", search)]
