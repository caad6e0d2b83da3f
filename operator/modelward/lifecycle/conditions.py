"""The conditions of a Model and of a ModelVersion, derived from what is known; times move only when a status flips."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Literal

from modelward.api import reasons
from modelward.api.gates import kind_of
from modelward.api.status import Condition, GateStatus, ModelStatus
from modelward.governance import register
from modelward.governance.register import RegisterFacts
from modelward.lifecycle.assess import Assessment, judged_now, mirror_incomplete, mismatched, rows_of
from modelward.lifecycle.challengers import not_shadowed
from modelward.lifecycle.monitoring import rows_that_count
from modelward.lifecycle.plan import Outcome
from modelward.lifecycle.snapshot import Problem, Snapshot, latch_of_requested

Truth = Literal["True", "False", "Unknown"]
Finding = tuple[Truth, str, str]  # status, reason, message

ARRIVAL_GRACE = timedelta(minutes=1)
"""How long what a Model refers to may come later than the Model itself, and its route later than its traffic."""

_ARRIVES = frozenset({reasons.VERSION_NOT_FOUND, reasons.POLICY_MISSING, reasons.BASELINE_MISSING})


def conditions_of(
    s: Snapshot,
    status: ModelStatus,
    outcome: Outcome,
    assessment: Assessment,
    problem: Problem | None,
    facts: RegisterFacts,
) -> tuple[Condition, ...]:
    """Every condition of a Model, in a fixed order."""
    serving = _serving(s, status)
    ready = _ready(s, status, outcome, problem, serving)
    findings: dict[str, Finding] = {
        "Ready": ready,
        "Serving": serving,
        "Progressing": _progressing(outcome),
        "GatesPassed": _gates_passed(s, status, status.gates),
        "TrafficApplied": _traffic_applied(s, status, assessment),
        "Performing": _performing(s, status),
        "DriftDetected": _drift_detected(s, status),
        "RollbackTargetReady": _rollback_target_ready(s, status),
        **_challengers_shadowed(s, status),
        "SpecValid": ("False", problem.reason, problem.message) if problem else ("True", reasons.VALID, ""),
        **_for_tools(s, status, outcome, problem, ready),
        **register.conditions(facts),
        "ApprovalsTrusted": _approvals_trusted(s),
    }
    generation = s.model.metadata.generation
    return with_times(findings, s.status.conditions, s.now, generation)


def with_times(
    findings: dict[str, Finding], previous: Iterable[Condition], now: datetime, generation: int
) -> tuple[Condition, ...]:
    """Findings as metav1.Conditions: the time of one whose status did not flip is kept."""
    known = {condition.type: condition for condition in previous}

    def condition(kind: str, finding: Finding) -> Condition:
        status, reason, message = finding
        before = known.get(kind)
        since = before.last_transition_time if before and before.status == status else now.replace(microsecond=0)
        return Condition(
            type=kind,
            status=status,
            reason=reason,
            message=message[:4096],
            last_transition_time=since,
            observed_generation=generation,
        )

    return tuple(condition(kind, finding) for kind, finding in findings.items())


def gates_summary(gates: tuple[GateStatus, ...], status: ModelStatus) -> str:
    """``3/4 1 Inconclusive``: gates passed of those that apply, and what the others lack."""
    judged = judged_now(status)
    rows = rows_of(gates, *judged) if judged else ()
    if not rows:
        return ""
    others = [row.result for row in rows if row.result != "Pass"]
    lacking = ", ".join(
        f"{others.count(result)} {result}" for result in ("Fail", "Unknown", "Inconclusive") if result in others
    )
    return f"{len(rows) - len(others)}/{len(rows)}" + (f" {lacking}" if lacking else "")


def _serving(s: Snapshot, status: ModelStatus) -> Finding:
    production = status.production
    if s.model.spec.serving is None:
        return "Unknown", reasons.NOT_SERVED_HERE, "spec.serving is not set: the Model is served elsewhere."
    if production is None:
        return "False", reasons.NO_PRODUCTION_VERSION, "No version serves users yet."
    view = s.versions.get(production.version)
    if view is None or view.available == 0:
        why = f": {view.problem}" if view is not None and view.problem else ""
        return "False", reasons.BACKENDS_UNAVAILABLE, f"{production.version} has no ready pod{why}."
    if s.route is None or not s.route.accepted:
        why = s.gateway_problem or (s.route.message if s.route else "")
        message = f"{production.version} has ready pods, but no route leads to them. {why}".strip()
        return "False", reasons.ROUTE_NOT_ACCEPTED, message
    return (
        "True",
        reasons.PRODUCTION_AVAILABLE,
        f"{production.version}: {view.available} of {view.replicas} pods are ready.",
    )


def _ready(s: Snapshot, status: ModelStatus, outcome: Outcome, problem: Problem | None, serving: Finding) -> Finding:
    latch = latch_of_requested(s, status)
    if s.model.spec.suspend:
        return "False", reasons.SUSPENDED, outcome.message
    if problem:
        return "False", reasons.SPEC_INVALID, problem.message
    if status.rollout or status.switch:
        return "False", reasons.ROLLOUT_IN_PROGRESS, outcome.message
    if latch:
        return "False", reasons.ROLLED_BACK, f"{latch.version} failed in {latch.stage}: {latch.message}"
    if s.model.spec.serving is None:
        return "True", reasons.NOT_SERVED_HERE, outcome.message
    if s.requested is None:
        return "False", reasons.NO_VERSION_REQUESTED, outcome.message
    if status.production is None or status.production.version != s.requested:
        return "False", reasons.ROLLOUT_IN_PROGRESS, outcome.message
    if serving[0] != "True":
        return serving
    return "True", reasons.PROMOTED, f"{status.production.version} serves all traffic."


def _progressing(outcome: Outcome) -> Finding:
    return ("True" if outcome.progressing else "False"), outcome.reason, outcome.message


def _for_tools(
    s: Snapshot, status: ModelStatus, outcome: Outcome, problem: Problem | None, ready: Finding
) -> dict[str, Finding]:
    """What tools such as Flux go by (kstatus): never both of them True, and neither beside Ready=True.

    Stalled fails what waits for the Model at once, so that it is not said of what arrives a moment later from the same commit.
    """
    stalled = _stalled(status, outcome, problem, ready)
    if problem and stalled[0] == "True" and _may_still_come(s, problem):
        return {
            "Reconciling": ("True", problem.reason, problem.message),
            "Stalled": ("False", problem.reason, ""),
        }
    moving = outcome.progressing and stalled[0] != "True" and ready[0] != "True"
    return {"Reconciling": ("True" if moving else "False", outcome.reason, outcome.message), "Stalled": stalled}


def _may_still_come(s: Snapshot, problem: Problem) -> bool:
    """Is something missing that may be on its way, and not for long yet?

    For how long is told by two conditions: SpecValid turned False when it was first missed, or Stalled did when another spec came.
    """
    known = {condition.type: condition for condition in s.status.conditions}
    valid, stalled = known.get("SpecValid"), known.get("Stalled")
    if problem.reason not in _ARRIVES:
        return False
    if valid is None or stalled is None or valid.status != "False":
        return True
    if valid.observed_generation < s.model.metadata.generation:
        return True
    return s.now < max(valid.last_transition_time, stalled.last_transition_time) + ARRIVAL_GRACE


def _stalled(status: ModelStatus, outcome: Outcome, problem: Problem | None, ready: Finding) -> Finding:
    if problem:
        return "True", problem.reason, problem.message
    if outcome.reason in (reasons.ROLLED_BACK, reasons.GATE_FAILED) and not outcome.progressing:
        return "True", outcome.reason, outcome.message
    if ready[1] == reasons.ROLLED_BACK and not status.rollout:
        return "True", ready[1], ready[2]
    return "False", outcome.reason, ""


def _gates_passed(s: Snapshot, status: ModelStatus, gates: tuple[GateStatus, ...]) -> Finding:
    judged = judged_now(status)
    latch = latch_of_requested(s, status)
    if judged is None and latch is not None:
        judged = latch.version, latch.stage
    rows = rows_of(gates, *judged) if judged else ()
    if not rows:
        return "Unknown", reasons.NO_GATES, "No gate is being judged."
    for result, reason in (("Fail", reasons.GATE_FAILED), ("Unknown", ""), ("Inconclusive", reasons.INCONCLUSIVE)):
        row = next((row for row in rows if row.result == result), None)
        if row:
            truth: Truth = "False" if result == "Fail" else "Unknown"
            return truth, reason or row.reason, f"{row.name}: {row.message}"
    return (
        "True",
        reasons.ALL_PASSED,
        f"All {len(rows)} gates pass." if len(rows) > 1 else f"Gate {rows[0].name} passes.",
    )


def _traffic_applied(s: Snapshot, status: ModelStatus, assessment: Assessment) -> Finding:
    if status.traffic is None:
        return "Unknown", reasons.NO_TRAFFIC, "No version gets traffic yet."
    if not s.routed:
        return "True", reasons.SERVICE_SELECTS, "The Service selects the version in production."
    route = s.route
    if route is None and s.gateway_problem:
        return "False", reasons.ROUTE_NOT_ACCEPTED, s.gateway_problem
    if route is None and s.now < status.traffic.changed_at + ARRIVAL_GRACE:
        return "Unknown", reasons.ROUTE_NOT_ACCEPTED, "The route is not there yet."
    if route is None:
        message = "The route is not there: it was deleted, or cannot be made, of which the operator's log says why."
        return "False", reasons.ROUTE_NOT_ACCEPTED, message
    if route.accepted is False or (s.gateway_problem and not route.in_force):
        return "False", reasons.ROUTE_NOT_ACCEPTED, s.gateway_problem or route.message
    if route.resolved is False:
        return "False", reasons.REFS_UNRESOLVED, route.message
    if not route.in_force:
        return "Unknown", reasons.ROUTE_NOT_ACCEPTED, "The gateway has not seen the newest route yet."
    share = mismatched(assessment) or mirror_incomplete(assessment)
    if share:
        return "False", reasons.SHARE_MISMATCH, share.sentence
    observed = assessment.share.sentence if assessment.share else "The gateway has accepted the route."
    return "True", reasons.ROUTE_ACCEPTED, observed


def _performing(s: Snapshot, status: ModelStatus) -> Finding:
    """Does what serves still do what it was promoted for? By its monitoring, whatever a rollout beside it finds."""
    production, told = status.production, status.monitoring
    if production is None:
        return "Unknown", reasons.NO_PRODUCTION_VERSION, "No version serves users yet."
    if told is None:
        message = f"The policy that {production.version} was promoted under asks for no monitoring."
        return "Unknown", reasons.NO_MONITORING, message
    if told.problem:
        return "Unknown", reasons.MONITORING_UNAVAILABLE, told.problem
    rows = rows_that_count(told)
    for result, reason in (
        ("Fail", reasons.MONITORING_FAILED),
        ("Unknown", ""),
        ("Inconclusive", reasons.INCONCLUSIVE),
    ):
        row = next((row for row in rows if row.result == result), None)
        if row:
            truth: Truth = "False" if result == "Fail" else "Unknown"
            return truth, reason or row.reason, f"{row.name}: {row.message}"
    if not rows:
        return "Unknown", reasons.NOT_MEASURED, f"{production.version} was not looked at yet."
    return "True", reasons.WITHIN_BOUNDS, f"All {len(rows)} gates of the monitoring of {production.version} pass."


def _drift_detected(s: Snapshot, status: ModelStatus) -> Finding:
    """Of what serves, and of the candidate; rows that a rollout has left behind count only where nothing is monitored."""
    drifting = _drift_gates(s)
    rows = [row for row in status.monitoring.gates if row.name in drifting] if status.monitoring else []
    if not rows or judged_now(status):
        rows += [row for row in status.gates if row.name in drifting]
    failed = next((row for row in rows if row.result == "Fail"), None)
    if failed:
        return "True", reasons.THRESHOLD_EXCEEDED, failed.message
    if not rows:
        return "Unknown", reasons.NOT_MEASURED, "No gate measures drift now."
    undecided = next((row for row in rows if row.result != "Pass"), None)
    if undecided:
        return "Unknown", undecided.reason, undecided.message
    return "False", reasons.WITHIN_THRESHOLD, rows[0].message


def _drift_gates(s: Snapshot) -> frozenset[str]:
    policies = [*s.pinned.values(), *([s.policy] if s.policy else [])]
    stages = [
        stage
        for stages in (policy.spec.stages for policy in policies)
        for stage in (stages.shadow, stages.canary, stages.production.monitoring)
    ]
    gates = [gate for stage in stages if stage for gate in stage.gates]
    return frozenset(gate.name for gate in gates if kind_of(gate) in ("drift", "prediction_drift"))


def _approvals_trusted(s: Snapshot) -> Finding:
    if s.trust.problem is not None:
        message = f"No ModelApproval is counted: {s.trust.problem}."
        return "False", reasons.ADMISSION_NOT_IN_PLACE, message
    since = f" since {s.trust.since:%Y-%m-%d %H:%M} UTC" if s.trust.since else ""
    return "True", reasons.ADMISSION_IN_PLACE, f"The admission policies are in place{since}."


def _challengers_shadowed(s: Snapshot, status: ModelStatus) -> dict[str, Finding]:
    """Only for a Model that names challengers."""
    named = s.model.spec.challengers
    if not named:
        return {}
    missing = not_shadowed(s, status)
    if missing:
        message = " ".join(f"{version} is not shadowed: {why}." for version, why in missing.items())
        return {"ChallengersShadowed": ("False", reasons.CHALLENGER_NOT_SHADOWED, message)}
    message = f"{', '.join(named)}: shadowed, or in a rollout."
    return {"ChallengersShadowed": ("True", reasons.CHALLENGERS_SHADOWED, message)}


def _rollback_target_ready(s: Snapshot, status: ModelStatus) -> Finding:
    in_canary = status.rollout is not None and status.production is not None
    target = status.production if in_canary else (status.standby[0] if status.standby else None)
    if target is None:
        return "False", reasons.PREVIOUS_MISSING, "There is no previous version to roll back to."
    view = s.versions.get(target.version)
    if view is None:
        return "False", reasons.PREVIOUS_MISSING, f"{target.version} is no longer known."
    have = f"{view.available} of {view.replicas} pods are ready"
    if view.ready:
        return "True", reasons.PREVIOUS_WARM, f"{target.version}: {have}."
    return "False", reasons.PREVIOUS_COLD, f"{target.version}: {have}; a rollback starts the others first."
