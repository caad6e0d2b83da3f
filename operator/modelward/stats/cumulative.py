"""Distances between distribution functions, which bins give bounds of: within a bin nobody knows where the values lie.

Counts have their bins on the last axis; F and G are the reference's and the current distribution functions, F0 and G0 at a bin's lower edge,
F1 and G1 at its upper edge. A row without counts is NaN.
"""

from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from modelward.stats.intervals import Bounds

Floats = NDArray[np.float64]
_special = cast(Any, special)


def ks_bounds(reference: ArrayLike, current: ArrayLike) -> Bounds:
    """Kolmogorov and Smirnov's distance: max |F1 - G1| <= D <= max(F1 - G0, G1 - F0). The estimate is the lower bound."""
    before, after, other_before, other_after = _steps(reference, current)
    low = np.abs(after - other_after).max(axis=-1)
    high = np.maximum(after - other_before, other_after - before).max(axis=-1)
    return Bounds(low, low, high)


def ks_p_value(reference: ArrayLike, current: ArrayLike) -> Floats:
    """The asymptotic p-value of the lower bound, for one look: never smaller than that of the values themselves."""
    n, m = (np.asarray(counts, np.float64).sum(axis=-1) for counts in (reference, current))
    scaled = np.sqrt(n * m / (n + m)) * ks_bounds(reference, current).low
    return np.asarray(_special.kolmogorov(scaled), dtype=np.float64)


def wasserstein_bounds(
    reference: ArrayLike,
    current: ArrayLike,
    edges: ArrayLike,
    mean_difference: ArrayLike | None = None,
) -> Bounds:
    """The area between the distribution functions, in the feature's own unit, with values spread evenly within each bin.

    It is also at least the difference of the means, which the sums of two histograms give. The end bins are open: nothing is known of
    how far out their values lie, so that the estimate leaves them out and there is no upper bound unless they are empty.
    """
    inner = np.asarray(edges, np.float64)
    before, after, other_before, other_after = (step[..., 1:-1] for step in _steps(reference, current))
    width = np.diff(inner)
    first, last = before - other_before, after - other_after
    together = np.abs(first) + np.abs(last)
    crossing = np.where(together > 0, (first**2 + last**2) / np.where(together > 0, together, 1.0), 0.0)
    estimate = (width * np.where(first * last >= 0, together, crossing) / 2).sum(axis=-1)
    low = (width * np.maximum(np.maximum(before - other_after, other_before - after), 0.0)).sum(axis=-1)
    high = (width * np.maximum(np.abs(before - other_after), np.abs(after - other_before))).sum(axis=-1)
    tails = (np.asarray(reference, np.float64) + np.asarray(current, np.float64))[..., [0, -1]].sum(axis=-1)
    high = np.where(tails > 0, np.inf, high)
    if mean_difference is not None:
        least = np.abs(np.asarray(mean_difference, np.float64))
        low, estimate = np.fmax(low, least), np.fmax(estimate, least)
    return Bounds(estimate, low, np.maximum(high, estimate))


def _steps(reference: ArrayLike, current: ArrayLike) -> tuple[Floats, Floats, Floats, Floats]:
    """F0, F1, G0, G1 of every bin."""
    steps: list[Floats] = []
    for counts in (reference, current):
        table = np.asarray(counts, np.float64)
        with np.errstate(invalid="ignore"):
            after = np.cumsum(table, axis=-1) / table.sum(axis=-1, keepdims=True)
        steps.extend((np.concatenate([np.zeros_like(after[..., :1]), after[..., :-1]], axis=-1), after))
    return steps[0], steps[1], steps[2], steps[3]
