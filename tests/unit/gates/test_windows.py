"""Windows: sums that start anew, and a verdict that stands until the next window has its own."""

import json
from dataclasses import dataclass
from datetime import timedelta

import pytest

from modelward.lifecycle.evidence import Evidence
from modelward.lifecycle.gates.verdict import Result
from modelward.stats.readings import Binned
from tests.unit.gates.builders import BEGAN, Stage, gate, unreadable

LIMIT = gate(name="errors", errorRate={"abortAbove": 0.05}, window="1h")
GOOD, BAD, FEW = {"requests": 200.0, "errors": 2.0}, {"requests": 200.0, "errors": 40.0}, {"requests": 1.0}
NONE: dict[str, float] = {}


def alone(*gates, **context):
    """What serves, looked at every minute; nothing to compare with."""
    return Stage(*gates, incumbent=None, alone=True, **context)


def killed(evidence):
    return Evidence.from_dict(json.loads(json.dumps(evidence.to_dict())))


@dataclass(frozen=True)
class Case:
    looks: tuple[tuple[int, dict[str, float]], ...]  # how many minutes, and what is counted in each
    result: Result
    says: str
    reason: str = "Passed"


CASES = {
    "a first window that is too young says so itself": Case(((1, FEW),), Result.INCONCLUSIVE, "1 request", "Inconclusive"),
    "a window may decide before it is over": Case(((20, GOOD),), Result.PASS, "4,000 requests"),
    "what was counted in an earlier window is not counted": Case(((64, GOOD), (5, GOOD)), Result.PASS, "2,000 requests"),
    "a young window leaves the verdict of the last whole one standing": Case(
        ((59, GOOD), (1, FEW)), Result.PASS, "in the last whole window, 2026-03-01 09:00 UTC to 2026-03-01 10:00 UTC"
    ),
    "a failure of the last whole window stands while the next is too young": Case(
        ((59, BAD), (1, FEW)), Result.FAIL, "in the last whole window", "BreakerTripped"
    ),
    "a failure does not wait for the end of the window": Case(
        ((59, GOOD), (2, BAD)), Result.FAIL, "found at 2026-03-01 10:0", "BreakerTripped"
    ),
    "what failed stays failed until its window is over": Case(
        ((59, GOOD), (5, BAD), (54, GOOD)), Result.FAIL, "found at 2026-03-01 10:0", "BreakerTripped"
    ),
    "a new window that shows that all is well ends a failure": Case(
        ((59, GOOD), (5, BAD), (55, GOOD), (20, GOOD)), Result.PASS, "4,000 requests"
    ),
    "a new window shows nothing yet and the last one has failed": Case(
        ((59, GOOD), (5, BAD), (55, GOOD), (1, NONE)), Result.FAIL, "in the last whole window", "BreakerTripped"
    ),
    "one window without a request leaves the last verdict standing": Case(
        ((59, GOOD), (58, NONE)), Result.PASS, "in the last whole window"
    ),
    "after a whole window without a request nothing is known": Case(
        ((59, GOOD), (60, NONE)), Result.UNKNOWN, "has answered no request", "InsufficientSamples"
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_the_verdict_of_a_window(case):
    stage = alone(LIMIT)
    for minutes, counts in case.looks:
        stage.looks(minutes, counts)
    verdict = stage.verdict()
    assert (verdict.result, verdict.reason) == (case.result, case.reason)
    assert case.says in verdict.sentence


def test_a_window_holds_what_was_counted_until_the_look_that_ends_it():
    stage = alone(LIMIT).looks(58, GOOD)
    stage.minute += 600  # the operator was away for ten hours
    stage.look({"requests": 100_000.0, "errors": 100.0})
    found = stage.evidence.gates["errors"].found
    assert found.verdict.samples == 58 * 200 + 100_000
    assert found.at - found.since == timedelta(minutes=660)
    assert stage.evidence.gates["errors"].samples == 0


def test_metrics_that_stay_away_are_not_covered_up_by_an_earlier_pass():
    stage = alone(LIMIT).looks(65, GOOD)
    stage.fold(unreadable("v8", 66), None)
    assert (stage.verdict().result, stage.verdict().reason) == (Result.UNKNOWN, "MetricsUnavailable")


def test_metrics_that_stay_away_do_not_clear_a_failure():
    stage = alone(LIMIT).looks(5, BAD)
    stage.fold(unreadable("v8", 6), None)
    assert stage.verdict().result is Result.FAIL


def test_the_memory_of_a_window_is_the_same_after_being_written_and_read():
    stage = alone(LIMIT)
    for counts in (GOOD, BAD):
        stage.looks(40, counts)
        assert killed(stage.evidence) == stage.evidence
        assert stage.evidence.gates["errors"].found is None or counts is BAD


@pytest.mark.parametrize("lost", [30, 59, 60, 61, 119, 120])
def test_a_kill_before_the_write_loses_no_request_of_a_window(lost):
    """The look at minute `lost` was folded and never written: the next one covers both intervals, also over the end of a window."""
    whole, broken = alone(LIMIT), alone(LIMIT)
    for minute in range(1, 131):
        whole.look(GOOD)
        if minute == lost:
            broken.minute += 1
            broken.ours = dict(whole.ours)
            continue
        broken.evidence = killed(broken.evidence)
        broken.look(GOOD if minute != lost + 1 else {name: whole.ours[name] - broken.ours[name] for name in GOOD})
    assert broken.evidence.samples == whole.evidence.samples
    assert broken.verdict().result is whole.verdict().result is Result.PASS


def test_a_clock_that_is_set_back_does_not_stop_a_window():
    stage = alone(LIMIT).looks(70, GOOD)
    stage.minute -= 40
    stage.looks(62, GOOD)
    found = stage.evidence.gates["errors"].found
    assert found.since == BEGAN + timedelta(minutes=32)
    assert found.verdict.result is Result.PASS


def test_the_memory_of_a_gate_does_not_grow_over_months_of_windows():
    drift = gate(name="drift", drift={"threshold": 0.2}, window="1h")
    stage = alone(LIMIT, drift)
    sizes = []
    for _ in range(20):
        stage.looks(60, GOOD)
        sizes.append(len(json.dumps(stage.evidence.to_dict())))
    assert max(sizes[2:]) < 1.05 * sizes[2]


def test_a_window_of_a_canary_compares_in_blocks():
    errors = gate(name="errors", errorRate={"maxIncrease": 0.01}, window="30m")
    stage = Stage(errors).looks(31, {"requests": 500.0, "errors": 5.0}, {"requests": 500.0, "errors": 5.0})
    assert stage.verdict().result is Result.PASS
    assert "in the last whole window" in stage.verdict().sentence
    stage.looks(29, {"requests": 500.0, "errors": 50.0}, {"requests": 500.0, "errors": 5.0})
    assert stage.verdict().result is Result.FAIL


def test_a_warm_up_belongs_to_no_window():
    warm = gate(name="errors", errorRate={"abortAbove": 0.05}, window="1h", warmup="10m")
    stage = alone(warm).looks(9, BAD).looks(30, GOOD)
    assert stage.verdict().result is Result.PASS
    assert stage.evidence.gates["errors"].since >= BEGAN + timedelta(minutes=10)


def test_what_serves_is_held_against_its_limit_and_passes_below_it():
    verdict = alone(gate(errorRate={"abortAbove": 0.05})).looks(20, GOOD).verdict()
    assert (verdict.result, verdict.applies) == (Result.PASS, True)
    assert "abort above 5 %" in verdict.sentence


def test_a_latency_that_is_not_measured_is_unknown_and_no_pass():
    slow = gate(latency={"slo": "500ms", "abortAbove": 0.1})
    verdict = alone(slow).looks(3, {"requests": 100.0}).verdict()
    assert verdict.result is Result.UNKNOWN


def test_slow_requests_are_held_against_their_limit():
    slow = gate(latency={"slo": "500ms", "abortAbove": 0.1})
    edges = (0.1, 0.5, 1.0)
    fast = {"requests": 100.0, "latency": Binned(edges, (99.0, 0.0, 1.0, 0.0))}
    assert alone(slow).looks(10, fast).verdict().result is Result.PASS
    late = {"requests": 100.0, "latency": Binned(edges, (50.0, 0.0, 50.0, 0.0))}
    assert alone(slow).looks(10, late).verdict().result is Result.FAIL


def test_the_half_of_alpha_that_a_comparison_would_have_had_is_the_limits_own():
    """142 of 2,000 against 5 %: enough evidence for a Fail with half of alpha, not with a quarter."""
    evidence = {"requests": 2000.0, "errors": 142.0}
    assert alone(gate(errorRate={"abortAbove": 0.05})).look(evidence).verdict().result is Result.FAIL
    assert (
        Stage(gate(errorRate={"abortAbove": 0.05}), incumbent=None).look(evidence).verdict().result is not Result.FAIL
    )
