"""What usual statistics say of features at one look, for people who know them from elsewhere.

No verdict rests on them: a p-value is made for one look, and a gate looks for as long as its stage lasts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from modelward.lifecycle.gates.distributions import Compared
from modelward.stats import distances
from modelward.stats.cumulative import ks_bounds, wasserstein_bounds
from modelward.stats.intervals import Estimate, estimate_of
from modelward.stats.many_features import benjamini_hochberg


@dataclass(frozen=True)
class OneLook:
    """One feature's reference and live values, as counted so far.

    Values lie anywhere in their bins, so that the ends of the two distances are bounds, and no intervals of sampling noise.
    """

    ks: Estimate | None  # None: categories have no order
    wasserstein: Estimate | None  # in the feature's unit; no upper end: there are values in the open bins at the ends
    p_value: float | None  # chi-square of homogeneity; None: too few values for it
    adjusted: float | None  # by Benjamini and Hochberg, for all features that were tested


def look_once(features: Sequence[Compared | None]) -> tuple[OneLook | None, ...]:
    """One answer for each feature, in their order; None for one of which nothing was counted."""
    p_values = np.array([_p_value(feature) for feature in features], np.float64)
    adjusted = benjamini_hochberg(p_values) if len(features) else p_values
    return tuple(
        None if feature is None else OneLook(*_distances(feature), _known(p_value), _known(of_all))
        for feature, p_value, of_all in zip(features, p_values.tolist(), adjusted.tolist(), strict=True)
    )


def _p_value(feature: Compared | None) -> float:
    if feature is None or not distances.chi_square_applies(feature.expected, feature.observed):
        return float("nan")
    return float(distances.chi_square(feature.expected, feature.observed)[1])


def _distances(feature: Compared) -> tuple[Estimate | None, Estimate | None]:
    edges = feature.bins.edges
    if edges is None:
        return None, None
    ks = estimate_of(ks_bounds(feature.expected, feature.observed))
    if len(edges) < 2:
        return ks, None  # both bins are open, so that there is nothing to measure
    return ks, estimate_of(wasserstein_bounds(feature.expected, feature.observed, edges))


def _known(value: float) -> float | None:
    return None if np.isnan(value) else value
