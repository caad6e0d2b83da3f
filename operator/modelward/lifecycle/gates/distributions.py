"""What drift of features and drift of predictions share: how far live traffic is from a reference, and whether that is real.

A distribution has drifted when the distance is important (less its sampling noise it reaches the threshold) and real (a lower bound of
the total variation, valid at every look, over all bins and all features, is above zero). It fits when the distance is below the
threshold and sampling noise alone is below a quarter of it. Anything else is undecided.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from modelward.api.gates import DistanceMethod, DriftGate, Gate, PredictionDriftGate, Reference
from modelward.api.model_version import Baseline, FeatureBaseline, PredictionBaseline
from modelward.lifecycle.gates.bins import Bins, Distribution, common_bins
from modelward.lifecycle.gates.outlook import needed
from modelward.lifecycle.gates.verdict import (
    Code,
    Codes,
    Counts,
    Followed,
    GateContext,
    Look,
    Looks,
    Result,
    State,
    Verdict,
    are_too_few,
    too_few,
    unknown,
)
from modelward.lifecycle.gates.wording import number, percent, requests
from modelward.stats import distances
from modelward.stats.intervals import Bounds
from modelward.stats.readings import Binned, Increment
from modelward.stats.sequential import (
    MeanShare,
    RateDifference,
    baseline_interval,
    mixing_parameter,
    total_variation_bound,
)

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Counted = NDArray[np.int_]
_BinSums = MeanShare | RateDifference
METHOD = "stratified normal mixture per bin"


class Outcome(Enum):
    DRIFTED = "drifted"
    FITS = "fits"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class Compared:
    """The two samples that were compared: counts in the same bins."""

    bins: Bins
    expected: Floats  # of the reference
    observed: Floats


@dataclass(frozen=True)
class Finding:
    """What is known of one feature, or of the predictions."""

    name: str
    outcome: Outcome
    distance: float = 0.0  # less sampling noise
    certain: float = 0.0  # the total variation is at least this
    times: float = 0.0  # so many times the evidence, until sampling noise is small enough; 0: nobody knows
    problem: str | None = None  # why there is no evidence, as the end of a sentence
    compared: Compared | None = None  # None: there is no evidence


DriftSpec = DriftGate | PredictionDriftGate


@dataclass(frozen=True)
class DistributionKind:
    """A gate kind over distributions; the two kinds differ in where they find them."""

    spec_of: Callable[[Gate], DriftSpec]
    wanted: Callable[[Gate], tuple[str, ...]]  # series to read
    in_baseline: Callable[[Baseline], Mapping[str, Distribution]]  # by series
    spends_alpha: bool = True

    def series(self, gate: Gate) -> tuple[str, ...]:
        return self.wanted(gate)

    def compares(self, gate: Gate) -> bool:
        return self.spec_of(gate).reference is Reference.INCUMBENT

    def start(self, gate: Gate, context: GateContext) -> State:
        return {}

    def fold(self, gate: Gate, state: State, look: Look, context: GateContext) -> State:
        if self.compares(gate):
            return (
                state
                if look.incumbent is None
                else self._fold_comparison(gate, state, look.candidate, look.incumbent, context)
            )
        references = self._references(gate, context)
        known = {name: memory for name, memory in state.items() if name in references}
        live = {name: (found,) for name in references if (found := _distribution(look.candidate, name)) is not None}
        return {**known, **_folded(self.spec_of(gate), known, references, live)}

    def follow(self, gate: Gate, state: State, looks: Looks, samples: Floats, context: GateContext) -> Followed | None:
        """None while a distribution is still to be begun, and where live bins are not those that were begun with."""
        if self.compares(gate) and looks.incumbent is None:
            nothing = np.full(samples.shape, Code.INCONCLUSIVE, np.int8)
            return Followed(nothing, lambda _: state) if context.incumbent is None else None
        if not self.compares(gate):
            looks = replace(looks, incumbent=None)
        elif looks.incumbent is not None:
            live = self._among(gate, looks.candidate.binned.keys() & looks.incumbent.binned.keys())
            if not live <= state.keys():
                return None
        references = {} if self.compares(gate) else self._references(gate, context)
        if not self.compares(gate) and not references:
            return Followed(np.full(samples.shape, Code.UNKNOWN, np.int8), lambda _: state)
        names = self._names(gate, state, references)
        groups = _groups(self.spec_of(gate), names, state, references, looks)
        if groups is None:
            return None
        spec, alpha = self.spec_of(gate), context.alpha / max(len(names), 1)
        drifted, fits, unseen = (np.zeros(samples.shape, int) for _ in range(3))
        unseen += len(names) - sum(len(group.running.names) for group in groups)
        for group in groups:
            has_drifted, has_fit, seen = group.concluded(spec, alpha)
            drifted += has_drifted.sum(axis=1)
            fits += has_fit.sum(axis=1)
            unseen += (~seen).sum(axis=1)
        codes = _concluded(spec, drifted, len(names) - drifted - fits, unseen, len(names))
        codes = np.where(are_too_few(gate, samples), Code.UNKNOWN, codes).astype(np.int8)
        return Followed(
            codes, lambda looks: {**state, **{k: v for group in groups for k, v in group.running.memories(looks)}}
        )

    def judge(self, gate: Gate, state: State, context: GateContext) -> Verdict:
        spec = self.spec_of(gate)
        if self.compares(gate) and context.incumbent is None:
            sentence = (
                f"live distributions are compared with an incumbent, and {context.candidate} has none that gets traffic"
            )
            return Verdict(
                gate.name,
                Result.INCONCLUSIVE,
                sentence,
                "NoIncumbent",
                samples=context.candidate_samples,
                applies=False,
            )
        references = {} if self.compares(gate) else self._references(gate, context)
        if not self.compares(gate) and not references:
            return unknown(
                gate, context, f"{context.candidate} has no baseline to compare live traffic with", "NoBaseline"
            )
        missing = too_few(gate, context)
        if missing is not None:
            return missing
        return _conclude(spec, gate, self.findings(gate, state, context), context)

    def findings(self, gate: Gate, state: State, context: GateContext) -> list[Finding]:
        """What is known of each feature, on which the verdict rests."""
        references = {} if self.compares(gate) else self._references(gate, context)
        names = self._names(gate, state, references)
        alpha = context.alpha / max(len(names), 1)
        return _find(self.spec_of(gate), names, state, references, alpha)

    def _names(self, gate: Gate, state: State, references: Mapping[str, Distribution]) -> list[str]:
        return sorted({*references, *state, *(name for name in self.series(gate) if not name.endswith("/"))})

    def _references(self, gate: Gate, context: GateContext) -> dict[str, Distribution]:
        known = {} if context.baseline is None else self.in_baseline(context.baseline)
        wanted = self.series(gate)
        return {
            name: value for name, value in known.items() if name in wanted or any(item.endswith("/") for item in wanted)
        }

    def _fold_comparison(
        self, gate: Gate, state: State, ours: Increment, theirs: Increment, context: GateContext
    ) -> State:
        live: dict[str, tuple[Distribution, Distribution]] = {}
        usual: dict[str, Distribution] = {}
        for name in sorted(self._among(gate, {**ours.binned, **ours.categories})):
            one, other = _distribution(ours, name), _distribution(theirs, name)
            before = _distribution(context.incumbent_lifetime, name)
            if one is not None and other is not None and before is not None:
                live[name], usual[name] = (one, other), before
        return {**state, **_folded(self.spec_of(gate), state, usual, live)}

    def _among(self, gate: Gate, live: Iterable[str]) -> set[str]:
        """The series of the gate among those that are live."""
        wanted = self.series(gate)
        return {
            name
            for name in live
            if name in wanted or any(item.endswith("/") and name.startswith(item) for item in wanted)
        }


def baseline_distribution(recorded: FeatureBaseline | PredictionBaseline) -> Distribution:
    """A recorded baseline in the shape of live series."""
    if isinstance(recorded.counts, dict):
        return {category: float(count) for category, count in recorded.counts.items()}
    return Binned(tuple(recorded.edges), tuple(float(count) for count in recorded.counts))


def _distribution(increment: Increment, name: str) -> Distribution | None:
    return increment.binned.get(name, increment.categories.get(name))


def _folded(
    spec: DriftSpec,
    state: State,
    references: Mapping[str, Distribution],
    live: Mapping[str, tuple[Distribution, ...]],
) -> State:
    """What is remembered of live distributions, the candidate's and perhaps the incumbent's, after one more look."""
    memories: State = {}
    counted: dict[int, dict[str, list[Floats]]] = {}  # by number of bins
    for name, distributions in live.items():
        memory: State = state.get(name) or {}
        counts = _counts(memory, distributions)
        if counts is None:
            # The first look, or one whose bins have changed: what was counted in the old bins cannot be brought into new ones.
            memory = _begun(spec, references[name], distributions)
            counts = _counts(memory, distributions)
        memories[name] = memory
        if counts is not None:
            counted.setdefault(len(counts[0]), {})[name] = counts
    for alike in counted.values():
        ours, *theirs = np.array(list(alike.values())).swapaxes(0, 1)[:, None]
        running = _running(spec, tuple(alike), memories, ours, theirs[0] if theirs else None)
        memories.update(running.memories(1))
    return memories


def _counts(memory: State, live: Sequence[Distribution]) -> list[Floats] | None:
    """In the bins of a memory; None where there are none, or a distribution does not have them."""
    if "sums" not in memory:
        return None
    bins = Bins.from_json(memory["bins"])
    counts = [bins.count(distribution) for distribution in live]
    return None if any(each is None for each in counts) else [each for each in counts if each is not None]


def _begun(spec: DriftSpec, reference: Distribution, live: Sequence[Distribution]) -> State:
    """The memory before the first look at a distribution, or why there is none."""
    bins = common_bins(reference, live)
    if isinstance(bins, str):
        return {"problem": bins}
    if spec.reference is Reference.BASELINE:
        return {"bins": bins.to_json(), "sums": _empty_shares(bins.size).to_json()}
    usual = bins.count(reference)
    assert usual is not None
    return {
        "bins": bins.to_json(),
        "prior": distances.shares(usual, distances.ADD_HALF).tolist(),
        "sums": _empty_differences(bins.size).to_json(),
        "candidate": [0.0] * bins.size,
        "incumbent": [0.0] * bins.size,
    }


def _find(
    spec: DriftSpec, names: Sequence[str], state: State, references: Mapping[str, Distribution], alpha: float
) -> list[Finding]:
    """What is known of each distribution: all that have so many bins are weighed in one go."""
    found: dict[str, Finding] = {}
    expected: dict[int, dict[str, Floats]] = {}  # by number of bins
    for name in names:
        counts = _expected(spec, state.get(name), references.get(name))
        if isinstance(counts, str):
            found[name] = Finding(_label(name), Outcome.UNDECIDED, problem=counts)
        else:
            expected.setdefault(len(counts), {})[name] = counts
    for alike in expected.values():
        memories = [state[name] for name in alike]
        weighed = _weigh(spec, list(alike), memories, np.array(list(alike.values())), alpha)
        found.update(zip(alike, weighed, strict=True))
    return [found[name] for name in names]


def _label(name: str) -> str:
    return name.removeprefix("feature/")


def _expected(spec: DriftSpec, memory: State | None, reference: Distribution | None) -> Floats | str:
    """The reference's counts in the bins of the live ones, or why there is nothing to weigh, as the end of a sentence."""
    against_baseline = spec.reference is Reference.BASELINE
    if memory is None or "sums" not in memory:
        if reference is None and against_baseline:
            return "is not in the baseline"
        return "has shown no value" if not memory else str(memory["problem"])
    if against_baseline:
        counts = None if reference is None else Bins.from_json(memory["bins"]).count(reference)
        if counts is None or counts.sum() <= 0:
            return "is empty in the baseline"
        return counts if memory["sums"]["weight"] > 0 else "has shown no value"
    counts = np.asarray(memory["incumbent"], np.float64)
    unseen = counts.sum() <= 0 or sum(memory["candidate"]) <= 0 or memory["sums"]["weight"] <= 0
    return "has shown no value" if unseen else counts


