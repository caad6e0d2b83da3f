"""Sequential bounds: intervals that may be looked at after every scrape, as often as one likes, without false alarms adding up.

Boundaries are normal mixtures (Howard, Ramdas, McAuliffe, Sekhon, arXiv 1810.08240), used for sums over intervals whose
mean may move (Waudby-Smith et al., arXiv 2103.06476). Everything is vectorised: a state holds arrays of any shape, one entry per
rate or bin, and is a handful of running sums, so that it can be stored between looks.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache, reduce
from typing import Any, ClassVar, Self, TypeVar, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from modelward.stats.intervals import Bounds, exact

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
_special = cast(Any, special)

Moment = int | slice | tuple[NDArray[np.intp], ...]

MINIMUM_INTERVALS = 10
"""Fewer intervals say too little about how much a rate moves from one to the next."""

_SHRINKAGE = 200.0  # observations by which an interval's null rate leans on the past
_FEW = 0.1  # the share of the tolerance that a candidate's rate is guessed to be, before it has shown any
_FAINT = 50.0  # observations that the rate from before the first interval is worth in the prediction of the next
_TINY = 1e-6
_ASIDE = 4.0  # by which alpha is divided to rule out a correlation, and for a rate below the tolerance by itself
_DIGITS = 5  # of logarithms of likelihoods, which are stored: more would not change a verdict

CORRELATIONS = (0.0, 0.001, 0.003, 0.01, 0.03, 0.1)
"""Between the requests of one interval. The largest is the strongest that is reckoned with while no interval shows a stronger one."""


def mixing_parameter(rate: ArrayLike, tolerance: float, alpha: ArrayLike) -> Floats:
    """rho = V* / (2L + ln(1 + 2L)), L = ln(1/alpha): the mixture that is tightest when the variance has grown to V*.

    V* = 9 (q (1 - q))^2 / max(tolerance, rate / 5)^2 with q = rate + tolerance: about where a difference as large as the
    tolerance is three standard errors away.
    """
    rates = np.clip(np.asarray(rate, np.float64), 1e-4, 0.5)
    at_boundary = np.minimum(rates + tolerance, 0.99)
    target = 9 * (at_boundary * (1 - at_boundary)) ** 2 / np.maximum(tolerance, 0.2 * rates) ** 2
    doubled = 2 * np.log(1 / np.asarray(alpha, np.float64))
    return np.asarray(target / (doubled + np.log1p(doubled)), dtype=np.float64)


def mixture_boundary(variance: ArrayLike, rho: ArrayLike, alpha: ArrayLike) -> Floats:
    """The one-sided normal mixture: a sum with this variance stays below it at all times, but with probability alpha.

    sqrt(2 (V + rho) ln(1 + sqrt((V + rho) / rho) / (2 alpha)))
    """
    mixing = np.asarray(rho, np.float64)
    widened = np.asarray(variance, np.float64) + mixing
    return np.sqrt(2 * widened * np.log1p(np.sqrt(widened / mixing) / (2 * np.asarray(alpha, np.float64))))


@dataclass(frozen=True)
class _Sums:
    """Running sums that can be stored as JSON and read again without loss."""

    def to_json(self) -> dict[str, Any]:
        return {item.name: np.asarray(getattr(self, item.name)).tolist() for item in fields(self)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(**{item.name: np.asarray(data[item.name], dtype=np.float64) for item in fields(cls)})

    @classmethod
    def stacked(cls, documents: Sequence[Mapping[str, Any]]) -> Self:
        """A row for each document; what is one number for all of a row becomes a column."""
        rows = {item.name: np.array([one[item.name] for one in documents], dtype=np.float64) for item in fields(cls)}
        return cls(**{name: values[:, None] if values.ndim == 1 else values for name, values in rows.items()})

    @classmethod
    def empty(cls, shape: tuple[int, ...] = ()) -> Self:
        return cls(**{item.name: np.zeros(shape) for item in fields(cls)})

    def unstacked(self, at: int) -> list[dict[str, Any]]:
        """The documents that `stacked` would read as the rows of one moment, `at` being its place on the first axis."""
        columns = {item.name: getattr(self, item.name)[at] for item in fields(self)}
        rows = range(max(len(values) for values in columns.values()))
        return [
            {
                name: (values[row] if values.shape[1] > 1 else values[row, 0]).tolist()
                for name, values in columns.items()
            }
            for row in rows
        ]

    def at(self, moment: Moment) -> Self:
        """One moment of what `running` gave, or several, or several entries each at a moment of its own."""
        return type(self)(**{item.name: getattr(self, item.name)[moment] for item in fields(self)})

    def plus(self, added: Self) -> Self:
        return type(self)(**{item.name: getattr(self, item.name) + getattr(added, item.name) for item in fields(self)})

    def running(self, added: Self) -> Self:
        """These sums and those after each of several intervals, which are on the first axis: one moment more than intervals.

        Summed in order, so that the last moment has the very numbers that adding one interval after another gives.
        """
        return type(self)(
            **{item.name: _running(getattr(self, item.name), getattr(added, item.name)) for item in fields(self)}
        )


SumsT = TypeVar("SumsT", bound=_Sums)


@dataclass(frozen=True)
class RateDifference(_Sums):
    """The difference of two rates, candidate a less incumbent b, stratified by interval.

    In each interval D = x_a/n_a - x_b/n_b has the weight h = n_a n_b / (n_a + n_b) and, at the boundary of the hypothesis, the variance
    v = (p + delta)(1 - p - delta)/n_a + p (1 - p)/n_b (Farrington and Manning, 1990), p being the interval's pooled rate shrunk to that
    of the past. Comparing inside intervals cancels what moves both rates, and a load or a weight that moves with it.

    With S = sum h D and H = sum h the estimate is S/H. Its variance is what v gives, or what the intervals show if that is more:
    V = max(sum h^2 v, k/(k-1) sum h^2 (D - S/H)^2). Both bounds hold at all times, each with error at most alpha.
    """

    weighted: Floats  # S
    weight: Floats  # H
    variance: Floats  # sum h^2 v
    squares: Floats  # sum h^2
    squares_first: Floats  # sum h^2 D
    squares_second: Floats  # sum h^2 D^2
    intervals: Floats  # k
    past_excess: Floats  # sum x_a + x_b - delta n_a
    past_total: Floats  # sum n_a + n_b

    def fold(
        self,
        events: ArrayLike,
        total: ArrayLike,
        other_events: ArrayLike,
        other_total: ArrayLike,
        tolerance: float,
        prior: ArrayLike,
    ) -> "RateDifference":
        """The sums after one more interval; one in which either side counted nothing adds nothing.

        prior is the incumbent's rate from before the first interval, used until there is a past.
        """
        return self.plus(self._gained(events, total, other_events, other_total, tolerance, prior))

    def after_each(
        self,
        events: ArrayLike,
        total: ArrayLike,
        other_events: ArrayLike,
        other_total: ArrayLike,
        tolerance: float,
        prior: ArrayLike,
    ) -> "RateDifference":
        """The sums now and after each of several intervals, on the first axis; see `running`."""
        excess, size = _pooled(events, total, other_events, other_total, tolerance)
        known = replace(
            self,
            past_excess=_running(self.past_excess, excess)[:-1],
            past_total=_running(self.past_total, size)[:-1],
        )
        return self.running(known._gained(events, total, other_events, other_total, tolerance, prior))

    def _gained(
        self,
        events: ArrayLike,
        total: ArrayLike,
        other_events: ArrayLike,
        other_total: ArrayLike,
        tolerance: float,
        prior: ArrayLike,
    ) -> "RateDifference":
        """What one interval adds, by the past of these sums."""
        x_a, n_a, x_b, n_b = (np.asarray(item, np.float64) for item in (events, total, other_events, other_total))
        counted = (n_a > 0) & (n_b > 0)
        n_a, n_b = np.where(counted, n_a, 1.0), np.where(counted, n_b, 1.0)
        rate = self.boundary_rate(x_a, n_a, x_b, n_b, tolerance, prior)
        variance = (rate + tolerance) * (1 - rate - tolerance) / n_a + rate * (1 - rate) / n_b
        weight = np.where(counted, n_a * n_b / (n_a + n_b), 0.0)
        difference = x_a / n_a - x_b / n_b
        square = weight**2
        excess, size = _pooled(events, total, other_events, other_total, tolerance)
        return RateDifference(
            weighted=weight * difference,
            weight=weight,
            variance=square * variance,
            squares=square,
            squares_first=square * difference,
            squares_second=square * difference**2,
            intervals=counted.astype(np.float64),
            past_excess=excess,
            past_total=size,
        )

    def boundary_rate(
        self,
        events: Floats,
        total: Floats,
        other_events: Floats,
        other_total: Floats,
        tolerance: float,
        prior: ArrayLike,
    ) -> Floats:
        """What the incumbent's rate is in this interval if the candidate's is higher by exactly the tolerance."""
        known = self.past_total > 0
        past = np.where(known, self.past_excess / np.where(known, self.past_total, 1.0), prior)
        excess, size = events + other_events - tolerance * total, total + other_total
        return np.clip((excess + _SHRINKAGE * past) / (size + _SHRINKAGE), _TINY, 1 - tolerance - _TINY)

    def bounds(self, rho: ArrayLike, alpha: ArrayLike, unseen: ArrayLike = 0.0) -> Bounds:
        """Estimate and bounds of the weighted mean difference; each bound is wrong at any time with at most alpha.

        unseen: variance that there may be and that the intervals need not have shown yet.
        """
        estimate = _ratio(self.weighted, self.weight)
        spread = _spread(self, np.nan_to_num(estimate))
        variance = np.maximum(self.variance + np.asarray(unseen, np.float64), spread)
        return _around(estimate, mixture_boundary(variance, rho, alpha), self.weight)


@dataclass(frozen=True)
class Bursts(_Sums):
    """How strongly the events of an interval come together, and what that may add to the variance of a RateDifference.

    With a correlation c between the requests of an interval, a version's own rate in it is beta distributed around the true one and
    its variance is rate (1 - rate)(1/n + c (1 - 1/n)). Where bursts are rare the intervals do not show c by how much they differ before
    there was one. But they show by their likelihood under each of CORRELATIONS which of these can be ruled out: steady counts
    of some events an interval are all but impossible when events come in bursts, and intervals without any event say nothing.

    Both versions' intervals count, as if the events of both clustered alike.

    A candidate whose own rate is below the tolerance cannot be worse by the tolerance, whatever the incumbent's is. When it has next to no
    events this is proven much sooner than by the variance: by how unlikely so few are at the tolerance, under each correlation.
    """

    added: Floats  # sum h^2 of what each unit of correlation adds to the variance of D on the boundary
    events: Floats  # of the candidate, then of the incumbent: they predict the next interval's rate
    total: Floats
    other_events: Floats
    other_total: Floats
    log_likelihoods: Floats  # of the counts, for each of CORRELATIONS, on the first axis
    below_tolerance: Floats  # ln of the evidence that the candidate's rate is below the tolerance, likewise

    _OF_EACH: ClassVar = ("log_likelihoods", "below_tolerance")  # of CORRELATIONS

    @classmethod
    def empty(cls, shape: tuple[int, ...] = ()) -> Self:
        one, each = np.zeros(shape), np.zeros((len(CORRELATIONS), *shape))
        return cls(one, one, one, one, one, each, each)

    def fold(
        self,
        events: ArrayLike,
        total: ArrayLike,
        other_events: ArrayLike,
        other_total: ArrayLike,
        tolerance: float,
        prior: ArrayLike,
        sums: RateDifference,
    ) -> "Bursts":
        """What is known after one more interval; sums are those before it."""
        return self.plus(self._gained(events, total, other_events, other_total, tolerance, prior, sums))

    def after_each(
        self,
        events: ArrayLike,
        total: ArrayLike,
        other_events: ArrayLike,
        other_total: ArrayLike,
        tolerance: float,
        prior: ArrayLike,
        sums: RateDifference,
    ) -> "Bursts":
        """What is known now and after each of several intervals; sums are those before each. See `running`."""
        counted = _in_both(events, total, other_events, other_total)
        names = ("events", "total", "other_events", "other_total")
        past = {name: _running(getattr(self, name), each)[:-1] for name, each in zip(names, counted, strict=True)}
        return self.running(
            replace(self, **past)._gained(events, total, other_events, other_total, tolerance, prior, sums)
        )

    def running(self, added: Self) -> Self:
        """As of other sums; the intervals come after the correlations, which stay on the first axis."""
        return type(self)(
            **{
                item.name: _running(
                    getattr(self, item.name), getattr(added, item.name), axis=int(item.name in self._OF_EACH)
                )
                for item in fields(self)
            }
        )

    def at(self, moment: Moment) -> Self:
        return type(self)(
            **{
                item.name: getattr(self, item.name)[:, moment]
                if item.name in self._OF_EACH
                else getattr(self, item.name)[moment]
                for item in fields(self)
            }
        )

    def to_json(self) -> dict[str, Any]:
        """Sums of rounded logarithms have no more digits than each of them."""
        rounded = {name: np.round(getattr(self, name), _DIGITS) for name in self._OF_EACH}
        return {**super().to_json(), **{name: values.tolist() for name, values in rounded.items()}}

    def _gained(
        self,
        events: ArrayLike,
        total: ArrayLike,
        other_events: ArrayLike,
        other_total: ArrayLike,
        tolerance: float,
        prior: ArrayLike,
        sums: RateDifference,
    ) -> "Bursts":
        """What one interval adds, by what is known."""
        x_a, n_a, x_b, n_b = _in_both(events, total, other_events, other_total)
        size_a, size_b = np.maximum(n_a, 1.0), np.maximum(n_b, 1.0)
        rate = sums.boundary_rate(x_a, size_a, x_b, size_b, tolerance, prior)
        above, weight = rate + tolerance, n_a * n_b / (size_a + size_b)
        added = above * (1 - above) * (1 - 1 / size_a) + rate * (1 - rate) * (1 - 1 / size_b)
        ours, theirs = (
            np.clip((known + _FAINT * np.asarray(prior)) / (size + _FAINT), _TINY, 1 - _TINY)
            for known, size in ((self.events, self.total), (self.other_events, self.other_total))
        )
        gained = log_likelihoods(x_a, n_a, ours) + log_likelihoods(x_b, n_b, theirs)
        below = np.zeros_like(gained)
        if 0 < tolerance < 1:
            few = np.minimum((tolerance * self.events + _FEW) / (tolerance * self.total + 1), 0.5) * tolerance
            below = log_likelihoods(x_a, n_a, few) - log_likelihoods(x_a, n_a, tolerance)
        return Bursts(
            added=weight**2 * added,
            events=x_a,
            total=n_a,
            other_events=x_b,
            other_total=n_b,
            log_likelihoods=np.round(gained, _DIGITS),
            below_tolerance=np.round(below, _DIGITS),
        )

    def possible(self, alpha: ArrayLike) -> Flags:
        """Which of CORRELATIONS are not ruled out: under the true one, the mean of all likelihoods over its own is a martingale."""
        mean = np.logaddexp.reduce(self.log_likelihoods, axis=0) - np.log(len(CORRELATIONS))
        return np.asarray(mean - self.log_likelihoods < np.log(1 / np.asarray(alpha, np.float64)))

    def is_below_tolerance(self, alpha: ArrayLike) -> Flags:
        """Under which of CORRELATIONS is the candidate's own rate certainly below the tolerance?"""
        return np.asarray(self.below_tolerance >= np.log(1 / np.asarray(alpha, np.float64)))


