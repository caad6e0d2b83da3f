"""ModelApproval: one decision by one person. Create-only; who may make which is decided by the API server's admission."""

from enum import StrEnum
from typing import Annotated, Any, ClassVar

from pydantic import Field

from modelward.api.demands import RiskTier
from modelward.api.types import (
    ApiModel,
    CelRule,
    ChangeRule,
    Digest,
    LongText,
    Number,
    ObjectMeta,
    ObjectName,
    PointInTime,
    Rules,
    ShortText,
)


class Decision(StrEnum):
    APPROVE = "Approve"
    REJECT = "Reject"
    OVERRIDE = "Override"
    EXCEPTION = "Exception"
    REVIEWED = "Reviewed"


class MetricAllowance(ApiModel):
    """How much worse than the version in production a metric may be."""

    evaluation: ShortText = Field(description="Name of the evaluation, such as holdout.")
    metric: ShortText = Field(description="Name of its metric, such as auc.")
    max_decrease: Annotated[Number, Field(ge=0)] = Field(
        description="The largest decrease against the version in production, on the same data set, in the metric's own unit."
    )


class Standing(ApiModel):
    """The routine retrains that an approval covers in advance, while policy, schema and figures stay within its bounds."""

    max_count: Annotated[int, Field(ge=1, le=1000)] = Field(description="How many versions it may let through.")
    metrics: Annotated[tuple[MetricAllowance, ...], Field(min_length=1, max_length=32)] = Field(
        description="Figures that a covered version must have, each no worse than this against the version in production."
    )


def _needs_version(spec: Any) -> bool:
    return spec.decision in (Decision.REJECT, Decision.OVERRIDE) or (
        spec.decision is Decision.APPROVE and spec.standing is None
    )


def _digest_fits(spec: Any) -> bool:
    needed = spec.decision in (Decision.APPROVE, Decision.OVERRIDE, Decision.EXCEPTION)
    return (spec.subject_digest is not None) == needed


def _explained(spec: Any) -> bool:
    return bool(spec.reason) or spec.decision in (Decision.APPROVE, Decision.REVIEWED)


def _ends(spec: Any) -> bool:
    lasting = spec.decision in (Decision.OVERRIDE, Decision.EXCEPTION) or spec.standing is not None
    return spec.expires_at is not None or not lasting


class ModelApprovalSpec(ApiModel):
    """One decision by one person."""

    cel_rules: ClassVar[Rules] = (
        ChangeRule(
            rule="self == oldSelf",
            message="a decision is immutable: create another ModelApproval",
            holds=lambda new, old: new == old,
        ),
        CelRule(
            rule=(
                "(self.decision in ['Reject', 'Override'] || (self.decision == 'Approve' && !has(self.standing)))"
                " == has(self.version)"
            ),
            message=(
                "version and decision do not fit: Approve, Reject and Override name the version; Exception, Reviewed and a"
                " standing approval are about the Model and name none"
            ),
            holds=lambda spec: _needs_version(spec) == (spec.version is not None),
            field_path=".version",
        ),
        CelRule(
            rule="(self.decision in ['Approve', 'Override', 'Exception']) == has(self.subjectDigest)",
            message=(
                "subjectDigest and decision do not fit: Approve, Override and Exception carry the digest that the Model's status"
                " shows for them; Reject and Reviewed carry none"
            ),
            holds=_digest_fits,
            field_path=".subjectDigest",
        ),
        CelRule(
            rule="self.decision in ['Approve', 'Reviewed'] || (has(self.reason) && self.reason != '')",
            message="reason is missing: Reject, Override and Exception say why",
            holds=_explained,
            field_path=".reason",
        ),
        CelRule(
            rule="has(self.expiresAt) || !(self.decision in ['Override', 'Exception'] || has(self.standing))",
            message="expiresAt is missing: an Override, an Exception and a standing approval end at some time",
            holds=_ends,
            field_path=".expiresAt",
        ),
        CelRule(
            rule="(self.decision == 'Exception') == has(self.tier)",
            message="tier and decision do not fit: an Exception says which tier the Model may have, other decisions name none",
            holds=lambda spec: (spec.decision is Decision.EXCEPTION) == (spec.tier is not None),
            field_path=".tier",
        ),
        CelRule(
            rule="!has(self.standing) || self.decision == 'Approve'",
            message="standing belongs to decision Approve: leave it out",
            holds=lambda spec: spec.standing is None or spec.decision is Decision.APPROVE,
            field_path=".standing",
        ),
    )

    model: ObjectName = Field(description="Name of the Model, in this namespace.")
    version: ObjectName | None = Field(default=None, description="The version that is decided about.")
    role: ObjectName = Field(
        description="The role in which the person decides, such as risk; the API server checks that the person has it."
    )
    decision: Decision = Field(
        description=(
            "Approve; Reject: stops a rollout of the version, or takes it out of production, and bars it; Override: break-glass,"
            " stands in for every approval that is lacking; Exception: lets the Model have a lower tier than its assessment gives;"
            " Reviewed: the Model as a whole was reviewed."
        )
    )
    subject_digest: Digest | None = Field(
        default=None,
        description="What was seen: the digest in the Model's status.pendingApprovals (Approve, Override) or status.riskTier (Exception).",
    )
    approver: ShortText = Field(
        description="Who decides: the name by which the API server knows the user who creates this."
    )
    reason: LongText = Field(default="", description="Why; needed for Reject, Override and Exception.")
    expires_at: PointInTime | None = Field(
        default=None, description="When the decision ends to count; without it, an approval ends with the rollout."
    )
    standing: Standing | None = Field(
        default=None, description="Makes the approval a standing one, for routine retrains within these bounds."
    )
    tier: RiskTier | None = Field(default=None, description="Exception only: the tier that the Model may have.")


class ModelApproval(ApiModel):
    """One decision by one person about a Model or one of its versions. Created once, by that person, and never changed."""

    metadata: ObjectMeta
    spec: ModelApprovalSpec = Field(description="Who decided what, on what grounds. Immutable.")
