"""Distances, against figures computed with scipy, scikit-learn and evidently."""

import numpy as np
import pytest

from modelward.stats import distances
from modelward.stats.distances import ADD_HALF, EXACT, FLOOR_1E_3, FLOOR_1E_4, FLOOR_1E_6

FULL = ([100, 200, 300, 250, 150], [80, 170, 310, 280, 160])
WITH_EMPTY_BIN = ([500, 300, 200, 0], [400, 300, 200, 100])
DISJOINT = ([500, 500, 0, 0], [0, 0, 500, 500])


@pytest.mark.parametrize(
    ("measured", "published"),
    [
        pytest.param(distances.psi(*FULL, EXACT), 0.01371158, id="psi"),
        pytest.param(distances.kl(*FULL, EXACT), 0.00696824, id="kl"),
        pytest.param(distances.js_distance(*FULL, base=np.e), 0.04137488, id="js base e"),
        pytest.param(distances.js_distance(*FULL, base=2), 0.04969629, id="js base 2"),
        pytest.param(distances.hellinger(*FULL), 0.04138736, id="hellinger"),
        pytest.param(distances.total_variation(*FULL), 0.05, id="total variation"),
        pytest.param(distances.psi_critical_value(*FULL), 0.01897546, id="psi critical value"),
        pytest.param(distances.js_distance(*WITH_EMPTY_BIN), 0.23241294, id="js with an empty bin"),
        pytest.param(distances.total_variation(*WITH_EMPTY_BIN), 0.1, id="total variation with an empty bin"),
        pytest.param(distances.js_distance(*DISJOINT), 1.0, id="js base 2 of disjoint samples"),
        pytest.param(distances.js_distance(*DISJOINT, base=np.e), 0.8325546, id="js base e of disjoint samples"),
        pytest.param(distances.total_variation(*DISJOINT), 1.0, id="total variation of disjoint samples"),
        pytest.param(distances.hellinger(*DISJOINT), 1.0, id="hellinger of disjoint samples"),
    ],
)
def test_a_distance_is_the_published_figure(measured, published):
    assert float(measured) == pytest.approx(published, abs=1e-8, rel=1e-7)


@pytest.mark.parametrize(
    ("smoothing", "published"),
    [(FLOOR_1E_3, 0.4782), (FLOOR_1E_4, 0.7124), (FLOOR_1E_6, 1.1736), (ADD_HALF, 0.5515)],
    ids=lambda value: getattr(value, "name", None),
)
def test_psi_of_an_empty_bin_is_what_its_convention_makes_of_it(smoothing, published):
    assert float(distances.psi(*WITH_EMPTY_BIN, smoothing)) == pytest.approx(published, abs=5e-5)


def test_chi_square_is_of_homogeneity_and_not_of_fit_to_an_exact_reference():
    statistic, p_value = distances.chi_square(*FULL)
    assert (float(statistic), float(p_value)) == pytest.approx((6.839283, 0.144629), abs=1e-6)
    assert float(distances.g_test(*FULL)[0]) == pytest.approx(6.847522, abs=1e-6)
    assert float(distances.chi_square(*WITH_EMPTY_BIN)[0]) == pytest.approx(111.111, abs=1e-3)


def test_a_bin_that_is_empty_in_both_changes_neither_statistic_nor_degrees_of_freedom():
    assert distances.chi_square([*FULL[0], 0], [*FULL[1], 0]) == pytest.approx(distances.chi_square(*FULL))
    assert distances.psi_noise([*FULL[0], 0], [*FULL[1], 0]) == pytest.approx(distances.psi_noise(*FULL))


def test_many_features_cost_one_call_and_give_the_same_figures():
    rows = np.random.default_rng(3).multinomial(500, np.full(6, 1 / 6), size=(2, 30)).astype(float)
    together = distances.psi(rows[0], rows[1])
    assert together.shape == (30,)
    assert together == pytest.approx([float(distances.psi(a, b)) for a, b in zip(rows[0], rows[1], strict=True)])


def test_sampling_noise_alone_is_taken_off_the_psi():
    p = np.full(10, 0.1)
    samples = np.random.default_rng(5).multinomial(400, p, size=(2, 2000)).astype(float)
    assert distances.psi(samples[0], samples[1]).mean() == pytest.approx(9 * 2 / 400, rel=0.1)
    assert np.mean(distances.psi(samples[0], samples[1]) > distances.psi_critical_value(samples[0], samples[1])) < 0.07
    assert distances.debiased_psi(samples[0], samples[1]).mean() < 0.01


def test_a_shift_survives_taking_the_noise_off():
    assert float(distances.debiased_psi(*WITH_EMPTY_BIN)) == pytest.approx(0.5515 - 3 * 2 / 1000, abs=5e-5)


@pytest.mark.parametrize(
    ("reference", "current", "applies"),
    [
        ([50, 50, 50], [50, 50, 50], True),
        ([50, 0, 50], [50, 0, 50], True),
        ([96, 96, 96, 96, 8], [96, 96, 96, 96, 1], True),
        ([96, 96, 8], [96, 96, 1], False),
        ([960, 960, 960, 960, 1], [960, 960, 960, 960, 0], False),
        ([0, 0, 0], [50, 50, 50], False),
        ([0, 0, 0], [0, 0, 0], False),
    ],
    ids=[
        "plenty",
        "a bin empty in both",
        "a fifth below five",
        "a third below five",
        "one below one",
        "no reference",
        "nothing",
    ],
)
def test_chi_square_needs_values_in_every_bin(reference, current, applies):
    assert bool(distances.chi_square_applies(reference, current)) is applies
