"""What the register still lacks before a version may reach production, by the demands of a policy."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from modelward.api.demands import IdentityMap, RequiredField
from modelward.api.lifecycle_policy import LifecyclePolicySpec
from modelward.api.model import Model, ModelSpec
from modelward.api.model_version import ModelVersionSpec
from modelward.api.types import ApiModel
from modelward.governance import tiers
from modelward.governance.identities import builders_of, is_the_builder, person_of, team_in_common, teams_of, unknown


@dataclass(frozen=True)
class Missing:
    """A field that a policy asks for: where it is, and what is wrong with it and what to do, as a sentence."""

    field: str
    sentence: str


Demand = Callable[[ModelSpec, ModelVersionSpec, LifecyclePolicySpec], Iterator[Missing]]


def missing(model: Model, version: ModelVersionSpec | None, policy: LifecyclePolicySpec) -> tuple[Missing, ...]:
    """All that is lacking, the Model's fields first; without a version, only what is the Model's."""
    spec = model.spec
    of_model = [entry for demand in OF_MODEL for entry in demand(spec, policy)]
    of_version = [] if version is None else [entry for demand in OF_VERSION for entry in demand(spec, version, policy)]
    return (*of_model, *of_version)


def fields_of_the_model(model: ModelSpec, policy: LifecyclePolicySpec) -> Iterator[Missing]:
    """Fields that the policy names have to say something."""
    yield from _unset(model, "spec", (field for field in policy.requires.fields if not _is_of_version(field)))


def answers_to_the_assessment(model: ModelSpec, policy: LifecyclePolicySpec) -> Iterator[Missing]:
    """An assessment that leaves out a question which the policy asks would lower the tier by silence."""
    if RequiredField.RISK_ASSESSMENT not in policy.requires.fields or model.risk_assessment is None:
        return
    given = tiers.answers(model.risk_assessment)
    for question, table in tiers.questions(policy.minimum_tier).items():
        if question not in given:
            yield Missing(
                f"spec.riskAssessment.{question}",
                f"the Model has no spec.riskAssessment.{question}: answer with one of {', '.join(table)}",
            )


def documents_with_their_digests(model: ModelSpec, policy: LifecyclePolicySpec) -> Iterator[Missing]:
    """A document without a digest could be another one tomorrow."""
    for wanted in policy.requires.documents:
        there = [document for document in model.documents if document.type == wanted]
        if not there:
            yield Missing(
                "spec.documents",
                f"the Model has no document of type {wanted}: add it to spec.documents with its uri and digest",
            )
        elif all(document.digest is None for document in there):
            yield Missing(
                "spec.documents",
                f"the document {wanted} at {there[0].uri} has no digest: add the sha256 of its content to spec.documents",
            )


def a_promise_to_keep_records(model: ModelSpec, policy: LifecyclePolicySpec) -> Iterator[Missing]:
    """The operator deletes no record; whoever empties the archive has to know for how long not to."""
    least = policy.retention.minimum_days if policy.retention else 0
    promised = model.retention.days if model.retention else 0
    if promised < least:
        yield Missing(
            "spec.retention.days",
            f"the Model promises to keep its records for {promised} days, the policy asks for {least}: raise"
            f" spec.retention.days to {least}",
        )


def fields_of_the_version(
    model: ModelSpec, version: ModelVersionSpec, policy: LifecyclePolicySpec
) -> Iterator[Missing]:
    """Fields that the policy names have to say something; a version cannot be changed, so that it takes another one."""
    wanted = (field for field in policy.requires.fields if _is_of_version(field))
    yield from _unset(version, f"ModelVersion {version.version}: spec", wanted)


def permitted_data(model: ModelSpec, version: ModelVersionSpec, policy: LifecyclePolicySpec) -> Iterator[Missing]:
    """Each data set declares how confidential it is, and the tier permits that."""
    permitted = policy.data.permitted_classifications
    datasets = version.lineage.datasets if version.lineage and permitted else ()
    for dataset in datasets:
        field = f"spec.lineage.datasets[{dataset.name}].classification"
        if dataset.classification is None:
            yield Missing(
                field,
                f"data set {dataset.name} of {version.version} has no classification: declare one of"
                f" {', '.join(permitted)} in a new version",
            )
        elif dataset.classification not in permitted:
            yield Missing(
                field,
                f"data set {dataset.name} of {version.version} is {dataset.classification}, and {model.risk_tier} permits"
                f" {', '.join(permitted)}: train without it, or under a policy that permits it",
            )


def a_permitted_license(model: ModelSpec, version: ModelVersionSpec, policy: LifecyclePolicySpec) -> Iterator[Missing]:
    """What a version builds on may be used on terms that the organisation accepts."""
    base, rules = version.base_model, policy.licenses
    if base is None or not (rules.permitted or rules.denied):
        return
    if base.license is None:
        yield Missing(
            "spec.baseModel.license",
            f"base model {base.name} of {version.version} has no license: declare its SPDX identifier in a new version",
        )
        return
    allowed = (
        f"build on a model under one of {', '.join(rules.permitted)}" if rules.permitted else "build on another model"
    )
    if _listed(base.license, rules.denied) or (rules.permitted and not _listed(base.license, rules.permitted)):
        yield Missing(
            "spec.baseModel.license",
            f"base model {base.name} of {version.version} is under {base.license}, which the policy does not permit: {allowed}",
        )


def independent_validators(
    model: ModelSpec, version: ModelVersionSpec, policy: LifecyclePolicySpec
) -> Iterator[Missing]:
    """Whoever validated the version did not build it, and is not of the team that owns the Model."""
    if not policy.requires.independent_validators:
        return
    if not version.validators:
        yield Missing(
            "spec.validators", f"{version.version} names no validators: name who validated it in a new version"
        )
        return
    names = builders_of(version)
    strangers = unknown(names, policy.identity_map)
    if strangers or not names:
        who = f"{', '.join(strangers)}, nobody that the policy's identityMap knows" if strangers else "nobody it names"
        yield Missing(
            "spec.builtBy",
            f"{version.version} was built by {who}, so that nobody can be told to be independent: name the builders in"
            " spec.builtBy of a new version, or ask for an entry in identityMap",
        )
        return
    team = model.owner.team if model.owner else None
    for validator in version.validators:
        why = _dependence(validator, names, team, policy.identity_map)
        if why:
            yield Missing(
                "spec.validators",
                f"validator {validator} of {version.version} {why}: have it validated by somebody of another team, in a new"
                " version",
            )


OF_MODEL: tuple[Callable[[ModelSpec, LifecyclePolicySpec], Iterator[Missing]], ...] = (
    fields_of_the_model,
    answers_to_the_assessment,
    documents_with_their_digests,
    a_promise_to_keep_records,
)

OF_VERSION: tuple[Demand, ...] = (
    fields_of_the_version,
    permitted_data,
    a_permitted_license,
    independent_validators,
)


def _attributes(kind: type[ApiModel]) -> dict[str, str]:
    """The attribute of each field, by the name that users write."""
    return {field.alias or name: name for name, field in kind.model_fields.items()}


_VERSION_FIELDS = frozenset(_attributes(ModelVersionSpec))


def _is_of_version(field: RequiredField) -> bool:
    return field.value.partition(".")[0] in _VERSION_FIELDS


def _unset(spec: ApiModel, where: str, wanted: Iterator[RequiredField]) -> Iterator[Missing]:
    for field in wanted:
        if not _says_something(_value(spec, field.value)):
            remedy = "set it" if where == "spec" else "set it in a new version"
            path = f"spec.{field.value}"
            yield Missing(path, f"{where}.{field.value} is not set, and the policy asks for it: {remedy}")


def _value(spec: ApiModel, path: str) -> Any:
    value: Any = spec
    for segment in path.split("."):
        if value is None:
            return None
        value = getattr(value, _attributes(type(value))[segment])
    return value


def _says_something(value: Any) -> bool:
    if isinstance(value, ApiModel):
        return bool(value.model_dump(exclude_defaults=True))
    return bool(value)


def _listed(license_: str, listed: tuple[str, ...]) -> bool:
    return license_.casefold() in {entry.casefold() for entry in listed}


def _dependence(validator: str, builders: tuple[str, ...], team: str | None, identities: IdentityMap) -> str | None:
    """Why a validator is not independent, or cannot be told to be."""
    person = person_of(validator, identities)
    if person is None:
        return "is nobody that the policy's identityMap knows"
    if any(is_the_builder(validator, builder, identities) for builder in builders):
        return "is one of those who built it"
    teams = teams_of(person, identities)
    if teams is None:
        return "is of no team that the policy's identityMap knows"
    shared = team_in_common(person, team, builders, identities)
    if shared is not None:
        return (
            f"is of {shared}, the team that owns the Model"
            if shared == team
            else f"is of {shared}, a team that built it"
        )
    return None
