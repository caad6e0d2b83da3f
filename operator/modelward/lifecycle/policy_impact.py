"""What new or changed policies would mean for a Model, before they are applied: what they block, what they free.

It asks the questions that a rollout is asked, under the policies as they are and as they would be. A rollout in flight is
pinned to the policy that it began under: for it, everything said here is about the next one.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from modelward.api.gates import Reference
from modelward.api.lifecycle_policy import LifecyclePolicy
from modelward.api.model import Model
from modelward.api.model_version import ModelVersionSpec
from modelward.api.stages import ApprovalDemand, FirstVersionRequirement, Stages
from modelward.api.status import ModelStatus
from modelward.governance import requirements, tiers
from modelward.lifecycle.policies import applicable, merge
from modelward.lifecycle.snapshot import Policy, Problem


class Verdict(StrEnum):
    """What the change means for one Model."""

    BLOCKED = "Blocked"  # something new stands in the way
    FREED = "Freed"  # all that stood in the way is gone
    STILL_BLOCKED = "StillBlocked"
    CHANGED = "Changed"  # nothing stands in the way, but other rules apply
    SAME = "Same"


@dataclass(frozen=True)
class Situation:
    """A Model as it is in the cluster."""

    model: Model
    status: ModelStatus
    requested: ModelVersionSpec | None  # the ModelVersion that spec.production.version names
    namespace_labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Standing:
    """What one set of policies means for a Model."""

    policy: str | None
    digest: str | None
    floor: str | None
    obstacles: tuple[str, ...]
    approvals: tuple[str, ...]


@dataclass(frozen=True)
class Impact:
    """The difference that a change of policies makes to one Model."""

    namespace: str
    model: str
    tier: str
    verdict: Verdict
    now: Standing
    then: Standing
    blocked_by: tuple[str, ...]  # obstacles that the change brings
    freed_from: tuple[str, ...]  # obstacles that it takes away
    new_approvals: tuple[str, ...]
    dropped_approvals: tuple[str, ...]
    in_flight: str | None  # the version that is being rolled out, under the policy that it is pinned to


def impact_of(
    situation: Situation, current: Sequence[LifecyclePolicy], changed: Sequence[LifecyclePolicy], at: datetime
) -> Impact:
    """Compare what applies now with what would apply once `changed` are applied."""
    now = _standing(situation, current, at)
    then = _standing(situation, replaced(current, changed), at)
    metadata = situation.model.metadata
    rollout = situation.status.rollout
    return Impact(
        namespace=metadata.namespace,
        model=metadata.name,
        tier=situation.model.spec.risk_tier.value,
        verdict=_verdict(now, then),
        now=now,
        then=then,
        blocked_by=_without(then.obstacles, now.obstacles),
        freed_from=_without(now.obstacles, then.obstacles),
        new_approvals=_without(then.approvals, now.approvals),
        dropped_approvals=_without(now.approvals, then.approvals),
        in_flight=f"{rollout.version}, pinned to {rollout.policy}" if rollout else None,
    )


def replaced(current: Iterable[LifecyclePolicy], changed: Iterable[LifecyclePolicy]) -> tuple[LifecyclePolicy, ...]:
    """The policies as they would be: those of the same names exchanged, the others added."""
    merged = {policy.metadata.name: policy for policy in current}
    return tuple((merged | {policy.metadata.name: policy for policy in changed}).values())


def _verdict(now: Standing, then: Standing) -> Verdict:
    if _without(then.obstacles, now.obstacles):
        return Verdict.BLOCKED
    if then.obstacles:
        return Verdict.STILL_BLOCKED
    if now.obstacles:
        return Verdict.FREED
    return Verdict.SAME if (now.policy, now.digest) == (then.policy, then.digest) else Verdict.CHANGED


def _standing(situation: Situation, policies: Sequence[LifecyclePolicy], at: datetime) -> Standing:
    spec = situation.model.spec
    chosen = applicable(policies, spec, situation.namespace_labels)
    if chosen is None:
        obstacle = f"no LifecyclePolicy applies to tier {spec.risk_tier} in this namespace"
        return Standing(None, None, None, (obstacle,), ())
    floor = tiers.floor_of(spec.risk_assessment, chosen.spec).tier
    merged = merge(chosen, spec)
    if isinstance(merged, Problem):
        return Standing(chosen.metadata.name, None, floor.value, (merged.message,), ())
    obstacles = (*_below_floor(situation, merged, at), *_lacking(situation, merged), *_unfit(situation, merged))
    demands = tuple(_said(where, demand) for where, demand in _demands(merged.spec.stages))
    return Standing(chosen.metadata.name, merged.digest, floor.value, obstacles, demands)


def _below_floor(situation: Situation, policy: Policy, at: datetime) -> Iterable[str]:
    found = tiers.below_floor(situation.model, policy.spec, situation.status.decisions, at)
    return [found.message] if found else []


def _lacking(situation: Situation, policy: Policy) -> Iterable[str]:
    return [entry.sentence for entry in requirements.missing(situation.model, situation.requested, policy.spec)]


def _unfit(situation: Situation, policy: Policy) -> Iterable[str]:
    """What of the Model's serving the stages cannot work with."""
    serving, stages = situation.model.spec.serving, policy.spec.stages
    if serving is None:
        return
    if serving.route is None and (stages.shadow or stages.canary):
        yield f"policy {policy.name!r} mirrors or splits traffic, which needs spec.serving.route: add the route"
    version = situation.requested
    if version is not None and version.baseline is None and _compares_with_training(stages):
        yield (
            f"policy {policy.name!r} compares with the training data, and {version.version} has no spec.baseline: make it"
            " with `modelward baseline`, in a new version"
        )


def _compares_with_training(stages: Stages) -> bool:
    gates = [gate for stage in (stages.shadow, stages.canary) if stage for gate in stage.gates]
    references = [(gate.drift or gate.prediction_drift) for gate in gates if gate.drift or gate.prediction_drift]
    return any(gate.data_quality for gate in gates) or any(
        drift.reference is Reference.BASELINE for drift in references if drift
    )


def _demands(stages: Stages) -> list[tuple[str, ApprovalDemand]]:
    found = [("after Validation", demand) for demand in stages.validation.approvals]
    found += [("after Shadow", demand) for demand in stages.shadow.approvals] if stages.shadow else []
    if stages.canary:
        found += [(f"before {demand.before_weight or 100} %", demand) for demand in stages.canary.approvals]
    if stages.first_version.require is FirstVersionRequirement.APPROVAL and not found:
        found.append(("before a first version", ApprovalDemand(role=stages.first_version.role)))
    return found


def _said(where: str, demand: ApprovalDemand) -> str:
    count = f"{demand.count} x " if demand.count > 1 else ""
    independent = " (independent of the team)" if demand.independent else ""
    return f"{count}{demand.role}{independent} {where}"


def _without(entries: Sequence[str], others: Sequence[str]) -> tuple[str, ...]:
    return tuple(entry for entry in entries if entry not in others)
