"""What every gate on a rate shares: the comparison with the incumbent, and the breaker on the candidate alone.

The comparison is stats.sequential.RateComparison shifted by the tolerance: Fail when the whole interval lies above `max_increase`, Pass
when it lies below, with room for bursts that have not shown yet. The breaker needs no comparison and no ten intervals: it trips as soon as the confidence sequence of
the candidate's own rate lies above `abort_above`, or there is as much evidence that the rate rose above it at some time: a version
that decays after a good hour must not live on the average of that hour. With a breaker, the comparison takes half of the
gate's alpha, and each of the breaker's two tests a quarter.

In monitoring there is nothing to compare with: `abort_above` is the limit, all of alpha is its tests', and below it for certain is a Pass.
"""

from dataclasses import dataclass, replace

import numpy as np

from modelward.api.gates import Gate
from modelward.lifecycle.gates.outlook import Flags, Floats, outlook
from modelward.lifecycle.gates.verdict import (
    Code,
    Codes,
    Followed,
    GateContext,
    Result,
    State,
    Verdict,
    are_too_few,
    present,
    too_few,
    unknown,
)
from modelward.lifecycle.gates.wording import counted, percent, points, requests
from modelward.stats.sequential import (
    MINIMUM_INTERVALS,
    Bursts,
    ChangeEvidence,
    RateComparison,
    RateDifference,
    log_beta_binomial,
    mixing_parameter,
    rate_bounds,
)

COMPARISON = "stratified normal mixture"
BREAKER = "beta-binomial confidence sequence"
CHANGE = "change detection by e-values"


@dataclass(frozen=True)
class Rate:
    """So many events among so many requests."""

    events: float
    total: float


@dataclass(frozen=True)
class Rates:
    """So many events among so many requests, in each of several intervals."""

    events: Floats
    total: Floats


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
        "bursts": Bursts.empty().to_json(),
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
    compared = _comparison(state).fold(
        candidate.events, candidate.total, incumbent.events, incumbent.total, rule.max_increase, prior
    )
    return {**gathered, "sums": compared.sums.to_json(), "bursts": compared.bursts.to_json()}


def follow(
    rule: RateRule,
    gate: Gate,
    state: State,
    candidate: Rates,
    incumbent: Rates | None,
    samples: Floats,
    context: GateContext,
) -> Followed | None:
    """Through many intervals at once; None before the first comparison, which has yet to fix what is usual."""
    if incumbent is not None and state["rho"] is None:
        return None
    own = Rates(
        np.add.accumulate(np.concatenate([[state["events"]], candidate.events])),
        np.add.accumulate(np.concatenate([[state["total"]], candidate.total])),
    )
    changes = _changes(rule, state, candidate)
    compared = None
    if incumbent is not None:
        compared = _comparison(state).after_each(
            candidate.events, candidate.total, incumbent.events, incumbent.total, rule.max_increase, state["prior"]
        )

    def after(looks: int) -> State:
        reached = {**state, "events": float(own.events[looks]), "total": float(own.total[looks])}
        if changes:
            reached["change"] = changes[looks].to_json()
        if compared is not None:
            at = compared.at(looks)
            reached |= {"sums": at.sums.to_json(), "bursts": at.bursts.to_json()}
        return reached

    return Followed(_codes(rule, gate, state, own, changes, compared, samples, context), after)


def _changes(rule: RateRule, state: State, candidate: Rates) -> list[ChangeEvidence]:
    """The evidence of a change now and after each interval; none without a breaker."""
    if rule.abort_above is None:
        return []
    changes = [ChangeEvidence.from_json(state["change"])]
    for events, total in zip(candidate.events.tolist(), candidate.total.tolist(), strict=True):
        changes.append(changes[-1].fold(events, total, rule.abort_above))
    return changes


def _codes(
    rule: RateRule,
    gate: Gate,
    state: State,
    own: Rates,
    changes: list[ChangeEvidence],
    compared: RateComparison | None,
    samples: Floats,
    context: GateContext,
) -> Codes:
    """What `judge` would say at each look."""
    broken, below = np.zeros(own.total.shape, bool), np.zeros(own.total.shape, bool)
    if rule.abort_above is not None:
        # The interval of the rate ends where the evidence against the limit is as strong as this.
        apart = log_beta_binomial(own.events, own.total, rule.abort_above) >= np.log(1 / _breaker_alpha(context))
        expected = rule.abort_above * own.total
        rose = [change.recent_total > 0 and change.exceeds(_breaker_alpha(context)) for change in changes]
        broken = (own.total > 0) & ((apart & (own.events > expected)) | np.array(rose))
        below = apart & (own.events < expected)
    if context.alone:
        said = np.where(below, Code.PASS, Code.INCONCLUSIVE)
        said = np.where(are_too_few(gate, samples) | (own.total <= 0), Code.UNKNOWN, said)
    elif compared is None:
        said = np.full(own.total.shape, Code.INCONCLUSIVE)
    else:
        bounds = compared.bounds(state["rho"], rule.comparison_alpha(context.alpha), rule.max_increase)
        said = _compared_codes(bounds.low, bounds.high, rule.max_increase, compared.sums.intervals)
        said = np.where(are_too_few(gate, samples) | (compared.sums.intervals == 0), Code.UNKNOWN, said)
    return np.where(broken, Code.BROKEN, said).astype(np.int8)


