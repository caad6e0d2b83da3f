"""The stages of a rollout as a LifecyclePolicy demands them: gates, approvals, durations, and the monitoring of what serves."""

from datetime import timedelta
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field, WithJsonSchema

from modelward.api.gates import GateList, Reference
from modelward.api.types import ApiModel, CelRule, Duration, Interval, Number, ObjectName, Rules, all_different, as_map


class Requirement(StrEnum):
    NOT_FAILED = "NotFailed"
    PASSED = "Passed"


class FirstVersionRequirement(StrEnum):
    APPROVAL = "Approval"
    WATCH = "Watch"


class ResponseAction(StrEnum):
    ALERT = "Alert"
    ROLLBACK = "Rollback"


class ApprovalDemand(ApiModel):
    """An approval by a person that has to be there."""

    role: ObjectName = Field(description="The role in which somebody has to approve, such as risk.")
    count: Annotated[int, Field(ge=1, le=16)] = Field(
        default=1, description="How many different people have to approve in this role."
    )
    independent: bool = Field(
        default=False,
        description="True: only people count who, by identityMap, are neither of the team that owns the Model nor of a team that"
        " somebody is of who built the version. Whoever built it never counts.",
    )
    before_weight: Annotated[int, Field(ge=1, le=100)] | None = Field(
        default=None,
        description="Canary only: the approval is needed before the candidate gets this share of traffic, in percent.",
    )


_NO_WEIGHT_HERE = CelRule(
    rule="!has(self.approvals) || self.approvals.all(approval, !has(approval.beforeWeight))",
    message="beforeWeight has a meaning in stages.canary only: leave it out, or move the approval to stages.canary",
    holds=lambda stage: all(approval.before_weight is None for approval in stage.approvals),
    field_path=".approvals",
)

_TEN_INTERVALS = CelRule(
    rule=(
        "!has(self.gates) || self.gates.all(gate, !has(gate.window)"
        " || duration(gate.window).getSeconds() >= 10 * duration(self.interval).getSeconds())"
    ),
    message="a gate's window is shorter than ten intervals, which a comparison needs: lengthen the window or shorten the interval",
    holds=lambda stage: all(gate.window is None or gate.window >= 10 * stage.interval for gate in stage.gates),
    field_path=".gates",
)

Approvals = Annotated[tuple[ApprovalDemand, ...], Field(max_length=16)]


class ValidationStage(ApiModel):
    """What has to be true before a version gets any traffic."""

    cel_rules: ClassVar[Rules] = (_NO_WEIGHT_HERE,)

    gates: GateList = Field(default=(), description="Gates that have to pass.")
    approvals: Approvals = Field(default=(), description="People who have to approve before the next stage.")


class ShadowStage(ApiModel):
    """Mirrored traffic: no user sees an answer of the candidate."""

    cel_rules: ClassVar[Rules] = (_NO_WEIGHT_HERE, _TEN_INTERVALS)

    mirror_percent: Annotated[int, Field(ge=1, le=100)] = Field(
        default=100, description="The share of users' requests, in percent, that is also sent to the candidate."
    )
    min_duration: Duration = Field(
        description="The least time in this stage, counted from when the mirror is in force."
    )
    interval: Interval = Field(default=timedelta(seconds=60), description="The time between two looks at the gates.")
    gates: GateList = Field(default=(), description="Gates that have to pass.")
    approvals: Approvals = Field(default=(), description="People who have to approve before the next stage.")


class CanaryStep(ApiModel):
    """One share of users' traffic."""

    weight: Annotated[int, Field(ge=1, le=100)] = Field(
        description="The candidate's share of users' requests, in percent."
    )
    min_duration: Duration = Field(description="The least time at this share, counted from when it is in force.")
    require: Requirement | None = Field(  # None: NotFailed, and Passed for the last step
        default=None,
        description="NotFailed: a gate that is Inconclusive does not hold the step, one that is Unknown does. Passed: every gate has to"
        " pass. When left out: NotFailed, and Passed for the last step.",
    )


def _weights(stage: Any) -> list[int]:
    return [step.weight for step in stage.steps]


