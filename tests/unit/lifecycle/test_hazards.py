"""What a lifecycle operator must survive, as far as a decision alone can show it. Each test is named after its hazard.

| hazard | test |
| --- | --- |
| operator killed between any two writes | `test_an_operator_killed_after_each_decision`; between two writes: api layer |
| conflicting writers | api layer |
| Prometheus down | `test_prometheus_down` |
| NaN with a failure-only condition; two series; +Inf | `test_nan_or_infinity_in_the_metrics`, `test_a_query_without_one_finite_number` |
| edges that differ, a counter that resets at every scrape, a metric renamed, no series, clock skew | `test_readings_that_make_no_sense` |
| analysis ended with zero measurements | `test_an_analysis_with_zero_measurements` |
| zero traffic on the canary | `test_zero_traffic_on_the_canary` |
| stale metric hidden by the lookback | `test_a_stale_metric` |
| requested version changed mid-rollout | `test_another_version_requested_in_mid_rollout` |
| policy changed or deleted mid-rollout | `test_the_policy_changed_in_mid_rollout` |
| Model deleted mid-rollout | `test_the_model_deleted_in_mid_rollout`; the finalizer itself: api layer |
| ModelVersion deleted mid-rollout | `test_the_modelversion_deleted_in_mid_rollout` |
| rollback target gone | `test_the_rollback_target_gone` |
| rollback sends traffic before pods are ready | `test_a_rollback_before_pods_are_ready` |
| route accepted but not in force | `test_a_route_accepted_but_not_in_force` |
| operator upgrade changes the pod template hash | `test_an_operator_upgrade_changes_no_digest` |
| primary unhealthy while the canary is promoted | `test_the_primary_unhealthy_while_the_canary_serves` |
| self-heal by Argo CD after rollback | `test_self_heal_by_argo_cd_after_a_rollback` |
| mirror names a Service that is missing | `test_a_mirror_to_a_service_that_is_missing`; the order of the writes: api layer |
| route status read as effect | `test_the_route_status_read_as_effect`, `test_a_mirror_that_loses_requests` |
| ModelVersion of what serves is pruned | `test_the_modelversion_of_what_serves_is_pruned`; garbage collection: api layer |
| standby smaller than production | `test_a_standby_smaller_than_production` |
| clock set back | `test_a_clock_set_back` |
| two operators | api layer |
"""

import math
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from datetime import timedelta
from functools import cache

import pytest

from modelward.api.digests import version_digest
from modelward.lifecycle.evidence import Evidence
from modelward.stats.readings import Binned, PodReading, QueryAnswer, Reading
from tests.unit.lifecycle.builders import NOW, Given, model, policy, version_spec
from tests.unit.lifecycle.expectations import (
    announces,
    candidate,
    condition,
    finalizer,
    in_standby,
    latched,
    mirrors,
    on_the_way_to,
    pods,
    says,
    serves,
    silent,
    weights,
)
from tests.unit.lifecycle.test_whole_rollouts import gets, is_latched, is_promoted, serving
from tests.unit.lifecycle.world import Behaviour, World


def canary(weight: int = 10) -> Given:
    return model().serving("v7").canary("v8", weight=weight)


def in_canary() -> World:
    """A world in which v2 has just come to 10 %; one for each test, from the same past."""
    return deepcopy(_reached_the_canary())


@cache
def _reached_the_canary() -> World:
    world = serving("v1", "v2")
    world.request("v2")
    assert world.run(gets(10), hours=1)
    return world


def with_series(change: Callable[[PodReading], dict[str, float]]) -> Callable[[Reading], Reading]:
    return lambda reading: replace(reading, pods=tuple(replace(pod, series=change(pod)) for pod in reading.pods))


def test_an_operator_killed_after_each_decision() -> None:
    """The world keeps status as JSON and nothing else; see also the sums that are neither lost nor counted twice."""
    world = in_canary()
    assert world.run(is_promoted("v2"), hours=1)
    evidence = world.given.s.versions["v2"].evidence
    assert evidence is not None
    assert Evidence.from_dict(evidence.to_dict()) == evidence
    assert evidence.samples <= world.counters["v2"].requests


def test_prometheus_down() -> None:
    world = in_canary()
    world.metrics_down = True
    world.run(minutes=35)
    assert world.status().weight == 10
    assert world.status().failed == ()
    assert world.condition("Progressing") == ("False", "Paused")


