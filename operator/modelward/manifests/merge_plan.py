"""What merging manifests would do to each Model: the stages ahead, who has to approve, and which users meet the candidate when."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from modelward.api.demands import IdentityMap
from modelward.api.gates import Gate, kind_of
from modelward.api.lifecycle_policy import LifecyclePolicy
from modelward.api.model_version import ModelVersionSpec
from modelward.api.stages import ApprovalDemand
from modelward.api.status import ModelStatus, RolloutStatus, Stage
from modelward.governance import requirements
from modelward.governance.identities import builders_of, is_the_builder
from modelward.lifecycle.decisions import demands_of
from modelward.lifecycle.snapshot import Policy, Snapshot, VersionView, latch_of_requested
from modelward.lifecycle.validity import problem_of
from modelward.manifests.lint import snapshot_of
from modelward.manifests.portfolio import Key, Portfolio

NOTHING = timedelta(0)


class Change(StrEnum):
    """What a merge means for a Model."""

    NONE = "Nothing"
    ROLLOUT = "Rollout"
    FIRST = "FirstVersion"
    REVERT = "Revert"
    LATCHED = "Latched"
    BLOCKED = "Blocked"
    INVENTORY = "Inventory"
    SUSPENDED = "Suspended"


@dataclass(frozen=True)
class Approver:
    """One demand for approval: before what, in which role, by how many, and who of the people that the policy knows may."""

    role: str
    count: int
    independent: bool
    people: tuple[str, ...]


@dataclass(frozen=True)
class PlannedStage:
    """One stage, or one step of the canary: when it begins at the earliest, and what has to be so before it ends."""

    name: str
    starts_after: timedelta
    least: timedelta
    users: int  # the candidate's share of users' requests, in percent
    mirrored: int  # the share of users' requests that is also sent to it, unseen
    gates: tuple[str, ...] = ()
    approvals: tuple[Approver, ...] = ()  # that are needed to go on from here


@dataclass(frozen=True)
class ModelPlan:
    """What would happen to one Model."""

    namespace: str
    model: str
    change: Change
    before: str | None  # what serves; None: nothing, or not known
    version: str | None
    policy: str | None = None
    stages: tuple[PlannedStage, ...] = ()
    obstacles: tuple[str, ...] = ()  # what stands in the way
    notes: tuple[str, ...] = ()

    @property
    def least(self) -> timedelta:
        """The least time until the version serves all users."""
        serving = [stage.starts_after for stage in self.stages if stage.users == 100]
        return serving[0] if serving else NOTHING


def plans_of(
    portfolio: Portfolio,
    policies: Sequence[LifecyclePolicy],
    statuses: Mapping[Key, ModelStatus] | None,
    now: datetime,
) -> tuple[ModelPlan, ...]:
    """The plan of every Model of the files, in their order.

    statuses: what the cluster says of its Models; None when there is no cluster to ask.
    """
    offered = {each.metadata.name: each for each in policies}
    offered |= {each.value.metadata.name: each.value for each in portfolio.policies}
    return tuple(
        _plan(snapshot_of(portfolio, key, tuple(offered.values()), now), statuses, key) for key in portfolio.models
    )


def _plan(s: Snapshot, statuses: Mapping[Key, ModelStatus] | None, key: Key) -> ModelPlan:
    status = (statuses or {}).get(key, ModelStatus())
    s = replace(s, status=status.model_copy(update={"rollout": None}))
    serving = status.production.version if status.production else None
    plan = ModelPlan(*key, Change.NONE, serving, s.requested, s.policy.name if s.policy else None)
    if s.requested is None:
        return replace(plan, notes=("no version is requested",))
    problem, view = problem_of(s), s.versions.get(s.requested)
    notes = tuple(_notes(s, status, known=statuses is not None))
    plan = replace(plan, notes=notes)
    if serving == s.requested:
        return replace(plan, notes=(*notes, f"{serving} serves already"))
    if problem is not None:
        return replace(plan, change=Change.BLOCKED, obstacles=(f"{problem.reason}: {problem.message}",))
    if s.model.spec.serving is None:
        return replace(plan, change=Change.INVENTORY, notes=(*notes, "it is served elsewhere: nothing is rolled out"))
    if s.model.spec.suspend:
        return replace(
            plan, change=Change.SUSPENDED, obstacles=("spec.suspend is true: nothing happens until it is false",)
        )
    latch = latch_of_requested(s, status)
    if latch is not None:
        stuck = f"{latch.version} failed in {latch.stage} and is latched: raise spec.production.retry above {latch.retry} to try it again"
        return replace(plan, change=Change.LATCHED, obstacles=(stuck,))
    if any(reference.version == s.requested for reference in status.standby):
        stage = PlannedStage(Stage.PRODUCTION, NOTHING, NOTHING, 100, 0)
        back = f"{s.requested} is in standby: it takes all requests as soon as its pods are ready, without gates or approvals"
        return replace(plan, change=Change.REVERT, stages=(stage,), notes=(*notes, back))
    assert s.policy is not None and view is not None, "problem_of speaks of a policy and a version that are not there"
    # Without a cluster nobody knows what serves; that something does is the case that is worth a plan.
    first = serving is None and statuses is not None
    lacking = tuple(entry.sentence for entry in requirements.missing(s.model, view.spec, s.policy.spec))
    stages = tuple(_stages(s, s.policy, view, first=first))
    change = Change.FIRST if first else Change.ROLLOUT
    return replace(plan, change=change, stages=stages, obstacles=lacking)


def _notes(s: Snapshot, status: ModelStatus, *, known: bool) -> Iterator[str]:
    if not known:
        yield "what serves now is not known without --cluster: the plan is for a Model that another version serves"
    rollout = status.rollout
    if rollout is not None and rollout.version != s.requested:
        yield f"the rollout of {rollout.version}, now in {rollout.stage}, would end without a verdict"
    if rollout is not None and rollout.version == s.requested:
        yield f"its rollout is under way, in {rollout.stage}, under the policy as it was at its start: {rollout.policy}"
    if any(challenger.version == s.requested for challenger in status.challengers):
        yield "it is a challenger: the time and the evidence of its shadow count, if the policy has not changed since"


def _stages(s: Snapshot, policy: Policy, view: VersionView, *, first: bool) -> Iterator[PlannedStage]:
    """In their order, each with what it newly demands of people."""
    stages = policy.spec.stages
    weights = [step.weight for step in stages.canary.steps] if stages.canary and not first else []
    asked: list[ApprovalDemand] = []

    def approvals(stage: Stage, following: int | None) -> tuple[Approver, ...]:
        wanted = demands_of(stages, _rollout(s, policy, view, stage), following, first)
        new = tuple(demand for demand in wanted if demand not in asked)
        asked.extend(new)
        return tuple(_approver(demand, policy, view, s) for demand in new)

    after_shadow = weights[0] if weights else 100
    shadowed = stages.shadow is not None and not first
    gates = tuple(map(_said, policy.gates(Stage.VALIDATION)))
    following = None if shadowed else after_shadow
    yield PlannedStage(Stage.VALIDATION, NOTHING, NOTHING, 0, 0, gates, approvals(Stage.VALIDATION, following))
    begins = NOTHING
    if stages.shadow is not None and shadowed:
        least, gates = stages.shadow.min_duration, tuple(map(_said, stages.shadow.gates))
        mirrored = stages.shadow.mirror_percent
        yield PlannedStage(Stage.SHADOW, begins, least, 0, mirrored, gates, approvals(Stage.SHADOW, after_shadow))
        begins += least
    for index, step in enumerate(stages.canary.steps if stages.canary and weights else ()):
        gates = tuple(map(_said, policy.gates(Stage.CANARY))) if index == 0 else ()
        then = weights[index + 1] if index + 1 < len(weights) else 100
        people = approvals(Stage.CANARY, then)
        yield PlannedStage(Stage.CANARY, begins, step.min_duration, step.weight, 0, gates, people)
        begins += step.min_duration
    watch = stages.production.watch
    yield PlannedStage(Stage.PRODUCTION, begins, watch.duration if watch else NOTHING, 100, 0)


def _rollout(s: Snapshot, policy: Policy, view: VersionView, stage: Stage) -> RolloutStatus:
    return RolloutStatus(
        version=view.version, digest=view.digest, policy=policy.name, policy_digest=policy.digest, started_at=s.now,
        stage=stage, stage_entered_at=s.now, step_entered_at=s.now,
    )  # fmt: skip


def _approver(demand: ApprovalDemand, policy: Policy, view: VersionView, s: Snapshot) -> Approver:
    owner = s.model.spec.owner
    team = owner.team if owner and demand.independent else None
    people = _people(policy.spec.identity_map, view.spec, team)
    return Approver(demand.role, demand.count, demand.independent, people)


def _people(identities: IdentityMap, version: ModelVersionSpec, team: str | None) -> tuple[str, ...]:
    """Those whom neither having built the version nor their team keeps from approving; their rights are the cluster's to know."""
    builders = builders_of(version)
    return tuple(
        person.name
        for person in identities.people
        if not any(is_the_builder(person.name, builder, identities) for builder in builders)
        and (team is None or (person.teams and team not in person.teams))
    )


def _said(gate: Gate) -> str:
    kind = kind_of(gate)
    spec = gate.model_dump(mode="json", by_alias=True, exclude_none=True)[Gate.model_fields[kind].alias or kind]
    shown = ", ".join(f"{key} {value}" for key, value in spec.items() if isinstance(value, str | int | float))
    name = Gate.model_fields[kind].alias or kind
    return f"{gate.name}: {name} ({shown})" + (", advisory" if gate.advisory else "")
