"""The conditions of governance: is the Model owned, watched, reviewed, evaluated, approved, and alive?

Each is computed from plain facts at one moment, and `next_deadline` is when one of them turns by itself. They apply to a
Model that is served elsewhere too: then what serves is what the Model says is in production.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Literal

from modelward.api import reasons
from modelward.api.gates import EvaluationGate, Gate
from modelward.api.lifecycle_policy import LifecyclePolicySpec
from modelward.api.model import GateStage, ModelSpec
from modelward.api.model_evaluation import ModelEvaluationSpec
from modelward.api.model_version import ModelVersionSpec
from modelward.governance.trials import EVALUATION_PREFIX

Truth = Literal["True", "False", "Unknown"]
Finding = tuple[Truth, str, str]  # status, reason, message

OVERRIDE_REVIEWED_WITHIN = timedelta(days=3)
SUNSET_NEAR = timedelta(days=30)
_INTERVALS_WITHOUT_EVIDENCE = 3
_LEAST_PATIENCE = timedelta(minutes=10)


class Approval(StrEnum):
    """What is on record of people's approval of a version."""

    NOT_ASKED = "NotAsked"  # the policy that it came to production under asks for none
    GIVEN = "Given"
    LACKING = "Lacking"
    REJECTED = "Rejected"


@dataclass(frozen=True)
class Serving:
    """The version that serves users; for a Model served elsewhere, the one that it says is in production."""

    spec: ModelVersionSpec
    digest: str
    approval: Approval = Approval.NOT_ASKED
    deviation: str = ""  # how what runs differs from what came to production, as a sentence

    @property
    def version(self) -> str:
        return self.spec.version


@dataclass(frozen=True)
class Review:
    """The newest review of the Model as a whole."""

    at: datetime
    by: str


@dataclass(frozen=True)
class Watching:
    """What came of looking at the Model."""

    evidence_at: datetime | None = None  # when a gate last had evidence, of the serving version or of a candidate
    problem: str = ""  # why metrics cannot be read now, as a sentence
    begun_at: datetime | None = None  # when what serves came to production


@dataclass(frozen=True)
class RegisterFacts:
    """All that the conditions are computed from."""

    now: datetime
    model: ModelSpec
    registered_at: datetime  # when the Model was created: a first review counts from here
    policy: LifecyclePolicySpec | None  # the one that applies now
    serving: Serving | None = None
    review: Review | None = None
    unreviewed_override_at: datetime | None = None
    evaluations: tuple[ModelEvaluationSpec, ...] = ()  # of any version; those of the serving digest are picked
    watching: Watching = Watching()
    missing_dependencies: tuple[str, ...] = ()  # Models of spec.dependsOn that are not there


def conditions(facts: RegisterFacts) -> dict[str, Finding]:
    """The conditions of governance, by type, in the order in which they are shown."""
    owned = _owned(facts)
    monitored = _monitoring_ready(facts)
    reviewed = _review_current(facts)
    return {
        "Owned": owned,
        "MonitoringReady": monitored,
        "ReviewCurrent": reviewed,
        "EvaluationCurrent": _evaluation_current(facts),
        "Ungoverned": _ungoverned(facts),
        "Zombie": _zombie(facts, (owned, monitored, reviewed)),
        "Deprecated": _deprecated(facts),
    }


def next_deadline(facts: RegisterFacts) -> datetime | None:
    """When a condition turns next without anybody doing anything."""
    candidates = [
        review_due(facts),
        _evidence_late_at(facts),
        *_evaluation_ends(facts).values(),
        *_deprecation_days(facts),
    ]
    return min((at for at in candidates if at is not None and at > facts.now), default=None)


def review_due(facts: RegisterFacts) -> datetime | None:
    """When the next review is due; None where nobody asks for one."""
    interval = _review_interval(facts)
    last = facts.review.at if facts.review else facts.registered_at
    override = facts.unreviewed_override_at
    dues = [
        *([last + interval] if interval else []),
        *([override + OVERRIDE_REVIEWED_WITHIN] if override else []),
    ]
    return min(dues, default=None)


