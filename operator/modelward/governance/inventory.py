"""The model inventory as an examiner asks for it: one row for each model, in plain words, from what the cluster knows now.

The columns follow what supervisors of banks list (SR 26-2 and, before it, SR 11-7): what the model is for, who answers for it, how
risky it is, what is in use and since when, who approved it, when it was last validated and reviewed, how it is watched, where it
is weak, and who relies on it.
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from pydantic import ValidationError
from pydantic.alias_generators import to_camel

from modelward.api.invalid import first_error
from modelward.api.model import Model, ModelSpec, Owner
from modelward.api.model_approval import Decision
from modelward.api.model_evaluation import ModelEvaluation
from modelward.api.status import ModelStatus, VersionReference, format_time

Texts = tuple[str, ...]

_CONCERNS = ("Ungoverned", "Zombie", "Deprecated")
_UNMET = ("Owned", "MonitoringReady", "ReviewCurrent", "EvaluationCurrent", "Performing", "Serving", "SpecValid")
_BEGINS_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One model. What is not known is empty, never guessed."""

    id: str = ""
    namespace: str = ""
    name: str = ""
    description: str = ""
    purpose: str = ""
    business_context: str = ""
    type: str = ""
    provider: str = ""
    owner: str = ""
    accountable: str = ""
    business_owner: str = ""
    tier: str = ""
    lowest_tier_allowed: str = ""
    regulations: Texts = ()
    status: str = ""
    concerns: Texts = ()
    version: str = ""
    version_digest: str = ""
    in_production_since: str = ""
    candidate: str = ""
    approvers: Texts = ()
    last_validation: str = ""
    last_review: str = ""
    reviewed_by: str = ""
    next_review: str = ""
    monitoring: Texts = ()
    limitations: Texts = ()
    use_restrictions: Texts = ()
    human_oversight: str = ""
    consumers: Texts = ()
    depends_on: Texts = ()
    documents: Texts = ()
    audit_record: str = ""


def inventory(models: Iterable[Mapping[str, Any]], evaluations: Iterable[Mapping[str, Any]]) -> tuple[Row, ...]:
    """A row for each Model, by namespace and name. One that this release cannot read has a row that says so."""
    validated = _newest_by_digest(evaluations)
    rows = [_row(raw, validated) for raw in models]
    return tuple(sorted(rows, key=lambda row: (row.namespace, row.name)))


