"""The flow of a portfolio, from chains of audit records; and its state, from statuses."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from modelward.api.model_audit_record import AuditedModel, ModelAuditRecordSpec
from modelward.api.status import WeightStatus
from modelward.governance.chain import Entry, Head, head_of, seal
from modelward.governance.flow import (
    Distribution,
    Figures,
    VersionName,
    attention_of,
    distribution,
    figures_of,
    flow_of,
    state_of,
    words_of,
)

START = datetime(2026, 11, 1, 9, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def chain(
    *steps: tuple[float, str, str, dict[str, int]], model: str = "score", uid: str = "1"
) -> list[ModelAuditRecordSpec]:
    """Steps (hours since the start, action, version, weights after it), sealed one after the other."""
    head: Head | None = None
    records = []
    for hours, action, version, weights in steps:
        shares = tuple(WeightStatus(version=name, percent=share) for name, share in weights.items())
        details = {"notCarriedOut": [len(records)]} if action == "NotCarriedOut" else {}
        entry = Entry(
            actor="modelward",
            action=action,
            model=AuditedModel(namespace="lending", name=model, uid=uid),
            version=version,
            weights=shares,
            details=details,
        )
        record = seal(head, entry, START + hours * HOUR)
        head = head_of(record)
        records.append(record)
    return records


V1 = {"v1": 100}
V2 = {"v2": 100}
FIRST = ((0, "RolloutStarted", "v1", {}), (1, "Promoted", "v1", V1))
CANARY = ((10, "RolloutStarted", "v2", V1), (12, "StageEntered", "v2", {"v1": 90, "v2": 10}), (13, "WeightChanged", "v2", {"v1": 50, "v2": 50}))  # fmt: skip


def figures(*steps: Any, created: dict[str, float] | None = None) -> Figures:
    at = {VersionName("lending", "score", version): START + hours * HOUR for version, hours in (created or {}).items()}
    return figures_of(flow_of(chain(*steps), at), START, START + timedelta(days=60))


def hours(found: Distribution) -> tuple[int, float | None]:
    return found.count, found.longest / HOUR if found.longest is not None else None


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        pytest.param(
            (*FIRST,), {"promoted": 1, "candidate_to_production": (1, 1.0), "trigger_to_production": (0, None)},
            id="a first version is no retraining",
        ),
        pytest.param(
            (*FIRST, *CANARY, (16, "Promoted", "v2", V2)),
            {"promoted": 2, "candidate_to_production": (2, 6.0), "trigger_to_production": (1, 7.0), "rollback_share": 0.0},
            id="a version that replaces another counts from its creation",
        ),
        pytest.param(
            (*FIRST, *CANARY, (15, "RolledBack", "v2", V1)),
            {
                "promoted": 1, "rolled_back": 1, "rollback_share": 0.5, "rollbacks_per_30_days": 0.5,
                "detection_in_rollout": (1, 3.0), "stopped_before_users": 0,
            },
            id="a fault in the canary is found so long after its first users",
        ),
        pytest.param(
            (*FIRST, (10, "RolloutStarted", "v2", V1), (11, "StageEntered", "v2", V1), (12, "RolledBack", "v2", V1)),
            {"rolled_back": 1, "stopped_before_users": 1, "detection_in_rollout": (0, None)},
            id="what no user saw is no incident with a latency",
        ),
        pytest.param(
            (*FIRST, *CANARY, (16, "Promoted", "v2", V2), (18, "VersionLatched", "v2", V2), (18.1, "RolledBack", "v1", V1)),
            {"promoted": 2, "rolled_back": 0, "rolled_back_in_production": 1, "detection_in_production": (1, 2.0)},
            id="a fault in the watch counts from the promotion, and going back is no second rollback",
        ),
        pytest.param(
            (*FIRST, (25, "WatchPassed", "v1", V1), (100, "VersionLatched", "v1", V1)),
            {"rolled_back_in_production": 1, "detection_in_production": (1, 75.0)},
            id="a fault in the monitoring counts from the watch that was passed",
        ),
        pytest.param(
            (*FIRST, *CANARY, (16, "Promoted", "v2", V2), (17, "GateFailed", "v2", V2)),
            {"rolled_back_in_production": 1, "detection_in_production": (1, 1.0)},
            id="a failure without a version to go back to",
        ),
        pytest.param(
            (*FIRST, *CANARY, (14, "Rejected", "v2", V1)), {"rejected": 1, "rolled_back": 0, "promoted": 1, "rollback_share": 0.0},
            id="a person's no is no rollback",
        ),
        pytest.param(
            (*FIRST, *CANARY, (14, "Superseded", "v2", V1)), {"superseded": 1, "rolled_back": 0}, id="superseded",
        ),
        pytest.param(
            (*FIRST, *CANARY, (15, "Promoted", "v2", V2), (15, "NotCarriedOut", "v2", V1), (16, "RolledBack", "v2", V1)),
            {"promoted": 1, "rolled_back": 1, "detection_in_rollout": (1, 4.0)},
            id="what was announced and not done does not count",
        ),
        pytest.param(
            (*FIRST, *CANARY, (14, "RolledBack", "v2", V1), (20, "RolloutStarted", "v2", V1), (21, "StageEntered", "v2", {"v1": 90, "v2": 10}), (22, "Promoted", "v2", V2)),
            {"promoted": 2, "rolled_back": 1, "candidate_to_production": (2, 2.0)},
            id="a second try counts from its own start",
        ),
        pytest.param(
            ((10, "Promoted", "v2", V2),), {"promoted": 1, "without_start": 1, "candidate_to_production": (0, None)},
            id="a start that was pruned from the cluster",
        ),
        pytest.param(
            (*FIRST, (30, "RevertStarted", "v1", V1), (30, "Reverted", "v1", V1)), {"promoted": 1, "rolled_back": 0}, id="a revert in Git",
        ),
    ],
)  # fmt: skip
def test_a_chain_tells_its_flow(steps: Any, expected: dict[str, Any]) -> None:
    found = figures(*steps, created={"v1": 0, "v2": 9})
    told = {name: getattr(found, name) for name in expected}
    assert {name: hours(each) if isinstance(each, Distribution) else each for name, each in told.items()} == expected


def test_another_model_of_the_same_name_begins_anew() -> None:
    one = chain(*FIRST)
    other = [
        record.model_copy(update={"seq": record.seq + 2, "model": record.model.model_copy(update={"uid": "2"})})
        for record in one
    ]
    assert [each.first for each in flow_of([*one, *other]).passages] == [True, True]


def test_only_what_ended_in_the_period_counts() -> None:
    flow = flow_of([*chain(*FIRST), *chain(*FIRST, *CANARY, (16, "Promoted", "v2", V2), model="other")])
    assert figures_of(flow, START + 5 * HOUR, START + 30 * timedelta(days=1)).promoted == 1


def test_no_records_are_no_figures_and_no_error() -> None:
    found = figures_of(flow_of([]), START, START)
    assert (found.promoted, found.rollback_share, found.rollbacks_per_30_days) == (0, None, 0.0)


def test_a_distribution_names_durations_that_there_were() -> None:
    found = distribution([timedelta(hours=each) for each in (5, 1, 100)] + [None])
    assert (found.count, found.median, found.p90) == (3, 5 * HOUR, 100 * HOUR)


@pytest.mark.parametrize(
    ("duration", "words"),
    [
        (None, ""), (timedelta(), "0s"), (timedelta(seconds=75), "1m 15s"), (timedelta(hours=3), "3h"),
        (timedelta(days=2, hours=5, minutes=9), "2d 5h"), (timedelta(days=400), "400d"),
    ],
)  # fmt: skip
def test_durations_are_told_in_two_units(duration: timedelta | None, words: str) -> None:
    assert words_of(duration) == words


def a_model(name: str, production: bool = True, pending: Any = (), due: str = "", **conditions: str) -> dict[str, Any]:
    status: dict[str, Any] = {"pendingApprovals": list(pending), "reviewDue": due}
    status["conditions"] = [
        {"type": kind, "status": truth, "message": f"{kind} of {name}"} for kind, truth in conditions.items()
    ]
    if production:
        status["production"] = {"version": "v1"}
    return {"metadata": {"namespace": "lending", "name": name}, "spec": {"serving": {}}, "status": status}


def test_the_state_counts_what_serves_and_what_nobody_looks_after() -> None:
    pending = {"role": "risk", "version": "v2", "missing": 2, "before": "Canary", "since": "2026-11-01T07:00:00Z"}
    models = [
        a_model("good", Owned="True", MonitoringReady="True"),
        a_model("unwatched", Owned="True", MonitoringReady="False", Zombie="True"),
        a_model("new", production=False, pending=[{**pending, "due": True}, {**pending, "role": "later"}]),
        a_model("late", Ungoverned="True", ReviewCurrent="False", due="2026-10-01T00:00:00Z"),
        a_model("soon", ReviewCurrent="True", due="2026-11-20T00:00:00Z"),
        {"metadata": {"name": "elsewhere"}, "spec": {"production": {"version": "v1"}}},
        {
            "metadata": {"name": "odd"},
            "spec": [],
            "status": {"conditions": "x", "pendingApprovals": [{"since": "x"}, 3]},
        },
    ]
    state = state_of(models, START)
    assert (state.models, state.in_production, state.owned, state.monitored, state.monitored_and_owned) == (
        7,
        5,
        2,
        1,
        1,
    )
    assert (state.zombies, state.ungoverned, state.reviews_overdue, state.reviews_near) == (1, 1, 1, 1)
    assert [(wait.role, wait.due) for wait in state.waiting] == [("risk", True), ("later", False)]
    assert [(each.kind, each.name, each.sentence) for each in attention_of(models, START)] == [
        ("Ungoverned", "late", "Ungoverned of late"),
        ("Zombie", "unwatched", "Zombie of unwatched"),
        ("Approval", "new", "v2 waits for 2 people in role risk before Canary, since 2h."),
        ("ReviewOverdue", "late", "ReviewCurrent of late"),
        ("ReviewDue", "soon", "The next review is due on 2026-11-20."),
    ]
