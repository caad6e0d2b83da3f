"""What every gate on a rate shares: the comparison with the incumbent, and the breaker on the candidate alone.

The comparison is stats.sequential.RateDifference shifted by the tolerance: Fail when the whole interval lies above `max_increase`, Pass
when it lies below. The breaker needs no comparison and no ten intervals: it trips as soon as the confidence sequence of
the candidate's own rate lies above `abort_above`, or there is as much evidence that the rate rose above it at some time: a version
that decays after a good hour must not live on the average of that hour. With a breaker, the comparison takes half of the
gate's alpha, and each of the breaker's two tests a quarter.
"""

from dataclasses import dataclass, fields

import numpy as np

from modelward.api.gates import Gate
from modelward.lifecycle.gates.outlook import Flags, Floats, outlook
from modelward.lifecycle.gates.verdict import GateContext, Result, State, Verdict, present, too_few, unknown
from modelward.lifecycle.gates.wording import counted, percent, points, requests
from modelward.stats.sequential import MINIMUM_INTERVALS, ChangeEvidence, RateDifference, mixing_parameter, rate_bounds

COMPARISON = "stratified normal mixture"
BREAKER = "beta-binomial confidence sequence"
CHANGE = "change detection by e-values"


@dataclass(frozen=True)
class Rate:
    """So many events among so many requests."""

    events: float
    total: float


@dataclass(frozen=True)
class RateRule:
    """The bounds of one gate, and what its events are called in a sentence."""

    noun: str  # the events as the subject of "rose by ...": errors, requests slower than 0.25 s
    max_increase: float
    abort_above: float | None
    unit: str = "request"  # what the events are among

    def comparison_alpha(self, alpha: float) -> float:
        return alpha if self.abort_above is None else alpha / 2


def empty() -> State:
    """Nothing compared, nothing counted; rho is fixed when the first comparison shows what is usual."""
    return {
        "sums": RateDifference.empty().to_json(),
        "prior": None,
        "rho": None,
        "events": 0.0,
        "total": 0.0,
        "change": ChangeEvidence().to_json(),
    }


def fold(
    rule: RateRule, state: State, candidate: Rate, incumbent: Rate | None, before: Rate, context: GateContext
) -> State:
    """The state after one interval; `before` is the incumbent's rate from before the stage."""
    gathered = {**state, "events": state["events"] + candidate.events, "total": state["total"] + candidate.total}
    if rule.abort_above is not None:
        change = ChangeEvidence.from_json(state["change"]).fold(candidate.events, candidate.total, rule.abort_above)
        gathered["change"] = change.to_json()
    if incumbent is None or candidate.total <= 0 or incumbent.total <= 0:
        return gathered
    prior = state["prior"]
    if prior is None:
        prior = (before.events + 0.5) / (before.total + 1) if before.total > 0 else 0.01
        rho = mixing_parameter(prior, rule.max_increase, rule.comparison_alpha(context.alpha))
        gathered |= {"prior": prior, "rho": float(rho)}
    sums = RateDifference.from_json(state["sums"]).fold(
        candidate.events, candidate.total, incumbent.events, incumbent.total, rule.max_increase, prior
    )
    return {**gathered, "sums": sums.to_json()}


def judge(rule: RateRule, gate: Gate, state: State, context: GateContext) -> Verdict:
    """The breaker first; it may decide before `min_samples`."""
    broken = _judge_breaker(rule, gate, state, context)
    if broken is not None and broken.result is Result.FAIL:
        return broken
    if context.incumbent is None:
        return _nothing_to_compare(rule, gate, broken, context)
    return too_few(gate, context) or _judge_comparison(rule, gate, state, context)


def _judge_breaker(rule: RateRule, gate: Gate, state: State, context: GateContext) -> Verdict | None:
    if rule.abort_above is None or state["total"] <= 0:
        return None
    bounds = rate_bounds(state["events"], state["total"], context.alpha / 4)
    low, high = float(bounds.low), float(bounds.high)
    change = ChangeEvidence.from_json(state["change"])
    if low <= rule.abort_above and change.recent_total > 0 and change.exceeds(context.alpha / 4):
        return _changed(rule, gate, change, context)
    tripped = low > rule.abort_above
    sentence = (
        f"{rule.noun} are {percent(float(bounds.estimate))} of what {context.candidate} answers ({percent(low)} to {percent(high)}; "
        f"abort above {percent(rule.abort_above)}), {requests(round(state['total']))}"
    )
    return Verdict(
        gate.name,
        Result.FAIL if tripped else Result.INCONCLUSIVE,
        sentence,
        "BreakerTripped" if tripped else "Inconclusive",
        figure=float(bounds.estimate),
        low=low,
        high=high,
        bound=rule.abort_above,
        samples=round(state["total"]),
        method=BREAKER,
    )


