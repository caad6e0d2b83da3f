"""Can the spec be acted upon? An ordered list of checks; the first that objects names the field and the remedy."""

from collections.abc import Callable

from modelward.api import reasons
from modelward.api.gates import Gate, Reference, kind_of
from modelward.api.status import Stage
from modelward.lifecycle import register
from modelward.lifecycle.snapshot import Policy, Problem, Snapshot, VersionView

Check = Callable[[Snapshot], Problem | None]


def problem_of(snapshot: Snapshot) -> Problem | None:
    """What stands in the way of acting on the spec, or None."""
    return next((problem for check in CHECKS if (problem := check(snapshot))), None)


def model_id_is_unique_and_route_is_free(s: Snapshot) -> Problem | None:
    """Two Models must not claim one register number, nor one host and path."""
    return s.conflict


def requested_version_can_be_read(s: Snapshot) -> Problem | None:
    """Not every rule can be checked at the door; what the API server lets through is checked here."""
    wrong = s.unreadable.get(s.requested or "")
    if wrong is None:
        return None
    name = f"{s.model.metadata.name}-{s.requested}"
    return Problem(reasons.VERSION_INVALID, f"ModelVersion {name}: {wrong}; make a new version without the mistake")


def requested_version_exists(s: Snapshot) -> Problem | None:
    """A Model may arrive before its ModelVersion; until that comes there is nothing to roll out."""
    version = s.requested
    known = {entry.version for entry in s.status.standby}
    if s.status.production:
        known.add(s.status.production.version)
    view = s.versions.get(version or "")
    if version is None or (view is not None and (view.live or version in known)):
        return None
    name = f"{s.model.metadata.name}-{version}"
    return Problem(
        reasons.VERSION_NOT_FOUND,
        f"spec.production.version is {version!r}, but there is no ModelVersion {name!r} in namespace"
        f" {s.model.metadata.namespace!r}: create it, or name one that exists",
    )


def deployed_versions_are_unchanged(s: Snapshot) -> Problem | None:
    """A ModelVersion that was deleted and made anew with other content would be served under a name that was judged."""
    for view in s.versions.values():
        if view.changed and view.version == s.requested:
            return Problem(
                reasons.VERSION_CHANGED,
                f"ModelVersion {s.model.metadata.name}-{view.version} was made anew with other content than what was"
                " deployed under this name: give the new content a version of its own",
            )
    return None


def requested_version_can_be_served(s: Snapshot) -> Problem | None:
    """A Model that is served here needs versions with a pod template."""
    view = s.versions.get(s.requested or "")
    if s.model.spec.serving is None or view is None or view.spec.serving is not None:
        return None
    return Problem(
        reasons.VERSION_NOT_SERVABLE,
        f"the Model has spec.serving, but ModelVersion {s.model.metadata.name}-{view.version} has no spec.serving.template:"
        " add it in a new version, or remove spec.serving from a Model that is served elsewhere",
    )


def a_policy_applies(s: Snapshot) -> Problem | None:
    """Without a policy nothing says what a rollout has to show. One in flight keeps the policy it was pinned to."""
    return None if s.status.rollout else s.policy_problem


def the_tier_is_not_below_the_floor(s: Snapshot) -> Problem | None:
    """A team may claim a higher tier than its risk assessment gives, never a lower one."""
    return register.below_floor(s)


def stages_that_need_shares_have_a_route(s: Snapshot) -> Problem | None:
    """A Service switches all or nothing: it can neither mirror nor split."""
    policy = _policy_in_question(s)
    if policy is None or s.routed or s.model.spec.serving is None:
        return None
    stages = policy.spec.stages
    needing = [name for name, stage in (("shadow", stages.shadow), ("canary", stages.canary)) if stage is not None]
    if not needing:
        return None
    return Problem(
        reasons.ROUTE_REQUIRED,
        f"policy {policy.name!r} has the stages {' and '.join(needing)}, which need spec.serving.route:"
        " add the route, or ask for a policy without them",
    )


def gates_of_validation_need_no_traffic(s: Snapshot) -> Problem | None:
    """In Validation a version has no pods yet: a gate on what they count would hold it for ever."""
    policy = _policy_in_question(s)
    if policy is None:
        return None
    for gate in policy.gates(Stage.VALIDATION):
        kind = kind_of(gate)
        if kind in _NEED_TRAFFIC:
            return Problem(
                reasons.INVALID_GATE,
                f"gate {gate.name!r} of policy {policy.name!r} judges what pods count, but is in Validation, where a version"
                " has no pods yet: move it to the shadow or canary stage",
            )
    return None


def gates_have_their_baseline(s: Snapshot) -> Problem | None:
    """A gate that compares with the training data needs the training distributions."""
    policy = _policy_in_question(s)
    view = s.versions.get(s.requested or "")
    if policy is None or view is None:
        return None
    if view.baseline_problem:
        return Problem(reasons.BASELINE_MISSING, view.baseline_problem)
    monitoring = policy.spec.stages.production.monitoring
    monitored = monitoring.gates if monitoring else ()
    for gates in (policy.gates(Stage.SHADOW), policy.gates(Stage.CANARY), monitored):
        for gate in gates:
            missing = _missing_baseline(gate, view)
            if missing:
                return Problem(
                    reasons.BASELINE_MISSING,
                    f"gate {gate.name!r} of policy {policy.name!r} compares with the training data, but ModelVersion"
                    f" {s.model.metadata.name}-{view.version} has no {missing}: make it with `modelward baseline`",
                )
    return None


CHECKS: tuple[Check, ...] = (
    model_id_is_unique_and_route_is_free,
    requested_version_can_be_read,
    requested_version_exists,
    deployed_versions_are_unchanged,
    requested_version_can_be_served,
    a_policy_applies,
    the_tier_is_not_below_the_floor,
    stages_that_need_shares_have_a_route,
    gates_of_validation_need_no_traffic,
    gates_have_their_baseline,
)

_NEED_TRAFFIC = frozenset({"error_rate", "latency", "drift", "prediction_drift", "data_quality", "quality", "fairness"})


def _policy_in_question(s: Snapshot) -> Policy | None:
    """The pinned policy while a rollout runs; else the one that a rollout would start under, if one is wanted."""
    if s.status.rollout:
        return s.rollout_policy
    production = s.status.production
    wanted = s.requested is not None and (production is None or production.version != s.requested)
    return s.policy if wanted else None


def _missing_baseline(gate: Gate, view: VersionView) -> str | None:
    """Which part of the baseline a gate lacks, as a path of the ModelVersion."""
    baseline = view.baseline
    if gate.drift and gate.drift.reference is Reference.BASELINE and not (baseline and baseline.features):
        return "spec.baseline.features"
    if gate.data_quality and not (baseline and baseline.features):
        return "spec.baseline.features"
    prediction = gate.prediction_drift
    if prediction and prediction.reference is Reference.BASELINE and not (baseline and baseline.predictions):
        return "spec.baseline.predictions"
    return None
