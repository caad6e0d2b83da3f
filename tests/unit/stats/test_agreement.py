"""The same figures as scipy, scikit-learn and fairlearn, on a thousand random tables for each."""

import numpy as np
import pytest
from fairlearn.metrics import (
    demographic_parity_difference,
    demographic_parity_ratio,
    equalized_odds_difference,
    false_positive_rate,
    selection_rate,
    true_positive_rate,
)
from scipy import special, stats
from scipy.spatial.distance import jensenshannon
from sklearn import config_context
from sklearn.metrics import (
    accuracy_score,
    matthews_corrcoef,
    precision_recall_fscore_support,
    roc_auc_score,
)

from modelward.stats import calibration, cumulative, distances, fairness, intervals, quality
from modelward.stats.distances import EXACT
from modelward.stats.many_features import benjamini_hochberg
from modelward.stats.sequential import log_beta_binomial
from tests.unit.stats.tables import RUNS, confusions, pairs_of_counts, rows_of

CLOSE = 1e-9
REFERENCE, CURRENT = pairs_of_counts()
FULL_REFERENCE, FULL_CURRENT = pairs_of_counts(least=1)
P, Q = (counts / counts.sum(axis=1, keepdims=True) for counts in (FULL_REFERENCE, FULL_CURRENT))


def agree(ours, theirs, absolute=1e-12):
    np.testing.assert_allclose(ours, theirs, rtol=CLOSE, atol=absolute)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        pytest.param(distances.kl(FULL_REFERENCE, FULL_CURRENT, EXACT), stats.entropy(P, Q, axis=1), id="kl"),
        pytest.param(
            distances.psi(FULL_REFERENCE, FULL_CURRENT, EXACT),
            stats.entropy(P, Q, axis=1) + stats.entropy(Q, P, axis=1),
            id="psi",
        ),
        pytest.param(distances.js_distance(P, Q, base=2), jensenshannon(P, Q, base=2, axis=1), id="js base 2"),
        pytest.param(distances.js_distance(P, Q, base=np.e), jensenshannon(P, Q, axis=1), id="js base e"),
        pytest.param(
            distances.hellinger(P, Q), np.linalg.norm(np.sqrt(P) - np.sqrt(Q), axis=1) / np.sqrt(2), id="hellinger"
        ),
        pytest.param(distances.total_variation(P, Q), np.linalg.norm(P - Q, ord=1, axis=1) / 2, id="total variation"),
    ],
)
def test_distances_are_those_of_scipy(ours, theirs):
    agree(ours, theirs)


@pytest.mark.parametrize(
    ("test", "name"), [(distances.chi_square, "pearson"), (distances.g_test, "log-likelihood")], ids=["chi-square", "g"]
)
def test_tests_of_homogeneity_are_those_of_scipy(test, name):
    tables = [pair[:, pair.sum(axis=0) > 0] for pair in np.stack([REFERENCE, CURRENT], axis=1)]
    theirs = [stats.chi2_contingency(table, correction=False, lambda_=name)[:2] for table in tables]
    statistic, p_value = np.array(theirs).T
    ours = test(REFERENCE, CURRENT)
    agree(ours[0], statistic)
    agree(ours[1], p_value, absolute=1e-200)


def test_the_critical_value_of_psi_is_a_chi_square_quantile():
    freedom = np.count_nonzero(REFERENCE + CURRENT, axis=1) - 1
    scale = 1 / REFERENCE.sum(axis=1) + 1 / CURRENT.sum(axis=1)
    agree(distances.psi_critical_value(REFERENCE, CURRENT), stats.chi2.isf(0.05, freedom) * scale)


def test_values_at_the_upper_edges_have_the_ks_distance_of_scipy():
    places = np.arange(REFERENCE.shape[1])
    ours = cumulative.ks_bounds(REFERENCE, CURRENT).low
    theirs = [
        stats.ks_2samp(np.repeat(places, a.astype(int)), np.repeat(places, b.astype(int)), method="asymp").statistic
        for a, b in zip(REFERENCE, CURRENT, strict=True)
    ]
    agree(ours, theirs)
    agree(ours, np.abs(np.cumsum(REFERENCE / REFERENCE.sum(1)[:, None] - CURRENT / CURRENT.sum(1)[:, None], 1)).max(1))


def test_the_p_value_of_ks_is_that_of_the_limiting_distribution():
    n, m = REFERENCE.sum(axis=1), CURRENT.sum(axis=1)
    expected = stats.kstwobign.sf(np.sqrt(n * m / (n + m)) * cumulative.ks_bounds(REFERENCE, CURRENT).low)
    agree(cumulative.ks_p_value(REFERENCE, CURRENT), expected, absolute=1e-300)


