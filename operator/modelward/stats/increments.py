"""From cumulative series to what was counted between two looks, pod by pod and then summed.

Never the other way round: a sum over pods falls whenever a pod goes, and jumps whenever one comes.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from modelward.stats.binning import align
from modelward.stats.readings import Binned, Increment, PodReading, Series

MAXIMUM_CATEGORIES = 500
"""A label with more values than this is an identifier, not a category, and would outgrow any memory."""


@dataclass(frozen=True)
class PodMemory:
    """The last cumulative value of every series of one pod; None: it was invalid, so the next value is only recorded."""

    started_at: float
    at: float
    series: Mapping[str, Series | None]


def pod_increment(
    pod: str, last: PodMemory | None, reading: PodReading, counts_from_zero_after: float
) -> tuple[Increment, PodMemory]:
    """What one pod counted since it was last seen, and what to remember of it.

    * A pod seen for the first time counts from zero if it started after the given time, else it is only recorded.
    * When any series of a pod has fallen, or its bins have no edge in common with what they were, its process was restarted: all of
      it counts from zero. Native histograms show an edge when something lies beside it, so bins that only grew are coarsened.
    * A fall in a reading that is no newer than the last one is a late answer, not a restart: it is left out.
    * A series with a negative or non-finite value is invalid, in this interval and, because the place where it stood is lost,
      in the next one.
    * A series that was there and is not any more is absent: a metric that was renamed must not read as one that stands still.
    """
    problems = {name: problem for name, value in reading.series.items() if (problem := _problem(value))}
    valid = {name: _without_false_total(value) for name, value in reading.series.items() if name not in problems}
    before = _before(last, reading, valid, counts_from_zero_after)
    if before is None:
        if last is not None:
            return Increment(), last
        return _refused(pod, problems), _memory(reading, valid, problems, {})
    lost = {
        name: f"series {name} of pod {pod} was invalid at the previous look"
        for name, value in before.items()
        if value is None and name in valid
    }
    changes = {name: _difference(value, before.get(name)) for name, value in valid.items() if name not in lost}
    gone = {
        name: f"series {name} of pod {pod} is not shown any more: give its metric the old name back, or add the new one to the preset"
        for name, value in before.items()
        if value is not None and name not in reading.series
    }
    refused = _refused(pod, problems)
    return (
        Increment(
            counters={name: change for name, change in changes.items() if isinstance(change, float)},
            binned={name: change for name, change in changes.items() if isinstance(change, Binned)},
            categories={name: change for name, change in changes.items() if isinstance(change, Mapping)},
            invalid={**refused.invalid, **lost, **gone},
            absent=frozenset(gone),
        ),
        _memory(reading, valid, problems, before),
    )


def sum_increments(increments: Iterable[Increment]) -> Increment:
    """The sum over pods. Histograms with different edges are coarsened to their common ones first.

    A series that is invalid on one pod is invalid for the version: the sum of the others would be another population.
    """
    counters: dict[str, float] = {}
    binned: dict[str, Binned] = {}
    categories: dict[str, dict[str, float]] = {}
    invalid: dict[str, str] = {}
    absent: set[str] = set()
    for increment in increments:
        invalid.update(increment.invalid)
        absent |= increment.absent
        for name, value in increment.counters.items():
            counters[name] = counters.get(name, 0.0) + value
        for name, histogram in increment.binned.items():
            binned[name] = _added(binned[name], histogram) if name in binned else histogram
        for name, counts in increment.categories.items():
            totals = categories.setdefault(name, {})
            for category, count in counts.items():
                totals[category] = totals.get(category, 0.0) + count
    return Increment(
        counters={name: value for name, value in counters.items() if name not in invalid},
        binned={name: value for name, value in binned.items() if name not in invalid},
        categories={name: value for name, value in categories.items() if name not in invalid},
        invalid=invalid,
        absent=frozenset(absent),
    )


def lifetime(memories: Iterable[PodMemory]) -> Increment:
    """All that these pods had counted when they were last seen."""
    return sum_increments(
        Increment(
            counters={name: value for name, value in memory.series.items() if isinstance(value, (int, float))},
            binned={name: value for name, value in memory.series.items() if isinstance(value, Binned)},
            categories={name: value for name, value in memory.series.items() if isinstance(value, Mapping)},
        )
        for memory in memories
    )


def _before(
    last: PodMemory | None, reading: PodReading, valid: Mapping[str, Series], counts_from_zero_after: float
) -> Mapping[str, Series | None] | None:
    """The values to count from; None when this reading may only be recorded, or not even that."""
    if last is None:
        return {} if reading.started_at > counts_from_zero_after else None
    if reading.started_at > max(last.at, last.started_at):
        return {}  # another pod under the same name; the same one only seems younger when the clock was set back
    fell = any(_fell(value, last.series.get(name)) for name, value in valid.items())
    if not fell:
        return last.series
    return {} if reading.at > last.at else None


def _fell(value: Series, before: Series | None) -> bool:
    if before is None:
        return False
    if isinstance(value, Binned):
        if not isinstance(before, Binned):
            return True
        now, then = align(value, before)
        if not now.edges and value.edges != before.edges:
            return True
        return any(after < earlier for after, earlier in zip(now.counts, then.counts, strict=True))
    if isinstance(value, Mapping):
        if not isinstance(before, Mapping):
            return True
        return any(value.get(category, 0.0) < count for category, count in before.items())
    return not isinstance(before, (int, float)) or value < before


def _difference(value: Series, before: Series | None) -> Series:
    if isinstance(value, Binned):
        if not isinstance(before, Binned):
            return value
        now, then = align(value, before)
        counts = tuple(after - earlier for after, earlier in zip(now.counts, then.counts, strict=True))
        both = value.total is not None and before.total is not None
        return Binned(now.edges, counts, (value.total or 0.0) - (before.total or 0.0) if both else None)
    if isinstance(value, Mapping):
        earlier: Mapping[str, float] = before if isinstance(before, Mapping) else {}
        return {category: count - earlier.get(category, 0.0) for category, count in value.items()}
    return float(value - before) if isinstance(before, (int, float)) else float(value)


def _problem(value: Series) -> str | None:
    if isinstance(value, Binned):
        numbers: Iterable[float] = value.counts
        if len(value.counts) != len(value.edges) + 1 or any(
            a >= b for a, b in zip(value.edges, value.edges[1:], strict=False)
        ):
            return "has bins that do not fit its edges"
    elif isinstance(value, Mapping) and len(value) > MAXIMUM_CATEGORIES:
        return f"has {len(value):,} categories, of which {MAXIMUM_CATEGORIES:,} can be kept"
    else:
        numbers = value.values() if isinstance(value, Mapping) else (value,)
    if any(not math.isfinite(number) for number in numbers):
        return "is not a finite number"
    if any(number < 0 for number in numbers):
        return "is negative"
    return None


def _without_false_total(value: Series) -> Series:
    """One infinite observation spoils the sum of a histogram for ever, and none of its counts."""
    if isinstance(value, Binned) and value.total is not None and not math.isfinite(value.total):
        return Binned(value.edges, value.counts)
    return value


def _refused(pod: str, problems: Mapping[str, str]) -> Increment:
    return Increment(invalid={name: f"series {name} of pod {pod} {problem}" for name, problem in problems.items()})


def _memory(
    reading: PodReading, valid: Mapping[str, Series], problems: Mapping[str, str], before: Mapping[str, Series | None]
) -> PodMemory:
    """Valid values as they are; invalid ones as None; what is missing this time keeps its last value."""
    forgotten: dict[str, Series | None] = dict.fromkeys(problems)
    return PodMemory(reading.started_at, reading.at, {**before, **valid, **forgotten})


def _added(first: Binned, second: Binned) -> Binned:
    left, right = align(first, second)
    total = None if left.total is None or right.total is None else left.total + right.total
    return Binned(left.edges, tuple(a + b for a, b in zip(left.counts, right.counts, strict=True)), total)
