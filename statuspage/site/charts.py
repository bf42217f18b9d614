"""The bar of 90 days: one SVG in which height tells as much as colour, and what it says in words."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

from markupsafe import Markup, escape

from statuspage.incidents.rules import ServiceStatus
from statuspage.incidents.snapshot import Day
from statuspage.kernel.i18n import Catalogues

# CSS class of each status; the stylesheet owns the hues.
CLASSES: Mapping[str, str] = {
    ServiceStatus.OPERATIONAL: "ok",
    ServiceStatus.DEGRADED_PERFORMANCE: "slow",
    ServiceStatus.PARTIAL_OUTAGE: "part",
    ServiceStatus.MAJOR_OUTAGE: "down",
    ServiceStatus.UNDER_MAINTENANCE: "work",
}
UNMEASURED = "none"
# The stylesheet's light hues, for pictures that cannot read it: icons in tabs, badges.
HUES = {
    "ok": "0a6e5f",
    "slow": "7a5200",
    "part": "9c4200",
    "down": "b3121d",
    "work": "3d4fa8",
    "none": "55606b",
}

DAY_WIDTH, HEIGHT = 4, 24
# Worse days stand taller, so that the bar is read without telling colours apart.
HEIGHTS = {"ok": 10, "work": 6, "none": 10, "slow": 15, "part": 19, "down": 24}


COUNTED = ("down", "part", "slow", "work", UNMEASURED)
KEPT = 1024  # services whose days are remembered


@dataclass(frozen=True, slots=True)
class _Drawn:
    """Days in the shape that both languages and every page share."""

    days: Sequence[Day]  # held, so that no other sequence gets its identity
    svg: Markup  # without its label
    counts: tuple[int, ...]  # as COUNTED


_drawn: dict[int, _Drawn] = {}


def _draw(days: Sequence[Day]) -> _Drawn:
    """Once for the same sequence: comparing 90 days would cost more than drawing them."""
    found = _drawn.get(id(days))
    if found is None:
        classes = tuple(UNMEASURED if day.status is None else CLASSES[day.status] for day in days)
        found = _Drawn(days, _paths(classes), tuple(classes.count(name) for name in COUNTED))
        if not isinstance(days, tuple):
            return found  # it may change
        if len(_drawn) >= KEPT:
            _drawn.clear()
        _drawn[id(days)] = found
    return found


@lru_cache(maxsize=2048)
def _paths(classes: tuple[str, ...]) -> Markup:
    """One path per class, neighbouring days merged; a day without a measurement is never shown as working.

    Most services of most days share a few of these.
    """
    drawn: dict[str, list[str]] = {}
    x = 0
    for name, run in groupby(classes):
        width = DAY_WIDTH * len(list(run))
        drawn.setdefault(name, []).append(f"M{x} {HEIGHT}v-{HEIGHTS[name]}h{width}v{HEIGHTS[name]}z")
        x += width
    return Markup("").join(
        Markup('<path class="{}"{} d="{}"/>').format(
            # A reference in the stylesheet would look for the pattern in the stylesheet.
            name,
            Markup(' fill="url(#hatch)"') if name == UNMEASURED else "",
            "".join(steps),
        )
        for name, steps in drawn.items()
    )


def bar(days: Sequence[Day], label: str, *, links: Markup | None = None) -> Markup:
    """The bar, with `label` for those who do not see it; with `links` drawn over it, it is a group of them."""
    return Markup(  # noqa: S704 - numbers, an escaped label, our own paths and links
        f'<svg class="bar" viewBox="0 0 {DAY_WIDTH * max(1, len(days))} {HEIGHT}" preserveAspectRatio="none"'
        f' role="{"group" if links else "img"}" aria-label="{escape(label)}">{_draw(days).svg}{links or ""}</svg>'
    )


def percent(share: float | None, language: str) -> str:
    """`99,95 %`, `99.95%`; cut, never rounded up to a perfection that was not reached. Empty if unknown."""
    if share is None:
        return ""
    text = f"{math.floor(share * 10_000 + 1e-9) / 100:.2f}".replace("100.00", "100")
    return text.replace(".", ",") + "\N{NO-BREAK SPACE}%" if language == "pl" else text + "%"


def describe(days: Sequence[Day], uptime: float | None, catalogues: Catalogues, language: str) -> str:
    """The bar in words: the availability, and on how many days what happened."""
    return _description(len(days), _draw(days).counts, percent(uptime, language), catalogues, language)


@lru_cache(maxsize=2048)
def _description(
    total: int, counts: tuple[int, ...], share: str, catalogues: Catalogues, language: str
) -> str:
    forms = (
        ("outage on %(num)s day", "outage on %(num)s days"),
        ("partial outage on %(num)s day", "partial outage on %(num)s days"),
        ("slow or limited on %(num)s day", "slow or limited on %(num)s days"),
        ("planned work on %(num)s day", "planned work on %(num)s days"),
        ("not measured on %(num)s day", "not measured on %(num)s days"),
    )
    first = catalogues.ngettext(language, "the last day", "the last %(num)s days", total) % {"num": total}
    parts = (
        [catalogues.gettext(language, "available %(share)s of the time") % {"share": share}] if share else []
    )
    parts += [
        catalogues.ngettext(language, singular, plural, count) % {"num": count}
        for (singular, plural), count in zip(forms, counts, strict=True)
        if count
    ]
    return f"{first}: {', '.join(parts)}" if parts else first
