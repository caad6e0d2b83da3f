"""The rules of the lifecycle, each one sentence. `decide` asks them in order; the first with something to say wins."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from modelward.api import reasons
from modelward.api.lifecycle_policy import UnknownAction, unsupported
from modelward.api.stages import ApprovalDemand, Requirement, Stages
from modelward.api.status import (
    GateStatus,
    ModelStatus,
    RolloutStatus,
    Stage,
    SwitchStatus,
    VersionReference,
)
from modelward.api.types import format_duration
from modelward.governance.approvals import Answer
from modelward.lifecycle import decisions, monitoring, register, transitions
from modelward.lifecycle.assess import Assessment, mirror_incomplete, mismatched, rows_of
from modelward.lifecycle.plan import Announcement, Outcome
from modelward.lifecycle.shares import stage_of, standby_policy, traffic_in_force
from modelward.lifecycle.snapshot import Policy, Problem, Snapshot, VersionView, latch_of_requested

DRAIN_LIMIT = timedelta(seconds=60)
"""The longest time for which a deleted Model is held back to let its traffic end."""

DRAIN_GRACE = timedelta(seconds=3)
"""Time between the end of a deleted Model's route and that of its pods."""

DEMANDS_TOLD = 5
"""How many of the demands on the register that are not met a message lists: somebody who mends one at a time commits once for each."""

REPAIR_INTERVAL = timedelta(seconds=30)
"""Time between two looks at a spec that cannot be acted upon."""


@dataclass(frozen=True)
class Case:
    """What a rule looks at: the snapshot, what the gates say, and what is wrong with the spec."""

    s: Snapshot
    assessment: Assessment
    problem: Problem | None

    @property
    def status(self) -> ModelStatus:
        return self.s.status

    @property
    def now(self) -> datetime:
        return self.s.now


@dataclass(frozen=True)
class Running:
    """The rollout in flight, with all that belongs to it."""

    rollout: RolloutStatus
    policy: Policy
    candidate: VersionView
    gates: tuple[GateStatus, ...]

    @property
    def stages(self) -> Stages:
        return self.policy.spec.stages


Rule = Callable[[Case], Outcome | None]


def drain_when_deleted(c: Case) -> Outcome | None:
    """The route goes first, then the pods; bounded, so that a gateway that is down cannot hold a deletion for ever."""
    deleted_at = c.s.model.metadata.deletion_timestamp
    if deleted_at is None:
        return None
    expired = c.now >= datetime.fromisoformat(deleted_at) + DRAIN_LIMIT
    drained = c.status.traffic is None or c.now >= c.status.traffic.changed_at + DRAIN_GRACE
    if (c.s.route is None and drained) or expired:
        return Outcome(c.status, reasons.MODEL_DRAINED, "Traffic has ended.", False, released=True)
    return Outcome(c.status, reasons.MODEL_DRAINED, "The Model is deleted: its route goes first, then its pods.", True)


def rest_when_it_is_not_served_here(c: Case) -> Outcome | None:
    """A Model without `serving` is inventory."""
    if c.s.model.spec.serving is not None:
        return None
    production = c.status.production
    if production is not None:
        message = (
            f"spec.serving was taken away while {production.version} serves: its route and pods stay as they are."
            " Restore spec.serving, or delete the Model to end them."
        )
        return Outcome(c.status, reasons.NOT_SERVED_HERE, message, False)
    return Outcome(c.status, reasons.NOT_SERVED_HERE, "The Model is served elsewhere: it is inventory.", False)


def stop_what_a_person_rejected(c: Case) -> Outcome | None:
    """A rejection stops a rollout, or takes a version out of production, and bars it; also while automation is frozen."""
    rejection = next(
        (d for d in c.status.decisions if decisions.is_open_rejection(d) and _contents_of(c, d.version)), None
    )
    if rejection is None:
        return None
    version, view = rejection.version, c.s.versions.get(rejection.version)
    rollout, production = c.status.rollout, c.status.production
    unsafe = _unsafe_to_give_back(c, rollout) if rollout and rollout.version == version else None
    if unsafe is not None:
        return Outcome(c.status, reasons.REJECTED, f"{decisions.sentence(rejection)} {unsafe}", False)
    status = decisions.with_rejection_done(c.status, rejection)
    retry = c.s.model.spec.production.retry
    message = decisions.sentence(rejection)
    stage = stage_of(view, c.status) if view else Stage.RETIRED
    for digest in _contents_of(c, version):
        status = transitions.latch(status, c.now, version, digest, retry, stage, reasons.REJECTED, message)
    status = transitions.retire(status, c.now, frozenset({version}))
    if status.switch is not None and status.switch.to == version:
        status = status.model_copy(update={"switch": None})
    if production is not None and production.version == version:
        target = transitions.to_roll_back_to(status, c.s.versions)
        if target is None:
            message += " There is no previous version to go back to: it goes on serving until another version does."
        else:
            status = transitions.begin_switch(status, c.now, target, "Rollback", message)
            message += f" All traffic goes back to {target.version}."
    return _moved(c, status, version, reasons.REJECTED, message, warning=True)


