"""Cells to metric families, under the names that the preset `modelward` reads."""

from collections.abc import Iterator, Sequence

import numpy as np
from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.utils import floatToGoString

from modelward.instrument.cells import Numbers
from modelward.instrument.layout import Block, Layout, Numeric


def families(layout: Layout, numbers: Numbers, model: str, version: str) -> Iterator[Metric]:
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
