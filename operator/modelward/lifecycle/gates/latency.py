"""`latency`: do more of the candidate's requests take longer than the objective than the incumbent's do?

The share of requests above a bucket edge is an exact proportion, which a quantile read out of buckets is not. An objective that is
no edge is judged at the next lower edge, where more requests count as slow.
"""

import math

import numpy as np

from modelward.api.gates import Gate
from modelward.lifecycle.gates import rates
from modelward.lifecycle.gates.rates import Rate, RateRule, Rates
from modelward.lifecycle.gates.verdict import (
    Counts,
    Floats,
    Followed,
    GateContext,
    Look,
    Looks,
    State,
    Verdict,
    present,
    unknown,
)
from modelward.lifecycle.gates.wording import number
from modelward.stats.binning import common_edges
from modelward.stats.readings import Binned

SERIES = "latency"


class LatencyKind:
    """P(latency > slo), by the machinery of error rates."""

    spends_alpha = True

    def series(self, gate: Gate) -> tuple[str, ...]:
        return ("requests", SERIES)

    def compares(self, gate: Gate) -> bool:
        return True

    def start(self, gate: Gate, context: GateContext) -> State:
        return {**rates.empty(), "edge": None, "no_edge": False}

    def fold(self, gate: Gate, state: State, look: Look, context: GateContext) -> State:
        ours = look.candidate.binned.get(SERIES)
        if ours is None:
            return state
        theirs = None if look.incumbent is None else look.incumbent.binned.get(SERIES)
        edge = _edge(gate, state["edge"], ours, theirs)
        if edge is None:
            return {**state, "no_edge": True}
        # Another edge measures another share, which must not be added to the old one.
        known = state if edge == state["edge"] else self.start(gate, context)
        incumbent = None if theirs is None else _above(theirs, edge)
        counted = rates.fold(_rule(gate, edge), known, _above(ours, edge), incumbent, _before(context, edge), context)
        return {**counted, "edge": edge, "no_edge": False}

    def follow(self, gate: Gate, state: State, looks: Looks, samples: Floats, context: GateContext) -> Followed | None:
        edge = state["edge"]
        candidate = _rates_above(looks.candidate, edge)
        incumbent = None if looks.incumbent is None else _rates_above(looks.incumbent, edge)
        if candidate is None or (looks.incumbent is not None and incumbent is None):
            return None
        return rates.follow(_rule(gate, edge), gate, state, candidate, incumbent, samples, context)

    def judge(self, gate: Gate, state: State, context: GateContext) -> Verdict:
        if state["no_edge"]:
            slo = number(_slo(gate))
            sentence = (
                f"the latency histogram has no bucket edge at or below {slo} s that both versions share:"
                " raise the slo of the gate, or give the servers a bucket there"
            )
            return unknown(gate, context, sentence, "InvalidResult")
        return rates.judge(_rule(gate, state["edge"]), gate, state, context)


def _slo(gate: Gate) -> float:
    return present(gate.latency).slo.total_seconds()


def _rule(gate: Gate, edge: float | None) -> RateRule:
    spec, slo = present(gate.latency), _slo(gate)
    noun = f"requests slower than {number(slo)} s"
    if edge is not None and not _same(edge, slo):
        noun = f"requests slower than {number(edge)} s (the bucket edge below the objective of {number(slo)} s)"
    return RateRule(noun, spec.max_increase, spec.abort_above)


def _edge(gate: Gate, current: float | None, ours: Binned, theirs: Binned | None) -> float | None:
    """The edge in use while both still have it, else the highest one that both have and that is not above the objective."""
    slo = _slo(gate)
    edges = ours.edges if theirs is None else common_edges(ours.edges, theirs.edges)
    if current in edges:
        return current
    return max((edge for edge in edges if edge <= slo or _same(edge, slo)), default=None)


def _above(binned: Binned, edge: float) -> Rate:
    first_above = binned.edges.index(edge) + 1
    return Rate(sum(binned.counts[first_above:]), sum(binned.counts))


def _rates_above(counts: Counts, edge: float | None) -> Rates | None:
    """None where the edge in use is still to be found."""
    edges, counted = counts.binned.get(SERIES, ((), np.zeros((0, 0))))
    if edge is None or edge not in edges:
        return None
    # In order, as `_above` adds them.
    above = np.add.accumulate(counted[:, edges.index(edge) + 1 :], axis=1)[:, -1]
    return Rates(above, np.add.accumulate(counted, axis=1)[:, -1])


def _before(context: GateContext, edge: float) -> Rate:
    earlier = context.incumbent_lifetime.binned.get(SERIES)
    return _above(earlier, edge) if earlier is not None and edge in earlier.edges else Rate(0, 0)


def _same(edge: float, slo: float) -> bool:
    return math.isclose(edge, slo, rel_tol=1e-9)
