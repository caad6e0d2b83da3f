"""All default statistics of two binned samples in one go, for every feature of every Model of one evaluation.

The same figures as stats.distances and stats.cumulative give one by one. Rows are taken in blocks that stay in the processor's cache,
and turned over, so that sums over the few bins become sums of long columns; shares are computed once, and logarithms are numpy's,
which are vectorised where those of scipy.special are not.
"""

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

Floats = NDArray[np.float64]
_special = cast(Any, special)

_BLOCK = 1 << 15  # numbers of each sample in a block
_SMALLEST = 1e-300  # keeps the logarithm of an empty bin finite, where it is multiplied by zero


@dataclass(frozen=True)
class Summary:
    """One number for each row; NaN where one of the samples is empty."""

    psi: Floats  # smoothed by a half
    js_distance: Floats  # base 2
    hellinger: Floats
    total_variation: Floats
    chi_square: Floats
    ks: Floats  # the lower bound
    occupied: Floats  # bins that are not empty in both
    inverse_sizes: Floats  # 1/n + 1/m

    @property
    def psi_noise(self) -> Floats:
        return (self.occupied - 1) * self.inverse_sizes

    @property
    def debiased_psi(self) -> Floats:
        return np.maximum(self.psi - self.psi_noise, 0.0)

    def psi_critical_value(self, alpha: float = 0.05) -> Floats:
        """For one look. Quantiles are costly, and there are as few different ones as there are numbers of bins."""
        freedom = self._freedom.astype(np.intp)
        quantiles = np.asarray(_special.chdtri(np.arange(1, freedom.max(initial=1) + 1), alpha), dtype=np.float64)
        return np.asarray(quantiles[freedom - 1] * self.inverse_sizes, dtype=np.float64)

    def chi_square_p_value(self) -> Floats:
        """For one look; it costs as much as all of the rest, and no gate asks for it."""
        return np.asarray(_special.chdtrc(self._freedom, self.chi_square), dtype=np.float64)

    @property
    def _freedom(self) -> Floats:
        return np.maximum(self.occupied - 1, 1)


def summarise(reference: ArrayLike, current: ArrayLike) -> Summary:
    """All statistics of two arrays of counts, bins on the last axis."""
    before, now = np.asarray(reference, np.float64), np.asarray(current, np.float64)
    bins, shape = before.shape[-1], before.shape[:-1]
    before, now = before.reshape(-1, bins), now.reshape(-1, bins)
    found = np.empty((8, len(before)))
    rows = max(_BLOCK // bins, 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        for start in range(0, len(before), rows):
            own = slice(start, start + rows)
            _measure(np.ascontiguousarray(before[own].T), np.ascontiguousarray(now[own].T), found[:, own])
    return Summary(*(row.reshape(shape) for row in found))


def _measure(before: Floats, now: Floats, found: Floats) -> None:
    """One block, bins first; found has a row for each field of Summary."""
    n, m, bins = before.sum(axis=0), now.sum(axis=0), len(before)
    p, q, together = before * (1 / n), now * (1 / m), before + now
    difference = p - q
    half_p, half_q = before + 0.5, now + 0.5
    change = half_q * (1 / (m + 0.5 * bins)) - half_p * (1 / (n + 0.5 * bins))
    # The totals, which belong under the two, add the same to every logarithm, and the changes add up to nothing.
    found[0] = _dot(change, np.log(half_q / half_p))
    found[1] = _js_distance(p, q, difference)
    found[2] = np.sqrt(np.maximum(1 - np.sqrt(p * q).sum(axis=0), 0.0))
    found[3] = np.abs(difference).sum(axis=0) / 2
    found[4] = n * m * _dot(difference, difference / np.maximum(together, _SMALLEST))
    found[5] = _largest_gap(difference)
    found[6] = (together > 0).sum(axis=0)
    found[7] = 1 / n + 1 / m


def _largest_gap(difference: Floats) -> Floats:
    """max |F - G|; row by row, because numpy's cumsum over the first axis is slow."""
    gap, largest = np.zeros(difference.shape[1]), np.zeros(difference.shape[1])
    for row in difference:
        gap += row
        np.maximum(largest, np.abs(gap), out=largest)
    return largest


def _js_distance(p: Floats, q: Floats, difference: Floats) -> Floats:
    """Half of sum p ln(p / middle) + sum q ln(q / middle), where p / middle = 1 + x and q / middle = 1 - x."""
    x = difference / np.maximum(p + q, _SMALLEST)
    nats = _dot(p, np.log(np.maximum(1 + x, _SMALLEST))) + _dot(q, np.log(np.maximum(1 - x, _SMALLEST)))
    return np.asarray(np.sqrt(np.maximum(nats, 0.0) / (2 * np.log(2))), dtype=np.float64)


def _dot(first: Floats, second: Floats) -> Floats:
    return np.asarray((first * second).sum(axis=0), dtype=np.float64)
