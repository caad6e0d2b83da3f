"""What the operator reports: the status of a Model and of a ModelVersion.

`ModelStatus` is the durable memory of the state machine. It is written before anything it announces is done, guarded by
the resourceVersion, so that a killed operator finds in it what it had set out to do, and a second one cannot interfere.
"""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, PlainSerializer

from modelward.api.model_approval import Standing
from modelward.api.types import ApiModel, Record


def format_time(value: datetime) -> str:
    """RFC 3339 in UTC with milliseconds, as Kubernetes' MicroTime reads it."""
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def format_second(value: datetime) -> str:
    """RFC 3339 in UTC with whole seconds, as metav1.Time reads it."""
    return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


Timestamp = Annotated[datetime, PlainSerializer(format_time, return_type=str)]
WholeSecond = Annotated[datetime, PlainSerializer(format_second, return_type=str)]


NOT_OBSERVED = -1
"""The generation that the API server gives to a Model's status before there is one: tools that read an absent status as done wait then."""


class Stage(StrEnum):
    REGISTERED = "Registered"
    VALIDATION = "Validation"
    SHADOW = "Shadow"
    CANARY = "Canary"
    PRODUCTION = "Production"
    STANDBY = "Standby"
    DEPRECATED = "Deprecated"
    RETIRED = "Retired"


class Condition(ApiModel):
    """A metav1.Condition."""

    type: str = Field(description="What the condition is about.", max_length=64)
    status: Literal["True", "False", "Unknown"] = Field(description="Whether it holds.")
    reason: str = Field(description="Why, as one word for machines.", min_length=1, max_length=128)
    message: str = Field(default="", description="Why, as a sentence for people.", max_length=4096)
    last_transition_time: WholeSecond = Field(description="When the status last flipped.")
    observed_generation: int = Field(default=0, description="The generation of the spec this speaks of.")


class VersionReference(ApiModel):
    """A version by name and by the digest of its spec."""

    version: str = Field(description="Name of the version.", max_length=63)
    digest: str = Field(description="Digest of the version's spec as it was first deployed.", max_length=71)
    since: Timestamp = Field(description="When the version came to this role.")
    monitored_under: str = Field(
        default="",
        description="Digest of the pinned policy that its monitoring follows; empty where that policy asks for none.",
        max_length=71,
    )
    approval: Literal["NotAsked", "Given", "Overridden"] = Field(
        default="NotAsked", description="How it came by the approvals that its policy asks for."
    )


class RolloutStatus(ApiModel):
    """The one rollout in flight."""

    version: str = Field(description="The candidate.", max_length=63)
    digest: str = Field(description="Digest of the candidate's spec.", max_length=71)
    policy: str = Field(description="Name of the LifecyclePolicy that was pinned.", max_length=253)
    policy_digest: str = Field(description="Digest of the pinned policy and gates.", max_length=71)
    retry: int = Field(default=0, description="spec.production.retry when the rollout began.")
    started_at: Timestamp = Field(description="When the rollout began.")
    stage: Stage = Field(description="The stage that the candidate is in.")
    stage_entered_at: Timestamp = Field(description="When it came there.")
    step: int = Field(default=0, description="Index of the canary step, from 0.")
    step_entered_at: Timestamp = Field(description="When the step began.")
    traffic_since: Timestamp | None = Field(
        default=None, description="Since when the stage's traffic is in force; durations count from here."
    )
    unknown_since: Timestamp | None = Field(
        default=None, description="Since when a gate lacks evidence, counted after the minimum duration."
    )
    paused: bool = Field(default=False, description="Paused for want of evidence; ends by itself.")


class WatchStatus(ApiModel):
    """The period after a promotion in which a failing gate rolls back."""

    version: str = Field(description="The promoted version.", max_length=63)
    digest: str = Field(description="Digest of its spec.", max_length=71)
    policy_digest: str = Field(description="Digest of the pinned policy.", max_length=71)
    retry: int = Field(default=0, description="spec.production.retry of the rollout.")
    previous: str | None = Field(default=None, description="The version a failure rolls back to.", max_length=63)
    since: Timestamp = Field(description="When the watch began.")
    until: Timestamp = Field(description="When it ends.")


