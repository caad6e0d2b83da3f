"""ModelAuditRecord: one link of the hash chain of one Model. Created by the operator alone, before what it announces is done."""

import math
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field

from modelward.api.status import Timestamp, WeightStatus
from modelward.api.types import ApiModel, CelRule, ChangeRule, Digest, Number, ObjectMeta, Record, Rules

LAST_SEQ = 99_999_999


def _cut(longest: int) -> BeforeValidator:
    """A record is never refused for a sentence that is too long: the rollout would stop. What is cut ends with an ellipsis."""

    def cut(value: object) -> object:
        return value[: longest - 1] + "…" if isinstance(value, str) and len(value) > longest else value

    return BeforeValidator(cut)


def _finite(value: object) -> object:
    """JSON has no infinity and no NaN; a figure that is neither is left out."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


Name = Annotated[str, Field(max_length=253)]
Word = Annotated[str, Field(max_length=128), _cut(128)]
Line = Annotated[str, Field(max_length=1024), _cut(1024)]
Sentence = Annotated[str, Field(max_length=4096), _cut(4096)]
Figure = Annotated[Number | None, BeforeValidator(_finite)]
DigestOrNothing = Annotated[str, Field(pattern=r"^(sha256:[0-9a-f]{64})?$", max_length=71)]
# A fixed wording of a point in time, so that hashing what is read back gives the same hash.
Moment = Timestamp


class AuditedModel(ApiModel):
    """The Model that the record is about, by everything that names it."""

    namespace: Annotated[str, Field(min_length=1, max_length=63)] = Field(description="Its namespace.")
    name: Annotated[str, Field(min_length=1, max_length=63)] = Field(description="Its name.")
    uid: Annotated[str, Field(max_length=64)] = Field(
        default="", description="Its uid: another Model that is given the same name has another."
    )
    model_id: Line = Field(default="", description="spec.modelID, its number in the register.", alias="modelID")


class AuditedPolicy(ApiModel):
    """The pinned policy."""

    name: Name = Field(default="", description="Name of the LifecyclePolicy.")
    digest: DigestOrNothing = Field(default="", description="Digest of the pinned policy and gates.")


class AuditedGate(ApiModel):
    """One gate's verdict that the step was decided on."""

    name: Annotated[str, Field(max_length=63)] = Field(description="Name of the gate.")
    result: Word = Field(description="Pass, Fail, Inconclusive or Unknown.")
    figure: Figure = Field(default=None, description="What was measured.")
    low: Figure = Field(default=None, description="Lower end of its interval.")
    high: Figure = Field(default=None, description="Upper end of its interval.")
    bound: Figure = Field(default=None, description="What it is held against.")
    samples: Annotated[int, Field(ge=0, le=2**53 - 1)] | None = Field(
        default=None, description="Number of requests or observations behind it."
    )
    method: Word = Field(default="", description="How it was judged.")
    message: Sentence = Field(default="", description="The verdict as one sentence.")
    at: Moment | None = Field(default=None, description="When it was judged.")


class AuditedApproval(ApiModel):
    """One decision of a person that the step rests on, or that the record is about."""

    name: Name = Field(description="Name of the ModelApproval.")
    uid: Annotated[str, Field(max_length=64)] = Field(default="", description="Its uid.")
    role: Annotated[str, Field(max_length=63)] = Field(default="", description="The role.")
    decision: Word = Field(description="Approve, Reject, Override, Exception or Reviewed.")
    approver: Line = Field(description="Who decided.")
    subject_digest: DigestOrNothing = Field(default="", description="What was seen.")
    at: Moment | None = Field(default=None, description="When it was made, by the API server's clock.")


