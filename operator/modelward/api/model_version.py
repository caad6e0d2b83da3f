"""ModelVersion: one immutable build of a Model. Written by the training pipeline."""

from datetime import timedelta
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, BaseModel, Field, ValidationError, WithJsonSchema, model_validator

from modelward.api.types import (
    AS_SET,
    NAME_IS_A_DNS_LABEL,
    ApiModel,
    CelRule,
    ChangeRule,
    Day,
    Digest,
    FreeForm,
    Interval,
    LongText,
    Number,
    ObjectMeta,
    ObjectName,
    PointInTime,
    Rules,
    ShortText,
    as_map,
    unique,
    unique_names,
)


class FeatureKind(StrEnum):
    NUMERIC = "Numeric"
    CATEGORICAL = "Categorical"


class Encryption(ApiModel):
    """How the artifact is encrypted where it lies."""

    method: ShortText = Field(description="The method, such as AES-256-GCM or SSE-KMS.")
    key: LongText | None = Field(
        default=None, description="Which key, as the key service names it. Never the key itself."
    )


class Artifact(ApiModel):
    """What training produced."""

    uri: Annotated[LongText, Field(min_length=1)] = Field(
        description="Where the artifact is, such as s3://models/credit-risk/v8."
    )
    digest: Digest = Field(description="SHA-256 of the artifact's content, as sha256: and 64 hex digits.")
    format: ShortText = Field(default="unspecified", description="What kind of file it is, such as sklearn or onnx.")
    encryption: Encryption | None = Field(default=None, description="How it is encrypted where it lies.")


class Autoscaling(ApiModel):
    """Bounds for a HorizontalPodAutoscaler."""

    cel_rules: ClassVar[Rules] = (
        CelRule(
            rule="self.min <= self.max",
            message="autoscaling.min is above autoscaling.max: exchange them",
            holds=lambda scale: scale.min <= scale.max,
        ),
    )

    min: Annotated[int, Field(ge=1, le=1000)] = Field(description="The least number of pods.")
    max: Annotated[int, Field(ge=1, le=1000)] = Field(description="The largest number of pods.")
    target_cpu_percent: Annotated[int, Field(ge=1, le=100)] = Field(
        default=80, description="The mean CPU use, in percent of the request, that pods are added or removed to reach."
    )


class _Container(BaseModel):
    name: Annotated[str, Field(min_length=1, max_length=63)]


class _PodSpec(BaseModel):
    containers: Annotated[tuple[_Container, ...], Field(min_length=1)]


class _Template(BaseModel):
    spec: _PodSpec


def _has_containers(template: FreeForm) -> FreeForm:
    """Refuse a template without a named container; everything else is for Kubernetes to judge."""
    try:
        _Template.model_validate(template)
    except ValidationError:
        raise ValueError("spec.containers: Required value: name at least one container, and give each a name") from None
    return template


# Of an object that keeps unknown fields, CEL's `==` overlooks one that was renamed: an immutable part has to be a map of
# anything, or to name its fields. A map of anything in turn is nothing that a CEL rule can name.
_ANYTHING = {"x-kubernetes-preserve-unknown-fields": True}
_OPEN_MAP: dict[str, Any] = {
    "type": "object",
    "maxProperties": 256,
    "additionalProperties": _ANYTHING,
}
PodTemplate = Annotated[
    FreeForm,
    AfterValidator(_has_containers),
    WithJsonSchema(
        {
            "type": "object",
            "required": ["spec"],
            "properties": {
                "metadata": {**_OPEN_MAP, "description": "Labels and annotations of the pods."},
                "spec": {**_OPEN_MAP, "required": ["containers"], "description": "A PodSpec, as in a Deployment."},
            },
        }
    ),
]


Parameters = Annotated[FreeForm, WithJsonSchema(_OPEN_MAP)]
Identities = Annotated[tuple[ShortText, ...], Field(max_length=32, json_schema_extra=AS_SET), AfterValidator(unique)]


class Run(ApiModel):
    """The training run."""

    cel_rules: ClassVar[Rules] = (
        CelRule(
            rule="has(self.id) || has(self.uri)",
            message="a run is named by id, uri or both: give one of them",
            holds=lambda run: run.id is not None or run.uri is not None,
        ),
    )

    id: ShortText | None = Field(default=None, description="The run, as the tracking server names it.")
    uri: LongText | None = Field(default=None, description="Where the run can be looked at.")
    user: ShortText | None = Field(default=None, description="Who started it; that person may not approve the version.")


class Code(ApiModel):
    """The training code."""

    repo: Annotated[LongText, Field(min_length=1)] = Field(description="Repository of the training code.")
    commit: ShortText = Field(description="The commit that was run.")
    authors: Identities = Field(
        default=(), description="Who wrote the commits since the version before; none of them may approve the version."
    )


