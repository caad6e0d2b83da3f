"""A cluster in memory, driven by plans: pods become ready, a gateway follows the route, requests are answered and counted.

The operator in it keeps nothing: before each decision its status is written to JSON and read back, as if it had been
killed and started anew. What must never be is checked after each write.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from modelward.api.status import ModelStatus, VersionStatus
from modelward.lifecycle.assess import due, subjects
from modelward.lifecycle.decide import decide
from modelward.lifecycle.evidence import Evidence
from modelward.lifecycle.plan import Announcement, Plan
from modelward.lifecycle.snapshot import DeploymentView, RouteView, Snapshot
from modelward.stats.readings import Binned, PodReading, Reading
from tests.unit.lifecycle.builders import NOW, Given

GATEWAY_LAG = timedelta(seconds=2)
SHORTEST_PAUSE = timedelta(milliseconds=50)
INCOME_EDGES = (10.0, 20.0, 30.0, 40.0)


@dataclass
class Behaviour:
    """How a version behaves: the share of requests that it fails, by the number of requests that it has answered."""

    errors: Callable[[float], float] = lambda answered: 0.004
    ready_after: timedelta = timedelta(seconds=20)
    never_ready: bool = False
    income: Callable[[datetime], Sequence[float]] | None = (
        None  # the shares of the bins of a feature that requests carry
    )


@dataclass
class Counters:
    """What the one pod that stands for all pods of a version has counted."""

    started: datetime
    requests: float = 0.0
    errors: float = 0.0
    income: tuple[float, ...] = ()


@dataclass(frozen=True)
class Moment:
    """What users' requests met from this time on."""

    at: datetime
    weights: Mapping[str, int]
    mirrors: Mapping[str, int]


