"""A metrics page of the operator with something of everything on it: for the reference, and for tests of alerts and dashboards.

It is made by the code that makes the real one, out of two portfolios: one in which all is well, and one in which
everything that somebody may be called for has happened.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from modelward.api.resources import MODELS
from modelward.api.status import (
    Condition,
    Covers,
    DecisionStatus,
    GateStatus,
    ModelStatus,
    MonitoringStatus,
    PendingApproval,
    RolloutStatus,
    Stage,
    TrafficStatus,
    VersionReference,
    WeightStatus,
)
from modelward.runtime.cache import Cache
from modelward.runtime.clock import SystemClock
from modelward.runtime.discovering import unregistered_gauge
from modelward.runtime.exporting import ExportMetrics
from modelward.runtime.keys import ModelKey
from modelward.runtime.notifying import NotifyMetrics
from modelward.runtime.portfolio import PortfolioMetrics
from modelward.runtime.telemetry import Telemetry

BOUND = 0.2
NAMESPACE, MODEL = "lending", "credit-risk"
WELL = {
    "Ready": ("True", "Promoted"),
    "Serving": ("True", "ProductionAvailable"),
    "Progressing": ("True", "StageRunning"),
    "TrafficApplied": ("True", "RouteAccepted"),
    "Performing": ("True", "WithinBounds"),
    "DriftDetected": ("False", "WithinThreshold"),
    "SpecValid": ("True", "Valid"),
    "Owned": ("True", "OwnerNamed"),
    "MonitoringReady": ("True", "Monitored"),
    "ReviewCurrent": ("True", "ReviewedInTime"),
    "Ungoverned": ("False", "Governed"),
    "Zombie": ("False", "Attended"),
    "ApprovalsTrusted": ("True", "AdmissionInPlace"),
}
"""The conditions of a Model that nobody need look at."""

TROUBLES = (
    {
        "Ready": ("False", "RolledBack"),
        "Serving": ("False", "BackendsUnavailable"),
        "Progressing": ("False", "Paused"),
        "TrafficApplied": ("False", "ShareMismatch"),
        "Performing": ("False", "MonitoringFailed"),
        "DriftDetected": ("True", "ThresholdExceeded"),
        "SpecValid": ("False", "VersionNotFound"),
        "Owned": ("False", "Ownerless"),
        "MonitoringReady": ("False", "NotMonitored"),
        "ReviewCurrent": ("False", "ReviewOverdue"),
        "Ungoverned": ("True", "NotWhatWasApproved"),
        "Zombie": ("True", "Attended"),
        "ApprovalsTrusted": ("False", "AdmissionNotInPlace"),
    },
    {
        "Performing": ("Unknown", "MonitoringUnavailable"),
        "ReviewCurrent": ("False", "OverrideUnreviewed"),
    },
)
"""What the conditions of one troubled Model, and of another one, are instead."""


class Operator:
    """One replica's metrics, with the Lease; every page it gives is of a little more work."""

    def __init__(self, *, troubled: bool = False) -> None:
        clock = SystemClock()
        self._troubled = troubled
        self.telemetry = Telemetry(clock)
        self.telemetry.watch_queue(lambda: 80 if troubled else 1, lambda: 12, lambda: 3)
        self.telemetry.watch_leadership(lambda: True)
        self._export = ExportMetrics(self.telemetry.registry, clock)
        self._unregistered = unregistered_gauge(self.telemetry.registry)
        PortfolioMetrics(self.telemetry.registry, Cache(), clock, lambda: True)
        NotifyMetrics(self.telemetry.registry).waiting.labels("tickets").set(7 if troubled else 0)
        self._report(clock.now())

    def page(self) -> bytes:
        """What Prometheus is given, after some more looks at Models."""
        for _ in range(20):
            self.telemetry.count_reconcile("success", 0.02)
            self.telemetry.count_verdict(ModelKey(NAMESPACE, MODEL), "errors", "Pass")
        self.telemetry.count_resync("success")
        self.telemetry.count_write(MODELS, "patch")
        self._export.exported.inc(3)
        if self._troubled:
            for _ in range(20):
                self.telemetry.count_reconcile("error", 0.5)
            self._export.failures.inc()
        return self.telemetry.page()

    def _report(self, now: datetime) -> None:
        troubles = TROUBLES if self._troubled else ({},)
        for number, trouble in enumerate(troubles):
            name = f"{MODEL}-{number}" if number else MODEL
            self.telemetry.report_model(ModelKey(NAMESPACE, name), "High", status(now, trouble))
        self._unregistered.labels(NAMESPACE).set(2 if self._troubled else 0)
        self._export.signed.set(1)
        if self._troubled:
            self._export.waiting(4200, now - timedelta(hours=3))
            self._export.broken.set(1)
            self._export.last_success.set((now - timedelta(hours=3)).timestamp())
        else:
            self._export.waiting(0, None)
            self._export.last_success.set(now.timestamp())


def status(now: datetime, trouble: Mapping[str, tuple[str, str]]) -> ModelStatus:
    """A Model whose v8 gets a tenth of the requests; in trouble it also waits for approvals, and a policy was overridden."""
    digest = "sha256:" + "0" * 64
    conditions = {**WELL, **trouble}
    long_ago = now - timedelta(days=3)
    return ModelStatus(
        stage="Canary",
        production=VersionReference(version="v7", digest=digest, since=long_ago),
        rollout=RolloutStatus(
            version="v8",
            digest=digest,
            policy="high",
            policy_digest=digest,
            started_at=now - timedelta(hours=5),
            stage=Stage.CANARY,
            stage_entered_at=now,
            step_entered_at=now,
        ),
        traffic=TrafficStatus(
            weights=(WeightStatus(version="v7", percent=90), WeightStatus(version="v8", percent=10)),
            mirrors=(WeightStatus(version="v9", percent=100),),
            changed_at=now,
        ),
        gates=(_row("errors", Stage.CANARY, "v8", 0.4 if trouble else 0.002, now),),
        monitoring=MonitoringStatus(
            version="v7", since=long_ago, gates=(_row("drift", Stage.PRODUCTION, "v7", 0.04, now),)
        ),
        pending_approvals=(
            PendingApproval(
                role="risk",
                version="v8",
                subject_digest=digest,
                before="50 % of requests",
                missing=1,
                due=True,
                since=long_ago if trouble else now,
                covers=Covers(version_digest=digest, policy_digest=digest),
            ),
        ),
        decisions=(_override(now if trouble else long_ago),),
        conditions=tuple(
            Condition.model_validate({"type": kind, "status": truth, "reason": reason, "lastTransitionTime": now})
            for kind, (truth, reason) in conditions.items()
        ),
    )


def _row(name: str, stage: Stage, version: str, figure: float, at: datetime) -> GateStatus:
    return GateStatus(
        name=name,
        stage=stage,
        version=version,
        result="Pass" if figure < BOUND else "Fail",
        reason="Passed" if figure < BOUND else "Failed",
        message="",
        figure=figure,
        low=figure / 2,
        high=figure * 2,
        bound=BOUND,
        samples=5000,
        at=at,
    )


def _override(at: datetime) -> DecisionStatus:
    return DecisionStatus(
        name="let-it-through",
        uid="0",
        decision="Override",
        role="risk",
        approver="grace@example.com",
        at=at,
        seen_at=at.astimezone(UTC),
    )
