"""Gates: what has to be true of a version before it may go on. One kind per gate."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from modelward.api.types import ApiModel, Duration, FreeForm, LongText, ObjectName, Share, ShortText


class Reference(StrEnum):
    BASELINE = "Baseline"
    INCUMBENT = "Incumbent"


class DistanceMethod(StrEnum):
    PSI = "PSI"
    JS = "JS"


class ErrorRateGate(ApiModel):
    max_increase: Share = 0.005
    abort_above: Share | None = None


class LatencyGate(ApiModel):
    slo: Duration
    max_increase: Share = 0.01
    abort_above: Share | None = None


class DriftGate(ApiModel):
    """Drift of the features (`drift`) or of the predictions (`predictionDrift`)."""

    method: DistanceMethod = DistanceMethod.PSI
    threshold: Annotated[float, Field(gt=0, le=10)] = 0.2
    reference: Reference = Reference.BASELINE
    max_drifted_share: Share = 0.5
    features: tuple[ShortText, ...] = ()


class DataQualityGate(ApiModel):
    max_missing: Share | None = None
    max_out_of_range: Share | None = None
    max_new_categories: Share | None = None
    features: tuple[ShortText, ...] = ()


class QueryGate(ApiModel):
    source: ObjectName
    query: LongText
    min: float | None = None
    max: float | None = None
    max_staleness: Duration = Field(default="2m", validate_default=True)  # type: ignore[assignment]


class VersusIncumbent(ApiModel):
    max_decrease: Annotated[float, Field(ge=0)] | None = None
    max_increase: Annotated[float, Field(ge=0)] | None = None


class EvaluationGate(ApiModel):
    name: ShortText
    metric: ShortText
    min: float | None = None
    max: float | None = None
    versus_incumbent: VersusIncumbent | None = None
    max_age: Duration | None = None


class Gate(ApiModel):
    name: ObjectName
    error_rate: ErrorRateGate | None = None
    latency: LatencyGate | None = None
    drift: DriftGate | None = None
    prediction_drift: DriftGate | None = None
    data_quality: DataQualityGate | None = None
    query: QueryGate | None = None
    evaluation: EvaluationGate | None = None
    quality: FreeForm | None = None
    fairness: FreeForm | None = None
    job: FreeForm | None = None
    min_samples: Annotated[int, Field(ge=0, le=1_000_000_000)] = 0
    warmup: Duration = Field(default="0s", validate_default=True)  # type: ignore[assignment]
    window: Duration | None = None
    advisory: bool = False


KINDS = (
    "error_rate", "latency", "drift", "prediction_drift", "data_quality", "query", "evaluation", "quality", "fairness", "job",
)


def kind_of(gate: Gate) -> str:
    """The one kind that a gate has, as its snake_case field name."""
    return next(kind for kind in KINDS if getattr(gate, kind) is not None)