def freeze_when_suspended(c: Case) -> Outcome | None:
    """`suspend` freezes automation, never traffic; a person's rejection is carried out to its end all the same."""
    if not c.s.model.spec.suspend or _leaves_a_rejected_version(c.status):
        return None
    return Outcome(c.status, reasons.SUSPENDED, "spec.suspend is true: automation is frozen, traffic goes on.", False)


def supersede_when_another_version_is_requested(c: Case) -> Outcome | None:
    """One rollout at a time: the newest request in Git wins, and the candidate leaves without a verdict."""
    rollout = c.status.rollout
    if rollout is None or c.s.requested == rollout.version:
        return None
    wanted = c.s.requested or "no version"
    unsafe = None if _standby_requested(c.s) else _unsafe_to_give_back(c, rollout)
    if unsafe is not None:
        message = f"spec.production.version now asks for {wanted}, and {rollout.version} is to leave. {unsafe}"
        return Outcome(c.status, reasons.STAGE_RUNNING, message, True)
    return _left(c, rollout, f"spec.production.version now asks for {wanted}")


def leave_when_the_candidate_is_gone(c: Case) -> Outcome | None:
    """A candidate whose ModelVersion was deleted gets no more traffic; its pods end after that."""
    rollout = c.status.rollout
    if rollout is None:
        return None
    unsafe = _unsafe_to_give_back(c, rollout)
    if unsafe is not None:
        return None  # what is healthy keeps its traffic
    if c.s.candidate is None or not c.s.candidate.live:
        return _left(c, rollout, f"ModelVersion {c.s.model.metadata.name}-{rollout.version} was deleted")
    if c.s.candidate.digest != rollout.digest:
        return _left(c, rollout, f"ModelVersion {c.s.model.metadata.name}-{rollout.version} was made anew")
    if c.s.rollout_policy is None:
        return _left(c, rollout, "the copy of the policy that it was pinned to was deleted")
    return None


def complete_switch_when_its_version_is_ready(c: Case) -> Outcome | None:
    """A rollback or revert moves traffic only to ready pods; until then what serves goes on serving."""
    switch = c.status.switch
    if switch is None:
        return None
    production = c.status.production
    if switch.kind == "Revert" and c.s.requested != switch.to:
        status = c.status.model_copy(update={"switch": None})
        message = f"The revert to {switch.to} was called off: another version is requested."
        return _moved(c, status, switch.to, reasons.SUPERSEDED, message)
    target = c.s.versions.get(switch.to)
    given_up = _given_up(c, switch, target)
    if given_up is not None:
        status = c.status.model_copy(update={"switch": None})
        return _moved(c, status, switch.to, reasons.ROLLBACK_ABANDONED, given_up, warning=True)
    if target is not None and _may_take_over(c, switch, target):
        keep = standby_policy(c.s).keep
        status = transitions.complete_switch(c.status, c.now, keep)
        if switch.kind == "Rollback" and production is not None:
            status = transitions.retire(status, c.now, frozenset({production.version}))
        reason = reasons.ROLLED_BACK if switch.kind == "Rollback" else reasons.REVERTED
        message = f"All traffic is back on {switch.to}: {switch.because}"
        return _moved(c, status, switch.to, reason, message, warning=switch.kind == "Rollback")
    have = f"{target.available} of {target.replicas} pods are ready" if target else "it is no longer known"
    if target is not None and target.problem:
        have += f": {target.problem}"
    message = f"All traffic goes to {switch.to} as soon as it is ready ({have}): {switch.because}"
    return Outcome(c.status, reasons.ROLLOUT_IN_PROGRESS, message, True)


