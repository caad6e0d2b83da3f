"""Which backends a route may name, and which pods run how long."""

from datetime import timedelta
from typing import Any

import pytest

from tests.unit.lifecycle.builders import LONG_AGO, NOW, Given, model, policy
from tests.unit.lifecycle.expectations import keeps, looks_again_within, mirrors, pods, serves, weights


def standby_of(**standby: object) -> Given:
    return model().under(policy(production__standby={"keep": 1, "warmFor": "72h", **standby}))


def test_a_mirror_never_names_a_service_that_is_missing() -> None:
    given = model().serving("v7").shadow("v8").gate("errors", "Pass").version("v8", service_exists=False)
    (weights(v7=100) & mirrors() & pods(v7=2, v8=2)).hold_for(given.decide())


def test_a_weight_never_names_a_service_that_is_missing() -> None:
    given = model().serving("v7").canary("v8").gate("errors", "Pass").version("v8", service_exists=False)
    (weights(v7=100) & pods(v7=2, v8=2)).hold_for(given.decide())


@pytest.mark.parametrize(("ready", "share"), [(0, {}), (1, {}), (2, {"v8": 100})])
def test_a_mirror_begins_when_all_pods_are_ready(ready: int, share: dict[str, int]) -> None:
    given = (
        model()
        .serving("v7")
        .shadow("v8", traffic_since=None)
        .version("v8", ready=ready)
        .traffic({"v7": 100}, since=NOW)
    )
    mirrors(**share).hold_for(given.decide())


def test_a_step_of_100_percent_names_the_candidate_alone() -> None:
    whole = policy(canary__steps=[{"weight": 100, "minDuration": "10m"}])
    weights(v8=100).hold_for(
        model().under(whole).serving("v7").canary("v8", weight=100).gate("errors", "Unknown").decide()
    )


@pytest.mark.parametrize(
    ("given", "replicas"),
    [
        pytest.param(standby_of(replicas="Full"), 2, id="as many as in production"),
        pytest.param(standby_of(replicas=1), 1, id="fewer"),
        pytest.param(standby_of(replicas=5), 2, id="never more than in production"),
        pytest.param(standby_of(replicas=0), 0, id="none"),
    ],
)
def test_the_size_of_a_standby(given: Given, replicas: int) -> None:
    pods(v7=replicas, v8=2).hold_for(given.serving("v8").standby("v7").decide())


@pytest.mark.parametrize("smaller", [{"replicas": 1}, {"replicas": "Full", "warmFor": "0s"}], ids=["fewer", "cold"])
def test_a_standby_shrinks_only_after_its_traffic_has_gone(smaller: dict[str, Any]) -> None:
    policed = model().under(policy(production__standby={"keep": 1, "replicas": "Full", "warmFor": "72h", **smaller}))
    given = policed.serving("v7").canary("v8", weight=50, step_entered_at=LONG_AGO, traffic_since=LONG_AGO)
    promoted = given.gate("errors", "Pass").decide()
    (serves("v8") & weights(v8=100) & pods(v7=2, v8=2)).hold_for(promoted)
    later = given.after(promoted).traffic({"v8": 100}, since=NOW - timedelta(seconds=9))
    (pods(v7=2, v8=2) & looks_again_within(seconds=1)).hold_for(later.decide())
    pods(v7=1 if "warmFor" not in smaller else 0, v8=2).hold_for(later.later(seconds=1).decide())


def test_a_standby_cools_down_after_its_time_and_is_looked_at_then() -> None:
    given = model().serving("v8").standby("v7", since=NOW - timedelta(hours=71, minutes=59))
    (pods(v7=2, v8=2) & looks_again_within(minutes=1)).hold_for(given.decide())
    pods(v7=0, v8=2).hold_for(given.later(minutes=1).decide())


def test_pods_outlive_the_last_route_that_named_them() -> None:
    left = model().serving("v7").version("v8", ready=2).traffic({"v7": 100}, since=NOW - timedelta(seconds=9))
    (pods(v7=2) & keeps("v8") & looks_again_within(seconds=1)).hold_for(left.decide())
    (pods(v7=2) & keeps()).hold_for(left.later(seconds=1).decide())


def test_pods_stay_while_the_gateway_has_not_taken_the_newest_route_over() -> None:
    left = model().serving("v7").version("v8", ready=2).route(observed=False)
    (keeps("v8") & looks_again_within(seconds=5)).hold_for(left.decide())


def test_pods_stay_while_the_live_route_names_them() -> None:
    keeps("v8").hold_for(model().serving("v7").version("v8", ready=2).route(weights={"v7": 90, "v8": 10}).decide())


def test_a_candidate_that_is_judged_before_traffic_has_no_pods() -> None:
    pods(v7=2).hold_for(model().serving("v7").validation("v8").suspended().decide())


def test_the_time_of_a_split_moves_only_with_the_split() -> None:
    held = model().serving("v7").canary("v8").gate("errors", "Unknown").decide().status.traffic
    moved = model().serving("v7").canary("v8").gate("errors", "Pass").decide().status.traffic
    assert held is not None and moved is not None
    assert (held.changed_at, moved.changed_at) == (LONG_AGO, NOW)
