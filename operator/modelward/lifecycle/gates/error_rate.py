"""`errorRate`: does the candidate fail more of its requests than the incumbent does?"""

import numpy as np

from modelward.api.gates import Gate
from modelward.lifecycle.gates import rates
from modelward.lifecycle.gates.rates import Rate, RateRule, Rates
from modelward.lifecycle.gates.verdict import (
    Counts,
    Floats,
    Followed,
    GateContext,
    Look,
    Looks,
    State,
    Verdict,
    present,
)
from modelward.stats.readings import Increment


class ErrorRateKind:
    """Errors among requests, by stats.sequential, with an absolute breaker."""

    spends_alpha = True

    def series(self, gate: Gate) -> tuple[str, ...]:
        return ("requests", "errors")

    def compares(self, gate: Gate) -> bool:
        return True

    def start(self, gate: Gate, context: GateContext) -> State:
        return rates.empty()

    def fold(self, gate: Gate, state: State, look: Look, context: GateContext) -> State:
        candidate = _errors(look.candidate)
        if candidate is None:
            return state
        incumbent = None if look.incumbent is None else _errors(look.incumbent)
        before = _errors(context.incumbent_lifetime) or Rate(0, 0)
        return rates.fold(_rule(gate), state, candidate, incumbent, before, context)

    def follow(self, gate: Gate, state: State, looks: Looks, samples: Floats, context: GateContext) -> Followed | None:
        incumbent = None if looks.incumbent is None else _error_rates(looks.incumbent)
        return rates.follow(_rule(gate), gate, state, _error_rates(looks.candidate), incumbent, samples, context)

    def judge(self, gate: Gate, state: State, context: GateContext) -> Verdict:
        return rates.judge(_rule(gate), gate, state, context)


def _rule(gate: Gate) -> RateRule:
    spec = present(gate.error_rate)
    return RateRule("errors", spec.max_increase, spec.abort_above)


def _errors(increment: Increment) -> Rate | None:
    """None when either counter is invalid; a missing error counter means that nothing has failed yet."""
    if "requests" in increment.invalid or "errors" in increment.invalid:
        return None
    total = increment.counters.get("requests", 0.0)
    return Rate(min(increment.counters.get("errors", 0.0), total), total)


def _error_rates(counts: Counts) -> Rates:
    total = counts.counters["requests"]
    return Rates(np.minimum(counts.counters["errors"], total), total)
