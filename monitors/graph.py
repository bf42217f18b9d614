"""The graph of answer times: one SVG for every width, both colour schemes, and eyes that tell no colours apart.

Pure: points in, SVG out. The outermost picture has no viewBox, so that text keeps its size on a phone; only the
lines are stretched. Everything has its light colours as attributes. The dark ones stand in a style sheet that
never changes, so that the answer's content security policy can name its hash; where that is refused, the graph is
light.
"""

import base64
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import ceil, floor, log10
from xml.sax.saxutils import escape, quoteattr
from zoneinfo import ZoneInfo

from monitors.answer_times import Period, Point, Series
from monitors.history import DAY, HOUR
from statuspage.kernel.i18n import format_clock, format_short_day

STYLE = (
    "@media(prefers-color-scheme:dark){.paper{fill:#10161d}.halo{stroke:#10161d}.ink{fill:#e8edf2}"
    ".muted{fill:#a9b5c1}.grid{stroke:#364352}.p50{stroke:#8ab8ff}.p95{stroke:#e8edf2}.p99{stroke:#a9b5c1}}"
)
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'sha256-"
    f"{base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}'"
)
HEIGHT = 280  # it is as wide as its place
TOP, BOTTOM = 28, 28  # room for a label above the highest line, and for the time below
PLOT = HEIGHT - TOP - BOTTOM
SCALE = 1000  # of the plot, from left to right

# Told apart by dash and width; the hues of statuses are for statuses alone.
LINES = {
    "p99": ("#4a5866", 1.5, "1.5 3.5"),
    "p95": ("#16202b", 1.5, "7 4"),
    "p50": ("#1d4f91", 2.5, "none"),
}
_LABEL_GAP, _LABEL_SHARE = 15, 0.06  # of a line's name: its height, and how much of the width it takes


@dataclass(frozen=True, slots=True)
class Words:
    """What the graph says in its reader's language."""

    title: str
    description: str
    nothing: str  # where nothing answered


