"""Which policy applies to a Model, and what it says once the Model's own gates are merged in."""

from collections.abc import Collection, Iterable, Mapping
from datetime import timedelta

from modelward.api import reasons
from modelward.api.digests import digest_of_model
from modelward.api.gates import Gate, kind_of
from modelward.api.lifecycle_policy import LifecyclePolicy, LifecyclePolicySpec
from modelward.api.model import GateStage, Model, ModelGate, ModelSpec
from modelward.api.types import ApiModel, format_duration
from modelward.lifecycle.snapshot import Policy, Problem

_GATED = {GateStage.VALIDATION: "validation", GateStage.SHADOW: "shadow", GateStage.CANARY: "canary"}

NOT_PINNED = {"applies_to", "identity_map"}
"""What a rollout is not pinned to."""

# Fields of a gate in which a smaller number is the stricter one, and those in which a larger one is.
_STRICTER_WHEN_SMALLER = frozenset(
    {
        "max_increase",
        "abort_above",
        "threshold",
        "max_drifted_share",
        "max_missing",
        "max_out_of_range",
        "max_new_categories",
        "max",
        "slo",
        "max_age",
        "max_staleness",
        "max_decrease",
    }
)
_STRICTER_WHEN_LARGER = frozenset({"min", "min_samples"})


def applicable(
    policies: Iterable[LifecyclePolicy], spec: ModelSpec, namespace_labels: Mapping[str, str]
) -> LifecyclePolicy | None:
    """The policy with the highest priority that names the Model's tier and namespace; ties go to the first by name."""

    def applies(policy: LifecyclePolicy) -> bool:
        where = policy.spec.applies_to
        selected = where.namespace_selector.match_labels.items()
        return spec.risk_tier in where.tiers and all(namespace_labels.get(key) == value for key, value in selected)

    matching = sorted(
        (policy for policy in policies if policy.metadata.deletion_timestamp is None and applies(policy)),
        key=lambda policy: (-policy.spec.applies_to.priority, policy.metadata.name),
    )
    return matching[0] if matching else None


def in_force(
    policies: Collection[LifecyclePolicy],
    model: Model,
    namespace_labels: Mapping[str, str],
    closed_sources: Collection[str] = (),
    broken: str = "",
) -> Policy | Problem:
    """The policy that applies to a Model with its gates merged in, or why there is none.

    broken: policies that cannot be read and so apply to nothing, each as the end of a sentence.
    """
    found = applicable(policies, model.spec, namespace_labels)
    if found is not None:
        return merge(found, model.spec, closed_sources)
    known = ", ".join(sorted(policy.metadata.name for policy in policies)) or "none"
    return Problem(
        reasons.POLICY_MISSING,
        f"no LifecyclePolicy applies to tier {model.spec.risk_tier} in namespace {model.metadata.namespace!r}"
        f" (there are: {known}{broken}): ask the risk function for one whose appliesTo.tiers names the tier",
    )


def merge(policy: LifecyclePolicy, spec: ModelSpec, closed_sources: Collection[str] = ()) -> Policy | Problem:
    """The policy with the Model's gates in it, or why a gate of the Model cannot be taken.

    closed_sources: metric sources that take queries of policies only.
    """
    stages = policy.spec.stages
    merged = stages
    for gate in spec.gates:
        for stage in gate.stages:
            attribute = _GATED[stage]
            section = getattr(merged, attribute)
            if section is None:
                return Problem(
                    reasons.INVALID_GATE,
                    f"spec.gates[{gate.name}] is for {stage}, a stage that policy {policy.metadata.name!r} does not have:"
                    " name one of its stages",
                )
            taken = _with_gate(section.gates, gate)
            if isinstance(taken, Problem):
                return taken
            if len(taken) > len(section.gates) and gate.query is not None and gate.query.source in closed_sources:
                return _query_refused(policy, gate.name, gate.query.source)
            merged = merged.model_copy(update={attribute: section.model_copy(update={"gates": taken})})
    effective = policy.spec.model_copy(update={"stages": merged})
    return Policy(policy.metadata.name, policy_digest(policy.metadata.name, effective), effective)


def _query_refused(policy: LifecyclePolicy, gate: str, source: str) -> Problem:
    """A query sees all that its source has: its author is the one who may."""
    return Problem(
        reasons.INVALID_GATE,
        f"spec.gates[{gate}] brings a query of its own for source {source!r}, which takes queries of policies only: ask the owner of policy"
        f" {policy.metadata.name!r} for the gate, or the platform for `queries: Models` on that source",
    )


def policy_digest(name: str, spec: LifecyclePolicySpec) -> str:
    """Digest of what a rollout is pinned to: stages and demands, neither where the policy applies nor who is who."""
    return digest_of_model(spec, exclude=NOT_PINNED)


def _with_gate(gates: tuple[Gate, ...], added: ModelGate) -> tuple[Gate, ...] | Problem:
    """The gates with one more, or with the one of the same name made stricter."""
    plain = Gate.model_validate(added.model_dump(exclude={"stages"}))
    for index, existing in enumerate(gates):
        if existing.name == plain.name:
            loosened = _loosened(existing, plain)
            if loosened:
                return Problem(
                    reasons.POLICY_LOOSENED,
                    f"spec.gates[{plain.name}] asks for less than the policy's gate of that name: {loosened};"
                    " a Model may only tighten it",
                )
            return (*gates[:index], plain, *gates[index + 1 :])
    return (*gates, plain)


def _loosened(policy: Gate, own: Gate) -> str | None:
    """What in a Model's gate is weaker than in the policy's gate of the same name, if anything."""
    kind = kind_of(policy)
    if kind_of(own) != kind:
        return f"it is of kind {_camel(kind_of(own))}, the policy's is {_camel(kind)}"
    if own.advisory and not policy.advisory:
        return "advisory: true"
    if own.warmup > policy.warmup:
        return f"warmup is longer than {policy.warmup}"
    if own.window != policy.window:
        return f"window is {_written(own.window)}, the policy's is {_written(policy.window)}"
    if own.min_samples < policy.min_samples:
        return f"minSamples {own.min_samples} is below {policy.min_samples}"
    return _weaker(getattr(policy, kind), getattr(own, kind), _camel(kind))


def _written(window: timedelta | None) -> str:
    return "left out" if window is None else format_duration(window)


def _weaker(policy: ApiModel, own: ApiModel, path: str) -> str | None:
    """Compare two specs of one gate kind field by field; a field of no known direction must be equal."""
    for name in type(policy).model_fields:
        theirs, ours = getattr(policy, name), getattr(own, name)
        if theirs is None or theirs == ours:
            continue
        field = f"{path}.{_camel(name)}"
        if isinstance(theirs, ApiModel) and isinstance(ours, ApiModel):
            nested = _weaker(theirs, ours, field)
            if nested:
                return nested
        elif ours is None:
            return f"{field} is left out, the policy has {theirs}"
        elif name in _STRICTER_WHEN_SMALLER:
            if ours > theirs:
                return f"{field} {ours} is above {theirs}"
        elif name in _STRICTER_WHEN_LARGER:
            if ours < theirs:
                return f"{field} {ours} is below {theirs}"
        elif name == "evaluators":
            if theirs and not (ours and set(ours) <= set(theirs)):
                return f"{field} names others than {', '.join(theirs)}"
        elif name == "features" and not theirs:
            return f"{field} leaves features out that the policy watches"
        else:
            return f"{field} {ours} differs from {theirs}"
    return None


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.title() for part in rest)
