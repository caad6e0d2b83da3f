"""The memory of a stage: nothing lost, nothing counted twice, and nothing concluded from nothing."""

import json

import pytest

from modelward.lifecycle.evidence import (
    FORGET_AFTER,
    LARGEST,
    Evidence,
    Shares,
    begin,
    bounded,
    candidate_series,
    fold,
    incumbent_series,
    judge,
    split_alpha,
)
from modelward.lifecycle.gates.verdict import Result
from modelward.lifecycle.share_check import ShareResult, mirror_verdict, share_verdict
from modelward.stats.readings import Binned
from tests.unit.gates.builders import BEGAN, Stage, gate, inputs, latency, pod, reading, unreadable

ERRORS = gate(name="errors", errorRate={"maxIncrease": 0.005, "abortAbove": 0.2})
LATENCY = gate(name="latency", latency={"slo": "500ms", "maxIncrease": 0.01})
GATES = (ERRORS, LATENCY)


def counted(**counters):
    return {name: float(value) for name, value in counters.items()}


def killed(evidence):
    """What an operator finds in status after a restart."""
    return Evidence.from_dict(json.loads(json.dumps(evidence.to_dict())))


def rollout(minutes=14):
    """Readings of both versions, minute by minute: pods restart, come and go."""
    for minute in range(1, minutes):
        ours = [
            pod(
                minute,
                "v8-a",
                requests=100.0 * minute,
                errors=1.0 * minute,
                latency=latency(100.0 * minute, 2.0 * minute),
            )
        ]
        if minute >= 4:
            age = minute - 3
            ours.append(pod(minute, "v8-b", 3.5, requests=50.0 * age, errors=0.0, latency=latency(50.0 * age, 0.0)))
        if minute >= 8:  # restarted: its counters begin again
            ours[0] = pod(
                minute, "v8-a", requests=90.0 * (minute - 7), errors=2.0, latency=latency(90.0 * (minute - 7), 1.0)
            )
        if minute == 10:
            ours.pop()  # not there for one scrape
        theirs = pod(
            minute,
            "v7-a",
            requests=7000.0 + 800 * minute,
            errors=70.0 + 8 * minute,
            latency=latency(7000.0 + 800 * minute, 100.0 + 16 * minute),
        )
        yield minute, reading("v8", minute, *ours), reading("v7", minute, theirs)


def test_evidence_is_the_same_after_being_written_and_read():
    evidence = begin("canary", BEGAN, "v8=10")
    for minute, ours, theirs in rollout():
        evidence = fold(evidence, ours, theirs, "v8=10", GATES, inputs(minute))
        assert killed(evidence) == evidence


def test_a_kill_between_any_two_evaluations_changes_no_verdict():
    steady, restarted = begin("canary", BEGAN, "v8=10"), begin("canary", BEGAN, "v8=10")
    for minute, ours, theirs in rollout():
        steady = fold(steady, ours, theirs, "v8=10", GATES, inputs(minute))
        restarted = fold(killed(restarted), ours, theirs, "v8=10", GATES, inputs(minute))
        assert judge(restarted, GATES, inputs(minute)) == judge(steady, GATES, inputs(minute))


@pytest.mark.parametrize("lost", range(2, 13))
def test_a_kill_before_the_write_loses_no_request_and_doubles_none(lost):
    """The evaluation at minute `lost` was folded and never written; the next one covers both intervals."""
    whole, broken = begin("canary", BEGAN, "v8=10"), begin("canary", BEGAN, "v8=10")
    for minute, ours, theirs in rollout():
        whole = fold(whole, ours, theirs, "v8=10", GATES, inputs(minute))
        if minute != lost:
            broken = fold(killed(broken), ours, theirs, "v8=10", GATES, inputs(minute))
    # A process that restarted in the gap takes what it counted after the last written look with it, in any system that scrapes.
    gone = 100.0 if lost == 7 else 0.0
    assert whole.samples - broken.samples == pytest.approx(gone)
    assert whole.shares.incumbent == broken.shares.incumbent


def test_the_same_reading_folded_twice_counts_once():
    stage = Stage(*GATES).looks(3, counted(requests=100, errors=1), counted(requests=900, errors=9))
    before = stage.evidence
    stage.look()
    assert stage.evidence.samples == before.samples
    assert stage.evidence.shares == before.shares
    assert stage.evidence.gates["errors"].state == before.gates["errors"].state


