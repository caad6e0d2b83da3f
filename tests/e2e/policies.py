"""LifecyclePolicies for somebody in a hurry: seconds instead of hours, and little evidence is enough."""

from collections.abc import Sequence
from typing import Any

Gate = dict[str, Any]
Stages = dict[str, Any]

INTERVAL = "1s"

# The bound is wide, so that few requests decide. Fewer than ten intervals never do.
ERRORS: Gate = {"name": "errors", "errorRate": {"maxIncrease": 0.1, "abortAbove": 0.3}, "minSamples": 20}
LATENCY: Gate = {"name": "latency", "latency": {"slo": "5s", "maxIncrease": 0.1, "abortAbove": 0.5}, "minSamples": 20}
DRIFT: Gate = {
    "name": "drift",
    "drift": {"method": "PSI", "threshold": 0.2, "maxDriftedShare": 0.3, "reference": "Baseline"},
    "minSamples": 200,
}


def shadow(*gates: Gate, at_least: str = "3s", mirror: int = 100) -> Stages:
    """A shadow stage."""
    return {
        "shadow": {"mirrorPercent": mirror, "minDuration": at_least, "interval": INTERVAL, "gates": list(gates)},
    }


def canary(*gates: Gate, weights: Sequence[int] = (20, 50), at_least: str = "4s") -> Stages:
    """A canary stage that goes through some weights."""
    steps = [{"weight": weight, "minDuration": at_least} for weight in weights]
    return {"canary": {"interval": INTERVAL, "steps": steps, "gates": list(gates)}}


WATCHED = {"name": "still-answers", "errorRate": {"abortAbove": 0.5}}
"""What every version is watched by in production: no version comes there without anything."""


def policy(namespace: str, stages: Stages, *, patience: str = "2m", watch: str = "4s") -> dict[str, Any]:
    """A policy for one namespace, which wins there over any that the cluster has.

    On a busy machine a watch of four seconds may pass without a look; who tells of what it showed asks for a longer one.
    """
    return {
        "apiVersion": "modelward.dev/v1alpha1",
        "kind": "LifecyclePolicy",
        "metadata": {"name": namespace, "labels": {"made-by": "modelward-e2e"}},
        "spec": {
            "appliesTo": {
                "tiers": ["Low"],
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
                "priority": 1000,
            },
            "stages": {
                **stages,
                "production": {
                    "watch": {"duration": watch},
                    "monitoring": {"interval": "30s", "gates": [WATCHED]},
                    "standby": {"keep": 1, "replicas": "Full"},
                },
                "firstVersion": {"require": "Watch"},
            },
            "onUnknown": {"deadline": patience, "then": "Pause"},
        },
    }
