"""Snapshot in, Plan out: the whole decision, without input, output, clock or chance."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from modelward.api import reasons
from modelward.api.status import GateStatus, ModelStatus, Stage, TrafficStatus, VersionStatus
from modelward.governance.approvals import next_expiry
from modelward.governance.register import RegisterFacts, next_deadline, review_due
from modelward.lifecycle import challengers, decisions, monitoring, register
from modelward.lifecycle.assess import Assessment, assess, due, next_look, subjects
from modelward.lifecycle.audit import links_of
from modelward.lifecycle.conditions import Finding, conditions_of, gates_summary, with_times
from modelward.lifecycle.plan import Drain, Outcome, Plan, Traffic
from modelward.lifecycle.rules import DRAIN_GRACE, DRAIN_LIMIT, RULES, Case, approvals_due
from modelward.lifecycle.shares import (
    DRAIN,
    candidate_weight,
    children_of,
    stage_of,
    standby_policy,
    traffic_of,
    traffic_status,
)
from modelward.lifecycle.snapshot import Snapshot, VersionView
from modelward.lifecycle.validity import problem_of

PATIENCE = timedelta(seconds=5)
"""While something is awaited that an event should announce, look anyway after this long."""


def decide(s: Snapshot) -> Plan:
    """What follows from a snapshot. The first rule that has something to say wins."""
    as_found = s
    s, heard = decisions.taken_down(s)
    problem = problem_of(s)
    assessment = assess(s)
    outcome = _first_outcome(Case(s, assessment, problem))
    deleted = s.model.metadata.deletion_timestamp is not None
    status = outcome.status
    if not deleted and not s.model.spec.suspend:
        status = _without_lost_standby(s, challengers.brought_up_to_date(s, status))
    traffic = None if deleted else traffic_status(s, status)
    if deleted and s.status.traffic:
        traffic = _ended(s.status.traffic, s.now)
    gates = _gates(s, status, assessment)
    told = monitoring.told_of(s, status, assessment.monitoring, assessment.monitored)
    status = status.model_copy(update={"traffic": traffic, "gates": gates, "monitoring": told})
    due = approvals_due(Case(replace(s, status=status), assessment, problem))
    facts = register.facts_of(_as_counted(s, status, assessment), status)
    status = status.model_copy(
        update={
            "pending_approvals": decisions.pending(s, status, due),
            "risk_tier": register.tier_of(s),
            "review_due": review_due(facts),
            "observed_generation": s.model.metadata.generation,
            "stage": _stage(status),
            "weight": _weight(s, status),
            "gates_summary": gates_summary(gates, status),
            "conditions": conditions_of(s, status, outcome, assessment, problem, facts),
        }
    )
    check_at = _settled(s, _check_at(s, status, outcome, facts))
    links = links_of(as_found, status, assessment)
    status = status.model_copy(update={"next_check_at": check_at, "audit": links.head})
    return Plan(
        status=status,
        versions=_version_statuses(s, status, assessment),
        pins=_pins(status),
        children=children_of(s, status),
        traffic=Traffic() if deleted else traffic_of(s, status),
        announcements=(
            *heard,
            *outcome.announcements,
            *challengers.started(s, status),
            *monitoring.announced(s, status.monitoring),
        ),
        records=links.records,
        check_at=check_at,
        drain=_drain(s, outcome, deleted),
    )


def _as_counted(s: Snapshot, status: ModelStatus, assessment: Assessment) -> Snapshot:
    """The snapshot with the evidence of this very look: a condition that speaks of the look before would be written twice."""
    versions = {
        name: replace(view, evidence=assessment.evidence.get(name, view.evidence)) for name, view in s.versions.items()
    }
    known = s.status.model_copy(update={"monitoring": status.monitoring})
    return replace(s, status=known, versions=versions)


def _first_outcome(case: Case) -> Outcome:
    for rule in RULES:
        outcome = rule(case)
        if outcome is not None:
            return outcome
    return Outcome(case.status, reasons.AT_REST, "Nothing to do.", False)


def _drain(s: Snapshot, outcome: Outcome, deleted: bool) -> Drain:
    if outcome.released:
        return "Release"
    if deleted:
        return "Remove"
    return "Hold" if s.model.spec.serving else "None"


def _without_lost_standby(s: Snapshot, status: ModelStatus) -> ModelStatus:
    """Versions in standby of which nothing is left can be gone back to no more."""
    gone = frozenset(reference.version for reference in status.standby if reference.version not in s.versions)
    if not gone:
        return status
    kept = tuple(reference for reference in status.standby if reference.version not in gone)
    return status.model_copy(update={"standby": kept})


def _gates(s: Snapshot, status: ModelStatus, assessment: Assessment) -> tuple[GateStatus, ...]:
    """The newest rows of what is judged; those of a rollout that ended stay, so that its reasons can be read.

    A rollout begins without rows: those of an earlier attempt at the same stage would speak of another time. They are
    told apart by what begins, not by their time, which is later than now when the clock was set back.
    """
    rows = assessment.gates or s.status.gates
    if status.rollout is None:
        left_without_verdict = s.status.rollout is not None and not status.gates
        return () if left_without_verdict else rows
    going_on = {(version, stage) for version, stage, _ in _judged(status) & _judged(s.status)}
    return tuple(row for row in rows if (row.version, row.stage) in going_on)


def _judged(status: ModelStatus) -> set[tuple[str, Stage, datetime]]:
    """The candidate and the challengers, each with its stage and when that began."""
    judged = {(challenger.version, Stage.SHADOW, challenger.entered_at) for challenger in status.challengers}
    if status.rollout:
        judged.add((status.rollout.version, status.rollout.stage, status.rollout.stage_entered_at))
    return judged


def _ended(traffic: TrafficStatus, now: datetime) -> TrafficStatus:
    """No traffic any more; the time is that at which it ended."""
    if not traffic.weights and not traffic.mirrors:
        return traffic
    return traffic.model_copy(update={"weights": (), "mirrors": (), "changed_at": now})


def _settled(s: Snapshot, check_at: datetime | None) -> datetime | None:
    """An earlier look that is still to come stands: a deadline that moved with every look would be written, seen, and
    looked at again without an end."""
    planned = s.status.next_check_at
    return planned if check_at and planned and s.now < planned < check_at else check_at


def _stage(status: ModelStatus) -> str:
    if status.rollout:
        return status.rollout.stage.value
    return Stage.PRODUCTION.value if status.production else ""


def _weight(s: Snapshot, status: ModelStatus) -> int | None:
    if status.rollout:
        return candidate_weight(s, status)
    return 100 if status.production else None


def _pins(status: ModelStatus) -> tuple[str, ...]:
    digests = {challenger.policy_digest for challenger in status.challengers}
    if status.rollout:
        digests.add(status.rollout.policy_digest)
    if status.watch:
        digests.add(status.watch.policy_digest)
    serving = (*((status.production,) if status.production else ()), *status.standby)
    digests.update(reference.monitored_under for reference in serving if reference.monitored_under)
    return tuple(sorted(digests))


def _check_at(s: Snapshot, status: ModelStatus, outcome: Outcome, facts: RegisterFacts) -> datetime | None:
    """The earliest moment at which time alone could change the decision."""
    later = replace(s, status=status)
    moments: list[datetime] = [outcome.check_at] if outcome.check_at else []
    if s.model.metadata.deletion_timestamp:
        # Fixed moments: one that moved with every look would be written before the route is removed, every time.
        released = datetime.fromisoformat(s.model.metadata.deletion_timestamp) + DRAIN_LIMIT
        drained = status.traffic.changed_at + DRAIN_GRACE if status.traffic else released
        moments += [moment for moment in (drained, released) if moment > s.now]
    else:
        moments += [
            next_look(later, subject) if not due(s, subject) else s.now + subject.interval
            for subject in subjects(later)
            if subject.measured and subject.gates
            if subject.monitoring or not s.model.spec.suspend
        ]
    # Frozen, nothing is awaited but the end of what a rejection began.
    if status.switch and outcome.progressing and s.model.spec.suspend:
        moments.append(s.now + PATIENCE)
    if not (s.model.metadata.deletion_timestamp or s.model.spec.suspend):
        if status.rollout or status.switch:
            moments.append(s.now + PATIENCE)
        if status.watch:
            moments.append(status.watch.until)
        if any(challenger.traffic_since is None for challenger in status.challengers):
            moments.append(s.now + PATIENCE)
    moments += _drain_moments(s, status)
    deadlines = (next_deadline(facts), next_expiry(status.decisions, s.now))
    moments += [deadline for deadline in deadlines if deadline is not None]
    warm_for = standby_policy(s).warm_for
    moments += [at for reference in status.standby if (at := reference.since + warm_for) > s.now]
    return max(min(moments), s.now) if moments else None


def _drain_moments(s: Snapshot, status: ModelStatus) -> list[datetime]:
    """When pods that no longer get traffic may go, and when a route that is not in force is looked at again."""
    traffic = status.traffic
    if traffic is None:
        return []
    wanted = children_of(s, status).pods
    surplus = any(view.deployment and view.version not in wanted for view in s.versions.values())
    surplus = surplus or any(reference.version in s.versions for reference in status.standby)
    # Once it is over they go in this very step: a later look would be written anew, and looked at, without an end.
    moments = [over] if surplus and (over := traffic.changed_at + DRAIN) > s.now else []
    if s.route is None or not s.route.in_force:
        moments.append(s.now + PATIENCE)
    return moments


def _version_statuses(s: Snapshot, status: ModelStatus, assessment: Assessment) -> Mapping[str, VersionStatus]:
    return {view.version: _version_status(s, view, status, assessment) for view in s.versions.values() if view.live}


def _monitoring_evidence(
    s: Snapshot, view: VersionView, status: ModelStatus, assessment: Assessment
) -> dict[str, Any] | None:
    """What the monitoring of a version has gathered, for as long as it serves."""
    told, folded = status.monitoring, assessment.monitored
    goes_on = status.production == s.status.production
    if told is None or told.version != view.version or not goes_on:
        return None
    return folded.to_dict() if folded else view.status.monitoring if view.status else None


def _version_status(s: Snapshot, view: VersionView, status: ModelStatus, assessment: Assessment) -> VersionStatus:
    before = view.status or VersionStatus()
    stage = stage_of(view, status)
    evidence = assessment.evidence.get(view.version)
    failed = next((entry for entry in status.failed if entry.digest == view.digest), None)
    rejected: Finding = ("True", failed.reason, failed.message) if failed else ("False", reasons.NOT_REJECTED, "")
    return VersionStatus(
        observed_generation=view.generation,
        stage=stage,
        stage_entered_at=before.stage_entered_at if before.stage is stage and before.stage_entered_at else s.now,
        digest=view.digest,
        evidence=evidence.to_dict() if evidence else before.evidence,
        monitoring=_monitoring_evidence(s, view, status, assessment),
        conditions=with_times({"Rejected": rejected}, before.conditions, s.now, view.generation),
    )
