"""A virtual cluster that lives through a recording: `decide` decides, pods and routes follow at once, counts come from the recording.

Each version fails and answers as it was recorded at that time; how many requests it gets follows the split that the policy
would have made. Where that is the recorded number, the recorded counts are replayed as they are; where it is another one, they
are drawn with the recorded shares, by a seed. A version cannot show more than was recorded of it: the report says when more
was drawn.

A month has 43,200 minutes, so that calm ones are not decided one by one: after a while without any change, and while no share
differs from those before, every reading is folded into the evidence, and one decision is made for many of them. Where that
decision finds a change, the stretch is gone back to and decided reading by reading. `exact` decides on every reading.

What nobody is there to answer is taken as answered: approvals, the demands on the register, and gates whose evidence a
recording does not have. `left_out` names them. pods start at once, so that no time is spent on that.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from modelward.api.digests import version_digest
from modelward.api.gates import Gate, kind_of
from modelward.api.lifecycle_policy import LifecyclePolicySpec, RiskTier
from modelward.api.model import Model
from modelward.api.model_version import Baseline, FeatureKind, ModelVersionSpec
from modelward.api.status import ModelStatus, VersionReference
from modelward.lifecycle.assess import due, gathered, subjects
from modelward.lifecycle.decide import decide
from modelward.lifecycle.evidence import Evidence
from modelward.lifecycle.plan import Announcement, Plan
from modelward.lifecycle.policies import policy_digest
from modelward.lifecycle.snapshot import DeploymentView, Policy, RouteView, Snapshot, VersionView
from modelward.simulation.recording import Counted, Interval, Recording, Unusable
from modelward.simulation.stretches import CalmStretches
from modelward.stats.readings import Binned, PodReading, Reading, Series

MODEL = "simulated"
LONGEST_GAP = 100_000
"""Intervals without a recording that are lived through between two that have one."""
CALM_LOOKS = 60
"""Decisions without a change before a stride."""
STRIDE = 30
"""Intervals of a stride, which have one decision."""
_AT_ONCE = 12
"""Decisions at one moment: each lets pods and routes follow, until nothing follows any more."""


@dataclass(frozen=True)
class Step:
    """Something that the operator would have told people."""

    at: datetime
    reason: str
    message: str
    warning: bool
    stage: str
    weight: int | None  # of the candidate


@dataclass(frozen=True)
class Drawn:
    """How many requests of a version were recorded, and how many the simulated split gave it."""

    recorded: float
    given: float


@dataclass(frozen=True)
class Outcome:
    """What the policy would have made of a recording."""

    candidate: str
    incumbent: str | None
    steps: tuple[Step, ...]
    status: ModelStatus  # at the end
    began: datetime
    ended: datetime
    decisions: int
    strides: int  # stretches of STRIDE intervals with one decision
    left_out: tuple[str, ...]
    drawn: Mapping[str, Drawn]


def roles_in(recording: Recording, candidate: str = "") -> tuple[str, str | None]:
    """Which version is the candidate, and which one serves before.

    Raises:
        Unusable: it cannot be told.
    """
    versions = recording.versions
    if candidate and candidate not in versions:
        raise Unusable(f"nothing was recorded of {candidate}: name one of {', '.join(versions)}")
    others = [version for version in versions if version != candidate]
    if not candidate and len(versions) == 1:
        return versions[0], None
    if len(versions) > 2 or (not candidate and len(versions) != 2):
        raise Unusable(f"{len(versions)} versions were recorded, {', '.join(versions)}: give two of them")
    if candidate:
        return candidate, others[0] if others else None
    totals = {
        name: sum(interval.counted[name].requests for interval in recording.intervals if name in interval.counted)
        for name in versions
    }
    incumbent = max(versions, key=lambda name: totals[name])
    return next(name for name in versions if name != incumbent), incumbent


def replayable(
    policy: LifecyclePolicySpec, recording: Recording, baseline: Baseline | None
) -> tuple[LifecyclePolicySpec, tuple[str, ...]]:
    """The policy without what a recording cannot answer, and what that was."""
    left_out: list[str] = []

    def kept(gates: tuple[Gate, ...], where: str) -> tuple[Gate, ...]:
        found = []
        for gate in gates:
            why = _why_not(gate, recording, baseline)
            if why:
                left_out.append(f"gate {gate.name} of {where}: {why}")
            else:
                found.append(gate)
        return tuple(found)

    stages = policy.stages
    shadow, canary, production = stages.shadow, stages.canary, stages.production
    if any(stage is not None and stage.approvals for stage in (stages.validation, shadow, canary)):
        left_out.append("approvals: taken as given at once")
    monitoring = production.monitoring
    if monitoring is not None:
        gates = kept(monitoring.gates, "the monitoring")
        monitoring = monitoring.model_copy(update={"gates": gates}) if gates else None
    changed = stages.model_copy(
        update={
            "validation": stages.validation.model_copy(
                update={"gates": kept(stages.validation.gates, "Validation"), "approvals": ()}
            ),
            "shadow": shadow
            and shadow.model_copy(update={"gates": kept(shadow.gates, "Shadow"), "approvals": ()}),
            "canary": canary
            and canary.model_copy(update={"gates": kept(canary.gates, "Canary"), "approvals": ()}),
            "production": production.model_copy(update={"monitoring": monitoring}),
            "first_version": type(stages.first_version)(),
        }
    )  # fmt: skip
    bare = LifecyclePolicySpec(stages=changed, on_unknown=policy.on_unknown, rollback=policy.rollback)
    return bare, tuple(left_out)


def replay(
    name: str,
    policy: LifecyclePolicySpec,
    recording: Recording,
    *,
    candidate: str = "",
    baseline: Baseline | None = None,
    seed: int = 1,
    exact: bool = False,
) -> Outcome:
    """Live through a recording under a policy.

    Raises:
        Unusable: the recording has no two versions that can be told apart.
    """
    wanted, incumbent = roles_in(recording, candidate)
    spec, left_out = replayable(policy, recording, baseline)
    # No version is promoted that nothing watches: a monitoring whose gates were all left out is taken to be elsewhere.
    elsewhere = policy.stages.production.monitoring is not None and spec.stages.production.monitoring is None
    world = _World(name, spec, recording, wanted, incumbent, baseline, seed, watched_elsewhere=elsewhere)
    intervals = tuple(_without_gaps(recording))
    strides = 0 if exact else _live_in_strides(world, intervals, CalmStretches(intervals, (wanted, incumbent)))
    if exact:
        for interval in intervals:
            world.live_through(interval)
    return Outcome(
        candidate=wanted,
        incumbent=incumbent,
        steps=tuple(world.steps),
        status=world.s.status,
        began=recording.began,
        ended=recording.intervals[-1].at,
        decisions=world.decisions,
        strides=strides,
        left_out=left_out,
        drawn={version: Drawn(world.recorded[version], world.given[version]) for version in world.given},
    )


def _live_in_strides(world: "_World", intervals: tuple[Interval, ...], stretches: CalmStretches) -> int:
    """Live through all intervals; how many strides were made of calm ones."""
    at, calm_looks, strides, careful_until = 0, 0, 0, 0
    while at < len(intervals):
        end = at + STRIDE
        may_stride = calm_looks >= CALM_LOOKS and at >= careful_until and stretches.are_calm(at, end)
        before, known = world.memory(), world.picture()
        for interval in intervals[at : end - 1] if may_stride else ():
            world.live_calmly_through(interval)
        world.live_through(intervals[end - 1] if may_stride else intervals[at])
        looked, changed = world.decisions > before.decisions, world.picture() != known
        if may_stride and changed:
            world.go_back(before)
            careful_until = end
            continue
        # Where looks are rarer than intervals, there is nothing to save.
        calm_looks = calm_looks + 1 if looked and not changed else 0
        strides += may_stride
        at += STRIDE if may_stride else 1
    return strides


@dataclass
class _Counters:
    """What the one pod that stands for all pods of a version has counted."""

    started: datetime
    requests: float = 0.0
    errors: float = 0.0
    latency: np.ndarray[Any, np.dtype[np.float64]] | None = None
    features: dict[str, np.ndarray[Any, np.dtype[np.float64]]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Memory:
    """Everything that an interval changes in a world."""

    snapshot: Snapshot
    steps: int
    decisions: int
    counters: Mapping[str, _Counters]
    owed: Mapping[str, float]
    recorded: Mapping[str, float]
    given: Mapping[str, float]
    check_at: datetime | None
    chance: Any


class _World:
    """One Model with its versions; whatever a plan asks for is so in the next moment."""

    def __init__(
        self,
        name: str,
        spec: LifecyclePolicySpec,
        recording: Recording,
        candidate: str,
        incumbent: str | None,
        baseline: Baseline | None,
        seed: int,
        *,
        watched_elsewhere: bool,
    ) -> None:
        self.steps: list[Step] = []
        self.decisions = 0
        self.recorded = dict.fromkeys(recording.versions, 0.0)
        self.given = dict.fromkeys(recording.versions, 0.0)
        self._random = np.random.default_rng(seed)
        self._edges = recording.edges
        self._feature_edges = _edges_of(baseline)
        self._counters: dict[str, _Counters] = {}
        self._owed = dict.fromkeys(recording.versions, 0.0)
        self._silent: set[str] = set()
        self._candidate = candidate
        self._asked_at = recording.first_seen(candidate)
        self._check_at: datetime | None = None
        policy = Policy(name, policy_digest(name, spec), spec)
        versions = {each: _view(each, baseline) for each in recording.versions if each in (candidate, incumbent)}
        self.s = Snapshot(
            now=recording.began,
            model=_model(incumbent or candidate, watched_elsewhere=watched_elsewhere),
            status=_status_at_the_start(versions, incumbent, policy, recording.began),
            versions=versions,
            policy=policy,
            pinned={policy.digest: policy},
        )
        if incumbent is not None:
            self._start(incumbent)
        self._settle()

    def live_through(self, interval: Interval) -> None:
        """Count what happened in an interval under the split in force, then let the operator look."""
        self._count(interval)
        self.s = replace(self.s, now=interval.at)
        if interval.at >= self._asked_at and self.s.model.spec.production.version != self._candidate:
            production = self.s.model.spec.production.model_copy(update={"version": self._candidate})
            self.s = replace(self.s, model=_with_spec(self.s.model, production=production))
            self._check_at = None
        in_flight = self.s.status.rollout or self.s.status.switch
        if in_flight or self._check_at is None or interval.at >= self._check_at:
            self._settle()

    def live_calmly_through(self, interval: Interval) -> None:
        """Count and fold, and decide nothing."""
        self._count(interval)
        self.s = replace(self.s, now=interval.at)
        self.s = gathered(replace(self.s, readings=self._readings()))

    def picture(self) -> tuple[Any, ...]:
        """What a user would see change: stages, shares, results of gates, and why the rollout stands where it does."""
        status = self.s.status
        rows = (*status.gates, *(status.monitoring.gates if status.monitoring else ()))
        results = tuple((row.name, row.stage, row.result, row.reason) for row in rows)
        reasons = tuple((each.type, each.status, each.reason) for each in status.conditions)
        rollout = status.rollout
        place = (rollout.version, rollout.stage, rollout.step, rollout.unknown_since) if rollout else None
        return place, status.production, status.watch, status.failed, status.weight, results, reasons, len(self.steps)

    def memory(self) -> _Memory:
        """What to go back to."""
        counters = {name: replace(each, features=dict(each.features)) for name, each in self._counters.items()}
        return _Memory(
            self.s,
            len(self.steps),
            self.decisions,
            counters,
            dict(self._owed),
            dict(self.recorded),
            dict(self.given),
            self._check_at,
            self._random.bit_generator.state,
        )

    def go_back(self, memory: _Memory) -> None:
        """As if nothing had happened since."""
        self.s, self._check_at = memory.snapshot, memory.check_at
        del self.steps[memory.steps :]
        self._counters, self._owed = dict(memory.counters), dict(memory.owed)
        self.recorded, self.given = dict(memory.recorded), dict(memory.given)
        self._random.bit_generator.state = memory.chance

    def _settle(self) -> None:
        """Decide, and let pods and routes follow, until nothing follows any more at this moment."""
        for _ in range(_AT_ONCE):
            before = self.s
            plan = self._decide()
            self._check_at = plan.check_at
            if not _moved(before, self.s):
                return

    def _decide(self) -> Plan:
        self.decisions += 1
        plan = decide(replace(self.s, readings=self._readings()))
        self._tell(plan.announcements, plan.status)
        versions = dict(self.s.versions)
        for version, status in plan.versions.items():
            versions[version] = replace(
                versions[version],
                status=status,
                evidence=_evidence(status.evidence),
                monitoring=_evidence(status.monitoring),
            )
        self.s = replace(self.s, status=plan.status, versions=versions, readings={})
        self._follow(plan)
        return plan

    def _tell(self, announcements: tuple[Announcement, ...], status: ModelStatus) -> None:
        told = [(each.reason, each.message, each.warning) for each in announcements]
        self.steps += [Step(self.s.now, *each, status.stage, status.weight) for each in told]

    def _follow(self, plan: Plan) -> None:
        staying = set(plan.children.pods) | plan.children.kept
        for version in plan.children.pods:
            self._start(version)
        for version, view in self.s.versions.items():
            if version not in staying and view.deployment:
                self._counters.pop(version, None)
                gone = replace(view, deployment=None, service_exists=False)
                self.s = replace(self.s, versions={**self.s.versions, version: gone})
        if plan.traffic is not None and plan.traffic.weights:
            weights, mirrors = dict(plan.traffic.weights), dict(plan.traffic.mirrors)
            self.s = replace(self.s, route=RouteView(weights, mirrors, observed=True, accepted=True, resolved=True))

    def _start(self, version: str) -> None:
        view = self.s.versions[version]
        if view.deployment is None:
            self._counters[version] = _Counters(self.s.now)
            started = replace(view, deployment=DeploymentView(1, 1, self.s.now), service_exists=True)
            self.s = replace(self.s, versions={**self.s.versions, version: started})

    def _readings(self) -> dict[str, Reading]:
        """Of every version whose look is due, and of what it is compared with."""
        looked_at = [subject for subject in subjects(self.s) if due(self.s, subject)]
        wanted = {name for subject in looked_at for name in (subject.version, subject.incumbent) if name}
        return {version: self._reading(version) for version in wanted}

    def _reading(self, version: str) -> Reading:
        counters, at = self._counters.get(version), self.s.now.timestamp()
        if counters is None or version in self._silent:
            return Reading(version, at, problem=f"nothing was recorded of {version} at this time")
        series: dict[str, Series] = {"requests": counters.requests, "errors": counters.errors}
        if self._edges:
            latency = counters.latency if counters.latency is not None else np.zeros(len(self._edges) + 1)
            series["latency"] = Binned(self._edges, tuple(latency.tolist()))
        for name, edges in self._feature_edges.items():
            counts = counters.features.get(name, np.zeros(len(edges) + 1))
            series[f"feature/{name}"] = Binned(edges, tuple(counts.tolist()))
        pod = PodReading(f"{version}-0", counters.started.timestamp(), at, series)
        return Reading(version, at, (pod,))

    def _count(self, interval: Interval) -> None:
        total = sum(counted.requests for counted in interval.counted.values())
        self._silent = {version for version in self.s.versions if version not in interval.counted}
        route = self.s.route
        for version, counters in self._counters.items():
            counted = interval.counted.get(version)
            if counted is None or route is None:
                continue
            share = (route.weights.get(version, 0) + route.mirrors.get(version, 0)) / 100
            self._owed[version] += total * share
            requests = int(self._owed[version])
            self._owed[version] -= requests
            self._add(counters, counted, requests)
            self.recorded[version] += counted.requests
            self.given[version] += requests

    def _add(self, counters: _Counters, counted: Counted, requests: int) -> None:
        """The counts as they were recorded, or as many others with the recorded shares."""
        as_recorded = requests == counted.requests
        rate = counted.errors / counted.requests if counted.requests else 0.0
        counters.requests += requests
        counters.errors += counted.errors if as_recorded else float(self._random.binomial(requests, rate))
        if counted.latency:
            counters.latency = self._bins(counters.latency, counted.latency, None if as_recorded else requests)
        for name, counts in counted.features.items():
            drawn = None if as_recorded else round(sum(counts) * requests / max(counted.requests, 1))
            if name in self._feature_edges:
                counters.features[name] = self._bins(counters.features.get(name), counts, drawn)

    def _bins(self, before: Any, counts: tuple[float, ...], draw: int | None) -> Any:
        weights = np.asarray(counts, dtype=np.float64)
        total = weights.sum()
        added = weights if draw is None or total <= 0 else self._random.multinomial(draw, weights / total)
        return added + (before if before is not None else 0.0)


def _without_gaps(recording: Recording) -> Iterator[Interval]:
    """The intervals, with empty ones where nothing was recorded: time passes there too, and deadlines come."""
    spans = sorted(b.at - a.at for a, b in zip(recording.intervals, recording.intervals[1:], strict=False))
    step = max(spans[len(spans) // 2], timedelta(seconds=1)) if spans else timedelta(minutes=1)
    before = recording.began
    for interval in recording.intervals:
        missing = round((interval.at - before) / step) - 1
        if missing > LONGEST_GAP:
            raise Unusable(f"nothing was recorded between {before} and {interval.at}: give the time before or after")
        for number in range(1, missing + 1):
            yield Interval(before + number * step, {})
        yield interval
        before = interval.at


def _why_not(gate: Gate, recording: Recording, baseline: Baseline | None) -> str | None:
    kind = kind_of(gate)
    if kind == "error_rate":
        return None
    if kind == "latency":
        return None if recording.edges else "the recording has no latency"
    if kind == "drift":
        known = _edges_of(baseline)
        return (
            None if recording.features & known.keys() else "the recording has no features, or --baseline is not given"
        )
    return f"a recording has no evidence for {Gate.model_fields[kind].alias or kind}"


def _moved(before: Snapshot, after: Snapshot) -> bool:
    """Did something change that another decision at the same moment could go on from?"""

    def what(s: Snapshot) -> tuple[Any, ...]:
        status = s.status
        running = {version: view.deployment is not None for version, view in s.versions.items()}
        return status.rollout, status.switch, status.production, status.watch, status.traffic, s.route, running

    return what(before) != what(after)


def _status_at_the_start(
    versions: Mapping[str, VersionView], incumbent: str | None, policy: Policy, at: datetime
) -> ModelStatus:
    if incumbent is None:
        return ModelStatus()
    monitored = policy.digest if policy.spec.stages.production.monitoring else ""
    reference = VersionReference(version=incumbent, digest=versions[incumbent].digest, since=at)
    return ModelStatus(production=reference.model_copy(update={"monitored_under": monitored} if monitored else {}))


def _model(version: str, *, watched_elsewhere: bool) -> Model:
    return Model.model_validate(
        {
            "metadata": {"name": MODEL, "namespace": MODEL, "uid": MODEL, "generation": 1},
            "spec": {
                "riskTier": RiskTier.LOW,
                "production": {"version": version},
                "monitoring": {"checks": [{"name": "what the recording cannot show"}] if watched_elsewhere else []},
                "serving": {"route": {"parentRefs": [{"name": MODEL}]}},
            },
        }
    )


def _with_spec(model: Model, **changes: Any) -> Model:
    return model.model_copy(update={"spec": model.spec.model_copy(update=changes)})


def _view(version: str, baseline: Baseline | None) -> VersionView:
    spec = ModelVersionSpec.model_validate(
        {
            "model": MODEL,
            "version": version,
            "serving": {"template": {"spec": {"containers": [{"name": "server"}]}}},
        }
    ).model_copy(update={"baseline": baseline})
    return VersionView(version, spec, version_digest(spec), live=True, generation=1, baseline=baseline)


def _edges_of(baseline: Baseline | None) -> dict[str, tuple[float, ...]]:
    features = baseline.features if baseline else ()
    return {feature.name: feature.edges for feature in features if feature.kind is FeatureKind.NUMERIC}


def _evidence(written: Mapping[str, Any] | None) -> Evidence | None:
    return Evidence.from_dict(written) if written else None
