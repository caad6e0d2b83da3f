"""What a LifecyclePolicy demands of the register before a version serves: tiers, fields, data, licences, reviews, and who is who."""

from enum import StrEnum
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field

from modelward.api.types import (
    AS_SET,
    ApiModel,
    CelRule,
    Interval,
    ObjectName,
    Rules,
    ShortText,
    as_map,
    unique,
    unique_names,
)


class RiskTier(StrEnum):
    LOW = "Low"
    MEDIUM = "Medium"
    HIGH = "High"
    CRITICAL = "Critical"


Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$", min_length=1, max_length=63)]
Words = Annotated[tuple[Word, ...], Field(max_length=32, json_schema_extra=AS_SET), AfterValidator(unique)]
TierTable = Annotated[dict[ShortText, RiskTier], Field(max_length=16)]


def _asks_something(condition: Any) -> bool:
    return any((condition.impact, condition.autonomy, condition.reversibility, condition.regulatory_exposure))


class TierCondition(ApiModel):
    """Answers of a risk assessment: each question that is named here has one of the words given for it."""

    cel_rules: ClassVar[Rules] = (
        CelRule(
            rule=" || ".join(
                f"has(self.{field}) && size(self.{field}) > 0"
                for field in ("impact", "autonomy", "reversibility", "regulatoryExposure")
            ),
            message="when names no answer: give impact, autonomy, reversibility or regulatoryExposure",
            holds=_asks_something,
        ),
    )

    impact: Words = Field(default=(), description="Any of these answers to impact.")
    autonomy: Words = Field(default=(), description="Any of these answers to autonomy.")
    reversibility: Words = Field(default=(), description="Any of these answers to reversibility.")
    regulatory_exposure: Words = Field(default=(), description="Any of these answers to regulatoryExposure.")


class TierRule(ApiModel):
    """Answers that together ask for a higher tier than each of them."""

    when: TierCondition = Field(description="The answers; all questions that are named have to fit.")
    tier: RiskTier = Field(description="The least tier then.")


class MinimumTier(ApiModel):
    """The least tier by risk assessment: the highest that any table or rule gives."""

    impact: TierTable = Field(default={}, description="For each answer to impact, the least tier.")
    autonomy: TierTable = Field(default={}, description="For each answer to autonomy, the least tier.")
    reversibility: TierTable = Field(default={}, description="For each answer to reversibility, the least tier.")
    regulatory_exposure: TierTable = Field(
        default={}, description="For each answer to regulatoryExposure, the least tier."
    )
    rules: Annotated[tuple[TierRule, ...], Field(max_length=32)] = Field(
        default=(), description="Answers that together ask for a higher tier than each of them."
    )
    exception_role: ObjectName = Field(
        default="risk",
        description="The role in which somebody may allow a Model a lower tier, by a ModelApproval of decision Exception.",
    )


class RequiredField(StrEnum):
    """The fields of Model and ModelVersion that a policy may ask for."""

    MODEL_ID = "modelID"
    DESCRIPTION = "description"
    PURPOSE = "purpose"
    BUSINESS_CONTEXT = "businessContext"
    PROVIDER = "provider"
    OWNER = "owner"
    BUSINESS_OWNER = "businessOwner"
    STAKEHOLDERS = "stakeholders"
    RISK_ASSESSMENT = "riskAssessment"
    REGULATIONS = "regulations"
    USE_RESTRICTIONS = "useRestrictions"
    LIMITATIONS = "limitations"
    HUMAN_OVERSIGHT = "humanOversight"
    CONSUMERS = "consumers"
    DEPENDS_ON = "dependsOn"
    FAMILY = "family"
    REVIEW = "review"
    MONITORING = "monitoring"
    RETRAINING = "retraining"
    RETIREMENT = "retirement"
    RETENTION = "retention"
    ARTIFACT = "artifact"
    ENCRYPTION = "artifact.encryption"
    RUN = "lineage.run"
    CODE = "lineage.code"
    PARAMETERS = "lineage.parameters"
    ENVIRONMENT = "lineage.environment"
    DATASETS = "lineage.datasets"
    FEATURES = "lineage.features"
    CONTEXT = "lineage.context"
    BUILT_BY = "builtBy"
    VALIDATORS = "validators"
    SCHEMA = "schema"
    MODEL_CARD = "modelCard"
    BASELINE = "baseline"
    LICENSE = "license"
    BASE_MODEL = "baseModel"
    VALID_UNTIL = "validUntil"


