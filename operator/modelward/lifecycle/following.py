"""Many looks in a row at versions that do nothing but count: gone through at once, for as long as every gate goes on saying the same.

What `evidence.fold` and `evidence.judge` do look by look, with the same numbers, is done here for arrays of looks. A look at which
something else may happen is left to them: the first of a stage, the last of a warm-up or of a window, one that could not be read,
and one at which a gate says something new.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import takewhile

import numpy as np

from modelward.api.gates import Gate
from modelward.lifecycle.evidence import (
    Evidence,
    GateMemory,
    Inputs,
    Shares,
    VersionMemory,
    caught_up,
    context_of,
    has_failed,
)
from modelward.lifecycle.gates.registry import kind_for
from modelward.lifecycle.gates.verdict import Floats, Followed, FollowsLooks, Looks
from modelward.stats.readings import Reading


@dataclass(frozen=True)
class Stretch:
    """The first so many looks of those that were asked about, and the way to the evidence after them."""

    looks: int
    before: Evidence
    at: Sequence[datetime]
    counted: Looks
    gates: tuple[tuple[Gate, Followed | None], ...]  # None: nothing counts for it during these looks
    inputs: Inputs

    def after(self, candidate: Reading, incumbent: Reading | None) -> Evidence:
        """The evidence after these looks, of the last of which these are the readings."""
        ours = self.counted.candidate.counters["requests"][: self.looks]
        shares = self.before.shares
        if self.counted.incumbent is not None:
            theirs = self.counted.incumbent.counters["requests"][: self.looks]
            shares = Shares(_sum(shares.candidate, ours), _sum(shares.incumbent, theirs))
        gates = {
            gate.name: self._remembered(gate, followed, ours)
            for gate, followed in self.gates
            if followed is not None
        }  # fmt: skip
        return replace(
            caught_up(self.before, candidate, incumbent, [gate for gate, _ in self.gates], self.inputs),
            evaluated_at=self.at[self.looks - 1],
            counted_at=self.at[self.looks - 1],
            looks=self.before.looks + self.looks,
            samples=_sum(self.before.samples, ours),
            shares=shares,
            gates={**self.before.gates, **gates},
        )

    def _remembered(self, gate: Gate, followed: Followed, requests: Floats) -> GateMemory:
        memory = self.before.gates[gate.name]
        return replace(
            memory,
            state=followed.state(self.looks),
            samples=_sum(memory.samples, requests),
            looks=memory.looks + self.looks,
        )


def follow(
    evidence: Evidence,
    at: Sequence[datetime],
    counted: Looks,
    traffic_key: str,
    gates: Sequence[Gate],
    inputs: Inputs,
) -> Stretch:
    """The longest stretch of looks at these times that can be gone through at once: it may have none."""
    looks = len(at) if _goes_on(evidence, counted, traffic_key, inputs) else 0
    followed: list[tuple[Gate, Followed | None]] = []
    for gate in gates:
        if looks:
            reached, each = _follow_gate(evidence, gate, at[:looks], counted, inputs)
            looks = min(looks, reached)
            followed.append((gate, each))
    return Stretch(looks, evidence, at, counted, tuple(followed), inputs)


def _goes_on(evidence: Evidence, counted: Looks, traffic_key: str, inputs: Inputs) -> bool:
    """Was the last look one that the next can be added to without further thought?"""
    compared = counted.incumbent is not None
    return (
        evidence.counted_at is not None
        and evidence.counted_at == evidence.evaluated_at
        and evidence.traffic_key == traffic_key
        and evidence.aligned == compared == (inputs.incumbent is not None)
        and _is_sound(evidence.candidate)
        and (_is_sound(evidence.incumbent) or not compared)
    )


def _is_sound(memory: VersionMemory) -> bool:
    return memory.problem is None and not memory.invalid


def _follow_gate(
    evidence: Evidence, gate: Gate, at: Sequence[datetime], counted: Looks, inputs: Inputs
) -> tuple[int, Followed | None]:
    """How many looks can be gone through, and what the gate has gathered by then."""
    warm_at = evidence.started_at + gate.warmup
    if (evidence.counted_at or evidence.started_at) < warm_at:
        return _many(time < warm_at for time in at), None
    memory, kind = evidence.gates.get(gate.name), kind_for(gate)
    if memory is None or not isinstance(kind, FollowsLooks) or (gate.window and memory.since is None):
        return 0, None
    looks = at
    if gate.window and memory.since:
        ends = memory.since + gate.window
        looks = [time for time in at if time < ends]
    samples = np.add.accumulate(np.concatenate([[memory.samples], counted.candidate.counters["requests"]]))
    followed = kind.follow(gate, memory.state, counted, samples, context_of(gate, memory, inputs))
    if followed is None:
        return 0, None
    if has_failed(memory):  # and stays failed until its window is over
        return len(looks), followed
    return _many(followed.codes[1 : len(looks) + 1] == followed.codes[0]), followed


def _many(flags: Iterable[bool]) -> int:
    """How many of the first are true."""
    return sum(1 for _ in takewhile(bool, flags))


def _sum(start: float, added: Floats) -> float:
    """In order, as one look after another would add them."""
    return float(np.add.accumulate(np.concatenate([[start], added]))[-1])
