"""drift and predictionDrift: important and real, against the baseline or the incumbent."""

import json

import numpy as np
import pytest

from modelward.api.model_version import Baseline
from modelward.lifecycle.gates.verdict import Result
from modelward.stats.readings import Binned
from tests.unit.gates.builders import Stage, gate

EDGES = (10.0, 20.0, 30.0, 40.0)
USUAL = np.array([0.1, 0.2, 0.4, 0.2, 0.1])
SHIFTED = np.array([0.05, 0.1, 0.25, 0.3, 0.3])
REGION = np.array([0.5, 0.3, 0.2])


def counts(shares, total):
    return [round(float(share) * total) for share in shares]


BASELINE = Baseline.model_validate(
    {
        "features": [
            {"name": "income", "edges": EDGES, "counts": counts(USUAL, 4000)},
            {"name": "age", "edges": EDGES, "counts": counts(USUAL, 4000)},
            {
                "name": "region",
                "kind": "Categorical",
                "counts": dict(zip(("north", "south", "west"), counts(REGION, 4000), strict=True)),
            },
        ],
        "predictions": {"edges": EDGES, "counts": counts(USUAL, 4000)},
    }
)
DRIFT = gate(name="drift", drift={"threshold": 0.2, "maxDriftedShare": 0.3})
PREDICTIONS = gate(name="predictions", predictionDrift={"threshold": 0.2})


class Traffic:
    """Seeded live traffic."""

    def __init__(self, seed=1):
        self.random = np.random.default_rng(seed)

    def binned(self, shares, total, edges=EDGES):
        return Binned(edges, tuple(float(n) for n in self.random.multinomial(total, shares)))

    def features(self, total=200, income=USUAL, age=USUAL, region=REGION):
        categories = ("north", "south", "west", "mars")[: len(region)]
        drawn = self.random.multinomial(total, region)
        return {
            "requests": float(total),
            "feature/income": self.binned(income, total),
            "feature/age": self.binned(age, total),
            "feature/region": {name: float(n) for name, n in zip(categories, drawn, strict=True)},
        }


def watch(stage, looks, draw, incumbent=None):
    for _ in range(looks):
        stage.look(draw(), incumbent() if incumbent else {"requests": 1.0})
    return stage


def test_live_traffic_like_the_training_data_passes():
    traffic = Traffic()
    verdict = watch(Stage(DRIFT, baseline=BASELINE), 20, traffic.features).verdict()
    assert verdict.result is Result.PASS
    assert verdict.sentence.startswith(
        "0 of 3 features drifted from the baseline (threshold 0.2; at most 30 % may); largest: "
    )
    assert verdict.sentence.endswith("4,000 requests")


def test_a_shifted_population_fails_and_the_worst_features_are_named():
    traffic = Traffic()
    verdict = watch(Stage(DRIFT, baseline=BASELINE), 10, lambda: traffic.features(income=SHIFTED)).verdict()
    assert verdict.result is Result.FAIL
    assert verdict.sentence.startswith("1 of 3 features drifted from the baseline (threshold 0.2; at most 30 % may)")
    assert "worst: income PSI 0." in verdict.sentence
    assert (verdict.figure, verdict.bound) == (pytest.approx(1 / 3), 0.3)


def test_one_drifted_feature_of_three_is_allowed_where_half_may_drift():
    traffic = Traffic()
    half = gate(name="drift", drift={"threshold": 0.2})
    verdict = watch(Stage(half, baseline=BASELINE), 20, lambda: traffic.features(income=SHIFTED)).verdict()
    assert verdict.result is Result.PASS


def test_a_handful_of_requests_decides_nothing_however_far_off_they_look():
    traffic = Traffic()
    verdict = watch(Stage(DRIFT, baseline=BASELINE), 2, lambda: traffic.features(total=4, income=SHIFTED)).verdict()
    assert verdict.result is Result.INCONCLUSIVE
    assert "3 undecided" in verdict.sentence or "2 undecided" in verdict.sentence
    assert " more requests needed, " in verdict.sentence


def test_a_reference_that_is_too_small_for_its_threshold_is_named():
    traffic, strict = Traffic(), gate(name="drift", drift={"threshold": 0.0001})
    verdict = watch(Stage(strict, baseline=BASELINE), 20, traffic.features).verdict()
    assert verdict.result is Result.INCONCLUSIVE
    assert verdict.sentence.endswith("has too few rows for this threshold, however long it takes")


def test_a_category_that_training_never_saw_is_drift():
    traffic = Traffic()
    stage = Stage(DRIFT, baseline=BASELINE)
    verdict = watch(stage, 10, lambda: traffic.features(region=np.array([0.25, 0.15, 0.1, 0.5]))).verdict()
    assert verdict.result is Result.FAIL
    assert "region PSI" in verdict.sentence


