"""Why a version was, or was not, let go on: the evidence behind its gates as plain values, for people to read.

Nothing is judged here. Figures of features come from the functions that the gates judge by, on the evidence that the operator keeps in
the version's status, so that what is shown is what was decided on.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import cast

import numpy as np

from modelward.api.gates import DistanceMethod, Gate, Reference
from modelward.api.model import Model
from modelward.api.model_version import Baseline
from modelward.api.status import GateStatus, ModelStatus, MonitoringStatus, Stage, format_time
from modelward.api.types import format_duration
from modelward.lifecycle import evidence as evidence_of
from modelward.lifecycle.evidence import Evidence, Inputs
from modelward.lifecycle.gates.bins import Bins, Distribution, common_bins, edge_labels
from modelward.lifecycle.gates.data_quality import DataQualityKind, JudgedCheck
from modelward.lifecycle.gates.distributions import (
    Compared,
    DistributionKind,
    Finding,
    Outcome,
    baseline_distribution,
)
from modelward.lifecycle.gates.registry import kind_for
from modelward.lifecycle.gates.verdict import GateContext, State
from modelward.lifecycle.one_look import OneLook, look_once
from modelward.lifecycle.operations import Operations, operations_of
from modelward.lifecycle.track import Point
from modelward.stats import distances
from modelward.stats.increments import lifetime
from modelward.stats.readings import Binned

OTHERS = "all others"
"""The bin of the categories that the reference has never seen."""
PREDICTIONS = "prediction"
MONITORING = "Monitoring"


@dataclass(frozen=True)
class GateExplained:
    """One gate: its newest verdict, and how its figure moved before."""

    name: str
    result: str
    sentence: str
    reason: str
    figure: float | None
    low: float | None
    high: float | None
    bound: float | None
    samples: int
    window: str
    method: str
    advisory: bool
    applies: bool
    at: datetime
    track: tuple[Point, ...] = ()


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
class Explanation:
    """The evidence of one version's latest decision."""

    model: str
    namespace: str
    version: str
    incumbent: str | None
    stage: str
    since: datetime | None
    result: str
    next: str
    notes: tuple[str, ...]
    gates: tuple[GateExplained, ...]
    drift: tuple[DriftTable, ...] = ()
    quality: tuple[QualityTable, ...] = ()
    histograms: tuple[Histogram, ...] = ()  # the worst first
    operations: tuple[Operations, ...] = ()  # of the candidate, then of the incumbent


def explained_version(status: ModelStatus) -> str | None:
    """Whose evidence the latest decision rests on: what is judged now, else what was judged last."""
    running = status.rollout or status.watch
    if running:
        return running.version
    if status.gates:
        return max(status.gates, key=lambda row: row.at).version
    return status.production.version if status.production else None


def explain(
    model: Model, status: ModelStatus, version: str, evidence: Evidence | None, baseline: Baseline | None
) -> Explanation:
    """Everything that is known of why `version` stands where it does."""
    stage, since = _place(status, version, evidence)
    rows = [row for row in status.gates if row.version == version and row.stage == stage]
    standing = _Standing(stage, since, _result(status, version), _next(status, version))
    return _explained(model, version, standing, rows, evidence, baseline)


def explain_monitoring(
    model: Model, monitoring: MonitoringStatus, evidence: Evidence | None, baseline: Baseline | None
) -> Explanation:
    """The same of what serves, from the looks that are taken at it for as long as it does."""
    result = monitoring.problem or f"Serves users since {_clock(monitoring.since)}."
    standing = _Standing(MONITORING, monitoring.since, result, "It is looked at for as long as it serves.")
    return _explained(model, monitoring.version, standing, monitoring.gates, evidence, baseline)


@dataclass(frozen=True)
class _Standing:
    """Where a version stands, in the words of the head."""

    stage: str
    since: datetime | None
    result: str
    next: str


