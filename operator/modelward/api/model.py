"""Model: what a model is, who owns it, and which version should serve. Written by the owning team, in Git."""

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field, WithJsonSchema

from modelward.api.gates import Gate
from modelward.api.lifecycle_policy import RiskTier
from modelward.api.types import (
    AS_SET,
    NAME_IS_A_DNS_LABEL,
    ApiModel,
    ChangeRule,
    FreeForm,
    LongText,
    ObjectMeta,
    ObjectName,
    Rules,
    ShortText,
    as_map,
    unique,
    unique_names,
)

Port = Annotated[int, Field(ge=1, le=65535)]
Hostname = Annotated[
    str,
    Field(
        pattern=r"^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
        min_length=1,
        max_length=253,
    ),
]


class GateStage(StrEnum):
    VALIDATION = "Validation"
    SHADOW = "Shadow"
    CANARY = "Canary"


class Owner(ApiModel):
    """Who answers for the model."""

    team: ShortText = Field(description="The team that owns the model.")
    contact: ShortText | None = Field(default=None, description="How to reach the team, such as a mail address.")


class ProductionIntent(ApiModel):
    """Which version should serve."""

    version: ObjectName | None = Field(
        default=None,
        description="The version that should serve: changing this line starts its rollout, git revert is the rollback.",
    )
    retry: Annotated[int, Field(ge=0, le=1_000_000)] = Field(
        default=0,
        description="A counter: a higher number than the one a version failed under lets that version start again.",
    )


class MetricsSource(ApiModel):
    """A Prometheus that the platform configured for the operator."""

    prometheus: ObjectName = Field(description="Name of the Prometheus, as in the operator's values.")


def _pods_or_named(source: str | MetricsSource) -> str | MetricsSource:
    if isinstance(source, str) and source != "Pods":
        raise ValueError(
            f"{source!r} is no source of metrics: write Pods, or prometheus: and the name of a configured one"
        )
    return source


# A word or an object. A keyword of JSON Schema passes over values of another type than its own: `pattern` looks at the
# word, `required` and `properties` at the object, and `not maxProperties` refuses whatever is no object.
Source = Annotated[
    str | MetricsSource,
    AfterValidator(_pods_or_named),
    WithJsonSchema(
        {
            "x-kubernetes-preserve-unknown-fields": True,
            "anyOf": [{"enum": ["Pods"]}, {"not": {"maxProperties": 0}}],
            "pattern": "^Pods$",
            "required": ["prometheus"],
            "properties": {
                "prometheus": {
                    "type": "string",
                    "description": "Name of a Prometheus, as in the operator's values.",
                    "pattern": r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
                    "maxLength": 63,
                }
            },
            "maxProperties": 1,
        }
    ),
]


class MetricsEndpoint(ApiModel):
    """Where the metrics of a version's pods come from."""

    port: Port = Field(default=9090, description="Port of the pods that answers with metrics.")
    path: Annotated[str, Field(pattern=r"^/", max_length=256)] = Field(
        default="/metrics", description="Path on that port, beginning with a slash."
    )
    preset: ShortText = Field(default="modelward", description="Which names the model server gives to its metrics.")
    source: Source = Field(
        default="Pods",
        description="Pods: the operator reads the pods itself. Or an object with the field prometheus: the name of a Prometheus that the"
        " platform configured for the operator.",
    )


class GatewayReference(ApiModel):
    """A Gateway that the route is attached to."""

    name: ObjectName = Field(description="Name of the Gateway.")
    namespace: ObjectName | None = Field(default=None, description="Its namespace; the Model's own when left out.")
    section_name: ShortText | None = Field(
        default=None, description="One listener of the Gateway; all of them when left out."
    )