def _weigh(
    spec: DriftSpec, names: Sequence[str], memories: Sequence[State], expected: Floats, alpha: float
) -> list[Finding]:
    sums, prior = _stacked(spec, memories)
    observed = _observed(sums, memories)
    apart = _distances(spec, expected, observed)
    level = _level(alpha, expected)
    certain = _certain(sums, _reference(sums, prior, expected, level), level)
    drifted = apart.is_important & (certain > 0)
    fits = apart.is_small & ~drifted
    open_ones = ~(drifted | fits)
    times = np.where(open_ones, _times_needed(spec, expected, observed, apart.noise, apart.limit), 0.0)
    return [
        Finding(
            _label(name),
            Outcome.DRIFTED if drifted[row] else Outcome.FITS if fits[row] else Outcome.UNDECIDED,
            float(apart.distance[row]),
            float(certain[row]),
            float(times[row]),
            compared=Compared(Bins.from_json(memories[row]["bins"]), expected[row], observed[row]),
        )
        for row, name in enumerate(names)
    ]


@dataclass(frozen=True)
class _Distances:
    """Of each distribution from its reference; looks, if there are several, are on the first axis."""

    distance: Floats  # less sampling noise
    noise: Floats
    limit: float  # of the noise
    is_important: Flags  # the distance reaches the threshold
    is_small: Flags  # it is below, sampling noise and all, and noise hides nothing


