"""Which tier a Model's own answers allow."""

from typing import Any

import pytest

from modelward.api.lifecycle_policy import LifecyclePolicySpec, MinimumTier, RiskTier, TierCondition
from modelward.api.model import ModelSpec, RiskAssessment
from modelward.governance.tiers import below_floor, floor_of

POLICY = LifecyclePolicySpec.model_validate(
    {
        "minimumTier": {
            "impact": {"Low": "Low", "High": "High"},
            "autonomy": {"Advisory": "Low", "Full": "Medium"},
            "rules": [{"when": {"impact": ["High"], "autonomy": ["Full"]}, "tier": "Critical"}],
        }
    }
)


def model(tier: str = "Low", **assessment: str) -> ModelSpec:
    return ModelSpec.model_validate({"riskTier": tier, "riskAssessment": assessment or None})


@pytest.mark.parametrize(
    ("assessment", "tier", "because"),
    [
        ({}, "Low", "nothing"),
        ({"impact": "Low", "autonomy": "Advisory"}, "Low", "nothing"),
        ({"autonomy": "Full"}, "Medium", "riskAssessment.autonomy is Full"),
        ({"impact": "High", "autonomy": "Advisory"}, "High", "riskAssessment.impact is High"),
        ({"impact": "High", "autonomy": "Full"}, "Critical", "impact is High and riskAssessment.autonomy is Full"),
        ({"impact": "Terrible"}, "Critical", "none of the policy's answers (Low, High)"),
        ({"reversibility": "Irreversible"}, "Low", "nothing"),  # the policy does not ask
    ],
    ids=lambda value: str(value),
)
def test_the_floor_is_the_highest_tier_that_an_answer_asks_for(
    assessment: dict[str, str], tier: str, because: str
) -> None:
    floor = floor_of(model(**assessment).risk_assessment, POLICY)
    assert floor.tier == tier
    assert because in floor.because


def test_a_policy_without_a_table_allows_any_tier() -> None:
    assert floor_of(model(impact="High").risk_assessment, LifecyclePolicySpec()).tier is RiskTier.LOW


def test_a_claim_below_the_floor_is_refused_with_the_answer_and_both_remedies() -> None:
    problem = below_floor(model("Medium", impact="High"), POLICY)
    assert problem is not None
    assert problem.reason == "TierBelowFloor"
    assert problem.message == (
        "spec.riskTier is Medium, but riskAssessment.impact is High, so that the least tier allowed is High: raise"
        " spec.riskTier, or ask the risk function for a ModelApproval Exception that allows Medium"
    )


@pytest.mark.parametrize(
    ("claimed", "excepted", "refused"),
    [
        ("High", None, False),
        ("Critical", None, False),
        ("Medium", None, True),
        ("Medium", RiskTier.MEDIUM, False),
        ("Medium", RiskTier.LOW, False),
        ("Low", RiskTier.MEDIUM, True),
    ],
)
def test_a_claim_may_be_higher_and_an_exception_covers_no_lower_one_than_its_own(
    claimed: str, excepted: RiskTier | None, refused: bool
) -> None:
    assert (below_floor(model(claimed, impact="High"), POLICY, excepted) is not None) is refused


def test_every_question_of_the_policy_is_one_of_the_model() -> None:
    def questions(kind: Any) -> set[str]:
        return {field.alias or name for name, field in kind.model_fields.items()} - {"rules", "rationale"}

    assert questions(MinimumTier) == questions(TierCondition) == questions(RiskAssessment)
