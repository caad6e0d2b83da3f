"""How long `modelward simulate` takes for a month: a minute at a time, under each policy that is shipped and under busier ones.

``make bench-simulate``; seeded. The recording has both versions in every minute of 30 days, with counts that vary as real ones do,
and counts of 30 features. The figure to go by is the CPU time, which other work on the machine does not change much. The exit code is 1
when a month takes more of it than the goal.
"""

import json
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import yaml

from modelward.api.lifecycle_policy import LifecyclePolicySpec
from modelward.api.model_version import Baseline
from modelward.manifests import shipped
from modelward.simulation.recording import Counted, Interval, Recording
from modelward.simulation.replay import replay

GOAL_SECONDS = 10.0
MINUTES = 30 * 24 * 60
FEATURES, BINS = 30, 10
EVEN = (1 / BINS,) * BINS
DRIFTED = (0.02,) * 5 + (0.18,) * 5
ERRORS = {"name": "errors", "errorRate": {"maxIncrease": 0.005, "abortAbove": 0.2}}
SLOW = {"name": "slow", "latency": {"slo": "250ms", "maxIncrease": 0.01, "abortAbove": 0.5}}
DRIFT = {"name": "drift", "drift": {"threshold": 0.2, "maxDriftedShare": 0.2}}
AGAINST_INCUMBENT = {
    "name": "drift-over",
    "drift": {"threshold": 0.2, "maxDriftedShare": 0.2, "reference": "Incumbent"},
}


def minutely(*gates: dict[str, Any]) -> LifecyclePolicySpec:
    """A shadow that lasts a month, with a look every minute."""
    shadow = {"minDuration": "720h", "interval": "60s", "gates": list(gates)}
    return LifecyclePolicySpec.model_validate({"stages": {"shadow": shadow}})


def recording_of(minutes: int, shares: Sequence[float] = EVEN) -> Recording:
    """Two versions that answer alike; shares are those of the candidate's values in the bins of each feature."""
    began, random = datetime(2026, 10, 1, tzinfo=UTC), np.random.default_rng(1)
    features = [f"feature-{number}" for number in range(FEATURES)]

    def counted(usual: int, shares: Sequence[float]) -> list[Counted]:
        requests = random.poisson(usual, minutes)
        errors, slow = random.binomial(requests, 0.005), random.binomial(requests, 0.02)
        bins = {name: random.multinomial(requests, shares).tolist() for name in features}
        return [
            Counted(
                float(requests[at]),
                float(errors[at]),
                (float(requests[at] - slow[at]), 0.0, float(slow[at])),
                {name: tuple(rows[at]) for name, rows in bins.items()},
            )
            for at in range(minutes)
        ]

    pairs = zip(counted(540, EVEN), counted(60, shares), strict=True)
    intervals = (
        Interval(began + timedelta(minutes=minute), {"v7": incumbent, "v8": candidate})
        for minute, (incumbent, candidate) in enumerate(pairs, 1)
    )
    return Recording(tuple(intervals), (0.1, 0.25))


def baseline() -> Baseline:
    """As the features are recorded."""
    edges = list(range(1, BINS))
    features = [{"name": f"feature-{number}", "edges": edges, "counts": [2000] * BINS} for number in range(FEATURES)]
    return Baseline.model_validate({"features": features})


def timed(name: str, policy: LifecyclePolicySpec, recording: Recording, baseline: Baseline | None = None) -> float:
    """Print one line; the answer is the CPU time."""
    began, used = time.perf_counter(), time.process_time()
    outcome = replay(name, policy, recording, baseline=baseline)
    wall, cpu = time.perf_counter() - began, time.process_time() - used
    end = f"ends in {outcome.status.stage}"
    print(
        f"{name:44} {cpu:6.1f} s of CPU, {wall:6.1f} s by the clock, {outcome.decisions:6,} decisions, {end}",
        flush=True,
    )
    return cpu


def main() -> int:
    """A month under each policy."""
    month, took = recording_of(MINUTES), []
    for path in sorted(shipped.folder().glob("*.yaml")):
        written = yaml.safe_load(path.read_text("utf-8"))
        policy = LifecyclePolicySpec.model_validate(written["spec"])
        took.append(timed(f"shipped policy {path.stem}", policy, month))
        took.append(timed(f"shipped policy {path.stem}, {FEATURES} features", policy, month, baseline()))
    every = minutely(ERRORS, SLOW, DRIFT, AGAINST_INCUMBENT)
    took.append(timed("every minute, errors and latency", minutely(ERRORS, SLOW), month))
    took.append(timed(f"every minute, drift of {FEATURES} features", minutely(DRIFT), month, baseline()))
    took.append(timed("every minute, every kind of gate", every, month, baseline()))
    del month
    unheeded = minutely(*({**gate, "advisory": True} for gate in (DRIFT, AGAINST_INCUMBENT)))
    took.append(timed("every minute, features that have drifted", unheeded, recording_of(MINUTES, DRIFTED), baseline()))
    answer = {"benchmark": "simulate", "most_seconds_of_cpu": round(max(took), 1), "goal_seconds": GOAL_SECONDS}
    print(json.dumps(answer))
    return 0 if max(took) < GOAL_SECONDS else 1


if __name__ == "__main__":
    sys.exit(main())
