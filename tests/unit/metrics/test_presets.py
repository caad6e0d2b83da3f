"""The shipped presets on texts of the servers they are for, and the presets that a platform brings itself."""

from pathlib import Path

import pytest

from modelward.metrics.absent import absent_series
from modelward.metrics.exposition import read_exposition
from modelward.metrics.presets import PresetsInvalid, preset, presets, with_own
from modelward.stats.readings import Binned, PodReading, Series

CAPTURED = Path(__file__).parent / "captured"
WANTED = ("requests", "errors", "latency", "prediction")
TEXT = "text/plain; version=0.0.4; charset=utf-8"


def read(name: str, text: str | None = None) -> dict[str, Series]:
    body = (CAPTURED / f"{text or name}.txt").read_text()
    return dict(read_exposition(body, TEXT, preset(name), WANTED))


def absent(name: str, text: str | None = None) -> dict[str, str]:
    pod = PodReading(pod="credit-v2-0", started_at=0, at=1, series=read(name, text))
    return dict(absent_series(preset(name), WANTED, [pod]))


@pytest.mark.parametrize(
    ("name", "text", "requests", "errors"),
    [
        ("kserve", "kserve", 4, None),
        ("triton", "triton", 3, 0),
        ("seldon", "seldon", 6, 2),
        ("mlserver", "mlserver", 4, 1),
        ("vllm", "vllm", 5, 2),
        ("vllm", "vllm-v0", 1, None),
        ("tensorflow-serving", "tensorflow-serving", 12, 2),
        ("torchserve", "torchserve", 22, 60),
        ("bentoml", "bentoml", 4, 1),
        ("envoy", "envoy", 5, 1),
    ],
)
def test_requests_and_errors_of_each_server_are_counted(
    name: str, text: str, requests: float, errors: float | None
) -> None:
    series = read(name, text)
    assert (series["requests"], series.get("errors")) == (requests, errors)
    assert ("errors" in absent(name, text)) == (errors is None)


@pytest.mark.parametrize(
    ("name", "slow", "edges"),
    [
        ("seldon", 0.25, (0.005, 10)),
        ("vllm", 2.5, (0.3, 7680)),
        ("tensorflow-serving", 0.708235, (0.00001, 0.708235)),
        ("envoy", 0.25, (0.0005, 3600)),
    ],
)
def test_latencies_are_in_seconds(name: str, slow: float, edges: tuple[float, float]) -> None:
    latency = read(name)["latency"]
    assert isinstance(latency, Binned)
    assert (latency.edges[0], latency.edges[-1]) == pytest.approx(edges)
    above = [edge for edge in latency.edges if edge <= slow * (1 + 1e-9)]
    assert sum(latency.counts[len(above) :]) == 1  # each text has one slow answer


@pytest.mark.parametrize(("name", "observed"), [("kserve", 4), ("mlserver", 4), ("bentoml", 4), ("envoy", 5)])
def test_latencies_are_of_the_users_requests_only(name: str, observed: float) -> None:
    latency = read(name)["latency"]
    assert isinstance(latency, Binned) and sum(latency.counts) == observed


@pytest.mark.parametrize("name", ["triton", "torchserve"])
def test_a_mean_is_no_latency_histogram(name: str) -> None:
    assert "latency" not in read(name)
    assert absent(name)["latency"].startswith(f"preset {name} has no latency histogram: ")


def test_a_server_without_an_error_counter_says_so_instead_of_showing_no_errors() -> None:
    assert absent("kserve")["errors"] == (
        "preset kserve has no count of failed requests: its server does not count failures; "
        "measure them at the gateway (preset envoy) or with a query gate"
    )


def test_an_older_release_that_does_not_count_failures_is_told_from_one_without_failures() -> None:
    assert "errors" not in absent("vllm")
    assert "shows no vllm:request_success_total with finished_reason=error" in absent("vllm", "vllm-v0")["errors"]


def test_what_clients_broke_off_counts_neither_as_a_request_nor_as_an_error() -> None:
    page = (
        'vllm:request_success_total{finished_reason="abort"} 7\nvllm:request_success_total{finished_reason="error"} 0\n'
    )
    assert read_exposition(page, TEXT, preset("vllm"), WANTED) == {"requests": 0, "errors": 0}