class ModelAuditRecordSpec(ApiModel):
    """One step of one Model: what was done, to which content, on which grounds."""

    cel_rules: ClassVar[Rules] = (
        ChangeRule(
            rule="self == oldSelf",
            message="an audit record is immutable: what happens later is a record of its own",
            holds=lambda new, old: new == old,
        ),
        CelRule(
            rule="(self.seq == 1) == (self.prevHash == '')",
            message="prevHash and seq do not fit: only the first record of a chain, seq 1, has no predecessor",
            holds=lambda spec: (spec.seq == 1) == (spec.prev_hash == ""),
            field_path=".prevHash",
        ),
    )

    seq: Annotated[int, Field(ge=1, le=LAST_SEQ)] = Field(description="Number of the record in its chain, from 1.")
    prev_hash: DigestOrNothing = Field(description="hash of the record before; empty for the first.")
    hash: Digest = Field(description="SHA-256 over the RFC 8785 form of this spec without this field.")
    time: Moment = Field(description="When the step was decided.")
    actor: Line = Field(description="modelward, or the person who decided.")
    action: Word = Field(description="What was done, as one word.")
    model: AuditedModel = Field(description="The Model.")
    version: Annotated[str, Field(max_length=63)] = Field(default="", description="The version.")
    version_digest: DigestOrNothing = Field(default="", description="Digest of the version's spec.")
    stage: Annotated[str, Field(max_length=64)] = Field(default="", description="Stage of the version after the step.")
    message: Sentence = Field(default="", description="What was done, as a sentence.")
    weights: Annotated[tuple[WeightStatus, ...], Field(max_length=32)] = Field(
        default=(), description="Shares of users' requests after the step."
    )
    mirrors: Annotated[tuple[WeightStatus, ...], Field(max_length=32)] = Field(
        default=(), description="Shares of mirrored requests after the step."
    )
    policy: AuditedPolicy | None = Field(default=None, description="The pinned policy.")
    gates: Annotated[tuple[AuditedGate, ...], Field(max_length=256)] = Field(
        default=(), description="The verdicts that the step was decided on."
    )
    evidence_digest: DigestOrNothing = Field(default="", description="Digest of what was measured.")
    approvals: Annotated[tuple[AuditedApproval, ...], Field(max_length=256)] = Field(
        default=(), description="The decisions of people that the step rests on."
    )
    git_revision: Line = Field(default="", description="Revision of the manifest in Git, where it is known.")
    details: Record = Field(
        default={},
        description=(
            "What else an examiner needs: at RolloutStarted the version's spec, the pinned policy and the evaluations; bounded,"
            " and covered by the hash."
        ),
        # One owner for all of it: otherwise managedFields would name every field of a policy.
        json_schema_extra={"x-kubernetes-map-type": "atomic"},
    )


def _named_after_its_place(record: Any) -> bool:
    return bool(record.metadata.name == record_name(record.spec.model.name, record.spec.seq))


class ModelAuditRecord(ApiModel):
    """One link of the hash chain of one Model: what was done, to which content, on which grounds, and by whom. Written by the operator
    alone, before the step that it announces; owned by nothing, so that deleting the Model keeps it."""

    cel_rules: ClassVar[Rules] = (
        CelRule(
            # Not by making the name out of seq: the API server takes a number as text to be of any length, and refuses the cost.
            rule=(
                "self.metadata.name.startsWith(self.spec.model.name + '-')"
                " && size(self.metadata.name) == size(self.spec.model.name) + 9 && self.metadata.name.matches('-[0-9]{8}$')"
                " && int(self.metadata.name.substring(size(self.metadata.name) - 8)) == self.spec.seq"
            ),
            message="metadata.name is not <model>-<seq>, seq in eight digits: the name is what keeps a number from being given twice",
            holds=_named_after_its_place,
        ),
    )

    metadata: ObjectMeta
    spec: ModelAuditRecordSpec = Field(description="What was done. Immutable.")


def record_name(model: str, seq: int) -> str:
    """Creating an object of this name is the compare-and-swap of the chain: of two operators, one gets it."""
    return f"{model}-{seq:08d}"
