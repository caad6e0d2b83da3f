"""One Model at a glance, as plain values for people: its versions, what holds them, what is wrong, and what comes next.

Nothing is decided here. All of it is in status, but for durations and steps to come, which are in the pinned policy.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from modelward.api import reasons
from modelward.api.model import Model
from modelward.api.stages import Requirement, Stages
from modelward.api.status import GateStatus, ModelStatus, RolloutStatus, Stage
from modelward.api.types import format_duration
from modelward.lifecycle.assess import rows_of
from modelward.lifecycle.rules import minimum_over, required_of
from modelward.lifecycle.snapshot import Policy

CANDIDATE, PRODUCTION, CHALLENGER, STANDBY, LATCHED = "Candidate", "Production", "Challenger", "Standby", "Latched"


@dataclass(frozen=True)
class GateShown:
    """One gate's newest verdict, and how many samples it needs at the least where the policy says so."""

    name: str
    result: str  # Pass | Fail | Inconclusive | Unknown
    reason: str
    sentence: str
    figure: float | None
    low: float | None
    high: float | None
    bound: float | None
    samples: int
    needed: int | None
    window: str
    holds: bool  # can it hold or fail the version: it applies, and is not advisory
    at: datetime


@dataclass(frozen=True)
class VersionShown:
    """One version in the part that it plays."""

    version: str
    role: str  # Candidate | Production | Challenger | Standby | Latched
    stage: str
    since: datetime | None
    weight: int | None  # percent of users' requests; None where it gets none
    mirror: int | None  # percent of users' requests that are copied to it
    note: str
    gates: tuple[GateShown, ...]


@dataclass(frozen=True)
class Wrong:
    """A condition that is not as it should be, and what to do about it."""

    condition: str
    status: str
    reason: str
    message: str
    since: datetime


@dataclass(frozen=True)
class Lacking:
    """An approval that somebody still has to give."""

    version: str
    role: str
    before: str
    missing: int
    due: bool  # the rollout waits for it now
    since: datetime
    refused: tuple[str, ...]
    command: str


@dataclass(frozen=True)
class Coming:
    """Something that will happen, or has to; `at` is None where no clock decides it."""

    what: str
    at: datetime | None


@dataclass(frozen=True)
class Situation:
    """A Model and its status, the policy that is in force for it where that can be read, and what time it is."""

    model: Model
    status: ModelStatus
    policy: Policy | None
    now: datetime
    called: str = "modelward"

    @property
    def where(self) -> str:
        """The arguments that name the Model in a command."""
        return f"{self.model.metadata.name} -n {self.model.metadata.namespace}"

    @property
    def stages(self) -> Stages | None:
        """Those that the rollout or the watch goes by."""
        return self.policy.spec.stages if self.policy else None


WORST_FIRST: tuple[tuple[str, str], ...] = (
    ("Serving", "False"),
    ("TrafficApplied", "False"),
    ("Performing", "False"),
    ("SpecValid", "False"),
    ("GatesPassed", "False"),
    ("Ungoverned", "True"),
    ("ApprovalsTrusted", "False"),
    ("DriftDetected", "True"),
    ("Zombie", "True"),
    ("ChallengersShadowed", "False"),
    ("MonitoringReady", "False"),
    ("EvaluationCurrent", "False"),
    ("ReviewCurrent", "False"),
    ("Owned", "False"),
    ("Deprecated", "True"),
)
"""Conditions with the status that is bad news, from what users notice to what an examiner does. Ready and Stalled repeat others."""


def wrong_of(status: ModelStatus) -> tuple[Wrong, ...]:
    """The conditions that are wrong, the worst first."""
    found = {condition.type: condition for condition in status.conditions}
    return tuple(
        Wrong(kind, bad, said.reason, said.message, said.last_transition_time)
        for kind, bad in WORST_FIRST
        if (said := found.get(kind)) is not None and said.status == bad
    )


def versions_of(s: Situation) -> tuple[VersionShown, ...]:
    """Every version that plays a part, the candidate first."""
    return (*_candidate(s), *_production(s), *_challengers(s), *_standby(s), *_latched(s))


