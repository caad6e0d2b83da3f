"""Which tier a Model's own answers allow."""

from datetime import UTC, datetime
from typing import Any

import pytest

from modelward.api.demands import MinimumTier, RiskTier, TierCondition
from modelward.api.lifecycle_policy import LifecyclePolicySpec
from modelward.api.model import Model, RiskAssessment
from modelward.api.status import DecisionStatus
from modelward.governance import subjects
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


NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def model(tier: str = "Low", **assessment: str) -> Model:
    spec = {"riskTier": tier, "riskAssessment": assessment or None}
    return Model.model_validate({"metadata": {"name": "churn", "namespace": "retail", "uid": "m-1"}, "spec": spec})


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
    floor = floor_of(model(**assessment).spec.risk_assessment, POLICY)
    assert floor.tier == tier
    assert because in floor.because


def test_a_policy_without_a_table_allows_any_tier() -> None:
    assert floor_of(model(impact="High").spec.risk_assessment, LifecyclePolicySpec()).tier is RiskTier.LOW


def test_a_claim_below_the_floor_is_refused_with_the_answer_and_both_remedies() -> None:
    problem = below_floor(model("Medium", impact="High"), POLICY, (), NOW)
    assert problem is not None
    assert problem.reason == "TierBelowFloor"
    assert problem.message == (
        "spec.riskTier is Medium, but riskAssessment.impact is High, so that the least tier allowed is High: raise"
        " spec.riskTier, or ask the risk function for a ModelApproval Exception that allows Medium, in the role risk"
    )


def exception(tier: str, at: Model, floor: RiskTier = RiskTier.HIGH, **more: Any) -> DecisionStatus:
    fields = {"name": "e", "uid": "u", "decision": "Exception", "role": "risk", "approver": "olga", "tier": tier}
    subject = subjects.tier_subject(at, floor)
    return DecisionStatus.model_validate(
        {**fields, "subjectDigest": subject, "trusted": True, "at": NOW, "seenAt": NOW, **more}
    )


HIGH = {"impact": "High"}


@pytest.mark.parametrize(
    ("claimed", "excepted", "refused"),
    [
        ("High", None, False),
        ("Critical", None, False),
        ("Medium", None, True),
        ("Medium", exception("Medium", model("Medium", **HIGH)), False),
        ("Medium", exception("Low", model("Medium", **HIGH)), False),
        ("Low", exception("Medium", model("Low", **HIGH)), True),
        ("Medium", exception("Medium", model("Medium", impact="Low")), True),
        ("Medium", exception("Medium", model("Medium", **HIGH), expiresAt=NOW), True),
        ("Medium", exception("Medium", model("Medium", **HIGH), role="reviewer"), True),
    ],
    ids=[
        "as computed",
        "higher",
        "lower",
        "an exception for it",
        "an exception for less",
        "an exception for more",
        "an exception for other answers",
        "an exception that has expired",
        "an exception in a role that may give none",
    ],
)
def test_a_lower_claim_takes_an_exception_that_covers_it(
    claimed: str, excepted: DecisionStatus | None, refused: bool
) -> None:
    decisions = () if excepted is None else (excepted,)
    assert (below_floor(model(claimed, **HIGH), POLICY, decisions, NOW) is not None) is refused


def test_every_question_of_the_policy_is_one_of_the_model() -> None:
    def questions(kind: Any) -> set[str]:
        return {field.alias or name for name, field in kind.model_fields.items()} - {
            "rules",
            "rationale",
            "exceptionRole",
        }

    assert questions(MinimumTier) == questions(TierCondition) == questions(RiskAssessment)
