"""Which stretches of a recording are calm: everything was recorded, and nothing of it is unlike what came before."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from modelward.simulation.recording import Counted, Interval

Floats = NDArray[np.float64]

PAST = 60
"""Intervals that an interval is compared with."""
ODD = 5.0
"""Standard deviations by which a count differs from what the past gives, before its interval is odd."""


class CalmStretches:
    """Odd intervals, counted once for all, so that any stretch costs one difference."""

    def __init__(self, intervals: Sequence[Interval], versions: Iterable[str | None]) -> None:
        odd = np.zeros(len(intervals), dtype=bool)
        for version in versions:
            if version is not None:
                odd |= _odd([interval.counted.get(version) for interval in intervals])
        self._odd_before = np.concatenate([[0], np.cumsum(odd)])

    def are_calm(self, begin: int, end: int) -> bool:
        """From one interval to before another; a stretch that goes beyond the recording is not."""
        return end < len(self._odd_before) and bool(self._odd_before[end] == self._odd_before[begin])


def _odd(seen: Sequence[Counted | None]) -> NDArray[np.bool_]:
    """In which intervals nothing was counted, or something is ODD deviations away from the share that it had in the past."""
    table = _table(seen)
    sums = np.vstack([np.zeros((1, table.shape[1])), np.cumsum(table, axis=0)])
    at = np.arange(len(table))
    past = sums[at] - sums[np.maximum(at - PAST, 0)]
    share = np.clip((past[:, 1:] + 0.5) / (past[:, :1] + 1.0), 0.0, 1.0)
    expected = table[:, :1] * share
    deviation = np.sqrt(expected * (1 - share) + 1.0)
    unlike = (np.abs(table[:, 1:] - expected) > ODD * deviation).any(axis=1)
    return np.asarray(unlike | (table[:, 0] <= 0))


def _table(seen: Sequence[Counted | None]) -> Floats:
    """A row for each interval: requests, errors, buckets of latency, bins of features."""
    buckets = max((len(each.latency) for each in seen if each), default=0)
    sizes: dict[str, int] = {}
    for each in seen:
        for name, counts in each.features.items() if each else ():
            sizes[name] = max(sizes.get(name, 0), len(counts))
    table = np.zeros((len(seen), 2 + buckets + sum(sizes.values())))
    for at, each in enumerate(seen):
        if each is not None:
            row = [each.requests, each.errors, *_padded(each.latency, buckets)]
            for name, size in sizes.items():
                row += _padded(each.features.get(name, ()), size)
            table[at] = row
    return table


def _padded(counts: Sequence[float], size: int) -> list[float]:
    return [*counts, *([0.0] * (size - len(counts)))]