@dataclass
class World:
    given: Given
    seed: int = 7
    requests_per_second: float = 20.0
    behaviours: dict[str, Behaviour] = field(default_factory=dict)
    metrics_down: bool = False
    gateway_down: bool = False
    clock_error: timedelta = timedelta(0)  # of the operator's clock
    spoil: Callable[[Reading], Reading] = lambda reading: reading  # what happens to metrics on their way
    effect: Callable[[dict[str, int]], dict[str, int]] = lambda weights: weights  # what the gateway makes of a split
    mirror_loss: float = 0.0  # the share of mirrored requests that never arrive

    def __post_init__(self) -> None:
        self.now = NOW
        self.random = np.random.default_rng(self.seed)
        self.counters: dict[str, Counters] = {}
        self.ready_at: dict[str, datetime] = {}
        self.in_force_at = NOW
        self.served: dict[str, int] = {}  # what the gateway does, as opposed to what the route says
        self.mirrored: dict[str, int] = {}
        self.answered = 0.0
        self.failed = 0.0
        self.unanswered = 0.0  # users' requests that met a version without a pod
        self.decisions = 0
        self.writes = 0  # of the Model's status
        self.timeline: list[Moment] = []
        self.told: list[Announcement] = []

    # What a person does.

    def request(self, version: str | None, retry: int = 0) -> None:
        self.given = self.given.requests(version, retry)

    def register(self, version: str, behaviour: Behaviour | None = None) -> None:
        self.given = self.given.version(version)
        self.behaviours[version] = behaviour or Behaviour()

    # Time.

    def run(self, until: Callable[["World"], bool] = lambda world: False, **limit: float) -> bool:
        """Let the operator work until something is so, or for a time at most."""
        end = self.now + timedelta(**limit)
        while self.now < end:
            plan = self._decide()
            if until(self):
                return True
            self._pass(self._next(plan, end))
        return until(self)

    # What a user sees.

    def status(self) -> ModelStatus:
        return self.given.s.status

    def condition(self, kind: str) -> tuple[str, str]:
        found = next(condition for condition in self.status().conditions if condition.type == kind)
        return found.status, found.reason

    def events(self) -> list[str]:
        return [told.reason for told in self.told]

    def splits(self) -> list[dict[str, int]]:
        """The different splits that the route has carried, in their order."""
        found: list[dict[str, int]] = []
        for moment in self.timeline:
            if moment.weights and (not found or found[-1] != dict(moment.weights)):
                found.append(dict(moment.weights))
        return found

    def lasted(self, **weights: int) -> timedelta:
        """For how long the route carried a split."""
        ends = [*self.timeline[1:], Moment(self.now, {}, {})]
        return sum(
            (end.at - moment.at for moment, end in zip(self.timeline, ends, strict=True) if moment.weights == weights),
            timedelta(0),
        )

    def running(self) -> set[str]:
        return {view.version for view in self.given.s.versions.values() if view.deployment and view.deployment.desired}

    # Details: the operator.

    def _decide(self) -> Plan:
        self.decisions += 1
        snapshot = self._observed()
        plan = decide(snapshot)
        self.told += plan.announcements
        self._remember(plan)
        self._write_pods(plan)
        self._write_route(plan)
        self._check(plan)
        return plan

    def _observed(self) -> Snapshot:
        at = self.now + self.clock_error
        s = replace(self.given.s, now=at)
        looked_at = [subject for subject in subjects(s) if due(s, subject)]
        wanted = {name for subject in looked_at for name in (subject.version, subject.incumbent) if name}
        return replace(s, readings={version: self._reading(version, at) for version in wanted})

    def _reading(self, version: str, at: datetime) -> Reading:
        counters = self.counters.get(version)
        if self.metrics_down or counters is None:
            return Reading(version, at.timestamp(), problem=f"no pod of {version} answers: connection refused")
        series: dict[str, float | Binned] = {"requests": counters.requests, "errors": counters.errors}
        if counters.income:
            series["feature/income"] = Binned(INCOME_EDGES, counters.income)
        pod = PodReading(f"{version}-0", counters.started.timestamp(), at.timestamp(), series)
        return self.spoil(Reading(version, at.timestamp(), (pod,)))

    def _remember(self, plan: Plan) -> None:
        status = ModelStatus.model_validate_json(plan.status.model_dump_json(by_alias=True, exclude_none=True))
        before = self.given.s.versions
        self.writes += status != self.given.s.status
        self.given = self.given.after(replace(plan, status=status))
        versions = dict(self.given.s.versions)
        for version, written in plan.versions.items():
            if written == before[version].status:
                continue
            read = VersionStatus.model_validate_json(written.model_dump_json(by_alias=True, exclude_none=True))
            evidence, monitoring = _evidence(read.evidence), _evidence(read.monitoring)
            versions[version] = replace(versions[version], status=read, evidence=evidence, monitoring=monitoring)
        self.given = Given(replace(self.given.s, versions=versions))

    def _write_pods(self, plan: Plan) -> None:
        staying = set(plan.children.pods) | plan.children.kept
        versions = dict(self.given.s.versions)
        for version, view in versions.items():
            if version in plan.children.pods:
                desired, deployment = plan.children.pods[version], view.deployment
                if deployment is None or deployment.desired < desired:
                    behaviour = self.behaviours[version]
                    self.ready_at[version] = datetime.max.replace(tzinfo=self.now.tzinfo)
                    if not behaviour.never_ready:
                        self.ready_at[version] = self.now + behaviour.ready_after
                    self.counters[version] = Counters(self.now)
                created = deployment.created_at if deployment else self.now
                available = min(deployment.available if deployment else 0, desired)
                changed = DeploymentView(desired, available, created)
                versions[version] = replace(view, deployment=changed, service_exists=True)
            elif version not in staying and view.deployment:
                versions[version] = replace(view, deployment=None, service_exists=False)
                self.counters.pop(version, None)
        self.given = Given(replace(self.given.s, versions=versions))

    def _write_route(self, plan: Plan) -> None:
        if plan.traffic is None or not plan.traffic.weights:
            return
        weights, mirrors, known = dict(plan.traffic.weights), dict(plan.traffic.mirrors), self.given.s.route
        if known is None or known.weights != weights or known.mirrors != mirrors:
            self.in_force_at = self.now + GATEWAY_LAG
            written = RouteView(weights, mirrors, observed=False, accepted=known and known.accepted, resolved=True)
            self.given = Given(replace(self.given.s, route=written))
        moment = Moment(self.now, weights, mirrors)
        if not self.timeline or replace(self.timeline[-1], at=self.now) != moment:
            self.timeline.append(moment)

    def _check(self, plan: Plan) -> None:
        """What must never be, after any write."""
        s = self.given.s
        assert sum(plan.traffic.weights.values() if plan.traffic else ()) in (0, 100)
        if s.route:
            for version in (*s.route.weights, *s.route.mirrors):
                assert s.versions[version].service_exists, f"the route names {version}, whose Service is missing"

    # Details: the cluster and its users.

    def _next(self, plan: Plan, end: datetime) -> datetime:
        moments = [end, *(at for at in self.ready_at.values() if at > self.now)]
        if self.in_force_at > self.now:
            moments.append(self.in_force_at)
        if plan.check_at:
            moments.append(plan.check_at - self.clock_error)
        return max(min(moments), self.now + SHORTEST_PAUSE)

    def _pass(self, then: datetime) -> None:
        self._answer(then - self.now)
        self.now = then
        versions = dict(self.given.s.versions)
        for version, view in versions.items():
            ready = self.ready_at.get(version)
            if view.deployment and ready and ready <= then:
                versions[version] = replace(
                    view, deployment=replace(view.deployment, available=view.deployment.desired)
                )
        route = self.given.s.route
        if route and then >= self.in_force_at and not self.gateway_down:
            route = replace(route, observed=True, accepted=True, resolved=True)
            self.served, self.mirrored = self.effect(dict(route.weights)), dict(route.mirrors)
        self.given = Given(replace(self.given.s, versions=versions, route=route))

    def _answer(self, duration: timedelta) -> None:
        total = self.random.poisson(self.requests_per_second * duration.total_seconds())
        if not self.served:
            return
        names = sorted(self.served)
        shares = self.random.multinomial(total, [self.served[name] / 100 for name in names])
        for name, count in zip(names, shares, strict=True):
            if self.given.s.versions[name].available == 0:
                self.unanswered += count
                continue
            self.answered += count
            self.failed += self._count(name, int(count))
        for name, percent in self.mirrored.items():
            if self.given.s.versions[name].available:
                self._count(name, int(self.random.binomial(total, percent / 100 * (1 - self.mirror_loss))))

    def _count(self, version: str, requests: int) -> float:
        counters = self.counters[version]
        errors = float(self.random.binomial(requests, self.behaviours[version].errors(counters.requests)))
        counters.requests += requests
        counters.errors += errors
        if (shares := self.behaviours[version].income) is not None:
            drawn = self.random.multinomial(requests, shares(self.now))
            counters.income = tuple(drawn + (counters.income or (0.0,) * len(drawn)))
        return errors


def _evidence(written: Mapping[str, Any] | None) -> Evidence | None:
    return Evidence.from_dict(json.loads(json.dumps(written))) if written else None
