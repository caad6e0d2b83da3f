"""What the gates say now: evidence folded with the newest readings, and one row per gate."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from modelward.api import reasons
from modelward.api.gates import Gate
from modelward.api.stages import Monitoring
from modelward.api.status import GateStatus, ModelStatus, Stage, VersionStatus, format_time
from modelward.api.types import format_duration
from modelward.lifecycle import evidence as evidence_of
from modelward.lifecycle import following
from modelward.lifecycle.evidence import Evidence, Inputs
from modelward.lifecycle.following import Stretch
from modelward.lifecycle.gates.verdict import Looks, Verdict
from modelward.lifecycle.monitoring import can_be_kept, gates_of, policy_of
from modelward.lifecycle.share_check import MIRROR_INCOMPLETE, ShareResult, ShareVerdict, mirror_verdict, share_verdict
from modelward.lifecycle.shares import traffic_key
from modelward.lifecycle.snapshot import Policy, Snapshot
from modelward.stats.readings import Reading


@dataclass(frozen=True)
class Subject:
    """A version that is being judged: the candidate, a challenger, or what was just promoted."""

    version: str
    stage: Stage
    entered_at: datetime
    policy: Policy
    incumbent: str | None  # None: nothing to compare with
    measured: bool  # is traffic under way to it, so that its pods can be read?
    challenger: bool = False
    monitoring: Monitoring | None = None  # None: it is judged by the gates of its stage

    @property
    def gates(self) -> tuple[Gate, ...]:
        return gates_of(self.monitoring) if self.monitoring else self.policy.gates(self.stage)

    @property
    def key(self) -> str:
        """Names the stage's own evidence; a challenger that becomes the candidate keeps it."""
        what = "Monitoring" if self.monitoring else self.stage
        return f"{what}@{format_time(self.entered_at)}"

    @property
    def interval(self) -> timedelta:
        """Time between two looks."""
        stages = self.policy.spec.stages
        if self.monitoring:
            return self.monitoring.interval
        if self.stage is Stage.SHADOW and stages.shadow:
            return stages.shadow.interval
        return stages.canary.interval if stages.canary else timedelta(seconds=60)


@dataclass(frozen=True)
class Assessment:
    """The rows of all gates, the evidence that changed, and whether traffic is split as it should be."""

    gates: tuple[GateStatus, ...] = ()
    evidence: Mapping[str, Evidence] = field(default_factory=dict)
    share: ShareVerdict | None = None
    monitoring: tuple[GateStatus, ...] = ()  # the rows of what serves
    monitored: Evidence | None = None  # what they were judged on


def subjects(s: Snapshot) -> tuple[Subject, ...]:
    """Every version that is being judged now."""
    return (*_candidate(s), *_watched(s), *_challengers(s), *_monitored(s))


def answered_as(subject: Subject, gate: Gate) -> str:
    """Under which name a snapshot has the answer to a gate's query; what serves may have a gate of the candidate's name."""
    return f"monitoring/{gate.name}" if subject.monitoring else gate.name


def due(s: Snapshot, subject: Subject) -> bool:
    """Is it time for another look at the pods of this version? Monitoring goes on while the Model is suspended: it only reports then."""
    return is_looked_at(s, subject) and s.now >= next_look(s, subject)


def is_looked_at(s: Snapshot, subject: Subject) -> bool:
    """Are the pods of this version looked at, now or at another time?"""
    if not subject.measured or not subject.gates or s.model.metadata.deletion_timestamp:
        return False
    return bool(subject.monitoring) or not s.model.spec.suspend


def next_look(s: Snapshot, subject: Subject) -> datetime:
    """When the next look is due; a clock that was set back does not stop the looks."""
    known = known_evidence(s, subject)
    if known is None or known.evaluated_at is None or known.evaluated_at > s.now:
        return s.now
    return known.evaluated_at + subject.interval


def wanted_series(looked_at: Iterable[Subject]) -> dict[str, tuple[str, ...]]:
    """The series to read of each version, for a look at these subjects."""
    wanted: dict[str, set[str]] = {}
    for subject in looked_at:
        wanted.setdefault(subject.version, set()).update(evidence_of.candidate_series(subject.gates))
        if subject.incumbent:
            wanted.setdefault(subject.incumbent, set()).update(evidence_of.incumbent_series(subject.gates))
    return {version: tuple(sorted(series)) for version, series in wanted.items()}