def _distances(spec: DriftSpec, expected: Floats, observed: Floats) -> _Distances:
    """How far the observed counts are from the expected ones; names and bins are on the last two axes."""
    noise = distances.psi_noise(expected, observed)
    if spec.method is DistanceMethod.PSI:
        raw = distances.psi(expected, observed)
        distance = np.maximum(raw - noise, 0.0)
        limit = spec.threshold / 4
    else:
        raw, distance = distances.js_distance(expected, observed), distances.debiased_js_distance(expected, observed)
        # A divergence, which is what noise adds to, is the square of the distance; see distances.js_noise.
        limit = spec.threshold**2 / 4 * 8 * math.log(2)
    return _Distances(distance, noise, limit, distance >= spec.threshold, (raw < spec.threshold) & (noise < limit))


def _stacked(spec: DriftSpec, memories: Sequence[State]) -> tuple[_BinSums, Floats]:
    """A row of sums for each memory, and what shares were usual before; against a baseline, that is not needed."""
    documents = [memory["sums"] for memory in memories]
    if spec.reference is Reference.BASELINE:
        return MeanShare.stacked(documents), np.zeros(())
    return RateDifference.stacked(documents), np.array([memory["prior"] for memory in memories], np.float64)


def _observed(sums: _BinSums, memories: Sequence[State]) -> Floats:
    """The live counts."""
    if isinstance(sums, MeanShare):
        return sums.weighted
    return np.array([memory["candidate"] for memory in memories], np.float64)


