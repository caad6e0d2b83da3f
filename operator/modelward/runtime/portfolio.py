"""The portfolio as metrics: its state whenever somebody asks, and the flow of rollouts as they end.

Both come from `governance.flow`, so that a dashboard and `modelward report` cannot disagree on what a word means. Only the leader
shows the state, because a sum over replicas would count every Model twice. Labels are roles, at the most: none is a Model.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from pydantic import ValidationError

from modelward.api import reasons
from modelward.api.model_audit_record import ModelAuditRecordSpec
from modelward.api.resources import MODEL_AUDIT_RECORDS, MODEL_VERSIONS, MODELS
from modelward.api.types import ObjectMeta
from modelward.governance.flow import Ending, Flow, State, VersionName, flow_of, state_of
from modelward.runtime.cache import Cache
from modelward.runtime.clock import Clock
from modelward.runtime.keys import ModelKey
from modelward.traffic.names import child_name

_HOUR, _DAY = 3600.0, 86_400.0
_TO_PRODUCTION = (300.0, _HOUR, 4 * _HOUR, 12 * _HOUR, _DAY, 3 * _DAY, 7 * _DAY, 14 * _DAY, 30 * _DAY, 90 * _DAY)
_TO_DETECTION = (60.0, 300.0, 900.0, _HOUR, 4 * _HOUR, 12 * _HOUR, _DAY, 7 * _DAY, 30 * _DAY)
_ENDS = frozenset({*(ending.value for ending in Ending), reasons.VERSION_LATCHED, reasons.GATE_FAILED})


class PortfolioMetrics(Collector):
    """Gauges from what the cache holds, and counters of what this operator carried out."""

    def __init__(self, registry: CollectorRegistry, cache: Cache, clock: Clock, is_leader: Callable[[], bool]) -> None:
        self._cache = cache
        self._clock = clock
        self._is_leader = is_leader
        self._rollouts = Counter(
            "modelward_rollouts_ended",
            "Rollouts that ended, by how: Promoted, RolledBack, Rejected or Superseded.",
            ["ending"],
            registry=registry,
        )
        for ending in Ending:
            self._rollouts.labels(ending)
        self._incidents = Counter(
            "modelward_production_rollbacks",
            "Versions in production that a gate took back or latched.",
            registry=registry,
        )
        self._to_production = Histogram(
            "modelward_candidate_to_production_seconds",
            "From the start of a rollout to its promotion.",
            buckets=_TO_PRODUCTION,
            registry=registry,
        )
        self._trigger_to_production = Histogram(
            "modelward_trigger_to_production_seconds",
            "From the creation of a ModelVersion that replaces another to its promotion.",
            buckets=_TO_PRODUCTION,
            registry=registry,
        )
        self._detection = Histogram(
            "modelward_detection_seconds",
            "From the first moment at which a fault could have met users to its detection, in a rollout or in production: an upper bound.",
            ["where"],
            buckets=_TO_DETECTION,
            registry=registry,
        )
        registry.register(self)

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Nothing, so that registering asks for no figures."""
        return ()

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """The state now; nothing on a replica that does not lead."""
        if not self._is_leader():
            return ()
        now = self._clock.now()
        return tuple(_gauges(state_of(self._cache.list(MODELS), now), now))

    def note(self, key: ModelKey, records: Sequence[ModelAuditRecordSpec]) -> None:
        """Count what ended with these records, which were just carried out."""
        if not any(record.action in _ENDS for record in records):
            return
        new = {record.seq for record in records}
        flow = self._flow(key)
        for passage in flow.passages:
            if passage.seq not in new:
                continue
            self._rollouts.labels(passage.ending).inc()
            if passage.ending is Ending.PROMOTED and passage.lasted is not None:
                self._to_production.observe(passage.lasted.total_seconds())
            if passage.since_created is not None:
                self._trigger_to_production.observe(passage.since_created.total_seconds())
        for incident in flow.incidents:
            if incident.seq not in new:
                continue
            if incident.in_production:
                self._incidents.inc()
            if incident.latency is not None:
                where = "Production" if incident.in_production else "Rollout"
                self._detection.labels(where).observe(incident.latency.total_seconds())

    def _flow(self, key: ModelKey) -> Flow:
        """Of one Model; the whole chain, because a rollout may have begun long ago."""
        records: list[ModelAuditRecordSpec] = []
        for raw in self._cache.list(MODEL_AUDIT_RECORDS, key.namespace):
            if raw["spec"]["model"]["name"] != key.name:
                continue
            try:
                records.append(ModelAuditRecordSpec.model_validate(raw["spec"]))
            except ValidationError:
                continue  # of a later release
        versions = {record.version for record in records}
        created = {VersionName(*key, version): at for version in versions if (at := self._created_at(key, version))}
        return flow_of(records, created)

    def _created_at(self, key: ModelKey, version: str) -> datetime | None:
        raw = self._cache.get(MODEL_VERSIONS, key.namespace, child_name(key.name, version))
        text = ObjectMeta.model_validate(raw["metadata"]).creation_timestamp if raw else ""
        return datetime.fromisoformat(text) if text else None


def _gauges(state: State, now: datetime) -> Iterable[GaugeMetricFamily]:
    for name, documentation, value in (
        ("modelward_models", "Models in the register.", state.models),
        (
            "modelward_models_in_production",
            "Models with a version in production, here or elsewhere.",
            state.in_production,
        ),
        ("modelward_models_in_production_owned", "Of these, those that somebody answers for.", state.owned),
        ("modelward_models_in_production_monitored", "Of these, those that are monitored.", state.monitored),
        (
            "modelward_models_in_production_monitored_and_owned",
            "Of these, those that are both.",
            state.monitored_and_owned,
        ),
        ("modelward_models_zombie", "Models that serve and that nobody looks after.", state.zombies),
        ("modelward_models_ungoverned", "Models whose serving version is not what was approved.", state.ungoverned),
        ("modelward_models_review_overdue", "Models whose review is overdue.", state.reviews_overdue),
    ):
        yield GaugeMetricFamily(name, documentation, value=value)
    due = [wait for wait in state.waiting if wait.due]
    waiting = GaugeMetricFamily(
        "modelward_approvals_waiting",
        "People who still have to approve so that a rollout goes on, by role.",
        labels=["role"],
    )
    oldest = GaugeMetricFamily(
        "modelward_approvals_oldest_waiting_seconds",
        "How long the oldest of these has been asked for, by role.",
        labels=["role"],
    )
    for role in sorted({wait.role for wait in due}):
        asked = [wait for wait in due if wait.role == role]
        waiting.add_metric([role], sum(wait.missing for wait in asked))
        oldest.add_metric([role], max(0.0, (now - min(wait.since for wait in asked)).total_seconds()))
    yield waiting
    yield oldest
