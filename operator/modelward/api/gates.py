"""Gates: what has to be true of a version before it may go on. One kind per gate."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field

from modelward.api.types import (
    AS_SET,
    ApiModel,
    CelRule,
    Duration,
    FreeForm,
    Interval,
    Latency,
    LongText,
    Number,
    ObjectName,
    Rules,
    Share,
    ShortText,
    as_map,
    unique,
    unique_names,
)

KINDS = (
    "error_rate",
    "latency",
    "drift",
    "prediction_drift",
    "data_quality",
    "query",
    "evaluation",
    "quality",
    "fairness",
    "job",
)
_KIND_FIELDS = (
    "errorRate",
    "latency",
    "drift",
    "predictionDrift",
    "dataQuality",
    "query",
    "evaluation",
    "quality",
    "fairness",
    "job",
)
_GIVE_ONE_KIND = "give it exactly one of " + ", ".join(_KIND_FIELDS)
# CEL reckons the length of a number written out as unbounded, so that messages within lists name no numbers.
_COUNT_KINDS = "[" + ", ".join(f"has(self.{field})" for field in _KIND_FIELDS) + "].filter(given, given).size()"

Evaluators = Annotated[tuple[ShortText, ...], Field(max_length=32, json_schema_extra=AS_SET), AfterValidator(unique)]
FeatureNames = Annotated[tuple[ShortText, ...], Field(max_length=512, json_schema_extra=AS_SET), AfterValidator(unique)]


class Reference(StrEnum):
    BASELINE = "Baseline"
    INCUMBENT = "Incumbent"


class DistanceMethod(StrEnum):
    PSI = "PSI"
    JS = "JS"


def _kinds_given(gate: Any) -> int:
    return sum(getattr(gate, kind) is not None for kind in KINDS)


def _in_order(bounds: Any) -> bool:
    return bounds.min is None or bounds.max is None or bounds.min <= bounds.max


MIN_IS_NOT_ABOVE_MAX = CelRule(
    rule="!has(self.min) || !has(self.max) || self.min <= self.max",
    message="min is above max: exchange them",
    holds=_in_order,
    field_path=".min",
)


class ErrorRateGate(ApiModel):
    """Compares the candidate's share of failed requests with the incumbent's."""

    max_increase: Share = Field(
        default=0.005,
        description="How much higher the candidate's share of failed requests may be than the incumbent's, as an absolute share:"
        " 0.005 is half a percentage point.",
    )
    abort_above: Share | None = Field(
        default=None,
        description="The share of failed requests of the candidate alone above which the gate fails at once, without waiting for a"
        " comparison.",
    )


class LatencyGate(ApiModel):
    """Compares the shares of requests that are slower than an objective."""

    slo: Latency = Field(description="A request that takes longer than this counts as slow, such as 250ms.")
    max_increase: Share = Field(
        default=0.01,
        description="How much higher the candidate's share of slow requests may be than the incumbent's, as an absolute share.",
    )
    abort_above: Share | None = Field(
        default=None,
        description="The share of slow requests of the candidate alone above which the gate fails at once.",
    )


_METHOD = "How the distance of two distributions is measured: PSI (population stability index) or JS (Jensen-Shannon)."
_THRESHOLD = "The distance from which on a distribution counts as drifted."
_REFERENCE = "What live traffic is compared with: Baseline (the training data) or Incumbent (what serves now)."


class PredictionDriftGate(ApiModel):
    """Drift of the predictions: one distribution, which either has drifted or has not."""

    max_drifted_share: ClassVar[float] = 0.0

    method: DistanceMethod = Field(default=DistanceMethod.PSI, description=_METHOD)
    threshold: Annotated[Number, Field(gt=0, le=10)] = Field(default=0.2, description=_THRESHOLD)
    reference: Reference = Field(default=Reference.BASELINE, description=_REFERENCE)


class DriftGate(ApiModel):
    """Drift of the features."""

    method: DistanceMethod = Field(default=DistanceMethod.PSI, description=_METHOD)
    threshold: Annotated[Number, Field(gt=0, le=10)] = Field(default=0.2, description=_THRESHOLD)
    reference: Reference = Field(default=Reference.BASELINE, description=_REFERENCE)
    max_drifted_share: Share = Field(
        default=0.5, description="The share of the features that may drift before the gate fails."
    )
    features: FeatureNames = Field(
        default=(), description="The features that are looked at; all of the baseline when left out."
    )


class DataQualityGate(ApiModel):
    """Bounds on what is wrong with the values that reach the candidate."""

    cel_rules: ClassVar[Rules] = (
        CelRule(
            rule="has(self.maxMissing) || has(self.maxOutOfRange) || has(self.maxNewCategories)",
            message="a dataQuality gate without a bound checks nothing: give maxMissing, maxOutOfRange or maxNewCategories",
            holds=lambda gate: (gate.max_missing, gate.max_out_of_range, gate.max_new_categories) != (None, None, None),
        ),
    )

    max_missing: Share | None = Field(default=None, description="The share of missing values that a feature may have.")
    max_out_of_range: Share | None = Field(
        default=None, description="The share of a feature's values that may lie outside of the range seen in training."
    )
    max_new_categories: Share | None = Field(
        default=None, description="The share of a feature's values that may be of categories never seen in training."
    )
    features: FeatureNames = Field(
        default=(), description="The features that are looked at; all of the baseline when left out."
    )


class QueryGate(ApiModel):
    """Holds the result of a PromQL query against bounds."""

    cel_rules: ClassVar[Rules] = (
        CelRule(
            rule="has(self.min) || has(self.max)",
            message="a query gate without a bound checks nothing: give min, max or both",
            holds=lambda gate: gate.min is not None or gate.max is not None,
        ),
        MIN_IS_NOT_ABOVE_MAX,
    )

    source: ObjectName = Field(description="Name of a Prometheus that the platform configured for the operator.")
    query: Annotated[LongText, Field(min_length=1)] = Field(
        description="A PromQL query with exactly one finite number as its result; anything else is Unknown."
    )
    min: Number | None = Field(default=None, description="The gate fails when the result is below this.")
    max: Number | None = Field(default=None, description="The gate fails when the result is above this.")
    max_staleness: Interval = Field(
        default=timedelta(minutes=2), description="A sample older than this is no evidence: the gate is Unknown."
    )


class VersusIncumbent(ApiModel):
    """How far the candidate's metric may be from the incumbent's, on the same data set."""

    cel_rules: ClassVar[Rules] = (
        CelRule(
            rule="has(self.maxDecrease) || has(self.maxIncrease)",
            message="versusIncumbent without a bound checks nothing: give maxDecrease, maxIncrease or both",
            holds=lambda bounds: bounds.max_decrease is not None or bounds.max_increase is not None,
        ),
    )

    max_decrease: Annotated[Number, Field(ge=0)] | None = Field(
        default=None, description="How much lower the candidate's metric may be, for metrics where more is better."
    )
    max_increase: Annotated[Number, Field(ge=0)] | None = Field(
        default=None, description="How much higher the candidate's metric may be, for metrics where less is better."
    )


class EvaluationGate(ApiModel):
    """Holds a metric of the newest valid ModelEvaluation against bounds."""

    cel_rules: ClassVar[Rules] = (
        CelRule(
            rule="has(self.min) || has(self.max) || has(self.versusIncumbent)",
            message="an evaluation gate without a bound checks nothing: give min, max or versusIncumbent",
            holds=lambda gate: (gate.min, gate.max, gate.versus_incumbent) != (None, None, None),
        ),
        MIN_IS_NOT_ABOVE_MAX,
    )

    name: ShortText = Field(description="Which evaluation: the spec.name of the ModelEvaluation, such as holdout.")
    metric: ShortText = Field(description="Which metric of the evaluation, such as auc.")
    min: Number | None = Field(default=None, description="The gate fails when the metric is below this.")
    max: Number | None = Field(default=None, description="The gate fails when the metric is above this.")
    versus_incumbent: VersusIncumbent | None = Field(
        default=None,
        description="Compares with the incumbent's evaluation of that name, when both used the same data set digest.",
    )
    max_age: Interval | None = Field(default=None, description="An evaluation older than this is no evidence.")
    evaluators: Evaluators = Field(
        default=(),
        description="Whose evaluations count, by the name that the API server knows them by, such as"
        " system:serviceaccount:promotion:pipeline; those of everybody when left out. Whoever creates an evaluation is its evaluator:"
        " while the admission policy that sees to that is not in place, none counts.",
    )

    def accepts(self, evaluator: str) -> bool:
        """Do this evaluator's evaluations count?"""
        return not self.evaluators or evaluator in self.evaluators


