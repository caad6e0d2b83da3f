"""The answer of a gate, and what a gate may look at. Four results, because 'no evidence' is never a pass."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from modelward.api.gates import Gate
from modelward.api.model_evaluation import ModelEvaluation
from modelward.api.model_version import Baseline
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
    advisory: bool = False


@dataclass(frozen=True)
class Look:
    """One interval of a stage: what candidate and incumbent counted in it.

    incumbent is None where there is nothing to compare with (first version, watch after promotion).
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
    problem: str | None = None  # why the newest reading could not be used, as one sentence
    problem_reason: str = "MetricsUnavailable"
    evaluations: tuple[ModelEvaluation, ...] = ()  # of candidate and incumbent
    candidate_digest: str = ""
    incumbent_digest: str = ""
    query: QueryAnswer | None = None
    incumbent_lifetime: Mapping[str, float] = field(default_factory=dict)  # counters before the stage, for p0


class GateKind(Protocol):
    """One kind of gate: pure functions of its spec, its state and the newest look."""

    spends_alpha: bool  # does it take a share of the rollout's alpha?

    def series(self, gate: Gate) -> tuple[str, ...]:
        """Prefixes of the series (see stats.readings) that this gate needs in a reading."""
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
