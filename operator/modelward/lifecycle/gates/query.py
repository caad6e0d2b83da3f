"""`query`: one finite number from a configured Prometheus, held against bounds; anything else is no evidence."""

import math

from modelward.api.gates import Gate, QueryGate
from modelward.api.types import format_duration
from modelward.lifecycle.gates.verdict import (
    GateContext,
    Result,
    State,
    Verdict,
    WithoutSeries,
    present,
    too_few,
    unknown,
)
from modelward.lifecycle.gates.wording import number


class QueryKind(WithoutSeries):
    """The newest answer decides; nothing is remembered."""

    def judge(self, gate: Gate, state: State, context: GateContext) -> Verdict:
        missing = too_few(gate, context) if gate.min_samples > 0 else None
        return missing or _judge_answer(gate, present(gate.query), context)


def _judge_answer(gate: Gate, spec: QueryGate, context: GateContext) -> Verdict:
    answer = context.query
    if answer is None:
        return unknown(gate, context, f"source {spec.source} has not been asked yet", "MetricsUnavailable")
    if answer.problem is not None or answer.value is None:
        return unknown(gate, context, answer.problem or f"source {spec.source} gave no number", answer.reason)
    if not math.isfinite(answer.value):
        return unknown(
            gate, context, f"source {spec.source} answered {answer.value}, which is no finite number", "InvalidResult"
        )
    age = 0.0 if answer.at is None else context.now.timestamp() - answer.at
    if age > spec.max_staleness.total_seconds():
        sentence = f"the answer of source {spec.source} is {age:.0f} s old; at most {format_duration(spec.max_staleness)} is allowed"
        return unknown(gate, context, sentence, "StaleMetrics")
    return _hold_against_bounds(gate, spec, answer.value, context)


def _hold_against_bounds(gate: Gate, spec: QueryGate, value: float, context: GateContext) -> Verdict:
    if spec.min is None and spec.max is None:
        return unknown(gate, context, "the gate gives neither min nor max, so its query decides nothing", "InvalidGate")
    below = spec.min is not None and value < spec.min
    above = spec.max is not None and value > spec.max
    bound = spec.min if below or spec.max is None else spec.max
    side = "below the minimum" if below else "above the maximum" if above else "within the bound"
    return Verdict(
        gate.name,
        Result.FAIL if below or above else Result.PASS,
        f"the query gives {number(value)}, {side} of {number(present(bound))}",
        "Failed" if below or above else "Passed",
        figure=value,
        bound=bound,
        samples=context.candidate_samples,
        method="query",
    )
