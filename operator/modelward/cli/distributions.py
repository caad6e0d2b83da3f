"""Training distributions: edges that bin a column well, and counts as Prometheus would count it, (lo, hi]."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelward.instrument import category_name

Numbers = NDArray[np.float64]

MAX_CATEGORIES = 200
_FEWEST_EDGES = 3  # fewer do not allow a comparison of two distributions
_FIRST_DIGITS, _ALL_DIGITS = 3, 17


class UnusableColumn(Exception):
    """A column that no baseline can hold; the message names it and says what to do."""


@dataclass(frozen=True)
class Distribution:
    """Numeric: edges and a count per bin. Categorical: no edges and a count per category."""

    edges: tuple[float, ...]
    counts: tuple[int, ...] | Mapping[str, int]
    missing: int

    def as_baseline(self) -> Mapping[str, Any]:
        """The fields of a ModelVersion's baseline."""
        if isinstance(self.counts, Mapping):
            return {"kind": "Categorical", "counts": dict(self.counts)}
        return {"kind": "Numeric", "edges": [_short(edge) for edge in self.edges], "counts": list(self.counts)}


def describe_numbers(name: str, values: Numbers, bins: int) -> Distribution:
    """Bins of about equal counts, and two empty ones outside the range of training.

    Raises:
        UnusableColumn: there is not one finite number.
    """
    present = values[~np.isnan(values)]
    finite = np.sort(present[np.isfinite(present)])
    if not finite.size:
        raise UnusableColumn(f"column {name!r} has no values: leave it out of --features")
    edges = _edges(finite, bins)
    return Distribution(tuple(edges.tolist()), _counts(edges, present), missing=int(values.size - present.size))


def describe_categories(name: str, values: Iterable[object], missing: int) -> Distribution:
    """Counts by category, the most frequent first.

    Raises:
        UnusableColumn: none, or more than can be shown as a series each.
    """
    counted = Counter(category_name(value) for value in values)
    if not counted:
        raise UnusableColumn(f"column {name!r} has no values: leave it out of --features")
    if len(counted) > MAX_CATEGORIES:
        raise UnusableColumn(
            f"column {name!r} has {len(counted):,} categories, more than {MAX_CATEGORIES}: "
            "group the rare ones before training, or leave it out of --features if it is an identifier"
        )
    ranked = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    return Distribution((), dict(ranked), missing)


def _edges(finite: Numbers, bins: int) -> Numbers:
    """Inner edges at values of the column, between one below its minimum and one at or above its maximum."""
    distinct = np.unique(finite)
    whole = bool(np.all(distinct == np.floor(distinct)))
    if distinct.size <= bins:
        inner = distinct[:-1]
    else:
        inner = _well_filled(
            finite, np.unique(np.quantile(finite, np.arange(1, bins) / bins, method="inverted_cdf")), bins
        )
    low = float(distinct[0])
    for digits in range(_FIRST_DIGITS, _ALL_DIGITS + 1):
        top = _ceiling(float(distinct[-1]), digits)
        rounded = np.array([_rounded(edge, digits) for edge in inner.tolist()])
        edges = np.unique(np.concatenate(([_below(low, top, digits, whole)], rounded, [top])))
        if _bins_alike(finite, inner, edges, bins):
            break
    else:
        edges = np.unique(np.concatenate(([np.nextafter(low, -np.inf)], inner, distinct[-1:])))
    return edges if edges.size >= _FEWEST_EDGES else np.append(edges, edges[-1] + (edges[-1] - edges[0]))


def _well_filled(finite: Numbers, inner: Numbers, bins: int) -> Numbers:
    """Without the edges that would leave a sliver of a bin beside a value that many rows share."""
    least = 0.25 * finite.size / bins
    kept: list[float] = []
    below = 0
    for edge, upto in zip(inner.tolist(), np.searchsorted(finite, inner, side="right").tolist(), strict=True):
        if upto - below >= least and finite.size - upto >= least:
            kept.append(edge)
            below = upto
    return np.array(kept)


def _bins_alike(finite: Numbers, inner: Numbers, edges: Numbers, bins: int) -> bool:
    """Whether short edges cut the column about as the exact ones do: no cut moved by more than a tenth of a bin."""
    exact = np.unique(np.concatenate((inner, finite[-1:])))
    if edges.size != exact.size + 1 or edges[0] >= finite[0] or edges[-1] < finite[-1]:
        return False
    moved = np.searchsorted(finite, edges[1:], side="right") - np.searchsorted(finite, exact, side="right")
    return bool(np.all(np.abs(moved) <= 0.1 * finite.size / bins))


def _counts(edges: Numbers, present: Numbers) -> tuple[int, ...]:
    # side="left" makes bins (lo, hi]; numpy's own histogram is [lo, hi).
    return tuple(np.bincount(np.searchsorted(edges, present, side="left"), minlength=edges.size + 1).tolist())


def _rounded(value: float, digits: int) -> float:
    return float(f"{value:.{digits}g}")


def _unit(value: float, digits: int) -> float:
    """One in the last of so many digits of a value."""
    return 10.0 ** (math.floor(math.log10(abs(value))) - digits + 1) if value else 0.0


def _ceiling(value: float, digits: int) -> float:
    rounded = _rounded(value, digits)
    return rounded if rounded >= value else _rounded(value + _unit(value, digits), digits)


def _below(low: float, top: float, digits: int, whole: bool) -> float:
    """A short number just below the minimum. Not below 0 without need: such buckets cost a histogram its sum."""
    if whole and abs(low) < 10.0**digits:
        return low - 1
    if low == 0:
        return -_rounded(max(top, 1e-12) / 1000, 1)
    rounded = _rounded(low, digits)
    below = rounded if rounded < low else _rounded(low - _unit(low, digits), digits)
    return max(below, 0.0) if low > 0 else below


def _short(edge: float) -> float | int:
    return int(edge) if edge.is_integer() and abs(edge) < 1e15 else edge