class CanaryStage(ApiModel):
    """A growing share of users' traffic."""

    cel_rules: ClassVar[Rules] = (
        CelRule(
            rule=(
                "self.steps.map(step, step.weight).isSorted()"
                " && self.steps.all(step, self.steps.exists_one(same, same.weight == step.weight))"
            ),
            message="canary weights must rise from step to step: order the steps and name each weight once",
            holds=lambda stage: all(lower < upper for lower, upper in pairwise(_weights(stage))),
            field_path=".steps",
        ),
        _TEN_INTERVALS,
    )

    steps: Annotated[tuple[CanaryStep, ...], Field(min_length=1, max_length=32)] = Field(
        description="The shares, in rising order; after the last one the version is promoted."
    )
    interval: Interval = Field(default=timedelta(seconds=60), description="The time between two looks at the gates.")
    gates: GateList = Field(
        default=(), description="Gates that are judged at every step, and in the watch after promotion."
    )
    alpha: Annotated[Number, Field(gt=0, le=0.2)] = Field(
        default=0.05,
        description="The probability of a wrong verdict in the whole rollout, split over its stages and gates.",
    )
    approvals: Approvals = Field(default=(), description="People who have to approve, each before a share of traffic.")


class Watch(ApiModel):
    """A period after promotion in which the canary's gates are still judged."""

    duration: Duration = Field(description="How long the watch lasts; a gate that fails in it rolls back.")


def _is_count_or_full(standby: Any) -> bool:
    replicas = standby.replicas
    return replicas == "Full" or (isinstance(replicas, int) and 0 <= replicas <= 1000)


Replicas = Annotated[int | str, WithJsonSchema({"x-kubernetes-int-or-string": True, "maxLength": 8})]


class StandbyPolicy(ApiModel):
    """How previous versions are kept, for a rollback."""

    cel_rules: ClassVar[Rules] = (
        CelRule(
            rule=(
                "type(self.replicas) == int ? int(self.replicas) >= 0 && int(self.replicas) <= 1000"
                " : string(self.replicas) == 'Full'"
            ),
            message="standby.replicas cannot be read: write Full or a number from 0 to 1000",
            message_expression='"standby.replicas \'" + string(self.replicas) + "\' cannot be read: write Full or a number from 0 to 1000"',
            says=lambda standby: f"standby.replicas '{standby.replicas}' cannot be read: write Full or a number from 0 to 1000",
            holds=_is_count_or_full,
            field_path=".replicas",
        ),
    )

    keep: Annotated[int, Field(ge=0, le=10)] = Field(
        default=1, description="How many previous versions stay in Standby."
    )
    replicas: Replicas = Field(
        default="Full",
        description="Full: as many pods as in production, so that a rollback is one route write. A number: then a rollback scales up first.",
    )
    warm_for: Duration = Field(default=timedelta(hours=72), description="How long a previous version stays in Standby.")


ALL_GATES = "*"


class MonitoringResponse(ApiModel):
    """What a gate that fails in production does."""

    gate: Annotated[str, Field(pattern=r"^(\*|[a-z0-9]([-a-z0-9]*[a-z0-9])?)$", min_length=1, max_length=63)] = Field(
        description="Name of a gate of this list of gates, or '*' for all that have no response of their own."
    )
    then: ResponseAction = Field(
        description="Alert: the condition Performing turns False, with a Warning event. Rollback: that, and all traffic goes"
        " back to the previous version if its pods are still warm; the version that failed is latched."
    )


def _unique_responses(responses: tuple[MonitoringResponse, ...]) -> tuple[MonitoringResponse, ...]:
    if not all_different(response.gate for response in responses):
        raise ValueError("Duplicate value: give each gate one response")
    return responses


def _limits_are_absolute(monitoring: Any) -> bool:
    rates = [rate for gate in monitoring.gates for rate in (gate.error_rate, gate.latency) if rate is not None]
    return all(rate.abort_above is not None for rate in rates)


def _references_are_baselines(monitoring: Any) -> bool:
    drifts = [drift for gate in monitoring.gates for drift in (gate.drift, gate.prediction_drift) if drift is not None]
    return all(drift.reference is Reference.BASELINE for drift in drifts)


def _bounds_are_absolute(monitoring: Any) -> bool:
    bounds = [bound for gate in monitoring.gates for bound in (gate.quality, gate.evaluation) if bound is not None]
    return all(bound.versus_incumbent is None for bound in bounds)


def _windows_hold_a_look(monitoring: Any) -> bool:
    windows = (monitoring.window, *(gate.window for gate in monitoring.gates if gate.window is not None))
    return all(window >= monitoring.interval for window in windows)


def _responses_name_gates(monitoring: Any) -> bool:
    blocking = {gate.name for gate in monitoring.gates if not gate.advisory}
    return all(response.gate == ALL_GATES or response.gate in blocking for response in monitoring.responses)


