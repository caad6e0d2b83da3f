"""Distances between two binned samples, for many features at once.

Every function takes counts with bins on the last axis, so that a (features, bins) matrix costs one call, and returns one number for
each row. `reference` is the baseline or the incumbent (shares p, total n), `current` the live sample (shares q, total m).
"""

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

Floats = NDArray[np.float64]
_special = cast(Any, special)


@dataclass(frozen=True)
class Smoothing:
    """What is done about empty bins; published thresholds depend on it.

    add: added to every count before dividing. floor: what a share of zero becomes, without renormalising.
    """

    name: str
    add: float = 0.0
    floor: float = 0.0


EXACT = Smoothing("none")
ADD_HALF = Smoothing("add 1/2", add=0.5)  # Krichevsky and Trofimov; the default here
FLOOR_1E_3 = Smoothing("floor 1e-3", floor=1e-3)
FLOOR_1E_4 = Smoothing("floor 1e-4", floor=1e-4)  # as Evidently
FLOOR_1E_6 = Smoothing("floor 1e-6", floor=1e-6)


def shares(counts: ArrayLike, smoothing: Smoothing = EXACT) -> Floats:
    """Counts as shares of their row; an empty row is NaN unless smoothing adds something."""
    numbers = np.asarray(counts, dtype=np.float64) + smoothing.add
    with np.errstate(invalid="ignore"):
        result = numbers / numbers.sum(axis=-1, keepdims=True)
    return np.where(result == 0, smoothing.floor, result) if smoothing.floor else result


def psi(reference: ArrayLike, current: ArrayLike, smoothing: Smoothing = ADD_HALF) -> Floats:
    """Population stability index, sum (q - p) ln(q / p); Siddiqi, Credit Risk Scorecards (2006).

    >>> round(float(psi([100, 200, 300, 250, 150], [80, 170, 310, 280, 160], EXACT)), 8)
    0.01371158
    """
    p, q = shares(reference, smoothing), shares(current, smoothing)
    if smoothing.add or smoothing.floor:  # no share is zero
        return _sum((q - p) * np.log(q / p))
    return _sum(_special.rel_entr(q, p) + _special.rel_entr(p, q))


def psi_noise(reference: ArrayLike, current: ArrayLike) -> Floats:
    """What the PSI is on average when nothing drifted: (B - 1)(1/n + 1/m), over the bins that are not empty in both."""
    return (_occupied(reference, current) - 1) * _inverse_sizes(reference, current)


def psi_critical_value(reference: ArrayLike, current: ArrayLike, alpha: float = 0.05) -> Floats:
    """The PSI that is exceeded with probability alpha when nothing drifted: (1/n + 1/m) chi2(B - 1); for one look.

    Yurdakul, Statistical Properties of Population Stability Index (2018).
    """
    freedom = np.maximum(_occupied(reference, current) - 1, 1)
    quantile = np.asarray(_special.chdtri(freedom, alpha), dtype=np.float64)
    return quantile * _inverse_sizes(reference, current)


def debiased_psi(reference: ArrayLike, current: ArrayLike, smoothing: Smoothing = ADD_HALF) -> Floats:
    """The PSI less what sampling noise alone adds to it, never below zero."""
    return np.maximum(psi(reference, current, smoothing) - psi_noise(reference, current), 0.0)


def kl(reference: ArrayLike, current: ArrayLike, smoothing: Smoothing = ADD_HALF) -> Floats:
    """Kullback-Leibler divergence sum p ln(p / q), in nats."""
    p, q = shares(reference, smoothing), shares(current, smoothing)
    return _sum(_special.rel_entr(p, q))


def js_divergence(reference: ArrayLike, current: ArrayLike, base: float = 2.0, smoothing: Smoothing = EXACT) -> Floats:
    """Jensen-Shannon divergence in units of the given base; with base 2 it lies in [0, 1]. Lin (1991)."""
    p, q = shares(reference, smoothing), shares(current, smoothing)
    middle = (p + q) / 2
    nats = _sum(_special.rel_entr(p, middle) + _special.rel_entr(q, middle)) / 2
    return np.asarray(np.maximum(nats, 0.0) / np.log(base), dtype=np.float64)


