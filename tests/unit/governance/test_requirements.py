"""What a policy asks of the register, and what a Model and its version lack."""

from typing import Any

import pytest

from modelward.api.demands import RequiredField
from modelward.api.lifecycle_policy import LifecyclePolicySpec
from modelward.api.model import Model
from modelward.api.model_version import ModelVersionSpec
from modelward.governance.requirements import missing
from tests.manifests import GOOD

DIGEST = "sha256:" + "4f" * 32
IDENTITIES = {
    "people": [
        {"name": "Ada", "identities": ["ada@example.com"], "usernames": ["ada"], "teams": ["retention-ml"]},
        {"name": "Eve", "identities": ["eve@example.com"], "teams": ["retention-ml"]},
        {"name": "Grace", "identities": ["grace@example.com"], "teams": ["validation"]},
    ]
}
FULL_MODEL = GOOD["a model with all that the register holds"]["spec"]
FULL_VERSION = GOOD["a version with all that the register holds"]["spec"]


def lacking(
    policy: dict[str, Any], *, model: dict[str, Any] | None = None, version: dict[str, Any] | None = None
) -> list[str]:
    """The sentences for a Model and a version with the given fields."""
    parsed = Model.model_validate({"metadata": {"name": "churn"}, "spec": model or {}})
    build = ModelVersionSpec.model_validate({"model": "churn", "version": "v8", **(version or {})})
    return [entry.sentence for entry in missing(parsed, build, LifecyclePolicySpec.model_validate(policy))]


def test_a_policy_without_demands_lacks_nothing() -> None:
    assert lacking({}) == []


@pytest.mark.parametrize("field", list(RequiredField))
def test_every_field_that_can_be_asked_for_exists_and_is_missed_when_empty(field: RequiredField) -> None:
    version = {**FULL_VERSION, "baseline": {"predictions": {"edges": [1], "counts": [1, 2]}}}
    assert lacking({"requires": {"fields": [field.value]}}, model=FULL_MODEL, version=version) == []
    (sentence,) = lacking({"requires": {"fields": [field.value]}})
    assert f"spec.{field.value} is not set" in sentence
    assert "set it" in sentence


def test_a_field_of_a_version_is_missed_in_that_version() -> None:
    assert lacking({"requires": {"fields": ["owner", "modelCard"]}}) == [
        "spec.owner is not set, and the policy asks for it: set it",
        "ModelVersion v8: spec.modelCard is not set, and the policy asks for it: set it in a new version",
    ]


def test_without_a_version_only_the_model_is_asked() -> None:
    model = Model.model_validate({"metadata": {"name": "churn"}, "spec": {}})
    policy = LifecyclePolicySpec.model_validate({"requires": {"fields": ["owner", "modelCard"]}})
    assert [entry.field for entry in missing(model, None, policy)] == ["spec.owner"]


TABLE = {"impact": {"Low": "Low"}, "autonomy": {"Advisory": "Low"}}
ASSESSED = {"requires": {"fields": ["riskAssessment"]}, "minimumTier": TABLE}
VALIDATION = {"requires": {"documents": ["ValidationReport"]}}
PUBLIC = {"data": {"permittedClassifications": ["Public", "Internal"]}}
RETAINED = {"retention": {"minimumDays": 3650}}
LICENSED = {"licenses": {"permitted": ["Apache-2.0"], "denied": ["AGPL-3.0-only"]}}
INDEPENDENT = {"requires": {"independentValidators": True}, "identityMap": IDENTITIES}


def document(**more: str) -> dict[str, Any]:
    return {"documents": [{"type": "ValidationReport", "uri": "s3://report", **more}]}


def dataset(**more: str) -> dict[str, Any]:
    return {"lineage": {"datasets": [{"name": "subscribers", **more}]}}


def based_on(license_: str | None) -> dict[str, Any]:
    return {"baseModel": {"name": "base", **({"license": license_} if license_ else {})}}