def as_documents(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Every column of every row, also the empty ones, so that all rows have one shape."""
    return [{to_camel(each.name): _plain(getattr(row, each.name)) for each in fields(Row)} for row in rows]


def as_csv(rows: Sequence[Row]) -> str:
    """One line for each model. A cell that a spreadsheet would take for a formula gets an apostrophe in front."""
    columns = [each.name for each in fields(Row)]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([to_camel(column) for column in columns])
    writer.writerows([_cell(getattr(row, column)) for column in columns] for row in rows)
    return text.getvalue()


def _plain(value: str | Texts) -> str | list[str]:
    return value if isinstance(value, str) else list(value)


def _cell(value: str | Texts) -> str:
    text = value if isinstance(value, str) else "; ".join(value)
    return f"'{text}" if text.startswith(_BEGINS_FORMULA) else text


def _newest_by_digest(evaluations: Iterable[Mapping[str, Any]]) -> dict[str, datetime]:
    newest: dict[str, datetime] = {}
    for raw in evaluations:
        try:
            spec = ModelEvaluation.model_validate(raw).spec
        except ValidationError:
            continue
        newest[spec.version_digest] = max(spec.at, newest.get(spec.version_digest, spec.at))
    return newest


def _row(raw: Mapping[str, Any], validated: Mapping[str, datetime]) -> Row:
    metadata = raw.get("metadata") or {}
    namespace, name = str(metadata.get("namespace", "")), str(metadata.get("name", ""))
    try:
        spec = Model.model_validate(raw).spec
        status = ModelStatus.model_validate(raw.get("status") or {})
    except ValidationError as error:
        unreadable = f"this release cannot read the object: {first_error(error, 'all of it')}"
        return Row(namespace=namespace, name=name, status="Unreadable", concerns=(unreadable,))
    in_use = status.production
    return Row(
        namespace=namespace,
        name=name,
        id=spec.model_id or "",
        description=spec.description,
        purpose=spec.purpose,
        business_context=spec.business_context,
        type=spec.type,
        provider=_joined(spec.provider.name, spec.provider.model, spec.provider.version) if spec.provider else "",
        owner=_owner(spec.owner),
        accountable=(spec.owner.accountable or "") if spec.owner else "",
        business_owner=_owner(spec.business_owner),
        tier=spec.risk_tier.value,
        lowest_tier_allowed=status.risk_tier.floor if status.risk_tier else "",
        regulations=spec.regulations,
        status=_status(spec, status),
        concerns=_concerns(status),
        version=in_use.version if in_use else _elsewhere(spec),
        version_digest=in_use.digest if in_use else "",
        in_production_since=format_time(in_use.since) if in_use else "",
        candidate=status.rollout.version if status.rollout else "",
        approvers=_approvers(status, in_use),
        last_validation=_time(validated.get(in_use.digest)) if in_use else "",
        last_review=_time(status.review.at) if status.review else "",
        reviewed_by=status.review.by if status.review else "",
        next_review=_time(status.review_due),
        monitoring=_monitoring(spec, status),
        limitations=spec.limitations,
        use_restrictions=spec.use_restrictions,
        human_oversight=spec.human_oversight.mode if spec.human_oversight else "",
        consumers=tuple(f"{each.name} ({each.team})" if each.team else each.name for each in spec.consumers),
        depends_on=tuple(_joined(each.namespace, each.model or each.external) for each in spec.depends_on),
        documents=tuple(f"{each.type}: {each.uri}" for each in spec.documents),
        audit_record=f"{status.audit.seq} {status.audit.hash}" if status.audit else "",
    )


def _joined(*parts: str | None) -> str:
    return "/".join(part for part in parts if part)


def _owner(owner: Owner | None) -> str:
    if owner is None:
        return ""
    return f"{owner.team} ({owner.contact})" if owner.contact else owner.team


def _time(value: datetime | None) -> str:
    return format_time(value) if value else ""


def _elsewhere(spec: ModelSpec) -> str:
    """Of a model that is not served here, what its team says is in use."""
    return (spec.production.version or "") if spec.serving is None else ""


def _status(spec: ModelSpec, status: ModelStatus) -> str:
    if spec.serving is None:
        return "Served elsewhere"
    if status.production is None:
        return "In development" if status.rollout is None else "First rollout"
    return "In production" if status.rollout is None else f"In production, {status.rollout.version} in {status.stage}"


def _concerns(status: ModelStatus) -> Texts:
    """What the operator says is wrong, in its own words."""
    return tuple(
        f"{condition.type}={condition.status} {condition.reason}: {condition.message}".rstrip(": ")
        for condition in status.conditions
        if (condition.type in _CONCERNS and condition.status == "True")
        or (condition.type in _UNMET and condition.status == "False")
    )


def _approvers(status: ModelStatus, in_use: VersionReference | None) -> Texts:
    """Who let the version in production through, in which role, when."""
    let_through = (Decision.APPROVE, Decision.OVERRIDE)
    return tuple(
        f"{decision.approver} ({decision.role}, {decision.decision}, {format_time(decision.at)})"
        for decision in reversed(status.decisions)
        if in_use is not None
        and decision.trusted
        and decision.decision in let_through
        and (decision.version == in_use.version or in_use.digest in decision.used_for)
    )


def _monitoring(spec: ModelSpec, status: ModelStatus) -> Texts:
    found: list[str] = []
    if status.monitoring is not None:
        found += [f"gate {gate.name}: {gate.result}" for gate in status.monitoring.gates]
    if spec.monitoring is not None:
        found += [f"check {check.name}" for check in spec.monitoring.checks]
        found += [spec.monitoring.dashboard_url] if spec.monitoring.dashboard_url else []
    return tuple(found)
