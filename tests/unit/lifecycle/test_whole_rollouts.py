"""Whole rollouts in a cluster in memory, from the first version on: which traffic users meet, and when."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.unit.lifecycle.builders import ERRORS, Given, model, policy
from tests.unit.lifecycle.world import Behaviour, World

QUICK = policy(
    "quick",
    shadow__gates=[ERRORS],
    shadow__minDuration="5m",
    shadow__interval="15s",
    canary__interval="15s",
    canary__steps=[{"weight": 10, "minDuration": "5m"}, {"weight": 50, "minDuration": "5m"}],
    canary__gates=[{"name": "errors", "errorRate": {"maxIncrease": 0.02, "abortAbove": 0.2}}],
    production__watch={"duration": "10m"},
    spec__onUnknown={"deadline": "20m", "then": "Pause"},
)


def serves(version: str) -> Callable[[World], bool]:
    def so(world: World) -> bool:
        production = world.status().production
        return production is not None and production.version == version and world.status().watch is None

    return so


def is_promoted(version: str) -> Callable[[World], bool]:
    return lambda world: world.status().production is not None and world.status().production.version == version


def is_latched(version: str) -> Callable[[World], bool]:
    return lambda world: any(failed.version == version for failed in world.status().failed)


def gets(weight: int) -> Callable[[World], bool]:
    return lambda world: world.status().weight == weight and world.status().rollout is not None


def quick_model() -> Given:
    return model().under(QUICK)


def serving(*versions: str, seed: int = 7, **behaviours: Behaviour) -> World:
    """A world in which the first of the versions serves and its watch is over; the others are registered."""
    world = World(quick_model(), seed=seed)
    for version in versions:
        world.register(version, behaviours.get(version))
    world.request(versions[0])
    assert world.run(serves(versions[0]), minutes=15)
    world.timeline, world.told = world.timeline[-1:], []
    return world


def decays_after(requests: float) -> Behaviour:
    """Good at first, then as a leak would: most of its answers are errors."""
    return Behaviour(errors=lambda answered: 0.004 if answered < requests else 0.6)


def test_the_first_version_takes_all_traffic_as_soon_as_its_pods_are_ready() -> None:
    world = World(quick_model())
    world.register("v1")
    world.request("v1")
    assert world.run(is_promoted("v1"), minutes=2)
    assert world.events() == ["RolloutStarted", "StageEntered", "Promoted"]
    assert world.run(serves("v1"), minutes=15)
    assert world.splits() == [{"v1": 100}]
    assert world.unanswered == 0
    assert world.condition("Ready") == ("True", "Promoted")


@pytest.mark.parametrize("seed", [1, 2])
def test_a_good_version_goes_through_shadow_and_canary_into_production(seed: int) -> None:
    world = serving("v1", "v2", seed=seed)
    world.request("v2")
    assert world.run(serves("v2"), hours=2)
    assert world.splits() == [{"v1": 100}, {"v1": 90, "v2": 10}, {"v1": 50, "v2": 50}, {"v2": 100}]
    assert [moment.mirrors for moment in world.timeline[:4]] == [{}, {"v2": 100}, {}, {}]
    assert world.lasted(v1=90, v2=10) >= timedelta(minutes=5)
    assert world.lasted(v1=50, v2=50) >= timedelta(minutes=5)
    assert world.events() == [
        "RolloutStarted", "StageEntered", "StageEntered", "WeightChanged", "Promoted", "WatchPassed",
    ]  # fmt: skip
    assert world.unanswered == 0
    assert world.running() == {"v1", "v2"}, "the previous version stays warm"
    assert world.condition("RollbackTargetReady") == ("True", "PreviousWarm")
    assert world.condition("Ready") == ("True", "Promoted")


@pytest.mark.parametrize("seed", [1, 2])
def test_a_version_that_decays_in_canary_is_rolled_back_and_stays_away(seed: int) -> None:
    world = serving("v2", "v3", seed=seed)
    world.request("v3")
    assert world.run(gets(10), hours=1)
    world.behaviours["v3"] = decays_after(world.counters["v3"].requests + 300)
    assert world.run(is_latched("v3"), hours=1)
    assert world.splits()[-2:] == [{"v2": 90, "v3": 10}, {"v2": 100}]
    assert 100 * world.failed / world.answered < 2, "the share of users' requests that failed, in percent"
    assert world.condition("Ready") == ("False", "RolledBack")
    before = len(world.splits())
    world.run(hours=1)
    assert len(world.splits()) == before, "Git still names v3, and it does not start again"
    assert world.running() == {"v2"}, "what is latched runs no longer"
    assert world.unanswered == 0


def test_a_version_that_is_bad_from_the_start_meets_no_user() -> None:
    world = serving("v2", "v3", v3=Behaviour(errors=lambda answered: 0.3))
    world.request("v3")
    assert world.run(is_latched("v3"), hours=1)
    assert world.splits() == [{"v2": 100}]
    assert world.status().failed[0].stage == "Shadow"
    assert "errors" in world.status().failed[0].message


def test_a_retry_is_judged_by_its_own_evidence() -> None:
    world = serving("v2", "v3", v3=Behaviour(errors=lambda answered: 0.3))
    world.request("v3")
    assert world.run(is_latched("v3"), hours=1)
    world.behaviours["v3"].errors = lambda answered: 0.004
    world.request("v3", retry=1)
    assert world.run(serves("v3"), hours=2)
    assert world.status().failed == ()


def test_a_failure_after_promotion_gives_all_traffic_back_to_the_version_before() -> None:
    world = serving("v1", "v2")
    world.request("v2")
    assert world.run(is_promoted("v2"), hours=2)
    world.behaviours["v2"].errors = lambda answered: 0.6
    failing = world.now
    assert world.run(is_promoted("v1"), minutes=5)
    assert world.now - failing < timedelta(minutes=1)
    assert world.splits()[-2:] == [{"v2": 100}, {"v1": 100}]
    assert world.unanswered == 0
    assert world.condition("Ready") == ("False", "RolledBack")


def test_a_revert_to_the_version_in_standby_is_one_write() -> None:
    world = serving("v1", "v2")
    world.request("v2")
    assert world.run(serves("v2"), hours=2)
    decisions = world.decisions
    world.request("v1")
    assert world.run(is_promoted("v1"), minutes=1)
    assert world.decisions == decisions + 1
    assert world.splits()[-1] == {"v1": 100}


def test_a_newer_request_supersedes_the_canary_cleanly() -> None:
    world = serving("v1", "v2", "v3")
    world.request("v2")
    assert world.run(gets(10), hours=1)
    world.request("v3")
    assert world.run(gets(50), hours=2)
    assert world.splits() == [
        {"v1": 100}, {"v1": 90, "v2": 10}, {"v1": 100}, {"v1": 90, "v3": 10}, {"v1": 50, "v3": 50},
    ]  # fmt: skip
    assert world.running() == {"v1", "v3"}
    assert world.status().failed == ()


def test_metrics_that_are_down_for_the_whole_rollout_pause_it_and_move_nobody() -> None:
    world = serving("v1", "v2")
    world.metrics_down = True
    world.request("v2")
    world.run(minutes=40)
    assert world.splits() == [{"v1": 100}]
    assert world.condition("Progressing") == ("False", "Paused")
    assert world.condition("GatesPassed") == ("Unknown", "MetricsUnavailable")
    assert world.condition("Serving") == ("True", "ProductionAvailable")
    world.metrics_down = False
    assert world.run(serves("v2"), hours=2), "a pause ends by itself"


def test_no_traffic_is_no_evidence() -> None:
    world = serving("v1", "v2")
    world.requests_per_second = 0.0
    world.request("v2")
    world.run(minutes=15)
    assert world.splits() == [{"v1": 100}]
    assert world.condition("GatesPassed")[0] == "Unknown"


def test_a_gateway_that_is_down_holds_the_rollout_and_removes_no_pods() -> None:
    world = serving("v1", "v2")
    world.request("v2")
    assert world.run(gets(10), hours=1)
    world.gateway_down = True
    world.run(minutes=15)
    assert world.status().weight == 10
    assert world.condition("TrafficApplied") == ("Unknown", "RouteNotAccepted")
    world.request("v1")
    world.run(minutes=5)
    assert world.running() == {"v1", "v2"}, "the gateway may still send requests to v2"
    world.gateway_down = False
    world.run(minutes=5)
    assert world.running() == {"v1"}
    assert world.unanswered == 0


def test_pods_that_never_become_ready_fail_the_version_and_leave_production_alone() -> None:
    world = serving("v1", "v2", v2=Behaviour(never_ready=True))
    world.request("v2")
    assert world.run(is_latched("v2"), minutes=12)
    assert world.status().failed[0].reason == "ProgressDeadlineExceeded"
    assert world.splits() == [{"v1": 100}]
    world.run(minutes=1)
    assert world.running() == {"v1"}


@pytest.mark.parametrize("stage", ["Shadow", "Canary"])
def test_a_clock_that_is_set_back_delays_a_rollout_and_does_not_stop_it(stage: str) -> None:
    world = serving("v1", "v2")
    world.request("v2")
    assert world.run(lambda world: world.status().stage == stage and world.status().gates != (), hours=1)
    world.clock_error = timedelta(minutes=-20)
    assert world.run(is_promoted("v2"), hours=2)
    assert world.splits() == [{"v1": 100}, {"v1": 90, "v2": 10}, {"v1": 50, "v2": 50}, {"v2": 100}]


def test_the_operator_is_not_busy_while_nothing_happens() -> None:
    world = serving("v1", "v2")
    world.request("v2")
    assert world.run(serves("v2"), hours=2)
    started = world.decisions
    world.run(hours=24)
    assert world.decisions - started < 20