class QualityMetric(StrEnum):
    ACCURACY = "Accuracy"
    PRECISION = "Precision"
    RECALL = "Recall"
    F1 = "F1"
    MCC = "MCC"
    AUC = "AUC"
    RMSE = "RMSE"
    MAE = "MAE"
    ECE = "ECE"


COMPARABLE = (QualityMetric.ACCURACY, QualityMetric.PRECISION, QualityMetric.RECALL)


class QualityVersusIncumbent(ApiModel):
    """How far the candidate's live quality may be below the incumbent's."""

    max_decrease: Share = Field(
        description="How much lower the candidate's metric may be than the incumbent's, as an absolute share."
    )


class QualityGate(ApiModel):
    """Holds a metric of labelled feedback against bounds, and against the incumbent's."""

    cel_rules: ClassVar[Rules] = (
        CelRule(
            rule="has(self.min) || has(self.max) || has(self.versusIncumbent)",
            message="a quality gate without a bound checks nothing: give min, max or versusIncumbent",
            holds=lambda gate: (gate.min, gate.max, gate.versus_incumbent) != (None, None, None),
        ),
        MIN_IS_NOT_ABOVE_MAX,
        CelRule(
            rule="!has(self.versusIncumbent) || self.metric in ['Accuracy', 'Precision', 'Recall']",
            message="only rates can be compared while traffic moves: with versusIncumbent, use Accuracy, Precision or Recall",
            holds=lambda gate: gate.versus_incumbent is None or gate.metric in COMPARABLE,
            field_path=".versusIncumbent",
        ),
    )

    metric: QualityMetric = Field(
        description="Accuracy, Precision, Recall, F1 or MCC of classes; AUC or ECE (expected calibration error) of scores;"
        " RMSE or MAE of numbers."
    )
    positive: ShortText = Field(default="1", description="The label that counts as positive.")
    min: Number | None = Field(default=None, description="The gate fails when the metric is certainly below this.")
    max: Number | None = Field(default=None, description="The gate fails when the metric is certainly above this.")
    versus_incumbent: QualityVersusIncumbent | None = Field(
        default=None, description="Compares with the incumbent's labels of the same intervals."
    )


