"""LifecyclePolicy: what each risk tier demands of a rollout. Written by the risk or platform function."""

from collections.abc import Iterable
from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field

from modelward.api.demands import (
    DataRules,
    EvaluationRules,
    IdentityMap,
    LicenseRules,
    MinimumTier,
    Requires,
    RetentionRules,
    ReviewRules,
    RiskTier,
)
from modelward.api.gates import Gate
from modelward.api.stages import Stages
from modelward.api.types import AS_SET, ApiModel, Duration, LabelValue, ObjectMeta, ShortText, unique


class UnknownAction(StrEnum):
    PAUSE = "Pause"
    ROLLBACK = "Rollback"


class LabelSelector(ApiModel):
    """Selects objects by their labels."""

    match_labels: Annotated[dict[ShortText, LabelValue], Field(max_length=32)] = Field(
        default={}, description="Labels that an object must all have; an empty map selects every object."
    )


class AppliesTo(ApiModel):
    """The Models that a policy is for."""

    tiers: Annotated[tuple[RiskTier, ...], Field(max_length=4, json_schema_extra=AS_SET), AfterValidator(unique)] = (
        Field(default=(), description="The risk tiers that the policy is for; with none it applies to no Model.")
    )
    namespace_selector: LabelSelector = Field(
        default=LabelSelector(), description="The namespaces that the policy is for; all of them when left out."
    )
    priority: Annotated[int, Field(ge=-1_000_000, le=1_000_000)] = Field(
        default=0, description="Where several policies apply, the one with the highest priority wins."
    )


class OnUnknown(ApiModel):
    """What to do when evidence stays away."""

    deadline: Duration = Field(
        default=timedelta(hours=2),
        description="How long, counted from the first Unknown after a minimum duration, the rollout waits.",
    )
    then: UnknownAction = Field(
        default=UnknownAction.PAUSE,
        description="After the deadline: Pause (hold with an alert, until evidence decides) or Rollback.",
    )


class RollbackPolicy(ApiModel):
    """What a failed gate does."""

    automatic: bool = Field(
        default=True, description="True: a failed gate rolls back. False: it holds, and a person decides."
    )


class LifecyclePolicySpec(ApiModel):
    """What the Models of a risk tier have to go through."""

    applies_to: AppliesTo = Field(default=AppliesTo(), description="The Models that the policy is for.")
    minimum_tier: MinimumTier | None = Field(
        default=None,
        description="The least tier that a Model may claim, by the answers of its spec.riskAssessment; any tier when left out.",
    )
    requires: Requires = Field(
        default=Requires(), description="What the register has to hold before a version reaches production."
    )
    data: DataRules = Field(default=DataRules(), description="Which data a version may be made from.")
    licenses: LicenseRules = Field(
        default=LicenseRules(), description="Under which licences a model may be that a version builds on."
    )
    review: ReviewRules | None = Field(
        default=None, description="How often a Model is reviewed; when left out, as often as the Model itself says."
    )
    evaluation: EvaluationRules | None = Field(
        default=None, description="How old the evaluations of what serves may become; not looked at when left out."
    )
    retention: RetentionRules | None = Field(
        default=None, description="How long records have to be kept; when left out, the policy asks for nothing."
    )
    identity_map: IdentityMap = Field(
        default=IdentityMap(),
        description="Who is who: the people behind user names, mail addresses and commit authors. Without it nobody can be told from"
        " the builders of a version, and no approval counts.",
    )
    stages: Stages = Field(default=Stages(), description="The stages of a rollout, their gates and approvals.")
    on_unknown: OnUnknown = Field(default=OnUnknown(), description="What to do when evidence stays away.")
    rollback: RollbackPolicy = Field(default=RollbackPolicy(), description="What a failed gate does.")


class LifecyclePolicy(ApiModel):
    """What each risk tier demands of a rollout: stages, gates and approvals."""

    metadata: ObjectMeta
    spec: LifecyclePolicySpec = Field(description="Where the policy applies and what it demands.")


def unsupported(policy: LifecyclePolicySpec, model_gates: Iterable[Gate] = ()) -> tuple[str, ...]:
    """The paths set in a policy, and in a Model's own gates, that this release cannot evaluate.

    They are never ignored: a rollout under them is held, and names them.
    """
    stages = policy.stages
    return (
        *_unsupported_gates("spec.stages.validation.gates", stages.validation.gates),
        *_unsupported_gates("spec.stages.shadow.gates", stages.shadow.gates if stages.shadow else ()),
        *_unsupported_gates("spec.stages.canary.gates", stages.canary.gates if stages.canary else ()),
        *_unsupported_gates("spec.stages.production.monitoring.gates", _monitored(stages)),
        *_unsupported_gates("spec.gates", model_gates),
    )


def _monitored(stages: Stages) -> tuple[Gate, ...]:
    return stages.production.monitoring.gates if stages.production.monitoring else ()


def _unsupported_gates(path: str, gates: Iterable[Gate]) -> Iterable[str]:
    return (f"{path}[{gate.name}].job" for gate in gates if gate.job is not None)
