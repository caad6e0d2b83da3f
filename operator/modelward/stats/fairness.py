"""Are groups of people treated alike? From each group's counts, with the groups on the last axis.

Every function takes the rates of all groups as Bounds, from stats.intervals.wilson for one look or from stats.sequential.rate_bounds for
many, each made with its share of alpha (`share_of_alpha`), and gives Bounds of the figure that are then right together. A rate whose
group is too small to say anything makes the figure NaN, with the widest bounds: a group of one is unknown, not fair.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from modelward.stats.intervals import Bounds, wilson

Floats = NDArray[np.float64]
IntervalOf = Callable[[Floats, Floats, float], Bounds]

FOUR_FIFTHS = 0.8
"""Below this ratio of selection rates, adverse impact is presumed (29 CFR 1607.4 D)."""


@dataclass(frozen=True)
class Groups:
    """Outcomes of each group; all arrays have the groups on the last axis."""

    true_positives: Floats
    false_positives: Floats
    false_negatives: Floats
    true_negatives: Floats

    @property
    def sizes(self) -> Floats:
        return self.true_positives + self.false_positives + self.false_negatives + self.true_negatives

    @property
    def selected(self) -> Floats:
        return self.true_positives + self.false_positives

    @property
    def right(self) -> Floats:
        return self.true_positives + self.true_negatives

    @property
    def positives(self) -> Floats:
        return self.true_positives + self.false_negatives

    @property
    def negatives(self) -> Floats:
        return self.false_positives + self.true_negatives


def demographic_parity_difference(
    groups: Groups, minimum: float = 1, alpha: float = 0.05, interval: IntervalOf = wilson
) -> Bounds:
    """The largest difference of two groups' shares of positive predictions."""
    return gap(_rates(groups.selected, groups.sizes, minimum, alpha, interval))


def demographic_parity_ratio(
    groups: Groups, minimum: float = 1, alpha: float = 0.05, interval: IntervalOf = wilson
) -> Bounds:
    """The smallest share of positive predictions, as a share of the largest."""
    return ratio(_rates(groups.selected, groups.sizes, minimum, alpha, interval))


def equalized_odds_difference(
    groups: Groups, minimum: float = 1, alpha: float = 0.05, interval: IntervalOf = wilson
) -> Bounds:
    """The larger of the largest differences of true and of false positive rates; a group needs enough of both labels."""
    hits = gap(_rates(groups.true_positives, groups.positives, minimum, alpha / 2, interval))
    alarms = gap(_rates(groups.false_positives, groups.negatives, minimum, alpha / 2, interval))
    unknown = np.isnan(hits.estimate) | np.isnan(alarms.estimate)
    return Bounds(
        np.where(unknown, np.nan, np.fmax(hits.estimate, alarms.estimate)),
        np.maximum(hits.low, alarms.low),
        np.maximum(hits.high, alarms.high),
    )


def adverse_action_ratio(
    groups: Groups, minimum: float = 1, alpha: float = 0.05, interval: IntervalOf = wilson
) -> Bounds:
    """Where a positive prediction means a refusal: the smallest share of people spared, as a share of the largest."""
    return ratio(_rates(groups.sizes - groups.selected, groups.sizes, minimum, alpha, interval))


def obeys_four_fifths(figure: Bounds) -> NDArray[np.bool_]:
    """Is the ratio four fifths or more? False also where it is unknown."""
    return np.asarray(figure.estimate >= FOUR_FIFTHS)


def accuracy_disparity(
    groups: Groups, minimum: float = 1, alpha: float = 0.05, interval: IntervalOf = wilson
) -> Bounds:
    """The largest difference of two groups' accuracies."""
    return gap(_rates(groups.right, groups.sizes, minimum, alpha, interval))


def gap(rates: Bounds) -> Bounds:
    """The largest difference of two rates. Bounds that hold for all rates at once hold for it too."""
    estimate = rates.estimate.max(axis=-1) - rates.estimate.min(axis=-1)
    low = rates.low.max(axis=-1) - rates.high.min(axis=-1)
    return Bounds(
        np.asarray(estimate), np.asarray(np.maximum(low, 0.0)), rates.high.max(axis=-1) - rates.low.min(axis=-1)
    )


def ratio(rates: Bounds) -> Bounds:
    """The smallest rate as a share of the largest; NaN when all are zero, where nobody is treated worse than another."""
    with np.errstate(invalid="ignore", divide="ignore"):
        estimate = rates.estimate.min(axis=-1) / rates.estimate.max(axis=-1)
        low = np.nan_to_num(rates.low.min(axis=-1) / rates.high.max(axis=-1), nan=0.0)
        high = rates.high.min(axis=-1) / rates.low.max(axis=-1)
    return Bounds(np.asarray(estimate), low, np.where(np.isnan(high), 1.0, np.minimum(high, 1.0)))


def _rates(events: Floats, totals: Floats, minimum: float, alpha: float, interval: IntervalOf) -> Bounds:
    """Bonferroni over the groups; a group that is too small is not known at all."""
    x, n = np.asarray(events, np.float64), np.asarray(totals, np.float64)
    bounds = interval(x, n, alpha / max(n.shape[-1], 1))
    known = n >= max(minimum, 1)
    return Bounds(
        np.where(known, bounds.estimate, np.nan), np.where(known, bounds.low, 0.0), np.where(known, bounds.high, 1.0)
    )


def groups_of(counts: ArrayLike) -> Groups:
    """From an array with the four outcomes on its last axis: true positive, false positive, false negative, true negative."""
    table = np.asarray(counts, np.float64)
    return Groups(*(table[..., place] for place in range(4)))
