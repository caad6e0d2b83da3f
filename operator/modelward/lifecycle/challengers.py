"""Challengers: versions that are shadowed only. Which of those that a spec names are, and why the others are not."""

from modelward.api import reasons
from modelward.api.status import ChallengerStatus, ModelStatus, Stage
from modelward.lifecycle.plan import Announcement
from modelward.lifecycle.shares import traffic_in_force
from modelward.lifecycle.snapshot import Snapshot, VersionView


def brought_up_to_date(s: Snapshot, status: ModelStatus) -> ModelStatus:
    """Start the challengers that the spec names, end the others, note since when their mirrors are in force."""
    known = {challenger.version: challenger for challenger in status.challengers}
    names = (*s.model.spec.challengers, *_just_requested(s, status))
    kept = tuple(
        _challenger(s, status, s.versions[name], known.get(name))
        for name in names
        if why_not(s, status, name, known.get(name)) is None
    )
    return status.model_copy(update={"challengers": kept})


def started(s: Snapshot, status: ModelStatus) -> tuple[Announcement, ...]:
    """What people are told of challengers that have just begun."""
    known = {(challenger.version, challenger.entered_at) for challenger in s.status.challengers}
    return tuple(
        Announcement(
            reasons.CHALLENGER_STARTED,
            f"{challenger.version} is shadowed as a challenger: it gets copies of requests, and no user sees its answers.",
        )
        for challenger in status.challengers
        if (challenger.version, challenger.entered_at) not in known
    )


def not_shadowed(s: Snapshot, status: ModelStatus) -> dict[str, str]:
    """By name, why a version that the spec names as a challenger is not one; those in a rollout or in production aside."""
    known = {challenger.version: challenger for challenger in status.challengers}
    in_use = {role.version for role in (status.production, status.rollout) if role is not None}
    return {
        name: why
        for name in s.model.spec.challengers
        if name not in in_use and (why := why_not(s, status, name, known.get(name))) is not None
    }


def why_not(s: Snapshot, status: ModelStatus, name: str, known: ChallengerStatus | None) -> str | None:
    """Why a version cannot be shadowed now, as the end of a sentence, or None."""
    view, production, rollout = s.versions.get(name), status.production, status.rollout
    if view is None or not view.live:
        return f"there is no ModelVersion {s.model.metadata.name}-{name}"
    if view.spec.serving is None:
        return "its ModelVersion has no spec.serving.template"
    if view.changed:
        return "its ModelVersion was made anew with other content: give that a version of its own"
    if production is None:
        return "no version serves yet that its requests could be copied from"
    if production.version == name:
        return "it serves all traffic"
    if rollout is not None and rollout.version == name and rollout.stage is not Stage.VALIDATION:
        return "it is the candidate of a rollout"
    if any(failed.digest == view.digest for failed in status.failed):
        return "it has failed and is latched"
    if not s.routed:
        return "mirroring needs spec.serving.route"
    goes_on = known is not None and _goes_on(s, status, view, known)
    if not goes_on and (s.policy is None or s.policy.spec.stages.shadow is None):
        return "no policy that applies has a shadow stage"
    return None


def _challenger(
    s: Snapshot, status: ModelStatus, view: VersionView, known: ChallengerStatus | None
) -> ChallengerStatus:
    if known is None or not _goes_on(s, status, view, known):
        assert s.policy is not None, "why_not lets nothing begin without a policy"
        return ChallengerStatus(
            version=view.version, digest=view.digest, policy_digest=s.policy.digest, entered_at=s.now
        )
    mirrored = status.traffic is not None and any(entry.version == view.version for entry in status.traffic.mirrors)
    if known.traffic_since is None and mirrored and traffic_in_force(s):
        return known.model_copy(update={"traffic_since": s.now})
    return known


def _just_requested(s: Snapshot, status: ModelStatus) -> tuple[str, ...]:
    """A challenger that a commit moves to production leaves the spec's list with it: its shadow waits for Validation."""
    rollout = status.rollout
    if rollout is None or rollout.stage is not Stage.VALIDATION or rollout.version in s.model.spec.challengers:
        return ()
    return tuple(entry.version for entry in status.challengers if entry.version == rollout.version)


def _goes_on(s: Snapshot, status: ModelStatus, view: VersionView, known: ChallengerStatus) -> bool:
    """Does its evidence still speak of the same content, against the same incumbent, under a policy that is kept?"""
    before, production = s.status.production, status.production
    same_incumbent = before is not None and production is not None and before.version == production.version
    offered = {*s.pinned, *([s.policy.digest] if s.policy else [])}
    return known.digest == view.digest and same_incumbent and known.policy_digest in offered
