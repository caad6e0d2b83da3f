"""The policies that the chart ships: each tier asks for what the one below it asks for, and more."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from modelward.api.demands import RiskTier
from modelward.api.gates import Gate
from modelward.api.lifecycle_policy import LifecyclePolicy, LifecyclePolicySpec, unsupported
from modelward.api.model import RiskAssessment
from modelward.governance import tiers

FOLDER = Path(__file__).parents[3] / "charts" / "modelward" / "policies"
TIERS = {tier: FOLDER / f"{tier.lower()}.yaml" for tier in RiskTier}


def policy_of(tier: RiskTier) -> LifecyclePolicySpec:
    return LifecyclePolicy.model_validate(yaml.safe_load(TIERS[tier].read_text())).spec


def gates_of(policy: LifecyclePolicySpec) -> list[Gate]:
    stages = policy.stages
    assert stages.shadow and stages.canary and stages.production.monitoring
    return [
        *stages.validation.gates,
        *stages.shadow.gates,
        *stages.canary.gates,
        *stages.production.monitoring.gates,
    ]


def approvals_of(policy: LifecyclePolicySpec) -> dict[str, Any]:
    stages = policy.stages
    assert stages.shadow and stages.canary
    demands = [*stages.validation.approvals, *stages.shadow.approvals, *stages.canary.approvals]
    return {demand.role: demand for demand in demands}


@pytest.mark.parametrize("tier", RiskTier)
def test_a_policy_is_named_after_its_tier_and_for_it_alone(tier: RiskTier) -> None:
    manifest = yaml.safe_load(TIERS[tier].read_text())
    assert manifest["metadata"]["name"] == tier.lower()
    assert policy_of(tier).applies_to.tiers == (tier,)
    assert policy_of(tier).applies_to.priority == 0


@pytest.mark.parametrize("tier", RiskTier)
def test_nothing_in_a_shipped_policy_waits_for_a_later_release(tier: RiskTier) -> None:
    assert unsupported(policy_of(tier)) == ()


@pytest.mark.parametrize("tier", RiskTier)
def test_what_serves_goes_on_being_watched(tier: RiskTier) -> None:
    monitoring = policy_of(tier).stages.production.monitoring
    assert monitoring is not None
    assert {"errors", "latency"} <= {gate.name for gate in monitoring.gates}


def test_all_tiers_compute_the_same_floor() -> None:
    assert (
        len({policy_of(tier).minimum_tier.model_dump_json() for tier in RiskTier if policy_of(tier).minimum_tier}) == 1
    )
    severe = RiskAssessment.model_validate({"impact": "Severe"})
    assert tiers.floor_of(severe, policy_of(RiskTier.LOW)).tier is RiskTier.CRITICAL


@pytest.mark.parametrize(("lower", "higher"), list(zip(RiskTier, list(RiskTier)[1:], strict=False)))
def test_a_higher_tier_asks_for_all_that_the_lower_one_asks_for(lower: RiskTier, higher: RiskTier) -> None:
    less, more = policy_of(lower), policy_of(higher)
    assert set(less.requires.fields) < set(more.requires.fields)
    assert set(less.requires.documents) <= set(more.requires.documents)
    assert {gate.name for gate in gates_of(less)} <= {gate.name for gate in gates_of(more)}
    assert sum(demand.count for demand in approvals_of(less).values()) < sum(
        demand.count for demand in approvals_of(more).values()
    )
    assert less.stages.shadow and more.stages.shadow
    assert less.stages.shadow.min_duration < more.stages.shadow.min_duration
    assert (less.review is None) or (more.review is not None and more.review.interval <= less.review.interval)


def test_low_asks_for_a_card_and_an_owner_and_for_nobodys_approval() -> None:
    low = policy_of(RiskTier.LOW)
    assert set(low.requires.fields) == {"owner", "modelCard"}
    assert approvals_of(low) == {}


def test_medium_compares_evaluations_with_the_incumbent_and_asks_one_person() -> None:
    medium = policy_of(RiskTier.MEDIUM)
    (evaluated,) = medium.stages.validation.gates
    assert evaluated.evaluation is not None
    assert evaluated.evaluation.versus_incumbent is not None
    assert [demand.count for demand in approvals_of(medium).values()] == [1]


def test_high_asks_for_reports_bias_gates_and_independent_people() -> None:
    high = policy_of(RiskTier.HIGH)
    assert {"ExplainabilityReport", "ValidationReport", "RegulatoryReview"} <= set(high.requires.documents)
    assert high.requires.independent_validators
    assert {role: demand.independent for role, demand in approvals_of(high).items()} == {
        "independent-validator": True,
        "risk": True,
    }
    assert {"fair", "fair-answers"} <= {gate.name for gate in gates_of(high)}


def test_critical_asks_for_formal_verification_oversight_and_a_quorum() -> None:
    critical = policy_of(RiskTier.CRITICAL)
    assert "FormalVerification" in critical.requires.documents
    assert "humanOversight" in critical.requires.fields
    assert {demand.count for demand in approvals_of(critical).values()} == {2}
    monitoring = critical.stages.production.monitoring
    assert monitoring is not None
    assert monitoring.response_to("errors") == "Rollback"
