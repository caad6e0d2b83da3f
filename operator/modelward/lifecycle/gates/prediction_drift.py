"""`predictionDrift`: does the model still answer as it did in training, or as the incumbent does?"""

from collections.abc import Mapping

from modelward.api.gates import Gate, PredictionDriftGate
from modelward.api.model_version import Baseline
from modelward.lifecycle.gates.bins import Distribution
from modelward.lifecycle.gates.distributions import DistributionKind, baseline_distribution
from modelward.lifecycle.gates.verdict import present

SERIES = "prediction"


def _spec(gate: Gate) -> PredictionDriftGate:
    return present(gate.prediction_drift)


def _wanted(gate: Gate) -> tuple[str, ...]:
    return (SERIES,)


def _in_baseline(baseline: Baseline) -> Mapping[str, Distribution]:
    return {} if baseline.predictions is None else {SERIES: baseline_distribution(baseline.predictions)}


PREDICTION_DRIFT = DistributionKind(spec_of=_spec, wanted=_wanted, in_baseline=_in_baseline)
