"""LifecyclePolicy: what each risk tier demands of a rollout. Written by the risk or platform function."""

from collections.abc import Iterable
from datetime import timedelta
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field, WithJsonSchema

from modelward.api.gates import Gate, GateList
from modelward.api.types import (
    AS_SET,
    ApiModel,
    CelRule,
    Duration,
    FreeForm,
    Interval,
    LabelValue,
    Number,
    ObjectMeta,
    Rules,
    ShortText,
    unique,
)


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


class ApprovalDemand(ApiModel):
    """An approval by a person that has to be there."""

    role: ShortText = Field(description="The role in which somebody has to approve, such as risk.")
    before_weight: Annotated[int, Field(ge=1, le=100)] | None = Field(
        default=None,
        description="Canary only: the approval is needed before the candidate gets this share of traffic, in percent.",
    )


_NO_WEIGHT_HERE = CelRule(
    rule="!has(self.approvals) || self.approvals.all(approval, !has(approval.beforeWeight))",
    message="beforeWeight has a meaning in stages.canary only: leave it out, or move the approval to stages.canary",
    holds=lambda stage: all(approval.before_weight is None for approval in stage.approvals),
    field_path=".approvals",
)

Approvals = Annotated[tuple[ApprovalDemand, ...], Field(max_length=16)]


class ValidationStage(ApiModel):
    """What has to be true before a version gets any traffic."""

    cel_rules: ClassVar[Rules] = (_NO_WEIGHT_HERE,)

    gates: GateList = Field(default=(), description="Gates that have to pass.")
    approvals: Approvals = Field(default=(), description="People who have to approve before the next stage.")


class ShadowStage(ApiModel):
    """Mirrored traffic: no user sees an answer of the candidate."""

    cel_rules: ClassVar[Rules] = (_NO_WEIGHT_HERE,)

    mirror_percent: Annotated[int, Field(ge=1, le=100)] = Field(
        default=100, description="The share of users' requests, in percent, that is also sent to the candidate."
    )
    min_duration: Duration = Field(
        description="The least time in this stage, counted from when the mirror is in force."
    )
    interval: Interval = Field(default=timedelta(seconds=60), description="The time between two looks at the gates.")
    gates: GateList = Field(default=(), description="Gates that have to pass.")
    approvals: Approvals = Field(default=(), description="People who have to approve before the next stage.")


class CanaryStep(ApiModel):
    """One share of users' traffic."""

    weight: Annotated[int, Field(ge=1, le=100)] = Field(
        description="The candidate's share of users' requests, in percent."
    )
    min_duration: Duration = Field(description="The least time at this share, counted from when it is in force.")
    require: Requirement | None = Field(  # None: NotFailed, and Passed for the last step
        default=None,
        description="NotFailed: a gate that is Inconclusive does not hold the step, one that is Unknown does. Passed: every gate has to"
        " pass. When left out: NotFailed, and Passed for the last step.",
    )


def _weights(stage: Any) -> list[int]:
    return [step.weight for step in stage.steps]


class CanaryStage(ApiModel):
    """A growing share of users' traffic."""

    cel_rules: ClassVar[Rules] = (
        CelRule(
            rule=(
                "self.steps.map(step, step.weight).isSorted()"
                " && self.steps.all(step, self.steps.exists_one(same, same.weight == step.weight))"
            ),
            message="canary weights must rise from step to step: order the steps and name each weight once",
            holds=lambda stage: all(lower < upper for lower, upper in pairwise(_weights(stage))),
            field_path=".steps",
        ),
    )

    steps: Annotated[tuple[CanaryStep, ...], Field(min_length=1, max_length=32)] = Field(
        description="The shares, in rising order; after the last one the version is promoted."
    )
    interval: Interval = Field(default=timedelta(seconds=60), description="The time between two looks at the gates.")
    gates: GateList = Field(
        default=(), description="Gates that are judged at every step, and in the watch after promotion."
    )
    alpha: Annotated[Number, Field(gt=0, le=0.2)] = Field(
        default=0.05,
        description="The probability of a wrong verdict in the whole rollout, split over its stages and gates.",
    )
    approvals: Approvals = Field(default=(), description="People who have to approve, each before a share of traffic.")


