"""From samples as a server names them to canonical series, checked: anything impossible is refused, never repaired.

Both sources end here: a pod's page (`exposition`) and raw samples of a Prometheus (`prometheus`).
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from modelward.metrics.native import SECONDS_LADDER, NativeHistogram, TooManyEdges, binned, common_edges
from modelward.metrics.presets import CategoryRule, CounterRule, HistogramRule, Preset, Rule
from modelward.stats.readings import Binned, Series


class InvalidSamples(Exception):
    """The samples contradict themselves or the preset; the message says which and how, without a full stop."""

    reason = "InvalidResult"


class MetricAbsent(InvalidSamples):
    """A metric that a preset needs is not among the samples."""

    reason = "MetricAbsent"


class RawSample(NamedTuple):
    """One sample as exposed. `labels` holds only the server's own labels."""

    name: str
    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True)
class _Samples:
    """All samples of one pod by their names."""

    floats: Mapping[str, list[RawSample]]
    natives: Mapping[str, list[NativeHistogram]]
    grids: Mapping[str, tuple[float, ...]]  # by series: the edges of its native histograms
    declared: frozenset[str]  # metrics that the page names, with samples or not

    def named(self, rule: Rule, suffix: str = "") -> list[RawSample] | None:
        """The samples under the newest of the metric's names that is there."""
        return next((self.floats[name + suffix] for name in rule.names if name + suffix in self.floats), None)

    def native(self, rule: Rule, suffix: str = "") -> list[NativeHistogram]:
        names = (name.removesuffix(suffix) for name in rule.names if name.endswith(suffix))
        return next((self.natives[name] for name in names if name in self.natives), [])


def canonical_series(
    samples: Iterable[RawSample],
    preset: Preset,
    wanted: Sequence[str],
    natives: Iterable[NativeHistogram] = (),
    grids: Mapping[str, tuple[float, ...]] | None = None,
    declared: frozenset[str] = frozenset(),
) -> Mapping[str, Series]:
    """Sum, check and rename the samples of one pod.

    A counter whose metric is there without a matching sample is 0: servers show an outcome when it first happens. Except for one
    that is always shown: then this release of the server does not count it, and there is no such series. A required one is 0 too where
    its page only names it: the server has answered nothing yet.
    Where a server shows a histogram in both ways, the classic one is read: its author chose the edges.

    Raises:
        InvalidSamples: a value that no counter can have, or impossible buckets.
        MetricAbsent: a required metric that is missing.
    """
    floats: dict[str, list[RawSample]] = {}
    for sample in samples:
        _check_value(sample)
        floats.setdefault(sample.name, []).append(sample)
    by_name: dict[str, list[NativeHistogram]] = {}
    for histogram in natives:
        by_name.setdefault(histogram.name, []).append(histogram)
    all_samples = _Samples(floats, by_name, grids or {}, declared)
    found: dict[str, Series] = {}
    for counter in preset.counters:
        for series, value in _counters(preset, counter, all_samples, wanted).items():
            found[series] = _added(found.get(series, 0.0), value)
    for rule in preset.histograms:
        _add_all(found, _histograms(rule, all_samples, wanted))
    for category in preset.categories:
        _add_all(found, _categories(category, all_samples, wanted))
    return found


def native_grids(
    natives: Sequence[NativeHistogram], preset: Preset, wanted: Sequence[str]
) -> Mapping[str, tuple[float, ...]]:
    """The edges of each series whose histograms are native ones, the same for all pods that these are of.

    Raises:
        InvalidSamples: observations spread too widely.
    """
    grids: dict[str, tuple[float, ...]] = {}
    for rule in preset.histograms:
        groups: dict[str, list[NativeHistogram]] = {}
        for histogram in natives:
            series = rule.series_of(histogram.labels, wanted) if histogram.name in rule.names else None
            if series is not None:
                groups.setdefault(series, []).append(histogram)
        ladder = [edge * rule.divisor for edge in SECONDS_LADDER] if rule.series == "latency" else []
        for series, group in groups.items():
            try:
                grids[series] = common_edges(group, ladder)
            except TooManyEdges as error:
                raise InvalidSamples(f"native histogram {rule.metric} cannot be used: {error}") from error
    return grids


def _check_value(sample: RawSample) -> None:
    """Counts are finite and never negative; a histogram's sum may be negative, where its values are."""
    if not 0 <= sample.value < math.inf and not (math.isfinite(sample.value) and sample.name.endswith("_sum")):
        raise InvalidSamples(f"{sample.name}{_braces(sample.labels)} is {sample.value:g}, which no counter can be")


def _added(before: Series, value: float) -> float:
    return value + (before if isinstance(before, float) else 0.0)


def _add_all(found: dict[str, Series], more: Mapping[str, Series]) -> None:
    twice = found.keys() & more.keys()
    if twice:
        raise InvalidSamples(f"{min(twice)} is both a histogram and categories")
    found.update(more)


def _matching(rule: Rule, samples: Iterable[RawSample], wanted: Sequence[str]) -> Mapping[str, list[RawSample]]:
    groups: dict[str, list[RawSample]] = {}
    known: dict[str | None, str | None] = {}  # by feature, where nothing else decides
    for sample in samples:
        feature = sample.labels.get(rule.feature_label) if rule.feature_label is not None else None
        if rule.labels or feature not in known:
            known[feature] = rule.series_of(sample.labels, wanted)
        series = known[feature]
        if series is not None:
            groups.setdefault(series, []).append(sample)
    return groups


