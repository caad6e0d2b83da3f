"""Every condition in every state that it can be in, and times that move only when a status flips."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.unit.lifecycle.builders import ERRORS, NOW, Given, model, policy
from tests.unit.lifecycle.expectations import Expectation, condition, says

DRIFT = {"name": "drift", "drift": {"threshold": 0.2, "reference": "Incumbent"}}


def judged(result: str, reason: str = "", message: str = "") -> Given:
    return model().serving("v7").canary("v8").gate("errors", result, message, reason)


def drifting(result: str) -> Given:
    chosen = policy(canary__gates=[ERRORS, DRIFT])
    given = model().under(chosen).serving("v7").canary("v8").gate("errors", "Inconclusive")
    return given.gate(
        "drift", result, "3 of 10 features drifted", reason="InsufficientSamples" if result == "Unknown" else ""
    )


STATES: dict[str, tuple[Given, Expectation]] = {
    "serving with every pod": (model().serving("v7"), condition("Serving", True, "ProductionAvailable") & says("Serving", "v7: 2 of 2 pods are ready")),
    "serving with one pod of two": (model().serving("v7", ready=1), condition("Serving", True, "ProductionAvailable") & says("Serving", "1 of 2")),
    "no pod is ready": (model().serving("v7", ready=0), condition("Serving", False, "BackendsUnavailable") & condition("Ready", False, "BackendsUnavailable")),
    "no route leads to ready pods": (
        model().serving("v7").without_the_route_object().gateway_problem("Gateway 'public' does not exist"),
        condition("Serving", False, "RouteNotAccepted") & says("Serving", "Gateway 'public' does not exist") & condition("TrafficApplied", False, "RouteNotAccepted"),
    ),
    "the route is about to be made": (
        model().serving("v7").traffic({"v7": 100}, since=NOW).without_the_route_object(),
        condition("Serving", False, "RouteNotAccepted") & condition("TrafficApplied", None, "RouteNotAccepted") & says("TrafficApplied", "not there yet"),
    ),
    "the route is gone, or cannot be made": (
        model().serving("v7").without_the_route_object(),
        condition("Serving", False, "RouteNotAccepted") & condition("TrafficApplied", False, "RouteNotAccepted") & says("TrafficApplied", "cannot be made"),
    ),
    "nothing has served yet": (model().version("v1").requests("v1"), condition("Serving", False, "NoProductionVersion") & condition("TrafficApplied", None, "NoTraffic")),
    "the gateway refuses the route": (
        model().serving("v7").route(accepted=False, message="Accepted=False (NotAllowedByListeners): no"),
        condition("TrafficApplied", False, "RouteNotAccepted") & says("TrafficApplied", "NotAllowedByListeners"),
    ),
    "a reference is not resolved": (model().serving("v7").route(resolved=False, message="BackendNotFound"), condition("TrafficApplied", False, "RefsUnresolved")),
    "the gateway is a generation behind": (model().serving("v7").route(observed=False), condition("TrafficApplied", None, "RouteNotAccepted")),
    "the route is in force": (model().serving("v7"), condition("TrafficApplied", True, "RouteAccepted")),
    "a Service is switched": (model().serving("v7").without_a_route(), condition("TrafficApplied", True, "ServiceSelects") & condition("Serving", True, "ProductionAvailable")),
    "every gate passes": (judged("Pass"), condition("GatesPassed", True, "AllPassed")),
    "a gate is undecided": (judged("Inconclusive"), condition("GatesPassed", None, "Inconclusive")),
    "a gate has stale metrics": (judged("Unknown", "StaleMetrics", "the newest sample is 6 min old"), condition("GatesPassed", None, "StaleMetrics") & says("GatesPassed", "errors: the newest sample is 6 min old")),
    "a gate failed": (judged("Fail"), condition("GatesPassed", False, "GateFailed")),
    "no gate is judged": (model().serving("v7"), condition("GatesPassed", None, "NoGates")),
    "no gate measures drift": (judged("Pass"), condition("DriftDetected", None, "NotMeasured")),
    "no drift": (drifting("Pass"), condition("DriftDetected", False, "WithinThreshold")),
    "drift": (drifting("Fail"), condition("DriftDetected", True, "ThresholdExceeded") & says("DriftDetected", "3 of 10 features drifted")),
    "drift without evidence": (drifting("Unknown"), condition("DriftDetected", None, "InsufficientSamples")),
    "the previous version is warm": (model().serving("v8").standby("v7"), condition("RollbackTargetReady", True, "PreviousWarm")),
    "the previous version is smaller than production": (model().serving("v8").standby("v7", ready=1), condition("RollbackTargetReady", False, "PreviousCold") & says("RollbackTargetReady", "v7: 1 of 2 pods are ready; a rollback starts the others first")),
    "there is no previous version": (model().serving("v1"), condition("RollbackTargetReady", False, "PreviousMissing")),
    "nothing is left of the previous version": (model().serving("v8").standby("v7").forgotten("v7"), condition("RollbackTargetReady", False, "PreviousMissing")),
    "in a canary the target is what serves": (judged("Inconclusive"), condition("RollbackTargetReady", True, "PreviousWarm") & says("RollbackTargetReady", "v7: 2 of 2")),
    "at rest": (model().serving("v7"), condition("Reconciling", False, "AtRest") & condition("Stalled", False, "AtRest") & condition("SpecValid", True, "Valid")),
    "rolling out": (judged("Inconclusive"), condition("Reconciling", True, "WeightChanged") & condition("Ready", False, "RolloutInProgress")),
    "rolled back": (model().serving("v7").failed("v8").requests("v8"), condition("Reconciling", False, "RolledBack") & condition("Stalled", True, "RolledBack")),
}  # fmt: skip


@pytest.mark.parametrize(("given", "expect"), STATES.values(), ids=STATES.keys())
def test_a_condition(given: Given, expect: Expectation) -> None:
    expect.hold_for(given.decide())


def test_every_condition_is_always_there_with_a_reason_and_the_generation() -> None:
    for given, _ in STATES.values():
        found = given.decide().status.conditions
        assert [condition.type for condition in found] == [
            "Ready", "Serving", "Progressing", "GatesPassed", "TrafficApplied", "Performing", "DriftDetected", "RollbackTargetReady",
            "SpecValid", "Reconciling", "Stalled", "Owned", "MonitoringReady", "ReviewCurrent", "EvaluationCurrent", "Ungoverned",
                "Zombie", "Deprecated", "ApprovalsTrusted",
        ]  # fmt: skip
        assert all(condition.reason and condition.observed_generation == 3 for condition in found)


def test_the_time_of_a_condition_moves_only_when_its_status_flips() -> None:
    given = model().serving("v7")
    first = given.decide()
    later = given.after(first).later(minutes=5).version("v7", ready=0).decide()
    times = {condition.type: condition.last_transition_time for condition in later.status.conditions}
    assert times["Serving"] == times["Ready"] == NOW + timedelta(minutes=5)
    assert times["SpecValid"] == times["TrafficApplied"] == NOW


def test_a_reason_may_change_while_the_time_stays() -> None:
    given = model().serving("v7").requests("v8")
    first = given.decide()
    later = given.after(first).later(minutes=5).version("v8", changed=True).decide()
    before = next(c for c in first.status.conditions if c.type == "SpecValid")
    after = next(c for c in later.status.conditions if c.type == "SpecValid")
    assert (before.reason, after.reason) == ("VersionNotFound", "VersionChanged")
    assert before.last_transition_time == after.last_transition_time


def for_tools(given: Given) -> tuple[bool, bool]:
    """Reconciling and Stalled, as tools read them."""
    found = {condition.type: condition.status == "True" for condition in given.decide().status.conditions}
    return found["Reconciling"], found["Stalled"]


UNDER_WAY, GIVEN_UP, NEITHER = (True, False), (False, True), (False, False)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        pytest.param(model().serving("v7"), NEITHER, id="at rest"),
        pytest.param(judged("Inconclusive"), UNDER_WAY, id="rolling out"),
        pytest.param(model().serving("v7").failed("v8").requests("v8"), GIVEN_UP, id="rolled back"),
        pytest.param(model().serving("v7").requests("v8"), UNDER_WAY, id="a version that is not there yet"),
        pytest.param(model().serving("v7").requests("v8").without_a_policy("PolicyLoosened", "asks for less"), UNDER_WAY, id="and a gate that is wrong"),
        pytest.param(model().serving("v7").version("v8").requests("v8").without_a_policy("PolicyLoosened", "asks for less"), GIVEN_UP, id="a gate that is wrong"),
        pytest.param(model().serving("v7").suspended(), NEITHER, id="suspended"),
        pytest.param(model().serving("v7").requests(None), NEITHER, id="nothing is requested"),
        pytest.param(model().serving("v7", ready=0), NEITHER, id="its pods are gone"),
    ],
)  # fmt: skip
def test_tools_are_told_whether_it_is_under_way_or_given_up(given: Given, told: tuple[bool, bool]) -> None:
    assert for_tools(given) == told


def test_what_is_missing_is_waited_for_as_long_as_it_may_come_with_the_same_commit() -> None:
    """And again after every new spec: the commit that repairs one may be as early as the first."""
    given = model().serving("v7").requests("v8")
    first = given.decide()
    soon = given.after(first).later(seconds=59)
    assert for_tools(soon) == UNDER_WAY
    late = soon.after(soon.decide()).later(seconds=1)
    assert for_tools(late) == GIVEN_UP
    corrected = late.after(late.decide()).later(minutes=30).requests("v9")
    metadata = corrected.s.model.metadata.model_copy(update={"generation": 4})
    corrected = replace(
        corrected, s=replace(corrected.s, model=corrected.s.model.model_copy(update={"metadata": metadata}))
    )
    assert for_tools(corrected) == UNDER_WAY
    again = corrected.after(corrected.decide())
    assert for_tools(again.later(seconds=59)) == UNDER_WAY
    assert for_tools(again.later(seconds=60)) == GIVEN_UP


def test_never_are_both_said_nor_one_beside_ready() -> None:
    for given, _ in STATES.values():
        found = {condition.type: condition.status for condition in given.decide().status.conditions}
        assert [found["Ready"], found["Reconciling"], found["Stalled"]].count("True") <= 1, found
