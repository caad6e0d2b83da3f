"""Many looks that are gone through at once say, and leave behind, what they do one after another."""

from dataclasses import replace

import numpy as np
import pytest

from modelward.lifecycle.evidence import GateMemory, context_of
from modelward.lifecycle.gates.registry import kind_for
from modelward.lifecycle.gates.verdict import Code, Counts, FollowsLooks, Look, Looks, Result
from modelward.stats.readings import Binned, Increment
from tests.unit.gates.builders import gate, inputs
from tests.unit.gates.test_drift_gates import BASELINE, EDGES, SHIFTED, USUAL

LOOKS, BEGUN = 60, 5
SLOW_EDGES = (0.1, 0.25)
CODES = {result: Code[result.name] for result in Result}
GATES = {
    "errors": gate(errorRate={"maxIncrease": 0.01, "abortAbove": 0.1}, minSamples=600),
    "errors without a limit": gate(errorRate={"maxIncrease": 0.02}),
    "latency": gate(latency={"slo": "250ms", "maxIncrease": 0.02, "abortAbove": 0.3}),
    "drift by PSI": gate(drift={"threshold": 0.1, "maxDriftedShare": 0.4, "features": ["income", "age"]}),
    "drift by JS": gate(drift={"threshold": 0.12, "method": "JS", "features": ["income", "age"]}),
    "one feature": gate(drift={"threshold": 0.1, "features": ["income"]}, minSamples=900),
    "over the incumbent": gate(drift={"threshold": 0.06, "reference": "Incumbent"}),
    "over the incumbent by JS": gate(drift={"threshold": 0.12, "method": "JS", "reference": "Incumbent"}),
    "predictions": gate(predictionDrift={"threshold": 0.1}),
}


def traffic(random, usual, moved, share):
    """What a version counts in each of many intervals, in the second third of which it becomes another one."""
    totals = random.poisson(usual, LOOKS) * (random.random(LOOKS) > 0.1)
    moved_by = np.clip(np.arange(LOOKS) * 3 / LOOKS - 1, 0, 1) * moved

    def binned():
        shares = [(1 - by) * USUAL + by * SHIFTED for by in moved_by]
        return np.array([random.multinomial(*each) for each in zip(totals, shares, strict=True)], float)

    errors = random.binomial(totals, 0.01 + share * moved_by).astype(float)
    latency = np.stack([totals - errors, np.zeros(LOOKS), errors], axis=1).astype(float)
    distributions = {name: (EDGES, binned()) for name in ("feature/income", "feature/age", "prediction")}
    counters = {"requests": totals.astype(float), "errors": errors}
    return Counts(counters, {"latency": (SLOW_EDGES, latency), **distributions})


def increment(counts, look):
    binned = {name: Binned(edges, tuple(rows[look].tolist())) for name, (edges, rows) in counts.binned.items()}
    return Increment({name: float(each[look]) for name, each in counts.counters.items()}, binned)


def from_look(counts, first):
    binned = {name: (edges, rows[first:]) for name, (edges, rows) in counts.binned.items()}
    return Counts({name: each[first:] for name, each in counts.counters.items()}, binned)


def code_of(verdict):
    return Code.BROKEN if verdict.reason == "BreakerTripped" else CODES[verdict.result]


@pytest.mark.parametrize("moved", [0.0, 0.7, 1.0], ids=["as before", "a little worse", "much worse"])
@pytest.mark.parametrize("of_kind", GATES.values(), ids=list(GATES))
def test_the_same_verdicts_and_the_same_memory(of_kind, moved):
    random, kind = np.random.default_rng(3), kind_for(of_kind)
    assert isinstance(kind, FollowsLooks)
    ours, theirs = traffic(random, 60, moved, 0.3), traffic(random, 400, 0.0, 0.0)
    lifetime = {name: Binned(edges, tuple(rows.sum(axis=0))) for name, (edges, rows) in theirs.binned.items()}
    before = Increment({"requests": 24_000.0, "errors": 240.0}, lifetime)

    def context(memory):
        return replace(context_of(of_kind, memory, inputs(baseline=BASELINE)), incumbent_lifetime=before)

    state, samples = kind.start(of_kind, context(GateMemory({}))), 0.0
    memories, codes = [], []
    for at in range(LOOKS):
        look = Look(60.0, increment(ours, at), increment(theirs, at))
        state = kind.fold(of_kind, state, look, context(GateMemory(state, samples)))
        samples += look.candidate.counters["requests"]
        memories.append(GateMemory(state, samples))
        codes.append(code_of(kind.judge(of_kind, state, context(memories[-1]))))

    begun = memories[BEGUN - 1]
    counted = np.add.accumulate([begun.samples, *ours.counters["requests"][BEGUN:]])
    looks = Looks(from_look(ours, BEGUN), from_look(theirs, BEGUN))
    followed = kind.follow(of_kind, begun.state, looks, counted, context(begun))
    assert followed.codes.tolist() == codes[BEGUN - 1 :]
    states = [followed.state(at) for at in range(LOOKS - BEGUN + 1)]
    assert states == [memory.state for memory in memories[BEGUN - 1 :]]
    assert moved < 1 or codes[-1] in (Code.FAIL, Code.BROKEN)