def _in_both(
    events: ArrayLike, total: ArrayLike, other_events: ArrayLike, other_total: ArrayLike
) -> tuple[Floats, Floats, Floats, Floats]:
    """What was counted, as nothing in intervals in which either side counted nothing."""
    x_a, n_a, x_b, n_b = (np.asarray(item, np.float64) for item in (events, total, other_events, other_total))
    counted = (n_a > 0) & (n_b > 0)
    x_a, n_a, x_b, n_b = (np.where(counted, item, 0.0) for item in (x_a, n_a, x_b, n_b))
    return x_a, n_a, x_b, n_b


def _pooled(
    events: ArrayLike, total: ArrayLike, other_events: ArrayLike, other_total: ArrayLike, tolerance: float
) -> tuple[Floats, Floats]:
    """The events of both sides less those that the tolerance allows, and the observations of both; nothing where either has none."""
    x_a, n_a, x_b, n_b = (np.asarray(item, np.float64) for item in (events, total, other_events, other_total))
    counted = (n_a > 0) & (n_b > 0)
    return np.where(counted, x_a + x_b - tolerance * n_a, 0.0), np.where(counted, n_a + n_b, 0.0)


def log_likelihoods(events: ArrayLike, total: ArrayLike, rate: ArrayLike) -> Floats:
    """Of so many events in one interval under each of CORRELATIONS, on the first axis; without the binomial coefficient.

    Binomial without correlation, else beta-binomial.
    """
    k, n, p = (np.asarray(item, np.float64) for item in (events, total, rate))
    size = 1 / _of_each(CORRELATIONS[1:], max(k.ndim, n.ndim, p.ndim)) - 1
    a, b = p * size, (1 - p) * size
    correlated = _special.betaln(a + k, b + n - k) - _special.betaln(a, b)
    return np.concatenate([(_special.xlogy(k, p) + _special.xlog1py(n - k, -p))[None], correlated])