def _comparison(state: State) -> RateComparison:
    return RateComparison(RateDifference.from_json(state["sums"]), Bursts.from_json(state["bursts"]))


def judge(rule: RateRule, gate: Gate, state: State, context: GateContext) -> Verdict:
    """The breaker first; it may decide before `min_samples`."""
    broken = _judge_breaker(rule, gate, state, context)
    if broken is not None and broken.result is Result.FAIL:
        return broken
    if context.alone:
        return too_few(gate, context) or _held_against_limit(rule, gate, broken, context)
    if context.incumbent is None:
        return _nothing_to_compare(rule, gate, broken, context)
    return too_few(gate, context) or _judge_comparison(rule, gate, state, context)


def _judge_breaker(rule: RateRule, gate: Gate, state: State, context: GateContext) -> Verdict | None:
    if rule.abort_above is None or state["total"] <= 0:
        return None
    bounds = rate_bounds(state["events"], state["total"], _breaker_alpha(context))
    low, high = float(bounds.low), float(bounds.high)
    change = ChangeEvidence.from_json(state["change"])
    if low <= rule.abort_above and change.recent_total > 0 and change.exceeds(_breaker_alpha(context)):
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


def _breaker_alpha(context: GateContext) -> float:
    """The share of each of its two tests: half of the gate's alpha is the comparison's, where there is one."""
    return context.alpha / (2 if context.alone else 4)


def _held_against_limit(rule: RateRule, gate: Gate, measured: Verdict | None, context: GateContext) -> Verdict:
    """What the breaker measured and did not fail, as a verdict of its own: Pass when all of the interval is below the limit."""
    if measured is None:
        sentence = f"{context.candidate} has shown nothing that {rule.noun} could be counted among"
        return unknown(gate, context, sentence, "MetricsUnavailable", bound=rule.abort_above)
    if measured.high is not None and measured.high < present(rule.abort_above):
        return replace(measured, result=Result.PASS, reason="Passed")
    return measured


def _changed(rule: RateRule, gate: Gate, change: ChangeEvidence, context: GateContext) -> Verdict:
    """The rate rose above the limit after a better time; only the newest intervals are told of."""
    bounds = rate_bounds(change.recent_events, change.recent_total, _breaker_alpha(context))
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
    compared = _comparison(state)
    intervals = int(compared.sums.intervals)
    if state["rho"] is None or intervals == 0:
        sentence = (
            f"there was no interval yet in which both {context.candidate} and {context.incumbent} answered requests"
        )
        return unknown(gate, context, sentence, "InsufficientSamples", bound=rule.max_increase)
    bounds = compared.bounds(state["rho"], rule.comparison_alpha(context.alpha), rule.max_increase)
    figure, low, high = float(bounds.estimate), float(bounds.low), float(bounds.high)
    result = _RESULTS[Code(int(_compared_codes(bounds.low, bounds.high, rule.max_increase, compared.sums.intervals)))]
    return Verdict(
        gate.name,
        result,
        _sentence(rule, result, low, high, compared, state, context),
        _REASONS[result],
        figure=figure,
        low=float(np.clip(low, -1, 1)),
        high=float(np.clip(high, -1, 1)),
        bound=rule.max_increase,
        samples=context.candidate_samples,
        method=COMPARISON,
    )


_RESULTS = {Code.PASS: Result.PASS, Code.FAIL: Result.FAIL, Code.INCONCLUSIVE: Result.INCONCLUSIVE}
_REASONS = {Result.PASS: "Passed", Result.FAIL: "Failed", Result.INCONCLUSIVE: "Inconclusive"}


def _compared_codes(low: Floats, high: Floats, bound: float, intervals: Floats) -> Codes:
    """At each look: is the interval of the difference above the bound, below it, or not yet apart from it?"""
    apart = np.where(low > bound, Code.FAIL, np.where(high < bound, Code.PASS, Code.INCONCLUSIVE))
    return np.where(intervals < MINIMUM_INTERVALS, Code.INCONCLUSIVE, apart).astype(np.int8)


def _sentence(
    rule: RateRule,
    result: Result,
    low: float,
    high: float,
    compared: RateComparison,
    state: State,
    context: GateContext,
) -> str:
    intervals = int(compared.sums.intervals)
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
        lambda times: _is_decided(rule, compared, times, state, context),
        context.candidate_samples,
        context.measured_seconds,
        rule.unit,
    )
    alpha = rule.comparison_alpha(context.alpha)
    if float(compared.sums.bounds(state["rho"], alpha).high) < rule.max_increase:
        text = f"{text}; low enough, but {rule.noun} may come in bursts that have not shown yet"
    return f"{text}; {more}"


def _is_decided(rule: RateRule, compared: RateComparison, times: Floats, state: State, context: GateContext) -> Flags:
    """Would there be a verdict with so many times the evidence, all of it alike?"""
    more = compared.times(times)
    bounds = more.bounds(state["rho"], rule.comparison_alpha(context.alpha), rule.max_increase)
    apart = (bounds.low > rule.max_increase) | (bounds.high < rule.max_increase)
    return np.asarray(apart & (more.sums.intervals >= MINIMUM_INTERVALS))
