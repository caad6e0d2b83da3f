"""Risk tiers: the least one that a Model's own answers allow, and whether the one it claims is lower.

Which tier a Model is of decides which policy it comes under. The team claims it, and the policy's `minimumTier` holds the
claim against the team's answers in `riskAssessment`.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from modelward.api import reasons
from modelward.api.demands import MinimumTier, RiskTier, TierCondition
from modelward.api.lifecycle_policy import LifecyclePolicySpec
from modelward.api.model import Model, RiskAssessment
from modelward.api.status import DecisionStatus
from modelward.governance import approvals, subjects

_ORDER = tuple(RiskTier)


@dataclass(frozen=True)
class TierFloor:
    """The least tier allowed, and which answers ask for it."""

    tier: RiskTier
    because: str


@dataclass(frozen=True)
class TierBelowFloor:
    """A claim that is lower than the answers allow."""

    declared: RiskTier
    floor: TierFloor
    role: str  # in which an exception has to be given

    reason = reasons.TIER_BELOW_FLOOR

    @property
    def message(self) -> str:
        return (
            f"spec.riskTier is {self.declared}, but {self.floor.because}, so that the least tier allowed is {self.floor.tier}:"
            " raise spec.riskTier, or ask the risk function for a ModelApproval Exception that allows"
            f" {self.declared}, in the role {self.role}"
        )


def rank(tier: RiskTier) -> int:
    """0 for Low; a higher tier has a higher rank."""
    return _ORDER.index(tier)


def floor_of(assessment: RiskAssessment | None, policy: LifecyclePolicySpec) -> TierFloor:
    """The highest tier that any answer, or any combination of them that the policy names, asks for.

    An answer that the policy's table does not have might mean anything: it asks for the highest tier. A question that was
    not answered asks for none; a policy that wants answers has riskAssessment among its `requires.fields`.
    """
    if assessment is None or policy.minimum_tier is None:
        return TierFloor(RiskTier.LOW, "nothing asks for more")
    demands = [*_by_answer(assessment, policy.minimum_tier), *_by_combination(assessment, policy.minimum_tier)]
    highest = max(demands, key=lambda demand: rank(demand.tier), default=None)
    if highest is None or highest.tier is RiskTier.LOW:
        return TierFloor(RiskTier.LOW, "nothing asks for more")
    return highest


def below_floor(
    model: Model, policy: LifecyclePolicySpec, decisions: Iterable[DecisionStatus], at: datetime
) -> TierBelowFloor | None:
    """Is the claimed tier too low, and does no exception in force allow it? An exception for a lower tier covers a higher one."""
    floor = floor_of(model.spec.risk_assessment, policy)
    declared = model.spec.risk_tier
    if rank(declared) >= rank(floor.tier):
        return None
    role = policy.minimum_tier.exception_role if policy.minimum_tier else ""
    exception = approvals.exception_of(subjects.tier_subject(model, floor.tier), role, decisions, at)
    excepted = next((tier for tier in RiskTier if exception and tier.value == exception.tier), None)
    if excepted is not None and rank(declared) >= rank(excepted):
        return None
    return TierBelowFloor(declared, floor, role)


def questions(minimum: MinimumTier | None) -> Mapping[str, Mapping[str, RiskTier]]:
    """The questions that a policy asks, by the field of riskAssessment, with the answers it knows."""
    if minimum is None:
        return {}
    tables = {
        "impact": minimum.impact,
        "autonomy": minimum.autonomy,
        "reversibility": minimum.reversibility,
        "regulatoryExposure": minimum.regulatory_exposure,
    }
    return {question: table for question, table in tables.items() if table}


def answers(assessment: RiskAssessment | None) -> Mapping[str, str]:
    """The answers that were given, by the field of riskAssessment."""
    if assessment is None:
        return {}
    given = {
        "impact": assessment.impact,
        "autonomy": assessment.autonomy,
        "reversibility": assessment.reversibility,
        "regulatoryExposure": assessment.regulatory_exposure,
    }
    return {question: answer for question, answer in given.items() if answer is not None}


def _by_answer(assessment: RiskAssessment, minimum: MinimumTier) -> Iterator[TierFloor]:
    given = answers(assessment)
    for question, table in questions(minimum).items():
        answer = given.get(question)
        if answer is None:
            continue
        if answer in table:
            yield TierFloor(table[answer], f"riskAssessment.{question} is {answer}")
        else:
            because = (
                f"riskAssessment.{question} is {answer}, which is none of the policy's answers ({', '.join(table)})"
            )
            yield TierFloor(RiskTier.CRITICAL, because)


def _by_combination(assessment: RiskAssessment, minimum: MinimumTier) -> Iterator[TierFloor]:
    given = answers(assessment)
    for rule in minimum.rules:
        wanted = _wanted(rule.when)
        if all(given.get(question) in words for question, words in wanted.items()):
            together = " and ".join(f"riskAssessment.{question} is {given[question]}" for question in wanted)
            yield TierFloor(rule.tier, together)


def _wanted(condition: TierCondition) -> Mapping[str, tuple[str, ...]]:
    words = {
        "impact": condition.impact,
        "autonomy": condition.autonomy,
        "reversibility": condition.reversibility,
        "regulatoryExposure": condition.regulatory_exposure,
    }
    return {question: allowed for question, allowed in words.items() if allowed}
