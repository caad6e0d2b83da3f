"""One reconcile: observe, decide, act. The only place where the three meet."""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime

from modelward.api import reasons
from modelward.api.model_audit_record import ModelAuditRecordSpec
from modelward.api.status import ModelStatus
from modelward.lifecycle.conditions import with_times
from modelward.lifecycle.decide import decide
from modelward.metrics.reader import MetricsReader
from modelward.runtime.act import Actor
from modelward.runtime.cache import Cache
from modelward.runtime.clock import Clock
from modelward.runtime.keys import ModelKey
from modelward.runtime.kube import KubeApi, NamespaceEnding
from modelward.runtime.observe import Observer, SpecUnreadable
from modelward.runtime.settings import Settings
from modelward.runtime.telemetry import Telemetry
from modelward.runtime.trust import TrustReader

logger = logging.getLogger(__name__)


def _note_nothing(key: ModelKey, records: Sequence[ModelAuditRecordSpec]) -> None:
    """Nobody keeps count of what was carried out."""


class Reconciler:
    """Brings one Model at a time towards what its spec asks for."""

    def __init__(
        self,
        kube: KubeApi,
        cache: Cache,
        metrics_reader: MetricsReader,
        clock: Clock,
        settings: Settings,
        telemetry: Telemetry,
        on_records: Callable[[ModelKey, Sequence[ModelAuditRecordSpec]], None] = _note_nothing,
    ) -> None:
        self._observer = Observer(kube, cache, metrics_reader, TrustReader(kube, clock), clock)
        self._actor = Actor(kube, cache)
        self._clock = clock
        self._telemetry = telemetry
        self._on_records = on_records
        self._refused: dict[ModelKey, dict[str, str]] = {}

    async def reconcile(self, key: ModelKey) -> float | None:
        """Do what is due for one Model.

        Returns:
            Seconds until time alone could change the decision, or None when only an event can.
        """
        try:
            observed = await self._observer.observe(key, self._refused.get(key, {}))
        except SpecUnreadable as error:
            await self._say_unreadable(key, error)
            return None
        if observed is None:
            self._refused.pop(key, None)
            return None
        plan = decide(observed.snapshot)
        try:
            refused = await self._actor.act(observed, plan)
        except NamespaceEnding:
            logger.info("%s: its namespace is being deleted, and all that is in it", key)
            await self._actor.let_go(observed)
            return None
        if refused:
            self._refused[key] = refused
        else:
            self._refused.pop(key, None)
        self._on_records(key, plan.records)
        for told in plan.announcements:
            logger.info("%s: %s: %s", key, told.reason, told.message)
        monitored = plan.status.monitoring.gates if plan.status.monitoring else ()
        for row in (*plan.status.gates, *monitored):
            if row.at == observed.snapshot.now:
                self._telemetry.count_verdict(key, row.name, row.result)
        self._telemetry.report_model(key, observed.snapshot.model.spec.risk_tier.value, plan.status)
        return _seconds_until(plan.check_at, self._clock.now())

    async def _say_unreadable(self, key: ModelKey, error: SpecUnreadable) -> None:
        """A spec that this release cannot read: what serves goes on serving, and the condition says what is wrong."""
        if error.raw["metadata"].get("deletionTimestamp"):
            await self._actor.release_unreadable(error.raw)
            return
        status = ModelStatus.model_validate(error.raw.get("status") or {})
        generation = int(error.raw["metadata"].get("generation", 0))
        findings = {
            condition.type: (condition.status, condition.reason, condition.message) for condition in status.conditions
        }
        findings["SpecValid"] = ("False", reasons.SCHEMA_INVALID, str(error))
        findings["Ready"] = ("False", reasons.SPEC_INVALID, str(error))
        findings["Stalled"] = ("True", reasons.SCHEMA_INVALID, str(error))
        findings["Reconciling"] = ("False", reasons.SCHEMA_INVALID, str(error))
        conditions = with_times(findings, status.conditions, self._clock.now(), generation)
        said = status.model_copy(update={"conditions": conditions, "observed_generation": generation})
        await self._actor.write_unreadable(error.raw, said)
        self._telemetry.report_model(key, str((error.raw.get("spec") or {}).get("riskTier", "")), said)


def _seconds_until(moment: datetime | None, now: datetime) -> float | None:
    return None if moment is None else max((moment - now).total_seconds(), 0.0)
