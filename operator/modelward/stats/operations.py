"""How a server runs: quantiles out of buckets, throughput, freshness, how sure its answers are."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from modelward.stats.intervals import Bounds, normal_quantile, poisson, wilson

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Quantile:
    """A quantile read out of buckets. Saturated: it lies beyond the highest edge, so the estimate is that edge and no more."""

    bounds: Bounds
    saturated: NDArray[np.bool_]


def quantile(edges: ArrayLike, counts: ArrayLike, q: float, alpha: float = 0.05) -> Quantile:
    """The q-quantile of each row of counts, the bins on the last axis, interpolated as histogram_quantile does.

    The interval is that of the order statistics, widened to whole bins: what lies within one nobody knows. NaN without
    observations.
    """
    inner, table = np.asarray(edges, np.float64), np.asarray(counts, np.float64)
    cumulative = np.cumsum(table, axis=-1)
    total = cumulative[..., -1]
    known = total > 0
    floor = 0.0 if inner[0] > 0 else -np.inf
    lowest, highest = np.concatenate([[floor], inner]), np.concatenate([inner, [np.inf]])
    place = _bin_of(cumulative, q * total)
    below = np.where(place > 0, _pick(cumulative, np.maximum(place - 1, 0)), 0.0)
    inside = np.maximum(_pick(table, place), 1e-300)
    start, end = lowest[place], highest[place]
    with np.errstate(invalid="ignore"):
        inner_value = start + (end - start) * (q * total - below) / inside
    saturated = place == table.shape[-1] - 1
    estimate = np.where(saturated, inner[-1], np.where(np.isinf(start), end, inner_value))
    spread = normal_quantile(alpha / 2) * np.sqrt(q * (1 - q) * total)
    low = lowest[_bin_of(cumulative, np.maximum(q * total - spread, 0.0))]
    high = highest[_bin_of(cumulative, np.minimum(q * total + spread, total))]
    return Quantile(
        Bounds(np.where(known, estimate, np.nan), np.where(known, low, floor), np.where(known, high, np.inf)),
        np.asarray(saturated & known),
    )


@dataclass(frozen=True)
class Throughput:
    """Requests per second, and as a share of what the server is known to bear."""

    per_second: Bounds
    of_ceiling: Bounds


def throughput(count: ArrayLike, seconds: ArrayLike, ceiling: ArrayLike, alpha: float = 0.05) -> Throughput:
    """From a counter's increment; without any time that passed, nothing is known."""
    interval, time = poisson(count, alpha), np.asarray(seconds, np.float64)
    known, most = time > 0, np.asarray(ceiling, np.float64)
    span = np.where(known, time, 1.0)
    rate = Bounds(
        np.where(known, interval.estimate / span, np.nan),
        np.where(known, interval.low / span, 0.0),
        np.where(known, interval.high / span, np.inf),
    )
    return Throughput(rate, Bounds(rate.estimate / most, rate.low / most, rate.high / most))


def age(now: float, at: float | None) -> float:
    """Seconds since a sample was taken; infinite when there is none. One from the future, by a skewed clock, is new."""
    return float("inf") if at is None or not np.isfinite(at) else max(now - at, 0.0)


def completeness(received: ArrayLike, expected: ArrayLike, alpha: float = 0.05) -> Bounds:
    """The share of what should have arrived that did."""
    wanted = np.asarray(expected, np.float64)
    return wilson(np.minimum(np.asarray(received, np.float64), wanted), wanted, alpha)


def confidence_shares(counts: ArrayLike, alpha: float = 0.05) -> Bounds:
    """How many answers were how sure: each bin's share with an interval that holds for all bins at once."""
    table = np.asarray(counts, np.float64)
    return wilson(table, table.sum(axis=-1, keepdims=True), alpha / max(table.shape[-1], 1))


def _bin_of(cumulative: Floats, rank: Floats) -> NDArray[np.intp]:
    """The first bin with at least so many at or below it."""
    reached = (cumulative >= rank[..., None] * (1 - 1e-12)) & (cumulative > 0)
    return np.asarray(np.where(reached.any(axis=-1), reached.argmax(axis=-1), 0))


def _pick(table: Floats, place: NDArray[np.intp]) -> Floats:
    return np.asarray(np.take_along_axis(table, place[..., None], axis=-1)[..., 0])
