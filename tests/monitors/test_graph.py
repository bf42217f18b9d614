"""The graph as SVG: valid, the same in every row of the table, readable without colour."""

import base64
import hashlib
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from monitors import graph
from monitors.answer_times import Period, Point, Series
from monitors.graph import Words, moments, svg, ticks

WARSAW = ZoneInfo("Europe/Warsaw")
NOW = datetime(2026, 10, 26, 9, 40, tzinfo=UTC)  # the day after the clocks went back
WORDS = Words("Title <&>", 'Said "so"', "Nothing.")
SVG = "{http://www.w3.org/2000/svg}"


def series(period: Period, values: Sequence[float | None]) -> Series:
    """One point a step up to now; None: nothing answered."""
    begins_at = NOW - period.length
    points = tuple(
        Point(
            begins_at + i * period.step,
            period.step,
            ms,
            ms and ms * 2,
            ms and ms * 3,
            0 if ms is None else 9,
            1,
        )
        for i, ms in enumerate(values)
    )
    answered = sum(point.answered for point in points)
    return Series(period, begins_at, NOW, points, Point(begins_at, period.length, 1, 1, 1, answered, 0))


def drawn(one: Series, language: str = "en") -> etree._Element:
    return etree.fromstring(svg(one, WORDS, language, WARSAW))


def texts(tree: etree._Element) -> list[str]:
    return [str(text.text) for text in tree.iter(f"{SVG}text")]


@given(st.floats(1e-3, 1e7))
def test_ticks_are_round_few_and_reach_the_top(top_ms: float) -> None:
    found = ticks(top_ms)
    assert found[0] == 0
    assert found[-1] >= top_ms * (1 - 1e-6)
    assert 3 <= len(found) <= 6
    assert all(after > before for before, after in pairwise(found))


@pytest.mark.parametrize("period", Period)
@given(values=st.lists(st.one_of(st.none(), st.floats(0.05, 1e6)), max_size=40))
def test_it_is_valid_and_stays_inside_whatever_was_measured(
    period: Period, values: list[float | None]
) -> None:
    tree = drawn(series(period, values))
    assert tree.tag == f"{SVG}svg"
    for path in tree.iter(f"{SVG}path"):
        for x, y in re.findall(r"M([\d.-]+) ([\d.-]+)", path.get("d", "")):
            assert 0 <= float(x) <= graph.SCALE
            assert -0.1 <= float(y) <= graph.PLOT + 0.1
    for text in tree.iter(f"{SVG}text"):
        assert 0 <= float(text.get("y", "0")) <= graph.HEIGHT


def test_it_has_a_name_and_a_description() -> None:
    tree = drawn(series(Period.DAY, [10.0]))
    assert (tree.get("role"), tree.get("aria-label")) == ("img", "Title <&>")
    assert [str(tree.findtext(f"{SVG}{name}")) for name in ("title", "desc")] == ["Title <&>", 'Said "so"']


def test_lines_are_told_apart_by_dash_and_named_where_they_end() -> None:
    tree = drawn(series(Period.DAY, [100.0] * 96))
    dashes = {path.get("class"): path.get("stroke-dasharray") for path in tree.iter(f"{SVG}path")}
    assert len(set(dashes.values())) == 3
    names = [text for text in tree.iter(f"{SVG}text") if text.get("text-anchor") == "end"]
    assert {str(name.text) for name in names} == {"p50", "p95", "p99"}
    heights = sorted(float(name.get("y", "0")) for name in names)
    assert all(after - before >= 15 for before, after in pairwise(heights)), "they do not cover each other"


def test_where_nothing_answered_there_is_a_gap() -> None:
    tree = drawn(series(Period.DAY, [100.0, 100.0, None, 100.0]))
    paths = [path.get("d", "") for path in tree.iter(f"{SVG}path")]
    assert [path.count("M") for path in paths] == [2, 2, 2]


def test_without_an_answer_it_says_so_and_draws_nothing() -> None:
    tree = drawn(series(Period.WEEK, [None, None]))
    assert "Nothing." in texts(tree)
    assert not list(tree.iter(f"{SVG}path"))


def test_the_axis_is_in_milliseconds_written_as_the_language_does() -> None:
    high = series(Period.DAY, [500.0])
    assert "1,500\N{NO-BREAK SPACE}ms" in texts(drawn(high, "en"))
    assert "1\N{NO-BREAK SPACE}500\N{NO-BREAK SPACE}ms" in texts(drawn(high, "pl"))
    assert "0,5" in " ".join(texts(drawn(series(Period.DAY, [0.6]), "pl")))


@pytest.mark.parametrize("period", Period)
def test_the_instants_below_are_whole_and_inside_also_when_the_clocks_change(period: Period) -> None:
    found = moments(series(period, []), WARSAW)
    assert 2 <= len(found) <= 7
    for at in found:
        local = at.astimezone(WARSAW)
        assert (local.minute, local.second) == (0, 0)
        assert period is Period.DAY or local.hour == 0
        assert NOW - period.length < at < NOW


def test_days_below_have_short_names() -> None:
    assert "25 paź" in texts(drawn(series(Period.WEEK, [1.0]), "pl")) or "24 paź" in texts(
        drawn(series(Period.WEEK, [1.0]), "pl")
    )


def test_the_policy_allows_its_own_style_and_nothing_else() -> None:
    style = drawn(series(Period.DAY, [1.0])).findtext(f"{SVG}style") or ""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'sha256-{digest}'" == graph.CONTENT_SECURITY_POLICY
    text = svg(series(Period.DAY, [1.0]), WORDS, "en", WARSAW).decode()
    assert "style=" not in text
    assert "<script" not in text


def test_a_picture_stays_small() -> None:
    noisy = [50.0 + 37.0 * (i * i % 11) for i in range(168)]
    assert len(svg(series(Period.WEEK, noisy), WORDS, "pl", WARSAW)) < 12_000
    assert timedelta(hours=1) * len(noisy) == Period.WEEK.length