def test_what_pods_counted_before_the_stage_is_only_recorded():
    evidence = fold(
        begin("canary", BEGAN, "k"),
        reading("v8", 1, requests=5e5),
        reading("v7", 1, requests=9e6),
        "k",
        GATES,
        inputs(1),
    )
    assert evidence.samples == 0
    assert evidence.shares == Shares()


def test_a_pod_that_vanishes_and_comes_back_is_not_counted_twice():
    evidence = begin("canary", BEGAN, "k")
    both = lambda minute, n: (pod(minute, "v8-a", requests=n), pod(minute, "v8-b", requests=n))  # noqa: E731
    for minute, pods in ((1, both(1, 100.0)), (2, both(2, 150.0)), (3, both(3, 200.0)[:1]), (4, both(4, 250.0))):
        evidence = fold(
            evidence, reading("v8", minute, *pods), reading("v7", minute, requests=1.0), "k", GATES, inputs(minute)
        )
    assert evidence.samples == 2 * 150


def test_a_week_of_pods_that_come_and_go_does_not_grow_the_memory():
    evidence, hour = begin("canary", BEGAN, "k"), FORGET_AFTER.total_seconds() / 60
    for turn in range(1, 100):
        minute = turn * (hour + 1)
        pods = (pod(minute, f"v8-{turn}", minute - 5, requests=10.0),)
        evidence = fold(
            evidence, reading("v8", minute, *pods), reading("v7", minute, requests=1.0), "k", GATES, inputs(minute)
        )
    assert evidence.samples == 990
    assert len(evidence.candidate.pods) <= 2
    returned = (pod(minute + 1, "v8-3", 3 * (hour + 1) - 5, requests=10.0),)
    again = fold(
        evidence,
        reading("v8", minute + 1, *returned),
        reading("v7", minute + 1, requests=1.0),
        "k",
        GATES,
        inputs(minute + 1),
    )
    assert again.samples == 990


def test_a_candidate_that_cannot_be_read_leaves_the_evidence_and_is_unknown():
    stage = Stage(*GATES).looks(12, counted(requests=1000, errors=10), counted(requests=9000, errors=90))
    assert stage.verdict().result is Result.PASS
    before = stage.evidence
    stage.fold(unreadable("v8", 14), reading("v7", 14, **stage.theirs))
    assert stage.evidence.gates == before.gates
    assert stage.evidence.counted_at == before.counted_at
    assert stage.evidence.evaluated_at is not None
    assert stage.evidence.samples == before.samples
    verdict = stage.verdict()
    assert (verdict.result, verdict.reason, verdict.sentence) == (
        Result.UNKNOWN,
        "MetricsUnavailable",
        "pod v8-a answered with HTML",
    )
    stage.look(counted(requests=1000, errors=10), counted(requests=9000, errors=90))
    assert stage.verdict().result is Result.PASS
    assert stage.evidence.samples == 13000


def test_a_version_without_any_readable_pod_is_unknown():
    stage = Stage(ERRORS).looks(12, counted(requests=1000, errors=10), counted(requests=9000, errors=90))
    empty = reading("v8", 14).__class__("v8", BEGAN.timestamp() + 840, ())
    stage.fold(empty, reading("v7", 14, **stage.theirs))
    assert stage.verdict().result is Result.UNKNOWN
    assert "no pod" in stage.verdict().sentence


def test_a_failure_stays_a_failure_when_the_metrics_go_missing():
    stage = Stage(ERRORS).looks(2, counted(requests=100, errors=90), counted(requests=900, errors=9))
    stage.fold(unreadable("v8", 4), None)
    assert stage.verdict().result is Result.FAIL


def test_the_breaker_works_while_the_incumbent_cannot_be_read():
    stage = Stage(ERRORS).looks(3, counted(requests=100, errors=1), counted(requests=900, errors=9))
    stage.fold(reading("v8", 5, **stage.ours), unreadable("v7", 5, "v7 cannot be reached"))
    assert stage.verdict().sentence == "v7 cannot be reached"
    broken = {**stage.ours, "requests": stage.ours["requests"] + 200, "errors": stage.ours["errors"] + 180}
    stage.fold(reading("v8", 6, **broken), unreadable("v7", 6, "v7 cannot be reached"))
    assert (stage.verdict().result, stage.verdict().reason) == (Result.FAIL, "BreakerTripped")