class SwitchStatus(ApiModel):
    """All traffic is to move to a version that served before, as soon as its pods are ready."""

    to: str = Field(description="The version that takes over.", max_length=63)
    digest: str = Field(description="Digest of its spec.", max_length=71)
    kind: Literal["Rollback", "Revert"] = Field(description="Rollback after a failed gate, or a revert in Git.")
    because: str = Field(description="Why, as a sentence.", max_length=2048)
    since: Timestamp = Field(description="When it was decided.")


class FailedVersion(ApiModel):
    """A latch: this content does not start again by itself."""

    version: str = Field(description="The version that failed.", max_length=63)
    digest: str = Field(description="Digest of its spec.", max_length=71)
    retry: int = Field(description="The retry counter it failed under; a higher one clears the latch.")
    stage: Stage = Field(description="Where it failed.")
    reason: str = Field(description="Why, as one word.", max_length=128)
    message: str = Field(description="Why, as a sentence.", max_length=2048)
    at: Timestamp = Field(description="When.")


class ChallengerStatus(ApiModel):
    """A version that is shadowed only."""

    version: str = Field(description="The challenger.", max_length=63)
    digest: str = Field(description="Digest of its spec.", max_length=71)
    policy_digest: str = Field(description="Digest of the policy its evidence is gathered under.", max_length=71)
    entered_at: Timestamp = Field(description="When its shadow began.")
    traffic_since: Timestamp | None = Field(default=None, description="Since when it gets mirrored traffic.")


class GateStatus(ApiModel):
    """One gate's newest verdict."""

    name: str = Field(description="Name of the gate.", max_length=63)
    stage: Stage = Field(description="The stage it was judged in.")
    version: str = Field(description="The version it was judged for.", max_length=63)
    result: Literal["Pass", "Fail", "Inconclusive", "Unknown"] = Field(description="The verdict.")
    reason: str = Field(description="Why, as one word.", max_length=128)
    message: str = Field(description="The verdict as one sentence.", max_length=2048)
    figure: float | None = Field(default=None, description="What was measured.")
    low: float | None = Field(default=None, description="Lower end of its interval.")
    high: float | None = Field(default=None, description="Upper end of its interval.")
    bound: float | None = Field(default=None, description="What it is held against.")
    samples: int = Field(default=0, description="Number of requests or observations behind it.")
    method: str = Field(default="", description="How it was judged.", max_length=128)
    window: str = Field(
        default="",
        description="The span of time, up to `at`, in which the samples were counted, such as 34m12s; empty where the"
        " figure is of one moment.",
        max_length=32,
    )
    advisory: bool = Field(default=False, description="Reported, never blocking.")
    applies: bool = Field(default=True, description="False where there is nothing to compare with.")
    at: Timestamp = Field(description="When it was judged.")


class MonitoringStatus(ApiModel):
    """What the monitoring of the version that serves has found."""

    version: str = Field(description="The version that is monitored.", max_length=63)
    since: Timestamp = Field(description="Since when it serves.")
    evidence_at: Timestamp | None = Field(
        default=None, description="When its pods could last be read; what they counted until then is in the gates."
    )
    problem: str | None = Field(default=None, description="Why nothing is measured, as one sentence.", max_length=2048)
    gates: tuple[GateStatus, ...] = Field(
        default=(), description="The newest verdict of each gate of stages.production.monitoring.", max_length=32
    )


class WeightStatus(ApiModel):
    """One version's share of the users' requests, or of mirrored ones."""

    version: str = Field(description="The version.", max_length=63)
    percent: int = Field(description="Its share in percent.")


class TrafficStatus(ApiModel):
    """How requests are split, as last written to the route."""

    weights: tuple[WeightStatus, ...] = Field(default=(), description="Shares of users' requests.", max_length=16)
    mirrors: tuple[WeightStatus, ...] = Field(default=(), description="Shares that are mirrored.", max_length=16)
    changed_at: Timestamp = Field(description="When the split last changed.")


