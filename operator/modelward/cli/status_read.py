"""What `modelward status` reads: a Model, and the policy that is in force for it."""

from dataclasses import dataclass
from datetime import datetime

from modelward.api.lifecycle_policy import LifecyclePolicy, LifecyclePolicySpec
from modelward.api.model import Model
from modelward.api.resources import CONTROLLER_REVISIONS, LIFECYCLE_POLICIES
from modelward.api.status import ModelStatus
from modelward.cli.called import called_as
from modelward.cli.cluster import Cluster, Forbidden, Object
from modelward.cli.reading import Unreadable, model_in, parsed
from modelward.cli.remedies import remedy_of
from modelward.lifecycle import policies
from modelward.lifecycle.headline import Headline, Urgency, headline_of
from modelward.lifecycle.overview import (
    Coming,
    Lacking,
    Situation,
    VersionShown,
    Wrong,
    coming_of,
    lacking_of,
    versions_of,
    wrong_of,
)
from modelward.lifecycle.snapshot import Policy, Problem
from modelward.traffic.workloads import kept_policy_name


@dataclass(frozen=True)
class Overview:
    """All that is shown of one Model; `modelward status MODEL -o json` prints exactly this."""

    namespace: str
    model: str
    owner: str
    tier: str
    at: datetime
    requested: str | None  # what spec.production.version asks for
    headline: Headline
    wrong: tuple[Wrong, ...]
    versions: tuple[VersionShown, ...]
    approvals: tuple[Lacking, ...]
    coming: tuple[Coming, ...]
    notes: tuple[str, ...]  # what cannot be shown, and why


@dataclass(frozen=True)
class Row:
    """One Model among others; `modelward status -o json` prints a list of these."""

    namespace: str
    model: str
    production: str | None
    candidate: str | None
    stage: str
    weight: int | None
    gates: str
    owner: str
    tier: str
    headline: Headline


class InForce:
    """The policies of rollouts, asked for once each: what is pinned never changes."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._known: dict[str, Policy | None] = {}

    def of(self, model: Model, status: ModelStatus) -> Policy | None:
        """The policy by which the rollout, the watch or the monitoring goes; None where it cannot be read."""
        digest = _digest_in_force(status)
        if not digest:
            return None
        if digest not in self._known:
            try:
                self._known[digest] = self._kept(model, digest) or self._applied(model, digest)
            except Forbidden:
                self._known[digest] = None
        return self._known[digest]

    def _kept(self, model: Model, digest: str) -> Policy | None:
        """The copy that the operator keeps, if it is what its digest says."""
        name = kept_policy_name(model.metadata.name, digest)
        try:
            found = self._cluster.get(CONTROLLER_REVISIONS, name, model.metadata.namespace)
            data = (found or {}).get("data") or {}
            spec = LifecyclePolicySpec.model_validate(data.get("spec"))
        except ValueError:
            return None
        except Forbidden:
            return None
        return Policy(str(data.get("name")), digest, spec) if policies.policy_digest("", spec) == digest else None

    def _applied(self, model: Model, digest: str) -> Policy | None:
        """A LifecyclePolicy that still says what was pinned."""
        for raw in self._cluster.list(LIFECYCLE_POLICIES):
            try:
                merged = policies.merge(parsed(LifecyclePolicy, raw), model.spec)
            except Unreadable:
                continue
            if not isinstance(merged, Problem) and merged.digest == digest:
                return merged
        return None


@dataclass(frozen=True)
class Subject:
    """A Model with what has to be asked for besides; what time it is is left open, so that it can be drawn anew every second."""

    model: Model
    status: ModelStatus
    policy: Policy | None


def subject_of(raw: Object, in_force: InForce) -> Subject:
    """A Model as the API server gives it, with its policy.

    Raises:
        Unreadable: another release wrote it.
    """
    model, status = model_in(raw)
    return Subject(model, status, in_force.of(model, status))


def overview(subject: Subject, now: datetime) -> Overview:
    """What is shown of a Model."""
    model, status, policy = subject.model, subject.status, subject.policy
    situation = Situation(model, status, policy, now, called_as())
    notes = []
    if _digest_in_force(status) and policy is None:
        notes.append(
            "The pinned policy cannot be read, so that durations and steps to come are not shown: it takes the right to get"
            " ControllerRevisions here, or LifecyclePolicies."
        )
    return Overview(
        namespace=model.metadata.namespace,
        model=model.metadata.name,
        owner=model.spec.owner.team if model.spec.owner else "",
        tier=model.spec.risk_tier or "",
        at=now,
        requested=model.spec.production.version,
        headline=headline_of(situation, remedy_of),
        wrong=wrong_of(status),
        versions=versions_of(situation),
        approvals=lacking_of(situation),
        coming=coming_of(situation),
        notes=tuple(notes),
    )


def row(raw: Object, now: datetime) -> Row:
    """One Model among others, without its policy: a list costs one request. One that cannot be read does not hide the others."""
    try:
        model, status = model_in(raw)
    except Unreadable as error:
        return _unread(raw, error)
    return Row(
        namespace=model.metadata.namespace,
        model=model.metadata.name,
        production=status.production.version if status.production else None,
        candidate=status.rollout.version if status.rollout else None,
        stage=status.stage,
        weight=status.weight,
        gates=status.gates_summary,
        owner=model.spec.owner.team if model.spec.owner else "",
        tier=model.spec.risk_tier or "",
        headline=headline_of(Situation(model, status, None, now, called_as()), remedy_of),
    )


def _unread(raw: Object, error: Unreadable) -> Row:
    metadata = raw["metadata"]
    said = Headline(Urgency.ACT, error.message, "")
    return Row(str(metadata["namespace"]), str(metadata["name"]), None, None, "", None, "", "", "", said)


def _digest_in_force(status: ModelStatus) -> str:
    if status.rollout:
        return status.rollout.policy_digest
    if status.watch:
        return status.watch.policy_digest
    return status.production.monitored_under if status.production else ""