class Requires(ApiModel):
    """What the register has to hold before a version reaches production."""

    fields: Annotated[
        tuple[RequiredField, ...], Field(max_length=64, json_schema_extra=AS_SET), AfterValidator(unique)
    ] = Field(default=(), description="Fields of the Model, or of the requested ModelVersion, that have to be set.")
    documents: Words = Field(
        default=(),
        description="Types of documents that have to be in spec.documents of the Model, each with its digest, such as ValidationReport.",
    )
    independent_validators: bool = Field(
        default=False,
        description="True: the ModelVersion names validators, and none of them built it or is, by identityMap, of the owning team.",
    )


class DataRules(ApiModel):
    """Which data a version may be made from."""

    permitted_classifications: Words = Field(
        default=(),
        description="The classifications that a data set of the lineage may have; each has to declare one then. Any when left out.",
    )
    decommissioned: Annotated[
        tuple[ShortText, ...], Field(max_length=256, json_schema_extra=AS_SET), AfterValidator(unique)
    ] = Field(
        default=(),
        description="Data sources that are gone or not kept up any more, by name, URI or digest: a Model that serves a version made from"
        " one is a Zombie.",
    )


class LicenseRules(ApiModel):
    """Licences of models that a version builds on, as SPDX identifiers; upper and lower case are the same."""

    permitted: Words = Field(default=(), description="Only these; any that is not denied when left out.")
    denied: Words = Field(default=(), description="Never these.")


class ReviewRules(ApiModel):
    """How often a Model is reviewed."""

    interval: Interval = Field(
        description="The longest time between two reviews; a Model may ask for a shorter one. A review is a ModelApproval Reviewed."
    )


class EvaluationRules(ApiModel):
    """How old the evaluations of what serves may become."""

    max_age: Interval = Field(description="The newest valid evaluation of the serving version is not older than this.")


class RetentionRules(ApiModel):
    """How long records have to be kept."""

    minimum_days: Annotated[int, Field(ge=1, le=36_525)] = Field(
        description="The least number of days that spec.retention of a Model has to promise."
    )


class Person(ApiModel):
    """One person, under all the names that a version or an approval may know them by."""

    name: ShortText = Field(description="The person's name, told apart from every other in this list.")
    usernames: Annotated[
        tuple[ShortText, ...], Field(max_length=16, json_schema_extra=AS_SET), AfterValidator(unique)
    ] = Field(default=(), description="User names that the API server knows the person by.")
    identities: Annotated[
        tuple[ShortText, ...], Field(max_length=32, json_schema_extra=AS_SET), AfterValidator(unique)
    ] = Field(
        default=(),
        description="Names in builtBy, validators, lineage.run.user and lineage.code.authors, such as mail addresses.",
    )
    teams: Annotated[tuple[ShortText, ...], Field(max_length=16, json_schema_extra=AS_SET), AfterValidator(unique)] = (
        Field(default=(), description="The teams that the person is of, as spec.owner.team names them.")
    )


class IdentityMap(ApiModel):
    """Who is who. A name that is not found here denies whatever asks for independence."""

    people: Annotated[
        tuple[Person, ...], Field(max_length=1000, json_schema_extra=as_map("name")), AfterValidator(unique_names)
    ] = Field(default=(), description="The people who build, validate and approve.")
    match_by_name: bool = Field(
        default=False,
        description="True: a name that is in no entry is a person of its own, told apart from others by its spelling. Only where user"
        " names are the names that versions carry.",
    )