def _explained(
    model: Model,
    version: str,
    standing: _Standing,
    rows: Sequence[GateStatus],
    evidence: Evidence | None,
    baseline: Baseline | None,
) -> Explanation:
    stage, since = standing.stage, standing.since
    current = evidence if evidence and _stage_of(evidence) == stage and _begun_at(evidence, since) else None
    terms = _Terms.of(version, current, baseline) if current else None
    tables = list(_drift_tables(terms)) if terms else []
    return Explanation(
        model=model.metadata.name,
        namespace=model.metadata.namespace,
        version=version,
        incumbent=terms.inputs.incumbent if terms else None,
        stage=stage,
        since=since or (current.started_at if current else None),
        result=standing.result,
        next=standing.next,
        notes=tuple(_notes(version, stage, evidence, current, terms, rows)),
        gates=tuple(_gates(rows, terms)),
        drift=tuple(table for table, _ in tables),
        quality=tuple(_quality_tables(terms)) if terms else (),
        histograms=tuple(_histograms(terms, tables)) if terms else (),
        operations=operations_of(terms.evidence, terms.gates, version, terms.inputs.incumbent) if terms else (),
    )


@dataclass(frozen=True)
class _Terms:
    """Evidence, with what it was judged by."""

    evidence: Evidence
    gates: tuple[Gate, ...]
    inputs: Inputs

    @classmethod
    def of(cls, version: str, evidence: Evidence, baseline: Baseline | None) -> "_Terms | None":
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
        return evidence_of.remembered(self.evidence, gate, self.inputs)


def _place(status: ModelStatus, version: str, evidence: Evidence | None) -> tuple[str, datetime | None]:
    """The stage that the version is judged in, or was judged in last, and since when."""
    if status.rollout and status.rollout.version == version:
        return status.rollout.stage.value, status.rollout.stage_entered_at
    if status.watch and status.watch.version == version:
        return Stage.PRODUCTION.value, status.watch.since
    for challenger in status.challengers:
        if challenger.version == version:
            return Stage.SHADOW.value, challenger.entered_at
    rows = [row for row in status.gates if row.version == version]
    if rows:
        return max(rows, key=lambda row: row.at).stage.value, None
    return (_stage_of(evidence), None) if evidence else ("", None)


def _stage_of(evidence: Evidence) -> str:
    return evidence.stage_key.partition("@")[0]


def _begun_at(evidence: Evidence, since: datetime | None) -> bool:
    """Does the evidence speak of the stage that began then, and not of an earlier attempt at it?"""
    return since is None or evidence.stage_key.partition("@")[2] == format_time(since)


def _result(status: ModelStatus, version: str) -> str:
    """What has become of the version, as a sentence."""
    if status.rollout and status.rollout.version == version:
        return "Paused until evidence comes." if status.rollout.paused else "Being judged; nothing is decided yet."
    if status.watch and status.watch.version == version:
        return f"Promoted, and watched until {_clock(status.watch.until)}."
    failed = next((entry for entry in status.failed if entry.version == version), None)
    if failed:
        return f"Failed in {failed.stage} at {_clock(failed.at)} ({failed.reason}): {failed.message}"
    if status.production and status.production.version == version:
        return f"Serves users since {_clock(status.production.since)}."
    if any(challenger.version == version for challenger in status.challengers):
        return "A challenger: it is shadowed, and no user sees its answers."
    past = next((entry for entry in status.history if entry.version == version), None)
    return f"{past.action} at {_clock(past.at)}: {past.message}" if past else "It was never judged."


def _next(status: ModelStatus, version: str) -> str:
    """What happens next, in the operator's own words."""
    running = {role.version for role in (status.rollout, status.watch) if role}
    progressing = next((entry for entry in status.conditions if entry.type == "Progressing"), None)
    if version in running and progressing and progressing.message:
        return progressing.message
    if any(entry.version == version for entry in status.failed):
        return (
            "It does not start again by itself. Ask for another version, or raise spec.production.retry of the Model"
            " when the cause was not in this one."
        )
    if any(challenger.version == version for challenger in status.challengers):
        return "It is looked at while it is among spec.challengers of the Model; asking for it makes it the candidate."
    return "Nothing: no decision on it is pending."