@pytest.mark.parametrize("value", [math.nan, math.inf, -1.0])
def test_nan_or_infinity_in_the_metrics(value: float) -> None:
    world = in_canary()
    world.spoil = with_series(lambda pod: {**pod.series, "errors": value})  # type: ignore[dict-item]
    world.run(minutes=10)
    assert world.status().weight == 10
    assert world.condition("GatesPassed") == ("Unknown", "InvalidResult")


def _of_other_pods(reading: Reading) -> Reading:
    return replace(reading, pods=tuple(replace(pod, pod=f"{pod.pod}-{pod.at:.0f}") for pod in reading.pods))


def _renamed(reading: Reading) -> Reading:
    without = with_series(lambda pod: {"requests": pod.series["requests"]})(reading)  # type: ignore[dict-item]
    return replace(without, absent={"errors": "pod v2-0 shows no such counter"})


NONSENSE: dict[str, Callable[[Reading], Reading]] = {
    "counters that reset at every scrape": with_series(lambda pod: {**pod.series, "requests": 1e10 - pod.at, "errors": 0.0}),  # type: ignore[dict-item]
    "a metric that was renamed": _renamed,
    "no series": with_series(lambda _: {}),
    "everything negative": with_series(lambda pod: dict.fromkeys(pod.series, -1.0)),
    "everything NaN": with_series(lambda pod: dict.fromkeys(pod.series, math.nan)),
    "edges that differ at every look": with_series(lambda pod: {**pod.series, "latency": Binned((pod.at,), (pod.at, 1.0))}),  # type: ignore[dict-item]
    "samples of ten minutes ago": lambda reading: replace(reading, pods=tuple(replace(pod, at=pod.at - 600) for pod in reading.pods)),
    "samples of in ten minutes": lambda reading: replace(reading, pods=tuple(replace(pod, at=pod.at + 600) for pod in reading.pods)),
    "starts of in ten minutes": lambda reading: replace(reading, pods=tuple(replace(pod, started_at=pod.at + 600) for pod in reading.pods)),
    "other pods at every look": _of_other_pods,
    "no pods": lambda reading: replace(reading, pods=()),
}  # fmt: skip


@pytest.mark.parametrize("spoil", NONSENSE.values(), ids=NONSENSE.keys())
def test_readings_that_make_no_sense(spoil: Callable[[Reading], Reading]) -> None:
    """Nothing is raised, and a sound version is never latched for what its metrics look like."""
    world = in_canary()
    world.spoil = spoil
    world.run(minutes=10)
    assert world.status().failed == ()
    assert world.status().production.version == "v1" or world.condition("Ready")[0] == "True"


@pytest.mark.parametrize(
    "nonsense", ["a metric that was renamed", "no series", "everything negative", "everything NaN", "no pods"]
)
def test_a_version_without_evidence_gets_no_further(nonsense: str) -> None:
    world = in_canary()
    world.spoil = NONSENSE[nonsense]
    world.run(minutes=10)
    assert world.status().weight == 10
    assert world.condition("GatesPassed")[0] == "Unknown"


def test_one_request_on_the_canary() -> None:
    world = in_canary()
    world.requests_per_second = 0.0
    world.counters["v2"].requests += 1
    world.run(minutes=10)
    assert world.status().weight == 10
    assert world.status().failed == ()


def test_a_query_without_one_finite_number() -> None:
    gate = {"name": "queue", "query": {"source": "main", "query": "queue_length", "max": 10}}
    given = model().under(policy(canary__gates=[gate])).serving("v7").canary("v8")
    for answer in (
        QueryAnswer(None, "the query returned 2 series, not one number", "InvalidResult"),
        QueryAnswer(None, "the result is NaN", "InvalidResult"),
    ):
        reading = Reading("v8", NOW.timestamp(), (PodReading("v8-0", 0.0, NOW.timestamp(), {"requests": 900.0}),))
        asked = Given(replace(given.s, readings={"v8": reading}, answers={"queue": answer}))
        plan = asked.decide()
        assert answer.problem is not None
        (weights(v7=90, v8=10) & says("GatesPassed", answer.problem) & latched()).hold_for(plan)


def test_an_analysis_with_zero_measurements() -> None:
    given = canary(50).later(days=1)
    (weights(v7=50, v8=50) & condition("GatesPassed", None, "NotMeasured") & silent()).hold_for(given.decide())


