"""Model: what a model is, who owns it, and which version should serve. Written by the owning team, in Git."""

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field, WithJsonSchema

from modelward.api.demands import RiskTier, Word
from modelward.api.gates import Gate
from modelward.api.types import (
    AS_SET,
    NAME_IS_A_DNS_LABEL,
    ApiModel,
    CelRule,
    ChangeRule,
    Day,
    Digest,
    Interval,
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
    """A team that answers for the model."""

    team: ShortText = Field(description="The team.")
    contact: ShortText | None = Field(default=None, description="How to reach the team, such as a mail address.")
    accountable: ShortText | None = Field(default=None, description="The person in that team who is accountable.")


class Stakeholder(ApiModel):
    """Somebody with a say in the model, or an interest in it."""

    name: ShortText = Field(description="A person, a team or a committee.")
    role: ShortText | None = Field(default=None, description="What they have to do with it, such as Compliance.")
    contact: ShortText | None = Field(default=None, description="How to reach them.")


class Provider(ApiModel):
    """Who made a model that was bought or is called over the network."""

    name: ShortText = Field(description="The vendor.")
    model: ShortText | None = Field(default=None, description="The vendor's name of the model.")
    version: ShortText | None = Field(default=None, description="The vendor's version of it.")


class RiskAssessment(ApiModel):
    """What could go wrong, in words that the policy's minimumTier knows."""

    impact: Word | None = Field(
        default=None, description="How bad a wrong answer is, such as Low, Medium, High or Severe."
    )
    autonomy: Word | None = Field(
        default=None, description="How much happens without a person, such as Advisory, Supervised or Full."
    )
    reversibility: Word | None = Field(
        default=None, description="How well a wrong answer can be undone, such as Easy, Costly or Irreversible."
    )
    regulatory_exposure: Word | None = Field(
        default=None, description="How much of what it does is regulated, such as None, Indirect or Direct."
    )
    rationale: LongText = Field(default="", description="Why these answers, for whoever reviews them.")


class Document(ApiModel):
    """A document about the model; a policy may ask for some types."""

    type: Word = Field(description="What it is, such as DevelopmentPlan or ValidationReport.")
    uri: Annotated[LongText, Field(min_length=1)] = Field(description="Where it is.")
    digest: Digest | None = Field(
        default=None, description="Digest of its content; without it the document fulfils no policy."
    )


class HumanOversight(ApiModel):
    """How people stay in charge."""

    mode: ShortText = Field(description="Who decides, such as HumanInTheLoop, HumanOnTheLoop or HumanInCommand.")
    description: LongText = Field(default="", description="Who oversees what, and how they can step in.")
    contact: ShortText | None = Field(default=None, description="Who can step in at any time.")


class Consumer(ApiModel):
    """A system or a team that relies on the model's answers."""

    name: ShortText = Field(description="The system.")
    team: ShortText | None = Field(default=None, description="The team that runs it.")
    contact: ShortText | None = Field(default=None, description="How to reach them when the model changes.")
    purpose: LongText = Field(default="", description="What they use the answers for.")


class Dependency(ApiModel):
    """Something whose answers the model relies on: another Model, or something outside."""

    cel_rules: ClassVar[Rules] = (
        CelRule(
            rule="has(self.model) != has(self.external)",
            message="an entry of dependsOn is either a Model or external: give exactly one of model and external",
            holds=lambda dependency: (dependency.model is None) != (dependency.external is None),
        ),
        CelRule(
            rule="!has(self.__namespace__) || has(self.model)",
            message="namespace belongs to model: leave it out beside external",
            holds=lambda dependency: dependency.namespace is None or dependency.model is not None,
            field_path=".namespace",
        ),
    )

    model: ObjectName | None = Field(default=None, description="Name of a Model of this cluster.")
    namespace: ObjectName | None = Field(default=None, description="Its namespace; this one when left out.")
    external: ShortText | None = Field(
        default=None, description="Something outside of this cluster, such as a vendor's API or a table."
    )
    purpose: LongText = Field(default="", description="What it is needed for.")


class Workload(ApiModel):
    """Something in this namespace that serves the model and that the operator did not make."""

    kind: Word = Field(description="Its kind, such as Deployment, StatefulSet, DaemonSet, Pod or InferenceService.")
    name: ShortText = Field(description="Its name.")


class Review(ApiModel):
    """How often the model is reviewed."""

    interval: Interval = Field(
        description="The longest time between two reviews. The policy's counts if it is shorter."
    )


class MonitoringCheck(ApiModel):
    """Something that is watched outside of this operator."""

    name: ShortText = Field(description="What is watched.")
    uri: LongText | None = Field(default=None, description="Where its state can be seen.")


class Monitoring(ApiModel):
    """How the model is watched, besides the gates of the policy."""

    dashboard_url: Annotated[str, Field(pattern=r"^https?://", max_length=2048)] | None = Field(
        default=None,
        alias="dashboardURL",
        description="The dashboard that people look at. The operator never calls it.",
    )
    checks: Annotated[
        tuple[MonitoringCheck, ...],
        Field(max_length=32, json_schema_extra=as_map("name")),
        AfterValidator(unique_names),
    ] = Field(default=(), description="What is watched elsewhere; for a model that is not served here, its monitoring.")


class Retraining(ApiModel):
    """When and how the model is trained anew."""

    cadence: ShortText | None = Field(default=None, description="How often, such as monthly.")
    triggers: Annotated[
        tuple[ShortText, ...], Field(max_length=16, json_schema_extra=AS_SET), AfterValidator(unique)
    ] = Field(default=(), description="What else calls for it, such as drift or a new product.")
    pipeline: LongText | None = Field(default=None, description="The pipeline that does it.")


class Retirement(ApiModel):
    """When and how the model goes away."""

    planned: Day | None = Field(default=None, description="The day on which it is to be retired.")
    criteria: LongText = Field(default="", description="What would make it be retired earlier.")
    successor: ShortText | None = Field(default=None, description="What takes its place.")


class Retention(ApiModel):
    """How long its evaluations, approvals and audit records are kept after it is gone."""

    days: Annotated[int, Field(ge=1, le=36_525)] = Field(description="The number of days.")
    basis: LongText = Field(default="", description="What asks for it, such as a law or a contract.")


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
    description: LongText = Field(default="", description="What the model is and how it works.")
    purpose: LongText = Field(default="", description="What the model is for, in a sentence.")
    business_context: LongText = Field(
        default="", description="The decision or process that it serves, and what it is worth there."
    )
    type: ShortText = Field(
        default="Classification",
        description="What kind of model it is. Any word; those that reports group by: Classification, Regression, Ranking,"
        " Recommendation, Forecasting, Clustering, AnomalyDetection, Vision, Speech, LLM, Prompt, Agent, Rules, Optimization,"
        " KnowledgeGraph, Vendor.",
    )
    family: ShortText | None = Field(
        default=None, description="The models that it belongs to, such as one for each country of the same design."
    )
    provider: Provider | None = Field(
        default=None, description="Who made it, if it was bought or is called over the network."
    )
    owner: Owner | None = Field(default=None, description="The team that builds the model and answers for it.")
    business_owner: Owner | None = Field(default=None, description="The part of the business that the model works for.")
    stakeholders: Annotated[
        tuple[Stakeholder, ...], Field(max_length=32, json_schema_extra=as_map("name")), AfterValidator(unique_names)
    ] = Field(default=(), description="Who else has a say in it, or an interest.")
    risk_assessment: RiskAssessment | None = Field(
        default=None,
        description="What could go wrong; the policy's minimumTier computes from it the least tier allowed.",
    )
    regulations: Annotated[
        tuple[ShortText, ...], Field(max_length=32, json_schema_extra=AS_SET), AfterValidator(unique)
    ] = Field(default=(), description="Laws, rules and standards that it falls under, in your own words.")
    documents: Annotated[tuple[Document, ...], Field(max_length=64)] = Field(
        default=(), description="Documents about it, with their digests."
    )
    use_restrictions: Annotated[
        tuple[ShortText, ...], Field(max_length=32, json_schema_extra=AS_SET), AfterValidator(unique)
    ] = Field(default=(), description="What it must not be used for.")
    limitations: Annotated[
        tuple[ShortText, ...], Field(max_length=32, json_schema_extra=AS_SET), AfterValidator(unique)
    ] = Field(default=(), description="Where it is known to be weak.")
    human_oversight: HumanOversight | None = Field(default=None, description="How people stay in charge of it.")
    consumers: Annotated[
        tuple[Consumer, ...], Field(max_length=64, json_schema_extra=as_map("name")), AfterValidator(unique_names)
    ] = Field(default=(), description="Who relies on its answers.")
    depends_on: Annotated[tuple[Dependency, ...], Field(max_length=64)] = Field(
        default=(), description="Whose answers it relies on: other Models, and what is outside of the cluster."
    )
    workloads: Annotated[tuple[Workload, ...], Field(max_length=64)] = Field(
        default=(),
        description="What serves the model in this namespace without the operator; it counts as registered, and is not touched.",
    )
    review: Review | None = Field(default=None, description="How often it is reviewed.")
    monitoring: Monitoring | None = Field(default=None, description="How it is watched, besides the policy's gates.")
    retraining: Retraining | None = Field(default=None, description="When and how it is trained anew.")
    retirement: Retirement | None = Field(default=None, description="When and how it goes away.")
    retention: Retention | None = Field(default=None, description="How long its records are kept after it is gone.")
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
    """A model, learned or not: what it is, who owns it, and which version should serve."""

    cel_rules: ClassVar[Rules] = (NAME_IS_A_DNS_LABEL,)

    metadata: ObjectMeta
    spec: ModelSpec = Field(
        description="What the model is and which version should serve; the operator never writes it."
    )