class Watch(ApiModel):
    """A period after promotion in which the canary's gates are still judged."""

    duration: Duration = Field(description="How long the watch lasts; a gate that fails in it rolls back.")


def _is_count_or_full(standby: Any) -> bool:
    replicas = standby.replicas
    return replicas == "Full" or (isinstance(replicas, int) and 0 <= replicas <= 1000)


Replicas = Annotated[int | str, WithJsonSchema({"x-kubernetes-int-or-string": True, "maxLength": 8})]


class StandbyPolicy(ApiModel):
    """How previous versions are kept, for a rollback."""

    cel_rules: ClassVar[Rules] = (
        CelRule(
            rule=(
                "type(self.replicas) == int ? int(self.replicas) >= 0 && int(self.replicas) <= 1000"
                " : string(self.replicas) == 'Full'"
            ),
            message="standby.replicas cannot be read: write Full or a number from 0 to 1000",
            message_expression='"standby.replicas \'" + string(self.replicas) + "\' cannot be read: write Full or a number from 0 to 1000"',
            says=lambda standby: f"standby.replicas '{standby.replicas}' cannot be read: write Full or a number from 0 to 1000",
            holds=_is_count_or_full,
            field_path=".replicas",
        ),
    )

    keep: Annotated[int, Field(ge=0, le=10)] = Field(
        default=1, description="How many previous versions stay in Standby."
    )
    replicas: Replicas = Field(
        default="Full",
        description="Full: as many pods as in production, so that a rollback is one route write. A number: then a rollback scales up first.",
    )
    warm_for: Duration = Field(default=timedelta(hours=72), description="How long a previous version stays in Standby.")


class ProductionStage(ApiModel):
    """What happens after promotion."""

    watch: Watch | None = Field(default=None, description="Goes on judging the canary's gates after promotion.")
    monitoring: FreeForm | None = Field(
        default=None,
        description="Gates and responses for as long as a version serves. Not implemented yet: a rollout is held.",
    )
    standby: StandbyPolicy = Field(
        default=StandbyPolicy(), description="How previous versions are kept, for a rollback."
    )


class FirstVersion(ApiModel):
    """The first version of a Model has nothing to be compared with."""

    require: FirstVersionRequirement = Field(
        default=FirstVersionRequirement.WATCH,
        description="Watch: it takes all traffic after Validation, under the watch. Approval: somebody has to approve first.",
    )


class Stages(ApiModel):
    """The stages of a rollout."""

    validation: ValidationStage = Field(default=ValidationStage(), description="Before any traffic.")
    shadow: ShadowStage | None = Field(default=None, description="Mirrored traffic; no shadow when left out.")
    canary: CanaryStage | None = Field(
        default=None, description="A growing share of users' traffic; when left out, all traffic moves at once."
    )
    production: ProductionStage = Field(default=ProductionStage(), description="After promotion.")
    first_version: FirstVersion = Field(default=FirstVersion(), description="What the first version of a Model needs.")


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
    minimum_tier: FreeForm | None = Field(
        default=None,
        description="The least tier by risk assessment. Not implemented yet: a rollout under such a policy is held.",
    )
    requires: FreeForm | None = Field(
        default=None,
        description="Fields and documents a Model must have. Not implemented yet: a rollout under such a policy is held.",
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
    sections = {
        "spec.minimumTier": policy.minimum_tier,
        "spec.requires": policy.requires,
        "spec.stages.production.monitoring": stages.production.monitoring,
    }
    gates = [
        *_unsupported_gates("spec.stages.validation.gates", stages.validation.gates),
        *_unsupported_gates("spec.stages.shadow.gates", stages.shadow.gates if stages.shadow else ()),
        *_unsupported_gates("spec.stages.canary.gates", stages.canary.gates if stages.canary else ()),
        *_unsupported_gates("spec.gates", model_gates),
    ]
    return (*(path for path, value in sections.items() if value is not None), *gates)


def _unsupported_gates(path: str, gates: Iterable[Gate]) -> Iterable[str]:
    for gate in gates:
        fields = {"job": gate.job, "window": gate.window}
        yield from (f"{path}[{gate.name}].{field}" for field, value in fields.items() if value is not None)
