"""quality and fairness: what a user reads about labels that came back."""

import numpy as np
import pytest

from modelward.lifecycle.evidence import Evidence
from modelward.lifecycle.gates.verdict import Result
from modelward.stats.readings import Binned
from tests.unit.gates.builders import Stage, gate

EDGES = (0.25, 0.5, 0.75)


def labelled(tp, fp, fn, tn):
    return {
        "requests": 1000.0,
        "confusion/1": {"1": float(tp), "0": float(fp)},
        "confusion/0": {"1": float(fn), "0": float(tn)},
    }


def scored(negatives, positives):
    return {
        "requests": 1000.0,
        "score/0": Binned(EDGES, tuple(map(float, negatives))),
        "score/1": Binned(EDGES, tuple(map(float, positives))),
    }


def erring(size, seed=1):
    errors = np.random.default_rng(seed).normal(0, size, 200)
    powers = (np.abs(errors), errors**2, errors**4)
    names = ("error_absolutes", "error_squares", "error_fourth_powers")
    return {
        "requests": 1000.0,
        "labels": 200.0,
        **{name: float(power.sum()) for name, power in zip(names, powers, strict=True)},
    }


def grouped(**groups):
    names = ("true_positive", "false_positive", "false_negative", "true_negative")
    counts = {f"group/sex/{name}": dict(zip(names, map(float, cells), strict=True)) for name, cells in groups.items()}
    return {"requests": 1000.0, **counts}


GOOD_LABELS, BAD_LABELS = labelled(90, 5, 10, 95), labelled(50, 45, 50, 55)


@pytest.mark.parametrize(
    ("spec", "good", "bad"),
    [
        pytest.param({"metric": "Accuracy", "min": 0.8}, GOOD_LABELS, BAD_LABELS, id="accuracy"),
        pytest.param({"metric": "Precision", "min": 0.8}, GOOD_LABELS, BAD_LABELS, id="precision"),
        pytest.param({"metric": "Recall", "min": 0.8}, GOOD_LABELS, BAD_LABELS, id="recall"),
        pytest.param({"metric": "F1", "min": 0.8}, GOOD_LABELS, BAD_LABELS, id="f1"),
        pytest.param({"metric": "MCC", "min": 0.6}, GOOD_LABELS, BAD_LABELS, id="mcc"),
        pytest.param(
            {"metric": "AUC", "min": 0.7},
            scored((80, 15, 5, 0), (0, 5, 15, 80)),
            scored((25, 25, 25, 25), (25, 25, 25, 25)),
            id="auc",
        ),
        pytest.param(
            {"metric": "ECE", "max": 0.3},
            scored((175, 125, 75, 25), (25, 75, 125, 175)),
            scored((0, 0, 0, 200), (200, 0, 0, 0)),
            id="ece",
        ),
        pytest.param({"metric": "RMSE", "max": 2}, erring(1), erring(4), id="rmse"),
        pytest.param({"metric": "MAE", "max": 2}, erring(1), erring(4), id="mae"),
    ],
)
def test_a_metric_is_held_against_its_bound(spec, good, bad):
    measured = gate(quality=spec)
    assert Stage(measured).looks(10, good).verdict().result is Result.PASS
    assert Stage(measured).looks(10, bad).verdict().result is Result.FAIL


def test_a_quality_that_fails_is_told_with_its_interval():
    verdict = Stage(gate(quality={"metric": "Recall", "min": 0.9})).looks(10, BAD_LABELS).verdict()
    assert verdict.sentence == "recall of v8 is 50 % (44.2 % to 55.8 %; minimum 90 %), 1,000 labels"
    assert (verdict.samples, verdict.bound, verdict.reason) == (1000, 0.9, "Failed")
    assert verdict.low < verdict.figure < verdict.high


