"""Roll-ups: exact to merge, and honest within a bucket."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitors.latency import GROWTH, LAST_BUCKET, Rollup, bucket_of, middle_ms

latencies = st.floats(0.1, 800_000)
checks = st.lists(
    st.tuples(st.sampled_from(["ok", "slow", "failed", "unknown"]), st.none() | latencies), max_size=30
)


@given(latencies)
def test_a_bucket_tells_its_latency_within_five_percent(latency_ms: float) -> None:
    assert middle_ms(bucket_of(latency_ms)) == pytest.approx(latency_ms, rel=0.05)


@given(latencies)
def test_buckets_are_in_order(latency_ms: float) -> None:
    assert bucket_of(latency_ms) <= bucket_of(latency_ms * GROWTH * 1.001) <= LAST_BUCKET


def test_what_is_out_of_range_is_in_the_outer_buckets() -> None:
    assert [bucket_of(0), bucket_of(0.1), bucket_of(10**9)] == [0, 0, LAST_BUCKET]


@given(checks, checks)
def test_merging_is_counting_together(
    one: list[tuple[str, float | None]], other: list[tuple[str, float | None]]
) -> None:
    assert Rollup.of(one).merge(Rollup.of(other)) == Rollup.of(one + other)


@given(checks, checks, checks)
def test_the_order_of_merging_does_not_matter(
    one: list[tuple[str, float | None]],
    two: list[tuple[str, float | None]],
    three: list[tuple[str, float | None]],
) -> None:
    a, b, c = Rollup.of(one), Rollup.of(two), Rollup.of(three)
    assert a.merge(b).merge(c) == a.merge(b.merge(c)) == c.merge(b).merge(a)


@given(st.lists(latencies, min_size=1, max_size=200), st.floats(0.01, 1))
def test_a_percentile_is_within_five_percent_of_the_exact_one(values: list[float], share: float) -> None:
    exact = sorted(values)[max(1, -int(-share * len(values) // 1)) - 1]
    found = Rollup.of([("ok", value) for value in values]).percentile_ms(share)
    assert found == pytest.approx(exact, rel=0.05)


def test_percentiles_rise_with_their_share() -> None:
    rollup = Rollup.of([("ok", float(i)) for i in range(1, 1001)])
    found = [rollup.percentile_ms(share / 100) or 0 for share in range(1, 101)]
    assert all(a <= b for a, b in pairwise(found))


def test_without_answers_there_is_no_latency() -> None:
    rollup = Rollup.of([("failed", 10_000.0), ("unknown", None)])
    assert (rollup.count, rollup.answered, rollup.mean_ms, rollup.percentile_ms(0.5)) == (2, 0, None, None)


def test_the_mean_is_exact() -> None:
    assert Rollup.of([("ok", 10.0), ("slow", 20.0), ("failed", 5000.0)]).mean_ms == 15.0
