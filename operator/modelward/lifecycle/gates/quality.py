"""`quality`: are the answers right, by the labels that came back for them?

Accuracy, precision, recall and F1 (a rising function of a rate) have exact confidence sequences; MCC, AUC, RMSE and MAE asymptotic ones,
which give no verdict before a hundred labels; ECE adds up those of its bins. Against the incumbent, the share of wrong answers is
compared as rates of errors are: within the same intervals, so that labels which come back late for both cancel out.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelward.api.gates import Gate, QualityGate, QualityMetric
from modelward.lifecycle.gates import rates
from modelward.lifecycle.gates.feedback import Figure, Table, by_labels, gather, hold_against_bounds, too_few_labels
from modelward.lifecycle.gates.rates import Rate, RateRule
from modelward.lifecycle.gates.verdict import GateContext, Look, Result, State, Verdict, present, unknown
from modelward.lifecycle.gates.wording import number, percent
from modelward.stats import calibration, quality
from modelward.stats.binning import align
from modelward.stats.intervals import Bounds
from modelward.stats.quality import Counted, Estimated
from modelward.stats.readings import ERROR_SUMS, Binned, Increment
from modelward.stats.sequential import mean_bounds, rate_bounds

Floats = NDArray[np.float64]

ENOUGH_FOR_ASYMPTOTICS = 100
SEQUENCE = "beta-binomial confidence sequence"
ASYMPTOTIC = "asymptotic confidence sequence"

_BY_SCORES = (QualityMetric.AUC, QualityMetric.ECE)
_BY_ERRORS = (QualityMetric.RMSE, QualityMetric.MAE)
_WRONG = {
    QualityMetric.ACCURACY: "wrong answers",
    QualityMetric.PRECISION: "false ones among predicted positives",
    QualityMetric.RECALL: "missed ones among actual positives",
}


class QualityKind:
    """A metric of labelled feedback, held against bounds and against the incumbent's."""

    spends_alpha = True

    def series(self, gate: Gate) -> tuple[str, ...]:
        metric = present(gate.quality).metric
        if metric in _BY_ERRORS:
            return ERROR_SUMS
        return ("score/",) if metric in _BY_SCORES else ("confusion/",)

    def compares(self, gate: Gate) -> bool:
        return present(gate.quality).versus_incumbent is not None

    def start(self, gate: Gate, context: GateContext) -> State:
        return {"confusion": {}, "scores": {}, "errors": [0.0] * len(ERROR_SUMS), "versus": rates.empty()}

    def fold(self, gate: Gate, state: State, look: Look, context: GateContext) -> State:
        spec = present(gate.quality)
        counted = look.candidate
        folded = {
            **state,
            "confusion": gather(state["confusion"], "confusion/", counted),
            "scores": _gather_scores(state["scores"], counted),
            "errors": [
                a + counted.counters.get(name, 0.0) for a, name in zip(state["errors"], ERROR_SUMS, strict=True)
            ],
        }
        rule = _rule(spec)
        if rule is None:
            return folded
        incumbent = None if look.incumbent is None else _wrong(spec, look.incumbent)
        own = replace(context, alpha=_alpha(spec, context))
        before = _wrong(spec, context.incumbent_lifetime)
        return {**folded, "versus": rates.fold(rule, state["versus"], _wrong(spec, counted), incumbent, before, own)}

    def judge(self, gate: Gate, state: State, context: GateContext) -> Verdict:
        spec = present(gate.quality)
        figure = _figure(spec, state, _alpha(spec, context))
        if isinstance(figure, str):
            return unknown(gate, by_labels(context, 0), figure, "InsufficientSamples")
        missing = too_few_labels(gate, context, figure.labels)
        if missing is not None:
            return missing
        verdicts = []
        if spec.min is not None or spec.max is not None:
            verdicts.append(hold_against_bounds(gate, figure, spec.min, spec.max, context))
        rule = _rule(spec)
        if rule is not None:
            own = replace(by_labels(context, figure.labels), alpha=_alpha(spec, context))
            verdicts.append(rates.judge(rule, gate.model_copy(update={"min_samples": 0}), state["versus"], own))
        return _together(verdicts)


def _together(verdicts: list[Verdict]) -> Verdict:
    """The one that decides: a Fail before what is unknown, that before what is open, and a Pass only of all."""
    judged = [verdict for verdict in verdicts if verdict.applies] or verdicts
    order = (Result.FAIL, Result.UNKNOWN, Result.INCONCLUSIVE, Result.PASS)
    return min(judged, key=lambda verdict: order.index(verdict.result))


def _alpha(spec: QualityGate, context: GateContext) -> float:
    both = spec.versus_incumbent is not None and (spec.min is not None or spec.max is not None)
    return context.alpha / 2 if both else context.alpha


def _rule(spec: QualityGate) -> RateRule | None:
    if spec.versus_incumbent is None:
        return None
    return RateRule(_WRONG[spec.metric], spec.versus_incumbent.max_decrease, None, unit="label")


def _wrong(spec: QualityGate, increment: Increment) -> Rate:
    if any(name.startswith("confusion/") for name in increment.invalid):
        return Rate(0, 0)
    counted = _rate(spec, gather({}, "confusion/", increment))
    return Rate(float(counted.total - counted.events), float(counted.total))


