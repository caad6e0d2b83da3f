"""A policy tried on recordings: what it would have done, and when."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from modelward.api.lifecycle_policy import LifecyclePolicySpec
from modelward.api.model_version import Baseline
from modelward.simulation import prometheus, recording
from modelward.simulation.recording import Counted, Interval, Recording, Unusable
from modelward.simulation.replay import Outcome, replay

BEGAN = datetime(2026, 10, 1, tzinfo=UTC)
ERRORS: dict[str, Any] = {"name": "errors", "errorRate": {"maxIncrease": 0.01, "abortAbove": 0.2}}
POLICY: dict[str, Any] = {
    "stages": {
        "shadow": {"minDuration": "20m", "gates": [ERRORS]},
        "canary": {
            "steps": [{"weight": 10, "minDuration": "20m"}, {"weight": 50, "minDuration": "20m"}],
            "gates": [ERRORS],
        },
        "production": {"watch": {"duration": "30m"}},
    },
    "onUnknown": {"deadline": "30m", "then": "Pause"},
}


def recorded(minutes: int, **versions: Any) -> Recording:
    """For each version a function from the minute to (requests, errors), or None where nothing was recorded."""
    lines = [
        json.dumps({"at": (BEGAN + timedelta(minutes=minute)).isoformat(), "version": name, "requests": counted[0], "errors": counted[1]})
        for minute in range(1, minutes + 1)
        for name, counts in versions.items()
        if (counted := counts(minute)) is not None
    ]  # fmt: skip
    return recording.read("\n".join(lines))


def good(minute: int) -> tuple[int, int]:
    return 500, 2


def bad_after(minute: int, share: float = 0.3) -> Any:
    return lambda now: (500, int(500 * share)) if now > minute else (500, 2)


def tried(what: Recording, policy: dict[str, Any] = POLICY, **options: Any) -> Outcome:
    return replay("tried", LifecyclePolicySpec.model_validate(policy), what, candidate="v8", **options)


def reasons(outcome: Outcome) -> list[str]:
    return [step.reason for step in outcome.steps]


def at(outcome: Outcome, reason: str) -> int:
    """The minute of a step."""
    found = next(step for step in outcome.steps if step.reason == reason)
    return round((found.at - BEGAN).total_seconds() / 60)


def test_a_good_version_is_promoted_after_the_least_time_of_its_stages() -> None:
    outcome = tried(recorded(120, v7=good, v8=good))
    assert reasons(outcome) == [
        "RolloutStarted",
        "StageEntered",
        "StageEntered",
        "WeightChanged",
        "Promoted",
        "WatchPassed",
    ]
    assert at(outcome, "Promoted") == 61
    assert outcome.status.production is not None
    assert outcome.status.production.version == "v8"


@pytest.mark.parametrize(
    ("minute", "stage"), [(5, "Shadow"), (30, "Canary"), (70, "Production")], ids=["shadow", "canary", "watch"]
)
def test_a_version_that_goes_bad_is_rolled_back_in_the_stage_that_it_is_in(minute: int, stage: str) -> None:
    outcome = tried(recorded(120, v7=good, v8=bad_after(minute)))
    (failed,) = outcome.status.failed
    assert (failed.version, failed.stage) == ("v8", stage)
    assert minute < round((failed.at - BEGAN).total_seconds() / 60) < minute + 10
    assert outcome.status.production is not None
    assert outcome.status.production.version == "v7"


def test_evidence_that_stays_away_holds_and_then_pauses() -> None:
    outcome = tried(recorded(150, v7=good, v8=lambda now: good(now) if now < 5 else None))
    assert outcome.status.rollout is not None
    assert outcome.status.rollout.stage == "Shadow"
    progressing = next(each for each in outcome.status.conditions if each.type == "Progressing")
    assert progressing.reason == "Paused"


def test_time_passes_where_nothing_was_recorded_at_all() -> None:
    def with_a_gap(minute: int) -> tuple[int, int] | None:
        return None if 10 < minute < 180 else (500, 2)

    outcome = tried(recorded(270, v7=with_a_gap, v8=with_a_gap))
    assert at(outcome, "Promoted") > 180


def test_a_version_alone_is_a_first_version_and_its_monitoring_goes_on() -> None:
    limit = {"name": "limit", "errorRate": {"abortAbove": 0.05}}
    monitoring = {"interval": "5m", "window": "30m", "gates": [limit]}
    policy = {"stages": {"production": {"monitoring": monitoring, "watch": {"duration": "10m"}}}}
    outcome = tried(recorded(240, v8=bad_after(120)), policy)
    assert outcome.incumbent is None
    assert 120 < at(outcome, "MonitoringFailed") < 160


def test_the_recorded_counts_are_replayed_as_they_are_where_the_split_is_the_recorded_one() -> None:
    canary = {"canary": {"steps": [{"weight": 50, "minDuration": "1h"}], "gates": [ERRORS]}}
    what = recorded(50, v7=good, v8=good)
    first, second = (tried(what, {"stages": canary}, seed=seed) for seed in (1, 2))
    (row,), (other,) = first.status.gates, second.status.gates
    assert row.figure == other.figure == 0.0
    assert row.samples == other.samples


def test_what_a_recording_cannot_answer_is_left_out_and_named() -> None:
    query = {"name": "queue", "query": {"source": "platform", "query": "up", "max": 1}}
    slow = {"name": "slow", "latency": {"slo": "100ms"}}
    lax = {"name": "errors", "errorRate": {"maxIncrease": 0.05}}
    policy = {
        "requires": {"documents": ["Plan"]},
        "stages": {
            "validation": {"approvals": [{"role": "risk"}]},
            "canary": {"steps": [{"weight": 10, "minDuration": "5m"}], "gates": [lax, query, slow]},
            "production": {"monitoring": {"gates": [query]}},
        },
    }
    outcome = tried(recorded(60, v7=good, v8=good), policy)
    assert outcome.left_out == (
        "approvals: taken as given at once",
        "gate queue of the monitoring: a recording has no evidence for query",
        "gate queue of Canary: a recording has no evidence for query",
        "gate slow of Canary: the recording has no latency",
    )
    assert "Promoted" in reasons(outcome)


def test_drift_is_judged_by_the_recorded_bins_and_the_baseline() -> None:
    baseline = Baseline.model_validate({"features": [{"name": "income", "edges": [1, 2], "counts": [100, 200, 100]}]})
    drift = {"name": "drift", "drift": {"threshold": 0.2, "maxDriftedShare": 0.5}}
    lines = []
    for minute in range(1, 91):
        for version in ("v7", "v8"):
            bins = [10, 100, 390] if minute > 40 else [125, 250, 125]
            counts = {"requests": 500, "errors": 1, "features": {"income": bins}}
            lines.append(
                json.dumps({"at": (BEGAN + timedelta(minutes=minute)).isoformat(), "version": version, **counts})
            )
    policy = {"stages": {"shadow": {"minDuration": "80m", "gates": [drift]}, "production": {}}}
    outcome = tried(recording.read("\n".join(lines)), policy, baseline=baseline)
    assert [failed.version for failed in outcome.status.failed] == ["v8"]


def test_csv_says_the_same_as_json_lines() -> None:
    text = "at,version,requests,errors,latency<=0.1,latency<=+Inf\n2026-10-01T00:01:00Z,v7,10,1,8,2\n"
    line = '{"at":"2026-10-01T00:01:00Z","version":"v7","requests":10,"errors":1,"latency":{"0.1":8,"+Inf":2}}'
    assert recording.read(text) == recording.read(line)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "the recording is empty"),
        ("{", "line 1 is no JSON"),
        ('{"at":"2026-10-01T00:01:00Z","version":"v7","requests":-1,"errors":0}', "line 1: requests"),
        ('{"at":"2026-10-01T00:01:00","version":"v7","requests":1,"errors":0}', "line 1: at"),
        (
            '{"at":"2026-10-01T00:01:00Z","version":"v7","requests":1,"errors":0,"latency":{"x":1}}',
            "'x' is no upper end",
        ),
        ("at,version,requests,errors\n2026-10-01T00:01:00Z,v7,ten,1\n", "line 2: requests"),
        (
            "at,version,requests,errors\n2026-10-01T00:01:00Z,v7,10,1\n2026-10-01T02:01:00+02:00,v7,10,1\n",
            "v7 has two lines for the interval that ends at 2026-10-01T00:01:00Z: give one",
        ),
    ],
)
def test_a_recording_that_cannot_be_read_says_where(text: str, says: str) -> None:
    with pytest.raises(Unusable) as refusal:
        recording.read(text)
    assert says in str(refusal.value)


def test_the_lines_of_a_recording_may_come_in_any_order() -> None:
    lines = [
        json.dumps({"at": (BEGAN + timedelta(minutes=at)).isoformat(), "version": version, "requests": at, "errors": 0})
        for at in (1, 2, 3)
        for version in ("v7", "v8")
    ]
    assert recording.read("\n".join(reversed(lines))).intervals == recording.read("\n".join(lines)).intervals


@pytest.mark.parametrize(("first", "second"), [(2, 1), (1, 1)], ids=["in another order", "twice"])
def test_intervals_that_are_not_one_after_another_are_refused_by_name(first: int, second: int) -> None:
    counted = {"v7": Counted(10, 0)}
    intervals = tuple(Interval(BEGAN + timedelta(minutes=at), counted) for at in (0, first, second))
    with pytest.raises(
        Unusable, match=f"ends at 2026-10-01T00:0{second}:00Z comes after one that ends at .*0{first}:00Z"
    ):
        Recording(intervals)


def test_a_prometheus_gives_the_differences_of_its_counters_by_version() -> None:
    def ask(path: str) -> bytes:
        start = BEGAN.timestamp()
        if "request_seconds" in path:
            series = [({"le": "0.1"}, [0, 8, 16]), ({"le": "+Inf"}, [0, 10, 20])]
        else:
            series = [({"outcome": "success"}, [5, 14, 3]), ({"outcome": "error"}, [0, 1, 2])]
        pod = {"pod": "churn-v7-6d5f9c-abcde"}
        result = [
            {"metric": {**pod, **labels}, "values": [[start + 60 * at, str(value)] for at, value in enumerate(values)]}
            for labels, values in series
        ]
        return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}}).encode()

    found = prometheus.record(ask, "churn", "retention", BEGAN, BEGAN + timedelta(minutes=2))
    assert found.versions == ("v7",)
    first, second = (interval.counted["v7"] for interval in found.intervals)
    assert (first.requests, first.errors, first.latency) == (10, 1, (8, 2))
    assert (second.requests, second.errors) == (4, 1)  # the server was started anew, and had answered 3


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"<html>", "did not answer as a Prometheus"),
        (b'{"status":"error","error":"bad query"}', "refused the query: bad query"),
        (b'{"status":"success","data":{"result":[]}}', "has no modelward_requests_total of pods of retention/churn"),
    ],
)
def test_a_server_without_an_answer_is_named(body: bytes, says: str) -> None:
    with pytest.raises(Unusable, match=says):
        prometheus.record(lambda _: body, "churn", "retention", BEGAN, BEGAN + timedelta(minutes=2))
