"""errorRate and latency: what a user reads, and when."""

import numpy as np
import pytest

from modelward.lifecycle.gates.verdict import Result
from modelward.stats.readings import Binned
from tests.unit.gates.builders import Stage, gate, latency

ERRORS = gate(name="errors", errorRate={"maxIncrease": 0.005})
WITH_BREAKER = gate(name="errors", errorRate={"maxIncrease": 0.005, "abortAbove": 0.2}, minSamples=5000)
SLOW = gate(name="latency", latency={"slo": "500ms", "maxIncrease": 0.01})


def counted(requests, errors):
    return {"requests": float(requests), "errors": float(errors)}


def test_more_errors_than_the_bound_allows_fail_with_their_interval():
    verdict = Stage(ERRORS).looks(12, counted(1000, 40), counted(9000, 90)).verdict()
    assert (verdict.result, verdict.reason) == (Result.FAIL, "Failed")
    assert verdict.sentence == "errors rose by 2.6 to 3.6 percentage points over v7 (bound 0.5), 12,000 requests"
    assert verdict.low < verdict.figure < verdict.high
    assert verdict.figure == pytest.approx(0.03)
    assert (verdict.bound, verdict.samples, verdict.method) == (0.005, 12000, "stratified normal mixture")


def test_no_more_errors_pass():
    verdict = Stage(ERRORS).looks(20, counted(1000, 10), counted(9000, 90)).verdict()
    assert verdict.result is Result.PASS
    assert verdict.sentence.startswith("errors changed by -0.")
    assert verdict.sentence.endswith("percentage points against v7 (bound 0.5), 20,000 requests")


def test_fewer_errors_pass():
    assert Stage(ERRORS).looks(20, counted(1000, 0), counted(9000, 300)).verdict().result is Result.PASS


def test_nine_intervals_decide_nothing_and_ten_do():
    stage = Stage(ERRORS).looks(9, counted(1000, 100), counted(9000, 90))
    assert stage.verdict().result is Result.INCONCLUSIVE
    assert "9 of the 10 intervals needed" in stage.verdict().sentence
    assert stage.looks(1, counted(1000, 100), counted(9000, 90)).verdict().result is Result.FAIL


def test_ten_intervals_without_an_error_do_not_rule_out_rare_bursts_and_more_of_them_do():
    stage = Stage(ERRORS).looks(12, counted(300, 0), counted(300, 0))
    verdict = stage.verdict()
    assert verdict.result is Result.INCONCLUSIVE
    assert "; low enough, but errors may come in bursts that have not shown yet; not enough yet" in verdict.sentence
    assert verdict.sentence.endswith(" minutes at this rate")
    assert stage.looks(18, counted(300, 0), counted(300, 0)).verdict().result is Result.PASS


def test_too_few_requests_to_decide_are_inconclusive():
    verdict = Stage(ERRORS).looks(15, counted(10, 0), counted(90, 1)).verdict()
    assert verdict.result is Result.INCONCLUSIVE
    assert "150 requests; not enough yet to decide: about " in verdict.sentence
    assert verdict.sentence.endswith(" more requests needed, 60 minutes at this rate")


def test_a_rate_at_its_bound_says_that_no_verdict_is_in_sight():
    verdict = Stage(ERRORS).looks(15, counted(1000, 15), counted(9000, 90)).verdict()
    assert verdict.sentence.endswith("15,000 requests; too close to the bound for a verdict in sight")


def test_what_is_said_to_be_needed_is_about_what_it_takes():
    stage = Stage(ERRORS).looks(12, counted(200, 2), counted(1800, 18))
    assert stage.verdict().sentence.endswith("about 2,900 more requests needed, 15 minutes at this rate")
    assert stage.looks(10, counted(200, 2), counted(1800, 18)).verdict().result is Result.INCONCLUSIVE
    assert stage.looks(3, counted(200, 2), counted(1800, 18)).verdict().result is Result.PASS


def test_zero_traffic_is_never_a_pass():
    verdict = Stage(ERRORS).looks(30, counted(0, 0), counted(9000, 90)).verdict()
    assert (verdict.result, verdict.reason) == (Result.UNKNOWN, "InsufficientSamples")
    assert verdict.sentence == "v8 has answered no request that counts yet"


def test_an_incumbent_without_traffic_is_nothing_to_compare_with():
    verdict = Stage(ERRORS).looks(30, counted(100, 0), counted(0, 0)).verdict()
    assert verdict.result is Result.UNKNOWN
    assert "no interval yet in which both v8 and v7 answered" in verdict.sentence


def test_below_min_samples_nothing_is_known():
    verdict = Stage(WITH_BREAKER).looks(12, counted(100, 1), counted(900, 9)).verdict()
    assert (verdict.result, verdict.reason) == (Result.UNKNOWN, "InsufficientSamples")
    assert verdict.sentence == "v8 has answered 1,200 of the 5,000 requests needed"


def test_the_breaker_does_not_wait_for_min_samples():
    verdict = Stage(WITH_BREAKER).look(counted(60, 40), counted(900, 9)).verdict()
    assert (verdict.result, verdict.reason) == (Result.FAIL, "BreakerTripped")
    assert verdict.sentence.startswith("errors are 66.7 % of what v8 answers (")
    assert verdict.sentence.endswith("abort above 20 %), 60 requests")
    assert (verdict.bound, verdict.samples) == (0.2, 60)