def _level(alpha: float, counts: Floats) -> float:
    """Of each side of each bin."""
    return alpha / float(2 * counts.shape[-1])


@dataclass(frozen=True)
class _Reference:
    """What live shares are held against, a row for each distribution."""

    usual: Floats
    mixing: Floats
    recorded: Bounds  # of an incumbent nothing: the sums are of differences from it already

    def of(self, rows: NDArray[np.intp]) -> "_Reference":
        recorded = self.recorded
        chosen = Bounds(recorded.estimate[rows], recorded.low[rows], recorded.high[rows])
        return _Reference(self.usual[rows], self.mixing[rows], chosen)


def _reference(sums: _BinSums, prior: Floats, expected: Floats, level: float) -> _Reference:
    if isinstance(sums, MeanShare):
        usual = distances.shares(expected, distances.ADD_HALF)
        recorded = _interval_of(expected.tobytes(), expected.shape, level)
        return _Reference(usual, mixing_parameter(usual, 0.0, level), recorded)
    nothing = np.zeros_like(prior)
    return _Reference(prior, mixing_parameter(prior, 0.0, level), Bounds(nothing, nothing, nothing))


def _certain(sums: _BinSums, reference: _Reference, level: float) -> Floats:
    """What the total variation is at least, at this level for each side of each bin."""
    if isinstance(sums, MeanShare):
        bounds = sums.bounds(reference.usual, reference.mixing, level)
    else:
        bounds = sums.bounds(reference.mixing, level)
    return total_variation_bound(bounds, reference.recorded)


