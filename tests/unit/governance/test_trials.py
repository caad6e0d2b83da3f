"""What a version has shown in an environment, read from its audit chain; and when it has shown nothing."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from modelward.api.model_audit_record import AuditedGate, ModelAuditRecordSpec
from modelward.api.status import ModelStatus
from modelward.governance.chain import Entry
from modelward.governance.trials import METRICS, NothingToShow, trial_of
from tests.unit.governance.chains import START, documents_of, entry
from tests.unit.governance.story import V7, V8, shares, story

DAY = timedelta(days=1)


def gate(result: str = "Pass", samples: int = 1000, name: str = "errors") -> AuditedGate:
    return AuditedGate(name=name, result=result, samples=samples)


def v8(action: str, v7_percent: int = 0, **more: Any) -> Entry:
    weights = shares(v7=v7_percent, v8=100 - v7_percent)
    return entry(action, **{"version": "v8", "version_digest": V8, "weights": weights, **more})


SERVED_V7 = entry("Promoted", version="v7", version_digest=V7, weights=shares(v7=100))
STARTED, SHADOW = v8("RolloutStarted", 100), v8("StageEntered", 100, gates=(gate("Inconclusive", 90),))
CANARY = v8("WeightChanged", 90, gates=(gate(samples=2000), gate("Pass", 2000, "latency")))
PROMOTED = v8("Promoted", gates=(gate(samples=48_000), gate("Inconclusive", 48_000, "latency")))
WATCHED = v8("WatchPassed", gates=(gate(samples=9000),))
A_ROLLOUT = [SERVED_V7, STARTED, SHADOW, CANARY, PROMOTED]


def chain(*entries: Entry) -> list[ModelAuditRecordSpec]:
    """One record a day, from START on."""
    return [ModelAuditRecordSpec.model_validate(each) for each in documents_of(entries, every=DAY)]


def serving(version: str = "v8", digest: str = V8, **more: Any) -> ModelStatus:
    reference = {"version": version, "digest": digest, "since": START.isoformat()}
    return ModelStatus.model_validate({"production": reference, **more})


def at(day: float) -> datetime:
    return START + day * DAY


def metrics(entries: list[Entry], status: ModelStatus, day: float) -> dict[str, float]:
    return dict(trial_of(chain(*entries), status, "v8", at(day)).metrics)


def test_a_good_rollout_and_a_passed_watch_are_told_in_figures() -> None:
    found = trial_of(chain(*A_ROLLOUT, WATCHED), serving(), "v8", at(14))
    assert (found.digest, found.promoted_at) == (V8, at(4))
    assert found.metrics == {
        "daysInProduction": 10.0,
        "requests": 48_000.0,
        "gatesPassed": 1.0,
        "gatesNotPassed": 1.0,
        "rollbacks": 0.0,
        "incidents": 0.0,
        "watchPassed": 1.0,
    }
    assert set(found.metrics) == set(METRICS)


def test_a_watch_that_is_not_over_is_not_passed() -> None:
    watch = {
        "version": "v8", "digest": V8, "policyDigest": V7, "since": START.isoformat(), "until": at(99).isoformat(),
    }  # fmt: skip
    assert metrics(A_ROLLOUT, serving(watch=watch), 5)["watchPassed"] == 0.0
    assert metrics([*A_ROLLOUT, WATCHED], serving(watch=watch), 6)["watchPassed"] == 0.0


def test_what_gates_say_now_counts_beside_what_is_on_record() -> None:
    row = {
        "name": "drift", "stage": "Production", "version": "v8", "result": "Pass", "reason": "Passed", "message": "",
        "samples": 70_000, "at": START.isoformat(),
    }  # fmt: skip
    other = row | {"name": "latency", "version": "v9"}
    silent = row | {"name": "quality", "applies": False}
    found = metrics(A_ROLLOUT, serving(gates=[row, other, silent]), 5)
    assert (found["requests"], found["gatesPassed"], found["gatesNotPassed"]) == (70_000.0, 2.0, 1.0)


def test_days_with_a_share_only_are_no_days_in_production() -> None:
    v9 = {"version": "v9", "version_digest": V7}
    canary = entry("WeightChanged", **v9, weights=shares(v8=90, v9=10))
    stopped = entry("RolledBack", **v9, weights=shares(v8=100))
    assert metrics([*A_ROLLOUT, canary, stopped], serving(), 10)["daysInProduction"] == 1.0 + 4.0


def test_an_earlier_failure_of_the_same_content_is_counted_and_that_of_another_is_not() -> None:
    first_try = [STARTED, v8("RolledBack", 100)]
    assert metrics([SERVED_V7, *first_try, *A_ROLLOUT[1:]], serving(), 9)["rollbacks"] == 1.0
    other = [STARTED.__class__(**{**vars(each), "version_digest": V7}) for each in first_try]
    assert metrics([SERVED_V7, *other, *A_ROLLOUT[1:]], serving(), 9)["rollbacks"] == 0.0


def test_that_traffic_came_back_to_it_is_no_failure_of_the_version() -> None:
    v9 = {"version": "v9", "version_digest": V7}
    promoted = entry("Promoted", **v9, weights=shares(v9=100))
    latched = entry("VersionLatched", **v9, weights=shares(v9=100))
    back = v8("RolledBack")
    found = metrics([*A_ROLLOUT, promoted, latched, back], serving(), 9)
    assert (found["rollbacks"], found["daysInProduction"]) == (0.0, 1.0 + 2.0)


def test_failures_of_the_monitoring_are_incidents() -> None:
    failed, recovered = v8("MonitoringFailed"), v8("MonitoringRecovered")
    assert metrics([*A_ROLLOUT, failed, recovered, failed], serving(), 9)["incidents"] == 2.0


def test_a_version_that_made_room_for_a_newer_one_keeps_what_it_has_shown() -> None:
    newer = entry("Promoted", version="v9", version_digest=V7, weights=shares(v9=100))
    reference = {"version": "v8", "digest": V8, "since": START.isoformat()}
    found = metrics([*A_ROLLOUT, newer], serving("v9", V7, standby=[reference]), 30)
    assert found["daysInProduction"] == 1.0


LATCH = {
    "version": "v8", "digest": V8, "retry": 0, "stage": "Canary", "reason": "GateFailed", "message": "gate errors failed.",
    "at": START.isoformat(),
}  # fmt: skip
IN_STANDBY = [{"version": "v8", "digest": V8, "since": START.isoformat()}]
ROLLOUT = {
    "version": "v8", "digest": V8, "policy": "low", "policyDigest": V7, "startedAt": START.isoformat(), "stage": "Canary",
    "stageEnteredAt": START.isoformat(), "stepEnteredAt": START.isoformat(),
}  # fmt: skip
REVERTED = entry(
    "Reverted", version="v7", version_digest=V7, weights=shares(v7=100), message="spec was set back to v7."
)
NOTHING = {
    "never heard of": ([SERVED_V7], serving("v7", V7), "v8 was never promoted there; v7 serves"),
    "nothing serves": ([STARTED], ModelStatus(), "v8 was never promoted there; no version serves"),
    "still on its way": ([SERVED_V7, STARTED], serving("v7", V7, rollout=ROLLOUT), "v8 is still in Canary there"),
    "failed on its way": (
        [SERVED_V7, STARTED, v8("RolledBack", 100)],
        serving("v7", V7, failed=[LATCH]),
        "v8 failed there in Canary and is latched: gate errors failed",
    ),
    "latched while it serves": (A_ROLLOUT, serving(failed=[LATCH]), "v8 failed there in Canary and is latched"),
    "reverted in Git": (
        [*A_ROLLOUT, REVERTED],
        serving("v7", V7, standby=IN_STANDBY),
        "v8 was taken out of production there on 2026-11-06 09:00 UTC (record 6, Reverted): spec was set back to v7",
    ),
    "promoted with other content": (
        [SERVED_V7, entry("Promoted", version="v8", version_digest=V7, weights=shares(v8=100))],
        serving(),
        f"no audit record says that v8 with the digest {V8} was promoted there",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("entries", "status", "why"), NOTHING.values(), ids=NOTHING.keys())
def test_a_version_that_did_not_make_it_has_nothing_to_show(
    entries: list[Entry], status: ModelStatus, why: str
) -> None:
    with pytest.raises(NothingToShow) as refused:
        trial_of(chain(*entries), status, "v8", at(20))
    assert why in str(refused.value)


def test_what_was_announced_and_not_done_counts_for_nothing() -> None:
    """The story's fourth record promotes v8, its fifth says that this was not carried out; its last one takes v8 back."""
    records = [ModelAuditRecordSpec.model_validate(each) for each in story()[:5]]
    with pytest.raises(NothingToShow, match="no audit record says"):
        trial_of(records, serving(), "v8", at(1))