def roll_back_when_the_watch_fails(c: Case) -> Outcome | None:
    """After a promotion the canary's gates go on; a failure gives all traffic back to the version before."""
    watch = c.status.watch
    failed = _first(rows_of(c.assessment.gates, watch.version, Stage.PRODUCTION), "Fail") if watch else None
    policy = c.s.pinned.get(watch.policy_digest) if watch else None
    if watch is None or failed is None or policy is None:
        return None
    because = f"gate {failed.name} failed in the watch of {watch.version}: {failed.message}"
    latched = transitions.latch(
        c.status, c.now, watch.version, watch.digest, watch.retry, Stage.PRODUCTION, reasons.GATE_FAILED, because
    )
    target = transitions.to_roll_back_to(latched, {version for version in c.s.versions if version == watch.previous})
    if target is None:
        message = f"{because} There is no previous version to roll back to: {watch.version} goes on serving."
        return _moved(c, latched, watch.version, reasons.GATE_FAILED, message, warning=True)
    if not policy.spec.rollback.automatic:
        message = f"{because} rollback.automatic is false: {watch.version} goes on serving."
        return _moved(c, latched, watch.version, reasons.GATE_FAILED, message, warning=True)
    status = transitions.begin_switch(latched, c.now, target, "Rollback", because)
    return _moved(c, status, watch.version, reasons.VERSION_LATCHED, because, warning=True)


def roll_back_when_monitoring_fails(c: Case) -> Outcome | None:
    """A failure that the policy answers with a rollback gives all traffic to the version before, if that is still warm.

    Where it is not, what serves goes on serving: a version that is months old and has to be started is no repair.
    """
    production = c.status.production
    failed = monitoring.failure_to_roll_back(c.s, c.assessment.monitoring)
    target = monitoring.warm_version(c.s)
    if production is None or failed is None or target is None or c.status.switch is not None:
        return None
    because = f"gate {failed.name} failed in the monitoring of {production.version}: {failed.message}"
    retry = c.s.model.spec.production.retry
    latched = transitions.latch(
        c.status, c.now, production.version, production.digest, retry, Stage.PRODUCTION, reasons.GATE_FAILED, because
    )
    status = transitions.begin_switch(latched, c.now, target, "Rollback", because)
    return _moved(c, status, production.version, reasons.VERSION_LATCHED, because, warning=True)


def end_the_watch(c: Case) -> Outcome | None:
    """A watch that nothing failed ends by its time."""
    watch = c.status.watch
    if watch is None or c.now < watch.until:
        return None
    status = c.status.model_copy(update={"watch": None})
    rows = [row for row in c.assessment.gates if row.version == watch.version and row.stage is Stage.PRODUCTION]
    if rows and all(row.samples == 0 and row.result != "Pass" for row in rows):
        message = (
            f"The watch of {watch.version} is over without any evidence, so that it says nothing: {rows[0].message}"
        )
        return _moved(c, status, watch.version, reasons.METRICS_UNAVAILABLE, message, warning=True)
    return _moved(c, status, watch.version, reasons.WATCH_PASSED, f"{watch.version} passed its watch.")


def rest_when_nothing_is_requested(c: Case) -> Outcome | None:
    """Without a requested version nothing starts; what serves goes on serving."""
    if c.s.requested is not None:
        return None
    message = "spec.production.version is not set: name the version that should serve."
    return Outcome(c.status, reasons.NO_VERSION_REQUESTED, message, False)


def hold_when_spec_is_invalid(c: Case) -> Outcome | None:
    """What cannot be acted upon is said in SpecValid; what serves goes on serving."""
    if c.problem is None:
        return None
    again = c.now + REPAIR_INTERVAL  # the repair may be in an object that no event leads here from
    return Outcome(c.status, reasons.SPEC_INVALID, c.problem.message, False, check_at=again)


def rest_when_the_requested_version_serves(c: Case) -> Outcome | None:
    """The normal state. A raised retry counter clears what an earlier watch held against the version."""
    production = c.status.production
    if production is None or production.version != c.s.requested:
        return None
    retry = c.s.model.spec.production.retry
    remaining = tuple(f for f in c.status.failed if not (f.digest == production.digest and retry > f.retry))
    status = c.status.model_copy(update={"failed": remaining})
    if c.status.watch:
        until = _clock(c.status.watch.until)
        return Outcome(
            status, reasons.PROMOTED, f"{production.version} serves all traffic and is watched until {until}.", False
        )
    return Outcome(status, reasons.AT_REST, f"{production.version} serves all traffic.", False)


def stay_away_from_a_latched_version(c: Case) -> Outcome | None:
    """Git still names what was rolled back, and a sync must not start it again."""
    failed = latch_of_requested(c.s, c.status)
    if failed is None or c.status.rollout is not None:
        return None
    message = (
        f"{failed.version} failed in {failed.stage} and does not start again by itself: {failed.message}"
        f" Request another version, or raise spec.production.retry above {failed.retry} to try it again."
    )
    return Outcome(c.status, reasons.ROLLED_BACK, message, False)