def assess(s: Snapshot) -> Assessment:
    """Judge every subject: fold what was read, keep the rows of those that were not looked at."""
    rows: list[GateStatus] = []
    folded: dict[str, Evidence] = {}
    share: ShareVerdict | None = None
    monitoring: tuple[GateStatus, ...] = ()
    monitored: Evidence | None = None
    for subject in subjects(s):
        judged = _judged(s, subject)
        if subject.monitoring:
            monitoring, monitored = judged.rows, judged.folded
            continue
        rows += judged.rows
        if judged.folded:
            folded[subject.version] = judged.folded
        if not subject.challenger and judged.evidence:
            share = _share(s, subject, judged.evidence)
    return Assessment(tuple(rows), folded, share, monitoring, monitored)


def follow(s: Snapshot, subject: Subject, at: Sequence[datetime], counted: Looks) -> Stretch | None:
    """Many looks at a subject in a row, as far as they can be gone through at once; None where it was not looked at yet."""
    known = known_evidence(s, subject)
    if known is None:
        return None
    return following.follow(known, at, counted, traffic_key(s.status), subject.gates, _inputs(s, subject))


def folded(s: Snapshot, subject: Subject, reading: Reading, incumbent: Reading | None) -> Evidence:
    """The evidence of a subject after one more look, and nothing judged."""
    evidence = known_evidence(s, subject) or _fresh_evidence(s, subject)
    return evidence_of.fold(evidence, reading, incumbent, traffic_key(s.status), subject.gates, _inputs(s, subject))


def with_evidence(s: Snapshot, subject: Subject, evidence: Evidence) -> Snapshot:
    """The snapshot as if newer evidence of a subject had been written, on which nothing was judged yet."""
    view, what = s.versions[subject.version], "monitoring" if subject.monitoring else "evidence"
    status = (view.status or VersionStatus()).model_copy(update={what: evidence.to_dict()})
    changed = replace(view, status=status)
    changed = replace(changed, monitoring=evidence) if subject.monitoring else replace(changed, evidence=evidence)
    return replace(s, versions={**s.versions, subject.version: changed})


@dataclass(frozen=True)
class _Judged:
    """One subject: its rows, what they were judged on, and that again where it is new."""

    rows: tuple[GateStatus, ...]
    evidence: Evidence | None = None
    folded: Evidence | None = None


def _judged(s: Snapshot, subject: Subject) -> _Judged:
    if subject.stage is Stage.VALIDATION:
        blank = evidence_of.begin(subject.key, subject.entered_at, "")
        verdicts = evidence_of.judge(blank, subject.gates, _inputs(s, subject))
        return _Judged(_unmoved(s, subject, _rows(s, subject, verdicts)))
    evidence = known_evidence(s, subject) or _fresh_evidence(s, subject)
    # A version is also read as the incumbent of another; such a reading lacks series that its own gates need.
    reading = s.readings.get(subject.version) if due(s, subject) else None
    if reading is None and _is_said(s, subject, evidence):
        return _Judged(_kept_rows(s, subject), evidence)
    if reading is None:
        said = {row.name: row for row in _kept_rows(s, subject)}
        verdicts = evidence_of.judge(evidence, subject.gates, _inputs(s, subject))
        answered = {gate.name for gate in subject.gates if gate.query}  # by a server, and not asked anew
        anew = _rows(s, subject, verdicts)
        return _Judged(tuple(said[row.name] if row.name in answered else row for row in anew), evidence)
    incumbent = _incumbent_reading(s, subject)
    evidence = evidence_of.bounded(
        folded(s, subject, reading, incumbent), evidence, _inputs(s, subject), _room(subject)
    )
    verdicts = evidence_of.judge(evidence, subject.gates, _inputs(s, subject))
    return _Judged(
        _rows(s, subject, verdicts), evidence, evidence_of.recorded(evidence, verdicts, s.now, _room(subject))
    )


