"""What of a policy a recording can answer."""

from modelward.api.gates import Gate, kind_of
from modelward.api.lifecycle_policy import LifecyclePolicySpec
from modelward.api.model_version import Baseline
from modelward.simulation.columns import edges_of
from modelward.simulation.recording import Recording


def replayable(
    policy: LifecyclePolicySpec, recording: Recording, baseline: Baseline | None
) -> tuple[LifecyclePolicySpec, tuple[str, ...]]:
    """The policy without what a recording cannot answer, and what that was."""
    left_out: list[str] = []

    def kept(gates: tuple[Gate, ...], where: str) -> tuple[Gate, ...]:
        found = []
        for gate in gates:
            why = _why_not(gate, recording, baseline)
            if why:
                left_out.append(f"gate {gate.name} of {where}: {why}")
            else:
                found.append(gate)
        return tuple(found)

    stages = policy.stages
    shadow, canary, production = stages.shadow, stages.canary, stages.production
    if any(stage is not None and stage.approvals for stage in (stages.validation, shadow, canary)):
        left_out.append("approvals: taken as given at once")
    monitoring = production.monitoring
    if monitoring is not None:
        gates = kept(monitoring.gates, "the monitoring")
        monitoring = monitoring.model_copy(update={"gates": gates}) if gates else None
    changed = stages.model_copy(
        update={
            "validation": stages.validation.model_copy(
                update={"gates": kept(stages.validation.gates, "Validation"), "approvals": ()}
            ),
            "shadow": shadow
            and shadow.model_copy(update={"gates": kept(shadow.gates, "Shadow"), "approvals": ()}),
            "canary": canary
            and canary.model_copy(update={"gates": kept(canary.gates, "Canary"), "approvals": ()}),
            "production": production.model_copy(update={"monitoring": monitoring}),
            "first_version": type(stages.first_version)(),
        }
    )  # fmt: skip
    bare = LifecyclePolicySpec(stages=changed, on_unknown=policy.on_unknown, rollback=policy.rollback)
    return bare, tuple(left_out)


def _why_not(gate: Gate, recording: Recording, baseline: Baseline | None) -> str | None:
    kind = kind_of(gate)
    if kind == "error_rate":
        return None
    if kind == "latency":
        return None if recording.edges else "the recording has no latency"
    if kind == "drift":
        known = edges_of(baseline)
        return (
            None if recording.features & known.keys() else "the recording has no features, or --baseline is not given"
        )
    return f"a recording has no evidence for {Gate.model_fields[kind].alias or kind}"
