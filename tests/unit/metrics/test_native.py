"""Native histograms to bins: merging is exact, and what is not known is no edge."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelward.metrics.native import (
    MAXIMUM_EDGES,
    SECONDS_LADDER,
    Bucket,
    NativeHistogram,
    TooManyEdges,
    binned,
    common_edges,
)
from modelward.stats.binning import count_values
from modelward.stats.increments import pod_increment
from modelward.stats.readings import Binned, PodReading

CLASSIC = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


def exponential(values: list[float], schema: int) -> NativeHistogram:
    base = 2.0 ** (2.0**-schema)
    counts: dict[int, int] = {}
    for value in values:
        index = math.ceil(round(math.log(abs(value), base), 9))
        counts[index] = counts.get(index, 0) + 1
    buckets = tuple(Bucket(base ** (i - 1), base**i, n) for i, n in sorted(counts.items()))
    return NativeHistogram("x", {}, len(values), math.fsum(values), buckets)


def custom(values: list[float], bounds: tuple[float, ...]) -> NativeHistogram:
    counts = count_values(values, bounds)
    ends = (-math.inf, *bounds, math.inf)
    buckets = tuple(Bucket(ends[i], ends[i + 1], n) for i, n in enumerate(counts) if n)
    return NativeHistogram("x", {}, len(values), math.fsum(values), buckets)


observed = st.lists(st.floats(0.002, 100), min_size=1, max_size=40)


@given(observed, observed, st.integers(0, 6), st.integers(0, 6))
def test_exponential_histograms_of_two_schemas_are_merged_exactly(
    ours: list[float], theirs: list[float], first: int, second: int
) -> None:
    histograms = exponential(ours, first), exponential(theirs, second)
    edges = common_edges(histograms, SECONDS_LADDER)
    for values, histogram in zip((ours, theirs), histograms, strict=True):
        # Edges are rounded to 12 digits: a value is not in doubt unless it lies on one.
        assert binned(histogram, edges).counts == tuple(count_values(values, np.array(edges) * (1 + 1e-9)).tolist())


@given(observed, observed)
def test_custom_buckets_are_exact_whatever_is_empty(ours: list[float], theirs: list[float]) -> None:
    histograms = custom(ours, CLASSIC), custom(theirs, CLASSIC)
    edges = common_edges(histograms, SECONDS_LADDER)
    assert set(edges) <= set(CLASSIC)
    for values, histogram in zip((ours, theirs), histograms, strict=True):
        assert binned(histogram, edges).counts == tuple(count_values(values, edges).tolist())


def test_latencies_have_the_same_edges_at_each_look_and_an_objective_among_them() -> None:
    early, late = exponential([0.02], 3), exponential([0.02, 0.3, 40.0, 0.004], 3)
    edges = common_edges([early], SECONDS_LADDER)
    assert edges == common_edges([late], SECONDS_LADDER) == common_edges([], SECONDS_LADDER)
    assert 0.25 in edges and 1.0 in edges


def test_negative_values_the_zero_bucket_and_values_that_are_no_numbers_are_told_apart() -> None:
    buckets = (Bucket(-2.0, -1.0, 3), Bucket(-1e-9, 1e-9, 4), Bucket(1.0, 2.0, 5))
    histogram = NativeHistogram("x", {}, 14, math.nan, buckets)  # two NaN
    edges = common_edges([histogram])
    counts = dict(zip(edges, binned(histogram, edges).counts[1:], strict=True))
    assert sum(binned(histogram, edges).counts) == 12
    assert counts[-2.0] == 3 and counts[1.0] == 5


def test_custom_buckets_with_other_bounds_leave_only_the_common_ones() -> None:
    assert common_edges([custom([1.5], (1.0, 2.0, 4.0)), custom([1.8, 3.0], (1.0, 3.0))]) == (1.0, 3.0)


def test_values_all_over_the_scale_are_refused() -> None:
    spread = tuple(Bucket(2.0**i, 2.0 ** (i + 1), 1) for i in range(-500, 500))
    with pytest.raises(TooManyEdges, match=f"of which {MAXIMUM_EDGES}"):
        common_edges([NativeHistogram("x", {}, 1000, 0.0, spread)])


def reading(at: float, values: list[float]) -> PodReading:
    histogram = custom(values, CLASSIC)
    return PodReading("pod", 0.0, at, {"latency": binned(histogram, common_edges([histogram]))})


def test_a_bucket_that_was_empty_until_now_does_not_make_old_counts_new() -> None:
    _, memory = pod_increment("pod", None, reading(10.0, [0.02] * 90), 0.0)
    increment, memory = pod_increment("pod", memory, reading(20.0, [0.02] * 95 + [0.3] * 5), 0.0)
    assert sum(increment.binned["latency"].counts) == 10
    assert increment.binned["latency"].edges == (0.01, 0.025)
    increment, _ = pod_increment("pod", memory, reading(30.0, [0.02] * 95 + [0.3] * 6), 0.0)
    assert increment.binned["latency"] == Binned((0.01, 0.025, 0.25, 0.5), (0, 0, 0, 1, 0), pytest.approx(0.3))


def test_a_fall_in_the_common_bins_is_still_a_restart() -> None:
    _, memory = pod_increment("pod", None, reading(10.0, [0.02] * 90), 0.0)
    increment, _ = pod_increment("pod", memory, reading(20.0, [0.02] * 4 + [0.3] * 2), 0.0)
    assert sum(increment.binned["latency"].counts) == 6