def revert_at_once_to_a_standby_version(c: Case) -> Outcome | None:
    """A version that served before needs no gates to serve again: one route write when its pods are warm."""
    target = _standby_requested(c.s)
    if target is None or c.status.rollout is not None or latch_of_requested(c.s, c.status) is not None:
        return None
    view = c.s.versions[target.version]
    because = f"spec.production.version was set back to {target.version}."
    begun = transitions.begin_switch(c.status, c.now, target, "Revert", because)
    if view.ready:
        status = transitions.complete_switch(begun, c.now, standby_policy(c.s).keep)
        return _moved(
            c, status, target.version, reasons.REVERTED, f"All traffic is back on {target.version}: {because}"
        )
    message = f"{because} Its pods are started first: {view.available} of {view.replicas} are ready."
    return _moved(c, begun, target.version, reasons.REVERT_STARTED, message)


def start_the_rollout(c: Case) -> Outcome | None:
    """A version that does not serve yet is taken through the stages of the policy as it is now."""
    view = c.s.versions.get(c.s.requested or "")
    if c.status.rollout is not None or view is None or c.s.policy is None:
        return None
    policy = c.s.policy
    retry = c.s.model.spec.production.retry
    status = transitions.start_rollout(c.status, c.now, view.version, view.digest, policy.name, policy.digest, retry)
    kept = tuple(failed for failed in status.failed if failed.digest != view.digest)
    status = status.model_copy(update={"failed": kept})
    message = f"{view.version} enters Validation under policy {policy.name}."
    return _moved(c, status, view.version, reasons.ROLLOUT_STARTED, message)


def fail_when_the_pods_miss_their_deadline(c: Case) -> Outcome | None:
    """A candidate whose pods do not become ready is latched; it never had to carry users."""
    run = _running(c)
    if run is None or run.rollout.stage is Stage.VALIDATION:
        return None
    serving, view, metadata = run.candidate.spec.serving, run.candidate, c.s.model.metadata
    due = _pods_are_due(c, run)
    if serving is None or due is None or c.now < due:
        return None
    why = f": {view.problem}" if view.problem else ""
    selector = f"modelward.dev/model={metadata.name},modelward.dev/version={view.version}"
    message = (
        f"{view.available} of {view.replicas} pods of {view.version} were ready within"
        f" {format_duration(serving.progress_deadline)}{why}. They are gone now; when it is tried again, `kubectl describe pods -n {metadata.namespace} -l {selector}` says more."
    )
    return _latched(c, run, reasons.PROGRESS_DEADLINE_EXCEEDED, message)


def _pods_are_due(c: Case, run: Running) -> datetime | None:
    """When the pods of a candidate have to be ready; None while they are, or while it gets traffic, which some of them answer."""
    serving, deployment, traffic = run.candidate.spec.serving, run.candidate.deployment, c.status.traffic
    began = run.rollout.traffic_since is not None
    if run.candidate.ready or (began and run.candidate.available > 0) or _serves_the_stage(c, run):
        return None  # what still gets traffic was ready until now: its time counts from when that ends
    anchors = [run.rollout.stage_entered_at, run.rollout.step_entered_at]
    anchors += [deployment.created_at] if deployment else []
    anchors += [traffic.changed_at] if traffic else []
    return max(anchors) + (serving.progress_deadline if serving else timedelta())


def roll_back_on_a_failed_gate(c: Case) -> Outcome | None:
    """A failed gate ends the rollout: all weight to the incumbent, the candidate latched by digest."""
    run = _running(c)
    failed = _first(run.gates, "Fail") if run else None
    if run is None or failed is None:
        return None
    message = f"gate {failed.name} failed in {run.rollout.stage}: {failed.message}"
    if not run.policy.spec.rollback.automatic:
        text = f"{message} rollback.automatic is false: the rollout holds; request another version to end it."
        return Outcome(c.status, reasons.GATE_FAILED, text, False)
    unsafe = _unsafe_to_give_back(c, run.rollout)
    if unsafe is not None:
        return Outcome(c.status, reasons.GATE_FAILED, f"{message} {unsafe}", False)
    return _latched(c, run, reasons.GATE_FAILED, message)


def hold_what_the_policy_asks_for_and_this_release_cannot(c: Case) -> Outcome | None:
    """A demand that is not implemented holds the rollout; it is never ignored."""
    run = _running(c)
    missing = unsupported(run.policy.spec) if run else ()
    if run is None or not missing:
        return None
    message = (
        f"policy {run.policy.name} asks for {', '.join(missing)}, which this release does not implement:"
        " the rollout holds until the policy no longer asks for it and the version is requested anew."
    )
    return Outcome(c.status, reasons.POLICY_NOT_IMPLEMENTED, message, False)


