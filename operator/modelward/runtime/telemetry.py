"""What the operator tells Prometheus about itself."""

from collections.abc import Callable
from typing import cast

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from modelward.api.resources import Resource
from modelward.api.status import ModelStatus
from modelward.runtime.clock import Clock
from modelward.runtime.keys import ModelKey
from modelward.runtime.model_series import ModelSeries

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Telemetry:
    """The operator's own metrics, in a registry of their own."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last_event = clock.monotonic()
        # Which gates a Model has series for, so that they can go when the Model goes.
        self._verdict_labels: dict[ModelKey, set[tuple[str, str]]] = {}
        self.registry = CollectorRegistry()
        self._reconciles = Histogram(
            "modelward_operator_reconcile_seconds",
            "Time that one look at one Model took, by how it ended: success, conflict or error.",
            ["outcome"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._writes = Counter(
            "modelward_operator_writes",
            "Writes to the Kubernetes API that succeeded.",
            ["resource", "verb"],
            registry=self.registry,
        )
        self._verdicts = Counter(
            "modelward_gate_verdicts",
            "Verdicts of gates, one for each look at the evidence.",
            ["namespace", "model", "gate", "result"],
            registry=self.registry,
        )
        self._models = ModelSeries()
        self._resyncs = Counter(
            "modelward_operator_resyncs",
            "Full lists of the cluster's objects, by outcome: success or error.",
            ["outcome"],
            registry=self.registry,
        )
        self._gauge(
            "modelward_operator_last_event_age_seconds",
            "Seconds since the last watch event or resync.",
            lambda: self.last_event_age,
        )

    def watch_queue(self, depth: Callable[[], int], scheduled: Callable[[], int], active: Callable[[], int]) -> None:
        self._gauge("modelward_operator_queue_depth", "Models that wait for a worker.", depth)
        self._gauge("modelward_operator_queue_scheduled", "Models that wait for their next look.", scheduled)
        self._gauge("modelward_operator_workers_busy", "Models that are looked at right now.", active)

    def watch_leadership(self, is_leader: Callable[[], bool]) -> None:
        self._gauge("modelward_operator_is_leader", "1 on the replica that holds the Lease.", is_leader)
        self._models.only_while(is_leader)

    def count_reconcile(self, outcome: str, seconds: float) -> None:
        self._reconciles.labels(outcome).observe(seconds)

    def count_write(self, resource: Resource, verb: str) -> None:
        self._writes.labels(str(resource), verb).inc()

    def count_verdict(self, key: ModelKey, gate: str, result: str) -> None:
        self._verdict_labels.setdefault(key, set()).add((gate, result))
        self._verdicts.labels(key.namespace, key.name, gate, result).inc()

    def report_model(self, key: ModelKey, tier: str, status: ModelStatus) -> None:
        """The Model's status as series, in place of what was reported of it before."""
        self._models.replace(key, tier, status)

    def count_resync(self, outcome: str) -> None:
        self._resyncs.labels(outcome).inc()

    def event_seen(self) -> None:
        self._last_event = self._clock.monotonic()

    @property
    def last_event_age(self) -> float:
        return self._clock.monotonic() - self._last_event

    def forget(self, key: ModelKey) -> None:
        """Drop the series of a Model that no longer exists."""
        for gate, result in self._verdict_labels.pop(key, set()):
            self._verdicts.remove(key.namespace, key.name, gate, result)
        self._models.forget(key)

    def page(self) -> bytes:
        """Everything, in Prometheus' text format."""
        return generate_latest(self.registry) + self._models.page()

    def _gauge(self, name: str, documentation: str, read: Callable[[], float]) -> None:
        gauge = Gauge(name, documentation, registry=self.registry)
        cast(Callable[[Callable[[], float]], None], gauge.set_function)(read)