def _notes(
    version: str,
    stage: str,
    evidence: Evidence | None,
    current: Evidence | None,
    terms: _Terms | None,
    rows: Sequence[GateStatus],
) -> Iterator[str]:
    """What cannot be shown, why, and what to do."""
    if stage == Stage.VALIDATION:
        yield "Validation looks at no traffic, so that there is only what its gates say."
    elif evidence is None:
        if rows:
            yield f"{version} keeps no evidence: its ModelVersion is gone, or was made anew. What its gates said is left."
        else:
            yield (
                f"There is no evidence of {version}: no gate has looked at its traffic yet. Evidence is gathered while a"
                " stage with gates is under way; a first version has none before it serves."
            )
    elif current is None:
        yield (
            f"{stage or 'The stage'} has not been looked at yet; the evidence that is kept is of {_stage_of(evidence)},"
            f" begun at {_clock(evidence.started_at)}. Ask again after the next look."
        )
    elif terms is None:
        yield (
            "The evidence was gathered by another release of the operator, so that it cannot be shown by feature; it can"
            " be after the next look, when the version is still being judged."
        )
    else:
        if current.candidate.problem:
            yield f"The newest look, at {_clock(terms.inputs.now)}, could not be used: {current.candidate.problem}."
        if terms.inputs.baseline is None and any(_needs_baseline(gate) for gate in terms.gates):
            yield "The baseline cannot be read, so that what is compared with it is left out."
        if any(gate.window for gate in terms.gates):
            yield "Of a gate with a window, figures by feature are of the window in progress."


def _needs_baseline(gate: Gate) -> bool:
    kind = kind_for(gate)
    return isinstance(kind, DataQualityKind) or (isinstance(kind, DistributionKind) and not kind.compares(gate))


def _gates(rows: Sequence[GateStatus], terms: _Terms | None) -> Iterator[GateExplained]:
    """Verdicts as the operator wrote them; of a version of which status speaks no more, judged again on its evidence."""
    tracks = {name: memory.track.points for name, memory in terms.evidence.gates.items()} if terms else {}
    explained = [_as_written(row) for row in rows] or (list(_judged_again(terms)) if terms else [])
    for gate in explained:
        yield replace(gate, track=tracks.get(gate.name, ()))


def _as_written(row: GateStatus) -> GateExplained:
    return GateExplained(
        name=row.name,
        result=row.result,
        sentence=row.message,
        reason=row.reason,
        figure=row.figure,
        low=row.low,
        high=row.high,
        bound=row.bound,
        samples=row.samples,
        window=row.window,
        method=row.method,
        advisory=row.advisory,
        applies=row.applies,
        at=row.at,
    )


def _judged_again(terms: _Terms) -> Iterator[GateExplained]:
    measured = [gate for gate in terms.gates if kind_for(gate).series(gate)]
    for verdict in evidence_of.judge(terms.evidence, measured, terms.inputs):
        yield GateExplained(
            name=verdict.gate,
            result=verdict.result.value,
            sentence=verdict.sentence,
            reason=verdict.reason,
            figure=verdict.figure,
            low=verdict.low,
            high=verdict.high,
            bound=verdict.bound,
            samples=verdict.samples,
            window="" if verdict.seconds is None else format_duration(timedelta(seconds=round(verdict.seconds))),
            method=verdict.method,
            advisory=verdict.advisory,
            applies=verdict.applies,
            at=terms.inputs.now,
        )


def _drift_tables(terms: _Terms) -> Iterator[tuple[DriftTable, list[Finding]]]:
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


def _quality_tables(terms: _Terms) -> Iterator[QualityTable]:
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


def _histograms(terms: _Terms, tables: Iterable[tuple[DriftTable, list[Finding]]]) -> list[Histogram]:
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


def _clock(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"