def hold_until_the_pods_are_ready(c: Case) -> Outcome | None:
    """Weight moves only to ready backends."""
    run = _running(c)
    if run is None or run.rollout.stage is Stage.VALIDATION or run.candidate.ready:
        return None
    view = run.candidate
    why = f": {view.problem}" if view.problem else ""
    message = f"{view.version}: {view.available} of {view.replicas} pods are ready{why}."
    due = _pods_are_due(c, run)
    if due is not None:
        message += f" {view.version} fails unless all are by {_clock(due)}."
    status = c.status
    if run.rollout.traffic_since is not None and not _serves_the_stage(c, run):
        status = transitions.note_traffic(status, None)  # without traffic no time counts
    return Outcome(status, reasons.PODS_NOT_READY if view.problem else reasons.STAGE_RUNNING, message, True)


def hold_until_traffic_is_in_force(c: Case) -> Outcome | None:
    """Durations and evidence count from when the gateway has taken the stage's traffic over."""
    run = _running(c)
    if run is None or run.rollout.stage not in (Stage.SHADOW, Stage.CANARY):
        return None
    if run.rollout.traffic_since is not None:
        return None
    if traffic_in_force(c.s) and _serves_the_stage(c, run):
        status = transitions.note_traffic(c.status, c.now)
        return Outcome(status, reasons.STAGE_RUNNING, _stage_sentence(run), True)
    detail = c.s.gateway_problem or (c.s.route.message if c.s.route else "the route is not there yet")
    message = (
        f"{run.candidate.version} in {run.rollout.stage}: waiting for the route to be in force ({detail or 'pending'})."
    )
    return Outcome(c.status, reasons.STAGE_RUNNING, message, True)


def pause_or_roll_back_when_evidence_stays_away(c: Case) -> Outcome | None:
    """No evidence is never a pass. After the policy's deadline the rollout pauses, or rolls back."""
    run = _running(c)
    if run is None:
        return None
    unknown = _first(run.gates, "Unknown")
    rollout = run.rollout
    waited = c.now >= minimum_over(run.stages, run.rollout) if rollout.stage is not Stage.PRODUCTION else False
    if unknown is None or not waited:
        if rollout.unknown_since is None and not rollout.paused:
            return None
        return Outcome(
            transitions.note_unknown(c.status, None, False), reasons.STAGE_RUNNING, _stage_sentence(run), True
        )
    if rollout.unknown_since is None:
        status = transitions.note_unknown(c.status, c.now, False)
        return Outcome(status, reasons.METRICS_UNAVAILABLE, _lacks(unknown), True)
    deadline = run.policy.spec.on_unknown.deadline
    if c.now < rollout.unknown_since + deadline:
        return None
    message = f"gate {unknown.name} has had no evidence for {format_duration(deadline)}: {unknown.message}"
    if run.policy.spec.on_unknown.then is UnknownAction.ROLLBACK:
        unsafe = _unsafe_to_give_back(c, run.rollout)
        if unsafe is not None:
            return Outcome(c.status, reasons.METRICS_UNAVAILABLE, f"{message} {unsafe}", False)
        return _latched(c, run, reasons.EVIDENCE_DEADLINE_EXCEEDED, message)
    if rollout.paused:
        return None
    status = transitions.note_unknown(c.status, rollout.unknown_since, True)
    text = f"Paused until evidence comes: {message}"
    return replace(_moved(c, status, rollout.version, reasons.PAUSED, text, warning=True), progressing=False)


def hold_on_a_share_mismatch(c: Case) -> Outcome | None:
    """The route's status is no proof of its effect; the pods' own counters are."""
    share = mismatched(c.assessment) or mirror_incomplete(c.assessment)
    if _running(c) is None or share is None:
        return None
    return Outcome(c.status, reasons.SHARE_MISMATCH, share.sentence, False)


def hold_without_evidence(c: Case) -> Outcome | None:
    """Unknown holds everywhere; Inconclusive holds where Passed is required."""
    run = _running(c)
    if run is None:
        return None
    unknown = _first(run.gates, "Unknown")
    if unknown is not None:
        reason = reasons.PAUSED if run.rollout.paused else reasons.STAGE_RUNNING
        return Outcome(c.status, reason, f"{_stage_sentence(run)} {_lacks(unknown)}", not run.rollout.paused)
    undecided = _first(run.gates, "Inconclusive")
    if undecided is not None and required_of(run.stages, run.rollout) is Requirement.PASSED:
        message = f"{_stage_sentence(run)} Gate {undecided.name} is not decided yet: {undecided.message}"
        return Outcome(c.status, reasons.STAGE_RUNNING, message, True)
    return None


