"""How versions run, by the newest counters of their pods: never a number from nothing."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from modelward.lifecycle.evidence import Evidence, Shares, VersionMemory
from modelward.lifecycle.operations import operations_of
from modelward.stats.increments import PodMemory
from modelward.stats.readings import Binned
from tests.unit.gates.builders import BEGAN, gate

GATES = (
    gate(name="slow", latency={"slo": "250ms", "maxIncrease": 0.05}),
    gate(name="predictions", predictionDrift={"threshold": 0.1}),
)
NOW = BEGAN + timedelta(minutes=30)
SECONDS = Binned((0.1, 0.5, 1.0), (600.0, 300.0, 90.0, 10.0))
SCORES = Binned((0.25, 0.5, 0.75), (400.0, 300.0, 200.0, 100.0))
SERIES = {"requests": 1000.0, "errors": 20.0, "latency": SECONDS, "prediction": SCORES}


def pod(minutes_old=20, read_before=0, **series):
    """A pod that started so many minutes ago and was read so many seconds before the newest look."""
    at = NOW.timestamp()
    return PodMemory(at - 60 * minutes_old, at - read_before, SERIES | series)


def without(name, **options):
    kept = pod(**options)
    return replace(kept, series={each: value for each, value in kept.series.items() if each != name})


def candidate(*pods, gates=GATES, samples=0.0, **memory):
    version = VersionMemory(pods={str(place): each for place, each in enumerate(pods)}, **memory)
    evidence = Evidence(
        "Canary", BEGAN, "v8=10", evaluated_at=NOW, counted_at=NOW, looks=30, samples=samples, candidate=version
    )
    return operations_of(evidence, gates, "v8", None)[0]


def test_figures_are_of_all_pods_since_the_first_of_them_started():
    found = candidate(pod(minutes_old=20), pod(minutes_old=10))
    assert (found.since, found.until) == (NOW - timedelta(minutes=20), NOW)
    assert found.requests == 2000
    assert found.per_second.value == pytest.approx(2000 / 1200)
    assert found.per_second.low < 2000 / 1200 < found.per_second.high
    assert found.error_rate.value == 0.02
    assert [each.seconds.value for each in found.latency][:2] == pytest.approx([0.1 * 5 / 6, 0.5 + 0.5 * 50 / 90])
    assert (found.age, found.pods_read, found.pods_known, found.unknown) == (0.0, 2, 2, {})


def test_a_quantile_beyond_the_highest_bucket_is_at_least_its_edge():
    slow = Binned((0.1, 0.5, 1.0), (900.0, 0.0, 0.0, 100.0))
    median, *high = candidate(pod(latency=slow)).latency
    assert not median.saturated
    assert [(each.saturated, each.seconds.value, each.seconds.high) for each in high] == [(True, 1.0, None)] * 2


def test_shares_of_scores_have_intervals_that_hold_at_once():
    found = candidate(pod()).confidence
    assert [each.bin for each in found] == ["up to 0.25", "0.25 to 0.5", "0.5 to 0.75", "above 0.75"]
    assert [each.share.value for each in found] == [0.4, 0.3, 0.2, 0.1]
    assert all(each.share.low < each.share.value < each.share.high for each in found)


@pytest.mark.parametrize(
    ("pods", "memory", "fields", "because"),
    [
        ((), {}, ("requests", "perSecond", "latency", "errorRate", "confidence"), "no pod of it has been read yet"),
        ((), {"problem": "pod a answered 503"}, ("requests", "errorRate"), "pod a answered 503"),
        ((pod(),), {"invalid": {"latency": "the server has no latency"}}, ("latency",), "the server has no latency"),
        ((pod(), pod(errors=None)), {}, ("errorRate",), "series errors of one of its pods was invalid"),
        ((without("latency"),), {}, ("latency",), "no pod of it shows latency"),
        ((without("errors"),), {}, ("errorRate",), "no pod of it shows requests and errors"),
        ((pod(requests=0.0),), {}, ("errorRate",), "it has answered no request"),
        ((pod(requests=5.0),), {}, ("errorRate",), "its pods count more errors (20) than requests (5)"),
        ((pod(latency=Binned((1.0,), (0.0, 0.0))),), {}, ("latency",), "it has answered no request"),
        (
            (pod(), pod(latency=Binned((0.2, 2.0), (1.0, 1.0, 1.0)))),
            {},
            ("latency",),
            "the histograms of latency of its pods have no edge in common",
        ),
        (
            (pod(prediction={"yes": 3.0}),),
            {},
            ("confidence",),
            "its pods show prediction as categories, not as a histogram",
        ),
        (
            (pod(prediction=Binned((10.0, 20.0), (1.0, 1.0, 1.0))),),
            {},
            ("confidence",),
            "its predictions are not scores from 0 to 1",
        ),
        (
            (pod(minutes_old=-5),),
            {},
            ("perSecond",),
            "no time has passed since its pods started, by the clocks of those who say so",
        ),
    ],
    ids=[
        "no pod",
        "never readable",
        "refused by the preset",
        "invalid on one pod",
        "no latency",
        "no errors",
        "no request",
        "more errors than requests",
        "empty histogram",
        "edges that differ",
        "classes",
        "amounts",
        "skewed clock",
    ],
)
def test_what_is_not_there_is_unknown_and_says_why(pods, memory, fields, because):
    found = candidate(*pods, **memory)
    figures = {
        "requests": found.requests,
        "perSecond": found.per_second,
        "latency": found.latency,
        "errorRate": found.error_rate,
        "confidence": found.confidence,
    }
    assert [figures[name] for name in fields] == [() if name in ("latency", "confidence") else None for name in fields]
    assert {found.unknown[name] for name in fields} == {because}


def test_what_no_gate_reads_is_unknown():
    found = candidate(pod(), gates=())
    assert found.unknown == {
        "latency": "no gate reads its latency",
        "confidence": "no gate reads its prediction",
    }


def test_requests_without_errors_shown_leave_their_pod_out_of_the_error_rate():
    assert candidate(pod(), without("errors")).error_rate.value == 0.02


@pytest.mark.parametrize(
    "lost", [{"samples": 5000.0}, {"forgotten_until": BEGAN.timestamp()}], ids=["counters began anew", "pods forgotten"]
)
def test_requests_that_are_lost_leave_throughput_without_an_upper_end(lost):
    assert candidate(pod(), **lost).per_second.high is None


def test_a_pod_that_is_gone_is_known_and_not_read():
    found = candidate(pod(), pod(read_before=25), pod(read_before=61))
    assert (found.pods_read, found.pods_known) == (2, 3)


def test_a_look_that_could_not_be_used_read_no_pod_and_lets_the_newest_reading_age():
    found = candidate(pod(read_before=300), problem="pod a answered 503", reason="MetricsUnavailable")
    assert (found.pods_read, found.pods_known, found.age) == (0, 1, 300.0)
    assert found.requests == 1000


def test_an_incumbent_has_figures_of_its_own():
    memory = VersionMemory(pods={"b": without("latency")})
    evidence = Evidence("Canary", BEGAN, "v8=10", NOW, NOW, looks=30, shares=Shares(10, 4000), incumbent=memory)
    ours, theirs = operations_of(evidence, GATES, "v8", "v7")
    assert (ours.role, theirs.role, theirs.version) == ("candidate", "incumbent", "v7")
    assert ours.requests is None
    assert (theirs.requests, theirs.per_second.high) == (1000, None)
    assert theirs.unknown["latency"] == "no pod of it shows latency"


def test_intervals_of_throughput_and_errors_hold_as_often_as_they_say():
    random, rate, errors = np.random.default_rng(3), 2.0, 0.05
    held = np.zeros(2)
    for _ in range(400):
        answered = random.poisson(rate * 1200)
        found = candidate(pod(requests=float(answered), errors=float(random.binomial(answered, errors))))
        held += [
            found.per_second.low <= rate <= found.per_second.high,
            found.error_rate.low <= errors <= found.error_rate.high,
        ]
    assert (held / 400 > 0.92).all()
