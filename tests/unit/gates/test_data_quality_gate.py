"""dataQuality: missing values, values out of range, new categories."""

import pytest

from modelward.api.model_version import Baseline
from modelward.lifecycle.gates.verdict import Result
from modelward.stats.readings import Binned
from tests.unit.gates.builders import Stage, gate

EDGES = (0.0, 50.0, 100.0)
BASELINE = Baseline.model_validate(
    {
        "features": [
            {"name": "age", "edges": EDGES, "counts": [0, 500, 500, 0], "missing": 3},
            {"name": "region", "kind": "Categorical", "counts": {"north": 700, "south": 300}},
        ],
    }
)
QUALITY = gate(name="quality", dataQuality={"maxMissing": 0.05, "maxOutOfRange": 0.02, "maxNewCategories": 0.02})


def served(age=(0, 500, 500, 0), region=None, missing=0.0):
    return {
        "requests": 1000.0,
        "feature/age": Binned(EDGES, tuple(map(float, age))),
        "feature/region": region or {"north": 700.0, "south": 300.0},
        "missing/age": float(missing),
    }


@pytest.mark.parametrize(
    ("look", "result", "says"),
    [
        pytest.param(served(missing=10), Result.PASS, "the worst of 4 checks", id="clean"),
        pytest.param(served(missing=200), Result.FAIL, "of age are missing", id="missing"),
        pytest.param(
            served(age=(0, 480, 440, 80)), Result.FAIL, "of age are out of the range of training", id="above the range"
        ),
        pytest.param(
            served(age=(80, 480, 440, 0)), Result.FAIL, "of age are out of the range of training", id="below the range"
        ),
        pytest.param(
            served(region={"north": 900.0, "mars": 100.0}),
            Result.FAIL,
            "of region are of new categories",
            id="new category",
        ),
    ],
)
def test_a_share_is_held_against_its_bound(look, result, says):
    verdict = Stage(QUALITY, baseline=BASELINE).looks(3, look).verdict()
    assert verdict.result is result
    assert says in verdict.sentence


def test_values_in_an_end_bin_that_training_filled_are_not_out_of_range():
    filled = Baseline.model_validate({"features": [{"name": "age", "edges": EDGES, "counts": [10, 500, 490, 10]}]})
    ranged = gate(name="quality", dataQuality={"maxOutOfRange": 0.02})
    assert Stage(ranged, baseline=filled).looks(3, served(age=(200, 300, 300, 200))).verdict().result is Result.PASS


def test_a_few_values_decide_nothing():
    few = {"requests": 5.0, "feature/age": Binned(EDGES, (0, 3, 2, 0)), "feature/region": {"north": 5.0}}
    verdict = Stage(QUALITY, baseline=BASELINE).looks(2, few).verdict()
    assert verdict.result is Result.INCONCLUSIVE


def test_none_at_all_passes_a_bound_of_zero_once_enough_was_seen():
    strict = gate(name="quality", dataQuality={"maxNewCategories": 0.0})
    stage = Stage(strict, baseline=BASELINE).look(served())
    assert stage.looks(5, served()).verdict().result is Result.PASS
    assert stage.look(served(region={"north": 990.0, "mars": 1.0})).verdict().result is Result.FAIL


def test_a_feature_that_is_not_seen_is_unknown():
    look = served()
    del look["feature/age"], look["missing/age"]
    verdict = Stage(QUALITY, baseline=BASELINE).looks(3, look).verdict()
    assert verdict.result is Result.UNKNOWN
    assert "no value of age has been seen yet" in verdict.sentence


def test_without_a_baseline_quality_is_unknown():
    assert Stage(QUALITY).looks(3, served()).verdict().reason == "NoBaseline"
