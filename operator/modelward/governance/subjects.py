"""What a decision is about, as one digest: whoever changes what was seen has to ask again."""

from collections.abc import Iterable

from modelward.api.demands import RiskTier
from modelward.api.digests import digest_of, digest_of_model
from modelward.api.model import Model
from modelward.api.model_evaluation import ModelEvaluation
from modelward.api.status import Covers, EvaluationReference


def covered(version_digest: str, policy_digest: str, evaluations: Iterable[ModelEvaluation]) -> Covers:
    """What an approver is shown of a version: its spec, the pinned policy, and the newest evaluation of each name."""
    newest: dict[str, ModelEvaluation] = {}
    for evaluation in sorted(evaluations, key=lambda each: (each.spec.at, each.metadata.name)):
        if evaluation.spec.version_digest == version_digest:
            newest[evaluation.spec.name] = evaluation
    references = sorted(
        (EvaluationReference(name=each.metadata.name, digest=digest_of_model(each.spec)) for each in newest.values()),
        key=lambda reference: reference.name,
    )
    return Covers(
        version_digest=version_digest, policy_digest=policy_digest, evaluations=tuple(references[:LARGEST_SHOWN])
    )


LARGEST_SHOWN = 64


def version_subject(model: Model, version: str, covers: Covers) -> str:
    """The digest of an Approve or Override: this content, of this Model object, under this policy, with these evaluations.

    The uid is part of it, so that no decision passes to another Model that is given the same name.
    """
    return digest_of(
        {"subject": "Version", **_of(model), "version": version, "covers": covers.model_dump(by_alias=True)}
    )


def standing_subject(model: Model, policy_digest: str) -> str:
    """The digest of a standing approval: this Model object under this policy."""
    return digest_of({"subject": "Standing", **_of(model), "policyDigest": policy_digest})


def tier_subject(model: Model, floor: RiskTier) -> str:
    """The digest of an Exception: this Model object, its risk assessment, and the tier that this gives."""
    assessment = model.spec.risk_assessment
    answers = assessment.model_dump(mode="json", by_alias=True, exclude_defaults=True) if assessment else {}
    return digest_of({"subject": "RiskTier", **_of(model), "riskAssessment": answers, "floor": floor.value})


def _of(model: Model) -> dict[str, str]:
    return {"namespace": model.metadata.namespace, "model": model.metadata.name, "uid": model.metadata.uid}