def _changed(rule: RateRule, gate: Gate, change: ChangeEvidence, context: GateContext) -> Verdict:
    """The rate rose above the limit after a better time; only the newest intervals are told of."""
    bounds = rate_bounds(change.recent_events, change.recent_total, context.alpha / 4)
    sentence = (
        f"{rule.noun} rose to {percent(float(bounds.estimate))} of what {context.candidate} answers "
        f"(abort above {percent(present(rule.abort_above))}), the newest {requests(round(change.recent_total))}"
    )
    return Verdict(
        gate.name,
        Result.FAIL,
        sentence,
        "BreakerTripped",
        figure=float(bounds.estimate),
        low=float(bounds.low),
        high=float(bounds.high),
        bound=rule.abort_above,
        samples=round(change.recent_total),
        method=CHANGE,
    )


def _nothing_to_compare(rule: RateRule, gate: Gate, breaker: Verdict | None, context: GateContext) -> Verdict:
    sentence = f"{rule.noun} are compared with an incumbent, and {context.candidate} has none that gets traffic"
    if breaker is None:
        return Verdict(
            gate.name,
            Result.INCONCLUSIVE,
            sentence,
            "NoIncumbent",
            bound=rule.max_increase,
            samples=context.candidate_samples,
            applies=False,
        )
    return Verdict(
        gate.name,
        Result.INCONCLUSIVE,
        f"{sentence}; {breaker.sentence}",
        "NoIncumbent",
        figure=breaker.figure,
        low=breaker.low,
        high=breaker.high,
        bound=breaker.bound,
        samples=breaker.samples,
        method=breaker.method,
        applies=False,
    )


def _judge_comparison(rule: RateRule, gate: Gate, state: State, context: GateContext) -> Verdict:
    sums = RateDifference.from_json(state["sums"])
    intervals = int(sums.intervals)
    if state["rho"] is None or intervals == 0:
        sentence = (
            f"there was no interval yet in which both {context.candidate} and {context.incumbent} answered requests"
        )
        return unknown(gate, context, sentence, "InsufficientSamples", bound=rule.max_increase)
    bounds = sums.bounds(state["rho"], rule.comparison_alpha(context.alpha))
    figure, low, high = float(bounds.estimate), float(bounds.low), float(bounds.high)
    result = _decide(low, high, rule.max_increase, intervals)
    return Verdict(
        gate.name,
        result,
        _sentence(rule, result, low, high, sums, state, context),
        _REASONS[result],
        figure=figure,
        low=float(np.clip(low, -1, 1)),
        high=float(np.clip(high, -1, 1)),
        bound=rule.max_increase,
        samples=context.candidate_samples,
        method=COMPARISON,
    )


_REASONS = {Result.PASS: "Passed", Result.FAIL: "Failed", Result.INCONCLUSIVE: "Inconclusive"}


def _decide(low: float, high: float, bound: float, intervals: int) -> Result:
    if intervals < MINIMUM_INTERVALS:
        return Result.INCONCLUSIVE
    if low > bound:
        return Result.FAIL
    return Result.PASS if high < bound else Result.INCONCLUSIVE


def _sentence(
    rule: RateRule, result: Result, low: float, high: float, sums: RateDifference, state: State, context: GateContext
) -> str:
    intervals = int(sums.intervals)
    low, high = max(low, -1.0), min(high, 1.0)
    change = (
        f"rose by {points(low)} to {points(high)} percentage points over"
        if low > 0
        else f"changed by {points(low)} to {points(high)} percentage points against"
    )
    text = f"{rule.noun} {change} {context.incumbent} (bound {points(rule.max_increase)}), {counted(context.candidate_samples, rule.unit)}"
    if result is not Result.INCONCLUSIVE:
        return text
    if intervals < MINIMUM_INTERVALS:
        return f"{text}; {intervals} of the {MINIMUM_INTERVALS} intervals needed for a verdict"
    more = outlook(
        lambda times: _is_decided(rule, sums, times, state, context),
        context.candidate_samples,
        context.measured_seconds,
        rule.unit,
    )
    return f"{text}; {more}"


def _is_decided(rule: RateRule, sums: RateDifference, times: Floats, state: State, context: GateContext) -> Flags:
    """Would there be a verdict with so many times the evidence, all of it alike?"""
    scaled = RateDifference(**{item.name: getattr(sums, item.name) * times for item in fields(sums)})
    bounds = scaled.bounds(state["rho"], rule.comparison_alpha(context.alpha))
    apart = (bounds.low > rule.max_increase) | (bounds.high < rule.max_increase)
    return np.asarray(apart & (scaled.intervals >= MINIMUM_INTERVALS))