def test_what_is_undecided_says_what_it_still_needs():
    verdict = Stage(gate(quality={"metric": "Accuracy", "min": 0.9})).looks(10, labelled(9, 1, 1, 14)).verdict()
    assert verdict.result is Result.INCONCLUSIVE
    assert "more labels needed, " in verdict.sentence
    assert verdict.sentence.endswith(" at this rate")


def test_a_metric_on_its_bound_says_that_no_verdict_is_in_sight():
    verdict = Stage(gate(quality={"metric": "Accuracy", "min": 0.9})).looks(10, labelled(45, 5, 5, 45)).verdict()
    assert verdict.sentence.endswith("too close to the bound for a verdict in sight")


def test_without_labels_nothing_is_known_however_many_requests_there_are():
    verdict = Stage(gate(quality={"metric": "Recall", "min": 0.9})).looks(10, {"requests": 1000.0}).verdict()
    assert (verdict.result, verdict.reason, verdict.samples) == (Result.UNKNOWN, "InsufficientSamples", 0)
    assert verdict.sentence == "no label of a prediction of v8 has come back yet"


def test_min_samples_counts_labels_and_not_requests():
    patient = gate(quality={"metric": "Recall", "min": 0.1}, minSamples=1500)
    stage = Stage(patient).looks(10, GOOD_LABELS)
    assert stage.verdict().sentence == "1,000 of the 1,500 labels needed have come back for v8"
    assert stage.looks(5, GOOD_LABELS).verdict().result is Result.PASS


def test_recall_without_an_actual_positive_is_unknown():
    verdict = Stage(gate(quality={"metric": "Recall", "min": 0.9})).looks(10, labelled(0, 5, 0, 95)).verdict()
    assert verdict.result is Result.UNKNOWN


def test_scores_of_one_label_alone_rank_nothing():
    look = scored((0, 0, 0, 0), (0, 5, 15, 80))
    del look["score/0"]
    verdict = Stage(gate(quality={"metric": "AUC", "min": 0.7})).looks(10, look).verdict()
    assert verdict.result is Result.UNKNOWN
    assert "for both the label 1 and another" in verdict.sentence


def test_a_hundred_labels_without_an_error_do_not_prove_a_correlation_of_one():
    flawless = Stage(gate(quality={"metric": "MCC", "min": 0.99})).looks(10, labelled(5, 0, 0, 5))
    assert flawless.verdict().result is Result.INCONCLUSIVE


@pytest.mark.parametrize(
    ("ours", "result"),
    [
        pytest.param(BAD_LABELS, Result.FAIL, id="worse than the incumbent"),
        pytest.param(GOOD_LABELS, Result.PASS, id="as good"),
    ],
)
def test_quality_is_compared_with_the_incumbent_s(ours, result):
    compared = gate(quality={"metric": "Accuracy", "versusIncumbent": {"maxDecrease": 0.1}})
    stage = Stage(compared).looks(40, ours, GOOD_LABELS)
    assert stage.verdict().result is result
    assert "wrong answers" in stage.verdict().sentence
    assert "8,000 labels" in stage.verdict().sentence


def test_a_bound_and_a_comparison_must_both_hold():
    both = gate(quality={"metric": "Accuracy", "min": 0.3, "versusIncumbent": {"maxDecrease": 0.1}})
    assert Stage(both).looks(40, BAD_LABELS, GOOD_LABELS).verdict().result is Result.FAIL
    assert Stage(both, incumbent=None).looks(40, BAD_LABELS).verdict().result is Result.PASS


def test_a_comparison_without_an_incumbent_holds_nothing():
    compared = gate(quality={"metric": "Accuracy", "versusIncumbent": {"maxDecrease": 0.1}})
    verdict = Stage(compared, incumbent=None).looks(10, GOOD_LABELS).verdict()
    assert not verdict.applies


ALIKE = grouped(f=(30, 10, 10, 50), m=(30, 10, 10, 50))
UNLIKE = grouped(f=(5, 0, 35, 60), m=(38, 40, 2, 20))