def _of_each(values: Sequence[float], dimensions: int) -> Floats:
    """On a new first axis."""
    return np.array(values).reshape((-1,) + (1,) * dimensions)


@dataclass(frozen=True)
class RateComparison:
    """What a gate on rates judges by: the difference, and the bursts that may hide from it."""

    sums: RateDifference
    bursts: Bursts

    @classmethod
    def empty(cls, shape: tuple[int, ...] = ()) -> "RateComparison":
        return cls(RateDifference.empty(shape), Bursts.empty(shape))

    def fold(
        self,
        events: ArrayLike,
        total: ArrayLike,
        other_events: ArrayLike,
        other_total: ArrayLike,
        tolerance: float,
        prior: ArrayLike,
    ) -> "RateComparison":
        """After one more interval; see RateDifference.fold."""
        counts = (events, total, other_events, other_total, tolerance, prior)
        return RateComparison(self.sums.fold(*counts), self.bursts.fold(*counts, self.sums))

    def after_each(
        self,
        events: ArrayLike,
        total: ArrayLike,
        other_events: ArrayLike,
        other_total: ArrayLike,
        tolerance: float,
        prior: ArrayLike,
    ) -> "RateComparison":
        """Now and after each of several intervals; see RateDifference.after_each."""
        counts = (events, total, other_events, other_total, tolerance, prior)
        sums = self.sums.after_each(*counts)
        return RateComparison(sums, self.bursts.after_each(*counts, sums.at(slice(None, -1))))

    def at(self, moment: int) -> "RateComparison":
        """One moment of what `after_each` gave."""
        return RateComparison(self.sums.at(moment), self.bursts.at(moment))

    def times(self, multiples: Floats) -> "RateComparison":
        """As if there were so many times the evidence, all of it alike."""
        return RateComparison(_multiplied(self.sums, multiples), _multiplied(self.bursts, multiples))

    def bounds(self, rho: ArrayLike, alpha: ArrayLike, tolerance: float) -> Bounds:
        """Of the difference. Bursts that did not show yet raise the upper bound only: without them a candidate looks better than it is.

        The upper bound holds under every correlation that is possible. A candidate whose own rate is below the tolerance is worse by less than
        it; by how much less is not asked.
        """
        seen = self.sums.bounds(rho, alpha)
        added = _of_each(CORRELATIONS, self.bursts.added.ndim) * self.bursts.added
        high = self.sums.bounds(rho, alpha, added).high
        just_below = np.minimum(high, np.nextafter(tolerance, -1.0))
        aside = np.asarray(alpha, np.float64) / _ASIDE
        high = np.where(self.bursts.is_below_tolerance(aside), just_below, high)
        return Bounds(seen.estimate, seen.low, np.where(self.bursts.possible(aside), high, -np.inf).max(axis=0))