def lacking_of(s: Situation) -> tuple[Lacking, ...]:
    """The approvals that are lacking, with the command by which one of those who may gives it; what is due now first."""
    rows = sorted(s.status.pending_approvals, key=lambda row: not row.due)
    return tuple(
        Lacking(
            version=row.version,
            role=row.role,
            before=row.before,
            missing=row.missing,
            due=row.due,
            since=row.since,
            refused=row.refused,
            command=f"{s.called} approve {s.where} --version {row.version} --role {row.role}",
        )
        for row in rows
    )


def coming_of(s: Situation) -> tuple[Coming, ...]:
    """What has to happen before the next step, the step, and the deadlines that run; in the order in which they are waited for."""
    return (*_switch(s), *_rollout(s), *_watch(s), *_looks(s))


def blocking(s: Situation) -> tuple[GateStatus, ...]:
    """The gates that hold the candidate where it is."""
    rollout = s.status.rollout
    if rollout is None:
        return ()
    required = required_of(s.stages, rollout) if s.stages else Requirement.PASSED
    holding = ("Fail", "Unknown", "Inconclusive") if required is Requirement.PASSED else ("Fail", "Unknown")
    return tuple(row for row in rows_of(s.status.gates, rollout.version, rollout.stage) if row.result in holding)


def stage_in_words(rollout: RolloutStatus, weight: int | None) -> str:
    """`Canary at 10 %`, or the stage alone."""
    return f"Canary at {weight} %" if rollout.stage is Stage.CANARY and weight is not None else rollout.stage.value


def weight_of(s: Situation, version: str) -> int | None:
    """Percent of users' requests that go to a version, as last written to the route."""
    weights = s.status.traffic.weights if s.status.traffic else ()
    return next((entry.percent for entry in weights if entry.version == version), None)


def _candidate(s: Situation) -> Iterator[VersionShown]:
    rollout = s.status.rollout
    if rollout is not None:
        rows = [row for row in s.status.gates if row.version == rollout.version and row.stage is rollout.stage]
        note = "paused for want of evidence" if rollout.paused else f"under policy {rollout.policy}"
        yield _shown(s, rollout.version, CANDIDATE, rollout.stage.value, rollout.stage_entered_at, rows, note)


def _production(s: Situation) -> Iterator[VersionShown]:
    production, watch, told = s.status.production, s.status.watch, s.status.monitoring
    if production is None:
        return
    rows = [row for row in s.status.gates if row.version == production.version and row.stage is Stage.PRODUCTION]
    watched = watch is not None and watch.version == production.version
    monitored = list(told.gates) if told and told.version == production.version else []
    note = f"watched until {watch.until:%Y-%m-%d %H:%M} UTC" if watch is not None and watched else ""
    if told and told.problem:
        note = f"not monitored: {told.problem}"
    yield _shown(
        s,
        production.version,
        PRODUCTION,
        Stage.PRODUCTION.value,
        production.since,
        [*(rows if watched else []), *monitored],
        note,
    )


def _challengers(s: Situation) -> Iterator[VersionShown]:
    flying = s.status.rollout.version if s.status.rollout else None
    for challenger in s.status.challengers:
        if challenger.version != flying:
            rows = [row for row in s.status.gates if row.version == challenger.version]
            yield _shown(s, challenger.version, CHALLENGER, Stage.SHADOW.value, challenger.entered_at, rows, "")


def _standby(s: Situation) -> Iterator[VersionShown]:
    for position, reference in enumerate(s.status.standby):
        note = "a rollback goes here" if position == 0 and s.status.rollout is None else ""
        yield _shown(s, reference.version, STANDBY, Stage.STANDBY.value, reference.since, [], note)


def _latched(s: Situation) -> Iterator[VersionShown]:
    running = {role.version for role in (s.status.rollout, s.status.production) if role}
    for failed in s.status.failed:
        if failed.version not in running:
            rows = [row for row in s.status.gates if row.version == failed.version and row.stage is failed.stage]
            yield _shown(s, failed.version, LATCHED, failed.stage.value, failed.at, rows, failed.message)


