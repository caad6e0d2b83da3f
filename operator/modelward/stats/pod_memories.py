"""Pod memories as a compact JSON document and back.

Edges are the same for all pods of a version as a rule, and longer than the counts beside them: they are written once.
"""

from collections.abc import Mapping
from typing import Any

from modelward.stats.increments import PodMemory
from modelward.stats.readings import Binned, Series


def write_pods(pods: Mapping[str, PodMemory]) -> dict[str, Any]:
    """{"edges": [...], "pods": {name: {"startedAt", "at", "series": {name: value}}}}.

    A counter is a number, categories are an object, a histogram is [index into edges, counts, total], an invalid series null.
    """
    edges: dict[tuple[float, ...], int] = {}

    def written(value: Series | None) -> Any:
        if isinstance(value, Binned):
            index = edges.setdefault(value.edges, len(edges))
            return [index, [_number(count) for count in value.counts], _number(value.total)]
        if isinstance(value, Mapping):
            return {category: _number(count) for category, count in value.items()}
        return _number(value)

    documents = {
        name: {
            "startedAt": _number(pod.started_at),
            "at": _number(pod.at),
            "series": {series: written(value) for series, value in pod.series.items()},
        }
        for name, pod in pods.items()
    }
    return {"edges": [list(row) for row in edges], "pods": documents}


def read_pods(data: Mapping[str, Any]) -> dict[str, PodMemory]:
    """What write_pods was given."""
    edges = [tuple(float(edge) for edge in row) for row in data["edges"]]

    def value_of(document: Any) -> Series | None:
        if isinstance(document, list):
            index, counts, total = document
            return Binned(edges[index], tuple(map(float, counts)), None if total is None else float(total))
        if isinstance(document, Mapping):
            return {str(category): float(count) for category, count in document.items()}
        return None if document is None else float(document)

    return {
        name: PodMemory(
            float(pod["startedAt"]), float(pod["at"]), {name: value_of(value) for name, value in pod["series"].items()}
        )
        for name, pod in data["pods"].items()
    }


def _number(value: float | None) -> float | int | None:
    """Whole numbers, as counts are, without the `.0`."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