class FairnessMetric(StrEnum):
    DEMOGRAPHIC_PARITY_DIFFERENCE = "DemographicParityDifference"
    DEMOGRAPHIC_PARITY_RATIO = "DemographicParityRatio"
    EQUALIZED_ODDS_DIFFERENCE = "EqualizedOddsDifference"
    ADVERSE_ACTION_RATIO = "AdverseActionRatio"
    ACCURACY_DISPARITY = "AccuracyDisparity"


class FairnessGate(ApiModel):
    """Holds a figure over the groups of one attribute against bounds."""

    cel_rules: ClassVar[Rules] = (
        CelRule(
            rule="has(self.min) || has(self.max)",
            message="a fairness gate without a bound checks nothing: give min, max or both",
            holds=lambda gate: gate.min is not None or gate.max is not None,
        ),
        MIN_IS_NOT_ABOVE_MAX,
    )

    metric: FairnessMetric = Field(
        description="DemographicParityDifference or DemographicParityRatio of positive predictions,"
        " EqualizedOddsDifference, AccuracyDisparity, or AdverseActionRatio, where a positive prediction is a refusal:"
        " the four-fifths rule is a min of 0.8."
    )
    group: ShortText = Field(description="The attribute by which feedback is grouped, such as sex.")
    min: Share | None = Field(default=None, description="The gate fails when the figure is certainly below this.")
    max: Share | None = Field(default=None, description="The gate fails when the figure is certainly above this.")
    min_group_size: Annotated[int, Field(ge=1, le=1_000_000_000)] = Field(
        default=100, description="While a group has fewer labels than this, the gate is Unknown."
    )