def test_one_failed_request_of_one_does_not_trip_the_breaker():
    assert Stage(WITH_BREAKER).look(counted(1, 1), counted(9, 0)).verdict().result is Result.UNKNOWN


def test_a_version_that_decays_after_a_good_hour_is_stopped_within_two_intervals():
    stage = Stage(WITH_BREAKER).looks(60, counted(100, 1), counted(900, 9))
    assert stage.verdict().result is Result.PASS
    verdict = stage.looks(2, counted(100, 60), counted(900, 9)).verdict()
    assert (verdict.result, verdict.reason) == (Result.FAIL, "BreakerTripped")
    assert verdict.sentence == "errors rose to 60 % of what v8 answers (abort above 20 %), the newest 200 requests"


def test_a_first_version_has_nothing_to_compare_with_and_is_not_held():
    verdict = Stage(ERRORS, incumbent=None).looks(12, counted(100, 1)).verdict()
    assert (verdict.result, verdict.applies, verdict.reason) == (Result.INCONCLUSIVE, False, "NoIncumbent")
    assert verdict.sentence == "errors are compared with an incumbent, and v8 has none that gets traffic"


def test_the_breaker_protects_a_first_version_too():
    verdict = Stage(WITH_BREAKER, incumbent=None).looks(2, counted(100, 70)).verdict()
    assert (verdict.result, verdict.applies) == (Result.FAIL, True)


def test_a_late_first_error_series_counts_as_no_errors_before():
    stage = Stage(ERRORS).looks(5, {"requests": 1000.0}, counted(9000, 90))
    assert stage.evidence.gates["errors"].state["events"] == 0
    assert stage.looks(15, {"requests": 1000.0}, counted(9000, 90)).verdict().result is Result.PASS


def test_the_incumbents_rate_before_the_stage_is_taken_from_its_lifetime():
    stage = Stage(ERRORS)
    stage.theirs = counted(100_000, 3000)
    stage.look()
    stage.look(counted(100, 3), counted(900, 27))
    assert stage.evidence.gates["errors"].state["prior"] == pytest.approx(0.03, rel=0.01)


def test_more_slow_requests_than_the_bound_allows_fail():
    verdict = (
        Stage(SLOW)
        .looks(
            12, {"requests": 1000.0, "latency": latency(1000, 80)}, {"requests": 9000.0, "latency": latency(9000, 90)}
        )
        .verdict()
    )
    assert verdict.result is Result.FAIL
    assert verdict.figure == pytest.approx(0.07)
    assert verdict.sentence.startswith("requests slower than 0.5 s rose by 6.")


def test_an_objective_between_two_edges_is_judged_at_the_lower_one_and_says_so():
    between = gate(name="latency", latency={"slo": "400ms", "maxIncrease": 0.01})
    quick = Binned((0.1, 0.25, 0.5, 1.0), (900.0, 50.0, 50.0, 0.0, 0.0))
    verdict = (
        Stage(between)
        .looks(12, {"requests": 1000.0, "latency": quick}, {"requests": 9000.0, "latency": latency(9000, 90)})
        .verdict()
    )
    assert verdict.result is Result.FAIL
    assert verdict.figure == pytest.approx(0.04)
    assert "slower than 0.25 s (the bucket edge below the objective of 0.4 s)" in verdict.sentence


def test_an_objective_below_every_edge_is_unknown():
    verdict = (
        Stage(gate(latency={"slo": "50ms"}))
        .looks(3, {"requests": 10.0, "latency": latency(10, 0)}, {"requests": 10.0, "latency": latency(10, 0)})
        .verdict()
    )
    assert (verdict.result, verdict.reason) == (Result.UNKNOWN, "InvalidResult")
    assert "no bucket edge at or below 0.05 s" in verdict.sentence


def test_versions_with_other_buckets_are_compared_at_an_edge_that_both_have():
    theirs = Binned((0.1, 0.25, 1.0), (8000.0, 500.0, 410.0, 90.0))
    verdict = (
        Stage(SLOW)
        .looks(12, {"requests": 1000.0, "latency": latency(1000, 80)}, {"requests": 9000.0, "latency": theirs})
        .verdict()
    )
    assert "slower than 0.25 s" in verdict.sentence


def test_latency_that_is_not_exposed_is_unknown():
    verdict = Stage(SLOW).looks(12, {"requests": 1000.0}, {"requests": 9000.0}).verdict()
    assert verdict.result is Result.UNKNOWN


def test_equal_versions_under_a_swing_are_seldom_failed():
    random, failed = np.random.default_rng(8), 0
    for _ in range(40):
        stage = Stage(ERRORS)
        for minute in range(30):
            rate = 0.02 * (1 + 0.8 * np.sin(minute / 5))
            stage.look(counted(200, random.binomial(200, rate)), counted(1800, random.binomial(1800, rate)))
        failed += stage.verdict().result is Result.FAIL
    assert failed <= 2
