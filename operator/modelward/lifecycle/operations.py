"""How the candidate and the incumbent run, from the newest counters of their pods that the evidence keeps.

Everything is of the time since the pods started, and of one look. Nothing is judged by it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TypeVar

import numpy as np

from modelward.api.gates import Gate
from modelward.lifecycle.evidence import Evidence, VersionMemory, candidate_series, incumbent_series
from modelward.lifecycle.gates.bins import edge_labels
from modelward.stats import operations
from modelward.stats.increments import PodMemory, lifetime
from modelward.stats.intervals import Estimate, estimate_of, wilson
from modelward.stats.readings import Binned

LATENCY, PREDICTION, REQUESTS, ERRORS = "latency", "prediction", "requests", "errors"
QUANTILES = (0.5, 0.95, 0.99)
Answer = TypeVar("Answer")
_OF_A_LOOK = 2 / 3  # a pod whose values are older than so much of the time between two looks was not read at the newest


@dataclass(frozen=True)
class LatencyQuantile:
    """So many of the requests took no longer. Saturated: it lies beyond the highest bucket, whose edge is the figure."""

    quantile: float
    seconds: Estimate
    saturated: bool


@dataclass(frozen=True)
class ScoreShare:
    """The share of the answers with a score in one bin; the intervals of all bins hold at once."""

    bin: str
    share: Estimate


@dataclass(frozen=True)
class Operations:
    """How one version runs. None or nothing is unknown; `unknown` says why, by the name of the field."""

    role: str  # candidate | incumbent
    version: str
    since: datetime | None  # when the first of its pods started
    until: datetime | None  # the newest reading
    requests: float | None
    per_second: Estimate | None  # no upper end: some of what was counted is lost
    latency: tuple[LatencyQuantile, ...]
    error_rate: Estimate | None
    age: float | None  # of the newest reading at the newest look, in seconds
    pods_read: int  # at the newest look
    pods_known: int
    confidence: tuple[ScoreShare, ...]
    unknown: Mapping[str, str] = field(default_factory=dict)


def operations_of(
    evidence: Evidence, gates: Sequence[Gate], candidate: str, incumbent: str | None
) -> tuple[Operations, ...]:
    """Of the candidate, and of the incumbent where there is one. Only what some gate looks at was read."""
    ours = _Version("candidate", candidate, evidence.candidate, candidate_series(gates), evidence.samples)
    if incumbent is None:
        return (_operations(ours, evidence),)
    counted = evidence.shares.incumbent
    theirs = _Version("incumbent", incumbent, evidence.incumbent, incumbent_series(gates), counted)
    return _operations(ours, evidence), _operations(theirs, evidence)


@dataclass(frozen=True)
class _Version:
    role: str
    name: str
    memory: VersionMemory
    wanted: tuple[str, ...]
    counted: float  # requests that it has answered for certain

    @property
    def pods(self) -> tuple[PodMemory, ...]:
        return tuple(self.memory.pods.values())

    def problem(self, *names: str) -> str | None:
        """Why the sum over its pods is not known, as a sentence's end."""
        if not self.pods:
            return self.memory.problem or "no pod of it has been read yet"
        for name in names:
            if name not in self.wanted:
                return f"no gate reads its {name}"
            if name in self.memory.invalid:
                return self.memory.invalid[name]
            if any(name in pod.series and pod.series[name] is None for pod in self.pods):
                return f"series {name} of one of its pods was invalid"
        if not self.showing(*names):
            return f"no pod of it shows {' and '.join(names)}"
        return None

    def showing(self, *names: str) -> list[PodMemory]:
        return [pod for pod in self.pods if all(name in pod.series for name in names)]


def _operations(version: _Version, evidence: Evidence) -> Operations:
    since = min((pod.started_at for pod in version.pods), default=None)
    until = max((pod.at for pod in version.pods), default=None)
    looked_at = evidence.evaluated_at
    requests, latency = _requests(version), _latency(version)
    per_second, error_rate = _per_second(version, requests, since, until), _error_rate(version)
    confidence = _confidence(version)
    found = {
        "requests": requests,
        "perSecond": per_second,
        "latency": latency,
        "errorRate": error_rate,
        "confidence": confidence,
    }
    return Operations(
        role=version.role,
        version=version.name,
        since=_time(since),
        until=_time(until),
        requests=_known(requests),
        per_second=_known(per_second),
        latency=_known(latency) or (),
        error_rate=_known(error_rate),
        age=None if until is None or looked_at is None else operations.age(looked_at.timestamp(), until),
        pods_read=_read(version, evidence, until),
        pods_known=len(version.pods),
        confidence=_known(confidence) or (),
        unknown={name: answer for name, answer in found.items() if isinstance(answer, str)},
    )