def _counters(preset: Preset, rule: CounterRule, samples: _Samples, wanted: Sequence[str]) -> Mapping[str, float]:
    own = samples.named(rule)
    if own is None:
        own = [RawSample(native.name, native.labels, native.count) for native in samples.native(rule, "_count")] or None
    if own is None:
        if not rule.required:
            return {}
        if samples.declared.isdisjoint(rule.names):
            raise MetricAbsent(
                f"there is no {rule.metric}, which preset {preset.name} reads: it is another kind of server, or has answered nothing yet"
            )
        own = []
    sums = {series: math.fsum(s.value for s in group) for series, group in _matching(rule, own, wanted).items()}
    return sums if rule.feature_label is not None or rule.always_shown else {rule.series: 0.0, **sums}


def _categories(rule: CategoryRule, samples: _Samples, wanted: Sequence[str]) -> Mapping[str, Series]:
    counted: dict[str, Series] = {}
    for series, group in _matching(rule, samples.named(rule) or (), wanted).items():
        categories: dict[str, float] = {}
        for sample in group:
            category = sample.labels.get(rule.category_label, "")
            categories[category] = categories.get(category, 0.0) + sample.value
        counted[series] = categories
    return counted


@dataclass
class _Cumulative:
    """Buckets of one histogram while they are collected, by upper edge as a number: "1" and "1.0" are one edge."""

    buckets: dict[float, float] = field(default_factory=dict)
    total: float | None = None


def _histograms(rule: HistogramRule, samples: _Samples, wanted: Sequence[str]) -> Mapping[str, Series]:
    if samples.named(rule, "_bucket") is None:
        return _natives(rule, samples, wanted)
    # Label sets of the server that map to one series are first taken apart: only whole histograms may be added up.
    parts: dict[str, dict[tuple[tuple[str, str], ...], _Cumulative]] = {}
    for series, group in _matching(rule, samples.named(rule, "_bucket") or (), wanted).items():
        for sample in group:
            own = {label: value for label, value in sample.labels.items() if label != "le"}
            part = parts.setdefault(series, {}).setdefault(_key(own), _Cumulative())
            edge = _edge(sample)
            if edge in part.buckets:
                raise InvalidSamples(f"{sample.name}{_braces(sample.labels)} is there twice")
            part.buckets[edge] = sample.value
    for series, group in _matching(rule, samples.named(rule, "_sum") or (), wanted).items():
        for sample in group:
            whole = parts.get(series, {}).get(_key(sample.labels))
            if whole is not None:
                whole.total = sample.value
    return {
        series: _sum_of_parts(series, [_binned(rule, part) for part in by_labels.values()])
        for series, by_labels in parts.items()
    }


def _natives(rule: HistogramRule, samples: _Samples, wanted: Sequence[str]) -> Mapping[str, Series]:
    parts: dict[str, list[Binned]] = {}
    for histogram in samples.native(rule):
        series = rule.series_of(histogram.labels, wanted)
        if series is not None:
            parts.setdefault(series, []).append(_scaled(binned(histogram, samples.grids[series]), rule.divisor))
    return {series: _sum_of_parts(series, own) for series, own in parts.items()}


def _scaled(histogram: Binned, divisor: float) -> Binned:
    total = None if histogram.total is None or not math.isfinite(histogram.total) else histogram.total / divisor
    return Binned(tuple(edge / divisor for edge in histogram.edges), histogram.counts, total)


def _key(labels: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(labels.items()))


def _edge(sample: RawSample) -> float:
    text = sample.labels.get("le", "")
    try:
        edge = float(text)
    except ValueError:
        edge = math.nan
    if math.isnan(edge) or edge == -math.inf:
        raise InvalidSamples(f"{sample.name}{_braces(sample.labels)} has no usable le label")
    return edge


def _sum_of_parts(series: str, parts: Sequence[Binned]) -> Binned:
    edges = parts[0].edges
    if any(part.edges != edges for part in parts):
        raise InvalidSamples(f"the histograms that make up {series} have different edges")
    totals = [part.total for part in parts if part.total is not None]
    return Binned(
        edges=edges,
        counts=tuple(math.fsum(column) for column in zip(*(part.counts for part in parts), strict=True)),
        total=math.fsum(totals) if len(totals) == len(parts) else None,
    )


def _binned(rule: HistogramRule, part: _Cumulative) -> Binned:
    """Cumulative buckets to counts per bin."""
    edges = sorted(part.buckets)
    if edges[-1] != math.inf:
        raise InvalidSamples(f"{rule.metric} has no +Inf bucket")
    cumulative = [part.buckets[edge] for edge in edges]
    if any(after < before for before, after in pairwise(cumulative)):
        raise InvalidSamples(f"the buckets of {rule.metric} fall as le rises")
    counts = (cumulative[0], *(after - before for before, after in pairwise(cumulative)))
    finite = tuple(edge / rule.divisor for edge in edges[:-1])
    return Binned(edges=finite, counts=counts, total=None if part.total is None else part.total / rule.divisor)


def _braces(labels: Mapping[str, str]) -> str:
    inside = ",".join(f'{name}="{value}"' for name, value in sorted(labels.items()))
    return f"{{{inside}}}" if inside else ""