class HistoryEntry(ApiModel):
    """One step of the past."""

    at: Timestamp = Field(description="When.")
    version: str = Field(description="Which version.", max_length=63)
    action: str = Field(description="What happened, as one word.", max_length=64)
    message: str = Field(default="", description="What happened, as a sentence.", max_length=2048)
    actor: str = Field(default="", description="Who decided it; empty for the operator.", max_length=256)


class EvaluationReference(ApiModel):
    """One evaluation that was shown to an approver."""

    name: str = Field(description="Name of the ModelEvaluation.", max_length=253)
    digest: str = Field(description="Digest of its spec.", max_length=71)


class Covers(ApiModel):
    """What the digest of a decision covers: a change of any of it makes another digest."""

    version_digest: str = Field(description="Digest of the version's spec.", max_length=71)
    policy_digest: str = Field(description="Digest of the pinned policy and gates.", max_length=71)
    evaluations: tuple[EvaluationReference, ...] = Field(
        default=(), description="The newest evaluation of each name.", max_length=64
    )


class PendingApproval(ApiModel):
    """An approval that a rollout waits for, or will wait for later."""

    role: str = Field(description="The role in which somebody has to approve.", max_length=63)
    version: str = Field(description="The version.", max_length=63)
    subject_digest: str = Field(description="What a ModelApproval has to carry as spec.subjectDigest.", max_length=71)
    standing_digest: str = Field(
        default="",
        description="What a standing approval has to carry: it covers the Model and the policy.",
        max_length=71,
    )
    before: str = Field(description="What waits for it, such as Shadow or 50 % of requests.", max_length=64)
    missing: int = Field(description="How many people still have to approve in this role.")
    due: bool = Field(default=False, description="True: the rollout waits for it now. False: it will, later.")
    since: Timestamp = Field(description="Since when it is asked for.")
    covers: Covers = Field(description="What the digest covers.")
    refused: tuple[Annotated[str, Field(max_length=512)], ...] = Field(
        default=(), description="Approvals in this role that do not count, and why.", max_length=16
    )


class DecisionStatus(ApiModel):
    """A decision by a person, as it was when it was first seen: deleting the object afterwards changes nothing."""

    name: str = Field(description="Name of the ModelApproval.", max_length=253)
    uid: str = Field(description="Its uid.", max_length=64)
    decision: str = Field(description="Approve, Reject, Override, Exception or Reviewed.", max_length=16)
    role: str = Field(description="The role.", max_length=63)
    approver: str = Field(description="Who decided.", max_length=256)
    version: str = Field(default="", description="The version.", max_length=63)
    subject_digest: str = Field(default="", description="What was seen.", max_length=71)
    reason: str = Field(default="", description="Why.", max_length=1024)
    tier: str = Field(default="", description="Exception only: the tier that is allowed.", max_length=16)
    standing: Standing | None = Field(default=None, description="The bounds of a standing approval.")
    used_for: tuple[Annotated[str, Field(max_length=71)], ...] = Field(
        default=(), description="Digests of the versions that a standing approval let through.", max_length=1000
    )
    at: Timestamp = Field(description="When it was made, by the API server's clock.")
    seen_at: Timestamp = Field(description="When the operator first saw it.")
    expires_at: Timestamp | None = Field(default=None, description="When it ends to count.")
    trusted: bool = Field(
        default=True, description="Were the admission policies in place when it was made, so that it is who it says?"
    )
    acted: bool = Field(default=False, description="Reject only: was it carried out?")


class AuditHead(ApiModel):
    """The newest link of the audit chain that was carried out."""

    seq: int = Field(description="Its number.")
    hash: str = Field(description="Its hash.", max_length=71)


class ReviewStatus(ApiModel):
    """The newest review of the Model as a whole."""

    at: Timestamp = Field(description="When.")
    by: str = Field(description="By whom.", max_length=256)


class RiskTierStatus(ApiModel):
    """The tier that the team claims, and the lowest that the risk assessment allows."""

    declared: str = Field(description="What spec.riskTier says.", max_length=16)
    floor: str = Field(description="The lowest tier that the policy gives to the risk assessment.", max_length=16)
    because: str = Field(default="", description="Which answer made it so.", max_length=512)
    subject_digest: str = Field(description="What an Exception has to carry as spec.subjectDigest.", max_length=71)