class Environment(ApiModel):
    """What the training ran in."""

    image: LongText | None = Field(default=None, description="Image of the container, by digest.")
    lock_digest: Digest | None = Field(default=None, description="Digest of the lock file of the dependencies.")


class Dataset(ApiModel):
    """One data set."""

    name: ShortText = Field(description="Name of the data set.")
    uri: LongText | None = Field(default=None, description="Where it is.")
    version: ShortText | None = Field(default=None, description="Which version of it, as its store counts.")
    digest: Digest | None = Field(default=None, description="Digest of its content; the blast radius is found by it.")
    classification: ShortText | None = Field(
        default=None, description="How confidential it is, such as Internal; a policy may permit only some."
    )


class FeatureSource(ApiModel):
    """A feature, or a group of them, that the model reads."""

    name: ShortText = Field(description="Name of the feature or of the feature view.")
    uri: LongText | None = Field(default=None, description="Where it comes from, such as a feature store.")
    version: ShortText | None = Field(default=None, description="Which version of its definition.")


class ContextSource(ApiModel):
    """What shapes the answers without being trained on: a document, a prompt, a source of knowledge, a set of rules."""

    name: ShortText = Field(description="Name of the source.")
    type: ShortText = Field(default="Document", description="What it is, such as Document, Prompt, Knowledge or Rules.")
    uri: LongText | None = Field(default=None, description="Where it is.")
    digest: Digest | None = Field(default=None, description="Digest of its content.")


class Lineage(ApiModel):
    """What a version was made from."""

    run: Run | None = Field(default=None, description="The training run.")
    code: Code | None = Field(default=None, description="Repository and commit of the training code.")
    parameters: Parameters | None = Field(default=None, description="Parameters of the training.")
    environment: Environment | None = Field(default=None, description="Image and lock file that the training ran in.")
    datasets: Annotated[
        tuple[Dataset, ...], Field(max_length=64, json_schema_extra=as_map("name")), AfterValidator(unique_names)
    ] = Field(default=(), description="The data sets that the version was trained, tuned and tested with.")
    features: Annotated[
        tuple[FeatureSource, ...], Field(max_length=500, json_schema_extra=as_map("name")), AfterValidator(unique_names)
    ] = Field(default=(), description="The features that the model reads.")
    context: Annotated[
        tuple[ContextSource, ...], Field(max_length=64, json_schema_extra=as_map("name")), AfterValidator(unique_names)
    ] = Field(
        default=(),
        description="Documents, prompts, rules and sources of knowledge that shape the answers without training.",
    )


class Column(ApiModel):
    """One input or output."""

    name: ShortText = Field(description="Name of the column.")
    type: ShortText = Field(description="Its type, such as double, string or tensor(float32, [-1, 28, 28]).")
    required: bool = Field(default=True, description="False: it may be left out of a request, or of an answer.")


Columns = Annotated[
    tuple[Column, ...], Field(max_length=500, json_schema_extra=as_map("name")), AfterValidator(unique_names)
]


class VersionSchema(ApiModel):
    """What the model takes and gives."""

    inputs: Columns = Field(default=(), description="What a request carries.")
    outputs: Columns = Field(default=(), description="What an answer carries.")


class ModelCard(ApiModel):
    """What people should know about a version before they use it."""

    uri: Annotated[LongText, Field(min_length=1)] = Field(description="Where the card is.")
    digest: Digest | None = Field(default=None, description="Digest of its content.")


class Foundation(ApiModel):
    """The model that a version was tuned from or calls."""

    name: ShortText = Field(description="Name of the model, as its publisher writes it.")
    digest: Digest | None = Field(default=None, description="Digest of its content; the blast radius is found by it.")
    license: ShortText | None = Field(
        default=None, description="Its licence, as an SPDX identifier; a policy may permit only some."
    )


class VersionServing(ApiModel):
    """The pods that serve a version."""

    cel_rules: ClassVar[Rules] = (
        CelRule(
            rule="!has(self.autoscaling) || self.replicas == 1",
            message="serving.replicas and serving.autoscaling exclude each other: leave replicas out, the autoscaler sets it",
            holds=lambda serving: serving.autoscaling is None or serving.replicas == 1,
            field_path=".replicas",
        ),
    )

    replicas: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=1, description="The number of pods when the version serves users."
    )
    autoscaling: Autoscaling | None = Field(
        default=None, description="Instead of replicas: bounds within which an autoscaler sets the number of pods."
    )
    progress_deadline: Interval = Field(
        default=timedelta(minutes=10), description="When pods are not ready after this, the version has failed."
    )
    template: PodTemplate = Field(
        description="The pods, as a PodTemplateSpec; created once, never restarted by a promotion."
    )