def test_a_feature_that_the_server_does_not_show_is_unknown_and_not_a_pass():
    traffic = Traffic()

    def without_age():
        return {name: value for name, value in traffic.features().items() if name != "feature/age"}

    verdict = watch(Stage(DRIFT, baseline=BASELINE), 20, without_age).verdict()
    assert verdict.result is Result.UNKNOWN
    assert verdict.sentence == "1 of 3 features cannot be judged: age has shown no value"


def test_too_few_common_edges_are_unknown():
    traffic = Traffic()
    other = (10.0, 21.0, 31.0, 41.0)
    verdict = watch(
        Stage(PREDICTIONS, baseline=BASELINE),
        12,
        lambda: {"requests": 100.0, "prediction": traffic.binned(USUAL, 100, other)},
    ).verdict()
    assert verdict.result is Result.UNKNOWN
    assert "shares 1 of its 4 bin edges with live traffic, of which 3 are needed" in verdict.sentence


def test_live_edges_that_are_finer_than_the_baselines_are_merged():
    traffic = Traffic()
    fine, shares = (10.0, 15.0, 20.0, 30.0, 40.0), np.array([0.1, 0.1, 0.1, 0.4, 0.2, 0.1])
    verdict = watch(
        Stage(PREDICTIONS, baseline=BASELINE),
        20,
        lambda: {"requests": 200.0, "prediction": traffic.binned(shares, 200, fine)},
    ).verdict()
    assert verdict.result is Result.PASS
    assert verdict.bound == 0.2


@pytest.mark.parametrize("method", ["PSI", "JS"])
def test_predictions_that_differ_from_training_fail(method):
    traffic = Traffic()
    differing = gate(name="predictions", predictionDrift={"threshold": 0.15, "method": method})
    verdict = watch(
        Stage(differing, baseline=BASELINE), 20, lambda: {"requests": 100.0, "prediction": traffic.binned(SHIFTED, 100)}
    ).verdict()
    assert verdict.result is Result.FAIL
    assert verdict.sentence.startswith(
        f"prediction drifted from the baseline: {'PSI' if method == 'PSI' else 'JS distance'} 0."
    )
    assert verdict.figure >= 0.15


def test_without_a_baseline_drift_is_unknown():
    verdict = watch(Stage(DRIFT), 12, Traffic().features).verdict()
    assert (verdict.result, verdict.reason) == (Result.UNKNOWN, "NoBaseline")


@pytest.mark.parametrize(
    ("theirs", "result"),
    [pytest.param(USUAL, Result.FAIL, id="other traffic"), pytest.param(SHIFTED, Result.PASS, id="the same traffic")],
)
def test_predictions_are_compared_with_the_incumbents(theirs, result):
    traffic = Traffic()
    versus = gate(name="predictions", predictionDrift={"threshold": 0.2, "reference": "Incumbent"})
    verdict = watch(
        Stage(versus),
        40,
        lambda: {"requests": 200.0, "prediction": traffic.binned(SHIFTED, 200)},
        lambda: {"requests": 900.0, "prediction": traffic.binned(theirs, 900)},
    ).verdict()
    assert verdict.result is result
    assert "v7" in verdict.sentence


def test_drift_from_an_incumbent_does_not_apply_to_a_first_version():
    versus = gate(name="drift", drift={"reference": "Incumbent"})
    verdict = watch(Stage(versus, incumbent=None), 12, Traffic().features).verdict()
    assert (verdict.result, verdict.applies) == (Result.INCONCLUSIVE, False)


def test_drift_below_min_samples_is_unknown():
    stage = Stage(gate(name="drift", drift={}, minSamples=2000), baseline=BASELINE)
    traffic = Traffic()
    verdict = watch(stage, 5, lambda: traffic.features(income=SHIFTED)).verdict()
    assert (verdict.result, verdict.reason) == (Result.UNKNOWN, "InsufficientSamples")


def test_thirty_features_are_remembered_in_few_bytes():
    names = [f"feature{i}" for i in range(30)]
    edges = tuple(float(i) for i in range(1, 10))
    many = Baseline.model_validate(
        {"features": [{"name": name, "edges": edges, "counts": [100] * 10} for name in names]}
    )
    traffic, shares = Traffic(), np.full(10, 0.1)
    stage = watch(
        Stage(DRIFT, baseline=many),
        60,
        lambda: {"requests": 137.0, **{f"feature/{name}": traffic.binned(shares, 137, edges) for name in names}},
    )
    assert stage.verdict().result is Result.PASS
    assert len(json.dumps(stage.evidence.to_dict())) < 40_000