def test_intervals_of_different_length_are_never_compared():
    """The incumbent is missed once, then the candidate, then both are read: their last counted looks lie apart."""
    stage = Stage(ERRORS).looks(3, counted(requests=100, errors=1), counted(requests=900, errors=9))
    before = stage.evidence
    stage.fold(reading("v8", 5, **counted(requests=400, errors=4)), unreadable("v7", 5))
    stage.fold(unreadable("v8", 6), reading("v7", 6, **counted(requests=4500, errors=45)))
    stage.fold(
        reading("v8", 7, **counted(requests=500, errors=5)), reading("v7", 7, **counted(requests=5400, errors=54))
    )
    assert stage.evidence.gates["errors"].state["sums"] == before.gates["errors"].state["sums"]
    assert stage.evidence.shares == before.shares
    assert stage.evidence.gates["errors"].state["total"] == 500
    stage.fold(
        reading("v8", 8, **counted(requests=600, errors=6)), reading("v7", 8, **counted(requests=6300, errors=63))
    )
    assert stage.evidence.shares == Shares(before.shares.candidate + 100, before.shares.incumbent + 900)


def test_an_interval_in_which_the_weights_changed_is_compared_with_nothing():
    stage = Stage(ERRORS).looks(3, counted(requests=100, errors=1), counted(requests=900, errors=9))
    before = stage.evidence.gates["errors"].state["sums"]
    stage.look(counted(requests=300, errors=3), counted(requests=700, errors=7), traffic="v8=50")
    assert stage.evidence.gates["errors"].state["sums"] == before
    assert stage.evidence.gates["errors"].state["total"] == 600
    assert stage.evidence.shares == Shares()
    stage.look(counted(requests=500, errors=5), counted(requests=500, errors=5), traffic="v8=50")
    assert stage.evidence.shares == Shares(500, 500)


def test_an_interval_that_began_in_the_warm_up_does_not_count():
    stage = Stage(gate(name="errors", errorRate={}, warmup="3m"))
    stage.look(counted(requests=100, errors=90), counted(requests=900))
    assert stage.verdict().reason == "WarmingUp"
    assert "09:03:00 UTC" in stage.verdict().sentence
    stage.look(counted(requests=100, errors=90), counted(requests=900))
    assert stage.evidence.gates["errors"].samples == 0
    stage.look(counted(requests=100, errors=0), counted(requests=900))
    assert stage.evidence.gates["errors"].samples == 100
    assert stage.evidence.samples == 300


def test_a_nan_in_one_series_makes_only_its_gates_unknown():
    stage = Stage(*GATES)
    both = {"requests": 1000.0, "errors": 5.0, "latency": latency(1000.0, 5.0)}
    stage.looks(12, both, both)
    stage.fold(reading("v8", 14, **{**stage.ours, "errors": float("nan")}), reading("v7", 14, **stage.theirs))
    errors, slow = stage.verdicts()
    assert (errors.result, errors.reason) == (Result.UNKNOWN, "InvalidResult")
    assert "errors of pod v8-a" in errors.sentence
    assert slow.result is Result.PASS


def test_a_kind_that_is_not_implemented_holds_and_says_so():
    verdict = judge(begin("s", BEGAN, "k"), [gate(job={})], inputs())[0]
    assert (verdict.result, verdict.reason) == (Result.UNKNOWN, "NotImplemented")
    assert verdict.sentence == "this operator does not implement gate kind job yet; the rollout holds"


def test_an_advisory_gate_is_marked_as_such():
    assert Stage(gate(errorRate={}, advisory=True)).verdict().advisory


def test_alpha_is_split_over_all_gates_of_all_stages_that_can_fail_by_chance():
    shadow = (gate(name="drift", drift={}), gate(name="latency", latency={"slo": "1s"}))
    canary = (
        ERRORS,
        LATENCY,
        gate(name="query", query={"source": "p", "query": "up", "min": 1}),
        gate(name="noted", errorRate={}, advisory=True),
    )
    assert split_alpha(0.05, {"Shadow": shadow, "Canary": canary}) == pytest.approx(0.0125)
    assert split_alpha(0.05, {"Validation": ()}) == 0.05


def test_only_what_a_gate_needs_is_read_and_remembered():
    gates = (*GATES, gate(name="drift", drift={"features": ["age"]}))
    assert candidate_series(gates) == ("requests", "errors", "latency", "feature/age")
    assert incumbent_series(gates) == ("requests", "errors", "latency")
    stage = Stage(*gates).look(
        {"requests": 1.0, "feature/age": latency(1.0, 0.0), "feature/income": latency(1.0, 0.0)}, {"requests": 1.0}
    )
    assert set(stage.evidence.candidate.pods["v8-a"].series) == {"requests", "feature/age"}


