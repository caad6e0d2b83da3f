"""The explanation of a version says what the gates judged by, in the same figures."""

from dataclasses import replace

import numpy as np
import pytest

from modelward.api.status import ModelStatus
from modelward.lifecycle.explanation import explain, explained_version
from modelward.lifecycle.tables import OTHERS
from modelward.stats import distances
from tests.unit.lifecycle.explained import BASELINE, GATES, MODEL, canary, status_of


@pytest.fixture(scope="module")
def stage():
    return canary()


@pytest.fixture(scope="module")
def explained(stage):
    return explain(MODEL, status_of(stage), "v8", stage.evidence, BASELINE)


def by_name(features):
    return {each.feature: each for each in features}


def test_distances_of_features_are_those_of_the_verdict(explained):
    drift = next(gate for gate in explained.gates if gate.name == "drift")
    income = by_name(explained.drift[0].features)["income"]
    assert f"income PSI {income.debiased:.4g}" in drift.sentence
    histogram = next(each for each in explained.histograms if each.name == "income")
    observed = np.array(histogram.candidate) * income.values
    recorded = [400, 1000, 1400, 800, 400]
    assert income.distance == pytest.approx(float(distances.psi(recorded, observed)))
    assert income.critical == pytest.approx(float(distances.psi_critical_value(recorded, observed)))


def test_verdicts_of_features_are_those_that_the_gate_counted(explained):
    for table in explained.drift:
        sentence = next(gate.sentence for gate in explained.gates if gate.name == table.gate)
        drifted = sum(feature.verdict == "drifted" for feature in table.features)
        if len(table.features) > 1:
            assert sentence.startswith(f"{drifted} of {len(table.features)} features drifted")


def test_the_worst_check_of_the_values_is_the_one_in_the_sentence(explained):
    quality = next(gate for gate in explained.gates if gate.name == "quality")
    missing = by_name(explained.quality[0].features)["age"].missing
    assert (missing.share, missing.low, missing.high, missing.bound) == (
        quality.figure,
        quality.low,
        quality.high,
        quality.bound,
    )


def test_tables_and_histograms_have_the_worst_first(explained):
    assert [feature.feature for feature in explained.drift[0].features] == ["income", "region", "age"]
    assert [histogram.name for histogram in explained.histograms] == ["income", "region", "age", "prediction"]


def test_a_category_that_nobody_had_seen_has_a_bin_of_its_own(explained):
    region = explained.histograms[1]
    assert region.bins == ("north", "south", "west", OTHERS)
    assert region.candidate[-1] == pytest.approx(0.02, abs=0.005)
    assert (region.baseline[-1], region.incumbent[-1]) == (0.0, 0.0)


def test_the_incumbent_is_drawn_only_where_some_gate_compares_with_it(explained):
    assert [histogram.incumbent is None for histogram in explained.histograms] == [False, False, False, True]


def test_features_of_a_gate_on_their_values_are_drawn_from_what_the_pods_counted():
    stage = canary(gates=GATES[-1:])
    histograms = explain(MODEL, status_of(stage), "v8", stage.evidence, BASELINE).histograms
    assert {histogram.name for histogram in histograms} == {"age", "income", "region"}
    assert all(sum(histogram.candidate) == pytest.approx(1) for histogram in histograms)


def test_edges_that_differ_leave_the_bins_that_all_have():
    finer = BASELINE.model_copy(
        update={
            "features": (
                BASELINE.features[0].model_copy(
                    update={
                        "edges": (20_000.0, 30_000.0, 40_000.0, 60_000.0, 80_000.0),
                        "counts": (4, 5, 5, 14, 8, 4),
                    }
                ),
            )
        }
    )
    stage = canary()
    income = next(
        each
        for each in explain(MODEL, status_of(stage), "v8", stage.evidence, finer).histograms
        if each.name == "income"
    )
    assert income.bins[:2] == ("up to 20000", "20000 to 40000")
    assert income.baseline[1] == 0.25


@pytest.mark.parametrize("looks", [0, 1, 2], ids=str)
def test_the_first_looks_of_a_stage_explain_what_is_there(looks):
    stage = canary(looks)
    explained = explain(MODEL, status_of(stage), "v8", stage.evidence, BASELINE)
    assert {gate.name for gate in explained.gates} == {gate.name for gate in GATES}
    assert all(np.isfinite(each.distance) for table in explained.drift for each in table.features if each.distance)


def test_evidence_of_an_earlier_attempt_at_the_stage_is_not_shown(stage):
    status = status_of(stage)
    later = status.rollout.model_copy(update={"stage_entered_at": stage.evidence.evaluated_at})
    explained = explain(MODEL, status.model_copy(update={"rollout": later}), "v8", stage.evidence, BASELINE)
    assert explained.drift == explained.histograms == ()
    assert "has not been looked at yet" in explained.notes[0]


def test_terms_that_this_release_cannot_read_leave_the_verdicts(stage):
    strange = replace(stage.evidence, terms={**stage.evidence.terms, "gates": [{"name": "x", "tarot": {}}]})
    explained = explain(MODEL, status_of(stage), "v8", strange, BASELINE)
    assert len(explained.gates) == len(GATES)
    assert "another release" in explained.notes[0]


def test_the_latest_decision_is_that_of_the_rollout_then_of_the_last_rows_then_of_what_serves(stage):
    status = status_of(stage)
    ended = status.model_copy(update={"rollout": None})
    serving = ModelStatus.model_validate(
        {"production": {"version": "v7", "digest": "sha256:7", "since": "2026-03-01T09:00:00Z"}}
    )
    assert [explained_version(each) for each in (status, ended, serving, ModelStatus())] == ["v8", "v8", "v7", None]