@lru_cache(maxsize=64)
def _interval_of(expected: bytes, shape: tuple[int, ...], level: float) -> Bounds:
    """Of a baseline, which does not change from look to look, and takes longer to find than all else of a look."""
    return baseline_interval(np.frombuffer(expected).reshape(shape), level)


@dataclass(frozen=True)
class _Running:
    """Distributions with equally many bins through some looks: before the first and after each, names and bins on the last axes."""

    names: tuple[str, ...]
    before: tuple[State, ...]
    sums: _BinSums
    prior: Floats
    ours: Floats  # counts
    theirs: Floats | None  # None: they are held against a baseline

    def memories(self, looks: int) -> Iterator[tuple[str, State]]:
        """What is remembered of each after so many looks."""
        for row, sums in enumerate(self.sums.unstacked(looks)):
            reached: State = {**self.before[row], "sums": sums}
            if self.theirs is not None:
                reached |= {"candidate": self.ours[looks, row].tolist(), "incumbent": self.theirs[looks, row].tolist()}
            yield self.names[row], reached


def _running(spec: DriftSpec, names: tuple[str, ...], state: State, ours: Floats, theirs: Floats | None) -> _Running:
    """From what is remembered and was counted at each look; names and bins are on the last axes."""
    before = tuple(state[name] for name in names)
    sums, prior = _stacked(spec, before)
    total = ours.sum(axis=-1, keepdims=True)
    if isinstance(sums, MeanShare):
        running = sums.after_each(ours, total)
        return _Running(names, before, running, prior, running.weighted, None)
    assert theirs is not None
    observed, expected = (
        np.add.accumulate(np.concatenate([np.array([[known[whose] for known in before]], np.float64), counted]))
        for whose, counted in (("candidate", ours), ("incumbent", theirs))
    )
    differences = sums.after_each(ours, total, theirs, theirs.sum(axis=-1, keepdims=True), 0.0, prior)
    return _Running(names, before, differences, prior, observed, expected)


@dataclass(frozen=True)
class _Group:
    """Distributions through some looks, and the counts of their reference in the same bins."""

    running: _Running
    expected: Floats

    def concluded(self, spec: DriftSpec, alpha: float) -> tuple[Flags, Flags, Flags]:
        """Which have drifted by then, which fit, and which have shown a value, a row for each moment.

        Only of a distance that is important is it asked whether it is certain.
        """
        with np.errstate(invalid="ignore"):  # of what has shown no value yet
            apart = _distances(spec, self.expected, self.running.ours)
        counted = (self.running.sums.weight[..., 0] > 0) & (self.running.ours.sum(axis=-1) > 0)
        seen = counted & (self.expected.sum(axis=-1) > 0)
        drifted = apart.is_important & seen
        if drifted.any():
            level, at, sums = _level(alpha, self.expected), drifted.nonzero(), self.running.sums
            reference = _reference(sums, self.running.prior, self.expected, level)
            drifted[at] = _certain(sums.at(at), reference.of(at[1]), level) > 0
        return drifted, apart.is_small & seen & ~drifted, seen


