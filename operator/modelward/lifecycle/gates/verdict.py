"""The answer of a gate, and what a gate may look at. Four results, because 'no evidence' is never a pass."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from modelward.api.gates import Gate
from modelward.api.model_evaluation import ModelEvaluation
from modelward.api.model_version import Baseline
from modelward.governance.approvals import NOT_LOOKED_AT, Trust
from modelward.stats.readings import Increment, QueryAnswer

State = dict[str, Any]
"""What a gate remembers between looks: a few JSON-able numbers."""


class Result(StrEnum):
    PASS = "Pass"
    FAIL = "Fail"
    INCONCLUSIVE = "Inconclusive"
    UNKNOWN = "Unknown"


@dataclass(frozen=True)
class Verdict:
    """One gate's row in status: what was found, against what bound, from how much, by which method."""

    gate: str
    result: Result
    sentence: str
    reason: str
    figure: float | None = None
    low: float | None = None
    high: float | None = None
    bound: float | None = None
    samples: int = 0
    method: str = ""
    seconds: float | None = None  # the span of time in which it was counted; None: the figure is of one moment
    advisory: bool = False
    applies: bool = True  # False: there is nothing to compare with, so the gate must not hold anything


@dataclass(frozen=True)
class Look:
    """One interval of a stage: what candidate and incumbent counted in it.

    incumbent is None where the interval compares nothing: there is none (first version, watch after promotion), it could
    not be read, or the traffic weights changed meanwhile. What concerns the candidate alone still counts.
    """

    seconds: float
    candidate: Increment
    incumbent: Increment | None


@dataclass(frozen=True)
class GateContext:
    """Everything a gate may look at besides its own state."""

    now: datetime
    candidate: str
    incumbent: str | None
    alpha: float  # this gate's share of the rollout's alpha
    candidate_samples: int  # requests the candidate answered since the stage began, warm-up excluded
    baseline: Baseline | None
    evaluations: tuple[ModelEvaluation, ...] = ()  # of candidate and incumbent
    trust: Trust = NOT_LOOKED_AT  # does the API server see to it that an evaluation names who created it?
    candidate_digest: str = ""
    incumbent_digest: str = ""
    query: QueryAnswer | None = None
    alone: bool = False  # is it held against absolute bounds only, as what serves is by its monitoring?
    measured_seconds: float = 0.0  # how long evidence has been gathered, for estimates of how long it still takes
    incumbent_lifetime: Increment = field(default_factory=Increment)  # all it had counted before this look, for p0


Floats = NDArray[np.float64]
Codes = NDArray[np.int8]


class Code(IntEnum):
    """What a gate says, as far as a decision can depend on it, small enough for an array over looks."""

    UNKNOWN = 0
    INCONCLUSIVE = 1
    PASS = 2
    FAIL = 3
    BROKEN = 4  # a Fail of the breaker


@dataclass(frozen=True)
class Counts:
    """What one version counted in each of several intervals in a row, on the first axis. All of it is valid."""

    counters: Mapping[str, Floats]
    binned: Mapping[str, tuple[tuple[float, ...], Floats]]  # edges, and a row of counts for each interval


@dataclass(frozen=True)
class Looks:
    """Several looks in a row, at which both versions were read; incumbent is None where there is none."""

    candidate: Counts
    incumbent: Counts | None


@dataclass(frozen=True)
class Followed:
    """A gate gone through several looks.

    codes: what it says before the first look and after each, so one more than looks. state: what it remembers after so many of them.
    """

    codes: Codes
    state: Callable[[int], State]


@runtime_checkable
class FollowsLooks(Protocol):
    """A kind that goes through many looks at once, with the result of `fold` and `judge` for each: arrays are so much faster."""

    def follow(self, gate: Gate, state: State, looks: Looks, samples: Floats, context: GateContext) -> Followed | None:
        """None where the next look has to be folded by itself, as the first one. samples: before the first look and after each."""
        ...


class GateKind(Protocol):
    """One kind of gate: pure functions of its spec, its state and the newest look."""

    @property
    def spends_alpha(self) -> bool:
        """Does it take a share of the rollout's alpha?"""
        ...

    def series(self, gate: Gate) -> tuple[str, ...]:
        """Prefixes of the series (see stats.readings) that this gate needs in a reading."""
        ...

    def compares(self, gate: Gate) -> bool:
        """Does it compare with the incumbent, so that it needs the incumbent's readings too?"""
        ...

    def start(self, gate: Gate, context: GateContext) -> State:
        """The state before the first look of a stage."""
        ...

    def fold(self, gate: Gate, state: State, look: Look, context: GateContext) -> State:
        """The state after one more look; never mutates the one given."""
        ...

    def judge(self, gate: Gate, state: State, context: GateContext) -> Verdict:
        """The verdict now. Unknown before `min_samples`, save for a breaker that has already decided."""
        ...


class WithoutSeries:
    """Base of the kinds that read nothing from pods: nothing is compared, and nothing is remembered between looks."""

    spends_alpha = False

    def series(self, gate: Gate) -> tuple[str, ...]:
        return ()

    def compares(self, gate: Gate) -> bool:
        return False

    def start(self, gate: Gate, context: GateContext) -> State:
        return {}

    def fold(self, gate: Gate, state: State, look: Look, context: GateContext) -> State:
        return state


T = TypeVar("T")


def present(value: T | None) -> T:
    """The settings of a gate's own kind, which the API promises to be there."""
    if value is None:
        raise ValueError("the gate is of another kind")
    return value


def unknown(gate: Gate, context: GateContext, sentence: str, reason: str, bound: float | None = None) -> Verdict:
    """No evidence: neither good nor bad."""
    return Verdict(gate.name, Result.UNKNOWN, sentence, reason, bound=bound, samples=context.candidate_samples)


def are_too_few(gate: Gate, samples: Floats) -> NDArray[np.bool_]:
    """At which looks `too_few` has something to say."""
    return np.asarray(np.floor(samples) < max(gate.min_samples, 1))


def too_few(gate: Gate, context: GateContext) -> Verdict | None:
    """Unknown while the candidate has answered nothing, or less than the gate's `min_samples`."""
    if context.candidate_samples == 0:
        return unknown(
            gate, context, f"{context.candidate} has answered no request that counts yet", "InsufficientSamples"
        )
    if context.candidate_samples < gate.min_samples:
        sentence = f"{context.candidate} has answered {context.candidate_samples:,} of the {gate.min_samples:,} requests needed"
        return unknown(gate, context, sentence, "InsufficientSamples")
    return None
