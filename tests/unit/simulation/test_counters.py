"""What pods count follows from the requests that they are given, and from nothing else."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from modelward.simulation.columns import columns_of
from modelward.simulation.counters import AWAY, Counters
from modelward.simulation.recording import Counted, Interval

BEGAN = datetime(2026, 10, 1, tzinfo=UTC)
INTERVALS = 700
EDGES = {"latency": (0.1, 0.25), "feature/age": (1.0, 2.0, 3.0)}
SERIES = ("requests", "errors", *EDGES)


def recorded(random: np.random.Generator) -> tuple[Interval, ...]:
    """About 40 requests in each interval, of which nine in ten have an age."""

    def counted() -> Counted:
        requests = int(random.poisson(40))
        slow, ages = int(random.binomial(requests, 0.1)), random.multinomial(random.binomial(requests, 0.9), [0.25] * 4)
        errors = float(random.binomial(requests, 0.05))
        return Counted(requests, errors, (requests - slow, 0.0, slow), {"age": tuple(map(float, ages))})

    return tuple(Interval(BEGAN + timedelta(minutes=at), {"v8": counted()}) for at in range(1, INTERVALS + 1))


def counters(intervals: tuple[Interval, ...]) -> Counters:
    return Counters("v8", columns_of(intervals, "v8"), EDGES, seed=1)


def split(random: np.random.Generator) -> np.ndarray:
    """Pods that come, get other shares of the requests for some time each, and go."""
    lengths = random.integers(1, 300, INTERVALS)
    return np.repeat(random.choice([AWAY, 0.0, 4.0, 40.0, 400.0], INTERVALS), lengths)[:INTERVALS]


@pytest.mark.parametrize("seed", range(5))
def test_it_matters_neither_when_counters_are_read_nor_what_was_tried_before(seed: int) -> None:
    random = np.random.default_rng(seed)
    intervals, given = recorded(random), split(random)
    straight, wandering = counters(intervals), counters(intervals)
    straight.give(0, given)
    at = 0
    while at < INTERVALS:
        for requests in (split(random), given):
            end = int(random.integers(at, INTERVALS)) + 1
            wandering.give(at, requests[at:end])
            for series in random.choice(SERIES, 2):
                wandering.counted(series, 0, [int(random.integers(at, end + 1))])
        at = end
    for series in SERIES:
        moments = range(INTERVALS + 1)
        assert np.array_equal(wandering.counted(series, 0, moments), straight.counted(series, 0, moments)), series


def test_as_many_requests_as_were_recorded_count_what_was_recorded() -> None:
    intervals = recorded(np.random.default_rng(1))
    pods = counters(intervals)
    pods.give(0, np.array([interval.counted["v8"].requests for interval in intervals]))
    ages = [interval.counted["v8"].features["age"] for interval in intervals]
    assert pods.counted("feature/age", 0, [INTERVALS]).tolist() == [np.sum(ages, axis=0).tolist()]
    assert pods.counted("errors", 0, [INTERVALS]).tolist() == [sum(each.counted["v8"].errors for each in intervals)]


def test_ten_times_as_many_requests_have_the_recorded_shares() -> None:
    intervals = recorded(np.random.default_rng(1))
    requests = np.array([interval.counted["v8"].requests for interval in intervals])
    pods = counters(intervals)
    pods.give(0, 10 * requests)
    (total,) = pods.counted("requests", 0, [INTERVALS]).tolist()
    (latency,) = pods.counted("latency", 0, [INTERVALS]).tolist()
    (ages,) = pods.counted("feature/age", 0, [INTERVALS]).tolist()
    assert total == sum(latency) == 10 * requests.sum()
    assert latency[2] / total == pytest.approx(0.1, rel=0.05)
    assert sum(ages) / total == pytest.approx(0.9, rel=0.01)


def test_pods_that_are_started_anew_count_from_zero_and_nothing_while_there_are_none() -> None:
    pods = counters(recorded(np.random.default_rng(1)))
    pods.give(0, np.array([40.0, 40.0, AWAY, AWAY, 30.0]))
    assert pods.counted("requests", 0, [1, 2, 4]).tolist() == [40, 80, 80]
    assert pods.counted("requests", 4, [4, 5]).tolist() == [0, 30]
    assert pods.totals()[1] == 110
