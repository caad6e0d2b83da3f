"""`evaluation`: the newest valid ModelEvaluation of the candidate, held against bounds and against the incumbent's."""

import math
from collections.abc import Iterator
from datetime import datetime

from modelward.api.gates import EvaluationGate, Gate
from modelward.api.model_evaluation import EvaluationMetric, ModelEvaluation
from modelward.api.types import format_duration
from modelward.lifecycle.gates.verdict import GateContext, Result, State, Verdict, WithoutSeries, present, unknown
from modelward.lifecycle.gates.wording import number


class EvaluationKind(WithoutSeries):
    """What an evaluator has recorded for exactly this artifact decides; nothing is remembered."""

    def judge(self, gate: Gate, state: State, context: GateContext) -> Verdict:
        spec = present(gate.evaluation)
        if spec.evaluators and context.trust.problem is not None:
            sentence = f"who made an evaluation cannot be told now, so that none counts: {context.trust.problem}"
            return unknown(gate, context, sentence, "AdmissionNotInPlace")
        newest = newest_evaluation(spec, context.candidate_digest, context)
        if newest is None:
            return unknown(gate, context, _none(spec, context), "NoEvaluation")
        expired = _expired(spec, newest, context.now)
        if expired is not None:
            return unknown(gate, context, expired, "StaleEvaluation")
        metric = _metric(newest, spec.metric)
        if metric is None:
            return unknown(
                gate, context, f"evaluation {newest.metadata.name} has no finite metric {spec.metric}", "InvalidResult"
            )
        return _hold_against_bounds(gate, spec, newest, metric, context)


def newest_evaluation(spec: EvaluationGate, digest: str, context: GateContext) -> ModelEvaluation | None:
    """The newest that counts, by the time that it is about; one dated in the future is not evidence yet."""
    counted = [each for each in _of_this_content(spec, digest, context) if _why_not(spec, each, context) is None]
    return max(counted, key=_age, default=None)


def _of_this_content(spec: EvaluationGate, digest: str, context: GateContext) -> list[ModelEvaluation]:
    return [
        evaluation
        for evaluation in context.evaluations
        if evaluation.spec.name == spec.name
        and digest
        and evaluation.spec.version_digest == digest
        and evaluation.spec.at <= context.now
    ]


def _age(evaluation: ModelEvaluation) -> tuple[datetime, str]:
    return evaluation.spec.at, evaluation.metadata.name


def _why_not(spec: EvaluationGate, evaluation: ModelEvaluation, context: GateContext) -> str | None:
    """Why an evaluation does not count where it matters who made it, as the end of a sentence."""
    if not spec.evaluators:
        return None
    if not spec.accepts(evaluation.spec.evaluator):
        return f"is by {evaluation.spec.evaluator}, which is none of {', '.join(spec.evaluators)}"
    since, created = context.trust.since, evaluation.metadata.creation_timestamp
    if since is not None and not (created and datetime.fromisoformat(created) > since):
        return f"was not made since the admission policies are in place ({since:%Y-%m-%d %H:%M:%S} UTC): make it anew"
    return None


def _none(spec: EvaluationGate, context: GateContext) -> str:
    """That there is no evidence; and if there is some that does not count, why the newest does not."""
    sentence = f"there is no evaluation {spec.name} of {context.candidate} with the digest that is deployed"
    newest = max(_of_this_content(spec, context.candidate_digest, context), key=_age, default=None)
    if newest is None:
        return sentence
    return f"{sentence} that counts: {newest.metadata.name} {_why_not(spec, newest, context)}"


def _expired(spec: EvaluationGate, evaluation: ModelEvaluation, now: datetime) -> str | None:
    name, until = evaluation.metadata.name, evaluation.spec.valid_until
    if until is not None and until < now:
        return f"evaluation {name} was valid until {until:%Y-%m-%d %H:%M} UTC"
    if spec.max_age is not None and now - evaluation.spec.at > spec.max_age:
        return f"evaluation {name} is of {evaluation.spec.at:%Y-%m-%d %H:%M} UTC, older than {format_duration(spec.max_age)}"
    return None


