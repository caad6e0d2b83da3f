"""What one look at the metrics of a version's pods gives, and the increments between two looks.

Names of series are the same for every source and preset:

    requests, errors          counters
    latency                   histogram, seconds
    prediction                histogram or categories
    feature/NAME              histogram or categories
    missing/NAME              counter

and of labelled feedback, counted for the version that had predicted:

    confusion/PREDICTED       categories by actual label
    score/ACTUAL              histogram of scores
    labels, error_absolutes, error_squares, error_fourth_powers
                              counters and sums over predictions of a number
    group/ATTRIBUTE/VALUE     categories: see OUTCOMES
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Binned:
    """Counts of a histogram: bin i is (edges[i-1], edges[i]], the first and last bins are open.

    edges: ascending finite floats, len B - 1; counts: len B, not cumulative; total: sum of observed values or None.
    """

    edges: tuple[float, ...]
    counts: tuple[float, ...]
    total: float | None = None


ERROR_SUMS = ("labels", "error_absolutes", "error_squares", "error_fourth_powers")
OUTCOMES = ("true_positive", "false_positive", "false_negative", "true_negative")

Categories = Mapping[str, float]
Series = float | Binned | Categories


@dataclass(frozen=True)
class PodReading:
    """Cumulative series of one pod at one time.

    started_at and at are Unix seconds; a pod whose start lies after the evidence's start counts from zero.
    """

    pod: str
    started_at: float
    at: float
    series: Mapping[str, Series]


@dataclass(frozen=True)
class Reading:
    """One look at one version: its pods' readings, or why there is none."""

    version: str
    at: float
    pods: tuple[PodReading, ...] = ()
    problem: str | None = None  # one sentence, when the whole version could not be read
    reason: str = "MetricsUnavailable"  # MetricsUnavailable | StaleMetrics | InvalidResult | MetricAbsent
    # Series that the server does not measure, each with one sentence why.
    absent: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Increment:
    """What one version counted in one interval, summed over pods. Never negative.

    invalid names the series that cannot be used in this interval, each with one sentence why; they are in none of the others.
    absent are those of them that are not there at all.
    """

    counters: Mapping[str, float] = field(default_factory=dict)
    binned: Mapping[str, Binned] = field(default_factory=dict)
    categories: Mapping[str, Categories] = field(default_factory=dict)
    invalid: Mapping[str, str] = field(default_factory=dict)
    absent: frozenset[str] = frozenset()


@dataclass(frozen=True)
class QueryAnswer:
    """What a configured Prometheus answered to a `query` gate: one finite number, or the reason why not."""

    value: float | None
    problem: str | None = None  # one sentence
    reason: str = "MetricsUnavailable"  # MetricsUnavailable | StaleMetrics | InvalidResult
    at: float | None = None  # Unix seconds of the sample


@dataclass(frozen=True)
class PodTarget:
    """A pod whose metrics are wanted: address is an IP, started_at Unix seconds."""

    name: str
    namespace: str
    address: str
    started_at: float
