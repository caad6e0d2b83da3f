"""From a decision to the links that it adds to the Model's audit chain.

A step is in the history, or it moved traffic: either way it becomes a record, which `act` creates before it writes the status
and moves traffic. An operator that was killed in between finds records beyond the one that status names. If it decides the
same again it adopts them; if it decides otherwise, the chain says that they were not carried out.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from modelward.api import reasons
from modelward.api.digests import digest_of
from modelward.api.model_approval import Decision
from modelward.api.model_audit_record import (
    AuditedApproval,
    AuditedGate,
    AuditedModel,
    AuditedPolicy,
    ModelAuditRecordSpec,
)
from modelward.api.status import AuditHead, DecisionStatus, GateStatus, HistoryEntry, ModelStatus, TrafficStatus
from modelward.governance.approvals import override_of
from modelward.governance.chain import Entry, Head, head_of, same_step, seal
from modelward.governance.reconstruction import NOT_CARRIED_OUT, OPERATOR
from modelward.lifecycle import decisions, monitoring
from modelward.lifecycle.assess import Assessment
from modelward.lifecycle.shares import stage_of
from modelward.lifecycle.snapshot import Policy, Snapshot, VersionView

GIT_REVISION = "modelward.dev/git-revision"
"""Annotation of a Model by which a pipeline says which revision of the manifest this is."""


@dataclass(frozen=True)
class Links:
    """What a decision adds to the chain: records to create, in order, and the head after them."""

    records: tuple[ModelAuditRecordSpec, ...]
    head: AuditHead | None


def links_of(before: Snapshot, status: ModelStatus, assessment: Assessment) -> Links:
    """The records of the steps from the status before to the one that is about to be written."""
    head, ahead = _place(before)
    entries = list(_entries(before, status, assessment))
    while ahead and entries and same_step(ahead[0], entries[0]):
        head, ahead, entries = head_of(ahead[0]), ahead[1:], entries[1:]
    if ahead:
        head = head_of(ahead[-1])
        entries.insert(0, _not_carried_out(before, ahead))
    records: list[ModelAuditRecordSpec] = []
    for entry in entries:
        records.append(seal(head, entry, before.now))
        head = head_of(records[-1])
    return Links(tuple(records), AuditHead(seq=head.seq, hash=head.hash) if head else None)


def _place(s: Snapshot) -> tuple[Head | None, tuple[ModelAuditRecordSpec, ...]]:
    """The newest record that is settled, and those beyond it that this Model's operator wrote before it was interrupted."""
    head, ahead = _remembered(s)
    taken_back = [index for index, record in enumerate(ahead) if record.action == reasons.NOT_CARRIED_OUT]
    if taken_back:  # it has said of all before it what became of them
        return head_of(ahead[taken_back[-1]]), ahead[taken_back[-1] + 1 :]
    return head, ahead


def _remembered(s: Snapshot) -> tuple[Head | None, tuple[ModelAuditRecordSpec, ...]]:
    told = s.status.audit
    if told is not None:
        beyond = [record for record in s.chain if record.seq > told.seq]
        # Numbers are given without a gap: what is beyond one continues nothing, and is nobody's word.
        return Head(told.seq, told.hash), tuple(r for seq, r in enumerate(beyond, told.seq + 1) if r.seq == seq)
    # No memory yet: what another Model of this name left is where this one's chain goes on.
    own = [index for index, record in enumerate(s.chain) if record.model.uid == s.model.metadata.uid]
    first = own[0] if own and not _memory_was_lost(s) else len(s.chain)
    return (head_of(s.chain[first - 1]) if first else None), s.chain[first:]


def _memory_was_lost(s: Snapshot) -> bool:
    """Is the status empty, and something there that only comes after a status? Then what is on record was carried out."""
    running = s.route is not None or any(view.deployment for view in s.versions.values())
    return running and s.status == ModelStatus()


def _entries(s: Snapshot, status: ModelStatus, assessment: Assessment) -> Iterable[Entry]:
    steps = _new_steps(s.status.history, status.history)
    for step in steps:
        yield _entry(s, status, assessment, step)
    if not steps and _shares(s.status.traffic) != _shares(status.traffic):
        version = status.rollout or status.production
        step = HistoryEntry(
            at=s.now, version=version.version if version else "", action=reasons.TRAFFIC_CHANGED,
            message=_why_without_a_step(s, status),
        )  # fmt: skip
        yield _entry(s, status, assessment, step)


def _why_without_a_step(s: Snapshot, status: ModelStatus) -> str:
    if s.model.metadata.deletion_timestamp:
        return "The Model is deleted: its traffic ends."
    if s.status.traffic and status.traffic and s.status.traffic.weights == status.traffic.weights:
        return (
            "The copies of requests changed, because a challenger began or ended, or pods became ready or ceased to be."
        )
    return "The split of requests changed, because pods became ready or ceased to be."


def _new_steps(before: Sequence[HistoryEntry], after: Sequence[HistoryEntry]) -> list[HistoryEntry]:
    """What was put at the head of the history, oldest first; its end may have fallen out."""
    added = next(k for k in range(len(after) + 1) if tuple(after[k:]) == tuple(before[: len(after) - k]))
    return list(reversed(after[:added]))


