"""`dataQuality`: are values missing, out of the range of training, or of categories that training has never seen?

Each share is bounded absolutely, by the beta-binomial confidence sequence, over all features and checks of the gate together. Out of range
is what the baseline says: a value in an open end bin in which the baseline counted nothing. A baseline whose end bins were
not empty has no such values.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelward.api.gates import Gate
from modelward.api.model_version import Baseline, FeatureBaseline
from modelward.lifecycle.gates.bins import Distribution
from modelward.lifecycle.gates.distributions import baseline_distribution
from modelward.lifecycle.gates.outlook import outlook
from modelward.lifecycle.gates.verdict import GateContext, Look, Result, State, Verdict, present, too_few, unknown
from modelward.lifecycle.gates.wording import percent
from modelward.stats.readings import Binned, Increment
from modelward.stats.sequential import rate_bounds

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

NONE_IN_PRACTICE = 0.01
"""A bound of zero cannot be proven: it passes when nothing was seen and the share is below this."""


@dataclass(frozen=True)
class Check:
    """One share of one feature: so many bad values among so many."""

    feature: str
    noun: str
    bound: float
    bad: float
    total: float


@dataclass(frozen=True)
class JudgedCheck:
    """A check with the interval of its share; the intervals of all checks of a gate hold together."""

    check: Check
    share: float | None  # None: no value has been seen
    low: float
    high: float
    failed: bool
    passed: bool


class DataQualityKind:
    """Bounds on what is wrong with the values that reach the candidate."""

    spends_alpha = True

    def series(self, gate: Gate) -> tuple[str, ...]:
        features = present(gate.data_quality).features
        if not features:
            return ("feature/", "missing/")
        return tuple(f"{prefix}/{name}" for prefix in ("feature", "missing") for name in features)

    def compares(self, gate: Gate) -> bool:
        return False

    def start(self, gate: Gate, context: GateContext) -> State:
        return {}

    def fold(self, gate: Gate, state: State, look: Look, context: GateContext) -> State:
        folded = dict(state)
        for feature in _features(gate, context.baseline):
            counted = _count(feature, look.candidate)
            if counted is not None:
                known = state.get(feature.name, [0.0, 0.0, 0.0, 0.0])
                folded[feature.name] = [a + b for a, b in zip(known, counted, strict=True)]
        return folded

    def judge(self, gate: Gate, state: State, context: GateContext) -> Verdict:
        features = _features(gate, context.baseline)
        if not features:
            return unknown(
                gate,
                context,
                f"{context.candidate} has no baseline that says what its features look like",
                "NoBaseline",
            )
        missing = too_few(gate, context)
        if missing is not None:
            return missing
        checks = list(_checks(gate, features, state))
        unseen = [check.feature for check in checks if check.total <= 0]
        return _judge_checks(gate, checks, unseen, context)

    def findings(self, gate: Gate, state: State, context: GateContext) -> list[JudgedCheck]:
        """Every check with its interval, on which the verdict rests."""
        checks = list(_checks(gate, _features(gate, context.baseline), state))
        if not checks:
            return []
        bad, total, bound = _columns(checks)
        bounds = rate_bounds(bad, total, context.alpha / len(checks))
        failed, passed = _broken_and_kept(bad, total, bound, context.alpha)
        return [
            JudgedCheck(
                check,
                float(bounds.estimate[row]) if check.total > 0 else None,
                float(bounds.low[row]),
                float(bounds.high[row]),
                bool(failed[row]),
                bool(passed[row]),
            )
            for row, check in enumerate(checks)
        ]


def _features(gate: Gate, baseline: Baseline | None) -> tuple[FeatureBaseline, ...]:
    """Those of the baseline that the gate looks at; one that it names and the baseline lacks has no range, but may be missing."""
    wanted = present(gate.data_quality).features
    known = {} if baseline is None else {feature.name: feature for feature in baseline.features}
    if not wanted:
        return tuple(known.values())
    return tuple(known.get(name) or FeatureBaseline.model_construct(name=name, counts=()) for name in wanted)


def _count(feature: FeatureBaseline, increment: Increment) -> tuple[float, float, float, float] | None:
    """Values, and among them or beside them: missing, out of range, of new categories. None without usable series."""
    name, missing_name = f"feature/{feature.name}", f"missing/{feature.name}"
    if name in increment.invalid or missing_name in increment.invalid:
        return None
    values: Distribution | None = increment.binned.get(name, increment.categories.get(name))
    missing = increment.counters.get(missing_name, 0.0)
    if values is None:
        return (0.0, missing, 0.0, 0.0)
    seen = sum(values.counts) if isinstance(values, Binned) else sum(values.values())
    return (seen, missing, _out_of_range(feature, values), _new_categories(feature, values))


def _out_of_range(feature: FeatureBaseline, values: Distribution) -> float:
    reference = baseline_distribution(feature)
    if not isinstance(values, Binned) or not isinstance(reference, Binned) or not reference.edges or not values.edges:
        return 0.0
    outside = 0.0
    if reference.counts[0] == 0 and values.edges[0] <= reference.edges[0]:
        outside += sum(
            count for edge, count in zip(values.edges, values.counts, strict=False) if edge <= reference.edges[0]
        )
    if reference.counts[-1] == 0 and values.edges[-1] >= reference.edges[-1]:
        outside += sum(
            count for edge, count in zip(values.edges, values.counts[1:], strict=True) if edge >= reference.edges[-1]
        )
    return outside


def _new_categories(feature: FeatureBaseline, values: Distribution) -> float:
    if isinstance(values, Binned) or not isinstance(feature.counts, dict):
        return 0.0
    return float(sum(count for category, count in values.items() if not feature.counts.get(category)))


def _checks(gate: Gate, features: tuple[FeatureBaseline, ...], state: State) -> Iterator[Check]:
    spec = present(gate.data_quality)
    for feature in features:
        seen, missing, outside, new = state.get(feature.name, (0.0, 0.0, 0.0, 0.0))
        categorical = isinstance(feature.counts, dict)
        if spec.max_missing is not None:
            yield Check(feature.name, "missing", spec.max_missing, missing, seen + missing)
        if spec.max_out_of_range is not None and not categorical:
            yield Check(feature.name, "out of the range of training", spec.max_out_of_range, outside, seen)
        if spec.max_new_categories is not None and categorical:
            yield Check(feature.name, "of new categories", spec.max_new_categories, new, seen)


def _judge_checks(gate: Gate, checks: list[Check], unseen: list[str], context: GateContext) -> Verdict:
    if not checks:
        return Verdict(
            gate.name,
            Result.INCONCLUSIVE,
            "no feature is of a kind that this gate checks",
            "Inconclusive",
            samples=context.candidate_samples,
            applies=False,
        )
    bad, total, bound = _columns(checks)
    bounds = rate_bounds(bad, total, context.alpha / len(checks))
    failed, passed = _broken_and_kept(bad, total, bound, context.alpha)
    if not failed.any() and unseen:
        names = ", ".join(sorted(set(unseen))[:3])
        return unknown(
            gate, context, f"no value of {names} has been seen yet, so its quality is unknown", "MetricsUnavailable"
        )
    if failed.any():
        result, reason = Result.FAIL, "Failed"
    elif passed.all():
        result, reason = Result.PASS, "Passed"
    else:
        result, reason = Result.INCONCLUSIVE, "Inconclusive"
    worst = int(
        np.argmax(np.where(failed.any() & ~failed, -np.inf, bounds.low - bound + 1e-6 * np.nan_to_num(bounds.estimate)))
    )
    check = checks[worst]
    low, high, figure = (
        float(bounds.low[worst]),
        float(bounds.high[worst]),
        float(np.nan_to_num(bounds.estimate[worst])),
    )
    tail = "" if result is not Result.INCONCLUSIVE else f"; {_outlook(bad, total, bound, context)}"
    count = int(failed.sum()) if result is Result.FAIL else len(checks)
    others = f"; {count} checks of {len(checks)} failed" if result is Result.FAIL else f"; the worst of {count} checks"
    sentence = (
        f"{percent(figure)} of {round(check.total):,} values of {check.feature} are {check.noun} "
        f"({percent(low)} to {percent(high)}, bound {percent(check.bound)}){others if len(checks) > 1 else ''}{tail}"
    )
    return Verdict(
        gate.name,
        result,
        sentence,
        reason,
        figure=figure,
        low=low,
        high=high,
        bound=check.bound,
        samples=round(check.total),
        method="beta-binomial confidence sequence",
    )


def _columns(checks: list[Check]) -> tuple[Floats, Floats, Floats]:
    """Bad values, all values, and bounds."""
    rows = np.array([(check.bad, check.total, check.bound) for check in checks], np.float64).reshape(-1, 3)
    return rows[:, 0], rows[:, 1], rows[:, 2]


def _broken_and_kept(bad: Floats, total: Floats, bound: Floats, alpha: float) -> tuple[Flags, Flags]:
    bounds = rate_bounds(bad, total, alpha / len(bound))
    kept = (bounds.high <= bound) | ((bound == 0) & (bad == 0) & (bounds.high <= NONE_IN_PRACTICE))
    return np.asarray(bounds.low > bound), np.asarray(kept)


def _outlook(bad: Floats, total: Floats, bound: Floats, context: GateContext) -> str:
    def decides(times: Floats) -> Flags:
        scale = times[:, None]
        failed, passed = _broken_and_kept(bad * scale, total * scale, bound, context.alpha)
        return np.asarray(failed.any(axis=1) | passed.all(axis=1))

    return outlook(decides, context.candidate_samples, context.measured_seconds, "request")
