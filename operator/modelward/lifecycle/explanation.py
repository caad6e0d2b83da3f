"""Why a version was, or was not, let go on: the evidence behind its gates as plain values, for people to read.

Nothing is judged here. Figures of features come from the functions that the gates judge by, on the evidence that the operator keeps in
the version's status, so that what is shown is what was decided on.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from modelward.api.gates import Gate
from modelward.api.model import Model
from modelward.api.model_version import Baseline
from modelward.api.status import GateStatus, ModelStatus, MonitoringStatus, Stage, format_time
from modelward.api.types import format_duration
from modelward.lifecycle import evidence as evidence_of
from modelward.lifecycle.evidence import Evidence
from modelward.lifecycle.gates.data_quality import DataQualityKind
from modelward.lifecycle.gates.distributions import DistributionKind
from modelward.lifecycle.gates.registry import kind_for
from modelward.lifecycle.operations import Operations, operations_of
from modelward.lifecycle.tables import (
    DriftTable,
    Histogram,
    QualityTable,
    Terms,
    drift_tables,
    histograms,
    quality_tables,
)
from modelward.lifecycle.track import Point

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
    terms = Terms.of(version, current, baseline) if current else None
    tables = list(drift_tables(terms)) if terms else []
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
        quality=tuple(quality_tables(terms)) if terms else (),
        histograms=tuple(histograms(terms, tables)) if terms else (),
        operations=operations_of(terms.evidence, terms.gates, version, terms.inputs.incumbent) if terms else (),
    )


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
    terms: Terms | None,
    rows: Sequence[GateStatus],
) -> Iterator[str]:
    """What cannot be shown, why, and what to do."""
    if stage == Stage.VALIDATION:
        yield "Validation looks at no traffic, so that there is only what its gates say."
    elif evidence is None:
        if any(row.samples for row in rows):
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


def _gates(rows: Sequence[GateStatus], terms: Terms | None) -> Iterator[GateExplained]:
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


def _judged_again(terms: Terms) -> Iterator[GateExplained]:
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


def _clock(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"
