"""The memory of one version's current stage: from readings to verdicts, and to status and back.

Pod metrics are cumulative, so what was counted since the last evaluation is the difference to the last reading, and that reading is
part of the memory. An evaluation is `fold`, then write the result to status, then act on `judge`. An operator killed before the
write begins again from the old memory, whose difference to the next reading covers both intervals: nothing is lost and nothing
counts twice.

Bounds are sound from a start on, so that a gate with a `window` is judged in blocks: when one is over, its verdict is kept and the
sums start anew.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from pydantic_core import to_json

from modelward.api import reasons
from modelward.api.gates import Gate
from modelward.api.model_evaluation import ModelEvaluation
from modelward.api.model_version import Baseline
from modelward.api.types import format_duration
from modelward.governance.approvals import NOT_LOOKED_AT, Trust
from modelward.lifecycle.gates.registry import kind_for
from modelward.lifecycle.gates.verdict import GateContext, Look, Result, State, Verdict, unknown
from modelward.lifecycle.track import LONGEST, Point, Track
from modelward.stats.increments import PodMemory, lifetime, pod_increment, sum_increments
from modelward.stats.pod_memories import read_pods, write_pods
from modelward.stats.readings import Increment, PodReading, QueryAnswer, Reading

FORGET_AFTER = timedelta(hours=1)
"""How long a pod that is not seen any more is remembered; without an end, a week of autoscaling would grow the memory."""

LARGEST = 768 * 1024
"""Bytes of evidence in a status. An object has to fit into 1.5 MiB, its spec with an inline baseline included."""

TRACKED = 2048
"""Looks that are kept of all gates of a stage together, for people to see; about 100 KiB."""


@dataclass(frozen=True)
class Inputs:
    """All that gates may look at besides the metrics of the pods."""

    now: datetime
    candidate: str
    incumbent: str | None  # None: first version, or the watch after promotion
    alpha: float  # the share of one gate, see split_alpha
    baseline: Baseline | None = None
    evaluations: tuple[ModelEvaluation, ...] = ()
    trust: Trust = NOT_LOOKED_AT
    candidate_digest: str = ""
    incumbent_digest: str = ""
    queries: Mapping[str, QueryAnswer] = field(default_factory=dict)  # by gate name
    alone: bool = False  # is it held against absolute bounds only, as what serves is by its monitoring?


@dataclass(frozen=True)
class VersionMemory:
    """The last cumulative values of one version's pods, and what was wrong with its newest reading."""

    pods: Mapping[str, PodMemory] = field(default_factory=dict)
    forgotten_until: float = 0.0  # no pod that started later was ever forgotten
    problem: str | None = None
    reason: str = ""
    invalid: Mapping[str, str] = field(default_factory=dict)
    absent: frozenset[str] = frozenset()  # those of the invalid that are not there at all


@dataclass(frozen=True)
class WindowVerdict:
    """What was found from a time on: by a whole window, or by one that is not over yet and has failed."""

    since: datetime
    at: datetime
    verdict: Verdict


@dataclass(frozen=True)
class GateMemory:
    """What one gate has gathered: its own sums, the candidate's requests in them, and from how many looks."""

    state: State
    samples: float = 0.0
    looks: int = 0
    since: datetime | None = None  # when the window in progress began; None: no window, or none has begun
    found: WindowVerdict | None = None  # the newest that stands, see _in_window
    track: Track = field(default_factory=Track)


@dataclass(frozen=True)
class Shares:
    """Requests that both versions counted in the same intervals since the traffic last changed."""

    candidate: float = 0.0
    incumbent: float = 0.0


