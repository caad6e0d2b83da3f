"""A virtual cluster with one Model: pods and routes follow a plan at once, and counts come from a recording.

`World.live_through` is an interval with a decision; `World.live_quietly_through` is many without, while every gate goes on
saying the same. What a world was like can be kept and gone back to.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np

from modelward.api.demands import RiskTier
from modelward.api.digests import version_digest
from modelward.api.lifecycle_policy import LifecyclePolicySpec
from modelward.api.model import Model
from modelward.api.model_version import Baseline, ModelVersionSpec
from modelward.api.status import ModelStatus, VersionReference
from modelward.lifecycle.assess import (
    Subject,
    due,
    folded,
    follow,
    is_looked_at,
    known_evidence,
    next_look,
    subjects,
    with_evidence,
)
from modelward.lifecycle.decide import decide
from modelward.lifecycle.evidence import Evidence, VersionMemory
from modelward.lifecycle.following import Stretch
from modelward.lifecycle.gates.verdict import Counts, Looks
from modelward.lifecycle.plan import Announcement, Plan
from modelward.lifecycle.policies import policy_digest
from modelward.lifecycle.snapshot import DeploymentView, Policy, RouteView, Snapshot, VersionView
from modelward.simulation.columns import FEATURE, LATENCY, Floats, columns_of, edges_of
from modelward.simulation.recording import Interval, Recording
from modelward.stats.readings import Binned, PodReading, Reading, Series

MODEL = "simulated"
Rows = Mapping[str, Mapping[str, Floats]]
"""By version and series: what was counted since the pods were started, before the first of some intervals and after each."""
COUNTERS = ("requests", "errors")
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
class Memory:
    """Everything that an interval changes in a world."""

    snapshot: Snapshot
    steps: int
    decisions: int
    counters: Mapping[str, Mapping[str, Floats]]
    owed: Mapping[str, float]
    recorded: Mapping[str, float]
    given: Mapping[str, float]
    check_at: datetime | None
    chance: Mapping[tuple[str, str], Any]  # the state of each stream
    silent: frozenset[str]


class World:
    """One Model with its versions; whatever a plan asks for is so in the next moment."""

    def __init__(
        self,
        name: str,
        spec: LifecyclePolicySpec,
        recording: Recording,
        intervals: Sequence[Interval],
        candidate: str,
        incumbent: str | None,
        baseline: Baseline | None,
        seed: int,
        *,
        watched_elsewhere: bool,
    ) -> None:
        names = [each for each in (incumbent, candidate) if each is not None]
        self.steps: list[Step] = []
        self.decisions = 0
        self.recorded, self.given, self._owed = (dict.fromkeys(names, 0.0) for _ in range(3))
        self._seed = seed
        self._chance: dict[tuple[str, str], np.random.Generator] = {}
        features = {FEATURE + feature: edges for feature, edges in edges_of(baseline).items()}
        self._edges = {**({LATENCY: recording.edges} if recording.edges else {}), **features}
        sizes = {series: len(edges) + 1 for series, edges in self._edges.items()}
        self._columns = {version: columns_of(intervals, version, sizes) for version in names}
        self._totals = [sum(counted.requests for counted in each.counted.values()) for each in intervals]
        self._times = [interval.at for interval in intervals]
        self._counters: Mapping[str, Mapping[str, Floats]] = {}
        self._silent: frozenset[str] = frozenset()
        self._candidate = candidate
        self._asked_at = recording.first_seen(candidate)
        self._check_at: datetime | None = None
        policy = Policy(name, policy_digest(name, spec), spec)
        versions = {each: _view(each, baseline) for each in names}
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

    def live_through(self, at: int) -> None:
        """Count what happened in an interval under the split in force, then let the operator look."""
        self._silent = self._not_counted(at)
        self._counters = {version: _last(rows) for version, rows in self._counted(at, at + 1).items()}
        now = self._times[at]
        self.s = replace(self.s, now=now)
        if now >= self._asked_at and self.s.model.spec.production.version != self._candidate:
            production = self.s.model.spec.production.model_copy(update={"version": self._candidate})
            self.s = replace(self.s, model=_with_spec(self.s.model, production=production))
            self._check_at = None
        in_flight = self.s.status.rollout or self.s.status.switch
        if in_flight or self._check_at is None or now >= self._check_at:
            self._settle()

    def live_quietly_through(self, begin: int, end: int) -> int:
        """Live through intervals without a decision, if every gate says the same at each look of them.

        Else nothing that matters is as it was, and the answer is not end: it is up to where that could be done. Go back, then.
        """
        alike = self._as_usual(begin, end)
        if alike < end or begin == end:
            return alike
        rows = self._counted(begin, end)
        looked: list[tuple[Subject, list[int], Stretch | None]] = []
        for subject in subjects(self.s):
            looks = self._looks(subject, begin, end)
            if not looks:
                continue
            stretch = self._followed(subject, looks, begin, rows)
            reached = stretch.looks if stretch else len(looks) if self._is_known_silent(subject) else 0
            if reached < len(looks):
                return looks[reached]
            looked.append((subject, looks, stretch))
        for subject, looks, stretch in looked:
            at = looks[-1]
            self._counters = {version: _row(each, at + 1 - begin) for version, each in rows.items()}
            self.s = replace(self.s, now=self._times[at])
            self._remember(subject, stretch)
        self._counters = {version: _last(each) for version, each in rows.items()}
        self.s = replace(self.s, now=self._times[end - 1])
        return end

    def _as_usual(self, begin: int, end: int) -> int:
        """Up to where nothing is asked for, and the same versions are counted as before."""
        asked = self.s.model.spec.production.version == self._candidate
        for at in range(begin, end):
            if self._not_counted(at) != self._silent or (not asked and self._times[at] >= self._asked_at):
                return at
        return end

    def _looks(self, subject: Subject, begin: int, end: int) -> list[int]:
        """At which intervals a subject is looked at."""
        if not is_looked_at(self.s, subject):
            return []
        looks: list[int] = []
        due_at = next_look(self.s, subject)
        for at in range(begin, end):
            if self._times[at] >= due_at:
                looks.append(at)
                due_at = self._times[at] + subject.interval
        return looks

    def _followed(self, subject: Subject, looks: Sequence[int], begin: int, rows: Rows) -> Stretch | None:
        """The looks at a subject as far as they can be gone through at once; None where that cannot be asked."""
        names = [name for name in (subject.version, subject.incumbent) if name is not None]
        if any(name in self._silent or name not in rows for name in names):
            return None
        known = known_evidence(self.s, subject)
        if known is None:
            return None
        at = [look + 1 - begin for look in looks]
        ours, *theirs = (
            self._counts(memory, name, rows[name], at)
            for memory, name in zip((known.candidate, known.incumbent), names, strict=False)
        )
        times = [self._times[look] for look in looks]
        return follow(self.s, subject, times, Looks(ours, theirs[0] if theirs else None))

    def _counts(self, memory: VersionMemory, version: str, rows: Mapping[str, Floats], at: Sequence[int]) -> Counts:
        """What a version counted between looks, and from the last one that is remembered to the first of them."""
        pod = memory.pods.get(_pod_of(version))
        before = pod.series if pod else {}

        def increments(series: str) -> Floats:
            value = before.get(series)
            start = rows[series][0] if value is None else np.asarray(_plain(value))
            return np.diff(rows[series][at], axis=0, prepend=start[None])

        binned = {series: (edges, increments(series)) for series, edges in self._edges.items()}
        return Counts({series: increments(series) for series in COUNTERS}, binned)

    def _is_known_silent(self, subject: Subject) -> bool:
        """Was it said at the last look already that nothing can be read of it? Another such look says no more."""
        known = known_evidence(self.s, subject)
        return subject.version in self._silent and known is not None and known.candidate.problem is not None

    def _remember(self, subject: Subject, stretch: Stretch | None) -> None:
        ours, theirs = self._reading(subject.version), subject.incumbent and self._reading(subject.incumbent)
        evidence = stretch.after(ours, theirs or None) if stretch else folded(self.s, subject, ours, theirs or None)
        self.s = with_evidence(self.s, subject, evidence)

    def picture(self) -> tuple[Any, ...]:
        """What a user would see change: stages, shares, results of gates, and why the rollout stands where it does."""
        status = self.s.status
        rows = (*status.gates, *(status.monitoring.gates if status.monitoring else ()))
        results = tuple((row.name, row.stage, row.result, row.reason) for row in rows)
        reasons = tuple((each.type, each.status, each.reason) for each in status.conditions)
        rollout = status.rollout
        place = (rollout.version, rollout.stage, rollout.step, rollout.unknown_since) if rollout else None
        return place, status.production, status.watch, status.failed, status.weight, results, reasons, len(self.steps)

    def memory(self) -> Memory:
        """What to go back to."""
        return Memory(
            self.s,
            len(self.steps),
            self.decisions,
            self._counters,
            dict(self._owed),
            dict(self.recorded),
            dict(self.given),
            self._check_at,
            {key: stream.bit_generator.state for key, stream in self._chance.items()},
            self._silent,
        )

    def go_back(self, memory: Memory) -> None:
        """As if nothing had happened since."""
        self.s, self._check_at = memory.snapshot, memory.check_at
        del self.steps[memory.steps :]
        self._counters, self._owed, self._silent = memory.counters, dict(memory.owed), memory.silent
        self.recorded, self.given = dict(memory.recorded), dict(memory.given)
        self._chance = {key: self._chance[key] for key in memory.chance}
        for key, state in memory.chance.items():
            self._chance[key].bit_generator.state = state
        self.decisions = memory.decisions

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
                self._counters = {name: each for name, each in self._counters.items() if name != version}
                gone = replace(view, deployment=None, service_exists=False)
                self.s = replace(self.s, versions={**self.s.versions, version: gone})
        if plan.traffic is not None and plan.traffic.weights:
            weights, mirrors = dict(plan.traffic.weights), dict(plan.traffic.mirrors)
            self.s = replace(self.s, route=RouteView(weights, mirrors, observed=True, accepted=True, resolved=True))

    def _start(self, version: str) -> None:
        view = self.s.versions[version]
        if view.deployment is None:
            nothing = {series: np.zeros(len(edges) + 1) for series, edges in self._edges.items()}
            self._counters = {**self._counters, version: {**dict.fromkeys(COUNTERS, np.zeros(())), **nothing}}
            started = replace(view, deployment=DeploymentView(1, 1, self.s.now), service_exists=True)
            self.s = replace(self.s, versions={**self.s.versions, version: started})

    def _readings(self) -> dict[str, Reading]:
        """Of every version whose look is due, and of what it is compared with."""
        looked_at = [subject for subject in subjects(self.s) if due(self.s, subject)]
        wanted = {name for subject in looked_at for name in (subject.version, subject.incumbent) if name}
        return {version: self._reading(version) for version in wanted}

    def _reading(self, version: str) -> Reading:
        """Of the one pod that stands for all pods of a version."""
        counters, at = self._counters.get(version), self.s.now.timestamp()
        deployment = self.s.versions[version].deployment
        if counters is None or deployment is None or version in self._silent:
            return Reading(version, at, problem=f"nothing was recorded of {version} at this time")
        series: dict[str, Series] = {name: float(counters[name]) for name in COUNTERS}
        series |= {name: Binned(edges, tuple(counters[name].tolist())) for name, edges in self._edges.items()}
        pod = PodReading(_pod_of(version), deployment.created_at.timestamp(), at, series)
        return Reading(version, at, (pod,))

    def _not_counted(self, at: int) -> frozenset[str]:
        return frozenset(version for version, columns in self._columns.items() if not columns.present[at])

    def _counted(self, begin: int, end: int) -> Rows:
        """What the pods have counted before these intervals and after each, under the split in force."""
        rows: dict[str, dict[str, Floats]] = {}
        for version, counters in self._counters.items():
            added = self._added(version, self._given(version, begin, end), begin, end)
            rows[version] = {
                series: np.add.accumulate(np.concatenate([counters[series][None], each]))
                for series, each in added.items()
            }
        return rows

    def _given(self, version: str, begin: int, end: int) -> Floats:
        """How many requests a version gets in each interval; what is left of one goes to the next."""
        columns, route = self._columns[version], self.s.route
        share = (route.weights.get(version, 0) + route.mirrors.get(version, 0)) / 100 if route else 0.0
        given = np.zeros(end - begin)
        for at in range(begin, end):
            if route is not None and columns.present[at]:
                self._owed[version] += self._totals[at] * share
                whole = int(self._owed[version])
                self._owed[version] -= whole
                self.recorded[version] += float(columns.requests[at])
                self.given[version] += whole
                given[at - begin] = whole
        return given

    def _added(self, version: str, given: Floats, begin: int, end: int) -> dict[str, Floats]:
        """The counts as they were recorded, or as many others with the recorded shares."""
        columns = self._columns[version]
        requests, errors = columns.requests[begin:end], columns.errors[begin:end].copy()
        recorded = np.maximum(requests, 1)
        anew = given != requests
        chance = self._stream(version, "errors")
        errors[anew] = chance.binomial(given[anew].astype(int), (errors / recorded)[anew])
        added = {"requests": given, "errors": errors}
        for series in self._edges:
            counts = columns.binned[series][begin:end].copy()
            total = counts.sum(axis=1)
            drawn = given if series == LATENCY else np.rint(total * given / recorded)
            rows = anew & (total > 0)
            shares = counts[rows] / total[rows, None]
            counts[rows] = self._stream(version, series).multinomial(drawn[rows].astype(int), shares)
            added[series] = counts
        return added

    def _stream(self, version: str, series: str) -> np.random.Generator:
        key = (version, series)
        if key not in self._chance:
            self._chance[key] = np.random.default_rng([self._seed, *f"{version}/{series}".encode()])
        return self._chance[key]


def _pod_of(version: str) -> str:
    return f"{version}-0"


def _plain(value: Series) -> float | tuple[float, ...]:
    if isinstance(value, Binned):
        return value.counts
    assert not isinstance(value, Mapping), "a recording has no categories"
    return float(value)


def _row(rows: Mapping[str, Floats], at: int) -> dict[str, Floats]:
    return {series: counts[at] for series, counts in rows.items()}


def _last(rows: Mapping[str, Floats]) -> dict[str, Floats]:
    return _row(rows, -1)


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


def _evidence(written: Mapping[str, Any] | None) -> Evidence | None:
    return Evidence.from_dict(written) if written else None
