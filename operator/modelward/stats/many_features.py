"""From the p-values or findings of many features, looked at once, to one answer. Repeated looks need the bounds of stats.sequential."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def benjamini_hochberg(p_values: ArrayLike) -> Floats:
    """Adjusted p-values, features on the last axis: rejecting those at or below alpha keeps the false discovery rate at alpha.

    Benjamini and Hochberg (1995). A p-value of NaN, of a feature that could not be tested, is not among the hypotheses.
    """
    values = np.asarray(p_values, np.float64)
    order = np.argsort(values, axis=-1)  # NaN comes last
    ordered = np.take_along_axis(values, order, axis=-1)
    tested = np.count_nonzero(~np.isnan(values), axis=-1)[..., None]
    scaled = ordered * tested / np.arange(1, values.shape[-1] + 1)
    smallest_from_here = np.fmin.accumulate(scaled[..., ::-1], axis=-1)[..., ::-1]
    adjusted = np.empty_like(values)
    np.put_along_axis(adjusted, order, np.minimum(smallest_from_here, 1.0), axis=-1)
    return np.where(np.isnan(values), np.nan, adjusted)


def drift_share(drifted: ArrayLike) -> Floats:
    """The share of the features that have drifted; a data set drifted when it is above a limit, usually one half."""
    return np.asarray(np.mean(np.asarray(drifted, np.float64), axis=-1), dtype=np.float64)