def validated_by(*names: str, by: str = "ada@example.com") -> dict[str, Any]:
    return {"validators": list(names), "builtBy": [by]}


OWNED = {"owner": {"team": "retention-ml"}}


@pytest.mark.parametrize(
    ("policy", "model", "version", "sentence"),
    [
        pytest.param(ASSESSED, {"riskAssessment": {"impact": "Low"}}, {}, "no spec.riskAssessment.autonomy: answer with one of Advisory", id="an unanswered question"),
        pytest.param(ASSESSED, {"riskAssessment": {"impact": "Low", "autonomy": "Advisory"}}, {}, None, id="all answered"),
        pytest.param(VALIDATION, {}, {}, "no document of type ValidationReport: add it", id="no report"),
        pytest.param(VALIDATION, document(), {}, "ValidationReport at s3://report has no digest: add", id="a report without a digest"),
        pytest.param(VALIDATION, document(digest=DIGEST), {}, None, id="a report"),
        pytest.param(RETAINED, {}, {}, "raise spec.retention.days to 3650", id="no retention"),
        pytest.param(RETAINED, {"retention": {"days": 365}}, {}, "for 365 days, the policy asks for 3650", id="a short retention"),
        pytest.param(RETAINED, {"retention": {"days": 3650}}, {}, None, id="retention"),
        pytest.param(PUBLIC, {}, dataset(), "has no classification: declare one of Public, Internal", id="no classification"),
        pytest.param(PUBLIC, {}, dataset(classification="Secret"), "subscribers of v8 is Secret, and Low permits Public, Internal", id="secret data"),
        pytest.param(PUBLIC, {}, dataset(classification="Internal"), None, id="permitted data"),
        pytest.param(PUBLIC, {}, {}, None, id="no lineage"),
        pytest.param(LICENSED, {}, based_on(None), "base model base of v8 has no license", id="no licence"),
        pytest.param(LICENSED, {}, based_on("GPL-3.0-only"), "is under GPL-3.0-only, which the policy does not permit: build on a model under one of Apache-2.0", id="another licence"),
        pytest.param(LICENSED, {}, based_on("apache-2.0"), None, id="a licence in other letters"),
        pytest.param({"licenses": {"denied": ["AGPL-3.0-only"]}}, {}, based_on("AGPL-3.0-ONLY"), "build on another model", id="a denied licence"),
        pytest.param({"licenses": {"denied": ["AGPL-3.0-only"]}}, {}, based_on("MIT"), None, id="a licence that is not denied"),
        pytest.param(LICENSED, {}, {}, None, id="no base model"),
        pytest.param(INDEPENDENT, OWNED, {"builtBy": ["ada@example.com"]}, "v8 names no validators", id="no validators"),
        pytest.param(INDEPENDENT, OWNED, validated_by("ada"), "validator ada of v8 is one of those who built it", id="a builder by another name"),
        pytest.param(INDEPENDENT, OWNED, validated_by("eve@example.com"), "is of retention-ml, the team that owns the Model", id="a colleague"),
        pytest.param(INDEPENDENT, OWNED, validated_by("mallory"), "is nobody that the policy's identityMap knows", id="a stranger"),
        pytest.param(INDEPENDENT, OWNED, validated_by("grace@example.com", by="bot"), "built by bot, nobody that the policy's identityMap knows", id="an unknown builder"),
        pytest.param(INDEPENDENT, OWNED, {"validators": ["grace@example.com"]}, "built by nobody it names", id="no builder"),
        pytest.param(INDEPENDENT, OWNED, validated_by("grace@example.com"), None, id="an independent validator"),
    ],
)  # fmt: skip
def test_a_demand_is_met_or_says_what_to_do(
    policy: dict[str, Any], model: dict[str, Any], version: dict[str, Any], sentence: str | None
) -> None:
    found = lacking(policy, model=model, version=version)
    assert len(found) == (0 if sentence is None else 1), found
    assert (sentence or "") in "".join(found)