class Gate(ApiModel):
    """Something that has to be true of a version before it may go on."""

    cel_rules: ClassVar[Rules] = (
        CelRule(
            rule=f"{_COUNT_KINDS} == 1",
            message=f"a gate has exactly one kind: {_GIVE_ONE_KIND}",
            message_expression=f'"gate \'" + self.name + "\' does not have exactly one kind: {_GIVE_ONE_KIND}"',
            says=lambda gate: f"gate '{gate.name}' does not have exactly one kind: {_GIVE_ONE_KIND}",
            holds=lambda gate: _kinds_given(gate) == 1,
        ),
        CelRule(
            rule="!has(self.window) || !(has(self.query) || has(self.evaluation) || has(self.job))",
            message="window is for gates that count: leave it out of a query, which has its range in its PromQL, out of an"
            " evaluation, which has maxAge, and out of a job",
            holds=lambda gate: gate.window is None or (gate.query, gate.evaluation, gate.job) == (None, None, None),
            field_path=".window",
        ),
    )

    name: ObjectName = Field(description="Name of the gate, unique in its list; status.gates reports by it.")
    error_rate: ErrorRateGate | None = Field(
        default=None, description="Kind errorRate: the share of failed requests, candidate against incumbent."
    )
    latency: LatencyGate | None = Field(
        default=None, description="Kind latency: the share of slow requests, candidate against incumbent."
    )
    drift: DriftGate | None = Field(
        default=None,
        description="Kind drift: distance of the live features from the training data or from the incumbent's.",
    )
    prediction_drift: PredictionDriftGate | None = Field(
        default=None,
        description="Kind predictionDrift: distance of the live predictions from training or from the incumbent's.",
    )
    data_quality: DataQualityGate | None = Field(
        default=None, description="Kind dataQuality: missing values, values out of range, new categories."
    )
    query: QueryGate | None = Field(default=None, description="Kind query: a PromQL query with a bound.")
    evaluation: EvaluationGate | None = Field(
        default=None, description="Kind evaluation: the newest valid ModelEvaluation."
    )
    quality: QualityGate | None = Field(
        default=None, description="Kind quality: how right the answers are, by the labels that came back for them."
    )
    fairness: FairnessGate | None = Field(
        default=None, description="Kind fairness: outcomes by group, by the labels that came back for their members."
    )
    job: FreeForm | None = Field(
        default=None,
        description="Kind job: the result document of a Job. Not implemented yet: a rollout with such a gate is held.",
    )
    min_samples: Annotated[int, Field(ge=0, le=1_000_000_000)] = Field(
        default=0,
        description="The number of requests, or for quality and fairness of labels, below which the gate is Unknown.",
    )
    warmup: Duration = Field(
        default=timedelta(0), description="How long after the start of the stage nothing is measured."
    )
    window: Interval | None = Field(
        default=None,
        description="Judge in windows of this length rather than from the start of the stage on: what was counted starts anew when"
        " one is over, and its verdict stands until the next one has its own. Each window spends the gate's alpha anew.",
    )
    advisory: bool = Field(default=False, description="True: the gate is reported and never blocks or rolls back.")


GateList = Annotated[
    tuple[Gate, ...], Field(max_length=32, json_schema_extra=as_map("name")), AfterValidator(unique_names)
]


def kind_of(gate: Gate) -> str:
    """The one kind that a gate has, as its snake_case field name."""
    return next(kind for kind in KINDS if getattr(gate, kind) is not None)