def _shown(
    s: Situation, version: str, role: str, stage: str, since: datetime, rows: list[GateStatus], note: str
) -> VersionShown:
    mirrors = s.status.traffic.mirrors if s.status.traffic else ()
    return VersionShown(
        version=version,
        role=role,
        stage=stage,
        since=since,
        weight=weight_of(s, version),
        mirror=next((entry.percent for entry in mirrors if entry.version == version), None),
        note=note,
        gates=tuple(_gate(s, row) for row in rows),
    )


def _gate(s: Situation, row: GateStatus) -> GateShown:
    spec = next((each for each in s.policy.gates(row.stage) if each.name == row.name), None) if s.policy else None
    return GateShown(
        name=row.name,
        result=row.result,
        reason=row.reason,
        sentence=row.message,
        figure=row.figure,
        low=row.low,
        high=row.high,
        bound=row.bound,
        samples=row.samples,
        needed=(spec.min_samples or None) if spec else None,
        window=row.window,
        holds=row.applies and not row.advisory,
        at=row.at,
    )


def _switch(s: Situation) -> Iterator[Coming]:
    if s.status.switch:
        yield Coming(f"all traffic goes to {s.status.switch.to}, as soon as its pods are ready", None)


def _rollout(s: Situation) -> Iterator[Coming]:
    rollout, stages = s.status.rollout, s.stages
    if rollout is None:
        return
    here = stage_in_words(rollout, weight_of(s, rollout.version))
    progressing = s.status.condition("Progressing")
    if progressing is not None and progressing.reason == reasons.PODS_NOT_READY:
        yield Coming(f"the pods of {rollout.version} have to be ready", None)
    if stages and rollout.stage in (Stage.SHADOW, Stage.CANARY):
        over = minimum_over(stages, rollout)
        if rollout.traffic_since is None:
            yield Coming(f"the gateway takes the traffic of {here} over; its minimum duration counts from then", None)
        elif over > s.now:
            yield Coming(f"the minimum duration of {here} ends", over)
    for row in blocking(s):
        yield Coming(f"gate {row.name} has to pass", None)
    if rollout.unknown_since and s.policy and not rollout.paused:
        unknown = s.policy.spec.on_unknown
        yield Coming(f"{unknown.then.value}, if no evidence comes until then", rollout.unknown_since + unknown.deadline)
    for asked in s.status.pending_approvals:
        yield Coming(f"approval as {asked.role}, before {asked.before}", None)
    yield from _steps_ahead(s, rollout)


def _steps_ahead(s: Situation, rollout: RolloutStatus) -> Iterator[Coming]:
    """The stages and steps after this one; what they take at the least, where the policy can be read."""
    stages = s.stages
    if stages is None:
        return
    comparable = s.status.production is not None
    if rollout.stage is Stage.VALIDATION and stages.shadow and comparable:
        yield Coming(f"then Shadow, {_least(stages.shadow.min_duration)}", None)
    if stages.canary and comparable and rollout.stage is not Stage.PRODUCTION:
        begun = rollout.step + 1 if rollout.stage is Stage.CANARY else 0
        for step in stages.canary.steps[begun:]:
            yield Coming(f"then Canary at {step.weight} %, {_least(step.min_duration)}", None)
    watch = stages.production.watch
    watched = f", watched for {format_duration(watch.duration)}" if watch else ""
    yield Coming(f"then Production{watched}", None)


def _watch(s: Situation) -> Iterator[Coming]:
    watch = s.status.watch
    if watch is not None:
        yield Coming(f"the watch of {watch.version} ends; until then a failing gate rolls it back", watch.until)


def _looks(s: Situation) -> Iterator[Coming]:
    if s.status.next_check_at is not None and (s.status.rollout or s.status.switch or s.status.watch):
        yield Coming("the operator looks again, at the latest", s.status.next_check_at)


def _least(duration: timedelta) -> str:
    return f"{format_duration(duration)} at the least"
