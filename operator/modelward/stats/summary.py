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

_BLOCK = 1 << 17  # numbers of each sample in a block: few enough for the cache, many enough for few calls
_SMALLEST = 1e-300  # below empty bins
_ALMOST_ONE = (
    1 - 4e-16
)  # keeps the logarithm of a bin that is empty in one sample finite, where it is multiplied by zero


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
    rows = min(max(_BLOCK // bins, 1), max(len(before), 1))
    counts, work = np.empty((2, bins, rows)), np.empty((3, bins, rows))
    with np.errstate(invalid="ignore", divide="ignore"):
        for start in range(0, len(before), rows):
            own = slice(start, start + rows)
            size = len(before[own])
            np.copyto(counts[0, :, :size], before[own].T)
            np.copyto(counts[1, :, :size], now[own].T)
            _measure(counts[..., :size], found[:, own], work[..., :size])
    return Summary(*(row.reshape(shape) for row in found))


def _measure(counts: Floats, found: Floats, work: Floats) -> None:
    """One block: counts of both samples, which become shares. found has a row for each field of Summary; no more memory is taken."""
    bins, totals = counts.shape[1], _sum(counts)
    first, pair = work[0], work[1:]
    inverse = 1 / totals
    found[7] = inverse[0] + inverse[1]
    found[0] = _psi(counts, totals, pair, first)
    together = np.add(counts[0], counts[1], out=first)
    found[6] = np.sum(together > 0, axis=0, dtype=np.uint8 if bins < 256 else np.intp)
    together += _SMALLEST
    shares = np.multiply(counts, inverse[:, None], out=counts)
    difference, other = pair
    np.subtract(shares[0], shares[1], out=difference)
    np.square(difference, out=other)
    other /= together
    found[4] = totals[0] * totals[1] * _sum(other)
    found[3] = _sum(np.abs(difference, out=other)) / 2
    found[5] = _largest_gap(difference, other)
    np.multiply(shares[0], shares[1], out=other)
    found[2] = np.sqrt(np.maximum(1 - _sum(np.sqrt(other, out=other)), 0.0))
    np.add(shares[0], shares[1], out=first)
    first += _SMALLEST
    found[1] = _js_distance(shares, np.divide(difference, first, out=first), pair)


def _psi(counts: Floats, totals: Floats, halves: Floats, logarithm: Floats) -> Floats:
    """With half a count in each bin. The totals, which belong under the counts, add the same to every logarithm, and the changes add up
    to nothing."""
    np.add(counts, 0.5, out=halves)
    np.log(np.divide(halves[1], halves[0], out=logarithm), out=logarithm)
    halves *= logarithm
    expected, observed = _sum(halves) / (totals + 0.5 * counts.shape[1])
    return np.asarray(observed - expected, dtype=np.float64)


def _largest_gap(difference: Floats, gaps: Floats) -> Floats:
    """max |F - G|; row by row, because numpy's cumsum over the first axis is slow."""
    gaps[0] = difference[0]
    for place in range(1, len(difference)):
        np.add(gaps[place - 1], difference[place], out=gaps[place])
    return np.asarray(np.abs(gaps, out=gaps).max(axis=0), dtype=np.float64)


def _js_distance(shares: Floats, x: Floats, logarithms: Floats) -> Floats:
    """Half of sum p ln(p / middle) + sum q ln(q / middle), where p / middle = 1 + x and q / middle = 1 - x."""
    x *= _ALMOST_ONE
    np.add(1.0, x, out=logarithms[0])
    np.subtract(1.0, x, out=logarithms[1])
    np.log(logarithms, out=logarithms)
    logarithms *= shares
    nats = _sum(logarithms).sum(axis=0)
    return np.asarray(np.sqrt(np.maximum(nats, 0.0) / (2 * np.log(2))), dtype=np.float64)


def _sum(table: Floats) -> Floats:
    """Over the bins: a product with ones is the fastest way."""
    return np.asarray(np.ones(table.shape[-2]) @ table)
