"""A recording as arrays, so that what was counted in many intervals is drawn and summed at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from modelward.api.model_version import Baseline, FeatureKind
from modelward.simulation.recording import Counted, Interval

Floats = NDArray[np.float64]

LATENCY, FEATURE = "latency", "feature/"
"""Names of series, see stats.readings."""


@dataclass(frozen=True)
class Columns:
    """What was recorded of one version, a row for each interval; zeros where nothing was."""

    seen: Sequence[Counted | None]
    present: NDArray[np.bool_]
    requests: Floats
    errors: Floats

    def binned(self, series: str, size: int) -> Floats:
        """Of latency or feature/NAME, with so many bins, at least, on the last axis."""
        rows = _rows(self.seen, series)
        width = max(size, *map(len, rows))
        padded = (row if len(row) == width else (*row, *[0.0] * (width - len(row))) for row in rows)
        values = np.fromiter(chain.from_iterable(padded), np.float64, len(rows) * width)  # a third faster than np.array
        return values.reshape(-1, width)


def columns_of(intervals: Sequence[Interval], version: str) -> Columns:
    """Of one version."""
    seen = [interval.counted.get(version) for interval in intervals]
    return Columns(
        seen,
        np.array([each is not None for each in seen]),
        np.array([each.requests if each else 0.0 for each in seen]),
        np.array([each.errors if each else 0.0 for each in seen]),
    )


def _rows(seen: Sequence[Counted | None], series: str) -> list[tuple[float, ...]]:
    if series == LATENCY:
        return [each.latency if each else () for each in seen]
    feature = series.removeprefix(FEATURE)
    return [each.features.get(feature, ()) if each else () for each in seen]


def edges_of(baseline: Baseline | None) -> dict[str, tuple[float, ...]]:
    """The bins of the numeric features, by name."""
    features = baseline.features if baseline else ()
    return {feature.name: feature.edges for feature in features if feature.kind is FeatureKind.NUMERIC}
