"""What the gates found of single features, as tables and histograms for people to read.

The figures come from the functions that the gates judge by.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from modelward.api.gates import DistanceMethod, Gate, Reference
from modelward.api.model_version import Baseline
from modelward.lifecycle import evidence as evidence_of
from modelward.lifecycle.evidence import Evidence, Inputs
from modelward.lifecycle.gates.bins import Bins, Distribution, common_bins, edge_labels
from modelward.lifecycle.gates.data_quality import DataQualityKind, JudgedCheck
from modelward.lifecycle.gates.distributions import Compared, DistributionKind, Finding, Outcome, baseline_distribution
from modelward.lifecycle.gates.registry import kind_for
from modelward.lifecycle.gates.verdict import GateContext, State
from modelward.lifecycle.one_look import OneLook, look_once
from modelward.stats import distances
from modelward.stats.increments import lifetime
from modelward.stats.readings import Binned

OTHERS = "all others"
"""The bin of the categories that the reference has never seen."""
PREDICTIONS = "prediction"


@dataclass(frozen=True)
class FeatureDrift:
    """How far one feature, or the predictions, are from their reference."""

    feature: str
    verdict: str  # drifted | fits | undecided | unknown
    distance: float | None
    debiased: float | None  # less what sampling noise alone adds
    critical: float | None  # what 5 of 100 single looks exceed when nothing has drifted
    at_least: float | None  # lower bound of the total variation, valid at all looks: above zero, the difference is real
    values: float | None
    because: str = ""  # why nothing is known
    one_look: OneLook | None = None  # what usual tests say of the same counts, which decides nothing


@dataclass(frozen=True)
class DriftTable:
    """What a drift or predictionDrift gate found, feature by feature, the worst first."""

    gate: str
    method: str
    reference: str  # Baseline | Incumbent
    threshold: float
    features: tuple[FeatureDrift, ...]


@dataclass(frozen=True)
class BadShare:
    """One share of what is wrong with a feature's values, its interval, and what it may be."""

    share: float | None
    low: float
    high: float
    bound: float
    values: float


@dataclass(frozen=True)
class FeatureQuality:
    """What is wrong with the values of one feature; None is not checked."""

    feature: str
    verdict: str  # bad | good | undecided | unknown
    missing: BadShare | None = None
    out_of_range: BadShare | None = None
    new_categories: BadShare | None = None


@dataclass(frozen=True)
class QualityTable:
    """What a dataQuality gate found, feature by feature, the worst first."""

    gate: str
    features: tuple[FeatureQuality, ...]


@dataclass(frozen=True)
class Histogram:
    """Shares of one feature, or of the predictions, in the same bins; None where nothing was counted."""

    name: str
    bins: tuple[str, ...]
    baseline: tuple[float, ...] | None
    incumbent: tuple[float, ...] | None
    candidate: tuple[float, ...] | None
    verdict: str = ""  # the worst that a drift gate says of it
    debiased: float | None = None  # of that gate
    threshold: float | None = None


@dataclass(frozen=True)
class Terms:
    """Evidence, with what it was judged by."""

    evidence: Evidence
    gates: tuple[Gate, ...]
    inputs: Inputs

    @classmethod
    def of(cls, version: str, evidence: Evidence, baseline: Baseline | None) -> "Terms | None":
        """None for evidence from a release that kept no terms, or that kept some which this one cannot read."""
        try:
            gates = tuple(Gate.model_validate(gate) for gate in evidence.terms["gates"])
            inputs = Inputs(
                now=evidence.evaluated_at or evidence.started_at,
                candidate=version,
                incumbent=evidence.terms["incumbent"],
                alpha=float(evidence.terms["alpha"]),
                baseline=baseline,
                alone=bool(evidence.terms["alone"]),
            )
        except (KeyError, TypeError, ValueError):
            return None
        return cls(evidence, gates, inputs)

    def remembered(self, gate: Gate) -> tuple[State, GateContext]:
        """What a gate has gathered, and what it would be judged in."""
        return evidence_of.remembered(self.evidence, gate, self.inputs)