@dataclass(frozen=True)
class MeanShare(_Sums):
    """The mean live share of a bin, from the martingale sum n_t (q_t - q) with the same boundary.

    The variance is that of the reference's share p: V = max(N p (1 - p), k/(k-1) sum n^2 (q_t - Q)^2).
    """

    weighted: Floats  # sum of counts in the bin
    weight: Floats  # N, observations
    squares: Floats
    squares_first: Floats
    squares_second: Floats
    intervals: Floats

    def fold(self, events: ArrayLike, total: ArrayLike) -> "MeanShare":
        """The sums after one more interval; one without observations adds nothing."""
        return self.plus(self._gained(events, total))

    def after_each(self, events: ArrayLike, total: ArrayLike) -> "MeanShare":
        """The sums now and after each of several intervals, on the first axis; see `running`."""
        return self.running(self._gained(events, total))

    @staticmethod
    def _gained(events: ArrayLike, total: ArrayLike) -> "MeanShare":
        x, n = np.asarray(events, np.float64), np.asarray(total, np.float64)
        counted = n > 0
        share = x / np.where(counted, n, 1.0)
        square = n**2
        return MeanShare(
            weighted=np.where(counted, x, 0.0),
            weight=np.where(counted, n, 0.0),
            squares=square,
            squares_first=square * share,
            squares_second=square * share**2,
            intervals=counted.astype(np.float64),
        )

    def bounds(self, reference_share: ArrayLike, rho: ArrayLike, alpha: ArrayLike) -> Bounds:
        """Estimate and bounds of the mean share, under the variance of the reference's share."""
        p = np.asarray(reference_share, np.float64)
        estimate = _ratio(self.weighted, self.weight)
        spread = _spread(self, np.nan_to_num(estimate))
        radius = mixture_boundary(np.maximum(self.weight * p * (1 - p), spread), rho, alpha)
        return _around(estimate, radius, self.weight)