@pytest.mark.parametrize(
    ("metric", "bound"),
    [
        ("DemographicParityDifference", {"max": 0.2}),
        ("DemographicParityRatio", {"min": 0.6}),
        ("EqualizedOddsDifference", {"max": 0.3}),
        ("AdverseActionRatio", {"min": 0.8}),
        ("AccuracyDisparity", {"max": 0.2}),
    ],
)
def test_groups_that_are_treated_alike_pass(metric, bound):
    fair = gate(fairness={"metric": metric, "group": "sex", **bound})
    verdict = Stage(fair).looks(20, ALIKE).verdict()
    assert verdict.result is Result.PASS
    assert "by sex of v8 is" in verdict.sentence
    assert verdict.samples == 4000


@pytest.mark.parametrize(
    ("metric", "bound"),
    [
        ("DemographicParityDifference", {"max": 0.2}),
        ("DemographicParityRatio", {"min": 0.6}),
        ("EqualizedOddsDifference", {"max": 0.3}),
        ("AdverseActionRatio", {"min": 0.8}),
    ],
)
def test_groups_that_are_not_treated_alike_fail(metric, bound):
    fair = gate(fairness={"metric": metric, "group": "sex", **bound})
    assert Stage(fair).looks(20, UNLIKE).verdict().result is Result.FAIL


def test_a_group_that_is_too_small_makes_the_gate_unknown():
    fair = gate(fairness={"metric": "DemographicParityRatio", "group": "sex", "min": 0.8, "minGroupSize": 50})
    verdict = Stage(fair).looks(20, grouped(f=(1, 0, 0, 0), m=(30, 10, 10, 50))).verdict()
    assert verdict.result is Result.UNKNOWN
    assert verdict.sentence == "group f has 20 labels of the 50 needed to say how it is treated (sex)"


def test_equalized_odds_need_enough_of_both_labels_in_every_group():
    fair = gate(fairness={"metric": "EqualizedOddsDifference", "group": "sex", "max": 0.1, "minGroupSize": 50})
    verdict = Stage(fair).looks(10, grouped(f=(1, 10, 1, 90), m=(30, 10, 10, 50))).verdict()
    assert verdict.sentence == "group f has 20 positive labels of the 50 needed to say how it is treated (sex)"


def test_one_group_alone_is_compared_with_nothing():
    fair = gate(fairness={"metric": "AccuracyDisparity", "group": "sex", "max": 0.1})
    assert Stage(fair).looks(10, grouped(f=(30, 10, 10, 50))).verdict().result is Result.UNKNOWN


def test_groups_of_another_attribute_do_not_count():
    fair = gate(fairness={"metric": "AccuracyDisparity", "group": "age", "max": 0.1})
    assert Stage(fair).looks(10, ALIKE).verdict().sentence == "no label of a prediction of v8 has come back yet"


def test_the_evidence_of_labels_survives_being_written_and_read():
    stage = Stage(
        gate(name="a", quality={"metric": "AUC", "min": 0.7}),
        gate(name="b", fairness={"metric": "AccuracyDisparity", "group": "sex", "max": 0.2}),
    ).looks(10, {**scored((80, 15, 5, 0), (0, 5, 15, 80)), **ALIKE})
    before = stage.verdicts()
    stage.evidence = Evidence.from_dict(stage.evidence.to_dict())
    assert stage.verdicts() == before


def test_a_right_rate_on_its_minimum_rarely_fails_although_it_is_looked_at_again_and_again():
    random, failed = np.random.default_rng(5), 0
    measured = gate(quality={"metric": "Accuracy", "min": 0.9})
    for _ in range(60):
        stage, ever = Stage(measured), False
        for hits in random.binomial(20, 0.9, 25):
            ever = ever or stage.look(labelled(hits, 20 - hits, 0, 0)).verdict().result is Result.FAIL
        failed += ever
    assert failed <= 5
