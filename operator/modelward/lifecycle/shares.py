"""How requests should be split, and which pods should run, as pure functions of status and snapshot."""

from datetime import timedelta

from modelward.api.stages import StandbyPolicy
from modelward.api.status import ModelStatus, Stage, TrafficStatus, WeightStatus
from modelward.lifecycle.plan import Children, Traffic
from modelward.lifecycle.snapshot import Snapshot, VersionView

DRAIN = timedelta(seconds=10)
"""How long pods outlive the last route that named them: requests in flight, and gateways that lag behind."""

_WITH_PODS = (Stage.SHADOW, Stage.CANARY, Stage.PRODUCTION)


def traffic_of(s: Snapshot, status: ModelStatus) -> Traffic:
    """The split that a status asks for, as far as there are ready backends for it.

    A version without a Service is never named: a gateway answers 500 to every user's request when a mirror names a
    Service that is missing. A candidate gets nothing before all of its pods are ready, nor once none is.
    """
    if status.production is None or s.model.spec.serving is None:
        return Traffic()
    incumbent = status.production.version
    if not s.routed:
        return Traffic(weights={incumbent: 100})
    weight = candidate_weight(s, status)
    rollout = status.rollout
    weights = {incumbent: 100 - weight}
    if rollout and weight:
        weights[rollout.version] = weight
    return Traffic(weights={version: share for version, share in weights.items() if share}, mirrors=_mirrors(s, status))


def candidate_weight(s: Snapshot, status: ModelStatus) -> int:
    """The candidate's share of users' requests in percent."""
    rollout = status.rollout
    if rollout is None or rollout.stage is not Stage.CANARY or not _can_receive(s, rollout.version):
        return 0
    policy = s.pinned.get(rollout.policy_digest)
    canary = policy.spec.stages.canary if policy else None
    return canary.steps[rollout.step].weight if canary and rollout.step < len(canary.steps) else 0


def traffic_status(s: Snapshot, status: ModelStatus) -> TrafficStatus | None:
    """The split as status reports it; its time moves only when the split does."""
    wanted = traffic_of(s, status)
    weights = tuple(WeightStatus(version=version, percent=share) for version, share in sorted(wanted.weights.items()))
    mirrors = tuple(WeightStatus(version=version, percent=share) for version, share in sorted(wanted.mirrors.items()))
    current = status.traffic
    if (not weights and current is None) or s.model.spec.serving is None:
        return current
    if current and current.weights == weights and current.mirrors == mirrors:
        return current
    return TrafficStatus(weights=weights, mirrors=mirrors, changed_at=s.now)


def traffic_key(status: ModelStatus) -> str:
    """A name for the split: evidence from two different splits is not compared as one."""
    traffic = status.traffic
    if traffic is None:
        return ""
    weights = ",".join(f"{entry.version}={entry.percent}" for entry in traffic.weights)
    mirrors = ",".join(f"{entry.version}={entry.percent}" for entry in traffic.mirrors)
    return f"{weights};mirror {mirrors}"


def traffic_in_force(s: Snapshot) -> bool:
    """Does the route carry the split that status asks for, and has the gateway taken it over?"""
    traffic = s.status.traffic
    if traffic is None or s.route is None:
        return False
    weights = {entry.version: entry.percent for entry in traffic.weights}
    mirrors = {entry.version: entry.percent for entry in traffic.mirrors}
    return s.route.in_force and dict(s.route.weights) == weights and dict(s.route.mirrors) == mirrors


def children_of(s: Snapshot, status: ModelStatus) -> Children:
    """Which versions should have pods, and which Deployments stay because requests may still be under way to them."""
    if s.model.spec.serving is None:
        return Children(kept=frozenset(view.version for view in s.versions.values() if view.deployment))
    pods: dict[str, int] = {}
    standby, reachable = standby_policy(s), _reachable(s, status)
    for reference in status.standby:
        view = s.versions.get(reference.version)
        replicas = view.replicas if view else 0
        warm = replicas if isinstance(standby.replicas, str) else min(standby.replicas, replicas)
        wanted = 0 if s.now >= reference.since + standby.warm_for else warm
        # Users' requests may still be under way to it: it shrinks only after the traffic has gone.
        needed = view.deployment.desired if view and view.deployment and reference.version in reachable else 0
        pods[reference.version] = max(wanted, needed)
    for version in _running(status):
        if version in s.versions:
            pods[version] = s.versions[version].replicas
    return Children(pods=pods, kept=frozenset(reachable))


def stage_of(view: VersionView, status: ModelStatus) -> Stage:
    """Where a version is in its life, by the role it has."""
    version = view.version
    if status.production and status.production.version == version:
        return Stage.PRODUCTION
    if status.rollout and status.rollout.version == version:
        return status.rollout.stage
    if any(reference.version == version for reference in status.standby):
        return Stage.STANDBY
    if any(challenger.version == version for challenger in status.challengers):
        return Stage.SHADOW
    if any(reference.version == version for reference in status.retired):
        return Stage.RETIRED
    return Stage.DEPRECATED if view.spec.deprecation else Stage.REGISTERED


def standby_policy(s: Snapshot) -> StandbyPolicy:
    """How many previous versions are kept, and how warm: by the policy of the rollout, else by the one that applies."""
    watch = s.status.watch
    pinned = s.rollout_policy or (s.pinned.get(watch.policy_digest) if watch else None)
    policy = pinned or s.policy
    return policy.spec.stages.production.standby if policy else StandbyPolicy()


def _running(status: ModelStatus) -> tuple[str, ...]:
    """Versions that run with all their pods."""
    production = (status.production.version,) if status.production else ()
    rollout = (status.rollout.version,) if status.rollout and status.rollout.stage in _WITH_PODS else ()
    switch = (status.switch.to,) if status.switch else ()
    challengers = tuple(challenger.version for challenger in status.challengers)
    return (*production, *rollout, *switch, *challengers)


def _mirrors(s: Snapshot, status: ModelStatus) -> dict[str, int]:
    rollout = status.rollout
    mirrors: dict[str, int] = {}
    for challenger in status.challengers:
        policy = s.pinned.get(challenger.policy_digest)
        if policy and policy.spec.stages.shadow and _can_receive(s, challenger.version):
            mirrors[challenger.version] = policy.spec.stages.shadow.mirror_percent
    if rollout and rollout.stage is Stage.SHADOW and _can_receive(s, rollout.version):
        policy = s.pinned.get(rollout.policy_digest)
        if policy and policy.spec.stages.shadow:
            mirrors[rollout.version] = policy.spec.stages.shadow.mirror_percent
    return mirrors


def _can_receive(s: Snapshot, version: str) -> bool:
    """Traffic begins when all pods are ready, and goes on while there is one."""
    view, traffic = s.versions.get(version), s.status.traffic
    if view is None or not view.service_exists:
        return False
    begun = traffic is not None and any(entry.version == version for entry in (*traffic.weights, *traffic.mirrors))
    return view.ready or (begun and view.available > 0)


def _reachable(s: Snapshot, status: ModelStatus) -> set[str]:
    """Versions that a request may still be under way to: the live route names them, or did a moment ago."""
    named: set[str] = set()
    if s.route:
        named |= set(s.route.weights) | set(s.route.mirrors)
    traffic = status.traffic
    if traffic:
        named |= {entry.version for entry in (*traffic.weights, *traffic.mirrors)}
    quiet = traffic is None or s.now >= traffic.changed_at + DRAIN
    settled = quiet and (s.route is None or s.route.in_force)
    if not settled:
        named |= {view.version for view in s.versions.values() if view.deployment}
    return named
