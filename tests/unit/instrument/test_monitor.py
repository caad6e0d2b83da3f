"""What a model server counts, seen on its page."""

import json
import math
import urllib.request
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from modelward.instrument import VERSION_HEADER, Categorical, Monitor, Numeric

BASELINE = {
    "features": [
        {"name": "income", "kind": "Numeric", "edges": [0, 10, 20], "counts": [0, 5, 5, 0], "missing": 1},
        {"name": "region", "kind": "Categorical", "counts": {"north": 3, "3": 4}},
    ],
    "predictions": {"edges": [0.5], "counts": [4, 6]},
}


@pytest.fixture
def monitor() -> Monitor:
    return Monitor.from_baseline(BASELINE, model="credit", version="v2")


def page(monitor: Monitor) -> dict[str, float]:
    """The page as `name{values of labels}` to value."""
    families = text_string_to_metric_families(generate_latest(monitor.registry()).decode())
    return {f"{s.name}{{{','.join(s.labels.values())}}}": s.value for family in families for s in family.samples}


def bins(monitor: Monitor) -> list[float]:
    shown = page(monitor)
    cumulative = [shown[f"modelward_feature_value_bucket{{income,{edge}}}"] for edge in ("0.0", "10.0", "20.0", "+Inf")]
    return np.diff([0, *cumulative]).tolist()


@pytest.mark.parametrize(
    ("value", "expected", "missing"),
    [
        (10, [0, 1, 0, 0], 0),
        (10.000001, [0, 0, 1, 0], 0),
        (-5, [1, 0, 0, 0], 0),
        (math.inf, [0, 0, 0, 1], 0),
        (-math.inf, [1, 0, 0, 0], 0),
        (math.nan, [0, 0, 0, 0], 1),
        (None, [0, 0, 0, 0], 1),
        (pd.NA, [0, 0, 0, 0], 1),
        ("high", [0, 0, 0, 0], 1),
        ("7", [0, 1, 0, 0], 0),
        (Decimal("7.5"), [0, 1, 0, 0], 0),
        (np.float32(7), [0, 1, 0, 0], 0),
    ],
    ids=str,
)
def test_a_number_falls_into_its_bin_or_is_missing(
    monitor: Monitor, value: object, expected: list[float], missing: float
) -> None:
    monitor.request().features([value, "north"])
    assert bins(monitor) == expected
    assert page(monitor)["modelward_feature_missing_total{income}"] == missing
    assert math.isfinite(page(monitor)["modelward_feature_value_sum{income}"])


@pytest.mark.parametrize(
    ("value", "category"),
    [
        ("north", "north"),
        (3, "3"),
        (3.0, "3"),
        (np.int64(3), "3"),
        ("east", "__other__"),
        (True, "__other__"),
        ([], "__other__"),
    ],
    ids=str,
)
def test_a_category_is_counted_under_its_name_and_a_new_one_as_other(
    monitor: Monitor, value: object, category: str
) -> None:
    monitor.request().features([1, value])
    assert page(monitor)[f"modelward_feature_category_total{{{category},region}}"] == 1


ROWS = [[5.0, "north"], [15.0, "east"], [float("nan"), None]]


@pytest.mark.parametrize(
    "batch",
    [ROWS, np.array(ROWS, dtype=object), pd.DataFrame(ROWS, columns=["income", "region"])],
    ids=["lists", "array", "data frame"],
)
def test_a_batch_counts_as_its_rows_would(batch: object) -> None:
    whole, one_by_one = Monitor.from_baseline(BASELINE), Monitor.from_baseline(BASELINE)
    whole.request().features(batch)
    for row in ROWS:
        one_by_one.request().features(row)
    assert page(whole) == page(one_by_one)


def test_rows_may_be_mappings_or_arrays() -> None:
    monitor = Monitor((Numeric("a", (0.0,)), Numeric("b", (0.0,))))
    monitor.request().features({"b": 1, "unknown": 5})
    monitor.request().features(np.array([1.0, -1.0]))
    monitor.request().features(np.array([[1.0, np.inf], [np.nan, -1.0]]))
    shown = page(monitor)
    assert shown["modelward_feature_missing_total{a}"] == 2
    assert shown["modelward_feature_value_bucket{b,0.0}"] == 2
    assert shown["modelward_feature_value_bucket{b,+Inf}"] == 4


@pytest.mark.parametrize("rows", [[1], [[1, "north"], [1]], np.array([[1]])], ids=["row", "ragged rows", "array"])
def test_a_row_of_another_length_is_refused(monitor: Monitor, rows: object) -> None:
    with pytest.raises(ValueError, match="a row has 1 values, the baseline has 2 features"):
        monitor.request().features(rows)


def test_requests_are_timed_and_failures_counted(monitor: Monitor) -> None:
    with monitor.request():
        pass
    with monitor.request() as request:
        request.error()
    with pytest.raises(RuntimeError), monitor.request():
        raise RuntimeError
    shown = page(monitor)
    assert shown["modelward_requests_total{success}"] == 1
    assert shown["modelward_requests_total{error}"] == 2
    assert shown["modelward_request_seconds_bucket{0.25}"] == 3
    assert shown["modelward_request_seconds_count{}"] == 3
    assert shown["modelward_info{credit,v2}"] == 1


def test_predictions_may_be_numbers_or_categories() -> None:
    numeric = Monitor((), Numeric("prediction", (0.5,)))
    numeric.request().prediction(0.5)
    numeric.request().prediction(np.array([0.1, 0.9]))
    assert page(numeric)["modelward_prediction_value_bucket{0.5}"] == 2
    assert page(numeric)["modelward_prediction_value_sum{}"] == pytest.approx(1.5)
    named = Monitor((), Categorical("prediction", ("spam", "ham")))
    named.request().prediction("spam")
    named.request().prediction(["ham", "eggs"])
    assert page(named)["modelward_prediction_category_total{__other__}"] == 1


def test_the_name_comes_from_what_the_operator_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELWARD_MODEL", "credit")
    monkeypatch.setenv("MODELWARD_VERSION", "v7")
    assert Monitor().version == "v7"
    assert VERSION_HEADER == "modelward-version"


def test_the_page_is_served(monitor: Monitor, tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    path.write_text(json.dumps({"baseline": BASELINE}))
    server = Monitor.from_baseline(path, model="credit", version="v9").serve(port=0, address="127.0.0.1")
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics", timeout=5) as answer:
            assert b'modelward_info{model="credit",version="v9"} 1.0' in answer.read()
    finally:
        server.close()


@pytest.mark.parametrize("edges", [(), (1.0, 1.0), (2.0, 1.0), (math.nan,), (1.0, math.inf)], ids=str)
def test_edges_out_of_order_are_refused_by_name(edges: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="income: edges have to be"):
        Numeric("income", edges)


def test_two_features_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="two features are named 'a'"):
        Monitor((Numeric("a", (1.0,)), Categorical("a", ("x",))))
