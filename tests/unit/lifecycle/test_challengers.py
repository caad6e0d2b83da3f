"""Challengers: mirrored traffic only, and evidence that counts when one becomes the candidate under the same policy."""

from datetime import timedelta

import pytest

from modelward.api.status import Stage
from tests.unit.lifecycle.builders import NOW, Given, model, policy
from tests.unit.lifecycle.expectations import (
    candidate,
    column,
    condition,
    latched,
    mirrors,
    pods,
    says,
    serves,
    silent,
    stage,
    weights,
)


def challenged() -> Given:
    """v7 serves, v9 has been mirrored to for an hour."""
    return model().serving("v7").challenger("v9")


def test_a_challenger_gets_pods_first_and_its_mirror_when_they_are_ready() -> None:
    given = model().serving("v7").version("v9").challenges_with("v9")
    begun = given.decide()
    (stage("v9", "Shadow") & pods(v7=2, v9=2) & mirrors() & weights(v7=100)).hold_for(begun)
    assert [told.reason for told in begun.announcements] == ["ChallengerStarted"]
    waiting = given.after(begun).version("v9", ready=1).decide()
    mirrors().hold_for(waiting)
    mirrors(v9=100).hold_for(given.after(begun).version("v9", ready=2).decide())


def test_a_challenger_never_gets_a_users_request() -> None:
    (weights(v7=100) & mirrors(v9=100) & stage("v9", "Shadow") & silent()).hold_for(challenged().decide())


def test_a_challenger_that_is_no_longer_named_loses_its_mirror() -> None:
    (weights(v7=100) & mirrors() & stage("v9", "Registered")).hold_for(challenged().challenges_with().decide())


def test_a_challenger_may_run_beside_a_canary() -> None:
    given = challenged().canary("v8", weight=10).gate("errors", "Inconclusive").rollout(traffic_since=NOW)
    (weights(v7=90, v8=10) & mirrors(v9=100) & candidate("v8")).hold_for(given.decide())


CANNOT_BE_SHADOWED = [
    pytest.param(model().version("v9").challenges_with("v9"), "no version serves yet", id="nothing serves that it could be compared with"),
    pytest.param(model().serving("v7").without_a_route().version("v9").challenges_with("v9"), "needs spec.serving.route", id="no route"),
    pytest.param(model().serving("v7").version("v9", live=False).challenges_with("v9"), "there is no ModelVersion credit-risk-v9", id="pruned"),
    pytest.param(model().serving("v7").challenges_with("v9"), "there is no ModelVersion credit-risk-v9", id="not registered"),
    pytest.param(model().serving("v7").failed("v9").challenges_with("v9"), "it has failed and is latched", id="latched"),
    pytest.param(model().serving("v7").version("v9", more={"serving": None}).challenges_with("v9"), "no spec.serving.template", id="without pods"),
    pytest.param(model().under(policy(without=("shadow",))).serving("v7").version("v9").challenges_with("v9"), "no policy that applies has a shadow stage", id="no shadow in the policy"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "why"), CANNOT_BE_SHADOWED)
def test_a_challenger_that_cannot_be_shadowed_is_left_out_and_the_user_reads_why(given: Given, why: str) -> None:
    plan = given.decide()
    assert plan.status.challengers == ()
    (
        mirrors() & condition("ChallengersShadowed", False, "ChallengerNotShadowed") & says("ChallengersShadowed", why)
    ).hold_for(plan)


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(model().serving("v9").challenges_with("v9"), id="it serves"),
        pytest.param(model().serving("v7").version("v9").challenges_with("v9").suspended(), id="suspended"),
    ],
)
def test_a_challenger_that_serves_or_is_frozen_is_not_started(given: Given) -> None:
    plan = given.decide()
    assert plan.status.challengers == ()
    mirrors().hold_for(plan)


def test_challengers_that_are_shadowed_are_said_to_be() -> None:
    condition("ChallengersShadowed", True, "ChallengersShadowed").hold_for(challenged().decide())


def test_the_gates_of_a_challenger_do_not_hold_its_validation_as_a_candidate() -> None:
    given = challenged().shadow("v9").gate("errors", "Fail").validation("v9").version("v9", ready=2)
    (stage("v9", "Shadow") & latched() & candidate("v9")).hold_for(given.decide())


def _becomes_the_candidate(given: Given) -> Given:
    for _ in range(3):
        given = given.after(given.decide())
        if given.s.status.rollout and given.s.status.rollout.stage is Stage.SHADOW:
            return given
    raise AssertionError("it never came to Shadow")


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(challenged().requests("v9"), id="still named as a challenger"),
        pytest.param(challenged().requests("v9").challenges_with(), id="moved from challengers to production"),
    ],
)
def test_a_challengers_shadow_counts_when_it_becomes_the_candidate(given: Given) -> None:
    shadowed = _becomes_the_candidate(given)
    rollout = shadowed.s.status.rollout
    assert rollout is not None
    assert rollout.stage_entered_at == rollout.traffic_since == NOW - timedelta(hours=1)
    mirrors(v9=100).hold_for(shadowed.decide())
    passed = shadowed.gate("errors", "Pass").decide()
    (stage("v9", "Canary") & weights(v7=90, v9=10) & mirrors()).hold_for(passed)


def test_what_a_challenger_has_shown_is_still_there_when_it_becomes_the_candidate() -> None:
    rows = challenged().shadow("v9").gate("errors", "Pass").s.status.gates
    shadowed = _becomes_the_candidate(challenged().status(gates=rows).requests("v9"))
    assert [row.result for row in shadowed.s.status.gates] == ["Pass"]
    column(gates_summary="").hold_for(shadowed.decide())


def test_evidence_under_another_policy_does_not_count() -> None:
    given = challenged().requests("v9").under(policy(shadow__mirrorPercent=50))
    rollout = _becomes_the_candidate(given).s.status.rollout
    assert rollout is not None
    assert rollout.stage_entered_at == NOW
    assert rollout.traffic_since is None


def test_evidence_against_another_incumbent_does_not_count() -> None:
    given = challenged().canary("v8", weight=50).gate("errors", "Pass")
    promoted = given.decide()
    serves("v8").hold_for(promoted)
    assert [challenger.entered_at for challenger in promoted.status.challengers] == [NOW]


def test_a_challenger_that_was_made_anew_starts_over() -> None:
    (restarted,) = challenged().version("v9", digest="sha256:" + "0" * 64).decide().status.challengers
    assert restarted.entered_at == NOW


def test_the_policy_of_a_challenger_is_kept() -> None:
    given = challenged()
    assert given.s.policy is not None
    assert given.decide().pins == (given.s.policy.digest,)
    condition("Ready", True, "Promoted").hold_for(given.decide())