def wait_for_the_minimum_duration(c: Case) -> Outcome | None:
    """A stage lasts at least as long as the policy says, whatever the gates say."""
    run = _running(c)
    if run is None or c.now >= minimum_over(run.stages, run.rollout):
        return None
    over = minimum_over(run.stages, run.rollout)
    text = f"{_stage_sentence(run)} It stays there until {_clock(over)} at the least."
    return Outcome(c.status, reasons.STAGE_RUNNING, text, True, check_at=over)


def hold_until_the_register_is_complete(c: Case) -> Outcome | None:
    """Fields, documents, data and licences that the policy asks for, before the candidate gets any more traffic."""
    run = _running(c)
    missing = register.missing(c.s, run.policy, run.candidate) if run else ()
    if run is None or not missing:
        return None
    told = " ".join(f"{each.sentence}." for each in missing[:DEMANDS_TOLD])
    more = f" And {len(missing) - DEMANDS_TOLD} more." if len(missing) > DEMANDS_TOLD else ""
    message = f"{_stage_sentence(run)} {told}{more}"
    again = c.now + REPAIR_INTERVAL
    return Outcome(c.status, reasons.REGISTER_INCOMPLETE, message, False, check_at=again)


def hold_what_nobody_would_watch(c: Case) -> Outcome | None:
    """No version takes all traffic without monitoring."""
    run = _running(c)
    unwatched = register.unwatched(c.s, run.policy) if run and _following_weight(c, run) == 100 else None
    if run is None or unwatched is None:
        return None
    return Outcome(c.status, reasons.NOT_MONITORED, f"{_stage_sentence(run)} {unwatched}", False)


def wait_for_approval(c: Case) -> Outcome | None:
    """What a policy wants a person to decide holds until a person has; asked anew before every increase of traffic."""
    run = _running(c)
    lacking = tuple(answer for answer in _answers(c, run) if not answer.met) if run else ()
    if run is None or not lacking:
        return None
    message = f"{run.candidate.version} waits in {run.rollout.stage} for {decisions.in_words(lacking)}."
    if c.s.trust.problem is not None:
        message += f" No approval is counted now: {c.s.trust.problem}."
    else:
        message += f" To decide: `modelward approve {c.s.model.metadata.name} -n {c.s.model.metadata.namespace}`; status.pendingApprovals says on what."
    return Outcome(c.status, reasons.AWAITING_APPROVAL, message, False)


def advance(c: Case) -> Outcome | None:
    """Everything that the stage demands is met: on to the next weight, the next stage, or production."""
    run = _running(c)
    if run is None:
        return None
    rollout, canary = run.rollout, run.stages.canary
    c = _with_standing_used(c, run)
    if rollout.stage is Stage.CANARY and canary and rollout.step + 1 < len(canary.steps):
        weight = canary.steps[rollout.step + 1].weight
        status = transitions.enter_step(c.status, c.now, rollout.step + 1)
        message = f"{rollout.version} now gets {weight} % of requests."
        return _moved(c, status, rollout.version, reasons.WEIGHT_CHANGED, message)
    if rollout.stage is Stage.PRODUCTION or (rollout.stage is Stage.CANARY):
        return _promoted(c, run)
    stage = _next_stage(c, run)
    if stage is Stage.PRODUCTION and run.candidate.ready:
        return _promoted(c, run)
    inherited = None
    if stage is Stage.SHADOW:
        inherited = next(
            (
                challenger
                for challenger in c.status.challengers
                if challenger.digest == rollout.digest and challenger.policy_digest == rollout.policy_digest
            ),
            None,
        )
    status = transitions.enter_stage(c.status, c.now, stage, inherited)
    message = f"{rollout.version} enters {stage}."
    if inherited:
        message += f" Its shadow as a challenger since {_clock(inherited.entered_at)} counts."
    return _moved(c, status, rollout.version, reasons.STAGE_ENTERED, message)


RULES: tuple[Rule, ...] = (
    drain_when_deleted,
    rest_when_it_is_not_served_here,
    stop_what_a_person_rejected,
    freeze_when_suspended,
    supersede_when_another_version_is_requested,
    leave_when_the_candidate_is_gone,
    complete_switch_when_its_version_is_ready,
    roll_back_when_the_watch_fails,
    roll_back_when_monitoring_fails,
    end_the_watch,
    fail_when_the_pods_miss_their_deadline,
    roll_back_on_a_failed_gate,
    rest_when_nothing_is_requested,
    revert_at_once_to_a_standby_version,  # whatever has become of the policy since it served
    hold_when_spec_is_invalid,
    rest_when_the_requested_version_serves,
    stay_away_from_a_latched_version,
    start_the_rollout,
    hold_what_the_policy_asks_for_and_this_release_cannot,
    hold_until_the_pods_are_ready,
    hold_until_traffic_is_in_force,
    pause_or_roll_back_when_evidence_stays_away,
    hold_on_a_share_mismatch,
    hold_without_evidence,
    wait_for_the_minimum_duration,
    hold_until_the_register_is_complete,
    hold_what_nobody_would_watch,
    wait_for_approval,
    advance,
)