def test_a_request_that_a_full_queue_refused_is_a_failed_request() -> None:
    page = 'vllm:request_success_total{finished_reason="error"} 0\nvllm:admission_rejections_total{reason="max_num_queued_reqs"} 3\n'
    assert read_exposition(page, TEXT, preset("vllm"), WANTED) == {"requests": 3, "errors": 3}


def test_a_gateway_that_counts_requests_per_listener_too_counts_them_once() -> None:
    assert "envoy_listener_http_downstream_rq_xx" in (CAPTURED / "envoy.txt").read_text()
    assert read("envoy")["requests"] == 5


def test_the_readiness_probe_is_not_a_request_of_a_user() -> None:
    assert 'endpoint="/readyz"' in (CAPTURED / "bentoml.txt").read_text()
    assert read("bentoml")["requests"] == 4


def test_a_metric_is_found_under_its_older_name() -> None:
    page = (CAPTURED / "mlserver.txt").read_text()
    older = page.replace("rest_server_request_duration", "rest_server_requests_duration")
    rules = preset("mlserver")
    assert read_exposition(older, TEXT, rules, WANTED) == read_exposition(page, TEXT, rules, WANTED)


@pytest.mark.parametrize("name", sorted(presets()))
def test_each_preset_gives_a_series_or_says_why_not(name: str) -> None:
    rules = preset(name)
    for series in ("requests", "errors", "latency", "prediction", "feature", "missing"):
        assert series in rules.given or rules.absent.get(series)


def test_features_of_a_server_that_has_none_are_absent_by_each_wanted_name() -> None:
    lacks = preset("kserve").lacks(("feature/income", "feature/", "missing/income", "requests"))
    assert lacks.keys() == {"feature/income", "feature/", "missing/income"}


OWN = """\
name: scorer
counters:
  - {series: requests, metric: scorer_calls_total, required: true}
  - {series: errors, metric: scorer_calls_total, labels: {result: failed}}
"""


def own(tmp_path: Path, text: str) -> Path:
    (tmp_path / "scorer.yaml").write_text(text)
    return tmp_path


def test_a_platform_brings_its_own_preset_without_code(tmp_path: Path) -> None:
    (tmp_path / "..2026_11_21").mkdir()  # as a mounted ConfigMap has them
    (tmp_path / "README").write_text("not a preset")
    known = with_own(own(tmp_path, OWN))
    page = 'scorer_calls_total{result="ok"} 8\nscorer_calls_total{result="failed"} 1\n'
    assert read_exposition(page, TEXT, preset("scorer", known), WANTED) == {"requests": 9, "errors": 1}
    assert (
        preset("scorer", known)
        .lacks(WANTED)["latency"]
        .startswith("preset scorer has no latency histogram: add a rule")
    )
    assert known.keys() > presets().keys()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("name: [", "scorer.yaml: while parsing"),
        ("- a list", "scorer.yaml: the file: Input should be"),
        ("name: scorer", "counters: a preset needs a counter for series requests"),
        (OWN.replace("scorer\n", "kserve\n"), "name: there is a preset 'kserve' already"),
        (OWN.replace("series: errors", "series: eror"), "counters.1.series: Input should be"),
        (OWN.replace("scorer_calls_total, labels", "scorer calls, labels"), "counters.1.metric: String should match"),
        (OWN.replace("failed", "'('"), "counters.1.labels.result: Value error, '(' is not a regular expression"),
        (OWN.replace("labels", "label"), "counters.1.label: Extra inputs are not permitted"),
        (OWN.replace("series: errors", "series: missing"), "series missing needs a featureLabel"),
        (OWN + "absent: {errors: never}", "errors is absent and has a rule"),
        ("#" * 300_000, "at most 256 KiB"),
    ],
    ids=["not YAML", "a list", "no requests", "a shipped name", "series", "metric", "pattern", "field", "feature label",
         "absent and given", "too long"],
)  # fmt: skip
def test_a_wrong_preset_names_file_and_field(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(PresetsInvalid) as caught:
        with_own(own(tmp_path, text))
    assert str(tmp_path / "scorer.yaml") in str(caught.value) and sentence in str(caught.value)


def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(PresetsInvalid, match="nowhere: No such file"):
        with_own(tmp_path / "nowhere")