def _groups(
    spec: DriftSpec, names: Sequence[str], state: State, references: Mapping[str, Distribution], looks: Looks
) -> list[_Group] | None:
    """Of all that has begun to be counted; None where something has yet to begin, or has to begin anew."""
    alike: dict[int, dict[str, Floats | None]] = {}  # by number of bins: the counts of a baseline
    for name in names:
        memory = state.get(name)
        live = [counts.binned.get(name) for counts in (looks.candidate, looks.incumbent) if counts is not None]
        if memory is None and all(live):
            return None
        if memory is None or "sums" not in memory:
            continue
        bins = Bins.from_json(memory["bins"])
        if any(counts is None or counts[0] != bins.edges for counts in live):
            return None
        recorded = bins.count(references[name]) if name in references else None
        if spec.reference is Reference.INCUMBENT or recorded is not None:
            alike.setdefault(bins.size, {})[name] = recorded
    return [_group(spec, group, state, looks) for group in alike.values()]


def _group(spec: DriftSpec, recorded: Mapping[str, Floats | None], state: State, looks: Looks) -> _Group:
    names = tuple(recorded)
    theirs = None if looks.incumbent is None else _table(looks.incumbent, names)
    running = _running(spec, names, state, _table(looks.candidate, names), theirs)
    if running.theirs is not None:
        return _Group(running, running.theirs)
    return _Group(running, np.array(list(recorded.values()), np.float64))


def _table(counts: Counts, names: Sequence[str]) -> Floats:
    """(looks, names, bins)."""
    return np.stack([counts.binned[name][1] for name in names], axis=1)


def _times_needed(spec: DriftSpec, expected: Floats, observed: Floats, noise: Floats, limit: float) -> Floats:
    """By what the live evidence has to grow until noise no longer hides a fit; a baseline never grows."""
    if spec.reference is Reference.INCUMBENT:
        return noise / limit
    of_live = (np.count_nonzero(expected + observed, axis=1) - 1) / observed.sum(axis=1)
    left = limit - (noise - of_live)
    return np.where(left > 0, of_live / np.where(left > 0, left, 1.0), np.inf)


def _outlook(findings: list[Finding], context: GateContext) -> str:
    undecided = [item for item in findings if item.outcome is Outcome.UNDECIDED]
    times = max((item.times for item in undecided), default=0.0)
    if math.isinf(times):
        name = next(item.name for item in undecided if math.isinf(item.times))
        return f"the reference of {name} has too few rows for this threshold, however long it takes"
    samples = context.candidate_samples
    if times <= 1 or samples <= 0:
        return "not enough yet to decide"
    return needed(samples * (times - 1), samples, context.measured_seconds, "request")


def _conclude(spec: DriftSpec, gate: Gate, findings: list[Finding], context: GateContext) -> Verdict:
    """Fail when too many have drifted; Pass when too many cannot be reached even if all that are undecided have drifted."""
    drifted = [item for item in findings if item.outcome is Outcome.DRIFTED]
    undecided = [item for item in findings if item.outcome is Outcome.UNDECIDED]
    unseen = [item for item in findings if item.problem is not None]
    least, most = len(drifted) / max(len(findings), 1), (len(drifted) + len(undecided)) / max(len(findings), 1)
    of_each = [np.array(len(some)) for some in (drifted, undecided, unseen)]
    code = Code(int(_concluded(spec, of_each[0], of_each[1], of_each[2], len(findings))))
    if code is Code.UNKNOWN:
        return unknown(
            gate, context, _unseen(unseen, len(findings), context), "MetricsUnavailable", bound=spec.threshold
        )
    result, reason = _CONCLUSIONS[code]
    alone = len(findings) == 1
    return Verdict(
        gate.name,
        result,
        _sentence(spec, result, findings, context)
        + (f"; {_outlook(findings, context)}" if result is Result.INCONCLUSIVE else ""),
        reason,
        figure=findings[0].distance if alone else least,
        low=None if alone else least,
        high=None if alone else most,
        bound=spec.threshold if alone else spec.max_drifted_share,
        samples=context.candidate_samples,
        method=f"{_method(spec)}, {METHOD}",
    )


