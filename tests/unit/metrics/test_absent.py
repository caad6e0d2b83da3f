"""What a server does not measure makes the gates that need it Unknown, with the preset's own sentence, and no other gate."""

from datetime import UTC, datetime, timedelta

from modelward.api.gates import Gate
from modelward.lifecycle import evidence
from modelward.lifecycle.gates.verdict import Result, Verdict
from modelward.metrics.absent import absent_series
from modelward.metrics.presets import preset
from modelward.stats.readings import Binned, PodReading, Reading

START = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
GATES = (
    Gate.model_validate({"name": "errors", "errorRate": {"maxIncrease": 0.01, "abortAbove": 0.1}, "minSamples": 10}),
    Gate.model_validate({"name": "slow", "latency": {"slo": "250ms", "maxIncrease": 0.01}, "minSamples": 10}),
)


def judged(name: str) -> dict[str, Verdict]:
    """Verdicts after twelve looks at two versions without failures, on a server of that preset."""
    known, wanted = evidence.begin("stage", START, "half"), evidence.candidate_series(GATES)
    for look in range(1, 13):
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
    assert verdicts["errors"].result is Result.UNKNOWN
    assert verdicts["errors"].sentence.startswith("preset kserve has no count of failed requests: ")
    assert verdicts["slow"].result is Result.PASS


def test_a_mean_latency_is_no_evidence_of_slow_requests() -> None:
    verdicts = judged("triton")
    assert verdicts["errors"].result is Result.PASS
    assert verdicts["slow"].result is Result.UNKNOWN
    assert "no latency histogram" in verdicts["slow"].sentence