def _owned(facts: RegisterFacts) -> Finding:
    owner = facts.model.owner
    if owner is None:
        return "False", reasons.OWNERLESS, "Nobody answers for the Model: name a team in spec.owner."
    contact = f" ({owner.contact})" if owner.contact else ""
    return "True", reasons.OWNER_NAMED, f"{owner.team}{contact} answers for the Model."


def _monitoring_ready(facts: RegisterFacts) -> Finding:
    gates = _watched_gates(facts)
    if not gates:
        return _watched_elsewhere(facts)
    seen, late = facts.watching.evidence_at, _evidence_late_at(facts)
    overdue = late is not None and facts.now >= late
    if facts.watching.problem:  # what has just come to production has answered nothing yet, and one look may fail
        truth: Truth = "False" if overdue else "Unknown"
        return truth, reasons.METRICS_UNAVAILABLE if overdue else reasons.MONITORING_PENDING, facts.watching.problem
    if seen is None:
        return "Unknown", reasons.MONITORING_PENDING, f"{_listed(gates)}: not judged yet."
    if overdue:
        return "False", reasons.EVIDENCE_LATE, f"No gate had evidence since {_moment(seen)}{_after_the_watch(facts)}."
    return "True", reasons.MONITORED, f"{_listed(gates)}: evidence as of {_moment(seen)}."


def _watched_elsewhere(facts: RegisterFacts) -> Finding:
    """Where no gate watches, the Model may say who does."""
    monitoring = facts.model.monitoring
    where = [check.name for check in monitoring.checks] if monitoring else []
    if monitoring and monitoring.dashboard_url:
        where.append(monitoring.dashboard_url)
    if where:
        return "True", reasons.MONITORED, f"Watched elsewhere: {', '.join(where)}."
    if facts.model.serving is None:
        return (
            "False",
            reasons.NOT_MONITORED,
            "The Model is served elsewhere: say in spec.monitoring where it is watched.",
        )
    message = (
        "Nothing watches what serves: ask for a policy with stages.production.monitoring, or say in spec.monitoring where it is"
        " watched."
    )
    return "False", reasons.NOT_MONITORED, message


def _review_current(facts: RegisterFacts) -> Finding:
    override = facts.unreviewed_override_at
    if override is not None and facts.now >= override + OVERRIDE_REVIEWED_WITHIN:
        message = f"The glass was broken on {_moment(override)}, and nobody has reviewed that since."
        return "False", reasons.OVERRIDE_UNREVIEWED, message
    due = review_due(facts)
    if due is None:
        return "True", reasons.NO_REVIEW_ASKED, "Neither the policy nor spec.review asks for reviews."
    last = (
        f"Last reviewed by {facts.review.by} on {_moment(facts.review.at)}"
        if facts.review
        else f"Never reviewed since it was registered on {_moment(facts.registered_at)}"
    )
    if facts.now >= due:
        return "False", reasons.REVIEW_OVERDUE, f"{last}; a review was due on {_moment(due)}."
    return "True", reasons.REVIEWED_IN_TIME, f"{last}; the next review is due on {_moment(due)}."


def _evaluation_current(facts: RegisterFacts) -> Finding:
    serving = facts.serving
    if serving is None:
        return "Unknown", reasons.NO_PRODUCTION_VERSION, "No version serves users yet."
    names = tuple(evaluations_asked_for(facts.policy))
    if not names and not (facts.policy and facts.policy.evaluation):
        return "True", reasons.NO_EVALUATION_ASKED, "The policy asks for no evaluations."
    newest = _newest_evaluations(facts)
    absent = [name for name in names if name not in newest]
    if absent or not newest:
        what = f"evaluation {', '.join(absent)}" if absent else "evaluation"
        return "False", reasons.NO_EVALUATION, f"{serving.version} has no {what} of this content: run it."
    ends = _evaluation_ends(facts)
    over = sorted(name for name, end in ends.items() if end <= facts.now)
    if over:
        worst = over[0]
        message = (
            f"Evaluation {worst} of {serving.version} is of {_moment(newest[worst].at)} and was good until"
            f" {_moment(ends[worst])}: run it again."
        )
        return "False", reasons.STALE_EVALUATION, message
    soonest = min(ends.values(), default=None)
    until = f"; good until {_moment(soonest)}" if soonest else ""
    return "True", reasons.EVALUATED_IN_TIME, f"{', '.join(sorted(newest))} of {serving.version}{until}."


