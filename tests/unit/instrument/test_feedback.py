"""Labels that come back: joined with the prediction, counted once, and judged by the gates."""

import math
import os
import sys

import numpy as np
import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from modelward.instrument import Monitor, Numeric, Truth
from modelward.lifecycle.gates.verdict import Result
from modelward.metrics.canonical import RawSample, canonical_series
from modelward.metrics.presets import preset
from tests.unit.gates.builders import Stage, gate

SCORES = Truth.scores(groups={"sex": ("f", "m")})


def monitor(truth=SCORES, **options):
    return Monitor([], Numeric("prediction", (0.5,)), model="credit", version="v8", truth=truth, **options)


def answer(server, identity, value):
    with server.request() as request:
        request.prediction(value, id=identity)


def page(server):
    families = text_string_to_metric_families(generate_latest(server.registry()).decode())
    return [RawSample(s.name, s.labels, s.value) for family in families for s in family.samples]


def outcomes(server):
    return {s.labels["outcome"]: s.value for s in page(server) if s.name == "modelward_feedback_total"}


def series(server, *wanted):
    return canonical_series(page(server), preset("modelward").only(wanted), wanted)


@pytest.mark.parametrize(
    ("score", "label", "row"),
    [
        pytest.param(0.9, "1", {"confusion/1": {"1": 1}}, id="true positive"),
        pytest.param(0.5, 0, {"confusion/1": {"0": 1}}, id="the threshold itself is positive"),
        pytest.param(np.float32(0.2), 1.0, {"confusion/0": {"1": 1}}, id="numbers are labels too"),
        pytest.param(0.2, "maybe", {"confusion/0": {"__other__": 1}}, id="a label that nobody declared"),
        pytest.param(math.nan, "1", {"confusion/__other__": {"1": 1}}, id="no score"),
    ],
)
def test_a_label_is_counted_with_the_prediction_that_it_is_for(score, label, row):
    server = monitor()
    answer(server, "a", score)
    assert server.feedback("a", label)
    assert series(server, "confusion/") == {"requests": 1, **row}


def test_scores_are_counted_by_label_and_people_by_group():
    server = monitor()
    for i, (score, label, sex) in enumerate([(0.95, 1, "f"), (0.05, 0, "m"), (0.7, 0, "m"), (0.3, 1, "x")]):
        answer(server, str(i), score)
        server.feedback(str(i), label, group={"sex": sex, "region": "north"})
    found = series(server, "score/", "group/sex/")
    assert found["score/1"].counts[18] == 1  # (0.9, 0.95]
    assert found["score/0"].total == pytest.approx(0.75)
    assert found["group/sex/f"]["true_positive"] == 1
    assert (found["group/sex/m"]["false_positive"], found["group/sex/m"]["true_negative"]) == (1, 1)
    assert sum(sum(found[f"group/sex/{name}"].values()) for name in "fm") == 3  # nobody listed x


def test_classes_and_numbers_have_their_own_truth():
    server = monitor(Truth.classes(("cat", "dog", "fox")))
    answer(server, "a", "cat")
    server.feedback("a", "fox")
    assert series(server, "confusion/")["confusion/cat"] == {"fox": 1}
    server = monitor(Truth.numbers())
    for identity, value in (("a", 3.0), ("b", 10)):
        answer(server, identity, value)
        server.feedback(identity, 5)
    answer(server, "c", 1.0)
    server.feedback("c", math.nan)
    assert series(server, "labels", "error_") == {
        "requests": 3,
        "labels": 2,
        "error_absolutes": 7,
        "error_squares": 29,
        "error_fourth_powers": 641,
    }


def test_a_label_counts_once_and_only_for_a_prediction_that_is_remembered():
    server = monitor()
    answer(server, "a", 0.9)
    assert [server.feedback(identity, 1) for identity in ("a", "a", "never")] == [True, False, False]
    assert outcomes(server) == {"matched": 1, "unknown": 2, "lost": 0}


