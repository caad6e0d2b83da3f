"""A recording as arrays, so that what was counted in many intervals is drawn and summed at once."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
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
        if series == LATENCY:
            rows = [each.latency if each else () for each in self.seen]
        else:
            feature = series.removeprefix(FEATURE)
            if feature in self._features and self._features[feature].shape[1] >= size:
                return self._features[feature]
            rows = [each.features.get(feature, ()) if each else () for each in self.seen]
        lengths = set(map(len, rows))
        width = max(size, *lengths)
        if lengths != {width}:
            rows = [(*row, *[0.0] * (width - len(row))) for row in rows]
        return _array(rows, len(rows), width)

    @cached_property
    def _features(self) -> Mapping[str, Floats]:
        """Of all features at once, if every interval has the same ones in the same bins: that is some times as fast as one by one."""
        every = [each.features for each in self.seen if each]
        names, lengths = {tuple(features) for features in every}, {tuple(map(len, each.values())) for each in every}
        if len(names) != 1 or len(lengths) != 1:
            return {}
        (order,), (widths,) = names, lengths
        nothing = [(0.0,) * sum(widths)]
        rows = (each.features.values() if each else nothing for each in self.seen)
        counts = _array(chain.from_iterable(rows), len(self.seen), sum(widths))
        return dict(zip(order, np.split(counts, np.cumsum(widths)[:-1], axis=1), strict=True))


def _array(rows: Iterable[Sequence[float]], count: int, width: int) -> Floats:
    """In a third less time than np.array takes."""
    return np.fromiter(chain.from_iterable(rows), np.float64, count * width).reshape(count, width)


def columns_of(intervals: Sequence[Interval], version: str) -> Columns:
    """Of one version."""
    seen = [interval.counted.get(version) for interval in intervals]
    return Columns(
        seen,
        np.array([each is not None for each in seen]),
        np.array([each.requests if each else 0.0 for each in seen]),
        np.array([each.errors if each else 0.0 for each in seen]),
    )


def edges_of(baseline: Baseline | None) -> dict[str, tuple[float, ...]]:
    """The bins of the numeric features, by name."""
    features = baseline.features if baseline else ()
    return {feature.name: feature.edges for feature in features if feature.kind is FeatureKind.NUMERIC}
