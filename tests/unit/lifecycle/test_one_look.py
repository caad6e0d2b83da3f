"""What usual statistics say of one look: distances with their bounds, and p-values of many features."""

import numpy as np
import pytest
from scipy import stats

from modelward.lifecycle.gates.bins import Bins
from modelward.lifecycle.gates.distributions import Compared
from modelward.lifecycle.one_look import look_once

EDGES = (1.0, 2.0, 4.0)


def compared(expected, observed, edges=EDGES):
    return Compared(Bins(edges=edges), np.array(expected, float), np.array(observed, float))


def categories(expected, observed):
    return Compared(Bins(categories=("a", "b")), np.array(expected, float), np.array(observed, float))


def test_a_value_in_an_open_end_bin_leaves_the_wasserstein_distance_without_an_upper_bound():
    (once,) = look_once([compared([10, 50, 30, 10], [20, 40, 30, 10])])
    assert once.wasserstein.high is None
    assert once.wasserstein.low <= once.wasserstein.value


def test_closed_bins_bound_the_distances_of_the_values_themselves():
    random = np.random.default_rng(7)
    before, now = random.uniform(1, 4, 400), random.uniform(1.5, 4, 300)
    counts = [[0, *np.histogram(values, [1, 2, 3, 4])[0], 0] for values in (before, now)]
    (once,) = look_once([compared(*counts, edges=(1.0, 2.0, 3.0, 4.0))])
    ks, area = stats.ks_2samp(before, now).statistic, stats.wasserstein_distance(before, now)
    assert once.ks.low <= ks <= once.ks.high
    assert once.wasserstein.low <= area <= once.wasserstein.high
    assert once.p_value == pytest.approx(stats.chi2_contingency(np.array(counts)[:, 1:-1]).pvalue)


@pytest.mark.parametrize(
    ("feature", "distances"),
    [
        (categories([40, 60, 0], [50, 50, 0]), (None, None)),
        (compared([40, 60], [50, 50], edges=(1.0,)), ("ks", None)),
    ],
    ids=["categories have no order", "both bins are open"],
)
def test_distances_that_bins_cannot_give_are_none(feature, distances):
    (once,) = look_once([feature])
    assert (once.ks and "ks", once.wasserstein) == distances
    assert once.p_value is not None


def test_p_values_are_adjusted_over_the_features_that_could_be_tested():
    features = [
        compared([100, 300, 300, 100], [100, 300, 300, 100]),
        compared([100, 300, 300, 100], [160, 280, 280, 80]),
        compared([100, 300, 300, 100], [0, 1, 1, 0]),
        None,
        compared([100, 300, 300, 100], [120, 310, 280, 90]),
    ]
    found = look_once(features)
    assert found[2].p_value is found[2].adjusted is None
    assert found[2].ks is not None
    assert found[3] is None
    tested = [found[place] for place in (0, 1, 4)]
    expected = stats.false_discovery_control([each.p_value for each in tested])
    assert [each.adjusted for each in tested] == pytest.approx(expected.tolist())


def test_no_feature_is_no_answer():
    assert look_once([]) == ()


def test_without_drift_few_adjusted_p_values_are_small():
    random, shares = np.random.default_rng(11), [0.1, 0.4, 0.3, 0.2]
    alarms = 0
    for _ in range(200):
        samples = random.multinomial(500, shares, size=(20, 2))
        found = look_once([compared(*pair) for pair in samples])
        alarms += any(each.adjusted <= 0.05 for each in found)
    assert alarms / 200 < 0.1