def _ungoverned(facts: RegisterFacts) -> Finding:
    serving = facts.serving
    if serving is None:
        return "False", reasons.NO_PRODUCTION_VERSION, "No version serves users yet."
    if serving.deviation:
        return "True", reasons.NOT_WHAT_WAS_APPROVED, serving.deviation
    if serving.approval is Approval.REJECTED:
        return "True", reasons.NOT_APPROVED, f"{serving.version} serves, and was rejected."
    if serving.approval is Approval.LACKING:
        message = f"{serving.version} serves, and lacks an approval that its policy asks for."
        return "True", reasons.NOT_APPROVED, message
    if facts.policy is None:
        message = f"{serving.version} serves, and no LifecyclePolicy applies to the Model's tier and namespace."
        return "True", reasons.POLICY_MISSING, message
    how = "approved" if serving.approval is Approval.GIVEN else "under a policy that asks for no approval"
    return "False", reasons.GOVERNED, f"{serving.version} serves, {how}."


def _zombie(facts: RegisterFacts, attention: Iterable[Finding]) -> Finding:
    serving = facts.serving
    if serving is None:
        return "False", reasons.ATTENDED, "Nothing serves."
    causes = [
        *((reason, message) for truth, reason, message in attention if truth == "False"),
        *((reasons.SOURCE_GONE, sentence) for sentence in _dead_sources(facts, serving)),
    ]
    if not causes:
        return "False", reasons.ATTENDED, f"{serving.version} serves, and somebody looks after it."
    sentences = " ".join(sentence for _, sentence in causes)
    return "True", causes[0][0], f"{serving.version} serves all the same. {sentences}"


def _deprecated(facts: RegisterFacts) -> Finding:
    serving = facts.serving
    if serving is None:
        return "False", reasons.NOT_DEPRECATED, "No version serves users yet."
    version, valid_until = serving.version, serving.spec.valid_until
    if valid_until is not None and valid_until <= facts.now:
        return "True", reasons.VERSION_EXPIRED, f"{version} was valid until {_moment(valid_until)}, and serves."
    deprecation = serving.spec.deprecation
    if deprecation is None:
        until = f"{version} is valid until {_moment(valid_until)}." if valid_until else ""
        return "False", reasons.NOT_DEPRECATED, until
    why = f": {deprecation.reason}" if deprecation.reason else ""
    sunset = deprecation.sunset
    if sunset is not None and _midnight(sunset) <= facts.now:
        return "True", reasons.SUNSET_PASSED, f"The sunset of {version} was {sunset}, and it serves{why}"
    if sunset is not None and _midnight(sunset) - SUNSET_NEAR <= facts.now:
        days = (_midnight(sunset) - facts.now).days
        return "True", reasons.SUNSET_NEAR, f"The sunset of {version} is {sunset}, {days} days from now{why}"
    if _midnight(deprecation.since) > facts.now:
        return "False", reasons.NOT_DEPRECATED, f"{version} is deprecated from {deprecation.since} on{why}"
    until = f"; its sunset is {sunset}" if sunset else ""
    return "True", reasons.DEPRECATED, f"{version} is deprecated since {deprecation.since}{until}{why}"


def _watched_gates(facts: RegisterFacts) -> tuple[Gate, ...]:
    """Production's own gates, else those that the canary and the watch judge; none of what is served elsewhere."""
    if facts.policy is None or facts.model.serving is None:
        return ()
    stages = facts.policy.stages
    if stages.production.monitoring is not None:
        return stages.production.monitoring.gates
    if stages.production.watch is None:
        return ()
    canary = stages.canary.gates if stages.canary else ()
    return (*canary, *(gate for gate in facts.model.gates if GateStage.CANARY in gate.stages))


def _evidence_late_at(facts: RegisterFacts) -> datetime | None:
    """From when on it is too long ago that a gate had evidence, or that the version came to production without any."""
    moments = [moment for moment in (facts.watching.evidence_at, facts.watching.begun_at) if moment is not None]
    seen = max(moments, default=None)
    if seen is None or facts.policy is None or facts.model.serving is None:
        return None
    stages = facts.policy.stages
    monitoring = stages.production.monitoring
    interval = monitoring.interval if monitoring else stages.canary.interval if stages.canary else timedelta(minutes=1)
    return seen + max(_INTERVALS_WITHOUT_EVIDENCE * interval, _LEAST_PATIENCE)


