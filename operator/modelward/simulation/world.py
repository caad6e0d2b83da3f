"""A virtual cluster with one Model: pods and routes follow a plan at once, and counts come from a recording.

`World.live_through` is an interval with a decision; `World.live_quietly_through` is many without, while every gate goes on
saying the same. What a world was like can be kept and gone back to.
"""

from bisect import bisect_left
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
    wanted_series,
    with_evidence,
)
from modelward.lifecycle.decide import decide
from modelward.lifecycle.evidence import Evidence, VersionMemory, candidate_series, incumbent_series, is_among
from modelward.lifecycle.following import Stretch
from modelward.lifecycle.gates.verdict import Counts, Looks
from modelward.lifecycle.plan import Announcement, Plan
from modelward.lifecycle.policies import policy_digest
from modelward.lifecycle.snapshot import DeploymentView, Policy, RouteView, Snapshot, VersionView
from modelward.simulation.columns import FEATURE, LATENCY, Floats, columns_of, edges_of
from modelward.simulation.counters import AWAY, ERRORS, REQUESTS, Counters
from modelward.simulation.recording import Interval, Recording
from modelward.stats.readings import Binned, PodReading, Reading, Series

MODEL = "simulated"
COUNTERS = (REQUESTS, ERRORS)
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
    """Everything that an interval changes in a world; what counters have drawn goes with the requests that they are given."""

    snapshot: Snapshot
    steps: int
    decisions: int
    moment: int
    began: Mapping[str, int]
    owed: Mapping[str, float]
    check_at: datetime | None
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
        features = {FEATURE + feature: edges for feature, edges in edges_of(baseline).items()}
        self._edges = {**({LATENCY: recording.edges} if recording.edges else {}), **features}
        self._columns = {version: columns_of(intervals, version) for version in names}
        self._counters = {name: Counters(name, each, self._edges, seed) for name, each in self._columns.items()}
        self._absent = [frozenset(names).difference(interval.counted) for interval in intervals]
        self._totals = [sum(counted.requests for counted in each.counted.values()) for each in intervals]
        self._times = [interval.at for interval in intervals]
        self._moment = 0  # so many intervals are over
        self._began: Mapping[str, int] = {}  # when the pods of a version were started, while there are any
        self._owed: Mapping[str, float] = dict.fromkeys(names, 0.0)
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
        self._silent = self._absent[at]
        self._serve(at, at + 1)
        self._moment = at + 1
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
        """Live through intervals without a decision, for as long as every gate goes on saying the same at each look of them.

        The answer is up to where: the interval before something may be new is left to be decided too, so that it shows what time
        alone has changed by then.
        """
        usual = self._as_usual(begin, end)
        if begin == usual:
            return begin
        owed = self._owed
        self._serve(begin, min(end + 1, len(self._times)))  # what a decision at the end reads is drawn along
        until, followed = usual, []
        for subject in subjects(self.s):
            looks = self._looks(subject, begin, until)
            stretch = self._followed(subject, looks) if looks else None
            reached = stretch.looks if stretch else len(looks) if self._is_known_silent(subject) else 0
            until = until if reached == len(looks) else looks[reached]
            followed.append((subject, looks, stretch))
        until = until if until == end else max(until - 1, begin)
        self._owed = owed
        self._serve(begin, until)
        for subject, looks, stretch in followed:
            within = bisect_left(looks, until)
            if within:
                self._stand_at(looks[within - 1] + 1)
                self._remember(subject, stretch and replace(stretch, looks=within))
        if until > begin:
            self._stand_at(until)
        return until

    def _stand_at(self, moment: int) -> None:
        self._moment = moment
        self.s = replace(self.s, now=self._times[moment - 1])

    def _as_usual(self, begin: int, end: int) -> int:
        """Up to where nothing is asked for, and the same versions are counted as before."""
        asked = self.s.model.spec.production.version == self._candidate
        for at in range(begin, end):
            if self._absent[at] != self._silent or (not asked and self._times[at] >= self._asked_at):
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

    def _followed(self, subject: Subject, looks: Sequence[int]) -> Stretch | None:
        """The looks at a subject as far as they can be gone through at once; None where that cannot be asked."""
        names = [name for name in (subject.version, subject.incumbent) if name is not None]
        if any(name in self._silent or name not in self._began for name in names):
            return None
        known = known_evidence(self.s, subject)
        if known is None:
            return None
        ours = self._counts(known.candidate, subject.version, candidate_series(subject.gates), looks)
        theirs = None
        if subject.incumbent is not None:
            theirs = self._counts(known.incumbent, subject.incumbent, incumbent_series(subject.gates), looks)
        return follow(self.s, subject, [self._times[look] for look in looks], Looks(ours, theirs))

    def _counts(self, memory: VersionMemory, version: str, wanted: Sequence[str], looks: Sequence[int]) -> Counts:
        """What a version counted between looks, and from the last one that is remembered to the first of them."""
        pod = memory.pods.get(_pod_of(version))
        before = pod.series if pod else {}
        moments = np.array([self._moment, *(look + 1 for look in looks)])

        def increments(series: str) -> Floats:
            counted = self._counters[version].counted(series, self._began[version], moments)
            value = before.get(series)
            if value is not None:
                counted[0] = _plain(value)
            return np.diff(counted, axis=0)

        binned = {series: (edges, increments(series)) for series, edges in self._edges_of(wanted).items()}
        return Counts({series: increments(series) for series in COUNTERS}, binned)

    def _is_known_silent(self, subject: Subject) -> bool:
        """Was it said at the last look already that nothing can be read of it? Another such look says no more."""
        known = known_evidence(self.s, subject)
        return subject.version in self._silent and known is not None and known.candidate.problem is not None

    def _remember(self, subject: Subject, stretch: Stretch | None) -> None:
        readings = self._readings([subject])
        ours, theirs = readings[subject.version], readings.get(subject.incumbent or "")
        evidence = stretch.after(ours, theirs) if stretch else folded(self.s, subject, ours, theirs)
        self.s = with_evidence(self.s, subject, evidence)

    def picture(self) -> tuple[Any, ...]:
        """What a user would see change: stages, shares, pods, results of gates, and why the rollout stands where it does."""
        status = self.s.status
        rows = (*status.gates, *(status.monitoring.gates if status.monitoring else ()))
        results = tuple((row.name, row.stage, row.result, row.reason) for row in rows)
        reasons = tuple((each.type, each.status, each.reason) for each in status.conditions)
        rollout = status.rollout
        place = (rollout.version, rollout.stage, rollout.step, rollout.unknown_since) if rollout else None
        split = status.weight, self.s.route, self._began
        return place, status.production, status.watch, status.failed, split, results, reasons, len(self.steps)

    def memory(self) -> Memory:
        """What to go back to."""
        return Memory(
            self.s, len(self.steps), self.decisions, self._moment, self._began, self._owed, self._check_at, self._silent
        )

    def go_back(self, memory: Memory) -> None:
        """As if nothing had happened since."""
        del self.steps[memory.steps :]
        self.s, self.decisions, self._moment = memory.snapshot, memory.decisions, memory.moment
        self._began, self._owed = memory.began, memory.owed
        self._check_at, self._silent = memory.check_at, memory.silent

    def drawn(self) -> dict[str, Drawn]:
        """By version."""
        return {version: Drawn(*counters.totals()) for version, counters in self._counters.items()}

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
        due_now = [subject for subject in subjects(self.s) if due(self.s, subject)]
        plan = decide(replace(self.s, readings=self._readings(due_now)))
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
                self._began = {name: moment for name, moment in self._began.items() if name != version}
                gone = replace(view, deployment=None, service_exists=False)
                self.s = replace(self.s, versions={**self.s.versions, version: gone})
        if plan.traffic is not None and plan.traffic.weights:
            weights, mirrors = dict(plan.traffic.weights), dict(plan.traffic.mirrors)
            self.s = replace(self.s, route=RouteView(weights, mirrors, observed=True, accepted=True, resolved=True))

    def _start(self, version: str) -> None:
        view = self.s.versions[version]
        if view.deployment is None:
            self._began = {**self._began, version: self._moment}
            started = replace(view, deployment=DeploymentView(1, 1, self.s.now), service_exists=True)
            self.s = replace(self.s, versions={**self.s.versions, version: started})

    def _readings(self, looked_at: Sequence[Subject]) -> dict[str, Reading]:
        """Of every version that is looked at, and of what it is compared with."""
        return {version: self._reading(version, wanted) for version, wanted in wanted_series(looked_at).items()}

    def _reading(self, version: str, wanted: Sequence[str]) -> Reading:
        """Of the one pod that stands for all pods of a version."""
        began, at = self._began.get(version), self.s.now.timestamp()
        deployment = self.s.versions[version].deployment
        if began is None or deployment is None or version in self._silent:
            return Reading(version, at, problem=f"nothing was recorded of {version} at this time")

        def counted(series: str) -> Floats:
            rows = self._counters[version].counted(series, began, [self._moment])
            return np.asarray(rows[0])

        series: dict[str, Series] = {name: float(counted(name)) for name in COUNTERS}
        series |= {name: Binned(edges, tuple(counted(name).tolist())) for name, edges in self._edges_of(wanted).items()}
        pod = PodReading(_pod_of(version), deployment.created_at.timestamp(), at, series)
        return Reading(version, at, (pod,))

    def _edges_of(self, wanted: Sequence[str]) -> dict[str, tuple[float, ...]]:
        return {series: edges for series, edges in self._edges.items() if is_among(series, wanted)}

    def _serve(self, begin: int, end: int) -> None:
        """Give every version its requests of some intervals."""
        owed = dict(self._owed)
        for version, counters in self._counters.items():
            given = np.full(end - begin, AWAY)
            if version in self._began:
                given, owed[version] = self._given(version, begin, end)
            counters.give(begin, given)
        self._owed = owed

    def _given(self, version: str, begin: int, end: int) -> tuple[Floats, float]:
        """How many requests a version gets in each interval, and what is left for the next one."""
        present, route, owed = self._columns[version].present, self.s.route, self._owed[version]
        share = (route.weights.get(version, 0) + route.mirrors.get(version, 0)) / 100 if route else 0.0
        given = np.zeros(end - begin)
        for at in range(begin, end):
            if route is not None and present[at]:
                owed += self._totals[at] * share
                whole = int(owed)
                owed -= whole
                given[at - begin] = whole
        return given, owed


def _pod_of(version: str) -> str:
    return f"{version}-0"


def _plain(value: Series) -> float | tuple[float, ...]:
    if isinstance(value, Binned):
        return value.counts
    assert not isinstance(value, Mapping), "a recording has no categories"
    return float(value)


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