@pytest.mark.parametrize("kept", ["memory", "file"])
def test_at_most_so_many_predictions_are_remembered_and_the_oldest_go_first(kept, tmp_path):
    server = monitor(remember=300, predictions=tmp_path / "kept" if kept == "file" else None)
    for i in range(1024):
        server.remember(str(i), 0.9)
    matched = [i for i in range(1024) if server.feedback(str(i), 1)]
    assert matched == list(range(1024 - 300, 1024))


def test_labels_that_take_days_survive_a_restart(tmp_path):
    answer(monitor(predictions=tmp_path / "kept"), "a", 0.9)
    restarted = monitor(predictions=tmp_path / "kept")
    assert restarted.feedback("a", 1)
    assert series(restarted, "confusion/")["confusion/1"] == {"1": 1}


def test_two_versions_that_answered_the_same_request_are_scored_apart(tmp_path):
    """As a shadow does, which gets a copy of the request with the same id."""
    shadow = monitor(predictions=tmp_path / "kept")
    serving = Monitor([], None, version="v7", truth=SCORES, predictions=tmp_path / "kept")
    answer(serving, "a", 0.1)
    answer(shadow, "a", 0.9)
    assert serving.feedback("a", 1)
    assert shadow.feedback("a", 1)
    assert series(serving, "confusion/")["confusion/0"] == {"1": 1}
    assert series(shadow, "confusion/")["confusion/1"] == {"1": 1}


@pytest.mark.skipif(sys.platform == "win32", reason="has no fork")
def test_a_label_may_reach_another_worker_than_the_one_that_answered(tmp_path):
    server = monitor(directory=tmp_path)
    child = os.fork()
    if child == 0:
        answer(server, "a", 0.9)
        os._exit(0)
    os.waitpid(child, 0)
    assert server.feedback("a", 1)
    assert series(server, "confusion/")["confusion/1"] == {"1": 1}


def test_a_server_serves_on_when_predictions_cannot_be_kept(tmp_path):
    (tmp_path / "kept").mkdir()
    server = monitor(predictions=tmp_path / "kept")
    answer(server, "a", 0.9)
    assert outcomes(server)["lost"] == 1
    assert not server.feedback("a", 1)


def test_feedback_without_a_declared_truth_is_refused():
    with pytest.raises(ValueError, match="give it truth="):
        Monitor().feedback("a", 1)


@pytest.mark.parametrize(
    "truth",
    [
        pytest.param(lambda: Truth.classes(("a", "b"), positive="c"), id="a positive label that is none"),
        pytest.param(lambda: Truth.classes(("a", "b"), groups={"sex": ("f",)}), id="groups without a positive label"),
        pytest.param(lambda: Truth.scores(edges=(0.5, 0.2)), id="edges that fall"),
    ],
)
def test_a_truth_that_contradicts_itself_is_refused(truth):
    with pytest.raises(ValueError, match=r"\w"):
        truth()


def test_gates_judge_what_the_instrumentation_counts():
    random, server = np.random.default_rng(3), monitor()
    gates = (
        gate(name="recall", quality={"metric": "Recall", "min": 0.6}),
        gate(name="auc", quality={"metric": "AUC", "min": 0.7}),
        gate(name="fair", fairness={"metric": "DemographicParityDifference", "group": "sex", "max": 0.2}),
    )
    stage, shown = Stage(*gates), {}
    for look in range(12):
        for i in range(200):
            label = int(random.random() < 0.5)
            answer(server, f"{look}-{i}", float(np.clip(random.normal(0.3 + 0.4 * label, 0.2), 0, 1)))
            server.feedback(f"{look}-{i}", label, group={"sex": "fm"[i % 2]})
        shown = series(server, "requests", "confusion/", "score/", "group/sex/")
        stage.ours = shown
        stage.look()
    assert [verdict.result for verdict in stage.verdicts()] == [Result.PASS] * 3


def test_a_preset_without_labels_says_so():
    assert preset("kserve").lacks(("confusion/",)) == {
        "confusion/": "preset kserve has no count of labels that came back: modelward.instrument counts labels that come back;"
        " take the gate out where it cannot be used"
    }