def _running(c: Case) -> Running | None:
    rollout, policy, candidate = c.status.rollout, c.s.rollout_policy, c.s.candidate
    if rollout is None or policy is None or candidate is None:
        return None
    return Running(rollout, policy, candidate, rows_of(c.assessment.gates, rollout.version, rollout.stage))


def _moved(c: Case, status: ModelStatus, version: str, reason: str, message: str, *, warning: bool = False) -> Outcome:
    """An outcome that changes the state: told as an event, kept in the history, looked at again at once."""
    remembered = transitions.remember(status, c.now, version, reason, message)
    return Outcome(remembered, reason, message, True, (Announcement(reason, message, warning),), check_at=c.now)


def _contents_of(c: Case, version: str) -> tuple[str, ...]:
    """The digests that go by a version's name: what is registered under it now, and what was deployed, which may be another."""
    status, view = c.status, c.s.versions.get(version)
    roles = (status.production, status.rollout, status.watch, *status.standby, *status.challengers)
    deployed = [role.digest for role in roles if role is not None and role.version == version]
    return tuple(dict.fromkeys([*([view.digest] if view else []), *deployed]))


def _leaves_a_rejected_version(status: ModelStatus) -> bool:
    rejected = {entry.digest for entry in status.failed if entry.reason == reasons.REJECTED}
    rolling_back = status.switch is not None and status.switch.kind == "Rollback"
    return rolling_back and status.production is not None and status.production.digest in rejected


def _given_up(c: Case, switch: SwitchStatus, target: VersionView | None) -> str | None:
    """Why a rollback is not waited for any longer, if so: nothing is left of its target, or somebody found a better way.

    A target that is not ready is waited for as long as Git asks for nothing else; a newer request does not wait for ever.
    """
    serves = c.status.production.version if c.status.production else "nothing"
    if target is None:
        return f"{switch.to} is no longer known, so {serves} goes on serving: {switch.because}"
    if switch.kind == "Revert" or _may_take_over(c, switch, target) or not _overdue(c, switch, target):
        return None
    if c.s.requested in (None, serves, switch.to):
        return None
    have = f"{target.available} of {target.replicas} pods of {switch.to} are ready"
    return f"{have}, so {serves} goes on serving while {c.s.requested} is tried: {switch.because}"


def _may_take_over(c: Case, switch: SwitchStatus, target: VersionView) -> bool:
    """Are there pods enough? All; or any, when what serves has none; or, past the deadline of a rollback, half of them."""
    serving = c.s.incumbent
    if not target.service_exists or target.available == 0:
        return False
    half_will_do = switch.kind == "Rollback" and _overdue(c, switch, target)
    return (
        target.ready
        or serving is None
        or serving.available == 0
        or (half_will_do and 2 * target.available >= target.replicas)
    )


def _overdue(c: Case, switch: SwitchStatus, target: VersionView) -> bool:
    serving = target.spec.serving
    return serving is not None and c.now >= switch.since + serving.progress_deadline


def _unsafe_to_give_back(c: Case, rollout: RolloutStatus) -> str | None:
    """Why users' requests cannot go back to the incumbent now, if so: traffic stays on what is healthy."""
    incumbent, candidate = c.s.incumbent, c.s.candidate
    if rollout.stage is not Stage.CANARY or incumbent is None or candidate is None:
        return None
    if incumbent.available > 0 or candidate.available == 0:
        return None
    return f"{incumbent.version} has no ready pod, so traffic stays where it is until one is ready."


def _left(c: Case, rollout: RolloutStatus, why: str) -> Outcome:
    message = f"{rollout.version} left the rollout in {rollout.stage}: {why}."
    return _moved(c, transitions.abandon(c.status), rollout.version, reasons.SUPERSEDED, message)


def _latched(c: Case, run: Running, reason: str, message: str) -> Outcome:
    rollout = run.rollout
    status = transitions.latch(
        c.status, c.now, rollout.version, rollout.digest, rollout.retry, rollout.stage, reason, message
    )
    serving = f"; all traffic is on {c.status.production.version}" if c.status.production else ""
    return _moved(
        c, status, rollout.version, reasons.ROLLED_BACK, f"{rollout.version}: {message}{serving}", warning=True
    )


