"""What a rollout remembers and how often it is written: the shipped policy `low`, 30 features of 20 bins, 10 pods of either version.

``make bench-evidence``. Evidence is stored in the status of a Model, once after each evaluation; an object may have 1.5 MiB.
"""

import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from modelward.api.gates import Gate
from modelward.api.lifecycle_policy import LifecyclePolicySpec
from modelward.api.model_version import Baseline
from modelward.lifecycle.evidence import (
    LARGEST,
    Evidence,
    Inputs,
    begin,
    candidate_series,
    fold,
    incumbent_series,
    judge,
    recorded,
    split_alpha,
)
from modelward.stats.readings import Binned, PodReading, Reading, Series

POLICY = Path(__file__).resolve().parent.parent / "charts/modelward/policies/low.yaml"
PODS, FEATURES, REQUESTS = 10, 30, 60  # requests for each pod and look
EDGES = tuple(float(edge) for edge in range(1, 20))
FASTEST = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.75, 1, 1.5, 2, 2.5, 5, 10)
BEGAN = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Phase:
    """One stretch of a rollout with its own evidence."""

    name: str
    gates: Sequence[Gate]
    interval: timedelta
    lasts: timedelta
    compares: bool = True  # with an incumbent, which a version in production no longer has

    @property
    def looks(self) -> int:
        return self.lasts // self.interval


@dataclass(frozen=True)
class Row:
    phase: str
    looks: int
    bytes: int
    of_pods: int
    of_gates: int
    milliseconds: float  # of an evaluation, with reading and writing the evidence as JSON


def main() -> int:
    policy = LifecyclePolicySpec.model_validate(yaml.safe_load(POLICY.read_text("utf-8"))["spec"])
    phases = list(_phases(policy))
    assert policy.stages.canary is not None
    alpha = split_alpha(policy.stages.canary.alpha, {phase.name: phase.gates for phase in phases})
    rows = [_measure(phase, alpha) for phase in phases]
    table = Table("phase", "evaluations = writes", "bytes of evidence", "of pods", "of gates", "ms an evaluation")
    for row in rows:
        sizes = (f"{size:,}" for size in (row.looks, row.bytes, row.of_pods, row.of_gates))
        table.add_row(row.phase, *sizes, f"{row.milliseconds:.1f}")
    Console(width=120).print(table)
    largest = max(row.bytes for row in rows)
    writes = sum(row.looks for row in rows)
    result = {"benchmark": "evidence", "writes": writes, "largest_bytes": largest, "limit_bytes": LARGEST}
    print(json.dumps({**result, "rows": [vars(row) for row in rows]}))
    return 0 if largest <= LARGEST else 1


def _phases(policy: LifecyclePolicySpec) -> Iterator[Phase]:
    """Each as short as the policy allows; the steps of a canary begin anew, and the watch has the canary's gates."""
    shadow, canary, watch = policy.stages.shadow, policy.stages.canary, policy.stages.production.watch
    assert shadow is not None and canary is not None and watch is not None
    yield Phase("shadow", shadow.gates, shadow.interval, shadow.min_duration)
    for step in canary.steps:
        yield Phase(f"canary {step.weight} %", canary.gates, canary.interval, step.min_duration)
    yield Phase("watch", canary.gates, canary.interval, watch.duration, compares=False)


def _measure(phase: Phase, alpha: float) -> Row:
    random = np.random.default_rng(3)
    wanted = {"v8": candidate_series(phase.gates), "v7": incumbent_series(phase.gates)}
    counters = {version: np.zeros((PODS, FEATURES + 2, len(EDGES) + 1)) for version in wanted}
    evidence, document, seconds, baseline = begin(phase.name, BEGAN, "v8"), "", 0.0, _baseline()
    for look in range(1, phase.looks + 1):
        now = BEGAN + look * phase.interval
        incumbent = "v7" if phase.compares else None
        inputs = Inputs(now=now, candidate="v8", incumbent=incumbent, alpha=alpha, baseline=baseline)
        readings = [_reading(version, now, counters[version], random, wanted[version]) for version in wanted]
        started = time.process_time()
        known = Evidence.from_dict(json.loads(document)) if document else evidence
        evidence = fold(known, readings[0], readings[1] if incumbent else None, "v8", phase.gates, inputs)
        evidence = recorded(evidence, judge(evidence, phase.gates, inputs), now)
        document = json.dumps(evidence.to_dict(), separators=(",", ":"))
        seconds += time.process_time() - started
    written = evidence.to_dict()
    of_pods, of_gates = (len(json.dumps(part, separators=(",", ":"))) for part in _parts(written))
    return Row(phase.name, phase.looks, len(document), of_pods, of_gates, 1000 * seconds / phase.looks)


def _parts(written: dict[str, Any]) -> tuple[list[Any], Any]:
    return [written["candidate"], written["incumbent"]], written["gates"]


def _reading(
    version: str, now: datetime, counters: NDArray[np.float64], random: np.random.Generator, wanted: Sequence[str]
) -> Reading:
    bins = counters.shape[2]
    counters += random.multinomial(REQUESTS, np.full(bins, 1 / bins), counters.shape[:2])
    pods = tuple(
        PodReading(f"churn-{version}-7d9f8b6c5-{place:05d}", BEGAN.timestamp(), now.timestamp(), _series(own, wanted))
        for place, own in enumerate(counters)
    )
    return Reading(version, now.timestamp(), pods)


def _series(counted: NDArray[np.float64], wanted: Sequence[str]) -> dict[str, Series]:
    requests = float(counted[0].sum())
    found: dict[str, Series] = {"requests": requests, "errors": float(requests // 200)}
    rows = {"latency": FASTEST, "prediction": EDGES, **{f"feature/{place}": EDGES for place in range(FEATURES)}}
    for (name, edges), row in zip(rows.items(), counted, strict=True):
        found[name] = Binned(edges, tuple(row.tolist()), float(row.sum()))
    prefixes = tuple(name for name in wanted if name.endswith("/"))
    return {name: value for name, value in found.items() if name in wanted or name.startswith(prefixes)}


def _baseline() -> Baseline:
    counts = [5_000] * (len(EDGES) + 1)
    features = [{"name": str(place), "edges": EDGES, "counts": counts} for place in range(FEATURES)]
    return Baseline.model_validate({"features": features, "predictions": {"edges": EDGES, "counts": counts}})


if __name__ == "__main__":
    sys.exit(main())