def drift_tables(terms: Terms) -> Iterator[tuple[DriftTable, list[Finding]]]:
    """A table for each gate on drift, with the findings that it is made of."""
    for gate in terms.gates:
        kind = kind_for(gate)
        if not isinstance(kind, DistributionKind) or (kind.compares(gate) and terms.inputs.incumbent is None):
            continue
        spec, findings = kind.spec_of(gate), kind.findings(gate, *terms.remembered(gate))
        ordered = sorted(findings, key=lambda finding: (-finding.distance, finding.name))
        table = DriftTable(
            gate=gate.name,
            method="PSI" if spec.method is DistanceMethod.PSI else "JS distance",
            reference=spec.reference.value,
            threshold=spec.threshold,
            features=tuple(
                _feature_drift(finding, spec.method, once)
                for finding, once in zip(ordered, look_once([each.compared for each in ordered]), strict=True)
            ),
        )
        yield table, findings


def _feature_drift(finding: Finding, method: DistanceMethod, one_look: OneLook | None) -> FeatureDrift:
    compared = finding.compared
    if compared is None:
        return FeatureDrift(finding.name, "unknown", None, None, None, None, None, finding.problem or "")
    expected, observed = compared.expected, compared.observed
    critical = float(distances.psi_critical_value(expected, observed))
    if method is DistanceMethod.PSI:
        raw = float(distances.psi(expected, observed))
    else:
        raw = float(distances.js_distance(expected, observed))
        critical = math.sqrt(critical / (8 * math.log(2)))  # a divergence is an eighth of a PSI, see distances.js_noise
    return FeatureDrift(
        feature=finding.name,
        verdict=finding.outcome.value,
        distance=raw,
        debiased=finding.distance,
        critical=critical,
        at_least=finding.certain,
        values=float(observed.sum()),
        one_look=one_look,
    )


def quality_tables(terms: Terms) -> Iterator[QualityTable]:
    """A table for each gate on the quality of data."""
    for gate in terms.gates:
        kind = kind_for(gate)
        if not isinstance(kind, DataQualityKind):
            continue
        by_feature: dict[str, list[JudgedCheck]] = {}
        for judged in kind.findings(gate, *terms.remembered(gate)):
            by_feature.setdefault(judged.check.feature, []).append(judged)
        features = [_feature_quality(name, checks) for name, checks in by_feature.items()]
        worst_first = sorted(features, key=lambda each: (_QUALITY.index(each.verdict), each.feature))
        yield QualityTable(gate.name, tuple(worst_first))


_QUALITY = ("bad", "unknown", "undecided", "good")


def _feature_quality(name: str, checks: Sequence[JudgedCheck]) -> FeatureQuality:
    shares = {
        judged.check.noun: BadShare(judged.share, judged.low, judged.high, judged.check.bound, judged.check.total)
        for judged in checks
    }
    if any(judged.failed for judged in checks):
        verdict = "bad"
    elif any(judged.share is None for judged in checks):
        verdict = "unknown"
    else:
        verdict = "good" if all(judged.passed for judged in checks) else "undecided"
    return FeatureQuality(
        name,
        verdict,
        shares.get("missing"),
        shares.get("out of the range of training"),
        shares.get("of new categories"),
    )


_SEVERITY = {Outcome.DRIFTED: 2, Outcome.UNDECIDED: 1, Outcome.FITS: 0}