def _rate(spec: QualityGate, confusion: Table) -> Counted:
    table, positive = _matrix(confusion, spec.positive)
    if spec.metric is QualityMetric.ACCURACY:
        return quality.accuracy(table)
    if spec.metric is QualityMetric.F1:
        return quality.jaccard(table, positive)
    return (quality.precision if spec.metric is QualityMetric.PRECISION else quality.recall)(table, positive)


def _matrix(confusion: Table, positive: str) -> tuple[Floats, int]:
    """Counts by predicted and actual class, and the place of the positive one."""
    classes = sorted({positive, *confusion, *(actual for row in confusion.values() for actual in row)})
    table = [[confusion.get(predicted, {}).get(actual, 0.0) for actual in classes] for predicted in classes]
    return np.array(table, np.float64), classes.index(positive)


def _figure(spec: QualityGate, state: State, alpha: float) -> Figure | str:
    if spec.metric in _BY_ERRORS:
        return _error_figure(spec.metric, state["errors"], alpha)
    if spec.metric in _BY_SCORES:
        return _score_figure(spec, state["scores"], alpha)
    table, _ = _matrix(state["confusion"], spec.positive)
    if spec.metric is QualityMetric.MCC:
        # The variance of a table without a single error would be zero, which no finite sample can show.
        smooth = quality.mcc(table + 0.5)
        measured = Estimated(quality.mcc(table).value, smooth.variance, table.sum())
        return _asymptotic("MCC", measured, alpha)
    counted = _rate(spec, state["confusion"])
    is_f1 = spec.metric is QualityMetric.F1

    def bounds(times: Floats) -> Bounds:
        found = rate_bounds(counted.events * times, counted.total * times, alpha)
        if not is_f1:
            return found
        return Bounds(*(quality.f1_of_jaccard(part) for part in (found.estimate, found.low, found.high)))

    noun = "F1" if is_f1 else spec.metric.value.lower()
    return Figure(noun, number if is_f1 else percent, bounds, SEQUENCE, float(counted.total))


def _asymptotic(noun: str, measured: Estimated, alpha: float, margin: tuple[float, float] = (0.0, 0.0)) -> Figure:
    """margin: how far below and above the estimate the figure may be because of its bins."""

    def bounds(times: Floats) -> Bounds:
        found = mean_bounds(measured.value, measured.variance, measured.labels * times, alpha)
        return Bounds(found.estimate, found.low - margin[0], found.high + margin[1])

    return Figure(noun, number, bounds, ASYMPTOTIC, float(measured.labels), ENOUGH_FOR_ASYMPTOTICS)


def _error_figure(metric: QualityMetric, errors: list[float], alpha: float) -> Figure:
    labels, absolutes, squares, fourth_powers = errors
    if metric is QualityMetric.MAE:
        return _asymptotic("MAE", quality.mean_absolute_error(absolutes, squares, labels), alpha)
    inner = _asymptotic("RMSE", quality.mean_squared_error(squares, fourth_powers, labels), alpha)

    def bounds(times: Floats) -> Bounds:
        found = inner.bounds(times)
        return Bounds(*(np.sqrt(np.maximum(part, 0.0)) for part in (found.estimate, found.low, found.high)))

    return replace(inner, bounds=bounds)


def _gather_scores(known: dict[str, Any], increment: Increment) -> dict[str, Any]:
    """Histograms of scores by label; other edges than before begin anew, since two labels must share their bins."""
    found = {name.removeprefix("score/"): one for name, one in increment.binned.items() if name.startswith("score/")}
    if not found:
        return known
    scores = dict(known)
    for label, histogram in found.items():
        before = scores.get(label)
        counts = list(histogram.counts)
        if before is not None and tuple(before["edges"]) == histogram.edges:
            counts = [a + b for a, b in zip(before["counts"], counts, strict=True)]
        scores[label] = {"edges": list(histogram.edges), "counts": counts}
    return scores


def _score_figure(spec: QualityGate, scores: dict[str, Any], alpha: float) -> Figure | str:
    histograms = {label: Binned(tuple(one["edges"]), tuple(one["counts"])) for label, one in scores.items()}
    positive = histograms.pop(spec.positive, None)
    if positive is None or not histograms:
        return f"no scores have come back yet for both the label {spec.positive} and another"
    negative = histograms.popitem()[1]
    for other in histograms.values():
        first, second = align(negative, other)
        negative = Binned(first.edges, tuple(a + b for a, b in zip(first.counts, second.counts, strict=True)))
    negative, positive = align(negative, positive)
    n, p = np.asarray(negative.counts), np.asarray(positive.counts)
    if spec.metric is QualityMetric.AUC:
        bracket = quality.auc_bounds(n, p)
        smooth = quality.auc(n + 0.5, p + 0.5)
        measured = Estimated(bracket.estimate, smooth.variance, n.sum() + p.sum())
        margin = (float(bracket.estimate - bracket.low), float(bracket.high - bracket.estimate))
        return _asymptotic("AUC", measured, alpha, margin)

    def bounds(times: Floats) -> Bounds:
        known = rate_bounds(p * times[..., None], (n + p) * times[..., None], alpha / len(n))
        around = calibration.ece_interval(known.low, known.high, n + p, positive.edges)
        return Bounds(calibration.ece_bounds(n, p, positive.edges).estimate, around.low, around.high)

    return Figure("ECE", number, bounds, f"{SEQUENCE} per bin", float(n.sum() + p.sum()))