def test_false_discovery_control_is_that_of_scipy():
    p_values = np.random.default_rng(4).beta(0.5, 2, size=(RUNS, 30))
    agree(benjamini_hochberg(p_values), stats.false_discovery_control(p_values, axis=1))


def test_intervals_of_rates_are_those_of_scipy():
    random = np.random.default_rng(6)
    total = random.integers(1, 5000, RUNS)
    events = random.binomial(total, random.beta(0.5, 2, RUNS))
    ours, exact = intervals.wilson(events, total), intervals.exact(events, total)
    theirs = [
        stats.binomtest(int(x), int(n)).proportion_ci(method="wilson") for x, n in zip(events, total, strict=True)
    ]
    agree(ours.low, [known.low for known in theirs], absolute=1e-12)
    agree(ours.high, [known.high for known in theirs])
    agree(exact.low, np.nan_to_num(stats.beta.ppf(0.025, events, total - events + 1)))
    agree(exact.high, np.nan_to_num(stats.beta.isf(0.025, events + 1, total - events), nan=1.0))


def test_poisson_intervals_are_those_of_chi_square_quantiles():
    events = np.random.default_rng(7).integers(0, 3000, RUNS).astype(float)
    ours = intervals.poisson(events)
    agree(ours.low, np.where(events > 0, stats.chi2.ppf(0.025, 2 * np.maximum(events, 1)) / 2, 0))
    agree(ours.high, stats.chi2.isf(0.025, 2 * (events + 1)) / 2)


def test_quality_is_that_of_scikit_learn():
    random = np.random.default_rng(2)
    actual = (random.random((60, RUNS)) < random.uniform(0.2, 0.8, RUNS)).astype(int)
    predicted = np.where(random.random((60, RUNS)) < 0.3, 1 - actual, actual)
    tables = np.stack(
        [np.bincount(2 * p + a, minlength=4).reshape(2, 2) for p, a in zip(predicted.T, actual.T, strict=True)]
    )
    # Every table is one label of a multilabel sample: a call for each would take half a minute.
    scores = precision_recall_fscore_support(actual, predicted, average=None)
    agree(quality.precision(tables).rate, scores[0])
    agree(quality.recall(tables).rate, scores[1])
    agree(quality.f1(tables), scores[2])
    agree(quality.accuracy(tables).rate, (actual == predicted).mean(axis=0))
    with config_context(assume_finite=True, skip_parameter_validation=True):
        pairs = list(zip(actual.T, predicted.T, strict=True))
        agree(quality.mcc(tables).value, [matthews_corrcoef(a, p) for a, p in pairs])


def test_the_correlation_of_several_classes_is_that_of_scikit_learn():
    tables = confusions(3)
    rows = [rows_of(table) for table in tables]
    with config_context(assume_finite=True, skip_parameter_validation=True):
        theirs = [matthews_corrcoef(actual, predicted, sample_weight=weight) for actual, predicted, weight in rows]
    agree(quality.mcc(tables).value, theirs)


def test_the_estimate_of_auc_is_that_of_scikit_learn_with_the_bins_as_scores():
    random = np.random.default_rng(3)
    actual = (random.random((60, RUNS)) < 0.4).astype(int)
    bins = np.clip(random.integers(0, 7, (60, RUNS)) + actual, 0, 7)
    counted = [[((bins == place) & (actual == label)).sum(axis=0) for place in range(8)] for label in (0, 1)]
    negatives, positives = (np.stack(counts, axis=1) for counts in counted)
    ours = quality.auc_bounds(negatives, positives)
    agree(ours.estimate, roc_auc_score(actual, bins.astype(float), average=None))
    assert np.all((ours.low <= ours.estimate) & (ours.estimate <= ours.high))


def test_errors_of_numbers_are_the_plain_means():
    errors = np.random.default_rng(9).normal(0.3, 2.0, size=(RUNS, 40))
    squares, absolutes = (errors**2).sum(axis=1), np.abs(errors).sum(axis=1)
    squared = quality.mean_squared_error(squares, (errors**4).sum(axis=1), 40)
    absolute = quality.mean_absolute_error(absolutes, squares, 40)
    agree(np.sqrt(squared.value), np.sqrt(np.mean(errors**2, axis=1)))
    agree(absolute.value, np.mean(np.abs(errors), axis=1))
    agree(squared.variance, np.var(errors**2, axis=1))
    agree(absolute.variance, np.var(np.abs(errors), axis=1))


