"""LifecyclePolicy: what each risk tier demands of a rollout. Written by the risk or platform function."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from modelward.api.gates import Gate
from modelward.api.types import ApiModel, Duration, FreeForm, ObjectMeta, ShortText


class RiskTier(StrEnum):
    LOW = "Low"
    MEDIUM = "Medium"
    HIGH = "High"
    CRITICAL = "Critical"


class Requirement(StrEnum):
    NOT_FAILED = "NotFailed"
    PASSED = "Passed"


class UnknownAction(StrEnum):
    PAUSE = "Pause"
    ROLLBACK = "Rollback"


class FirstVersionRequirement(StrEnum):
    APPROVAL = "Approval"
    WATCH = "Watch"


class LabelSelector(ApiModel):
    match_labels: dict[str, str] = {}


class AppliesTo(ApiModel):
    tiers: tuple[RiskTier, ...] = ()
    namespace_selector: LabelSelector = LabelSelector()
    priority: int = 0


class ApprovalDemand(ApiModel):
    role: ShortText
    before_weight: Annotated[int, Field(ge=1, le=100)] | None = None


class ValidationStage(ApiModel):
    gates: tuple[Gate, ...] = ()
    approvals: tuple[ApprovalDemand, ...] = ()


class ShadowStage(ApiModel):
    mirror_percent: Annotated[int, Field(ge=1, le=100)] = 100
    min_duration: Duration
    interval: Duration = Field(default="60s", validate_default=True)  # type: ignore[assignment]
    gates: tuple[Gate, ...] = ()
    approvals: tuple[ApprovalDemand, ...] = ()


class CanaryStep(ApiModel):
    weight: Annotated[int, Field(ge=1, le=100)]
    min_duration: Duration
    require: Requirement | None = None  # None: NotFailed, and Passed for the last step


class CanaryStage(ApiModel):
    steps: tuple[CanaryStep, ...]
    interval: Duration = Field(default="60s", validate_default=True)  # type: ignore[assignment]
    gates: tuple[Gate, ...] = ()
    alpha: Annotated[float, Field(gt=0, le=0.2)] = 0.05
    approvals: tuple[ApprovalDemand, ...] = ()


class Watch(ApiModel):
    duration: Duration


class StandbyPolicy(ApiModel):
    keep: Annotated[int, Field(ge=0, le=10)] = 1
    replicas: int | str = "Full"
    warm_for: Duration = Field(default="72h", validate_default=True)  # type: ignore[assignment]


class ProductionStage(ApiModel):
    watch: Watch | None = None
    monitoring: FreeForm | None = None
    standby: StandbyPolicy = StandbyPolicy()


class FirstVersion(ApiModel):
    require: FirstVersionRequirement = FirstVersionRequirement.WATCH


class Stages(ApiModel):
    validation: ValidationStage = ValidationStage()
    shadow: ShadowStage | None = None
    canary: CanaryStage | None = None
    production: ProductionStage = ProductionStage()
    first_version: FirstVersion = FirstVersion()


class OnUnknown(ApiModel):
    deadline: Duration = Field(default="2h", validate_default=True)  # type: ignore[assignment]
    then: UnknownAction = UnknownAction.PAUSE


class RollbackPolicy(ApiModel):
    automatic: bool = True


class LifecyclePolicySpec(ApiModel):
    applies_to: AppliesTo = AppliesTo()
    minimum_tier: FreeForm | None = None
    requires: FreeForm | None = None
    stages: Stages = Stages()
    on_unknown: OnUnknown = OnUnknown()
    rollback: RollbackPolicy = RollbackPolicy()


class LifecyclePolicy(ApiModel):
    metadata: ObjectMeta
    spec: LifecyclePolicySpec
