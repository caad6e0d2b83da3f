"""Has a version come as far as a pipeline wants it to, may it still, or what keeps it?"""

from dataclasses import dataclass
from enum import StrEnum

from modelward.api import reasons
from modelward.api.model import Model
from modelward.api.status import ModelStatus, Stage

STAGES = (Stage.VALIDATION, Stage.SHADOW, Stage.CANARY, Stage.PRODUCTION)
"""The stages that can be waited for, in their order."""

_FOR_A_PERSON = frozenset(
    {reasons.AWAITING_APPROVAL, reasons.REGISTER_INCOMPLETE, reasons.NOT_MONITORED, reasons.POLICY_NOT_IMPLEMENTED}
)
"""Reasons of Progressing that last until somebody approves something or commits something."""


class State(StrEnum):
    REACHED = "Reached"
    FAILED = "Failed"
    WAITS_FOR_A_PERSON = "WaitsForAPerson"
    UNDER_WAY = "UnderWay"


@dataclass(frozen=True)
class Arrival:
    """How far a version is, and in one sentence why not further."""

    state: State
    message: str
    reason: str = ""
    stage: str = ""
    weight: int | None = None
    gates: str = ""


def arrival_of(
    model: Model, status: ModelStatus, version: str, wanted: Stage, *, was_requested: bool = False
) -> Arrival:
    """Where a version stands on its way to a stage.

    was_requested: it was asked for at an earlier look, so that another version which is asked for now has taken its place.
    """
    if _has_come_to(status, version, wanted):
        return _arrival(State.REACHED, status, version, f"{version} has come to {wanted}.")
    requested = model.spec.production.version
    if requested != version:
        if was_requested:
            return Arrival(State.FAILED, f"{requested or 'no version'} is requested now, in place of {version}.")
        named = f"spec.production.version is {requested}" if requested else "no version is requested"
        return Arrival(State.UNDER_WAY, f"{named}: {version} is not requested yet.")
    if status.observed_generation < model.metadata.generation:
        return Arrival(State.UNDER_WAY, f"{version} is requested; the operator has not looked at it yet.")
    return _told(model, status, version)


def _told(model: Model, status: ModelStatus, version: str) -> Arrival:
    """What the operator says of the version that is requested."""
    latched = next(
        (each for each in status.failed if each.version == version and model.spec.production.retry <= each.retry), None
    )
    if latched is not None and (status.rollout is None or status.rollout.version != version):
        remedy = f"commit another version, or raise spec.production.retry above {latched.retry}"
        message = f"{version} failed in {latched.stage} and is latched: {latched.message.rstrip('.')}: {remedy}."
        return _arrival(State.FAILED, status, version, message, latched.reason)
    valid, progressing = status.condition("SpecValid"), status.condition("Progressing")
    if valid is not None and valid.status == "False":
        # A Model may arrive before its ModelVersion.
        state = State.UNDER_WAY if valid.reason == reasons.VERSION_NOT_FOUND else State.FAILED
        return _arrival(state, status, version, f"{valid.message}.", valid.reason)
    if model.spec.suspend:
        return _arrival(
            State.WAITS_FOR_A_PERSON, status, version, "spec.suspend is true: nothing goes on.", reasons.SUSPENDED
        )
    if progressing is None:
        return Arrival(State.UNDER_WAY, f"{version} is requested.")
    held = progressing.status == "False"
    if held and progressing.reason == reasons.GATE_FAILED:
        return _arrival(State.FAILED, status, version, progressing.message, progressing.reason)
    state = State.WAITS_FOR_A_PERSON if held and progressing.reason in _FOR_A_PERSON else State.UNDER_WAY
    return _arrival(state, status, version, progressing.message, progressing.reason)


def _has_come_to(status: ModelStatus, version: str, wanted: Stage) -> bool:
    if status.production is not None and status.production.version == version:
        return True
    rollout = status.rollout
    return (
        rollout is not None
        and rollout.version == version
        and STAGES.index(rollout.stage) >= STAGES.index(wanted)
        and wanted is not Stage.PRODUCTION
    )


def _arrival(state: State, status: ModelStatus, version: str, message: str, reason: str = "") -> Arrival:
    """With the place of the version; the columns of a Model are about the version that is on its way, or serves."""
    shown = status.rollout or status.production
    if shown is None or shown.version != version:
        return Arrival(state, message, reason)
    return Arrival(state, message, reason, status.stage, status.weight, status.gates_summary)