_CONCLUSIONS = {
    Code.FAIL: (Result.FAIL, "Failed"),
    Code.PASS: (Result.PASS, "Passed"),
    Code.INCONCLUSIVE: (Result.INCONCLUSIVE, "Inconclusive"),
}


def _concluded(spec: DriftSpec, drifted: Counted, undecided: Counted, unseen: Counted, names: int) -> Codes:
    """From how many have drifted, are undecided, and, of those, have shown no value; at each look."""
    least, most = drifted / max(names, 1), (drifted + undecided) / max(names, 1)
    judged = np.where(most <= spec.max_drifted_share, Code.PASS, Code.INCONCLUSIVE)
    judged = np.where((unseen > 0) | (names == 0), Code.UNKNOWN, judged)
    return np.where(least > spec.max_drifted_share, Code.FAIL, judged).astype(np.int8)


def _sentence(spec: DriftSpec, result: Result, findings: list[Finding], context: GateContext) -> str:
    reference = "the baseline" if spec.reference is Reference.BASELINE else str(context.incumbent)
    worst = sorted(findings, key=lambda item: -item.distance)[:3]
    drifted = [item for item in findings if item.outcome is Outcome.DRIFTED]
    undecided = sum(item.outcome is Outcome.UNDECIDED for item in findings)
    figures = ", ".join(f"{item.name} {_method(spec)} {number(item.distance)}" for item in worst)
    limit = f"threshold {number(spec.threshold)}"
    of = requests(context.candidate_samples)
    if len(findings) == 1:
        verb = {Result.FAIL: "drifted from", Result.PASS: "fits"}.get(
            result, "cannot be told apart from or matched with"
        )
        if result is Result.PASS and drifted:
            verb = "drifted, as the gate allows, from"
        return f"{findings[0].name} {verb} {reference}: {_method(spec)} {number(worst[0].distance)} ({limit}), {of}"
    counted = f"{len(drifted)} of {len(findings)} features drifted from {reference} ({limit}; at most {percent(spec.max_drifted_share)} may)"
    open_ones = f", {undecided} undecided" if undecided else ""
    return f"{counted}{open_ones}; {'worst' if drifted else 'largest'}: {figures}; {of}"


def _unseen(unseen: list[Finding], total: int, context: GateContext) -> str:
    if not unseen:
        return f"{context.candidate} has shown no distribution to compare yet"
    first = unseen[0]
    if total == 1:
        return f"{first.name} {first.problem}, so nothing can be said about its drift"
    return f"{len(unseen)} of {total} features cannot be judged: {first.name} {first.problem}"


def _method(spec: DriftSpec) -> str:
    return "PSI" if spec.method is DistanceMethod.PSI else "JS distance"


def _empty_shares(bins: int) -> MeanShare:
    """Totals are the same for all bins, so they are kept once."""
    each, once = np.zeros(bins), np.zeros(())
    return MeanShare(
        weighted=each,
        weight=once,
        squares=once,
        squares_first=each,
        squares_second=each,
        intervals=once,
    )


def _empty_differences(bins: int) -> RateDifference:
    each, once = np.zeros(bins), np.zeros(())
    return RateDifference(
        weighted=each,
        weight=once,
        variance=each,
        squares=once,
        squares_first=each,
        squares_second=each,
        intervals=once,
        past_excess=each,
        past_total=once,
    )