class ModelStatus(ApiModel):
    """The state machine's memory and the user's picture of it."""

    observed_generation: int = Field(
        default=NOT_OBSERVED,
        description="The generation of the spec this speaks of; -1 before the operator has seen the first one.",
    )
    stage: str = Field(default="", description="Stage of the candidate, or of what serves.", max_length=64)
    weight: int | None = Field(default=None, description="The candidate's share of users' requests in percent.")
    gates_summary: str = Field(default="", description="Gates passed of all, and what the others lack.", max_length=128)
    production: VersionReference | None = Field(default=None, description="The version that serves users.")
    rollout: RolloutStatus | None = Field(default=None, description="The rollout in flight.")
    watch: WatchStatus | None = Field(default=None, description="The watch after a promotion.")
    switch: SwitchStatus | None = Field(default=None, description="A rollback or revert that waits for ready pods.")
    standby: tuple[VersionReference, ...] = Field(
        default=(), description="Previous versions, newest first.", max_length=10
    )
    retired: tuple[VersionReference, ...] = Field(default=(), description="Versions that no longer run.", max_length=20)
    failed: tuple[FailedVersion, ...] = Field(default=(), description="Latched versions, newest first.", max_length=20)
    challengers: tuple[ChallengerStatus, ...] = Field(default=(), description="Shadowed versions.", max_length=10)
    gates: tuple[GateStatus, ...] = Field(default=(), description="The newest verdict of each gate.", max_length=128)
    monitoring: MonitoringStatus | None = Field(
        default=None, description="The monitoring of what serves, for as long as it does."
    )
    traffic: TrafficStatus | None = Field(default=None, description="How requests are split.")
    history: tuple[HistoryEntry, ...] = Field(default=(), description="What happened, newest first.", max_length=20)
    pending_approvals: tuple[PendingApproval, ...] = Field(
        default=(), description="Approvals that are still lacking.", max_length=16
    )
    decisions: tuple[DecisionStatus, ...] = Field(
        default=(), description="Decisions by people, newest first, as first seen.", max_length=128
    )
    decisions_since: Timestamp | None = Field(
        default=None, description="Decisions made up to then that are not listed are known, and over."
    )
    review: ReviewStatus | None = Field(default=None, description="The newest review.")
    review_due: Timestamp | None = Field(default=None, description="When the next review is due.")
    risk_tier: RiskTierStatus | None = Field(default=None, description="Claimed tier and lowest tier allowed.")
    audit: AuditHead | None = Field(
        default=None, description="The newest link of the audit chain that was carried out."
    )
    next_check_at: Timestamp | None = Field(default=None, description="When the operator looks again at the latest.")
    conditions: tuple[Condition, ...] = Field(default=(), description="What is true of the Model now.", max_length=32)

    def condition(self, kind: str) -> Condition | None:
        """The condition of a type, or None before the operator has said anything about it."""
        return next((each for each in self.conditions if each.type == kind), None)


class VersionStatus(ApiModel):
    """Status of a ModelVersion."""

    observed_generation: int = Field(default=0, description="The generation of the spec this speaks of.")
    stage: Stage = Field(default=Stage.REGISTERED, description="Where the version is in its life.")
    stage_entered_at: Timestamp | None = Field(default=None, description="When it came there.")
    digest: str = Field(default="", description="Digest of the version's spec.", max_length=71)
    evidence: Record | None = Field(
        default=None,
        description="What its current stage has measured: sums, not raw data.",
        # One owner for all of it: otherwise managedFields would name every pod and feature.
        json_schema_extra={"x-kubernetes-map-type": "atomic"},
    )
    monitoring: Record | None = Field(
        default=None,
        description="What its monitoring in production has measured: sums, not raw data.",
        json_schema_extra={"x-kubernetes-map-type": "atomic"},
    )
    conditions: tuple[Condition, ...] = Field(default=(), description="What is true of the version now.", max_length=32)