def _promoted(c: Case, run: Running) -> Outcome:
    production = run.stages.production
    watch = production.watch.duration if production.watch else None
    monitored = production.monitoring is not None
    status = transitions.promote(
        c.status, c.now, watch, production.standby.keep, monitored=monitored, approval=_approval(c, run)
    )
    previous = f"; {c.status.production.version} stays in standby" if c.status.production else ""
    message = f"{run.rollout.version} serves all traffic{previous}."
    return _moved(c, status, run.rollout.version, reasons.PROMOTED, message)


def _approval(c: Case, run: Running) -> transitions.Approval:
    """How the version that is promoted came by what its policy asks people."""
    answers = _answers(c, run)
    if not answers:
        return "NotAsked"
    lacking = any(len(answer.people) < answer.demand.count for answer in answers)
    return "Overridden" if lacking else "Given"


def _next_stage(c: Case, run: Running) -> Stage:
    """The stage after Validation or Shadow; without an incumbent, or a route, only Production is left."""
    comparable = c.status.production is not None and c.s.routed
    if run.rollout.stage is Stage.VALIDATION and run.stages.shadow and comparable:
        return Stage.SHADOW
    if run.stages.canary and comparable:
        return Stage.CANARY
    return Stage.PRODUCTION


def required_of(stages: Stages, rollout: RolloutStatus) -> Requirement:
    """NotFailed for early canary steps, Passed for the last one and for every other stage."""
    canary = stages.canary
    if rollout.stage is not Stage.CANARY or canary is None:
        return Requirement.PASSED
    step = canary.steps[min(rollout.step, len(canary.steps) - 1)]
    last = rollout.step + 1 >= len(canary.steps)
    return step.require or (Requirement.PASSED if last else Requirement.NOT_FAILED)


def minimum_over(stages: Stages, rollout: RolloutStatus) -> datetime:
    """When the stage, or the canary's step, has lasted as long as it must; meanwhile the clock begins with its traffic."""
    since = rollout.traffic_since or rollout.step_entered_at
    if rollout.stage is Stage.SHADOW and stages.shadow:
        return since + stages.shadow.min_duration
    if rollout.stage is Stage.CANARY and stages.canary:
        return since + stages.canary.steps[min(rollout.step, len(stages.canary.steps) - 1)].min_duration
    return rollout.stage_entered_at


def approvals_due(c: Case) -> tuple[ApprovalDemand, ...]:
    """The approvals that the next step of the rollout in flight needs."""
    run = _running(c)
    if run is None:
        return ()
    return decisions.demands_of(run.stages, run.rollout, _following_weight(c, run), c.status.production is None)


def _answers(c: Case, run: Running) -> tuple[Answer, ...]:
    return decisions.answered(c.s, run.policy, run.candidate, approvals_due(c))


def _with_standing_used(c: Case, run: Running) -> Case:
    status = decisions.with_standing_used(c.s, c.status, _answers(c, run), run.rollout.digest)
    return replace(c, s=replace(c.s, status=status))


def _following_weight(c: Case, run: Running) -> int | None:
    """The share of users' requests, in percent, that the candidate gets next; None when that is none."""
    canary, rollout = run.stages.canary, run.rollout
    if rollout.stage is Stage.CANARY and canary and rollout.step + 1 < len(canary.steps):
        return canary.steps[rollout.step + 1].weight
    if rollout.stage in (Stage.CANARY, Stage.PRODUCTION):
        return 100
    following = _next_stage(c, run)
    if following is Stage.SHADOW:
        return None
    return canary.steps[0].weight if following is Stage.CANARY and canary else 100


def _serves_the_stage(c: Case, run: Running) -> bool:
    """Does the traffic in status give the candidate what its stage is about?"""
    traffic = c.status.traffic
    if traffic is None:
        return False
    entries = traffic.mirrors if run.rollout.stage is Stage.SHADOW else traffic.weights
    return any(entry.version == run.rollout.version for entry in entries)


def _clock(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def _stage_sentence(run: Running) -> str:
    rollout, canary = run.rollout, run.stages.canary
    if rollout.stage is Stage.CANARY and canary and rollout.step < len(canary.steps):
        return f"{rollout.version} in Canary at {canary.steps[rollout.step].weight} %."
    return f"{rollout.version} in {rollout.stage}."


def _lacks(row: GateStatus) -> str:
    return f"Gate {row.name} has no evidence: {row.message}"


def _first(rows: tuple[GateStatus, ...], result: str) -> GateStatus | None:
    return next((row for row in rows if row.result == result), None)


def _standby_requested(s: Snapshot) -> VersionReference | None:
    view = s.versions.get(s.requested or "")
    if view is None:
        return None
    return next((r for r in s.status.standby if r.version == view.version and r.digest == view.digest), None)
