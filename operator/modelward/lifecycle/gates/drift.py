"""`drift`: are the features of live requests still those that the model was trained on, or that the incumbent gets?"""

from collections.abc import Mapping

from modelward.api.gates import DriftGate, Gate
from modelward.api.model_version import Baseline
from modelward.lifecycle.gates.bins import Distribution
from modelward.lifecycle.gates.distributions import DistributionKind, baseline_distribution
from modelward.lifecycle.gates.verdict import present


def _spec(gate: Gate) -> DriftGate:
    return present(gate.drift)


def _wanted(gate: Gate) -> tuple[str, ...]:
    return tuple(f"feature/{name}" for name in _spec(gate).features) or ("feature/",)


def _in_baseline(baseline: Baseline) -> Mapping[str, Distribution]:
    return {f"feature/{feature.name}": baseline_distribution(feature) for feature in baseline.features}


FEATURE_DRIFT = DistributionKind(spec_of=_spec, wanted=_wanted, in_baseline=_in_baseline)
