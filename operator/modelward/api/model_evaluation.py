"""ModelEvaluation: one dated result for one version digest. Create-only."""

from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field

from modelward.api.types import (
    ApiModel,
    CelRule,
    ChangeRule,
    Digest,
    Number,
    ObjectMeta,
    ObjectName,
    PointInTime,
    Rules,
    ShortText,
    as_map,
    unique_names,
)


def _interval_holds_value(metric: Any) -> bool:
    return (metric.low is None or metric.low <= metric.value) and (metric.high is None or metric.value <= metric.high)


class EvaluationMetric(ApiModel):
    """One measured figure."""

    cel_rules: ClassVar[Rules] = (
        CelRule(
            rule="(!has(self.low) || self.low <= self.value) && (!has(self.high) || self.value <= self.high)",
            message="low and high are the ends of the interval around value: write low <= value <= high",
            holds=_interval_holds_value,
        ),
    )

    name: ShortText = Field(description="Name of the metric, such as auc; evaluation gates refer to it.")
    value: Number = Field(description="The measured figure.")
    low: Number | None = Field(default=None, description="Lower end of its confidence interval.")
    high: Number | None = Field(default=None, description="Upper end of its confidence interval.")


Metrics = Annotated[
    tuple[EvaluationMetric, ...],
    Field(min_length=1, max_length=128, json_schema_extra=as_map("name")),
    AfterValidator(unique_names),
]


class EarlierEnvironment(ApiModel):
    """Where the same build has served before, and up to which audit record that was looked at."""

    name: ShortText = Field(description="What the environment is called, such as test.")
    namespace: ObjectName = Field(description="The namespace of the Model there.")
    version_digest: Digest = Field(
        description="Digest of the version's spec there; another one where pods are sized otherwise."
    )
    record: Annotated[int, Field(ge=1)] = Field(description="Number of the newest audit record that was looked at.")
    record_hash: Digest = Field(description="Its hash, which stands for all records before it.")


class ModelEvaluationSpec(ApiModel):
    """One dated result for one version digest."""

    cel_rules: ClassVar[Rules] = (
        ChangeRule(
            rule="self == oldSelf",
            message="the spec of a ModelEvaluation is immutable: create another ModelEvaluation",
            holds=lambda new, old: new == old,
        ),
        CelRule(
            rule="!has(self.validUntil) || self.validUntil > self.at",
            message="validUntil is not after at: write a later time",
            holds=lambda spec: spec.valid_until is None or spec.valid_until > spec.at,
            field_path=".validUntil",
        ),
    )

    model: ObjectName = Field(description="Name of the Model, in this namespace.")
    version: ObjectName = Field(description="The version that was evaluated.")
    version_digest: Digest = Field(description="Digest of the version's spec, from the status of the ModelVersion.")
    name: ShortText = Field(description="Which evaluation this is, such as holdout; evaluation gates refer to it.")
    evaluator: ShortText = Field(description="Who evaluated: a pipeline, a service account or a person.")
    dataset: Digest | None = Field(
        default=None, description="Digest of the data set; two versions compare only on the same one."
    )
    metrics: Metrics = Field(description="What was measured.")
    at: PointInTime = Field(description="When it was measured.")
    valid_until: PointInTime | None = Field(default=None, description="From when on it is no evidence any more.")
    environment: EarlierEnvironment | None = Field(
        default=None,
        description="For figures of an earlier environment, as `modelward evidence` writes them: where they are from.",
    )


class ModelEvaluation(ApiModel):
    """One dated result of evaluating one version of a Model; gates of kind evaluation read it."""

    metadata: ObjectMeta
    spec: ModelEvaluationSpec = Field(description="What was evaluated, on what, with which result. Immutable.")