def svg(series: Series, words: Words, language: str, zone: ZoneInfo) -> bytes:
    """The picture of a period."""
    top_ms = _top_ms(series.points)
    inside = (
        [*_grid(top_ms, language), _lines(series, top_ms), *_labels(series, top_ms)]
        if series.total.answered
        else [_text("50%", HEIGHT // 2, words.nothing, anchor="middle", css="muted", fill="#4a5866")]
    )
    return "".join(
        [
            # With a width of its own a browser would stretch it, text and all, like a photograph.
            f'<svg xmlns="http://www.w3.org/2000/svg" width="100%" height="{HEIGHT}" role="img" '
            f"aria-label={quoteattr(words.title)} font-family=\"system-ui,'Segoe UI',Roboto,"
            '\'DejaVu Sans\',sans-serif" font-size="13">',
            f"<title>{escape(words.title)}</title><desc>{escape(words.description)}</desc>",
            f"<style>{STYLE}</style>",
            '<rect width="100%" height="100%" fill="#fff" class="paper"/>',
            *inside,
            *_times(series, language, zone),
            "</svg>\n",
        ]
    ).encode()


def ticks(top_ms: float) -> list[float]:
    """Round milliseconds from 0 to the first that is not below `top_ms`: three to six of them."""
    rough = max(top_ms, 1e-3) / 4
    power = 10.0 ** floor(log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough)
    return [round(step * i, 6) for i in range(ceil(top_ms / step - 1e-9) + 1)]


def _top_ms(points: Sequence[Point]) -> float:
    highest = max((point.p99_ms for point in points if point.p99_ms is not None), default=1.0)
    return ticks(highest)[-1]


def _y(ms: float, top_ms: float) -> float:
    return PLOT * (1 - ms / top_ms)


def _x(at: datetime, series: Series) -> float:
    share = (at - series.begins_at) / (series.ends_at - series.begins_at)
    return SCALE * min(1.0, max(0.0, share))


def _grid(top_ms: float, language: str) -> Iterator[str]:
    steps = ticks(top_ms)
    for ms in steps:
        y = TOP + _y(ms, top_ms)
        yield f'<line x1="0" x2="100%" y1="{y:.1f}" y2="{y:.1f}" stroke="#c4ccd4" class="grid"/>'
        number = f"{ms:,g}"
        number = number.replace(",", "\N{NO-BREAK SPACE}").replace(".", ",") if language == "pl" else number
        unit = "\N{NO-BREAK SPACE}ms" if ms == steps[-1] else ""
        yield _text("0", y - 5, number + unit, css="muted halo", fill="#4a5866")


def _lines(series: Series, top_ms: float) -> str:
    """Each percentile as steps as wide as the time they stand for; where nothing answered there is a gap."""
    drawn = []
    for name, (stroke, width, dash) in LINES.items():
        steps = "".join(_steps(series, name, top_ms))
        drawn.append(
            f'<path class="{name}" d="{steps}" stroke="{stroke}" stroke-width="{width}" '
            f'stroke-dasharray="{dash}" vector-effect="non-scaling-stroke"/>'
        )
    return (
        f'<svg y="{TOP}" width="100%" height="{PLOT}" viewBox="0 0 {SCALE} {PLOT}" '
        'preserveAspectRatio="none" overflow="visible"><g fill="none" stroke-linejoin="round">'
        f"{''.join(drawn)}</g></svg>"
    )


def _steps(series: Series, name: str, top_ms: float) -> Iterator[str]:
    drawn_to: datetime | None = None
    for point in series.points:
        ms = getattr(point, f"{name}_ms")
        if ms is None:
            drawn_to = None
            continue
        y = _y(ms, top_ms)
        if drawn_to == point.start:
            yield f"V{y:.1f}"
        else:
            yield f"M{_x(point.start, series):.1f} {y:.1f}"
        drawn_to = point.start + point.length
        yield f"H{_x(drawn_to, series):.1f}"


def _labels(series: Series, top_ms: float) -> Iterator[str]:
    """The name of each line at its right end, moved apart where they would cover each other."""
    answered = [point for point in series.points if point.answered]
    below = series.ends_at - _LABEL_SHARE * (series.ends_at - series.begins_at)
    # As high as its line is where it stands, not as the line's last step, which may be a sliver.
    beside = next((point for point in reversed(answered) if point.start <= below), answered[0])
    wanted = {name: TOP + _y(getattr(beside, f"{name}_ms"), top_ms) - 4 for name in LINES}
    lowest = float(TOP + PLOT - 4)
    for name in sorted(wanted, key=wanted.__getitem__, reverse=True):
        y = min(wanted[name], lowest)
        lowest = y - _LABEL_GAP
        yield _text("100%", y, name, anchor="end", css="ink halo", fill="#16202b", weight="600")


def _times(series: Series, language: str, zone: ZoneInfo) -> Iterator[str]:
    for at in moments(series, zone):
        x = _x(at, series) / SCALE * 100
        said = format_clock(at, zone) if series.period is Period.DAY else format_short_day(at, language, zone)
        yield f'<line x1="{x:.2f}%" x2="{x:.2f}%" y1="{TOP + PLOT}" y2="{TOP + PLOT + 5}" stroke="#6b7885"/>'
        yield _text(f"{x:.2f}%", HEIGHT - 7, said, anchor="middle", css="muted", fill="#4a5866")


def moments(series: Series, zone: ZoneInfo) -> list[datetime]:
    """The instants named below the graph: four to six whole hours or midnights of the page's zone."""
    step, count = {
        Period.DAY: (HOUR, 6),
        Period.WEEK: (DAY, 2),
        Period.MONTH: (DAY, 7),
        Period.QUARTER: (DAY, 21),
    }[series.period]
    local = series.ends_at.astimezone(zone).replace(minute=0, second=0, microsecond=0)
    if step == DAY:
        local = local.replace(hour=0)
    found = []
    # Wall-clock arithmetic, so that midnight stays midnight when the clocks change.
    while (at := local.astimezone(series.begins_at.tzinfo)) > series.begins_at:
        share = (at - series.begins_at) / (series.ends_at - series.begins_at)
        if 0.06 < share < 0.94:  # where its text is not cut off
            found.append(at)
        local -= step * (count if found else 1)
    return found[::-1]


def _text(
    x: str, y: float, said: str, *, css: str, fill: str, anchor: str = "start", weight: str = ""
) -> str:
    halo = (
        ' stroke="#fff" stroke-width="4" stroke-linejoin="round" paint-order="stroke"'
        if "halo" in css
        else ""
    )
    bold = f' font-weight="{weight}"' if weight else ""
    return (
        f'<text x="{x}" y="{y:.1f}" text-anchor="{anchor}" fill="{fill}" class="{css}"{halo}{bold}>'
        f"{escape(said)}</text>"
    )
