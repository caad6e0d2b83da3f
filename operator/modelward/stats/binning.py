"""From values to bins, and from two sets of bins to one that both can be compared in.

Bins are Prometheus buckets, (lo, hi], with open end bins. Different edges are brought together by merging bins, which is exact,
and never by interpolating, which invents data.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from modelward.stats.readings import Binned

Floats = NDArray[np.float64]


def count_values(values: ArrayLike, edges: Sequence[float]) -> Floats:
    """Count values in the bins (-inf, e0], (e0, e1], ..., (en, inf); NaN belongs to no bin.

    >>> count_values([1, 2, 2, 3], [1, 2]).tolist()
    [1.0, 2.0, 1.0]
    """
    numbers = np.asarray(values, dtype=np.float64)
    present = numbers[~np.isnan(numbers)]
    places = np.searchsorted(np.asarray(edges, dtype=np.float64), present, side="left")
    return np.bincount(places, minlength=len(edges) + 1).astype(np.float64)


def common_edges(first: Sequence[float], second: Sequence[float]) -> tuple[float, ...]:
    """The edges that both have, compared as numbers."""
    return tuple(sorted(set(first) & set(second)))


def coarsen(binned: Binned, edges: Sequence[float]) -> Binned:
    """Merge bins until only these edges, which must all be among the histogram's own, are left.

    Raises:
        ValueError: when an edge is not one of the histogram's.
    """
    wanted = tuple(edges)
    if wanted == binned.edges:
        return binned
    if not set(wanted) <= set(binned.edges):
        raise ValueError(f"cannot coarsen edges {binned.edges} to {wanted}: an edge may only be removed")
    starts = [0, *(binned.edges.index(edge) + 1 for edge in wanted)]
    counts = np.add.reduceat(np.asarray(binned.counts, dtype=np.float64), starts)
    return Binned(wanted, tuple(counts.tolist()), binned.total)


def align(first: Binned, second: Binned) -> tuple[Binned, Binned]:
    """Both histograms in the edges they have in common."""
    edges = common_edges(first.edges, second.edges)
    return coarsen(first, edges), coarsen(second, edges)


def align_categories(first: Mapping[str, float], second: Mapping[str, float]) -> tuple[tuple[str, ...], Floats, Floats]:
    """The union of the categories, and the counts of both in its order; a category that one lacks has no count there."""
    names = tuple(sorted(first.keys() | second.keys()))
    return (
        names,
        np.array([first.get(name, 0.0) for name in names], dtype=np.float64),
        np.array([second.get(name, 0.0) for name in names], dtype=np.float64),
    )