def test_zero_traffic_on_the_canary() -> None:
    world = in_canary()
    world.requests_per_second = 0.0
    world.run(minutes=10)
    assert world.status().weight == 10
    assert world.status().failed == ()
    assert world.condition("GatesPassed")[0] == "Unknown"
    assert world.condition("TrafficApplied") == ("True", "RouteAccepted"), "low traffic is no mismatch"


def test_a_stale_metric() -> None:
    world = in_canary()
    world.spoil = lambda reading: Reading(
        reading.version, reading.at, problem="the newest sample is 4 min old", reason="StaleMetrics"
    )
    world.run(minutes=10)
    assert world.status().weight == 10
    assert world.condition("GatesPassed") == ("Unknown", "StaleMetrics")


def test_another_version_requested_in_mid_rollout() -> None:
    given = canary().gate("errors", "Pass").version("v9").requests("v9")
    left = given.decide()
    (weights(v7=100) & latched() & announces("Superseded", "asks for v9")).hold_for(left)
    (candidate("v9") & announces("RolloutStarted", "v9 enters Validation")).hold_for(given.after(left).decide())


@pytest.mark.parametrize("become", ["changed", "deleted"])
def test_the_policy_changed_in_mid_rollout(become: str) -> None:
    """The rollout goes on under the copy that it is pinned to, whose weights are 10 and 50."""
    pinned = canary().gate("errors", "Pass")
    assert pinned.s.policy is not None
    wild = policy(canary__steps=[{"weight": 90, "minDuration": "0s"}])
    given = pinned.under(wild) if become == "changed" else pinned.without_a_policy()
    plan = given.decide()
    (weights(v7=50, v8=50) & condition("SpecValid", True, "Valid")).hold_for(plan)
    assert pinned.s.policy.digest in plan.pins


def test_the_model_deleted_in_mid_rollout() -> None:
    given = canary().gate("errors", "Pass").deleted()
    plan = given.decide()
    (weights() & finalizer("Remove") & pods(v7=2, v8=2)).hold_for(plan)
    gone = given.after(plan).without_the_route_object()
    finalizer("Remove").hold_for(gone.later(seconds=2).decide())
    finalizer("Release").hold_for(gone.later(seconds=3).decide())
    finalizer("Release").hold_for(given.after(plan).later(seconds=60).decide())  # bounded: the route is still there


def test_the_modelversion_deleted_in_mid_rollout() -> None:
    given = canary(50).gate("errors", "Pass").pruned("v8")
    plan = given.decide()
    (weights(v7=100) & candidate(None)).hold_for(plan)
    assert "v8" in plan.children.kept, "its pods end after its traffic"


def test_the_rollback_target_gone() -> None:
    given = model().serving("v8").standby("v7").watched(previous="v7").gate("errors", "Fail").forgotten("v7")
    (
        weights(v8=100)
        & serves("v8")
        & on_the_way_to(None)
        & condition("RollbackTargetReady", False, "PreviousMissing")
    ).hold_for(given.decide())


def test_a_rollback_before_pods_are_ready() -> None:
    given = model().serving("v8").standby("v7", ready=0).watched(previous="v7").gate("errors", "Fail")
    begun = given.decide()
    (weights(v8=100) & pods(v7=2, v8=2) & on_the_way_to("v7")).hold_for(begun)
    half = given.after(begun).version("v7", ready=1)
    weights(v8=100).hold_for(half.decide())
    weights(v7=100).hold_for(half.version("v7", ready=2).decide())


def test_a_rollback_while_what_serves_has_no_pod() -> None:
    given = model().serving("v8", ready=0).standby("v7", ready=1).switching("v7", "Rollback")
    (weights(v7=100) & serves("v7")).hold_for(given.decide())


def test_a_canary_that_loses_its_pods_counts_its_time_anew() -> None:
    alone = model().serving("v7").canary("v8", weight=10).version("v8", ready=0)
    withdrawn = alone.after(alone.decide())
    weights(v7=100).hold_for(withdrawn.decide())
    status = withdrawn.decide().status
    assert status.rollout is not None
    assert status.rollout.traffic_since is None


def test_a_route_accepted_but_not_in_force() -> None:
    waiting = canary().rollout(traffic_since=None).gate("errors", "Pass").route(observed=False).later(hours=5)
    plan = waiting.decide()
    (weights(v7=90, v8=10) & condition("TrafficApplied", None, "RouteNotAccepted") & silent()).hold_for(plan)
    assert plan.status.rollout is not None and plan.status.rollout.traffic_since is None


