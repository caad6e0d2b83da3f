"""Model: what a model is, who owns it, and which version should serve. Written by the owning team, in Git."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from modelward.api.gates import Gate
from modelward.api.lifecycle_policy import RiskTier
from modelward.api.types import ApiModel, FreeForm, LongText, ObjectMeta, ObjectName, ShortText

Port = Annotated[int, Field(ge=1, le=65535)]


class GateStage(StrEnum):
    VALIDATION = "Validation"
    SHADOW = "Shadow"
    CANARY = "Canary"


class Owner(ApiModel):
    team: ShortText
    contact: ShortText | None = None


class ProductionIntent(ApiModel):
    version: ObjectName | None = None
    retry: Annotated[int, Field(ge=0, le=1_000_000)] = 0


class MetricsSource(ApiModel):
    prometheus: ObjectName


class MetricsEndpoint(ApiModel):
    port: Port = 9090
    path: Annotated[str, Field(pattern=r"^/", max_length=256)] = "/metrics"
    preset: ShortText = "modelward"
    source: str | MetricsSource = "Pods"


class GatewayReference(ApiModel):
    name: ObjectName
    namespace: ObjectName | None = None
    section_name: ShortText | None = None


class Route(ApiModel):
    parent_refs: tuple[GatewayReference, ...]
    hostnames: tuple[ShortText, ...] = ()
    path_prefix: Annotated[str, Field(pattern=r"^/", max_length=512)] = "/"


class ModelServing(ApiModel):
    port: Port = 8080
    metrics: MetricsEndpoint = MetricsEndpoint()
    route: Route | None = None


class ModelGate(Gate):
    """A gate that the team adds to the policy's, or a policy gate of the same name made stricter."""

    stages: tuple[GateStage, ...] = (GateStage.CANARY,)


class ModelSpec(ApiModel):
    model_id: ShortText | None = Field(default=None, alias="modelID")
    type: ShortText = "Classification"
    purpose: LongText = ""
    owner: Owner | None = None
    business_owner: FreeForm | None = None
    risk_tier: RiskTier = RiskTier.LOW
    production: ProductionIntent = ProductionIntent()
    challengers: tuple[ObjectName, ...] = ()
    serving: ModelServing | None = None
    gates: tuple[ModelGate, ...] = ()
    suspend: bool = False


class Model(ApiModel):
    metadata: ObjectMeta
    spec: ModelSpec