def js_distance(reference: ArrayLike, current: ArrayLike, base: float = 2.0, smoothing: Smoothing = EXACT) -> Floats:
    """The square root of the Jensen-Shannon divergence, a metric. Evidently uses base e, NannyML base 2.

    >>> round(float(js_distance([500, 500, 0, 0], [0, 0, 500, 500])), 7)
    1.0
    """
    return np.sqrt(js_divergence(reference, current, base, smoothing))


def js_noise(reference: ArrayLike, current: ArrayLike, base: float = 2.0) -> Floats:
    """What the JS divergence is on average when nothing drifted: an eighth of the PSI's, to second order."""
    return np.asarray(psi_noise(reference, current) / (8 * np.log(base)), dtype=np.float64)


def debiased_js_distance(reference: ArrayLike, current: ArrayLike, base: float = 2.0) -> Floats:
    """The JS distance after taking off the divergence that sampling noise alone adds."""
    return np.sqrt(np.maximum(js_divergence(reference, current, base) - js_noise(reference, current, base), 0.0))


def hellinger(reference: ArrayLike, current: ArrayLike) -> Floats:
    """Hellinger distance sqrt(1/2 sum (sqrt p - sqrt q)^2), in [0, 1]."""
    return np.sqrt(_sum((np.sqrt(shares(reference)) - np.sqrt(shares(current))) ** 2) / 2)


def total_variation(reference: ArrayLike, current: ArrayLike) -> Floats:
    """Total variation 1/2 sum |p - q|: the largest difference in probability of any set of bins."""
    return _sum(np.abs(shares(reference) - shares(current))) / 2


def chi_square(reference: ArrayLike, current: ArrayLike) -> tuple[Floats, Floats]:
    """Pearson's chi-square of homogeneity on the 2 x B table, and its p-value; bins empty in both are left out."""
    observed, expected = _table(reference, current)
    with np.errstate(invalid="ignore", divide="ignore"):
        parts = np.where(expected > 0, (observed - expected) ** 2 / expected, 0.0)
    return _with_p_value(_sum(_sum(parts)), reference, current)


def chi_square_applies(reference: ArrayLike, current: ArrayLike) -> NDArray[np.bool_]:
    """Are there values enough for chi-square's p-value? None of the expected counts below 1, and no more than a fifth below 5.

    Cochran, Some methods for strengthening the common chi-square tests (1954). Bins empty in both are left out.
    """
    observed, expected = _table(reference, current)
    counted = np.broadcast_to(observed.sum(axis=-2, keepdims=True) > 0, expected.shape)
    few, cells = _sum(_sum(counted & (expected < 5))), _sum(_sum(counted))
    none = _sum(_sum(counted & ~(expected >= 1)))
    return np.asarray((cells > 0) & (none == 0) & (few <= cells / 5))


def g_test(reference: ArrayLike, current: ArrayLike) -> tuple[Floats, Floats]:
    """The likelihood-ratio statistic 2 sum O ln(O / E) of the same table, and its p-value."""
    observed, expected = _table(reference, current)
    return _with_p_value(2 * _sum(_sum(_special.rel_entr(observed, expected))), reference, current)


def _table(reference: ArrayLike, current: ArrayLike) -> tuple[Floats, Floats]:
    observed = np.stack([np.asarray(reference, np.float64), np.asarray(current, np.float64)], axis=-2)
    rows, columns = observed.sum(axis=-1, keepdims=True), observed.sum(axis=-2, keepdims=True)
    with np.errstate(invalid="ignore"):
        return observed, rows * columns / columns.sum(axis=-1, keepdims=True)


def _with_p_value(statistic: Floats, reference: ArrayLike, current: ArrayLike) -> tuple[Floats, Floats]:
    freedom = np.maximum(_occupied(reference, current) - 1, 1)
    return statistic, np.asarray(_special.chdtrc(freedom, statistic), dtype=np.float64)


def _occupied(reference: ArrayLike, current: ArrayLike) -> Floats:
    together = np.asarray(reference, np.float64) + np.asarray(current, np.float64)
    return _sum(together > 0)


def _inverse_sizes(reference: ArrayLike, current: ArrayLike) -> Floats:
    with np.errstate(divide="ignore"):
        return 1 / _sum(np.asarray(reference, np.float64)) + 1 / _sum(np.asarray(current, np.float64))


def _sum(numbers: Any) -> Floats:
    return np.asarray(np.sum(numbers, axis=-1), dtype=np.float64)
