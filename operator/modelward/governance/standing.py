"""The bounds of a standing approval: which retrains are routine enough that nobody has to look at each."""

from collections.abc import Iterable
from datetime import datetime

from modelward.api.model_approval import MetricAllowance, Standing
from modelward.api.model_evaluation import ModelEvaluation
from modelward.api.model_version import ModelVersionSpec


def bar(
    standing: Standing,
    candidate: tuple[ModelVersionSpec, str],
    incumbent: tuple[ModelVersionSpec, str] | None,
    evaluations: Iterable[ModelEvaluation],
    now: datetime,
) -> str | None:
    """Why a version is no routine retrain by these bounds, as a sentence; None when it is.

    candidate, incumbent: spec and digest of the two versions.
    """
    if incumbent is None:
        return "a standing approval covers retrains of a version in production, and there is none"
    (spec, digest), (served, served_digest) = candidate, incumbent
    if spec.io_schema is None or spec.io_schema != served.io_schema:
        return f"spec.schema of {spec.version} is not declared as that of {served.version} is: a standing approval needs both, equal"
    recorded = tuple(evaluation for evaluation in evaluations if evaluation.spec.at <= now)
    for allowance in standing.metrics:
        ours = _newest(allowance, digest, recorded)
        if ours is not None and ours.spec.valid_until is not None and ours.spec.valid_until <= now:
            return f"evaluation {ours.metadata.name} of {spec.version} was valid until {ours.spec.valid_until:%Y-%m-%d %H:%M} UTC"
        worse = _metric_bar(allowance, ours, _newest(allowance, served_digest, recorded), spec, served)
        if worse is not None:
            return worse
    return None


def _metric_bar(
    allowance: MetricAllowance,
    ours: ModelEvaluation | None,
    theirs: ModelEvaluation | None,
    spec: ModelVersionSpec,
    served: ModelVersionSpec,
) -> str | None:
    named = f"{allowance.metric} of evaluation {allowance.evaluation}"
    value, usual = _value(ours, allowance.metric), _value(theirs, allowance.metric)
    if ours is None or value is None:
        return f"{spec.version} has no {named}"
    if theirs is None or usual is None:
        return f"{served.version} has no {named} to compare with"
    if ours.spec.dataset is None or ours.spec.dataset != theirs.spec.dataset:
        return f"{named} was measured on another data set than that of {served.version}"
    if usual - value > allowance.max_decrease:
        return (
            f"{named} is {value:g}, {usual - value:g} below {served.version}, and {allowance.max_decrease:g} is allowed"
        )
    return None


def _newest(allowance: MetricAllowance, digest: str, evaluations: Iterable[ModelEvaluation]) -> ModelEvaluation | None:
    matching = [e for e in evaluations if e.spec.name == allowance.evaluation and e.spec.version_digest == digest]
    return max(matching, key=lambda each: (each.spec.at, each.metadata.name), default=None)


def _value(evaluation: ModelEvaluation | None, metric: str) -> float | None:
    if evaluation is None:
        return None
    return next((entry.value for entry in evaluation.spec.metrics if entry.name == metric), None)