def test_gates_of_a_rollout_are_remembered_in_few_bytes():
    stage = Stage(*GATES).looks(
        200, {"requests": 987.0, "errors": 3.0, "latency": latency(987.0, 4.0)}, {"requests": 9871.0, "errors": 7.0}
    )
    assert len(json.dumps(stage.evidence.to_dict())) < 2500


@pytest.mark.parametrize(
    ("candidate", "incumbent", "weights", "result", "reason"),
    [
        pytest.param(50, 950, (5, 95), ShareResult.OK, "SharesMatch", id="as configured"),
        pytest.param(0, 2000, (5, 95), ShareResult.MISMATCH, "ShareMismatch", id="nothing arrives"),
        pytest.param(500, 500, (5, 95), ShareResult.MISMATCH, "ShareMismatch", id="half instead of a twentieth"),
        pytest.param(0, 30, (5, 95), ShareResult.UNKNOWN, "LowTraffic", id="low traffic is no mismatch"),
        pytest.param(0, 0, (50, 50), ShareResult.UNKNOWN, "LowTraffic", id="no traffic is no mismatch"),
        pytest.param(520_000, 480_000, (50, 50), ShareResult.OK, "SharesMatch", id="certain and unimportant"),
    ],
)
def test_the_split_of_traffic_is_held_against_the_weights(candidate, incumbent, weights, result, reason):
    evidence = Evidence("canary", BEGAN, "k", shares=Shares(candidate, incumbent))
    verdict = share_verdict(evidence, dict(zip(("candidate", "incumbent"), weights, strict=True)))
    assert (verdict.result, verdict.reason) == (result, reason)


@pytest.mark.parametrize(
    ("received", "served", "percent", "result", "reason"),
    [
        pytest.param(990, 1000, 100, ShareResult.OK, "MirrorComplete", id="all but a few"),
        pytest.param(900, 1000, 100, ShareResult.UNKNOWN, "MirrorIncomplete", id="a tenth is dropped"),
        pytest.param(95, 1000, 10, ShareResult.OK, "MirrorComplete", id="a random tenth is noisy"),
        pytest.param(93, 1000, 10, ShareResult.OK, "MirrorComplete", id="a random tenth may be low by chance"),
        pytest.param(20, 1000, 10, ShareResult.UNKNOWN, "MirrorIncomplete", id="a fifth of the tenth"),
        pytest.param(0, 5, 100, ShareResult.UNKNOWN, "LowTraffic", id="too little was sent"),
    ],
)
def test_a_mirror_that_drops_requests_is_unknown(received, served, percent, result, reason):
    verdict = mirror_verdict(Evidence("shadow", BEGAN, "k", shares=Shares(received, served)), percent)
    assert (verdict.result, verdict.reason) == (result, reason)


def test_evidence_that_cannot_be_stored_is_unknown_and_says_how_to_make_it_smaller():
    drift = gate(name="drift", drift={"reference": "Incumbent"})
    edges = tuple(float(edge) for edge in range(63))

    def look(evidence, minute):
        counts = tuple(123_456.0 * minute for _ in range(64))
        features = {f"feature/number_{index:03}": Binned(edges, counts, 1.5) for index in range(200)}
        pods = [pod(minute, f"credit-risk-{index:02}", requests=1e6 * minute, **features) for index in range(20)]
        at = inputs(minute)
        grown = fold(evidence, reading("v8", minute, *pods), reading("v7", minute, *pods), "v8=10", (drift,), at)
        return bounded(grown, evidence, at)

    evidence = look(look(begin("canary", BEGAN, "v8=10"), 1), 2)
    assert len(json.dumps(evidence.to_dict())) < LARGEST
    (verdict,) = judge(evidence, (drift,), inputs(2))
    assert verdict.result is Result.UNKNOWN
    assert "768 KiB can be kept: name fewer features in the gates" in verdict.sentence


def test_thirty_features_of_ten_pods_can_be_stored():
    drift = gate(name="drift", drift={"reference": "Incumbent"})
    evidence = begin("canary", BEGAN, "v8=10")
    for minute in (1, 2, 3):
        counts = tuple(123_456.0 * minute for _ in range(20))
        edges = tuple(edge / 7 for edge in range(19))
        features = {f"feature/number_{index:03}": Binned(edges, counts, 1.5) for index in range(30)}
        pods = [pod(minute, f"credit-risk-{index:02}", requests=1e6 * minute, **features) for index in range(10)]
        at = inputs(minute)
        grown = fold(evidence, reading("v8", minute, *pods), reading("v7", minute, *pods), "v8=10", (drift,), at)
        assert bounded(grown, evidence, at) == grown
        evidence = grown
