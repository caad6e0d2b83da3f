"""The portfolio on the operator's metrics page."""

from datetime import datetime

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from modelward.api.resources import MODEL_AUDIT_RECORDS, MODEL_VERSIONS, MODELS
from modelward.api.status import format_second
from modelward.governance.chain import document_of
from modelward.runtime.cache import Cache
from modelward.runtime.keys import ModelKey
from modelward.runtime.portfolio import PortfolioMetrics
from tests.unit.governance.test_flow import CANARY, FIRST, HOUR, START, V1, V2, a_model, chain
from tests.unit.runtime.fakes import FakeClock

KEY = ModelKey("lending", "score")
PENDING = {
    "role": "risk",
    "version": "v2",
    "missing": 2,
    "before": "Canary",
    "since": "2025-12-31T23:00:00Z",
    "due": True,
}


class Metrics:
    """The metrics of an operator with some Models in its cache."""

    def __init__(self, *, leads: bool = True) -> None:
        self.cache = Cache()
        self._registry = CollectorRegistry()
        self._portfolio = PortfolioMetrics(self._registry, self.cache, FakeClock(), lambda: leads)

    def carried_out(self, *steps: tuple[float, str, str, dict[str, int]], since: int = 0) -> None:
        """Put the records in the cache, and note those after the first ones."""
        records = chain(*steps)
        for record in records:
            metadata = {"namespace": "lending", "name": f"score-{record.seq:08d}"}
            self.cache.put(MODEL_AUDIT_RECORDS, {"metadata": metadata, "spec": document_of(record)})
        self._portfolio.note(KEY, records[since:])

    def value(self, series: str) -> float | None:
        lines = generate_latest(self._registry).decode().splitlines()
        return next((float(line.rsplit(" ", 1)[1]) for line in lines if line.rsplit(" ", 1)[0] == series), None)


def created(version: str, at: datetime) -> dict[str, object]:
    metadata = {"namespace": "lending", "name": f"score-{version}", "creationTimestamp": format_second(at)}
    return {"metadata": metadata, "spec": {"model": "score", "version": version}}


def test_the_state_is_counted_when_somebody_asks() -> None:
    metrics = Metrics()
    for model in (
        a_model("good", Owned="True", MonitoringReady="True"),
        a_model("dead", Zombie="True"),
        a_model("next", production=False, pending=[PENDING]),
    ):
        metrics.cache.put(MODELS, model)
    assert metrics.value("modelward_models") == 3
    assert metrics.value("modelward_models_in_production") == 2
    assert metrics.value("modelward_models_in_production_monitored_and_owned") == 1
    assert metrics.value("modelward_models_zombie") == 1
    assert metrics.value('modelward_approvals_waiting{role="risk"}') == 2
    assert metrics.value('modelward_approvals_oldest_waiting_seconds{role="risk"}') == 3600
    metrics.cache.remove(MODELS, "lending", "next")
    assert metrics.value('modelward_approvals_waiting{role="risk"}') is None


def test_a_replica_that_does_not_lead_tells_nothing_of_the_state() -> None:
    metrics = Metrics(leads=False)
    metrics.cache.put(MODELS, a_model("good"))
    assert metrics.value("modelward_models") is None


@pytest.mark.parametrize(
    ("steps", "since", "expected"),
    [
        pytest.param(
            (*FIRST, *CANARY, (16, "Promoted", "v2", V2)), 5,
            {
                'modelward_rollouts_ended_total{ending="Promoted"}': 1,
                "modelward_candidate_to_production_seconds_sum": 6 * 3600,
                "modelward_trigger_to_production_seconds_sum": 7 * 3600,
            },
            id="a promotion, and not the one before it again",
        ),
        pytest.param(
            (*FIRST, *CANARY, (15, "RolledBack", "v2", V1)), 5,
            {
                'modelward_rollouts_ended_total{ending="RolledBack"}': 1,
                'modelward_detection_seconds_sum{where="Rollout"}': 3 * 3600,
                "modelward_production_rollbacks_total": 0,
            },
            id="a fault in a rollout",
        ),
        pytest.param(
            (*FIRST, (3, "VersionLatched", "v1", V1)), 2,
            {
                "modelward_production_rollbacks_total": 1,
                'modelward_detection_seconds_sum{where="Production"}': 2 * 3600,
                'modelward_rollouts_ended_total{ending="RolledBack"}': 0,
            },
            id="a fault in production",
        ),
        pytest.param((*FIRST, *CANARY), 2, {'modelward_rollouts_ended_total{ending="Promoted"}': 0}, id="nothing has ended"),
    ],
)  # fmt: skip
def test_what_ends_is_counted_once(
    steps: tuple[tuple[float, str, str, dict[str, int]], ...], since: int, expected: dict[str, float]
) -> None:
    metrics = Metrics()
    metrics.cache.put(MODEL_VERSIONS, created("v2", START + 9 * HOUR))
    metrics.carried_out(*steps, since=since)
    assert {series: metrics.value(series) for series in expected} == expected


def test_a_record_of_a_later_release_stops_nobody() -> None:
    metrics = Metrics()
    odd = {"metadata": {"namespace": "lending", "name": "odd"}, "spec": {"model": {"name": "score"}, "seq": "x"}}
    metrics.cache.put(MODEL_AUDIT_RECORDS, odd)
    metrics.carried_out(*FIRST)
    assert metrics.value('modelward_rollouts_ended_total{ending="Promoted"}') == 1