def baseline_interval(counts: ArrayLike, alpha: ArrayLike) -> Bounds:
    """The interval of each share of a baseline that was recorded once; each side is wrong with at most alpha.

    A baseline is a sample, not the truth: taking it as exact makes almost every model drift sooner or later. The exact interval it
    is, because alpha is tiny after it was split over bins and features: where a bin of 500 rows has the share 0.005, an error of
    0.25 % becomes one of 8 % by the normal approximation, and of 1.3 % by Wilson's.
    """
    table = np.asarray(counts, np.float64)
    return exact(table, table.sum(axis=-1, keepdims=True), 2 * np.asarray(alpha, np.float64))


def total_variation_bound(first: Bounds, second: Bounds) -> Floats:
    """What the total variation is at least: half of the gaps between intervals that do not meet, over the last axis."""
    gaps = np.maximum(np.maximum(first.low - second.high, second.low - first.high), 0.0)
    return np.asarray(gaps.sum(axis=-1) / 2)


def mean_bounds(
    estimate: ArrayLike, variance: ArrayLike, size: ArrayLike, alpha: ArrayLike, planned: float = 1000.0
) -> Bounds:
    """The confidence sequence of a figure that behaves like a mean of `size` observations of this variance each.

    Asymptotic (Waudby-Smith et al., arXiv 2103.06476): the mixture boundary in units of the estimated deviation, tightest when
    `planned` observations have come in. Two-sided: either bound is wrong with at most alpha / 2.
    """
    middle, spread, n = (np.asarray(item, np.float64) for item in (estimate, variance, size))
    level = np.asarray(alpha, np.float64) / 2
    doubled = 2 * np.log(1 / level)
    rho = planned / (doubled + np.log1p(doubled))
    known = np.isfinite(middle) & np.isfinite(spread) & (n > 0)
    radius = np.sqrt(np.where(known, spread, 0.0)) * mixture_boundary(n, rho, level) / np.where(known, n, 1.0)
    return Bounds(middle, np.where(known, middle - radius, -np.inf), np.where(known, middle + radius, np.inf))