def _ascending(distribution: Any) -> bool:
    return all(lower < upper for lower, upper in pairwise(distribution.edges))


def _kind_fits_edges(distribution: Any) -> bool:
    return bool(distribution.edges) == (distribution.kind is FeatureKind.NUMERIC)


def _counts_fit(kind: FeatureKind, edges: tuple[float, ...], counts: tuple[int, ...] | dict[str, int]) -> bool:
    """A map for Categorical; for Numeric a list with one count more than there are edges."""
    if isinstance(counts, dict):
        return kind is FeatureKind.CATEGORICAL and bool(counts)
    return kind is FeatureKind.NUMERIC and len(counts) == len(edges) + 1


_DISTRIBUTION_RULES = (
    CelRule(
        rule="!has(self.edges) || (self.edges.isSorted() && self.edges.all(edge, self.edges.exists_one(same, same == edge)))",
        message="edges are not in ascending order: sort them and name each once",
        holds=_ascending,
        field_path=".edges",
    ),
    CelRule(
        rule="self.kind == 'Numeric' ? has(self.edges) && size(self.edges) > 0 : !has(self.edges) || size(self.edges) == 0",
        message="kind and edges do not fit: Numeric needs edges, Categorical has none",
        holds=_kind_fits_edges,
    ),
)

Count = Annotated[int, Field(ge=0, le=1_000_000_000_000)]
# As many as CEL can compare with each other in the largest baseline within its budget of cost.
Edges = Annotated[tuple[Number, ...], Field(max_length=64)]
# A list or a map: the API server checks the entries, but CEL cannot see a field of two types, so that how the counts fit
# the edges is checked in Python only.
# The `anyOf` refuses what is neither, and what is empty: a keyword passes over values of another type than its own.
Counts = Annotated[
    tuple[Count, ...] | dict[ShortText, Count],
    WithJsonSchema(
        {
            "x-kubernetes-preserve-unknown-fields": True,
            "items": {"type": "integer", "format": "int64", "minimum": 0, "maximum": 1_000_000_000_000},
            "additionalProperties": {"type": "integer", "format": "int64", "minimum": 0, "maximum": 1_000_000_000_000},
            "anyOf": [{"not": {"maxItems": 0}}, {"not": {"maxProperties": 0}}],
            "maxItems": 65,
            "maxProperties": 512,
        }
    ),
]


class _Distribution(ApiModel):
    """What numeric and categorical distributions share: `edges` and a list, or a map."""

    cel_rules: ClassVar[Rules] = _DISTRIBUTION_RULES

    kind: FeatureKind = Field(
        default=FeatureKind.NUMERIC, description="Numeric (edges and a list of counts) or Categorical (a map)."
    )
    edges: Edges = Field(
        default=(), description="Numeric: upper ends of the bins, ascending; a bin takes lower < value <= upper."
    )
    counts: Counts = Field(
        description="Numeric: a list of counts, one per bin, the last one for what is above the last edge (one count more than edges)."
        " Categorical: a map from category to count.",
    )

    @model_validator(mode="after")
    def _check_counts(self) -> Self:
        if not _counts_fit(self.kind, self.edges, self.counts):
            raise ValueError(
                "counts do not fit: Numeric needs a list with one count more than there are edges, Categorical a map from"
                " category to count"
            )
        return self


class FeatureBaseline(_Distribution):
    """Training distribution of one feature.

    Numeric: `edges` ascending, `counts` a list with len(edges) + 1 entries, bins are (lo, hi] as in Prometheus.
    Categorical: `counts` is a map from category to count.
    """

    name: ShortText = Field(description="Name of the feature, as the model server reports it.")
    missing: Count = Field(default=0, description="The number of rows in which the value was missing.")


class PredictionBaseline(_Distribution):
    """Training distribution of the predictions: numeric (edges and a list) or categorical (a map)."""


def _inline(baseline: Any) -> bool:
    return bool(baseline.features) or baseline.predictions is not None


class Baseline(ApiModel):
    """Training distributions: inline, or in a ConfigMap named with its digest."""

    cel_rules: ClassVar[Rules] = (
        CelRule(
            rule="(has(self.features) && size(self.features) > 0 || has(self.predictions)) != has(self.configMap)",
            message="a baseline is either inline or in a ConfigMap: give features and predictions, or configMap and digest",
            holds=lambda baseline: _inline(baseline) != (baseline.config_map is not None),
        ),
        CelRule(
            rule="has(self.configMap) == has(self.digest)",
            message="configMap and digest belong together: give the digest of the ConfigMap's content beside its name",
            holds=lambda baseline: (baseline.config_map is None) == (baseline.digest is None),
            field_path=".digest",
        ),
    )

    features: Annotated[
        tuple[FeatureBaseline, ...],
        Field(max_length=500, json_schema_extra=as_map("name")),
        AfterValidator(unique_names),
    ] = Field(default=(), description="Training distribution of each feature that is watched for drift.")
    predictions: PredictionBaseline | None = Field(
        default=None, description="Distribution of the predictions on the training data."
    )
    config_map: ObjectName | None = Field(
        default=None,
        description="Name of a ConfigMap in this namespace that holds the baseline, for one too large for this object.",
    )
    digest: Digest | None = Field(default=None, description="Digest of the ConfigMap's content.")


