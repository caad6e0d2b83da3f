"""Sequential bounds: their figures, and by seeded simulation that looking often does not raise false alarms."""

import json

import numpy as np
import pytest
from scipy import stats

from modelward.stats import distances
from modelward.stats.sequential import (
    CORRELATIONS,
    MINIMUM_INTERVALS,
    ChangeEvidence,
    MeanShare,
    RateComparison,
    RateDifference,
    baseline_interval,
    log_beta_binomial,
    log_share_evidence,
    mean_bounds,
    mixing_parameter,
    mixture_boundary,
    rate_bounds,
    total_variation_bound,
)

ALPHA = 0.05


def watch_rates(runs, looks, requests, base, tolerance, harm, seed=11):
    """A canary ramped from 5 to 50 % while the base rate swings by half: shares of runs that failed, that passed, and the looks to Fail."""
    random = np.random.default_rng(seed)
    sums, rho = RateDifference.empty((runs,)), mixing_parameter(base, tolerance, ALPHA)
    failed, passed, looks_to_fail = np.zeros(runs, bool), np.zeros(runs, bool), np.full(runs, np.inf)
    for look in range(looks):
        rate = base * (1 + 0.5 * np.sin(2 * np.pi * look / looks))
        ours = random.binomial(requests, 0.05 + 0.45 * look / looks, runs)
        theirs = requests - ours
        sums = sums.fold(
            random.binomial(ours, rate + harm), ours, random.binomial(theirs, rate), theirs, tolerance, base
        )
        bounds = sums.bounds(rho, ALPHA)
        enough = sums.intervals >= MINIMUM_INTERVALS
        now = enough & (bounds.low > tolerance) & ~passed
        looks_to_fail = np.where(now & ~failed, look + 1, looks_to_fail)
        failed |= now
        passed |= enough & (bounds.high < tolerance) & ~failed
    return failed.mean(), passed.mean(), np.median(looks_to_fail)


@pytest.mark.parametrize(
    ("requests", "base", "tolerance"),
    [(200, 0.01, 0.005), (2000, 0.01, 0.005), (2000, 0.1, 0.02), (200, 0.05, 0.0)],
)
def test_on_the_boundary_a_false_verdict_is_rare_however_often_one_looks(requests, base, tolerance):
    failed, passed, _ = watch_rates(600, 120, requests, base, tolerance, harm=tolerance)
    assert failed <= 0.045
    assert passed <= 0.045


def test_true_harm_is_found_and_no_harm_passes():
    failed, _, looks = watch_rates(200, 120, 2000, 0.01, 0.005, harm=0.02)
    assert failed == 1.0
    assert looks <= 12
    failed, passed, _ = watch_rates(200, 120, 2000, 0.01, 0.005, harm=0.0)
    assert failed == 0.0
    assert passed >= 0.95


