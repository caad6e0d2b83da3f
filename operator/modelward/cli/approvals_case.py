"""What a person is asked to decide about one Model, read once: the version, what serves, the evaluations, the policy, who is lacking.

What is lacking comes from the operator where a rollout runs, and from the operator's own functions where it does not yet. What is
shown is what the digest covers: it is computed anew from the objects that were read, and has to come out the same.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from modelward.api.digests import version_digest
from modelward.api.lifecycle_policy import LifecyclePolicy
from modelward.api.model import Model
from modelward.api.model_approval import Decision
from modelward.api.model_evaluation import ModelEvaluation
from modelward.api.model_version import ModelVersionSpec
from modelward.api.resources import LIFECYCLE_POLICIES, MODEL_EVALUATIONS, NAMESPACES
from modelward.api.stages import ApprovalDemand
from modelward.api.status import DecisionStatus, ModelStatus, PendingApproval, RolloutStatus, Stage
from modelward.cli.cluster import Cluster, Forbidden
from modelward.cli.failure import Failure
from modelward.cli.reading import parsed, read_model, read_version
from modelward.governance import subjects
from modelward.governance.approvals import Answer, Trust
from modelward.lifecycle import decisions, policies
from modelward.lifecycle.snapshot import Policy, Problem, Snapshot, VersionView
from modelward.traffic.names import child_name

TRUSTED = Trust()
"""Whether approvals count at all is the operator's to find out, and said by the condition ApprovalsTrusted."""


@dataclass(frozen=True)
class Case:
    """One version of one Model before those who decide."""

    situation: Snapshot  # its rollout is the one in flight, or the one that the promotion would begin
    version: str
    in_flight: bool
    asked: tuple[PendingApproval, ...]
    policy_problem: str  # why the policy cannot be shown; empty when it can

    @property
    def model(self) -> Model:
        return self.situation.model

    @property
    def status(self) -> ModelStatus:
        return self.situation.status

    @property
    def where(self) -> str:
        return f"{self.model.metadata.namespace}/{self.model.metadata.name}"

    @property
    def candidate(self) -> VersionView:
        return self.situation.versions[self.version]

    @property
    def incumbent(self) -> VersionView | None:
        return self.situation.incumbent

    @property
    def policy(self) -> Policy | None:
        """The policy that the rollout goes by, where it is still what the LifecyclePolicy says."""
        return self.situation.policy

    def evaluations_of(self, view: VersionView) -> dict[str, ModelEvaluation]:
        """The newest evaluation of each name."""
        ours = [each for each in self.situation.evaluations if each.spec.version_digest == view.digest]
        return {each.spec.name: each for each in sorted(ours, key=lambda each: (each.spec.at, each.metadata.name))}

    def demands(self) -> tuple[ApprovalDemand, ...]:
        """Every approval that the policy asks for on the way to all requests."""
        rollout = self.status.rollout
        if self.policy is None or rollout is None:
            return ()
        return decisions.demands_of(self.policy.spec.stages, rollout, 100, self.status.production is None)

    def answers_with(self, decision: DecisionStatus) -> tuple[Answer, ...]:
        """How far the demands were met with one more decision; empty where the policy cannot be read."""
        if self.policy is None:
            return ()
        status = self.status.model_copy(update={"decisions": (decision, *self.status.decisions)})
        return decisions.answered(replace(self.situation, status=status), self.policy, self.candidate, self.demands())

    def subject_of(self, row: PendingApproval) -> str:
        """The digest of what was read, under the policy that the row is about."""
        covers = subjects.covered(self.candidate.digest, row.covers.policy_digest, self.situation.evaluations)
        return subjects.version_subject(self.model, self.version, covers)


