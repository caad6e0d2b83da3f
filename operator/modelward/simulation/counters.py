"""What the pods of a version have counted by each interval of a recording, under the split that gives them their requests.

As it was recorded where they get the recorded number, else drawn with the recorded shares. A series is drawn when it is first read, by a
stream of chance of its own: what no gate looks at costs nothing. What was drawn stays, so that intervals that are gone through
again are not drawn again, unless the split has become another one.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelward.simulation.columns import LATENCY, Columns, Floats

REQUESTS, ERRORS = "requests", "errors"
AWAY = -1.0
"""Instead of a number of requests: there are no pods that could count anything."""
_BLOCK = 256
"""Intervals at least between two places from which a stream can be drawn anew."""

Draw = Callable[[np.random.Generator, Floats, Floats, Floats], Floats]
"""From the counts of some intervals, their requests, and those that are given instead: what is counted then."""


class Counters:
    """The cumulative counters of one version. Moments are numbers of intervals: at moment 3, the first three are over."""

    def __init__(self, version: str, columns: Columns, edges: Mapping[str, tuple[float, ...]], seed: int) -> None:
        """edges: the bins of each series that has some."""
        self._version, self._columns, self._edges, self._seed = version, columns, edges, seed
        self._given = np.full(len(columns.requests), AWAY)
        self._until = 0  # to where requests were given last
        self._drawn: dict[str, _Drawn] = {}

    def give(self, begin: int, requests: Floats) -> None:
        """So many requests in each interval from one on, or AWAY."""
        end = begin + len(requests)
        other = np.flatnonzero(self._given[begin:end] != requests)
        self._given[begin:end], self._until = requests, end
        if len(other):
            for drawn in self._drawn.values():
                drawn.forget(begin + int(other[0]))

    def counted(self, series: str, began: int, moments: Sequence[int] | NDArray[np.intp]) -> Floats:
        """A row for each of these moments, which ascend: what pods that began at another one have counted by then.

        Drawn up to where requests were given last, since one long draw takes less time than many short ones.
        """
        if series not in self._drawn:
            self._drawn[series] = self._undrawn(series)
        drawn = self._drawn[series]
        drawn.reach(max(int(moments[-1]), self._until), self._given)
        return np.asarray(drawn.sums[moments] - drawn.sums[began])

    def totals(self) -> tuple[float, float]:
        """The requests that were recorded while there were pods, and those that they were given."""
        there = self._given != AWAY
        return float(self._columns.requests[there].sum()), float(self._given[there].sum())

    def _undrawn(self, series: str) -> "_Drawn":
        chance = np.random.default_rng([self._seed, *f"{self._version}/{series}".encode()])
        requests = self._columns.requests
        if series == REQUESTS:
            return _Drawn(requests, requests, lambda chance, counts, requests, given: given, chance)
        if series == ERRORS:
            return _Drawn(self._columns.errors, requests, _events, chance)
        recorded = self._columns.binned(series, len(self._edges[series]) + 1)
        return _Drawn(recorded, requests, _requests_in_bins if series == LATENCY else _values_in_bins, chance)


class _Drawn:
    """One series: its sums before the first interval and after each that was drawn so far."""

    def __init__(self, recorded: Floats, requests: Floats, draw: Draw, chance: np.random.Generator) -> None:
        """recorded: a row for each interval, of so many requests."""
        self.sums = np.zeros((len(recorded) + 1, *recorded.shape[1:]))
        self._recorded, self._requests, self._draw, self._chance = recorded, requests, draw, chance
        self._reached = 0
        self._places: list[tuple[int, Any]] = []  # intervals, and the state of the stream before them

    def reach(self, moment: int, given: Floats) -> None:
        """Draw what is still missing up to a moment."""
        if moment <= self._reached:
            return
        at = slice(self._reached, moment)
        if not self._places or self._reached >= self._places[-1][0] + _BLOCK:
            self._places.append((self._reached, self._chance.bit_generator.state))
        rows = np.concatenate([self.sums[self._reached : self._reached + 1], self._added(at, given[at])])
        self.sums[self._reached : moment + 1] = np.add.accumulate(rows)
        self._reached = moment

    def forget(self, interval: int) -> None:
        """Draw anew what was drawn from an interval on, since it gets other requests."""
        if interval >= self._reached:
            return
        while self._places[-1][0] > interval:
            self._places.pop()
        self._reached, self._chance.bit_generator.state = self._places[-1]

    def _added(self, at: slice, given: Floats) -> Floats:
        """What is counted in each of these intervals."""
        counts, requests = self._recorded[at].copy(), self._requests[at]
        away = given == AWAY
        anew = (given != requests) & ~away
        if anew.any():
            counts[anew] = self._draw(self._chance, counts[anew], requests[anew], given[anew])
        counts[away] = 0.0
        return counts


def _events(chance: np.random.Generator, counts: Floats, requests: Floats, given: Floats) -> Floats:
    return chance.binomial(given.astype(int), counts / np.maximum(requests, 1)).astype(np.float64)


def _requests_in_bins(chance: np.random.Generator, counts: Floats, requests: Floats, given: Floats) -> Floats:
    return _in_bins(chance, counts, counts.sum(axis=1), given)


def _values_in_bins(chance: np.random.Generator, counts: Floats, requests: Floats, given: Floats) -> Floats:
    """Not every request has a value of a feature."""
    total = counts.sum(axis=1)
    return _in_bins(chance, counts, total, np.rint(total * given / np.maximum(requests, 1)))


def _in_bins(chance: np.random.Generator, counts: Floats, total: Floats, drawn: Floats) -> Floats:
    """So many values with the shares of these counts; none where there are none."""
    some = total > 0
    shares = counts[some] / total[some, None]
    counts[some] = chance.multinomial(drawn[some].astype(int), shares)
    return counts