def log_beta_binomial(events: ArrayLike, total: ArrayLike, rate: ArrayLike, prior: float = 0.5) -> Floats:
    """ln of B(a + k, a + n - k) / B(a, a) / (p^k (1 - p)^(n - k)), a the prior: the evidence against the rate p.

    A martingale when p is true, so by Ville's inequality it ever reaches 1/alpha with probability at most alpha.
    """
    k, n, p = (np.asarray(item, np.float64) for item in (events, total, rate))
    return np.asarray(_against(_log_mixture(k, n, prior), k, n, p), dtype=np.float64)


def rate_bounds(events: ArrayLike, total: ArrayLike, alpha: ArrayLike, prior: float = 0.5) -> Bounds:
    """The confidence sequence of one rate: every p against which the beta-binomial evidence is below 1/alpha.

    The prior 1/2 (Jeffreys) is tighter where rates are low; 1 is the flat one.

    >>> bounds = rate_bounds(3, 200, 0.05, prior=1.0)
    >>> round(float(bounds.low), 6), round(float(bounds.high), 6)
    (0.000597, 0.070667)
    """
    k, n, level = np.broadcast_arrays(*(np.asarray(item, np.float64) for item in (events, total, alpha)))
    limit = np.log(1 / level)
    estimate = _ratio(k, n)
    peak = np.where(n > 0, np.nan_to_num(estimate), 0.5)
    low, high = _crossing(k, n, limit, prior, np.stack([np.zeros_like(peak), np.ones_like(peak)]), peak)
    return Bounds(estimate, np.where((n > 0) & (k > 0), low, 0.0), np.where((n > 0) & (k < n), high, 1.0))


