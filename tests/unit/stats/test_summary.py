"""The statistics of all features together are those of one feature after the other."""

import numpy as np
import pytest

from modelward.stats import cumulative, distances
from modelward.stats.summary import summarise
from tests.unit.stats.tables import pairs_of_counts

ONE_BY_ONE = {
    "psi": distances.psi,
    "psi_noise": distances.psi_noise,
    "psi_critical_value": distances.psi_critical_value,
    "debiased_psi": distances.debiased_psi,
    "js_distance": distances.js_distance,
    "hellinger": distances.hellinger,
    "total_variation": distances.total_variation,
    "chi_square": lambda a, b: distances.chi_square(a, b)[0],
    "chi_square_p_value": lambda a, b: distances.chi_square(a, b)[1],
    "ks": lambda a, b: cumulative.ks_bounds(a, b).low,
}


@pytest.mark.parametrize("name", ONE_BY_ONE)
def test_a_statistic_is_the_same_as_by_itself(name):
    reference, current = (counts.reshape(100, 50, 12) for counts in pairs_of_counts(bins=12, runs=5000))
    found = getattr(summarise(reference, current), name)
    together = found() if callable(found) else found
    assert together.shape == (100, 50)
    np.testing.assert_allclose(together, ONE_BY_ONE[name](reference, current), rtol=1e-9, atol=1e-9)


def test_an_empty_sample_has_no_distances():
    found = summarise([[0, 0, 0], [1, 2, 3]], [[1, 2, 3], [1, 2, 3]])
    assert np.isnan(found.js_distance).tolist() == [True, False]
    assert np.isnan(found.chi_square).tolist() == [True, False]
