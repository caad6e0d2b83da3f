"""The decisions of people about one Model: taken down when first seen, and asked at every step that lets more traffic in."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from modelward.api import reasons
from modelward.api.demands import IdentityMap
from modelward.api.model_approval import Decision
from modelward.api.stages import ApprovalDemand, FirstVersionRequirement, Stages
from modelward.api.status import (
    Covers,
    DecisionStatus,
    ModelStatus,
    PendingApproval,
    ReviewStatus,
    RolloutStatus,
    Stage,
)
from modelward.governance import approvals, identities, standing, subjects
from modelward.governance.approvals import Answer, Question
from modelward.lifecycle import transitions
from modelward.lifecycle.plan import Announcement
from modelward.lifecycle.snapshot import Policy, Snapshot, VersionView

PENDING_SHOWN = 16


def taken_down(s: Snapshot) -> tuple[Snapshot, tuple[Announcement, ...]]:
    """The snapshot with every decision that is new on record, in status and history, and what people are told of it."""
    recorded, new = approvals.taken_down(s.status.decisions, s.status.decisions_since, s.approvals, s.trust, s.now)
    if not new:
        return s, ()
    decisions, since = approvals.bounded(recorded, s.status.decisions_since, s.now)
    status = s.status.model_copy(
        update={"decisions": decisions, "decisions_since": since, "review": _review(s, recorded)}
    )
    told: list[Announcement] = []
    for decision in new:
        message = sentence(decision)
        status = transitions.remember(
            status, s.now, decision.version, reasons.DECISION_RECORDED, message, actor=decision.approver
        )
        alarming = not decision.trusted or decision.decision in (Decision.OVERRIDE, Decision.REJECT)
        told.append(Announcement(reasons.DECISION_RECORDED, message, warning=alarming))
    return replace(s, status=status), tuple(told)


def sentence(decision: DecisionStatus) -> str:
    """A decision in words."""
    about = decision.version or "the Model"
    done = {
        Decision.APPROVE: f"approved {about}",
        Decision.REJECT: f"rejected {about}",
        Decision.OVERRIDE: f"overrode the approvals that {about} lacks (break-glass)",
        Decision.EXCEPTION: f"allowed tier {decision.tier} by exception",
        Decision.REVIEWED: "reviewed the Model",
    }[Decision(decision.decision)]
    if decision.standing is not None:
        done = f"approved up to {decision.standing.max_count} routine retrains in advance"
    until = f", until {decision.expires_at:%Y-%m-%d %H:%M} UTC" if decision.expires_at else ""
    why = f": {decision.reason.rstrip(' .')}." if decision.reason else "."
    doubt = "" if decision.trusted else " It does not count: the admission policies were not in place when it was made."
    return f"{decision.approver} {done} as {decision.role}{until}{why}{doubt}"


def demands_of(
    stages: Stages, rollout: RolloutStatus, following: int | None, first: bool
) -> tuple[ApprovalDemand, ...]:
    """Every approval that the step after this one needs, with those of the stages before: they have to hold still.

    following: the share of users' requests after the step, in percent; None when it gives the candidate none.
    first: there is nothing to compare with, so that the step after Validation gives it all requests.
    """
    demands: list[ApprovalDemand] = list(stages.validation.approvals)
    if first and stages.first_version.require is FirstVersionRequirement.APPROVAL and not demands:
        demands.append(ApprovalDemand(role=stages.first_version.role))
    past_shadow = rollout.stage is not Stage.VALIDATION or following is not None
    if stages.shadow and past_shadow:
        demands += stages.shadow.approvals
    if stages.canary and following is not None:
        demands += [demand for demand in stages.canary.approvals if following >= (demand.before_weight or 100)]
    return _one_for_each_role(demands)


def answered(s: Snapshot, policy: Policy, view: VersionView, demands: Sequence[ApprovalDemand]) -> tuple[Answer, ...]:
    """How far each demand is met."""
    return approvals.answers(demands, question(s, policy, view), counted(s), s.now)


def counted(s: Snapshot) -> tuple[DecisionStatus, ...]:
    """The decisions on record; none while the admission policies are not in place, for anybody may write status then."""
    return s.status.decisions if s.trust.problem is None else ()


def question(s: Snapshot, policy: Policy, view: VersionView) -> Question:
    """What approvers are asked about a version."""
    covers = subjects.covered(view.digest, policy.digest, s.evaluations)
    incumbent = s.incumbent
    owner = s.model.spec.owner
    bars = {
        decision.uid: bar
        for decision in s.status.decisions
        if decision.standing is not None
        and (
            bar := standing.bar(
                decision.standing,
                (view.spec, view.digest),
                (incumbent.spec, incumbent.digest) if incumbent else None,
                s.evaluations,
                s.now,
            )
        )
    }
    return Question(
        version=view.version,
        subject=subjects.version_subject(s.model, view.version, covers),
        standing_subject=subjects.standing_subject(s.model, policy.digest),
        version_digest=view.digest,
        team=owner.team if owner else None,
        builders=identities.builders_of(view.spec),
        identities=_identities(s, policy),
        standing_bars=bars,
    )


def _identities(s: Snapshot, policy: Policy) -> IdentityMap:
    """Who is who, as the risk function says now: somebody who comes or leaves during a rollout changes no demand of it."""
    current = s.policy if s.policy is not None and s.policy.name == policy.name else policy
    return current.spec.identity_map


def with_standing_used(s: Snapshot, status: ModelStatus, answers: Sequence[Answer], digest: str) -> ModelStatus:
    """Count the version against the standing approvals that let it through."""
    used = {approval.uid for answer in answers for approval in answer.approvals if approval.standing is not None}
    if not used:
        return status
    counted = tuple(
        decision.model_copy(update={"used_for": (*decision.used_for, digest)})
        if decision.uid in used and digest not in decision.used_for
        else decision
        for decision in status.decisions
    )
    return status.model_copy(update={"decisions": counted})


def pending(s: Snapshot, status: ModelStatus, due: Sequence[ApprovalDemand]) -> tuple[PendingApproval, ...]:
    """What is still lacking for the rollout in flight: what it waits for now, and what it is going to need later."""
    rollout = status.rollout
    policy = s.pinned.get(rollout.policy_digest) or s.policy if rollout else None
    view = s.versions.get(rollout.version) if rollout else None
    if rollout is None or policy is None or view is None or policy.digest != rollout.policy_digest:
        return ()
    stages = policy.spec.stages
    demands = demands_of(stages, rollout, 100, status.production is None)
    asked = question(s, policy, view)
    covers = subjects.covered(view.digest, policy.digest, s.evaluations)
    known = {(entry.role, entry.subject_digest, entry.before): entry.since for entry in s.status.pending_approvals}
    answers = approvals.answers(demands, asked, status.decisions, s.now)
    roles = {demand.role for demand in due}
    lacking = sorted((answer for answer in answers if not answer.met), key=lambda each: each.demand.role not in roles)
    return tuple(
        _pending(answer, asked, covers, s, known, due=answer.demand.role in roles, stages=stages)
        for answer in lacking[:PENDING_SHOWN]
    )


def is_open_rejection(decision: DecisionStatus) -> bool:
    """A rejection that was not carried out yet."""
    return decision.decision == Decision.REJECT and decision.trusted and not decision.acted


def with_rejection_done(status: ModelStatus, rejection: DecisionStatus) -> ModelStatus:
    """The rejection is carried out once: a raised retry counter lifts its latch for good."""
    done = tuple(d.model_copy(update={"acted": True}) if d.uid == rejection.uid else d for d in status.decisions)
    return status.model_copy(update={"decisions": done})


def in_words(answers: Sequence[Answer]) -> str:
    """Which approvals are lacking, and why those that are there do not count."""
    lacking = [
        f"{answer.missing} of {answer.demand.count} approvals as {answer.demand.role}"
        if answer.demand.count > 1
        else f"the approval of {answer.demand.role}"
        for answer in answers
        if not answer.met
    ]
    refused = [bar for answer in answers if not answer.met for bar in answer.refused]
    return " and ".join(lacking) + ("; not counted: " + "; ".join(refused[:3]) if refused else "")


def _pending(
    answer: Answer,
    asked: Question,
    covers: Covers,
    s: Snapshot,
    known: Mapping[tuple[str, str, str], datetime],
    *,
    due: bool,
    stages: Stages,
) -> PendingApproval:
    before = _before(answer.demand.role, stages)
    since = known.get((answer.demand.role, asked.subject, before), s.now)
    return PendingApproval.model_validate(
        {
            "role": answer.demand.role,
            "version": asked.version,
            "subject_digest": asked.subject,
            "standing_digest": asked.standing_subject,
            "before": before,
            "missing": answer.missing,
            "due": due,
            "since": since,
            "covers": covers,
            "refused": tuple(bar[:512] for bar in answer.refused[:16]),
        }
    )


def _one_for_each_role(demands: Iterable[ApprovalDemand]) -> tuple[ApprovalDemand, ...]:
    """Whoever has approved in a role for one stage has done so for the next: of two demands the stricter one is left."""
    strictest: dict[str, ApprovalDemand] = {}
    for demand in demands:
        before = strictest.get(demand.role, demand)
        strictest[demand.role] = ApprovalDemand(
            role=demand.role,
            count=max(demand.count, before.count),
            independent=demand.independent or before.independent,
        )
    return tuple(strictest.values())


def _before(role: str, stages: Stages) -> str:
    """What waits first for an approval in a role, in words."""
    if any(demand.role == role for demand in stages.validation.approvals):
        return "leaving Validation"
    if stages.shadow and any(demand.role == role for demand in stages.shadow.approvals):
        return "leaving Shadow"
    weights = [d.before_weight or 100 for d in (stages.canary.approvals if stages.canary else ()) if d.role == role]
    return f"{min(weights)} % of requests" if weights else "the first version serves"


def _review(s: Snapshot, decisions: Iterable[DecisionStatus]) -> ReviewStatus | None:
    """The newest review. One from before the Model was created was of another one of its name."""
    found = approvals.review_of(
        d for d in decisions if d.at >= s.registered_at or not s.model.metadata.creation_timestamp
    )
    known = s.status.review
    if found is None or (known is not None and known.at > found.at):
        return known
    return ReviewStatus(at=found.at, by=found.approver)
