"""What a change of policies means for a Model, before it is applied."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from modelward.api.lifecycle_policy import LifecyclePolicy
from modelward.api.model import Model
from modelward.api.model_version import ModelVersionSpec
from modelward.api.status import ModelStatus
from modelward.lifecycle.policy_impact import Impact, Situation, Verdict, impact_of

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
CARD = {"modelCard": {"uri": "s3://card"}}


def policy(name: str = "low", tiers: tuple[str, ...] = ("Low",), priority: int = 0, **spec: Any) -> LifecyclePolicy:
    applies = {"tiers": list(tiers), "priority": priority, **spec.pop("appliesTo", {})}
    return LifecyclePolicy.model_validate({"metadata": {"name": name}, "spec": {"appliesTo": applies, **spec}})


def situation(version: dict[str, Any] | None = None, **spec: Any) -> Situation:
    model = {"metadata": {"name": "churn", "namespace": "retail"}, "spec": spec}
    build = None if version is None else ModelVersionSpec.model_validate({"model": "churn", "version": "v8", **version})
    return Situation(Model.model_validate(model), ModelStatus(), build, {"env": "live"})


def impact(before: list[LifecyclePolicy], change: LifecyclePolicy, at: Situation | None = None) -> Impact:
    return impact_of(at or situation(version={}), before, [change], NOW)


ASKS_FOR_A_CARD = policy(requires={"fields": ["modelCard"]})
REVIEWED = policy(stages={"validation": {"approvals": [{"role": "reviewer"}]}})
TWO_REVIEWERS = policy(stages={"validation": {"approvals": [{"role": "reviewer", "count": 2, "independent": True}]}})
SHARED = policy(stages={"shadow": {"minDuration": "1h"}})
DRIFT = {"name": "drift", "drift": {"reference": "Baseline"}}
COMPARED = policy(stages={"shadow": {"minDuration": "1h", "gates": [DRIFT]}})
TABLE = policy(minimumTier={"impact": {"High": "High"}})
ROUTED = {"serving": {"route": {"parentRefs": [{"name": "public"}]}}}
TIGHT = {"gates": [{"name": "errors", "errorRate": {"maxIncrease": 0.5}, "stages": ["Validation"]}]}
STRICT = policy(stages={"validation": {"gates": [{"name": "errors", "errorRate": {"maxIncrease": 0.01}}]}})


@pytest.mark.parametrize(
    ("before", "change", "at", "verdict", "says"),
    [
        pytest.param([policy()], ASKS_FOR_A_CARD, situation(version={}), Verdict.BLOCKED, "spec.modelCard is not set", id="a field is newly asked for"),
        pytest.param([policy()], ASKS_FOR_A_CARD, situation(version=CARD), Verdict.CHANGED, "", id="and is there"),
        pytest.param([ASKS_FOR_A_CARD], policy(), situation(version={}), Verdict.FREED, "spec.modelCard is not set", id="a field is asked for no longer"),
        pytest.param([ASKS_FOR_A_CARD], policy(requires={"fields": ["modelCard"]}, onUnknown={"deadline": "1h"}), situation(version={}), Verdict.STILL_BLOCKED, "", id="still asked for"),
        pytest.param([policy()], policy(), situation(version={}), Verdict.SAME, "", id="the same policy"),
        pytest.param([policy()], policy("medium", ("Medium",)), situation(version={}), Verdict.SAME, "", id="a policy for another tier"),
        pytest.param([policy()], policy("stricter", priority=5), situation(version={}), Verdict.CHANGED, "", id="a higher priority"),
        pytest.param([policy()], policy(tiers=("High",)), situation(version={}), Verdict.BLOCKED, "no LifecyclePolicy applies to tier Low", id="the policy moves to another tier"),
        pytest.param([], policy(), situation(version={}), Verdict.FREED, "no LifecyclePolicy applies", id="the first policy"),
        pytest.param([policy()], TABLE, situation(riskAssessment={"impact": "High"}), Verdict.BLOCKED, "the least tier allowed is High", id="the floor rises"),
        pytest.param([policy()], SHARED, situation(serving={}), Verdict.BLOCKED, "needs spec.serving.route", id="shares without a route"),
        pytest.param([policy()], SHARED, situation(**ROUTED), Verdict.CHANGED, "", id="shares with a route"),
        pytest.param([policy()], COMPARED, situation(version={}, **ROUTED), Verdict.BLOCKED, "has no spec.baseline", id="drift without a baseline"),
        pytest.param([policy()], STRICT, situation(**TIGHT), Verdict.BLOCKED, "may only tighten", id="the model's own gate becomes too loose"),
        pytest.param([policy()], policy("far", priority=9, appliesTo={"namespaceSelector": {"matchLabels": {"env": "test"}}}), situation(version={}), Verdict.SAME, "", id="another namespace"),
    ],
)  # fmt: skip
def test_a_change_blocks_frees_or_leaves_alone(
    before: list[LifecyclePolicy], change: LifecyclePolicy, at: Situation, verdict: Verdict, says: str
) -> None:
    found = impact(before, change, at)
    assert found.verdict is verdict, found
    assert says in " ".join((*found.blocked_by, *found.freed_from))


def test_the_policies_before_and_after_are_named() -> None:
    found = impact([policy()], policy("stricter", priority=5))
    assert (found.now.policy, found.then.policy) == ("low", "stricter")


def test_approvals_that_are_newly_needed_are_listed_with_where_they_are_needed() -> None:
    found = impact([REVIEWED], TWO_REVIEWERS)
    assert found.new_approvals == ("2 x reviewer (independent of the team) after Validation",)
    assert found.dropped_approvals == ("reviewer after Validation",)
    assert found.verdict is Verdict.CHANGED


def test_a_rollout_in_flight_stays_under_the_policy_it_is_pinned_to() -> None:
    at = situation(version={})
    rollout = {
        "version": "v8",
        "digest": "sha256:a",
        "policy": "low",
        "policyDigest": "sha256:b",
        "startedAt": NOW,
        "stage": "Shadow",
        "stageEnteredAt": NOW,
        "stepEnteredAt": NOW,
    }
    flying = replace(at, status=ModelStatus.model_validate({"rollout": rollout}))
    assert impact([policy()], ASKS_FOR_A_CARD, flying).in_flight == "v8, pinned to low"
