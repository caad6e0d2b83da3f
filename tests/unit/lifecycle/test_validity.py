"""What makes a spec impossible to act upon: the reason, the sentence with its remedy, and that production goes on."""

from dataclasses import dataclass

import pytest

from modelward.api.model import RiskAssessment
from modelward.lifecycle import validity
from modelward.lifecycle.validity import CHECKS, Check
from tests.unit.lifecycle.builders import ERRORS, Given, model, policy
from tests.unit.lifecycle.expectations import condition, says, silent, weights

DRIFT = {"name": "drift", "drift": {"threshold": 0.2}}
PREDICTIONS = {"name": "scores", "predictionDrift": {"threshold": 0.2}}
QUALITY = {"name": "holes", "dataQuality": {"maxMissing": 0.1}}
AGAINST_INCUMBENT = {"name": "drift", "drift": {"threshold": 0.2, "reference": "Incumbent"}}
FEATURES = {"features": [{"name": "income", "edges": [1.0], "counts": [5, 5]}]}


@dataclass(frozen=True)
class Case:
    check: Check
    given: Given
    reason: str
    sentence: str


def serving() -> Given:
    return model().serving("v7")


def requested(**version: object) -> Given:
    return serving().version("v8", **version).requests("v8")


CASES = {
    "two Models with one register number": Case(
        validity.model_id_is_unique_and_route_is_free,
        requested().conflict("DuplicateModelID", "spec.modelID 'MDL-1' belongs to the older Model lending/other"),
        "DuplicateModelID", "belongs to the older Model",
    ),
    "two Models with one host and path": Case(
        validity.model_id_is_unique_and_route_is_free,
        requested().conflict("RouteConflict", "credit.example.com/v1/predict is already claimed"),
        "RouteConflict", "already claimed",
    ),
    "a version that the API server let through and that cannot be read": Case(
        validity.requested_version_can_be_read,
        serving().requests("v8").unreadable("v8", "spec.baseline: counts do not fit"),
        "VersionInvalid", "ModelVersion credit-risk-v8: spec.baseline: counts do not fit; make a new version without the mistake",
    ),
    "a Model before its ModelVersion": Case(
        validity.requested_version_exists,
        serving().requests("v8"),
        "VersionNotFound", "spec.production.version is 'v8', but there is no ModelVersion 'credit-risk-v8' in namespace 'lending': create it",
    ),
    "a version of which only a copy is left, and which never served": Case(
        validity.requested_version_exists, requested(live=False), "VersionNotFound", "create it, or name one that exists"
    ),
    "a version that was made anew with other content": Case(
        validity.deployed_versions_are_unchanged, requested(changed=True), "VersionChanged", "give the new content a version of its own"
    ),
    "a version without pods": Case(
        validity.requested_version_can_be_served,
        requested(more={"serving": None}),
        "VersionNotServable", "ModelVersion credit-risk-v8 has no spec.serving.template",
    ),
    "no policy for the tier": Case(
        validity.a_policy_applies, requested().without_a_policy(), "PolicyMissing", "no LifecyclePolicy applies"
    ),
    "a gate that is looser than the policy's": Case(
        validity.a_policy_applies, requested().without_a_policy("PolicyLoosened", "asks for less"), "PolicyLoosened", "asks for less"
    ),
    "a tier that is lower than the team's own answers": Case(
        validity.the_tier_is_not_below_the_floor,
        requested().under(policy(spec__minimumTier={"impact": {"Severe": "High"}})).spec(risk_assessment=RiskAssessment(impact="Severe")),
        "TierBelowFloor", "spec.riskTier is Low, but riskAssessment.impact is Severe, so that the least tier allowed is High: raise spec.riskTier",
    ),
    "shares without a route": Case(
        validity.stages_that_need_shares_have_a_route,
        requested().without_a_route(),
        "RouteRequired", "policy 'steady' has the stages shadow and canary, which need spec.serving.route",
    ),
    "a gate on what pods count, before there are pods": Case(
        validity.gates_of_validation_need_no_traffic,
        requested().under(policy(validation__gates=[ERRORS])),
        "InvalidGate", "is in Validation, where a version has no pods yet: move it to the shadow or canary stage",
    ),
    "drift of the features without training data": Case(
        validity.gates_have_their_baseline,
        requested().under(policy(shadow__gates=[DRIFT])),
        "BaselineMissing", "gate 'drift' of policy 'steady' compares with the training data, but ModelVersion credit-risk-v8 has no spec.baseline.features",
    ),
    "drift of the predictions without training data": Case(
        validity.gates_have_their_baseline,
        requested(more={"baseline": FEATURES}).under(policy(canary__gates=[PREDICTIONS])),
        "BaselineMissing", "has no spec.baseline.predictions: make it with `modelward baseline`",
    ),
    "data quality without training data": Case(
        validity.gates_have_their_baseline, requested().under(policy(canary__gates=[QUALITY])), "BaselineMissing", "spec.baseline.features"
    ),
    "a monitored drift without training data": Case(
        validity.gates_have_their_baseline,
        requested().under(policy(production__monitoring={"gates": [DRIFT]})),
        "BaselineMissing", "gate 'drift' of policy 'steady' compares with the training data",
    ),
    "a baseline whose ConfigMap is not what it was": Case(
        validity.gates_have_their_baseline,
        requested(baseline_problem="spec.baseline.configMap: the content has another digest"),
        "BaselineMissing", "another digest",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_an_invalid_spec_is_named_and_production_is_left_alone(case: Case) -> None:
    assert next(check for check in CHECKS if check(case.given.s)) is case.check
    expect = weights(v7=100) & condition("SpecValid", False, case.reason) & says("SpecValid", case.sentence)
    held = condition("Ready", False, "SpecInvalid") & condition("Serving", True, "ProductionAvailable") & silent()
    first = case.given.decide()
    (expect & held).hold_for(first)
    # What is missing may come with the same commit: it is waited for, and not given up at once.
    later = case.given.after(first).later(minutes=2).decide()
    (expect & held & condition("Stalled", True, case.reason) & condition("Reconciling", False, "SpecInvalid")).hold_for(
        later
    )


def test_every_check_is_shown_to_object() -> None:
    assert {case.check for case in CASES.values()} == set(CHECKS)


VALID = {
    "training data that is there": requested(more={"baseline": FEATURES}).under(policy(shadow__gates=[DRIFT])),
    "drift against the incumbent, which needs no training data": requested().under(policy(shadow__gates=[AGAINST_INCUMBENT])),
    "a policy without shares on a Service": requested().under(policy(without=("shadow", "canary"))).without_a_route(),
    "what serves, though its ModelVersion was pruned": serving().pruned("v7"),
    "what stands by, though its ModelVersion was pruned": serving().standby("v6").pruned("v6").requests("v6"),
    "a rollout in flight, though its policy is gone": serving().canary("v8").gate("errors", "Inconclusive").without_a_policy(),
    "what serves, though the policy now asks for a baseline": serving().under(policy(shadow__gates=[DRIFT, ERRORS])),
}  # fmt: skip


@pytest.mark.parametrize("given", VALID.values(), ids=VALID.keys())
def test_a_spec_stays_valid(given: Given) -> None:
    condition("SpecValid", True, "Valid").hold_for(given.decide())
