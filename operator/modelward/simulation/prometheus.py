"""A recording out of a Prometheus that has scraped the pods of a Model: raw counters of each pod, and their differences.

Not `increase()`, which extrapolates. The versions are told by the names of the pods, so that only `namespace` and `pod`
have to be on the series, as the operator itself asks for.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from modelward.simulation.recording import Recording, Unusable, assembled, line_of

STEP = timedelta(minutes=1)
_POINTS = 10_000  # Prometheus answers 11,000 of each series at once
_REQUESTS = "modelward_requests_total"
_BUCKETS = "modelward_request_seconds_bucket"

Ask = Callable[[str], bytes]
"""Fetches a path with its query from the server."""


def record(ask: Ask, model: str, namespace: str, since: datetime, until: datetime, step: timedelta = STEP) -> Recording:
    """What a server knows of a Model between two times.

    Raises:
        Unusable: it knows nothing, or gives no answer that can be read.
    """
    counted: dict[tuple[float, str], dict[str, Any]] = {}
    where = f'namespace="{namespace}", pod=~"{re.escape(model)}-.+"'
    for labels, at, added in _increments(ask, f"sum by (pod, outcome) ({_REQUESTS}{{{where}}})", since, until, step):
        entry = _entry(counted, at, labels, model)
        entry["requests"] += added
        entry["errors"] += added if labels.get("outcome") == "error" else 0.0
    for labels, at, added in _increments(ask, f"sum by (pod, le) ({_BUCKETS}{{{where}}})", since, until, step):
        entry = _entry(counted, at, labels, model)
        entry["cumulative"][labels["le"]] = entry["cumulative"].get(labels["le"], 0.0) + added
    if not counted:
        raise Unusable(
            f"the Prometheus has no {_REQUESTS} of pods of {namespace}/{model} in this time: look at --model and --namespace,"
            " and whether it scrapes the pods with the labels namespace and pod"
        )
    lines = [
        line_of(
            datetime.fromtimestamp(at, UTC),
            version,
            requests=entry["requests"],
            errors=entry["errors"],
            latency=_buckets(entry["cumulative"]),
        )
        for (at, version), entry in sorted(counted.items())
    ]
    return assembled(lines)


def _increments(
    ask: Ask, query: str, since: datetime, until: datetime, step: timedelta
) -> Iterator[tuple[Mapping[str, str], float, float]]:
    """For each series and interval, what was added; a counter that fell began anew."""
    last: dict[tuple[tuple[str, str], ...], float] = {}
    begin = since
    while begin < until:
        end = min(begin + _POINTS * step, until)
        asked = {"query": query, "start": begin.timestamp(), "end": end.timestamp(), "step": step.total_seconds()}
        for series in _result(ask(f"/api/v1/query_range?{urlencode(asked)}")):
            labels = series["metric"]
            key = tuple(sorted(labels.items()))
            for at, text in series["values"]:
                value, before = float(text), last.get(key)
                last[key] = value
                if before is not None:
                    yield labels, float(at), value - before if value >= before else value
        begin = end + step


def _entry(counted: dict[tuple[float, str], dict[str, Any]], at: float, labels: Mapping[str, str], model: str) -> Any:
    version = re.sub(r"-[a-z0-9]+-[a-z0-9]+$", "", labels.get("pod", "").removeprefix(f"{model}-"))
    return counted.setdefault((at, version), {"requests": 0.0, "errors": 0.0, "cumulative": {}})


def _buckets(cumulative: Mapping[str, float]) -> dict[str, float]:
    ordered = sorted(cumulative.items(), key=lambda item: float(item[0]))
    below = 0.0
    found: dict[str, float] = {}
    for bound, count in ordered:
        found[bound] = max(count - below, 0.0)
        below = max(count, below)
    return found


def _result(body: bytes) -> Any:
    try:
        answer = json.loads(body)
        if answer.get("status") != "success":
            raise Unusable(f"the Prometheus refused the query: {answer.get('error', 'without a reason')}")
        result = answer["data"]["result"]
        return [{"metric": dict(each["metric"]), "values": list(each["values"])} for each in result]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Unusable("the server did not answer as a Prometheus query API does: look at its URL") from error
