"""`fairness`: are groups treated alike, by the labels that came back for their members?

The rates of all groups have beta-binomial confidence sequences with alpha split over them, so that the figure's interval holds at every
look. A group with fewer labels than `minGroupSize` makes the gate Unknown: nobody can say that it is treated alike.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from modelward.api.gates import FairnessMetric, Gate
from modelward.lifecycle.gates.feedback import Figure, by_labels, gather, hold_against_bounds, too_few_labels
from modelward.lifecycle.gates.verdict import GateContext, Look, State, Verdict, present, unknown
from modelward.lifecycle.gates.wording import number, percent
from modelward.stats import fairness
from modelward.stats.intervals import Bounds
from modelward.stats.readings import OUTCOMES
from modelward.stats.sequential import rate_bounds

Floats = NDArray[np.float64]
Measure = Callable[[fairness.Groups, float, float, fairness.IntervalOf], Bounds]

_MEASURES: dict[FairnessMetric, tuple[str, Measure]] = {
    FairnessMetric.DEMOGRAPHIC_PARITY_DIFFERENCE: (
        "demographic parity difference",
        fairness.demographic_parity_difference,
    ),
    FairnessMetric.DEMOGRAPHIC_PARITY_RATIO: ("demographic parity ratio", fairness.demographic_parity_ratio),
    FairnessMetric.EQUALIZED_ODDS_DIFFERENCE: ("equalized odds difference", fairness.equalized_odds_difference),
    FairnessMetric.ADVERSE_ACTION_RATIO: ("adverse action ratio", fairness.adverse_action_ratio),
    FairnessMetric.ACCURACY_DISPARITY: ("accuracy disparity", fairness.accuracy_disparity),
}


class FairnessKind:
    """A figure over the groups of one attribute, held against bounds."""

    spends_alpha = True

    def series(self, gate: Gate) -> tuple[str, ...]:
        return (f"group/{present(gate.fairness).group}/",)

    def compares(self, gate: Gate) -> bool:
        return False

    def start(self, gate: Gate, context: GateContext) -> State:
        return {}

    def fold(self, gate: Gate, state: State, look: Look, context: GateContext) -> State:
        return dict(gather(state, self.series(gate)[0], look.candidate))

    def judge(self, gate: Gate, state: State, context: GateContext) -> Verdict:
        spec = present(gate.fairness)
        names = sorted(state)
        table = np.array([[state[name].get(outcome, 0.0) for outcome in OUTCOMES] for name in names]).reshape(-1, 4)
        labels = float(table.sum())
        missing = too_few_labels(gate, context, labels)
        if missing is not None:
            return missing
        small = _too_small(spec.metric, names, fairness.groups_of(table), spec.min_group_size)
        if small is not None or len(names) < 2:
            sentence = small or f"all labels are of one group of {spec.group}, so there is nothing to compare"
            return unknown(gate, by_labels(context, labels), f"{sentence} ({spec.group})", "InsufficientSamples")
        noun, measure = _MEASURES[spec.metric]

        def bounds(times: Floats) -> Bounds:
            return measure(fairness.groups_of(table * times[..., None, None]), 1, context.alpha, rate_bounds)

        write = number if noun.endswith("ratio") else percent
        method = f"beta-binomial confidence sequence over {len(names)} groups"
        figure = Figure(f"{noun} by {spec.group}", write, bounds, method, labels)
        return hold_against_bounds(gate, figure, spec.min, spec.max, context)


def _too_small(metric: FairnessMetric, names: list[str], groups: fairness.Groups, minimum: int) -> str | None:
    """Every rate needs so many people under its line: for equalized odds, of both labels."""
    if metric is FairnessMetric.EQUALIZED_ODDS_DIFFERENCE:
        parts = {"positive": groups.positives, "negative": groups.negatives}
    else:
        parts = {"": groups.sizes}
    for kind, sizes in parts.items():
        for name, size in zip(names, sizes, strict=True):
            if size < minimum:
                label = f"{kind} label" if kind else "label"
                return f"group {name} has {round(size):,} {label}s of the {minimum:,} needed to say how it is treated"
    return None
