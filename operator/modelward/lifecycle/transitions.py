"""The steps of the state machine: each takes a status and gives the next one. No conditions, no choices of policy."""

from collections.abc import Container
from datetime import datetime, timedelta
from typing import Literal

from modelward.api import reasons
from modelward.api.status import (
    ChallengerStatus,
    FailedVersion,
    HistoryEntry,
    ModelStatus,
    RolloutStatus,
    Stage,
    SwitchStatus,
    VersionReference,
    WatchStatus,
)

Approval = Literal["NotAsked", "Given", "Overridden"]

HISTORY_LENGTH = 20
LATCHES_KEPT = 20
RETIRED_KEPT = 20


def remember(
    status: ModelStatus, now: datetime, version: str, action: str, message: str, actor: str = ""
) -> ModelStatus:
    """Put one step at the head of the bounded history; the audit chain is made from the same steps."""
    entry = HistoryEntry(at=now, version=version, action=action, message=message[:2048], actor=actor[:256])
    return status.model_copy(update={"history": (entry, *status.history)[:HISTORY_LENGTH]})


def start_rollout(
    status: ModelStatus, now: datetime, version: str, digest: str, policy: str, policy_digest: str, retry: int
) -> ModelStatus:
    """Begin with Validation, under a policy that is pinned by digest."""
    rollout = RolloutStatus(
        version=version,
        digest=digest,
        policy=policy,
        policy_digest=policy_digest,
        retry=retry,
        started_at=now,
        stage=Stage.VALIDATION,
        stage_entered_at=now,
        step_entered_at=now,
    )
    return status.model_copy(update={"rollout": rollout, "watch": None, "gates": ()})


def enter_stage(
    status: ModelStatus, now: datetime, stage: Stage, inherited: ChallengerStatus | None = None
) -> ModelStatus:
    """Go to another stage; a challenger's shadow counts from when that began."""
    rollout = _rollout(status)
    entered = inherited.entered_at if inherited else now
    since = inherited.traffic_since if inherited else None
    moved = rollout.model_copy(
        update={
            "stage": stage,
            "stage_entered_at": entered,
            "step": 0,
            "step_entered_at": entered,
            "traffic_since": since,
            "unknown_since": None,
            "paused": False,
        }
    )
    return status.model_copy(update={"rollout": moved, "gates": ()})


def enter_step(status: ModelStatus, now: datetime, step: int) -> ModelStatus:
    """Go to another weight of the canary; the stage's evidence goes on."""
    moved = _rollout(status).model_copy(
        update={"step": step, "step_entered_at": now, "traffic_since": None, "unknown_since": None, "paused": False}
    )
    return status.model_copy(update={"rollout": moved})


def note_traffic(status: ModelStatus, since: datetime | None) -> ModelStatus:
    """Record since when the stage's traffic is in force, or that it is not."""
    return status.model_copy(update={"rollout": _rollout(status).model_copy(update={"traffic_since": since})})


def note_unknown(status: ModelStatus, since: datetime | None, paused: bool) -> ModelStatus:
    """Record since when evidence is lacking, and whether the rollout is paused for it."""
    moved = _rollout(status).model_copy(update={"unknown_since": since, "paused": paused})
    return status.model_copy(update={"rollout": moved})


def promote(
    status: ModelStatus, now: datetime, watch: timedelta | None, keep: int, *, monitored: bool, approval: Approval
) -> ModelStatus:
    """The candidate takes all traffic; what served before stays warm in standby."""
    rollout = _rollout(status)
    previous = status.production
    serving = VersionReference(
        version=rollout.version,
        digest=rollout.digest,
        since=now,
        monitored_under=rollout.policy_digest if monitored else "",
        approval=approval,
    )
    promoted = _serve(status, now, serving, keep)
    watching = None
    if watch:
        watching = WatchStatus(
            version=rollout.version,
            digest=rollout.digest,
            policy_digest=rollout.policy_digest,
            retry=rollout.retry,
            previous=previous.version if previous else None,
            since=now,
            until=now + watch,
        )
    return promoted.model_copy(update={"rollout": None, "watch": watching})