def _candidate(s: Snapshot) -> tuple[Subject, ...]:
    rollout, policy = s.status.rollout, s.rollout_policy
    if rollout is None or policy is None:
        return ()
    incumbent = s.status.production.version if s.status.production else None
    measured = rollout.stage in (Stage.SHADOW, Stage.CANARY) and rollout.traffic_since is not None
    if rollout.stage is Stage.PRODUCTION:
        return ()
    return (Subject(rollout.version, rollout.stage, rollout.stage_entered_at, policy, incumbent, measured),)


def _watched(s: Snapshot) -> tuple[Subject, ...]:
    watch = s.status.watch
    policy = s.pinned.get(watch.policy_digest) if watch else None
    if watch is None or policy is None:
        return ()
    return (Subject(watch.version, Stage.PRODUCTION, watch.since, policy, None, True),)


def _challengers(s: Snapshot) -> tuple[Subject, ...]:
    incumbent = s.status.production.version if s.status.production else None
    return tuple(
        Subject(
            challenger.version,
            Stage.SHADOW,
            challenger.entered_at,
            s.pinned[challenger.policy_digest],
            incumbent,
            challenger.traffic_since is not None,
            challenger=True,
        )
        for challenger in s.status.challengers
        if challenger.policy_digest in s.pinned
    )


def _monitored(s: Snapshot) -> tuple[Subject, ...]:
    production, policy = s.status.production, policy_of(s)
    section = policy.spec.stages.production.monitoring if policy else None
    if production is None or policy is None or section is None:
        return ()
    measured = can_be_kept(s, s.versions.get(production.version))
    return (
        Subject(production.version, Stage.PRODUCTION, production.since, policy, None, measured, monitoring=section),
    )


def known_evidence(s: Snapshot, subject: Subject) -> Evidence | None:
    """What was gathered of a subject so far."""
    view = s.versions.get(subject.version)
    known = (view.monitoring if subject.monitoring else view.evidence) if view else None
    return known if known and known.stage_key == subject.key else None


def _fresh_evidence(s: Snapshot, subject: Subject) -> Evidence:
    return evidence_of.begin(subject.key, s.now, traffic_key(s.status))


def _incumbent_reading(s: Snapshot, subject: Subject) -> Reading | None:
    if subject.incumbent is None:
        return None
    missing = Reading(subject.incumbent, s.now.timestamp(), problem=f"version {subject.incumbent} could not be read")
    return s.readings.get(subject.incumbent, missing)


def _room(subject: Subject) -> int:
    """Bytes of evidence: a version that serves and is watched keeps both in one object."""
    return evidence_of.LARGEST // 2 if subject.monitoring else evidence_of.LARGEST


def _inputs(s: Snapshot, subject: Subject) -> Inputs:
    view = s.versions.get(subject.version)
    incumbent = s.versions.get(subject.incumbent) if subject.incumbent else None
    return Inputs(
        now=s.now,
        candidate=subject.version,
        incumbent=subject.incumbent,
        alpha=_alpha(subject),
        baseline=view.baseline if view else None,
        evaluations=s.evaluations,
        trust=s.trust,
        candidate_digest=view.digest if view else "",
        incumbent_digest=incumbent.digest if incumbent else "",
        queries={
            gate.name: s.answers[name] for gate in subject.gates if (name := answered_as(subject, gate)) in s.answers
        },
        alone=subject.monitoring is not None,
    )


def _alpha(subject: Subject) -> float:
    """One gate's share of the alpha of the whole rollout, the watch included; in monitoring, of one window."""
    if subject.monitoring:
        return evidence_of.split_alpha(subject.monitoring.alpha, {subject.stage: subject.gates})
    policy = subject.policy
    canary = policy.spec.stages.canary
    total = canary.alpha if canary else 0.05
    stages = (Stage.SHADOW, Stage.CANARY, Stage.PRODUCTION)
    return evidence_of.split_alpha(total, {stage: policy.gates(stage) for stage in stages})


def _share(s: Snapshot, subject: Subject, evidence: Evidence) -> ShareVerdict | None:
    """Is the traffic really split, or mirrored, as configured?"""
    traffic = s.status.traffic
    if traffic is None or subject.incumbent is None:
        return None
    weights = {entry.version: entry.percent for entry in traffic.weights}
    mirrors = {entry.version: entry.percent for entry in traffic.mirrors}
    if subject.stage is Stage.CANARY and weights.get(subject.version) and weights.get(subject.incumbent):
        expected = {"candidate": float(weights[subject.version]), "incumbent": float(weights[subject.incumbent])}
        return share_verdict(evidence, expected)
    if subject.stage is Stage.SHADOW and mirrors.get(subject.version):
        return mirror_verdict(evidence, float(mirrors[subject.version]))
    return None