def test_fairness_is_that_of_fairlearn():
    outcomes = np.random.default_rng(12).integers(1, 60, size=(RUNS, 2, 4)).astype(float)  # x groups x (tp, fp, fn, tn)
    ours = fairness.groups_of(outcomes)
    selected, hits, alarms, right = (
        _of_groups(metric, outcomes)
        for metric in (selection_rate, true_positive_rate, false_positive_rate, accuracy_score)
    )
    agree(fairness.demographic_parity_difference(ours).estimate, np.ptp(selected, axis=1))
    agree(fairness.demographic_parity_ratio(ours).estimate, selected.min(axis=1) / selected.max(axis=1))
    agree(fairness.adverse_action_ratio(ours).estimate, (1 - selected).min(axis=1) / (1 - selected).max(axis=1))
    agree(fairness.equalized_odds_difference(ours).estimate, np.maximum(np.ptp(hits, axis=1), np.ptp(alarms, axis=1)))
    agree(fairness.accuracy_disparity(ours).estimate, np.ptp(right, axis=1))
    agree(ours.sizes, outcomes.sum(axis=2))


def _of_groups(metric, outcomes):
    """The metric of each group by itself, its four kinds of rows weighted: a MetricFrame for each table would take minutes."""
    actual, predicted = np.array([1, 0, 1, 0]), np.array([1, 1, 0, 0])
    with config_context(assume_finite=True, skip_parameter_validation=True):
        values = [metric(actual, predicted, sample_weight=weights) for weights in outcomes.reshape(-1, 4)]
    return np.array(values).reshape(outcomes.shape[:2])


def test_the_differences_of_fairlearn_are_those_of_its_groups():
    outcomes = np.random.default_rng(14).integers(1, 60, size=(3, 4)).astype(float)
    ours = fairness.groups_of(outcomes)
    group, cell = (axis.ravel() for axis in np.indices(outcomes.shape))
    rows = {
        "y_true": np.isin(cell, (0, 2)).astype(int),
        "y_pred": np.isin(cell, (0, 1)).astype(int),
        "sensitive_features": group,
        "sample_weight": outcomes.ravel(),
    }
    agree(fairness.demographic_parity_difference(ours).estimate, demographic_parity_difference(**rows))
    agree(fairness.demographic_parity_ratio(ours).estimate, demographic_parity_ratio(**rows))
    agree(fairness.equalized_odds_difference(ours).estimate, equalized_odds_difference(**rows))


def test_fairness_is_that_of_plain_rates_on_many_tables():
    outcomes = np.random.default_rng(13).integers(1, 60, size=(RUNS, 3, 4)).astype(float)
    ours, (tp, fp, fn, tn) = fairness.groups_of(outcomes), np.moveaxis(outcomes, -1, 0)
    selected, hits, alarms, right = (
        (tp + fp) / outcomes.sum(-1),
        tp / (tp + fn),
        fp / (fp + tn),
        (tp + tn) / outcomes.sum(-1),
    )
    agree(fairness.demographic_parity_difference(ours).estimate, np.ptp(selected, axis=1))
    agree(fairness.demographic_parity_ratio(ours).estimate, selected.min(axis=1) / selected.max(axis=1))
    agree(fairness.adverse_action_ratio(ours).estimate, (1 - selected).min(axis=1) / (1 - selected).max(axis=1))
    agree(fairness.equalized_odds_difference(ours).estimate, np.maximum(np.ptp(hits, axis=1), np.ptp(alarms, axis=1)))
    agree(fairness.accuracy_disparity(ours).estimate, np.ptp(right, axis=1))


def test_the_calibration_error_is_that_of_the_rows_when_the_sums_of_scores_are_known():
    random = np.random.default_rng(15)
    edges, scores = np.linspace(0.1, 0.9, 9), random.random((RUNS, 200))
    labels = random.random((RUNS, 200)) < scores**1.5
    bins = np.searchsorted(edges, scores, side="left")
    inside = bins[:, :, None] == np.arange(10)
    positives, sums = (inside & labels[:, :, None]).sum(axis=1), (inside * scores[:, :, None]).sum(axis=1)
    totals = inside.sum(axis=1)
    expected = np.abs(positives - sums).sum(axis=1) / 200
    agree(calibration.ece_bounds(totals - positives, positives, edges, sums).estimate, expected)
    bounds = calibration.ece_bounds(totals - positives, positives, edges)
    assert np.all((bounds.low <= expected + 1e-12) & (expected <= bounds.high + 1e-12))


def test_the_beta_binomial_evidence_is_a_ratio_of_likelihoods():
    random = np.random.default_rng(16)
    n = random.integers(1, 3000, RUNS)
    k, p = random.binomial(n, 0.1), random.uniform(0.01, 0.9, RUNS)
    mixture = stats.betabinom.logpmf(k, n, 0.5, 0.5) - special.gammaln(n + 1)
    mixture += special.gammaln(k + 1) + special.gammaln(n - k + 1)
    expected = mixture - k * np.log(p) - (n - k) * np.log1p(-p)
    agree(log_beta_binomial(k, n, p), expected, absolute=1e-8)
