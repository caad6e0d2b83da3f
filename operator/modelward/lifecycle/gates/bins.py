"""The bins in which a reference and live traffic are counted: fixed when a stage begins, so that the bounds over them hold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelward.stats.binning import coarsen, common_edges
from modelward.stats.readings import Binned, Categories

Distribution = Binned | Categories
Floats = NDArray[np.float64]

MINIMUM_COMMON_EDGES = 3


@dataclass(frozen=True)
class Bins:
    """Either edges, or the reference's categories and one more bin for all categories that it has never seen."""

    edges: tuple[float, ...] | None = None
    categories: tuple[str, ...] | None = None

    @property
    def size(self) -> int:
        return len(self.edges if self.edges is not None else self.categories or ()) + 1

    def count(self, distribution: Distribution) -> Floats | None:
        """The distribution's counts in these bins; None when it does not have these edges, or is of the other kind."""
        if isinstance(distribution, Binned):
            if self.edges is None or not (
                self.edges == distribution.edges or set(self.edges) <= set(distribution.edges)
            ):
                return None
            return np.asarray(coarsen(distribution, self.edges).counts, np.float64)
        if self.categories is None:
            return None
        known = [float(distribution.get(category, 0.0)) for category in self.categories]
        return np.array([*known, sum(distribution.values()) - sum(known)])

    def to_json(self) -> dict[str, Any]:
        return {"edges": list(self.edges)} if self.edges is not None else {"categories": list(self.categories or ())}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Bins":
        if "edges" in data:
            return cls(edges=tuple(map(float, data["edges"])))
        return cls(categories=tuple(data["categories"]))


def edge_labels(edges: Sequence[float]) -> tuple[str, ...]:
    """The bins between these edges, and the open ones at both ends, in words."""
    written = [f"{edge:.6g}" for edge in edges]
    between = [f"{low} to {high}" for low, high in pairwise(written)]
    return (f"up to {written[0]}", *between, f"above {written[-1]}")


def common_bins(reference: Distribution, live: Sequence[Distribution]) -> Bins | str:
    """The bins that the reference shares with everything that is counted live, or a sentence's end why there are none."""
    if not isinstance(reference, Binned):
        if any(isinstance(item, Binned) for item in live):
            return "is a histogram in live traffic and categories in the reference"
        return Bins(categories=tuple(sorted(reference)))
    edges = reference.edges
    for item in live:
        if not isinstance(item, Binned):
            return "is categories in live traffic and a histogram in the reference"
        edges = common_edges(edges, item.edges)
    if len(edges) < min(MINIMUM_COMMON_EDGES, len(reference.edges)) or not edges:
        return f"shares {len(edges)} of its {len(reference.edges)} bin edges with live traffic, of which {MINIMUM_COMMON_EDGES} are needed"
    return Bins(edges=edges)
