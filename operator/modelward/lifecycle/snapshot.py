"""Everything one decision needs, gathered beforehand into one frozen value."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from modelward.api.gates import Gate
from modelward.api.lifecycle_policy import LifecyclePolicySpec
from modelward.api.model import Model
from modelward.api.model_approval import ModelApproval
from modelward.api.model_audit_record import ModelAuditRecordSpec
from modelward.api.model_evaluation import ModelEvaluation
from modelward.api.model_version import Baseline, ModelVersionSpec
from modelward.api.status import FailedVersion, ModelStatus, Stage, VersionStatus
from modelward.governance.approvals import NOT_LOOKED_AT, Trust
from modelward.lifecycle.evidence import Evidence
from modelward.stats.readings import QueryAnswer, Reading


@dataclass(frozen=True)
class DeploymentView:
    """The Deployment of a version as it is in the cluster."""

    desired: int
    available: int
    created_at: datetime
    edited: str = ""  # how its pods were changed behind the version's back, as the end of a sentence


@dataclass(frozen=True)
class VersionView:
    """A version as far as it is known: from its ModelVersion, or from what was kept when it was deployed."""

    version: str
    spec: ModelVersionSpec
    digest: str
    live: bool  # does the ModelVersion object exist?
    generation: int = 0
    changed: bool = False  # the live object's content is not what was deployed under this name
    baseline: Baseline | None = None
    baseline_problem: str | None = None
    deployment: DeploymentView | None = None
    service_exists: bool = False
    problem: str | None = None  # why its pods cannot be made, or do not become ready, in the words of the API server
    status: VersionStatus | None = None
    evidence: Evidence | None = None
    monitoring: Evidence | None = None  # what its monitoring in production has gathered

    @property
    def replicas(self) -> int:
        """The pods that the version asks for when it serves."""
        serving = self.spec.serving
        if serving is None:
            return 0
        return serving.autoscaling.min if serving.autoscaling else serving.replicas

    @property
    def available(self) -> int:
        return self.deployment.available if self.deployment else 0

    @property
    def ready(self) -> bool:
        """May traffic be moved to it? All the pods that it asks for must be there: a smaller standby is not ready."""
        return self.service_exists and self.available >= max(self.replicas, 1)


@dataclass(frozen=True)
class RouteView:
    """The HTTPRoute (or, without one, the switched Service) as it is in the cluster."""

    weights: Mapping[str, int]  # by version
    mirrors: Mapping[str, int]  # by version, percent
    observed: bool  # has the gateway seen the newest generation?
    accepted: bool | None
    resolved: bool | None
    message: str = ""

    @property
    def in_force(self) -> bool:
        """Has the gateway taken the newest generation over, with every reference resolved?"""
        return self.observed and bool(self.accepted) and bool(self.resolved)


@dataclass(frozen=True)
class Policy:
    """A LifecyclePolicy with the Model's own gates merged in; `digest` pins both."""

    name: str
    digest: str
    spec: LifecyclePolicySpec

    def gates(self, stage: Stage) -> tuple[Gate, ...]:
        """The gates of a stage; the watch in Production uses those of the canary."""
        stages = self.spec.stages
        if stage is Stage.VALIDATION:
            return stages.validation.gates
        if stage is Stage.SHADOW:
            return stages.shadow.gates if stages.shadow else ()
        if stage in (Stage.CANARY, Stage.PRODUCTION):
            return stages.canary.gates if stages.canary else ()
        return ()


@dataclass(frozen=True)
class Problem:
    """Why a spec cannot be acted upon: a reason of SpecValid and a sentence with the remedy."""

    reason: str
    message: str


@dataclass(frozen=True)
class Snapshot:
    """One Model and all that bears on it, at one moment."""

    now: datetime
    model: Model
    status: ModelStatus
    versions: Mapping[str, VersionView]
    unreadable: Mapping[str, str] = field(default_factory=dict)  # by version: what is wrong with its spec
    policy: Policy | None = None  # the one that applies now
    policy_problem: Problem | None = None
    pinned: Mapping[str, Policy] = field(default_factory=dict)  # by digest
    route: RouteView | None = None
    gateway_problem: str | None = None
    missing_dependencies: tuple[str, ...] = ()  # Models of spec.dependsOn that are not there
    conflict: Problem | None = None  # a duplicate modelID, or a route that is taken
    readings: Mapping[str, Reading] = field(default_factory=dict)  # by version; only when a look is due
    answers: Mapping[str, QueryAnswer] = field(default_factory=dict)  # by gate name; only when a look is due
    evaluations: tuple[ModelEvaluation, ...] = ()
    approvals: tuple[ModelApproval, ...] = ()
    trust: Trust = NOT_LOOKED_AT
    chain: tuple[ModelAuditRecordSpec, ...] = ()  # the newest audit records of the Model's name, ascending

    @property
    def registered_at(self) -> datetime:
        """When the Model was created."""
        created = self.model.metadata.creation_timestamp
        return datetime.fromisoformat(created) if created else self.now

    @property
    def requested(self) -> str | None:
        """The version that the spec wants in production."""
        return self.model.spec.production.version

    @property
    def incumbent(self) -> VersionView | None:
        """The version that serves users."""
        production = self.status.production
        return self.versions.get(production.version) if production else None

    @property
    def candidate(self) -> VersionView | None:
        """The version of the rollout in flight."""
        rollout = self.status.rollout
        return self.versions.get(rollout.version) if rollout else None

    @property
    def rollout_policy(self) -> Policy | None:
        """The policy that the rollout in flight was started under."""
        rollout = self.status.rollout
        return self.pinned.get(rollout.policy_digest) if rollout else None

    @property
    def routed(self) -> bool:
        """Is traffic split by a route, rather than switched by a Service?"""
        serving = self.model.spec.serving
        return serving is not None and serving.route is not None


def latch_of_requested(s: Snapshot, status: ModelStatus) -> FailedVersion | None:
    """The latch that bars the requested version, by the digest of its content; a higher retry counter lifts it."""
    view = s.versions.get(s.requested or "")
    retry = s.model.spec.production.retry
    if view is None:
        return None
    return next((failed for failed in status.failed if failed.digest == view.digest and retry <= failed.retry), None)