def _after_the_watch(facts: RegisterFacts) -> str:
    monitoring = facts.policy.stages.production.monitoring if facts.policy else None
    return "" if monitoring else ", and the policy has no stages.production.monitoring for the time after the watch"


def _review_interval(facts: RegisterFacts) -> timedelta | None:
    """The shorter of what the policy and the Model ask for."""
    asked = [
        *([facts.policy.review.interval] if facts.policy and facts.policy.review else []),
        *([facts.model.review.interval] if facts.model.review else []),
    ]
    return min(asked, default=None)


def evaluations_asked_for(policy: LifecyclePolicySpec | None) -> Mapping[str, tuple[EvaluationGate, ...]]:
    """The evaluations that the policy's gates read, each with the gates that do."""
    if policy is None:
        return {}
    stages = policy.stages
    gates = [
        *stages.validation.gates,
        *(stages.shadow.gates if stages.shadow else ()),
        *(stages.canary.gates if stages.canary else ()),
        *(stages.production.monitoring.gates if stages.production.monitoring else ()),
    ]
    asked = [gate.evaluation for gate in gates if gate.evaluation and not gate.advisory]
    return {name: tuple(gate for gate in asked if gate.name == name) for name in dict.fromkeys(g.name for g in asked)}


def _newest_evaluations(facts: RegisterFacts) -> Mapping[str, ModelEvaluationSpec]:
    """Of exactly what serves: the newest evaluation of each name that gates read, or the newest of all if they read none."""
    if facts.serving is None:
        return {}
    asked = evaluations_asked_for(facts.policy)
    digest = facts.serving.digest
    mine = [entry for entry in facts.evaluations if entry.version_digest == digest and entry.at <= facts.now]
    if not asked:
        return {entry.name: entry for entry in sorted(filter(_ages, mine), key=lambda entry: entry.at)[-1:]}
    counted = [
        entry
        for entry in mine
        if entry.name in asked and all(gate.accepts(entry.evaluator) for gate in asked[entry.name])
    ]
    return {entry.name: entry for entry in sorted(counted, key=lambda entry: entry.at)}


def _ages(evaluation: ModelEvaluationSpec) -> bool:
    """Is it to be made again some day? That a build served in an earlier environment stays as true as it was.

    By the name, which a gate asks for: where it is from is what its evaluator says.
    """
    return evaluation.environment is None or not evaluation.name.startswith(EVALUATION_PREFIX)


def _evaluation_ends(facts: RegisterFacts) -> Mapping[str, datetime]:
    """Until when the newest evaluation of each name is good, where there is an end to it."""
    longest = facts.policy.evaluation.max_age if facts.policy and facts.policy.evaluation else None
    ends = {
        name: [*([entry.valid_until] if entry.valid_until else []), *([entry.at + longest] if longest else [])]
        for name, entry in _newest_evaluations(facts).items()
        if _ages(entry)
    }
    return {name: min(dates) for name, dates in ends.items() if dates}


def _dead_sources(facts: RegisterFacts, serving: Serving) -> list[str]:
    gone = set(facts.policy.data.decommissioned) if facts.policy else set()
    datasets = serving.spec.lineage.datasets if serving.spec.lineage else ()
    return [
        *(
            f"Data set {dataset.name} is decommissioned."
            for dataset in datasets
            if gone & {dataset.name, dataset.uri, dataset.digest}
        ),
        *(f"It depends on Model {name}, which is not there." for name in facts.missing_dependencies),
    ]


def _deprecation_days(facts: RegisterFacts) -> list[datetime]:
    if facts.serving is None:
        return []
    spec = facts.serving.spec
    deprecation = spec.deprecation
    days = [spec.valid_until] if spec.valid_until else []
    if deprecation is not None:
        days.append(_midnight(deprecation.since))
    if deprecation is not None and deprecation.sunset is not None and deprecation.sunset > facts.now.date():
        days += [_midnight(deprecation.sunset) - SUNSET_NEAR, _midnight(deprecation.sunset)]
    return days


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _listed(gates: Iterable[Gate]) -> str:
    return ", ".join(gate.name for gate in gates)
