"""Readings, gates and inputs for tests of evidence, in few words."""

from datetime import UTC, datetime, timedelta

from modelward.api.gates import Gate
from modelward.lifecycle.evidence import Evidence, Inputs, begin, fold, judge
from modelward.stats.readings import Binned, PodReading, Reading

BEGAN = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
EDGES = (0.1, 0.25, 0.5, 1.0)


def gate(**fields):
    return Gate.model_validate({"name": "gate", **fields})


def inputs(minute=0, **changes):
    return Inputs(
        **{"now": BEGAN + timedelta(minutes=minute), "candidate": "v8", "incumbent": "v7", "alpha": 0.05, **changes}
    )


def pod(minute, name="a", started_minute=-600, **series):
    begin_at = BEGAN.timestamp()
    return PodReading(name, begin_at + 60 * started_minute, begin_at + 60 * minute, series)


def reading(version, minute, *pods, **series):
    """One pod with these series, unless pods are given."""
    return Reading(version, BEGAN.timestamp() + 60 * minute, pods or (pod(minute, f"{version}-a", **series),))


def unreadable(version, minute, problem="pod v8-a answered with HTML", reason="MetricsUnavailable"):
    return Reading(version, BEGAN.timestamp() + 60 * minute, (), problem, reason)


def latency(total, slow):
    """So many requests, of which so many took between half a second and a second."""
    return Binned(EDGES, (total - slow, 0.0, 0.0, slow, 0.0))


class Stage:
    """A stage under way: every look adds to both versions' counters and is folded."""

    def __init__(self, *gates, incumbent="v7", alpha=0.05, **context):
        self.gates, self.context = gates, {"incumbent": incumbent, "alpha": alpha, **context}
        self.evidence: Evidence = begin("canary", BEGAN, "v8=10")
        self.minute, self.ours, self.theirs = 0, {}, {}
        self.look()

    def look(self, ours=None, theirs=None, traffic="v8=10"):
        self.minute += 1
        self.ours, self.theirs = _sum(self.ours, ours or {}), _sum(self.theirs, theirs or {})
        incumbent = reading("v7", self.minute, **self.theirs) if self.context["incumbent"] else None
        self.fold(reading("v8", self.minute, **self.ours), incumbent, traffic)
        return self

    def looks(self, count, ours, theirs=None):
        for _ in range(count):
            self.look(ours, theirs)
        return self

    def fold(self, candidate, incumbent, traffic="v8=10"):
        self.evidence = fold(
            self.evidence, candidate, incumbent, traffic, self.gates, inputs(self.minute, **self.context)
        )
        return self

    def verdicts(self, **changes):
        return judge(self.evidence, self.gates, inputs(self.minute, **{**self.context, **changes}))

    def verdict(self, **changes):
        return self.verdicts(**changes)[0]


def _sum(before, more):
    return {name: _added(before.get(name), more.get(name)) for name in before.keys() | more.keys()}


def _added(first, second):
    if first is None or second is None:
        return second if first is None else first
    if isinstance(first, Binned):
        return Binned(first.edges, tuple(a + b for a, b in zip(first.counts, second.counts, strict=True)))
    if isinstance(first, dict):
        return {name: first.get(name, 0.0) + second.get(name, 0.0) for name in first.keys() | second.keys()}
    return first + second
