"""What a server does not measure makes the gates that need it Unknown, with the preset's own sentence, and no other gate."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from modelward.api.gates import Gate
from modelward.lifecycle import evidence
from modelward.lifecycle.gates.verdict import Result, Verdict
from modelward.metrics.absent import absent_series
from modelward.metrics.exposition import read_exposition
from modelward.metrics.presets import preset
from modelward.stats.readings import Binned, PodReading, Reading

CAPTURED = Path(__file__).parent / "captured"
START = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
GATES = (
    Gate.model_validate({"name": "errors", "errorRate": {"maxIncrease": 0.05, "abortAbove": 0.2}, "minSamples": 10}),
    Gate.model_validate({"name": "slow", "latency": {"slo": "250ms", "maxIncrease": 0.05}, "minSamples": 10}),
    Gate.model_validate({"name": "right", "quality": {"metric": "Accuracy", "min": 0.9}, "minSamples": 10}),
)


def judged(name: str) -> dict[str, Verdict]:
    """Verdicts after forty looks at two versions without failures, on a server of that preset."""
    known, wanted = evidence.begin("stage", START, "half"), evidence.candidate_series(GATES)
    for look in range(1, 41):
        now = START + timedelta(seconds=30 * look)
        inputs = evidence.Inputs(now=now, candidate="v2", incumbent="v1", alpha=0.05)
        ours, theirs = (_reading(name, version, look, now, wanted) for version in ("v2", "v1"))
        known = evidence.fold(known, ours, theirs, "half", GATES, inputs)
    return {verdict.gate: verdict for verdict in evidence.judge(known, GATES, inputs)}


def _reading(name: str, version: str, look: int, now: datetime, wanted: tuple[str, ...]) -> Reading:
    answered = 5000.0 * look
    series = {"requests": answered, "errors": 0.0, "latency": Binned((0.25,), (answered, 0.0))}
    given = {series_name: value for series_name, value in series.items() if series_name in preset(name).given}
    pod = PodReading(pod=f"credit-{version}-0", started_at=START.timestamp() + 1, at=now.timestamp(), series=given)
    return Reading(version, now.timestamp(), (pod,), absent=absent_series(preset(name), wanted, (pod,)))


def test_no_failures_seen_by_a_server_that_counts_none_is_no_pass() -> None:
    verdicts = judged("kserve")
    assert (verdicts["errors"].result, verdicts["errors"].reason) == (Result.UNKNOWN, "MetricAbsent")
    assert verdicts["errors"].sentence.startswith("preset kserve has no count of failed requests: ")
    assert verdicts["slow"].result is Result.PASS


def test_a_mean_latency_is_no_evidence_of_slow_requests() -> None:
    verdicts = judged("triton")
    assert verdicts["errors"].result is Result.PASS
    assert (verdicts["slow"].result, verdicts["slow"].reason) == (Result.UNKNOWN, "MetricAbsent")
    assert "no latency histogram" in verdicts["slow"].sentence


def test_labels_that_no_server_but_an_instrumented_one_counts_are_absent_with_a_remedy() -> None:
    verdict = judged("triton")["right"]
    assert (verdict.result, verdict.reason) == (Result.UNKNOWN, "MetricAbsent")
    assert verdict.sentence == (
        "preset triton has no count of labels that came back: "
        "modelward.instrument counts labels that come back; take the gate out where it cannot be used"
    )


def absent(name: str, page: str) -> Mapping[str, str]:
    wanted = evidence.candidate_series(GATES)
    series = read_exposition(page, "text/plain", preset(name), wanted)
    pod = PodReading(pod="credit-v2-0", started_at=0, at=1, series=series)
    return absent_series(preset(name), wanted, (pod,))


def test_requests_without_their_latency_are_absent_by_the_name_of_the_metric() -> None:
    grpc_only = 'model_infer_request_success_total{model="credit",version="v1"} 40\n'
    assert absent("mlserver", grpc_only)["latency"] == (
        "pod credit-v2-0 has counted requests and shows no rest_server_request_duration_seconds, which preset mlserver reads for "
        "the latency histogram: choose the preset of this server and release, or take the gate out"
    )


def test_before_the_first_request_nothing_but_what_the_preset_lacks_is_absent() -> None:
    assert absent("modelward", 'modelward_requests_total{outcome="success"} 0\n') == {}


def test_a_release_that_does_not_count_failures_at_all_is_told_from_one_without_any() -> None:
    assert absent("triton", 'nv_inference_request_success{model="a"} 3\n')["errors"] == (
        "preset triton has no count of failed requests here: pod credit-v2-0 shows no nv_inference_request_failure, "
        "so this release does not count it; use one that does, or take the gate out"
    )


@pytest.mark.parametrize("name", ["mlserver", "triton"])
def test_a_counter_of_failures_that_was_renamed_is_not_one_without_failures(name: str) -> None:
    text = (CAPTURED / f"{name}.txt").read_text()
    failures = next(rule.metric for rule in preset(name).counters if rule.series == "errors")
    assert absent(name, text).keys() == ({"latency"} if name == "triton" else set()) | {"confusion/"}
    assert "errors" in absent(name, text.replace(failures, "acme_failures"))


@pytest.mark.parametrize(
    ("name", "page"),
    [
        ("mlserver", "# HELP model_infer_request_success_total x\n# TYPE model_infer_request_success_total counter\n"),
        ("kserve", "# HELP request_predict_seconds x\n# TYPE request_predict_seconds histogram\n"),
    ],
)
def test_a_server_that_has_answered_nothing_yet_has_counted_no_request(name: str, page: str) -> None:
    assert read_exposition(page, "text/plain", preset(name), ("requests", "errors")).get("requests") == 0
