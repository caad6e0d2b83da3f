"""ModelEvaluation: one dated result for one version digest. Create-only."""

from datetime import datetime

from modelward.api.types import ApiModel, Digest, ObjectMeta, ObjectName, ShortText


class EvaluationMetric(ApiModel):
    name: ShortText
    value: float
    low: float | None = None
    high: float | None = None


class ModelEvaluationSpec(ApiModel):
    model: ObjectName
    version: ObjectName
    version_digest: Digest
    name: ShortText
    evaluator: ShortText
    dataset: Digest | None = None
    metrics: tuple[EvaluationMetric, ...]
    at: datetime
    valid_until: datetime | None = None


class ModelEvaluation(ApiModel):
    metadata: ObjectMeta
    spec: ModelEvaluationSpec
