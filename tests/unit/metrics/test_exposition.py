"""A metrics page to canonical series: every trap of the two formats."""

import pytest
from prometheus_client import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

from modelward.instrument import Categorical, Monitor, Numeric
from modelward.metrics.canonical import InvalidSamples
from modelward.metrics.exposition import OPENMETRICS, NotAnExposition, read_exposition
from modelward.metrics.presets import CounterRule, HistogramRule, Preset, UnknownPreset, preset
from modelward.stats.readings import Binned

EVERYTHING = ("requests", "errors", "latency", "prediction", "feature/", "missing/")
TEXT = "text/plain; version=0.0.4; charset=utf-8"
REQUESTS = 'modelward_requests_total{outcome="success"} 5\n'


def buckets(*pairs: tuple[str, float], name: str = "modelward_request_seconds") -> str:
    return "".join(f'{name}_bucket{{le="{edge}"}} {value}\n' for edge, value in pairs)


def read(body: str, content_type: str = TEXT, wanted: tuple[str, ...] = EVERYTHING):
    return read_exposition(body, content_type, preset("modelward"), wanted)


@pytest.fixture
def monitor() -> Monitor:
    features = (Numeric("income", (-1.0, 0.0, 10.0)), Categorical("region", ("north", "south")))
    monitor = Monitor(features, Numeric("prediction", (0.5,)), model="credit", version="v2")
    with monitor.request() as request:
        request.features([7.0, "north"])
        request.prediction(0.9)
    with monitor.request() as request:
        request.features([None, "east"])
        request.error()
    return monitor


@pytest.mark.parametrize(
    ("generate", "content_type"),
    [(generate_latest, TEXT), (generate_openmetrics, f"{OPENMETRICS}; version=1.0.0; charset=utf-8")],
    ids=["text", "openmetrics"],
)
def test_what_the_instrumentation_shows_is_read_back_whole(monitor: Monitor, generate, content_type: str) -> None:
    series = read(generate(monitor.registry()).decode(), content_type)
    assert series["requests"] == 2
    assert series["errors"] == 1
    assert series["feature/income"] == Binned(edges=(-1.0, 0.0, 10.0), counts=(0, 0, 1, 0), total=None)
    assert series["feature/region"] == {"north": 1, "south": 0, "__other__": 1}
    assert series["missing/income"] == 1
    assert series["prediction"] == Binned(edges=(0.5,), counts=(0, 1), total=0.9)
    latency = series["latency"]
    assert isinstance(latency, Binned) and sum(latency.counts) == 2


def test_only_wanted_series_are_read() -> None:
    page = (
        REQUESTS
        + 'modelward_feature_missing_total{feature="age"} 1\nmodelward_feature_missing_total{feature="job"} 1\n'
    )
    assert read(page, wanted=("missing/age",)).keys() == {"requests", "missing/age"}


def test_errors_are_zero_when_no_request_has_failed_yet() -> None:
    assert read(REQUESTS)["errors"] == 0


def test_cumulative_buckets_become_counts_in_order_of_edges_as_numbers() -> None:
    page = REQUESTS + buckets(("10", 4), ("2.0", 3), ("+Inf", 6), ("1e-1", 1))
    assert read(page)["latency"] == Binned(edges=(0.1, 2.0, 10.0), counts=(1, 2, 1, 2))


@pytest.mark.parametrize(
    ("page", "sentence"),
    [
        (REQUESTS + buckets(("1", 3)), "no +Inf bucket"),
        (REQUESTS + buckets(("1", 3), ("2", 2), ("+Inf", 5)), "fall as le rises"),
        (REQUESTS + buckets(("1", 3), ("1.0", 3), ("+Inf", 5)), "twice"),
        (REQUESTS + buckets(("wide", 3), ("+Inf", 5)), "no usable le"),
        (REQUESTS + REQUESTS, "twice"),
        ('modelward_requests_total{outcome="success"} -1\n', "is -1"),
        ('modelward_requests_total{outcome="success"} NaN\n', "is nan"),
        ('modelward_requests_total{outcome="success"} +Inf\n', "is inf"),
        ('modelward_requests_total{outcome="success} 5\n', "cannot be parsed"),
        ("some_other_metric 1\n", "there is no modelward_requests_total"),
        ("", "there is no modelward_requests_total"),
        (REQUESTS + buckets(("+Inf", 1), name="modelward_prediction_value")
         + 'modelward_prediction_category_total{category="a"} 1\n', "both a histogram and categories"),
    ],
    ids=["no infinite bucket", "buckets fall", "one edge twice", "edge is no number", "series twice", "negative", "NaN",
         "infinite", "broken line", "another server", "empty", "two kinds"],
)  # fmt: skip
def test_a_page_that_contradicts_itself_is_refused(page: str, sentence: str) -> None:
    with pytest.raises(InvalidSamples, match=sentence.replace("+", r"\+")):
        read(page)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [("<html>404</html>", "text/html"), ("<html>404</html>", "text/plain"), ('{"a": 1}', "application/json")],
    ids=["HTML", "HTML that says it is text", "JSON"],
)
def test_what_is_no_metrics_page_is_told_from_one(body: str, content_type: str) -> None:
    with pytest.raises(NotAnExposition):
        read(body, content_type)


@pytest.mark.parametrize("page", [REQUESTS, REQUESTS + REQUESTS + "# EOF\n"], ids=["cut off", "series twice"])
def test_openmetrics_is_checked_to_its_end(page: str) -> None:
    with pytest.raises(InvalidSamples):
        read("# TYPE modelward_requests counter\n" + page, OPENMETRICS)


def test_a_counter_without_total_keeps_its_name() -> None:
    rules = Preset(name="triton", counters=(CounterRule(series="requests", metric="nv_inference_request_success"),))
    page = '# TYPE nv_inference_request_success counter\nnv_inference_request_success{model="a"} 3\n'
    assert read_exposition(page, TEXT, rules, ("requests",)) == {"requests": 3}


def test_a_preset_may_match_labels_add_them_up_and_convert_units() -> None:
    rules = Preset(
        name="serving",
        counters=(CounterRule(series="errors", metric=":tf:count", labels={"status": "(?!OK).*"}),),
        histograms=(HistogramRule(series="latency", metric=":tf:latency", divisor=1_000_000),),
    )
    page = ':tf:count{status="OK"} 9\n:tf:count{status="ABORTED"} 2\n:tf:count{status="INTERNAL"} 1\n' + "".join(
        f':tf:latency_bucket{{api="{api}",le="{edge}"}} {value}\n'
        for api in ("rest", "grpc") for edge, value in (("250000", 3), ("+Inf", 4))
    )  # fmt: skip
    series = read_exposition(page, TEXT, rules, ("errors", "latency"))
    assert series == {"errors": 3, "latency": Binned(edges=(0.25,), counts=(6, 2))}


def test_an_unknown_preset_names_the_known_ones() -> None:
    with pytest.raises(UnknownPreset, match=r"set spec\.serving\.metrics\.preset to one of bentoml, .*, modelward, "):
        preset("modlward")
