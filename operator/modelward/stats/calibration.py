"""Do scores mean what they say? From score histograms by label."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from modelward.stats.intervals import Bounds

Floats = NDArray[np.float64]


def ece_bounds(
    negatives: ArrayLike, positives: ArrayLike, edges: ArrayLike, score_sums: ArrayLike | None = None
) -> Bounds:
    """The expected calibration error sum w |share of positives - mean score| over the histogram's own bins.

    Scores lie in [0, 1], so the end bins reach to 0 and to 1. A bin's mean score is known when the sum of its scores is; otherwise it
    may be anywhere in the bin, the estimate takes the middle, and the bounds are those of the two worst places.
    """
    n, p = np.asarray(negatives, np.float64), np.asarray(positives, np.float64)
    observed = np.where(n + p > 0, p / np.where(n + p > 0, n + p, 1.0), 0.0)
    return _weighted(n + p, observed, observed, edges, score_sums)


def ece_interval(
    low_share: ArrayLike,
    high_share: ArrayLike,
    counts: ArrayLike,
    edges: ArrayLike,
    score_sums: ArrayLike | None = None,
) -> Bounds:
    """The same when each bin's share of positives is known to an interval only, such as a confidence sequence."""
    low, high = np.asarray(low_share, np.float64), np.asarray(high_share, np.float64)
    return _weighted(np.asarray(counts, np.float64), low, high, edges, score_sums)


def _weighted(counts: Floats, low: Floats, high: Floats, edges: ArrayLike, score_sums: ArrayLike | None) -> Bounds:
    inner = np.clip(np.asarray(edges, np.float64), 0.0, 1.0)
    lowest, highest = np.concatenate([[0.0], inner]), np.concatenate([inner, [1.0]])
    middle = (lowest + highest) / 2
    if score_sums is not None:
        middle = np.where(counts > 0, np.asarray(score_sums, np.float64) / np.where(counts > 0, counts, 1.0), middle)
        lowest = highest = middle
    total = counts.sum(axis=-1, keepdims=True)
    weight = counts / np.where(total > 0, total, 1.0)
    nearest = np.maximum(np.maximum(low - highest, lowest - high), 0.0)
    farthest = np.maximum(high - lowest, highest - low)
    typical = np.abs((low + high) / 2 - middle)
    known = total[..., 0] > 0
    return Bounds(
        np.where(known, (weight * typical).sum(axis=-1), np.nan),
        np.where(known, (weight * nearest).sum(axis=-1), 0.0),
        np.where(known, np.minimum((weight * farthest).sum(axis=-1), 1.0), 1.0),
    )