def _is_said(s: Snapshot, subject: Subject, evidence: Evidence) -> bool:
    """Does status have the verdicts on this evidence? An operator that was killed after the evidence was written, and
    before the verdicts were, leaves a failure that must not wait for the next look."""
    if evidence.evaluated_at is None:
        return True
    judged = {row.name: row.at for row in _earlier_rows(s, subject)}
    to_the_millisecond = evidence.evaluated_at.replace(microsecond=evidence.evaluated_at.microsecond // 1000 * 1000)
    return all(
        (at := judged.get(gate.name)) is not None and at >= to_the_millisecond
        for gate in subject.gates
        if not gate.query
    )


def _rows(s: Snapshot, subject: Subject, verdicts: tuple[Verdict, ...]) -> tuple[GateStatus, ...]:
    return tuple(
        GateStatus(
            name=verdict.gate,
            stage=subject.stage,
            version=subject.version,
            result=verdict.result.value,
            reason=verdict.reason,
            message=verdict.sentence[:2048],
            figure=verdict.figure,
            low=verdict.low,
            high=verdict.high,
            bound=verdict.bound,
            samples=verdict.samples,
            method=verdict.method,
            window="" if verdict.seconds is None else format_duration(timedelta(seconds=round(verdict.seconds))),
            advisory=verdict.advisory,
            applies=verdict.applies,
            at=s.now,
        )
        for verdict in verdicts
    )


def _kept_rows(s: Snapshot, subject: Subject) -> tuple[GateStatus, ...]:
    """The rows of the last look, or, before the first, rows that say that there was none."""
    kept = {row.name: row for row in _earlier_rows(s, subject)}
    return tuple(
        kept.get(gate.name)
        or GateStatus(
            name=gate.name,
            stage=subject.stage,
            version=subject.version,
            result="Unknown",
            reason=reasons.NOT_MEASURED,
            message="not looked at yet",
            advisory=gate.advisory,
            at=s.now,
        )
        for gate in subject.gates
    )


def _earlier_rows(s: Snapshot, subject: Subject) -> tuple[GateStatus, ...]:
    """What status says of this stage; `decide` has dropped the rows of any earlier attempt at it."""
    if subject.monitoring:
        told = s.status.monitoring
        return told.gates if told and (told.version, told.since) == (subject.version, subject.entered_at) else ()
    return tuple(row for row in s.status.gates if row.version == subject.version and row.stage is subject.stage)


def _unmoved(s: Snapshot, subject: Subject, rows: tuple[GateStatus, ...]) -> tuple[GateStatus, ...]:
    """Rows that say what they said before keep their time: a status that differs in nothing else is not written."""
    known = {row.name: row for row in _earlier_rows(s, subject)}
    return tuple(
        before if (before := known.get(row.name)) and before.model_copy(update={"at": row.at}) == row else row
        for row in rows
    )


def rows_of(gates: tuple[GateStatus, ...], version: str, stage: Stage) -> tuple[GateStatus, ...]:
    """The rows of one version in one stage that may hold or fail it."""
    return tuple(
        row for row in gates if row.version == version and row.stage is stage and row.applies and not row.advisory
    )


def mismatched(assessment: Assessment) -> ShareVerdict | None:
    """The share verdict, where it says that traffic is not split as configured."""
    share = assessment.share
    return share if share and share.result is ShareResult.MISMATCH else None


def mirror_incomplete(assessment: Assessment) -> ShareVerdict | None:
    """The share verdict, where it says that mirrored requests were lost on the way."""
    share = assessment.share
    return share if share and share.reason == MIRROR_INCOMPLETE else None


def judged_now(status: ModelStatus) -> tuple[str, Stage] | None:
    """The version and stage that the user's summary of gates speaks of."""
    if status.rollout:
        return status.rollout.version, status.rollout.stage
    return (status.watch.version, Stage.PRODUCTION) if status.watch else None
