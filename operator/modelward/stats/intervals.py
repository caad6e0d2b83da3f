"""Intervals for one look. What is looked at again and again needs stats.sequential instead."""

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

Floats = NDArray[np.float64]
_special = cast(Any, special)


@dataclass(frozen=True)
class Bounds:
    """An estimate and its interval; without any evidence the interval is as wide as can be and the estimate NaN."""

    estimate: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True)
class Estimate:
    """One figure with its interval as plain numbers; high is None where there is no upper end."""

    value: float
    low: float
    high: float | None


def estimate_of(bounds: Bounds) -> Estimate | None:
    """Bounds of a single figure, for people and programs to read; None when nothing is known."""
    value, low, high = (float(end) for end in (bounds.estimate, bounds.low, bounds.high))
    return Estimate(value, low, high if np.isfinite(high) else None) if np.isfinite(value) else None


def normal_quantile(alpha: ArrayLike) -> Floats:
    """The z that a standard normal exceeds with probability alpha."""
    return -np.asarray(_special.ndtri(alpha), dtype=np.float64)


def wilson(events: ArrayLike, total: ArrayLike, alpha: ArrayLike = 0.05) -> Bounds:
    """Wilson's score interval of a rate (1927), two-sided; [0, 1] without observations.

    >>> bounds = wilson(3, 200)
    >>> round(float(bounds.low), 6), round(float(bounds.high), 6)
    (0.005114, 0.043166)
    """
    x, n = np.asarray(events, np.float64), np.asarray(total, np.float64)
    z = normal_quantile(np.asarray(alpha, np.float64) / 2)
    known = n > 0
    size = np.where(known, n, 1.0)
    rate = x / size
    widened = 1 + z**2 / size
    middle = (rate + z**2 / (2 * size)) / widened
    radius = z / widened * np.sqrt(np.maximum(rate * (1 - rate) / size + z**2 / (4 * size**2), 0.0))
    low = np.where(x > 0, np.maximum(middle - radius, 0.0), 0.0)
    high = np.where(x < n, np.minimum(middle + radius, 1.0), 1.0)
    return Bounds(np.where(known, rate, np.nan), np.where(known, low, 0.0), np.where(known, high, 1.0))


def exact(events: ArrayLike, total: ArrayLike, alpha: ArrayLike = 0.05) -> Bounds:
    """The interval of Clopper and Pearson (1934): each side wrong with at most alpha / 2, however small rate and alpha are."""
    x, n = np.asarray(events, np.float64), np.asarray(total, np.float64)
    tail, known = np.asarray(alpha, np.float64) / 2, n > 0
    low = np.where(x > 0, _special.betaincinv(np.maximum(x, 1e-9), n - x + 1, tail), 0.0)
    high = np.where(x < n, _special.betainccinv(x + 1, np.maximum(n - x, 1e-9), tail), 1.0)
    rate = np.where(known, x / np.where(known, n, 1.0), np.nan)
    return Bounds(rate, np.where(known, low, 0.0), np.where(known, high, 1.0))


def newcombe(
    events: ArrayLike, total: ArrayLike, other_events: ArrayLike, other_total: ArrayLike, alpha: ArrayLike = 0.05
) -> Bounds:
    """Newcombe's interval of the difference of two rates (1998, method 10): Wilson's intervals put together.

    >>> bounds = newcombe(30, 2000, 250, 18000)
    >>> round(float(bounds.low), 6), round(float(bounds.high), 6)
    (-0.003717, 0.007645)
    """
    first, second = wilson(events, total, alpha), wilson(other_events, other_total, alpha)
    difference = first.estimate - second.estimate
    a, b = np.nan_to_num(first.estimate, nan=0.5), np.nan_to_num(second.estimate, nan=0.5)
    known = ~np.isnan(difference)
    low = a - b - np.hypot(a - first.low, second.high - b)
    high = a - b + np.hypot(first.high - a, b - second.low)
    return Bounds(difference, np.where(known, low, -1.0), np.where(known, high, 1.0))


def poisson(events: ArrayLike, alpha: ArrayLike = 0.05) -> Bounds:
    """The exact interval of the mean of a Poisson count (Garwood, 1936)."""
    count, tail = np.asarray(events, np.float64), np.asarray(alpha, np.float64) / 2
    low = np.where(count > 0, _special.gammaincinv(np.maximum(count, 1e-9), tail), 0.0)
    return Bounds(count, low, np.asarray(_special.gammainccinv(count + 1, tail), dtype=np.float64))


def normal(estimate: ArrayLike, variance: ArrayLike, alpha: ArrayLike = 0.05) -> Bounds:
    """The interval of a figure whose sampling variance is known to first order."""
    middle = np.asarray(estimate, np.float64)
    radius = normal_quantile(np.asarray(alpha, np.float64) / 2) * np.sqrt(np.asarray(variance, np.float64))
    known = np.isfinite(middle) & np.isfinite(radius)
    return Bounds(middle, np.where(known, middle - radius, -np.inf), np.where(known, middle + radius, np.inf))
