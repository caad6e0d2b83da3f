"""From samples as a server names them to canonical series, checked: anything impossible is refused, never repaired.

Both sources end here: a pod's page (`exposition`) and raw samples of a Prometheus (`prometheus`).
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from modelward.metrics.presets import CategoryRule, CounterRule, HistogramRule, Preset, Rule
from modelward.stats.readings import Binned, Series


class InvalidSamples(Exception):
    """The samples contradict themselves or the preset; the message says which and how, without a full stop."""


@dataclass(frozen=True)
class RawSample:
    """One sample as exposed. `labels` holds only the server's own labels."""

    name: str
    labels: Mapping[str, str]
    value: float


def canonical_series(samples: Iterable[RawSample], preset: Preset, wanted: Sequence[str]) -> Mapping[str, Series]:
    """Sum, check and rename the samples of one pod.

    A counter whose metric is there without a matching sample is 0: servers show an outcome when it first happens.

    Raises:
        InvalidSamples: a value that no counter can have, impossible buckets, or a required metric that is missing.
    """
    by_name: dict[str, list[RawSample]] = {}
    for sample in samples:
        _check_value(sample)
        by_name.setdefault(sample.name, []).append(sample)
    found: dict[str, Series] = {}
    for counter in preset.counters:
        _add_all(found, _counters(counter, by_name, wanted))
    for histogram in preset.histograms:
        _add_all(found, _histograms(histogram, by_name, wanted))
    for category in preset.categories:
        _add_all(found, _categories(category, by_name, wanted))
    return found


def _check_value(sample: RawSample) -> None:
    """Counts are finite and never negative; a histogram's sum may be negative, where its values are."""
    if not math.isfinite(sample.value) or (sample.value < 0 and not sample.name.endswith("_sum")):
        raise InvalidSamples(f"{sample.name}{_braces(sample.labels)} is {sample.value:g}, which no counter can be")


def _add_all(found: dict[str, Series], more: Mapping[str, Series]) -> None:
    twice = found.keys() & more.keys()
    if twice:
        raise InvalidSamples(f"{min(twice)} is both a histogram and categories")
    found.update(more)


def _matching(rule: Rule, samples: Iterable[RawSample], wanted: Sequence[str]) -> Mapping[str, list[RawSample]]:
    groups: dict[str, list[RawSample]] = {}
    for sample in samples:
        series = rule.series_of(sample.labels, wanted)
        if series is not None:
            groups.setdefault(series, []).append(sample)
    return groups


def _counters(rule: CounterRule, by_name: Mapping[str, list[RawSample]], wanted: Sequence[str]) -> Mapping[str, Series]:
    samples = by_name.get(rule.metric)
    if samples is None:
        if rule.required:
            raise InvalidSamples(f"there is no {rule.metric}")
        return {}
    sums = {series: math.fsum(s.value for s in group) for series, group in _matching(rule, samples, wanted).items()}
    return sums if rule.feature_label is not None else {rule.series: 0.0, **sums}


def _categories(
    rule: CategoryRule, by_name: Mapping[str, list[RawSample]], wanted: Sequence[str]
) -> Mapping[str, Series]:
    counted: dict[str, Series] = {}
    for series, group in _matching(rule, by_name.get(rule.metric, ()), wanted).items():
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


def _histograms(
    rule: HistogramRule, by_name: Mapping[str, list[RawSample]], wanted: Sequence[str]
) -> Mapping[str, Series]:
    # Label sets of the server that map to one series are first taken apart: only whole histograms may be added up.
    parts: dict[str, dict[tuple[tuple[str, str], ...], _Cumulative]] = {}
    for series, group in _matching(rule, by_name.get(f"{rule.metric}_bucket", ()), wanted).items():
        for sample in group:
            own = {label: value for label, value in sample.labels.items() if label != "le"}
            part = parts.setdefault(series, {}).setdefault(_key(own), _Cumulative())
            edge = _edge(sample)
            if edge in part.buckets:
                raise InvalidSamples(f"{sample.name}{_braces(sample.labels)} is there twice")
            part.buckets[edge] = sample.value
    for series, group in _matching(rule, by_name.get(f"{rule.metric}_sum", ()), wanted).items():
        for sample in group:
            whole = parts.get(series, {}).get(_key(sample.labels))
            if whole is not None:
                whole.total = sample.value
    return {series: _sum_of_parts(rule, series, list(by_labels.values())) for series, by_labels in parts.items()}


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


def _sum_of_parts(rule: HistogramRule, series: str, parts: Sequence[_Cumulative]) -> Binned:
    if any(part.buckets.keys() != parts[0].buckets.keys() for part in parts):
        raise InvalidSamples(f"the histograms that make up {series} have different edges")
    binned = [_binned(rule, part) for part in parts]
    totals = [one.total for one in binned if one.total is not None]
    return Binned(
        edges=binned[0].edges,
        counts=tuple(math.fsum(column) for column in zip(*(one.counts for one in binned), strict=True)),
        total=math.fsum(totals) if len(totals) == len(binned) else None,
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