class Route(ApiModel):
    """The requests that are the model's."""

    parent_refs: Annotated[tuple[GatewayReference, ...], Field(min_length=1, max_length=32)] = Field(
        description="The Gateways that the model is reached through."
    )
    hostnames: Annotated[
        tuple[Hostname, ...], Field(max_length=16, json_schema_extra=AS_SET), AfterValidator(unique)
    ] = Field(
        default=(),
        description="Host names of the requests, such as credit.example.com; all that the Gateway takes when left out.",
    )
    path_prefix: Annotated[str, Field(pattern=r"^/", max_length=512)] = Field(
        default="/", description="Path that the requests begin with."
    )


class ModelServing(ApiModel):
    """How users reach the model, and how it is measured."""

    port: Port = Field(default=8080, description="Port of the pods that answers requests.")
    metrics: MetricsEndpoint = Field(default=MetricsEndpoint(), description="Where the metrics of the pods come from.")
    route: Route | None = Field(
        default=None,
        description="A route of Gateway API, which can split and mirror traffic. When left out, a Service is switched, all or nothing.",
    )


class ModelGate(Gate):
    """A gate that the team adds to the policy's, or a policy gate of the same name made stricter."""

    stages: Annotated[
        tuple[GateStage, ...], Field(min_length=1, max_length=3, json_schema_extra=AS_SET), AfterValidator(unique)
    ] = Field(default=(GateStage.CANARY,), description="The stages in which the gate is judged.")


class ModelSpec(ApiModel):
    """What a model is, who owns it, and which version should serve."""

    cel_rules: ClassVar[Rules] = (
        ChangeRule(
            rule="!has(oldSelf.modelID) || (has(self.modelID) && self.modelID == oldSelf.modelID)",
            message="modelID is immutable once it is set: restore it; another model is another Model object",
            message_expression=(
                '"modelID is immutable once it is set: restore \'" + oldSelf.modelID + "\'; another model is another Model object"'
            ),
            says=lambda new, old: (
                f"modelID is immutable once it is set: restore '{old.model_id}'; another model is another Model object"
            ),
            holds=lambda new, old: old.model_id is None or new.model_id == old.model_id,
            field_path=".modelID",
        ),
    )

    model_id: ShortText | None = Field(
        default=None,
        alias="modelID",
        description="The number of the model in the organisation's register, such as MDL-0042. Immutable.",
    )
    type: ShortText = Field(
        default="Classification", description="What kind of model it is, such as Classification or Regression."
    )
    purpose: LongText = Field(default="", description="What the model is for, in a sentence.")
    owner: Owner | None = Field(default=None, description="The team that answers for the model.")
    business_owner: FreeForm | None = Field(
        default=None, description="The part of the business that the model works for."
    )
    risk_tier: RiskTier = Field(
        default=RiskTier.LOW,
        description="The risk tier that the team claims; the policy for the tier says what a rollout needs.",
    )
    production: ProductionIntent = Field(default=ProductionIntent(), description="Which version should serve.")
    challengers: Annotated[
        tuple[ObjectName, ...], Field(max_length=10, json_schema_extra=AS_SET), AfterValidator(unique)
    ] = Field(default=(), description="Versions that get mirrored traffic only; no user ever sees an answer of theirs.")
    serving: ModelServing | None = Field(
        default=None,
        description="How users reach the model. Left out for a model that is served elsewhere: then it is inventory.",
    )
    gates: Annotated[
        tuple[ModelGate, ...], Field(max_length=32, json_schema_extra=as_map("name")), AfterValidator(unique_names)
    ] = Field(
        default=(), description="Gates on top of the policy's, or stricter ones of the same name; never looser ones."
    )
    suspend: bool = Field(default=False, description="True freezes the automation. It never stops traffic.")


class Model(ApiModel):
    """A machine-learning model: what it is, who owns it, and which version should serve."""

    cel_rules: ClassVar[Rules] = (NAME_IS_A_DNS_LABEL,)

    metadata: ObjectMeta
    spec: ModelSpec = Field(
        description="What the model is and which version should serve; the operator never writes it."
    )
