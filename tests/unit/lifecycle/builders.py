"""Snapshots, said as sentences: ``model("credit-risk").serving("v7").canary("v8", weight=10).gate("errors", "Fail")``.

Every method gives a new builder. What is not said is as it is on a good day: two pods of each version are ready, the
route carries what status says and is in force, metrics have been read, and the policy is `STEADY`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from modelward.api.digests import version_digest
from modelward.api.lifecycle_policy import LifecyclePolicySpec
from modelward.api.model import Model
from modelward.api.model_approval import ModelApproval
from modelward.api.model_evaluation import ModelEvaluation
from modelward.api.model_version import ModelVersionSpec
from modelward.api.status import (
    ChallengerStatus,
    FailedVersion,
    GateStatus,
    ModelStatus,
    RolloutStatus,
    Stage,
    SwitchStatus,
    TrafficStatus,
    VersionReference,
    WatchStatus,
    WeightStatus,
)
from modelward.governance.approvals import NOT_LOOKED_AT, Trust
from modelward.lifecycle import decisions
from modelward.lifecycle.decide import decide
from modelward.lifecycle.plan import Plan
from modelward.lifecycle.policies import policy_digest
from modelward.lifecycle.snapshot import DeploymentView, Policy, Problem, RouteView, Snapshot, VersionView

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=3)

ERRORS: dict[str, Any] = {"name": "errors", "errorRate": {"maxIncrease": 0.005, "abortAbove": 0.2}}

STEADY: dict[str, Any] = {
    "stages": {
        "shadow": {"mirrorPercent": 100, "minDuration": "10m", "interval": "60s", "gates": [ERRORS]},
        "canary": {
            "steps": [{"weight": 10, "minDuration": "10m"}, {"weight": 50, "minDuration": "10m"}],
            "interval": "60s",
            "gates": [ERRORS],
        },
        "production": {"watch": {"duration": "1h"}, "standby": {"keep": 1, "replicas": "Full", "warmFor": "72h"}},
    },
    "onUnknown": {"deadline": "2h", "then": "Pause"},
}


def policy(name: str = "steady", *, without: tuple[str, ...] = (), **changes: Any) -> Policy:
    """STEADY with changes, written `canary__approvals=[...]` for `stages.canary.approvals`, or `spec__requires=...`."""
    stages = {stage: dict(body) for stage, body in STEADY["stages"].items() if stage not in without}
    spec: dict[str, Any] = {**STEADY, "stages": stages}
    for path, value in changes.items():
        section, _, field = path.partition("__")
        target = spec if section == "spec" else stages.setdefault(section, {})
        target[field] = value
    return policy_of(spec, name)


def policy_of(spec: Mapping[str, Any], name: str = "steady") -> Policy:
    """A policy from what a user would write."""
    parsed = LifecyclePolicySpec.model_validate(spec)
    return Policy(name, policy_digest(name, parsed), parsed)


def version_spec(version: str, replicas: int = 2, model: str = "credit-risk", **more: Any) -> ModelVersionSpec:
    """A version with one container; `serving=None` for one without pods."""
    template = {"spec": {"containers": [{"name": "server", "image": f"registry.example/credit:{version}"}]}}
    serving = {"replicas": replicas, "progressDeadline": "10m", "template": template}
    return ModelVersionSpec.model_validate({"model": model, "version": version, "serving": serving, **more})


@dataclass(frozen=True)
class Given:
    """One Model in a situation."""

    s: Snapshot

    def decide(self) -> Plan:
        return decide(self.s)

    # The Model's spec.

    def spec(self, **changes: Any) -> "Given":
        spec = self.s.model.spec.model_copy(update=changes)
        return self._with(model=self.s.model.model_copy(update={"spec": spec}))

    def requests(self, version: str | None, retry: int = 0) -> "Given":
        intent = self.s.model.spec.production.model_copy(update={"version": version, "retry": retry})
        return self.spec(production=intent)

    def suspended(self) -> "Given":
        return self.spec(suspend=True)

    def challenges_with(self, *versions: str) -> "Given":
        return self.spec(challengers=versions)

    def served_elsewhere(self) -> "Given":
        return self.spec(serving=None)

    def without_a_route(self) -> "Given":
        """No spec.serving.route: a Service is switched."""
        assert self.s.model.spec.serving is not None
        given = self.spec(serving=self.s.model.spec.serving.model_copy(update={"route": None}))
        view = given.s.route
        return given._with(route=replace(view, mirrors={}) if view else None)

    def deleted(self, ago: timedelta = timedelta(0)) -> "Given":
        at = (self.s.now - ago).isoformat()
        metadata = self.s.model.metadata.model_copy(update={"deletion_timestamp": at})
        return self._with(model=self.s.model.model_copy(update={"metadata": metadata}))

    # The policy.

    def under(self, chosen: Policy) -> "Given":
        """The policy that applies now, and to which what is said afterwards is pinned."""
        return self._with(policy=chosen, pinned={**self.s.pinned, chosen.digest: chosen}, policy_problem=None)

    def without_a_policy(self, reason: str = "PolicyMissing", message: str = "no LifecyclePolicy applies") -> "Given":
        return self._with(policy=None, policy_problem=Problem(reason, message))

    def without_the_kept_policy(self) -> "Given":
        return self._with(pinned={})

    # Versions.

    def version(self, version: str, **changes: Any) -> "Given":
        """A version that is registered; with `ready` pods it is also deployed."""
        ready = changes.pop("ready", None)
        replicas, more = changes.pop("replicas", 2), changes.pop("more", {})
        known = self.s.versions.get(version)
        if known is None:
            spec = version_spec(version, replicas, **more)
            known = VersionView(version, spec, version_digest(spec), live=True, generation=1, baseline=spec.baseline)
        if ready is not None:
            created = known.deployment.created_at if known.deployment else LONG_AGO
            changes = {"deployment": DeploymentView(known.replicas, ready, created), "service_exists": True, **changes}
        return self._with(versions={**self.s.versions, version: replace(known, **changes)})

    def pruned(self, version: str) -> "Given":
        """Its ModelVersion is gone; the copy of its spec is kept."""
        return self.version(version, live=False, status=None, evidence=None)

    def forgotten(self, version: str) -> "Given":
        """Nothing is left of it."""
        return self._with(versions={name: view for name, view in self.s.versions.items() if name != version})

    def serving(self, version: str, ready: int = 2, replicas: int = 2) -> "Given":
        given = self.version(version, ready=ready, replicas=replicas)
        given = given.status(production=given._reference(version, LONG_AGO))
        if given.s.requested is None:
            given = given.requests(version)
        return given.traffic({version: 100})

    def standby(self, version: str, ready: int = 2, since: datetime = LONG_AGO + timedelta(days=1)) -> "Given":
        given = self.version(version, ready=ready)
        return given.status(standby=(*given.s.status.standby, given._reference(version, since)))

    def failed(self, version: str, stage: Stage = Stage.CANARY, retry: int = 0) -> "Given":
        given = self if version in self.s.versions else self.version(version)
        entry = FailedVersion(
            version=version, digest=given.s.versions[version].digest, retry=retry, stage=stage, reason="GateFailed",
            message="gate errors failed.", at=LONG_AGO,
        )  # fmt: skip
        return given.status(failed=(*given.s.status.failed, entry))

    def unreadable(self, version: str, problem: str) -> "Given":
        return self._with(unreadable={**self.s.unreadable, version: problem})

    # The rollout.

    def validation(self, version: str) -> "Given":
        return self._rollout(version, Stage.VALIDATION)

    def shadow(self, version: str, **changes: Any) -> "Given":
        given = self._rollout(version, Stage.SHADOW, **changes)
        return given.traffic(given._weights(), {**given._mirrors(), version: 100})

    def canary(self, version: str, weight: int = 10, **changes: Any) -> "Given":
        assert self.s.policy is not None and self.s.policy.spec.stages.canary is not None
        weights = [step.weight for step in self.s.policy.spec.stages.canary.steps]
        given = self._rollout(version, Stage.CANARY, step=weights.index(weight), **changes)
        incumbent = given.s.status.production
        assert incumbent is not None
        return given.traffic({incumbent.version: 100 - weight, version: weight}, given._mirrors())

    def promoting(self, version: str, ready: int = 0) -> "Given":
        """On its way into production without a canary: all that lacks is ready pods."""
        return self._rollout(version, Stage.PRODUCTION, ready=ready)

    def watched(self, previous: str | None = None) -> "Given":
        """What serves was promoted half an hour ago and is watched for another half."""
        production, chosen = self.s.status.production, self.s.policy
        assert production is not None and chosen is not None
        watch = WatchStatus(
            version=production.version, digest=production.digest, policy_digest=chosen.digest, previous=previous,
            since=NOW - timedelta(minutes=30), until=NOW + timedelta(minutes=30),
        )  # fmt: skip
        return self.status(watch=watch)

    def switching(self, to: str, kind: str, since: datetime = NOW - timedelta(minutes=1)) -> "Given":
        switch = SwitchStatus.model_validate(
            {
                "to": to,
                "digest": self.s.versions[to].digest,
                "kind": kind,
                "because": "it was asked for.",
                "since": since,
            }
        )
        return self.status(switch=switch)

    def challenger(self, version: str, since: datetime = NOW - timedelta(hours=1), ready: int = 2) -> "Given":
        given = self.version(version, ready=ready).challenges_with(*self.s.model.spec.challengers, version)
        assert given.s.policy is not None
        entry = ChallengerStatus(
            version=version, digest=given.s.versions[version].digest, policy_digest=given.s.policy.digest,
            entered_at=since, traffic_since=since,
        )  # fmt: skip
        given = given.status(challengers=(*given.s.status.challengers, entry))
        return given.traffic(given._weights(), {**given._mirrors(), version: 100})

    def gate(self, name: str, result: str, message: str = "", reason: str = "", **changes: Any) -> "Given":
        """What the newest look found, for the candidate or for what is watched."""
        rollout, watch = self.s.status.rollout, self.s.status.watch
        assert rollout is not None or watch is not None
        row = GateStatus.model_validate(
            {
                "name": name,
                "stage": rollout.stage if rollout else Stage.PRODUCTION,
                "version": rollout.version if rollout else watch and watch.version,
                "result": result,
                "reason": reason or result,
                "message": message or f"{name} is {result}",
                "at": NOW - timedelta(seconds=1),
                **changes,
            }
        )
        return self.status(gates=(*self.s.status.gates, row))

    # People.

    def built_by(self, version: str, *builders: str) -> "Given":
        return self.version(version, more={"builtBy": list(builders)})

    def decided(
        self, decision: str, by: str, role: str = "risk", version: str | None = None, **changes: Any
    ) -> "Given":
        """A ModelApproval by somebody, made a minute ago on what the candidate is now, with the admission policies in place."""
        rollout, chosen = self.s.status.rollout, self.s.rollout_policy or self.s.policy
        about = version or (rollout.version if rollout else None)
        name = f"{by.split('@')[0]}-{decision.lower()}-{len(self.s.approvals)}"
        spec: dict[str, Any] = {
            "model": self.s.model.metadata.name, "role": role, "decision": decision, "approver": by, "reason": "said in a test",
        }  # fmt: skip
        if decision in ("Approve", "Reject", "Override") and "standing" not in changes:
            spec["version"] = about
        if decision in ("Approve", "Override") and about and chosen:
            asked = decisions.question(self.s, chosen, self.s.versions[about])
            spec["subjectDigest"] = asked.standing_subject if "standing" in changes else asked.subject
        if decision in ("Override", "Exception") or "standing" in changes:
            spec["expiresAt"] = NOW + timedelta(days=7)
        made = changes.pop("made", self.s.now - timedelta(minutes=1))
        metadata = {"name": name, "uid": name, "namespace": "lending", "creationTimestamp": made.isoformat()}
        approval = ModelApproval.model_validate({"metadata": metadata, "spec": {**spec, **changes}})
        trust = self.s.trust if self.s.trust is not NOT_LOOKED_AT else Trust(since=LONG_AGO)
        return self._with(approvals=(*self.s.approvals, approval), trust=trust)

    def trusts(self, problem: str | None = None, since: datetime | None = LONG_AGO) -> "Given":
        return self._with(trust=Trust(problem, since))

    def without_approvals(self) -> "Given":
        """Somebody deleted the objects."""
        return self._with(approvals=())

    def evaluated(self, version: str, at: datetime = LONG_AGO, name: str = "holdout", **metrics: float) -> "Given":
        spec = {
            "model": self.s.model.metadata.name, "version": version, "versionDigest": self.s.versions[version].digest,
            "name": name, "evaluator": "pipeline", "dataset": "sha256:" + "d" * 64, "at": at,
            "metrics": [{"name": metric, "value": value} for metric, value in metrics.items()],
        }  # fmt: skip
        metadata = {"name": f"{version}-{name}-{len(self.s.evaluations)}", "namespace": "lending"}
        evaluation = ModelEvaluation.model_validate({"metadata": metadata, "spec": spec})
        return self._with(evaluations=(*self.s.evaluations, evaluation))

    # The cluster.

    def traffic(
        self, weights: Mapping[str, int], mirrors: Mapping[str, int] | None = None, since: datetime = LONG_AGO
    ) -> "Given":
        """The split in status, and a route that carries it and is in force."""
        traffic = TrafficStatus(weights=_shares(weights), mirrors=_shares(mirrors or {}), changed_at=since)
        view = RouteView(dict(weights), dict(mirrors or {}), observed=True, accepted=True, resolved=True)
        return self.status(traffic=traffic)._with(route=view)

    def route(self, **changes: Any) -> "Given":
        assert self.s.route is not None
        return self._with(route=replace(self.s.route, **changes))

    def without_the_route_object(self) -> "Given":
        return self._with(route=None)

    def gateway_problem(self, sentence: str) -> "Given":
        return self._with(gateway_problem=sentence)

    def conflict(self, reason: str, message: str) -> "Given":
        return self._with(conflict=Problem(reason, message))

    # Time and memory.

    def at(self, moment: datetime) -> "Given":
        return self._with(now=moment)

    def later(self, **duration: float) -> "Given":
        return self.at(self.s.now + timedelta(**duration))

    def status(self, **changes: Any) -> "Given":
        return self._with(status=self.s.status.model_copy(update=changes))

    def rollout(self, **changes: Any) -> "Given":
        assert self.s.status.rollout is not None
        return self.status(rollout=self.s.status.rollout.model_copy(update=changes))

    def after(self, plan: Plan) -> "Given":
        """What a plan says is remembered; nothing of it has been done to the cluster yet."""
        known = {**({self.s.policy.digest: self.s.policy} if self.s.policy else {}), **self.s.pinned}
        versions = {
            name: replace(view, status=plan.versions.get(name, view.status)) for name, view in self.s.versions.items()
        }
        pinned = {digest: known[digest] for digest in plan.pins}
        return self._with(status=plan.status, versions=versions, pinned=pinned)

    # Details.

    def _rollout(self, version: str, stage: Stage, **changes: Any) -> "Given":
        ready = changes.pop("ready", 0 if stage is Stage.VALIDATION else 2)
        given = self.version(version) if stage is Stage.VALIDATION else self.version(version, ready=ready)
        given = given.requests(version, given.s.model.spec.production.retry)
        chosen, entered = given.s.policy, NOW - timedelta(hours=1)
        assert chosen is not None
        rollout = RolloutStatus(
            version=version, digest=given.s.versions[version].digest, policy=chosen.name, policy_digest=chosen.digest,
            retry=given.s.model.spec.production.retry, started_at=entered, stage=stage, stage_entered_at=entered,
            step_entered_at=entered, traffic_since=entered if stage in (Stage.SHADOW, Stage.CANARY) else None,
        )  # fmt: skip
        return given.status(rollout=rollout.model_copy(update=changes))

    def _reference(self, version: str, since: datetime) -> VersionReference:
        return VersionReference(version=version, digest=self.s.versions[version].digest, since=since)

    def _weights(self) -> dict[str, int]:
        traffic = self.s.status.traffic
        return {entry.version: entry.percent for entry in traffic.weights} if traffic else {}

    def _mirrors(self) -> dict[str, int]:
        traffic = self.s.status.traffic
        return {entry.version: entry.percent for entry in traffic.mirrors} if traffic else {}

    def _with(self, **changes: Any) -> "Given":
        return Given(replace(self.s, **changes))


def _shares(shares: Mapping[str, int]) -> tuple[WeightStatus, ...]:
    return tuple(WeightStatus(version=version, percent=percent) for version, percent in sorted(shares.items()))


def model(name: str = "credit-risk") -> Given:
    """A Model with a route, a policy that applies, and nothing else yet."""
    written = {
        "metadata": {"name": name, "namespace": "lending", "uid": "uid-1", "generation": 3},
        "spec": {
            "riskTier": "Low",
            "serving": {
                "route": {
                    "parentRefs": [{"name": "public", "namespace": "gateways"}],
                    "hostnames": ["credit.example.com"],
                    "pathPrefix": "/v1/predict",
                }
            },
        },
    }
    chosen = policy()
    snapshot = Snapshot(
        now=NOW, model=Model.model_validate(written), status=ModelStatus(), versions={}, policy=chosen,
        pinned={chosen.digest: chosen},
    )  # fmt: skip
    return Given(snapshot)