def _metric(evaluation: ModelEvaluation, name: str) -> EvaluationMetric | None:
    found = next((metric for metric in evaluation.spec.metrics if metric.name == name), None)
    return found if found is not None and math.isfinite(found.value) else None


def _hold_against_bounds(
    gate: Gate, spec: EvaluationGate, evaluation: ModelEvaluation, metric: EvaluationMetric, context: GateContext
) -> Verdict:
    """Absolute bounds first: they may fail whatever the incumbent's evaluation says."""
    told = f"{metric.name} is {number(metric.value)} in evaluation {evaluation.metadata.name}"

    def verdict(result: Result, sentence: str, reason: str, bound: float | None) -> Verdict:
        return Verdict(
            gate.name,
            result,
            sentence,
            reason,
            figure=metric.value,
            low=metric.low,
            high=metric.high,
            bound=bound,
            method="evaluation",
        )

    for broken, limit in _absolute(spec, metric.value):
        if broken:
            return verdict(Result.FAIL, f"{told}, {broken} {number(limit)}", "Failed", limit)
    bound = spec.min if spec.min is not None else spec.max
    if spec.versus_incumbent is None:
        if bound is None:
            return unknown(gate, context, "the gate gives no bound, so its evaluation decides nothing", "InvalidGate")
        return verdict(Result.PASS, f"{told}, within the bound of {number(bound)}", "Passed", bound)
    if context.incumbent is None:
        if bound is None:
            sentence = f"{told}; it is compared with an incumbent's, and there is none"
            return Verdict(
                gate.name,
                Result.INCONCLUSIVE,
                sentence,
                "NoIncumbent",
                figure=metric.value,
                method="evaluation",
                applies=False,
            )
        return verdict(
            Result.PASS,
            f"{told}, within the bound of {number(bound)}; there is no incumbent to compare with",
            "Passed",
            bound,
        )
    return _versus_incumbent(gate, spec, evaluation, metric, told, context)


def _absolute(spec: EvaluationGate, value: float) -> Iterator[tuple[str, float]]:
    if spec.min is not None:
        yield ("below the minimum of" if value < spec.min else "", spec.min)
    if spec.max is not None:
        yield ("above the maximum of" if value > spec.max else "", spec.max)


def _versus_incumbent(
    gate: Gate,
    spec: EvaluationGate,
    evaluation: ModelEvaluation,
    metric: EvaluationMetric,
    told: str,
    context: GateContext,
) -> Verdict:
    """Figures on different data cannot be compared; a data set is the same when its digest is."""
    versus = present(spec.versus_incumbent)
    other = newest_evaluation(spec, context.incumbent_digest, context)
    usual = None if other is None else _metric(other, spec.metric)
    if other is None or usual is None:
        return unknown(
            gate,
            context,
            f"{told}; there is no evaluation {spec.name} of {context.incumbent} to compare with",
            "NoEvaluation",
        )
    if evaluation.spec.dataset is None or evaluation.spec.dataset != other.spec.dataset:
        sentence = f"{told}; that of {context.incumbent} was made on another data set, so the two cannot be compared"
        return unknown(gate, context, sentence, "DatasetMismatch")
    change = metric.value - usual.value
    fell = versus.max_decrease is not None and -change > versus.max_decrease
    rose = versus.max_increase is not None and change > versus.max_increase
    allowed = versus.max_increase if rose or versus.max_decrease is None else versus.max_decrease
    compared = (
        f"{metric.name} is {number(metric.value)}, {number(abs(change))} {'above' if change >= 0 else 'below'} "
        f"{context.incumbent} on the same data set (bound {number(present(allowed))})"
    )
    return Verdict(
        gate.name,
        Result.FAIL if fell or rose else Result.PASS,
        compared,
        "Failed" if fell or rose else "Passed",
        figure=change,
        bound=allowed,
        method="evaluation on the same data set",
    )