class Deprecation(ApiModel):
    """Says that a version should not be used any more."""

    since: Day = Field(description="The day from which on the version is deprecated, in UTC.")
    sunset: Day | None = Field(default=None, description="The day from which on nobody should rely on it.")
    reason: LongText = Field(default="", description="Why, and what to use instead.")


_REMEDY = "the spec of a ModelVersion is immutable apart from deprecation: create another version instead"


def _stays(attribute: str, field: str) -> ChangeRule:
    # Not `self.?field == oldSelf.?field`: CEL reckons the cost of comparing optional values as unbounded.
    return ChangeRule(
        rule=f"has(self.{field}) == has(oldSelf.{field}) && (!has(self.{field}) || self.{field} == oldSelf.{field})",
        message=f"spec.{field} was changed: {_REMEDY}",
        holds=lambda new, old: getattr(new, attribute) == getattr(old, attribute),
        field_path=f".{field}",
    )


class ModelVersionSpec(ApiModel):
    """One immutable build of a Model."""

    cel_rules: ClassVar[Rules] = (
        _stays("model", "model"),
        _stays("version", "version"),
        _stays("artifact", "artifact"),
        _stays("serving", "serving"),
        _stays("built_by", "builtBy"),
        _stays("lineage", "lineage"),
        _stays("baseline", "baseline"),
        _stays("validators", "validators"),
        _stays("io_schema", "schema"),
        _stays("model_card", "modelCard"),
        _stays("license", "license"),
        _stays("base_model", "baseModel"),
        _stays("valid_until", "validUntil"),
    )

    model: ObjectName = Field(description="Name of the Model, in this namespace; it may be created later.")
    version: ObjectName = Field(description="Name of the version; the object is named model, a hyphen, version.")
    artifact: Artifact | None = Field(default=None, description="What training produced: where it is and its digest.")
    serving: VersionServing | None = Field(
        default=None, description="The pods that serve the version; left out for one served elsewhere."
    )
    built_by: Identities = Field(
        default=(), description="The people who built the version; none of them may approve it."
    )
    validators: Identities = Field(default=(), description="The people who validated the version.")
    io_schema: VersionSchema | None = Field(
        default=None, alias="schema", description="What the version takes and gives, column by column."
    )
    model_card: ModelCard | None = Field(
        default=None, description="What people should know about the version before they use it."
    )
    license: ShortText | None = Field(default=None, description="Licence of the version, as an SPDX identifier.")
    base_model: Foundation | None = Field(
        default=None, description="The model that the version was tuned from, or calls."
    )
    valid_until: PointInTime | None = Field(
        default=None, description="From when on the version should not serve any more."
    )
    lineage: Lineage | None = Field(
        default=None, description="Run, code, data sets and environment the version was made from."
    )
    baseline: Baseline | None = Field(
        default=None, description="Training distributions, which drift gates compare live traffic with."
    )
    deprecation: Deprecation | None = Field(
        default=None, description="Says that the version should not be used any more; the one field that may change."
    )


class ModelVersion(ApiModel):
    """One immutable build of a Model: artifact, pods, lineage and baseline."""

    cel_rules: ClassVar[Rules] = (
        CelRule(
            rule="self.metadata.name == self.spec.model + '-' + self.spec.version",
            message="metadata.name is not spec.model, a hyphen and spec.version: rename the object or correct the two fields",
            message_expression=(
                "\"metadata.name is '\" + self.metadata.name + \"' but spec says '\" + self.spec.model + '-' + self.spec.version"
                ' + "\': rename the object or correct spec.model and spec.version"'
            ),
            says=lambda version: (
                f"metadata.name is '{version.metadata.name}' but spec says '{version.spec.model}-{version.spec.version}':"
                " rename the object or correct spec.model and spec.version"
            ),
            holds=lambda version: version.metadata.name == f"{version.spec.model}-{version.spec.version}",
        ),
        NAME_IS_A_DNS_LABEL,
    )

    metadata: ObjectMeta
    spec: ModelVersionSpec = Field(description="The build. Immutable apart from deprecation.")