def read_case(cluster: Cluster, name: str, version: str) -> Case:
    """The version that is named, else the one whose rollout is in flight, else the one that the spec asks for.

    Raises:
        Failure: there is nothing to decide about, or it cannot be read.
    """
    model, status = read_model(cluster, name)
    flying = status.rollout.version if status.rollout else ""
    chosen = version or flying or model.spec.production.version
    if not chosen:
        raise Failure(f"Model {cluster.namespace}/{name} asks for no version: name one with --version.")
    candidate = read_version(cluster, name, chosen)
    if candidate is None:
        raise Failure(
            f"there is no ModelVersion {cluster.namespace}/{child_name(name, chosen)}: `kubectl get modelversions` lists them."
        )
    views = {chosen: _view(candidate)}
    serving = status.production.version if status.production else ""
    if serving and serving != chosen and (spec := read_version(cluster, name, serving)):
        views[serving] = _view(spec)
    evaluations = tuple(
        parsed(ModelEvaluation, found)
        for found in cluster.list(MODEL_EVALUATIONS)
        if (found.get("spec") or {}).get("model") == name
    )
    policy, problem = _policy(cluster, model)
    now = cluster.now()
    if chosen == flying and status.rollout is not None:
        if policy is not None and policy.digest != status.rollout.policy_digest:
            policy, problem = None, (
                f"LifecyclePolicy {status.rollout.policy} was changed since the rollout began, which stays under the"
                f" content with digest {status.rollout.policy_digest}"
            )  # fmt: skip
        situation = Snapshot(now, model, status, views, policy=policy, evaluations=evaluations, trust=TRUSTED)
        return Case(situation, chosen, True, status.pending_approvals, problem)
    begun = _begun(status, views[chosen], policy, now)
    situation = Snapshot(now, model, begun, views, policy=policy, evaluations=evaluations, trust=TRUSTED)
    return Case(situation, chosen, False, decisions.pending(situation, begun, ()), problem)


def as_decided(case: Case, row: PendingApproval, decision: Decision, approver: str, standing: bool) -> DecisionStatus:
    """An approval as the operator would take it down."""
    return DecisionStatus(
        name="this approval",
        uid="",
        decision=decision.value,
        role=row.role,
        approver=approver,
        version="" if standing else case.version,
        subject_digest=row.standing_digest if standing else row.subject_digest,
        at=case.situation.now,
        seen_at=case.situation.now,
    )


def _view(spec: ModelVersionSpec) -> VersionView:
    return VersionView(spec.version, spec, version_digest(spec), live=True)


def _policy(cluster: Cluster, model: Model) -> tuple[Policy | None, str]:
    """The policy that applies, with the Model's own gates; or why there is none to show."""
    try:
        offered = [parsed(LifecyclePolicy, found) for found in cluster.list(LIFECYCLE_POLICIES)]
        found = policies.applicable(offered, model.spec, _labels(cluster, model, offered))
    except Forbidden as error:
        return None, f"the policy is not shown: {error.message.rstrip('.')}"
    if found is None:
        return None, f"no LifecyclePolicy applies to tier {model.spec.risk_tier} in {model.metadata.namespace}"
    merged = policies.merge(found, model.spec)
    return (None, merged.message) if isinstance(merged, Problem) else (merged, "")


def _labels(cluster: Cluster, model: Model, offered: Iterable[LifecyclePolicy]) -> dict[str, str]:
    """Asked for only where a policy selects by them: not everybody who may read Models may read namespaces."""
    if not any(each.spec.applies_to.namespace_selector.match_labels for each in offered):
        return {}
    namespace = cluster.get(NAMESPACES, model.metadata.namespace) or {"metadata": {}}
    return namespace["metadata"].get("labels") or {}


def _begun(status: ModelStatus, view: VersionView, policy: Policy | None, now: datetime) -> ModelStatus:
    """The status as it would be if the rollout of a version began now."""
    if policy is None:
        return status.model_copy(update={"rollout": None})
    rollout = RolloutStatus(
        version=view.version,
        digest=view.digest,
        policy=policy.name,
        policy_digest=policy.digest,
        started_at=now,
        stage=Stage.VALIDATION,
        stage_entered_at=now,
        step_entered_at=now,
    )
    return status.model_copy(update={"rollout": rollout})
