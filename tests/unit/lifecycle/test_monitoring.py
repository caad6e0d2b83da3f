"""Monitoring of what serves: what a user sees of it, what a failure does, and a whole month of it."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from modelward.api.status import GateStatus, MonitoringStatus, Stage
from modelward.lifecycle.assess import due, next_look, subjects
from modelward.lifecycle.monitoring import monitoring_of
from modelward.lifecycle.snapshot import Policy
from tests.unit.lifecycle.builders import NOW, Given, model, policy
from tests.unit.lifecycle.expectations import (
    Expectation,
    announces,
    candidate,
    condition,
    latched,
    on_the_way_to,
    says,
    serves,
    silent,
    weights,
)
from tests.unit.lifecycle.world import Behaviour, World

ERRORS = {"name": "errors", "errorRate": {"abortAbove": 0.05}}
INCOME = {"name": "income", "drift": {"threshold": 0.2, "maxDriftedShare": 0}}
GATES = [ERRORS, INCOME]
BACK = [{"gate": "errors", "then": "Rollback"}]


def asks(*gates: dict[str, Any], responses: Any = (), interval: str = "1h", **more: Any) -> Policy:
    """STEADY with monitoring."""
    section = {"interval": interval, "gates": list(gates or GATES), "responses": responses}
    return policy(production__monitoring=section, **more)


def monitored(chosen: Policy | None = None, given: Given | None = None) -> Given:
    """v7 serves, and was promoted under a policy that asks for monitoring."""
    chosen = chosen or asks()
    serving = (given or model()).under(chosen).serving("v7")
    production = serving.s.status.production
    assert production is not None
    return serving.status(production=production.model_copy(update={"monitored_under": chosen.digest}))


def found(given: Given, **results: str) -> Given:
    """What the newest look at what serves has found, by gate; `income_` for one that is advisory."""
    production = given.s.status.production
    assert production is not None
    rows = tuple(
        GateStatus.model_validate(
            {
                "name": name.rstrip("_"),
                "stage": Stage.PRODUCTION,
                "version": production.version,
                "result": result,
                "reason": "MetricsUnavailable" if result == "Unknown" else result,
                "message": f"{name} is {result}",
                "advisory": name.endswith("_"),
                "at": NOW - timedelta(minutes=5),
            }
        )
        for name, result in results.items()
    )
    told = MonitoringStatus(version=production.version, since=production.since, evidence_at=NOW, gates=rows)
    return given.status(monitoring=told)


def performing(status: bool | None, reason: str) -> Expectation:
    return condition("Performing", status, reason)


STAYS = serves("v7") & weights(v7=100) & on_the_way_to(None) & latched()
GOES_BACK = on_the_way_to("v6") & latched("v7") & announces("VersionLatched", "gate errors failed in the monitoring of v7", warning=True)  # fmt: skip
TO_V6 = asks(responses=BACK)

CASES: dict[str, tuple[Given, Expectation]] = {
    "all gates pass": (
        found(monitored(), errors="Pass", income="Pass"),
        STAYS & performing(True, "WithinBounds") & condition("DriftDetected", False, "WithinThreshold") & silent(),
    ),
    "a failure is told and moves nothing": (
        found(monitored().standby("v6"), errors="Fail", income="Pass"),
        STAYS & performing(False, "MonitoringFailed") & says("Performing", "errors is Fail"),
    ),
    "drift is seen in its own condition too": (
        found(monitored(), errors="Pass", income="Fail"),
        performing(False, "MonitoringFailed") & condition("DriftDetected", True, "ThresholdExceeded"),
    ),
    "metrics that stay away are not good news": (
        found(monitored(), errors="Unknown", income="Pass"), performing(None, "MetricsUnavailable"),
    ),
    "an undecided gate is not good news": (
        found(monitored(), errors="Pass", income="Inconclusive"), performing(None, "Inconclusive"),
    ),
    "a failure is told before what is unknown": (
        found(monitored(), errors="Unknown", income="Fail"), performing(False, "MonitoringFailed"),
    ),
    "an advisory gate says nothing of the whole": (
        found(monitored(), errors="Pass", income_="Fail"), performing(True, "WithinBounds"),
    ),
    "nothing was looked at yet": (monitored(), performing(None, "NotMeasured")),
    "the policy asks for none": (model().serving("v7"), performing(None, "NoMonitoring")),
    "nothing serves": (model(), performing(None, "NoProductionVersion")),
    "a failure goes back to a warm version where the policy says so": (
        found(monitored(TO_V6).standby("v6"), errors="Fail"), GOES_BACK,
    ),
    "a response to all gates is one to each": (
        found(monitored(asks(responses=[{"gate": "*", "then": "Rollback"}])).standby("v6"), errors="Fail"), GOES_BACK,
    ),
    "a gate of its own response is not among all": (
        found(monitored(asks(responses=[{"gate": "*", "then": "Rollback"}, {"gate": "errors", "then": "Alert"}])).standby("v6"), errors="Fail"),
        STAYS,
    ),
    "another gate than the one that rolls back fails": (
        found(monitored(TO_V6).standby("v6"), errors="Pass", income="Fail"), STAYS,
    ),
    "no previous version is left": (found(monitored(TO_V6), errors="Fail"), STAYS & performing(False, "MonitoringFailed")),
    "the previous version is not warm": (
        found(monitored(TO_V6).standby("v6", ready=0), errors="Fail"), STAYS & performing(False, "MonitoringFailed"),
    ),
    "the previous version has failed too": (
        found(monitored(TO_V6).standby("v6").failed("v6"), errors="Fail"),
        serves("v7") & on_the_way_to(None) & latched("v6"),
    ),
    "the policy rolls nothing back by itself": (
        found(monitored(asks(responses=BACK, spec__rollback={"automatic": False})).standby("v6"), errors="Fail"), STAYS,
    ),
    "a suspended Model is told of and not moved": (
        found(monitored(TO_V6).standby("v6").suspended(), errors="Fail"), STAYS & performing(False, "MonitoringFailed"),
    ),
    "an advisory gate rolls nothing back": (found(monitored(TO_V6).standby("v6"), errors_="Fail"), STAYS),
    "a rollout beside it goes on": (
        found(monitored().canary("v8"), errors="Fail"),
        candidate("v8") & serves("v7") & performing(False, "MonitoringFailed"),
    ),
    "a failing incumbent is given up while a rollout runs": (
        found(monitored(TO_V6).standby("v6").canary("v8"), errors="Fail"), GOES_BACK & candidate(None),
    ),
    "the watch is not failed by the monitoring's gates": (
        found(monitored().standby("v6").watched("v6"), errors="Fail"), STAYS & performing(False, "MonitoringFailed"),
    ),
    "the copy of the policy was deleted": (
        found(monitored(), errors="Pass").under(policy()).without_the_kept_policy(),
        STAYS & performing(None, "MonitoringUnavailable") & says("Performing", "the next promotion is monitored again"),
    ),
    "the ModelVersion was pruned": (
        found(monitored(), errors="Pass").pruned("v7"),
        serves("v7") & performing(None, "MonitoringUnavailable") & says("Performing", "create it again as it was"),
    ),
    "the policy itself was deleted": (
        found(monitored(), errors="Pass", income="Pass").without_a_policy(), serves("v7") & performing(True, "WithinBounds"),
    ),
    "the policy was changed after the promotion": (
        found(monitored(), errors="Pass", income="Pass").under(policy(production__monitoring=None)), performing(True, "WithinBounds"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("given", "expect"), CASES.values(), ids=list(CASES))
def test_what_monitoring_has_found_and_what_follows(given: Given, expect: Expectation) -> None:
    expect.hold_for(given.decide())


def test_what_was_found_last_is_held_while_nothing_can_be_measured() -> None:
    told = found(monitored(), errors="Pass", income="Fail").pruned("v7").decide().status.monitoring
    assert told is not None
    assert [(row.name, row.result) for row in told.gates] == [("errors", "Pass"), ("income", "Fail")]
    assert told.evidence_at == NOW


def test_the_policy_of_what_serves_and_of_what_can_be_gone_back_to_is_kept() -> None:
    older = asks(ERRORS)
    given = monitored().standby("v6")
    (standby,) = given.s.status.standby
    given = given.status(standby=(standby.model_copy(update={"monitored_under": older.digest}),))
    assert set(given.decide().pins) == {asks().digest, older.digest}


def test_a_promotion_begins_monitoring_under_its_policy_and_a_revert_takes_up_the_one_before() -> None:
    newer = asks(ERRORS, responses=BACK)
    given = found(monitored(), errors="Fail").under(newer).canary("v8", weight=50).gate("errors", "Pass")
    promoted = given.decide().status
    assert promoted.production is not None
    assert (promoted.production.version, promoted.production.monitored_under) == ("v8", newer.digest)
    assert promoted.monitoring is not None
    assert (promoted.monitoring.version, promoted.monitoring.gates) == ("v8", ())
    assert promoted.standby[0].monitored_under == asks().digest
    reverted = given.after(given.decide()).requests("v7").decide().status
    assert reverted.production is not None
    assert (reverted.production.version, reverted.production.monitored_under) == ("v7", asks().digest)


@pytest.mark.parametrize(
    ("given", "looks"),
    [
        pytest.param(monitored(), True, id="at rest"),
        pytest.param(monitored().canary("v8"), True, id="beside a rollout"),
        pytest.param(monitored().suspended(), True, id="suspended"),
        pytest.param(monitored().deleted(), False, id="deleted"),
        pytest.param(monitored().pruned("v7"), False, id="without a ModelVersion to keep the evidence in"),
        pytest.param(monitored().served_elsewhere(), False, id="no longer served here"),
    ],
)
def test_what_serves_is_looked_at(given: Given, looks: bool) -> None:
    assert any(subject.monitoring and due(given.s, subject) for subject in subjects(given.s)) is looks


def test_the_candidates_query_and_the_monitorings_of_one_name_are_two_questions() -> None:
    question = {"name": "load", "query": {"source": "platform", "query": "max(load)", "max": 1}}
    given = monitored(asks(question, canary__gates=[question])).canary("v8")
    names = {subject.version: subject for subject in subjects(given.s)}
    assert names["v7"].monitoring is not None
    assert names["v8"].monitoring is None


@dataclass(frozen=True)
class Known:
    given: Given
    judged: bool
    problem: str | None


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(Known(model().serving("v7"), False, None), id="none asked for"),
        pytest.param(Known(monitored(), True, None), id="not looked at yet"),
        pytest.param(Known(found(monitored(), errors="Pass"), True, None), id="evidence arrives"),
        pytest.param(Known(found(monitored(), errors="Unknown"), True, "errors is Unknown"), id="evidence stays away"),
        pytest.param(Known(monitored().pruned("v7"), True, "was deleted"), id="pruned"),
    ],
)
def test_what_governance_can_ask(case: Known) -> None:
    state = monitoring_of(case.given.s)
    assert state.judged is case.judged
    assert (case.problem or "") in (state.problem or "")
    assert (state.problem is None) is (case.problem is None)


USUAL, SHIFTED = (0.1, 0.2, 0.4, 0.2, 0.1), (0.04, 0.08, 0.23, 0.3, 0.35)
BASELINE = {
    "features": [
        {"name": "income", "kind": "Numeric", "edges": [10, 20, 30, 40], "counts": [400, 800, 1600, 800, 400], "missing": 0}
    ]
}  # fmt: skip
WEEK = timedelta(days=7)


def month(chosen: Policy, behaviour: Behaviour, **world: Any) -> World:
    """A Model whose first version has just come to production."""
    begun = World(model().under(chosen), **{"requests_per_second": 0.5, **world})
    begun.given = begun.given.version("v1", more={"baseline": BASELINE})
    begun.behaviours["v1"] = behaviour
    begun.request("v1")
    assert begun.run(lambda world: world.condition("Serving")[0] == "True" and not world.status().rollout, minutes=10)
    return begun


def test_a_month_in_production_with_a_drift_in_the_middle() -> None:
    began, ended = NOW + 2 * WEEK, NOW + 3 * WEEK

    def income(at: datetime) -> tuple[float, ...]:
        return SHIFTED if began <= at < ended else USUAL

    world = month(asks(interval="3h"), Behaviour(income=income))
    assert world.run(lambda world: world.condition("Performing") == ("True", "WithinBounds"), days=2)
    world.run(days=(began - world.now) / timedelta(days=1))
    assert world.condition("Performing") == ("True", "WithinBounds")
    assert world.condition("DriftDetected") == ("False", "WithinThreshold")
    assert "MonitoringFailed" not in world.events()

    assert world.run(lambda world: world.condition("DriftDetected")[0] == "True", days=2)
    assert world.now - began <= timedelta(hours=24)
    assert world.condition("Performing") == ("False", "MonitoringFailed")
    assert world.condition("Ready")[0] == "True"  # users are answered as before; a person has to look upstream

    world.run(days=(ended - world.now) / timedelta(days=1))
    assert world.condition("Performing") == ("False", "MonitoringFailed")
    assert world.run(lambda world: world.condition("Performing")[0] == "True", days=3)
    assert world.now - ended <= timedelta(hours=48)
    world.run(days=5)
    told = [reason for reason in world.events() if reason.startswith("Monitoring")]
    assert told == ["MonitoringFailed", "MonitoringRecovered"]


def test_a_model_that_is_monitored_is_written_to_once_an_interval() -> None:
    world = month(asks(), Behaviour(income=lambda at: USUAL))
    world.run(hours=2)
    before, decisions = world.writes, world.decisions
    world.run(days=2)
    assert world.writes - before <= 49
    assert world.decisions - decisions <= 2 * 49


def test_metrics_that_fall_silent_are_seen_within_an_interval() -> None:
    world = month(asks(), Behaviour(income=lambda at: USUAL))
    world.run(days=2)
    assert world.condition("Performing")[0] == "True"
    world.metrics_down = True
    world.run(hours=1, minutes=5)
    assert world.condition("Performing") == ("Unknown", "MetricsUnavailable")
    told = world.status().monitoring
    assert told is not None
    assert told.evidence_at is not None
    assert world.now - told.evidence_at > timedelta(hours=1)


def test_a_version_that_decays_in_its_second_week_gives_way_to_the_one_before() -> None:
    chosen = asks(
        ERRORS, responses=BACK, interval="3h", production__standby={"keep": 1, "replicas": "Full", "warmFor": "1000h"}
    )
    world = month(chosen, Behaviour(), requests_per_second=20)
    world.run(hours=2)
    world.register("v2", Behaviour(errors=lambda answered: 0.004 if answered < 20 * 86400 * 8 else 0.3))
    world.request("v2")
    assert world.run(lambda world: world.served == {"v2": 100}, hours=12)
    assert world.run(lambda world: world.served == {"v1": 100}, days=12)
    assert timedelta(days=8) < world.now - NOW < timedelta(days=9)
    assert [entry.version for entry in world.status().failed] == ["v2"]
    assert "MonitoringFailed" in world.events()
    world.run(days=1)
    assert world.condition("Ready") == ("False", "RolledBack")
    assert world.condition("Performing")[0] == "True"


def test_a_failure_that_was_written_as_evidence_only_is_told_after_a_kill() -> None:
    """The operator was killed between the write of the evidence and that of the Model's status."""
    world = month(asks(ERRORS), Behaviour(errors=lambda answered: 0.004 if answered < 40_000 else 0.4))
    while world.condition("Performing")[0] != "False":
        before = world.given.s.status
        world.run(minutes=30)
    killed = Given(replace(world.given.s, status=before, now=world.now))
    assert killed.s.status.monitoring is not None
    assert "Fail" not in [row.result for row in killed.s.status.monitoring.gates]
    plan = killed.decide()
    performing(False, "MonitoringFailed").hold_for(plan)
    assert [told.reason for told in plan.announcements] == ["MonitoringFailed"]
    told, uninterrupted = plan.status.monitoring, world.status().monitoring
    assert told is not None
    assert uninterrupted is not None
    assert told.evidence_at == uninterrupted.evidence_at


def test_the_next_look_is_an_interval_after_the_last() -> None:
    world = month(asks(), Behaviour(income=lambda at: USUAL))
    world.run(hours=3)
    s = world.given.s
    (subject,) = [subject for subject in subjects(replace(s, now=world.now)) if subject.monitoring]
    view = s.versions["v1"].monitoring
    assert view is not None
    assert view.evaluated_at is not None
    assert next_look(replace(s, now=world.now), subject) == view.evaluated_at + timedelta(hours=1)