class Monitoring(ApiModel):
    """Gates that go on for as long as a version serves. There is no incumbent to compare with: every bound is absolute."""

    cel_rules: ClassVar[Rules] = (
        CelRule(
            rule=(
                "self.gates.all(gate, (!has(gate.errorRate) || has(gate.errorRate.abortAbove))"
                " && (!has(gate.latency) || has(gate.latency.abortAbove)))"
            ),
            message="production has no incumbent that maxIncrease could compare with: give errorRate and latency gates abortAbove,"
            " the share that is too much",
            holds=_limits_are_absolute,
            field_path=".gates",
        ),
        CelRule(
            rule=(
                "self.gates.all(gate, (!has(gate.drift) || gate.drift.reference == 'Baseline')"
                " && (!has(gate.predictionDrift) || gate.predictionDrift.reference == 'Baseline'))"
            ),
            message="production has no incumbent to drift from: use reference Baseline in drift and predictionDrift gates",
            holds=_references_are_baselines,
            field_path=".gates",
        ),
        CelRule(
            rule=(
                "self.gates.all(gate, (!has(gate.quality) || !has(gate.quality.versusIncumbent))"
                " && (!has(gate.evaluation) || !has(gate.evaluation.versusIncumbent)))"
            ),
            message="production has no incumbent for versusIncumbent: give quality and evaluation gates min or max alone",
            holds=_bounds_are_absolute,
            field_path=".gates",
        ),
        CelRule(
            rule=(
                "duration(self.window) >= duration(self.interval)"
                " && self.gates.all(gate, !has(gate.window) || duration(gate.window) >= duration(self.interval))"
            ),
            message="a window is shorter than the interval, so that it would hold no look: lengthen it or shorten the interval",
            holds=_windows_hold_a_look,
            field_path=".window",
        ),
        CelRule(
            rule=(
                "!has(self.responses) || self.responses.all(response, response.gate == '*'"
                " || self.gates.exists(gate, gate.name == response.gate && !gate.advisory))"
            ),
            message="a response names no gate of monitoring.gates that may block: name one that is not advisory, or '*' for all",
            holds=_responses_name_gates,
            field_path=".responses",
        ),
    )

    interval: Interval = Field(default=timedelta(hours=1), description="The time between two looks at the gates.")
    window: Interval = Field(
        default=timedelta(hours=24), description="The window of gates that count and give none of their own."
    )
    gates: Annotated[GateList, Field(min_length=1)] = Field(
        description="Gates on what serves: errorRate and latency with abortAbove, drift and predictionDrift against the Baseline,"
        " dataQuality, quality, fairness, query, evaluation."
    )
    alpha: Annotated[Number, Field(gt=0, le=0.2)] = Field(
        default=0.01,
        description="The probability of a false alarm in one window, split over the gates that decide by statistics.",
    )
    responses: Annotated[
        tuple[MonitoringResponse, ...],
        Field(max_length=33, json_schema_extra=as_map("gate")),
        AfterValidator(_unique_responses),
    ] = Field(default=(), description="What a gate that fails does; Alert for those that are not named.")

    def response_to(self, gate: str) -> ResponseAction:
        """What a failure of this gate does; one that is named comes before all."""
        chosen = {response.gate: response.then for response in self.responses}
        return chosen.get(gate, chosen.get(ALL_GATES, ResponseAction.ALERT))


class ProductionStage(ApiModel):
    """What happens after promotion."""

    watch: Watch | None = Field(default=None, description="Goes on judging the canary's gates after promotion.")
    monitoring: Monitoring | None = Field(
        default=None, description="Gates and responses for as long as a version serves; none when left out."
    )
    standby: StandbyPolicy = Field(
        default=StandbyPolicy(), description="How previous versions are kept, for a rollback."
    )


class FirstVersion(ApiModel):
    """The first version of a Model has nothing to be compared with."""

    require: FirstVersionRequirement = Field(
        default=FirstVersionRequirement.WATCH,
        description="Watch: it takes all traffic after Validation, under the watch. Approval: somebody has to approve first.",
    )
    role: ObjectName = Field(
        default="release",
        description="Approval only: the role in which somebody has to approve, where the validation stage demands no approval itself.",
    )


class Stages(ApiModel):
    """The stages of a rollout."""

    validation: ValidationStage = Field(default=ValidationStage(), description="Before any traffic.")
    shadow: ShadowStage | None = Field(default=None, description="Mirrored traffic; no shadow when left out.")
    canary: CanaryStage | None = Field(
        default=None, description="A growing share of users' traffic; when left out, all traffic moves at once."
    )
    production: ProductionStage = Field(default=ProductionStage(), description="After promotion.")
    first_version: FirstVersion = Field(default=FirstVersion(), description="What the first version of a Model needs.")
