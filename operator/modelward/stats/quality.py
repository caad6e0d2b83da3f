"""How right a model is, from counters of labelled feedback: confusion counts, sums of errors, score histograms by label.

Everything is vectorised over leading axes. A confusion table has the predicted class on the last axis but one and the actual class on the
last. A figure without any observation that it could be computed from is NaN, never 0 and never 1. Next to each figure that is no
plain rate stands its sampling variance times the number of labels, for stats.intervals.normal and stats.sequential.mean_bounds.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from modelward.stats.intervals import Bounds

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Counted:
    """A rate as what it is made of."""

    events: Floats
    total: Floats

    @property
    def rate(self) -> Floats:
        return _ratio(self.events, self.total)


@dataclass(frozen=True)
class Estimated:
    """A figure and its variance for a single label: that of n labels is an n-th of it."""

    value: Floats
    variance: Floats
    labels: Floats


def accuracy(confusion: ArrayLike) -> Counted:
    """Right answers among all."""
    table = np.asarray(confusion, np.float64)
    return Counted(_diagonal(table).sum(axis=-1), table.sum(axis=(-2, -1)))


def precision(confusion: ArrayLike, positive: int = 1) -> Counted:
    """Actual positives among those predicted."""
    table = np.asarray(confusion, np.float64)
    return Counted(table[..., positive, positive], table[..., positive, :].sum(axis=-1))


def recall(confusion: ArrayLike, positive: int = 1) -> Counted:
    """Predicted positives among those that are."""
    table = np.asarray(confusion, np.float64)
    return Counted(table[..., positive, positive], table[..., :, positive].sum(axis=-1))


def jaccard(confusion: ArrayLike, positive: int = 1) -> Counted:
    """True positives among all that are positive or predicted so: a plain rate J, of which F1 = 2 J / (1 + J)."""
    table = np.asarray(confusion, np.float64)
    hits = table[..., positive, positive]
    return Counted(hits, table[..., positive, :].sum(axis=-1) + table[..., :, positive].sum(axis=-1) - hits)


def f1(confusion: ArrayLike, positive: int = 1) -> Floats:
    """The harmonic mean of precision and recall."""
    return f1_of_jaccard(jaccard(confusion, positive).rate)


def f1_of_jaccard(rate: ArrayLike) -> Floats:
    """Rising in J, so that bounds of J are bounds of F1."""
    share = np.asarray(rate, np.float64)
    return np.asarray(2 * share / (1 + share), dtype=np.float64)


def mcc(confusion: ArrayLike) -> Estimated:
    """Matthews' correlation coefficient, for any number of classes (Gorodkin, 2004); variance by the delta method.

    NaN when all predictions, or all labels, are of one class.
    """
    table = np.asarray(confusion, np.float64)
    size = table.sum(axis=(-2, -1))
    with np.errstate(invalid="ignore", divide="ignore"):
        share = table / size[..., None, None]
        predicted, actual = share.sum(axis=-1), share.sum(axis=-2)
        above = _diagonal(share).sum(axis=-1) - (predicted * actual).sum(axis=-1)
        spread_predicted, spread_actual = 1 - (predicted**2).sum(axis=-1), 1 - (actual**2).sum(axis=-1)
        defined = (np.count_nonzero(predicted > 0, axis=-1) > 1) & (np.count_nonzero(actual > 0, axis=-1) > 1)
        below = np.sqrt(np.where(defined, spread_predicted * spread_actual, np.nan))
        value = above / below
        slope = (np.eye(table.shape[-1]) - actual[..., :, None] - predicted[..., None, :]) / below[..., None, None]
        slope += value[..., None, None] * (
            predicted[..., :, None] / spread_predicted[..., None, None]
            + actual[..., None, :] / spread_actual[..., None, None]
        )
        mean = (share * slope).sum(axis=(-2, -1))
        variance = (share * slope**2).sum(axis=(-2, -1)) - mean**2
    return Estimated(value, np.maximum(variance, 0.0), size)


def auc_bounds(negatives: ArrayLike, positives: ArrayLike) -> Bounds:
    """The area under the ROC curve from score histograms by label, bins ascending on the last axis.

    Pairs within one bin are in unknown order: all wrong gives the lower bound, all right the upper one, half the estimate.
    """
    n, p = np.asarray(negatives, np.float64), np.asarray(positives, np.float64)
    pairs = n.sum(axis=-1) * p.sum(axis=-1)
    ordered = (p * (np.cumsum(n, axis=-1) - n)).sum(axis=-1)
    tied = (p * n).sum(axis=-1)
    known = pairs > 0
    low, high = _ratio(ordered, pairs), _ratio(ordered + tied, pairs)
    return Bounds(_ratio(ordered + tied / 2, pairs), np.where(known, low, 0.0), np.where(known, high, 1.0))


def auc(negatives: ArrayLike, positives: ArrayLike) -> Estimated:
    """The estimate of `auc_bounds` with the variance of DeLong, DeLong and Clarke-Pearson (1988), ties counting half."""
    n, p = np.asarray(negatives, np.float64), np.asarray(positives, np.float64)
    size_n, size_p = n.sum(axis=-1, keepdims=True), p.sum(axis=-1, keepdims=True)
    beaten = _ratio(np.cumsum(n, axis=-1) - n / 2, size_n)
    beating = _ratio(size_p - np.cumsum(p, axis=-1) + p / 2, size_p)
    labels = (size_n + size_p)[..., 0]
    variance = labels * (_variance(p, beaten) / size_p[..., 0] + _variance(n, beating) / size_n[..., 0])
    return Estimated(auc_bounds(n, p).estimate, variance, labels)


def mean_squared_error(squares: ArrayLike, fourth_powers: ArrayLike, labels: ArrayLike) -> Estimated:
    """sum e^2 / n; RMSE is its root, and the root of its bounds bounds the RMSE."""
    count = np.asarray(labels, np.float64)
    mean = _ratio(np.asarray(squares, np.float64), count)
    variance = _ratio(np.asarray(fourth_powers, np.float64), count) - mean**2
    return Estimated(mean, np.maximum(variance, 0.0), count)


def mean_absolute_error(absolutes: ArrayLike, squares: ArrayLike, labels: ArrayLike) -> Estimated:
    """sum |e| / n."""
    count = np.asarray(labels, np.float64)
    mean = _ratio(np.asarray(absolutes, np.float64), count)
    variance = _ratio(np.asarray(squares, np.float64), count) - mean**2
    return Estimated(mean, np.maximum(variance, 0.0), count)


def _variance(counts: Floats, values: Floats) -> Floats:
    size = counts.sum(axis=-1)
    mean = _ratio((counts * values).sum(axis=-1), size)
    around = (counts * (values - mean[..., None]) ** 2).sum(axis=-1)
    return _ratio(around, np.maximum(size - 1, 1.0))


def _diagonal(table: Floats) -> Floats:
    return np.asarray(np.diagonal(table, axis1=-2, axis2=-1), dtype=np.float64)


def _ratio(above: Floats, below: Floats) -> Floats:
    known = np.asarray(below > 0)
    return np.where(known, above / np.where(known, below, 1.0), np.nan)