def abandon(status: ModelStatus) -> ModelStatus:
    """End the rollout without a verdict."""
    return status.model_copy(update={"rollout": None, "gates": ()})


def latch(
    status: ModelStatus, now: datetime, version: str, digest: str, retry: int, stage: Stage, reason: str, message: str
) -> ModelStatus:
    """End what runs of a version and bar its content from starting again by itself."""
    failed = FailedVersion(
        version=version, digest=digest, retry=retry, stage=stage, reason=reason, message=message[:2048], at=now
    )
    others = tuple(entry for entry in status.failed if entry.digest != digest)
    ended: dict[str, object] = {"challengers": tuple(each for each in status.challengers if each.digest != digest)}
    if status.rollout and status.rollout.digest == digest:
        ended["rollout"] = None
    if status.watch and status.watch.digest == digest:
        ended["watch"] = None
    return status.model_copy(update={**ended, "failed": _as_many_as_are_kept((failed, *others))})


def _as_many_as_are_kept(latches: tuple[FailedVersion, ...]) -> tuple[FailedVersion, ...]:
    """Newest first. What people have rejected is not forgotten for what failed by itself: who builds can let much fail."""
    rejected_first = sorted(latches, key=lambda entry: entry.reason != reasons.REJECTED)
    kept = {entry.digest for entry in rejected_first[:LATCHES_KEPT]}
    return tuple(entry for entry in latches if entry.digest in kept)


def to_roll_back_to(status: ModelStatus, known: Container[str]) -> VersionReference | None:
    """The newest previous version that nothing was held against since; `known`: those of which something is left."""
    barred = {entry.digest for entry in status.failed}
    return next((entry for entry in status.standby if entry.version in known and entry.digest not in barred), None)


def begin_switch(status: ModelStatus, now: datetime, to: VersionReference, kind: str, because: str) -> ModelStatus:
    """Set out to give all traffic to a version that served before."""
    switch = SwitchStatus.model_validate(
        {"to": to.version, "digest": to.digest, "kind": kind, "because": because[:2048], "since": now}
    )
    return status.model_copy(update={"switch": switch, "rollout": None, "watch": None})


def complete_switch(status: ModelStatus, now: datetime, keep: int) -> ModelStatus:
    """Give all traffic to the version that was waited for."""
    switch = status.switch
    assert switch is not None
    unknown = VersionReference(version=switch.to, digest=switch.digest, since=now)
    serving = next((reference for reference in status.standby if reference.version == switch.to), unknown)
    return _serve(status, now, serving, keep).model_copy(update={"switch": None})


def retire(status: ModelStatus, now: datetime, versions: frozenset[str]) -> ModelStatus:
    """Move versions from standby to the retired ones."""
    gone = tuple(
        reference.model_copy(update={"since": now}) for reference in status.standby if reference.version in versions
    )
    kept = tuple(reference for reference in status.standby if reference.version not in versions)
    return status.model_copy(update={"standby": kept, "retired": (*gone, *status.retired)[:RETIRED_KEPT]})


def _serve(status: ModelStatus, now: datetime, serving: VersionReference, keep: int) -> ModelStatus:
    previous = status.production
    standby = tuple(reference for reference in status.standby if reference.version != serving.version)
    if previous is not None and previous.version != serving.version:
        standby = (previous.model_copy(update={"since": now}), *standby)
    served = status.model_copy(
        update={
            "production": serving.model_copy(update={"since": now}),
            "standby": standby,
            "retired": tuple(reference for reference in status.retired if reference.version != serving.version),
        }
    )
    rejected = {entry.digest for entry in status.failed if entry.reason == reasons.REJECTED}
    warm = [reference for reference in standby if reference.digest not in rejected]
    surplus = frozenset(reference.version for reference in standby) - {reference.version for reference in warm[:keep]}
    return retire(served, now, surplus)


def _rollout(status: ModelStatus) -> RolloutStatus:
    assert status.rollout is not None, "a step of a rollout needs a rollout"
    return status.rollout
