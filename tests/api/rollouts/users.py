"""Users' requests, and what the pods' metrics say of them: counted where the gateway sends them, read as the operator reads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from modelward.api.gates import QueryGate
from modelward.api.model import MetricsEndpoint
from modelward.metrics.prometheus import QueryNames
from modelward.stats.readings import PodReading, PodTarget, QueryAnswer, Reading


@dataclass
class Served:
    """What one pod has counted since it started."""

    requests: float = 0.0
    errors: float = 0.0


@dataclass
class Requests:
    """A double of the metrics reader, and of the users: seeded, so that every run gets the same requests."""

    rate: int = 200  # per second
    seed: int = 7
    error_rates: dict[str, float] = field(default_factory=dict)  # by version
    problems: dict[str, str] = field(default_factory=dict)  # by version: why its metrics cannot be read
    pods: dict[str, dict[str, Served]] = field(default_factory=dict)  # by version and pod
    unanswered: float = 0.0  # users' requests that went to a version without pods
    totals: dict[datetime, Mapping[str, float]] = field(default_factory=dict)
    closed_sources: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self._chance = np.random.default_rng(self.seed)

    def answer(
        self,
        at: datetime,
        seconds: float,
        weights: Mapping[str, int],
        mirrors: Mapping[str, int],
        ready: Mapping[str, list[str]],
    ) -> None:
        """Let time pass until `at`, with requests split as the gateway has it."""
        count = round(self.rate * seconds)
        total = sum(weights.values())
        if total:
            versions = sorted(weights)
            shares = self._chance.multinomial(count, [weights[version] / total for version in versions])
            for version, share in zip(versions, shares, strict=True):
                if share and not ready.get(version):
                    self.unanswered += share
                self._serve(version, int(share), ready.get(version, []))
            for version, percent in sorted(mirrors.items()):
                self._serve(version, int(self._chance.binomial(count, percent / 100)), ready.get(version, []))
        self.note(at)

    def note(self, at: datetime) -> None:
        self.totals[at] = {version: self.served(version) for version in self.pods}

    def served(self, version: str) -> float:
        """Requests that all pods of a version have answered, those that ended included."""
        return sum(pod.requests for pod in self.pods.get(version, {}).values())

    async def read(
        self, version: str, targets: Sequence[PodTarget], endpoint: MetricsEndpoint, wanted: Sequence[str], now: float
    ) -> Reading:
        problem = self.problems.get(version) or (None if targets else f"version {version} has no ready pod")
        if problem:
            return Reading(version=version, at=now, problem=problem)
        return Reading(version=version, at=now, pods=tuple(self._read_pod(version, target, now) for target in targets))

    async def query(self, gate: QueryGate, names: QueryNames, now: float) -> QueryAnswer:
        return QueryAnswer(value=None, problem="there is no metric source here", reason="InvalidResult")

    def _read_pod(self, version: str, target: PodTarget, now: float) -> PodReading:
        served = self.pods.get(version, {}).get(target.name, Served())
        series = {"requests": served.requests, "errors": served.errors}
        return PodReading(pod=target.name, started_at=target.started_at, at=now, series=series)

    def _serve(self, version: str, count: int, ready: Sequence[str]) -> None:
        if not ready or not count:
            return
        per_pod = self._chance.multinomial(count, [1 / len(ready)] * len(ready))
        for name, share in zip(ready, per_pod, strict=True):
            pod = self.pods.setdefault(version, {}).setdefault(name, Served())
            pod.requests += float(share)
            pod.errors += float(self._chance.binomial(int(share), self.error_rates.get(version, 0.01)))