def histograms(terms: Terms, tables: Iterable[tuple[DriftTable, list[Finding]]]) -> list[Histogram]:
    """Every feature of which anything was counted, and the predictions; the worst first."""
    against_baseline: dict[str, Compared] = {}
    against_incumbent: dict[str, Compared] = {}
    worst: dict[str, _Worst] = {}
    for table, findings in tables:
        into = against_baseline if table.reference == Reference.BASELINE else against_incumbent
        for finding in findings:
            if finding.compared is not None:
                into.setdefault(finding.name, finding.compared)
                found = _Worst(finding, table.threshold)
                worst[finding.name] = max(found, worst.get(finding.name, found), key=_Worst.weight)
    recorded, counted = _recorded(terms.inputs.baseline), _counted_by_pods(terms.evidence)
    drawn: list[Histogram] = []
    for name in sorted({*against_baseline, *against_incumbent, *counted}):
        compared, beside = against_baseline.get(name), against_incumbent.get(name)
        live = compared or beside
        histogram = _histogram(
            name,
            recorded.get(name),
            _distribution(beside.bins, beside.expected) if beside else None,
            _distribution(live.bins, live.observed) if live else counted.get(name),
        )
        if histogram:
            drawn.append(worst[name].marked(histogram) if name in worst else histogram)
    return sorted(drawn, key=lambda each: -worst[each.name].weight() if each.name in worst else 1.0)


@dataclass(frozen=True)
class _Worst:
    """What the sternest of the gates says of a feature."""

    finding: Finding
    threshold: float

    def weight(self) -> float:
        return _SEVERITY[self.finding.outcome] + min(self.finding.distance / self.threshold, 1e6) / 1e7

    def marked(self, histogram: Histogram) -> Histogram:
        verdict = self.finding.outcome.value
        return replace(histogram, verdict=verdict, debiased=self.finding.distance, threshold=self.threshold)


def _recorded(baseline: Baseline | None) -> dict[str, Distribution]:
    if baseline is None:
        return {}
    found = {feature.name: baseline_distribution(feature) for feature in baseline.features}
    if baseline.predictions is not None:
        found[PREDICTIONS] = baseline_distribution(baseline.predictions)
    return found


def _counted_by_pods(evidence: Evidence) -> dict[str, Distribution]:
    """What the candidate's pods have counted since they started, of features that only dataQuality looks at."""
    total = lifetime(evidence.candidate.pods.values())
    live: Mapping[str, Distribution] = {**total.binned, **total.categories}
    return {
        name.removeprefix("feature/"): counts
        for name, counts in live.items()
        if name.startswith("feature/") or name == PREDICTIONS
    }


def _distribution(bins: Bins, counts: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Distribution:
    if bins.edges is not None:
        return Binned(bins.edges, tuple(counts.tolist()))
    return dict(zip((*(bins.categories or ()), OTHERS), counts.tolist(), strict=True))


def _histogram(
    name: str, baseline: Distribution | None, incumbent: Distribution | None, candidate: Distribution | None
) -> Histogram | None:
    """Shares in the bins that all have in common; the incumbent's are left out where it has none in common with the others."""
    present = [each for each in (baseline, incumbent, candidate) if each is not None]
    bins = _shared_bins(present)
    if bins is None and incumbent is not None:
        return _histogram(name, baseline, None, candidate)
    if bins is None:
        return None
    theirs, ours = _shares(bins, incumbent), _shares(bins, candidate)
    if theirs is None and ours is None:
        return None
    return Histogram(name, _labels(bins), _shares(bins, baseline), theirs, ours)


def _shared_bins(distributions: Sequence[Distribution]) -> Bins | None:
    if not distributions:
        return None
    first, *others = distributions
    if not isinstance(first, Binned) and not any(isinstance(each, Binned) for each in others):
        names = {name for each in distributions for name in cast(Mapping[str, float], each) if name != OTHERS}
        seen = {name for name in first if name != OTHERS}
        return Bins(categories=tuple(sorted(seen or names)))
    found = common_bins(first, others)
    return found if isinstance(found, Bins) else None


def _shares(bins: Bins, distribution: Distribution | None) -> tuple[float, ...] | None:
    counts = None if distribution is None else bins.count(distribution)
    if counts is None or counts.sum() <= 0:
        return None
    return tuple((counts / counts.sum()).tolist())


def _labels(bins: Bins) -> tuple[str, ...]:
    if bins.edges is None:
        return (*(bins.categories or ()), OTHERS)
    return edge_labels(bins.edges)
