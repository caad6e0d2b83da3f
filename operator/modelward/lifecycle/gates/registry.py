"""Every kind of gate, by the name of its field in the API. A new kind is one module and one line here."""

from modelward.api.gates import Gate, kind_of
from modelward.lifecycle.gates.data_quality import DataQualityKind
from modelward.lifecycle.gates.drift import FEATURE_DRIFT
from modelward.lifecycle.gates.error_rate import ErrorRateKind
from modelward.lifecycle.gates.evaluation import EvaluationKind
from modelward.lifecycle.gates.fairness import FairnessKind
from modelward.lifecycle.gates.latency import LatencyKind
from modelward.lifecycle.gates.prediction_drift import PREDICTION_DRIFT
from modelward.lifecycle.gates.quality import QualityKind
from modelward.lifecycle.gates.query import QueryKind
from modelward.lifecycle.gates.unimplemented import UnimplementedKind
from modelward.lifecycle.gates.verdict import GateKind

KINDS: dict[str, GateKind] = {
    "error_rate": ErrorRateKind(),
    "latency": LatencyKind(),
    "drift": FEATURE_DRIFT,
    "prediction_drift": PREDICTION_DRIFT,
    "data_quality": DataQualityKind(),
    "query": QueryKind(),
    "evaluation": EvaluationKind(),
    "quality": QualityKind(),
    "fairness": FairnessKind(),
    "job": UnimplementedKind("job"),
}


def kind_for(gate: Gate) -> GateKind:
    """The kind that judges this gate."""
    return KINDS[kind_of(gate)]
