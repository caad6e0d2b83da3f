"""What holds of every table: symmetry, bounds, merging of bins; and what is not known stays unknown."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelward.stats import calibration, cumulative, distances, fairness, intervals, operations, quality
from modelward.stats.distances import EXACT
from modelward.stats.many_features import benjamini_hochberg, drift_share
from modelward.stats.sequential import rate_bounds

COUNTS = st.lists(st.integers(0, 500), min_size=6, max_size=6).filter(lambda counts: sum(counts) > 0)
FULL = st.lists(st.integers(1, 500), min_size=6, max_size=6)
EDGES = np.array([0.0, 1.0, 2.5, 3.0, 7.0])
BY_NAME = {
    "psi": lambda a, b: distances.psi(a, b, EXACT),
    "js": distances.js_distance,
    "hellinger": distances.hellinger,
    "total variation": distances.total_variation,
    "ks": lambda a, b: cumulative.ks_bounds(a, b).low,
    "chi-square": lambda a, b: distances.chi_square(a, b)[0],
    "g": lambda a, b: distances.g_test(a, b)[0],
}
quick = settings(max_examples=100, deadline=None)


@pytest.mark.parametrize("name", BY_NAME)
@quick
@given(a=FULL, b=FULL)
def test_a_distance_is_symmetric_and_never_negative_and_zero_to_itself(name, a, b):
    distance = BY_NAME[name]
    assert float(distance(a, b)) == pytest.approx(float(distance(b, a)), rel=1e-9, abs=1e-9)
    assert float(distance(a, b)) >= -1e-9
    assert float(distance(a, a)) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("name", ["js", "hellinger", "total variation", "ks"])
@quick
@given(a=COUNTS, b=COUNTS)
def test_a_bounded_distance_is_at_most_one(name, a, b):
    assert 0 <= float(BY_NAME[name](a, b)) <= 1 + 1e-12


@pytest.mark.parametrize("name", BY_NAME)
@quick
@given(a=FULL, b=FULL, place=st.integers(0, 4))
def test_merging_two_bins_never_raises_an_unsmoothed_distance(name, a, b, place):
    assert float(BY_NAME[name](*merged(place, a, b))) <= float(BY_NAME[name](a, b)) * (1 + 1e-9) + 1e-9


def merged(place, *samples):
    return [[*counts[:place], counts[place] + counts[place + 1], *counts[place + 2 :]] for counts in samples]


@quick
@given(a=FULL, b=FULL, place=st.integers(0, 4))
def test_information_lost_is_never_negative_and_merging_never_raises_it(a, b, place):
    lost = float(distances.kl(a, b, EXACT))
    assert lost >= -1e-12
    assert float(distances.kl(*merged(place, a, b), EXACT)) <= lost + 1e-12
    assert float(distances.kl(a, a, EXACT)) == pytest.approx(0, abs=1e-12)


@quick
@given(a=FULL, b=FULL, c=FULL)
def test_a_metric_obeys_the_triangle(a, b, c):
    for name in ("js", "hellinger", "total variation", "ks"):
        distance = BY_NAME[name]
        assert float(distance(a, c)) <= float(distance(a, b)) + float(distance(b, c)) + 1e-9


@quick
@given(a=FULL, b=FULL)
def test_the_area_is_symmetric_and_grows_with_the_unit(a, b):
    ours, turned = cumulative.wasserstein_bounds(a, b, EDGES), cumulative.wasserstein_bounds(b, a, EDGES)
    assert float(ours.estimate) == pytest.approx(float(turned.estimate), abs=1e-12)
    assert 0 <= ours.low <= ours.estimate + 1e-12
    assert float(cumulative.wasserstein_bounds(a, b, 10 * EDGES).estimate) == pytest.approx(10 * float(ours.estimate))


@quick
@given(a=COUNTS, b=COUNTS)
def test_the_debiased_distances_are_between_zero_and_the_plain_ones(a, b):
    assert 0 <= distances.debiased_psi(a, b) <= distances.psi(a, b)
    assert 0 <= distances.debiased_js_distance(a, b) <= distances.js_distance(a, b)
    assert all(0 <= test(a, b)[1] <= 1 for test in (distances.chi_square, distances.g_test))
    assert 0 <= cumulative.ks_p_value(a, b) <= 1


@quick
@given(cells=st.lists(st.integers(0, 300), min_size=4, max_size=4).filter(lambda cells: sum(cells) > 0))
def test_rates_of_a_confusion_table_are_rates_and_correlation_turns_with_the_prediction(cells):
    table = np.array(cells, float).reshape(2, 2)
    for rate in (
        quality.accuracy(table).rate,
        quality.precision(table).rate,
        quality.recall(table).rate,
        quality.f1(table),
    ):
        assert np.isnan(rate) or 0 <= rate <= 1
    correlation, turned = quality.mcc(table).value, quality.mcc(table[::-1]).value
    assert np.isnan(correlation) == np.isnan(turned)
    assert np.isnan(correlation) or (-1 - 1e-12 <= correlation <= 1 + 1e-12 and correlation == pytest.approx(-turned))


@quick
@given(events=st.integers(0, 400), more=st.integers(0, 400), alpha=st.sampled_from([0.2, 0.05, 0.001]))
def test_an_interval_of_a_rate_holds_its_estimate_and_grows_with_certainty(events, more, alpha):
    total = events + more + 1
    for interval in (intervals.wilson, intervals.exact, rate_bounds):
        wide, narrow = interval(events, total, alpha / 2), interval(events, total, alpha)
        assert 0 <= wide.low <= narrow.low <= narrow.estimate <= narrow.high <= wide.high <= 1
    mirrored = rate_bounds(total - events, total, alpha)
    assert float(rate_bounds(events, total, alpha).low) == pytest.approx(1 - float(mirrored.high), abs=1e-9)


@quick
@given(a=COUNTS, b=COUNTS, seed=st.integers(0, 2**31))
def test_values_within_the_bins_have_distances_within_the_bounds(a, b, seed):
    random = np.random.default_rng(seed)
    a[0] = a[-1] = b[0] = b[-1] = 0
    if not sum(a) or not sum(b):
        return
    x, y = (_scattered(counts, random) for counts in (a, b))
    steps = np.sort(np.concatenate([x, y]))
    difference = np.abs(_share_below(x, steps) - _share_below(y, steps))
    ks, area = cumulative.ks_bounds(a, b), cumulative.wasserstein_bounds(a, b, EDGES)
    truth = float(np.sum(difference[:-1] * np.diff(steps)))
    assert ks.low - 1e-9 <= difference.max() <= ks.high + 1e-9
    assert area.low - 1e-9 <= truth <= area.high + 1e-9
    with_means = cumulative.wasserstein_bounds(a, b, EDGES, x.mean() - y.mean())
    assert area.low <= with_means.low <= truth + 1e-9


def _scattered(counts, random):
    inner = zip(EDGES[:-1], EDGES[1:], counts[1:-1], strict=True)
    return np.concatenate([high - (high - low) * random.random(count) for low, high, count in inner])


def _share_below(values, at):
    return np.searchsorted(np.sort(values), at, side="right") / len(values)


@quick
@given(a=COUNTS, b=COUNTS)
def test_the_area_is_that_of_values_spread_evenly_within_their_bins(a, b):
    a[0] = a[-1] = b[0] = b[-1] = 0
    if not sum(a) or not sum(b):
        return
    grid = np.linspace(0, 7, 14_001)
    f, g = (np.interp(grid, EDGES, np.cumsum(counts[:-1]) / sum(counts)) for counts in (a, b))
    area = float(cumulative.wasserstein_bounds(a, b, EDGES).estimate)
    assert area == pytest.approx(np.trapezoid(np.abs(f - g), grid), abs=1e-3)


def test_open_tails_have_no_upper_bound():
    assert cumulative.wasserstein_bounds([1, 5, 5, 5, 5, 0], [0, 5, 5, 5, 5, 0], EDGES).high == np.inf
    assert np.isfinite(cumulative.wasserstein_bounds([0, 5, 5, 5, 5, 0], [0, 1, 5, 5, 9, 0], EDGES).high)


def test_disjoint_samples_have_the_ks_distance_one():
    bounds = cumulative.ks_bounds([500, 500, 0, 0], [0, 0, 500, 500])
    assert (float(bounds.low), float(bounds.high)) == (1.0, 1.0)


def test_newcombe_is_the_published_figure():
    bounds = intervals.newcombe(30, 2000, 250, 18000)
    assert (float(bounds.low), float(bounds.high)) == pytest.approx((-0.003717, 0.007645), abs=5e-7)
    assert float(intervals.wilson(3, 200).low) == pytest.approx(0.005114, abs=5e-7)


def test_a_feature_that_could_not_be_tested_is_no_hypothesis():
    adjusted = benjamini_hochberg([0.01, np.nan, 0.04])
    assert adjusted[[0, 2]] == pytest.approx([0.02, 0.04])
    assert np.isnan(adjusted[1])
    assert drift_share([True, False, True, True]) == 0.75


@quick
@given(n=COUNTS, p=COUNTS)
def test_auc_turns_over_when_labels_are_exchanged(n, p):
    ours, other = quality.auc_bounds(n, p), quality.auc_bounds(p, n)
    assert float(ours.estimate) == pytest.approx(1 - float(other.estimate))
    assert 0 <= ours.low <= ours.estimate <= ours.high <= 1


def test_the_variances_are_those_of_repeated_samples():
    random = np.random.default_rng(3)
    shares = np.array([0.45, 0.08, 0.12, 0.35])
    tables = random.multinomial(500, shares, 4000).reshape(-1, 2, 2)
    measured = quality.mcc(tables)
    assert np.var(measured.value) == pytest.approx(measured.variance.mean() / 500, rel=0.08)
    n = random.multinomial(300, [0.4, 0.3, 0.2, 0.1], 4000)
    p = random.multinomial(200, [0.1, 0.2, 0.3, 0.4], 4000)
    ranked = quality.auc(n, p)
    assert np.var(ranked.value) == pytest.approx(ranked.variance.mean() / 500, rel=0.08)


@pytest.mark.parametrize(
    "figure",
    [
        pytest.param(quality.precision([[5, 3], [0, 0]]).rate, id="precision without a predicted positive"),
        pytest.param(quality.recall([[5, 0], [3, 0]]).rate, id="recall without an actual positive"),
        pytest.param(quality.mcc([[5, 3], [0, 0]]).value, id="mcc of one predicted class"),
        pytest.param(quality.auc_bounds([0, 0], [3, 4]).estimate, id="auc without a negative"),
        pytest.param(quality.mean_squared_error(0.0, 0.0, 0).value, id="error of nothing"),
        pytest.param(calibration.ece_bounds([0, 0], [0, 0], [0.5]).estimate, id="calibration of nothing"),
        pytest.param(operations.quantile([1.0], [[0, 0]], 0.5).bounds.estimate[0], id="quantile of nothing"),
        pytest.param(
            fairness.demographic_parity_difference(fairness.groups_of([[1, 0, 0, 0], [50, 50, 50, 50]]), 30).estimate,
            id="fairness to a group of one",
        ),
    ],
)
def test_a_figure_of_nothing_is_unknown(figure):
    assert np.isnan(figure)


def test_perfect_and_opposite_predictions_have_the_extreme_correlations():
    assert quality.mcc([[5, 0], [0, 7]]).value == pytest.approx(1)
    assert quality.mcc([[0, 5], [7, 0]]).value == pytest.approx(-1)


def test_the_bounds_of_fairness_hold_the_truth():
    random = np.random.default_rng(21)
    true = np.array([0.3, 0.4, 0.45])
    selected = random.binomial(400, true, (2000, 3))
    zero = np.zeros_like(selected)
    groups = fairness.Groups(selected, zero, 400 - selected, zero)
    gap = fairness.demographic_parity_difference(groups)
    ratio = fairness.demographic_parity_ratio(groups)
    assert np.mean((gap.low <= 0.15) & (gap.high >= 0.15)) >= 0.95
    assert np.mean((ratio.low <= 0.3 / 0.45) & (ratio.high >= 0.3 / 0.45)) >= 0.95
    assert fairness.obeys_four_fifths(fairness.ratio(intervals.wilson([85, 100], [200, 200])))
    assert not fairness.obeys_four_fifths(fairness.ratio(intervals.wilson([70, 100], [200, 200])))


def test_quantiles_are_interpolated_within_their_bin_and_told_apart_from_the_open_one():
    edges, counts = [0.1, 0.5, 1.0], [[50, 40, 10, 0], [10, 10, 10, 70]]
    p50, p99 = operations.quantile(edges, counts, 0.5), operations.quantile(edges, counts, 0.99)
    assert p50.bounds.estimate[0] == pytest.approx(0.1)
    assert p99.bounds.estimate.tolist() == pytest.approx([0.95, 1.0])
    assert p99.saturated.tolist() == [False, True]
    assert p50.bounds.low[0] <= p50.bounds.estimate[0] <= p50.bounds.high[0]
    assert p99.bounds.high[1] == np.inf


def test_the_interval_of_a_quantile_covers_it():
    random = np.random.default_rng(22)
    edges = np.linspace(0.05, 4, 60)
    values = random.exponential(1.0, (1000, 300))
    bins = np.searchsorted(edges, values)
    counts = (bins[:, :, None] == np.arange(61)).sum(axis=1)
    bounds = operations.quantile(edges, counts, 0.9).bounds
    assert np.mean((bounds.low <= np.log(10)) & (np.log(10) <= bounds.high)) >= 0.95


def test_throughput_is_held_against_its_ceiling():
    measured = operations.throughput(6000, 60, 200)
    assert float(measured.per_second.estimate) == 100
    assert measured.of_ceiling.low < 0.5 < measured.of_ceiling.high
    assert np.isnan(operations.throughput(5, 0, 200).per_second.estimate)


def test_age_and_completeness_and_confidence():
    assert operations.age(100.0, 40.0) == 60
    assert operations.age(100.0, None) == np.inf
    assert operations.age(100.0, 160.0) == 0
    assert float(operations.completeness(95, 100).estimate) == 0.95
    shares = operations.confidence_shares([10, 30, 60])
    assert shares.estimate == pytest.approx([0.1, 0.3, 0.6])
    assert np.all((shares.low < shares.estimate) & (shares.estimate < shares.high))
