"""What the register says of one Model: the facts that the conditions of governance are computed from, out of a snapshot."""

from dataclasses import replace

from modelward.api import reasons
from modelward.api.lifecycle_policy import LifecyclePolicySpec
from modelward.api.status import ModelStatus, RiskTierStatus, VersionReference
from modelward.governance import approvals, register, requirements, subjects, tiers
from modelward.governance.register import Approval, RegisterFacts, Review, Serving, Watching
from modelward.governance.requirements import Missing
from modelward.lifecycle import decisions, monitoring
from modelward.lifecycle.snapshot import Policy, Problem, Snapshot, VersionView


def facts_of(s: Snapshot, status: ModelStatus) -> RegisterFacts:
    """The facts as of a status that is about to be written."""
    override = approvals.unreviewed_override(status.decisions)
    return RegisterFacts(
        now=s.now,
        model=s.model.spec,
        registered_at=s.registered_at,
        policy=_policy_in_force(s),
        serving=_serving(s, status),
        review=Review(status.review.at, status.review.by) if status.review else None,
        unreviewed_override_at=override.at if override else None,
        evaluations=tuple(evaluation.spec for evaluation in s.evaluations),
        watching=_watching(s, status),
        missing_dependencies=s.missing_dependencies,
    )


def below_floor(s: Snapshot) -> Problem | None:
    """Does the Model claim a lower tier than its risk assessment allows, without an exception in force?"""
    if s.policy is None:
        return None
    found = tiers.below_floor(s.model, s.policy.spec, decisions.counted(s), s.now)
    return Problem(reasons.TIER_BELOW_FLOOR, found.message) if found else None


def tier_of(s: Snapshot) -> RiskTierStatus | None:
    """Claimed tier and lowest tier allowed, with the digest that an exception has to carry."""
    if s.policy is None:
        return s.status.risk_tier
    floor = tiers.floor_of(s.model.spec.risk_assessment, s.policy.spec)
    return RiskTierStatus(
        declared=s.model.spec.risk_tier.value,
        floor=floor.tier.value,
        because=floor.because[:512],
        subject_digest=subjects.tier_subject(s.model, floor.tier),
    )


def missing(s: Snapshot, policy: Policy, view: VersionView) -> tuple[Missing, ...]:
    """What the policy asks for and the register does not have, before a version may get more traffic."""
    return requirements.missing(s.model, view.spec, policy.spec)


def unwatched(s: Snapshot, policy: Policy) -> str | None:
    """Why a version that came to production now would not be watched there, as a sentence; no model serves unwatched.

    Only its own evidence counts: it may be the repair of one whose metrics are broken.
    """
    candidate = s.candidate
    seen = candidate.evidence.counted_at if candidate and candidate.evidence else None
    facts = replace(facts_of(s, s.status), policy=policy.spec, watching=Watching(evidence_at=seen))
    truth, _, message = register.conditions(facts)["MonitoringReady"]
    return message if truth == "False" else None


def _policy_in_force(s: Snapshot) -> LifecyclePolicySpec | None:
    """What serves is held against the policy that it is monitored under; else against the one that applies."""
    followed = monitoring.policy_of(s)
    chosen = followed or s.policy
    return chosen.spec if chosen else None


def _serving(s: Snapshot, status: ModelStatus) -> Serving | None:
    if s.model.spec.serving is None:
        view = s.versions.get(s.requested or "")
        if view is None:
            return None
        rejected = approvals.rejection_of(view.version, status.decisions) is not None
        return Serving(view.spec, view.digest, Approval.REJECTED if rejected else Approval.NOT_ASKED)
    production = status.production
    view = s.versions.get(production.version) if production else None
    if production is None or view is None:
        return None
    return Serving(view.spec, production.digest, _approval(status, production), _deviation(s, view))


def _approval(status: ModelStatus, production: VersionReference) -> Approval:
    rejected = any(entry.digest == production.digest and entry.reason == reasons.REJECTED for entry in status.failed)
    if rejected:
        return Approval.REJECTED
    return Approval.NOT_ASKED if production.approval == "NotAsked" else Approval.GIVEN


def _deviation(s: Snapshot, view: VersionView) -> str:
    """How what runs differs from what came to production."""
    if view.deployment and view.deployment.edited:
        return f"{view.version} serves otherwise than its ModelVersion says: {view.deployment.edited}."
    if view.changed:
        name = f"{s.model.metadata.name}-{view.version}"
        return f"ModelVersion {name} was made anew with other content than what serves under this name."
    return ""


def _watching(s: Snapshot, status: ModelStatus) -> Watching:
    known = monitoring.monitoring_of(s)
    seen = [known.evidence_at] if known.evidence_at else []
    roles = (status.production, status.rollout)
    for view in (s.versions.get(role.version) for role in roles if role is not None):
        if view is not None and view.evidence is not None and view.evidence.counted_at is not None:
            seen.append(view.evidence.counted_at)
    begun = status.production.since if status.production else None
    return Watching(evidence_at=max(seen, default=None), problem=known.problem or "", begun_at=begun)