def _entry(s: Snapshot, status: ModelStatus, assessment: Assessment, step: HistoryEntry) -> Entry:
    view = s.versions.get(step.version)
    policy = _policy(s, status)
    traffic = status.traffic
    evidence = assessment.evidence.get(step.version) or (view.evidence if view else None)
    return Entry(
        actor=step.actor or OPERATOR,
        action=step.action,
        model=AuditedModel(
            namespace=s.model.metadata.namespace,
            name=s.model.metadata.name,
            uid=s.model.metadata.uid,
            model_id=s.model.spec.model_id or "",
        ),
        version=step.version,
        version_digest=view.digest if view else "",
        stage=stage_of(view, status).value if view else "",
        message=step.message,
        weights=traffic.weights if traffic else (),
        mirrors=traffic.mirrors if traffic else (),
        policy=AuditedPolicy(name=policy.name, digest=policy.digest) if policy else None,
        gates=tuple(_gate(row) for row in _judged(s, assessment, step)),
        evidence_digest=digest_of(evidence.to_dict()) if evidence and not step.actor else "",
        approvals=tuple(_approval(decision) for decision in _decisions(s, status, step)),
        git_revision=s.model.metadata.annotations.get(GIT_REVISION, ""),
        details=_details(s, view, policy, step),
    )


def _judged(s: Snapshot, assessment: Assessment, step: HistoryEntry) -> tuple[GateStatus, ...]:
    """The verdicts that a step of the operator was decided on; a person's decision rests on what the person saw."""
    if step.actor:
        return ()
    rows = (*(assessment.gates or s.status.gates), *assessment.monitoring)
    return tuple(row for row in rows if row.version == step.version)


def _decisions(s: Snapshot, status: ModelStatus, step: HistoryEntry) -> tuple[DecisionStatus, ...]:
    """The decisions about the version that a step rests on: none that does not count. Of a person's step, that decision."""
    about = [d for d in status.decisions if d.version in (step.version, "")]
    if step.actor:
        return tuple(d for d in about if d.approver == step.actor and d.seen_at == step.at)
    counting = _counting(s, status, step)
    asked = (Decision.APPROVE, Decision.OVERRIDE)
    return tuple(d for d in about if d.trusted and (d.decision not in asked or d.uid in counting))


def _counting(s: Snapshot, status: ModelStatus, step: HistoryEntry) -> frozenset[str]:
    """The approvals that let the version through as far as it has come, and the override that does, by uid."""
    rollout = next((role for role in (s.status.rollout, status.rollout) if role and role.version == step.version), None)
    view, policy = s.versions.get(step.version), _policy(s, status)
    if rollout is None or view is None or policy is None:
        return frozenset()
    demands = decisions.demands_of(policy.spec.stages, rollout, 100, s.status.production is None)
    # Those that are heard in this very look are in the new status only; what it is compared with served before the step.
    heard = replace(s, status=s.status.model_copy(update={"decisions": status.decisions}))
    answers = decisions.answered(heard, policy, view, demands)
    override = override_of(decisions.question(heard, policy, view), decisions.counted(heard), s.now)
    approvals = frozenset(approval.uid for answer in answers for approval in answer.approvals)
    return approvals | {override.uid} if override else approvals


def _details(s: Snapshot, view: VersionView | None, policy: Policy | None, step: HistoryEntry) -> Mapping[str, Any]:
    """What an examiner needs beside the verdicts: content and rules when a rollout starts, evaluations also when it ends well."""
    if view is None or step.action not in (reasons.ROLLOUT_STARTED, reasons.PROMOTED):
        return {}
    evaluations = [
        {"name": each.metadata.name, **each.spec.model_dump(mode="json", by_alias=True, exclude_defaults=True)}
        for each in s.evaluations
        if each.spec.version_digest == view.digest
    ]
    if step.action == reasons.PROMOTED:
        return {"evaluations": evaluations}
    version = view.spec.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude={"serving", "baseline"})
    rules = (
        policy.spec.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude={"identity_map"})
        if policy
        else {}
    )
    return {"version": version, "policy": rules, "evaluations": evaluations}


def _policy(s: Snapshot, status: ModelStatus) -> Policy | None:
    """The policy that the step was taken under: that of the rollout which ends, goes on or begins."""
    for role in (s.status.rollout, status.rollout, s.status.watch):
        if role is not None:
            pinned = s.pinned.get(role.policy_digest)
            return pinned or (s.policy if s.policy and s.policy.digest == role.policy_digest else None)
    return monitoring.policy_of(s) or s.policy


def _not_carried_out(s: Snapshot, records: Sequence[ModelAuditRecordSpec]) -> Entry:
    numbers = ", ".join(str(record.seq) for record in records)
    traffic = s.status.traffic
    return Entry(
        actor=OPERATOR,
        action=reasons.NOT_CARRIED_OUT,
        model=records[0].model,
        version=records[0].version,
        message=f"Record {numbers} announced what was not carried out: the operator was interrupted, and decided otherwise then.",
        weights=traffic.weights if traffic else (),
        mirrors=traffic.mirrors if traffic else (),
        details={NOT_CARRIED_OUT: [record.seq for record in records]},
    )


def _gate(row: GateStatus) -> AuditedGate:
    fields = row.model_dump(include=set(AuditedGate.model_fields))
    return AuditedGate.model_validate(fields)


def _approval(decision: DecisionStatus) -> AuditedApproval:
    return AuditedApproval.model_validate(decision.model_dump(include=set(AuditedApproval.model_fields)))


def _shares(traffic: TrafficStatus | None) -> tuple[object, object]:
    return (traffic.weights, traffic.mirrors) if traffic else ((), ())