@dataclass(frozen=True)
class Evidence:
    """Everything that is known of a version in its current stage, as plain values."""

    stage_key: str
    started_at: datetime
    traffic_key: str
    evaluated_at: datetime | None = None  # of the newest look, whether it could be read or not
    counted_at: datetime | None = None  # of the newest look that could: where the current interval began
    aligned: bool = False  # were both versions read at that look, so that the next interval is the same for both?
    looks: int = 0  # those that could be read
    samples: float = 0.0  # requests that the candidate answered since the stage began
    shares: Shares = Shares()
    candidate: VersionMemory = VersionMemory()
    incumbent: VersionMemory = VersionMemory()
    gates: Mapping[str, GateMemory] = field(default_factory=dict)
    terms: Mapping[str, Any] = field(default_factory=dict)  # by what it is judged, see _terms

    def to_dict(self) -> dict[str, Any]:
        """A compact JSON document; from_dict gives back an equal value."""
        return {
            "stageKey": self.stage_key,
            "startedAt": self.started_at.isoformat(),
            "trafficKey": self.traffic_key,
            "evaluatedAt": _write_time(self.evaluated_at),
            "countedAt": _write_time(self.counted_at),
            "aligned": self.aligned,
            "looks": self.looks,
            "samples": self.samples,
            "shares": [self.shares.candidate, self.shares.incumbent],
            "candidate": _write_version(self.candidate),
            "incumbent": _write_version(self.incumbent),
            "gates": {name: _write_gate(memory) for name, memory in self.gates.items()},
            "terms": dict(self.terms),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Evidence":
        return cls(
            stage_key=data["stageKey"],
            started_at=datetime.fromisoformat(data["startedAt"]),
            traffic_key=data["trafficKey"],
            evaluated_at=_read_time(data["evaluatedAt"]),
            counted_at=_read_time(data["countedAt"]),
            aligned=data["aligned"],
            looks=data["looks"],
            samples=data["samples"],
            shares=Shares(*data["shares"]),
            candidate=_read_version(data["candidate"]),
            incumbent=_read_version(data["incumbent"]),
            gates={name: _read_gate(memory) for name, memory in data["gates"].items()},
            terms=data.get("terms", {}),  # evidence from before there were terms and tracks goes on
        )


def begin(stage_key: str, now: datetime, traffic_key: str) -> Evidence:
    """An empty memory for a stage that starts now."""
    return Evidence(stage_key=stage_key, started_at=now, traffic_key=traffic_key)


def fold(
    evidence: Evidence,
    candidate: Reading,
    incumbent: Reading | None,
    traffic_key: str,
    gates: Sequence[Gate],
    inputs: Inputs,
) -> Evidence:
    """The memory after one more reading of both versions.

    * A candidate that could not be read leaves everything as it was, with the problem noted: the next good reading covers both intervals.
    * An incumbent that could not be read, or weights that changed meanwhile, make the interval one without comparison; what concerns the
      candidate alone, a breaker above all, still counts it.
    * The first reading of a stage is where comparisons begin, not an interval of its own.
    """
    theirs = None if incumbent is None else _noted(evidence.incumbent, incumbent)
    ours = _noted(evidence.candidate, candidate)
    if ours.problem is not None:
        return replace(
            evidence,
            evaluated_at=inputs.now,
            candidate=ours,
            incumbent=theirs or evidence.incumbent,
            terms=_terms(gates, inputs),
        )

    since = evidence.started_at.timestamp()
    ours, counted = _advance(ours, candidate, candidate_series(gates), since)
    other: Increment | None = None
    if incumbent is not None and theirs is not None and theirs.problem is None:
        theirs, other = _advance(theirs, incumbent, incumbent_series(gates), since)
    both_read = other is not None
    if not evidence.aligned or traffic_key != evidence.traffic_key:
        other = None

    before = Shares() if traffic_key != evidence.traffic_key else evidence.shares
    return replace(
        evidence,
        traffic_key=traffic_key,
        evaluated_at=inputs.now,
        counted_at=inputs.now,
        aligned=both_read,
        looks=evidence.looks + 1,
        samples=evidence.samples + _requests(counted),
        shares=before if other is None else _shares(before, counted, other),
        candidate=ours,
        incumbent=theirs or evidence.incumbent,
        gates=_fold_gates(evidence, gates, counted, other, inputs),
        terms=_terms(gates, inputs),
    )


def caught_up(
    evidence: Evidence, candidate: Reading, incumbent: Reading | None, gates: Sequence[Gate], inputs: Inputs
) -> Evidence:
    """The memory with what these readings have counted so far, and nothing folded: for whoever has folded that already."""
    since = evidence.started_at.timestamp()
    ours, _ = _advance(_noted(evidence.candidate, candidate), candidate, candidate_series(gates), since)
    theirs = evidence.incumbent
    if incumbent is not None:
        theirs, _ = _advance(_noted(theirs, incumbent), incumbent, incumbent_series(gates), since)
    return replace(evidence, candidate=ours, incumbent=theirs, terms=_terms(gates, inputs))


def bounded(evidence: Evidence, before: Evidence, inputs: Inputs, largest: int = LARGEST) -> Evidence:
    """The memory as far as the API server can store it; beyond, the one before, with the problem noted so that gates are Unknown."""
    size = _size(evidence)
    if size <= largest:
        return evidence
    untracked = replace(
        evidence, gates={name: replace(memory, track=Track()) for name, memory in evidence.gates.items()}
    )
    if _size(untracked) <= largest:
        return untracked  # what people like to see gives way to what decides
    problem = (
        f"what {len(evidence.candidate.pods)} pods of {inputs.candidate} and {len(evidence.incumbent.pods)} of the incumbent have"
        f" counted takes {size // 1024:,} KiB, and {largest // 1024:,} KiB can be kept: name fewer features in the gates, or"
        " give their histograms fewer bins"
    )
    refused = replace(before.candidate, problem=problem, reason=reasons.INVALID_RESULT)
    return replace(before, evaluated_at=inputs.now, candidate=refused)


def recorded(evidence: Evidence, verdicts: Sequence[Verdict], now: datetime, largest: int = LARGEST) -> Evidence:
    """The memory with one more point in the track of every gate; no decision depends on it."""
    longest = max(min(LONGEST, TRACKED // max(len(verdicts), 1)), 2)
    seconds = round((now - evidence.started_at).total_seconds())
    tracked = dict(evidence.gates)
    for verdict in verdicts:
        memory = tracked.get(verdict.gate)
        if memory is not None:
            figures = verdict.figure, verdict.low, verdict.high, verdict.bound
            point = Point(seconds, verdict.result.value, *figures, verdict.samples)
            tracked[verdict.gate] = replace(memory, track=memory.track.with_point(point, longest))
    longer = replace(evidence, gates=tracked)
    return longer if _size(longer) <= largest else evidence


def judge(evidence: Evidence, gates: Sequence[Gate], inputs: Inputs) -> tuple[Verdict, ...]:
    """One verdict for each gate, in their order. What has failed stays failed when metrics go missing afterwards."""
    return tuple(replace(_judge(evidence, gate, inputs), advisory=gate.advisory) for gate in gates)


def remembered(evidence: Evidence, gate: Gate, inputs: Inputs) -> tuple[State, GateContext]:
    """What a gate has gathered, and what else it is judged by: for those who want to see more of it than the verdict."""
    memory = _memory_of(evidence, gate, inputs)
    return memory.state, context_of(gate, memory, inputs)


def candidate_series(gates: Iterable[Gate]) -> tuple[str, ...]:
    """The series to read of a candidate: names, or prefixes that end in a slash. Requests and errors are always among them."""
    return _distinct(name for gate in gates for name in kind_for(gate).series(gate))


def incumbent_series(gates: Iterable[Gate]) -> tuple[str, ...]:
    """The series to read of an incumbent: only those that some gate compares."""
    return _distinct(name for gate in gates if kind_for(gate).compares(gate) for name in kind_for(gate).series(gate))


def is_among(name: str, wanted: Sequence[str]) -> bool:
    """Is a series one of these, which are names, or prefixes that end in a slash?"""
    return any(name == item or (item.endswith("/") and name.startswith(item)) for item in wanted)


def split_alpha(total: float, gates_by_stage: Mapping[str, Sequence[Gate]]) -> float:
    """Each gate's share of a rollout's alpha: Bonferroni over all gates, of all stages, whose false alarm would end the rollout."""
    spending = sum(
        1 for gates in gates_by_stage.values() for gate in gates if kind_for(gate).spends_alpha and not gate.advisory
    )
    return total / max(spending, 1)


def _noted(memory: VersionMemory, reading: Reading) -> VersionMemory:
    """The memory with what is wrong with its newest reading, which may be nothing."""
    if reading.problem is None and not reading.pods:
        return replace(
            memory, problem=f"{reading.version} has no pod that could be read", reason=reasons.METRICS_UNAVAILABLE
        )
    return replace(memory, problem=reading.problem, reason="" if reading.problem is None else reading.reason)


def _advance(
    memory: VersionMemory, reading: Reading, wanted: Sequence[str], since: float
) -> tuple[VersionMemory, Increment]:
    """What a version counted since its last reading, and its memory after it."""
    pods, forgotten_until = _forget(memory, reading)
    increments: list[Increment] = []
    for pod in reading.pods:
        kept = PodReading(
            pod.pod,
            pod.started_at,
            pod.at,
            {name: value for name, value in pod.series.items() if is_among(name, wanted)},
        )
        increment, pods[pod.pod] = pod_increment(pod.pod, pods.get(pod.pod), kept, max(since, forgotten_until))
        increments.append(increment)
    counted = sum_increments(increments)
    absent = counted.absent | reading.absent.keys()
    total = replace(counted, invalid={**reading.absent, **counted.invalid}, absent=absent)
    return replace(memory, pods=pods, forgotten_until=forgotten_until, invalid=total.invalid, absent=absent), total


def _forget(memory: VersionMemory, reading: Reading) -> tuple[dict[str, PodMemory], float]:
    """Pods that are long gone leave only the time at which the last of them was started, so that none can count twice."""
    present = {pod.pod for pod in reading.pods}
    oldest = reading.at - FORGET_AFTER.total_seconds()
    gone = {name for name, pod in memory.pods.items() if name not in present and pod.at < oldest}
    until = max((memory.pods[name].started_at for name in gone), default=0.0)
    return {name: pod for name, pod in memory.pods.items() if name not in gone}, max(memory.forgotten_until, until)


def _fold_gates(
    evidence: Evidence, gates: Sequence[Gate], counted: Increment, other: Increment | None, inputs: Inputs
) -> dict[str, GateMemory]:
    look = Look(_seconds(evidence, inputs.now), counted, other if inputs.incumbent is not None else None)
    before = lifetime(evidence.incumbent.pods.values())
    return {gate.name: _fold_gate(evidence, gate, look, before, inputs) for gate in gates}


def _fold_gate(evidence: Evidence, gate: Gate, look: Look, before: Increment, inputs: Inputs) -> GateMemory:
    memory = _memory_of(evidence, gate, inputs)
    if (evidence.counted_at or evidence.started_at) < evidence.started_at + gate.warmup:
        return memory  # the interval began before the warm-up was over
    context = replace(context_of(gate, memory, inputs), incumbent_lifetime=before)
    state = kind_for(gate).fold(gate, memory.state, look, context)
    folded = replace(memory, state=state, samples=memory.samples + _requests(look.candidate), looks=memory.looks + 1)
    return folded if gate.window is None else _in_window(evidence, gate, gate.window, folded, inputs)


def _in_window(evidence: Evidence, gate: Gate, window: timedelta, memory: GateMemory, inputs: Inputs) -> GateMemory:
    """Keep the verdict of a window that is over, and start anew; keep a failure as soon as it is found.

    The look that ends a window is its last, however late it comes. What has failed within a window stays failed until that is over:
    later requests of the same window cannot make a bound unbroken that was broken for certain.
    """
    since = min(memory.since or evidence.counted_at or evidence.started_at, inputs.now)
    over = inputs.now >= since + window
    found = memory.found
    if not has_failed(memory):
        context = replace(context_of(gate, memory, inputs), measured_seconds=(inputs.now - since).total_seconds())
        verdict = _spanning(kind_for(gate).judge(gate, memory.state, context), gate, context)
        if over or verdict.result is Result.FAIL:
            found = WindowVerdict(since, inputs.now, verdict)
    if not over:
        return replace(memory, since=since, found=found)
    fresh = kind_for(gate).start(gate, context_of(gate, GateMemory({}), inputs))
    return GateMemory(fresh, since=inputs.now, found=found, track=memory.track)


def has_failed(memory: GateMemory) -> bool:
    """Has the window that is in progress failed already?"""
    found = memory.found
    return found is not None and found.since == memory.since and found.verdict.result is Result.FAIL


def _memory_of(evidence: Evidence, gate: Gate, inputs: Inputs) -> GateMemory:
    known = evidence.gates.get(gate.name)
    return known or GateMemory(kind_for(gate).start(gate, context_of(gate, GateMemory({}), inputs)))


def context_of(gate: Gate, memory: GateMemory, inputs: Inputs) -> GateContext:
    """What a gate may look at besides its own state."""
    return GateContext(
        now=inputs.now,
        candidate=inputs.candidate,
        incumbent=inputs.incumbent,
        alpha=inputs.alpha,
        candidate_samples=int(memory.samples),
        baseline=inputs.baseline,
        evaluations=inputs.evaluations,
        trust=inputs.trust,
        candidate_digest=inputs.candidate_digest,
        incumbent_digest=inputs.incumbent_digest,
        query=inputs.queries.get(gate.name),
        alone=inputs.alone,
    )


def _judge(evidence: Evidence, gate: Gate, inputs: Inputs) -> Verdict:
    memory = _memory_of(evidence, gate, inputs)
    context = context_of(gate, memory, inputs)
    warm_at = evidence.started_at + gate.warmup
    if inputs.now < warm_at:
        sentence = f"{inputs.candidate} warms up for {format_duration(gate.warmup)}, until {warm_at:%H:%M:%S} UTC; nothing counts yet"
        return unknown(gate, context, sentence, reasons.WARMING_UP)
    problem = _problem_for(evidence, gate, inputs)
    measured = ((evidence.counted_at or evidence.started_at) - (memory.since or warm_at)).total_seconds()
    context = replace(context, measured_seconds=max(measured, 0.0))
    newest = _spanning(kind_for(gate).judge(gate, memory.state, context), gate, context)
    verdict = _standing(memory, newest)
    if problem is None or verdict.result is Result.FAIL:
        return verdict
    if not verdict.applies:
        return replace(verdict, sentence=f"{verdict.sentence}; {problem[1]}")
    return replace(verdict, result=Result.UNKNOWN, reason=problem[0], sentence=problem[1])


def _standing(memory: GateMemory, newest: Verdict) -> Verdict:
    """The verdict of the window in progress, or, while that is too young to decide, that of the last whole one."""
    found = memory.found
    if found is None or memory.since is None:
        return newest
    if has_failed(memory):
        return replace(found.verdict, sentence=f"{found.verdict.sentence}; found at {_clock(found.at)}")
    if newest.result in (Result.PASS, Result.FAIL) or not newest.applies:
        return newest
    sentence = f"{found.verdict.sentence}; in the last whole window, {_clock(found.since)} to {_clock(found.at)}"
    return replace(found.verdict, sentence=sentence)


def _spanning(verdict: Verdict, gate: Gate, context: GateContext) -> Verdict:
    """The verdict with the span of time that it speaks of, where it speaks of more than a moment."""
    return replace(verdict, seconds=context.measured_seconds) if kind_for(gate).series(gate) else verdict


def _clock(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC"


def _problem_for(evidence: Evidence, gate: Gate, inputs: Inputs) -> tuple[str, str] | None:
    """The reason and the sentence of what is wrong with the newest readings that this gate needs."""
    kind = kind_for(gate)
    wanted = kind.series(gate)
    if not wanted:
        return None
    needed = [evidence.candidate]
    if kind.compares(gate) and inputs.incumbent is not None:
        needed.append(evidence.incumbent)
    for memory in needed:
        if memory.problem is not None:
            return memory.reason, memory.problem
        for name, sentence in memory.invalid.items():
            if is_among(name, wanted):
                return reasons.METRIC_ABSENT if name in memory.absent else reasons.INVALID_RESULT, sentence
    return None


def _shares(before: Shares, candidate: Increment, incumbent: Increment) -> Shares:
    if "requests" in candidate.invalid or "requests" in incumbent.invalid:
        return before
    return Shares(before.candidate + _requests(candidate), before.incumbent + _requests(incumbent))


def _seconds(evidence: Evidence, now: datetime) -> float:
    return max((now - (evidence.counted_at or evidence.started_at)).total_seconds(), 0.0)


def _requests(increment: Increment) -> float:
    return increment.counters.get("requests", 0.0)


def _distinct(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(("requests", "errors", *names)))


def _size(evidence: Evidence) -> int:
    return len(to_json(evidence.to_dict()))  # a few times as fast as json.dumps, and measured at every look


def _terms(gates: Sequence[Gate], inputs: Inputs) -> dict[str, Any]:
    """By what evidence is judged, as plain values: it has to explain itself when policy and incumbent are gone."""
    return {
        "incumbent": inputs.incumbent,
        "alpha": inputs.alpha,
        "alone": inputs.alone,
        "gates": [gate.model_dump(mode="json", by_alias=True, exclude_defaults=True) for gate in gates],
    }


def _write_time(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat()


def _read_time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _write_gate(memory: GateMemory) -> dict[str, Any]:
    written: dict[str, Any] = {"state": memory.state, "samples": memory.samples, "looks": memory.looks}
    if memory.since is not None:
        written["since"] = memory.since.isoformat()
    if memory.found is not None:
        found = memory.found
        written["found"] = {
            "since": found.since.isoformat(),
            "at": found.at.isoformat(),
            "verdict": asdict(found.verdict),
        }
    if memory.track.points:
        written["track"] = memory.track.to_json()
    return written


def _read_gate(data: Mapping[str, Any]) -> GateMemory:
    return GateMemory(
        state=dict(data["state"]),
        samples=data["samples"],
        looks=data["looks"],
        since=_read_time(data.get("since")),
        found=_read_found(data["found"]) if "found" in data else None,
        track=Track.from_json(data["track"]) if "track" in data else Track(),
    )


def _read_found(data: Mapping[str, Any]) -> WindowVerdict:
    verdict = Verdict(**{**data["verdict"], "result": Result(data["verdict"]["result"])})
    return WindowVerdict(datetime.fromisoformat(data["since"]), datetime.fromisoformat(data["at"]), verdict)


def _write_version(memory: VersionMemory) -> dict[str, Any]:
    return {
        **write_pods(memory.pods),
        "forgottenUntil": memory.forgotten_until,
        "problem": memory.problem,
        "reason": memory.reason,
        "invalid": dict(memory.invalid),
        "absent": sorted(memory.absent),
    }


def _read_version(data: Mapping[str, Any]) -> VersionMemory:
    return VersionMemory(
        pods=read_pods(data),
        forgotten_until=data["forgottenUntil"],
        problem=data["problem"],
        reason=data["reason"],
        invalid=dict(data["invalid"]),
        absent=frozenset(data.get("absent", ())),
    )
