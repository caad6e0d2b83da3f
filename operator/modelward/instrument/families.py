"""Cells to metric families, under the names that the preset `modelward` reads."""

from collections.abc import Iterator, Sequence

import numpy as np
from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.utils import floatToGoString

from modelward.instrument.cells import Numbers
from modelward.instrument.layout import Block, Layout, Numeric
from modelward.instrument.truth import ERROR_SUMS, OUTCOMES, TruthBlock


def families(layout: Layout, truth: TruthBlock | None, numbers: Numbers, model: str, version: str) -> Iterator[Metric]:
    """All families; those with nothing to count in them are left out."""
    info = GaugeMetricFamily(
        "modelward_info", "The model and version that this server runs.", labels=("model", "version")
    )
    info.add_metric((model, version), 1)
    yield info
    requests = CounterMetricFamily("modelward_requests", "Requests by outcome.", labels=("outcome",))
    requests.add_metric(("success",), numbers[layout.success])
    requests.add_metric(("error",), numbers[layout.error])
    yield requests
    yield _histograms(
        "modelward_request_seconds", "Time from receiving a request to its answer.", (), [layout.latency], numbers
    )
    yield from _features(layout.features, numbers)
    if layout.prediction is not None:
        kind = _histograms if isinstance(layout.prediction.quantity, Numeric) else _categories
        name = "modelward_prediction_value" if kind is _histograms else "modelward_prediction_category"
        yield kind(name, "Predictions.", (), [layout.prediction], numbers)
    if truth is not None:
        yield from _feedback(truth, numbers)


def _feedback(block: TruthBlock, numbers: Numbers) -> Iterator[Metric]:
    outcomes = CounterMetricFamily("modelward_feedback", "Labels that came back, by outcome.", labels=("outcome",))
    for offset, outcome in enumerate(("matched", "unknown", "lost")):
        outcomes.add_metric((outcome,), numbers[block.start + offset])
    yield outcomes
    yield from _confusion(block, numbers) if block.names else _errors(block, numbers)
    if block.group_names:
        groups = CounterMetricFamily(
            "modelward_feedback_group", "Labels by group of people.", labels=("group", "outcome")
        )
        for place, name in enumerate(block.group_names):
            for offset, outcome in enumerate(OUTCOMES):
                groups.add_metric((name, outcome), numbers[block.groups + place * len(OUTCOMES) + offset])
        yield groups


def _confusion(block: TruthBlock, numbers: Numbers) -> Iterator[Metric]:
    """Cells of the table that are still empty are left out: of a hundred classes, most never meet."""
    names = block.names
    table = CounterMetricFamily(
        "modelward_feedback_confusion", "Labels by predicted and actual class.", labels=("predicted", "actual")
    )
    for place, count in enumerate(numbers[block.table : block.table + len(names) ** 2].tolist()):
        if count:
            table.add_metric((names[place // len(names)], names[place % len(names)]), count)
    yield table
    if block.score_width:
        scores = [
            Block(Numeric(label, block.truth.edges), block.scores + place * block.score_width, missing=-1)
            for place, label in enumerate(block.truth.labels)
        ]
        yield _histograms("modelward_feedback_score", "Scores by actual class.", ("actual",), scores, numbers)


def _errors(block: TruthBlock, numbers: Numbers) -> Iterator[Metric]:
    """Sums over predictions of numbers; the fourth powers tell how sure the mean of the squares is."""
    for offset, name in enumerate(ERROR_SUMS):
        family = CounterMetricFamily(f"modelward_feedback_{name}", "Labels of numbers, and sums of the errors.")
        family.add_metric((), numbers[block.table + offset])
        yield family


def _features(blocks: Sequence[Block], numbers: Numbers) -> Iterator[Metric]:
    numeric = [block for block in blocks if isinstance(block.quantity, Numeric)]
    categorical = [block for block in blocks if not isinstance(block.quantity, Numeric)]
    if numeric:
        yield _histograms(
            "modelward_feature_value", "Numeric features, in training's bins.", ("feature",), numeric, numbers
        )
    if categorical:
        yield _categories("modelward_feature_category", "Categorical features.", ("feature",), categorical, numbers)
    if blocks:
        missing = CounterMetricFamily("modelward_feature_missing", "Values that were not there.", labels=("feature",))
        for block in blocks:
            missing.add_metric((block.quantity.name,), numbers[block.missing])
        yield missing


def _histograms(
    name: str, documentation: str, labels: Sequence[str], blocks: Sequence[Block], numbers: Numbers
) -> HistogramMetricFamily:
    family = HistogramMetricFamily(name, documentation, labels=labels)
    for block in blocks:
        assert isinstance(block.quantity, Numeric)
        edges = (*block.quantity.edges, float("inf"))
        cumulative = np.cumsum(numbers[block.start : block.start + len(edges)])
        names: list[str] = [floatToGoString(edge) for edge in edges]  # type: ignore[no-untyped-call]
        buckets = list(zip(names, cumulative.tolist(), strict=True))
        family.add_metric([block.quantity.name] if labels else [], buckets, float(numbers[block.start + len(edges)]))
    return family


def _categories(
    name: str, documentation: str, labels: Sequence[str], blocks: Sequence[Block], numbers: Numbers
) -> CounterMetricFamily:
    family = CounterMetricFamily(name, documentation, labels=(*labels, "category"))
    for block in blocks:
        own = [block.quantity.name] if labels else []
        for offset, category in enumerate(block.names):
            family.add_metric([*own, category], numbers[block.start + offset])
    return family