@pytest.mark.parametrize("requests", [2_000, 20_000])
def test_rare_bursts_that_have_not_shown_yet_seldom_make_a_bad_candidate_pass(requests):
    """On the boundary, with a correlation of 0.1 at a base rate of 0.0005: half of all runs pass by the difference alone."""
    random, runs, base, tolerance = np.random.default_rng(5), 400, 0.0005, 0.005
    compared, rho = RateComparison.empty((runs,)), mixing_parameter(base, tolerance, ALPHA)
    passed, by_the_difference_alone = np.zeros(runs, bool), np.zeros(runs, bool)
    ours, theirs = np.full(runs, requests // 10), np.full(runs, requests - requests // 10)
    for _ in range(120):
        rates = [random.beta(9 * rate, 9 * (1 - rate), runs) for rate in (base + tolerance, base)]
        x_a, x_b = random.binomial(ours, rates[0]), random.binomial(theirs, rates[1])
        compared = compared.fold(x_a, ours, x_b, theirs, tolerance, base)
        enough = compared.sums.intervals >= MINIMUM_INTERVALS
        passed |= enough & (compared.bounds(rho, ALPHA, tolerance).high < tolerance)
        by_the_difference_alone |= enough & (compared.sums.bounds(rho, ALPHA).high < tolerance)
    assert passed.mean() <= 0.06
    assert by_the_difference_alone.mean() >= 0.35


def test_steady_counts_rule_out_bursts_and_silence_does_not():
    steady, silent = RateComparison.empty(), RateComparison.empty()
    for _ in range(10):
        steady = steady.fold(10, 1000, 90, 9000, 0.005, 0.01)
        silent = silent.fold(0, 10, 0, 90, 0.005, 0.01)
    possible = np.array(CORRELATIONS)[steady.bursts.possible(ALPHA)]
    assert possible.max() < 0.01
    assert silent.bursts.possible(ALPHA).all()


def test_pooled_totals_would_be_fooled_where_the_strata_are_not():
    """Weight and base rate rise together: the candidate is no worse in any interval and much worse in the totals."""
    sums, totals = RateDifference.empty(), np.zeros(4)
    for look in range(40):
        ours, rate = 100 + 20 * look, 0.01 + 0.002 * look
        counts = np.array([ours * rate, ours, (1000 - ours) * rate, 1000 - ours])
        sums, totals = sums.fold(*counts, 0.0, 0.01), totals + counts
    assert totals[0] / totals[1] > totals[2] / totals[3] + 0.005
    assert float(sums.bounds(mixing_parameter(0.01, 0.0, ALPHA), ALPHA).estimate) == pytest.approx(0.0, abs=1e-12)


def test_an_interval_in_which_one_side_answered_nothing_adds_nothing():
    sums = RateDifference.empty().fold(1, 100, 1, 100, 0.005, 0.01)
    again = sums.fold(5, 10, 0, 0, 0.005, 0.01)
    assert again.to_json() == sums.to_json()


def test_without_evidence_the_interval_is_everything():
    bounds = RateDifference.empty().bounds(1.0, ALPHA)
    assert (float(bounds.low), float(bounds.high)) == (-np.inf, np.inf)


def test_overdispersion_between_intervals_widens_the_bounds():
    steady, moving = RateDifference.empty(), RateDifference.empty()
    for look in range(20):
        steady = steady.fold(10, 1000, 10, 1000, 0.0, 0.01)
        moving = moving.fold(60 if look % 2 else 0, 1000, 10, 1000, 0.0, 0.01)
    rho = mixing_parameter(0.01, 0.0, ALPHA)
    assert float(moving.bounds(rho, ALPHA).high - moving.bounds(rho, ALPHA).estimate) > 2 * float(
        steady.bounds(rho, ALPHA).high
    )


def test_the_boundary_is_tightest_near_the_variance_that_it_was_made_for():
    rho = float(mixing_parameter(0.01, 0.005, ALPHA))
    target = 9 * (0.015 * 0.985) ** 2 / 0.005**2
    tuned = float(mixture_boundary(target, rho, ALPHA))
    assert tuned < float(mixture_boundary(target, rho * 10, ALPHA))
    assert tuned < float(mixture_boundary(target, rho / 10, ALPHA))


def test_sums_survive_being_written_as_json():
    sums = RateDifference.empty((3,)).fold([1, 2, 3], 50, [3, 2, 1], 70, 0.0, 0.02)
    assert RateDifference.from_json(json.loads(json.dumps(sums.to_json()))).to_json() == sums.to_json()


@pytest.mark.parametrize(
    ("prior", "low", "high"),
    [pytest.param(1.0, 0.000597, 0.070667, id="flat"), pytest.param(0.5, 0.000825, 0.065130, id="Jeffreys")],
)
def test_three_of_two_hundred_has_the_published_confidence_sequence(prior, low, high):
    bounds = rate_bounds(3, 200, ALPHA, prior)
    assert (float(bounds.low), float(bounds.high)) == pytest.approx((low, high), abs=1e-6)


def test_a_rate_without_observations_may_be_anything():
    bounds = rate_bounds([0, 0, 50], [0, 50, 50], ALPHA)
    assert bounds.low[:2].tolist() == [0, 0]
    assert bounds.high[0] == 1
    assert bounds.high[1] < 0.12
    assert bounds.low[2] > 0.88
    assert bounds.high[2] == 1


def test_a_confidence_sequence_holds_at_every_look():
    random = np.random.default_rng(2)
    events = np.cumsum(random.binomial(20, 0.1, (500, 100)), axis=1)
    evidence = log_beta_binomial(events, 20 * np.arange(1, 101), 0.1)
    assert np.mean(evidence.max(axis=1) >= np.log(1 / ALPHA)) <= ALPHA


def test_a_decay_after_a_good_time_is_found_within_two_intervals():
    evidence = ChangeEvidence()
    for _ in range(60):
        evidence = evidence.fold(1, 100, 0.2)
    assert not evidence.exceeds(0.0025)
    assert not float(rate_bounds(60 + 120, 6200, 0.0025).low) > 0.2
    for _ in range(2):
        evidence = evidence.fold(60, 100, 0.2)
    assert evidence.exceeds(0.0025)
    assert (evidence.recent_events, evidence.recent_total) == (120, 200)


def test_a_rate_at_the_limit_rarely_looks_like_a_change():
    random = np.random.default_rng(4)
    alarms = 0
    for _ in range(200):
        evidence, alarmed = ChangeEvidence(), False
        for events in random.binomial(50, 0.2, 40):
            evidence = evidence.fold(int(events), 50, 0.2)
            alarmed = alarmed or evidence.exceeds(ALPHA)
        alarms += alarmed
    assert alarms / 200 <= ALPHA


def watch_shares(runs, baseline_size, observations, looks, expected, actual, seed=13):
    """Live traffic against a sampled baseline: ever real, ever drifted, and the observations that it took."""
    random = np.random.default_rng(seed)
    bins = len(expected)
    baseline = random.multinomial(baseline_size, expected, runs)
    usual, level = distances.shares(baseline, distances.ADD_HALF), ALPHA / (2 * bins)
    sums, rho = MeanShare.empty((runs, bins)), mixing_parameter(usual, 0.0, level)
    real, drifted, needed = np.zeros(runs, bool), np.zeros(runs, bool), np.full(runs, np.inf)
    for look in range(looks):
        sums = sums.fold(random.multinomial(observations, actual, runs), observations)
        bounds = sums.bounds(usual, rho, level)
        certain = total_variation_bound(bounds, baseline_interval(baseline, level)) > 0
        now = certain & (distances.debiased_psi(baseline, sums.weighted) >= 0.2)
        needed = np.where(now & ~drifted, (look + 1) * observations, needed)
        real, drifted = real | certain, drifted | now
    return real.mean(), drifted.mean(), np.median(needed)


SKEWED = np.array([0.4, 0.2, 0.15, 0.1, 0.05, 0.04, 0.03, 0.015, 0.01, 0.005])


@pytest.mark.parametrize("size", [500, 7232])
@pytest.mark.parametrize("expected", [np.full(10, 0.1), SKEWED], ids=["uniform", "skewed"])
@pytest.mark.parametrize("observations", [20, 200])
def test_without_drift_nothing_is_real_and_nothing_fails(size, expected, observations):
    real, drifted, _ = watch_shares(1000, size, observations, 120, expected, expected)
    assert real <= ALPHA
    assert drifted <= 0.005


def test_a_shift_of_psi_a_quarter_is_found_after_about_three_hundred_observations():
    expected = np.full(10, 0.1)
    actual = expected * np.exp(0.83 * np.linspace(-1, 1, 10))
    actual /= actual.sum()
    assert np.sum((actual - expected) * np.log(actual / expected)) == pytest.approx(0.26, abs=0.02)
    _, drifted, needed = watch_shares(200, 7232, 20, 60, expected, actual)
    assert drifted >= 0.95
    assert 150 <= needed <= 450


def test_an_empty_bin_of_a_baseline_may_still_have_a_share():
    interval = baseline_interval([0, 10, 490], 0.025)
    assert interval.low[0] == 0
    assert interval.high[0] == pytest.approx(1 - 0.025 ** (1 / 500))


@pytest.mark.parametrize("share", [0.005, 0.01, 0.05])
def test_the_interval_of_a_small_baseline_covers_a_rare_bin_where_the_normal_one_does_not(share):
    level, rows = 0.0025, np.random.default_rng(2).binomial(500, share, 20_000)
    interval = baseline_interval(np.stack([rows, 500 - rows], axis=-1), level)
    p, z = rows / 500, stats.norm.isf(level)
    missed = np.mean((share < interval.low[:, 0]) | (share > interval.high[:, 0]))
    missed_by_normal = np.mean(np.abs(p - share) > z * np.sqrt(p * (1 - p) / 500))
    assert missed <= 2 * level
    assert missed_by_normal > 2 * level


def test_a_mean_that_is_looked_at_again_and_again_stays_within_its_bounds():
    random, runs = np.random.default_rng(8), 500
    squares = random.exponential(2.0, (runs, 60, 50))
    size = 50.0 * np.arange(1, 61)
    mean = squares.sum(axis=2).cumsum(axis=1) / size
    variance = (squares**2).sum(axis=2).cumsum(axis=1) / size - mean**2
    bounds = mean_bounds(mean, variance, size, ALPHA)
    assert np.mean(((bounds.low > 2) | (bounds.high < 2))[:, 1:].any(axis=1)) <= ALPHA
    assert (bounds.high - bounds.low)[:, -1].mean() < 0.4


@pytest.mark.parametrize(
    ("counts", "expected", "mismatch"),
    [
        pytest.param((50, 950), (0.05, 0.95), False, id="as configured"),
        pytest.param((0, 100), (0.05, 0.95), False, id="too few to tell"),
        pytest.param((0, 2000), (0.05, 0.95), True, id="nothing arrives"),
        pytest.param((500, 500), (0.05, 0.95), True, id="half instead of a twentieth"),
        pytest.param((1, 100), (0.0, 1.0), True, id="one request where none was configured"),
    ],
)
def test_the_split_of_requests_is_tested_against_the_weights(counts, expected, mismatch):
    assert bool(log_share_evidence(counts, expected) >= np.log(1000)) is mismatch


def test_many_intervals_at_once_give_the_very_sums_of_one_after_another():
    random = np.random.default_rng(5)
    total, other_total = random.poisson(60, 300) * (random.random(300) > 0.1), random.poisson(500, 300)
    events, other_events = random.binomial(total, 0.02), random.binomial(other_total, 0.01)
    counts = (events, total, other_events, other_total)
    at_once = RateComparison.empty().after_each(*counts, 0.005, 0.01)
    one_by_one, shares = RateComparison.empty(), MeanShare.empty()
    shares_at_once = shares.after_each(events, total)
    for moment in range(301):
        reached = at_once.at(moment)
        assert reached.sums.to_json() == one_by_one.sums.to_json()
        assert reached.bursts.to_json() == one_by_one.bursts.to_json()
        assert shares_at_once.at(moment).to_json() == shares.to_json()
        if moment < 300:
            one_by_one = one_by_one.fold(*(each[moment] for each in counts), 0.005, 0.01)
            shares = shares.fold(events[moment], total[moment])