_ALTERNATIVES = (0.1, 0.25, 0.5, 0.8)  # of the way from the limit to 1


@dataclass(frozen=True)
class ChangeEvidence:
    """Evidence that a rate rose above a limit at some time, however good it was before; a total since the start would hide that.

    For each alternative rate q, M = sum over starts s of w_s prod_{t >= s} (q/p)^x_t ((1-q)/(1-p))^(n_t-x_t), w_s = 1/(s (s + 1)), which is
    the recursion M_t = (M_{t-1} + w_t) L_t. While the rate stays at or below p, the mean over the alternatives ever reaches 1/alpha with
    probability at most alpha (an e-detector: Shin, Ramdas, Rinaldo, arXiv 2203.03532).
    """

    log_sums: tuple[float, ...] = ()
    intervals: int = 0
    recent_events: float = 0.0  # in the unbroken run of newest intervals above the limit
    recent_total: float = 0.0

    def fold(self, events: float, total: float, limit: float) -> "ChangeEvidence":
        """The evidence after one more interval; one without observations adds nothing."""
        if total <= 0 or not 0 < limit < 1:
            return self
        start = -math.log((self.intervals + 1.0) * (self.intervals + 2.0))
        ratios = _log_ratios(limit)
        sums = [_log_of_sum(known, start) for known in self.log_sums] or [start] * len(ratios)
        others = total - events
        added = tuple(
            [before + events * event + others * other for before, (event, other) in zip(sums, ratios, strict=True)]
        )
        run = (self.recent_events, self.recent_total) if events > limit * total else (-events, -total)
        return ChangeEvidence(added, self.intervals + 1, run[0] + events, run[1] + total)

    def exceeds(self, alpha: float) -> bool:
        """Has the rate been above the limit, at this level?"""
        least = math.log(1 / alpha)
        if not self.log_sums or max(self.log_sums) < least - 1:
            return False  # a mean is no larger than the largest
        return reduce(_log_of_sum, self.log_sums) - math.log(len(self.log_sums)) >= least

    def to_json(self) -> dict[str, Any]:
        return {
            "log_sums": list(self.log_sums),
            "intervals": self.intervals,
            "recent_events": self.recent_events,
            "recent_total": self.recent_total,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(tuple(data["log_sums"]), data["intervals"], data["recent_events"], data["recent_total"])


@lru_cache(maxsize=64)
def _log_ratios(limit: float) -> tuple[tuple[float, float], ...]:
    """Of the likelihoods of an event, and of anything else, under each alternative and at the limit."""
    rates = [limit + (1 - limit) * way for way in _ALTERNATIVES]
    return tuple((math.log(rate / limit), math.log((1 - rate) / (1 - limit))) for rate in rates)


def _log_of_sum(first: float, second: float) -> float:
    """ln(e^first + e^second), a few times as fast as numpy's for single numbers."""
    larger, smaller = (first, second) if first > second else (second, first)
    return larger + math.log1p(math.exp(smaller - larger))


def log_share_evidence(counts: Sequence[float], expected: Sequence[float]) -> float:
    """ln of the evidence that requests are not split in the expected shares; 1/alpha is reached by chance with at most alpha.

    The multinomial martingale of Lindon and Malek (arXiv 2011.03567) under a flat Dirichlet prior, a_i = 1:
    lnG(A) - lnG(A + n) + sum [lnG(a_i + x_i) - lnG(a_i)] - sum x_i ln p_i.
    """
    x, p = np.asarray(counts, np.float64), np.asarray(expected, np.float64)
    arms = float(len(x))
    mixture = _special.gammaln(arms) - _special.gammaln(arms + x.sum()) + np.sum(_special.gammaln(1 + x))
    with np.errstate(divide="ignore"):
        return float(mixture - np.sum(_special.xlogy(x, p)))


def _log_mixture(k: Floats, n: Floats, prior: float) -> Floats:
    return np.asarray(_special.betaln(prior + k, prior + n - k) - _special.betaln(prior, prior))


def _against(mixture: Floats, k: Floats, n: Floats, p: Floats) -> Floats:
    """log_beta_binomial, where the part of it that is the same for every rate is known."""
    return np.asarray(mixture - _special.xlogy(k, p) - _special.xlog1py(n - k, -p))


def _crossing(k: Floats, n: Floats, limit: Floats, prior: float, outside: Floats, inside: Floats) -> Floats:
    """Bisect between a rate outside the interval and one inside it."""
    mixture = _log_mixture(k, n, prior)
    for _ in range(60):
        middle = (outside + inside) / 2
        excluded = _against(mixture, k, n, middle) >= limit
        outside, inside = np.where(excluded, middle, outside), np.where(excluded, inside, middle)
    return outside


def _running(start: Floats, added: Floats, axis: int = 0) -> Floats:
    shape = (*added.shape[:axis], 1, *added.shape[axis + 1 :])
    first = np.broadcast_to(np.expand_dims(start, axis), shape)
    sums = np.concatenate([first, added], axis)
    return np.add.accumulate(sums, axis, out=sums)


def _multiplied(sums: SumsT, multiples: Floats) -> SumsT:
    each = {item.name: np.multiply.outer(getattr(sums, item.name), multiples) for item in fields(sums)}
    return type(sums)(**each)


def _spread(sums: RateDifference | MeanShare, mean: Floats) -> Floats:
    """k/(k-1) sum h^2 (D - mean)^2 from the running sums; zero while there is one interval only."""
    around = sums.squares_second - 2 * mean * sums.squares_first + mean**2 * sums.squares
    k = sums.intervals
    return np.where(k > 1, np.maximum(around, 0.0) * k / np.maximum(k - 1, 1.0), 0.0)


def _ratio(above: Floats, below: Floats) -> Floats:
    known = below > 0
    return np.where(known, above / np.where(known, below, 1.0), np.nan)


def _around(estimate: Floats, radius: Floats, weight: Floats) -> Bounds:
    width = np.where(weight > 0, radius / np.where(weight > 0, weight, 1.0), np.inf)
    middle = np.nan_to_num(estimate)
    return Bounds(estimate, middle - width, middle + width)