def test_an_operator_upgrade_changes_no_digest() -> None:
    """Computed once, from what the user wrote; a release that alters it would make every Model roll out again."""
    assert (
        version_digest(version_spec("v8")) == "sha256:16efe5e41bb8ababbe152b46ee20f1501a984f9e3bec914148cf676b9bcaaee7"
    )


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(canary(50).gate("errors", "Fail"), id="a gate fails"),
        pytest.param(
            model()
            .under(policy(spec__onUnknown={"deadline": "1m", "then": "Rollback"}))
            .serving("v7")
            .canary("v8", weight=50, unknown_since=NOW - timedelta(hours=1))
            .gate("errors", "Unknown"),
            id="evidence stays away",
        ),
    ],
)
def test_the_primary_unhealthy_while_the_canary_serves(given: Given) -> None:
    unhealthy = given.version("v7", ready=0)
    stays = weights(v7=50, v8=50) & says("Progressing", "v7 has no ready pod, so traffic stays where it is")
    stays.hold_for(unhealthy.decide())
    weights(v7=100).hold_for(unhealthy.version("v7", ready=1).decide())


def test_self_heal_by_argo_cd_after_a_rollback() -> None:
    """A sync writes the same spec again, which is no new wish."""
    world = serving("v1", "v2", v2=Behaviour(errors=lambda answered: 0.5))
    world.request("v2")
    assert world.run(is_latched("v2"), hours=1)
    told = len(world.told)
    for _ in range(20):
        world.request("v2")
        world.run(minutes=10)
    assert world.told[told:] == []
    assert world.splits() == [{"v1": 100}]


def test_a_mirror_to_a_service_that_is_missing() -> None:
    given = model().serving("v7").shadow("v8").gate("errors", "Pass").version("v8", service_exists=False)
    dropped = given.decide()
    (weights(v7=100) & mirrors() & pods(v7=2, v8=2)).hold_for(dropped)
    made_again = given.after(dropped).version("v8", service_exists=True)
    mirrors(v8=100).hold_for(made_again.gate("errors", "Unknown").decide())


def test_the_route_status_read_as_effect() -> None:
    """The gateway says that 10 % go to the candidate, and sends it every second request."""
    world = serving("v1", "v2")
    world.effect = lambda split: {"v1": 50, "v2": 50} if len(split) == 2 else split
    world.request("v2")
    assert world.run(gets(10), hours=1)
    world.run(minutes=10)
    assert world.status().weight == 10
    assert world.condition("TrafficApplied") == ("False", "ShareMismatch")
    assert world.condition("Progressing") == ("False", "ShareMismatch")


def test_a_mirror_that_loses_requests() -> None:
    world = serving("v1", "v2")
    world.mirror_loss = 0.3
    world.request("v2")
    world.run(minutes=12)
    assert world.splits() == [{"v1": 100}]
    assert world.condition("TrafficApplied") == ("False", "ShareMismatch")


def test_the_modelversion_of_what_serves_is_pruned() -> None:
    """A revert of the commit that added and promoted v8: its ModelVersion goes, and v7 is requested again."""
    given = model().serving("v8").standby("v7").pruned("v8")
    (weights(v8=100) & pods(v7=2, v8=2) & condition("Serving", True, "ProductionAvailable")).hold_for(given.decide())
    (weights(v7=100) & in_standby("v8") & condition("Ready", True, "Promoted")).hold_for(given.requests("v7").decide())


def test_a_standby_smaller_than_production() -> None:
    small = policy(production__standby={"keep": 1, "replicas": 1, "warmFor": "72h"})
    given = model().under(small).serving("v8").standby("v7", ready=1)
    (pods(v7=1, v8=2) & condition("RollbackTargetReady", False, "PreviousCold")).hold_for(given.decide())
    reverted = given.requests("v7")
    begun = reverted.decide()
    (weights(v8=100) & pods(v7=2, v8=2) & announces("RevertStarted", "1 of 2 are ready")).hold_for(begun)
    weights(v7=100).hold_for(reverted.after(begun).version("v7", ready=2).decide())


def test_a_clock_set_back() -> None:
    """Nothing is promoted early, nothing fails, and it ends; whole rollouts show that it does."""
    given = canary().gate("errors", "Pass").later(hours=-2)
    (weights(v7=90, v8=10) & latched() & silent()).hold_for(given.decide())
