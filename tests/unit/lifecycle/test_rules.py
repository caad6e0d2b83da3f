"""Each rule in situations in which it has the last word, and what a user sees then."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import pytest

from modelward.api.status import Stage
from modelward.lifecycle import decisions, rules
from modelward.lifecycle.assess import assess
from modelward.lifecycle.rules import RULES, Rule
from modelward.lifecycle.validity import problem_of
from tests.unit.lifecycle.builders import LONG_AGO, NOW, Given, model, policy
from tests.unit.lifecycle.expectations import (
    Expectation,
    announces,
    candidate,
    column,
    condition,
    finalizer,
    in_standby,
    keeps,
    latched,
    looks_again_within,
    mirrors,
    on_the_way_to,
    pods,
    says,
    serves,
    silent,
    stage,
    weights,
)


@dataclass(frozen=True)
class Case:
    rule: Rule
    given: Given
    expect: Expectation


def moments(**duration: float) -> dict[str, object]:
    return {"at": NOW - timedelta(**duration)}


APPROVALS = [{"role": "risk", "beforeWeight": 50}]
MONITORING = {"interval": "1h", "gates": [{"name": "errors", "errorRate": {"abortAbove": 0.05}}]}
JOB = {"name": "audit", "job": {"template": {}}}
EVALUATION = {"name": "auc", "evaluation": {"name": "holdout", "metric": "auc", "min": 0.8}}

CASES: dict[str, Case] = {
    # Deletion.
    "a deleted Model that serves loses its route before its pods": Case(
        rules.drain_when_deleted,
        model().serving("v7").deleted(),
        weights() & finalizer("Remove") & pods(v7=2) & condition("Progressing", True, "ModelDrained"),
    ),
    "a deleted Model whose route has just gone keeps its pods for the requests under way": Case(
        rules.drain_when_deleted,
        model().serving("v7").traffic({}, since=NOW - timedelta(seconds=1)).without_the_route_object().deleted(),
        finalizer("Remove") & looks_again_within(seconds=2),  # three after the traffic ended
    ),
    "a deleted Model without traffic is let go": Case(
        rules.drain_when_deleted,
        model().serving("v7").traffic({}, since=NOW - timedelta(seconds=4)).without_the_route_object().deleted(),
        finalizer("Release") & condition("Progressing", False, "ModelDrained"),
    ),
    "a deleted Model that never served is let go at once": Case(
        rules.drain_when_deleted, model().requests("v7").deleted(), finalizer("Release")
    ),
    "a deletion goes before a suspension": Case(
        rules.drain_when_deleted, model().serving("v7").suspended().deleted(), weights() & finalizer("Remove")
    ),
    # Inventory.
    "a Model without serving is inventory and is Ready": Case(
        rules.rest_when_it_is_not_served_here,
        model().version("v7").requests("v7").served_elsewhere(),
        condition("Ready", True, "NotServedHere") & condition("Serving", None, "NotServedHere") & pods() & finalizer("None"),
    ),
    "serving that is taken away from a Model in use takes nothing down": Case(
        rules.rest_when_it_is_not_served_here,
        model().serving("v7").served_elsewhere(),
        keeps("v7") & says("Progressing", "v7 serves: its route and pods stay"),
    ),
    # Suspension.
    "a suspended canary keeps its weight and does not advance": Case(
        rules.freeze_when_suspended,
        model().serving("v7").canary("v8", weight=10).gate("errors", "Pass").suspended(),
        weights(v7=90, v8=10) & stage("v8", "Canary") & condition("Ready", False, "Suspended") & silent(),
    ),
    "a suspended Model does not start what is requested": Case(
        rules.freeze_when_suspended,
        model().serving("v7").version("v8").requests("v8").suspended(),
        weights(v7=100) & candidate(None) & condition("Progressing", False, "Suspended"),
    ),
    "a suspended canary is not rolled back by a gate, either": Case(
        rules.freeze_when_suspended,
        model().serving("v7").canary("v8", weight=10).gate("errors", "Fail").suspended(),
        weights(v7=90, v8=10) & latched(),
    ),
    # Superseding.
    "another requested version ends the canary without a verdict": Case(
        rules.supersede_when_another_version_is_requested,
        model().serving("v7").canary("v8", weight=10).version("v9").requests("v9"),
        weights(v7=100) & candidate(None) & latched() & announces("Superseded", "v8 left the rollout in Canary: spec.production.version now asks for v9"),
    ),
    "a canary that is superseded keeps its requests while the incumbent has no pod": Case(
        rules.supersede_when_another_version_is_requested,
        model().serving("v7", ready=0).canary("v8", weight=50).version("v9").requests("v9"),
        weights(v7=50, v8=50) & candidate("v8") & says("Progressing", "v7 has no ready pod, so traffic stays where it is"),
    ),
    "a revert to a version in standby does not wait for an incumbent without pods": Case(
        rules.supersede_when_another_version_is_requested,
        model().serving("v7", ready=0).standby("v6").canary("v8", weight=50).requests("v6"),
        candidate(None) & announces("Superseded", "v8 left the rollout"),
    ),
    "a revert in Git to what serves ends the canary": Case(
        rules.supersede_when_another_version_is_requested,
        model().serving("v7").canary("v8", weight=50).requests("v7"),
        weights(v7=100) & candidate(None) & latched() & announces("Superseded", "asks for v7"),
    ),
    "a superseded shadow loses its mirror": Case(
        rules.supersede_when_another_version_is_requested,
        model().serving("v7").shadow("v8").requests(None),
        weights(v7=100) & mirrors() & announces("Superseded", "asks for no version"),
    ),
    "a superseded candidate keeps its pods until requests to it have ended": Case(
        rules.supersede_when_another_version_is_requested,
        model().serving("v7").canary("v8", weight=10).requests("v7"),
        pods(v7=2) & keeps("v8"),
    ),
    # The candidate is gone.
    "a candidate whose ModelVersion is deleted gets no more traffic": Case(
        rules.leave_when_the_candidate_is_gone,
        model().serving("v7").canary("v8", weight=50).pruned("v8"),
        weights(v7=100) & candidate(None) & announces("Superseded", "ModelVersion credit-risk-v8 was deleted"),
    ),
    "a candidate of which nothing is left leaves": Case(
        rules.leave_when_the_candidate_is_gone,
        model().serving("v7").shadow("v8").forgotten("v8"),
        weights(v7=100) & mirrors() & candidate(None),
    ),
    "a candidate that was made anew with other content leaves": Case(
        rules.leave_when_the_candidate_is_gone,
        model().serving("v7").shadow("v8").version("v8", digest="sha256:" + "0" * 64),
        candidate(None) & announces("Superseded", "was made anew"),
    ),
    "a rollout whose kept policy was deleted starts over": Case(
        rules.leave_when_the_candidate_is_gone,
        model().serving("v7").canary("v8", weight=10).without_the_kept_policy(),
        weights(v7=100) & candidate(None) & announces("Superseded", "copy of the policy"),
    ),
    # Switching.
    "a rollback moves traffic once the previous version is ready": Case(
        rules.complete_switch_when_its_version_is_ready,
        model().serving("v8").standby("v7").failed("v8", Stage.PRODUCTION).switching("v7", "Rollback"),
        weights(v7=100) & serves("v7") & in_standby() & stage("v8", "Retired") & announces("RolledBack", "All traffic is back on v7", warning=True)
        & condition("Ready", False, "RolledBack") & condition("Stalled", True, "RolledBack"),
    ),
    "a rollback to a cold version starts its pods and leaves traffic where it is": Case(
        rules.complete_switch_when_its_version_is_ready,
        model().serving("v8").standby("v7", ready=1).switching("v7", "Rollback"),
        weights(v8=100) & serves("v8") & pods(v7=2, v8=2) & says("Progressing", "1 of 2 pods are ready") & silent(),
    ),
    "a rollback target that never gets ready is given up, so that a newer version can be tried": Case(
        rules.complete_switch_when_its_version_is_ready,
        model().serving("v8").standby("v7", ready=0).version("v9").requests("v9").switching("v7", "Rollback", since=NOW - timedelta(minutes=11)),
        weights(v8=100) & on_the_way_to(None) & announces("RollbackAbandoned", "0 of 2 pods of v7 are ready, so v8 goes on serving while v9 is tried", warning=True),
    ),
    "a rollback target that is not ready is waited for as long as Git asks for nothing else": Case(
        rules.complete_switch_when_its_version_is_ready,
        model().serving("v8").standby("v7", ready=0).switching("v7", "Rollback", since=NOW - timedelta(minutes=11)),
        weights(v8=100) & on_the_way_to("v7") & says("Progressing", "0 of 2 pods are ready") & silent(),
    ),
    "a rollback that is overdue makes do with half of its target's pods": Case(
        rules.complete_switch_when_its_version_is_ready,
        model().serving("v8").standby("v7", ready=1).switching("v7", "Rollback", since=NOW - timedelta(minutes=11)),
        weights(v7=100) & serves("v7") & announces("RolledBack", "All traffic is back on v7", warning=True),
    ),
    "a rollback target of which nothing is left is given up": Case(
        rules.complete_switch_when_its_version_is_ready,
        model().serving("v8").standby("v7").switching("v7", "Rollback").forgotten("v7"),
        weights(v8=100) & on_the_way_to(None) & announces("RollbackAbandoned", "v7 is no longer known", warning=True),
    ),
    "a revert that waited for pods is completed": Case(
        rules.complete_switch_when_its_version_is_ready,
        model().serving("v8").standby("v7").requests("v7").switching("v7", "Revert"),
        weights(v7=100) & serves("v7") & in_standby("v8") & announces("Reverted", "All traffic is back on v7"),
    ),
    "a revert that is taken back is called off": Case(
        rules.complete_switch_when_its_version_is_ready,
        model().serving("v8").standby("v7", ready=0).requests("v8").switching("v7", "Revert"),
        weights(v8=100) & on_the_way_to(None) & announces("Superseded", "The revert to v7 was called off"),
    ),
    # The watch.
    "a gate that fails in the watch sends traffic back to the version before": Case(
        rules.roll_back_when_the_watch_fails,
        model().serving("v8").standby("v7").watched(previous="v7").gate("errors", "Fail", "errors are 31 %"),
        on_the_way_to("v7") & latched("v8") & announces("VersionLatched", "gate errors failed in the watch of v8: errors are 31 %", warning=True)
        & looks_again_within(seconds=0),
    ),
    "a first version that fails its watch has nothing to go back to": Case(
        rules.roll_back_when_the_watch_fails,
        model().serving("v1").watched().gate("errors", "Fail"),
        weights(v1=100) & serves("v1") & latched("v1") & announces("GateFailed", "no previous version to roll back to", warning=True),
    ),
    "a watch whose previous version is gone leaves traffic where it is": Case(
        rules.roll_back_when_the_watch_fails,
        model().serving("v8").standby("v7").watched(previous="v7").gate("errors", "Fail").forgotten("v7"),
        weights(v8=100) & on_the_way_to(None) & latched("v8"),
    ),
    "a failed watch under a policy without automatic rollback only latches": Case(
        rules.roll_back_when_the_watch_fails,
        model().under(policy(spec__rollback={"automatic": False})).serving("v8").standby("v7").watched("v7").gate("errors", "Fail"),
        weights(v8=100) & on_the_way_to(None) & latched("v8") & announces("GateFailed", "rollback.automatic is false", warning=True),
    ),
    "a watch that nothing failed ends by its time": Case(
        rules.end_the_watch,
        model().serving("v8").standby("v7").watched(previous="v7").gate("errors", "Pass").later(minutes=31),
        weights(v8=100) & announces("WatchPassed", "v8 passed its watch"),
    ),
    "a watch that never had evidence is over, and has not been passed": Case(
        rules.end_the_watch,
        model().serving("v8").standby("v7").watched(previous="v7").gate("errors", "Unknown", "no pod answers").later(minutes=31),
        weights(v8=100) & announces("MetricsUnavailable", "says nothing: no pod answers", warning=True),
    ),
    "a watch is looked at again when it ends": Case(
        rules.rest_when_the_requested_version_serves,
        model().serving("v8").standby("v7").watched(previous="v7").gate("errors", "Unknown").later(minutes=29, seconds=59),
        serves("v8") & condition("Ready", True, "Promoted") & looks_again_within(seconds=1),
    ),
    # A failed candidate.
    "pods that never become ready fail the candidate by the deadline": Case(
        rules.fail_when_the_pods_miss_their_deadline,
        model().serving("v7").shadow("v8", traffic_since=None).version("v8", ready=0, problem="quota exceeded").traffic({"v7": 100}),
        weights(v7=100) & mirrors() & latched("v8")
        & announces(
            "RolledBack",
            "0 of 2 pods of v8 were ready within 10m: quota exceeded. They are gone now; when it is tried again,"
            " `kubectl describe pods -n lending -l modelward.dev/model=credit-risk,modelward.dev/version=v8` says more.",
            warning=True,
        ),
    ),
    "one pod of two is not ready, either": Case(
        rules.fail_when_the_pods_miss_their_deadline,
        model().serving("v7").shadow("v8", traffic_since=None).version("v8", ready=1).traffic({"v7": 100}),
        latched("v8") & announces("RolledBack", "1 of 2 pods of v8", warning=True),
    ),
    "a first version whose pods never become ready is latched and leaves nothing running": Case(
        rules.fail_when_the_pods_miss_their_deadline,
        model().promoting("v1"),
        serves(None) & latched("v1") & pods() & keeps() & condition("Serving", False, "NoProductionVersion"),
    ),
    "a canary that has lost its pods for longer than the deadline is latched": Case(
        rules.fail_when_the_pods_miss_their_deadline,
        model().serving("v7").canary("v8", weight=10).version("v8", ready=0).traffic({"v7": 100}, since=NOW - timedelta(minutes=11)),
        weights(v7=100) & latched("v8"),
    ),
    "a canary that fails its error gate at 10 % gives all traffic back and is latched": Case(
        rules.roll_back_on_a_failed_gate,
        model().serving("v7").canary("v8", weight=10).gate("errors", "Fail", "errors rose by 2.1 to 3.4 percentage points over v7"),
        weights(v7=100) & candidate(None) & latched("v8") & stage("v8", "Registered")
        & condition("Ready", False, "RolledBack") & says("Ready", "errors rose by 2.1 to 3.4") & condition("Stalled", True, "RolledBack")
        & condition("GatesPassed", False, "GateFailed") & announces("RolledBack", "all traffic is on v7", warning=True),
    ),
    "a shadow that fails a gate never reaches a user": Case(
        rules.roll_back_on_a_failed_gate,
        model().serving("v7").shadow("v8").gate("errors", "Fail"),
        weights(v7=100) & mirrors() & latched("v8") & announces("RolledBack", "gate errors failed in Shadow", warning=True),
    ),
    "a failed gate holds where the policy rolls nothing back by itself": Case(
        rules.roll_back_on_a_failed_gate,
        model().under(policy(spec__rollback={"automatic": False})).serving("v7").canary("v8").gate("errors", "Fail"),
        weights(v7=90, v8=10) & latched() & says("Progressing", "rollback.automatic is false") & condition("Stalled", True, "GateFailed"),
    ),
    "a failed gate goes before a spec that has become invalid": Case(
        rules.roll_back_on_a_failed_gate,
        model().serving("v7").canary("v8").gate("errors", "Fail").conflict("RouteConflict", "taken"),
        weights(v7=100) & latched("v8") & condition("SpecValid", False, "RouteConflict"),
    ),
    # Rest.
    "a Model that requests nothing says so and goes on serving": Case(
        rules.rest_when_nothing_is_requested,
        model().serving("v7").requests(None),
        weights(v7=100) & condition("Ready", False, "NoVersionRequested") & condition("Serving", True, "ProductionAvailable"),
    ),
    "a revert to a warm version moves all traffic in the same decision": Case(
        rules.revert_at_once_to_a_standby_version,
        model().serving("v8").standby("v7").requests("v7"),
        weights(v7=100) & serves("v7") & in_standby("v8") & stage("v7", "Production") & stage("v8", "Standby")
        & announces("Reverted", "All traffic is back on v7"),
    ),
    "a revert to a cold version starts its pods first and says so": Case(
        rules.revert_at_once_to_a_standby_version,
        model().serving("v8").standby("v7", ready=0).requests("v7"),
        weights(v8=100) & on_the_way_to("v7") & pods(v7=2, v8=2) & announces("RevertStarted", "Its pods are started first: 0 of 2 are ready"),
    ),
    "a revert needs no policy": Case(
        rules.revert_at_once_to_a_standby_version,
        model().serving("v8").standby("v7").requests("v7").without_a_policy(),
        weights(v7=100) & serves("v7"),
    ),
    "a revert to a version whose ModelVersion was pruned works from the kept copy": Case(
        rules.revert_at_once_to_a_standby_version,
        model().serving("v8").standby("v7").pruned("v7").requests("v7"),
        weights(v7=100) & serves("v7") & condition("SpecValid", True, "Valid"),
    ),
    "an invalid spec starts nothing and what serves goes on serving": Case(
        rules.hold_when_spec_is_invalid,
        model().serving("v7").requests("v8"),
        weights(v7=100) & candidate(None) & condition("SpecValid", False, "VersionNotFound") & condition("Ready", False, "SpecInvalid")
        & condition("Serving", True, "ProductionAvailable"),
    ),
    "what is requested serves: nothing to do": Case(
        rules.rest_when_the_requested_version_serves,
        model().serving("v7"),
        weights(v7=100) & condition("Ready", True, "Promoted") & condition("Progressing", False, "AtRest")
        & condition("Stalled", False, "AtRest") & column(stage="Production", weight=100) & silent(),
    ),
    "a retry clears what the watch held against the version that serves": Case(
        rules.rest_when_the_requested_version_serves,
        model().serving("v7").failed("v7").requests("v7", retry=1),
        latched() & condition("Ready", True, "Promoted"),
    ),
    "a latched version does not start again when Git is synced again": Case(
        rules.stay_away_from_a_latched_version,
        model().serving("v7").failed("v8").requests("v8"),
        weights(v7=100) & candidate(None) & latched("v8") & condition("Ready", False, "RolledBack")
        & says("Progressing", "raise spec.production.retry above 0") & silent(),
    ),
    "a latched version in standby is not reverted to": Case(
        rules.stay_away_from_a_latched_version,
        model().serving("v8").standby("v7").failed("v7", Stage.PRODUCTION).requests("v7"),
        weights(v8=100) & serves("v8"),
    ),
    # Starting.
    "a newly requested version enters Validation without pods": Case(
        rules.start_the_rollout,
        model().serving("v7").version("v8").requests("v8"),
        weights(v7=100) & candidate("v8") & stage("v8", "Validation") & pods(v7=2) & announces("RolloutStarted", "v8 enters Validation under policy steady")
        & condition("Ready", False, "RolloutInProgress") & column(stage="Validation", weight=0),
    ),
    "a raised retry counter clears the latch and starts again": Case(
        rules.start_the_rollout,
        model().serving("v7").failed("v8").requests("v8", retry=1),
        candidate("v8") & latched(),
    ),
    "a new rollout ends the watch of what serves": Case(
        rules.start_the_rollout,
        model().serving("v7").standby("v6").watched("v6").gate("errors", "Pass").version("v8").requests("v8"),
        candidate("v8") & column(gates_summary=""),
    ),
    # Holding.
    "a gate kind that is not implemented holds": Case(
        rules.hold_what_the_policy_asks_for_and_this_release_cannot,
        model().under(policy(canary__gates=[JOB])).serving("v7").validation("v8"),
        stage("v8", "Validation") & condition("Progressing", False, "PolicyNotImplemented")
        & says("Progressing", "spec.stages.canary.gates[audit].job") & silent(),
    ),
    "pods that are not ready yet get no mirror": Case(
        rules.hold_until_the_pods_are_ready,
        model().serving("v7").shadow("v8", stage_entered_at=NOW, step_entered_at=NOW, traffic_since=None)
        .version("v8", ready=1).traffic({"v7": 100}),
        weights(v7=100) & mirrors() & says("Progressing", "v8: 1 of 2 pods are ready") & condition("Progressing", True, "StageRunning"),
    ),
    "what the API server refuses is said while the pods are waited for": Case(
        rules.hold_until_the_pods_are_ready,
        model().serving("v7").shadow("v8", stage_entered_at=NOW, step_entered_at=NOW, traffic_since=None)
        .version("v8", ready=0, problem="image: Required value").traffic({"v7": 100}),
        condition("Progressing", True, "PodsNotReady")
        & says("Progressing", "v8: 0 of 2 pods are ready: image: Required value. v8 fails unless all are by 2026-11-21 12:10:00 UTC."),
    ),
    "a canary that loses its last pod gets no weight and some time": Case(
        rules.hold_until_the_pods_are_ready,
        model().serving("v7").canary("v8", weight=10).gate("errors", "Pass").version("v8", ready=0),
        weights(v7=100) & latched() & stage("v8", "Canary"),
    ),
    "a canary that loses one pod of two keeps its weight and does not advance": Case(
        rules.hold_until_the_pods_are_ready,
        model().serving("v7").canary("v8", weight=10).gate("errors", "Pass").version("v8", ready=1),
        weights(v7=90, v8=10) & silent(),
    ),
    "durations do not count before the gateway has taken the route over": Case(
        rules.hold_until_traffic_is_in_force,
        model().serving("v7").canary("v8", traffic_since=None).gate("errors", "Pass").route(observed=False),
        weights(v7=90, v8=10) & condition("TrafficApplied", None, "RouteNotAccepted") & silent(),
    ),
    "durations count from when the route is in force": Case(
        rules.hold_until_traffic_is_in_force,
        model().serving("v7").canary("v8", traffic_since=None).gate("errors", "Pass"),
        condition("Progressing", True, "StageRunning") & condition("TrafficApplied", True, "RouteAccepted") & says("Progressing", "v8 in Canary at 10 %"),
    ),
    "a gateway that is missing is named": Case(
        rules.hold_until_traffic_is_in_force,
        model().serving("v7").canary("v8", traffic_since=None).route(accepted=False).gateway_problem("Gateway 'public' does not exist"),
        condition("TrafficApplied", False, "RouteNotAccepted") & says("TrafficApplied", "Gateway 'public' does not exist"),
    ),
    "evidence that stays away is counted from the end of the minimum duration": Case(
        rules.pause_or_roll_back_when_evidence_stays_away,
        model().serving("v7").canary("v8", weight=10).gate("errors", "Unknown", "no pod could be read", "MetricsUnavailable"),
        weights(v7=90, v8=10) & condition("Progressing", True, "MetricsUnavailable") & condition("GatesPassed", None, "MetricsUnavailable") & silent(),
    ),
    "evidence that stays away past the deadline pauses": Case(
        rules.pause_or_roll_back_when_evidence_stays_away,
        model().serving("v7").canary("v8", unknown_since=NOW - timedelta(hours=2)).gate("errors", "Unknown", "no pod could be read"),
        weights(v7=90, v8=10) & condition("Progressing", False, "Paused") & announces("Paused", "has had no evidence for 2h: no pod could be read", warning=True),
    ),
    "evidence that stays away past the deadline rolls back where the policy says so": Case(
        rules.pause_or_roll_back_when_evidence_stays_away,
        model().under(policy(spec__onUnknown={"deadline": "2h", "then": "Rollback"})).serving("v7")
        .canary("v8", unknown_since=NOW - timedelta(hours=2)).gate("errors", "Unknown"),
        weights(v7=100) & latched("v8") & announces("RolledBack", "no evidence for 2h", warning=True),
    ),
    "a pause ends by itself when evidence comes": Case(
        rules.pause_or_roll_back_when_evidence_stays_away,
        model().serving("v7").canary("v8", unknown_since=NOW - timedelta(hours=3), paused=True).gate("errors", "Pass"),
        condition("Progressing", True, "StageRunning") & looks_again_within(seconds=5),
    ),
    "a paused rollout stays paused without saying it again": Case(
        rules.hold_without_evidence,
        model().serving("v7").canary("v8", unknown_since=NOW - timedelta(hours=3), paused=True).gate("errors", "Unknown"),
        weights(v7=90, v8=10) & condition("Progressing", False, "Paused") & silent(),
    ),
    "a gate without evidence holds even an early step": Case(
        rules.hold_without_evidence,
        model().serving("v7").canary("v8", unknown_since=NOW - timedelta(minutes=1)).gate("errors", "Unknown", "too few requests"),
        weights(v7=90, v8=10) & says("Progressing", "Gate errors has no evidence: too few requests") & column(stage="Canary", weight=10, gates_summary="0/1 1 Unknown"),
    ),
    "an undecided gate holds where Passed is required, as at the last step": Case(
        rules.hold_without_evidence,
        model().serving("v7").canary("v8", weight=50).gate("errors", "Inconclusive", "not enough yet"),
        weights(v7=50, v8=50) & says("Progressing", "Gate errors is not decided yet: not enough yet") & condition("GatesPassed", None, "Inconclusive"),
    ),
    "an undecided gate holds in shadow": Case(
        rules.hold_without_evidence,
        model().serving("v7").shadow("v8").gate("errors", "Inconclusive"),
        weights(v7=100) & mirrors(v8=100) & stage("v8", "Shadow"),
    ),
    "a stage lasts its minimum whatever the gates say": Case(
        rules.wait_for_the_minimum_duration,
        model().serving("v7").canary("v8", traffic_since=NOW - timedelta(minutes=9)).gate("errors", "Pass"),
        weights(v7=90, v8=10) & says("Progressing", "It stays there until 2026-11-21 12:01:00 UTC at the least") & looks_again_within(minutes=1),
    ),
    # What the register has to hold.
    "a document that the policy asks for holds every increase of traffic": Case(
        rules.hold_until_the_register_is_complete,
        model().under(policy(spec__requires={"documents": ["ValidationReport"]})).serving("v7").canary("v8").gate("errors", "Pass"),
        weights(v7=90, v8=10) & condition("Progressing", False, "RegisterIncomplete") & says("Progressing", "no document of type ValidationReport"),
    ),
    "what the policy asks for is said at once, so that one commit brings it": Case(
        rules.hold_until_the_register_is_complete,
        model().under(policy(spec__requires={"fields": ["purpose", "limitations"]})).serving("v7").validation("v8"),
        stage("v8", "Validation") & says("Progressing", "spec.purpose is not set") & says("Progressing", "spec.limitations is not set"),
    ),
    "of a long list the beginning is said, and how much more there is": Case(
        rules.hold_until_the_register_is_complete,
        model().under(policy(spec__requires={"documents": [f"Document{number}" for number in range(7)]})).serving("v7").validation("v8"),
        stage("v8", "Validation") & says("Progressing", "Document4") & says("Progressing", "And 2 more."),
    ),
    "a version that nobody would watch does not reach production": Case(
        rules.hold_what_nobody_would_watch,
        model().under(policy(without=("canary",))).serving("v7").shadow("v8").gate("errors", "Pass"),
        weights(v7=100) & mirrors(v8=100) & condition("Progressing", False, "NotMonitored") & condition("MonitoringReady", False, "NotMonitored"),
    ),
    "an approval before the next weight holds": Case(
        rules.wait_for_approval,
        model().under(policy(canary__approvals=APPROVALS)).serving("v7").canary("v8", weight=10).gate("errors", "Pass"),
        weights(v7=90, v8=10) & condition("Progressing", False, "AwaitingApproval") & says("Progressing", "the approval of risk"),
    ),
    "an approval before the first weight holds the shadow": Case(
        rules.wait_for_approval,
        model().under(policy(canary__approvals=[{"role": "risk", "beforeWeight": 1}])).serving("v7").shadow("v8").gate("errors", "Pass"),
        weights(v7=100) & stage("v8", "Shadow") & condition("Progressing", False, "AwaitingApproval"),
    ),
    "an approval of the validation holds it": Case(
        rules.wait_for_approval,
        model().under(policy(validation__approvals=[{"role": "validator"}])).serving("v7").validation("v8"),
        stage("v8", "Validation") & condition("Progressing", False, "AwaitingApproval"),
    ),
    "an approval of the shadow holds it": Case(
        rules.wait_for_approval,
        model().under(policy(shadow__approvals=[{"role": "risk"}])).serving("v7").shadow("v8").gate("errors", "Pass"),
        stage("v8", "Shadow") & condition("Progressing", False, "AwaitingApproval"),
    ),
    "a first version waits where the policy asks for an approval": Case(
        rules.wait_for_approval,
        model().under(policy(firstVersion__require="Approval")).validation("v1"),
        serves(None) & says("Progressing", "the approval of release"),
    ),
    # Rejections.
    "a rejected candidate leaves the canary at once and is latched": Case(
        rules.stop_what_a_person_rejected,
        model().serving("v7").canary("v8").decided("Reject", by="rita"),
        weights(v7=100) & latched("v8") & announces("Rejected", "rita rejected v8 as risk", warning=True) & condition("Progressing", True, "Rejected"),
    ),
    "a rejected version leaves production for the one before": Case(
        rules.stop_what_a_person_rejected,
        model().standby("v7").serving("v8").decided("Reject", by="rita", version="v8"),
        latched("v8") & on_the_way_to("v7") & announces("Rejected", "All traffic goes back to v7", warning=True),
    ),
    "a rejected version that nothing can replace goes on serving and is latched": Case(
        rules.stop_what_a_person_rejected,
        model().serving("v8").decided("Reject", by="rita", version="v8"),
        weights(v8=100) & latched("v8") & announces("Rejected", "There is no previous version", warning=True),
    ),
    "a rejected standby is no target of a rollback any more": Case(
        rules.stop_what_a_person_rejected,
        model().standby("v7").serving("v8").decided("Reject", by="rita", version="v7"),
        weights(v8=100) & latched("v7") & in_standby(),
    ),
    "a version that is rejected before it was ever requested is latched": Case(
        rules.stop_what_a_person_rejected,
        model().serving("v7").version("v8").decided("Reject", by="rita", version="v8"),
        weights(v7=100) & latched("v8"),
    ),
    "a rejection acts while automation is frozen": Case(
        rules.stop_what_a_person_rejected,
        model().serving("v7").canary("v8").suspended().decided("Reject", by="rita"),
        weights(v7=100) & latched("v8"),
    ),
    "a rejection waits while the incumbent has no pod to take the requests": Case(
        rules.stop_what_a_person_rejected,
        model().serving("v7", ready=0).canary("v8").decided("Reject", by="rita"),
        weights(v7=90, v8=10) & says("Progressing", "v7 has no ready pod"),
    ),
    # Advancing.
    "a validated version goes into shadow and its pods start": Case(
        rules.advance,
        model().serving("v7").validation("v8"),
        stage("v8", "Shadow") & weights(v7=100) & mirrors() & pods(v7=2, v8=2) & announces("StageEntered", "v8 enters Shadow."),
    ),
    "a shadow that passes goes into the canary at the first weight": Case(
        rules.advance,
        model().serving("v7").shadow("v8").gate("errors", "Pass"),
        stage("v8", "Canary") & weights(v7=90, v8=10) & mirrors() & announces("StageEntered", "v8 enters Canary.") & column(stage="Canary", weight=10, gates_summary=""),
    ),
    "an undecided gate does not hold an early step": Case(
        rules.advance,
        model().serving("v7").canary("v8", weight=10).gate("errors", "Inconclusive"),
        weights(v7=50, v8=50) & announces("WeightChanged", "v8 now gets 50 % of requests") & column(stage="Canary", weight=50, gates_summary="0/1 1 Inconclusive"),
    ),
    "an advisory gate that fails holds nothing": Case(
        rules.advance,
        model().serving("v7").canary("v8", weight=10).gate("errors", "Pass").gate("hint", "Fail", advisory=True),
        weights(v7=50, v8=50),
    ),
    "the last step that passes promotes; what served stays warm": Case(
        rules.advance,
        model().serving("v7").canary("v8", weight=50).gate("errors", "Pass"),
        weights(v8=100) & serves("v8") & in_standby("v7") & pods(v7=2, v8=2) & stage("v7", "Standby") & stage("v8", "Production")
        & announces("Promoted", "v8 serves all traffic; v7 stays in standby."),
    ),
    "without a canary a shadow that passes is promoted": Case(
        rules.advance,
        model().under(policy(without=("canary",), production__monitoring=MONITORING)).serving("v7").shadow("v8").gate("errors", "Pass"),
        weights(v8=100) & mirrors() & serves("v8"),
    ),
    "without a shadow validation leads into the canary, whose weight waits for pods": Case(
        rules.advance,
        model().under(policy(without=("shadow",))).serving("v7").validation("v8"),
        stage("v8", "Canary") & weights(v7=100) & pods(v7=2, v8=2),
    ),
    "a first version skips what needs an incumbent, and its pods start": Case(
        rules.advance,
        model().validation("v1"),
        stage("v1", "Production") & serves(None) & weights() & pods(v1=2) & announces("StageEntered", "v1 enters Production"),
    ),
    "a first version takes all traffic when its pods are ready": Case(
        rules.advance,
        model().promoting("v1", ready=2),
        weights(v1=100) & serves("v1") & in_standby() & announces("Promoted", "v1 serves all traffic."),
    ),
    "without a route a version is switched to at once when its pods are ready": Case(
        rules.advance,
        model().under(policy(without=("shadow", "canary"), production__monitoring=MONITORING)).serving("v7").promoting("v8", ready=2).without_a_route(),
        weights(v8=100) & serves("v8") & in_standby("v7"),
    ),
}  # fmt: skip


def _spoke(given: Given) -> Rule:
    s, _ = decisions.taken_down(given.s)
    case = rules.Case(s, assess(s), problem_of(s))
    return next(rule for rule in RULES if rule(case) is not None)


def _named() -> Iterator[object]:
    return (pytest.param(case, id=name) for name, case in CASES.items())


@pytest.mark.parametrize("case", _named())
def test_a_rule_decides_and_a_user_sees_it(case: Case) -> None:
    assert _spoke(case.given) is case.rule
    case.expect.hold_for(case.given.decide())


def test_every_rule_is_shown_to_decide() -> None:
    # They need evidence: test_hazards, test_monitoring.
    elsewhere = {rules.hold_on_a_share_mismatch, rules.roll_back_when_monitoring_fails}
    assert set(RULES) - {case.rule for case in CASES.values()} == elsewhere


@pytest.mark.parametrize("case", _named())
def test_users_traffic_always_adds_up_and_names_only_what_is_known(case: Case) -> None:
    plan = case.given.decide()
    assert plan.traffic is not None
    assert sum(plan.traffic.weights.values()) in (0, 100)
    assert set(plan.traffic.weights) | set(plan.traffic.mirrors) <= set(case.given.s.versions)


@pytest.mark.parametrize("case", _named())
def test_a_decision_repeated_a_moment_later_changes_nothing_more(case: Case) -> None:
    """Every status that is written is seen as an event; a status that moved with the clock would be written for ever."""
    given = case.given
    for _ in range(12):
        plan = given.decide()
        if given.after(plan).s.status == given.s.status:
            break
        given = given.after(plan).later(milliseconds=3)
    again = given.later(milliseconds=3).decide()
    assert again.status == given.s.status
    assert again.versions == {view.version: view.status for view in given.s.versions.values() if view.live}


def test_unused_moments_are_long_ago() -> None:
    assert LONG_AGO < NOW
