"""Monitoring of what serves: models fail silently, so the gates of `stages.production.monitoring` go on for as long as a version does.

It follows the policy that the version was promoted under, whatever becomes of that, and needs no rollout: while another version is
in shadow or canary, users are still answered by this one. What serves has no incumbent, so that every bound is absolute, and gates that
count are judged in windows (lifecycle.evidence). A failure is told; it rolls back where the policy says so and a version is warm.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from modelward.api import reasons
from modelward.api.gates import Gate
from modelward.api.stages import Monitoring, ResponseAction
from modelward.api.status import GateStatus, ModelStatus, MonitoringStatus, VersionReference
from modelward.lifecycle.evidence import Evidence
from modelward.lifecycle.gates.registry import kind_for
from modelward.lifecycle.plan import Announcement
from modelward.lifecycle.snapshot import Policy, Snapshot, VersionView


@dataclass(frozen=True)
class MonitoringState:
    """Is what serves monitored, and does evidence arrive?"""

    judged: bool  # does the policy that it was promoted under ask for gates in production?
    evidence_at: datetime | None  # when its pods could last be read
    problem: str | None  # why nothing is measured now, as one sentence


def monitoring_of(s: Snapshot) -> MonitoringState:
    """What is known of the monitoring of the version that serves."""
    production, told = s.status.production, s.status.monitoring
    if production is None or told is None or not _speaks_of(told, production):
        judged = bool(production and production.monitored_under)
        return MonitoringState(judged, None, _problem_of(s, production) if production and judged else None)
    without = next((row for row in told.gates if row.result == "Unknown"), None)
    return MonitoringState(True, told.evidence_at, told.problem or (without.message if without else None))


def policy_of(s: Snapshot) -> Policy | None:
    """The policy that the monitoring of what serves is pinned to, if there is one and its copy is still kept."""
    production = s.status.production
    if production is None or not production.monitored_under:
        return None
    known = {**({s.policy.digest: s.policy} if s.policy else {}), **s.pinned}
    return known.get(production.monitored_under)


def gates_of(monitoring: Monitoring) -> tuple[Gate, ...]:
    """Its gates, those that count each with a window."""
    return tuple(
        gate
        if gate.window is not None or not kind_for(gate).series(gate)
        else gate.model_copy(update={"window": monitoring.window})
        for gate in monitoring.gates
    )


def can_be_kept(s: Snapshot, view: VersionView | None) -> bool:
    """Is there something to read, and a live ModelVersion to keep what was counted in?"""
    return view is not None and view.live and s.model.spec.serving is not None


def told_of(
    s: Snapshot, status: ModelStatus, rows: Iterable[GateStatus], folded: Evidence | None
) -> MonitoringStatus | None:
    """What the next status says; where nothing can be measured, what was found last is held, with the reason."""
    production, before = status.production, s.status.monitoring
    if production is None or not production.monitored_under:
        return None
    known = before if before is not None and _speaks_of(before, production) else None
    fresh = tuple(rows) if s.status.production == production else ()
    view = s.versions.get(production.version)
    evidence = folded or (view.monitoring if view else None)
    return MonitoringStatus(
        version=production.version,
        since=production.since,
        evidence_at=evidence.counted_at if fresh and evidence else (known.evidence_at if known else None),
        problem=_problem_of(s, production),
        gates=fresh or (known.gates if known else ()),
    )


def rows_that_count(told: MonitoringStatus | None) -> tuple[GateStatus, ...]:
    """The rows that say how the version performs: not those that are only reported."""
    return tuple(row for row in told.gates if row.applies and not row.advisory) if told else ()


def announced(s: Snapshot, told: MonitoringStatus | None) -> tuple[Announcement, ...]:
    """What people are told: a gate that has just failed, or passes again after a failure."""
    before, said = s.status.monitoring, []
    if told is None:
        return ()
    known = {row.name: row.result for row in before.gates} if before and before.since == told.since else {}
    for row in rows_that_count(told):
        if row.result == "Fail" and known.get(row.name) != "Fail":
            message = f"gate {row.name} failed in the monitoring of {told.version}: {row.message}"
            said.append(Announcement(reasons.MONITORING_FAILED, message, warning=True))
        if row.result == "Pass" and known.get(row.name) == "Fail":
            message = f"gate {row.name} passes again in the monitoring of {told.version}: {row.message}"
            said.append(Announcement(reasons.MONITORING_RECOVERED, message))
    return tuple(said)


def failure_to_roll_back(s: Snapshot, rows: Iterable[GateStatus]) -> GateStatus | None:
    """The first failure that the policy answers with a rollback."""
    policy = policy_of(s)
    section = policy.spec.stages.production.monitoring if policy else None
    if policy is None or section is None or not policy.spec.rollback.automatic:
        return None
    return next(
        (
            row
            for row in rows
            if row.result == "Fail" and row.applies and not row.advisory
            if section.response_to(row.name) is ResponseAction.ROLLBACK
        ),
        None,
    )


def warm_version(s: Snapshot) -> VersionReference | None:
    """The newest previous version that could take all traffic at once."""
    latched = {failed.digest for failed in s.status.failed}
    return next(
        (
            reference
            for reference in s.status.standby
            if reference.digest not in latched
            if (view := s.versions.get(reference.version)) is not None and view.ready
        ),
        None,
    )


def _speaks_of(told: MonitoringStatus, production: VersionReference) -> bool:
    return (told.version, told.since) == (production.version, production.since)


def _problem_of(s: Snapshot, production: VersionReference) -> str | None:
    view = s.versions.get(production.version)
    known = {*s.pinned, *([s.policy.digest] if s.policy else [])}
    if production.monitored_under not in known:
        return (
            f"the copy of the policy that {production.version} was promoted under was deleted, so that nobody knows what to look"
            " at: the next promotion is monitored again"
        )
    if s.model.spec.serving is None:
        return "spec.serving is not set, so that nothing says where metrics are read: restore it"
    if not can_be_kept(s, view):
        return (
            f"ModelVersion {s.model.metadata.name}-{production.version} was deleted, so that there is nowhere to keep what is"
            " counted: create it again as it was"
        )
    return None