def _known(answer: Answer | str) -> Answer | None:
    """Functions below answer with the reason where they know nothing."""
    return None if isinstance(answer, str) else answer


def _requests(version: _Version) -> float | str:
    return version.problem(REQUESTS) or _counter(version.pods, REQUESTS)


def _per_second(
    version: _Version, requests: float | str, since: float | None, until: float | None
) -> Estimate | str | None:
    """Over the whole time, whatever pods were there. Without an upper end where counters began anew, or went with their pods."""
    if isinstance(requests, str):
        return requests
    if since is None or until is None or until <= since:
        return "no time has passed since its pods started, by the clocks of those who say so"
    rate = operations.throughput(requests, until - since, float("inf")).per_second
    lost = version.memory.forgotten_until > 0 or version.counted > requests
    return estimate_of(replace(rate, high=np.array(np.inf)) if lost else rate)


def _latency(version: _Version) -> tuple[LatencyQuantile, ...] | str:
    problem = version.problem(LATENCY)
    if problem is not None:
        return problem
    counts = _histogram(version.pods, LATENCY)
    if isinstance(counts, str):
        return counts
    found = [(q, operations.quantile(counts.edges, counts.counts, q)) for q in QUANTILES]
    return tuple(
        LatencyQuantile(q, replace(estimate, low=max(estimate.low, 0.0)), bool(each.saturated))
        for q, each in found
        if (estimate := estimate_of(each.bounds)) is not None
    )


def _error_rate(version: _Version) -> Estimate | str | None:
    """Of the pods that show both: a pod of which one is missing says nothing of the other."""
    problem = version.problem(REQUESTS, ERRORS)
    if problem is not None:
        return problem
    pods = version.showing(REQUESTS, ERRORS)
    errors, requests = _counter(pods, ERRORS), _counter(pods, REQUESTS)
    if requests <= 0:
        return "it has answered no request"
    if errors > requests:
        return f"its pods count more errors ({errors:,.0f}) than requests ({requests:,.0f})"
    return estimate_of(wilson(errors, requests))


def _confidence(version: _Version) -> tuple[ScoreShare, ...] | str:
    problem = version.problem(PREDICTION)
    if problem is not None:
        return problem
    counts = _histogram(version.pods, PREDICTION)
    if isinstance(counts, str):
        return counts
    if counts.edges[0] < 0 or counts.edges[-1] > 1:
        return "its predictions are not scores from 0 to 1"
    shares = operations.confidence_shares(counts.counts)
    rows = zip(shares.estimate.tolist(), shares.low.tolist(), shares.high.tolist(), strict=True)
    return tuple(ScoreShare(label, Estimate(*row)) for label, row in zip(edge_labels(counts.edges), rows, strict=True))


def _counter(pods: Iterable[PodMemory], name: str) -> float:
    return lifetime(pods).counters.get(name, 0.0)


def _histogram(pods: Iterable[PodMemory], name: str) -> Binned | str:
    """The sum over pods, or why there is none."""
    counts = lifetime(pods).binned.get(name)
    if counts is None:
        return f"its pods show {name} as categories, not as a histogram"
    if not counts.edges:
        return f"the histograms of {name} of its pods have no edge in common"
    return counts if sum(counts.counts) > 0 else "it has answered no request"


def _read(version: _Version, evidence: Evidence, until: float | None) -> int:
    """Pods that were read at the newest look. Samples that a server has scraped are of times that differ a little."""
    if version.memory.problem is not None or until is None:
        return 0
    if evidence.looks <= 1 or evidence.counted_at is None:
        return len(version.pods)
    between = (evidence.counted_at - evidence.started_at).total_seconds() / evidence.looks
    return sum(pod.at > until - _OF_A_LOOK * between for pod in version.pods) if between > 0 else len(version.pods)


def _time(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
