"""A version in its canary, with one feature that has drifted, one that is often missing, and a category nobody had seen."""

import json
from dataclasses import replace
from datetime import timedelta

import numpy as np

from modelward.api.model import Model
from modelward.api.model_version import Baseline
from modelward.api.status import Condition, GateStatus, ModelStatus, RolloutStatus, Stage, format_time
from modelward.api.types import format_duration
from modelward.lifecycle.evidence import Evidence, recorded
from modelward.stats.readings import Binned
from tests.unit.gates.builders import BEGAN, gate, inputs
from tests.unit.gates.builders import Stage as Watched

EDGES = (20_000.0, 40_000.0, 60_000.0, 80_000.0)
USUAL = np.array([0.10, 0.25, 0.35, 0.20, 0.10])
POORER = np.array([0.35, 0.30, 0.20, 0.10, 0.05])
SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0)
QUICK = (0.3, 0.45, 0.15, 0.06, 0.025, 0.015)
REGIONS = ("north", "south", "west")

BASELINE = Baseline.model_validate(
    {
        "features": [
            {"name": "income", "edges": EDGES, "counts": [400, 1000, 1400, 800, 400]},
            {"name": "age", "edges": (25.0, 35.0, 50.0, 65.0), "counts": [400, 1000, 1400, 800, 400], "missing": 12},
            {
                "name": "region",
                "kind": "Categorical",
                "counts": {"north": 2000, "south": 1200, "west": 800},
            },
        ],
        "predictions": {"edges": (0.1, 0.3, 0.5, 0.7), "counts": [1600, 1000, 700, 400, 300]},
    }
)
GATES = (
    gate(name="errors", errorRate={"maxIncrease": 0.02, "abortAbove": 0.2}),
    gate(name="slow", latency={"slo": "250ms", "maxIncrease": 0.05}),
    gate(name="drift", drift={"threshold": 0.2, "maxDriftedShare": 0.5}),
    gate(name="drift-from-v7", drift={"threshold": 0.2, "reference": "Incumbent"}, advisory=True),
    gate(name="predictions", predictionDrift={"method": "JS", "threshold": 0.1}),
    gate(name="quality", dataQuality={"maxMissing": 0.02, "maxNewCategories": 0.005}, advisory=True),
)
MODEL = Model.model_validate(
    {
        "metadata": {"name": "credit-risk", "namespace": "lending", "uid": "1"},
        "spec": {"owner": {"team": "lending-ml"}, "production": {"version": "v8"}},
    }
)


class Traffic:
    """Seeded requests of one version."""

    def __init__(self, seed):
        self.random, self.times = np.random.default_rng(seed), np.random.default_rng(seed + 100)

    def counts(self, shares, total):
        return tuple(float(count) for count in self.random.multinomial(total, shares))

    def drawn(self, total, income=USUAL, regions=(0.5, 0.3, 0.2), missing=0.003, errors=0.01):
        return {
            "requests": float(total),
            "errors": float(self.random.binomial(total, errors)),
            "latency": Binned(SECONDS, tuple(self.times.multinomial(total, QUICK).astype(float).tolist())),
            "feature/income": Binned(EDGES, self.counts(income, total)),
            "feature/age": Binned((25.0, 35.0, 50.0, 65.0), self.counts(USUAL, total)),
            "feature/region": dict(zip((*REGIONS, "mars")[: len(regions)], self.counts(regions, total), strict=True)),
            "missing/income": 0.0,
            "missing/age": float(self.random.binomial(total, missing)),
            "missing/region": 0.0,
            "prediction": Binned((0.1, 0.3, 0.5, 0.7), self.counts([0.4, 0.25, 0.175, 0.1, 0.075], total)),
        }


def canary(looks=30, gates=GATES, total=400):
    """The evidence of so many looks, as an operator finds it in status."""
    ours, theirs = Traffic(1), Traffic(2)
    stage = Watched(*gates, baseline=BASELINE)
    stage.evidence = replace(stage.evidence, stage_key=f"Canary@{format_time(BEGAN)}")
    for _ in range(looks):
        candidate = ours.drawn(total, income=POORER, regions=(0.48, 0.3, 0.2, 0.02), missing=0.05)
        stage.look(candidate, theirs.drawn(3 * total))
        written = recorded(stage.evidence, stage.verdicts(), inputs(stage.minute).now)
        stage.evidence = Evidence.from_dict(json.loads(json.dumps(written.to_dict())))
    return stage


def status_of(stage, **changes):
    """The status of the Model in the middle of the rollout."""
    at = inputs(stage.minute).now
    rows = tuple(
        GateStatus(
            name=verdict.gate,
            stage=Stage.CANARY,
            version="v8",
            result=verdict.result.value,
            reason=verdict.reason,
            message=verdict.sentence,
            figure=verdict.figure,
            low=verdict.low,
            high=verdict.high,
            bound=verdict.bound,
            samples=verdict.samples,
            method=verdict.method,
            window="" if verdict.seconds is None else format_duration(timedelta(seconds=round(verdict.seconds))),
            advisory=verdict.advisory,
            at=at,
        )
        for verdict in stage.verdicts()
    )
    rollout = RolloutStatus(
        version="v8",
        digest="sha256:8",
        policy="high",
        policy_digest="sha256:p",
        started_at=BEGAN,
        stage=Stage.CANARY,
        stage_entered_at=BEGAN,
        step_entered_at=BEGAN,
        traffic_since=BEGAN,
    )
    waits = Condition(
        type="Progressing",
        status="True",
        reason="StageRunning",
        message="Canary at 10 % goes on until 10:00:00 UTC.",
        last_transition_time=BEGAN,
    )
    return ModelStatus(rollout=rollout, gates=rows, conditions=(waits,)).model_copy(update=changes)


def stored(stage, status=None, baseline=None):
    """The Model and the ModelVersion as the API server gives them."""
    dumped = {"mode": "json", "by_alias": True, "exclude_none": True}
    return (
        {
            "apiVersion": "modelward.dev/v1alpha1",
            "kind": "Model",
            "metadata": {"name": "credit-risk", "namespace": "lending", "uid": "1"},
            "spec": {"owner": {"team": "lending-ml"}, "production": {"version": "v8"}},
            "status": (status or status_of(stage)).model_dump(**dumped),
        },
        {
            "apiVersion": "modelward.dev/v1alpha1",
            "kind": "ModelVersion",
            "metadata": {"name": "credit-risk-v8", "namespace": "lending", "uid": "2"},
            "spec": {
                "model": "credit-risk",
                "version": "v8",
                "artifact": {"uri": "s3://models/credit-risk/v8", "digest": "sha256:" + "4f" * 32},
                "baseline": baseline or BASELINE.model_dump(exclude_defaults=True, **dumped),
            },
            "status": {"stage": "Canary", "evidence": stage.evidence.to_dict()},
        },
    )
