"""ModelVersion: one immutable build of a Model. Written by the training pipeline."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from modelward.api.types import ApiModel, Digest, Duration, FreeForm, LongText, ObjectMeta, ObjectName, ShortText


class FeatureKind(StrEnum):
    NUMERIC = "Numeric"
    CATEGORICAL = "Categorical"


class Artifact(ApiModel):
    uri: LongText
    digest: Digest
    format: ShortText = "unspecified"


class Autoscaling(ApiModel):
    min: Annotated[int, Field(ge=1, le=1000)]
    max: Annotated[int, Field(ge=1, le=1000)]
    target_cpu_percent: Annotated[int, Field(ge=1, le=100)] = 80


class VersionServing(ApiModel):
    replicas: Annotated[int, Field(ge=1, le=1000)] = 1
    autoscaling: Autoscaling | None = None
    progress_deadline: Duration = Field(default="10m", validate_default=True)  # type: ignore[assignment]
    template: FreeForm


class FeatureBaseline(ApiModel):
    """Training distribution of one feature.

    Numeric: `edges` ascending, `counts` a list with len(edges) + 1 entries, bins are (lo, hi] as in Prometheus.
    Categorical: `counts` is a map from category to count.
    """

    name: ShortText
    kind: FeatureKind = FeatureKind.NUMERIC
    edges: tuple[float, ...] = ()
    counts: tuple[int, ...] | dict[str, int] = ()
    missing: Annotated[int, Field(ge=0)] = 0


class PredictionBaseline(ApiModel):
    """Training distribution of the predictions: numeric (edges and a list) or categorical (a map)."""

    kind: FeatureKind = FeatureKind.NUMERIC
    edges: tuple[float, ...] = ()
    counts: tuple[int, ...] | dict[str, int] = ()


class Baseline(ApiModel):
    features: tuple[FeatureBaseline, ...] = ()
    predictions: PredictionBaseline | None = None
    config_map: ObjectName | None = None
    digest: Digest | None = None


class Deprecation(ApiModel):
    since: ShortText
    sunset: ShortText | None = None
    reason: LongText = ""


class ModelVersionSpec(ApiModel):
    model: ObjectName
    version: ObjectName
    artifact: Artifact | None = None
    serving: VersionServing | None = None
    built_by: tuple[ShortText, ...] = ()
    lineage: FreeForm | None = None
    baseline: Baseline | None = None
    deprecation: Deprecation | None = None


class ModelVersion(ApiModel):
    metadata: ObjectMeta
    spec: ModelVersionSpec
